/* SPDX-License-Identifier: Apache-2.0 */
/** Choosing the kernel of a node: the first row that can do the operands, in the layouts that the
 * row wants. */
#include <string.h>

#include "exec/plan_parts.h"
#include "ops/op.h"

/* A row's rule in its place, and what FOLLOW settles on for the node. */
typedef struct layout_choice {
    tare_place place;
    tare_layout_rule rule;
    tare_layout follow;
} layout_choice;

void tare_plan_release_step(const tare_step *step) {
    if (step->kernel != NULL && step->kernel->release != NULL) {
        step->kernel->release(step->private_data);
    }
}

static bool computes_on_device(const tare_plan *plan, const tare_backend *backend) {
    return plan->device != NULL && backend == plan->backend;
}

static tare_status try_row(tare_step *step, tare_plan *plan, tare_prepare *prepare,
                           const tare_kernel *kernel, tare_error *err) {
    const tare_step before = *step;
    tare_status status = TARE_OK;

    prepare->private_data = tare_arena_alloc(&plan->arena, kernel->private_size);
    if (prepare->private_data == NULL) {
        return tare_fail_memory(err, kernel->private_size, "a kernel");
    }
    prepare->scratch_bytes = 0;
    prepare->weight_bytes = 0;
    prepare->unread = 0;
    step->kernel = kernel;
    step->private_data = prepare->private_data;
    if (kernel->prepare != NULL) {
        status = kernel->prepare(prepare, err);
    }
    if (status != TARE_OK) {
        tare_plan_release_step(step);
        *step = before;
        return status;
    }
    step->scratch_bytes = prepare->scratch_bytes;
    step->weight_bytes = prepare->weight_bytes;
    step->is_view = kernel->view;
    return TARE_OK;
}

tare_status tare_plan_prepare_row(tare_step *step, tare_plan *plan, tare_prepare *prepare,
                                  const tare_kernel_rows *rows, tare_error *err) {
    const tare_kernel *kernel;
    tare_status status = tare_fail(err, TARE_UNSUPPORTED, "the %s backend has no kernel '%s'",
                                   rows->backend->name, rows->name);

    prepare->device = computes_on_device(plan, rows->backend) ? plan->device : NULL;
    for (size_t n = 0; status == TARE_UNSUPPORTED &&
                       (kernel = tare_backend_kernel(rows->backend, rows->name, n)) != NULL;
         n++) {
        if (kernel->layout == rows->rule &&
            (prepare->epilogue_count == 0 || kernel->takes_epilogues)) {
            status = try_row(step, plan, prepare, kernel, err);
        }
    }
    return status;
}

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

static bool exists(const tare_plan *plan, const tare_value *value, tare_place place,
                   tare_layout layout) {
    return *tare_plan_variant_slot(plan, value, (tare_variant){place, layout}) != TARE_NO_INDEX;
}

/* Whether a value is channels-last where it will be read; one that is elsewhere is brought as it
 * is. */
static bool is_channels_last(const tare_plan *plan, const tare_value *value, tare_place place) {
    return exists(plan, value, place, TARE_LAYOUT_CHANNELS_LAST) ||
           (!exists(plan, value, place, TARE_LAYOUT_PLAIN) &&
            tare_plan_nearest_layout(plan, value, place) == TARE_LAYOUT_CHANNELS_LAST);
}

