/* SPDX-License-Identifier: Apache-2.0 */
/** Plans for a device with its own memory, against the same graphs planned in host memory. */
#include <criterion/criterion.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "cpu/backend.h"
#include "exec/executor.h"
#include "fake_device.h"
#include "graph_builder.h"
#include "ir/half.h"
#include "pass/infer.h"

#define MAX_VALUES 64
#define NO_FAULT   (-1L)

/* ---- contents ---- */

static double element(tare_dtype dtype, const void *data, int64_t index) {
    switch (dtype) {
    case TARE_DTYPE_FLOAT:
        return (double)((const float *)data)[index];
    case TARE_DTYPE_FLOAT16:
        return tare_half_to_double(((const uint16_t *)data)[index]);
    case TARE_DTYPE_INT64:
        return (double)((const int64_t *)data)[index];
    case TARE_DTYPE_BOOL:
        return (double)((const uint8_t *)data)[index];
    default:
        cr_assert_fail("no element of type %s", tare_dtype_text(dtype));
        return 0.0;
    }
}

/* Where element i of the row-major order lies. */
static int64_t position(const tare_desc *desc, int64_t i) {
    int64_t strides[TARE_MAX_RANK], at = 0;
    tare_desc_strides(strides, desc);
    for (int axis = desc->rank - 1; axis >= 0; axis--) {
        at += i % desc->dims[axis] * strides[axis];
        i /= desc->dims[axis];
    }
    return at;
}

typedef struct contents {
    bool seen;
    tare_desc desc;
    void *data;
    int64_t count;
} contents;

static contents keep(const tare_desc *desc) {
    contents out = {.seen = true, .desc = *desc, .count = tare_desc_count(desc)};
    out.data = calloc(1, tare_desc_bytes(desc) + 1);
    return out;
}

static void check_same(const contents *actual, const contents *expected, double tolerance,
                       const char *name) {
    cr_assert(actual->seen && expected->seen, "%s was not seen", name);
    cr_assert_eq(actual->count, expected->count, "%s", name);
    for (int64_t i = 0; i < expected->count; i++) {
        const double a = element(actual->desc.dtype, actual->data, position(&actual->desc, i));
        const double e =
            element(expected->desc.dtype, expected->data, position(&expected->desc, i));
        cr_assert(fabs(a - e) <= tolerance * (1.0 + fabs(e)), "%s[%lld]: %.9g, expected %.9g", name,
                  (long long)i, a, e);
    }
}

/* ---- running ---- */

typedef struct outcome {
    contents outputs[8], watched[MAX_VALUES];
    size_t host_steps, copies, steps;
    bool can_record;
    size_t device_weight_bytes, device_workspace_bytes, workspace_bytes;
} outcome;

static void outcome_release(outcome *o) {
    for (size_t i = 0; i < 8; i++) {
        free(o->outputs[i].data);
    }
    for (size_t i = 0; i < MAX_VALUES; i++) {
        free(o->watched[i].data);
    }
}

typedef struct watcher {
    outcome *out;
    tare_queue *queue; /* NULL: data are in host memory */
} watcher;

static tare_status note_value(void *user, size_t id, const tare_desc *desc, const void *data,
                              tare_error *err) {
    watcher *w = user;
    contents *to = &w->out->watched[id];
    cr_assert_not(to->seen, "value %zu is handed over twice", id);
    *to = keep(desc);
    if (w->queue != NULL && tare_desc_bytes(desc) > 0) {
        const tare_copy copy = {TARE_COPY_TO_HOST, to->data, data, tare_desc_bytes(desc)};
        return fake_backend()->device->copy(w->queue, &copy, err);
    }
    memcpy(to->data, data, tare_desc_bytes(desc));
    return TARE_OK;
}

