/* SPDX-License-Identifier: Apache-2.0 */
/** The insides of a plan, shared by the files that make it and the executor. Private to exec/. */
#ifndef TARE_EXEC_PLAN_PARTS_H
#define TARE_EXEC_PLAN_PARTS_H

#include "exec/device.h"
#include "exec/plan.h"

#define TARE_NO_INDEX SIZE_MAX

/** Where a value can lie, and in which type. A plan in host memory knows only the first. */
typedef enum tare_place {
    TARE_PLACE_HOST,  /**< host memory, the value's own type */
    TARE_PLACE_STAGE, /**< device memory, the value's own type; only used where that is not the type
                         in which the device stores it */
    TARE_PLACE_DEVICE /**< device memory; float32 in the device's storage type */
} tare_place;

/** One of the forms in which a value can exist. */
typedef struct tare_variant {
    tare_place place;
    tare_layout layout;
} tare_variant;

#define TARE_VARIANT_COUNT 6

/** Where the elements of a slot come from. */
typedef enum tare_slot_kind {
    TARE_SLOT_ARENA,    /**< the workspace of its place, at the offset of its storage */
    TARE_SLOT_CONSTANT, /**< a tensor of the graph, or its copy on the device */
    TARE_SLOT_INPUT     /**< the caller's memory, given anew for each run */
} tare_slot_kind;

/** One variant of one value. */
typedef struct tare_slot {
    tare_slot_kind kind;
    tare_place place;
    tare_desc desc;
    size_t value; /**< id of the value in the graph */
    const void *constant;
    size_t input;   /**< index among the graph's inputs, for TARE_SLOT_INPUT */
    size_t view_of; /**< slot whose memory this one shares, or TARE_NO_INDEX */
    size_t storage; /**< for TARE_SLOT_ARENA that is not a view */
} tare_slot;

/** A stretch of one of the workspaces with its life time in steps (first to last, both included).
 */
typedef struct tare_storage {
    bool on_device;
    size_t bytes, first, last, offset;
} tare_storage;

typedef enum tare_step_kind {
    TARE_STEP_KERNEL,  /**< computes nodes */
    TARE_STEP_REORDER, /**< another layout or storage type of a value, by the kernel "Reorder" */
    TARE_STEP_COPY     /**< between host and device; no kernel */
} tare_step_kind;

/** One kernel call or copy. Slot TARE_NO_INDEX: operand left out. */
typedef struct tare_step {
    tare_step_kind kind;
    const tare_kernel *kernel; /**< NULL for copies, and for reorders that are views */
    void *private_data;
    const tare_node *node; /**< for messages; of a reorder or copy: the node that asked for it, or
                              NULL */
    bool is_view;
    bool on_host;       /**< computed by the host, though the plan is for a device */
    tare_layout layout; /**< asked of residual operands and outputs */
    size_t fused;
    size_t *inputs, input_count;
    size_t *outputs, output_count;
    size_t scratch_bytes, scratch_storage, weight_bytes;
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
    const tare_backend *host; /**< what computes in host memory: the backend itself, or a device
                                 plan's fallback, or NULL */
    tare_device *device;      /**< NULL for a plan in host memory */
    tare_dtype storage;       /**< in which the device stores float32 */
    const bool *watched;      /**< copy, by value id */
    size_t value_count;
    tare_slot *slots;
    size_t slot_count, slot_capacity;
    size_t *slot_of;     /**< by value id * TARE_VARIANT_COUNT + variant */
    size_t *watch_slots; /**< by value id: the slot that is handed to the watch, or TARE_NO_INDEX */
    tare_step *steps;
    size_t step_count, step_capacity;
    tare_storage *storages;
    size_t storage_count, storage_capacity;
    size_t *input_slots;  /**< per graph input; TARE_NO_INDEX: a constant */
    size_t *output_slots; /**< per graph output; TARE_NO_INDEX: not brought to the host */
    void *constants;      /**< device memory with copies of constants */
    size_t workspace_bytes, device_workspace_bytes;
    size_t weight_bytes, device_weight_bytes;
};

