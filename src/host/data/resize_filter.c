/* SPDX-License-Identifier: Apache-2.0 */
/** Filter functions and the weights they give along one axis, rounded as Pillow and OpenCV round
 * them. */
#include "data/resize_filter.h"

#include <math.h>

static const double pi = 3.14159265358979323846;

static double box_filter(double x) {
    return x > -0.5 && x <= 0.5 ? 1.0 : 0.0;
}

static double bilinear_filter(double x) {
    const double distance = fabs(x);

    return distance < 1.0 ? 1.0 - distance : 0.0;
}

static double hamming_filter(double x) {
    const double distance = fabs(x);
    double angle;

    if (distance == 0.0) {
        return 1.0;
    }
    if (distance >= 1.0) {
        return 0.0;
    }
    angle = distance * pi;
    return sin(angle) / angle * (0.54F + 0.46F * cos(angle));
}

/* Keys' cubic with a = -0.5. */
static double bicubic_filter(double x) {
    const double a = -0.5, d = fabs(x);

    if (d < 1.0) {
        return ((a + 2.0) * d - (a + 3.0)) * d * d + 1.0;
    }
    return d < 2.0 ? (((d - 5.0) * d + 8.0) * d - 4.0) * a : 0.0;
}

static double sinc(double x) {
    const double angle = x * pi;

    return x == 0.0 ? 1.0 : sin(angle) / angle;
}

static double lanczos_filter(double x) {
    return x >= -3.0 && x < 3.0 ? sinc(x) * sinc(x / 3.0) : 0.0;
}

typedef struct filter_row {
    double (*value)(double x);
    double support;
} filter_row;

static const filter_row filters[TARE_FILTER_COUNT] = {
    [TARE_FILTER_BOX] = {box_filter, 0.5},         [TARE_FILTER_BILINEAR] = {bilinear_filter, 1.0},
    [TARE_FILTER_HAMMING] = {hamming_filter, 1.0}, [TARE_FILTER_BICUBIC] = {bicubic_filter, 2.0},
    [TARE_FILTER_LANCZOS] = {lanczos_filter, 3.0},
};

static double stretch_of(const tare_resize_axis *axis) {
    const double scale = (double)axis->in_size / (double)axis->out_size;
    return scale < 1.0 ? 1.0 : scale;
}

/* The most sources that a result has. */
static size_t convolution_stride(tare_filter filter, const tare_resize_axis *axis) {
    return (size_t)ceil(filters[filter].support * stretch_of(axis)) * 2 + 1;
}

static size_t area_stride(const tare_resize_axis *axis) {
    return axis->in_size / axis->out_size + 3;
}

size_t tare_resize_taps_bytes(tare_filter filter, const tare_resize_axis *axis) {
    const size_t stride = filter == TARE_FILTER_NEAREST ? 1
                          : filter == TARE_FILTER_AREA  ? area_stride(axis)
                                                        : convolution_stride(filter, axis);

    return stride * sizeof(double) +
           axis->count * (2 * sizeof(uint32_t) + stride * sizeof(int32_t));
}

/* One buffer: the work area, then first, length and the weights of all results. */
static tare_status taps_reserve(tare_resize_taps *taps, tare_memory *buffer, size_t count,
                                size_t stride, tare_error *err) {
    const size_t head = 2 * sizeof(uint32_t), slot = sizeof(double) + sizeof(int32_t);

    /* count, stride < 2^29, as no image has more pixels; so only the product can overflow. */
    if (stride > (SIZE_MAX / (count + 1) - head) / slot) {
        return tare_fail_memory(err, SIZE_MAX, "the weights of a resize");
    }
    TARE_TRY(tare_memory_reserve(
        buffer, stride * sizeof(double) + count * (head + stride * sizeof(int32_t)),
        "the weights of a resize", err));
    taps->count = count;
    taps->stride = stride;
    taps->work = buffer->data;
    taps->first = (uint32_t *)(void *)(taps->work + stride);
    taps->length = taps->first + count;
    taps->fixed = (int32_t *)(void *)(taps->length + count);
    taps->floating = (float *)(void *)taps->fixed;
    return TARE_OK;
}

static int32_t fixed_weight(double weight) {
    const double scaled = weight * (double)(1 << TARE_RESIZE_WEIGHT_BITS);

    return (int32_t)(scaled < 0.0 ? scaled - 0.5 : scaled + 0.5);
}

