/* SPDX-License-Identifier: Apache-2.0 */
/** Epilogues as pointwise operations behind a convolution; see the header. */
#include "cuda/conv_graph.h"

#include <math.h>
#include <string.h>

/** What the second operand of a pointwise operation is. */
typedef enum operand_kind {
    OPERAND_NONE,
    OPERAND_BIAS,
    OPERAND_RESIDUAL,
    OPERAND_NUMBER,
    OPERAND_VALUE
} operand_kind;

/** One operation. Value 0 is the convolution's result, value i that of operation i - 1. */
typedef struct operation {
    cudnnPointwiseMode_t mode;
    size_t x;
    operand_kind kind;
    size_t b; /**< number of the constant, or value */
    double lower, upper, slope;
} operation;

/* A bias, and up to four operations for each epilogue. */
#define MAX_OPERATIONS (1 + 4 * TARE_MAX_EPILOGUES)

typedef struct program {
    size_t count;
    operation operations[MAX_OPERATIONS];
    tare_conv_constants constants;
} program;

/* Appends an operation on the value that came last. */
static operation *append(program *out, cudnnPointwiseMode_t mode) {
    operation *added = &out->operations[out->count];
    added->mode = mode;
    added->x = out->count++;
    added->upper = INFINITY;
    return added;
}

static void append_number(program *out, cudnnPointwiseMode_t mode, float number) {
    operation *added = append(out, mode);
    added->kind = OPERAND_NUMBER;
    added->b = out->constants.count;
    out->constants.values[out->constants.count++] = number;
}

static void append_clip(program *out, double lower, double upper) {
    operation *added = append(out, CUDNN_POINTWISE_RELU_FWD);
    added->lower = lower;
    added->upper = upper;
}

static void append_gate(program *out, const tare_epilogue *epilogue) {
    append_number(out, CUDNN_POINTWISE_MUL, epilogue->a);
    append_number(out, CUDNN_POINTWISE_ADD, epilogue->b);
    append_clip(out, 0.0, 1.0);
}

typedef void append_function(program *out, const tare_epilogue *epilogue);

static void clip(program *out, const tare_epilogue *epilogue) {
    append_clip(out, (double)epilogue->a, (double)epilogue->b);
}

static void leaky_relu(program *out, const tare_epilogue *epilogue) {
    append(out, CUDNN_POINTWISE_RELU_FWD)->slope = (double)epilogue->a;
}

static void sigmoid(program *out, const tare_epilogue *epilogue) {
    TARE_UNUSED(epilogue);
    append(out, CUDNN_POINTWISE_SIGMOID_FWD);
}

static void tangent(program *out, const tare_epilogue *epilogue) {
    TARE_UNUSED(epilogue);
    append(out, CUDNN_POINTWISE_TANH_FWD);
}

static void swish(program *out, const tare_epilogue *epilogue) {
    TARE_UNUSED(epilogue);
    append(out, CUDNN_POINTWISE_SWISH_FWD);
}

static void hard_sigmoid(program *out, const tare_epilogue *epilogue) {
    append_gate(out, epilogue);
}

static void hard_swish(program *out, const tare_epilogue *epilogue) {
    const size_t x = out->count;
    operation *product;
    append_gate(out, epilogue);
    product = append(out, CUDNN_POINTWISE_MUL);
    product->kind = OPERAND_VALUE;
    product->b = x;
}

static void add(program *out, const tare_epilogue *epilogue) {
    TARE_UNUSED(epilogue);
    append(out, CUDNN_POINTWISE_ADD)->kind = OPERAND_RESIDUAL;
}

static append_function *const functions[] = {
    [TARE_EPILOGUE_CLIP] = clip,
    [TARE_EPILOGUE_LEAKY_RELU] = leaky_relu,
    [TARE_EPILOGUE_SIGMOID] = sigmoid,
    [TARE_EPILOGUE_TANH] = tangent,
    [TARE_EPILOGUE_SWISH] = swish,
    [TARE_EPILOGUE_HARD_SIGMOID] = hard_sigmoid,
    [TARE_EPILOGUE_HARD_SWISH] = hard_swish,
    [TARE_EPILOGUE_ADD] = add,
};

