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

static tare_status new_slot(size_t *out, tare_plan *plan, const tare_slot *slot, tare_error *err) {
    void *slots = plan->slots;
    if (!grow(&plan->arena, &slots, sizeof *plan->slots, plan->slot_count, &plan->slot_capacity)) {
        return tare_fail_memory(err, plan->slot_capacity * sizeof *slot, "the plan");
    }
    plan->slots = slots;
    *out = plan->slot_count;
    plan->slots[plan->slot_count++] = *slot;
    return TARE_OK;
}

static tare_status push_step(tare_plan *plan, const tare_step *step, tare_error *err) {
    void *steps = plan->steps;
    if (!grow(&plan->arena, &steps, sizeof *plan->steps, plan->step_count, &plan->step_capacity)) {
        return tare_fail_memory(err, plan->step_capacity * sizeof *step, "the plan");
    }
    plan->steps = steps;
    plan->steps[plan->step_count++] = *step;
    return TARE_OK;
}

static size_t *slot_entry(tare_plan *plan, size_t value, tare_layout layout) {
    return &plan->slot_of[value * 2 + (layout == TARE_LAYOUT_CHANNELS_LAST ? 1 : 0)];
}

static tare_desc value_desc(const tare_value *value, tare_layout layout) {
    tare_desc desc = {.dtype = value->dtype, .rank = value->rank, .layout = layout};
    memcpy(desc.dims, value->dims, sizeof desc.dims);
    if (value->rank < 3 || value->rank > 5) {
        desc.layout = TARE_LAYOUT_PLAIN;
    }
    return desc;
}

/* With one channel or one position both layouts are the same bytes. */
static bool layouts_coincide(const tare_desc *desc) {
    int64_t positions = 1;
    for (int i = 2; i < desc->rank; i++) {
        positions *= desc->dims[i];
    }
    return desc->rank < 3 || desc->rank > 5 || desc->dims[1] == 1 || positions == 1;
}

/* Prepares the first row of that name that can do the operands. */
static tare_status prepare_kernel(tare_step *step, tare_plan *plan, tare_prepare *prepare,
                                  const char *name, tare_layout_rule rule, tare_error *err) {
    char text[TARE_NODE_TEXT_BYTES];
    const tare_kernel *kernel;
    tare_status status = tare_fail(err, TARE_UNSUPPORTED, "the %s backend has no kernel '%s'",
                                   plan->backend->name, name);

    for (size_t n = 0; (kernel = tare_backend_kernel(plan->backend, name, n)) != NULL; n++) {
        if (kernel->layout != rule || (prepare->epilogue_count > 0 && !kernel->takes_epilogues)) {
            continue;
        }
        prepare->private_data = tare_arena_alloc(&plan->arena, kernel->private_size);
        if (prepare->private_data == NULL) {
            return tare_fail_memory(err, kernel->private_size, "a kernel");
        }
        prepare->scratch_bytes = 0;
        prepare->weight_bytes = 0;
        status = kernel->prepare == NULL ? TARE_OK : kernel->prepare(prepare, err);
        if (status == TARE_OK) {
            step->kernel = kernel;
            step->private_data = prepare->private_data;
            step->scratch_bytes = prepare->scratch_bytes;
            step->is_view = kernel->view;
            plan->weight_bytes += prepare->weight_bytes;
            return TARE_OK;
        }
        if (kernel->release != NULL) {
            kernel->release(prepare->private_data);
        }
        if (status != TARE_UNSUPPORTED) {
            break;
        }
    }
    tare_error_prepend(err, "%s: ", tare_node_text(text, sizeof text, prepare->node));
    return status;
}

/* The slot that already holds a value, in either layout. */
static size_t existing_slot(tare_plan *plan, size_t value) {
    const size_t plain = *slot_entry(plan, value, TARE_LAYOUT_PLAIN);
    return plain != TARE_NO_INDEX ? plain : *slot_entry(plan, value, TARE_LAYOUT_CHANNELS_LAST);
}

