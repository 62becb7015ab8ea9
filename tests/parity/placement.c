/* SPDX-License-Identifier: Apache-2.0 */
/**
 * Prints where quantizers go: placement.py compares the lines with another implementation's.
 *
 * usage: placement MODEL performance|mixed generic|transformer [plain]
 *
 * plain: without the scalings of transformers. The model's value_info must hold all shapes. One
 * line per consumer: kind, node, port, tensor, scheme, granularity, range, sign, axis, half range,
 * group.
 */
#include <stdio.h>
#include <string.h>

#include "onnx/reader.h"
#include "quant/setup.h"

static void point_print(const tare_quantizer_point *point) {
    for (size_t i = 0; i < point->consumer_count; i++) {
        printf(
            "%s\t%s\t%zu\t%s\t%s\t%s\t%s\t%s\t%d\t%s\t",
            point->kind == TARE_POINT_WEIGHT ? "W" : "A", point->consumers[i].node->name,
            point->consumers[i].port, point->value->name, point->config.symmetric ? "sym" : "asym",
            point->config.per_channel ? "channel" : "tensor",
            point->config.narrow ? "narrow" : "full", point->config.signed_only ? "signed" : "open",
            point->axis, point->half_range ? "half" : "whole");
        if (point->group == TARE_NO_GROUP) {
            printf("-\n");
        } else {
            printf("%zu\n", point->group);
        }
    }
}

int main(int argc, char **argv) {
    tare_graph graph;
    tare_arena arena;
    tare_error err = {TARE_OK, ""};
    tare_quantizer_setup setup = {0};
    tare_target target = tare_target_openvino;
    if (argc != 4 && argc != 5) {
        fprintf(stderr, "usage: placement MODEL performance|mixed generic|transformer [plain]\n");
        return 2;
    }
    const tare_placement_options options = {
        .preset = strcmp(argv[2], "mixed") == 0 ? TARE_PRESET_MIXED : TARE_PRESET_PERFORMANCE,
        .model_type =
            strcmp(argv[3], "transformer") == 0 ? TARE_MODEL_TRANSFORMER : TARE_MODEL_GENERIC};
    target.scaled = argc == 5 ? 0 : target.scaled;
    tare_graph_init(&graph);
    tare_arena_init(&arena);
    tare_status status = tare_onnx_read(&graph, argv[1], &err);
    if (status == TARE_OK) {
        status = tare_quantizer_setup_build(&setup, &arena, &graph, &target, &options, &err);
    }
    for (size_t i = 0; i < setup.point_count; i++) {
        point_print(&setup.points[i]);
    }
    if (status != TARE_OK) {
        fprintf(stderr, "placement: %s\n", err.text);
    }
    tare_arena_release(&arena);
    tare_graph_release(&graph);
    return status == TARE_OK ? 0 : 1;
}
