/* SPDX-License-Identifier: Apache-2.0 */
/** How many samples a device may run at once. */
#include "batching.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

#define LARGEST_BATCH 64
/* Samples that the check runs together. */
#define CHECKED       3
/* Relative to a tensor's range: what another order of additions may change. */
#define TOLERANCE     1e-5F

typedef struct extremes {
    float min, max;
} extremes;

/* Ranges of every watched value and sample of a run of all samples, or of one. */
typedef struct check {
    tare_session *session;
    const bool *watched;
    size_t values;    /* of the graph of one sample */
    extremes *joined; /* [values][samples] */
    size_t samples;
    size_t sample;         /* the one that runs alone; `samples`: all run together */
    const char *different; /* name of the first value that differs */
} check;

static tare_status reduce_part(extremes *out, const check *c, const tare_desc *desc,
                               const void *data, tare_error *err) {
    const tare_reduce_request request = {.desc = desc, .data = data};
    tare_reduce_record record;
    TARE_TRY(c->session->host->reduce(&record, &request, err));
    *out = (extremes){record.min, record.max};
    return TARE_OK;
}

/* Ranges of nothing are infinite, and equal. */
static bool are_close(extremes a, extremes b) {
    const float scale = fmaxf(fabsf(a.min), fabsf(a.max)) * TOLERANCE;
    if (!isfinite(scale) || !isfinite(b.min) || !isfinite(b.max)) {
        return a.min == b.min && a.max == b.max;
    }
    return fabsf(a.min - b.min) <= scale && fabsf(a.max - b.max) <= scale;
}

static tare_status look_at(void *user, size_t value_id, const tare_desc *desc, const void *data,
                           tare_error *err) {
    check *c = user;
    extremes *rows = &c->joined[value_id * c->samples];
    tare_desc part = *desc;
    extremes alone;

    if (desc->dtype != TARE_DTYPE_FLOAT || value_id >= c->values) {
        return TARE_OK;
    }
    if (c->sample < c->samples) {
        TARE_TRY(reduce_part(&alone, c, desc, data, err));
        if (c->different == NULL && !are_close(alone, rows[c->sample])) {
            c->different = c->session->graph.values[value_id]->name;
        }
        return TARE_OK;
    }
    part.dims[0] /= (int64_t)c->samples;
    for (size_t s = 0; s < c->samples; s++) {
        TARE_TRY(
            reduce_part(&rows[s], c, &part, (const char *)data + s * tare_desc_bytes(&part), err));
    }
    return TARE_OK;
}

static tare_status run_graph(check *c, tare_graph *graph, const void *const *inputs,
                             tare_error *err) {
    const tare_watch watch = {.value = look_at, .user = c};
    bool *watched = calloc(graph->value_count + 1, sizeof *watched);
    const tare_plan_options options = {.watched = watched,
                                       .threads_per_run = tare_processor_count()};
    tare_execution *execution = NULL;
    tare_plan *plan = NULL;
    tare_status status;

    if (watched == NULL) {
        return tare_fail_memory(err, graph->value_count, "watched tensors");
    }
    if (c->watched != NULL) {
        memcpy(watched, c->watched, c->values * sizeof *watched);
    }
    for (size_t i = 0; i < graph->output_count; i++) {
        watched[graph->outputs[i]->id] = graph->outputs[i]->constant == NULL;
    }
    TARE_TRY_DONE(status, tare_plan_build(&plan, graph, c->session->host, &options, err));
    TARE_TRY_DONE(status, tare_execution_new(&execution, plan, err));
    if (c->sample == c->samples) {
        TARE_TRY_DONE(status, tare_execution_run(execution, inputs, &watch, err));
        goto done;
    }
    for (c->sample = 0; c->sample < c->samples; c->sample++) {
        TARE_TRY_DONE(status, tare_execution_run(execution, inputs + c->sample * graph->input_count,
                                                 &watch, err));
    }
done:
    tare_execution_free(execution);
    tare_plan_free(plan);
    free(watched);
    return status;
}

/* ---- samples ---- */

