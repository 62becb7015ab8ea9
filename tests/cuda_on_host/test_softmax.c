/* SPDX-License-Identifier: Apache-2.0 */
/** Softmax and LogSoftmax on the device against the CPU's, and the same bits from every grid. */
#include <criterion/criterion.h>

#include <string.h>

#include "cuda/kernels.h"
#include "cuda/softmax.h"
#include "kernel_case.h"
#include "ops/attrs.h"

/* Both sides subtract the same largest element in float32; after that exp, a sum over a tree and a
 * product are left, each good for a few units in the last place. What underflows may vanish. */
#define RELATIVE  2e-6
#define ABSOLUTE  1e-37
/* The CPU takes logarithms in double; here distance and logarithm are rounded to float32. */
#define LOG_BOUND 2e-6

static kernel_case case_of(const char *kernel, const tare_axis_attrs *attrs, int rank,
                           const int64_t *dims) {
    const bool logarithm = kernel[0] == 'L';
    kernel_case test = {.kernel = kernel,
                        .attrs = attrs,
                        .input_count = 1,
                        .output_count = 1,
                        .relative = logarithm ? LOG_BOUND : RELATIVE,
                        .absolute = logarithm ? LOG_BOUND : ABSOLUTE};
    test.inputs[0] = (kernel_operand){.dtype = TARE_DTYPE_FLOAT, .rank = rank};
    memcpy(test.inputs[0].dims, dims, (size_t)rank * sizeof *dims);
    test.outputs[0] = test.inputs[0];
    return test;
}

static void check(int64_t axis, bool flatten, int rank, const int64_t *dims, kernel_values values) {
    static const char *const names[] = {"Softmax", "LogSoftmax"};
    const tare_axis_attrs attrs = {.axis = axis, .flatten = flatten};
    for (size_t i = 0; i < 2; i++) {
        kernel_case test = case_of(names[i], &attrs, rank, dims);
        test.inputs[0].values = values;
        kernel_case_check(&tare_cuda_softmax_table, &test);
    }
}

/* Lengths on both sides of each boundary between kernels, with and without whole vectors. */
Test(softmax, rows) {
    static const int64_t sizes[] = {1, 2, 7, 8, 31, 64, 197, 256, 257, 264, 1000, 1024};
    for (size_t i = 0; i < sizeof sizes / sizeof sizes[0]; i++) {
        check(1, false, 2, (int64_t[]){11, sizes[i]}, KERNEL_VALUES_RANGE);
        check(1, false, 2, (int64_t[]){3, sizes[i]}, KERNEL_VALUES_SPECIAL);
    }
}

Test(softmax, long_rows) {
    static const int64_t sizes[] = {1025, 1032, 8192, 8193, 8200};
    for (size_t i = 0; i < sizeof sizes / sizeof sizes[0]; i++) {
        check(1, false, 2, (int64_t[]){2, sizes[i]}, KERNEL_VALUES_RANGE);
    }
    check(1, false, 2, (int64_t[]){3, 1032}, KERNEL_VALUES_SPECIAL);
    check(1, false, 2, (int64_t[]){2, 8201}, KERNEL_VALUES_SPECIAL);
}

Test(softmax, every_axis_of_every_rank) {
    static const int64_t dims[] = {2, 8, 3, 5, 4};
    for (int rank = 1; rank <= 5; rank++) {
        for (int axis = 0; axis < rank; axis++) {
            check(axis, false, rank, dims, KERNEL_VALUES_RANGE);
        }
    }
    check(1, false, 3, (int64_t[]){3, 300, 7}, KERNEL_VALUES_SPECIAL);
    check(1, false, 4, (int64_t[]){1, 21, 9, 40}, KERNEL_VALUES_EQUAL);
}

/* Before opset 13 everything from the axis on is one row. */
Test(softmax, flattened) {
    for (int axis = 0; axis < 4; axis++) {
        check(axis, true, 4, (int64_t[]){2, 3, 4, 5}, KERNEL_VALUES_RANGE);
    }
}

Test(softmax, nothing) {
    check(1, false, 2, (int64_t[]){0, 5}, KERNEL_VALUES_RANGE);
    check(0, false, 2, (int64_t[]){0, 5}, KERNEL_VALUES_RANGE);
    check(1, false, 2, (int64_t[]){5, 0}, KERNEL_VALUES_RANGE);
}

Test(softmax, refuses_other_types) {
    const tare_axis_attrs attrs = {.axis = 1};
    kernel_case test = case_of("Softmax", &attrs, 2, (int64_t[]){2, 3});
    test.inputs[0].dtype = TARE_DTYPE_INT32;
    test.outputs[0].dtype = TARE_DTYPE_INT32;
    test.refused = true;
    kernel_case_check(&tare_cuda_softmax_table, &test);
}

/* Who computes a row has no influence on it. */
Test(softmax, does_not_depend_on_the_grid) {
    static const int64_t shapes[][3] = {
        {37, 40, 1}, {19, 300, 1}, {5, 1100, 1}, {3, 8300, 1}, {7, 30, 100}};
    static float in[33000], outs[2][33000];
    for (size_t i = 0; i < sizeof in / sizeof in[0]; i++) {
        in[i] = (float)((i * 7919U) % 1000U) / 100.0F;
    }
    for (size_t s = 0; s < sizeof shapes / sizeof shapes[0]; s++) {
        const size_t count = (size_t)(shapes[s][0] * shapes[s][1] * shapes[s][2]);
        cr_assert_leq(count, sizeof in / sizeof in[0]);
        for (uint32_t grid = 0; grid < 2; grid++) {
            const tare_softmax_launch launch = {.out = outs[grid],
                                                .in = in,
                                                .dtype = TARE_DTYPE_FLOAT,
                                                .outer = shapes[s][0],
                                                .size = shapes[s][1],
                                                .inner = shapes[s][2],
                                                .max_blocks = grid * 2 + 1};
            tare_error error;
            cr_assert_eq(tare_cuda_softmax(&launch, NULL, &error), TARE_OK);
        }
        cr_expect_eq(memcmp(outs[0], outs[1], count * sizeof(float)), 0, "shape %zu", s);
    }
}
