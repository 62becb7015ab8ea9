/* SPDX-License-Identifier: Apache-2.0 */
/** The forms in which values of a plan exist, and the copies and reorders that lead from one form
 * to another. */
#include <string.h>

#include "exec/plan_parts.h"

/* What steps cost against each other. A copy crosses the bus and may make the host wait; a reorder
 * on the host runs at a fraction of the device's bandwidth. A view is free, but counts, so that
 * each step of a way comes closer to its end. */
#define COST_VIEW         1U
#define COST_REORDER      16U
#define COST_HOST_REORDER 64U
#define COST_COPY         256U
#define COST_NONE         1000000U /* there is no such step */

static bool grow(tare_arena *arena, void **array, size_t size, size_t count, size_t *capacity) {
    void *grown;
    if (count < *capacity) {
        return true;
    }
    *capacity = *capacity == 0 ? 256 : *capacity * 2;
    grown = tare_arena_array(arena, *capacity, size);
    if (grown != NULL && count > 0) {
        memcpy(grown, *array, count * size);
    }
    *array = grown;
    return grown != NULL;
}

tare_status tare_plan_add_slot(size_t *out, tare_plan *plan, const tare_slot *slot,
                               tare_error *err) {
    void *slots = plan->slots;
    if (!grow(&plan->arena, &slots, sizeof *plan->slots, plan->slot_count, &plan->slot_capacity)) {
        return tare_fail_memory(err, plan->slot_capacity * sizeof *slot, "the plan");
    }
    plan->slots = slots;
    *out = plan->slot_count;
    plan->slots[plan->slot_count++] = *slot;
    return TARE_OK;
}

tare_status tare_plan_add_step(tare_plan *plan, const tare_step *step, tare_error *err) {
    void *steps = plan->steps;
    if (!grow(&plan->arena, &steps, sizeof *plan->steps, plan->step_count, &plan->step_capacity)) {
        return tare_fail_memory(err, plan->step_capacity * sizeof *step, "the plan");
    }
    plan->steps = steps;
    plan->steps[plan->step_count++] = *step;
    return TARE_OK;
}

/* The type of a value where the device's kernels take it. */
static tare_dtype stored_as(const tare_plan *plan, const tare_value *value) {
    return value->dtype == TARE_DTYPE_FLOAT ? plan->storage : value->dtype;
}

tare_variant tare_plan_variant(const tare_plan *plan, const tare_value *value,
                               tare_variant variant) {
    if (value->rank < 3 || value->rank > 5) {
        variant.layout = TARE_LAYOUT_PLAIN;
    }
    if (variant.place == TARE_PLACE_STAGE && stored_as(plan, value) == value->dtype) {
        variant.place = TARE_PLACE_DEVICE;
    }
    return variant;
}

tare_desc tare_plan_variant_desc(const tare_plan *plan, const tare_value *value,
                                 tare_variant variant) {
    const tare_variant known = tare_plan_variant(plan, value, variant);
    tare_desc desc = {.dtype = value->dtype, .rank = value->rank, .layout = known.layout};
    if (known.place == TARE_PLACE_DEVICE) {
        desc.dtype = stored_as(plan, value);
    }
    memcpy(desc.dims, value->dims, sizeof desc.dims);
    return desc;
}

static size_t index_of(tare_variant variant) {
    return (size_t)variant.place * 2 + (variant.layout == TARE_LAYOUT_CHANNELS_LAST ? 1U : 0U);
}

static tare_variant variant_at(size_t index) {
    return (tare_variant){(tare_place)(index / 2),
                          index % 2 == 0 ? TARE_LAYOUT_PLAIN : TARE_LAYOUT_CHANNELS_LAST};
}

size_t *tare_plan_variant_slot(const tare_plan *plan, const tare_value *value,
                               tare_variant variant) {
    const tare_variant known = tare_plan_variant(plan, value, variant);
    return &plan->slot_of[value->id * TARE_VARIANT_COUNT + index_of(known)];
}

/* With one channel or one position both layouts are the same bytes. */
static bool layouts_coincide(const tare_value *value) {
    int64_t positions = 1;
    for (int i = 2; i < value->rank; i++) {
        positions *= value->dims[i];
    }
    return value->dims[1] == 1 || positions == 1;
}

