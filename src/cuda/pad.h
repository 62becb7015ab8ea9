/* SPDX-License-Identifier: Apache-2.0 */
/** Pad on the device, for the table of operators that move elements. */
#ifndef TARE_CUDA_PAD_H
#define TARE_CUDA_PAD_H

#include "cuda/move_plan.h"

/** What a Pad keeps. */
typedef struct tare_cuda_pad {
    tare_cuda_mapped mapped;
    tare_device *device;
    void *tables; /**< device memory: the offsets of all padded axes */
} tare_cuda_pad;

TARE_MUST_CHECK tare_status tare_cuda_pad_prepare(tare_prepare *prepare, tare_error *err);
TARE_MUST_CHECK tare_status tare_cuda_pad_run(const tare_run *run, tare_error *err);
void tare_cuda_pad_release(void *private_data);

#endif
