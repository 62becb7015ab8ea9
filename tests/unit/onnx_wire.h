/* SPDX-License-Identifier: Apache-2.0 */
/** Builds serialized ONNX models byte by byte, independent of the schema under test. */
#ifndef TESTS_ONNX_WIRE_H
#define TESTS_ONNX_WIRE_H

#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

typedef struct wire {
    unsigned char *data;
    size_t bytes;
} wire;

static inline void wire_raw(wire *w, const void *data, size_t bytes) {
    w->data = realloc(w->data, w->bytes + bytes + 1);
    if (bytes > 0) {
        memcpy(w->data + w->bytes, data, bytes);
    }
    w->bytes += bytes;
}

static inline void wire_varint(wire *w, uint64_t value) {
    do {
        const unsigned char byte = (unsigned char)((value & 0x7f) | (value > 0x7f ? 0x80 : 0));
        wire_raw(w, &byte, 1);
        value >>= 7;
    } while (value != 0);
}

static inline wire *wire_number(wire *w, unsigned field, uint64_t value) {
    wire_varint(w, (uint64_t)field << 3);
    wire_varint(w, value);
    return w;
}

static inline wire *wire_bytes(wire *w, unsigned field, const void *data, size_t bytes) {
    wire_varint(w, (uint64_t)field << 3 | 2);
    wire_varint(w, bytes);
    wire_raw(w, data, bytes);
    return w;
}

static inline wire *wire_text(wire *w, unsigned field, const char *text) {
    return wire_bytes(w, field, text, strlen(text));
}

static inline wire *wire_float(wire *w, unsigned field, float value) {
    wire_varint(w, (uint64_t)field << 3 | 5);
    wire_raw(w, &value, sizeof value);
    return w;
}

/* Appends `inner` as a nested message and empties it. */
static inline wire *wire_message(wire *w, unsigned field, wire *inner) {
    wire_bytes(w, field, inner->data, inner->bytes);
    free(inner->data);
    *inner = (wire){0};
    return w;
}

/* TensorProto without contents: dims 1, data_type 2, name 8. */
static inline wire wire_tensor(const char *name, int dtype, int rank, const int64_t *dims) {
    wire w = {0};
    for (int i = 0; i < rank; i++) {
        wire_number(&w, 1, (uint64_t)dims[i]);
    }
    wire_number(&w, 2, (uint64_t)dtype);
    wire_text(&w, 8, name);
    return w;
}

/* A float tensor with raw data 0.5, 1.5, 2.5 ... */
static inline wire wire_floats(const char *name, int rank, const int64_t *dims) {
    wire w = wire_tensor(name, 1, rank, dims);
    size_t count = 1;
    for (int i = 0; i < rank; i++) {
        count *= (size_t)dims[i];
    }
    wire data = {0};
    for (size_t i = 0; i < count; i++) {
        const float value = (float)i + 0.5f;
        wire_raw(&data, &value, sizeof value);
    }
    return *wire_message(&w, 9, &data);
}

static inline void wire_external(wire *tensor, const char *key, const char *value) {
    wire entry = {0};
    wire_text(wire_text(&entry, 1, key), 2, value);
    wire_message(tensor, 13, &entry);
}

/* NodeProto from texts such as "x,w" (inputs) and "y" (outputs); "" gives none, "," two empty ones.
 */
static inline void wire_names(wire *w, unsigned field, const char *names) {
    while (names[0] != '\0') {
        const size_t length = strcspn(names, ",");
        wire_bytes(w, field, names, length);
        names += length + (names[length] == ',' ? 1 : 0);
    }
}

static inline wire wire_node(const char *op, const char *inputs, const char *outputs) {
    wire w = {0};
    wire_names(&w, 1, inputs);
    wire_names(&w, 2, outputs);
    return *wire_text(&w, 4, op);
}

/* ValueInfoProto of a tensor; a negative dim becomes the symbolic name "n". */
static inline wire wire_value(const char *name, int dtype, int rank, const int64_t *dims) {
    wire shape = {0}, tensor = {0}, type = {0}, info = {0};
    for (int i = 0; i < rank; i++) {
        wire dim = {0};
        if (dims[i] < 0) {
            wire_text(&dim, 2, "n");
        } else {
            wire_number(&dim, 1, (uint64_t)dims[i]);
        }
        wire_message(&shape, 1, &dim);
    }
    wire_number(&tensor, 1, (uint64_t)dtype);
    wire_message(&tensor, 2, &shape);
    wire_message(&type, 1, &tensor);
    wire_text(&info, 1, name);
    return *wire_message(&info, 2, &type);
}

/* ModelProto around a graph: IR version 8, opset 17. */
static inline wire wire_model(wire *graph) {
    wire model = {0}, opset = {0};
    wire_number(&model, 1, 8);
    wire_message(&model, 7, graph);
    wire_number(wire_text(&opset, 1, ""), 2, 17);
    return *wire_message(&model, 8, &opset);
}

/* Fields of GraphProto. */
enum {
    GRAPH_NODE = 1,
    GRAPH_NAME = 2,
    GRAPH_INITIALIZER = 5,
    GRAPH_INPUT = 11,
    GRAPH_OUTPUT = 12,
    GRAPH_VALUE_INFO = 13,
    GRAPH_SPARSE_INITIALIZER = 15
};

static inline wire *wire_add(wire *graph, unsigned field, wire part) {
    return wire_message(graph, field, &part);
}

/* y = Add(x, w) with x [n,3], w [3], as a graph that tests extend. */
static inline wire wire_small_graph(void) {
    static const int64_t shape[] = {-1, 3}, weight[] = {3};
    wire graph = {0};
    wire_text(&graph, GRAPH_NAME, "small");
    wire_add(&graph, GRAPH_NODE, wire_node("Add", "x,w", "y"));
    wire_add(&graph, GRAPH_INITIALIZER, wire_floats("w", 1, weight));
    wire_add(&graph, GRAPH_INPUT, wire_value("x", 1, 2, shape));
    wire_add(&graph, GRAPH_OUTPUT, wire_value("y", 1, 2, shape));
    return graph;
}

static inline void wire_save(const char *path, const void *data, size_t bytes) {
    FILE *file = fopen(path, "wb");
    if (file == NULL || fwrite(data, 1, bytes, file) != bytes || fclose(file) != 0) {
        abort();
    }
}

#endif
