/* SPDX-License-Identifier: Apache-2.0 */
/** Graphs as messages of the wire format. */
#include "onnx/emit.h"

#include <string.h>

#include "onnx/nodes.h"
#include "onnx/types.h"

#define FALLBACK_GRAPH_NAME "graph" /* the specification asks for a name */
#define FALLBACK_IR_VERSION 8

static bool is_defined(const tare_value *value) {
    return value->producer != NULL || value->is_input || value->is_initializer;
}

/* In the graph of the document, or anything in a graph without one. */
static const Tare__GraphProto *source_of(const tare_onnx_emission *e) {
    static const Tare__GraphProto none = TARE__GRAPH_PROTO__INIT;
    return e->document == NULL ? &none : e->document->model->graph;
}

static tare_status check_read(const tare_value *value, const tare_node *node, tare_error *err) {
    char text[TARE_NODE_TEXT_BYTES];
    if (!is_defined(value)) {
        return tare_fail(err, TARE_INVALID_ARGUMENT, "%s reads tensor '%s', which nothing defines",
                         tare_node_text(text, sizeof text, node), value->name);
    }
    if (value->producer != NULL && value->producer->id >= node->id) {
        return tare_fail(err, TARE_INVALID_ARGUMENT,
                         "%s reads tensor '%s', which is produced later",
                         tare_node_text(text, sizeof text, node), value->name);
    }
    return TARE_OK;
}

static tare_status check_node(const tare_onnx_emission *e, const tare_node *node, tare_error *err) {
    const tare_onnx_capture *capture = NULL;
    for (size_t i = 0; i < node->input_count; i++) {
        if (node->inputs[i] != NULL) {
            TARE_TRY(check_read(node->inputs[i], node, err));
        }
    }
    if (e->document != NULL && node->origin != NULL) {
        capture = tare_document_find_capture(e->document, node->origin);
    }
    for (size_t i = 0; capture != NULL && i < capture->count; i++) {
        /* By id, which clones keep; the pointers are the original's. */
        TARE_TRY(check_read(e->graph->values[capture->values[i]->id], node, err));
    }
    return TARE_OK;
}

static tare_status emit_nodes(tare_onnx_emission *e, tare_error *err) {
    const size_t count = e->graph->node_count;
    e->body.node = tare_arena_array(&e->arena, count, sizeof *e->body.node);
    if (e->body.node == NULL) {
        return tare_fail_memory(err, count * sizeof *e->body.node, "nodes");
    }
    for (size_t i = 0; i < count; i++) {
        const tare_node *node = e->graph->nodes[i];
        tare_status status;
        if (e->document == NULL && node->origin != NULL) {
            char text[TARE_NODE_TEXT_BYTES];
            return tare_fail(err, TARE_INVALID_ARGUMENT,
                             "%s comes from a file whose graph was not given",
                             tare_node_text(text, sizeof text, node));
        }
        TARE_TRY(check_node(e, node, err));
        status = tare_onnx_emit_node(&e->body.node[i], e, node, err);
        if (status != TARE_OK) {
            char text[TARE_NODE_TEXT_BYTES];
            tare_error_prepend(err, "%s: ", tare_node_text(text, sizeof text, node));
            return status;
        }
    }
    e->body.n_node = count;
    return TARE_OK;
}

static tare_status emit_initializer(tare_onnx_emission *e, const tare_value *value,
                                    const Tare__TensorProto *source, tare_error *err) {
    const size_t at = e->body.n_initializer;
    Tare__TensorProto *proto;

    e->contents[at] = value->constant;
    if (source != NULL && (value->constant == NULL ||
                           tare_document_is_unchanged(e->document, source, value->constant))) {
        e->body.initializer[e->body.n_initializer++] = (Tare__TensorProto *)(uintptr_t)source;
        return TARE_OK;
    }
    if (value->constant == NULL) {
        return tare_fail(err, TARE_INVALID_ARGUMENT, "initializer '%s' has no contents",
                         value->name);
    }
    proto = tare_arena_alloc(&e->arena, sizeof *proto);
    if (proto == NULL) {
        return tare_fail_memory(err, sizeof *proto, "an initializer");
    }
    tare__tensor_proto__init(proto);
    if (source != NULL) {
        *proto = *source;
    }
    proto->name = (char *)(uintptr_t)value->name;
    if (!tare_onnx_emit_tensor(proto, &e->arena, value->constant)) {
        return tare_fail_memory(err, sizeof *proto, "an initializer");
    }
    e->body.initializer[e->body.n_initializer++] = proto;
    return TARE_OK;
}

