/* SPDX-License-Identifier: Apache-2.0 */
/** Normalisations on the device against the CPU's, and the same bits from every grid. */
#include <criterion/criterion.h>

#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "cuda/kernels.h"
#include "cuda/norm.h"
#include "kernel_case.h"
#include "ops/attrs.h"

/* The CPU sums in double, the device in float32 over trees of fewer than 1000 additions, whose
 * errors grow like their root: 32 roundings of 6e-8 of the size of what is added. Operands are
 * about 4, results about 2. */
#define BOUND 4e-6

/* Beyond that the CPU takes the mean off after scaling: it rounds products of elements, scales
 * (both up to 4) and the inverse deviation, which is at most 1 / sqrt(epsilon). */
static double product_bound(const tare_norm_attrs *attrs) {
    return BOUND + 16.0 * 6e-8 / sqrt((double)attrs->epsilon);
}

#define COUNT(array) (sizeof(array) / sizeof(array)[0])

static kernel_operand floats(int rank, const int64_t *dims) {
    kernel_operand operand = {.dtype = TARE_DTYPE_FLOAT, .rank = rank};
    memcpy(operand.dims, dims, (size_t)rank * sizeof *dims);
    return operand;
}

static kernel_operand vector(int64_t count, bool constant) {
    kernel_operand operand = floats(1, &count);
    operand.constant = constant;
    return operand;
}

static kernel_case case_of(const char *kernel, const void *attrs, int rank, const int64_t *dims) {
    kernel_case test = {.kernel = kernel,
                        .attrs = attrs,
                        .input_count = 1,
                        .output_count = 1,
                        .relative = BOUND,
                        .absolute = BOUND};
    test.inputs[0] = floats(rank, dims);
    test.outputs[0] = test.inputs[0];
    return test;
}

static void check(const kernel_case *test) {
    kernel_case_check(&tare_cuda_norm_table, test);
}

/* Shapes with odd and even channels, few and many positions, ranks 2 to 5, and nothing. */
static const struct {
    int rank;
    int64_t dims[5];
} shapes[] = {
    {2, {5, 7}},         {2, {3, 64}},         {3, {2, 8, 11}},      {3, {1, 1, 300}},
    {4, {2, 3, 5, 7}},   {4, {1, 16, 12, 11}}, {4, {2, 40, 1, 1}},   {4, {1, 72, 3, 2}},
    {4, {1, 2, 33, 16}}, {5, {2, 4, 3, 2, 5}}, {4, {3, 12, 10, 13}}, {4, {1, 5, 17, 16}},
    {4, {0, 4, 2, 2}},   {4, {1, 4, 0, 2}},
};

static void batch_case(int rank, const int64_t *dims, bool constant) {
    static const tare_norm_attrs attrs = {.epsilon = 1e-3F};
    kernel_case test = case_of("BatchNormalization", &attrs, rank, dims);
    test.input_count = 5;
    for (size_t i = 1; i < 5; i++) {
        test.inputs[i] = vector(dims[1], constant);
    }
    test.inputs[4].low = 0.25;
    test.inputs[4].high = 4.0;
    check(&test);
    test.inputs[0].values = KERNEL_VALUES_SPECIAL;
    check(&test);
}

Test(norm, batch) {
    for (size_t i = 0; i < COUNT(shapes); i++) {
        batch_case(shapes[i].rank, shapes[i].dims, true);
        batch_case(shapes[i].rank, shapes[i].dims, false);
    }
}

static void groups_case(const char *kernel, const tare_norm_attrs *attrs, size_t shape,
                        int64_t weights) {
    kernel_case test = case_of(kernel, attrs, shapes[shape].rank, shapes[shape].dims);
    test.input_count = 3;
    test.absolute = product_bound(attrs);
    test.inputs[1] = vector(weights, shape % 2 == 0);
    test.inputs[2] = vector(weights, shape % 2 == 0);
    check(&test);
    /* Far from zero, so that the variance is small beside the mean. */
    test.inputs[0].low = 99.0;
    test.inputs[0].high = 101.0;
    test.absolute = 101.0 / 4.0 * product_bound(attrs);
    check(&test);
}

