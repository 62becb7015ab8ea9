/* SPDX-License-Identifier: Apache-2.0 */
/** The device under the kernel tests (on_device.h), as the program that runs them sees it. */
#ifndef TARE_TESTS_GPU_DEVICE_H
#define TARE_TESTS_GPU_DEVICE_H

#include "base/error.h"

/** Opens the first device in float32 and float16. */
TARE_MUST_CHECK tare_status gpu_device_open(tare_error *err);

/** Frees what tests left, and closes. */
void gpu_device_close(void);

/** Of everything that was copied back since it was asked for the last time. */
uint64_t gpu_device_checksum(void);

#endif
