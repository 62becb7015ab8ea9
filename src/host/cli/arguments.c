/* SPDX-License-Identifier: Apache-2.0 */
/** Reads a command line by a command's table of options, and prints the table as help. */
#include "cli/arguments.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "cli/command.h"
#include "cli/report.h"

const char *const tare_cli_presets[] = {"performance", "mixed", NULL};
const char *const tare_cli_precisions[] = {"auto", "fp32", "tf32", "fp16", NULL};
const char *const tare_cli_model_types[] = {"transformer", NULL};

#define NAME_BYTES 32 /* longer texts are never a slip of an option's or command's name */

/* Edits (insert, delete, replace) that make `a` into `b`; one row of the usual table at a time. */
static size_t edit_distance(const char *a, const char *b) {
    size_t row[NAME_BYTES + 1];
    const size_t a_length = strlen(a);
    const size_t b_length = strlen(b);
    if (a_length > NAME_BYTES || b_length > NAME_BYTES) {
        return NAME_BYTES;
    }
    for (size_t j = 0; j <= b_length; j++) {
        row[j] = j;
    }
    for (size_t i = 1; i <= a_length; i++) {
        size_t diagonal = row[0];
        row[0] = i;
        for (size_t j = 1; j <= b_length; j++) {
            const size_t above = row[j];
            size_t best = diagonal + (a[i - 1] == b[j - 1] ? 0 : 1);
            best = above + 1 < best ? above + 1 : best;
            best = row[j - 1] + 1 < best ? row[j - 1] + 1 : best;
            row[j] = best;
            diagonal = above;
        }
    }
    return row[b_length];
}

const char *tare_cli_nearest(const char *given, const void *names, size_t count, size_t stride) {
    const char *nearest = NULL;
    /* A third of the letters wrong is still a slip; more is another word. */
    size_t best = strlen(given) / 3 + 1;
    for (size_t i = 0; i < count; i++) {
        const char *name = *(const char *const *)((const char *)names + i * stride);
        const size_t distance = edit_distance(given, name);
        if (distance < best) {
            best = distance;
            nearest = name;
        }
    }
    return nearest;
}

static int fail_unknown_option(const tare_cli_command *command, const char *given) {
    const char *nearest =
        tare_cli_nearest(given, command->options, command->option_count, sizeof(tare_cli_option));
    if (nearest != NULL) {
        return tare_cli_fail_usage(command, "unknown option '%s', did you mean '%s'?", given,
                                   nearest);
    }
    return tare_cli_fail_usage(command, "unknown option '%s'", given);
}

static const tare_cli_option *find_option(const tare_cli_command *command, const char *given) {
    for (size_t i = 0; i < command->option_count; i++) {
        const tare_cli_option *option = &command->options[i];
        if (strcmp(option->name, given) == 0 ||
            (option->letter != NULL && strcmp(option->letter, given) == 0)) {
            return option;
        }
    }
    return NULL;
}

static bool is_choice(const char *const *choices, const char *value) {
    for (size_t i = 0; choices[i] != NULL; i++) {
        if (strcmp(choices[i], value) == 0) {
            return true;
        }
    }
    return false;
}

static int fail_choice(const tare_cli_command *command, const tare_cli_option *option,
                       const char *value) {
    char list[128] = "";
    size_t length = 0;
    for (size_t i = 0; option->choices[i] != NULL && length < sizeof(list); i++) {
        const int written = snprintf(list + length, sizeof(list) - length, "%s%s",
                                     i == 0 ? "" : " or ", option->choices[i]);
        length += written < 0 ? 0 : (size_t)written;
    }
    return tare_cli_fail_usage(command, "%s: expected %s, got '%s'", option->name, list, value);
}

