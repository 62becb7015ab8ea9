/* SPDX-License-Identifier: Apache-2.0 */
/** Passes: binding and inference, folding of constants, folding of scales into layers. */
#include <criterion/criterion.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "cpu/backend.h"
#include "exec/executor.h"
#include "graph_builder.h"
#include "pass/batch_norm.h"
#include "pass/dead.h"
#include "pass/infer.h"

#define F TARE_DTYPE_FLOAT

static tare_graph graph;
static tare_error err;

static void release(void) {
    tare_graph_release(&graph);
}

TestSuite(pass, .fini = release);

static tare_status infer_with(const tare_shape_binding *bindings, size_t count) {
    return tare_pass_infer(&graph, &tare_backend_cpu, bindings, count, &err);
}

static void expect_error(tare_status found, tare_status status, const char *part) {
    cr_assert_eq(found, status, "%s", err.text);
    cr_assert_not_null(strstr(err.text, part), "'%s' is not in '%s'", part, err.text);
}

Test(pass, open_dims_are_bound_by_input_and_by_name) {
    build_graph(&graph, 13);
    tare_value *a = build_input(&graph, "a", F, DIMS(-1, 3));
    tare_value *b = build_input(&graph, "b", F, DIMS(-1, 3));
    tare_node *sum = build_node(&graph, "Add", "y", 2, a, b);
    const tare_shape_binding five = {"a", 2, {5, 3}}, wrong = {"a", 2, {5, 4}};
    const tare_shape_binding both[2] = {{"a", 2, {5, 3}}, {"b", 2, {6, 3}}};
    const tare_shape_binding stranger = {"c", 1, {1}};
    build_output(&graph, sum->outputs[0]);

    expect_error(infer_with(&five, 1), TARE_INVALID_ARGUMENT,
                 "dim 0 of input 'b' [?x3] is not known");
    build_dim_name(&graph, a, 0, "batch");
    build_dim_name(&graph, b, 0, "batch");
    expect_error(infer_with(NULL, 0), TARE_INVALID_ARGUMENT,
                 "dim 0 ('batch') of input 'a' [?x3] is not known");
    cr_assert_eq(infer_with(&five, 1), TARE_OK, "%s", err.text);
    cr_assert_eq(b->dims[0], 5);
    cr_assert_eq(sum->outputs[0]->dims[0], 5);
    expect_error(infer_with(both, 2), TARE_INVALID_ARGUMENT,
                 "dim 'batch' is 5 in input 'a' and 6 in input 'b'");
    expect_error(infer_with(&wrong, 1), TARE_INVALID_ARGUMENT,
                 "input 'a' has the shape [?x3] in the model, [5x4] is given");
    expect_error(infer_with(&stranger, 1), TARE_INVALID_ARGUMENT, "the model has no input 'c'");
}

Test(pass, a_second_call_forgets_the_first) {
    build_graph(&graph, 13);
    tare_value *x = build_input(&graph, "x", F, DIMS(-1, 6));
    tare_node *shape = build_node(&graph, "Shape", "s", 1, x);
    tare_node *batch = build_node(&graph, "Gather", "b", 2, shape->outputs[0],
                                  build_ints(&graph, "zero", DIMS(0)));
    tare_node *to = build_node(&graph, "Concat", "c", 2, batch->outputs[0],
                               build_ints(&graph, "rest", DIMS(3, 2)));
    tare_node *y = build_node(&graph, "Reshape", "y", 2, x, to->outputs[0]);
    build_int(&graph, to, "axis", 0);
    build_output(&graph, y->outputs[0]);
    for (int64_t n = 1; n < 4; n++) {
        const tare_shape_binding binding = {"x", 2, {n, 6}};
        cr_assert_eq(infer_with(&binding, 1), TARE_OK, "%s", err.text);
        cr_assert_eq(y->outputs[0]->rank, 3);
        cr_assert_eq(y->outputs[0]->dims[0], n);
        cr_assert_eq(tare_tensor_int_at(to->outputs[0]->constant, 0), n);
    }
}

