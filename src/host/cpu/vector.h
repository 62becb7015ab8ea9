/* SPDX-License-Identifier: Apache-2.0 */
/**
 * The hot loops of the plain C kernels, compiled once per instruction set.
 *
 * vector_*.inc are included by variant_base.c, variant_avx2.c and variant_avx512.c, which the build
 * compiles with different flags. Multiplications and additions are never contracted and sums run
 * over a fixed number of lanes, so every variant gives the same bits. An output may be the same
 * memory as an input, but must not overlap it otherwise.
 */
#ifndef TARE_CPU_VECTOR_H
#define TARE_CPU_VECTOR_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "cpu/isa.h"
#include "exec/code_find.h"

/** Unary functions of float32 with a vectorised loop. */
typedef enum tare_unary {
    TARE_UNARY_RELU,
    TARE_UNARY_LEAKY_RELU,
    TARE_UNARY_THRESHOLDED_RELU,
    TARE_UNARY_CLIP,
    TARE_UNARY_SIGMOID,
    TARE_UNARY_TANH,
    TARE_UNARY_EXP,
    TARE_UNARY_ERF,
    TARE_UNARY_ELU,
    TARE_UNARY_SELU,
    TARE_UNARY_CELU,
    TARE_UNARY_GELU,
    TARE_UNARY_GELU_TANH,
    TARE_UNARY_SWISH,
    TARE_UNARY_MISH,
    TARE_UNARY_HARD_SIGMOID,
    TARE_UNARY_HARD_SWISH,
    TARE_UNARY_SOFTSIGN,
    TARE_UNARY_ABS,
    TARE_UNARY_NEG,
    TARE_UNARY_SIGN,
    TARE_UNARY_SQRT,
    TARE_UNARY_RECIPROCAL,
    TARE_UNARY_FLOOR,
    TARE_UNARY_CEIL,
    TARE_UNARY_ROUND, /**< half to even */
    TARE_UNARY_COUNT
} tare_unary;

/** Binary functions of float32 with a vectorised loop. */
typedef enum tare_binary {
    TARE_BINARY_ADD,
    TARE_BINARY_SUB,
    TARE_BINARY_MUL,
    TARE_BINARY_DIV,
    TARE_BINARY_MAX, /**< NaN if either is NaN */
    TARE_BINARY_MIN,
    TARE_BINARY_PRELU, /**< x < 0 ? slope x : x */
    TARE_BINARY_COUNT
} tare_binary;

/** Comparisons of float32, to 0 and 1. */
typedef enum tare_compare {
    TARE_COMPARE_EQUAL,
    TARE_COMPARE_LESS,
    TARE_COMPARE_LESS_EQUAL,
    TARE_COMPARE_GREATER,
    TARE_COMPARE_GREATER_EQUAL,
    TARE_COMPARE_COUNT
} tare_compare;

/** A block of rows of an element-wise operation. Row strides are in elements; a column stride is 1
 * or, for an operand that is one number per row, 0. The output's column stride is 1. */
typedef struct tare_span {
    int64_t rows, columns;
    int64_t out_row, a_row, b_row;
    bool a_varies, b_varies; /**< column stride is 1 */
} tare_span;

/** One function of one operand; a and b are its parameters. */
typedef void (*tare_unary_loop)(float *out, const float *in, int64_t count, float a, float b);
typedef void (*tare_binary_loop)(float *out, const float *a, const float *b, const tare_span *span);
typedef void (*tare_compare_loop)(uint8_t *out, const float *a, const float *b,
                                  const tare_span *span);

/** Moves a rows x columns matrix of 4-byte elements to its transpose. */
typedef void (*tare_transpose_loop)(uint32_t *out, const uint32_t *in, const int64_t dims[2],
                                    const int64_t strides[2]);

/** What is seen of a row of elements in passing. */
typedef struct tare_extremes {
    float low, high;
    int32_t largest; /**< bits of the largest magnitude: more than those of infinity for NaN */
    int64_t zeros;   /**< of both signs */
} tare_extremes;

/** The elements at both ends of a sample, seen as patterns under a mask (which takes signs off or
 * leaves them). */
typedef struct tare_tails {
    uint32_t mask;
    float low, high; /**< those below low and those above high are kept */
    float *kept;     /**< room for so many */
    int64_t room;
    int64_t count;           /**< that are kept, or would be if there were room */
    int64_t at_low, at_high; /**< that are equal to low, to high */
} tare_tails;

