/* SPDX-License-Identifier: Apache-2.0 */
/** What the fake of cuDNN accepts as a graph. */
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "fake_cudnn_parts.h"

static double real_of(const fake_descriptor *of, cudnnBackendAttributeName_t name, double missing) {
    const fake_attribute *found = fake_find(of, name);
    return found == NULL ? missing : *(const double *)found->values;
}

static const int64_t *list_of(const fake_descriptor *of, cudnnBackendAttributeName_t name) {
    return fake_find(of, name)->values;
}

/* ---- finalizing tensors and operations ---- */

static fake_tensor tensor_of(const fake_descriptor *of) {
    const fake_attribute *dims = fake_find(of, CUDNN_ATTR_TENSOR_DIMENSIONS);
    const fake_attribute *is_virtual = fake_find(of, CUDNN_ATTR_TENSOR_IS_VIRTUAL);
    fake_tensor tensor = {.id = fake_number(of, CUDNN_ATTR_TENSOR_UNIQUE_ID),
                          .alignment = fake_number(of, CUDNN_ATTR_TENSOR_BYTE_ALIGNMENT),
                          .type = (cudnnDataType_t)fake_choice(of, CUDNN_ATTR_TENSOR_DATA_TYPE),
                          .rank = (int)dims->count,
                          .is_virtual = is_virtual != NULL && *(const bool *)is_virtual->values};
    memcpy(tensor.dims, dims->values, (size_t)dims->count * sizeof(int64_t));
    memcpy(tensor.strides, list_of(of, CUDNN_ATTR_TENSOR_STRIDES),
           (size_t)dims->count * sizeof(int64_t));
    return tensor;
}

static bool finish_tensor(const fake_descriptor *of) {
    if (fake_find(of, CUDNN_ATTR_TENSOR_DIMENSIONS)->count !=
        fake_find(of, CUDNN_ATTR_TENSOR_STRIDES)->count) {
        return false;
    }
    const fake_tensor tensor = tensor_of(of);
    for (int axis = 0; axis < tensor.rank; axis++) {
        if (tensor.dims[axis] < 1 || tensor.strides[axis] < 1) {
            return false;
        }
    }
    const int64_t element = tensor.type == CUDNN_DATA_HALF ? 2 : 4;
    return (tensor.type == CUDNN_DATA_HALF || tensor.type == CUDNN_DATA_FLOAT) &&
           tensor.alignment >= element && (tensor.alignment & (tensor.alignment - 1)) == 0;
}

static bool all_at_least(const fake_descriptor *of, cudnnBackendAttributeName_t name, int64_t count,
                         int64_t least) {
    const fake_attribute *list = fake_find(of, name);
    for (int64_t i = 0; i < list->count; i++) {
        if (((const int64_t *)list->values)[i] < least) {
            return false;
        }
    }
    return list->count == count;
}

static bool finish_window(const fake_descriptor *of) {
    const int64_t rank = fake_number(of, CUDNN_ATTR_CONVOLUTION_SPATIAL_DIMS);
    return rank >= 2 && rank <= 3 &&
           fake_choice(of, CUDNN_ATTR_CONVOLUTION_COMP_TYPE) == CUDNN_DATA_FLOAT &&
           fake_choice(of, CUDNN_ATTR_CONVOLUTION_CONV_MODE) == CUDNN_CROSS_CORRELATION &&
           all_at_least(of, CUDNN_ATTR_CONVOLUTION_DILATIONS, rank, 1) &&
           all_at_least(of, CUDNN_ATTR_CONVOLUTION_FILTER_STRIDES, rank, 1) &&
           all_at_least(of, CUDNN_ATTR_CONVOLUTION_PRE_PADDINGS, rank, 0) &&
           all_at_least(of, CUDNN_ATTR_CONVOLUTION_POST_PADDINGS, rank, 0);
}

static bool takes_two(int mode) {
    return mode == CUDNN_POINTWISE_ADD || mode == CUDNN_POINTWISE_MUL;
}

static bool finish_function(const fake_descriptor *of) {
    const int mode = fake_choice(of, CUDNN_ATTR_POINTWISE_MODE);
    const bool is_relu = mode == CUDNN_POINTWISE_RELU_FWD;
    const bool has_bounds = fake_find(of, CUDNN_ATTR_POINTWISE_RELU_LOWER_CLIP) != NULL ||
                            fake_find(of, CUDNN_ATTR_POINTWISE_RELU_UPPER_CLIP) != NULL;
    return fake_choice(of, CUDNN_ATTR_POINTWISE_MATH_PREC) == CUDNN_DATA_FLOAT &&
           (is_relu || !has_bounds) &&
           (is_relu || takes_two(mode) || mode == CUDNN_POINTWISE_SIGMOID_FWD ||
            mode == CUDNN_POINTWISE_TANH_FWD || mode == CUDNN_POINTWISE_SWISH_FWD);
}

