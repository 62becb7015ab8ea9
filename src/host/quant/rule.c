/* SPDX-License-Identifier: Apache-2.0 */
/** Finding the rule of a target that a node falls under. */
#include <string.h>

#include "quant/flow.h"
#include "quant/weight.h"

static int64_t attribute_int(const tare_node *node, const char *name, int64_t otherwise) {
    const tare_attribute *attribute = tare_node_attribute(node, name);
    return attribute == NULL ? otherwise : attribute->i;
}

static bool is_always(const tare_node *node) {
    TARE_UNUSED(node);
    return true;
}

static bool is_grouped(const tare_node *node) {
    return attribute_int(node, "group", 1) != 1;
}

static bool is_depthwise(const tare_node *node) {
    const tare_value *weight = tare_node_input(node, 1);
    const int64_t group = attribute_int(node, "group", 1);
    return group > 1 && weight != NULL && weight->rank >= 2 && weight->dims[1] == 1 &&
           weight->dims[0] >= group && weight->dims[0] % group == 0 &&
           tare_weight_is_constant(weight);
}

static bool is_embedding(const tare_node *node) {
    const tare_value *table = tare_node_input(node, 0);
    return table != NULL && table->dtype == TARE_DTYPE_FLOAT && tare_weight_is_constant(table);
}

static bool (*const conditions[])(const tare_node *node) = {
    [TARE_RULE_ALWAYS] = is_always,
    [TARE_RULE_DEPTHWISE] = is_depthwise,
    [TARE_RULE_GROUPED] = is_grouped,
    [TARE_RULE_EMBEDDING] = is_embedding,
};

const tare_operator_rule *tare_rule_find(unsigned *weight_ports, const tare_target *target,
                                         const tare_node *node) {
    const tare_operator_rule *rule = &target->unknown;
    *weight_ports = 0;
    for (const tare_operator_rule *row = target->rules; row->op_type != NULL; row++) {
        if (node->domain[0] == '\0' && strcmp(row->op_type, node->op_type) == 0 &&
            conditions[row->condition](node)) {
            rule = row;
            break;
        }
    }
    for (size_t port = 0; port < 2; port++) {
        const tare_value *value = tare_node_input(node, port);
        if ((rule->weight_ports & (1U << port)) != 0 && value != NULL &&
            value->dtype == TARE_DTYPE_FLOAT && tare_weight_is_constant(value)) {
            *weight_ports |= 1U << port;
        }
    }
    return rule;
}

int tare_rule_weight_axis(const tare_operator_rule *rule, const tare_node *node, size_t port) {
    const int rank = tare_node_input(node, port)->rank;
    int axis = rule->weight_axis[port];
    if (rule->transposed[port] != NULL && attribute_int(node, rule->transposed[port], 0) != 0) {
        axis = axis == -1 ? -2 : -1;
    }
    /* A vector times a matrix sums over the vector's only axis: it has no axis of outputs. */
    if (axis < 0 && rank < 2) {
        return -1;
    }
    axis = axis < 0 ? axis + rank : axis;
    return axis >= 0 && axis < rank ? axis : -1;
}
