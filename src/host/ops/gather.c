/* SPDX-License-Identifier: Apache-2.0 */
/** Operators that read or write where an index tensor says, and OneHot, TopK. */
#include <string.h>

#include "ops/rows.h"

static const tare_attr_spec axis_attrs[] = {
    {TARE_OP_ATTR("axis", INT, tare_axis_attrs, axis), .default_int = 0}, {0}};
static const tare_attr_spec last_axis_attrs[] = {
    {TARE_OP_ATTR("axis", INT, tare_axis_attrs, axis), .default_int = -1}, {0}};
static const tare_attr_spec gather_nd_attrs[] = {
    {TARE_OP_ATTR("batch_dims", INT, tare_gather_nd_attrs, batch_dims), .since = 12}, {0}};

static const char *const reductions[] = {"none", "add", "mul", "min", "max", NULL};
static const tare_attr_spec scatter_attrs[] = {
    {TARE_OP_ATTR("axis", INT, tare_scatter_attrs, axis), .default_int = 0},
    {TARE_OP_ATTR("reduction", CHOICE, tare_scatter_attrs, reduction), .since = 16,
     .choices = reductions},
    {0}};
static const tare_attr_spec scatter_nd_attrs[] = {
    {TARE_OP_ATTR("reduction", CHOICE, tare_scatter_attrs, reduction), .since = 16,
     .choices = reductions},
    {0}};

static const tare_attr_spec topk_attrs[] = {
    {TARE_OP_ATTR("axis", INT, tare_topk_attrs, axis), .default_int = -1},
    {TARE_OP_ATTR("k", INT, tare_topk_attrs, k), .until = 9, .required = true},
    {TARE_OP_ATTR("largest", BOOL, tare_topk_attrs, largest), .since = 11, .default_int = 1},
    {TARE_OP_ATTR("sorted", BOOL, tare_topk_attrs, sorted), .since = 11, .default_int = 1},
    {0}};

static tare_status check_indices(const tare_infer *infer, size_t port, tare_error *err) {
    const tare_value *indices = tare_infer_input(infer, port);
    if (indices->dtype != TARE_DTYPE_INT64 && indices->dtype != TARE_DTYPE_INT32) {
        return tare_fail(err, TARE_INVALID_MODEL, "indices '%s' are %s, expected int64 or int32",
                         indices->name, tare_dtype_text(indices->dtype));
    }
    return TARE_OK;
}

/* Ranks may sum up to more than a shape holds; then nothing is written and the caller's
 * tare_infer_output() refuses the rank. */
static void append_dims(tare_shape *shape, const int64_t *dims, int count) {
    if (shape->rank + count <= TARE_MAX_RANK) {
        memcpy(shape->dims + shape->rank, dims, (size_t)count * sizeof *dims);
    }
    shape->rank += count;
}

static tare_status infer_gather(tare_infer *infer, tare_error *err) {
    tare_axis_attrs *attrs = infer->attrs;
    const tare_value *x = tare_infer_input(infer, 0), *indices = tare_infer_input(infer, 1);
    tare_shape shape = {0};

    TARE_TRY(check_indices(infer, 1, err));
    TARE_TRY(tare_infer_axis(&attrs->axis, attrs->axis, x->rank, err));
    append_dims(&shape, x->dims, (int)attrs->axis);
    append_dims(&shape, indices->dims, indices->rank);
    append_dims(&shape, x->dims + attrs->axis + 1, x->rank - (int)attrs->axis - 1);
    return tare_infer_output(infer, 0, x->dtype, shape.rank, shape.dims, err);
}

/* Indices of GatherElements and ScatterElements have the data's rank and fit into it beside the
 * axis. */
static tare_status check_element_indices(const tare_infer *infer, int64_t axis, tare_error *err) {
    const tare_value *x = tare_infer_input(infer, 0), *indices = tare_infer_input(infer, 1);
    TARE_TRY(check_indices(infer, 1, err));
    TARE_TRY(tare_infer_rank(infer, 1, x->rank, x->rank, err));
    for (int i = 0; i < x->rank; i++) {
        if (i != axis && indices->dims[i] > x->dims[i]) {
            return tare_fail(err, TARE_INVALID_MODEL,
                             "dim %d of indices '%s' is %lld, the data's is %lld", i, indices->name,
                             (long long)indices->dims[i], (long long)x->dims[i]);
        }
    }
    return TARE_OK;
}

