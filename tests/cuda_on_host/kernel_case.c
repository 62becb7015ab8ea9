/* SPDX-License-Identifier: Apache-2.0 */
/** A row of the CUDA backend against the CPU backend's row of the same name. */
#include "kernel_case.h"

#include <criterion/criterion.h>

#include <float.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "cpu/backend.h"
#include "cpu/element.h"
#include "cuda/device.h"
#include "on_device.h"
#include "schedules.h"

#define ALL_INPUTS (KERNEL_CASE_INPUTS + TARE_MAX_EPILOGUES)
#define ALIGNMENT  ((size_t)256)

/* Which operands lie channels-last, as far as their ranks allow it. */
typedef enum layouts { LAYOUTS_PLAIN, LAYOUTS_LAST, LAYOUTS_FIRST_LAST, LAYOUTS_COUNT } layouts;

typedef struct variant {
    layouts layouts;
    tare_dtype storage;
    size_t offset; /* elements between a boundary of ALIGNMENT and the operands */
    bool in_place;
    unsigned schedule;
    const emulator_settings *settings; /* instead of the schedule; NULL: none */
} variant;

/* One operand in memory of its own that ends with the last element. */
typedef struct block {
    tare_desc desc;
    char *memory;
    void *data;
} block;

/* The operands of a row. Inputs beyond the case's are those of additions in epilogues. */
typedef struct operands {
    block inputs[ALL_INPUTS], outputs[KERNEL_CASE_OUTPUTS];
    size_t input_count;
} operands;

typedef struct outcome {
    tare_status status;
    tare_error error;
    char text[TARE_ERROR_TEXT_BYTES + 100]; /* "": nothing is wrong */
} outcome;

static block block_new(tare_desc desc, size_t offset) {
    const size_t shift = offset * tare_dtype_bytes(desc.dtype);
    const size_t bytes = tare_desc_bytes(&desc);
    block made = {.desc = desc};
    void *memory = NULL;
    cr_assert_eq(posix_memalign(&memory, ALIGNMENT, shift + bytes + (bytes == 0 ? 1 : 0)), 0);
    made.memory = memory;
    made.data = made.memory + shift;
    memset(made.data, 0xa5, bytes);
    return made;
}

static void operands_free(operands *all) {
    for (size_t i = 0; i < ALL_INPUTS; i++) {
        free(all->inputs[i].memory);
    }
    for (size_t i = 0; i < KERNEL_CASE_OUTPUTS; i++) {
        free(all->outputs[i].memory);
    }
}

static uint32_t draw(uint32_t *state) {
    *state ^= *state << 13;
    *state ^= *state >> 17;
    *state ^= *state << 5;
    return *state;
}

static double draw_value(uint32_t *state, const kernel_operand *operand, bool real) {
    static const double special[] = {
        0.0,   -0.0, (double)NAN, (double)INFINITY, -(double)INFINITY, 1e-40, -3e-42, 6e-8,
        -3e-5, 1e30, -2e38,       70000.0};
    const bool given = operand->low != 0.0 || operand->high != 0.0;
    const double low = given ? operand->low : -4.0, high = given ? operand->high : 4.0;
    const double part = (double)draw(state) / 4294967296.0;
    const uint32_t pick = draw(state) % (3 * sizeof special / sizeof special[0]);

    if (operand->values == KERNEL_VALUES_SPECIAL && real &&
        pick < sizeof special / sizeof special[0]) {
        return special[pick];
    }
    if (operand->values == KERNEL_VALUES_EQUAL) {
        return low + floor(part * 4.0) / 4.0 * (high - low);
    }
    return real ? low + part * (high - low) : floor(low + part * (high - low + 1.0));
}

static bool is_real(tare_dtype dtype) {
    return tare_accessor_of(dtype)->number == TARE_NUMBER_REAL;
}

static void fill(block *to, const kernel_operand *operand, uint32_t seed) {
    const tare_accessor *access = tare_accessor_of(to->desc.dtype);
    const int64_t count = tare_desc_count(&to->desc);
    uint32_t state = seed * 2654435761U + 1;

    if (operand->data != NULL) {
        memcpy(to->data, operand->data, tare_desc_bytes(&to->desc));
        return;
    }
    for (int64_t i = 0; i < count; i++) {
        access->set_real(to->data, i, draw_value(&state, operand, is_real(to->desc.dtype)));
    }
}

