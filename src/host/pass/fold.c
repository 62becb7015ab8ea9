/* SPDX-License-Identifier: Apache-2.0 */
/** Evaluating a node whose inputs are constants. */
#include "pass/fold.h"

#include <stdlib.h>
#include <string.h>

#include "ops/op.h"

bool tare_pass_is_foldable(const tare_node *node) {
    bool open = false;
    for (size_t i = 0; i < node->input_count; i++) {
        if (node->inputs[i] != NULL && node->inputs[i]->constant == NULL) {
            return false;
        }
    }
    for (size_t i = 0; i < node->output_count; i++) {
        open = open || (node->outputs[i] != NULL && node->outputs[i]->constant == NULL);
    }
    return open;
}

static size_t value_bytes(const tare_value *value) {
    size_t bytes = 0;
    if (value != NULL && !tare_dims_bytes(&bytes, value->dtype, value->rank, value->dims)) {
        bytes = SIZE_MAX / 64;
    }
    return bytes;
}

/* Growing results (a broadcast scalar) would fill memory with what a run can make in place. */
static bool is_small_enough(const tare_node *node) {
    size_t in = 0, out = 0;
    for (size_t i = 0; i < node->input_count; i++) {
        in += value_bytes(node->inputs[i]);
    }
    for (size_t i = 0; i < node->output_count; i++) {
        out += value_bytes(node->outputs[i]);
    }
    return out <= TARE_FOLD_BYTES || out <= in;
}

static tare_desc describe(const tare_value *value) {
    tare_desc desc = {.rank = -1, .layout = TARE_LAYOUT_PLAIN};
    if (value != NULL) {
        desc.dtype = value->dtype;
        desc.rank = value->rank;
        memcpy(desc.dims, value->dims, sizeof desc.dims);
    }
    return desc;
}

/* The operands of one evaluation; arrays live in the graph's arena. */
typedef struct evaluation {
    tare_prepare prepare;
    tare_run run;
    const void **inputs;
    void **outputs;
    tare_tensor **results; /* per output; NULL where it is left out */
} evaluation;

static tare_status describe_inputs(evaluation *e, tare_graph *graph, const tare_node *node,
                                   tare_error *err) {
    tare_arena *arena = &graph->arena;
    tare_desc *descs = tare_arena_array(arena, node->input_count, sizeof *descs);
    const tare_tensor **constants = tare_arena_array(arena, node->input_count, sizeof *constants);

    e->inputs = tare_arena_array(arena, node->input_count, sizeof *e->inputs);
    if (descs == NULL || constants == NULL || e->inputs == NULL) {
        return tare_fail_memory(err, node->input_count * sizeof *descs, "operands");
    }
    for (size_t i = 0; i < node->input_count; i++) {
        descs[i] = describe(node->inputs[i]);
        if (node->inputs[i] != NULL) {
            constants[i] = node->inputs[i]->constant;
            e->inputs[i] = constants[i]->data;
        }
    }
    e->prepare.input_count = node->input_count;
    e->prepare.inputs = descs;
    e->prepare.constants = constants;
    e->run.inputs = e->inputs;
    return TARE_OK;
}

static tare_status describe_outputs(evaluation *e, tare_graph *graph, const tare_node *node,
                                    tare_error *err) {
    tare_arena *arena = &graph->arena;
    tare_desc *descs = tare_arena_array(arena, node->output_count, sizeof *descs);

    e->outputs = tare_arena_array(arena, node->output_count, sizeof *e->outputs);
    e->results = tare_arena_array(arena, node->output_count, sizeof *e->results);
    if (descs == NULL || e->outputs == NULL || e->results == NULL) {
        return tare_fail_memory(err, node->output_count * sizeof *descs, "operands");
    }
    for (size_t i = 0; i < node->output_count; i++) {
        const tare_value *value = node->outputs[i];
        if (value != NULL && value->constant != NULL) {
            value = NULL; /* known already, so the kernel need not make it */
        }
        descs[i] = describe(value);
        if (value == NULL) {
            continue;
        }
        e->results[i] = tare_graph_new_tensor(graph);
        if (e->results[i] == NULL) {
            return tare_fail_memory(err, sizeof(tare_tensor), "a tensor");
        }
        TARE_TRY(tare_tensor_init(e->results[i], value->dtype, value->rank, value->dims, err));
        e->outputs[i] = tare_tensor_elements(e->results[i]);
    }
    e->prepare.output_count = node->output_count;
    e->prepare.outputs = descs;
    e->run.outputs = e->outputs;
    return TARE_OK;
}

