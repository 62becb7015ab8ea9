/* SPDX-License-Identifier: Apache-2.0 */
/** Progress on standard error, and stopping when a signal asks for it. */
#include "cli/progress.h"

#include <inttypes.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#define CLEAR_LINE         "\r\033[K"
#define PLAIN_LINE_SECONDS 2.0 /* between two lines where nobody watches */

/* The only state outside of objects: a signal handler can reach nothing else. */
static volatile sig_atomic_t caught;

static void on_signal(int number) {
    caught = number;
}

int tare_cli_signal_caught(void) {
    return caught;
}

/* The second signal of a kind kills: by then the user does not want to wait. */
void tare_cli_signal_catch(void) {
    struct sigaction action;
    memset(&action, 0, sizeof(action));
    action.sa_handler = on_signal;
    action.sa_flags = (int)SA_RESETHAND;
    (void)sigemptyset(&action.sa_mask);
    (void)sigaction(SIGINT, &action, NULL);
    (void)sigaction(SIGTERM, &action, NULL);
}

static void print_plain(tare_cli_progress *progress, const tare_progress *now, const char *line) {
    const uint64_t tenth = now->total == 0 ? 0 : now->done * 10 / now->total;
    const bool is_new = strncmp(progress->stage, now->stage, sizeof(progress->stage) - 1) != 0;
    if (is_new) {
        (void)snprintf(progress->stage, sizeof(progress->stage), "%s", now->stage);
        progress->last_seconds = 0.0;
        progress->last_tenth = 0;
    }
    if (tenth > progress->last_tenth &&
        now->seconds - progress->last_seconds >= PLAIN_LINE_SECONDS) {
        progress->last_tenth = tenth;
        progress->last_seconds = now->seconds;
        (void)fprintf(stderr, "%s\n", line);
    }
}

static void format_line(char *out, size_t capacity, const tare_cli_progress *progress,
                        const tare_progress *now) {
    if (now->done == 0 || now->seconds <= 0.0) {
        (void)snprintf(out, capacity, "%s: %" PRIu64 " of %" PRIu64, now->stage, now->done,
                       now->total);
        return;
    }
    const double rate = (double)now->done / now->seconds;
    const uint64_t open = now->total > now->done ? now->total - now->done : 0;
    (void)snprintf(out, capacity, "%s: %" PRIu64 " of %" PRIu64 ", %.1f %s/s, %.0f s left",
                   now->stage, now->done, now->total, rate, progress->unit, (double)open / rate);
}

bool tare_cli_progress_show(void *user, const tare_progress *now) {
    tare_cli_progress *progress = (tare_cli_progress *)user;
    char line[160];
    if (caught != 0) {
        return false;
    }
    if (progress->quiet) {
        return true;
    }
    format_line(line, sizeof(line), progress, now);
    if (progress->terminal) {
        (void)fprintf(stderr, CLEAR_LINE "%s", line);
        progress->line_open = true;
    } else {
        print_plain(progress, now, line);
    }
    return true;
}

void tare_cli_progress_note(void *user, tare_note_level level, const char *line) {
    tare_cli_progress *progress = (tare_cli_progress *)user;
    if (progress->quiet && level == TARE_NOTE_INFO) {
        return;
    }
    tare_cli_progress_end(progress);
    (void)fprintf(stderr, "tare: %s%s\n", level == TARE_NOTE_WARNING ? "warning: " : "", line);
}

static bool is_arrays(const char *path) {
    const char *dot = path == NULL ? NULL : strrchr(path, '.');
    return dot != NULL && (strcmp(dot, ".npy") == 0 || strcmp(dot, ".npz") == 0);
}

void tare_cli_progress_init(tare_cli_progress *progress, const tare_cli_arguments *arguments) {
    const char *term = getenv("TERM");
    *progress = (tare_cli_progress){
        .terminal = isatty(STDERR_FILENO) != 0 && term != NULL && strcmp(term, "dumb") != 0,
        .quiet = arguments->quiet,
        .unit = is_arrays(arguments->data) ? "samples" : "images",
    };
}

void tare_cli_progress_end(tare_cli_progress *progress) {
    if (progress->line_open) {
        (void)fputs(CLEAR_LINE, stderr);
        progress->line_open = false;
    }
}
