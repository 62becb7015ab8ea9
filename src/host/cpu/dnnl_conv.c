/* SPDX-License-Identifier: Apache-2.0 */
/** Conv and ConvTranspose through oneDNN, activations channels-last, weights packed at prepare. */
#include "cpu/dnnl_kernels.h"
#include "cpu/dnnl_linear.h"
#include "ops/attrs.h"

/** A window with at least two spatial dims. */
typedef struct wide_window {
    int rank;
    int64_t kernel[TARE_MAX_SPATIAL], stride[TARE_MAX_SPATIAL], dilation[TARE_MAX_SPATIAL];
    int64_t pad_begin[TARE_MAX_SPATIAL], pad_end[TARE_MAX_SPATIAL];
} wide_window;

/**
 * Gives one-dimensional operands a height of 1. oneDNN's best implementations (among them all
 * depthwise ones) want at least two spatial dims; memory is the same in both views.
 */
static tare_desc widen(const tare_desc *desc) {
    tare_desc wide = *desc;
    if (desc->rank == 3) {
        wide.rank = 4;
        wide.dims[2] = 1;
        wide.dims[3] = desc->dims[2];
    }
    return wide;
}

static wide_window widen_window(const tare_window *window) {
    wide_window wide = {.rank = window->rank};
    int at = 0;
    if (window->rank == 1) {
        wide.rank = 2;
        wide.kernel[0] = wide.stride[0] = wide.dilation[0] = 1;
        at = 1;
    }
    for (int axis = 0; axis < window->rank; axis++, at++) {
        wide.kernel[at] = window->kernel[axis];
        wide.stride[at] = window->stride[axis];
        wide.dilation[at] = window->dilation[axis];
        wide.pad_begin[at] = window->pad_begin[axis];
        wide.pad_end[at] = window->pad_end[axis];
    }
    return wide;
}

/**
 * The weights as oneDNN names their axes: [group,] output channels, input channels, window.
 * ONNX merges the groups into axis 0, which counts output channels in Conv and input channels in
 * ConvTranspose.
 */
static tare_dnnl_view view_weights(const tare_desc *weights, int64_t group, bool transposed) {
    const tare_dnnl_place place = {TARE_DNNL_INPUT, 1};
    const tare_dnnl_view plain = tare_dnnl_view_of(weights, place);
    const int first = transposed ? 1 : 0;
    tare_dnnl_view view = {.place = place};
    if (group > 1) {
        view.dims[0] = group;
        view.strides[0] = plain.dims[0] / group * plain.strides[0];
        view.rank = 1;
    }
    const int64_t per_group[2] = {plain.dims[0] / group, plain.dims[1]};
    for (int i = 0; i < 2; i++) {
        view.dims[view.rank] = per_group[i ^ first];
        view.strides[view.rank++] = plain.strides[i ^ first];
    }
    for (int axis = 2; axis < plain.rank; axis++) {
        view.dims[view.rank] = plain.dims[axis];
        view.strides[view.rank++] = plain.strides[axis];
    }
    return view;
}

/**
 * Sets the end pads of a transposed convolution from its shapes, in which output_padding is
 * resolved: outputs beyond those of the window are the same as smaller (or negative) pads.
 */
static void resolve_end_pads(wide_window *window, const tare_desc *src, const tare_desc *dst) {
    for (int axis = 0; axis < window->rank; axis++) {
        const int64_t reach = (window->kernel[axis] - 1) * window->dilation[axis] + 1;
        window->pad_end[axis] = window->stride[axis] * (src->dims[2 + axis] - 1) + reach -
                                window->pad_begin[axis] - dst->dims[2 + axis];
    }
}

/** How a layer is computed. */
typedef enum conv_kind {
    CONV_DIRECT,
    CONV_TRANSPOSED,
    CONV_MIRRORED /**< a transposed convolution as the convolution that it is with stride 1 */
} conv_kind;

