/* SPDX-License-Identifier: Apache-2.0 */
/** Measuring on the CPU: one sample per thread at a time, as calibration runs them. */
#include <pthread.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <string.h>

#include "bench.h"

typedef struct host_worker {
    struct host_side *host;
    pthread_t thread;
    bool started;
    tare_turn turn;
    tare_execution *execution;
    size_t next;                 /* sample to run */
    double rate, sample_seconds; /* of the last round */
    double *places, last;        /* NULL: places are not timed */
    size_t timed;                /* samples in `places` */
    tare_status status;
    tare_error error;
} host_worker;

typedef struct host_side {
    tare_bench_side *side;
    const void **inputs; /* [samples][graph inputs] */
    void **repeated;     /* likewise: where a batch of copies was made, else NULL */
    host_worker *workers;
    size_t count;
    double seconds; /* of this round */
    bool times;
    atomic_size_t finished; /* workers that have measured */
    atomic_bool failed;
} host_side;

/* ---- samples ---- */

/* The array as the model takes it: repeated where the model fixes a batch. */
static tare_status place_input(host_side *host, size_t sample, size_t index, tare_error *err) {
    const tare_bench_inputs *inputs = host->side->inputs;
    const tare_session *session = host->side->session;
    const tare_value *input = session->graph.inputs[index];
    const size_t at = sample * session->graph.input_count + index;
    const tare_array *array =
        tare_feed_input(inputs->samples[sample], input->name, inputs->feed.shape_count);
    tare_array expected = {.element = (tare_element)input->dtype, .rank = (size_t)input->rank};
    size_t copies = 1;

    for (int i = 0; i < input->rank; i++) {
        expected.dims[i] = (size_t)input->dims[i];
    }
    if (session->repeat > 1 && input->rank > 0 && input->dims[0] == session->repeat) {
        copies = (size_t)session->repeat;
        expected.dims[0] = 1;
    }
    TARE_TRY(tare_feed_check(array, &expected, input->name, err));
    host->inputs[at] = array->data;
    if (copies > 1) {
        char *batch =
            array->bytes > SIZE_MAX / copies - 1 ? NULL : malloc(array->bytes * copies + 1);
        if (batch == NULL) {
            return tare_fail_memory(err, array->bytes * copies, "a batch");
        }
        for (size_t i = 0; i < copies; i++) {
            memcpy(batch + i * array->bytes, array->data, array->bytes);
        }
        host->inputs[at] = host->repeated[at] = batch;
    }
    return TARE_OK;
}

static tare_status place_inputs(host_side *host, tare_error *err) {
    const tare_graph *graph = &host->side->session->graph;
    const size_t samples = host->side->inputs->count;

    host->inputs = calloc(samples * graph->input_count + 1, sizeof *host->inputs);
    host->repeated = calloc(samples * graph->input_count + 1, sizeof *host->repeated);
    if (host->inputs == NULL || host->repeated == NULL) {
        return tare_fail_memory(err, samples * sizeof *host->inputs, "the inputs");
    }
    for (size_t s = 0; s < samples; s++) {
        for (size_t i = 0; i < graph->input_count; i++) {
            if (graph->inputs[i]->constant == NULL) {
                TARE_TRY(place_input(host, s, i, err));
            }
        }
    }
    return TARE_OK;
}

/* ---- running ---- */

static tare_status pass_value(void *user, size_t value_id, const tare_desc *desc, const void *data,
                              tare_error *err) {
    const host_worker *self = user;
    const tare_job *job = &self->host->side->job;
    return job->value(job->user, &self->turn, value_id, desc, data, err);
}

static tare_status pass_place(void *user, size_t place, tare_error *err) {
    host_worker *self = user;
    const double now = tare_job_clock();
    (void)err;
    if (place > 0) {
        self->places[place] += now - self->last;
    }
    self->last = now;
    return TARE_OK;
}

static tare_status run_sample(host_worker *self, tare_error *err) {
    const host_side *host = self->host;
    const tare_bench_inputs *inputs = host->side->inputs;
    const size_t sample = self->next++ % inputs->count;
    const tare_watch watch = {
        .value = pass_value, .passed = host->times ? pass_place : NULL, .user = self};
    const bool watches = host->side->job.value != NULL || host->times;
    tare_status status;

    self->turn.id = inputs->samples[sample]->id;
    self->turn.name = inputs->samples[sample]->name;
    status = tare_execution_run(self->execution,
                                host->inputs + sample * host->side->session->graph.input_count,
                                watches ? &watch : NULL, err);
    if (status == TARE_OK) {
        status = host->side->job.done(host->side->job.user, &self->turn, err);
    }
    if (status != TARE_OK) {
        tare_error_prepend(err, "sample '%s': ", self->turn.name);
    }
    return status;
}

/* Goes on until every thread has measured, so that nobody measures on a machine that is half
 * idle. What a thread does first takes longer, which matters where samples are short. */
