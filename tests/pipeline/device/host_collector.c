/* SPDX-License-Identifier: Apache-2.0 */
/** The test device's statistics, by the CPU's reductions, and its ingest. */
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "cpu/backend.h"
#include "host_device.h"

/* ---- ingest ---- */

static void place_element(const tare_ingest *ingest, size_t at, int64_t index, double value,
                          const unsigned char *from) {
    const tare_desc *desc = ingest->desc;
    const float single = (float)value;
    char *to = (char *)ingest->to + at * tare_dtype_bytes(desc->dtype);
    if (ingest->table != NULL || desc->dtype != ingest->from_dtype) {
        host_convert(to, desc->dtype, &single, TARE_DTYPE_FLOAT, 1);
    } else {
        const size_t bytes = tare_dtype_bytes(desc->dtype);
        memcpy(to, from + (size_t)index * bytes, bytes);
    }
}

static tare_status do_ingest(host_work *self, tare_error *err) {
    const tare_ingest *ingest = &self->payload.ingest;
    const tare_desc *desc = ingest->desc;
    const unsigned char *pixels = ingest->from;
    int64_t strides[TARE_MAX_RANK], at[TARE_MAX_RANK];
    (void)err;

    tare_desc_strides(strides, desc);
    for (int64_t i = 0; i < tare_desc_count(desc); i++) {
        int64_t rest = i, place = 0;
        double value = 0.0;
        for (int axis = desc->rank; axis-- > 0;) {
            at[axis] = rest % desc->dims[axis];
            rest /= desc->dims[axis];
            place += at[axis] * strides[axis];
        }
        if (ingest->table != NULL) {
            const int c = ingest->channel_axis, y = c == 1 ? 2 : 1, x = y + 1;
            const int64_t pixel =
                ((at[0] * desc->dims[y] + at[y]) * desc->dims[x] + at[x]) * desc->dims[c] + at[c];
            value = (double)ingest->table[at[c] * 256 + pixels[pixel]];
        } else if (ingest->from_dtype == TARE_DTYPE_FLOAT) {
            value = (double)((const float *)ingest->from)[i];
        }
        place_element(ingest, (size_t)place, i, value, ingest->from);
    }
    return TARE_OK;
}

tare_status host_ingest(tare_queue *queue, const tare_ingest *ingest, tare_error *err) {
    const host_work push = {.run = do_ingest, .payload.ingest = *ingest};
    TARE_TRY(host_device_call(host_queue_device(queue), "ingest", err));
    host_queue_device(queue)->ingests++;
    return host_queue_push(queue, &push, err);
}

/* ---- statistics ---- */

typedef struct slot_results {
    tare_reduce_record *records;
    tare_reduce_channel *channels;
    tare_quantile_pairs *quantiles;
    float **windows;
} slot_results;

typedef struct collected {
    tare_collect_point point;
    slot_results *fresh;   /* per slot: on the "device" */
    slot_results *fetched; /* per slot: brought to the host */
    uint64_t *codes;       /* relative to top; 0: there are none */
    uint32_t top;
} collected;

struct tare_collector {
    tare_device *device;
    collected *points;
    size_t count, slots;
};

static size_t channels_of(const tare_collect_point *point) {
    return point->channels ? (size_t)point->desc.dims[point->axis] : 0;
}

static size_t window_floats(const tare_collect_point *point, size_t window) {
    const tare_collect_window *w = &point->windows[window];
    return (size_t)(point->desc.dims[0] * w->kernel[0] * w->kernel[1] * point->desc.dims[1]);
}

tare_status host_collector_measure(uint64_t *device_bytes, uint64_t *pinned_bytes,
                                   const tare_collect_point *points, size_t count, size_t slots,
                                   tare_error *err) {
    (void)err;
    *device_bytes = *pinned_bytes = 0;
    for (size_t i = 0; i < count; i++) {
        const uint64_t bytes =
            (uint64_t)points[i].samples *
            (sizeof(tare_reduce_record) + channels_of(&points[i]) * sizeof(tare_reduce_channel) +
             (points[i].quantiles ? sizeof(tare_quantile_pairs) : 0));
        *device_bytes += slots * bytes + (points[i].codes ? TARE_COLLECT_CODE_COUNT * 8 : 0);
        *pinned_bytes += slots * bytes;
    }
    return TARE_OK;
}

