/* SPDX-License-Identifier: Apache-2.0 */
/** Functions of one operand. float32 runs through the vectorised loops, other types element by
 * element. */
#include <math.h>

#include "cpu/element.h"
#include "cpu/kernels.h"
#include "cpu/vector.h"
#include "ops/attrs.h"

#define NO_LOOP TARE_UNARY_COUNT

/* Where the two parameters of a function come from. */
typedef enum parameters { PARAMETERS_NONE, PARAMETERS_UNARY, PARAMETERS_CLIP } parameters;

typedef struct unary_row {
    tare_unary loop; /* of float32, or NO_LOOP */
    parameters source;
    double (*real)(double x, double a, double b);
    int64_t (*integer)(int64_t x, double a, double b);
} unary_row;

typedef struct unary_state {
    const unary_row *row;
    tare_unary_loop loop;
    const tare_accessor *element;
    int64_t count;
    double a, b;
} unary_state;

#define REAL(name, expression)                                                                     \
    static double real_##name(double x, double a, double b) {                                      \
        TARE_UNUSED(a);                                                                            \
        TARE_UNUSED(b);                                                                            \
        return (expression);                                                                       \
    }

static double clamp(double x, double low, double high) {
    return x < low ? low : (x > high ? high : x);
}

REAL(relu, x < 0.0 ? 0.0 : x)
REAL(leaky_relu, x < 0.0 ? a * x : x)
REAL(thresholded_relu, x <= a ? 0.0 : x)
REAL(clip, x < a ? (a > b ? b : a) : (x > b ? b : x))
REAL(sigmoid, 1.0 / (1.0 + exp(-x)))
REAL(tanh, tanh(x))
REAL(exp, exp(x))
REAL(erf, erf(x))
REAL(elu, x < 0.0 ? a * expm1(x) : x)
REAL(selu, b *(x < 0.0 ? a * expm1(x) : x))
REAL(celu, x < 0.0 ? a * expm1(x / a) : x)
REAL(gelu, 0.5 * x * (1.0 + erf(x * 0.70710678118654752)))
REAL(gelu_tanh, 0.5 * x * (1.0 + tanh(0.79788456080286536 * (x + 0.044715 * x * x * x))))
REAL(swish, x / (1.0 + exp(-a * x)))
REAL(softplus, x > 40.0 ? x : log1p(exp(x)))
REAL(mish, x *tanh(x > 40.0 ? x : log1p(exp(x))))
REAL(hard_sigmoid, clamp(a *x + b, 0.0, 1.0))
REAL(hard_swish, x *clamp(x / 6.0 + 0.5, 0.0, 1.0))
REAL(softsign, x / (1.0 + fabs(x)))
REAL(abs, fabs(x))
REAL(neg, -x)
REAL(sign, x > 0.0 ? 1.0 : (x < 0.0 ? -1.0 : x))
REAL(sqrt, sqrt(x))
REAL(reciprocal, 1.0 / x)
REAL(floor, floor(x))
REAL(ceil, ceil(x))
REAL(round, nearbyint(x))
REAL(shrink, x < -a ? x + b : (x > a ? x - b : 0.0))
REAL(log, log(x))
REAL(sin, sin(x))
REAL(cos, cos(x))
REAL(tan, tan(x))
REAL(asin, asin(x))
REAL(acos, acos(x))
REAL(atan, atan(x))
REAL(sinh, sinh(x))
REAL(cosh, cosh(x))
REAL(asinh, asinh(x))
REAL(acosh, acosh(x))
REAL(atanh, atanh(x))

#define INTEGER(name, expression)                                                                  \
    static int64_t integer_##name(int64_t x, double a, double b) {                                 \
        TARE_UNUSED(a);                                                                            \
        TARE_UNUSED(b);                                                                            \
        return (expression);                                                                       \
    }

/* Unsigned arithmetic so that the lowest value wraps instead of being undefined. */
INTEGER(relu, x < 0 ? 0 : x)
INTEGER(abs, x < 0 ? (int64_t)(0U - (uint64_t)x) : x)
INTEGER(neg, (int64_t)(0U - (uint64_t)x))
INTEGER(sign, x > 0 ? 1 : (x < 0 ? -1 : 0))
INTEGER(not, x == 0 ? 1 : 0)
INTEGER(bitwise_not, (int64_t) ~(uint64_t)x)

