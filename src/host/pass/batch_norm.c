/* SPDX-License-Identifier: Apache-2.0 */
/** Folding per-channel scales and shifts into the layer before them. */
#include "pass/batch_norm.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "ops/op.h"
#include "pass/dead.h"

/* y = factor x + shift per channel. */
typedef struct affine {
    int64_t channels;
    double *factor, *shift;
    bool shifts;
} affine;

/* A layer and the node behind it. */
typedef struct pair {
    tare_graph *graph;
    tare_node *layer, *node;
    tare_value *carriers[2]; /* constants that only `node` reads, free to hold what changes */
} pair;

static const char *kind(const tare_node *node) {
    return node->op != NULL && node->domain[0] == '\0' ? node->op_type : "";
}

static bool is_kind(const tare_node *node, const char *op_type) {
    return strcmp(kind(node), op_type) == 0;
}

static const tare_tensor *float_constant(const tare_node *node, size_t port) {
    const tare_value *value = tare_node_input(node, port);
    return value != NULL && value->constant != NULL && value->constant->dtype == TARE_DTYPE_FLOAT
               ? value->constant
               : NULL;
}

static const float *floats(const tare_tensor *tensor) {
    return tensor->data;
}

/* The index of the node's input that a layer produces, or SIZE_MAX. */
static size_t layer_port(const tare_node *node) {
    for (size_t port = 0; port < node->input_count && port < 2; port++) {
        const tare_value *value = node->inputs[port];
        const tare_node *from = value == NULL ? NULL : value->producer;
        if (from != NULL && value->constant == NULL &&
            (is_kind(from, "Conv") || is_kind(from, "ConvTranspose") || is_kind(from, "Gemm"))) {
            return port;
        }
    }
    return SIZE_MAX;
}

static bool read_batch_norm(affine *out, const tare_node *node) {
    const tare_norm_attrs *attrs = node->attrs;
    const tare_tensor *inputs[5];
    for (size_t i = 1; i < 5; i++) {
        inputs[i] = float_constant(node, i);
        if (inputs[i] == NULL) {
            return false;
        }
    }
    for (int64_t c = 0; c < out->channels; c++) {
        const double deviation = sqrt((double)floats(inputs[4])[c] + (double)attrs->epsilon);
        out->factor[c] = (double)floats(inputs[1])[c] / deviation;
        out->shift[c] =
            (double)floats(inputs[2])[c] - (double)floats(inputs[3])[c] * out->factor[c];
    }
    out->shifts = true;
    return true;
}

/* Whether a constant broadcasts along the channel axis of `y` and no other. */
static bool is_per_channel(const tare_tensor *constant, const tare_value *y) {
    for (int i = 0; i < constant->rank; i++) {
        const int axis = y->rank - constant->rank + i;
        if (axis < 0 || (constant->dims[i] != 1 && axis != 1)) {
            return false;
        }
    }
    return true;
}

static void set_affine(affine *out, const char *op_type, double constant, bool layer_first,
                       int64_t c) {
    out->factor[c] = 1.0;
    out->shift[c] = 0.0;
    if (strcmp(op_type, "Mul") == 0) {
        out->factor[c] = constant;
    } else if (strcmp(op_type, "Div") == 0) {
        out->factor[c] = 1.0 / constant;
    } else if (strcmp(op_type, "Add") == 0) {
        out->shift[c] = constant;
    } else {
        out->factor[c] = layer_first ? 1.0 : -1.0;
        out->shift[c] = layer_first ? -constant : constant;
    }
}

static bool read_arithmetic(affine *out, const tare_node *node, size_t port) {
    const tare_tensor *constant = float_constant(node, 1 - port);
    const char *op_type = kind(node);
    const bool product = strcmp(op_type, "Mul") == 0 || strcmp(op_type, "Div") == 0;
    int64_t count;

    if (constant == NULL || !is_per_channel(constant, node->outputs[0]) ||
        (strcmp(op_type, "Div") == 0 && port == 1)) {
        return false;
    }
    count = tare_tensor_count(constant);
    for (int64_t c = 0; c < out->channels; c++) {
        const double number = (double)floats(constant)[count == 1 ? 0 : c];
        if (!isfinite(number) || (number == 0.0 && strcmp(op_type, "Div") == 0)) {
            return false;
        }
        set_affine(out, op_type, number, port == 0, c);
    }
    out->shifts = !product;
    return true;
}

static bool read_affine(affine *out, const tare_node *node, size_t port) {
    static const char *const arithmetic[] = {"Add", "Sub", "Mul", "Div"};
    if (is_kind(node, "BatchNormalization")) {
        return port == 0 && read_batch_norm(out, node);
    }
    for (size_t i = 0; i < sizeof arithmetic / sizeof arithmetic[0]; i++) {
        if (is_kind(node, arithmetic[i])) {
            return read_arithmetic(out, node, port);
        }
    }
    return false;
}