/* Copies elements between layouts and types. */
static void transfer(block *to, const block *from) {
    const tare_accessor *write = tare_accessor_of(to->desc.dtype);
    const tare_accessor *read = tare_accessor_of(from->desc.dtype);
    const int rank = to->desc.rank;
    int64_t strides[2][TARE_MAX_RANK], index[TARE_MAX_RANK] = {0};
    const int64_t count = tare_desc_count(&to->desc);

    tare_desc_strides(strides[0], &to->desc);
    tare_desc_strides(strides[1], &from->desc);
    for (int64_t i = 0; i < count; i++) {
        int64_t at[2] = {0, 0};
        for (int axis = 0; axis < rank; axis++) {
            at[0] += index[axis] * strides[0][axis];
            at[1] += index[axis] * strides[1][axis];
        }
        if (is_real(to->desc.dtype)) {
            write->set_real(to->data, at[0], read->real(from->data, at[1]));
        } else {
            write->set_integer(to->data, at[0], read->integer(from->data, at[1]));
        }
        for (int axis = rank - 1; axis >= 0 && ++index[axis] == to->desc.dims[axis]; axis--) {
            index[axis] = 0;
        }
    }
}

static tare_desc desc_of(const kernel_operand *operand) {
    tare_desc desc = {.dtype = operand->dtype, .rank = operand->rank};
    if (operand->dtype == TARE_DTYPE_UNDEFINED) {
        desc.rank = -1;
        return desc;
    }
    memcpy(desc.dims, operand->dims, sizeof desc.dims);
    return desc;
}

static bool may_be_last(const tare_desc *desc) {
    return desc->rank >= 3 && desc->rank <= 5;
}

/* The layouts that the planner would give a row of this rule. */
static void set_layouts(tare_desc *inputs, tare_desc *outputs, const kernel_case *test,
                        layouts wanted, tare_layout_rule rule) {
    const bool always = rule == TARE_LAYOUT_RULE_LAST;
    for (size_t i = 0; i < test->input_count; i++) {
        const bool last =
            always || wanted == LAYOUTS_LAST || (wanted == LAYOUTS_FIRST_LAST && i == 0);
        if (last && rule != TARE_LAYOUT_RULE_PLAIN && !test->inputs[i].constant &&
            may_be_last(&inputs[i])) {
            inputs[i].layout = TARE_LAYOUT_CHANNELS_LAST;
        }
    }
    for (size_t o = 0; o < test->output_count; o++) {
        bool last = always;
        for (size_t i = 0; i < test->input_count && rule == TARE_LAYOUT_RULE_FOLLOW; i++) {
            last = last || (inputs[i].rank == outputs[o].rank &&
                            inputs[i].layout == TARE_LAYOUT_CHANNELS_LAST);
        }
        if (last && may_be_last(&outputs[o])) {
            outputs[o].layout = TARE_LAYOUT_CHANNELS_LAST;
        }
    }
}

/* Memory for all operands of a row. */
static void operands_init(operands *all, const kernel_case *test, const variant *how,
                          tare_layout_rule rule) {
    tare_desc inputs[KERNEL_CASE_INPUTS], outputs[KERNEL_CASE_OUTPUTS];
    const bool half = how->storage == TARE_DTYPE_FLOAT16;

    memset(all, 0, sizeof *all);
    for (size_t i = 0; i < test->input_count; i++) {
        inputs[i] = desc_of(&test->inputs[i]);
        if (half && inputs[i].dtype == TARE_DTYPE_FLOAT && !test->inputs[i].constant) {
            inputs[i].dtype = TARE_DTYPE_FLOAT16;
        }
    }
    for (size_t o = 0; o < test->output_count; o++) {
        outputs[o] = desc_of(&test->outputs[o]);
        if (half && outputs[o].dtype == TARE_DTYPE_FLOAT) {
            outputs[o].dtype = TARE_DTYPE_FLOAT16;
        }
    }
    set_layouts(inputs, outputs, test, how->layouts, rule);
    for (size_t i = 0; i < test->input_count; i++) {
        all->inputs[i].desc = inputs[i];
        if (inputs[i].rank >= 0) {
            all->inputs[i] = block_new(inputs[i], how->offset);
        }
    }
    all->input_count = test->input_count;
    for (size_t e = 0; e < test->epilogue_count; e++) {
        if (test->epilogues[e].kind == TARE_EPILOGUE_ADD) {
            all->inputs[all->input_count++] = block_new(outputs[0], how->offset);
        }
    }
    for (size_t o = 0; o < test->output_count; o++) {
        all->outputs[o].desc = outputs[o];
        if (outputs[o].rank >= 0) {
            all->outputs[o] = block_new(outputs[o], how->offset);
        }
    }
}

