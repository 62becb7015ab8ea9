/* SPDX-License-Identifier: Apache-2.0 */
/** The operator table: attributes read into one form, shapes inferred, wrong models refused. */
#include <criterion/criterion.h>
#include <math.h>
#include <stdio.h>
#include <string.h>

#include "graph_builder.h"
#include "ops/op.h"

#define F TARE_DTYPE_FLOAT

static tare_graph graph;
static tare_error err;

static void begin(int64_t opset) {
    build_graph(&graph, opset);
    err.text[0] = '\0';
}

static tare_status infer(tare_node *node) {
    TARE_TRY(tare_ops_resolve(&graph, &err));
    return tare_op_infer(&graph, node, &err);
}

/* Infers a node and compares the type and shape text of an output, "float32 [1x2]". */
static void expect(tare_node *node, size_t port, const char *expected) {
    char dims[TARE_DIMS_TEXT_BYTES], text[TARE_DIMS_TEXT_BYTES + 40];
    const tare_value *value = node->outputs[port];
    cr_assert_eq(infer(node), TARE_OK, "%s", err.text);
    (void)snprintf(text, sizeof text, "%s %s", tare_dtype_text(value->dtype),
                   tare_dims_text(dims, sizeof dims, value->rank, value->dims));
    cr_assert_str_eq(text, expected);
}

static void expect_failure(tare_node *node, tare_status status, const char *part) {
    cr_assert_eq(infer(node), status, "%s", err.text);
    cr_assert_not_null(strstr(err.text, part), "'%s' is not in '%s'", part, err.text);
}

static void release(void) {
    tare_graph_release(&graph);
}

TestSuite(ops, .fini = release);

Test(ops, rows_are_found_by_opset) {
    begin(13);
    cr_assert_eq(tare_op_find("", "Slice", 9)->until, 9);
    cr_assert_eq(tare_op_find("", "Slice", 10)->since, 10);
    cr_assert_null(tare_op_find("", "Upsample", 10));
    cr_assert_null(tare_op_find("", "Gelu", 19));
    cr_assert_null(tare_op_find("com.example", "Conv", 13));
    cr_assert_str_eq(tare_op_kernel(tare_op_find("", "Flatten", 13)), "Reshape");
    cr_assert_str_eq(tare_op_kernel(tare_op_find("", "GlobalAveragePool", 13)), "AveragePool");
    cr_assert_str_eq(tare_op_kernel(tare_op_find("", "Conv", 13)), "Conv");
}

Test(ops, attributes_are_checked) {
    begin(13);
    tare_value *x = build_input(&graph, "x", F, DIMS(2, 3));
    tare_node *node = build_node(&graph, "Softmax", "y", 1, x);
    build_int(&graph, node, "axes", 1);
    expect_failure(node, TARE_INVALID_MODEL, "node 'y' (Softmax): the operator has no attribute");
    node->attribute_count = 0;
    build_float(&graph, node, "axis", 1.0F);
    expect_failure(node, TARE_INVALID_MODEL, "attribute 'axis' has the type number 1, expected 2");
    node->attribute_count = 0;
    expect(node, 0, "float32 [2x3]");
    cr_assert_eq(((tare_axis_attrs *)node->attrs)->axis, 1);
    node->input_count = 0;
    expect_failure(node, TARE_INVALID_MODEL, "has 0 inputs, expected 1 to 1");
}

Test(ops, opsets_out_of_range_and_unknown_operators) {
    begin(6);
    tare_value *x = build_input(&graph, "x", F, DIMS(2));
    tare_node *node = build_node(&graph, "Relu", "y", 1, x);
    expect_failure(node, TARE_UNSUPPORTED, "opset 6; supported are 7 to");
    graph.opsets[0].version = 13;
    node->op_type = "Einsum";
    expect_failure(node, TARE_UNSUPPORTED, "operator Einsum of opset 13 is not supported");
}

Test(ops, conv_with_groups_strides_and_automatic_pads) {
    begin(13);
    tare_value *x = build_input(&graph, "x", F, DIMS(1, 4, 7, 8));
    tare_value *w = build_floats(&graph, "w", 0, 1, DIMS(6, 2, 3, 3));
    tare_node *node = build_node(&graph, "Conv", "y", 2, x, w);
    build_int(&graph, node, "group", 2);
    build_list(&graph, node, "strides", DIMS(2, 2));
    build_text(&graph, node, "auto_pad", "SAME_UPPER");
    expect(node, 0, "float32 [1x6x4x4]");
    const tare_window *window = &((tare_conv_attrs *)node->attrs)->window;
    cr_assert_eq(window->pad_begin[0], 1);
    cr_assert_eq(window->pad_end[0], 1);
    cr_assert_eq(window->pad_begin[1], 0);
    cr_assert_eq(window->pad_end[1], 1);
}