/* Reads the option at argv[*index], and its value where the next argument is it. */
static int parse_option(tare_cli_arguments *out, uint64_t *given, const tare_cli_command *command,
                        char **argv, int *index) {
    char *name = argv[*index];
    char *value = strncmp(name, "--", 2) == 0 ? strchr(name, '=') : NULL;
    if (value != NULL) {
        *value = '\0';
        value++;
    }
    const tare_cli_option *option = find_option(command, name);
    if (option == NULL) {
        return fail_unknown_option(command, name);
    }
    const uint64_t bit = UINT64_C(1) << (option - command->options);
    if ((*given & bit) != 0 && !option->kind->repeatable) {
        return tare_cli_fail_usage(command, "%s is given twice", option->name);
    }
    *given |= bit;
    if (option->value == NULL && value != NULL) {
        return tare_cli_fail_usage(command, "%s takes no value, got '%s'", option->name, value);
    }
    if (option->value != NULL && value == NULL) {
        value = argv[*index + 1];
        if (value == NULL) {
            return tare_cli_fail_usage(command, "%s needs a value (%s)", option->name,
                                       option->value);
        }
        *index += 1;
    }
    if (option->choices != NULL && !is_choice(option->choices, value)) {
        return fail_choice(command, option, value);
    }
    const char *expected = option->kind->set((char *)out + option->field, value);
    if (expected != NULL) {
        return tare_cli_fail_usage(command, "%s: expected %s, got '%s'", option->name, expected,
                                   value);
    }
    return TARE_CLI_EXIT_OK;
}

static int check_complete(const tare_cli_arguments *arguments, uint64_t given,
                          const tare_cli_command *command) {
    if (command->takes_model && arguments->model == NULL) {
        return tare_cli_fail_usage(command, "no model is given");
    }
    if (command->takes_states && arguments->states.count == 0) {
        return tare_cli_fail_usage(command, "no calibration state is given");
    }
    for (size_t i = 0; i < command->option_count; i++) {
        if (command->options[i].required && (given >> i & 1) == 0) {
            return tare_cli_fail_usage(command, "%s %s is missing", command->options[i].name,
                                       command->options[i].value);
        }
    }
    return TARE_CLI_EXIT_OK;
}

int tare_cli_arguments_parse(tare_cli_arguments *out, const tare_cli_command *command, int argc,
                             char **argv) {
    uint64_t given = 0;
    bool options_end = false;
    *out = (tare_cli_arguments){0};
    for (int i = 0; i < argc; i++) {
        char *argument = argv[i];
        if (!options_end && strcmp(argument, "--") == 0) {
            options_end = true;
        } else if (!options_end &&
                   (strcmp(argument, "--help") == 0 || strcmp(argument, "-h") == 0)) {
            out->help = true;
            return TARE_CLI_EXIT_OK;
        } else if (!options_end && argument[0] == '-' && argument[1] != '\0') {
            const int code = parse_option(out, &given, command, argv, &i);
            if (code != TARE_CLI_EXIT_OK) {
                return code;
            }
        } else if (command->takes_states) {
            const char *expected = tare_cli_text_list.set(&out->states, argument);
            if (expected != NULL) {
                return tare_cli_fail_usage(command, "expected %s", expected);
            }
        } else if (!command->takes_model || out->model != NULL) {
            return tare_cli_fail_usage(command, "unexpected argument '%s'", argument);
        } else {
            out->model = argument;
        }
    }
    return check_complete(out, given, command);
}

void tare_cli_arguments_release(tare_cli_arguments *arguments) {
    free((void *)arguments->states.items);
    free((void *)arguments->ignored_names.items);
    free((void *)arguments->ignored_types.items);
    free((void *)arguments->ignored_patterns.items);
    free(arguments->shapes.items);
    *arguments = (tare_cli_arguments){0};
}

void tare_cli_arguments_help(const tare_cli_command *command) {
    printf("usage: tare %s %s\n\n%s\noptions:\n", command->name, command->usage,
           command->description);
    for (size_t i = 0; i < command->option_count; i++) {
        const tare_cli_option *option = &command->options[i];
        char left[64];
        (void)snprintf(
            left, sizeof(left), "%s%s%s%s%s", option->letter == NULL ? "    " : option->letter,
            option->letter == NULL ? "" : ", ", option->name, option->value == NULL ? "" : " ",
            option->value == NULL ? "" : option->value);
        printf("  %-28s %s%s\n", left, option->text, option->required ? " (required)" : "");
    }
    printf("  %-28s %s\n\nexample:\n%s", "-h, --help", "this text", command->example);
}
