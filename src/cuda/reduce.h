/* SPDX-License-Identifier: Apache-2.0 */
/**
 * Reductions over any axes of a tensor.
 *
 * Outputs are numbered in the order of the input's memory, and so are the elements behind each
 * output. The elements of an output are cut into slices, a slice's elements are dealt to lanes
 * (lane = place in the slice mod lanes), each lane takes its elements in ascending order, the lanes
 * are joined pairwise over half their number, and the slices in ascending order. All of it follows
 * from shape, layout and axes, so that results depend neither on the device nor on the grid.
 *
 * Reals are added and multiplied in double, whole numbers in int64 that wraps.
 */
#ifndef TARE_CUDA_REDUCE_H
#define TARE_CUDA_REDUCE_H

#include "cuda/divisor.h"
#include "cuda/stats.h"

#ifdef __cplusplus
extern "C" {
#endif

/** Threads of a block: lanes times outputs side by side. */
#define TARE_REDUCE_THREADS     256
/** Bytes of a partial result, whatever the function. */
#define TARE_REDUCE_STATE_BYTES 16

typedef enum tare_reduce_kind {
    TARE_REDUCE_SUM,
    TARE_REDUCE_ABSOLUTE,
    TARE_REDUCE_SQUARES,
    TARE_REDUCE_EXPONENTIALS, /**< of x minus the output's shift */
    TARE_REDUCE_PRODUCT,
    TARE_REDUCE_MAX, /**< NaN if there is one */
    TARE_REDUCE_MIN,
    TARE_REDUCE_ARG_MAX, /**< the place of the extreme along the axis; NaN wins */
    TARE_REDUCE_ARG_MIN
} tare_reduce_kind;

/** What becomes of the sum. */
typedef enum tare_reduce_finish {
    TARE_REDUCE_FINISH_SAME,
    TARE_REDUCE_FINISH_MEAN, /**< divided by the number of elements; whole numbers cut towards
                                zero, and not divided by 0 */
    TARE_REDUCE_FINISH_ROOT,
    TARE_REDUCE_FINISH_LOG, /**< plus the shift, if there are shifts */
} tare_reduce_finish;

/** Some axes of the input, in the order of its memory, outermost first. */
typedef struct tare_reduce_axes {
    uint32_t count; /**< product of the dims, at most TARE_DIVISOR_MAX */
    int32_t rank;
    tare_divisor dims[TARE_MAX_RANK];
    int64_t in[TARE_MAX_RANK];  /**< strides */
    int64_t out[TARE_MAX_RANK]; /**< strides; of kept axes */
} tare_reduce_axes;

typedef struct tare_reduction {
    const void *in;
    void *out;
    const float *shifts; /**< [kept.count], NULL: none; those that are not finite count as 0 */
    void *partials;      /**< [slices][kept.count] of TARE_REDUCE_STATE_BYTES; not used if there is
                            one slice */
    tare_dtype in_dtype; /**< FLOAT, FLOAT16; INT64, INT32, INT8, UINT8 but for ARG_* */
    tare_dtype out_dtype;
    tare_reduce_kind kind;
    tare_reduce_finish finish;
    bool last;  /**< ARG_*: the last of equal elements */
    bool dense; /**< output number i is written to place i */
    bool rows;  /**< the innermost axis is reduced: neighbouring threads are lanes of one output */
    uint32_t lanes_log2; /**< TARE_REDUCE_THREADS / lanes outputs side by side */
    uint32_t slices, slice_elements;
    tare_reduce_axes kept, reduced;
} tare_reduction;

/** Reduces. kept.count is not 0. TARE_BACKEND when a launch is refused. */
TARE_MUST_CHECK tare_status tare_reduce(const tare_reduction *reduction, tare_stream stream,
                                        tare_error *err);

#ifdef __cplusplus
}
#endif

#endif
