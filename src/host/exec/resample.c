/* SPDX-License-Identifier: Apache-2.0 */
/**
 * Which input elements an output element of Resize comes from, along one axis.
 *
 * Positions are computed in float32, as runtimes do: where a position falls on a whole number only
 * thanks to rounding, nearest neighbour must fall with them.
 */
#include "exec/resample.h"

#include <math.h>
#include <stdlib.h>

/* The output size as the specification's formulas and cases see it: scale times input, not rounded
 * down. (ONNX Runtime takes the rounded size; they differ where the product is no whole number.) */
static float resized_length(float scale, const int64_t sizes[2]) {
    const float length = scale * (float)sizes[0], whole = (float)sizes[1];
    return fabsf(length - whole) < 1e-3F ? whole : length;
}

static float crop_position(const tare_resize_attrs *attrs, int axis, const int64_t sizes[2],
                           float x) {
    const float begin = attrs->roi_begin[axis], end = attrs->roi_end[axis];
    const float last = (float)(sizes[0] - 1);
    if (sizes[1] == 1) {
        return 0.5F * (begin + end) * last;
    }
    return begin * last + x * (end - begin) * last / (float)(sizes[1] - 1);
}

static float symmetric_position(float x, float scale, const int64_t sizes[2]) {
    const float adjustment = (float)sizes[1] / resized_length(scale, sizes);
    const float offset = 0.5F * (float)sizes[0] * (1.0F - adjustment);
    return offset + (x + 0.5F) / scale - 0.5F;
}

/* Where output index k lies in the input. */
static float position(const tare_resize_attrs *attrs, int axis, const int64_t sizes[2], int64_t k) {
    const float x = (float)k, scale = attrs->scale[axis];
    switch (attrs->coordinates) {
    case TARE_RESIZE_PYTORCH_HALF_PIXEL:
        return sizes[1] == 1 ? -0.5F : (x + 0.5F) / scale - 0.5F;
    case TARE_RESIZE_ALIGN_CORNERS:
        return sizes[1] == 1 ? 0.0F
                             : x * (float)(sizes[0] - 1) / (resized_length(scale, sizes) - 1.0F);
    case TARE_RESIZE_ASYMMETRIC:
        return x / scale;
    case TARE_RESIZE_TF_CROP_AND_RESIZE:
        return crop_position(attrs, axis, sizes, x);
    case TARE_RESIZE_HALF_PIXEL_SYMMETRIC:
        return symmetric_position(x, scale, sizes);
    case TARE_RESIZE_TF_HALF_PIXEL_FOR_NN:
        return (x + 0.5F) / scale;
    case TARE_RESIZE_HALF_PIXEL:
    default:
        return (x + 0.5F) / scale - 0.5F;
    }
}

static int64_t nearest(int mode, float x) {
    switch (mode) {
    case TARE_RESIZE_ROUND_PREFER_CEIL:
        return (int64_t)floor((double)x + 0.5);
    case TARE_RESIZE_FLOOR:
        return (int64_t)floorf(x);
    case TARE_RESIZE_CEIL:
        return (int64_t)ceilf(x);
    case TARE_RESIZE_ROUND_PREFER_FLOOR:
    default:
        return (int64_t)ceil((double)x - 0.5);
    }
}

static double triangle(double x) {
    return fabs(x) < 1.0 ? 1.0 - fabs(x) : 0.0;
}

static double cubic(double x, double a) {
    x = fabs(x);
    if (x <= 1.0) {
        return ((a + 2.0) * x - (a + 3.0)) * x * x + 1.0;
    }
    return x < 2.0 ? ((a * x - 5.0 * a) * x + 8.0 * a) * x - 4.0 * a : 0.0;
}

static int64_t limited(int64_t index, int64_t size) {
    return index < 0 ? 0 : (index >= size ? size - 1 : index);
}

