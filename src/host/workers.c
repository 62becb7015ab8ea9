/* SPDX-License-Identifier: Apache-2.0 */
/** Running a planned session over all samples of a feed. */
#include "workers.h"

#include <pthread.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#define PROGRESS_NANOSECONDS 100000000L

/* What all workers of one run share. */
typedef struct worker_pool {
    const tare_session *session;
    const tare_feed *feed;
    const tare_job *job;
    tare_prefetch *prefetch;
    size_t inputs; /* that must be fed */
    pthread_mutex_t lock;
    pthread_cond_t changed;
    size_t done, running; /* samples through; workers alive */
    size_t paused;        /* of these, waiting between two samples */
    bool pause, stop;
    size_t failed_sample; /* of the error below */
    tare_status status;
    tare_error error;
} worker_pool;

typedef struct worker {
    worker_pool *pool;
    pthread_t thread;
    bool started;
    tare_turn turn;
    tare_execution *execution;
    const void **inputs;
    unsigned char **batches; /* per graph input: room for repeated samples, or NULL */
} worker;

static size_t loading_threads(int threads) {
    return threads > 64 ? 64 : (size_t)threads;
}

static tare_prefetch_options prefetch_options(const tare_feed *feed, int threads,
                                              const tare_run_options *options) {
    tare_prefetch_options prefetch = tare_feed_prefetch(feed, options);
    prefetch.threads = loading_threads(threads);
    prefetch.slots = (size_t)threads * 2 + 2;
    return prefetch;
}

tare_status tare_workers_data_bytes(uint64_t *bytes, tare_feed *feed, int threads,
                                    const tare_run_options *options, tare_error *err) {
    tare_prefetch_options prefetch = prefetch_options(feed, threads, options);
    size_t measured, sample;
    TARE_TRY(tare_feed_measure(&measured, &sample, feed, &prefetch, err));
    *bytes = measured;
    return TARE_OK;
}

/* Remembers the error of the smallest sample and lets everybody stop. */
static void report_failure(worker_pool *pool, size_t sample, tare_status status,
                           const tare_error *error) {
    (void)pthread_mutex_lock(&pool->lock);
    if (pool->status == TARE_OK || sample < pool->failed_sample) {
        pool->status = status;
        pool->error = *error;
        pool->failed_sample = sample;
    }
    pool->stop = true;
    (void)pthread_cond_broadcast(&pool->changed);
    (void)pthread_mutex_unlock(&pool->lock);
}

/* The array as the model wants it: the same shape as the first sample's, repeated where the model
 * fixes a batch. */
static tare_status feed_input(worker *self, size_t index, const tare_array *array,
                              tare_error *err) {
    const tare_value *input = self->pool->session->graph.inputs[index];
    const int64_t repeat = self->pool->session->repeat;
    tare_array expected = {.element = (tare_element)input->dtype, .rank = (size_t)input->rank};
    bool repeated;

    for (int i = 0; i < input->rank; i++) {
        expected.dims[i] = (size_t)input->dims[i];
    }
    repeated = repeat > 1 && input->rank > 0 && input->dims[0] == repeat && array != NULL &&
               array->rank > 0 && array->dims[0] == 1;
    if (repeated) {
        expected.dims[0] = 1;
    }
    TARE_TRY(tare_feed_check(array, &expected, input->name, err));
    self->inputs[index] = array->data;
    if (repeated) {
        for (int64_t i = 0; i < repeat; i++) {
            memcpy(self->batches[index] + (size_t)i * array->bytes, array->data, array->bytes);
        }
        self->inputs[index] = self->batches[index];
    }
    return TARE_OK;
}

static tare_status pass_value(void *user, size_t value_id, const tare_desc *desc, const void *data,
                              tare_error *err) {
    worker *self = user;
    const tare_job *job = self->pool->job;
    return job->value(job->user, &self->turn, value_id, desc, data, err);
}

static tare_status run_sample(worker *self, const tare_sample *sample, tare_error *err) {
    worker_pool *pool = self->pool;
    const tare_graph *graph = &pool->session->graph;
    const tare_watch watch = {.value = pass_value, .user = self};

    for (size_t i = 0; i < graph->input_count; i++) {
        if (graph->inputs[i]->constant == NULL) {
            TARE_TRY(feed_input(
                self, i, tare_feed_input(sample, graph->inputs[i]->name, pool->inputs), err));
        }
    }
    TARE_TRY(tare_execution_run(self->execution, self->inputs,
                                pool->job->value == NULL ? NULL : &watch, err));
    return pool->job->done(pool->job->user, &self->turn, err);
}

