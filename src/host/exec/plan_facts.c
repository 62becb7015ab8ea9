/* SPDX-License-Identifier: Apache-2.0 */
/** What a finished plan says of itself: memory, operands, steps. */
#include "exec/plan_parts.h"

size_t tare_plan_workspace_bytes(const tare_plan *plan) {
    return plan->workspace_bytes;
}

size_t tare_plan_device_workspace_bytes(const tare_plan *plan) {
    return plan->device_workspace_bytes;
}

size_t tare_plan_weight_bytes(const tare_plan *plan) {
    return plan->weight_bytes;
}

size_t tare_plan_device_weight_bytes(const tare_plan *plan) {
    return plan->device_weight_bytes;
}

static bool slot_desc(tare_desc *out, const tare_plan *plan, size_t slot) {
    if (slot == TARE_NO_INDEX) {
        return false;
    }
    *out = plan->slots[slot].desc;
    return true;
}

bool tare_plan_input_desc(tare_desc *out, const tare_plan *plan, size_t index) {
    return slot_desc(out, plan, plan->input_slots[index]);
}

bool tare_plan_watched_desc(tare_desc *out, const tare_plan *plan, size_t value_id) {
    return slot_desc(out, plan, plan->watch_slots[value_id]);
}

bool tare_plan_can_record(const tare_plan *plan) {
    for (size_t i = 0; i < plan->step_count; i++) {
        const tare_step *step = &plan->steps[i];
        if (!step->is_view && (step->on_host || step->kind == TARE_STEP_COPY)) {
            return false;
        }
    }
    return plan->device != NULL;
}

size_t tare_plan_step_count(const tare_plan *plan) {
    return plan->step_count;
}

static const char *step_text(const tare_step *step) {
    if (step->kernel != NULL) {
        return step->kernel->name;
    }
    return step->kind == TARE_STEP_COPY ? "Copy" : "Reorder";
}

tare_plan_step_info tare_plan_step(const tare_plan *plan, size_t index) {
    const tare_step *step = &plan->steps[index];
    tare_plan_step_info info = {.node = step->kind == TARE_STEP_KERNEL ? step->node : NULL,
                                .kernel = step_text(step),
                                .fused = step->fused,
                                .view = step->is_view,
                                .on_host = step->on_host,
                                .copy = step->kind == TARE_STEP_COPY};
    for (size_t i = 0; i < step->output_count; i++) {
        if (step->outputs[i] != TARE_NO_INDEX) {
            info.output_bytes += tare_desc_bytes(&plan->slots[step->outputs[i]].desc);
        }
    }
    return info;
}
