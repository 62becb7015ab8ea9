/* SPDX-License-Identifier: Apache-2.0 */
/** Statistics of watched values, reduced on the device as they come up. */
#include "cuda/collector.h"

#include <stdlib.h>
#include <string.h>

#include "base/arena.h"
#include "cuda/collector_plan.h"
#include "cuda/functions.h"

struct tare_collector {
    tare_arena arena;
    tare_device *device;
    tare_collector_plan plan;
    unsigned char *memory;         /* on the device */
    unsigned char *pinned;         /* on the host */
    tare_reduce_record *records;   /* by slot, then as the samples of the plan */
    const float **window_pointers; /* by slot, then as the windows of the plan */
};

tare_status tare_cuda_collector_measure(uint64_t *device_bytes, uint64_t *pinned_bytes,
                                        const tare_collect_point *points, size_t count,
                                        size_t slots, tare_error *err) {
    tare_collector_plan plan;
    tare_arena arena;
    tare_status status;

    tare_arena_init(&arena);
    status = tare_collector_plan_make(&plan, &arena, points, count, slots, err);
    *device_bytes = status == TARE_OK ? plan.device_bytes : 0;
    *pinned_bytes = status == TARE_OK ? plan.pinned_bytes : 0;
    tare_arena_release(&arena);
    return status;
}

/* ---- launches of a slot ---- */

static unsigned char *slot_memory(const tare_collector *collector, size_t slot) {
    return collector->memory + collector->plan.first_slot + slot * collector->plan.slot_bytes;
}

static unsigned char *slot_results(const tare_collector *collector, size_t slot) {
    return collector->pinned + collector->plan.first_result + slot * collector->plan.result_bytes;
}

static tare_stats_launch stats_launch(const tare_collector *collector, size_t slot) {
    const tare_collector_plan *plan = &collector->plan;
    unsigned char *memory = slot_memory(collector, slot);
    return (tare_stats_launch){.tensors = (const void *)(collector->memory + plan->tensor_table),
                               .count = (uint32_t)plan->count,
                               .totals = plan->totals,
                               .counts = (void *)(memory + plan->places.counts),
                               .partials = (void *)(memory + plan->places.partials),
                               .columns = (void *)(memory + plan->places.columns),
                               .samples = (void *)(memory + plan->places.samples),
                               .bins = (void *)(collector->memory + plan->bins)};
}

static tare_window_launch window_launch(const tare_collector *collector, size_t slot) {
    const tare_collector_plan *plan = &collector->plan;
    unsigned char *memory = slot_memory(collector, slot);
    return (tare_window_launch){.tensors = (const void *)(collector->memory + plan->window_table),
                                .count = (uint32_t)plan->window_count,
                                .totals = plan->window_totals,
                                .partials = (void *)(memory + plan->places.window_partials),
                                .sums = (void *)(memory + plan->places.window_sums)};
}

static tare_quantile_launch quantile_launch(const tare_collector *collector, size_t slot,
                                            size_t point) {
    const tare_collector_plan *plan = &collector->plan;
    const tare_collector_entry *entry = &plan->entries[point];
    unsigned char *memory = slot_memory(collector, slot);
    tare_quantile_pairs *pairs = (void *)(memory + plan->places.pairs);
    tare_quantile_launch launch = entry->search;

    launch.counts = (void *)(memory + plan->places.quantile_counts);
    launch.searches = (void *)(memory + plan->places.searches);
    launch.pairs = pairs + entry->first_pair;
    return launch;
}

/* ---- life ---- */

static tare_status upload(const tare_collector *collector, tare_queue *queue, tare_error *err) {
    const tare_collector_plan *plan = &collector->plan;
    const tare_copy tensors = {.kind = TARE_COPY_TO_DEVICE,
                               .to = collector->memory + plan->tensor_table,
                               .from = plan->tensors,
                               .bytes = plan->count * sizeof *plan->tensors};
    const tare_copy windows = {.kind = TARE_COPY_TO_DEVICE,
                               .to = collector->memory + plan->window_table,
                               .from = plan->windows,
                               .bytes = plan->window_count * sizeof *plan->windows};
    /* Histograms and counters start with 0; of the rest nothing unset is to be read in a batch that
     * is padded.
     */
    TARE_TRY(tare_cuda_zero(queue, collector->memory, (size_t)plan->device_bytes, err));
    TARE_TRY(tare_cuda_copy(queue, &tensors, err));
    TARE_TRY(tare_cuda_copy(queue, &windows, err));
    return tare_cuda_wait(queue, err);
}

