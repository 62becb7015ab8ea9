/* SPDX-License-Identifier: Apache-2.0 */
/** Which tensors of a graph get quantizers, in which configuration: the result of placement. */
#ifndef TARE_QUANT_SETUP_H
#define TARE_QUANT_SETUP_H

#include "ir/graph.h"
#include "quant/target.h"

#define TARE_NO_GROUP SIZE_MAX

/** Which weights use half of the range of codes, so that products of runtimes with 16-bit
 * accumulators do not overflow. */
typedef enum tare_half_range {
    TARE_HALF_RANGE_FIRST = 0, /**< the first convolutions after each input */
    TARE_HALF_RANGE_NONE
} tare_half_range;

/** What placement can be told. Zeroed: the defaults. Nothing is owned. */
typedef struct tare_placement_options {
    tare_preset preset;
    tare_model_type model_type;
    tare_half_range half_range;
    const char *const *ignored_names; /**< nodes that stay float */
    size_t ignored_name_count;
    const char *const *ignored_types; /**< operators that stay float */
    size_t ignored_type_count;
    const char *const *ignored_patterns; /**< extended regular expressions, matched from the start
                                            of names */
    size_t ignored_pattern_count;
} tare_placement_options;

typedef enum tare_point_kind { TARE_POINT_ACTIVATION, TARE_POINT_WEIGHT } tare_point_kind;

/** One quantizer. */
typedef struct tare_quantizer_point {
    tare_point_kind kind;
    tare_value *value;   /**< the tensor; of weights: as its consumers see it */
    tare_use *consumers; /**< who reads the quantized tensor */
    size_t consumer_count;
    tare_quantizer_config config;
    int axis;          /**< of the scales, from the front; -1: one scale for the tensor */
    int64_t channels;  /**< number of scales; 1 for one */
    bool uses_abs_max; /**< the range's maximum is that of absolute values */
    bool half_range;   /**< of weights */
    size_t group;      /**< points with equal groups share one scale; TARE_NO_GROUP: alone */
} tare_quantizer_point;

/** All quantizers of a graph: activations in the order of the nodes that make them (graph inputs
 * first), then weights in the order of the nodes that read them. */
typedef struct tare_quantizer_setup {
    const tare_target *target;
    tare_quantizer_point *points;
    size_t point_count;
    size_t group_count;
} tare_quantizer_setup;

/**
 * Places the quantizers. The graph is the file's (nothing folded); element type and rank of every
 * value, and the dims of per-channel tensors, must be known. Its uses are indexed anew; the setup
 * points into the graph and lives in `arena`. Work is close to linear in the size of the graph.
 *
 * TARE_INVALID_ARGUMENT for an ignored name, type or pattern that matches no node, and for a
 * pattern that is not a regular expression.
 */
TARE_MUST_CHECK tare_status tare_quantizer_setup_build(tare_quantizer_setup *setup,
                                                       tare_arena *arena, tare_graph *graph,
                                                       const tare_target *target,
                                                       const tare_placement_options *options,
                                                       tare_error *err);

#endif
