/* SPDX-License-Identifier: Apache-2.0 */
/** QuantizeLinear and DequantizeLinear: per tensor, per axis, in blocks along an axis. */
#include <math.h>

#include "cpu/element.h"
#include "cpu/kernels.h"
#include "cpu/vector.h"
#include "exec/nest.h"
#include "ops/attrs.h"

typedef struct quantize_state {
    const tare_accessor *code; /* of the integer side */
    const tare_vector *vector;
    tare_axis_view view; /* of the operand along the axis; one step for a single scale */
    int64_t block;       /* 0: one scale per index of the axis */
    bool has_zero;
    double low, high; /* bounds of the integer type */
} quantize_state;

static const struct {
    tare_dtype dtype;
    double low, high;
} bounds[] = {
    {TARE_DTYPE_UINT8, 0.0, 255.0},
    {TARE_DTYPE_INT8, -128.0, 127.0},
    {TARE_DTYPE_UINT16, 0.0, 65535.0},
    {TARE_DTYPE_INT16, -32768.0, 32767.0},
    {TARE_DTYPE_INT32, -2147483648.0, 2147483647.0},
};

static tare_status set_code(quantize_state *state, tare_dtype dtype, tare_error *err) {
    for (size_t i = 0; i < sizeof bounds / sizeof bounds[0]; i++) {
        if (bounds[i].dtype == dtype) {
            state->code = tare_accessor_of(dtype);
            state->low = bounds[i].low;
            state->high = bounds[i].high;
            return TARE_OK;
        }
    }
    return tare_fail(err, TARE_UNSUPPORTED, "quantized type %s is not supported",
                     tare_dtype_text(dtype));
}

static tare_status quantize_init(tare_prepare *prepare, tare_dtype code, tare_error *err) {
    const tare_quantize_attrs *attrs = prepare->attrs;
    const tare_desc *in = &prepare->inputs[0], *scale = &prepare->inputs[1];
    quantize_state *state = prepare->private_data;
    const int64_t scales = tare_desc_count(scale);

    TARE_TRY(set_code(state, code, err));
    state->vector = tare_vector_best();
    state->has_zero = prepare->input_count > 2 && prepare->inputs[2].rank >= 0;
    if (scale->dtype != TARE_DTYPE_FLOAT || in->layout != prepare->outputs[0].layout ||
        (attrs->block_size > 0 && in->layout != TARE_LAYOUT_PLAIN)) {
        return tare_fail(err, TARE_UNSUPPORTED, "scale of type %s in this layout is not supported",
                         tare_dtype_text(scale->dtype));
    }
    if (state->has_zero && tare_desc_count(&prepare->inputs[2]) != scales) {
        return tare_fail(err, TARE_INVALID_MODEL, "%lld scales but %lld zero points",
                         (long long)scales, (long long)tare_desc_count(&prepare->inputs[2]));
    }
    state->view = (tare_axis_view){.outer = 1, .size = 1, .inner = tare_desc_count(in)};
    if (scales == 1) {
        return TARE_OK;
    }
    if (attrs->axis < 0 || attrs->axis >= in->rank) {
        return tare_fail(err, TARE_INVALID_MODEL, "axis %lld of an operand of rank %d",
                         (long long)attrs->axis, in->rank);
    }
    state->view = tare_axis_view_of(in, (int)attrs->axis);
    state->block = attrs->block_size;
    if (state->block == 0 ? scales != state->view.size
                          : scales != (state->view.size + state->block - 1) / state->block *
                                          state->view.outer * state->view.inner) {
        return tare_fail(err, TARE_INVALID_MODEL, "%lld scales for an axis of %lld",
                         (long long)scales, (long long)state->view.size);
    }
    return TARE_OK;
}

static tare_status quantize_prepare(tare_prepare *prepare, tare_error *err) {
    if (prepare->inputs[0].dtype != TARE_DTYPE_FLOAT) {
        return tare_fail(err, TARE_UNSUPPORTED, "element type %s is not supported",
                         tare_dtype_text(prepare->inputs[0].dtype));
    }
    return quantize_init(prepare, prepare->outputs[0].dtype, err);
}

static tare_status dequantize_prepare(tare_prepare *prepare, tare_error *err) {
    if (prepare->outputs[0].dtype != TARE_DTYPE_FLOAT) {
        return tare_fail(err, TARE_UNSUPPORTED, "result of type %s is not supported",
                         tare_dtype_text(prepare->outputs[0].dtype));
    }
    return quantize_init(prepare, prepare->inputs[0].dtype, err);
}

static int64_t zero_of(const quantize_state *state, const tare_run *run, int64_t index) {
    return state->has_zero ? state->code->integer(run->inputs[2], index) : 0;
}

/* The scale that belongs to position (outer, k, i). */
static int64_t scale_index(const quantize_state *state, int64_t outer, int64_t k, int64_t i) {
    const tare_axis_view *view = &state->view;
    if (state->block == 0) {
        return k;
    }
    return (outer * ((view->size + state->block - 1) / state->block) + k / state->block) *
               view->inner +
           i;
}

