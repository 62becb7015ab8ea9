/* SPDX-License-Identifier: Apache-2.0 */
/**
 * Per operator: where samples are in its outputs, given where they are in its inputs.
 *
 * Samples are "on" an axis when they are its outermost factor: for each index of the axes before it
 * the elements of the samples follow each other, each as many as for one sample.
 */
#ifndef TARE_PASS_BATCH_RULE_H
#define TARE_PASS_BATCH_RULE_H

#include "ops/op.h"

/** What an input is to the samples. */
typedef enum tare_batch_part {
    TARE_BATCH_ABSENT,     /**< the same for every sample, not repeated */
    TARE_BATCH_PER_SAMPLE, /**< on an axis */
    TARE_BATCH_UNKNOWN     /**< a constant that depends on the number of samples in another way */
} tare_batch_part;

/** A node for one sample and the same node for several, with both inferred. */
typedef struct tare_batch_node {
    const tare_node *one, *many;
    const tare_batch_part *inputs; /**< per input; ABSENT where it is left out */
    int axis;                      /**< where samples are, in all inputs that have them */
    int grown;                     /**< the axis that is longer in all outputs, by the number of
                                      samples; no other one is */
} tare_batch_node;

/** What may be done to a node before it is inferred for several samples. */
enum {
    TARE_BATCH_TILE = 1,       /**< constants among the inputs may be repeated along axis 0 */
    TARE_BATCH_SHAPE_PORT = 2, /**< input 1 is the output's shape */
    TARE_BATCH_SIZES_PORT = 4  /**< input 3 may be the output's shape */
};

/** A row of the rules. */
typedef struct tare_batch_rule {
    const char *kernel;
    unsigned rewrites;
    size_t axis; /**< offset of an int64_t in the attributes that must not be 0; SIZE_MAX: none */
    /** Whether samples that are on axis 0 of the inputs are on the grown axis, if that is axis 0.
     */
    bool (*keeps)(const tare_batch_node *node);
    /** Whether samples on any axis are on the grown axis then. NULL: not known. */
    bool (*moves)(const tare_batch_node *node);
} tare_batch_rule;

/** The rule of a kernel name, or NULL: nothing is known about it. */
const tare_batch_rule *tare_batch_rule_find(const char *kernel);

/** Whether the samples are on the grown axis of the outputs. */
bool tare_batch_rule_holds(const tare_batch_rule *rule, const tare_batch_node *node);

#endif
