/* SPDX-License-Identifier: Apache-2.0 */
/** Resize in any layout: one gather for nearest neighbour, one pass per resized axis otherwise. */
#include <string.h>

#include "cpu/element.h"
#include "cpu/kernels.h"
#include "cpu/vector.h"
#include "exec/nest.h"
#include "exec/resample.h"

/* One pass along an axis of the memory order. */
typedef struct pass {
    tare_axis_view view; /* of the pass's input */
    const tare_taps *taps;
} pass;

typedef struct resize_state {
    const tare_vector *vector;
    int rank;
    int order[TARE_MAX_RANK];          /* ONNX axes in the order of memory */
    tare_taps taps[TARE_MAX_RANK];     /* by ONNX axis */
    int64_t in_strides[TARE_MAX_RANK]; /* by ONNX axis */
    int64_t out_dims[TARE_MAX_RANK];   /* in the order of memory */
    int64_t out_count;
    size_t bytes; /* of an element */
    bool nearest, crop;
    uint64_t extrapolation; /* one element, aligned for every type */
    int pass_count;
    pass passes[TARE_MAX_RANK];
    size_t half_bytes; /* of one of the two scratch buffers between passes */
} resize_state;

/* Shrinking axes first: every later pass then has less to do. */
static void plan_passes(resize_state *state, const tare_desc *in) {
    int axes[TARE_MAX_RANK];
    tare_desc now = *in;
    int64_t largest = 0;

    for (int axis = 0; axis < in->rank; axis++) {
        if (!state->taps[axis].identity) {
            int at = state->pass_count++;
            /* out/in ascending, compared without division. */
            while (at > 0 && state->taps[axis].out * state->taps[axes[at - 1]].in <
                                 state->taps[axes[at - 1]].out * state->taps[axis].in) {
                axes[at] = axes[at - 1];
                at--;
            }
            axes[at] = axis;
        }
    }
    for (int i = 0; i < state->pass_count; i++) {
        int64_t count;
        state->passes[i] =
            (pass){.view = tare_axis_view_of(&now, axes[i]), .taps = &state->taps[axes[i]]};
        now.dims[axes[i]] = state->taps[axes[i]].out;
        count = tare_desc_count(&now);
        largest = count > largest && i + 1 < state->pass_count ? count : largest;
    }
    state->half_bytes = ((size_t)largest * sizeof(float) + 63) / 64 * 64;
}

static tare_status resize_prepare(tare_prepare *prepare, tare_error *err) {
    const tare_resize_attrs *attrs = prepare->attrs;
    const tare_desc *in = &prepare->inputs[0], *out = &prepare->outputs[0];
    const tare_accessor *accessor = tare_accessor_of(in->dtype);
    resize_state *state = prepare->private_data;

    state->nearest = attrs->mode == TARE_RESIZE_NEAREST;
    if (accessor == NULL || (!state->nearest && in->dtype != TARE_DTYPE_FLOAT) ||
        in->layout != out->layout || in->rank != out->rank || in->rank == 0) {
        return tare_fail(err, TARE_UNSUPPORTED, "Resize of a %s operand of rank %d",
                         tare_dtype_text(in->dtype), in->rank);
    }
    state->vector = tare_vector_best();
    state->rank = in->rank;
    state->bytes = tare_dtype_bytes(in->dtype);
    state->crop = attrs->coordinates == TARE_RESIZE_TF_CROP_AND_RESIZE;
    accessor->set_real(&state->extrapolation, 0, (double)attrs->extrapolation_value);
    tare_desc_order(state->order, in);
    tare_desc_strides(state->in_strides, in);
    state->out_count = tare_desc_count(out);
    for (int axis = 0; axis < in->rank; axis++) {
        const int64_t sizes[2] = {in->dims[axis], out->dims[axis]};
        state->out_dims[axis] = out->dims[state->order[axis]];
        TARE_TRY(tare_taps_init(&state->taps[axis], attrs, axis, sizes, err));
    }
    if (!state->nearest) {
        plan_passes(state, in);
        prepare->scratch_bytes = 2 * state->half_bytes;
    }
    return TARE_OK;
}

static void resize_release(void *private_data) {
    resize_state *state = private_data;
    for (int axis = 0; axis < state->rank; axis++) {
        tare_taps_release(&state->taps[axis]);
    }
}

