/* SPDX-License-Identifier: Apache-2.0 */
/**
 * Image files to 8-bit RGB: JPEG, PNG, WebP, BMP, told apart by their content.
 *
 * The pixels are those of Pillow's `Image.open(file).convert("RGB")`: alpha is dropped, not
 * blended; palettes are applied; gray is replicated; 16-bit gray saturates at 255 while 16-bit
 * colour keeps its high byte; CMYK is taken as Adobe writes it; of an animation the first frame
 * counts; the EXIF orientation is ignored (tare_image_orient() applies it). A file that ends early
 * is an error, never a half-gray picture.
 */
#ifndef TARE_DATA_IMAGE_H
#define TARE_DATA_IMAGE_H

#include "data/array.h"

/** Larger images are refused, before memory is asked for: a small file can claim any size. */
#define TARE_IMAGE_MAX_PIXELS ((size_t)1 << 28)

/** RGB rows from the top, 3 bytes a pixel, without padding. All zero is an empty image; `memory` is
 * reused. */
typedef struct tare_image {
    size_t width, height;
    tare_memory memory;
    bool by_rows;         /**< tare_image_decode_rows() holds one row at a time */
    size_t decoder_bytes; /**< about what the decoder takes on its own, beside pixels */
} tare_image;

/** The first row of the image. */
static inline unsigned char *tare_image_pixels(const tare_image *image) {
    return image->memory.data;
}

/** Frees the pixels and leaves an empty image. NULL allowed. */
void tare_image_release(tare_image *image);

/**
 * Decodes a whole file that lies in memory. `path` is for the errors: TARE_UNSUPPORTED for a kind
 * of file that is not known, TARE_INVALID_ARGUMENT for a damaged, truncated or too large one; each
 * names the file and the reason.
 */
TARE_MUST_CHECK tare_status tare_image_decode(tare_image *image, const void *data, size_t bytes,
                                              const char *path, tare_error *err);

/** Who takes the rows of an image while it is decoded. */
typedef struct tare_image_sink {
    void (*row)(void *user, size_t y, const unsigned char *rgb); /**< from the top, each once */
    void *user;
} tare_image_sink;

/**
 * As tare_image_decode(), but the rows go to a sink, and what `image` holds afterwards is only
 * memory for the next one. Where the kind of file allows it, there is never more than a row. A
 * file may turn out to be damaged after rows were handed over.
 */
TARE_MUST_CHECK tare_status tare_image_decode_rows(tare_image *image, const tare_image_sink *sink,
                                                   const void *data, size_t bytes, const char *path,
                                                   tare_error *err);

/** What the header tells: the size, and what decoding will take. As tare_image_decode(), but
 * `image` gets no pixels. */
TARE_MUST_CHECK tare_status tare_image_measure(tare_image *image, const void *data, size_t bytes,
                                               const char *path, tare_error *err);

/** The EXIF orientation 1..8 of a JPEG, PNG or WebP file; 1 (upright) when the file says nothing
 * valid. */
int tare_image_orientation(const void *data, size_t bytes);

/** Turns the pixels upright, undoing EXIF orientation 1..8. `spare` is overwritten; the two may
 * exchange memory. */
TARE_MUST_CHECK tare_status tare_image_orient(tare_image *image, tare_image *spare, int orientation,
                                              tare_error *err);

#endif
