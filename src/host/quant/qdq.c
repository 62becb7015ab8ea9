/* SPDX-License-Identifier: Apache-2.0 */
/** Inserting QuantizeLinear and DequantizeLinear, and cleaning up behind them. */
#include "quant/qdq.h"

#include <string.h>

#include "base/map.h"
#include "quant/flow.h"
#include "quant/weight.h"

#define NAME_TRIES 1000000

typedef struct qdq_writer {
    tare_graph *graph;
    tare_arena scratch;
    tare_map node_names;
    size_t old_count; /* nodes of the graph before the first insertion */
    size_t *before;   /* by inserted node: id of the old node that it goes before */
    size_t added, capacity;
} qdq_writer;

/* ---- names ---- */

static tare_status names_index(qdq_writer *w, tare_error *err) {
    tare_map_init(&w->node_names, &w->scratch);
    for (size_t i = 0; i < w->graph->node_count; i++) {
        tare_node *node = w->graph->nodes[i];
        if (!tare_map_set(&w->node_names, node->name, node)) {
            return tare_fail_memory(err, 64, "names of nodes");
        }
    }
    return TARE_OK;
}

/* The names that a quantizer uses, numbered so that none of them is taken. */
typedef struct qdq_names {
    const char *quantize, *dequantize; /* nodes */
    const char *codes, *values;        /* tensors */
    const char *scale, *zero_point;    /* initializers */
} qdq_names;

static bool names_are_free(const qdq_writer *w, const qdq_names *names) {
    const char *const values[] = {names->codes, names->values, names->scale, names->zero_point};
    for (size_t i = 0; i < sizeof(values) / sizeof(values[0]); i++) {
        if (tare_graph_find_value(w->graph, values[i]) != NULL) {
            return false;
        }
    }
    return tare_map_get(&w->node_names, names->quantize) == NULL &&
           tare_map_get(&w->node_names, names->dequantize) == NULL;
}

static tare_status names_make(qdq_names *names, qdq_writer *w, const char *tensor,
                              tare_error *err) {
    for (int number = 1; number < NAME_TRIES; number++) {
        names->quantize = tare_arena_printf(&w->scratch, "QuantizeLinear_%s_%d", tensor, number);
        names->dequantize =
            tare_arena_printf(&w->scratch, "DequantizeLinear_%s_%d", tensor, number);
        names->codes = tare_arena_printf(&w->scratch, "q_output_%s_%d", tensor, number);
        names->values = tare_arena_printf(&w->scratch, "dq_output_%s_%d", tensor, number);
        names->scale = tare_arena_printf(&w->scratch, "scale_%s_%d", tensor, number);
        names->zero_point = tare_arena_printf(&w->scratch, "zero_point_%s_%d", tensor, number);
        if (names->quantize == NULL || names->dequantize == NULL || names->codes == NULL ||
            names->values == NULL || names->scale == NULL || names->zero_point == NULL) {
            return tare_fail_memory(err, strlen(tensor), "names of quantizers");
        }
        if (names_are_free(w, names)) {
            return TARE_OK;
        }
    }
    return tare_fail(err, TARE_INVALID_MODEL, "all names for a quantizer of '%s' are taken",
                     tensor);
}

/* ---- nodes ---- */

/* Adds a node at the end and notes which old node it goes before. */
static tare_status node_append(tare_node **out, qdq_writer *w, const tare_node_spec *spec,
                               size_t before, tare_error *err) {
    if (w->added == w->capacity) {
        return tare_fail(err, TARE_INTERNAL, "more quantizers than planned");
    }
    TARE_TRY(tare_graph_add_node(out, w->graph, spec, SIZE_MAX, err));
    w->before[w->added++] = before;
    if (!tare_map_set(&w->node_names, (*out)->name, *out)) {
        return tare_fail_memory(err, 64, "names of nodes");
    }
    return TARE_OK;
}

/* Brings the inserted nodes to their places in one go. */
static tare_status nodes_place(qdq_writer *w, tare_error *err) {
    tare_graph *graph = w->graph;
    const size_t count = graph->node_count;
    size_t *start = tare_arena_array(&w->scratch, w->old_count + 1, sizeof(*start));
    tare_node **placed = tare_arena_array(&w->scratch, count, sizeof(tare_node *));
    if (start == NULL || placed == NULL) {
        return tare_fail_memory(err, count * sizeof(tare_node *), "the order of nodes");
    }
    for (size_t i = 0; i < w->added; i++) {
        start[w->before[i] + 1]++;
    }
    /* start[i] becomes the place of the first node inserted before the old node i. */
    for (size_t i = 1; i <= w->old_count; i++) {
        start[i] += start[i - 1] + 1;
    }
    for (size_t i = 0; i < w->added; i++) {
        placed[start[w->before[i]]++] = graph->nodes[w->old_count + i];
    }
    for (size_t i = 0; i < w->old_count; i++) {
        placed[start[i]] = graph->nodes[i];
    }
    for (size_t i = 0; i < count; i++) {
        graph->nodes[i] = placed[i];
        placed[i]->id = i;
    }
    return TARE_OK;
}