/* Contents of a graph input, the same for every plan, as the plan wants them. */
static void fill(void *to, const tare_desc *desc, uint32_t seed) {
    for (int64_t i = 0; i < tare_desc_count(desc); i++) {
        const int64_t at = position(desc, i);
        seed = seed * 1664525U + 1013904223U;
        const float value = (float)(seed >> 8) / 8388608.0F - 1.0F;
        if (desc->dtype == TARE_DTYPE_FLOAT) {
            ((float *)to)[at] = value;
        } else if (desc->dtype == TARE_DTYPE_FLOAT16) {
            ((uint16_t *)to)[at] = tare_half_from_double((double)value);
        } else {
            ((int64_t *)to)[at] = (int64_t)(seed >> 16) % 3;
        }
    }
}

static tare_status make_inputs(void **inputs, const tare_plan *plan, const tare_graph *g,
                               tare_device *device, const bool *on_device, tare_error *err) {
    for (size_t i = 0; i < g->input_count; i++) {
        tare_desc desc;
        if (!tare_plan_input_desc(&desc, plan, i)) {
            continue;
        }
        if (on_device != NULL && on_device[i]) {
            TARE_TRY(fake_backend()->device->memory_new(&inputs[i], device, tare_desc_bytes(&desc),
                                                        err));
        } else {
            inputs[i] = malloc(tare_desc_bytes(&desc) + 1);
        }
        fill(inputs[i], &desc, (uint32_t)i + 5U);
    }
    return TARE_OK;
}

static void free_inputs(void **inputs, const tare_graph *g, tare_device *device,
                        const bool *on_device) {
    for (size_t i = 0; i < g->input_count; i++) {
        if (on_device == NULL || !on_device[i]) {
            free(inputs[i]);
        } else if (inputs[i] != NULL) {
            fake_backend()->device->memory_free(device, inputs[i]);
        }
    }
}

static void note_plan(outcome *out, const tare_plan *plan) {
    out->steps = tare_plan_step_count(plan);
    for (size_t i = 0; i < out->steps; i++) {
        const tare_plan_step_info info = tare_plan_step(plan, i);
        out->host_steps += info.on_host && info.node != NULL && !info.view ? 1U : 0U;
        out->copies += info.copy ? 1U : 0U;
    }
    out->can_record = tare_plan_can_record(plan);
    out->device_weight_bytes = tare_plan_device_weight_bytes(plan);
    out->device_workspace_bytes = tare_plan_device_workspace_bytes(plan);
    out->workspace_bytes = tare_plan_workspace_bytes(plan);
}

/* Twice, because a run must not live on what the run before left in the workspaces. */
static tare_status run_plan(outcome *out, const tare_plan *plan, const tare_graph *g,
                            void *const *inputs, const bool *watched, tare_error *err) {
    tare_execution *execution = NULL;
    watcher w = {.out = out};
    const tare_watch watch = {.value = note_value, .user = &w};
    const void *pointers[8];
    tare_status status;

    for (size_t i = 0; i < g->input_count; i++) {
        pointers[i] = inputs[i];
    }
    TARE_TRY_DONE(status, tare_execution_new(&execution, plan, err));
    w.queue = tare_execution_queue(execution);
    TARE_TRY_DONE(status, tare_execution_run(execution, pointers, NULL, err));
    TARE_TRY_DONE(status,
                  tare_execution_run(execution, pointers, watched == NULL ? NULL : &watch, err));
    TARE_TRY_DONE(status, tare_execution_wait(execution, err));
    for (size_t i = 0; i < g->output_count; i++) {
        tare_desc desc;
        const void *data = tare_execution_output(execution, i, &desc);
        if (data != NULL) {
            cr_assert_eq(desc.layout, TARE_LAYOUT_PLAIN);
            cr_assert_eq(desc.dtype, g->outputs[i]->dtype);
            out->outputs[i] = keep(&desc);
            memcpy(out->outputs[i].data, data, tare_desc_bytes(&desc));
        }
    }
done:
    tare_execution_free(execution);
    return status;
}

