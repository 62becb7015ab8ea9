/* SPDX-License-Identifier: Apache-2.0 */
/** The calibration state: memory, recording, and the order of samples. */
#include "stats/state.h"

#include <pthread.h>
#include <stdlib.h>
#include <string.h>

#include "base/arena.h"
#include "stats/state_parts.h"

static uint64_t slot_bytes(const tare_state_spec *spec) {
    return ((uint64_t)spec->point_count * tare_sample_columns(spec->collect) + 1) *
               sizeof(uint32_t) +
           sizeof(tare_state_slot) + sizeof(tare_state_order);
}

static bool has_codes(unsigned collect) {
    return (collect & TARE_COLLECT_CODES) != 0;
}

uint64_t tare_state_bytes(const tare_state_spec *spec, uint64_t samples) {
    const uint64_t codes =
        has_codes(spec->collect) ? sizeof(tare_code_histogram) + TARE_CODE_HISTOGRAM_BYTES : 0;
    return samples * slot_bytes(spec) + tare_field_set_bytes(spec) +
           spec->point_count * (sizeof(tare_stat_point) + codes);
}

/* What a lane needs for the results of one tensor: the most of any point. */
typedef struct lane_room {
    size_t channels, windows, window_sums;
} lane_room;

static lane_room room_of(const tare_state_spec *spec) {
    lane_room room = {0};
    for (size_t i = 0; i < spec->point_count; i++) {
        const tare_stat_point *point = &spec->points[i];
        size_t sums = 0;
        for (size_t k = 0; k < point->window_count; k++) {
            sums += tare_window_taps(point, k);
        }
        room.channels =
            (size_t)point->channels > room.channels ? (size_t)point->channels : room.channels;
        room.windows = point->window_count > room.windows ? point->window_count : room.windows;
        room.window_sums = sums > room.window_sums ? sums : room.window_sums;
    }
    if ((spec->collect & TARE_COLLECT_WINDOWS) == 0) {
        room.windows = room.window_sums = 0;
    }
    return room;
}

uint64_t tare_state_lane_bytes(const tare_state_spec *spec) {
    const lane_room room = room_of(spec);
    const uint64_t codes = has_codes(spec->collect) ? tare_code_counter_bytes() : 0;
    const uint64_t scratch =
        tare_sample_uses_quantile(spec->collect) ? TARE_QUANTILE_SCRATCH * sizeof(float) : 0;
    return sizeof(tare_state_lane) + codes + scratch + tare_field_set_bytes(spec) +
           (uint64_t)room.channels * sizeof(tare_reduce_channel) +
           (uint64_t)room.window_sums * sizeof(float);
}

static tare_status copy_windows(tare_state *state, tare_stat_point *point, tare_error *err) {
    const tare_collect_window *from = point->windows;
    tare_collect_window *windows =
        tare_arena_array(&state->arena, point->window_count, sizeof *windows);
    point->windows = windows;
    if (windows == NULL) {
        return tare_fail_memory(err, point->window_count * sizeof *windows,
                                "the calibration state");
    }
    if (point->window_count > 0) {
        memcpy(windows, from, point->window_count * sizeof *windows);
    }
    return TARE_OK;
}

static tare_status copy_points(tare_state *state, const tare_stat_point *points, tare_error *err) {
    state->points = tare_arena_array(&state->arena, state->point_count, sizeof *state->points);
    for (size_t i = 0; i < state->point_count && state->points != NULL; i++) {
        state->points[i] = points[i];
        state->points[i].tensor = tare_arena_strdup(&state->arena, points[i].tensor);
        if (state->points[i].tensor == NULL) {
            return tare_fail_memory(err, strlen(points[i].tensor), "the calibration state");
        }
        TARE_TRY(copy_windows(state, &state->points[i], err));
    }
    return state->points != NULL ? TARE_OK
                                 : tare_fail_memory(err, state->point_count * sizeof *state->points,
                                                    "the calibration state");
}