Test(norm, instance) {
    static const tare_norm_attrs attrs = {.epsilon = 1e-2F};
    for (size_t i = 0; i < COUNT(shapes); i++) {
        if (shapes[i].rank > 2) {
            groups_case("InstanceNormalization", &attrs, i, shapes[i].dims[1]);
        }
    }
}

Test(norm, group) {
    for (size_t i = 0; i < COUNT(shapes); i++) {
        const int64_t channels = shapes[i].dims[1];
        for (int64_t size = 1; size <= channels; size += 3) {
            const tare_norm_attrs attrs = {.epsilon = 1e-2F, .num_groups = channels / size};
            if (shapes[i].rank > 2 && channels % size == 0 && size < 50) {
                groups_case("GroupNormalization", &attrs, i,
                            i % 3 == 0 ? channels / size : channels);
            }
        }
    }
}

Test(norm, many_tiles) {
    static const tare_norm_attrs instance = {.epsilon = 1e-5F},
                                 group = {.epsilon = 1e-5F, .num_groups = 1};
    kernel_case test = case_of("InstanceNormalization", &instance, 4, (int64_t[]){1, 8, 23, 29});
    test.input_count = 3;
    test.inputs[1] = test.inputs[2] = vector(8, true);
    check(&test);
    test.kernel = "GroupNormalization";
    test.attrs = &group;
    check(&test);
    /* More parts than one warp joins. */
    test = case_of("GroupNormalization", &group, 4, (int64_t[]){1, 1032, 2, 1});
    test.input_count = 3;
    test.inputs[1] = test.inputs[2] = vector(1032, true);
    check(&test);
}

static void mvn_case(int rank, const int64_t *dims, const tare_reduce_attrs *attrs,
                     kernel_values values) {
    kernel_case test = case_of("MeanVarianceNormalization", attrs, rank, dims);
    test.inputs[0].values = values;
    check(&test);
}

Test(norm, mean_variance) {
    static const tare_reduce_attrs batch = {.axis_count = 3, .axes = {0, 2, 3}},
                                   positions = {.axis_count = 2, .axes = {2, 3}},
                                   sample = {.axis_count = 3, .axes = {1, 2, 3}},
                                   channels = {.axis_count = 1, .axes = {1}},
                                   everything = {.axis_count = 4, .axes = {0, 1, 2, 3}},
                                   last = {.axis_count = 1, .axes = {2}};
    static const tare_reduce_attrs *const all[] = {&batch, &positions, &sample, &channels,
                                                   &everything};
    for (size_t i = 0; i < COUNT(all); i++) {
        mvn_case(4, (int64_t[]){2, 3, 9, 5}, all[i], KERNEL_VALUES_RANGE);
        mvn_case(4, (int64_t[]){2, 8, 6, 4}, all[i], KERNEL_VALUES_RANGE);
        mvn_case(4, (int64_t[]){1, 16, 15, 12}, all[i], KERNEL_VALUES_RANGE);
    }
    mvn_case(3, (int64_t[]){2, 3, 50}, &last, KERNEL_VALUES_RANGE);
    mvn_case(3, (int64_t[]){2, 3, 50}, &channels, KERNEL_VALUES_RANGE);
}

/* Equal elements have no deviation: what is left of their mean's rounding is not divided by it. */
Test(norm, mean_variance_of_equal_elements) {
    static const tare_reduce_attrs positions = {.axis_count = 2, .axes = {2, 3}};
    static float same[2 * 3 * 20 * 9];
    kernel_case test =
        case_of("MeanVarianceNormalization", &positions, 4, (int64_t[]){2, 3, 20, 9});
    for (size_t i = 0; i < COUNT(same); i++) {
        same[i] = (float)(i / 180) * 0.7F + 0.1F;
    }
    test.inputs[0].data = same;
    /* The CPU adds 180 shares to a mean of up to 4, in double, and divides what that rounds off by
     * 1e-9. */
    test.absolute = 180.0 * 4.0 * 1.2e-16 / 1e-9;
    check(&test);
}

