/* SPDX-License-Identifier: Apache-2.0 */
/** Depthwise Conv of one or two spatial dims with constant weights; others are left to cuDNN. */
#include "cuda/depthwise.h"

#include <stdlib.h>
#include <string.h>

#include "cuda/kernels.h"
#include "ops/attrs.h"

typedef struct depthwise_state {
    tare_depthwise work; /* without the operands of a run */
    tare_device *device;
    void *memory;    /* device memory: weights, bias */
    size_t residual; /* which input an addition takes */
} depthwise_state;

static bool is_constant_float(const tare_prepare *prepare, size_t port) {
    return prepare->constants[port] != NULL && prepare->constants[port]->dtype == TARE_DTYPE_FLOAT;
}

static bool has_bias(const tare_prepare *prepare) {
    return prepare->input_count > 2 && prepare->inputs[2].rank >= 0;
}

static tare_status check_operands(const tare_prepare *prepare, tare_error *err) {
    const tare_conv_attrs *attrs = prepare->attrs;
    const tare_desc *x = &prepare->inputs[0], *w = &prepare->inputs[1];
    const tare_desc *y = &prepare->outputs[0];

    if ((attrs->window.rank != 1 && attrs->window.rank != 2) || x->rank != attrs->window.rank + 2 ||
        attrs->group != x->dims[1] || w->dims[0] != attrs->group || w->dims[1] != 1) {
        return tare_fail(err, TARE_UNSUPPORTED, "the convolution is not depthwise");
    }
    if (x->dtype != y->dtype || (x->dtype != TARE_DTYPE_FLOAT && x->dtype != TARE_DTYPE_FLOAT16) ||
        x->layout != TARE_LAYOUT_CHANNELS_LAST || y->layout != TARE_LAYOUT_CHANNELS_LAST) {
        return tare_fail(err, TARE_UNSUPPORTED, "depthwise convolution of %s to %s elements",
                         tare_dtype_text(x->dtype), tare_dtype_text(y->dtype));
    }
    if (!is_constant_float(prepare, 1) || (has_bias(prepare) && !is_constant_float(prepare, 2))) {
        return tare_fail(err, TARE_UNSUPPORTED, "weights that are not constant float32");
    }
    return TARE_OK;
}

/* Kernels count positions in 32 bits. */
static bool positions_fit(const tare_window *window, const tare_desc *x, const tare_desc *y) {
    bool fit = x->dims[0] <= INT32_MAX && x->dims[1] <= INT32_MAX;
    for (int d = 0; d < window->rank; d++) {
        const int64_t limit = (int64_t)1 << 29, out = y->dims[d + 2];
        fit = fit && x->dims[d + 2] < limit && out < limit && window->stride[d] < limit &&
              window->dilation[d] < limit && window->kernel[d] < limit &&
              window->pad_begin[d] < limit && window->pad_begin[d] > -limit &&
              out * window->stride[d] < limit && window->kernel[d] * window->dilation[d] < limit;
    }
    return fit;
}

/* One spatial dim is a row of an image of one row. */
static void set_window(tare_depthwise *work, const tare_window *window, const tare_desc *x,
                       const tare_desc *y) {
    const int first = 2 - window->rank;
    for (int i = 0; i < 2; i++) {
        const int d = i - first;
        const bool spatial = d >= 0;
        work->size[i] = spatial ? (int32_t)x->dims[d + 2] : 1;
        work->output[i] = spatial ? (int32_t)y->dims[d + 2] : 1;
        work->kernel[i] = spatial ? (int32_t)window->kernel[d] : 1;
        work->stride[i] = spatial ? (int32_t)window->stride[d] : 1;
        work->dilation[i] = spatial ? (int32_t)window->dilation[d] : 1;
        work->padding[i] = spatial ? (int32_t)window->pad_begin[d] : 0;
    }
    work->samples = (int32_t)x->dims[0];
    work->channels = (int32_t)x->dims[1];
    work->dtype = x->dtype;
}