Test(pass, all_unsupported_operators_come_in_one_message) {
    build_graph(&graph, 13);
    tare_value *x = build_input(&graph, "x", F, DIMS(2));
    tare_node *a = build_node(&graph, "Einsum", "a", 1, x);
    tare_node *b = build_node(&graph, "Mystery", "b", 1, a->outputs[0]);
    tare_node *dead = build_node(&graph, "Einsum2", "dead", 1, x);
    bool live[3];
    b->domain = "com.example";
    expect_error(infer_with(NULL, 0), TARE_OK, "");
    build_output(&graph, b->outputs[0]);
    expect_error(infer_with(NULL, 0), TARE_UNSUPPORTED,
                 "node 'a' (Einsum): operators that are not supported in opset 13: Einsum, "
                 "com.example.Mystery");
    cr_assert_null(strstr(err.text, "Einsum2"));
    cr_assert_eq(tare_pass_live(live, &graph, &err), TARE_OK);
    cr_assert(live[a->id] && live[b->id] && !live[dead->id]);
}

Test(pass, constants_are_folded_with_the_backends_kernels) {
    build_graph(&graph, 13);
    tare_value *c = build_floats(&graph, "c", 1, 1, DIMS(2, 3));
    tare_node *sum = build_node(&graph, "Add", "sum", 2, c, c);
    tare_node *turned = build_node(&graph, "Transpose", "turned", 1, sum->outputs[0]);
    tare_node *flat = build_node(&graph, "Flatten", "flat", 1, turned->outputs[0]);
    tare_node *y = build_node(&graph, "Mul", "y", 2, build_input(&graph, "x", F, DIMS(3, 2)),
                              flat->outputs[0]);
    build_output(&graph, y->outputs[0]);
    cr_assert_eq(infer_with(NULL, 0), TARE_OK, "%s", err.text);
    const tare_tensor *folded = flat->outputs[0]->constant;
    const float expected[] = {2, 8, 4, 10, 6, 12};
    cr_assert_not_null(folded);
    cr_assert_arr_eq(folded->data, expected, sizeof expected);
    cr_assert_null(y->outputs[0]->constant);
    bool live[4];
    cr_assert_eq(tare_pass_live(live, &graph, &err), TARE_OK);
    cr_assert(!live[0] && !live[1] && !live[2] && live[3]);
}

/* Runs the graph on 0.01, 0.02, ... and copies its output. */
static size_t run(float *out) {
    tare_plan *plan;
    tare_execution *execution;
    const tare_plan_options options = {.threads_per_run = 1};
    const tare_value *x = graph.inputs[0];
    float *input = calloc((size_t)tare_dims_count(x->rank, x->dims), sizeof *input);
    const void *inputs[] = {input};
    tare_desc desc;
    for (int64_t i = 0; i < tare_dims_count(x->rank, x->dims); i++) {
        input[i] = 0.01F * (float)(i % 37) - 0.1F;
    }
    cr_assert_eq(tare_plan_build(&plan, &graph, &tare_backend_cpu, &options, &err), TARE_OK, "%s",
                 err.text);
    cr_assert_eq(tare_execution_new(&execution, plan, &err), TARE_OK);
    cr_assert_eq(tare_execution_run(execution, inputs, NULL, &err), TARE_OK, "%s", err.text);
    const void *result = tare_execution_output(execution, 0, &desc);
    memcpy(out, result, tare_desc_bytes(&desc));
    tare_execution_free(execution);
    tare_plan_free(plan);
    free(input);
    return (size_t)tare_desc_count(&desc);
}

/* Folds and compares with the unfolded run: same up to the rounding of a few float operations. */
static void expect_folded(size_t count) {
    static float before[4096], after[4096];
    size_t folded, elements;
    cr_assert_eq(infer_with(NULL, 0), TARE_OK, "%s", err.text);
    elements = run(before);
    cr_assert_eq(tare_pass_fold_batch_norm(&folded, &graph, NULL, &err), TARE_OK, "%s", err.text);
    cr_assert_eq(folded, count, "%zu folded, expected %zu", folded, count);
    cr_assert_eq(run(after), elements);
    for (size_t i = 0; i < elements; i++) {
        cr_assert_float_eq(after[i], before[i], 1e-5 * (1.0 + fabs(before[i])), "%zu: %g, %g", i,
                           (double)before[i], (double)after[i]);
    }
}

static tare_node *batch_norm(const char *name, tare_value *x, int64_t channels) {
    char names[4][32];
    for (int i = 0; i < 4; i++) {
        (void)snprintf(names[i], sizeof names[i], "%s_%d", name, i);
    }
    return build_node(&graph, "BatchNormalization", name, 5, x,
                      build_floats(&graph, names[0], 0.5, 0.25, DIMS(channels)),
                      build_floats(&graph, names[1], -1, 0.5, DIMS(channels)),
                      build_floats(&graph, names[2], 0.1, 0.2, DIMS(channels)),
                      build_floats(&graph, names[3], 0.5, 1, DIMS(channels)));
}

