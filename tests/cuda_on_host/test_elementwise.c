/* SPDX-License-Identifier: Apache-2.0 */
/** Element-wise rows of the CUDA backend against the CPU backend's. */
#include <criterion/criterion.h>

#include <math.h>
#include <string.h>

#include "cuda/kernels.h"
#include "kernel_case.h"
#include "ops/attrs.h"

#define COUNT(array) (sizeof(array) / sizeof(array)[0])

/* Both backends round some six times where functions are made of others: a few ulp. */
#define FEW_ULP      8e-7

typedef struct shape {
    int rank;
    int64_t dims[TARE_MAX_RANK];
} shape;

static const shape shapes[] = {
    {0, {0}},          {1, {1}},           {1, {9}},       {2, {0, 3}},          {2, {3, 5}},
    {4, {2, 3, 5, 7}}, {4, {1, 16, 3, 4}}, {3, {2, 8, 5}}, {5, {1, 3, 2, 4, 2}},
};

static kernel_operand operand(tare_dtype dtype, const shape *of, kernel_values values) {
    kernel_operand made = {.dtype = dtype, .rank = of->rank, .values = values};
    memcpy(made.dims, of->dims, sizeof made.dims);
    return made;
}

static kernel_operand constant(kernel_operand of) {
    of.constant = true;
    return of;
}

static void check(const kernel_case *test) {
    kernel_case_check(&tare_cuda_elementwise_table, test);
}

typedef struct function {
    const char *kernel;
    tare_unary_attrs attrs;
    double low, high; /* where it is defined; both 0: everywhere */
    double absolute;  /* near zeros that arguments' rounding moves */
} function;

static const function functions[] = {
    {"Relu", {0, 0, 0}, 0, 0, 0},
    {"LeakyRelu", {0.1F, 0, 0}, 0, 0, 0},
    {"ThresholdedRelu", {1.5F, 0, 0}, 0, 0, 0},
    {"Sigmoid", {0, 0, 0}, 0, 0, 0},
    {"Tanh", {0, 0, 0}, 0, 0, 0},
    {"Exp", {0, 0, 0}, 0, 0, 1e-44},
    {"Erf", {0, 0, 0}, 0, 0, 0},
    {"Elu", {1.3F, 0, 0}, 0, 0, 0},
    {"Selu", {1.67326F, 1.0507F, 0}, 0, 0, 0},
    {"Celu", {0.7F, 0, 0}, 0, 0, 0},
    {"Swish", {1.0F, 0, 0}, 0, 0, 0},
    {"Swish", {1.7F, 0, 0}, 0, 0, 0},
    {"Softplus", {0, 0, 0}, 0, 0, 1e-44},
    {"Mish", {0, 0, 0}, 0, 0, 1e-44},
    {"HardSigmoid", {0.2F, 0.5F, 0}, 0, 0, 1e-7},
    {"HardSwish", {0, 0, 0}, 0, 0, 1e-6},
    {"Softsign", {0, 0, 0}, 0, 0, 0},
    {"Abs", {0, 0, 0}, 0, 0, 0},
    {"Neg", {0, 0, 0}, 0, 0, 0},
    {"Sign", {0, 0, 0}, 0, 0, 0},
    {"Sqrt", {0, 0, 0}, 0, 0, 0},
    {"Reciprocal", {0, 0, 0}, 0, 0, 0},
    {"Floor", {0, 0, 0}, 0, 0, 0},
    {"Ceil", {0, 0, 0}, 0, 0, 0},
    {"Round", {0, 0, 0}, 0, 0, 0},
    {"Shrink", {0.5F, 0.25F, 0}, 0, 0, 0},
    {"Log", {0, 0, 0}, 0, 0, 1e-7},
    {"Sin", {0, 0, 0}, 0, 0, 0},
    {"Cos", {0, 0, 0}, 0, 0, 0},
    {"Tan", {0, 0, 0}, 0, 0, 0},
    {"Asin", {0, 0, 0}, -1.0, 1.0, 0},
    {"Acos", {0, 0, 0}, -1.0, 1.0, 1e-7},
    {"Atan", {0, 0, 0}, 0, 0, 0},
    {"Sinh", {0, 0, 0}, 0, 0, 0},
    {"Cosh", {0, 0, 0}, 0, 0, 0},
    {"Asinh", {0, 0, 0}, 0, 0, 0},
    {"Acosh", {0, 0, 0}, 1.0, 50.0, 1e-7},
    {"Atanh", {0, 0, 0}, -1.0, 1.0, 0},
    {"Gelu", {0, 0, 0}, 0, 0, 1e-7},
    {"Gelu", {0, 0, 1}, 0, 0, 1e-7},
};