static tare_status run_graph(outcome *out, tare_graph *g, const tare_plan_options *options,
                             tare_error *err) {
    const tare_backend *backend = options->device == NULL ? &tare_backend_cpu : fake_backend();
    tare_plan *plan = NULL;
    void *inputs[8] = {NULL};
    tare_status status;
    TARE_TRY_DONE(status, tare_plan_build(&plan, g, backend, options, err));
    note_plan(out, plan);
    TARE_TRY_DONE(status,
                  make_inputs(inputs, plan, g, options->device, options->inputs_on_device, err));
    TARE_TRY_DONE(status, run_plan(out, plan, g, inputs, options->watched, err));
done:
    free_inputs(inputs, g, options->device, options->inputs_on_device);
    tare_plan_free(plan);
    return status;
}

/* How far results may be apart, relative to 1 + |expected|. The fake device runs the CPU's kernels,
 * so with float32 storage the bits agree; but what a fallback computes alone may have been fused in
 * host memory, into oneDNN's version of the function. Half storage rounds some ten values in a row
 * by 2^-11 each, of which convolutions of 72 products of up to 0.2 keep the size. */
static double tolerance_of(const tare_device *device) {
    if (device->storage == TARE_DTYPE_FLOAT16) {
        return 0.02;
    }
    return device->refused != NULL ? 1e-6 : 0.0;
}

/* Compares a graph on the device with the graph in host memory; *out is what the device did. */
static void compare(outcome *out, tare_graph *g, tare_device *device, tare_plan_options options) {
    const double tolerance = tolerance_of(device);
    const tare_plan_options host = {
        .watched = options.watched, .no_fusion = options.no_fusion, .threads_per_run = 1};
    outcome expected = {0};
    tare_error err = {TARE_OK, ""};

    *out = (outcome){0};
    options.threads_per_run = 1;
    options.device = device;
    cr_assert_eq(run_graph(&expected, g, &host, &err), TARE_OK, "%s", err.text);
    cr_assert_eq(run_graph(out, g, &options, &err), TARE_OK, "%s", err.text);
    for (size_t i = 0; i < g->output_count && options.outputs_to_host; i++) {
        check_same(&out->outputs[i], &expected.outputs[i], tolerance, g->outputs[i]->name);
    }
    for (size_t i = 0; i < g->value_count && options.watched != NULL; i++) {
        cr_assert_eq(out->watched[i].seen, expected.watched[i].seen, "%s", g->values[i]->name);
        if (expected.watched[i].seen) {
            check_same(&out->watched[i], &expected.watched[i], tolerance, g->values[i]->name);
        }
    }
    fake_device_check_empty(device);
    outcome_release(&expected);
}

/* ---- graphs ---- */

static void pad(tare_graph *g, tare_node *node) {
    build_list(g, node, "pads", DIMS(1, 1, 1, 1));
}

static tare_node *conv(tare_graph *g, const char *output, tare_value *x, const char *weight,
                       double start) {
    tare_value *w = build_floats(g, weight, start, 0.0007, DIMS(8, 8, 3, 3));
    tare_node *node = build_node(g, "Conv", output, 2, x, w);
    pad(g, node);
    return node;
}

static tare_value *node1(tare_graph *g, const char *op, const char *output, tare_value *x) {
    return build_node(g, op, output, 1, x)->outputs[0];
}

static void finish(tare_graph *g) {
    tare_error err;
    cr_assert_eq(tare_pass_infer(g, &tare_backend_cpu, NULL, 0, &err), TARE_OK, "%s", err.text);
}

/* Two convolutions around a residual sum, a gate, a softmax over channels, a reshape and a second
 * output that is an integer. */
