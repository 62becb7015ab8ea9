/* SPDX-License-Identifier: Apache-2.0 */
/** Raising opsets: what is rewritten, what stays, what is refused. Results are compared in
 * tests/node/compare_upgrade.py. */
#include <criterion/criterion.h>
#include <string.h>

#include "graph_builder.h"
#include "ops/op.h"
#include "ops/rank.h"
#include "ops/upgrade.h"

#define F TARE_DTYPE_FLOAT

static tare_graph graph;
static tare_error err;

static void release(void) {
    tare_graph_release(&graph);
}

TestSuite(upgrade, .fini = release);

static void expect_upgraded(void) {
    cr_assert_eq(tare_graph_upgrade(&graph, 13, &err), TARE_OK, "%s", err.text);
    cr_assert_eq(tare_graph_opset(&graph, ""), 13);
    cr_assert_eq(graph.ir_version, 7);
    /* Every rewritten form must be one that the operator table knows in opset 13. */
    cr_assert_eq(tare_ops_resolve(&graph, &err), TARE_OK, "%s", err.text);
    for (size_t i = 0; i < graph.node_count; i++) {
        cr_assert_eq(tare_op_infer(&graph, graph.nodes[i], &err), TARE_OK, "%s", err.text);
    }
}

Test(upgrade, lists_become_initializers_and_untouched_nodes_keep_their_origin) {
    static const int origin = 0;
    build_graph(&graph, 9);
    tare_value *x = build_input(&graph, "x", F, DIMS(2, 6));
    tare_value *taken = build_ints(&graph, "y_starts", DIMS(7));
    tare_node *relu = build_node(&graph, "Relu", "r", 1, x);
    tare_node *slice = build_node(&graph, "Slice", "y", 1, relu->outputs[0]);
    tare_node *clip = build_node(&graph, "Clip", "z", 1, slice->outputs[0]);
    build_list(&graph, slice, "starts", DIMS(1));
    build_list(&graph, slice, "ends", DIMS(4));
    build_list(&graph, slice, "axes", DIMS(1));
    build_float(&graph, clip, "max", 6.0F);
    relu->origin = slice->origin = clip->origin = &origin;
    expect_upgraded();
    cr_assert_eq(relu->origin, &origin);
    cr_assert_null(slice->origin);
    cr_assert_null(clip->origin);
    cr_assert_eq(slice->input_count, 4);
    cr_assert_neq(slice->inputs[1], taken);
    cr_assert_str_eq(slice->inputs[1]->name, "y_starts_2");
    cr_assert_str_eq(slice->inputs[2]->name, "y_ends");
    cr_assert(slice->inputs[2]->is_initializer);
    cr_assert_eq(slice->attribute_count, 0);
    cr_assert_eq(slice->outputs[0]->dims[1], 3);
    cr_assert_eq(clip->input_count, 3);
    cr_assert_null(clip->inputs[1]);
    cr_assert_eq(clip->inputs[2]->rank, 0);
    cr_assert_eq(clip->inputs[2]->dtype, F);
}

Test(upgrade, softmax_is_wrapped_only_where_its_axis_is_not_the_last) {
    build_graph(&graph, 11);
    tare_value *x = build_input(&graph, "x", F, DIMS(2, 3, 4));
    tare_node *wrapped = build_node(&graph, "Softmax", "y", 1, x);
    tare_node *flat = build_node(&graph, "Flatten", "f", 1, wrapped->outputs[0]);
    tare_node *plain = build_node(&graph, "LogSoftmax", "z", 1, flat->outputs[0]);
    expect_upgraded();
    cr_assert_eq(graph.node_count, 6);
    cr_assert_str_eq(graph.nodes[0]->op_type, "Shape");
    cr_assert_str_eq(graph.nodes[1]->op_type, "Flatten");
    cr_assert_eq(graph.nodes[2], wrapped);
    cr_assert_str_eq(graph.nodes[3]->op_type, "Reshape");
    cr_assert_str_eq(graph.nodes[3]->outputs[0]->name, "y");
    cr_assert_eq(flat->inputs[0], graph.nodes[3]->outputs[0]);
    cr_assert_eq(tare_node_attribute(plain, "axis")->i, 1);
    cr_assert_eq(plain->inputs[0], flat->outputs[0]);
}

