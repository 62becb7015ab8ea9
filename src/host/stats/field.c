/* SPDX-License-Identifier: Apache-2.0 */
/** The table of fields, and what follows from it. */
#include "stats/field.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

static size_t count_channels(const tare_stat_point *point) {
    return (size_t)point->channels;
}

static size_t count_one(const tare_stat_point *point) {
    (void)point;
    return 1;
}

size_t tare_window_taps(const tare_stat_point *point, size_t window) {
    const int64_t *kernel = point->windows[window].kernel;
    const size_t channels = (size_t)point->channels, rows = (size_t)kernel[0];
    const size_t columns = (size_t)kernel[1];
    if (channels == 0 || rows == 0 || columns == 0) {
        return 0;
    }
    return rows > SIZE_MAX / columns / channels ? SIZE_MAX : rows * columns * channels;
}

static size_t count_taps(const tare_stat_point *point) {
    size_t total = 0;
    for (size_t i = 0; i < point->window_count; i++) {
        const size_t taps = tare_window_taps(point, i);
        if (taps > SIZE_MAX - total) {
            return SIZE_MAX;
        }
        total += taps;
    }
    return total;
}

static void fill(float *values, size_t count, float value) {
    for (size_t i = 0; i < count; i++) {
        values[i] = value;
    }
}

static void clear_min(void *elements, size_t count) {
    fill(elements, count, INFINITY);
}

static void clear_max(void *elements, size_t count) {
    fill(elements, count, -INFINITY);
}

static void merge_min(void *into, const void *from, size_t count) {
    float *to = into;
    const float *values = from;
    for (size_t i = 0; i < count; i++) {
        to[i] = values[i] < to[i] ? values[i] : to[i];
    }
}

static void merge_max(void *into, const void *from, size_t count) {
    float *to = into;
    const float *values = from;
    for (size_t i = 0; i < count; i++) {
        to[i] = values[i] > to[i] ? values[i] : to[i];
    }
}

/* Finite, or what an empty channel holds. */
static bool all_but(const float *values, size_t count, float empty) {
    for (size_t i = 0; i < count; i++) {
        if (!isfinite(values[i]) && values[i] != empty) {
            return false;
        }
    }
    return true;
}

static bool valid_min(const void *elements, size_t count) {
    return all_but(elements, count, INFINITY);
}

static bool valid_max(const void *elements, size_t count) {
    return all_but(elements, count, -INFINITY);
}

/* Whole numbers start with 0. */
static void clear_counts(void *elements, size_t count) {
    memset(elements, 0, count * sizeof(tare_state_counts));
}

static void merge_counts(void *into, const void *from, size_t count) {
    tare_state_counts *to = into;
    const tare_state_counts *counts = from;
    for (size_t i = 0; i < count; i++) {
        to[i].elements += counts[i].elements;
        to[i].zeros += counts[i].zeros;
        to[i].nan += counts[i].nan;
        to[i].positive_infinity += counts[i].positive_infinity;
        to[i].negative_infinity += counts[i].negative_infinity;
    }
}

/* Subtracting what must be part of the rest cannot overflow, unlike adding. */
static bool valid_counts(const void *elements, size_t count) {
    const tare_state_counts *counts = elements;
    for (size_t i = 0; i < count; i++) {
        const uint64_t parts[] = {counts[i].zeros, counts[i].nan, counts[i].positive_infinity,
                                  counts[i].negative_infinity};
        uint64_t left = counts[i].elements;
        for (size_t k = 0; k < sizeof parts / sizeof parts[0]; k++) {
            if (parts[k] > left) {
                return false;
            }
            left -= parts[k];
        }
    }
    return true;
}

static void clear_sums(void *elements, size_t count) {
    memset(elements, 0, count * sizeof(tare_exact_sum));
}

static void merge_sums(void *into, const void *from, size_t count) {
    tare_exact_sum *to = into;
    const tare_exact_sum *sums = from;
    for (size_t i = 0; i < count; i++) {
        tare_exact_sum_merge(&to[i], &sums[i]);
    }
}

/* Every pattern is a sum. */
static bool valid_sums(const void *elements, size_t count) {
    (void)elements;
    (void)count;
    return true;
}

