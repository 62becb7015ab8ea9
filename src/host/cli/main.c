/* SPDX-License-Identifier: Apache-2.0 */
/** The program `tare`: a table of commands on top of the library's public header. */
#include <stdio.h>
#include <string.h>

#ifdef __GLIBC__
#include <malloc.h>
#endif

#include "cli/command.h"
#include "cli/report.h"
#include "tare.h"

static const tare_cli_command *const commands[] = {
    &tare_cli_quantize, &tare_cli_calibrate, &tare_cli_merge, &tare_cli_state,
    &tare_cli_inspect,  &tare_cli_run,       &tare_cli_bench, &tare_cli_devices,
};

#define COMMAND_COUNT (sizeof(commands) / sizeof(commands[0]))

static int print_overview(void) {
    (void)puts("usage: tare COMMAND [arguments]\n\n"
               "Finds the scale and the zero point of every tensor of a neural network.\n\n"
               "commands:");
    for (size_t i = 0; i < COMMAND_COUNT; i++) {
        printf("  %-10s %s\n", commands[i]->name, commands[i]->summary);
    }
    printf("\n'tare COMMAND --help' explains a command, 'tare --version' prints the version.\n\n"
           "example:\n%s",
           tare_cli_quantize.example);
    return tare_cli_flush();
}

static int fail_unknown_command(const char *given) {
    const char *names[COMMAND_COUNT];
    for (size_t i = 0; i < COMMAND_COUNT; i++) {
        names[i] = commands[i]->name;
    }
    const char *nearest =
        tare_cli_nearest(given, (const void *)names, COMMAND_COUNT, sizeof(names[0]));
    if (nearest != NULL) {
        return tare_cli_fail_usage(NULL, "unknown command '%s', did you mean '%s'?", given,
                                   nearest);
    }
    return tare_cli_fail_usage(NULL, "unknown command '%s'", given);
}

static int run_command(const tare_cli_command *command, int argc, char **argv) {
    tare_cli_arguments arguments;
    int code = tare_cli_arguments_parse(&arguments, command, argc, argv);
    if (code == TARE_CLI_EXIT_OK && arguments.help) {
        tare_cli_arguments_help(command);
        code = tare_cli_flush();
    } else if (code == TARE_CLI_EXIT_OK) {
        code = command->run(command, &arguments);
    }
    tare_cli_arguments_release(&arguments);
    return code;
}

/* What the decoders of images allocate goes back to the system when they free it. Otherwise glibc
 * learns from the largest image what to keep, in each thread apart. This is the program's to
 * decide, not the library's. */
static void set_allocator(void) {
#ifdef M_MMAP_THRESHOLD
    (void)mallopt(M_MMAP_THRESHOLD, 128 * 1024);
#endif
}

int main(int argc, char **argv) {
    set_allocator();
    if (argc < 2) {
        return tare_cli_fail_usage(NULL, "no command is given");
    }
    if (strcmp(argv[1], "--help") == 0 || strcmp(argv[1], "-h") == 0) {
        return print_overview();
    }
    if (strcmp(argv[1], "--version") == 0) {
        printf("tare %s\n", tare_version());
        return tare_cli_flush();
    }
    for (size_t i = 0; i < COMMAND_COUNT; i++) {
        if (strcmp(argv[1], commands[i]->name) == 0) {
            return run_command(commands[i], argc - 2, argv + 2);
        }
    }
    return fail_unknown_command(argv[1]);
}
