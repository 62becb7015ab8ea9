/* SPDX-License-Identifier: Apache-2.0 */
/** Running samples on a device, batch by batch. */
#include "device_run.h"

#include "device_lane.h"

#define PROGRESS_SECONDS 0.1

typedef struct device_run {
    tare_device_lane lane;
    const tare_job *job;
    const tare_run_options *options;
    tare_prefetch *prefetch;
    size_t total; /* samples */
    double start, told, paused;
} device_run;

/* ---- memory and threads ---- */

/* One thread is busy with the device. */
static size_t loading_threads(const tare_run_options *options) {
    const int threads = tare_wanted_threads(options);
    return threads <= 2 ? 1 : threads > 65 ? 64 : (size_t)threads - 1;
}

/* While one batch is gathered from them, the next one is loaded. */
static tare_prefetch_options prefetch_options(const tare_feed *feed, int64_t batch,
                                              const tare_run_options *options) {
    tare_prefetch_options prefetch = tare_feed_prefetch(feed, options);
    prefetch.threads = loading_threads(options);
    prefetch.slots = prefetch.threads + 2 + 2 * (size_t)batch;
    prefetch.keep_pixels = feed->has_preprocess;
    return prefetch;
}

tare_status tare_device_run_measure(tare_session_limits *limits, tare_feed *feed,
                                    const tare_run_options *options, tare_error *err) {
    tare_prefetch_options prefetch = prefetch_options(feed, 0, options);
    size_t bytes, sample;

    TARE_TRY(tare_feed_measure(&bytes, &sample, feed, &prefetch, err));
    /* Taking the results of a sample is little work beside decoding a picture. */
    limits->threads = (int)(prefetch.threads + 3) / 4;
    limits->streams = true;
    limits->staged_bytes = sample;
    limits->bytes_per_sample = 2 * (uint64_t)sample;
    limits->fixed_bytes += bytes;
    return TARE_OK;
}

/* ---- all batches ---- */

/* Loads until the slot is full; *end: there are no more samples. */
static tare_status fill(bool *end, device_run *run, tare_ring_slot *slot, tare_error *err) {
    while (slot->count < (size_t)run->lane.session->samples_per_run && !*end) {
        tare_sample *sample = NULL;
        size_t position = 0;
        tare_status status = tare_prefetch_next(run->prefetch, &sample, &position, err);
        TARE_TRY(status);
        *end = sample == NULL;
        if (*end) {
            return TARE_OK;
        }
        status = tare_ring_add(&run->lane.ring, slot, sample, position, err);
        if (status != TARE_OK) {
            tare_error_prepend(err, "sample '%s': ", sample->name);
        }
        tare_prefetch_return(run->prefetch, sample);
        TARE_TRY(status);
    }
    return TARE_OK;
}

static tare_status tell_progress(device_run *run, tare_error *err) {
    const double now = tare_job_clock();
    const tare_progress progress = {.stage = run->job->stage,
                                    .done = run->lane.done,
                                    .total = run->total,
                                    .seconds = now - run->start};

    if (run->options->progress == NULL ||
        (now - run->told < PROGRESS_SECONDS && run->lane.done < run->total)) {
        return TARE_OK;
    }
    run->told = now;
    if (run->options->progress(run->options->user, &progress)) {
        return TARE_OK;
    }
    TARE_TRY(tare_device_lane_drain(&run->lane, err));
    TARE_TRY(tare_device_lane_pass_codes(&run->lane, err));
    return tare_fail(err, TARE_CANCELLED, "cancelled after %zu of %zu samples", run->lane.done,
                     run->total);
}

static tare_status make_pause(device_run *run, tare_error *err) {
    if (run->job->pause == NULL || tare_job_clock() - run->paused < run->job->pause_seconds) {
        return TARE_OK;
    }
    TARE_TRY(tare_device_lane_drain(&run->lane, err));
    TARE_TRY(tare_device_lane_pass_codes(&run->lane, err));
    run->job->pause(run->job->user);
    run->paused = tare_job_clock();
    return TARE_OK;
}

/* One batch is loaded and given to the device. A sample that does not load ends the run, but those
 * before it may have errors that come first. */
static tare_status step(bool *end, device_run *run, tare_error *err) {
    tare_ring_slot *slot = tare_device_lane_slot(&run->lane);
    tare_error why = {TARE_OK, ""};
    tare_status loaded;

    TARE_TRY(tare_device_lane_finish(&run->lane, slot, err));
    slot->count = 0;
    loaded = fill(end, run, slot, &why);
    if (slot->count > 0) {
        TARE_TRY(tare_device_lane_submit(&run->lane, slot, err));
        /* The next batch overwrites the outputs. */
        if (run->job->reads_outputs) {
            TARE_TRY(tare_device_lane_finish(&run->lane, slot, err));
        }
    }
    if (loaded != TARE_OK) {
        TARE_TRY(tare_device_lane_drain(&run->lane, err));
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
    TARE_TRY(tare_device_lane_drain(&run->lane, err));
    TARE_TRY(tare_device_lane_pass_codes(&run->lane, err));
    return tell_progress(run, err);
}

tare_status tare_device_run(tare_run_summary *summary, tare_session *session, const tare_feed *feed,
                            const tare_job *job, const tare_run_options *options, tare_error *err) {
    const tare_device_lane_spec spec = {session, feed, job, options};
    const tare_prefetch_options prefetch =
        prefetch_options(feed, session->samples_per_run, options);
    device_run run = {
        .job = job, .options = options, .total = feed->count, .start = tare_job_clock()};
    tare_status status;

    *summary = (tare_run_summary){0};
    run.paused = run.start;
    TARE_TRY_DONE(status, tare_device_lane_init(&run.lane, &spec, err));
    TARE_TRY_DONE(status, tare_prefetch_open(&run.prefetch, feed->samples, &prefetch, err));
    TARE_TRY_DONE(status, run_batches(&run, err));
    summary->skipped = tare_job_note_skipped(run.prefetch, options);
    summary->samples = run.lane.done;
    summary->seconds = tare_job_clock() - run.start;
    if (run.lane.done == 0) {
        status = tare_fail(err, TARE_INVALID_ARGUMENT, "none of %zu samples could be loaded",
                           feed->count);
    }
done:
    tare_prefetch_close(run.prefetch);
    tare_device_lane_release(&run.lane);
    return status;
}
