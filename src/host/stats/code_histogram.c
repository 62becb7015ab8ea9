/* SPDX-License-Identifier: Apache-2.0 */
/** Counting of codes, and walking over the counts in order of value. */
#include "stats/code_histogram.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

/* Counters per code, used in turn: the next value often has the same code, and adding to a counter
 * that was stored just before waits for that store. */
#define COPIES   4
/* Values whose extremes are taken before they are counted: they stay in the first cache. */
#define BLOCK    4096
/* Up to here adding to the 64-bit counters is cheaper than flushing private ones. */
#define FEW      1024
#define NEGATIVE 0x8000U
#define CODES    0x10000U

/* A count in the upper 24 bits and a sum of places in the lower 40 bits: one addition for both.
 * Neither overflows with MOST values. */
#define ONE      ((uint64_t)1 << 40)
#define MOST     ((size_t)1 << 23)

struct tare_code_counter {
    uint64_t packed[CODES][COPIES];
};

void tare_code_histogram_init(tare_code_histogram *histogram, uint64_t *counts) {
    *histogram = (tare_code_histogram){.counts = counts,
                                       .places = counts + (size_t)2 * TARE_CODE_MAGNITUDES,
                                       .first = TARE_CODE_MAGNITUDES};
}

void tare_code_histogram_clear(tare_code_histogram *histogram) {
    if (histogram->first <= histogram->last) {
        const size_t bytes = (histogram->last - histogram->first + 1) * sizeof *histogram->counts;
        for (size_t part = 0; part < 4; part++) {
            memset(histogram->counts + part * TARE_CODE_MAGNITUDES + histogram->first, 0, bytes);
        }
    }
    tare_code_histogram_init(histogram, histogram->counts);
}

tare_status tare_code_counter_new(tare_code_counter **out, tare_error *err) {
    *out = calloc(1, sizeof **out);
    return *out == NULL ? tare_fail_memory(err, sizeof **out, "the counters of histograms")
                        : TARE_OK;
}

void tare_code_counter_free(tare_code_counter *counter) {
    free(counter);
}

size_t tare_code_counter_bytes(void) {
    return sizeof(tare_code_counter);
}

static void touch(tare_code_histogram *histogram, uint32_t first, uint32_t last) {
    histogram->first = first < histogram->first ? first : histogram->first;
    histogram->last = last > histogram->last ? last : histogram->last;
}

/* The slow way: for few values, and for blocks with NaN or infinities. */
static void add_each(tare_code_histogram *histogram, const float *values, size_t count) {
    for (size_t i = 0; i < count; i++) {
        uint32_t bits;
        memcpy(&bits, &values[i], sizeof bits);
        const uint32_t code = bits >> 16, magnitude = code & ~NEGATIVE;
        if ((bits & 0x7FFFFFFFU) == 0) {
            histogram->zeros++;
        } else if (magnitude < TARE_CODE_MAGNITUDES) {
            const size_t half = code & NEGATIVE ? TARE_CODE_MAGNITUDES : 0;
            histogram->counts[half + magnitude]++;
            histogram->places[half + magnitude] += bits & 0xFFFFU;
            touch(histogram, magnitude, magnitude);
        } else if (isnan(values[i])) {
            histogram->nan++;
        } else if (values[i] > 0) {
            histogram->positive_infinity++;
        } else {
            histogram->negative_infinity++;
        }
    }
}

/* What one look at a block tells. Magnitudes are patterns without sign, less 1: zeros then have the
 * largest and do not hide the smallest value. */
typedef struct block_extremes {
    uint32_t min, max;
    uint32_t zeros, negative_zeros; /* of either sign; of the negative one */
} block_extremes;

static block_extremes look_at(const float *values, size_t count) {
    block_extremes out = {.min = UINT32_MAX, .max = 0};
    for (size_t i = 0; i < count; i++) {
        uint32_t bits;
        memcpy(&bits, &values[i], sizeof bits);
        const uint32_t magnitude = bits & 0x7FFFFFFFU;
        out.min = magnitude - 1 < out.min ? magnitude - 1 : out.min;
        out.max = magnitude > out.max ? magnitude : out.max;
        out.zeros += magnitude == 0 ? 1U : 0U;
        out.negative_zeros += bits == 0x80000000U ? 1U : 0U;
    }
    return out;
}

static void count_block(tare_code_counter *counter, const float *values, size_t count) {
    size_t i = 0;
    for (; i + COPIES <= count; i += COPIES) {
        uint32_t bits[COPIES];
        memcpy(bits, values + i, sizeof bits);
        for (size_t k = 0; k < COPIES; k++) {
            counter->packed[bits[k] >> 16][k] += ONE | (bits[k] & 0xFFFFU);
        }
    }
    for (; i < count; i++) {
        uint32_t bits;
        memcpy(&bits, values + i, sizeof bits);
        counter->packed[bits >> 16][0] += ONE | (bits & 0xFFFFU);
    }
}

