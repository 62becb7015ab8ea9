/* SPDX-License-Identifier: Apache-2.0 */
/** Resize, Upsample, GridSample. */
#include <math.h>
#include <string.h>

#include "ops/rows.h"

static const char *const old_modes[] = {"nearest", "linear", NULL};
static const char *const modes[] = {"nearest", "linear", "cubic", NULL};
static const char *const coordinates[] = {
    "half_pixel",         "pytorch_half_pixel",   "align_corners",        "asymmetric",
    "tf_crop_and_resize", "half_pixel_symmetric", "tf_half_pixel_for_nn", NULL};
static const char *const roundings[] = {"round_prefer_floor", "round_prefer_ceil", "floor", "ceil",
                                        NULL};
static const char *const policies[] = {"stretch", "not_larger", "not_smaller", NULL};
enum { POLICY_STRETCH, POLICY_NOT_LARGER };

static const tare_attr_spec upsample7_attrs[] = {
    {TARE_OP_ATTR("mode", CHOICE, tare_resize_attrs, mode), .choices = old_modes},
    {TARE_OP_ATTR("scales", FLOATS, tare_resize_attrs, file_scales), .required = true},
    {0}};
static const tare_attr_spec old_resize_attrs[] = {
    {TARE_OP_ATTR("mode", CHOICE, tare_resize_attrs, mode), .choices = old_modes}, {0}};
static const tare_attr_spec resize_attrs[] = {
    {TARE_OP_ATTR("antialias", BOOL, tare_resize_attrs, antialias), .since = 18},
    {TARE_OP_ATTR("axes", INTS, tare_resize_attrs, file_axes), .since = 18},
    {TARE_OP_ATTR("coordinate_transformation_mode", CHOICE, tare_resize_attrs, coordinates),
     .choices = coordinates},
    {TARE_OP_ATTR("cubic_coeff_a", FLOAT, tare_resize_attrs, cubic_coeff_a),
     .default_float = -0.75F},
    {TARE_OP_ATTR("exclude_outside", BOOL, tare_resize_attrs, exclude_outside)},
    {TARE_OP_ATTR("extrapolation_value", FLOAT, tare_resize_attrs, extrapolation_value)},
    {TARE_OP_ATTR("keep_aspect_ratio_policy", CHOICE, tare_resize_attrs, keep_aspect_ratio_policy),
     .since = 18, .choices = policies},
    {TARE_OP_ATTR("mode", CHOICE, tare_resize_attrs, mode), .choices = modes},
    {TARE_OP_ATTR("nearest_mode", CHOICE, tare_resize_attrs, nearest_mode), .choices = roundings},
    {0}};

static const char *const sample_modes[] = {"linear", "nearest", "cubic", NULL};
static const char *const old_sample_modes[] = {"bilinear", "nearest", "bicubic", NULL};
static const char *const sample_paddings[] = {"zeros", "border", "reflection", NULL};
static const tare_attr_spec grid_sample_attrs[] = {
    {TARE_OP_ATTR("align_corners", BOOL, tare_grid_sample_attrs, align_corners)},
    {TARE_OP_ATTR("mode", CHOICE, tare_grid_sample_attrs, mode), .until = 19,
     .choices = old_sample_modes},
    {TARE_OP_ATTR("mode", CHOICE, tare_grid_sample_attrs, mode), .since = 20,
     .choices = sample_modes},
    {TARE_OP_ATTR("padding_mode", CHOICE, tare_grid_sample_attrs, padding_mode),
     .choices = sample_paddings},
    {0}};

/* The axes that are resized, in the order of the lists of scales, sizes and regions. */
typedef struct resized_axes {
    int count;
    int64_t axes[TARE_MAX_RANK];
} resized_axes;

