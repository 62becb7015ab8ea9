/* SPDX-License-Identifier: Apache-2.0 */
/** Per operator: when samples that are parts of axis 0 of its inputs are parts of axis 0 of its
 * outputs too. */
#ifndef TARE_PASS_BATCH_RULE_H
#define TARE_PASS_BATCH_RULE_H

#include "ops/op.h"

/** What an input is to the samples. */
typedef enum tare_batch_part {
    TARE_BATCH_ABSENT,     /**< the same for every sample, not repeated */
    TARE_BATCH_PER_SAMPLE, /**< parts of axis 0 */
    TARE_BATCH_UNKNOWN     /**< a constant that depends on the number of samples in another way */
} tare_batch_part;

/** A node for one sample and the same node for several, with both inferred. */
typedef struct tare_batch_node {
    const tare_node *one, *many;
    const tare_batch_part *inputs; /**< per input; ABSENT where it is left out */
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
    /** Whether the outputs have the samples as parts of axis 0, given that their shapes grow by the
     * number of samples there and nowhere else, and that at least one input is PER_SAMPLE. */
    bool (*keeps)(const tare_batch_node *node);
} tare_batch_rule;

/** The rule of a kernel name, or NULL: nothing is known about it. */
const tare_batch_rule *tare_batch_rule_find(const char *kernel);

/** Whether the node follows its rule. */
bool tare_batch_rule_holds(const tare_batch_rule *rule, const tare_batch_node *node);

#endif