static void network(tare_graph *g) {
    tare_value *x, *r1, *s, *m, *t, *flat;
    tare_node *node;
    build_graph(g, 13);
    x = build_input(g, "x", TARE_DTYPE_FLOAT, DIMS(1, 8, 6, 5));
    r1 = node1(g, "Relu", "r1", conv(g, "c1", x, "w1", -0.2)->outputs[0]);
    s = build_node(g, "Add", "s", 2, conv(g, "c2", r1, "w2", -0.19)->outputs[0], x)->outputs[0];
    s = node1(g, "Relu", "r2", s);
    m = build_node(g, "Mul", "m", 2, s, node1(g, "Sigmoid", "gate", s))->outputs[0];
    node = build_node(g, "Softmax", "p", 1, m);
    build_int(g, node, "axis", 1);
    t = build_node(g, "Mul", "q", 2, node->outputs[0],
                   build_floats(g, "scale", 0.5, 0.1, DIMS(8, 1, 1)))
            ->outputs[0];
    t = node1(g, "Tanh", "t", conv(g, "c3", t, "w3", -0.1)->outputs[0]);
    flat = build_node(g, "Reshape", "flat", 2, t, build_ints(g, "shape", DIMS(1, -1)))->outputs[0];
    node = build_node(g, "ArgMax", "best", 1, flat);
    build_int(g, node, "axis", 1);
    build_output(g, flat);
    build_output(g, node->outputs[0]);
    finish(g);
}

static const tare_dtype storages[] = {TARE_DTYPE_FLOAT, TARE_DTYPE_FLOAT16};

#define EACH_STORAGE(device)                                                                       \
    for (size_t each = 0; each < 2 && (fake_device_init(&(device), storages[each]), true); each++)

/* ---- tests ---- */

Test(exec_device, a_network_wholly_on_the_device_computes_what_the_host_computes) {
    tare_device device;
    EACH_STORAGE(device) {
        outcome out;
        tare_graph g;
        network(&g);
        compare(&out, &g, &device, (tare_plan_options){.outputs_to_host = true});
        cr_assert_eq(out.host_steps, 0);
        cr_assert_eq(out.copies, 3, "one input and two outputs, not %zu copies", out.copies);
        cr_assert_not(out.can_record);
        cr_assert_gt(out.device_workspace_bytes, 0);
        cr_assert_eq(out.device_workspace_bytes % 256, 0);
        outcome_release(&out);
        tare_graph_release(&g);
    }
}

Test(exec_device, what_the_device_refuses_runs_on_the_host_between_copies) {
    static const char *const refused[] = {" Softmax ",         " Conv ",
                                          " Relu Sigmoid ",    " Reshape ",
                                          " Add Mul ArgMax ",  " Tanh Reshape ArgMax ",
                                          " Conv Mul Reorder "};
    tare_device device;
    EACH_STORAGE(device) {
        for (size_t i = 0; i < sizeof refused / sizeof refused[0]; i++) {
            for (int fusion = 0; fusion < 2; fusion++) {
                outcome out;
                tare_graph g;
                /* Without reorders float16 cannot be had from float32 at all. */
                if (device.storage == TARE_DTYPE_FLOAT16 && strstr(refused[i], "Reorder")) {
                    continue;
                }
                network(&g);
                device.refused = refused[i];
                compare(&out, &g, &device,
                        (tare_plan_options){.outputs_to_host = true,
                                            .fallback = &tare_backend_cpu,
                                            .no_fusion = fusion == 0});
                cr_assert_not(out.can_record);
                outcome_release(&out);
                tare_graph_release(&g);
            }
        }
    }
}

Test(exec_device, a_node_that_nobody_can_compute_is_named) {
    tare_device device;
    tare_plan_options options = {.device = &device, .threads_per_run = 1};
    tare_plan *plan = NULL;
    tare_error err;
    tare_graph g;
    network(&g);
    fake_device_init(&device, TARE_DTYPE_FLOAT);
    device.refused = " Softmax ";
    cr_assert_eq(tare_plan_build(&plan, &g, fake_backend(), &options, &err), TARE_UNSUPPORTED);
    cr_assert_not_null(strstr(err.text, "(Softmax)"), "%s", err.text);
    cr_assert_null(plan);
    fake_device_check_empty(&device);
    tare_graph_release(&g);
}