static tare_status read_resized_axes(resized_axes *out, const tare_infer *infer, tare_error *err) {
    const tare_resize_attrs *attrs = infer->attrs;
    const int rank = tare_infer_input(infer, 0)->rank;
    bool seen[TARE_MAX_RANK];

    TARE_TRY(tare_infer_axes(seen, &attrs->file_axes, rank, err));
    out->count = attrs->file_axes.values != NULL ? (int)attrs->file_axes.count : rank;
    for (int i = 0; i < out->count; i++) {
        out->axes[i] = i;
        if (attrs->file_axes.values != NULL) {
            TARE_TRY(tare_infer_axis(&out->axes[i], attrs->file_axes.values[i], rank, err));
        }
    }
    return TARE_OK;
}

/* A list of floats from a constant input; none when it is left out or empty. */
static tare_status read_floats(tare_floats *out, tare_infer *infer, size_t port, const char *what,
                               tare_error *err) {
    const tare_value *value = tare_infer_input(infer, port);
    int64_t count;
    float *values;

    *out = (tare_floats){0};
    if (value == NULL || tare_dims_count(value->rank, value->dims) == 0) {
        return TARE_OK;
    }
    if (value->constant == NULL) {
        return tare_fail(err, TARE_UNSUPPORTED,
                         "input '%s' (%s) depends on the model's inputs; only constant %s are "
                         "supported here",
                         value->name, what, what);
    }
    count = tare_tensor_count(value->constant);
    values = tare_arena_array(&infer->graph->arena, (size_t)count, sizeof *values);
    if (values == NULL) {
        return tare_fail_memory(err, (size_t)count * sizeof *values, what);
    }
    for (int64_t i = 0; i < count; i++) {
        values[i] = (float)tare_tensor_float_at(value->constant, i);
    }
    *out = (tare_floats){(size_t)count, values};
    return TARE_OK;
}

static tare_status wrong_length(const char *what, size_t found, int expected, tare_error *err) {
    return tare_fail(err, TARE_INVALID_MODEL, "%zu %s for %d axes", found, what, expected);
}

static tare_status apply_scales(int64_t *dims, tare_infer *infer, const resized_axes *axes,
                                const tare_floats *scales, tare_error *err) {
    tare_resize_attrs *attrs = infer->attrs;
    if (scales->count != (size_t)axes->count) {
        return wrong_length("scales", scales->count, axes->count, err);
    }
    for (int i = 0; i < axes->count; i++) {
        const int64_t axis = axes->axes[i];
        const float scale = scales->values[i];
        /* In float, as ONNX Runtime computes it: 10 * 0.7f is 7 then and 6 in exact arithmetic. */
        const float size = (float)dims[axis] * scale;
        if (!(scale > 0.0F) || !(size < 2147483648.0F)) {
            return tare_fail(err, TARE_INVALID_MODEL, "axis %lld of %lld is scaled by %g",
                             (long long)axis, (long long)dims[axis], (double)scale);
        }
        attrs->scale[axis] = scale;
        dims[axis] = (int64_t)floorf(size);
    }
    return TARE_OK;
}

/* One scale for all axes: the smallest or the largest that the sizes ask for. */
static void keep_aspect_ratio(int64_t *dims, tare_resize_attrs *attrs, const tare_value *x,
                              const resized_axes *axes) {
    const bool smallest = attrs->keep_aspect_ratio_policy == POLICY_NOT_LARGER;
    float common = attrs->scale[axes->axes[0]];
    for (int i = 1; i < axes->count; i++) {
        const float scale = attrs->scale[axes->axes[i]];
        common = (smallest ? scale < common : scale > common) ? scale : common;
    }
    for (int i = 0; i < axes->count; i++) {
        const int64_t axis = axes->axes[i];
        attrs->scale[axis] = common;
        dims[axis] = (int64_t)floor((double)common * (double)x->dims[axis] + 0.5);
    }
}

