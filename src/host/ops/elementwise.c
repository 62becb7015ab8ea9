/* SPDX-License-Identifier: Apache-2.0 */
/** Element-wise operators: unary, binary, variadic, Where, Clip, Cast. */
#include <math.h>

#include "ops/rows.h"

#define UNARY(name, since, function)                                                               \
    { TARE_OP_ROW(name, since, 1, 1, 1, 1, function) }
#define BINARY(name, since, function)                                                              \
    { TARE_OP_ROW(name, since, 2, 2, 1, 1, function) }
#define PARAMETRIC(name, since, specs)                                                             \
    { TARE_OP_ROW(name, since, 1, 1, 1, 1, infer_float), TARE_OP_ATTRS(tare_unary_attrs, specs) }
#define ALPHA(value)                                                                               \
    { TARE_OP_ATTR("alpha", FLOAT, tare_unary_attrs, alpha), .default_float = (value) }
#define BETA(name, value)                                                                          \
    { TARE_OP_ATTR(name, FLOAT, tare_unary_attrs, beta), .default_float = (value) }

static const tare_attr_spec leaky_relu_attrs[] = {ALPHA(0.01F), {0}};
static const tare_attr_spec alpha_one_attrs[] = {ALPHA(1.0F), {0}};
static const tare_attr_spec hard_sigmoid_attrs[] = {ALPHA(0.2F), BETA("beta", 0.5F), {0}};
static const tare_attr_spec selu_attrs[] = {
    ALPHA(1.67326319217681884765625F), BETA("gamma", 1.05070102214813232421875F), {0}};
static const tare_attr_spec shrink_attrs[] = {
    {TARE_OP_ATTR("lambd", FLOAT, tare_unary_attrs, alpha), .default_float = 0.5F},
    {TARE_OP_ATTR("bias", FLOAT, tare_unary_attrs, beta), .default_float = 0.0F},
    {0}};

static const char *const gelu_forms[] = {"none", "tanh", NULL};
static const tare_attr_spec gelu_attrs[] = {
    {TARE_OP_ATTR("approximate", CHOICE, tare_unary_attrs, approximate), .choices = gelu_forms},
    {0}};

static const tare_attr_spec isinf_attrs[] = {
    {TARE_OP_ATTR("detect_negative", BOOL, tare_isinf_attrs, detect_negative), .default_int = 1},
    {TARE_OP_ATTR("detect_positive", BOOL, tare_isinf_attrs, detect_positive), .default_int = 1},
    {0}};

static const tare_attr_spec mod_attrs[] = {{TARE_OP_ATTR("fmod", BOOL, tare_binary_attrs, fmod)},
                                           {0}};

static const char *const shift_directions[] = {"LEFT", "RIGHT", NULL};
static const tare_attr_spec shift_attrs[] = {
    {TARE_OP_ATTR("direction", CHOICE, tare_binary_attrs, direction), .required = true,
     .choices = shift_directions},
    {0}};

/* Before opset 11 the bounds are attributes; FLT_MAX there means no bound. */
static const tare_attr_spec clip_attrs[] = {
    {TARE_OP_ATTR("min", FLOAT, tare_clip_attrs, file_min), .until = 10,
     .default_float = -3.40282346638528859812e+38F},
    {TARE_OP_ATTR("max", FLOAT, tare_clip_attrs, file_max), .until = 10,
     .default_float = 3.40282346638528859812e+38F},
    {0}};

static const tare_attr_spec cast_attrs[] = {
    {TARE_OP_ATTR("to", INT, tare_cast_attrs, to), .required = true},
    {TARE_OP_ATTR("saturate", INT, tare_cast_attrs, saturate), .since = 19, .default_int = 1},
    {TARE_OP_ATTR("round_mode", IGNORED, tare_cast_attrs, saturate), .since = 24},
    {0}};

static const tare_attr_spec cast_like_attrs[] = {
    {TARE_OP_ATTR("saturate", INT, tare_cast_attrs, saturate), .since = 19, .default_int = 1},
    {TARE_OP_ATTR("round_mode", IGNORED, tare_cast_attrs, saturate), .since = 24},
    {0}};

static tare_status wrong_type(const tare_value *value, const char *expected, tare_error *err) {
    return tare_fail(err, TARE_INVALID_MODEL, "input '%s' is %s, expected %s", value->name,
                     tare_dtype_text(value->dtype), expected);
}

static bool is_float(tare_dtype dtype) {
    return dtype == TARE_DTYPE_FLOAT || dtype == TARE_DTYPE_DOUBLE;
}

