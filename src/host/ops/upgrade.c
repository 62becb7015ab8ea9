/* SPDX-License-Identifier: Apache-2.0 */
/** Raising a model's ONNX opset without changing what it computes. */
#include "ops/upgrade.h"

#include <stdlib.h>
#include <string.h>

#include "ops/rank.h"

/* One node being rewritten. */
typedef struct rewrite {
    tare_graph *graph;
    tare_node *node;
    int64_t opset;    /* of the graph before the upgrade */
    const int *ranks; /* of the values that the graph had then, by id; -1: not known */
} rewrite;

static tare_status set_inputs(rewrite *r, tare_value *const *inputs, size_t count,
                              tare_error *err) {
    tare_value **copy = tare_arena_array(&r->graph->arena, count, sizeof *copy);
    if (copy == NULL) {
        return tare_fail_memory(err, count * sizeof *copy, "a node's inputs");
    }
    memcpy(copy, inputs, count * sizeof *copy);
    r->node->inputs = copy;
    r->node->input_count = count;
    r->node->origin = NULL;
    return TARE_OK;
}

/* A name nobody has: the node's first output, a word, and a number if that is taken. */
static const char *new_name(rewrite *r, const char *word) {
    const tare_node *node = r->node;
    const char *base =
        node->output_count > 0 && node->outputs[0] != NULL ? node->outputs[0]->name : node->op_type;
    char *name = tare_arena_printf(&r->graph->arena, "%s_%s", base, word);
    for (int i = 2; name != NULL && tare_graph_find_value(r->graph, name) != NULL; i++) {
        name = tare_arena_printf(&r->graph->arena, "%s_%s_%d", base, word, i);
    }
    return name;
}

static tare_status new_initializer(tare_value **out, rewrite *r, const char *word,
                                   tare_tensor *tensor, tare_error *err) {
    const char *name = new_name(r, word);
    tare_status status;
    if (name == NULL) {
        status = tare_fail_memory(err, strlen(word), "a name");
    } else {
        status = tare_graph_add_initializer(out, r->graph, name, tensor, err);
    }
    tare_tensor_release(tensor);
    return status;
}

static tare_status new_ints(tare_value **out, rewrite *r, const char *word, const int64_t *values,
                            size_t count, tare_error *err) {
    const int64_t dims = (int64_t)count;
    tare_tensor tensor;
    TARE_TRY(tare_tensor_init(&tensor, TARE_DTYPE_INT64, 1, &dims, err));
    if (count > 0) {
        memcpy(tare_tensor_elements(&tensor), values, count * sizeof *values);
    }
    return new_initializer(out, r, word, &tensor, err);
}

static tare_status new_floats(tare_value **out, rewrite *r, const char *word, const float *values,
                              size_t count, tare_error *err) {
    const int64_t dims = (int64_t)count;
    tare_tensor tensor;
    TARE_TRY(tare_tensor_init(&tensor, TARE_DTYPE_FLOAT, 1, &dims, err));
    if (count > 0) {
        memcpy(tare_tensor_elements(&tensor), values, count * sizeof *values);
    }
    return new_initializer(out, r, word, &tensor, err);
}

/* Whether the graph holds a floating-point type other than float32 anywhere. */
static bool has_other_floats(const tare_graph *graph) {
    for (size_t i = 0; i < graph->value_count; i++) {
        const tare_dtype dtype = graph->values[i]->dtype;
        if (dtype == TARE_DTYPE_FLOAT16 || dtype == TARE_DTYPE_DOUBLE ||
            dtype == TARE_DTYPE_BFLOAT16) {
            return true;
        }
    }
    for (size_t i = 0; i < graph->node_count; i++) {
        const tare_attribute *to = tare_node_attribute(graph->nodes[i], "to");
        if (to != NULL && to->i != TARE_DTYPE_FLOAT && to->i >= TARE_DTYPE_FLOAT16) {
            return true;
        }
    }
    return false;
}

