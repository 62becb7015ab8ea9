/* SPDX-License-Identifier: Apache-2.0 */
/** Pools on the device against the CPU's, and the same bits from every grid. */
#include <criterion/criterion.h>

#include <math.h>
#include <string.h>

#include "cuda/kernels.h"
#include "cuda/pool.h"
#include "kernel_case.h"
#include "ops/attrs.h"

#define COUNT(array) (sizeof(array) / sizeof(array)[0])

/* Sums of up to a few hundred numbers of up to 4 in float32, divided by their number: errors grow
 * like the root of the number of additions. */
#define BOUND        2e-6

typedef struct pool_case {
    int64_t in[3], kernel[3], stride[3], dilation[3], begin[3], end[3], more[3];
    int rank;
} pool_case;

/* `more`: what ceil_mode adds behind the declared padding. */
static int64_t positions(const pool_case *pool, int d) {
    const int64_t extent = (pool->kernel[d] - 1) * pool->dilation[d] + 1;
    const int64_t padded = pool->in[d] + pool->begin[d] + pool->end[d] + pool->more[d];
    return (padded - extent) / pool->stride[d] + 1;
}

static tare_pool_attrs attrs_of(const pool_case *pool) {
    tare_pool_attrs attrs = {.window = {.rank = pool->rank}, .p = 2};
    for (int d = 0; d < pool->rank; d++) {
        attrs.window.kernel[d] = pool->kernel[d];
        attrs.window.stride[d] = pool->stride[d];
        attrs.window.dilation[d] = pool->dilation[d];
        attrs.window.pad_begin[d] = pool->begin[d];
        attrs.window.pad_end[d] = pool->end[d] + pool->more[d];
        attrs.declared_pad_end[d] = pool->end[d];
    }
    return attrs;
}

static kernel_case case_of(const char *kernel, const tare_pool_attrs *attrs, const pool_case *pool,
                           const int64_t outer[2]) {
    kernel_case test = {.kernel = kernel, .attrs = attrs, .input_count = 1, .output_count = 1};
    test.inputs[0] = (kernel_operand){
        .dtype = TARE_DTYPE_FLOAT, .rank = pool->rank + 2, .dims = {outer[0], outer[1]}};
    test.outputs[0] = test.inputs[0];
    for (int d = 0; d < pool->rank; d++) {
        test.inputs[0].dims[2 + d] = pool->in[d];
        test.outputs[0].dims[2 + d] = positions(pool, d);
    }
    return test;
}

/* All pools of a window: maxima are equal, averages with and without pads, norms. */
static void check(const pool_case *pool, int64_t samples, int64_t channels) {
    const int64_t outer[2] = {samples, channels};
    tare_pool_attrs attrs = attrs_of(pool);
    kernel_case test = case_of("MaxPool", &attrs, pool, outer);

    kernel_case_check(&tare_cuda_pool_table, &test);
    test.relative = test.absolute = BOUND;
    test.kernel = "AveragePool";
    kernel_case_check(&tare_cuda_pool_table, &test);
    attrs.count_include_pad = true;
    kernel_case_check(&tare_cuda_pool_table, &test);
    test.kernel = "LpPool";
    for (attrs.p = 1; attrs.p <= 2; attrs.p++) {
        kernel_case_check(&tare_cuda_pool_table, &test);
    }
}

/* Channels that make whole vectors in both storage types, in one, and in none. */
static void check_channels(const pool_case *pool) {
    check(pool, 2, 8);
    check(pool, 1, 12);
    check(pool, 1, 5);
}

Test(pool, one_dim) {
    static const pool_case cases[] = {
        {{9}, {3}, {2}, {1}, {1}, {1}, {0}, 1},
        {{7}, {2}, {3}, {2}, {0}, {1}, {1}, 1},
        {{5}, {5}, {1}, {1}, {0}, {0}, {0}, 1},
        {{1}, {1}, {1}, {1}, {0}, {0}, {0}, 1},
    };
    for (size_t i = 0; i < COUNT(cases); i++) {
        check_channels(&cases[i]);
    }
}

Test(pool, two_dims) {
    static const pool_case cases[] = {
        {{7, 6}, {3, 3}, {2, 2}, {1, 1}, {1, 1}, {1, 1}, {0, 0}, 2},
        {{8, 7}, {3, 3}, {2, 3}, {1, 1}, {0, 0}, {0, 1}, {1, 1}, 2},
        {{9, 8}, {3, 2}, {1, 2}, {2, 3}, {2, 1}, {1, 0}, {0, 0}, 2},
        {{5, 5}, {5, 5}, {1, 1}, {1, 1}, {2, 2}, {2, 2}, {0, 0}, 2},
    };
    for (size_t i = 0; i < COUNT(cases); i++) {
        check_channels(&cases[i]);
    }
}

Test(pool, three_dims) {
    static const pool_case cases[] = {
        {{4, 5, 3}, {2, 3, 2}, {2, 2, 1}, {1, 1, 1}, {0, 1, 1}, {1, 1, 0}, {0, 0, 0}, 3},
        {{5, 4, 6}, {2, 3, 2}, {1, 2, 3}, {3, 1, 2}, {1, 0, 0}, {0, 0, 1}, {0, 1, 0}, 3},
    };
    for (size_t i = 0; i < COUNT(cases); i++) {
        check_channels(&cases[i]);
    }
}

