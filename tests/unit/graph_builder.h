/* SPDX-License-Identifier: Apache-2.0 */
/** Graphs built by hand, in one line per value or node. Failures abort the test. */
#ifndef TARE_TESTS_GRAPH_BUILDER_H
#define TARE_TESTS_GRAPH_BUILDER_H

#include "ir/graph.h"

/** Ends a list of dims or integers. */
#define END INT64_MIN

/** A list of dims or integers. */
#define DIMS(...)                                                                                  \
    (const int64_t[]) {                                                                            \
        __VA_ARGS__, END                                                                           \
    }
#define SCALAR                                                                                     \
    (const int64_t[]) {                                                                            \
        END                                                                                        \
    }

/** An empty graph that imports ONNX's operators in one opset version. */
void build_graph(tare_graph *graph, int64_t opset);

/** A graph input; -1 for an open dim. */
tare_value *build_input(tare_graph *graph, const char *name, tare_dtype dtype, const int64_t *dims);

/** Names a dim of an input. */
void build_dim_name(tare_graph *graph, tare_value *input, int axis, const char *name);

/** A vector of int64 as initializer. */
tare_value *build_ints(tare_graph *graph, const char *name, const int64_t *numbers);

/** A float initializer of that shape, filled with start, start + step, ... */
tare_value *build_floats(tare_graph *graph, const char *name, double start, double step,
                         const int64_t *dims);

/** A node with one output named `output`; inputs (tare_value *, NULL for one left out) follow, as
 * many as `count` says. */
tare_node *build_node(tare_graph *graph, const char *op_type, const char *output, int count, ...);

/** Adds one more output to a node. */
tare_value *build_more(tare_graph *graph, tare_node *node, const char *output);

/** Attributes of a node. */
void build_int(tare_graph *graph, tare_node *node, const char *name, int64_t value);
void build_float(tare_graph *graph, tare_node *node, const char *name, float value);
void build_text(tare_graph *graph, tare_node *node, const char *name, const char *value);
void build_list(tare_graph *graph, tare_node *node, const char *name, const int64_t *numbers);

/** Makes a value a graph output. */
void build_output(tare_graph *graph, tare_value *value);

#endif