/* Arrays of the first samples that load, joined along axis 0. */
typedef struct joined_inputs {
    void **arrays;        /* [inputs] */
    const void **singles; /* [samples][inputs], into arrays */
    size_t inputs, count; /* count: samples that are there */
} joined_inputs;

/* A graph for a few samples that is to be trusted or not. */
typedef struct trial {
    tare_batch batch;
    size_t samples;
} trial;

static void release_inputs(joined_inputs *joined) {
    for (size_t i = 0; joined->arrays != NULL && i < joined->inputs; i++) {
        free(joined->arrays[i]);
    }
    free(joined->arrays);
    free(joined->singles);
}

static tare_status join_sample(joined_inputs *joined, const tare_session *session,
                               const tare_feed *feed, const tare_sample *sample, size_t samples,
                               tare_error *err) {
    for (size_t i = 0; i < joined->inputs; i++) {
        const tare_value *input = session->graph.inputs[i];
        tare_array expected = {.element = (tare_element)input->dtype, .rank = (size_t)input->rank};
        const tare_array *array;
        char *to;
        if (input->constant != NULL) {
            continue;
        }
        for (int k = 0; k < input->rank; k++) {
            expected.dims[k] = (size_t)input->dims[k];
        }
        array = tare_feed_input(sample, input->name, feed->shape_count);
        TARE_TRY(tare_feed_check(array, &expected, input->name, err));
        if (joined->arrays[i] == NULL) {
            joined->arrays[i] = malloc(array->bytes * samples + 1);
        }
        if (joined->arrays[i] == NULL) {
            return tare_fail_memory(err, array->bytes * samples, "samples");
        }
        to = (char *)joined->arrays[i] + joined->count * array->bytes;
        memcpy(to, array->data, array->bytes);
        joined->singles[joined->count * joined->inputs + i] = to;
    }
    joined->count++;
    return TARE_OK;
}

/* A sample that does not load is left for the run to report. */
static tare_status load_samples(joined_inputs *joined, size_t wanted, const tare_session *session,
                                const tare_feed *feed, tare_error *err) {
    tare_source_scratch scratch = {0};
    tare_sample sample = {0};
    tare_status status = TARE_OK;

    joined->inputs = session->graph.input_count;
    joined->arrays = calloc(joined->inputs + 1, sizeof *joined->arrays);
    joined->singles = calloc(wanted * joined->inputs + 1, sizeof *joined->singles);
    if (joined->arrays == NULL || joined->singles == NULL) {
        return tare_fail_memory(err, joined->inputs * sizeof *joined->arrays, "samples");
    }
    for (size_t i = 0; i < feed->count && joined->count < wanted && status == TARE_OK; i++) {
        const size_t index = feed->order == NULL ? i : feed->order[i];
        if (tare_samples_load(&sample, feed->samples, index, &scratch, NULL) != TARE_OK) {
            continue;
        }
        status = join_sample(joined, session, feed, &sample, wanted, err);
        if (status != TARE_OK) {
            tare_error_prepend(err, "sample '%s': ", sample.name);
        }
    }
    tare_sample_release(&sample);
    tare_preprocess_scratch_release(&scratch);
    return status;
}

/* *different: the name of a tensor that is not what it is for single samples, or NULL. */
static tare_status check_batch(const char **different, tare_session *session,
                               const tare_session_limits *limits, trial *made,
                               const joined_inputs *joined, tare_error *err) {
    check c = {.session = session,
               .watched = limits->watched,
               .values = session->graph.value_count,
               .samples = made->samples,
               .sample = made->samples};
    tare_status status;

    c.joined = calloc(c.values * c.samples + 1, sizeof *c.joined);
    if (c.joined == NULL) {
        return tare_fail_memory(err, c.values * c.samples * sizeof *c.joined, "ranges");
    }
    TARE_TRY_DONE(status,
                  run_graph(&c, &made->batch.graph, (const void *const *)joined->arrays, err));
    c.sample = 0;
    status = run_graph(&c, &session->graph, joined->singles, err);
    *different = c.different;
done:
    free(c.joined);
    return status;
}

/* ---- choosing ---- */

