/* SPDX-License-Identifier: Apache-2.0 */
/** Running a placed model over data into a calibration state, and what makes such a state usable
 * later. */
#ifndef TARE_CALIBRATION_H
#define TARE_CALIBRATION_H

#include "job.h"
#include "quantize.h"
#include "stats/state_file.h"

/** A state that is being filled. Zeroed: nothing is owned. */
typedef struct tare_calibration {
    tare_quantization *q;
    tare_state *state;   /**< owned; its points are q's */
    uint64_t first_slot; /**< of the samples of this run; those before are from earlier ones */
    tare_state_lane **lanes;
    bool *open;       /**< per lane: statistics of a sample were recorded that is not completed */
    bool *overflowed; /**< per lane: a value left the range of float16 */
    size_t lane_count;
    /** Called now and then, and when the run is cancelled, with the settled state; NULL: never. */
    void (*checkpoint)(void *user, const tare_state *state);
    void *user;
    double checkpoint_seconds;
} tare_calibration;

/** NULL allowed. */
void tare_calibration_release(tare_calibration *c);

/** What a quantization asks of a state. Borrowed. */
tare_state_spec tare_calibration_spec(const tare_quantization *q);

/** How large a state is going to be. */
typedef struct tare_calibration_size {
    tare_state_spec spec;
    uint64_t samples; /**< those of earlier runs included */
} tare_calibration_size;

/** Plans the session for `feed` and a state of that size, and notes the memory. */
TARE_MUST_CHECK tare_status tare_calibration_plan(tare_quantization *q, tare_feed *feed,
                                                  const tare_calibration_size *size,
                                                  const tare_run_options *run, tare_error *err);

/** Makes the lanes of the planned session, and the job that fills c->state by them: the first half
 * of tare_calibration_run(), for those who run the job themselves. */
TARE_MUST_CHECK tare_status tare_calibration_begin(tare_job *job, tare_calibration *c,
                                                   tare_error *err);

/**
 * Runs the samples of the feed into c->state, which has slots for them from first_slot on, and
 * settles it. After a failure the state is only good for being freed. When a value leaves the range
 * of float16, the run begins anew in TF32, with a new plan and a new state, unless the state holds
 * samples of earlier runs. Errors: those of tare_job_run(); NaN and infinities with tensor and
 * sample.
 */
TARE_MUST_CHECK tare_status tare_calibration_run(tare_run_summary *summary, tare_calibration *c,
                                                 tare_feed *feed, const tare_run_options *run,
                                                 tare_error *err);

/**
 * What a state of this model and feed is of, in the precision of the CPU. Texts and shapes live in
 * `arena`. The model's hash covers its file and its weights, in other files too.
 */
TARE_MUST_CHECK tare_status tare_calibration_identify(tare_state_identity *out, tare_arena *arena,
                                                      const tare_model *model,
                                                      const tare_feed *feed, tare_error *err);

/** Only the model's part: 32 hexadecimal digits in `arena`. */
TARE_MUST_CHECK tare_status tare_calibration_hash(const char **out, tare_arena *arena,
                                                  const tare_model *model, tare_error *err);

#endif