/* Adds what was counted of a code; the private counts become 0 again. */
static void take(uint64_t *count, uint64_t *place, uint64_t *copies) {
    for (size_t k = 0; k < COPIES; k++) {
        *count += copies[k] / ONE;
        *place += copies[k] % ONE;
        copies[k] = 0;
    }
}

/* Moves the private counts of magnitudes first..last and of code 0, where zeros (so many of each
 * sign) stand among the smallest denormals. */
static void flush(tare_code_histogram *histogram, tare_code_counter *counter,
                  const uint32_t range[2], const uint64_t zeros[2]) {
    for (uint32_t half = 0; half < 2; half++) {
        uint64_t *to = histogram->counts + (size_t)half * TARE_CODE_MAGNITUDES;
        uint64_t *places = histogram->places + (size_t)half * TARE_CODE_MAGNITUDES;
        uint64_t(*from)[COPIES] = counter->packed + (size_t)half * NEGATIVE;
        take(&to[0], &places[0], from[0]);
        to[0] -= zeros[half];
        for (uint32_t m = range[0] > 0 ? range[0] : 1; m <= range[1]; m++) {
            take(&to[m], &places[m], from[m]);
        }
    }
    touch(histogram, range[0], range[1]);
}

/* At most MOST values. */
static void add_many(tare_code_histogram *histogram, tare_code_counter *counter,
                     const float *values, size_t count) {
    uint32_t range[2] = {TARE_CODE_MAGNITUDES, 0};
    uint64_t zeros[2] = {0, 0};

    for (size_t at = 0; at < count; at += BLOCK) {
        const size_t length = count - at < BLOCK ? count - at : BLOCK;
        const block_extremes block = look_at(values + at, length);
        if (block.max >> 16 >= TARE_CODE_MAGNITUDES) {
            add_each(histogram, values + at, length);
            continue;
        }
        histogram->zeros += block.zeros;
        if (block.max == 0) {
            continue;
        }
        count_block(counter, values + at, length);
        zeros[0] += block.zeros - block.negative_zeros;
        zeros[1] += block.negative_zeros;
        range[0] = (block.min + 1) >> 16 < range[0] ? (block.min + 1) >> 16 : range[0];
        range[1] = block.max >> 16 > range[1] ? block.max >> 16 : range[1];
    }
    if (range[0] <= range[1]) {
        flush(histogram, counter, range, zeros);
    }
}

void tare_code_histogram_add(tare_code_histogram *histogram, tare_code_counter *counter,
                             const float *values, size_t count) {
    if (count <= FEW) {
        add_each(histogram, values, count);
        return;
    }
    for (size_t at = 0; at < count; at += MOST) {
        add_many(histogram, counter, values + at, count - at < MOST ? count - at : MOST);
    }
}

void tare_code_histogram_add_codes(tare_code_histogram *histogram, const uint64_t *counts) {
    for (uint32_t m = 0; m < TARE_CODE_MAGNITUDES; m++) {
        const uint64_t positive = counts[m], negative = counts[NEGATIVE + m];
        if (positive > 0 || negative > 0) {
            histogram->counts[m] += positive;
            histogram->counts[TARE_CODE_MAGNITUDES + m] += negative;
            histogram->unplaced = true;
            touch(histogram, m, m);
        }
    }
}

void tare_code_histogram_merge(tare_code_histogram *into, const tare_code_histogram *from) {
    into->zeros += from->zeros;
    into->nan += from->nan;
    into->positive_infinity += from->positive_infinity;
    into->negative_infinity += from->negative_infinity;
    into->unplaced = into->unplaced || from->unplaced;
    for (size_t part = 0; part < 4; part++) {
        uint64_t *to = into->counts + part * TARE_CODE_MAGNITUDES;
        const uint64_t *counts = from->counts + part * TARE_CODE_MAGNITUDES;
        for (uint32_t m = from->first; m <= from->last; m++) {
            to[m] += counts[m];
        }
    }
    if (from->first <= from->last) {
        touch(into, from->first, from->last);
    }
}

bool tare_code_histogram_equal(const tare_code_histogram *a, const tare_code_histogram *b) {
    const uint32_t first = a->first < b->first ? a->first : b->first;
    const uint32_t last = a->last > b->last ? a->last : b->last;
    if (a->zeros != b->zeros || a->nan != b->nan || a->positive_infinity != b->positive_infinity ||
        a->negative_infinity != b->negative_infinity || a->unplaced != b->unplaced) {
        return false;
    }
    for (uint32_t m = first; m <= last && m < TARE_CODE_MAGNITUDES; m++) {
        for (size_t part = 0; part < (a->unplaced ? 2U : 4U); part++) {
            const size_t at = part * TARE_CODE_MAGNITUDES + m;
            if (a->counts[at] != b->counts[at]) {
                return false;
            }
        }
    }
    return true;
}

