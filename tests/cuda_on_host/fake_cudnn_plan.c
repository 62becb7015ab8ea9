/* SPDX-License-Identifier: Apache-2.0 */
/** Engines of the fake of cuDNN, and plans: made, written, read and run. */
#include <jansson.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "fake_cudnn_parts.h"
#include "fake_stream.h"

/* Of engine 0; odd, so that nobody relies on a multiple. */
#define WORKSPACE_BYTES 1026

/* ---- engines and plans ---- */

static const fake_program *program_of(const fake_descriptor *heuristics) {
    return fake_held(heuristics, CUDNN_ATTR_ENGINEHEUR_OPERATION_GRAPH)->program;
}

/* Engines that compute more than a convolution take its bias in the type of the output. */
static bool knows_bias(const fake_program *program) {
    for (size_t i = 0; i < program->operation_count; i++) {
        const int b = program->operations[i].b;
        const fake_tensor *tensor = b < 0 ? NULL : &program->tensors[b];
        if (tensor != NULL && !tensor->is_virtual && tensor->dims[0] == 1 && tensor->dims[1] > 1 &&
            tensor->dims[2] == 1 && tensor->dims[3] == 1 &&
            tensor->type != program->tensors[program->convolution.w].type) {
            return false;
        }
    }
    return true;
}

static bool supports(int engine, const fake_program *program) {
    const bool single = program->operation_count == 0;
    if (!knows_bias(program)) {
        return false;
    }
    if (engine == 1) {
        return (single || fake_cudnn_now().exact_fusion) && !fake_cudnn_now().only_inexact;
    }
    return single || !fake_cudnn_now().only_single;
}

static size_t propose(int out[FAKE_ENGINES], const fake_descriptor *heuristics) {
    if (fake_choice(heuristics, CUDNN_ATTR_ENGINEHEUR_MODE) == CUDNN_HEUR_MODE_FALLBACK) {
        out[0] = 1;
        return fake_cudnn_now().only_inexact ? 0 : 1;
    }
    out[0] = 2;
    out[1] = 0;
    out[2] = 1;
    return FAKE_ENGINES;
}

static fake_program *copy_program(const fake_program *program) {
    fake_program *copy = malloc(sizeof *copy);
    if (copy != NULL) {
        memcpy(copy, program, sizeof *copy);
    }
    return copy;
}

cudnnStatus_t fake_get_results(const fake_descriptor *heuristics, int64_t capacity, int64_t *count,
                               void *values) {
    int engines[FAKE_ENGINES];
    const size_t proposed = propose(engines, heuristics);
    *count = (int64_t)proposed;
    for (int64_t i = 0; i < capacity && i < *count; i++) {
        fake_descriptor *config = ((fake_descriptor **)values)[i];
        if (config == NULL || config->type != CONFIG || config->finalized) {
            return fake_fail(CUDNN_STATUS_BAD_PARAM_DESCRIPTOR_TYPE,
                             "results go into configurations");
        }
        config->program = copy_program(program_of(heuristics));
        if (config->program == NULL) {
            return fake_fail(CUDNN_STATUS_INTERNAL_ERROR_HOST_ALLOCATION_FAILED, "configuration");
        }
        config->engine = config->program->engine = engines[i];
        config->finalized = true;
    }
    return CUDNN_STATUS_SUCCESS;
}

cudnnStatus_t fake_get_engine(const fake_descriptor *config, int64_t *count, void *values) {
    fake_descriptor *engine = *(fake_descriptor **)values;
    if (engine == NULL || engine->type != ENGINE) {
        return fake_fail(CUDNN_STATUS_BAD_PARAM_DESCRIPTOR_TYPE, "expected an engine");
    }
    engine->engine = config->engine;
    engine->finalized = true;
    *count = 1;
    return CUDNN_STATUS_SUCCESS;
}

