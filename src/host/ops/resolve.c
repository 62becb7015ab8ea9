/* SPDX-License-Identifier: Apache-2.0 */
/** Finding each node's row and reading its attributes into the row's typed struct. */
#include <stdint.h>
#include <string.h>

#include "ops/op.h"

/* Opset versions whose operator definitions the table was checked against. */
#define OLDEST_OPSET 7
#define NEWEST_OPSET 26

static bool spec_holds(const tare_attr_spec *spec, int64_t opset) {
    return opset >= spec->since && (spec->until == 0 || opset <= spec->until);
}

/* Attribute structs hold these kinds of fields at the spec's offset; memcpy keeps the access
 * well-defined whatever the struct. */
static void store(void *attrs, const tare_attr_spec *spec, const void *field, size_t bytes) {
    memcpy((unsigned char *)attrs + spec->offset, field, bytes);
}

static void store_int(void *attrs, const tare_attr_spec *spec, int64_t number) {
    const bool flag = number != 0;
    const int choice = (int)number;
    if (spec->kind == TARE_ATTR_BOOL) {
        store(attrs, spec, &flag, sizeof flag);
    } else if (spec->kind == TARE_ATTR_CHOICE) {
        store(attrs, spec, &choice, sizeof choice);
    } else {
        store(attrs, spec, &number, sizeof number);
    }
}

static void store_default(void *attrs, const tare_attr_spec *spec) {
    if (spec->kind == TARE_ATTR_INT || spec->kind == TARE_ATTR_BOOL ||
        spec->kind == TARE_ATTR_CHOICE) {
        store_int(attrs, spec, spec->default_int);
    } else if (spec->kind == TARE_ATTR_FLOAT) {
        store(attrs, spec, &spec->default_float, sizeof spec->default_float);
    }
}

static tare_status store_choice(void *attrs, const tare_attr_spec *spec,
                                const tare_attribute *attribute, tare_error *err) {
    for (int i = 0; spec->choices[i] != NULL; i++) {
        if (strcmp(spec->choices[i], attribute->s) == 0) {
            store_int(attrs, spec, i);
            return TARE_OK;
        }
    }
    return tare_fail(err, TARE_INVALID_MODEL,
                     "attribute '%s' is '%s', which is not one of its values", spec->name,
                     attribute->s);
}

static tare_status store_bool(void *attrs, const tare_attr_spec *spec,
                              const tare_attribute *attribute, tare_error *err) {
    if (attribute->i != 0 && attribute->i != 1) {
        return tare_fail(err, TARE_INVALID_MODEL, "attribute '%s' is %lld, expected 0 or 1",
                         spec->name, (long long)attribute->i);
    }
    store_int(attrs, spec, attribute->i);
    return TARE_OK;
}

static tare_status store_attribute(void *attrs, const tare_attr_spec *spec,
                                   const tare_attribute *from, tare_error *err) {
    /* An empty list is not an absent one, which has no pointer. */
    static const int64_t no_int = 0;
    static const float no_float = 0.0F;
    const tare_ints ints = {from->count, from->ints != NULL ? from->ints : &no_int};
    const tare_floats floats = {from->count, from->floats != NULL ? from->floats : &no_float};
    const tare_texts texts = {from->count, from->strings};
    const tare_tensor *tensor = from->tensor;

    switch (spec->kind) {
    case TARE_ATTR_INT:
        store_int(attrs, spec, from->i);
        break;
    case TARE_ATTR_BOOL:
        return store_bool(attrs, spec, from, err);
    case TARE_ATTR_CHOICE:
        return store_choice(attrs, spec, from, err);
    case TARE_ATTR_FLOAT:
        store(attrs, spec, &from->f, sizeof from->f);
        break;
    case TARE_ATTR_INTS:
        store(attrs, spec, &ints, sizeof ints);
        break;
    case TARE_ATTR_FLOATS:
        store(attrs, spec, &floats, sizeof floats);
        break;
    case TARE_ATTR_TEXTS:
        store(attrs, spec, &texts, sizeof texts);
        break;
    case TARE_ATTR_TENSOR:
        store(attrs, spec, &tensor, sizeof tensor);
        break;
    case TARE_ATTR_TEXT:
        store(attrs, spec, &from->s, sizeof from->s);
        break;
    case TARE_ATTR_REFUSED:
        return tare_fail(err, TARE_UNSUPPORTED, "attribute '%s' is not supported", spec->name);
    case TARE_ATTR_IGNORED:
        break;
    }
    return TARE_OK;
}

/* The attribute type that a kind is read from; UNDEFINED: any. */
static tare_attribute_type file_type(tare_attr_kind kind) {
    static const tare_attribute_type types[] = {[TARE_ATTR_INT] = TARE_ATTRIBUTE_INT,
                                                [TARE_ATTR_BOOL] = TARE_ATTRIBUTE_INT,
                                                [TARE_ATTR_FLOAT] = TARE_ATTRIBUTE_FLOAT,
                                                [TARE_ATTR_INTS] = TARE_ATTRIBUTE_INTS,
                                                [TARE_ATTR_FLOATS] = TARE_ATTRIBUTE_FLOATS,
                                                [TARE_ATTR_CHOICE] = TARE_ATTRIBUTE_STRING,
                                                [TARE_ATTR_TENSOR] = TARE_ATTRIBUTE_TENSOR,
                                                [TARE_ATTR_TEXT] = TARE_ATTRIBUTE_STRING,
                                                [TARE_ATTR_TEXTS] = TARE_ATTRIBUTE_STRINGS,
                                                [TARE_ATTR_IGNORED] = TARE_ATTRIBUTE_UNDEFINED,
                                                [TARE_ATTR_REFUSED] = TARE_ATTRIBUTE_UNDEFINED};
    return types[kind];
}

