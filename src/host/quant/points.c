/* SPDX-License-Identifier: Apache-2.0 */
/** Collecting quantizer points: tensors, consumers, axes, groups, half ranges. */
#include "quant/points.h"

#include <stdlib.h>
#include <string.h>

typedef struct point_builder {
    tare_quantizer_setup *setup;
    tare_arena *arena;
    const tare_flow *flow;
    const tare_propagation *work;
    size_t capacity;
    size_t *first; /* by id of the value: its first point, or SIZE_MAX */
    size_t *next;  /* by point: the value's next one, or SIZE_MAX */
    bool *claimed; /* by edge of the flow: its reader has a quantizer of its own */
    bool *half;    /* by node of the flow: its weights use half of the range */
} point_builder;

static bool points_alike(const tare_quantizer_point *a, const tare_quantizer_point *b) {
    return a->kind == b->kind && a->axis == b->axis && a->group == b->group &&
           tare_config_equal(&a->config, &b->config);
}

/* Adds a consumer to the point like `wanted` on its value, making the point if need be. What a
 * first reader of shared weights decides about half range holds for all. */
static tare_status point_add(point_builder *builder, const tare_quantizer_point *wanted,
                             tare_use consumer, tare_error *err) {
    tare_quantizer_setup *setup = builder->setup;
    const size_t id = wanted->value->id;
    size_t at = builder->first[id];
    while (at != SIZE_MAX && !points_alike(&setup->points[at], wanted)) {
        at = builder->next[at];
    }
    if (at == SIZE_MAX) {
        if (setup->point_count == builder->capacity) {
            return tare_fail(err, TARE_INTERNAL, "more quantizers than edges");
        }
        at = setup->point_count++;
        setup->points[at] = *wanted;
        builder->next[at] = builder->first[id];
        builder->first[id] = at;
    }
    tare_quantizer_point *point = &setup->points[at];
    /* Capacities are powers of two, so that they need no field. */
    if ((point->consumer_count & (point->consumer_count - 1)) == 0) {
        const size_t capacity = point->consumer_count == 0 ? 1 : point->consumer_count * 2;
        tare_use *grown = tare_arena_array(builder->arena, capacity, sizeof(*grown));
        if (grown == NULL) {
            return tare_fail_memory(err, capacity * sizeof(*grown), "consumers of quantizers");
        }
        if (point->consumer_count > 0) {
            memcpy(grown, point->consumers, point->consumer_count * sizeof(*grown));
        }
        point->consumers = grown;
    }
    point->consumers[point->consumer_count++] = consumer;
    return TARE_OK;
}

/* The point of a mover on a value. Channels are those of axis 1; a tensor that has no known axis 1
 * gets a single scale. */
static tare_quantizer_point activation_point(const point_builder *builder, const tare_mover *mover,
                                             tare_value *value) {
    tare_quantizer_point point = {.kind = TARE_POINT_ACTIVATION,
                                  .value = value,
                                  .config = mover->configs.items[0],
                                  .axis = -1,
                                  .channels = 1,
                                  .group = tare_mover_group(builder->work, mover)};
    if (point.config.per_channel && value->rank >= 2 && value->dims[1] > 0) {
        point.axis = 1;
        point.channels = value->dims[1];
        point.group = TARE_NO_GROUP;
    }
    point.config.per_channel = point.axis >= 0;
    point.uses_abs_max = point.config.symmetric;
    return point;
}

static tare_use edge_use(const tare_flow *flow, const tare_flow_edge *edge) {
    return (tare_use){flow->nodes[edge->to].node, edge->in_port};
}

/* Quantizers right before their readers, which then do not read those behind the makers. */
static tare_status readers_collect(point_builder *builder, tare_error *err) {
    const tare_hook_graph *graph = builder->work->graph;
    for (size_t i = 0; i < graph->hook_count; i++) {
        const tare_hook *hook = &graph->hooks[i];
        if (hook->kind != TARE_HOOK_BEFORE || hook->here == NULL || hook->here->table != SIZE_MAX) {
            continue;
        }
        const tare_flow_edge *edge = &builder->flow->edges[hook->edge];
        const tare_quantizer_point point = activation_point(builder, hook->here, edge->value);
        builder->claimed[hook->edge] = true;
        if (builder->flow->nodes[edge->to].node != NULL) {
            TARE_TRY(point_add(builder, &point, edge_use(builder->flow, edge), err));
        }
    }
    return TARE_OK;
}

