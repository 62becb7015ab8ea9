// SPDX-License-Identifier: Apache-2.0
// Strided copies of units of up to 16 bytes, transposing copies by tiles in shared memory, and
// copies through tables of offsets.
#include "cuda/element.cuh"
#include "cuda/move.h"

#define THREADS TARE_MOVE_THREADS
#define UNITS   TARE_MOVE_UNITS

namespace {

// A unit: what is loaded, what is stored, and how the one becomes the other.
template <typename T> struct bits {
    typedef T source, stored;

    __device__ static stored convert(const source &value) {
        return value;
    }
};

struct narrow {
    typedef uint32_t source;
    typedef uint16_t stored;

    __device__ static stored convert(source value) {
        return tare_float_to_half(__uint_as_float(value));
    }
};

struct widen {
    typedef uint16_t source;
    typedef uint32_t stored;

    __device__ static stored convert(source value) {
        return __float_as_uint(tare_half_to_float(value));
    }
};

struct narrow_4 {
    typedef uint4 source;
    typedef uint64_t stored;

    __device__ static stored convert(const source &value) {
        return static_cast<uint64_t>(narrow::convert(value.x)) |
               static_cast<uint64_t>(narrow::convert(value.y)) << 16 |
               static_cast<uint64_t>(narrow::convert(value.z)) << 32 |
               static_cast<uint64_t>(narrow::convert(value.w)) << 48;
    }
};

struct widen_4 {
    typedef uint64_t source;
    typedef uint4 stored;

