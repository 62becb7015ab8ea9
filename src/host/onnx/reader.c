/* SPDX-License-Identifier: Apache-2.0 */
/** Reading ONNX files into graphs. */
#include "onnx/reader.h"

#include <string.h>

#include "onnx/document.h"
#include "onnx/external.h"
#include "onnx/nodes.h"
#include "onnx/tensors.h"
#include "onnx/types.h"

static tare_status read_opsets(tare_graph *graph, const Tare__ModelProto *model, tare_error *err) {
    graph->opsets = tare_arena_array(&graph->arena, model->n_opset_import, sizeof *graph->opsets);
    if (graph->opsets == NULL) {
        return tare_fail_memory(err, model->n_opset_import * sizeof *graph->opsets, "opsets");
    }
    for (size_t i = 0; i < model->n_opset_import; i++) {
        const Tare__OperatorSetIdProto *source = model->opset_import[i];
        tare_opset *opset = &graph->opsets[i];
        const int64_t earlier = tare_graph_opset(graph, tare_onnx_domain(source->domain));

        opset->version = source->version;
        opset->domain = tare_arena_strdup(&graph->arena, tare_onnx_domain(source->domain));
        if (opset->domain == NULL) {
            return tare_fail_memory(err, sizeof *opset, "opsets");
        }
        if (opset->version < 1) {
            return tare_fail(err, TARE_INVALID_MODEL, "opset '%s' is imported as version %lld",
                             opset->domain, (long long)opset->version);
        }
        if (earlier != 0 && earlier != opset->version) {
            return tare_fail(err, TARE_INVALID_MODEL,
                             "opset '%s' is imported as version %lld and as %lld", opset->domain,
                             (long long)earlier, (long long)opset->version);
        }
        graph->opset_count = i + 1;
    }
    return TARE_OK;
}

static tare_status read_inputs(tare_graph *graph, const Tare__GraphProto *source, tare_error *err) {
    graph->inputs = tare_arena_array(&graph->arena, source->n_input, sizeof(tare_value *));
    if (graph->inputs == NULL) {
        return tare_fail_memory(err, source->n_input * sizeof(tare_value *), "graph inputs");
    }
    for (size_t i = 0; i < source->n_input; i++) {
        tare_value *value;
        const tare_status status =
            tare_graph_add_value(&value, graph, tare_onnx_text(source->input[i]->name), err);
        if (status != TARE_OK) {
            tare_error_prepend(err, "graph input %zu: ", i);
            return status;
        }
        value->is_input = true;
        graph->inputs[graph->input_count++] = value;
        TARE_TRY(tare_onnx_type_read(value, &graph->arena, source->input[i], true, err));
    }
    return TARE_OK;
}

/* The value that an initializer defines: new, or an input for which it is the default. */
static tare_status find_initializer_value(tare_value **out, tare_graph *graph, const char *name,
                                          tare_error *err) {
    tare_value *value = tare_graph_find_value(graph, name);
    if (value == NULL) {
        TARE_TRY(tare_graph_add_value(&value, graph, name, err));
    } else if (value->is_initializer) {
        return tare_fail(err, TARE_INVALID_MODEL, "two initializers have this name");
    }
    value->is_initializer = true;
    *out = value;
    return TARE_OK;
}

static tare_status set_initializer_type(tare_value *value, const tare_tensor *tensor,
                                        tare_error *err) {
    char declared[TARE_DIMS_TEXT_BYTES], actual[TARE_DIMS_TEXT_BYTES];
    bool agrees = value->dtype == TARE_DTYPE_UNDEFINED || value->dtype == tensor->dtype;

    agrees = agrees && (value->rank < 0 || value->rank == tensor->rank);
    for (int i = 0; agrees && i < value->rank; i++) {
        agrees = value->dims[i] < 0 || value->dims[i] == tensor->dims[i];
    }
    if (!agrees) {
        return tare_fail(err, TARE_INVALID_MODEL, "it is %s %s, but the graph input says %s %s",
                         tare_dtype_text(tensor->dtype),
                         tare_dims_text(actual, sizeof actual, tensor->rank, tensor->dims),
                         tare_dtype_text(value->dtype),
                         tare_dims_text(declared, sizeof declared, value->rank, value->dims));
    }
    value->dtype = tensor->dtype;
    value->rank = tensor->rank;
    memcpy(value->dims, tensor->dims, sizeof value->dims);
    return TARE_OK;
}

