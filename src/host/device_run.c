/* SPDX-License-Identifier: Apache-2.0 */
/** Running samples on a device, batch by batch. */
#include "device_run.h"

#include <stdlib.h>
#include <string.h>

#include "device_ring.h"

#define PROGRESS_SECONDS 0.1

typedef struct device_run {
    tare_session *session;
    const tare_job *job;
    const tare_run_options *options;
    const tare_device_functions *functions;
    tare_prefetch *prefetch;
    tare_execution *execution;
    tare_collector *collector; /* NULL: nothing is collected */
    tare_ring ring;
    size_t *point_of_value; /* by value id of the planned graph: of the collection, or SIZE_MAX */
    size_t *order;          /* points of the collection in the order in which they are computed */
    size_t ordered;
    uint64_t *codes;         /* room for the histogram of one point */
    tare_ring_slot *current; /* the one that is given to the device */
    size_t next;             /* slots that were given to the device so far */
    bool records;            /* full batches are recorded and replayed */
    size_t total, done;      /* samples */
    double start, told, paused;
} device_run;

/* ---- memory and threads ---- */

/* One thread is busy with the device. */
static size_t loading_threads(const tare_run_options *options) {
    const int threads = options->threads > 0 ? options->threads : tare_processor_count();
    return threads <= 2 ? 1 : threads > 65 ? 64 : (size_t)threads - 1;
}

/* While one batch is gathered from them, the next one is loaded. */
static tare_prefetch_options prefetch_options(const tare_feed *feed, int64_t batch,
                                              const tare_run_options *options) {
    tare_prefetch_options prefetch = tare_prefetch_defaults(feed->samples);
    prefetch.threads = loading_threads(options);
    prefetch.slots = prefetch.threads + 2 + 2 * (size_t)batch;
    prefetch.order = feed->order;
    prefetch.count = feed->count;
    prefetch.skip_bad = options->skip_bad;
    prefetch.keep_pixels = feed->has_preprocess;
    return prefetch;
}

tare_status tare_device_run_measure(tare_session_limits *limits, const tare_feed *feed,
                                    const tare_run_options *options, tare_error *err) {
    const tare_prefetch_options prefetch = prefetch_options(feed, 0, options);
    size_t measured = 0, sample = 0;

    TARE_TRY(tare_prefetch_measure(&measured, feed->samples, &prefetch, err));
    for (size_t i = 0; i < feed->shape_count; i++) {
        const tare_input_shape *shape = &feed->shapes[i];
        size_t bytes = 0;
        if (tare_dims_bytes(&bytes, (tare_dtype)shape->element, shape->rank, shape->dims)) {
            sample += feed->has_preprocess ? bytes / sizeof(float) : bytes;
        }
    }
    limits->streams = true;
    limits->staged_bytes = sample;
    limits->bytes_per_sample = 2 * (uint64_t)sample;
    /* A function does not say beforehand what it makes; its first sample does. */
    limits->fixed_bytes += measured < sample * prefetch.slots ? sample * prefetch.slots : measured;
    return TARE_OK;
}

/* ---- one batch ---- */

static tare_status collect_value(void *user, size_t value_id, const tare_desc *desc,
                                 const void *data, tare_error *err) {
    device_run *run = user;
    const size_t point = run->point_of_value[value_id];
    const tare_collect what = {.slot = (size_t)(run->current - run->ring.slots),
                               .point = point,
                               .data = data,
                               .samples = (int64_t)run->current->count};
    (void)desc;
    if (point == SIZE_MAX) {
        return TARE_OK;
    }
    if (run->ordered < run->session->collection.count) {
        run->order[run->ordered++] = point;
    }
    return run->functions->collect(run->collector, tare_execution_queue(run->execution), &what,
                                   err);
}

/* Everything that is repeated for each batch. */
static tare_status queue_batch(device_run *run, tare_ring_slot *slot, tare_error *err) {
    const tare_watch watch = {.value = collect_value, .user = run};
    tare_queue *queue = tare_execution_queue(run->execution);

    run->current = slot;
    TARE_TRY(tare_ring_ingest(&run->ring, slot, queue, err));
    TARE_TRY(tare_execution_run(run->execution, run->ring.pointers,
                                run->collector == NULL ? NULL : &watch, err));
    return run->collector == NULL
               ? TARE_OK
               : run->functions->collect_end(run->collector, queue,
                                             (size_t)(slot - run->ring.slots), err);
}

/* What cannot be recorded can still be done without: recordings only save time. */
static void record_batch(device_run *run, tare_ring_slot *slot) {
    tare_queue *queue = tare_execution_queue(run->execution);
    tare_error why = {TARE_OK, ""};
    tare_status status = run->functions->record_begin(queue, &why);

    if (status == TARE_OK) {
        status = queue_batch(run, slot, &why);
        if (status == TARE_OK) {
            status = run->functions->record_end(&slot->recording, queue, &why);
        } else {
            (void)run->functions->record_end(NULL, queue, NULL);
        }
    }
    if (status != TARE_OK) {
        slot->recording = NULL;
        run->records = false;
        tare_note(run->options, "batches are not recorded: %s", why.text);
    }
}

