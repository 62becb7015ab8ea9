/* SPDX-License-Identifier: Apache-2.0 */
/** Samples that a function of the caller's makes: any source with any transformation. */
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "data/source.h"

/* Names of samples are made on demand and kept: they are borrowed until close. */
#define NAME_BYTES 32

typedef struct function_state {
    tare_function_data data;
    char (*names)[NAME_BYTES];
    pthread_mutex_t lock; /* of the table of input names */
    bool has_lock;
    char *inputs[TARE_SAMPLE_MAX_INPUTS];
} function_state;

/** What a tare_sample_function adds its inputs to. */
struct tare_sample_sink {
    tare_sample *sample;
    function_state *state;
};

static tare_status function_open(void *state, tare_source_info *info,
                                 const tare_source_options *options, tare_error *err) {
    function_state *self = state;
    self->data = *options->function;
    self->names = calloc(self->data.count + 1, sizeof *self->names);
    if (self->names == NULL) {
        return tare_fail_memory(err, self->data.count * sizeof *self->names, "the samples' names");
    }
    for (size_t i = 0; i < self->data.count; i++) {
        (void)snprintf(self->names[i], NAME_BYTES, "sample %zu", i);
    }
    self->has_lock = pthread_mutex_init(&self->lock, NULL) == 0;
    if (!self->has_lock) {
        return tare_fail(err, TARE_INTERNAL, "a lock cannot be made");
    }
    info->count = self->data.count;
    return TARE_OK;
}

static const char *function_sample_name(const void *state, size_t index) {
    const function_state *self = state;
    return self->names[index];
}

static tare_status function_measure(size_t *scratch_bytes, const void *state, size_t index,
                                    tare_error *err) {
    TARE_UNUSED(state);
    TARE_UNUSED(index);
    TARE_UNUSED(err);
    *scratch_bytes = 0;
    return TARE_OK;
}

/* The sample outlives the caller's array, and so must its name. */
static tare_status keep_name(const char **kept, function_state *state, const char *name,
                             tare_error *err) {
    const size_t bytes = strlen(name) + 1;
    tare_status status = TARE_OK;
    size_t i = 0;

    (void)pthread_mutex_lock(&state->lock);
    while (i < TARE_SAMPLE_MAX_INPUTS && state->inputs[i] != NULL &&
           strcmp(state->inputs[i], name) != 0) {
        i++;
    }
    if (i == TARE_SAMPLE_MAX_INPUTS) {
        status = tare_fail(err, TARE_INVALID_ARGUMENT, "input '%s': more than %d different inputs",
                           name, TARE_SAMPLE_MAX_INPUTS);
    } else if (state->inputs[i] == NULL) {
        state->inputs[i] = malloc(bytes);
        if (state->inputs[i] == NULL) {
            status = tare_fail_memory(err, bytes, "a name");
        } else {
            memcpy(state->inputs[i], name, bytes);
        }
    }
    if (status == TARE_OK) {
        *kept = state->inputs[i];
    }
    (void)pthread_mutex_unlock(&state->lock);
    return status;
}

TARE_API tare_status tare_sample_add(tare_sample_sink *sink, const tare_array_view *input,
                                     tare_error *err) {
    tare_sample *sample = sink->sample;
    const size_t index = sample->input_count;
    tare_array shape = {.element = input->element, .rank = (size_t)input->rank};

    if (index == TARE_SAMPLE_MAX_INPUTS) {
        return tare_fail(err, TARE_INVALID_ARGUMENT, "a sample with more than %d inputs",
                         TARE_SAMPLE_MAX_INPUTS);
    }
    if (input->rank < 0 || input->rank > TARE_ARRAY_MAX_RANK ||
        tare_element_bytes(input->element) == 0) {
        return tare_fail(err, TARE_INVALID_ARGUMENT,
                         "an array of rank %d and element type %d cannot be a model input",
                         input->rank, (int)input->element);
    }
    for (int i = 0; i < input->rank; i++) {
        if (input->dims[i] < 0) {
            return tare_fail(err, TARE_INVALID_ARGUMENT, "dim %d of an input is %lld", i,
                             (long long)input->dims[i]);
        }
        shape.dims[i] = (size_t)input->dims[i];
    }
    if (input->name != NULL) {
        TARE_TRY(keep_name(&shape.name, sink->state, input->name, err));
    }
    TARE_TRY(tare_sample_shape(sample, index, &shape, err));
    sample->input_count++;
    if (sample->inputs[index].bytes > 0) {
        memcpy(sample->inputs[index].data, input->data, sample->inputs[index].bytes);
    }
    sample->id = tare_hash_bytes(sample->id, input->data, sample->inputs[index].bytes);
    return TARE_OK;
}

static tare_status function_load(tare_sample *sample, const void *state, size_t index,
                                 tare_source_scratch *scratch, tare_error *err) {
    const function_state *self = state;
    /* Only the table of names changes, behind its lock. */
    tare_sample_sink sink = {.sample = sample, .state = (function_state *)(uintptr_t)state};
    tare_status status;

    TARE_UNUSED(scratch);
    sample->input_count = 0;
    sample->id = tare_hash_bytes(0, self->names[index], strlen(self->names[index]));
    if (err != NULL) {
        err->text[0] = '\0';
    }
    status = self->data.function(self->data.user, index, &sink, err);
    if (status != TARE_OK && err != NULL && err->text[0] == '\0') {
        (void)tare_fail(err, status, "the sample function failed (%s)", tare_status_text(status));
    }
    if (status != TARE_OK) {
        tare_error_prepend(err, "%s: ", self->names[index]);
    }
    return status;
}

static void function_close(void *state) {
    function_state *self = state;
    free(self->names);
    for (size_t i = 0; i < TARE_SAMPLE_MAX_INPUTS; i++) {
        free(self->inputs[i]);
    }
    if (self->has_lock) {
        (void)pthread_mutex_destroy(&self->lock);
    }
}

static bool function_probe(const char *path) {
    return path == NULL;
}

const tare_source tare_source_function = {
    .name = "function",
    .summary = "samples made by a function of the caller's",
    .private_size = sizeof(function_state),
    .probe = function_probe,
    .open = function_open,
    .sample_name = function_sample_name,
    .measure = function_measure,
    .load = function_load,
    .close = function_close,
};
