/* SPDX-License-Identifier: Apache-2.0 */
/** Plan and executor: fusion, layouts, memory and watching, on graphs built by hand. */
#include <criterion/criterion.h>
#include <stdio.h>
#include <string.h>

#include "cpu/backend.h"
#include "exec/executor.h"
#include "pass/infer.h"

/* ---- building ---- */

static tare_value *value_of(tare_graph *g, const char *name) {
    tare_value *value = tare_graph_find_value(g, name);
    if (value == NULL) {
        cr_assert_eq(tare_graph_add_value(&value, g, name, NULL), TARE_OK);
    }
    return value;
}

static void add_input(tare_graph *g, const char *name, int rank, const int64_t *dims) {
    tare_value *value = value_of(g, name);
    tare_value **inputs = tare_arena_array(&g->arena, g->input_count + 1, sizeof *inputs);
    value->dtype = TARE_DTYPE_FLOAT;
    value->rank = rank;
    memcpy(value->dims, dims, (size_t)rank * sizeof *dims);
    value->is_input = true;
    if (g->input_count > 0) {
        memcpy(inputs, g->inputs, g->input_count * sizeof *inputs);
    }
    inputs[g->input_count++] = value;
    g->inputs = inputs;
}

static void add_output(tare_graph *g, const char *name) {
    tare_value **outputs = tare_arena_array(&g->arena, g->output_count + 1, sizeof *outputs);
    if (g->output_count > 0) {
        memcpy(outputs, g->outputs, g->output_count * sizeof *outputs);
    }
    outputs[g->output_count++] = value_of(g, name);
    g->outputs = outputs;
    value_of(g, name)->is_output = true;
}

static float pseudo_random(uint32_t *state) {
    *state = *state * 1664525U + 1013904223U;
    return (float)(*state >> 8) / 8388608.0F - 1.0F;
}

static void add_weight(tare_graph *g, const char *name, int rank, const int64_t *dims) {
    uint32_t seed = (uint32_t)strlen(name) * 977U + (uint32_t)(unsigned char)name[0];
    tare_tensor tensor;
    tare_value *value;
    cr_assert_eq(tare_tensor_init(&tensor, TARE_DTYPE_FLOAT, rank, dims, NULL), TARE_OK);
    for (int64_t i = 0; i < tare_tensor_count(&tensor); i++) {
        ((float *)tare_tensor_elements(&tensor))[i] = pseudo_random(&seed);
    }
    cr_assert_eq(tare_graph_add_initializer(&value, g, name, &tensor, NULL), TARE_OK);
    tare_tensor_release(&tensor);
}

/* "Op a b -> c" with attributes given apart. */
static void add_node(tare_graph *g, const char *op, const char *a, const char *b, const char *out,
                     const tare_attribute *attribute) {
    tare_value *inputs[2] = {value_of(g, a), b == NULL ? NULL : value_of(g, b)};
    tare_value *outputs[1] = {value_of(g, out)};
    const tare_node_spec spec = {.op_type = op,
                                 .name = out,
                                 .inputs = inputs,
                                 .input_count = b == NULL ? 1 : 2,
                                 .outputs = outputs,
                                 .output_count = 1,
                                 .attributes = attribute,
                                 .attribute_count = attribute == NULL ? 0 : 1};
    tare_node *node;
    cr_assert_eq(tare_graph_add_node(&node, g, &spec, SIZE_MAX, NULL), TARE_OK);
}

static void begin(tare_graph *g) {
    static tare_opset opset = {"", 13};
    tare_graph_init(g);
    g->opsets = &opset;
    g->opset_count = 1;
}

static const int64_t pads[4] = {1, 1, 1, 1};
static const tare_attribute same_pads = {
    .name = "pads", .type = TARE_ATTRIBUTE_INTS, .count = 4, .ints = pads};