/* Numbers of any kind. */
static tare_status infer_numeric(tare_infer *infer, tare_error *err) {
    const tare_value *x = tare_infer_input(infer, 0);
    if (x->dtype == TARE_DTYPE_BOOL) {
        return wrong_type(x, "a numeric type", err);
    }
    return tare_infer_output_like(infer, 0, x, err);
}

static tare_status infer_float(tare_infer *infer, tare_error *err) {
    const tare_value *x = tare_infer_input(infer, 0);
    if (!is_float(x->dtype)) {
        return wrong_type(x, "a floating-point type", err);
    }
    return tare_infer_output_like(infer, 0, x, err);
}

static tare_status infer_hard_swish(tare_infer *infer, tare_error *err) {
    tare_unary_attrs *attrs = infer->attrs;
    attrs->alpha = 1.0F / 6.0F;
    attrs->beta = 0.5F;
    return infer_float(infer, err);
}

static tare_status infer_not(tare_infer *infer, tare_error *err) {
    const tare_value *x = tare_infer_input(infer, 0);
    if (x->dtype != TARE_DTYPE_BOOL) {
        return wrong_type(x, "bool", err);
    }
    return tare_infer_output_like(infer, 0, x, err);
}

static tare_status infer_bitwise_not(tare_infer *infer, tare_error *err) {
    const tare_value *x = tare_infer_input(infer, 0);
    if (!tare_dtype_is_integer(x->dtype)) {
        return wrong_type(x, "an integer type", err);
    }
    return tare_infer_output_like(infer, 0, x, err);
}

static tare_status infer_is(tare_infer *infer, tare_error *err) {
    const tare_value *x = tare_infer_input(infer, 0);
    if (!is_float(x->dtype)) {
        return wrong_type(x, "a floating-point type", err);
    }
    return tare_infer_output(infer, 0, TARE_DTYPE_BOOL, x->rank, x->dims, err);
}

/* The common shape of inputs first..count-1. */
static tare_status broadcast_inputs(tare_shape *shape, const tare_infer *infer, size_t first,
                                    tare_error *err) {
    *shape = (tare_shape){0};
    for (size_t port = first; port < infer->node->input_count; port++) {
        const tare_value *value = tare_infer_input(infer, port);
        if (value == NULL) {
            return tare_fail(err, TARE_INVALID_MODEL, "input %zu is left out but is needed", port);
        }
        TARE_TRY(tare_infer_broadcast(shape, value->rank, value->dims, err));
    }
    return TARE_OK;
}

static tare_status infer_broadcast_as(tare_infer *infer, tare_dtype dtype, tare_error *err) {
    tare_shape shape;
    TARE_TRY(tare_infer_one_type(infer, 0, SIZE_MAX, err));
    TARE_TRY(broadcast_inputs(&shape, infer, 0, err));
    return tare_infer_output(infer, 0, dtype, shape.rank, shape.dims, err);
}

/* Two or more numbers to one of the same type. */
static tare_status infer_arithmetic(tare_infer *infer, tare_error *err) {
    const tare_value *x = tare_infer_input(infer, 0);
    if (x->dtype == TARE_DTYPE_BOOL) {
        return wrong_type(x, "a numeric type", err);
    }
    return infer_broadcast_as(infer, x->dtype, err);
}

static tare_status infer_float_variadic(tare_infer *infer, tare_error *err) {
    const tare_value *x = tare_infer_input(infer, 0);
    if (!is_float(x->dtype)) {
        return wrong_type(x, "a floating-point type", err);
    }
    return infer_broadcast_as(infer, x->dtype, err);
}

static tare_status infer_integers(tare_infer *infer, tare_error *err) {
    const tare_value *x = tare_infer_input(infer, 0);
    if (!tare_dtype_is_integer(x->dtype)) {
        return wrong_type(x, "an integer type", err);
    }
    return infer_broadcast_as(infer, x->dtype, err);
}

static tare_status infer_compare(tare_infer *infer, tare_error *err) {
    return infer_broadcast_as(infer, TARE_DTYPE_BOOL, err);
}

static tare_status infer_logic(tare_infer *infer, tare_error *err) {
    const tare_value *x = tare_infer_input(infer, 0);
    if (x->dtype != TARE_DTYPE_BOOL) {
        return wrong_type(x, "bool", err);
    }
    return infer_broadcast_as(infer, TARE_DTYPE_BOOL, err);
}