Test(upgrade, ranks_follow_shape_arithmetic) {
    int ranks[16];
    build_graph(&graph, 11);
    tare_value *x = build_input(&graph, "x", F, DIMS(-1, 8, 4, 4));
    tare_node *shape = build_node(&graph, "Shape", "s", 1, x);
    tare_node *batch =
        build_node(&graph, "Slice", "b", 3, shape->outputs[0], build_ints(&graph, "from", DIMS(0)),
                   build_ints(&graph, "to", DIMS(1)));
    tare_node *to = build_node(&graph, "Concat", "t", 2, batch->outputs[0],
                               build_ints(&graph, "rest", DIMS(-1, 4)));
    tare_node *y = build_node(&graph, "Reshape", "y", 2, x, to->outputs[0]);
    tare_node *mean = build_node(&graph, "ReduceMean", "m", 1, y->outputs[0]);
    build_list(&graph, mean, "axes", DIMS(1));
    build_int(&graph, mean, "keepdims", 0);
    tare_node *odd = build_node(&graph, "Mystery", "o", 1, y->outputs[0]);
    cr_assert_eq(tare_graph_ranks(ranks, &graph, &err), TARE_OK);
    cr_assert_eq(ranks[y->outputs[0]->id], 3);
    cr_assert_eq(ranks[mean->outputs[0]->id], 2);
    cr_assert_eq(ranks[odd->outputs[0]->id], -1);
}

Test(upgrade, what_has_no_equivalent_is_refused_by_name) {
    const tare_attribute body = {.name = "body", .type = TARE_ATTRIBUTE_GRAPH};
    build_graph(&graph, 8);
    tare_value *x = build_input(&graph, "x", F, DIMS(2, 3));
    tare_node *norm = build_node(&graph, "BatchNormalization", "bn", 5, x, x, x, x, x);
    build_int(&graph, norm, "spatial", 0);
    cr_assert_eq(tare_graph_upgrade(&graph, 13, &err), TARE_UNSUPPORTED);
    cr_assert_str_eq(err.text, "node 'bn' (BatchNormalization): spatial is 0");
    norm->op_type = "Loop";
    norm->attributes[0] = body;
    cr_assert_eq(tare_graph_upgrade(&graph, 13, &err), TARE_UNSUPPORTED);
    cr_assert_not_null(strstr(err.text, "node 'bn' (Loop): a node with subgraphs"));
    cr_assert_eq(tare_graph_upgrade(&graph, 14, &err), TARE_INVALID_ARGUMENT);
    graph.opsets[0].version = 6;
    cr_assert_eq(tare_graph_upgrade(&graph, 13, &err), TARE_UNSUPPORTED);
    graph.opsets[0].version = 17;
    cr_assert_eq(tare_graph_upgrade(&graph, 13, &err), TARE_OK);
    cr_assert_eq(graph.opsets[0].version, 17);
    cr_assert_eq(graph.ir_version, 4);
}

Test(upgrade, bounds_take_the_type_of_what_they_bound) {
    build_graph(&graph, 10);
    tare_value *x = build_input(&graph, "x", F, DIMS(2));
    tare_node *cast = build_node(&graph, "Cast", "c", 1, x);
    build_int(&graph, cast, "to", TARE_DTYPE_DOUBLE);
    tare_node *clip = build_node(&graph, "Clip", "y", 1, cast->outputs[0]);
    build_float(&graph, clip, "min", 1.0F);
    /* The file does not say the type, and float32 would be a guess. */
    cr_assert_eq(tare_graph_upgrade(&graph, 13, &err), TARE_UNSUPPORTED);
    clip->outputs[0]->dtype = TARE_DTYPE_DOUBLE;
    expect_upgraded();
    cr_assert_eq(clip->inputs[1]->dtype, TARE_DTYPE_DOUBLE);
    cr_assert_float_eq(tare_tensor_float_at(clip->inputs[1]->constant, 0), 1.0, 0.0);
}
