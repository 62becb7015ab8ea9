/* SPDX-License-Identifier: Apache-2.0 */
/** Finding small graphs of operators in the data flow. */
#ifndef TARE_QUANT_PATTERN_H
#define TARE_QUANT_PATTERN_H

#include "quant/flow.h"

#define TARE_PATTERN_MAX_NODES 14
#define TARE_PATTERN_MAX_EDGES 20

/** One concrete graph of a family. */
typedef struct tare_pattern {
    const char *name;
    size_t node_count, edge_count;
    size_t size; /**< nodes that are not outside */
    tare_pattern_node nodes[TARE_PATTERN_MAX_NODES];
    tare_pattern_edge edges[TARE_PATTERN_MAX_EDGES];
} tare_pattern;

typedef struct tare_pattern_list {
    tare_pattern *items;
    size_t count;
} tare_pattern_list;

/** All graphs of the families, the largest first, else in order; those for transformers only when
 * `transformer`. */
TARE_MUST_CHECK tare_status tare_pattern_expand(tare_pattern_list *out, tare_arena *arena,
                                                const tare_pattern_family *families,
                                                bool transformer, tare_error *err);

/** A found pattern: nodes of the flow without the outside ones, in the order in which a sort by
 * dependency and key gives them. */
typedef struct tare_pattern_match {
    const tare_pattern *pattern;
    size_t count;
    size_t nodes[TARE_PATTERN_MAX_NODES];
    bool kept[TARE_PATTERN_MAX_NODES];
} tare_pattern_match;

typedef struct tare_match_list {
    tare_pattern_match *items;
    size_t count, capacity;
} tare_match_list;

/**
 * Finds the patterns among the nodes that are alive; no node is in two matches, earlier patterns
 * come first. A match has exactly the pattern's edges between its nodes. `strict`: moreover, except
 * where outside nodes feed it, nothing but its first nodes reads from elsewhere and nothing but its
 * last node is read elsewhere.
 */
TARE_MUST_CHECK tare_status tare_pattern_find(tare_match_list *out, tare_arena *arena,
                                              const tare_flow *flow,
                                              const tare_pattern_list *patterns, bool strict,
                                              tare_error *err);

#endif
