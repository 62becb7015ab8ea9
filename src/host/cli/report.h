/* SPDX-License-Identifier: Apache-2.0 */
/** What the program prints when it is done or has failed, and the exit codes that follow. */
#ifndef TARE_CLI_REPORT_H
#define TARE_CLI_REPORT_H

#include "cli/command.h"
#include "tare.h"

/** Prints a usage error (printf-style) with a pointer to the help; returns TARE_CLI_EXIT_USAGE.
 * command: NULL before a command is known. */
TARE_PRINTF(2, 3)
int tare_cli_fail_usage(const tare_cli_command *command, const char *format, ...);

/** Prints an error of the library and returns the exit code for it. */
int tare_cli_fail(tare_status status, const tare_error *err);

/** As tare_cli_fail(), for calls that execute a model: says with its exit code when it was the
 * device asked for that cannot be used. */
int tare_cli_fail_run(tare_status status, const tare_error *err,
                      const tare_cli_arguments *arguments);

/** Whether both paths lead to one file that is there. */
bool tare_cli_is_same_file(const char *a, const char *b);

/** Checks before any work that the folder of an output file is there, so that minutes of
 * calibration are not lost to a typing error. NULL and "-" are fine. Prints and returns
 * TARE_CLI_EXIT_FAILED otherwise. */
int tare_cli_check_output(const char *path);

/** Checks --output and --json: they must not be one file, nor one that the command reads
 * (TARE_CLI_EXIT_USAGE), and both must be writable as tare_cli_check_output() sees it. */
int tare_cli_check_outputs(const tare_cli_command *command, const tare_cli_arguments *arguments);

/** Brings what was printed to where it goes: a full disk or a closed pipe is an error like others.
 * Prints it and returns TARE_CLI_EXIT_FAILED then. */
int tare_cli_flush(void);

/** Prints the report as the arguments ask (text, unless quiet; JSON to a file or instead of the
 * text). Returns the exit code. */
int tare_cli_report(const tare_report *report, const tare_cli_arguments *arguments);

#endif
