/* SPDX-License-Identifier: Apache-2.0 */
/** Resize in any layout: the taps of up to three axes, computed on the host as the CPU's. */
#include "cuda/resize.h"

#include <stdlib.h>

#include "cuda/kernels.h"
#include "exec/nest.h"
#include "exec/resample.h"

typedef struct resize_state {
    tare_resize_launch work; /* without the operands */
    tare_device *device;
    void *tables; /* of all axes */
} resize_state;

/* The operand in memory order: what lies outside the resized axes, these, and what lies inside. */
typedef struct resize_view {
    int64_t outer, inner;
    int first, last; /* places of the outermost and innermost resized axis in memory; first > last:
                        nothing is resized */
    int order[TARE_MAX_RANK];
} resize_view;

static tare_status view_of(resize_view *view, const tare_desc *in, const tare_taps *taps,
                           tare_error *err) {
    *view = (resize_view){.outer = 1, .inner = 1, .first = in->rank, .last = -1};
    tare_desc_order(view->order, in);
    for (int i = 0; i < in->rank; i++) {
        if (!taps[view->order[i]].identity) {
            view->first = i < view->first ? i : view->first;
            view->last = i;
        }
    }
    view->first = view->last < 0 ? 0 : view->first;
    if (view->last - view->first >= TARE_RESIZE_AXES) {
        return tare_fail(err, TARE_UNSUPPORTED,
                         "resizing axes that lie %d apart in memory, at most %d are supported",
                         view->last - view->first, TARE_RESIZE_AXES - 1);
    }
    for (int i = 0; i < in->rank; i++) {
        *(i < view->first ? &view->outer : &view->inner) *=
            i < view->first || i > view->last ? in->dims[view->order[i]] : 1;
    }
    return TARE_OK;
}

/* Taps per output index; an axis that is only copied needs one. */
static int64_t tap_count(const tare_taps *taps) {
    return taps->identity ? 1 : taps->count;
}

/* Bytes of an axis's arrays, which follow each other: indices, weights, marks. */
static size_t table_bytes(const tare_taps *taps) {
    const size_t count = (size_t)(taps->out * tap_count(taps));
    const size_t marks = taps->outside == NULL ? 0 : ((size_t)taps->out + 3) / 4 * 4;
    return count * (sizeof(int32_t) + sizeof(float)) + marks;
}

static void fill_table(void *host, const tare_taps *taps) {
    const int64_t count = taps->out * tap_count(taps);
    int32_t *index = host;
    float *weight = (float *)(void *)(index + count);
    uint8_t *marks = (uint8_t *)(weight + count);

    for (int64_t i = 0; i < count; i++) {
        index[i] = (int32_t)(taps->identity ? i : taps->index[i]);
        weight[i] = taps->identity || taps->weight == NULL ? 1.0F : taps->weight[i];
    }
    for (int64_t i = 0; i < taps->out && taps->outside != NULL; i++) {
        marks[i] = taps->outside[i] ? 1 : 0;
    }
}

static void place_table(tare_resize_axis *axis, const tare_taps *taps, const void *device) {
    const int64_t count = taps->out * tap_count(taps);
    const float *weight = (const float *)(const void *)((const int32_t *)device + count);

    *axis = (tare_resize_axis){
        .in = (int32_t)taps->in,
        .out = (int32_t)taps->out,
        .taps = (int32_t)tap_count(taps),
        .index = device,
        .weight = weight,
        .outside = taps->outside == NULL ? NULL : (const uint8_t *)(weight + count)};
}

static tare_status upload_tables(resize_state *state, const tare_taps *const *axes,
                                 size_t *weight_bytes, tare_error *err) {
    tare_status status;
    size_t bytes = 0, at = 0;
    char *host;

    for (int i = 0; i < TARE_RESIZE_AXES; i++) {
        bytes += table_bytes(axes[i]);
    }
    host = calloc(bytes + 1, 1);
    if (host == NULL) {
        return tare_fail_memory(err, bytes, "the taps of Resize");
    }
    for (int i = 0; i < TARE_RESIZE_AXES; i++) {
        fill_table(host + at, axes[i]);
        at += table_bytes(axes[i]);
    }
    status = tare_cuda_upload(&state->tables, state->device, host, bytes, err);
    at = 0;
    for (int i = 0; i < TARE_RESIZE_AXES && status == TARE_OK; i++) {
        place_table(&state->work.axes[i], axes[i], (const char *)state->tables + at);
        at += table_bytes(axes[i]);
    }
    free(host);
    *weight_bytes = bytes;
    return status;
}

