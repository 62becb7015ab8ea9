/* SPDX-License-Identifier: Apache-2.0 */
/** Running a plan. */
#include "exec/executor.h"

#include <stdlib.h>

#include "exec/plan_parts.h"

struct tare_execution {
    const tare_plan *plan;
    tare_buffer *workspace; /* of a plan in host memory */
    void *pinned;           /* the host workspace of a device plan */
    void *device_memory;
    tare_queue *queue;
    bool copying;          /* a queued copy may still read or write host memory */
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

static void *storage_memory(const tare_execution *execution, size_t index) {
    const tare_storage *storage = &execution->plan->storages[index];
    char *base = storage->on_device         ? execution->device_memory
                 : execution->queue != NULL ? execution->pinned
                                            : tare_buffer_data(execution->workspace);
    return base + storage->offset;
}

/* A view's source has a smaller index, so one pass in order resolves chains of views. */
static void resolve_pointers(tare_execution *execution, const void *const *inputs) {
    const tare_plan *plan = execution->plan;
    for (size_t i = 0; i < plan->slot_count; i++) {
        const tare_slot *slot = &plan->slots[i];
        if (slot->view_of != TARE_NO_INDEX) {
            execution->pointers[i] = execution->pointers[slot->view_of];
        } else if (slot->kind == TARE_SLOT_CONSTANT) {
            execution->pointers[i] = slot->constant;
        } else if (slot->kind == TARE_SLOT_INPUT) {
            execution->pointers[i] = inputs == NULL ? NULL : inputs[slot->input];
        } else {
            execution->pointers[i] = storage_memory(execution, slot->storage);
        }
    }
}

static tare_status allocate_host(tare_execution *execution, tare_error *err) {
    const tare_plan *plan = execution->plan;
    const size_t width = widest(plan);
    execution->pointers = calloc(plan->slot_count + 1, sizeof *execution->pointers);
    execution->inputs = calloc(width, sizeof *execution->inputs);
    execution->outputs = calloc(width, sizeof *execution->outputs);
    if (plan->device == NULL) {
        execution->workspace = tare_buffer_new(plan->workspace_bytes);
    }
    if (execution->pointers == NULL || execution->inputs == NULL || execution->outputs == NULL ||
        (plan->device == NULL && execution->workspace == NULL)) {
        return tare_fail_memory(err, plan->workspace_bytes, "the workspace");
    }
    return TARE_OK;
}

static tare_status allocate_device(tare_execution *execution, tare_error *err) {
    const tare_plan *plan = execution->plan;
    const tare_device_functions *functions = plan->backend->device;
    TARE_TRY(functions->queue_new(&execution->queue, plan->device, err));
    if (plan->device_workspace_bytes > 0) {
        TARE_TRY(functions->memory_new(&execution->device_memory, plan->device,
                                       plan->device_workspace_bytes, err));
    }
    if (plan->workspace_bytes > 0) {
        TARE_TRY(
            functions->pinned_new(&execution->pinned, plan->device, plan->workspace_bytes, err));
    }
    return TARE_OK;
}

tare_status tare_execution_new(tare_execution **out, const tare_plan *plan, tare_error *err) {
    tare_execution *execution = calloc(1, sizeof *execution);
    tare_status status;

    *out = NULL;
    if (execution == NULL) {
        return tare_fail_memory(err, sizeof *execution, "an execution");
    }
    execution->plan = plan;
    TARE_TRY_DONE(status, allocate_host(execution, err));
    if (plan->device != NULL) {
        TARE_TRY_DONE(status, allocate_device(execution, err));
    }
    *out = execution;
done:
    if (status != TARE_OK) {
        tare_execution_free(execution);
    }
    return status;
}

static void free_device(tare_execution *execution) {
    const tare_plan *plan = execution->plan;
    const tare_device_functions *functions = plan->backend->device;
    functions->queue_free(execution->queue);
    if (execution->device_memory != NULL) {
        functions->memory_free(plan->device, execution->device_memory);
    }
    if (execution->pinned != NULL) {
        functions->pinned_free(plan->device, execution->pinned);
    }
}

void tare_execution_free(tare_execution *execution) {
    if (execution != NULL) {
        if (execution->plan->device != NULL) {
            free_device(execution);
        }
        tare_buffer_release(execution->workspace);
        free(execution->pointers);
        free(execution->inputs);
        free(execution->outputs);
        free(execution);
    }
}

tare_queue *tare_execution_queue(const tare_execution *execution) {
    return execution->queue;
}

tare_status tare_execution_wait(tare_execution *execution, tare_error *err) {
    if (execution->queue == NULL) {
        return TARE_OK;
    }
    execution->copying = false;
    return execution->plan->backend->device->wait(execution->queue, err);
}

static tare_status run_copy(tare_execution *execution, const tare_step *step, tare_error *err) {
    const tare_plan *plan = execution->plan;
    const tare_slot *from = &plan->slots[step->inputs[0]];
    const tare_copy copy = {.kind = from->place == TARE_PLACE_HOST ? TARE_COPY_TO_DEVICE
                                                                   : TARE_COPY_TO_HOST,
                            .to = (void *)(uintptr_t)execution->pointers[step->outputs[0]],
                            .from = execution->pointers[step->inputs[0]],
                            .bytes = tare_desc_bytes(&from->desc)};
    if (copy.bytes == 0) {
        return TARE_OK;
    }
    execution->copying = true;
    return plan->backend->device->copy(execution->queue, &copy, err);
}

static tare_status run_kernel(tare_execution *execution, const tare_step *step, tare_error *err) {
    tare_run run = {.queue = step->on_host ? NULL : execution->queue,
                    .private_data = step->private_data,
                    .inputs = execution->inputs,
                    .outputs = execution->outputs};

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
        run.scratch = storage_memory(execution, step->scratch_storage);
    }
    /* What the host is about to read or overwrite, a copy may still be at. */
    if (step->on_host && execution->copying) {
        TARE_TRY(tare_execution_wait(execution, err));
    }
    return step->kernel->run(&run, err);
}

