/* SPDX-License-Identifier: Apache-2.0 */
/** Recording what tensors of samples are reduced to: one way for both kinds of backends. */
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "stats/state_parts.h"

static bool collects(const tare_state *state, unsigned what) {
    return (state->collect & what) != 0;
}

static uint32_t pattern_of(float value) {
    uint32_t bits;
    memcpy(&bits, &value, sizeof bits);
    return bits;
}

/* Counting takes time, adding up counts does not: only that happens behind the lock. */
static void count_codes(tare_state_lane *lane, tare_code_finder find, const tare_state_entry *entry,
                        const tare_reduce_record *found) {
    tare_state *state = lane->state;
    tare_code_histogram *histogram = &state->histograms[entry->point];
    const tare_code_extent extent = {.largest =
                                         pattern_of(fmaxf(fabsf(found->min), fabsf(found->max))),
                                     .finite = true,
                                     .negative = found->min < 0.0F};
    const float *values = entry->data;
    uint32_t top;

    for (size_t at = 0; at < found->elements; at += TARE_CODE_COUNTER_MOST) {
        const size_t left = (size_t)found->elements - at;
        (void)pthread_mutex_lock(&state->lock);
        top = histogram->top;
        (void)pthread_mutex_unlock(&state->lock);
        tare_code_counter_count(lane->counter, find, top, &extent, values + at,
                                left < TARE_CODE_COUNTER_MOST ? left : TARE_CODE_COUNTER_MOST);
        (void)pthread_mutex_lock(&state->lock);
        tare_code_histogram_take(histogram, lane->counter);
        (void)pthread_mutex_unlock(&state->lock);
    }
}

void tare_state_record_codes(tare_state *state, size_t point, const uint64_t *counts,
                             uint32_t top) {
    if (state->histograms != NULL) {
        (void)pthread_mutex_lock(&state->lock);
        tare_code_histogram_add_codes(&state->histograms[point], counts, top);
        (void)pthread_mutex_unlock(&state->lock);
    }
}

static tare_status fail_sum(const tare_stat_point *point, size_t channel, tare_error *err) {
    return tare_fail(err, TARE_INVALID_ARGUMENT,
                     "the sum of channel %zu of tensor '%s' is beyond float32", channel,
                     point->tensor);
}

static tare_status record_channels(tare_state_lane *lane, size_t index,
                                   const tare_reduce_channel *channels, tare_error *err) {
    const tare_stat_point *point = &lane->state->points[index];
    float *low = tare_field_at(&lane->fields, TARE_FIELD_CHANNEL_MIN, index);
    float *high = tare_field_at(&lane->fields, TARE_FIELD_CHANNEL_MAX, index);
    tare_exact_sum *sums = tare_field_at(&lane->fields, TARE_FIELD_CHANNEL_SUM, index);

    for (size_t c = 0; c < (size_t)point->channels; c++) {
        low[c] = channels[c].min < low[c] ? channels[c].min : low[c];
        high[c] = channels[c].max > high[c] ? channels[c].max : high[c];
        if (collects(lane->state, TARE_COLLECT_SUMS) &&
            !tare_exact_sum_add(&sums[c], channels[c].sum)) {
            return fail_sum(point, c, err);
        }
    }
    return TARE_OK;
}

static tare_status record_windows(tare_state_lane *lane, const tare_state_result *result,
                                  tare_error *err) {
    const tare_stat_point *point = &lane->state->points[result->point];
    tare_exact_sum *sums = tare_field_at(&lane->fields, TARE_FIELD_WINDOW_SUM, result->point);

    for (size_t i = 0; i < point->window_count; i++) {
        const size_t taps = tare_window_taps(point, i);
        const float *found = result->result->windows[i] + result->sample * result->images * taps;
        for (size_t k = 0; k < result->images * taps; k++) {
            if (!tare_exact_sum_add(&sums[k % taps], found[k])) {
                return fail_sum(point, k % (size_t)point->channels, err);
            }
        }
        sums += taps;
    }
    return TARE_OK;
}

static void count(tare_state_counts *to, const tare_reduce_record *found) {
    to->elements += found->elements;
    to->zeros += found->zeros;
    to->nan += found->nan;
    to->positive_infinity += found->positive_infinity;
    to->negative_infinity += found->negative_infinity;
}

static void store_pair(tare_sample_numbers *to, tare_sample_column column,
                       const tare_quantile_pairs *pairs, double p, uint64_t count) {
    const tare_quantile_place low = tare_quantile_find(p, count);
    const tare_quantile_place high = tare_quantile_find(1.0 - p, count);
    to->of[column] = tare_quantile_between(pairs->low, &low);
    to->of[column + 1] = tare_quantile_between(pairs->high, &high);
}