/* An operand where the row looks for it: on the device, or where it is. */
static void *operand_of(const tare_device *device, const block *operand, bool out) {
    const size_t bytes = operand->data == NULL ? 0 : tare_desc_bytes(&operand->desc);
    if (device == NULL) {
        return operand->data;
    }
    return out ? on_device_out(operand->data, bytes) : on_device_in(operand->data, bytes);
}

/* Prepares a row and runs it, with the epilogues on the device only (the CPU's are applied by
 * apply_epilogues()). */
static outcome run_row(const tare_kernel *row, const kernel_case *test, const operands *all,
                       tare_device *device) {
    const tare_node node = {.name = "case", .op_type = test->kernel};
    tare_desc inputs[KERNEL_CASE_INPUTS], outputs[KERNEL_CASE_OUTPUTS];
    tare_tensor tensors[KERNEL_CASE_INPUTS];
    const tare_tensor *constants[KERNEL_CASE_INPUTS] = {NULL};
    const void *in[ALL_INPUTS] = {NULL};
    void *out[KERNEL_CASE_OUTPUTS] = {NULL};
    tare_queue queue = {.device = device};
    tare_prepare prepare = {.device = device,
                            .node = &node,
                            .attrs = test->attrs,
                            .input_count = test->input_count,
                            .inputs = inputs,
                            .constants = constants,
                            .output_count = test->output_count,
                            .outputs = outputs};
    tare_run run = {.inputs = in, .outputs = out};
    outcome result = {.status = TARE_OK};
    void *scratch = NULL;
    const char *reason;

    for (size_t i = 0; i < test->input_count; i++) {
        inputs[i] = all->inputs[i].desc;
        if (test->inputs[i].constant) {
            tensors[i] = (tare_tensor){
                .dtype = inputs[i].dtype, .rank = inputs[i].rank, .data = all->inputs[i].data};
            memcpy(tensors[i].dims, inputs[i].dims, sizeof tensors[i].dims);
            constants[i] = &tensors[i];
        }
    }
    for (size_t o = 0; o < test->output_count; o++) {
        outputs[o] = all->outputs[o].desc;
        out[o] = operand_of(device, &all->outputs[o], true);
    }
    if (device != NULL) {
        prepare.epilogue_count = test->epilogue_count;
        prepare.epilogues = test->epilogues;
        run.queue = &queue;
    }
    prepare.private_data = calloc(1, row->private_size + 1);
    if (row->prepare != NULL) {
        result.status = row->prepare(&prepare, &result.error);
    }
    if (result.status == TARE_OK) {
        cr_assert_eq(posix_memalign(&scratch, ALIGNMENT,
                                    prepare.scratch_bytes + (prepare.scratch_bytes == 0 ? 1 : 0)),
                     0);
        memset(scratch, 0xff, prepare.scratch_bytes);
        for (size_t i = 0; i < all->input_count; i++) {
            in[i] = i < 64 && (prepare.unread >> i & 1U) != 0
                        ? NULL
                        : operand_of(device, &all->inputs[i], false);
        }
        run.private_data = prepare.private_data;
        run.scratch = device == NULL ? scratch : on_device_in(scratch, prepare.scratch_bytes);
        result.status = row->run(&run, &result.error);
        if (result.status != TARE_OK) {
            snprintf(result.text, sizeof result.text, "run: %s", result.error.text);
        }
    }
    if (device != NULL && !on_device_done(&reason) && result.text[0] == '\0') {
        snprintf(result.text, sizeof result.text, "device: %s", reason);
    }
    if (row->release != NULL) {
        row->release(prepare.private_data);
    }
    free(prepare.private_data);
    free(scratch);
    return result;
}

