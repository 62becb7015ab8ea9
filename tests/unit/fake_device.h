/* SPDX-License-Identifier: Apache-2.0 */
/**
 * A device for tests of planner and executor: host memory that counts as the device's, a queue that
 * does nothing before somebody waits, and the CPU backend's kernels behind conversions to and from
 * the storage type. What it is given is checked: every pointer must lie inside its memory.
 */
#ifndef TARE_TESTS_FAKE_DEVICE_H
#define TARE_TESTS_FAKE_DEVICE_H

#include "exec/device.h"

#define FAKE_ALLOCATIONS 64

typedef struct fake_allocation {
    char *memory;
    size_t bytes;
    bool pinned;
} fake_allocation;

struct tare_device {
    tare_dtype storage;
    const char *refused;   /**< kernel names that prepare refuses, each between spaces; or NULL */
    bool takes_over;       /**< Conv takes over its constants, so they are not uploaded */
    long fail_at;          /**< the call that fails, counted from 0; negative: none */
    long calls;            /**< calls so far that may fail */
    size_t prepared;       /**< kernels that have not been released */
    size_t queues;         /**< queues that have not been freed */
    size_t copies, runs;   /**< done so far */
    size_t uploaded_bytes; /**< copied to the device so far */
    fake_allocation allocations[FAKE_ALLOCATIONS];
};

/** Makes a device that stores float32 as `storage`. */
void fake_device_init(tare_device *device, tare_dtype storage);

/** Asserts that everything of the device was freed. */
void fake_device_check_empty(const tare_device *device);

/** Has a row for each row of the CPU backend. */
const tare_backend *fake_backend(void);

#endif
