/* SPDX-License-Identifier: Apache-2.0 */
/**
 * Softmax and LogSoftmax along the middle axis of a dense [outer][size][inner] operand, in float32
 * whatever is stored: exp(x - largest) over its sum, or x - largest - log(sum). A row with a NaN,
 * an infinity or nothing but -infinity comes out as the formula gives it, NaN in the end.
 *
 * The order of additions depends on the shape and on whether the operand is aligned to 16 bytes.
 */
#ifndef TARE_CUDA_SOFTMAX_H
#define TARE_CUDA_SOFTMAX_H

#include "cuda/stats.h"

#ifdef __cplusplus
extern "C" {
#endif

typedef struct tare_softmax_launch {
    void *out;
    const void *in;
    tare_dtype dtype; /**< of both: TARE_DTYPE_FLOAT or TARE_DTYPE_FLOAT16 */
    int64_t outer, size, inner;
    bool logarithm;
    uint32_t max_blocks; /**< upper limit of the grid; 0: a multiple of the multiprocessors. Without
                            influence on results */
} tare_softmax_launch;

/** Does nothing for operands without elements. TARE_BACKEND when the launch is refused. */
TARE_MUST_CHECK tare_status tare_cuda_softmax(const tare_softmax_launch *launch, tare_stream stream,
                                              tare_error *err);

#ifdef __cplusplus
}
#endif

#endif
