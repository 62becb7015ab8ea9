/* SPDX-License-Identifier: Apache-2.0 */
/** The game of moving quantizers: where they start, and one step of one of them at a time. */
#include "quant/propagate.h"

#include <string.h>

tare_status tare_propagation_enqueue(tare_propagation *work, tare_mover *mover, tare_error *err) {
    if (mover->queued) {
        return tare_fail(err, TARE_INTERNAL, "quantizer %zu is queued twice", mover->id);
    }
    mover->queued = true;
    mover->next = NULL;
    mover->previous = work->queue_last;
    if (work->queue_last == NULL) {
        work->queue_first = mover;
    } else {
        work->queue_last->next = mover;
    }
    work->queue_last = mover;
    work->queue_length++;
    return TARE_OK;
}

static void mover_unlink(tare_propagation *work, tare_mover *mover) {
    if (mover->previous == NULL) {
        work->queue_first = mover->next;
    } else {
        mover->previous->next = mover->next;
    }
    if (mover->next == NULL) {
        work->queue_last = mover->previous;
    } else {
        mover->next->previous = mover->previous;
    }
    work->queue_length--;
    mover->queued = false;
}

static tare_mover *mover_dequeue(tare_propagation *work) {
    tare_mover *mover = work->queue_first;
    mover_unlink(work, mover);
    return mover;
}

/* ---- where they start ---- */

static void sort_by_key(size_t *ports, size_t count, const tare_hook_graph *graph) {
    for (size_t i = 1; i < count; i++) {
        const size_t port = ports[i];
        size_t at = i;
        while (at > 0 && strcmp(graph->hooks[graph->edges[ports[at - 1]].from].key,
                                graph->hooks[graph->edges[port].from].key) > 0) {
            ports[at] = ports[at - 1];
            at--;
        }
        ports[at] = port;
    }
}

static tare_status operator_start(tare_propagation *work, size_t at, tare_error *err) {
    tare_hook_graph *graph = work->graph;
    tare_hook *node = &graph->hooks[at];
    if (node->ignored || node->trait != TARE_TRAIT_INPUTS || node->in_count == 0) {
        return TARE_OK;
    }
    size_t *ports = tare_arena_array(work->arena, node->in_count, sizeof(*ports));
    tare_config_list configs;
    if (ports == NULL) {
        return tare_fail_memory(err, node->in_count * sizeof(*ports), "quantizer placement");
    }
    memcpy(ports, node->in, node->in_count * sizeof(*ports));
    sort_by_key(ports, node->in_count, graph);
    TARE_TRY(tare_config_list_filter(&configs, work->arena, node->rule->inputs,
                                     work->symmetric || node->rule->symmetric_inputs, err));
    for (size_t i = 0; i < node->in_count; i++) {
        tare_hook_edge *edge = &graph->edges[ports[i]];
        const unsigned wanted = node->rule->quantized_ports;
        const size_t port = graph->hooks[edge->from].port;
        if (edge->integer || (wanted != 0 && (port >= 32 || (wanted & (1U << port)) == 0))) {
            continue;
        }
        tare_mover *mover;
        TARE_TRY(tare_mover_new(&mover, work, configs, edge->from, err));
        TARE_TRY(tare_mover_list_add(&node->affected, work->arena, mover, err));
        TARE_TRY(tare_mover_list_add(&edge->affected, work->arena, mover, err));
        TARE_TRY(tare_index_set_add(&mover->edges, work->arena, ports[i], err));
        TARE_TRY(tare_index_set_add(&mover->operators, work->arena, at, err));
        TARE_TRY(tare_index_set_add(&mover->sinks, work->arena, at, err));
        TARE_TRY(tare_propagation_enqueue(work, mover, err));
    }
    return TARE_OK;
}

/* ---- one step ---- */

static tare_status mover_finish(tare_propagation *work, tare_mover *mover, tare_error *err) {
    work->graph->hooks[mover->location].here = mover;
    return tare_mover_list_add(&work->finished, work->arena, mover, err);
}

