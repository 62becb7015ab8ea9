/* SPDX-License-Identifier: Apache-2.0 */
/** Planning a collector. */
#include "cuda/collector_plan.h"

#include "exec/channels.h"

#define ALIGNMENT 256U

static tare_status plan_move(tare_collector_entry *entry, const tare_collect_point *point,
                             tare_error *err) {
    tare_movement *movement = &entry->move.movement;
    int64_t step;
    tare_channels all;

    tare_channels_find(&all, &point->desc, point->axis);
    entry->moved = !all.dense && tare_desc_count(&point->desc) > 0;
    if (!entry->moved) {
        return TARE_OK;
    }
    TARE_TRY(tare_cuda_move_types(&entry->move, point->desc.dtype, point->desc.dtype, err));
    tare_movement_axis(movement, all.channels, 1, all.stride);
    step = all.channels;
    for (int i = all.axes - 1; i >= 0; i--) {
        tare_movement_axis(movement, all.dims[i], step, all.strides[i]);
        step *= all.dims[i];
    }
    tare_movement_finish(movement);
    return TARE_OK;
}

static tare_status check_point(const tare_collect_point *point, size_t index, tare_error *err) {
    const tare_desc *desc = &point->desc;
    const int64_t first = desc->rank > 0 ? desc->dims[0] : 1;

    if (point->samples < 1 || first % point->samples != 0) {
        return tare_fail(
            err, TARE_INVALID_ARGUMENT,
            "statistics of point %zu: %lld samples do not divide axis 0 of length %lld", index,
            (long long)point->samples, (long long)first);
    }
    if ((point->channels || point->window_count > 0) &&
        (point->axis < 1 || point->axis >= desc->rank)) {
        return tare_fail(err, TARE_INVALID_ARGUMENT,
                         "statistics of point %zu: channels on axis %d of rank %d", index,
                         point->axis, desc->rank);
    }
    if (point->quantiles && !(point->quantile >= 0.0 && point->quantile <= 0.5)) {
        return tare_fail(err, TARE_INVALID_ARGUMENT,
                         "statistics of point %zu: quantile %g, expected 0 to 0.5", index,
                         point->quantile);
    }
    if (point->window_count > 0 && (point->axis != 1 || desc->rank < 3 || desc->rank > 4)) {
        return tare_fail(err, TARE_INVALID_ARGUMENT,
                         "statistics of point %zu: windows with channels on axis %d of rank %d, "
                         "expected axis 1 of rank 3 or 4",
                         index, point->axis, desc->rank);
    }
    return TARE_OK;
}

static void plan_quantiles(tare_collector_plan *plan, tare_collector_entry *entry,
                           const tare_collect_point *point) {
    const uint64_t samples = (uint64_t)point->samples;

    entry->search =
        (tare_quantile_launch){.samples = samples,
                               .elements = (uint64_t)tare_desc_count(&point->desc) / samples,
                               .dtype = point->desc.dtype};
    tare_quantile_plan(&entry->search, point->quantile);
    entry->first_pair = plan->pair_count;
    plan->pair_count += samples;
    plan->most_searched = samples > plan->most_searched ? samples : plan->most_searched;
}

