/* SPDX-License-Identifier: Apache-2.0 */
/** Running all samples of a feed: what the CPU's way and a device's way share. */
#include "job.h"

#include <time.h>

#include "device_run.h"
#include "workers.h"

double tare_job_clock(void) {
    struct timespec time;
    (void)clock_gettime(CLOCK_MONOTONIC, &time);
    return (double)time.tv_sec + 1e-9 * (double)time.tv_nsec;
}

size_t tare_job_note_skipped(tare_prefetch *prefetch, const tare_run_options *options) {
    const tare_prefetch_bad *bad = NULL;
    const size_t skipped = tare_prefetch_skipped(prefetch, &bad);
    for (size_t i = 0; i < skipped; i++) {
        tare_warn(options, "sample '%s' is skipped: %s", bad[i].name, bad[i].reason);
    }
    return skipped;
}

tare_status tare_job_measure(tare_session_limits *limits, const tare_session *session,
                             tare_feed *feed, const tare_run_options *options, tare_error *err) {
    uint64_t bytes;
    if (session->device != NULL) {
        return tare_device_run_measure(limits, feed, options, err);
    }
    /* More threads than samples would have nothing to do. */
    if (feed->count > 0 && (size_t)limits->threads > feed->count) {
        limits->threads = (int)feed->count;
    }
    TARE_TRY(tare_workers_data_bytes(&bytes, feed, limits->threads, options, err));
    limits->fixed_bytes += bytes;
    return TARE_OK;
}

tare_status tare_job_run(tare_run_summary *summary, tare_session *session, const tare_feed *feed,
                         const tare_job *job, const tare_run_options *options, tare_error *err) {
    return session->device == NULL ? tare_workers_run(summary, session, feed, job, options, err)
                                   : tare_device_run(summary, session, feed, job, options, err);
}
