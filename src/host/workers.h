/* SPDX-License-Identifier: Apache-2.0 */
/** Running a planned session over all samples of a feed, one sample per thread at a time. */
#ifndef TARE_WORKERS_H
#define TARE_WORKERS_H

#include "job.h"

/** Memory of the loading threads and their samples, for the memory plan; the feed keeps how it is
 * shared out. */
TARE_MUST_CHECK tare_status tare_workers_data_bytes(uint64_t *bytes, tare_feed *feed, int threads,
                                                    const tare_run_options *options,
                                                    tare_error *err);

/** tare_job_run() without a device. */
TARE_MUST_CHECK tare_status tare_workers_run(tare_run_summary *summary, const tare_session *session,
                                             const tare_feed *feed, const tare_job *job,
                                             const tare_run_options *options, tare_error *err);

#endif
