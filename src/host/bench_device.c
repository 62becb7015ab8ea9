/* SPDX-License-Identifier: Apache-2.0 */
/** Measuring on a device: batches whose samples are there already, by the lane that calibrates. */
#include <stdlib.h>

#include "bench.h"
#include "device_lane.h"

#define LARGEST_ROUND 1e6
/* Batches whose steps are timed. */
#define TIMED_BATCHES 20

typedef struct device_side {
    tare_bench_side *side;
    tare_device_lane lane;
    double batch_seconds; /* of the last round */
    tare_mark **marks;    /* one per place */
    size_t mark_count;
} device_side;

/* ---- opening ---- */

static tare_status fill_slot(device_side *d, size_t index, tare_error *err) {
    const tare_bench_inputs *inputs = d->side->inputs;
    const size_t samples = (size_t)d->side->session->samples_per_run;
    tare_ring_slot *slot = &d->lane.ring.slots[index];

    for (size_t i = index * samples; i < (index + 1) * samples; i++) {
        TARE_TRY(tare_ring_add(&d->lane.ring, slot, inputs->samples[i % inputs->count], i, err));
    }
    TARE_TRY(tare_device_lane_submit(&d->lane, slot, err));
    return tare_device_lane_finish(&d->lane, slot, err);
}

/* The lane waits for the device, which may still have marks to set. */
static void close_side(void *state) {
    device_side *d = state;
    if (d != NULL) {
        const tare_device_functions *functions = d->side->session->backend->device;
        tare_device_lane_release(&d->lane);
        for (size_t i = 0; d->marks != NULL && i < d->mark_count; i++) {
            if (d->marks[i] != NULL) {
                functions->mark_free(d->marks[i]);
            }
        }
        free(d->marks);
        free(d);
    }
}

static tare_status open_side(void **state, tare_bench_side *side, tare_error *err) {
    const tare_device_lane_spec spec = {.session = side->session,
                                        .feed = &side->inputs->feed,
                                        .job = &side->job,
                                        .options = side->inputs->run};
    device_side *d = calloc(1, sizeof *d);
    double start = tare_job_clock();

    *state = d;
    if (d == NULL) {
        return tare_fail_memory(err, sizeof *d, "a measurement");
    }
    d->side = side;
    TARE_TRY(tare_device_lane_init(&d->lane, &spec, err));
    TARE_TRY(fill_slot(d, 0, err));
    side->first_seconds = tare_job_clock() - start;
    for (size_t i = 1; i < TARE_SESSION_SLOTS; i++) {
        start = tare_job_clock();
        TARE_TRY(fill_slot(d, i, err));
        d->batch_seconds = tare_job_clock() - start;
    }
    return TARE_OK;
}

/* ---- rounds ---- */

static size_t batches_of(const device_side *d, double seconds) {
    const double count = d->batch_seconds > 0.0 ? seconds / d->batch_seconds : LARGEST_ROUND;
    return count < 1.0 ? 1 : count > LARGEST_ROUND ? (size_t)LARGEST_ROUND : (size_t)count;
}

/* The clock runs from the moment in which the first batch is finished, with others under way, to
 * that in which `count` more are. */
static tare_status run_round(double *rate, void *state, double seconds, tare_error *err) {
    device_side *d = state;
    const size_t count = batches_of(d, seconds);
    double start = 0.0, end = 0.0;

    for (size_t i = 0; i < count + 1 + TARE_SESSION_SLOTS; i++) {
        tare_ring_slot *slot = tare_device_lane_slot(&d->lane);
        TARE_TRY(tare_device_lane_finish(&d->lane, slot, err));
        start = i == TARE_SESSION_SLOTS ? tare_job_clock() : start;
        end = tare_job_clock();
        if (i < count + TARE_SESSION_SLOTS) {
            TARE_TRY(tare_device_lane_repeat(&d->lane, slot, err));
        }
    }
    TARE_TRY(tare_device_lane_drain(&d->lane, err));
    d->batch_seconds = (end - start) / (double)count;
    *rate =
        d->batch_seconds > 0.0 ? (double)d->side->session->samples_per_run / d->batch_seconds : 0.0;
    return TARE_OK;
}

/* ---- steps ---- */

static tare_status set_mark(void *user, size_t place, tare_error *err) {
    const device_side *d = user;
    return d->lane.functions->mark_set(d->marks[place], tare_execution_queue(d->lane.execution),
                                       err);
}

static tare_status make_marks(device_side *d, tare_error *err) {
    const size_t count = tare_bench_place_count(d->side->session);
    d->marks = calloc(count, sizeof *d->marks);
    if (d->marks == NULL) {
        return tare_fail_memory(err, count * sizeof *d->marks, "marks");
    }
    d->mark_count = count;
    for (size_t i = 0; i < count; i++) {
        TARE_TRY(d->lane.functions->mark_new(&d->marks[i], d->side->session->device, err));
    }
    return TARE_OK;
}

static tare_status time_batch(double *places, device_side *d, tare_error *err) {
    tare_ring_slot *slot = tare_device_lane_slot(&d->lane);
    TARE_TRY(tare_device_lane_repeat(&d->lane, slot, err));
    TARE_TRY(tare_device_lane_finish(&d->lane, slot, err));
    for (size_t i = 1; i < d->mark_count; i++) {
        double seconds = 0.0;
        TARE_TRY(d->lane.functions->mark_seconds(&seconds, d->marks[i - 1], d->marks[i], err));
        places[i] += seconds;
    }
    return TARE_OK;
}

/* Marks inside of recordings have no times, so every step is given to the device by itself. */
static tare_status time_steps(double *places, void *state, double seconds, tare_error *err) {
    device_side *d = state;
    const bool records = d->lane.records;
    const double start = tare_job_clock();
    size_t batches = 0;
    tare_status status;

    TARE_TRY(make_marks(d, err));
    d->lane.records = false;
    d->lane.passed = set_mark;
    d->lane.user = d;
    TARE_TRY_DONE(status, time_batch(places, d, err));
    for (size_t i = 0; i < d->mark_count; i++) {
        places[i] = 0.0; /* The first one may still set something up. */
    }
    do {
        TARE_TRY_DONE(status, time_batch(places, d, err));
        batches++;
    } while (batches < TIMED_BATCHES && tare_job_clock() - start < seconds);
    for (size_t i = 0; i < d->mark_count; i++) {
        places[i] /= (double)batches;
    }
done:
    d->lane.passed = NULL;
    d->lane.records = records;
    return status;
}

const tare_bench_way tare_bench_on_device = {
    .open = open_side, .round = run_round, .time = time_steps, .close = close_side};
