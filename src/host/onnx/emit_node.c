/* SPDX-License-Identifier: Apache-2.0 */
/** Nodes, attributes and tensors as messages. */
#include <string.h>

#include "onnx/emit.h"
#include "onnx/nodes.h"

void tare_onnx_tensor_clear(Tare__TensorProto *proto) {
    proto->segment = NULL;
    proto->n_float_data = proto->n_int32_data = proto->n_int64_data = 0;
    proto->n_double_data = proto->n_uint64_data = proto->n_string_data = 0;
    proto->n_external_data = 0;
    proto->has_data_location = 0;
    proto->has_raw_data = 0;
    proto->raw_data = (ProtobufCBinaryData){0};
}

bool tare_onnx_emit_tensor(Tare__TensorProto *proto, tare_arena *arena, const tare_tensor *tensor) {
    int64_t *dims = tare_arena_array(arena, (size_t)tensor->rank, sizeof *dims);
    size_t bytes = 0;

    if (dims == NULL || !tare_dims_bytes(&bytes, tensor->dtype, tensor->rank, tensor->dims)) {
        return false;
    }
    memcpy(dims, tensor->dims, (size_t)tensor->rank * sizeof *dims);
    tare_onnx_tensor_clear(proto);
    proto->n_dims = (size_t)tensor->rank;
    proto->dims = dims;
    proto->has_data_type = 1;
    proto->data_type = (int32_t)tensor->dtype;
    proto->has_raw_data = 1;
    proto->raw_data.len = bytes;
    proto->raw_data.data = (uint8_t *)(uintptr_t)tensor->data;
    return true;
}

/* Texts of attributes are NUL-terminated in the graph, so an embedded NUL ends the comparison. */
static bool same_text(const char *text, const ProtobufCBinaryData *bytes) {
    const size_t length = strlen(text);
    return length <= bytes->len && (length == 0 || memcmp(text, bytes->data, length) == 0) &&
           (length == bytes->len || bytes->data[length] == 0);
}

/* NaN equals itself here, and the zeros differ. */
static bool same_float(float a, float b) {
    uint32_t a_bits, b_bits;
    memcpy(&a_bits, &a, sizeof a_bits);
    memcpy(&b_bits, &b, sizeof b_bits);
    return a_bits == b_bits;
}

static bool same_array(const void *a, size_t a_count, const void *b, size_t b_count, size_t size) {
    return a_count == b_count && (a_count == 0 || memcmp(a, b, a_count * size) == 0);
}

static bool same_strings(const tare_attribute *attribute, const Tare__AttributeProto *proto) {
    bool same = attribute->count == proto->n_strings;
    for (size_t i = 0; same && i < attribute->count; i++) {
        same = same_text(attribute->strings[i], &proto->strings[i]);
    }
    return same;
}

static bool same_tensor(const tare_onnx_emission *emission, const tare_attribute *attribute,
                        const Tare__AttributeProto *proto) {
    if (attribute->tensor == NULL || proto->t == NULL) {
        return attribute->tensor == NULL; /* strings have no tensor in the graph */
    }
    return tare_document_is_unchanged(emission->document, proto->t, attribute->tensor);
}

static bool same_attribute(const tare_onnx_emission *emission, const tare_attribute *attribute,
                           const Tare__AttributeProto *proto) {
    if (tare_onnx_attribute_type(proto) != attribute->type) {
        return false;
    }
    switch (attribute->type) {
    case TARE_ATTRIBUTE_FLOAT:
        return same_float(attribute->f, proto->f);
    case TARE_ATTRIBUTE_INT:
        return attribute->i == proto->i;
    case TARE_ATTRIBUTE_STRING:
        return same_array(attribute->s, attribute->s_length, proto->s.data, proto->s.len, 1);
    case TARE_ATTRIBUTE_TENSOR:
        return same_tensor(emission, attribute, proto);
    case TARE_ATTRIBUTE_FLOATS:
        return same_array(attribute->floats, attribute->count, proto->floats, proto->n_floats,
                          sizeof(float));
    case TARE_ATTRIBUTE_INTS:
        return same_array(attribute->ints, attribute->count, proto->ints, proto->n_ints,
                          sizeof(int64_t));
    case TARE_ATTRIBUTE_STRINGS:
        return same_strings(attribute, proto);
    default:
        return true; /* carried by number, so it cannot have changed */
    }
}

static Tare__TensorProto *new_tensor(tare_arena *arena, const tare_tensor *tensor) {
    Tare__TensorProto *proto = tare_arena_alloc(arena, sizeof *proto);
    if (proto == NULL) {
        return NULL;
    }
    tare__tensor_proto__init(proto);
    return tare_onnx_emit_tensor(proto, arena, tensor) ? proto : NULL;
}

static ProtobufCBinaryData *new_strings(tare_arena *arena, const tare_attribute *attribute) {
    ProtobufCBinaryData *list = tare_arena_array(arena, attribute->count, sizeof *list);
    for (size_t i = 0; list != NULL && i < attribute->count; i++) {
        list[i].data = (uint8_t *)(uintptr_t)attribute->strings[i];
        list[i].len = strlen(attribute->strings[i]);
    }
    return list;
}