static tare_status window_tensor(tare_window_tensor *out, const tare_collect_point *point,
                                 const tare_collect_window *window, size_t index, tare_error *err) {
    const tare_desc *desc = &point->desc;
    *out = (tare_window_tensor){.samples = (uint64_t)desc->dims[0],
                                .channels = (uint64_t)desc->dims[1],
                                .size = {desc->rank == 4 ? (uint64_t)desc->dims[2] : 1,
                                         (uint64_t)desc->dims[desc->rank - 1]},
                                .dtype = desc->dtype,
                                .late = true};
    for (int i = 0; i < 2; i++) {
        const int64_t numbers[] = {window->kernel[i], window->stride[i], window->dilation[i],
                                   window->padding[i], window->output[i]};
        for (size_t k = 0; k < sizeof numbers / sizeof numbers[0]; k++) {
            if (numbers[k] < 0 || numbers[k] > INT32_MAX) {
                return tare_fail(
                    err, TARE_INVALID_ARGUMENT,
                    "statistics of point %zu: %lld in a window, expected 0 to 2^31 - 1", index,
                    (long long)numbers[k]);
            }
        }
        out->kernel[i] = (uint32_t)window->kernel[i];
        out->stride[i] = (uint32_t)window->stride[i];
        out->dilation[i] = (uint32_t)window->dilation[i];
        out->padding[i] = (uint32_t)window->padding[i];
        out->output[i] = (uint64_t)window->output[i];
    }
    return TARE_OK;
}

static tare_status add_point(tare_collector_plan *plan, size_t tensor,
                             const tare_collect_point *point, size_t index, tare_error *err) {
    tare_collector_entry *entry = &plan->entries[index];
    const int64_t first = point->desc.rank > 0 ? point->desc.dims[0] : 1;

    *entry = (tare_collector_entry){.tensor = tensor,
                                    .first_window = plan->window_count,
                                    .window_count = point->window_count,
                                    .samples = (size_t)point->samples,
                                    .images = (size_t)(first / point->samples),
                                    .codes = point->codes,
                                    .quantiles = point->quantiles};
    if (point->channels || point->window_count > 0) {
        TARE_TRY(plan_move(entry, point, err));
    }
    if (point->quantiles) {
        plan_quantiles(plan, entry, point);
    }
    plan->tensors[tensor] = (tare_stats_tensor){
        .samples = (uint64_t)point->samples,
        .sample_elements = (uint64_t)(tare_desc_count(&point->desc) / point->samples),
        .channels = point->channels ? (uint64_t)point->desc.dims[point->axis] : 0,
        .dtype = point->desc.dtype,
        .late = true,
        .histogram = point->codes};
    for (size_t i = 0; i < point->window_count; i++) {
        TARE_TRY(window_tensor(&plan->windows[plan->window_count++], point, &point->windows[i],
                               index, err));
    }
    return TARE_OK;
}

/* Room for count elements behind *at; false when it cannot be counted. */
static bool place(uint64_t *out, uint64_t *at, uint64_t count, size_t bytes) {
    const uint64_t most = (uint64_t)1 << 62;
    *at = (*at + ALIGNMENT - 1) / ALIGNMENT * ALIGNMENT;
    *out = *at;
    if (count > most / bytes || *at > most - count * bytes) {
        return false;
    }
    *at += count * bytes;
    return true;
}

static bool place_device(tare_collector_plan *plan, uint64_t moved_bytes) {
    const tare_stats_totals *totals = &plan->totals;
    const tare_window_totals *windows = &plan->window_totals;
    tare_collector_places *places = &plan->places;
    uint64_t at = 0, slot = 0;
    const bool fit =
        place(&plan->tensor_table, &at, plan->count, sizeof *plan->tensors) &&
        place(&plan->window_table, &at, plan->window_count, sizeof *plan->windows) &&
        place(&plan->bins, &at, totals->bins, sizeof(uint64_t)) &&
        place(&places->counts, &slot, totals->items, sizeof(tare_stats_counts)) &&
        place(&places->partials, &slot, totals->partials, sizeof(tare_stats_column)) &&
        place(&places->columns, &slot, totals->columns, sizeof(tare_stats_column)) &&
        place(&places->samples, &slot, totals->samples, sizeof(tare_stats_record)) &&
        place(&places->window_partials, &slot, windows->partials, sizeof(float)) &&
        place(&places->window_sums, &slot, windows->sums, sizeof(float)) &&
        place(&places->pairs, &slot, plan->pair_count, sizeof(tare_quantile_pairs)) &&
        place(&places->quantile_counts, &slot, plan->most_searched,
              (uint64_t)TARE_QUANTILE_COUNTS * sizeof(uint64_t)) &&
        place(&places->searches, &slot, plan->most_searched, sizeof(tare_quantile_search)) &&
        place(&places->moved, &slot, moved_bytes, 1) && place(&plan->slot_bytes, &slot, 0, 1);
    return fit && place(&plan->first_slot, &at, plan->slot_bytes, plan->slots) &&
           place(&plan->device_bytes, &at, 0, 1);
}

