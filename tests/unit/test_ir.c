/* SPDX-License-Identifier: Apache-2.0 */
/** Tensors and graphs: sizes, edits, sorting, cloning. */
#include <criterion/criterion.h>
#include <stdio.h>
#include <string.h>

#include "ir/graph.h"

static tare_value *value_of(tare_graph *g, const char *name) {
    tare_value *value = tare_graph_find_value(g, name);
    if (value == NULL) {
        cr_assert_eq(tare_graph_add_value(&value, g, name, NULL), TARE_OK);
    }
    return value;
}

static tare_node *add(tare_graph *g, const char *in, const char *out) {
    tare_value *inputs[1] = {value_of(g, in)}, *outputs[1] = {value_of(g, out)};
    const tare_node_spec spec = {.op_type = "Relu",
                                 .name = out,
                                 .inputs = inputs,
                                 .input_count = 1,
                                 .outputs = outputs,
                                 .output_count = 1};
    tare_node *node = NULL;
    cr_assert_eq(tare_graph_add_node(&node, g, &spec, SIZE_MAX, NULL), TARE_OK);
    return node;
}

Test(tensor, sizes_are_checked) {
    const int64_t huge[3] = {1LL << 40, 1LL << 30, 4}, negative[1] = {-1}, zero[2] = {1LL << 62, 0},
                  some[2] = {3, 5};
    tare_tensor tensor;
    tare_error err;
    size_t bytes;
    cr_assert_eq(tare_dims_count(3, huge), -1);
    cr_assert_eq(tare_dims_count(1, negative), -1);
    cr_assert_eq(tare_dims_count(2, zero), 0);
    cr_assert_eq(tare_dims_count(0, NULL), 1);
    cr_assert(tare_dims_bytes(&bytes, TARE_DTYPE_INT4, 2, some));
    cr_assert_eq(bytes, 8, "15 elements of 4 bits");
    cr_assert_not(tare_dims_bytes(&bytes, TARE_DTYPE_STRING, 2, some));
    cr_assert_eq(tare_tensor_init(&tensor, TARE_DTYPE_FLOAT, 3, huge, &err), TARE_INVALID_ARGUMENT);
    cr_assert_not_null(strstr(err.text, "float32"));
    cr_assert_eq(tare_tensor_init(&tensor, TARE_DTYPE_INT16, 2, some, &err), TARE_OK);
    ((int16_t *)tare_tensor_elements(&tensor))[14] = -7;
    cr_assert_eq(tare_tensor_int_at(&tensor, 14), -7);
    tare_tensor_release(&tensor);
    tare_tensor_release(&tensor);
}

static void count_release(void *owner) {
    ++*(int *)owner;
}

Test(tensor, shared_buffers_are_released_once) {
    int released = 0;
    static const float data[4];
    tare_tensor a = {.dtype = TARE_DTYPE_FLOAT, .rank = 1, .dims = {4}}, b;
    a.buffer = tare_buffer_wrap(data, sizeof data, count_release, &released);
    a.data = data;
    tare_tensor_share(&b, &a);
    tare_tensor_release(&a);
    cr_assert_eq(released, 0);
    tare_tensor_release(&b);
    cr_assert_eq(released, 1);
}

Test(graph, sort_puts_producers_first_and_keeps_file_order_otherwise) {
    tare_graph g;
    tare_graph_init(&g);
    add(&g, "c", "d");
    add(&g, "a", "b");
    add(&g, "x", "y");
    add(&g, "b", "c");
    cr_assert_eq(tare_graph_sort(&g, NULL), TARE_OK);
    cr_assert_str_eq(g.nodes[0]->name, "b");
    cr_assert_str_eq(g.nodes[1]->name, "c");
    cr_assert_str_eq(g.nodes[2]->name, "d");
    cr_assert_str_eq(g.nodes[3]->name, "y");
    for (size_t i = 0; i < 4; i++) {
        cr_assert_eq(g.nodes[i]->id, i);
    }
    tare_graph_release(&g);
    cr_assert_eq(tare_graph_sort(&g, NULL), TARE_OK, "an empty graph, after release too");
    tare_graph_release(&g);
}