static tare_status read_initializer(tare_graph *graph, tare_document *document,
                                    const Tare__TensorProto *source, tare_error *err) {
    tare_tensor view;
    tare_value *value = NULL;

    TARE_TRY(find_initializer_value(&value, graph, tare_onnx_text(source->name), err));
    TARE_TRY(tare_onnx_tensor_view(&view, document, source, err));
    if (view.buffer != NULL) {
        value->constant = tare_graph_new_tensor(graph);
        if (value->constant == NULL) {
            tare_tensor_release(&view);
            return tare_fail_memory(err, sizeof view, "a tensor");
        }
        *value->constant = view;
    }
    return set_initializer_type(value, &view, err);
}

static tare_status read_sparse_initializer(tare_graph *graph, const Tare__SparseTensorProto *source,
                                           tare_error *err) {
    tare_tensor shape = {0};
    tare_value *value = NULL;

    TARE_TRY(find_initializer_value(&value, graph, tare_onnx_text(source->values->name), err));
    if (source->n_dims > TARE_MAX_RANK) {
        return tare_fail(err, TARE_UNSUPPORTED, "rank %zu is above %d", source->n_dims,
                         TARE_MAX_RANK);
    }
    shape.dtype = (tare_dtype)source->values->data_type;
    shape.rank = (int)source->n_dims;
    for (size_t i = 0; i < source->n_dims; i++) {
        shape.dims[i] = source->dims[i];
    }
    if (source->values->data_type <= 0 || tare_dims_count(shape.rank, shape.dims) < 0) {
        return tare_fail(err, TARE_INVALID_MODEL, "element type or shape is impossible");
    }
    return set_initializer_type(value, &shape, err);
}

static tare_status read_initializers(tare_graph *graph, tare_document *document,
                                     const Tare__GraphProto *source, tare_error *err) {
    for (size_t i = 0; i < source->n_initializer; i++) {
        const tare_status status = read_initializer(graph, document, source->initializer[i], err);
        if (status != TARE_OK) {
            tare_error_prepend(err,
                               "initializer '%s': ", tare_onnx_text(source->initializer[i]->name));
            return status;
        }
    }
    for (size_t i = 0; i < source->n_sparse_initializer; i++) {
        const Tare__SparseTensorProto *sparse = source->sparse_initializer[i];
        tare_status status;
        if (sparse->values == NULL) {
            return tare_fail(err, TARE_INVALID_MODEL, "sparse initializer #%zu has no values", i);
        }
        status = read_sparse_initializer(graph, sparse, err);
        if (status != TARE_OK) {
            tare_error_prepend(err,
                               "sparse initializer '%s': ", tare_onnx_text(sparse->values->name));
            return status;
        }
    }
    return TARE_OK;
}

static tare_status read_outputs(tare_graph *graph, const Tare__GraphProto *source,
                                tare_error *err) {
    graph->outputs = tare_arena_array(&graph->arena, source->n_output, sizeof(tare_value *));
    if (graph->outputs == NULL) {
        return tare_fail_memory(err, source->n_output * sizeof(tare_value *), "graph outputs");
    }
    for (size_t i = 0; i < source->n_output; i++) {
        const char *name = tare_onnx_text(source->output[i]->name);
        tare_value *value = tare_graph_find_value(graph, name);
        if (value == NULL) {
            return tare_fail(err, TARE_INVALID_MODEL,
                             "graph output %zu is tensor '%s', which nothing defines", i, name);
        }
        if (value->is_output) {
            return tare_fail(err, TARE_INVALID_MODEL, "graph output '%s' is listed twice", name);
        }
        value->is_output = true;
        graph->outputs[graph->output_count++] = value;
        TARE_TRY(tare_onnx_type_read(value, &graph->arena, source->output[i], true, err));
    }
    return TARE_OK;
}

