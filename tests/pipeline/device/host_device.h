/* SPDX-License-Identifier: Apache-2.0 */
/**
 * A device for tests of the whole program, as a plug-in: its memory is host memory, its kernels are
 * the CPU backend's, and each of its queues is a thread, so that what is not ordered by queues and
 * marks happens in any order. TARE_CUDA_PLUGIN names the library, and the program then takes it for
 * a CUDA device.
 *
 * Environment: TARE_TEST_DEVICE_FREE is the number of bytes of its memory, TARE_TEST_DEVICE_REFUSES
 * a list of kernels that it does not have, " Conv Relu ", TARE_TEST_DEVICE_FAILS the number of the
 * call that fails, counted from 1, and TARE_TEST_DEVICE_LOG a file to which it appends one line
 * when it is closed: calls that could fail, ingests, replays, bytes that were not freed.
 */
#ifndef TARE_TESTS_HOST_DEVICE_H
#define TARE_TESTS_HOST_DEVICE_H

#include <pthread.h>

#include "exec/device.h"

struct tare_device {
    tare_device_options options;
    tare_dtype storage;
    const char *refuses;
    pthread_mutex_t lock; /* of the counters */
    uint64_t free_bytes, used_bytes, most_bytes;
    long calls, fails_at, ingests, replays;
};

/** Something to be done by a queue. */
typedef struct host_work {
    /** Does it; `self` is the work. */
    tare_status (*run)(struct host_work *self, tare_error *err);
    void (*release)(struct host_work *self); /**< of what `payload` owns; NULL: nothing */
    struct host_work *next;
    uint64_t serial; /**< of a mark */
    union {
        tare_copy copy;
        tare_ingest ingest;
        struct {
            const void *row;
            const void **inputs;
            void **outputs;
            void *scratch;
        } kernel;
        struct {
            tare_mark *mark;
        } mark;
        struct {
            tare_collector *collector;
            tare_collect what;
        } collect;
    } payload;
} host_work;

/** Counts a call that may fail, and fails when it is that one's turn. */
tare_status host_device_call(tare_device *device, const char *what, tare_error *err);

/** Gives the queue a copy of the work. */
tare_status host_queue_push(tare_queue *queue, const host_work *work, tare_error *err);

/** The device of a queue. */
tare_device *host_queue_device(const tare_queue *queue);

/** `count` elements from one type to another: equal ones, or float16 and float32. */
void host_convert(void *to, tare_dtype to_dtype, const void *from, tare_dtype from_dtype,
                  int64_t count);

/** A row for each row of the CPU backend. Call before anything else, any number of times. */
void host_rows_init(void);
extern const tare_kernel_table host_rows;

tare_status host_ingest(tare_queue *queue, const tare_ingest *ingest, tare_error *err);
tare_status host_collector_measure(uint64_t *device_bytes, uint64_t *pinned_bytes,
                                   const tare_collect_point *points, size_t count, size_t slots,
                                   tare_error *err);
tare_status host_collector_new(tare_collector **out, tare_device *device,
                               const tare_collect_point *points, size_t count, size_t slots,
                               tare_error *err);
void host_collector_free(tare_collector *collector);
tare_status host_collect(tare_collector *collector, tare_queue *queue, const tare_collect *what,
                         tare_error *err);
tare_status host_collect_end(tare_collector *collector, tare_queue *queue, size_t slot,
                             tare_error *err);
void host_collect_result(tare_collect_result *out, tare_collector *collector, size_t slot,
                         size_t point);
tare_status host_collect_codes(uint64_t *counts, uint32_t *top, tare_collector *collector,
                               tare_queue *queue, size_t point, tare_error *err);
tare_status host_queue_wait(tare_queue *queue, tare_error *err);

#endif
