/* SPDX-License-Identifier: Apache-2.0 */
/** Building the graph of operators and hooks, and its order. */
#include "quant/hook_graph.h"

#include <string.h>

tare_status tare_mover_list_add(tare_mover_list *list, tare_arena *arena, struct tare_mover *mover,
                                tare_error *err) {
    if (list->count == list->capacity) {
        const size_t capacity = list->capacity == 0 ? 2 : list->capacity * 2;
        struct tare_mover **grown = tare_arena_array(arena, capacity, sizeof(*grown));
        if (grown == NULL) {
            return tare_fail_memory(err, capacity * sizeof(*grown), "quantizer placement");
        }
        if (list->count > 0) {
            memcpy(grown, list->items, list->count * sizeof(*grown));
        }
        list->items = grown;
        list->capacity = capacity;
    }
    list->items[list->count++] = mover;
    return TARE_OK;
}

void tare_mover_list_remove(tare_mover_list *list, const struct tare_mover *mover) {
    for (size_t i = 0; i < list->count; i++) {
        if (list->items[i] == mover) {
            list->count--;
            memmove(list->items + i, list->items + i + 1,
                    (list->count - i) * sizeof(list->items[0]));
            return;
        }
    }
}

typedef struct hook_builder {
    tare_hook_graph *graph;
    tare_arena *arena;
    const tare_match_list *fused;
    const bool *ignored;
    size_t *match;  /* per node of the flow: index of its match, or SIZE_MAX */
    size_t *behind; /* per node of the flow: the hook behind it, or SIZE_MAX */
    bool *integer;  /* per node of the flow: a reader takes integers from it */
} hook_builder;

static const tare_pattern_match *match_of(const hook_builder *builder, size_t node) {
    return builder->match[node] == SIZE_MAX ? NULL : &builder->fused->items[builder->match[node]];
}

static bool is_first(const hook_builder *builder, size_t node) {
    const tare_pattern_match *match = match_of(builder, node);
    return match == NULL || match->nodes[0] == node;
}

static tare_status hook_add(size_t *index, hook_builder *builder, const tare_hook *content,
                            tare_error *err) {
    tare_hook_graph *graph = builder->graph;
    if (content->key == NULL) {
        return tare_fail_memory(err, 64, "names of hooks");
    }
    *index = graph->hook_count++;
    graph->hooks[*index] = *content;
    return TARE_OK;
}

static void edge_add(tare_hook_graph *graph, size_t from, size_t to, bool integer) {
    graph->edges[graph->edge_count++] =
        (tare_hook_edge){.from = from, .to = to, .integer = integer};
    graph->hooks[from].out_count++;
    graph->hooks[to].in_count++;
}

/* The key of a fused operator is that of all its members, each on a line. */
static const char *operator_key(const hook_builder *builder, const tare_pattern_match *match) {
    const tare_flow *flow = builder->graph->flow;
    size_t length = 1;
    for (size_t i = 0; i < match->count; i++) {
        length += strlen(flow->nodes[match->nodes[i]].key) + 1;
    }
    char *key = tare_arena_alloc(builder->arena, length);
    if (key == NULL) {
        return NULL;
    }
    size_t at = 0;
    for (size_t i = 0; i < match->count; i++) {
        const char *member = flow->nodes[match->nodes[i]].key;
        memcpy(key + at, member, strlen(member));
        at += strlen(member);
        key[at++] = '\n';
    }
    key[at] = '\0';
    return key;
}

