/* SPDX-License-Identifier: Apache-2.0 */
/** Histograms of equal bins, which the entropy methods and NNCF's histogram method work on. */
#ifndef TARE_STATS_LINEAR_HISTOGRAM_H
#define TARE_STATS_LINEAR_HISTOGRAM_H

#include "base/arena.h"
#include "stats/code_histogram.h"

/** `bins` bins of equal width over [low, high]; the last one includes its upper edge. */
typedef struct tare_linear_histogram {
    size_t bins;
    double low, high;
    double *counts; /**< exact integers unless a caller spreads them */
} tare_linear_histogram;

/** How the values of one code are laid on bins that are narrower. */
typedef enum tare_spread {
    TARE_SPREAD_EVENLY, /**< every bin gets its share, fractions of a value included */
    TARE_SPREAD_WHOLE   /**< whole values at even distances, so that sparse bins stay sparse */
} tare_spread;

/** The lower edge of bin `index`; of `bins`: the upper end. */
double tare_linear_edge(const tare_linear_histogram *histogram, size_t index);

/**
 * Makes a histogram of out->bins bins over [out->low, out->high], which the caller has set, with
 * counts in `arena`. Values outside are not counted; with low == high all that are equal to it are
 * in the first bin. TARE_INVALID_ARGUMENT when there are no bins or the range is not finite.
 */
TARE_MUST_CHECK tare_status tare_linear_from_codes(tare_linear_histogram *out, tare_arena *arena,
                                                   const tare_code_span *span, tare_spread spread,
                                                   tare_error *err);

#endif