Test(elementwise, functions_of_one_operand, .timeout = 240) {
    for (size_t f = 0; f < COUNT(functions); f++) {
        for (size_t s = 0; s < COUNT(shapes); s++) {
            const kernel_values values = s % 2 == 0 ? KERNEL_VALUES_RANGE : KERNEL_VALUES_SPECIAL;
            kernel_case test = {.kernel = functions[f].kernel,
                                .attrs = &functions[f].attrs,
                                .input_count = 1,
                                .output_count = 1,
                                .relative = FEW_ULP,
                                .absolute = functions[f].absolute};
            test.inputs[0] = operand(TARE_DTYPE_FLOAT, &shapes[s], values);
            test.inputs[0].low = functions[f].low;
            test.inputs[0].high = functions[f].high;
            test.outputs[0] = operand(TARE_DTYPE_FLOAT, &shapes[s], values);
            check(&test);
        }
    }
}

/* Where the reduction of an angle changes its way, and arguments close to whole quarters. */
Test(elementwise, angles, .timeout = 120) {
    static const char *const names[] = {"Sin", "Cos", "Tan"};
    float angles[400];
    const shape all = {1, {COUNT(angles)}};
    size_t count = 0;

    for (int quarter = 1; count < 200; quarter++) {
        angles[count++] = (float)(quarter * 1.5707963267948966);
    }
    for (int exponent = -40; exponent < 128; exponent++) {
        angles[count++] = ldexpf(1.37F, exponent);
    }
    while (count < COUNT(angles)) {
        angles[count] = -nextafterf(ldexpf(1.0F, 25 + (int)count % 8), (float)(count % 2) * 1e12F);
        count++;
    }
    angles[399] = 16367173.0F * 0x1p72F; /* as close to a quarter as a float comes */
    for (size_t i = 0; i < COUNT(names); i++) {
        kernel_case test = {
            .kernel = names[i], .input_count = 1, .output_count = 1, .relative = 3e-7};
        test.inputs[0] = operand(TARE_DTYPE_FLOAT, &all, KERNEL_VALUES_RANGE);
        test.inputs[0].data = angles;
        test.outputs[0] = test.inputs[0];
        check(&test);
    }
}

/* The shapes of two operands and of what they spread to. */
static const struct {
    shape a, b, out;
} spreads[] = {
    {{0, {0}}, {0, {0}}, {0, {0}}},
    {{1, {5}}, {0, {0}}, {1, {5}}},
    {{4, {2, 3, 4, 5}}, {4, {2, 3, 4, 5}}, {4, {2, 3, 4, 5}}},
    {{4, {2, 8, 3, 3}}, {4, {1, 8, 1, 1}}, {4, {2, 8, 3, 3}}},
    {{4, {2, 16, 3, 2}}, {3, {16, 1, 1}}, {4, {2, 16, 3, 2}}},
    {{4, {2, 8, 3, 3}}, {4, {2, 8, 1, 1}}, {4, {2, 8, 3, 3}}},
    {{4, {2, 3, 5, 7}}, {4, {2, 1, 5, 7}}, {4, {2, 3, 5, 7}}},
    {{4, {2, 8, 4, 8}}, {1, {8}}, {4, {2, 8, 4, 8}}},
    {{4, {2, 1, 4, 1}}, {4, {1, 5, 1, 3}}, {4, {2, 5, 4, 3}}},
    {{3, {2, 1, 6}}, {4, {3, 1, 5, 1}}, {4, {3, 2, 5, 6}}},
    {{2, {0, 3}}, {1, {3}}, {2, {0, 3}}},
    {{5, {2, 3, 1, 2, 2}}, {5, {1, 3, 2, 1, 2}}, {5, {2, 3, 2, 2, 2}}},
    {{8, {1, 2, 1, 2, 1, 2, 1, 2}}, {8, {2, 1, 2, 1, 2, 1, 2, 1}}, {8, {2, 2, 2, 2, 2, 2, 2, 2}}},
    {{4, {3, 3, 3, 3}}, {4, {1, 3, 1, 1}}, {4, {3, 3, 3, 3}}},
};