static double epilogue_of(const tare_epilogue *epilogue, double x, double y) {
    const double a = (double)epilogue->a, b = (double)epilogue->b;
    const double line = a * x + b;
    switch (epilogue->kind) {
    case TARE_EPILOGUE_CLIP:
        return x < a ? a : (x > b ? b : x);
    case TARE_EPILOGUE_LEAKY_RELU:
        return x < 0.0 ? a * x : x;
    case TARE_EPILOGUE_SIGMOID:
        return 1.0 / (1.0 + exp(-x));
    case TARE_EPILOGUE_TANH:
        return tanh(x);
    case TARE_EPILOGUE_SWISH:
        return x / (1.0 + exp(-x));
    case TARE_EPILOGUE_HARD_SIGMOID:
        return line < 0.0 ? 0.0 : (line > 1.0 ? 1.0 : line);
    case TARE_EPILOGUE_HARD_SWISH:
        return x * (line < 0.0 ? 0.0 : (line > 1.0 ? 1.0 : line));
    case TARE_EPILOGUE_ADD:
        return x + y;
    }
    return (double)NAN;
}

/* What the epilogues make of the CPU's result, all in plain layout and float32. */
static void apply_epilogues(operands *cpu, const kernel_case *test) {
    const int64_t count = tare_desc_count(&cpu->outputs[0].desc);
    float *out = cpu->outputs[0].data;

    for (int64_t i = 0; i < count; i++) {
        size_t extra = test->input_count;
        double x = (double)out[i];
        for (size_t e = 0; e < test->epilogue_count; e++) {
            const bool add = test->epilogues[e].kind == TARE_EPILOGUE_ADD;
            const double y = add ? (double)((const float *)cpu->inputs[extra].data)[i] : 0.0;
            extra += add ? 1 : 0;
            x = epilogue_of(&test->epilogues[e], x, y);
        }
        out[i] = (float)x;
    }
}

/* The first row of the CPU backend that takes the operands computes `cpu`'s plain outputs. */
static outcome run_cpu(operands *cpu, const kernel_case *test) {
    const variant plain = {.storage = TARE_DTYPE_FLOAT};
    outcome result = {.status = TARE_NOT_FOUND};
    const tare_kernel *row;

    for (size_t nth = 0; (row = tare_backend_kernel(&tare_backend_cpu, test->kernel, nth)) != NULL;
         nth++) {
        operands placed;
        operands_init(&placed, test, &plain, row->layout);
        for (size_t i = 0; i < test->input_count; i++) {
            if (cpu->inputs[i].desc.rank >= 0) {
                transfer(&placed.inputs[i], &cpu->inputs[i]);
            }
        }
        result = run_row(row, test, &placed, NULL);
        for (size_t o = 0; o < test->output_count && result.status == TARE_OK; o++) {
            if (cpu->outputs[o].desc.rank >= 0) {
                transfer(&cpu->outputs[o], &placed.outputs[o]);
            }
        }
        operands_free(&placed);
        if (result.status != TARE_UNSUPPORTED) {
            break;
        }
    }
    if (result.status == TARE_OK && test->epilogue_count > 0) {
        apply_epilogues(cpu, test);
    }
    return result;
}

static bool near(double got, double wanted, const kernel_case *test, tare_dtype dtype) {
    const bool half = dtype == TARE_DTYPE_FLOAT16;
    /* Below the smallest normal number a relative error is one of some quanta. */
    const double quanta = test->relative > 0.0 ? 0x1p-148 : 0.0;
    const double bound = test->relative * fabs(wanted) + test->absolute + quanta +
                         (half ? test->half_absolute : 0.0);
    double low = wanted - bound, high = wanted + bound;
    if (isnan(wanted) || isnan(got)) {
        return isnan(wanted) && isnan(got);
    }
    if (isinf(wanted)) {
        return got == wanted;
    }
    if (half) {
        /* Rounding keeps order, so the rounded ends hold every rounded number between them. */
        low = (double)tare_half_to_float(tare_float_to_half((float)low));
        high = (double)tare_half_to_float(tare_float_to_half((float)high));
    } else {
        high = high > (double)FLT_MAX ? (double)INFINITY : high;
        low = low < -(double)FLT_MAX ? -(double)INFINITY : low;
    }
    return got >= low && got <= high;
}