/* A scalar of the type of the node's first input, which files do not always say. */
static tare_status new_scalar(tare_value **out, rewrite *r, const char *word, float number,
                              tare_error *err) {
    const tare_value *x = tare_node_input(r->node, 0);
    tare_dtype dtype = x == NULL ? TARE_DTYPE_UNDEFINED : x->dtype;
    tare_tensor tensor;

    if (dtype == TARE_DTYPE_UNDEFINED && r->node->outputs[0] != NULL) {
        dtype = r->node->outputs[0]->dtype;
    }
    if (dtype == TARE_DTYPE_UNDEFINED && !has_other_floats(r->graph)) {
        dtype = TARE_DTYPE_FLOAT;
    }
    if (dtype != TARE_DTYPE_FLOAT && dtype != TARE_DTYPE_DOUBLE) {
        return tare_fail(err, TARE_UNSUPPORTED,
                         "attribute '%s' would have to become an input of type %s", word,
                         tare_dtype_text(dtype));
    }
    TARE_TRY(tare_tensor_init(&tensor, dtype, 0, NULL, err));
    if (dtype == TARE_DTYPE_FLOAT) {
        *(float *)tare_tensor_elements(&tensor) = number;
    } else {
        *(double *)tare_tensor_elements(&tensor) = (double)number;
    }
    return new_initializer(out, r, word, &tensor, err);
}

static void drop_attribute(rewrite *r, const char *name) {
    size_t kept = 0;
    for (size_t i = 0; i < r->node->attribute_count; i++) {
        if (strcmp(r->node->attributes[i].name, name) != 0) {
            r->node->attributes[kept++] = r->node->attributes[i];
        }
    }
    r->node->attribute_count = kept;
    r->node->origin = NULL;
}

static tare_status set_attribute(rewrite *r, const tare_attribute *attribute, tare_error *err) {
    tare_attribute *grown;
    drop_attribute(r, attribute->name);
    grown = tare_arena_array(&r->graph->arena, r->node->attribute_count + 1, sizeof *grown);
    if (grown == NULL) {
        return tare_fail_memory(err, sizeof *grown, "an attribute");
    }
    memcpy(grown, r->node->attributes, r->node->attribute_count * sizeof *grown);
    grown[r->node->attribute_count] = *attribute;
    r->node->attributes = grown;
    r->node->attribute_count++;
    return TARE_OK;
}

static tare_status set_text(rewrite *r, const char *name, const char *text, tare_error *err) {
    const tare_attribute attribute = {
        .name = name, .type = TARE_ATTRIBUTE_STRING, .s = text, .s_length = strlen(text)};
    return set_attribute(r, &attribute, err);
}

/* Turns the list attribute `name` into an input behind the present ones. */
static tare_status list_to_input(rewrite *r, const char *name, tare_error *err) {
    const tare_attribute *list = tare_node_attribute(r->node, name);
    tare_value *inputs[2] = {tare_node_input(r->node, 0), NULL};
    if (list == NULL) {
        return TARE_OK;
    }
    TARE_TRY(new_ints(&inputs[1], r, name, list->ints, list->count, err));
    drop_attribute(r, name);
    return set_inputs(r, inputs, 2, err);
}

static tare_status upgrade_axes(rewrite *r, tare_error *err) {
    return list_to_input(r, "axes", err);
}

static tare_status upgrade_split(rewrite *r, tare_error *err) {
    return list_to_input(r, "split", err);
}

static tare_status upgrade_slice(rewrite *r, tare_error *err) {
    static const char *const names[] = {"starts", "ends", "axes"};
    tare_value *inputs[4] = {tare_node_input(r->node, 0), NULL, NULL, NULL};
    size_t count = 1;
    for (size_t i = 0; i < 3; i++) {
        const tare_attribute *list = tare_node_attribute(r->node, names[i]);
        if (list == NULL && i < 2) {
            return tare_fail(err, TARE_INVALID_MODEL, "attribute '%s' is missing", names[i]);
        }
        if (list != NULL) {
            TARE_TRY(new_ints(&inputs[count++], r, names[i], list->ints, list->count, err));
            drop_attribute(r, names[i]);
        }
    }
    return set_inputs(r, inputs, count, err);
}

static tare_status upgrade_clip(rewrite *r, tare_error *err) {
    static const char *const names[] = {"min", "max"};
    tare_value *inputs[3] = {tare_node_input(r->node, 0), NULL, NULL};
    size_t count = 1;
    for (size_t i = 0; i < 2; i++) {
        const tare_attribute *bound = tare_node_attribute(r->node, names[i]);
        if (bound != NULL) {
            TARE_TRY(new_scalar(&inputs[1 + i], r, names[i], bound->f, err));
            drop_attribute(r, names[i]);
            count = 2 + i;
        }
    }
    return set_inputs(r, inputs, count, err);
}

