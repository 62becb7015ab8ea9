/* SPDX-License-Identifier: Apache-2.0 */
/** Code histograms: counts, exact merging, order of the walk, quantiles, linear histograms. */
#include <criterion/criterion.h>
#include <float.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "stats/code_histogram.h"
#include "stats/linear_histogram.h"

typedef struct owned {
    tare_code_histogram histogram;
    tare_code_counter *counter;
} owned;

static owned make(void) {
    owned out = {0};
    void *counts = calloc(1, TARE_CODE_HISTOGRAM_BYTES);
    cr_assert_not_null(counts);
    cr_assert_eq(tare_code_counter_new(&out.counter, NULL), TARE_OK);
    tare_code_histogram_init(&out.histogram, counts);
    return out;
}

static void release(owned *it) {
    free(it->histogram.counts);
    tare_code_counter_free(it->counter);
}

static uint32_t next_random(uint32_t *seed) {
    *seed = *seed * 1664525U + 1013904223U;
    return *seed;
}

/* Every kind of pattern: any bits, many zeros of both signs, normal magnitudes. */
static float *any_values(size_t count, uint32_t seed, bool finite) {
    float *out = malloc(count * sizeof *out);
    for (size_t i = 0; i < count; i++) {
        const uint32_t kind = next_random(&seed) >> 24, bits = next_random(&seed) ^ (kind << 3);
        memcpy(&out[i], &bits, sizeof bits);
        if (kind < 64) {
            out[i] = kind % 2 == 0 ? 0.0F : -0.0F;
        } else if (kind < 200 || (finite && !isfinite(out[i]))) {
            out[i] = ((float)(bits >> 8) / 16777216.0F - 0.4F) * 3.0F;
        }
    }
    return out;
}

static uint32_t magnitude_of(float value) {
    uint32_t bits;
    memcpy(&bits, &value, 4);
    return bits & 0x7FFFFFFFU;
}

static uint32_t top_of(const float *values, size_t count) {
    uint32_t top = 0;
    for (size_t i = 0; i < count; i++) {
        if (isfinite(values[i]) && values[i] != 0.0F &&
            tare_code_top(magnitude_of(values[i])) > top) {
            top = tare_code_top(magnitude_of(values[i]));
        }
    }
    return top;
}

/* Into an empty histogram. */
static void count_plainly(tare_code_histogram *out, const float *values, size_t count) {
    out->top = top_of(values, count);
    for (size_t i = 0; i < count; i++) {
        if (values[i] == 0.0F) {
            out->zeros++;
        } else if (isnan(values[i])) {
            out->nan++;
        } else if (isinf(values[i])) {
            *(values[i] > 0 ? &out->positive_infinity : &out->negative_infinity) += 1;
        } else {
            const uint32_t bin = tare_code_of(magnitude_of(values[i]), out->top);
            out->counts[(values[i] < 0.0F ? TARE_CODE_BINS : 0) + bin]++;
            out->first = bin < out->first ? bin : out->first;
            out->last = bin > out->last ? bin : out->last;
        }
    }
}

Test(code_histogram, counts_like_a_plain_loop) {
    static const size_t lengths[] = {0, 1, 7, 1024, 1025, 4096, 4099, 50000};
    for (size_t i = 0; i < sizeof lengths / sizeof *lengths; i++) {
        for (uint32_t finite = 0; finite < 2; finite++) {
            float *values = any_values(lengths[i], 17 + (uint32_t)i, finite != 0);
            owned fast = make(), plain = make();
            count_plainly(&plain.histogram, values, lengths[i]);
            /* Twice, so that counters left over from the first time would show. */
            for (int again = 0; again < 2; again++) {
                tare_code_histogram_add(&fast.histogram, fast.counter, values, lengths[i]);
                cr_assert(tare_code_histogram_equal(&fast.histogram, &plain.histogram),
                          "%zu values, finite %u", lengths[i], finite);
                cr_assert_leq(fast.histogram.first, plain.histogram.first);
                cr_assert_eq(fast.histogram.last, plain.histogram.last);
                tare_code_histogram_clear(&fast.histogram);
            }
            release(&fast);
            release(&plain);
            free(values);
        }
    }
}

