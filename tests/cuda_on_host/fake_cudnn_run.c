/* SPDX-License-Identifier: Apache-2.0 */
/** What the fake of cuDNN computes, and how. */
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "fake_cudnn_parts.h"
#include "ir/half.h"

static int64_t count_of(const fake_tensor *tensor) {
    int64_t count = 1;
    for (int axis = 0; axis < tensor->rank; axis++) {
        count *= tensor->dims[axis];
    }
    return count;
}

bool fake_convolution_fits(const fake_convolution *convolution, const fake_tensor *x,
                           const fake_tensor *w, const fake_tensor *y) {
    const int rank = convolution->rank + 2;
    if (x->rank != rank || w->rank != rank || y->rank != rank || x->dims[0] != y->dims[0] ||
        y->dims[1] != w->dims[0] || x->dims[1] % w->dims[1] != 0 ||
        w->dims[0] % (x->dims[1] / w->dims[1]) != 0) {
        return false;
    }
    for (int axis = 0; axis < convolution->rank; axis++) {
        const int64_t reach = (w->dims[axis + 2] - 1) * convolution->dilation[axis] + 1;
        const int64_t room =
            x->dims[axis + 2] + convolution->begin[axis] + convolution->end[axis] - reach;
        if (room < 0 || room / convolution->stride[axis] + 1 != y->dims[axis + 2]) {
            return false;
        }
    }
    return true;
}

/* ---- tensors as floats, the channels innermost ---- */

/* Dims as batch, three spatial ones, channels; strides likewise. */
static void spread(int64_t out[5], const int64_t *of, int rank, int64_t missing) {
    out[0] = of[0];
    out[4] = of[1];
    for (int axis = 0; axis < 3; axis++) {
        const int from = axis + rank - 3;
        out[1 + axis] = from < 2 ? missing : of[from];
    }
}

static float load(const void *memory, cudnnDataType_t type, int64_t at) {
    return type == CUDNN_DATA_HALF ? (float)tare_half_to_double(((const uint16_t *)memory)[at])
                                   : ((const float *)memory)[at];
}

static void store(void *memory, cudnnDataType_t type, int64_t at, float value) {
    if (type == CUDNN_DATA_HALF) {
        ((uint16_t *)memory)[at] = tare_half_from_double((double)value);
    } else {
        ((float *)memory)[at] = value;
    }
}

/* Moves a tensor between its memory and a dense array of floats. */
static void move(float *dense, void *to, const void *from, const fake_tensor *tensor) {
    int64_t dims[5], strides[5], at[5];
    spread(dims, tensor->dims, tensor->rank, 1);
    spread(strides, tensor->strides, tensor->rank, 0);
    for (at[0] = 0; at[0] < dims[0]; at[0]++) {
        for (at[1] = 0; at[1] < dims[1]; at[1]++) {
            for (at[2] = 0; at[2] < dims[2]; at[2]++) {
                for (at[3] = 0; at[3] < dims[3]; at[3]++) {
                    const int64_t start = at[0] * strides[0] + at[1] * strides[1] +
                                          at[2] * strides[2] + at[3] * strides[3];
                    for (int64_t c = 0; c < dims[4]; c++, dense++) {
                        if (to != NULL) {
                            store(to, tensor->type, start + c * strides[4], *dense);
                        } else {
                            *dense = load(from, tensor->type, start + c * strides[4]);
                        }
                    }
                }
            }
        }
    }
}

static float *read_tensor(const fake_tensor *tensor, const void *memory) {
    float *dense = malloc((size_t)count_of(tensor) * sizeof *dense);
    if (dense != NULL) {
        move(dense, NULL, memory, tensor);
    }
    return dense;
}

/* ---- convolution ---- */

/** A convolution of either kind as sums over taps and input channels. */
typedef struct layer {
    const fake_convolution *convolution;
    int64_t in[5], out[5], window[3];
    int64_t stride[3], dilation[3], pad[3];
    int64_t groups, in_channels, out_channels; /* of a group */
    const float *input;
    double *weights; /* [group][tap][input channel][output channel] */
} layer;