/** Appends a slot or a step to the plan. */
TARE_MUST_CHECK tare_status tare_plan_add_slot(size_t *out, tare_plan *plan, const tare_slot *slot,
                                               tare_error *err);
TARE_MUST_CHECK tare_status tare_plan_add_step(tare_plan *plan, const tare_step *step,
                                               tare_error *err);

/** The variant as it is for this value: layouts that its rank does not know are plain, STAGE is
 * DEVICE where the types are the same. */
tare_variant tare_plan_variant(const tare_plan *plan, const tare_value *value,
                               tare_variant variant);

/** Type, shape and layout of a variant. */
tare_desc tare_plan_variant_desc(const tare_plan *plan, const tare_value *value,
                                 tare_variant variant);

/** The entry of a variant in slot_of: its slot, or TARE_NO_INDEX while it does not exist. */
size_t *tare_plan_variant_slot(const tare_plan *plan, const tare_value *value,
                               tare_variant variant);

/** The layout in which a value is had in a place at the least cost, plain where that is no matter.
 */
tare_layout tare_plan_nearest_layout(const tare_plan *plan, const tare_value *value,
                                     tare_place place);

/**
 * The slot of a computed value in a variant; adds the copies and reorders that it takes, from what
 * exists. node: for messages, may be NULL. TARE_UNSUPPORTED when no kernel can do one of them.
 */
TARE_MUST_CHECK tare_status tare_plan_bring(size_t *out, tare_plan *plan, const tare_value *value,
                                            tare_variant variant, const tare_node *node,
                                            tare_error *err);

/** The slot of a constant, in host memory or on the device (its own type, plain layout). */
TARE_MUST_CHECK tare_status tare_plan_constant(size_t *out, tare_plan *plan,
                                               const tare_value *value, tare_place place,
                                               tare_error *err);

/** Copies the constants that steps read to the device. */
TARE_MUST_CHECK tare_status tare_plan_upload(tare_plan *plan, tare_error *err);

/** Releases a step's kernel, if it has one. */
void tare_plan_release_step(const tare_step *step);

/** Rows to choose a kernel from. */
typedef struct tare_kernel_rows {
    const tare_backend *backend; /**< the plan's backend, or what it has for the host */
    const char *name;
    tare_layout_rule rule;
} tare_kernel_rows;

/** Prepares the first of the rows that can do the operands, and sets what step->kernel and its
 * like are. Errors name no node. */
TARE_MUST_CHECK tare_status tare_plan_prepare_row(tare_step *step, tare_plan *plan,
                                                  tare_prepare *prepare,
                                                  const tare_kernel_rows *rows, tare_error *err);

/** A node to find a kernel for, with the first `length` links of the chain behind it. */
typedef struct tare_kernel_wish {
    const tare_backend *backend;
    const tare_node *node;
    const tare_fusion_link *links;
    size_t length;
} tare_kernel_wish;

/** Tells the rows of a device's backend that want to know early what the node is going to be. */
TARE_MUST_CHECK tare_status tare_plan_announce_node(tare_plan *plan, const tare_kernel_wish *wish,
                                                    tare_error *err);

/**
 * Prepares a kernel for a node and brings the node's inputs to where that kernel wants them; the
 * operands of links are not brought. TARE_UNSUPPORTED, naming the node, when no row can do it.
 */
TARE_MUST_CHECK tare_status tare_plan_prepare_node(tare_step *step, tare_plan *plan,
                                                   const tare_kernel_wish *wish, tare_error *err);

/**
 * Finds what may be computed in the same step as `node`: activations, residual sums. Uses of the
 * graph must be indexed. Writes at most TARE_MAX_EPILOGUES links and returns their number.
 */
size_t tare_plan_find_fusion(tare_fusion_link *links, const tare_node *node, const bool *watched);

/** Assigns a storage to every slot, and to all storages offsets in the workspace of their place. */
TARE_MUST_CHECK tare_status tare_plan_place(tare_plan *plan, tare_error *err);

#endif