static tare_status run_step(tare_execution *execution, const tare_step *step, tare_error *err) {
    char text[TARE_NODE_TEXT_BYTES];
    const tare_status status = step->kind == TARE_STEP_COPY ? run_copy(execution, step, err)
                                                            : run_kernel(execution, step, err);
    if (status != TARE_OK && step->node != NULL) {
        tare_error_prepend(err, "%s: ", tare_node_text(text, sizeof text, step->node));
    }
    return status;
}

static tare_status watch_slot(const tare_execution *execution, size_t index,
                              const tare_watch *watch, tare_error *err) {
    const tare_plan *plan = execution->plan;
    const tare_slot *slot = &plan->slots[index];
    if (plan->watch_slots[slot->value] != index) {
        return TARE_OK;
    }
    return watch->value(watch->user, slot->value, &slot->desc, execution->pointers[index], err);
}

static tare_status watch_outputs(const tare_execution *execution, const tare_step *step,
                                 const tare_watch *watch, tare_error *err) {
    for (size_t i = 0; i < step->output_count; i++) {
        if (step->outputs[i] != TARE_NO_INDEX) {
            TARE_TRY(watch_slot(execution, step->outputs[i], watch, err));
        }
    }
    return TARE_OK;
}

static tare_status watch_inputs(const tare_execution *execution, const tare_watch *watch,
                                tare_error *err) {
    const tare_plan *plan = execution->plan;
    for (size_t i = 0; i < plan->graph->input_count; i++) {
        if (plan->input_slots[i] != TARE_NO_INDEX) {
            TARE_TRY(watch_slot(execution, plan->input_slots[i], watch, err));
        }
    }
    return TARE_OK;
}

static tare_status tell_place(const tare_watch *watch, size_t place, tare_error *err) {
    return watch->passed == NULL ? TARE_OK : watch->passed(watch->user, place, err);
}

tare_status tare_execution_run(tare_execution *execution, const void *const *inputs,
                               const tare_watch *watch, tare_error *err) {
    const tare_plan *plan = execution->plan;
    resolve_pointers(execution, inputs);
    if (watch != NULL) {
        TARE_TRY(tell_place(watch, 0, err));
        TARE_TRY(watch_inputs(execution, watch, err));
        TARE_TRY(tell_place(watch, 1, err));
    }
    for (size_t i = 0; i < plan->step_count; i++) {
        const tare_step *step = &plan->steps[i];
        if (!step->is_view) {
            TARE_TRY(run_step(execution, step, err));
        }
        if (watch != NULL) {
            TARE_TRY(tell_place(watch, 2 * i + 2, err));
            TARE_TRY(watch_outputs(execution, step, watch, err));
            TARE_TRY(tell_place(watch, 2 * i + 3, err));
        }
    }
    return TARE_OK;
}

const void *tare_execution_output(const tare_execution *execution, size_t index, tare_desc *desc) {
    const size_t slot = execution->plan->output_slots[index];
    if (slot == TARE_NO_INDEX) {
        return NULL;
    }
    if (desc != NULL) {
        *desc = execution->plan->slots[slot].desc;
    }
    return execution->pointers[slot];
}
