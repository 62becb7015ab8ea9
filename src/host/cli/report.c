/* SPDX-License-Identifier: Apache-2.0 */
/** What the program prints when it is done or has failed, and the exit codes that follow. */
#include "cli/report.h"

#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "cli/progress.h"

int tare_cli_fail_usage(const tare_cli_command *command, const char *format, ...) {
    va_list values;
    va_start(values, format);
    (void)fputs("tare: error: ", stderr);
    (void)vfprintf(stderr, format, values);
    (void)fprintf(stderr, "; try 'tare %s%s--help'\n", command == NULL ? "" : command->name,
                  command == NULL ? "" : " ");
    va_end(values);
    return TARE_CLI_EXIT_USAGE;
}

static int fail_text(const char *text) {
    (void)fprintf(stderr, "tare: error: %s\n", text);
    return TARE_CLI_EXIT_FAILED;
}

int tare_cli_fail(tare_status status, const tare_error *err) {
    const int signal_number = tare_cli_signal_caught();
    if (status == TARE_CANCELLED && signal_number != 0) {
        (void)fail_text("interrupted; nothing was written");
        return TARE_CLI_EXIT_SIGNAL + signal_number;
    }
    return fail_text(err->text[0] == '\0' ? tare_status_name(status) : err->text);
}

/* Files and targets that are not there have the same status; only a device's text names it so. */
static bool is_about_device(const tare_error *err, const char *device) {
    char named[TARE_ERROR_TEXT_BYTES];
    const int length = snprintf(named, sizeof(named), "device '%s'", device);
    return length > 0 && (size_t)length < sizeof(named) && strstr(err->text, named) != NULL;
}

int tare_cli_fail_run(tare_status status, const tare_error *err,
                      const tare_cli_arguments *arguments) {
    const int code = tare_cli_fail(status, err);
    const bool is_device = status == TARE_NOT_FOUND && arguments->device != NULL &&
                           is_about_device(err, arguments->device);
    return is_device ? TARE_CLI_EXIT_DEVICE : code;
}

static int fail_output(const char *path, const char *why) {
    (void)fprintf(stderr, "tare: error: cannot write '%s': %s\n", path, why);
    return TARE_CLI_EXIT_FAILED;
}

bool tare_cli_is_same_file(const char *a, const char *b) {
    struct stat first;
    struct stat second;
    return stat(a, &first) == 0 && stat(b, &second) == 0 && first.st_dev == second.st_dev &&
           first.st_ino == second.st_ino;
}

int tare_cli_check_output(const char *path) {
    struct stat status;
    if (path == NULL || strcmp(path, "-") == 0) {
        return TARE_CLI_EXIT_OK;
    }
    if (stat(path, &status) == 0 && S_ISDIR(status.st_mode)) {
        return fail_output(path, "it is a folder");
    }
    const char *slash = strrchr(path, '/');
    if (slash == NULL) {
        return TARE_CLI_EXIT_OK;
    }
    /* "/x" lies in "/": keep the slash when it is all there is. */
    const size_t length = slash == path ? 1 : (size_t)(slash - path);
    char *folder = (char *)malloc(length + 1);
    if (folder == NULL) {
        return fail_text("out of memory");
    }
    memcpy(folder, path, length);
    folder[length] = '\0';
    int code = TARE_CLI_EXIT_OK;
    if (stat(folder, &status) != 0 || access(folder, W_OK) != 0) {
        code = fail_output(path, strerror(errno));
    } else if (!S_ISDIR(status.st_mode)) {
        code = fail_output(path, "its folder is not a folder");
    }
    free(folder);
    return code;
}

/* Whether a file that is going to be written is one that is read. */
static int check_not_read(const tare_cli_command *command, const tare_cli_arguments *arguments,
                          const char *option, const char *path) {
    const struct {
        const char *name, *path;
    } inputs[] = {{"model", arguments->model},
                  {"state", arguments->state},
                  {"data", arguments->data},
                  {"input", arguments->input},
                  {"preprocessing", arguments->preprocess}};
    for (size_t i = 0; path != NULL && i < sizeof inputs / sizeof inputs[0]; i++) {
        if (inputs[i].path != NULL && tare_cli_is_same_file(inputs[i].path, path)) {
            return tare_cli_fail_usage(command, "%s '%s' is the %s itself", option, path,
                                       inputs[i].name);
        }
    }
    return TARE_CLI_EXIT_OK;
}

int tare_cli_check_outputs(const tare_cli_command *command, const tare_cli_arguments *arguments) {
    const char *output = arguments->output, *json = arguments->json;
    if (check_not_read(command, arguments, "--output", output) != TARE_CLI_EXIT_OK ||
        check_not_read(command, arguments, "--json", json) != TARE_CLI_EXIT_OK) {
        return TARE_CLI_EXIT_USAGE;
    }
    /* A state may be merged into itself: it is complete before it is replaced. */
    for (size_t i = 0; json != NULL && i < arguments->states.count; i++) {
        if (tare_cli_is_same_file(arguments->states.items[i], json)) {
            return tare_cli_fail_usage(command, "--json '%s' is a state to merge", json);
        }
    }
    if (output != NULL && json != NULL &&
        (strcmp(output, json) == 0 || tare_cli_is_same_file(output, json))) {
        return tare_cli_fail_usage(command, "--output and --json are both '%s'", output);
    }
    const int code = tare_cli_check_output(arguments->output);
    return code == TARE_CLI_EXIT_OK ? tare_cli_check_output(arguments->json) : code;
}

static int write_json(const char *path, const char *json) {
    FILE *file = fopen(path, "wb");
    if (file == NULL) {
        return fail_output(path, strerror(errno));
    }
    const bool written = fputs(json, file) >= 0 && fputc('\n', file) != EOF;
    if (fclose(file) != 0 || !written) {
        const int code = fail_output(path, strerror(errno));
        (void)remove(path);
        return code;
    }
    return TARE_CLI_EXIT_OK;
}

int tare_cli_flush(void) {
    const bool failed = fflush(stdout) != 0 || ferror(stdout) != 0;
    return failed ? fail_output("standard output", strerror(errno)) : TARE_CLI_EXIT_OK;
}

int tare_cli_report(const tare_report *report, const tare_cli_arguments *arguments) {
    const bool json_only = arguments->json != NULL && strcmp(arguments->json, "-") == 0;
    if (json_only) {
        (void)puts(tare_report_json(report));
    } else if (!arguments->quiet) {
        (void)fputs(tare_report_text(report), stdout);
    }
    const int code = tare_cli_flush();
    if (code == TARE_CLI_EXIT_OK && arguments->json != NULL && !json_only) {
        return write_json(arguments->json, tare_report_json(report));
    }
    return code;
}