/* 1.2 megabytes each, but untouched zeros cost nothing until they are counted in. */
static tare_status new_histogram(tare_code_histogram *out, tare_error *err) {
    void *memory = calloc(1, TARE_CODE_HISTOGRAM_BYTES);
    if (memory == NULL) {
        return tare_fail_memory(err, TARE_CODE_HISTOGRAM_BYTES, "a histogram");
    }
    tare_code_histogram_init(out, memory);
    return TARE_OK;
}

static tare_status new_histograms(tare_state *state, tare_error *err) {
    state->histograms =
        tare_arena_array(&state->arena, state->point_count, sizeof *state->histograms);
    if (state->histograms == NULL) {
        return tare_fail_memory(err, state->point_count * sizeof *state->histograms, "histograms");
    }
    for (size_t i = 0; i < state->point_count; i++) {
        TARE_TRY(new_histogram(&state->histograms[i], err));
    }
    return TARE_OK;
}

tare_status tare_state_new(tare_state **out, const tare_state_spec *spec, uint64_t capacity,
                           tare_error *err) {
    tare_state *state = calloc(1, sizeof *state);
    tare_state_spec own;
    tare_status status;

    *out = NULL;
    if (state == NULL) {
        return tare_fail_memory(err, sizeof *state, "the calibration state");
    }
    if (pthread_mutex_init(&state->lock, NULL) != 0) {
        free(state);
        return tare_fail(err, TARE_INTERNAL, "a lock cannot be made");
    }
    tare_arena_init(&state->arena);
    state->point_count = spec->point_count;
    state->collect = spec->collect;
    state->quantile = spec->quantile + 0.0; /* no -0, which would be written */
    state->row = spec->point_count * tare_sample_columns(spec->collect) + 1;
    TARE_TRY_DONE(status, copy_points(state, spec->points, err));
    own = tare_state_own_spec(state);
    TARE_TRY_DONE(status, tare_field_set_init(&state->fields, &own, err));
    if (has_codes(spec->collect)) {
        TARE_TRY_DONE(status, new_histograms(state, err));
    }
    TARE_TRY_DONE(status, tare_state_reserve(state, capacity, err));
    *out = state;
done:
    if (status != TARE_OK) {
        tare_state_free(state);
    }
    return status;
}

void tare_state_free(tare_state *state) {
    if (state != NULL) {
        for (size_t i = 0; i < state->point_count && state->histograms != NULL; i++) {
            free(state->histograms[i].counts);
        }
        tare_field_set_release(&state->fields);
        free(state->numbers);
        free(state->slots);
        free(state->order);
        tare_arena_release(&state->arena);
        (void)pthread_mutex_destroy(&state->lock);
        free(state);
    }
}

/* Grows an array with zeros; a first allocation leaves the pages untouched. */
static bool grow(void **array, uint64_t old_count, uint64_t count, size_t bytes) {
    void *grown;
    if (*array == NULL) {
        *array = calloc((size_t)count + 1, bytes);
        return *array != NULL;
    }
    grown = realloc(*array, ((size_t)count + 1) * bytes);
    if (grown == NULL) {
        return false;
    }
    memset((char *)grown + (size_t)old_count * bytes, 0, (size_t)(count - old_count) * bytes);
    *array = grown;
    return true;
}

tare_status tare_state_reserve(tare_state *state, uint64_t samples, tare_error *err) {
    const tare_state_spec spec = tare_state_own_spec(state);
    const uint64_t row = slot_bytes(&spec);
    const uint64_t limit = SIZE_MAX / row - 1;
    const uint64_t count = state->capacity + samples;
    void *numbers = state->numbers, *slots = state->slots, *order = state->order;
    bool grown;

    if (samples > limit || state->capacity > limit - samples) {
        return tare_fail(err, TARE_OUT_OF_MEMORY,
                         "statistics of %zu tensors and %llu samples do not fit",
                         state->point_count, (unsigned long long)samples);
    }
    grown = grow(&numbers, state->capacity, count, state->row * sizeof *state->numbers);
    state->numbers = numbers;
    grown = grown && grow(&slots, state->capacity, count, sizeof(tare_state_slot));
    state->slots = slots;
    grown = grown && grow(&order, state->capacity, count, sizeof(tare_state_order));
    state->order = order;
    if (!grown) {
        return tare_fail_memory(err, (size_t)(count * row), "the calibration state");
    }
    state->capacity = count;
    return TARE_OK;
}

