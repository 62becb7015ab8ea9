/* SPDX-License-Identifier: Apache-2.0 */
/** Staged input of a batch on its way into the form in which the plan takes it. */
#ifndef TARE_CUDA_INGEST_H
#define TARE_CUDA_INGEST_H

#include "cuda/divisor.h"
#include "cuda/stats.h"

#ifdef __cplusplus
extern "C" {
#endif

/** Elements of one launch. */
#define TARE_PIXELS_MAX ((uint32_t)1 << 30)

/** Pixels [samples][rows][columns][channels] through a table of 256 values per channel. */
typedef struct tare_pixels_launch {
    void *dst; /**< float32, or float16 */
    const uint8_t *src;
    const float *table;
    uint32_t count; /**< elements, at most TARE_PIXELS_MAX */
    tare_divisor rows, columns, channels;
    bool half;
    bool same_order; /**< the destination lies in the order of the pixels */
    int64_t sample_step, row_step, column_step, channel_step; /**< elements of the destination */
} tare_pixels_launch;

TARE_MUST_CHECK tare_status tare_pixels_start(const tare_pixels_launch *launch, tare_stream stream,
                                              tare_error *err);

#ifdef __cplusplus
}
#else
#include "exec/device.h"

/** `ingest` of tare_device_functions. TARE_UNSUPPORTED for types that cannot become the desc's. */
TARE_MUST_CHECK tare_status tare_cuda_ingest(tare_queue *queue, const tare_ingest *ingest,
                                             tare_error *err);
#endif

#endif
