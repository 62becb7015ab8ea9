/* SPDX-License-Identifier: Apache-2.0 */
/** Building the data flow of a graph. */
#include "quant/flow.h"

#include <string.h>

bool tare_flow_is_idle_cast(const tare_node *node) {
    const tare_attribute *to = tare_node_attribute(node, "to");
    const tare_value *input = tare_node_input(node, 0);
    return node->domain[0] == '\0' && strcmp(node->op_type, "Cast") == 0 && to != NULL &&
           input != NULL && input->dtype != TARE_DTYPE_UNDEFINED && to->i == (int64_t)input->dtype;
}

tare_value *tare_flow_source(tare_value *value) {
    while (value != NULL && value->producer != NULL && tare_flow_is_idle_cast(value->producer)) {
        value = tare_node_input(value->producer, 0);
    }
    return value;
}

/* What building needs besides the flow: where nodes and graph inputs went, by id. */
typedef struct flow_builder {
    tare_flow *flow;
    tare_arena *arena;
    size_t *node_index;  /* SIZE_MAX: looked through */
    size_t *input_index; /* by id of the value; SIZE_MAX: not a graph input */
} flow_builder;

static tare_status array_new(void *out, tare_arena *arena, size_t count, size_t size,
                             tare_error *err) {
    void *array = tare_arena_array(arena, count, size);
    memcpy(out, &array, sizeof(array));
    return array != NULL ? TARE_OK : tare_fail_memory(err, count * size, "quantizer placement");
}

static tare_status node_add(flow_builder *builder, const char *name, const tare_flow_node *content,
                            tare_error *err) {
    tare_flow *flow = builder->flow;
    tare_flow_node *node = &flow->nodes[flow->node_count];
    *node = *content;
    node->name = name;
    node->key =
        name == NULL ? NULL : tare_arena_printf(builder->arena, "%zu %s", flow->node_count, name);
    if (node->key == NULL) {
        return tare_fail_memory(err, 64, "names of nodes");
    }
    flow->node_count++;
    return TARE_OK;
}

static tare_status nodes_add(flow_builder *builder, tare_error *err) {
    tare_flow *flow = builder->flow;
    const tare_graph *graph = flow->graph;
    for (size_t i = 0; i < graph->node_count; i++) {
        tare_node *node = graph->nodes[i];
        builder->node_index[i] = SIZE_MAX;
        if (tare_flow_is_idle_cast(node)) {
            continue;
        }
        builder->node_index[i] = flow->node_count;
        const char *name =
            node->name[0] != '\0'
                ? node->name
                : tare_arena_printf(builder->arena, "%s_nncf_%zu", node->op_type, flow->node_count);
        tare_flow_node content = {.node = node};
        content.rule = tare_rule_find(&content.weight_ports, flow->target, node);
        TARE_TRY(node_add(builder, name, &content, err));
    }
    return TARE_OK;
}

static tare_status ends_add(flow_builder *builder, tare_error *err) {
    tare_flow *flow = builder->flow;
    const tare_graph *graph = flow->graph;
    size_t number = 0;
    for (size_t i = 0; i < graph->value_count; i++) {
        builder->input_index[i] = SIZE_MAX;
    }
    for (size_t i = 0; i < graph->input_count; i++) {
        if (!graph->inputs[i]->is_initializer) {
            const tare_flow_node content = {.value = graph->inputs[i],
                                            .rule = &flow->target->input};
            builder->input_index[graph->inputs[i]->id] = flow->node_count;
            TARE_TRY(node_add(builder,
                              tare_arena_printf(builder->arena, "nncf_model_input_%zu", number++),
                              &content, err));
        }
    }
    for (size_t i = 0; i < graph->output_count; i++) {
        if (graph->outputs[i]->producer != NULL) {
            const tare_flow_node content = {.value = graph->outputs[i],
                                            .rule = &flow->target->output};
            TARE_TRY(node_add(builder,
                              tare_arena_printf(builder->arena, "nncf_model_output_%zu", i),
                              &content, err));
        }
    }
    return TARE_OK;
}

/* Adds the edge that brings `value` to a port of node `to`, when a node or an input makes it. */
static void edge_add(flow_builder *builder, size_t to, size_t port, tare_value *value) {
    tare_flow *flow = builder->flow;
    value = tare_flow_source(value);
    if (value == NULL) {
        return;
    }
    const size_t from = value->producer != NULL ? builder->node_index[value->producer->id]
                                                : builder->input_index[value->id];
    if (from == SIZE_MAX) {
        return;
    }
    flow->edges[flow->edge_count] = (tare_flow_edge){.from = from,
                                                     .to = to,
                                                     .in_port = port,
                                                     .value = value,
                                                     .integer = value->dtype != TARE_DTYPE_FLOAT};
    flow->edge_count++;
}

