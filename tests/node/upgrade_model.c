/* SPDX-License-Identifier: Apache-2.0 */
/**
 * Raises a model to opset 13: upgrade_model IN.onnx OUT.onnx
 *
 * Exits 3 when the model is unsupported, 1 for other errors; the message is on standard error.
 */
#include <stdio.h>

#include "onnx/reader.h"
#include "onnx/writer.h"
#include "ops/upgrade.h"

static tare_status upgrade(tare_graph *graph, const char *from, const char *to, tare_error *err) {
    TARE_TRY(tare_onnx_read(graph, from, err));
    TARE_TRY(tare_graph_upgrade(graph, TARE_UPGRADE_OPSET, err));
    return tare_onnx_write(graph, to, err);
}

int main(int argc, char **argv) {
    tare_graph graph;
    tare_error err;
    tare_status status;

    if (argc != 3) {
        fprintf(stderr, "usage: upgrade_model IN.onnx OUT.onnx\n");
        return 2;
    }
    tare_graph_init(&graph);
    status = upgrade(&graph, argv[1], argv[2], &err);
    tare_graph_release(&graph);
    if (status != TARE_OK) {
        fprintf(stderr, "%s\n", err.text);
    }
    return status == TARE_OK ? 0 : status == TARE_UNSUPPORTED ? 3 : 1;
}
