/* SPDX-License-Identifier: Apache-2.0 */
/** Life times of slots and their places in the workspaces of host and device. */
#include <stdlib.h>
#include <string.h>

#include "exec/plan_parts.h"

#define HOST_ALIGNMENT   ((size_t)64)
#define DEVICE_ALIGNMENT ((size_t)256)

static size_t align(size_t bytes, size_t alignment) {
    return (bytes + alignment - 1) & ~(alignment - 1);
}

static size_t root_of(const tare_plan *plan, size_t slot) {
    while (plan->slots[slot].view_of != TARE_NO_INDEX) {
        slot = plan->slots[slot].view_of;
    }
    return slot;
}

/* The last step that reads each root slot; outputs of the graph live to the end. */
static void find_last_uses(const tare_plan *plan, size_t *last) {
    for (size_t i = 0; i < plan->slot_count; i++) {
        last[i] = 0;
    }
    for (size_t s = 0; s < plan->step_count; s++) {
        const tare_step *step = &plan->steps[s];
        for (size_t k = 0; k < step->input_count; k++) {
            if (step->inputs[k] != TARE_NO_INDEX) {
                last[root_of(plan, step->inputs[k])] = s;
            }
        }
        for (size_t k = 0; k < step->output_count; k++) {
            if (step->outputs[k] != TARE_NO_INDEX && last[root_of(plan, step->outputs[k])] < s) {
                last[root_of(plan, step->outputs[k])] = s;
            }
        }
    }
    for (size_t i = 0; i < plan->graph->output_count; i++) {
        if (plan->output_slots[i] != TARE_NO_INDEX) {
            last[root_of(plan, plan->output_slots[i])] = plan->step_count;
        }
    }
}

static bool add_storage(size_t *out, tare_plan *plan, const tare_storage *storage) {
    if (plan->storage_count == plan->storage_capacity) {
        const size_t capacity = plan->storage_capacity == 0 ? 256 : plan->storage_capacity * 2;
        tare_storage *grown = tare_arena_array(&plan->arena, capacity, sizeof *grown);
        if (grown == NULL) {
            return false;
        }
        if (plan->storage_count > 0) {
            memcpy(grown, plan->storages, plan->storage_count * sizeof *grown);
        }
        plan->storages = grown;
        plan->storage_capacity = capacity;
    }
    *out = plan->storage_count;
    plan->storages[plan->storage_count++] = *storage;
    return true;
}

/* An input that dies in this step and fits exactly may lend its memory to an in-place kernel's
 * output. */
static size_t reusable_input(const tare_plan *plan, const tare_step *step, size_t index,
                             size_t output) {
    const tare_desc *want = &plan->slots[output].desc;
    if (step->kernel == NULL || !step->kernel->in_place) {
        return TARE_NO_INDEX;
    }
    for (size_t k = 0; k < step->input_count; k++) {
        size_t slot = step->inputs[k];
        const tare_slot *root;
        if (slot == TARE_NO_INDEX || plan->slots[slot].desc.layout != want->layout ||
            plan->slots[slot].desc.dtype != want->dtype ||
            plan->slots[slot].desc.rank != want->rank ||
            memcmp(plan->slots[slot].desc.dims, want->dims,
                   (size_t)want->rank * sizeof want->dims[0]) != 0) {
            continue;
        }
        root = &plan->slots[root_of(plan, slot)];
        if (root->kind == TARE_SLOT_ARENA && plan->storages[root->storage].last == index &&
            plan->storages[root->storage].bytes == tare_desc_bytes(want)) {
            return root->storage;
        }
    }
    return TARE_NO_INDEX;
}

