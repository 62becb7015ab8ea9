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
    char fields[TARE_COLLECT_TEXT_BYTES];
    json_t *inputs = json_array();
    json_t *json = json_pack("{s:s, s:s, s:s, s:s, s:s, s:s, s:b, s:o}", "version",
                             TARE_STATE_VERSION, "tool", file->tool, "model", identity->model,
                             "preprocess", identity->preprocess, "precision", identity->precision,
                             "fields", tare_collect_text(fields, spec.collect), "codes",
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
    tare_state_counts counts;
} tensor_summary;

static tensor_summary summarise(const tare_state *state, size_t point) {
    tensor_summary all = {
        .min = INFINITY, .max = -INFINITY, .counts = tare_state_counts_of(state, point)};

    for (uint64_t i = 0; i < tare_state_sample_count(state); i++) {
        tare_sample_numbers numbers;
        if (tare_state_sample_numbers(&numbers, state, point, i)) {
            all.min = fmin(all.min, (double)numbers.of[TARE_SAMPLE_MIN]);
            all.max = fmax(all.max, (double)numbers.of[TARE_SAMPLE_MAX]);
        }
    }
    return all;
}

/* Means of the channels where sums were collected. */
static json_t *means_json(const tare_state *state, size_t point, const tensor_summary *all) {
    const int64_t channels = tare_state_point(state, point)->channels;
    const tare_exact_sum *sums = tare_state_channel_sums(state, point);
    json_t *means = json_array();
    for (int64_t c = 0; c < channels; c++) {
        const double count = (double)(all->counts.elements / (uint64_t)channels);
        (void)json_array_append_new(means, json_real(tare_exact_sum_value(&sums[c]) / count));
    }
    return means;
}

static json_t *windows_json(const tare_stat_point *point) {
    json_t *list = json_array();
    for (size_t i = 0; i < point->window_count; i++) {
        const tare_collect_window *w = &point->windows[i];
        (void)json_array_append_new(
            list, json_pack("{s:[I, I], s:[I, I], s:[I, I], s:[I, I], s:[I, I]}", "kernel",
                            (json_int_t)w->kernel[0], (json_int_t)w->kernel[1], "stride",
                            (json_int_t)w->stride[0], (json_int_t)w->stride[1], "dilation",
                            (json_int_t)w->dilation[0], (json_int_t)w->dilation[1], "padding",
                            (json_int_t)w->padding[0], (json_int_t)w->padding[1], "output",
                            (json_int_t)w->output[0], (json_int_t)w->output[1]));
    }
    return list;
}

static json_t *tensor_json(const tare_state *state, size_t point, const tensor_summary *all) {
    const tare_stat_point *tensor = tare_state_point(state, point);
    json_t *json =
        json_pack("{s:o, s:I, s:I, s:I}", "name", tare_json_text(tensor->tensor), "channels",
                  (json_int_t)tensor->channels, "elements", (json_int_t)all->counts.elements,
                  "zeros", (json_int_t)all->counts.zeros);
    if (tensor->channels > 0) {
        (void)json_object_set_new(json, "axis", json_integer(tensor->axis));
    }
    if (all->counts.elements > 0) {
        (void)json_object_set_new(json, "min", json_real(all->min));
        (void)json_object_set_new(json, "max", json_real(all->max));
        if (tare_state_channel_sums(state, point) != NULL) {
            (void)json_object_set_new(json, "means", means_json(state, point, all));
        }
    }
    if (tensor->window_count > 0) {
        (void)json_object_set_new(json, "windows", windows_json(tensor));
    }
    return json;
}

static void describe_tensor(tare_text *text, const tare_stat_point *point,
                            const tensor_summary *all) {
    const double elements = (double)all->counts.elements;
    tare_text_add(text, "  %12.6g %12.6g", all->min, all->max);
    if (all->counts.elements > 0) {
        tare_text_add(text, " %5.1f %% zeros", 100.0 * (double)all->counts.zeros / elements);
    }
    if (point->channels > 0) {
        tare_text_add(text, " %6lld channels", (long long)point->channels);
    }
    if (point->window_count > 0) {
        tare_text_add(text, " %zu window%s", point->window_count,
                      point->window_count > 1 ? "s" : "");
    }
    tare_text_add(text, "  %s\n", point->tensor);
}

static tare_status describe_tensors(tare_report *report, const tare_state *state, tare_error *err) {
    const tare_state_spec spec = tare_state_spec_of(state);
    const size_t count = spec.point_count;
    char fields[TARE_COLLECT_TEXT_BYTES];
    json_t *list = json_array();

    tare_text_add(&report->text, "tensors: %zu, with %s", count,
                  tare_collect_text(fields, spec.collect));
    if (tare_sample_uses_quantile(spec.collect)) {
        tare_text_add(&report->text, ", quantile %g", spec.quantile);
    }
    tare_text_add(&report->text, "\n");
    for (size_t i = 0; i < count; i++) {
        const tensor_summary all = summarise(state, i);
        (void)json_array_append_new(list, tensor_json(state, i, &all));
        describe_tensor(&report->text, tare_state_point(state, i), &all);
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
