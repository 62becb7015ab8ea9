/* SPDX-License-Identifier: Apache-2.0 */
/**
 * Element-wise programs: a short list of operations that one kernel carries out on every element of
 * an output, whatever operators they came from.
 *
 * There is one accumulator per element. A step may read one operand (memory, or a number in the
 * step) and replaces the accumulator by a function of both. Numbers are float32, or int64 in
 * programs of whole numbers; operands are converted when they are read and the accumulator when it
 * is written. float32 becomes an integer by cutting towards zero, limited to int64 (NaN: its lowest
 * value), of which the low bits are kept; a bool by comparing with 0.
 */
#ifndef TARE_CUDA_ELEMENTWISE_H
#define TARE_CUDA_ELEMENTWISE_H

#include "cuda/divisor.h"
#include "cuda/stats.h"

#ifdef __cplusplus
extern "C" {
#endif

#define TARE_PROGRAM_STEPS    16
#define TARE_PROGRAM_OPERANDS 6

/** x: accumulator, y: operand. Parameters of float32 programs are a and b, of whole numbers low and
 * high. */
typedef enum tare_opcode {
    /* Both kinds of programs. */
    TARE_OPCODE_LOAD,   /**< y */
    TARE_OPCODE_TEST,   /**< x stays; whether it is other than 0 is kept for CHOOSE */
    TARE_OPCODE_CHOOSE, /**< the last TEST ? x : y */
    TARE_OPCODE_ADD,
    TARE_OPCODE_SUB,
    TARE_OPCODE_MUL,
    TARE_OPCODE_DIV, /**< whole numbers: cut towards zero; y is never 0 */
    TARE_OPCODE_MAX, /**< NaN if either is */
    TARE_OPCODE_MIN,
    TARE_OPCODE_FMOD, /**< remainder with the sign of x; whole y is never 0 */
    TARE_OPCODE_PRELU,
    TARE_OPCODE_EQUAL, /**< comparisons: 1 or 0 */
    TARE_OPCODE_LESS,
    TARE_OPCODE_LESS_EQUAL,
    TARE_OPCODE_GREATER,
    TARE_OPCODE_GREATER_EQUAL,
    TARE_OPCODE_ABS,
    TARE_OPCODE_NEG,
    TARE_OPCODE_SIGN,
    TARE_OPCODE_CLIP, /**< at least a, then at most b */
    /* Whole numbers. */
    TARE_OPCODE_MOD, /**< remainder with the sign of y */
    TARE_OPCODE_AND, /**< logical, as OR, XOR and NOT */
    TARE_OPCODE_OR,
    TARE_OPCODE_XOR,
    TARE_OPCODE_NOT,
    TARE_OPCODE_BITWISE_AND,
    TARE_OPCODE_BITWISE_OR,
    TARE_OPCODE_BITWISE_XOR,
    TARE_OPCODE_BITWISE_NOT,
    TARE_OPCODE_SHIFT_LEFT, /**< of 64 bits; 0 beyond them */
    TARE_OPCODE_SHIFT_RIGHT,
    /* float32. */
    TARE_OPCODE_SQUARE,
    TARE_OPCODE_POW,
    TARE_OPCODE_IS_NAN,
    TARE_OPCODE_IS_INFINITE, /**< a: +inf counts if it is not 0; b: -inf */
    TARE_OPCODE_LEAKY_RELU,
    TARE_OPCODE_THRESHOLDED_RELU,
    TARE_OPCODE_HARD_SIGMOID, /**< min(max(a x + b, 0), 1) */
    TARE_OPCODE_HARD_SWISH,   /**< x min(max(a x + b, 0), 1) */
    TARE_OPCODE_SHRINK,
    TARE_OPCODE_SOFTSIGN,
    TARE_OPCODE_SQRT,
    TARE_OPCODE_RECIPROCAL,
    TARE_OPCODE_FLOOR,
    TARE_OPCODE_CEIL,
    TARE_OPCODE_ROUND, /**< half to even */
    TARE_OPCODE_EXP,
    TARE_OPCODE_SIGMOID,
    TARE_OPCODE_SWISH, /**< x sigmoid(a x) */
    TARE_OPCODE_TANH,
    TARE_OPCODE_ERF,
    TARE_OPCODE_GELU,
    TARE_OPCODE_GELU_TANH,
    TARE_OPCODE_MISH,
    TARE_OPCODE_SOFTPLUS,
    TARE_OPCODE_ELU, /**< b (x < 0 ? a (exp(x) - 1) : x) */
    TARE_OPCODE_CELU,
    TARE_OPCODE_LOG,
    TARE_OPCODE_SIN,
    TARE_OPCODE_COS,
    TARE_OPCODE_TAN,
    TARE_OPCODE_ASIN,
    TARE_OPCODE_ACOS,
    TARE_OPCODE_ATAN,
    TARE_OPCODE_SINH,
    TARE_OPCODE_COSH,
    TARE_OPCODE_ASINH,
    TARE_OPCODE_ACOSH,
    TARE_OPCODE_ATANH
} tare_opcode;

/** The source of a step whose y is the step's number, if it is used at all. */
#define TARE_SOURCE_NUMBER (-1)

typedef struct tare_program_step {
    int32_t opcode;
    int32_t source; /**< the number of an operand, or TARE_SOURCE_NUMBER */
    float a, b;
    int64_t low, high;
    float number;
    int64_t whole_number;
} tare_program_step;

typedef enum tare_walk {
    TARE_WALK_ALIKE,  /**< the operand lies like the output */
    TARE_WALK_SCALAR, /**< one element for all */
    TARE_WALK_STRIDES
} tare_walk;

typedef struct tare_program_operand {
    const void *data; /**< aligned to its element type */
    tare_dtype dtype;
    tare_walk walk;
    int64_t strides[TARE_MAX_RANK]; /**< along the program's axes, in elements */
} tare_program_operand;

/** Element types of operands and outputs: FLOAT, FLOAT16, INT64, INT32, UINT8, INT8, BOOL. */
typedef struct tare_program {
    void *out;
    tare_dtype out_dtype;
    bool whole;     /**< a program of whole numbers */
    bool even;      /**< reals only, and wherever an operand does not repeat one element, eight
                       elements from a multiple of 8 are neighbours that begin at a multiple of 8 */
    bool long_rows; /**< every operand walks evenly over each eight elements from a multiple of 8 */
    uint64_t count; /**< elements of the output, not 0; at most TARE_DIVISOR_MAX where an operand
                       walks by strides */
    int32_t rank;
    int32_t step_count, operand_count;
    tare_divisor dims[TARE_MAX_RANK]; /**< in the memory order of the output, outermost first */
    tare_program_operand operands[TARE_PROGRAM_OPERANDS];
    tare_program_step steps[TARE_PROGRAM_STEPS];
} tare_program;

/** Computes all elements; the output may be the memory of operands that walk alike and have its
 * type. TARE_BACKEND when the launch is refused. */
TARE_MUST_CHECK tare_status tare_elementwise(const tare_program *program, tare_stream stream,
                                             tare_error *err);

#ifdef __cplusplus
}
#endif

#endif