static bool assign_storages(tare_plan *plan, const size_t *last) {
    for (size_t s = 0; s < plan->step_count; s++) {
        tare_step *step = &plan->steps[s];
        bool lent = false;
        for (size_t k = 0; k < step->output_count; k++) {
            const size_t index = step->outputs[k];
            tare_slot *slot = index == TARE_NO_INDEX ? NULL : &plan->slots[index];
            tare_storage storage = {.first = s};
            size_t reuse;
            if (slot == NULL || slot->view_of != TARE_NO_INDEX || slot->kind != TARE_SLOT_ARENA) {
                continue;
            }
            reuse = lent ? TARE_NO_INDEX : reusable_input(plan, step, s, index);
            if (reuse != TARE_NO_INDEX) {
                lent = true;
                slot->storage = reuse;
                plan->storages[reuse].last = last[index];
                continue;
            }
            storage.on_device = slot->place != TARE_PLACE_HOST;
            storage.bytes = tare_desc_bytes(&slot->desc);
            storage.last = last[index];
            if (!add_storage(&slot->storage, plan, &storage)) {
                return false;
            }
        }
        step->scratch_storage = TARE_NO_INDEX;
        const tare_storage scratch = {.on_device = plan->device != NULL && !step->on_host,
                                      .bytes = step->scratch_bytes,
                                      .first = s,
                                      .last = s};
        if (scratch.bytes > 0 && !add_storage(&step->scratch_storage, plan, &scratch)) {
            return false;
        }
    }
    return true;
}

typedef struct order_key {
    size_t bytes, index;
} order_key;

static int compare_keys(const void *a, const void *b) {
    const order_key *x = a, *y = b;
    if (x->bytes != y->bytes) {
        return x->bytes < y->bytes ? 1 : -1;
    }
    return x->index < y->index ? -1 : 1;
}

/* Placed storages in order of offset, as a list, so that gaps are found in one walk. */
static size_t find_gap(const tare_storage *storages, const size_t *by_offset, size_t placed,
                       const tare_storage *wanted) {
    const size_t alignment = wanted->on_device ? DEVICE_ALIGNMENT : HOST_ALIGNMENT;
    size_t at = 0;
    for (size_t i = 0; i < placed; i++) {
        const tare_storage *other = &storages[by_offset[i]];
        if (other->on_device != wanted->on_device || other->last < wanted->first ||
            wanted->last < other->first) {
            continue;
        }
        if (other->offset >= at + wanted->bytes) {
            break;
        }
        if (other->offset + other->bytes > at) {
            at = align(other->offset + other->bytes, alignment);
        }
    }
    return at;
}

/* Greedy by size: the largest first, each at the lowest offset where no living neighbour is. */
static tare_status assign_offsets(tare_plan *plan, tare_error *err) {
    const size_t count = plan->storage_count;
    order_key *keys = calloc(count + 1, sizeof *keys);
    size_t *by_offset = calloc(count + 1, sizeof *by_offset);
    tare_status status = TARE_OK;

    if (keys == NULL || by_offset == NULL) {
        status = tare_fail_memory(err, count * sizeof *keys, "the memory plan");
        goto done;
    }
    for (size_t i = 0; i < count; i++) {
        keys[i] = (order_key){plan->storages[i].bytes, i};
    }
    qsort(keys, count, sizeof *keys, compare_keys);
    for (size_t i = 0; i < count; i++) {
        tare_storage *storage = &plan->storages[keys[i].index];
        size_t *workspace =
            storage->on_device ? &plan->device_workspace_bytes : &plan->workspace_bytes;
        const size_t alignment = storage->on_device ? DEVICE_ALIGNMENT : HOST_ALIGNMENT;
        size_t at = i, end;
        storage->offset = find_gap(plan->storages, by_offset, i, storage);
        while (at > 0 && plan->storages[by_offset[at - 1]].offset > storage->offset) {
            by_offset[at] = by_offset[at - 1];
            at--;
        }
        by_offset[at] = keys[i].index;
        /* No workspace that something lies in is empty, so that no operand is a NULL pointer. */
        end = align(storage->offset + storage->bytes, alignment);
        end = end == 0 ? alignment : end;
        *workspace = end > *workspace ? end : *workspace;
    }
done:
    free(keys);
    free(by_offset);
    return status;
}

tare_status tare_plan_place(tare_plan *plan, tare_error *err) {
    size_t *last = tare_arena_array(&plan->arena, plan->slot_count, sizeof *last);
    if (last == NULL) {
        return tare_fail_memory(err, plan->slot_count * sizeof *last, "the memory plan");
    }
    find_last_uses(plan, last);
    if (!assign_storages(plan, last)) {
        return tare_fail_memory(err, plan->step_count * sizeof(tare_storage), "the memory plan");
    }
    return assign_offsets(plan, err);
}