cudnnStatus_t fake_get_notes(const fake_descriptor *engine, int64_t capacity, int64_t *count,
                             void *values) {
    static const cudnnBackendNumericalNote_t notes[FAKE_ENGINES][2] = {
        {CUDNN_NUMERICAL_NOTE_TENSOR_CORE, CUDNN_NUMERICAL_NOTE_DOWN_CONVERT_INPUTS},
        {CUDNN_NUMERICAL_NOTE_TYPE_COUNT},
        {CUDNN_NUMERICAL_NOTE_NONDETERMINISTIC}};
    static const int64_t note_counts[FAKE_ENGINES] = {2, 0, 1};
    *count = note_counts[engine->engine];
    memcpy(values, notes[engine->engine],
           (size_t)(*count < capacity ? *count : capacity) * sizeof notes[0][0]);
    return CUDNN_STATUS_SUCCESS;
}

/* ---- plans as text ---- */

static json_t *write_numbers(const int64_t *numbers, int count) {
    json_t *list = json_array();
    for (int i = 0; i < count; i++) {
        (void)json_array_append_new(list, json_integer(numbers[i]));
    }
    return list;
}

static json_t *write_tensor(const fake_tensor *tensor) {
    return json_pack("{s:I,s:I,s:i,s:b,s:o,s:o}", "id", tensor->id, "alignment", tensor->alignment,
                     "type", (int)tensor->type, "virtual", tensor->is_virtual, "dims",
                     write_numbers(tensor->dims, tensor->rank), "strides",
                     write_numbers(tensor->strides, tensor->rank));
}

static json_t *write_program(const fake_program *program) {
    const fake_convolution *c = &program->convolution;
    json_t *tensors = json_array(), *operations = json_array();
    for (size_t i = 0; i < program->tensor_count; i++) {
        (void)json_array_append_new(tensors, write_tensor(&program->tensors[i]));
    }
    for (size_t i = 0; i < program->operation_count; i++) {
        const fake_pointwise *o = &program->operations[i];
        /* JSON has no infinity. */
        (void)json_array_append_new(
            operations, json_pack("{s:i,s:i,s:i,s:i,s:f,s:f,s:f}", "mode", (int)o->mode, "x", o->x,
                                  "b", o->b, "y", o->y, "lower", o->lower, "upper",
                                  isfinite(o->upper) ? o->upper : 1e300, "slope", o->slope));
    }
    return json_pack("{s:s,s:i,s:o,s:{s:b,s:o,s:o,s:o,s:o,s:i,s:i,s:i},s:o}", "fake", "plan",
                     "engine", program->engine, "tensors", tensors, "convolution", "backward",
                     c->backward, "stride", write_numbers(c->stride, c->rank), "dilation",
                     write_numbers(c->dilation, c->rank), "begin", write_numbers(c->begin, c->rank),
                     "end", write_numbers(c->end, c->rank), "x", c->x, "w", c->w, "y", c->y,
                     "operations", operations);
}

static int read_numbers(int64_t *out, const json_t *list, int most) {
    const int count = (int)json_array_size(list);
    for (int i = 0; i < count && i < most; i++) {
        out[i] = json_integer_value(json_array_get(list, (size_t)i));
    }
    return count;
}

static int read_number(const json_t *object, const char *name) {
    return (int)json_integer_value(json_object_get(object, name));
}

static void read_operation(fake_pointwise *out, const json_t *json) {
    out->mode = (cudnnPointwiseMode_t)read_number(json, "mode");
    out->x = read_number(json, "x");
    out->b = read_number(json, "b");
    out->y = read_number(json, "y");
    out->lower = json_real_value(json_object_get(json, "lower"));
    out->upper = json_real_value(json_object_get(json, "upper"));
    out->slope = json_real_value(json_object_get(json, "slope"));
}

static void read_convolution(fake_convolution *out, const json_t *json) {
    out->backward = json_is_true(json_object_get(json, "backward"));
    out->rank = read_numbers(out->stride, json_object_get(json, "stride"), 3);
    (void)read_numbers(out->dilation, json_object_get(json, "dilation"), 3);
    (void)read_numbers(out->begin, json_object_get(json, "begin"), 3);
    (void)read_numbers(out->end, json_object_get(json, "end"), 3);
    out->x = read_number(json, "x");
    out->w = read_number(json, "w");
    out->y = read_number(json, "y");
}

