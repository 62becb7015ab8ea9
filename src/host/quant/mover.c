/* SPDX-License-Identifier: Apache-2.0 */
/** What moving quantizers do to the hook graph: appearing, moving, dissolving, joining. */
#include <string.h>

#include "quant/propagate.h"

/* Looking through so many items is faster than hashing. */
enum { SMALL_SET = 16 };

tare_status tare_index_list_add(tare_index_set *set, tare_arena *arena, size_t index,
                                tare_error *err) {
    if (set->count == set->capacity) {
        const size_t capacity = set->capacity == 0 ? 4 : set->capacity * 2;
        size_t *grown = tare_arena_array(arena, capacity, sizeof(*grown));
        if (grown == NULL) {
            return tare_fail_memory(err, capacity * sizeof(*grown), "quantizer placement");
        }
        if (set->count > 0) {
            memcpy(grown, set->items, set->count * sizeof(*grown));
        }
        set->items = grown;
        set->capacity = capacity;
    }
    set->items[set->count++] = index;
    return TARE_OK;
}

/* The slot that holds `index`, or the free one where it belongs. */
static size_t *slot_find(const tare_index_set *set, size_t index) {
    const size_t mask = set->slot_count - 1;
    size_t at = (size_t)(((uint64_t)index * 0x9E3779B97F4A7C15U) >> 32) & mask;
    while (set->slots[at] != 0 && set->items[set->slots[at] - 1] != index) {
        at = (at + 1) & mask;
    }
    return &set->slots[at];
}

/* Lets the slots know all items: at most half of them are taken. */
static tare_status set_index(tare_index_set *set, tare_arena *arena, tare_error *err) {
    if (set->slot_count < 2 * set->capacity) {
        size_t count = (size_t)4 * SMALL_SET;
        while (count < 4 * set->capacity) {
            count *= 2;
        }
        set->slots = tare_arena_array(arena, count, sizeof(*set->slots));
        if (set->slots == NULL) {
            return tare_fail_memory(err, count * sizeof(*set->slots), "quantizer placement");
        }
        set->slot_count = count;
        set->indexed = 0;
    }
    for (; set->indexed < set->count; set->indexed++) {
        *slot_find(set, set->items[set->indexed]) = set->indexed + 1;
    }
    return TARE_OK;
}

tare_status tare_index_set_add(tare_index_set *set, tare_arena *arena, size_t index,
                               tare_error *err) {
    if (set->count > SMALL_SET) {
        TARE_TRY(set_index(set, arena, err));
        return *slot_find(set, index) != 0 ? TARE_OK : tare_index_list_add(set, arena, index, err);
    }
    for (size_t i = set->count; i > 0; i--) {
        if (set->items[i - 1] == index) {
            return TARE_OK;
        }
    }
    return tare_index_list_add(set, arena, index, err);
}

static tare_status set_unite(tare_index_set *into, tare_arena *arena, const tare_index_set *from,
                             tare_error *err) {
    for (size_t i = 0; i < from->count; i++) {
        TARE_TRY(tare_index_set_add(into, arena, from->items[i], err));
    }
    return TARE_OK;
}

/* ---- groups with one scale ---- */

tare_status tare_group_new(size_t *out, tare_propagation *work, tare_error *err) {
    if (work->group_count == work->group_capacity) {
        const size_t capacity = work->group_capacity == 0 ? 16 : work->group_capacity * 2;
        size_t *grown = tare_arena_array(work->arena, capacity, sizeof(*grown));
        if (grown == NULL) {
            return tare_fail_memory(err, capacity * sizeof(*grown), "groups of quantizers");
        }
        if (work->group_count > 0) {
            memcpy(grown, work->group_parent, work->group_count * sizeof(*grown));
        }
        work->group_parent = grown;
        work->group_capacity = capacity;
    }
    *out = work->group_count++;
    work->group_parent[*out] = *out;
    return TARE_OK;
}

