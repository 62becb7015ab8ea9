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

/* An empty copy with the strides of both operands at hand. */
static tare_status copy_begin(tare_copy *copy, int64_t *to, int64_t *from,
                              const tare_prepare *prepare, tare_error *err) {
    TARE_TRY(check_type(&prepare->inputs[0], err));
    *copy = (tare_copy){.element_bytes = tare_dtype_bytes(prepare->inputs[0].dtype)};
    tare_desc_strides(to, &prepare->outputs[0]);
    tare_desc_strides(from, &prepare->inputs[0]);
    return TARE_OK;
}

static tare_status transpose_prepare(tare_prepare *prepare, tare_error *err) {
    const tare_transpose_attrs *attrs = prepare->attrs;
    tare_copy *copy = prepare->private_data;
    int64_t to[TARE_MAX_RANK], from[TARE_MAX_RANK];

    TARE_TRY(copy_begin(copy, to, from, prepare, err));
    for (int axis = 0; axis < prepare->outputs[0].rank; axis++) {
        tare_copy_axis(copy, prepare->outputs[0].dims[axis], to[axis], from[attrs->perm[axis]]);
    }
    tare_copy_finish(copy);
    return TARE_OK;
}

static tare_status slice_prepare(tare_prepare *prepare, tare_error *err) {
    const tare_slice_attrs *attrs = prepare->attrs;
    tare_copy *copy = prepare->private_data;
    int64_t to[TARE_MAX_RANK], from[TARE_MAX_RANK];

    TARE_TRY(copy_begin(copy, to, from, prepare, err));
    for (int axis = 0; axis < prepare->outputs[0].rank; axis++) {
        const int64_t size = prepare->outputs[0].dims[axis];
        /* An empty result may start behind the end; a single step has no stride. */
        copy->src_offset += size > 0 ? attrs->start[axis] * from[axis] : 0;
        tare_copy_axis(copy, size, to[axis], size > 1 ? attrs->step[axis] * from[axis] : 0);
    }
    tare_copy_finish(copy);
    return TARE_OK;
}

static tare_status expand_prepare(tare_prepare *prepare, tare_error *err) {
    tare_copy *copy = prepare->private_data;
    const tare_desc *in = &prepare->inputs[0], *out = &prepare->outputs[0];
    const int shift = out->rank - in->rank;
    int64_t to[TARE_MAX_RANK], from[TARE_MAX_RANK];

    TARE_TRY(copy_begin(copy, to, from, prepare, err));
    for (int axis = 0; axis < out->rank; axis++) {
        const bool spread = axis < shift || in->dims[axis - shift] == 1;
        tare_copy_axis(copy, out->dims[axis], to[axis], spread ? 0 : from[axis - shift]);
    }
    tare_copy_finish(copy);
    return TARE_OK;
}

static tare_status tile_prepare(tare_prepare *prepare, tare_error *err) {
    tare_copy *copy = prepare->private_data;
    const tare_desc *in = &prepare->inputs[0], *out = &prepare->outputs[0];
    int64_t to[TARE_MAX_RANK], from[TARE_MAX_RANK];

    TARE_TRY(copy_begin(copy, to, from, prepare, err));
    for (int axis = 0; axis < out->rank; axis++) {
        const int64_t size = in->dims[axis];
        tare_copy_axis(copy, size > 0 ? out->dims[axis] / size : 0, to[axis] * size, 0);
        tare_copy_axis(copy, size, to[axis], from[axis]);
    }
    tare_copy_finish(copy);
    return TARE_OK;
}

/* Adds the axes that Depth-to-space and its inverse share: block rows and columns live in the
 * channels of `deep` and in the positions of `wide`. */
typedef struct block_axes {
    int64_t block, channels, height,
        width;                  /* channels of the wide operand, positions of the deep */
    const int64_t *wide, *deep; /* strides */
    bool blocks_outside;        /* deep channel = (block row, block column, channel) */
    bool to_wide;
} block_axes;

static void block_axis(tare_copy *copy, const block_axes *axes, int64_t size, int64_t wide,
                       int64_t deep) {
    tare_copy_axis(copy, size, axes->to_wide ? wide : deep, axes->to_wide ? deep : wide);
}

