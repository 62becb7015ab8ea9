/* SPDX-License-Identifier: Apache-2.0 */
/** Q/DQ insertion: what the graph looks like afterwards. */
#include <criterion/criterion.h>
#include <stdio.h>
#include <string.h>

#include "quant/qdq.h"
#include "quant_net.h"

static quant_net net;
static tare_error err;

static void setup(void) {
    quant_net_init(&net);
}

static void teardown(void) {
    quant_net_release(&net);
}

TestSuite(qdq, .init = setup, .fini = teardown);

#define OP(name, type, ...) tare_value *name = quant_net_op(&net, #name, type, __VA_ARGS__, NULL)

/* Places, and inserts with the range [-1, 2] everywhere. */
static tare_status insert(void) {
    static const float min[8] = {-1, -1, -1, -1, -1, -1, -1, -1};
    static const float max[8] = {2, 2, 2, 2, 2, 2, 2, 2};
    const tare_placement_options options = {.preset = TARE_PRESET_DEFAULT};
    tare_activation_range ranges[32];
    quant_net_describe(&net, &options);
    cr_assert_leq(net.setup.point_count, 32);
    for (size_t i = 0; i < net.setup.point_count; i++) {
        ranges[i] = (tare_activation_range){min, max, net.setup.points[i].channels};
    }
    return tare_qdq_insert(&net.graph, &net.setup, ranges, &err);
}

/* The operators in order, separated by spaces. */
static const char *operators(void) {
    static char text[1024];
    size_t at = 0;
    text[0] = '\0';
    for (size_t i = 0; i < net.graph.node_count; i++) {
        cr_expect_eq(net.graph.nodes[i]->id, i);
        at += (size_t)snprintf(text + at, sizeof(text) - at, "%s%s", i == 0 ? "" : " ",
                               net.graph.nodes[i]->op_type);
    }
    return text;
}

Test(qdq, activations_and_weights) {
    tare_value *x = quant_net_input(&net, "x");
    tare_value *a = quant_net_conv(&net, "a", x, 1);
    OP(r, "Relu", a);
    tare_value *b = quant_net_conv(&net, "b", r, 8);
    quant_net_output(&net, b);
    cr_assert_eq(insert(), TARE_OK, "%s", err.text);
    cr_expect_str_eq(operators(),
                     "QuantizeLinear DequantizeLinear DequantizeLinear Conv Relu QuantizeLinear "
                     "DequantizeLinear DequantizeLinear Conv");
    const tare_node *conv = b->producer;
    const tare_node *data = conv->inputs[0]->producer;
    const tare_node *weight = conv->inputs[1]->producer;
    cr_expect_str_eq(data->name, "DequantizeLinear_r_1");
    cr_expect_str_eq(data->inputs[0]->producer->name, "QuantizeLinear_r_1");
    cr_expect_eq(data->inputs[0]->producer->inputs[0], r);
    cr_expect_eq(data->inputs[0]->dtype, TARE_DTYPE_INT8);
    /* A depthwise convolution: both sides have one scale per channel. */
    cr_expect_eq(data->inputs[1]->constant->rank, 1);
    cr_expect_eq(data->inputs[1]->constant->dims[0], 8);
    cr_expect_eq(tare_node_attribute(data, "axis")->i, 1);
    cr_expect_eq(tare_node_attribute(weight, "axis")->i, 0);
    cr_expect_eq(weight->inputs[0]->constant->dtype, TARE_DTYPE_INT8);
    cr_expect_eq(tare_tensor_int_at(weight->inputs[0]->constant, 0), 127);
    cr_expect_eq(tare_tensor_int_at(weight->inputs[0]->constant, 1), -127);
    /* The first convolution uses half of the codes; its input has a single scale. */
    const tare_node *first = a->producer;
    cr_expect_eq(tare_tensor_int_at(first->inputs[1]->producer->inputs[0]->constant, 0), 64);
    cr_expect_eq(first->inputs[0]->producer->inputs[1]->constant->rank, 0);
    cr_expect_null(tare_node_attribute(first->inputs[0]->producer, "axis"));
    /* Nothing reads the float weights any more. */
    cr_expect_not(tare_graph_find_value(&net.graph, "constant_0")->is_initializer);
    cr_expect(b->is_output);
}

