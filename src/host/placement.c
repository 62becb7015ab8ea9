/* SPDX-License-Identifier: Apache-2.0 */
/** From a model to a bound session with quantizers placed. */
#include <string.h>

#include "ops/upgrade.h"
#include "pass/batch_norm.h"
#include "quant/sums.h"
#include "quantize.h"

TARE_API void tare_quantize_options_init(tare_quantize_options *options) {
    *options = (tare_quantize_options){.samples = 300, .target = "openvino"};
    tare_run_options_init(&options->run);
}

tare_status tare_quantization_init(tare_quantization *q, const tare_quantize_options *options,
                                   tare_error *err) {
    *q = (tare_quantization){0};
    tare_graph_init(&q->graph);
    tare_session_init(&q->session);
    tare_arena_init(&q->arena);
    return tare_registry_target(&q->target, options->target, err);
}

void tare_quantization_release(tare_quantization *q) {
    if (q != NULL) {
        tare_session_release(&q->session);
        tare_graph_release(&q->graph);
        tare_arena_release(&q->arena);
    }
}

/* Placement reads types and shapes from the graph to write; the executed clone has inferred them.
 */
static void copy_shapes(tare_graph *to, const tare_graph *from) {
    for (size_t i = 0; i < to->value_count && i < from->value_count; i++) {
        tare_value *value = to->values[i];
        const tare_value *known = from->values[i];
        /* What the file leaves open in its interface stays open there; placement needs rank and
         * type only. */
        if (value->is_input || value->is_output) {
            value->dtype = value->dtype == TARE_DTYPE_UNDEFINED ? known->dtype : value->dtype;
            if (value->rank < 0) {
                value->rank = known->rank;
                for (int k = 0; k < known->rank; k++) {
                    value->dims[k] = -1;
                }
            }
            continue;
        }
        value->dtype = known->dtype;
        value->rank = known->rank;
        memcpy(value->dims, known->dims, sizeof value->dims);
    }
}

/* What is wanted of each value; a point without a value: nothing. */
static tare_status new_wishes(tare_stat_point **out, tare_quantization *q, tare_error *err) {
    const size_t values = q->session.graph.value_count;
    *out = tare_arena_array(&q->arena, values, sizeof **out);
    if (*out == NULL) {
        return tare_fail_memory(err, values * sizeof **out, "the statistic points");
    }
    for (size_t i = 0; i < values; i++) {
        (*out)[i] =
            (tare_stat_point){.value = SIZE_MAX, .tensor = q->session.graph.values[i]->name};
    }
    return TARE_OK;
}

/* Adds what the quantizers of the setup want. */
static tare_status add_wishes(tare_stat_point *wishes, const tare_quantization *q,
                              tare_error *err) {
    for (size_t i = 0; i < q->setup.point_count; i++) {
        const tare_quantizer_point *quantizer = &q->setup.points[i];
        const bool per_channel = quantizer->axis >= 0;
        tare_stat_point *wish = &wishes[quantizer->value->id];
        if (quantizer->kind != TARE_POINT_ACTIVATION) {
            continue;
        }
        if (per_channel && quantizer->axis != 1) {
            return tare_fail(err, TARE_INTERNAL, "tensor '%s' is to be quantized along axis %d",
                             quantizer->value->name, quantizer->axis);
        }
        wish->value = quantizer->value->id;
        if (per_channel) {
            wish->channels = quantizer->channels;
            wish->axis = 1;
        }
    }
    return TARE_OK;
}