static void results_new(slot_results *out, const tare_collect_point *point) {
    const size_t samples = (size_t)point->samples;
    out->records = calloc(samples, sizeof *out->records);
    out->channels = calloc(samples * channels_of(point) + 1, sizeof *out->channels);
    out->quantiles = calloc(samples, sizeof *out->quantiles);
    out->windows = calloc(point->window_count + 1, sizeof *out->windows);
    for (size_t w = 0; w < point->window_count; w++) {
        out->windows[w] = calloc(window_floats(point, w) + 1, sizeof(float));
    }
}

static void results_copy(slot_results *to, const slot_results *from,
                         const tare_collect_point *point) {
    const size_t samples = (size_t)point->samples;
    memcpy(to->records, from->records, samples * sizeof *to->records);
    memcpy(to->channels, from->channels, samples * channels_of(point) * sizeof *to->channels);
    memcpy(to->quantiles, from->quantiles, samples * sizeof *to->quantiles);
    for (size_t w = 0; w < point->window_count; w++) {
        memcpy(to->windows[w], from->windows[w], window_floats(point, w) * sizeof(float));
    }
}

static void results_free(slot_results *results, const tare_collect_point *point) {
    for (size_t w = 0; w < point->window_count; w++) {
        free(results->windows[w]);
    }
    free(results->windows);
    free(results->quantiles);
    free(results->channels);
    free(results->records);
}

tare_status host_collector_new(tare_collector **out, tare_device *device,
                               const tare_collect_point *points, size_t count, size_t slots,
                               tare_error *err) {
    tare_collector *collector;
    TARE_TRY(host_device_call(device, "a collector", err));
    collector = calloc(1, sizeof *collector);
    collector->device = device;
    collector->points = calloc(count + 1, sizeof *collector->points);
    collector->count = count;
    collector->slots = slots;
    for (size_t i = 0; i < count; i++) {
        collected *to = &collector->points[i];
        to->point = points[i];
        to->codes = calloc(TARE_COLLECT_CODE_COUNT, sizeof *to->codes);
        to->fresh = calloc(slots, sizeof *to->fresh);
        to->fetched = calloc(slots, sizeof *to->fetched);
        for (size_t s = 0; s < slots; s++) {
            results_new(&to->fresh[s], &points[i]);
            results_new(&to->fetched[s], &points[i]);
        }
    }
    *out = collector;
    return TARE_OK;
}

void host_collector_free(tare_collector *collector) {
    for (size_t i = 0; collector != NULL && i < collector->count; i++) {
        collected *at = &collector->points[i];
        for (size_t s = 0; s < collector->slots; s++) {
            results_free(&at->fresh[s], &at->point);
            results_free(&at->fetched[s], &at->point);
        }
        free(at->fresh);
        free(at->fetched);
        free(at->codes);
    }
    if (collector != NULL) {
        free(collector->points);
        free(collector);
    }
}

/* In rising order a bin that moves meets only such as have moved. */
static void raise_codes(collected *at, uint32_t top) {
    for (uint32_t bin = 0; bin < TARE_COLLECT_CODE_COUNT && at->top != 0 && at->top < top; bin++) {
        const uint32_t first = bin / TARE_CODE_BINS * TARE_CODE_BINS;
        const uint64_t count = at->codes[bin];
        if (count > 0) {
            at->codes[bin] = 0;
            at->codes[first + tare_code_raised(bin - first, at->top, top)] += count;
        }
    }
    at->top = at->top > top ? at->top : top;
}

static void count_codes(collected *at, const float *data, size_t count) {
    for (size_t i = 0; i < count; i++) {
        uint32_t bits, magnitude;
        memcpy(&bits, &data[i], sizeof bits);
        magnitude = bits & 0x7fffffffU;
        if (magnitude != 0 && magnitude < TARE_CODE_INFINITE) {
            raise_codes(at, tare_code_top(magnitude));
            at->codes[(bits >> 31) * TARE_CODE_BINS + tare_code_of(magnitude, at->top)]++;
        }
    }
}

