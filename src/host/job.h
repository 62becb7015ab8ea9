/* SPDX-License-Identifier: Apache-2.0 */
/** Running all samples of a feed through a planned session, on the CPU or on a device. */
#ifndef TARE_JOB_H
#define TARE_JOB_H

#include "feed.h"

/** Which sample is running where. */
typedef struct tare_turn {
    size_t lane;      /**< worker thread, 0 to threads - 1 */
    size_t sample;    /**< position of the sample in the feed */
    uint64_t id;      /**< of the sample: hash of name and content */
    const char *name; /**< of the sample, valid as long as the feed */
    const tare_execution *execution;
    size_t part; /**< of the outputs: which of the execution's samples it is */
} tare_turn;

/** A watched value of one sample that a device has reduced. */
typedef struct tare_reduced {
    size_t value;
    const tare_collect_result *result;
    size_t sample; /**< of the result */
    size_t images; /**< dims[0] of the value for one sample */
} tare_reduced;

/** What to do with samples. Functions are called from several threads; a lane is never in two calls
 * at once. */
typedef struct tare_job {
    const char *stage; /**< for the progress */
    void *user;
    /** CPU: a watched value of the sample that is running; NULL: none are watched. */
    tare_status (*value)(void *user, const tare_turn *turn, size_t value_id, const tare_desc *desc,
                         const void *data, tare_error *err);
    /** Device: a value that the session collects; values come in the order of the execution. */
    tare_status (*reduced)(void *user, const tare_turn *turn, const tare_reduced *reduced,
                           tare_error *err);
    /** Device: how often each code occurred in a value since the last call, for those whose codes
     * the session collects. Called from one thread before a pause and at the end, with every sample
     * through. */
    void (*codes)(void *user, size_t value_id, const uint64_t *counts, uint32_t top);
    /** The sample is through; outputs can be read from turn->execution. */
    tare_status (*done)(void *user, const tare_turn *turn, tare_error *err);
    bool reads_outputs; /**< done() does that */
    /** Called about every pause_seconds from the thread that called tare_job_run(), while every
     * sample that was begun is through; NULL: never. */
    void (*pause)(void *user);
    double pause_seconds;
} tare_job;

/** What a run came to. */
typedef struct tare_run_summary {
    size_t samples, skipped;
    double seconds;
} tare_run_summary;

/** Fills in what loading the feed's samples costs in memory: fixed_bytes grows by it, and for a
 * device threads and the bytes for each sample of a batch are set. Call before tare_session_plan();
 * afterwards the feed knows how much memory its loading may take. */
TARE_MUST_CHECK tare_status tare_job_measure(tare_session_limits *limits,
                                             const tare_session *session, tare_feed *feed,
                                             const tare_run_options *options, tare_error *err);

/**
 * Runs every sample of the feed. The error reported is that of the first failing sample in the
 * order of the feed, whatever the threads' timing; its text begins with the sample's name. Skipped
 * samples are noted by name. After TARE_CANCELLED every sample that was begun is through.
 */
TARE_MUST_CHECK tare_status tare_job_run(tare_run_summary *summary, tare_session *session,
                                         const tare_feed *feed, const tare_job *job,
                                         const tare_run_options *options, tare_error *err);

/** Seconds since some point in the past. */
double tare_job_clock(void);

/** Warns of each sample that was left out, and returns their number. */
size_t tare_job_note_skipped(tare_prefetch *prefetch, const tare_run_options *options);

#endif
