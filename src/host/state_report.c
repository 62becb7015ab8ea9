/* SPDX-License-Identifier: Apache-2.0 */
/** Public API: describing a calibration state. */
#include <math.h>
#include <stdio.h>

#include "model.h"
#include "stats/state_file.h"

static tare_status describe_identity(tare_report *report, const tare_state_file *file,
                                     tare_error *err) {
    const tare_state_identity *identity = &file->identity;
    const tare_state_spec spec = tare_state_spec_of(file->state);
    json_t *inputs = json_array();
    json_t *json = json_pack("{s:s, s:s, s:s, s:s, s:s, s:b, s:o}", "version", TARE_STATE_VERSION,
                             "tool", file->tool, "model", identity->model, "preprocess",
                             identity->preprocess, "precision", identity->precision, "codes",
                             (spec.collect & TARE_COLLECT_CODES) != 0, "inputs", inputs);
    char dims[TARE_DIMS_TEXT_BYTES];
    tare_text *text = &report->text;

    if (json == NULL || json_object_update(report->json, json) != 0) {
        json_decref(json);
        return tare_fail_memory(err, 0, "a report");
    }
    json_decref(json);
    tare_text_add(text, "calibration state, version %s of the format, written by %s\n",
                  TARE_STATE_VERSION, file->tool);
    tare_text_add(text, "model: %s, run in %s\npreprocessing: %s\n", identity->model,
                  identity->precision, identity->preprocess);
    inputs = json_object_get(report->json, "inputs");
    for (size_t i = 0; i < identity->input_count; i++) {
        const tare_state_input *input = &identity->inputs[i];
        const char *type = tare_dtype_text((tare_dtype)input->element);
        const char *shape = tare_dims_text(dims, sizeof dims, input->rank, input->dims);
        tare_text_add(text, "input: %s %s %s\n", input->name, type, shape);
        (void)json_array_append_new(inputs, json_pack("{s:o, s:s, s:s}", "name",
                                                      tare_json_text(input->name), "element", type,
                                                      "shape", shape));
    }
    return TARE_OK;
}

static tare_status describe_samples(tare_report *report, const tare_state *state, tare_error *err) {
    const uint64_t count = tare_state_sample_count(state);
    json_t *list = json_array();

    for (uint64_t i = 0; i < count; i++) {
        const tare_state_sample sample = tare_state_sample_at(state, i);
        char id[17];
        (void)snprintf(id, sizeof id, "%016llx", (unsigned long long)sample.id);
        (void)json_array_append_new(
            list, json_pack("{s:s, s:o}", "id", id, "name", tare_json_text(sample.name)));
    }
    if (json_array_size(list) != count || json_object_set_new(report->json, "samples", list) != 0) {
        return tare_fail_memory(err, 0, "a report");
    }
    tare_text_add(&report->text, "samples: %llu\n", (unsigned long long)count);
    return TARE_OK;
}

/* What all samples together say of a tensor. */
typedef struct tensor_summary {
    double min, max;
    uint64_t elements, zeros;
} tensor_summary;

static tensor_summary summarise(const tare_state *state, size_t point) {
    const tare_code_histogram *codes = tare_state_codes(state, point);
    tensor_summary all = {.min = INFINITY, .max = -INFINITY};

    for (uint64_t i = 0; i < tare_state_sample_count(state); i++) {
        const tare_sample_record *record = tare_state_record_at(state, point, i);
        if (record->elements > 0) {
            all.min = fmin(all.min, (double)record->min);
            all.max = fmax(all.max, (double)record->max);
            all.elements += record->elements;
        }
    }
    all.zeros = codes == NULL ? 0 : codes->zeros;
    return all;
}

static json_t *tensor_json(const tare_stat_point *point, const tensor_summary *all, bool codes) {
    json_t *json = json_pack("{s:o, s:I, s:I}", "name", tare_json_text(point->tensor), "channels",
                             (json_int_t)point->channels, "elements", (json_int_t)all->elements);
    if (all->elements > 0) {
        (void)json_object_set_new(json, "min", json_real(all->min));
        (void)json_object_set_new(json, "max", json_real(all->max));
    }
    if (codes) {
        (void)json_object_set_new(json, "zeros", json_integer((json_int_t)all->zeros));
    }
    return json;
}

static tare_status describe_tensors(tare_report *report, const tare_state *state, tare_error *err) {
    const size_t count = tare_state_point_count(state);
    const bool codes = (tare_state_spec_of(state).collect & TARE_COLLECT_CODES) != 0;
    json_t *list = json_array();

    tare_text_add(&report->text, "tensors: %zu, %s\n", count,
                  codes ? "ranges and code histograms" : "ranges only");
    for (size_t i = 0; i < count; i++) {
        const tare_stat_point *point = tare_state_point(state, i);
        const tensor_summary all = summarise(state, i);
        (void)json_array_append_new(list, tensor_json(point, &all, codes));
        tare_text_add(&report->text, "  %12.6g %12.6g", all.min, all.max);
        if (codes && all.elements > 0) {
            tare_text_add(&report->text, " %5.1f %% zeros",
                          100.0 * (double)all.zeros / (double)all.elements);
        }
        if (point->channels > 0) {
            tare_text_add(&report->text, " %6lld channels", (long long)point->channels);
        }
        tare_text_add(&report->text, "  %s\n", point->tensor);
    }
    return json_array_size(list) == count && json_object_set_new(report->json, "tensors", list) == 0
               ? TARE_OK
               : tare_fail_memory(err, 0, "a report");
}

TARE_API tare_status tare_describe_state(tare_report **report, const char *path, tare_error *err) {
    tare_state_file file = {0};
    tare_status status;

    *report = NULL;
    TARE_TRY_DONE(status, tare_state_read(&file, path, err));
    TARE_TRY_DONE(status, tare_report_new(report, err));
    TARE_TRY_DONE(status, describe_identity(*report, &file, err));
    TARE_TRY_DONE(status, describe_samples(*report, file.state, err));
    TARE_TRY_DONE(status, describe_tensors(*report, file.state, err));
    status = tare_report_finish(*report, err);
done:
    if (status != TARE_OK) {
        tare_report_free(*report);
        *report = NULL;
    }
    tare_state_file_release(&file);
    return status;
}
