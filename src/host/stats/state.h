/* SPDX-License-Identifier: Apache-2.0 */
/**
 * The calibration state: what one pass over the data leaves behind for each watched tensor.
 *
 * Everything in it is exact and independent of how the samples were split over threads: per-sample
 * minimum and maximum stand at the sample's own index, per-channel minimum and maximum merge
 * exactly. Its size is known before the run: 16 bytes per sample and tensor, 8 bytes per channel
 * and thread.
 */
#ifndef TARE_STATS_STATE_H
#define TARE_STATS_STATE_H

#include "exec/backend.h"

/** A tensor that statistics are taken of. */
typedef struct tare_stat_point {
    size_t value;       /**< id of the value in the executed graph */
    const char *tensor; /**< its name; borrowed, must outlive the state */
    int64_t channels;   /**< length of axis 1 for per-channel statistics, 0 for per-tensor */
} tare_stat_point;

typedef struct tare_state tare_state;

/** One thread's part of the state while samples run. */
typedef struct tare_state_lane tare_state_lane;

/** Makes an empty state for `samples` samples (counted by index). The points are copied. */
TARE_MUST_CHECK tare_status tare_state_new(tare_state **out, const tare_stat_point *points,
                                           size_t point_count, uint64_t samples, tare_error *err);

/** NULL allowed. */
void tare_state_free(tare_state *state);

/** Bytes of a state with `lanes` lanes, for the memory plan; as tare_state_new() will allocate. */
size_t tare_state_bytes(const tare_stat_point *points, size_t point_count, uint64_t samples,
                        size_t lanes);

TARE_MUST_CHECK tare_status tare_state_lane_new(tare_state_lane **out, tare_state *state,
                                                tare_error *err);

/** NULL allowed. */
void tare_state_lane_free(tare_state_lane *lane);

/** One contents of one watched tensor. */
typedef struct tare_state_entry {
    size_t point;
    uint64_t sample;
    const tare_desc *desc;
    const void *data; /**< float32 */
} tare_state_entry;

/**
 * Reduces one tensor of one sample. TARE_INVALID_ARGUMENT when it holds NaN or infinities, with the
 * tensor's name and the counts (the caller prepends the sample). A tensor that occurs twice in a
 * sample (the model ran on parts) is merged.
 */
TARE_MUST_CHECK tare_status tare_state_record(tare_state_lane *lane, const tare_backend *backend,
                                              const tare_state_entry *entry, tare_error *err);

/** Marks a sample whose every tensor was recorded; samples that are not marked take no part in
 * ranges. */
void tare_state_complete(tare_state *state, uint64_t sample);

/** Merges a lane into the state. Not thread-safe; any order gives the same state. */
void tare_state_merge(tare_state *state, const tare_state_lane *lane);

size_t tare_state_point_count(const tare_state *state);
const tare_stat_point *tare_state_point(const tare_state *state, size_t point);

/** Number of complete samples. */
uint64_t tare_state_sample_count(const tare_state *state);

/** Per-sample range of sample `index` (not of the n-th complete one); false when the sample is not
 * complete. */
bool tare_state_sample_range(float *min, float *max, const tare_state *state, size_t point,
                             uint64_t index);

/** Room for how many samples, complete or not. */
uint64_t tare_state_sample_capacity(const tare_state *state);

/** Global per-channel minima and maxima of a per-channel point, `channels` each; NULL for a
 * per-tensor point. */
const float *tare_state_channel_min(const tare_state *state, size_t point);
const float *tare_state_channel_max(const tare_state *state, size_t point);

#endif