Test(norm, mean_variance_refuses_axes_that_take_turns) {
    static const tare_reduce_attrs turns = {.axis_count = 2, .axes = {0, 2}};
    kernel_case test = case_of("MeanVarianceNormalization", &turns, 5, (int64_t[]){2, 3, 4, 5, 1});
    tare_reduce_attrs more = {.axis_count = 3, .axes = {0, 2, 4}};
    test.refused = true;
    test.attrs = &more;
    test.inputs[0].dims[4] = test.outputs[0].dims[4] = 6;
    check(&test);
}

static void layer_case(int64_t rows, int64_t size, bool bias, bool constant) {
    static const tare_norm_attrs attrs = {.epsilon = 1e-5F, .axis = 1};
    kernel_case test = case_of("LayerNormalization", &attrs, 2, (int64_t[]){rows, size});
    test.input_count = 3;
    test.inputs[1] = vector(size, constant);
    test.inputs[2] = vector(size, constant);
    test.absolute = size < 8 ? product_bound(&attrs) : BOUND;
    if (!bias) {
        test.inputs[2] = (kernel_operand){.dtype = TARE_DTYPE_UNDEFINED};
        test.output_count = 3;
        test.outputs[1] = test.outputs[2] = floats(2, (int64_t[]){rows, 1});
    }
    check(&test);
}

Test(norm, layer) {
    static const int64_t sizes[] = {1, 3, 8, 96, 100, 256, 257, 264, 768, 1024};
    for (size_t i = 0; i < COUNT(sizes); i++) {
        layer_case(9, sizes[i], true, true);
        layer_case(3, sizes[i], false, true);
        layer_case(2, sizes[i], true, false);
    }
}

Test(norm, layer_of_long_rows) {
    static const int64_t sizes[] = {1025, 1032, 8192, 8200, 8201};
    for (size_t i = 0; i < COUNT(sizes); i++) {
        layer_case(2, sizes[i], true, true);
        layer_case(1, sizes[i], false, false);
    }
}

Test(norm, layer_over_several_axes) {
    static const int64_t dims[] = {2, 3, 4, 6};
    for (int axis = 0; axis < 4; axis++) {
        const tare_norm_attrs attrs = {.epsilon = 1e-5F, .axis = axis};
        kernel_case test = case_of("LayerNormalization", &attrs, 4, dims);
        test.input_count = 3;
        test.output_count = 2;
        test.inputs[1] = test.inputs[2] = floats(4 - axis, dims + axis);
        test.outputs[1] = floats(4, dims);
        for (int reduced = axis; reduced < 4; reduced++) {
            test.outputs[1].dims[reduced] = 1;
        }
        check(&test);
    }
}

Test(norm, layer_refuses_what_it_would_have_to_spread) {
    static const tare_norm_attrs attrs = {.epsilon = 1e-5F, .axis = 1};
    kernel_case test = case_of("LayerNormalization", &attrs, 3, (int64_t[]){2, 3, 4});
    test.input_count = 2;
    test.inputs[1] = vector(4, true);
    test.refused = true;
    check(&test);
}

Test(norm, layer_of_nothing) {
    layer_case(0, 8, true, true);
    layer_case(3, 0, true, true);
}

Test(norm, special_rows) {
    static const tare_norm_attrs attrs = {.epsilon = 1e-5F, .axis = 1};
    static const float nan_row[16] = {1.0F, 2.0F,  NAN,    4.0F, 5.0F, 6.0F, 7.0F, 8.0F,
                                      0.0F, -0.0F, 1e-40F, 0.0F, 0.0F, 0.0F, 0.0F, 0.0F};
    kernel_case test = case_of("LayerNormalization", &attrs, 2, (int64_t[]){2, 8});
    test.input_count = 2;
    test.inputs[0].data = nan_row;
    test.inputs[1] = vector(8, true);
    check(&test);
}