Test(exec_device, a_fallback_that_is_not_in_host_memory_is_refused) {
    tare_device device;
    tare_plan_options options = {.device = &device, .fallback = fake_backend()};
    tare_plan *plan = NULL;
    tare_error err;
    tare_graph g;
    network(&g);
    fake_device_init(&device, TARE_DTYPE_FLOAT);
    cr_assert_eq(tare_plan_build(&plan, &g, fake_backend(), &options, &err), TARE_INVALID_ARGUMENT);
    options.fallback = NULL;
    cr_assert_eq(tare_plan_build(&plan, &g, &tare_backend_cpu, &options, &err),
                 TARE_INVALID_ARGUMENT);
    cr_assert_not_null(strstr(err.text, "'cpu'"), "%s", err.text);
    tare_graph_release(&g);
}

Test(exec_device, watched_values_are_handed_over_on_the_device_in_the_storage_type) {
    static const char *const refused[] = {NULL, " Softmax Tanh ", " Conv Reshape "};
    static const char *const names[] = {"x", "c1", "r2", "p", "t", "flat"};
    tare_device device;
    EACH_STORAGE(device) {
        for (size_t i = 0; i < 3; i++) {
            bool watched[MAX_VALUES] = {false};
            outcome out;
            tare_graph g;
            network(&g);
            for (size_t k = 0; k < 6; k++) {
                watched[tare_graph_find_value(&g, names[k])->id] = true;
            }
            device.refused = refused[i];
            compare(&out, &g, &device,
                    (tare_plan_options){.watched = watched, .fallback = &tare_backend_cpu});
            for (size_t k = 0; k < 6; k++) {
                const size_t id = tare_graph_find_value(&g, names[k])->id;
                cr_assert_eq(out.watched[id].desc.dtype, device.storage, "%s", names[k]);
            }
            outcome_release(&out);
            tare_graph_release(&g);
        }
    }
}

Test(exec_device, a_plan_tells_how_it_takes_inputs_and_hands_over_values) {
    static const bool on_device[] = {true};
    bool watched[MAX_VALUES] = {false};
    tare_device device;
    tare_plan *plan = NULL;
    tare_desc desc;
    tare_graph g;
    network(&g);
    fake_device_init(&device, TARE_DTYPE_FLOAT16);
    watched[tare_graph_find_value(&g, "r2")->id] = true;
    const tare_plan_options options = {
        .device = &device, .inputs_on_device = on_device, .watched = watched};
    cr_assert_eq(tare_plan_build(&plan, &g, fake_backend(), &options, NULL), TARE_OK);
    cr_assert(tare_plan_input_desc(&desc, plan, 0));
    cr_assert(desc.dtype == TARE_DTYPE_FLOAT16 && desc.layout == TARE_LAYOUT_CHANNELS_LAST);
    cr_assert(tare_plan_watched_desc(&desc, plan, tare_graph_find_value(&g, "r2")->id));
    cr_assert(desc.dtype == TARE_DTYPE_FLOAT16 && desc.layout == TARE_LAYOUT_CHANNELS_LAST);
    cr_assert_not(tare_plan_watched_desc(&desc, plan, tare_graph_find_value(&g, "x")->id));
    cr_assert_not(tare_plan_watched_desc(&desc, plan, tare_graph_find_value(&g, "w1")->id));
    tare_plan_free(plan);
    fake_device_check_empty(&device);
    tare_graph_release(&g);
}

Test(exec_device, with_inputs_on_the_device_and_no_outputs_a_run_can_be_recorded) {
    static const bool on_device[] = {true};
    tare_device device;
    EACH_STORAGE(device) {
        bool watched[MAX_VALUES] = {false};
        outcome out;
        tare_graph g;
        network(&g);
        watched[tare_graph_find_value(&g, "x")->id] = true;
        watched[tare_graph_find_value(&g, "t")->id] = true;
        compare(&out, &g, &device,
                (tare_plan_options){.watched = watched,
                                    .inputs_on_device = on_device,
                                    .fallback = &tare_backend_cpu});
        cr_assert(out.can_record);
        cr_assert_eq(out.copies, 0);
        cr_assert_eq(out.workspace_bytes, 0);
        cr_assert_not(out.outputs[0].seen, "an output that was not asked for");
        outcome_release(&out);
        tare_graph_release(&g);
    }
}

