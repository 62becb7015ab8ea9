/* SPDX-License-Identifier: Apache-2.0 */
/** Batches on their way to a device. */
#include "device_ring.h"

#include <stdlib.h>
#include <string.h>

/* Where staged inputs begin: enough for any access the device makes. */
#define STAGING_ALIGNMENT 256

static size_t aligned(size_t bytes) {
    return (bytes + STAGING_ALIGNMENT - 1) / STAGING_ALIGNMENT * STAGING_ALIGNMENT;
}

/* ---- inputs ---- */

/* What each sample's array has to be: the bound shape of one sample, or its pixels. */
static void expect(tare_ring_input *input, const tare_session *session, const tare_feed *feed) {
    const tare_value *value = session->graph.inputs[input->index];
    tare_array *array = &input->expected;

    *array = (tare_array){.element = (tare_element)value->dtype, .rank = (size_t)value->rank};
    for (int i = 0; i < value->rank; i++) {
        array->dims[i] = (size_t)value->dims[i];
    }
    input->copies = 1;
    if (session->repeat > 1 && value->rank > 0 && value->dims[0] == session->repeat) {
        input->copies = session->repeat;
        array->dims[0] = 1;
    }
    if (feed->has_preprocess) {
        const size_t *d = array->dims;
        const bool last = feed->preprocess.layout == TARE_PIXEL_LAYOUT_NHWC;
        const size_t dims[4] = {d[0], last ? d[1] : d[2], last ? d[2] : d[3], last ? d[3] : d[1]};
        array->element = TARE_UINT8;
        memcpy(array->dims, dims, sizeof dims);
        input->channel_axis = last ? 3 : 1;
    }
}

static tare_status add_input(tare_ring *ring, size_t index, const tare_feed *feed,
                             tare_error *err) {
    tare_ring_input *input = &ring->inputs[ring->input_count];
    const tare_session *session = ring->session;
    const size_t samples = (size_t)session->samples_per_run;
    size_t bytes;

    input->index = index;
    input->name = session->graph.inputs[index]->name;
    if (!tare_plan_input_desc(&input->desc, session->plan, index)) {
        return TARE_OK;
    }
    expect(input, session, feed);
    TARE_TRY(tare_array_measure(&bytes, input->expected.element, input->expected.rank,
                                input->expected.dims, err));
    if (bytes > SIZE_MAX / 4 / samples / (size_t)input->copies - ring->staged_bytes) {
        return tare_fail_memory(err, SIZE_MAX, "a batch");
    }
    input->bytes = bytes * (size_t)input->copies;
    input->offset = ring->staged_bytes;
    ring->staged_bytes += aligned(input->bytes * samples);
    ring->input_count++;
    TARE_TRY(ring->functions->memory_new(&input->memory, session->device,
                                         tare_desc_bytes(&input->desc) + 1, err));
    ring->pointers[index] = input->memory;
    return TARE_OK;
}

/* The device looks values of pixels up in the very table that the host would use. */
static tare_status upload_table(tare_ring *ring, const tare_feed *feed, tare_error *err) {
    const tare_session *session = ring->session;
    float values[3 * TARE_PIXEL_VALUES] = {0};
    const tare_copy copy = {.kind = TARE_COPY_TO_DEVICE, .from = values, .bytes = sizeof values};
    tare_copy placed = copy;

    if (!feed->has_preprocess) {
        return TARE_OK;
    }
    tare_preprocess_table(values, &feed->preprocess);
    TARE_TRY(ring->functions->memory_new(&ring->table, session->device, sizeof values, err));
    placed.to = ring->table;
    TARE_TRY(ring->functions->copy(ring->copy_queue, &placed, err));
    TARE_TRY(ring->functions->wait(ring->copy_queue, err));
    for (size_t i = 0; i < ring->input_count; i++) {
        ring->inputs[i].table = ring->table;
    }
    return TARE_OK;
}

/* ---- slots ---- */

static tare_status init_slot(tare_ring *ring, tare_ring_slot *slot, tare_error *err) {
    const tare_device_functions *functions = ring->functions;
    tare_device *device = ring->session->device;
    void *pinned = NULL, *staged = NULL;

    slot->samples = calloc((size_t)ring->session->samples_per_run, sizeof *slot->samples);
    if (slot->samples == NULL) {
        return tare_fail_memory(err, sizeof *slot->samples, "a batch");
    }
    TARE_TRY(functions->pinned_new(&pinned, device, ring->staged_bytes + 1, err));
    slot->pinned = pinned;
    TARE_TRY(functions->memory_new(&staged, device, ring->staged_bytes + 1, err));
    slot->staged = staged;
    TARE_TRY(functions->mark_new(&slot->copied, device, err));
    return functions->mark_new(&slot->done, device, err);
}