static void compare(outcome *result, const block *got, const block *wanted, const kernel_case *test,
                    size_t output) {
    block plain = block_new(wanted->desc, 0);
    const tare_accessor *access = tare_accessor_of(wanted->desc.dtype);
    const int64_t count = tare_desc_count(&wanted->desc);

    transfer(&plain, got);
    for (int64_t i = 0; i < count && result->text[0] == '\0'; i++) {
        const double x = access->real(plain.data, i), y = access->real(wanted->data, i);
        const bool right = is_real(wanted->desc.dtype)
                               ? near(x, y, test, got->desc.dtype)
                               : access->integer(plain.data, i) == access->integer(wanted->data, i);
        if (!right) {
            snprintf(result->text, sizeof result->text,
                     "output %zu, element %lld of %lld: %.9g, expected %.9g (apart by %.3g)",
                     output, (long long)i, (long long)count, x, y, fabs(x - y));
        }
    }
    free(plain.memory);
}

/* Whether output 0 may be the memory of input 0 in this variant. */
static bool can_be_in_place(const operands *all, const kernel_case *test, const tare_kernel *row) {
    return row->in_place && test->input_count > 0 && !test->inputs[0].constant &&
           memcmp(&all->inputs[0].desc, &all->outputs[0].desc, sizeof(tare_desc)) == 0;
}

static outcome run_device(const tare_kernel *row, const kernel_case *test, operands *all,
                          const variant *how) {
    tare_device device =
        on_device(how->storage == TARE_DTYPE_FLOAT ? TARE_PRECISION_FP32 : TARE_PRECISION_FP16);
    const block own = all->outputs[0];
    outcome result;

    if (test->device != NULL) {
        device.api = test->device->api;
        device.blas = test->device->blas;
        device.convolutions = test->device->convolutions;
    }

    if (how->in_place) {
        all->outputs[0] = all->inputs[0];
    }
    emulator_set(how->settings != NULL ? *how->settings
                                       : schedule_at(how->schedule % SCHEDULE_COUNT));
    result = run_row(row, test, all, &device);
    if (how->in_place) {
        if (result.status == TARE_OK) {
            memcpy(own.data, all->inputs[0].data, tare_desc_bytes(&own.desc));
        }
        all->outputs[0] = own;
    }
    if (result.text[0] == '\0' && emulator_failure() != NULL) {
        snprintf(result.text, sizeof result.text, "%s", emulator_failure());
    }
    return result;
}

/* Gives both sides the same inputs: what is left of them when they are stored on the device. */
static void fill_inputs(operands *cuda, operands *cpu, const kernel_case *test) {
    for (size_t i = 0; i < cuda->input_count; i++) {
        const kernel_operand made = {.low = -2.0, .high = 2.0};
        if (cuda->inputs[i].desc.rank >= 0) {
            fill(&cpu->inputs[i], i < test->input_count ? &test->inputs[i] : &made,
                 (uint32_t)i + 1);
            transfer(&cuda->inputs[i], &cpu->inputs[i]);
            transfer(&cpu->inputs[i], &cuda->inputs[i]);
        }
    }
}

static const char *describe(char *text, size_t bytes, const kernel_case *test, const variant *how) {
    static const char *const names[LAYOUTS_COUNT] = {"plain", "channels-last", "mixed"};
    size_t at =
        (size_t)snprintf(text, bytes, "%s, %s, %s, offset %zu%s, schedule %u:", test->kernel,
                         names[how->layouts], tare_dtype_text(how->storage), how->offset,
                         how->in_place ? ", in place" : "", how->schedule);
    for (size_t i = 0; i < test->input_count && at < bytes; i++) {
        char dims[TARE_DIMS_TEXT_BYTES];
        at += (size_t)snprintf(
            text + at, bytes - at, " %s%s%s",
            tare_dims_text(dims, sizeof dims, test->inputs[i].rank, test->inputs[i].dims),
            tare_dtype_text(test->inputs[i].dtype), test->inputs[i].constant ? "=" : "");
    }
    return text;
}