static const tare_value *find_kept_initializer(const tare_onnx_emission *e, const char *name) {
    const tare_value *value = tare_graph_find_value(e->graph, tare_onnx_text(name));
    return value != NULL && value->is_initializer ? value : NULL;
}

static tare_status emit_sparse_initializers(tare_onnx_emission *e, bool *emitted, tare_error *err) {
    const Tare__GraphProto *source = source_of(e);
    e->body.sparse_initializer = tare_arena_array(&e->arena, source->n_sparse_initializer,
                                                  sizeof *e->body.sparse_initializer);
    if (e->body.sparse_initializer == NULL) {
        return tare_fail_memory(err, source->n_sparse_initializer, "sparse initializers");
    }
    for (size_t i = 0; i < source->n_sparse_initializer; i++) {
        Tare__SparseTensorProto *sparse = source->sparse_initializer[i];
        const tare_value *value = find_kept_initializer(e, sparse->values->name);
        if (value != NULL && value->constant == NULL) {
            e->body.sparse_initializer[e->body.n_sparse_initializer++] = sparse;
            emitted[value->id] = true;
        }
    }
    return TARE_OK;
}

static tare_status emit_initializers(tare_onnx_emission *e, tare_error *err) {
    const Tare__GraphProto *source = source_of(e);
    const size_t most = source->n_initializer + e->graph->value_count;
    bool *emitted = tare_arena_array(&e->arena, e->graph->value_count, sizeof *emitted);

    e->body.initializer = tare_arena_array(&e->arena, most, sizeof *e->body.initializer);
    e->contents = tare_arena_array(&e->arena, most, sizeof *e->contents);
    if (emitted == NULL || e->body.initializer == NULL || e->contents == NULL) {
        return tare_fail_memory(err, most * sizeof(void *), "initializers");
    }
    TARE_TRY(emit_sparse_initializers(e, emitted, err));
    for (size_t i = 0; i < source->n_initializer; i++) {
        const tare_value *value = find_kept_initializer(e, source->initializer[i]->name);
        if (value != NULL) {
            emitted[value->id] = true;
            TARE_TRY(emit_initializer(e, value, source->initializer[i], err));
        }
    }
    for (size_t i = 0; i < e->graph->value_count; i++) {
        const tare_value *value = e->graph->values[i];
        if (value->is_initializer && !emitted[i]) {
            TARE_TRY(emit_initializer(e, value, NULL, err));
        }
    }
    return TARE_OK;
}

/* The file's entry for a value when the graph does not contradict it, else one with the graph's
 * type. */
static tare_status emit_value_info(Tare__ValueInfoProto **out, tare_onnx_emission *e,
                                   const tare_value *value, const Tare__ValueInfoProto *source,
                                   tare_error *err) {
    Tare__ValueInfoProto *info;

    if (source != NULL && tare_onnx_type_agrees(e->document, value, source)) {
        *out = (Tare__ValueInfoProto *)(uintptr_t)source;
        return TARE_OK;
    }
    if (value->dtype == TARE_DTYPE_UNDEFINED || !value->is_tensor_type) {
        return tare_fail(err, TARE_INVALID_ARGUMENT, "tensor '%s' has no type to write",
                         value->name);
    }
    info = tare_arena_alloc(&e->arena, sizeof *info);
    if (info == NULL) {
        return tare_fail_memory(err, sizeof *info, "a type");
    }
    tare__value_info_proto__init(info);
    if (source != NULL) {
        *info = *source;
    }
    info->name = (char *)(uintptr_t)value->name;
    *out = info;
    return tare_onnx_type_write(info, &e->arena, value)
               ? TARE_OK
               : tare_fail_memory(err, sizeof *info, "a type");
}

