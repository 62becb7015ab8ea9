/* SPDX-License-Identifier: Apache-2.0 */
/** Picks the decoder of an image file by its content, and turns images upright. */
#include "data/image.h"

#include <string.h>

#include "data/image_codec.h"

static const tare_image_codec *const codecs[] = {&tare_image_jpeg, &tare_image_png,
                                                 &tare_image_webp, &tare_image_bmp};

void tare_image_release(tare_image *image) {
    if (image != NULL) {
        tare_memory_release(&image->memory);
        *image = (tare_image){0};
    }
}

tare_status tare_image_resize(tare_image *image, size_t width, size_t height, tare_error *err) {
    if (width == 0 || height == 0) {
        return tare_fail(err, TARE_INVALID_ARGUMENT, "the image has no pixels (%zux%zu)", width,
                         height);
    }
    if (width > TARE_IMAGE_MAX_PIXELS / height) {
        return tare_fail(err, TARE_INVALID_ARGUMENT,
                         "the image claims %zux%zu pixels, at most %zu are allowed", width, height,
                         TARE_IMAGE_MAX_PIXELS);
    }
    image->width = width;
    image->height = height;
    return TARE_OK;
}

tare_status tare_image_reserve(tare_image *image, tare_error *err) {
    return tare_memory_reserve(&image->memory, image->width * image->height * 3,
                               "the pixels of an image", err);
}

static void hand_over(const tare_image *image, const tare_image_sink *sink) {
    for (size_t y = 0; y < image->height; y++) {
        sink->row(sink->user, y, tare_image_pixels(image) + 3 * image->width * y);
    }
}

static tare_status decode_any(tare_image *image, const tare_image_file *file, bool header_only,
                              tare_error *err) {
    for (size_t i = 0; i < sizeof codecs / sizeof codecs[0]; i++) {
        if (codecs[i]->probe(file)) {
            tare_status status;
            image->by_rows = codecs[i]->by_rows;
            image->decoder_bytes = 0;
            status = codecs[i]->decode(image, file, header_only, err);
            if (status != TARE_OK) {
                tare_error_prepend(err, "%s: ", codecs[i]->name);
            } else if (file->sink != NULL && !codecs[i]->by_rows) {
                hand_over(image, file->sink);
            }
            return status;
        }
    }
    return tare_fail(err, TARE_UNSUPPORTED, "%s",
                     file->bytes == 0
                         ? "the file is empty"
                         : "not a JPEG, PNG, WebP or BMP image (judged by its first bytes)");
}

static tare_status decode_named(tare_image *image, const tare_image_file *file, bool header_only,
                                const char *path, tare_error *err) {
    const tare_status status = decode_any(image, file, header_only, err);

    if (status != TARE_OK) {
        tare_error_prepend(err, "image '%s': ", path);
    }
    return status;
}

tare_status tare_image_decode(tare_image *image, const void *data, size_t bytes, const char *path,
                              tare_error *err) {
    const tare_image_file file = {.data = data, .bytes = bytes};

    return decode_named(image, &file, false, path, err);
}

tare_status tare_image_decode_rows(tare_image *image, const tare_image_sink *sink, const void *data,
                                   size_t bytes, const char *path, tare_error *err) {
    const tare_image_file file = {.data = data, .bytes = bytes, .sink = sink};

    return decode_named(image, &file, false, path, err);
}

tare_status tare_image_measure(tare_image *image, const void *data, size_t bytes, const char *path,
                               tare_error *err) {
    const tare_image_file file = {.data = data, .bytes = bytes};

    return decode_named(image, &file, true, path, err);
}

/** Where the source pixel of destination (0,0) lies, and how far the source moves per step right
 * and down. */
typedef struct walk {
    ptrdiff_t start, right, down;
} walk;

static walk orientation_walk(int orientation, ptrdiff_t width, ptrdiff_t height) {
    const ptrdiff_t last_column = width - 1, last_row = (height - 1) * width;
    const walk walks[9] = {
        {0, 1, width},
        {0, 1, width},
        {last_column, -1, width},             /* 2: mirrored left to right */
        {last_row + last_column, -1, -width}, /* 3: upside down */
        {last_row, 1, -width},                /* 4: mirrored top to bottom */
        {0, width, 1},                        /* 5: transposed */
        {last_row, -width, 1},                /* 6: to be turned clockwise */
        {last_row + last_column, -width, -1}, /* 7: transposed along the other diagonal */
        {last_column, width, -1},             /* 8: to be turned counter-clockwise */
    };

    return walks[orientation];
}

tare_status tare_image_orient(tare_image *image, tare_image *spare, int orientation,
                              tare_error *err) {
    const bool swaps = orientation >= 5;
    tare_memory memory;
    unsigned char *to;
    walk step;

    if (orientation < 1 || orientation > 8) {
        return tare_fail(err, TARE_INVALID_ARGUMENT, "EXIF orientation %d, expected 1 to 8",
                         orientation);
    }
    if (orientation == 1) {
        return TARE_OK;
    }
    spare->width = swaps ? image->height : image->width;
    spare->height = swaps ? image->width : image->height;
    TARE_TRY(tare_image_reserve(spare, err));
    step = orientation_walk(orientation, (ptrdiff_t)image->width, (ptrdiff_t)image->height);
    to = tare_image_pixels(spare);
    for (size_t y = 0; y < spare->height; y++) {
        const unsigned char *from =
            tare_image_pixels(image) + 3 * (step.start + (ptrdiff_t)y * step.down);
        for (size_t x = 0; x < spare->width; x++, to += 3) {
            memcpy(to, from + 3 * (ptrdiff_t)x * step.right, 3);
        }
    }
    memory = image->memory;
    *image = *spare;
    spare->memory = memory;
    return TARE_OK;
}
