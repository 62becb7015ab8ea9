/* SPDX-License-Identifier: Apache-2.0 */
/** Running a plan: one execution is one thread's workspace. */
#ifndef TARE_EXEC_EXECUTOR_H
#define TARE_EXEC_EXECUTOR_H

#include "exec/plan.h"

/** Called right behind the kernel that completed a watched value, while the value is still in the
 * cache. */
typedef struct tare_watch {
    tare_status (*value)(void *user, size_t value_id, const tare_desc *desc, const void *data,
                         tare_error *err);
    void *user;
} tare_watch;

typedef struct tare_execution tare_execution;

/** Allocates the workspace. The plan must outlive the execution. */
TARE_MUST_CHECK tare_status tare_execution_new(tare_execution **out, const tare_plan *plan,
                                               tare_error *err);

/** NULL allowed. */
void tare_execution_free(tare_execution *execution);

/**
 * Runs the plan once. inputs[i] is the contents of graph input i in plain layout (ignored where the
 * input is constant), aligned for its type; not written. watch: NULL, or called for every watched
 * value. The calling thread must have called the backend's thread_begin().
 */
TARE_MUST_CHECK tare_status tare_execution_run(tare_execution *execution, const void *const *inputs,
                                               const tare_watch *watch, tare_error *err);

/** Contents of graph output `index` in plain layout, valid until the next run; *desc (NULL allowed)
 * is its shape. */
const void *tare_execution_output(const tare_execution *execution, size_t index, tare_desc *desc);

#endif
