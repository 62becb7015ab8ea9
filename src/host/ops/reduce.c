/* SPDX-License-Identifier: Apache-2.0 */
/** Reductions, ArgMax and ArgMin, MeanVarianceNormalization, CumSum. */
#include "ops/rows.h"

static const tare_attr_spec reduce_attrs[] = {
    {TARE_OP_ATTR("axes", INTS, tare_reduce_attrs, file_axes)},
    {TARE_OP_ATTR("keepdims", BOOL, tare_reduce_attrs, keepdims), .default_int = 1},
    {0}};
static const tare_attr_spec reduce_input_attrs[] = {
    {TARE_OP_ATTR("keepdims", BOOL, tare_reduce_attrs, keepdims), .default_int = 1},
    {TARE_OP_ATTR("noop_with_empty_axes", BOOL, tare_reduce_attrs, noop_with_empty_axes)},
    {0}};
static const tare_attr_spec arg_attrs[] = {
    {TARE_OP_ATTR("axis", INT, tare_reduce_attrs, axis)},
    {TARE_OP_ATTR("keepdims", BOOL, tare_reduce_attrs, keepdims), .default_int = 1},
    {TARE_OP_ATTR("select_last_index", BOOL, tare_reduce_attrs, select_last_index), .since = 12},
    {0}};
static const tare_attr_spec mvn_attrs[] = {
    {TARE_OP_ATTR("axes", INTS, tare_reduce_attrs, file_axes)}, {0}};
static const tare_attr_spec cumsum_attrs[] = {
    {TARE_OP_ATTR("exclusive", BOOL, tare_cumsum_attrs, exclusive)},
    {TARE_OP_ATTR("reverse", BOOL, tare_cumsum_attrs, reverse)},
    {0}};

static void set_axes(tare_reduce_attrs *attrs, const bool *flags, int rank) {
    attrs->axis_count = 0;
    for (int i = 0; i < rank; i++) {
        if (flags[i]) {
            attrs->axes[attrs->axis_count++] = i;
        }
    }
}

static tare_status set_output(tare_infer *infer, tare_dtype dtype, const bool *reduced,
                              tare_error *err) {
    const tare_reduce_attrs *attrs = infer->attrs;
    const tare_value *x = tare_infer_input(infer, 0);
    int64_t dims[TARE_MAX_RANK];
    int rank = 0;

    for (int i = 0; i < x->rank; i++) {
        if (!reduced[i]) {
            dims[rank++] = x->dims[i];
        } else if (attrs->keepdims) {
            dims[rank++] = 1;
        }
    }
    return tare_infer_output(infer, 0, dtype, rank, dims, err);
}

static tare_status infer_reduce(tare_infer *infer, tare_error *err) {
    tare_reduce_attrs *attrs = infer->attrs;
    const tare_value *x = tare_infer_input(infer, 0);
    bool reduced[TARE_MAX_RANK];
    tare_ints axes = attrs->file_axes;

    if (tare_infer_input(infer, 1) != NULL) {
        TARE_TRY(tare_infer_ints(&axes, infer, 1, "axes", err));
    }
    TARE_TRY(tare_infer_axes(reduced, &axes, x->rank, err));
    if (axes.count == 0) {
        for (int i = 0; i < x->rank; i++) {
            reduced[i] = !attrs->noop_with_empty_axes;
        }
    }
    set_axes(attrs, reduced, x->rank);
    return set_output(infer, x->dtype, reduced, err);
}

/* Reductions without a neutral element have no answer for an empty axis. */
static tare_status infer_extremum(tare_infer *infer, tare_error *err) {
    const tare_reduce_attrs *attrs = infer->attrs;
    const tare_value *x = tare_infer_input(infer, 0);
    TARE_TRY(infer_reduce(infer, err));
    for (int i = 0; i < attrs->axis_count; i++) {
        if (x->dims[attrs->axes[i]] == 0) {
            return tare_fail(err, TARE_UNSUPPORTED, "axis %d of input '%s' is empty",
                             attrs->axes[i], x->name);
        }
    }
    return TARE_OK;
}

