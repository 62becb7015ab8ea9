/* SPDX-License-Identifier: Apache-2.0 */
/** A model made ready to run: binding, and planning in host memory. */
#include "session.h"

#include <string.h>
#include <unistd.h>

#include "pass/infer.h"
#include "session_device.h"

void tare_session_init(tare_session *session) {
    *session = (tare_session){.host = tare_backends[0],
                              .backend = tare_backends[0],
                              .samples_per_run = 1,
                              .threads = 1,
                              .threads_per_run = 1,
                              .repeat = 1};
    tare_graph_init(&session->graph);
    tare_batch_init(&session->batch);
}

void tare_session_release(tare_session *session) {
    if (session != NULL) {
        tare_session_drop_plan(session);
        tare_graph_release(&session->graph);
        tare_session_close_device(session);
    }
}

tare_graph *tare_session_graph(tare_session *session) {
    return session->samples_per_run > 1 ? &session->batch.graph : &session->graph;
}

int tare_processor_count(void) {
    const long count = sysconf(_SC_NPROCESSORS_ONLN);
    return count < 1 ? 1 : (int)count;
}

int tare_wanted_threads(const tare_run_options *run) {
    return run->threads > 0 ? run->threads : tare_processor_count();
}

static const tare_input_shape *shape_of(const tare_input_shape *shapes, size_t count,
                                        const char *name) {
    for (size_t i = 0; i < count; i++) {
        if (shapes[i].name != NULL && strcmp(shapes[i].name, name) == 0) {
            return &shapes[i];
        }
    }
    return NULL;
}

static tare_status check_names(const tare_graph *graph, const tare_input_shape *shapes,
                               size_t count, tare_error *err) {
    for (size_t i = 0; i < count; i++) {
        const tare_value *value =
            shapes[i].name == NULL ? NULL : tare_graph_find_value(graph, shapes[i].name);
        if (value == NULL || !value->is_input) {
            return tare_fail(err, TARE_INVALID_ARGUMENT, "the model has no input '%s'",
                             shapes[i].name == NULL ? "" : shapes[i].name);
        }
        if (value->is_initializer) {
            return tare_fail(err, TARE_UNSUPPORTED,
                             "input '%s' has its value in the model, another one cannot be given",
                             value->name);
        }
    }
    return TARE_OK;
}

/* A model may fix its batch to B while samples come one by one. */
static tare_status settle_repeat(int64_t *repeat, const tare_value *input,
                                 const tare_input_shape *shape, tare_input_shape *bound,
                                 tare_error *err) {
    *bound = *shape;
    if (!shape->is_sample || shape->rank != input->rank || shape->rank < 1 || input->dims[0] <= 1 ||
        shape->dims[0] != 1) {
        return TARE_OK;
    }
    if (*repeat != 1 && *repeat != input->dims[0]) {
        return tare_fail(err, TARE_UNSUPPORTED, "input '%s' has batch %lld, another input %lld",
                         input->name, (long long)input->dims[0], (long long)*repeat);
    }
    *repeat = input->dims[0];
    bound->dims[0] = input->dims[0];
    return TARE_OK;
}

static tare_status check_input(const tare_value *input, const tare_input_shape *shape,
                               tare_error *err) {
    char expected[TARE_DIMS_TEXT_BYTES], actual[TARE_DIMS_TEXT_BYTES];
    bool fits = shape->rank == input->rank || input->rank < 0;
    for (int i = 0; i < input->rank && fits; i++) {
        fits = input->dims[i] < 0 || input->dims[i] == shape->dims[i];
    }
    if (shape->element != 0 && (int)shape->element != (int)input->dtype) {
        return tare_fail(err, TARE_INVALID_ARGUMENT,
                         "input '%s': the model wants %s, the data are %s", input->name,
                         tare_dtype_text(input->dtype),
                         tare_dtype_text((tare_dtype)shape->element));
    }
    if (!fits) {
        return tare_fail(err, TARE_INVALID_ARGUMENT,
                         "input '%s': the model wants shape %s, the data have %s", input->name,
                         tare_dims_text(expected, sizeof expected, input->rank, input->dims),
                         tare_dims_text(actual, sizeof actual, shape->rank, shape->dims));
    }
    return TARE_OK;
}

bool tare_session_assume_shape(tare_input_shape *shape, tare_text *reason, const tare_value *input,
                               const tare_run_options *options) {
    *shape = (tare_input_shape){.name = input->name, .rank = input->rank};
    memcpy(shape->dims, input->dims, sizeof shape->dims);
    for (size_t i = 0; i < options->shape_count; i++) {
        const tare_array_view *given = &options->shapes[i];
        if (given->name == NULL || strcmp(given->name, input->name) == 0) {
            shape->rank = given->rank;
            memcpy(shape->dims, given->dims, sizeof shape->dims);
        }
    }
    for (int i = 0; i < shape->rank; i++) {
        if (shape->dims[i] < 0 && i == 0) {
            shape->dims[0] = 1;
        } else if (shape->dims[i] < 0) {
            tare_text_add(reason, "dim %d%s%s%s of input '%s' is open; give its shape", i,
                          input->dim_names[i] == NULL ? "" : " (",
                          input->dim_names[i] == NULL ? "" : input->dim_names[i],
                          input->dim_names[i] == NULL ? "" : ")", input->name);
            return false;
        }
    }
    if (shape->rank < 0) {
        tare_text_add(reason, "input '%s' has no shape; give one", input->name);
        return false;
    }
    return true;
}

