/* SPDX-License-Identifier: Apache-2.0 */
/** Operators that only move elements, as strided copies: Reorder, Transpose, Reshape, Concat,
 * Split, Slice, Expand, Tile, DepthToSpace, SpaceToDepth. */
#include <stdlib.h>
#include <string.h>

#include "cpu/copy.h"
#include "cpu/kernels.h"
#include "ops/attrs.h"

static tare_status check_type(const tare_desc *desc, tare_error *err) {
    const size_t bytes = tare_dtype_bytes(desc->dtype);
    if (bytes != 1 && bytes != 2 && bytes != 4 && bytes != 8) {
        return tare_fail(err, TARE_UNSUPPORTED, "element type %s is not supported",
                         tare_dtype_text(desc->dtype));
    }
    return TARE_OK;
}

/* The copy whose movement has been set. */
static tare_status finish_copy(const tare_prepare *prepare, tare_error *err) {
    tare_copy *copy = prepare->private_data;
    TARE_TRY(check_type(&prepare->inputs[0], err));
    copy->element_bytes = tare_dtype_bytes(prepare->inputs[0].dtype);
    tare_copy_finish(copy);
    return TARE_OK;
}

static tare_movement *movement_of(const tare_prepare *prepare) {
    return &((tare_copy *)prepare->private_data)->movement;
}

static tare_status copy_run(const tare_run *run, tare_error *err) {
    TARE_UNUSED(err);
    tare_copy_run(run->private_data, run->outputs[0], run->inputs[0]);
    return TARE_OK;
}

static tare_status reorder_prepare(tare_prepare *prepare, tare_error *err) {
    TARE_TRY(check_type(&prepare->inputs[0], err));
    tare_copy_between(prepare->private_data, &prepare->outputs[0], &prepare->inputs[0]);
    return TARE_OK;
}

static tare_status transpose_prepare(tare_prepare *prepare, tare_error *err) {
    tare_movement_transpose(movement_of(prepare), prepare->attrs, &prepare->outputs[0],
                            &prepare->inputs[0]);
    return finish_copy(prepare, err);
}

static tare_status slice_prepare(tare_prepare *prepare, tare_error *err) {
    tare_movement_slice(movement_of(prepare), prepare->attrs, &prepare->outputs[0],
                        &prepare->inputs[0]);
    return finish_copy(prepare, err);
}

static tare_status expand_prepare(tare_prepare *prepare, tare_error *err) {
    tare_movement_expand(movement_of(prepare), &prepare->outputs[0], &prepare->inputs[0]);
    return finish_copy(prepare, err);
}

static tare_status tile_prepare(tare_prepare *prepare, tare_error *err) {
    tare_movement_tile(movement_of(prepare), &prepare->outputs[0], &prepare->inputs[0]);
    return finish_copy(prepare, err);
}

static tare_status depth_to_space_prepare(tare_prepare *prepare, tare_error *err) {
    tare_movement_depth_to_space(movement_of(prepare), prepare->attrs, &prepare->outputs[0],
                                 &prepare->inputs[0]);
    return finish_copy(prepare, err);
}

static tare_status space_to_depth_prepare(tare_prepare *prepare, tare_error *err) {
    tare_movement_space_to_depth(movement_of(prepare), prepare->attrs, &prepare->outputs[0],
                                 &prepare->inputs[0]);
    return finish_copy(prepare, err);
}

/* Concat and Split: one copy per part. */
typedef struct parts_state {
    size_t count;
    tare_copy *copies;
} parts_state;

static void parts_release(void *private_data) {
    free(((parts_state *)private_data)->copies);
}

static tare_status parts_prepare(parts_state *state, tare_movement_part part,
                                 const tare_desc *parts, size_t count, tare_error *err) {
    TARE_TRY(check_type(part.whole, err));
    state->copies = calloc(count > 0 ? count : 1, sizeof *state->copies);
    if (state->copies == NULL) {
        return tare_fail_memory(err, count * sizeof *state->copies, "a kernel");
    }
    state->count = count;
    for (size_t k = 0; k < count; k++) {
        part.part = &parts[k];
        if (part.part->rank < 0) {
            return tare_fail(err, TARE_UNSUPPORTED, "part %zu is left out", k);
        }
        tare_movement_of_part(&state->copies[k].movement, &part);
        state->copies[k].element_bytes = tare_dtype_bytes(part.whole->dtype);
        tare_copy_finish(&state->copies[k]);
        part.offset += part.part->dims[part.axis];
    }
    return TARE_OK;
}

static tare_status concat_prepare(tare_prepare *prepare, tare_error *err) {
    const tare_axis_attrs *attrs = prepare->attrs;
    const tare_movement_part part = {
        .whole = &prepare->outputs[0], .axis = (int)attrs->axis, .join = true};
    return parts_prepare(prepare->private_data, part, prepare->inputs, prepare->input_count, err);
}