/* out row k = sum of weighted input rows, each of view.inner elements. */
static void run_pass(const resize_state *state, const pass *p, float *out, const float *in) {
    const tare_taps *taps = p->taps;
    const int64_t inner = p->view.inner, count = taps->count;

    for (int64_t outer = 0; outer < p->view.outer; outer++) {
        const float *from = in + outer * p->view.size * inner;
        float *to = out + outer * taps->out * inner;
        for (int64_t k = 0; k < taps->out; k++, to += inner) {
            const int64_t *index = taps->index + k * count;
            const float *weight = taps->weight + k * count;
            if (inner == 1) {
                float sum = 0.0F;
                for (int64_t j = 0; j < count; j++) {
                    sum += from[index[j]] * weight[j];
                }
                *to = sum;
            } else {
                state->vector->blend(to, from + index[0] * inner, from + index[1] * inner, weight,
                                     inner);
                for (int64_t j = 2; j < count; j++) {
                    state->vector->accumulate(to, from + index[j] * inner, weight[j], inner);
                }
            }
        }
    }
}

/* Visits output rows along the innermost axis with the input offset of the outer axes. */
static bool next_row(int64_t *index, const resize_state *state) {
    for (int i = state->rank - 2; i >= 0; i--) {
        if (++index[i] < state->out_dims[i]) {
            return true;
        }
        index[i] = 0;
    }
    return false;
}

static void nearest_row(const resize_state *state, unsigned char *out, const unsigned char *in) {
    const tare_taps *taps = &state->taps[state->order[state->rank - 1]];
    const size_t bytes = state->bytes;

    if (taps->identity) {
        memcpy(out, in, (size_t)taps->out * bytes);
    } else if (bytes == 4) {
        uint32_t *o = (uint32_t *)(void *)out;
        const uint32_t *x = (const uint32_t *)(const void *)in;
        for (int64_t i = 0; i < taps->out; i++) {
            o[i] = x[taps->index[i]];
        }
    } else {
        for (int64_t i = 0; i < taps->out; i++) {
            memcpy(out + (size_t)i * bytes, in + (size_t)taps->index[i] * bytes, bytes);
        }
    }
}

static void run_nearest(const resize_state *state, const tare_run *run) {
    const size_t row_bytes = (size_t)state->out_dims[state->rank - 1] * state->bytes;
    unsigned char *out = run->outputs[0];
    int64_t index[TARE_MAX_RANK] = {0};

    do {
        int64_t offset = 0;
        for (int i = 0; i + 1 < state->rank; i++) {
            const int axis = state->order[i];
            offset += state->taps[axis].index[index[i]] * state->in_strides[axis];
        }
        nearest_row(state, out,
                    (const unsigned char *)run->inputs[0] + (size_t)offset * state->bytes);
        out += row_bytes;
    } while (next_row(index, state));
}

static void fill_outside(const resize_state *state, unsigned char *out) {
    const int64_t row = state->out_dims[state->rank - 1];
    const bool *last = state->taps[state->order[state->rank - 1]].outside;
    int64_t index[TARE_MAX_RANK] = {0};

    do {
        bool outside = false;
        for (int i = 0; i + 1 < state->rank; i++) {
            outside = outside || state->taps[state->order[i]].outside[index[i]];
        }
        for (int64_t i = 0; i < row; i++, out += state->bytes) {
            if (outside || last[i]) {
                memcpy(out, &state->extrapolation, state->bytes);
            }
        }
    } while (next_row(index, state));
}

static tare_status resize_run(const tare_run *run, tare_error *err) {
    const resize_state *state = run->private_data;

    TARE_UNUSED(err);
    if (state->out_count == 0) {
        return TARE_OK;
    }
    if (state->nearest) {
        run_nearest(state, run);
    } else if (state->pass_count == 0) {
        memcpy(run->outputs[0], run->inputs[0], (size_t)state->out_count * state->bytes);
    }
    for (int i = 0; i < state->pass_count; i++) {
        float *const halves[2] = {run->scratch,
                                  (float *)(void *)((char *)run->scratch + state->half_bytes)};
        run_pass(state, &state->passes[i],
                 i + 1 == state->pass_count ? run->outputs[0] : halves[i % 2],
                 i == 0 ? run->inputs[0] : halves[(i + 1) % 2]);
    }
    if (state->crop) {
        fill_outside(state, run->outputs[0]);
    }
    return TARE_OK;
}

static const tare_kernel rows[] = {
    {.name = "Resize",
     .private_size = sizeof(resize_state),
     .layout = TARE_LAYOUT_RULE_FOLLOW,
     .prepare = resize_prepare,
     .run = resize_run,
     .release = resize_release},
};

const tare_kernel_table tare_cpu_resize_table = {rows, sizeof rows / sizeof rows[0]};