/* Waits while there is a pause; false when it is time to stop. */
static bool goes_on(worker_pool *pool) {
    bool stop;
    (void)pthread_mutex_lock(&pool->lock);
    while (pool->pause && !pool->stop) {
        pool->paused++;
        (void)pthread_cond_broadcast(&pool->changed);
        (void)pthread_cond_wait(&pool->changed, &pool->lock);
        pool->paused--;
    }
    stop = pool->stop;
    (void)pthread_mutex_unlock(&pool->lock);
    return !stop;
}

static void *work(void *argument) {
    worker *self = argument;
    worker_pool *pool = self->pool;
    tare_sample *sample = NULL;
    tare_error error = {TARE_OK, ""};

    pool->session->backend->thread_begin(pool->session->threads_per_run);
    while (goes_on(pool)) {
        size_t position = SIZE_MAX;
        tare_status status = tare_prefetch_next(pool->prefetch, &sample, &position, &error);
        if (status != TARE_OK) {
            /* Loading fails in order: every sample before this one has been handed out already. */
            report_failure(pool, SIZE_MAX, status, &error);
            break;
        }
        if (sample == NULL) {
            break;
        }
        self->turn.sample = position;
        self->turn.id = sample->id;
        self->turn.name = sample->name;
        status = run_sample(self, sample, &error);
        if (status != TARE_OK) {
            tare_error_prepend(&error, "sample '%s': ", sample->name);
            report_failure(pool, position, status, &error);
        }
        tare_prefetch_return(pool->prefetch, sample);
        (void)pthread_mutex_lock(&pool->lock);
        pool->done++;
        (void)pthread_cond_broadcast(&pool->changed);
        (void)pthread_mutex_unlock(&pool->lock);
    }
    (void)pthread_mutex_lock(&pool->lock);
    pool->running--;
    (void)pthread_cond_broadcast(&pool->changed);
    (void)pthread_mutex_unlock(&pool->lock);
    return NULL;
}

static tare_status prepare_worker(worker *self, worker_pool *pool, size_t lane, tare_error *err) {
    const tare_session *session = pool->session;
    const tare_graph *graph = &session->graph;

    self->pool = pool;
    TARE_TRY(tare_execution_new(&self->execution, session->plan, err));
    self->turn = (tare_turn){.lane = lane, .execution = self->execution};
    self->inputs = calloc(graph->input_count + 1, sizeof *self->inputs);
    self->batches = calloc(graph->input_count + 1, sizeof *self->batches);
    if (self->inputs == NULL || self->batches == NULL) {
        return tare_fail_memory(err, graph->input_count * sizeof *self->inputs, "a worker");
    }
    for (size_t i = 0; i < graph->input_count && session->repeat > 1; i++) {
        size_t bytes = 0;
        if (graph->inputs[i]->constant == NULL &&
            tare_dims_bytes(&bytes, graph->inputs[i]->dtype, graph->inputs[i]->rank,
                            graph->inputs[i]->dims)) {
            self->batches[i] = malloc(bytes + 1);
            if (self->batches[i] == NULL) {
                return tare_fail_memory(err, bytes, "a batch");
            }
        }
    }
    return TARE_OK;
}

static void release_worker(worker *self, size_t inputs) {
    tare_execution_free(self->execution);
    for (size_t i = 0; self->batches != NULL && i < inputs; i++) {
        free(self->batches[i]);
    }
    free(self->batches);
    free(self->inputs);
}

static struct timespec deadline(void) {
    struct timespec time;
    (void)clock_gettime(CLOCK_REALTIME, &time);
    time.tv_nsec += PROGRESS_NANOSECONDS;
    if (time.tv_nsec >= 1000000000L) {
        time.tv_nsec -= 1000000000L;
        time.tv_sec++;
    }
    return time;
}

/* Under the lock: lets the job see everything at rest. */
static void pause_workers(worker_pool *pool) {
    pool->pause = true;
    while (pool->paused < pool->running && !pool->stop) {
        (void)pthread_cond_wait(&pool->changed, &pool->lock);
    }
    if (!pool->stop) {
        (void)pthread_mutex_unlock(&pool->lock);
        pool->job->pause(pool->job->user);
        (void)pthread_mutex_lock(&pool->lock);
    }
    pool->pause = false;
    (void)pthread_cond_broadcast(&pool->changed);
}