static void release_slot(const tare_ring *ring, tare_ring_slot *slot) {
    const tare_device_functions *functions = ring->functions;
    tare_device *device = ring->session->device;

    if (slot->recording != NULL) {
        functions->recording_free(slot->recording);
    }
    if (slot->copied != NULL) {
        functions->mark_free(slot->copied);
    }
    if (slot->done != NULL) {
        functions->mark_free(slot->done);
    }
    if (slot->staged != NULL) {
        functions->memory_free(device, slot->staged);
    }
    if (slot->pinned != NULL) {
        functions->pinned_free(device, slot->pinned);
    }
    free(slot->samples);
}

tare_status tare_ring_init(tare_ring *ring, const tare_session *session, const tare_feed *feed,
                           tare_error *err) {
    const size_t inputs = session->graph.input_count;

    ring->session = session;
    ring->functions = session->backend->device;
    ring->fed_count = feed->shape_count;
    ring->inputs = calloc(inputs + 1, sizeof *ring->inputs);
    ring->pointers = calloc(inputs + 1, sizeof *ring->pointers);
    if (ring->inputs == NULL || ring->pointers == NULL) {
        return tare_fail_memory(err, inputs * sizeof *ring->inputs, "the inputs");
    }
    TARE_TRY(ring->functions->queue_new(&ring->copy_queue, session->device, err));
    for (size_t i = 0; i < inputs; i++) {
        TARE_TRY(add_input(ring, i, feed, err));
    }
    TARE_TRY(upload_table(ring, feed, err));
    for (size_t i = 0; i < TARE_SESSION_SLOTS; i++) {
        TARE_TRY(init_slot(ring, &ring->slots[i], err));
    }
    return TARE_OK;
}

void tare_ring_release(tare_ring *ring) {
    if (ring->functions == NULL) {
        return;
    }
    ring->functions->queue_free(ring->copy_queue);
    for (size_t i = 0; i < TARE_SESSION_SLOTS; i++) {
        release_slot(ring, &ring->slots[i]);
    }
    for (size_t i = 0; i < ring->input_count; i++) {
        if (ring->inputs[i].memory != NULL) {
            ring->functions->memory_free(ring->session->device, ring->inputs[i].memory);
        }
    }
    if (ring->table != NULL) {
        ring->functions->memory_free(ring->session->device, ring->table);
    }
    free(ring->inputs);
    free(ring->pointers);
    *ring = (tare_ring){0};
}

/* ---- samples ---- */

tare_status tare_ring_add(tare_ring *ring, tare_ring_slot *slot, const tare_sample *sample,
                          size_t position, tare_error *err) {
    for (size_t i = 0; i < ring->input_count; i++) {
        const tare_ring_input *input = &ring->inputs[i];
        const tare_array *array = tare_feed_input(sample, input->name, ring->fed_count);
        unsigned char *to = slot->pinned + input->offset + slot->count * input->bytes;
        TARE_TRY(tare_feed_check(array, &input->expected, input->name, err));
        for (int64_t k = 0; k < input->copies; k++) {
            memcpy(to + (size_t)k * array->bytes, array->data, array->bytes);
        }
    }
    slot->samples[slot->count++] =
        (tare_ring_sample){.position = position, .id = sample->id, .name = sample->name};
    return TARE_OK;
}

tare_status tare_ring_send(tare_ring *ring, tare_ring_slot *slot, tare_error *err) {
    const size_t samples = (size_t)ring->session->samples_per_run;
    const tare_copy copy = {.kind = TARE_COPY_TO_DEVICE,
                            .to = slot->staged,
                            .from = slot->pinned,
                            .bytes = ring->staged_bytes};

    for (size_t i = 0; i < ring->input_count; i++) {
        const tare_ring_input *input = &ring->inputs[i];
        unsigned char *first = slot->pinned + input->offset;
        for (size_t s = slot->count; s < samples; s++) {
            memcpy(first + s * input->bytes, first, input->bytes);
        }
    }
    if (copy.bytes > 0) {
        TARE_TRY(ring->functions->copy(ring->copy_queue, &copy, err));
    }
    return ring->functions->mark_set(slot->copied, ring->copy_queue, err);
}

tare_status tare_ring_ingest(tare_ring *ring, const tare_ring_slot *slot, tare_queue *queue,
                             tare_error *err) {
    for (size_t i = 0; i < ring->input_count; i++) {
        const tare_ring_input *input = &ring->inputs[i];
        const tare_ingest ingest = {.to = input->memory,
                                    .desc = &input->desc,
                                    .from = slot->staged + input->offset,
                                    .from_dtype = (tare_dtype)input->expected.element,
                                    .table = input->table,
                                    .channel_axis = input->channel_axis};
        tare_status status;
        if (tare_desc_count(&input->desc) == 0) {
            continue;
        }
        status = ring->functions->ingest(queue, &ingest, err);
        if (status != TARE_OK) {
            tare_error_prepend(err, "input '%s': ", input->name);
            return status;
        }
    }
    return TARE_OK;
}
