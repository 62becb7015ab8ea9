/* SPDX-License-Identifier: Apache-2.0 */
/** How many dims the values of a graph have, as far as that follows without concrete shapes. */
#include "ops/rank.h"

#include <stdlib.h>
#include <string.h>

/* What is known of the values, by id; -1: not known. Lengths are those of vectors, because the
 * length of a shape vector is the rank of what is reshaped with it. */
typedef struct knowledge {
    int *ranks;
    int64_t *lengths;
} knowledge;

typedef struct answer {
    int rank;
    int64_t length;
} answer;

static const answer nothing = {-1, -1};

static int rank_at(const knowledge *known, const tare_node *node, size_t port) {
    const tare_value *value = tare_node_input(node, port);
    return value == NULL ? -1 : known->ranks[value->id];
}

static int64_t length_at(const knowledge *known, const tare_node *node, size_t port) {
    const tare_value *value = tare_node_input(node, port);
    return value == NULL ? -1 : known->lengths[value->id];
}

static int as_rank(int64_t length) {
    return length >= 0 && length <= TARE_MAX_RANK ? (int)length : -1;
}

static answer same(const knowledge *known, const tare_node *node) {
    return (answer){rank_at(known, node, 0), length_at(known, node, 0)};
}

/* As the first input in rank alone: the length changes. */
static answer same_rank(const knowledge *known, const tare_node *node) {
    return (answer){rank_at(known, node, 0), -1};
}

static answer broadcast(const knowledge *known, const tare_node *node) {
    answer result = {0, -1};
    for (size_t i = 0; i < node->input_count; i++) {
        const int rank = rank_at(known, node, i);
        if (rank < 0) {
            return nothing;
        }
        result.rank = rank > result.rank ? rank : result.rank;
        if (rank == 1 && length_at(known, node, i) > result.length) {
            result.length = length_at(known, node, i);
        }
    }
    return result;
}

static answer matrix(const knowledge *known, const tare_node *node) {
    TARE_UNUSED(known);
    TARE_UNUSED(node);
    return (answer){2, -1};
}

static answer product(const knowledge *known, const tare_node *node) {
    const int a = rank_at(known, node, 0), b = rank_at(known, node, 1);
    return a < 2 || b < 2 ? nothing : (answer){a > b ? a : b, -1};
}

static answer shape(const knowledge *known, const tare_node *node) {
    return (answer){1, rank_at(known, node, 0)};
}

static answer reshape(const knowledge *known, const tare_node *node) {
    return (answer){as_rank(length_at(known, node, 1)), -1};
}

static answer of_shape(const knowledge *known, const tare_node *node) {
    return (answer){as_rank(length_at(known, node, 0)), -1};
}

static answer concat(const knowledge *known, const tare_node *node) {
    answer result = {rank_at(known, node, 0), 0};
    for (size_t i = 0; i < node->input_count; i++) {
        const int64_t length = length_at(known, node, i);
        if (result.rank < 0) {
            result.rank = rank_at(known, node, i);
        }
        result.length =
            length < 0 || result.length < 0 || length > INT32_MAX || result.length > INT32_MAX
                ? -1
                : result.length + length;
    }
    return result;
}

static answer constant(const knowledge *known, const tare_node *node) {
    const tare_attribute *value = tare_node_attribute(node, "value");
    TARE_UNUSED(known);
    if (value == NULL || value->tensor == NULL) {
        return nothing;
    }
    return (answer){value->tensor->rank, value->tensor->rank == 1 ? value->tensor->dims[0] : -1};
}

static int axes_count(const tare_node *node) {
    const tare_attribute *axes = tare_node_attribute(node, "axes");
    return axes == NULL || axes->count > TARE_MAX_RANK ? -1 : (int)axes->count;
}

static answer unsqueeze(const knowledge *known, const tare_node *node) {
    const int rank = rank_at(known, node, 0), added = axes_count(node);
    if (rank < 0 || added < 0) {
        return nothing;
    }
    return (answer){rank + added, rank + added == 1 ? 1 : -1};
}

static answer squeeze(const knowledge *known, const tare_node *node) {
    const int rank = rank_at(known, node, 0), taken = axes_count(node);
    return taken < 0 || rank < taken ? nothing : (answer){rank - taken, -1};
}

static answer reduce(const knowledge *known, const tare_node *node) {
    const tare_attribute *keep = tare_node_attribute(node, "keepdims");
    if (keep == NULL || keep->i != 0) {
        return same_rank(known, node);
    }
    return tare_node_attribute(node, "axes") == NULL ? (answer){0, -1} : squeeze(known, node);
}

static answer gather(const knowledge *known, const tare_node *node) {
    const int data = rank_at(known, node, 0), indices = rank_at(known, node, 1);
    if (data < 1 || indices < 0) {
        return nothing;
    }
    return (answer){data - 1 + indices, data == 1 ? length_at(known, node, 1) : -1};
}

/* The one integer behind an input that is an initializer or a Constant node; false when it is not.
 */