static size_t group_find(const tare_propagation *work, size_t group) {
    while (work->group_parent[group] != group) {
        work->group_parent[group] = work->group_parent[work->group_parent[group]];
        group = work->group_parent[group];
    }
    return group;
}

void tare_group_merge(tare_propagation *work, size_t into, size_t from) {
    work->group_parent[group_find(work, from)] = group_find(work, into);
}

size_t tare_mover_group(const tare_propagation *work, const tare_mover *mover) {
    return mover->group == TARE_NO_GROUP ? TARE_NO_GROUP : group_find(work, mover->group);
}

/* ---- movers ---- */

tare_status tare_mover_new(tare_mover **out, tare_propagation *work, tare_config_list configs,
                           size_t location, tare_error *err) {
    tare_mover *mover = tare_arena_alloc(work->arena, sizeof(*mover));
    if (mover == NULL) {
        return tare_fail_memory(err, sizeof(*mover), "quantizer placement");
    }
    *mover = (tare_mover){.id = work->movers.count + 1,
                          .configs = configs,
                          .location = location,
                          .group = TARE_NO_GROUP,
                          .table = SIZE_MAX,
                          .waits_at = SIZE_MAX};
    tare_hook *hook = &work->graph->hooks[location];
    hook->here = mover;
    TARE_TRY(tare_mover_list_add(&hook->affected, work->arena, mover, err));
    TARE_TRY(tare_index_set_add(&mover->hooks, work->arena, location, err));
    *out = mover;
    return tare_mover_list_add(&work->movers, work->arena, mover, err);
}

tare_status tare_mover_clone(tare_mover **out, tare_propagation *work, const tare_mover *mover,
                             tare_error *err) {
    tare_arena *arena = work->arena;
    tare_hook_graph *graph = work->graph;
    tare_mover *copy = tare_arena_alloc(arena, sizeof(*copy));
    if (copy == NULL) {
        return tare_fail_memory(err, sizeof(*copy), "quantizer placement");
    }
    *copy = (tare_mover){.id = work->movers.count + 1,
                         .configs = mover->configs,
                         .location = mover->location,
                         .path_length = mover->path_length,
                         .shares_scale = mover->shares_scale,
                         .group = mover->shares_scale ? mover->group : TARE_NO_GROUP,
                         .table = SIZE_MAX,
                         .waits_at = SIZE_MAX};
    TARE_TRY(set_unite(&copy->edges, arena, &mover->edges, err));
    TARE_TRY(set_unite(&copy->hooks, arena, &mover->hooks, err));
    TARE_TRY(set_unite(&copy->operators, arena, &mover->operators, err));
    TARE_TRY(set_unite(&copy->sinks, arena, &mover->sinks, err));
    for (size_t i = 0; i < copy->edges.count; i++) {
        TARE_TRY(
            tare_mover_list_add(&graph->edges[copy->edges.items[i]].affected, arena, copy, err));
    }
    for (size_t i = 0; i < copy->hooks.count; i++) {
        TARE_TRY(
            tare_mover_list_add(&graph->hooks[copy->hooks.items[i]].affected, arena, copy, err));
    }
    for (size_t i = 0; i < copy->operators.count; i++) {
        TARE_TRY(tare_mover_list_add(&graph->hooks[copy->operators.items[i]].affected, arena, copy,
                                     err));
    }
    work->change++;
    *out = copy;
    return tare_mover_list_add(&work->movers, arena, copy, err);
}

void tare_mover_remove(tare_propagation *work, tare_mover *mover, bool keep_location) {
    tare_hook_graph *graph = work->graph;
    for (size_t i = 0; i < mover->edges.count; i++) {
        tare_mover_list_remove(&graph->edges[mover->edges.items[i]].affected, mover);
    }
    for (size_t i = 0; i < mover->hooks.count; i++) {
        tare_mover_list_remove(&graph->hooks[mover->hooks.items[i]].affected, mover);
    }
    for (size_t i = 0; i < mover->operators.count; i++) {
        tare_mover_list_remove(&graph->hooks[mover->operators.items[i]].affected, mover);
    }
    work->change++;
    if (!keep_location) {
        graph->hooks[mover->location].here = NULL;
    }
    mover->edges = (tare_index_set){.items = NULL};
    mover->hooks = (tare_index_set){.items = NULL};
    mover->group = TARE_NO_GROUP;
    mover->table = SIZE_MAX;
    mover->removed = true;
}

