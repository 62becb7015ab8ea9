/* SPDX-License-Identifier: Apache-2.0 */
/** Softmax, LogSoftmax, Hardmax along any axis of any layout. */
#include <math.h>

#include "cpu/kernels.h"
#include "cpu/vector.h"
#include "exec/nest.h"
#include "ops/attrs.h"

/* Neighbouring columns that are worked on together when the axis is not innermost. */
#define COLUMNS   64
/* Rows up to this length are worked on many at a time. */
#define SHORT_ROW 64

typedef struct softmax_state {
    tare_axis_view view;
    const tare_vector *vector;
} softmax_state;

static tare_status softmax_prepare(tare_prepare *prepare, tare_error *err) {
    const tare_axis_attrs *attrs = prepare->attrs;
    const tare_desc *in = &prepare->inputs[0];
    softmax_state *state = prepare->private_data;

    if (in->dtype != TARE_DTYPE_FLOAT) {
        return tare_fail(err, TARE_UNSUPPORTED, "element type %s is not supported",
                         tare_dtype_text(in->dtype));
    }
    if (in->layout != prepare->outputs[0].layout ||
        (attrs->flatten && in->layout != TARE_LAYOUT_PLAIN)) {
        return tare_fail(err, TARE_UNSUPPORTED, "this layout is not supported");
    }
    state->vector = tare_vector_best();
    if (attrs->flatten) {
        state->view = (tare_axis_view){.outer = 1, .size = 1, .inner = 1};
        for (int axis = 0; axis < in->rank; axis++) {
            *(axis < attrs->axis ? &state->view.outer : &state->view.size) *= in->dims[axis];
        }
    } else {
        state->view =
            in->rank == 0 ? (tare_axis_view){1, 1, 1} : tare_axis_view_of(in, (int)attrs->axis);
    }
    return TARE_OK;
}

/* `count` <= COLUMNS columns of the view, `stride` apart from row to row. */
typedef void (*column_function)(float *out, const float *in, const tare_axis_view *view,
                                int64_t count);

static void column_maxima(float *maxima, const float *in, const tare_axis_view *view,
                          int64_t count) {
    for (int64_t i = 0; i < count; i++) {
        maxima[i] = in[i];
    }
    for (int64_t k = 1; k < view->size; k++) {
        const float *row = in + k * view->inner;
        for (int64_t i = 0; i < count; i++) {
            /* Keeps a NaN once it is there. */
            maxima[i] = maxima[i] >= row[i] || maxima[i] != maxima[i] ? maxima[i] : row[i];
        }
    }
}

static void column_sums(double *sums, float *out, const float *in, const tare_axis_view *view,
                        int64_t count) {
    const tare_vector *vector = tare_vector_best();
    float maxima[COLUMNS];

    column_maxima(maxima, in, view, count);
    for (int64_t i = 0; i < count; i++) {
        sums[i] = 0.0;
    }
    for (int64_t k = 0; k < view->size; k++) {
        float *row = out + k * view->inner;
        for (int64_t i = 0; i < count; i++) {
            row[i] = in[k * view->inner + i] - maxima[i];
        }
        vector->unary[TARE_UNARY_EXP](row, row, count, 0.0F, 0.0F);
        vector->add_columns(sums, row, count);
    }
}

static void softmax_columns(float *out, const float *in, const tare_axis_view *view,
                            int64_t count) {
    double sums[COLUMNS];
    float inverse[COLUMNS];

    column_sums(sums, out, in, view, count);
    for (int64_t i = 0; i < count; i++) {
        inverse[i] = (float)(1.0 / sums[i]);
    }
    for (int64_t k = 0; k < view->size; k++) {
        for (int64_t i = 0; i < count; i++) {
            out[k * view->inner + i] *= inverse[i];
        }
    }
}

