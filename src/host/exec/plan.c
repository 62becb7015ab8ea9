/* SPDX-License-Identifier: Apache-2.0 */
/** Making a plan: kernels chosen, layouts settled, steps emitted in an order that honours all
 * inputs. */
#include "exec/plan.h"

#include <stdlib.h>
#include <string.h>

#include "exec/plan_parts.h"
#include "ops/op.h"

/* State that only the making of a plan needs. */
typedef struct plan_builder {
    tare_plan *plan;
    const tare_plan_options *options;
    bool *needed;    /* by node id */
    size_t *pending; /* by node id: prepared step that is emitted at this node, or TARE_NO_INDEX */
    bool *absorbed;  /* by node id: computed by a fused step */
    tare_step *prepared; /* steps waiting for their place, indexed by `pending` */
    tare_fusion_link (*links)[TARE_MAX_EPILOGUES]; /* of the prepared steps */
    size_t prepared_count;
} plan_builder;

/* Which epilogues a step gets: the chain behind it, up to a node that another step has taken. */
static size_t chain_length(const plan_builder *b, tare_fusion_link *links, const tare_node *node) {
    const char *name = tare_op_kernel(node->op);
    const tare_kernel *kernel;
    size_t length = 0, usable = 0;

    for (size_t n = 0; (kernel = tare_backend_kernel(b->plan->backend, name, n)) != NULL; n++) {
        if (kernel->takes_epilogues && !b->options->no_fusion && node->outputs[0] != NULL) {
            length = tare_plan_find_fusion(links, node, b->plan->watched);
            break;
        }
    }
    while (usable < length && !b->absorbed[links[usable].last->id]) {
        usable++;
    }
    return usable;
}

static tare_status output_slots(tare_step *step, plan_builder *b, const tare_node *last,
                                tare_error *err) {
    tare_plan *plan = b->plan;
    const bool on_device = plan->device != NULL && !step->on_host;
    const tare_variant wanted = {on_device ? TARE_PLACE_DEVICE : TARE_PLACE_HOST, step->layout};

    step->output_count = last->output_count;
    step->outputs = tare_arena_array(&plan->arena, step->output_count, sizeof *step->outputs);
    if (step->outputs == NULL) {
        return tare_fail_memory(err, sizeof *step, "the plan");
    }
    for (size_t i = 0; i < last->output_count; i++) {
        const tare_value *value = last->outputs[i];
        tare_slot slot = {.kind = TARE_SLOT_ARENA,
                          .place = wanted.place,
                          .view_of = TARE_NO_INDEX,
                          .storage = TARE_NO_INDEX};
        step->outputs[i] = TARE_NO_INDEX;
        if (value == NULL) {
            continue;
        }
        slot.value = value->id;
        slot.desc = tare_plan_variant_desc(plan, value, wanted);
        if (step->is_view && i == 0) {
            slot.view_of = step->inputs[0];
            slot.kind = plan->slots[slot.view_of].kind;
        }
        TARE_TRY(tare_plan_add_slot(&step->outputs[i], plan, &slot, err));
        *tare_plan_variant_slot(plan, value, wanted) = step->outputs[i];
    }
    return TARE_OK;
}

/* Settles which slot of a value that now exists goes to the watch. On a device plan the value is
 * brought to the device for it, in the layout that it has. */
static tare_status watch_value(tare_plan *plan, const tare_value *value, size_t slot,
                               const tare_node *node, tare_error *err) {
    if (!plan->watched[value->id] || plan->watch_slots[value->id] != TARE_NO_INDEX) {
        return TARE_OK;
    }
    if (plan->device != NULL) {
        const tare_variant wanted = {TARE_PLACE_DEVICE,
                                     tare_plan_nearest_layout(plan, value, TARE_PLACE_DEVICE)};
        TARE_TRY(tare_plan_bring(&slot, plan, value, wanted, node, err));
    }
    plan->watch_slots[value->id] = slot;
    return TARE_OK;
}

/* Emits a prepared step where its last node stands: by then the residual operand exists. The plan
 * owns the kernel as soon as the step is in it: *step forgets it. */
