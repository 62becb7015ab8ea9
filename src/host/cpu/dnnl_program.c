/* SPDX-License-Identifier: Apache-2.0 */
/** Building, executing and freeing programs of oneDNN primitives. */
#include "cpu/dnnl_program.h"

#include <string.h>

/** What oneDNN and the planner both align scratch memory to. */
#define SCRATCH_ALIGNMENT ((size_t)64)

tare_status tare_dnnl_check(dnnl_status_t status, const char *what, tare_error *err) {
    if (status == dnnl_success) {
        return TARE_OK;
    }
    const tare_status code = status == dnnl_unimplemented   ? TARE_UNSUPPORTED
                             : status == dnnl_out_of_memory ? TARE_OUT_OF_MEMORY
                                                            : TARE_BACKEND;
    return tare_fail(err, code, "%s: oneDNN answers '%s'", what, dnnl_status2str(status));
}

tare_status tare_dnnl_program_open(tare_dnnl_program *program, tare_error *err) {
    return tare_dnnl_check(dnnl_engine_create(&program->engine, dnnl_cpu, 0), "creating an engine",
                           err);
}

tare_dnnl_place tare_dnnl_program_scratch(tare_dnnl_program *program, size_t bytes) {
    const tare_dnnl_place place = {TARE_DNNL_SCRATCH, program->scratch_bytes};
    program->scratch_bytes += (bytes + SCRATCH_ALIGNMENT - 1) & ~(SCRATCH_ALIGNMENT - 1);
    return place;
}

tare_dnnl_place tare_dnnl_program_keep(tare_dnnl_program *program, tare_buffer *buffer) {
    const tare_dnnl_place place = {TARE_DNNL_BUFFER, program->buffer_count};
    program->buffers[program->buffer_count++] = buffer;
    return place;
}

tare_status tare_dnnl_program_step(tare_dnnl_program *program, const_dnnl_primitive_desc_t pd,
                                   tare_error *err) {
    if (program->step_count == TARE_DNNL_MAX_STEPS) {
        return tare_fail(err, TARE_INTERNAL, "a oneDNN program of more than %d steps",
                         TARE_DNNL_MAX_STEPS);
    }
    tare_dnnl_step *step = &program->steps[program->step_count++];
    TARE_TRY(
        tare_dnnl_check(dnnl_primitive_create(&step->primitive, pd), "creating a primitive", err));
    const tare_dnnl_md_view pad = dnnl_primitive_desc_query_md(pd, dnnl_query_scratchpad_md, 0);
    const size_t bytes = pad == NULL ? 0 : dnnl_memory_desc_get_size(pad);
    if (bytes == 0) {
        return TARE_OK;
    }
    return tare_dnnl_program_bind(program, DNNL_ARG_SCRATCHPAD, pad,
                                  tare_dnnl_program_scratch(program, bytes), err);
}

tare_status tare_dnnl_program_bind(tare_dnnl_program *program, int id, tare_dnnl_md_view md,
                                   tare_dnnl_place place, tare_error *err) {
    tare_dnnl_step *step = &program->steps[program->step_count - 1];
    if (step->arg_count == TARE_DNNL_MAX_ARGS) {
        return tare_fail(err, TARE_INTERNAL, "a oneDNN primitive of more than %d arguments",
                         TARE_DNNL_MAX_ARGS);
    }
    tare_dnnl_arg *arg = &step->args[step->arg_count];
    TARE_TRY(tare_dnnl_check(tare_dnnl_md_clone(&arg->md, md), "describing memory", err));
    arg->id = id;
    arg->place = place;
    step->arg_count++;
    return TARE_OK;
}

/** The address of a place during a run. */
static void *address(const tare_dnnl_program *program, tare_dnnl_place place, const tare_run *run) {
    switch (place.space) {
    case TARE_DNNL_INPUT:
        /* oneDNN has one type for memory that is read and memory that is written. */
        return (void *)run->inputs[place.index];
    case TARE_DNNL_OUTPUT:
        return run->outputs[place.index];
    case TARE_DNNL_BUFFER:
        return tare_buffer_data(program->buffers[place.index]);
    case TARE_DNNL_SCRATCH:
        return (char *)run->scratch + place.index;
    }
    return NULL;
}

/** Executes one step. */
static tare_status execute(const tare_dnnl_program *program, const tare_dnnl_step *step,
                           const tare_run *run, dnnl_stream_t stream, tare_error *err) {
    tare_status status = TARE_OK;
    dnnl_exec_arg_t args[TARE_DNNL_MAX_ARGS] = {{0}};
    size_t made = 0;
    for (; made < step->arg_count; made++) {
        const tare_dnnl_arg *arg = &step->args[made];
        void *data = address(program, arg->place, run);
        args[made].arg = arg->id;
        TARE_TRY_DONE(status, tare_dnnl_check(dnnl_memory_create(&args[made].memory, arg->md,
                                                                 program->engine, data),
                                              "wrapping memory", err));
    }
    status =
        tare_dnnl_check(dnnl_primitive_execute(step->primitive, stream, (int)step->arg_count, args),
                        "executing a primitive", err);
done:
    for (size_t i = 0; i < made; i++) {
        (void)dnnl_memory_destroy(args[i].memory);
    }
    return status;
}