static tare_status allocate(tare_collector *collector, tare_error *err) {
    const tare_collector_plan *plan = &collector->plan;
    const size_t records = plan->slots * (size_t)plan->totals.samples;
    const size_t windows = plan->slots * plan->window_count;
    void *memory = NULL, *pinned = NULL;
    tare_status status;

    collector->records = calloc(records + 1, sizeof *collector->records);
    collector->window_pointers = calloc(windows + 1, sizeof *collector->window_pointers);
    if (collector->records == NULL || collector->window_pointers == NULL) {
        return tare_fail_memory(err, records * sizeof *collector->records, "statistics");
    }
    status = tare_cuda_memory_new(&memory, collector->device, (size_t)plan->device_bytes + 1, err);
    collector->memory = memory;
    TARE_TRY(status);
    status = tare_cuda_pinned_new(&pinned, collector->device, (size_t)plan->pinned_bytes + 1, err);
    collector->pinned = pinned;
    return status;
}

tare_status tare_cuda_collector_new(tare_collector **out, tare_device *device,
                                    const tare_collect_point *points, size_t count, size_t slots,
                                    tare_error *err) {
    tare_collector *fresh = calloc(1, sizeof *fresh);
    tare_queue *queue = NULL;
    tare_status status;

    *out = NULL;
    if (fresh == NULL) {
        return tare_fail_memory(err, sizeof *fresh, "statistics");
    }
    fresh->device = device;
    tare_arena_init(&fresh->arena);
    TARE_TRY_DONE(status,
                  tare_collector_plan_make(&fresh->plan, &fresh->arena, points, count, slots, err));
    TARE_TRY_DONE(status, allocate(fresh, err));
    TARE_TRY_DONE(status, tare_cuda_queue_new(&queue, device, err));
    TARE_TRY_DONE(status, upload(fresh, queue, err));
    *out = fresh;
done:
    tare_cuda_queue_free(queue);
    if (status != TARE_OK) {
        tare_cuda_collector_free(fresh);
    }
    return status;
}

void tare_cuda_collector_free(tare_collector *collector) {
    if (collector != NULL) {
        tare_cuda_free(collector->device, collector->memory);
        tare_cuda_pinned_free(collector->device, collector->pinned);
        free(collector->records);
        free(collector->window_pointers);
        tare_arena_release(&collector->arena);
        free(collector);
    }
}

/* ---- work ---- */

tare_status tare_cuda_collect(tare_collector *collector, tare_queue *queue,
                              const tare_collect *what, tare_error *err) {
    const tare_collector_plan *plan = &collector->plan;
    const tare_collector_entry *entry = &plan->entries[what->point];
    const tare_stats_launch stats = stats_launch(collector, what->slot);
    const tare_window_launch windows = window_launch(collector, what->slot);
    tare_stats_part part = {.tensor = &plan->tensors[entry->tensor],
                            .data = what->data,
                            .samples = (uint64_t)what->samples};

    if (what->samples < 0 || (size_t)what->samples > entry->samples) {
        return tare_fail(err, TARE_INTERNAL, "%lld samples of a batch of %zu",
                         (long long)what->samples, entry->samples);
    }
    if (entry->moved) {
        void *moved = slot_memory(collector, what->slot) + plan->places.moved;
        TARE_TRY(tare_cuda_move_run(&entry->move, moved, what->data, queue->stream, err));
        part.data = moved;
    }
    TARE_TRY(tare_stats_begin(&stats, &part, queue->stream, err));
    if (entry->codes) {
        TARE_TRY(tare_stats_codes_of(&stats, &part, queue->stream, err));
    }
    if (entry->quantiles) {
        tare_quantile_launch quantiles = quantile_launch(collector, what->slot, what->point);
        quantiles.data = part.data;
        quantiles.samples = part.samples;
        TARE_TRY(tare_quantiles(&quantiles, queue->stream, err));
    }
    for (size_t i = 0; i < entry->window_count; i++) {
        const tare_window_part window = {.tensor = &plan->windows[entry->first_window + i],
                                         .data = part.data,
                                         .samples = part.samples * entry->images};
        TARE_TRY(tare_window_begin(&windows, &window, queue->stream, err));
    }
    return TARE_OK;
}