static int64_t integer_clip(int64_t x, double a, double b) {
    /* Bounds are whole numbers or infinite; those beyond int64 become its ends. */
    const double end = 9223372036854775808.0;
    const int64_t low = a >= end ? INT64_MAX : (a > -end ? (int64_t)a : INT64_MIN);
    const int64_t high = b >= end ? INT64_MAX : (b > -end ? (int64_t)b : INT64_MIN);
    const int64_t raised = x < low ? low : x;
    return raised > high ? high : raised;
}

/* X(identifier, name in the operator table, loop, parameters, real function, integer function) */
#define UNARY_ROWS(X)                                                                              \
    X(relu, "Relu", TARE_UNARY_RELU, NONE, real_relu, integer_relu)                                \
    X(leaky_relu, "LeakyRelu", TARE_UNARY_LEAKY_RELU, UNARY, real_leaky_relu, NULL)                \
    X(thresholded_relu, "ThresholdedRelu", TARE_UNARY_THRESHOLDED_RELU, UNARY,                     \
      real_thresholded_relu, NULL)                                                                 \
    X(clip, "Clip", TARE_UNARY_CLIP, CLIP, real_clip, integer_clip)                                \
    X(sigmoid, "Sigmoid", TARE_UNARY_SIGMOID, NONE, real_sigmoid, NULL)                            \
    X(tanh, "Tanh", TARE_UNARY_TANH, NONE, real_tanh, NULL)                                        \
    X(exp, "Exp", TARE_UNARY_EXP, NONE, real_exp, NULL)                                            \
    X(erf, "Erf", TARE_UNARY_ERF, NONE, real_erf, NULL)                                            \
    X(elu, "Elu", TARE_UNARY_ELU, UNARY, real_elu, NULL)                                           \
    X(selu, "Selu", TARE_UNARY_SELU, UNARY, real_selu, NULL)                                       \
    X(celu, "Celu", TARE_UNARY_CELU, UNARY, real_celu, NULL)                                       \
    X(swish, "Swish", TARE_UNARY_SWISH, UNARY, real_swish, NULL)                                   \
    X(softplus, "Softplus", NO_LOOP, NONE, real_softplus, NULL)                                    \
    X(mish, "Mish", TARE_UNARY_MISH, NONE, real_mish, NULL)                                        \
    X(hard_sigmoid, "HardSigmoid", TARE_UNARY_HARD_SIGMOID, UNARY, real_hard_sigmoid, NULL)        \
    X(hard_swish, "HardSwish", TARE_UNARY_HARD_SWISH, NONE, real_hard_swish, NULL)                 \
    X(softsign, "Softsign", TARE_UNARY_SOFTSIGN, NONE, real_softsign, NULL)                        \
    X(abs, "Abs", TARE_UNARY_ABS, NONE, real_abs, integer_abs)                                     \
    X(neg, "Neg", TARE_UNARY_NEG, NONE, real_neg, integer_neg)                                     \
    X(sign, "Sign", TARE_UNARY_SIGN, NONE, real_sign, integer_sign)                                \
    X(sqrt, "Sqrt", TARE_UNARY_SQRT, NONE, real_sqrt, NULL)                                        \
    X(reciprocal, "Reciprocal", TARE_UNARY_RECIPROCAL, NONE, real_reciprocal, NULL)                \
    X(floor, "Floor", TARE_UNARY_FLOOR, NONE, real_floor, NULL)                                    \
    X(ceil, "Ceil", TARE_UNARY_CEIL, NONE, real_ceil, NULL)                                        \
    X(round, "Round", TARE_UNARY_ROUND, NONE, real_round, NULL)                                    \
    X(shrink, "Shrink", NO_LOOP, UNARY, real_shrink, NULL)                                         \
    X(log, "Log", NO_LOOP, NONE, real_log, NULL)                                                   \
    X(sin, "Sin", NO_LOOP, NONE, real_sin, NULL)                                                   \
    X(cos, "Cos", NO_LOOP, NONE, real_cos, NULL)                                                   \
    X(tan, "Tan", NO_LOOP, NONE, real_tan, NULL)                                                   \
    X(asin, "Asin", NO_LOOP, NONE, real_asin, NULL)                                                \
    X(acos, "Acos", NO_LOOP, NONE, real_acos, NULL)                                                \
    X(atan, "Atan", NO_LOOP, NONE, real_atan, NULL)                                                \
    X(sinh, "Sinh", NO_LOOP, NONE, real_sinh, NULL)                                                \
    X(cosh, "Cosh", NO_LOOP, NONE, real_cosh, NULL)                                                \
    X(asinh, "Asinh", NO_LOOP, NONE, real_asinh, NULL)                                             \
    X(acosh, "Acosh", NO_LOOP, NONE, real_acosh, NULL)                                             \
    X(atanh, "Atanh", NO_LOOP, NONE, real_atanh, NULL)                                             \
    X(not, "Not", NO_LOOP, NONE, NULL, integer_not)                                                \
    X(bitwise_not, "BitwiseNot", NO_LOOP, NONE, NULL, integer_bitwise_not)

