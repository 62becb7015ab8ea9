/* SPDX-License-Identifier: Apache-2.0 */
/** Runs a description on pixels: colour, resize with crop, then normalisation straight into the
 * model's layout. */
#include <string.h>

#include "data/preprocess.h"

void tare_preprocess_scratch_release(tare_preprocess_scratch *scratch) {
    if (scratch != NULL) {
        tare_image_release(&scratch->image);
        tare_image_release(&scratch->spare);
        tare_memory_release(&scratch->plane);
        tare_memory_release(&scratch->resized);
        tare_resize_scratch_release(&scratch->resize);
    }
}

tare_status tare_preprocess_scratch_bytes(size_t *bytes, const tare_preprocess *preprocess,
                                          size_t width, size_t height, tare_error *err) {
    const size_t image = width * height * 3;
    const bool gray = tare_preprocess_channels(preprocess) == 1;
    tare_geometry geometry;
    size_t resized, between, widest;

    TARE_TRY(tare_preprocess_geometry(&geometry, preprocess, width, height, err));
    resized = geometry.window_width * geometry.window_height * (gray ? 1 : 3);
    /* `area` keeps float32 between the passes; whichever pass is first, this is enough for it. */
    between =
        (geometry.window_width * (height + 1) + geometry.window_height * width) * (gray ? 1 : 3);
    between *= preprocess->filter == TARE_FILTER_AREA ? sizeof(float) : 1;
    widest = (width + height) * 8 + (geometry.window_width + geometry.window_height) * 64;
    *bytes = image + (preprocess->exif_orientation ? image : 0) + (gray ? image / 3 : 0) + resized +
             between + 16 * widest;
    return TARE_OK;
}

/* Pillow's fixed-point luma of convert("L"). */
static void plane_gray(unsigned char *out, const unsigned char *rgb, size_t count) {
    for (size_t i = 0; i < count; i++, rgb += 3) {
        out[i] =
            (unsigned char)((rgb[0] * 19595U + rgb[1] * 38470U + rgb[2] * 7471U + 32768U) >> 16);
    }
}

/* The luma of convert("YCbCr"): each term is rounded to 1/64 on its own, the sum is cut off. */
static void plane_luma(unsigned char *out, const unsigned char *rgb, size_t count) {
    static const uint32_t thousandths[3] = {299, 587, 114};
    uint16_t terms[3][256];

    for (size_t c = 0; c < 3; c++) {
        for (uint32_t v = 0; v < 256; v++) {
            terms[c][v] = (uint16_t)((thousandths[c] * v * 64 + 500) / 1000);
        }
    }
    for (size_t i = 0; i < count; i++, rgb += 3) {
        out[i] = (unsigned char)((terms[0][rgb[0]] + terms[1][rgb[1]] + terms[2][rgb[2]]) >> 6);
    }
}

/** Pixels of 1 or 3 interleaved channels; `pitch` is the distance of rows in bytes. */
typedef struct surface {
    const unsigned char *data;
    size_t channels, pitch;
} surface;

/* Gray images are made before the resize: a third of the work, and what convert() and resize() do
 * in this order. */
static tare_status convert_color(surface *out, const tare_preprocess *preprocess,
                                 const tare_pixels *pixels, tare_preprocess_scratch *scratch,
                                 tare_error *err) {
    const size_t count = pixels->width * pixels->height;

    if (tare_preprocess_channels(preprocess) == 3) {
        *out = (surface){pixels->rgb, 3, pixels->width * 3};
        return TARE_OK;
    }
    TARE_TRY(tare_memory_reserve(&scratch->plane, count, "a gray image", err));
    if (preprocess->color == TARE_COLOR_GRAY) {
        plane_gray(scratch->plane.data, pixels->rgb, count);
    } else {
        plane_luma(scratch->plane.data, pixels->rgb, count);
    }
    *out = (surface){scratch->plane.data, 1, pixels->width};
    return TARE_OK;
}

static tare_status resize_window(surface *to, const tare_preprocess *preprocess,
                                 const tare_pixels *pixels, const tare_geometry *geometry,
                                 tare_preprocess_scratch *scratch, tare_error *err) {
    const tare_resize job = {
        .filter = preprocess->filter,
        .channels = to->channels,
        .in_width = pixels->width,
        .in_height = pixels->height,
        .out_width = geometry->resized_width,
        .out_height = geometry->resized_height,
        .window_x = geometry->crop_x,
        .window_y = geometry->crop_y,
        .window_width = geometry->window_width,
        .window_height = geometry->window_height,
    };
    const size_t pitch = job.window_width * job.channels;

    if (job.in_width == job.out_width && job.in_height == job.out_height) {
        to->data += job.window_y * to->pitch + job.window_x * to->channels;
        return TARE_OK;
    }
    TARE_TRY(
        tare_memory_reserve(&scratch->resized, pitch * job.window_height, "a resized image", err));
    TARE_TRY(tare_resize_run(scratch->resized.data, to->data, &job, &scratch->resize, err));
    to->data = scratch->resized.data;
    to->pitch = pitch;
    return TARE_OK;
}

/* The arithmetic is float32 throughout, as NumPy's would be. */
void tare_preprocess_table(float *out, const tare_preprocess *preprocess) {
    for (size_t c = 0; c < tare_preprocess_channels(preprocess); c++) {
        const float scale = (float)preprocess->scale, mean = (float)preprocess->mean[c];
        const float std = (float)preprocess->std[c];
        for (size_t v = 0; v < TARE_PIXEL_VALUES; v++) {
            out[c * TARE_PIXEL_VALUES + v] = ((float)v * scale - mean) / std;
        }
    }
}

