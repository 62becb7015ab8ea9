/* SPDX-License-Identifier: Apache-2.0 */
/** Preparing and running one kernel on float32 operands given in ONNX's order. */
#ifndef TARE_TESTS_KERNEL_CASE_H
#define TARE_TESTS_KERNEL_CASE_H

#include "exec/backend.h"

#define KERNEL_CASE_MAX_INPUTS 8

typedef struct kernel_case {
    const tare_kernel *kernel;
    const void *attrs;
    size_t input_count;                        /**< of the node, without operands of epilogues */
    tare_desc inputs[KERNEL_CASE_MAX_INPUTS];  /**< rank -1: left out */
    const float *data[KERNEL_CASE_MAX_INPUTS]; /**< row-major whatever the layout; then one per ADD
                                                  epilogue */
    bool constant[KERNEL_CASE_MAX_INPUTS];
    tare_desc output;
    size_t epilogue_count;
    tare_epilogue epilogues[TARE_MAX_EPILOGUES];
    int threads;         /**< that run the prepared kernel at the same time; 0: one */
    int threads_per_run; /**< that each of them may use; 0: one */
} kernel_case;

/** A float32 descriptor; 3 to 5 dims are channels-last when `last`. */
tare_desc kernel_case_desc(int rank, const int64_t *dims, bool last);

/** The row of that name. */
const tare_kernel *kernel_case_row(const tare_kernel_table *table, const char *name);

/** Runs the case and writes the output in row-major order. Checks that nothing beyond scratch and
 * output is written and that all threads computed the same bits. TARE_UNSUPPORTED is returned,
 * every other failure fails the test. */
tare_status kernel_case_run(float *out, const kernel_case *c, tare_error *err);

/** Fills with reproducible numbers in [-1, 1). */
void kernel_case_fill(float *data, int64_t count, uint32_t seed);

#endif
