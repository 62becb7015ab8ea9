/* SPDX-License-Identifier: Apache-2.0 */
/** Exact sums: no order, no split and no cancellation changes a bit. */
#include <criterion/criterion.h>
#include <float.h>
#include <math.h>
#include <string.h>

#include "stats/exact_sum.h"

enum { COUNT = 4000 };

static uint32_t next_random(uint32_t *seed) {
    *seed = *seed * 1664525U + 1013904223U;
    return *seed;
}

/* Values of every exponent and sign, denormals included. */
static void fill(float *values, uint32_t seed) {
    for (size_t i = 0; i < COUNT; i++) {
        do {
            const uint32_t bits = next_random(&seed) ^ next_random(&seed) << 7;
            memcpy(&values[i], &bits, sizeof bits);
        } while (!isfinite(values[i]));
    }
}

static tare_exact_sum sum_of(const float *values, size_t count) {
    tare_exact_sum sum = {{0}};
    for (size_t i = 0; i < count; i++) {
        cr_assert(tare_exact_sum_add(&sum, values[i]));
    }
    return sum;
}

static bool same(const tare_exact_sum *a, const tare_exact_sum *b) {
    return memcmp(a, b, sizeof *a) == 0;
}

Test(exact_sum, every_order_and_split_gives_the_same_bits) {
    float values[COUNT];
    uint32_t seed = 77;
    fill(values, 1);
    const tare_exact_sum first = sum_of(values, COUNT);
    for (int round = 0; round < 20; round++) {
        for (size_t i = COUNT - 1; i > 0; i--) {
            const size_t j = next_random(&seed) % (i + 1);
            const float value = values[i];
            values[i] = values[j];
            values[j] = value;
        }
        const size_t cut = next_random(&seed) % COUNT;
        tare_exact_sum left = sum_of(values, cut), right = sum_of(values + cut, COUNT - cut);
        tare_exact_sum_merge(&right, &left);
        cr_assert(same(&right, &first));
    }
}

Test(exact_sum, what_is_added_and_taken_away_leaves_nothing) {
    float values[COUNT];
    const tare_exact_sum nothing = {{0}};
    fill(values, 2);
    tare_exact_sum sum = sum_of(values, COUNT);
    for (size_t i = COUNT; i-- > 1;) {
        cr_assert(tare_exact_sum_add(&sum, -values[i]));
    }
    cr_assert_eq(tare_exact_sum_value(&sum), (double)values[0]);
    cr_assert(tare_exact_sum_add(&sum, -values[0]));
    cr_assert(same(&sum, &nothing));
    cr_assert_eq(tare_exact_sum_value(&sum), 0.0);
}

Test(exact_sum, single_values_come_back) {
    static const float special[] = {
        0.0F,     -0.0F, 1e-45F, -1e-45F,  FLT_MIN,     -FLT_MIN,         FLT_MAX,
        -FLT_MAX, 1.0F,  -1.5F,  0x1p-24F, 16777215.0F, 0x1.fffffep-126F, 0x0.fffffep-126F};
    float values[COUNT];
    fill(values, 3);
    for (size_t i = 0; i < sizeof special / sizeof *special; i++) {
        const tare_exact_sum sum = sum_of(&special[i], 1);
        cr_assert_eq(tare_exact_sum_value(&sum), (double)special[i]);
    }
    for (size_t i = 0; i < COUNT; i++) {
        const tare_exact_sum sum = sum_of(&values[i], 1);
        cr_assert_eq(tare_exact_sum_value(&sum), (double)values[i]);
    }
}

/* Small enough exponents for a long sum in plain double to be exact. */
Test(exact_sum, agrees_with_arithmetic_that_is_exact) {
    tare_exact_sum sum = {{0}};
    double expected = 0.0;
    uint32_t seed = 8;
    for (size_t i = 0; i < 100000; i++) {
        const float value = (float)((double)(int32_t)next_random(&seed) / 1048576.0);
        expected += (double)value;
        cr_assert(tare_exact_sum_add(&sum, value));
    }
    cr_assert_eq(tare_exact_sum_value(&sum), expected);
}

typedef struct rounding_case {
    float terms[4];
    double expected;
} rounding_case;

Test(exact_sum, rounds_to_the_nearest_double_ties_to_even) {
    static const rounding_case cases[] = {
        {{0x1p60F, 0x1p7F, 0, 0}, 0x1p60},                  /* tie, down to even */
        {{0x1p60F, 0x1p7F, 1e-45F, 0}, 0x1p60 + 0x1p8},     /* just above the tie */
        {{0x1p60F, 0x1p7F, -1e-45F, 0}, 0x1p60},            /* just below */
        {{0x1p60F, 0x1p8F, 0x1p7F, 0}, 0x1p60 + 0x1p9},     /* tie, up to even */
        {{-0x1p60F, -0x1p8F, -0x1p7F, 0}, -0x1p60 - 0x1p9}, /* the same below zero */
        {{0x1p60F, -0x1p6F, 0, 0}, 0x1p60},                 /* tie below a power of two */
        {{0x1p60F, -0x1p6F, -1e-45F, 0}, 0x1p60 - 0x1p7},
        {{FLT_MAX, FLT_MAX, FLT_MAX, FLT_MAX}, 4.0 * (double)FLT_MAX},
        {{FLT_MAX, 1e-45F, -FLT_MAX, 1e-45F}, 0x1p-148},
        {{1e-45F, 1e-45F, 1e-45F, -FLT_MIN}, 3 * 0x1p-149 - 0x1p-126},
    };
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        const tare_exact_sum sum = sum_of(cases[i].terms, 4);
        cr_assert_eq(tare_exact_sum_value(&sum), cases[i].expected, "case %zu: %a", i,
                     tare_exact_sum_value(&sum));
    }
}

Test(exact_sum, holds_very_many_large_values) {
    tare_exact_sum sum = {{0}};
    cr_assert(tare_exact_sum_add(&sum, -FLT_MAX));
    for (int doubling = 0; doubling < 41; doubling++) {
        const tare_exact_sum copy = sum;
        tare_exact_sum_merge(&sum, &copy);
    }
    cr_assert_eq(tare_exact_sum_value(&sum), -0x1p41 * (double)FLT_MAX);
}

Test(exact_sum, nan_and_infinity_are_refused) {
    tare_exact_sum sum = sum_of((const float[]){1.5F}, 1);
    cr_assert_not(tare_exact_sum_add(&sum, NAN));
    cr_assert_not(tare_exact_sum_add(&sum, INFINITY));
    cr_assert_not(tare_exact_sum_add(&sum, -INFINITY));
    cr_assert_eq(tare_exact_sum_value(&sum), 1.5);
}