/* ---- one quantizer ---- */

static size_t first_consumer(const tare_quantizer_point *point) {
    size_t first = SIZE_MAX;
    for (size_t i = 0; i < point->consumer_count; i++) {
        const size_t id = point->consumers[i].node->id;
        first = id < first ? id : first;
    }
    return first;
}

static tare_status value_new(tare_value **out, qdq_writer *w, const char *name,
                             const tare_value *like, tare_dtype dtype, tare_error *err) {
    TARE_TRY(tare_graph_add_value(out, w->graph, name, err));
    (*out)->dtype = dtype;
    (*out)->rank = like->rank;
    memcpy((*out)->dims, like->dims, sizeof(like->dims));
    return TARE_OK;
}

static tare_status initializer_add(tare_value **out, qdq_writer *w, const char *name,
                                   tare_tensor *tensor, tare_error *err) {
    const tare_status status = tare_graph_add_initializer(out, w->graph, name, tensor, err);
    tare_tensor_release(tensor);
    return status;
}

/* What both nodes of a pair read. */
typedef struct qdq_numbers {
    tare_value *scale, *zero_point;
} qdq_numbers;

/* Adds scale and zero point as initializers: scalars for one scale, else vectors. */
static tare_status numbers_add(qdq_numbers *numbers, qdq_writer *w, const qdq_names *names,
                               const tare_quantizer_params *params, bool per_channel,
                               tare_error *err) {
    const int64_t dims[1] = {(int64_t)params->count};
    tare_tensor tensor;
    TARE_TRY(tare_tensor_init(&tensor, TARE_DTYPE_FLOAT, per_channel ? 1 : 0, dims, err));
    memcpy(tare_tensor_elements(&tensor), params->scale, params->count * sizeof(float));
    TARE_TRY(initializer_add(&numbers->scale, w, names->scale, &tensor, err));
    TARE_TRY(tare_tensor_init(&tensor, params->dtype, per_channel ? 1 : 0, dims, err));
    unsigned char *codes = tare_tensor_elements(&tensor);
    for (size_t i = 0; i < params->count; i++) {
        /* The low byte of the two's complement serves both element types. */
        codes[i] = (unsigned char)((uint32_t)params->zero_point[i] & 0xFFU);
    }
    return initializer_add(&numbers->zero_point, w, names->zero_point, &tensor, err);
}

/* The codes of a weight as an initializer. */
static tare_status codes_add(tare_value **codes, qdq_writer *w, const qdq_names *names,
                             const tare_quantizer_point *point, const tare_quantizer_params *params,
                             tare_error *err) {
    tare_tensor weight = {0};
    tare_tensor quantized = {0};
    tare_status status;
    TARE_TRY_DONE(status, tare_weight_load(&weight, point->value, err));
    TARE_TRY_DONE(status, tare_weight_quantize(&quantized, &weight, point->axis, params, err));
    status = tare_graph_add_initializer(codes, w->graph, names->codes, &quantized, err);
done:
    tare_tensor_release(&quantized);
    tare_tensor_release(&weight);
    return status;
}

static tare_status point_insert(qdq_writer *w, const tare_quantizer_point *point,
                                const tare_quantizer_params *params, tare_error *err) {
    const bool per_channel = point->axis >= 0;
    const size_t before = first_consumer(point);
    const tare_attribute axis = {.name = "axis", .type = TARE_ATTRIBUTE_INT, .i = point->axis};
    qdq_names names;
    qdq_numbers numbers;
    tare_value *codes;
    tare_value *values;
    tare_node *node;
    TARE_TRY(names_make(&names, w, point->value->name, err));
    TARE_TRY(numbers_add(&numbers, w, &names, params, per_channel, err));
    if (point->kind == TARE_POINT_WEIGHT) {
        TARE_TRY(codes_add(&codes, w, &names, point, params, err));
    } else {
        TARE_TRY(value_new(&codes, w, names.codes, point->value, params->dtype, err));
        const tare_node_spec quantize = {
            .op_type = "QuantizeLinear",
            .domain = "",
            .name = names.quantize,
            .inputs = (tare_value *const[]){point->value, numbers.scale, numbers.zero_point},
            .input_count = 3,
            .outputs = &codes,
            .output_count = 1,
            .attributes = &axis,
            .attribute_count = per_channel ? 1 : 0};
        TARE_TRY(node_append(&node, w, &quantize, before, err));
    }
    TARE_TRY(value_new(&values, w, names.values, point->value, TARE_DTYPE_FLOAT, err));
    const tare_node_spec dequantize = {
        .op_type = "DequantizeLinear",
        .domain = "",
        .name = names.dequantize,
        .inputs = (tare_value *const[]){codes, numbers.scale, numbers.zero_point},
        .input_count = 3,
        .outputs = &values,
        .output_count = 1,
        .attributes = &axis,
        .attribute_count = per_channel ? 1 : 0};
    TARE_TRY(node_append(&node, w, &dequantize, before, err));
    for (size_t i = 0; i < point->consumer_count; i++) {
        point->consumers[i].node->inputs[point->consumers[i].port] = values;
    }
    return TARE_OK;
}

