/* SPDX-License-Identifier: Apache-2.0 */
/** The target "openvino": NNCF's table for CPUs, its fused and its ignored patterns, as data. */
#include "quant/target.h"

/* ---- configurations: bits, symmetric, per channel, narrow, signed only ---- */

#define LIST(array)                                                                                \
    { (array), sizeof(array) / sizeof((array)[0]) }

static const tare_quantizer_config activations_8[] = {
    {8, true, false, false, false},
    {8, false, false, false, false},
};
static const tare_quantizer_config activations[] = {
    {8, true, false, false, false},
    {8, false, false, false, false},
    {16, true, false, false, false},
    {16, false, false, false, false},
};
static const tare_quantizer_config activations_symmetric[] = {
    {8, true, false, false, false},
    {16, true, false, false, false},
};
static const tare_quantizer_config activations_channels[] = {
    {8, true, true, false, false},   {8, true, false, false, false},
    {8, false, true, false, false},  {8, false, false, false, false},
    {16, true, true, false, false},  {16, true, false, false, false},
    {16, false, true, false, false}, {16, false, false, false, false},
};
static const tare_quantizer_config weights[] = {
    {8, true, true, true, true},     {8, true, false, true, true},
    {8, false, true, false, false},  {8, false, false, false, false},
    {16, true, true, true, true},    {16, true, false, true, true},
    {16, false, true, false, false}, {16, false, false, false, false},
};
static const tare_quantizer_config weights_table[] = {
    {8, true, true, true, true},     {8, true, true, false, true},
    {8, true, false, true, true},    {8, true, false, false, true},
    {8, false, true, false, false},  {8, false, false, false, false},
    {16, true, true, true, true},    {16, true, true, false, true},
    {16, true, false, true, true},   {16, true, false, false, true},
    {16, false, true, false, false}, {16, false, false, false, false},
};

/* ---- tags ---- */

#define BIT(n)      (UINT64_C(1) << (n))

#define ADD         BIT(0)
#define SUB         BIT(1)
#define MUL         BIT(2)
#define DIV         BIT(3)
#define RELU        BIT(4)
#define SIGMOID     BIT(5)
#define HARDSIGMOID BIT(6)
#define ERF         BIT(7)
#define REDUCEMEAN  BIT(8)
#define GLOBALPOOL  BIT(9)
#define POW         BIT(10)
#define SQRT        BIT(11)
#define SQUEEZE     BIT(12)
#define SOFTMAX     BIT(13)
#define MATMUL      BIT(14)
#define GEMM        BIT(15)
#define MOVES       BIT(16) /* what may stand between a head's values and its product */
#define RESHAPE     BIT(17)
#define TRANSPOSE   BIT(18)
#define CONCAT      BIT(19)
#define COS         BIT(20)
#define SIN         BIT(21)
#define CONV        BIT(22) /* without groups */
#define LINEAR      BIT(23)
#define ACTIVATION  BIT(24)
#define BATCHNORM   BIT(25)
#define LONELY      BIT(26)
#define MARKER      BIT(27)
#define SHAPE       BIT(28)
#define INPUT       BIT(29)
#define WEIGHTED    BIT(30) /* in front of these a concatenation has one scale */
#define FLOATS      BIT(31) /* float in transformers */

#define ARITHMETIC  (ADD | SUB | MUL | DIV)

/* ---- operators ---- */

#define FLOAT(op, bits)                                                                            \
    { .op_type = (op), .trait = TARE_TRAIT_FLOAT, .tags = (bits) }
#define PASS(op, bits)                                                                             \
    { .op_type = (op), .trait = TARE_TRAIT_PASS, .tags = (bits) }
#define INPUTS(op, bits)                                                                           \
    { .op_type = (op), .trait = TARE_TRAIT_INPUTS, .inputs = LIST(activations), .tags = (bits) }
#define INPUTS_8(op, bits)                                                                         \
    { .op_type = (op), .trait = TARE_TRAIT_INPUTS, .inputs = LIST(activations_8), .tags = (bits) }
