/* SPDX-License-Identifier: Apache-2.0 */
/**
 * A program: the private data of every oneDNN kernel, a few primitives to execute in turn.
 *
 * prepare builds it (engine, packed weights, primitives, and for each argument of a primitive where
 * its memory will be); tare_dnnl_run() executes it and tare_dnnl_release() frees it, so that a
 * kernel consists of its prepare function. Nothing in it changes in run, which makes memory
 * objects and a stream of its own for each call; both are thin handles.
 */
#ifndef TARE_CPU_DNNL_PROGRAM_H
#define TARE_CPU_DNNL_PROGRAM_H

#include "cpu/dnnl_compat.h"
#include "exec/backend.h"

/** Where the memory of an argument is. */
typedef enum tare_dnnl_space {
    TARE_DNNL_INPUT,  /**< inputs[index] of the run */
    TARE_DNNL_OUTPUT, /**< outputs[index] of the run */
    TARE_DNNL_BUFFER, /**< buffers[index] of the program */
    TARE_DNNL_SCRATCH /**< index bytes into the scratch memory of the run */
} tare_dnnl_space;

typedef struct tare_dnnl_place {
    tare_dnnl_space space;
    size_t index;
} tare_dnnl_place;

/** source, weights, bias, destination, scratchpad, an added matrix and the operands of epilogues */
#define TARE_DNNL_MAX_ARGS    (6 + TARE_MAX_EPILOGUES)
#define TARE_DNNL_MAX_STEPS   3
#define TARE_DNNL_MAX_BUFFERS 3

typedef struct tare_dnnl_arg {
    int id; /**< DNNL_ARG_... */
    tare_dnnl_md md;
    tare_dnnl_place place;
} tare_dnnl_arg;

typedef struct tare_dnnl_step {
    dnnl_primitive_t primitive;
    size_t arg_count;
    tare_dnnl_arg args[TARE_DNNL_MAX_ARGS];
} tare_dnnl_step;

/** All zero bytes: an empty program. */
typedef struct tare_dnnl_program {
    dnnl_engine_t engine;
    size_t step_count, buffer_count;
    tare_dnnl_step steps[TARE_DNNL_MAX_STEPS];
    tare_buffer *buffers[TARE_DNNL_MAX_BUFFERS];
    size_t scratch_bytes; /**< of all steps */
} tare_dnnl_program;

/** The status for a failed call of oneDNN: TARE_UNSUPPORTED for what it does not implement,
 * TARE_OUT_OF_MEMORY or TARE_BACKEND; the text names `what` and oneDNN's own status. */
TARE_MUST_CHECK tare_status tare_dnnl_check(dnnl_status_t status, const char *what,
                                            tare_error *err);

/** Makes the program's engine. Call first. */
TARE_MUST_CHECK tare_status tare_dnnl_program_open(tare_dnnl_program *program, tare_error *err);

/** Puts `bytes` more bytes of scratch memory into the plan and returns where they are. */
tare_dnnl_place tare_dnnl_program_scratch(tare_dnnl_program *program, size_t bytes);

/** Takes over a buffer; the program releases it. At most TARE_DNNL_MAX_BUFFERS. */
tare_dnnl_place tare_dnnl_program_keep(tare_dnnl_program *program, tare_buffer *buffer);

/** Adds a step that executes the primitive of `pd` (which stays the caller's), with its scratchpad.
 */
TARE_MUST_CHECK tare_status tare_dnnl_program_step(tare_dnnl_program *program,
                                                   const_dnnl_primitive_desc_t pd, tare_error *err);

/** Says where argument `id` of the newest step is. `md` is copied. */
TARE_MUST_CHECK tare_status tare_dnnl_program_bind(tare_dnnl_program *program, int id,
                                                   tare_dnnl_md_view md, tare_dnnl_place place,
                                                   tare_error *err);

/** Brings `input` of the node from the format `have` into the format `want`: at once when it is
 * constant, else with a step of its own (call before the step that reads it). Writes where the
 * result is. */
TARE_MUST_CHECK tare_status tare_dnnl_program_reorder(tare_dnnl_place *place,
                                                      tare_dnnl_program *program,
                                                      const tare_prepare *prepare, size_t input,
                                                      const tare_dnnl_md_view formats[2],
                                                      tare_error *err);

/** Reports scratch memory and packed weights to the planner. Call last. */
void tare_dnnl_program_close(const tare_dnnl_program *program, tare_prepare *prepare);

/** The `run` of every oneDNN kernel. */
tare_status tare_dnnl_run(const tare_run *run, tare_error *err);

/** The `release` of every oneDNN kernel; also for half-built programs. */
void tare_dnnl_release(void *private_data);

#endif
