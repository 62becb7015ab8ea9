/* SPDX-License-Identifier: Apache-2.0 */
/**
 * The estimator `pytorch-entropy`, as the HistogramCalibrator of pytorch-quantization and of
 * TensorRT Model Optimizer computes it from a histogram with method "entropy".
 *
 * 2048 bins of |x| over [0, max |x|], of which the first takes over the count of the second; for
 * i = 128 .. 2048 the divergence of tare_entropy_divergences() with 128 levels (256 for unsigned
 * codes); for the last i where it is least, the threshold is the upper edge of bin i-1.
 */
#include <math.h>

#include "stats/entropy.h"
#include "stats/estimate.h"

#define FIRST          128
#define LEVELS         128
#define LEVELS_NO_SIGN 256

tare_status tare_entropy_pytorch_threshold(double *threshold, tare_arena *scratch,
                                           const tare_linear_histogram *histogram, size_t levels,
                                           tare_error *err) {
    const size_t bins = histogram->bins;
    double *divergence = tare_arena_array(scratch, bins, sizeof *divergence);
    tare_linear_histogram changed = *histogram;
    size_t best = 0;

    changed.counts = tare_arena_array(scratch, bins, sizeof *changed.counts);
    if (divergence == NULL || changed.counts == NULL) {
        return tare_fail_memory(err, bins * sizeof *divergence, "divergences");
    }
    for (size_t i = 0; i < bins; i++) {
        changed.counts[i] = histogram->counts[i == 0 && bins > 1 ? 1 : i];
    }
    TARE_TRY(tare_entropy_divergences(divergence, scratch, &changed, levels, FIRST, err));
    for (size_t i = 1; i + FIRST <= bins; i++) {
        best = divergence[i] <= divergence[best] ? i : best;
    }
    *threshold = tare_linear_edge(histogram, best + FIRST);
    return TARE_OK;
}

static tare_status pytorch_range(tare_estimate *out, tare_arena *scratch,
                                 const tare_tensor_statistics *in,
                                 const tare_estimate_options *options, tare_error *err) {
    const tare_code_span span = tare_statistics_span(in, true);
    const size_t levels = in->min < 0.0F ? LEVELS : LEVELS_NO_SIGN;
    tare_linear_histogram histogram = {.bins = (size_t)options->number, .high = span.max};
    double threshold = 0.0;

    if (span.max > 0.0) {
        TARE_TRY(tare_linear_from_codes(&histogram, scratch, &span, TARE_SPREAD_WHOLE, err));
        TARE_TRY(tare_entropy_pytorch_threshold(&threshold, scratch, &histogram, levels, err));
    }
    tare_estimate_clip(out, in, threshold);
    out->max = options->magnitude ? out->max : fminf(out->max, in->max);
    return TARE_OK;
}

const tare_estimator tare_estimator_pytorch_entropy = {.name = "pytorch-entropy",
                                                       .number_name = "number of bins",
                                                       .number = 2048,
                                                       .number_min = FIRST,
                                                       .number_max = 65536,
                                                       .number_whole = true,
                                                       .needs_histogram = true,
                                                       .range = pytorch_range};
