/* SPDX-License-Identifier: Apache-2.0 */
/** From a node's operands to the description of a convolution; see the header. */
#include "cuda/conv_spec.h"

#include <string.h>

#include "ir/half.h"

/* Axes of size 1 in front of the spatial ones, so that there are at least two. */
static int widen(int64_t *out, const int64_t *dims, int rank) {
    const int extra = rank == 3 ? 1 : 0;
    memcpy(out, dims, 2 * sizeof *out);
    out[2] = 1;
    memcpy(out + 2 + extra, dims + 2, (size_t)(rank - 2) * sizeof *out);
    return rank + extra;
}

static void read_window(tare_conv_spec *out, const tare_window *window) {
    int at = 0;
    if (window->rank == 1) {
        out->stride[0] = out->dilation[0] = 1;
        at = 1;
    }
    for (int axis = 0; axis < window->rank; axis++, at++) {
        out->stride[at] = window->stride[axis];
        out->dilation[at] = window->dilation[axis];
        out->pad_begin[at] = window->pad_begin[axis];
        out->pad_end[at] = window->pad_end[axis];
    }
}

static tare_status check_types(const tare_prepare *prepare, tare_dtype storage, tare_error *err) {
    const tare_desc *weights = &prepare->inputs[1];
    if (storage != TARE_DTYPE_FLOAT && storage != TARE_DTYPE_FLOAT16) {
        return tare_fail(err, TARE_UNSUPPORTED, "convolution of %s", tare_dtype_text(storage));
    }
    if (prepare->outputs[0].dtype != storage) {
        return tare_fail(err, TARE_UNSUPPORTED, "convolution of %s to %s", tare_dtype_text(storage),
                         tare_dtype_text(prepare->outputs[0].dtype));
    }
    for (size_t i = 1; i < prepare->input_count && i < 3; i++) {
        const tare_tensor *constant = prepare->constants[i];
        if (prepare->inputs[i].rank >= 0 &&
            (constant == NULL || constant->dtype != TARE_DTYPE_FLOAT)) {
            return tare_fail(err, TARE_UNSUPPORTED, "%s that %s not constant float32",
                             i == 1 ? "weights" : "a bias", i == 1 ? "are" : "is");
        }
    }
    if (weights->rank != prepare->inputs[0].rank) {
        return tare_fail(err, TARE_UNSUPPORTED, "weights of rank %d for an input of rank %d",
                         weights->rank, prepare->inputs[0].rank);
    }
    return TARE_OK;
}

static tare_status check_layouts(const tare_prepare *prepare, tare_error *err) {
    if (prepare->inputs[0].layout != TARE_LAYOUT_CHANNELS_LAST ||
        prepare->outputs[0].layout != TARE_LAYOUT_CHANNELS_LAST) {
        return tare_fail(err, TARE_UNSUPPORTED,
                         "convolution of plain operands, expected channels last");
    }
    return TARE_OK;
}

/* A transposed convolution whose output is larger than its window reaches: the forward one would
 * leave the last elements out by rounding down, which needs no pad. */
static void absorb_negative_pads(tare_conv_spec *spec) {
    for (int axis = 0; axis < spec->rank - 2; axis++) {
        if (spec->transposed && spec->pad_end[axis] < 0 &&
            -spec->pad_end[axis] < spec->stride[axis]) {
            spec->pad_end[axis] = 0;
        }
    }
}

static tare_status check_geometry(const tare_conv_spec *spec, tare_error *err) {
    for (int axis = 0; axis < spec->rank - 2; axis++) {
        if (spec->pad_begin[axis] < 0 || spec->pad_end[axis] < 0) {
            return tare_fail(err, TARE_UNSUPPORTED, "pads %lld and %lld on spatial axis %d",
                             (long long)spec->pad_begin[axis], (long long)spec->pad_end[axis],
                             axis);
        }
    }
    if (tare_dims_count(spec->rank, spec->x) < 1 || tare_dims_count(spec->rank, spec->w) < 1 ||
        tare_dims_count(spec->rank, spec->y) < 1) {
        char text[TARE_DIMS_TEXT_BYTES];
        return tare_fail(err, TARE_UNSUPPORTED, "convolution of an operand without elements, %s",
                         tare_dims_text(text, sizeof text, spec->rank, spec->x));
    }
    return TARE_OK;
}