/* The exponent may have another type than the base, whose type the result has. */
static tare_status infer_pow(tare_infer *infer, tare_error *err) {
    tare_shape shape;
    TARE_TRY(broadcast_inputs(&shape, infer, 0, err));
    return tare_infer_output(infer, 0, tare_infer_input(infer, 0)->dtype, shape.rank, shape.dims,
                             err);
}

static tare_status infer_mod(tare_infer *infer, tare_error *err) {
    const tare_binary_attrs *attrs = infer->attrs;
    const tare_value *x = tare_infer_input(infer, 0);
    if (is_float(x->dtype) && !attrs->fmod) {
        return tare_fail(err, TARE_INVALID_MODEL, "fmod must be 1 for %s",
                         tare_dtype_text(x->dtype));
    }
    return infer_arithmetic(infer, err);
}

static tare_status infer_prelu(tare_infer *infer, tare_error *err) {
    const tare_value *x = tare_infer_input(infer, 0);
    tare_shape shape;
    TARE_TRY(tare_infer_one_type(infer, 0, 1, err));
    TARE_TRY(broadcast_inputs(&shape, infer, 0, err));
    for (int i = 0; i < shape.rank; i++) {
        if (shape.rank != x->rank || shape.dims[i] != x->dims[i]) {
            return tare_fail(err, TARE_INVALID_MODEL, "the slope '%s' is larger than the input",
                             tare_infer_input(infer, 1)->name);
        }
    }
    return tare_infer_output_like(infer, 0, x, err);
}

static tare_status infer_where(tare_infer *infer, tare_error *err) {
    const tare_value *condition = tare_infer_input(infer, 0);
    tare_shape shape;
    if (condition->dtype != TARE_DTYPE_BOOL) {
        return wrong_type(condition, "bool", err);
    }
    TARE_TRY(tare_infer_one_type(infer, 1, 2, err));
    TARE_TRY(broadcast_inputs(&shape, infer, 0, err));
    return tare_infer_output(infer, 0, tare_infer_input(infer, 1)->dtype, shape.rank, shape.dims,
                             err);
}

static tare_status infer_clip(tare_infer *infer, tare_error *err) {
    tare_clip_attrs *attrs = infer->attrs;
    TARE_TRY(tare_infer_one_type(infer, 0, 2, err));
    attrs->min = -(double)INFINITY;
    attrs->max = (double)INFINITY;
    if (infer->opset < 11) {
        attrs->min = (double)attrs->file_min;
        attrs->max = (double)attrs->file_max;
    }
    TARE_TRY(tare_infer_number(&attrs->min, infer, 1, "bounds", err));
    TARE_TRY(tare_infer_number(&attrs->max, infer, 2, "bounds", err));
    return infer_numeric(infer, err);
}

static tare_status infer_cast(tare_infer *infer, tare_error *err) {
    const tare_cast_attrs *attrs = infer->attrs;
    const tare_value *x = tare_infer_input(infer, 0);
    const tare_dtype to =
        attrs->to < 0 || attrs->to > TARE_DTYPE_INT2 ? TARE_DTYPE_UNDEFINED : (tare_dtype)attrs->to;
    if (!tare_dtype_is_executable(to)) {
        return tare_fail(err, TARE_UNSUPPORTED, "a cast to type %lld (%s) is not supported",
                         (long long)attrs->to, tare_dtype_text(to));
    }
    return tare_infer_output(infer, 0, to, x->rank, x->dims, err);
}

static tare_status infer_cast_like(tare_infer *infer, tare_error *err) {
    tare_cast_attrs *attrs = infer->attrs;
    attrs->to = (int64_t)tare_infer_input(infer, 1)->dtype;
    return infer_cast(infer, err);
}