static tare_status lane_results_new(tare_state_lane *lane, const tare_state_spec *spec,
                                    tare_error *err) {
    const lane_room room = room_of(spec);
    lane->channels = calloc(room.channels + 1, sizeof *lane->channels);
    lane->windows = calloc(room.windows + 1, sizeof *lane->windows);
    lane->window_sums = calloc(room.window_sums + 1, sizeof *lane->window_sums);
    lane->window_capacity = room.window_sums;
    return lane->channels != NULL && lane->windows != NULL && lane->window_sums != NULL
               ? TARE_OK
               : tare_fail_memory(err, room.window_sums * sizeof *lane->window_sums, "statistics");
}

tare_status tare_state_lane_new(tare_state_lane **out, tare_state *state, tare_error *err) {
    const tare_state_spec spec = tare_state_own_spec(state);
    tare_state_lane *lane = calloc(1, sizeof *lane);
    tare_status status;

    *out = NULL;
    if (lane == NULL) {
        return tare_fail_memory(err, sizeof *lane, "statistics");
    }
    lane->state = state;
    TARE_TRY_DONE(status, tare_field_set_init(&lane->fields, &spec, err));
    TARE_TRY_DONE(status, lane_results_new(lane, &spec, err));
    if (has_codes(state->collect)) {
        TARE_TRY_DONE(status, tare_code_counter_new(&lane->counter, err));
    }
    if (tare_sample_uses_quantile(state->collect)) {
        lane->quantile_scratch = malloc(TARE_QUANTILE_SCRATCH * sizeof *lane->quantile_scratch);
        if (lane->quantile_scratch == NULL) {
            status = tare_fail_memory(err, TARE_QUANTILE_SCRATCH * sizeof(float), "quantiles");
            goto done;
        }
    }
    *out = lane;
done:
    if (status != TARE_OK) {
        tare_state_lane_free(lane);
    }
    return status;
}

void tare_state_lane_free(tare_state_lane *lane) {
    if (lane != NULL) {
        tare_field_set_release(&lane->fields);
        tare_code_counter_free(lane->counter);
        free(lane->quantile_scratch);
        free(lane->channels);
        free(lane->windows);
        free(lane->window_sums);
        free(lane);
    }
}

tare_status tare_state_complete(tare_state *state, uint64_t slot, const tare_state_sample *sample,
                                tare_error *err) {
    char *name;
    (void)pthread_mutex_lock(&state->lock);
    name = tare_arena_strdup(&state->arena, sample->name);
    (void)pthread_mutex_unlock(&state->lock);
    if (name == NULL) {
        return tare_fail_memory(err, strlen(sample->name), "a sample's name");
    }
    state->slots[slot] = (tare_state_slot){.sample = {.id = sample->id, .name = name}};
    return TARE_OK;
}

void tare_state_merge(tare_state *state, tare_state_lane *lane) {
    tare_field_set_merge(&state->fields, &lane->fields);
    tare_field_set_clear(&lane->fields);
}

/* ---- the order of samples ---- */

static int compare_ids(const void *left, const void *right) {
    const tare_state_order *a = left, *b = right;
    if (a->id != b->id) {
        return a->id < b->id ? -1 : 1;
    }
    return a->slot < b->slot ? -1 : a->slot > b->slot;
}

static int compare_contents(const tare_state *state, uint64_t a, uint64_t b) {
    const int names = strcmp(state->slots[a].sample.name, state->slots[b].sample.name);
    if (names != 0 || state->point_count == 0) {
        return names;
    }
    return memcmp(tare_state_slot_numbers(state, a, 0), tare_state_slot_numbers(state, b, 0),
                  state->row * sizeof *state->numbers);
}

/* A sample that was counted twice has its id twice; which of the two comes first must not depend on
 * who came first. */
