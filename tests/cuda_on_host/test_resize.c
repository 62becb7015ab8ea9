/* SPDX-License-Identifier: Apache-2.0 */
/** Resize on the device against the CPU's. */
#include <criterion/criterion.h>

#include <string.h>

#include "cuda/kernels.h"
#include "cuda/resize.h"
#include "kernel_case.h"
#include "ops/attrs.h"

#define COUNT(array) (sizeof(array) / sizeof(array)[0])

/* Both sides add up to 400 products of elements up to 4 and weights whose sizes sum up to less than
 * 3, in another order and, on the CPU, rounded between the axes. */
#define BOUND        4e-6

static kernel_case case_of(const tare_resize_attrs *attrs, int rank, const int64_t *in,
                           const int64_t *out) {
    kernel_case test = {.kernel = "Resize", .attrs = attrs, .input_count = 1, .output_count = 1};
    test.relative = attrs->mode == TARE_RESIZE_NEAREST ? 0.0 : BOUND;
    test.absolute = test.relative;
    test.inputs[0] = (kernel_operand){.dtype = TARE_DTYPE_FLOAT, .rank = rank};
    test.outputs[0] = test.inputs[0];
    memcpy(test.inputs[0].dims, in, (size_t)rank * sizeof *in);
    memcpy(test.outputs[0].dims, out, (size_t)rank * sizeof *out);
    return test;
}

static tare_resize_attrs attrs_of(int rank, const int64_t *in, const int64_t *out) {
    tare_resize_attrs attrs = {.cubic_coeff_a = -0.75F, .extrapolation_value = 7.5F};
    for (int axis = 0; axis < rank; axis++) {
        attrs.scale[axis] = in[axis] > 0 ? (float)out[axis] / (float)in[axis] : 1.0F;
        attrs.roi_end[axis] = 1.0F;
    }
    return attrs;
}

static void check(const tare_resize_attrs *attrs, int rank, const int64_t *in, const int64_t *out) {
    const kernel_case test = case_of(attrs, rank, in, out);
    kernel_case_check(&tare_cuda_resize_table, &test);
}

static void check_modes(int rank, const int64_t *in, const int64_t *out) {
    tare_resize_attrs attrs = attrs_of(rank, in, out);
    for (attrs.mode = TARE_RESIZE_NEAREST; attrs.mode <= TARE_RESIZE_CUBIC; attrs.mode++) {
        check(&attrs, rank, in, out);
    }
}

Test(resize, every_coordinate_mode) {
    static const int64_t in[] = {1, 3, 5, 6}, larger[] = {1, 3, 10, 9}, smaller[] = {1, 3, 3, 2},
                         one[] = {1, 3, 1, 1};
    static const int64_t *const outs[] = {larger, smaller, one};
    for (size_t i = 0; i < COUNT(outs); i++) {
        tare_resize_attrs attrs = attrs_of(4, in, outs[i]);
        for (attrs.coordinates = TARE_RESIZE_HALF_PIXEL;
             attrs.coordinates <= TARE_RESIZE_TF_HALF_PIXEL_FOR_NN; attrs.coordinates++) {
            for (attrs.mode = TARE_RESIZE_NEAREST; attrs.mode <= TARE_RESIZE_CUBIC; attrs.mode++) {
                check(&attrs, 4, in, outs[i]);
            }
        }
    }
}

Test(resize, every_rounding) {
    static const int64_t in[] = {1, 2, 4, 5}, out[] = {1, 2, 7, 10};
    tare_resize_attrs attrs = attrs_of(4, in, out);
    for (attrs.nearest_mode = TARE_RESIZE_ROUND_PREFER_FLOOR;
         attrs.nearest_mode <= TARE_RESIZE_CEIL; attrs.nearest_mode++) {
        check(&attrs, 4, in, out);
    }
}

/* Channels that make whole vectors in both storage types, in one, and in none. */
Test(resize, channels) {
    static const int64_t channels[] = {1, 4, 5, 8, 24, 264};
    for (size_t i = 0; i < COUNT(channels); i++) {
        check_modes(4, (int64_t[]){2, channels[i], 3, 4}, (int64_t[]){2, channels[i], 6, 5});
    }
}