static bool one_integer(int64_t *out, const tare_node *node, size_t port) {
    const tare_value *value = tare_node_input(node, port);
    const tare_tensor *tensor = value == NULL ? NULL : value->constant;
    if (tensor == NULL && value != NULL && value->producer != NULL) {
        const tare_attribute *attribute = tare_node_attribute(value->producer, "value");
        tensor = strcmp(value->producer->op_type, "Constant") == 0 && attribute != NULL
                     ? attribute->tensor
                     : NULL;
    }
    if (tensor == NULL || tare_tensor_count(tensor) != 1 ||
        (tensor->dtype != TARE_DTYPE_INT64 && tensor->dtype != TARE_DTYPE_INT32)) {
        return false;
    }
    *out = tare_tensor_int_at(tensor, 0);
    return true;
}

/* Exporters cut shape vectors with constant bounds and step 1; other lengths stay unknown. */
static answer slice(const knowledge *known, const tare_node *node) {
    answer result = same_rank(known, node);
    const int64_t length = length_at(known, node, 0);
    int64_t start, end, step = 1;
    if (result.rank != 1 || length < 0 || !one_integer(&start, node, 1) ||
        !one_integer(&end, node, 2) ||
        (tare_node_input(node, 4) != NULL && !one_integer(&step, node, 4)) || step != 1) {
        return result;
    }
    start = start < 0 ? start + length : start;
    end = end < 0 ? end + length : end;
    start = start < 0 ? 0 : start > length ? length : start;
    end = end < 0 ? 0 : end > length ? length : end;
    result.length = end > start ? end - start : 0;
    return result;
}

static const struct {
    const char *op_type;
    answer (*rule)(const knowledge *known, const tare_node *node);
} rules[] = {{"Relu", same},
             {"Clip", same},
             {"Sigmoid", same},
             {"Tanh", same},
             {"Exp", same},
             {"LeakyRelu", same},
             {"PRelu", same},
             {"HardSigmoid", same},
             {"Elu", same},
             {"Cast", same},
             {"Identity", same},
             {"Dropout", same},
             {"Floor", same},
             {"Ceil", same},
             {"Sqrt", same},
             {"Neg", same},
             {"Abs", same},
             {"Log", same},
             {"Softmax", same},
             {"LogSoftmax", same},
             {"BatchNormalization", same_rank},
             {"InstanceNormalization", same_rank},
             {"LRN", same_rank},
             {"Conv", same_rank},
             {"ConvTranspose", same_rank},
             {"MaxPool", same_rank},
             {"AveragePool", same_rank},
             {"GlobalAveragePool", same_rank},
             {"GlobalMaxPool", same_rank},
             {"Transpose", same_rank},
             {"Pad", same_rank},
             {"Slice", slice},
             {"Split", same_rank},
             {"Resize", same_rank},
             {"Upsample", same_rank},
             {"Tile", same_rank},
             {"DepthToSpace", same_rank},
             {"SpaceToDepth", same_rank},
             {"Add", broadcast},
             {"Sub", broadcast},
             {"Mul", broadcast},
             {"Div", broadcast},
             {"Pow", broadcast},
             {"Max", broadcast},
             {"Min", broadcast},
             {"Sum", broadcast},
             {"Where", broadcast},
             {"Equal", broadcast},
             {"Less", broadcast},
             {"Greater", broadcast},
             {"Gemm", matrix},
             {"Flatten", matrix},
             {"MatMul", product},
             {"Shape", shape},
             {"Reshape", reshape},
             {"ConstantOfShape", of_shape},
             {"Concat", concat},
             {"Constant", constant},
             {"Unsqueeze", unsqueeze},
             {"Squeeze", squeeze},
             {"Gather", gather},
             {"ReduceMean", reduce},
             {"ReduceSum", reduce},
             {"ReduceMax", reduce},
             {"ReduceMin", reduce}};

static answer deduce(const knowledge *known, const tare_node *node) {
    for (size_t i = 0; node->domain[0] == '\0' && i < sizeof rules / sizeof rules[0]; i++) {
        if (strcmp(rules[i].op_type, node->op_type) == 0) {
            return rules[i].rule(known, node);
        }
    }
    return nothing;
}

tare_status tare_graph_ranks(int *ranks, const tare_graph *graph, tare_error *err) {
    knowledge known = {.ranks = ranks,
                       .lengths = calloc(graph->value_count + 1, sizeof *known.lengths)};

    if (known.lengths == NULL) {
        return tare_fail_memory(err, graph->value_count * sizeof *known.lengths, "ranks");
    }
    for (size_t i = 0; i < graph->value_count; i++) {
        const tare_value *value = graph->values[i];
        ranks[i] = value->rank;
        known.lengths[i] = value->rank == 1 && value->dims[0] >= 0 ? value->dims[0] : -1;
    }
    for (size_t i = 0; i < graph->node_count; i++) {
        const tare_node *node = graph->nodes[i];
        const answer found = deduce(&known, node);
        for (size_t k = 0; k < node->output_count; k++) {
            const tare_value *value = node->outputs[k];
            if (value != NULL && ranks[value->id] < 0) {
                ranks[value->id] = found.rank;
            }
            if (value != NULL && known.lengths[value->id] < 0 && found.rank == 1) {
                known.lengths[value->id] = found.length;
            }
        }
    }
    free(known.lengths);
    return TARE_OK;
}