/* The first batch is never recorded: libraries set themselves up in their first call. */
static tare_status submit(device_run *run, tare_ring_slot *slot, tare_error *err) {
    tare_queue *queue = tare_execution_queue(run->execution);
    const bool full = slot->count == (size_t)run->session->samples_per_run;

    TARE_TRY(tare_ring_send(&run->ring, slot, err));
    if (slot->recording == NULL && full && run->records && run->next > 0) {
        record_batch(run, slot);
    }
    TARE_TRY(run->functions->mark_follow(queue, slot->copied, err));
    if (slot->recording != NULL && full) {
        TARE_TRY(run->functions->replay(queue, slot->recording, err));
    } else {
        TARE_TRY(queue_batch(run, slot, err));
    }
    TARE_TRY(run->functions->mark_set(slot->done, queue, err));
    slot->is_running = true;
    run->next++;
    return TARE_OK;
}

static tare_status finish_sample(device_run *run, const tare_ring_slot *slot, size_t part,
                                 tare_error *err) {
    const tare_ring_sample *sample = &slot->samples[part];
    const tare_session_collection *collection = &run->session->collection;
    const tare_turn turn = {.sample = sample->position,
                            .id = sample->id,
                            .name = sample->name,
                            .execution = run->execution,
                            .part = part};

    for (size_t i = 0; i < run->ordered; i++) {
        const tare_collect_point *point = &collection->points[run->order[i]];
        tare_collect_result result;
        const tare_reduced reduced = {
            .value = collection->values[run->order[i]],
            .result = &result,
            .sample = part,
            .images = point->desc.rank > 0 ? (size_t)(point->desc.dims[0] / point->samples) : 1};
        run->functions->collect_result(&result, run->collector, (size_t)(slot - run->ring.slots),
                                       run->order[i]);
        TARE_TRY(run->job->reduced(run->job->user, &turn, &reduced, err));
    }
    return run->job->done(run->job->user, &turn, err);
}

/* Waits for a batch and takes its results, sample by sample. */
static tare_status finish(device_run *run, tare_ring_slot *slot, tare_error *err) {
    tare_status status = run->functions->mark_wait(slot->done, err);
    if (status == TARE_OK && run->job->reads_outputs) {
        status = tare_execution_wait(run->execution, err);
    }
    slot->is_running = false;
    if (status != TARE_OK) {
        tare_error_prepend(err, "batch from sample '%s' on: ", slot->samples[0].name);
    }
    for (size_t i = 0; i < slot->count && status == TARE_OK; i++) {
        status = finish_sample(run, slot, i, err);
        if (status != TARE_OK) {
            tare_error_prepend(err, "sample '%s': ", slot->samples[i].name);
        } else {
            run->done++;
        }
    }
    slot->count = 0;
    return status;
}

/* Finishes all batches that are under way, the oldest first. */
static tare_status drain(device_run *run, tare_error *err) {
    for (size_t i = 0; i < TARE_SESSION_SLOTS; i++) {
        tare_ring_slot *slot = &run->ring.slots[(run->next + i) % TARE_SESSION_SLOTS];
        if (slot->is_running) {
            TARE_TRY(finish(run, slot, err));
        }
    }
    return TARE_OK;
}

/* ---- all batches ---- */

/* Loads until the slot is full; *end: there are no more samples. */
static tare_status fill(bool *end, device_run *run, tare_ring_slot *slot, tare_error *err) {
    while (slot->count < (size_t)run->session->samples_per_run && !*end) {
        tare_sample *sample = NULL;
        size_t position = 0;
        tare_status status = tare_prefetch_next(run->prefetch, &sample, &position, err);
        TARE_TRY(status);
        *end = sample == NULL;
        if (*end) {
            return TARE_OK;
        }
        status = tare_ring_add(&run->ring, slot, sample, position, err);
        if (status != TARE_OK) {
            tare_error_prepend(err, "sample '%s': ", sample->name);
        }
        tare_prefetch_return(run->prefetch, sample);
        TARE_TRY(status);
    }
    return TARE_OK;
}

static tare_status pass_codes(device_run *run, tare_error *err) {
    const tare_session_collection *collection = &run->session->collection;
    for (size_t i = 0; i < collection->count && run->next > 0; i++) {
        if (collection->points[i].codes) {
            TARE_TRY(run->functions->collect_codes(run->codes, run->collector,
                                                   tare_execution_queue(run->execution), i, err));
            run->job->codes(run->job->user, collection->values[i], run->codes);
        }
    }
    return TARE_OK;
}

static tare_status tell_progress(device_run *run, tare_error *err) {
    const double now = tare_job_clock();
    const tare_progress progress = {.stage = run->job->stage,
                                    .done = run->done,
                                    .total = run->total,
                                    .seconds = now - run->start};

    if (run->options->progress == NULL ||
        (now - run->told < PROGRESS_SECONDS && run->done < run->total)) {
        return TARE_OK;
    }
    run->told = now;
    if (run->options->progress(run->options->user, &progress)) {
        return TARE_OK;
    }
    TARE_TRY(drain(run, err));
    TARE_TRY(pass_codes(run, err));
    return tare_fail(err, TARE_CANCELLED, "cancelled after %zu of %zu samples", run->done,
                     run->total);
}

