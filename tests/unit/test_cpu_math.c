/* SPDX-License-Identifier: Apache-2.0 */
/** The hot loops: errors of the elementary functions, and equal bits from every instruction set. */
#include <criterion/criterion.h>
#include <math.h>

#include "cpu/vector.h"

#define COUNT 4099 /* a prime: every loop has a tail */

static float from_bits(uint32_t bits) {
    float value;
    memcpy(&value, &bits, sizeof value);
    return value;
}

/* |found - exact| in units of the last place of a float32 near `exact`. */
static double ulp(float found, double exact) {
    int exponent;
    double unit;
    if (isinf((float)exact) || isnan(exact)) {
        return (isnan(exact) && isnan(found)) || found == (float)exact ? 0.0 : INFINITY;
    }
    (void)frexp(exact, &exponent);
    unit = ldexp(1.0, exponent - 24 > -149 ? exponent - 24 : -149);
    return fabs((double)found - exact) / unit;
}

static double sigmoid(double x) {
    return 1.0 / (1.0 + exp(-x));
}

static const struct {
    tare_unary function;
    double (*exact)(double x);
    double bound; /* in ulp: the rounding errors of the steps after exp's own 1 */
} cases[] = {
    {TARE_UNARY_EXP, exp, 1.5},
    {TARE_UNARY_SIGMOID, sigmoid, 3.0},
    {TARE_UNARY_TANH, tanh, 2.0},
    {TARE_UNARY_ERF, erf, 2.0},
};

Test(cpu_math, elementary_functions_keep_their_error_bounds) {
    for (size_t c = 0; c < sizeof cases / sizeof cases[0]; c++) {
        double worst = 0.0;
        float at = 0.0F;
        /* Every 4099th float of each sign, in blocks. */
        for (uint64_t start = 0; start < UINT32_MAX; start += (uint64_t)COUNT * 4099) {
            float in[COUNT], out[COUNT];
            for (int i = 0; i < COUNT; i++) {
                in[i] = from_bits((uint32_t)(start + (uint64_t)i * 4099));
            }
            tare_vector_best()->unary[cases[c].function](out, in, COUNT, 1.0F, 0.0F);
            for (int i = 0; i < COUNT; i++) {
                const double error = ulp(out[i], cases[c].exact((double)in[i]));
                at = error > worst ? in[i] : at;
                worst = error > worst ? error : worst;
            }
        }
        cr_assert_lt(worst, cases[c].bound, "function %d: %g ulp at %g", (int)cases[c].function,
                     worst, (double)at);
    }
}

/* Ordinary numbers with a sprinkling of every special one. */
static void fill(float *data, uint32_t seed) {
    static const float special[] = {0.0F,     -0.0F, INFINITY, -INFINITY, NAN,  1e-40F,
                                    -3.4e38F, 88.7F, -103.9F,  0.5F,      2.5F, -1.5F};
    for (int i = 0; i < COUNT; i++) {
        seed = seed * 1664525U + 1013904223U;
        data[i] = seed >> 27 == 0 ? special[seed % 12U]
                                  : ((float)(seed >> 8) / 8388608.0F - 1.0F) * 20.0F;
    }
}

/* NaN may differ in sign and payload between instruction sets. */
static void assert_same(const float *a, const float *b, const char *what, int number) {
    for (int i = 0; i < COUNT; i++) {
        cr_assert(memcmp(&a[i], &b[i], sizeof a[i]) == 0 || (isnan(a[i]) && isnan(b[i])),
                  "%s %d, element %d: %.9g and %.9g", what, number, i, (double)a[i], (double)b[i]);
    }
}

Test(cpu_math, every_instruction_set_gives_the_same_bits) {
    const tare_vector *base = tare_vector_of(TARE_ISA_BASE);
    float a[COUNT], b[COUNT], x[COUNT], y[COUNT];
    fill(a, 1);
    fill(b, 2);
    for (int isa = TARE_ISA_AVX2; isa < TARE_ISA_COUNT; isa++) {
        const tare_vector *vector = tare_vector_of((tare_isa)isa);
        if (vector == NULL) {
            continue;
        }
        for (int f = 0; f < TARE_UNARY_COUNT; f++) {
            base->unary[f](x, a, COUNT, 0.75F, 1.25F);
            vector->unary[f](y, a, COUNT, 0.75F, 1.25F);
            assert_same(x, y, "unary", f);
        }
        for (int f = 0; f < TARE_BINARY_COUNT; f++) {
            for (int form = 0; form < 4; form++) {
                const tare_span span = {.rows = 1,
                                        .columns = COUNT,
                                        .a_varies = (form & 1) != 0,
                                        .b_varies = (form & 2) != 0};
                base->binary[f](x, a, b, &span);
                vector->binary[f](y, a, b, &span);
                assert_same(x, y, "binary", f);
            }
        }
        base->affine(x, a, b, b, COUNT);
        vector->affine(y, a, b, b, COUNT);
        assert_same(x, y, "affine", 0);
    }
}

Test(cpu_math, sums_do_not_depend_on_the_instruction_set) {
    const tare_vector *base = tare_vector_of(TARE_ISA_BASE);
    float a[COUNT], x[COUNT], y[COUNT];
    for (int i = 0; i < COUNT; i++) {
        a[i] = (float)((i * 7919) % 1000 - 500) / 37.0F;
    }
    for (int isa = TARE_ISA_AVX2; isa < TARE_ISA_COUNT; isa++) {
        const tare_vector *vector = tare_vector_of((tare_isa)isa);
        if (vector == NULL) {
            continue;
        }
        for (int64_t count = 0; count < COUNT; count += 37) {
            cr_assert_eq(base->sum(a, count), vector->sum(a, count));
            cr_assert_eq(base->sum_squares(a, count, 0.3), vector->sum_squares(a, count, 0.3));
            cr_assert_eq(base->exp_sum(x, a, 13.5F, count), vector->exp_sum(y, a, 13.5F, count));
        }
    }
}

Test(cpu_math, sums_are_exact_to_double) {
    float a[COUNT];
    double expected = 0.0;
    for (int i = 0; i < COUNT; i++) {
        a[i] = (float)(i % 97) * 0.25F; /* exact in double in any order */
        expected += (double)a[i];
    }
    cr_assert_eq(tare_vector_best()->sum(a, COUNT), expected);
}

Test(cpu_math, functions_of_special_values) {
    const float in[6] = {INFINITY, -INFINITY, NAN, -0.0F, 1e30F, -1e30F};
    float out[6];
    tare_vector_best()->unary[TARE_UNARY_SIGMOID](out, in, 6, 0.0F, 0.0F);
    cr_assert(out[0] == 1.0F && out[1] == 0.0F && isnan(out[2]) && out[3] == 0.5F);
    tare_vector_best()->unary[TARE_UNARY_ROUND](
        out, (const float[6]){0.5F, 1.5F, 2.5F, -0.5F, -1.5F, 1e20F}, 6, 0.0F, 0.0F);
    cr_assert(out[0] == 0.0F && out[1] == 2.0F && out[2] == 2.0F && out[3] == 0.0F &&
              out[4] == -2.0F && out[5] == 1e20F);
    tare_vector_best()->unary[TARE_UNARY_RELU](out, in, 6, 0.0F, 0.0F);
    cr_assert(out[0] == INFINITY && out[1] == 0.0F && isnan(out[2]));
    cr_assert(isnan(tare_vector_best()->maximum(in, 6)));
    cr_assert_eq(tare_vector_best()->maximum(in, 2), INFINITY);
    cr_assert_eq(tare_vector_best()->minimum(in, 2), -INFINITY);
}
