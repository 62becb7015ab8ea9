/* SPDX-License-Identifier: Apache-2.0 */
/** From quantizers at hooks, and from weights, to points on tensors of the graph. */
#ifndef TARE_QUANT_POINTS_H
#define TARE_QUANT_POINTS_H

#include "quant/propagate.h"

/** The weights of one node of the flow. */
typedef struct tare_weight_plan {
    tare_config_list configs; /**< empty: not quantized */
    size_t group;             /**< of the propagation, or TARE_NO_GROUP */
} tare_weight_plan;

/** Writes the points of what the propagation left. `weights`: by node of the flow. */
TARE_MUST_CHECK tare_status tare_points_collect(tare_quantizer_setup *setup, tare_arena *arena,
                                                const tare_propagation *work,
                                                const tare_weight_plan *weights,
                                                const tare_placement_options *options,
                                                tare_error *err);

#endif
