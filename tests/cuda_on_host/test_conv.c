/* SPDX-License-Identifier: Apache-2.0 */
/** Conv and ConvTranspose over a fake cuDNN against the CPU's rows, and the cache of plans. */
#include <criterion/criterion.h>
#include <dirent.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "cuda/conv.h"
#include "cuda/kernels.h"
#include "cuda/library.h"
#include "fake_cudnn.h"
#include "fake_stream.h"
#include "kernel_case.h"
#include "ops/attrs.h"

#define COUNT(array) (sizeof(array) / sizeof((array)[0]))

/** A convolution in words; zeros in stride and dilation stand for 1. */
typedef struct geometry {
    bool transposed, no_bias;
    int rank; /* spatial */
    int64_t batch, in_channels, out_channels, group;
    int64_t size[3], kernel[3], stride[3], dilation[3], begin[3], end[3];
    size_t epilogue_count;
    tare_epilogue epilogues[TARE_MAX_EPILOGUES];
    bool refused;
} geometry;

static const geometry shapes[] = {
    {.rank = 2,
     .batch = 2,
     .in_channels = 3,
     .out_channels = 5,
     .size = {7, 9},
     .kernel = {3, 3},
     .begin = {1, 1},
     .end = {1, 1}},
    {.rank = 2,
     .batch = 1,
     .in_channels = 8,
     .out_channels = 16,
     .size = {6, 6},
     .kernel = {1, 1},
     .no_bias = true},
    {.rank = 2, .batch = 1, .in_channels = 1, .out_channels = 1, .size = {1, 1}, .kernel = {1, 1}},
    {.rank = 2,
     .batch = 1,
     .in_channels = 4,
     .out_channels = 6,
     .size = {11, 8},
     .kernel = {5, 3},
     .stride = {2, 3},
     .begin = {2, 0},
     .end = {1, 2}},
    {.rank = 2,
     .batch = 1,
     .in_channels = 4,
     .out_channels = 4,
     .size = {13, 12},
     .kernel = {3, 2},
     .dilation = {3, 2},
     .begin = {2, 1},
     .end = {3, 0}},
    {.rank = 2,
     .batch = 2,
     .in_channels = 12,
     .out_channels = 8,
     .group = 4,
     .size = {5, 6},
     .kernel = {3, 3},
     .stride = {2, 1},
     .begin = {1, 1},
     .end = {1, 1}},
    {.rank = 2,
     .batch = 1,
     .in_channels = 6,
     .out_channels = 6,
     .group = 6,
     .size = {5, 6},
     .kernel = {3, 3},
     .begin = {1, 1},
     .end = {1, 1}},
    {.rank = 2,
     .batch = 1,
     .in_channels = 3,
     .out_channels = 9,
     .group = 3,
     .size = {4, 4},
     .kernel = {2, 2}},
    {.rank = 1,
     .batch = 2,
     .in_channels = 5,
     .out_channels = 7,
     .size = {17},
     .kernel = {4},
     .stride = {2},
     .dilation = {2},
     .begin = {3},
     .end = {1}},
    {.rank = 3,
     .batch = 1,
     .in_channels = 2,
     .out_channels = 5,
     .size = {4, 5, 6},
     .kernel = {3, 2, 3},
     .stride = {1, 2, 1},
     .begin = {1, 0, 1},
     .end = {1, 1, 0}},
    {.rank = 3,
     .batch = 2,
     .in_channels = 4,
     .out_channels = 6,
     .group = 2,
     .size = {3, 3, 4},
     .kernel = {2, 2, 2},
     .dilation = {1, 2, 1}},
};

