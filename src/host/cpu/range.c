/* SPDX-License-Identifier: Apache-2.0 */
/**
 * The range of one operand in one pass.
 *
 * Extremes are taken over order codes (cpu/vector.h), whose ends tell whether there is any NaN or
 * infinity; only then are the elements looked at again and counted. Zeros come out as +0, so that
 * the result does not depend on where a -0 stood.
 */
#include <math.h>
#include <string.h>

#include "cpu/kernels.h"
#include "cpu/vector.h"

/* Elements of a block that both passes of the per-channel reduction find in the first cache. */
#define BLOCK  4096
/* Channels below this are handled several rows at a time. */
#define NARROW 64

static float float_of(int32_t code) {
    const int32_t bits = tare_order_code(code);
    float value;
    memcpy(&value, &bits, sizeof value);
    return value;
}

static int32_t code_of(float value) {
    int32_t bits;
    memcpy(&bits, &value, sizeof bits);
    return tare_order_code(bits);
}

static void merge(float *low, float *high, float min, float max) {
    *low = min < *low ? min : *low;
    *high = max > *high ? max : *high;
}

/* The slow way, for data with NaN or infinities. */
static void count_unusual(tare_range_record *out, const float *in, int64_t count) {
    for (int64_t i = 0; i < count; i++) {
        const float x = in[i];
        if (isnan(x)) {
            out->nan++;
            continue;
        }
        out->positive_infinity += x == INFINITY ? 1U : 0U;
        out->negative_infinity += x == -INFINITY ? 1U : 0U;
        merge(&out->min, &out->max, x, x);
    }
}

static void add_elements(tare_range_record *out, const tare_vector *vector, const float *in,
                         int64_t count) {
    int32_t codes[2] = {INT32_MAX, INT32_MIN};

    vector->range(codes, in, count);
    if (codes[1] >= code_of(INFINITY) || codes[0] <= code_of(-INFINITY)) {
        count_unusual(out, in, count);
    } else if (count > 0) {
        merge(&out->min, &out->max, float_of(codes[0]), float_of(codes[1]));
    }
}

/* Rows of `channels` elements. Narrow rows are joined into wide ones whose columns are folded at
 * the end. */
static void rows_per_channel(tare_range_record *out, const tare_range_request *request,
                             const tare_vector *vector, int64_t rows) {
    const int64_t channels = request->desc->dims[1];
    const int64_t joined = channels < NARROW ? NARROW / channels : 1;
    const int64_t width = channels * joined;
    const float *in = request->data;
    float low[NARROW], high[NARROW];
    float *lows = joined > 1 ? low : request->channel_min;
    float *highs = joined > 1 ? high : request->channel_max;
    int64_t row = 0;

    for (int64_t i = 0; i < NARROW; i++) {
        low[i] = INFINITY;
        high[i] = -INFINITY;
    }
    while (rows - row >= joined) {
        const int64_t left = (rows - row) / joined;
        const int64_t fit = BLOCK / width > 0 ? BLOCK / width : 1;
        const int64_t wide = left < fit ? left : fit;
        vector->range_columns(lows, highs, in + row * channels, wide, width);
        add_elements(out, vector, in + row * channels, wide * width);
        row += wide * joined;
    }
    add_elements(out, vector, in + row * channels, (rows - row) * channels);
    vector->range_columns(request->channel_min, request->channel_max, in + row * channels,
                          rows - row, channels);
    for (int64_t i = 0; joined > 1 && i < width; i++) {
        merge(&request->channel_min[i % channels], &request->channel_max[i % channels], low[i],
              high[i]);
    }
}

static void planes_per_channel(tare_range_record *out, const tare_range_request *request,
                               const tare_vector *vector, int64_t plane) {
    const int64_t channels = request->desc->dims[1];
    const float *in = request->data;

    for (int64_t i = 0; i < request->desc->dims[0] * channels; i++) {
        tare_range_record own = {.min = INFINITY, .max = -INFINITY};
        add_elements(&own, vector, in + i * plane, plane);
        merge(&out->min, &out->max, own.min, own.max);
        merge(&request->channel_min[i % channels], &request->channel_max[i % channels], own.min,
              own.max);
        out->nan += own.nan;
        out->positive_infinity += own.positive_infinity;
        out->negative_infinity += own.negative_infinity;
    }
}

tare_status tare_cpu_range(tare_range_record *out, const tare_range_request *request,
                           tare_error *err) {
    const tare_desc *desc = request->desc;
    const tare_vector *vector = tare_vector_best();
    const int64_t count = tare_desc_count(desc);
    const bool per_channel = request->channel_min != NULL && request->channel_max != NULL;

    *out = (tare_range_record){.min = INFINITY, .max = -INFINITY, .elements = (uint64_t)count};
    if (desc->dtype != TARE_DTYPE_FLOAT || (per_channel && desc->rank < 2)) {
        return tare_fail(err, TARE_INVALID_ARGUMENT, "no range of a %s operand of rank %d",
                         tare_dtype_text(desc->dtype), desc->rank);
    }
    if (count == 0) {
        return TARE_OK;
    }
    if (!per_channel) {
        add_elements(out, vector, request->data, count);
    } else {
        const int64_t channels = desc->dims[1], plane = count / (desc->dims[0] * channels);
        if (plane == 1 || (desc->layout == TARE_LAYOUT_CHANNELS_LAST && desc->rank >= 3)) {
            rows_per_channel(out, request, vector, count / channels);
        } else {
            planes_per_channel(out, request, vector, plane);
        }
        for (int64_t c = 0; c < channels; c++) {
            request->channel_min[c] += 0.0F;
            request->channel_max[c] += 0.0F;
        }
    }
    out->min += 0.0F;
    out->max += 0.0F;
    return TARE_OK;
}
