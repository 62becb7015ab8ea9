/* SPDX-License-Identifier: Apache-2.0 */
/** Public API: quantizing a model. tare_quantize() reads in the order of the pipeline. */
#include "quantize.h"

#include <stdlib.h>
#include <string.h>

#include "base/file.h"
#include "onnx/writer.h"
#include "quant/qdq.h"
#include "workers.h"

/* What worker threads need to take statistics. */
typedef struct calibration {
    tare_quantization *q;
    tare_state *state;
    tare_state_lane **lanes;
    size_t lane_count;
} calibration;

/* NaN can vanish inside a network (a maximum or a clip drops it), so inputs are looked at even
 * where no quantizer stands on them. */
static tare_status check_input(const calibration *c, size_t value_id, const tare_desc *desc,
                               const void *data, tare_error *err) {
    const tare_range_request request = {.desc = desc, .data = data};
    tare_range_record range;
    TARE_TRY(c->q->backend->range(&range, &request, err));
    if (range.nan > 0) {
        return tare_fail(err, TARE_INVALID_ARGUMENT, "input '%s' holds %llu NaN among %llu values",
                         c->q->session.graph.values[value_id]->name, (unsigned long long)range.nan,
                         (unsigned long long)range.elements);
    }
    return TARE_OK;
}

static tare_status record_value(void *user, const tare_turn *turn, size_t value_id,
                                const tare_desc *desc, const void *data, tare_error *err) {
    const calibration *c = user;
    if (c->q->point_of_value[value_id] == SIZE_MAX) {
        return check_input(c, value_id, desc, data, err);
    }
    /* Several quantizers may stand on one tensor (one per consumer); their statistics are the same.
     */
    for (size_t i = c->q->point_of_value[value_id]; i < c->q->point_count; i++) {
        const tare_state_entry entry = {
            .point = i, .sample = turn->sample, .desc = desc, .data = data};
        if (c->q->points[i].value == value_id) {
            TARE_TRY(tare_state_record(c->lanes[turn->lane], c->q->backend, &entry, err));
        }
    }
    return TARE_OK;
}

/* A quantized tensor that does not depend on the inputs was folded: its contents stand in the
 * graph. */
static tare_status record_constants(const calibration *c, const tare_turn *turn, tare_error *err) {
    for (size_t i = 0; i < c->q->point_count; i++) {
        const tare_value *value = c->q->session.graph.values[c->q->points[i].value];
        tare_desc desc = {.dtype = value->dtype, .rank = value->rank, .layout = TARE_LAYOUT_PLAIN};
        const tare_state_entry entry = {.point = i,
                                        .sample = turn->sample,
                                        .desc = &desc,
                                        .data =
                                            value->constant == NULL ? NULL : value->constant->data};
        if (value->constant != NULL) {
            memcpy(desc.dims, value->dims, sizeof desc.dims);
            TARE_TRY(tare_state_record(c->lanes[turn->lane], c->q->backend, &entry, err));
        }
    }
    return TARE_OK;
}

static tare_status complete_sample(void *user, const tare_turn *turn, tare_error *err) {
    const calibration *c = user;
    TARE_TRY(record_constants(c, turn, err));
    tare_state_complete(c->state, turn->sample);
    return TARE_OK;
}

static tare_status calibrate(calibration *c, tare_run_summary *summary, const tare_feed *feed,
                             const tare_run_options *options, tare_error *err) {
    const tare_job job = {
        .stage = "calibrate", .user = c, .value = record_value, .done = complete_sample};

    TARE_TRY(tare_state_new(&c->state, c->q->points, c->q->point_count, feed->count, err));
    c->lane_count = (size_t)c->q->session.threads;
    c->lanes = calloc(c->lane_count, sizeof *c->lanes);
    if (c->lanes == NULL) {
        return tare_fail_memory(err, c->lane_count * sizeof *c->lanes, "statistics");
    }
    for (size_t i = 0; i < c->lane_count; i++) {
        TARE_TRY(tare_state_lane_new(&c->lanes[i], c->state, err));
    }
    TARE_TRY(tare_workers_run(summary, &c->q->session, feed, &job, options, err));
    for (size_t i = 0; i < c->lane_count; i++) {
        tare_state_merge(c->state, c->lanes[i]);
    }
    return TARE_OK;
}

