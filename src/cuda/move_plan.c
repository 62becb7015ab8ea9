/* SPDX-License-Identifier: Apache-2.0 */
/** From copies to launches: which units the addresses allow, and which axes are left for them. */
#include "cuda/move_plan.h"

/* Below this many elements on one of both axes most threads of a tile would have nothing to do. */
#define TILE_MIN    8
#define UNIT_BYTES  16

/* Threads behind the end divide their numbers too. */
#define SMALL_COUNT (TARE_DIVISOR_MAX / 2)

_Static_assert(TARE_MOVE_RANK == TARE_MOVEMENT_RANK, "launches hold every movement");

tare_status tare_cuda_move_types(tare_cuda_move *move, tare_dtype dst, tare_dtype src,
                                 tare_error *err) {
    const size_t bytes = tare_dtype_bytes(src);
    const bool converts = (dst == TARE_DTYPE_FLOAT && src == TARE_DTYPE_FLOAT16) ||
                          (dst == TARE_DTYPE_FLOAT16 && src == TARE_DTYPE_FLOAT);

    if (bytes != 1 && bytes != 2 && bytes != 4 && bytes != 8) {
        return tare_fail(err, TARE_UNSUPPORTED, "element type %s is not supported",
                         tare_dtype_text(src));
    }
    if (dst != src && !converts) {
        return tare_fail(err, TARE_UNSUPPORTED, "copy of %s elements as %s", tare_dtype_text(src),
                         tare_dtype_text(dst));
    }
    move->src_bytes = (uint32_t)bytes;
    move->dst_bytes = (uint32_t)tare_dtype_bytes(dst);
    return TARE_OK;
}

static tare_move_unit unit_of(uint32_t dst_bytes, uint32_t src_bytes, int64_t elements) {
    const uint32_t bytes = dst_bytes * (uint32_t)elements;
    tare_move_unit unit = TARE_MOVE_BYTES_1;

    if (dst_bytes < src_bytes) {
        return elements == 4 ? TARE_MOVE_NARROW_4 : TARE_MOVE_NARROW;
    }
    if (dst_bytes > src_bytes) {
        return elements == 4 ? TARE_MOVE_WIDEN_4 : TARE_MOVE_WIDEN;
    }
    for (uint32_t power = 1; power < bytes; power *= 2) {
        unit++;
    }
    return unit;
}

static bool divides(int64_t count, uintptr_t address, uint32_t element_bytes) {
    return address % ((uintptr_t)count * element_bytes) == 0;
}

/* Whether units of `count` elements of the last axis fit both operands everywhere. */
static bool fits(const tare_cuda_move *move, int64_t count, uintptr_t dst, uintptr_t src) {
    const tare_movement *m = &move->movement;
    const int last = m->rank - 1;
    bool fit = m->dims[last] % count == 0 && divides(count, dst, move->dst_bytes) &&
               divides(count, src, move->src_bytes);

    for (int axis = 0; axis < last; axis++) {
        fit = fit && m->dst[axis] % count == 0 && m->src[axis] % count == 0;
    }
    return fit;
}

static int64_t unit_elements(const tare_cuda_move *move, uintptr_t dst, uintptr_t src) {
    const tare_movement *m = &move->movement;
    const bool converts = move->dst_bytes != move->src_bytes;
    int64_t count = converts ? 4 : UNIT_BYTES / (int64_t)move->dst_bytes;

    if (m->dst[m->rank - 1] != 1 || m->src[m->rank - 1] != 1) {
        return 1;
    }
    /* Conversions know units of four and of one. */
    while (count > 1 && !fits(move, count, dst, src)) {
        count /= converts ? 4 : 2;
    }
    return count;
}

static void plan_units(tare_move_launch *out, const tare_cuda_move *move) {
    const tare_movement *m = &move->movement;
    const int64_t count = unit_elements(move, (uintptr_t)out->dst, (uintptr_t)out->src);

    out->unit = unit_of(move->dst_bytes, move->src_bytes, count);
    out->count = 1;
    for (int axis = 0; axis < m->rank; axis++) {
        const int64_t by = axis == m->rank - 1 ? count : 1;
        out->dims[axis] = tare_divisor_of((uint64_t)(m->dims[axis] / by));
        out->dst_step[axis] = m->dst[axis] * by * (int64_t)move->dst_bytes;
        out->src_step[axis] = m->src[axis] * by * (int64_t)move->src_bytes;
        out->count *= out->dims[axis].value;
    }
}

