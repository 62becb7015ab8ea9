/* SPDX-License-Identifier: Apache-2.0 */
/**
 * A row of the CUDA backend against the CPU backend's row of the same name on the same operands,
 * in every variant that a plan may ask for: layouts, storage types, starts in memory, in place, and
 * orders in which threads run.
 */
#ifndef TARE_TESTS_KERNEL_CASE_H
#define TARE_TESTS_KERNEL_CASE_H

#include "emulator.h"
#include "exec/backend.h"

#define KERNEL_CASE_INPUTS  8
#define KERNEL_CASE_OUTPUTS 3

/** What the elements of an input are. Types other than floats take whole numbers of the range. */
typedef enum kernel_values {
    KERNEL_VALUES_RANGE,   /**< from low to high; both 0: from -4 to 4 */
    KERNEL_VALUES_SPECIAL, /**< NaN, infinities, denormals, zeros of both signs, huge and small
                              numbers, and numbers of the range */
    KERNEL_VALUES_EQUAL    /**< few different numbers of the range, so that many are equal */
} kernel_values;

typedef struct kernel_operand {
    tare_dtype dtype; /**< TARE_DTYPE_UNDEFINED: the operand is left out */
    int rank;
    int64_t dims[TARE_MAX_RANK];
    bool constant;
    kernel_values values;
    double low, high;
    const void *data; /**< the elements in plain layout instead of `values`; NULL: none */
} kernel_operand;

typedef struct kernel_case {
    const char *kernel; /**< name of the rows */
    const void *attrs;
    size_t input_count, output_count;
    kernel_operand inputs[KERNEL_CASE_INPUTS];
    kernel_operand outputs[KERNEL_CASE_OUTPUTS]; /**< type and shape */
    size_t epilogue_count; /**< behind output 0; operands of additions are made by the case */
    tare_epilogue epilogues[TARE_MAX_EPILOGUES];
    /** Results of float type may differ from the CPU's by relative * |x| + absolute in float32.
     * float16 storage rounds inputs before both compute, and the results that far apart once more;
     * half_absolute is added there, for kernels that round in between. Other types are equal. */
    double relative, absolute, half_absolute;
    bool refused; /**< prepare answers TARE_UNSUPPORTED in every variant */
    bool aligned; /**< operands begin where a plan puts them, for libraries that rely on it */
    const tare_device *device; /**< for rows that need more of it than storage and precision */
} kernel_case;

/** Runs all variants of the case with the rows of the table and reports what is wrong to Criterion.
 * Rows may answer TARE_UNSUPPORTED for a variant, but unless the case is `refused` not for plain
 * operands nor, where the row's rule allows it, for channels-last ones. */
void kernel_case_check(const tare_kernel_table *table, const kernel_case *test);

/** Whether the first row of that name computes the plain operands in float32 rightly under these
 * settings; for tests that break the emulator. */
bool kernel_case_is_right(const tare_kernel_table *table, const kernel_case *test,
                          emulator_settings settings);

/** The same as kernel_case_check() for a list. */
void kernel_case_check_all(const tare_kernel_table *table, const kernel_case *tests, size_t count);

#endif
