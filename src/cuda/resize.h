/* SPDX-License-Identifier: Apache-2.0 */
/**
 * Resize of a dense operand [outer][size 0][size 1][size 2][inner] along its three middle axes. An
 * output element is the sum of the input elements at its taps, each times the weights of its taps,
 * in float32 and in ascending order of axes and taps; nearest neighbour has one tap of weight 1.
 */
#ifndef TARE_CUDA_RESIZE_H
#define TARE_CUDA_RESIZE_H

#include "cuda/stats.h"

#ifdef __cplusplus
extern "C" {
#endif

#define TARE_RESIZE_AXES        3
/** The most taps that an output element may have on all axes together. */
#define TARE_RESIZE_MAX_TAPS    4096
/** The largest number of elements of an output. */
#define TARE_RESIZE_MAX_RESULTS ((int64_t)1 << 31)

/** One axis. The arrays are device memory. */
typedef struct tare_resize_axis {
    int32_t in, out, taps;  /**< sizes, and taps per output index */
    const int32_t *index;   /**< [out][taps], inside the input */
    const float *weight;    /**< [out][taps] */
    const uint8_t *outside; /**< [out]: gets the extrapolation value; NULL: none does */
} tare_resize_axis;

typedef struct tare_resize_launch {
    void *out;
    const void *in;
    tare_dtype dtype; /**< TARE_DTYPE_FLOAT or TARE_DTYPE_FLOAT16 */
    int64_t outer, inner;
    tare_resize_axis axes[TARE_RESIZE_AXES];
    float extrapolation;
    uint32_t max_blocks; /**< upper limit of the grid; 0: a multiple of the multiprocessors. Without
                            influence on results */
} tare_resize_launch;

/** Does nothing for outputs without elements. TARE_BACKEND when the launch is refused. */
TARE_MUST_CHECK tare_status tare_cuda_resize(const tare_resize_launch *launch, tare_stream stream,
                                             tare_error *err);

#ifdef __cplusplus
}
#endif

#endif
