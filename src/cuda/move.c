/* SPDX-License-Identifier: Apache-2.0 */
/** Operators that only move elements, as strided copies: Reorder (also between storage types),
 * Transpose, Reshape, Concat, Split, Slice, Expand, Tile, DepthToSpace, SpaceToDepth; and Pad. */
#include <stdlib.h>

#include "cuda/kernels.h"
#include "cuda/pad.h"

static tare_status copy_types(const tare_prepare *prepare, tare_error *err) {
    return tare_cuda_move_types(prepare->private_data, prepare->outputs[0].dtype,
                                prepare->inputs[0].dtype, err);
}

static tare_movement *movement_of(const tare_prepare *prepare) {
    return &((tare_cuda_move *)prepare->private_data)->movement;
}

static tare_status reorder_prepare(tare_prepare *prepare, tare_error *err) {
    tare_movement_reorder(movement_of(prepare), &prepare->outputs[0], &prepare->inputs[0]);
    return copy_types(prepare, err);
}

static tare_status transpose_prepare(tare_prepare *prepare, tare_error *err) {
    tare_movement_transpose(movement_of(prepare), prepare->attrs, &prepare->outputs[0],
                            &prepare->inputs[0]);
    return copy_types(prepare, err);
}

static tare_status slice_prepare(tare_prepare *prepare, tare_error *err) {
    tare_movement_slice(movement_of(prepare), prepare->attrs, &prepare->outputs[0],
                        &prepare->inputs[0]);
    return copy_types(prepare, err);
}

static tare_status expand_prepare(tare_prepare *prepare, tare_error *err) {
    tare_movement_expand(movement_of(prepare), &prepare->outputs[0], &prepare->inputs[0]);
    return copy_types(prepare, err);
}

static tare_status tile_prepare(tare_prepare *prepare, tare_error *err) {
    tare_movement_tile(movement_of(prepare), &prepare->outputs[0], &prepare->inputs[0]);
    return copy_types(prepare, err);
}

static tare_status depth_to_space_prepare(tare_prepare *prepare, tare_error *err) {
    tare_movement_depth_to_space(movement_of(prepare), prepare->attrs, &prepare->outputs[0],
                                 &prepare->inputs[0]);
    return copy_types(prepare, err);
}

static tare_status space_to_depth_prepare(tare_prepare *prepare, tare_error *err) {
    tare_movement_space_to_depth(movement_of(prepare), prepare->attrs, &prepare->outputs[0],
                                 &prepare->inputs[0]);
    return copy_types(prepare, err);
}

/* Reshape, Flatten, Squeeze, Unsqueeze, Identity, Dropout in inference without its mask. Plans do
 * not run a view; whoever does gets the copy it stands for. */
static tare_status view_prepare(tare_prepare *prepare, tare_error *err) {
    const int64_t count = tare_desc_count(&prepare->inputs[0]);

    if (prepare->output_count > 1 && prepare->outputs[1].rank >= 0) {
        return tare_fail(err, TARE_UNSUPPORTED, "a view has no second output");
    }
    if (prepare->inputs[0].dtype != prepare->outputs[0].dtype) {
        return tare_fail(err, TARE_UNSUPPORTED, "a view of %s elements as %s",
                         tare_dtype_text(prepare->inputs[0].dtype),
                         tare_dtype_text(prepare->outputs[0].dtype));
    }
    tare_movement_axis(movement_of(prepare), count, 1, 1);
    tare_movement_finish(movement_of(prepare));
    return copy_types(prepare, err);
}

static tare_status copy_run(const tare_run *run, tare_error *err) {
    return tare_cuda_move_run(run->private_data, run->outputs[0], run->inputs[0],
                              run->queue->stream, err);
}

/* Concat and Split: one copy per part. */
typedef struct parts_state {
    size_t count;
    tare_cuda_move *moves;
} parts_state;

static void parts_release(void *private_data) {
    free(((parts_state *)private_data)->moves);
}

static tare_status parts_prepare(parts_state *state, tare_movement_part part,
                                 const tare_desc *parts, size_t count, tare_error *err) {
    state->moves = calloc(count > 0 ? count : 1, sizeof *state->moves);
    if (state->moves == NULL) {
        return tare_fail_memory(err, count * sizeof *state->moves, "a kernel");
    }
    state->count = count;
    for (size_t k = 0; k < count; k++) {
        const tare_dtype whole = part.whole->dtype, own = parts[k].dtype;
        part.part = &parts[k];
        if (part.part->rank < 0) {
            return tare_fail(err, TARE_UNSUPPORTED, "part %zu is left out", k);
        }
        tare_movement_of_part(&state->moves[k].movement, &part);
        TARE_TRY(tare_cuda_move_types(&state->moves[k], part.join ? whole : own,
                                      part.join ? own : whole, err));
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
    for (size_t k = 0; k < state->count; k++) {
        TARE_TRY(tare_cuda_move_run(&state->moves[k], run->outputs[0], run->inputs[k],
                                    run->queue->stream, err));
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
    for (size_t k = 0; k < state->count; k++) {
        TARE_TRY(tare_cuda_move_run(&state->moves[k], run->outputs[k], run->inputs[0],
                                    run->queue->stream, err));
    }
    return TARE_OK;
}

#define COPY(text, rule, function)                                                                 \
    {                                                                                              \
        .name = text, .private_size = sizeof(tare_cuda_move), .layout = rule, .prepare = function, \
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
     .private_size = sizeof(tare_cuda_move),
     .layout = TARE_LAYOUT_RULE_PLAIN,
     .view = true,
     .prepare = view_prepare,
     .run = copy_run},
    {.name = "Pad",
     .private_size = sizeof(tare_cuda_pad),
     .layout = TARE_LAYOUT_RULE_FOLLOW,
     .prepare = tare_cuda_pad_prepare,
     .run = tare_cuda_pad_run,
     .release = tare_cuda_pad_release},
};

const tare_kernel_table tare_cuda_move_table = {rows, sizeof rows / sizeof rows[0]};