/* Lets a waiting mover join the others when all that can come have come; else it waits on. */
static tare_status waiting_step(bool *moved, tare_propagation *work, tare_mover *mover,
                                tare_error *err) {
    const size_t branch = mover->waits_at;
    tare_mover_list *waiting = &work->graph->hooks[branch].waiting;
    TARE_TRY(tare_propagation_find_below(&work->below, work, branch, mover, err));
    bool complete = work->below.count == waiting->count;
    for (size_t i = 0; i < work->below.count && complete; i++) {
        complete = work->below.items[i]->waits_at == branch;
    }
    *moved = complete;
    if (!complete) {
        return tare_propagation_enqueue(work, mover, err);
    }
    /* It counts as queued while the branch is judged again. */
    mover->queued = true;
    const tare_mover_list joining = *waiting;
    *waiting = (tare_mover_list){NULL, 0, 0};
    TARE_TRY(tare_propagation_join(work, &joining, branch, err));
    mover->queued = false;
    for (size_t i = 0; i < joining.count; i++) {
        if (joining.items[i] != mover) {
            mover_unlink(work, joining.items[i]);
        }
    }
    return TARE_OK;
}

/* The ways from a mover's hook to the hooks next above. */
static tare_status ways_find(tare_way **ways, size_t *count, size_t *crossed,
                             tare_propagation *work, const tare_mover *mover, tare_error *err) {
    const tare_hook_graph *graph = work->graph;
    const tare_hook *hook = &graph->hooks[mover->location];
    *count = 0;
    *crossed = SIZE_MAX;
    *ways = NULL;
    if (hook->in_count == 0) {
        return TARE_OK;
    }
    /* A hook has one maker: the hook behind it, an operator, or a barrier. */
    const size_t edge = hook->in[0];
    const size_t above = graph->edges[edge].from;
    const tare_hook *maker = &graph->hooks[above];
    if (maker->kind == TARE_HOOK_BARRIER) {
        return TARE_OK;
    }
    *count = maker->kind == TARE_HOOK_OPERATOR ? maker->in_count : 1;
    *ways = tare_arena_array(work->arena, *count, sizeof(**ways));
    if (*ways == NULL) {
        return tare_fail_memory(err, *count * sizeof(**ways), "quantizer placement");
    }
    if (maker->kind != TARE_HOOK_OPERATOR) {
        (*ways)[0] = (tare_way){{edge, 0}, 1};
        return TARE_OK;
    }
    *crossed = above;
    for (size_t i = 0; i < *count; i++) {
        (*ways)[i] = (tare_way){{edge, maker->in[i]}, 2};
    }
    return TARE_OK;
}

/* Copies a mover for every further way; a concatenation in front of weights ties them together. */
static tare_status mover_split(tare_mover **movers, size_t count, size_t crossed,
                               tare_propagation *work, tare_error *err) {
    const tare_target *target = work->graph->flow->target;
    tare_mover *mover = movers[0];
    for (size_t i = 1; i < count; i++) {
        TARE_TRY(tare_mover_clone(&movers[i], work, mover, err));
    }
    if (count < 2 || (work->graph->hooks[crossed].rule->tags & target->shared_scale) == 0 ||
        !tare_propagation_shares_scale(work, crossed)) {
        return TARE_OK;
    }
    if (mover->group == TARE_NO_GROUP) {
        TARE_TRY(tare_group_new(&mover->group, work, err));
    }
    for (size_t i = 0; i < count; i++) {
        movers[i]->shares_scale = true;
        movers[i]->group = mover->group;
    }
    return TARE_OK;
}

/* Whether a step split a mover, and which part of it this is. */
typedef enum mover_part { MOVER_WHOLE, MOVER_ORIGINAL, MOVER_CLONE } mover_part;

