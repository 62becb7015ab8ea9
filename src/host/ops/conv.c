/* SPDX-License-Identifier: Apache-2.0 */
/** Conv and ConvTranspose. */
#include "ops/rows.h"
#include "ops/window.h"

static const tare_attr_spec conv_attrs[] = {
    {TARE_OP_ATTR("auto_pad", CHOICE, tare_conv_attrs, auto_pad), .choices = tare_auto_pad_texts},
    {TARE_OP_ATTR("dilations", INTS, tare_conv_attrs, dilations)},
    {TARE_OP_ATTR("group", INT, tare_conv_attrs, group), .default_int = 1},
    {TARE_OP_ATTR("kernel_shape", INTS, tare_conv_attrs, kernel_shape)},
    {TARE_OP_ATTR("pads", INTS, tare_conv_attrs, pads)},
    {TARE_OP_ATTR("strides", INTS, tare_conv_attrs, strides)},
    {0}};

static const tare_attr_spec conv_transpose_attrs[] = {
    {TARE_OP_ATTR("auto_pad", CHOICE, tare_conv_attrs, auto_pad), .choices = tare_auto_pad_texts},
    {TARE_OP_ATTR("dilations", INTS, tare_conv_attrs, dilations)},
    {TARE_OP_ATTR("group", INT, tare_conv_attrs, group), .default_int = 1},
    {TARE_OP_ATTR("kernel_shape", INTS, tare_conv_attrs, kernel_shape)},
    {TARE_OP_ATTR("output_padding", INTS, tare_conv_attrs, output_padding)},
    {TARE_OP_ATTR("output_shape", INTS, tare_conv_attrs, output_shape)},
    {TARE_OP_ATTR("pads", INTS, tare_conv_attrs, pads)},
    {TARE_OP_ATTR("strides", INTS, tare_conv_attrs, strides)},
    {0}};

/* What Conv and ConvTranspose have in common: types, ranks, the window with the weight's kernel. */
static tare_status read_operands(tare_infer *infer, tare_error *err) {
    tare_conv_attrs *attrs = infer->attrs;
    const tare_value *x = tare_infer_input(infer, 0), *weight = tare_infer_input(infer, 1);
    const tare_ints from_weight = {(size_t)(x->rank < 2 ? 0 : x->rank - 2), weight->dims + 2};
    const tare_window_lists lists = {&from_weight, &attrs->strides, &attrs->pads,
                                     &attrs->dilations};

    for (size_t port = 0; port < 3; port++) {
        TARE_TRY(tare_infer_float32(infer, port, err));
    }
    TARE_TRY(tare_infer_rank(infer, 0, 3, 2 + TARE_MAX_SPATIAL, err));
    TARE_TRY(tare_infer_rank(infer, 1, x->rank, x->rank, err));
    if (attrs->group < 1) {
        return tare_fail(err, TARE_INVALID_MODEL, "group is %lld, expected 1 or more",
                         (long long)attrs->group);
    }
    TARE_TRY(tare_window_read(&attrs->window, x->rank - 2, &lists, attrs->auto_pad, err));
    for (size_t i = 0; attrs->kernel_shape.values != NULL && i < from_weight.count; i++) {
        if (attrs->kernel_shape.count != from_weight.count ||
            attrs->kernel_shape.values[i] != from_weight.values[i]) {
            char text[TARE_DIMS_TEXT_BYTES];
            return tare_fail(
                err, TARE_INVALID_MODEL, "kernel_shape differs from the shape %s of weight '%s'",
                tare_dims_text(text, sizeof text, weight->rank, weight->dims), weight->name);
        }
    }
    return TARE_OK;
}

static tare_status infer_conv(tare_infer *infer, tare_error *err) {
    tare_conv_attrs *attrs = infer->attrs;
    const tare_value *x = tare_infer_input(infer, 0), *weight = tare_infer_input(infer, 1);
    int64_t dims[TARE_MAX_RANK];

    TARE_TRY(read_operands(infer, err));
    /* Compared by division: a hostile group times channels may overflow. */
    if (x->dims[1] % attrs->group != 0 || x->dims[1] / attrs->group != weight->dims[1]) {
        return tare_fail(err, TARE_INVALID_MODEL,
                         "input '%s' has %lld channels, weight '%s' wants %lld in each of %lld "
                         "groups",
                         x->name, (long long)x->dims[1], weight->name, (long long)weight->dims[1],
                         (long long)attrs->group);
    }
    if (weight->dims[0] % attrs->group != 0) {
        return tare_fail(err, TARE_INVALID_MODEL,
                         "weight '%s' makes %lld channels, which %lld groups do not divide",
                         weight->name, (long long)weight->dims[0], (long long)attrs->group);
    }
    TARE_TRY(tare_infer_vector(infer, 2, weight->dims[0], "bias", err));
    dims[0] = x->dims[0];
    dims[1] = weight->dims[0];
    for (int i = 0; i < attrs->window.rank; i++) {
        tare_window_pad(&attrs->window, i, x->dims[2 + i], attrs->auto_pad);
        TARE_TRY(
            tare_window_positions(&dims[2 + i], &attrs->window, i, x->dims[2 + i], false, err));
    }
    return tare_infer_output(infer, 0, TARE_DTYPE_FLOAT, x->rank, dims, err);
}

