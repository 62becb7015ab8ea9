/* SPDX-License-Identifier: Apache-2.0 */
/** Per operator: when samples that are parts of axis 0 stay parts of axis 0. */
#include "pass/batch_rule.h"

#include <stddef.h>
#include <string.h>

static bool is_part(const tare_batch_node *node, size_t port) {
    return port < node->one->input_count && node->inputs[port] == TARE_BATCH_PER_SAMPLE;
}

/* Axis 0 of an input and of the first output, for one sample. */
static int64_t rows_in(const tare_batch_node *node, size_t port) {
    return node->one->inputs[port]->dims[0];
}

static int64_t rows_out(const tare_batch_node *node) {
    return node->one->outputs[0]->dims[0];
}

static int rank_in(const tare_batch_node *node, size_t port) {
    return node->one->inputs[port]->rank;
}

/* Only the data have samples, the parameters are the same for all. */
static bool first_alone(const tare_batch_node *node) {
    for (size_t i = 1; i < node->one->input_count; i++) {
        if (node->inputs[i] != TARE_BATCH_ABSENT) {
            return false;
        }
    }
    return is_part(node, 0);
}

static bool all_parts(const tare_batch_node *node) {
    for (size_t i = 0; i < node->one->input_count; i++) {
        if (node->inputs[i] != TARE_BATCH_PER_SAMPLE) {
            return false;
        }
    }
    return true;
}

/* Dims are aligned at the end: an input with samples must reach axis 0 of the output and not be
 * repeated along it. */
static bool broadcasts(const tare_batch_node *node) {
    const tare_value *output = node->one->outputs[0];
    for (size_t i = 0; i < node->one->input_count; i++) {
        const tare_value *input = node->one->inputs[i];
        if (input == NULL) {
            continue;
        }
        if (node->inputs[i] == TARE_BATCH_UNKNOWN ||
            (node->inputs[i] == TARE_BATCH_PER_SAMPLE &&
             (input->rank != output->rank || input->dims[0] != output->dims[0])) ||
            (node->inputs[i] == TARE_BATCH_ABSENT && input->rank == output->rank &&
             input->dims[0] != 1)) {
            return false;
        }
    }
    return true;
}

/* Axis 0 counts independent items beside at least one other axis. */
static bool items(const tare_batch_node *node) {
    return first_alone(node) && rank_in(node, 0) >= 2;
}

static bool planes(const tare_batch_node *node) {
    return first_alone(node) && rank_in(node, 0) >= 3;
}

static bool rows_kept(const tare_batch_node *node) {
    return first_alone(node) && rank_in(node, 0) == node->one->outputs[0]->rank &&
           rows_in(node, 0) == rows_out(node);
}

/* The elements stay in their order, so each sample's stay together; what the new axis 0 counts is
 * seen by its length. An empty tensor has no such order. */
static bool reshape(const tare_batch_node *node) {
    const tare_value *output = node->one->outputs[0];
    for (size_t i = 1; i < node->one->input_count; i++) {
        if (node->inputs[i] == TARE_BATCH_PER_SAMPLE) {
            return false;
        }
    }
    return is_part(node, 0) && tare_dims_count(output->rank, output->dims) > 0;
}

static bool expand(const tare_batch_node *node) {
    return is_part(node, 0) && rank_in(node, 0) == node->one->outputs[0]->rank &&
           rows_in(node, 0) == rows_out(node);
}

static bool reduce(const tare_batch_node *node) {
    const tare_reduce_attrs *attrs = node->one->attrs;
    for (int i = 0; i < attrs->axis_count; i++) {
        if (attrs->axes[i] == 0) {
            return false;
        }
    }
    return first_alone(node);
}

static bool transpose(const tare_batch_node *node) {
    const tare_transpose_attrs *attrs = node->one->attrs;
    return first_alone(node) && attrs->perm[0] == 0;
}

static bool slice(const tare_batch_node *node) {
    const tare_slice_attrs *attrs = node->many->attrs;
    return rows_kept(node) && attrs->start[0] == 0 && attrs->step[0] == 1;
}

static bool pad(const tare_batch_node *node) {
    const tare_pad_attrs *attrs = node->many->attrs;
    return first_alone(node) && attrs->begin[0] == 0 && attrs->end[0] == 0;
}

static bool resize(const tare_batch_node *node) {
    const tare_resize_attrs *attrs = node->many->attrs;
    const float scale = attrs->scale[0];
    for (size_t i = 1; i < node->one->input_count; i++) {
        if (node->inputs[i] == TARE_BATCH_PER_SAMPLE) {
            return false;
        }
    }
    return is_part(node, 0) && rows_in(node, 0) == rows_out(node) && !(scale < 1.0F) &&
           !(scale > 1.0F) && attrs->coordinates != TARE_RESIZE_TF_CROP_AND_RESIZE;
}