static void release_calibration(calibration *c) {
    for (size_t i = 0; i < c->lane_count && c->lanes != NULL; i++) {
        tare_state_lane_free(c->lanes[i]);
    }
    free(c->lanes);
    tare_state_free(c->state);
}

/* One range per quantizer of the setup; those of weights stay empty. */
static tare_status choose_ranges(tare_activation_range **out, calibration *c,
                                 const tare_method *method, tare_error *err) {
    tare_arena *arena = &c->q->arena;
    tare_activation_range *ranges =
        tare_arena_array(arena, c->q->setup.point_count, sizeof *ranges);

    *out = ranges;
    if (ranges == NULL) {
        return tare_fail_memory(err, c->q->setup.point_count * sizeof *ranges, "the ranges");
    }
    for (size_t i = 0; i < c->q->point_count; i++) {
        const tare_stat_point *point = &c->q->points[i];
        const tare_quantizer_point *quantizer = &c->q->setup.points[c->q->setup_of_point[i]];
        const size_t count = point->channels > 0 ? (size_t)point->channels : 1;
        tare_range range = {.channels = point->channels};
        range.min = tare_arena_array(arena, count, sizeof *range.min);
        range.max = tare_arena_array(arena, count, sizeof *range.max);
        if (range.min == NULL || range.max == NULL) {
            return tare_fail_memory(err, count * sizeof *range.min, "a range");
        }
        TARE_TRY(method->range(&range, c->state, i, quantizer->uses_abs_max, err));
        ranges[c->q->setup_of_point[i]] =
            (tare_activation_range){.min = range.min, .max = range.max, .channels = (int64_t)count};
    }
    return TARE_OK;
}

static tare_status describe_run(tare_report *report, const tare_run_summary *summary,
                                const tare_method *method, tare_error *err) {
    const double rate = summary->seconds > 0.0 ? (double)summary->samples / summary->seconds : 0.0;
    json_t *run = json_pack("{s:I, s:I, s:f, s:f, s:s}", "samples", (json_int_t)summary->samples,
                            "skipped", (json_int_t)summary->skipped, "seconds", summary->seconds,
                            "images_per_second", rate, "method", method->name);
    if (run == NULL || json_object_set_new(report->json, "calibration", run) != 0) {
        return tare_fail_memory(err, 0, "a report");
    }
    tare_text_add(&report->text, "calibrated (%s) on %zu samples in %.2f s (%.1f images/s)",
                  method->name, summary->samples, summary->seconds, rate);
    if (summary->skipped > 0) {
        tare_text_add(&report->text, ", %zu skipped", summary->skipped);
    }
    tare_text_add(&report->text, "\n");
    return TARE_OK;
}

static tare_status describe_ranges(tare_report *report, const calibration *c,
                                   const tare_activation_range *ranges, tare_error *err) {
    json_t *list = json_object_get(report->json, "quantizers");
    for (size_t i = 0; i < c->q->setup.point_count; i++) {
        json_t *entry = json_array_get(list, i);
        json_t *min = json_array(), *max = json_array();
        for (int64_t k = 0; k < ranges[i].channels; k++) {
            (void)json_array_append_new(min, json_real((double)ranges[i].min[k]));
            (void)json_array_append_new(max, json_real((double)ranges[i].max[k]));
        }
        if (ranges[i].channels == 0) {
            json_decref(min);
            json_decref(max);
        } else if (json_object_set_new(entry, "min", min) != 0 ||
                   json_object_set_new(entry, "max", max) != 0) {
            return tare_fail_memory(err, 0, "a report");
        }
    }
    return TARE_OK;
}