Test(exec_device, constants_that_a_kernel_took_over_are_not_uploaded) {
    size_t uploaded[2], weights[2];
    for (size_t i = 0; i < 2; i++) {
        static const bool on_device[] = {true};
        tare_device device;
        outcome out;
        tare_graph g;
        network(&g);
        fake_device_init(&device, TARE_DTYPE_FLOAT16);
        device.takes_over = i == 1;
        compare(&out, &g, &device,
                (tare_plan_options){.inputs_on_device = on_device, .outputs_to_host = true});
        uploaded[i] = device.uploaded_bytes;
        weights[i] = out.device_weight_bytes;
        outcome_release(&out);
        tare_graph_release(&g);
    }
    /* Three convolutions of 8 x 8 x 3 x 3; the scale stays, the shape of Reshape never went. */
    cr_assert_eq(uploaded[0], 3 * 576 * 4 + 8 * 4);
    cr_assert_eq(uploaded[1], 8 * 4);
    cr_assert_eq(weights[0] - weights[1], 3 * 576 * 4);
}

/* Integers, a kernel with several outputs, constants among the operands of a concatenation. */
static void mixed_graph(tare_graph *g, int64_t batch) {
    tare_value *x, *index, *picked, *part;
    tare_node *node;
    build_graph(g, 13);
    x = build_input(g, "x", TARE_DTYPE_FLOAT, DIMS(batch, 6, 4, 3));
    index = build_input(g, "index", TARE_DTYPE_INT64, DIMS(2));
    node = build_node(g, "Gather", "picked", 2, x, index);
    build_int(g, node, "axis", 2);
    picked = node->outputs[0];
    node = build_node(g, "Split", "low", 2, picked, build_ints(g, "parts", DIMS(2, 4)));
    build_int(g, node, "axis", 1);
    part = build_more(g, node, "high");
    node = build_node(g, "Concat", "joined", 2, part, node->outputs[0]);
    build_int(g, node, "axis", 1);
    part = build_node(g, "Transpose", "turned", 1, node->outputs[0])->outputs[0];
    build_list(g, part->producer, "perm", DIMS(0, 2, 3, 1));
    part = build_node(g, "Add", "moved", 2, part, build_floats(g, "by", 1.0, 0.5, DIMS(6)))
               ->outputs[0];
    part = build_node(g, "Greater", "above", 2, part, build_floats(g, "limit", 2.0, 0.0, SCALAR))
               ->outputs[0];
    build_output(g, part);
    build_output(g, tare_graph_find_value(g, "moved"));
    build_output(g, build_node(g, "Add", "twice", 2, index, index)->outputs[0]);
    build_output(g, x);
    finish(g);
}

Test(exec_device, integers_several_outputs_and_empty_tensors_pass_through_every_place) {
    static const char *const refused[] = {NULL, " Split ", " Gather Transpose ",
                                          " Concat Greater "};
    static const bool on_device[] = {true, false};
    tare_device device;
    EACH_STORAGE(device) {
        for (size_t i = 0; i < 16; i++) {
            outcome out;
            tare_graph g;
            mixed_graph(&g, i % 2 == 0 ? 2 : 0);
            if (i % 2 == 1 && i >= 8) {
                tare_graph_release(&g);
                continue; /* memory of 0 bytes cannot be asked for */
            }
            device.refused = refused[i / 2 % 4];
            compare(&out, &g, &device,
                    (tare_plan_options){.fallback = &tare_backend_cpu,
                                        .inputs_on_device = i < 8 ? NULL : on_device,
                                        .outputs_to_host = true});
            outcome_release(&out);
            tare_graph_release(&g);
        }
    }
}