static tare_status upgrade_pad(rewrite *r, tare_error *err) {
    const tare_attribute *pads = tare_node_attribute(r->node, "pads");
    const tare_attribute *value = tare_node_attribute(r->node, "value");
    tare_value *inputs[3] = {tare_node_input(r->node, 0), NULL, NULL};
    if (pads == NULL) {
        return tare_fail(err, TARE_INVALID_MODEL, "attribute 'pads' is missing");
    }
    TARE_TRY(new_ints(&inputs[1], r, "pads", pads->ints, pads->count, err));
    if (value != NULL) {
        TARE_TRY(new_scalar(&inputs[2], r, "value", value->f, err));
    }
    TARE_TRY(set_inputs(r, inputs, value != NULL ? 3 : 2, err));
    drop_attribute(r, "pads");
    drop_attribute(r, "value");
    return TARE_OK;
}

static tare_status upgrade_topk(rewrite *r, tare_error *err) {
    const tare_attribute *k = tare_node_attribute(r->node, "k");
    tare_value *inputs[2] = {tare_node_input(r->node, 0), NULL};
    if (k == NULL) {
        return tare_fail(err, TARE_INVALID_MODEL, "attribute 'k' is missing");
    }
    TARE_TRY(new_ints(&inputs[1], r, "k", &k->i, 1, err));
    drop_attribute(r, "k");
    return set_inputs(r, inputs, 2, err);
}

static tare_status upgrade_scatter(rewrite *r, tare_error *err) {
    TARE_UNUSED(err);
    r->node->op_type = "ScatterElements";
    r->node->origin = NULL;
    return TARE_OK;
}

/* The ratio means nothing at inference, but it is part of the model. */
static tare_status upgrade_dropout(rewrite *r, tare_error *err) {
    const tare_attribute *ratio = tare_node_attribute(r->node, "ratio");
    tare_value *inputs[2] = {tare_node_input(r->node, 0), NULL};
    if (r->opset < 10 && r->node->output_count > 1 && r->node->outputs[1] != NULL &&
        (r->node->outputs[1]->is_output || r->node->outputs[1]->use_count > 0)) {
        return tare_fail(err, TARE_UNSUPPORTED, "the mask '%s' is read, whose type changed",
                         r->node->outputs[1]->name);
    }
    if (ratio == NULL) {
        return TARE_OK;
    }
    TARE_TRY(new_scalar(&inputs[1], r, "ratio", ratio->f, err));
    drop_attribute(r, "ratio");
    return set_inputs(r, inputs, 2, err);
}

static tare_status upgrade_batch_norm(rewrite *r, tare_error *err) {
    const tare_attribute *spatial = tare_node_attribute(r->node, "spatial");
    if (spatial != NULL && spatial->i != 1) {
        return tare_fail(err, TARE_UNSUPPORTED, "spatial is %lld", (long long)spatial->i);
    }
    if (spatial != NULL) {
        drop_attribute(r, "spatial");
    }
    return TARE_OK;
}

/* Which neighbour the old nearest mode took: the one before when growing, after when shrinking. */
static tare_status old_rounding(const char **out, const rewrite *r, const tare_value *scales,
                                tare_error *err) {
    const tare_attribute *mode = tare_node_attribute(r->node, "mode");
    bool grows = false, shrinks = false;

    *out = "floor";
    if (strcmp(r->node->op_type, "Upsample") == 0 ||
        (mode != NULL && mode->s != NULL && strcmp(mode->s, "nearest") != 0)) {
        return TARE_OK;
    }
    for (int64_t i = 0; scales->constant != NULL && i < tare_tensor_count(scales->constant); i++) {
        const double scale = tare_tensor_float_at(scales->constant, i);
        grows = grows || scale > 1.0;
        shrinks = shrinks || scale < 1.0;
    }
    if (scales->constant == NULL || (grows && shrinks)) {
        return tare_fail(err, TARE_UNSUPPORTED, "scales '%s' %s", scales->name,
                         scales->constant == NULL ? "are not constant"
                                                  : "enlarge one axis and shrink another");
    }
    *out = shrinks ? "ceil" : "floor";
    return TARE_OK;
}

