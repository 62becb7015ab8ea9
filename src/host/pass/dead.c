/* SPDX-License-Identifier: Apache-2.0 */
/** Which nodes a graph's outputs depend on. */
#include "pass/dead.h"

#include <stdlib.h>

static bool is_needed(const tare_node *node, const bool *needed) {
    for (size_t i = 0; i < node->output_count; i++) {
        const tare_value *value = node->outputs[i];
        if (value != NULL && value->constant == NULL && needed[value->id]) {
            return true;
        }
    }
    return false;
}

tare_status tare_pass_live(bool *live, const tare_graph *graph, tare_error *err) {
    bool *needed = calloc(graph->value_count + 1, sizeof *needed);
    if (needed == NULL) {
        return tare_fail_memory(err, graph->value_count, "marking nodes");
    }
    for (size_t i = 0; i < graph->output_count; i++) {
        needed[graph->outputs[i]->id] = true;
    }
    for (size_t i = graph->node_count; i-- > 0;) {
        const tare_node *node = graph->nodes[i];
        live[i] = is_needed(node, needed);
        for (size_t k = 0; live[i] && k < node->input_count; k++) {
            if (node->inputs[k] != NULL) {
                needed[node->inputs[k]->id] = true;
            }
        }
    }
    free(needed);
    return TARE_OK;
}
