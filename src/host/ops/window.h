/* SPDX-License-Identifier: Apache-2.0 */
/** Windows of convolutions and pools: from the file's lists to explicit numbers per spatial dim. */
#ifndef TARE_OPS_WINDOW_H
#define TARE_OPS_WINDOW_H

#include "ops/infer.h"

/** No coordinate, stride or size of a window may exceed this, so that products of two cannot
 * overflow. */
#define TARE_WINDOW_LIMIT ((int64_t)1 << 31)

/** The lists of a node as its file gives them. */
typedef struct tare_window_lists {
    const tare_ints *kernel_shape, *strides, *pads, *dilations;
} tare_window_lists;

/** Fills rank, kernel, stride, dilation and (unless the padding is automatic) pads of a window with
 * `rank` spatial dims. TARE_INVALID_MODEL for lists of a wrong length and numbers out of range. */
TARE_MUST_CHECK tare_status tare_window_read(tare_window *window, int rank,
                                             const tare_window_lists *lists, int auto_pad,
                                             tare_error *err);

/** Kernel extent on spatial dim i, dilation included. */
int64_t tare_window_extent(const tare_window *window, int i);

/** Resolves automatic padding on spatial dim i of an input of size `in`; `auto_pad` is a
 * tare_auto_pad. */
void tare_window_pad(tare_window *window, int i, int64_t in, int auto_pad);

/** Positions of the window on spatial dim i: of those that lie wholly in the padded input, or with
 * `ceil_mode` also of a last one that starts in the input or its begin padding. TARE_INVALID_MODEL
 * when there is none. */
TARE_MUST_CHECK tare_status tare_window_positions(int64_t *out, const tare_window *window, int i,
                                                  int64_t in, bool ceil_mode, tare_error *err);

/** The texts of auto_pad in the order of tare_auto_pad. */
extern const char *const tare_auto_pad_texts[];

#endif
