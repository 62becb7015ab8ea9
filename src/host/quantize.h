/* SPDX-License-Identifier: Apache-2.0 */
/** The parts of quantizing that inspecting shares: the graph to write, its placement, the watched
 * session. */
#ifndef TARE_QUANTIZE_H
#define TARE_QUANTIZE_H

#include "quant/setup.h"
#include "registry.h"
#include "session.h"

typedef struct tare_quantization {
    const tare_target *target;
    const tare_model *model; /**< what was placed; borrowed */
    tare_graph graph;        /**< the one to write: the model's, raised to the target's opset */
    tare_session session;    /**< a clone of it that is executed */
    tare_arena arena;
    tare_quantizer_setup setup;
    unsigned collect;        /**< what a state is to hold: bits of TARE_COLLECT_... */
    double quantile;         /**< and of which p it has the quantiles of samples */
    tare_stat_point *points; /**< one per watched tensor, in the order of the graph's values */
    size_t point_count;
    size_t *point_of_setup; /**< per point of the setup: index into points; SIZE_MAX: a weight */
    bool *watched;          /**< by value id */
    size_t *point_of_value; /**< by value id, or SIZE_MAX */
} tare_quantization;

/** Makes an empty one that can be released. */
TARE_MUST_CHECK tare_status tare_quantization_init(tare_quantization *q,
                                                   const tare_quantize_options *options,
                                                   tare_error *err);

/** NULL allowed. */
void tare_quantization_release(tare_quantization *q);

/**
 * From the model to a bound session with quantizers placed: raises the opset, infers shapes, places
 * quantizers, folds BatchNormalization where no statistic is taken in between. Planning is left to
 * the caller. Errors begin with the model's path.
 */
TARE_MUST_CHECK tare_status tare_quantization_place(tare_quantization *q, const tare_model *model,
                                                    const tare_input_shape *shapes,
                                                    size_t shape_count,
                                                    const tare_quantize_options *options,
                                                    tare_error *err);

/**
 * As tare_quantization_place(), for a run that is to serve quantizations not yet known: watches
 * every tensor that gets a quantizer under some preset and model type, with and without what the
 * options ignore; and what corrections of biases need, if q->collect says so. The setup is left
 * empty.
 */
TARE_MUST_CHECK tare_status tare_quantization_watch(tare_quantization *q, const tare_model *model,
                                                    const tare_input_shape *shapes,
                                                    size_t shape_count,
                                                    const tare_quantize_options *options,
                                                    tare_error *err);

/** Adds the quantizers to a report (without scales). */
TARE_MUST_CHECK tare_status tare_quantization_describe(tare_report *report,
                                                       const tare_quantization *q, tare_error *err);

#endif
