/* SPDX-License-Identifier: Apache-2.0 */
/** The graph: building, editing, indexing and sorting. */
#include "ir/graph.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

void tare_graph_init(tare_graph *graph) {
    *graph = (tare_graph){.name = ""};
    tare_arena_init(&graph->arena);
    /* The map keeps a pointer to the arena, hence a graph must not be moved in memory. */
    tare_map_init(&graph->value_by_name, &graph->arena);
}

void tare_graph_release(tare_graph *graph) {
    if (graph == NULL) {
        return;
    }
    for (size_t i = 0; i < graph->tensor_count; i++) {
        tare_tensor_release(graph->tensors[i]);
    }
    if (graph->document != NULL && graph->document_release != NULL) {
        graph->document_release(graph->document);
    }
    tare_arena_release(&graph->arena);
    tare_graph_init(graph);
}

int64_t tare_graph_opset(const tare_graph *graph, const char *domain) {
    for (size_t i = 0; i < graph->opset_count; i++) {
        if (strcmp(graph->opsets[i].domain, domain) == 0) {
            return graph->opsets[i].version;
        }
    }
    return 0;
}

tare_value *tare_graph_find_value(const tare_graph *graph, const char *name) {
    return tare_map_get(&graph->value_by_name, name);
}

/* Makes room for one more pointer; the old array stays in the arena (doubling bounds the waste). */
static bool reserve(tare_arena *arena, void *array_pointer, size_t count, size_t *capacity) {
    void **old, **grown;
    if (count < *capacity) {
        return true;
    }
    *capacity = *capacity == 0 ? 64 : *capacity * 2;
    grown = tare_arena_array(arena, *capacity, sizeof *grown);
    if (grown == NULL) {
        return false;
    }
    memcpy(&old, array_pointer, sizeof old);
    if (count > 0) {
        memcpy(grown, old, count * sizeof *grown);
    }
    memcpy(array_pointer, &grown, sizeof grown);
    return true;
}

tare_status tare_graph_add_value(tare_value **out, tare_graph *graph, const char *name,
                                 tare_error *err) {
    tare_value *value;

    *out = NULL;
    if (name[0] == '\0') {
        return tare_fail(err, TARE_INVALID_MODEL, "a tensor without a name");
    }
    if (tare_graph_find_value(graph, name) != NULL) {
        return tare_fail(err, TARE_INVALID_MODEL, "two tensors are named '%s'", name);
    }
    value = tare_arena_alloc(&graph->arena, sizeof *value);
    if (value == NULL ||
        !reserve(&graph->arena, &graph->values, graph->value_count, &graph->value_capacity)) {
        return tare_fail_memory(err, sizeof *value, "a tensor's entry");
    }
    value->name = tare_arena_strdup(&graph->arena, name);
    value->id = graph->value_count;
    value->rank = -1;
    value->is_tensor_type = true;
    if (value->name == NULL || !tare_map_set(&graph->value_by_name, value->name, value)) {
        return tare_fail_memory(err, strlen(name), "a tensor's name");
    }
    graph->values[graph->value_count++] = value;
    *out = value;
    return TARE_OK;
}

tare_tensor *tare_graph_new_tensor(tare_graph *graph) {
    tare_tensor *tensor = tare_arena_alloc(&graph->arena, sizeof *tensor);
    if (tensor == NULL ||
        !reserve(&graph->arena, &graph->tensors, graph->tensor_count, &graph->tensor_capacity)) {
        return NULL;
    }
    graph->tensors[graph->tensor_count++] = tensor;
    return tensor;
}

tare_status tare_graph_add_initializer(tare_value **out, tare_graph *graph, const char *name,
                                       const tare_tensor *tensor, tare_error *err) {
    tare_value *value;

    TARE_TRY(tare_graph_add_value(out, graph, name, err));
    value = *out;
    value->constant = tare_graph_new_tensor(graph);
    if (value->constant == NULL) {
        return tare_fail_memory(err, sizeof(tare_tensor), "a tensor");
    }
    tare_tensor_share(value->constant, tensor);
    value->is_initializer = true;
    value->dtype = tensor->dtype;
    value->rank = tensor->rank;
    memcpy(value->dims, tensor->dims, sizeof value->dims);
    return TARE_OK;
}

bool tare_graph_copy_attribute(tare_attribute *out, tare_graph *graph, const tare_attribute *from) {
    tare_arena *arena = &graph->arena;
    *out = *from;
    out->name = tare_arena_strdup(arena, from->name);
    if (out->name == NULL) {
        return false;
    }
    if (from->s != NULL && (out->s = tare_arena_strndup(arena, from->s, from->s_length)) == NULL) {
        return false;
    }
    if (from->ints != NULL) {
        int64_t *ints = tare_arena_array(arena, from->count, sizeof *ints);
        if (ints == NULL) {
            return false;
        }
        out->ints = memcpy(ints, from->ints, from->count * sizeof *ints);
    }
    if (from->floats != NULL) {
        float *floats = tare_arena_array(arena, from->count, sizeof *floats);
        if (floats == NULL) {
            return false;
        }
        out->floats = memcpy(floats, from->floats, from->count * sizeof *floats);
    }
    if (from->strings != NULL) {
        const char **strings = tare_arena_array(arena, from->count, sizeof *strings);
        if (strings == NULL) {
            return false;
        }
        for (size_t i = 0; i < from->count; i++) {
            strings[i] = tare_arena_strdup(arena, from->strings[i]);
            if (strings[i] == NULL) {
                return false;
            }
        }
        out->strings = strings;
    }
    return true;
}