static tare_status concat_run(const tare_run *run, tare_error *err) {
    const parts_state *state = run->private_data;
    TARE_UNUSED(err);
    for (size_t k = 0; k < state->count; k++) {
        tare_copy_run(&state->copies[k], run->outputs[0], run->inputs[k]);
    }
    return TARE_OK;
}

static tare_status split_prepare(tare_prepare *prepare, tare_error *err) {
    const tare_split_attrs *attrs = prepare->attrs;
    const tare_movement_part part = {
        .whole = &prepare->inputs[0], .axis = (int)attrs->axis, .join = false};
    return parts_prepare(prepare->private_data, part, prepare->outputs, prepare->output_count, err);
}

static tare_status split_run(const tare_run *run, tare_error *err) {
    const parts_state *state = run->private_data;
    TARE_UNUSED(err);
    for (size_t k = 0; k < state->count; k++) {
        tare_copy_run(&state->copies[k], run->outputs[k], run->inputs[0]);
    }
    return TARE_OK;
}

/* Under one kernel name: Reshape, Flatten, Squeeze, Unsqueeze, Identity, and Dropout in inference,
 * whose optional mask is all true. */
typedef struct reshape_state {
    size_t bytes;
    int64_t mask_count;
} reshape_state;

static bool wants_mask(const tare_prepare *prepare) {
    return prepare->output_count > 1 && prepare->outputs[1].rank >= 0;
}

static tare_status view_prepare(tare_prepare *prepare, tare_error *err) {
    reshape_state *state = prepare->private_data;
    state->bytes = tare_desc_bytes(&prepare->inputs[0]);
    return wants_mask(prepare) ? tare_fail(err, TARE_UNSUPPORTED, "a view has no second output")
                               : TARE_OK;
}

static tare_status mask_prepare(tare_prepare *prepare, tare_error *err) {
    reshape_state *state = prepare->private_data;
    state->bytes = tare_desc_bytes(&prepare->inputs[0]);
    if (!wants_mask(prepare) || prepare->outputs[1].dtype != TARE_DTYPE_BOOL) {
        return tare_fail(err, TARE_UNSUPPORTED, "the second output is no mask");
    }
    state->mask_count = tare_desc_count(&prepare->outputs[1]);
    return TARE_OK;
}

/* Plans never run a view; folding of constants does. */
static tare_status reshape_run(const tare_run *run, tare_error *err) {
    const reshape_state *state = run->private_data;
    TARE_UNUSED(err);
    memmove(run->outputs[0], run->inputs[0], state->bytes);
    if (state->mask_count > 0) {
        memset(run->outputs[1], 1, (size_t)state->mask_count);
    }
    return TARE_OK;
}

#define COPY(text, rule, function)                                                                 \
    {                                                                                              \
        .name = text, .private_size = sizeof(tare_copy), .layout = rule, .prepare = function,      \
        .run = copy_run                                                                            \
    }
#define PARTS(text, prepare_function, run_function)                                                \
    {                                                                                              \
        .name = text, .private_size = sizeof(parts_state), .layout = TARE_LAYOUT_RULE_FOLLOW,      \
        .prepare = prepare_function, .run = run_function, .release = parts_release                 \
    }

static const tare_kernel rows[] = {
    COPY("Reorder", TARE_LAYOUT_RULE_ANY, reorder_prepare),
    COPY("Transpose", TARE_LAYOUT_RULE_ANY, transpose_prepare),
    COPY("Slice", TARE_LAYOUT_RULE_FOLLOW, slice_prepare),
    COPY("Expand", TARE_LAYOUT_RULE_FOLLOW, expand_prepare),
    COPY("Tile", TARE_LAYOUT_RULE_FOLLOW, tile_prepare),
    COPY("DepthToSpace", TARE_LAYOUT_RULE_FOLLOW, depth_to_space_prepare),
    COPY("SpaceToDepth", TARE_LAYOUT_RULE_FOLLOW, space_to_depth_prepare),
    PARTS("Concat", concat_prepare, concat_run),
    PARTS("Split", split_prepare, split_run),
    {.name = "Reshape",
     .private_size = sizeof(reshape_state),
     .layout = TARE_LAYOUT_RULE_PLAIN,
     .view = true,
     .prepare = view_prepare,
     .run = reshape_run},
    {.name = "Reshape",
     .private_size = sizeof(reshape_state),
     .layout = TARE_LAYOUT_RULE_PLAIN,
     .prepare = mask_prepare,
     .run = reshape_run},
};

const tare_kernel_table tare_cpu_move_table = {rows, sizeof rows / sizeof rows[0]};
