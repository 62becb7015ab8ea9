/* SPDX-License-Identifier: Apache-2.0 */
/**
 * Running samples on a device. One thread gives batches to the device, which copies, computes and
 * reduces them while the next ones are loaded by other threads and gathered in pinned memory.
 */
#ifndef TARE_DEVICE_RUN_H
#define TARE_DEVICE_RUN_H

#include "job.h"

/** tare_job_measure() for a device. */
TARE_MUST_CHECK tare_status tare_device_run_measure(tare_session_limits *limits, tare_feed *feed,
                                                    const tare_run_options *options,
                                                    tare_error *err);

/** tare_job_run() for a device. */
TARE_MUST_CHECK tare_status tare_device_run(tare_run_summary *summary, tare_session *session,
                                            const tare_feed *feed, const tare_job *job,
                                            const tare_run_options *options, tare_error *err);

#endif