Test(code_histogram, smallest_denormals_are_not_zeros) {
    enum { COUNT = 5000 };
    float values[COUNT];
    owned it = make();
    for (size_t i = 0; i < COUNT; i++) {
        static const float some[5] = {0.0F, -0.0F, 1e-45F, -1e-45F, 2e-41F};
        values[i] = some[i % 5];
    }
    tare_code_histogram_add(&it.histogram, it.counter, values, COUNT);
    cr_assert_eq(it.histogram.zeros, 2000);
    cr_assert_eq(it.histogram.counts[0], 2000);
    cr_assert_eq(it.histogram.counts[TARE_CODE_BINS], 1000);
    cr_assert_eq(it.histogram.first, 0);
    cr_assert_eq(it.histogram.last, 0);
    cr_assert_eq(tare_code_histogram_finite(&it.histogram), COUNT);
    release(&it);
}

Test(code_histogram, any_split_and_order_give_the_same) {
    enum { COUNT = 20000 };
    float *values = any_values(COUNT, 5, false);
    owned whole = make(), merged = make(), parts[3] = {make(), make(), make()};
    tare_code_histogram_add(&whole.histogram, whole.counter, values, COUNT);
    for (size_t at = 0, i = 0; at < COUNT; i++) {
        const size_t length = at + 3001 < COUNT ? 3001 : COUNT - at;
        tare_code_histogram_add(&parts[i % 3].histogram, parts[0].counter, values + at, length);
        at += length;
    }
    for (size_t i = 3; i-- > 0;) {
        tare_code_histogram_merge(&merged.histogram, &parts[i].histogram);
    }
    cr_assert(tare_code_histogram_equal(&whole.histogram, &merged.histogram));
    tare_code_histogram_merge(&merged.histogram, &parts[1].histogram);
    cr_assert_not(tare_code_histogram_equal(&whole.histogram, &merged.histogram));
    tare_code_histogram_clear(&merged.histogram);
    tare_code_histogram_clear(&whole.histogram);
    cr_assert(tare_code_histogram_equal(&whole.histogram, &merged.histogram));
    cr_assert_eq(tare_code_histogram_finite(&whole.histogram), 0);
    for (size_t i = 0; i < TARE_CODE_COUNTERS; i++) {
        cr_assert_eq(tare_code_count(&whole.histogram, i), 0);
    }
    release(&whole);
    release(&merged);
    for (size_t i = 0; i < 3; i++) {
        release(&parts[i]);
    }
    free(values);
}

/* The same value so often that the small counters of a thread go over. */
Test(code_histogram, counts_beyond_sixteen_bits) {
    enum { COUNT = 400000 };
    float *values = malloc(COUNT * sizeof *values);
    owned it = make();
    for (size_t i = 0; i < COUNT; i++) {
        values[i] = i % 4 == 0 ? 0.0F : i % 4 == 1 ? -1.5F : 1.5F;
    }
    tare_code_histogram_add(&it.histogram, it.counter, values, COUNT);
    const uint32_t bin = tare_code_of(magnitude_of(1.5F), 127);
    cr_assert_eq(it.histogram.top, 127);
    cr_assert_eq(it.histogram.zeros, COUNT / 4);
    cr_assert_eq(it.histogram.counts[bin], COUNT / 2);
    cr_assert_eq(it.histogram.counts[TARE_CODE_BINS + bin], COUNT / 4);
    cr_assert_eq(tare_code_histogram_finite(&it.histogram), COUNT);
    release(&it);
    free(values);
}

