/* SPDX-License-Identifier: Apache-2.0 */
/** Running a plan: one execution is one thread's workspace, and for a device plan its queue. */
#ifndef TARE_EXEC_EXECUTOR_H
#define TARE_EXEC_EXECUTOR_H

#include "exec/plan.h"

/**
 * Called once per run for every watched value. In host memory: right behind the kernel that
 * completed the value, while it is still in the cache. On a device: right behind the step that
 * completes the value on the device was queued; `data` is device memory, and what reads it must be
 * given to tare_execution_queue() before the call returns.
 */
typedef struct tare_watch {
    tare_status (*value)(void *user, size_t value_id, const tare_desc *desc, const void *data,
                         tare_error *err);
    /** NULL, or called as the run passes its places, to time what is in between: place 0 is its
     * start, 1 behind the watched inputs, 2 i + 2 behind step i (tare_plan_step()), 2 i + 3 behind
     * the watched values that step completed. On a device that is where a mark can be set. */
    tare_status (*passed)(void *user, size_t place, tare_error *err);
    void *user;
} tare_watch;

typedef struct tare_execution tare_execution;

/** Allocates the workspaces; for a device plan also makes a queue. The plan must outlive the
 * execution. */
TARE_MUST_CHECK tare_status tare_execution_new(tare_execution **out, const tare_plan *plan,
                                               tare_error *err);

/** Waits for the queue. NULL allowed. */
void tare_execution_free(tare_execution *execution);

/** The queue that does the work of a device plan; NULL for a plan in host memory. */
tare_queue *tare_execution_queue(const tare_execution *execution);

/**
 * Runs the plan once. inputs[i] is the contents of graph input i as tare_plan_input_desc() says
 * (ignored where the input is constant), aligned for its type; not written. watch: NULL, or called
 * for every watched value. The calling thread must have called thread_begin() of the backend and of
 * the plan's fallback.
 *
 * A device plan is only queued when this returns, and inputs must stay as they are until
 * tare_execution_wait(); the host waits in between only where the plan has steps on the host. With
 * tare_plan_can_record() this may be called inside a recording, which then reads the inputs given
 * here each time it is replayed.
 */
TARE_MUST_CHECK tare_status tare_execution_run(tare_execution *execution, const void *const *inputs,
                                               const tare_watch *watch, tare_error *err);

/** Waits until the last run is done and reports what failed in it; nothing to do for a plan in host
 * memory. */
TARE_MUST_CHECK tare_status tare_execution_wait(tare_execution *execution, tare_error *err);

/** Contents of graph output `index` in host memory and plain layout, valid until the next run;
 * *desc (NULL allowed) is its shape. Of a device plan: valid after tare_execution_wait(), and NULL
 * when it was made without outputs_to_host. */
const void *tare_execution_output(const tare_execution *execution, size_t index, tare_desc *desc);

#endif
