/* SPDX-License-Identifier: Apache-2.0 */
/** The table of the operator families, finding a row, and inferring one node through its row. */
#include "ops/op.h"

#include <string.h>

#include "ops/rows.h"

static const tare_op *const families[] = {
    tare_ops_constant, tare_ops_conv,   tare_ops_elementwise, tare_ops_gather,   tare_ops_index,
    tare_ops_matmul,   tare_ops_norm,   tare_ops_pool,        tare_ops_quantize, tare_ops_reduce,
    tare_ops_reshape,  tare_ops_resize, tare_ops_rnn};

const tare_op *tare_op_find(const char *domain, const char *name, int64_t opset) {
    const tare_op *best = NULL;
    for (size_t i = 0; i < sizeof families / sizeof families[0]; i++) {
        for (const tare_op *op = families[i]; op->name != NULL; op++) {
            if (op->since <= opset && (op->until == 0 || opset <= op->until) &&
                (best == NULL || op->since > best->since) && strcmp(op->name, name) == 0 &&
                strcmp(op->domain, domain) == 0) {
                best = op;
            }
        }
    }
    return best;
}

const char *tare_op_kernel(const tare_op *op) {
    return op->kernel != NULL ? op->kernel : op->name;
}

static tare_status check_input(const tare_value *value, tare_error *err) {
    if (value->dtype == TARE_DTYPE_UNDEFINED || value->rank < 0 ||
        tare_dims_count(value->rank, value->dims) < 0) {
        char text[TARE_DIMS_TEXT_BYTES];
        return tare_fail(err, TARE_INVALID_MODEL, "type and shape of input '%s' are not known (%s)",
                         value->name, tare_dims_text(text, sizeof text, value->rank, value->dims));
    }
    if (!tare_dtype_is_executable(value->dtype)) {
        return tare_fail(err, TARE_UNSUPPORTED,
                         "input '%s' has the type %s, which Tare does not compute with",
                         value->name, tare_dtype_text(value->dtype));
    }
    return TARE_OK;
}

static tare_status infer_node(tare_infer *infer, tare_error *err) {
    const tare_node *node = infer->node;
    for (size_t i = 0; i < node->input_count; i++) {
        if (node->inputs[i] != NULL) {
            TARE_TRY(check_input(node->inputs[i], err));
        }
    }
    TARE_TRY(node->op->infer(infer, err));
    for (size_t i = 0; i < node->output_count; i++) {
        const tare_value *value = node->outputs[i];
        if (value != NULL && !tare_dtype_is_executable(value->dtype)) {
            return tare_fail(err, TARE_UNSUPPORTED,
                             "output '%s' has the type %s, which Tare does not compute with",
                             value->name, tare_dtype_text(value->dtype));
        }
    }
    return TARE_OK;
}

tare_status tare_op_infer(tare_graph *graph, tare_node *node, tare_error *err) {
    char text[TARE_NODE_TEXT_BYTES];
    tare_infer infer = {.graph = graph,
                        .node = node,
                        .opset = tare_graph_opset(graph, node->domain),
                        .attrs = node->attrs};
    tare_status status;

    if (node->op == NULL) {
        return tare_fail(err, TARE_UNSUPPORTED,
                         "%s: operator %s%s%s of opset %lld is not supported",
                         tare_node_text(text, sizeof text, node), node->domain,
                         node->domain[0] == '\0' ? "" : ".", node->op_type, (long long)infer.opset);
    }
    status = infer_node(&infer, err);
    if (status != TARE_OK) {
        tare_error_prepend(err, "%s: ", tare_node_text(text, sizeof text, node));
    }
    return status;
}
