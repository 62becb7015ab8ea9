/* SPDX-License-Identifier: Apache-2.0 */
/** Tensors with contents for the tests of the statistics kernels, and their comparison with the
 * reference. */
#ifndef TARE_TESTS_CUDA_PROBLEM_H
#define TARE_TESTS_CUDA_PROBLEM_H

#include "cuda/stats.h"
#include "emulator.h"

/** What the elements are. */
typedef enum problem_kind {
    FILL_MIXED,   /**< both signs, many magnitudes, a quarter zeros of both signs */
    FILL_SPECIAL, /**< NaN, infinities, denormals, zeros and numbers */
    FILL_HUGE,    /**< finite, but sums overflow to infinities of both signs */
    FILL_RISING,  /**< both signs, magnitudes that grow from 2^-27 to 2^5; the last quarter is
                     positive */
    FILL_NAN,
    FILL_NEGATIVE_ZERO
} problem_kind;

typedef struct tensor_case {
    tare_dtype dtype;
    uint64_t samples, sample_elements, channels;
    size_t offset; /**< elements between a 64-byte boundary and the first one */
    problem_kind fill;
} tensor_case;

/** Where results are first wrong, or that the call failed. */
typedef struct verdict {
    bool right;
    char text[700];
} verdict;

/** Memory for `elements` filled elements that begin `offset` elements after a boundary of 64 bytes;
 * it ends with the last one. Free with problem_free(). */
typedef struct problem_data {
    void *memory;
    const void *data;
} problem_data;

problem_data problem_fill(tare_dtype dtype, uint64_t elements, size_t offset, problem_kind fill);
void problem_free(problem_data *contents);

/** Reduces all tensors of the list in one call, the second one with the histograms, and compares.
 * problem_codes_in_parts() adds the first sample of each tensor, then the first two, and so on. */
verdict problem_reduce(const tensor_case *cases, size_t count, emulator_settings settings,
                       uint32_t max_blocks);
verdict problem_codes(const tensor_case *cases, size_t count, emulator_settings settings,
                      uint32_t max_blocks);
verdict problem_codes_in_parts(const tensor_case *cases, size_t count, emulator_settings settings,
                               uint32_t max_blocks);

/** The quantiles p and 1 - p of the samples of a case, twice. Samples that hold NaN only have to
 * leave the scratch memory as it was. */
verdict problem_quantiles(const tensor_case *c, double p, emulator_settings settings,
                          uint32_t max_blocks);

/** The window sums of tensors whose data are still missing. */
verdict problem_window(const tare_window_tensor *tensors, size_t count, size_t offset,
                       emulator_settings settings, uint32_t max_blocks);

/** The list that most tests use: small and odd shapes, all element types, starts and contents. */
extern const tensor_case problem_cases[];
extern const size_t problem_case_count;

#endif
