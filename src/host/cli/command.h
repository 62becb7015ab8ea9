/* SPDX-License-Identifier: Apache-2.0 */
/** What a command of the program is, and the codes with which the program exits. */
#ifndef TARE_CLI_COMMAND_H
#define TARE_CLI_COMMAND_H

#include "cli/arguments.h"

enum tare_cli_exit {
    TARE_CLI_EXIT_OK = 0,
    TARE_CLI_EXIT_FAILED = 1,
    TARE_CLI_EXIT_USAGE = 2,
    TARE_CLI_EXIT_DEVICE = 3,  /**< the device asked for cannot be used */
    TARE_CLI_EXIT_SIGNAL = 128 /**< plus the signal's number, as shells have it */
};

/** One row of the table of commands. */
typedef struct tare_cli_command {
    const char *name;
    const char *usage;       /**< what follows "tare NAME" on the usage line */
    const char *summary;     /**< one line for the list of commands */
    const char *description; /**< lines for the command's own help, ended by a line break */
    const char *example;     /**< likewise; every line starts with two blanks */
    const tare_cli_option *options;
    size_t option_count;
    bool takes_model;  /**< one operand, the model */
    bool takes_states; /**< instead: one or more operands, calibration states */

    /** Does the work and returns the exit code; has printed what there is to say. */
    int (*run)(const struct tare_cli_command *command, const tare_cli_arguments *arguments);
} tare_cli_command;

extern const tare_cli_command tare_cli_quantize;
extern const tare_cli_command tare_cli_calibrate;
extern const tare_cli_command tare_cli_merge;
extern const tare_cli_command tare_cli_state;
extern const tare_cli_command tare_cli_inspect;
extern const tare_cli_command tare_cli_run;
extern const tare_cli_command tare_cli_bench;
extern const tare_cli_command tare_cli_devices;

#endif
