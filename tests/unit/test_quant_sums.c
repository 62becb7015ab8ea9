/* SPDX-License-Identifier: Apache-2.0 */
/** Which channels and windows the readers of a value ask for. */
#include <criterion/criterion.h>
#include <string.h>

#include "cpu/backend.h"
#include "graph_builder.h"
#include "pass/infer.h"
#include "quant/sums.h"

#define VALUES 64

typedef struct wanted {
    tare_graph graph;
    tare_arena arena;
    tare_stat_point points[VALUES];
} wanted;

static void find(wanted *w) {
    tare_error err;
    cr_assert_eq(tare_pass_infer(&w->graph, &tare_backend_cpu, NULL, 0, &err), TARE_OK, "%s",
                 err.text);
    tare_arena_init(&w->arena);
    cr_assert_leq(w->graph.value_count, VALUES);
    for (size_t i = 0; i < w->graph.value_count; i++) {
        w->points[i] = (tare_stat_point){.value = SIZE_MAX};
    }
    cr_assert_eq(tare_sums_add(w->points, &w->arena, &w->graph, &err), TARE_OK, "%s", err.text);
}

static const tare_stat_point *point_of(const wanted *w, const char *name) {
    return &w->points[tare_graph_find_value(&w->graph, name)->id];
}

static void release(wanted *w) {
    tare_graph_release(&w->graph);
    tare_arena_release(&w->arena);
}

#define F TARE_DTYPE_FLOAT

Test(quant_sums, convolutions_ask_for_their_windows) {
    static const tare_collect_window three = {.kernel = {3, 3},
                                              .stride = {2, 1},
                                              .dilation = {1, 1},
                                              .padding = {1, 0},
                                              .output = {4, 6}};
    wanted w;
    build_graph(&w.graph, 17);
    tare_value *x = build_input(&w.graph, "x", F, DIMS(1, 4, 8, 8));
    tare_value *weight = build_floats(&w.graph, "w", 0, 1, DIMS(2, 4, 3, 3));
    tare_value *point = build_floats(&w.graph, "p", 0, 1, DIMS(2, 4, 1, 1));
    tare_node *nodes[4];
    for (size_t i = 0; i < 4; i++) {
        static const char *const names[] = {"a", "b", "c", "d"};
        nodes[i] = build_node(&w.graph, "Conv", names[i], 2, x, i < 2 ? weight : point);
        build_output(&w.graph, nodes[i]->outputs[0]);
    }
    for (size_t i = 0; i < 2; i++) {
        build_list(&w.graph, nodes[i], "strides", DIMS(2, 1));
        build_list(&w.graph, nodes[i], "pads", DIMS(1, 0, 0, 0));
    }
    build_list(&w.graph, nodes[3], "strides", DIMS(2, 2));
    find(&w);

    const tare_stat_point *found = point_of(&w, "x");
    cr_assert_eq(found->value, x->id);
    cr_assert(found->axis == 1 && found->channels == 4);
    /* Two read it through one window, one through all of it, one leaves out every other element. */
    cr_assert_eq(found->window_count, 2);
    cr_assert_eq(memcmp(&found->windows[0], &three, sizeof three), 0);
    cr_assert(found->windows[1].kernel[0] == 1 && found->windows[1].stride[1] == 2);
    cr_assert_eq(point_of(&w, "a")->value, SIZE_MAX);
    release(&w);
}

Test(quant_sums, rows_of_one_dimensional_convolutions_stand_alone) {
    static const tare_collect_window line = {.kernel = {1, 3},
                                             .stride = {1, 1},
                                             .dilation = {1, 2},
                                             .padding = {0, 2},
                                             .output = {1, 9}};
    wanted w;
    build_graph(&w.graph, 17);
    tare_value *x = build_input(&w.graph, "x", F, DIMS(1, 2, 9));
    tare_value *weight = build_floats(&w.graph, "w", 0, 1, DIMS(2, 2, 3));
    tare_node *node = build_node(&w.graph, "Conv", "y", 2, x, weight);
    build_list(&w.graph, node, "dilations", DIMS(2));
    build_list(&w.graph, node, "pads", DIMS(2, 2));
    build_output(&w.graph, node->outputs[0]);
    find(&w);
    cr_assert_eq(point_of(&w, "x")->window_count, 1);
    cr_assert_eq(memcmp(&point_of(&w, "x")->windows[0], &line, sizeof line), 0);
    release(&w);
}