static tare_status check_operands(const tare_desc *in, const tare_desc *out, tare_error *err) {
    if ((in->dtype != TARE_DTYPE_FLOAT && in->dtype != TARE_DTYPE_FLOAT16) ||
        in->dtype != out->dtype || in->layout != out->layout || in->rank != out->rank ||
        in->rank == 0) {
        return tare_fail(err, TARE_UNSUPPORTED, "Resize of a %s operand of rank %d",
                         tare_dtype_text(in->dtype), in->rank);
    }
    for (int axis = 0; axis < in->rank; axis++) {
        if (in->dims[axis] > INT32_MAX) {
            return tare_fail(err, TARE_UNSUPPORTED, "Resize of an axis of %lld elements",
                             (long long)in->dims[axis]);
        }
    }
    if (tare_desc_count(out) > TARE_RESIZE_MAX_RESULTS) {
        return tare_fail(err, TARE_UNSUPPORTED, "Resize to %lld elements",
                         (long long)tare_desc_count(out));
    }
    return TARE_OK;
}

/* Axes that are missing keep their one element. */
static tare_status prepare_tables(resize_state *state, tare_prepare *prepare, const tare_taps *taps,
                                  tare_error *err) {
    static const tare_taps one = {.in = 1, .out = 1, .count = 1, .identity = true};
    const tare_taps *axes[TARE_RESIZE_AXES] = {&one, &one, &one};
    resize_view view;
    int64_t count = 1;

    TARE_TRY(view_of(&view, &prepare->inputs[0], taps, err));
    for (int i = view.last; i >= view.first; i--) {
        const int place = TARE_RESIZE_AXES - 1 - (view.last - i);
        axes[place] = &taps[view.order[i]];
        count *= tap_count(axes[place]);
        if (count > TARE_RESIZE_MAX_TAPS) {
            return tare_fail(err, TARE_UNSUPPORTED, "Resize of more than %d elements to one",
                             TARE_RESIZE_MAX_TAPS);
        }
    }
    state->work.outer = view.outer;
    state->work.inner = view.inner;
    return upload_tables(state, axes, &prepare->weight_bytes, err);
}

static tare_status resize_prepare(tare_prepare *prepare, tare_error *err) {
    const tare_resize_attrs *attrs = prepare->attrs;
    const tare_desc *in = &prepare->inputs[0], *out = &prepare->outputs[0];
    resize_state *state = prepare->private_data;
    tare_taps taps[TARE_MAX_RANK] = {{0}};
    tare_status status = TARE_OK;

    TARE_TRY(check_operands(in, out, err));
    state->device = prepare->device;
    state->work.dtype = in->dtype;
    state->work.extrapolation = attrs->extrapolation_value;
    for (int axis = 0; axis < in->rank; axis++) {
        const int64_t sizes[2] = {in->dims[axis], out->dims[axis]};
        TARE_TRY_DONE(status, tare_taps_init(&taps[axis], attrs, axis, sizes, err));
    }
    TARE_TRY_DONE(status, prepare_tables(state, prepare, taps, err));
    for (size_t i = 1; i < prepare->input_count; i++) {
        prepare->unread |= prepare->constants[i] != NULL ? (uint64_t)1 << i : 0;
    }
done:
    for (int axis = 0; axis < in->rank; axis++) {
        tare_taps_release(&taps[axis]);
    }
    return status;
}

static void resize_release(void *private_data) {
    resize_state *state = private_data;
    if (state->tables != NULL) {
        tare_cuda_free(state->device, state->tables);
        state->tables = NULL;
    }
}

static tare_status resize_run(const tare_run *run, tare_error *err) {
    tare_resize_launch work = ((const resize_state *)run->private_data)->work;
    work.in = run->inputs[0];
    work.out = run->outputs[0];
    return tare_cuda_resize(&work, run->queue->stream, err);
}

static const tare_kernel rows[] = {
    {.name = "Resize",
     .private_size = sizeof(resize_state),
     .layout = TARE_LAYOUT_RULE_FOLLOW,
     .prepare = resize_prepare,
     .run = resize_run,
     .release = resize_release},
};

const tare_kernel_table tare_cuda_resize_table = {rows, sizeof rows / sizeof rows[0]};
