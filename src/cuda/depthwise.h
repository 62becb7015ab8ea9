/* SPDX-License-Identifier: Apache-2.0 */
/**
 * Depthwise convolution, channels innermost: y[n][p][q][c] = bias[c] + the sum over r and s of
 * x[n][p stride - padding + r dilation][q ...][c] weights[r][s][c], then the epilogues. Sums are
 * taken in float32 in ascending order of r and s, bias first.
 */
#ifndef TARE_CUDA_DEPTHWISE_H
#define TARE_CUDA_DEPTHWISE_H

#include "cuda/stats.h"

#ifdef __cplusplus
extern "C" {
#endif

#include "exec/backend.h"

/** Threads of a block; output columns of a thread where the kernel's size is known to it. */
#define TARE_DEPTHWISE_THREADS 256
#define TARE_DEPTHWISE_COLUMNS 4

/** Rows come before columns. A block's threads are a box of powers of two: so many channel vectors,
 * groups of columns, rows and samples. */
typedef struct tare_depthwise {
    const void *x;        /**< [samples][size[0]][size[1]][channels] */
    const void *residual; /**< what TARE_EPILOGUE_ADD adds, like y; NULL: there is none */
    void *y;              /**< [samples][output[0]][output[1]][channels] */
    const float *weights; /**< [kernel[0]][kernel[1]][channels], aligned to 16 */
    const float *bias;    /**< [channels], aligned to 16 */
    tare_dtype dtype;     /**< of x, residual and y: TARE_DTYPE_FLOAT or TARE_DTYPE_FLOAT16 */
    int32_t samples, channels;
    int32_t size[2], output[2], kernel[2], stride[2], dilation[2], padding[2];
    uint32_t epilogue_count;
    tare_epilogue epilogues[TARE_MAX_EPILOGUES];

    bool vectors;          /**< (set by the launch) channels in vectors of 16 bytes */
    uint32_t shift[4];     /**< (set by the launch) logarithms of the box */
    uint32_t box_count[4]; /**< (set by the launch) boxes along each of them */
} tare_depthwise;

/** Positions and counts must stay below 2^31. TARE_UNSUPPORTED when there are too many blocks,
 * TARE_BACKEND when the launch is refused. */
TARE_MUST_CHECK tare_status tare_depthwise_start(const tare_depthwise *work, tare_stream stream,
                                                 tare_error *err);

#ifdef __cplusplus
}
#endif

#endif