/* Counters are 32 bits, and 16 more where those do not do. */
Test(code_histogram, counts_beyond_thirty_two_bits) {
    const uint64_t many = 0xFFFFFFF0U;
    const uint32_t bin = tare_code_of(magnitude_of(1.5F), 127);
    uint64_t *codes = calloc(TARE_CODE_COUNTERS, sizeof *codes);
    float values[40];
    owned it = make(), other = make();
    for (size_t i = 0; i < 40; i++) {
        values[i] = 1.5F;
    }
    codes[bin] = many;
    tare_code_histogram_add_codes(&it.histogram, codes, 127);
    tare_code_histogram_add(&it.histogram, it.counter, values, 40);
    cr_assert_eq(tare_code_count(&it.histogram, bin), many + 40);
    tare_code_histogram_merge(&other.histogram, &it.histogram);
    tare_code_histogram_merge(&other.histogram, &it.histogram);
    cr_assert_eq(tare_code_count(&other.histogram, bin), 2 * (many + 40));
    values[0] = 5.0F;
    tare_code_histogram_add(&other.histogram, it.counter, values, 1);
    cr_assert_eq(tare_code_count(&other.histogram, tare_code_of(magnitude_of(1.5F), 129)),
                 2 * (many + 40));
    tare_code_histogram_clear(&other.histogram);
    cr_assert_eq(tare_code_histogram_finite(&other.histogram), 0);
    free(codes);
    release(&it);
    release(&other);
}

/* Larger and larger values, one call each, give what one call over all of them gives: bins grow
 * together on the way. So do histograms that are merged in either direction. */
Test(code_histogram, bins_grow_together_exactly) {
    enum { STEPS = 40, EACH = 3000 };
    float *values = malloc(sizeof *values * STEPS * EACH);
    owned whole = make(), grown = make(), shrunk = make(), up = make(), down = make();
    uint32_t seed = 21;
    for (size_t i = 0; i < (size_t)STEPS * EACH; i++) {
        const float x = (float)(next_random(&seed) >> 8) / 8388608.0F - 1.0F;
        values[i] = ldexpf(x, (int)(i / EACH) * 6 - 130);
    }
    tare_code_histogram_add(&whole.histogram, whole.counter, values, (size_t)STEPS * EACH);
    for (size_t i = 0; i < STEPS; i++) {
        tare_code_histogram_add(&grown.histogram, whole.counter, values + i * EACH, EACH);
        tare_code_histogram_add(&shrunk.histogram, whole.counter, values + (STEPS - 1 - i) * EACH,
                                EACH);
    }
    cr_assert(tare_code_histogram_equal(&whole.histogram, &grown.histogram));
    cr_assert(tare_code_histogram_equal(&whole.histogram, &shrunk.histogram));
    tare_code_histogram_add(&up.histogram, whole.counter, values, (size_t)EACH * 7);
    tare_code_histogram_add(&down.histogram, whole.counter, values + (size_t)EACH * 7,
                            (size_t)EACH * (STEPS - 7));
    cr_assert_lt(up.histogram.top, down.histogram.top);
    tare_code_histogram_merge(&down.histogram, &up.histogram);
    cr_assert(tare_code_histogram_equal(&whole.histogram, &down.histogram));
    tare_code_histogram_clear(&down.histogram);
    tare_code_histogram_add(&down.histogram, whole.counter, values + (size_t)EACH * 7,
                            (size_t)EACH * (STEPS - 7));
    tare_code_histogram_merge(&up.histogram, &down.histogram);
    cr_assert(tare_code_histogram_equal(&whole.histogram, &up.histogram));
    release(&whole);
    release(&grown);
    release(&shrunk);
    release(&up);
    release(&down);
    free(values);
}

Test(code_histogram, edges_are_the_bins_own) {
    double low, high;
    tare_code_edges(&low, &high, tare_code_of(magnitude_of(1.0F), 127), 127);
    cr_assert_eq(low, 1.0);
    cr_assert_eq(high, 1.0 + 0x1p-15);
    tare_code_edges(&low, &high, tare_code_of(magnitude_of(1.0F), 200), 200);
    cr_assert_eq(low, 1.0);
    cr_assert_eq(high, 1.0078125);
    tare_code_edges(&low, &high, 0, 127);
    cr_assert_eq(low, 0.0);
    cr_assert_eq(high, 0x1p-133);
    tare_code_edges(&low, &high, TARE_CODE_BINS - 1, TARE_CODE_TOP_LAST);
    cr_assert_eq(high, 0x1p128);
    cr_assert_leq(low, (double)FLT_MAX);
}

