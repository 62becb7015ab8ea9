/* SPDX-License-Identifier: Apache-2.0 */
/** Constants of a plan: read where they are, or copied to the device once. */
#include "exec/plan_parts.h"

#define ALIGNMENT ((size_t)256)

tare_status tare_plan_constant(size_t *out, tare_plan *plan, const tare_value *value,
                               tare_place place, tare_error *err) {
    /* Kernels get constants in the constants' own type, whatever the device stores. */
    const tare_variant wanted = {place == TARE_PLACE_HOST ? TARE_PLACE_HOST : TARE_PLACE_STAGE,
                                 TARE_LAYOUT_PLAIN};
    const tare_variant variant = tare_plan_variant(plan, value, wanted);
    size_t *entry = tare_plan_variant_slot(plan, value, variant);
    const tare_slot slot = {.kind = TARE_SLOT_CONSTANT,
                            .place = variant.place,
                            .desc = tare_plan_variant_desc(plan, value, variant),
                            .value = value->id,
                            .constant = value->constant->data,
                            .view_of = TARE_NO_INDEX,
                            .storage = TARE_NO_INDEX};
    if (*entry == TARE_NO_INDEX) {
        TARE_TRY(tare_plan_add_slot(entry, plan, &slot, err));
    }
    *out = *entry;
    return TARE_OK;
}

static bool is_uploaded(const tare_slot *slot) {
    return slot->kind == TARE_SLOT_CONSTANT && slot->place != TARE_PLACE_HOST;
}

/* At least one unit each, so that no operand, not even an empty one, has a NULL pointer. */
static size_t room_for(const tare_slot *slot) {
    const size_t bytes = tare_desc_bytes(&slot->desc);
    return bytes == 0 ? ALIGNMENT : (bytes + ALIGNMENT - 1) & ~(ALIGNMENT - 1);
}

static tare_status copy_constants(tare_plan *plan, tare_queue *queue, tare_error *err) {
    size_t offset = 0;
    for (size_t i = 0; i < plan->slot_count; i++) {
        tare_slot *slot = &plan->slots[i];
        tare_copy copy = {.kind = TARE_COPY_TO_DEVICE, .from = slot->constant};
        if (!is_uploaded(slot)) {
            continue;
        }
        copy.to = (char *)plan->constants + offset;
        copy.bytes = tare_desc_bytes(&slot->desc);
        if (copy.bytes > 0) {
            TARE_TRY(plan->backend->device->copy(queue, &copy, err));
        }
        slot->constant = copy.to;
        offset += room_for(slot);
    }
    return plan->backend->device->wait(queue, err);
}

tare_status tare_plan_upload(tare_plan *plan, tare_error *err) {
    const tare_device_functions *functions = plan->backend->device;
    tare_queue *queue = NULL;
    tare_status status = TARE_OK;
    size_t bytes = 0;

    for (size_t i = 0; i < plan->slot_count; i++) {
        bytes += is_uploaded(&plan->slots[i]) ? room_for(&plan->slots[i]) : 0;
    }
    if (bytes == 0) {
        return TARE_OK;
    }
    TARE_TRY_DONE(status, functions->memory_new(&plan->constants, plan->device, bytes, err));
    plan->device_weight_bytes += bytes;
    TARE_TRY_DONE(status, functions->queue_new(&queue, plan->device, err));
    TARE_TRY_DONE(status, copy_constants(plan, queue, err));
done:
    if (queue != NULL) {
        functions->queue_free(queue);
    }
    if (status != TARE_OK) {
        tare_error_prepend(err, "uploading the model's constants: ");
    }
    return status;
}
