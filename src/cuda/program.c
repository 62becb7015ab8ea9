/* SPDX-License-Identifier: Apache-2.0 */
/** Putting element-wise programs together while a kernel is prepared, and running them. */
#include "cuda/program.h"

#include "exec/nest.h"

/* Elements that a thread walks at once must not end in the middle of a row; both kinds of programs
 * divide this. */
#define ROW_MULTIPLE 8

/* Inputs from here on are extra operands of epilogues, whose desc is the output's. */
static const tare_desc *desc_of(const tare_prepare *prepare, size_t input) {
    return input < prepare->input_count ? &prepare->inputs[input] : &prepare->outputs[0];
}

bool tare_program_is_real(tare_dtype dtype) {
    return dtype == TARE_DTYPE_FLOAT || dtype == TARE_DTYPE_FLOAT16;
}

static bool is_whole(tare_dtype dtype) {
    return dtype == TARE_DTYPE_INT64 || dtype == TARE_DTYPE_INT32 || dtype == TARE_DTYPE_UINT8 ||
           dtype == TARE_DTYPE_INT8 || dtype == TARE_DTYPE_BOOL;
}

void tare_program_begin(tare_prepare *prepare, bool whole) {
    tare_program_plan *plan = prepare->private_data;
    plan->program.whole = whole;
    plan->program.out_dtype = prepare->outputs[0].dtype;
}

tare_program_step *tare_program_add(tare_prepare *prepare, tare_opcode opcode) {
    tare_program_plan *plan = prepare->private_data;
    tare_program *program = &plan->program;
    tare_program_step *step = NULL;

    if (program->step_count < TARE_PROGRAM_STEPS) {
        step = &program->steps[program->step_count];
        *step = (tare_program_step){.opcode = (int32_t)opcode, .source = TARE_SOURCE_NUMBER};
    }
    program->step_count++;
    return step;
}

static tare_status too_long(const tare_prepare *prepare, tare_error *err) {
    const tare_program_plan *plan = prepare->private_data;
    return tare_fail(err, TARE_UNSUPPORTED,
                     "an element-wise program of %d steps and %d operands; the limits are %d and "
                     "%d",
                     (int)plan->program.step_count, plan->program.operand_count, TARE_PROGRAM_STEPS,
                     TARE_PROGRAM_OPERANDS);
}

/* A constant of one element travels in the program. */
static bool take_number(tare_program_step *step, const tare_prepare *prepare, size_t input,
                        bool whole) {
    const tare_tensor *constant = input < prepare->input_count ? prepare->constants[input] : NULL;
    if (constant == NULL || tare_tensor_count(constant) != 1 ||
        constant->dtype == TARE_DTYPE_FLOAT16) {
        return false;
    }
    if (whole) {
        step->whole_number = tare_tensor_int_at(constant, 0);
    } else {
        step->number = (float)tare_tensor_float_at(constant, 0);
    }
    return true;
}

tare_status tare_program_add_input(tare_prepare *prepare, tare_opcode opcode, size_t input,
                                   tare_error *err) {
    tare_program_plan *plan = prepare->private_data;
    const tare_dtype dtype = desc_of(prepare, input)->dtype;
    tare_program_step *step = tare_program_add(prepare, opcode);

    if (!is_whole(dtype) && (plan->program.whole || !tare_program_is_real(dtype))) {
        return tare_fail(err, TARE_UNSUPPORTED, "element type %s is not supported",
                         tare_dtype_text(dtype));
    }
    if (step == NULL || take_number(step, prepare, input, plan->program.whole)) {
        return TARE_OK;
    }
    if (plan->program.operand_count == TARE_PROGRAM_OPERANDS) {
        plan->program.operand_count++;
        return too_long(prepare, err);
    }
    step->source = plan->program.operand_count;
    plan->program.operands[plan->program.operand_count].dtype = dtype;
    plan->inputs[plan->program.operand_count++] = input;
    return TARE_OK;
}

static tare_status add_epilogues(tare_prepare *prepare, tare_error *err) {
    static const tare_opcode opcodes[] = {
        [TARE_EPILOGUE_CLIP] = TARE_OPCODE_CLIP,
        [TARE_EPILOGUE_LEAKY_RELU] = TARE_OPCODE_LEAKY_RELU,
        [TARE_EPILOGUE_SIGMOID] = TARE_OPCODE_SIGMOID,
        [TARE_EPILOGUE_TANH] = TARE_OPCODE_TANH,
        [TARE_EPILOGUE_SWISH] = TARE_OPCODE_SWISH,
        [TARE_EPILOGUE_HARD_SIGMOID] = TARE_OPCODE_HARD_SIGMOID,
        [TARE_EPILOGUE_HARD_SWISH] = TARE_OPCODE_HARD_SWISH,
        [TARE_EPILOGUE_ADD] = TARE_OPCODE_ADD,
    };
    const tare_program_plan *plan = prepare->private_data;
    size_t extra = prepare->input_count;

    if (prepare->epilogue_count > 0 &&
        (plan->program.whole || !tare_program_is_real(prepare->outputs[0].dtype))) {
        return tare_fail(err, TARE_UNSUPPORTED, "epilogue behind a result of type %s",
                         tare_dtype_text(prepare->outputs[0].dtype));
    }
    for (size_t i = 0; i < prepare->epilogue_count; i++) {
        const tare_epilogue *epilogue = &prepare->epilogues[i];
        if (epilogue->kind == TARE_EPILOGUE_ADD) {
            TARE_TRY(tare_program_add_input(prepare, TARE_OPCODE_ADD, extra++, err));
        } else {
            tare_program_step *step = tare_program_add(prepare, opcodes[epilogue->kind]);
            if (step != NULL) {
                step->a = epilogue->kind == TARE_EPILOGUE_SWISH ? 1.0F : epilogue->a;
                step->b = epilogue->b;
            }
        }
    }
    return TARE_OK;
}

