/* SPDX-License-Identifier: Apache-2.0 */
/**
 * Which sums of activations the correction of biases needs.
 *
 * The mean output of a convolution or a matrix product is a linear function of sums of its input:
 * per input channel, and where borders or strides leave elements out, per kernel position too.
 */
#ifndef TARE_QUANT_SUMS_H
#define TARE_QUANT_SUMS_H

#include "base/arena.h"
#include "stats/state.h"

/**
 * Adds to `points`, one per value of the graph, what nodes with constant weights need of the values
 * they read: channels, axis and windows; a point whose value is SIZE_MAX is not watched so far. A
 * point has one axis: where it has channels already, or nodes differ, convolutions come first, and
 * the others do without. Likewise left out: rows of a matrix on axis 0, windows of
 * three-dimensional convolutions, and windows that every element of a channel meets.
 */
TARE_MUST_CHECK tare_status tare_sums_add(tare_stat_point *points, tare_arena *arena,
                                          const tare_graph *graph, tare_error *err);

#endif
