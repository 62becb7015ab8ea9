/* SPDX-License-Identifier: Apache-2.0 */
/** Strided copies: what operators that only move elements come down to on the CPU. */
#ifndef TARE_CPU_COPY_H
#define TARE_CPU_COPY_H

#include "exec/movement.h"

typedef struct tare_copy {
    tare_movement movement; /**< finished */
    size_t element_bytes;   /**< 1, 2, 4 or 8 */
    int across; /**< the axis along which the source is contiguous while the destination is not, or
                   -1 (set by tare_copy_finish()) */
    bool by_rows; /**< contiguous rows so short that two axes are copied at a time (likewise) */
} tare_copy;

/** Chooses the way of copying, once movement and element size are set. */
void tare_copy_finish(tare_copy *copy);

/** The whole copy from one layout of a shape to another. */
void tare_copy_between(tare_copy *copy, const tare_desc *dst, const tare_desc *src);

/** Copies. The operands must not overlap. */
void tare_copy_run(const tare_copy *copy, void *dst, const void *src);

#endif
