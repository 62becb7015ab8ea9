/* SPDX-License-Identifier: Apache-2.0 */
/**
 * The code histogram: how often each code (exec/code.h) occurs among float32 values.
 *
 * No range has to be known or agreed on: bins are relative to the largest magnitude that has been
 * counted, and grow together exactly when a larger one comes. So the counts are the same bits
 * however the values were split, ordered and merged. Zeros of both signs, NaN and infinities have
 * counters of their own.
 */
#ifndef TARE_STATS_CODE_HISTOGRAM_H
#define TARE_STATS_CODE_HISTOGRAM_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/error.h"
#include "exec/code_find.h"

/** Counters of one histogram: those of positive values by bin, then those of negative ones. */
#define TARE_CODE_COUNTERS        ((size_t)2 * TARE_CODE_BINS)

/** Memory of these counters. */
#define TARE_CODE_HISTOGRAM_BYTES (TARE_CODE_COUNTERS * (sizeof(uint32_t) + sizeof(uint16_t)))

/** Counts stay below this. */
#define TARE_CODE_COUNT_END       ((uint64_t)1 << 48)

/** Owns nothing. To store it, keep the scalars and the counts of first..last of both signs: all
 * other counters are 0. */
typedef struct tare_code_histogram {
    uint64_t zeros, nan, positive_infinity, negative_infinity;
    uint32_t *counts;     /**< the lower bits of TARE_CODE_COUNTERS counters, the caller's memory */
    uint16_t *high;       /**< their upper bits, hardly ever touched: behind the lower ones */
    uint32_t top;         /**< of the largest magnitude (exec/code.h); 0: there is none */
    uint32_t first, last; /**< bins that hold something lie in between; first > last: none */
    uint32_t touched[2];  /**< per sign: the top whose bins have memory already */
} tare_code_histogram;

/** An empty histogram in TARE_CODE_HISTOGRAM_BYTES of zeroed memory, which must outlive it. */
void tare_code_histogram_init(tare_code_histogram *histogram, void *memory);

/** A counter: of a bin, and TARE_CODE_BINS further on of that for negative values. */
static inline uint64_t tare_code_count(const tare_code_histogram *histogram, size_t counter) {
    return histogram->counts[counter] | (uint64_t)histogram->high[counter] << 32;
}

/** Sets a counter to less than TARE_CODE_COUNT_END; first, last and top are the caller's to keep.
 */
void tare_code_histogram_set(tare_code_histogram *histogram, size_t counter, uint64_t count);

/** Forgets everything that was counted; touches only counters that are in use. */
void tare_code_histogram_clear(tare_code_histogram *histogram);

/** Private counters of one thread (0.4 MB), shared by all histograms it adds to. */
typedef struct tare_code_counter tare_code_counter;

TARE_MUST_CHECK tare_status tare_code_counter_new(tare_code_counter **out, tare_error *err);

/** NULL allowed. */
void tare_code_counter_free(tare_code_counter *counter);

/** Bytes of a counter, for the memory plan. */
size_t tare_code_counter_bytes(void);

/** What must be known of values before they are counted. */
typedef struct tare_code_extent {
    uint32_t largest; /**< pattern of the largest finite magnitude; 0: all are zeros */
    bool finite;      /**< all are */
    bool negative;    /**< some may be */
} tare_code_extent;

tare_code_extent tare_code_extent_of(const float *values, size_t count);

/** Counts `count` values into an empty counter, at most TARE_CODE_COUNTER_MOST of them. The
 * histogram they are for has the top `top` now; a later change costs time and nothing else. find:
 * what finds bins fast on this machine; NULL: tare_code_find(). */
void tare_code_counter_count(tare_code_counter *counter, tare_code_finder find, uint32_t top,
                             const tare_code_extent *extent, const float *values, size_t count);

#define TARE_CODE_COUNTER_MOST ((size_t)1 << 30)

/** Adds what a counter holds, and empties it. */
void tare_code_histogram_take(tare_code_histogram *histogram, tare_code_counter *counter);

/** Counts `count` values, of any kind. */
void tare_code_histogram_add(tare_code_histogram *histogram, tare_code_counter *counter,
                             const float *values, size_t count);

/** Adds TARE_CODE_COUNTERS counts of bins that are relative to `top`. Zeros are not among them. */
void tare_code_histogram_add_codes(tare_code_histogram *histogram, const uint64_t *counts,
                                   uint32_t top);

/** Adds the counts of `from`; exact, in any order. */
void tare_code_histogram_merge(tare_code_histogram *into, const tare_code_histogram *from);

/** Whether both hold the same counts. */
bool tare_code_histogram_equal(const tare_code_histogram *a, const tare_code_histogram *b);

/** Number of finite values, zeros included. */
uint64_t tare_code_histogram_finite(const tare_code_histogram *histogram);

/** The smallest magnitude of a bin, and the smallest that is beyond it. */
void tare_code_edges(double *low, double *high, uint32_t bin, uint32_t top);

/** A bin that holds something. A point mass (zeros) has low == high. */
typedef struct tare_code_bin {
    double low, high; /**< values x with low <= x < high; for negative values low < x <= high */
    uint64_t count;
    int64_t position; /**< in the walk */
} tare_code_bin;

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

/** The count at a position of a walk; 0 where there is no bin, and for zeros. */
uint64_t tare_code_count_at(const tare_code_span *span, int64_t position);

/** Values that lie evenly in [low, high], or are all the same. */
typedef struct tare_code_piece {
    double low, high, count;
    bool apart; /**< one bin, whose values may all be the same */
} tare_code_piece;

/** Writes all values in pieces, in order of value, and returns how many pieces there are; out NULL:
 * only that. A piece is at most 0.4 to 0.8 % of its value wide; values that repeat stay apart, and
 * where there are few values, all bins do. */
size_t tare_code_pieces(tare_code_piece *out, const tare_code_span *span);

/**
 * The q-quantile (0 <= q <= 1) with linear interpolation between order statistics, as NumPy
 * defines it, where values are taken to lie evenly within their bin and the outermost at the
 * span's bounds. Off by at most the width of one bin. NaN when there are no values.
 */
double tare_code_span_quantile(const tare_code_span *span, double q);

#endif