/* The axis along which the source is contiguous when that is not the last one, or -1. */
static int crossing_axis(const tare_movement *m) {
    const int last = m->rank - 1;
    if (m->dst[last] != 1 || m->src[last] == 1 || m->dims[last] < TILE_MIN) {
        return -1;
    }
    for (int axis = 0; axis < last; axis++) {
        if (m->src[axis] == 1 && m->dims[axis] >= TILE_MIN) {
            return axis;
        }
    }
    return -1;
}

static void plan_tiles(tare_move_launch *out, const tare_cuda_move *move, int across) {
    const tare_movement *m = &move->movement;
    const int64_t dst_bytes = move->dst_bytes, src_bytes = move->src_bytes;
    const int64_t side =
        dst_bytes == src_bytes && dst_bytes <= 2 ? TARE_MOVE_SMALL_TILE : TARE_MOVE_TILE;
    const int order[2] = {across, m->rank - 1};
    int at = 0;

    out->tiled = true;
    out->unit = unit_of(move->dst_bytes, move->src_bytes, 1);
    out->count = 1;
    for (int k = 0; k < m->rank; k++) {
        /* All other axes, then these two. */
        const bool tiled = k >= m->rank - 2;
        int64_t by = 1;
        if (!tiled && at == across) {
            at++;
        }
        const int axis = tiled ? order[k - (m->rank - 2)] : at++;
        if (tiled) {
            by = side;
            out->tile_size[k - (m->rank - 2)] = (uint64_t)m->dims[axis];
        }
        out->dims[k] = tare_divisor_of((uint64_t)((m->dims[axis] + by - 1) / by));
        out->dst_step[k] = m->dst[axis] * by * dst_bytes;
        out->src_step[k] = m->src[axis] * by * src_bytes;
        out->count *= out->dims[k].value;
    }
    out->dst_line = m->dst[across] * dst_bytes;
    out->src_line = m->src[m->rank - 1] * src_bytes;
}

void tare_cuda_move_plan(tare_move_launch *out, const tare_cuda_move *move, void *dst,
                         const void *src) {
    const tare_movement *m = &move->movement;
    const int across = crossing_axis(m);

    *out = (tare_move_launch){.rank = m->rank};
    if (m->empty) {
        return;
    }
    out->dst = (unsigned char *)dst + m->dst_offset * (int64_t)move->dst_bytes;
    out->src = (const unsigned char *)src + m->src_offset * (int64_t)move->src_bytes;
    if (across >= 0) {
        plan_tiles(out, move, across);
    } else {
        plan_units(out, move);
    }
    out->small = out->count <= SMALL_COUNT;
}

tare_status tare_cuda_move_run(const tare_cuda_move *move, void *dst, const void *src,
                               tare_stream stream, tare_error *err) {
    tare_move_launch launch;
    tare_cuda_move_plan(&launch, move, dst, src);
    return tare_move_start(&launch, stream, err);
}

static void repeat_fill(uint64_t out[2], uint64_t element, uint32_t bytes) {
    out[0] = element;
    for (uint32_t filled = bytes; filled < sizeof out[0]; filled *= 2) {
        out[0] |= out[0] << (8 * filled);
    }
    out[1] = out[0];
}

tare_status tare_cuda_mapped_run(const tare_cuda_mapped *mapped, void *dst, const void *src,
                                 tare_stream stream, tare_error *err) {
    tare_mapped_launch launch = {.dst = dst, .src = src, .rank = mapped->rank, .count = 1};
    int64_t unit = UNIT_BYTES;

    for (int axis = 0; axis < mapped->rank; axis++) {
        launch.count *= (uint64_t)mapped->dims[axis];
    }
    if (launch.count == 0 || mapped->run_bytes == 0) {
        return TARE_OK;
    }
    while (unit > (int64_t)mapped->element_bytes &&
           (mapped->grain_bytes % unit != 0 || (uintptr_t)dst % (uintptr_t)unit != 0 ||
            (uintptr_t)src % (uintptr_t)unit != 0)) {
        unit /= 2;
    }
    launch.unit = unit_of(1, 1, unit);
    repeat_fill(launch.fill, mapped->fill, mapped->element_bytes);
    for (int axis = 0; axis < mapped->rank; axis++) {
        launch.dims[axis] = tare_divisor_of((uint64_t)mapped->dims[axis]);
        launch.offsets[axis] = mapped->offsets[axis];
        launch.step[axis] = mapped->step[axis];
    }
    if (mapped->run_bytes > unit) {
        launch.dims[launch.rank] = tare_divisor_of((uint64_t)(mapped->run_bytes / unit));
        launch.step[launch.rank++] = unit;
        launch.count *= (uint64_t)(mapped->run_bytes / unit);
    }
    launch.small = launch.count <= SMALL_COUNT;
    return tare_mapped_start(&launch, stream, err);
}
