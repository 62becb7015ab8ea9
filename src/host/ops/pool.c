/* SPDX-License-Identifier: Apache-2.0 */
/** Pools. The global ones are pools whose window is the whole input. */
#include "ops/rows.h"
#include "ops/window.h"

static const tare_attr_spec max_pool_attrs[] = {
    {TARE_OP_ATTR("auto_pad", CHOICE, tare_pool_attrs, auto_pad), .choices = tare_auto_pad_texts},
    {TARE_OP_ATTR("ceil_mode", BOOL, tare_pool_attrs, ceil_mode), .since = 10},
    {TARE_OP_ATTR("dilations", INTS, tare_pool_attrs, dilations), .since = 10},
    {TARE_OP_ATTR("kernel_shape", INTS, tare_pool_attrs, kernel_shape), .required = true},
    {TARE_OP_ATTR("pads", INTS, tare_pool_attrs, pads)},
    {TARE_OP_ATTR("storage_order", INT, tare_pool_attrs, storage_order), .since = 8},
    {TARE_OP_ATTR("strides", INTS, tare_pool_attrs, strides)},
    {0}};

static const tare_attr_spec average_pool_attrs[] = {
    {TARE_OP_ATTR("auto_pad", CHOICE, tare_pool_attrs, auto_pad), .choices = tare_auto_pad_texts},
    {TARE_OP_ATTR("ceil_mode", BOOL, tare_pool_attrs, ceil_mode), .since = 10},
    {TARE_OP_ATTR("count_include_pad", BOOL, tare_pool_attrs, count_include_pad)},
    {TARE_OP_ATTR("dilations", INTS, tare_pool_attrs, dilations), .since = 19},
    {TARE_OP_ATTR("kernel_shape", INTS, tare_pool_attrs, kernel_shape), .required = true},
    {TARE_OP_ATTR("pads", INTS, tare_pool_attrs, pads)},
    {TARE_OP_ATTR("strides", INTS, tare_pool_attrs, strides)},
    {0}};

static const tare_attr_spec lp_pool_attrs[] = {
    {TARE_OP_ATTR("auto_pad", CHOICE, tare_pool_attrs, auto_pad), .choices = tare_auto_pad_texts},
    {TARE_OP_ATTR("ceil_mode", BOOL, tare_pool_attrs, ceil_mode), .since = 18},
    {TARE_OP_ATTR("dilations", INTS, tare_pool_attrs, dilations), .since = 18},
    {TARE_OP_ATTR("kernel_shape", INTS, tare_pool_attrs, kernel_shape), .required = true},
    {TARE_OP_ATTR("p", INT, tare_pool_attrs, p), .default_int = 2},
    {TARE_OP_ATTR("pads", INTS, tare_pool_attrs, pads)},
    {TARE_OP_ATTR("strides", INTS, tare_pool_attrs, strides)},
    {0}};

static const tare_attr_spec global_lp_pool_attrs[] = {
    {TARE_OP_ATTR("p", INT, tare_pool_attrs, p), .default_int = 2}, {0}};

static tare_status set_outputs(tare_infer *infer, const int64_t *dims, tare_error *err) {
    const tare_value *x = tare_infer_input(infer, 0);
    TARE_TRY(tare_infer_output(infer, 0, x->dtype, x->rank, dims, err));
    if (tare_infer_wants(infer, 1)) {
        TARE_TRY(tare_infer_output(infer, 1, TARE_DTYPE_INT64, x->rank, dims, err));
    }
    return TARE_OK;
}

/* A window wholly in the padding has no maximum and no mean. */
static tare_status check_pads(const tare_window *window, int i, tare_error *err) {
    const int64_t extent = tare_window_extent(window, i);
    if (window->pad_begin[i] >= extent || window->pad_end[i] >= extent) {
        return tare_fail(err, TARE_INVALID_MODEL,
                         "pads %lld and %lld on spatial dim %d must be smaller than the window "
                         "of %lld",
                         (long long)window->pad_begin[i], (long long)window->pad_end[i], i,
                         (long long)extent);
    }
    return TARE_OK;
}