static tare_status check_pads(const wide_window *window, tare_error *err) {
    for (int axis = 0; axis < window->rank; axis++) {
        /* oneDNN takes an end pad below zero as long as it leaves a full window. */
        if (window->pad_begin[axis] < 0 || window->pad_end[axis] <= -window->stride[axis]) {
            return tare_fail(err, TARE_UNSUPPORTED, "pads %lld and %lld on spatial axis %d",
                             (long long)window->pad_begin[axis], (long long)window->pad_end[axis],
                             axis);
        }
    }
    return TARE_OK;
}

static wide_window window_of(const tare_conv_attrs *attrs, conv_kind kind, const tare_desc *src,
                             const tare_desc *dst) {
    wide_window window = widen_window(&attrs->window);
    if (kind != CONV_DIRECT) {
        resolve_end_pads(&window, src, dst);
    }
    for (int axis = 0; axis < window.rank && kind == CONV_MIRRORED; axis++) {
        const int64_t reach = (window.kernel[axis] - 1) * window.dilation[axis];
        window.pad_begin[axis] = reach - window.pad_begin[axis];
        window.pad_end[axis] = reach - window.pad_end[axis];
    }
    return window;
}

static tare_status prepare_conv(tare_prepare *prepare, conv_kind kind, tare_error *err) {
    const tare_conv_attrs *attrs = prepare->attrs;
    TARE_TRY(tare_dnnl_check_operands(prepare, err));
    const tare_desc src = widen(&prepare->inputs[0]), dst = widen(&prepare->outputs[0]);
    const tare_desc weights = widen(&prepare->inputs[1]);
    if (src.rank < 4 || src.rank > 5) {
        return tare_fail(err, TARE_UNSUPPORTED, "expected 1 to 3 spatial dims, got rank %d",
                         prepare->inputs[0].rank);
    }
    const wide_window wide = window_of(attrs, kind, &src, &dst);
    TARE_TRY(check_pads(&wide, err));
    const tare_dnnl_window window = {.kernel = wide.kernel,
                                     .stride = wide.stride,
                                     .dilation = wide.dilation,
                                     .pad_begin = wide.pad_begin,
                                     .pad_end = wide.pad_end,
                                     .rank = wide.rank};
    TARE_TRY(tare_dnnl_check_sizes(&window, &src, &dst, err));
    const bool backward = kind == CONV_TRANSPOSED;
    const tare_dnnl_place input = {TARE_DNNL_INPUT, 0}, output = {TARE_DNNL_OUTPUT, 0};
    /* The direct algorithm: Winograd's loses digits. */
    tare_dnnl_linear linear = {.make = backward ? tare_dnnl_deconvolution : tare_dnnl_convolution,
                               .window = &window,
                               .algorithm =
                                   backward ? dnnl_deconvolution_direct : dnnl_convolution_direct,
                               .pack = true,
                               .scale = 1.0f,
                               .src = tare_dnnl_view_of(&src, input),
                               .weights = view_weights(&weights, attrs->group, kind != CONV_DIRECT),
                               .dst = tare_dnnl_view_of(&dst, output)};
    if (!backward && attrs->group > 1 && attrs->group == src.dims[1] &&
        attrs->group == dst.dims[1]) {
        /* Its older depthwise kernels are 1.1 to 2 times as fast channels-last as those that
         * oneDNN takes by itself with AVX-512. */
        linear.preferred = "jit_dw";
    }
    if (prepare->input_count > 2 && prepare->inputs[2].rank >= 0) {
        const tare_dnnl_place place = {TARE_DNNL_INPUT, 2};
        linear.bias = tare_dnnl_view_of(&prepare->inputs[2], place);
    }
    TARE_TRY(tare_dnnl_program_open(prepare->private_data, err));
    return tare_dnnl_linear_prepare(prepare, &linear, err);
}

