/* SPDX-License-Identifier: Apache-2.0 */
/** Public API: quantizing a model. tare_quantize() reads in the order of the pipeline. */
#include "quantize.h"

#include <string.h>

#include "base/file.h"
#include "calibration.h"
#include "onnx/writer.h"
#include "quant/qdq.h"
#include "ranges.h"

static tare_status describe_run(tare_report *report, const tare_run_summary *summary,
                                const char *method, tare_error *err) {
    const double rate = summary->seconds > 0.0 ? (double)summary->samples / summary->seconds : 0.0;
    json_t *run = json_pack("{s:I, s:I, s:f, s:f, s:s}", "samples", (json_int_t)summary->samples,
                            "skipped", (json_int_t)summary->skipped, "seconds", summary->seconds,
                            "images_per_second", rate, "method", method);
    if (run == NULL || json_object_set_new(report->json, "calibration", run) != 0) {
        return tare_fail_memory(err, 0, "a report");
    }
    tare_text_add(&report->text, "calibrated (%s) on %zu samples in %.2f s (%.1f images/s)", method,
                  summary->samples, summary->seconds, rate);
    if (summary->skipped > 0) {
        tare_text_add(&report->text, ", %zu skipped", summary->skipped);
    }
    tare_text_add(&report->text, "\n");
    return TARE_OK;
}

static tare_status describe_ranges(tare_report *report, const tare_quantization *q,
                                   const tare_range_set *set, tare_error *err) {
    json_t *list = json_object_get(report->json, "quantizers");
    for (size_t i = 0; i < q->setup.point_count; i++) {
        const tare_activation_range *range = &set->ranges[i];
        const tare_range_choice *choice = &set->choices[i];
        const size_t group = q->setup.points[i].group;
        json_t *entry = json_array_get(list, i);
        json_t *min = json_array(), *max = json_array();
        for (int64_t k = 0; k < range->channels; k++) {
            (void)json_array_append_new(min, json_real((double)range->min[k]));
            (void)json_array_append_new(max, json_real((double)range->max[k]));
        }
        if (range->channels == 0) {
            json_decref(min);
            json_decref(max);
        } else if (json_object_set_new(entry, "min", min) != 0 ||
                   json_object_set_new(entry, "max", max) != 0 ||
                   json_object_set_new(entry, "method", json_string(choice->method)) != 0 ||
                   (group != TARE_NO_GROUP &&
                    json_object_set_new(entry, "group", json_integer((json_int_t)group)) != 0) ||
                   (choice->reason[0] != '\0' &&
                    json_object_set_new(entry, "reason", json_string(choice->reason)) != 0)) {
            return tare_fail_memory(err, 0, "a report");
        }
    }
    return TARE_OK;
}

static tare_status describe_output(tare_report *report, const tare_model *model, const char *path,
                                   tare_error *err) {
    json_t *json = json_pack("{s:o, s:o}", "model", tare_json_text(model->path), "output",
                             tare_json_text(path));
    if (json == NULL || json_object_update(report->json, json) != 0) {
        json_decref(json);
        return tare_fail_memory(err, 0, "a report");
    }
    json_decref(json);
    tare_text_add(&report->text, "wrote %s\n", path);
    return tare_text_check(&report->text, err);
}

/* The file should say about shapes what it said before, not what they were for these samples. */
static void restore_shapes(tare_graph *graph, const tare_graph *original) {
    for (size_t i = 0; i < graph->value_count; i++) {
        tare_value *value = graph->values[i];
        if (value->is_initializer) {
            continue;
        }
        value->rank = -1;
        value->dtype = TARE_DTYPE_UNDEFINED;
        if (i < original->value_count && !original->values[i]->is_initializer) {
            value->rank = original->values[i]->rank;
            value->dtype = original->values[i]->dtype;
            memcpy(value->dims, original->values[i]->dims, sizeof value->dims);
        }
    }
}