static void renumber_nodes(tare_graph *graph) {
    for (size_t i = 0; i < graph->node_count; i++) {
        graph->nodes[i]->id = i;
    }
}

static bool fill_node(tare_node *node, tare_graph *graph, const tare_node_spec *spec) {
    tare_arena *arena = &graph->arena;
    node->name = tare_arena_strdup(arena, spec->name == NULL ? "" : spec->name);
    node->op_type = tare_arena_strdup(arena, spec->op_type);
    node->domain = tare_arena_strdup(arena, spec->domain == NULL ? "" : spec->domain);
    node->inputs = tare_arena_array(arena, spec->input_count, sizeof(tare_value *));
    node->outputs = tare_arena_array(arena, spec->output_count, sizeof(tare_value *));
    node->attributes = tare_arena_array(arena, spec->attribute_count, sizeof(tare_attribute));
    if (node->name == NULL || node->op_type == NULL || node->domain == NULL ||
        node->inputs == NULL || node->outputs == NULL || node->attributes == NULL) {
        return false;
    }
    if (spec->input_count > 0) {
        memcpy(node->inputs, spec->inputs, spec->input_count * sizeof(tare_value *));
    }
    if (spec->output_count > 0) {
        memcpy(node->outputs, spec->outputs, spec->output_count * sizeof(tare_value *));
    }
    for (size_t i = 0; i < spec->attribute_count; i++) {
        if (!tare_graph_copy_attribute(&node->attributes[i], graph, &spec->attributes[i])) {
            return false;
        }
    }
    node->input_count = spec->input_count;
    node->output_count = spec->output_count;
    node->attribute_count = spec->attribute_count;
    node->origin = spec->origin;
    return true;
}

tare_status tare_graph_add_node(tare_node **out, tare_graph *graph, const tare_node_spec *spec,
                                size_t position, tare_error *err) {
    tare_node *node = tare_arena_alloc(&graph->arena, sizeof *node);

    *out = NULL;
    if (node == NULL || !fill_node(node, graph, spec) ||
        !reserve(&graph->arena, &graph->nodes, graph->node_count, &graph->node_capacity)) {
        return tare_fail_memory(err, sizeof *node, "a node");
    }
    for (size_t i = 0; i < node->output_count; i++) {
        tare_value *value = node->outputs[i];
        if (value == NULL) {
            continue;
        }
        if (value->producer != NULL || value->is_initializer || value->is_input) {
            return tare_fail(err, TARE_INVALID_MODEL,
                             "tensor '%s' is produced twice, by %s and node '%s' (%s)", value->name,
                             value->producer != NULL ? value->producer->op_type
                                                     : "the graph's inputs",
                             node->name, node->op_type);
        }
        value->producer = node;
        value->producer_port = i;
    }
    if (position >= graph->node_count) {
        position = graph->node_count;
        node->id = position;
    }
    memmove(graph->nodes + position + 1, graph->nodes + position,
            (graph->node_count - position) * sizeof *graph->nodes);
    graph->nodes[position] = node;
    graph->node_count++;
    if (position + 1 < graph->node_count) {
        renumber_nodes(graph);
    }
    *out = node;
    return TARE_OK;
}

static void detach_outputs(tare_node *node) {
    for (size_t i = 0; i < node->output_count; i++) {
        if (node->outputs[i] != NULL && node->outputs[i]->producer == node) {
            node->outputs[i]->producer = NULL;
        }
    }
}

void tare_graph_remove_node(tare_graph *graph, tare_node *node) {
    const size_t at = node->id;
    detach_outputs(node);
    memmove(graph->nodes + at, graph->nodes + at + 1,
            (graph->node_count - at - 1) * sizeof *graph->nodes);
    graph->node_count--;
    renumber_nodes(graph);
}

void tare_graph_remove_nodes(tare_graph *graph, const bool *drop) {
    size_t kept = 0;
    for (size_t i = 0; i < graph->node_count; i++) {
        if (drop[i]) {
            detach_outputs(graph->nodes[i]);
        } else {
            graph->nodes[kept++] = graph->nodes[i];
        }
    }
    graph->node_count = kept;
    renumber_nodes(graph);
}

void tare_graph_drop_initializer(tare_graph *graph, tare_value *value) {
    size_t kept = 0;
    value->is_initializer = false;
    value->constant = NULL;
    if (value->is_input) {
        value->is_input = false;
        for (size_t i = 0; i < graph->input_count; i++) {
            if (graph->inputs[i] != value) {
                graph->inputs[kept++] = graph->inputs[i];
            }
        }
        graph->input_count = kept;
    }
}

