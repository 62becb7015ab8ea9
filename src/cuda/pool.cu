// SPDX-License-Identifier: Apache-2.0
// Pools: a thread per window and vector of channels, or tiles of positions for windows as large as
// the input.
#include "cuda/pool.h"
#include "cuda/vectors.cuh"

#define THREADS       256
#define BLOCKS_PER_SM 16
#define WINDOW_BLOCKS 4  // of pool_windows in a multiprocessor: up to 64 registers per thread
#define MOST_LANES    32 // threads side by side on the channels of a position

// What a window is reduced to: by `take` one element at a time, by `join` with a part of itself; at
// the end `finish` gets what an element contributes to an average.
struct pool_max {
    typedef float value;

    __device__ static float start() {
        return -INFINITY;
    }

    __device__ static float take(float best, float x, const tare_pool_launch &) {
        return x > best || x != x ? x : best;
    }

    __device__ static float join(float a, float b) {
        return b > a || b != b ? b : a;
    }

    __device__ static float finish(float best, float, const tare_pool_launch &) {
        return best;
    }
};

struct pool_average {
    typedef float value;

    __device__ static float start() {
        return 0.0F;
    }

    __device__ static float take(float sum, float x, const tare_pool_launch &) {
        return sum + x;
    }

    __device__ static float join(float a, float b) {
        return a + b;
    }

    __device__ static float finish(float sum, float share, const tare_pool_launch &) {
        return sum * share;
    }
};

// In double, so that squares neither overflow nor vanish.
struct pool_norm {
    typedef double value;

    __device__ static double start() {
        return 0.0;
    }

    __device__ static double take(double sum, float x, const tare_pool_launch &work) {
        const double size = fabs(static_cast<double>(x));
        return sum + (work.squares ? size * size : size);
    }

    __device__ static float finish(double sum, float, const tare_pool_launch &work) {
        return static_cast<float>(work.squares ? sqrt(sum) : sum);
    }
};

// A window along one dim: its first position in the input, and its elements inside.
struct pool_span {
    int first, begin, end;
};

// Steps of `dilation` that it takes to come `distance` far.
__device__ static inline int steps(int distance, int dilation) {
    const int far = distance > 0 ? distance : 0;
    return dilation == 1 ? far : (far + dilation - 1) / dilation;
}

__device__ static inline pool_span span_of(const tare_pool_launch &work, int dim,
                                           uint32_t position) {
    const int first = static_cast<int>(position) * work.stride[dim] - work.pad_begin[dim];
    const int end = steps(work.size[dim] - first, work.dilation[dim]);
    return {first, steps(-first, work.dilation[dim]),
            end < work.kernel[dim] ? end : work.kernel[dim]};
}

// Positions of a window along one dim that an average counts.
__device__ static inline int64_t counted(const tare_pool_launch &work, int dim,
                                         const pool_span &span) {
    if (!work.count_pads) {
        return span.end > span.begin ? span.end - span.begin : 0;
    }
    const int along =
        steps(work.size[dim] + work.counted_end[dim] - span.first, work.dilation[dim]);
    return along < work.kernel[dim] ? along : work.kernel[dim];
}

// A thread per window and W channels; windows are counted in 32 bits.
template <typename E, int W, typename R>
__global__ __launch_bounds__(THREADS,
                             WINDOW_BLOCKS) void pool_windows(const tare_pool_launch work) {
    typedef typename E::stored stored;
    const uint32_t vectors = static_cast<uint32_t>(work.channels / W);
    const uint32_t sizes[3] = {static_cast<uint32_t>(work.output[0]),
                               static_cast<uint32_t>(work.output[1]),
                               static_cast<uint32_t>(work.output[2])};
    const uint32_t items =
        static_cast<uint32_t>(work.samples) * sizes[0] * sizes[1] * sizes[2] * vectors;

    for (uint32_t item = blockIdx.x * THREADS + threadIdx.x; item < items;
         item += gridDim.x * THREADS) {
        const uint32_t window = item / vectors, row = window / sizes[2], plane = row / sizes[1];
        const pool_span c = span_of(work, 2, window % sizes[2]);
        const pool_span b = span_of(work, 1, row % sizes[1]);
        const pool_span a = span_of(work, 0, plane % sizes[0]);
        const stored *in = static_cast<const stored *>(work.in) + item % vectors * W;
        const int64_t sample = static_cast<int64_t>(plane / sizes[0]) * work.size[0];
        typename R::value sums[W];
        float x[W];
#pragma unroll
        for (int i = 0; i < W; i++) {
            sums[i] = R::start();
        }
        for (int j = a.begin; j < a.end; j++) {
            const int64_t outer = (sample + a.first + j * work.dilation[0]) * work.size[1];
            for (int k = b.begin; k < b.end; k++) {
                const int64_t first =
                    (outer + b.first + k * work.dilation[1]) * work.size[2] + c.first;
#pragma unroll 4
                for (int l = c.begin; l < c.end; l++) {
                    tare_vector_load<E, W>(x, in + (first + l * work.dilation[2]) * work.channels);
#pragma unroll
                    for (int i = 0; i < W; i++) {
                        sums[i] = R::take(sums[i], x[i], work);
                    }
                }
            }
        }
        const int64_t count = counted(work, 0, a) * counted(work, 1, b) * counted(work, 2, c);
        const float share = count > 0 ? 1.0F / static_cast<float>(count) : 0.0F;
#pragma unroll
        for (int i = 0; i < W; i++) {
            x[i] = R::finish(sums[i], share, work);
        }
        tare_vector_store<E, W>(static_cast<stored *>(work.out) + static_cast<int64_t>(item) * W,
                                x);
    }
}