/* One point per value that is wanted: several quantizers may stand on one tensor. */
static tare_status make_points(tare_quantization *q, const tare_stat_point *wishes,
                               tare_error *err) {
    const tare_graph *graph = &q->session.graph;
    const size_t values = graph->value_count;

    q->points = tare_arena_array(&q->arena, values, sizeof *q->points);
    q->watched = tare_arena_array(&q->arena, values, sizeof *q->watched);
    q->point_of_value = tare_arena_array(&q->arena, values, sizeof *q->point_of_value);
    if (q->points == NULL || q->watched == NULL || q->point_of_value == NULL) {
        return tare_fail_memory(err, values * sizeof *q->points, "the statistic points");
    }
    for (size_t i = 0; i < values; i++) {
        q->point_of_value[i] = SIZE_MAX;
        if (wishes[i].value != SIZE_MAX) {
            q->watched[i] = true;
            q->point_of_value[i] = q->point_count;
            q->points[q->point_count++] = wishes[i];
        }
    }
    for (size_t i = 0; i < graph->input_count; i++) {
        const tare_value *input = graph->inputs[i];
        q->watched[input->id] =
            q->watched[input->id] || (input->constant == NULL && input->dtype == TARE_DTYPE_FLOAT);
    }
    return TARE_OK;
}

static tare_status link_points(tare_quantization *q, tare_error *err) {
    q->point_of_setup =
        tare_arena_array(&q->arena, q->setup.point_count, sizeof *q->point_of_setup);
    if (q->point_of_setup == NULL) {
        return tare_fail_memory(err, q->setup.point_count * sizeof *q->point_of_setup,
                                "the statistic points");
    }
    for (size_t i = 0; i < q->setup.point_count; i++) {
        const tare_quantizer_point *quantizer = &q->setup.points[i];
        q->point_of_setup[i] = quantizer->kind == TARE_POINT_ACTIVATION
                                   ? q->point_of_value[quantizer->value->id]
                                   : SIZE_MAX;
    }
    return TARE_OK;
}

static tare_placement_options placement_of(const tare_quantize_options *options) {
    return (tare_placement_options){.preset = options->preset,
                                    .model_type = options->model_type,
                                    .ignored_names = options->ignored_names,
                                    .ignored_name_count = options->ignored_name_count,
                                    .ignored_types = options->ignored_types,
                                    .ignored_type_count = options->ignored_type_count,
                                    .ignored_patterns = options->ignored_patterns,
                                    .ignored_pattern_count = options->ignored_pattern_count};
}

/* The graph to write at the target's opset, and a bound clone of it. */
static tare_status bind_graph(tare_quantization *q, const tare_model *model,
                              const tare_input_shape *shapes, size_t shape_count,
                              const tare_run_options *run, tare_error *err) {
    const int64_t opset = tare_graph_opset(&model->graph, "");

    q->model = model;
    tare_graph_release(&q->graph);
    TARE_TRY(tare_graph_clone(&q->graph, &model->graph, err));
    if (opset < q->target->opset) {
        /* What is unsupported should be said about the model as it is, not about a rewritten one.
         */
        TARE_TRY(tare_session_bind(&q->session, &model->graph, shapes, shape_count, err));
        copy_shapes(&q->graph, &q->session.graph);
        TARE_TRY(tare_graph_upgrade(&q->graph, q->target->opset, err));
        tare_note(run, "the model's opset %lld is raised to %lld, which per-channel scales need",
                  (long long)opset, (long long)q->target->opset);
    }
    TARE_TRY(tare_session_bind(&q->session, &q->graph, shapes, shape_count, err));
    copy_shapes(&q->graph, &q->session.graph);
    return TARE_OK;
}

static tare_status place(tare_quantization *q, const tare_model *model,
                         const tare_input_shape *shapes, size_t shape_count,
                         const tare_quantize_options *options, tare_error *err) {
    const tare_placement_options placement = placement_of(options);
    tare_stat_point *wishes = NULL;
    size_t folded;

    TARE_TRY(bind_graph(q, model, shapes, shape_count, &options->run, err));
    TARE_TRY(
        tare_quantizer_setup_build(&q->setup, &q->arena, &q->graph, q->target, &placement, err));
    TARE_TRY(new_wishes(&wishes, q, err));
    TARE_TRY(add_wishes(wishes, q, err));
    TARE_TRY(make_points(q, wishes, err));
    TARE_TRY(link_points(q, err));
    return tare_pass_fold_batch_norm(&folded, &q->session.graph, q->watched, err);
}

