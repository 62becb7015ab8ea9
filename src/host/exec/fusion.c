/* SPDX-License-Identifier: Apache-2.0 */
/** Which nodes behind a convolution or matrix product can be computed in its epilogue. */
#include <math.h>
#include <string.h>

#include "exec/plan_parts.h"
#include "ops/op.h"

static bool is_kernel(const tare_node *node, const char *kernel) {
    return node->op != NULL && strcmp(tare_op_kernel(node->op), kernel) == 0;
}

/* A value may vanish into its consumer when nothing else looks at it. */
static bool may_vanish(const tare_value *value, const bool *watched, size_t uses) {
    return value->use_count == uses && !value->is_output && !watched[value->id] &&
           value->dtype == TARE_DTYPE_FLOAT;
}

static bool same_shape(const tare_value *a, const tare_value *b) {
    return a->dtype == b->dtype && a->rank == b->rank &&
           memcmp(a->dims, b->dims, (size_t)a->rank * sizeof a->dims[0]) == 0;
}

static bool unary_epilogue(tare_epilogue *out, const tare_node *node) {
    const tare_unary_attrs *unary = node->attrs;
    if (is_kernel(node, "Relu")) {
        *out = (tare_epilogue){TARE_EPILOGUE_CLIP, 0.0F, INFINITY};
    } else if (is_kernel(node, "Clip")) {
        const tare_clip_attrs *clip = node->attrs;
        *out = (tare_epilogue){TARE_EPILOGUE_CLIP, (float)clip->min, (float)clip->max};
    } else if (is_kernel(node, "LeakyRelu")) {
        *out = (tare_epilogue){TARE_EPILOGUE_LEAKY_RELU, unary->alpha, 0.0F};
    } else if (is_kernel(node, "Sigmoid")) {
        *out = (tare_epilogue){TARE_EPILOGUE_SIGMOID, 0.0F, 0.0F};
    } else if (is_kernel(node, "Tanh")) {
        *out = (tare_epilogue){TARE_EPILOGUE_TANH, 0.0F, 0.0F};
    } else if (is_kernel(node, "HardSigmoid")) {
        *out = (tare_epilogue){TARE_EPILOGUE_HARD_SIGMOID, unary->alpha, unary->beta};
    } else if (is_kernel(node, "HardSwish")) {
        *out = (tare_epilogue){TARE_EPILOGUE_HARD_SWISH, 1.0F / 6.0F, 0.5F};
    } else {
        return false;
    }
    return true;
}

/* x -> gate -> Mul and x -> Mul, where the gate is a sigmoid of either kind. */
static bool gated_link(tare_fusion_link *link, const tare_value *x, const bool *watched) {
    const tare_node *gate = NULL;
    tare_node *mul = NULL;

    if (!may_vanish(x, watched, 2)) {
        return false;
    }
    for (size_t i = 0; i < 2; i++) {
        tare_node *node = x->uses[i].node;
        if (is_kernel(node, "Mul")) {
            mul = node;
        } else if (is_kernel(node, "Sigmoid") || is_kernel(node, "HardSigmoid")) {
            gate = node;
        }
    }
    if (gate == NULL || mul == NULL || !may_vanish(gate->outputs[0], watched, 1) ||
        (mul->inputs[0] != gate->outputs[0] && mul->inputs[1] != gate->outputs[0])) {
        return false;
    }
    *link = (tare_fusion_link){.last = mul, .node_count = 2, .absorbed = {gate, mul}};
    link->epilogue.kind = TARE_EPILOGUE_SWISH;
    if (is_kernel(gate, "HardSigmoid")) {
        const tare_unary_attrs *attrs = gate->attrs;
        link->epilogue = (tare_epilogue){TARE_EPILOGUE_HARD_SWISH, attrs->alpha, attrs->beta};
    }
    return true;
}

static bool residual_link(tare_fusion_link *link, const tare_value *x, tare_node *node) {
    tare_value *other;
    if (!is_kernel(node, "Add")) {
        return false;
    }
    other = node->inputs[0] == x ? node->inputs[1] : node->inputs[0];
    if (other == x || other == NULL || other->constant != NULL || !same_shape(other, x) ||
        !same_shape(node->outputs[0], x)) {
        return false;
    }
    *link = (tare_fusion_link){
        .last = node, .operand = other, .node_count = 1, .absorbed = {node, NULL}};
    link->epilogue.kind = TARE_EPILOGUE_ADD;
    return true;
}

static bool next_link(tare_fusion_link *link, const tare_value *x, const bool *watched) {
    tare_node *node;
    if (gated_link(link, x, watched)) {
        return true;
    }
    if (!may_vanish(x, watched, 1)) {
        return false;
    }
    node = x->uses[0].node;
    if (node->op == NULL || node->output_count < 1 || node->outputs[0] == NULL ||
        x->uses[0].port > 1) {
        return false;
    }
    if (residual_link(link, x, node)) {
        return true;
    }
    *link = (tare_fusion_link){.last = node, .node_count = 1, .absorbed = {node, NULL}};
    return x->uses[0].port == 0 && unary_epilogue(&link->epilogue, node);
}

size_t tare_plan_find_fusion(tare_fusion_link *links, const tare_node *node, const bool *watched) {
    const tare_value *x = node->outputs[0];
    size_t count = 0, adds = 0;
    while (count < TARE_MAX_EPILOGUES && x != NULL && next_link(&links[count], x, watched)) {
        /* One residual is what kernels know; a second one ends the chain. */
        adds += links[count].operand != NULL ? 1U : 0U;
        if (adds > 1) {
            break;
        }
        x = links[count].last->outputs[0];
        count++;
    }
    return count;
}