#define CONVOLUTION(op, when, list, axis, bits)                                                    \
    {                                                                                              \
        .op_type = (op), .condition = (when), .trait = TARE_TRAIT_INPUTS, .inputs = LIST(list),    \
        .weights = LIST(weights), .weight_ports = 2, .weight_axis = {0, (axis)}, .tags = (bits)    \
    }
#define PRODUCT(op, transpose_a, transpose_b, bits)                                                \
    {                                                                                              \
        .op_type = (op), .trait = TARE_TRAIT_INPUTS, .inputs = LIST(activations),                  \
        .weights = LIST(weights), .weight_ports = 3, .weight_axis = {-2, -1},                      \
        .transposed = {(transpose_a), (transpose_b)}, .tags = (bits)                               \
    }

static const tare_operator_rule rules[] = {
    CONVOLUTION("Conv", TARE_RULE_DEPTHWISE, activations_channels, 0, LINEAR),
    CONVOLUTION("Conv", TARE_RULE_GROUPED, activations, 0, 0),
    CONVOLUTION("Conv", TARE_RULE_ALWAYS, activations, 0, LINEAR | CONV | WEIGHTED),
    CONVOLUTION("ConvTranspose", TARE_RULE_ALWAYS, activations, 1, LINEAR | WEIGHTED),
    PRODUCT("Gemm", "transA", "transB", LINEAR | GEMM | WEIGHTED),
    PRODUCT("MatMul", NULL, NULL, LINEAR | MATMUL | WEIGHTED),
    INPUTS_8("DeformConv", LINEAR),
    {.op_type = "Attention",
     .trait = TARE_TRAIT_INPUTS,
     .symmetric_inputs = true,
     .quantized_ports = 3,
     .inputs = LIST(activations_symmetric),
     .tags = WEIGHTED},
    {.op_type = "Gather",
     .condition = TARE_RULE_EMBEDDING,
     .trait = TARE_TRAIT_TABLE,
     .weights = LIST(weights_table),
     .weight_ports = 1,
     .weight_axis = {0, 0}},
    {.op_type = "Concat", .trait = TARE_TRAIT_CONCAT, .tags = CONCAT | MOVES},

    INPUTS("Add", ADD | LONELY | FLOATS),
    INPUTS("Sum", ADD | LONELY | FLOATS),
    INPUTS("Sub", SUB | LONELY | FLOATS),
    INPUTS("Mul", MUL | LONELY | FLOATS),
    INPUTS("Div", DIV | LONELY | FLOATS),
    INPUTS("Less", LONELY | FLOATS),
    INPUTS("LessOrEqual", LONELY),
    INPUTS("Greater", LONELY | FLOATS),
    INPUTS("GreaterOrEqual", LONELY),
    INPUTS("Equal", LONELY | FLOATS),
    INPUTS("Not", LONELY),
    INPUTS("And", LONELY),
    INPUTS("Or", LONELY),
    INPUTS("Xor", LONELY),
    INPUTS("Mod", LONELY),
    INPUTS("Max", LONELY | FLOATS),
    INPUTS("Min", LONELY),
    INPUTS("Pow", POW | FLOATS),
    INPUTS("Sqrt", SQRT | FLOATS),
    INPUTS("Reciprocal", FLOATS),
    INPUTS("AveragePool", FLOATS),
    INPUTS("GlobalAveragePool", GLOBALPOOL | FLOATS),
    INPUTS("ReduceSum", FLOATS),
    INPUTS("ReduceMean", REDUCEMEAN | FLOATS),
    INPUTS_8("Resize", 0),
    INPUTS_8("BatchNormalization", BATCHNORM | FLOATS),
    INPUTS_8("HardSigmoid", HARDSIGMOID | ACTIVATION),

    PASS("GlobalMaxPool", 0),
    PASS("MaxPool", 0),
    PASS("ReduceMax", 0),
    PASS("Reshape", RESHAPE | MOVES),
    PASS("Transpose", TRANSPOSE | MOVES),
    PASS("Squeeze", SQUEEZE | MOVES | FLOATS),
    PASS("Unsqueeze", 0),
    PASS("Split", MOVES),
    PASS("Tile", 0),
    PASS("CenterCropPad", 0),
    PASS("Slice", 0),
    PASS("Pad", 0),
    PASS("Gather", MOVES),
    PASS("GatherND", 0),
    PASS("GatherElements", 0),
    PASS("DepthToSpace", 0),
    PASS("SpaceToDepth", 0),
    PASS("ScatterElements", 0),
    PASS("ScatterND", 0),
    PASS("Scatter", 0),
    PASS("CastLike", 0),
    PASS("Dropout", 0),
    PASS("Flatten", 0),
    PASS("Expand", 0),
    PASS("Identity", 0),

    FLOAT("Relu", RELU | ACTIVATION),
    FLOAT("Clip", RELU | ACTIVATION),
    FLOAT("LeakyRelu", ACTIVATION),
    FLOAT("ThresholdedRelu", ACTIVATION),
    FLOAT("Elu", ACTIVATION),
    FLOAT("PRelu", ACTIVATION),
    FLOAT("Sigmoid", SIGMOID | ACTIVATION),
    FLOAT("HardSwish", ACTIVATION),
    FLOAT("Selu", ACTIVATION),
    FLOAT("Erf", ERF),
    FLOAT("Softmax", SOFTMAX),
    FLOAT("Cos", COS),
    FLOAT("Sin", SIN),
    FLOAT("Mean", LONELY),
    FLOAT("Shape", SHAPE),
    FLOAT("TopK", MARKER),
    FLOAT("NonMaxSuppression", MARKER),
    {.op_type = NULL},
};