static const geometry transposed_shapes[] = {
    {.rank = 2,
     .batch = 2,
     .in_channels = 5,
     .out_channels = 3,
     .size = {4, 5},
     .kernel = {2, 2},
     .stride = {2, 2}},
    {.rank = 2,
     .batch = 1,
     .in_channels = 4,
     .out_channels = 6,
     .size = {4, 3},
     .kernel = {3, 3},
     .begin = {1, 1},
     .end = {1, 1}},
    /* output_padding 1, which leaves end pads of 0 and of -1 */
    {.rank = 2,
     .batch = 1,
     .in_channels = 4,
     .out_channels = 2,
     .size = {3, 5},
     .kernel = {3, 2},
     .stride = {2, 2},
     .begin = {1, 0},
     .end = {0, -1}},
    {.rank = 2,
     .batch = 1,
     .in_channels = 4,
     .out_channels = 2,
     .size = {3, 4},
     .kernel = {3, 3},
     .stride = {3, 2},
     .end = {-2, -1},
     .no_bias = true},
    {.rank = 2,
     .batch = 1,
     .in_channels = 6,
     .out_channels = 4,
     .group = 2,
     .size = {4, 3},
     .kernel = {3, 4},
     .stride = {1, 2},
     .dilation = {2, 1},
     .begin = {1, 2},
     .end = {0, 1}},
    {.rank = 1,
     .batch = 2,
     .in_channels = 3,
     .out_channels = 4,
     .size = {6},
     .kernel = {5},
     .stride = {3},
     .begin = {1},
     .end = {2}},
    {.rank = 3,
     .batch = 1,
     .in_channels = 3,
     .out_channels = 4,
     .size = {2, 3, 2},
     .kernel = {2, 3, 2},
     .stride = {2, 1, 2},
     .begin = {0, 1, 0},
     .end = {0, 1, -1}},
};

static int64_t or_one(int64_t number) {
    return number == 0 ? 1 : number;
}

static void fill_attrs(tare_conv_attrs *attrs, const geometry *of) {
    memset(attrs, 0, sizeof *attrs);
    attrs->group = or_one(of->group);
    attrs->window.rank = of->rank;
    for (int axis = 0; axis < of->rank; axis++) {
        attrs->window.kernel[axis] = of->kernel[axis];
        attrs->window.stride[axis] = or_one(of->stride[axis]);
        attrs->window.dilation[axis] = or_one(of->dilation[axis]);
        attrs->window.pad_begin[axis] = of->begin[axis];
        attrs->window.pad_end[axis] = of->end[axis];
    }
}

static int64_t output_size(const geometry *of, int axis) {
    const int64_t stride = or_one(of->stride[axis]);
    const int64_t reach = (of->kernel[axis] - 1) * or_one(of->dilation[axis]) + 1;
    return of->transposed ? stride * (of->size[axis] - 1) + reach - of->begin[axis] - of->end[axis]
                          : (of->size[axis] + of->begin[axis] + of->end[axis] - reach) / stride + 1;
}

static void fill_case(kernel_case *test, const geometry *of) {
    const int64_t group = or_one(of->group);
    kernel_operand *x = &test->inputs[0], *w = &test->inputs[1], *y = &test->outputs[0];
    int64_t taps = 1;
    memset(test, 0, sizeof *test);
    test->kernel = of->transposed ? "ConvTranspose" : "Conv";
    test->input_count = of->no_bias ? 2 : 3;
    test->output_count = 1;
    x->dtype = w->dtype = y->dtype = TARE_DTYPE_FLOAT;
    x->rank = w->rank = y->rank = of->rank + 2;
    w->constant = true;
    x->dims[0] = y->dims[0] = of->batch;
    x->dims[1] = of->in_channels;
    y->dims[1] = of->out_channels;
    w->dims[0] = of->transposed ? of->in_channels : of->out_channels;
    w->dims[1] = (of->transposed ? of->out_channels : of->in_channels) / group;
    for (int axis = 0; axis < of->rank; axis++) {
        x->dims[2 + axis] = of->size[axis];
        w->dims[2 + axis] = of->kernel[axis];
        y->dims[2 + axis] = output_size(of, axis);
        taps *= of->kernel[axis];
    }
    if (!of->no_bias) {
        test->inputs[2] = (kernel_operand){
            .dtype = TARE_DTYPE_FLOAT, .rank = 1, .dims = {of->out_channels}, .constant = true};
    }
    test->epilogue_count = of->epilogue_count;
    memcpy(test->epilogues, of->epilogues, sizeof test->epilogues);
    test->refused = of->refused;
    test->aligned = true;
    /* Factors are up to 4. Rounding weights to float16 shifts each product by up to 4 * 2^-11 * 4,
     * and a result in float16 is rounded before an epilogue that no engine computes along. */
    const double terms = (double)(taps * of->in_channels / group) + 1.0;
    test->relative = 1e-5;
    test->absolute = 1e-5 * sqrt(terms);
    test->half_absolute = 16.0 * 0x1p-11 * 2.0 * sqrt(terms);
}