/* FOLLOW: channels-last as soon as one computed input of the output's rank is. */
static layout_choice choose_layout(const tare_plan *plan, const tare_kernel_wish *wish,
                                   tare_layout_rule rule) {
    const tare_node *node = wish->node;
    const int rank = node->outputs[0] != NULL ? node->outputs[0]->rank : -1;
    layout_choice choice = {.place = computes_on_device(plan, wish->backend) ? TARE_PLACE_DEVICE
                                                                             : TARE_PLACE_HOST,
                            .rule = rule,
                            .follow = TARE_LAYOUT_PLAIN};
    for (size_t i = 0; i < node->input_count; i++) {
        const tare_value *value = node->inputs[i];
        if (value != NULL && value->constant == NULL && value->rank == rank && rank >= 3 &&
            rank <= 5 && is_channels_last(plan, value, choice.place)) {
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

/* The variant in which a computed input is read. */
static tare_variant input_variant(const tare_plan *plan, const tare_kernel_wish *wish,
                                  const tare_value *value, layout_choice choice) {
    tare_variant variant = {choice.place, layout_for(choice)};
    /* FOLLOW reads any layout, but a full-size operand in the other one would make every access a
     * jump. */
    const bool any = choice.rule == TARE_LAYOUT_RULE_ANY ||
                     (choice.rule == TARE_LAYOUT_RULE_FOLLOW && !is_full_shape(value, wish->node) &&
                      !exists(plan, value, choice.place, choice.follow));
    if (any) {
        variant.layout = tare_plan_nearest_layout(plan, value, choice.place);
    }
    return tare_plan_variant(plan, value, variant);
}

typedef struct operands {
    tare_desc *inputs, *outputs;
    tare_variant *variants; /* of the inputs */
    const tare_tensor **constants;
} operands;

/* Says how the operands would be, without bringing them there: the row may refuse them. */
static tare_status describe_operands(operands *out, tare_plan *plan, const tare_kernel_wish *wish,
                                     layout_choice choice, tare_error *err) {
    tare_arena *arena = &plan->arena;
    const tare_node *node = wish->node;
    const size_t count = node->input_count + TARE_MAX_EPILOGUES;

    out->inputs = tare_arena_array(arena, count, sizeof *out->inputs);
    out->outputs = tare_arena_array(arena, node->output_count, sizeof *out->outputs);
    out->variants = tare_arena_array(arena, count, sizeof *out->variants);
    out->constants = tare_arena_array(arena, count, sizeof *out->constants);
    if (out->inputs == NULL || out->outputs == NULL || out->variants == NULL ||
        out->constants == NULL) {
        return tare_fail_memory(err, count * sizeof(tare_desc), "the plan");
    }
    for (size_t i = 0; i < node->input_count; i++) {
        const tare_value *value = node->inputs[i];
        if (value == NULL) {
            out->inputs[i].rank = -1;
            continue;
        }
        /* Constants keep their own type, which is that of HOST, in every place. */
        out->variants[i] = value->constant != NULL
                               ? (tare_variant){TARE_PLACE_HOST, TARE_LAYOUT_PLAIN}
                               : input_variant(plan, wish, value, choice);
        out->inputs[i] = tare_plan_variant_desc(plan, value, out->variants[i]);
        out->constants[i] = value->constant;
    }
    for (size_t i = 0; i < node->output_count; i++) {
        const tare_value *value = node->outputs[i];
        if (value == NULL) {
            out->outputs[i].rank = -1;
        } else {
            out->outputs[i] = tare_plan_variant_desc(
                plan, value, (tare_variant){choice.place, layout_for(choice)});
        }
    }
    return TARE_OK;
}

/* What a row is told of a node; the same goes to prepare unless something is refused meanwhile. */
static tare_prepare prepare_of(const tare_kernel_wish *wish, const operands *described,
                               const tare_epilogue *epilogues) {
    const tare_prepare prepare = {.node = wish->node,
                                  .attrs = wish->node->attrs,
                                  .input_count = wish->node->input_count,
                                  .inputs = described->inputs,
                                  .constants = described->constants,
                                  .output_count = wish->node->output_count,
                                  .outputs = described->outputs,
                                  .epilogue_count = wish->length,
                                  .epilogues = epilogues};
    return prepare;
}

tare_status tare_plan_announce_node(tare_plan *plan, const tare_kernel_wish *wish,
                                    tare_error *err) {
    const char *name = tare_op_kernel(wish->node->op);
    tare_epilogue epilogues[TARE_MAX_EPILOGUES];
    const tare_kernel *kernel;

    for (size_t i = 0; i < wish->length; i++) {
        epilogues[i] = wish->links[i].epilogue;
    }
    for (size_t n = 0; (kernel = tare_backend_kernel(wish->backend, name, n)) != NULL; n++) {
        operands described;
        if (kernel->announce == NULL) {
            continue;
        }
        TARE_TRY(describe_operands(&described, plan, wish,
                                   choose_layout(plan, wish, kernel->layout), err));
        tare_prepare prepare = prepare_of(wish, &described, epilogues);
        prepare.device = plan->device;
        kernel->announce(&prepare);
    }
    return TARE_OK;
}

/* Constants that a device kernel has taken over need not be on the device a second time, and a view
 * has no kernel to read any. */
static bool is_unread(const tare_step *step, const tare_prepare *prepare, size_t input) {
    return prepare->device != NULL && prepare->constants[input] != NULL &&
           ((step->is_view && input > 0) || (input < 64 && (prepare->unread >> input & 1U) != 0));
}

static tare_status bring_inputs(tare_step *step, tare_plan *plan, const tare_prepare *prepare,
                                const operands *described, tare_error *err) {
    const tare_node *node = prepare->node;
    const tare_place place = prepare->device != NULL ? TARE_PLACE_DEVICE : TARE_PLACE_HOST;

    step->input_count = node->input_count;
    step->inputs = tare_arena_array(&plan->arena, node->input_count + TARE_MAX_EPILOGUES,
                                    sizeof *step->inputs);
    if (step->inputs == NULL) {
        return tare_fail_memory(err, sizeof *step, "the plan");
    }
    for (size_t i = 0; i < node->input_count; i++) {
        const tare_value *value = node->inputs[i];
        step->inputs[i] = TARE_NO_INDEX;
        if (value == NULL || is_unread(step, prepare, i)) {
            continue;
        }
        if (value->constant != NULL) {
            TARE_TRY(tare_plan_constant(&step->inputs[i], plan, value, place, err));
        } else {
            TARE_TRY(
                tare_plan_bring(&step->inputs[i], plan, value, described->variants[i], node, err));
        }
    }
    return TARE_OK;
}

/* Prepares the node by the rows of one rule. */
static tare_status prepare_by_rule(tare_step *step, tare_plan *plan, const tare_kernel_wish *wish,
                                   tare_layout_rule rule, tare_error *err) {
    const layout_choice choice = choose_layout(plan, wish, rule);
    const tare_kernel_rows rows = {wish->backend, tare_op_kernel(wish->node->op), rule};
    tare_epilogue epilogues[TARE_MAX_EPILOGUES];
    char text[TARE_NODE_TEXT_BYTES];
    operands described;
    tare_status status;

    for (size_t i = 0; i < wish->length; i++) {
        epilogues[i] = wish->links[i].epilogue;
    }
    TARE_TRY(describe_operands(&described, plan, wish, choice, err));
    tare_prepare prepare = prepare_of(wish, &described, epilogues);
    status = tare_plan_prepare_row(step, plan, &prepare, &rows, err);
    if (status != TARE_OK) {
        tare_error_prepend(err, "%s: ", tare_node_text(text, sizeof text, wish->node));
        return status;
    }
    step->layout = layout_for(choice);
    step->on_host = plan->device != NULL && prepare.device == NULL;
    status = bring_inputs(step, plan, &prepare, &described, err);
    if (status != TARE_OK) {
        tare_plan_release_step(step);
        *step = (tare_step){0};
    }
    return status;
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

tare_status tare_plan_prepare_node(tare_step *step, tare_plan *plan, const tare_kernel_wish *wish,
                                   tare_error *err) {
    const char *name = tare_op_kernel(wish->node->op);
    char text[TARE_NODE_TEXT_BYTES];
    const tare_kernel *kernel;
    tare_status status =
        tare_fail(err, TARE_UNSUPPORTED, "%s: the %s backend has no kernel '%s'",
                  tare_node_text(text, sizeof text, wish->node), wish->backend->name, name);

    for (size_t n = 0; status == TARE_UNSUPPORTED &&
                       (kernel = tare_backend_kernel(wish->backend, name, n)) != NULL;
         n++) {
        if (!rule_was_tried(wish->backend, name, n)) {
            status = prepare_by_rule(step, plan, wish, kernel->layout, err);
        }
    }
    return status;
}