Test(quant_sums, matrix_products_read_rows_or_columns) {
    wanted w;
    build_graph(&w.graph, 17);
    tare_value *x = build_input(&w.graph, "x", F, DIMS(1, 5, 6));
    tare_value *y = build_input(&w.graph, "y", F, DIMS(1, 7, 5));
    tare_value *z = build_input(&w.graph, "z", F, DIMS(1, 6));
    tare_value *t = build_input(&w.graph, "t", F, DIMS(6, 1));
    tare_value *right = build_floats(&w.graph, "r", 0, 1, DIMS(6, 3));
    tare_value *left = build_floats(&w.graph, "l", 0, 1, DIMS(2, 7));
    tare_node *nodes[] = {build_node(&w.graph, "MatMul", "a", 2, x, right),
                          build_node(&w.graph, "MatMul", "b", 2, left, y),
                          build_node(&w.graph, "Gemm", "c", 2, z, right),
                          build_node(&w.graph, "Gemm", "d", 2, t, right),
                          build_node(&w.graph, "MatMul", "e", 2, y, x)};
    build_int(&w.graph, nodes[3], "transA", 1);
    for (size_t i = 0; i < 5; i++) {
        build_output(&w.graph, nodes[i]->outputs[0]);
    }
    find(&w);
    cr_assert(point_of(&w, "x")->axis == 2 && point_of(&w, "x")->channels == 6);
    cr_assert(point_of(&w, "y")->axis == 1 && point_of(&w, "y")->channels == 7);
    cr_assert(point_of(&w, "z")->axis == 1 && point_of(&w, "z")->channels == 6);
    /* Channels on the axis of samples cannot be told apart from them. */
    cr_assert_eq(point_of(&w, "t")->value, SIZE_MAX);
    release(&w);
}

/* Quantizers and convolutions speak of axis 1; a matrix product that reads the same does without.
 */
Test(quant_sums, one_axis_wins) {
    wanted w;
    build_graph(&w.graph, 17);
    tare_value *x = build_input(&w.graph, "x", F, DIMS(1, 4, 6));
    tare_value *right = build_floats(&w.graph, "r", 0, 1, DIMS(6, 3));
    tare_value *weight = build_floats(&w.graph, "w", 0, 1, DIMS(2, 4, 1));
    build_output(&w.graph, build_node(&w.graph, "MatMul", "a", 2, x, right)->outputs[0]);
    build_output(&w.graph, build_node(&w.graph, "Conv", "b", 2, x, weight)->outputs[0]);
    find(&w);
    cr_assert(point_of(&w, "x")->axis == 1 && point_of(&w, "x")->channels == 4);
    cr_assert_eq(point_of(&w, "x")->window_count, 0);
    release(&w);
}

/* Weights that the model computes are none to correct; three dimensions have no window sums. */
Test(quant_sums, what_is_left_out) {
    wanted w;
    build_graph(&w.graph, 17);
    tare_value *x = build_input(&w.graph, "x", F, DIMS(1, 2, 5, 5));
    tare_value *kernel = build_input(&w.graph, "k", F, DIMS(2, 2, 3, 3));
    tare_value *cube = build_input(&w.graph, "c", F, DIMS(1, 2, 4, 4, 4));
    tare_value *weight = build_floats(&w.graph, "w", 0, 1, DIMS(2, 2, 3, 3, 3));
    build_output(&w.graph, build_node(&w.graph, "Conv", "a", 2, x, kernel)->outputs[0]);
    build_output(&w.graph, build_node(&w.graph, "Conv", "b", 2, cube, weight)->outputs[0]);
    find(&w);
    cr_assert_eq(point_of(&w, "x")->value, SIZE_MAX);
    cr_assert(point_of(&w, "c")->channels == 2 && point_of(&w, "c")->window_count == 0);
    release(&w);
}
