/* SPDX-License-Identifier: Apache-2.0 */
/**
 * How pixels become the input of a model: colour, resize, crop, normalisation, layout; described
 * once, in a preset or in a JSON file, and recorded with the results. docs/data.md is the reference
 * of the fields.
 */
#ifndef TARE_DATA_PREPROCESS_H
#define TARE_DATA_PREPROCESS_H

#include "base/text.h"
#include "data/image.h"
#include "data/resize.h"

typedef enum tare_color {
    TARE_COLOR_UNSET = 0, /**< RGB or GRAY, whichever the model's number of channels asks for */
    TARE_COLOR_RGB,
    TARE_COLOR_BGR,
    TARE_COLOR_GRAY, /**< Pillow's convert("L") */
    TARE_COLOR_Y,    /**< the luma of Pillow's convert("YCbCr") */
    TARE_COLOR_COUNT
} tare_color;

typedef enum tare_fit_mode {
    TARE_FIT_NONE = 0,
    TARE_FIT_EXACT,      /**< to size, whatever the proportions */
    TARE_FIT_SHORT_SIDE, /**< the shorter side to size[0], the longer in proportion, rounded down */
    TARE_FIT_LETTERBOX, /**< as large as fits into size in proportion, rounded down, the rest filled
                           with pad */
    TARE_FIT_MODE_COUNT
} tare_fit_mode;

typedef enum tare_align {
    TARE_ALIGN_TOP_LEFT = 0,
    TARE_ALIGN_CENTER, /**< an odd remainder leaves the larger border right and below */
    TARE_ALIGN_COUNT
} tare_align;

typedef enum tare_pixel_layout {
    TARE_PIXEL_LAYOUT_UNSET = 0, /**< the model's, or NCHW */
    TARE_PIXEL_LAYOUT_NCHW,
    TARE_PIXEL_LAYOUT_NHWC,
    TARE_PIXEL_LAYOUT_COUNT
} tare_pixel_layout;

#define TARE_PREPROCESS_ORIGIN_BYTES 160

/** A description. Owns nothing; copy it freely. Sizes are [height, width], 0 where there is none.
 */
typedef struct tare_preprocess {
    char origin[TARE_PREPROCESS_ORIGIN_BYTES]; /**< "preset 'unit'" or "preprocessing 'FILE'", for
                                                  errors */
    tare_color color;
    tare_fit_mode mode;
    size_t size[2]; /**< TARE_FIT_SHORT_SIDE uses the first */
    tare_filter filter;
    tare_align align;
    unsigned char pad[3]; /**< in the order of color */
    size_t crop[2];       /**< centre crop after the resize, as torchvision rounds it */
    double scale, mean[3], std[3];
    tare_pixel_layout layout;
    bool exif_orientation; /**< turn the image upright first */
} tare_preprocess;

/**
 * Fills `out` from the name of a preset (imagenet, imagenet-tf, unit, raw) or from a JSON file.
 * Errors name the file and the field: unknown, missing, of a wrong type, out of range, or in
 * contradiction with another one.
 */
TARE_MUST_CHECK tare_status tare_preprocess_load(tare_preprocess *out, const char *name_or_path,
                                                 tare_error *err);

/** As tare_preprocess_load() from JSON text, such as tare_preprocess_write() makes; `origin` is for
 * errors. */
TARE_MUST_CHECK tare_status tare_preprocess_read(tare_preprocess *out, const char *text,
                                                 const char *origin, tare_error *err);

/** Appends the canonical JSON text (one line): equal descriptions give equal texts. Complete the
 * description first. */
TARE_MUST_CHECK tare_status tare_preprocess_write(tare_text *out, const tare_preprocess *preprocess,
                                                  tare_error *err);

/**
 * Fits the description to a model input; 0 or TARE_PIXEL_LAYOUT_UNSET where the model leaves a
 * dimension open. Fills what the description leaves open (colour, layout, an exact bilinear
 * resize). TARE_INVALID_ARGUMENT, naming both sides, when what the description says gives another
 * size, number of channels or layout than the model takes.
 */
