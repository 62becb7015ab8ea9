/* SPDX-License-Identifier: Apache-2.0 */
/**
 * The opened device and its queues, as the files of this folder see them, and the few things that
 * kernels' prepare functions need of them. No CUDA header is needed to include this.
 */
#ifndef TARE_CUDA_DEVICE_H
#define TARE_CUDA_DEVICE_H

#include "cuda/stats.h"
#include "exec/device.h"

/** The entry points of the CUDA runtime, cuDNN and cuBLASLt (cuda/api.h). */
typedef struct tare_cuda_api tare_cuda_api;

struct tare_device {
    const tare_cuda_api *api;
    int index;
    tare_precision precision;
    tare_dtype storage; /**< of float32 values: TARE_DTYPE_FLOAT or TARE_DTYPE_FLOAT16 */
    bool tune;
    int processors;    /**< multiprocessors */
    int capability[2]; /**< compute capability, major and minor */
    char name[TARE_DEVICE_TEXT_BYTES];
    struct tare_conv_cache *convolutions; /**< cuda/conv.h */
    struct tare_blas *blas;               /**< cuda/matmul.h */
};

struct tare_queue {
    tare_device *device;
    tare_stream stream;
};

/** Copies `bytes` of host memory into new device memory, and waits. */
TARE_MUST_CHECK tare_status tare_cuda_upload(void **out, tare_device *device, const void *from,
                                             size_t bytes, tare_error *err);

/** NULL allowed. */
void tare_cuda_free(tare_device *device, void *memory);

#endif
