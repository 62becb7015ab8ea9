/* SPDX-License-Identifier: Apache-2.0 */
/**
 * Bias and epilogues of a convolution in place, for those that no engine of cuDNN computes along
 * with the convolution. Channels are innermost; computed in float32 whatever is stored.
 */
#ifndef TARE_CUDA_CONV_EPILOGUE_H
#define TARE_CUDA_CONV_EPILOGUE_H

#include "cuda/stats.h"

#ifdef __cplusplus
extern "C" {
#endif

#define TARE_CONV_STEPS 4

/** A function of exec/backend.h's tare_epilogue. */
typedef struct tare_conv_step {
    int kind; /**< tare_epilogue_kind */
    float a, b;
} tare_conv_step;

typedef struct tare_conv_epilogue {
    void *data;           /**< [count / channels][channels] */
    const void *residual; /**< what the addition among the steps adds; NULL when there is none */
    const float *bias;    /**< [channels], or NULL */
    tare_dtype dtype;     /**< of data and residual: TARE_DTYPE_FLOAT or TARE_DTYPE_FLOAT16 */
    int64_t count, channels;
    int step_count;
    tare_conv_step steps[TARE_CONV_STEPS];
    uint32_t max_blocks; /**< upper limit of the grid; 0: a multiple of the multiprocessors. Without
                            influence on results */
} tare_conv_epilogue;

/** TARE_BACKEND when the launch is refused. */
TARE_MUST_CHECK tare_status tare_cuda_conv_epilogue(const tare_conv_epilogue *epilogue,
                                                    tare_stream stream, tare_error *err);

#ifdef __cplusplus
}
#endif

#endif