static tare_status watch(tare_quantization *q, const tare_model *model,
                         const tare_input_shape *shapes, size_t shape_count,
                         const tare_quantize_options *options, tare_error *err) {
    static const tare_preset presets[] = {TARE_PRESET_PERFORMANCE, TARE_PRESET_MIXED};
    static const tare_model_type types[] = {TARE_MODEL_GENERIC, TARE_MODEL_TRANSFORMER};
    tare_placement_options placements[2] = {placement_of(options), {0}};
    const bool ignores =
        options->ignored_name_count + options->ignored_type_count + options->ignored_pattern_count >
        0;
    tare_stat_point *wishes = NULL;
    size_t folded;

    TARE_TRY(bind_graph(q, model, shapes, shape_count, &options->run, err));
    TARE_TRY(new_wishes(&wishes, q, err));
    for (size_t i = 0; i < 8; i++) {
        tare_placement_options *placement = &placements[i / 4];
        placement->preset = presets[i % 2];
        placement->model_type = types[i / 2 % 2];
        if (i < 4 || ignores) {
            TARE_TRY(tare_quantizer_setup_build(&q->setup, &q->arena, &q->graph, q->target,
                                                placement, err));
            TARE_TRY(add_wishes(wishes, q, err));
        }
    }
    q->setup = (tare_quantizer_setup){.target = q->target};
    if ((q->collect & (TARE_COLLECT_SUMS | TARE_COLLECT_WINDOWS)) != 0) {
        TARE_TRY(tare_sums_add(wishes, &q->arena, &q->session.graph, err));
    }
    TARE_TRY(make_points(q, wishes, err));
    return tare_pass_fold_batch_norm(&folded, &q->session.graph, q->watched, err);
}

tare_status tare_quantization_place(tare_quantization *q, const tare_model *model,
                                    const tare_input_shape *shapes, size_t shape_count,
                                    const tare_quantize_options *options, tare_error *err) {
    return tare_model_blame(model, place(q, model, shapes, shape_count, options, err), err);
}

tare_status tare_quantization_watch(tare_quantization *q, const tare_model *model,
                                    const tare_input_shape *shapes, size_t shape_count,
                                    const tare_quantize_options *options, tare_error *err) {
    return tare_model_blame(model, watch(q, model, shapes, shape_count, options, err), err);
}

static const char *scheme_text(const tare_quantizer_config *config) {
    return config->symmetric ? "symmetric" : "asymmetric";
}

tare_status tare_quantization_describe(tare_report *report, const tare_quantization *q,
                                       tare_error *err) {
    json_t *list = json_array();
    size_t weights = 0, per_channel = 0;

    if (list == NULL || json_object_set_new(report->json, "quantizers", list) != 0) {
        return tare_fail_memory(err, 0, "a report");
    }
    for (size_t i = 0; i < q->setup.point_count; i++) {
        const tare_quantizer_point *point = &q->setup.points[i];
        json_t *consumers = json_array();
        json_t *entry = json_pack(
            "{s:o, s:s, s:s, s:b, s:i}", "tensor", tare_json_text(point->value->name), "kind",
            point->kind == TARE_POINT_WEIGHT ? "weight" : "activation", "scheme",
            scheme_text(&point->config), "per_channel", point->axis >= 0, "axis", point->axis);
        for (size_t k = 0; k < point->consumer_count && consumers != NULL; k++) {
            (void)json_array_append_new(
                consumers, json_pack("[o, I]", tare_json_text(point->consumers[k].node->name),
                                     (json_int_t)point->consumers[k].port));
        }
        if (entry == NULL || consumers == NULL ||
            json_object_set_new(entry, "consumers", consumers) != 0 ||
            json_array_append_new(list, entry) != 0) {
            return tare_fail_memory(err, 0, "a report");
        }
        weights += point->kind == TARE_POINT_WEIGHT ? 1U : 0U;
        per_channel += point->kind == TARE_POINT_ACTIVATION && point->axis >= 0 ? 1U : 0U;
    }
    tare_text_add(&report->text,
                  "quantizers for %s: %zu activations (%zu per channel), %zu weights\n",
                  q->target->name, q->setup.point_count - weights, per_channel, weights);
    return tare_text_check(&report->text, err);
}
