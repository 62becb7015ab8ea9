/* SPDX-License-Identifier: Apache-2.0 */
/** Which nodes a graph's outputs depend on. */
#ifndef TARE_PASS_DEAD_H
#define TARE_PASS_DEAD_H

#include "ir/graph.h"

/**
 * Sets live[node->id] for every node that an output needs: walks back from the outputs and stops at
 * constants. `live` has graph->node_count elements; nodes are in topological order.
 * Subgraphs may read tensors that are not among their node's inputs: nodes with subgraphs have no
 * row in the operator table, so a graph that needs one is refused before its answer matters.
 */
TARE_MUST_CHECK tare_status tare_pass_live(bool *live, const tare_graph *graph, tare_error *err);

#endif
