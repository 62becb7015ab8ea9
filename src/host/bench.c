/* SPDX-License-Identifier: Apache-2.0 */
/** Public API: measuring inference and calibration. tare_bench() reads in the order of the work. */
#include "bench.h"

#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>

#include "pass/batch_norm.h"
#include "ranges.h"

#define SECONDS             3.0
#define FEWEST_REPETITIONS  3
#define LONGEST_STEP_TIMING 1.0

TARE_API void tare_bench_options_init(tare_bench_options *options) {
    *options = (tare_bench_options){.seconds = SECONDS, .target = "openvino"};
    tare_run_options_init(&options->run);
}

/* Everything one measurement owns or refers to. */
typedef struct measuring {
    const tare_bench_options *options;
    const tare_model *model;
    tare_bench_inputs inputs;
    tare_quantize_options placement;
    tare_range_method method;
    unsigned collect;
    tare_quantization q; /* calibration runs in its session */
    tare_calibration c;
    tare_session bare;     /* inference */
    tare_run_options mute; /* for what has been noted already */
    tare_bench_side inference, calibration;
    tare_report *report;
} measuring;

size_t tare_bench_place_count(const tare_session *session) {
    return 2 * tare_plan_step_count(session->plan) + 2;
}

/* ---- what is measured ---- */

static tare_status choose_statistics(measuring *m, tare_error *err) {
    const char *collect = m->options->collect;

    if (collect != NULL && m->options->method != NULL) {
        return tare_fail(err, TARE_INVALID_ARGUMENT,
                         "what is collected follows from the method '%s', or is said without one",
                         m->options->method);
    }
    if (collect == NULL) {
        TARE_TRY(tare_range_method_find(&m->method, m->options->method, err));
        m->collect = m->method.collect;
        return TARE_OK;
    }
    m->method.options.number = TARE_NNCF_PROBABILITY;
    return tare_collect_parse(&m->collect, collect, ',', err);
}

/* A sample is run again and again: it is never through. */
static tare_status leave_sample(void *user, const tare_turn *turn, tare_error *err) {
    (void)user;
    (void)turn;
    (void)err;
    return TARE_OK;
}

static const tare_bench_way *way_of(const tare_session *session) {
    return session->device == NULL ? &tare_bench_on_host : &tare_bench_on_device;
}

/* ---- setting up calibration ---- */

static tare_status place(measuring *m, tare_error *err) {
    const tare_feed *feed = &m->inputs.feed;
    m->q.collect = m->collect;
    m->q.quantile = m->method.options.number;
    return m->options->collect == NULL
               ? tare_quantization_place(&m->q, m->model, feed->shapes, feed->shape_count,
                                         &m->placement, err)
               : tare_quantization_watch(&m->q, m->model, feed->shapes, feed->shape_count,
                                         &m->placement, err);
}

static tare_status plan_calibration(measuring *m, tare_error *err) {
    tare_calibration_size size = {.samples = m->inputs.feed.count};

    TARE_TRY(place(m, err));
    /* Both sides have to fit at once. */
    m->q.session.facts.free_bytes /= 2;
    size.spec = tare_calibration_spec(&m->q);
    TARE_TRY(tare_calibration_plan(&m->q, &m->inputs.feed, &size, &m->options->run, err));
    /* Every thread of the CPU has a sample of its own in the state. */
    if ((uint64_t)m->q.session.threads > size.samples) {
        size.samples = (uint64_t)m->q.session.threads;
    }
    TARE_TRY(tare_state_new(&m->c.state, &size.spec, size.samples, err));
    m->c.q = &m->q;
    TARE_TRY(tare_calibration_begin(&m->calibration.job, &m->c, err));
    m->calibration.job.done = leave_sample;
    return TARE_OK;
}