static tare_status constant_slot(size_t *out, tare_plan *plan, const tare_value *value,
                                 tare_error *err) {
    size_t *entry = slot_entry(plan, value->id, TARE_LAYOUT_PLAIN);
    const tare_slot slot = {.kind = TARE_SLOT_CONSTANT,
                            .desc = value_desc(value, TARE_LAYOUT_PLAIN),
                            .value = value->id,
                            .constant = value->constant->data,
                            .view_of = TARE_NO_INDEX,
                            .storage = TARE_NO_INDEX};
    if (*entry == TARE_NO_INDEX) {
        TARE_TRY(new_slot(entry, plan, &slot, err));
    }
    *out = *entry;
    return TARE_OK;
}

/* The slot of a value in the wanted layout; emits a reorder when it exists only in the other one.
 */
static tare_status slot_in_layout(size_t *out, tare_plan *plan, const tare_value *value,
                                  tare_layout layout, const tare_node *node, tare_error *err) {
    const tare_desc wanted = value_desc(value, layout);
    size_t *entry = slot_entry(plan, value->id, wanted.layout);
    const size_t source = existing_slot(plan, value->id);
    tare_step step = {.node = node, .is_reorder = true, .input_count = 1, .output_count = 1};
    tare_slot slot = {.kind = TARE_SLOT_ARENA,
                      .desc = wanted,
                      .value = value->id,
                      .view_of = TARE_NO_INDEX,
                      .storage = TARE_NO_INDEX};
    const tare_tensor *no_constant = NULL;
    tare_desc from;

    if (*entry != TARE_NO_INDEX) {
        *out = *entry;
        return TARE_OK;
    }
    if (source == TARE_NO_INDEX) {
        return tare_fail(err, TARE_INTERNAL, "tensor '%s' is read before it is computed",
                         value->name);
    }
    from = plan->slots[source].desc;
    step.is_view = layouts_coincide(&wanted);
    if (step.is_view) {
        slot.kind = plan->slots[source].kind;
        slot.view_of = source;
    }
    TARE_TRY(new_slot(entry, plan, &slot, err));
    step.inputs = tare_arena_array(&plan->arena, 2, sizeof *step.inputs);
    if (step.inputs == NULL) {
        return tare_fail_memory(err, sizeof step, "the plan");
    }
    step.outputs = step.inputs + 1;
    step.inputs[0] = source;
    step.outputs[0] = *entry;
    *out = *entry;
    if (!step.is_view) {
        tare_prepare prepare = {.node = node,
                                .input_count = 1,
                                .inputs = &from,
                                .constants = &no_constant,
                                .output_count = 1,
                                .outputs = &wanted};
        TARE_TRY(prepare_kernel(&step, plan, &prepare, "Reorder", TARE_LAYOUT_RULE_ANY, err));
    }
    return push_step(plan, &step, err);
}

/* A kernel's rule, and what FOLLOW settles on for the node. */
typedef struct layout_choice {
    tare_layout_rule rule;
    tare_layout follow;
} layout_choice;

/* The layout that is asked of one operand. */
static tare_layout layout_for(layout_choice choice) {
    switch (choice.rule) {
    case TARE_LAYOUT_RULE_LAST:
        return TARE_LAYOUT_CHANNELS_LAST;
    case TARE_LAYOUT_RULE_FOLLOW:
        return choice.follow;
    case TARE_LAYOUT_RULE_PLAIN:
    case TARE_LAYOUT_RULE_ANY:
    default:
        return TARE_LAYOUT_PLAIN;
    }
}