Test(exec_device, a_shape_of_a_host_value_does_not_take_it_to_the_device) {
    tare_device device;
    outcome out;
    tare_graph g;
    tare_value *x, *y;
    build_graph(&g, 13);
    x = build_input(&g, "x", TARE_DTYPE_FLOAT, DIMS(4, 6));
    x = node1(&g, "Softmax", "a", x);
    x = build_node(&g, "Reshape", "b", 2, x, build_ints(&g, "shape", DIMS(6, 4)))->outputs[0];
    y = node1(&g, "Softmax", "c", x);
    build_output(&g, y);
    finish(&g);
    fake_device_init(&device, TARE_DTYPE_FLOAT);
    device.refused = " Softmax ";
    compare(&out, &g, &device,
            (tare_plan_options){.fallback = &tare_backend_cpu, .outputs_to_host = true});
    cr_assert_eq(out.copies, 0);
    cr_assert_eq(out.host_steps, 2);
    cr_assert_eq(device.uploaded_bytes, 0);
    outcome_release(&out);
    tare_graph_release(&g);
}

Test(exec_device, values_of_one_position_change_layout_and_place_at_once) {
    static const char *const refused[] = {NULL,        " GlobalAveragePool ", " Conv Reshape ",
                                          " Softmax ", " Conv Softmax ",      " Reshape Sigmoid "};
    tare_device device;
    EACH_STORAGE(device) {
        for (size_t i = 0; i < sizeof refused / sizeof refused[0]; i++) {
            outcome out;
            tare_graph g;
            tare_value *x, *z, *w;
            tare_node *node;
            build_graph(&g, 13);
            x = build_input(&g, "x", TARE_DTYPE_FLOAT, DIMS(1, 8, 6, 5));
            x = node1(&g, "GlobalAveragePool", "a", conv(&g, "c1", x, "w1", -0.2)->outputs[0]);
            z = build_input(&g, "z", TARE_DTYPE_FLOAT, DIMS(1, 8, 1, 1));
            w = build_floats(&g, "w2", -0.3, 0.01, DIMS(8, 8, 1, 1));
            x = build_node(&g, "Conv", "c2", 2, x, w)->outputs[0];
            z = build_node(&g, "Conv", "c3", 2, z, w)->outputs[0];
            x = build_node(&g, "Add", "sum", 2, x, z)->outputs[0];
            node = build_node(&g, "Softmax", "p", 1, node1(&g, "Sigmoid", "s", x));
            build_int(&g, node, "axis", 1);
            build_output(&g, node->outputs[0]);
            build_output(&g, build_node(&g, "Reshape", "flat", 2, node->outputs[0],
                                        build_ints(&g, "shape", DIMS(2, 4)))
                                 ->outputs[0]);
            finish(&g);
            device.refused = refused[i];
            compare(&out, &g, &device,
                    (tare_plan_options){.fallback = &tare_backend_cpu, .outputs_to_host = true});
            outcome_release(&out);
            tare_graph_release(&g);
        }
    }
}

Test(exec_device, a_failure_of_any_call_is_reported_and_leaves_nothing_behind) {
    static const bool on_device[] = {true};
    bool watched[MAX_VALUES] = {false};
    tare_device device;
    tare_graph g;
    size_t failed = 0;
    network(&g);
    watched[tare_graph_find_value(&g, "r2")->id] = true;
    for (int inputs = 0; inputs < 2; inputs++) {
        tare_status status = TARE_BACKEND;
        for (long k = 0; status != TARE_OK; k++) {
            const tare_plan_options options = {.device = &device,
                                               .fallback = &tare_backend_cpu,
                                               .inputs_on_device = inputs == 0 ? NULL : on_device,
                                               .outputs_to_host = true,
                                               .watched = watched,
                                               .threads_per_run = 1};
            outcome out = {0};
            tare_error err = {TARE_OK, ""};
            fake_device_init(&device, TARE_DTYPE_FLOAT16);
            device.refused = " Softmax ";
            device.fail_at = k;
            status = run_graph(&out, &g, &options, &err);
            cr_assert(status == TARE_OK || status == TARE_BACKEND);
            if (status != TARE_OK) {
                failed++;
                cr_assert_not_null(strstr(err.text, "injected"), "%s", err.text);
            }
            fake_device_check_empty(&device);
            outcome_release(&out);
        }
    }
    cr_assert_gt(failed, 100, "only %zu calls failed", failed);
    tare_graph_release(&g);
}