/* ---- what is not needed any more ---- */

/* Subgraphs read tensors of the graph by name, so nothing is known to be unused then. */
static bool has_subgraphs(const tare_graph *graph) {
    for (size_t i = 0; i < graph->node_count; i++) {
        for (size_t k = 0; k < graph->nodes[i]->attribute_count; k++) {
            const int type = (int)graph->nodes[i]->attributes[k].type;
            if (type == TARE_ATTRIBUTE_GRAPH || type == 10 /* a list of graphs */) {
                return true;
            }
        }
    }
    return false;
}

/* Counts a reader of a value less; what nothing reads any more goes, and its makers with it. */
static void value_forsake(tare_graph *graph, tare_value *value, size_t *readers, bool *drop) {
    tare_value *pending[TARE_WEIGHT_MAX_CHAIN * 2];
    size_t count = 0;
    pending[count++] = value;
    while (count > 0) {
        tare_value *lost = pending[--count];
        if (readers[lost->id] > 0 || lost->is_output) {
            continue;
        }
        if (lost->is_initializer) {
            tare_graph_drop_initializer(graph, lost);
            continue;
        }
        tare_node *node = lost->producer;
        if (node == NULL || node->output_count != 1 || drop[node->id]) {
            continue;
        }
        drop[node->id] = true;
        for (size_t i = 0; i < node->input_count; i++) {
            if (node->inputs[i] != NULL) {
                readers[node->inputs[i]->id]--;
                if (count < sizeof(pending) / sizeof(pending[0])) {
                    pending[count++] = node->inputs[i];
                }
            }
        }
    }
}

static tare_status leftovers_remove(qdq_writer *w, const tare_quantizer_setup *setup,
                                    tare_error *err) {
    tare_graph *graph = w->graph;
    size_t *readers = tare_arena_array(&w->scratch, graph->value_count, sizeof(*readers));
    bool *drop = tare_arena_array(&w->scratch, graph->node_count, sizeof(*drop));
    if (readers == NULL || drop == NULL) {
        return tare_fail_memory(err, graph->value_count * sizeof(*readers), "unused tensors");
    }
    if (has_subgraphs(graph)) {
        return TARE_OK;
    }
    for (size_t i = 0; i < graph->node_count; i++) {
        for (size_t k = 0; k < graph->nodes[i]->input_count; k++) {
            if (graph->nodes[i]->inputs[k] != NULL) {
                readers[graph->nodes[i]->inputs[k]->id]++;
            }
        }
    }
    for (size_t i = 0; i < setup->point_count; i++) {
        if (setup->points[i].kind == TARE_POINT_WEIGHT) {
            value_forsake(graph, setup->points[i].value, readers, drop);
        }
    }
    for (size_t i = 0; i < graph->node_count; i++) {
        /* Casts that quantizers went around. */
        if (tare_flow_is_idle_cast(graph->nodes[i]) && !drop[i]) {
            value_forsake(graph, graph->nodes[i]->outputs[0], readers, drop);
        }
    }
    tare_graph_remove_nodes(graph, drop);
    return TARE_OK;
}

static tare_status writer_run(qdq_writer *w, const tare_quantizer_setup *setup,
                              const tare_activation_range *ranges, tare_error *err) {
    tare_quantizer_params *params =
        tare_arena_array(&w->scratch, setup->point_count, sizeof(*params));
    w->capacity = 2 * setup->point_count;
    w->before = tare_arena_array(&w->scratch, w->capacity, sizeof(*w->before));
    if (params == NULL || w->before == NULL) {
        return tare_fail_memory(err, w->capacity * sizeof(*w->before), "quantizers");
    }
    TARE_TRY(tare_setup_params(params, &w->scratch, setup, ranges, err));
    TARE_TRY(names_index(w, err));
    for (size_t i = 0; i < setup->point_count; i++) {
        const tare_status status = point_insert(w, &setup->points[i], &params[i], err);
        if (status != TARE_OK) {
            tare_error_prepend(err, "tensor '%s': ", setup->points[i].value->name);
            return status;
        }
    }
    TARE_TRY(nodes_place(w, err));
    TARE_TRY(leftovers_remove(w, setup, err));
    return tare_graph_index_uses(w->graph, err);
}

tare_status tare_qdq_insert(tare_graph *graph, const tare_quantizer_setup *setup,
                            const tare_activation_range *ranges, tare_error *err) {
    qdq_writer writer = {.graph = graph, .old_count = graph->node_count};
    if (tare_graph_opset(graph, "") < setup->target->opset) {
        return tare_fail(err, TARE_INVALID_ARGUMENT,
                         "a graph of opset %lld, expected %lld or later",
                         (long long)tare_graph_opset(graph, ""), (long long)setup->target->opset);
    }
    tare_arena_init(&writer.scratch);
    const tare_status status = writer_run(&writer, setup, ranges, err);
    tare_arena_release(&writer.scratch);
    return status;
}