/* Epilogues that come before the bias. cuDNN's kernels for residuals add these first, and know no
 * other order. */
static size_t leading_additions(const tare_conv_spec *spec) {
    return spec->epilogue_count > 0 && spec->epilogues[0].kind == TARE_EPILOGUE_ADD ? 1 : 0;
}

static void translate(program *out, const tare_conv_spec *spec) {
    const size_t leading = leading_additions(spec);
    memset(out, 0, sizeof *out);
    for (size_t i = 0; i < leading; i++) {
        add(out, &spec->epilogues[i]);
    }
    if (spec->bias) {
        append(out, CUDNN_POINTWISE_ADD)->kind = OPERAND_BIAS;
    }
    for (size_t i = leading; i < spec->epilogue_count; i++) {
        functions[spec->epilogues[i].kind](out, &spec->epilogues[i]);
    }
}

void tare_conv_graph_constants(tare_conv_constants *out, const tare_conv_spec *spec) {
    program translated;
    translate(&translated, spec);
    *out = translated.constants;
}

static tare_status check_epilogues(const tare_conv_spec *spec, tare_error *err) {
    size_t residuals = 0;
    for (size_t i = 0; i < spec->epilogue_count; i++) {
        const tare_epilogue *epilogue = &spec->epilogues[i];
        if (epilogue->kind == TARE_EPILOGUE_CLIP && !isfinite(epilogue->a)) {
            return tare_fail(err, TARE_UNSUPPORTED, "a clip from %g", (double)epilogue->a);
        }
        residuals += epilogue->kind == TARE_EPILOGUE_ADD ? 1U : 0U;
    }
    return residuals <= 1
               ? TARE_OK
               : tare_fail(err, TARE_UNSUPPORTED, "%zu additions, expected one at most", residuals);
}

/** Tensors of a graph under construction. */
typedef struct graph_parts {
    tare_cudnn_scope *scope;
    const tare_conv_spec *spec;
    const program *program;
    size_t operation_count; /**< of cuDNN, the convolution being the first */
    cudnnBackendDescriptor_t values[MAX_OPERATIONS + 1];
    cudnnBackendDescriptor_t operations[MAX_OPERATIONS + 1];
} graph_parts;

bool tare_conv_graph_is_ready(const tare_conv_spec *spec) {
    size_t at = leading_additions(spec);
    if (at < spec->epilogue_count) {
        const tare_epilogue *last = &spec->epilogues[at];
        at += last->kind == TARE_EPILOGUE_CLIP && last->a == 0.0F && last->b == INFINITY ? 1U : 0U;
    }
    return spec->bias && !spec->transposed && at == spec->epilogue_count;
}

static cudnnDataType_t type_of(tare_dtype storage) {
    return storage == TARE_DTYPE_FLOAT16 ? CUDNN_DATA_HALF : CUDNN_DATA_FLOAT;
}

static tare_cudnn_tensor tensor_of(const graph_parts *parts, int64_t id, const int64_t *dims) {
    tare_cudnn_tensor tensor = {
        .id = id, .type = type_of(parts->spec->storage), .rank = parts->spec->rank};
    memcpy(tensor.dims, dims, (size_t)tensor.rank * sizeof tensor.dims[0]);
    return tensor;
}

/* The last value is the output, the others are virtual and as precise as the computation. */
static tare_status make_value(graph_parts *parts, size_t value, tare_error *err) {
    const bool is_last = value == parts->program->count;
    const int64_t first_virtual = TARE_CONV_MAX_IDS;
    tare_cudnn_tensor tensor =
        tensor_of(parts, is_last ? TARE_CONV_ID_OUTPUT : first_virtual + (int64_t)value,
                  tare_conv_spec_output(parts->spec));
    if (!is_last) {
        tensor.type = CUDNN_DATA_FLOAT;
        tensor.is_virtual = true;
    }
    return tare_cudnn_tensor_new(&parts->values[value], parts->scope, &tensor, err);
}