static bool gather(const tare_batch_node *node) {
    const tare_axis_attrs *attrs = node->one->attrs;
    if (is_part(node, 0)) {
        return node->inputs[1] == TARE_BATCH_ABSENT && attrs->axis > 0;
    }
    /* A table that is looked up: the result begins with the axes of the indices. */
    return node->inputs[0] == TARE_BATCH_ABSENT && is_part(node, 1) && attrs->axis == 0;
}

static bool gather_elements(const tare_batch_node *node) {
    const tare_axis_attrs *attrs = node->one->attrs;
    return all_parts(node) && attrs->axis > 0 && rows_in(node, 0) == rows_in(node, 1);
}

static bool gather_nd(const tare_batch_node *node) {
    const tare_gather_nd_attrs *attrs = node->one->attrs;
    return all_parts(node) && attrs->batch_dims > 0;
}

/* Leading dims are aligned at the end, before the two of the matrices. */
static bool matmul(const tare_batch_node *node) {
    const int left = rank_in(node, 0), right = rank_in(node, 1);
    if (node->inputs[0] == TARE_BATCH_UNKNOWN || node->inputs[1] == TARE_BATCH_UNKNOWN) {
        return false;
    }
    if (is_part(node, 0) && is_part(node, 1)) {
        return left == right && left >= 3 && rows_in(node, 0) == rows_in(node, 1);
    }
    if (is_part(node, 0)) {
        return left >= 2 && left >= right && (left == 2 || right < left || rows_in(node, 1) == 1);
    }
    return right >= 3 && right >= left && (left < right || rows_in(node, 0) == 1);
}

static bool gemm(const tare_batch_node *node) {
    const tare_gemm_attrs *attrs = node->one->attrs;
    const tare_value *c = tare_node_input(node->one, 2);
    const bool has_c = c != NULL;
    if (!is_part(node, 0) || attrs->trans_a || node->inputs[1] != TARE_BATCH_ABSENT) {
        return false;
    }
    if (has_c && node->inputs[2] == TARE_BATCH_PER_SAMPLE) {
        return c->rank == 2 && c->dims[0] == rows_out(node);
    }
    return !has_c || (node->inputs[2] == TARE_BATCH_ABSENT && (c->rank < 2 || c->dims[0] == 1));
}

static bool quantize(const tare_batch_node *node) {
    const tare_quantize_attrs *attrs = node->one->attrs;
    const tare_value *scale = node->one->inputs[1];
    return first_alone(node) && (tare_dims_count(scale->rank, scale->dims) == 1 || attrs->axis > 0);
}

#define NO_AXIS SIZE_MAX
#define ELEMENTWISE(name)                                                                          \
    { name, TARE_BATCH_TILE, NO_AXIS, broadcasts }
#define ALONG(name, type)                                                                          \
    { name, 0, offsetof(type, axis), first_alone }
#define REDUCTION(name)                                                                            \
    { name, 0, NO_AXIS, reduce }

