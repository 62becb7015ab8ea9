/* SPDX-License-Identifier: Apache-2.0 */
/** From a calibration state to the ranges of a quantizer setup, by a method that is named. */
#ifndef TARE_RANGES_H
#define TARE_RANGES_H

#include "quant/params.h"
#include "quantize.h"
#include "stats/estimate.h"

/** A method as text says it. */
typedef struct tare_range_method {
    const tare_method *method;       /**< or NULL */
    const tare_estimator *estimator; /**< or NULL */
    const char *text;                /**< borrowed */
    tare_estimate_options options;   /**< number and set of the estimator */
    unsigned collect;                /**< what the state must hold */
} tare_range_method;

/** Finds "minmax" (also for NULL) or an estimator such as "percentile=99.9". TARE_NOT_FOUND with
 * the names there are; TARE_INVALID_ARGUMENT for a bad number. */
TARE_MUST_CHECK tare_status tare_range_method_find(tare_range_method *out, const char *text,
                                                   tare_error *err);

/** What was chosen for a point of a setup; `reason` is empty unless there was a choice. */
typedef struct tare_range_choice {
    const char *method;
    const char *reason;
    bool leaves_nothing; /**< every value becomes zero, though some are not */
    float min, max;      /**< then: the extremes of the values */
} tare_range_choice;

/** The ranges of a setup, in q->arena: one entry per point, those of weights empty. */
typedef struct tare_range_set {
    tare_activation_range *ranges;
    tare_range_choice *choices;
} tare_range_set;

/**
 * Chooses the ranges, on so many threads (at least 1); what is chosen, and which error is told,
 * does not depend on their number. Quantizers with one scale per channel take the extremes of each
 * channel whatever the method: the other statistics are of whole tensors. TARE_INVALID_ARGUMENT
 * when the state lacks a tensor, its channels or what the method needs, named.
 */
TARE_MUST_CHECK tare_status tare_ranges_choose(tare_range_set *out, tare_quantization *q,
                                               const tare_state *state,
                                               const tare_range_method *method, int threads,
                                               tare_error *err);

#endif
