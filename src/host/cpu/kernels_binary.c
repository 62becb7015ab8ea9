/* SPDX-License-Identifier: Apache-2.0 */
/**
 * Functions of two operands with broadcasting over operands of mixed layouts, and the sums and
 * extremes of any number of operands that are made of them.
 */
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "cpu/element.h"
#include "cpu/kernels.h"
#include "cpu/vector.h"
#include "exec/nest.h"
#include "ops/attrs.h"

/* Elements of an operand that are gathered or repeated on the stack at a time. */
#define CHUNK      1024
/* Rows shorter than this cost more in calls than in arithmetic. */
#define SHORT_ROW  32

#define NO_LOOP    TARE_BINARY_COUNT
#define NO_COMPARE TARE_COMPARE_COUNT

typedef struct binary_row {
    tare_binary loop;     /* of float32, or NO_LOOP */
    tare_compare compare; /* of float32, or NO_COMPARE */
    bool logical;         /* the result is a bool */
    double (*real)(double x, double y);
    /* *fault is set where there is no result. */
    int64_t (*integer)(int64_t x, int64_t y, bool *fault);
    int64_t (*natural)(uint64_t x, uint64_t y, bool *fault); /* of uint64; NULL: as integer */
    int64_t (*test)(double x, double y);                     /* of reals when logical */
} binary_row;

typedef struct binary_state {
    const binary_row *row;
    tare_nest nest;
    tare_binary_loop loop;
    tare_compare_loop compare;
    const tare_accessor *out, *a, *b;
    tare_number_class number;
} binary_state;

#define REAL(name, expression)                                                                     \
    static double real_##name(double x, double y) {                                                \
        return (expression);                                                                       \
    }
#define INTEGER(name, expression)                                                                  \
    static int64_t integer_##name(int64_t x, int64_t y, bool *fault) {                             \
        TARE_UNUSED(fault);                                                                        \
        return (expression);                                                                       \
    }
#define NATURAL(name, expression)                                                                  \
    static int64_t natural_##name(uint64_t x, uint64_t y, bool *fault) {                           \
        TARE_UNUSED(fault);                                                                        \
        return (int64_t)(expression);                                                              \
    }
#define COMPARISON(name, operator)                                                                 \
    static int64_t test_##name(double x, double y) {                                               \
        return x operator y ? 1 : 0;                                                               \
    }                                                                                              \
    INTEGER(name, x operator y ? 1 : 0)                                                            \
    NATURAL(name, x operator y ? 1 : 0)

REAL(add, x + y)
REAL(sub, x - y)
REAL(mul, x *y)
REAL(div, x / y)
REAL(max, isnan(x) || x > y ? x : y)
REAL(min, isnan(x) || x < y ? x : y)
REAL(pow, pow(x, y))
REAL(fmod, fmod(x, y))
REAL(prelu, x < 0.0 ? y * x : x)

INTEGER(add, (int64_t)((uint64_t)x + (uint64_t)y))
INTEGER(sub, (int64_t)((uint64_t)x - (uint64_t)y))
INTEGER(mul, (int64_t)((uint64_t)x *(uint64_t)y))
INTEGER(max, x > y ? x : y)
INTEGER(min, x < y ? x : y)
INTEGER(and, x != 0 && y != 0 ? 1 : 0)
INTEGER(or, x != 0 || y != 0 ? 1 : 0)
INTEGER(xor, (x != 0) != (y != 0) ? 1 : 0)
INTEGER(bitwise_and, (int64_t)((uint64_t)x &(uint64_t)y))
INTEGER(bitwise_or, (int64_t)((uint64_t)x | (uint64_t)y))
INTEGER(bitwise_xor, (int64_t)((uint64_t)x ^ (uint64_t)y))
INTEGER(prelu, x < 0 ? (int64_t)((uint64_t)x * (uint64_t)y) : x)
INTEGER(shift_left, (uint64_t)y > 63U ? 0 : (int64_t)((uint64_t)x << (uint64_t)y))
INTEGER(shift_right, (uint64_t)y > 63U ? 0 : (int64_t)((uint64_t)x >> (uint64_t)y))
NATURAL(max, x > y ? x : y)
NATURAL(min, x < y ? x : y)
COMPARISON(equal, ==)
COMPARISON(less, <)
COMPARISON(less_equal, <=)
COMPARISON(greater, >)
COMPARISON(greater_equal, >=)

static int64_t integer_div(int64_t x, int64_t y, bool *fault) {
    if (y == 0) {
        *fault = true;
        return 0;
    }
    return y == -1 ? (int64_t)(0U - (uint64_t)x) : x / y;
}