/* The calling thread only waits, tells how far things are, and makes pauses. */
static void wait_for_workers(worker_pool *pool, const tare_run_options *options, double start) {
    double told = 0.0, paused = start;
    (void)pthread_mutex_lock(&pool->lock);
    while (pool->running > 0) {
        const struct timespec until = deadline();
        (void)pthread_cond_timedwait(&pool->changed, &pool->lock, &until);
        if (pool->job->pause != NULL && !pool->stop && pool->running > 0 &&
            tare_job_clock() - paused >= pool->job->pause_seconds) {
            pause_workers(pool);
            paused = tare_job_clock();
        }
        if (options->progress != NULL && !pool->stop &&
            (tare_job_clock() - told > 0.1 || pool->running == 0)) {
            const tare_progress progress = {.stage = pool->job->stage,
                                            .done = pool->done,
                                            .total = pool->feed->count,
                                            .seconds = tare_job_clock() - start};
            bool go_on;
            told = tare_job_clock();
            (void)pthread_mutex_unlock(&pool->lock);
            go_on = options->progress(options->user, &progress);
            (void)pthread_mutex_lock(&pool->lock);
            if (!go_on) {
                pool->stop = true;
                pool->status =
                    tare_fail(&pool->error, TARE_CANCELLED, "cancelled after %zu of %zu samples",
                              pool->done, pool->feed->count);
            }
        }
    }
    (void)pthread_mutex_unlock(&pool->lock);
}

static tare_status start_workers(worker *workers, worker_pool *pool, size_t count,
                                 tare_error *err) {
    for (size_t i = 0; i < count; i++) {
        TARE_TRY(prepare_worker(&workers[i], pool, i, err));
    }
    for (size_t i = 0; i < count; i++) {
        (void)pthread_mutex_lock(&pool->lock);
        pool->running++;
        (void)pthread_mutex_unlock(&pool->lock);
        if (pthread_create(&workers[i].thread, NULL, work, &workers[i]) != 0) {
            (void)pthread_mutex_lock(&pool->lock);
            pool->running--;
            pool->stop = true;
            (void)pthread_mutex_unlock(&pool->lock);
            return tare_fail(err, TARE_INTERNAL, "thread %zu of %zu cannot be started", i + 1,
                             count);
        }
        workers[i].started = true;
    }
    return TARE_OK;
}

tare_status tare_workers_run(tare_run_summary *summary, const tare_session *session,
                             const tare_feed *feed, const tare_job *job,
                             const tare_run_options *options, tare_error *err) {
    const tare_prefetch_options prefetch = prefetch_options(feed, session->threads, options);
    const size_t count = (size_t)session->threads;
    worker_pool pool = {.session = session, .feed = feed, .job = job, .inputs = feed->shape_count};
    worker *workers = calloc(count, sizeof *workers);
    const double start = tare_job_clock();
    tare_status status;

    *summary = (tare_run_summary){0};
    if (workers == NULL) {
        return tare_fail_memory(err, count * sizeof *workers, "the workers");
    }
    if (pthread_mutex_init(&pool.lock, NULL) != 0) {
        free(workers);
        return tare_fail(err, TARE_INTERNAL, "a lock cannot be made");
    }
    if (pthread_cond_init(&pool.changed, NULL) != 0) {
        (void)pthread_mutex_destroy(&pool.lock);
        free(workers);
        return tare_fail(err, TARE_INTERNAL, "a condition cannot be made");
    }
    TARE_TRY_DONE(status, tare_prefetch_open(&pool.prefetch, feed->samples, &prefetch, err));
    status = start_workers(workers, &pool, count, err);
    wait_for_workers(&pool, options, start);
    for (size_t i = 0; i < count; i++) {
        if (workers[i].started) {
            (void)pthread_join(workers[i].thread, NULL);
        }
    }
    if (status == TARE_OK && pool.status != TARE_OK) {
        status = pool.status;
        if (err != NULL) {
            *err = pool.error;
        }
    }
    if (status == TARE_OK) {
        summary->skipped = tare_job_note_skipped(pool.prefetch, options);
        summary->samples = pool.done;
        summary->seconds = tare_job_clock() - start;
        if (summary->samples == 0) {
            status = tare_fail(err, TARE_INVALID_ARGUMENT, "none of %zu samples could be loaded",
                               feed->count);
        }
    }
done:
    for (size_t i = 0; i < count; i++) {
        release_worker(&workers[i], session->graph.input_count);
    }
    tare_prefetch_close(pool.prefetch);
    (void)pthread_cond_destroy(&pool.changed);
    (void)pthread_mutex_destroy(&pool.lock);
    free(workers);
    return status;
}
