/* SPDX-License-Identifier: Apache-2.0 */
/** What a collector is made of, settled before any memory is there: tables of tensors, copies that
 * bring channels together, and where everything lies. */
#ifndef TARE_CUDA_COLLECTOR_PLAN_H
#define TARE_CUDA_COLLECTOR_PLAN_H

#include "base/arena.h"
#include "cuda/device.h"
#include "cuda/move_plan.h"

/** A point and its places in the tables. */
typedef struct tare_collector_entry {
    size_t tensor; /**< those with channels come first, so that their columns lie together */
    size_t first_window, window_count;
    size_t samples, images; /**< images: per sample */
    bool codes, quantiles;
    tare_quantile_launch search; /**< but for memory and the samples of a batch */
    uint64_t first_pair;         /**< of its samples' quantiles */
    bool moved; /**< the channels are brought together, behind all rows in ONNX's order */
    tare_cuda_move move;
} tare_collector_entry;

/** Places of the arrays of a launch, in bytes behind the beginning of their block. */
typedef struct tare_collector_places {
    uint64_t counts, partials, columns, samples; /**< of tare_stats_launch */
    uint64_t window_partials, window_sums;
    uint64_t pairs, quantile_counts, searches; /**< of tare_quantile_launch; of the last two one
                                                  for all points, as of the next */
    uint64_t moved;
} tare_collector_places;

typedef struct tare_collector_plan {
    size_t count, window_count, slots;
    tare_collector_entry *entries; /**< by point */
    tare_stats_tensor *tensors;
    tare_window_tensor *windows;
    tare_stats_totals totals;
    tare_window_totals window_totals;
    uint64_t result_columns; /**< of points with channels */
    uint64_t pair_count;     /**< of points with quantiles */
    uint64_t most_searched;  /**< samples of such a point */
    /* Device memory: tables, bins, then the arrays of each slot. */
    uint64_t tensor_table, window_table, bins, first_slot, slot_bytes, device_bytes;
    tare_collector_places places; /**< within a slot */
    /* Pinned memory: one histogram, then the results of each slot. */
    uint64_t first_result, result_bytes, pinned_bytes;
    uint64_t result_samples, result_columns_at, result_sums, result_pairs; /**< within a slot */
} tare_collector_plan;

/** Plans in `arena`. TARE_UNSUPPORTED for element types without statistics, TARE_INVALID_ARGUMENT
 * for points that contradict themselves; both with the point's number. */
TARE_MUST_CHECK tare_status tare_collector_plan_make(tare_collector_plan *out, tare_arena *arena,
                                                     const tare_collect_point *points, size_t count,
                                                     size_t slots, tare_error *err);

#endif
