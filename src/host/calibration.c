/* SPDX-License-Identifier: Apache-2.0 */
/** Running a placed model over data into a calibration state. */
#include "calibration.h"

#include <stdlib.h>
#include <string.h>

#include "base/file.h"
#include "base/hash.h"
#include "batching.h"

/* NaN can vanish inside a network (a maximum or a clip drops it), so inputs are looked at even
 * where no quantizer stands on them. */
static tare_status check_record(const tare_calibration *c, size_t value_id,
                                const tare_reduce_record *record, tare_error *err) {
    if (record->nan > 0) {
        return tare_fail(err, TARE_INVALID_ARGUMENT, "input '%s' holds %llu NaN among %llu values",
                         c->q->session.graph.values[value_id]->name,
                         (unsigned long long)record->nan, (unsigned long long)record->elements);
    }
    return TARE_OK;
}

static tare_status check_input(const tare_calibration *c, size_t value_id, const tare_desc *desc,
                               const void *data, tare_error *err) {
    const tare_reduce_request request = {.desc = desc, .data = data};
    tare_reduce_record record;
    TARE_TRY(c->q->session.host->reduce(&record, &request, err));
    return check_record(c, value_id, &record, err);
}

static tare_status record_value(void *user, const tare_turn *turn, size_t value_id,
                                const tare_desc *desc, const void *data, tare_error *err) {
    const tare_calibration *c = user;
    const tare_state_entry entry = {.point = c->q->point_of_value[value_id],
                                    .slot = c->first_slot + turn->sample,
                                    .desc = desc,
                                    .data = data};
    if (entry.point == SIZE_MAX) {
        return check_input(c, value_id, desc, data, err);
    }
    c->open[turn->lane] = true;
    return tare_state_record(c->lanes[turn->lane], c->q->session.host, &entry, err);
}

/* In float16 an infinity says that the precision was too low, and a NaN may come of one. */
static bool overflows(const tare_calibration *c, size_t value_id,
                      const tare_reduce_record *record) {
    const tare_session *session = &c->q->session;
    const bool spoilt_input = session->graph.values[value_id]->is_input && record->nan > 0;
    return session->facts.precision == TARE_PRECISION_FP16 && !spoilt_input &&
           record->nan + record->positive_infinity + record->negative_infinity > 0;
}

static tare_status record_reduced(void *user, const tare_turn *turn, const tare_reduced *reduced,
                                  tare_error *err) {
    const tare_calibration *c = user;
    const tare_reduce_record *record = &reduced->result->records[reduced->sample];
    const tare_state_result result = {.point = c->q->point_of_value[reduced->value],
                                      .slot = c->first_slot + turn->sample,
                                      .result = reduced->result,
                                      .sample = reduced->sample,
                                      .images = reduced->images};
    if (overflows(c, reduced->value, record)) {
        c->overflowed[turn->lane] = true;
        return tare_fail(err, TARE_UNSUPPORTED,
                         "tensor '%s' leaves the range of float16, calibrate in tf32",
                         c->q->session.graph.values[reduced->value]->name);
    }
    if (result.point == SIZE_MAX) {
        return check_record(c, reduced->value, record, err);
    }
    c->open[turn->lane] = true;
    return tare_state_record_result(c->lanes[turn->lane], &result, err);
}

static void record_codes(void *user, size_t value_id, const uint64_t *counts, uint32_t top) {
    const tare_calibration *c = user;
    tare_state_record_codes(c->state, c->q->point_of_value[value_id], counts, top);
}

/* A quantized tensor that does not depend on the inputs was folded: its contents stand in the
 * graph. */
static tare_status record_constants(const tare_calibration *c, const tare_turn *turn,
                                    tare_error *err) {
    for (size_t i = 0; i < c->q->point_count; i++) {
        const tare_value *value = c->q->session.graph.values[c->q->points[i].value];
        tare_desc desc = {.dtype = value->dtype, .rank = value->rank, .layout = TARE_LAYOUT_PLAIN};
        const tare_state_entry entry = {.point = i,
                                        .slot = c->first_slot + turn->sample,
                                        .desc = &desc,
                                        .data =
                                            value->constant == NULL ? NULL : value->constant->data};
        if (value->constant != NULL) {
            memcpy(desc.dims, value->dims, sizeof desc.dims);
            TARE_TRY(tare_state_record(c->lanes[turn->lane], c->q->session.host, &entry, err));
        }
    }
    return TARE_OK;
}

static tare_status complete_sample(void *user, const tare_turn *turn, tare_error *err) {
    const tare_calibration *c = user;
    const tare_state_sample sample = {.id = turn->id, .name = turn->name};
    c->open[turn->lane] = true;
    TARE_TRY(record_constants(c, turn, err));
    TARE_TRY(tare_state_complete(c->state, c->first_slot + turn->sample, &sample, err));
    c->open[turn->lane] = false;
    return TARE_OK;
}