/* conv1 -> relu -> conv2 -> (+ residual) -> relu -> swish gate -> reshape */
static void residual_graph(tare_graph *g) {
    static const int64_t shape[4] = {1, 8, 6, 5}, weight[4] = {8, 8, 3, 3}, flat[2] = {1, -1};
    tare_tensor target;
    tare_value *value;
    begin(g);
    add_input(g, "x", 4, shape);
    add_weight(g, "w1", 4, weight);
    add_weight(g, "w22", 4, weight);
    add_node(g, "Conv", "x", "w1", "c1", &same_pads);
    add_node(g, "Relu", "c1", NULL, "r1", NULL);
    add_node(g, "Conv", "r1", "w22", "c2", &same_pads);
    add_node(g, "Add", "c2", "x", "s", NULL);
    add_node(g, "Relu", "s", NULL, "r2", NULL);
    add_node(g, "Sigmoid", "r2", NULL, "gate", NULL);
    add_node(g, "Mul", "r2", "gate", "m", NULL);
    static const int64_t two[1] = {2};
    cr_assert_eq(tare_tensor_init(&target, TARE_DTYPE_INT64, 1, two, NULL), TARE_OK);
    memcpy(tare_tensor_elements(&target), flat, sizeof flat);
    cr_assert_eq(tare_graph_add_initializer(&value, g, "flat", &target, NULL), TARE_OK);
    tare_tensor_release(&target);
    add_node(g, "Reshape", "m", "flat", "y", NULL);
    add_output(g, "y");
    cr_assert_eq(tare_pass_infer(g, &tare_backend_cpu, NULL, 0, NULL), TARE_OK);
}

/* ---- running ---- */

typedef struct seen {
    size_t count, id[16];
    float first[16];
} seen;

static tare_status note_value(void *user, size_t id, const tare_desc *desc, const void *data,
                              tare_error *err) {
    seen *s = user;
    (void)desc;
    (void)err;
    s->id[s->count] = id;
    s->first[s->count++] = ((const float *)data)[0];
    return TARE_OK;
}

static size_t run(float *out, size_t count, tare_graph *g, const tare_plan_options *options,
                  seen *s) {
    tare_plan *plan = NULL;
    tare_execution *execution = NULL;
    tare_error err = {TARE_OK, ""};
    float x[240];
    const void *inputs[1] = {x};
    const tare_watch watch = {.value = note_value, .user = s};
    tare_desc desc;
    size_t steps;
    uint32_t seed = 5;
    for (size_t i = 0; i < 240; i++) {
        x[i] = pseudo_random(&seed);
    }
    cr_assert_eq(tare_plan_build(&plan, g, &tare_backend_cpu, options, &err), TARE_OK, "%s",
                 err.text);
    cr_assert_eq(tare_execution_new(&execution, plan, &err), TARE_OK);
    cr_assert_eq(tare_execution_run(execution, inputs, s == NULL ? NULL : &watch, &err), TARE_OK,
                 "%s", err.text);
    memcpy(out, tare_execution_output(execution, 0, &desc), count * sizeof *out);
    cr_assert_eq((size_t)tare_desc_count(&desc), count);
    /* A second run on the same workspace gives the same bits. */
    float again[240];
    cr_assert_eq(tare_execution_run(execution, inputs, NULL, &err), TARE_OK);
    memcpy(again, tare_execution_output(execution, 0, NULL), count * sizeof *again);
    cr_assert_eq(memcmp(again, out, count * sizeof *out), 0);
    steps = tare_plan_step_count(plan);
    cr_assert_gt(tare_plan_workspace_bytes(plan), 0);
    tare_execution_free(execution);
    tare_plan_free(plan);
    return steps;
}

Test(plan, fusion_changes_the_number_of_steps_and_not_the_result) {
    const tare_plan_options fused = {.threads_per_run = 1},
                            plain = {.threads_per_run = 1, .no_fusion = true};
    float a[240], b[240];
    tare_graph g;
    size_t fewer, all;
    residual_graph(&g);
    fewer = run(a, 240, &g, &fused, NULL);
    all = run(b, 240, &g, &plain, NULL);
    cr_assert_lt(fewer, all);
    for (size_t i = 0; i < 240; i++) {
        cr_assert_float_eq(a[i], b[i], 1e-5, "%zu: %g %g", i, (double)a[i], (double)b[i]);
    }
    tare_graph_release(&g);
}

Test(plan, watched_values_are_seen_once_with_the_contents_they_have_without_fusion) {
    bool watched[64] = {false};
    tare_plan_options fused = {.threads_per_run = 1, .watched = watched};
    tare_plan_options plain = {.threads_per_run = 1, .watched = watched, .no_fusion = true};
    static const char *const names[] = {"x", "c2", "r2", "m"};
    float a[240], b[240];
    seen s = {0}, t = {0};
    tare_graph g;
    residual_graph(&g);
    for (size_t i = 0; i < 4; i++) {
        watched[value_of(&g, names[i])->id] = true;
    }
    run(a, 240, &g, &fused, &s);
    run(b, 240, &g, &plain, &t);
    cr_assert_eq(s.count, 4);
    cr_assert_eq(t.count, 4);
    for (size_t i = 0; i < 4; i++) {
        cr_assert_eq(s.id[i], value_of(&g, names[i])->id);
        cr_assert_eq(t.id[i], s.id[i]);
        cr_assert_float_eq(s.first[i], t.first[i], 1e-5);
    }
    tare_graph_release(&g);
}

