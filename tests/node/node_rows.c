/* SPDX-License-Identifier: Apache-2.0 */
/** Running the only node of a case with kernel rows directly: every row, every layout, in place. */
#include <stdlib.h>
#include <string.h>

#include "cpu/copy.h"
#include "node_case.h"
#include "ops/op.h"

/* One way to run the node. */
typedef struct variant {
    const tare_kernel *kernel;
    bool last;    /* computed operands are channels-last */
    int in_place; /* the input whose memory the output takes, or -1 */
} variant;

typedef struct operands {
    tare_desc inputs[NODE_CASE_TENSORS], outputs[NODE_CASE_TENSORS];
    const tare_tensor *constants[NODE_CASE_TENSORS];
    void *input_data[NODE_CASE_TENSORS], *output_data[NODE_CASE_TENSORS];
} operands;

static tare_desc describe(const tare_value *value, bool last) {
    tare_desc desc = {.rank = -1};
    if (value != NULL) {
        desc.dtype = value->dtype;
        desc.rank = value->rank;
        memcpy(desc.dims, value->dims, sizeof desc.dims);
        desc.layout = last && value->rank >= 3 && value->rank <= 5 ? TARE_LAYOUT_CHANNELS_LAST
                                                                   : TARE_LAYOUT_PLAIN;
    }
    return desc;
}

static const void *contents(const node_case *c, const tare_value *value) {
    if (value->constant != NULL) {
        return value->constant->data;
    }
    for (size_t i = 0; i < c->graph.input_count; i++) {
        if (c->graph.inputs[i] == value) {
            return c->inputs[i].data;
        }
    }
    return NULL;
}

/* Whether any computed input takes part in channels-last runs, and what the outputs become then. */
static bool outputs_last(const node_case *c, const variant *v) {
    const tare_node *node = c->graph.nodes[0];
    if (!v->last || v->kernel->layout == TARE_LAYOUT_RULE_ANY) {
        return false;
    }
    if (v->kernel->layout == TARE_LAYOUT_RULE_LAST) {
        return true;
    }
    for (size_t i = 0; i < node->input_count; i++) {
        const tare_value *value = node->inputs[i];
        if (value != NULL && node->outputs[0] != NULL && value->constant == NULL &&
            value->rank == node->outputs[0]->rank) {
            return true;
        }
    }
    return false;
}

static tare_status fill(operands *o, const node_case *c, const variant *v, tare_error *err) {
    const tare_node *node = c->graph.nodes[0];
    const bool last = outputs_last(c, v);

    for (size_t i = 0; i < node->input_count; i++) {
        const tare_value *value = node->inputs[i];
        tare_desc plain;
        tare_copy copy;
        o->inputs[i] = describe(value, v->last && value != NULL && value->constant == NULL);
        if (value == NULL) {
            continue;
        }
        plain = describe(value, false);
        o->constants[i] = value->constant;
        o->input_data[i] = aligned_alloc(64, (tare_desc_bytes(&plain) + 64) / 64 * 64);
        if (o->input_data[i] == NULL) {
            return tare_fail_memory(err, tare_desc_bytes(&plain), "an operand");
        }
        tare_copy_between(&copy, &o->inputs[i], &plain);
        tare_copy_run(&copy, o->input_data[i], contents(c, value));
    }
    for (size_t i = 0; i < node->output_count; i++) {
        o->outputs[i] = describe(node->outputs[i], last);
        if (o->outputs[i].rank < 0) {
            continue;
        }
        o->output_data[i] = aligned_alloc(64, (tare_desc_bytes(&o->outputs[i]) + 64) / 64 * 64);
        if (o->output_data[i] == NULL) {
            return tare_fail_memory(err, tare_desc_bytes(&o->outputs[i]), "an operand");
        }
        memset(o->output_data[i], 0xA5, tare_desc_bytes(&o->outputs[i]));
    }
    return TARE_OK;
}

static void release(operands *o, int in_place) {
    for (int i = 0; i < NODE_CASE_TENSORS; i++) {
        free(o->input_data[i]);
        if (i != 0 || in_place < 0) {
            free(o->output_data[i]);
        }
    }
}

