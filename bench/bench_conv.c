/* SPDX-License-Identifier: Apache-2.0 */
/**
 * Measures the CPU backend's convolutions on one thread, for layers of well-known networks.
 *
 * Prints one line per layer: GFLOP/s of the fastest of many runs, two operations per
 * multiplication. Which implementation oneDNN took is told by DNNL_VERBOSE=1.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "cpu/backend.h"
#include "ops/attrs.h"

#define SECONDS_PER_LAYER 0.3

typedef struct layer {
    const char *network;
    int64_t in_channels, out_channels, group, size; /* a square image */
    int64_t kernel, stride;
    tare_epilogue_kind activation;
    float bound; /* of a CLIP */
} layer;

#define RELU6 TARE_EPILOGUE_CLIP, 6.0f
#define RELU  TARE_EPILOGUE_CLIP, 3.0e38f
#define SWISH TARE_EPILOGUE_SWISH, 0.0f

static const layer layers[] = {
    {"mobilenet_v2", 3, 32, 1, 224, 3, 2, RELU6},
    {"mobilenet_v2", 32, 32, 32, 112, 3, 1, RELU6},
    {"mobilenet_v2", 32, 16, 1, 112, 1, 1, RELU6},
    {"mobilenet_v2", 16, 96, 1, 112, 1, 1, RELU6},
    {"mobilenet_v2", 96, 96, 96, 112, 3, 2, RELU6},
    {"mobilenet_v2", 96, 24, 1, 56, 1, 1, RELU6},
    {"mobilenet_v2", 24, 144, 1, 56, 1, 1, RELU6},
    {"mobilenet_v2", 144, 144, 144, 56, 3, 1, RELU6},
    {"mobilenet_v2", 144, 144, 144, 56, 3, 2, RELU6},
    {"mobilenet_v2", 192, 192, 192, 28, 3, 1, RELU6},
    {"mobilenet_v2", 192, 32, 1, 28, 1, 1, RELU6},
    {"mobilenet_v2", 384, 384, 384, 14, 3, 1, RELU6},
    {"mobilenet_v2", 384, 64, 1, 14, 1, 1, RELU6},
    {"mobilenet_v2", 576, 160, 1, 7, 1, 1, RELU6},
    {"mobilenet_v2", 960, 960, 960, 7, 3, 1, RELU6},
    {"mobilenet_v2", 320, 1280, 1, 7, 1, 1, RELU6},
    {"resnet50", 3, 64, 1, 224, 7, 2, RELU},
    {"resnet50", 64, 64, 1, 56, 1, 1, RELU},
    {"resnet50", 64, 64, 1, 56, 3, 1, RELU},
    {"resnet50", 64, 256, 1, 56, 1, 1, RELU},
    {"resnet50", 256, 512, 1, 56, 1, 2, RELU},
    {"resnet50", 128, 128, 1, 28, 3, 1, RELU},
    {"resnet50", 256, 256, 1, 14, 3, 1, RELU},
    {"resnet50", 1024, 256, 1, 14, 1, 1, RELU},
    {"resnet50", 512, 512, 1, 7, 3, 1, RELU},
    {"resnet50", 2048, 512, 1, 7, 1, 1, RELU},
    {"yolox", 12, 24, 1, 208, 3, 1, SWISH},
    {"yolox", 24, 48, 1, 208, 3, 2, SWISH},
    {"yolox", 48, 24, 1, 104, 1, 1, SWISH},
    {"yolox", 24, 24, 1, 104, 3, 1, SWISH},
    {"yolox", 96, 96, 1, 52, 3, 1, SWISH},
    {"yolox", 192, 96, 1, 26, 1, 1, SWISH},
    {"yolox", 96, 96, 96, 52, 3, 1, SWISH},
    {"yolox", 384, 192, 1, 13, 1, 1, SWISH},
};

/* A layer prepared by the backend, with memory to run it. */
typedef struct bench {
    const tare_kernel *kernel;
    tare_conv_attrs attrs;
    tare_desc operands[3], output;
    float *data[4]; /* input, weights, bias, output */
    void *private_data, *scratch;
    double operations;
} bench;

static double seconds(void) {
    struct timespec now;
    clock_gettime(CLOCK_MONOTONIC, &now);
    return (double)now.tv_sec + (double)now.tv_nsec * 1e-9;
}

/** Memory with numbers that are neither zero nor denormal. */
static void *numbers(size_t bytes) {
    const size_t rounded = (bytes + 127) / 64 * 64;
    float *data = aligned_alloc(64, rounded);
    for (size_t i = 0; data != NULL && i < rounded / sizeof(float); i++) {
        data[i] = (float)(i % 251) / 125.0f - 1.0f;
    }
    return data;
}

