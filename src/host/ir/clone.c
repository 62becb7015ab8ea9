/* SPDX-License-Identifier: Apache-2.0 */
/** Copying a graph, so that passes can rewrite one copy while the other stays as the file has it.
 */
#include <string.h>

#include "ir/graph.h"

static tare_status clone_value(tare_graph *copy, const tare_value *from, tare_error *err) {
    tare_value *value;
    TARE_TRY(tare_graph_add_value(&value, copy, from->name, err));
    value->dtype = from->dtype;
    value->rank = from->rank;
    memcpy(value->dims, from->dims, sizeof value->dims);
    value->is_initializer = from->is_initializer;
    value->is_input = from->is_input;
    value->is_output = from->is_output;
    value->is_tensor_type = from->is_tensor_type;
    for (int i = 0; i < TARE_MAX_RANK; i++) {
        if (from->dim_names[i] != NULL) {
            value->dim_names[i] = tare_arena_strdup(&copy->arena, from->dim_names[i]);
        }
    }
    if (from->constant != NULL) {
        value->constant = tare_graph_new_tensor(copy);
        if (value->constant == NULL) {
            return tare_fail_memory(err, sizeof(tare_tensor), "a tensor");
        }
        tare_tensor_share(value->constant, from->constant);
    }
    return TARE_OK;
}

static tare_status clone_list(tare_value ***out, tare_graph *copy, tare_value *const *from,
                              size_t count, tare_error *err) {
    *out = tare_arena_array(&copy->arena, count, sizeof **out);
    if (*out == NULL) {
        return tare_fail_memory(err, count * sizeof **out, "a list of tensors");
    }
    for (size_t i = 0; i < count; i++) {
        (*out)[i] = from[i] == NULL ? NULL : copy->values[from[i]->id];
    }
    return TARE_OK;
}

static tare_status clone_node(tare_graph *copy, const tare_node *from, tare_error *err) {
    tare_node_spec spec = {.op_type = from->op_type,
                           .domain = from->domain,
                           .name = from->name,
                           .input_count = from->input_count,
                           .output_count = from->output_count,
                           .attributes = from->attributes,
                           .attribute_count = from->attribute_count,
                           .origin = from->origin};
    tare_value **inputs, **outputs;
    tare_node *node;

    TARE_TRY(clone_list(&inputs, copy, from->inputs, from->input_count, err));
    TARE_TRY(clone_list(&outputs, copy, from->outputs, from->output_count, err));
    spec.inputs = inputs;
    spec.outputs = outputs;
    TARE_TRY(tare_graph_add_node(&node, copy, &spec, SIZE_MAX, err));
    for (size_t i = 0; i < node->attribute_count; i++) {
        tare_attribute *attribute = &node->attributes[i];
        if (attribute->tensor != NULL) {
            attribute->tensor = tare_graph_new_tensor(copy);
            if (attribute->tensor == NULL) {
                return tare_fail_memory(err, sizeof(tare_tensor), "a tensor");
            }
            tare_tensor_share(attribute->tensor, from->attributes[i].tensor);
        }
    }
    return TARE_OK;
}

static tare_status clone_into(tare_graph *copy, const tare_graph *graph, tare_error *err) {
    copy->name = tare_arena_strdup(&copy->arena, graph->name);
    copy->path = graph->path == NULL ? NULL : tare_arena_strdup(&copy->arena, graph->path);
    copy->ir_version = graph->ir_version;
    copy->opset_count = graph->opset_count;
    copy->opsets = tare_arena_array(&copy->arena, graph->opset_count, sizeof *copy->opsets);
    if (copy->name == NULL || copy->opsets == NULL) {
        return tare_fail_memory(err, sizeof *graph, "a graph");
    }
    for (size_t i = 0; i < graph->opset_count; i++) {
        copy->opsets[i].version = graph->opsets[i].version;
        copy->opsets[i].domain = tare_arena_strdup(&copy->arena, graph->opsets[i].domain);
        if (copy->opsets[i].domain == NULL) {
            return tare_fail_memory(err, sizeof *graph, "a graph");
        }
    }
    for (size_t i = 0; i < graph->value_count; i++) {
        /* Producers are set by the nodes; an input or initializer cannot be one, so flags come with
         * the value. */
        TARE_TRY(clone_value(copy, graph->values[i], err));
    }
    for (size_t i = 0; i < graph->node_count; i++) {
        TARE_TRY(clone_node(copy, graph->nodes[i], err));
    }
    TARE_TRY(clone_list(&copy->inputs, copy, graph->inputs, graph->input_count, err));
    TARE_TRY(clone_list(&copy->outputs, copy, graph->outputs, graph->output_count, err));
    copy->input_count = graph->input_count;
    copy->output_count = graph->output_count;
    return TARE_OK;
}

tare_status tare_graph_clone(tare_graph *copy, const tare_graph *graph, tare_error *err) {
    tare_status status;
    tare_graph_init(copy);
    status = clone_into(copy, graph, err);
    if (status != TARE_OK) {
        tare_graph_release(copy);
    }
    return status;
}
