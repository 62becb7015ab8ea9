/* SPDX-License-Identifier: Apache-2.0 */
/** Fuzz target of the ONNX reader and writer: whatever loads must be written as a model that loads,
 * and that is written as the same bytes. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "onnx/reader.h"
#include "onnx/writer.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void require(bool holds, const char *what, const tare_error *err) {
    if (!holds) {
        (void)fprintf(stderr, "%s: %s\n", what, err->text);
        abort();
    }
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
    const tare_onnx_write_options options = tare_onnx_write_options_default();
    tare_graph graph, again;
    tare_buffer *first = NULL, *second = NULL;
    tare_error err = {0};

    tare_graph_init(&graph);
    tare_graph_init(&again);
    if (tare_onnx_read_memory(&graph, data, size, NULL, &err) == TARE_OK) {
        require(tare_onnx_write_memory(&first, &graph, &options, &err) == TARE_OK,
                "a model that loads is not written", &err);
        require(tare_onnx_read_memory(&again, tare_buffer_data(first), tare_buffer_bytes(first),
                                      NULL, &err) == TARE_OK,
                "a written model does not load", &err);
        require(tare_onnx_write_memory(&second, &again, &options, &err) == TARE_OK,
                "a written model is not written again", &err);
        require(tare_buffer_bytes(first) == tare_buffer_bytes(second) &&
                    memcmp(tare_buffer_data(first), tare_buffer_data(second),
                           tare_buffer_bytes(first)) == 0,
                "writing again changes the bytes", &err);
    } else {
        require(err.code != TARE_OK && err.text[0] != '\0', "an error without a text", &err);
    }
    tare_buffer_release(first);
    tare_buffer_release(second);
    tare_graph_release(&again);
    tare_graph_release(&graph);
    return 0;
}