static void log_softmax_columns(float *out, const float *in, const tare_axis_view *view,
                                int64_t count) {
    double sums[COLUMNS];
    float maxima[COLUMNS];

    column_maxima(maxima, in, view, count);
    for (int64_t i = 0; i < count; i++) {
        sums[i] = 0.0;
    }
    for (int64_t k = 0; k < view->size; k++) {
        for (int64_t i = 0; i < count; i++) {
            sums[i] += exp((double)in[k * view->inner + i] - (double)maxima[i]);
        }
    }
    for (int64_t k = 0; k < view->size; k++) {
        for (int64_t i = 0; i < count; i++) {
            const double x = (double)in[k * view->inner + i] - (double)maxima[i];
            out[k * view->inner + i] = (float)(x - log(sums[i]));
        }
    }
}

static void hardmax_columns(float *out, const float *in, const tare_axis_view *view,
                            int64_t count) {
    for (int64_t i = 0; i < count; i++) {
        int64_t best = 0;
        for (int64_t k = 1; k < view->size; k++) {
            best = in[k * view->inner + i] > in[best * view->inner + i] ? k : best;
        }
        for (int64_t k = 0; k < view->size; k++) {
            out[k * view->inner + i] = k == best ? 1.0F : 0.0F;
        }
    }
}

static void for_each_column(const tare_run *run, column_function function) {
    const softmax_state *state = run->private_data;
    const tare_axis_view *view = &state->view;

    if (view->size == 0) {
        return;
    }
    for (int64_t outer = 0; outer < view->outer; outer++) {
        for (int64_t i = 0; i < view->inner; i += COLUMNS) {
            const int64_t offset = outer * view->size * view->inner + i;
            const int64_t left = view->inner - i;
            function((float *)run->outputs[0] + offset, (const float *)run->inputs[0] + offset,
                     view, left < COLUMNS ? left : COLUMNS);
        }
    }
}

static tare_status softmax_run(const tare_run *run, tare_error *err) {
    const softmax_state *state = run->private_data;
    const tare_axis_view *view = &state->view;

    TARE_UNUSED(err);
    if (view->inner != 1 || view->size == 0) {
        for_each_column(run, softmax_columns);
        return TARE_OK;
    }
    if (view->size <= SHORT_ROW) {
        state->vector->softmax_rows(run->outputs[0], run->inputs[0], view->outer, view->size);
        return TARE_OK;
    }
    for (int64_t row = 0; row < view->outer; row++) {
        const float *in = (const float *)run->inputs[0] + row * view->size;
        float *out = (float *)run->outputs[0] + row * view->size;
        const float shift = state->vector->maximum(in, view->size);
        const double sum = state->vector->exp_sum(out, in, shift, view->size);
        state->vector->affine_scalar(out, out, (float)(1.0 / sum), 0.0F, view->size);
    }
    return TARE_OK;
}

static tare_status log_softmax_run(const tare_run *run, tare_error *err) {
    TARE_UNUSED(err);
    for_each_column(run, log_softmax_columns);
    return TARE_OK;
}

static tare_status hardmax_run(const tare_run *run, tare_error *err) {
    TARE_UNUSED(err);
    for_each_column(run, hardmax_columns);
    return TARE_OK;
}

/* The plain row is for the flattening form, which runs across axes. */
#define KERNEL(text, rule, function)                                                               \
    {                                                                                              \
        .name = text, .private_size = sizeof(softmax_state), .layout = rule,                       \
        .prepare = softmax_prepare, .run = function                                                \
    }

static const tare_kernel rows[] = {
    KERNEL("Softmax", TARE_LAYOUT_RULE_FOLLOW, softmax_run),
    KERNEL("Softmax", TARE_LAYOUT_RULE_PLAIN, softmax_run),
    KERNEL("LogSoftmax", TARE_LAYOUT_RULE_FOLLOW, log_softmax_run),
    KERNEL("LogSoftmax", TARE_LAYOUT_RULE_PLAIN, log_softmax_run),
    KERNEL("Hardmax", TARE_LAYOUT_RULE_FOLLOW, hardmax_run),
    KERNEL("Hardmax", TARE_LAYOUT_RULE_PLAIN, hardmax_run),
};

const tare_kernel_table tare_cpu_softmax_table = {rows, sizeof rows / sizeof rows[0]};
