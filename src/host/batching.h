/* SPDX-License-Identifier: Apache-2.0 */
/** How many samples a device may run at once. */
#ifndef TARE_BATCHING_H
#define TARE_BATCHING_H

#include "feed.h"

/**
 * Sets limits->batch for the bound session: the batch that the options ask for, else up to 64, at
 * most as many as there are samples; 1 on the CPU and for models whose samples cannot be told apart
 * in a batch (pass/batch.h), which is noted with the reason.
 *
 * Where the model was not made for batches, so that the proof alone stands for them, some samples
 * run on the CPU together and one by one; unless every watched tensor and output has the same range
 * for each, within 1e-5 of it, the batch is 1 and a note names the tensor. Errors: those of loading
 * and running.
 */
TARE_MUST_CHECK tare_status tare_batching_choose(tare_session_limits *limits, tare_session *session,
                                                 const tare_feed *feed, const tare_run_options *run,
                                                 tare_error *err);

#endif