/* What both ways to quantize share. */
typedef struct quantizing {
    tare_quantization q;
    const tare_model *model;
    const tare_quantize_options *options;
    tare_range_method method;
    tare_report *report;
} quantizing;

static tare_status begin(quantizing *z, const tare_model *model, const char *path,
                         const tare_quantize_options *options, tare_error *err) {
    *z = (quantizing){.model = model, .options = options};
    TARE_TRY(tare_quantization_init(&z->q, options, err));
    TARE_TRY(tare_range_method_find(&z->method, options->method, err));
    z->q.collect = z->method.collect;
    z->q.quantile = z->method.options.number;
    TARE_TRY(tare_report_new(&z->report, err));
    return tare_output_check(path, err);
}

static void warn_of_nothing_left(const quantizing *z, const tare_range_set *set) {
    for (size_t i = 0; i < z->q.setup.point_count; i++) {
        const tare_range_choice *choice = &set->choices[i];
        if (choice->leaves_nothing) {
            tare_warn(&z->options->run,
                      "method '%s' makes everything zero in tensor '%s', whose values go from %g "
                      "to %g",
                      z->method.text, z->q.setup.points[i].value->name, (double)choice->min,
                      (double)choice->max);
        }
    }
}

/* From ranges to the file: insert, write. */
static tare_status finish(quantizing *z, const tare_range_set *set, const char *path,
                          tare_error *err) {
    tare_onnx_write_options write = tare_onnx_write_options_default();

    TARE_TRY(describe_ranges(z->report, &z->q, set, err));
    warn_of_nothing_left(z, set);
    TARE_TRY(tare_model_blame(z->model, tare_qdq_insert(&z->q.graph, &z->q.setup, set->ranges, err),
                              err));
    restore_shapes(&z->q.graph, &z->model->graph);
    write.source = &z->model->graph;
    TARE_TRY(tare_onnx_write_with(&z->q.graph, path, &write, err));
    TARE_TRY(describe_output(z->report, z->model, path, err));
    return tare_report_finish(z->report, err);
}

static void end(quantizing *z, tare_report **report, tare_status status) {
    if (report != NULL) {
        *report = status == TARE_OK ? z->report : NULL;
    }
    if (report == NULL || status != TARE_OK) {
        tare_report_free(z->report);
    }
    tare_quantization_release(&z->q);
}

/* Everything after the placement: plan, run, choose, insert, write. */
static tare_status quantize_placed(quantizing *z, tare_feed *feed, const char *path,
                                   tare_error *err) {
    const tare_calibration_size size = {.spec = tare_calibration_spec(&z->q),
                                        .samples = feed->count};
    const tare_run_options *run = &z->options->run;
    tare_calibration c = {.q = &z->q};
    tare_run_summary summary;
    tare_range_set set;
    tare_status status;

    TARE_TRY_DONE(status, tare_calibration_plan(&z->q, feed, &size, run, err));
    TARE_TRY_DONE(status, tare_quantization_describe(z->report, &z->q, err));
    TARE_TRY_DONE(status, tare_state_new(&c.state, &size.spec, size.samples, err));
    TARE_TRY_DONE(status, tare_calibration_run(&summary, &c, feed, run, err));
    TARE_TRY_DONE(status, tare_session_describe(z->report, &z->q.session, err));
    TARE_TRY_DONE(status, describe_run(z->report, &summary, z->method.text, err));
    TARE_TRY_DONE(status, tare_ranges_choose(&set, &z->q, c.state, &z->method,
                                             tare_wanted_threads(run), err));
    status = finish(z, &set, path, err);
done:
    tare_calibration_release(&c);
    return status;
}

