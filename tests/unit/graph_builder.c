/* SPDX-License-Identifier: Apache-2.0 */
/** Graphs built by hand, in one line per value or node. */
#include "graph_builder.h"

#include <criterion/criterion.h>
#include <stdarg.h>
#include <string.h>

void build_graph(tare_graph *graph, int64_t opset) {
    tare_graph_init(graph);
    graph->opsets = tare_arena_alloc(&graph->arena, sizeof *graph->opsets);
    graph->opsets[0] = (tare_opset){.domain = "", .version = opset};
    graph->opset_count = 1;
    graph->ir_version = 4;
}

static size_t list_length(const int64_t *list) {
    size_t length = 0;
    while (list[length] != END) {
        length++;
    }
    return length;
}

static void append(tare_graph *graph, tare_value ***list, size_t *count, tare_value *value) {
    tare_value **grown = tare_arena_array(&graph->arena, *count + 1, sizeof *grown);
    if (*count > 0) {
        memcpy(grown, *list, *count * sizeof *grown);
    }
    grown[(*count)++] = value;
    *list = grown;
}

tare_value *build_input(tare_graph *graph, const char *name, tare_dtype dtype,
                        const int64_t *dims) {
    tare_error err;
    tare_value *value;
    cr_assert_eq(tare_graph_add_value(&value, graph, name, &err), TARE_OK);
    value->dtype = dtype;
    value->rank = (int)list_length(dims);
    value->is_input = true;
    memcpy(value->dims, dims, (size_t)value->rank * sizeof *dims);
    append(graph, &graph->inputs, &graph->input_count, value);
    return value;
}

void build_dim_name(tare_graph *graph, tare_value *input, int axis, const char *name) {
    input->dim_names[axis] = tare_arena_strdup(&graph->arena, name);
}

tare_value *build_ints(tare_graph *graph, const char *name, const int64_t *numbers) {
    const int64_t count = (int64_t)list_length(numbers);
    tare_tensor tensor;
    tare_error err;
    tare_value *value;
    cr_assert_eq(tare_tensor_init(&tensor, TARE_DTYPE_INT64, 1, &count, &err), TARE_OK);
    memcpy(tare_tensor_elements(&tensor), numbers, (size_t)count * sizeof *numbers);
    cr_assert_eq(tare_graph_add_initializer(&value, graph, name, &tensor, &err), TARE_OK);
    tare_tensor_release(&tensor);
    return value;
}

tare_value *build_floats(tare_graph *graph, const char *name, double start, double step,
                         const int64_t *dims) {
    tare_tensor tensor;
    tare_error err;
    tare_value *value;
    cr_assert_eq(tare_tensor_init(&tensor, TARE_DTYPE_FLOAT, (int)list_length(dims), dims, &err),
                 TARE_OK);
    for (int64_t i = 0; i < tare_tensor_count(&tensor); i++) {
        ((float *)tare_tensor_elements(&tensor))[i] = (float)(start + step * (double)i);
    }
    cr_assert_eq(tare_graph_add_initializer(&value, graph, name, &tensor, &err), TARE_OK);
    tare_tensor_release(&tensor);
    return value;
}

tare_node *build_node(tare_graph *graph, const char *op_type, const char *output, int count, ...) {
    tare_value *inputs[16], *value;
    tare_error err;
    tare_node *node;
    va_list args;
    tare_node_spec spec = {.op_type = op_type,
                           .name = output,
                           .inputs = inputs,
                           .input_count = (size_t)count,
                           .outputs = &value,
                           .output_count = 1};
    va_start(args, count);
    for (int i = 0; i < count; i++) {
        inputs[i] = va_arg(args, tare_value *);
    }
    va_end(args);
    cr_assert_eq(tare_graph_add_value(&value, graph, output, &err), TARE_OK);
    cr_assert_eq(tare_graph_add_node(&node, graph, &spec, SIZE_MAX, &err), TARE_OK);
    return node;
}

tare_value *build_more(tare_graph *graph, tare_node *node, const char *output) {
    tare_error err;
    tare_value *value;
    cr_assert_eq(tare_graph_add_value(&value, graph, output, &err), TARE_OK);
    append(graph, &node->outputs, &node->output_count, value);
    value->producer = node;
    value->producer_port = node->output_count - 1;
    return value;
}

static void add_attribute(tare_graph *graph, tare_node *node, const tare_attribute *attribute) {
    tare_attribute *grown =
        tare_arena_array(&graph->arena, node->attribute_count + 1, sizeof *grown);
    memcpy(grown, node->attributes, node->attribute_count * sizeof *grown);
    cr_assert(tare_graph_copy_attribute(&grown[node->attribute_count++], graph, attribute));
    node->attributes = grown;
}

void build_int(tare_graph *graph, tare_node *node, const char *name, int64_t value) {
    add_attribute(graph, node,
                  &(tare_attribute){.name = name, .type = TARE_ATTRIBUTE_INT, .i = value});
}

void build_float(tare_graph *graph, tare_node *node, const char *name, float value) {
    add_attribute(graph, node,
                  &(tare_attribute){.name = name, .type = TARE_ATTRIBUTE_FLOAT, .f = value});
}

void build_text(tare_graph *graph, tare_node *node, const char *name, const char *value) {
    add_attribute(
        graph, node,
        &(tare_attribute){
            .name = name, .type = TARE_ATTRIBUTE_STRING, .s = value, .s_length = strlen(value)});
}

void build_list(tare_graph *graph, tare_node *node, const char *name, const int64_t *numbers) {
    add_attribute(graph, node,
                  &(tare_attribute){.name = name,
                                    .type = TARE_ATTRIBUTE_INTS,
                                    .count = list_length(numbers),
                                    .ints = numbers});
}

void build_output(tare_graph *graph, tare_value *value) {
    value->is_output = true;
    append(graph, &graph->outputs, &graph->output_count, value);
}
