/* SPDX-License-Identifier: Apache-2.0 */
/**
 * The estimator `nncf-histogram`: NNCF 3.2, HistogramAggregator, which follows PyTorch's
 * HistogramObserver.
 *
 * 2048 bins over [min, max]. The range starts as a whole; the quantiles that it may cut advance by
 * 1e-5, each time on the side where that moves the end further, as long as the error falls:
 *
 *   error of bins s..e = sum over all bins of the integral of the squared distance to the centre of
 *                        the nearest of 256 equal parts of the range
 *
 * NNCF grows its histogram sample by sample, and moves counts to other bins when the range grows;
 * ours is taken of everything at once, with whole counts, because the search stops at the slightest
 * rise and fractions in bins that should be empty make it stop early. As there, no magnitudes are
 * taken: a symmetric quantizer uses the upper end only (the estimator `mse` counts both tails).
 */
#include <math.h>

#include "stats/nncf.h"

#define BINS  2048
#define PARTS 256.0
#define STEP  1e-5

/* The integral of squared distances from a to b, for values of density 1. */
static double cubes(double a, double b) {
    return (b * b * b - a * a * a) / 3.0;
}

static double part_of(double place, double width) {
    return fmin(fmax(floor(place / width), 0.0), PARTS - 1.0);
}

static double error_of(const tare_linear_histogram *histogram, size_t first, size_t last) {
    const double bin = (histogram->high - histogram->low) / (double)histogram->bins;
    const double part = bin * (double)(last - first + 1) / PARTS, half = part / 2.0;
    double error = 0.0;

    if (part == 0.0) {
        return 0.0;
    }
    for (size_t i = 0; i < histogram->bins; i++) {
        if (histogram->counts[i] == 0.0) {
            continue;
        }
        const double begin = ((double)i - (double)first) * bin, end = begin + bin;
        const double from = part_of(begin, part), to = part_of(end, part);
        const double whole = cubes(-half, half);
        error += histogram->counts[i] / bin *
                 (cubes(begin - (from + 0.5) * part, half) + (to - from - 1.0) * whole +
                  cubes(-half, end - (to * part + half)));
    }
    return error;
}

void tare_nncf_histogram_search(double range[2], const tare_linear_histogram *histogram) {
    const double bin = (histogram->high - histogram->low) / (double)histogram->bins;
    double total = 0.0, best = INFINITY, low = 0.0, high = 1.0, before = 0.0, through;
    size_t first = 0, last = histogram->bins - 1;

    for (size_t i = 0; i < histogram->bins; i++) {
        total += histogram->counts[i];
    }
    through = total; /* values in bins 0..last; `before`: in bins 0..first-1 */
    while (low < high) {
        const double next_low = low + STEP, next_high = high - STEP;
        size_t left = first, right = last;
        double left_before = before, right_through = through;
        while (left < last && left_before + histogram->counts[left] < next_low * total) {
            left_before += histogram->counts[left];
            left++;
        }
        while (right > first && right_through > next_high * total) {
            right_through -= histogram->counts[right];
            right--;
        }
        const bool move_first = left - first > last - right;
        low = move_first ? next_low : low;
        high = move_first ? high : next_high;
        if (move_first ? left == first : right == last) {
            continue;
        }
        const double error =
            error_of(histogram, move_first ? left : first, move_first ? last : right);
        if (error > best) {
            break;
        }
        best = error;
        first = move_first ? left : first;
        before = move_first ? left_before : before;
        last = move_first ? last : right;
        through = move_first ? through : right_through;
    }
    range[0] = histogram->low + bin * (double)first;
    range[1] = histogram->low + bin * (double)(last + 1);
}

static tare_status nncf_histogram_range(tare_estimate *out, tare_arena *scratch,
                                        const tare_tensor_statistics *in,
                                        const tare_estimate_options *options, tare_error *err) {
    const tare_code_span span = tare_statistics_span(in, false);
    tare_linear_histogram histogram = {.bins = BINS, .low = span.min, .high = span.max};
    double range[2] = {span.min, span.max};

    TARE_UNUSED(options);
    if (span.max > span.min) {
        TARE_TRY(tare_linear_from_codes(&histogram, scratch, &span, TARE_SPREAD_WHOLE, err));
        tare_nncf_histogram_search(range, &histogram);
    }
    out->min = (float)range[0];
    out->max = (float)range[1];
    return TARE_OK;
}

const tare_estimator tare_estimator_nncf_histogram = {
    .name = "nncf-histogram", .needs_histogram = true, .range = nncf_histogram_range};