tare_status tare_conv_spec_read(tare_conv_spec *out, const tare_prepare *prepare, bool transposed,
                                tare_precision precision, tare_error *err) {
    const tare_conv_attrs *attrs = prepare->attrs;
    const tare_desc *input = &prepare->inputs[0], *output = &prepare->outputs[0];

    memset(out, 0, sizeof *out);
    if (input->rank < 3 || input->rank > TARE_CONV_RANK || output->rank != input->rank) {
        return tare_fail(err, TARE_UNSUPPORTED, "expected 1 to 3 spatial dims, got rank %d",
                         input->rank);
    }
    TARE_TRY(check_types(prepare, input->dtype, err));
    TARE_TRY(check_layouts(prepare, err));
    out->transposed = transposed;
    out->rank = widen(transposed ? out->y : out->x, input->dims, input->rank);
    widen(transposed ? out->x : out->y, output->dims, output->rank);
    widen(out->w, prepare->inputs[1].dims, input->rank);
    read_window(out, &attrs->window);
    out->storage = input->dtype;
    out->precision = precision;
    out->bias = prepare->input_count > 2 && prepare->inputs[2].rank >= 0;
    out->epilogue_count = prepare->epilogue_count;
    for (size_t i = 0; i < prepare->epilogue_count; i++) {
        out->epilogues[i].kind = prepare->epilogues[i].kind;
        out->epilogues[i].a = prepare->epilogues[i].a;
        out->epilogues[i].b = prepare->epilogues[i].b;
    }
    absorb_negative_pads(out);
    return check_geometry(out, err);
}

const int64_t *tare_conv_spec_output(const tare_conv_spec *spec) {
    return spec->transposed ? spec->x : spec->y;
}

int64_t tare_conv_spec_count(const tare_conv_spec *spec) {
    return tare_dims_count(spec->rank, tare_conv_spec_output(spec));
}

int64_t tare_conv_spec_channels(const tare_conv_spec *spec) {
    return tare_conv_spec_output(spec)[1];
}

bool tare_conv_spec_has_epilogue(const tare_conv_spec *spec) {
    return spec->bias || spec->epilogue_count > 0;
}

static void add_numbers(tare_text *out, const char *name, const int64_t *numbers, int count) {
    tare_text_add(out, " %s=", name);
    for (int i = 0; i < count; i++) {
        tare_text_add(out, "%s%lld", i > 0 ? "," : "", (long long)numbers[i]);
    }
}

void tare_conv_spec_text(tare_text *out, const tare_conv_spec *spec) {
    const int spatial = spec->rank - 2;
    tare_text_add(out, "%s %s precision=%d", spec->transposed ? "backward" : "forward",
                  tare_dtype_text(spec->storage), (int)spec->precision);
    add_numbers(out, "x", spec->x, spec->rank);
    add_numbers(out, "w", spec->w, spec->rank);
    add_numbers(out, "y", spec->y, spec->rank);
    add_numbers(out, "stride", spec->stride, spatial);
    add_numbers(out, "dilation", spec->dilation, spatial);
    add_numbers(out, "begin", spec->pad_begin, spatial);
    add_numbers(out, "end", spec->pad_end, spatial);
    tare_text_add(out, " bias=%d", spec->bias ? 1 : 0);
    for (size_t i = 0; i < spec->epilogue_count; i++) {
        const tare_epilogue *epilogue = &spec->epilogues[i];
        tare_text_add(out, " then=%d,%a,%a", (int)epilogue->kind, (double)epilogue->a,
                      (double)epilogue->b);
    }
}

size_t tare_conv_weight_bytes(const tare_conv_spec *spec) {
    return (size_t)tare_dims_count(spec->rank, spec->w) * tare_dtype_bytes(spec->storage);
}

static void store(void *out, int64_t at, float value, tare_dtype storage) {
    if (storage == TARE_DTYPE_FLOAT16) {
        ((uint16_t *)out)[at] = tare_half_from_double((double)value);
    } else {
        ((float *)out)[at] = value;
    }
}

void tare_conv_weights_pack(void *out, const float *weights, const tare_conv_spec *spec) {
    const int64_t channels = spec->w[1];
    int64_t taps = 1;
    for (int axis = 2; axis < spec->rank; axis++) {
        taps *= spec->w[axis];
    }
    for (int64_t k = 0; k < spec->w[0]; k++) {
        for (int64_t tap = 0; tap < taps; tap++) {
            for (int64_t c = 0; c < channels; c++) {
                store(out, (k * taps + tap) * channels + c,
                      weights[(k * channels + c) * taps + tap], spec->storage);
            }
        }
    }
}
