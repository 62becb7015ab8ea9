/* SPDX-License-Identifier: Apache-2.0 */
/**
 * The code histogram: how often each bfloat16 code occurs among float32 values.
 *
 * The code of a value is the top 16 bits of its pattern: sign, exponent and 7 bits of mantissa. A
 * bin is 0.4 to 0.8 % of its value wide, and no range has to be known or agreed on, so that the
 * counts are the same bits however the values were split, ordered and merged. Zeros of both signs,
 * NaN and infinities have counters of their own.
 */
#ifndef TARE_STATS_CODE_HISTOGRAM_H
#define TARE_STATS_CODE_HISTOGRAM_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/error.h"

/** Codes of finite magnitudes: 0 (denormals too small for another code) to 0x7F7F. */
#define TARE_CODE_MAGNITUDES 0x7F80

/** Counters of one histogram: those of positive values by magnitude, those of negative ones, and
 * the places of both. */
#define TARE_CODE_COUNTERS   ((size_t)4 * TARE_CODE_MAGNITUDES)

/** Owns nothing. To store it, keep the scalars, and counts and places of first..last of both signs:
 * all other counters are 0. */
typedef struct tare_code_histogram {
    uint64_t zeros, nan, positive_infinity, negative_infinity;
    uint64_t *counts;     /**< TARE_CODE_COUNTERS of them, the caller's */
    uint64_t *places;     /**< for each count the sum of what the codes leave of these values'
                             patterns, the lower 16 bits: the second half of `counts` */
    bool unplaced;        /**< something was counted without its place: places mean nothing */
    uint32_t first, last; /**< magnitudes that have occurred lie in between; first > last: none */
} tare_code_histogram;

/** An empty histogram over TARE_CODE_COUNTERS zeroed counters, which must outlive it. */
void tare_code_histogram_init(tare_code_histogram *histogram, uint64_t *counts);

/** Forgets everything that was counted; touches only counters that are in use. */
void tare_code_histogram_clear(tare_code_histogram *histogram);

/** Private counters of one thread (2 MiB), shared by all histograms it adds to. */
typedef struct tare_code_counter tare_code_counter;

TARE_MUST_CHECK tare_status tare_code_counter_new(tare_code_counter **out, tare_error *err);

/** NULL allowed. */
void tare_code_counter_free(tare_code_counter *counter);

/** Bytes of a counter, for the memory plan. */
size_t tare_code_counter_bytes(void);

/** Counts `count` values, of any kind. */
void tare_code_histogram_add(tare_code_histogram *histogram, tare_code_counter *counter,
                             const float *values, size_t count);

/** Adds counts by code with the sign on top, 65536 of them; those of what is not finite must be 0.
 * Zeros are not among them. Nobody knows the places of these values. */
void tare_code_histogram_add_codes(tare_code_histogram *histogram, const uint64_t *counts);

/** Adds the counts of `from`; exact, in any order. */
void tare_code_histogram_merge(tare_code_histogram *into, const tare_code_histogram *from);

/** Whether both hold the same counts. */
bool tare_code_histogram_equal(const tare_code_histogram *a, const tare_code_histogram *b);

/** Number of finite values, zeros included. */
uint64_t tare_code_histogram_finite(const tare_code_histogram *histogram);

/** The smallest magnitude with this code, and the smallest that is beyond it (2^128 after the
 * last). */
void tare_code_edges(double *low, double *high, uint32_t magnitude);

/** A bin that holds something. A point mass (zeros) has low == high. */
typedef struct tare_code_bin {
    double low, high; /**< values x with low <= x < high; for negative values low < x <= high */
    uint64_t count;
    int64_t position; /**< in the walk */
} tare_code_bin;

/** Values that lie evenly in [low, high], or are all the same. */
typedef struct tare_code_piece {
    double low, high, count;
} tare_code_piece;

#define TARE_CODE_PIECES 3

/** What to walk over. */
typedef struct tare_code_span {
    const tare_code_histogram *histogram;
    bool magnitude;  /**< walk over |x|, with the counts of both signs added up */
    double min, max; /**< bounds that the values are known to keep (of |x| when magnitude is set):
                        bins are cut to them; -INFINITY, INFINITY: not known */
} tare_code_span;

/** A position in a walk. */
typedef struct tare_code_walk {
    tare_code_span span;
    int64_t position, end;
} tare_code_walk;

/** Starts before the first bin, in order of rising value. */
void tare_code_walk_init(tare_code_walk *walk, const tare_code_span *span);

/** The next bin that is not empty; false at the end. */
bool tare_code_walk_next(tare_code_bin *bin, tare_code_walk *walk);

/**
 * What the values of a bin of a walk over signed values are taken for; the return value is the
 * number of pieces, which are in order of value and have the bin's count and, where places are
 * known, its mean. Values that repeat are a piece of their own.
 */
size_t tare_code_bin_pieces(tare_code_piece pieces[TARE_CODE_PIECES], const tare_code_span *span,
                            const tare_code_bin *bin);

/** Number of bins that are not empty. */
size_t tare_code_span_bins(const tare_code_span *span);

/**
 * The q-quantile (0 <= q <= 1) with linear interpolation between order statistics, as NumPy
 * defines it, where values are taken to lie evenly within their bin and the outermost at the
 * span's bounds. Off by at most the width of one bin. NaN when there are no values.
 */
double tare_code_span_quantile(const tare_code_span *span, double q);

#endif