const tare_attribute *tare_node_attribute(const tare_node *node, const char *name) {
    for (size_t i = 0; i < node->attribute_count; i++) {
        if (strcmp(node->attributes[i].name, name) == 0) {
            return &node->attributes[i];
        }
    }
    return NULL;
}

tare_value *tare_node_input(const tare_node *node, size_t port) {
    return port < node->input_count ? node->inputs[port] : NULL;
}

tare_status tare_graph_index_uses(tare_graph *graph, tare_error *err) {
    size_t total = 0;
    tare_use *uses;

    for (size_t i = 0; i < graph->value_count; i++) {
        graph->values[i]->use_count = 0;
    }
    for (size_t i = 0; i < graph->node_count; i++) {
        for (size_t k = 0; k < graph->nodes[i]->input_count; k++) {
            if (graph->nodes[i]->inputs[k] != NULL) {
                graph->nodes[i]->inputs[k]->use_count++;
                total++;
            }
        }
    }
    uses = tare_arena_array(&graph->arena, total, sizeof *uses);
    if (uses == NULL) {
        return tare_fail_memory(err, total * sizeof *uses, "the list of uses");
    }
    for (size_t i = 0; i < graph->value_count; i++) {
        graph->values[i]->uses = uses;
        uses += graph->values[i]->use_count;
        graph->values[i]->use_count = 0;
    }
    for (size_t i = 0; i < graph->node_count; i++) {
        tare_node *node = graph->nodes[i];
        for (size_t k = 0; k < node->input_count; k++) {
            tare_value *value = node->inputs[k];
            if (value != NULL) {
                value->uses[value->use_count++] = (tare_use){.node = node, .port = k};
            }
        }
    }
    return TARE_OK;
}

static bool ready(const tare_node *node, const bool *placed) {
    for (size_t i = 0; i < node->input_count; i++) {
        const tare_value *value = node->inputs[i];
        if (value != NULL && value->producer != NULL && !placed[value->producer->id]) {
            return false;
        }
    }
    return true;
}

/* Depth first over unplaced producers, without recursion: a model may have 100,000 nodes in a row.
 * next[id] is one more than the input to look at next while the node is on the stack, else 0, so
 * that each input is looked at once. On a cycle stack[0] becomes a node on it. */
static tare_status place_with_producers(tare_node **order, size_t *count, tare_node **stack,
                                        bool *placed, size_t *next) {
    size_t depth = 1;
    next[stack[0]->id] = 1;
    while (depth > 0) {
        tare_node *node = stack[depth - 1];
        tare_node *missing = NULL;
        while (next[node->id] <= node->input_count && missing == NULL) {
            const tare_value *value = node->inputs[next[node->id] - 1];
            if (value != NULL && value->producer != NULL && !placed[value->producer->id]) {
                missing = value->producer;
            } else {
                next[node->id]++;
            }
        }
        if (missing == NULL) {
            placed[node->id] = true;
            next[node->id] = 0;
            order[(*count)++] = node;
            depth--;
        } else if (next[missing->id] > 0) {
            stack[0] = missing;
            return TARE_INVALID_MODEL;
        } else {
            next[missing->id] = 1;
            stack[depth++] = missing;
        }
    }
    return TARE_OK;
}

tare_status tare_graph_sort(tare_graph *graph, tare_error *err) {
    const size_t count = graph->node_count;
    tare_status status = TARE_OK;
    bool *placed = calloc(count + 1, sizeof *placed);
    size_t *next = calloc(count + 1, sizeof *next);
    tare_node **order = calloc(count + 1, sizeof *order);
    tare_node **stack = calloc(count + 1, sizeof *stack);
    size_t done_count = 0;

    if (placed == NULL || next == NULL || order == NULL || stack == NULL) {
        status = tare_fail_memory(err, count * sizeof *order, "sorting nodes");
        goto done;
    }
    renumber_nodes(graph);
    for (size_t i = 0; i < count; i++) {
        tare_node *node = graph->nodes[i];
        if (placed[i]) {
            continue;
        }
        if (ready(node, placed)) {
            placed[i] = true;
            order[done_count++] = node;
            continue;
        }
        stack[0] = node;
        if (place_with_producers(order, &done_count, stack, placed, next) != TARE_OK) {
            char text[TARE_NODE_TEXT_BYTES];
            status = tare_fail(err, TARE_INVALID_MODEL, "the graph has a cycle through %s",
                               tare_node_text(text, sizeof text, stack[0]));
            goto done;
        }
    }
    if (count > 0) {
        memcpy(graph->nodes, order, count * sizeof *order);
    }
    renumber_nodes(graph);
done:
    free(placed);
    free(next);
    free(order);
    free(stack);
    return status;
}

const char *tare_node_text(char *text, size_t capacity, const tare_node *node) {
    if (node->name[0] != '\0') {
        (void)snprintf(text, capacity, "node '%s' (%s)", node->name, node->op_type);
    } else {
        (void)snprintf(text, capacity, "node #%zu (%s)", node->id, node->op_type);
    }
    return text;
}
