/* SPDX-License-Identifier: Apache-2.0 */
/** The resampling passes: across first, then down, in 8 bits between, as Pillow does. */
#include "data/resize.h"

#include <math.h>
#include <string.h>

#include "data/resize_filter.h"

#define HALF ((int32_t)1 << (TARE_RESIZE_WEIGHT_BITS - 1))

/** A job with its weights. */
typedef struct resize_run {
    const tare_resize *job;
    tare_resize_taps x, y;
    size_t row_begin, row_end; /**< source rows that the window needs */
} resize_run;

void tare_resize_scratch_release(tare_resize_scratch *scratch) {
    if (scratch != NULL) {
        tare_memory_release(&scratch->columns);
        tare_memory_release(&scratch->rows);
        tare_memory_release(&scratch->between);
    }
}

static tare_resize_axis axis_x(const tare_resize *job) {
    return (tare_resize_axis){job->in_width, job->out_width, job->window_x, job->window_width};
}

static tare_resize_axis axis_y(const tare_resize *job) {
    return (tare_resize_axis){job->in_height, job->out_height, job->window_y, job->window_height};
}

static unsigned char clip_fixed(int32_t sum) {
    const int32_t value = sum >> TARE_RESIZE_WEIGHT_BITS;

    return (unsigned char)(value < 0 ? 0 : value > 255 ? 255 : value);
}

static void across_rgb(unsigned char *out, const unsigned char *in, const tare_resize_taps *taps) {
    for (size_t i = 0; i < taps->count; i++, out += 3) {
        const unsigned char *from = in + (size_t)taps->first[i] * 3;
        const int32_t *weights = taps->fixed + i * taps->stride;
        const uint32_t length = taps->length[i];
        int32_t red = HALF, green = HALF, blue = HALF;
        for (uint32_t k = 0; k < length; k++, from += 3) {
            red += from[0] * weights[k];
            green += from[1] * weights[k];
            blue += from[2] * weights[k];
        }
        out[0] = clip_fixed(red);
        out[1] = clip_fixed(green);
        out[2] = clip_fixed(blue);
    }
}

static void across_gray(unsigned char *out, const unsigned char *in, const tare_resize_taps *taps) {
    for (size_t i = 0; i < taps->count; i++) {
        const unsigned char *from = in + taps->first[i];
        const int32_t *weights = taps->fixed + i * taps->stride;
        int32_t sum = HALF;
        for (uint32_t k = 0; k < taps->length[i]; k++) {
            sum += from[k] * weights[k];
        }
        out[i] = clip_fixed(sum);
    }
}

/* A block of columns at a time keeps the sums in the first-level cache and lets the compiler
 * vectorise. */
#define DOWN_BLOCK 256

static void down_row(unsigned char *out, const unsigned char *in, size_t pitch,
                     const tare_resize_taps *taps, size_t row) {
    const int32_t *weights = taps->fixed + row * taps->stride;
    const uint32_t length = taps->length[row];
    int32_t sums[DOWN_BLOCK];

    for (size_t x = 0; x < pitch; x += DOWN_BLOCK) {
        const size_t width = pitch - x < DOWN_BLOCK ? pitch - x : DOWN_BLOCK;
        for (size_t i = 0; i < width; i++) {
            sums[i] = HALF;
        }
        for (uint32_t k = 0; k < length; k++) {
            const unsigned char *from = in + (size_t)k * pitch + x;
            const int32_t weight = weights[k];
            for (size_t i = 0; i < width; i++) {
                sums[i] += from[i] * weight;
            }
        }
        for (size_t i = 0; i < width; i++) {
            out[x + i] = clip_fixed(sums[i]);
        }
    }
}

/* The source row range that the y axis reads, relative to which `between` is filled. */
static void find_rows(resize_run *run) {
    run->row_begin = SIZE_MAX;
    run->row_end = 0;
    for (size_t i = 0; i < run->y.count; i++) {
        const size_t end = (size_t)run->y.first[i] + run->y.length[i];
        run->row_begin = run->y.first[i] < run->row_begin ? run->y.first[i] : run->row_begin;
        run->row_end = end > run->row_end ? end : run->row_end;
    }
}

static void across_rows(unsigned char *out, const unsigned char *in, const resize_run *run) {
    const tare_resize *job = run->job;
    const size_t in_pitch = job->in_width * job->channels,
                 out_pitch = job->window_width * job->channels;

    for (size_t y = run->row_begin; y < run->row_end; y++, out += out_pitch) {
        const unsigned char *row = in + y * in_pitch;
        if (job->in_width == job->out_width) {
            memcpy(out, row + job->window_x * job->channels, out_pitch);
        } else if (job->channels == 3) {
            across_rgb(out, row, &run->x);
        } else {
            across_gray(out, row, &run->x);
        }
    }
}

