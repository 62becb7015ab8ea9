/* SPDX-License-Identifier: Apache-2.0 */
/** GridSample over two or three spatial axes: the taps of a position are found once and used for
 * all channels. */
#include <math.h>

#include "cpu/kernels.h"
#include "cpu/vector.h"
#include "ops/attrs.h"

#define MODE_LINEAR        0
#define MODE_NEAREST       1
#define MODE_CUBIC         2

#define PADDING_ZEROS      0
#define PADDING_BORDER     1
#define PADDING_REFLECTION 2

/* The most taps of a position: 4 x 4 in two dimensions (cubic is not defined for three). */
#define MAX_TAPS           16

typedef struct grid_state {
    const tare_vector *vector;
    tare_desc x, grid, out;
    int64_t x_strides[TARE_MAX_RANK], grid_strides[TARE_MAX_RANK], out_strides[TARE_MAX_RANK];
    tare_grid_sample_attrs attrs;
    int spatial;
} grid_state;

/* Taps of a position, or along one axis of it. */
typedef struct taps {
    int count;
    int64_t offset[MAX_TAPS]; /* in elements; -1 along an axis: outside, contributes zero */
    float weight[MAX_TAPS];
} taps;

static tare_status grid_prepare(tare_prepare *prepare, tare_error *err) {
    const tare_grid_sample_attrs *attrs = prepare->attrs;
    grid_state *state = prepare->private_data;

    state->x = prepare->inputs[0];
    state->grid = prepare->inputs[1];
    state->out = prepare->outputs[0];
    state->attrs = *attrs;
    state->vector = tare_vector_best();
    state->spatial = state->x.rank - 2;
    if (state->x.dtype != TARE_DTYPE_FLOAT || state->grid.dtype != TARE_DTYPE_FLOAT ||
        state->spatial < 2 || state->spatial > 3 ||
        (state->spatial == 3 && attrs->mode == MODE_CUBIC)) {
        return tare_fail(err, TARE_UNSUPPORTED, "GridSample of a %s operand of rank %d",
                         tare_dtype_text(state->x.dtype), state->x.rank);
    }
    tare_desc_strides(state->x_strides, &state->x);
    tare_desc_strides(state->grid_strides, &state->grid);
    tare_desc_strides(state->out_strides, &state->out);
    return TARE_OK;
}

/* From -1..1 to element positions. */
static float denormalized(float x, int64_t size, bool align_corners) {
    return align_corners ? (x + 1.0F) / 2.0F * (float)(size - 1)
                         : ((x + 1.0F) * (float)size - 1.0F) / 2.0F;
}

/* Mirrors x into [low, high]. */
static float reflected(float x, float low, float high) {
    const float range = high - low;
    float beyond, turns;

    if (range <= 0.0F) {
        return low;
    }
    if (x >= low && x <= high) {
        return x;
    }
    beyond = x < low ? low - x : x - high;
    turns = floorf(beyond / range);
    beyond -= turns * range;
    if (fmodf(turns, 2.0F) == 0.0F) {
        return x < low ? low + beyond : high - beyond;
    }
    return x < low ? high - beyond : low + beyond;
}

static float clamped(float x, float low, float high) {
    return x < low ? low : (x > high ? high : x);
}

/* The element index behind a tap that may lie outside, or -1 for zero. */
static int64_t tap_index(const grid_state *state, float at, int64_t size) {
    const float last = (float)(size - 1);
    if (at >= 0.0F && at <= last) {
        return (int64_t)at;
    }
    if (state->attrs.padding_mode == PADDING_BORDER) {
        return (int64_t)clamped(at, 0.0F, last);
    }
    if (state->attrs.padding_mode == PADDING_REFLECTION) {
        const float low = state->attrs.align_corners ? 0.0F : -0.5F;
        return (int64_t)clamped(reflected(at, low, last - low), 0.0F, last);
    }
    return -1;
}

