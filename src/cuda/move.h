/* SPDX-License-Identifier: Apache-2.0 */
/**
 * Moving elements on the device: strided copies, also between float32 and float16, and copies whose
 * source positions come from tables. Both have a part that is settled in prepare and a launch made
 * of it, whose units (up to 16 bytes that one thread moves at once) depend on the addresses.
 */
#ifndef TARE_CUDA_MOVE_H
#define TARE_CUDA_MOVE_H

#include "cuda/divisor.h"
#include "cuda/stats.h"

#ifdef __cplusplus
extern "C" {
#endif

/** As in exec/movement.h. */
#define TARE_MOVE_RANK        16
#define TARE_MOVE_MAPPED_RANK 8

/** Units that a thread has in flight, threads of a block, and the sides of tiles of elements of up
 * to 2 bytes and of more. */
#define TARE_MOVE_UNITS       4
#define TARE_MOVE_THREADS     256
#define TARE_MOVE_SMALL_TILE  64
#define TARE_MOVE_TILE        32

/** What one thread moves at once. */
typedef enum tare_move_unit {
    TARE_MOVE_BYTES_1,
    TARE_MOVE_BYTES_2,
    TARE_MOVE_BYTES_4,
    TARE_MOVE_BYTES_8,
    TARE_MOVE_BYTES_16,
    TARE_MOVE_NARROW,   /**< one float32 to float16 */
    TARE_MOVE_NARROW_4, /**< four of them */
    TARE_MOVE_WIDEN,    /**< one float16 to float32 */
    TARE_MOVE_WIDEN_4,
    TARE_MOVE_UNIT_COUNT
} tare_move_unit;

/** A strided copy: dst[sum i_k dst[k]] = src[sum i_k src[k]], in bytes. */
typedef struct tare_move_launch {
    unsigned char *dst;
    const unsigned char *src;
    tare_move_unit unit;
    bool tiled;     /**< through shared memory: the source is contiguous along axis rank - 2, the
                       destination along the last; both are counted in tiles and step by tiles */
    uint64_t count; /**< units; tiles */
    bool small;     /**< all divisions are of numbers up to TARE_DIVISOR_MAX */
    int rank;
    tare_divisor dims[TARE_MOVE_RANK]; /**< outermost first */
    int64_t dst_step[TARE_MOVE_RANK], src_step[TARE_MOVE_RANK];
    /** Of tiles: elements along the axes rank - 2 and rank - 1; from one line of a tile to the next
     * in the destination and in the source. */
    uint64_t tile_size[2];
    int64_t dst_line, src_line;
} tare_move_launch;

/** Nothing is launched when there is nothing to move. TARE_UNSUPPORTED for more blocks than a grid
 * has (2^41 elements and more), TARE_BACKEND when the launch is refused. */
TARE_MUST_CHECK tare_status tare_move_start(const tare_move_launch *launch, tare_stream stream,
                                            tare_error *err);

/** A dense destination whose unit (i_0, ..., i_r) comes from the sum of offsets_k[i_k], or of i_k
 * step_k without a table; in bytes. With a negative offset it is the fill value. */
typedef struct tare_mapped_launch {
    unsigned char *dst;
    const unsigned char *src;
    tare_move_unit unit; /**< TARE_MOVE_BYTES_... */
    uint64_t count;      /**< units */
    bool small;          /**< as above */
    int rank;
    tare_divisor dims[TARE_MOVE_MAPPED_RANK];
    const int64_t *offsets[TARE_MOVE_MAPPED_RANK]; /**< device memory, or NULL */
    int64_t step[TARE_MOVE_MAPPED_RANK];
    uint64_t fill[2]; /**< 16 bytes of the fill value */
} tare_mapped_launch;

TARE_MUST_CHECK tare_status tare_mapped_start(const tare_mapped_launch *launch, tare_stream stream,
                                              tare_error *err);

#ifdef __cplusplus
}
#endif

#endif