uint64_t tare_code_histogram_finite(const tare_code_histogram *histogram) {
    uint64_t sum = histogram->zeros;
    for (uint32_t m = histogram->first; m <= histogram->last; m++) {
        sum += histogram->counts[m] + histogram->counts[TARE_CODE_MAGNITUDES + m];
    }
    return sum;
}

static double edge(uint32_t magnitude) {
    const uint32_t bits = magnitude << 16;
    float value;
    if (magnitude >= TARE_CODE_MAGNITUDES) {
        return ldexp(1.0, 128);
    }
    memcpy(&value, &bits, sizeof value);
    return (double)value;
}

void tare_code_edges(double *low, double *high, uint32_t magnitude) {
    *low = edge(magnitude);
    *high = edge(magnitude + 1);
}

/* Positions are magnitudes + 1, negative for negative values; 0 are the zeros. */
void tare_code_walk_init(tare_code_walk *walk, const tare_code_span *span) {
    const tare_code_histogram *histogram = span->histogram;
    const bool empty = histogram->first > histogram->last;
    *walk = (tare_code_walk){.span = *span, .end = empty ? 1 : (int64_t)histogram->last + 2};
    walk->position = span->magnitude || empty ? 0 : -(int64_t)histogram->last - 1;
}

static uint64_t count_at(const tare_code_span *span, int64_t position) {
    const uint64_t *positive = span->histogram->counts;
    const uint64_t *negative = positive + TARE_CODE_MAGNITUDES;
    if (position == 0) {
        return span->histogram->zeros;
    }
    if (position < 0) {
        return negative[-position - 1];
    }
    return positive[position - 1] + (span->magnitude ? negative[position - 1] : 0);
}

static void set_edges(tare_code_bin *bin, const tare_code_span *span, int64_t position) {
    double low, high;
    if (position == 0) {
        bin->low = bin->high = 0.0;
        return;
    }
    tare_code_edges(&low, &high, (uint32_t)(position < 0 ? -position - 1 : position - 1));
    bin->low = position < 0 ? -high : low;
    bin->high = position < 0 ? -low : high;
    bin->low = fmin(fmax(bin->low, span->min), span->max);
    bin->high = fmax(fmin(bin->high, span->max), bin->low);
}

bool tare_code_walk_next(tare_code_bin *bin, tare_code_walk *walk) {
    while (walk->position < walk->end) {
        const int64_t position = walk->position;
        walk->position++;
        bin->count = count_at(&walk->span, position);
        bin->position = position;
        /* From the smallest negative to zero, and from zero to the smallest positive value. */
        if (position == -(int64_t)walk->span.histogram->first - 1) {
            walk->position = 0;
        } else if (position == 0 && walk->end > 1) {
            walk->position = (int64_t)walk->span.histogram->first + 1;
        }
        if (bin->count > 0) {
            set_edges(bin, &walk->span, position);
            return true;
        }
    }
    return false;
}

size_t tare_code_span_bins(const tare_code_span *span) {
    tare_code_walk walk;
    tare_code_bin bin;
    size_t count = 0;
    tare_code_walk_init(&walk, span);
    while (tare_code_walk_next(&bin, &walk)) {
        count++;
    }
    return count;
}

/* The value of order statistic `index` (from 0) when it lies in this bin, which `below` values
 * precede. */
static double order_value(const tare_code_bin *bin, double index, double below) {
    return bin->low + (bin->high - bin->low) * (index - below + 0.5) / (double)bin->count;
}

double tare_code_span_quantile(const tare_code_span *span, double q) {
    const double last = (double)tare_code_histogram_finite(span->histogram) - 1.0;
    const double rank = fmin(fmax(q, 0.0), 1.0) * last, index = floor(rank);
    double below = 0.0, value = NAN;
    tare_code_walk walk;
    tare_code_bin bin;

    tare_code_walk_init(&walk, span);
    while (tare_code_walk_next(&bin, &walk)) {
        const double end = below + (double)bin.count;
        if (index >= below && index < end) {
            value =
                index <= 0.0 && isfinite(span->min) ? span->min : order_value(&bin, index, below);
            if (index >= last && isfinite(span->max)) {
                return span->max;
            }
        }
        if (index + 1.0 >= below && index + 1.0 < end) {
            const double next = index + 1.0 >= last && isfinite(span->max)
                                    ? span->max
                                    : order_value(&bin, index + 1.0, below);
            return value + (rank - index) * (next - value);
        }
        below = end;
    }
    return value;
}