/* FOLLOW: channels-last as soon as one computed input of the output's rank is. */
static layout_choice choose_layout(tare_plan *plan, const tare_node *node, tare_layout_rule rule) {
    const int rank = node->outputs[0] != NULL ? node->outputs[0]->rank : -1;
    layout_choice choice = {.rule = rule, .follow = TARE_LAYOUT_PLAIN};
    for (size_t i = 0; i < node->input_count; i++) {
        const tare_value *value = node->inputs[i];
        if (value != NULL && value->constant == NULL && value->rank == rank &&
            *slot_entry(plan, value->id, TARE_LAYOUT_CHANNELS_LAST) != TARE_NO_INDEX) {
            choice.follow = TARE_LAYOUT_CHANNELS_LAST;
        }
    }
    return choice;
}

static bool is_full_shape(const tare_value *value, const tare_node *node) {
    const tare_value *output = node->outputs[0];
    return output != NULL && value->rank == output->rank &&
           memcmp(value->dims, output->dims, (size_t)value->rank * sizeof value->dims[0]) == 0;
}

static tare_status input_slot(size_t *out, tare_plan *plan, const tare_node *node,
                              const tare_value *value, layout_choice choice, tare_error *err) {
    if (value->constant != NULL) {
        return constant_slot(out, plan, value, err);
    }
    /* FOLLOW reads any layout, but a full-size operand in the other one would make every access a
     * jump. */
    if (choice.rule == TARE_LAYOUT_RULE_ANY ||
        (choice.rule == TARE_LAYOUT_RULE_FOLLOW && !is_full_shape(value, node))) {
        *out = existing_slot(plan, value->id);
        if (choice.rule == TARE_LAYOUT_RULE_FOLLOW &&
            *slot_entry(plan, value->id, choice.follow) != TARE_NO_INDEX) {
            *out = *slot_entry(plan, value->id, choice.follow);
        }
        return *out != TARE_NO_INDEX
                   ? TARE_OK
                   : tare_fail(err, TARE_INTERNAL, "tensor '%s' is read before it is computed",
                               value->name);
    }
    return slot_in_layout(out, plan, value, layout_for(choice), node, err);
}

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

typedef struct operands {
    tare_desc *inputs, *outputs;
    const tare_tensor **constants;
} operands;

static tare_status describe_operands(operands *out, plan_builder *b, const tare_node *node,
                                     layout_choice choice, tare_error *err) {
    tare_arena *arena = &b->plan->arena;
    out->inputs =
        tare_arena_array(arena, node->input_count + TARE_MAX_EPILOGUES, sizeof *out->inputs);
    out->outputs = tare_arena_array(arena, node->output_count, sizeof *out->outputs);
    out->constants =
        tare_arena_array(arena, node->input_count + TARE_MAX_EPILOGUES, sizeof *out->constants);
    if (out->inputs == NULL || out->outputs == NULL || out->constants == NULL) {
        return tare_fail_memory(err, sizeof(tare_desc), "the plan");
    }
    for (size_t i = 0; i < node->input_count; i++) {
        const tare_value *value = node->inputs[i];
        size_t slot;
        if (value == NULL) {
            out->inputs[i].rank = -1;
            continue;
        }
        TARE_TRY(input_slot(&slot, b->plan, node, value, choice, err));
        out->inputs[i] = b->plan->slots[slot].desc;
        out->constants[i] = value->constant;
    }
    for (size_t i = 0; i < node->output_count; i++) {
        const tare_value *value = node->outputs[i];
        if (value == NULL) {
            out->outputs[i].rank = -1;
        } else {
            out->outputs[i] = value_desc(value, layout_for(choice));
        }
    }
    return TARE_OK;
}

/* Rows of one name are grouped by layout rule: each rule is tried where it first appears. */
static bool rule_was_tried(const tare_backend *backend, const char *name, size_t nth) {
    const tare_layout_rule rule = tare_backend_kernel(backend, name, nth)->layout;
    for (size_t i = 0; i < nth; i++) {
        if (tare_backend_kernel(backend, name, i)->layout == rule) {
            return true;
        }
    }
    return false;
}

