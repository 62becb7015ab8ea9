// SPDX-License-Identifier: Apache-2.0
// Softmax and LogSoftmax: rows in registers where they fit, rows read three times, columns.
#include "cuda/softmax.h"
#include "cuda/vectors.cuh"

#define THREADS               256
#define WARP_VALUES           32 // per thread, of rows that a warp or a block keeps in registers
#define SHORT_VALUES          8
#define BLOCKS_PER_SM         16
#define LONGEST(team, values) (static_cast<int64_t>(team) * (values))

// x - largest and its exponential, of which softmax keeps the latter.
__device__ static inline float shifted(float *sum, float x, float largest, bool logarithm) {
    const float distance = x - largest, power = expf(distance);
    *sum += power;
    return logarithm ? distance : power;
}

// A team (warp or block) per row, which it reads once.
template <typename E, int TEAM, int VALUES>
__global__ __launch_bounds__(THREADS) void softmax_rows(const tare_softmax_launch work,
                                                        bool vectors) {
    typedef typename E::stored stored;
    TARE_SHARED(float, shared, THREADS / 32);
    const int size = static_cast<int>(work.size);
    constexpr int64_t teams = THREADS / TEAM;

    for (int64_t row = blockIdx.x * teams + tare_team_index<TEAM>(); row < work.outer;
         row += gridDim.x * teams) {
        float x[VALUES], largest = -INFINITY, sum = 0.0F;
        tare_row_load<E, TEAM>(x, static_cast<const stored *>(work.in) + row * size, size, vectors,
                               -INFINITY);
#pragma unroll
        for (int i = 0; i < VALUES; i++) {
            largest = fmaxf(largest, x[i]);
        }
        largest = tare_team<tare_join_max, TEAM>(largest, shared);
#pragma unroll
        for (int i = 0; i < VALUES; i++) {
            x[i] = shifted(&sum, x[i], largest, work.logarithm);
        }
        sum = tare_team<tare_join_sum, TEAM>(sum, shared);
        const float scale = 1.0F / sum, shift = logf(sum);
#pragma unroll
        for (int i = 0; i < VALUES; i++) {
            x[i] = work.logarithm ? x[i] - shift : x[i] * scale;
        }
        tare_row_store<E, TEAM>(static_cast<stored *>(work.out) + row * size, x, size, vectors);
    }
}

// A block per row that is too long for registers.
template <typename E, int W>
__global__ __launch_bounds__(THREADS) void softmax_long_rows(const tare_softmax_launch work) {
    typedef typename E::stored stored;
    TARE_SHARED(float, shared, THREADS / 32);

    for (int64_t row = blockIdx.x; row < work.outer; row += gridDim.x) {
        const stored *in = static_cast<const stored *>(work.in) + row * work.size;
        stored *out = static_cast<stored *>(work.out) + row * work.size;
        float x[W], largest = -INFINITY, sum = 0.0F;
        for (int64_t at = threadIdx.x * W; at < work.size; at += THREADS * W) {
            tare_vector_load<E, W>(x, in + at);
#pragma unroll
            for (int i = 0; i < W; i++) {
                largest = fmaxf(largest, x[i]);
            }
        }
        largest = tare_team<tare_join_max, THREADS>(largest, shared);
        for (int64_t at = threadIdx.x * W; at < work.size; at += THREADS * W) {
            tare_vector_load<E, W>(x, in + at);
#pragma unroll
            for (int i = 0; i < W; i++) {
                (void)shifted(&sum, x[i], largest, work.logarithm);
            }
        }
        sum = tare_team<tare_join_sum, THREADS>(sum, shared);
        const float scale = 1.0F / sum, shift = logf(sum);
        for (int64_t at = threadIdx.x * W; at < work.size; at += THREADS * W) {
            float unused = 0.0F;
            tare_vector_load<E, W>(x, in + at);
#pragma unroll
            for (int i = 0; i < W; i++) {
                const float y = shifted(&unused, x[i], largest, work.logarithm);
                x[i] = work.logarithm ? y - shift : y * scale;
            }
            tare_vector_store<E, W>(out + at, x);
        }
    }
}

