/* SPDX-License-Identifier: Apache-2.0 */
/** Pad: every output row is a sequence of pieces that are copied, mirrored, repeated or filled. */
#include <stdlib.h>
#include <string.h>

#include "cpu/element.h"
#include "cpu/kernels.h"
#include "exec/movement.h"
#include "exec/nest.h"

/* Part of an output row: `count` elements from `first` on, `step` apart; first -1: the fill value.
 */
typedef struct piece {
    int64_t count, first, step;
} piece;

typedef struct pad_state {
    tare_nest nest;               /* of the output, in memory order; one axis per ONNX axis */
    int64_t *maps[TARE_MAX_RANK]; /* per nest axis and output index: offset in the input, or -1 */
    int64_t *map_memory;
    piece *pieces; /* of a row along the last nest axis; offsets in elements */
    size_t piece_count, bytes;
    int64_t unit;   /* elements behind one index of that axis: inner axes without pads */
    uint64_t value; /* one element, aligned for every type */
} pad_state;

static tare_status make_pieces(pad_state *state, const int64_t *map, int64_t count,
                               tare_error *err) {
    state->pieces = calloc((size_t)count + 1, sizeof *state->pieces);
    if (state->pieces == NULL) {
        return tare_fail_memory(err, ((size_t)count + 1) * sizeof *state->pieces, "a kernel");
    }
    for (int64_t i = 0; i < count; i++) {
        piece *last = state->piece_count > 0 ? &state->pieces[state->piece_count - 1] : NULL;
        const bool fill = map[i] < 0;
        if (last != NULL && fill == (last->first < 0) &&
            (fill || last->count == 1 || map[i] == last->first + last->count * last->step)) {
            if (!fill && last->count == 1) {
                last->step = map[i] - last->first;
            }
            last->count++;
        } else {
            state->pieces[state->piece_count++] = (piece){1, map[i], 0};
        }
    }
    return TARE_OK;
}

static tare_status pad_prepare(tare_prepare *prepare, tare_error *err) {
    const tare_pad_attrs *attrs = prepare->attrs;
    const tare_desc *in = &prepare->inputs[0], *out = &prepare->outputs[0];
    const tare_accessor *accessor = tare_accessor_of(in->dtype);
    pad_state *state = prepare->private_data;
    int64_t to[TARE_MAX_RANK], from[TARE_MAX_RANK], total = 0, *map;
    int order[TARE_MAX_RANK];

    if (accessor == NULL || out->rank == 0) {
        return tare_fail(err, TARE_UNSUPPORTED, "Pad of a %s operand of rank %d is not supported",
                         tare_dtype_text(in->dtype), in->rank);
    }
    state->bytes = tare_dtype_bytes(in->dtype);
    accessor->set_real(&state->value, 0, attrs->value);
    for (int axis = 0; axis < out->rank; axis++) {
        total += out->dims[axis];
        state->nest.empty = state->nest.empty || out->dims[axis] == 0;
    }
    map = malloc(((size_t)total + 1) * sizeof *map);
    state->map_memory = map;
    if (map == NULL) {
        return tare_fail_memory(err, ((size_t)total + 1) * sizeof *map, "a kernel");
    }
    tare_desc_order(order, out);
    tare_desc_strides(to, out);
    tare_desc_strides(from, in);
    state->nest.rank = out->rank;
    state->nest.operand_count = 1;
    /* Innermost axes without pads travel as one unit: in channels-last, whole positions. */
    for (state->unit = 1; state->nest.rank > 1; state->nest.rank--) {
        const int axis = order[state->nest.rank - 1];
        if (attrs->begin[axis] != 0 || attrs->end[axis] != 0) {
            break;
        }
        state->unit *= out->dims[axis];
    }
    for (int i = 0; i < state->nest.rank; i++) {
        const int axis = order[i];
        state->nest.dims[i] = out->dims[axis];
        state->nest.strides[0][i] = to[axis];
        state->maps[i] = map;
        for (int64_t k = 0; k < out->dims[axis]; k++) {
            const int64_t index = tare_pad_source(attrs, axis, k, in->dims[axis]);
            *map++ = index < 0 ? -1 : index * from[axis];
        }
    }
    return make_pieces(state, state->maps[state->nest.rank - 1],
                       state->nest.dims[state->nest.rank - 1], err);
}

static void fill(unsigned char *out, const uint64_t *value, int64_t count, size_t bytes) {
    if (bytes == 4) {
        uint32_t *o = (uint32_t *)(void *)out, element;
        memcpy(&element, value, sizeof element);
        for (int64_t i = 0; i < count; i++) {
            o[i] = element;
        }
        return;
    }
    for (int64_t i = 0; i < count; i++) {
        memcpy(out + (size_t)i * bytes, value, bytes);
    }
}

static void write_row(const pad_state *state, unsigned char *out, const unsigned char *in) {
    const size_t bytes = state->bytes, unit_bytes = (size_t)state->unit * bytes;

    for (size_t k = 0; k < state->piece_count; k++) {
        const piece *p = &state->pieces[k];
        if (p->first < 0) {
            fill(out, &state->value, p->count * state->unit, bytes);
        } else if (p->step == state->unit || p->count == 1) {
            memcpy(out, in + (size_t)p->first * bytes, (size_t)p->count * unit_bytes);
        } else if (unit_bytes == 4) {
            uint32_t *o = (uint32_t *)(void *)out;
            const uint32_t *x = (const uint32_t *)(const void *)in + p->first;
            for (int64_t i = 0; i < p->count; i++) {
                o[i] = x[i * p->step];
            }
        } else {
            for (int64_t i = 0; i < p->count; i++) {
                memcpy(out + (size_t)i * unit_bytes, in + (p->first + i * p->step) * (int64_t)bytes,
                       unit_bytes);
            }
        }
        out += (size_t)p->count * unit_bytes;
    }
}

static tare_status pad_run(const tare_run *run, tare_error *err) {
    const pad_state *state = run->private_data;
    const tare_nest *nest = &state->nest;
    const int last = nest->rank - 1;
    tare_cursor cursor = {{0}, {0}};

    TARE_UNUSED(err);
    if (nest->empty) {
        return TARE_OK;
    }
    do {
        unsigned char *out =
            (unsigned char *)run->outputs[0] + (size_t)cursor.offset[0] * state->bytes;
        int64_t offset = 0;
        bool outside = false;
        for (int axis = 0; axis < last; axis++) {
            const int64_t at = state->maps[axis][cursor.index[axis]];
            outside = outside || at < 0;
            offset += at;
        }
        if (outside) {
            fill(out, &state->value, nest->dims[last] * state->unit, state->bytes);
        } else {
            write_row(state, out,
                      (const unsigned char *)run->inputs[0] + (size_t)offset * state->bytes);
        }
    } while (tare_cursor_next(&cursor, nest, last));
    return TARE_OK;
}

static void pad_release(void *private_data) {
    pad_state *state = private_data;
    free(state->map_memory);
    free(state->pieces);
}

static const tare_kernel rows[] = {
    {.name = "Pad",
     .private_size = sizeof(pad_state),
     .layout = TARE_LAYOUT_RULE_FOLLOW,
     .prepare = pad_prepare,
     .run = pad_run,
     .release = pad_release},
};

const tare_kernel_table tare_cpu_pad_table = {rows, sizeof rows / sizeof rows[0]};
