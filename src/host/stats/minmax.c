/* SPDX-License-Identifier: Apache-2.0 */
/**
 * The method `minmax`: NNCF's default range estimators (NNCF 3.2.0, MinMaxQuantization).
 *
 *   per tensor:   min = mean over samples of min(x),  max = mean over samples of max(x), or of max
 * |x| per channel:  min and max over all samples, or max |x|
 *
 * Sums are kept in double and rounded once, so that the result does not depend on the number of
 * samples in a way that float32 sums would.
 */
#include <math.h>

#include "stats/method.h"

static float magnitude_of(float min, float max) {
    return fmaxf(fabsf(min), fabsf(max));
}

static tare_status per_tensor(tare_range *out, const tare_state *state, size_t point,
                              bool magnitude, tare_error *err) {
    double sum_min = 0.0, sum_max = 0.0;
    uint64_t count = 0;
    for (uint64_t i = 0; i < tare_state_sample_count(state); i++) {
        tare_sample_numbers numbers;
        if (tare_state_sample_numbers(&numbers, state, point, i)) {
            const float min = numbers.of[TARE_SAMPLE_MIN], max = numbers.of[TARE_SAMPLE_MAX];
            sum_min += (double)min;
            sum_max += (double)(magnitude ? magnitude_of(min, max) : max);
            count++;
        }
    }
    if (count == 0) {
        return tare_fail(err, TARE_INVALID_ARGUMENT, "no sample has values for tensor '%s'",
                         tare_state_point(state, point)->tensor);
    }
    out->min[0] = (float)(sum_min / (double)count);
    out->max[0] = (float)(sum_max / (double)count);
    return TARE_OK;
}

static tare_status minmax_range(tare_range *out, const tare_state *state, size_t point,
                                bool magnitude, tare_error *err) {
    const float *min = tare_state_channel_min(state, point);
    const float *max = tare_state_channel_max(state, point);
    if (out->channels == 0) {
        return per_tensor(out, state, point, magnitude, err);
    }
    for (int64_t c = 0; c < out->channels; c++) {
        if (min[c] > max[c]) {
            return tare_fail(err, TARE_INVALID_ARGUMENT,
                             "no sample has values for channel %lld of tensor '%s'", (long long)c,
                             tare_state_point(state, point)->tensor);
        }
        out->min[c] = min[c];
        out->max[c] = magnitude ? magnitude_of(min[c], max[c]) : max[c];
    }
    return TARE_OK;
}

const tare_method tare_method_minmax = {.name = "minmax", .range = minmax_range};
