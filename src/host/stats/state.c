/* SPDX-License-Identifier: Apache-2.0 */
/** The calibration state. */
#include "stats/state.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

/* What is kept of one tensor of one sample: 16 bytes, the only thing that grows with the number of
 * samples. */
typedef struct sample_record {
    float min, max;
    uint64_t elements;
} sample_record;

struct tare_state {
    size_t point_count;
    tare_stat_point *points;
    size_t *channel_offset; /* per point, into the channel arrays */
    size_t channel_total;
    float *channel_min, *channel_max;
    uint64_t samples;
    sample_record *records; /* [point][sample] */
    unsigned char *complete;
};

struct tare_state_lane {
    tare_state *state;
    float *channel_min, *channel_max;
};

static size_t count_channels(const tare_stat_point *points, size_t count) {
    size_t total = 0;
    for (size_t i = 0; i < count; i++) {
        total += (size_t)points[i].channels;
    }
    return total;
}

size_t tare_state_bytes(const tare_stat_point *points, size_t count, uint64_t samples,
                        size_t lanes) {
    return count * (size_t)samples * sizeof(sample_record) + (size_t)samples +
           count_channels(points, count) * 2 * sizeof(float) * (lanes + 1) +
           count * (sizeof(tare_stat_point) + sizeof(size_t));
}

static void clear_channels(float *min, float *max, size_t count) {
    for (size_t i = 0; i < count; i++) {
        min[i] = INFINITY;
        max[i] = -INFINITY;
    }
}

tare_status tare_state_new(tare_state **out, const tare_stat_point *points, size_t count,
                           uint64_t samples, tare_error *err) {
    const size_t total = count_channels(points, count);
    tare_state *state;

    *out = NULL;
    if (count > 0 && samples > SIZE_MAX / sizeof(sample_record) / count) {
        return tare_fail(err, TARE_OUT_OF_MEMORY,
                         "statistics of %zu tensors and %llu samples do not fit", count,
                         (unsigned long long)samples);
    }
    state = calloc(1, sizeof *state);
    if (state == NULL) {
        return tare_fail_memory(err, sizeof *state, "the calibration state");
    }
    state->point_count = count;
    state->samples = samples;
    state->channel_total = total;
    state->points = calloc(count + 1, sizeof *state->points);
    state->channel_offset = calloc(count + 1, sizeof *state->channel_offset);
    state->channel_min = calloc(total + 1, sizeof *state->channel_min);
    state->channel_max = calloc(total + 1, sizeof *state->channel_max);
    state->records = calloc(count * (size_t)samples + 1, sizeof *state->records);
    state->complete = calloc((size_t)samples + 1, 1);
    if (state->points == NULL || state->channel_offset == NULL || state->channel_min == NULL ||
        state->channel_max == NULL || state->records == NULL || state->complete == NULL) {
        tare_state_free(state);
        return tare_fail_memory(err, tare_state_bytes(points, count, samples, 0),
                                "the calibration state");
    }
    for (size_t i = 0; i < count; i++) {
        state->points[i] = points[i];
        state->channel_offset[i + 1] = state->channel_offset[i] + (size_t)points[i].channels;
    }
    clear_channels(state->channel_min, state->channel_max, total);
    *out = state;
    return TARE_OK;
}

void tare_state_free(tare_state *state) {
    if (state != NULL) {
        free(state->points);
        free(state->channel_offset);
        free(state->channel_min);
        free(state->channel_max);
        free(state->records);
        free(state->complete);
        free(state);
    }
}

tare_status tare_state_lane_new(tare_state_lane **out, tare_state *state, tare_error *err) {
    tare_state_lane *lane = calloc(1, sizeof *lane);
    *out = NULL;
    if (lane == NULL) {
        return tare_fail_memory(err, sizeof *lane, "statistics");
    }
    lane->state = state;
    lane->channel_min = calloc(state->channel_total + 1, sizeof *lane->channel_min);
    lane->channel_max = calloc(state->channel_total + 1, sizeof *lane->channel_max);
    if (lane->channel_min == NULL || lane->channel_max == NULL) {
        tare_state_lane_free(lane);
        return tare_fail_memory(err, state->channel_total * sizeof(float), "statistics");
    }
    clear_channels(lane->channel_min, lane->channel_max, state->channel_total);
    *out = lane;
    return TARE_OK;
}

