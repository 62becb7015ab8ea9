/* SPDX-License-Identifier: Apache-2.0 */
/**
 * Statistics of watched values, reduced on the device as they come up: the collector_... and
 * collect... functions of exec/device.h. Results are those of the CPU backend, bit for bit.
 *
 * Tables and results lie in one block of device memory, what goes to the host in one block of
 * pinned memory. collect() launches the first step of a value's statistics, collect_end() the
 * others for all values at once, so that a value costs one launch, two more for a code histogram,
 * four to six for quantiles, and one for each window.
 */
#ifndef TARE_CUDA_COLLECTOR_H
#define TARE_CUDA_COLLECTOR_H

#include "cuda/device.h"

TARE_MUST_CHECK tare_status tare_cuda_collector_measure(uint64_t *device_bytes,
                                                        uint64_t *pinned_bytes,
                                                        const tare_collect_point *points,
                                                        size_t count, size_t slots,
                                                        tare_error *err);
TARE_MUST_CHECK tare_status tare_cuda_collector_new(tare_collector **out, tare_device *device,
                                                    const tare_collect_point *points, size_t count,
                                                    size_t slots, tare_error *err);
void tare_cuda_collector_free(tare_collector *collector);
TARE_MUST_CHECK tare_status tare_cuda_collect(tare_collector *collector, tare_queue *queue,
                                              const tare_collect *what, tare_error *err);
TARE_MUST_CHECK tare_status tare_cuda_collect_end(tare_collector *collector, tare_queue *queue,
                                                  size_t slot, tare_error *err);
void tare_cuda_collect_result(tare_collect_result *out, tare_collector *collector, size_t slot,
                              size_t point);
TARE_MUST_CHECK tare_status tare_cuda_collect_codes(uint64_t *counts, uint32_t *top,
                                                    tare_collector *collector, tare_queue *queue,
                                                    size_t point, tare_error *err);

#endif