/* What the step from one variant to another costs, both as tare_plan_variant() gives them. */
static unsigned step_cost(const tare_plan *plan, const tare_value *value, tare_variant from,
                          tare_variant to) {
    const bool from_host = from.place == TARE_PLACE_HOST, to_host = to.place == TARE_PLACE_HOST;
    const tare_variant staged =
        tare_plan_variant(plan, value, (tare_variant){TARE_PLACE_STAGE, from.layout});

    if (from.place == to.place && from.layout != to.layout && layouts_coincide(value)) {
        return COST_VIEW;
    }
    if (from_host && to_host) {
        return plan->host != NULL ? COST_HOST_REORDER : COST_NONE;
    }
    if (!from_host && !to_host) {
        return COST_REORDER;
    }
    /* A copy changes neither type nor layout. */
    return from.layout == to.layout && (from_host ? to.place : from.place) == staged.place
               ? COST_COPY
               : COST_NONE;
}

/* A way from an existing variant to a wanted one: its first step and its end, as indices. */
typedef struct route {
    unsigned cost;
    size_t from, to, end;
} route;

/* Which variants are wanted or which steps have been refused, as bits. */
typedef struct route_limits {
    unsigned wanted;                      /* by variant */
    unsigned refused[TARE_VARIANT_COUNT]; /* by variant that a step starts from: by its end */
} route_limits;

/* Variants that this value does not tell apart are known under one index only. */
static bool is_known(const tare_plan *plan, const tare_value *value, size_t index) {
    const tare_variant variant = variant_at(index);
    return (plan->device != NULL || variant.place == TARE_PLACE_HOST) &&
           index_of(tare_plan_variant(plan, value, variant)) == index;
}

/* Lowers the costs of the ways that start at `from`. */
static bool shorten(route *routes, const tare_plan *plan, const tare_value *value,
                    const route_limits *limits, size_t from) {
    bool shorter = false;
    for (size_t to = 0; to < TARE_VARIANT_COUNT; to++) {
        unsigned cost;
        if (to == from || !is_known(plan, value, to) || routes[to].cost >= COST_NONE ||
            (limits->refused[from] >> to & 1U) != 0) {
            continue;
        }
        cost = step_cost(plan, value, variant_at(from), variant_at(to)) + routes[to].cost;
        if (cost < routes[from].cost) {
            routes[from] = (route){.cost = cost, .from = from, .to = to, .end = routes[to].end};
            shorter = true;
        }
    }
    return shorter;
}

/* The cheapest way; its cost is COST_NONE when there is none. */
static route find_route(const tare_plan *plan, const tare_value *value,
                        const route_limits *limits) {
    route routes[TARE_VARIANT_COUNT], best = {.cost = COST_NONE};
    bool shorter = true;

    for (size_t i = 0; i < TARE_VARIANT_COUNT; i++) {
        const bool wanted = (limits->wanted >> i & 1U) != 0 && is_known(plan, value, i);
        routes[i] = (route){.cost = wanted ? 0 : COST_NONE, .from = i, .to = i, .end = i};
    }
    while (shorter) {
        shorter = false;
        for (size_t i = 0; i < TARE_VARIANT_COUNT; i++) {
            shorter =
                (is_known(plan, value, i) && shorten(routes, plan, value, limits, i)) || shorter;
        }
    }
    for (size_t i = 0; i < TARE_VARIANT_COUNT; i++) {
        if (plan->slot_of[value->id * TARE_VARIANT_COUNT + i] != TARE_NO_INDEX &&
            routes[i].cost < best.cost) {
            best = routes[i];
        }
    }
    return best;
}

tare_layout tare_plan_nearest_layout(const tare_plan *plan, const tare_value *value,
                                     tare_place place) {
    route_limits limits = {0};
    route way;
    for (int layout = 0; layout < 2; layout++) {
        const tare_variant variant = {place, (tare_layout)layout};
        limits.wanted |= 1U << index_of(tare_plan_variant(plan, value, variant));
    }
    way = find_route(plan, value, &limits);
    return way.cost < COST_NONE ? variant_at(way.end).layout : TARE_LAYOUT_PLAIN;
}