static bool is_hook(const tare_hook *hook) {
    return hook->kind == TARE_HOOK_BEFORE || hook->kind == TARE_HOOK_BEHIND;
}

tare_status tare_mover_go(tare_propagation *work, tare_mover *mover, const tare_way *way,
                          tare_error *err) {
    tare_hook_graph *graph = work->graph;
    if (graph->hooks[mover->location].here == mover) {
        graph->hooks[mover->location].here = NULL;
    }
    for (size_t i = 0; i < way->count; i++) {
        tare_hook_edge *edge = &graph->edges[way->edges[i]];
        tare_hook *from = &graph->hooks[edge->from];
        TARE_TRY(tare_mover_list_add(&edge->affected, work->arena, mover, err));
        TARE_TRY(tare_index_set_add(&mover->edges, work->arena, way->edges[i], err));
        TARE_TRY(tare_mover_list_add(&from->affected, work->arena, mover, err));
        TARE_TRY(tare_index_set_add(is_hook(from) ? &mover->hooks : &mover->operators, work->arena,
                                    edge->from, err));
        work->change +=
            from->kind == TARE_HOOK_OPERATOR && from->trait != TARE_TRAIT_PASS ? 1U : 0U;
        mover->path_length++;
        mover->location = edge->from;
    }
    graph->hooks[mover->location].here = mover;
    return TARE_OK;
}

/* Follows a way up to the first place that others affect, leaving the mover's traces; gives those
 * others. */
static tare_status survivors_find(tare_mover_list *survivors, tare_propagation *work,
                                  tare_mover *mover, const size_t *edges, size_t edge_count,
                                  tare_error *err) {
    tare_hook_graph *graph = work->graph;
    *survivors = (tare_mover_list){NULL, 0, 0};
    const tare_mover_list *found = NULL;
    for (size_t i = 0; i < edge_count && found == NULL; i++) {
        tare_hook_edge *edge = &graph->edges[edges[i]];
        const tare_hook *from = &graph->hooks[edge->from];
        if (edge->affected.count > 0) {
            found = &edge->affected;
            break;
        }
        TARE_TRY(tare_index_set_add(&mover->edges, work->arena, edges[i], err));
        TARE_TRY(tare_mover_list_add(&edge->affected, work->arena, mover, err));
        if (is_hook(from) && from->here != NULL) {
            return tare_mover_list_add(survivors, work->arena, from->here, err);
        }
        if (from->affected.count > 0) {
            found = &from->affected;
        }
    }
    for (size_t i = 0; found != NULL && i < found->count; i++) {
        TARE_TRY(tare_mover_list_add(survivors, work->arena, found->items[i], err));
    }
    return TARE_OK;
}

tare_status tare_mover_inherit(tare_propagation *work, tare_mover *heir, const tare_mover *mover,
                               tare_error *err) {
    tare_hook_graph *graph = work->graph;
    TARE_TRY(set_unite(&heir->operators, work->arena, &mover->operators, err));
    TARE_TRY(set_unite(&heir->sinks, work->arena, &mover->sinks, err));
    TARE_TRY(set_unite(&heir->hooks, work->arena, &mover->hooks, err));
    TARE_TRY(set_unite(&heir->edges, work->arena, &mover->edges, err));
    for (size_t i = 0; i < mover->edges.count; i++) {
        tare_hook *to = &graph->hooks[graph->edges[mover->edges.items[i]].to];
        if (to->kind != TARE_HOOK_BARRIER) {
            TARE_TRY(tare_mover_list_add(&to->affected, work->arena, heir, err));
        }
    }
    work->change++;
    if (mover->shares_scale && mover->group != TARE_NO_GROUP) {
        if (heir->shares_scale && heir->group != TARE_NO_GROUP) {
            tare_group_merge(work, mover->group, heir->group);
        } else {
            heir->group = mover->group;
        }
    }
    return TARE_OK;
}

