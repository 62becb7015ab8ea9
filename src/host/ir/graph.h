/* SPDX-License-Identifier: Apache-2.0 */
/**
 * The graph: nodes and the values between them, as ONNX has them.
 *
 * A graph owns an arena with everything in it; the payloads of constants are refcounted buffers.
 * Values and nodes are addressed by pointer; their `id` is their index in the graph's arrays as
 * long as nothing is removed. A clone keeps the ids of the values of its original.
 */
#ifndef TARE_IR_GRAPH_H
#define TARE_IR_GRAPH_H

#include "base/arena.h"
#include "base/map.h"
#include "ir/tensor.h"

struct tare_op; /* a row of the operator table, see ops/op.h */

typedef struct tare_node tare_node;
typedef struct tare_value tare_value;

/** One place where a value is read. */
typedef struct tare_use {
    tare_node *node;
    size_t port; /**< index into node->inputs */
} tare_use;

struct tare_value {
    const char *name; /**< unique in the graph, never empty */
    size_t id;
    tare_dtype dtype;                     /**< TARE_DTYPE_UNDEFINED: not known, or not a tensor */
    int rank;                             /**< -1: not known */
    int64_t dims[TARE_MAX_RANK];          /**< -1: not known */
    const char *dim_names[TARE_MAX_RANK]; /**< the symbolic name of a dim of a graph input or
                                             output, or NULL */
    tare_tensor
        *constant;       /**< the contents, when they do not depend on the graph inputs; or NULL */
    bool is_initializer; /**< constant stored in the file's initializer list */
    bool is_input;       /**< in the graph's input list (an initializer may be both) */
    bool is_output;
    bool is_tensor_type; /**< false for sequences, optionals and other types that Tare only passes
                            through */
    tare_node *producer; /**< NULL for inputs and initializers */
    size_t producer_port;
    tare_use *uses; /**< valid after tare_graph_index_uses() and until the next edit */
    size_t use_count;
};

/** Kinds of attribute with ONNX's numbers (AttributeProto.AttributeType). */
typedef enum tare_attribute_type {
    TARE_ATTRIBUTE_UNDEFINED = 0,
    TARE_ATTRIBUTE_FLOAT = 1,
    TARE_ATTRIBUTE_INT = 2,
    TARE_ATTRIBUTE_STRING = 3,
    TARE_ATTRIBUTE_TENSOR = 4,
    TARE_ATTRIBUTE_GRAPH = 5,
    TARE_ATTRIBUTE_FLOATS = 6,
    TARE_ATTRIBUTE_INTS = 7,
    TARE_ATTRIBUTE_STRINGS = 8
    /* Other kinds (graphs, sparse tensors, types) are carried by number with no value here. */
} tare_attribute_type;

typedef struct tare_attribute {
    const char *name;
    tare_attribute_type type;
    int64_t i;
    float f;
    const char *s; /**< NUL-terminated copy; s_length counts embedded NULs too */
    size_t s_length;
    size_t count; /**< of ints, floats or strings */
    const int64_t *ints;
    const float *floats;
    const char *const *strings;
    tare_tensor *tensor; /**< owned by the graph */
} tare_attribute;

struct tare_node {
    const char *name;    /**< may be empty, unique otherwise is not promised */
    const char *op_type; /**< "Conv" */
    const char *domain;  /**< "" for ONNX's own operators ("ai.onnx" is read as "") */
    size_t id;
    tare_value **inputs; /**< NULL where an optional input is left out */
    size_t input_count;
    tare_value **outputs; /**< NULL where an optional output is left out */
    size_t output_count;
    tare_attribute *attributes;
    size_t attribute_count;
    const struct tare_op *op; /**< set by tare_ops_resolve(); NULL: no row for this operator */
    void *attrs;              /**< the operator's typed attributes, set by tare_ops_resolve() */
    const void *origin; /**< what the reader read this node from, for the writer; NULL for new or
                           rewritten nodes */
};

typedef struct tare_opset {
    const char *domain;
    int64_t version;
} tare_opset;

/** The document that a graph was read from, kept so that the writer can emit what is not modelled.
 */
typedef struct tare_document tare_document;

