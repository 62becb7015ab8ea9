/* SPDX-License-Identifier: Apache-2.0 */
/**
 * Where the operands of kernels lie in tests: in host memory, which is the emulator's device
 * memory; or, with TARE_TESTS_ON_DEVICE, on a device, in copies that are made for one launch.
 */
#ifndef TARE_TESTS_ON_DEVICE_H
#define TARE_TESTS_ON_DEVICE_H

#include "cuda/device.h"

#ifdef TARE_TESTS_ON_DEVICE

/** A copy of host memory as far from a boundary of 256 bytes as that; the first copy again for
 * memory that is copied already. NULL stays NULL. on_device_out(): is copied back. */
void *on_device_in(const void *host, size_t bytes);
void *on_device_out(void *host, size_t bytes);

/** Waits, copies back and frees all copies. False with the reason when the device has failed. */
bool on_device_done(const char **reason);

/** The opened device of that precision. */
tare_device on_device(tare_precision precision);

#else

static inline void *on_device_in(const void *host, size_t bytes) {
    (void)bytes;
    return (void *)(uintptr_t)host;
}

static inline void *on_device_out(void *host, size_t bytes) {
    (void)bytes;
    return host;
}

static inline bool on_device_done(const char **reason) {
    *reason = "";
    return true;
}

static inline tare_device on_device(tare_precision precision) {
    return (tare_device){.storage = precision == TARE_PRECISION_FP16 ? TARE_DTYPE_FLOAT16
                                                                     : TARE_DTYPE_FLOAT,
                         .precision = precision,
                         .processors = 2,
                         .capability = {9, 0}};
}

#endif

#endif