TARE_API tare_status tare_quantize(const tare_model *model, const tare_dataset *dataset,
                                   const char *path, const tare_quantize_options *options,
                                   tare_report **report, tare_error *err) {
    tare_feed feed = {0};
    quantizing z;
    tare_status status;

    TARE_TRY_DONE(status, begin(&z, model, path, options, err));
    TARE_TRY_DONE(status, tare_session_open(&z.q.session, &options->run, err));
    TARE_TRY_DONE(status, tare_feed_open(&feed, dataset, &model->graph, options->samples,
                                         &options->run, err));
    TARE_TRY_DONE(status, tare_feed_describe(z.report, &feed, dataset, err));
    TARE_TRY_DONE(
        status, tare_quantization_place(&z.q, model, feed.shapes, feed.shape_count, options, err));
    status = quantize_placed(&z, &feed, path, err);
done:
    tare_feed_close(&feed);
    end(&z, report, status);
    return status;
}

/* ---- from a state ---- */

/* The shapes that the model was calibrated with stand in the state. */
static tare_status place_like(quantizing *z, const tare_state_identity *identity, tare_error *err) {
    tare_input_shape *shapes = tare_arena_array(&z->q.arena, identity->input_count, sizeof *shapes);
    if (shapes == NULL) {
        return tare_fail_memory(err, identity->input_count * sizeof *shapes, "the inputs");
    }
    for (size_t i = 0; i < identity->input_count; i++) {
        const tare_state_input *input = &identity->inputs[i];
        shapes[i] = (tare_input_shape){.name = input->name,
                                       .element = (tare_element)input->element,
                                       .rank = input->rank,
                                       .is_sample = true};
        memcpy(shapes[i].dims, input->dims, sizeof shapes[i].dims);
    }
    return tare_quantization_place(&z->q, z->model, shapes, identity->input_count, z->options, err);
}

static tare_status check_model(quantizing *z, const tare_state_identity *identity,
                               const char *state_path, tare_error *err) {
    tare_state_identity own = *identity;
    tare_status status;
    TARE_TRY(tare_calibration_hash(&own.model, &z->q.arena, z->model, err));
    status = tare_state_identity_check(identity, &own, err);
    if (status != TARE_OK) {
        tare_error_prepend(err, "'%s': ", state_path);
    }
    return status;
}

static tare_status describe_state(tare_report *report, const tare_state *state, const char *path,
                                  const char *method, tare_error *err) {
    const json_int_t samples = (json_int_t)tare_state_sample_count(state);
    json_t *run = json_pack("{s:I, s:o, s:s}", "samples", samples, "state", tare_json_text(path),
                            "method", method);
    if (run == NULL || json_object_set_new(report->json, "calibration", run) != 0) {
        return tare_fail_memory(err, 0, "a report");
    }
    tare_text_add(&report->text, "ranges (%s) from %lld samples of %s\n", method,
                  (long long)samples, path);
    return TARE_OK;
}

TARE_API tare_status tare_quantize_state(const tare_model *model, const char *state_path,
                                         const char *path, const tare_quantize_options *options,
                                         tare_report **report, tare_error *err) {
    tare_state_file file = {0};
    quantizing z;
    tare_range_set set;
    tare_status status;

    TARE_TRY_DONE(status, begin(&z, model, path, options, err));
    TARE_TRY_DONE(status, tare_state_read(&file, state_path, err));
    TARE_TRY_DONE(status, check_model(&z, &file.identity, state_path, err));
    TARE_TRY_DONE(status, place_like(&z, &file.identity, err));
    TARE_TRY_DONE(status, tare_quantization_describe(z.report, &z.q, err));
    TARE_TRY_DONE(status, describe_state(z.report, file.state, state_path, z.method.text, err));
    status = tare_ranges_choose(&set, &z.q, file.state, &z.method,
                                tare_wanted_threads(&options->run), err);
    if (status != TARE_OK) {
        tare_error_prepend(err, "'%s': ", state_path);
        goto done;
    }
    status = finish(&z, &set, path, err);
done:
    tare_state_file_release(&file);
    end(&z, report, status);
    return status;
}