static void set_results(const evaluation *e, const tare_node *node) {
    for (size_t i = 0; i < node->output_count; i++) {
        if (e->results[i] != NULL) {
            node->outputs[i]->constant = e->results[i];
        }
    }
}

/* Prepares and runs one kernel row. */
static tare_status run_kernel(evaluation *e, const tare_kernel *kernel, tare_error *err) {
    void *private_data = calloc(1, kernel->private_size + 1);
    void *scratch = NULL;
    tare_status status = TARE_OK;

    if (private_data == NULL) {
        return tare_fail_memory(err, kernel->private_size, "a kernel");
    }
    e->prepare.private_data = private_data;
    e->prepare.scratch_bytes = 0;
    if (kernel->prepare != NULL) {
        TARE_TRY_DONE(status, kernel->prepare(&e->prepare, err));
    }
    scratch = aligned_alloc(64, (e->prepare.scratch_bytes + 127) / 64 * 64);
    if (scratch == NULL) {
        status = tare_fail_memory(err, e->prepare.scratch_bytes, "scratch memory");
        goto done;
    }
    e->run.private_data = private_data;
    e->run.scratch = scratch;
    status = kernel->run(&e->run, err);
done:
    if (kernel->release != NULL) {
        kernel->release(private_data);
    }
    free(private_data);
    free(scratch);
    return status;
}

static tare_status share_view(tare_graph *graph, tare_node *node, tare_error *err) {
    tare_value *value = node->outputs[0];
    tare_tensor *tensor = tare_graph_new_tensor(graph);
    if (tensor == NULL) {
        return tare_fail_memory(err, sizeof *tensor, "a tensor");
    }
    tare_tensor_share(tensor, node->inputs[0]->constant);
    tensor->rank = value->rank;
    memcpy(tensor->dims, value->dims, sizeof tensor->dims);
    value->constant = tensor;
    return TARE_OK;
}

static bool needs_reorder(const tare_kernel *kernel, const tare_node *node) {
    for (size_t i = 0; i < node->output_count; i++) {
        const tare_value *value = node->outputs[i];
        if (kernel->layout == TARE_LAYOUT_RULE_LAST && value != NULL && value->rank >= 3 &&
            value->rank <= 5) {
            return true;
        }
    }
    return false;
}

static tare_status evaluate(tare_graph *graph, tare_node *node, const tare_backend *backend,
                            tare_error *err) {
    const char *name = tare_op_kernel(node->op);
    evaluation e = {.prepare = {.node = node, .attrs = node->attrs}};
    tare_status status =
        tare_fail(err, TARE_UNSUPPORTED, "the %s backend has no kernel '%s'", backend->name, name);
    const tare_kernel *kernel = tare_backend_kernel(backend, name, 0);

    if (kernel != NULL && kernel->view && node->outputs[0] != NULL) {
        return share_view(graph, node, err);
    }
    TARE_TRY(describe_inputs(&e, graph, node, err));
    TARE_TRY(describe_outputs(&e, graph, node, err));
    for (size_t n = 0; (kernel = tare_backend_kernel(backend, name, n)) != NULL; n++) {
        if (needs_reorder(kernel, node)) {
            return TARE_OK;
        }
        status = run_kernel(&e, kernel, err);
        if (status == TARE_OK) {
            set_results(&e, node);
        }
        if (status != TARE_UNSUPPORTED) {
            break;
        }
    }
    return status;
}

tare_status tare_pass_fold(tare_graph *graph, tare_node *node, const tare_backend *backend,
                           tare_error *err) {
    tare_status status;
    if (!is_small_enough(node)) {
        return TARE_OK;
    }
    status = evaluate(graph, node, backend, err);
    if (status != TARE_OK) {
        char text[TARE_NODE_TEXT_BYTES];
        tare_error_prepend(err, "%s: ", tare_node_text(text, sizeof text, node));
    }
    return status;
}