static void read_tensor(fake_tensor *out, const json_t *json) {
    out->id = json_integer_value(json_object_get(json, "id"));
    out->alignment = json_integer_value(json_object_get(json, "alignment"));
    out->type = (cudnnDataType_t)read_number(json, "type");
    out->is_virtual = json_is_true(json_object_get(json, "virtual"));
    out->rank = read_numbers(out->dims, json_object_get(json, "dims"), FAKE_RANK);
    (void)read_numbers(out->strides, json_object_get(json, "strides"), FAKE_RANK);
}

/* Accepts what write_program() made and nothing else, as far as a fake needs to. */
static bool read_program(fake_program *out, const char *text, size_t length) {
    json_t *json = json_loadb(text, length, JSON_REJECT_DUPLICATES, NULL);
    const json_t *tensors = json_object_get(json, "tensors");
    const json_t *operations = json_object_get(json, "operations");
    const char *kind = json_string_value(json_object_get(json, "fake"));
    const bool valid = kind != NULL && strcmp(kind, "plan") == 0 && json_is_array(operations) &&
                       json_array_size(tensors) <= FAKE_TENSORS &&
                       json_array_size(operations) <= FAKE_OPERATIONS;
    if (valid) {
        out->engine = read_number(json, "engine");
        out->tensor_count = json_array_size(tensors);
        out->operation_count = json_array_size(operations);
        for (size_t i = 0; i < out->tensor_count; i++) {
            read_tensor(&out->tensors[i], json_array_get(tensors, i));
        }
        read_convolution(&out->convolution, json_object_get(json, "convolution"));
        for (size_t i = 0; i < out->operation_count; i++) {
            read_operation(&out->operations[i], json_array_get(operations, i));
        }
    }
    json_decref(json);
    return valid;
}

cudnnStatus_t fake_get_text(const fake_descriptor *plan, int64_t capacity, int64_t *count,
                            void *values) {
    json_t *json = fake_cudnn_now().no_text ? NULL : write_program(plan->program);
    char *text = json == NULL ? NULL : json_dumps(json, JSON_COMPACT);
    json_decref(json);
    if (text == NULL) {
        return fake_fail(CUDNN_STATUS_NOT_SUPPORTED, "no text of this plan");
    }
    *count = (int64_t)strlen(text);
    if (capacity > 0) {
        memcpy(values, text, (size_t)(capacity < *count ? capacity : *count));
    }
    free(text);
    return CUDNN_STATUS_SUCCESS;
}

cudnnStatus_t fake_finish_plan(fake_descriptor *of) {
    const fake_descriptor *config = fake_held(of, CUDNN_ATTR_EXECUTION_PLAN_ENGINE_CONFIG);
    const fake_attribute *text = fake_find(of, CUDNN_ATTR_EXECUTION_PLAN_JSON_REPRESENTATION);
    if ((config == NULL) == (text == NULL)) {
        return fake_fail(CUDNN_STATUS_BAD_PARAM, "a plan is made of a configuration or a text");
    }
    of->program = calloc(1, sizeof *of->program);
    if (of->program == NULL) {
        return fake_fail(CUDNN_STATUS_INTERNAL_ERROR_HOST_ALLOCATION_FAILED, "plan");
    }
    if (config == NULL) {
        if (!read_program(of->program, text->values, (size_t)text->count)) {
            return fake_fail(CUDNN_STATUS_BAD_PARAM, "text that is no plan");
        }
    } else {
        memcpy(of->program, config->program, sizeof *of->program);
        fake_count_plan();
    }
    if (!supports(of->program->engine, of->program)) {
        return fake_fail(CUDNN_STATUS_NOT_SUPPORTED, "the engine does not compute this graph");
    }
    fake_plan_lives(of, 1);
    return CUDNN_STATUS_SUCCESS;
}

