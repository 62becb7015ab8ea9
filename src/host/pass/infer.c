/* SPDX-License-Identifier: Apache-2.0 */
/** Types and shapes of a whole graph for concrete inputs, with constants folded. */
#include "pass/infer.h"

#include <stdlib.h>
#include <string.h>

#include "base/text.h"
#include "ops/op.h"
#include "pass/dead.h"
#include "pass/fold.h"

static tare_value *find_input(const tare_graph *graph, const char *name) {
    for (size_t i = 0; i < graph->input_count; i++) {
        if (strcmp(graph->inputs[i]->name, name) == 0) {
            return graph->inputs[i];
        }
    }
    return NULL;
}

static bool has_name(const tare_value *input, int axis) {
    return input->dim_names[axis] != NULL && input->dim_names[axis][0] != '\0';
}

static tare_status contradiction(const tare_value *input, const tare_shape_binding *binding,
                                 tare_error *err) {
    char declared[TARE_DIMS_TEXT_BYTES], given[TARE_DIMS_TEXT_BYTES];
    return tare_fail(err, TARE_INVALID_ARGUMENT,
                     "input '%s' has the shape %s in the model, %s is given", input->name,
                     tare_dims_text(declared, sizeof declared, input->rank, input->dims),
                     tare_dims_text(given, sizeof given, binding->rank, binding->dims));
}

static tare_status bind_input(tare_graph *graph, const tare_shape_binding *binding,
                              tare_error *err) {
    tare_value *input = find_input(graph, binding->name);
    if (input == NULL) {
        return tare_fail(err, TARE_INVALID_ARGUMENT, "the model has no input '%s'", binding->name);
    }
    if (binding->rank < 0 || binding->rank > TARE_MAX_RANK ||
        tare_dims_count(binding->rank, binding->dims) < 0 ||
        (input->rank >= 0 && input->rank != binding->rank)) {
        return contradiction(input, binding, err);
    }
    for (int i = 0; i < input->rank; i++) {
        /* A named dim was fixed by an earlier call or by a dim of the same name, if at all. */
        if (input->dims[i] >= 0 && input->dim_names[i] == NULL &&
            input->dims[i] != binding->dims[i]) {
            return contradiction(input, binding, err);
        }
    }
    for (int i = 0; i < binding->rank; i++) {
        /* An empty name remembers that an anonymous dim was open. */
        if ((input->rank < 0 || input->dims[i] < 0) && input->dim_names[i] == NULL) {
            input->dim_names[i] = "";
        }
    }
    input->rank = binding->rank;
    memcpy(input->dims, binding->dims, sizeof input->dims);
    return TARE_OK;
}

static bool is_bound(const tare_value *input, const tare_shape_binding *bindings, size_t count) {
    for (size_t i = 0; i < count; i++) {
        if (strcmp(bindings[i].name, input->name) == 0) {
            return true;
        }
    }
    return false;
}

/* Forgets what an earlier call put in the place of named dims. */
static void reopen_dims(tare_graph *graph) {
    for (size_t i = 0; i < graph->input_count; i++) {
        tare_value *input = graph->inputs[i];
        for (int k = 0; k < input->rank && !input->is_initializer; k++) {
            if (input->dim_names[k] != NULL) {
                input->dims[k] = -1;
            }
        }
    }
}

/* Carries the number behind a dim's name from `from` to all inputs. */
static tare_status spread_name(tare_graph *graph, const tare_value *from, int axis,
                               tare_error *err) {
    const char *name = from->dim_names[axis];
    for (size_t i = 0; i < graph->input_count; i++) {
        tare_value *input = graph->inputs[i];
        for (int k = 0; k < input->rank; k++) {
            if (input->dim_names[k] == NULL || strcmp(input->dim_names[k], name) != 0 ||
                input->is_initializer) {
                continue;
            }
            if (input->dims[k] >= 0 && input->dims[k] != from->dims[axis]) {
                return tare_fail(err, TARE_INVALID_ARGUMENT,
                                 "dim '%s' is %lld in input '%s' and %lld in input '%s'", name,
                                 (long long)from->dims[axis], from->name, (long long)input->dims[k],
                                 input->name);
            }
            input->dims[k] = from->dims[axis];
        }
    }
    return TARE_OK;
}

static tare_status check_input(const tare_value *input, tare_error *err) {
    char text[TARE_DIMS_TEXT_BYTES];
    if (!input->is_tensor_type || input->dtype == TARE_DTYPE_UNDEFINED) {
        return tare_fail(err, TARE_UNSUPPORTED, "input '%s' is not a tensor", input->name);
    }
    if (input->rank < 0) {
        return tare_fail(err, TARE_INVALID_ARGUMENT,
                         "the number of dims of input '%s' is not known; give its shape",
                         input->name);
    }
    for (int i = 0; i < input->rank; i++) {
        if (input->dims[i] < 0) {
            return tare_fail(err, TARE_INVALID_ARGUMENT,
                             "dim %d%s%s%s of input '%s' %s is not known; give its shape", i,
                             has_name(input, i) ? " ('" : "",
                             has_name(input, i) ? input->dim_names[i] : "",
                             has_name(input, i) ? "')" : "", input->name,
                             tare_dims_text(text, sizeof text, input->rank, input->dims));
        }
    }
    return TARE_OK;
}

