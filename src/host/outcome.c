/* SPDX-License-Identifier: Apache-2.0 */
/** Public API: what a run gives back. */
#include "outcome.h"

#include <stdlib.h>
#include <string.h>

tare_status tare_outcome_new(tare_outcome **out, const tare_graph *graph, tare_error *err) {
    tare_outcome *outcome = calloc(1, sizeof *outcome);
    *out = NULL;
    if (outcome == NULL) {
        return tare_fail_memory(err, sizeof *outcome, "the outputs");
    }
    outcome->tensors = calloc(graph->output_count + 1, sizeof *outcome->tensors);
    outcome->names = calloc(graph->output_count + 1, sizeof *outcome->names);
    if (outcome->tensors == NULL || outcome->names == NULL) {
        tare_outcome_free(outcome);
        return tare_fail_memory(err, sizeof *outcome, "the outputs");
    }
    outcome->count = graph->output_count;
    for (size_t i = 0; i < outcome->count; i++) {
        const size_t length = strlen(graph->outputs[i]->name) + 1;
        outcome->names[i] = malloc(length);
        if (outcome->names[i] == NULL) {
            tare_outcome_free(outcome);
            return tare_fail_memory(err, length, "a name");
        }
        memcpy(outcome->names[i], graph->outputs[i]->name, length);
    }
    *out = outcome;
    return TARE_OK;
}

tare_status tare_outcome_reserve(tare_outcome *outcome, size_t index, const tare_desc *desc,
                                 uint64_t samples, tare_error *err) {
    int64_t dims[TARE_MAX_RANK] = {0};
    int rank = desc->rank;
    memcpy(dims, desc->dims, sizeof dims);
    if (rank == 0 && samples != 1) {
        rank = 1;
        dims[0] = 1;
    }
    if (samples != 1) {
        if (samples > INT64_MAX / 2 || (dims[0] > 0 && (int64_t)samples > INT64_MAX / dims[0])) {
            return tare_fail(err, TARE_OUT_OF_MEMORY, "output '%s' of %llu samples is too large",
                             outcome->names[index], (unsigned long long)samples);
        }
        dims[0] *= (int64_t)samples;
    }
    return tare_tensor_init(&outcome->tensors[index], desc->dtype, rank, dims, err);
}

tare_status tare_outcome_measure(uint64_t *bytes, const tare_graph *graph, int64_t repeat,
                                 uint64_t samples, tare_error *err) {
    /* Other parts of the plan are added to this, so the whole range is not free to use. */
    const uint64_t limit = UINT64_MAX / 4;
    *bytes = 0;
    for (size_t i = 0; i < graph->output_count; i++) {
        const tare_value *value = graph->outputs[i];
        size_t whole = 0;
        bool known = value->rank >= 0;
        for (int k = 0; k < value->rank; k++) {
            known = known && value->dims[k] >= 0;
        }
        if (!known || !tare_dims_bytes(&whole, value->dtype, value->rank, value->dims)) {
            continue;
        }
        whole /= (size_t)repeat;
        if (whole > 0 && samples > (limit - *bytes) / whole) {
            return tare_fail(err, TARE_OUT_OF_MEMORY, "output '%s' of %llu samples is too large",
                             value->name, (unsigned long long)samples);
        }
        *bytes += whole * samples;
    }
    return TARE_OK;
}

TARE_API size_t tare_outcome_count(const tare_outcome *outcome) {
    return outcome->count;
}

TARE_API tare_array_view tare_outcome_get(const tare_outcome *outcome, size_t index) {
    const tare_tensor *tensor = &outcome->tensors[index];
    tare_array_view view = {.name = outcome->names[index],
                            .element = (tare_element)tensor->dtype,
                            .rank = tensor->rank,
                            .data = tensor->data};
    for (int i = 0; i < tensor->rank; i++) {
        view.dims[i] = tensor->dims[i];
    }
    return view;
}

TARE_API void tare_outcome_free(tare_outcome *outcome) {
    if (outcome != NULL) {
        for (size_t i = 0; i < outcome->count; i++) {
            tare_tensor_release(&outcome->tensors[i]);
            free(outcome->names[i]);
        }
        free(outcome->tensors);
        free(outcome->names);
        free(outcome);
    }
}
