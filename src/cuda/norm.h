/* SPDX-License-Identifier: Apache-2.0 */
/**
 * Normalisations: what is computed, in which order, and the launchers.
 *
 * All compute in float32 whatever is stored. The order of additions depends on the shape and on
 * whether operands are aligned to 16 bytes, never on the grid. Means are taken of differences to an
 * element of the same group, so that a group of equal elements comes out as exactly its shift.
 *
 * The functions own nothing and do not synchronise; they do nothing for operands without elements.
 * All return TARE_BACKEND when a launch is refused.
 */
#ifndef TARE_CUDA_NORM_H
#define TARE_CUDA_NORM_H

#include "cuda/stats.h"

#ifdef __cplusplus
extern "C" {
#endif

/** Rows of a tile of tare_norm_statistics(). */
#define TARE_NORM_TILE_ROWS 128

/** A vector of parameters on the device: float16, else float32. */
typedef struct tare_norm_vector {
    const void *data; /**< NULL: there is none */
    bool half;
} tare_norm_vector;

/** LayerNormalization: rows of `size` elements, each by its own mean and variance. */
typedef struct tare_norm_layer {
    void *out;
    const void *in;
    void *mean, *inverse; /**< per row, of `dtype`; NULL: not wanted */
    tare_dtype dtype;     /**< TARE_DTYPE_FLOAT or TARE_DTYPE_FLOAT16 */
    int64_t rows, size;
    tare_norm_vector scale, bias; /**< of `size` elements */
    float epsilon;
    uint32_t max_blocks; /**< upper limit of the grid; 0: a multiple of the multiprocessors. Without
                            influence on results */
} tare_norm_layer;

TARE_MUST_CHECK tare_status tare_cuda_norm_layer(const tare_norm_layer *launch, tare_stream stream,
                                                 tare_error *err);

/**
 * An operand as [outer][rows][columns][length] in memory. With length 1 columns are innermost
 * (channels-last); else a column's elements come in runs of `length`.
 */
typedef struct tare_norm_shape {
    tare_dtype dtype; /**< TARE_DTYPE_FLOAT or TARE_DTYPE_FLOAT16 */
    int64_t outer, rows, columns, length;
} tare_norm_shape;

/** y = (x - center[c]) scale[c] + shift[c] of column c; each outer index has parameters of its own
 * or all have the same. */
typedef struct tare_norm_apply {
    tare_norm_shape shape;
    void *out;
    const void *in;
    const float *center; /**< NULL: zeros */
    const float *scale, *shift;
    bool shared; /**< [columns] parameters, else [outer][columns] */
    uint32_t max_blocks;
} tare_norm_apply;

TARE_MUST_CHECK tare_status tare_cuda_norm_apply(const tare_norm_apply *launch, tare_stream stream,
                                                 tare_error *err);

/** Mean and sum of squares around it of a tile of a column. */
typedef struct tare_norm_part {
    float mean, squares;
} tare_norm_part;

/** The parameters of tare_cuda_norm_apply() out of an operand's statistics. `group` neighbouring
 * columns of an outer index have a common mean and variance. */
typedef struct tare_norm_statistics {
    tare_norm_shape shape;
    const void *in;
    int64_t group;                /**< divides columns */
    tare_norm_vector scale, bias; /**< NULL: ones and zeros */
    bool per_group; /**< scale and bias have an element per group of columns, else per column */
    bool outside;   /**< x / (deviation + epsilon), else x / sqrt(variance + epsilon) */
    float epsilon;
    tare_norm_part *parts;          /**< scratch: [outer][tiles][columns] */
    float *center, *factor, *shift; /**< results: [outer][columns] */
    uint32_t max_blocks;
} tare_norm_statistics;

/** Tiles of a column: of TARE_NORM_TILE_ROWS rows where columns are innermost, else its runs. */
int64_t tare_norm_tiles(const tare_norm_shape *shape);

TARE_MUST_CHECK tare_status tare_cuda_norm_statistics(const tare_norm_statistics *launch,
                                                      tare_stream stream, tare_error *err);

/** scale = gamma / sqrt(variance + epsilon), shift = beta - mean scale, per channel. */
typedef struct tare_norm_fold {
    float *scale, *shift;
    tare_norm_vector gamma, beta, mean, variance;
    int64_t channels;
    float epsilon;
} tare_norm_fold;

TARE_MUST_CHECK tare_status tare_cuda_norm_fold(const tare_norm_fold *launch, tare_stream stream,
                                                tare_error *err);

/** An operand as [outer][size][inner], to normalise along its middle axis. */
typedef struct tare_norm_axis {
    void *out;
    const void *in;
    tare_dtype dtype; /**< TARE_DTYPE_FLOAT or TARE_DTYPE_FLOAT16 */
    int64_t outer, size, inner;
    uint32_t max_blocks;
} tare_norm_axis;

/** x / sum |x| or, with `squares`, x / sqrt(sum x^2); zeros where that is zero. */
TARE_MUST_CHECK tare_status tare_cuda_norm_lp(const tare_norm_axis *launch, bool squares,
                                              tare_stream stream, tare_error *err);

/** x (bias + alpha / size * sum x^2)^-beta; the sum runs over the element, (size - 1) / 2 elements
 * before it and size / 2 behind it. */
typedef struct tare_norm_response {
    float alpha, beta, bias;
    int64_t size;
} tare_norm_response;

TARE_MUST_CHECK tare_status tare_cuda_norm_lrn(const tare_norm_axis *launch,
                                               const tare_norm_response *response,
                                               tare_stream stream, tare_error *err);

#ifdef __cplusplus
}
#endif

#endif
