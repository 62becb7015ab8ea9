/* SPDX-License-Identifier: Apache-2.0 */
/** The device functions of the CUDA backend, by file; contracts are in exec/device.h. */
#ifndef TARE_CUDA_FUNCTIONS_H
#define TARE_CUDA_FUNCTIONS_H

#include "cuda/device.h"

/** device.c. */
TARE_MUST_CHECK tare_status tare_cuda_open(tare_device **out, const tare_device_options *options,
                                           tare_error *err);
void tare_cuda_close(tare_device *device);
void tare_cuda_facts(tare_device_facts *out, tare_device *device);
TARE_MUST_CHECK tare_status tare_cuda_memory_new(void **out, tare_device *device, size_t bytes,
                                                 tare_error *err);
TARE_MUST_CHECK tare_status tare_cuda_pinned_new(void **out, tare_device *device, size_t bytes,
                                                 tare_error *err);
void tare_cuda_pinned_free(tare_device *device, void *memory);

/** queue.c. */
TARE_MUST_CHECK tare_status tare_cuda_queue_new(tare_queue **out, tare_device *device,
                                                tare_error *err);
void tare_cuda_queue_free(tare_queue *queue);
TARE_MUST_CHECK tare_status tare_cuda_copy(tare_queue *queue, const tare_copy *copy,
                                           tare_error *err);
TARE_MUST_CHECK tare_status tare_cuda_zero(tare_queue *queue, void *memory, size_t bytes,
                                           tare_error *err);
TARE_MUST_CHECK tare_status tare_cuda_wait(tare_queue *queue, tare_error *err);

TARE_MUST_CHECK tare_status tare_cuda_mark_new(tare_mark **out, tare_device *device,
                                               tare_error *err);
void tare_cuda_mark_free(tare_mark *mark);
TARE_MUST_CHECK tare_status tare_cuda_mark_set(tare_mark *mark, tare_queue *queue, tare_error *err);
TARE_MUST_CHECK tare_status tare_cuda_mark_wait(tare_mark *mark, tare_error *err);
TARE_MUST_CHECK tare_status tare_cuda_mark_follow(tare_queue *queue, tare_mark *mark,
                                                  tare_error *err);
TARE_MUST_CHECK tare_status tare_cuda_mark_seconds(double *out, tare_mark *from, tare_mark *to,
                                                   tare_error *err);

TARE_MUST_CHECK tare_status tare_cuda_record_begin(tare_queue *queue, tare_error *err);
TARE_MUST_CHECK tare_status tare_cuda_record_end(tare_recording **out, tare_queue *queue,
                                                 tare_error *err);
TARE_MUST_CHECK tare_status tare_cuda_replay(tare_queue *queue, tare_recording *recording,
                                             tare_error *err);
void tare_cuda_recording_free(tare_recording *recording);

#endif
