/* SPDX-License-Identifier: Apache-2.0 */
/** From ranges to scales and zero points, in float32 as NNCF computes them. */
#ifndef TARE_QUANT_PARAMS_H
#define TARE_QUANT_PARAMS_H

#include "quant/setup.h"

/** The range that a method chose for an activation: one pair per channel. Where the point asks for
 * it, `max` is the maximum of absolute values. */
typedef struct tare_activation_range {
    const float *min, *max;
    int64_t channels; /**< 1 for a range of the whole tensor */
} tare_activation_range;

/** The numbers of one quantizer; q = saturate(round_half_even(x / scale) + zero_point). */
typedef struct tare_quantizer_params {
    tare_dtype dtype; /**< int8 or uint8 */
    size_t count;     /**< of scales and zero points: 1, or the point's channels */
    float *scale;
    int32_t *zero_point;
} tare_quantizer_params;

/** What decides the numbers besides the range. */
typedef struct tare_params_spec {
    tare_quantizer_config config;
    bool weight;     /**< codes are int8 whatever the range */
    bool half_range; /**< codes use 7 of 8 bits; symmetric weights only */
} tare_params_spec;

/**
 * Computes `count` scales and zero points into out->scale and out->zero_point, which the caller
 * provides, and sets the rest of `out`. Zero is always exactly representable. Channels narrower
 * than a hundredth of the widest are widened to that in the symmetric scheme.
 *
 * TARE_UNSUPPORTED for bits other than 8 and an asymmetric half range; TARE_INVALID_ARGUMENT for
 * bounds that are not finite or the wrong way round, naming the channel.
 */
TARE_MUST_CHECK tare_status tare_params_compute(tare_quantizer_params *out,
                                                const tare_params_spec *spec, const float *min,
                                                const float *max, size_t count, tare_error *err);

/**
 * Computes the numbers of every point of a setup into `out` (setup->point_count of them), with
 * arrays in `arena`. Ranges of weights are taken from the weights themselves; `ranges` has one
 * entry per point, of which those of activations are read. Points of a group get the numbers of the
 * union of their ranges. Errors as above, naming the tensor.
 */
TARE_MUST_CHECK tare_status tare_setup_params(tare_quantizer_params *out, tare_arena *arena,
                                              const tare_quantizer_setup *setup,
                                              const tare_activation_range *ranges, tare_error *err);

/** Quantizes a float32 weight to int8 with the numbers of its point. The caller releases `out`. */
TARE_MUST_CHECK tare_status tare_weight_quantize(tare_tensor *out, const tare_tensor *weight,
                                                 int axis, const tare_quantizer_params *params,
                                                 tare_error *err);

#endif
