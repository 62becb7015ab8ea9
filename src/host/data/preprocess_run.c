/* SPDX-License-Identifier: Apache-2.0 */
/** Runs a description on pixels: colour, resize with crop, then normalisation straight into the
 * model's layout. */
#include <string.h>

#include "data/preprocess.h"
#include "data/resize_rows.h"

void tare_preprocess_scratch_release(tare_preprocess_scratch *scratch) {
    if (scratch != NULL) {
        tare_image_release(&scratch->image);
        tare_image_release(&scratch->spare);
        tare_memory_release(&scratch->plane);
        tare_memory_release(&scratch->resized);
        tare_resize_scratch_release(&scratch->resize);
    }
}

static size_t held_bytes(const tare_preprocess_scratch *scratch) {
    return scratch->image.memory.capacity + scratch->spare.memory.capacity +
           scratch->plane.capacity + scratch->resized.capacity + scratch->resize.columns.capacity +
           scratch->resize.rows.capacity + scratch->resize.between.capacity;
}

void tare_preprocess_scratch_trim(tare_preprocess_scratch *scratch, size_t keep) {
    if (held_bytes(scratch) > keep) {
        tare_preprocess_scratch_release(scratch);
    }
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

static void make_gray(unsigned char *out, const tare_preprocess *preprocess,
                      const unsigned char *rgb, size_t count) {
    if (preprocess->color == TARE_COLOR_GRAY) {
        plane_gray(out, rgb, count);
    } else {
        plane_luma(out, rgb, count);
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
    make_gray(scratch->plane.data, preprocess, pixels->rgb, count);
    *out = (surface){scratch->plane.data, 1, pixels->width};
    return TARE_OK;
}

static tare_resize resize_job(const tare_preprocess *preprocess, const tare_geometry *geometry,
                              size_t width, size_t height) {
    return (tare_resize){
        .filter = preprocess->filter,
        .channels = tare_preprocess_channels(preprocess),
        .in_width = width,
        .in_height = height,
        .out_width = geometry->resized_width,
        .out_height = geometry->resized_height,
        .window_x = geometry->crop_x,
        .window_y = geometry->crop_y,
        .window_width = geometry->window_width,
        .window_height = geometry->window_height,
    };
}

static bool keeps_size(const tare_resize *job) {
    return job->in_width == job->out_width && job->in_height == job->out_height;
}

static size_t window_bytes(const tare_resize *job) {
    return job->window_width * job->window_height * job->channels;
}

/* The result and what the resize takes; none where nothing is resized. */
static size_t resize_bytes(const tare_resize *job) {
    return keeps_size(job) ? 0 : window_bytes(job) + tare_resize_scratch_bytes(job);
}

tare_status tare_preprocess_scratch_bytes(size_t *bytes, const tare_preprocess *preprocess,
                                          size_t width, size_t height, tare_error *err) {
    const size_t pixels = width * height;
    const bool gray = tare_preprocess_channels(preprocess) == 1;
    tare_geometry geometry;
    tare_resize job;

    TARE_TRY(tare_preprocess_geometry(&geometry, preprocess, width, height, err));
    job = resize_job(preprocess, &geometry, width, height);
    *bytes = (gray ? pixels : 0) + resize_bytes(&job);
    return TARE_OK;
}

static tare_status resize_window(surface *to, const tare_preprocess *preprocess,
                                 const tare_pixels *pixels, const tare_geometry *geometry,
                                 tare_preprocess_scratch *scratch, tare_error *err) {
    const tare_resize job = resize_job(preprocess, geometry, pixels->width, pixels->height);
    const size_t pitch = job.window_width * job.channels;

    if (keeps_size(&job)) {
        to->data += job.window_y * to->pitch + job.window_x * to->channels;
        return TARE_OK;
    }
    TARE_TRY(tare_memory_reserve(&scratch->resized, window_bytes(&job), "a resized image", err));
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

static tare_status shape_sample(tare_sample *sample, size_t index,
                                const tare_preprocess *preprocess, const tare_geometry *geometry,
                                const tare_preprocess_scratch *scratch, tare_error *err) {
    const size_t channels = tare_preprocess_channels(preprocess);
    const bool channels_last = preprocess->layout == TARE_PIXEL_LAYOUT_NHWC || scratch->keep_pixels;
    tare_array shape = {.name = sample->inputs[index].name,
                        .element = scratch->keep_pixels ? TARE_UINT8 : TARE_FLOAT32,
                        .rank = 4};

    shape.dims[0] = 1;
    shape.dims[1] = channels_last ? geometry->out_height : channels;
    shape.dims[2] = channels_last ? geometry->out_width : geometry->out_height;
    shape.dims[3] = channels_last ? channels : geometry->out_width;
    return tare_sample_shape(sample, index, &shape, err);
}

static void write_sample(tare_array *out, const tare_preprocess *preprocess, const surface *from,
                         const tare_geometry *geometry) {
    if (out->element == TARE_UINT8) {
        write_pixels(out->data, preprocess, from, geometry);
    } else {
        write_values(out->data, preprocess, from, geometry);
    }
}

tare_status tare_preprocess_run(tare_sample *sample, size_t index,
                                const tare_preprocess *preprocess, const tare_pixels *pixels,
                                tare_preprocess_scratch *scratch, tare_error *err) {
    tare_geometry geometry;
    surface from;

    if (tare_preprocess_channels(preprocess) == 0) {
        return tare_fail(err, TARE_INTERNAL, "%s: run before it was completed", preprocess->origin);
    }
    TARE_TRY(tare_preprocess_geometry(&geometry, preprocess, pixels->width, pixels->height, err));
    TARE_TRY(shape_sample(sample, index, preprocess, &geometry, scratch, err));
    TARE_TRY(convert_color(&from, preprocess, pixels, scratch, err));
    TARE_TRY(resize_window(&from, preprocess, pixels, &geometry, scratch, err));
    write_sample(&sample->inputs[index], preprocess, &from, &geometry);
    return TARE_OK;
}

/* Rows on their way from the decoder into the resize. */
typedef struct row_way {
    const tare_preprocess *preprocess;
    tare_geometry geometry;
    tare_resize job;
    tare_resize_rows rows;
    unsigned char *gray; /* room for a row where the model wants gray */
} row_way;

static void take_row(void *user, size_t y, const unsigned char *rgb) {
    const row_way *way = user;
    if (way->job.channels == 1) {
        make_gray(way->gray, way->preprocess, rgb, way->job.in_width);
        rgb = way->gray;
    }
    tare_resize_rows_add(&way->rows, y, rgb);
}

/* Whether the file, whose header tells the size of `image`, can be resized while it is decoded. */
static bool goes_by_rows(row_way *way, const tare_image *image, const tare_preprocess *preprocess,
                         int orientation) {
    *way = (row_way){.preprocess = preprocess};
    if (orientation != 1 || tare_preprocess_channels(preprocess) == 0 ||
        tare_preprocess_geometry(&way->geometry, preprocess, image->width, image->height, NULL) !=
            TARE_OK) {
        return false;
    }
    way->job = resize_job(preprocess, &way->geometry, image->width, image->height);
    return tare_resize_takes_rows(&way->job);
}

/* The pixels of a large photograph are never there as a whole. */
static tare_status run_rows(tare_sample *sample, row_way *way, const tare_image_source *file,
                            tare_preprocess_scratch *scratch, tare_error *err) {
    const size_t pitch = way->job.window_width * way->job.channels;
    const tare_image_sink sink = {.row = take_row, .user = way};
    surface from;

    TARE_TRY(tare_memory_reserve(&scratch->plane, way->job.in_width, "a gray row", err));
    TARE_TRY(
        tare_memory_reserve(&scratch->resized, window_bytes(&way->job), "a resized image", err));
    TARE_TRY(tare_resize_rows_begin(&way->rows, &way->job, &scratch->resize, err));
    way->gray = scratch->plane.data;
    TARE_TRY(
        tare_image_decode_rows(&scratch->image, &sink, file->data, file->bytes, file->path, err));
    tare_resize_rows_end(scratch->resized.data, &way->rows);
    from = (surface){scratch->resized.data, way->job.channels, pitch};
    TARE_TRY(shape_sample(sample, 0, way->preprocess, &way->geometry, scratch, err));
    write_sample(&sample->inputs[0], way->preprocess, &from, &way->geometry);
    return TARE_OK;
}

/* run_rows() keeps a row, or what the decoder makes if it does not work by rows, and the rows after
 * the pass across. */
static size_t rows_bytes(const row_way *way, const tare_image *image) {
    return 3 * image->width * (image->by_rows ? 1 : image->height) + image->width +
           resize_bytes(&way->job);
}

static int orientation_of(const tare_preprocess *preprocess, const tare_image_source *file) {
    return preprocess->exif_orientation ? tare_image_orientation(file->data, file->bytes) : 1;
}

tare_status tare_preprocess_file_bytes(size_t *bytes, const tare_preprocess *preprocess,
                                       const tare_image_source *file, tare_error *err) {
    const int orientation = orientation_of(preprocess, file);
    tare_image image = {0};
    tare_status status;
    row_way way;

    TARE_TRY(tare_image_measure(&image, file->data, file->bytes, file->path, err));
    if (goes_by_rows(&way, &image, preprocess, orientation)) {
        *bytes = rows_bytes(&way, &image) + image.decoder_bytes + file->bytes;
        return TARE_OK;
    }
    status = orientation < 5
                 ? tare_preprocess_scratch_bytes(bytes, preprocess, image.width, image.height, err)
                 : tare_preprocess_scratch_bytes(bytes, preprocess, image.height, image.width, err);
    if (status != TARE_OK) {
        tare_error_prepend(err, "image '%s': ", file->path);
        return status;
    }
    *bytes += 3 * image.width * image.height * (orientation == 1 ? 1 : 2) + image.decoder_bytes +
              file->bytes;
    return TARE_OK;
}

tare_status tare_preprocess_run_file(tare_sample *sample, const tare_preprocess *preprocess,
                                     const tare_image_source *file,
                                     tare_preprocess_scratch *scratch, tare_error *err) {
    const int orientation = orientation_of(preprocess, file);
    tare_image *image = &scratch->image;
    tare_pixels pixels;
    tare_status status;
    row_way way;

    TARE_TRY(tare_image_measure(image, file->data, file->bytes, file->path, err));
    if (goes_by_rows(&way, image, preprocess, orientation)) {
        return run_rows(sample, &way, file, scratch, err);
    }
    TARE_TRY(tare_image_decode(image, file->data, file->bytes, file->path, err));
    TARE_TRY(tare_image_orient(image, &scratch->spare, orientation, err));
    pixels = (tare_pixels){tare_image_pixels(image), image->width, image->height};
    status = tare_preprocess_run(sample, 0, preprocess, &pixels, scratch, err);
    if (status != TARE_OK) {
        tare_error_prepend(err, "image '%s': ", file->path);
        return status;
    }
    return TARE_OK;
}