static tare_status run_convolution(unsigned char *out, const unsigned char *in, resize_run *run,
                                   tare_resize_scratch *scratch, tare_error *err) {
    const tare_resize *job = run->job;
    const tare_resize_axis x = axis_x(job), y = axis_y(job);
    const size_t pitch = job->window_width * job->channels;
    unsigned char *between;

    TARE_TRY(tare_resize_taps_convolution(&run->x, &scratch->columns, job->filter, &x, err));
    if (job->in_height == job->out_height) { /* a pass without change would round a second time */
        run->row_begin = job->window_y;
        run->row_end = job->window_y + job->window_height;
        across_rows(out, in, run);
        return TARE_OK;
    }
    TARE_TRY(tare_resize_taps_convolution(&run->y, &scratch->rows, job->filter, &y, err));
    find_rows(run);
    TARE_TRY(tare_memory_reserve(&scratch->between, pitch * (run->row_end - run->row_begin),
                                 "a half-resized image", err));
    between = scratch->between.data;
    across_rows(between, in, run);
    for (size_t row = 0; row < job->window_height; row++, out += pitch) {
        down_row(out, between + (run->y.first[row] - run->row_begin) * pitch, pitch, &run->y, row);
    }
    return TARE_OK;
}

static void across_area(float *out, const unsigned char *in, const resize_run *run) {
    const size_t channels = run->job->channels;

    for (size_t i = 0; i < run->x.count; i++) {
        const float *weights = run->x.floating + i * run->x.stride;
        for (size_t c = 0; c < channels; c++) {
            const unsigned char *from = in + run->x.first[i] * channels + c;
            float sum = 0.0F;
            for (uint32_t k = 0; k < run->x.length[i]; k++, from += channels) {
                sum += (float)*from * weights[k];
            }
            out[i * channels + c] = sum;
        }
    }
}

static void down_area(unsigned char *out, const float *in, float *sums, size_t row,
                      const resize_run *run) {
    const size_t pitch = run->job->window_width * run->job->channels;
    const float *weights = run->y.floating + row * run->y.stride;

    memset(sums, 0, pitch * sizeof *sums);
    for (uint32_t k = 0; k < run->y.length[row]; k++, in += pitch) {
        for (size_t i = 0; i < pitch; i++) {
            sums[i] += in[i] * weights[k];
        }
    }
    for (size_t i = 0; i < pitch; i++) {
        const float value = nearbyintf(sums[i]);
        out[i] = (unsigned char)(value > 255.0F ? 255.0F : value);
    }
}

static tare_status run_area(unsigned char *out, const unsigned char *in, resize_run *run,
                            tare_resize_scratch *scratch, tare_error *err) {
    const tare_resize *job = run->job;
    const tare_resize_axis x = axis_x(job), y = axis_y(job);
    const bool shrinks = job->in_width >= job->out_width && job->in_height >= job->out_height;
    const size_t pitch = job->window_width * job->channels;
    float *sums, *between;

    TARE_TRY(tare_resize_taps_area(&run->x, &scratch->columns, shrinks, &x, err));
    TARE_TRY(tare_resize_taps_area(&run->y, &scratch->rows, shrinks, &y, err));
    find_rows(run);
    if (run->row_end - run->row_begin >= SIZE_MAX / sizeof(float) / pitch) {
        return tare_fail_memory(err, SIZE_MAX, "a half-resized image");
    }
    TARE_TRY(tare_memory_reserve(&scratch->between,
                                 pitch * (run->row_end - run->row_begin + 1) * sizeof(float),
                                 "a half-resized image", err));
    sums = scratch->between.data;
    between = sums + pitch;
    for (size_t row = run->row_begin; row < run->row_end; row++) {
        across_area(between + (row - run->row_begin) * pitch,
                    in + row * job->in_width * job->channels, run);
    }
    for (size_t row = 0; row < job->window_height; row++, out += pitch) {
        down_area(out, between + (run->y.first[row] - run->row_begin) * pitch, sums, row, run);
    }
    return TARE_OK;
}

static tare_status run_nearest(unsigned char *out, const unsigned char *in, resize_run *run,
                               tare_resize_scratch *scratch, tare_error *err) {
    const tare_resize *job = run->job;
    const tare_resize_axis x = axis_x(job), y = axis_y(job);
    const size_t channels = job->channels;

    TARE_TRY(tare_resize_taps_nearest(&run->x, &scratch->columns, &x, err));
    TARE_TRY(tare_resize_taps_nearest(&run->y, &scratch->rows, &y, err));
    for (size_t row = 0; row < job->window_height; row++) {
        const unsigned char *from = in + run->y.first[row] * job->in_width * channels;
        for (size_t i = 0; i < job->window_width; i++, out += channels) {
            memcpy(out, from + run->x.first[i] * channels, channels);
        }
    }
    return TARE_OK;
}

tare_status tare_resize_run(unsigned char *out, const unsigned char *in, const tare_resize *job,
                            tare_resize_scratch *scratch, tare_error *err) {
    resize_run run = {.job = job};

    if (job->filter == TARE_FILTER_NEAREST) {
        return run_nearest(out, in, &run, scratch, err);
    }
    if (job->filter == TARE_FILTER_AREA) {
        return run_area(out, in, &run, scratch, err);
    }
    return run_convolution(out, in, &run, scratch, err);
}