tare_status tare_mover_dissolve(tare_propagation *work, tare_mover *mover, const size_t *edges,
                                size_t edge_count, tare_error *err) {
    tare_hook_graph *graph = work->graph;
    tare_mover_list survivors;
    graph->hooks[mover->location].here = NULL;
    TARE_TRY(survivors_find(&survivors, work, mover, edges, edge_count, err));
    if (survivors.count == 0) {
        return tare_fail(err, TARE_INTERNAL, "%s: no quantizer is there to join",
                         graph->hooks[mover->location].key);
    }
    for (size_t i = 0; i < survivors.count; i++) {
        TARE_TRY(tare_mover_inherit(work, survivors.items[i], mover, err));
    }
    for (size_t k = 0; k < mover->edges.count; k++) {
        for (size_t i = 0; i < survivors.count; i++) {
            TARE_TRY(tare_mover_list_add(&graph->edges[mover->edges.items[k]].affected, work->arena,
                                         survivors.items[i], err));
        }
    }
    tare_mover_remove(work, mover, false);
    return TARE_OK;
}

/* The edge from a branching hook to the hook right below it at which a mover waits. */
static size_t branch_edge(const tare_hook_graph *graph, size_t location) {
    return graph->hooks[location].in[0];
}

tare_status tare_propagation_join(tare_propagation *work, const tare_mover_list *waiting,
                                  size_t branch, tare_error *err) {
    bool may_join = true;
    for (size_t i = 0; i < waiting->count; i++) {
        /* Since it began to wait, a concatenation below may have turned out to stay float. */
        tare_transition next;
        TARE_TRY(tare_mover_check_branch(&next, work, waiting->items[i], branch, err));
        may_join = may_join && next != TARE_MOVER_STOPS;
    }
    tare_config_list *lists = tare_arena_array(work->arena, waiting->count, sizeof(*lists));
    if (lists == NULL) {
        return tare_fail_memory(err, waiting->count * sizeof(*lists), "quantizer placement");
    }
    for (size_t i = 0; i < waiting->count; i++) {
        lists[i] = waiting->items[i]->configs;
        waiting->items[i]->waits_at = SIZE_MAX;
    }
    tare_config_list common = {NULL, 0};
    if (may_join) {
        TARE_TRY(tare_config_list_merge(&common, work->arena, lists, waiting->count, err));
    }
    if (common.count == 0) {
        for (size_t i = 0; i < waiting->count; i++) {
            TARE_TRY(tare_mover_list_add(&work->finished, work->arena, waiting->items[i], err));
        }
        return TARE_OK;
    }
    tare_mover *joint;
    TARE_TRY(tare_mover_new(&joint, work, common, branch, err));
    for (size_t i = 0; i < waiting->count; i++) {
        const tare_mover *mover = waiting->items[i];
        if (mover->shares_scale && mover->group != TARE_NO_GROUP) {
            joint->shares_scale = true;
            if (joint->group == TARE_NO_GROUP) {
                joint->group = mover->group;
            } else {
                tare_group_merge(work, joint->group, mover->group);
            }
        }
    }
    for (size_t i = 0; i < waiting->count; i++) {
        tare_mover *mover = waiting->items[i];
        const size_t edge = branch_edge(work->graph, mover->location);
        const tare_index_set sinks = mover->sinks;
        TARE_TRY(tare_mover_dissolve(work, mover, &edge, 1, err));
        TARE_TRY(set_unite(&joint->sinks, work->arena, &sinks, err));
    }
    return tare_propagation_enqueue(work, joint, err);
}
