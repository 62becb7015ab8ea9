/* SPDX-License-Identifier: Apache-2.0 */
/** Which element goes where in operators that only move elements. */
#include "exec/movement.h"

void tare_movement_axis(tare_movement *movement, int64_t size, int64_t dst_stride,
                        int64_t src_stride) {
    movement->empty = movement->empty || size == 0;
    if (size != 1) {
        movement->dims[movement->rank] = size;
        movement->dst[movement->rank] = dst_stride;
        movement->src[movement->rank] = src_stride;
        movement->rank++;
    }
}

static void set_axis(tare_movement *movement, int to, int64_t size, int64_t dst, int64_t src) {
    movement->dims[to] = size;
    movement->dst[to] = dst;
    movement->src[to] = src;
}

static void swap_axes(tare_movement *movement, int a, int b) {
    const int64_t size = movement->dims[a], dst = movement->dst[a], src = movement->src[a];
    set_axis(movement, a, movement->dims[b], movement->dst[b], movement->src[b]);
    set_axis(movement, b, size, dst, src);
}

void tare_movement_finish(tare_movement *movement) {
    int kept = 0;

    /* Writing in order of memory is what caches like best: largest destination stride outside. */
    for (int i = 1; i < movement->rank; i++) {
        for (int j = i; j > 0 && movement->dst[j] > movement->dst[j - 1]; j--) {
            swap_axes(movement, j, j - 1);
        }
    }
    for (int i = 1; i < movement->rank; i++) {
        const int64_t size = movement->dims[i];
        if (movement->dst[kept] == movement->dst[i] * size &&
            movement->src[kept] == movement->src[i] * size) {
            set_axis(movement, kept, movement->dims[kept] * size, movement->dst[i],
                     movement->src[i]);
        } else {
            kept++;
            set_axis(movement, kept, size, movement->dst[i], movement->src[i]);
        }
    }
    if (movement->rank == 0) {
        set_axis(movement, 0, 1, 1, 1);
    }
    movement->rank = kept + 1;
}

/* No axis yet, and the strides of both operands at hand. */
static void begin(tare_movement *out, int64_t *to, int64_t *from, const tare_desc *dst,
                  const tare_desc *src) {
    *out = (tare_movement){.rank = 0};
    tare_desc_strides(to, dst);
    tare_desc_strides(from, src);
}

void tare_movement_reorder(tare_movement *out, const tare_desc *dst, const tare_desc *src) {
    int64_t to[TARE_MAX_RANK], from[TARE_MAX_RANK];

    begin(out, to, from, dst, src);
    for (int axis = 0; axis < dst->rank; axis++) {
        tare_movement_axis(out, dst->dims[axis], to[axis], from[axis]);
    }
    tare_movement_finish(out);
}

void tare_movement_transpose(tare_movement *out, const tare_transpose_attrs *attrs,
                             const tare_desc *dst, const tare_desc *src) {
    int64_t to[TARE_MAX_RANK], from[TARE_MAX_RANK];

    begin(out, to, from, dst, src);
    for (int axis = 0; axis < dst->rank; axis++) {
        tare_movement_axis(out, dst->dims[axis], to[axis], from[attrs->perm[axis]]);
    }
    tare_movement_finish(out);
}

void tare_movement_slice(tare_movement *out, const tare_slice_attrs *attrs, const tare_desc *dst,
                         const tare_desc *src) {
    int64_t to[TARE_MAX_RANK], from[TARE_MAX_RANK];

    begin(out, to, from, dst, src);
    for (int axis = 0; axis < dst->rank; axis++) {
        const int64_t size = dst->dims[axis];
        /* An empty result may start behind the end; a single step has no stride. */
        out->src_offset += size > 0 ? attrs->start[axis] * from[axis] : 0;
        tare_movement_axis(out, size, to[axis], size > 1 ? attrs->step[axis] * from[axis] : 0);
    }
    tare_movement_finish(out);
}

void tare_movement_expand(tare_movement *out, const tare_desc *dst, const tare_desc *src) {
    const int shift = dst->rank - src->rank;
    int64_t to[TARE_MAX_RANK], from[TARE_MAX_RANK];

    begin(out, to, from, dst, src);
    for (int axis = 0; axis < dst->rank; axis++) {
        const bool spread = axis < shift || src->dims[axis - shift] == 1;
        tare_movement_axis(out, dst->dims[axis], to[axis], spread ? 0 : from[axis - shift]);
    }
    tare_movement_finish(out);
}