static tare_status make_pause(device_run *run, tare_error *err) {
    if (run->job->pause == NULL || tare_job_clock() - run->paused < run->job->pause_seconds) {
        return TARE_OK;
    }
    TARE_TRY(drain(run, err));
    TARE_TRY(pass_codes(run, err));
    run->job->pause(run->job->user);
    run->paused = tare_job_clock();
    return TARE_OK;
}

/* One batch is loaded and given to the device. A sample that does not load ends the run, but those
 * before it may have errors that come first. */
static tare_status step(bool *end, device_run *run, tare_error *err) {
    tare_ring_slot *slot = &run->ring.slots[run->next % TARE_SESSION_SLOTS];
    tare_error why = {TARE_OK, ""};
    tare_status loaded;

    if (slot->is_running) {
        TARE_TRY(finish(run, slot, err));
    }
    loaded = fill(end, run, slot, &why);
    if (slot->count > 0) {
        TARE_TRY(submit(run, slot, err));
        /* The next batch overwrites the outputs. */
        if (run->job->reads_outputs) {
            TARE_TRY(finish(run, slot, err));
        }
    }
    if (loaded != TARE_OK) {
        TARE_TRY(drain(run, err));
        if (err != NULL) {
            *err = why;
        }
    }
    return loaded;
}

static tare_status run_batches(device_run *run, tare_error *err) {
    bool end = false;
    while (!end) {
        TARE_TRY(step(&end, run, err));
        TARE_TRY(tell_progress(run, err));
        if (!end) {
            TARE_TRY(make_pause(run, err));
        }
    }
    TARE_TRY(drain(run, err));
    TARE_TRY(pass_codes(run, err));
    return tell_progress(run, err);
}

/* ---- setting up ---- */

static tare_status index_points(device_run *run, tare_error *err) {
    const tare_session_collection *collection = &run->session->collection;
    const size_t values = tare_session_graph(run->session)->value_count;

    run->point_of_value = calloc(values + 1, sizeof *run->point_of_value);
    run->order = calloc(collection->count + 1, sizeof *run->order);
    run->codes = calloc(TARE_COLLECT_CODE_COUNT, sizeof *run->codes);
    if (run->point_of_value == NULL || run->order == NULL || run->codes == NULL) {
        return tare_fail_memory(err, values * sizeof *run->point_of_value, "statistics");
    }
    for (size_t i = 0; i < values; i++) {
        run->point_of_value[i] = SIZE_MAX;
    }
    for (size_t i = 0; i < collection->count; i++) {
        run->point_of_value[collection->values[i]] = i;
    }
    return TARE_OK;
}

static void begin_thread(const tare_backend *backend, int threads) {
    if (backend->thread_begin != NULL) {
        backend->thread_begin(threads);
    }
}

static tare_status set_up(device_run *run, const tare_feed *feed, tare_error *err) {
    const tare_session *session = run->session;
    const tare_session_collection *collection = &session->collection;
    const tare_prefetch_options prefetch =
        prefetch_options(feed, session->samples_per_run, run->options);

    begin_thread(session->backend, session->threads_per_run);
    begin_thread(session->host, session->threads_per_run);
    run->records = tare_plan_can_record(session->plan);
    TARE_TRY(index_points(run, err));
    TARE_TRY(tare_execution_new(&run->execution, session->plan, err));
    if (collection->count > 0) {
        TARE_TRY(run->functions->collector_new(&run->collector, session->device, collection->points,
                                               collection->count, TARE_SESSION_SLOTS, err));
    }
    TARE_TRY(tare_ring_init(&run->ring, session, feed, err));
    return tare_prefetch_open(&run->prefetch, feed->samples, &prefetch, err);
}

/* The execution goes first: freeing it waits for what it still reads and writes. */
static void tear_down(device_run *run) {
    tare_prefetch_close(run->prefetch);
    tare_execution_free(run->execution);
    tare_ring_release(&run->ring);
    run->functions->collector_free(run->collector);
    free(run->point_of_value);
    free(run->order);
    free(run->codes);
}

tare_status tare_device_run(tare_run_summary *summary, tare_session *session, const tare_feed *feed,
                            const tare_job *job, const tare_run_options *options, tare_error *err) {
    device_run run = {.session = session,
                      .job = job,
                      .options = options,
                      .functions = session->backend->device,
                      .total = feed->count,
                      .start = tare_job_clock()};
    tare_status status;

    *summary = (tare_run_summary){0};
    run.paused = run.start;
    TARE_TRY_DONE(status, set_up(&run, feed, err));
    TARE_TRY_DONE(status, run_batches(&run, err));
    summary->skipped = tare_job_note_skipped(run.prefetch, options);
    summary->samples = run.done;
    summary->seconds = tare_job_clock() - run.start;
    if (run.done == 0) {
        status = tare_fail(err, TARE_INVALID_ARGUMENT, "none of %zu samples could be loaded",
                           feed->count);
    }
done:
    tear_down(&run);
    return status;
}
