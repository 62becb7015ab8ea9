/* SPDX-License-Identifier: Apache-2.0 */
/** Along one axis, which source positions make a result position and with which weights. */
#ifndef TARE_DATA_RESIZE_FILTER_H
#define TARE_DATA_RESIZE_FILTER_H

#include "data/resize.h"

/** The weights are integers of this many fractional bits: 8 bits of pixel and 2 of headroom
 * fill 32. */
#define TARE_RESIZE_WEIGHT_BITS 22

/** One axis of a job. */
typedef struct tare_resize_axis {
    size_t in_size, out_size;
    size_t window, count; /**< which results are wanted */
} tare_resize_axis;

/** The sources of `count` results; sources first[i] .. first[i]+length[i]-1, weights at [i *
 * stride]. */
typedef struct tare_resize_taps {
    size_t count, stride;
    uint32_t *first, *length;
    int32_t *fixed;  /**< weights of Pillow's filters */
    float *floating; /**< weights of `area`, in the same memory */
    double *work;    /**< room for the weights of one result before they are rounded */
} tare_resize_taps;

/** The most memory that the taps of a filter take, whichever it is. */
size_t tare_resize_taps_bytes(tare_filter filter, const tare_resize_axis *axis);

/** Fills taps for one of Pillow's convolution filters (not nearest, not area). Memory is
 * `buffer`'s. */
TARE_MUST_CHECK tare_status tare_resize_taps_convolution(tare_resize_taps *taps,
                                                         tare_memory *buffer, tare_filter filter,
                                                         const tare_resize_axis *axis,
                                                         tare_error *err);

/** Fills taps for `area`; `shrinks` says whether both axes of the job shrink or keep their size. */
TARE_MUST_CHECK tare_status tare_resize_taps_area(tare_resize_taps *taps, tare_memory *buffer,
                                                  bool shrinks, const tare_resize_axis *axis,
                                                  tare_error *err);

/** Fills first[] with the source of each result for `nearest`; there are no weights. */
TARE_MUST_CHECK tare_status tare_resize_taps_nearest(tare_resize_taps *taps, tare_memory *buffer,
                                                     const tare_resize_axis *axis, tare_error *err);

#endif
