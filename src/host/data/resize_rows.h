/* SPDX-License-Identifier: Apache-2.0 */
/** A resize that gets the rows of its image one after the other, so that the image need not exist
 * as a whole: what is kept are rows that have been resized across. */
#ifndef TARE_DATA_RESIZE_ROWS_H
#define TARE_DATA_RESIZE_ROWS_H

#include "data/resize_filter.h"

/** A resize under way. Its memory is the scratch's. */
typedef struct tare_resize_rows {
    tare_resize job;
    tare_resize_taps x, y;  /**< those of y count from `begin` */
    size_t begin, count;    /**< the source rows that the window needs */
    unsigned char *between; /**< these rows after the pass across */
} tare_resize_rows;

/** Whether a job works that way: Pillow's filters where both directions change their size and the
 * pass across comes first, as for all but very tall images. */
bool tare_resize_takes_rows(const tare_resize *job);

/** Starts a job for which tare_resize_takes_rows() holds. */
TARE_MUST_CHECK tare_status tare_resize_rows_begin(tare_resize_rows *rows, const tare_resize *job,
                                                   tare_resize_scratch *scratch, tare_error *err);

/** Source row y, in any order; it is not needed afterwards. */
void tare_resize_rows_add(const tare_resize_rows *rows, size_t y, const unsigned char *row);

/** Writes the window once all rows were added: the same bytes as tare_resize_run(). */
void tare_resize_rows_end(unsigned char *out, const tare_resize_rows *rows);

#endif
