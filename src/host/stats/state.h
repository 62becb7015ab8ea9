/* SPDX-License-Identifier: Apache-2.0 */
/**
 * The calibration state: what one pass over the data leaves behind for each watched tensor.
 *
 * Everything in it is exact and independent of how the samples were split over threads, machines
 * and restarts, and of the backend that reduced them (exec/reduce.h): the numbers of a sample are
 * keyed by the sample's id, every other field merges exactly (stats/field.h). Its size is known
 * before the run: 4 bytes per sample, tensor and number that is kept of a sample (stats/sample.h),
 * 8 bytes per channel and thread, 40 more per channel and per window sum where they are asked for,
 * and for code histograms 1.2 megabytes of counters per tensor, of which those up to the largest
 * value take up memory.
 */
#ifndef TARE_STATS_STATE_H
#define TARE_STATS_STATE_H

#include "exec/device.h"
#include "stats/code_histogram.h"
#include "stats/exact_sum.h"
#include "stats/sample.h"

/** A tensor that statistics are taken of. */
typedef struct tare_stat_point {
    size_t value; /**< id of the value in the executed graph; SIZE_MAX in a state from a file */
    const char *tensor; /**< its name */
    int64_t channels;   /**< length of `axis` for per-channel statistics, 0 for per-tensor */
    int axis;           /**< of the channels */
    const tare_collect_window *windows; /**< of the convolutions that read it, each once; only where
                                           the channels are on axis 1 */
    size_t window_count;
} tare_stat_point;

/** What a state is to hold. Borrowed. */
typedef struct tare_state_spec {
    const tare_stat_point *points;
    size_t point_count;
    unsigned collect; /**< bits of TARE_COLLECT_... (stats/sample.h) */
    double quantile;  /**< p: the quantiles of p and 1 - p are kept of each sample; 0 to 0.5 */
} tare_state_spec;

/** A sample in a state. */
typedef struct tare_state_sample {
    uint64_t id;
    const char *name; /**< the state's */
} tare_state_sample;

typedef struct tare_state tare_state;

/** One thread's part of the state while samples run. */
typedef struct tare_state_lane tare_state_lane;

/** Makes an empty state with room for `capacity` samples. Points and names are copied. */
TARE_MUST_CHECK tare_status tare_state_new(tare_state **out, const tare_state_spec *spec,
                                           uint64_t capacity, tare_error *err);

/** NULL allowed. */
void tare_state_free(tare_state *state);

/** Bytes of a state for `samples` samples, names not counted; and of each lane. For the memory
 * plan. */
uint64_t tare_state_bytes(const tare_state_spec *spec, uint64_t samples);
uint64_t tare_state_lane_bytes(const tare_state_spec *spec);

/** Makes room for `samples` more samples. Not while samples are recorded. */
TARE_MUST_CHECK tare_status tare_state_reserve(tare_state *state, uint64_t samples,
                                               tare_error *err);

TARE_MUST_CHECK tare_status tare_state_lane_new(tare_state_lane **out, tare_state *state,
                                                tare_error *err);

/** NULL allowed. */
void tare_state_lane_free(tare_state_lane *lane);

/** One contents of one watched tensor. */
typedef struct tare_state_entry {
    size_t point;
    uint64_t slot; /**< of the sample: 0 to capacity - 1, one sample each */
    const tare_desc *desc;
    const void *data; /**< float32 in host memory */
} tare_state_entry;

/**
 * Reduces one tensor of one sample. TARE_INVALID_ARGUMENT when it holds NaN or infinities, with the
 * tensor's name and the counts (the caller prepends the sample); the state is then only good for
 * being freed. When a sample is recorded again in a slot (a measurement repeats it), ranges become
 * those of both and other numbers those of the last time. Lanes may record at the same time,
 * samples in different slots.
 */
TARE_MUST_CHECK tare_status tare_state_record(tare_state_lane *lane, const tare_backend *backend,
                                              const tare_state_entry *entry, tare_error *err);

