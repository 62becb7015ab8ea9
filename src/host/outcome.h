/* SPDX-License-Identifier: Apache-2.0 */
/** The insides of tare_outcome: named output tensors that grow along their first dim as samples are
 * joined. */
#ifndef TARE_OUTCOME_H
#define TARE_OUTCOME_H

#include "exec/executor.h"

struct tare_outcome {
    size_t count;
    tare_tensor *tensors;
    char **names;
};

/** Makes one output per output of `graph`, empty. */
TARE_MUST_CHECK tare_status tare_outcome_new(tare_outcome **out, const tare_graph *graph,
                                             tare_error *err);

/** Allocates output `index` for `samples` results of the shape `desc`, joined along the first dim
 * (rank 0: one dim of samples). */
TARE_MUST_CHECK tare_status tare_outcome_reserve(tare_outcome *outcome, size_t index,
                                                 const tare_desc *desc, uint64_t samples,
                                                 tare_error *err);

/**
 * Bytes that the results of `samples` samples take, for the memory plan, each a `repeat`-th of what
 * one run of the bound `graph` gives. Outputs whose shape only the data decide count as nothing.
 * TARE_OUT_OF_MEMORY when that is more than can be counted.
 */
TARE_MUST_CHECK tare_status tare_outcome_measure(uint64_t *bytes, const tare_graph *graph,
                                                 int64_t repeat, uint64_t samples, tare_error *err);

#endif
