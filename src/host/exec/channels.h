/* SPDX-License-Identifier: Apache-2.0 */
/** An operand seen as rows of channels, for statistics: rows are the positions on all other axes in
 * ONNX's order of dims. */
#ifndef TARE_EXEC_CHANNELS_H
#define TARE_EXEC_CHANNELS_H

#include "exec/backend.h"

typedef struct tare_channels {
    int64_t rows, channels;
    int64_t stride; /**< from channel to channel, in elements */
    bool dense;     /**< rows follow each other, channels innermost */
    int axes;       /**< the others, in their order, but for those of length 1 */
    int64_t dims[TARE_MAX_RANK], strides[TARE_MAX_RANK];
} tare_channels;

/** `axis`: of the channels, below the rank. */
void tare_channels_find(tare_channels *out, const tare_desc *desc, int axis);

#endif