tare_status tare_cuda_collect_end(tare_collector *collector, tare_queue *queue, size_t slot,
                                  tare_error *err) {
    const tare_collector_plan *plan = &collector->plan;
    const tare_stats_launch stats = stats_launch(collector, slot);
    const tare_window_launch windows = window_launch(collector, slot);
    unsigned char *results = slot_results(collector, slot);
    const tare_copy copies[] = {
        {.kind = TARE_COPY_TO_HOST,
         .to = results + plan->result_samples,
         .from = stats.samples,
         .bytes = (size_t)plan->totals.samples * sizeof(tare_stats_record)},
        {.kind = TARE_COPY_TO_HOST,
         .to = results + plan->result_columns_at,
         .from = stats.columns,
         .bytes = (size_t)plan->result_columns * sizeof(tare_stats_column)},
        {.kind = TARE_COPY_TO_HOST,
         .to = results + plan->result_sums,
         .from = windows.sums,
         .bytes = (size_t)plan->window_totals.sums * sizeof(float)},
        {.kind = TARE_COPY_TO_HOST,
         .to = results + plan->result_pairs,
         .from = slot_memory(collector, slot) + plan->places.pairs,
         .bytes = (size_t)plan->pair_count * sizeof(tare_quantile_pairs)},
    };

    TARE_TRY(tare_stats_finish(&stats, queue->stream, err));
    TARE_TRY(tare_window_finish_all(&windows, queue->stream, err));
    for (size_t i = 0; i < sizeof copies / sizeof copies[0]; i++) {
        TARE_TRY(tare_cuda_copy(queue, &copies[i], err));
    }
    return TARE_OK;
}

static tare_reduce_record record_of(const tare_stats_record *found, uint64_t elements) {
    return (tare_reduce_record){.min = found->min,
                                .max = found->max,
                                .elements = elements,
                                .zeros = found->zeros,
                                .nan = found->nan,
                                .positive_infinity = found->positive_infinity,
                                .negative_infinity = found->negative_infinity};
}

void tare_cuda_collect_result(tare_collect_result *out, tare_collector *collector, size_t slot,
                              size_t point) {
    const tare_collector_plan *plan = &collector->plan;
    const tare_collector_entry *entry = &plan->entries[point];
    const tare_stats_tensor *tensor = &plan->tensors[entry->tensor];
    const unsigned char *results = slot_results(collector, slot);
    const tare_stats_record *found = (const void *)(results + plan->result_samples);
    const tare_reduce_channel *columns = (const void *)(results + plan->result_columns_at);
    const float *sums = (const void *)(results + plan->result_sums);
    const tare_quantile_pairs *pairs = (const void *)(results + plan->result_pairs);
    tare_reduce_record *records =
        &collector->records[slot * (size_t)plan->totals.samples + tensor->first_sample];
    const float **pointers =
        &collector->window_pointers[slot * plan->window_count + entry->first_window];

    for (size_t i = 0; i < entry->samples; i++) {
        records[i] = record_of(&found[tensor->first_sample + i], tensor->sample_elements);
    }
    for (size_t i = 0; i < entry->window_count; i++) {
        pointers[i] = sums + plan->windows[entry->first_window + i].first_sum;
    }
    *out = (tare_collect_result){.records = records,
                                 .channels =
                                     tensor->channels > 0 ? columns + tensor->first_column : NULL,
                                 .quantiles = entry->quantiles ? pairs + entry->first_pair : NULL,
                                 .windows = entry->window_count > 0 ? pointers : NULL};
}

tare_status tare_cuda_collect_codes(uint64_t *counts, uint32_t *top, tare_collector *collector,
                                    tare_queue *queue, size_t point, tare_error *err) {
    const tare_collector_plan *plan = &collector->plan;
    const tare_stats_tensor *tensor = &plan->tensors[plan->entries[point].tensor];
    unsigned char *bins = collector->memory + plan->bins + tensor->first_bin * sizeof(uint64_t);
    const size_t bytes = (size_t)TARE_STATS_HISTOGRAM * sizeof(uint64_t);
    const uint64_t *found = (const void *)collector->pinned;
    const tare_copy copy = {
        .kind = TARE_COPY_TO_HOST, .to = collector->pinned, .from = bins, .bytes = bytes};

    if (!plan->entries[point].codes) {
        return tare_fail(err, TARE_INTERNAL, "point %zu has no code histogram", point);
    }
    TARE_TRY(tare_cuda_copy(queue, &copy, err));
    TARE_TRY(tare_cuda_zero(queue, bins, bytes, err));
    TARE_TRY(tare_cuda_wait(queue, err));
    memcpy(counts, found, (size_t)TARE_STATS_CODES * sizeof *counts);
    *top = (uint32_t)found[TARE_STATS_TOP];
    return TARE_OK;
}