static void count_constants(tare_session *session) {
    session->constant_bytes = 0;
    for (size_t i = 0; i < session->graph.value_count; i++) {
        const tare_tensor *constant = session->graph.values[i]->constant;
        size_t bytes;
        if (constant != NULL &&
            tare_dims_bytes(&bytes, constant->dtype, constant->rank, constant->dims)) {
            session->constant_bytes += bytes;
        }
    }
}

tare_status tare_session_bind(tare_session *session, const tare_graph *graph,
                              const tare_input_shape *shapes, size_t shape_count, tare_error *err) {
    tare_shape_binding bindings[TARE_SAMPLE_INPUT_LIMIT];
    size_t count = 0;

    TARE_TRY(check_names(graph, shapes, shape_count, err));
    tare_graph_release(&session->graph);
    TARE_TRY(tare_graph_clone(&session->graph, graph, err));
    for (size_t i = 0; i < session->graph.input_count; i++) {
        const tare_value *input = session->graph.inputs[i];
        const tare_input_shape *shape = shape_of(shapes, shape_count, input->name);
        tare_input_shape bound;
        if (input->is_initializer) {
            continue;
        }
        if (shape == NULL) {
            return tare_fail(err, TARE_INVALID_ARGUMENT,
                             "nothing is given for the model's input '%s'", input->name);
        }
        if (count == sizeof bindings / sizeof bindings[0]) {
            return tare_fail(err, TARE_UNSUPPORTED, "the model has more than %zu inputs", count);
        }
        TARE_TRY(settle_repeat(&session->repeat, input, shape, &bound, err));
        TARE_TRY(check_input(input, &bound, err));
        bindings[count] = (tare_shape_binding){.name = input->name, .rank = bound.rank};
        memcpy(bindings[count].dims, bound.dims, sizeof bound.dims);
        count++;
    }
    TARE_TRY(tare_pass_infer(&session->graph, session->host, bindings, count, err));
    count_constants(session);
    return TARE_OK;
}

uint64_t tare_session_bytes(const tare_session *session) {
    const tare_session_memory *m = &session->memory;
    return m->constants + m->packed + m->data + m->pinned +
           (uint64_t)session->threads * m->workspace;
}

uint64_t tare_session_device_bytes(const tare_session *session) {
    const tare_session_memory *m = &session->memory;
    return m->device_weights + m->device_workspace + m->device_staging + m->device_statistics;
}

static void account(tare_session *session, const tare_session_limits *limits) {
    session->memory = (tare_session_memory){
        .constants = session->constant_bytes,
        .packed = tare_plan_weight_bytes(session->plan),
        .workspace = tare_plan_workspace_bytes(session->plan),
        .data = limits->fixed_bytes + (uint64_t)session->threads * limits->bytes_per_thread};
}

/* Bytes of this machine's memory that a run may plan with; no limit where it is not known. */
static uint64_t usable_memory(void) {
    const long pages = sysconf(_SC_PHYS_PAGES), bytes = sysconf(_SC_PAGESIZE);
    return pages < 1 || bytes < 1 ? UINT64_MAX : (uint64_t)pages / 8 * 7 * (uint64_t)bytes;
}

/* Without a limit, one thread is always tried; but many are not let run into the end of memory. */
static tare_status plan_host(tare_session *session, const tare_session_limits *limits,
                             tare_error *err) {
    char need[TARE_BYTES_TEXT], allowed[TARE_BYTES_TEXT];
    const tare_plan_options options = {.watched = limits->watched,
                                       .threads_per_run = session->threads_per_run};
    const bool limited = limits->memory_bytes > 0;
    const uint64_t limit = limited ? limits->memory_bytes : usable_memory();

    session->threads = limits->threads > 0 ? limits->threads : tare_processor_count();
    TARE_TRY(tare_plan_build(&session->plan, &session->graph, session->backend, &options, err));
    account(session, limits);
    while (session->threads > 1 && tare_session_bytes(session) > limit) {
        session->threads--;
        account(session, limits);
    }
    if (limited && tare_session_bytes(session) > limit) {
        return tare_fail(err, TARE_OUT_OF_MEMORY,
                         "the run needs %s of memory with one thread, allowed are %s",
                         tare_bytes_text(need, sizeof need, tare_session_bytes(session)),
                         tare_bytes_text(allowed, sizeof allowed, limit));
    }
    return TARE_OK;
}

tare_status tare_session_plan(tare_session *session, const tare_session_limits *limits,
                              tare_error *err) {
    tare_session_drop_plan(session);
    session->threads_per_run = limits->threads_per_run > 0 ? limits->threads_per_run : 1;
    return session->device == NULL ? plan_host(session, limits, err)
                                   : tare_session_plan_device(session, limits, err);
}