static tare_status check_list(const char *name, const tare_ints *list, size_t count,
                              tare_error *err) {
    if (list->values != NULL && list->count != count) {
        return tare_fail(err, TARE_INVALID_MODEL, "%s has %zu numbers, expected %zu", name,
                         list->count, count);
    }
    for (size_t i = 0; i < list->count; i++) {
        if (list->values[i] < 0 || list->values[i] > TARE_WINDOW_LIMIT) {
            return tare_fail(err, TARE_INVALID_MODEL, "%s holds %lld", name,
                             (long long)list->values[i]);
        }
    }
    return TARE_OK;
}

/* The size of spatial dim i of a transposed convolution; settles its pads. */
static int64_t transposed_size(tare_conv_attrs *attrs, int i, int64_t in) {
    tare_window *window = &attrs->window;
    const int64_t full = window->stride[i] * (in - 1) + tare_window_extent(window, i);
    const int64_t extra =
        attrs->output_padding.values == NULL ? 0 : attrs->output_padding.values[i];
    const bool same =
        attrs->auto_pad == TARE_PAD_SAME_UPPER || attrs->auto_pad == TARE_PAD_SAME_LOWER;
    int64_t out = full + extra - window->pad_begin[i] - window->pad_end[i];

    if (attrs->output_shape.values != NULL || same) {
        const size_t skipped = attrs->output_shape.count - (size_t)window->rank;
        int64_t total;
        out = attrs->output_shape.values == NULL ? in * window->stride[i]
                                                 : attrs->output_shape.values[skipped + (size_t)i];
        total = full + extra - out > 0 ? full + extra - out : 0;
        window->pad_begin[i] =
            attrs->auto_pad == TARE_PAD_SAME_UPPER ? total / 2 : total - total / 2;
    }
    window->pad_end[i] = full - window->pad_begin[i] - out;
    return out;
}

static tare_status infer_conv_transpose(tare_infer *infer, tare_error *err) {
    tare_conv_attrs *attrs = infer->attrs;
    const tare_value *x = tare_infer_input(infer, 0), *weight = tare_infer_input(infer, 1);
    int64_t dims[TARE_MAX_RANK];
    size_t spatial;

    TARE_TRY(read_operands(infer, err));
    spatial = (size_t)attrs->window.rank;
    TARE_TRY(check_list("output_padding", &attrs->output_padding, spatial, err));
    /* Some exporters put batch and channels in front of the spatial dims. */
    TARE_TRY(check_list("output_shape", &attrs->output_shape,
                        attrs->output_shape.count == spatial + 2 ? spatial + 2 : spatial, err));
    if (x->dims[1] != weight->dims[0] || x->dims[1] % attrs->group != 0) {
        return tare_fail(err, TARE_INVALID_MODEL,
                         "input '%s' has %lld channels in %lld groups, weight '%s' wants %lld",
                         x->name, (long long)x->dims[1], (long long)attrs->group, weight->name,
                         (long long)weight->dims[0]);
    }
    if (weight->dims[1] > TARE_WINDOW_LIMIT || attrs->group > TARE_WINDOW_LIMIT) {
        return tare_fail(err, TARE_INVALID_MODEL, "weight '%s' makes too many channels",
                         weight->name);
    }
    dims[0] = x->dims[0];
    dims[1] = weight->dims[1] * attrs->group;
    TARE_TRY(tare_infer_vector(infer, 2, dims[1], "bias", err));
    for (int i = 0; i < attrs->window.rank; i++) {
        const int64_t in = x->dims[2 + i];
        if (in < 1 || in > TARE_WINDOW_LIMIT / 2) {
            return tare_fail(err, TARE_INVALID_MODEL, "spatial dim %d of the input is %lld", i,
                             (long long)in);
        }
        dims[2 + i] = transposed_size(attrs, i, in);
        if (dims[2 + i] < 1) {
            return tare_fail(err, TARE_INVALID_MODEL, "spatial dim %d of the result would be %lld",
                             i, (long long)dims[2 + i]);
        }
    }
    return tare_infer_output(infer, 0, TARE_DTYPE_FLOAT, x->rank, dims, err);
}

const tare_op tare_ops_conv[] = {
    {TARE_OP_ROW("Conv", 1, 2, 3, 1, 1, infer_conv), TARE_OP_ATTRS(tare_conv_attrs, conv_attrs)},
    {TARE_OP_ROW("ConvTranspose", 1, 2, 3, 1, 1, infer_conv_transpose),
     TARE_OP_ATTRS(tare_conv_attrs, conv_transpose_attrs)},
    {0}};