const tare_op tare_ops_elementwise[] = {
    UNARY("Relu", 6, infer_numeric),
    UNARY("Sigmoid", 6, infer_float),
    UNARY("Tanh", 6, infer_float),
    UNARY("Exp", 6, infer_float),
    UNARY("Log", 6, infer_float),
    UNARY("Sqrt", 6, infer_float),
    UNARY("Erf", 9, infer_numeric),
    UNARY("Abs", 6, infer_numeric),
    UNARY("Neg", 6, infer_numeric),
    UNARY("Sign", 9, infer_numeric),
    UNARY("Floor", 6, infer_float),
    UNARY("Ceil", 6, infer_float),
    UNARY("Round", 11, infer_float),
    UNARY("Reciprocal", 6, infer_float),
    UNARY("Softplus", 1, infer_float),
    UNARY("Softsign", 1, infer_float),
    UNARY("Mish", 18, infer_float),
    UNARY("Sin", 7, infer_float),
    UNARY("Cos", 7, infer_float),
    UNARY("Tan", 7, infer_float),
    UNARY("Asin", 7, infer_float),
    UNARY("Acos", 7, infer_float),
    UNARY("Atan", 7, infer_float),
    UNARY("Sinh", 9, infer_float),
    UNARY("Cosh", 9, infer_float),
    UNARY("Asinh", 9, infer_float),
    UNARY("Acosh", 9, infer_float),
    UNARY("Atanh", 9, infer_float),
    UNARY("Not", 1, infer_not),
    UNARY("BitwiseNot", 18, infer_bitwise_not),
    UNARY("IsNaN", 9, infer_is),
    {TARE_OP_ROW("IsInf", 10, 1, 1, 1, 1, infer_is), TARE_OP_ATTRS(tare_isinf_attrs, isinf_attrs)},
    PARAMETRIC("LeakyRelu", 6, leaky_relu_attrs),
    PARAMETRIC("Elu", 6, alpha_one_attrs),
    PARAMETRIC("Celu", 12, alpha_one_attrs),
    PARAMETRIC("ThresholdedRelu", 10, alpha_one_attrs),
    PARAMETRIC("Selu", 6, selu_attrs),
    PARAMETRIC("HardSigmoid", 6, hard_sigmoid_attrs),
    PARAMETRIC("Shrink", 9, shrink_attrs),
    PARAMETRIC("Gelu", 20, gelu_attrs),
    PARAMETRIC("Swish", 24, alpha_one_attrs),
    {TARE_OP_ROW("HardSwish", 14, 1, 1, 1, 1, infer_hard_swish),
     TARE_OP_ATTRS(tare_unary_attrs, NULL)},
    BINARY("Add", 7, infer_arithmetic),
    BINARY("Sub", 7, infer_arithmetic),
    BINARY("Mul", 7, infer_arithmetic),
    BINARY("Div", 7, infer_arithmetic),
    BINARY("Pow", 7, infer_pow),
    BINARY("PRelu", 7, infer_prelu),
    {TARE_OP_ROW("Mod", 10, 2, 2, 1, 1, infer_mod), TARE_OP_ATTRS(tare_binary_attrs, mod_attrs)},
    {TARE_OP_ROW("BitShift", 11, 2, 2, 1, 1, infer_integers),
     TARE_OP_ATTRS(tare_binary_attrs, shift_attrs)},
    BINARY("BitwiseAnd", 18, infer_integers),
    BINARY("BitwiseOr", 18, infer_integers),
    BINARY("BitwiseXor", 18, infer_integers),
    BINARY("And", 7, infer_logic),
    BINARY("Or", 7, infer_logic),
    BINARY("Xor", 7, infer_logic),
    BINARY("Equal", 7, infer_compare),
    BINARY("Less", 7, infer_compare),
    BINARY("Greater", 7, infer_compare),
    BINARY("LessOrEqual", 12, infer_compare),
    BINARY("GreaterOrEqual", 12, infer_compare),
    {TARE_OP_ROW("Min", 6, 1, -1, 1, 1, infer_arithmetic)},
    {TARE_OP_ROW("Max", 6, 1, -1, 1, 1, infer_arithmetic)},
    {TARE_OP_ROW("Sum", 6, 1, -1, 1, 1, infer_float_variadic)},
    {TARE_OP_ROW("Mean", 6, 1, -1, 1, 1, infer_float_variadic)},
    {TARE_OP_ROW("Where", 9, 3, 3, 1, 1, infer_where)},
    {TARE_OP_ROW("Clip", 6, 1, 1, 1, 1, infer_clip), .until = 10,
     TARE_OP_ATTRS(tare_clip_attrs, clip_attrs)},
    {TARE_OP_ROW("Clip", 11, 1, 3, 1, 1, infer_clip), TARE_OP_ATTRS(tare_clip_attrs, NULL)},
    {TARE_OP_ROW("Cast", 6, 1, 1, 1, 1, infer_cast), TARE_OP_ATTRS(tare_cast_attrs, cast_attrs)},
    {TARE_OP_ROW("CastLike", 15, 2, 2, 1, 1, infer_cast_like), .kernel = "Cast",
     TARE_OP_ATTRS(tare_cast_attrs, cast_like_attrs)},
    {0}};