TARE_MUST_CHECK tare_status tare_preprocess_complete(tare_preprocess *preprocess, size_t channels,
                                                     size_t height, size_t width,
                                                     tare_pixel_layout layout, tare_error *err);

/** 3 for RGB and BGR, 1 for GRAY and Y, 0 for TARE_COLOR_UNSET. */
size_t tare_preprocess_channels(const tare_preprocess *preprocess);

/** The size every image gets, or 0, 0 when it depends on the image. */
void tare_preprocess_size(size_t *height, size_t *width, const tare_preprocess *preprocess);

/** Where the pixels of one image go. */
typedef struct tare_geometry {
    size_t resized_width, resized_height; /**< before the crop */
    size_t crop_x, crop_y;                /**< of the window that is kept */
    size_t window_width, window_height;   /**< its size */
    size_t out_width, out_height, place_x,
        place_y; /**< the result, and where the window lies in it */
} tare_geometry;

/** The geometry for an image of this size; fails when the crop is larger than the image or the
 * result too large. */
TARE_MUST_CHECK tare_status tare_preprocess_geometry(tare_geometry *geometry,
                                                     const tare_preprocess *preprocess,
                                                     size_t width, size_t height, tare_error *err);

/** Working memory of one thread, kept between calls. All zero is a valid start. */
typedef struct tare_preprocess_scratch {
    bool
        keep_pixels; /**< leave samples as pixels; tare_preprocess_table() is the rest of the way */
    tare_image image, spare;
    tare_memory plane, resized;
    tare_resize_scratch resize;
} tare_preprocess_scratch;

/** Frees the working memory. NULL allowed. */
void tare_preprocess_scratch_release(tare_preprocess_scratch *scratch);

/** Frees the working memory if it is more than `keep` bytes: between two images, so that what is
 * held is what the images at hand need, not what the largest one did in each thread. */
void tare_preprocess_scratch_trim(tare_preprocess_scratch *scratch, size_t keep);

/** Upper bound of the working memory that tare_preprocess_run() takes for pixels of this size. */
TARE_MUST_CHECK tare_status tare_preprocess_scratch_bytes(size_t *bytes,
                                                          const tare_preprocess *preprocess,
                                                          size_t width, size_t height,
                                                          tare_error *err);

/** RGB pixels, 3 bytes each, without padding. Borrowed. */
typedef struct tare_pixels {
    const unsigned char *rgb;
    size_t width, height;
} tare_pixels;

/** Number of values of a pixel of one channel. */
#define TARE_PIXEL_VALUES 256

/** The values of the pixels: pixel p of channel c becomes out[c * TARE_PIXEL_VALUES + p]. The
 * description must be complete; `out` has room for tare_preprocess_channels() channels. */
void tare_preprocess_table(float *out, const tare_preprocess *preprocess);

/**
 * Turns pixels into input `index` of the sample: float32 [1, C, H, W] or [1, H, W, C], or, where
 * the scratch says so, uint8 [1, H, W, C] whatever the layout, from which tare_preprocess_table()
 * makes the same values. The description must be complete. The input's name stays as it is.
 */
TARE_MUST_CHECK tare_status tare_preprocess_run(tare_sample *sample, size_t index,
                                                const tare_preprocess *preprocess,
                                                const tare_pixels *pixels,
                                                tare_preprocess_scratch *scratch, tare_error *err);

/** An image file in memory; `path` is for the errors. Borrowed. */
typedef struct tare_image_source {
    const void *data;
    size_t bytes;
    const char *path;
} tare_image_source;

/** What tare_preprocess_run_file() will take, from the header of the file: its working memory,
 * about what the decoder takes, and the file. */
TARE_MUST_CHECK tare_status tare_preprocess_file_bytes(size_t *bytes,
                                                       const tare_preprocess *preprocess,
                                                       const tare_image_source *file,
                                                       tare_error *err);

/** Decodes an image file and runs the description on it, into input 0 of the sample. */
TARE_MUST_CHECK tare_status tare_preprocess_run_file(tare_sample *sample,
                                                     const tare_preprocess *preprocess,
                                                     const tare_image_source *file,
                                                     tare_preprocess_scratch *scratch,
                                                     tare_error *err);

#endif
