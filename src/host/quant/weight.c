/* SPDX-License-Identifier: Apache-2.0 */
/** Following weights to their constants, and moving the elements the way the nodes between do. */
#include "quant/weight.h"

#include <string.h>

typedef tare_status (*move_fn)(tare_tensor *tensor, const tare_node *node, tare_error *err);

typedef struct move {
    const char *op_type;
    move_fn apply;
} move;

static tare_status move_nothing(tare_tensor *tensor, const tare_node *node, tare_error *err) {
    TARE_UNUSED(tensor);
    TARE_UNUSED(node);
    TARE_UNUSED(err);
    return TARE_OK;
}

static tare_status move_reshape(tare_tensor *tensor, const tare_node *node, tare_error *err) {
    const tare_value *wanted = tare_node_input(node, 1);
    const tare_attribute *zero = tare_node_attribute(node, "allowzero");
    const tare_tensor *shape = wanted == NULL ? NULL : wanted->constant;
    char text[TARE_NODE_TEXT_BYTES];
    if (shape == NULL || shape->rank != 1 || shape->dims[0] > TARE_MAX_RANK) {
        return tare_fail(err, TARE_UNSUPPORTED, "%s: a weight is reshaped to an unknown shape",
                         tare_node_text(text, sizeof(text), node));
    }
    int64_t dims[TARE_MAX_RANK];
    const int rank = (int)shape->dims[0];
    int open = -1;
    for (int i = 0; i < rank; i++) {
        dims[i] = tare_tensor_int_at(shape, i);
        if (dims[i] == 0 && (zero == NULL || zero->i == 0) && i < tensor->rank) {
            dims[i] = tensor->dims[i];
        }
        if (dims[i] == -1 && open < 0) {
            open = i;
            dims[i] = 1;
        }
    }
    const int64_t count = tare_tensor_count(tensor);
    const int64_t given = tare_dims_count(rank, dims);
    if (open >= 0 && given > 0 && count % given == 0) {
        dims[open] = count / given;
    }
    if (tare_dims_count(rank, dims) != count) {
        char had[TARE_DIMS_TEXT_BYTES];
        char want[TARE_DIMS_TEXT_BYTES];
        return tare_fail(err, TARE_INVALID_MODEL, "%s: cannot reshape %s to %s",
                         tare_node_text(text, sizeof(text), node),
                         tare_dims_text(had, sizeof(had), tensor->rank, tensor->dims),
                         tare_dims_text(want, sizeof(want), rank, dims));
    }
    tensor->rank = rank;
    memcpy(tensor->dims, dims, sizeof(dims[0]) * (size_t)rank);
    return TARE_OK;
}

/* Reads the permutation of a Transpose; without the attribute axes are reversed. */
static bool permutation_read(int *perm, const tare_node *node, int rank) {
    const tare_attribute *attribute = tare_node_attribute(node, "perm");
    bool seen[TARE_MAX_RANK] = {false};
    if (attribute != NULL && attribute->count != (size_t)rank) {
        return false;
    }
    for (int i = 0; i < rank; i++) {
        const int64_t axis = attribute == NULL ? rank - 1 - i : attribute->ints[i];
        if (axis < 0 || axis >= rank || seen[axis]) {
            return false;
        }
        seen[axis] = true;
        perm[i] = (int)axis;
    }
    return true;
}