static int64_t natural_div(uint64_t x, uint64_t y, bool *fault) {
    *fault = *fault || y == 0;
    return y == 0 ? 0 : (int64_t)(x / y);
}

/* Remainder with the sign of the dividend (C's, NumPy's fmod). */
static int64_t integer_fmod(int64_t x, int64_t y, bool *fault) {
    if (y == 0) {
        *fault = true;
        return 0;
    }
    return y == -1 ? 0 : x % y;
}

/* Remainder with the sign of the divisor (Python's). */
static int64_t integer_mod(int64_t x, int64_t y, bool *fault) {
    const int64_t rest = integer_fmod(x, y, fault);
    return rest != 0 && (rest < 0) != (y < 0) ? rest + y : rest;
}

static int64_t natural_mod(uint64_t x, uint64_t y, bool *fault) {
    *fault = *fault || y == 0;
    return y == 0 ? 0 : (int64_t)(x % y);
}

static int64_t integer_pow(int64_t x, int64_t y, bool *fault) {
    uint64_t base = (uint64_t)x, power = 1;
    if (y < 0) {
        /* Only +-1 has whole inverses; the others are cut to zero. */
        *fault = *fault || x == 0;
        return x == 1 ? 1 : (x == -1 ? ((y & 1) != 0 ? -1 : 1) : 0);
    }
    for (uint64_t rest = (uint64_t)y; rest > 0; rest >>= 1) {
        power = (rest & 1U) != 0 ? power * base : power;
        base *= base;
    }
    return (int64_t)power;
}

/* X(identifier, name, loop, comparison, logical, real, integer, natural, test) */
#define BINARY_ROWS(X)                                                                             \
    X(add, "Add", TARE_BINARY_ADD, NO_COMPARE, false, real_add, integer_add, NULL, NULL)           \
    X(sub, "Sub", TARE_BINARY_SUB, NO_COMPARE, false, real_sub, integer_sub, NULL, NULL)           \
    X(mul, "Mul", TARE_BINARY_MUL, NO_COMPARE, false, real_mul, integer_mul, NULL, NULL)           \
    X(div, "Div", TARE_BINARY_DIV, NO_COMPARE, false, real_div, integer_div, natural_div, NULL)    \
    X(pow, "Pow", NO_LOOP, NO_COMPARE, false, real_pow, integer_pow, NULL, NULL)                   \
    X(prelu, "PRelu", TARE_BINARY_PRELU, NO_COMPARE, false, real_prelu, integer_prelu, NULL, NULL) \
    X(and, "And", NO_LOOP, NO_COMPARE, true, NULL, integer_and, NULL, NULL)                        \
    X(or, "Or", NO_LOOP, NO_COMPARE, true, NULL, integer_or, NULL, NULL)                           \
    X(xor, "Xor", NO_LOOP, NO_COMPARE, true, NULL, integer_xor, NULL, NULL)                        \
    X(bitwise_and, "BitwiseAnd", NO_LOOP, NO_COMPARE, false, NULL, integer_bitwise_and, NULL,      \
      NULL)                                                                                        \
    X(bitwise_or, "BitwiseOr", NO_LOOP, NO_COMPARE, false, NULL, integer_bitwise_or, NULL, NULL)   \
    X(bitwise_xor, "BitwiseXor", NO_LOOP, NO_COMPARE, false, NULL, integer_bitwise_xor, NULL,      \
      NULL)                                                                                        \
    X(equal, "Equal", NO_LOOP, TARE_COMPARE_EQUAL, true, NULL, integer_equal, natural_equal,       \
      test_equal)                                                                                  \
    X(less, "Less", NO_LOOP, TARE_COMPARE_LESS, true, NULL, integer_less, natural_less, test_less) \
    X(less_equal, "LessOrEqual", NO_LOOP, TARE_COMPARE_LESS_EQUAL, true, NULL, integer_less_equal, \
      natural_less_equal, test_less_equal)                                                         \
    X(greater, "Greater", NO_LOOP, TARE_COMPARE_GREATER, true, NULL, integer_greater,              \
      natural_greater, test_greater)                                                               \
    X(greater_equal, "GreaterOrEqual", NO_LOOP, TARE_COMPARE_GREATER_EQUAL, true, NULL,            \
      integer_greater_equal, natural_greater_equal, test_greater_equal)