static const tare_binary_attrs no_attrs = {0};

static kernel_case binary_case(const char *kernel, size_t spread, tare_dtype in, tare_dtype out) {
    kernel_case test = {.kernel = kernel,
                        .attrs = &no_attrs,
                        .input_count = 2,
                        .output_count = 1,
                        .relative = FEW_ULP};
    test.inputs[0] = operand(in, &spreads[spread].a, KERNEL_VALUES_SPECIAL);
    test.inputs[1] = operand(in, &spreads[spread].b, KERNEL_VALUES_SPECIAL);
    test.outputs[0] = operand(out, &spreads[spread].out, KERNEL_VALUES_RANGE);
    return test;
}

Test(elementwise, functions_of_two_operands, .timeout = 300) {
    static const char *const names[] = {"Add", "Sub", "Mul", "Div", "PRelu", "Max", "Min"};
    for (size_t i = 0; i < COUNT(names); i++) {
        for (size_t s = 0; s < COUNT(spreads); s++) {
            kernel_case test = binary_case(names[i], s, TARE_DTYPE_FLOAT, TARE_DTYPE_FLOAT);
            if (strcmp(names[i], "PRelu") == 0 && s > 7) {
                continue; /* slopes spread to the input and not the other way */
            }
            check(&test);
            test.inputs[1].constant = true;
            check(&test);
        }
    }
}

Test(elementwise, comparisons, .timeout = 240) {
    static const char *const names[] = {"Equal", "Less", "LessOrEqual", "Greater",
                                        "GreaterOrEqual"};
    static const tare_dtype types[] = {TARE_DTYPE_FLOAT, TARE_DTYPE_INT64, TARE_DTYPE_INT32,
                                       TARE_DTYPE_UINT8};
    for (size_t i = 0; i < COUNT(names); i++) {
        for (size_t t = 0; t < COUNT(types); t++) {
            for (size_t s = i % 2; s < COUNT(spreads); s += 2) {
                kernel_case test = binary_case(names[i], s, types[t], TARE_DTYPE_BOOL);
                test.inputs[0].values = KERNEL_VALUES_EQUAL;
                test.inputs[1].values = KERNEL_VALUES_EQUAL;
                test.inputs[0].high = test.inputs[1].high = 8;
                check(&test);
            }
        }
    }
}

Test(elementwise, whole_numbers, .timeout = 240) {
    static const char *const names[] = {"Add",       "Sub",        "Mul",  "Max",
                                        "Min",       "Div",        "Mod",  "BitwiseAnd",
                                        "BitwiseOr", "BitwiseXor", "PRelu"};
    static const tare_dtype types[] = {TARE_DTYPE_INT64, TARE_DTYPE_INT32, TARE_DTYPE_INT8,
                                       TARE_DTYPE_UINT8};
    for (size_t i = 0; i < COUNT(names); i++) {
        for (size_t t = 0; t < COUNT(types); t++) {
            kernel_case test = binary_case(names[i], 2 + (i + t) % 6, types[t], types[t]);
            test.inputs[0].low = types[t] == TARE_DTYPE_UINT8 ? 0 : -100;
            test.inputs[0].high = 100;
            test.inputs[1].low = 1;
            test.inputs[1].high = 9;
            test.inputs[1].constant = true;
            check(&test);
        }
    }
}

/* The lowest number, whose opposite is none. */
Test(elementwise, ends_of_whole_numbers, .timeout = 60) {
    static const int64_t numbers[] = {INT64_MIN, INT64_MAX, -1, 0, 1, INT64_MIN + 1, 7};
    static const int64_t minus_one = -1;
    static const char *const names[] = {"Abs", "Neg", "Sign", "Relu", "BitwiseNot"};
    const shape all = {1, {COUNT(numbers)}}, scalar = {0, {0}};

    for (size_t i = 0; i < COUNT(names); i++) {
        kernel_case test = {.kernel = names[i], .input_count = 1, .output_count = 1};
        test.inputs[0] = operand(TARE_DTYPE_INT64, &all, KERNEL_VALUES_RANGE);
        test.inputs[0].data = numbers;
        test.outputs[0] = test.inputs[0];
        check(&test);
    }
    for (int i = 0; i < 2; i++) {
        kernel_case test = {.kernel = i == 0 ? "Div" : "Mod",
                            .attrs = &no_attrs,
                            .input_count = 2,
                            .output_count = 1};
        test.inputs[0] = operand(TARE_DTYPE_INT64, &all, KERNEL_VALUES_RANGE);
        test.inputs[0].data = numbers;
        test.inputs[1] = constant(operand(TARE_DTYPE_INT64, &scalar, KERNEL_VALUES_RANGE));
        test.inputs[1].data = &minus_one;
        test.outputs[0] = test.inputs[0];
        check(&test);
    }
}

