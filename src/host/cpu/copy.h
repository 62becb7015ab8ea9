/* SPDX-License-Identifier: Apache-2.0 */
/**
 * Strided copies: what Reorder, Transpose, Concat, Split, Slice, Expand, Tile, Pad, DepthToSpace
 * and SpaceToDepth come down to.
 */
#ifndef TARE_CPU_COPY_H
#define TARE_CPU_COPY_H

#include "exec/backend.h"

/** Tile needs two loops per axis. */
#define TARE_COPY_RANK (2 * TARE_MAX_RANK)

/** dst[sum i_k dst[k]] = src[sum i_k src[k]] for all indices. Strides and offsets in elements; a
 * source stride may be zero or negative. */
typedef struct tare_copy {
    size_t element_bytes; /**< 1, 2, 4 or 8 */
    int rank;
    int64_t dims[TARE_COPY_RANK], dst[TARE_COPY_RANK], src[TARE_COPY_RANK];
    int64_t dst_offset, src_offset;
    int across; /**< the axis along which the source is contiguous while the destination is not, or
                   -1 (set by tare_copy_finish()) */
    bool by_rows; /**< contiguous rows so short that two axes are copied at a time */
    bool empty;
} tare_copy;

/** Adds an axis. */
void tare_copy_axis(tare_copy *copy, int64_t size, int64_t dst_stride, int64_t src_stride);

/** Sorts and merges the axes; call once after the last axis. */
void tare_copy_finish(tare_copy *copy);

/** Copies. The operands must not overlap. */
void tare_copy_run(const tare_copy *copy, void *dst, const void *src);

/** The copy from one layout of a shape to another. The element size must be 1, 2, 4 or 8. */
void tare_copy_between(tare_copy *copy, const tare_desc *dst, const tare_desc *src);

#endif