/* Adds the operator that starts with `node`, the hooks before it and the one behind it. */
static tare_status operator_add(hook_builder *builder, size_t node, tare_error *err) {
    tare_hook_graph *graph = builder->graph;
    const tare_flow *flow = graph->flow;
    const tare_flow_node *first = &flow->nodes[node];
    const tare_pattern_match *match = match_of(builder, node);
    tare_hook head = {.kind = TARE_HOOK_OPERATOR, .flow = node, .rule = first->rule};
    head.key = match == NULL ? first->key : operator_key(builder, match);
    head.ignored = builder->ignored[node];
    if (head.ignored && first->node != NULL) {
        /* It does not even count as an operator of its kind for its neighbours. */
        head.rule = &flow->target->unknown;
    }
    head.trait = head.ignored ? TARE_TRAIT_FLOAT : head.rule->trait;
    head.member_count = match == NULL ? 1 : match->count;
    size_t *members = tare_arena_array(builder->arena, head.member_count, sizeof(*members));
    if (members == NULL) {
        return tare_fail_memory(err, sizeof(*members), "fused operators");
    }
    memcpy(members, match == NULL ? &node : match->nodes, head.member_count * sizeof(*members));
    head.members = members;
    size_t at = 0;
    TARE_TRY(hook_add(&at, builder, &head, err));
    for (size_t i = 0; i < first->in_alive; i++) {
        const tare_flow_edge *edge = &flow->edges[first->in[i]];
        size_t before = 0;
        const tare_hook hook = {
            .kind = TARE_HOOK_BEFORE,
            .flow = node,
            .port = edge->in_port,
            .edge = first->in[i],
            .key = tare_arena_printf(builder->arena, "PRE HOOK %zu %s", edge->in_port, first->key)};
        TARE_TRY(hook_add(&before, builder, &hook, err));
        edge_add(graph, before, at, edge->integer);
    }
    const size_t last = members[head.member_count - 1];
    const tare_hook hook = {
        .kind = TARE_HOOK_BEHIND,
        .flow = last,
        .key = tare_arena_printf(builder->arena, "POST HOOK %s", flow->nodes[last].key)};
    TARE_TRY(hook_add(&builder->behind[last], builder, &hook, err));
    const bool integer = builder->integer[last];
    if (head.ignored) {
        const tare_hook barrier = {.kind = TARE_HOOK_BARRIER,
                                   .flow = node,
                                   .key =
                                       tare_arena_printf(builder->arena, "BARRIER %s", head.key)};
        size_t wall = 0;
        TARE_TRY(hook_add(&wall, builder, &barrier, err));
        edge_add(graph, at, wall, integer);
        edge_add(graph, wall, builder->behind[last], integer);
        return TARE_OK;
    }
    edge_add(graph, at, builder->behind[last], integer);
    return TARE_OK;
}

/* Connects the hook behind each maker with the hooks before its readers. */
static void readers_connect(hook_builder *builder) {
    tare_hook_graph *graph = builder->graph;
    for (size_t i = 0; i < graph->hook_count; i++) {
        if (graph->hooks[i].kind == TARE_HOOK_BEFORE) {
            const size_t maker = graph->flow->edges[graph->hooks[i].edge].from;
            if (builder->behind[maker] != SIZE_MAX) {
                edge_add(graph, builder->behind[maker], i, builder->integer[maker]);
            }
        }
    }
}

static tare_status edges_index(hook_builder *builder, tare_error *err) {
    tare_hook_graph *graph = builder->graph;
    for (size_t i = 0; i < graph->hook_count; i++) {
        tare_hook *hook = &graph->hooks[i];
        hook->in = tare_arena_array(builder->arena, hook->in_count, sizeof(*hook->in));
        hook->out = tare_arena_array(builder->arena, hook->out_count, sizeof(*hook->out));
        if (hook->in == NULL || hook->out == NULL) {
            return tare_fail_memory(err, hook->out_count * sizeof(*hook->out), "hooks");
        }
        hook->in_count = 0;
        hook->out_count = 0;
    }
    for (size_t e = 0; e < graph->edge_count; e++) {
        tare_hook *from = &graph->hooks[graph->edges[e].from];
        tare_hook *to = &graph->hooks[graph->edges[e].to];
        from->out[from->out_count++] = e;
        to->in[to->in_count++] = e;
    }
    return TARE_OK;
}

/* A heap of hooks, the smallest key on top. */
typedef struct hook_heap {
    const tare_hook *hooks;
    size_t *items;
    size_t count;
} hook_heap;

static bool heap_less(const hook_heap *heap, size_t a, size_t b) {
    return strcmp(heap->hooks[heap->items[a]].key, heap->hooks[heap->items[b]].key) < 0;
}

static void heap_swap(hook_heap *heap, size_t a, size_t b) {
    const size_t item = heap->items[a];
    heap->items[a] = heap->items[b];
    heap->items[b] = item;
}

