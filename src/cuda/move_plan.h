/* SPDX-License-Identifier: Apache-2.0 */
/** What rows keep of a copy until it runs, and how it becomes launches. */
#ifndef TARE_CUDA_MOVE_PLAN_H
#define TARE_CUDA_MOVE_PLAN_H

#include "cuda/device.h"
#include "cuda/move.h"
#include "exec/movement.h"

/** A strided copy of elements of one type, or between float32 and float16. */
typedef struct tare_cuda_move {
    tare_movement movement;
    uint32_t dst_bytes, src_bytes; /**< of an element */
} tare_cuda_move;

/** Sets the element sizes. TARE_UNSUPPORTED for types that no kernel moves or converts. */
TARE_MUST_CHECK tare_status tare_cuda_move_types(tare_cuda_move *move, tare_dtype dst,
                                                 tare_dtype src, tare_error *err);

/** The launch for operands at these addresses. */
void tare_cuda_move_plan(tare_move_launch *out, const tare_cuda_move *move, void *dst,
                         const void *src);

/** Plans and launches. */
TARE_MUST_CHECK tare_status tare_cuda_move_run(const tare_cuda_move *move, void *dst,
                                               const void *src, tare_stream stream,
                                               tare_error *err);

/** A copy through tables. The tables are device memory that the row owns. */
typedef struct tare_cuda_mapped {
    int rank;
    int64_t dims[TARE_MOVE_MAPPED_RANK];           /**< of the destination, outermost first */
    const int64_t *offsets[TARE_MOVE_MAPPED_RANK]; /**< in bytes, negative: fill; NULL: step */
    int64_t step[TARE_MOVE_MAPPED_RANK];           /**< in bytes */
    int64_t grain_bytes; /**< divides all offsets and steps, and the bytes of a run */
    int64_t run_bytes;   /**< contiguous bytes behind each index: of the innermost axes */
    uint32_t element_bytes;
    uint64_t fill; /**< one element */
} tare_cuda_mapped;

TARE_MUST_CHECK tare_status tare_cuda_mapped_run(const tare_cuda_mapped *mapped, void *dst,
                                                 const void *src, tare_stream stream,
                                                 tare_error *err);

#endif