static const tare_batch_rule rules[] = {
    ELEMENTWISE("Relu"),
    ELEMENTWISE("Sigmoid"),
    ELEMENTWISE("Tanh"),
    ELEMENTWISE("Exp"),
    ELEMENTWISE("Log"),
    ELEMENTWISE("Sqrt"),
    ELEMENTWISE("Erf"),
    ELEMENTWISE("Abs"),
    ELEMENTWISE("Neg"),
    ELEMENTWISE("Sign"),
    ELEMENTWISE("Floor"),
    ELEMENTWISE("Ceil"),
    ELEMENTWISE("Round"),
    ELEMENTWISE("Reciprocal"),
    ELEMENTWISE("Softplus"),
    ELEMENTWISE("Softsign"),
    ELEMENTWISE("Mish"),
    ELEMENTWISE("Sin"),
    ELEMENTWISE("Cos"),
    ELEMENTWISE("Tan"),
    ELEMENTWISE("Asin"),
    ELEMENTWISE("Acos"),
    ELEMENTWISE("Atan"),
    ELEMENTWISE("Sinh"),
    ELEMENTWISE("Cosh"),
    ELEMENTWISE("Asinh"),
    ELEMENTWISE("Acosh"),
    ELEMENTWISE("Atanh"),
    ELEMENTWISE("Not"),
    ELEMENTWISE("BitwiseNot"),
    ELEMENTWISE("IsNaN"),
    ELEMENTWISE("IsInf"),
    ELEMENTWISE("LeakyRelu"),
    ELEMENTWISE("Elu"),
    ELEMENTWISE("Celu"),
    ELEMENTWISE("ThresholdedRelu"),
    ELEMENTWISE("Selu"),
    ELEMENTWISE("HardSigmoid"),
    ELEMENTWISE("HardSwish"),
    ELEMENTWISE("Shrink"),
    ELEMENTWISE("Gelu"),
    ELEMENTWISE("Swish"),
    ELEMENTWISE("Cast"),
    ELEMENTWISE("Clip"),
    ELEMENTWISE("Add"),
    ELEMENTWISE("Sub"),
    ELEMENTWISE("Mul"),
    ELEMENTWISE("Div"),
    ELEMENTWISE("Pow"),
    ELEMENTWISE("PRelu"),
    ELEMENTWISE("Mod"),
    ELEMENTWISE("BitShift"),
    ELEMENTWISE("BitwiseAnd"),
    ELEMENTWISE("BitwiseOr"),
    ELEMENTWISE("BitwiseXor"),
    ELEMENTWISE("And"),
    ELEMENTWISE("Or"),
    ELEMENTWISE("Xor"),
    ELEMENTWISE("Equal"),
    ELEMENTWISE("Less"),
    ELEMENTWISE("Greater"),
    ELEMENTWISE("LessOrEqual"),
    ELEMENTWISE("GreaterOrEqual"),
    ELEMENTWISE("Min"),
    ELEMENTWISE("Max"),
    ELEMENTWISE("Sum"),
    ELEMENTWISE("Mean"),
    ELEMENTWISE("Where"),
    {"Conv", 0, NO_AXIS, planes},
    {"ConvTranspose", 0, NO_AXIS, planes},
    {"MaxPool", 0, NO_AXIS, planes},
    {"AveragePool", 0, NO_AXIS, planes},
    {"LpPool", 0, NO_AXIS, planes},
    {"BatchNormalization", 0, NO_AXIS, items},
    {"InstanceNormalization", 0, NO_AXIS, items},
    {"GroupNormalization", 0, NO_AXIS, items},
    {"LRN", 0, NO_AXIS, items},
    {"DepthToSpace", 0, NO_AXIS, planes},
    {"SpaceToDepth", 0, NO_AXIS, planes},
    {"Trilu", 0, NO_AXIS, planes},
    ALONG("LayerNormalization", tare_norm_attrs),
    ALONG("LpNormalization", tare_lp_attrs),
    ALONG("Softmax", tare_axis_attrs),
    ALONG("LogSoftmax", tare_axis_attrs),
    ALONG("Hardmax", tare_axis_attrs),
    ALONG("Split", tare_split_attrs),
    ALONG("TopK", tare_topk_attrs),
    ALONG("CumSum", tare_cumsum_attrs),
    ALONG("OneHot", tare_axis_attrs),
    REDUCTION("ReduceSum"),
    REDUCTION("ReduceMean"),
    REDUCTION("ReduceMax"),
    REDUCTION("ReduceMin"),
    REDUCTION("ReduceProd"),
    REDUCTION("ReduceL1"),
    REDUCTION("ReduceL2"),
    REDUCTION("ReduceSumSquare"),
    REDUCTION("ReduceLogSum"),
    REDUCTION("ReduceLogSumExp"),
    REDUCTION("ArgMax"),
    REDUCTION("ArgMin"),
    REDUCTION("MeanVarianceNormalization"),
    {"Concat", TARE_BATCH_TILE, offsetof(tare_axis_attrs, axis), all_parts},
    {"GridSample", TARE_BATCH_TILE, NO_AXIS, all_parts},
    {"Reshape", TARE_BATCH_SHAPE_PORT, NO_AXIS, reshape},
    {"Expand", TARE_BATCH_SHAPE_PORT, NO_AXIS, expand},
    {"Resize", TARE_BATCH_SIZES_PORT, NO_AXIS, resize},
    {"Tile", 0, NO_AXIS, rows_kept},
    {"Transpose", 0, NO_AXIS, transpose},
    {"Slice", 0, NO_AXIS, slice},
    {"Pad", 0, NO_AXIS, pad},
    {"Gather", 0, NO_AXIS, gather},
    {"GatherElements", 0, NO_AXIS, gather_elements},
    {"GatherND", 0, NO_AXIS, gather_nd},
    {"MatMul", 0, NO_AXIS, matmul},
    {"Gemm", 0, NO_AXIS, gemm},
    {"QuantizeLinear", 0, NO_AXIS, quantize},
    {"DequantizeLinear", 0, NO_AXIS, quantize},
};

const tare_batch_rule *tare_batch_rule_find(const char *kernel) {
    for (size_t i = 0; i < sizeof rules / sizeof rules[0]; i++) {
        if (strcmp(rules[i].kernel, kernel) == 0) {
            return &rules[i];
        }
    }
    return NULL;
}

bool tare_batch_rule_holds(const tare_batch_rule *rule, const tare_batch_node *node) {
    int64_t axis = 1;
    if (rule->axis != NO_AXIS) {
        memcpy(&axis, (const char *)node->one->attrs + rule->axis, sizeof axis);
    }
    return axis > 0 && rule->keeps(node);
}
