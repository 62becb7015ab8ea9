/* SPDX-License-Identifier: Apache-2.0 */
/** Raising a model's ONNX opset without changing what it computes. */
#ifndef TARE_OPS_UPGRADE_H
#define TARE_OPS_UPGRADE_H

#include "ir/graph.h"

/** The opset that tare_graph_upgrade() can reach: the first whose QuantizeLinear has an axis. */
#define TARE_UPGRADE_OPSET 13

/**
 * Rewrites the nodes whose form changed between the graph's ONNX opset (7 to 12) and `opset` (13 or
 * lower), sets graph->opsets and raises graph->ir_version to at least 7, which allows initializers
 * that are not inputs. Does nothing when the graph's opset is not below `opset`.
 *
 * A rewritten node keeps its place, name and outputs and loses its `origin`; other nodes stay as
 * they are. Lists that became inputs are new int64 or float initializers named after the node's
 * first output ("y_axes"). Softmax before opset 13 works on a flattened input: where its axis is
 * the last one or its rank is not known to be different this is said with the axis alone, otherwise
 * nodes are added around it. Uses must be indexed again afterwards.
 *
 * Errors: TARE_UNSUPPORTED for nodes with subgraphs and for forms that have no equivalent, with the
 * node named; TARE_INVALID_ARGUMENT for an opset above 13; TARE_OUT_OF_MEMORY. The graph is then
 * half rewritten and good for nothing but release.
 */
TARE_MUST_CHECK tare_status tare_graph_upgrade(tare_graph *graph, int64_t opset, tare_error *err);

#endif