static tare_status set_epilogues(depthwise_state *state, const tare_prepare *prepare,
                                 tare_error *err) {
    size_t additions = 0;
    for (size_t i = 0; i < prepare->epilogue_count; i++) {
        additions += prepare->epilogues[i].kind == TARE_EPILOGUE_ADD ? 1 : 0;
        state->work.epilogues[i] = prepare->epilogues[i];
    }
    if (additions > 1) {
        return tare_fail(err, TARE_UNSUPPORTED, "%zu additions behind a depthwise convolution",
                         additions);
    }
    state->work.epilogue_count = (uint32_t)prepare->epilogue_count;
    state->residual = additions == 1 ? prepare->input_count : SIZE_MAX;
    return TARE_OK;
}

/* [channels][taps] becomes [taps][channels], with the bias (or zeros) in the last row. */
static tare_status upload_weights(depthwise_state *state, tare_prepare *prepare, tare_error *err) {
    const size_t channels = (size_t)state->work.channels;
    const size_t taps = (size_t)state->work.kernel[0] * (size_t)state->work.kernel[1];
    const float *weights = prepare->constants[1]->data;
    const size_t bytes = (taps + 1) * channels * sizeof(float);
    float *packed = calloc(bytes + 1, 1);
    tare_status status;

    if (packed == NULL) {
        return tare_fail_memory(err, bytes, "a kernel");
    }
    for (size_t t = 0; t < taps; t++) {
        for (size_t c = 0; c < channels; c++) {
            packed[t * channels + c] = weights[c * taps + t];
        }
    }
    if (has_bias(prepare)) {
        memcpy(packed + taps * channels, prepare->constants[2]->data, channels * sizeof(float));
    }
    status = tare_cuda_upload(&state->memory, state->device, packed, bytes, err);
    free(packed);
    if (status == TARE_OK) {
        state->work.weights = state->memory;
        state->work.bias = state->work.weights + taps * channels;
        prepare->weight_bytes = bytes;
        prepare->unread = (uint64_t)1 << 1 | (has_bias(prepare) ? (uint64_t)1 << 2 : 0);
    }
    return status;
}

static tare_status depthwise_prepare(tare_prepare *prepare, tare_error *err) {
    const tare_conv_attrs *attrs = prepare->attrs;
    const tare_desc *x = &prepare->inputs[0], *y = &prepare->outputs[0];
    depthwise_state *state = prepare->private_data;

    TARE_TRY(check_operands(prepare, err));
    if (!positions_fit(&attrs->window, x, y)) {
        return tare_fail(err, TARE_UNSUPPORTED, "the image is too large");
    }
    state->device = prepare->device;
    set_window(&state->work, &attrs->window, x, y);
    TARE_TRY(set_epilogues(state, prepare, err));
    return upload_weights(state, prepare, err);
}

static tare_status depthwise_run(const tare_run *run, tare_error *err) {
    const depthwise_state *state = run->private_data;
    tare_depthwise work = state->work;

    work.x = run->inputs[0];
    work.y = run->outputs[0];
    work.residual = state->residual != SIZE_MAX ? run->inputs[state->residual] : NULL;
    return tare_depthwise_start(&work, run->queue->stream, err);
}

static void depthwise_release(void *private_data) {
    depthwise_state *state = private_data;
    if (state->memory != NULL) {
        tare_cuda_free(state->device, state->memory);
    }
}

static const tare_kernel rows[] = {
    {.name = "Conv",
     .private_size = sizeof(depthwise_state),
     .layout = TARE_LAYOUT_RULE_LAST,
     .takes_epilogues = true,
     .prepare = depthwise_prepare,
     .run = depthwise_run,
     .release = depthwise_release},
};

const tare_kernel_table tare_cuda_depthwise_table = {rows, sizeof rows / sizeof rows[0]};