tare_status tare_resize_taps_convolution(tare_resize_taps *taps, tare_memory *buffer,
                                         tare_filter filter, const tare_resize_axis *axis,
                                         tare_error *err) {
    const double scale = (double)axis->in_size / (double)axis->out_size;
    const double stretch = stretch_of(axis), support = filters[filter].support * stretch;
    const double squeeze = 1.0 / stretch;

    TARE_TRY(taps_reserve(taps, buffer, axis->count, convolution_stride(filter, axis), err));
    for (size_t i = 0; i < axis->count; i++) {
        const double center = ((double)(axis->window + i) + 0.5) * scale;
        const double low = center - support + 0.5, high = center + support + 0.5;
        const uint32_t first = low < 0.0 ? 0 : (uint32_t)low;
        const uint32_t end =
            high > (double)axis->in_size ? (uint32_t)axis->in_size : (uint32_t)high;
        double sum = 0.0;
        taps->first[i] = first;
        taps->length[i] = end - first;
        for (uint32_t k = 0; k < end - first; k++) {
            taps->work[k] = filters[filter].value(((double)(first + k) - center + 0.5) * squeeze);
            sum += taps->work[k];
        }
        for (uint32_t k = 0; k < end - first; k++) {
            taps->fixed[i * taps->stride + k] =
                fixed_weight(sum != 0.0 ? taps->work[k] / sum : taps->work[k]);
        }
    }
    return TARE_OK;
}

/* In units of 1 / (in * out) of the axis all edges are integers, so the overlaps are exact. */
static void area_shrinking(tare_resize_taps *taps, const tare_resize_axis *axis) {
    const uint64_t in = axis->in_size, out = axis->out_size;

    for (size_t i = 0; i < axis->count; i++) {
        const uint64_t begin = (axis->window + i) * in, end = begin + in;
        const uint64_t first = begin / out, last = (end + out - 1) / out;
        taps->first[i] = (uint32_t)first;
        taps->length[i] = (uint32_t)(last - first);
        for (uint64_t x = first; x < last; x++) {
            const uint64_t from = x * out > begin ? x * out : begin;
            const uint64_t to = (x + 1) * out < end ? (x + 1) * out : end;
            taps->floating[i * taps->stride + (x - first)] =
                (float)((double)(to - from) / (double)in);
        }
    }
}

/* The second of two neighbours counts only for results whose area reaches into it. */
static void area_linear(tare_resize_taps *taps, const tare_resize_axis *axis) {
    const double growth = (double)axis->out_size / (double)axis->in_size, scale = 1.0 / growth;

    for (size_t i = 0; i < axis->count; i++) {
        const double at = (double)(axis->window + i);
        const double source = floor(at * scale), last = (double)(axis->in_size - 1);
        const double reach = at + 1.0 - (source + 1.0) * growth;
        const bool single = source >= last || reach <= 0.0;
        const float second = (float)(single ? 0.0 : reach - floor(reach));
        taps->first[i] = (uint32_t)(source > last ? last : source);
        taps->length[i] = single ? 1 : 2;
        taps->floating[i * taps->stride] = 1.0F - second;
        taps->floating[i * taps->stride + 1] = second;
    }
}

tare_status tare_resize_taps_area(tare_resize_taps *taps, tare_memory *buffer, bool shrinks,
                                  const tare_resize_axis *axis, tare_error *err) {
    const size_t stride = shrinks ? area_stride(axis) : 2;

    TARE_TRY(taps_reserve(taps, buffer, axis->count, stride, err));
    if (shrinks) {
        area_shrinking(taps, axis);
    } else {
        area_linear(taps, axis);
    }
    return TARE_OK;
}

tare_status tare_resize_taps_nearest(tare_resize_taps *taps, tare_memory *buffer,
                                     const tare_resize_axis *axis, tare_error *err) {
    const double scale = (double)axis->in_size / (double)axis->out_size;
    double at = scale * 0.5;

    TARE_TRY(taps_reserve(taps, buffer, axis->count, 1, err));
    /* Summed step by step from the first column on, also outside the window: Pillow rounds this
     * way. */
    for (size_t i = 0; i < axis->window + axis->count; i++, at += scale) {
        if (i >= axis->window) {
            const uint32_t source = (uint32_t)at;
            taps->first[i - axis->window] =
                source < axis->in_size ? source : (uint32_t)(axis->in_size - 1);
            taps->length[i - axis->window] = 1;
        }
    }
    return TARE_OK;
}