/* ---- patterns ---- */

#define NODES(...)                                                                                 \
    (const tare_pattern_node[]) {                                                                  \
        __VA_ARGS__                                                                                \
    }
#define EDGES(...)                                                                                 \
    (const tare_pattern_edge[]) {                                                                  \
        __VA_ARGS__                                                                                \
    }
#define OUTSIDE                                                                                    \
    { .outside = true }
#define ANY                                                                                        \
    { .tags = 0 }
#define OP(bits)                                                                                   \
    { .tags = (bits) }
#define KEPT(bits)                                                                                 \
    { .tags = (bits), .kept = true }
#define ONE(bits)                                                                                  \
    { 1, 0, NODES(OP(bits)), NULL }

#define GELU_BLOCK                                                                                 \
    {                                                                                              \
        5, 5, NODES(OUTSIDE, OP(DIV | MUL), OP(ERF), OP(ADD | SUB), OP(MUL | DIV)),                \
            EDGES({0, 1}, {1, 2}, {2, 3}, {3, 4}, {0, 4})                                          \
    }
#define SWISH_BLOCK(gate)                                                                          \
    { 3, 3, NODES(OUTSIDE, OP(gate), OP(MUL)), EDGES({0, 1}, {1, 2}, {0, 2}) }
#define HARD_SWISH_BLOCK                                                                           \
    { 4, 4, NODES(ANY, OP(ADD), OP(RELU), OP(MUL)), EDGES({0, 1}, {1, 2}, {2, 3}, {0, 3}) }
#define HARD_SWISH_DIV_BLOCK                                                                       \
    {                                                                                              \
        5, 5, NODES(ANY, OP(ADD), OP(RELU), OP(MUL), OP(DIV)),                                     \
            EDGES({0, 1}, {1, 2}, {2, 3}, {0, 3}, {3, 4})                                          \
    }
#define MVN_BLOCK                                                                                  \
    {                                                                                              \
        8, 9,                                                                                      \
            NODES(OUTSIDE, OP(REDUCEMEAN), OP(SUB), OP(POW), OP(REDUCEMEAN), OP(ADD), OP(SQRT),    \
                  OP(DIV)),                                                                        \
            EDGES({0, 1}, {1, 2}, {0, 2}, {2, 3}, {3, 4}, {4, 5}, {5, 6}, {6, 7}, {2, 7})          \
    }