static tare_status infer_gather_elements(tare_infer *infer, tare_error *err) {
    tare_axis_attrs *attrs = infer->attrs;
    const tare_value *x = tare_infer_input(infer, 0), *indices = tare_infer_input(infer, 1);
    TARE_TRY(tare_infer_axis(&attrs->axis, attrs->axis, x->rank, err));
    TARE_TRY(check_element_indices(infer, attrs->axis, err));
    return tare_infer_output(infer, 0, x->dtype, indices->rank, indices->dims, err);
}

static tare_status wrong_nd(const tare_value *x, const tare_value *indices, tare_error *err) {
    char first[TARE_DIMS_TEXT_BYTES], second[TARE_DIMS_TEXT_BYTES];
    return tare_fail(err, TARE_INVALID_MODEL, "indices '%s' of shape %s do not index data of %s",
                     indices->name,
                     tare_dims_text(first, sizeof first, indices->rank, indices->dims),
                     tare_dims_text(second, sizeof second, x->rank, x->dims));
}

static tare_status infer_gather_nd(tare_infer *infer, tare_error *err) {
    const tare_gather_nd_attrs *attrs = infer->attrs;
    const tare_value *x = tare_infer_input(infer, 0), *indices = tare_infer_input(infer, 1);
    const int64_t batch = attrs->batch_dims;
    tare_shape shape = {0};
    int64_t depth;

    TARE_TRY(check_indices(infer, 1, err));
    if (indices->rank < 1 || batch < 0 || batch >= indices->rank || batch >= x->rank) {
        return wrong_nd(x, indices, err);
    }
    depth = indices->dims[indices->rank - 1];
    if (depth < 1 || depth > x->rank - batch) {
        return wrong_nd(x, indices, err);
    }
    for (int i = 0; i < batch; i++) {
        if (x->dims[i] != indices->dims[i]) {
            return wrong_nd(x, indices, err);
        }
    }
    append_dims(&shape, indices->dims, indices->rank - 1);
    append_dims(&shape, x->dims + batch + depth, x->rank - (int)(batch + depth));
    return tare_infer_output(infer, 0, x->dtype, shape.rank, shape.dims, err);
}

static tare_status infer_scatter_elements(tare_infer *infer, tare_error *err) {
    tare_scatter_attrs *attrs = infer->attrs;
    const tare_value *x = tare_infer_input(infer, 0), *indices = tare_infer_input(infer, 1);
    const tare_value *updates = tare_infer_input(infer, 2);

    TARE_TRY(tare_infer_axis(&attrs->axis, attrs->axis, x->rank, err));
    TARE_TRY(check_element_indices(infer, attrs->axis, err));
    if (updates->dtype != x->dtype || updates->rank != indices->rank ||
        memcmp(updates->dims, indices->dims, (size_t)x->rank * sizeof *x->dims) != 0) {
        return tare_fail(err, TARE_INVALID_MODEL,
                         "updates '%s' must have the data's type and the indices' shape",
                         updates->name);
    }
    return tare_infer_output_like(infer, 0, x, err);
}

static tare_status infer_scatter_nd(tare_infer *infer, tare_error *err) {
    const tare_value *x = tare_infer_input(infer, 0), *indices = tare_infer_input(infer, 1);
    const tare_value *updates = tare_infer_input(infer, 2);
    tare_shape shape = {0};
    int64_t depth;

    TARE_TRY(check_indices(infer, 1, err));
    depth = indices->rank < 1 ? 0 : indices->dims[indices->rank - 1];
    if (depth < 1 || depth > x->rank) {
        return wrong_nd(x, indices, err);
    }
    append_dims(&shape, indices->dims, indices->rank - 1);
    append_dims(&shape, x->dims + depth, x->rank - (int)depth);
    if (updates->dtype != x->dtype || shape.rank > TARE_MAX_RANK || updates->rank != shape.rank ||
        memcmp(updates->dims, shape.dims, (size_t)shape.rank * sizeof *shape.dims) != 0) {
        return tare_fail(err, TARE_INVALID_MODEL,
                         "updates '%s' must have the data's type and a shape from indices and data",
                         updates->name);
    }
    return tare_infer_output_like(infer, 0, x, err);
}