/* Quantizers right behind the makers, for all readers; graph outputs stay float. */
static tare_status makers_collect(point_builder *builder, bool inputs, tare_error *err) {
    const tare_hook_graph *graph = builder->work->graph;
    const tare_flow *flow = builder->flow;
    for (size_t i = 0; i < graph->hook_count; i++) {
        const tare_hook *hook = &graph->hooks[i];
        const tare_flow_node *maker = &flow->nodes[hook->flow];
        if (hook->kind != TARE_HOOK_BEHIND || hook->here == NULL || hook->here->table != SIZE_MAX ||
            (maker->node == NULL) != inputs) {
            continue;
        }
        for (size_t k = 0; k < maker->out_count; k++) {
            const tare_flow_edge *edge = &flow->edges[maker->out[k]];
            if (flow->nodes[edge->to].node == NULL || builder->claimed[maker->out[k]] ||
                edge->integer) {
                continue;
            }
            const tare_quantizer_point point = activation_point(builder, hook->here, edge->value);
            TARE_TRY(point_add(builder, &point, edge_use(flow, edge), err));
        }
    }
    return TARE_OK;
}

/* Marks the first nodes of the half-range kind with weights that inputs lead to. */
static tare_status half_range_mark(point_builder *builder, const tare_weight_plan *weights,
                                   tare_error *err) {
    const tare_flow *flow = builder->flow;
    bool *seen = tare_arena_array(builder->arena, flow->node_count, sizeof(*seen));
    size_t *stack = tare_arena_array(builder->arena, flow->node_count, sizeof(*stack));
    size_t depth = 0;
    if (seen == NULL || stack == NULL) {
        return tare_fail_memory(err, flow->node_count * sizeof(*stack), "quantizer placement");
    }
    for (size_t i = 0; i < flow->node_count; i++) {
        if (flow->nodes[i].rule == &flow->target->input) {
            seen[i] = true;
            stack[depth++] = i;
        }
    }
    while (depth > 0) {
        const size_t at = stack[--depth];
        const tare_flow_node *node = &flow->nodes[at];
        if ((node->rule->tags & flow->target->half_range) != 0 && weights[at].configs.count > 0) {
            builder->half[at] = true;
            continue;
        }
        for (size_t k = 0; k < node->out_count; k++) {
            const size_t to = flow->edges[node->out[k]].to;
            if (!seen[to]) {
                seen[to] = true;
                stack[depth++] = to;
            }
        }
    }
    return TARE_OK;
}

static tare_status weights_collect(point_builder *builder, const tare_weight_plan *weights,
                                   tare_error *err) {
    const tare_flow *flow = builder->flow;
    for (size_t i = 0; i < flow->node_count; i++) {
        const tare_flow_node *node = &flow->nodes[i];
        for (size_t port = 0; port < 2 && weights[i].configs.count > 0; port++) {
            if ((node->weight_ports & (1U << port)) == 0) {
                continue;
            }
            tare_quantizer_point point = {.kind = TARE_POINT_WEIGHT,
                                          .value = node->node->inputs[port],
                                          .config = weights[i].configs.items[0],
                                          .axis = -1,
                                          .channels = 1,
                                          .group = weights[i].group};
            if (point.config.per_channel) {
                point.axis = tare_rule_weight_axis(node->rule, node->node, port);
                point.group = TARE_NO_GROUP;
            }
            if (point.axis >= 0) {
                point.channels = point.value->dims[point.axis];
            }
            point.config.per_channel = point.axis >= 0;
            point.uses_abs_max = point.config.symmetric;
            point.half_range = builder->half[i] && point.group == TARE_NO_GROUP;
            TARE_TRY(point_add(builder, &point, (tare_use){node->node, port}, err));
        }
    }
    return TARE_OK;
}

/* Numbers the groups from 0 and dissolves those with a single member. A group whose members came
 * to differ in their scheme is symmetric, which serves all of them. */