Test(elementwise, logic_and_shifts, .timeout = 120) {
    static const char *const names[] = {"And", "Or", "Xor", "Equal"};
    static const tare_binary_attrs directions[] = {{.direction = 0}, {.direction = 1}};
    for (size_t s = 0; s < COUNT(spreads); s++) {
        for (size_t i = 0; i < COUNT(names); i++) {
            kernel_case test = binary_case(names[i], s, TARE_DTYPE_BOOL, TARE_DTYPE_BOOL);
            test.inputs[0].high = test.inputs[1].high = 1;
            check(&test);
        }
        for (size_t i = 0; i < 2; i++) {
            kernel_case test = binary_case("BitShift", s, TARE_DTYPE_UINT8, TARE_DTYPE_UINT8);
            test.attrs = &directions[i];
            test.inputs[0].high = 255;
            test.inputs[1].high = 10;
            check(&test);
        }
    }
    for (size_t s = 0; s < COUNT(shapes); s++) {
        kernel_case test = {.kernel = "Not", .input_count = 1, .output_count = 1};
        test.inputs[0] = operand(TARE_DTYPE_BOOL, &shapes[s], KERNEL_VALUES_RANGE);
        test.inputs[0].high = 1;
        test.outputs[0] = test.inputs[0];
        check(&test);
    }
}

Test(elementwise, powers_and_remainders, .timeout = 120) {
    static const double exponents[] = {2.0, 0.5, 3.0, -1.0};
    static const tare_binary_attrs fmod_attrs = {.fmod = true};
    const shape scalar = {0, {0}};

    for (size_t s = 0; s < COUNT(spreads); s++) {
        kernel_case test = binary_case("Pow", s, TARE_DTYPE_FLOAT, TARE_DTYPE_FLOAT);
        check(&test);
        test = binary_case("Mod", s, TARE_DTYPE_FLOAT, TARE_DTYPE_FLOAT);
        test.attrs = &fmod_attrs;
        check(&test);
    }
    for (size_t i = 0; i < COUNT(exponents); i++) {
        kernel_case test = binary_case("Pow", 2, TARE_DTYPE_FLOAT, TARE_DTYPE_FLOAT);
        const float real = (float)exponents[i];
        const int64_t whole = (int64_t)exponents[i];
        test.inputs[1] = constant(operand(TARE_DTYPE_FLOAT, &scalar, KERNEL_VALUES_RANGE));
        test.inputs[1].data = &real;
        check(&test);
        test.inputs[1].dtype = TARE_DTYPE_INT64;
        test.inputs[1].data = &whole;
        check(&test);
        test.inputs[1].constant = false;
        test.refused = true;
        check(&test);
    }
}

Test(elementwise, bounds, .timeout = 120) {
    static const tare_clip_attrs bounds[] = {
        {0, 0, -1.0, 2.0}, {0, 0, -(double)INFINITY, 0.5}, {0, 0, 3.0, -3.0}};
    static const tare_dtype types[] = {TARE_DTYPE_FLOAT, TARE_DTYPE_INT64, TARE_DTYPE_INT32};
    for (size_t i = 0; i < COUNT(bounds); i++) {
        for (size_t t = 0; t < COUNT(types); t++) {
            kernel_case test = {
                .kernel = "Clip", .attrs = &bounds[i], .input_count = 1, .output_count = 1};
            test.inputs[0] = operand(types[t], &shapes[5], KERNEL_VALUES_SPECIAL);
            test.inputs[0].low = -5;
            test.inputs[0].high = 5;
            test.outputs[0] = test.inputs[0];
            check(&test);
        }
    }
}

