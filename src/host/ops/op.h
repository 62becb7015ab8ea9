/* SPDX-License-Identifier: Apache-2.0 */
/**
 * The operator table: one row per ONNX operator with its arity, typed attributes and shape
 * inference.
 *
 * Differences between opset versions live in the rows: after tare_ops_resolve() and tare_op_infer()
 * the typed attributes (ops/attrs.h) say the same thing in one form, whether the file gave an
 * attribute or a constant input, and kernels read only them.
 */
#ifndef TARE_OPS_OP_H
#define TARE_OPS_OP_H

#include "ir/graph.h"
#include "ops/attrs.h"

/** What kind of field an attribute fills. */
typedef enum tare_attr_kind {
    TARE_ATTR_INT,     /**< int64_t */
    TARE_ATTR_BOOL,    /**< bool, from an ONNX int that must be 0 or 1 */
    TARE_ATTR_FLOAT,   /**< float */
    TARE_ATTR_INTS,    /**< tare_ints */
    TARE_ATTR_FLOATS,  /**< tare_floats */
    TARE_ATTR_CHOICE,  /**< int: the index of the attribute's text in a NULL-terminated list */
    TARE_ATTR_TENSOR,  /**< const tare_tensor *, NULL when absent */
    TARE_ATTR_TEXT,    /**< const char *, NULL when absent */
    TARE_ATTR_TEXTS,   /**< tare_texts */
    TARE_ATTR_IGNORED, /**< known, without influence on results (such as storage_order of a missing
                         output) */
    TARE_ATTR_REFUSED  /**< known, and not supported when it is given */
} tare_attr_kind;

/** One attribute of an operator: where it goes and what it is when the file does not give it. */
typedef struct tare_attr_spec {
    const char *name;
    tare_attr_kind kind;
    size_t offset; /**< of the field in the operator's attribute struct */
    bool required;
    int64_t default_int; /**< for INT, BOOL and CHOICE */
    float default_float;
    const char *const *choices; /**< for CHOICE */
    int since, until;           /**< opset versions that have the attribute; 0: no bound */
} tare_attr_spec;

/** What a row's infer function works on. Every input has a known type and concrete dims. */
typedef struct tare_infer {
    tare_graph *graph; /**< for its arena and messages */
    tare_node *node;
    int64_t opset; /**< of the node's domain */
    void *attrs;   /**< node->attrs, which infer completes from constant inputs */
} tare_infer;

/** A row of the table: one operator, or its form in a range of opset versions. */
typedef struct tare_op {
    const char *domain, *name;
    int since; /**< first opset version in which this row holds; the newest row not above the
                  model's opset is taken */
    const char *kernel; /**< the kernel that computes it; NULL: the operator's own name */
    int min_inputs, max_inputs, min_outputs, max_outputs; /**< max -1: any number */
    int until;                /**< last opset version that has the operator; 0: no bound */
    unsigned optional_inputs; /**< bit i: input i may be left out although others follow it */
    size_t attrs_size;
    const tare_attr_spec *attrs; /**< ended by a spec without a name; NULL: none */
    /** Sets type, rank and dims of every output and completes the typed attributes. */
    tare_status (*infer)(tare_infer *infer, tare_error *err);
} tare_op;

/** The row for an operator in an opset version; NULL when there is none. */
const tare_op *tare_op_find(const char *domain, const char *name, int64_t opset);

/** The kernel's name of a node with a row. */
const char *tare_op_kernel(const tare_op *op);

/**
 * Sets node->op and node->attrs of every node that has a row, checking arity and attributes
 * (unknown, missing or ill-typed ones are TARE_INVALID_MODEL with node and attribute named). Nodes
 * without a row keep op == NULL. TARE_UNSUPPORTED for an ONNX opset outside 7 to 26; above 22 the
 * rows were checked to have changed in element types only.
 */
TARE_MUST_CHECK tare_status tare_ops_resolve(tare_graph *graph, tare_error *err);

/** Infers one node whose inputs are known. TARE_UNSUPPORTED for an operator without a row, naming
 * domain and operator. */
TARE_MUST_CHECK tare_status tare_op_infer(tare_graph *graph, tare_node *node, tare_error *err);

#endif
