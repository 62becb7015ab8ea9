/* SPDX-License-Identifier: Apache-2.0 */
/** Codes: bins rise with magnitudes, are as wide as promised, and lie within those of higher tops;
 * every finder finds the same. */
#include <criterion/criterion.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "cpu/vector.h"
#include "exec/code_find.h"

static double value_of(uint32_t bits) {
    float value;
    memcpy(&value, &bits, sizeof value);
    return (double)value;
}

static uint32_t next_random(uint32_t *seed) {
    *seed = *seed * 1664525U + 1013904223U;
    return *seed;
}

static const uint32_t tops[] = {15, 16, 23, 100, 127, 130, 200, 253, 254};
enum { TOPS = sizeof tops / sizeof tops[0] };

Test(code, every_bin_begins_where_it_says) {
    for (size_t t = 0; t < TOPS; t++) {
        const uint32_t end = ((tops[t] + 1) << 23) - 1;
        const uint32_t last = tare_code_last(tops[t]);
        cr_assert_eq(tare_code_of(end, tops[t]), last);
        cr_assert_lt(last, TARE_CODE_BINS);
        cr_assert_eq(tare_code_of(0, tops[t]), 0);
        for (uint32_t bin = 1; bin <= last; bin++) {
            const uint32_t begin = tare_code_smallest(bin, tops[t]);
            cr_assert_eq(tare_code_of(begin, tops[t]), bin, "top %u, bin %u", tops[t], bin);
            cr_assert_eq(tare_code_of(begin - 1, tops[t]), bin - 1, "top %u, bin %u", tops[t], bin);
        }
        cr_assert_eq(tare_code_smallest(last + 1, tops[t]), end + 1);
    }
}

/* 2^15 in the top octave, nowhere wider than 2^-7 of the value. */
Test(code, bins_are_as_narrow_as_promised) {
    for (size_t t = 0; t + 1 < TOPS; t++) {
        const double unit = ldexp(1.0, (int)tops[t] - 127 - 15);
        const uint32_t last = tare_code_last(tops[t]);
        for (uint32_t bin = 0x80; bin <= last; bin++) {
            const double low = value_of(tare_code_smallest(bin, tops[t]));
            const double width = value_of(tare_code_smallest(bin + 1, tops[t])) - low;
            cr_assert_leq(width, low / 128);
            cr_assert(bin < tare_code_first_fine(tops[t]) || width == unit);
        }
    }
}

Test(code, bins_of_a_lower_top_lie_within_those_of_a_higher_one) {
    uint32_t seed = 3;
    for (size_t from = 0; from < TOPS; from++) {
        for (size_t to = from; to < TOPS; to++) {
            for (int i = 0; i < 20000; i++) {
                const uint32_t magnitude = next_random(&seed) % ((tops[from] + 1) << 23);
                const uint32_t bin = tare_code_of(magnitude, tops[from]);
                const uint32_t raised = tare_code_raised(bin, tops[from], tops[to]);
                cr_assert_eq(raised, tare_code_of(magnitude, tops[to]), "%08x", magnitude);
                cr_assert_leq(raised, bin);
            }
        }
    }
}

Test(code, the_top_is_the_exponent_within_bounds) {
    cr_assert_eq(tare_code_top(0x3F800000), 127);
    cr_assert_eq(tare_code_top(1), TARE_CODE_TOP_FIRST);
    cr_assert_eq(tare_code_top(0x7F7FFFFF), TARE_CODE_TOP_LAST);
}

Test(code, every_finder_finds_the_same) {
    enum { COUNT = 5003 };
    float *values = malloc(COUNT * sizeof *values);
    int32_t plain[COUNT], found[COUNT];
    uint32_t seed = 11;
    for (size_t t = 0; t < TOPS; t++) {
        for (size_t i = 0; i < COUNT; i++) {
            const uint32_t kind = next_random(&seed) >> 28, any = next_random(&seed);
            uint32_t bits = any % ((tops[t] + 1) << 23) | (any & 0x10000U) << 15;
            /* Zeros of both signs, powers of two and the values below them, denormals. */
            bits = kind == 0 ? bits & 0x80000000U : bits;
            bits = kind == 1 ? bits & 0xFF800000U : bits;
            bits = kind == 2 ? bits | 0x7FFFFFU : bits;
            bits = kind == 3 ? bits & 0x807FFFFFU : bits;
            memcpy(&values[i], &bits, sizeof bits);
        }
        tare_code_find(plain, values, COUNT, tops[t]);
        for (size_t i = 0; i < COUNT; i++) {
            const uint32_t sign = signbit(values[i]) ? TARE_CODE_BINS : 0;
            cr_assert(values[i] == 0.0F ? plain[i] >= (int32_t)(2 * TARE_CODE_BINS)
                                        : plain[i] >= (int32_t)sign);
            cr_assert_lt(plain[i], (int32_t)(2 * TARE_CODE_BINS + TARE_CODE_ZERO_BINS));
        }
        for (int isa = 0; isa < TARE_ISA_COUNT; isa++) {
            const tare_vector *vector = tare_vector_of((tare_isa)isa);
            if (vector != NULL) {
                memset(found, 0xFF, sizeof found);
                vector->find_codes(found, values, COUNT, tops[t]);
                cr_assert_eq(memcmp(found, plain, sizeof found), 0, "isa %d, top %u", isa, tops[t]);
            }
        }
    }
    free(values);
}
