/* SPDX-License-Identifier: Apache-2.0 */
/** Rows of the element-wise operators: which program each of them is. */
#include <math.h>

#include "cuda/kernels.h"
#include "cuda/program.h"
#include "ops/attrs.h"

/* No opcode is negative. */
#define NONE ((tare_opcode)-1)

/* Where the parameters of a function come from. */
typedef enum parameters {
    PARAMETERS_ROW,   /* a and b of its row */
    PARAMETERS_UNARY, /* alpha and beta */
    PARAMETERS_ALPHA, /* alpha, and b of its row */
    PARAMETERS_CLIP
} parameters;

/* A function of one operand. */
typedef struct unary_row {
    tare_opcode real, whole; /* NONE: not for these types */
    parameters source;
    float a, b;
} unary_row;

typedef struct binary_row {
    tare_opcode real, whole;
} binary_row;

static bool is_real(const tare_desc *desc) {
    return tare_program_is_real(desc->dtype);
}

static tare_status unsupported(const tare_desc *desc, tare_error *err) {
    return tare_fail(err, TARE_UNSUPPORTED, "element type %s is not supported",
                     tare_dtype_text(desc->dtype));
}

/* Bounds are whole numbers or infinite; those beyond int64 become its ends. */
static int64_t whole_bound(double bound) {
    const double end = 9223372036854775808.0;
    return bound >= end ? INT64_MAX : (bound > -end ? (int64_t)bound : INT64_MIN);
}

static void set_parameters(tare_program_step *step, const tare_prepare *prepare,
                           const unary_row *row) {
    step->a = row->a;
    step->b = row->b;
    step->low = 0; /* of Relu, the one function with bounds in its row */
    step->high = INT64_MAX;
    if (row->source == PARAMETERS_CLIP) {
        const tare_clip_attrs *attrs = prepare->attrs;
        step->a = (float)attrs->min;
        step->b = (float)attrs->max;
        step->low = whole_bound(attrs->min);
        step->high = whole_bound(attrs->max);
    } else if (row->source != PARAMETERS_ROW) {
        const tare_unary_attrs *attrs = prepare->attrs;
        step->a = attrs->alpha;
        step->b = row->source == PARAMETERS_UNARY ? attrs->beta : row->b;
    }
}

static tare_status unary_prepare(tare_prepare *prepare, const unary_row *row, tare_error *err) {
    const bool real = is_real(&prepare->inputs[0]);
    const tare_opcode opcode = real ? row->real : row->whole;
    tare_program_step *step;

    if (opcode == NONE) {
        return unsupported(&prepare->inputs[0], err);
    }
    tare_program_begin(prepare, !real);
    TARE_TRY(tare_program_add_input(prepare, TARE_OPCODE_LOAD, 0, err));
    step = tare_program_add(prepare, opcode);
    if (step != NULL) {
        set_parameters(step, prepare, row);
    }
    return tare_program_end(prepare, err);
}