/* Whether the model itself says that it takes any number of samples. */
static bool is_open(const tare_session *session) {
    for (size_t i = 0; i < session->graph.input_count; i++) {
        const tare_value *input = session->graph.inputs[i];
        if (input->constant == NULL && (input->rank < 1 || input->dim_names[0] == NULL)) {
            return false;
        }
    }
    return true;
}

/* The name of something in the results that does not consist of parts of samples, or NULL. */
static const char *shared_result(const tare_session *session, const tare_session_limits *limits,
                                 const tare_batch *batch) {
    const tare_graph *graph = &session->graph;
    for (size_t i = 0; i < graph->output_count && limits->wants_outputs; i++) {
        if (batch->axis[graph->outputs[i]->id] != 0) {
            return graph->outputs[i]->name;
        }
    }
    for (size_t i = 0; i < graph->value_count && limits->watched != NULL; i++) {
        if (limits->watched[i] && graph->values[i]->constant == NULL && batch->axis[i] != 0) {
            return graph->values[i]->name;
        }
    }
    return NULL;
}

static int64_t wanted_batch(const tare_feed *feed, const tare_run_options *run) {
    int64_t batch = 1;
    if (run->batch > 0) {
        return run->batch < feed->count ? (int64_t)run->batch : (int64_t)feed->count;
    }
    while (batch < LARGEST_BATCH && (uint64_t)batch * 2 <= feed->count) {
        batch *= 2;
    }
    return batch;
}

/* Runs the samples of a batch together and one by one. */
static tare_status compare(tare_text *reason, tare_session *session, const tare_feed *feed,
                           const tare_session_limits *limits, trial *made, tare_error *err) {
    joined_inputs joined = {0};
    const char *different = NULL;
    tare_status status;

    TARE_TRY_DONE(status, load_samples(&joined, made->samples, session, feed, err));
    if (joined.count < made->samples) {
        tare_text_add(reason, "%zu of %zu samples that were to be compared load", joined.count,
                      made->samples);
        goto done;
    }
    TARE_TRY_DONE(status, check_batch(&different, session, limits, made, &joined, err));
    if (different != NULL) {
        tare_text_add(reason, "together they change tensor '%s'", different);
    }
done:
    release_inputs(&joined);
    return status;
}

/* Proves and, where that is asked for, checks. `reason` says why there are no batches, or stays
 * empty. */
static tare_status prove(tare_text *reason, tare_session *session, const tare_feed *feed,
                         const tare_session_limits *limits, tare_error *err) {
    trial made = {.samples = feed->count < CHECKED ? feed->count : CHECKED};
    tare_error why = {TARE_OK, ""};
    const char *shared;
    tare_status status;

    tare_batch_init(&made.batch);
    status =
        tare_pass_batch(&made.batch, &session->graph, session->host, (int64_t)made.samples, &why);
    if (status == TARE_UNSUPPORTED) {
        tare_text_add(reason, "%s", why.text);
        return TARE_OK;
    }
    if (status != TARE_OK) {
        return tare_fail(err, status, "%s", why.text);
    }
    shared = shared_result(session, limits, &made.batch);
    if (shared != NULL) {
        tare_text_add(reason, "the samples of tensor '%s' are not parts of its axis 0", shared);
    } else if (!is_open(session) || made.batch.rewritten > 0) {
        status = compare(reason, session, feed, limits, &made, err);
    }
    tare_batch_release(&made.batch);
    return status;
}

tare_status tare_batching_choose(tare_session_limits *limits, tare_session *session,
                                 const tare_feed *feed, const tare_run_options *run,
                                 tare_error *err) {
    const int64_t batch = wanted_batch(feed, run);
    tare_text reason = {0};
    tare_status status;

    limits->batch = 1;
    if (session->device == NULL || batch < 2 || session->repeat > 1) {
        return TARE_OK;
    }
    status = prove(&reason, session, feed, limits, err);
    if (status == TARE_OK && reason.length > 0) {
        tare_note(run, "samples run one by one: %s", reason.data);
    } else if (status == TARE_OK) {
        limits->batch = batch;
    }
    tare_text_release(&reason);
    return status;
}
