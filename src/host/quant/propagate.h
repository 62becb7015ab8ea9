/* SPDX-License-Identifier: Apache-2.0 */
/**
 * Moving quantizers: every input that wants to be quantized starts one, and each moves up against
 * the data flow as long as all readers on its way agree, joining others at branches.
 */
#ifndef TARE_QUANT_PROPAGATE_H
#define TARE_QUANT_PROPAGATE_H

#include "quant/hook_graph.h"
#include "quant/setup.h"

/** A set of indices in order of arrival, small as a rule. */
typedef struct tare_index_set {
    size_t *items;
    size_t count, capacity;
    size_t *slots; /**< of sets that are not small: by hash, positions in items plus one; 0: free */
    size_t slot_count; /**< a power of two */
    size_t indexed;    /**< how many items the slots know */
} tare_index_set;

/** A quantizer that moves. */
typedef struct tare_mover {
    size_t id; /**< from 1, in order of creation */
    tare_config_list configs;
    size_t location;                        /**< a hook */
    size_t path_length;                     /**< edges it has moved over */
    tare_index_set edges, hooks, operators; /**< what it affects */
    tare_index_set sinks;                   /**< operators whose inputs it quantizes */
    bool shares_scale;                      /**< wants one scale with its group */
    size_t group;                           /**< or TARE_NO_GROUP */
    size_t table;    /**< the operator whose rows it quantizes, or SIZE_MAX */
    size_t waits_at; /**< the branching hook it waits at, or SIZE_MAX */
    bool queued, removed;
    struct tare_mover *previous, *next; /**< in the queue */
} tare_mover;

/** What the readers below a branch say to every mover alike, as long as what they are affected by
 * stays as it is. */
typedef struct tare_branch_verdict {
    size_t change;            /**< tare_propagation.change when it was reached; 0: not yet */
    bool stops;               /**< a reader stays float */
    bool partial;             /**< a reader counts only while everything below is quantized */
    bool several;             /**< more than one mover affects the readers */
    const tare_mover *only;   /**< the one that does, or NULL */
    tare_index_set undecided; /**< concatenations that nothing affects yet */
} tare_branch_verdict;

/** The movers of a graph. */
typedef struct tare_propagation {
    tare_hook_graph *graph;
    tare_arena *arena;
    bool symmetric;         /**< activations' scheme */
    tare_mover_list movers; /**< all, in order of creation */
    tare_mover_list finished;
    tare_mover *queue_first, *queue_last;
    size_t queue_length;
    size_t group_count;
    size_t *group_parent; /**< groups that were merged point to their successor */
    size_t group_capacity;
    unsigned *visited; /**< per hook: the last walk that saw it */
    unsigned walk;
    size_t *stack; /**< of walks: one entry per hook and edge */
    size_t change; /**< counts, from 1, how often it changed which movers affect operators */
    tare_branch_verdict *verdicts; /**< per hook */
    tare_mover_list below;         /**< of waiting movers' checks */
    bool *dominates_output;        /**< per hook: an output is next below */
} tare_propagation;

/** Starts a quantizer at every input that wants one and moves them until none can. */
TARE_MUST_CHECK tare_status tare_propagation_run(tare_propagation *work, tare_arena *arena,
                                                 tare_hook_graph *graph, bool symmetric,
                                                 tare_error *err);

/** Removes quantizers that would serve nothing but one input of an operator that is not worth it.
 */
void tare_propagation_drop_lonely(tare_propagation *work);

/** Removes quantizers behind another that makes them superfluous; what counts is the first
 * configuration of each. */
TARE_MUST_CHECK tare_status tare_propagation_reduce(tare_propagation *work, tare_error *err);

/** The group of a mover after merges, or TARE_NO_GROUP. */
size_t tare_mover_group(const tare_propagation *work, const tare_mover *mover);

/* ---- between the files of the engine ---- */

/** What a mover does next on a way up. */
typedef enum tare_transition {
    TARE_MOVER_GOES,
    TARE_MOVER_MERGES,
    TARE_MOVER_STOPS,
    TARE_MOVER_WAITS
} tare_transition;

/** A way from a hook to the next one above: one edge, or two over an operator; nearest first. */
typedef struct tare_way {
    size_t edges[2];
    size_t count;
} tare_way;

/** Whether `mover` may go `way`. `cloned`: it was copied in this step, with the fresh ones. */
TARE_MUST_CHECK tare_status tare_mover_check_way(tare_transition *out, tare_propagation *work,
                                                 tare_mover *mover, const tare_way *way,
                                                 bool cloned, tare_error *err);

/** Whether `mover` may pass a hook that other readers branch off. */
TARE_MUST_CHECK tare_status tare_mover_check_branch(tare_transition *out, tare_propagation *work,
                                                    const tare_mover *mover, size_t branch,
                                                    tare_error *err);

/** The movers met first on every way down from a hook or operator that are queued, or are `also`;
 * each once. Overwrites the list. */
TARE_MUST_CHECK tare_status tare_propagation_find_below(tare_mover_list *out,
                                                        tare_propagation *work, size_t from,
                                                        const tare_mover *also, tare_error *err);

/** Fills work->dominates_output. */
TARE_MUST_CHECK tare_status tare_propagation_find_outputs(tare_propagation *work, tare_error *err);

/** Whether an operator that wants its inputs to share scales is below; see tare_target. */
bool tare_propagation_shares_scale(tare_propagation *work, size_t concat);

/** Begins a walk: hooks count as unvisited again. */
unsigned tare_propagation_walk(tare_propagation *work);

TARE_MUST_CHECK tare_status tare_mover_new(tare_mover **out, tare_propagation *work,
                                           tare_config_list configs, size_t location,
                                           tare_error *err);
TARE_MUST_CHECK tare_status tare_mover_clone(tare_mover **out, tare_propagation *work,
                                             const tare_mover *mover, tare_error *err);

/** Takes a mover's traces out of the graph. */
void tare_mover_remove(tare_propagation *work, tare_mover *mover, bool keep_location);

/** Moves a mover along a way. */
TARE_MUST_CHECK tare_status tare_mover_go(tare_propagation *work, tare_mover *mover,
                                          const tare_way *way, tare_error *err);

/** Hands what `mover` affects to `heir`. */
TARE_MUST_CHECK tare_status tare_mover_inherit(tare_propagation *work, tare_mover *heir,
                                               const tare_mover *mover, tare_error *err);

/** Lets a mover dissolve into those that affect a way already. */
TARE_MUST_CHECK tare_status tare_mover_dissolve(tare_propagation *work, tare_mover *mover,
                                                const size_t *edges, size_t edge_count,
                                                tare_error *err);

/** Replaces the movers waiting at a branch by one there, if they have a configuration in common;
 * else all of them finish. */
TARE_MUST_CHECK tare_status tare_propagation_join(tare_propagation *work,
                                                  const tare_mover_list *waiting, size_t branch,
                                                  tare_error *err);

TARE_MUST_CHECK tare_status tare_group_new(size_t *out, tare_propagation *work, tare_error *err);
void tare_group_merge(tare_propagation *work, size_t into, size_t from);
TARE_MUST_CHECK tare_status tare_index_set_add(tare_index_set *set, tare_arena *arena, size_t index,
                                               tare_error *err);
/** Adds an index that is known not to be in the set. */
TARE_MUST_CHECK tare_status tare_index_list_add(tare_index_set *set, tare_arena *arena,
                                                size_t index, tare_error *err);
TARE_MUST_CHECK tare_status tare_propagation_enqueue(tare_propagation *work, tare_mover *mover,
                                                     tare_error *err);

#endif