// How windows as large as the input are cut: `lanes` threads side by side on the channels.
struct pool_cut {
    int64_t positions, tiles, vectors, groups, items;
    int lanes;
};

// A block per tile of positions: those THREADS / lanes apart first, then across these.
template <typename E, int W, typename R>
__global__ __launch_bounds__(THREADS) void pool_tiles(const tare_pool_launch work,
                                                      const pool_cut cut) {
    typedef typename E::stored stored;
    TARE_SHARED(float, shared, THREADS *W);
    const int step = THREADS / cut.lanes;

    for (int64_t item = blockIdx.x; item < cut.items; item += gridDim.x) {
        const int64_t group = item % cut.groups, place = item / cut.groups;
        const int64_t first = place % cut.tiles * TARE_POOL_TILE;
        const int64_t left = cut.positions - first;
        const int rows = static_cast<int>(left < TARE_POOL_TILE ? left : TARE_POOL_TILE);
        const int64_t vector = group * cut.lanes + threadIdx.x % cut.lanes;
        const stored *in = static_cast<const stored *>(work.in) +
                           (place / cut.tiles * cut.positions + first) * work.channels + vector * W;
        float x[W], sums[W];
#pragma unroll
        for (int i = 0; i < W; i++) {
            sums[i] = R::start();
        }
        if (vector < cut.vectors) {
#pragma unroll 4
            for (int row = threadIdx.x / cut.lanes; row < rows; row += step) {
                tare_vector_load<E, W>(x, in + row * work.channels);
#pragma unroll
                for (int i = 0; i < W; i++) {
                    sums[i] = R::take(sums[i], x[i], work);
                }
            }
        }
        __syncthreads(); // the last item's sums have been read
#pragma unroll
        for (int i = 0; i < W; i++) {
            shared[i * THREADS + threadIdx.x] = sums[i];
        }
        __syncthreads();
        const int i = threadIdx.x / cut.lanes, lane = threadIdx.x % cut.lanes;
        if (i < W && vector < cut.vectors) {
            float joined = R::start();
            for (int row = 0; row < step; row++) {
                joined = R::join(joined, shared[i * THREADS + row * cut.lanes + lane]);
            }
            work.parts[place * work.channels + vector * W + i] = joined;
        }
    }
}

// A thread per channel of a sample joins its tiles in their order.
template <typename E, typename R>
__global__ __launch_bounds__(THREADS) void pool_join(const tare_pool_launch work,
                                                     const pool_cut cut) {
    typedef typename E::stored stored;
    const int64_t items = work.samples * work.channels;
    const float share = 1.0F / static_cast<float>(cut.positions);

    for (int64_t item = static_cast<int64_t>(blockIdx.x) * THREADS + threadIdx.x; item < items;
         item += static_cast<int64_t>(gridDim.x) * THREADS) {
        const float *parts =
            work.parts + item / work.channels * cut.tiles * work.channels + item % work.channels;
        float joined = R::start();
#pragma unroll 4
        for (int64_t tile = 0; tile < cut.tiles; tile++) {
            joined = R::join(joined, parts[tile * work.channels]);
        }
        static_cast<stored *>(work.out)[item] = E::bits(R::finish(joined, share, work));
    }
}