static void order_equal_ids(tare_state *state) {
    tare_state_order *order = state->order;
    for (uint64_t i = 1; i < state->settled; i++) {
        const tare_state_order moved = order[i];
        uint64_t k = i;
        while (k > 0 && order[k - 1].id == moved.id &&
               compare_contents(state, order[k - 1].slot, moved.slot) > 0) {
            order[k] = order[k - 1];
            k--;
        }
        order[k] = moved;
    }
}

void tare_state_settle(tare_state *state) {
    state->settled = 0;
    for (uint64_t i = 0; i < state->capacity; i++) {
        if (state->slots[i].sample.name != NULL) {
            state->order[state->settled++] =
                (tare_state_order){.id = state->slots[i].sample.id, .slot = i};
        }
    }
    /* What was counted apart from the codes is the histograms' too, whoever counted those. */
    for (size_t i = 0; i < state->point_count && state->histograms != NULL; i++) {
        state->histograms[i].zeros = tare_state_counts_of(state, i).zeros;
    }
    qsort(state->order, (size_t)state->settled, sizeof *state->order, compare_ids);
    order_equal_ids(state);
}

uint64_t tare_state_sample_count(const tare_state *state) {
    return state->settled;
}

tare_state_sample tare_state_sample_at(const tare_state *state, uint64_t index) {
    return state->slots[state->order[index].slot].sample;
}

uint64_t tare_state_find_sample(const tare_state *state, uint64_t id) {
    uint64_t low = 0, high = state->settled;
    while (low < high) {
        const uint64_t middle = low + (high - low) / 2;
        if (state->order[middle].id < id) {
            low = middle + 1;
        } else {
            high = middle;
        }
    }
    return low < state->settled && state->order[low].id == id ? low : UINT64_MAX;
}

bool tare_state_sample_numbers(tare_sample_numbers *out, const tare_state *state, size_t point,
                               uint64_t index) {
    return tare_sample_load(out, tare_state_slot_numbers(state, state->order[index].slot, point),
                            state->collect);
}

/* ---- points and fields ---- */

tare_state_spec tare_state_spec_of(const tare_state *state) {
    return tare_state_own_spec(state);
}

size_t tare_state_point_count(const tare_state *state) {
    return state->point_count;
}

const tare_stat_point *tare_state_point(const tare_state *state, size_t point) {
    return &state->points[point];
}

const float *tare_state_channel_min(const tare_state *state, size_t point) {
    return state->points[point].channels > 0
               ? tare_field_at(&state->fields, TARE_FIELD_CHANNEL_MIN, point)
               : NULL;
}

const float *tare_state_channel_max(const tare_state *state, size_t point) {
    return state->points[point].channels > 0
               ? tare_field_at(&state->fields, TARE_FIELD_CHANNEL_MAX, point)
               : NULL;
}

const tare_exact_sum *tare_state_channel_sums(const tare_state *state, size_t point) {
    return (state->collect & TARE_COLLECT_SUMS) != 0 && state->points[point].channels > 0
               ? tare_field_at(&state->fields, TARE_FIELD_CHANNEL_SUM, point)
               : NULL;
}

const tare_exact_sum *tare_state_window_sums(const tare_state *state, size_t point, size_t window) {
    const tare_exact_sum *sums = tare_field_at(&state->fields, TARE_FIELD_WINDOW_SUM, point);
    if ((state->collect & TARE_COLLECT_WINDOWS) == 0 ||
        window >= state->points[point].window_count) {
        return NULL;
    }
    for (size_t i = 0; i < window; i++) {
        sums += tare_window_taps(&state->points[point], i);
    }
    return sums;
}

tare_state_counts tare_state_counts_of(const tare_state *state, size_t point) {
    const tare_state_counts *counts = tare_field_at(&state->fields, TARE_FIELD_COUNTS, point);
    return *counts;
}

const tare_code_histogram *tare_state_codes(const tare_state *state, size_t point) {
    return state->histograms == NULL ? NULL : &state->histograms[point];
}