static tare_status apply_sizes(int64_t *dims, tare_infer *infer, const resized_axes *axes,
                               const tare_ints *sizes, tare_error *err) {
    tare_resize_attrs *attrs = infer->attrs;
    const tare_value *x = tare_infer_input(infer, 0);
    if (sizes->count != (size_t)axes->count) {
        return wrong_length("sizes", sizes->count, axes->count, err);
    }
    for (int i = 0; i < axes->count; i++) {
        const int64_t axis = axes->axes[i];
        if (sizes->values[i] < 1 || sizes->values[i] > INT32_MAX || x->dims[axis] < 1) {
            return tare_fail(err, TARE_INVALID_MODEL, "axis %lld of %lld is resized to %lld",
                             (long long)axis, (long long)x->dims[axis],
                             (long long)sizes->values[i]);
        }
        dims[axis] = sizes->values[i];
        attrs->scale[axis] = (float)dims[axis] / (float)x->dims[axis];
    }
    if (attrs->keep_aspect_ratio_policy != POLICY_STRETCH && axes->count > 0) {
        keep_aspect_ratio(dims, attrs, x, axes);
    }
    return TARE_OK;
}

/* Regions are read only where the coordinates depend on them. */
static tare_status apply_roi(tare_infer *infer, const resized_axes *axes, tare_error *err) {
    tare_resize_attrs *attrs = infer->attrs;
    tare_floats roi;
    for (int i = 0; i < TARE_MAX_RANK; i++) {
        attrs->roi_begin[i] = 0.0F;
        attrs->roi_end[i] = 1.0F;
    }
    if (attrs->coordinates != TARE_RESIZE_TF_CROP_AND_RESIZE) {
        return TARE_OK;
    }
    TARE_TRY(read_floats(&roi, infer, 1, "regions", err));
    if (roi.count != 2 * (size_t)axes->count) {
        return wrong_length("bounds of the region", roi.count, axes->count, err);
    }
    for (int i = 0; i < axes->count; i++) {
        attrs->roi_begin[axes->axes[i]] = roi.values[i];
        attrs->roi_end[axes->axes[i]] = roi.values[axes->count + i];
    }
    return TARE_OK;
}

static tare_status finish_resize(tare_infer *infer, const int64_t *dims, tare_error *err) {
    const tare_value *x = tare_infer_input(infer, 0);
    for (int i = 0; i < x->rank; i++) {
        if (dims[i] < 1 && x->dims[i] > 0) {
            return tare_fail(err, TARE_INVALID_MODEL, "axis %d of %lld would be resized to nothing",
                             i, (long long)x->dims[i]);
        }
    }
    return tare_infer_output(infer, 0, x->dtype, x->rank, dims, err);
}

static void start_resize(int64_t *dims, tare_infer *infer) {
    tare_resize_attrs *attrs = infer->attrs;
    const tare_value *x = tare_infer_input(infer, 0);
    memcpy(dims, x->dims, sizeof x->dims);
    for (int i = 0; i < TARE_MAX_RANK; i++) {
        attrs->scale[i] = 1.0F;
    }
}

static tare_status infer_resize(tare_infer *infer, tare_error *err) {
    int64_t dims[TARE_MAX_RANK];
    resized_axes axes;
    tare_floats scales;
    tare_ints sizes;

    start_resize(dims, infer);
    TARE_TRY(read_resized_axes(&axes, infer, err));
    TARE_TRY(apply_roi(infer, &axes, err));
    TARE_TRY(read_floats(&scales, infer, 2, "scales", err));
    TARE_TRY(tare_infer_ints(&sizes, infer, 3, "sizes", err));
    if ((scales.count > 0) == (sizes.count > 0)) {
        return tare_fail(err, TARE_INVALID_MODEL, "%zu scales and %zu sizes; one of both is needed",
                         scales.count, sizes.count);
    }
    if (scales.count > 0) {
        TARE_TRY(apply_scales(dims, infer, &axes, &scales, err));
    } else {
        TARE_TRY(apply_sizes(dims, infer, &axes, &sizes, err));
    }
    return finish_resize(infer, dims, err);
}

/*
 * Upsample and Resize before opset 11 had no coordinate modes: they scaled indices. The nearest
 * element was the one before when an axis grows and the one after when it shrinks, which one
 * rounding mode for all axes can say unless a node does both.
 */