// Whether a window has its one position on a dim and sees nothing but the whole input.
static bool sees_all(const tare_pool_launch &work, int dim) {
    return work.output[dim] == 1 && work.kernel[dim] == work.size[dim] && work.dilation[dim] == 1 &&
           work.pad_begin[dim] == 0;
}

int64_t tare_pool_tiles(const tare_pool_launch *launch) {
    const int64_t positions =
        static_cast<int64_t>(launch->size[0]) * launch->size[1] * launch->size[2];
    const bool large = launch->kind != TARE_POOL_NORM && positions > TARE_POOL_LARGEST &&
                       sees_all(*launch, 0) && sees_all(*launch, 1) && sees_all(*launch, 2);
    return large ? static_cast<int64_t>(tare_pieces(positions, TARE_POOL_TILE)) : 0;
}

static pool_cut cut_tiles(const tare_pool_launch &work, int width) {
    pool_cut cut = {static_cast<int64_t>(work.size[0]) * work.size[1] * work.size[2],
                    tare_pool_tiles(&work),
                    work.channels / width,
                    0,
                    0,
                    1};
    while (cut.lanes < MOST_LANES && cut.lanes < cut.vectors) {
        cut.lanes *= 2;
    }
    cut.groups = static_cast<int64_t>(tare_pieces(cut.vectors, cut.lanes));
    cut.items = work.samples * cut.tiles * cut.groups;
    return cut;
}

template <typename E, int W, typename R>
static tare_status launch_windows(const tare_pool_launch &work, tare_stream stream,
                                  tare_error *err) {
    const auto kernel = pool_windows<E, W, R>;
    const int64_t items =
        work.samples * work.output[0] * work.output[1] * work.output[2] * (work.channels / W);
    unsigned blocks = 0;
    TARE_TRY(tare_grid(&blocks, tare_pieces(items, THREADS), work.max_blocks, BLOCKS_PER_SM, err));
    TARE_LAUNCH(kernel, blocks, THREADS, 0, stream, work);
    return tare_launched("pool_windows", err);
}

template <typename E, int W, typename R>
static tare_status launch_tiles(const tare_pool_launch &work, tare_stream stream, tare_error *err) {
    const auto reduce = pool_tiles<E, W, R>;
    const auto join = pool_join<E, R>;
    const pool_cut cut = cut_tiles(work, W);
    unsigned blocks = 0;
    TARE_TRY(
        tare_grid(&blocks, static_cast<uint64_t>(cut.items), work.max_blocks, BLOCKS_PER_SM, err));
    TARE_LAUNCH(reduce, blocks, THREADS, 0, stream, work, cut);
    TARE_TRY(tare_launched("pool_tiles", err));
    TARE_TRY(tare_grid(&blocks, tare_pieces(work.samples * work.channels, THREADS), work.max_blocks,
                       BLOCKS_PER_SM, err));
    TARE_LAUNCH(join, blocks, THREADS, 0, stream, work, cut);
    return tare_launched("pool_join", err);
}

template <typename E, int W>
static tare_status pool(const tare_pool_launch &work, tare_stream stream, tare_error *err) {
    if (tare_pool_tiles(&work) > 0) {
        return work.kind == TARE_POOL_MAX ? launch_tiles<E, W, pool_max>(work, stream, err)
                                          : launch_tiles<E, W, pool_average>(work, stream, err);
    }
    return work.kind == TARE_POOL_MAX ? launch_windows<E, W, pool_max>(work, stream, err)
                                      : launch_windows<E, W, pool_average>(work, stream, err);
}

template <typename E>
static tare_status pool(const tare_pool_launch &work, tare_stream stream, tare_error *err) {
    if (work.kind == TARE_POOL_NORM) {
        return launch_windows<E, 1, pool_norm>(work, stream, err);
    }
    return tare_vectors_fit<E>(work.out, work.in, work.channels)
               ? pool<E, E::width>(work, stream, err)
               : pool<E, 1>(work, stream, err);
}

tare_status tare_cuda_pool(const tare_pool_launch *launch, tare_stream stream, tare_error *err) {
    if (launch->samples == 0 || launch->channels == 0 || launch->output[0] == 0 ||
        launch->output[1] == 0 || launch->output[2] == 0) {
        return TARE_OK;
    }
    return launch->dtype == TARE_DTYPE_FLOAT16 ? pool<tare_element_half>(*launch, stream, err)
                                               : pool<tare_element_float>(*launch, stream, err);
}
