/* SPDX-License-Identifier: Apache-2.0 */
/**
 * Searches for a range by the Kullback-Leibler divergence, on histograms of equal bins.
 *
 * They are apart from the estimators of the same names so that the originals and ours can be fed
 * the same histogram.
 */
#ifndef TARE_STATS_ENTROPY_H
#define TARE_STATS_ENTROPY_H

#include "stats/linear_histogram.h"

/**
 * Divergence of the clipped from the quantized histogram for each number of bins i that is kept,
 * first <= i <= histogram->bins, into out[i - first].
 *
 *   P = H[0..i-1], with everything behind added to bin i-1
 *   Q = H[0..i-1] in `levels` groups (bin j in group j levels / i), each spread over those of its
 *       bins that are not empty
 *   D = KL(P / sum P || Q / sum Q), infinite where P > 0 and Q = 0
 *
 * Logarithms are taken of groups, not of bins: the sums within them are differences of running
 * sums.
 */
TARE_MUST_CHECK tare_status tare_entropy_divergences(double *out, tare_arena *scratch,
                                                     const tare_linear_histogram *histogram,
                                                     size_t levels, size_t first, tare_error *err);

/** Threshold of the estimator trt-entropy for a histogram of magnitudes from 0 on. */
TARE_MUST_CHECK tare_status tare_entropy_trt_threshold(double *threshold, tare_arena *scratch,
                                                       const tare_linear_histogram *histogram,
                                                       tare_error *err);

/** Threshold of the estimator pytorch-entropy for a histogram of magnitudes from 0 on; `levels` is
 * 128 for signed codes, 256 for unsigned ones. */
TARE_MUST_CHECK tare_status tare_entropy_pytorch_threshold(double *threshold, tare_arena *scratch,
                                                           const tare_linear_histogram *histogram,
                                                           size_t levels, tare_error *err);

/** Range of the estimator ort-entropy for a histogram over [-T, T] with whole counts, before it is
 * cut to the extremes of the values. */
TARE_MUST_CHECK tare_status tare_entropy_ort_range(double range[2], tare_arena *scratch,
                                                   const tare_linear_histogram *histogram,
                                                   tare_error *err);

#endif
