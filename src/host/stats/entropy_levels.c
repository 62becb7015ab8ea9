/* SPDX-License-Identifier: Apache-2.0 */
/** Divergences of a histogram in groups of bins, for the variants that spread over bins in use. */
#include <math.h>

#include "stats/entropy.h"

static double times_log(double x) {
    return x > 0.0 ? x * log(x) : 0.0;
}

/* Running sums over the bins before each: counts, bins in use, counts times their logarithms. */
typedef struct running {
    double *count, *used, *entropy;
} running;

static tare_status run_up(running *out, tare_arena *scratch, const tare_linear_histogram *histogram,
                          tare_error *err) {
    double **arrays[] = {&out->count, &out->used, &out->entropy};
    for (size_t k = 0; k < 3; k++) {
        *arrays[k] = tare_arena_array(scratch, histogram->bins + 1, sizeof(double));
        if (*arrays[k] == NULL) {
            return tare_fail_memory(err, (histogram->bins + 1) * sizeof(double), "running sums");
        }
    }
    for (size_t j = 0; j < histogram->bins; j++) {
        const double count = histogram->counts[j];
        out->count[j + 1] = out->count[j] + count;
        out->used[j + 1] = out->used[j] + (count > 0.0 ? 1.0 : 0.0);
        out->entropy[j + 1] = out->entropy[j] + times_log(count);
    }
    return TARE_OK;
}

/* For P and Q that are not normalised yet, KL = (sum P ln P - sum P ln Q) / N - ln N + ln M with
 * N = sum P and M = sum Q. */
static double divergence(const running *sums, size_t bins, size_t kept, size_t levels) {
    const double total = sums->count[bins], inner = sums->count[kept], outer = total - inner;
    const double last = sums->count[kept] - sums->count[kept - 1];
    double cross = 0.0, log_last = 0.0;

    if (inner <= 0.0 || (outer > 0.0 && last <= 0.0)) {
        return INFINITY;
    }
    for (size_t k = 0, begin = 0; k < levels; k++) {
        const size_t end = ((k + 1) * kept + levels - 1) / levels;
        const double count = sums->count[end] - sums->count[begin];
        if (count > 0.0) {
            log_last = log(count / (sums->used[end] - sums->used[begin]));
            cross += count * log_last;
        }
        begin = end;
    }
    const double self = sums->entropy[kept - 1] + times_log(last + outer);
    return (self - cross - outer * log_last) / total + log(inner / total);
}

tare_status tare_entropy_divergences(double *out, tare_arena *scratch,
                                     const tare_linear_histogram *histogram, size_t levels,
                                     size_t first, tare_error *err) {
    running sums;
    if (first == 0 || levels == 0 || histogram->bins < first) {
        return tare_fail(err, TARE_INVALID_ARGUMENT,
                         "an entropy search needs a histogram of at least %zu bins, got %zu", first,
                         histogram->bins);
    }
    TARE_TRY(run_up(&sums, scratch, histogram, err));
    for (size_t kept = first; kept <= histogram->bins; kept++) {
        out[kept - first] = divergence(&sums, histogram->bins, kept, levels);
    }
    return TARE_OK;
}
