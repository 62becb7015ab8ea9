/* SPDX-License-Identifier: Apache-2.0 */
/** The table of fields, and what follows from it. */
#include "stats/field.h"

#include <math.h>
#include <stdlib.h>

static size_t count_channels(const tare_stat_point *point) {
    return (size_t)point->channels;
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

const tare_state_field tare_state_fields[TARE_FIELD_COUNT] = {
    [TARE_FIELD_CHANNEL_MIN] = {.name = "channel_min",
                                .dtype = "F32",
                                .element_bytes = sizeof(float),
                                .count = count_channels,
                                .clear = clear_min,
                                .merge = merge_min,
                                .valid = valid_min},
    [TARE_FIELD_CHANNEL_MAX] = {.name = "channel_max",
                                .dtype = "F32",
                                .element_bytes = sizeof(float),
                                .count = count_channels,
                                .clear = clear_max,
                                .merge = merge_max,
                                .valid = valid_max},
};

static tare_status init_field(tare_field_set *set, size_t field, const tare_stat_point *points,
                              tare_error *err) {
    const tare_state_field *row = &tare_state_fields[field];
    size_t total = 0;

    set->offsets[field] = calloc(set->point_count + 1, sizeof *set->offsets[field]);
    if (set->offsets[field] == NULL) {
        return tare_fail_memory(err, set->point_count * sizeof(size_t), "statistics");
    }
    for (size_t i = 0; i < set->point_count; i++) {
        const size_t count = row->count(&points[i]);
        if (count > SIZE_MAX / row->element_bytes - total - 1) {
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

tare_status tare_field_set_init(tare_field_set *set, const tare_stat_point *points,
                                size_t point_count, tare_error *err) {
    *set = (tare_field_set){.point_count = point_count};
    for (size_t i = 0; i < TARE_FIELD_COUNT; i++) {
        const tare_status status = init_field(set, i, points, err);
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

uint64_t tare_field_set_bytes(const tare_stat_point *points, size_t point_count) {
    uint64_t total = 0;
    for (size_t i = 0; i < TARE_FIELD_COUNT; i++) {
        const tare_state_field *row = &tare_state_fields[i];
        for (size_t k = 0; k < point_count; k++) {
            total += sizeof(size_t) + (uint64_t)row->count(&points[k]) * row->element_bytes;
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
