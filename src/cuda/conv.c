/* SPDX-License-Identifier: Apache-2.0 */
/** Conv and ConvTranspose by cuDNN, activations channels-last; see cuda/conv.h. */
#include "cuda/conv.h"

#include <stdlib.h>
#include <string.h>

#include "cuda/conv_cache.h"
#include "cuda/conv_epilogue.h"
#include "cuda/kernels.h"
#include "ir/half.h"

/* cuDNN does not say what alignment it wants of a workspace; this is that of device memory. */
#define WORKSPACE_ALIGNMENT 256

/* Constants lie so many bytes apart, as far as tensors promise to be aligned. */
#define CONSTANT_STEP       ((size_t)TARE_CUDNN_ALIGNMENT)

typedef struct conv_state {
    tare_device *device;
    tare_conv_entry *entry;
    void *weights;
    void *numbers;         /* device memory: the bias, then constants; NULL when there are none */
    size_t first_constant; /* byte of `numbers` */
    size_t residual_input; /* number of the input that an addition takes */
    size_t constant_count;
    bool bias, residual, then; /* then: the epilogue runs behind the plan */
    tare_conv_epilogue epilogue;
} conv_state;

static tare_status upload_weights(tare_prepare *prepare, conv_state *state,
                                  const tare_conv_spec *spec, tare_error *err) {
    const size_t bytes = tare_conv_weight_bytes(spec);
    void *packed = malloc(bytes);
    tare_status status;
    if (packed == NULL) {
        return tare_fail_memory(err, bytes, "packed weights");
    }
    tare_conv_weights_pack(packed, prepare->constants[1]->data, spec);
    status = tare_cuda_upload(&state->weights, state->device, packed, bytes, err);
    free(packed);
    prepare->weight_bytes += bytes;
    return status;
}

/* Plans take the bias in the storage type, our kernel behind them takes float32. */
static void store_bias(void *out, const float *bias, size_t channels, bool half) {
    for (size_t i = 0; i < channels; i++) {
        if (half) {
            ((uint16_t *)out)[i] = tare_half_from_double((double)bias[i]);
        } else {
            ((float *)out)[i] = bias[i];
        }
    }
}

/* Bias and constants in one piece of memory. */
static tare_status upload_numbers(tare_prepare *prepare, conv_state *state,
                                  const tare_conv_spec *spec, tare_error *err) {
    const size_t channels = spec->bias ? (size_t)tare_conv_spec_channels(spec) : 0;
    const bool half = spec->storage == TARE_DTYPE_FLOAT16 && tare_conv_entry_fused(state->entry);
    tare_conv_constants constants;
    tare_status status;

    tare_conv_graph_constants(&constants, spec);
    state->constant_count = constants.count;
    state->first_constant =
        (channels * (half ? sizeof(uint16_t) : sizeof(float)) + CONSTANT_STEP - 1) / CONSTANT_STEP *
        CONSTANT_STEP;
    const size_t bytes = state->first_constant + constants.count * CONSTANT_STEP;
    if (bytes == 0) {
        return TARE_OK;
    }
    char *numbers = calloc(bytes, 1);
    if (numbers == NULL) {
        return tare_fail_memory(err, bytes, "a bias");
    }
    if (spec->bias) {
        store_bias(numbers, prepare->constants[2]->data, channels, half);
    }
    for (size_t i = 0; i < constants.count; i++) {
        memcpy(numbers + state->first_constant + i * CONSTANT_STEP, &constants.values[i],
               sizeof constants.values[i]);
    }
    status = tare_cuda_upload(&state->numbers, state->device, numbers, bytes, err);
    free(numbers);
    prepare->weight_bytes += bytes;
    return status;
}

/* What run needs to know of the epilogues. */
static void describe_epilogues(conv_state *state, const tare_conv_spec *spec, size_t input_count) {
    tare_conv_epilogue *epilogue = &state->epilogue;
    state->bias = spec->bias;
    state->residual_input = input_count;
    state->then = tare_conv_spec_has_epilogue(spec) && !tare_conv_entry_fused(state->entry);
    epilogue->dtype = spec->storage;
    epilogue->count = tare_conv_spec_count(spec);
    epilogue->channels = tare_conv_spec_channels(spec);
    epilogue->step_count = (int)spec->epilogue_count;
    for (size_t i = 0; i < spec->epilogue_count; i++) {
        const tare_epilogue *from = &spec->epilogues[i];
        epilogue->steps[i] = (tare_conv_step){(int)from->kind, from->a, from->b};
        state->residual = state->residual || from->kind == TARE_EPILOGUE_ADD;
    }
}

static tare_status check_additions(const tare_prepare *prepare, tare_error *err) {
    size_t count = 0;
    for (size_t i = 0; i < prepare->epilogue_count; i++) {
        count += prepare->epilogues[i].kind == TARE_EPILOGUE_ADD ? 1U : 0U;
    }
    return count <= 1
               ? TARE_OK
               : tare_fail(err, TARE_UNSUPPORTED, "%zu additions behind a convolution", count);
}

