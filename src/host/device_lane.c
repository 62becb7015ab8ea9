/* SPDX-License-Identifier: Apache-2.0 */
/** The way of batches through a device. */
#include "device_lane.h"

#include <stdlib.h>

/* ---- giving a batch to the device ---- */

static tare_status collect_value(void *user, size_t value_id, const tare_desc *desc,
                                 const void *data, tare_error *err) {
    tare_device_lane *lane = user;
    const size_t point = lane->point_of_value[value_id];
    const tare_collect what = {.slot = (size_t)(lane->current - lane->ring.slots),
                               .point = point,
                               .data = data,
                               .samples = (int64_t)lane->current->count};
    (void)desc;
    if (point == SIZE_MAX) {
        return TARE_OK;
    }
    if (lane->ordered < lane->session->collection.count) {
        lane->order[lane->ordered++] = point;
    }
    return lane->functions->collect(lane->collector, tare_execution_queue(lane->execution), &what,
                                    err);
}

static tare_status tell_place(void *user, size_t place, tare_error *err) {
    tare_device_lane *lane = user;
    return lane->passed(lane->user, place, err);
}

/* Everything that is repeated for each batch. */
static tare_status queue_batch(tare_device_lane *lane, tare_ring_slot *slot, tare_error *err) {
    const tare_watch watch = {
        .value = collect_value, .passed = lane->passed == NULL ? NULL : tell_place, .user = lane};
    const bool watches = lane->collector != NULL || lane->passed != NULL;
    tare_queue *queue = tare_execution_queue(lane->execution);

    lane->current = slot;
    TARE_TRY(tare_ring_ingest(&lane->ring, slot, queue, err));
    TARE_TRY(
        tare_execution_run(lane->execution, lane->ring.pointers, watches ? &watch : NULL, err));
    return lane->collector == NULL
               ? TARE_OK
               : lane->functions->collect_end(lane->collector, queue,
                                              (size_t)(slot - lane->ring.slots), err);
}

/* What cannot be recorded can still be done without: recordings only save time. */
static void record_batch(tare_device_lane *lane, tare_ring_slot *slot) {
    tare_queue *queue = tare_execution_queue(lane->execution);
    tare_error why = {TARE_OK, ""};
    tare_status status = lane->functions->record_begin(queue, &why);

    if (status == TARE_OK) {
        status = queue_batch(lane, slot, &why);
        if (status == TARE_OK) {
            status = lane->functions->record_end(&slot->recording, queue, &why);
        } else {
            (void)lane->functions->record_end(NULL, queue, NULL);
        }
    }
    if (status != TARE_OK) {
        slot->recording = NULL;
        lane->records = false;
        tare_note(lane->options, "batches are not recorded: %s", why.text);
    }
}

tare_ring_slot *tare_device_lane_slot(tare_device_lane *lane) {
    return &lane->ring.slots[lane->next % TARE_SESSION_SLOTS];
}

/* The first batch is never recorded: libraries set themselves up in their first call. */
tare_status tare_device_lane_repeat(tare_device_lane *lane, tare_ring_slot *slot, tare_error *err) {
    tare_queue *queue = tare_execution_queue(lane->execution);
    const bool full = slot->count == (size_t)lane->session->samples_per_run;
    const bool records = full && lane->records;

    if (slot->recording == NULL && records && lane->next > 0) {
        record_batch(lane, slot);
    }
    TARE_TRY(lane->functions->mark_follow(queue, slot->copied, err));
    if (slot->recording != NULL && records) {
        TARE_TRY(lane->functions->replay(queue, slot->recording, err));
    } else {
        TARE_TRY(queue_batch(lane, slot, err));
    }
    TARE_TRY(lane->functions->mark_set(slot->done, queue, err));
    slot->is_running = true;
    lane->next++;
    return TARE_OK;
}

tare_status tare_device_lane_submit(tare_device_lane *lane, tare_ring_slot *slot, tare_error *err) {
    TARE_TRY(tare_ring_send(&lane->ring, slot, err));
    return tare_device_lane_repeat(lane, slot, err);
}

/* ---- taking its results ---- */

/* A batch whose results are there. */
typedef struct finished_batch {
    tare_device_lane *lane;
    const tare_ring_slot *slot;
} finished_batch;

static tare_status finish_sample(void *user, size_t thread, size_t part, tare_error *err) {
    const finished_batch *batch = user;
    const tare_device_lane *lane = batch->lane;
    const tare_ring_sample *sample = &batch->slot->samples[part];
    const tare_session_collection *collection = &lane->session->collection;
    const tare_turn turn = {.lane = thread,
                            .sample = sample->position,
                            .id = sample->id,
                            .name = sample->name,
                            .execution = lane->execution,
                            .part = part};
    tare_status status = TARE_OK;

    for (size_t i = 0; i < lane->ordered && status == TARE_OK; i++) {
        const tare_collect_point *point = &collection->points[lane->order[i]];
        const tare_reduced reduced = {
            .value = collection->values[lane->order[i]],
            .result = &lane->results[i],
            .sample = part,
            .images = point->desc.rank > 0 ? (size_t)(point->desc.dims[0] / point->samples) : 1};
        status = lane->job->reduced(lane->job->user, &turn, &reduced, err);
    }
    if (status == TARE_OK) {
        status = lane->job->done(lane->job->user, &turn, err);
    }
    if (status != TARE_OK) {
        tare_error_prepend(err, "sample '%s': ", sample->name);
    }
    return status;
}