static tare_status describe_output(tare_report *report, const tare_model *model, const char *path,
                                   tare_error *err) {
    json_t *json = json_pack("{s:s, s:s}", "model", model->path, "output", path);
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

/* Everything after the placement: plan, run, choose, insert, write. */
static tare_status quantize_placed(tare_quantization *q, const tare_model *model,
                                   const tare_feed *feed, const char *path,
                                   const tare_quantize_options *options, tare_report *report,
                                   tare_error *err) {
    const tare_run_options *run = &options->run;
    const int threads = run->threads > 0 ? run->threads : tare_processor_count();
    tare_session_limits limits = {
        .watched = q->watched, .threads = threads, .memory_bytes = run->memory_bytes};
    tare_onnx_write_options write = tare_onnx_write_options_default();
    calibration c = {.q = q};
    tare_activation_range *ranges = NULL;
    const tare_method *method = NULL;
    tare_run_summary summary;
    char total[TARE_BYTES_TEXT];
    tare_status status;

    TARE_TRY_DONE(status, tare_registry_method(&method, "minmax", err));
    TARE_TRY_DONE(status, tare_workers_data_bytes(&limits.fixed_bytes, feed, threads, run, err));
    limits.fixed_bytes += tare_state_bytes(q->points, q->point_count, feed->count, (size_t)threads);
    TARE_TRY_DONE(status, tare_session_plan(&q->session, &limits, err));
    tare_note(run, "memory plan: %s with %d threads",
              tare_bytes_text(total, sizeof total, tare_session_bytes(&q->session, &limits)),
              q->session.threads);
    TARE_TRY_DONE(status, tare_quantization_describe(report, q, err));
    TARE_TRY_DONE(status, tare_session_describe(report, &q->session, &limits, err));
    TARE_TRY_DONE(status, calibrate(&c, &summary, feed, run, err));
    TARE_TRY_DONE(status, choose_ranges(&ranges, &c, method, err));
    TARE_TRY_DONE(status, describe_run(report, &summary, method, err));
    TARE_TRY_DONE(status, describe_ranges(report, &c, ranges, err));
    TARE_TRY_DONE(status, tare_qdq_insert(&q->graph, &q->setup, ranges, err));
    restore_shapes(&q->graph, &model->graph);
    write.source = &model->graph;
    TARE_TRY_DONE(status, tare_onnx_write_with(&q->graph, path, &write, err));
    status = describe_output(report, model, path, err);
done:
    release_calibration(&c);
    return status;
}

TARE_API tare_status tare_quantize(const tare_model *model, const tare_dataset *dataset,
                                   const char *path, const tare_quantize_options *options,
                                   tare_report **report, tare_error *err) {
    tare_report *made = NULL;
    tare_quantization q;
    tare_feed feed = {0};
    tare_status status;

    if (report != NULL) {
        *report = NULL;
    }
    TARE_TRY_DONE(status, tare_quantization_init(&q, options, err));
    TARE_TRY_DONE(status, tare_report_new(&made, err));
    TARE_TRY_DONE(status, tare_output_check(path, err));
    TARE_TRY_DONE(status, tare_feed_open(&feed, dataset, &model->graph, options->samples,
                                         &options->run, err));
    TARE_TRY_DONE(status, tare_feed_describe(made, &feed, dataset, err));
    TARE_TRY_DONE(status,
                  tare_quantization_place(&q, model, feed.shapes, feed.shape_count, options, err));
    TARE_TRY_DONE(status, quantize_placed(&q, model, &feed, path, options, made, err));
    TARE_TRY_DONE(status, tare_report_finish(made, err));
    if (report != NULL) {
        *report = made;
        made = NULL;
    }
done:
    tare_feed_close(&feed);
    tare_quantization_release(&q);
    tare_report_free(made);
    return status;
}
