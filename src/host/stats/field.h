/* SPDX-License-Identifier: Apache-2.0 */
/**
 * The fields of a calibration state that hold a fixed number of values per watched tensor. A field
 * says how it merges, so that threads, restarts, files and machines are generic code and a new
 * field cannot forget one of them. Only exact, order-independent merges are admitted.
 */
#ifndef TARE_STATS_FIELD_H
#define TARE_STATS_FIELD_H

#include "stats/state.h"

typedef struct tare_state_field {
    const char *name;  /**< of its tensor in a file */
    const char *dtype; /**< of the numbers that make up an element: "F32" or "U64" */
    size_t numbers;    /**< of an element */
    size_t element_bytes;
    unsigned needs; /**< bits of tare_state_spec.collect without which it is left out */
    size_t (*count)(const tare_stat_point *point); /**< elements for a point; SIZE_MAX: too many */
    void (*clear)(void *elements, size_t count);   /**< to what nothing merges to */
    void (*merge)(void *into, const void *from, size_t count);
    bool (*valid)(const void *elements, size_t count); /**< what a file may hold */
} tare_state_field;

/** Index of each field in the table. */
typedef enum tare_field_index {
    TARE_FIELD_COUNTS,      /**< tare_state_counts, one per point */
    TARE_FIELD_CHANNEL_MIN, /**< float */
    TARE_FIELD_CHANNEL_MAX,
    TARE_FIELD_CHANNEL_SUM, /**< tare_exact_sum */
    TARE_FIELD_WINDOW_SUM,  /**< window after window */
    TARE_FIELD_COUNT
} tare_field_index;

extern const tare_state_field tare_state_fields[TARE_FIELD_COUNT];

/** Window sums of one window of a point; SIZE_MAX: too many to count. */
size_t tare_window_taps(const tare_stat_point *point, size_t window);

/** The values of all fields for all points, in one block per field. */
typedef struct tare_field_set {
    void *data[TARE_FIELD_COUNT];
    size_t *offsets[TARE_FIELD_COUNT]; /**< element at which a point begins; one more at the end */
    size_t point_count;
} tare_field_set;

/** Makes cleared fields. TARE_OUT_OF_MEMORY, also for impossible sizes. */
TARE_MUST_CHECK tare_status tare_field_set_init(tare_field_set *set, const tare_state_spec *spec,
                                                tare_error *err);

/** NULL and zeroed sets allowed. */
void tare_field_set_release(tare_field_set *set);

/** Bytes of a set. */
uint64_t tare_field_set_bytes(const tare_state_spec *spec);

void tare_field_set_clear(tare_field_set *set);

/** Both must be of the same points. */
void tare_field_set_merge(tare_field_set *into, const tare_field_set *from);

/** The values of one field for one point. */
void *tare_field_at(const tare_field_set *set, tare_field_index field, size_t point);

/** Elements of a field over all points; 0 when it is left out. */
size_t tare_field_total(const tare_field_set *set, tare_field_index field);

#endif