Test(ops, conv_refuses_what_does_not_fit) {
    begin(13);
    tare_value *x = build_input(&graph, "x", F, DIMS(1, 3, 5, 5));
    tare_value *w = build_floats(&graph, "w", 0, 1, DIMS(6, 4, 3, 3));
    tare_node *node = build_node(&graph, "Conv", "y", 2, x, w);
    expect_failure(node, TARE_INVALID_MODEL,
                   "node 'y' (Conv): input 'x' has 3 channels, weight 'w' wants 4");
    x->dims[1] = 4;
    build_list(&graph, node, "dilations", DIMS(3, 1));
    expect_failure(node, TARE_INVALID_MODEL, "the window of 7 does not fit into spatial dim 0");
    node->attribute_count = 0;
    build_list(&graph, node, "pads", DIMS(1, 1, 1));
    expect_failure(node, TARE_INVALID_MODEL, "pads has 3 numbers, expected 4");
    node->attribute_count = 0;
    build_list(&graph, node, "strides", DIMS(0, 1));
    expect_failure(node, TARE_INVALID_MODEL, "strides holds 0, expected 1 or more");
    node->attribute_count = 0;
    x->dims[1] = INT64_MAX;
    x->dims[2] = 0; /* so that the tensor as a whole is not too large */
    build_int(&graph, node, "group", INT64_MAX);
    expect_failure(node, TARE_INVALID_MODEL, "channels");
}

Test(ops, transposed_convolution_settles_its_pads) {
    begin(11);
    tare_value *x = build_input(&graph, "x", F, DIMS(1, 4, 3, 3));
    tare_value *w = build_floats(&graph, "w", 0, 1, DIMS(4, 3, 3, 3));
    tare_node *node = build_node(&graph, "ConvTranspose", "y", 2, x, w);
    build_list(&graph, node, "strides", DIMS(2, 2));
    build_list(&graph, node, "pads", DIMS(1, 1, 1, 1));
    build_list(&graph, node, "output_padding", DIMS(1, 0));
    build_int(&graph, node, "group", 2);
    expect(node, 0, "float32 [1x6x6x5]");
    const tare_window *window = &((tare_conv_attrs *)node->attrs)->window;
    cr_assert_eq(window->pad_end[0], 0);
    cr_assert_eq(window->pad_end[1], 1);
    build_list(&graph, node, "output_shape", DIMS(8, 7));
    expect(node, 0, "float32 [1x6x8x7]");
}

Test(ops, pools_enlarge_the_last_window_only_in_ceil_mode) {
    begin(12);
    tare_value *x = build_input(&graph, "x", F, DIMS(1, 2, 6, 5));
    tare_node *node = build_node(&graph, "MaxPool", "y", 1, x);
    build_list(&graph, node, "kernel_shape", DIMS(3, 3));
    build_list(&graph, node, "strides", DIMS(2, 2));
    expect(node, 0, "float32 [1x2x2x2]");
    build_int(&graph, node, "ceil_mode", 1);
    expect(node, 0, "float32 [1x2x3x2]");
    const tare_pool_attrs *attrs = node->attrs;
    cr_assert_eq(attrs->window.pad_end[0], 1);
    cr_assert_eq(attrs->declared_pad_end[0], 0);
    cr_assert_eq(attrs->window.pad_end[1], 0);
    build_list(&graph, node, "pads", DIMS(3, 0, 0, 0));
    expect_failure(node, TARE_INVALID_MODEL, "must be smaller than the window of 3");
}

Test(ops, broadcasting_names_both_shapes) {
    begin(13);
    tare_value *a = build_input(&graph, "a", F, DIMS(2, 1, 4));
    tare_value *b = build_input(&graph, "b", F, DIMS(3, 1));
    tare_node *node = build_node(&graph, "Add", "y", 2, a, b);
    expect(node, 0, "float32 [2x3x4]");
    a->dims[1] = 2;
    expect_failure(node, TARE_INVALID_MODEL, "shapes [2x2x4] and [3x1] do not fit together");
    a->dims[1] = 3;
    b->dtype = TARE_DTYPE_INT64;
    expect_failure(node, TARE_INVALID_MODEL, "must have one type, found float32 and int64");
    b->dtype = TARE_DTYPE_FLOAT16;
    expect_failure(node, TARE_UNSUPPORTED, "input 'b' has the type float16");
}

