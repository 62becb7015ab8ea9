/* SPDX-License-Identifier: Apache-2.0 */
/** Quantiles and means of samples on the CPU against sorting, over sizes, probabilities, and
 * contents that make guesses fail. */
#include <criterion/criterion.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "cpu/backend.h"

static uint32_t next_random(uint32_t *seed) {
    *seed = *seed * 1664525U + 1013904223U;
    return *seed >> 8;
}

static float even(uint32_t *seed) {
    return (float)next_random(seed) / 8388608.0F - 1.0F;
}

/* What the elements of a sample are like. */
typedef enum content {
    CONTENT_EVEN,
    CONTENT_TAILS,     /* most are small, a few are not */
    CONTENT_HALF_ZERO, /* as behind a ReLU; zeros of both signs */
    CONTENT_CLIPPED,   /* many are the smallest, many the largest */
    CONTENT_SAME,
    CONTENT_CHANNELS, /* every 64th is a thousand times larger */
    CONTENT_RISING,
    CONTENT_NONE /* NaN: any result, no crash */
} content;

static void fill(float *out, size_t count, content kind, uint32_t seed) {
    for (size_t i = 0; i < count; i++) {
        const float x = even(&seed);
        const float all[] = {[CONTENT_EVEN] = x,
                             [CONTENT_TAILS] = x * x * x * x * x * 100.0F,
                             [CONTENT_HALF_ZERO] = x > 0.0F ? x : x * 0.0F,
                             [CONTENT_CLIPPED] = fminf(fmaxf(x * 2.0F, -1.0F), 1.0F),
                             [CONTENT_SAME] = -2.5F,
                             [CONTENT_CHANNELS] = i % 64 == 5 ? x * 1000.0F : x,
                             [CONTENT_RISING] = (float)i,
                             [CONTENT_NONE] = i % 3 == 0 ? NAN : x};
        out[i] = all[kind];
    }
}

static int compare(const void *a, const void *b) {
    const float x = *(const float *)a, y = *(const float *)b;
    return (x > y) - (x < y);
}

static void reduce(tare_quantile_pairs found[2], float *mean, const float *values, size_t count,
                   double p) {
    float *scratch = malloc(TARE_QUANTILE_SCRATCH * sizeof *scratch);
    const tare_desc desc = {.dtype = TARE_DTYPE_FLOAT,
                            .rank = 1,
                            .dims = {(int64_t)count},
                            .layout = TARE_LAYOUT_PLAIN};
    const tare_reduce_request request = {.desc = &desc,
                                         .data = values,
                                         .quantile = p,
                                         .quantiles = &found[0],
                                         .magnitudes = &found[1],
                                         .quantile_scratch = scratch,
                                         .mean = mean};
    tare_reduce_record record;
    cr_assert_eq(tare_backend_cpu.reduce(&record, &request, NULL), TARE_OK);
    free(scratch);
}

static void check_pair(const float pair[2], const float *sorted, size_t count, double q) {
    const tare_quantile_place place = tare_quantile_find(q, count);
    cr_assert_eq(pair[0], sorted[place.index], "%zu, q %g: %g for %g", count, q, (double)pair[0],
                 (double)sorted[place.index]);
    cr_assert_eq(pair[1], sorted[place.next], "%zu, q %g: %g for %g", count, q, (double)pair[1],
                 (double)sorted[place.next]);
    cr_assert(pair[0] != 0.0F || !signbit(pair[0]));
}

static void check(size_t count, double p, content kind) {
    float *values = calloc(count, sizeof *values), *sorted = malloc(count * sizeof *sorted);
    tare_quantile_pairs found[2];
    double sum = 0.0;
    float mean;
    fill(values, count, kind, (uint32_t)count * 7 + 1);
    reduce(found, &mean, values, count, p);
    for (int magnitude = 0; magnitude < 2 && kind != CONTENT_NONE; magnitude++) {
        for (size_t i = 0; i < count; i++) {
            sorted[i] = magnitude == 0 ? values[i] : fabsf(values[i]);
            sum += magnitude == 0 ? (double)values[i] : 0.0;
        }
        qsort(sorted, count, sizeof *sorted, compare);
        check_pair(found[magnitude].low, sorted, count, p);
        check_pair(found[magnitude].high, sorted, count, 1.0 - p);
    }
    cr_assert(kind == CONTENT_NONE ||
              fabs((double)mean - sum / (double)count) <= 1e-6 * fabs((double)mean) + 1e-9);
    free(values);
    free(sorted);
}

static const double probabilities[] = {0.0, 1e-4, 0.003, 0.05, 0.3, 0.5};

Test(cpu_quantiles, small_samples) {
    for (size_t count = 1; count < 40; count++) {
        for (size_t i = 0; i < sizeof probabilities / sizeof probabilities[0]; i++) {
            for (int kind = CONTENT_EVEN; kind <= CONTENT_NONE; kind++) {
                check(count, probabilities[i], (content)kind);
            }
        }
    }
}

Test(cpu_quantiles, large_samples, .timeout = 120) {
    static const size_t counts[] = {4096, 4097, 12544, 100352, 300001};
    for (size_t c = 0; c < sizeof counts / sizeof counts[0]; c++) {
        for (size_t i = 0; i < sizeof probabilities / sizeof probabilities[0]; i++) {
            for (int kind = CONTENT_EVEN; kind <= CONTENT_NONE; kind++) {
                check(counts[c], probabilities[i], (content)kind);
            }
        }
    }
}

/* So many that the guess is made from its largest number of elements. */
Test(cpu_quantiles, a_sample_of_a_million, .timeout = 60) {
    check(1204224, 1e-4, CONTENT_TAILS);
    check(1204224, 0.02, CONTENT_HALF_ZERO);
}

Test(cpu_quantiles, interpolate_between_neighbours) {
    const float values[] = {4, 1, 3, 2};
    tare_quantile_pairs found[2];
    float mean;
    const tare_quantile_place place = tare_quantile_find(0.25, 4);
    reduce(found, &mean, values, 4, 0.25);
    cr_assert_eq(tare_quantile_between(found[0].low, &place), 1.75F);
    cr_assert_eq(mean, 2.5F);
}
