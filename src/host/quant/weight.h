/* SPDX-License-Identifier: Apache-2.0 */
/** Weights: constants that reach an operator directly or through nodes that only move them. */
#ifndef TARE_QUANT_WEIGHT_H
#define TARE_QUANT_WEIGHT_H

#include "ir/graph.h"

/** Longer chains of moves do not occur; the bound also ends walks in graphs that are not sorted. */
#define TARE_WEIGHT_MAX_CHAIN 64

/** Whether a value is a constant: an initializer, a Constant, or one of these behind Identity,
 * Reshape and Transpose with constant shapes, or folded already. */
bool tare_weight_is_constant(const tare_value *value);

/**
 * The contents of a constant value in the shape in which its reader sees it, shared or copied; the
 * caller releases `out`. TARE_UNSUPPORTED, naming the node, for a chain that cannot be followed.
 */
TARE_MUST_CHECK tare_status tare_weight_load(tare_tensor *out, const tare_value *value,
                                             tare_error *err);

#endif
