/* SPDX-License-Identifier: Apache-2.0 */
/** Depthwise convolution on the device, against the CPU's convolution. */
#include <criterion/criterion.h>

#include <math.h>

#include "cuda/kernels.h"
#include "kernel_case.h"
#include "on_device.h"
#include "ops/attrs.h"

/* Window and operands of a case; one spatial dim when size[1] is 0. */
typedef struct shape {
    int64_t samples, channels, size[2], kernel[2], stride[2], dilation[2], begin[2], end[2];
    bool bias;
} shape;

static int64_t output_size(const shape *s, int d) {
    const int64_t reach = (s->kernel[d] - 1) * s->dilation[d] + 1;
    return (s->size[d] + s->begin[d] + s->end[d] - reach) / s->stride[d] + 1;
}

/* Weights are up to 1 and inputs up to 4: each of `taps` products adds a rounding of a sum below
 * 4 taps, on either side of the comparison. */
static double bound_of(const shape *s) {
    const double taps = (double)(s->kernel[0] * (s->size[1] > 0 ? s->kernel[1] : 1)) + 1.0;
    return 2.0 * taps * 4.0 * taps * 0x1p-24;
}

static void check_with(const shape *s, const tare_epilogue *epilogues, size_t count) {
    const int rank = s->size[1] > 0 ? 2 : 1;
    tare_conv_attrs attrs = {.group = s->channels, .window = {.rank = rank}};
    kernel_case test = {.kernel = "Conv",
                        .attrs = &attrs,
                        .input_count = s->bias ? 3 : 2,
                        .output_count = 1,
                        .epilogue_count = count,
                        .absolute = bound_of(s) * 2.0};
    kernel_operand *x = &test.inputs[0], *w = &test.inputs[1], *b = &test.inputs[2],
                   *y = &test.outputs[0];

    *x = (kernel_operand){.dtype = TARE_DTYPE_FLOAT, .rank = rank + 2};
    *w = *x;
    *y = *x;
    x->dims[0] = y->dims[0] = s->samples;
    x->dims[1] = y->dims[1] = w->dims[0] = s->channels;
    w->dims[1] = 1;
    w->constant = true;
    w->low = -1.0;
    w->high = 1.0;
    for (int d = 0; d < rank; d++) {
        x->dims[d + 2] = s->size[d];
        w->dims[d + 2] = attrs.window.kernel[d] = s->kernel[d];
        y->dims[d + 2] = output_size(s, d);
        attrs.window.stride[d] = s->stride[d];
        attrs.window.dilation[d] = s->dilation[d];
        attrs.window.pad_begin[d] = s->begin[d];
        attrs.window.pad_end[d] = s->end[d];
    }
    *b = (kernel_operand){.dtype = TARE_DTYPE_FLOAT,
                          .rank = 1,
                          .dims = {s->channels},
                          .constant = true,
                          .low = -4.0,
                          .high = 4.0};
    for (size_t e = 0; e < count; e++) {
        test.epilogues[e] = epilogues[e];
    }
    kernel_case_check(&tare_cuda_depthwise_table, &test);
}

static void check(const shape *shapes, size_t count) {
    for (size_t i = 0; i < count; i++) {
        check_with(&shapes[i], NULL, 0);
    }
}

#define COUNT(array) (sizeof(array) / sizeof(array)[0])

