/* SPDX-License-Identifier: Apache-2.0 */
/**
 * Resampling of 8-bit pixels, equal to the bit to Pillow's Image.resize() for Pillow's filters.
 *
 * `area` follows OpenCV's INTER_AREA: the mean over the exact, fractional source area of a pixel
 * when both directions shrink (equal to the bit where tried); when one grows, OpenCV's linear
 * interpolation with area coordinates, in float32 instead of OpenCV's 11-bit weights, which differs
 * by at most 1.
 */
#ifndef TARE_DATA_RESIZE_H
#define TARE_DATA_RESIZE_H

#include "data/array.h"

typedef enum tare_filter {
    TARE_FILTER_NEAREST = 0,
    TARE_FILTER_BOX,
    TARE_FILTER_BILINEAR,
    TARE_FILTER_HAMMING,
    TARE_FILTER_BICUBIC,
    TARE_FILTER_LANCZOS,
    TARE_FILTER_AREA,
    TARE_FILTER_COUNT
} tare_filter;

/**
 * What to do: resample an image of in_* to out_*, and of that result give only the window that
 * begins at window_x, window_y. Only rows and columns that the window needs are computed; the
 * result is the same as cropping afterwards.
 */
typedef struct tare_resize {
    tare_filter filter;
    size_t channels; /**< interleaved: 1 or 3 */
    size_t in_width, in_height;
    size_t out_width, out_height;
    size_t window_x, window_y, window_width, window_height;
} tare_resize;

/** Working memory of one thread, kept between calls. All zero is a valid start. */
typedef struct tare_resize_scratch {
    tare_memory columns, rows; /**< which source pixels make which result pixel, in x and in y */
    tare_memory between;       /**< the image after the first direction */
} tare_resize_scratch;

/** The most working memory that a job takes. */
size_t tare_resize_scratch_bytes(const tare_resize *job);

/** Frees the working memory. NULL allowed. */
void tare_resize_scratch_release(tare_resize_scratch *scratch);

/**
 * Writes window_width * window_height pixels without padding to `out`. All sizes must be at least
 * 1, the window inside the result, and the sizes at most 2^28 pixels (the caller has checked images
 * and descriptions).
 */
TARE_MUST_CHECK tare_status tare_resize_run(unsigned char *out, const unsigned char *in,
                                            const tare_resize *job, tare_resize_scratch *scratch,
                                            tare_error *err);

#endif