static tare_status do_collect(host_work *self, tare_error *err) {
    const tare_collect *what = &self->payload.collect.what;
    collected *at = &self->payload.collect.collector->points[what->point];
    const tare_collect_point *point = &at->point;
    slot_results *results = &at->fresh[what->slot];
    tare_desc part = point->desc;
    float *values, *scratch;
    size_t count;

    part.dims[0] /= point->samples;
    part.dtype = TARE_DTYPE_FLOAT;
    count = (size_t)tare_desc_count(&part);
    values = malloc(count * sizeof *values + 1);
    scratch = malloc(TARE_QUANTILE_SCRATCH * sizeof *scratch);
    for (int64_t s = 0; s < what->samples; s++) {
        float *sums[8] = {NULL};
        tare_reduce_request request = {.desc = &part,
                                       .data = values,
                                       .axis = point->axis,
                                       .quantile = point->quantile,
                                       .quantile_scratch = scratch};
        tare_status status;
        for (size_t w = 0; w < point->window_count && w < 8; w++) {
            sums[w] = results->windows[w] +
                      (size_t)s * (window_floats(point, w) / (size_t)point->samples);
        }
        if (point->channels) {
            request.channels = results->channels + (size_t)s * channels_of(point);
        }
        if (point->quantiles) {
            request.quantiles = &results->quantiles[s];
        }
        if (point->window_count > 0) {
            request.windows = point->windows;
            request.window_count = point->window_count;
            request.window_sums = sums;
        }
        host_convert(values, TARE_DTYPE_FLOAT,
                     (const char *)what->data +
                         (size_t)s * count * tare_dtype_bytes(point->desc.dtype),
                     point->desc.dtype, (int64_t)count);
        status = tare_backend_cpu.reduce(&results->records[s], &request, err);
        if (status != TARE_OK) {
            free(values);
            free(scratch);
            return status;
        }
        if (point->codes) {
            count_codes(at, values, count);
        }
    }
    free(values);
    free(scratch);
    return TARE_OK;
}

tare_status host_collect(tare_collector *collector, tare_queue *queue, const tare_collect *what,
                         tare_error *err) {
    const host_work push = {.run = do_collect, .payload.collect = {collector, *what}};
    TARE_TRY(host_device_call(collector->device, "collecting", err));
    return host_queue_push(queue, &push, err);
}

static tare_status do_fetch(host_work *self, tare_error *err) {
    tare_collector *collector = self->payload.collect.collector;
    const size_t slot = self->payload.collect.what.slot;
    (void)err;
    for (size_t i = 0; i < collector->count; i++) {
        collected *at = &collector->points[i];
        results_copy(&at->fetched[slot], &at->fresh[slot], &at->point);
    }
    return TARE_OK;
}

tare_status host_collect_end(tare_collector *collector, tare_queue *queue, size_t slot,
                             tare_error *err) {
    const host_work push = {.run = do_fetch, .payload.collect = {collector, {.slot = slot}}};
    TARE_TRY(host_device_call(collector->device, "fetching statistics", err));
    return host_queue_push(queue, &push, err);
}

void host_collect_result(tare_collect_result *out, tare_collector *collector, size_t slot,
                         size_t point) {
    const collected *at = &collector->points[point];
    *out = (tare_collect_result){
        .records = at->fetched[slot].records,
        .channels = at->point.channels ? at->fetched[slot].channels : NULL,
        .quantiles = at->point.quantiles ? at->fetched[slot].quantiles : NULL,
        .windows =
            at->point.window_count > 0 ? (const float *const *)at->fetched[slot].windows : NULL};
}

tare_status host_collect_codes(uint64_t *counts, uint32_t *top, tare_collector *collector,
                               tare_queue *queue, size_t point, tare_error *err) {
    collected *at = &collector->points[point];
    TARE_TRY(host_queue_wait(queue, err));
    memcpy(counts, at->codes, TARE_COLLECT_CODE_COUNT * sizeof *counts);
    memset(at->codes, 0, TARE_COLLECT_CODE_COUNT * sizeof *counts);
    *top = at->top;
    at->top = 0;
    return TARE_OK;
}