static void describe(bench *b, const layer *l) {
    const int64_t out = (l->size + l->stride - 1) / l->stride;
    const tare_desc operands[3] = {
        {TARE_DTYPE_FLOAT, 4, {1, l->in_channels, l->size, l->size}, TARE_LAYOUT_CHANNELS_LAST},
        {TARE_DTYPE_FLOAT,
         4,
         {l->out_channels, l->in_channels / l->group, l->kernel, l->kernel},
         TARE_LAYOUT_PLAIN},
        {TARE_DTYPE_FLOAT, 1, {l->out_channels}, TARE_LAYOUT_PLAIN}};
    memcpy(b->operands, operands, sizeof(operands));
    b->output = operands[0];
    b->output.dims[1] = l->out_channels;
    b->output.dims[2] = b->output.dims[3] = out;
    b->attrs.group = l->group;
    b->attrs.window.rank = 2;
    for (int axis = 0; axis < 2; axis++) {
        b->attrs.window.kernel[axis] = l->kernel;
        b->attrs.window.stride[axis] = l->stride;
        b->attrs.window.dilation[axis] = 1;
        b->attrs.window.pad_begin[axis] = b->attrs.window.pad_end[axis] = l->kernel / 2;
    }
    b->operations = 2.0 * (double)(l->in_channels / l->group * l->kernel * l->kernel) *
                    (double)tare_desc_count(&b->output);
}

static tare_status prepare(bench *b, const layer *l, tare_error *err) {
    describe(b, l);
    for (int i = 0; i < 4; i++) {
        b->data[i] = numbers(tare_desc_bytes(i < 3 ? &b->operands[i] : &b->output));
    }
    b->kernel = tare_backend_kernel(&tare_backend_cpu, "Conv", 0);
    b->private_data = calloc(1, b->kernel->private_size);
    const tare_tensor weights = {.dtype = TARE_DTYPE_FLOAT, .rank = 4, .data = b->data[1]};
    const tare_tensor bias = {.dtype = TARE_DTYPE_FLOAT, .rank = 1, .data = b->data[2]};
    const tare_tensor *const constants[3] = {NULL, &weights, &bias};
    const tare_epilogue epilogue = {l->activation, 0.0f, l->bound};
    tare_prepare prepare = {.attrs = &b->attrs,
                            .input_count = 3,
                            .inputs = b->operands,
                            .constants = constants,
                            .output_count = 1,
                            .outputs = &b->output,
                            .epilogue_count = 1,
                            .epilogues = &epilogue,
                            .private_data = b->private_data};
    const tare_status status = b->kernel->prepare(&prepare, err);
    b->scratch = numbers(prepare.scratch_bytes);
    return status;
}

/** The time of the fastest of many runs. */
static tare_status measure(double *best, const bench *b, tare_error *err) {
    const void *inputs[3] = {b->data[0], b->data[1], b->data[2]};
    void *outputs[1] = {b->data[3]};
    const tare_run run = {b->private_data, inputs, outputs, b->scratch};
    const double start = seconds();
    *best = 1e9;
    for (int i = 0; i < 5 || seconds() - start < SECONDS_PER_LAYER; i++) {
        const double before = seconds();
        TARE_TRY(b->kernel->run(&run, err));
        const double taken = seconds() - before;
        *best = taken < *best ? taken : *best;
    }
    return TARE_OK;
}

static void release(bench *b) {
    b->kernel->release(b->private_data);
    for (int i = 0; i < 4; i++) {
        free(b->data[i]);
    }
    free(b->private_data);
    free(b->scratch);
}

int main(void) {
    tare_backend_cpu.thread_begin(1);
    printf("%-14s %5s %5s %6s %5s %7s %9s %9s\n", "network", "in", "out", "groups", "size",
           "window", "ms", "GFLOP/s");
    for (size_t i = 0; i < sizeof(layers) / sizeof(layers[0]); i++) {
        const layer *l = &layers[i];
        tare_error err = {0};
        bench b = {0};
        double best = 0.0;
        tare_status status = prepare(&b, l, &err);
        if (status == TARE_OK) {
            status = measure(&best, &b, &err);
        }
        release(&b);
        if (status != TARE_OK) {
            fprintf(stderr, "%s: %s\n", l->network, err.text);
            return 1;
        }
        printf("%-14s %5lld %5lld %6lld %5lld %3lldx%lld/%lld %9.4f %9.1f\n", l->network,
               (long long)l->in_channels, (long long)l->out_channels, (long long)l->group,
               (long long)l->size, (long long)l->kernel, (long long)l->kernel, (long long)l->stride,
               best * 1e3, b.operations / best * 1e-9);
    }
    return 0;
}
