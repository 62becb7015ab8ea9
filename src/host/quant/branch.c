/* SPDX-License-Identifier: Apache-2.0 */
/** Whether quantizers may move: walks over the hook graph that look at what else is affected. */
#include "quant/propagate.h"

unsigned tare_propagation_walk(tare_propagation *work) {
    return ++work->walk;
}

/* Puts the unvisited nodes below `hook` on the stack and counts them as visited. */
static void successors_push(tare_propagation *work, size_t *depth, size_t hook) {
    const tare_hook_graph *graph = work->graph;
    const tare_hook *node = &graph->hooks[hook];
    for (size_t i = 0; i < node->out_count; i++) {
        const size_t to = graph->edges[node->out[i]].to;
        if (work->visited[to] != work->walk) {
            work->visited[to] = work->walk;
            work->stack[(*depth)++] = to;
        }
    }
}

tare_status tare_propagation_find_below(tare_mover_list *out, tare_propagation *work, size_t from,
                                        const tare_mover *also, tare_error *err) {
    size_t depth = 0;
    out->count = 0;
    tare_propagation_walk(work);
    work->visited[from] = work->walk;
    work->stack[depth++] = from;
    while (depth > 0) {
        const size_t at = work->stack[--depth];
        tare_mover *here = work->graph->hooks[at].here;
        if (here == NULL) {
            successors_push(work, &depth, at);
        } else if (here->queued || here == also) {
            TARE_TRY(tare_mover_list_add(out, work->arena, here, err));
        }
    }
    return TARE_OK;
}

/* Whether a queued mover is met first on some way down. */
static bool any_queued_below(tare_propagation *work, size_t from) {
    size_t depth = 0;
    tare_propagation_walk(work);
    work->visited[from] = work->walk;
    work->stack[depth++] = from;
    while (depth > 0) {
        const size_t at = work->stack[--depth];
        const tare_mover *here = work->graph->hooks[at].here;
        if (here == NULL) {
            successors_push(work, &depth, at);
        } else if (here->queued) {
            return true;
        }
    }
    return false;
}

/* Whether every way down meets a quantizer before an operator that does more than moving. */
static bool all_quantized_below(tare_propagation *work, size_t from) {
    size_t depth = 0;
    tare_propagation_walk(work);
    successors_push(work, &depth, from);
    while (depth > 0) {
        const size_t at = work->stack[--depth];
        const tare_hook *node = &work->graph->hooks[at];
        if (node->kind == TARE_HOOK_OPERATOR && node->trait != TARE_TRAIT_PASS) {
            return false;
        }
        if (node->here == NULL) {
            successors_push(work, &depth, at);
        }
    }
    return true;
}

/* Adds one reader to what is said below a branch. */
static tare_status verdict_add(tare_branch_verdict *verdict, tare_propagation *work, size_t at,
                               tare_error *err) {
    const tare_hook *node = &work->graph->hooks[at];
    verdict->partial |= node->rule->quantized_ports != 0;
    for (size_t i = 0; i < node->affected.count && !verdict->several; i++) {
        const tare_mover *other = node->affected.items[i];
        verdict->several = verdict->only != NULL && verdict->only != other;
        verdict->only = other;
    }
    if (node->affected.count == 0) {
        verdict->stops |= node->trait != TARE_TRAIT_CONCAT;
        /* A walk meets each reader once, so this set needs no look for what is in it already. */
        return tare_index_list_add(&verdict->undecided, work->arena, at, err);
    }
    return TARE_OK;
}

/* Asks the readers below a branch, unless nothing has changed since they were asked last: very many
 * may read one tensor, and every one of their movers comes here. */
static tare_status verdict_reach(tare_branch_verdict **out, tare_propagation *work, size_t branch,
                                 tare_error *err) {
    tare_branch_verdict *verdict = &work->verdicts[branch];
    size_t depth = 0;

    *out = verdict;
    if (verdict->change == work->change) {
        return TARE_OK;
    }
    verdict->undecided.count = 0;
    *verdict = (tare_branch_verdict){.undecided = verdict->undecided};
    tare_propagation_walk(work);
    successors_push(work, &depth, branch);
    while (depth > 0) {
        const size_t at = work->stack[--depth];
        const tare_hook *node = &work->graph->hooks[at];
        if (node->kind == TARE_HOOK_OPERATOR && node->trait != TARE_TRAIT_PASS) {
            TARE_TRY(verdict_add(verdict, work, at, err));
        } else {
            successors_push(work, &depth, at);
        }
    }
    verdict->change = work->change;
    return TARE_OK;
}

tare_status tare_mover_check_branch(tare_transition *out, tare_propagation *work,
                                    const tare_mover *mover, size_t branch, tare_error *err) {
    tare_branch_verdict *verdict;
    *out = TARE_MOVER_STOPS;
    if (work->dominates_output[branch]) {
        return TARE_OK;
    }
    TARE_TRY(verdict_reach(&verdict, work, branch, err));
    if (verdict->stops || (verdict->partial && !all_quantized_below(work, branch))) {
        return TARE_OK;
    }
    /* A concatenation stays float unless a quantizer may still come up to it. */
    for (size_t i = 0; i < verdict->undecided.count; i++) {
        if (!any_queued_below(work, verdict->undecided.items[i])) {
            return TARE_OK;
        }
    }
    *out = verdict->several || verdict->undecided.count > 0 ||
                   (verdict->only != NULL && verdict->only != mover)
               ? TARE_MOVER_WAITS
               : TARE_MOVER_GOES;
    return TARE_OK;
}