// A thread per column; neighbouring threads read neighbours.
template <typename E>
__global__ __launch_bounds__(THREADS) void softmax_columns(const tare_softmax_launch work) {
    typedef typename E::stored stored;
    const int64_t columns = work.outer * work.inner;

    for (int64_t column = static_cast<int64_t>(blockIdx.x) * THREADS + threadIdx.x;
         column < columns; column += static_cast<int64_t>(gridDim.x) * THREADS) {
        const int64_t base = column / work.inner * (work.size * work.inner) + column % work.inner;
        const stored *in = static_cast<const stored *>(work.in) + base;
        stored *out = static_cast<stored *>(work.out) + base;
        float largest = -INFINITY;
        // One chain of additions per column, so that a float would lose too much.
        double total = 0.0;
        for (int64_t k = 0; k < work.size; k++) {
            largest = fmaxf(largest, E::value(in[k * work.inner]));
        }
        for (int64_t k = 0; k < work.size; k++) {
            float sum = 0.0F;
            (void)shifted(&sum, E::value(in[k * work.inner]), largest, work.logarithm);
            total += sum;
        }
        const float sum = static_cast<float>(total), scale = 1.0F / sum, shift = logf(sum);
        for (int64_t k = 0; k < work.size; k++) {
            float unused = 0.0F;
            const float y = shifted(&unused, E::value(in[k * work.inner]), largest, work.logarithm);
            out[k * work.inner] = E::bits(work.logarithm ? y - shift : y * scale);
        }
    }
}

template <typename E, int TEAM, int VALUES>
static tare_status launch_rows(const tare_softmax_launch &work, bool vectors, tare_stream stream,
                               tare_error *err) {
    const auto kernel = softmax_rows<E, TEAM, VALUES>;
    unsigned blocks = 0;
    TARE_TRY(tare_grid(&blocks, tare_pieces(work.outer, THREADS / TEAM), work.max_blocks,
                       BLOCKS_PER_SM, err));
    TARE_LAUNCH(kernel, blocks, THREADS, 0, stream, work, vectors);
    return tare_launched("softmax_rows", err);
}

template <typename E, int W>
static tare_status launch_long_rows(const tare_softmax_launch &work, tare_stream stream,
                                    tare_error *err) {
    const auto kernel = softmax_long_rows<E, W>;
    unsigned blocks = 0;
    TARE_TRY(
        tare_grid(&blocks, static_cast<uint64_t>(work.outer), work.max_blocks, BLOCKS_PER_SM, err));
    TARE_LAUNCH(kernel, blocks, THREADS, 0, stream, work);
    return tare_launched("softmax_long_rows", err);
}

template <typename E>
static tare_status launch_columns(const tare_softmax_launch &work, tare_stream stream,
                                  tare_error *err) {
    const auto kernel = softmax_columns<E>;
    unsigned blocks = 0;
    TARE_TRY(tare_grid(&blocks, tare_pieces(work.outer * work.inner, THREADS), work.max_blocks,
                       BLOCKS_PER_SM, err));
    TARE_LAUNCH(kernel, blocks, THREADS, 0, stream, work);
    return tare_launched("softmax_columns", err);
}

template <typename E>
static tare_status softmax(const tare_softmax_launch &work, tare_stream stream, tare_error *err) {
    const bool vectors = tare_vectors_fit<E>(work.out, work.in, work.size);
    if (work.inner > 1) {
        return launch_columns<E>(work, stream, err);
    }
    if (work.size <= LONGEST(32, SHORT_VALUES)) {
        return launch_rows<E, 32, SHORT_VALUES>(work, vectors, stream, err);
    }
    if (work.size <= LONGEST(32, WARP_VALUES)) {
        return launch_rows<E, 32, WARP_VALUES>(work, vectors, stream, err);
    }
    if (work.size <= LONGEST(THREADS, WARP_VALUES)) {
        return launch_rows<E, THREADS, WARP_VALUES>(work, vectors, stream, err);
    }
    return vectors ? launch_long_rows<E, E::width>(work, stream, err)
                   : launch_long_rows<E, 1>(work, stream, err);
}

tare_status tare_cuda_softmax(const tare_softmax_launch *launch, tare_stream stream,
                              tare_error *err) {
    if (launch->outer == 0 || launch->size == 0 || launch->inner == 0) {
        return TARE_OK;
    }
    return launch->dtype == TARE_DTYPE_FLOAT16 ? softmax<tare_element_half>(*launch, stream, err)
                                               : softmax<tare_element_float>(*launch, stream, err);
}
