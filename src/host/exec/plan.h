/* SPDX-License-Identifier: Apache-2.0 */
/**
 * The plan of a run: which kernels in which order, which layout each value has, and where in one
 * workspace it lies.
 *
 * A plan is made once for concrete shapes and is read-only afterwards; any number of executions
 * (exec/executor.h), one per thread, share it and its packed weights. Memory is known as soon as
 * the plan is made.
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
} tare_plan_options;

/**
 * Plans `graph`, whose shapes are inferred and constants folded (pass/infer.h) and whose uses need
 * not be indexed. The graph must outlive the plan. Errors: TARE_UNSUPPORTED naming the node that no
 * kernel can do; TARE_OUT_OF_MEMORY. Calls backend->thread_begin() in the calling thread.
 */
TARE_MUST_CHECK tare_status tare_plan_build(tare_plan **out, tare_graph *graph,
                                            const tare_backend *backend,
                                            const tare_plan_options *options, tare_error *err);

/** Releases kernels and plan. NULL allowed. */
void tare_plan_free(tare_plan *plan);

/** Bytes of workspace that each execution needs: activations and scratch memory. */
size_t tare_plan_workspace_bytes(const tare_plan *plan);

/** Bytes that prepared kernels hold (packed weights), shared by all executions. */
size_t tare_plan_weight_bytes(const tare_plan *plan);

/** One step, for reports. `node` is the last node that the step computes; NULL for a reorder. */
typedef struct tare_plan_step_info {
    const tare_node *node;
    const char *kernel;
    size_t fused; /**< how many further nodes the step computes */
    size_t output_bytes;
    bool view; /**< costs nothing */
} tare_plan_step_info;

size_t tare_plan_step_count(const tare_plan *plan);
tare_plan_step_info tare_plan_step(const tare_plan *plan, size_t index);

#endif
