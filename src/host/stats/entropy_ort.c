/* SPDX-License-Identifier: Apache-2.0 */
/**
 * The estimator `ort-entropy=BINS`, as ONNX Runtime's EntropyCalibrater computes it (1.32,
 * onnxruntime.quantization.calibrate) from the histogram of one collection.
 *
 * n bins (default 128) over [-T, T], T = max |x|, z = n / 2; for i = 64 .. z:
 *   S = H[z-i .. min(z+i, n-1)];  P = S, with what lies outside added to its first and last bin
 *   Q = S in 128 groups of |S| / 128 bins, what remains joined to the last; each group's sum,
 * divided by the number of its bins where P > 0 and cut to an integer, in all of its bins P and Q:
 * zeros become 1e-4 and the others lose as much in total;  D = KL(P || Q) The range is that of the
 * first i where D is least. With 128 bins there is a single i: the result is min and max. Single
 * precision like the original, with its order of summation, because it decides between neighbours
 * that are nearly equal.
 */
#include <math.h>

#include "stats/entropy.h"
#include "stats/estimate.h"

#define LEVELS    128
#define SMOOTHING 1e-4
/* Below this length a sum is taken in 8 interleaved parts; above it is halved. */
#define SUM_BLOCK 128

static float sum_of(const float *x, size_t count) {
    float part[8], sum = 0.0F;
    if (count < 8) {
        for (size_t i = 0; i < count; i++) {
            sum += x[i];
        }
        return sum;
    }
    if (count > SUM_BLOCK) {
        const size_t half = count / 2 - count / 2 % 8;
        return sum_of(x, half) + sum_of(x + half, count - half);
    }
    const size_t whole = count - count % 8;
    for (size_t k = 0; k < 8; k++) {
        part[k] = x[k];
    }
    for (size_t i = 8; i < whole; i++) {
        part[i % 8] += x[i];
    }
    sum = ((part[0] + part[1]) + (part[2] + part[3])) + ((part[4] + part[5]) + (part[6] + part[7]));
    for (size_t i = whole; i < count; i++) {
        sum += x[i];
    }
    return sum;
}

/* false when everything is zero. */
static bool smooth(float *out, const double *counts, size_t bins) {
    size_t zeros = 0;
    for (size_t i = 0; i < bins; i++) {
        zeros += counts[i] == 0.0 ? 1 : 0;
    }
    if (zeros == bins) {
        return false;
    }
    const float less = (float)(SMOOTHING * (double)zeros / (double)(bins - zeros));
    for (size_t i = 0; i < bins; i++) {
        out[i] = counts[i] == 0.0 ? (float)SMOOTHING : (float)counts[i] - less;
    }
    return true;
}

static float divergence_of(float *p, float *q, size_t bins) {
    const float sum_p = sum_of(p, bins), sum_q = sum_of(q, bins);
    for (size_t i = 0; i < bins; i++) {
        const float a = p[i] / sum_p, b = q[i] / sum_q;
        p[i] = a * logf(a / b);
    }
    return sum_of(p, bins);
}

/* Q from the slice S; `used` is P. */
static void group(double *q, const double *slice, const double *used, size_t bins) {
    const size_t width = bins / LEVELS;
    for (size_t i = 0; i < bins; i++) {
        q[i] = 0.0;
    }
    for (size_t k = 0; k < LEVELS; k++) {
        const size_t begin = k * width, end = begin + width;
        double sum = 0.0, count = 0.0;
        for (size_t i = begin; i < (k + 1 == LEVELS ? bins : end); i++) {
            sum += slice[i];
            count += i < end && used[i] != 0.0 ? 1.0 : 0.0;
        }
        for (size_t i = begin; i < end && count > 0.0; i++) {
            q[i] = floor(sum / count);
        }
    }
}

typedef struct workspace {
    double *p, *q;
    float *smooth_p, *smooth_q;
} workspace;

static float candidate(const workspace *w, const tare_linear_histogram *histogram, size_t begin,
                       size_t end) {
    const size_t bins = end - begin;
    for (size_t i = 0; i < bins; i++) {
        w->p[i] = histogram->counts[begin + i];
    }
    for (size_t i = 0; i < begin; i++) {
        w->p[0] += histogram->counts[i];
    }
    for (size_t i = end; i < histogram->bins; i++) {
        w->p[bins - 1] += histogram->counts[i];
    }
    group(w->q, histogram->counts + begin, w->p, bins);
    if (!smooth(w->smooth_p, w->p, bins) || !smooth(w->smooth_q, w->q, bins)) {
        return INFINITY;
    }
    return divergence_of(w->smooth_p, w->smooth_q, bins);
}

tare_status tare_entropy_ort_range(double range[2], tare_arena *scratch,
                                   const tare_linear_histogram *histogram, tare_error *err) {
    const size_t bins = histogram->bins, zero = bins / 2;
    const workspace w = {.p = tare_arena_array(scratch, bins, sizeof(double)),
                         .q = tare_arena_array(scratch, bins, sizeof(double)),
                         .smooth_p = tare_arena_array(scratch, bins, sizeof(float)),
                         .smooth_q = tare_arena_array(scratch, bins, sizeof(float))};
    float best = INFINITY;

    if (w.p == NULL || w.q == NULL || w.smooth_p == NULL || w.smooth_q == NULL) {
        return tare_fail_memory(err, bins * 2 * (sizeof(double) + sizeof(float)), "divergences");
    }
    if (bins < LEVELS) {
        return tare_fail(err, TARE_INVALID_ARGUMENT,
                         "an entropy search needs a histogram of at least %d bins, got %zu", LEVELS,
                         bins);
    }
    for (size_t i = LEVELS / 2; i <= zero; i++) {
        const size_t begin = zero - i, end = zero + i + 1 < bins ? zero + i + 1 : bins;
        const float divergence = candidate(&w, histogram, begin, end);
        if (i == LEVELS / 2 || divergence < best) {
            best = divergence;
            range[0] = tare_linear_edge(histogram, begin);
            range[1] = tare_linear_edge(histogram, end);
        }
    }
    return TARE_OK;
}

static tare_status ort_range(tare_estimate *out, tare_arena *scratch,
                             const tare_tensor_statistics *in, const tare_estimate_options *options,
                             tare_error *err) {
    const tare_code_span span = tare_statistics_span(in, false);
    const double top = tare_statistics_magnitude(in);
    tare_linear_histogram histogram = {.bins = (size_t)options->number, .low = -top, .high = top};
    double range[2] = {0.0, 0.0};

    if (top > 0.0) {
        TARE_TRY(tare_linear_from_codes(&histogram, scratch, &span, TARE_SPREAD_WHOLE, err));
        TARE_TRY(tare_entropy_ort_range(range, scratch, &histogram, err));
    }
    out->min = fmaxf((float)range[0], in->min);
    out->max = fminf((float)range[1], in->max);
    if (options->magnitude) {
        tare_estimate_clip(out, in, fmax(fabs((double)out->min), fabs((double)out->max)));
    }
    return TARE_OK;
}

const tare_estimator tare_estimator_ort_entropy = {.name = "ort-entropy",
                                                   .number_name = "number of bins",
                                                   .number = LEVELS,
                                                   .number_min = LEVELS,
                                                   .number_max = 16384,
                                                   .number_whole = true,
                                                   .needs_histogram = true,
                                                   .range = ort_range};
