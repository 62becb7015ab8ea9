/* SPDX-License-Identifier: Apache-2.0 */
/** The numbers of all points of a setup: weights' own ranges, groups, and codes of weights. */
#include <math.h>

#include "quant/params.h"
#include "quant/weight.h"

/* How a weight is cut along an axis: `outer` blocks of `channels` runs of `inner` elements. */
typedef struct weight_shape {
    int64_t outer, channels, inner;
} weight_shape;

static weight_shape shape_of(const tare_tensor *weight, int axis) {
    weight_shape shape = {1, 1, 1};
    if (axis < 0) {
        shape.inner = tare_tensor_count(weight);
        return shape;
    }
    for (int i = 0; i < weight->rank; i++) {
        if (i < axis) {
            shape.outer *= weight->dims[i];
        } else if (i > axis) {
            shape.inner *= weight->dims[i];
        }
    }
    shape.channels = weight->dims[axis];
    return shape;
}

/* Smallest value and largest value or magnitude of each channel; false for NaN and infinities. */
static bool weight_range(float *min, float *max, const tare_tensor *weight, int axis,
                         bool magnitude) {
    const weight_shape shape = shape_of(weight, axis);
    const float *values = weight->data;
    bool finite = true;
    for (int64_t c = 0; c < shape.channels; c++) {
        min[c] = INFINITY;
        max[c] = -INFINITY;
    }
    for (int64_t o = 0; o < shape.outer; o++) {
        for (int64_t c = 0; c < shape.channels; c++) {
            float lowest = min[c];
            float highest = max[c];
            for (int64_t k = 0; k < shape.inner; k++) {
                const float value = *values++;
                const float compared = magnitude ? fabsf(value) : value;
                lowest = value < lowest ? value : lowest;
                highest = compared > highest ? compared : highest;
                finite = finite && isfinite(value);
            }
            min[c] = lowest;
            max[c] = highest;
        }
    }
    return finite;
}

static tare_status floats_new(float **out, tare_arena *arena, int64_t count, tare_error *err) {
    *out = tare_arena_array(arena, (size_t)count, sizeof(**out));
    return *out != NULL ? TARE_OK : tare_fail_memory(err, (size_t)count * sizeof(**out), "scales");
}

/* The range of a weight; min and max are new arrays of the point's channels. */
static tare_status weight_measure(float **min, float **max, tare_arena *arena,
                                  const tare_quantizer_point *point, tare_error *err) {
    tare_tensor weight = {0};
    tare_status status = TARE_OK;
    TARE_TRY(floats_new(min, arena, point->channels, err));
    TARE_TRY(floats_new(max, arena, point->channels, err));
    TARE_TRY(tare_weight_load(&weight, point->value, err));
    if (weight.dtype != TARE_DTYPE_FLOAT || tare_tensor_count(&weight) == 0 ||
        (point->axis >= 0 &&
         (point->axis >= weight.rank || weight.dims[point->axis] != point->channels))) {
        char dims[TARE_DIMS_TEXT_BYTES];
        status = tare_fail(err, TARE_INVALID_MODEL,
                           "a weight of type %s and shape %s, expected float32 with %lld channels "
                           "on axis %d",
                           tare_dtype_text(weight.dtype),
                           tare_dims_text(dims, sizeof(dims), weight.rank, weight.dims),
                           (long long)point->channels, point->axis);
    } else if (!weight_range(*min, *max, &weight, point->axis, point->uses_abs_max)) {
        status = tare_fail(err, TARE_INVALID_MODEL, "a weight that holds NaN or infinity");
    }
    tare_tensor_release(&weight);
    return status;
}

static tare_status point_range(const float **min, const float **max, tare_arena *arena,
                               const tare_quantizer_point *point,
                               const tare_activation_range *range, tare_error *err) {
    if (point->kind == TARE_POINT_WEIGHT) {
        float *low;
        float *high;
        TARE_TRY(weight_measure(&low, &high, arena, point, err));
        *min = low;
        *max = high;
        return TARE_OK;
    }
    if (range->channels != point->channels) {
        return tare_fail(err, TARE_INVALID_ARGUMENT, "a range for %lld channels, expected %lld",
                         (long long)range->channels, (long long)point->channels);
    }
    *min = range->min;
    *max = range->max;
    return TARE_OK;
}