tare_status tare_dnnl_run(const tare_run *run, tare_error *err) {
    const tare_dnnl_program *program = run->private_data;
    dnnl_stream_t stream = NULL;
    TARE_TRY(
        tare_dnnl_check(dnnl_stream_create(&stream, program->engine, dnnl_stream_default_flags),
                        "creating a stream", err));
    tare_status status = TARE_OK;
    for (size_t i = 0; status == TARE_OK && i < program->step_count; i++) {
        status = execute(program, &program->steps[i], run, stream, err);
    }
    if (status == TARE_OK) {
        status = tare_dnnl_check(dnnl_stream_wait(stream), "waiting for a stream", err);
    }
    (void)dnnl_stream_destroy(stream);
    return status;
}

/** Executes the newest step, whose input 0 is `data`. */
static tare_status execute_now(const tare_dnnl_program *program, const void *data,
                               tare_error *err) {
    tare_status status = TARE_OK;
    const tare_dnnl_step *step = &program->steps[program->step_count - 1];
    tare_buffer *scratch = NULL;
    dnnl_stream_t stream = NULL;
    if (program->scratch_bytes != 0) {
        scratch = tare_buffer_new(program->scratch_bytes);
        if (scratch == NULL) {
            return tare_fail_memory(err, program->scratch_bytes, "packing weights");
        }
    }
    const tare_run run = {.inputs = &data,
                          .scratch = scratch == NULL ? NULL : tare_buffer_data(scratch)};
    TARE_TRY_DONE(status, tare_dnnl_check(dnnl_stream_create(&stream, program->engine,
                                                             dnnl_stream_default_flags),
                                          "creating a stream", err));
    TARE_TRY_DONE(status, execute(program, step, &run, stream, err));
    TARE_TRY_DONE(status, tare_dnnl_check(dnnl_stream_wait(stream), "waiting for a stream", err));
done:
    if (stream != NULL) {
        (void)dnnl_stream_destroy(stream);
    }
    tare_buffer_release(scratch);
    return status;
}

static void release_step(tare_dnnl_step *step) {
    for (size_t i = 0; i < step->arg_count; i++) {
        tare_dnnl_md_free(step->args[i].md);
    }
    if (step->primitive != NULL) {
        (void)dnnl_primitive_destroy(step->primitive);
    }
    memset(step, 0, sizeof(*step));
}

tare_status tare_dnnl_program_reorder(tare_dnnl_place *place, tare_dnnl_program *program,
                                      const tare_prepare *prepare, size_t input,
                                      const tare_dnnl_md_view formats[2], tare_error *err) {
    const bool constant = prepare->constants[input] != NULL;
    tare_dnnl_place source = {TARE_DNNL_INPUT, input};
    *place = source;
    if (dnnl_memory_desc_equal(formats[0], formats[1])) {
        return TARE_OK;
    }
    tare_status status = TARE_OK;
    const size_t bytes = dnnl_memory_desc_get_size(formats[1]);
    const size_t scratch_before = program->scratch_bytes;
    dnnl_primitive_desc_t pd = NULL;
    dnnl_primitive_attr_t attr = NULL;
    if (constant) {
        tare_buffer *buffer = tare_buffer_new(bytes);
        if (buffer == NULL) {
            return tare_fail_memory(err, bytes, "packed weights");
        }
        *place = tare_dnnl_program_keep(program, buffer);
        source.index = 0;
    } else {
        *place = tare_dnnl_program_scratch(program, bytes);
    }
    TARE_TRY_DONE(status,
                  tare_dnnl_check(dnnl_primitive_attr_create(&attr), "describing a reorder", err));
    TARE_TRY_DONE(status, tare_dnnl_check(dnnl_primitive_attr_set_scratchpad_mode(
                                              attr, dnnl_scratchpad_mode_user),
                                          "describing a reorder", err));
    TARE_TRY_DONE(status, tare_dnnl_check(
                              dnnl_reorder_primitive_desc_create(&pd, formats[0], program->engine,
                                                                 formats[1], program->engine, attr),
                              "reordering weights", err));
    TARE_TRY_DONE(status, tare_dnnl_program_step(program, pd, err));
    TARE_TRY_DONE(status, tare_dnnl_program_bind(program, DNNL_ARG_FROM, formats[0], source, err));
    TARE_TRY_DONE(status, tare_dnnl_program_bind(program, DNNL_ARG_TO, formats[1], *place, err));
    if (constant) {
        TARE_TRY_DONE(status, execute_now(program, prepare->constants[input]->data, err));
        release_step(&program->steps[--program->step_count]);
        program->scratch_bytes = scratch_before;
    }
done:
    if (pd != NULL) {
        (void)dnnl_primitive_desc_destroy(pd);
    }
    if (attr != NULL) {
        (void)dnnl_primitive_attr_destroy(attr);
    }
    return status;
}

void tare_dnnl_program_close(const tare_dnnl_program *program, tare_prepare *prepare) {
    prepare->scratch_bytes = program->scratch_bytes;
    prepare->weight_bytes = 0;
    for (size_t i = 0; i < program->buffer_count; i++) {
        prepare->weight_bytes += tare_buffer_bytes(program->buffers[i]);
    }
}

void tare_dnnl_release(void *private_data) {
    tare_dnnl_program *program = private_data;
    if (program == NULL) {
        return;
    }
    for (size_t i = 0; i < program->step_count; i++) {
        release_step(&program->steps[i]);
    }
    for (size_t i = 0; i < program->buffer_count; i++) {
        tare_buffer_release(program->buffers[i]);
    }
    if (program->engine != NULL) {
        (void)dnnl_engine_destroy(program->engine);
    }
    memset(program, 0, sizeof(*program));
}