static void block_copy(tare_copy *copy, const block_axes *axes, int64_t batch) {
    const int64_t b = axes->block, *wide = axes->wide, *deep = axes->deep;
    const int64_t unit = (axes->blocks_outside ? axes->channels : 1) * deep[1];

    block_axis(copy, axes, batch, wide[0], deep[0]);
    block_axis(copy, axes, axes->channels, wide[1], (axes->blocks_outside ? 1 : b * b) * deep[1]);
    block_axis(copy, axes, axes->height, b * wide[2], deep[2]);
    block_axis(copy, axes, axes->width, b * wide[3], deep[3]);
    block_axis(copy, axes, b, wide[2], b * unit);
    block_axis(copy, axes, b, wide[3], unit);
    tare_copy_finish(copy);
}

static tare_status depth_to_space_prepare(tare_prepare *prepare, tare_error *err) {
    const tare_block_attrs *attrs = prepare->attrs;
    const tare_desc *in = &prepare->inputs[0], *out = &prepare->outputs[0];
    int64_t to[TARE_MAX_RANK], from[TARE_MAX_RANK];
    const block_axes axes = {.block = attrs->blocksize,
                             .channels = out->dims[1],
                             .height = in->dims[2],
                             .width = in->dims[3],
                             .wide = to,
                             .deep = from,
                             .blocks_outside = attrs->mode == 0,
                             .to_wide = true};

    TARE_TRY(copy_begin(prepare->private_data, to, from, prepare, err));
    block_copy(prepare->private_data, &axes, in->dims[0]);
    return TARE_OK;
}

static tare_status space_to_depth_prepare(tare_prepare *prepare, tare_error *err) {
    const tare_block_attrs *attrs = prepare->attrs;
    const tare_desc *in = &prepare->inputs[0], *out = &prepare->outputs[0];
    int64_t to[TARE_MAX_RANK], from[TARE_MAX_RANK];
    const block_axes axes = {.block = attrs->blocksize,
                             .channels = in->dims[1],
                             .height = out->dims[2],
                             .width = out->dims[3],
                             .wide = from,
                             .deep = to,
                             .blocks_outside = true,
                             .to_wide = false};

    TARE_TRY(copy_begin(prepare->private_data, to, from, prepare, err));
    block_copy(prepare->private_data, &axes, in->dims[0]);
    return TARE_OK;
}

/* Concat and Split: one copy per part. */
typedef struct parts_state {
    size_t count;
    tare_copy *copies;
} parts_state;

static void parts_release(void *private_data) {
    free(((parts_state *)private_data)->copies);
}

typedef struct parts_spec {
    const tare_desc *whole, *parts;
    size_t count;
    int64_t axis;
    bool join;
} parts_spec;

static tare_status parts_prepare(parts_state *state, const parts_spec *spec, tare_error *err) {
    int64_t whole[TARE_MAX_RANK], offset = 0;

    TARE_TRY(check_type(spec->whole, err));
    state->copies = calloc(spec->count > 0 ? spec->count : 1, sizeof *state->copies);
    if (state->copies == NULL) {
        return tare_fail_memory(err, spec->count * sizeof *state->copies, "a kernel");
    }
    state->count = spec->count;
    tare_desc_strides(whole, spec->whole);
    for (size_t k = 0; k < spec->count; k++) {
        const tare_desc *part = &spec->parts[k];
        tare_copy *copy = &state->copies[k];
        int64_t own[TARE_MAX_RANK];

        copy->element_bytes = tare_dtype_bytes(spec->whole->dtype);
        if (part->rank < 0) {
            return tare_fail(err, TARE_UNSUPPORTED, "part %zu is left out", k);
        }
        tare_desc_strides(own, part);
        *(spec->join ? &copy->dst_offset : &copy->src_offset) = offset * whole[spec->axis];
        for (int axis = 0; axis < part->rank; axis++) {
            tare_copy_axis(copy, part->dims[axis], spec->join ? whole[axis] : own[axis],
                           spec->join ? own[axis] : whole[axis]);
        }
        tare_copy_finish(copy);
        offset += part->dims[spec->axis];
    }
    return TARE_OK;
}

static tare_status concat_prepare(tare_prepare *prepare, tare_error *err) {
    const tare_axis_attrs *attrs = prepare->attrs;
    const parts_spec spec = {.whole = &prepare->outputs[0],
                             .parts = prepare->inputs,
                             .count = prepare->input_count,
                             .axis = attrs->axis,
                             .join = true};
    return parts_prepare(prepare->private_data, &spec, err);
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
    const parts_spec spec = {.whole = &prepare->inputs[0],
                             .parts = prepare->outputs,
                             .count = prepare->output_count,
                             .axis = attrs->axis,
                             .join = false};
    return parts_prepare(prepare->private_data, &spec, err);
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
