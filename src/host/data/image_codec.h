/* SPDX-License-Identifier: Apache-2.0 */
/** What one image file format has to offer to image.c, and what it gets from there. */
#ifndef TARE_DATA_IMAGE_CODEC_H
#define TARE_DATA_IMAGE_CODEC_H

#include "data/image.h"

/** A file in memory. */
typedef struct tare_image_file {
    const unsigned char *data;
    size_t bytes;
    const tare_image_sink *sink; /**< wants the rows instead of the image; NULL: none */
} tare_image_file;

/** A format: one row in the table of image.c. Errors name the reason; image.c puts the path in
 * front. */
typedef struct tare_image_codec {
    const char *name;
    /** Whether the file begins like one of this format. */
    bool (*probe)(const tare_image_file *file);
    bool by_rows; /**< decode() hands the rows to the sink itself, and keeps one at a time */
    /** Sets width, height and decoder_bytes; unless `header_only`, reserves the pixels and fills
     * them. */
    tare_status (*decode)(tare_image *image, const tare_image_file *file, bool header_only,
                          tare_error *err);
} tare_image_codec;

extern const tare_image_codec tare_image_jpeg;
extern const tare_image_codec tare_image_png;
extern const tare_image_codec tare_image_webp;
extern const tare_image_codec tare_image_bmp;

/** Checks the size against the limit and stores it. */
TARE_MUST_CHECK tare_status tare_image_resize(tare_image *image, size_t width, size_t height,
                                              tare_error *err);

/** Makes room for the pixels of the stored size. */
TARE_MUST_CHECK tare_status tare_image_reserve(tare_image *image, tare_error *err);

#endif
