/* SPDX-License-Identifier: Apache-2.0 */
/** Public API: running a model once on whole arrays. */
#include <stdlib.h>
#include <string.h>

#include "outcome.h"
#include "registry.h"
#include "session.h"

TARE_API void tare_run_options_init(tare_run_options *options) {
    *options = (tare_run_options){.device = "auto", .precision = "auto"};
}

/* An array without a name is meant for the only input there is. */
static tare_status name_of(const char **name, const tare_model *model, const tare_array_view *array,
                           tare_error *err) {
    *name = array->name;
    if (*name == NULL) {
        if (tare_model_input_count(model) != 1) {
            return tare_fail(
                err, TARE_INVALID_ARGUMENT,
                "the model has %zu inputs, so every array must be named after one of them",
                tare_model_input_count(model));
        }
        *name = tare_model_input_name(model, 0);
    }
    return TARE_OK;
}

static tare_status check_view(const tare_array_view *array, const char *name, tare_error *err) {
    int64_t count = 1;
    if (array->rank < 0 || array->rank > TARE_ARRAY_MAX_RANK) {
        return tare_fail(err, TARE_INVALID_ARGUMENT,
                         "input '%s' has rank %d, at most %d is possible", name, array->rank,
                         TARE_ARRAY_MAX_RANK);
    }
    for (int i = 0; i < array->rank; i++) {
        if (array->dims[i] < 0) {
            return tare_fail(err, TARE_INVALID_ARGUMENT, "input '%s': dim %d is %lld", name, i,
                             (long long)array->dims[i]);
        }
        count = array->dims[i] == 0 ? 0 : count;
    }
    if ((int)array->element == 0 || (array->data == NULL && count > 0)) {
        return tare_fail(err, TARE_INVALID_ARGUMENT, "input '%s' has no %s", name,
                         array->data == NULL ? "data" : "element type");
    }
    return TARE_OK;
}

static tare_status shapes_of(tare_input_shape *shapes, const tare_model *model,
                             const tare_array_view *inputs, size_t count, tare_error *err) {
    for (size_t i = 0; i < count; i++) {
        shapes[i] = (tare_input_shape){.element = inputs[i].element, .rank = inputs[i].rank};
        TARE_TRY(name_of(&shapes[i].name, model, &inputs[i], err));
        TARE_TRY(check_view(&inputs[i], shapes[i].name, err));
        memcpy(shapes[i].dims, inputs[i].dims, (size_t)inputs[i].rank * sizeof inputs[i].dims[0]);
        for (size_t k = 0; k < i; k++) {
            if (strcmp(shapes[k].name, shapes[i].name) == 0) {
                return tare_fail(err, TARE_INVALID_ARGUMENT, "input '%s' is given twice",
                                 shapes[i].name);
            }
        }
    }
    return TARE_OK;
}

static const void *data_of(const tare_input_shape *shapes, const tare_array_view *inputs,
                           size_t count, const char *name) {
    for (size_t i = 0; i < count; i++) {
        if (strcmp(shapes[i].name, name) == 0) {
            return inputs[i].data;
        }
    }
    return NULL;
}

static tare_status collect_outputs(tare_outcome **out, const tare_session *session,
                                   const tare_execution *execution, tare_error *err) {
    TARE_TRY(tare_outcome_new(out, &session->graph, err));
    for (size_t i = 0; i < session->graph.output_count; i++) {
        tare_desc desc;
        const void *data = tare_execution_output(execution, i, &desc);
        TARE_TRY(tare_outcome_reserve(*out, i, &desc, 1, err));
        memcpy(tare_tensor_elements(&(*out)->tensors[i]), data, tare_desc_bytes(&desc));
    }
    return TARE_OK;
}

TARE_API tare_status tare_model_run(tare_outcome **out, const tare_model *model,
                                    const tare_array_view *inputs, size_t input_count,
                                    const tare_run_options *options, tare_error *err) {
    tare_session_limits limits = {.threads = 1, .wants_outputs = true};
    tare_input_shape *shapes = calloc(input_count + 1, sizeof *shapes);
    const void **pointers = calloc(model->graph.input_count + 1, sizeof *pointers);
    tare_execution *execution = NULL;
    tare_session session;
    tare_status status;

    *out = NULL;
    tare_session_init(&session);
    if (shapes == NULL || pointers == NULL) {
        status = tare_fail_memory(err, input_count * sizeof *shapes, "the inputs");
        goto done;
    }
    /* One sample at a time: the threads go into the kernels. */
    limits.threads_per_run = tare_wanted_threads(options);
    limits.memory_bytes = options->memory_bytes;
    TARE_TRY_DONE(status, tare_session_open(&session, options, err));
    TARE_TRY_DONE(status, shapes_of(shapes, model, inputs, input_count, err));
    TARE_TRY_DONE(status, tare_session_bind(&session, &model->graph, shapes, input_count, err));
    TARE_TRY_DONE(status, tare_outcome_measure(&limits.fixed_bytes, &session.graph, 1, 1, err));
    TARE_TRY_DONE(status, tare_session_plan(&session, &limits, err));
    for (size_t i = 0; i < session.graph.input_count; i++) {
        pointers[i] = data_of(shapes, inputs, input_count, session.graph.inputs[i]->name);
    }
    TARE_TRY_DONE(status, tare_execution_new(&execution, session.plan, err));
    TARE_TRY_DONE(status, tare_execution_run(execution, pointers, NULL, err));
    TARE_TRY_DONE(status, tare_execution_wait(execution, err));
    TARE_TRY_DONE(status, collect_outputs(out, &session, execution, err));
done:
    if (status != TARE_OK) {
        tare_outcome_free(*out);
        *out = NULL;
    }
    tare_execution_free(execution);
    tare_session_release(&session);
    free(shapes);
    free(pointers);
    return tare_model_blame(model, status, err);
}