static fake_convolution window_of(const fake_descriptor *operation) {
    const bool backward = operation->type == OPERATION_BACKWARD;
    const fake_descriptor *window =
        fake_held(operation, backward ? CUDNN_ATTR_OPERATION_CONVOLUTION_BWD_DATA_CONV_DESC
                                      : CUDNN_ATTR_OPERATION_CONVOLUTION_FORWARD_CONV_DESC);
    fake_convolution out = {.backward = backward,
                            .rank = (int)fake_number(window, CUDNN_ATTR_CONVOLUTION_SPATIAL_DIMS)};
    const size_t bytes = (size_t)out.rank * sizeof(int64_t);
    memcpy(out.stride, list_of(window, CUDNN_ATTR_CONVOLUTION_FILTER_STRIDES), bytes);
    memcpy(out.dilation, list_of(window, CUDNN_ATTR_CONVOLUTION_DILATIONS), bytes);
    memcpy(out.begin, list_of(window, CUDNN_ATTR_CONVOLUTION_PRE_PADDINGS), bytes);
    memcpy(out.end, list_of(window, CUDNN_ATTR_CONVOLUTION_POST_PADDINGS), bytes);
    return out;
}

/** Attributes of an operation's tensors: x, the second operand, y. */
static void tensors_of(cudnnBackendAttributeName_t out[3], const fake_descriptor *operation) {
    if (operation->type == OPERATION_FUNCTION) {
        out[0] = CUDNN_ATTR_OPERATION_POINTWISE_XDESC;
        out[1] = CUDNN_ATTR_OPERATION_POINTWISE_BDESC;
        out[2] = CUDNN_ATTR_OPERATION_POINTWISE_YDESC;
    } else if (operation->type == OPERATION_BACKWARD) {
        out[0] = CUDNN_ATTR_OPERATION_CONVOLUTION_BWD_DATA_DX;
        out[1] = CUDNN_ATTR_OPERATION_CONVOLUTION_BWD_DATA_W;
        out[2] = CUDNN_ATTR_OPERATION_CONVOLUTION_BWD_DATA_DY;
    } else {
        out[0] = CUDNN_ATTR_OPERATION_CONVOLUTION_FORWARD_X;
        out[1] = CUDNN_ATTR_OPERATION_CONVOLUTION_FORWARD_W;
        out[2] = CUDNN_ATTR_OPERATION_CONVOLUTION_FORWARD_Y;
    }
}

static bool finish_convolution(const fake_descriptor *of) {
    cudnnBackendAttributeName_t names[3];
    const fake_convolution convolution = window_of(of);
    fake_tensor tensors[3];
    float scales[2];
    tensors_of(names, of);
    for (int i = 0; i < 3; i++) {
        tensors[i] = tensor_of(fake_held(of, names[i]));
    }
    memcpy(&scales[0],
           fake_find(of, convolution.backward ? CUDNN_ATTR_OPERATION_CONVOLUTION_BWD_DATA_ALPHA
                                              : CUDNN_ATTR_OPERATION_CONVOLUTION_FORWARD_ALPHA)
               ->values,
           sizeof scales[0]);
    memcpy(&scales[1],
           fake_find(of, convolution.backward ? CUDNN_ATTR_OPERATION_CONVOLUTION_BWD_DATA_BETA
                                              : CUDNN_ATTR_OPERATION_CONVOLUTION_FORWARD_BETA)
               ->values,
           sizeof scales[1]);
    return scales[0] == 1.0F && scales[1] == 0.0F &&
           fake_convolution_fits(&convolution, &tensors[0], &tensors[1], &tensors[2]);
}

static bool finish_pointwise(const fake_descriptor *of) {
    const fake_tensor x = tensor_of(fake_held(of, CUDNN_ATTR_OPERATION_POINTWISE_XDESC));
    const fake_tensor y = tensor_of(fake_held(of, CUDNN_ATTR_OPERATION_POINTWISE_YDESC));
    const fake_descriptor *b = fake_held(of, CUDNN_ATTR_OPERATION_POINTWISE_BDESC);
    const int mode = fake_choice(fake_held(of, CUDNN_ATTR_OPERATION_POINTWISE_PW_DESCRIPTOR),
                                 CUDNN_ATTR_POINTWISE_MODE);
    if (x.rank != y.rank || memcmp(x.dims, y.dims, (size_t)x.rank * sizeof(int64_t)) != 0 ||
        takes_two(mode) != (b != NULL)) {
        return false;
    }
    if (b != NULL) {
        const fake_tensor second = tensor_of(b);
        for (int axis = 0; axis < x.rank; axis++) {
            if (second.rank != x.rank ||
                (second.dims[axis] != 1 && second.dims[axis] != x.dims[axis])) {
                return false;
            }
        }
    }
    return true;
}

/* ---- graphs ---- */

/* The number of a tensor in the program, added when it is new; -1 when another tensor has its id.
 */