static tare_status bind_inputs(tare_graph *graph, const tare_shape_binding *bindings, size_t count,
                               tare_error *err) {
    reopen_dims(graph);
    for (size_t i = 0; i < count; i++) {
        TARE_TRY(bind_input(graph, &bindings[i], err));
    }
    for (size_t i = 0; i < graph->input_count; i++) {
        const tare_value *input = graph->inputs[i];
        for (int k = 0; k < input->rank && is_bound(input, bindings, count); k++) {
            if (has_name(input, k)) {
                TARE_TRY(spread_name(graph, input, k, err));
            }
        }
    }
    for (size_t i = 0; i < graph->input_count; i++) {
        if (!graph->inputs[i]->is_initializer) {
            TARE_TRY(check_input(graph->inputs[i], err));
        }
    }
    return TARE_OK;
}

/* Different operators without a row, as many as fit into a message. */
typedef struct missing_operators {
    const tare_node *nodes[12];
    size_t count;
    bool more;
} missing_operators;

static void add_missing(missing_operators *missing, const tare_node *node) {
    for (size_t i = 0; i < missing->count; i++) {
        if (strcmp(missing->nodes[i]->op_type, node->op_type) == 0 &&
            strcmp(missing->nodes[i]->domain, node->domain) == 0) {
            return;
        }
    }
    if (missing->count < sizeof missing->nodes / sizeof missing->nodes[0]) {
        missing->nodes[missing->count++] = node;
    } else {
        missing->more = true;
    }
}

/* One message for everything that is missing: whoever adds support wants the whole list. */
static tare_status check_supported(const tare_graph *graph, const bool *live, tare_error *err) {
    char place[TARE_NODE_TEXT_BYTES];
    missing_operators missing = {.count = 0};
    tare_text list = {0};
    tare_status status;

    for (size_t i = 0; i < graph->node_count; i++) {
        if (live[i] && graph->nodes[i]->op == NULL) {
            add_missing(&missing, graph->nodes[i]);
        }
    }
    if (missing.count == 0) {
        return TARE_OK;
    }
    for (size_t i = 0; i < missing.count; i++) {
        tare_text_add(&list, "%s%s%s%s", i == 0 ? "" : ", ", missing.nodes[i]->domain,
                      missing.nodes[i]->domain[0] == '\0' ? "" : ".", missing.nodes[i]->op_type);
    }
    status = tare_text_check(&list, err);
    if (status == TARE_OK) {
        status = tare_fail(
            err, TARE_UNSUPPORTED, "%s: operators that are not supported in opset %lld: %s%s",
            tare_node_text(place, sizeof place, missing.nodes[0]),
            (long long)tare_graph_opset(graph, ""), list.data, missing.more ? " and more" : "");
    }
    tare_text_release(&list);
    return status;
}

/* Constants that nodes made are those of an earlier call with other shapes. */
static void forget_results(tare_graph *graph) {
    for (size_t i = 0; i < graph->value_count; i++) {
        if (graph->values[i]->producer != NULL) {
            graph->values[i]->constant = NULL;
        }
    }
}

static tare_status infer_nodes(tare_graph *graph, const bool *live, const tare_backend *backend,
                               tare_error *err) {
    if (backend != NULL && backend->thread_begin != NULL) {
        backend->thread_begin(1);
    }
    for (size_t i = 0; i < graph->node_count; i++) {
        tare_node *node = graph->nodes[i];
        if (!live[i]) {
            continue;
        }
        TARE_TRY(tare_op_infer(graph, node, err));
        if (backend != NULL && tare_pass_is_foldable(node)) {
            TARE_TRY(tare_pass_fold(graph, node, backend, err));
        }
    }
    return TARE_OK;
}

tare_status tare_pass_infer(tare_graph *graph, const tare_backend *backend,
                            const tare_shape_binding *bindings, size_t binding_count,
                            tare_error *err) {
    bool *live = NULL;
    tare_status status;

    TARE_TRY(bind_inputs(graph, bindings, binding_count, err));
    live = calloc(graph->node_count + 1, sizeof *live);
    if (live == NULL) {
        return tare_fail_memory(err, graph->node_count, "marking nodes");
    }
    forget_results(graph);
    TARE_TRY_DONE(status, tare_pass_live(live, graph, err));
    TARE_TRY_DONE(status, tare_ops_resolve(graph, err));
    TARE_TRY_DONE(status, check_supported(graph, live, err));
    status = infer_nodes(graph, live, backend, err);
done:
    free(live);
    return status;
}