static void axis_taps(taps *out, const grid_state *state, float x, int64_t size) {
    const float low = state->attrs.align_corners ? 0.0F : -0.5F;
    const float high = (float)(size - 1) - low;
    float base, t;

    if (!(fabsf(x) < 1e15F)) {
        x = -1e9F; /* NaN and infinities lie outside wherever that is */
    }
    if (state->attrs.mode == MODE_NEAREST) {
        x = rintf(x);
    }
    /* Cubic sampling puts each of its taps inside on its own, as frameworks do. */
    if (state->attrs.mode != MODE_CUBIC && (x < low || x > high)) {
        if (state->attrs.padding_mode == PADDING_BORDER) {
            x = clamped(x, 0.0F, (float)(size - 1));
        } else if (state->attrs.padding_mode == PADDING_REFLECTION) {
            x = reflected(x, low, high);
        }
    }
    base = floorf(x);
    t = x - base;
    if (state->attrs.mode == MODE_NEAREST) {
        out->count = 1;
        out->offset[0] = tap_index(state, rintf(x), size);
        out->weight[0] = 1.0F;
    } else if (state->attrs.mode == MODE_LINEAR) {
        out->count = 2;
        out->offset[0] = tap_index(state, base, size);
        out->offset[1] = tap_index(state, base + 1.0F, size);
        out->weight[0] = 1.0F - t;
        out->weight[1] = t;
    } else {
        const float a = -0.75F, u = t + 1.0F, v = 1.0F - t, w = 2.0F - t;
        out->count = 4;
        for (int i = 0; i < 4; i++) {
            out->offset[i] = tap_index(state, base + (float)(i - 1), size);
        }
        out->weight[0] = ((a * u - 5.0F * a) * u + 8.0F * a) * u - 4.0F * a;
        out->weight[1] = ((a + 2.0F) * t - (a + 3.0F)) * t * t + 1.0F;
        out->weight[2] = ((a + 2.0F) * v - (a + 3.0F)) * v * v + 1.0F;
        out->weight[3] = ((a * w - 5.0F * a) * w + 8.0F * a) * w - 4.0F * a;
    }
}

/* All taps of one grid point: products over the axes, taps outside left away. */
static void point_taps(taps *out, const grid_state *state, const float *point) {
    const int64_t step = state->grid_strides[state->spatial + 1];

    out->count = 1;
    out->offset[0] = 0;
    out->weight[0] = 1.0F;
    for (int d = 0; d < state->spatial; d++) {
        /* The grid's last axis counts backwards: x belongs to the last spatial axis. */
        const int64_t size = state->x.dims[2 + d];
        const float x =
            denormalized(point[(state->spatial - 1 - d) * step], size, state->attrs.align_corners);
        const taps before = *out;
        taps axis = {0};
        axis_taps(&axis, state, x, size);
        out->count = 0;
        for (int i = 0; i < before.count; i++) {
            for (int j = 0; j < axis.count; j++) {
                if (axis.offset[j] >= 0) {
                    out->offset[out->count] =
                        before.offset[i] + axis.offset[j] * state->x_strides[2 + d];
                    out->weight[out->count++] = before.weight[i] * axis.weight[j];
                }
            }
        }
    }
}

static void sample(const grid_state *state, float *out, const float *x, const taps *t) {
    const int64_t channels = state->x.dims[1];
    const int64_t from = state->x_strides[1], to = state->out_strides[1];

    if (from == 1 && to == 1) {
        for (int64_t c = 0; c < channels; c++) {
            out[c] = 0.0F;
        }
        for (int k = 0; k < t->count; k++) {
            state->vector->accumulate(out, x + t->offset[k], t->weight[k], channels);
        }
        return;
    }
    for (int64_t c = 0; c < channels; c++) {
        float sum = 0.0F;
        for (int k = 0; k < t->count; k++) {
            sum += x[c * from + t->offset[k]] * t->weight[k];
        }
        out[c * to] = sum;
    }
}

static tare_status grid_run(const tare_run *run, tare_error *err) {
    const grid_state *state = run->private_data;
    const int64_t *dims = state->out.dims;
    const int64_t depth = state->spatial == 3 ? dims[2] : 1;
    const int64_t height = dims[state->spatial], width = dims[state->spatial + 1];
    const int64_t *go = state->grid_strides, *oo = state->out_strides;
    const int shift = state->spatial - 2;

    TARE_UNUSED(err);
    for (int64_t n = 0; n < dims[0]; n++) {
        const float *x = (const float *)run->inputs[0] + n * state->x_strides[0];
        for (int64_t i = 0; i < depth * height * width; i++) {
            const int64_t d = i / (height * width), h = i / width % height, w = i % width;
            const int64_t grid =
                n * go[0] + (shift == 1 ? d * go[1] : 0) + h * go[1 + shift] + w * go[2 + shift];
            const int64_t out =
                n * oo[0] + (shift == 1 ? d * oo[2] : 0) + h * oo[2 + shift] + w * oo[3 + shift];
            taps t;
            point_taps(&t, state, (const float *)run->inputs[1] + grid);
            sample(state, (float *)run->outputs[0] + out, x, &t);
        }
    }
    return TARE_OK;
}

static const tare_kernel rows[] = {
    {.name = "GridSample",
     .private_size = sizeof(grid_state),
     .layout = TARE_LAYOUT_RULE_FOLLOW,
     .prepare = grid_prepare,
     .run = grid_run},
};

const tare_kernel_table tare_cpu_grid_table = {rows, sizeof rows / sizeof rows[0]};