/* Windows as large as the input: of a thread, of one tile, of a full and a short one, of many. */
Test(pool, global) {
    static const int64_t sizes[][2] = {{1, 1}, {7, 7}, {8, 8}, {5, 13}, {9, 16}, {23, 17}};
    for (size_t i = 0; i < COUNT(sizes); i++) {
        const pool_case pool = {{sizes[i][0], sizes[i][1]},
                                {sizes[i][0], sizes[i][1]},
                                {1, 1},
                                {1, 1},
                                {0, 0},
                                {0, 0},
                                {0, 0},
                                2};
        check(&pool, 2, 3);
        check(&pool, 1, 16);
    }
    static const pool_case wide = {{12, 6}, {12, 6}, {1, 1}, {1, 1}, {0, 0}, {0, 0}, {0, 0}, 2};
    check(&wide, 1, 264);
}

Test(pool, special_numbers) {
    static const pool_case small = {{6, 7}, {3, 2}, {1, 2}, {1, 1}, {1, 0}, {1, 1}, {0, 0}, 2},
                           large = {{11, 13}, {11, 13}, {1, 1}, {1, 1}, {0, 0}, {0, 0}, {0, 0}, 2};
    static const pool_case *const pools[] = {&small, &large};
    for (size_t i = 0; i < COUNT(pools); i++) {
        const tare_pool_attrs attrs = attrs_of(pools[i]);
        kernel_case test = case_of("LpPool", &attrs, pools[i], (const int64_t[]){1, 8});
        test.relative = BOUND;
        test.inputs[0].values = KERNEL_VALUES_SPECIAL;
        kernel_case_check(&tare_cuda_pool_table, &test);
    }
}

/* oneDNN's maxima of NaN are no reference. */
Test(pool, maxima_hand_on_nan) {
    static const int64_t positions_of[] = {9, 100};
    static float in[100 * 4], out[4], parts[8];
    for (size_t i = 0; i < COUNT(positions_of); i++) {
        const int64_t count = positions_of[i];
        const tare_pool_launch launch = {.out = out,
                                         .in = in,
                                         .parts = parts,
                                         .dtype = TARE_DTYPE_FLOAT,
                                         .kind = TARE_POOL_MAX,
                                         .samples = 1,
                                         .channels = 4,
                                         .size = {1, 1, (int32_t)count},
                                         .output = {1, 1, 1},
                                         .kernel = {1, 1, (int32_t)count},
                                         .stride = {1, 1, 1},
                                         .dilation = {1, 1, 1}};
        tare_error error;
        for (int64_t k = 0; k < count * 4; k++) {
            in[k] = (float)(k % 7);
        }
        in[1] = (float)NAN;
        in[4 * (count / 2) + 2] = (float)NAN;
        in[4 * (count - 1) + 3] = (float)INFINITY;
        cr_assert_eq(tare_cuda_pool(&launch, NULL, &error), TARE_OK);
        cr_expect_eq(out[0], 6.0F);
        cr_expect(isnan(out[1]) && isnan(out[2]));
        cr_expect_eq(out[3], (float)INFINITY);
    }
}

Test(pool, refuses_indices_and_other_norms) {
    static const pool_case pool = {{5, 5}, {2, 2}, {1, 1}, {1, 1}, {0, 0}, {0, 0}, {0, 0}, 2};
    tare_pool_attrs attrs = attrs_of(&pool);
    kernel_case test = case_of("MaxPool", &attrs, &pool, (const int64_t[]){1, 2});
    test.output_count = 2;
    test.outputs[1] = test.outputs[0];
    test.outputs[1].dtype = TARE_DTYPE_INT64;
    test.refused = true;
    kernel_case_check(&tare_cuda_pool_table, &test);
    attrs.p = 3;
    test = case_of("LpPool", &attrs, &pool, (const int64_t[]){1, 2});
    test.refused = true;
    kernel_case_check(&tare_cuda_pool_table, &test);
}

Test(pool, nothing) {
    static const pool_case pool = {{3, 3}, {2, 2}, {1, 1}, {1, 1}, {0, 0}, {0, 0}, {0, 0}, 2};
    const tare_pool_attrs attrs = attrs_of(&pool);
    const kernel_case test = case_of("LpPool", &attrs, &pool, (const int64_t[]){0, 4});
    kernel_case_check(&tare_cuda_pool_table, &test);
}

/* Who computes a tile or a window has no influence on it. */
Test(pool, does_not_depend_on_the_grid) {
    static float in[3 * 300 * 20], outs[2][3 * 20], parts[3 * 3 * 20];
    for (size_t i = 0; i < COUNT(in); i++) {
        in[i] = (float)((i * 7919U) % 1000U) / 100.0F;
    }
    for (uint32_t grid = 0; grid < 2; grid++) {
        const tare_pool_launch launch = {.out = outs[grid],
                                         .in = in,
                                         .parts = parts,
                                         .dtype = TARE_DTYPE_FLOAT,
                                         .kind = TARE_POOL_AVERAGE,
                                         .samples = 3,
                                         .channels = 20,
                                         .size = {1, 15, 20},
                                         .output = {1, 1, 1},
                                         .kernel = {1, 15, 20},
                                         .stride = {1, 1, 1},
                                         .dilation = {1, 1, 1},
                                         .max_blocks = grid * 3 + 1};
        tare_error error;
        cr_assert_eq(tare_pool_tiles(&launch), 3);
        cr_assert_eq(tare_cuda_pool(&launch, NULL, &error), TARE_OK);
    }
    cr_expect_eq(memcmp(outs[0], outs[1], sizeof outs[0]), 0);
}