static tare_status emit(plan_builder *b, tare_step *step, const tare_fusion_link *links,
                        tare_error *err) {
    tare_plan *plan = b->plan;
    const tare_node *node = step->node;
    const tare_node *last = step->fused > 0 ? links[step->fused - 1].last : node;
    const tare_variant residual = {plan->device != NULL ? TARE_PLACE_DEVICE : TARE_PLACE_HOST,
                                   step->layout};

    for (size_t i = 0; i < step->fused; i++) {
        if (links[i].operand != NULL) {
            TARE_TRY(tare_plan_bring(&step->inputs[step->input_count++], plan, links[i].operand,
                                     residual, node, err));
        }
    }
    TARE_TRY(output_slots(step, b, last, err));
    step->node = last;
    TARE_TRY(tare_plan_add_step(plan, step, err));
    step->kernel = NULL;
    for (size_t i = 0; i < last->output_count; i++) {
        if (last->outputs[i] != NULL) {
            TARE_TRY(watch_value(plan, last->outputs[i],
                                 plan->steps[plan->step_count - 1].outputs[i], last, err));
        }
    }
    return TARE_OK;
}

/* Whether the device would only get this node's input to give it another shape. */
static bool stays_on_host(const tare_plan *plan, const tare_node *node) {
    const tare_kernel *kernel = tare_backend_kernel(plan->host, tare_op_kernel(node->op), 0);
    const tare_value *value = node->input_count > 0 ? node->inputs[0] : NULL;
    if (kernel == NULL || !kernel->view || value == NULL || value->constant != NULL) {
        return false;
    }
    for (size_t i = 0; i < 2; i++) {
        const tare_layout layout = i == 0 ? TARE_LAYOUT_PLAIN : TARE_LAYOUT_CHANNELS_LAST;
        const tare_variant stage = {TARE_PLACE_STAGE, layout}, device = {TARE_PLACE_DEVICE, layout};
        if (*tare_plan_variant_slot(plan, value, stage) != TARE_NO_INDEX ||
            *tare_plan_variant_slot(plan, value, device) != TARE_NO_INDEX) {
            return false;
        }
    }
    return true;
}

/* As much of the chain as some kernel takes: *taken links are absorbed. What the device cannot do
 * the host does alone, so that the report names it and what follows is on the device again. */
static tare_status prepare_node(tare_step *step, tare_plan *plan, const tare_node *node,
                                const tare_fusion_link *links, size_t *taken, tare_error *err) {
    tare_kernel_wish wish = {.backend = plan->backend, .node = node, .links = links};
    const bool has_fallback = plan->device != NULL && plan->host != NULL;
    tare_status status = TARE_UNSUPPORTED;

    if (has_fallback && stays_on_host(plan, node)) {
        wish.backend = plan->host;
        status = tare_plan_prepare_node(step, plan, &wish, err);
        wish.backend = plan->backend;
        *taken = status == TARE_UNSUPPORTED ? *taken : 0;
    }
    for (wish.length = *taken + 1; status == TARE_UNSUPPORTED && wish.length-- > 0;) {
        status = tare_plan_prepare_node(step, plan, &wish, err);
        *taken = wish.length;
    }
    if (status == TARE_UNSUPPORTED && has_fallback) {
        wish.backend = plan->host;
        wish.length = *taken = 0;
        status = tare_plan_prepare_node(step, plan, &wish, err);
    }
    return status;
}

static void absorb(plan_builder *b, const tare_fusion_link *links, size_t count) {
    for (size_t i = 0; i < count; i++) {
        for (size_t k = 0; k < links[i].node_count; k++) {
            b->absorbed[links[i].absorbed[k]->id] = true;
        }
    }
}

/* Prepares one node; a fused step waits for its last node. */
static tare_status plan_node(plan_builder *b, tare_node *node, tare_error *err) {
    const size_t at = b->prepared_count;
    tare_fusion_link *links = b->links[at];
    tare_step *step = &b->prepared[at];
    size_t taken;

    *step = (tare_step){0};
    taken = chain_length(b, links, node);
    TARE_TRY(prepare_node(step, b->plan, node, links, &taken, err));
    b->prepared_count++;
    step->fused = taken;
    step->node = node;
    absorb(b, links, taken);
    b->pending[taken > 0 ? links[taken - 1].last->id : node->id] = at;
    return TARE_OK;
}

static bool all_constant(const tare_node *node) {
    for (size_t i = 0; i < node->output_count; i++) {
        if (node->outputs[i] != NULL && node->outputs[i]->constant == NULL) {
            return false;
        }
    }
    return true;
}