Test(ops, clip_bounds_from_attributes_and_inputs) {
    begin(10);
    tare_value *x = build_input(&graph, "x", F, DIMS(2));
    tare_node *node = build_node(&graph, "Clip", "y", 1, x);
    build_float(&graph, node, "max", 6.0F);
    expect(node, 0, "float32 [2]");
    cr_assert_float_eq(((tare_clip_attrs *)node->attrs)->max, 6.0, 0.0);
    cr_assert_lt(((tare_clip_attrs *)node->attrs)->min, -3e38);
    release();
    begin(13);
    x = build_input(&graph, "x", F, DIMS(2));
    node = build_node(&graph, "Clip", "y", 3, x, NULL, build_floats(&graph, "six", 6, 0, SCALAR));
    expect(node, 0, "float32 [2]");
    cr_assert_float_eq(((tare_clip_attrs *)node->attrs)->max, 6.0, 0.0);
    cr_assert(isinf(((tare_clip_attrs *)node->attrs)->min));
    node->inputs[1] = build_input(&graph, "low", F, SCALAR);
    expect_failure(node, TARE_UNSUPPORTED, "input 'low' (bounds) depends on the model's inputs");
}

Test(ops, slices_resolve_negative_and_extreme_positions) {
    begin(9);
    tare_value *x = build_input(&graph, "x", F, DIMS(5, 6));
    tare_node *node = build_node(&graph, "Slice", "y", 1, x);
    build_list(&graph, node, "starts", DIMS(-3));
    build_list(&graph, node, "ends", DIMS(INT32_MAX));
    build_list(&graph, node, "axes", DIMS(1));
    expect(node, 0, "float32 [5x3]");
    cr_assert_eq(((tare_slice_attrs *)node->attrs)->start[1], 3);
    release();
    begin(13);
    x = build_input(&graph, "x", F, DIMS(5, 6));
    tare_value *starts = build_ints(&graph, "s", DIMS(-1, 0));
    tare_value *ends = build_ints(&graph, "e", DIMS(-7, 100));
    tare_value *steps = build_ints(&graph, "t", DIMS(-2, INT32_MAX));
    node = build_node(&graph, "Slice", "y", 5, x, starts, ends, NULL, steps);
    ((int64_t *)tare_tensor_elements(ends->constant))[0] = INT64_MIN;
    ((int64_t *)tare_tensor_elements(steps->constant))[1] = INT64_MAX;
    expect(node, 0, "float32 [3x1]");
    const tare_slice_attrs *attrs = node->attrs;
    cr_assert_eq(attrs->start[0], 4);
    cr_assert_eq(attrs->step[0], -2);
    ((int64_t *)tare_tensor_elements(steps->constant))[1] = 0;
    expect_failure(node, TARE_INVALID_MODEL, "axis 1 has the step 0");
}

Test(ops, reshape_copies_zeros_and_infers_one_dim) {
    begin(13);
    tare_value *x = build_input(&graph, "x", F, DIMS(2, 3, 4));
    tare_node *node =
        build_node(&graph, "Reshape", "y", 2, x, build_ints(&graph, "s", DIMS(0, -1)));
    expect(node, 0, "float32 [2x12]");
    node->inputs[1] = build_ints(&graph, "bad", DIMS(5, -1));
    expect_failure(node, TARE_INVALID_MODEL,
                   "input 'x' of shape [2x3x4] cannot take the shape [5x?]");
    node->inputs[1] = build_ints(&graph, "two", DIMS(-1, -1));
    expect_failure(node, TARE_INVALID_MODEL, "cannot take the shape");
}

Test(ops, squeeze_and_unsqueeze_in_both_forms) {
    begin(11);
    tare_value *x = build_input(&graph, "x", F, DIMS(1, 3, 1));
    tare_node *node = build_node(&graph, "Squeeze", "y", 1, x);
    expect(node, 0, "float32 [3]");
    build_list(&graph, node, "axes", DIMS(-1));
    expect(node, 0, "float32 [1x3]");
    node->attribute_count = 0;
    build_list(&graph, node, "axes", DIMS(1));
    expect_failure(node, TARE_INVALID_MODEL, "dim 1 of input 'x' is 3, expected 1");
    release();
    begin(13);
    x = build_input(&graph, "x", F, DIMS(3));
    node = build_node(&graph, "Unsqueeze", "y", 2, x, build_ints(&graph, "axes", DIMS(0, -1)));
    expect(node, 0, "float32 [1x3x1]");
}

Test(ops, shape_gives_a_constant) {
    begin(15);
    tare_value *x = build_input(&graph, "x", F, DIMS(2, 3, 4));
    tare_node *node = build_node(&graph, "Shape", "y", 1, x);
    build_int(&graph, node, "start", -2);
    expect(node, 0, "int64 [2]");
    cr_assert_eq(tare_tensor_int_at(node->outputs[0]->constant, 0), 3);
    cr_assert_eq(tare_tensor_int_at(node->outputs[0]->constant, 1), 4);
}

