/* SPDX-License-Identifier: Apache-2.0 */
/** Building and describing small networks for tests of placement. */
#include "quant_net.h"

#include <criterion/criterion.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

static const int64_t map_dims[4] = {1, 8, 8, 8};

void quant_net_init(quant_net *net) {
    *net = (quant_net){.constants = 0};
    tare_graph_init(&net->graph);
    tare_arena_init(&net->arena);
    net->graph.opsets = tare_arena_array(&net->graph.arena, 1, sizeof(tare_opset));
    cr_assert_not_null(net->graph.opsets);
    net->graph.opsets[0] = (tare_opset){"", 13};
    net->graph.opset_count = 1;
}

void quant_net_release(quant_net *net) {
    tare_arena_release(&net->arena);
    tare_graph_release(&net->graph);
}

static tare_value *value_new(quant_net *net, const char *name) {
    tare_value *value = NULL;
    tare_error err;
    cr_assert_eq(tare_graph_add_value(&value, &net->graph, name, &err), TARE_OK, "%s", err.text);
    value->dtype = TARE_DTYPE_FLOAT;
    value->is_tensor_type = true;
    value->rank = 4;
    memcpy(value->dims, map_dims, sizeof(map_dims));
    return value;
}

static void value_list(quant_net *net, tare_value ***list, size_t *count, tare_value *value) {
    tare_value **grown = tare_arena_array(&net->graph.arena, *count + 1, sizeof(tare_value *));
    cr_assert_not_null(grown);
    if (*count > 0) {
        memcpy(grown, *list, *count * sizeof(tare_value *));
    }
    grown[(*count)++] = value;
    *list = grown;
}

tare_value *quant_net_input(quant_net *net, const char *name) {
    tare_value *value = value_new(net, name);
    value->is_input = true;
    value_list(net, &net->graph.inputs, &net->graph.input_count, value);
    return value;
}

void quant_net_output(quant_net *net, tare_value *value) {
    value->is_output = true;
    value_list(net, &net->graph.outputs, &net->graph.output_count, value);
}

tare_value *quant_net_constant(quant_net *net, int rank, const int64_t *dims) {
    char name[32];
    tare_tensor tensor;
    tare_value *value = NULL;
    tare_error err;
    cr_assert_eq(tare_tensor_init(&tensor, TARE_DTYPE_FLOAT, rank, dims, &err), TARE_OK);
    float *elements = tare_tensor_elements(&tensor);
    for (int64_t i = 0; i < tare_tensor_count(&tensor); i++) {
        elements[i] = i % 2 == 0 ? 1.0F : -1.0F;
    }
    snprintf(name, sizeof(name), "constant_%d", net->constants++);
    cr_assert_eq(tare_graph_add_initializer(&value, &net->graph, name, &tensor, &err), TARE_OK);
    tare_tensor_release(&tensor);
    return value;
}

tare_value *quant_net_scalar(quant_net *net) {
    return quant_net_constant(net, 0, NULL);
}

static tare_value *node_add(quant_net *net, const char *name, const char *op_type,
                            tare_value **inputs, size_t count, const tare_attribute *attribute) {
    tare_value *output = value_new(net, name);
    tare_node *node = NULL;
    tare_error err;
    const tare_node_spec spec = {.op_type = op_type,
                                 .domain = "",
                                 .name = name,
                                 .inputs = inputs,
                                 .input_count = count,
                                 .outputs = &output,
                                 .output_count = 1,
                                 .attributes = attribute,
                                 .attribute_count = attribute == NULL ? 0 : 1};
    cr_assert_eq(tare_graph_add_node(&node, &net->graph, &spec, SIZE_MAX, &err), TARE_OK, "%s",
                 err.text);
    return output;
}

tare_value *quant_net_op(quant_net *net, const char *name, const char *op_type, ...) {
    tare_value *inputs[8];
    size_t count = 0;
    va_list list;
    va_start(list, op_type);
    for (tare_value *value = va_arg(list, tare_value *); value != NULL;
         value = va_arg(list, tare_value *)) {
        cr_assert_lt(count, 8);
        inputs[count++] = value;
    }
    va_end(list);
    return node_add(net, name, op_type, inputs, count, NULL);
}

tare_value *quant_net_conv(quant_net *net, const char *name, tare_value *input, int64_t group) {
    const int64_t dims[4] = {8, 8 / group, 3, 3};
    const tare_attribute attribute = {.name = "group", .type = TARE_ATTRIBUTE_INT, .i = group};
    tare_value *inputs[2] = {input, quant_net_constant(net, 4, dims)};
    return node_add(net, name, "Conv", inputs, 2, &attribute);
}

const char *quant_net_describe(quant_net *net, const tare_placement_options *options) {
    static char text[2048];
    tare_error err = {TARE_OK, ""};
    size_t at = 0;
    bool weights = false;
    text[0] = '\0';
    if (tare_quantizer_setup_build(&net->setup, &net->arena, &net->graph, &tare_target_openvino,
                                   options, &err) != TARE_OK) {
        return memcpy(text, err.text, sizeof(err.text));
    }
    for (size_t i = 0; i < net->setup.point_count; i++) {
        const tare_quantizer_point *point = &net->setup.points[i];
        const bool weight = point->kind == TARE_POINT_WEIGHT;
        at += (size_t)snprintf(text + at, sizeof(text) - at, "%s%s%s%s", at == 0 ? "" : " ",
                               weight && !weights ? "| " : "",
                               weight ? point->consumers[0].node->name : point->value->name,
                               point->config.per_channel ? "*" : "");
        weights |= weight;
        if (weight) {
            at +=
                (size_t)snprintf(text + at, sizeof(text) - at, "%s", point->half_range ? "/2" : "");
            continue;
        }
        at += (size_t)snprintf(text + at, sizeof(text) - at, "%s",
                               point->config.symmetric ? "" : "?");
        if (point->group != TARE_NO_GROUP) {
            at += (size_t)snprintf(text + at, sizeof(text) - at, "=%zu", point->group);
        }
        for (size_t k = 0; k < point->consumer_count; k++) {
            at += (size_t)snprintf(text + at, sizeof(text) - at, "%s%s:%zu", k == 0 ? "(" : ",",
                                   point->consumers[k].node->name, point->consumers[k].port);
        }
        at += (size_t)snprintf(text + at, sizeof(text) - at, ")");
    }
    return text;
}