/* Prepares `node` with the first `length` links of its chain, by the first row that takes them. */
static tare_status prepare_chain(tare_step *step, plan_builder *b, const tare_node *node,
                                 const tare_fusion_link *links, size_t length, tare_error *err) {
    const tare_backend *backend = b->plan->backend;
    const char *name = tare_op_kernel(node->op);
    char text[TARE_NODE_TEXT_BYTES];
    tare_epilogue epilogues[TARE_MAX_EPILOGUES];
    const tare_kernel *kernel;
    tare_status status = tare_fail(err, TARE_UNSUPPORTED, "%s: the %s backend has no kernel '%s'",
                                   tare_node_text(text, sizeof text, node), backend->name, name);

    for (size_t i = 0; i < length; i++) {
        epilogues[i] = links[i].epilogue;
    }
    for (size_t n = 0;
         status == TARE_UNSUPPORTED && (kernel = tare_backend_kernel(backend, name, n)) != NULL;
         n++) {
        operands described;
        if (rule_was_tried(backend, name, n)) {
            continue;
        }
        TARE_TRY(describe_operands(&described, b, node,
                                   choose_layout(b->plan, node, kernel->layout), err));
        tare_prepare prepare = {.node = node,
                                .attrs = node->attrs,
                                .input_count = node->input_count,
                                .inputs = described.inputs,
                                .constants = described.constants,
                                .output_count = node->output_count,
                                .outputs = described.outputs,
                                .epilogue_count = length,
                                .epilogues = epilogues};
        status = prepare_kernel(step, b->plan, &prepare, name, kernel->layout, err);
    }
    return status;
}

/* As much of the chain as some kernel takes: *taken links are absorbed. */
static tare_status prepare_node(tare_step *step, plan_builder *b, const tare_node *node,
                                const tare_fusion_link *links, size_t *taken, tare_error *err) {
    tare_status status = prepare_chain(step, b, node, links, *taken, err);
    while (status == TARE_UNSUPPORTED && *taken > 0) {
        --*taken;
        status = prepare_chain(step, b, node, links, *taken, err);
    }
    return status;
}

static tare_status output_slots(tare_step *step, plan_builder *b, const tare_node *node,
                                const tare_node *last, tare_error *err) {
    tare_plan *plan = b->plan;
    const tare_layout layout = layout_for(choose_layout(plan, node, step->kernel->layout));

    step->output_count = last->output_count;
    step->outputs = tare_arena_array(&plan->arena, step->output_count, sizeof *step->outputs);
    if (step->outputs == NULL) {
        return tare_fail_memory(err, sizeof *step, "the plan");
    }
    for (size_t i = 0; i < last->output_count; i++) {
        const tare_value *value = last->outputs[i];
        tare_slot slot = {
            .kind = TARE_SLOT_ARENA, .view_of = TARE_NO_INDEX, .storage = TARE_NO_INDEX};
        step->outputs[i] = TARE_NO_INDEX;
        if (value == NULL) {
            continue;
        }
        slot.value = value->id;
        slot.desc = value_desc(value, layout);
        if (step->is_view && i == 0) {
            slot.view_of = step->inputs[0];
            slot.kind = plan->slots[slot.view_of].kind;
        }
        TARE_TRY(new_slot(&step->outputs[i], plan, &slot, err));
        *slot_entry(plan, value->id, slot.desc.layout) = step->outputs[i];
    }
    return TARE_OK;
}

