/* SPDX-License-Identifier: Apache-2.0 */
/** Where, tests of elements, and conversions between element types. */
#include <math.h>
#include <string.h>

#include "cpu/element.h"
#include "cpu/kernels.h"
#include "exec/nest.h"
#include "ops/attrs.h"

typedef struct where_state {
    tare_nest nest;
    size_t bytes;
} where_state;

static tare_status where_prepare(tare_prepare *prepare, tare_error *err) {
    where_state *state = prepare->private_data;
    const tare_desc *const descs[4] = {&prepare->outputs[0], &prepare->inputs[0],
                                       &prepare->inputs[1], &prepare->inputs[2]};

    state->bytes = tare_dtype_bytes(descs[0]->dtype);
    if (descs[1]->dtype != TARE_DTYPE_BOOL || descs[2]->dtype != descs[0]->dtype ||
        descs[3]->dtype != descs[0]->dtype || state->bytes == 0 || state->bytes > 8) {
        return tare_fail(err, TARE_UNSUPPORTED, "element types %s, %s and %s are not supported",
                         tare_dtype_text(descs[1]->dtype), tare_dtype_text(descs[2]->dtype),
                         tare_dtype_text(descs[3]->dtype));
    }
    return tare_nest_build(&state->nest, descs, 4, err);
}

/* One row; reading both sides keeps the loop free of branches. */
#define WHERE(type)                                                                                \
    static void where_##type(type *out, const uint8_t *condition, const type *x, const type *y,    \
                             const tare_nest *nest) {                                              \
        const int last = nest->rank - 1;                                                           \
        const int64_t n = nest->dims[last], so = nest->strides[0][last],                           \
                      sc = nest->strides[1][last], sx = nest->strides[2][last],                    \
                      sy = nest->strides[3][last];                                                 \
        if (so == 1 && sc == 1 && sx == 1 && sy == 1) {                                            \
            for (int64_t i = 0; i < n; i++) {                                                      \
                const type a = x[i], b = y[i];                                                     \
                out[i] = condition[i] != 0 ? a : b;                                                \
            }                                                                                      \
            return;                                                                                \
        }                                                                                          \
        for (int64_t i = 0; i < n; i++) {                                                          \
            const type a = x[i * sx], b = y[i * sy];                                               \
            out[i * so] = condition[i * sc] != 0 ? a : b;                                          \
        }                                                                                          \
    }

WHERE(uint8_t)
WHERE(uint16_t)
WHERE(uint32_t)
WHERE(uint64_t)

static tare_status where_run(const tare_run *run, tare_error *err) {
    const where_state *state = run->private_data;
    const tare_nest *nest = &state->nest;
    tare_cursor cursor = {{0}, {0}};

    TARE_UNUSED(err);
    if (nest->empty) {
        return TARE_OK;
    }
    do {
        const int64_t bytes = (int64_t)state->bytes, *at = cursor.offset;
        void *out = (char *)run->outputs[0] + at[0] * bytes;
        const uint8_t *condition = (const uint8_t *)run->inputs[0] + at[1];
        const void *x = (const char *)run->inputs[1] + at[2] * bytes;
        const void *y = (const char *)run->inputs[2] + at[3] * bytes;
        if (bytes == 1) {
            where_uint8_t(out, condition, x, y, nest);
        } else if (bytes == 2) {
            where_uint16_t(out, condition, x, y, nest);
        } else if (bytes == 4) {
            where_uint32_t(out, condition, x, y, nest);
        } else {
            where_uint64_t(out, condition, x, y, nest);
        }
    } while (tare_cursor_next(&cursor, nest, nest->rank - 1));
    return TARE_OK;
}

typedef void (*convert_loop)(void *out, const void *in, int64_t count);

typedef struct cast_state {
    const tare_accessor *to, *from;
    convert_loop loop;
    int64_t count;
} cast_state;

#define CONVERT(name, to, from, expression)                                                        \
    static void convert_##name(void *out, const void *in, int64_t count) {                         \
        to *o = out;                                                                               \
        const from *p = in;                                                                        \
        for (int64_t i = 0; i < count; i++) {                                                      \
            const from x = p[i];                                                                   \
            o[i] = (to)(expression);                                                               \
        }                                                                                          \
    }

CONVERT(u8_f32, float, uint8_t, x)
CONVERT(i32_f32, float, int32_t, x)
CONVERT(i64_f32, float, int64_t, x)
CONVERT(f64_f32, float, double, x)
CONVERT(f32_f64, double, float, x)
CONVERT(f32_bool, uint8_t, float, x != 0.0F)
CONVERT(i64_i32, int32_t, int64_t, x)
CONVERT(i32_i64, int64_t, int32_t, x)

/* Pairs that models use on whole activations; every other pair goes element by element. */
static const struct {
    tare_dtype from, to;
    convert_loop loop;
} conversions[] = {
    {TARE_DTYPE_UINT8, TARE_DTYPE_FLOAT, convert_u8_f32},
    {TARE_DTYPE_BOOL, TARE_DTYPE_FLOAT, convert_u8_f32},
    {TARE_DTYPE_INT32, TARE_DTYPE_FLOAT, convert_i32_f32},
    {TARE_DTYPE_INT64, TARE_DTYPE_FLOAT, convert_i64_f32},
    {TARE_DTYPE_DOUBLE, TARE_DTYPE_FLOAT, convert_f64_f32},
    {TARE_DTYPE_FLOAT, TARE_DTYPE_DOUBLE, convert_f32_f64},
    {TARE_DTYPE_FLOAT, TARE_DTYPE_BOOL, convert_f32_bool},
    {TARE_DTYPE_INT64, TARE_DTYPE_INT32, convert_i64_i32},
    {TARE_DTYPE_INT32, TARE_DTYPE_INT64, convert_i32_i64},
};

