/* SPDX-License-Identifier: Apache-2.0 */
/** Which operators stay float although their rule would quantize them. */
#ifndef TARE_QUANT_IGNORE_H
#define TARE_QUANT_IGNORE_H

#include "quant/hook_graph.h"
#include "quant/setup.h"

/** Sets ignored[node of the flow] for what the options name and what the target's ignored patterns
 * find. Errors as tare_quantizer_setup_build(). */
TARE_MUST_CHECK tare_status tare_ignore_nodes(bool *ignored, tare_arena *arena,
                                              const tare_flow *flow,
                                              const tare_placement_options *options,
                                              tare_error *err);

/**
 * Makes those operators of the hook graph float that the target keeps float in transformers, and
 * those between detections' post-processing and the outputs. `weighted` tells which nodes of the
 * flow have weights to quantize: post-processing does not reach beyond them.
 */
TARE_MUST_CHECK tare_status tare_ignore_operators(tare_hook_graph *graph, tare_arena *arena,
                                                  const bool *weighted, bool transformer,
                                                  tare_error *err);

#endif