static tare_status upgrade_resize(rewrite *r, tare_error *err) {
    const tare_attribute *list = tare_node_attribute(r->node, "scales");
    tare_value *inputs[3] = {tare_node_input(r->node, 0), NULL, tare_node_input(r->node, 1)};
    const char *rounding;

    if (list != NULL) {
        TARE_TRY(new_floats(&inputs[2], r, "scales", list->floats, list->count, err));
        drop_attribute(r, "scales");
    }
    if (inputs[2] == NULL) {
        return tare_fail(err, TARE_INVALID_MODEL, "the scales are missing");
    }
    TARE_TRY(old_rounding(&rounding, r, inputs[2], err));
    r->node->op_type = "Resize";
    TARE_TRY(set_inputs(r, inputs, 3, err));
    TARE_TRY(set_text(r, "coordinate_transformation_mode", "asymmetric", err));
    return set_text(r, "nearest_mode", rounding, err);
}

/* Adds a node before the one being rewritten and gives it a new value to produce. */
static tare_status add_before(tare_value **out, rewrite *r, tare_node_spec *spec, const char *word,
                              tare_error *err) {
    const char *name = new_name(r, word);
    tare_node *added;
    if (name == NULL) {
        return tare_fail_memory(err, strlen(word), "a name");
    }
    TARE_TRY(tare_graph_add_value(out, r->graph, name, err));
    spec->name = name;
    spec->outputs = out;
    spec->output_count = 1;
    return tare_graph_add_node(&added, r->graph, spec, r->node->id, err);
}

/* Softmax(x) = Reshape(Softmax(Flatten(x, axis)), Shape(x)) for an axis that is not the last. The
 * node itself stays the Softmax; its old output becomes that of the Reshape. */
static tare_status wrap_softmax(rewrite *r, int64_t axis, tare_error *err) {
    const tare_attribute flat_axis = {.name = "axis", .type = TARE_ATTRIBUTE_INT, .i = axis};
    const tare_attribute last = {.name = "axis", .type = TARE_ATTRIBUTE_INT, .i = 1};
    tare_value *x = tare_node_input(r->node, 0), *result = r->node->outputs[0];
    tare_value *flat, *ends[2] = {NULL, NULL};
    tare_node_spec shape = {.op_type = "Shape", .inputs = &x, .input_count = 1};
    tare_node_spec flatten = {.op_type = "Flatten",
                              .inputs = &x,
                              .input_count = 1,
                              .attributes = &flat_axis,
                              .attribute_count = 1};
    tare_node_spec reshape = {.op_type = "Reshape",
                              .inputs = ends,
                              .input_count = 2,
                              .outputs = &result,
                              .output_count = 1};
    const char *name = new_name(r, "flat");
    tare_node *added;

    TARE_TRY(add_before(&ends[1], r, &shape, "shape", err));
    TARE_TRY(add_before(&flat, r, &flatten, "flattened", err));
    if (name == NULL) {
        return tare_fail_memory(err, 8, "a name");
    }
    TARE_TRY(tare_graph_add_value(&ends[0], r->graph, name, err));
    r->node->outputs[0] = ends[0];
    ends[0]->producer = r->node;
    result->producer = NULL;
    reshape.name = tare_arena_printf(&r->graph->arena, "%s_reshape", result->name);
    TARE_TRY(set_inputs(r, &flat, 1, err));
    TARE_TRY(set_attribute(r, &last, err));
    return tare_graph_add_node(&added, r->graph, &reshape, r->node->id + 1, err);
}

static tare_status upgrade_softmax(rewrite *r, tare_error *err) {
    const tare_attribute *given = tare_node_attribute(r->node, "axis");
    const tare_value *x = tare_node_input(r->node, 0);
    const int64_t axis = given == NULL ? 1 : given->i;
    const int rank = r->ranks[x->id];
    const tare_attribute kept = {.name = "axis", .type = TARE_ATTRIBUTE_INT, .i = axis};

    if (axis == -1 || (rank >= 0 && (axis == rank - 1))) {
        return given == NULL ? set_attribute(r, &kept, err) : TARE_OK;
    }
    return wrap_softmax(r, axis, err);
}