    __device__ static stored convert(source value) {
        stored out;
        out.x = widen::convert(static_cast<uint16_t>(value));
        out.y = widen::convert(static_cast<uint16_t>(value >> 16));
        out.z = widen::convert(static_cast<uint16_t>(value >> 32));
        out.w = widen::convert(static_cast<uint16_t>(value >> 48));
        return out;
    }
};

// Splits `number` into a quotient, which is returned, and what is left.
__device__ uint64_t split(uint64_t &left, uint64_t number, const tare_divisor &by, bool small) {
    const uint64_t quotient = tare_divide(number, by, small);
    left = number - quotient * by.value;
    return quotient;
}

// The first of a thread's units; the others follow THREADS apart.
__device__ uint64_t first_unit() {
    return static_cast<uint64_t>(blockIdx.x) * THREADS * UNITS + threadIdx.x;
}

template <typename U> __device__ void move_units(const tare_move_launch &launch) {
    const uint64_t first = first_unit();
    uint64_t rest[UNITS];
    int64_t dst[UNITS], src[UNITS];
    typename U::source in[UNITS];

#pragma unroll
    for (int u = 0; u < UNITS; u++) {
        rest[u] = first + static_cast<uint64_t>(u) * THREADS;
        dst[u] = 0;
        src[u] = 0;
    }
    for (int axis = launch.rank - 1; axis > 0; axis--) {
#pragma unroll
        for (int u = 0; u < UNITS; u++) {
            uint64_t index;
            rest[u] = split(index, rest[u], launch.dims[axis], launch.small);
            dst[u] += static_cast<int64_t>(index) * launch.dst_step[axis];
            src[u] += static_cast<int64_t>(index) * launch.src_step[axis];
        }
    }
#pragma unroll
    for (int u = 0; u < UNITS; u++) {
        dst[u] += static_cast<int64_t>(rest[u]) * launch.dst_step[0];
        src[u] += static_cast<int64_t>(rest[u]) * launch.src_step[0];
        if (first + static_cast<uint64_t>(u) * THREADS < launch.count) {
            in[u] = *reinterpret_cast<const typename U::source *>(launch.src + src[u]);
        }
    }
#pragma unroll
    for (int u = 0; u < UNITS; u++) {
        if (first + static_cast<uint64_t>(u) * THREADS < launch.count) {
            *reinterpret_cast<typename U::stored *>(launch.dst + dst[u]) = U::convert(in[u]);
        }
    }
}

// A tile has SIDE lines of SIDE elements: read with neighbouring threads along the source's
// contiguous axis, written with neighbouring threads along the destination's. Lines are padded so
// that a column of a tile lies in different banks.
template <typename U, int SIDE> __device__ void move_tiles(const tare_move_launch &launch) {
    constexpr int bytes = sizeof(typename U::stored);
    constexpr int line = SIDE + (bytes < 4 ? 4 / bytes : 1), rows = THREADS / SIDE;
    TARE_SHARED(typename U::stored, tile, SIDE * line);
    const int lane = static_cast<int>(threadIdx.x) % SIDE;
    const int row = static_cast<int>(threadIdx.x) / SIDE;
    uint64_t rest = blockIdx.x, index, place[2] = {0, 0};
    int64_t to = 0, from = 0;

    for (int axis = launch.rank - 1; axis >= 0; axis--) {
        rest = split(index, rest, launch.dims[axis], launch.small);
        to += static_cast<int64_t>(index) * launch.dst_step[axis];
        from += static_cast<int64_t>(index) * launch.src_step[axis];
        if (axis == launch.rank - 1) {
            place[1] = index * SIDE;
        } else if (axis == launch.rank - 2) {
            place[0] = index * SIDE;
        }
    }
    // What is left of both axes from the tile's first element on.
    const uint64_t left[2] = {launch.tile_size[0] - place[0], launch.tile_size[1] - place[1]};
#pragma unroll
    for (int k = 0; k < SIDE; k += rows) {
        const int y = row + k;
        if (static_cast<uint64_t>(lane) < left[0] && static_cast<uint64_t>(y) < left[1]) {
            tile[y * line + lane] = U::convert(reinterpret_cast<const typename U::source *>(
                launch.src + from + y * launch.src_line)[lane]);
        }
    }
    __syncthreads();
#pragma unroll
    for (int k = 0; k < SIDE; k += rows) {
        const int y = row + k;
        if (static_cast<uint64_t>(lane) < left[1] && static_cast<uint64_t>(y) < left[0]) {
            reinterpret_cast<typename U::stored *>(launch.dst + to + y * launch.dst_line)[lane] =
                tile[lane * line + y];
        }
    }
}

template <typename T> __device__ T fill_value(const tare_mapped_launch &launch) {
    return static_cast<T>(launch.fill[0]);
}

template <> __device__ uint4 fill_value<uint4>(const tare_mapped_launch &launch) {
    uint4 value;
    value.x = static_cast<uint32_t>(launch.fill[0]);
    value.y = static_cast<uint32_t>(launch.fill[0] >> 32);
    value.z = static_cast<uint32_t>(launch.fill[1]);
    value.w = static_cast<uint32_t>(launch.fill[1] >> 32);
    return value;
}

template <typename T> __device__ void move_mapped(const tare_mapped_launch &launch) {
    const uint64_t first = first_unit();
    uint64_t rest[UNITS];
    int64_t src[UNITS];
    bool filled[UNITS];
    T value[UNITS];

#pragma unroll
    for (int u = 0; u < UNITS; u++) {
        const uint64_t number = first + static_cast<uint64_t>(u) * THREADS;
        // Threads behind the end look at the last unit and store nothing.
        rest[u] = number < launch.count ? number : launch.count - 1;
        src[u] = 0;
        filled[u] = false;
    }
    for (int axis = launch.rank - 1; axis >= 0; axis--) {
        const int64_t *offsets = launch.offsets[axis];
#pragma unroll
        for (int u = 0; u < UNITS; u++) {
            uint64_t index;
            rest[u] = split(index, rest[u], launch.dims[axis], launch.small);
            const int64_t offset =
                offsets != NULL ? offsets[index] : static_cast<int64_t>(index) * launch.step[axis];
            filled[u] = filled[u] || offset < 0;
            src[u] += offset;
        }
    }
#pragma unroll
    for (int u = 0; u < UNITS; u++) {
        value[u] = fill_value<T>(launch);
        if (!filled[u]) {
            value[u] = *reinterpret_cast<const T *>(launch.src + src[u]);
        }
    }
#pragma unroll
    for (int u = 0; u < UNITS; u++) {
        const uint64_t number = first + static_cast<uint64_t>(u) * THREADS;
        if (number < launch.count) {
            reinterpret_cast<T *>(launch.dst)[number] = value[u];
        }
    }
}

} // namespace

#define UNITS_KERNEL(name, unit)                                                                   \
    extern "C" __global__ void __launch_bounds__(THREADS) name(const tare_move_launch launch) {    \
        move_units<unit>(launch);                                                                  \
    }
#define TILES_KERNEL(name, unit, side)                                                             \
    extern "C" __global__ void __launch_bounds__(THREADS) name(const tare_move_launch launch) {    \
        move_tiles<unit, side>(launch);                                                            \
    }
#define MAPPED_KERNEL(name, type)                                                                  \
    extern "C" __global__ void __launch_bounds__(THREADS) name(const tare_mapped_launch launch) {  \
        move_mapped<type>(launch);                                                                 \
    }

UNITS_KERNEL(tare_move_1, bits<uint8_t>)
UNITS_KERNEL(tare_move_2, bits<uint16_t>)
UNITS_KERNEL(tare_move_4, bits<uint32_t>)
UNITS_KERNEL(tare_move_8, bits<uint64_t>)
UNITS_KERNEL(tare_move_16, bits<uint4>)
UNITS_KERNEL(tare_move_narrow, narrow)
UNITS_KERNEL(tare_move_narrow_4, narrow_4)
UNITS_KERNEL(tare_move_widen, widen)
UNITS_KERNEL(tare_move_widen_4, widen_4)