/** Columns over a few rows. */
typedef struct tare_row_reduction {
    float *sum, *low, *high; /**< per column; sums start with +0 and may be of anything */
    int32_t largest;         /**< magnitude bits of the elements met, merged */
    int64_t zeros;           /**< among them, added */
} tare_row_reduction;

/** The loops of one instruction set. */
typedef struct tare_vector {
    tare_unary_loop unary[TARE_UNARY_COUNT];
    tare_binary_loop binary[TARE_BINARY_COUNT];
    tare_compare_loop compare[TARE_COMPARE_COUNT];

    /** out[i] = in[i] scale[i] + shift[i] */
    void (*affine)(float *out, const float *in, const float *scale, const float *shift,
                   int64_t count);
    /** out[i] = in[i] scale + shift */
    void (*affine_scalar)(float *out, const float *in, float scale, float shift, int64_t count);
    /** out[i] = a[i] wa + b[i] wb */
    void (*blend)(float *out, const float *a, const float *b, const float weights[2],
                  int64_t count);
    /** out[i] += in[i] weight */
    void (*accumulate)(float *out, const float *in, float weight, int64_t count);

    /** out[c] += sum over k of x[k] w[k][c]; dims[0] rows of w, each dims[1] elements behind the
     * last, of which the first count are used. */
    void (*add_product)(float *out, const float *x, const float *w, const int64_t dims[2],
                        int64_t count);

    /** Merges `count` elements. Where largest comes out as infinity or more, low and high mean
     * nothing. */
    void (*look_over)(tare_extremes *out, const float *in, int64_t count);
    /** exec/code_find.h */
    tare_code_finder find_codes;
    /** Keeps and counts the tails of `count` elements, in addition to what was found before. */
    void (*gather_tails)(tare_tails *out, const float *in, int64_t count);
    /** dims[0] rows, each dims[1] elements behind the last, of which the first `columns` are used;
     * rows in ascending order. */
    void (*reduce_rows)(tare_row_reduction *out, const float *in, const int64_t dims[2],
                        int64_t columns);
    /** sums[c] += in[r][c], rows and dims as before. */
    void (*add_rows)(float *sums, const float *in, const int64_t dims[2], int64_t columns);
    /** Sum in double over 16 lanes. */
    double (*sum)(const float *in, int64_t count);
    /** Sum of (in[i] - shift)^2 in double. */
    double (*sum_squares)(const float *in, int64_t count, double shift);
    /** Largest element; NaN if there is one. count >= 1 */
    float (*maximum)(const float *in, int64_t count);
    float (*minimum)(const float *in, int64_t count);
    /** out[c] += in[c] in double. */
    void (*add_columns)(double *out, const float *in, int64_t count);
    /** out[c] += (in[c] - shift[c])^2; shift NULL: zero. */
    void (*add_square_columns)(double *out, const float *in, const double *shift, int64_t count);
    /** out[i] = exp(in[i] - shift); returns the sum in double. */
    double (*exp_sum)(float *out, const float *in, float shift, int64_t count);

    /** Softmax of short rows: rows of `columns` <= 64 elements. */
    void (*softmax_rows)(float *out, const float *in, int64_t rows, int64_t columns);

    /** out[c][r] = in[r][c]; strides[0] of out rows, strides[1] of in rows. */
    tare_transpose_loop transpose;

    /** out[i] = saturate(round_half_even(in[i] / scale) + zero) as bytes; low and high are the
     * type's bounds. */
    void (*quantize)(uint8_t *out, const float *in, int64_t count, float scale,
                     const int32_t zero_low_high[3]);
} tare_vector;

extern const tare_vector tare_vector_base;
#if defined(__GNUC__) && defined(__x86_64__)
extern const tare_vector tare_vector_avx2, tare_vector_avx512;
#endif

/** The loops for this processor. */
const tare_vector *tare_vector_best(void);

/** The loops for an instruction set that this processor has, NULL where it does not. For tests. */
const tare_vector *tare_vector_of(tare_isa isa);

/** A float's bits as an integer that orders like the float: -NaN < -inf < ... < -0 < +0 < ... <
 * +inf < +NaN. An involution on bit patterns. */
static inline int32_t tare_order_code(int32_t bits) {
    return bits < 0 ? (int32_t)(bits ^ INT32_MAX) : bits;
}

#endif