int64_t fake_workspace(const fake_descriptor *plan) {
    return plan->program->engine == 0 ? WORKSPACE_BYTES : 0;
}

/* ---- executing ---- */

/* One pointer per tensor of the program; the pack has all tensors that lie in memory, no other. */
static cudnnStatus_t bind(void *memory[FAKE_TENSORS], const fake_program *program,
                          const fake_descriptor *pack) {
    const fake_attribute *ids = fake_find(pack, CUDNN_ATTR_VARIANT_PACK_UNIQUE_IDS);
    void *const *pointers = fake_find(pack, CUDNN_ATTR_VARIANT_PACK_DATA_POINTERS)->values;
    int64_t bound = 0;
    for (size_t i = 0; i < program->tensor_count; i++) {
        const fake_tensor *tensor = &program->tensors[i];
        memory[i] = NULL;
        for (int64_t k = 0; k < ids->count; k++) {
            if (((const int64_t *)ids->values)[k] == tensor->id) {
                memory[i] = pointers[k];
                bound++;
            }
        }
        if ((memory[i] == NULL) != tensor->is_virtual) {
            return fake_fail(CUDNN_STATUS_BAD_PARAM_NULL_POINTER,
                             "a tensor without memory, or with");
        }
        if (fake_memory_is_host(memory[i])) {
            return fake_fail(CUDNN_STATUS_BAD_PARAM, "memory of the host");
        }
        if ((uintptr_t)memory[i] % (uintptr_t)tensor->alignment != 0) {
            return fake_fail(CUDNN_STATUS_BAD_PARAM_MISALIGNED_POINTER, "an address");
        }
    }
    return bound == ids->count ? CUDNN_STATUS_SUCCESS
                               : fake_fail(CUDNN_STATUS_BAD_PARAM, "memory for no tensor");
}

/** A run that waits in its stream. */
typedef struct pending_run {
    fake_program program;
    void *memory[FAKE_TENSORS];
    void *scratch;
    size_t scratch_bytes;
} pending_run;

static fake_result run_now(void *context) {
    const pending_run *run = context;
    if (run->scratch_bytes > 0) {
        /* So that one that is too small, or shared with data, is noticed. */
        memset(run->scratch, 0xff, run->scratch_bytes);
    }
    return fake_program_run(&run->program, run->memory) ? cudaSuccess : cudaErrorMemoryAllocation;
}

cudnnStatus_t cudnnBackendExecute(cudnnHandle_t handle, cudnnBackendDescriptor_t plan_,
                                  cudnnBackendDescriptor_t pack_) {
    const fake_descriptor *plan = plan_, *pack = pack_;
    pending_run run;
    if (handle == NULL || plan == NULL || pack == NULL || plan->type != PLAN ||
        pack->type != PACK || !plan->finalized || !pack->finalized) {
        return fake_fail(CUDNN_STATUS_BAD_PARAM, "expected a handle, a plan and a variant pack");
    }
    const fake_attribute *workspace = fake_find(pack, CUDNN_ATTR_VARIANT_PACK_WORKSPACE);
    run.scratch = workspace == NULL ? NULL : *(void *const *)workspace->values;
    run.scratch_bytes = (size_t)fake_workspace(plan);
    if (fake_memory_is_host(run.scratch)) {
        return fake_fail(CUDNN_STATUS_BAD_PARAM, "a workspace of the host");
    }
    if (run.scratch_bytes > 0 && run.scratch == NULL) {
        return fake_fail(CUDNN_STATUS_BAD_PARAM_NULL_POINTER, "no workspace");
    }
    const cudnnStatus_t status = bind(run.memory, plan->program, pack);
    if (status != CUDNN_STATUS_SUCCESS) {
        return status;
    }
    memcpy(&run.program, plan->program, sizeof run.program);
    fake_count_run();
    return fake_stream_add(handle->stream, run_now, &run, sizeof run) == cudaSuccess
               ? CUDNN_STATUS_SUCCESS
               : fake_fail(CUDNN_STATUS_EXECUTION_FAILED_CUDART, "the stream");
}