static tare_status binary_init(binary_state *state, const binary_row *row,
                               const tare_desc *const descs[3], tare_error *err) {
    const bool floats = descs[1]->dtype == TARE_DTYPE_FLOAT && descs[2]->dtype == TARE_DTYPE_FLOAT;

    state->row = row;
    state->out = tare_accessor_of(descs[0]->dtype);
    state->a = tare_accessor_of(descs[1]->dtype);
    state->b = tare_accessor_of(descs[2]->dtype);
    if (state->out == NULL || state->a == NULL || state->b == NULL) {
        return tare_fail(err, TARE_UNSUPPORTED, "element types %s and %s are not supported",
                         tare_dtype_text(descs[1]->dtype), tare_dtype_text(descs[2]->dtype));
    }
    /* Pow may mix types: one real operand makes it a computation with reals. */
    state->number = state->b->number == TARE_NUMBER_REAL ? TARE_NUMBER_REAL : state->a->number;
    if (state->number == TARE_NUMBER_REAL ? row->real == NULL && row->test == NULL
                                          : row->integer == NULL) {
        return tare_fail(err, TARE_UNSUPPORTED, "element type %s is not supported",
                         tare_dtype_text(descs[1]->dtype));
    }
    if (row->logical != (descs[0]->dtype == TARE_DTYPE_BOOL)) {
        return tare_fail(err, TARE_INVALID_MODEL, "result of type %s",
                         tare_dtype_text(descs[0]->dtype));
    }
    if (floats && row->loop != NO_LOOP) {
        state->loop = tare_vector_best()->binary[row->loop];
    }
    if (floats && row->compare != NO_COMPARE) {
        state->compare = tare_vector_best()->compare[row->compare];
    }
    return tare_nest_build(&state->nest, descs, 3, err);
}

static void run_span(const binary_state *state, void *out, const float *a, const float *b,
                     const tare_span *span) {
    if (state->loop != NULL) {
        state->loop(out, a, b, span);
    } else {
        state->compare(out, a, b, span);
    }
}

/* A row whose operands are neither contiguous nor constant is gathered in chunks. */
static void run_gathered(const binary_state *state, char *out, const float *a, const float *b) {
    const tare_nest *nest = &state->nest;
    const int last = nest->rank - 1;
    const int64_t n = nest->dims[last], sa = nest->strides[1][last], sb = nest->strides[2][last];
    const int64_t size = state->loop != NULL ? (int64_t)sizeof(float) : 1;
    float chunk_a[CHUNK], chunk_b[CHUNK];

    for (int64_t i = 0; i < n; i += CHUNK) {
        const int64_t count = n - i < CHUNK ? n - i : CHUNK;
        const tare_span span = {
            .rows = 1, .columns = count, .a_varies = sa != 0, .b_varies = sb != 0};
        const float *pa = a + i * sa, *pb = b + i * sb;
        if (sa > 1) {
            for (int64_t j = 0; j < count; j++) {
                chunk_a[j] = pa[j * sa];
            }
            pa = chunk_a;
        }
        if (sb > 1) {
            for (int64_t j = 0; j < count; j++) {
                chunk_b[j] = pb[j * sb];
            }
            pb = chunk_b;
        }
        run_span(state, out + i * size, pa, pb, &span);
    }
}

/* Short rows against a repeated row (channels-last times one number per channel): the repeated row
 * is laid out many times, so that many rows become one. */
static void run_repeated(const binary_state *state, float *out, const float *a, const float *b,
                         const tare_span *rows) {
    float pattern[CHUNK];
    const int64_t n = rows->columns, fit = CHUNK / n;

    for (int64_t i = 0; i < fit * n; i++) {
        pattern[i] = b[i % n];
    }
    for (int64_t row = 0; row < rows->rows; row += fit) {
        const int64_t count = rows->rows - row < fit ? rows->rows - row : fit;
        const tare_span span = {
            .rows = 1, .columns = count * n, .a_varies = true, .b_varies = true};
        state->loop(out + row * n, a + row * n, pattern, &span);
    }
}