/* Emits a prepared step where its last node stands: by then the residual operand exists. */
static tare_status emit(plan_builder *b, const tare_node *node, tare_step *step,
                        const tare_fusion_link *links, tare_error *err) {
    tare_plan *plan = b->plan;
    const tare_node *last = step->fused > 0 ? links[step->fused - 1].last : node;
    const layout_choice choice = choose_layout(plan, node, step->kernel->layout);
    size_t count = node->input_count;

    step->inputs = tare_arena_array(&plan->arena, count + TARE_MAX_EPILOGUES, sizeof *step->inputs);
    if (step->inputs == NULL) {
        return tare_fail_memory(err, sizeof *step, "the plan");
    }
    for (size_t i = 0; i < count; i++) {
        step->inputs[i] = TARE_NO_INDEX;
        if (node->inputs[i] != NULL) {
            TARE_TRY(input_slot(&step->inputs[i], plan, node, node->inputs[i], choice, err));
        }
    }
    for (size_t i = 0; i < step->fused; i++) {
        if (links[i].operand != NULL) {
            TARE_TRY(slot_in_layout(&step->inputs[count++], plan, links[i].operand,
                                    layout_for(choice), node, err));
        }
    }
    step->input_count = count;
    TARE_TRY(output_slots(step, b, node, last, err));
    step->node = last;
    return push_step(plan, step, err);
}

/* Prepares one node; a fused step waits for its last node. */
static tare_status plan_node(plan_builder *b, tare_node *node, tare_error *err) {
    const size_t at = b->prepared_count;
    tare_fusion_link *links = b->links[at];
    tare_step *step = &b->prepared[at];
    size_t taken;

    *step = (tare_step){0};
    taken = chain_length(b, links, node);
    TARE_TRY(prepare_node(step, b, node, links, &taken, err));
    b->prepared_count++;
    step->fused = taken;
    step->node = node;
    for (size_t i = 0; i < taken; i++) {
        for (size_t k = 0; k < links[i].node_count; k++) {
            b->absorbed[links[i].absorbed[k]->id] = true;
        }
    }
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

static tare_status input_slots(tare_plan *plan, tare_error *err) {
    const tare_graph *graph = plan->graph;
    for (size_t i = 0; i < graph->input_count; i++) {
        const tare_value *value = graph->inputs[i];
        const tare_slot slot = {.kind = TARE_SLOT_INPUT,
                                .desc = value_desc(value, TARE_LAYOUT_PLAIN),
                                .value = value->id,
                                .input = i,
                                .view_of = TARE_NO_INDEX,
                                .storage = TARE_NO_INDEX};
        if (value->constant == NULL) {
            TARE_TRY(new_slot(slot_entry(plan, value->id, TARE_LAYOUT_PLAIN), plan, &slot, err));
        }
    }
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
            const tare_node *first = b->prepared[waiting].node;
            TARE_TRY(emit(b, first, &b->prepared[waiting], b->links[waiting], err));
            b->pending[i] = TARE_NO_INDEX;
        }
    }
    return TARE_OK;
}

static tare_status plan_outputs(tare_plan *plan, tare_error *err) {
    const tare_graph *graph = plan->graph;
    for (size_t i = 0; i < graph->output_count; i++) {
        const tare_value *value = graph->outputs[i];
        const tare_node *node = value->producer;
        if (value->constant != NULL) {
            TARE_TRY(constant_slot(&plan->output_slots[i], plan, value, err));
        } else {
            TARE_TRY(
                slot_in_layout(&plan->output_slots[i], plan, value, TARE_LAYOUT_PLAIN, node, err));
        }
    }
    return TARE_OK;
}