static tare_status open_calibration(measuring *m, tare_error *err) {
    tare_bench_side *side = &m->calibration;
    double start = tare_job_clock();

    side->name = "calibration";
    side->session = &m->q.session;
    side->inputs = &m->inputs;
    TARE_TRY(tare_session_open(side->session, &m->options->run, err));
    side->open_seconds = tare_job_clock() - start;
    TARE_TRY(tare_bench_inputs_load(&m->inputs, side->session->device != NULL, err));
    start = tare_job_clock();
    TARE_TRY(plan_calibration(m, err));
    side->plan_seconds = tare_job_clock() - start;
    side->way = way_of(side->session);
    return side->way->open(&side->state, side, err);
}

/* ---- setting up inference ---- */

/* BatchNormalization goes into the layers before it, as calibration has it and as anybody would who
 * wants speed; the batch is calibration's. */
static tare_status plan_inference(measuring *m, tare_error *err) {
    const tare_session *other = &m->q.session;
    tare_feed *feed = &m->inputs.feed;
    tare_session_limits limits = {.threads = other->threads,
                                  .memory_bytes = m->options->run.memory_bytes,
                                  .batch = other->samples_per_run};
    size_t folded;

    TARE_TRY(tare_session_bind(&m->bare, &m->model->graph, feed->shapes, feed->shape_count, err));
    TARE_TRY(tare_pass_fold_batch_norm(&folded, &m->bare.graph, NULL, err));
    TARE_TRY(tare_job_measure(&limits, &m->bare, feed, &m->mute, err));
    TARE_TRY(tare_session_plan(&m->bare, &limits, err));
    if (m->bare.samples_per_run != other->samples_per_run || m->bare.threads != other->threads) {
        return tare_fail(err, TARE_OUT_OF_MEMORY,
                         "calibration runs %lld samples at once with %d threads, but there is no "
                         "memory left for as many of inference",
                         (long long)other->samples_per_run, other->threads);
    }
    return TARE_OK;
}

static tare_status open_inference(measuring *m, tare_error *err) {
    tare_bench_side *side = &m->inference;
    double start = tare_job_clock();

    side->name = "inference";
    side->session = &m->bare;
    side->inputs = &m->inputs;
    side->job = (tare_job){.stage = "bench", .done = leave_sample};
    TARE_TRY(tare_session_open(side->session, &m->mute, err));
    side->open_seconds = tare_job_clock() - start;
    start = tare_job_clock();
    TARE_TRY(tare_model_blame(m->model, plan_inference(m, err), err));
    side->plan_seconds = tare_job_clock() - start;
    side->way = way_of(side->session);
    return side->way->open(&side->state, side, err);
}

/* ---- measuring ---- */

static tare_status tell_progress(const measuring *m, size_t done, double start, tare_error *err) {
    const tare_run_options *run = &m->options->run;
    const tare_progress progress = {.stage = "bench",
                                    .done = done,
                                    .total = TARE_BENCH_REPETITIONS,
                                    .seconds = tare_job_clock() - start};
    if (run->progress == NULL || run->progress(run->user, &progress)) {
        return TARE_OK;
    }
    return tare_fail(err, TARE_CANCELLED, "cancelled after %zu of %d repetitions", done,
                     TARE_BENCH_REPETITIONS);
}

/* Both sides in turns, so that whatever the machine does besides hits both. */
static tare_status measure(measuring *m, tare_error *err) {
    tare_bench_side *const sides[] = {&m->inference, &m->calibration};
    const double each = m->options->seconds / TARE_BENCH_REPETITIONS;
    const double start = tare_job_clock();
    double warm;

    for (size_t i = 0; i < 2; i++) {
        TARE_TRY(sides[i]->way->round(&warm, sides[i]->state, 2 * each, err));
    }
    for (size_t done = 0; done < TARE_BENCH_REPETITIONS; done++) {
        TARE_TRY(tell_progress(m, done, start, err));
        if (done >= FEWEST_REPETITIONS && tare_job_clock() - start > 4 * m->options->seconds) {
            break;
        }
        for (size_t i = 0; i < 2; i++) {
            double *rate = &sides[i]->rates[sides[i]->rate_count];
            TARE_TRY(sides[i]->way->round(rate, sides[i]->state, each, err));
            sides[i]->rate_count++;
        }
    }
    return TARE_OK;
}