static tare_status measure(host_worker *self, tare_error *err) {
    host_side *host = self->host;
    double start, seconds = 0.0;
    size_t count = 0;
    bool measured = false;

    if (self->sample_seconds < host->seconds) {
        TARE_TRY(run_sample(self, err));
    }
    if (self->places != NULL) {
        memset(self->places, 0, tare_bench_place_count(host->side->session) * sizeof *self->places);
    }
    start = tare_job_clock();
    while (!measured || atomic_load(&host->finished) < host->count) {
        TARE_TRY(run_sample(self, err));
        count++;
        seconds = tare_job_clock() - start;
        if (!measured && seconds >= host->seconds) {
            measured = true;
            self->rate = seconds > 0.0 ? (double)count / seconds : 0.0;
            self->sample_seconds = seconds / (double)count;
            (void)atomic_fetch_add(&host->finished, 1);
        }
        if (atomic_load(&host->failed)) {
            break;
        }
    }
    self->timed = count;
    return TARE_OK;
}

static void *work(void *argument) {
    host_worker *self = argument;
    const tare_session *session = self->host->side->session;

    session->backend->thread_begin(session->threads_per_run);
    self->status = measure(self, &self->error);
    if (self->status != TARE_OK) {
        atomic_store(&self->host->failed, true);
    }
    return NULL;
}

static tare_status run_workers(host_side *host, double seconds, tare_error *err) {
    tare_status status = TARE_OK;

    host->seconds = seconds;
    atomic_store(&host->finished, 0);
    atomic_store(&host->failed, false);
    for (size_t i = 0; i < host->count && status == TARE_OK; i++) {
        host_worker *worker = &host->workers[i];
        worker->started = pthread_create(&worker->thread, NULL, work, worker) == 0;
        if (!worker->started) {
            atomic_store(&host->failed, true);
            status = tare_fail(err, TARE_INTERNAL, "thread %zu of %zu cannot be started", i + 1,
                               host->count);
        }
    }
    for (size_t i = 0; i < host->count; i++) {
        host_worker *worker = &host->workers[i];
        if (worker->started) {
            (void)pthread_join(worker->thread, NULL);
            worker->started = false;
            if (status == TARE_OK && worker->status != TARE_OK) {
                status = worker->status;
                if (err != NULL) {
                    *err = worker->error;
                }
            }
        }
    }
    return status;
}

static tare_status run_round(double *rate, void *state, double seconds, tare_error *err) {
    host_side *host = state;
    TARE_TRY(run_workers(host, seconds, err));
    *rate = 0.0;
    for (size_t i = 0; i < host->count; i++) {
        *rate += host->workers[i].rate;
    }
    return TARE_OK;
}

static tare_status time_steps(double *places, void *state, double seconds, tare_error *err) {
    host_side *host = state;
    const size_t place_count = tare_bench_place_count(host->side->session);
    size_t samples = 0;
    tare_status status;

    for (size_t i = 0; i < host->count; i++) {
        host->workers[i].places = calloc(place_count, sizeof *places);
        if (host->workers[i].places == NULL) {
            status = tare_fail_memory(err, place_count * sizeof *places, "times");
            goto done;
        }
    }
    host->times = true;
    TARE_TRY_DONE(status, run_workers(host, seconds, err));
    for (size_t i = 0; i < host->count; i++) {
        samples += host->workers[i].timed;
        for (size_t k = 0; k < place_count; k++) {
            places[k] += host->workers[i].places[k];
        }
    }
    for (size_t k = 0; k < place_count; k++) {
        places[k] /= (double)samples;
    }
done:
    host->times = false;
    for (size_t i = 0; i < host->count; i++) {
        free(host->workers[i].places);
        host->workers[i].places = NULL;
    }
    return status;
}

/* ---- opening ---- */

static void close_side(void *state) {
    host_side *host = state;
    if (host == NULL) {
        return;
    }
    for (size_t i = 0; host->workers != NULL && i < host->count; i++) {
        tare_execution_free(host->workers[i].execution);
    }
    for (size_t i = 0; host->repeated != NULL &&
                       i < host->side->inputs->count * host->side->session->graph.input_count;
         i++) {
        free(host->repeated[i]);
    }
    free(host->workers);
    free(host->inputs);
    free(host->repeated);
    free(host);
}

static tare_status open_side(void **state, tare_bench_side *side, tare_error *err) {
    host_side *host = calloc(1, sizeof *host);
    const double start = tare_job_clock();

    *state = host;
    if (host == NULL) {
        return tare_fail_memory(err, sizeof *host, "a measurement");
    }
    host->side = side;
    TARE_TRY(place_inputs(host, err));
    host->workers = calloc((size_t)side->session->threads, sizeof *host->workers);
    if (host->workers == NULL) {
        return tare_fail_memory(err, sizeof *host->workers, "the workers");
    }
    host->count = (size_t)side->session->threads;
    for (size_t i = 0; i < host->count; i++) {
        host_worker *worker = &host->workers[i];
        /* A lane has a place in the state to itself; what is in it does not matter. */
        *worker = (host_worker){.host = host, .next = i};
        TARE_TRY(tare_execution_new(&worker->execution, side->session->plan, err));
        worker->turn = (tare_turn){.lane = i, .sample = i, .execution = worker->execution};
    }
    side->session->backend->thread_begin(side->session->threads_per_run);
    TARE_TRY(run_sample(&host->workers[0], err));
    side->first_seconds = tare_job_clock() - start;
    return TARE_OK;
}

const tare_bench_way tare_bench_on_host = {
    .open = open_side, .round = run_round, .time = time_steps, .close = close_side};