static tare_status unary_prepare(tare_prepare *prepare, const unary_row *row, tare_error *err) {
    unary_state *state = prepare->private_data;
    const tare_desc *in = &prepare->inputs[0];
    const bool real = in->dtype == TARE_DTYPE_FLOAT || in->dtype == TARE_DTYPE_DOUBLE ||
                      in->dtype == TARE_DTYPE_FLOAT16 || in->dtype == TARE_DTYPE_BFLOAT16;

    state->row = row;
    state->element = tare_accessor_of(in->dtype);
    state->count = tare_desc_count(in);
    if (row->source == PARAMETERS_UNARY) {
        const tare_unary_attrs *attrs = prepare->attrs;
        state->a = (double)attrs->alpha;
        state->b = (double)attrs->beta;
    } else if (row->source == PARAMETERS_CLIP) {
        const tare_clip_attrs *attrs = prepare->attrs;
        state->a = attrs->min;
        state->b = attrs->max;
    }
    if (state->element == NULL || (real ? row->real == NULL : row->integer == NULL)) {
        return tare_fail(err, TARE_UNSUPPORTED, "element type %s is not supported",
                         tare_dtype_text(in->dtype));
    }
    if (in->layout != prepare->outputs[0].layout) {
        return tare_fail(err, TARE_UNSUPPORTED, "input and output have different layouts");
    }
    if (in->dtype == TARE_DTYPE_FLOAT && row->loop != NO_LOOP) {
        state->loop = tare_vector_best()->unary[row->loop];
    }
    return TARE_OK;
}

static tare_status unary_run(const tare_run *run, tare_error *err) {
    const unary_state *state = run->private_data;
    const tare_accessor *element = state->element;
    const unary_row *row = state->row;
    const void *in = run->inputs[0];
    void *out = run->outputs[0];

    TARE_UNUSED(err);
    if (state->loop != NULL) {
        state->loop(out, in, state->count, (float)state->a, (float)state->b);
    } else if (element->number == TARE_NUMBER_REAL) {
        for (int64_t i = 0; i < state->count; i++) {
            element->set_real(out, i, row->real(element->real(in, i), state->a, state->b));
        }
    } else {
        for (int64_t i = 0; i < state->count; i++) {
            element->set_integer(out, i, row->integer(element->integer(in, i), state->a, state->b));
        }
    }
    return TARE_OK;
}

#define PREPARE(id, name, loop, source, real, integer)                                             \
    static const unary_row row_##id = {loop, PARAMETERS_##source, real, integer};                  \
    static tare_status prepare_##id(tare_prepare *prepare, tare_error *err) {                      \
        return unary_prepare(prepare, &row_##id, err);                                             \
    }

UNARY_ROWS(PREPARE)

/* Gelu is two functions under one name. */
static tare_status prepare_gelu(tare_prepare *prepare, tare_error *err) {
    static const unary_row exact = {TARE_UNARY_GELU, PARAMETERS_NONE, real_gelu, NULL};
    static const unary_row by_tanh = {TARE_UNARY_GELU_TANH, PARAMETERS_NONE, real_gelu_tanh, NULL};
    const tare_unary_attrs *attrs = prepare->attrs;
    return unary_prepare(prepare, attrs->approximate != 0 ? &by_tanh : &exact, err);
}

#define KERNEL(text, function)                                                                     \
    {                                                                                              \
        .name = text, .private_size = sizeof(unary_state), .layout = TARE_LAYOUT_RULE_FOLLOW,      \
        .in_place = true, .prepare = function, .run = unary_run                                    \
    }
#define ROW(id, name, loop, source, real, integer) KERNEL(name, prepare_##id),

static const tare_kernel rows[] = {UNARY_ROWS(ROW) KERNEL("Gelu", prepare_gelu)};

const tare_kernel_table tare_cpu_unary_table = {rows, sizeof rows / sizeof rows[0]};