static bool place_pinned(tare_collector_plan *plan) {
    const uint64_t codes = plan->totals.bins > 0 ? TARE_STATS_HISTOGRAM : 0;
    uint64_t at = 0, slot = 0, first = 0;
    const bool fit =
        place(&plan->result_samples, &slot, plan->totals.samples, sizeof(tare_stats_record)) &&
        place(&plan->result_columns_at, &slot, plan->result_columns, sizeof(tare_stats_column)) &&
        place(&plan->result_sums, &slot, plan->window_totals.sums, sizeof(float)) &&
        place(&plan->result_pairs, &slot, plan->pair_count, sizeof(tare_quantile_pairs)) &&
        place(&plan->result_bytes, &slot, 0, 1) && place(&first, &at, codes, sizeof(uint64_t));
    return fit && place(&plan->first_result, &at, plan->result_bytes, plan->slots) &&
           place(&plan->pinned_bytes, &at, 0, 1);
}

static tare_status new_tables(tare_collector_plan *out, tare_arena *arena,
                              const tare_collect_point *points, tare_error *err) {
    size_t windows = 0;
    for (size_t i = 0; i < out->count; i++) {
        windows += points[i].window_count;
    }
    out->entries = tare_arena_array(arena, out->count, sizeof *out->entries);
    out->tensors = tare_arena_array(arena, out->count, sizeof *out->tensors);
    out->windows = tare_arena_array(arena, windows, sizeof *out->windows);
    return out->entries != NULL && out->tensors != NULL && out->windows != NULL
               ? TARE_OK
               : tare_fail_memory(err, out->count * sizeof *out->tensors, "a collector");
}

tare_status tare_collector_plan_make(tare_collector_plan *out, tare_arena *arena,
                                     const tare_collect_point *points, size_t count, size_t slots,
                                     tare_error *err) {
    size_t tensor = 0;
    uint64_t moved_bytes = 0;

    *out = (tare_collector_plan){.count = count, .slots = slots};
    if (slots == 0) {
        return tare_fail(err, TARE_INVALID_ARGUMENT, "statistics in no slot");
    }
    TARE_TRY(new_tables(out, arena, points, err));
    for (int without = 0; without < 2; without++) {
        for (size_t i = 0; i < count; i++) {
            if (points[i].channels == (without == 0)) {
                TARE_TRY(check_point(&points[i], i, err));
                TARE_TRY(add_point(out, tensor++, &points[i], i, err));
            }
        }
    }
    TARE_TRY(tare_stats_plan(&out->totals, out->tensors, count, err));
    TARE_TRY(tare_window_plan(&out->window_totals, out->windows, out->window_count, err));
    for (size_t i = 0; i < count; i++) {
        const uint64_t bytes = out->entries[i].moved ? tare_desc_bytes(&points[i].desc) : 0;
        const tare_stats_tensor *planned = &out->tensors[out->entries[i].tensor];
        moved_bytes = bytes > moved_bytes ? bytes : moved_bytes;
        out->result_columns += points[i].channels ? planned->samples * planned->columns : 0;
    }
    if (!place_device(out, moved_bytes) || !place_pinned(out) || out->device_bytes > SIZE_MAX ||
        out->pinned_bytes > SIZE_MAX) {
        return tare_fail(err, TARE_OUT_OF_MEMORY, "statistics of %zu tensors in %zu slots", count,
                         slots);
    }
    return TARE_OK;
}