static tare_status compare(node_errors *errors, const node_case *c, const operands *o,
                           tare_error *err) {
    const tare_node *node = c->graph.nodes[0];
    for (size_t i = 0; i < c->graph.output_count; i++) {
        for (size_t k = 0; k < node->output_count; k++) {
            const tare_desc plain = describe(node->outputs[k], false);
            tare_status status;
            tare_copy copy;
            void *found;
            if (node->outputs[k] != c->graph.outputs[i] || !c->has_expected[i]) {
                continue;
            }
            found = malloc(tare_desc_bytes(&plain) + 1);
            if (found == NULL) {
                return tare_fail_memory(err, tare_desc_bytes(&plain), "an operand");
            }
            tare_copy_between(&copy, &plain, &o->outputs[k]);
            tare_copy_run(&copy, found, o->output_data[k]);
            status = node_case_compare(errors, c, i, found, err);
            free(found);
            TARE_TRY(status);
        }
    }
    return TARE_OK;
}

static bool same_desc(const tare_desc *a, const tare_desc *b) {
    return a->dtype == b->dtype && a->rank == b->rank && a->layout == b->layout &&
           memcmp(a->dims, b->dims, (size_t)a->rank * sizeof a->dims[0]) == 0;
}

/* TARE_UNSUPPORTED: the row does not take these operands. */
static tare_status run_variant(node_errors *errors, const node_case *c, const variant *v,
                               tare_error *err) {
    const tare_node *node = c->graph.nodes[0];
    operands o = {0};
    void *scratch = NULL;
    tare_prepare prepare = {.node = node,
                            .attrs = node->attrs,
                            .input_count = node->input_count,
                            .inputs = o.inputs,
                            .constants = o.constants,
                            .output_count = node->output_count,
                            .outputs = o.outputs,
                            .private_data = calloc(1, v->kernel->private_size + 1)};
    const tare_run run = {.private_data = prepare.private_data,
                          .inputs = (const void *const *)o.input_data,
                          .outputs = o.output_data};
    tare_run with_scratch = run;
    tare_status status;

    TARE_TRY_DONE(status, fill(&o, c, v, err));
    if (v->in_place >= 0) {
        if (o.outputs[0].rank < 0 || o.constants[v->in_place] != NULL ||
            o.inputs[v->in_place].rank < 0 || !same_desc(&o.inputs[v->in_place], &o.outputs[0])) {
            free(o.output_data[0]);
            status = tare_fail(err, TARE_UNSUPPORTED, "not in place");
            goto done;
        }
        free(o.output_data[0]);
        o.output_data[0] = o.input_data[v->in_place];
    }
    TARE_TRY_DONE(status, v->kernel->prepare(&prepare, err));
    scratch = aligned_alloc(64, (prepare.scratch_bytes + 64) / 64 * 64);
    with_scratch.scratch = scratch;
    TARE_TRY_DONE(status, v->kernel->run(&with_scratch, err));
    status = compare(errors, c, &o, err);
done:
    if (v->kernel->release != NULL) {
        v->kernel->release(prepare.private_data);
    }
    free(prepare.private_data);
    free(scratch);
    release(&o, v->in_place);
    return status;
}

tare_status node_case_run_rows(node_errors *errors, int *runs, const node_case *c,
                               const tare_backend *backend, tare_error *err) {
    const tare_node *node = c->graph.node_count == 1 ? c->graph.nodes[0] : NULL;
    variant v = {0};

    *runs = 0;
    if (node == NULL || node->op == NULL || node->input_count == 0) {
        return TARE_OK;
    }
    backend->thread_begin(1);
    for (size_t n = 0;
         (v.kernel = tare_backend_kernel(backend, tare_op_kernel(node->op), n)) != NULL; n++) {
        for (int last = 0; last < 2; last++) {
            const bool possible =
                v.kernel->layout == (last != 0 ? TARE_LAYOUT_RULE_LAST : TARE_LAYOUT_RULE_PLAIN) ||
                v.kernel->layout == TARE_LAYOUT_RULE_ANY ||
                v.kernel->layout == TARE_LAYOUT_RULE_FOLLOW;
            const int inputs = v.kernel->in_place ? (int)node->input_count : 0;
            for (v.in_place = -1; possible && v.in_place < inputs; v.in_place++) {
                tare_status status;
                v.last = last != 0;
                status = run_variant(errors, c, &v, err);
                if (status == TARE_UNSUPPORTED) {
                    continue;
                }
                if (status != TARE_OK) {
                    tare_error_prepend(err, "row %zu, %s%s: ", n,
                                       v.last ? "channels-last" : "plain",
                                       v.in_place >= 0 ? ", in place" : "");
                    return status;
                }
                ++*runs;
            }
        }
    }
    return TARE_OK;
}