void tare_movement_tile(tare_movement *out, const tare_desc *dst, const tare_desc *src) {
    int64_t to[TARE_MAX_RANK], from[TARE_MAX_RANK];

    begin(out, to, from, dst, src);
    for (int axis = 0; axis < dst->rank; axis++) {
        const int64_t size = src->dims[axis];
        tare_movement_axis(out, size > 0 ? dst->dims[axis] / size : 0, to[axis] * size, 0);
        tare_movement_axis(out, size, to[axis], from[axis]);
    }
    tare_movement_finish(out);
}

/* What DepthToSpace and its inverse share: block rows and columns live in the channels of `deep`
 * and in the positions of `wide`. */
typedef struct block_axes {
    int64_t block, channels, height,
        width;                  /* channels of the wide operand, positions of the deep */
    const int64_t *wide, *deep; /* strides */
    bool blocks_outside;        /* deep channel = (block row, block column, channel) */
    bool to_wide;
} block_axes;

static void block_axis(tare_movement *out, const block_axes *axes, int64_t size, int64_t wide,
                       int64_t deep) {
    tare_movement_axis(out, size, axes->to_wide ? wide : deep, axes->to_wide ? deep : wide);
}

static void move_blocks(tare_movement *out, const block_axes *axes, int64_t batch) {
    const int64_t b = axes->block, *wide = axes->wide, *deep = axes->deep;
    const int64_t unit = (axes->blocks_outside ? axes->channels : 1) * deep[1];

    block_axis(out, axes, batch, wide[0], deep[0]);
    block_axis(out, axes, axes->channels, wide[1], (axes->blocks_outside ? 1 : b * b) * deep[1]);
    block_axis(out, axes, axes->height, b * wide[2], deep[2]);
    block_axis(out, axes, axes->width, b * wide[3], deep[3]);
    block_axis(out, axes, b, wide[2], b * unit);
    block_axis(out, axes, b, wide[3], unit);
    tare_movement_finish(out);
}

void tare_movement_depth_to_space(tare_movement *out, const tare_block_attrs *attrs,
                                  const tare_desc *dst, const tare_desc *src) {
    int64_t to[TARE_MAX_RANK], from[TARE_MAX_RANK];
    const block_axes axes = {.block = attrs->blocksize,
                             .channels = dst->dims[1],
                             .height = src->dims[2],
                             .width = src->dims[3],
                             .wide = to,
                             .deep = from,
                             .blocks_outside = attrs->mode == 0,
                             .to_wide = true};

    begin(out, to, from, dst, src);
    move_blocks(out, &axes, src->dims[0]);
}

void tare_movement_space_to_depth(tare_movement *out, const tare_block_attrs *attrs,
                                  const tare_desc *dst, const tare_desc *src) {
    int64_t to[TARE_MAX_RANK], from[TARE_MAX_RANK];
    const block_axes axes = {.block = attrs->blocksize,
                             .channels = src->dims[1],
                             .height = dst->dims[2],
                             .width = dst->dims[3],
                             .wide = from,
                             .deep = to,
                             .blocks_outside = true,
                             .to_wide = false};

    begin(out, to, from, dst, src);
    move_blocks(out, &axes, src->dims[0]);
}

void tare_movement_of_part(tare_movement *out, const tare_movement_part *part) {
    const tare_desc *dst = part->join ? part->whole : part->part;
    const tare_desc *src = part->join ? part->part : part->whole;
    int64_t to[TARE_MAX_RANK], from[TARE_MAX_RANK];

    begin(out, to, from, dst, src);
    if (part->join) {
        out->dst_offset = part->offset * to[part->axis];
    } else {
        out->src_offset = part->offset * from[part->axis];
    }
    for (int axis = 0; axis < part->part->rank; axis++) {
        tare_movement_axis(out, part->part->dims[axis], to[axis], from[axis]);
    }
    tare_movement_finish(out);
}

int64_t tare_pad_source(const tare_pad_attrs *attrs, int axis, int64_t index, int64_t size) {
    const int64_t before = attrs->begin[axis], after = attrs->end[axis];
    const int64_t low = before < 0 ? -before : 0, high = size - (after < 0 ? -after : 0);
    const int64_t extent = high - low;
    int64_t at = index - (before > 0 ? before : 0);

    if (at >= 0 && at < extent) {
        return low + at;
    }
    switch (attrs->mode) {
    case TARE_PAD_EDGE:
        return extent <= 0 ? -1 : (at < 0 ? low : high - 1);
    case TARE_PAD_WRAP:
        return extent <= 0 ? -1 : low + ((at % extent) + extent) % extent;
    case TARE_PAD_REFLECT: {
        const int64_t period = extent > 1 ? 2 * (extent - 1) : 1;
        at = ((at % period) + period) % period;
        return extent <= 0 ? -1 : low + (at < extent ? at : period - at);
    }
    default:
        return -1;
    }
}