static tare_status read_value_infos(tare_graph *graph, const Tare__GraphProto *source,
                                    tare_error *err) {
    for (size_t i = 0; i < source->n_value_info; i++) {
        const Tare__ValueInfoProto *info = source->value_info[i];
        tare_value *value = tare_graph_find_value(graph, tare_onnx_text(info->name));
        /* An entry for a tensor that is not there is only passed through. */
        if (value != NULL && !value->is_initializer) {
            TARE_TRY(tare_onnx_type_read(value, &graph->arena, info, false, err));
        }
    }
    return TARE_OK;
}

static tare_status read_graph(tare_graph *graph, tare_document *document, tare_error *err) {
    const Tare__ModelProto *model = document->model;
    const Tare__GraphProto *source = model->graph;

    if (source == NULL) {
        return tare_fail(err, TARE_INVALID_MODEL, "the model has no graph");
    }
    graph->name = tare_arena_strdup(&graph->arena, tare_onnx_text(source->name));
    if (graph->name == NULL) {
        graph->name = "";
        return tare_fail_memory(err, sizeof *graph, "the graph's name");
    }
    graph->ir_version = model->ir_version;
    TARE_TRY(read_opsets(graph, model, err));
    TARE_TRY(read_inputs(graph, source, err));
    TARE_TRY(read_initializers(graph, document, source, err));
    TARE_TRY(tare_onnx_outputs_read(graph, source, err));
    TARE_TRY(tare_onnx_nodes_read(graph, document, source, err));
    TARE_TRY(read_outputs(graph, source, err));
    TARE_TRY(read_value_infos(graph, source, err));
    if (graph->node_count > 0) {
        TARE_TRY(tare_graph_sort(graph, err));
    }
    TARE_TRY(tare_onnx_captures_read(graph, document, err));
    if (!tare_onnx_types_record(document, graph)) {
        return tare_fail_memory(err, graph->value_count * sizeof *document->types, "types");
    }
    tare_document_seal(document);
    return TARE_OK;
}

tare_status tare_onnx_read_memory(tare_graph *graph, const void *data, size_t bytes,
                                  const char *folder, tare_error *err) {
    tare_document *document = tare_document_new();
    ProtobufCMessage *message;

    if (document == NULL) {
        return tare_fail_memory(err, sizeof *document, "a model");
    }
    graph->document = document;
    graph->document_release = tare_document_release;
    TARE_TRY(
        tare_document_unpack(&message, document, &tare__model_proto__descriptor, data, bytes, err));
    document->model = (Tare__ModelProto *)message;
    TARE_TRY(tare_onnx_external_resolve(document, folder, err));
    return read_graph(graph, document, err);
}

/* The folder of the file, "." for a bare name. */
static char *folder_of(tare_arena *arena, const char *path) {
    const char *slash = strrchr(path, '/');
    if (slash == NULL) {
        return tare_arena_strdup(arena, ".");
    }
    return tare_arena_strndup(arena, path, slash == path ? 1 : (size_t)(slash - path));
}

tare_status tare_onnx_read(tare_graph *graph, const char *path, tare_error *err) {
    tare_mapping mapping;
    tare_status status;
    const char *folder;

    TARE_TRY(tare_mapping_open(&mapping, path, err));
    folder = folder_of(&graph->arena, path);
    graph->path = tare_arena_strdup(&graph->arena, path);
    if (folder == NULL || graph->path == NULL) {
        status = tare_fail_memory(err, strlen(path), "a path");
    } else {
        status = tare_onnx_read_memory(graph, mapping.data, mapping.bytes, folder, err);
    }
    if (status != TARE_OK) {
        tare_error_prepend(err, "'%s': ", path);
    }
    tare_mapping_release(&mapping);
    return status;
}