/* Walks back from what is wanted. */
static void mark_needed(plan_builder *b) {
    tare_graph *graph = b->plan->graph;
    for (size_t i = graph->node_count; i-- > 0;) {
        const tare_node *node = graph->nodes[i];
        bool needed = false;
        for (size_t k = 0; k < node->output_count && !needed; k++) {
            const tare_value *value = node->outputs[k];
            if (value == NULL) {
                continue;
            }
            needed = value->is_output || b->plan->watched[value->id];
            for (size_t u = 0; u < value->use_count && !needed; u++) {
                needed = b->needed[value->uses[u].node->id];
            }
        }
        b->needed[i] = needed && !all_constant(node);
    }
}

static const tare_node *first_node(const tare_value *value) {
    if (value->producer != NULL) {
        return value->producer;
    }
    return value->use_count > 0 ? value->uses[0].node : NULL;
}

static tare_status input_slots(plan_builder *b, tare_error *err) {
    tare_plan *plan = b->plan;
    const tare_graph *graph = plan->graph;
    const bool *on_device = plan->device == NULL ? NULL : b->options->inputs_on_device;
    for (size_t i = 0; i < graph->input_count; i++) {
        const tare_value *value = graph->inputs[i];
        tare_variant variant = {TARE_PLACE_HOST, TARE_LAYOUT_PLAIN};
        if (on_device != NULL && on_device[i]) {
            variant = (tare_variant){TARE_PLACE_DEVICE, TARE_LAYOUT_CHANNELS_LAST};
        }
        const tare_slot slot = {.kind = TARE_SLOT_INPUT,
                                .place = variant.place,
                                .desc = tare_plan_variant_desc(plan, value, variant),
                                .value = value->id,
                                .input = i,
                                .view_of = TARE_NO_INDEX,
                                .storage = TARE_NO_INDEX};
        plan->input_slots[i] = TARE_NO_INDEX;
        if (value->constant != NULL) {
            continue;
        }
        TARE_TRY(tare_plan_add_slot(&plan->input_slots[i], plan, &slot, err));
        *tare_plan_variant_slot(plan, value, variant) = plan->input_slots[i];
    }
    for (size_t i = 0; i < graph->input_count; i++) {
        if (plan->input_slots[i] != TARE_NO_INDEX) {
            TARE_TRY(watch_value(plan, graph->inputs[i], plan->input_slots[i],
                                 first_node(graph->inputs[i]), err));
        }
    }
    return TARE_OK;
}

/* Before the first node is prepared, so that what takes a device long to build is built in
 * parallel: all nodes, as if every chain were taken. */
static tare_status announce_nodes(plan_builder *b, tare_error *err) {
    const tare_graph *graph = b->plan->graph;
    for (size_t i = 0; i < graph->node_count; i++) {
        const tare_node *node = graph->nodes[i];
        tare_fusion_link links[TARE_MAX_EPILOGUES];
        tare_kernel_wish wish = {.backend = b->plan->backend, .node = node, .links = links};
        if (!b->needed[i] || b->absorbed[i] || node->op == NULL) {
            continue;
        }
        wish.length = chain_length(b, links, node);
        TARE_TRY(tare_plan_announce_node(b->plan, &wish, err));
        absorb(b, links, wish.length);
    }
    memset(b->absorbed, 0, graph->node_count * sizeof b->absorbed[0]);
    return TARE_OK;
}

static tare_status plan_nodes(plan_builder *b, tare_error *err) {
    tare_graph *graph = b->plan->graph;
    char text[TARE_NODE_TEXT_BYTES];
    for (size_t i = 0; i < graph->node_count; i++) {
        tare_node *node = graph->nodes[i];
        size_t waiting;
        if (!b->needed[i]) {
            continue;
        }
        if (node->op == NULL) {
            return tare_fail(err, TARE_UNSUPPORTED, "%s: operator '%s%s%s' is not supported",
                             tare_node_text(text, sizeof text, node), node->domain,
                             node->domain[0] == '\0' ? "" : ".", node->op_type);
        }
        if (!b->absorbed[i]) {
            TARE_TRY(plan_node(b, node, err));
        }
        waiting = b->pending[i];
        if (waiting != TARE_NO_INDEX) {
            TARE_TRY(emit(b, &b->prepared[waiting], b->links[waiting], err));
            b->pending[i] = TARE_NO_INDEX;
        }
    }
    return TARE_OK;
}