static void run_floats(const binary_state *state, void *out, const float *a, const float *b) {
    const tare_nest *nest = &state->nest;
    const int last = nest->rank - 1;
    const int64_t size = state->loop != NULL ? (int64_t)sizeof(float) : 1;
    const tare_span span = {.rows = nest->dims[last - 1],
                            .columns = nest->dims[last],
                            .out_row = nest->strides[0][last - 1],
                            .a_row = nest->strides[1][last - 1],
                            .b_row = nest->strides[2][last - 1],
                            .a_varies = nest->strides[1][last] != 0,
                            .b_varies = nest->strides[2][last] != 0};
    const bool gather = nest->strides[1][last] > 1 || nest->strides[2][last] > 1;
    const bool repeat = state->loop != NULL && span.columns < SHORT_ROW && span.rows > 8 &&
                        span.a_varies && span.b_varies && span.b_row == 0 &&
                        span.a_row == span.columns && span.out_row == span.columns;
    tare_cursor cursor = {{0}, {0}};

    do {
        char *o = (char *)out + cursor.offset[0] * size;
        const float *pa = a + cursor.offset[1], *pb = b + cursor.offset[2];
        if (gather) {
            for (int64_t row = 0; row < span.rows; row++) {
                run_gathered(state, o + row * span.out_row * size, pa + row * span.a_row,
                             pb + row * span.b_row);
            }
        } else if (repeat) {
            run_repeated(state, (float *)(void *)o, pa, pb, &span);
        } else {
            run_span(state, o, pa, pb, &span);
        }
    } while (tare_cursor_next(&cursor, nest, nest->rank - 2));
}

static void run_element(const binary_state *state, void *out, const void *a, const void *b,
                        const int64_t at[3], bool *fault) {
    const binary_row *row = state->row;
    if (state->number == TARE_NUMBER_REAL) {
        const double x = state->a->real(a, at[1]), y = state->b->real(b, at[2]);
        if (row->test != NULL) {
            state->out->set_integer(out, at[0], row->test(x, y));
        } else {
            state->out->set_real(out, at[0], row->real(x, y));
        }
    } else {
        const int64_t x = state->a->integer(a, at[1]), y = state->b->integer(b, at[2]);
        const bool natural = state->number == TARE_NUMBER_UNSIGNED && row->natural != NULL;
        state->out->set_integer(out, at[0],
                                natural ? row->natural((uint64_t)x, (uint64_t)y, fault)
                                        : row->integer(x, y, fault));
    }
}

static tare_status binary_compute(const binary_state *state, void *out, const void *a,
                                  const void *b, tare_error *err) {
    tare_cursor cursor = {{0}, {0}};
    bool fault = false;

    if (state->nest.empty) {
        return TARE_OK;
    }
    if (state->loop != NULL || state->compare != NULL) {
        run_floats(state, out, a, b);
        return TARE_OK;
    }
    do {
        run_element(state, out, a, b, cursor.offset, &fault);
    } while (tare_cursor_next(&cursor, &state->nest, state->nest.rank));
    if (fault) {
        return tare_fail(err, TARE_INVALID_ARGUMENT, "whole number divided by zero");
    }
    return TARE_OK;
}

static tare_status binary_prepare(tare_prepare *prepare, const binary_row *row, tare_error *err) {
    const tare_desc *const descs[3] = {&prepare->outputs[0], &prepare->inputs[0],
                                       &prepare->inputs[1]};
    return binary_init(prepare->private_data, row, descs, err);
}

static tare_status binary_run(const tare_run *run, tare_error *err) {
    return binary_compute(run->private_data, run->outputs[0], run->inputs[0], run->inputs[1], err);
}

#define PREPARE(id, name, loop, compare, logical, real, integer, natural, test)                    \
    static const binary_row row_##id = {loop, compare, logical, real, integer, natural, test};     \
    static tare_status prepare_##id(tare_prepare *prepare, tare_error *err) {                      \
        return binary_prepare(prepare, &row_##id, err);                                            \
    }

BINARY_ROWS(PREPARE)

static tare_status prepare_mod(tare_prepare *prepare, tare_error *err) {
    static const binary_row python = {NO_LOOP,     NO_COMPARE,  false, NULL,
                                      integer_mod, natural_mod, NULL};
    static const binary_row c = {NO_LOOP,      NO_COMPARE,  false, real_fmod,
                                 integer_fmod, natural_mod, NULL};
    const tare_binary_attrs *attrs = prepare->attrs;
    return binary_prepare(prepare, attrs->fmod ? &c : &python, err);
}

static tare_status prepare_shift(tare_prepare *prepare, tare_error *err) {
    static const binary_row left = {NO_LOOP, NO_COMPARE, false, NULL, integer_shift_left,
                                    NULL,    NULL};
    static const binary_row right = {NO_LOOP, NO_COMPARE, false, NULL, integer_shift_right,
                                     NULL,    NULL};
    const tare_binary_attrs *attrs = prepare->attrs;
    return binary_prepare(prepare, attrs->direction == 0 ? &left : &right, err);
}