static void describe(layer *made, const fake_program *program) {
    const fake_convolution *convolution = &program->convolution;
    const fake_tensor *x = &program->tensors[convolution->x];
    const fake_tensor *w = &program->tensors[convolution->w];
    const fake_tensor *y = &program->tensors[convolution->y];
    int64_t window[5];
    made->convolution = convolution;
    spread(made->in, (convolution->backward ? y : x)->dims, x->rank, 1);
    spread(made->out, (convolution->backward ? x : y)->dims, x->rank, 1);
    spread(window, w->dims, w->rank, 1);
    memcpy(made->window, window + 1, sizeof made->window);
    made->groups = x->dims[1] / w->dims[1];
    made->in_channels = made->in[4] / made->groups;
    made->out_channels = made->out[4] / made->groups;
    for (int axis = 0; axis < 3; axis++) {
        const int from = axis + convolution->rank - 3;
        made->stride[axis] = from < 0 ? 1 : convolution->stride[from];
        made->dilation[axis] = from < 0 ? 1 : convolution->dilation[from];
        made->pad[axis] = from < 0 ? 0 : convolution->begin[from];
    }
}

static int64_t tap_count(const layer *of) {
    return of->window[0] * of->window[1] * of->window[2];
}

/* dense: [channel of y][tap][channel of x in the group], as tensors of weights are read. */
static void turn_weights(layer *of, const float *dense, int64_t y_channels, int64_t x_channels) {
    const int64_t taps = tap_count(of), per_group = y_channels / of->groups;
    for (int64_t k = 0; k < y_channels; k++) {
        const int64_t group = k / per_group, y = k % per_group;
        for (int64_t tap = 0; tap < taps; tap++) {
            double *block = of->weights + (group * taps + tap) * of->in_channels * of->out_channels;
            for (int64_t x = 0; x < x_channels; x++) {
                const int64_t at =
                    of->convolution->backward ? y * of->out_channels + x : x * of->out_channels + y;
                block[at] = (double)dense[(k * taps + tap) * x_channels + x];
            }
        }
    }
}

/* The input position that a tap adds to an output position on one axis; false: none. */
static bool source(int64_t *out, const layer *of, int axis, int64_t at, int64_t tap) {
    if (of->convolution->backward) {
        const int64_t scaled = at + of->pad[axis] - tap * of->dilation[axis];
        *out = scaled / of->stride[axis];
        return scaled >= 0 && scaled % of->stride[axis] == 0 && *out < of->in[1 + axis];
    }
    *out = at * of->stride[axis] - of->pad[axis] + tap * of->dilation[axis];
    return *out >= 0 && *out < of->in[1 + axis];
}

static void add_tap(double *sums, const layer *of, const float *pixel, int64_t tap) {
    const int64_t taps = tap_count(of), inputs = of->in_channels, outputs = of->out_channels;
    for (int64_t group = 0; group < of->groups; group++) {
        const double *block = of->weights + (group * taps + tap) * inputs * outputs;
        double *sum = sums + group * outputs;
        for (int64_t i = 0; i < inputs; i++) {
            const double x = (double)pixel[group * inputs + i];
            const double *row = block + i * outputs;
            for (int64_t o = 0; o < outputs; o++) {
                sum[o] += x * row[o];
            }
        }
    }
}

static void compute_pixel(double *sums, const layer *of, const int64_t at[4]) {
    int64_t tap[3], from[3], number = 0;
    memset(sums, 0, (size_t)of->out[4] * sizeof *sums);
    for (tap[0] = 0; tap[0] < of->window[0]; tap[0]++) {
        for (tap[1] = 0; tap[1] < of->window[1]; tap[1]++) {
            for (tap[2] = 0; tap[2] < of->window[2]; tap[2]++, number++) {
                if (source(&from[0], of, 0, at[1], tap[0]) &&
                    source(&from[1], of, 1, at[2], tap[1]) &&
                    source(&from[2], of, 2, at[3], tap[2])) {
                    const int64_t pixel =
                        ((at[0] * of->in[1] + from[0]) * of->in[2] + from[1]) * of->in[3] + from[2];
                    add_tap(sums, of, of->input + pixel * of->in[4], number);
                }
            }
        }
    }
}

static void compute_layer(float *out, double *sums, const layer *of) {
    int64_t at[4];
    for (at[0] = 0; at[0] < of->out[0]; at[0]++) {
        for (at[1] = 0; at[1] < of->out[1]; at[1]++) {
            for (at[2] = 0; at[2] < of->out[2]; at[2]++) {
                for (at[3] = 0; at[3] < of->out[3]; at[3]++) {
                    compute_pixel(sums, of, at);
                    for (int64_t c = 0; c < of->out[4]; c++) {
                        *out++ = (float)sums[c];
                    }
                }
            }
        }
    }
}

