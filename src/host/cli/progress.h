/* SPDX-License-Identifier: Apache-2.0 */
/** Progress on standard error, and stopping when a signal asks for it. */
#ifndef TARE_CLI_PROGRESS_H
#define TARE_CLI_PROGRESS_H

#include "cli/arguments.h"
#include "tare.h"

/** What has been shown so far. */
typedef struct tare_cli_progress {
    bool terminal; /**< one updating line; otherwise now and then a line of its own */
    bool quiet;
    bool line_open;
    const char *unit;
    char stage[32];
    double last_seconds;
    uint64_t last_tenth;
} tare_cli_progress;

/** Prepares `progress` for what the arguments say. */
void tare_cli_progress_init(tare_cli_progress *progress, const tare_cli_arguments *arguments);

/** The functions for tare_run_options; `user` is the tare_cli_progress. */
bool tare_cli_progress_show(void *user, const tare_progress *now);
void tare_cli_progress_note(void *user, tare_note_level level, const char *line);

/** Removes the updating line, so that what is printed next starts on a clean one. */
void tare_cli_progress_end(tare_cli_progress *progress);

/** Has SIGINT and SIGTERM stop the call that reports its progress here, instead of killing the
 * program while it may be writing. Only for calls that do report. */
void tare_cli_signal_catch(void);

/** The signal that asked to stop, or 0. */
int tare_cli_signal_caught(void);

#endif
