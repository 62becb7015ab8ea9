/* SPDX-License-Identifier: Apache-2.0 */
/** Public API: running a model on every sample of a dataset, outputs joined in the order of the
 * samples. */
#include <pthread.h>
#include <string.h>

#include "batching.h"
#include "job.h"
#include "outcome.h"

typedef struct join_job {
    const tare_model *model;
    const tare_session *session;
    tare_outcome *outcome;
    size_t count;
    size_t *bytes;        /* per output: of one sample's part */
    unsigned char *ready; /* per sample */
    pthread_mutex_t lock; /* of the first allocation */
    bool reserved;
} join_job;

/* Of a batch that repeats one sample only the first part counts; one of several has a part of each.
 */
static tare_status one_sample(tare_desc *desc, const join_job *job, size_t output,
                              tare_error *err) {
    const int64_t batch = job->session->samples_per_run;
    const int64_t repeat = job->session->repeat;
    if (repeat > 1 && (desc->rank < 1 || desc->dims[0] % repeat != 0)) {
        return tare_fail(err, TARE_UNSUPPORTED,
                         "output '%s' does not begin with the batch of %lld that the model fixes, "
                         "so it cannot be "
                         "told which part belongs to which sample",
                         job->session->graph.outputs[output]->name, (long long)repeat);
    }
    if (repeat > 1 || batch > 1) {
        desc->dims[0] /= repeat > 1 ? repeat : batch;
    }
    return TARE_OK;
}

static tare_status reserve_outputs(join_job *job, const tare_execution *execution,
                                   tare_error *err) {
    tare_status status = TARE_OK;
    (void)pthread_mutex_lock(&job->lock);
    for (size_t i = 0; i < job->outcome->count && !job->reserved && status == TARE_OK; i++) {
        tare_desc desc;
        (void)tare_execution_output(execution, i, &desc);
        status = one_sample(&desc, job, i, err);
        if (status == TARE_OK) {
            job->bytes[i] = tare_desc_bytes(&desc);
            status = tare_outcome_reserve(job->outcome, i, &desc, job->count, err);
        }
    }
    job->reserved = job->reserved || status == TARE_OK;
    (void)pthread_mutex_unlock(&job->lock);
    return status;
}

static tare_status join_sample(void *user, const tare_turn *turn, tare_error *err) {
    join_job *job = user;
    TARE_TRY(reserve_outputs(job, turn->execution, err));
    for (size_t i = 0; i < job->outcome->count; i++) {
        unsigned char *to = tare_tensor_elements(&job->outcome->tensors[i]);
        const unsigned char *from = tare_execution_output(turn->execution, i, NULL);
        memcpy(to + turn->sample * job->bytes[i], from + turn->part * job->bytes[i], job->bytes[i]);
    }
    job->ready[turn->sample] = 1;
    return TARE_OK;
}

/* Skipped samples leave gaps: the others move together. */
static void close_gaps(join_job *job, size_t done) {
    for (size_t i = 0; i < job->outcome->count; i++) {
        tare_tensor *tensor = &job->outcome->tensors[i];
        unsigned char *data = tare_tensor_elements(tensor);
        size_t to = 0;
        for (size_t s = 0; s < job->count; s++) {
            if (job->ready[s]) {
                memmove(data + to * job->bytes[i], data + s * job->bytes[i], job->bytes[i]);
                to++;
            }
        }
        tensor->dims[0] = tensor->dims[0] / (int64_t)job->count * (int64_t)done;
    }
}

static tare_status run_all(join_job *job, tare_session *session, tare_feed *feed,
                           const tare_run_options *options, tare_error *err) {
    const tare_job what = {.stage = "run", .user = job, .done = join_sample, .reads_outputs = true};
    tare_session_limits limits = {.threads = tare_wanted_threads(options),
                                  .memory_bytes = options->memory_bytes,
                                  .wants_outputs = true};
    tare_run_summary summary;
    uint64_t joined;

    TARE_TRY(tare_job_measure(&limits, session, feed, options, err));
    TARE_TRY(tare_batching_choose(&limits, session, feed, options, err));
    TARE_TRY(tare_outcome_measure(&joined, &session->graph, session->repeat, job->count, err));
    limits.fixed_bytes += joined;
    TARE_TRY(tare_model_blame(job->model, tare_session_plan(session, &limits, err), err));
    TARE_TRY(tare_job_run(&summary, session, feed, &what, options, err));
    if (summary.samples < job->count) {
        close_gaps(job, summary.samples);
    }
    return TARE_OK;
}

TARE_API tare_status tare_model_run_dataset(tare_outcome **out, const tare_model *model,
                                            const tare_dataset *dataset,
                                            const tare_run_options *options, tare_error *err) {
    tare_arena arena = {0};
    tare_session session;
    tare_feed feed = {0};
    join_job job = {.model = model, .session = &session};
    bool has_lock = false;
    tare_status status;

    *out = NULL;
    tare_session_init(&session);
    TARE_TRY_DONE(status, tare_session_open(&session, options, err));
    TARE_TRY_DONE(status, tare_feed_open(&feed, dataset, &model->graph, UINT64_MAX, options, err));
    status = tare_session_bind(&session, &model->graph, feed.shapes, feed.shape_count, err);
    TARE_TRY_DONE(status, tare_model_blame(model, status, err));
    TARE_TRY_DONE(status, tare_outcome_new(out, &session.graph, err));
    job.outcome = *out;
    job.count = feed.count;
    job.bytes = tare_arena_array(&arena, session.graph.output_count, sizeof *job.bytes);
    job.ready = tare_arena_alloc(&arena, feed.count);
    has_lock = pthread_mutex_init(&job.lock, NULL) == 0;
    if (job.bytes == NULL || job.ready == NULL || !has_lock) {
        status = tare_fail_memory(err, feed.count, "the outputs");
        goto done;
    }
    TARE_TRY_DONE(status, run_all(&job, &session, &feed, options, err));
done:
    if (status != TARE_OK) {
        tare_outcome_free(*out);
        *out = NULL;
    }
    if (has_lock) {
        (void)pthread_mutex_destroy(&job.lock);
    }
    tare_feed_close(&feed);
    tare_session_release(&session);
    tare_arena_release(&arena);
    return status;
}