TILES_KERNEL(tare_transpose_1, bits<uint8_t>, TARE_MOVE_SMALL_TILE)
TILES_KERNEL(tare_transpose_2, bits<uint16_t>, TARE_MOVE_SMALL_TILE)
TILES_KERNEL(tare_transpose_4, bits<uint32_t>, TARE_MOVE_TILE)
TILES_KERNEL(tare_transpose_8, bits<uint64_t>, TARE_MOVE_TILE)
TILES_KERNEL(tare_transpose_narrow, narrow, TARE_MOVE_TILE)
TILES_KERNEL(tare_transpose_widen, widen, TARE_MOVE_TILE)

MAPPED_KERNEL(tare_mapped_1, uint8_t)
MAPPED_KERNEL(tare_mapped_2, uint16_t)
MAPPED_KERNEL(tare_mapped_4, uint32_t)
MAPPED_KERNEL(tare_mapped_8, uint64_t)
MAPPED_KERNEL(tare_mapped_16, uint4)

namespace {

struct move_kernel {
    void (*start)(const tare_move_launch launch);
    const char *name;
};

#define MOVE_KERNEL(name)                                                                          \
    { name, #name }

const move_kernel unit_kernels[TARE_MOVE_UNIT_COUNT] = {
    MOVE_KERNEL(tare_move_1),        MOVE_KERNEL(tare_move_2),     MOVE_KERNEL(tare_move_4),
    MOVE_KERNEL(tare_move_8),        MOVE_KERNEL(tare_move_16),    MOVE_KERNEL(tare_move_narrow),
    MOVE_KERNEL(tare_move_narrow_4), MOVE_KERNEL(tare_move_widen), MOVE_KERNEL(tare_move_widen_4)};

// Tiles are of single elements.
const move_kernel tile_kernels[TARE_MOVE_UNIT_COUNT] = {MOVE_KERNEL(tare_transpose_1),
                                                        MOVE_KERNEL(tare_transpose_2),
                                                        MOVE_KERNEL(tare_transpose_4),
                                                        MOVE_KERNEL(tare_transpose_8),
                                                        {NULL, NULL},
                                                        MOVE_KERNEL(tare_transpose_narrow),
                                                        {NULL, NULL},
                                                        MOVE_KERNEL(tare_transpose_widen),
                                                        {NULL, NULL}};

struct mapped_kernel {
    void (*start)(const tare_mapped_launch launch);
    const char *name;
};

const mapped_kernel mapped_kernels[] = {MOVE_KERNEL(tare_mapped_1), MOVE_KERNEL(tare_mapped_2),
                                        MOVE_KERNEL(tare_mapped_4), MOVE_KERNEL(tare_mapped_8),
                                        MOVE_KERNEL(tare_mapped_16)};

// One block per piece of work.
tare_status count_blocks(unsigned *blocks, uint64_t items, uint64_t per_block, tare_error *err) {
    const uint64_t count = items / per_block + (items % per_block != 0 ? 1 : 0);
    if (count > INT32_MAX) {
        return tare_fail(err, TARE_UNSUPPORTED, "a copy by %llu blocks, expected at most %d",
                         static_cast<unsigned long long>(count), INT32_MAX);
    }
    *blocks = static_cast<unsigned>(count);
    return TARE_OK;
}

} // namespace

extern "C" tare_status tare_move_start(const tare_move_launch *launch, tare_stream stream,
                                       tare_error *err) {
    const move_kernel &kernel =
        launch->tiled ? tile_kernels[launch->unit] : unit_kernels[launch->unit];
    unsigned blocks = 0;

    TARE_TRY(count_blocks(&blocks, launch->count, launch->tiled ? 1 : THREADS * UNITS, err));
    if (blocks == 0) {
        return TARE_OK;
    }
    TARE_LAUNCH(kernel.start, blocks, THREADS, 0, stream, *launch);
    return tare_launched(kernel.name, err);
}

extern "C" tare_status tare_mapped_start(const tare_mapped_launch *launch, tare_stream stream,
                                         tare_error *err) {
    const mapped_kernel &kernel = mapped_kernels[launch->unit];
    unsigned blocks = 0;

    TARE_TRY(count_blocks(&blocks, launch->count, THREADS * UNITS, err));
    if (blocks == 0) {
        return TARE_OK;
    }
    TARE_LAUNCH(kernel.start, blocks, THREADS, 0, stream, *launch);
    return tare_launched(kernel.name, err);
}