/* Lets one row compute the case and compares. TARE_UNSUPPORTED: it does not want to; the text says
 * why. */
static outcome try_row(const tare_kernel *row, const kernel_case *test, const variant *how) {
    const variant plain = {.storage = TARE_DTYPE_FLOAT};
    operands cuda, cpu;
    outcome result = {.status = TARE_OK};

    operands_init(&cuda, test, how, row->layout);
    operands_init(&cpu, test, &plain, TARE_LAYOUT_RULE_PLAIN);
    fill_inputs(&cuda, &cpu, test);
    if (!how->in_place || can_be_in_place(&cuda, test, row)) {
        result = run_device(row, test, &cuda, how);
        if (result.status == TARE_OK) {
            const outcome reference = run_cpu(&cpu, test);
            cr_assert_eq(reference.status, TARE_OK, "%s by the CPU: %s", test->kernel,
                         reference.error.text);
        }
        for (size_t o = 0; o < test->output_count && result.status == TARE_OK; o++) {
            if (cpu.outputs[o].desc.rank >= 0 && result.text[0] == '\0') {
                compare(&result, &cuda.outputs[o], &cpu.outputs[o], test, o);
            }
        }
    }
    operands_free(&cuda);
    operands_free(&cpu);
    return result;
}

/* The rows of one name in order of preference, as the planner asks them. */
static void check_variant(const tare_kernel_table *table, const kernel_case *test,
                          const variant *how) {
    const tare_backend backend = {.name = "cuda", .tables = &table, .table_count = 1};
    const bool must = !test->refused && how->layouts != LAYOUTS_FIRST_LAST;
    outcome result = {.status = TARE_NOT_FOUND};
    const tare_kernel *row;
    char text[600];

    for (size_t nth = 0; (row = tare_backend_kernel(&backend, test->kernel, nth)) != NULL; nth++) {
        result = try_row(row, test, how);
        if (result.status != TARE_UNSUPPORTED) {
            break;
        }
    }
    describe(text, sizeof text, test, how);
    if (result.status == TARE_UNSUPPORTED) {
        cr_expect(!must, "%s unsupported: %s", text, result.error.text);
    } else {
        cr_expect_eq(result.status, TARE_OK, "%s %s", text, result.error.text);
        cr_expect(!test->refused || how->in_place, "%s is not refused", text);
        cr_expect(result.text[0] == '\0', "%s %s", text, result.text);
    }
}

void kernel_case_check(const tare_kernel_table *table, const kernel_case *test) {
    static const tare_dtype storages[] = {TARE_DTYPE_FLOAT, TARE_DTYPE_FLOAT16};
    unsigned schedule = 0;

    for (int l = 0; l < LAYOUTS_COUNT; l++) {
        for (size_t s = 0; s < 2; s++) {
            for (size_t at = 0; at < 3; at++) {
                const variant how = {.layouts = (layouts)l,
                                     .storage = storages[s],
                                     .offset = at == 1 && !test->aligned ? 1 : 0,
                                     .in_place = at == 2,
                                     .schedule = schedule++};
                check_variant(table, test, &how);
            }
        }
    }
}

bool kernel_case_is_right(const tare_kernel_table *table, const kernel_case *test,
                          emulator_settings settings) {
    const tare_backend backend = {.name = "cuda", .tables = &table, .table_count = 1};
    const tare_kernel *row = tare_backend_kernel(&backend, test->kernel, 0);
    const variant how = {.storage = TARE_DTYPE_FLOAT, .settings = &settings};
    const outcome result = try_row(row, test, &how);
    return result.status == TARE_OK && result.text[0] == '\0';
}

void kernel_case_check_all(const tare_kernel_table *table, const kernel_case *tests, size_t count) {
    for (size_t i = 0; i < count; i++) {
        kernel_case_check(table, &tests[i]);
    }
}