Test(norm, lrn) {
    static const int64_t sizes[] = {1, 2, 3, 5, 40};
    for (size_t i = 0; i < COUNT(sizes); i++) {
        const tare_lrn_attrs attrs = {.alpha = 0.5F, .beta = 0.75F, .bias = 1.5F, .size = sizes[i]};
        for (size_t s = 0; s < COUNT(shapes); s++) {
            kernel_case test = case_of("LRN", &attrs, shapes[s].rank, shapes[s].dims);
            check(&test);
        }
    }
}

Test(norm, lp) {
    static const int64_t dims[] = {2, 5, 3, 4};
    for (int64_t p = 1; p <= 2; p++) {
        tare_lp_attrs attrs = {.p = p};
        for (attrs.axis = 0; attrs.axis < 4; attrs.axis++) {
            kernel_case test = case_of("LpNormalization", &attrs, 4, dims);
            check(&test);
            test.inputs[0].values = KERNEL_VALUES_SPECIAL;
            check(&test);
        }
        attrs.axis = 1;
        for (int64_t size = 33; size < 3000; size = size * 5 + 1) {
            kernel_case test = case_of("LpNormalization", &attrs, 2, (int64_t[]){9, size});
            check(&test);
        }
    }
}

/* Zeros stay zeros, and squares neither overflow nor vanish. */
Test(norm, lp_of_extreme_rows) {
    static const float rows[] = {0.0F, -0.0F, 0.0F, 1e30F, -2e30F, 0.0F, 3e-30F, 4e-30F, 0.0F};
    const tare_lp_attrs attrs = {.axis = 1, .p = 2};
    kernel_case test = case_of("LpNormalization", &attrs, 2, (int64_t[]){3, 3});
    test.inputs[0].data = rows;
    check(&test);
}

/* Who computes a tile or a row has no influence on it. */
Test(norm, does_not_depend_on_the_grid) {
    static const tare_norm_shape grids[] = {{TARE_DTYPE_FLOAT, 2, 300, 24, 1},
                                            {TARE_DTYPE_FLOAT, 3, 130, 5, 1},
                                            {TARE_DTYPE_FLOAT, 2, 3, 5, 40}};
    static float in[20000], outs[2][20000], parameters[3][200];
    static tare_norm_part parts[1000];
    for (size_t i = 0; i < COUNT(in); i++) {
        in[i] = (float)((i * 7919U) % 1000U) / 100.0F;
    }
    for (size_t s = 0; s < COUNT(grids); s++) {
        const tare_norm_shape *shape = &grids[s];
        for (uint32_t grid = 0; grid < 2; grid++) {
            const tare_norm_statistics statistics = {.shape = *shape,
                                                     .in = in,
                                                     .group = 1,
                                                     .epsilon = 1e-3F,
                                                     .parts = parts,
                                                     .center = parameters[0],
                                                     .factor = parameters[1],
                                                     .shift = parameters[2],
                                                     .max_blocks = grid * 4 + 1};
            const tare_norm_apply apply = {.shape = *shape,
                                           .out = outs[grid],
                                           .in = in,
                                           .center = parameters[0],
                                           .scale = parameters[1],
                                           .shift = parameters[2],
                                           .max_blocks = grid * 4 + 1};
            tare_error error;
            cr_assert_leq(shape->outer * tare_norm_tiles(shape) * shape->columns,
                          (int64_t)COUNT(parts));
            cr_assert_eq(tare_cuda_norm_statistics(&statistics, NULL, &error), TARE_OK);
            cr_assert_eq(tare_cuda_norm_apply(&apply, NULL, &error), TARE_OK);
        }
        cr_expect_eq(memcmp(outs[0], outs[1],
                            (size_t)(shape->outer * shape->rows * shape->columns * shape->length) *
                                sizeof(float)),
                     0, "shape %zu", s);
    }
}