/* X(identifier, name, function of reals, function of whole numbers, parameters, a, b) */
#define UNARY_ROWS(X)                                                                              \
    X(relu, "Relu", TARE_OPCODE_CLIP, TARE_OPCODE_CLIP, ROW, 0.0F, INFINITY)                       \
    X(leaky_relu, "LeakyRelu", TARE_OPCODE_LEAKY_RELU, NONE, UNARY, 0.0F, 0.0F)                    \
    X(thresholded_relu, "ThresholdedRelu", TARE_OPCODE_THRESHOLDED_RELU, NONE, UNARY, 0.0F, 0.0F)  \
    X(clip, "Clip", TARE_OPCODE_CLIP, TARE_OPCODE_CLIP, CLIP, 0.0F, 0.0F)                          \
    X(sigmoid, "Sigmoid", TARE_OPCODE_SIGMOID, NONE, ROW, 0.0F, 0.0F)                              \
    X(tanh, "Tanh", TARE_OPCODE_TANH, NONE, ROW, 0.0F, 0.0F)                                       \
    X(exp, "Exp", TARE_OPCODE_EXP, NONE, ROW, 0.0F, 0.0F)                                          \
    X(erf, "Erf", TARE_OPCODE_ERF, NONE, ROW, 0.0F, 0.0F)                                          \
    X(elu, "Elu", TARE_OPCODE_ELU, NONE, ALPHA, 0.0F, 1.0F)                                        \
    X(selu, "Selu", TARE_OPCODE_ELU, NONE, UNARY, 0.0F, 0.0F)                                      \
    X(celu, "Celu", TARE_OPCODE_CELU, NONE, UNARY, 0.0F, 0.0F)                                     \
    X(swish, "Swish", TARE_OPCODE_SWISH, NONE, UNARY, 0.0F, 0.0F)                                  \
    X(softplus, "Softplus", TARE_OPCODE_SOFTPLUS, NONE, ROW, 0.0F, 0.0F)                           \
    X(mish, "Mish", TARE_OPCODE_MISH, NONE, ROW, 0.0F, 0.0F)                                       \
    X(hard_sigmoid, "HardSigmoid", TARE_OPCODE_HARD_SIGMOID, NONE, UNARY, 0.0F, 0.0F)              \
    X(hard_swish, "HardSwish", TARE_OPCODE_HARD_SWISH, NONE, ROW, 1.0F / 6.0F, 0.5F)               \
    X(softsign, "Softsign", TARE_OPCODE_SOFTSIGN, NONE, ROW, 0.0F, 0.0F)                           \
    X(abs, "Abs", TARE_OPCODE_ABS, TARE_OPCODE_ABS, ROW, 0.0F, 0.0F)                               \
    X(neg, "Neg", TARE_OPCODE_NEG, TARE_OPCODE_NEG, ROW, 0.0F, 0.0F)                               \
    X(sign, "Sign", TARE_OPCODE_SIGN, TARE_OPCODE_SIGN, ROW, 0.0F, 0.0F)                           \
    X(sqrt, "Sqrt", TARE_OPCODE_SQRT, NONE, ROW, 0.0F, 0.0F)                                       \
    X(reciprocal, "Reciprocal", TARE_OPCODE_RECIPROCAL, NONE, ROW, 0.0F, 0.0F)                     \
    X(floor, "Floor", TARE_OPCODE_FLOOR, NONE, ROW, 0.0F, 0.0F)                                    \
    X(ceil, "Ceil", TARE_OPCODE_CEIL, NONE, ROW, 0.0F, 0.0F)                                       \
    X(round, "Round", TARE_OPCODE_ROUND, NONE, ROW, 0.0F, 0.0F)                                    \
    X(shrink, "Shrink", TARE_OPCODE_SHRINK, NONE, UNARY, 0.0F, 0.0F)                               \
    X(log, "Log", TARE_OPCODE_LOG, NONE, ROW, 0.0F, 0.0F)                                          \
    X(sin, "Sin", TARE_OPCODE_SIN, NONE, ROW, 0.0F, 0.0F)                                          \
    X(cos, "Cos", TARE_OPCODE_COS, NONE, ROW, 0.0F, 0.0F)                                          \
    X(tan, "Tan", TARE_OPCODE_TAN, NONE, ROW, 0.0F, 0.0F)                                          \
    X(asin, "Asin", TARE_OPCODE_ASIN, NONE, ROW, 0.0F, 0.0F)                                       \
    X(acos, "Acos", TARE_OPCODE_ACOS, NONE, ROW, 0.0F, 0.0F)                                       \
    X(atan, "Atan", TARE_OPCODE_ATAN, NONE, ROW, 0.0F, 0.0F)                                       \
    X(sinh, "Sinh", TARE_OPCODE_SINH, NONE, ROW, 0.0F, 0.0F)                                       \
    X(cosh, "Cosh", TARE_OPCODE_COSH, NONE, ROW, 0.0F, 0.0F)                                       \
    X(asinh, "Asinh", TARE_OPCODE_ASINH, NONE, ROW, 0.0F, 0.0F)                                    \
    X(acosh, "Acosh", TARE_OPCODE_ACOSH, NONE, ROW, 0.0F, 0.0F)                                    \
    X(atanh, "Atanh", TARE_OPCODE_ATANH, NONE, ROW, 0.0F, 0.0F)                                    \
    X(isnan, "IsNaN", TARE_OPCODE_IS_NAN, NONE, ROW, 0.0F, 0.0F)                                   \
    X(not, "Not", NONE, TARE_OPCODE_NOT, ROW, 0.0F, 0.0F)                                          \
    X(bitwise_not, "BitwiseNot", NONE, TARE_OPCODE_BITWISE_NOT, ROW, 0.0F, 0.0F)