/* The output channel that element `index` of a layer's weights belongs to. */
static int64_t weight_channel(const tare_node *layer, const tare_tensor *weight, int64_t index) {
    const int64_t inner = tare_dims_count(weight->rank - 2, weight->dims + 2);
    const int64_t second = index / inner % weight->dims[1], first = index / inner / weight->dims[1];
    if (is_kind(layer, "Conv")) {
        return first;
    }
    if (is_kind(layer, "Gemm")) {
        return ((const tare_gemm_attrs *)layer->attrs)->trans_b ? first : second;
    }
    /* ConvTranspose: input channels first, each group makes its own output channels. */
    return first / (weight->dims[0] / ((const tare_conv_attrs *)layer->attrs)->group) *
               weight->dims[1] +
           second;
}

static tare_tensor *scaled_weight(pair *p, const affine *a, tare_error *err) {
    const tare_tensor *weight = float_constant(p->layer, 1);
    const int64_t count = tare_tensor_count(weight);
    tare_tensor *scaled = tare_graph_new_tensor(p->graph);
    if (scaled == NULL ||
        tare_tensor_init(scaled, TARE_DTYPE_FLOAT, weight->rank, weight->dims, err) != TARE_OK) {
        return NULL;
    }
    for (int64_t i = 0; i < count; i++) {
        ((float *)tare_tensor_elements(scaled))[i] =
            (float)((double)floats(weight)[i] * a->factor[weight_channel(p->layer, weight, i)]);
    }
    return scaled;
}

/* Gemm's bias is multiplied by beta, which is 1 afterwards. */
static tare_tensor *moved_bias(pair *p, const affine *a, tare_error *err) {
    const tare_tensor *bias = float_constant(p->layer, 2);
    const int64_t count = bias == NULL ? 0 : tare_tensor_count(bias);
    tare_tensor *moved = tare_graph_new_tensor(p->graph);
    double beta = 1.0;

    if (is_kind(p->layer, "Gemm")) {
        tare_gemm_attrs *attrs = p->layer->attrs;
        beta = (double)attrs->beta;
        attrs->beta = 1.0F;
    }
    if (moved == NULL ||
        tare_tensor_init(moved, TARE_DTYPE_FLOAT, 1, &a->channels, err) != TARE_OK) {
        return NULL;
    }
    for (int64_t c = 0; c < a->channels; c++) {
        const double old = bias == NULL ? 0.0 : beta * (double)floats(bias)[count == 1 ? 0 : c];
        ((float *)tare_tensor_elements(moved))[c] = (float)(old * a->factor[c] + a->shift[c]);
    }
    return moved;
}

/* A value to hold a changed constant: the one that held it if nobody else reads it, else one that
 * goes away with the folded node. NULL when there is none. */
static tare_value *take_carrier(pair *p, tare_value *own) {
    tare_value *carrier = NULL;
    if (own != NULL && own->use_count == 1 && !own->is_output) {
        return own;
    }
    for (size_t i = 0; i < 2 && carrier == NULL; i++) {
        carrier = p->carriers[i];
        p->carriers[i] = NULL;
    }
    return carrier;
}

static void set_constant(tare_value *value, tare_tensor *tensor) {
    value->constant = tensor;
    value->dtype = tensor->dtype;
    value->rank = tensor->rank;
    memcpy(value->dims, tensor->dims, sizeof value->dims);
}

static tare_status set_layer_inputs(pair *p, tare_value *weight, tare_value *bias,
                                    tare_error *err) {
    tare_value **inputs = tare_arena_array(&p->graph->arena, 3, sizeof(tare_value *));
    if (inputs == NULL) {
        return tare_fail_memory(err, 3 * sizeof(tare_value *), "a layer's inputs");
    }
    inputs[0] = p->layer->inputs[0];
    inputs[1] = weight;
    inputs[2] = bias;
    p->layer->inputs = inputs;
    p->layer->input_count = bias == NULL ? 2 : 3;
    return TARE_OK;
}

