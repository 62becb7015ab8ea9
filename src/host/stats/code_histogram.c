/* SPDX-License-Identifier: Apache-2.0 */
/** Counting of codes, and merging counts of different tops. */
#include "stats/code_histogram.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

/* Values whose bins are found before they are counted: they stay in the first cache. */
#define BLOCK     2048
#define MAGNITUDE 0x7FFFFFFFU
/* Counters that are looked at together; all bins of a sign are a whole number of such groups. */
#define GROUP     32
/* Counters of a page of memory. */
#define PAGE      1024
/* How often the private counters of TARE_CODE_COUNTER_MOST values can go over. */
#define FULL_MOST (TARE_CODE_COUNTER_MOST >> 16)

_Static_assert(TARE_CODE_BINS % GROUP == 0, "a group is of one sign");

struct tare_code_counter {
    uint64_t zeros, nan, positive_infinity, negative_infinity;
    uint32_t top;  /* 0: no bin is in use */
    uint32_t last; /* bin in use, of either sign */
    bool negative; /* bins of negative values may be in use */
    /* Small counters let all of them stay in the second cache. What they cannot hold is noted. */
    uint16_t counts[TARE_CODE_COUNTERS + TARE_CODE_ZERO_BINS];
    uint32_t *full; /* bins whose counter went over, once each time */
    size_t full_count;
};

void tare_code_histogram_init(tare_code_histogram *histogram, void *memory) {
    uint32_t *counts = memory;
    *histogram = (tare_code_histogram){.counts = counts,
                                       .high = (uint16_t *)(void *)(counts + TARE_CODE_COUNTERS),
                                       .first = TARE_CODE_BINS};
}

void tare_code_histogram_clear(tare_code_histogram *histogram) {
    if (histogram->first <= histogram->last) {
        for (size_t sign = 0; sign < 2; sign++) {
            for (size_t bin = histogram->first; bin <= histogram->last; bin++) {
                tare_code_histogram_set(histogram, sign * TARE_CODE_BINS + bin, 0);
            }
        }
    }
    tare_code_histogram_init(histogram, histogram->counts);
}

void tare_code_histogram_set(tare_code_histogram *histogram, size_t counter, uint64_t count) {
    histogram->counts[counter] = (uint32_t)count;
    /* Memory that holds zeros need not be written, and then is not there. */
    if (histogram->high[counter] != (uint16_t)(count >> 32)) {
        histogram->high[counter] = (uint16_t)(count >> 32);
    }
}

static void add(tare_code_histogram *histogram, size_t counter, uint64_t count) {
    tare_code_histogram_set(histogram, counter, tare_code_count(histogram, counter) + count);
}

tare_status tare_code_counter_new(tare_code_counter **out, tare_error *err) {
    *out = calloc(1, sizeof **out);
    if (*out == NULL || ((*out)->full = malloc(FULL_MOST * sizeof *(*out)->full)) == NULL) {
        tare_code_counter_free(*out);
        *out = NULL;
        return tare_fail_memory(err, tare_code_counter_bytes(), "the counters of histograms");
    }
    return TARE_OK;
}

void tare_code_counter_free(tare_code_counter *counter) {
    if (counter != NULL) {
        free(counter->full);
        free(counter);
    }
}

size_t tare_code_counter_bytes(void) {
    return sizeof(tare_code_counter) + FULL_MOST * sizeof(uint32_t);
}

/* ---- counting ---- */

static uint32_t bits_of(const float *value) {
    uint32_t bits;
    memcpy(&bits, value, sizeof bits);
    return bits;
}

static void count_bin(tare_code_counter *counter, size_t bin) {
    counter->counts[bin]++;
    if (counter->counts[bin] == 0) {
        counter->full[counter->full_count++] = (uint32_t)bin;
    }
}

/* The slow way: where there are NaN or infinities. */
static void count_each(tare_code_counter *counter, const float *values, size_t count) {
    for (size_t i = 0; i < count; i++) {
        const uint32_t bits = bits_of(&values[i]), magnitude = bits & MAGNITUDE;
        if (magnitude == 0) {
            counter->zeros++;
        } else if (magnitude < TARE_CODE_INFINITE) {
            count_bin(counter,
                      (bits >> 31) * TARE_CODE_BINS + tare_code_of(magnitude, counter->top));
        } else if (magnitude > TARE_CODE_INFINITE) {
            counter->nan++;
        } else if (bits == magnitude) {
            counter->positive_infinity++;
        } else {
            counter->negative_infinity++;
        }
    }
}

static void count_blocks(tare_code_counter *counter, tare_code_finder find, const float *values,
                         size_t count) {
    int32_t bins[BLOCK];
    for (size_t at = 0; at < count; at += BLOCK) {
        const size_t length = count - at < BLOCK ? count - at : BLOCK;
        find(bins, values + at, (int64_t)length, counter->top);
        for (size_t i = 0; i < length; i++) {
            count_bin(counter, (size_t)bins[i]);
        }
    }
}

