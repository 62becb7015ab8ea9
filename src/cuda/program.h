/* SPDX-License-Identifier: Apache-2.0 */
/** Putting element-wise programs together while a kernel is prepared, and running them. */
#ifndef TARE_CUDA_PROGRAM_H
#define TARE_CUDA_PROGRAM_H

#include "cuda/device.h"
#include "cuda/elementwise.h"

/** A program and where its operands come from. The private data of element-wise kernels. */
typedef struct tare_program_plan {
    tare_program program;                 /**< without addresses; count 0: nothing to do */
    size_t inputs[TARE_PROGRAM_OPERANDS]; /**< tare_run.inputs of each operand */
} tare_program_plan;

/** Begins the program of prepare->outputs[0]; prepare->private_data is its plan, zeroed. */
void tare_program_begin(tare_prepare *prepare, bool whole);

/** Appends a step without an operand. The caller may set its parameters; NULL when there are
 * too many steps, which tare_program_end() reports. */
tare_program_step *tare_program_add(tare_prepare *prepare, tare_opcode opcode);

/** Appends a step whose operand is input `input`; a constant of one element becomes the step's
 * number. TARE_UNSUPPORTED for too many steps and operands, and for element types. */
TARE_MUST_CHECK tare_status tare_program_add_input(tare_prepare *prepare, tare_opcode opcode,
                                                   size_t input, tare_error *err);

/** Appends the epilogues, finds out how operands are walked, and reports constants that run does
 * not read. TARE_UNSUPPORTED for what programs cannot do. */
TARE_MUST_CHECK tare_status tare_program_end(tare_prepare *prepare, tare_error *err);

/** The run function of kernels whose private data is a plan. */
TARE_MUST_CHECK tare_status tare_program_run(const tare_run *run, tare_error *err);

/** Whether elements of this type are numbers of float32 programs that stand for reals. */
bool tare_program_is_real(tare_dtype dtype);

#endif
