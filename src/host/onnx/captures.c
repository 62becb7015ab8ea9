/* SPDX-License-Identifier: Apache-2.0 */
/** What subgraphs read from the graph around them. */
#include <string.h>

#include "onnx/nodes.h"
#include "onnx/reader.h"

/* The names that one subgraph defines, and the scopes around it. */
typedef struct scope {
    const struct scope *outer;
    tare_map names;
} scope;

typedef struct capturing {
    const tare_graph *graph;
    tare_arena arena; /* of one node's scopes */
    tare_map found;
    tare_value **values;
    size_t count, capacity;
    tare_error *err;
} capturing;

static const char defined = 1; /* any address: the maps of a scope are sets */

static tare_status define(capturing *c, scope *inner, const char *name) {
    if (name == NULL || tare_map_set(&inner->names, name, (void *)(uintptr_t)&defined)) {
        return TARE_OK;
    }
    return tare_fail_memory(c->err, strlen(name), "the names of a subgraph");
}

static tare_status define_all(capturing *c, scope *inner, const Tare__GraphProto *body) {
    for (size_t i = 0; i < body->n_input; i++) {
        TARE_TRY(define(c, inner, body->input[i]->name));
    }
    for (size_t i = 0; i < body->n_initializer; i++) {
        TARE_TRY(define(c, inner, body->initializer[i]->name));
    }
    for (size_t i = 0; i < body->n_sparse_initializer; i++) {
        const Tare__TensorProto *values = body->sparse_initializer[i]->values;
        TARE_TRY(define(c, inner, values == NULL ? NULL : values->name));
    }
    for (size_t i = 0; i < body->n_node; i++) {
        for (size_t k = 0; k < body->node[i]->n_output; k++) {
            TARE_TRY(define(c, inner, body->node[i]->output[k]));
        }
    }
    return TARE_OK;
}

static tare_status keep(capturing *c, tare_value *value) {
    if (c->count == c->capacity) {
        const size_t wanted = c->capacity == 0 ? 16 : c->capacity * 2;
        tare_value **grown = tare_arena_array(&c->arena, wanted, sizeof(tare_value *));
        if (grown == NULL) {
            return tare_fail_memory(c->err, wanted * sizeof *grown, "captured tensors");
        }
        if (c->count > 0) {
            memcpy(grown, c->values, c->count * sizeof *grown);
        }
        c->values = grown;
        c->capacity = wanted;
    }
    c->values[c->count++] = value;
    return TARE_OK;
}

static tare_status read_name(capturing *c, const scope *inner, const char *name) {
    tare_value *value;
    if (name == NULL || name[0] == '\0') {
        return TARE_OK;
    }
    for (const scope *s = inner; s != NULL; s = s->outer) {
        if (tare_map_get(&s->names, name) != NULL) {
            return TARE_OK;
        }
    }
    value = tare_graph_find_value(c->graph, name);
    if (value == NULL || tare_map_get(&c->found, value->name) != NULL) {
        return TARE_OK;
    }
    if (!tare_map_set(&c->found, value->name, value)) {
        return tare_fail_memory(c->err, strlen(name), "captured tensors");
    }
    return keep(c, value);
}

static tare_status scan_node(capturing *c, const scope *around, const Tare__NodeProto *node);

static tare_status scan_graph(capturing *c, const scope *around, const Tare__GraphProto *body) {
    scope inner = {.outer = around};
    tare_map_init(&inner.names, &c->arena);
    TARE_TRY(define_all(c, &inner, body));
    for (size_t i = 0; i < body->n_node; i++) {
        const Tare__NodeProto *node = body->node[i];
        for (size_t k = 0; k < node->n_input; k++) {
            TARE_TRY(read_name(c, &inner, node->input[k]));
        }
        TARE_TRY(scan_node(c, &inner, node));
    }
    for (size_t i = 0; i < body->n_output; i++) {
        TARE_TRY(read_name(c, &inner, body->output[i]->name));
    }
    return TARE_OK;
}

static tare_status scan_node(capturing *c, const scope *around, const Tare__NodeProto *node) {
    for (size_t i = 0; i < node->n_attribute; i++) {
        const Tare__AttributeProto *attribute = node->attribute[i];
        if (attribute->g != NULL) {
            TARE_TRY(scan_graph(c, around, attribute->g));
        }
        for (size_t k = 0; k < attribute->n_graphs; k++) {
            TARE_TRY(scan_graph(c, around, attribute->graphs[k]));
        }
    }
    return TARE_OK;
}

static tare_status check_order(const capturing *c, const tare_node *node) {
    for (size_t i = 0; i < c->count; i++) {
        const tare_node *producer = c->values[i]->producer;
        if (producer != NULL && producer->id >= node->id) {
            char text[TARE_NODE_TEXT_BYTES];
            return tare_fail(c->err, TARE_INVALID_MODEL,
                             "%s: its subgraph reads tensor '%s', which is produced later",
                             tare_node_text(text, sizeof text, node), c->values[i]->name);
        }
    }
    return TARE_OK;
}

static tare_status capture_node(capturing *c, tare_document *document, const tare_node *node) {
    tare_value **kept;

    c->values = NULL;
    c->count = c->capacity = 0;
    tare_map_init(&c->found, &c->arena);
    TARE_TRY(scan_node(c, NULL, node->origin));
    if (c->count == 0) {
        return TARE_OK;
    }
    TARE_TRY(check_order(c, node));
    kept = tare_arena_array(&document->arena, c->count, sizeof(tare_value *));
    if (kept == NULL) {
        return tare_fail_memory(c->err, c->count * sizeof *kept, "captured tensors");
    }
    memcpy(kept, c->values, c->count * sizeof *kept);
    if (!tare_document_capture(document, node->origin, kept, c->count)) {
        return tare_fail_memory(c->err, c->count * sizeof *kept, "captured tensors");
    }
    return TARE_OK;
}

tare_status tare_onnx_captures_read(const tare_graph *graph, tare_document *document,
                                    tare_error *err) {
    for (size_t i = 0; i < graph->node_count; i++) {
        capturing c = {.graph = graph, .err = err};
        tare_status status;
        tare_arena_init(&c.arena);
        status = capture_node(&c, document, graph->nodes[i]);
        tare_arena_release(&c.arena);
        if (status != TARE_OK) {
            return status;
        }
    }
    return TARE_OK;
}

tare_value *const *tare_onnx_captured(const tare_graph *source, const tare_node *node,
                                      size_t *count) {
    const tare_onnx_capture *capture = NULL;
    *count = 0;
    if (source->document != NULL && node->origin != NULL) {
        capture = tare_document_find_capture(source->document, node->origin);
    }
    if (capture == NULL) {
        return NULL;
    }
    *count = capture->count;
    return capture->values;
}