Test(graph, a_cycle_names_a_node_on_it) {
    tare_graph g;
    tare_error err;
    tare_graph_init(&g);
    add(&g, "z", "a");
    add(&g, "b", "c");
    add(&g, "c", "b");
    cr_assert_eq(tare_graph_sort(&g, &err), TARE_INVALID_MODEL);
    cr_assert(strstr(err.text, "'b'") != NULL || strstr(err.text, "'c'") != NULL, "%s", err.text);
    tare_graph_release(&g);
}

Test(graph, a_hundred_thousand_nodes_in_reverse_order_are_sorted) {
    enum { COUNT = 100000 };
    char from[32], to[32];
    tare_graph g;
    tare_graph_init(&g);
    for (int i = COUNT; i > 0; i--) {
        snprintf(from, sizeof from, "v%d", i - 1);
        snprintf(to, sizeof to, "v%d", i);
        add(&g, from, to);
    }
    cr_assert_eq(tare_graph_sort(&g, NULL), TARE_OK);
    cr_assert_str_eq(g.nodes[0]->name, "v1");
    cr_assert_str_eq(g.nodes[COUNT - 1]->name, "v100000");
    tare_graph_release(&g);
}

Test(graph, duplicate_names_and_producers_are_refused) {
    tare_graph g;
    tare_error err;
    tare_value *value, *outputs[1];
    tare_node *node;
    tare_graph_init(&g);
    add(&g, "a", "b");
    cr_assert_eq(tare_graph_add_value(&value, &g, "b", &err), TARE_INVALID_MODEL);
    cr_assert_not_null(strstr(err.text, "'b'"));
    cr_assert_eq(tare_graph_add_value(&value, &g, "", &err), TARE_INVALID_MODEL);
    outputs[0] = value_of(&g, "b");
    const tare_node_spec spec = {
        .op_type = "Relu", .name = "n", .outputs = outputs, .output_count = 1};
    cr_assert_eq(tare_graph_add_node(&node, &g, &spec, SIZE_MAX, &err), TARE_INVALID_MODEL);
    cr_assert_not_null(strstr(err.text, "produced twice"));
    tare_graph_release(&g);
}

Test(graph, clones_are_independent_and_keep_ids) {
    tare_graph g, copy;
    const int64_t dims[1] = {2};
    tare_tensor tensor;
    tare_value *weight;
    tare_graph_init(&g);
    cr_assert_eq(tare_tensor_init(&tensor, TARE_DTYPE_FLOAT, 1, dims, NULL), TARE_OK);
    add(&g, "a", "b");
    cr_assert_eq(tare_graph_add_initializer(&weight, &g, "w", &tensor, NULL), TARE_OK);
    tare_tensor_release(&tensor);
    add(&g, "b", "c");
    cr_assert_eq(tare_graph_clone(&copy, &g, NULL), TARE_OK);
    cr_assert_eq(copy.value_count, g.value_count);
    for (size_t i = 0; i < g.value_count; i++) {
        cr_assert_str_eq(copy.values[i]->name, g.values[i]->name);
        cr_assert_neq(copy.values[i], g.values[i]);
    }
    cr_assert_eq(copy.values[weight->id]->constant->data, weight->constant->data,
                 "contents are shared");
    tare_graph_remove_node(&copy, copy.nodes[0]);
    cr_assert_eq(copy.node_count, 1);
    cr_assert_null(tare_graph_find_value(&copy, "b")->producer);
    cr_assert_eq(g.node_count, 2);
    cr_assert_eq(tare_graph_index_uses(&g, NULL), TARE_OK);
    cr_assert_eq(value_of(&g, "b")->use_count, 1);
    cr_assert_eq(value_of(&g, "b")->uses[0].node, g.nodes[1]);
    tare_graph_release(&g);
    cr_assert_eq(tare_tensor_count(tare_graph_find_value(&copy, "w")->constant), 2);
    tare_graph_release(&copy);
}