static tare_status cast_prepare(tare_prepare *prepare, tare_error *err) {
    cast_state *state = prepare->private_data;
    const tare_desc *in = &prepare->inputs[0], *out = &prepare->outputs[0];

    state->from = tare_accessor_of(in->dtype);
    state->to = tare_accessor_of(out->dtype);
    state->count = tare_desc_count(in);
    if (state->from == NULL || state->to == NULL) {
        return tare_fail(err, TARE_UNSUPPORTED, "conversion of %s to %s is not supported",
                         tare_dtype_text(in->dtype), tare_dtype_text(out->dtype));
    }
    if (in->layout != out->layout) {
        return tare_fail(err, TARE_UNSUPPORTED, "input and output have different layouts");
    }
    for (size_t i = 0; i < sizeof conversions / sizeof conversions[0]; i++) {
        if (conversions[i].from == in->dtype && conversions[i].to == out->dtype) {
            state->loop = conversions[i].loop;
        }
    }
    return TARE_OK;
}

static tare_status cast_run(const tare_run *run, tare_error *err) {
    const cast_state *state = run->private_data;
    const tare_accessor *from = state->from, *to = state->to;
    const void *in = run->inputs[0];
    void *out = run->outputs[0];

    TARE_UNUSED(err);
    if (from == to) {
        memmove(out, in, (size_t)state->count * tare_dtype_bytes(to->dtype));
    } else if (state->loop != NULL) {
        state->loop(out, in, state->count);
    } else if (from->number == TARE_NUMBER_REAL || to->number == TARE_NUMBER_REAL) {
        for (int64_t i = 0; i < state->count; i++) {
            to->set_real(out, i, from->real(in, i));
        }
    } else {
        for (int64_t i = 0; i < state->count; i++) {
            to->set_integer(out, i, from->integer(in, i));
        }
    }
    return TARE_OK;
}

/* IsNaN and IsInf. */
typedef struct test_state {
    const tare_accessor *element;
    int64_t count;
    bool nan, positive, negative;
} test_state;

static tare_status test_prepare(tare_prepare *prepare, tare_error *err) {
    test_state *state = prepare->private_data;
    state->element = tare_accessor_of(prepare->inputs[0].dtype);
    state->count = tare_desc_count(&prepare->inputs[0]);
    if (state->element == NULL || prepare->inputs[0].layout != prepare->outputs[0].layout) {
        return tare_fail(err, TARE_UNSUPPORTED, "element type %s is not supported",
                         tare_dtype_text(prepare->inputs[0].dtype));
    }
    return TARE_OK;
}

static tare_status isnan_prepare(tare_prepare *prepare, tare_error *err) {
    ((test_state *)prepare->private_data)->nan = true;
    return test_prepare(prepare, err);
}

static tare_status isinf_prepare(tare_prepare *prepare, tare_error *err) {
    const tare_isinf_attrs *attrs = prepare->attrs;
    test_state *state = prepare->private_data;
    state->positive = attrs->detect_positive;
    state->negative = attrs->detect_negative;
    return test_prepare(prepare, err);
}

static tare_status test_run(const tare_run *run, tare_error *err) {
    const test_state *state = run->private_data;
    uint8_t *out = run->outputs[0];

    TARE_UNUSED(err);
    for (int64_t i = 0; i < state->count; i++) {
        const double x = state->element->real(run->inputs[0], i);
        out[i] = (state->nan && isnan(x)) || (state->positive && x == (double)INFINITY) ||
                 (state->negative && x == -(double)INFINITY);
    }
    return TARE_OK;
}

static const tare_kernel rows[] = {
    {.name = "IsNaN",
     .private_size = sizeof(test_state),
     .layout = TARE_LAYOUT_RULE_FOLLOW,
     .prepare = isnan_prepare,
     .run = test_run},
    {.name = "IsInf",
     .private_size = sizeof(test_state),
     .layout = TARE_LAYOUT_RULE_FOLLOW,
     .prepare = isinf_prepare,
     .run = test_run},
    {.name = "Where",
     .private_size = sizeof(where_state),
     .layout = TARE_LAYOUT_RULE_FOLLOW,
     .in_place = true,
     .prepare = where_prepare,
     .run = where_run},
    {.name = "Cast",
     .private_size = sizeof(cast_state),
     .layout = TARE_LAYOUT_RULE_FOLLOW,
     .prepare = cast_prepare,
     .run = cast_run},
    {.name = "CastLike",
     .private_size = sizeof(cast_state),
     .layout = TARE_LAYOUT_RULE_FOLLOW,
     .prepare = cast_prepare,
     .run = cast_run},
};

const tare_kernel_table tare_cpu_select_table = {rows, sizeof rows / sizeof rows[0]};