static tare_status check_input(const tare_infer *infer, tare_error *err) {
    TARE_TRY(tare_infer_float32(infer, 0, err));
    return tare_infer_rank(infer, 0, 3, 2 + TARE_MAX_SPATIAL, err);
}

static tare_status infer_pool(tare_infer *infer, tare_error *err) {
    tare_pool_attrs *attrs = infer->attrs;
    tare_window *window = &attrs->window;
    const tare_value *x = tare_infer_input(infer, 0);
    const tare_window_lists lists = {&attrs->kernel_shape, &attrs->strides, &attrs->pads,
                                     &attrs->dilations};
    int64_t dims[TARE_MAX_RANK];

    TARE_TRY(check_input(infer, err));
    TARE_TRY(tare_window_read(window, x->rank - 2, &lists, attrs->auto_pad, err));
    dims[0] = x->dims[0];
    dims[1] = x->dims[1];
    for (int i = 0; i < window->rank; i++) {
        const int64_t in = x->dims[2 + i];
        int64_t covered;
        tare_window_pad(window, i, in, attrs->auto_pad);
        TARE_TRY(check_pads(window, i, err));
        attrs->declared_pad_end[i] = window->pad_end[i];
        TARE_TRY(tare_window_positions(&dims[2 + i], window, i, in, attrs->ceil_mode, err));
        covered = (dims[2 + i] - 1) * window->stride[i] + tare_window_extent(window, i);
        if (covered > in + window->pad_begin[i] + window->pad_end[i]) {
            window->pad_end[i] = covered - in - window->pad_begin[i];
        }
    }
    return set_outputs(infer, dims, err);
}

static tare_status infer_global_pool(tare_infer *infer, tare_error *err) {
    tare_pool_attrs *attrs = infer->attrs;
    const tare_value *x = tare_infer_input(infer, 0);
    int64_t dims[TARE_MAX_RANK];

    TARE_TRY(check_input(infer, err));
    attrs->window.rank = x->rank - 2;
    dims[0] = x->dims[0];
    dims[1] = x->dims[1];
    for (int i = 0; i < attrs->window.rank; i++) {
        if (x->dims[2 + i] < 1) {
            return tare_fail(err, TARE_INVALID_MODEL, "spatial dim %d of the input is 0", i);
        }
        attrs->window.kernel[i] = x->dims[2 + i];
        attrs->window.stride[i] = attrs->window.dilation[i] = 1;
        dims[2 + i] = 1;
    }
    return set_outputs(infer, dims, err);
}

const tare_op tare_ops_pool[] = {
    {TARE_OP_ROW("MaxPool", 1, 1, 1, 1, 2, infer_pool),
     TARE_OP_ATTRS(tare_pool_attrs, max_pool_attrs)},
    {TARE_OP_ROW("AveragePool", 7, 1, 1, 1, 1, infer_pool),
     TARE_OP_ATTRS(tare_pool_attrs, average_pool_attrs)},
    {TARE_OP_ROW("LpPool", 2, 1, 1, 1, 1, infer_pool),
     TARE_OP_ATTRS(tare_pool_attrs, lp_pool_attrs)},
    {TARE_OP_ROW("GlobalMaxPool", 1, 1, 1, 1, 1, infer_global_pool),
     TARE_OP_ATTRS(tare_pool_attrs, NULL), .kernel = "MaxPool"},
    {TARE_OP_ROW("GlobalAveragePool", 1, 1, 1, 1, 1, infer_global_pool),
     TARE_OP_ATTRS(tare_pool_attrs, NULL), .kernel = "AveragePool"},
    {TARE_OP_ROW("GlobalLpPool", 2, 1, 1, 1, 1, infer_global_pool),
     TARE_OP_ATTRS(tare_pool_attrs, global_lp_pool_attrs), .kernel = "LpPool"},
    {0}};