static tare_status groups_number(point_builder *builder, size_t groups, tare_error *err) {
    tare_quantizer_setup *setup = builder->setup;
    size_t *members = tare_arena_array(builder->arena, groups, sizeof(*members));
    size_t *number = tare_arena_array(builder->arena, groups, sizeof(*number));
    bool *symmetric = tare_arena_array(builder->arena, groups, sizeof(*symmetric));
    if (members == NULL || number == NULL || symmetric == NULL) {
        return tare_fail_memory(err, groups * sizeof(*members), "groups of quantizers");
    }
    for (size_t i = 0; i < setup->point_count; i++) {
        const tare_quantizer_point *point = &setup->points[i];
        if (point->group != TARE_NO_GROUP) {
            members[point->group]++;
            symmetric[point->group] |= point->config.symmetric;
        }
    }
    for (size_t i = 0; i < setup->point_count; i++) {
        tare_quantizer_point *point = &setup->points[i];
        if (point->group == TARE_NO_GROUP) {
            continue;
        }
        const size_t group = point->group;
        if (members[group] < 2) {
            point->group = TARE_NO_GROUP;
            continue;
        }
        if (number[group] == 0) {
            number[group] = ++setup->group_count;
        }
        point->group = number[group] - 1;
        point->config.symmetric = symmetric[group];
        point->uses_abs_max = point->config.symmetric;
    }
    return TARE_OK;
}

static int compare_sizes(size_t a, size_t b) {
    return a < b ? -1 : a > b ? 1 : 0;
}

static int compare_uses(const void *left, const void *right) {
    const tare_use *a = left;
    const tare_use *b = right;
    const int nodes = compare_sizes(a->node->id, b->node->id);
    return nodes != 0 ? nodes : compare_sizes(a->port, b->port);
}

/* Where a point belongs: graph inputs come before all nodes. */
static size_t point_rank(const tare_quantizer_point *point) {
    if (point->kind == TARE_POINT_WEIGHT) {
        return point->consumers[0].node->id;
    }
    return point->value->producer == NULL ? 0 : point->value->producer->id + 1;
}

static int compare_points(const void *left, const void *right) {
    const tare_quantizer_point *a = left;
    const tare_quantizer_point *b = right;
    int order = (a->kind == TARE_POINT_WEIGHT) - (b->kind == TARE_POINT_WEIGHT);
    order = order != 0 ? order : compare_sizes(point_rank(a), point_rank(b));
    order = order != 0 ? order : compare_sizes(a->value->id, b->value->id);
    return order != 0 ? order : compare_uses(&a->consumers[0], &b->consumers[0]);
}

/* Brings points and consumers into the order of the file, which is easier to follow than that of
 * their discovery. No two points have a consumer in common, so the order is total. */
static void points_sort(tare_quantizer_setup *setup) {
    for (size_t i = 0; i < setup->point_count; i++) {
        tare_quantizer_point *point = &setup->points[i];
        qsort(point->consumers, point->consumer_count, sizeof(*point->consumers), compare_uses);
    }
    qsort(setup->points, setup->point_count, sizeof(*setup->points), compare_points);
}

tare_status tare_points_collect(tare_quantizer_setup *setup, tare_arena *arena,
                                const tare_propagation *work, const tare_weight_plan *weights,
                                const tare_placement_options *options, tare_error *err) {
    const tare_flow *flow = work->graph->flow;
    const size_t values = flow->graph->value_count;
    point_builder builder = {.setup = setup, .arena = arena, .flow = flow, .work = work};
    builder.capacity = 2 * flow->node_count + flow->edge_count;
    *setup = (tare_quantizer_setup){.target = flow->target};
    setup->points = tare_arena_array(arena, builder.capacity, sizeof(*setup->points));
    builder.first = tare_arena_array(arena, values, sizeof(*builder.first));
    builder.next = tare_arena_array(arena, builder.capacity, sizeof(*builder.next));
    builder.claimed = tare_arena_array(arena, flow->edge_count, sizeof(bool));
    builder.half = tare_arena_array(arena, flow->node_count, sizeof(bool));
    if (setup->points == NULL || builder.first == NULL || builder.next == NULL ||
        builder.claimed == NULL || builder.half == NULL) {
        return tare_fail_memory(err, builder.capacity * sizeof(*setup->points), "quantizer points");
    }
    for (size_t i = 0; i < values; i++) {
        builder.first[i] = SIZE_MAX;
    }
    if (options->half_range == TARE_HALF_RANGE_FIRST) {
        TARE_TRY(half_range_mark(&builder, weights, err));
    }
    TARE_TRY(makers_collect(&builder, true, err));
    TARE_TRY(readers_collect(&builder, err));
    TARE_TRY(makers_collect(&builder, false, err));
    TARE_TRY(weights_collect(&builder, weights, err));
    points_sort(setup);
    return groups_number(&builder, work->group_count, err);
}
