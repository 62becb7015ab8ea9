/* SPDX-License-Identifier: Apache-2.0 */
/**
 * The estimator `trt-entropy`, after the public slides on TensorRT's calibrator (S. Migacz, 8-bit
 * inference with TensorRT, GTC 2017); the calibrator itself was never published.
 *
 * 2048 bins of |x| over [0, max |x|]; for i = 128 .. 2048 the divergence of
 * tare_entropy_divergences() with 128 levels; for the first i where it is least, the threshold is
 * (i + 0.5) bins.
 */
#include <math.h>

#include "stats/entropy.h"
#include "stats/estimate.h"

#define LEVELS 128

tare_status tare_entropy_trt_threshold(double *threshold, tare_arena *scratch,
                                       const tare_linear_histogram *histogram, tare_error *err) {
    double *divergence = tare_arena_array(scratch, histogram->bins, sizeof *divergence);
    size_t best = 0;

    if (divergence == NULL) {
        return tare_fail_memory(err, histogram->bins * sizeof *divergence, "divergences");
    }
    TARE_TRY(tare_entropy_divergences(divergence, scratch, histogram, LEVELS, LEVELS, err));
    for (size_t i = 1; i + LEVELS <= histogram->bins; i++) {
        best = divergence[i] < divergence[best] ? i : best;
    }
    *threshold = (histogram->high - histogram->low) / (double)histogram->bins *
                 ((double)(best + LEVELS) + 0.5);
    return TARE_OK;
}

static tare_status trt_range(tare_estimate *out, tare_arena *scratch,
                             const tare_tensor_statistics *in, const tare_estimate_options *options,
                             tare_error *err) {
    const tare_code_span span = tare_statistics_span(in, true);
    tare_linear_histogram histogram = {.bins = (size_t)options->number, .high = span.max};
    double threshold = 0.0;

    if (span.max > 0.0) {
        TARE_TRY(tare_linear_from_codes(&histogram, scratch, &span, TARE_SPREAD_WHOLE, err));
        TARE_TRY(tare_entropy_trt_threshold(&threshold, scratch, &histogram, err));
    }
    tare_estimate_clip(out, in, threshold);
    out->max = options->magnitude ? out->max : fminf(out->max, in->max);
    return TARE_OK;
}

const tare_estimator tare_estimator_trt_entropy = {.name = "trt-entropy",
                                                   .number_name = "number of bins",
                                                   .number = 2048,
                                                   .number_min = LEVELS,
                                                   .number_max = 65536,
                                                   .number_whole = true,
                                                   .needs_histogram = true,
                                                   .range = trt_range};
