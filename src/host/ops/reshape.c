/* SPDX-License-Identifier: Apache-2.0 */
/** Operators whose output holds the input's elements in the same order: one kernel, "Reshape". */
#include <string.h>

#include "ops/rows.h"

static const tare_attr_spec reshape_attrs[] = {
    {TARE_OP_ATTR("allowzero", BOOL, tare_reshape_attrs, allowzero), .since = 14}, {0}};
static const tare_attr_spec flatten_attrs[] = {
    {TARE_OP_ATTR("axis", INT, tare_reshape_attrs, axis), .default_int = 1}, {0}};
static const tare_attr_spec squeeze_attrs[] = {
    {TARE_OP_ATTR("axes", INTS, tare_reshape_attrs, file_axes)}, {0}};
static const tare_attr_spec unsqueeze_attrs[] = {
    {TARE_OP_ATTR("axes", INTS, tare_reshape_attrs, file_axes), .required = true}, {0}};
static const tare_attr_spec dropout_attrs[] = {
    {TARE_OP_ATTR("ratio", IGNORED, tare_reshape_attrs, axis), .until = 11},
    {TARE_OP_ATTR("seed", IGNORED, tare_reshape_attrs, axis), .since = 12},
    {0}};

static tare_status wrong_count(const tare_value *x, const tare_ints *shape, tare_error *err) {
    char from[TARE_DIMS_TEXT_BYTES], to[TARE_DIMS_TEXT_BYTES];
    return tare_fail(err, TARE_INVALID_MODEL, "input '%s' of shape %s cannot take the shape %s",
                     x->name, tare_dims_text(from, sizeof from, x->rank, x->dims),
                     tare_dims_text(to, sizeof to, (int)shape->count, shape->values));
}

static tare_status infer_reshape(tare_infer *infer, tare_error *err) {
    const tare_reshape_attrs *attrs = infer->attrs;
    const tare_value *x = tare_infer_input(infer, 0);
    const int64_t total = tare_dims_count(x->rank, x->dims);
    int64_t dims[TARE_MAX_RANK], known;
    tare_ints shape;
    int free_dim = -1;

    TARE_TRY(tare_infer_ints(&shape, infer, 1, "shapes", err));
    if (shape.count > TARE_MAX_RANK) {
        return tare_fail(err, TARE_UNSUPPORTED, "a shape of %zu dims; at most %d are supported",
                         shape.count, TARE_MAX_RANK);
    }
    for (int i = 0; i < (int)shape.count; i++) {
        dims[i] = shape.values[i];
        if (dims[i] == 0 && !attrs->allowzero && i < x->rank) {
            dims[i] = x->dims[i];
        } else if (dims[i] == 0 && !attrs->allowzero) {
            return wrong_count(x, &shape, err);
        } else if (dims[i] == -1 && free_dim < 0) {
            free_dim = i;
            dims[i] = 1;
        } else if (dims[i] < 0) {
            return wrong_count(x, &shape, err);
        }
    }
    known = tare_dims_count((int)shape.count, dims);
    if (free_dim >= 0 && known > 0 && total % known == 0) {
        dims[free_dim] = total / known;
    } else if (free_dim >= 0 || known != total) {
        return wrong_count(x, &shape, err);
    }
    return tare_infer_output(infer, 0, x->dtype, (int)shape.count, dims, err);
}

static tare_status infer_flatten(tare_infer *infer, tare_error *err) {
    tare_reshape_attrs *attrs = infer->attrs;
    const tare_value *x = tare_infer_input(infer, 0);
    const int64_t axis = attrs->axis < 0 ? attrs->axis + x->rank : attrs->axis;
    int64_t dims[2];

    if (axis < 0 || axis > x->rank) {
        return tare_fail(err, TARE_INVALID_MODEL, "axis %lld is not one of an input with %d dims",
                         (long long)attrs->axis, x->rank);
    }
    dims[0] = tare_dims_count((int)axis, x->dims);
    dims[1] = tare_dims_count(x->rank - (int)axis, x->dims + axis);
    return tare_infer_output(infer, 0, x->dtype, 2, dims, err);
}

/* The axes of Squeeze and Unsqueeze: an attribute before opset 13, then an input. */
static tare_status read_axes(tare_ints *axes, tare_infer *infer, tare_error *err) {
    const tare_reshape_attrs *attrs = infer->attrs;
    *axes = attrs->file_axes;
    return infer->opset < 13 ? TARE_OK : tare_infer_ints(axes, infer, 1, "axes", err);
}

static tare_status infer_squeeze(tare_infer *infer, tare_error *err) {
    const tare_value *x = tare_infer_input(infer, 0);
    bool drop[TARE_MAX_RANK];
    int64_t dims[TARE_MAX_RANK];
    tare_ints axes;
    int rank = 0;

    TARE_TRY(read_axes(&axes, infer, err));
    TARE_TRY(tare_infer_axes(drop, &axes, x->rank, err));
    for (int i = 0; i < x->rank; i++) {
        if (drop[i] && x->dims[i] != 1) {
            return tare_fail(err, TARE_INVALID_MODEL, "dim %d of input '%s' is %lld, expected 1", i,
                             x->name, (long long)x->dims[i]);
        }
        if (!(drop[i] || (axes.values == NULL && x->dims[i] == 1))) {
            dims[rank++] = x->dims[i];
        }
    }
    return tare_infer_output(infer, 0, x->dtype, rank, dims, err);
}