Test(code_histogram, walks_in_order_of_value) {
    float *values = any_values(9000, 3, true);
    owned it = make();
    tare_code_histogram_add(&it.histogram, it.counter, values, 9000);
    for (int magnitude = 0; magnitude < 2; magnitude++) {
        const tare_code_span span = {.histogram = &it.histogram,
                                     .magnitude = magnitude != 0,
                                     .min = -INFINITY,
                                     .max = INFINITY};
        tare_code_walk walk;
        tare_code_bin bin;
        double before = magnitude ? 0.0 : -INFINITY;
        uint64_t sum = 0;
        tare_code_walk_init(&walk, &span);
        while (tare_code_walk_next(&bin, &walk)) {
            cr_assert_geq(bin.low, before);
            cr_assert_geq(bin.high, bin.low);
            cr_assert_gt(bin.count, 0);
            before = bin.high;
            sum += bin.count;
        }
        cr_assert_eq(sum, 9000);
    }
    release(&it);
    free(values);
}

static int compare(const void *a, const void *b) {
    const float x = *(const float *)a, y = *(const float *)b;
    return (x > y) - (x < y);
}

/* Against the definition on sorted values: each of the two order statistics is off by less than a
 * bin, which is at most 2^-7 of its value. */
Test(code_histogram, quantiles_are_within_a_bin) {
    enum { COUNT = 12345 };
    float values[COUNT];
    owned it = make();
    uint32_t seed = 9;
    for (size_t i = 0; i < COUNT; i++) {
        const double u = (double)(next_random(&seed) >> 8) / 16777216.0 - 0.3;
        values[i] = u < 0.1 && u > 0.0 ? 0.0F : (float)(u * u * u * 40.0);
    }
    tare_code_histogram_add(&it.histogram, it.counter, values, COUNT);
    for (int magnitude = 0; magnitude < 2; magnitude++) {
        for (size_t i = 0; magnitude && i < COUNT; i++) {
            values[i] = fabsf(values[i]);
        }
        qsort(values, COUNT, sizeof *values, compare);
        const tare_code_span span = {.histogram = &it.histogram,
                                     .magnitude = magnitude != 0,
                                     .min = (double)values[0],
                                     .max = (double)values[COUNT - 1]};
        for (double q = 0.0; q <= 1.0; q += 1.0 / 512) {
            const double rank = q * (COUNT - 1);
            const size_t index = (size_t)rank, above = index + 1 < COUNT ? index + 1 : index;
            const double a = (double)values[index], b = (double)values[above];
            const double exact = a + (rank - (double)index) * (b - a);
            cr_assert_float_eq(tare_code_span_quantile(&span, q), exact,
                               fmax(fabs(a), fabs(b)) / 128 + 1e-12, "q %g: %g, expected %g", q,
                               tare_code_span_quantile(&span, q), exact);
        }
        cr_assert_eq(tare_code_span_quantile(&span, 0.0), span.min);
        cr_assert_eq(tare_code_span_quantile(&span, 1.0), span.max);
    }
    release(&it);
}

Test(code_histogram, nothing_has_no_quantile) {
    owned it = make();
    const tare_code_span span = {.histogram = &it.histogram, .min = -INFINITY, .max = INFINITY};
    tare_code_walk walk;
    tare_code_bin bin;
    cr_assert(isnan(tare_code_span_quantile(&span, 0.5)));
    tare_code_walk_init(&walk, &span);
    cr_assert_not(tare_code_walk_next(&bin, &walk));
    release(&it);
}