typedef struct tare_graph {
    tare_arena arena;
    const char *name;
    const char *path; /**< the file it was read from, for messages; may be NULL */
    int64_t ir_version;
    tare_opset *opsets;
    size_t opset_count;
    tare_value **values;
    size_t value_count, value_capacity;
    tare_node **nodes; /**< in the order of the file, which is topological */
    size_t node_count, node_capacity;
    tare_value **inputs;
    size_t input_count;
    tare_value **outputs;
    size_t output_count;
    tare_map value_by_name;
    tare_document *document; /**< NULL for graphs made in memory and for clones */
    void (*document_release)(tare_document *document);
    tare_tensor **tensors; /**< every tensor to release with the graph */
    size_t tensor_count, tensor_capacity;
} tare_graph;

/** Makes an empty graph. */
void tare_graph_init(tare_graph *graph);

/** Releases arena, tensors and document. NULL and half-built graphs allowed. */
void tare_graph_release(tare_graph *graph);

/** The version of the opset of `domain` ("" = ONNX), or 0 when the model does not import it. */
int64_t tare_graph_opset(const tare_graph *graph, const char *domain);

/** The value of that name, or NULL. */
tare_value *tare_graph_find_value(const tare_graph *graph, const char *name);

/** Adds a value with unknown type and shape. TARE_INVALID_MODEL when the name is empty or taken.
 * The name is copied. */
TARE_MUST_CHECK tare_status tare_graph_add_value(tare_value **out, tare_graph *graph,
                                                 const char *name, tare_error *err);

/** A tensor struct owned by the graph (released with it), zeroed; or NULL when memory runs out. */
tare_tensor *tare_graph_new_tensor(tare_graph *graph);

/** Adds an initializer that shares `tensor`'s buffer; sets type and shape. Errors as
 * tare_graph_add_value(). */
TARE_MUST_CHECK tare_status tare_graph_add_initializer(tare_value **out, tare_graph *graph,
                                                       const char *name, const tare_tensor *tensor,
                                                       tare_error *err);

/** What tare_graph_add_node() needs; texts and arrays are copied. */
typedef struct tare_node_spec {
    const char *op_type, *domain, *name;
    tare_value *const *inputs;
    size_t input_count;
    tare_value *const *outputs;
    size_t output_count;
    const tare_attribute *attributes; /**< tensors inside must be owned by the graph already */
    size_t attribute_count;
    const void *origin;
} tare_node_spec;

/** Inserts a node before index `position` (SIZE_MAX: at the end) and sets the producers of its
 * outputs; renumbers ids. TARE_INVALID_MODEL when an output already has a producer. */
TARE_MUST_CHECK tare_status tare_graph_add_node(tare_node **out, tare_graph *graph,
                                                const tare_node_spec *spec, size_t position,
                                                tare_error *err);

/** Takes a node out of the graph (its memory stays in the arena) and clears the producers of its
 * outputs; renumbers ids. */
void tare_graph_remove_node(tare_graph *graph, tare_node *node);

/** Takes many nodes out at once: those for which drop[node->id] is true. Renumbers ids. */
void tare_graph_remove_nodes(tare_graph *graph, const bool *drop);

/** Turns an initializer that nothing reads any more into an ordinary unused value that the writer
 * leaves out. */
void tare_graph_drop_initializer(tare_graph *graph, tare_value *value);

/** Copies an attribute (and its arrays and texts) into the graph's arena; false when memory runs
 * out. */
TARE_MUST_CHECK bool tare_graph_copy_attribute(tare_attribute *out, tare_graph *graph,
                                               const tare_attribute *attribute);

/** The attribute of that name, or NULL. */
const tare_attribute *tare_node_attribute(const tare_node *node, const char *name);

/** Input `port`, or NULL when it is left out or beyond the end. */
tare_value *tare_node_input(const tare_node *node, size_t port);

/** Fills value->uses of every value, in order of node and port. Call again after edits. */
TARE_MUST_CHECK tare_status tare_graph_index_uses(tare_graph *graph, tare_error *err);

/** Sorts nodes topologically (stable: file order among ready nodes). TARE_INVALID_MODEL for a
 * cycle, naming a node on it. */
TARE_MUST_CHECK tare_status tare_graph_sort(tare_graph *graph, tare_error *err);

/** Makes an independent copy: same ids, names and attributes (typed attributes are not copied),
 * constants shared, no document. `origin` of nodes is kept. */
TARE_MUST_CHECK tare_status tare_graph_clone(tare_graph *copy, const tare_graph *graph,
                                             tare_error *err);

/** "node 'Conv_12' (Conv)" or "node #12 (Conv)" when it has no name; into `text`, which is
 * returned. For messages. */
const char *tare_node_text(char *text, size_t capacity, const tare_node *node);
#define TARE_NODE_TEXT_BYTES 200

#endif