/* Sum, Mean, Max, Min: the first step takes inputs 0 and 1, each further one the output and the
 * next input. Hence the output must not be the memory of an input (the rows are not in place). */
typedef struct variadic_state {
    size_t input_count;
    bool mean;
    int64_t count;
    size_t out_bytes;
    binary_state *steps; /* input_count - 1 of them */
} variadic_state;

static tare_status variadic_prepare(tare_prepare *prepare, const binary_row *row, tare_error *err) {
    variadic_state *state = prepare->private_data;
    const tare_desc *out = &prepare->outputs[0];

    state->input_count = prepare->input_count;
    state->count = tare_desc_count(out);
    state->out_bytes = tare_desc_bytes(out);
    if (prepare->input_count == 1) {
        return prepare->inputs[0].layout == out->layout
                   ? TARE_OK
                   : tare_fail(err, TARE_UNSUPPORTED, "input and output have different layouts");
    }
    state->steps = calloc(prepare->input_count, sizeof *state->steps);
    if (state->steps == NULL) {
        return tare_fail_memory(err, prepare->input_count * sizeof *state->steps, "a kernel");
    }
    for (size_t k = 1; k < prepare->input_count; k++) {
        const tare_desc *const descs[3] = {out, k == 1 ? &prepare->inputs[0] : out,
                                           &prepare->inputs[k]};
        TARE_TRY(binary_init(&state->steps[k - 1], row, descs, err));
    }
    return TARE_OK;
}

static tare_status prepare_mean(tare_prepare *prepare, tare_error *err) {
    ((variadic_state *)prepare->private_data)->mean = true;
    if (prepare->outputs[0].dtype != TARE_DTYPE_FLOAT) {
        return tare_fail(err, TARE_UNSUPPORTED, "element type %s is not supported",
                         tare_dtype_text(prepare->outputs[0].dtype));
    }
    return variadic_prepare(prepare, &row_add, err);
}

static tare_status prepare_sum(tare_prepare *prepare, tare_error *err) {
    return variadic_prepare(prepare, &row_add, err);
}

static tare_status prepare_max(tare_prepare *prepare, tare_error *err) {
    static const binary_row row = {TARE_BINARY_MAX, NO_COMPARE,  false, real_max,
                                   integer_max,     natural_max, NULL};
    return variadic_prepare(prepare, &row, err);
}

static tare_status prepare_min(tare_prepare *prepare, tare_error *err) {
    static const binary_row row = {TARE_BINARY_MIN, NO_COMPARE,  false, real_min,
                                   integer_min,     natural_min, NULL};
    return variadic_prepare(prepare, &row, err);
}

static tare_status variadic_run(const tare_run *run, tare_error *err) {
    const variadic_state *state = run->private_data;
    void *out = run->outputs[0];

    if (state->input_count == 1) {
        memcpy(out, run->inputs[0], state->out_bytes);
    }
    for (size_t k = 1; k < state->input_count; k++) {
        TARE_TRY(binary_compute(&state->steps[k - 1], out, k == 1 ? run->inputs[0] : out,
                                run->inputs[k], err));
    }
    if (state->mean) {
        float *values = out;
        for (int64_t i = 0; i < state->count; i++) {
            values[i] /= (float)state->input_count;
        }
    }
    return TARE_OK;
}

static void variadic_release(void *private_data) {
    free(((variadic_state *)private_data)->steps);
}

#define KERNEL(text, function)                                                                     \
    {                                                                                              \
        .name = text, .private_size = sizeof(binary_state), .layout = TARE_LAYOUT_RULE_FOLLOW,     \
        .in_place = true, .prepare = function, .run = binary_run                                   \
    }
#define ROW(id, name, loop, compare, logical, real, integer, natural, test)                        \
    KERNEL(name, prepare_##id),
#define VARIADIC(text, function)                                                                   \
    {                                                                                              \
        .name = text, .private_size = sizeof(variadic_state), .layout = TARE_LAYOUT_RULE_FOLLOW,   \
        .prepare = function, .run = variadic_run, .release = variadic_release                      \
    }

static const tare_kernel rows[] = {BINARY_ROWS(ROW) KERNEL("Mod", prepare_mod),
                                   KERNEL("BitShift", prepare_shift),
                                   VARIADIC("Sum", prepare_sum),
                                   VARIADIC("Mean", prepare_mean),
                                   VARIADIC("Max", prepare_max),
                                   VARIADIC("Min", prepare_min)};

const tare_kernel_table tare_cpu_binary_table = {rows, sizeof rows / sizeof rows[0]};