/* Kernels with code of their own: columns of 3, 5 and 7 by strides 1 and 2. */
Test(cuda_depthwise, known_kernels) {
    static const shape shapes[] = {{2, 8, {5, 7}, {3, 3}, {1, 1}, {1, 1}, {1, 1}, {1, 1}, true},
                                   {1, 40, {6, 9}, {3, 3}, {2, 2}, {1, 1}, {1, 1}, {1, 1}, true},
                                   {1, 16, {7, 6}, {3, 3}, {2, 2}, {1, 1}, {0, 0}, {1, 1}, false},
                                   {3, 8, {9, 10}, {5, 5}, {1, 1}, {1, 1}, {2, 2}, {2, 2}, true},
                                   {1, 24, {9, 11}, {5, 5}, {2, 2}, {1, 1}, {2, 1}, {2, 2}, true},
                                   {1, 8, {8, 13}, {7, 7}, {1, 1}, {1, 1}, {3, 3}, {3, 3}, true},
                                   {1, 8, {9, 12}, {7, 7}, {2, 2}, {1, 1}, {3, 3}, {2, 3}, false},
                                   {1, 136, {2, 3}, {3, 3}, {1, 1}, {1, 1}, {1, 1}, {1, 1}, true},
                                   {5, 8, {1, 1}, {3, 3}, {1, 1}, {1, 1}, {1, 1}, {1, 1}, true},
                                   {1, 8, {20, 40}, {3, 3}, {1, 1}, {1, 1}, {1, 1}, {1, 1}, true},
                                   {1, 8, {6, 8}, {2, 3}, {2, 1}, {2, 1}, {1, 0}, {0, 2}, true},
                                   {1, 8, {4, 30}, {1, 5}, {1, 1}, {1, 1}, {0, 4}, {0, 0}, true}};
    check(shapes, COUNT(shapes));
}

Test(cuda_depthwise, other_kernels) {
    static const shape shapes[] = {{2, 8, {5, 6}, {3, 3}, {1, 1}, {2, 2}, {2, 2}, {2, 2}, true},
                                   {1, 8, {7, 7}, {4, 2}, {3, 3}, {1, 1}, {1, 0}, {0, 1}, false},
                                   {1, 16, {9, 9}, {3, 3}, {1, 3}, {1, 1}, {0, 0}, {0, 0}, true},
                                   {1, 8, {11, 9}, {9, 9}, {1, 1}, {1, 1}, {4, 4}, {4, 4}, true},
                                   {1, 4, {5, 5}, {1, 1}, {1, 1}, {1, 1}, {0, 0}, {0, 0}, true}};
    check(shapes, COUNT(shapes));
}

/* Channels that make no vectors. */
Test(cuda_depthwise, odd_channels) {
    static const shape shapes[] = {{2, 3, {6, 7}, {3, 3}, {1, 1}, {1, 1}, {1, 1}, {1, 1}, true},
                                   {1, 1, {5, 9}, {5, 5}, {2, 2}, {1, 1}, {2, 2}, {2, 2}, false},
                                   {1, 45, {4, 5}, {3, 3}, {1, 1}, {2, 2}, {2, 2}, {2, 2}, true},
                                   {2, 12, {3, 5}, {7, 7}, {1, 1}, {1, 1}, {3, 3}, {3, 3}, true}};
    check(shapes, COUNT(shapes));
}

Test(cuda_depthwise, one_spatial_dim) {
    static const shape shapes[] = {{2, 8, {17}, {3}, {1}, {1}, {1}, {1}, true},
                                   {1, 5, {9}, {4}, {2}, {2}, {3}, {0}, true}};
    check(shapes, COUNT(shapes));
}

Test(cuda_depthwise, nothing_to_do) {
    static const shape shapes[] = {{0, 8, {5, 5}, {3, 3}, {1, 1}, {1, 1}, {1, 1}, {1, 1}, true}};
    check(shapes, COUNT(shapes));
}