static tare_status infer_onehot(tare_infer *infer, tare_error *err) {
    tare_axis_attrs *attrs = infer->attrs;
    const tare_value *indices = tare_infer_input(infer, 0), *values = tare_infer_input(infer, 2);
    tare_shape shape = {0};
    double depth = 0.0;
    int64_t count;

    TARE_TRY(tare_infer_number(&depth, infer, 1, "depths", err));
    TARE_TRY(tare_infer_vector(infer, 2, 2, "values", err));
    TARE_TRY(tare_infer_axis(&attrs->axis, attrs->axis, indices->rank + 1, err));
    if (!(depth >= 1.0 && depth <= 2147483647.0)) {
        return tare_fail(err, TARE_INVALID_MODEL, "the depth is %g", depth);
    }
    count = (int64_t)depth;
    append_dims(&shape, indices->dims, (int)attrs->axis);
    append_dims(&shape, &count, 1);
    append_dims(&shape, indices->dims + attrs->axis, indices->rank - (int)attrs->axis);
    return tare_infer_output(infer, 0, values->dtype, shape.rank, shape.dims, err);
}

static tare_status infer_topk(tare_infer *infer, tare_error *err) {
    tare_topk_attrs *attrs = infer->attrs;
    const tare_value *x = tare_infer_input(infer, 0);
    int64_t dims[TARE_MAX_RANK];

    if (infer->opset < 11) {
        attrs->largest = attrs->sorted = true;
    }
    if (infer->opset >= 10) {
        TARE_TRY(tare_infer_int(&attrs->k, infer, 1, "k", err));
    }
    TARE_TRY(tare_infer_axis(&attrs->axis, attrs->axis, x->rank, err));
    if (attrs->k < 0 || attrs->k > x->dims[attrs->axis]) {
        return tare_fail(err, TARE_INVALID_MODEL, "k is %lld, the axis has %lld elements",
                         (long long)attrs->k, (long long)x->dims[attrs->axis]);
    }
    memcpy(dims, x->dims, sizeof dims);
    dims[attrs->axis] = attrs->k;
    TARE_TRY(tare_infer_output(infer, 0, x->dtype, x->rank, dims, err));
    return tare_infer_output(infer, 1, TARE_DTYPE_INT64, x->rank, dims, err);
}

const tare_op tare_ops_gather[] = {
    {TARE_OP_ROW("Gather", 1, 2, 2, 1, 1, infer_gather),
     TARE_OP_ATTRS(tare_axis_attrs, axis_attrs)},
    {TARE_OP_ROW("GatherElements", 11, 2, 2, 1, 1, infer_gather_elements),
     TARE_OP_ATTRS(tare_axis_attrs, axis_attrs)},
    {TARE_OP_ROW("GatherND", 11, 2, 2, 1, 1, infer_gather_nd),
     TARE_OP_ATTRS(tare_gather_nd_attrs, gather_nd_attrs)},
    {TARE_OP_ROW("Scatter", 9, 3, 3, 1, 1, infer_scatter_elements), .until = 10,
     .kernel = "ScatterElements", TARE_OP_ATTRS(tare_scatter_attrs, scatter_attrs)},
    {TARE_OP_ROW("ScatterElements", 11, 3, 3, 1, 1, infer_scatter_elements),
     TARE_OP_ATTRS(tare_scatter_attrs, scatter_attrs)},
    {TARE_OP_ROW("ScatterND", 11, 3, 3, 1, 1, infer_scatter_nd),
     TARE_OP_ATTRS(tare_scatter_attrs, scatter_nd_attrs)},
    {TARE_OP_ROW("OneHot", 9, 3, 3, 1, 1, infer_onehot),
     TARE_OP_ATTRS(tare_axis_attrs, last_axis_attrs)},
    {TARE_OP_ROW("TopK", 1, 1, 1, 2, 2, infer_topk), .until = 9,
     TARE_OP_ATTRS(tare_topk_attrs, topk_attrs)},
    {TARE_OP_ROW("TopK", 10, 2, 2, 2, 2, infer_topk), TARE_OP_ATTRS(tare_topk_attrs, topk_attrs)},
    {0}};
