/* SPDX-License-Identifier: Apache-2.0 */
/** The reference of the statistics kernels. Slow and direct on purpose. */
#include "reference.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

uint32_t reference_bits(float value) {
    uint32_t bits;
    memcpy(&bits, &value, sizeof bits);
    return bits;
}

static float float_of(uint32_t bits) {
    float value;
    memcpy(&value, &bits, sizeof value);
    return value;
}

/* A denormal half is shifted up until its leading one stands where a normal number hides it. */
static float half_of(uint16_t bits) {
    const uint32_t sign = (uint32_t)(bits & 0x8000U) << 16;
    uint32_t exponent = bits >> 10 & 31U, mantissa = bits & 1023U;

    if (exponent == 31) {
        return float_of(sign | 0x7f800000U | mantissa << 13);
    }
    if (exponent == 0 && mantissa == 0) {
        return float_of(sign);
    }
    exponent += 112;
    if (exponent == 112) {
        for (exponent++; (mantissa & 1024U) == 0; exponent--) {
            mantissa <<= 1;
        }
    }
    return float_of(sign | exponent << 23 | (mantissa & 1023U) << 13);
}

float reference_element(tare_dtype dtype, const void *data, uint64_t index) {
    if (dtype == TARE_DTYPE_FLOAT) {
        return ((const float *)data)[index];
    }
    const uint16_t bits = ((const uint16_t *)data)[index];
    return dtype == TARE_DTYPE_FLOAT16 ? half_of(bits) : float_of((uint32_t)bits << 16);
}

static bool is_finite(float x) {
    return (reference_bits(x) & 0x7f800000U) != 0x7f800000U;
}

static void merge_range(float *low, float *high, float min, float max) {
    *low = min < *low ? min : *low;
    *high = max > *high ? max : *high;
}

/* Neighbours, then neighbouring results. `count` is a power of two. */
static double pairwise(double *lanes, unsigned count) {
    for (; count > 1; count /= 2) {
        for (unsigned i = 0; i < count / 2; i++) {
            lanes[i] = lanes[2 * i] + lanes[2 * i + 1];
        }
    }
    return lanes[0];
}

static float pairwise_float(float *lanes, unsigned count) {
    for (; count > 1; count /= 2) {
        for (unsigned i = 0; i < count / 2; i++) {
            lanes[i] = lanes[2 * i] + lanes[2 * i + 1];
        }
    }
    return lanes[0];
}

static float rounded(double sum) {
    const float value = (float)sum;
    return isnan(value) ? float_of(0x7fc00000U) : value;
}

/* Zeros become positive. */
static float plain(float value) {
    return value == 0.0F ? 0.0F : value;
}

static void reduce_column(tare_stats_column *out, const tare_stats_tensor *tensor, uint64_t sample,
                          uint64_t column, uint64_t columns) {
    double tile_lanes[TARE_STATS_TILE_LANES] = {0};
    const uint64_t elements = tensor->sample_elements;

    *out = (tare_stats_column){.min = INFINITY, .max = -INFINITY};
    for (uint64_t tile = 0; tile * TARE_STATS_TILE_ROWS * columns + column < elements; tile++) {
        float lanes[TARE_STATS_LANES] = {0};
        for (uint64_t i = 0; i < TARE_STATS_TILE_ROWS; i++) {
            const uint64_t row = tile * TARE_STATS_TILE_ROWS + i;
            if (row * columns + column >= elements) {
                break;
            }
            const float x = reference_element(tensor->dtype, tensor->data,
                                              sample * elements + row * columns + column);
            if (is_finite(x)) {
                lanes[row % TARE_STATS_LANES] += x;
                merge_range(&out->min, &out->max, x, x);
            }
        }
        tile_lanes[tile % TARE_STATS_TILE_LANES] += (double)pairwise_float(lanes, TARE_STATS_LANES);
    }
    out->min = plain(out->min);
    out->max = plain(out->max);
    out->sum = rounded(pairwise(tile_lanes, TARE_STATS_TILE_LANES));
}

static void count_element(tare_stats_record *record, float x) {
    record->zeros += x == 0.0F ? 1U : 0U;
    record->nan += isnan(x) ? 1U : 0U;
    record->positive_infinity += x == INFINITY ? 1U : 0U;
    record->negative_infinity += x == -INFINITY ? 1U : 0U;
}