Test(qdq, names_that_are_taken) {
    tare_value *x = quant_net_input(&net, "x");
    tare_value *a = quant_net_conv(&net, "QuantizeLinear_x_1", x, 1);
    OP(scale_x_2, "Relu", a);
    quant_net_output(&net, scale_x_2);
    cr_assert_eq(insert(), TARE_OK, "%s", err.text);
    cr_expect_str_eq(a->producer->inputs[0]->name, "dq_output_x_3");
}

Test(qdq, shared_weights_are_stored_once) {
    const int64_t dims[4] = {8, 8, 1, 1};
    tare_value *x = quant_net_input(&net, "x");
    tare_value *w = quant_net_constant(&net, 4, dims);
    OP(a, "Conv", x, w);
    OP(b, "Conv", a, w);
    quant_net_output(&net, b);
    cr_assert_eq(insert(), TARE_OK, "%s", err.text);
    cr_expect_eq(a->producer->inputs[1], b->producer->inputs[1]);
    cr_expect_str_eq(operators(), "QuantizeLinear DequantizeLinear DequantizeLinear Conv "
                                  "QuantizeLinear DequantizeLinear Conv");
}

Test(qdq, shared_weights_with_different_axes) {
    const int64_t dims[2] = {8, 8};
    tare_value *ids = quant_net_input(&net, "ids");
    ids->dtype = TARE_DTYPE_INT64;
    tare_value *w = quant_net_constant(&net, 2, dims);
    OP(e, "Gather", w, ids);
    OP(r, "Relu", e);
    OP(m, "MatMul", r, w);
    OP(s, "Add", m, w);
    quant_net_output(&net, s);
    cr_assert_eq(insert(), TARE_OK, "%s", err.text);
    cr_expect_eq(tare_node_attribute(e->producer->inputs[0]->producer, "axis")->i, 0);
    cr_expect_eq(tare_node_attribute(m->producer->inputs[1]->producer, "axis")->i, 1);
    /* The sum takes it as a constant, which stays float. */
    cr_expect_eq(s->producer->inputs[1], w);
    cr_expect(w->is_initializer);
}

Test(qdq, weights_behind_moves) {
    const int64_t dims[2] = {4, 8};
    tare_value *x = quant_net_input(&net, "x");
    tare_value *w = quant_net_constant(&net, 2, dims);
    OP(t, "Transpose", w);
    t->rank = 2;
    t->dims[0] = 8;
    t->dims[1] = 4;
    OP(m, "MatMul", x, t);
    quant_net_output(&net, m);
    cr_assert_eq(insert(), TARE_OK, "%s", err.text);
    cr_expect_str_eq(operators(), "QuantizeLinear DequantizeLinear DequantizeLinear MatMul");
    const tare_tensor *codes = m->producer->inputs[1]->producer->inputs[0]->constant;
    cr_expect_eq(codes->dims[0], 8);
    cr_expect_eq(codes->dims[1], 4);
    /* Column i of the transposed weight has the sign of its place in the row. */
    cr_expect_eq(tare_tensor_int_at(codes, 0), 127);
    cr_expect_eq(tare_tensor_int_at(codes, 4), -127);
}

Test(qdq, idle_casts_go) {
    tare_attribute to = {.name = "to", .type = TARE_ATTRIBUTE_INT, .i = TARE_DTYPE_FLOAT};
    tare_value *x = quant_net_input(&net, "x");
    OP(k, "Cast", x);
    k->producer->attributes = &to;
    k->producer->attribute_count = 1;
    tare_value *a = quant_net_conv(&net, "a", k, 1);
    quant_net_output(&net, a);
    cr_assert_eq(insert(), TARE_OK, "%s", err.text);
    cr_expect_str_eq(operators(), "QuantizeLinear DequantizeLinear DequantizeLinear Conv");
}

Test(qdq, refusals) {
    tare_value *x = quant_net_input(&net, "x");
    tare_value *a = quant_net_conv(&net, "a", x, 1);
    quant_net_output(&net, a);
    float *elements = tare_tensor_elements(a->producer->inputs[1]->constant);
    const float saved = elements[5];
    elements[5] = (float)(1e30 * 1e30);
    cr_expect_eq(insert(), TARE_INVALID_MODEL);
    cr_expect_str_eq(err.text, "tensor 'constant_0': a weight that holds NaN or infinity");
    elements[5] = saved;
    net.graph.opsets[0].version = 12;
    cr_expect_eq(insert(), TARE_INVALID_ARGUMENT);
}