#define PREPARE(id, name, real, whole, source, a, b)                                               \
    static tare_status prepare_##id(tare_prepare *prepare, tare_error *err) {                      \
        static const unary_row row = {real, whole, PARAMETERS_##source, a, b};                     \
        return unary_prepare(prepare, &row, err);                                                  \
    }

UNARY_ROWS(PREPARE)

static tare_status prepare_gelu(tare_prepare *prepare, tare_error *err) {
    static const unary_row exact = {TARE_OPCODE_GELU, NONE, PARAMETERS_ROW, 0.0F, 0.0F};
    static const unary_row by_tanh = {TARE_OPCODE_GELU_TANH, NONE, PARAMETERS_ROW, 0.0F, 0.0F};
    const tare_unary_attrs *attrs = prepare->attrs;
    return unary_prepare(prepare, attrs->approximate != 0 ? &by_tanh : &exact, err);
}

static tare_status prepare_isinf(tare_prepare *prepare, tare_error *err) {
    const tare_isinf_attrs *attrs = prepare->attrs;
    const unary_row row = {TARE_OPCODE_IS_INFINITE, NONE, PARAMETERS_ROW,
                           attrs->detect_positive ? 1.0F : 0.0F,
                           attrs->detect_negative ? 1.0F : 0.0F};
    return unary_prepare(prepare, &row, err);
}

/* Cast, CastLike: the conversions at both ends of a program are all there is. Whole numbers keep
 * all their digits on the way. */
static tare_status prepare_cast(tare_prepare *prepare, tare_error *err) {
    tare_program_begin(prepare, !is_real(&prepare->inputs[0]));
    TARE_TRY(tare_program_add_input(prepare, TARE_OPCODE_LOAD, 0, err));
    return tare_program_end(prepare, err);
}

static tare_status prepare_where(tare_prepare *prepare, tare_error *err) {
    const tare_desc *inputs = prepare->inputs;

    if (inputs[0].dtype != TARE_DTYPE_BOOL || is_real(&inputs[1]) != is_real(&inputs[2])) {
        return tare_fail(err, TARE_UNSUPPORTED, "element types %s, %s and %s are not supported",
                         tare_dtype_text(inputs[0].dtype), tare_dtype_text(inputs[1].dtype),
                         tare_dtype_text(inputs[2].dtype));
    }
    tare_program_begin(prepare, !is_real(&inputs[1]));
    TARE_TRY(tare_program_add_input(prepare, TARE_OPCODE_LOAD, 0, err));
    (void)tare_program_add(prepare, TARE_OPCODE_TEST);
    TARE_TRY(tare_program_add_input(prepare, TARE_OPCODE_LOAD, 1, err));
    TARE_TRY(tare_program_add_input(prepare, TARE_OPCODE_CHOOSE, 2, err));
    return tare_program_end(prepare, err);
}

static tare_status binary_program(tare_prepare *prepare, tare_opcode opcode, bool whole,
                                  tare_error *err) {
    tare_program_begin(prepare, whole);
    TARE_TRY(tare_program_add_input(prepare, TARE_OPCODE_LOAD, 0, err));
    TARE_TRY(tare_program_add_input(prepare, opcode, 1, err));
    return tare_program_end(prepare, err);
}

static tare_status binary_prepare(tare_prepare *prepare, const binary_row *row, tare_error *err) {
    const bool real = is_real(&prepare->inputs[0]);
    const tare_opcode opcode = real ? row->real : row->whole;

    if (opcode == NONE || is_real(&prepare->inputs[1]) != real) {
        return unsupported(&prepare->inputs[1], err);
    }
    return binary_program(prepare, opcode, !real, err);
}

/* Whole numbers divided by zero are an error that only the CPU can report, so that divisors must be
 * known. */