static tare_status infer_unsqueeze(tare_infer *infer, tare_error *err) {
    const tare_value *x = tare_infer_input(infer, 0);
    bool insert[TARE_MAX_RANK];
    int64_t dims[TARE_MAX_RANK];
    tare_ints axes;
    int rank, taken = 0;

    TARE_TRY(read_axes(&axes, infer, err));
    if (axes.count > (size_t)(TARE_MAX_RANK - x->rank)) {
        return tare_fail(err, TARE_UNSUPPORTED, "the result has %zu dims, at most %d are supported",
                         (size_t)x->rank + axes.count, TARE_MAX_RANK);
    }
    rank = x->rank + (int)axes.count;
    TARE_TRY(tare_infer_axes(insert, &axes, rank, err));
    for (int i = 0; i < rank; i++) {
        dims[i] = insert[i] ? 1 : x->dims[taken++];
    }
    return tare_infer_output(infer, 0, x->dtype, rank, dims, err);
}

static tare_status infer_identity(tare_infer *infer, tare_error *err) {
    return tare_infer_output_like(infer, 0, tare_infer_input(infer, 0), err);
}

/* At inference Dropout passes its input on; the mask, if somebody wants it, keeps everything. */
static tare_status infer_dropout(tare_infer *infer, tare_error *err) {
    const tare_value *x = tare_infer_input(infer, 0);
    double training = 0.0;

    TARE_TRY(tare_infer_number(&training, infer, 2, "training modes", err));
    if (training != 0.0) {
        return tare_fail(err, TARE_UNSUPPORTED, "training_mode is on");
    }
    TARE_TRY(tare_infer_output_like(infer, 0, x, err));
    if (tare_infer_wants(infer, 1)) {
        tare_tensor *mask;
        if (infer->opset < 10) {
            return tare_fail(err, TARE_UNSUPPORTED, "the mask of Dropout before opset 10");
        }
        TARE_TRY(tare_infer_output(infer, 1, TARE_DTYPE_BOOL, x->rank, x->dims, err));
        if (tare_dims_count(x->rank, x->dims) > (int64_t)TARE_INFER_CONSTANT_BYTES) {
            return tare_fail(err, TARE_UNSUPPORTED, "a mask of more than %zu elements",
                             TARE_INFER_CONSTANT_BYTES);
        }
        TARE_TRY(tare_infer_output_constant(&mask, infer, 1, err));
        memset(tare_tensor_elements(mask), 1, (size_t)tare_tensor_count(mask));
    }
    return TARE_OK;
}

const tare_op tare_ops_reshape[] = {
    {TARE_OP_ROW("Reshape", 5, 2, 2, 1, 1, infer_reshape),
     TARE_OP_ATTRS(tare_reshape_attrs, reshape_attrs)},
    {TARE_OP_ROW("Flatten", 1, 1, 1, 1, 1, infer_flatten), .kernel = "Reshape",
     TARE_OP_ATTRS(tare_reshape_attrs, flatten_attrs)},
    {TARE_OP_ROW("Squeeze", 1, 1, 1, 1, 1, infer_squeeze), .until = 12, .kernel = "Reshape",
     TARE_OP_ATTRS(tare_reshape_attrs, squeeze_attrs)},
    {TARE_OP_ROW("Squeeze", 13, 1, 2, 1, 1, infer_squeeze), .kernel = "Reshape",
     TARE_OP_ATTRS(tare_reshape_attrs, NULL)},
    {TARE_OP_ROW("Unsqueeze", 1, 1, 1, 1, 1, infer_unsqueeze), .until = 12, .kernel = "Reshape",
     TARE_OP_ATTRS(tare_reshape_attrs, unsqueeze_attrs)},
    {TARE_OP_ROW("Unsqueeze", 13, 2, 2, 1, 1, infer_unsqueeze), .kernel = "Reshape",
     TARE_OP_ATTRS(tare_reshape_attrs, NULL)},
    {TARE_OP_ROW("Identity", 1, 1, 1, 1, 1, infer_identity), .kernel = "Reshape",
     TARE_OP_ATTRS(tare_reshape_attrs, NULL)},
    {TARE_OP_ROW("Dropout", 7, 1, 1, 1, 2, infer_dropout), .until = 11, .kernel = "Reshape",
     TARE_OP_ATTRS(tare_reshape_attrs, dropout_attrs)},
    {TARE_OP_ROW("Dropout", 12, 1, 3, 1, 2, infer_dropout), .kernel = "Reshape",
     TARE_OP_ATTRS(tare_reshape_attrs, dropout_attrs)},
    {0}};
