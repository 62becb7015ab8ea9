/* SPDX-License-Identifier: Apache-2.0 */
/** Running a planned session over all samples of a feed, one sample per thread at a time. */
#ifndef TARE_WORKERS_H
#define TARE_WORKERS_H

#include "feed.h"

/** Which sample is running where. */
typedef struct tare_turn {
    size_t lane;      /**< worker thread, 0 to threads - 1 */
    size_t sample;    /**< position of the sample in the feed */
    uint64_t id;      /**< of the sample: hash of name and content */
    const char *name; /**< of the sample, valid as long as the feed */
    const tare_execution *execution;
} tare_turn;

/** What to do with samples. Functions are called from worker threads; a lane is never in two calls
 * at once. */
typedef struct tare_job {
    const char *stage; /**< for the progress */
    void *user;
    /** A watched value of the sample that is running; NULL: none are watched. */
    tare_status (*value)(void *user, const tare_turn *turn, size_t value_id, const tare_desc *desc,
                         const void *data, tare_error *err);
    /** The sample is through; outputs can be read from turn->execution. */
    tare_status (*done)(void *user, const tare_turn *turn, tare_error *err);
    /** Called about every pause_seconds from the thread that called tare_workers_run(), while every
     * worker is between two samples; NULL: never. */
    void (*pause)(void *user);
    double pause_seconds;
} tare_job;

/** Memory of the loading threads and their samples, for the memory plan. */
TARE_MUST_CHECK tare_status tare_workers_data_bytes(uint64_t *bytes, const tare_feed *feed,
                                                    int threads, const tare_run_options *options,
                                                    tare_error *err);

/** What a run came to. */
typedef struct tare_run_summary {
    size_t samples, skipped;
    double seconds;
} tare_run_summary;

/**
 * Runs every sample of the feed. The error reported is that of the first failing sample in the
 * order of the feed, whatever the threads' timing; its text begins with the sample's name. Skipped
 * samples are noted by name. After TARE_CANCELLED every sample that was begun is through.
 */
TARE_MUST_CHECK tare_status tare_workers_run(tare_run_summary *summary, const tare_session *session,
                                             const tare_feed *feed, const tare_job *job,
                                             const tare_run_options *options, tare_error *err);

#endif