/* ---- a device ---- */

typedef struct bench {
    tare_cuda_api api;
    tare_device device;
} bench;

static void bench_open(bench *out, tare_precision precision, const char *folder, bool tune) {
    tare_device_part parts[TARE_CUDA_LIBRARY_COUNT];
    tare_error err = {TARE_OK, ""};
    memset(out, 0, sizeof *out);
    tare_cuda_api_init(&out->api);
    tare_cuda_libraries_open(&out->api, parts);
    out->device.api = &out->api;
    out->device.precision = precision;
    out->device.storage = precision == TARE_PRECISION_FP16 ? TARE_DTYPE_FLOAT16 : TARE_DTYPE_FLOAT;
    out->device.processors = 2;
    out->device.tune = tune;
    out->device.capability[0] = 9;
    (void)snprintf(out->device.name, sizeof out->device.name, "Fake/GPU 1");
    cr_assert_eq(tare_conv_cache_new(&out->device.convolutions, &out->device, folder, &err),
                 TARE_OK, "%s", err.text);
}

static void bench_close(bench *used) {
    tare_conv_cache_free(used->device.convolutions);
    used->device.convolutions = NULL;
}

static void check_shapes(const geometry *list, size_t count, bool transposed,
                         fake_cudnn_settings settings) {
    bench used;
    fake_cudnn_set(settings);
    /* With tune also what real engines would have to be compiled for goes into plans. */
    bench_open(&used, TARE_PRECISION_FP32, NULL, settings.exact_fusion);
    for (size_t i = 0; i < count; i++) {
        geometry shape = list[i];
        tare_conv_attrs attrs;
        kernel_case test;
        shape.transposed = transposed;
        fill_attrs(&attrs, &shape);
        fill_case(&test, &shape);
        test.attrs = &attrs;
        test.device = &used.device;
        kernel_case_check(&tare_cuda_conv_table, &test);
    }
    bench_close(&used);
    cr_expect_eq(fake_cudnn_count().handles, 0);
    cr_expect_eq(fake_cudnn_count().descriptors, 0);
}

static const fake_cudnn_settings usual = {0};
static const fake_cudnn_settings fusing = {.exact_fusion = true};
static const fake_cudnn_settings single = {.only_single = true};

Test(conv, shapes, .timeout = 120) {
    check_shapes(shapes, COUNT(shapes), false, usual);
    check_shapes(shapes, COUNT(shapes), false, fusing);
    check_shapes(shapes, COUNT(shapes), false, single);
}

Test(conv, transposed_shapes, .timeout = 120) {
    check_shapes(transposed_shapes, COUNT(transposed_shapes), true, usual);
    check_shapes(transposed_shapes, COUNT(transposed_shapes), true, fusing);
    check_shapes(transposed_shapes, COUNT(transposed_shapes), true, single);
}

