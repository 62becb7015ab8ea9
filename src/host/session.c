/* SPDX-License-Identifier: Apache-2.0 */
/** A model made ready to run. */
#include "session.h"

#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "pass/infer.h"

void tare_session_init(tare_session *session) {
    *session = (tare_session){.threads = 1, .threads_per_run = 1, .repeat = 1};
    tare_graph_init(&session->graph);
}

void tare_session_release(tare_session *session) {
    if (session != NULL) {
        tare_plan_free(session->plan);
        session->plan = NULL;
        tare_graph_release(&session->graph);
    }
}

int tare_processor_count(void) {
    const long count = sysconf(_SC_NPROCESSORS_ONLN);
    return count < 1 ? 1 : (int)count;
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
                              const tare_backend *backend, const tare_input_shape *shapes,
                              size_t shape_count, tare_error *err) {
    tare_shape_binding bindings[TARE_SAMPLE_INPUT_LIMIT];
    size_t count = 0;

    session->backend = backend;
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
    TARE_TRY(tare_pass_infer(&session->graph, backend, bindings, count, err));
    count_constants(session);
    return TARE_OK;
}

uint64_t tare_session_bytes(const tare_session *session, const tare_session_limits *limits) {
    const uint64_t threads = (uint64_t)session->threads;
    return session->constant_bytes + tare_plan_weight_bytes(session->plan) + limits->fixed_bytes +
           threads * (tare_plan_workspace_bytes(session->plan) + limits->bytes_per_thread);
}

tare_status tare_session_plan(tare_session *session, const tare_session_limits *limits,
                              tare_error *err) {
    char need[TARE_BYTES_TEXT], allowed[TARE_BYTES_TEXT];
    tare_plan_options options = {.watched = limits->watched};

    session->threads = limits->threads > 0 ? limits->threads : tare_processor_count();
    session->threads_per_run = limits->threads_per_run > 0 ? limits->threads_per_run : 1;
    options.threads_per_run = session->threads_per_run;
    TARE_TRY(tare_plan_build(&session->plan, &session->graph, session->backend, &options, err));
    while (limits->memory_bytes > 0 && tare_session_bytes(session, limits) > limits->memory_bytes) {
        if (session->threads == 1) {
            return tare_fail(
                err, TARE_OUT_OF_MEMORY,
                "the run needs %s of memory with one thread, allowed are %s",
                tare_bytes_text(need, sizeof need, tare_session_bytes(session, limits)),
                tare_bytes_text(allowed, sizeof allowed, limits->memory_bytes));
        }
        session->threads--;
    }
    return TARE_OK;
}

tare_status tare_session_describe(tare_report *report, const tare_session *session,
                                  const tare_session_limits *limits, tare_error *err) {
    char total[TARE_BYTES_TEXT], work[TARE_BYTES_TEXT], packed[TARE_BYTES_TEXT],
        constants[TARE_BYTES_TEXT], other[TARE_BYTES_TEXT];
    const size_t workspace = tare_plan_workspace_bytes(session->plan);
    const uint64_t own =
        limits->fixed_bytes + (uint64_t)session->threads * limits->bytes_per_thread;
    json_t *plan = json_pack(
        "{s:s, s:i, s:I, s:I, s:I, s:I, s:I, s:I}", "device", session->backend->name, "threads",
        session->threads, "steps", (json_int_t)tare_plan_step_count(session->plan), "weight_bytes",
        (json_int_t)session->constant_bytes, "packed_weight_bytes",
        (json_int_t)tare_plan_weight_bytes(session->plan), "workspace_bytes_per_thread",
        (json_int_t)workspace, "data_and_statistics_bytes", (json_int_t)own, "total_bytes",
        (json_int_t)tare_session_bytes(session, limits));
    if (plan == NULL || json_object_set_new(report->json, "memory_plan", plan) != 0) {
        return tare_fail_memory(err, 0, "a report");
    }
    tare_text_add(&report->text,
                  "memory plan: %s = weights %s + packed weights %s + %d x workspace %s + data and "
                  "statistics %s\n",
                  tare_bytes_text(total, sizeof total, tare_session_bytes(session, limits)),
                  tare_bytes_text(constants, sizeof constants, session->constant_bytes),
                  tare_bytes_text(packed, sizeof packed, tare_plan_weight_bytes(session->plan)),
                  session->threads, tare_bytes_text(work, sizeof work, workspace),
                  tare_bytes_text(other, sizeof other, own));
    return TARE_OK;
}