Test(linear_histogram, keeps_every_value) {
    enum { COUNT = 6000 };
    float values[COUNT];
    owned it = make();
    tare_arena arena;
    uint32_t seed = 4;
    for (size_t i = 0; i < COUNT; i++) {
        values[i] = (float)(next_random(&seed) >> 8) / 8388608.0F - 1.0F;
        values[i] = i % 3 == 0 ? 0.0F : values[i];
    }
    tare_arena_init(&arena);
    tare_code_histogram_add(&it.histogram, it.counter, values, COUNT);
    const tare_code_span span = {.histogram = &it.histogram, .min = -1.0, .max = 1.0};
    for (int spread = 0; spread < 2; spread++) {
        tare_linear_histogram linear = {.bins = 100, .low = -1.0, .high = 1.0};
        double sum = 0.0;
        cr_assert_eq(tare_linear_from_codes(&linear, &arena, &span, (tare_spread)spread, NULL),
                     TARE_OK);
        for (size_t i = 0; i < linear.bins; i++) {
            sum += linear.counts[i];
            cr_assert(spread == TARE_SPREAD_EVENLY || linear.counts[i] == floor(linear.counts[i]));
            /* 40 expected, and all zeros in the bin that begins at zero. */
            cr_assert_float_eq(linear.counts[i], i == 50 ? 2040.0 : 40.0, 32.0, "bin %zu: %g", i,
                               linear.counts[i]);
        }
        cr_assert_float_eq(sum, COUNT, 1e-6);
    }
    cr_assert_eq(tare_linear_edge(&(tare_linear_histogram){.bins = 4, .low = -1, .high = 1}, 3),
                 0.5);
    tare_arena_release(&arena);
    release(&it);
}

Test(linear_histogram, impossible_ranges_are_refused) {
    owned it = make();
    tare_arena arena;
    tare_error err;
    const tare_code_span span = {.histogram = &it.histogram};
    tare_linear_histogram wrong[] = {{.bins = 0, .high = 1},
                                     {.bins = 4, .low = 2, .high = 1},
                                     {.bins = 4, .low = 0, .high = INFINITY},
                                     {.bins = SIZE_MAX, .low = 0, .high = 1}};
    tare_arena_init(&arena);
    for (size_t i = 0; i < 4; i++) {
        cr_assert_neq(tare_linear_from_codes(&wrong[i], &arena, &span, TARE_SPREAD_EVENLY, &err),
                      TARE_OK);
    }
    tare_arena_release(&arena);
    release(&it);
}

/* Values from 1 to 4 at even distances, and 5000 times one value: it stays in a piece of its own,
 * as narrow as a bin, and the others share few pieces. */
Test(code_histogram, a_value_that_repeats_stays_apart) {
    enum { EVEN = 384 * 1000, SAME = 5000 };
    const float same[2] = {1.3017F, -1.7131F};
    float *values = malloc((EVEN + SAME) * sizeof *values);
    cr_assert_not_null(values);
    for (size_t sign = 0; sign < 2; sign++) {
        owned it = make();
        for (size_t i = 0; i < EVEN + SAME; i++) {
            values[i] = i < EVEN ? 1.0F + 3.0F * (float)i / EVEN : fabsf(same[sign]);
            values[i] = sign == 0 ? values[i] : -values[i];
        }
        tare_code_histogram_add(&it.histogram, it.counter, values, EVEN + SAME);
        const tare_code_span span = {&it.histogram, false, -4.0, 4.0};
        const size_t count = tare_code_pieces(NULL, &span);
        tare_code_piece *pieces = calloc(count, sizeof *pieces);
        double sum = 0.0;
        size_t found = 0;
        cr_assert_eq(tare_code_pieces(pieces, &span), count);
        cr_assert(count > 500 && count < 1600, "%zu pieces", count);
        for (size_t i = 0; i < count; i++) {
            const double width = pieces[i].high - pieces[i].low;
            const bool holds = pieces[i].low <= (double)same[sign] &&
                               pieces[i].high >= (double)same[sign] && pieces[i].count > SAME;
            cr_assert(i == 0 || pieces[i].low >= pieces[i - 1].high);
            cr_assert_leq(width, fabs(pieces[i].low) / 128);
            cr_assert(!holds || width <= 0x1p-13);
            found += holds ? 1 : 0;
            sum += pieces[i].count;
        }
        cr_assert_eq(found, 1);
        cr_assert_eq(sum, (double)(EVEN + SAME));
        free(pieces);
        release(&it);
    }
    free(values);
}
