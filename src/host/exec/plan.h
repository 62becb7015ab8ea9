/* SPDX-License-Identifier: Apache-2.0 */
/**
 * The plan of a run: which kernels in which order, which layout each value has, and where in one
 * workspace it lies.
 *
 * A plan is made once for concrete shapes and is read-only afterwards; any number of executions
 * (exec/executor.h), one per thread, share it and its packed weights. Memory is known as soon as
 * the plan is made.
 *
 * A plan may be for a device with a memory of its own. Then its nodes are computed there, except
 * those that only the fallback backend can do: these are computed in host memory, between copies
 * that are steps of the plan.
 */
#ifndef TARE_EXEC_PLAN_H
#define TARE_EXEC_PLAN_H

#include "exec/backend.h"

typedef struct tare_plan tare_plan;

typedef struct tare_plan_options {
    /** By value id: this value's own contents are needed (a statistic is taken there), so nothing
     * is fused across it. NULL: none. */
    const bool *watched;
    bool no_fusion;      /**< every node is a step of its own, for tests and debugging */
    int threads_per_run; /**< threads that one kernel may use; 1 when samples run in parallel */
    tare_device *device; /**< opened by the plan's backend, which must have device functions; must
                            outlive the plan. NULL: the backend computes in host memory */
    /** For a device plan: does what the backend has no kernel for, in host memory. NULL: none. */
    const tare_backend *fallback;
    /** For a device plan, by graph input: given to each run as device memory, in the device's
     * storage type and channels-last for ranks 3 to 5. NULL: all are host memory. */
    const bool *inputs_on_device;
    /** For a device plan: copy the graph's outputs to host memory, for tare_execution_output(). A
     * plan in host memory always has them there. */
    bool outputs_to_host;
} tare_plan_options;

/**
 * Plans `graph`, whose shapes are inferred and constants folded (pass/infer.h) and whose uses need
 * not be indexed. The graph must outlive the plan. Errors: TARE_UNSUPPORTED naming the node that no
 * kernel can do; TARE_OUT_OF_MEMORY; what the device reports. Calls thread_begin() of the backend
 * and of the fallback in the calling thread.
 */
TARE_MUST_CHECK tare_status tare_plan_build(tare_plan **out, tare_graph *graph,
                                            const tare_backend *backend,
                                            const tare_plan_options *options, tare_error *err);

/** Releases kernels and plan. NULL allowed. */
void tare_plan_free(tare_plan *plan);

/** Bytes of host workspace that each execution needs: activations and scratch memory. */
size_t tare_plan_workspace_bytes(const tare_plan *plan);

/** Bytes of device workspace that each execution needs; 0 for a plan in host memory. */
size_t tare_plan_device_workspace_bytes(const tare_plan *plan);

/** Bytes of host memory that prepared kernels hold (packed weights), shared by all executions. */
size_t tare_plan_weight_bytes(const tare_plan *plan);

/** Bytes of device memory that prepared kernels and uploaded constants hold. */
size_t tare_plan_device_weight_bytes(const tare_plan *plan);

/** How graph input `index` is to be given to tare_execution_run(). False, and *out untouched, when
 * it is a constant and need not be given. */
bool tare_plan_input_desc(tare_desc *out, const tare_plan *plan, size_t index);

/** How value `value_id` is handed to the watch of a run. False, and *out untouched, when it is not
 * watched or never computed (a constant). */
bool tare_plan_watched_desc(tare_desc *out, const tare_plan *plan, size_t value_id);

/** True when every step of a device plan is done by the device's queue alone, so that a run can be
 * recorded (exec/device.h) and repeated. */
bool tare_plan_can_record(const tare_plan *plan);

/** One step, for reports. `node` is the last node that the step computes; NULL for a reorder and a
 * copy. */
typedef struct tare_plan_step_info {
    const tare_node *node;
    const char *kernel;
    size_t fused; /**< how many further nodes the step computes */
    size_t output_bytes;
    bool view;    /**< costs nothing */
    bool on_host; /**< a step of a device plan that the host computes */
    bool copy;    /**< a copy between host and device */
} tare_plan_step_info;

size_t tare_plan_step_count(const tare_plan *plan);
tare_plan_step_info tare_plan_step(const tare_plan *plan, size_t index);

#endif
