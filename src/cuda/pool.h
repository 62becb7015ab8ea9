/* SPDX-License-Identifier: Apache-2.0 */
/**
 * Pools over channels-last operands of one to three spatial dims. Elements of a window that lie
 * outside the input take no part.
 *
 * Maxima hand on NaN; a window without elements gives -inf. Averages are summed in float32, norms
 * in double; of no element both are 0. The order of additions depends on the shape and on whether
 * the operands are aligned to 16 bytes, never on the grid.
 */
#ifndef TARE_CUDA_POOL_H
#define TARE_CUDA_POOL_H

#include "cuda/stats.h"

#ifdef __cplusplus
extern "C" {
#endif

#define TARE_POOL_DIMS    3
/** Positions of a tile of a large window, and of the largest window that one thread reduces. */
#define TARE_POOL_TILE    128
#define TARE_POOL_LARGEST 64
/** Sizes, kernels, strides, dilations and pads go up to this, elements of the result up to that. */
#define TARE_POOL_LIMIT   ((int64_t)1 << 28)
#define TARE_POOL_RESULTS ((int64_t)1 << 31)

typedef enum tare_pool_kind { TARE_POOL_MAX, TARE_POOL_AVERAGE, TARE_POOL_NORM } tare_pool_kind;

/** Spatial dims that a pool does not have are of size 1, with a kernel of 1. */
typedef struct tare_pool_launch {
    void *out;
    const void *in;
    float *parts;     /**< scratch: [samples][tiles][channels]; unused when tiles is 0 */
    tare_dtype dtype; /**< TARE_DTYPE_FLOAT or TARE_DTYPE_FLOAT16 */
    tare_pool_kind kind;
    int64_t samples, channels;
    int32_t size[TARE_POOL_DIMS], output[TARE_POOL_DIMS];
    int32_t kernel[TARE_POOL_DIMS], stride[TARE_POOL_DIMS], dilation[TARE_POOL_DIMS];
    int32_t pad_begin[TARE_POOL_DIMS];
    int32_t counted_end[TARE_POOL_DIMS]; /**< padding behind the input that counts */
    bool count_pads;     /**< averages divide by all positions in the counted padding, too */
    bool squares;        /**< norms: sqrt(sum x^2), else sum |x| */
    uint32_t max_blocks; /**< upper limit of the grid; 0: a multiple of the multiprocessors. Without
                            influence on results */
} tare_pool_launch;

/** Tiles in which the launch is going to reduce its windows: 0 when a thread takes a window. */
int64_t tare_pool_tiles(const tare_pool_launch *launch);

/** Does nothing for outputs without elements. TARE_BACKEND when a launch is refused. */
TARE_MUST_CHECK tare_status tare_cuda_pool(const tare_pool_launch *launch, tare_stream stream,
                                           tare_error *err);

#ifdef __cplusplus
}
#endif

#endif