Test(elementwise, many_operands, .timeout = 120) {
    static const char *const names[] = {"Sum", "Mean", "Max", "Min"};
    static const shape of[] = {{4, {2, 8, 3, 4}}, {4, {1, 8, 1, 1}}, {1, {4}},
                               {4, {2, 8, 3, 4}}, {0, {0}},          {2, {3, 1}}};
    for (size_t i = 0; i < COUNT(names); i++) {
        for (size_t count = 1; count <= COUNT(of); count++) {
            kernel_case test = {.kernel = names[i],
                                .input_count = count,
                                .output_count = 1,
                                .relative = FEW_ULP,
                                .absolute = 1e-6};
            for (size_t k = 0; k < count; k++) {
                test.inputs[k] = operand(TARE_DTYPE_FLOAT, &of[k], KERNEL_VALUES_RANGE);
            }
            test.outputs[0] = operand(TARE_DTYPE_FLOAT, &of[0], KERNEL_VALUES_RANGE);
            check(&test);
        }
    }
}

Test(elementwise, choices, .timeout = 120) {
    static const tare_dtype types[] = {TARE_DTYPE_FLOAT, TARE_DTYPE_INT64, TARE_DTYPE_INT32,
                                       TARE_DTYPE_BOOL, TARE_DTYPE_UINT8};
    static const shape of[][4] = {
        {{4, {2, 3, 4, 5}}, {4, {2, 3, 4, 5}}, {4, {2, 3, 4, 5}}, {4, {2, 3, 4, 5}}},
        {{2, {4, 1}}, {4, {2, 8, 1, 8}}, {0, {0}}, {4, {2, 8, 4, 8}}},
        {{1, {1}}, {2, {3, 1}}, {1, {7}}, {2, {3, 7}}},
    };
    for (size_t t = 0; t < COUNT(types); t++) {
        for (size_t s = 0; s < COUNT(of); s++) {
            kernel_case test = {.kernel = "Where", .input_count = 3, .output_count = 1};
            test.inputs[0] = operand(TARE_DTYPE_BOOL, &of[s][0], KERNEL_VALUES_RANGE);
            test.inputs[0].high = 1;
            test.inputs[1] = operand(types[t], &of[s][1], KERNEL_VALUES_SPECIAL);
            test.inputs[2] = operand(types[t], &of[s][2], KERNEL_VALUES_SPECIAL);
            test.inputs[1].high = test.inputs[2].high = types[t] == TARE_DTYPE_BOOL ? 1 : 90;
            test.outputs[0] = operand(types[t], &of[s][3], KERNEL_VALUES_RANGE);
            check(&test);
            test.inputs[2].constant = true;
            check(&test);
        }
    }
}

Test(elementwise, tests_of_elements, .timeout = 60) {
    static const tare_isinf_attrs signs[] = {{true, true}, {true, false}, {false, true}};
    for (size_t i = 0; i < 4; i++) {
        kernel_case test = {.kernel = i == 3 ? "IsNaN" : "IsInf",
                            .attrs = &signs[i % 3],
                            .input_count = 1,
                            .output_count = 1};
        test.inputs[0] = operand(TARE_DTYPE_FLOAT, &shapes[5], KERNEL_VALUES_SPECIAL);
        test.outputs[0] = operand(TARE_DTYPE_BOOL, &shapes[5], KERNEL_VALUES_RANGE);
        check(&test);
    }
}

Test(elementwise, conversions, .timeout = 120) {
    static const tare_dtype types[] = {TARE_DTYPE_FLOAT, TARE_DTYPE_FLOAT16, TARE_DTYPE_INT64,
                                       TARE_DTYPE_INT32, TARE_DTYPE_INT8,    TARE_DTYPE_UINT8,
                                       TARE_DTYPE_BOOL};
    for (size_t from = 0; from < COUNT(types); from++) {
        for (size_t to = 0; to < COUNT(types); to++) {
            for (size_t s = 5; s < 7; s++) {
                kernel_case test = {.kernel = to % 2 == 0 ? "Cast" : "CastLike",
                                    .input_count = 1,
                                    .output_count = 1};
                test.inputs[0] = operand(types[from], &shapes[s], KERNEL_VALUES_SPECIAL);
                test.inputs[0].high = types[from] == TARE_DTYPE_BOOL ? 1 : 120;
                test.outputs[0] = operand(types[to], &shapes[s], KERNEL_VALUES_RANGE);
                check(&test);
            }
        }
    }
}