static tare_status divide_prepare(tare_prepare *prepare, const binary_row *row, tare_error *err) {
    const tare_tensor *divisor = prepare->constants[1];

    if (!is_real(&prepare->inputs[0])) {
        if (divisor == NULL) {
            return tare_fail(err, TARE_UNSUPPORTED, "whole numbers divided by a computed operand");
        }
        for (int64_t i = 0; i < tare_tensor_count(divisor); i++) {
            if (tare_tensor_int_at(divisor, i) == 0) {
                return tare_fail(err, TARE_UNSUPPORTED, "whole number divided by zero");
            }
        }
    }
    return binary_prepare(prepare, row, err);
}

/* X(identifier, name, function of reals, function of whole numbers) */
#define BINARY_ROWS(X)                                                                             \
    X(add, "Add", TARE_OPCODE_ADD, TARE_OPCODE_ADD)                                                \
    X(sub, "Sub", TARE_OPCODE_SUB, TARE_OPCODE_SUB)                                                \
    X(mul, "Mul", TARE_OPCODE_MUL, TARE_OPCODE_MUL)                                                \
    X(prelu, "PRelu", TARE_OPCODE_PRELU, TARE_OPCODE_PRELU)                                        \
    X(and, "And", NONE, TARE_OPCODE_AND)                                                           \
    X(or, "Or", NONE, TARE_OPCODE_OR)                                                              \
    X(xor, "Xor", NONE, TARE_OPCODE_XOR)                                                           \
    X(bitwise_and, "BitwiseAnd", NONE, TARE_OPCODE_BITWISE_AND)                                    \
    X(bitwise_or, "BitwiseOr", NONE, TARE_OPCODE_BITWISE_OR)                                       \
    X(bitwise_xor, "BitwiseXor", NONE, TARE_OPCODE_BITWISE_XOR)                                    \
    X(equal, "Equal", TARE_OPCODE_EQUAL, TARE_OPCODE_EQUAL)                                        \
    X(less, "Less", TARE_OPCODE_LESS, TARE_OPCODE_LESS)                                            \
    X(less_equal, "LessOrEqual", TARE_OPCODE_LESS_EQUAL, TARE_OPCODE_LESS_EQUAL)                   \
    X(greater, "Greater", TARE_OPCODE_GREATER, TARE_OPCODE_GREATER)                                \
    X(greater_equal, "GreaterOrEqual", TARE_OPCODE_GREATER_EQUAL, TARE_OPCODE_GREATER_EQUAL)

#define PREPARE_BINARY(id, name, real, whole)                                                      \
    static tare_status prepare_##id(tare_prepare *prepare, tare_error *err) {                      \
        static const binary_row row = {real, whole};                                               \
        return binary_prepare(prepare, &row, err);                                                 \
    }

BINARY_ROWS(PREPARE_BINARY)

static tare_status prepare_div(tare_prepare *prepare, tare_error *err) {
    static const binary_row row = {TARE_OPCODE_DIV, TARE_OPCODE_DIV};
    return divide_prepare(prepare, &row, err);
}

static tare_status prepare_mod(tare_prepare *prepare, tare_error *err) {
    static const binary_row of_x = {TARE_OPCODE_FMOD, TARE_OPCODE_FMOD};
    static const binary_row of_y = {NONE, TARE_OPCODE_MOD};
    const tare_binary_attrs *attrs = prepare->attrs;
    return divide_prepare(prepare, attrs->fmod ? &of_x : &of_y, err);
}

static tare_status prepare_shift(tare_prepare *prepare, tare_error *err) {
    static const binary_row left = {NONE, TARE_OPCODE_SHIFT_LEFT};
    static const binary_row right = {NONE, TARE_OPCODE_SHIFT_RIGHT};
    const tare_binary_attrs *attrs = prepare->attrs;
    return binary_prepare(prepare, attrs->direction == 0 ? &left : &right, err);
}

/* Whether each exponent is the same number in float32: others would lose their parity. */
static bool exponents_fit(const tare_prepare *prepare) {
    const int64_t end = (int64_t)1 << 24;
    const tare_tensor *exponents = prepare->constants[1];

    if (is_real(&prepare->inputs[1])) {
        return true;
    }
    for (int64_t i = 0; exponents != NULL && i < tare_tensor_count(exponents); i++) {
        const int64_t exponent = tare_tensor_int_at(exponents, i);
        if (exponent < -end || exponent > end) {
            return false;
        }
    }
    return exponents != NULL;
}