static tare_status time_layers(tare_bench_side *side, double seconds, tare_error *err) {
    const size_t count = tare_bench_place_count(side->session);
    side->places = calloc(count, sizeof *side->places);
    if (side->places == NULL) {
        return tare_fail_memory(err, count * sizeof *side->places, "times");
    }
    return side->way->time(side->places, side->state,
                           seconds < LONGEST_STEP_TIMING ? seconds : LONGEST_STEP_TIMING, err);
}

static uint64_t peak_bytes(void) {
    struct rusage usage;
    return getrusage(RUSAGE_SELF, &usage) == 0 ? (uint64_t)usage.ru_maxrss * 1024 : 0;
}

/* What has been taken since the first of the two sessions was opened. */
static uint64_t used_bytes(const tare_session *session, uint64_t free_before) {
    tare_device_facts now;
    if (session->device == NULL) {
        return 0;
    }
    session->backend->device->facts(&now, session->device);
    return now.free_bytes < free_before ? free_before - now.free_bytes : 0;
}

static tare_status bench(measuring *m, const tare_dataset *dataset, tare_error *err) {
    const tare_run_options *run = &m->options->run;
    tare_bench_facts facts = {.inference = &m->inference,
                              .calibration = &m->calibration,
                              .q = &m->q,
                              .statistics = m->options->collect == NULL ? m->method.text
                                                                        : m->options->collect,
                              .synthetic = dataset == NULL};
    uint64_t free_before;

    TARE_TRY(tare_bench_inputs_open(&m->inputs, m->model, dataset, run, err));
    TARE_TRY(open_calibration(m, err));
    free_before = m->q.session.facts.free_bytes * 2;
    TARE_TRY(open_inference(m, err));
    TARE_TRY(measure(m, err));
    facts.host_peak_bytes = peak_bytes();
    facts.device_used_bytes = used_bytes(&m->bare, free_before);
    if (m->options->layers) {
        TARE_TRY(time_layers(&m->inference, m->options->seconds, err));
        TARE_TRY(time_layers(&m->calibration, m->options->seconds, err));
    }
    return tare_bench_describe(m->report, &facts, err);
}

static void release(measuring *m) {
    tare_bench_side *const sides[] = {&m->inference, &m->calibration};
    for (size_t i = 0; i < 2; i++) {
        if (sides[i]->way != NULL) {
            sides[i]->way->close(sides[i]->state);
        }
        free(sides[i]->places);
    }
    tare_calibration_release(&m->c);
    tare_session_release(&m->bare);
    tare_quantization_release(&m->q);
    tare_bench_inputs_close(&m->inputs);
}

TARE_API tare_status tare_bench(tare_report **report, const tare_model *model,
                                const tare_dataset *dataset, const tare_bench_options *options,
                                tare_error *err) {
    measuring m = {.options = options, .model = model, .mute = options->run};
    tare_status status;

    *report = NULL;
    m.mute.note = NULL;
    tare_quantize_options_init(&m.placement);
    m.placement.run = options->run;
    m.placement.target = options->target;
    tare_session_init(&m.bare);
    TARE_TRY_DONE(status, tare_quantization_init(&m.q, &m.placement, err));
    if (!(options->seconds >= 0.0)) {
        status =
            tare_fail(err, TARE_INVALID_ARGUMENT, "measuring for %g seconds", options->seconds);
        goto done;
    }
    TARE_TRY_DONE(status, choose_statistics(&m, err));
    TARE_TRY_DONE(status, tare_report_new(&m.report, err));
    status = bench(&m, dataset, err);
    if (status == TARE_OK) {
        *report = m.report;
        m.report = NULL;
    }
done:
    release(&m);
    tare_report_free(m.report);
    return status;
}