Test(elementwise, digits_of_whole_numbers_survive_conversions, .timeout = 60) {
    static const int64_t numbers[] = {INT64_MAX, INT64_MIN, (1LL << 24) + 1, 0x123456789abcdefLL,
                                      -1};
    static const tare_dtype types[] = {TARE_DTYPE_FLOAT, TARE_DTYPE_INT32, TARE_DTYPE_INT64};
    const shape all = {1, {COUNT(numbers)}};
    for (size_t i = 0; i < COUNT(types); i++) {
        kernel_case test = {.kernel = "Cast", .input_count = 1, .output_count = 1};
        test.inputs[0] = operand(TARE_DTYPE_INT64, &all, KERNEL_VALUES_RANGE);
        test.inputs[0].data = numbers;
        test.outputs[0] = operand(types[i], &all, KERNEL_VALUES_RANGE);
        check(&test);
    }
}

/* What a plan fuses behind a node. */
Test(elementwise, chains, .timeout = 120) {
    static const struct {
        size_t count;
        tare_epilogue epilogues[TARE_MAX_EPILOGUES];
    } chains[] = {
        {1, {{TARE_EPILOGUE_ADD, 0, 0}}},
        {2, {{TARE_EPILOGUE_ADD, 0, 0}, {TARE_EPILOGUE_CLIP, 0, INFINITY}}},
        {2, {{TARE_EPILOGUE_HARD_SIGMOID, 0.2F, 0.5F}, {TARE_EPILOGUE_LEAKY_RELU, 0.1F, 0}}},
        {4,
         {{TARE_EPILOGUE_SWISH, 0, 0},
          {TARE_EPILOGUE_ADD, 0, 0},
          {TARE_EPILOGUE_HARD_SWISH, 1.0F / 6.0F, 0.5F},
          {TARE_EPILOGUE_ADD, 0, 0}}},
        {3,
         {{TARE_EPILOGUE_TANH, 0, 0},
          {TARE_EPILOGUE_CLIP, -0.5F, 0.9F},
          {TARE_EPILOGUE_SIGMOID, 0, 0}}},
    };
    for (size_t i = 0; i < COUNT(chains); i++) {
        for (size_t s = 2; s < 9; s++) {
            kernel_case test = binary_case("Mul", s, TARE_DTYPE_FLOAT, TARE_DTYPE_FLOAT);
            test.inputs[0].values = test.inputs[1].values = KERNEL_VALUES_RANGE;
            test.absolute = 4e-6;
            test.epilogue_count = chains[i].count;
            memcpy(test.epilogues, chains[i].epilogues, sizeof test.epilogues);
            check(&test);
        }
    }
}

/* More than all blocks of the emulated device take in one pass, with and without a last piece. */
Test(elementwise, more_than_one_pass, .timeout = 120) {
    for (int64_t odd = 0; odd < 2; odd++) {
        const shape of = {4, {1, 16, 50, 64 + odd}}, channels = {3, {16, 1, 1}};
        kernel_case test = {
            .kernel = "Mul", .attrs = &no_attrs, .input_count = 2, .output_count = 1};
        test.inputs[0] = operand(TARE_DTYPE_FLOAT, &of, KERNEL_VALUES_RANGE);
        test.inputs[1] = operand(TARE_DTYPE_FLOAT, &channels, KERNEL_VALUES_RANGE);
        test.outputs[0] = test.inputs[0];
        check(&test);
    }
}

Test(elementwise, refuses_what_it_cannot_do, .timeout = 60) {
    kernel_case test = binary_case("Add", 2, TARE_DTYPE_DOUBLE, TARE_DTYPE_DOUBLE);
    test.refused = true;
    check(&test);
    test = binary_case("Div", 2, TARE_DTYPE_INT64, TARE_DTYPE_INT64);
    test.refused = true;
    check(&test);
    test = binary_case("And", 2, TARE_DTYPE_FLOAT, TARE_DTYPE_BOOL);
    test.refused = true;
    check(&test);
    test = binary_case("Add", 2, TARE_DTYPE_INT64, TARE_DTYPE_INT64);
    test.epilogue_count = 1;
    test.epilogues[0].kind = TARE_EPILOGUE_SIGMOID;
    test.refused = true;
    check(&test);
}