/** One channel of the output: `data` is its first element, elements are `step` apart, rows `pitch`.
 */
typedef struct plane {
    float *data;
    size_t step, pitch;
} plane;

static void plane_fill(const plane *to, const tare_geometry *geometry, float value) {
    for (size_t y = 0; y < geometry->out_height; y++) {
        float *row = to->data + y * to->pitch;
        for (size_t x = 0; x < geometry->out_width; x++) {
            row[x * to->step] = value;
        }
    }
}

static void plane_write(const plane *to, const surface *from, size_t channel,
                        const tare_geometry *geometry, const float *table) {
    for (size_t y = 0; y < geometry->window_height; y++) {
        float *row = to->data + (geometry->place_y + y) * to->pitch + geometry->place_x * to->step;
        const unsigned char *pixels = from->data + y * from->pitch + channel;
        for (size_t x = 0; x < geometry->window_width; x++) {
            row[x * to->step] = table[pixels[x * from->channels]];
        }
    }
}

static bool is_bordered(const tare_geometry *geometry) {
    return geometry->window_width != geometry->out_width ||
           geometry->window_height != geometry->out_height;
}

static void write_values(float *out, const tare_preprocess *preprocess, const surface *from,
                         const tare_geometry *geometry) {
    const size_t channels = from->channels, area = geometry->out_width * geometry->out_height;
    const bool planar = preprocess->layout != TARE_PIXEL_LAYOUT_NHWC;
    float tables[3 * TARE_PIXEL_VALUES];

    tare_preprocess_table(tables, preprocess);
    for (size_t c = 0; c < channels; c++) {
        const plane to = {out + (planar ? c * area : c), planar ? 1 : channels,
                          geometry->out_width * (planar ? 1 : channels)};
        const float *table = tables + c * TARE_PIXEL_VALUES;
        if (is_bordered(geometry)) {
            plane_fill(&to, geometry, table[preprocess->pad[c]]);
        }
        plane_write(&to, from, preprocess->color == TARE_COLOR_BGR ? 2 - c : c, geometry, table);
    }
}

/* One row of pixels in the channel order of the description. */
static void copy_row(unsigned char *to, const unsigned char *from, size_t pixels, size_t channels,
                     bool reversed) {
    if (!reversed) {
        memcpy(to, from, pixels * channels);
        return;
    }
    for (size_t x = 0; x < pixels; x++) {
        for (size_t c = 0; c < channels; c++) {
            to[x * channels + c] = from[x * channels + channels - 1 - c];
        }
    }
}

static void write_pixels(unsigned char *out, const tare_preprocess *preprocess, const surface *from,
                         const tare_geometry *geometry) {
    const size_t channels = from->channels, pitch = geometry->out_width * channels;
    const size_t total = geometry->out_height * pitch;

    for (size_t i = 0; is_bordered(geometry) && i < total; i++) {
        out[i] = preprocess->pad[i % channels];
    }
    for (size_t y = 0; y < geometry->window_height; y++) {
        copy_row(out + (geometry->place_y + y) * pitch + geometry->place_x * channels,
                 from->data + y * from->pitch, geometry->window_width, channels,
                 preprocess->color == TARE_COLOR_BGR);
    }
}

tare_status tare_preprocess_run(tare_sample *sample, size_t index,
                                const tare_preprocess *preprocess, const tare_pixels *pixels,
                                tare_preprocess_scratch *scratch, tare_error *err) {
    const size_t channels = tare_preprocess_channels(preprocess);
    const bool channels_last = preprocess->layout == TARE_PIXEL_LAYOUT_NHWC || scratch->keep_pixels;
    tare_array shape = {.name = sample->inputs[index].name,
                        .element = scratch->keep_pixels ? TARE_UINT8 : TARE_FLOAT32,
                        .rank = 4};
    tare_geometry geometry;
    surface from;

    if (channels == 0) {
        return tare_fail(err, TARE_INTERNAL, "%s: run before it was completed", preprocess->origin);
    }
    TARE_TRY(tare_preprocess_geometry(&geometry, preprocess, pixels->width, pixels->height, err));
    shape.dims[0] = 1;
    shape.dims[1] = channels_last ? geometry.out_height : channels;
    shape.dims[2] = channels_last ? geometry.out_width : geometry.out_height;
    shape.dims[3] = channels_last ? channels : geometry.out_width;
    TARE_TRY(tare_sample_shape(sample, index, &shape, err));
    TARE_TRY(convert_color(&from, preprocess, pixels, scratch, err));
    TARE_TRY(resize_window(&from, preprocess, pixels, &geometry, scratch, err));
    if (scratch->keep_pixels) {
        write_pixels(sample->inputs[index].data, preprocess, &from, &geometry);
    } else {
        write_values(sample->inputs[index].data, preprocess, &from, &geometry);
    }
    return TARE_OK;
}

tare_status tare_preprocess_run_file(tare_sample *sample, const tare_preprocess *preprocess,
                                     const tare_image_source *file,
                                     tare_preprocess_scratch *scratch, tare_error *err) {
    tare_image *image = &scratch->image;
    tare_pixels pixels;
    tare_status status;

    TARE_TRY(tare_image_decode(image, file->data, file->bytes, file->path, err));
    if (preprocess->exif_orientation) {
        TARE_TRY(tare_image_orient(image, &scratch->spare,
                                   tare_image_orientation(file->data, file->bytes), err));
    }
    pixels = (tare_pixels){tare_image_pixels(image), image->width, image->height};
    status = tare_preprocess_run(sample, 0, preprocess, &pixels, scratch, err);
    if (status != TARE_OK) {
        tare_error_prepend(err, "image '%s': ", file->path);
        return status;
    }
    return TARE_OK;
}
