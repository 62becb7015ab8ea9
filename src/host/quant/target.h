/* SPDX-License-Identifier: Apache-2.0 */
/**
 * Descriptions of target runtimes: which operators take quantized inputs and in which schemes, what
 * the runtime fuses, what stays float. Data; the engine that works with them knows no operator by
 * name.
 */
#ifndef TARE_QUANT_TARGET_H
#define TARE_QUANT_TARGET_H

#include "quant/config.h"

/** What an operator does with quantizers. */
typedef enum tare_trait {
    TARE_TRAIT_FLOAT = 0, /**< stays float; no quantizer moves above it */
    TARE_TRAIT_INPUTS,    /**< wants its inputs quantized; no quantizer moves above it */
    TARE_TRAIT_PASS,      /**< moves or selects elements: quantizers move above it */
    TARE_TRAIT_CONCAT,    /**< as PASS, but only with quantizers on every input */
    TARE_TRAIT_TABLE      /**< outputs rows of its weights: quantized weights serve its readers */
} tare_trait;

/** What must hold for a rule to apply to a node of its operator. */
typedef enum tare_rule_condition {
    TARE_RULE_ALWAYS = 0,
    TARE_RULE_DEPTHWISE, /**< one input channel per group, more than one group */
    TARE_RULE_GROUPED,   /**< more than one group */
    TARE_RULE_EMBEDDING  /**< input 0 is a constant of float32 */
} tare_rule_condition;

/** Names of operators and groups of them, for patterns: sets of bits. */
typedef uint64_t tare_tags;

/** How one operator is treated. */
typedef struct tare_operator_rule {
    const char *op_type; /**< of ONNX's own domain */
    tare_rule_condition condition;
    tare_trait trait;
    bool symmetric_inputs;     /**< inputs are symmetric in every preset */
    unsigned quantized_ports;  /**< input ports (bits) that take quantizers; 0: all */
    tare_config_list inputs;   /**< for INPUTS */
    tare_config_list weights;  /**< for operators with weights */
    unsigned weight_ports;     /**< input ports (bits) that are weights where they are constant */
    int weight_axis[2];        /**< the axis of output channels of a weight on port 0, 1;
                                  negative: from the end */
    const char *transposed[2]; /**< the attribute that swaps axes -1 and -2 of port 0, 1; or NULL */
    tare_tags tags;
} tare_operator_rule;

/** A node of a pattern. */
typedef struct tare_pattern_node {
    tare_tags tags; /**< the operator has one of them; 0: any node */
    bool outside;   /**< matched, but not part of the match (only with tags == 0) */
    bool kept;      /**< part of an ignored pattern that is not to be ignored itself */
} tare_pattern_node;

typedef struct tare_pattern_edge {
    unsigned char from, to;
} tare_pattern_edge;

/** A small graph; nodes in topological order, the last one is the only one without successors. */
typedef struct tare_pattern_block {
    size_t node_count, edge_count;
    const tare_pattern_node *nodes;
    const tare_pattern_edge *edges;
} tare_pattern_block;

/** Blocks of which any may stand at one place. */
typedef struct tare_pattern_part {
    size_t count;
    const tare_pattern_block *alternatives;
} tare_pattern_part;

#define TARE_PATTERN_MAX_PARTS 6

/**
 * All graphs that arise when one alternative of each part is joined to that of the part before: the
 * last node of one gets an edge to the first node of the next, or, when that first node may be any
 * node, takes its place.
 */
typedef struct tare_pattern_family {
    const char *name;
    const tare_pattern_part *parts[TARE_PATTERN_MAX_PARTS]; /**< ended by NULL */
    bool bridged;     /**< one more edge leads from the very first to the very last node */
    bool transformer; /**< only for transformers */
} tare_pattern_family;

typedef struct tare_target {
    const char *name;
    int64_t opset;                   /**< the model is raised to it before quantizers go in */
    const tare_operator_rule *rules; /**< ended by a rule without op_type; rules of one operator
                                        stand together, the first that applies counts */
    tare_operator_rule input, output, unknown; /**< for graph inputs, graph outputs, and operators
                                                  without a rule */
    tare_operator_rule scaling;         /**< for the scaling of channels that makes activations of
                                           transformers easier to quantize */
    const tare_pattern_family *fused;   /**< ended by a family without a name */
    const tare_pattern_family *ignored; /**< likewise: these stay float */
    tare_tags transformer_float;        /**< operators that stay float in transformers */
    tare_tags scaled;          /**< in transformers, a scaling stands before these when one operand
                                  is constant: a quantizer cannot move above it */
    tare_tags shape;           /**< starts a computation of shapes */
    tare_tags post_processing; /**< what is between these and the outputs stays float */
    tare_tags lonely;          /**< not worth a quantizer for a single input */
    tare_tags shared_scale;    /**< inputs share one scale when ... */
    tare_tags shared_scale_below; /**< ... one of these follows */
    tare_tags half_range;         /**< the first of these after an input uses half of the range */
    tare_tags attention;          /**< in transformers symmetric where no input is constant */
} tare_target;

/** OpenVINO on CPUs, as NNCF 3.2 sets it up. */
extern const tare_target tare_target_openvino;

#endif
