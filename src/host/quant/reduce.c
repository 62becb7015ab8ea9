/* SPDX-License-Identifier: Apache-2.0 */
/** Removing quantizers that turned out to be superfluous. */
#include "quant/propagate.h"

static bool is_lonely(const tare_propagation *work, const tare_mover *mover) {
    const tare_target *target = work->graph->flow->target;
    if (mover->removed || mover->sinks.count != 1 || mover->path_length > 1) {
        return false;
    }
    const tare_hook *sink = &work->graph->hooks[mover->sinks.items[0]];
    return (sink->rule->tags & target->lonely) != 0 && sink->affected.count == 1;
}

void tare_propagation_drop_lonely(tare_propagation *work) {
    tare_mover **movers = work->finished.items;
    size_t kept = 0;
    size_t end = work->finished.count;
    /* All are judged before the first one goes, so that they do not make each other lonely. */
    while (kept < end) {
        if (is_lonely(work, movers[kept])) {
            tare_mover *mover = movers[kept];
            movers[kept] = movers[--end];
            movers[end] = mover;
        } else {
            kept++;
        }
    }
    for (size_t i = kept; i < work->finished.count; i++) {
        tare_mover_remove(work, movers[i], false);
    }
    work->finished.count = kept;
}

/* An entry of the stack: a node to visit, the edge to it, and the quantizer that reaches it. */
typedef struct reduce_entry {
    size_t hook;
    size_t edge; /* SIZE_MAX for a root */
    tare_mover *upper;
} reduce_entry;

/* The quantizer that reaches what is below a node; removes the one at the node if it can go. */
static tare_status reduce_visit(tare_mover **lower, tare_propagation *work,
                                const reduce_entry *entry, tare_error *err) {
    const tare_hook_graph *graph = work->graph;
    const tare_hook *node = &graph->hooks[entry->hook];
    *lower = NULL;
    if ((entry->edge != SIZE_MAX && graph->edges[entry->edge].integer) ||
        node->kind == TARE_HOOK_BARRIER ||
        (node->kind == TARE_HOOK_OPERATOR && node->trait != TARE_TRAIT_PASS)) {
        return TARE_OK;
    }
    *lower = entry->upper;
    tare_mover *here = node->here;
    if (here == NULL || here == entry->upper) {
        return TARE_OK;
    }
    if (entry->upper == NULL ||
        !tare_config_is_redundant(&entry->upper->configs.items[0], &here->configs.items[0])) {
        *lower = here;
        return TARE_OK;
    }
    TARE_TRY(tare_mover_inherit(work, entry->upper, here, err));
    tare_mover_remove(work, here, false);
    return TARE_OK;
}

tare_status tare_propagation_reduce(tare_propagation *work, tare_error *err) {
    const tare_hook_graph *graph = work->graph;
    const size_t capacity = graph->hook_count + graph->edge_count + 1;
    reduce_entry *stack = tare_arena_array(work->arena, capacity, sizeof(*stack));
    if (stack == NULL) {
        return tare_fail_memory(err, capacity * sizeof(*stack), "quantizer placement");
    }
    for (size_t i = 0; i < graph->hook_count; i++) {
        if (graph->hooks[graph->order[i]].in_count > 0) {
            continue;
        }
        size_t depth = 0;
        tare_propagation_walk(work);
        stack[depth++] = (reduce_entry){graph->order[i], SIZE_MAX, NULL};
        while (depth > 0) {
            const reduce_entry entry = stack[--depth];
            tare_mover *lower;
            TARE_TRY(reduce_visit(&lower, work, &entry, err));
            work->visited[entry.hook] = work->walk;
            const tare_hook *node = &graph->hooks[entry.hook];
            for (size_t k = 0; k < node->out_count; k++) {
                const size_t to = graph->edges[node->out[k]].to;
                if (work->visited[to] != work->walk) {
                    stack[depth++] = (reduce_entry){to, node->out[k], lower};
                }
            }
        }
    }
    return TARE_OK;
}