static const tare_epilogue chains[][TARE_MAX_EPILOGUES] = {
    {{TARE_EPILOGUE_CLIP, 0.0F, INFINITY}},
    {{TARE_EPILOGUE_CLIP, -1.5F, 6.0F}},
    {{TARE_EPILOGUE_CLIP, -INFINITY, 2.0F}},
    {{TARE_EPILOGUE_LEAKY_RELU, 0.1F, 0.0F}},
    {{TARE_EPILOGUE_SIGMOID, 0.0F, 0.0F}},
    {{TARE_EPILOGUE_TANH, 0.0F, 0.0F}},
    {{TARE_EPILOGUE_SWISH, 0.0F, 0.0F}},
    {{TARE_EPILOGUE_HARD_SIGMOID, 0.2F, 0.5F}},
    {{TARE_EPILOGUE_HARD_SWISH, 1.0F / 6.0F, 0.5F}},
    {{TARE_EPILOGUE_ADD, 0.0F, 0.0F}},
    {{TARE_EPILOGUE_ADD, 0.0F, 0.0F}, {TARE_EPILOGUE_CLIP, 0.0F, INFINITY}},
    {{TARE_EPILOGUE_HARD_SWISH, 1.0F / 6.0F, 0.5F},
     {TARE_EPILOGUE_ADD, 0.0F, 0.0F},
     {TARE_EPILOGUE_HARD_SIGMOID, 0.25F, 0.5F},
     {TARE_EPILOGUE_TANH, 0.0F, 0.0F}},
    {{TARE_EPILOGUE_CLIP, 0.0F, 4.0F},
     {TARE_EPILOGUE_SWISH, 0.0F, 0.0F},
     {TARE_EPILOGUE_ADD, 0.0F, 0.0F},
     {TARE_EPILOGUE_LEAKY_RELU, 0.2F, 0.0F}},
};

static size_t chain_length(const tare_epilogue *chain) {
    const tare_epilogue none = {0};
    size_t length = 0;
    while (length < TARE_MAX_EPILOGUES && memcmp(&chain[length], &none, sizeof none) != 0) {
        length++;
    }
    return length;
}

/* Channels that are, and that are not, a multiple of what a thread loads at once. */
static void check_chains(fake_cudnn_settings settings) {
    static const int64_t channels[] = {16, 7};
    geometry list[2 * COUNT(chains)];
    for (size_t i = 0; i < COUNT(list); i++) {
        const tare_epilogue *chain = chains[i / 2];
        list[i] = (geometry){.rank = 2,
                             .batch = 2,
                             .in_channels = 4,
                             .out_channels = channels[i % 2],
                             .size = {5, 6},
                             .kernel = {3, 3},
                             .begin = {1, 1},
                             .end = {1, 1},
                             .no_bias = i % 4 == 3,
                             .epilogue_count = chain_length(chain)};
        memcpy(list[i].epilogues, chain, sizeof list[i].epilogues);
    }
    check_shapes(list, COUNT(list), false, settings);
    check_shapes(list, 6, true, settings);
}

Test(conv, epilogues_in_the_plan, .timeout = 120) {
    check_chains(fusing);
}

Test(conv, epilogues_behind_the_plan, .timeout = 120) {
    check_chains(single);
}

Test(conv, refused) {
    static const geometry list[] = {
        /* pads below zero */
        {.rank = 2,
         .batch = 1,
         .in_channels = 2,
         .out_channels = 2,
         .size = {6, 6},
         .kernel = {3, 3},
         .begin = {-1, 0},
         .refused = true},
        /* two additions */
        {.rank = 2,
         .batch = 1,
         .in_channels = 2,
         .out_channels = 2,
         .size = {6, 6},
         .kernel = {3, 3},
         .epilogue_count = 2,
         .epilogues = {{TARE_EPILOGUE_ADD, 0.0F, 0.0F}, {TARE_EPILOGUE_ADD, 0.0F, 0.0F}},
         .refused = true},
    };
    check_shapes(list, COUNT(list), false, usual);
}
