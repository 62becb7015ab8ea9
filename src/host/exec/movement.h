/* SPDX-License-Identifier: Apache-2.0 */
/**
 * Which element goes where: the strided loop nests that Reorder, Transpose, Concat, Split, Slice,
 * Expand, Tile, DepthToSpace and SpaceToDepth come down to, and the source of a padded element.
 */
#ifndef TARE_EXEC_MOVEMENT_H
#define TARE_EXEC_MOVEMENT_H

#include "exec/backend.h"
#include "ops/attrs.h"

/** Tile needs two loops per axis. */
#define TARE_MOVEMENT_RANK (2 * TARE_MAX_RANK)

/** dst[sum i_k dst[k]] = src[sum i_k src[k]] for all indices. Strides and offsets in elements; a
 * source stride may be zero or negative. A zeroed one has no axis: a single element. */
typedef struct tare_movement {
    int rank;
    int64_t dims[TARE_MOVEMENT_RANK], dst[TARE_MOVEMENT_RANK], src[TARE_MOVEMENT_RANK];
    int64_t dst_offset, src_offset;
    bool empty; /**< there is no element */
} tare_movement;

/** Adds an axis. */
void tare_movement_axis(tare_movement *movement, int64_t size, int64_t dst_stride,
                        int64_t src_stride);

/** Sorts the axes, the largest destination stride first, and merges neighbours; call once after
 * the last axis. Leaves at least one axis. The functions below have done it. */
void tare_movement_finish(tare_movement *movement);

/** The whole movement of an operator, from one or both descriptors in any layout. */
void tare_movement_reorder(tare_movement *out, const tare_desc *dst, const tare_desc *src);
void tare_movement_transpose(tare_movement *out, const tare_transpose_attrs *attrs,
                             const tare_desc *dst, const tare_desc *src);
void tare_movement_slice(tare_movement *out, const tare_slice_attrs *attrs, const tare_desc *dst,
                         const tare_desc *src);
void tare_movement_expand(tare_movement *out, const tare_desc *dst, const tare_desc *src);
void tare_movement_tile(tare_movement *out, const tare_desc *dst, const tare_desc *src);
void tare_movement_depth_to_space(tare_movement *out, const tare_block_attrs *attrs,
                                  const tare_desc *dst, const tare_desc *src);
void tare_movement_space_to_depth(tare_movement *out, const tare_block_attrs *attrs,
                                  const tare_desc *dst, const tare_desc *src);

/** A part of Concat (join) or Split: `part` lies at `offset` on `axis` of `whole`. */
typedef struct tare_movement_part {
    const tare_desc *whole, *part;
    int axis;
    int64_t offset;
    bool join;
} tare_movement_part;

void tare_movement_of_part(tare_movement *out, const tare_movement_part *part);

/** The input index behind output index `index` of an axis of `size` input elements under Pad, or
 * -1 for the fill value. Negative pads crop before anything is added. */
int64_t tare_pad_source(const tare_pad_attrs *attrs, int axis, int64_t index, int64_t size);

#endif