Test(cuda_depthwise, epilogues) {
    static const tare_epilogue chains[][3] = {{{TARE_EPILOGUE_CLIP, 0.0F, INFINITY}},
                                              {{TARE_EPILOGUE_CLIP, -0.5F, 6.0F}},
                                              {{TARE_EPILOGUE_LEAKY_RELU, 0.1F, 0.0F}},
                                              {{TARE_EPILOGUE_SIGMOID, 0.0F, 0.0F}},
                                              {{TARE_EPILOGUE_TANH, 0.0F, 0.0F}},
                                              {{TARE_EPILOGUE_SWISH, 0.0F, 0.0F}},
                                              {{TARE_EPILOGUE_HARD_SIGMOID, 0.2F, 0.5F}},
                                              {{TARE_EPILOGUE_HARD_SWISH, 1.0F / 6.0F, 0.5F}},
                                              {{TARE_EPILOGUE_ADD, 0.0F, 0.0F}},
                                              {{TARE_EPILOGUE_CLIP, 0.0F, INFINITY},
                                               {TARE_EPILOGUE_ADD, 0.0F, 0.0F},
                                               {TARE_EPILOGUE_SWISH, 0.0F, 0.0F}}};
    static const shape shapes[] = {{1, 8, {4, 6}, {3, 3}, {1, 1}, {1, 1}, {1, 1}, {1, 1}, true},
                                   {1, 3, {4, 5}, {3, 3}, {1, 1}, {1, 1}, {1, 1}, {1, 1}, true},
                                   {1, 8, {4, 5}, {2, 2}, {1, 1}, {1, 1}, {0, 0}, {0, 0}, false}};
    for (size_t i = 0; i < COUNT(shapes); i++) {
        for (size_t c = 0; c < COUNT(chains); c++) {
            check_with(&shapes[i], chains[c], c + 1 == COUNT(chains) ? 3 : 1);
        }
    }
}

static tare_status prepare_with(const tare_conv_attrs *attrs, const tare_desc *inputs,
                                const tare_desc *output, bool constant) {
    static const float weights[64] = {0};
    const tare_kernel *row = &tare_cuda_depthwise_table.rows[0];
    const tare_tensor tensor = {.dtype = TARE_DTYPE_FLOAT, .data = weights};
    const tare_tensor *constants[] = {NULL, constant ? &tensor : NULL};
    tare_device device = on_device(TARE_PRECISION_FP32);
    tare_error err = {.text = ""};
    tare_prepare prepare = {.device = &device,
                            .attrs = attrs,
                            .input_count = 2,
                            .inputs = inputs,
                            .constants = constants,
                            .output_count = 1,
                            .outputs = output,
                            .private_data = calloc(1, row->private_size)};
    const tare_status status = row->prepare(&prepare, &err);
    row->release(prepare.private_data);
    free(prepare.private_data);
    return status;
}

Test(cuda_depthwise, others_are_refused) {
    const tare_layout last = TARE_LAYOUT_CHANNELS_LAST;
    tare_conv_attrs attrs = {
        .group = 4, .window = {.rank = 2, .kernel = {3, 3}, .stride = {1, 1}, .dilation = {1, 1}}};
    tare_desc inputs[2] = {
        {.dtype = TARE_DTYPE_FLOAT, .rank = 4, .dims = {1, 4, 5, 5}, .layout = last},
        {.dtype = TARE_DTYPE_FLOAT, .rank = 4, .dims = {4, 1, 3, 3}}};
    tare_desc output = {.dtype = TARE_DTYPE_FLOAT, .rank = 4, .dims = {1, 4, 3, 3}, .layout = last};

    cr_expect_eq(prepare_with(&attrs, inputs, &output, true), TARE_OK);
    cr_expect_eq(prepare_with(&attrs, inputs, &output, false), TARE_UNSUPPORTED);
    attrs.group = 2;
    cr_expect_eq(prepare_with(&attrs, inputs, &output, true), TARE_UNSUPPORTED);
    attrs.group = 4;
    inputs[1].dims[0] = output.dims[1] = 8;
    cr_expect_eq(prepare_with(&attrs, inputs, &output, true), TARE_UNSUPPORTED,
                 "two outputs per channel");
    inputs[1].dims[0] = output.dims[1] = 4;
    attrs.window.stride[0] = INT64_MAX;
    cr_expect_eq(prepare_with(&attrs, inputs, &output, true), TARE_UNSUPPORTED);
}