/* The kernel of a reorder; errors name the node or the tensor. */
static tare_status prepare_reorder(tare_step *step, tare_plan *plan, const tare_value *value,
                                   const tare_desc *to, tare_error *err) {
    const tare_desc from = plan->slots[step->inputs[0]].desc;
    const tare_kernel_rows rows = {.backend = step->on_host ? plan->host : plan->backend,
                                   .name = "Reorder",
                                   .rule = TARE_LAYOUT_RULE_ANY};
    const tare_tensor *no_constant = NULL;
    tare_prepare prepare = {.node = step->node,
                            .input_count = 1,
                            .inputs = &from,
                            .constants = &no_constant,
                            .output_count = 1,
                            .outputs = to};
    char text[TARE_NODE_TEXT_BYTES];
    tare_status status = tare_plan_prepare_row(step, plan, &prepare, &rows, err);
    if (status != TARE_OK && step->node != NULL) {
        tare_error_prepend(err, "%s: ", tare_node_text(text, sizeof text, step->node));
    } else if (status != TARE_OK) {
        tare_error_prepend(err, "tensor '%s': ", value->name);
    }
    return status;
}

/* Adds one step of a way, and the slot that it writes. */
static tare_status add_route_step(tare_plan *plan, const tare_value *value, const route *way,
                                  const tare_node *node, tare_error *err) {
    const tare_variant from = variant_at(way->from), to = variant_at(way->to);
    size_t *entries = &plan->slot_of[value->id * TARE_VARIANT_COUNT];
    const size_t source = entries[way->from];
    tare_step step = {.kind = TARE_STEP_REORDER,
                      .node = node,
                      .on_host = plan->device != NULL && from.place == TARE_PLACE_HOST,
                      .input_count = 1,
                      .output_count = 1};
    tare_slot slot = {.kind = TARE_SLOT_ARENA,
                      .place = to.place,
                      .desc = tare_plan_variant_desc(plan, value, to),
                      .value = value->id,
                      .view_of = TARE_NO_INDEX,
                      .storage = TARE_NO_INDEX};
    tare_status status = TARE_OK;

    step.inputs = tare_arena_array(&plan->arena, 2, sizeof *step.inputs);
    if (step.inputs == NULL) {
        return tare_fail_memory(err, sizeof step, "the plan");
    }
    step.outputs = step.inputs + 1;
    step.inputs[0] = source;
    if ((from.place == TARE_PLACE_HOST) != (to.place == TARE_PLACE_HOST)) {
        step.kind = TARE_STEP_COPY;
        step.on_host = false;
    } else if (from.place == to.place && layouts_coincide(value)) {
        step.is_view = true;
        slot.kind = plan->slots[source].kind;
        slot.view_of = source;
    } else {
        TARE_TRY(prepare_reorder(&step, plan, value, &slot.desc, err));
    }
    TARE_TRY_DONE(status, tare_plan_add_slot(&step.outputs[0], plan, &slot, err));
    TARE_TRY_DONE(status, tare_plan_add_step(plan, &step, err));
    entries[way->to] = step.outputs[0];
done:
    if (status != TARE_OK) {
        tare_plan_release_step(&step);
    }
    return status;
}

tare_status tare_plan_bring(size_t *out, tare_plan *plan, const tare_value *value,
                            tare_variant variant, const tare_node *node, tare_error *err) {
    const size_t *entry = tare_plan_variant_slot(plan, value, variant);
    route_limits limits = {.wanted = 1U << index_of(tare_plan_variant(plan, value, variant))};
    bool refused = false;

    while (*entry == TARE_NO_INDEX) {
        const route way = find_route(plan, value, &limits);
        tare_status status;
        if (way.cost >= COST_NONE) {
            return refused ? TARE_UNSUPPORTED
                           : tare_fail(err, TARE_INTERNAL,
                                       "tensor '%s' is read before it is computed", value->name);
        }
        status = add_route_step(plan, value, &way, node, err);
        if (status == TARE_UNSUPPORTED) {
            limits.refused[way.from] |= 1U << way.to;
            refused = true;
        } else if (status != TARE_OK) {
            return status;
        }
    }
    *out = *entry;
    return TARE_OK;
}