/* A sample that failed half-way has left counts behind that cannot be taken back. */
static bool is_consistent(const tare_calibration *c) {
    for (size_t i = 0; i < c->lane_count; i++) {
        if (c->open[i]) {
            return false;
        }
    }
    return true;
}

static void gather(tare_calibration *c) {
    for (size_t i = 0; i < c->lane_count; i++) {
        tare_state_merge(c->state, c->lanes[i]);
    }
    tare_state_settle(c->state);
}

static void save_checkpoint(void *user) {
    tare_calibration *c = user;
    gather(c);
    c->checkpoint(c->user, c->state);
}

tare_state_spec tare_calibration_spec(const tare_quantization *q) {
    return (tare_state_spec){.points = q->points,
                             .point_count = q->point_count,
                             .collect = q->collect,
                             .quantile = q->quantile};
}

/* What a device has to collect: the points, and inputs without one, which are only checked. */
static tare_status list_points(tare_session_limits *limits, tare_quantization *q,
                               const tare_state_spec *spec, tare_error *err) {
    const tare_graph *graph = &q->session.graph;
    const size_t most = q->point_count + graph->input_count;
    tare_session_point *points = tare_arena_array(&q->arena, most, sizeof *points);

    if (points == NULL) {
        return tare_fail_memory(err, most * sizeof *points, "the statistic points");
    }
    if (q->session.device != NULL &&
        (spec->collect & (TARE_COLLECT_MAGNITUDES | TARE_COLLECT_MEANS)) != 0) {
        return tare_fail(err, TARE_UNSUPPORTED,
                         "quantiles of magnitudes and means of samples are collected on the CPU "
                         "only; choose the device 'cpu'");
    }
    for (size_t i = 0; i < q->point_count; i++) {
        const tare_stat_point *point = &q->points[i];
        const bool windows = (spec->collect & TARE_COLLECT_WINDOWS) != 0;
        points[limits->point_count++] =
            (tare_session_point){.value = point->value,
                                 .axis = point->channels > 0 ? point->axis : 1,
                                 .channels = point->channels > 0,
                                 .codes = (spec->collect & TARE_COLLECT_CODES) != 0,
                                 .quantiles = (spec->collect & TARE_COLLECT_QUANTILES) != 0,
                                 .quantile = spec->quantile,
                                 .windows = windows ? point->windows : NULL,
                                 .window_count = windows ? point->window_count : 0};
    }
    for (size_t i = 0; i < graph->input_count; i++) {
        const size_t id = graph->inputs[i]->id;
        if (q->watched[id] && q->point_of_value[id] == SIZE_MAX) {
            points[limits->point_count++] = (tare_session_point){.value = id, .axis = 1};
        }
    }
    limits->points = points;
    return TARE_OK;
}

tare_status tare_calibration_plan(tare_quantization *q, tare_feed *feed,
                                  const tare_calibration_size *size, const tare_run_options *run,
                                  tare_error *err) {
    tare_session_limits limits = {.watched = q->watched,
                                  .threads = tare_wanted_threads(run),
                                  .memory_bytes = run->memory_bytes,
                                  .bytes_per_thread = tare_state_lane_bytes(&size->spec),
                                  .fixed_bytes = tare_state_bytes(&size->spec, size->samples)};

    TARE_TRY(tare_job_measure(&limits, &q->session, feed, run, err));
    TARE_TRY(list_points(&limits, q, &size->spec, err));
    TARE_TRY(tare_batching_choose(&limits, &q->session, feed, run, err));
    TARE_TRY(tare_model_blame(q->model, tare_session_plan(&q->session, &limits, err), err));
    tare_session_note(&q->session, run);
    return TARE_OK;
}

static void release_lanes(tare_calibration *c) {
    for (size_t i = 0; i < c->lane_count && c->lanes != NULL; i++) {
        tare_state_lane_free(c->lanes[i]);
    }
    free(c->lanes);
    free(c->open);
    free(c->overflowed);
    c->lanes = NULL;
    c->open = NULL;
    c->overflowed = NULL;
    c->lane_count = 0;
}

tare_status tare_calibration_begin(tare_job *job, tare_calibration *c, tare_error *err) {
    *job = (tare_job){.stage = "calibrate",
                      .user = c,
                      .value = record_value,
                      .reduced = record_reduced,
                      .codes = record_codes,
                      .done = complete_sample,
                      .pause = c->checkpoint == NULL ? NULL : save_checkpoint,
                      .pause_seconds = c->checkpoint_seconds};
    c->lane_count = (size_t)c->q->session.threads;
    c->lanes = calloc(c->lane_count, sizeof *c->lanes);
    c->open = calloc(c->lane_count, sizeof *c->open);
    c->overflowed = calloc(c->lane_count, sizeof *c->overflowed);
    if (c->lanes == NULL || c->open == NULL || c->overflowed == NULL) {
        return tare_fail_memory(err, c->lane_count * sizeof *c->lanes, "statistics");
    }
    for (size_t i = 0; i < c->lane_count; i++) {
        TARE_TRY(tare_state_lane_new(&c->lanes[i], c->state, err));
    }
    return TARE_OK;
}

