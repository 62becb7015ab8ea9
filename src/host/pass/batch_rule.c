/* SPDX-License-Identifier: Apache-2.0 */
/** Per operator: where samples are in its outputs, given where they are in its inputs. */
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

/* ---- other axes than 0: what attention does between its layers ---- */

static bool move_elements(const tare_batch_node *node) {
    const tare_value *output = node->one->outputs[0];
    for (size_t i = 0; i < node->one->input_count; i++) {
        const tare_value *input = node->one->inputs[i];
        /* The input's axis at the samples' one, if it reaches that far. */
        const int axis = input == NULL ? -1 : node->axis - (output->rank - input->rank);
        if (axis < 0) {
            continue;
        }
        if (node->inputs[i] == TARE_BATCH_UNKNOWN ||
            (node->inputs[i] == TARE_BATCH_PER_SAMPLE &&
             (input->rank != output->rank || input->dims[axis] != output->dims[axis])) ||
            (node->inputs[i] == TARE_BATCH_ABSENT && input->dims[axis] != 1)) {
            return false;
        }
    }
    return node->grown == node->axis;
}

static bool move_transpose(const tare_batch_node *node) {
    const tare_transpose_attrs *attrs = node->one->attrs;
    return first_alone(node) && attrs->perm[node->grown] == node->axis;
}

/* Axes of the indices stand in the place of the axis that is gathered from. */
static bool move_gather(const tare_batch_node *node) {
    const tare_axis_attrs *attrs = node->one->attrs;
    const int shift = attrs->axis < node->axis ? rank_in(node, 1) - 1 : 0;
    return first_alone(node) && attrs->axis != node->axis && node->grown == node->axis + shift;
}

static bool move_split(const tare_batch_node *node) {
    const tare_split_attrs *attrs = node->one->attrs;
    return first_alone(node) && attrs->axis != node->axis && node->grown == node->axis;
}

static bool move_softmax(const tare_batch_node *node) {
    const tare_axis_attrs *attrs = node->one->attrs;
    const bool apart = attrs->flatten ? attrs->axis > node->axis : attrs->axis != node->axis;
    return first_alone(node) && apart && node->grown == node->axis;
}

static bool move_slice(const tare_batch_node *node) {
    const tare_slice_attrs *attrs = node->many->attrs;
    const int axis = node->axis;
    return first_alone(node) && node->grown == axis && attrs->start[axis] == 0 &&
           attrs->step[axis] == 1 &&
           node->one->inputs[0]->dims[axis] == node->one->outputs[0]->dims[axis];
}

/* Elements stay in their order: as many as before have to lie in front of the samples. */
static bool move_reshape(const tare_batch_node *node) {
    return reshape(node) && tare_dims_count(node->axis, node->one->inputs[0]->dims) ==
                                tare_dims_count(node->grown, node->one->outputs[0]->dims);
}

/* Samples on an axis of matrices that are multiplied one by one, or on rows of the left one. */
static bool move_matmul(const tare_batch_node *node) {
    const int left = rank_in(node, 0), right = rank_in(node, 1), axis = node->axis;
    const bool both = is_part(node, 0) && is_part(node, 1) && left == right && axis < left - 2;
    const bool rows = first_alone(node) && right == 2 && axis < left - 1;
    return node->grown == axis &&
           (rows || (both && node->one->inputs[0]->dims[axis] == node->one->inputs[1]->dims[axis]));
}

#define NO_AXIS SIZE_MAX
#define ELEMENTWISE(name)                                                                          \
    { name, TARE_BATCH_TILE, NO_AXIS, broadcasts, move_elements }
#define ALONG(name, type)                                                                          \
    { name, 0, offsetof(type, axis), first_alone, NULL }
#define REDUCTION(name)                                                                            \
    { name, 0, NO_AXIS, reduce, NULL }

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
    {"Conv", 0, NO_AXIS, planes, NULL},
    {"ConvTranspose", 0, NO_AXIS, planes, NULL},
    {"MaxPool", 0, NO_AXIS, planes, NULL},
    {"AveragePool", 0, NO_AXIS, planes, NULL},
    {"LpPool", 0, NO_AXIS, planes, NULL},
    {"BatchNormalization", 0, NO_AXIS, items, NULL},
    {"InstanceNormalization", 0, NO_AXIS, items, NULL},
    {"GroupNormalization", 0, NO_AXIS, items, NULL},
    {"LRN", 0, NO_AXIS, items, NULL},
    {"DepthToSpace", 0, NO_AXIS, planes, NULL},
    {"SpaceToDepth", 0, NO_AXIS, planes, NULL},
    {"Trilu", 0, NO_AXIS, planes, NULL},
    ALONG("LayerNormalization", tare_norm_attrs),
    ALONG("LpNormalization", tare_lp_attrs),
    {"Softmax", 0, offsetof(tare_axis_attrs, axis), first_alone, move_softmax},
    ALONG("LogSoftmax", tare_axis_attrs),
    ALONG("Hardmax", tare_axis_attrs),
    {"Split", 0, offsetof(tare_split_attrs, axis), first_alone, move_split},
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
    {"Concat", TARE_BATCH_TILE, offsetof(tare_axis_attrs, axis), all_parts, NULL},
    {"GridSample", TARE_BATCH_TILE, NO_AXIS, all_parts, NULL},
    {"Reshape", TARE_BATCH_SHAPE_PORT, NO_AXIS, reshape, move_reshape},
    {"Expand", TARE_BATCH_SHAPE_PORT, NO_AXIS, expand, NULL},
    {"Resize", TARE_BATCH_SIZES_PORT, NO_AXIS, resize, NULL},
    {"Tile", 0, NO_AXIS, rows_kept, NULL},
    {"Transpose", 0, NO_AXIS, transpose, move_transpose},
    {"Slice", 0, NO_AXIS, slice, move_slice},
    {"Pad", 0, NO_AXIS, pad, NULL},
    {"Gather", 0, NO_AXIS, gather, move_gather},
    {"GatherElements", 0, NO_AXIS, gather_elements, NULL},
    {"GatherND", 0, NO_AXIS, gather_nd, NULL},
    {"MatMul", 0, NO_AXIS, matmul, move_matmul},
    {"Gemm", 0, NO_AXIS, gemm, NULL},
    {"QuantizeLinear", 0, NO_AXIS, quantize, NULL},
    {"DequantizeLinear", 0, NO_AXIS, quantize, NULL},
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
    return (node->axis == 0 && node->grown == 0 && axis > 0 && rule->keeps(node)) ||
           (rule->moves != NULL && rule->moves(node));
}