/** The window of each pair of channels in reverse order. */
static tare_status mirror_weights(tare_tensor *out, const tare_tensor *weights, tare_error *err) {
    const float *from = weights->data;
    int64_t taps = 1, count;
    TARE_TRY(tare_tensor_init(out, weights->dtype, weights->rank, weights->dims, err));
    float *to = tare_tensor_elements(out);
    for (int axis = 2; axis < weights->rank; axis++) {
        taps *= weights->dims[axis];
    }
    count = tare_tensor_count(weights);
    for (int64_t start = 0; start < count; start += taps) {
        for (int64_t tap = 0; tap < taps; tap++) {
            to[start + tap] = from[start + taps - 1 - tap];
        }
    }
    return TARE_OK;
}

/** Weights that oneDNN takes as they are must be the mirrored ones too, not the node's. */
static void keep_mirrored(tare_dnnl_program *program, tare_tensor *mirrored) {
    tare_dnnl_step *step = &program->steps[program->step_count - 1];
    for (size_t i = 0; i < step->arg_count; i++) {
        if (step->args[i].id == DNNL_ARG_WEIGHTS && step->args[i].place.space == TARE_DNNL_INPUT) {
            step->args[i].place =
                tare_dnnl_program_keep(program, tare_buffer_retain(mirrored->buffer));
        }
    }
}

/**
 * With stride 1 a transposed convolution is a convolution with its window mirrored, which oneDNN
 * computes about five times as fast.
 */
static tare_status prepare_mirrored(tare_prepare *prepare, tare_error *err) {
    const tare_tensor *constants[3] = {NULL};
    tare_prepare turned = *prepare;
    tare_tensor mirrored = {0};
    tare_status status;

    TARE_TRY(mirror_weights(&mirrored, prepare->constants[1], err));
    for (size_t i = 0; i < prepare->input_count && i < 3; i++) {
        constants[i] = i == 1 ? &mirrored : prepare->constants[i];
    }
    turned.constants = constants;
    status = prepare_conv(&turned, CONV_MIRRORED, err);
    if (status == TARE_OK) {
        keep_mirrored(prepare->private_data, &mirrored);
        tare_dnnl_program_close(prepare->private_data, prepare);
    }
    tare_tensor_release(&mirrored);
    return status;
}

static bool can_mirror(const tare_prepare *prepare) {
    const tare_conv_attrs *attrs = prepare->attrs;
    for (int axis = 0; axis < attrs->window.rank; axis++) {
        if (attrs->window.stride[axis] != 1) {
            return false;
        }
    }
    return prepare->constants[1] != NULL && prepare->constants[1]->dtype == TARE_DTYPE_FLOAT;
}

static tare_status prepare_convolution(tare_prepare *prepare, tare_error *err) {
    return prepare_conv(prepare, CONV_DIRECT, err);
}

static tare_status prepare_transposed(tare_prepare *prepare, tare_error *err) {
    if (can_mirror(prepare) && prepare_mirrored(prepare, err) == TARE_OK) {
        return TARE_OK;
    }
    /* A failed attempt may have left parts of a program. */
    tare_dnnl_release(prepare->private_data);
    return prepare_conv(prepare, CONV_TRANSPOSED, err);
}

static const tare_kernel rows[] = {
    {.name = "Conv",
     .private_size = sizeof(tare_dnnl_program),
     .layout = TARE_LAYOUT_RULE_LAST,
     .takes_epilogues = true,
     .prepare = prepare_convolution,
     .run = tare_dnnl_run,
     .release = tare_dnnl_release},
    {.name = "ConvTranspose",
     .private_size = sizeof(tare_dnnl_program),
     .layout = TARE_LAYOUT_RULE_LAST,
     .takes_epilogues = true,
     .prepare = prepare_transposed,
     .run = tare_dnnl_run,
     .release = tare_dnnl_release},
};

const tare_kernel_table tare_dnnl_conv_table = {rows, sizeof(rows) / sizeof(rows[0])};