/* Keeps the numbers of a sample. */
static void keep_numbers(const tare_state *state, const tare_state_result *result) {
    const tare_collect_result *from = result->result;
    const tare_reduce_record *found = &from->records[result->sample];
    uint32_t *cells = tare_state_slot_numbers(state, result->slot, result->point);
    tare_sample_numbers numbers;

    if (tare_sample_load(&numbers, cells, state->collect)) {
        numbers.of[TARE_SAMPLE_MIN] = fminf(numbers.of[TARE_SAMPLE_MIN], found->min);
        numbers.of[TARE_SAMPLE_MAX] = fmaxf(numbers.of[TARE_SAMPLE_MAX], found->max);
    } else {
        numbers.of[TARE_SAMPLE_MIN] = found->min;
        numbers.of[TARE_SAMPLE_MAX] = found->max;
    }
    if (collects(state, TARE_COLLECT_QUANTILES)) {
        store_pair(&numbers, TARE_SAMPLE_LOW, &from->quantiles[result->sample], state->quantile,
                   found->elements);
    }
    if (collects(state, TARE_COLLECT_MAGNITUDES)) {
        store_pair(&numbers, TARE_SAMPLE_MAGNITUDE_LOW, &from->magnitudes[result->sample],
                   state->quantile, found->elements);
    }
    if (collects(state, TARE_COLLECT_MEANS)) {
        numbers.of[TARE_SAMPLE_MEAN] = from->means[result->sample];
    }
    tare_sample_store(cells, &numbers, state->collect);
}

tare_status tare_state_record_result(tare_state_lane *lane, const tare_state_result *result,
                                     tare_error *err) {
    const tare_state *state = lane->state;
    const tare_stat_point *point = &state->points[result->point];
    const tare_reduce_record *found = &result->result->records[result->sample];

    if (found->nan > 0 || found->positive_infinity > 0 || found->negative_infinity > 0) {
        return tare_fail(
            err, TARE_INVALID_ARGUMENT,
            "tensor '%s' holds %llu NaN and %llu infinite values among %llu, expected finite ones",
            point->tensor, (unsigned long long)found->nan,
            (unsigned long long)(found->positive_infinity + found->negative_infinity),
            (unsigned long long)found->elements);
    }
    if (found->elements == 0) {
        return TARE_OK;
    }
    keep_numbers(state, result);
    count(tare_field_at(&lane->fields, TARE_FIELD_COUNTS, result->point), found);
    if (point->channels > 0) {
        const size_t first = result->sample * (size_t)point->channels;
        TARE_TRY(record_channels(lane, result->point, &result->result->channels[first], err));
    }
    return collects(state, TARE_COLLECT_WINDOWS) ? record_windows(lane, result, err) : TARE_OK;
}

/* Room for the window sums of all images of a sample: more than one is rare, so that there is room
 * for one beforehand. */
static tare_status place_windows(tare_state_lane *lane, const tare_stat_point *point, size_t images,
                                 tare_error *err) {
    size_t total = 0;

    for (size_t i = 0; i < point->window_count; i++) {
        total += images * tare_window_taps(point, i);
    }
    if (total > lane->window_capacity) {
        float *grown = realloc(lane->window_sums, total * sizeof *grown);
        if (grown == NULL) {
            return tare_fail_memory(err, total * sizeof *grown, "window sums");
        }
        lane->window_sums = grown;
        lane->window_capacity = total;
    }
    total = 0;
    for (size_t i = 0; i < point->window_count; i++) {
        lane->windows[i] = lane->window_sums + total;
        total += images * tare_window_taps(point, i);
    }
    return TARE_OK;
}

tare_status tare_state_record(tare_state_lane *lane, const tare_backend *backend,
                              const tare_state_entry *entry, tare_error *err) {
    const tare_state *state = lane->state;
    const tare_stat_point *point = &state->points[entry->point];
    const bool windows = collects(state, TARE_COLLECT_WINDOWS) && point->window_count > 0;
    const size_t images = entry->desc->rank == 0 ? 1 : (size_t)entry->desc->dims[0];
    tare_quantile_pairs quantiles = {{0}, {0}}, magnitudes = {{0}, {0}};
    float mean = 0.0F;
    tare_reduce_request request = {
        .desc = entry->desc,
        .data = entry->data,
        .axis = point->axis,
        .quantile = state->quantile,
        .quantiles = collects(state, TARE_COLLECT_QUANTILES) ? &quantiles : NULL,
        .magnitudes = collects(state, TARE_COLLECT_MAGNITUDES) ? &magnitudes : NULL,
        .quantile_scratch = lane->quantile_scratch,
        .mean = collects(state, TARE_COLLECT_MEANS) ? &mean : NULL};
    tare_reduce_record record;
    const tare_collect_result result = {.records = &record,
                                        .channels = lane->channels,
                                        .quantiles = &quantiles,
                                        .magnitudes = &magnitudes,
                                        .means = &mean,
                                        .windows = (const float *const *)lane->windows};
    const tare_state_result one = {
        .point = entry->point, .slot = entry->slot, .result = &result, .images = images};

    if (point->channels > 0) {
        if (entry->desc->rank <= point->axis || entry->desc->dims[point->axis] != point->channels) {
            return tare_fail(err, TARE_INTERNAL, "tensor '%s' does not have %lld channels",
                             point->tensor, (long long)point->channels);
        }
        request.channels = lane->channels;
    }
    if (windows) {
        TARE_TRY(place_windows(lane, point, images, err));
        request.windows = point->windows;
        request.window_count = point->window_count;
        request.window_sums = lane->windows;
    }
    TARE_TRY(backend->reduce(&record, &request, err));
    TARE_TRY(tare_state_record_result(lane, &one, err));
    if (collects(state, TARE_COLLECT_CODES) && record.elements > 0) {
        count_codes(lane, backend->find_codes, entry, &record);
    }
    return TARE_OK;
}
