/* SPDX-License-Identifier: Apache-2.0 */
/** How many dims the values of a graph have, as far as that follows without concrete shapes. */
#ifndef TARE_OPS_RANK_H
#define TARE_OPS_RANK_H

#include "ir/graph.h"

/**
 * Writes the rank of every value into ranks[value->id] (graph->value_count elements); -1 where the
 * file and the operators of opset 7 to 12 do not tell. Nodes are in topological order.
 */
TARE_MUST_CHECK tare_status tare_graph_ranks(int *ranks, const tare_graph *graph, tare_error *err);

#endif