/* What changed its form up to opset 13, and the last opset with the old form. */
static const struct {
    const char *op_type;
    int64_t until;
    tare_status (*apply)(rewrite *r, tare_error *err);
} rules[] = {{"BatchNormalization", 8, upgrade_batch_norm},
             {"Upsample", 9, upgrade_resize},
             {"Slice", 9, upgrade_slice},
             {"TopK", 9, upgrade_topk},
             {"Resize", 10, upgrade_resize},
             {"Clip", 10, upgrade_clip},
             {"Pad", 10, upgrade_pad},
             {"Scatter", 10, upgrade_scatter},
             {"Dropout", 11, upgrade_dropout},
             {"Squeeze", 12, upgrade_axes},
             {"Unsqueeze", 12, upgrade_axes},
             {"ReduceSum", 12, upgrade_axes},
             {"Split", 12, upgrade_split},
             {"Softmax", 12, upgrade_softmax},
             {"LogSoftmax", 12, upgrade_softmax},
             {"Hardmax", 12, upgrade_softmax}};

static tare_status upgrade_node(rewrite *r, int64_t target, tare_error *err) {
    /* ONNX's numbers for attributes that hold one or several graphs. */
    enum { ONE_GRAPH = 5, SEVERAL_GRAPHS = 10 };
    for (size_t i = 0; i < r->node->attribute_count; i++) {
        const int type = (int)r->node->attributes[i].type;
        if (type == ONE_GRAPH || type == SEVERAL_GRAPHS) {
            return tare_fail(err, TARE_UNSUPPORTED,
                             "a node with subgraphs cannot be raised from opset %lld to %lld",
                             (long long)r->opset, (long long)target);
        }
    }
    for (size_t i = 0; i < sizeof rules / sizeof rules[0]; i++) {
        if (r->opset <= rules[i].until && rules[i].until < target &&
            strcmp(r->node->op_type, rules[i].op_type) == 0) {
            if (r->node->input_count == 0 || r->node->output_count == 0 ||
                r->node->outputs[0] == NULL) {
                return tare_fail(err, TARE_INVALID_MODEL, "has no inputs or no outputs");
            }
            return rules[i].apply(r, err);
        }
    }
    return TARE_OK;
}

static void set_opset(tare_graph *graph, int64_t opset) {
    for (size_t i = 0; i < graph->opset_count; i++) {
        if (graph->opsets[i].domain[0] == '\0') {
            graph->opsets[i].version = opset;
        }
    }
    if (graph->ir_version < 7) {
        graph->ir_version = 7;
    }
}

static tare_status upgrade_nodes(tare_graph *graph, const int *ranks, int64_t opset,
                                 tare_error *err) {
    for (size_t i = 0; i < graph->node_count; i++) {
        rewrite r = {.graph = graph,
                     .node = graph->nodes[i],
                     .opset = tare_graph_opset(graph, ""),
                     .ranks = ranks};
        tare_status status;
        if (r.node->domain[0] != '\0') {
            continue;
        }
        status = upgrade_node(&r, opset, err);
        if (status != TARE_OK) {
            char text[TARE_NODE_TEXT_BYTES];
            tare_error_prepend(err, "%s: ", tare_node_text(text, sizeof text, r.node));
            return status;
        }
        i = r.node->id; /* nodes may have been added in front */
    }
    return TARE_OK;
}

tare_status tare_graph_upgrade(tare_graph *graph, int64_t opset, tare_error *err) {
    const int64_t from = tare_graph_opset(graph, "");
    int *ranks = NULL;
    tare_status status;

    if (opset > TARE_UPGRADE_OPSET) {
        return tare_fail(err, TARE_INVALID_ARGUMENT, "cannot raise to opset %lld, at most to %d",
                         (long long)opset, TARE_UPGRADE_OPSET);
    }
    if (from >= opset) {
        return TARE_OK;
    }
    if (from < 7) {
        return tare_fail(err, TARE_UNSUPPORTED, "the model uses ONNX opset %lld; supported from 7",
                         (long long)from);
    }
    TARE_TRY(tare_graph_index_uses(graph, err));
    ranks = calloc(graph->value_count + 1, sizeof *ranks);
    if (ranks == NULL) {
        return tare_fail_memory(err, graph->value_count * sizeof *ranks, "ranks");
    }
    TARE_TRY_DONE(status, tare_graph_ranks(ranks, graph, err));
    TARE_TRY_DONE(status, upgrade_nodes(graph, ranks, opset, err));
    set_opset(graph, opset);
done:
    free(ranks);
    return status;
}