static tare_status plan_outputs(plan_builder *b, tare_error *err) {
    tare_plan *plan = b->plan;
    const tare_graph *graph = plan->graph;
    const tare_variant wanted = {TARE_PLACE_HOST, TARE_LAYOUT_PLAIN};
    for (size_t i = 0; i < graph->output_count; i++) {
        const tare_value *value = graph->outputs[i];
        plan->output_slots[i] = TARE_NO_INDEX;
        if (plan->device != NULL && !b->options->outputs_to_host) {
            continue;
        }
        if (value->constant != NULL) {
            TARE_TRY(tare_plan_constant(&plan->output_slots[i], plan, value, TARE_PLACE_HOST, err));
        } else {
            TARE_TRY(tare_plan_bring(&plan->output_slots[i], plan, value, wanted, first_node(value),
                                     err));
        }
    }
    return TARE_OK;
}

static bool *find_read_slots(tare_plan *plan) {
    bool *read = tare_arena_array(&plan->arena, plan->slot_count, sizeof *read);
    for (size_t i = 0; read != NULL && i < plan->graph->output_count; i++) {
        if (plan->output_slots[i] != TARE_NO_INDEX) {
            read[plan->output_slots[i]] = true;
        }
    }
    for (size_t i = 0; read != NULL && i < plan->value_count; i++) {
        if (plan->watch_slots[i] != TARE_NO_INDEX) {
            read[plan->watch_slots[i]] = true;
        }
    }
    return read;
}

/* A row whose operands could not all be brought has left reorders that nobody reads. */
static tare_status drop_unread_reorders(tare_plan *plan, tare_error *err) {
    bool *read = find_read_slots(plan);
    size_t kept = plan->step_count;
    if (read == NULL) {
        return tare_fail_memory(err, plan->slot_count, "the plan");
    }
    for (size_t s = plan->step_count; s-- > 0;) {
        tare_step *step = &plan->steps[s];
        if (step->kind != TARE_STEP_KERNEL && !read[step->outputs[0]]) {
            continue;
        }
        for (size_t k = 0; k < step->input_count; k++) {
            if (step->inputs[k] != TARE_NO_INDEX) {
                read[step->inputs[k]] = true;
            }
        }
        /* Kept steps gather at the end; an unread reorder's kernel is released where it falls out.
         */
        kept--;
        if (kept != s) {
            const tare_step dropped = plan->steps[kept];
            plan->steps[kept] = *step;
            *step = dropped;
        }
    }
    for (size_t s = 0; s < kept; s++) {
        tare_plan_release_step(&plan->steps[s]);
    }
    plan->steps += kept;
    plan->step_count -= kept;
    plan->step_capacity -= kept;
    return TARE_OK;
}

static void count_weights(tare_plan *plan) {
    for (size_t s = 0; s < plan->step_count; s++) {
        const tare_step *step = &plan->steps[s];
        if (plan->device != NULL && !step->on_host) {
            plan->device_weight_bytes += step->weight_bytes;
        } else {
            plan->weight_bytes += step->weight_bytes;
        }
    }
}

static tare_status allocate(plan_builder *b, const tare_plan_options *options, tare_error *err) {
    tare_plan *plan = b->plan;
    tare_arena *arena = &plan->arena;
    const size_t nodes = plan->graph->node_count + 1;
    bool *watched = tare_arena_array(arena, plan->value_count, sizeof *watched);

    const size_t variants = plan->value_count * TARE_VARIANT_COUNT;

    plan->slot_of = tare_arena_array(arena, variants, sizeof *plan->slot_of);
    plan->watch_slots = tare_arena_array(arena, plan->value_count, sizeof *plan->watch_slots);
    plan->input_slots =
        tare_arena_array(arena, plan->graph->input_count, sizeof *plan->input_slots);
    plan->output_slots =
        tare_arena_array(arena, plan->graph->output_count, sizeof *plan->output_slots);
    b->needed = calloc(nodes, sizeof *b->needed);
    b->pending = calloc(nodes, sizeof *b->pending);
    b->absorbed = calloc(nodes, sizeof *b->absorbed);
    b->prepared = calloc(nodes, sizeof *b->prepared);
    b->links = calloc(nodes, sizeof *b->links);
    if (watched == NULL || plan->slot_of == NULL || plan->watch_slots == NULL ||
        plan->input_slots == NULL || plan->output_slots == NULL || b->needed == NULL ||
        b->pending == NULL || b->absorbed == NULL || b->prepared == NULL || b->links == NULL) {
        return tare_fail_memory(err, nodes * sizeof *b->prepared, "the plan");
    }
    for (size_t i = 0; i < variants; i++) {
        plan->slot_of[i] = TARE_NO_INDEX;
    }
    for (size_t i = 0; i < plan->value_count; i++) {
        plan->watch_slots[i] = TARE_NO_INDEX;
    }
    for (size_t i = 0; i < nodes; i++) {
        b->pending[i] = TARE_NO_INDEX;
    }
    if (options->watched != NULL) {
        memcpy(watched, options->watched, plan->value_count * sizeof *watched);
    }
    plan->watched = watched;
    return TARE_OK;
}