static int enter(fake_program *program, const fake_descriptor *of) {
    const fake_tensor tensor = tensor_of(of);
    for (size_t i = 0; i < program->tensor_count; i++) {
        if (program->tensors[i].id == tensor.id) {
            return memcmp(&program->tensors[i], &tensor, sizeof tensor) == 0 ? (int)i : -1;
        }
    }
    if (program->tensor_count == FAKE_TENSORS) {
        return -1;
    }
    program->tensors[program->tensor_count] = tensor;
    return (int)program->tensor_count++;
}

/* Which tensors have been written so far. */
typedef struct progress {
    bool written[FAKE_TENSORS], read[FAKE_TENSORS];
} progress;

static bool note(progress *so_far, const fake_program *program, const int inputs[2], int output) {
    for (int i = 0; i < 2; i++) {
        if (inputs[i] >= 0) {
            if (program->tensors[inputs[i]].is_virtual && !so_far->written[inputs[i]]) {
                return false;
            }
            so_far->read[inputs[i]] = true;
        }
    }
    if (output < 0 || so_far->written[output] || so_far->read[output]) {
        return false;
    }
    so_far->written[output] = true;
    return true;
}

static bool add_convolution(fake_program *program, progress *so_far,
                            const fake_descriptor *operation) {
    cudnnBackendAttributeName_t names[3];
    fake_convolution *made = &program->convolution;
    tensors_of(names, operation);
    *made = window_of(operation);
    made->x = enter(program, fake_held(operation, names[0]));
    made->w = enter(program, fake_held(operation, names[1]));
    made->y = enter(program, fake_held(operation, names[2]));
    const int inputs[2] = {made->backward ? made->y : made->x, made->w};
    return inputs[0] >= 0 && inputs[1] >= 0 &&
           note(so_far, program, inputs, made->backward ? made->x : made->y);
}

static bool add_pointwise(fake_program *program, progress *so_far,
                          const fake_descriptor *operation) {
    const fake_descriptor *function =
        fake_held(operation, CUDNN_ATTR_OPERATION_POINTWISE_PW_DESCRIPTOR);
    const fake_descriptor *b = fake_held(operation, CUDNN_ATTR_OPERATION_POINTWISE_BDESC);
    fake_pointwise *made = &program->operations[program->operation_count++];
    made->mode = (cudnnPointwiseMode_t)fake_choice(function, CUDNN_ATTR_POINTWISE_MODE);
    made->lower = real_of(function, CUDNN_ATTR_POINTWISE_RELU_LOWER_CLIP, 0.0);
    made->upper = real_of(function, CUDNN_ATTR_POINTWISE_RELU_UPPER_CLIP, HUGE_VAL);
    made->slope = real_of(function, CUDNN_ATTR_POINTWISE_RELU_LOWER_CLIP_SLOPE, 0.0);
    made->x = enter(program, fake_held(operation, CUDNN_ATTR_OPERATION_POINTWISE_XDESC));
    made->b = b == NULL ? -1 : enter(program, b);
    made->y = enter(program, fake_held(operation, CUDNN_ATTR_OPERATION_POINTWISE_YDESC));
    const int inputs[2] = {made->x, made->b};
    return made->x >= 0 && (b == NULL || made->b >= 0) && so_far->written[made->x] &&
           note(so_far, program, inputs, made->y);
}

/* A convolution, then functions of what was computed before; only the last value is stored. */
static bool finish_graph(fake_descriptor *of) {
    const fake_attribute *operations = fake_find(of, CUDNN_ATTR_OPERATIONGRAPH_OPS);
    fake_descriptor *const *list = operations->values;
    progress so_far = {{false}, {false}};

    of->program = calloc(1, sizeof *of->program);
    if (of->program == NULL ||
        (list[0]->type != OPERATION_FORWARD && list[0]->type != OPERATION_BACKWARD) ||
        !add_convolution(of->program, &so_far, list[0])) {
        return false;
    }
    for (int64_t i = 1; i < operations->count; i++) {
        if (list[i]->type != OPERATION_FUNCTION || !add_pointwise(of->program, &so_far, list[i])) {
            return false;
        }
    }
    for (size_t i = 0; i < of->program->tensor_count; i++) {
        const bool is_virtual = of->program->tensors[i].is_virtual;
        if (so_far.written[i] && so_far.read[i] != is_virtual) {
            return false;
        }
    }
    return true;
}

bool fake_finish_graph(fake_descriptor *of) {
    switch (of->type) {
    case TENSOR:
        return finish_tensor(of);
    case WINDOW:
        return finish_window(of);
    case FUNCTION:
        return finish_function(of);
    case OPERATION_FORWARD:
    case OPERATION_BACKWARD:
        return finish_convolution(of);
    case OPERATION_FUNCTION:
        return finish_pointwise(of);
    case GRAPH:
        return finish_graph(of);
    default:
        return false;
    }
}