static tare_status run_once(tare_run_summary *summary, tare_calibration *c, const tare_feed *feed,
                            const tare_run_options *run, tare_error *err) {
    tare_job job;
    tare_status status;

    TARE_TRY(tare_calibration_begin(&job, c, err));
    status = tare_job_run(summary, &c->q->session, feed, &job, run, err);
    if (status == TARE_OK || status == TARE_CANCELLED) {
        gather(c);
    }
    if (status == TARE_CANCELLED && c->checkpoint != NULL && is_consistent(c)) {
        c->checkpoint(c->user, c->state);
    }
    return status;
}

static bool has_overflowed(const tare_calibration *c) {
    for (size_t i = 0; i < c->lane_count && c->overflowed != NULL; i++) {
        if (c->overflowed[i]) {
            return true;
        }
    }
    return false;
}

/* Makes everything anew for a higher precision. */
static tare_status raise_precision(tare_calibration *c, tare_feed *feed,
                                   const tare_run_options *run, tare_error *err) {
    const tare_calibration_size size = {.spec = tare_calibration_spec(c->q),
                                        .samples = feed->count};
    release_lanes(c);
    tare_state_free(c->state);
    c->state = NULL;
    TARE_TRY(tare_session_reopen(&c->q->session, TARE_PRECISION_TF32, err));
    TARE_TRY(tare_calibration_plan(c->q, feed, &size, run, err));
    return tare_state_new(&c->state, &size.spec, size.samples, err);
}

tare_status tare_calibration_run(tare_run_summary *summary, tare_calibration *c, tare_feed *feed,
                                 const tare_run_options *run, tare_error *err) {
    tare_error why = {TARE_OK, ""};
    const tare_status status = run_once(summary, c, feed, run, &why);

    if (!has_overflowed(c) || c->first_slot > 0) {
        if (status != TARE_OK && err != NULL) {
            *err = why;
        }
        return status;
    }
    tare_note(run, "%s: the run begins anew in tf32", why.text);
    TARE_TRY(raise_precision(c, feed, run, err));
    return run_once(summary, c, feed, run, err);
}

void tare_calibration_release(tare_calibration *c) {
    if (c != NULL) {
        release_lanes(c);
        tare_state_free(c->state);
        *c = (tare_calibration){0};
    }
}

/* ---- identity ---- */

tare_status tare_calibration_hash(const char **out, tare_arena *arena, const tare_model *model,
                                  tare_error *err) {
    tare_mapping file = {0};
    uint64_t weights = 0, whole;

    TARE_TRY(tare_mapping_open(&file, model->path, err));
    whole = tare_hash_bytes(0, file.data, file.bytes);
    tare_mapping_release(&file);
    /* Weights may lie in files of their own; from here they look all the same. */
    for (size_t i = 0; i < model->graph.value_count; i++) {
        const tare_tensor *constant = model->graph.values[i]->constant;
        size_t bytes;
        if (constant != NULL &&
            tare_dims_bytes(&bytes, constant->dtype, constant->rank, constant->dims)) {
            weights = tare_hash_bytes(weights, constant->data, bytes);
        }
    }
    *out = tare_arena_printf(arena, "%016llx%016llx", (unsigned long long)whole,
                             (unsigned long long)weights);
    return *out == NULL ? tare_fail_memory(err, 33, "a hash") : TARE_OK;
}

static tare_status describe_preprocess(const char **out, tare_arena *arena, const tare_feed *feed,
                                       tare_error *err) {
    tare_text text = {0};
    tare_status status = TARE_OK;

    *out = "none";
    if (feed->has_preprocess) {
        status = tare_preprocess_write(&text, &feed->preprocess, err);
        if (status == TARE_OK) {
            *out = tare_arena_strdup(arena, text.data);
            status = *out == NULL ? tare_fail_memory(err, text.length, "a description") : TARE_OK;
        }
    }
    tare_text_release(&text);
    return status;
}

tare_status tare_calibration_identify(tare_state_identity *out, tare_arena *arena,
                                      const tare_model *model, const tare_feed *feed,
                                      tare_error *err) {
    tare_state_input *inputs = tare_arena_array(arena, feed->shape_count, sizeof *inputs);

    *out = (tare_state_identity){.precision = TARE_STATE_PRECISION, .inputs = inputs};
    if (inputs == NULL) {
        return tare_fail_memory(err, feed->shape_count * sizeof *inputs, "the inputs");
    }
    for (size_t i = 0; i < feed->shape_count; i++) {
        inputs[i] = (tare_state_input){.name = feed->shapes[i].name,
                                       .element = (int64_t)feed->shapes[i].element,
                                       .rank = feed->shapes[i].rank};
        memcpy(inputs[i].dims, feed->shapes[i].dims, sizeof inputs[i].dims);
    }
    out->input_count = feed->shape_count;
    TARE_TRY(tare_calibration_hash(&out->model, arena, model, err));
    return describe_preprocess(&out->preprocess, arena, feed, err);
}