/* Kernels that were prepared but never emitted belong to nobody else when planning fails in
 * between. */
static void release_unemitted(const plan_builder *b) {
    for (size_t i = 0; i < b->prepared_count; i++) {
        tare_plan_release_step(&b->prepared[i]);
    }
}

static tare_status choose_backends(tare_plan *plan, const tare_backend *backend,
                                   const tare_plan_options *options, tare_error *err) {
    const int threads = options->threads_per_run > 0 ? options->threads_per_run : 1;
    plan->backend = backend;
    plan->host = backend;
    plan->storage = TARE_DTYPE_FLOAT;
    backend->thread_begin(threads);
    if (options->device == NULL) {
        return TARE_OK;
    }
    if (backend->device == NULL ||
        (options->fallback != NULL && options->fallback->device != NULL)) {
        return tare_fail(err, TARE_INVALID_ARGUMENT,
                         "a plan for a device needs a backend with one (this is '%s') and a "
                         "fallback without",
                         backend->name);
    }
    tare_device_facts facts;
    backend->device->facts(&facts, options->device);
    plan->device = options->device;
    plan->storage = facts.storage;
    plan->host = options->fallback;
    if (plan->host != NULL) {
        plan->host->thread_begin(threads);
    }
    return TARE_OK;
}

tare_status tare_plan_build(tare_plan **out, tare_graph *graph, const tare_backend *backend,
                            const tare_plan_options *options, tare_error *err) {
    plan_builder b = {.options = options};
    tare_error refusal = {TARE_OK, ""}; /* kernels that were tried in vain write it too */
    tare_plan *plan = calloc(1, sizeof *plan);
    tare_status status;

    *out = NULL;
    if (plan == NULL) {
        return tare_fail_memory(err, sizeof *plan, "the plan");
    }
    tare_arena_init(&plan->arena);
    plan->graph = graph;
    plan->value_count = graph->value_count;
    b.plan = plan;
    TARE_TRY_DONE(status, choose_backends(plan, backend, options, &refusal));
    TARE_TRY_DONE(status, tare_graph_index_uses(graph, &refusal));
    TARE_TRY_DONE(status, allocate(&b, options, &refusal));
    mark_needed(&b);
    TARE_TRY_DONE(status, input_slots(&b, &refusal));
    if (plan->device != NULL) {
        TARE_TRY_DONE(status, announce_nodes(&b, &refusal));
    }
    TARE_TRY_DONE(status, plan_nodes(&b, &refusal));
    TARE_TRY_DONE(status, plan_outputs(&b, &refusal));
    TARE_TRY_DONE(status, drop_unread_reorders(plan, &refusal));
    count_weights(plan);
    if (plan->device != NULL) {
        TARE_TRY_DONE(status, tare_plan_upload(plan, &refusal));
    }
    TARE_TRY_DONE(status, tare_plan_place(plan, &refusal));
    *out = plan;
done:
    if (status != TARE_OK) {
        release_unemitted(&b);
        tare_plan_free(plan);
        if (err != NULL) {
            *err = refusal;
        }
    }
    free(b.needed);
    free(b.pending);
    free(b.absorbed);
    free(b.prepared);
    free(b.links);
    return status;
}

void tare_plan_free(tare_plan *plan) {
    if (plan == NULL) {
        return;
    }
    for (size_t i = 0; i < plan->step_count; i++) {
        tare_plan_release_step(&plan->steps[i]);
    }
    if (plan->constants != NULL) {
        plan->backend->device->memory_free(plan->device, plan->constants);
    }
    tare_arena_release(&plan->arena);
    free(plan);
}
