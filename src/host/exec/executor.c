/* SPDX-License-Identifier: Apache-2.0 */
/** Running a plan. */
#include "exec/executor.h"

#include <stdlib.h>

#include "exec/plan_parts.h"

struct tare_execution {
    const tare_plan *plan;
    tare_buffer *workspace;
    const void **pointers; /* per slot; those of the caller's inputs change with every run */
    const void **inputs;   /* room for the operands of the widest step */
    void **outputs;
};

static size_t widest(const tare_plan *plan) {
    size_t count = 1;
    for (size_t i = 0; i < plan->step_count; i++) {
        count = plan->steps[i].input_count > count ? plan->steps[i].input_count : count;
        count = plan->steps[i].output_count > count ? plan->steps[i].output_count : count;
    }
    return count;
}

/* A view's source has a smaller index, so one pass in order resolves chains of views. */
static void resolve_pointers(tare_execution *execution, const void *const *inputs) {
    const tare_plan *plan = execution->plan;
    const char *base = tare_buffer_data(execution->workspace);
    for (size_t i = 0; i < plan->slot_count; i++) {
        const tare_slot *slot = &plan->slots[i];
        if (slot->view_of != TARE_NO_INDEX) {
            execution->pointers[i] = execution->pointers[slot->view_of];
        } else if (slot->kind == TARE_SLOT_CONSTANT) {
            execution->pointers[i] = slot->constant;
        } else if (slot->kind == TARE_SLOT_INPUT) {
            execution->pointers[i] = inputs == NULL ? NULL : inputs[slot->input];
        } else {
            execution->pointers[i] = base + plan->storages[slot->storage].offset;
        }
    }
}

tare_status tare_execution_new(tare_execution **out, const tare_plan *plan, tare_error *err) {
    const size_t width = widest(plan);
    tare_execution *execution = calloc(1, sizeof *execution);

    *out = NULL;
    if (execution == NULL) {
        return tare_fail_memory(err, sizeof *execution, "an execution");
    }
    execution->plan = plan;
    execution->workspace = tare_buffer_new(plan->workspace_bytes);
    execution->pointers = calloc(plan->slot_count + 1, sizeof *execution->pointers);
    execution->inputs = calloc(width, sizeof *execution->inputs);
    execution->outputs = calloc(width, sizeof *execution->outputs);
    if (execution->workspace == NULL || execution->pointers == NULL || execution->inputs == NULL ||
        execution->outputs == NULL) {
        tare_execution_free(execution);
        return tare_fail_memory(err, plan->workspace_bytes, "the workspace");
    }
    *out = execution;
    return TARE_OK;
}

void tare_execution_free(tare_execution *execution) {
    if (execution != NULL) {
        tare_buffer_release(execution->workspace);
        free(execution->pointers);
        free(execution->inputs);
        free(execution->outputs);
        free(execution);
    }
}

static tare_status run_step(const tare_execution *execution, const tare_step *step,
                            tare_error *err) {
    const tare_plan *plan = execution->plan;
    tare_run run = {.private_data = step->private_data,
                    .inputs = execution->inputs,
                    .outputs = execution->outputs};
    char text[TARE_NODE_TEXT_BYTES];
    tare_status status;

    for (size_t i = 0; i < step->input_count; i++) {
        execution->inputs[i] =
            step->inputs[i] == TARE_NO_INDEX ? NULL : execution->pointers[step->inputs[i]];
    }
    for (size_t i = 0; i < step->output_count; i++) {
        execution->outputs[i] = step->outputs[i] == TARE_NO_INDEX
                                    ? NULL
                                    : (void *)(uintptr_t)execution->pointers[step->outputs[i]];
    }
    if (step->scratch_storage != TARE_NO_INDEX) {
        run.scratch = (char *)tare_buffer_data(execution->workspace) +
                      plan->storages[step->scratch_storage].offset;
    }
    status = step->kernel->run(&run, err);
    if (status != TARE_OK && step->node != NULL) {
        tare_error_prepend(err, "%s: ", tare_node_text(text, sizeof text, step->node));
    }
    return status;
}

static tare_status watch_outputs(const tare_execution *execution, const tare_step *step,
                                 const tare_watch *watch, tare_error *err) {
    const tare_plan *plan = execution->plan;
    for (size_t i = 0; i < step->output_count && !step->is_reorder; i++) {
        const size_t slot = step->outputs[i];
        if (slot != TARE_NO_INDEX && plan->watched[plan->slots[slot].value]) {
            TARE_TRY(watch->value(watch->user, plan->slots[slot].value, &plan->slots[slot].desc,
                                  execution->pointers[slot], err));
        }
    }
    return TARE_OK;
}

static tare_status watch_inputs(const tare_execution *execution, const tare_watch *watch,
                                tare_error *err) {
    const tare_plan *plan = execution->plan;
    for (size_t i = 0; i < plan->slot_count; i++) {
        const tare_slot *slot = &plan->slots[i];
        if (slot->kind == TARE_SLOT_INPUT && slot->view_of == TARE_NO_INDEX &&
            plan->watched[slot->value]) {
            TARE_TRY(
                watch->value(watch->user, slot->value, &slot->desc, execution->pointers[i], err));
        }
    }
    return TARE_OK;
}

tare_status tare_execution_run(tare_execution *execution, const void *const *inputs,
                               const tare_watch *watch, tare_error *err) {
    const tare_plan *plan = execution->plan;
    resolve_pointers(execution, inputs);
    if (watch != NULL) {
        TARE_TRY(watch_inputs(execution, watch, err));
    }
    for (size_t i = 0; i < plan->step_count; i++) {
        const tare_step *step = &plan->steps[i];
        if (!step->is_view) {
            TARE_TRY(run_step(execution, step, err));
        }
        if (watch != NULL) {
            TARE_TRY(watch_outputs(execution, step, watch, err));
        }
    }
    return TARE_OK;
}

const void *tare_execution_output(const tare_execution *execution, size_t index, tare_desc *desc) {
    const size_t slot = execution->plan->output_slots[index];
    if (desc != NULL) {
        *desc = execution->plan->slots[slot].desc;
    }
    return execution->pointers[slot];
}