static void edges_add(flow_builder *builder) {
    tare_flow *flow = builder->flow;
    for (size_t i = 0; i < flow->node_count; i++) {
        const tare_node *node = flow->nodes[i].node;
        if (node == NULL) {
            if (flow->nodes[i].rule == &flow->target->output) {
                edge_add(builder, i, 0, flow->nodes[i].value);
            }
            continue;
        }
        for (size_t port = 0; port < node->input_count; port++) {
            edge_add(builder, i, port, node->inputs[port]);
        }
    }
}

/* The edge that brings the data to a product with one constant operand, or NULL. */
static tare_flow_edge *product_edge(tare_flow *flow, size_t edge) {
    tare_flow_edge *found = &flow->edges[edge];
    const tare_flow_node *reader = &flow->nodes[found->to];
    if ((reader->rule->tags & flow->target->scaled) == 0 || found->in_port > 1) {
        return NULL;
    }
    const size_t port = 1 - found->in_port;
    return reader->weight_ports == 1U << port && reader->node->inputs[port]->use_count == 1 ? found
                                                                                            : NULL;
}

/* Puts a scaling of channels in front of products with weights of their own, one for all readers
 * of a tensor on the same side. */
static tare_status scalings_add(flow_builder *builder, tare_error *err) {
    tare_flow *flow = builder->flow;
    const size_t count = flow->edge_count;
    size_t *scaling =
        tare_arena_array(builder->arena, flow->graph->value_count, 2 * sizeof(size_t));
    if (scaling == NULL) {
        return tare_fail_memory(err, flow->graph->value_count * 2 * sizeof(size_t), "scalings");
    }
    for (size_t e = 0; e < count; e++) {
        tare_flow_edge *edge = product_edge(flow, e);
        if (edge == NULL) {
            continue;
        }
        /* Zero stands for none, which no scaling can be: nodes come first. */
        size_t *at = &scaling[2 * edge->value->id + edge->in_port];
        if (*at == 0) {
            const tare_flow_node content = {.value = edge->value, .rule = &flow->target->scaling};
            *at = flow->node_count;
            flow->edges[flow->edge_count++] = (tare_flow_edge){
                .from = edge->from, .to = *at, .value = edge->value, .integer = edge->integer};
            TARE_TRY(node_add(builder,
                              tare_arena_printf(builder->arena, "%s/nncf_smooth_quant",
                                                flow->nodes[edge->from].name),
                              &content, err));
        }
        edge->from = *at;
    }
    return TARE_OK;
}

/* Gives every node the lists of its edges. */
static tare_status edges_index(flow_builder *builder, tare_error *err) {
    tare_flow *flow = builder->flow;
    for (size_t e = 0; e < flow->edge_count; e++) {
        flow->nodes[flow->edges[e].from].out_count++;
        flow->nodes[flow->edges[e].to].in_count++;
    }
    for (size_t i = 0; i < flow->node_count; i++) {
        tare_flow_node *node = &flow->nodes[i];
        TARE_TRY(array_new(&node->in, builder->arena, node->in_count, sizeof(*node->in), err));
        TARE_TRY(array_new(&node->out, builder->arena, node->out_count, sizeof(*node->out), err));
        node->in_count = 0;
        node->out_count = 0;
    }
    for (size_t e = 0; e < flow->edge_count; e++) {
        tare_flow_node *from = &flow->nodes[flow->edges[e].from];
        tare_flow_node *to = &flow->nodes[flow->edges[e].to];
        from->out[from->out_count++] = e;
        to->in[to->in_count++] = e;
    }
    return TARE_OK;
}

tare_status tare_flow_build(tare_flow *flow, tare_arena *arena, tare_graph *graph,
                            const tare_target *target, bool transformer, tare_error *err) {
    *flow = (tare_flow){.graph = graph, .target = target};
    flow_builder builder = {.flow = flow, .arena = arena};
    size_t edges = graph->output_count;
    for (size_t i = 0; i < graph->node_count; i++) {
        edges += graph->nodes[i]->input_count;
    }
    /* A scaling is a node and an edge for at least one edge. */
    const size_t nodes = graph->node_count + graph->input_count + graph->output_count + edges;
    edges += edges;
    TARE_TRY(tare_graph_index_uses(graph, err));
    TARE_TRY(array_new(&flow->nodes, arena, nodes, sizeof(*flow->nodes), err));
    TARE_TRY(array_new(&flow->edges, arena, edges, sizeof(*flow->edges), err));
    TARE_TRY(array_new(&builder.node_index, arena, graph->node_count, sizeof(size_t), err));
    TARE_TRY(array_new(&builder.input_index, arena, graph->value_count, sizeof(size_t), err));
    TARE_TRY(nodes_add(&builder, err));
    TARE_TRY(ends_add(&builder, err));
    edges_add(&builder);
    if (transformer) {
        TARE_TRY(scalings_add(&builder, err));
    }
    TARE_TRY(edges_index(&builder, err));
    return tare_flow_find_alive(flow, arena, err);
}
