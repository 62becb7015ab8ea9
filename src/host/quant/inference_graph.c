/* SPDX-License-Identifier: Apache-2.0 */
/** Telling the data path from constants and from computations of shapes. */
#include "quant/flow.h"

enum { MARK_DATA = 1, MARK_SHAPE = 2, MARK_REACHED = 4 };

/* Depth-first walks over nodes; `stack` has room for one entry per edge and node. */
typedef struct flow_walk {
    tare_flow *flow;
    unsigned char *marks;
    size_t *stack;
    size_t depth;
} flow_walk;

static void walk_push(flow_walk *walk, size_t node, unsigned char mark) {
    if ((walk->marks[node] & mark) == 0) {
        walk->marks[node] |= mark;
        walk->stack[walk->depth++] = node;
    }
}

static bool is_shape(const flow_walk *walk, size_t node) {
    return (walk->flow->nodes[node].rule->tags & walk->flow->target->shape) != 0;
}

/* Marks what the data reach; Shape nodes are reached, but only computations of shapes follow. */
static void walk_forward(flow_walk *walk, unsigned char mark, bool past_shapes) {
    const tare_flow *flow = walk->flow;
    for (size_t i = 0; i < flow->node_count; i++) {
        const tare_operator_rule *rule = flow->nodes[i].rule;
        if (rule == &flow->target->input || rule->trait == TARE_TRAIT_TABLE) {
            walk_push(walk, i, mark);
        }
    }
    while (walk->depth > 0) {
        const tare_flow_node *node = &flow->nodes[walk->stack[--walk->depth]];
        for (size_t k = 0; k < node->out_count; k++) {
            const size_t to = flow->edges[node->out[k]].to;
            if (past_shapes || !is_shape(walk, to)) {
                walk_push(walk, to, mark);
            } else {
                walk->marks[to] |= MARK_REACHED;
            }
        }
    }
}

/* Marks what hangs together with a Shape node outside of the data path. */
static void walk_shapes(flow_walk *walk) {
    const tare_flow *flow = walk->flow;
    for (size_t i = 0; i < flow->node_count; i++) {
        if ((walk->marks[i] & MARK_REACHED) == 0) {
            continue;
        }
        walk->marks[i] |= MARK_SHAPE;
        const tare_flow_node *shape = &flow->nodes[i];
        for (size_t k = 0; k < shape->out_count; k++) {
            if ((walk->marks[flow->edges[shape->out[k]].to] & MARK_DATA) == 0) {
                walk_push(walk, flow->edges[shape->out[k]].to, MARK_SHAPE);
            }
        }
        while (walk->depth > 0) {
            const tare_flow_node *node = &flow->nodes[walk->stack[--walk->depth]];
            for (size_t k = 0; k < node->out_count + node->in_count; k++) {
                const size_t next = k < node->out_count
                                        ? flow->edges[node->out[k]].to
                                        : flow->edges[node->in[k - node->out_count]].from;
                if ((walk->marks[next] & MARK_DATA) == 0) {
                    walk_push(walk, next, MARK_SHAPE);
                }
            }
        }
    }
}

/* Moves the edges between nodes that are alive to the front, keeping their order. */
static size_t edges_partition(const tare_flow *flow, size_t *edges, size_t count, size_t *scratch) {
    size_t alive = 0;
    size_t rest = 0;
    for (size_t i = 0; i < count; i++) {
        const tare_flow_edge *edge = &flow->edges[edges[i]];
        if (flow->nodes[edge->from].alive && flow->nodes[edge->to].alive) {
            edges[alive++] = edges[i];
        } else {
            scratch[rest++] = edges[i];
        }
    }
    for (size_t i = 0; i < rest; i++) {
        edges[alive + i] = scratch[i];
    }
    return alive;
}

tare_status tare_flow_find_alive(tare_flow *flow, tare_arena *arena, tare_error *err) {
    const size_t depth = flow->node_count + flow->edge_count + 1;
    flow_walk data = {.flow = flow};
    data.marks = tare_arena_array(arena, flow->node_count, sizeof(*data.marks));
    data.stack = tare_arena_array(arena, depth, sizeof(*data.stack));
    flow_walk all = {.flow = flow, .stack = data.stack};
    all.marks = tare_arena_array(arena, flow->node_count, sizeof(*all.marks));
    if (data.marks == NULL || data.stack == NULL || all.marks == NULL) {
        return tare_fail_memory(err, depth * sizeof(*data.stack), "quantizer placement");
    }
    walk_forward(&data, MARK_DATA, false);
    walk_shapes(&data);
    walk_forward(&all, MARK_DATA, true);
    for (size_t i = 0; i < flow->node_count; i++) {
        flow->nodes[i].alive = (all.marks[i] & MARK_DATA) != 0 && (data.marks[i] & MARK_SHAPE) == 0;
    }
    for (size_t i = 0; i < flow->node_count; i++) {
        tare_flow_node *node = &flow->nodes[i];
        node->in_alive = edges_partition(flow, node->in, node->in_count, data.stack);
        node->out_alive = edges_partition(flow, node->out, node->out_count, data.stack);
    }
    return TARE_OK;
}