Test(ops, softmax_flattens_before_opset_13) {
    begin(12);
    tare_node *node =
        build_node(&graph, "Softmax", "y", 1, build_input(&graph, "x", F, DIMS(2, 3, 4)));
    expect(node, 0, "float32 [2x3x4]");
    cr_assert_eq(((tare_axis_attrs *)node->attrs)->axis, 1);
    cr_assert(((tare_axis_attrs *)node->attrs)->flatten);
    graph.opsets[0].version = 13;
    expect(node, 0, "float32 [2x3x4]");
    cr_assert_eq(((tare_axis_attrs *)node->attrs)->axis, 2);
    cr_assert_not(((tare_axis_attrs *)node->attrs)->flatten);
}

Test(ops, resize_by_scales_sizes_and_old_forms) {
    begin(13);
    tare_value *x = build_input(&graph, "x", F, DIMS(1, 2, 10, 4));
    tare_value *scales = build_floats(&graph, "s", 1, 0, DIMS(4));
    tare_node *node = build_node(&graph, "Resize", "y", 3, x, NULL, scales);
    ((float *)tare_tensor_elements(scales->constant))[2] = 0.7F;
    ((float *)tare_tensor_elements(scales->constant))[3] = 2.0F;
    expect(node, 0, "float32 [1x2x7x8]");
    release();
    begin(18);
    x = build_input(&graph, "x", F, DIMS(1, 2, 10, 4));
    node = build_node(&graph, "Resize", "y", 4, x, NULL, NULL, build_ints(&graph, "z", DIMS(5, 8)));
    build_list(&graph, node, "axes", DIMS(2, 3));
    build_text(&graph, node, "keep_aspect_ratio_policy", "not_larger");
    expect(node, 0, "float32 [1x2x5x2]");
    cr_assert_float_eq(((tare_resize_attrs *)node->attrs)->scale[3], 0.5F, 0.0F);
    release();
    begin(9);
    x = build_input(&graph, "x", F, DIMS(1, 2, 3, 4));
    node = build_node(&graph, "Upsample", "y", 2, x, build_floats(&graph, "s", 1, 1, DIMS(4)));
    expect(node, 0, "float32 [1x4x9x16]");
    cr_assert_eq(((tare_resize_attrs *)node->attrs)->coordinates, TARE_RESIZE_ASYMMETRIC);
    cr_assert_eq(((tare_resize_attrs *)node->attrs)->nearest_mode, TARE_RESIZE_FLOOR);
}

Test(ops, split_in_all_forms) {
    begin(11);
    tare_value *x = build_input(&graph, "x", F, DIMS(2, 7));
    tare_node *node = build_node(&graph, "Split", "a", 1, x);
    (void)build_more(&graph, node, "b");
    build_int(&graph, node, "axis", 1);
    expect_failure(node, TARE_INVALID_MODEL, "7 elements do not split into 2 equal parts");
    graph.opsets[0].version = 18;
    expect(node, 0, "float32 [2x4]");
    expect(node, 1, "float32 [2x3]");
    graph.opsets[0].version = 11;
    build_list(&graph, node, "split", DIMS(3, 5));
    expect_failure(node, TARE_INVALID_MODEL, "part 1 has 5 elements, 4 are left");
}

Test(ops, lstm_checks_every_operand) {
    begin(11);
    tare_value *x = build_input(&graph, "x", F, DIMS(5, 2, 3));
    tare_value *w = build_floats(&graph, "w", 0, 0, DIMS(2, 16, 3));
    tare_value *r = build_floats(&graph, "r", 0, 0, DIMS(2, 16, 4));
    tare_node *node = build_node(&graph, "LSTM", "y", 3, x, w, r);
    (void)build_more(&graph, node, "h");
    build_text(&graph, node, "direction", "bidirectional");
    expect(node, 0, "float32 [5x2x2x4]");
    expect(node, 1, "float32 [2x2x4]");
    w->dims[1] = 12;
    expect_failure(node, TARE_INVALID_MODEL, "input 'w' has the shape [2x12x3], expected [2x16x3]");
}

Test(ops, ranks_above_the_limit_are_refused) {
    begin(13);
    tare_value *x = build_input(&graph, "x", F, DIMS(1, 1, 1, 1, 2));
    tare_value *i = build_input(&graph, "i", TARE_DTYPE_INT64, DIMS(1, 1, 1, 1, 2));
    tare_node *node = build_node(&graph, "Gather", "y", 2, x, i);
    expect_failure(node, TARE_UNSUPPORTED, "the result has 9 dims, at most 8 are supported");
}