tare_code_extent tare_code_extent_of(const float *values, size_t count) {
    tare_code_extent extent = {.finite = true};
    for (size_t i = 0; i < count; i++) {
        const uint32_t bits = bits_of(&values[i]), magnitude = bits & MAGNITUDE;
        const bool finite = magnitude < TARE_CODE_INFINITE;
        extent.largest = finite && magnitude > extent.largest ? magnitude : extent.largest;
        extent.finite = extent.finite && finite;
        extent.negative = extent.negative || bits != magnitude;
    }
    return extent;
}

void tare_code_counter_count(tare_code_counter *counter, tare_code_finder find, uint32_t top,
                             const tare_code_extent *extent, const float *values, size_t count) {
    const uint32_t own = extent->largest > 0 ? tare_code_top(extent->largest) : 0;

    counter->top = own > top ? own : top;
    counter->negative = extent->negative;
    counter->last = counter->top == 0 ? 0 : tare_code_of(extent->largest, counter->top);
    if (extent->largest == 0 && extent->finite) {
        counter->zeros += count;
    } else if (extent->finite) {
        count_blocks(counter, find != NULL ? find : tare_code_find, values, count);
    } else {
        count_each(counter, values, count);
    }
}

/* ---- adding up ---- */

/* In rising order, as a bin never moves up: what is moved has been read, and where it goes has been
 * moved. */
static void raise_half(tare_code_histogram *histogram, size_t first, uint32_t top) {
    for (uint32_t bin = histogram->first; bin <= histogram->last; bin++) {
        const uint64_t count = tare_code_count(histogram, first + bin);
        if (count > 0) {
            tare_code_histogram_set(histogram, first + bin, 0);
            add(histogram, first + tare_code_raised(bin, histogram->top, top), count);
        }
    }
}

static void raise(tare_code_histogram *histogram, uint32_t top) {
    if (histogram->top >= top) {
        return;
    }
    if (histogram->first <= histogram->last) {
        raise_half(histogram, 0, top);
        raise_half(histogram, TARE_CODE_BINS, top);
        histogram->first = tare_code_raised(histogram->first, histogram->top, top);
        histogram->last = tare_code_raised(histogram->last, histogram->top, top);
    }
    histogram->top = top;
}

static void touch(tare_code_histogram *histogram, uint32_t bin) {
    histogram->first = bin < histogram->first ? bin : histogram->first;
    histogram->last = bin > histogram->last ? bin : histogram->last;
}

/* Adds a count of a bin that is relative to `top`. */
static void add_count(tare_code_histogram *to, size_t sign, uint32_t bin, uint32_t top,
                      uint64_t count) {
    raise(to, top);
    const uint32_t own = top == to->top ? bin : tare_code_raised(bin, top, to->top);
    add(to, sign * TARE_CODE_BINS + own, count);
    touch(to, own);
}

/* Moves the private counts of one sign where the bins are the histogram's own: whole groups at a
 * time, of which most are empty or full. */
static void take_same(tare_code_histogram *to, tare_code_counter *counter, size_t first) {
    for (size_t at = first; at <= first + counter->last; at += GROUP) {
        uint16_t *from = counter->counts + at;
        uint32_t *counts = to->counts + at;
        uint32_t any = 0, over = 0;
        for (size_t i = 0; i < GROUP; i++) {
            any |= from[i];
        }
        if (any == 0) {
            continue;
        }
        for (size_t i = 0; i < GROUP; i++) {
            over |= counts[i] & 0x80000000U;
        }
        for (size_t i = 0; i < GROUP; i++) {
            if (over != 0) {
                add(to, at + i, from[i]); /* may be close to what the lower bits hold */
            } else {
                counts[i] += from[i];
            }
        }
        memset(from, 0, GROUP * sizeof *from);
    }
}

/* The same where each bin goes into one of a higher top. */
static void take_raised(tare_code_histogram *to, tare_code_counter *counter, size_t sign) {
    uint16_t *counts = counter->counts + sign * TARE_CODE_BINS;
    for (uint32_t bin = 0; bin <= counter->last; bin++) {
        if (counts[bin] > 0) {
            add_count(to, sign, bin, counter->top, counts[bin]);
            counts[bin] = 0;
        }
    }
}

/* Takes the memory of the bins of a sign at once, down to 2^-31 of the largest value. Left to the
 * values it would creep up over the whole run, and a run could end for want of memory that was
 * there when it began. */
static void touch_memory(tare_code_histogram *histogram, size_t sign) {
    volatile uint32_t *counts = histogram->counts + sign * TARE_CODE_BINS;
    if (histogram->touched[sign] != histogram->top) {
        const uint32_t last = tare_code_last(histogram->top);
        const uint32_t fine = tare_code_first_fine(histogram->top), more = 3U * PAGE;
        for (uint32_t bin = fine > more ? fine - more : 0; bin <= last; bin += PAGE) {
            counts[bin] = counts[bin];
        }
        histogram->touched[sign] = histogram->top;
    }
}