static tare_walk walk_of(const tare_nest *nest, size_t operand) {
    bool alike = true, scalar = true;
    for (int axis = 0; axis < nest->rank; axis++) {
        alike = alike && nest->strides[operand][axis] == nest->strides[0][axis];
        scalar = scalar && nest->strides[operand][axis] == 0;
    }
    return alike ? TARE_WALK_ALIKE : (scalar ? TARE_WALK_SCALAR : TARE_WALK_STRIDES);
}

/* Whether vectors of 16 bytes are all that a thread needs to read of an operand. */
static bool is_even(const tare_program *program, const tare_program_operand *operand) {
    const int last = program->rank - 1;
    bool even = tare_program_is_real(operand->dtype);
    if (operand->walk == TARE_WALK_STRIDES) {
        even = even && program->long_rows && operand->strides[last] <= 1;
        for (int axis = 0; axis < last && operand->strides[last] == 1; axis++) {
            even = even && operand->strides[axis] % ROW_MULTIPLE == 0;
        }
    }
    return even;
}

/* The axes of the output, and how each operand steps along them. */
static tare_status walk(tare_prepare *prepare, tare_error *err) {
    tare_program_plan *plan = prepare->private_data;
    tare_program *program = &plan->program;
    const tare_desc *descs[TARE_PROGRAM_OPERANDS + 1] = {&prepare->outputs[0]};
    const size_t count = (size_t)plan->program.operand_count + 1;
    bool strides = false;
    tare_nest nest;
    int last;

    for (size_t i = 1; i < count; i++) {
        descs[i] = desc_of(prepare, plan->inputs[i - 1]);
    }
    TARE_TRY(tare_nest_build(&nest, descs, count, err));
    last = nest.rank - 1;
    program->count = nest.empty ? 0 : (uint64_t)tare_desc_count(descs[0]);
    program->rank = nest.rank;
    program->even = !program->whole && tare_program_is_real(program->out_dtype);
    program->long_rows = nest.dims[last] % ROW_MULTIPLE == 0;
    for (size_t i = 1; i < count; i++) {
        tare_program_operand *operand = &program->operands[i - 1];
        operand->walk = walk_of(&nest, i);
        for (int axis = 0; axis < nest.rank; axis++) {
            operand->strides[axis] = nest.strides[i][axis];
        }
        program->even = program->even && is_even(program, operand);
        strides = strides || operand->walk == TARE_WALK_STRIDES;
    }
    if (strides && program->count > TARE_DIVISOR_MAX) {
        return tare_fail(err, TARE_UNSUPPORTED,
                         "%llu elements with operands that do not lie like the output",
                         (unsigned long long)program->count);
    }
    for (int axis = 0; axis < nest.rank && strides && !nest.empty; axis++) {
        program->dims[axis] = tare_divisor_of((uint64_t)nest.dims[axis]);
    }
    return TARE_OK;
}

tare_status tare_program_end(tare_prepare *prepare, tare_error *err) {
    const tare_program_plan *plan = prepare->private_data;
    uint64_t read = 0;

    TARE_TRY(add_epilogues(prepare, err));
    if (plan->program.step_count > TARE_PROGRAM_STEPS) {
        return too_long(prepare, err);
    }
    if (!is_whole(prepare->outputs[0].dtype) && !tare_program_is_real(prepare->outputs[0].dtype)) {
        return tare_fail(err, TARE_UNSUPPORTED, "element type %s is not supported",
                         tare_dtype_text(prepare->outputs[0].dtype));
    }
    for (int i = 0; i < plan->program.operand_count; i++) {
        read |= plan->inputs[i] < 64 ? (uint64_t)1 << plan->inputs[i] : 0;
    }
    for (size_t i = 0; i < prepare->input_count && i < 64; i++) {
        if (prepare->constants[i] != NULL && (read >> i & 1U) == 0) {
            prepare->unread |= (uint64_t)1 << i;
        }
    }
    return walk(prepare, err);
}

tare_status tare_program_run(const tare_run *run, tare_error *err) {
    const tare_program_plan *plan = run->private_data;
    tare_program program = plan->program;

    if (program.count == 0) {
        return TARE_OK;
    }
    for (int i = 0; i < plan->program.operand_count; i++) {
        program.operands[i].data = run->inputs[plan->inputs[i]];
    }
    program.out = run->outputs[0];
    return tare_elementwise(&program, run->queue->stream, err);
}