static tare_status prepare_pow(tare_prepare *prepare, tare_error *err) {
    const tare_tensor *exponents = prepare->constants[1];

    if (!is_real(&prepare->inputs[0]) || !exponents_fit(prepare)) {
        return unsupported(&prepare->inputs[0], err);
    }
    if (exponents == NULL || exponents->dtype == TARE_DTYPE_FLOAT16 ||
        tare_tensor_count(exponents) != 1 || tare_tensor_float_at(exponents, 0) != 2.0) {
        return binary_program(prepare, TARE_OPCODE_POW, false, err);
    }
    tare_program_begin(prepare, false);
    TARE_TRY(tare_program_add_input(prepare, TARE_OPCODE_LOAD, 0, err));
    (void)tare_program_add(prepare, TARE_OPCODE_SQUARE);
    return tare_program_end(prepare, err);
}

/* Sum, Mean, Max, Min. */
static tare_status variadic_prepare(tare_prepare *prepare, tare_opcode opcode, bool mean,
                                    tare_error *err) {
    const bool real = is_real(&prepare->inputs[0]);

    if (mean && !real) {
        return unsupported(&prepare->inputs[0], err);
    }
    tare_program_begin(prepare, !real);
    for (size_t i = 0; i < prepare->input_count; i++) {
        TARE_TRY(tare_program_add_input(prepare, i == 0 ? TARE_OPCODE_LOAD : opcode, i, err));
    }
    if (mean) {
        tare_program_step *step = tare_program_add(prepare, TARE_OPCODE_DIV);
        if (step != NULL) {
            step->number = (float)prepare->input_count;
        }
    }
    return tare_program_end(prepare, err);
}

static tare_status prepare_sum(tare_prepare *prepare, tare_error *err) {
    return variadic_prepare(prepare, TARE_OPCODE_ADD, false, err);
}

static tare_status prepare_mean(tare_prepare *prepare, tare_error *err) {
    return variadic_prepare(prepare, TARE_OPCODE_ADD, true, err);
}

static tare_status prepare_max(tare_prepare *prepare, tare_error *err) {
    return variadic_prepare(prepare, TARE_OPCODE_MAX, false, err);
}

static tare_status prepare_min(tare_prepare *prepare, tare_error *err) {
    return variadic_prepare(prepare, TARE_OPCODE_MIN, false, err);
}

/* Each element is read before it is written, by the same thread: an operand that lies like the
 * output may be its memory. */
#define KERNEL(text, function)                                                                     \
    {                                                                                              \
        .name = text, .private_size = sizeof(tare_program_plan),                                   \
        .layout = TARE_LAYOUT_RULE_FOLLOW, .takes_epilogues = true, .in_place = true,              \
        .prepare = function, .run = tare_program_run                                               \
    }
#define UNARY_KERNEL(id, name, real, whole, source, a, b) KERNEL(name, prepare_##id),
#define BINARY_KERNEL(id, name, real, whole)              KERNEL(name, prepare_##id),

static const tare_kernel rows[] = {UNARY_ROWS(UNARY_KERNEL) BINARY_ROWS(BINARY_KERNEL)
                                       KERNEL("Gelu", prepare_gelu),
                                   KERNEL("IsInf", prepare_isinf),
                                   KERNEL("Cast", prepare_cast),
                                   KERNEL("CastLike", prepare_cast),
                                   KERNEL("Where", prepare_where),
                                   KERNEL("Div", prepare_div),
                                   KERNEL("Mod", prepare_mod),
                                   KERNEL("BitShift", prepare_shift),
                                   KERNEL("Pow", prepare_pow),
                                   KERNEL("Sum", prepare_sum),
                                   KERNEL("Mean", prepare_mean),
                                   KERNEL("Max", prepare_max),
                                   KERNEL("Min", prepare_min)};

const tare_kernel_table tare_cuda_elementwise_table = {rows, sizeof rows / sizeof rows[0]};