static void take_half(tare_code_histogram *to, tare_code_counter *counter, size_t sign) {
    touch_memory(to, sign);
    if (to->top == counter->top) {
        take_same(to, counter, sign * TARE_CODE_BINS);
    } else {
        take_raised(to, counter, sign);
    }
}

static void take_full(tare_code_histogram *to, tare_code_counter *counter) {
    for (size_t i = 0; i < counter->full_count; i++) {
        const uint32_t bin = counter->full[i];
        if (bin >= TARE_CODE_COUNTERS) {
            to->zeros += 0x10000;
        } else {
            add_count(to, bin / TARE_CODE_BINS, bin % TARE_CODE_BINS, counter->top, 0x10000);
        }
    }
    counter->full_count = 0;
}

void tare_code_histogram_take(tare_code_histogram *histogram, tare_code_counter *counter) {
    uint16_t *zeros = counter->counts + TARE_CODE_COUNTERS;
    for (size_t i = 0; i < TARE_CODE_ZERO_BINS; i++) {
        histogram->zeros += zeros[i];
        zeros[i] = 0;
    }
    histogram->zeros += counter->zeros;
    histogram->nan += counter->nan;
    histogram->positive_infinity += counter->positive_infinity;
    histogram->negative_infinity += counter->negative_infinity;
    if (counter->top > 0) {
        raise(histogram, counter->top);
        take_full(histogram, counter);
        take_half(histogram, counter, 0);
        if (counter->negative) {
            take_half(histogram, counter, 1);
        }
        touch(histogram, 0);
        touch(histogram, tare_code_raised(counter->last, counter->top, histogram->top));
    }
    counter->zeros = counter->nan = 0;
    counter->positive_infinity = counter->negative_infinity = 0;
    counter->top = 0;
}

void tare_code_histogram_add(tare_code_histogram *histogram, tare_code_counter *counter,
                             const float *values, size_t count) {
    for (size_t at = 0; at < count; at += TARE_CODE_COUNTER_MOST) {
        const size_t left = count - at;
        const size_t length = left < TARE_CODE_COUNTER_MOST ? left : TARE_CODE_COUNTER_MOST;
        const tare_code_extent extent = tare_code_extent_of(values + at, length);
        tare_code_counter_count(counter, NULL, histogram->top, &extent, values + at, length);
        tare_code_histogram_take(histogram, counter);
    }
}

void tare_code_histogram_add_codes(tare_code_histogram *histogram, const uint64_t *counts,
                                   uint32_t top) {
    for (size_t sign = 0; sign < 2; sign++) {
        for (uint32_t bin = 0; bin < TARE_CODE_BINS; bin++) {
            const uint64_t count = counts[sign * TARE_CODE_BINS + bin];
            if (count > 0) {
                add_count(histogram, sign, bin, top, count);
            }
        }
    }
}

void tare_code_histogram_merge(tare_code_histogram *into, const tare_code_histogram *from) {
    into->zeros += from->zeros;
    into->nan += from->nan;
    into->positive_infinity += from->positive_infinity;
    into->negative_infinity += from->negative_infinity;
    for (size_t sign = 0; sign < 2; sign++) {
        for (uint32_t bin = from->first; bin <= from->last; bin++) {
            const uint64_t count = tare_code_count(from, sign * TARE_CODE_BINS + bin);
            if (count > 0) {
                add_count(into, sign, bin, from->top, count);
            }
        }
    }
}

bool tare_code_histogram_equal(const tare_code_histogram *a, const tare_code_histogram *b) {
    const uint32_t first = a->first < b->first ? a->first : b->first;
    const uint32_t last = a->last > b->last ? a->last : b->last;
    if (a->zeros != b->zeros || a->nan != b->nan || a->positive_infinity != b->positive_infinity ||
        a->negative_infinity != b->negative_infinity || a->top != b->top) {
        return false;
    }
    for (uint32_t bin = first; bin <= last && bin < TARE_CODE_BINS; bin++) {
        for (size_t sign = 0; sign < 2; sign++) {
            const size_t counter = sign * TARE_CODE_BINS + bin;
            if (tare_code_count(a, counter) != tare_code_count(b, counter)) {
                return false;
            }
        }
    }
    return true;
}

uint64_t tare_code_histogram_finite(const tare_code_histogram *histogram) {
    uint64_t sum = histogram->zeros;
    for (uint32_t bin = histogram->first; bin <= histogram->last; bin++) {
        sum += tare_code_count(histogram, bin) + tare_code_count(histogram, TARE_CODE_BINS + bin);
    }
    return sum;
}