void tare_state_lane_free(tare_state_lane *lane) {
    if (lane != NULL) {
        free(lane->channel_min);
        free(lane->channel_max);
        free(lane);
    }
}

tare_status tare_state_record(tare_state_lane *lane, const tare_backend *backend,
                              const tare_state_entry *entry, tare_error *err) {
    tare_state *state = lane->state;
    const tare_stat_point *point = &state->points[entry->point];
    sample_record *record =
        &state->records[entry->point * (size_t)state->samples + (size_t)entry->sample];
    tare_range_request request = {.desc = entry->desc, .data = entry->data};
    tare_range_record range;

    if (point->channels > 0) {
        if (entry->desc->rank < 2 || entry->desc->dims[1] != point->channels) {
            return tare_fail(err, TARE_INTERNAL, "tensor '%s' does not have %lld channels",
                             point->tensor, (long long)point->channels);
        }
        request.channel_min = lane->channel_min + state->channel_offset[entry->point];
        request.channel_max = lane->channel_max + state->channel_offset[entry->point];
    }
    TARE_TRY(backend->range(&range, &request, err));
    if (range.nan > 0 || range.positive_infinity > 0 || range.negative_infinity > 0) {
        return tare_fail(
            err, TARE_INVALID_ARGUMENT,
            "tensor '%s' holds %llu NaN and %llu infinite values among %llu, expected finite ones",
            point->tensor, (unsigned long long)range.nan,
            (unsigned long long)(range.positive_infinity + range.negative_infinity),
            (unsigned long long)range.elements);
    }
    if (range.elements == 0) {
        return TARE_OK;
    }
    record->min = record->elements == 0 || range.min < record->min ? range.min : record->min;
    record->max = record->elements == 0 || range.max > record->max ? range.max : record->max;
    record->elements += range.elements;
    return TARE_OK;
}

void tare_state_complete(tare_state *state, uint64_t sample) {
    state->complete[sample] = 1;
}

void tare_state_merge(tare_state *state, const tare_state_lane *lane) {
    for (size_t i = 0; i < state->channel_total; i++) {
        if (lane->channel_min[i] < state->channel_min[i]) {
            state->channel_min[i] = lane->channel_min[i];
        }
        if (lane->channel_max[i] > state->channel_max[i]) {
            state->channel_max[i] = lane->channel_max[i];
        }
    }
}

size_t tare_state_point_count(const tare_state *state) {
    return state->point_count;
}

const tare_stat_point *tare_state_point(const tare_state *state, size_t point) {
    return &state->points[point];
}

uint64_t tare_state_sample_count(const tare_state *state) {
    uint64_t count = 0;
    for (uint64_t i = 0; i < state->samples; i++) {
        count += state->complete[i];
    }
    return count;
}

uint64_t tare_state_sample_capacity(const tare_state *state) {
    return state->samples;
}

bool tare_state_sample_range(float *min, float *max, const tare_state *state, size_t point,
                             uint64_t index) {
    const sample_record *record = &state->records[point * (size_t)state->samples + (size_t)index];
    if (!state->complete[index] || record->elements == 0) {
        return false;
    }
    *min = record->min;
    *max = record->max;
    return true;
}

const float *tare_state_channel_min(const tare_state *state, size_t point) {
    return state->points[point].channels > 0 ? state->channel_min + state->channel_offset[point]
                                             : NULL;
}

const float *tare_state_channel_max(const tare_state *state, size_t point) {
    return state->points[point].channels > 0 ? state->channel_max + state->channel_offset[point]
                                             : NULL;
}
