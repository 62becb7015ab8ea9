/* SPDX-License-Identifier: Apache-2.0 */
/**
 * Where in their bin values lie, from the mean of all of them.
 *
 * A bin that holds much more than its neighbours holds a value that repeats, such as what a layer
 * makes of the padding around a picture: what the neighbours hold lies evenly, the rest is one
 * value, at the only place that gives the mean. In other bins a mean beside the middle tells of a
 * density that rises or falls, as where an activation function has its minimum.
 */
#include <math.h>

#include "stats/code_histogram.h"

/* The number of standard deviations that is no chance. */
#define CHANCE 6.0

/* The median of three. */
static double median(const double v[3]) {
    return fmax(fmin(v[0], v[1]), fmin(fmax(v[0], v[1]), v[2]));
}

/* What a bin would hold at the density of its neighbours: the higher median of three on either
 * side, as a bin at the end of a distribution is not exceptional. */
static double usual_count(const uint64_t *counts, int64_t magnitude) {
    double low, high, side[2][3] = {{0}};
    tare_code_edges(&low, &high, (uint32_t)magnitude);
    for (int64_t k = 0; k < 6; k++) {
        const int64_t m = magnitude + (k < 3 ? k - 3 : k - 2);
        if (m >= 0 && m < TARE_CODE_MAGNITUDES && counts[m] > 0) {
            double from, to;
            tare_code_edges(&from, &to, (uint32_t)m);
            side[k / 3][k % 3] = (double)counts[m] * (high - low) / (to - from);
        }
    }
    return fmax(median(side[0]), median(side[1]));
}

/* The mean of the bin's values. The edges are those of the code, not those of the cut bin. */
static double mean_of(const tare_code_bin *bin, bool negative, size_t magnitude, uint64_t places) {
    double low, high, mean;
    tare_code_edges(&low, &high, (uint32_t)magnitude);
    mean = low + (high - low) * (double)places / (double)bin->count / 65536.0;
    return fmin(fmax(negative ? -mean : mean, bin->low), bin->high);
}

static size_t keep_full(tare_code_piece *pieces, size_t count) {
    size_t kept = 0;
    for (size_t i = 0; i < count; i++) {
        if (pieces[i].count > 0.0) {
            pieces[kept++] = pieces[i];
        }
    }
    return kept;
}

size_t tare_code_bin_pieces(tare_code_piece pieces[TARE_CODE_PIECES], const tare_code_span *span,
                            const tare_code_bin *bin) {
    const tare_code_histogram *histogram = span->histogram;
    const bool negative = bin->position < 0;
    const size_t magnitude = (size_t)(negative ? -bin->position : bin->position) - 1;
    const size_t half = negative ? TARE_CODE_MAGNITUDES : 0;
    const double count = (double)bin->count, width = bin->high - bin->low;
    const double middle = 0.5 * (bin->low + bin->high);
    double usual, mean, share;

    pieces[0] = (tare_code_piece){bin->low, bin->high, count};
    if (span->magnitude || histogram->unplaced || bin->position == 0 || !(width > 0.0)) {
        return 1;
    }
    usual = usual_count(histogram->counts + half, (int64_t)magnitude);
    mean = mean_of(bin, negative, magnitude, histogram->places[half + magnitude]);
    if (count - usual > CHANCE * sqrt(usual + 1.0)) {
        const double repeats = count - usual, place = middle + (mean - middle) * count / repeats;
        const double value = fmin(fmax(place, bin->low), bin->high);
        share = (value - bin->low) / width;
        pieces[0] = (tare_code_piece){bin->low, value, usual * share};
        pieces[1] = (tare_code_piece){value, value, repeats};
        pieces[2] = (tare_code_piece){value, bin->high, usual * (1.0 - share)};
        return keep_full(pieces, 3);
    }
    if (fabs(mean - middle) * sqrt(12.0 * count) > CHANCE * width) {
        share = (bin->high - mean) / width;
        pieces[0] = (tare_code_piece){bin->low, mean, count * share};
        pieces[1] = (tare_code_piece){mean, bin->high, count * (1.0 - share)};
        return keep_full(pieces, 2);
    }
    return 1;
}