typedef struct info_list {
    Tare__ValueInfoProto **items;
    size_t count;
} info_list;

/* Entries for graph inputs or outputs; `source` is the file's list. */
static tare_status emit_ports(info_list *out, tare_onnx_emission *e, tare_value *const *values,
                              size_t count, info_list source, tare_error *err) {
    tare_map by_name;

    tare_map_init(&by_name, &e->arena);
    for (size_t i = 0; i < source.count; i++) {
        if (!tare_map_set(&by_name, tare_onnx_text(source.items[i]->name), source.items[i])) {
            return tare_fail_memory(err, source.count, "types");
        }
    }
    out->items = tare_arena_array(&e->arena, count, sizeof *out->items);
    out->count = count;
    if (out->items == NULL) {
        return tare_fail_memory(err, count * sizeof *out->items, "types");
    }
    for (size_t i = 0; i < count; i++) {
        if (!is_defined(values[i])) {
            return tare_fail(err, TARE_INVALID_ARGUMENT, "graph output '%s' is defined by nothing",
                             values[i]->name);
        }
        TARE_TRY(emit_value_info(&out->items[i], e, values[i],
                                 tare_map_get(&by_name, values[i]->name), err));
    }
    return TARE_OK;
}

static bool is_new_inner(const tare_onnx_emission *e, const tare_value *value) {
    const bool is_new = e->document == NULL || value->id >= e->document->value_count;
    return is_new && value->producer != NULL && !value->is_output && value->is_tensor_type &&
           value->dtype != TARE_DTYPE_UNDEFINED;
}

static tare_status emit_inner_types(tare_onnx_emission *e, tare_error *err) {
    const Tare__GraphProto *source = source_of(e);
    const size_t most = source->n_value_info + e->graph->value_count;
    bool *emitted = tare_arena_array(&e->arena, e->graph->value_count, sizeof *emitted);

    e->body.value_info = tare_arena_array(&e->arena, most, sizeof *e->body.value_info);
    if (emitted == NULL || e->body.value_info == NULL) {
        return tare_fail_memory(err, most * sizeof(void *), "types");
    }
    for (size_t i = 0; i < source->n_value_info; i++) {
        Tare__ValueInfoProto *info = source->value_info[i];
        const tare_value *value = tare_graph_find_value(e->graph, tare_onnx_text(info->name));
        if (value == NULL || value->is_initializer || value->is_input || value->is_output) {
            e->body.value_info[e->body.n_value_info++] = info;
        } else if (is_defined(value)) {
            emitted[value->id] = true;
            TARE_TRY(
                emit_value_info(&e->body.value_info[e->body.n_value_info++], e, value, info, err));
        }
    }
    for (size_t i = 0; i < e->graph->value_count; i++) {
        const tare_value *value = e->graph->values[i];
        if (!emitted[i] && is_new_inner(e, value)) {
            TARE_TRY(
                emit_value_info(&e->body.value_info[e->body.n_value_info++], e, value, NULL, err));
        }
    }
    return TARE_OK;
}

static tare_status emit_annotations(tare_onnx_emission *e, tare_error *err) {
    const Tare__GraphProto *source = source_of(e);
    e->body.n_quantization_annotation = 0;
    e->body.quantization_annotation = tare_arena_array(&e->arena, source->n_quantization_annotation,
                                                       sizeof *e->body.quantization_annotation);
    if (e->body.quantization_annotation == NULL) {
        return tare_fail_memory(err, source->n_quantization_annotation, "annotations");
    }
    for (size_t i = 0; i < source->n_quantization_annotation; i++) {
        Tare__TensorAnnotation *annotation = source->quantization_annotation[i];
        const tare_value *value =
            tare_graph_find_value(e->graph, tare_onnx_text(annotation->tensor_name));
        if (value == NULL || is_defined(value)) {
            e->body.quantization_annotation[e->body.n_quantization_annotation++] = annotation;
        }
    }
    return TARE_OK;
}