static void quantize_one(const quantize_state *state, const tare_run *run, int64_t at,
                         int64_t parameter) {
    const float x = ((const float *)run->inputs[0])[at];
    const float q = rintf(x / ((const float *)run->inputs[1])[parameter]);
    const double shifted = (isnan(q) ? 0.0 : (double)q) + (double)zero_of(state, run, parameter);
    state->code->set_real(run->outputs[0], at,
                          shifted < state->low ? state->low
                                               : (shifted > state->high ? state->high : shifted));
}

static void dequantize_one(const quantize_state *state, const tare_run *run, int64_t at,
                           int64_t parameter) {
    const int64_t code = state->code->integer(run->inputs[0], at);
    ((float *)run->outputs[0])[at] =
        (float)(code - zero_of(state, run, parameter)) * ((const float *)run->inputs[1])[parameter];
}

typedef void (*one_function)(const quantize_state *state, const tare_run *run, int64_t at,
                             int64_t parameter);

static void for_each(const tare_run *run, one_function one) {
    const quantize_state *state = run->private_data;
    const tare_axis_view *view = &state->view;
    int64_t at = 0;
    for (int64_t outer = 0; outer < view->outer; outer++) {
        for (int64_t k = 0; k < view->size; k++) {
            for (int64_t i = 0; i < view->inner; i++) {
                one(state, run, at++, scale_index(state, outer, k, i));
            }
        }
    }
}

/* Whether neighbours share a scale in runs long enough for a loop over each to pay. */
static bool goes_by_rows(const quantize_state *state) {
    const bool bytes =
        state->code->dtype == TARE_DTYPE_UINT8 || state->code->dtype == TARE_DTYPE_INT8;
    return bytes && state->block == 0 && state->view.inner >= 8;
}

static tare_status quantize_run(const tare_run *run, tare_error *err) {
    const quantize_state *state = run->private_data;
    const tare_axis_view *view = &state->view;

    TARE_UNUSED(err);
    if (!goes_by_rows(state)) {
        for_each(run, quantize_one);
        return TARE_OK;
    }
    for (int64_t row = 0; row < view->outer * view->size; row++) {
        const int64_t k = row % view->size;
        const int32_t numbers[3] = {(int32_t)zero_of(state, run, k), (int32_t)state->low,
                                    (int32_t)state->high};
        state->vector->quantize((uint8_t *)run->outputs[0] + row * view->inner,
                                (const float *)run->inputs[0] + row * view->inner, view->inner,
                                ((const float *)run->inputs[1])[k], numbers);
    }
    return TARE_OK;
}

#define ROW(type)                                                                                  \
    static void row_##type(float *out, const type *in, int64_t count, int32_t zero, float scale) { \
        for (int64_t i = 0; i < count; i++) {                                                      \
            out[i] = (float)((int32_t)in[i] - zero) * scale;                                       \
        }                                                                                          \
    }

ROW(uint8_t)
ROW(int8_t)

static tare_status dequantize_run(const tare_run *run, tare_error *err) {
    const quantize_state *state = run->private_data;
    const tare_axis_view *view = &state->view;

    TARE_UNUSED(err);
    if (!goes_by_rows(state)) {
        for_each(run, dequantize_one);
        return TARE_OK;
    }
    for (int64_t row = 0; row < view->outer * view->size; row++) {
        const int64_t k = row % view->size, at = row * view->inner;
        const int32_t zero = (int32_t)zero_of(state, run, k);
        const float scale = ((const float *)run->inputs[1])[k];
        float *out = (float *)run->outputs[0] + at;
        if (state->code->dtype == TARE_DTYPE_UINT8) {
            row_uint8_t(out, (const uint8_t *)run->inputs[0] + at, view->inner, zero, scale);
        } else {
            row_int8_t(out, (const int8_t *)run->inputs[0] + at, view->inner, zero, scale);
        }
    }
    return TARE_OK;
}

#define KERNEL(text, rule, prepare_function, run_function)                                         \
    {                                                                                              \
        .name = text, .private_size = sizeof(quantize_state), .layout = rule,                      \
        .prepare = prepare_function, .run = run_function                                           \
    }

static const tare_kernel rows[] = {
    KERNEL("QuantizeLinear", TARE_LAYOUT_RULE_FOLLOW, quantize_prepare, quantize_run),
    KERNEL("QuantizeLinear", TARE_LAYOUT_RULE_PLAIN, quantize_prepare, quantize_run),
    KERNEL("DequantizeLinear", TARE_LAYOUT_RULE_FOLLOW, dequantize_prepare, dequantize_run),
    KERNEL("DequantizeLinear", TARE_LAYOUT_RULE_PLAIN, dequantize_prepare, dequantize_run),
};

const tare_kernel_table tare_cpu_quantize_table = {rows, sizeof rows / sizeof rows[0]};
