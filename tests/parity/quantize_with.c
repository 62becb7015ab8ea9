/* SPDX-License-Identifier: Apache-2.0 */
/**
 * Quantizes a model with ranges from a file, so that parameters can be checked apart from the
 * executor; see parity.py.
 *
 * usage: quantize_with MODEL performance|mixed generic|transformer RANGES.json OUTPUT
 *
 * RANGES.json: {tensor: {"min", "max", "abs_max": number, "channel_min", "channel_max",
 * "channel_abs_max": list}}. The model's value_info must hold all shapes.
 */
#include <stdio.h>
#include <string.h>

#include "base/json.h"
#include "onnx/reader.h"
#include "onnx/writer.h"
#include "quant/qdq.h"

static float *numbers_read(tare_arena *arena, const json_t *json, int64_t channels) {
    float *numbers = tare_arena_array(arena, (size_t)channels, sizeof(*numbers));
    const bool list = json_is_array(json);
    if (numbers == NULL || (list && json_array_size(json) != (size_t)channels) ||
        (!list && channels != 1)) {
        return NULL;
    }
    for (int64_t i = 0; i < channels; i++) {
        numbers[i] = (float)json_number_value(list ? json_array_get(json, (size_t)i) : json);
    }
    return numbers;
}

static tare_status ranges_read(tare_activation_range *ranges, tare_arena *arena,
                               const tare_quantizer_setup *setup, const json_t *json,
                               tare_error *err) {
    for (size_t i = 0; i < setup->point_count; i++) {
        const tare_quantizer_point *point = &setup->points[i];
        const json_t *entry = json_object_get(json, point->value->name);
        const bool channels = point->axis >= 0;
        if (point->kind == TARE_POINT_WEIGHT) {
            continue;
        }
        const char *max = point->uses_abs_max ? (channels ? "channel_abs_max" : "abs_max")
                                              : (channels ? "channel_max" : "max");
        ranges[i].channels = point->channels;
        ranges[i].min = numbers_read(
            arena, json_object_get(entry, channels ? "channel_min" : "min"), point->channels);
        ranges[i].max = numbers_read(arena, json_object_get(entry, max), point->channels);
        if (entry == NULL || ranges[i].min == NULL || ranges[i].max == NULL) {
            return tare_fail(err, TARE_NOT_FOUND, "no range for %lld channels of '%s'",
                             (long long)point->channels, point->value->name);
        }
    }
    return TARE_OK;
}

static tare_status quantize(tare_graph *graph, tare_arena *arena, char **argv, tare_error *err) {
    const tare_placement_options options = {
        .preset = strcmp(argv[2], "mixed") == 0 ? TARE_PRESET_MIXED : TARE_PRESET_PERFORMANCE,
        .model_type =
            strcmp(argv[3], "transformer") == 0 ? TARE_MODEL_TRANSFORMER : TARE_MODEL_GENERIC};
    tare_quantizer_setup setup;
    json_t *json;
    TARE_TRY(tare_onnx_read(graph, argv[1], err));
    TARE_TRY(
        tare_quantizer_setup_build(&setup, arena, graph, &tare_target_openvino, &options, err));
    tare_activation_range *ranges = tare_arena_array(arena, setup.point_count, sizeof(*ranges));
    if (ranges == NULL) {
        return tare_fail_memory(err, setup.point_count * sizeof(*ranges), "ranges");
    }
    TARE_TRY(tare_json_read(&json, argv[4], err));
    const tare_status status = ranges_read(ranges, arena, &setup, json, err);
    json_decref(json);
    TARE_TRY(status);
    TARE_TRY(tare_qdq_insert(graph, &setup, ranges, err));
    return tare_onnx_write(graph, argv[5], err);
}

int main(int argc, char **argv) {
    tare_graph graph;
    tare_arena arena;
    tare_error err = {TARE_OK, ""};
    if (argc != 6) {
        fprintf(stderr, "usage: quantize_with MODEL performance|mixed generic|transformer "
                        "RANGES.json OUTPUT\n");
        return 2;
    }
    tare_graph_init(&graph);
    tare_arena_init(&arena);
    const tare_status status = quantize(&graph, &arena, argv, &err);
    if (status != TARE_OK) {
        fprintf(stderr, "quantize_with: %s\n", err.text);
    }
    tare_arena_release(&arena);
    tare_graph_release(&graph);
    return status == TARE_OK ? 0 : 1;
}