void reference_reduce(tare_stats_record *record, tare_stats_column *columns,
                      const tare_stats_tensor *tensor, uint64_t sample) {
    const uint64_t count = tensor->channels > 0 ? tensor->channels : TARE_STATS_FLAT_COLUMNS;
    double lanes[TARE_STATS_COLUMN_LANES] = {0};

    *record = (tare_stats_record){.min = INFINITY, .max = -INFINITY};
    for (uint64_t column = 0; column < count; column++) {
        reduce_column(&columns[column], tensor, sample, column, count);
        merge_range(&record->min, &record->max, columns[column].min, columns[column].max);
        lanes[column % TARE_STATS_COLUMN_LANES] += (double)columns[column].sum;
    }
    record->sum = rounded(pairwise(lanes, TARE_STATS_COLUMN_LANES));
    for (uint64_t i = 0; i < tensor->sample_elements; i++) {
        count_element(record, reference_element(tensor->dtype, tensor->data,
                                                sample * tensor->sample_elements + i));
    }
}

uint32_t reference_top(const tare_stats_tensor *tensor, uint64_t samples) {
    uint32_t top = 0;
    for (uint64_t i = 0; i < samples * tensor->sample_elements; i++) {
        const float x = reference_element(tensor->dtype, tensor->data, i);
        if (is_finite(x) && x != 0.0F) {
            const uint32_t asked = tare_code_top(reference_bits(x) & 0x7fffffffU);
            top = asked > top ? asked : top;
        }
    }
    return top;
}

void reference_codes(uint64_t *bins, const tare_stats_tensor *tensor, uint64_t samples,
                     uint32_t top) {
    for (uint64_t i = 0; i < samples * tensor->sample_elements; i++) {
        const float x = reference_element(tensor->dtype, tensor->data, i);
        if (is_finite(x) && x != 0.0F) {
            const uint32_t bin = tare_code_of(reference_bits(x) & 0x7fffffffU, top);
            bins[(x < 0.0F ? TARE_CODE_BINS : 0) + bin]++;
        }
    }
}

static int compare(const void *a, const void *b) {
    const float x = *(const float *)a, y = *(const float *)b;
    return (x > y) - (x < y);
}

tare_quantile_pairs reference_quantiles(tare_dtype dtype, const void *sample, uint64_t elements,
                                        double p) {
    const tare_quantile_place low = tare_quantile_find(p, elements);
    const tare_quantile_place high = tare_quantile_find(1.0 - p, elements);
    float *sorted = malloc(elements * sizeof *sorted);
    tare_quantile_pairs out;

    for (uint64_t i = 0; i < elements; i++) {
        sorted[i] = plain(reference_element(dtype, sample, i));
    }
    qsort(sorted, elements, sizeof *sorted, compare);
    out = (tare_quantile_pairs){{sorted[low.index], sorted[low.next]},
                                {sorted[high.index], sorted[high.next]}};
    free(sorted);
    return out;
}

/* The element that output `out` meets with kernel position `tap`; -1 in the padding. */
static int64_t met(const tare_window_tensor *tensor, int axis, uint64_t out, uint32_t tap) {
    const int64_t at =
        (int64_t)(out * tensor->stride[axis] + (uint64_t)tap * tensor->dilation[axis]) -
        (int64_t)tensor->padding[axis];
    return at >= 0 && (uint64_t)at < tensor->size[axis] ? at : -1;
}

float reference_window_sum(const tare_window_tensor *tensor, uint64_t sample, const uint32_t tap[2],
                           uint64_t channel) {
    double sum = 0;

    for (uint64_t y = 0; y < tensor->output[0]; y++) {
        const int64_t row = met(tensor, 0, y, tap[0]);
        float row_sum = 0;
        if (row < 0) {
            continue;
        }
        for (uint64_t x = 0; x < tensor->output[1]; x++) {
            const int64_t column = met(tensor, 1, x, tap[1]);
            const uint64_t pixel =
                (sample * tensor->size[0] + (uint64_t)row) * tensor->size[1] + (uint64_t)column;
            if (column >= 0) {
                const float value = reference_element(tensor->dtype, tensor->data,
                                                      pixel * tensor->channels + channel);
                row_sum += is_finite(value) ? value : 0.0F;
            }
        }
        sum += (double)row_sum;
    }
    return rounded(sum);
}