static tare_status point_params(tare_quantizer_params *out, tare_arena *arena,
                                const tare_quantizer_point *point, const float *min,
                                const float *max, tare_error *err) {
    const tare_params_spec spec = {.config = point->config,
                                   .weight = point->kind == TARE_POINT_WEIGHT,
                                   .half_range = point->half_range};
    TARE_TRY(floats_new(&out->scale, arena, point->channels, err));
    out->zero_point = tare_arena_array(arena, (size_t)point->channels, sizeof(*out->zero_point));
    if (out->zero_point == NULL) {
        return tare_fail_memory(err, (size_t)point->channels * 4, "zero points");
    }
    return tare_params_compute(out, &spec, min, max, (size_t)point->channels, err);
}

/* The union of the ranges of each group. */
typedef struct group_range {
    float min, max;
    bool is_signed; /* some member has signed codes whatever its range */
} group_range;

static tare_status groups_measure(group_range *groups, const float **mins, const float **maxs,
                                  const tare_quantizer_setup *setup, tare_error *err) {
    for (size_t g = 0; g < setup->group_count; g++) {
        groups[g] = (group_range){INFINITY, -INFINITY, false};
    }
    for (size_t i = 0; i < setup->point_count; i++) {
        const tare_quantizer_point *point = &setup->points[i];
        if (point->group == TARE_NO_GROUP) {
            continue;
        }
        if (point->group >= setup->group_count || point->channels != 1) {
            return tare_fail(err, TARE_INTERNAL, "tensor '%s' is in a group that cannot be",
                             point->value->name);
        }
        group_range *group = &groups[point->group];
        group->min = mins[i][0] < group->min ? mins[i][0] : group->min;
        group->max = maxs[i][0] > group->max ? maxs[i][0] : group->max;
        group->is_signed |= point->kind == TARE_POINT_WEIGHT || point->config.signed_only;
    }
    return TARE_OK;
}

static tare_status all_ranges(const float **mins, const float **maxs, tare_arena *arena,
                              const tare_quantizer_setup *setup,
                              const tare_activation_range *ranges, tare_error *err) {
    for (size_t i = 0; i < setup->point_count; i++) {
        const tare_quantizer_point *point = &setup->points[i];
        const tare_status status = point_range(&mins[i], &maxs[i], arena, point, &ranges[i], err);
        if (status != TARE_OK) {
            tare_error_prepend(err, "tensor '%s': ", point->value->name);
            return status;
        }
    }
    return TARE_OK;
}

tare_status tare_setup_params(tare_quantizer_params *out, tare_arena *arena,
                              const tare_quantizer_setup *setup,
                              const tare_activation_range *ranges, tare_error *err) {
    const float **mins = tare_arena_array(arena, setup->point_count, sizeof(*mins));
    const float **maxs = tare_arena_array(arena, setup->point_count, sizeof(*maxs));
    group_range *groups = tare_arena_array(arena, setup->group_count, sizeof(*groups));
    if (mins == NULL || maxs == NULL || groups == NULL) {
        return tare_fail_memory(err, setup->point_count * sizeof(*mins), "scales");
    }
    TARE_TRY(all_ranges(mins, maxs, arena, setup, ranges, err));
    TARE_TRY(groups_measure(groups, mins, maxs, setup, err));
    for (size_t i = 0; i < setup->point_count; i++) {
        tare_quantizer_point point = setup->points[i];
        const float *min = mins[i];
        const float *max = maxs[i];
        if (point.group != TARE_NO_GROUP) {
            min = &groups[point.group].min;
            max = &groups[point.group].max;
            point.config.signed_only |= groups[point.group].is_signed;
        }
        const tare_status status = point_params(&out[i], arena, &point, min, max, err);
        if (status != TARE_OK) {
            tare_error_prepend(err, "tensor '%s': ", point.value->name);
            return status;
        }
    }
    return TARE_OK;
}

static int8_t code_of(float value, float scale, int32_t zero_point) {
    const float code = rintf(value / scale) + (float)zero_point;
    return code < -128.0F ? INT8_MIN : code > 127.0F ? INT8_MAX : (int8_t)code;
}

tare_status tare_weight_quantize(tare_tensor *out, const tare_tensor *weight, int axis,
                                 const tare_quantizer_params *params, tare_error *err) {
    TARE_TRY(tare_tensor_init(out, TARE_DTYPE_INT8, weight->rank, weight->dims, err));
    const weight_shape shape = shape_of(weight, axis);
    const float *values = weight->data;
    int8_t *codes = tare_tensor_elements(out);
    for (int64_t o = 0; o < shape.outer; o++) {
        for (int64_t c = 0; c < shape.channels; c++) {
            for (int64_t k = 0; k < shape.inner; k++) {
                *codes++ = code_of(*values++, params->scale[c], params->zero_point[c]);
            }
        }
    }
    return TARE_OK;
}