static tare_status make_convolution(graph_parts *parts, tare_error *err) {
    const tare_conv_spec *spec = parts->spec;
    const tare_cudnn_tensor input =
        tensor_of(parts, TARE_CONV_ID_INPUT, spec->transposed ? spec->y : spec->x);
    const tare_cudnn_tensor weights = tensor_of(parts, TARE_CONV_ID_WEIGHTS, spec->w);
    tare_cudnn_convolution convolution = {.backward_data = spec->transposed,
                                          .rank = spec->rank - 2};
    cudnnBackendDescriptor_t *x = spec->transposed ? &convolution.y : &convolution.x;
    cudnnBackendDescriptor_t *y = spec->transposed ? &convolution.x : &convolution.y;

    memcpy(convolution.stride, spec->stride, sizeof convolution.stride);
    memcpy(convolution.dilation, spec->dilation, sizeof convolution.dilation);
    memcpy(convolution.pad_begin, spec->pad_begin, sizeof convolution.pad_begin);
    memcpy(convolution.pad_end, spec->pad_end, sizeof convolution.pad_end);
    TARE_TRY(tare_cudnn_tensor_new(x, parts->scope, &input, err));
    TARE_TRY(tare_cudnn_tensor_new(&convolution.w, parts->scope, &weights, err));
    TARE_TRY(make_value(parts, 0, err));
    *y = parts->values[0];
    return tare_cudnn_convolution_new(&parts->operations[parts->operation_count++], parts->scope,
                                      &convolution, err);
}

/* The second operand, or NULL. */
static tare_status make_operand(cudnnBackendDescriptor_t *out, graph_parts *parts,
                                const operation *of, tare_error *err) {
    const int64_t *shape = tare_conv_spec_output(parts->spec);
    int64_t dims[TARE_CONV_RANK] = {1, 1, 1, 1, 1};
    tare_cudnn_tensor tensor;

    *out = NULL;
    if (of->kind == OPERAND_NONE) {
        return TARE_OK;
    }
    if (of->kind == OPERAND_VALUE) {
        *out = parts->values[of->b];
        return TARE_OK;
    }
    if (of->kind == OPERAND_RESIDUAL) {
        tensor = tensor_of(parts, TARE_CONV_ID_RESIDUAL, shape);
    } else {
        dims[1] = of->kind == OPERAND_BIAS ? shape[1] : 1;
        tensor = tensor_of(parts,
                           of->kind == OPERAND_BIAS ? TARE_CONV_ID_BIAS
                                                    : TARE_CONV_ID_CONSTANT + (int64_t)of->b,
                           dims);
        /* A bias of another type than the output has no ready kernels. */
        tensor.type = of->kind == OPERAND_BIAS ? tensor.type : CUDNN_DATA_FLOAT;
    }
    return tare_cudnn_tensor_new(out, parts->scope, &tensor, err);
}

static tare_status make_operation(graph_parts *parts, size_t index, tare_error *err) {
    const operation *made = &parts->program->operations[index];
    tare_cudnn_pointwise pointwise = {.mode = made->mode,
                                      .x = parts->values[made->x],
                                      .lower = made->lower,
                                      .upper = made->upper,
                                      .slope = made->slope};
    TARE_TRY(make_operand(&pointwise.b, parts, made, err));
    TARE_TRY(make_value(parts, index + 1, err));
    pointwise.y = parts->values[index + 1];
    return tare_cudnn_pointwise_new(&parts->operations[parts->operation_count++], parts->scope,
                                    &pointwise, err);
}

tare_status tare_conv_graph_new(cudnnBackendDescriptor_t *out, tare_cudnn_scope *scope,
                                const tare_conv_spec *spec, bool fused, tare_error *err) {
    program translated = {0};
    graph_parts parts = {.scope = scope, .spec = spec, .program = &translated};

    if (fused) {
        TARE_TRY(check_epilogues(spec, err));
        translate(&translated, spec);
    }
    TARE_TRY(make_convolution(&parts, err));
    for (size_t i = 0; i < translated.count; i++) {
        TARE_TRY(make_operation(&parts, i, err));
    }
    return tare_cudnn_graph_new(out, scope, parts.operations, parts.operation_count, err);
}