/* Fills a fresh message; false when the kind cannot be made or memory runs out. */
static bool fill_attribute(Tare__AttributeProto *proto, tare_arena *arena,
                           const tare_attribute *attribute) {
    proto->name = (char *)(uintptr_t)attribute->name;
    proto->has_type = 1;
    proto->type = (int32_t)attribute->type;
    switch (attribute->type) {
    case TARE_ATTRIBUTE_FLOAT:
        proto->has_f = 1;
        proto->f = attribute->f;
        return true;
    case TARE_ATTRIBUTE_INT:
        proto->has_i = 1;
        proto->i = attribute->i;
        return true;
    case TARE_ATTRIBUTE_STRING:
        proto->has_s = 1;
        proto->s.data = (uint8_t *)(uintptr_t)attribute->s;
        proto->s.len = attribute->s_length;
        return true;
    case TARE_ATTRIBUTE_TENSOR:
        proto->t = attribute->tensor == NULL ? NULL : new_tensor(arena, attribute->tensor);
        return proto->t != NULL;
    case TARE_ATTRIBUTE_FLOATS:
        proto->n_floats = attribute->count;
        proto->floats = (float *)(uintptr_t)attribute->floats;
        return true;
    case TARE_ATTRIBUTE_INTS:
        proto->n_ints = attribute->count;
        proto->ints = (int64_t *)(uintptr_t)attribute->ints;
        return true;
    case TARE_ATTRIBUTE_STRINGS:
        proto->n_strings = attribute->count;
        proto->strings = new_strings(arena, attribute);
        return proto->strings != NULL;
    default:
        return false;
    }
}

static const Tare__AttributeProto *find_attribute(const Tare__NodeProto *origin, size_t hint,
                                                  const char *name) {
    if (origin == NULL) {
        return NULL;
    }
    /* Order is nearly always kept; the search is for the rest. */
    if (hint < origin->n_attribute &&
        strcmp(tare_onnx_text(origin->attribute[hint]->name), name) == 0) {
        return origin->attribute[hint];
    }
    for (size_t i = 0; i < origin->n_attribute; i++) {
        if (strcmp(tare_onnx_text(origin->attribute[i]->name), name) == 0) {
            return origin->attribute[i];
        }
    }
    return NULL;
}

static tare_status emit_attributes(Tare__NodeProto *proto, tare_onnx_emission *emission,
                                   const tare_node *node, tare_error *err) {
    tare_arena *arena = &emission->arena;
    const Tare__NodeProto *origin = node->origin;
    Tare__AttributeProto **list = tare_arena_array(arena, node->attribute_count, sizeof *list);

    if (list == NULL) {
        return tare_fail_memory(err, node->attribute_count * sizeof *list, "attributes");
    }
    for (size_t i = 0; i < node->attribute_count; i++) {
        const tare_attribute *attribute = &node->attributes[i];
        const Tare__AttributeProto *old = find_attribute(origin, i, attribute->name);
        if (old != NULL && same_attribute(emission, attribute, old)) {
            list[i] = (Tare__AttributeProto *)(uintptr_t)old;
            continue;
        }
        list[i] = tare_arena_alloc(arena, sizeof **list);
        if (list[i] == NULL) {
            return tare_fail_memory(err, sizeof **list, "an attribute");
        }
        tare__attribute_proto__init(list[i]);
        if (!fill_attribute(list[i], arena, attribute)) {
            return tare_fail(err, TARE_INVALID_ARGUMENT,
                             "attribute '%s' of kind %d cannot be written", attribute->name,
                             (int)attribute->type);
        }
    }
    proto->n_attribute = node->attribute_count;
    proto->attribute = list;
    return TARE_OK;
}

static char **emit_names(tare_arena *arena, tare_value *const *values, size_t count) {
    char **names = tare_arena_array(arena, count, sizeof *names);
    for (size_t i = 0; names != NULL && i < count; i++) {
        names[i] = (char *)(uintptr_t)(values[i] == NULL ? "" : values[i]->name);
    }
    return names;
}

tare_status tare_onnx_emit_node(Tare__NodeProto **out, tare_onnx_emission *emission,
                                const tare_node *node, tare_error *err) {
    tare_arena *arena = &emission->arena;
    const Tare__NodeProto *origin = node->origin;
    Tare__NodeProto *proto = tare_arena_alloc(arena, sizeof *proto);

    *out = proto;
    if (proto == NULL) {
        return tare_fail_memory(err, sizeof *proto, "a node");
    }
    tare__node_proto__init(proto);
    if (origin != NULL) {
        *proto = *origin;
    }
    if (strcmp(tare_onnx_text(proto->name), node->name) != 0) {
        proto->name = (char *)(uintptr_t)node->name;
    }
    if (strcmp(tare_onnx_text(proto->op_type), node->op_type) != 0) {
        proto->op_type = (char *)(uintptr_t)node->op_type;
    }
    if (strcmp(tare_onnx_domain(proto->domain), node->domain) != 0) {
        proto->domain = (char *)(uintptr_t)node->domain;
    }
    proto->n_input = node->input_count;
    proto->input = emit_names(arena, node->inputs, node->input_count);
    proto->n_output = node->output_count;
    proto->output = emit_names(arena, node->outputs, node->output_count);
    if (proto->input == NULL || proto->output == NULL) {
        return tare_fail_memory(err, node->input_count + node->output_count, "a node");
    }
    return emit_attributes(proto, emission, node, err);
}
