/* SPDX-License-Identifier: Apache-2.0 */
/**
 * The graph on which quantizers move: operators (fused ones are one node), and the hooks before and
 * behind them where quantizers can sit. An operator has one hook per input and one hook for all of
 * its outputs; an operator the user keeps float has a barrier between itself and the latter.
 */
#ifndef TARE_QUANT_HOOK_GRAPH_H
#define TARE_QUANT_HOOK_GRAPH_H

#include "quant/pattern.h"

struct tare_mover; /* a moving quantizer, see quant/propagate.h */

/** A growing list of movers in an arena; the same mover may be in it more than once. */
typedef struct tare_mover_list {
    struct tare_mover **items;
    size_t count, capacity;
} tare_mover_list;

typedef enum tare_hook_kind {
    TARE_HOOK_OPERATOR,
    TARE_HOOK_BEFORE,
    TARE_HOOK_BEHIND,
    TARE_HOOK_BARRIER
} tare_hook_kind;

typedef struct tare_hook {
    tare_hook_kind kind;
    const char *key;
    size_t
        flow; /**< node of the flow: the operator's (first member's); the reader's; the maker's */
    size_t port;      /**< of BEFORE */
    size_t edge;      /**< of BEFORE: the edge of the flow that it is on */
    size_t *in, *out; /**< edges */
    size_t in_count, out_count;
    struct tare_mover *here;  /**< of hooks: the quantizer that sits here */
    tare_mover_list affected; /**< by which quantizers (hooks and operators) */
    tare_mover_list waiting;  /**< of BEHIND: quantizers below that want to join here */
    /* operators only */
    const size_t *members; /**< nodes of the flow, in order */
    size_t member_count;
    const tare_operator_rule *rule; /**< of the first member */
    tare_trait trait;
    bool ignored; /**< stays float whatever its rule says */
} tare_hook;

typedef struct tare_hook_edge {
    size_t from, to;
    bool integer;
    tare_mover_list affected;
} tare_hook_edge;

typedef struct tare_hook_graph {
    const tare_flow *flow;
    tare_hook *hooks;
    size_t hook_count;
    tare_hook_edge *edges;
    size_t edge_count;
    size_t *order; /**< hooks by dependency, among those that are ready by key */
} tare_hook_graph;

/** Builds the graph of what is alive. `ignored` (by node of the flow) are operators to keep float:
 * it counts for the first member of a fused operator only. */
TARE_MUST_CHECK tare_status tare_hook_graph_build(tare_hook_graph *graph, tare_arena *arena,
                                                  const tare_flow *flow,
                                                  const tare_match_list *fused, const bool *ignored,
                                                  tare_error *err);

/** Appends to a list in `arena`. */
TARE_MUST_CHECK tare_status tare_mover_list_add(tare_mover_list *list, tare_arena *arena,
                                                struct tare_mover *mover, tare_error *err);

/** Takes the first occurrence out, if there is one. */
void tare_mover_list_remove(tare_mover_list *list, const struct tare_mover *mover);

#endif
