/* SPDX-License-Identifier: Apache-2.0 */
/**
 * The data flow that placement works on: nodes, graph inputs and graph outputs with the edges
 * between them, classified by a target's rules. Casts that change nothing are looked through;
 * initializers have no node.
 */
#ifndef TARE_QUANT_FLOW_H
#define TARE_QUANT_FLOW_H

#include "ir/graph.h"
#include "quant/target.h"

typedef struct tare_flow_edge {
    size_t from, to; /**< indices of nodes */
    size_t in_port;  /**< of the reader; 0 for a graph output */
    tare_value *value;
    bool integer; /**< not float32: never quantized */
} tare_flow_edge;

typedef struct tare_flow_node {
    const char *name;  /**< of the node, or one that is made up where it has none */
    const char *key;   /**< "<index> <name>": NNCF's orders are orders of these texts */
    tare_node *node;   /**< NULL for graph inputs and outputs */
    tare_value *value; /**< of a graph input or output, or what is scaled */
    const tare_operator_rule *rule; /**< never NULL */
    unsigned weight_ports;          /**< input ports (bits) whose weights are constant */
    bool alive; /**< depends on the data: neither constant nor a computation of shapes */
    size_t *in; /**< edges, by port; those between nodes that are alive first */
    size_t in_count, in_alive;
    size_t *out; /**< edges, by reader; those between nodes that are alive first */
    size_t out_count, out_alive;
} tare_flow_node;

typedef struct tare_flow {
    tare_graph *graph;
    const tare_target *target;
    tare_flow_node *nodes; /**< the nodes of the graph, its inputs, its outputs, scalings */
    size_t node_count;
    tare_flow_edge *edges;
    size_t edge_count;
} tare_flow;

/**
 * Builds the flow of a graph in `arena`; types and ranks of values must be known. Indexes the uses
 * of the graph. `transformer` adds the scalings that the target wants in transformers.
 */
TARE_MUST_CHECK tare_status tare_flow_build(tare_flow *flow, tare_arena *arena, tare_graph *graph,
                                            const tare_target *target, bool transformer,
                                            tare_error *err);

/** Sets `alive` and sorts the edges accordingly; tare_flow_build() calls it. */
TARE_MUST_CHECK tare_status tare_flow_find_alive(tare_flow *flow, tare_arena *arena,
                                                 tare_error *err);

/** The value behind casts that do not change the type. */
tare_value *tare_flow_source(tare_value *value);

/** Whether a node is a cast to the type that its input has already. */
bool tare_flow_is_idle_cast(const tare_node *node);

/** The rule for a node and its constant weight ports. */
const tare_operator_rule *tare_rule_find(unsigned *weight_ports, const tare_target *target,
                                         const tare_node *node);

/** The axis of output channels of the weight on `port` of a node, counted from the front; -1 when
 * a weight of this rank has none. */
int tare_rule_weight_axis(const tare_operator_rule *rule, const tare_node *node, size_t port);

#endif
