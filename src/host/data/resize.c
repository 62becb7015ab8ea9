/* SPDX-License-Identifier: Apache-2.0 */
/** The resampling passes: across first, then down, in 8 bits between, as Pillow does. */
#include "data/resize.h"

#include <math.h>
#include <string.h>

#include "data/resize_rows.h"

#define HALF ((int32_t)1 << (TARE_RESIZE_WEIGHT_BITS - 1))

/** A job with its weights. */
typedef struct resize_run {
    const tare_resize *job;
    tare_resize_taps x, y;
} resize_run;

/** Pixels between two passes, or those of the job: `pitch` is the distance of rows in bytes. */
typedef struct pixel_rows {
    const unsigned char *data;
    size_t pitch;
} pixel_rows;

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

size_t tare_resize_scratch_bytes(const tare_resize *job) {
    const tare_resize_axis x = axis_x(job), y = axis_y(job);
    const size_t row = job->window_width * job->channels;
    size_t between = 0;

    if (job->filter == TARE_FILTER_AREA) {
        between = row * (job->in_height + 1) * sizeof(float);
    } else if (tare_resize_takes_rows(job)) {
        between = row * job->in_height;
    } else if (job->filter != TARE_FILTER_NEAREST && job->in_width != job->out_width &&
               job->in_height != job->out_height) {
        between = job->window_height * job->in_width * job->channels;
    }
    return tare_resize_taps_bytes(job->filter, &x) + tare_resize_taps_bytes(job->filter, &y) +
           between;
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

static void down_row(unsigned char *out, const pixel_rows *in, size_t bytes, const int32_t *weights,
                     uint32_t length) {
    int32_t sums[DOWN_BLOCK];

    for (size_t x = 0; x < bytes; x += DOWN_BLOCK) {
        const size_t width = bytes - x < DOWN_BLOCK ? bytes - x : DOWN_BLOCK;
        for (size_t i = 0; i < width; i++) {
            sums[i] = HALF;
        }
        for (uint32_t k = 0; k < length; k++) {
            const unsigned char *from = in->data + (size_t)k * in->pitch + x;
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

/* Rows of `bytes` bytes, one per result of the taps. */
static void down_pass(unsigned char *out, const pixel_rows *in, size_t bytes,
                      const tare_resize_taps *taps) {
    for (size_t row = 0; row < taps->count; row++, out += bytes) {
        const pixel_rows from = {in->data + (size_t)taps->first[row] * in->pitch, in->pitch};
        down_row(out, &from, bytes, taps->fixed + row * taps->stride, taps->length[row]);
    }
}

static void across_pass(unsigned char *out, const pixel_rows *in, size_t rows, size_t channels,
                        const tare_resize_taps *taps) {
    for (size_t row = 0; row < rows; row++, out += taps->count * channels) {
        if (channels == 3) {
            across_rgb(out, in->data + row * in->pitch, taps);
        } else {
            across_gray(out, in->data + row * in->pitch, taps);
        }
    }
}

/** A range of source rows or columns. */
typedef struct source_range {
    size_t begin, count;
} source_range;

/* What the taps read; afterwards they count from there, since only that part is kept between the
 * passes. */
static source_range taps_rebase(tare_resize_taps *taps) {
    size_t begin = SIZE_MAX, end = 0;

    for (size_t i = 0; i < taps->count; i++) {
        const size_t last = (size_t)taps->first[i] + taps->length[i];
        begin = taps->first[i] < begin ? taps->first[i] : begin;
        end = last > end ? last : end;
    }
    for (size_t i = 0; i < taps->count; i++) {
        taps->first[i] -= (uint32_t)begin;
    }
    return (source_range){begin, end - begin};
}

/* The order matters, as each pass rounds. Pillow up to 12 always goes across first; Pillow 13 goes
 * down first where that leaves out enough: this is its choice, found by trying sizes. */
static bool goes_down_first(const tare_resize *job) {
    const ptrdiff_t narrower = (ptrdiff_t)job->in_width - (ptrdiff_t)job->out_width;
    const ptrdiff_t lower = (ptrdiff_t)job->in_height - (ptrdiff_t)job->out_height;

    return lower > 0 && lower > 2 * narrower;
}

static tare_status down_then_across(unsigned char *out, const pixel_rows *in, resize_run *run,
                                    tare_memory *memory, tare_error *err) {
    const tare_resize *job = run->job;
    const source_range needed = taps_rebase(&run->x);
    const size_t pitch = needed.count * job->channels;
    const pixel_rows source = {in->data + needed.begin * job->channels, in->pitch};
    pixel_rows between;

    TARE_TRY(tare_memory_reserve(memory, pitch * job->window_height, "a half-resized image", err));
    between = (pixel_rows){memory->data, pitch};
    down_pass(memory->data, &source, pitch, &run->y);
    across_pass(out, &between, job->window_height, job->channels, &run->x);
    return TARE_OK;
}

bool tare_resize_takes_rows(const tare_resize *job) {
    return job->filter != TARE_FILTER_NEAREST && job->filter != TARE_FILTER_AREA &&
           job->in_width != job->out_width && job->in_height != job->out_height &&
           !goes_down_first(job);
}

tare_status tare_resize_rows_begin(tare_resize_rows *rows, const tare_resize *job,
                                   tare_resize_scratch *scratch, tare_error *err) {
    const size_t pitch = job->window_width * job->channels;
    const tare_resize_axis x = axis_x(job), y = axis_y(job);
    source_range needed;

    *rows = (tare_resize_rows){.job = *job};
    TARE_TRY(tare_resize_taps_convolution(&rows->x, &scratch->columns, job->filter, &x, err));
    TARE_TRY(tare_resize_taps_convolution(&rows->y, &scratch->rows, job->filter, &y, err));
    needed = taps_rebase(&rows->y);
    rows->begin = needed.begin;
    rows->count = needed.count;
    TARE_TRY(
        tare_memory_reserve(&scratch->between, pitch * needed.count, "a half-resized image", err));
    rows->between = scratch->between.data;
    return TARE_OK;
}

void tare_resize_rows_add(const tare_resize_rows *rows, size_t y, const unsigned char *row) {
    const size_t channels = rows->job.channels, pitch = rows->job.window_width * channels;
    const pixel_rows source = {row, 0};
    if (y >= rows->begin && y - rows->begin < rows->count) {
        across_pass(rows->between + (y - rows->begin) * pitch, &source, 1, channels, &rows->x);
    }
}

void tare_resize_rows_end(unsigned char *out, const tare_resize_rows *rows) {
    const size_t pitch = rows->job.window_width * rows->job.channels;
    const pixel_rows between = {rows->between, pitch};
    down_pass(out, &between, pitch, &rows->y);
}

static tare_status across_then_down(unsigned char *out, const unsigned char *in,
                                    const tare_resize *job, tare_resize_scratch *scratch,
                                    tare_error *err) {
    tare_resize_rows rows;

    TARE_TRY(tare_resize_rows_begin(&rows, job, scratch, err));
    for (size_t y = 0; y < job->in_height; y++) {
        tare_resize_rows_add(&rows, y, in + y * job->in_width * job->channels);
    }
    tare_resize_rows_end(out, &rows);
    return TARE_OK;
}

/* A direction that keeps its size has no pass: the window is simply cut out. */
static tare_status run_convolution(unsigned char *out, const unsigned char *in, resize_run *run,
                                   tare_resize_scratch *scratch, tare_error *err) {
    const tare_resize *job = run->job;
    const tare_resize_axis x = axis_x(job), y = axis_y(job);
    const bool across = job->in_width != job->out_width, down = job->in_height != job->out_height;
    pixel_rows source = {in, job->in_width * job->channels};

    source.data += across ? 0 : job->window_x * job->channels;
    source.data += down ? 0 : job->window_y * source.pitch;
    if (across) {
        TARE_TRY(tare_resize_taps_convolution(&run->x, &scratch->columns, job->filter, &x, err));
    }
    if (down) {
        TARE_TRY(tare_resize_taps_convolution(&run->y, &scratch->rows, job->filter, &y, err));
    }
    if (across && down) {
        return down_then_across(out, &source, run, &scratch->between, err);
    }
    if (across) {
        across_pass(out, &source, job->window_height, job->channels, &run->x);
    } else if (down) {
        down_pass(out, &source, job->window_width * job->channels, &run->y);
    } else {
        for (size_t row = 0; row < job->window_height; row++) {
            memcpy(out + row * job->window_width * job->channels, source.data + row * source.pitch,
                   job->window_width * job->channels);
        }
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
    const tare_resize *job = run->job;
    const size_t pitch = job->window_width * job->channels;
    const float *weights = run->y.floating + row * run->y.stride;
    /* OpenCV averages 2 x 2 pixels in integers, where halves go up; everything else it rounds to
     * even. */
    const bool halves =
        job->in_width == 2 * job->out_width && job->in_height == 2 * job->out_height;

    memset(sums, 0, pitch * sizeof *sums);
    for (uint32_t k = 0; k < run->y.length[row]; k++, in += pitch) {
        for (size_t i = 0; i < pitch; i++) {
            sums[i] += in[i] * weights[k];
        }
    }
    for (size_t i = 0; i < pitch; i++) {
        const float value = halves ? floorf(sums[i] + 0.5F) : nearbyintf(sums[i]);
        out[i] = (unsigned char)(value > 255.0F ? 255.0F : value);
    }
}

static tare_status run_area(unsigned char *out, const unsigned char *in, resize_run *run,
                            tare_resize_scratch *scratch, tare_error *err) {
    const tare_resize *job = run->job;
    const tare_resize_axis x = axis_x(job), y = axis_y(job);
    const bool shrinks = job->in_width >= job->out_width && job->in_height >= job->out_height;
    const size_t pitch = job->window_width * job->channels;
    source_range needed;
    float *sums, *between;

    TARE_TRY(tare_resize_taps_area(&run->x, &scratch->columns, shrinks, &x, err));
    TARE_TRY(tare_resize_taps_area(&run->y, &scratch->rows, shrinks, &y, err));
    needed = taps_rebase(&run->y);
    if (needed.count >= SIZE_MAX / sizeof(float) / pitch) {
        return tare_fail_memory(err, SIZE_MAX, "a half-resized image");
    }
    TARE_TRY(tare_memory_reserve(&scratch->between, pitch * (needed.count + 1) * sizeof(float),
                                 "a half-resized image", err));
    sums = scratch->between.data;
    between = sums + pitch;
    for (size_t row = 0; row < needed.count; row++) {
        across_area(between + row * pitch,
                    in + (needed.begin + row) * job->in_width * job->channels, run);
    }
    for (size_t row = 0; row < job->window_height; row++, out += pitch) {
        down_area(out, between + run->y.first[row] * pitch, sums, row, run);
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
    if (tare_resize_takes_rows(job)) {
        return across_then_down(out, in, job, scratch, err);
    }
    return run_convolution(out, in, &run, scratch, err);
}