static tare_status infer_old_resize(tare_infer *infer, tare_error *err) {
    tare_resize_attrs *attrs = infer->attrs;
    bool grows = false, shrinks = false;
    int64_t dims[TARE_MAX_RANK];
    resized_axes axes;
    tare_floats scales = attrs->file_scales;

    start_resize(dims, infer);
    attrs->coordinates = TARE_RESIZE_ASYMMETRIC;
    attrs->cubic_coeff_a = -0.75F;
    TARE_TRY(read_resized_axes(&axes, infer, err));
    TARE_TRY(apply_roi(infer, &axes, err));
    if (scales.values == NULL) {
        TARE_TRY(read_floats(&scales, infer, 1, "scales", err));
    }
    TARE_TRY(apply_scales(dims, infer, &axes, &scales, err));
    for (size_t i = 0; i < scales.count; i++) {
        grows = grows || scales.values[i] > 1.0F;
        shrinks = shrinks || scales.values[i] < 1.0F;
    }
    if (grows && shrinks && attrs->mode == TARE_RESIZE_NEAREST) {
        return tare_fail(err, TARE_UNSUPPORTED,
                         "enlarges one axis and shrinks another to the nearest element");
    }
    attrs->nearest_mode = shrinks ? TARE_RESIZE_CEIL : TARE_RESIZE_FLOOR;
    return finish_resize(infer, dims, err);
}

static tare_status infer_grid_sample(tare_infer *infer, tare_error *err) {
    const tare_value *x = tare_infer_input(infer, 0), *grid = tare_infer_input(infer, 1);
    int64_t dims[TARE_MAX_RANK];

    TARE_TRY(tare_infer_float32(infer, 0, err));
    TARE_TRY(tare_infer_float32(infer, 1, err));
    TARE_TRY(tare_infer_rank(infer, 0, 4, infer->opset < 20 ? 4 : 5, err));
    TARE_TRY(tare_infer_rank(infer, 1, x->rank, x->rank, err));
    if (grid->dims[0] != x->dims[0] || grid->dims[x->rank - 1] != x->rank - 2) {
        char text[TARE_DIMS_TEXT_BYTES];
        return tare_fail(err, TARE_INVALID_MODEL,
                         "grid '%s' of shape %s, expected batch %lld and %d coordinates",
                         grid->name, tare_dims_text(text, sizeof text, grid->rank, grid->dims),
                         (long long)x->dims[0], x->rank - 2);
    }
    dims[0] = x->dims[0];
    dims[1] = x->dims[1];
    for (int i = 2; i < x->rank; i++) {
        dims[i] = grid->dims[i - 1];
        if (x->dims[i] < 1) {
            return tare_fail(err, TARE_INVALID_MODEL, "dim %d of input '%s' is 0", i, x->name);
        }
    }
    return tare_infer_output(infer, 0, TARE_DTYPE_FLOAT, x->rank, dims, err);
}

const tare_op tare_ops_resize[] = {
    {TARE_OP_ROW("Upsample", 7, 1, 1, 1, 1, infer_old_resize), .until = 8, .kernel = "Resize",
     TARE_OP_ATTRS(tare_resize_attrs, upsample7_attrs)},
    {TARE_OP_ROW("Upsample", 9, 2, 2, 1, 1, infer_old_resize), .until = 9, .kernel = "Resize",
     TARE_OP_ATTRS(tare_resize_attrs, old_resize_attrs)},
    {TARE_OP_ROW("Resize", 10, 2, 2, 1, 1, infer_old_resize), .until = 10,
     TARE_OP_ATTRS(tare_resize_attrs, old_resize_attrs)},
    {TARE_OP_ROW("Resize", 11, 3, 4, 1, 1, infer_resize), .until = 12, .optional_inputs = 6U,
     TARE_OP_ATTRS(tare_resize_attrs, resize_attrs)},
    {TARE_OP_ROW("Resize", 13, 1, 4, 1, 1, infer_resize),
     TARE_OP_ATTRS(tare_resize_attrs, resize_attrs)},
    {TARE_OP_ROW("GridSample", 16, 2, 2, 1, 1, infer_grid_sample),
     TARE_OP_ATTRS(tare_grid_sample_attrs, grid_sample_attrs)},
    {0}};