static const tare_attr_spec *find_spec(const tare_op *op, const char *name, int64_t opset) {
    for (const tare_attr_spec *spec = op->attrs; spec != NULL && spec->name != NULL; spec++) {
        if (spec_holds(spec, opset) && strcmp(spec->name, name) == 0) {
            return spec;
        }
    }
    return NULL;
}

static tare_status read_attributes(void *attrs, const tare_node *node, const tare_op *op,
                                   int64_t opset, tare_error *err) {
    for (const tare_attr_spec *spec = op->attrs; spec != NULL && spec->name != NULL; spec++) {
        if (!spec_holds(spec, opset)) {
            continue;
        }
        store_default(attrs, spec);
        if (spec->required && tare_node_attribute(node, spec->name) == NULL) {
            return tare_fail(err, TARE_INVALID_MODEL, "attribute '%s' is missing", spec->name);
        }
    }
    for (size_t i = 0; i < node->attribute_count; i++) {
        const tare_attribute *attribute = &node->attributes[i];
        const tare_attr_spec *spec = find_spec(op, attribute->name, opset);
        if (spec == NULL) {
            return tare_fail(err, TARE_INVALID_MODEL,
                             "the operator has no attribute '%s' in opset %lld", attribute->name,
                             (long long)opset);
        }
        if (file_type(spec->kind) != TARE_ATTRIBUTE_UNDEFINED &&
            attribute->type != file_type(spec->kind)) {
            return tare_fail(err, TARE_INVALID_MODEL,
                             "attribute '%s' has the type number %d, expected %d", attribute->name,
                             (int)attribute->type, (int)file_type(spec->kind));
        }
        TARE_TRY(store_attribute(attrs, spec, attribute, err));
    }
    return TARE_OK;
}

static tare_status check_count(const char *what, size_t count, int low, int high, tare_error *err) {
    if (count < (size_t)low || (high >= 0 && count > (size_t)high)) {
        return tare_fail(err, TARE_INVALID_MODEL, "has %zu %s, expected %d to %d", count, what, low,
                         high < 0 ? INT32_MAX : high);
    }
    return TARE_OK;
}

static tare_status check_arity(const tare_node *node, const tare_op *op, tare_error *err) {
    TARE_TRY(check_count("inputs", node->input_count, op->min_inputs, op->max_inputs, err));
    TARE_TRY(check_count("outputs", node->output_count, op->min_outputs, op->max_outputs, err));
    for (size_t i = 0; i < (size_t)op->min_inputs; i++) {
        if (node->inputs[i] == NULL && !(i < 32 && ((op->optional_inputs >> i) & 1U) != 0)) {
            return tare_fail(err, TARE_INVALID_MODEL, "input %zu is left out but is needed", i);
        }
    }
    for (size_t i = 0; i < (size_t)op->min_outputs; i++) {
        if (node->outputs[i] == NULL) {
            return tare_fail(err, TARE_INVALID_MODEL, "output %zu is left out but is needed", i);
        }
    }
    return TARE_OK;
}

static tare_status resolve_node(tare_graph *graph, tare_node *node, int64_t opset,
                                tare_error *err) {
    const tare_op *op = tare_op_find(node->domain, node->op_type, opset);
    node->op = NULL;
    node->attrs = NULL;
    if (op == NULL) {
        return TARE_OK;
    }
    TARE_TRY(check_arity(node, op, err));
    node->attrs = tare_arena_alloc(&graph->arena, op->attrs_size);
    if (node->attrs == NULL) {
        return tare_fail_memory(err, op->attrs_size, "typed attributes");
    }
    TARE_TRY(read_attributes(node->attrs, node, op, opset, err));
    node->op = op;
    return TARE_OK;
}

tare_status tare_ops_resolve(tare_graph *graph, tare_error *err) {
    const int64_t opset = tare_graph_opset(graph, "");

    for (size_t i = 0; i < graph->node_count; i++) {
        tare_node *node = graph->nodes[i];
        const bool onnx = node->domain[0] == '\0';
        tare_status status;
        if (onnx && (opset < OLDEST_OPSET || opset > NEWEST_OPSET)) {
            return tare_fail(err, opset == 0 ? TARE_INVALID_MODEL : TARE_UNSUPPORTED,
                             "the model uses ONNX opset %lld; supported are %d to %d",
                             (long long)opset, OLDEST_OPSET, NEWEST_OPSET);
        }
        status =
            resolve_node(graph, node, onnx ? opset : tare_graph_opset(graph, node->domain), err);
        if (status != TARE_OK) {
            char text[TARE_NODE_TEXT_BYTES];
            tare_error_prepend(err, "%s: ", tare_node_text(text, sizeof text, node));
            return status;
        }
    }
    return TARE_OK;
}