static bool can_fold(const pair *p, const bool *keep) {
    const tare_value *between = p->layer->outputs[0], *out = p->node->outputs[0];
    const tare_value *bias = tare_node_input(p->layer, 2);
    const tare_tensor *weight = float_constant(p->layer, 1);
    const int64_t channels = between->rank < 2 ? 0 : between->dims[1];

    if (between->rank < 2 || between->use_count != 1 || between->is_output ||
        (keep != NULL && keep[between->id]) || out == NULL || out->rank != between->rank ||
        out->dtype != TARE_DTYPE_FLOAT ||
        memcmp(out->dims, between->dims, (size_t)out->rank * sizeof *out->dims) != 0) {
        return false;
    }
    if (weight == NULL || weight->rank < 2 || tare_tensor_count(weight) == 0) {
        return false;
    }
    /* A bias is one number (of Gemm) or one per channel in the last dim, or folding would have to
     * know rows apart. */
    return bias == NULL || (float_constant(p->layer, 2) != NULL &&
                            (tare_tensor_count(bias->constant) == 1 ||
                             (tare_tensor_count(bias->constant) == channels &&
                              bias->dims[bias->rank - 1] == channels)));
}

static void find_carriers(pair *p, size_t port) {
    size_t found = 0;
    for (size_t i = 0; i < p->node->input_count && found < 2; i++) {
        tare_value *value = p->node->inputs[i];
        if (i != port && value != NULL && value->constant != NULL && value->use_count == 1 &&
            !value->is_output) {
            p->carriers[found++] = value;
        }
    }
}

static tare_status apply(bool *done, pair *p, const affine *a, tare_error *err) {
    tare_value *old_bias = tare_node_input(p->layer, 2);
    const bool needs_bias = a->shifts || old_bias != NULL;
    tare_value *weight = take_carrier(p, p->layer->inputs[1]);
    tare_value *bias = needs_bias ? take_carrier(p, old_bias) : NULL;
    tare_tensor *new_weight, *new_bias = NULL;

    *done = weight != NULL && (!needs_bias || bias != NULL);
    if (!*done) {
        return TARE_OK;
    }
    new_weight = scaled_weight(p, a, err);
    if (new_weight == NULL) {
        return TARE_OUT_OF_MEMORY;
    }
    if (needs_bias && (new_bias = moved_bias(p, a, err)) == NULL) {
        return TARE_OUT_OF_MEMORY;
    }
    TARE_TRY(set_layer_inputs(p, weight, bias, err));
    set_constant(weight, new_weight);
    if (bias != NULL) {
        set_constant(bias, new_bias);
    }
    p->layer->outputs[0]->producer = NULL;
    p->layer->outputs[0] = p->node->outputs[0];
    p->layer->outputs[0]->producer = p->layer;
    p->layer->outputs[0]->producer_port = 0;
    return TARE_OK;
}

static tare_status try_node(bool *done, tare_graph *graph, tare_node *node, const bool *keep,
                            tare_error *err) {
    const size_t port = layer_port(node);
    pair p = {.graph = graph, .node = node};
    affine a = {.channels = 0};

    *done = false;
    if (port == SIZE_MAX || node->output_count == 0) {
        return TARE_OK;
    }
    p.layer = node->inputs[port]->producer;
    if (!can_fold(&p, keep)) {
        return TARE_OK;
    }
    a.channels = p.layer->outputs[0]->dims[1];
    a.factor = tare_arena_array(&graph->arena, (size_t)a.channels, sizeof *a.factor);
    a.shift = tare_arena_array(&graph->arena, (size_t)a.channels, sizeof *a.shift);
    if (a.factor == NULL || a.shift == NULL) {
        return tare_fail_memory(err, (size_t)a.channels * sizeof *a.factor, "scales and shifts");
    }
    if (!read_affine(&a, node, port)) {
        return TARE_OK;
    }
    find_carriers(&p, port);
    return apply(done, &p, &a, err);
}

tare_status tare_pass_fold_batch_norm(size_t *folded, tare_graph *graph, const bool *keep,
                                      tare_error *err) {
    bool *drop = calloc(graph->node_count + 1, sizeof *drop);
    bool *live = calloc(graph->node_count + 1, sizeof *live);
    tare_status status = TARE_OK;

    *folded = 0;
    if (drop == NULL || live == NULL) {
        free(drop);
        free(live);
        return tare_fail_memory(err, graph->node_count, "marking nodes");
    }
    TARE_TRY_DONE(status, tare_graph_index_uses(graph, err));
    TARE_TRY_DONE(status, tare_pass_live(live, graph, err));
    /* In order, so that a chain behind one layer folds node by node. The uses of carriers change
     * hands from a node to the layer and stay single. */
    for (size_t i = 0; i < graph->node_count; i++) {
        if (live[i]) { /* the others are not inferred */
            TARE_TRY_DONE(status, try_node(&drop[i], graph, graph->nodes[i], keep, err));
            *folded += drop[i];
        }
    }
    tare_graph_remove_nodes(graph, drop);
    status = tare_graph_index_uses(graph, err);
done:
    free(drop);
    free(live);
    return status;
}