const tare_state_field tare_state_fields[TARE_FIELD_COUNT] = {
    [TARE_FIELD_COUNTS] = {.name = "counts",
                           .dtype = "U64",
                           .numbers = sizeof(tare_state_counts) / sizeof(uint64_t),
                           .element_bytes = sizeof(tare_state_counts),
                           .count = count_one,
                           .clear = clear_counts,
                           .merge = merge_counts,
                           .valid = valid_counts},
    [TARE_FIELD_CHANNEL_MIN] = {.name = "channel_min",
                                .dtype = "F32",
                                .numbers = 1,
                                .element_bytes = sizeof(float),
                                .count = count_channels,
                                .clear = clear_min,
                                .merge = merge_min,
                                .valid = valid_min},
    [TARE_FIELD_CHANNEL_MAX] = {.name = "channel_max",
                                .dtype = "F32",
                                .numbers = 1,
                                .element_bytes = sizeof(float),
                                .count = count_channels,
                                .clear = clear_max,
                                .merge = merge_max,
                                .valid = valid_max},
    [TARE_FIELD_CHANNEL_SUM] = {.name = "channel_sum",
                                .dtype = "U64",
                                .numbers = TARE_EXACT_SUM_LIMBS,
                                .element_bytes = sizeof(tare_exact_sum),
                                .needs = TARE_COLLECT_SUMS,
                                .count = count_channels,
                                .clear = clear_sums,
                                .merge = merge_sums,
                                .valid = valid_sums},
    [TARE_FIELD_WINDOW_SUM] = {.name = "window_sum",
                               .dtype = "U64",
                               .numbers = TARE_EXACT_SUM_LIMBS,
                               .element_bytes = sizeof(tare_exact_sum),
                               .needs = TARE_COLLECT_WINDOWS,
                               .count = count_taps,
                               .clear = clear_sums,
                               .merge = merge_sums,
                               .valid = valid_sums},
};

static size_t count_of(size_t field, const tare_state_spec *spec, size_t point) {
    const tare_state_field *row = &tare_state_fields[field];
    return (row->needs & ~spec->collect) != 0 ? 0 : row->count(&spec->points[point]);
}

static tare_status init_field(tare_field_set *set, size_t field, const tare_state_spec *spec,
                              tare_error *err) {
    const tare_state_field *row = &tare_state_fields[field];
    size_t total = 0;

    set->offsets[field] = calloc(set->point_count + 1, sizeof *set->offsets[field]);
    if (set->offsets[field] == NULL) {
        return tare_fail_memory(err, set->point_count * sizeof(size_t), "statistics");
    }
    for (size_t i = 0; i < set->point_count; i++) {
        const size_t count = count_of(field, spec, i);
        if (count >= SIZE_MAX / row->element_bytes - total) {
            return tare_fail(err, TARE_OUT_OF_MEMORY, "statistics of %zu tensors do not fit",
                             set->point_count);
        }
        total += count;
        set->offsets[field][i + 1] = total;
    }
    set->data[field] = malloc((total + 1) * row->element_bytes);
    if (set->data[field] == NULL) {
        return tare_fail_memory(err, total * row->element_bytes, "statistics");
    }
    row->clear(set->data[field], total);
    return TARE_OK;
}

tare_status tare_field_set_init(tare_field_set *set, const tare_state_spec *spec, tare_error *err) {
    *set = (tare_field_set){.point_count = spec->point_count};
    for (size_t i = 0; i < TARE_FIELD_COUNT; i++) {
        const tare_status status = init_field(set, i, spec, err);
        if (status != TARE_OK) {
            tare_field_set_release(set);
            return status;
        }
    }
    return TARE_OK;
}

void tare_field_set_release(tare_field_set *set) {
    if (set != NULL) {
        for (size_t i = 0; i < TARE_FIELD_COUNT; i++) {
            free(set->data[i]);
            free(set->offsets[i]);
        }
        *set = (tare_field_set){0};
    }
}

uint64_t tare_field_set_bytes(const tare_state_spec *spec) {
    uint64_t total = 0;
    for (size_t i = 0; i < TARE_FIELD_COUNT; i++) {
        for (size_t k = 0; k < spec->point_count; k++) {
            total += sizeof(size_t) +
                     (uint64_t)count_of(i, spec, k) * tare_state_fields[i].element_bytes;
        }
    }
    return total;
}

void tare_field_set_clear(tare_field_set *set) {
    for (size_t i = 0; i < TARE_FIELD_COUNT; i++) {
        tare_state_fields[i].clear(set->data[i], tare_field_total(set, (tare_field_index)i));
    }
}

void tare_field_set_merge(tare_field_set *into, const tare_field_set *from) {
    for (size_t i = 0; i < TARE_FIELD_COUNT; i++) {
        tare_state_fields[i].merge(into->data[i], from->data[i],
                                   tare_field_total(into, (tare_field_index)i));
    }
}

void *tare_field_at(const tare_field_set *set, tare_field_index field, size_t point) {
    return (char *)set->data[field] +
           set->offsets[field][point] * tare_state_fields[field].element_bytes;
}

size_t tare_field_total(const tare_field_set *set, tare_field_index field) {
    return set->offsets[field][set->point_count];
}