static void heap_push(hook_heap *heap, size_t hook) {
    size_t at = heap->count++;
    heap->items[at] = hook;
    while (at > 0 && heap_less(heap, at, (at - 1) / 2)) {
        heap_swap(heap, at, (at - 1) / 2);
        at = (at - 1) / 2;
    }
}

static size_t heap_pop(hook_heap *heap) {
    const size_t top = heap->items[0];
    heap->items[0] = heap->items[--heap->count];
    size_t at = 0;
    for (;;) {
        size_t child = 2 * at + 1;
        if (child + 1 < heap->count && heap_less(heap, child + 1, child)) {
            child++;
        }
        if (child >= heap->count || !heap_less(heap, child, at)) {
            return top;
        }
        heap_swap(heap, at, child);
        at = child;
    }
}

static tare_status order_sort(tare_hook_graph *graph, tare_arena *arena, tare_error *err) {
    const size_t count = graph->hook_count;
    hook_heap heap = {.hooks = graph->hooks};
    heap.items = tare_arena_array(arena, count, sizeof(size_t));
    size_t *waiting = tare_arena_array(arena, count, sizeof(*waiting));
    graph->order = tare_arena_array(arena, count, sizeof(*graph->order));
    if (heap.items == NULL || waiting == NULL || graph->order == NULL) {
        return tare_fail_memory(err, count * sizeof(*waiting), "the order of hooks");
    }
    for (size_t i = 0; i < count; i++) {
        waiting[i] = graph->hooks[i].in_count;
        if (waiting[i] == 0) {
            heap_push(&heap, i);
        }
    }
    size_t sorted = 0;
    while (heap.count > 0) {
        const size_t at = heap_pop(&heap);
        graph->order[sorted++] = at;
        for (size_t k = 0; k < graph->hooks[at].out_count; k++) {
            const size_t to = graph->edges[graph->hooks[at].out[k]].to;
            if (--waiting[to] == 0) {
                heap_push(&heap, to);
            }
        }
    }
    if (sorted != count) {
        return tare_fail(err, TARE_INTERNAL, "fusing operators made a cycle");
    }
    return TARE_OK;
}

tare_status tare_hook_graph_build(tare_hook_graph *graph, tare_arena *arena, const tare_flow *flow,
                                  const tare_match_list *fused, const bool *ignored,
                                  tare_error *err) {
    *graph = (tare_hook_graph){.flow = flow};
    hook_builder builder = {.graph = graph, .arena = arena, .fused = fused, .ignored = ignored};
    const size_t hooks = 3 * flow->node_count + flow->edge_count;
    const size_t edges = 2 * flow->node_count + 2 * flow->edge_count;
    graph->hooks = tare_arena_array(arena, hooks, sizeof(*graph->hooks));
    graph->edges = tare_arena_array(arena, edges, sizeof(*graph->edges));
    builder.match = tare_arena_array(arena, flow->node_count, sizeof(size_t));
    builder.behind = tare_arena_array(arena, flow->node_count, sizeof(size_t));
    builder.integer = tare_arena_array(arena, flow->node_count, sizeof(bool));
    if (graph->hooks == NULL || graph->edges == NULL || builder.match == NULL ||
        builder.behind == NULL || builder.integer == NULL) {
        return tare_fail_memory(err, hooks * sizeof(*graph->hooks), "hooks");
    }
    for (size_t i = 0; i < flow->node_count; i++) {
        builder.match[i] = SIZE_MAX;
        builder.behind[i] = SIZE_MAX;
    }
    /* A hook serves all outputs of its operator, so one integer output spoils them all. */
    for (size_t e = 0; e < flow->edge_count; e++) {
        const tare_flow_edge *edge = &flow->edges[e];
        if (edge->integer && flow->nodes[edge->to].alive) {
            builder.integer[edge->from] = true;
        }
    }
    for (size_t m = 0; m < fused->count; m++) {
        for (size_t i = 0; i < fused->items[m].count; i++) {
            builder.match[fused->items[m].nodes[i]] = m;
        }
    }
    for (size_t i = 0; i < flow->node_count; i++) {
        if (flow->nodes[i].alive && is_first(&builder, i)) {
            TARE_TRY(operator_add(&builder, i, err));
        }
    }
    readers_connect(&builder);
    TARE_TRY(edges_index(&builder, err));
    return order_sort(graph, arena, err);
}
