/* SPDX-License-Identifier: Apache-2.0 */
/**
 * What a backend with a memory of its own offers besides kernels: memory, queues of work, copies,
 * recordings, and the reduction of statistics where the data are.
 *
 * Nothing waits unless it says so. Work given to one queue is done in order; work of two queues is
 * ordered by marks. An error of work that was only queued may be reported by a later call.
 */
#ifndef TARE_EXEC_DEVICE_H
#define TARE_EXEC_DEVICE_H

#include "exec/backend.h"
#include "exec/code.h"
#include "exec/quantile.h"

/** A marked point in a queue: what was given to it before is done when the mark is reached. */
typedef struct tare_mark tare_mark;

/** Work that was recorded once and can be repeated at the cost of one call. */
typedef struct tare_recording tare_recording;

/** Statistics of watched values that are reduced on the device. */
typedef struct tare_collector tare_collector;

/** How float32 values are stored and multiplied on a device. */
typedef enum tare_precision {
    TARE_PRECISION_FP32, /**< float32 throughout */
    TARE_PRECISION_TF32, /**< stored as float32; products may round their operands to TF32 */
    TARE_PRECISION_FP16  /**< stored as float16, accumulated in float32 */
} tare_precision;

typedef struct tare_device_options {
    int index; /**< which of the backend's devices */
    tare_precision precision;
    bool tune;                /**< measure the candidates of a convolution instead of asking
                                 heuristics */
    const char *cache_folder; /**< where prepared plans are kept between runs; NULL: nowhere */
} tare_device_options;

#define TARE_DEVICE_TEXT_BYTES 256

/** Facts of an opened device. */
typedef struct tare_device_facts {
    char name[TARE_DEVICE_TEXT_BYTES];
    uint64_t memory_bytes, free_bytes;
    tare_precision precision;
    tare_dtype storage; /**< the type in which float32 values are stored */
} tare_device_facts;

#define TARE_DEVICE_MAX_PARTS 16

/** A part that a backend needs: driver, device, library. */
typedef struct tare_device_part {
    char name[32]; /**< "driver", "device 0", "cuDNN", ... */
    bool usable;
    char version[64];                    /**< "" when unknown */
    char detail[TARE_DEVICE_TEXT_BYTES]; /**< a path or the device's name; what is wrong when it is
                                            not usable: found and expected */
} tare_device_part;

/** What `tare devices` says of a backend. */
typedef struct tare_device_survey {
    bool usable;
    int device_count;
    size_t part_count;
    tare_device_part parts[TARE_DEVICE_MAX_PARTS];
} tare_device_survey;

typedef enum tare_copy_kind {
    TARE_COPY_TO_DEVICE,
    TARE_COPY_TO_HOST,
    TARE_COPY_ON_DEVICE
} tare_copy_kind;

/** One copy. Host memory from pinned_new() is copied while the host goes on; other host memory may
 * make the call wait. */
typedef struct tare_copy {
    tare_copy_kind kind;
    void *to;
    const void *from;
    size_t bytes;
} tare_copy;

/** Bringing staged input of a batch into the form in which the plan takes it. */
typedef struct tare_ingest {
    void *to; /**< device memory of `desc` */
    const tare_desc *desc;
    const void *from; /**< device memory: elements of host type in plain layout; with `table` uint8
                         pixels [N][H][W][C] of a desc of rank 4, whose channels are axis 1 or 3 */
    tare_dtype from_dtype;
    const float *table; /**< device memory: value of pixel p of channel c at [c * 256 + p]; NULL:
                           no pixels */
    int channel_axis;   /**< of desc, with `table`: 1 or 3 */
} tare_ingest;

/** A value to collect statistics of, as the plan computes it for a whole batch. */
typedef struct tare_collect_point {
    tare_desc desc;
    int64_t samples;                    /**< equal contiguous parts along axis 0; divides dims[0] */
    int axis;                           /**< of the channels; not 0 */
    bool channels;                      /**< per-channel values are wanted: dims[axis] */
    bool codes;                         /**< a code histogram is wanted */
    bool quantiles;                     /**< quantiles of each sample are wanted */
    double quantile;                    /**< p: those of p and 1 - p; 0 to 0.5 */
    const tare_collect_window *windows; /**< of a value of rank 3 or 4 */
    size_t window_count;
} tare_collect_point;

/** What one batch left of a point, in host memory, by sample. Of a batch that was padded only the
 * first samples mean anything. */
typedef struct tare_collect_result {
    const tare_reduce_record *records;    /**< [samples] */
    const tare_reduce_channel *channels;  /**< [samples][dims[axis]], or NULL */
    const tare_quantile_pairs *quantiles; /**< [samples], or NULL; they mean nothing for a sample
                                             that is empty or holds NaN or infinities */
    /* What a backend in host memory finds besides: [samples], or NULL. */
    const tare_quantile_pairs *magnitudes;
    const float *means;
    const float *const *windows; /**< per window [dims[0]][kernel 0][kernel 1][dims[1]], or NULL */
} tare_collect_result;