/* Whether a mover may join others that affect a place: all of them are interchangeable there. */
static tare_transition conflict_check(const tare_mover *mover, const tare_mover_list *others) {
    const tare_config_list theirs = others->items[0]->configs;
    return tare_config_lists_equal(mover->configs, theirs) || mover->configs.count == 0 ||
                   theirs.count == 0
               ? TARE_MOVER_MERGES
               : TARE_MOVER_STOPS;
}

static tare_status edge_check(tare_transition *out, tare_propagation *work, tare_mover *mover,
                              size_t index, bool cloned, tare_error *err) {
    tare_hook_graph *graph = work->graph;
    tare_hook_edge *edge = &graph->edges[index];
    const tare_hook *from = &graph->hooks[edge->from];
    *out = TARE_MOVER_STOPS;
    if (from->kind == TARE_HOOK_OPERATOR && from->trait == TARE_TRAIT_TABLE) {
        mover->table = edge->from;
        return TARE_OK;
    }
    if ((from->kind == TARE_HOOK_OPERATOR && from->trait != TARE_TRAIT_PASS &&
         from->trait != TARE_TRAIT_CONCAT) ||
        edge->integer) {
        return TARE_OK;
    }
    if (edge->affected.count > 0 && !cloned) {
        *out = conflict_check(mover, &edge->affected);
        return TARE_OK;
    }
    if (from->kind != TARE_HOOK_OPERATOR && from->affected.count > 0 && !cloned) {
        *out = conflict_check(mover, &from->affected);
        if (*out == TARE_MOVER_STOPS) {
            /* The mover stays below the edge, but those above it still reach down to it. */
            const size_t count = from->affected.count;
            for (size_t i = 0; i < count; i++) {
                tare_mover *other = from->affected.items[i];
                TARE_TRY(tare_index_set_add(&other->edges, work->arena, index, err));
                TARE_TRY(tare_mover_list_add(&edge->affected, work->arena, other, err));
            }
        }
        return TARE_OK;
    }
    *out = TARE_MOVER_GOES;
    return from->out_count > 1 ? tare_mover_check_branch(out, work, mover, edge->from, err)
                               : TARE_OK;
}

tare_status tare_mover_check_way(tare_transition *out, tare_propagation *work, tare_mover *mover,
                                 const tare_way *way, bool cloned, tare_error *err) {
    *out = TARE_MOVER_GOES;
    for (size_t i = 0; i < way->count && *out == TARE_MOVER_GOES; i++) {
        TARE_TRY(edge_check(out, work, mover, way->edges[i], cloned, err));
    }
    return TARE_OK;
}

bool tare_propagation_shares_scale(tare_propagation *work, size_t concat) {
    const tare_target *target = work->graph->flow->target;
    size_t depth = 0;
    tare_propagation_walk(work);
    successors_push(work, &depth, concat);
    while (depth > 0) {
        const size_t at = work->stack[--depth];
        const tare_hook *node = &work->graph->hooks[at];
        if (node->kind != TARE_HOOK_OPERATOR) {
            successors_push(work, &depth, at);
            continue;
        }
        if ((node->rule->tags & target->shared_scale_below) != 0) {
            return true;
        }
        if (node->trait == TARE_TRAIT_PASS || (node->rule->tags & target->shared_scale) != 0) {
            successors_push(work, &depth, at);
        }
    }
    return false;
}

tare_status tare_propagation_find_outputs(tare_propagation *work, tare_error *err) {
    const tare_hook_graph *graph = work->graph;
    work->dominates_output =
        tare_arena_array(work->arena, graph->hook_count, sizeof(*work->dominates_output));
    if (work->dominates_output == NULL) {
        return tare_fail_memory(err, graph->hook_count, "quantizer placement");
    }
    for (size_t i = 0; i < graph->hook_count; i++) {
        const tare_operator_rule *output = &graph->flow->target->output;
        if (graph->hooks[i].kind != TARE_HOOK_OPERATOR || graph->hooks[i].rule != output) {
            continue;
        }
        /* One flag for all ways up, as NNCF has it: ports after a computing one count as fed by
         * it. */
        bool computed = false;
        size_t depth = 0;
        work->stack[depth++] = i;
        while (depth > 0) {
            const size_t at = work->stack[--depth];
            const tare_hook *node = &graph->hooks[at];
            if (node->out_count > 1) {
                work->dominates_output[at] |= !computed;
                continue;
            }
            computed |= node->kind == TARE_HOOK_OPERATOR && node->rule != output &&
                        node->trait != TARE_TRAIT_PASS && node->trait != TARE_TRAIT_CONCAT;
            for (size_t k = node->in_count; k > 0; k--) {
                work->stack[depth++] = graph->edges[node->in[k - 1]].from;
            }
        }
    }
    return TARE_OK;
}