static tare_status infer_arg(tare_infer *infer, tare_error *err) {
    tare_reduce_attrs *attrs = infer->attrs;
    const tare_value *x = tare_infer_input(infer, 0);
    bool reduced[TARE_MAX_RANK] = {false};

    TARE_TRY(tare_infer_axis(&attrs->axis, attrs->axis, x->rank, err));
    if (x->dims[attrs->axis] == 0) {
        return tare_fail(err, TARE_INVALID_MODEL, "axis %lld of input '%s' is empty",
                         (long long)attrs->axis, x->name);
    }
    reduced[attrs->axis] = true;
    set_axes(attrs, reduced, x->rank);
    return set_output(infer, TARE_DTYPE_INT64, reduced, err);
}

static tare_status infer_mvn(tare_infer *infer, tare_error *err) {
    static const int64_t default_axes[] = {0, 2, 3};
    tare_reduce_attrs *attrs = infer->attrs;
    const tare_value *x = tare_infer_input(infer, 0);
    const tare_ints axes =
        attrs->file_axes.values != NULL ? attrs->file_axes : (tare_ints){3, default_axes};
    bool reduced[TARE_MAX_RANK];

    TARE_TRY(tare_infer_float32(infer, 0, err));
    TARE_TRY(tare_infer_axes(reduced, &axes, x->rank, err));
    set_axes(attrs, reduced, x->rank);
    attrs->keepdims = true;
    return tare_infer_output_like(infer, 0, x, err);
}

static tare_status infer_cumsum(tare_infer *infer, tare_error *err) {
    tare_cumsum_attrs *attrs = infer->attrs;
    const tare_value *x = tare_infer_input(infer, 0);
    TARE_TRY(tare_infer_int(&attrs->axis, infer, 1, "axis", err));
    TARE_TRY(tare_infer_axis(&attrs->axis, attrs->axis, x->rank, err));
    return tare_infer_output_like(infer, 0, x, err);
}

/* Axes are an attribute up to one version and an input from the next on. */
#define REDUCE(name, last, function)                                                               \
    {TARE_OP_ROW(name, 1, 1, 1, 1, 1, function), .until = (last),                                  \
     TARE_OP_ATTRS(tare_reduce_attrs, reduce_attrs)},                                              \
    {                                                                                              \
        TARE_OP_ROW(name, (last) + 1, 1, 2, 1, 1, function),                                       \
            TARE_OP_ATTRS(tare_reduce_attrs, reduce_input_attrs)                                   \
    }

const tare_op tare_ops_reduce[] = {
    REDUCE("ReduceSum", 12, infer_reduce),
    REDUCE("ReduceMean", 17, infer_extremum),
    REDUCE("ReduceMax", 17, infer_extremum),
    REDUCE("ReduceMin", 17, infer_extremum),
    REDUCE("ReduceProd", 17, infer_reduce),
    REDUCE("ReduceL1", 17, infer_reduce),
    REDUCE("ReduceL2", 17, infer_reduce),
    REDUCE("ReduceSumSquare", 17, infer_reduce),
    REDUCE("ReduceLogSum", 17, infer_reduce),
    REDUCE("ReduceLogSumExp", 17, infer_reduce),
    {TARE_OP_ROW("ArgMax", 1, 1, 1, 1, 1, infer_arg), TARE_OP_ATTRS(tare_reduce_attrs, arg_attrs)},
    {TARE_OP_ROW("ArgMin", 1, 1, 1, 1, 1, infer_arg), TARE_OP_ATTRS(tare_reduce_attrs, arg_attrs)},
    {TARE_OP_ROW("MeanVarianceNormalization", 9, 1, 1, 1, 1, infer_mvn),
     TARE_OP_ATTRS(tare_reduce_attrs, mvn_attrs)},
    {TARE_OP_ROW("CumSum", 11, 2, 2, 1, 1, infer_cumsum),
     TARE_OP_ATTRS(tare_cumsum_attrs, cumsum_attrs)},
    {0}};