/* Weights of one output index; `shrink` widens the filter when it is below one. */
static void weigh(tare_taps *taps, const tare_resize_attrs *attrs, double shrink, float x,
                  int64_t k) {
    const int64_t first = (int64_t)floorf(x) - taps->count / 2 + 1;
    int64_t *index = taps->index + k * taps->count;
    float *weight = taps->weight + k * taps->count;
    double sum = 0.0;

    for (int pass = 0; pass < 2; pass++) {
        for (int64_t j = 0; j < taps->count; j++) {
            const double distance = ((double)(first + j) - (double)x) * shrink;
            const bool inside = first + j >= 0 && first + j < taps->in;
            double w = attrs->mode == TARE_RESIZE_LINEAR
                           ? triangle(distance)
                           : cubic(distance, (double)attrs->cubic_coeff_a);
            w = inside || !attrs->exclude_outside ? w : 0.0;
            if (pass == 0) {
                sum += w;
                continue;
            }
            index[j] = limited(first + j, taps->in);
            weight[j] = (float)(sum == 0.0 ? 0.0 : w / sum);
        }
    }
}

static tare_status allocate(tare_taps *taps, bool weights, bool outside, tare_error *err) {
    const size_t count = (size_t)(taps->out * taps->count) + 1;
    taps->index = calloc(count, sizeof *taps->index);
    taps->weight = weights ? calloc(count, sizeof *taps->weight) : NULL;
    taps->outside = outside ? calloc((size_t)taps->out + 1, sizeof *taps->outside) : NULL;
    if (taps->index == NULL || (weights && taps->weight == NULL) ||
        (outside && taps->outside == NULL)) {
        return tare_fail_memory(err, count * sizeof *taps->index, "the taps of Resize");
    }
    return TARE_OK;
}

tare_status tare_taps_init(tare_taps *taps, const tare_resize_attrs *attrs, int axis,
                           const int64_t sizes[2], tare_error *err) {
    const double scale = (double)attrs->scale[axis];
    const bool crop = attrs->coordinates == TARE_RESIZE_TF_CROP_AND_RESIZE;
    const bool smooth = attrs->mode != TARE_RESIZE_NEAREST;
    const double shrink = attrs->antialias && smooth && scale < 1.0 ? scale : 1.0;
    const double radius = ceil((attrs->mode == TARE_RESIZE_CUBIC ? 2.0 : 1.0) / shrink);

    *taps = (tare_taps){.in = sizes[0], .out = sizes[1], .count = 1};
    /* A zeroed region would crop to one point; axes without one keep everything. */
    taps->identity = sizes[0] == sizes[1] && scale == 1.0 &&
                     (!crop || (attrs->roi_begin[axis] == 0.0F && attrs->roi_end[axis] == 1.0F));
    if (sizes[1] > 0 && (sizes[0] <= 0 || !(scale > 0.0) || radius > 1e8 / (double)sizes[1])) {
        return tare_fail(err, TARE_UNSUPPORTED,
                         "resizing axis %d from %lld to %lld with scale %g is not supported", axis,
                         (long long)sizes[0], (long long)sizes[1], scale);
    }
    taps->count = smooth ? 2 * (int64_t)radius : 1;
    TARE_TRY(allocate(taps, smooth, crop, err));
    for (int64_t k = 0; k < taps->out; k++) {
        const float x = position(attrs, axis, sizes, k);
        if (!(fabsf(x) < 1e15F)) {
            return tare_fail(err, TARE_INVALID_MODEL, "position %g on axis %d", (double)x, axis);
        }
        if (crop) {
            taps->outside[k] = x < 0.0F || x > (float)(sizes[0] - 1);
        }
        if (smooth) {
            weigh(taps, attrs, shrink, x, k);
        } else {
            taps->index[k] = limited(nearest(attrs->nearest_mode, x), sizes[0]);
        }
    }
    return TARE_OK;
}

void tare_taps_release(tare_taps *taps) {
    if (taps != NULL) {
        free(taps->index);
        free(taps->weight);
        free(taps->outside);
        *taps = (tare_taps){0};
    }
}