/* A row that was tried and refused may have asked for a reorder that nobody reads now. */
static tare_status drop_unread_reorders(tare_plan *plan, tare_error *err) {
    bool *read = tare_arena_array(&plan->arena, plan->slot_count, sizeof *read);
    size_t kept = plan->step_count;
    if (read == NULL) {
        return tare_fail_memory(err, plan->slot_count, "the plan");
    }
    for (size_t i = 0; i < plan->graph->output_count; i++) {
        read[plan->output_slots[i]] = true;
    }
    for (size_t s = plan->step_count; s-- > 0;) {
        tare_step *step = &plan->steps[s];
        if (step->is_reorder && !read[step->outputs[0]]) {
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
        const tare_step *step = &plan->steps[s];
        if (step->kernel != NULL && step->kernel->release != NULL) {
            step->kernel->release(step->private_data);
        }
    }
    plan->steps += kept;
    plan->step_count -= kept;
    plan->step_capacity -= kept;
    return TARE_OK;
}

static tare_status allocate(plan_builder *b, const tare_plan_options *options, tare_error *err) {
    tare_plan *plan = b->plan;
    tare_arena *arena = &plan->arena;
    const size_t nodes = plan->graph->node_count + 1;
    bool *watched = tare_arena_array(arena, plan->value_count, sizeof *watched);

    plan->slot_of = tare_arena_array(arena, plan->value_count * 2, sizeof *plan->slot_of);
    plan->output_slots =
        tare_arena_array(arena, plan->graph->output_count, sizeof *plan->output_slots);
    b->needed = calloc(nodes, sizeof *b->needed);
    b->pending = calloc(nodes, sizeof *b->pending);
    b->absorbed = calloc(nodes, sizeof *b->absorbed);
    b->prepared = calloc(nodes, sizeof *b->prepared);
    b->links = calloc(nodes, sizeof *b->links);
    if (watched == NULL || plan->slot_of == NULL || plan->output_slots == NULL ||
        b->needed == NULL || b->pending == NULL || b->absorbed == NULL || b->prepared == NULL ||
        b->links == NULL) {
        return tare_fail_memory(err, nodes * sizeof *b->prepared, "the plan");
    }
    for (size_t i = 0; i < plan->value_count * 2; i++) {
        plan->slot_of[i] = TARE_NO_INDEX;
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
    for (size_t i = 0; b->prepared_count > 0 && i < b->plan->graph->node_count; i++) {
        const tare_step *step = b->pending[i] == TARE_NO_INDEX ? NULL : &b->prepared[b->pending[i]];
        if (step != NULL && step->kernel->release != NULL) {
            step->kernel->release(step->private_data);
        }
    }
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
    plan->backend = backend;
    plan->value_count = graph->value_count;
    b.plan = plan;
    backend->thread_begin(options->threads_per_run > 0 ? options->threads_per_run : 1);
    TARE_TRY_DONE(status, tare_graph_index_uses(graph, &refusal));
    TARE_TRY_DONE(status, allocate(&b, options, &refusal));
    mark_needed(&b);
    TARE_TRY_DONE(status, input_slots(plan, &refusal));
    TARE_TRY_DONE(status, plan_nodes(&b, &refusal));
    TARE_TRY_DONE(status, plan_outputs(plan, &refusal));
    TARE_TRY_DONE(status, drop_unread_reorders(plan, &refusal));
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
        const tare_step *step = &plan->steps[i];
        if (step->kernel != NULL && step->kernel->release != NULL) {
            step->kernel->release(step->private_data);
        }
    }
    tare_arena_release(&plan->arena);
    free(plan);
}

size_t tare_plan_workspace_bytes(const tare_plan *plan) {
    return plan->workspace_bytes;
}

size_t tare_plan_weight_bytes(const tare_plan *plan) {
    return plan->weight_bytes;
}

size_t tare_plan_step_count(const tare_plan *plan) {
    return plan->step_count;
}

tare_plan_step_info tare_plan_step(const tare_plan *plan, size_t index) {
    const tare_step *step = &plan->steps[index];
    tare_plan_step_info info = {.node = step->is_reorder ? NULL : step->node,
                                .kernel = step->kernel == NULL ? "Reorder" : step->kernel->name,
                                .fused = step->fused,
                                .view = step->is_view};
    for (size_t i = 0; i < step->output_count; i++) {
        if (step->outputs[i] != TARE_NO_INDEX) {
            info.output_bytes += tare_desc_bytes(&plan->slots[step->outputs[i]].desc);
        }
    }
    return info;
}
