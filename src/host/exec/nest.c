/* SPDX-License-Identifier: Apache-2.0 */
/** Loop nests over operands of one broadcast shape, in the memory order of the output. */
#include "exec/nest.h"

#include <string.h>

void tare_desc_order(int *order, const tare_desc *desc) {
    const bool last = desc->layout == TARE_LAYOUT_CHANNELS_LAST && desc->rank >= 3;
    int count = 0;

    for (int axis = 0; axis < desc->rank; axis++) {
        if (!(last && axis == 1)) {
            order[count++] = axis;
        }
    }
    if (last) {
        order[count] = 1;
    }
}

/* Strides of `desc` aligned to the last axes of an output of rank `rank`. */
static tare_status broadcast_strides(int64_t *strides, const tare_desc *desc, const tare_desc *out,
                                     tare_error *err) {
    int64_t own[TARE_MAX_RANK];
    char texts[2][TARE_DIMS_TEXT_BYTES];
    const int shift = out->rank - desc->rank;

    tare_desc_strides(own, desc);
    for (int axis = 0; axis < out->rank; axis++) {
        const int64_t size = axis < shift ? 1 : desc->dims[axis - shift];
        if (shift < 0 || (size != 1 && size != out->dims[axis])) {
            return tare_fail(err, TARE_INVALID_MODEL, "operand of shape %s does not spread to %s",
                             tare_dims_text(texts[0], sizeof texts[0], desc->rank, desc->dims),
                             tare_dims_text(texts[1], sizeof texts[1], out->rank, out->dims));
        }
        strides[axis] = size == 1 ? 0 : own[axis - shift];
    }
    return TARE_OK;
}

void tare_nest_axis(tare_nest *nest, int64_t size, const int64_t *strides) {
    const int last = nest->rank - 1;
    bool merge = nest->rank > 0;

    nest->empty = nest->empty || size == 0;
    if (size == 1) {
        return;
    }
    for (size_t operand = 0; operand < nest->operand_count && merge; operand++) {
        merge = nest->strides[operand][last] == strides[operand] * size;
    }
    if (!merge) {
        nest->dims[nest->rank] = 1;
        nest->rank++;
    }
    nest->dims[nest->rank - 1] *= size;
    for (size_t operand = 0; operand < nest->operand_count; operand++) {
        nest->strides[operand][nest->rank - 1] = strides[operand];
    }
}

void tare_nest_finish(tare_nest *nest) {
    while (nest->rank < 2) {
        /* A new outermost axis of one step; an empty nest gets an inner one too. */
        const bool scalar = nest->rank == 0;
        memmove(nest->dims + 1, nest->dims, sizeof nest->dims[0]);
        nest->dims[0] = 1;
        for (size_t operand = 0; operand < nest->operand_count; operand++) {
            nest->strides[operand][1] = scalar ? 0 : nest->strides[operand][0];
            nest->strides[operand][0] = 0;
        }
        nest->rank++;
    }
}

tare_status tare_nest_build(tare_nest *nest, const tare_desc *const *descs, size_t count,
                            tare_error *err) {
    int64_t strides[TARE_NEST_OPERANDS][TARE_MAX_RANK];
    int order[TARE_MAX_RANK];

    *nest = (tare_nest){.operand_count = count};
    for (size_t operand = 0; operand < count; operand++) {
        TARE_TRY(broadcast_strides(strides[operand], descs[operand], descs[0], err));
    }
    tare_desc_order(order, descs[0]);
    for (int i = 0; i < descs[0]->rank; i++) {
        int64_t axis_strides[TARE_NEST_OPERANDS] = {0};
        for (size_t operand = 0; operand < count; operand++) {
            axis_strides[operand] = strides[operand][order[i]];
        }
        tare_nest_axis(nest, descs[0]->dims[order[i]], axis_strides);
    }
    tare_nest_finish(nest);
    return TARE_OK;
}

bool tare_cursor_next(tare_cursor *cursor, const tare_nest *nest, int axes) {
    for (int axis = axes - 1; axis >= 0; axis--) {
        const int64_t step = ++cursor->index[axis] < nest->dims[axis] ? 1 : 1 - nest->dims[axis];
        for (size_t operand = 0; operand < nest->operand_count; operand++) {
            cursor->offset[operand] += step * nest->strides[operand][axis];
        }
        if (step == 1) {
            return true;
        }
        cursor->index[axis] = 0;
    }
    return false;
}

tare_axis_view tare_axis_view_of(const tare_desc *desc, int axis) {
    tare_axis_view view = {.outer = 1, .size = desc->dims[axis], .inner = 1};
    int order[TARE_MAX_RANK];
    bool behind = false;

    tare_desc_order(order, desc);
    for (int i = 0; i < desc->rank; i++) {
        if (order[i] == axis) {
            behind = true;
        } else if (behind) {
            view.inner *= desc->dims[order[i]];
        } else {
            view.outer *= desc->dims[order[i]];
        }
    }
    return view;
}