static tare_status move_transpose(tare_tensor *tensor, const tare_node *node, tare_error *err) {
    int perm[TARE_MAX_RANK] = {0};
    char text[TARE_NODE_TEXT_BYTES];
    if (!permutation_read(perm, node, tensor->rank)) {
        return tare_fail(err, TARE_INVALID_MODEL, "%s: perm is not a permutation of %d axes",
                         tare_node_text(text, sizeof(text), node), tensor->rank);
    }
    int64_t stride[TARE_MAX_RANK] = {0};
    int64_t dims[TARE_MAX_RANK] = {0};
    int64_t step[TARE_MAX_RANK] = {0};
    int64_t index[TARE_MAX_RANK] = {0};
    int64_t running = 1;
    for (int i = tensor->rank - 1; i >= 0; i--) {
        stride[i] = running;
        running *= tensor->dims[i];
    }
    for (int i = 0; i < tensor->rank; i++) {
        dims[i] = tensor->dims[perm[i]];
        step[i] = stride[perm[i]];
    }
    tare_tensor moved;
    TARE_TRY(tare_tensor_init(&moved, tensor->dtype, tensor->rank, dims, err));
    const size_t size = tare_dtype_bytes(tensor->dtype);
    const char *from = tensor->data;
    char *to = tare_tensor_elements(&moved);
    const int64_t count = tare_tensor_count(&moved);
    int64_t source = 0;
    for (int64_t k = 0; k < count; k++) {
        memcpy(to + (size_t)k * size, from + (size_t)source * size, size);
        for (int i = tensor->rank - 1; i >= 0; i--) {
            source += step[i];
            if (++index[i] < dims[i]) {
                break;
            }
            source -= step[i] * dims[i];
            index[i] = 0;
        }
    }
    tare_tensor_release(tensor);
    *tensor = moved;
    return TARE_OK;
}

static const move moves[] = {
    {"Identity", move_nothing},
    {"Reshape", move_reshape},
    {"Transpose", move_transpose},
};

static const move *move_find(const tare_node *node) {
    for (size_t i = 0; i < sizeof(moves) / sizeof(moves[0]); i++) {
        if (node->domain[0] == '\0' && strcmp(node->op_type, moves[i].op_type) == 0) {
            return &moves[i];
        }
    }
    return NULL;
}

/* The tensor of a value that is a constant by itself, or NULL. */
static const tare_tensor *constant_tensor(const tare_value *value) {
    const tare_node *node = value->producer;
    if (value->constant != NULL) {
        return value->constant;
    }
    if (node == NULL || node->domain[0] != '\0' || strcmp(node->op_type, "Constant") != 0) {
        return NULL;
    }
    const tare_attribute *attribute = tare_node_attribute(node, "value");
    return attribute == NULL ? NULL : attribute->tensor;
}

/* Walks up from a value; returns how many nodes were passed, or -1 when no constant is above. */
static int chain_walk(const tare_node **passed, const tare_tensor **root, const tare_value *value) {
    int count = 0;
    *root = NULL;
    while (value != NULL && count < TARE_WEIGHT_MAX_CHAIN) {
        *root = constant_tensor(value);
        if (*root != NULL) {
            return count;
        }
        const tare_node *node = value->producer;
        if (node == NULL || move_find(node) == NULL) {
            return -1;
        }
        if (strcmp(node->op_type, "Reshape") == 0 &&
            (tare_node_input(node, 1) == NULL || tare_node_input(node, 1)->constant == NULL)) {
            return -1;
        }
        passed[count++] = node;
        value = tare_node_input(node, 0);
    }
    return -1;
}

bool tare_weight_is_constant(const tare_value *value) {
    const tare_node *passed[TARE_WEIGHT_MAX_CHAIN];
    const tare_tensor *root;
    return chain_walk(passed, &root, value) >= 0;
}

tare_status tare_weight_load(tare_tensor *out, const tare_value *value, tare_error *err) {
    const tare_node *passed[TARE_WEIGHT_MAX_CHAIN];
    const tare_tensor *root;
    const int count = chain_walk(passed, &root, value);
    if (count < 0) {
        return tare_fail(err, TARE_UNSUPPORTED, "tensor '%s' is not a constant", value->name);
    }
    tare_tensor_share(out, root);
    for (int i = count - 1; i >= 0; i--) {
        const tare_status status = move_find(passed[i])->apply(out, passed[i], err);
        if (status != TARE_OK) {
            tare_tensor_release(out);
            return status;
        }
    }
    return TARE_OK;
}