static Tare__OperatorSetIdProto *find_opset(const tare_onnx_emission *e, size_t hint,
                                            const char *domain) {
    const Tare__ModelProto *source = e->document == NULL ? NULL : e->document->model;
    if (source == NULL) {
        return NULL;
    }
    if (hint < source->n_opset_import &&
        strcmp(tare_onnx_domain(source->opset_import[hint]->domain), domain) == 0) {
        return source->opset_import[hint];
    }
    for (size_t i = 0; i < source->n_opset_import; i++) {
        if (strcmp(tare_onnx_domain(source->opset_import[i]->domain), domain) == 0) {
            return source->opset_import[i];
        }
    }
    return NULL;
}

static tare_status emit_opsets(tare_onnx_emission *e, tare_error *err) {
    const size_t count = e->graph->opset_count;
    Tare__OperatorSetIdProto **list = tare_arena_array(&e->arena, count, sizeof *list);

    if (list == NULL) {
        return tare_fail_memory(err, count * sizeof *list, "opsets");
    }
    for (size_t i = 0; i < count; i++) {
        const tare_opset *opset = &e->graph->opsets[i];
        Tare__OperatorSetIdProto *source = find_opset(e, i, opset->domain);
        if (source != NULL && source->version == opset->version) {
            list[i] = source;
            continue;
        }
        list[i] = tare_arena_alloc(&e->arena, sizeof **list);
        if (list[i] == NULL) {
            return tare_fail_memory(err, sizeof **list, "opsets");
        }
        tare__operator_set_id_proto__init(list[i]);
        if (source != NULL) {
            *list[i] = *source;
        } else {
            list[i]->domain = (char *)(uintptr_t)opset->domain;
        }
        list[i]->has_version = 1;
        list[i]->version = opset->version;
    }
    e->model.n_opset_import = count;
    e->model.opset_import = list;
    return TARE_OK;
}

static void start_from_nothing(tare_onnx_emission *e) {
    tare__model_proto__init(&e->model);
    tare__graph_proto__init(&e->body);
    e->model.producer_name = (char *)(uintptr_t) "tare";
    e->model.producer_version = (char *)(uintptr_t)TARE_VERSION;
    e->model.has_ir_version = 1;
    e->model.ir_version = FALLBACK_IR_VERSION;
    e->body.name = (char *)(uintptr_t)FALLBACK_GRAPH_NAME;
}

static void start_from_document(tare_onnx_emission *e) {
    e->model = *e->document->model;
    e->body = *e->document->model->graph;
    e->body.n_node = e->body.n_initializer = e->body.n_sparse_initializer = 0;
    e->body.n_value_info = 0;
}

tare_status tare_onnx_emit(tare_onnx_emission *e, const tare_graph *graph,
                           const tare_document *document, tare_error *err) {
    info_list inputs = {0}, outputs = {0};

    *e = (tare_onnx_emission){.graph = graph, .document = document};
    tare_arena_init(&e->arena);
    if (document == NULL) {
        start_from_nothing(e);
    } else {
        start_from_document(e);
    }
    e->model.graph = &e->body;
    if (graph->ir_version != 0 && graph->ir_version != e->model.ir_version) {
        e->model.has_ir_version = 1;
        e->model.ir_version = graph->ir_version;
    }
    if (graph->name[0] != '\0' && strcmp(tare_onnx_text(e->body.name), graph->name) != 0) {
        e->body.name = (char *)(uintptr_t)graph->name;
    }
    TARE_TRY(emit_opsets(e, err));
    TARE_TRY(emit_nodes(e, err));
    TARE_TRY(emit_initializers(e, err));
    TARE_TRY(emit_ports(&inputs, e, graph->inputs, graph->input_count,
                        (info_list){source_of(e)->input, source_of(e)->n_input}, err));
    TARE_TRY(emit_ports(&outputs, e, graph->outputs, graph->output_count,
                        (info_list){source_of(e)->output, source_of(e)->n_output}, err));
    e->body.input = inputs.items;
    e->body.n_input = inputs.count;
    e->body.output = outputs.items;
    e->body.n_output = outputs.count;
    TARE_TRY(emit_inner_types(e, err));
    return emit_annotations(e, err);
}

void tare_onnx_emission_release(tare_onnx_emission *emission) {
    tare_arena_release(&emission->arena);
}