/** Work of a collector on one batch. `slot` says which of the batches in flight. */
typedef struct tare_collect {
    size_t slot, point;
    const void *data; /**< device memory */
    int64_t samples;  /**< the first so many count; the rest is padding */
} tare_collect;

/** Counts of a collector's code histogram: those of positive values by bin (exec/code.h), then
 * those of negative ones. */
#define TARE_COLLECT_CODE_COUNT ((size_t)2 * TARE_CODE_BINS)

/** All functions are set. Those that fail return a status and write *err; the others cannot. */
typedef struct tare_device_functions {
    /** What is there and what is missing; never fails. Not whole: parts behind the first missing
     * one may be left out, which saves the time to look for them. */
    void (*survey)(tare_device_survey *out, bool whole);

    /** TARE_NOT_FOUND when the device cannot be used, saying which part is missing. */
    tare_status (*open)(tare_device **out, const tare_device_options *options, tare_error *err);
    void (*close)(tare_device *device); /**< NULL allowed; everything of it must be freed before */
    void (*facts)(tare_device_facts *out, tare_device *device);

    tare_status (*memory_new)(void **out, tare_device *device, size_t bytes, tare_error *err);
    void (*memory_free)(tare_device *device, void *memory);
    /** Host memory that the device copies from and to by itself. */
    tare_status (*pinned_new)(void **out, tare_device *device, size_t bytes, tare_error *err);
    void (*pinned_free)(tare_device *device, void *memory);

    tare_status (*queue_new)(tare_queue **out, tare_device *device, tare_error *err);
    void (*queue_free)(tare_queue *queue); /**< waits; NULL allowed */
    tare_status (*copy)(tare_queue *queue, const tare_copy *copy, tare_error *err);
    tare_status (*zero)(tare_queue *queue, void *memory, size_t bytes, tare_error *err);
    /** Waits until all work of the queue is done, and reports what failed. */
    tare_status (*wait)(tare_queue *queue, tare_error *err);

    tare_status (*mark_new)(tare_mark **out, tare_device *device, tare_error *err);
    void (*mark_free)(tare_mark *mark);
    tare_status (*mark_set)(tare_mark *mark, tare_queue *queue, tare_error *err);
    /** The host waits for the mark. A mark that was never set counts as reached. */
    tare_status (*mark_wait)(tare_mark *mark, tare_error *err);
    /** Work given to the queue from now on waits for the mark. */
    tare_status (*mark_follow)(tare_queue *queue, tare_mark *mark, tare_error *err);
    /** Seconds between two marks that have been reached. */
    tare_status (*mark_seconds)(double *out, tare_mark *from, tare_mark *to, tare_error *err);

    /** From here to record_end() work given to the queue is recorded and not done. */
    tare_status (*record_begin)(tare_queue *queue, tare_error *err);
    /** Ends the recording; out NULL: drops it. */
    tare_status (*record_end)(tare_recording **out, tare_queue *queue, tare_error *err);
    tare_status (*replay)(tare_queue *queue, tare_recording *recording, tare_error *err);
    void (*recording_free)(tare_recording *recording);

    tare_status (*ingest)(tare_queue *queue, const tare_ingest *ingest, tare_error *err);

    /** Device and pinned bytes that collector_new() takes. */
    tare_status (*collector_measure)(uint64_t *device_bytes, uint64_t *pinned_bytes,
                                     const tare_collect_point *points, size_t count, size_t slots,
                                     tare_error *err);
    /** Points are copied. `slots` batches may be in flight. */
    tare_status (*collector_new)(tare_collector **out, tare_device *device,
                                 const tare_collect_point *points, size_t count, size_t slots,
                                 tare_error *err);
    void (*collector_free)(tare_collector *collector); /**< NULL allowed */
    /** Reduces one point of one batch. May be recorded. */
    tare_status (*collect)(tare_collector *collector, tare_queue *queue, const tare_collect *what,
                           tare_error *err);
    /** Brings the results of a slot to the host. May be recorded. */
    tare_status (*collect_end)(tare_collector *collector, tare_queue *queue, size_t slot,
                               tare_error *err);
    /** Results of a slot, once a mark behind its collect_end() was reached; valid until the next
     * collect() into that slot. */
    void (*collect_result)(tare_collect_result *out, tare_collector *collector, size_t slot,
                           size_t point);
    /** Waits for the queue, writes the TARE_COLLECT_CODE_COUNT counts of a point since the last
     * call, and sets them to 0. Zeros, NaN and infinities are not among them. *top: what the bins
     * are relative to, the exponent of the largest magnitude among these values or a higher one. */
    tare_status (*collect_codes)(uint64_t *counts, uint32_t *top, tare_collector *collector,
                                 tare_queue *queue, size_t point, tare_error *err);
} tare_device_functions;

#endif