Test(resize, every_rank) {
    check_modes(1, (int64_t[]){7}, (int64_t[]){12});
    check_modes(2, (int64_t[]){3, 7}, (int64_t[]){6, 5});
    check_modes(3, (int64_t[]){2, 8, 7}, (int64_t[]){2, 8, 9});
    check_modes(5, (int64_t[]){1, 8, 3, 4, 2}, (int64_t[]){1, 8, 5, 6, 4});
    check_modes(6, (int64_t[]){2, 1, 2, 3, 4, 2}, (int64_t[]){2, 1, 2, 6, 3, 2});
}

/* Axes between resized ones, before and behind them, and nothing to resize. */
Test(resize, every_choice_of_axes) {
    static const int64_t in[] = {2, 3, 4, 5};
    for (unsigned choice = 0; choice < 16; choice++) {
        int64_t out[4];
        /* Four axes from the first to the last resized one: 0 to 3, or 0 to 1 channels-last. */
        const bool spread = (choice & 9U) == 9U || (choice & 3U) == 3U;
        for (int axis = 0; axis < 4; axis++) {
            out[axis] = in[axis] + ((choice >> axis & 1U) != 0 ? 2 : 0);
        }
        if (!spread) {
            check_modes(4, in, out);
        }
    }
    static const int64_t wide[] = {2, 2, 2, 3, 2}, both[] = {3, 2, 2, 3, 5};
    const tare_resize_attrs attrs = attrs_of(5, wide, both);
    kernel_case test = case_of(&attrs, 5, wide, both);
    test.refused = true;
    kernel_case_check(&tare_cuda_resize_table, &test);
}

Test(resize, antialias_and_exclude_outside) {
    static const int64_t in[] = {1, 4, 23, 17}, out[] = {1, 4, 5, 6};
    tare_resize_attrs attrs = attrs_of(4, in, out);
    for (attrs.mode = TARE_RESIZE_LINEAR; attrs.mode <= TARE_RESIZE_CUBIC; attrs.mode++) {
        attrs.antialias = true;
        attrs.exclude_outside = false;
        check(&attrs, 4, in, out);
        attrs.exclude_outside = true;
        check(&attrs, 4, in, out);
        attrs.antialias = false;
        check(&attrs, 4, in, out);
    }
}

Test(resize, crop) {
    static const int64_t in[] = {1, 8, 6, 7}, out[] = {1, 8, 5, 9};
    tare_resize_attrs attrs = attrs_of(4, in, out);
    attrs.coordinates = TARE_RESIZE_TF_CROP_AND_RESIZE;
    attrs.roi_begin[2] = 0.25F;
    attrs.roi_end[2] = 1.5F;
    attrs.roi_begin[3] = -0.3F;
    attrs.roi_end[3] = 0.8F;
    for (attrs.mode = TARE_RESIZE_NEAREST; attrs.mode <= TARE_RESIZE_CUBIC; attrs.mode++) {
        check(&attrs, 4, in, out);
    }
    /* An axis that keeps its size and is cropped all the same. */
    check(&attrs, 4, in, in);
}

/* Nearest neighbour copies whatever it finds; weighted sums meet infinities only with weights. */
Test(resize, special_numbers) {
    static const int64_t in[] = {1, 5, 6, 7}, out[] = {1, 5, 12, 4};
    tare_resize_attrs attrs = attrs_of(4, in, out);
    kernel_case test = case_of(&attrs, 4, in, out);
    test.inputs[0].values = KERNEL_VALUES_SPECIAL;
    kernel_case_check(&tare_cuda_resize_table, &test);
}

Test(resize, nothing) {
    check_modes(4, (int64_t[]){0, 3, 4, 5}, (int64_t[]){0, 3, 8, 10});
    check_modes(4, (int64_t[]){1, 0, 4, 5}, (int64_t[]){1, 0, 8, 10});
}

Test(resize, refuses_other_types) {
    static const int64_t in[] = {1, 2, 4, 5}, out[] = {1, 2, 8, 5};
    const tare_resize_attrs attrs = attrs_of(4, in, out);
    kernel_case test = case_of(&attrs, 4, in, out);
    test.inputs[0].dtype = TARE_DTYPE_INT32;
    test.outputs[0].dtype = TARE_DTYPE_INT32;
    test.refused = true;
    kernel_case_check(&tare_cuda_resize_table, &test);
}