/** What a device has already reduced one tensor of one sample to. */
typedef struct tare_state_result {
    size_t point;
    uint64_t slot;
    const tare_collect_result *result; /**< channels and windows as the point has them; what the
                                          state does not collect is not looked at */
    size_t sample;                     /**< of the result */
    size_t images; /**< of a sample: dims[0] of the reduced value / its samples */
} tare_state_result;

/** As tare_state_record(), which leaves the same, but for the code histogram. */
TARE_MUST_CHECK tare_status tare_state_record_result(tare_state_lane *lane,
                                                     const tare_state_result *result,
                                                     tare_error *err);

/** Adds a device's TARE_COLLECT_CODE_COUNT counts of codes relative to `top` to the histogram of a
 * point, if it has one. Several threads may call this at the same time. */
void tare_state_record_codes(tare_state *state, size_t point, const uint64_t *counts, uint32_t top);

/** Marks the sample in a slot as recorded in full and gives it its key. The name is copied. Several
 * threads may call this at the same time. */
TARE_MUST_CHECK tare_status tare_state_complete(tare_state *state, uint64_t slot,
                                                const tare_state_sample *sample, tare_error *err);

/** Moves what a lane has gathered into the state. Not while it records; any order gives the same
 * state. */
void tare_state_merge(tare_state *state, tare_state_lane *lane);

/** Puts the completed samples in the order of their ids: call it before reading samples, and again
 * when more were recorded. Slots stay where they are. */
void tare_state_settle(tare_state *state);

/**
 * Adds everything of the settled state `from`, and settles. Both must have the same points and
 * fields: TARE_INVALID_ARGUMENT with the first difference. A sample that both hold is an error that
 * names it, or, with allow_duplicates, counts twice.
 */
TARE_MUST_CHECK tare_status tare_state_absorb(tare_state *into, const tare_state *from,
                                              bool allow_duplicates, tare_error *err);

/** Whether points and fields are those of `spec`; TARE_INVALID_ARGUMENT with the first difference:
 * "it has ..., expected ...". */
TARE_MUST_CHECK tare_status tare_state_check_spec(const tare_state *state,
                                                  const tare_state_spec *spec, tare_error *err);

/** The points and fields. Borrowed. */
tare_state_spec tare_state_spec_of(const tare_state *state);

size_t tare_state_point_count(const tare_state *state);
const tare_stat_point *tare_state_point(const tare_state *state, size_t point);

/** The point of that tensor, or SIZE_MAX. */
size_t tare_state_find(const tare_state *state, const char *tensor);

/** Number of settled samples, and sample `index` in the order of ids. */
uint64_t tare_state_sample_count(const tare_state *state);
tare_state_sample tare_state_sample_at(const tare_state *state, uint64_t index);

/** The index of the (first) settled sample with that id, or UINT64_MAX. */
uint64_t tare_state_find_sample(const tare_state *state, uint64_t id);

/** What is kept of sample `index` in the order of ids; false when it has no values for the tensor.
 */
bool tare_state_sample_numbers(tare_sample_numbers *out, const tare_state *state, size_t point,
                               uint64_t index);

/** Per-channel minima and maxima over all samples of a per-channel point, `channels` each; NULL for
 * a per-tensor point. */
const float *tare_state_channel_min(const tare_state *state, size_t point);
const float *tare_state_channel_max(const tare_state *state, size_t point);

/** Sums of channels, `channels` of them, and window sums, [kernel 0][kernel 1][channels]; NULL when
 * they were not collected or the point has none. */
const tare_exact_sum *tare_state_channel_sums(const tare_state *state, size_t point);
const tare_exact_sum *tare_state_window_sums(const tare_state *state, size_t point, size_t window);

/** What was counted of a tensor over all samples. */
typedef struct tare_state_counts {
    uint64_t elements, zeros, nan, positive_infinity, negative_infinity;
} tare_state_counts;

tare_state_counts tare_state_counts_of(const tare_state *state, size_t point);

/** The code histogram of a point over all samples, or NULL when none was collected. */
const tare_code_histogram *tare_state_codes(const tare_state *state, size_t point);

#endif