/* Does with a mover what its way allows; `survives` when it is to be queued again. */
static tare_status mover_step(bool *survives, tare_propagation *work, tare_mover *mover,
                              const tare_way *way, mover_part part, tare_error *err) {
    tare_transition next;
    *survives = false;
    TARE_TRY(tare_mover_check_way(&next, work, mover, way, part != MOVER_WHOLE, err));
    switch (next) {
    case TARE_MOVER_STOPS:
        if (part == MOVER_CLONE) {
            tare_mover_remove(work, mover, true);
            return TARE_OK;
        }
        return mover_finish(work, mover, err);
    case TARE_MOVER_GOES:
        *survives = true;
        return tare_mover_go(work, mover, way, err);
    case TARE_MOVER_MERGES:
        return tare_mover_dissolve(work, mover, way->edges, way->count, err);
    case TARE_MOVER_WAITS:
    default:
        *survives = true;
        mover->waits_at = work->graph->edges[way->edges[0]].from;
        return tare_mover_list_add(&work->graph->hooks[mover->waits_at].waiting, work->arena, mover,
                                   err);
    }
}

static tare_status propagation_step(bool *moved, tare_propagation *work, tare_error *err) {
    tare_mover *mover = mover_dequeue(work);
    *moved = true;
    if (mover->waits_at != SIZE_MAX) {
        return waiting_step(moved, work, mover, err);
    }
    tare_way *ways;
    size_t count;
    size_t crossed;
    TARE_TRY(ways_find(&ways, &count, &crossed, work, mover, err));
    if (count == 0) {
        const tare_hook *hook = &work->graph->hooks[mover->location];
        const size_t above = hook->in_count == 0 ? SIZE_MAX : work->graph->edges[hook->in[0]].from;
        if (above != SIZE_MAX && work->graph->hooks[above].trait == TARE_TRAIT_TABLE) {
            mover->table = above;
        }
        return mover_finish(work, mover, err);
    }
    tare_mover **movers = tare_arena_array(work->arena, count, sizeof(tare_mover *));
    bool *survives = tare_arena_array(work->arena, count, sizeof(*survives));
    if (movers == NULL || survives == NULL) {
        return tare_fail_memory(err, count * sizeof(tare_mover *), "quantizer placement");
    }
    movers[0] = mover;
    TARE_TRY(mover_split(movers, count, crossed, work, err));
    for (size_t i = 0; i < count; i++) {
        const mover_part part = i > 0 ? MOVER_CLONE : (count > 1 ? MOVER_ORIGINAL : MOVER_WHOLE);
        TARE_TRY(mover_step(&survives[i], work, movers[i], &ways[i], part, err));
    }
    for (size_t i = 0; i < count; i++) {
        if (survives[i]) {
            TARE_TRY(tare_propagation_enqueue(work, movers[i], err));
        }
    }
    return TARE_OK;
}

tare_status tare_propagation_run(tare_propagation *work, tare_arena *arena, tare_hook_graph *graph,
                                 bool symmetric, tare_error *err) {
    *work = (tare_propagation){.graph = graph, .arena = arena, .symmetric = symmetric, .change = 1};
    const size_t stack = graph->hook_count + graph->edge_count + 1;
    work->visited = tare_arena_array(arena, graph->hook_count, sizeof(*work->visited));
    work->stack = tare_arena_array(arena, stack, sizeof(*work->stack));
    work->verdicts = tare_arena_array(arena, graph->hook_count, sizeof(*work->verdicts));
    if (work->visited == NULL || work->stack == NULL || work->verdicts == NULL) {
        return tare_fail_memory(err, stack * sizeof(*work->stack), "quantizer placement");
    }
    TARE_TRY(tare_propagation_find_outputs(work, err));
    for (size_t i = 0; i < graph->hook_count; i++) {
        if (graph->hooks[graph->order[i]].kind == TARE_HOOK_OPERATOR) {
            TARE_TRY(operator_start(work, graph->order[i], err));
        }
    }
    size_t stalled = 0;
    while (work->queue_first != NULL) {
        bool moved;
        /* Movers may wait for each other for ever; then all of them stay where they are. */
        if (stalled > work->queue_length) {
            tare_mover *mover = mover_dequeue(work);
            mover->waits_at = SIZE_MAX;
            TARE_TRY(mover_finish(work, mover, err));
            continue;
        }
        TARE_TRY(propagation_step(&moved, work, err));
        stalled = moved ? 0 : stalled + 1;
    }
    return TARE_OK;
}