tare_status tare_device_lane_finish(tare_device_lane *lane, tare_ring_slot *slot, tare_error *err) {
    finished_batch batch = {.lane = lane, .slot = slot};
    tare_status status;

    if (!slot->is_running) {
        return TARE_OK;
    }
    status = lane->functions->mark_wait(slot->done, err);
    if (status == TARE_OK && lane->job->reads_outputs) {
        status = tare_execution_wait(lane->execution, err);
    }
    slot->is_running = false;
    if (status != TARE_OK) {
        tare_error_prepend(err, "batch from sample '%s' on: ", slot->samples[0].name);
    }
    for (size_t i = 0; i < lane->ordered && status == TARE_OK; i++) {
        lane->functions->collect_result(&lane->results[i], lane->collector,
                                        (size_t)(slot - lane->ring.slots), lane->order[i]);
    }
    if (status == TARE_OK) {
        status = tare_lanes_run(lane->takers, slot->count, finish_sample, &batch, err);
    }
    lane->done += status == TARE_OK ? slot->count : 0;
    return status;
}

tare_status tare_device_lane_drain(tare_device_lane *lane, tare_error *err) {
    for (size_t i = 0; i < TARE_SESSION_SLOTS; i++) {
        TARE_TRY(tare_device_lane_finish(
            lane, &lane->ring.slots[(lane->next + i) % TARE_SESSION_SLOTS], err));
    }
    return TARE_OK;
}

tare_status tare_device_lane_pass_codes(tare_device_lane *lane, tare_error *err) {
    const tare_session_collection *collection = &lane->session->collection;
    for (size_t i = 0; i < collection->count && lane->next > 0; i++) {
        if (collection->points[i].codes) {
            uint32_t top = 0;
            TARE_TRY(lane->functions->collect_codes(lane->codes, &top, lane->collector,
                                                    tare_execution_queue(lane->execution), i, err));
            lane->job->codes(lane->job->user, collection->values[i], lane->codes, top);
        }
    }
    return TARE_OK;
}

/* ---- setting up ---- */

static tare_status index_points(tare_device_lane *lane, tare_error *err) {
    const tare_session_collection *collection = &lane->session->collection;
    const size_t values = tare_session_graph(lane->session)->value_count;

    lane->point_of_value = calloc(values + 1, sizeof *lane->point_of_value);
    lane->order = calloc(collection->count + 1, sizeof *lane->order);
    lane->codes = calloc(TARE_COLLECT_CODE_COUNT, sizeof *lane->codes);
    lane->results = calloc(collection->count + 1, sizeof *lane->results);
    if (lane->point_of_value == NULL || lane->order == NULL || lane->codes == NULL ||
        lane->results == NULL) {
        return tare_fail_memory(err, values * sizeof *lane->point_of_value, "statistics");
    }
    for (size_t i = 0; i < values; i++) {
        lane->point_of_value[i] = SIZE_MAX;
    }
    for (size_t i = 0; i < collection->count; i++) {
        lane->point_of_value[collection->values[i]] = i;
    }
    return TARE_OK;
}

static void begin_thread(const tare_backend *backend, int threads) {
    if (backend->thread_begin != NULL) {
        backend->thread_begin(threads);
    }
}

tare_status tare_device_lane_init(tare_device_lane *lane, const tare_device_lane_spec *spec,
                                  tare_error *err) {
    tare_session *session = spec->session;
    const tare_session_collection *collection = &session->collection;

    *lane = (tare_device_lane){.session = session,
                               .job = spec->job,
                               .options = spec->options,
                               .functions = session->backend->device};
    begin_thread(session->backend, session->threads_per_run);
    begin_thread(session->host, session->threads_per_run);
    lane->records = tare_plan_can_record(session->plan);
    TARE_TRY(index_points(lane, err));
    TARE_TRY(tare_lanes_new(&lane->takers, (size_t)session->threads, err));
    TARE_TRY(tare_execution_new(&lane->execution, session->plan, err));
    if (collection->count > 0) {
        TARE_TRY(lane->functions->collector_new(&lane->collector, session->device,
                                                collection->points, collection->count,
                                                TARE_SESSION_SLOTS, err));
    }
    return tare_ring_init(&lane->ring, session, spec->feed, err);
}

/* The execution goes first: freeing it waits for what it still reads and writes. */
void tare_device_lane_release(tare_device_lane *lane) {
    tare_lanes_free(lane->takers);
    tare_execution_free(lane->execution);
    tare_ring_release(&lane->ring);
    if (lane->collector != NULL) {
        lane->functions->collector_free(lane->collector);
    }
    free(lane->point_of_value);
    free(lane->order);
    free(lane->codes);
    free(lane->results);
    *lane = (tare_device_lane){0};
}