Test(plan, two_convolutions_into_one_addition_fuse_it_once) {
    static const int64_t shape[4] = {1, 8, 6, 5}, weight[4] = {8, 8, 3, 3};
    const tare_plan_options fused = {.threads_per_run = 1},
                            plain = {.threads_per_run = 1, .no_fusion = true};
    float a[240], b[240];
    tare_graph g;
    begin(&g);
    add_input(&g, "x", 4, shape);
    add_weight(&g, "w1", 4, weight);
    add_weight(&g, "w22", 4, weight);
    add_node(&g, "Conv", "x", "w1", "c1", &same_pads);
    add_node(&g, "Conv", "x", "w22", "c2", &same_pads);
    add_node(&g, "Add", "c1", "c2", "s", NULL);
    add_node(&g, "Relu", "s", NULL, "y", NULL);
    add_output(&g, "y");
    cr_assert_eq(tare_pass_infer(&g, &tare_backend_cpu, NULL, 0, NULL), TARE_OK);
    run(a, 240, &g, &fused, NULL);
    run(b, 240, &g, &plain, NULL);
    for (size_t i = 0; i < 240; i++) {
        cr_assert_float_eq(a[i], b[i], 1e-5);
    }
    tare_graph_release(&g);
}

Test(plan, a_value_that_is_read_twice_or_is_an_output_is_not_fused_away) {
    static const int64_t shape[4] = {1, 8, 6, 5}, weight[4] = {8, 8, 3, 3};
    const tare_plan_options fused = {.threads_per_run = 1};
    float a[240];
    tare_graph g;
    tare_plan *plan = NULL;
    begin(&g);
    add_input(&g, "x", 4, shape);
    add_weight(&g, "w1", 4, weight);
    add_node(&g, "Conv", "x", "w1", "c1", &same_pads);
    add_node(&g, "Relu", "c1", NULL, "r", NULL);
    add_node(&g, "Add", "r", "c1", "y", NULL);
    add_output(&g, "y");
    cr_assert_eq(tare_pass_infer(&g, &tare_backend_cpu, NULL, 0, NULL), TARE_OK);
    run(a, 240, &g, &fused, NULL);
    cr_assert_eq(tare_plan_build(&plan, &g, &tare_backend_cpu, &fused, NULL), TARE_OK);
    for (size_t i = 0; i < tare_plan_step_count(plan); i++) {
        cr_assert_eq(tare_plan_step(plan, i).fused, 0);
    }
    tare_plan_free(plan);
    tare_graph_release(&g);
}

Test(plan, memory_of_a_long_chain_is_that_of_two_values) {
    static const int64_t shape[4] = {1, 64, 32, 32}, weight[4] = {64, 64, 1, 1};
    const tare_plan_options options = {.threads_per_run = 1};
    char from[16] = "x", to[16];
    tare_graph g;
    tare_plan *plan = NULL;
    begin(&g);
    add_input(&g, "x", 4, shape);
    add_weight(&g, "w", 4, weight);
    for (int i = 0; i < 20; i++) {
        snprintf(to, sizeof to, "c%d", i);
        add_node(&g, "Conv", from, "w", to, NULL);
        memcpy(from, to, sizeof from);
    }
    add_output(&g, from);
    cr_assert_eq(tare_pass_infer(&g, &tare_backend_cpu, NULL, 0, NULL), TARE_OK);
    cr_assert_eq(tare_plan_build(&plan, &g, &tare_backend_cpu, &options, NULL), TARE_OK);
    cr_assert_lt(tare_plan_workspace_bytes(plan), (size_t)64 * 32 * 32 * 4 * 3);
    tare_plan_free(plan);
    tare_graph_release(&g);
}

Test(plan, an_operator_without_a_row_is_named) {
    static const int64_t shape[4] = {1, 8, 6, 5};
    tare_error err;
    tare_graph g;
    begin(&g);
    add_input(&g, "x", 4, shape);
    add_node(&g, "Frobnicate", "x", NULL, "y", NULL);
    add_output(&g, "y");
    cr_assert_eq(tare_pass_infer(&g, &tare_backend_cpu, NULL, 0, &err), TARE_UNSUPPORTED);
    cr_assert_not_null(strstr(err.text, "Frobnicate"), "%s", err.text);
    tare_graph_release(&g);
}
