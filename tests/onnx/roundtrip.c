/* SPDX-License-Identifier: Apache-2.0 */
/** Reads and writes the models named in a list file ("source<TAB>destination" per line) and prints
 * one line per model: "ok" or the error. Fails only when the list cannot be worked through. */
#include <stdio.h>
#include <string.h>

#include "onnx/reader.h"
#include "onnx/writer.h"

static tare_status copy_model(const char *from, const char *to, bool clone, tare_error *err) {
    tare_onnx_write_options options = tare_onnx_write_options_default();
    tare_graph graph, copy;
    tare_status status;

    tare_graph_init(&graph);
    tare_graph_init(&copy);
    status = tare_onnx_read(&graph, from, err);
    if (status == TARE_OK && clone) {
        options.source = &graph;
        status = tare_graph_clone(&copy, &graph, err);
    }
    if (status == TARE_OK) {
        status = tare_onnx_write_with(clone ? &copy : &graph, to, &options, err);
    }
    tare_graph_release(&copy);
    tare_graph_release(&graph);
    return status;
}

int main(int argc, char **argv) {
    char line[8192];
    FILE *list = argc == 3 ? fopen(argv[2], "r") : NULL;
    if (list == NULL) {
        (void)fprintf(stderr, "usage: onnx_roundtrip read|clone LIST\n");
        return 2;
    }
    while (fgets(line, sizeof line, list) != NULL) {
        char *tab = strchr(line, '\t');
        tare_error err = {0};
        if (tab == NULL) {
            (void)fprintf(stderr, "a line without a tab: %s\n", line);
            (void)fclose(list);
            return 2;
        }
        *tab = '\0';
        tab[1 + strcspn(tab + 1, "\n")] = '\0';
        (void)puts(copy_model(line, tab + 1, strcmp(argv[1], "clone") == 0, &err) == TARE_OK
                       ? "ok"
                       : err.text);
    }
    (void)fclose(list);
    return 0;
}