Test(pass, batch_norm_scale_and_shift_fold_into_a_convolution) {
    build_graph(&graph, 13);
    tare_node *conv =
        build_node(&graph, "Conv", "conv", 2, build_input(&graph, "x", F, DIMS(1, 4, 6, 6)),
                   build_floats(&graph, "w", -0.3, 0.01, DIMS(6, 2, 3, 3)));
    tare_node *norm = batch_norm("norm", conv->outputs[0], 6);
    tare_node *scaled =
        build_node(&graph, "Mul", "scaled", 2, build_floats(&graph, "k", 1, 0.5, DIMS(6, 1, 1)),
                   norm->outputs[0]);
    tare_node *turned = build_node(&graph, "Sub", "turned", 2,
                                   build_floats(&graph, "one", 1, 0, DIMS(1)), scaled->outputs[0]);
    build_int(&graph, conv, "group", 2);
    build_output(&graph, turned->outputs[0]);
    expect_folded(3);
    cr_assert_eq(graph.node_count, 1);
    cr_assert_eq(conv->outputs[0], turned->outputs[0]);
}

Test(pass, batch_norm_folds_into_transposed_convolutions_and_gemm) {
    build_graph(&graph, 13);
    tare_node *conv = build_node(&graph, "ConvTranspose", "conv", 3,
                                 build_input(&graph, "x", F, DIMS(1, 4, 5, 5)),
                                 build_floats(&graph, "w", -0.3, 0.01, DIMS(4, 3, 3, 3)),
                                 build_floats(&graph, "b", 1, 1, DIMS(6)));
    build_int(&graph, conv, "group", 2);
    build_output(&graph, batch_norm("norm", conv->outputs[0], 6)->outputs[0]);
    expect_folded(1);
    release();

    build_graph(&graph, 13);
    tare_node *gemm = build_node(&graph, "Gemm", "gemm", 3, build_input(&graph, "x", F, DIMS(2, 5)),
                                 build_floats(&graph, "w", -0.3, 0.02, DIMS(4, 5)),
                                 build_floats(&graph, "b", 1, 1, DIMS(4)));
    build_int(&graph, gemm, "transB", 1);
    build_float(&graph, gemm, "alpha", 0.5F);
    build_float(&graph, gemm, "beta", 0.25F);
    build_output(&graph, batch_norm("norm", gemm->outputs[0], 4)->outputs[0]);
    expect_folded(1);
}

Test(pass, nothing_folds_where_the_value_between_is_needed) {
    build_graph(&graph, 13);
    tare_node *conv =
        build_node(&graph, "Conv", "conv", 2, build_input(&graph, "x", F, DIMS(1, 2, 4, 4)),
                   build_floats(&graph, "w", -0.3, 0.01, DIMS(3, 2, 1, 1)));
    tare_node *norm = batch_norm("norm", conv->outputs[0], 3);
    bool keep[16] = {false};
    size_t folded;
    build_output(&graph, norm->outputs[0]);
    cr_assert_eq(infer_with(NULL, 0), TARE_OK, "%s", err.text);
    keep[conv->outputs[0]->id] = true;
    cr_assert_eq(tare_pass_fold_batch_norm(&folded, &graph, keep, &err), TARE_OK);
    cr_assert_eq(folded, 0);
    build_output(&graph, conv->outputs[0]);
    expect_folded(0);
    cr_assert_eq(graph.node_count, 2);
}

Test(pass, shared_weights_stay_as_they_are) {
    build_graph(&graph, 13);
    tare_value *x = build_input(&graph, "x", F, DIMS(1, 2, 4, 4));
    tare_value *w = build_floats(&graph, "w", -0.3, 0.01, DIMS(3, 2, 1, 1));
    const float first = -0.3F;
    tare_node *a = build_node(&graph, "Conv", "a", 2, x, w);
    tare_node *b = build_node(&graph, "Conv", "b", 2, x, w);
    tare_node *sum = build_node(&graph, "Add", "sum", 2,
                                batch_norm("norm", a->outputs[0], 3)->outputs[0], b->outputs[0]);
    build_output(&graph, sum->outputs[0]);
    expect_folded(1);
    cr_assert_eq(b->inputs[1], w);
    cr_assert_neq(a->inputs[1], w);
    cr_assert_eq(*(const float *)w->constant->data, first);
}
