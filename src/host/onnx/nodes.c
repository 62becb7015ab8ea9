/* SPDX-License-Identifier: Apache-2.0 */
/** Nodes and attributes of the file. */
#include "onnx/nodes.h"

#include <stdio.h>
#include <string.h>

#include "onnx/tensors.h"

const char *tare_onnx_text(const char *text) {
    return text == NULL ? "" : text;
}

const char *tare_onnx_domain(const char *domain) {
    return domain == NULL || strcmp(domain, "ai.onnx") == 0 ? "" : domain;
}

tare_attribute_type tare_onnx_attribute_type(const Tare__AttributeProto *attribute) {
    const struct {
        bool there;
        tare_attribute_type type;
    } fields[] = {
        {attribute->has_f, TARE_ATTRIBUTE_FLOAT},
        {attribute->has_i, TARE_ATTRIBUTE_INT},
        {attribute->has_s, TARE_ATTRIBUTE_STRING},
        {attribute->t != NULL, TARE_ATTRIBUTE_TENSOR},
        {attribute->g != NULL, TARE_ATTRIBUTE_GRAPH},
        {attribute->n_floats > 0, TARE_ATTRIBUTE_FLOATS},
        {attribute->n_ints > 0, TARE_ATTRIBUTE_INTS},
        {attribute->n_strings > 0, TARE_ATTRIBUTE_STRINGS},
    };
    tare_attribute_type found = TARE_ATTRIBUTE_UNDEFINED;
    size_t count = 0;

    if (attribute->has_type && attribute->type != 0) {
        return (tare_attribute_type)attribute->type;
    }
    for (size_t i = 0; i < sizeof fields / sizeof fields[0]; i++) {
        if (fields[i].there) {
            found = fields[i].type;
            count++;
        }
    }
    return count == 1 ? found : TARE_ATTRIBUTE_UNDEFINED;
}

tare_status tare_onnx_outputs_read(tare_graph *graph, const Tare__GraphProto *source,
                                   tare_error *err) {
    tare_value *value;
    for (size_t i = 0; i < source->n_node; i++) {
        for (size_t k = 0; k < source->node[i]->n_output; k++) {
            const char *name = source->node[i]->output[k];
            /* A name that is taken is a second producer, which adding the node reports. */
            if (name[0] != '\0' && tare_graph_find_value(graph, name) == NULL) {
                TARE_TRY(tare_graph_add_value(&value, graph, name, err));
            }
        }
    }
    return TARE_OK;
}

typedef struct node_reading {
    tare_graph *graph;
    tare_document *document;
    tare_arena *scratch; /* emptied after each node: adding a node copies */
    const Tare__NodeProto *source;
    tare_error *err;
} node_reading;

static tare_status read_values(tare_value ***out, const node_reading *r, char *const *names,
                               size_t count) {
    tare_value **list = tare_arena_array(r->scratch, count, sizeof(tare_value *));
    *out = list;
    if (list == NULL) {
        return tare_fail_memory(r->err, count * sizeof *list, "a list of tensors");
    }
    for (size_t i = 0; i < count; i++) {
        if (names[i][0] == '\0') {
            continue;
        }
        list[i] = tare_graph_find_value(r->graph, names[i]);
        if (list[i] == NULL) {
            return tare_fail(r->err, TARE_INVALID_MODEL,
                             "input %zu is tensor '%s', which nothing defines", i, names[i]);
        }
    }
    return TARE_OK;
}

static tare_status read_strings(tare_attribute *attribute, const node_reading *r,
                                const Tare__AttributeProto *source) {
    const char **strings = tare_arena_array(r->scratch, source->n_strings, sizeof *strings);
    for (size_t i = 0; strings != NULL && i < source->n_strings; i++) {
        strings[i] = tare_arena_strndup(r->scratch, (const char *)source->strings[i].data,
                                        source->strings[i].len);
        if (strings[i] == NULL) {
            strings = NULL;
        }
    }
    attribute->strings = strings;
    attribute->count = source->n_strings;
    return strings == NULL ? tare_fail_memory(r->err, source->n_strings, "an attribute") : TARE_OK;
}

static tare_status read_tensor(tare_attribute *attribute, const node_reading *r,
                               const Tare__AttributeProto *source) {
    tare_tensor view;
    if (source->t == NULL) {
        return tare_fail(r->err, TARE_INVALID_MODEL, "the tensor is missing");
    }
    TARE_TRY(tare_onnx_tensor_view(&view, r->document, source->t, r->err));
    if (view.buffer == NULL) {
        return TARE_OK;
    }
    attribute->tensor = tare_graph_new_tensor(r->graph);
    if (attribute->tensor == NULL) {
        tare_tensor_release(&view);
        return tare_fail_memory(r->err, sizeof view, "a tensor");
    }
    *attribute->tensor = view;
    return TARE_OK;
}

