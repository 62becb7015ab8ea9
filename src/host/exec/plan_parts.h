/* SPDX-License-Identifier: Apache-2.0 */
/** The insides of a plan, shared by the files that make it and the executor. Private to exec/. */
#ifndef TARE_EXEC_PLAN_PARTS_H
#define TARE_EXEC_PLAN_PARTS_H

#include "exec/plan.h"

#define TARE_NO_INDEX SIZE_MAX

/** Where the elements of a slot come from. */
typedef enum tare_slot_kind {
    TARE_SLOT_ARENA,    /**< the workspace, at the offset of its storage */
    TARE_SLOT_CONSTANT, /**< a tensor of the graph */
    TARE_SLOT_INPUT     /**< the caller's memory, given anew for each run */
} tare_slot_kind;

/** One value in one layout. */
typedef struct tare_slot {
    tare_slot_kind kind;
    tare_desc desc;
    size_t value; /**< id of the value in the graph */
    const void *constant;
    size_t input;   /**< index among the graph's inputs, for TARE_SLOT_INPUT */
    size_t view_of; /**< slot whose memory this one shares, or TARE_NO_INDEX */
    size_t storage; /**< for TARE_SLOT_ARENA that is not a view */
} tare_slot;

/** A stretch of the workspace with its life time in steps (first to last, both included). */
typedef struct tare_storage {
    size_t bytes, first, last, offset;
} tare_storage;

/** One kernel call. Slot TARE_NO_INDEX: operand left out. */
typedef struct tare_step {
    const tare_kernel *kernel;
    void *private_data;
    const tare_node *node; /**< for messages; of a reorder: the node that asked for it */
    bool is_reorder, is_view;
    size_t fused;
    size_t *inputs, input_count;
    size_t *outputs, output_count;
    size_t scratch_bytes, scratch_storage;
} tare_step;

/** Nodes absorbed into the node before them: one epilogue and the value that exists after it. */
typedef struct tare_fusion_link {
    tare_epilogue epilogue;
    tare_node *last;     /**< the node whose output the chain's result becomes */
    tare_value *operand; /**< the other operand of an ADD, else NULL */
    size_t node_count;   /**< nodes absorbed by this link */
    const tare_node *absorbed[2];
} tare_fusion_link;

struct tare_plan {
    tare_arena arena;
    tare_graph *graph;
    const tare_backend *backend;
    const bool *watched; /**< copy, by value id */
    size_t value_count;
    tare_slot *slots;
    size_t slot_count, slot_capacity;
    size_t *slot_of; /**< by value id * 2 + layout */
    tare_step *steps;
    size_t step_count, step_capacity;
    tare_storage *storages;
    size_t storage_count, storage_capacity;
    size_t *output_slots; /**< per graph output */
    size_t workspace_bytes, weight_bytes;
};

/**
 * Finds what may be computed in the same step as `node`: activations, residual sums. Uses of the
 * graph must be indexed. Writes at most TARE_MAX_EPILOGUES links and returns their number.
 */
size_t tare_plan_find_fusion(tare_fusion_link *links, const tare_node *node, const bool *watched);

/** Assigns a storage to every slot and offsets in one workspace to all storages. */
TARE_MUST_CHECK tare_status tare_plan_place(tare_plan *plan, tare_error *err);

#endif