/* The result, dense; NULL without memory. */
static float *convolve(const fake_program *program, void *const *memory) {
    const fake_convolution *convolution = &program->convolution;
    const int input = convolution->backward ? convolution->y : convolution->x;
    const int output = convolution->backward ? convolution->x : convolution->y;
    const fake_tensor *weights = &program->tensors[convolution->w];
    layer made = {0};
    describe(&made, program);
    float *pixels = read_tensor(&program->tensors[input], memory[input]);
    float *dense = read_tensor(weights, memory[convolution->w]);
    float *result = malloc((size_t)count_of(&program->tensors[output]) * sizeof *result);
    double *sums = malloc((size_t)made.out[4] * sizeof *sums);
    made.weights = malloc((size_t)count_of(weights) * sizeof *made.weights);
    made.input = pixels;
    if (pixels != NULL && dense != NULL && result != NULL && sums != NULL && made.weights != NULL) {
        turn_weights(&made, dense, weights->dims[0], weights->dims[1]);
        compute_layer(result, sums, &made);
    } else {
        free(result);
        result = NULL;
    }
    free(pixels);
    free(dense);
    free(sums);
    free(made.weights);
    return result;
}

/* ---- what follows ---- */

static float pointwise(const fake_pointwise *operation, float x, float b) {
    switch (operation->mode) {
    case CUDNN_POINTWISE_ADD:
        return x + b;
    case CUDNN_POINTWISE_MUL:
        return x * b;
    case CUDNN_POINTWISE_SIGMOID_FWD:
        return 1.0F / (1.0F + expf(-x));
    case CUDNN_POINTWISE_TANH_FWD:
        return tanhf(x);
    case CUDNN_POINTWISE_SWISH_FWD:
        return x / (1.0F + expf(-x));
    default: /* CUDNN_POINTWISE_RELU_FWD */
        if ((double)x < operation->lower) {
            return (float)(operation->lower + operation->slope * ((double)x - operation->lower));
        }
        return (double)x > operation->upper ? (float)operation->upper : x;
    }
}

/* Which element of an operand of other dims meets element `at` of a dense tensor; dims as spread.
 */
static int64_t broadcast(int64_t at, const int64_t dims[5], const int64_t other[5]) {
    int64_t place = 0, step = 1;
    if (other[0] * other[1] * other[2] * other[3] == 1) {
        return at % other[4];
    }
    for (int axis = 4; axis >= 0; axis--) {
        const int64_t position = at % dims[axis];
        at /= dims[axis];
        place += other[axis] == 1 ? 0 : position * step;
        step *= other[axis];
    }
    return place;
}

static bool apply(float **values, const fake_program *program, const fake_pointwise *operation,
                  void *const *memory) {
    const fake_tensor *y = &program->tensors[operation->y];
    const float *x = values[operation->x];
    float *out = malloc((size_t)count_of(y) * sizeof *out);
    int64_t dims[5], other[5] = {1, 1, 1, 1, 1};

    values[operation->y] = out;
    if (operation->b >= 0) {
        const fake_tensor *b = &program->tensors[operation->b];
        spread(other, b->dims, b->rank, 1);
        if (values[operation->b] == NULL) {
            values[operation->b] = read_tensor(b, memory[operation->b]);
        }
    }
    const float *b = operation->b < 0 ? NULL : values[operation->b];
    if (out == NULL || (operation->b >= 0 && b == NULL)) {
        return false;
    }
    spread(dims, y->dims, y->rank, 1);
    for (int64_t i = 0; i < count_of(y); i++) {
        out[i] = pointwise(operation, x[i], b == NULL ? 0.0F : b[broadcast(i, dims, other)]);
    }
    return true;
}

bool fake_program_run(const fake_program *program, void *const *memory) {
    const fake_convolution *convolution = &program->convolution;
    int last = convolution->backward ? convolution->x : convolution->y;
    float *values[FAKE_TENSORS] = {NULL};
    bool complete;

    values[last] = convolve(program, memory);
    complete = values[last] != NULL;
    for (size_t i = 0; i < program->operation_count && complete; i++) {
        complete = apply(values, program, &program->operations[i], memory);
        last = program->operations[i].y;
    }
    if (complete) {
        move(values[last], memory[last], NULL, &program->tensors[last]);
    }
    for (size_t i = 0; i < FAKE_TENSORS; i++) {
        free(values[i]);
    }
    return complete;
}