static tare_status read_attribute(tare_attribute *attribute, const node_reading *r,
                                  const Tare__AttributeProto *source) {
    attribute->name = tare_onnx_text(source->name);
    attribute->type = tare_onnx_attribute_type(source);
    if (source->ref_attr_name != NULL && source->ref_attr_name[0] != '\0') {
        return tare_fail(r->err, TARE_INVALID_MODEL,
                         "it takes the value of '%s', but there is no function around it",
                         source->ref_attr_name);
    }
    switch (attribute->type) {
    case TARE_ATTRIBUTE_FLOAT:
        attribute->f = source->f;
        return TARE_OK;
    case TARE_ATTRIBUTE_INT:
        attribute->i = source->i;
        return TARE_OK;
    case TARE_ATTRIBUTE_STRING:
        attribute->s = tare_arena_strndup(r->scratch, (const char *)source->s.data, source->s.len);
        attribute->s_length = source->s.len;
        return attribute->s == NULL ? tare_fail_memory(r->err, source->s.len, "an attribute")
                                    : TARE_OK;
    case TARE_ATTRIBUTE_TENSOR:
        return read_tensor(attribute, r, source);
    case TARE_ATTRIBUTE_FLOATS:
        attribute->floats = source->floats;
        attribute->count = source->n_floats;
        return TARE_OK;
    case TARE_ATTRIBUTE_INTS:
        attribute->ints = source->ints;
        attribute->count = source->n_ints;
        return TARE_OK;
    case TARE_ATTRIBUTE_STRINGS:
        return read_strings(attribute, r, source);
    default:
        return TARE_OK; /* carried by number */
    }
}

static tare_status read_attributes(tare_attribute **out, const node_reading *r) {
    const size_t count = r->source->n_attribute;
    tare_attribute *list = tare_arena_array(r->scratch, count, sizeof *list);
    tare_map names;

    *out = list;
    if (list == NULL) {
        return tare_fail_memory(r->err, count * sizeof *list, "attributes");
    }
    tare_map_init(&names, r->scratch);
    for (size_t i = 0; i < count; i++) {
        const tare_status status = read_attribute(&list[i], r, r->source->attribute[i]);
        if (status != TARE_OK) {
            tare_error_prepend(r->err, "attribute '%s': ", list[i].name);
            return status;
        }
        if (tare_map_get(&names, list[i].name) != NULL) {
            return tare_fail(r->err, TARE_INVALID_MODEL, "attribute '%s' is given twice",
                             list[i].name);
        }
        if (!tare_map_set(&names, list[i].name, &list[i])) {
            return tare_fail_memory(r->err, count, "attributes");
        }
    }
    return TARE_OK;
}

static tare_status read_node(const node_reading *r) {
    const Tare__NodeProto *source = r->source;
    tare_node_spec spec = {.op_type = source->op_type,
                           .domain = tare_onnx_domain(source->domain),
                           .name = source->name,
                           .input_count = source->n_input,
                           .output_count = source->n_output,
                           .attribute_count = source->n_attribute,
                           .origin = source};
    tare_value **inputs, **outputs;
    tare_attribute *attributes;
    tare_node *node;

    if (tare_onnx_text(source->op_type)[0] == '\0') {
        return tare_fail(r->err, TARE_INVALID_MODEL, "it names no operator");
    }
    TARE_TRY(read_values(&inputs, r, source->input, source->n_input));
    TARE_TRY(read_values(&outputs, r, source->output, source->n_output));
    TARE_TRY(read_attributes(&attributes, r));
    spec.inputs = inputs;
    spec.outputs = outputs;
    spec.attributes = attributes;
    return tare_graph_add_node(&node, r->graph, &spec, SIZE_MAX, r->err);
}

tare_status tare_onnx_nodes_read(tare_graph *graph, tare_document *document,
                                 const Tare__GraphProto *source, tare_error *err) {
    for (size_t i = 0; i < source->n_node; i++) {
        tare_arena scratch;
        const node_reading r = {.graph = graph,
                                .document = document,
                                .scratch = &scratch,
                                .source = source->node[i],
                                .err = err};
        tare_status status;

        tare_arena_init(&scratch);
        status = read_node(&r);
        tare_arena_release(&scratch);
        if (status != TARE_OK) {
            tare_error_prepend(err, "node #%zu '%s' (%s): ", i, tare_onnx_text(r.source->name),
                               tare_onnx_text(r.source->op_type));
            return status;
        }
    }
    return TARE_OK;
}
