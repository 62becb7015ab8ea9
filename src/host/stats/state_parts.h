/* SPDX-License-Identifier: Apache-2.0 */
/** The insides of the calibration state, for the files that implement it. */
#ifndef TARE_STATS_STATE_PARTS_H
#define TARE_STATS_STATE_PARTS_H

#include <pthread.h>

#include "base/arena.h"
#include "stats/field.h"

/** A place for a sample; without a name: not completed. */
typedef struct tare_state_slot {
    tare_state_sample sample;
} tare_state_slot;

/** A completed sample in the order of ids. */
typedef struct tare_state_order {
    uint64_t id, slot;
} tare_state_order;

struct tare_state {
    tare_arena arena; /**< points, names */
    size_t point_count;
    tare_stat_point *points;
    unsigned collect;
    double quantile;
    tare_field_set fields;
    tare_code_histogram *histograms; /**< per point; NULL: not collected */
    uint64_t capacity;               /**< slots */
    uint32_t *numbers; /**< [slot][point][column] as tare_sample_store() writes them: a
                          slot is one run of memory, so that lanes do not write into
                          each other's cache lines */
    size_t row;        /**< words of a slot */
    tare_state_slot *slots;
    tare_state_order *order;
    uint64_t settled;     /**< entries of order that are in use */
    pthread_mutex_t lock; /**< of the arena and the histograms */
};

struct tare_state_lane {
    tare_state *state;
    tare_field_set fields;
    tare_code_counter *counter;
    float *quantile_scratch; /**< NULL: no quantiles are collected */
    /* Results of the tensor being reduced: room for any point's. */
    tare_reduce_channel *channels;
    float **windows; /**< into window_sums */
    float *window_sums;
    size_t window_capacity; /**< floats */
};

static inline tare_state_spec tare_state_own_spec(const tare_state *state) {
    return (tare_state_spec){.points = state->points,
                             .point_count = state->point_count,
                             .collect = state->collect,
                             .quantile = state->quantile};
}

static inline uint32_t *tare_state_slot_numbers(const tare_state *state, uint64_t slot,
                                                size_t point) {
    return &state->numbers[(size_t)slot * state->row + point * tare_sample_columns(state->collect)];
}

#endif
