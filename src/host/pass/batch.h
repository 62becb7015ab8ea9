/* SPDX-License-Identifier: Apache-2.0 */
/**
 * Making a graph for one sample run several samples at once.
 *
 * A value of the new graph is the old one for each sample in turn, joined along an axis, mostly
 * axis 0: then samples are equal contiguous parts of it. This is proved operator by operator
 * (pass/batch_rule.h); a graph for which it cannot be proved is refused.
 */
#ifndef TARE_PASS_BATCH_H
#define TARE_PASS_BATCH_H

#include "exec/backend.h"

/** A graph for several samples. */
typedef struct tare_batch {
    tare_graph graph; /**< value ids below the original's value_count are the original's */
    int *axis; /**< by value id: the axis along which samples are joined; -1: the value does not
                  depend on the inputs. In the graph's arena */
    size_t rewritten; /**< constants that had one sample baked in and were replaced */
} tare_batch;

/** Makes an empty one that can be released. */
void tare_batch_init(tare_batch *batch);

/** NULL allowed. */
void tare_batch_release(tare_batch *batch);

/**
 * Makes the graph that runs `samples` samples of `graph`, which is inferred and folded for one
 * (pass/infer.h); all its fed inputs have one sample each. Constants that carry the number of
 * samples (target shapes of Reshape, Expand and Resize) and those that are joined with samples
 * (Concat, GridSample, Add, ...) are replaced by ones for `samples`. `backend` folds constants, as
 * in tare_pass_infer().
 *
 * Errors: TARE_UNSUPPORTED naming the node, and why its samples cannot be told apart afterwards;
 * TARE_OUT_OF_MEMORY.
 */
TARE_MUST_CHECK tare_status tare_pass_batch(tare_batch *out, const tare_graph *graph,
                                            const tare_backend *backend, int64_t samples,
                                            tare_error *err);

#endif
