/* SPDX-License-Identifier: Apache-2.0 */
/** From what the command line said to the option structs of the library. */
#ifndef TARE_CLI_OPTIONS_H
#define TARE_CLI_OPTIONS_H

#include "cli/command.h"
#include "cli/progress.h"
#include "tare.h"

/** Fills in `options`. They borrow from the arguments and from `progress`, which must outlive them.
 */
void tare_cli_run_options(tare_run_options *options, tare_cli_progress *progress,
                          const tare_cli_arguments *arguments);

/** Likewise. */
void tare_cli_quantize_options(tare_quantize_options *options, tare_cli_progress *progress,
                               const tare_cli_arguments *arguments);

/** Likewise. */
void tare_cli_calibrate_options(tare_calibrate_options *options, tare_cli_progress *progress,
                                const tare_cli_arguments *arguments);

/** Likewise. */
void tare_cli_bench_options(tare_bench_options *options, tare_cli_progress *progress,
                            const tare_cli_arguments *arguments);

/** Checks that every --shape names an input of the model; prints and returns TARE_CLI_EXIT_USAGE
 * otherwise. */
int tare_cli_check_shapes(const tare_cli_command *command, const tare_cli_arguments *arguments,
                          const tare_model *model);

/** Writes the names of the model's inputs or outputs into `out`, cut at the capacity: 'a', 'b'. */
void tare_cli_list_names(char *out, size_t capacity, const tare_model *model, bool outputs);

#endif
