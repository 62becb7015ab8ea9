/* SPDX-License-Identifier: Apache-2.0 */
/** Which sums of activations the correction of biases needs. */
#include "quant/sums.h"

#include <string.h>

#include "ops/attrs.h"

/* A value that a node reads, and the axis that runs over its input channels. */
typedef struct reading {
    const tare_value *value;
    int axis;
    const tare_window *window; /* of a Conv, else NULL */
    const int64_t *output;     /* its spatial dims */
} reading;

static bool is_activation(const tare_value *value) {
    return value != NULL && value->constant == NULL && value->dtype == TARE_DTYPE_FLOAT &&
           value->rank >= 0;
}

static bool is_weight(const tare_value *value) {
    return value != NULL && value->constant != NULL && value->dtype == TARE_DTYPE_FLOAT;
}

static bool read_conv(reading *out, const tare_node *node) {
    const tare_conv_attrs *attrs = node->attrs;
    *out = (reading){.value = tare_node_input(node, 0), .axis = 1};
    /* The window of a node that no output needs was not inferred. */
    if (!is_activation(out->value) || attrs->window.rank != out->value->rank - 2) {
        return false;
    }
    if (strcmp(node->op_type, "Conv") == 0) {
        out->window = &attrs->window;
        out->output = node->outputs[0]->dims + 2;
    }
    return is_weight(tare_node_input(node, 1));
}

/* The activation may stand on either side. */
static bool read_matmul(reading *out, const tare_node *node) {
    const tare_value *a = tare_node_input(node, 0), *b = tare_node_input(node, 1);
    const bool weight_first = is_weight(a);
    *out = weight_first ? (reading){.value = b, .axis = b->rank - 2}
                        : (reading){.value = a, .axis = a->rank - 1};
    return is_activation(out->value) && (weight_first || is_weight(b));
}

static bool read_gemm(reading *out, const tare_node *node) {
    const tare_gemm_attrs *attrs = node->attrs;
    const tare_value *a = tare_node_input(node, 0), *b = tare_node_input(node, 1);
    const bool weight_first = is_weight(a);
    *out = weight_first ? (reading){.value = b, .axis = attrs->trans_b ? 1 : 0}
                        : (reading){.value = a, .axis = attrs->trans_a ? 0 : 1};
    return is_activation(out->value) && (weight_first || is_weight(b));
}

static bool find_reading(reading *out, const tare_node *node) {
    static const struct {
        const char *op_type;
        bool (*read)(reading *out, const tare_node *node);
    } rows[] = {{"Conv", read_conv},
                {"ConvTranspose", read_conv},
                {"MatMul", read_matmul},
                {"Gemm", read_gemm}};

    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
        if (node->domain[0] == '\0' && strcmp(node->op_type, rows[i].op_type) == 0) {
            return node->op != NULL && rows[i].read(out, node);
        }
    }
    return false;
}

/* One spatial dim of the operator's window. */
static void set_axis(tare_collect_window *out, int to, const reading *r, int from) {
    out->kernel[to] = r->window->kernel[from];
    out->stride[to] = r->window->stride[from];
    out->dilation[to] = r->window->dilation[from];
    out->padding[to] = r->window->pad_begin[from];
    out->output[to] = r->output[from];
}

/* False where the sums of the channels say the same, and where no backend has window sums. */
static bool find_window(tare_collect_window *out, const reading *r) {
    const int spatial = r->value->rank - 2;
    bool all = true;

    if (r->window == NULL || spatial < 1 || spatial > 2) {
        return false;
    }
    *out = (tare_collect_window){
        .kernel = {1, 1}, .stride = {1, 1}, .dilation = {1, 1}, .output = {1, 1}};
    for (int i = 0; i < spatial; i++) {
        if (r->window->pad_begin[i] < 0) {
            return false;
        }
        set_axis(out, 2 - spatial + i, r, i);
        all = all && r->window->kernel[i] == 1 && r->window->stride[i] == 1 &&
              r->window->pad_begin[i] == 0 && r->output[i] == r->value->dims[2 + i];
    }
    return !all;
}

static tare_status add_window(tare_stat_point *point, tare_arena *arena,
                              const tare_collect_window *window, tare_error *err) {
    tare_collect_window *grown;

    for (size_t i = 0; i < point->window_count; i++) {
        if (memcmp(&point->windows[i], window, sizeof *window) == 0) {
            return TARE_OK;
        }
    }
    grown = tare_arena_array(arena, point->window_count + 1, sizeof *grown);
    if (grown == NULL) {
        return tare_fail_memory(err, sizeof *grown, "windows");
    }
    for (size_t i = 0; i < point->window_count; i++) {
        grown[i] = point->windows[i];
    }
    grown[point->window_count++] = *window;
    point->windows = grown;
    return TARE_OK;
}

static tare_status add_readings(tare_stat_point *points, tare_arena *arena, const tare_graph *graph,
                                bool convolutions, tare_error *err) {
    for (size_t i = 0; i < graph->node_count; i++) {
        tare_collect_window window;
        tare_stat_point *point;
        reading r;
        if (!find_reading(&r, graph->nodes[i]) || r.axis < 1 || (r.axis == 1) != convolutions) {
            continue;
        }
        point = &points[r.value->id];
        if (point->channels > 0 && point->axis != r.axis) {
            continue;
        }
        point->value = r.value->id;
        point->axis = r.axis;
        point->channels = r.value->dims[r.axis];
        if (find_window(&window, &r)) {
            TARE_TRY(add_window(point, arena, &window, err));
        }
    }
    return TARE_OK;
}

tare_status tare_sums_add(tare_stat_point *points, tare_arena *arena, const tare_graph *graph,
                          tare_error *err) {
    TARE_TRY(add_readings(points, arena, graph, true, err));
    return add_readings(points, arena, graph, false, err);
}