#define PART(name, ...)                                                                            \
    static const tare_pattern_block name##_blocks[] = {__VA_ARGS__};                               \
    static const tare_pattern_part name = {sizeof(name##_blocks) / sizeof(name##_blocks[0]),       \
                                           name##_blocks}

PART(linear, ONE(LINEAR));
PART(arithmetic, ONE(ARITHMETIC));
PART(batch_norm, ONE(BATCHNORM));
PART(squeeze, ONE(SQUEEZE));
PART(graph_input, ONE(INPUT));
PART(add_or_mul, ONE(ADD | MUL));
PART(scale_shift, {3, 2, NODES(OUTSIDE, OP(MUL), OP(ADD | SUB)), EDGES({0, 1}, {1, 2})});
PART(shift_scale, {2, 1, NODES(OP(ADD | SUB), OP(MUL | DIV)), EDGES({0, 1})});
PART(gelu, GELU_BLOCK);
PART(swish, SWISH_BLOCK(SIGMOID));
PART(swish_hard, SWISH_BLOCK(HARDSIGMOID));
PART(hard_swish, HARD_SWISH_BLOCK);
PART(hard_swish_div, HARD_SWISH_DIV_BLOCK);
PART(mvn, MVN_BLOCK);
PART(linear_twice, {2, 2, NODES(OP(LINEAR), OP(ARITHMETIC)), EDGES({0, 1}, {0, 1})});
PART(activation, ONE(ACTIVATION), SWISH_BLOCK(SIGMOID), SWISH_BLOCK(HARDSIGMOID),
     HARD_SWISH_DIV_BLOCK, HARD_SWISH_BLOCK, GELU_BLOCK);
PART(squeeze_pool,
     {3, 2, NODES(OUTSIDE, KEPT(REDUCEMEAN | GLOBALPOOL), OP(CONV)), EDGES({0, 1}, {1, 2})});
PART(excite, {3, 2, NODES(OP(CONV), OP(SIGMOID | HARDSIGMOID), KEPT(MUL)), EDGES({0, 1}, {1, 2})});
PART(head_product, {3, 2, NODES(OP(SOFTMAX), OP(MOVES), OP(MATMUL | GEMM)), EDGES({0, 2}, {1, 2})});
PART(head_product_reshaped, {4, 3, NODES(OP(SOFTMAX), OP(RESHAPE), OP(MOVES), OP(MATMUL | GEMM)),
                             EDGES({0, 1}, {1, 3}, {2, 3})});
PART(rope, {5, 4, NODES(OP(MATMUL), OP(TRANSPOSE), OP(CONCAT), OP(COS), OP(SIN)),
            EDGES({0, 1}, {1, 2}, {2, 3}, {2, 4})});
PART(sine_positions, {5, 5, NODES(OP(MATMUL), OP(MUL), OP(COS), OP(SIN), OP(CONCAT)),
                      EDGES({0, 1}, {1, 2}, {1, 3}, {2, 4}, {3, 4})});

static const tare_pattern_family fused[] = {
    {.name = "mvn", .parts = {&mvn}},
    {.name = "mvn, scale, shift", .parts = {&mvn, &scale_shift}},
    {.name = "gelu", .parts = {&gelu}},
    {.name = "scale, shift", .parts = {&scale_shift}},
    {.name = "shift, scale", .parts = {&shift_scale}},
    {.name = "swish", .parts = {&swish}},
    {.name = "swish with hard sigmoid", .parts = {&swish_hard}},
    {.name = "hard swish without division", .parts = {&hard_swish}},
    {.name = "hard swish", .parts = {&hard_swish_div}},
    {.name = "input, scale, shift", .parts = {&graph_input, &scale_shift}},
    {.name = "input, shift, scale", .parts = {&graph_input, &shift_scale}},
    {.name = "input, add or mul", .parts = {&graph_input, &add_or_mul}},
    {.name = "activation, norm", .parts = {&activation, &batch_norm}},
    {.name = "activation, scale, shift", .parts = {&activation, &scale_shift}},
    {.name = "arithmetic, norm", .parts = {&arithmetic, &batch_norm}},
    {.name = "arithmetic, activation", .parts = {&arithmetic, &activation}},
    {.name = "arithmetic, scale, shift", .parts = {&arithmetic, &scale_shift}},
    {.name = "arithmetic, norm, activation", .parts = {&arithmetic, &batch_norm, &activation}},
    {.name = "arithmetic, scale, shift, activation",
     .parts = {&arithmetic, &scale_shift, &activation}},
    {.name = "arithmetic, activation, norm", .parts = {&arithmetic, &activation, &batch_norm}},
    {.name = "arithmetic, activation, scale, shift",
     .parts = {&arithmetic, &activation, &scale_shift}},
    {.name = "norm, activation", .parts = {&batch_norm, &activation}},
    {.name = "scale, shift, activation", .parts = {&scale_shift, &activation}},
    {.name = "linear, arithmetic", .parts = {&linear, &arithmetic}},
    {.name = "linear, arithmetic with itself", .parts = {&linear_twice}},
    {.name = "linear, norm", .parts = {&linear, &batch_norm}},
    {.name = "linear, activation", .parts = {&linear, &activation}},
    {.name = "linear, norm, activation", .parts = {&linear, &batch_norm, &activation}},
    {.name = "linear, scale, shift, activation", .parts = {&linear, &scale_shift, &activation}},
    {.name = "linear, activation, norm", .parts = {&linear, &activation, &batch_norm}},
    {.name = "linear, activation, scale, shift", .parts = {&linear, &activation, &scale_shift}},
    {.name = "linear, norm, scale, shift, activation",
     .parts = {&linear, &batch_norm, &scale_shift, &activation}},
    {.name = "linear, squeeze, activation", .parts = {&linear, &squeeze, &activation}},
    {.name = "linear, squeeze, arithmetic, activation",
     .parts = {&linear, &squeeze, &arithmetic, &activation}},
    {.name = "norm, scale, shift, activation", .parts = {&batch_norm, &scale_shift, &activation}},
    {.name = "linear, arithmetic, activation", .parts = {&linear, &arithmetic, &activation}},
    {.name = "linear, shift, scale", .parts = {&linear, &shift_scale}},
    {.name = "linear, arithmetic, activation, arithmetic",
     .parts = {&linear, &arithmetic, &activation, &arithmetic}},
    {.name = "linear, scale, shift", .parts = {&linear, &scale_shift}},
    {.name = NULL},
};

static const tare_pattern_family ignored[] = {
    {.name = "attention's second product", .parts = {&head_product}, .transformer = true},
    {.name = "attention's second product, reshaped",
     .parts = {&head_product_reshaped},
     .transformer = true},
    {.name = "squeeze and excitation",
     .parts = {&squeeze_pool, &activation, &excite},
     .bridged = true},
    {.name = "rotary positions", .parts = {&rope}, .transformer = true},
    {.name = "sine positions", .parts = {&sine_positions}, .transformer = true},
    {.name = NULL},
};

const tare_target tare_target_openvino = {
    .name = "openvino",
    .opset = 13,
    .rules = rules,
    .input = {.trait = TARE_TRAIT_FLOAT, .tags = INPUT},
    .output = {.trait = TARE_TRAIT_FLOAT},
    .unknown = {.trait = TARE_TRAIT_FLOAT},
    .scaling = INPUTS("Mul", MUL | LONELY | FLOATS),
    .fused = fused,
    .ignored = ignored,
    .transformer_float = FLOATS,
    .scaled = MATMUL | GEMM,
    .shape = SHAPE,
    .post_processing = MARKER,
    .lonely = LONELY,
    .shared_scale = CONCAT,
    .shared_scale_below = WEIGHTED,
    .half_range = CONV,
    .attention = MATMUL | GEMM,
};