static tare_status prepare_conv(tare_prepare *prepare, bool transposed, tare_error *err) {
    conv_state *state = prepare->private_data;
    tare_device *device = prepare->device;
    tare_conv_spec spec;
    size_t workspace;

    TARE_TRY(check_additions(prepare, err));
    TARE_TRY(tare_conv_spec_read(&spec, prepare, transposed, device->precision, err));
    state->device = device;
    TARE_TRY(tare_conv_cache_get(&state->entry, device->convolutions, &spec, err));
    TARE_TRY(upload_weights(prepare, state, &spec, err));
    TARE_TRY(upload_numbers(prepare, state, &spec, err));
    describe_epilogues(state, &spec, prepare->input_count);
    workspace = tare_conv_entry_workspace(state->entry);
    prepare->scratch_bytes = workspace > 0 ? workspace + WORKSPACE_ALIGNMENT : 0;
    /* Without a bias, input 2 is what an addition takes. */
    prepare->unread = (uint64_t)1 << 1 | (uint64_t)(spec.bias ? 1 : 0) << 2;
    return TARE_OK;
}

static tare_status prepare_forward(tare_prepare *prepare, tare_error *err) {
    return prepare_conv(prepare, false, err);
}

static tare_status prepare_transposed(tare_prepare *prepare, tare_error *err) {
    return prepare_conv(prepare, true, err);
}

/* Our own kernels stand before cuDNN for these, whose plans take it longest. */
static bool is_depthwise(const tare_conv_spec *spec) {
    return !spec->transposed && spec->w[1] == 1 && spec->x[1] > 1 && spec->x[1] == spec->y[1];
}

static void announce(const tare_prepare *prepare, bool transposed) {
    tare_device *device = prepare->device;
    tare_conv_spec spec;
    if (check_additions(prepare, NULL) == TARE_OK &&
        tare_conv_spec_read(&spec, prepare, transposed, device->precision, NULL) == TARE_OK &&
        !is_depthwise(&spec)) {
        tare_conv_cache_announce(device->convolutions, &spec);
    }
}

static void announce_forward(const tare_prepare *prepare) {
    announce(prepare, false);
}

static void announce_transposed(const tare_prepare *prepare) {
    announce(prepare, true);
}

/** Tensors of one run. */
typedef struct bound_tensors {
    size_t count;
    int64_t ids[TARE_CONV_MAX_IDS];
    void *pointers[TARE_CONV_MAX_IDS];
} bound_tensors;

/* cuDNN takes pointers to what it only reads as pointers to what it may write. */
static void bind(bound_tensors *tensors, int64_t id, const void *pointer) {
    tensors->ids[tensors->count] = id;
    memcpy(&tensors->pointers[tensors->count++], &pointer, sizeof pointer);
}

static void bind_all(bound_tensors *tensors, const conv_state *state, const tare_run *run) {
    tensors->count = 0;
    bind(tensors, TARE_CONV_ID_INPUT, run->inputs[0]);
    bind(tensors, TARE_CONV_ID_WEIGHTS, state->weights);
    bind(tensors, TARE_CONV_ID_OUTPUT, run->outputs[0]);
    if (state->then) {
        return;
    }
    if (state->bias) {
        bind(tensors, TARE_CONV_ID_BIAS, state->numbers);
    }
    if (state->residual) {
        bind(tensors, TARE_CONV_ID_RESIDUAL, run->inputs[state->residual_input]);
    }
    for (size_t i = 0; i < state->constant_count; i++) {
        bind(tensors, TARE_CONV_ID_CONSTANT + (int64_t)i,
             (const char *)state->numbers + state->first_constant + i * CONSTANT_STEP);
    }
}

static void *align(void *memory) {
    const size_t over = (uintptr_t)memory % WORKSPACE_ALIGNMENT;
    return over == 0 ? memory : (char *)memory + (WORKSPACE_ALIGNMENT - over);
}

static tare_status run_conv(const tare_run *run, tare_error *err) {
    const conv_state *state = run->private_data;
    bound_tensors tensors;

    bind_all(&tensors, state, run);
    const tare_cudnn_binding binding = {
        tensors.count, tensors.ids, tensors.pointers,
        tare_conv_entry_workspace(state->entry) > 0 ? align(run->scratch) : NULL};
    TARE_TRY(tare_conv_entry_run(state->entry, run->queue, &binding, err));
    if (!state->then) {
        return TARE_OK;
    }
    tare_conv_epilogue epilogue = state->epilogue;
    epilogue.data = run->outputs[0];
    epilogue.bias = state->bias ? state->numbers : NULL;
    epilogue.residual = state->residual ? run->inputs[state->residual_input] : NULL;
    return tare_cuda_conv_epilogue(&epilogue, run->queue->stream, err);
}

static void release_conv(void *private_data) {
    conv_state *state = private_data;
    if (state->device != NULL) {
        tare_cuda_free(state->device, state->weights);
        tare_cuda_free(state->device, state->numbers);
    }
    memset(state, 0, sizeof *state);
}

static const tare_kernel rows[] = {
    {.name = "Conv",
     .private_size = sizeof(conv_state),
     .layout = TARE_LAYOUT_RULE_LAST,
     .takes_epilogues = true,
     .prepare = prepare_forward,
     .run = run_conv,
     .release = release_conv,
     .announce = announce_forward},
    {.name = "ConvTranspose",
     .private_size = sizeof(conv_state),
     .layout = TARE_LAYOUT_RULE_LAST,
     .takes_epilogues = true,
     .prepare = prepare_transposed,
     .run = run_conv,
     .release = release_conv,
     .announce = announce_transposed},
};

const tare_kernel_table tare_cuda_conv_table = {rows, sizeof rows / sizeof rows[0]};
