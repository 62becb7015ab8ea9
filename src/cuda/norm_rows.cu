// SPDX-License-Identifier: Apache-2.0
// Normalisations along one axis: LayerNormalization, LpNormalization, LRN.
#include "cuda/norm.cuh"

#define THREADS       256
#define LONG_VALUES   32 // per thread, of rows that a warp or a block keeps in registers
#define SHORT_VALUES  8
#define BLOCKS_PER_SM 16

struct layer_moments {
    float mean, inverse;
};

// W neighbouring elements from `at` on.
template <int W>
__device__ static inline void layer_finish(float (&x)[W], const tare_norm_layer &work,
                                           const layer_moments &moments, int64_t at) {
    float scale[W], bias[W];
    tare_norm_parameters<W>(scale, work.scale, at);
    if (work.bias.data != nullptr) {
        tare_norm_parameters<W>(bias, work.bias, at);
    }
#pragma unroll
    for (int i = 0; i < W; i++) {
        x[i] = (x[i] - moments.mean) * moments.inverse * scale[i];
        x[i] = work.bias.data != nullptr ? x[i] + bias[i] : x[i];
    }
}

template <typename E>
__device__ static inline void layer_keep(const tare_norm_layer &work, const layer_moments &moments,
                                         int64_t row) {
    typedef typename E::stored stored;
    if (work.mean != nullptr) {
        static_cast<stored *>(work.mean)[row] = E::bits(moments.mean);
    }
    if (work.inverse != nullptr) {
        static_cast<stored *>(work.inverse)[row] = E::bits(moments.inverse);
    }
}

// A team (warp or block) per row, which it reads once, by 16 bytes.
template <typename E, int TEAM, int VALUES>
__global__ __launch_bounds__(THREADS, 2) void norm_layer(const tare_norm_layer work) {
    typedef typename E::stored stored;
    TARE_SHARED(float, shared, THREADS / 32);
    constexpr int64_t teams = THREADS / TEAM;
    const int size = static_cast<int>(work.size), lane = threadIdx.x % TEAM;
    const float share = 1.0F / static_cast<float>(size);

    for (int64_t row = blockIdx.x * teams + tare_team_index<TEAM>(); row < work.rows;
         row += gridDim.x * teams) {
        const stored *in = static_cast<const stored *>(work.in) + row * size;
        stored *out = static_cast<stored *>(work.out) + row * size;
        const float first = E::value(in[0]);
        float x[VALUES], sum = 0.0F, squares = 0.0F;
        tare_row_load<E, TEAM>(x, in, size, true, first);
#pragma unroll
        for (int i = 0; i < VALUES; i++) {
            sum += x[i] - first;
        }
        layer_moments moments = {first + tare_team<tare_join_sum, TEAM>(sum, shared) * share, 0.0F};
#pragma unroll
        for (int i = 0; i < VALUES; i++) {
            const float distance = x[i] - moments.mean;
            squares += tare_row_at<E, TEAM>(i, lane, true) < size ? distance * distance : 0.0F;
        }
        const float variance = tare_team<tare_join_sum, TEAM>(squares, shared) * share;
        moments.inverse = tare_inverse_root(variance + work.epsilon);
#pragma unroll
        for (int i = 0; i < VALUES; i += E::width) {
            const int at = tare_row_at<E, TEAM>(i, lane, true);
            if (at < size) {
                float part[E::width];
#pragma unroll
                for (int j = 0; j < E::width; j++) {
                    part[j] = x[i + j];
                }
                layer_finish<E::width>(part, work, moments, at);
                tare_vector_store<E, E::width>(out + at, part);
            }
        }
        if (lane == 0) {
            layer_keep<E>(work, moments, row);
        }
    }
}

// A team per row that is too long for registers, or not to be read by 16 bytes.
template <typename E, int TEAM, int W>
__global__ __launch_bounds__(THREADS) void norm_layer_read(const tare_norm_layer work) {
    typedef typename E::stored stored;
    TARE_SHARED(float, shared, THREADS / 32);
    constexpr int64_t teams = THREADS / TEAM;
    const float share = 1.0F / static_cast<float>(work.size);
    const int64_t begin = static_cast<int64_t>(threadIdx.x % TEAM) * W;

    for (int64_t row = blockIdx.x * teams + tare_team_index<TEAM>(); row < work.rows;
         row += gridDim.x * teams) {
        const stored *in = static_cast<const stored *>(work.in) + row * work.size;
        stored *out = static_cast<stored *>(work.out) + row * work.size;
        const float first = E::value(in[0]);
        float x[W], sum = 0.0F, squares = 0.0F;
#pragma unroll 4
        for (int64_t at = begin; at < work.size; at += TEAM * W) {
            tare_vector_load<E, W>(x, in + at);
#pragma unroll
            for (int i = 0; i < W; i++) {
                sum += x[i] - first;
            }
        }
        layer_moments moments = {first + tare_team<tare_join_sum, TEAM>(sum, shared) * share, 0.0F};
#pragma unroll 4
        for (int64_t at = begin; at < work.size; at += TEAM * W) {
            tare_vector_load<E, W>(x, in + at);
#pragma unroll
            for (int i = 0; i < W; i++) {
                squares += (x[i] - moments.mean) * (x[i] - moments.mean);
            }
        }
        const float variance = tare_team<tare_join_sum, TEAM>(squares, shared) * share;
        moments.inverse = tare_inverse_root(variance + work.epsilon);
        for (int64_t at = begin; at < work.size; at += TEAM * W) {
            tare_vector_load<E, W>(x, in + at);
            layer_finish<W>(x, work, moments, at);
            tare_vector_store<E, W>(out + at, x);
        }
        if (begin == 0) {
            layer_keep<E>(work, moments, row);
        }
    }
}

// In double, so that squares of no element overflow or vanish.
__device__ static inline double magnitude(float x, bool squares) {
    const double wide = x;
    return squares ? wide * wide : fabs(wide);
}

// What a row is multiplied by.
__device__ static inline double reciprocal(double sum, bool squares) {
    const double norm = squares ? sqrt(sum) : sum;
    return norm == 0.0 ? 0.0 : 1.0 / norm;
}

template <typename E, int TEAM>
__global__ __launch_bounds__(THREADS) void norm_lp_rows(const tare_norm_axis work, bool squares) {
    typedef typename E::stored stored;
    TARE_SHARED(double, shared, THREADS / 32);
    constexpr int64_t teams = THREADS / TEAM;

    for (int64_t row = blockIdx.x * teams + tare_team_index<TEAM>(); row < work.outer;
         row += gridDim.x * teams) {
        const stored *in = static_cast<const stored *>(work.in) + row * work.size;
        stored *out = static_cast<stored *>(work.out) + row * work.size;
        double sum = 0.0;
        for (int64_t at = threadIdx.x % TEAM; at < work.size; at += TEAM) {
            sum += magnitude(E::value(in[at]), squares);
        }
        sum = tare_team<tare_join_sum, TEAM>(sum, shared);
        const double factor = reciprocal(sum, squares);
        for (int64_t at = threadIdx.x % TEAM; at < work.size; at += TEAM) {
            out[at] = E::bits(static_cast<float>(E::value(in[at]) * factor));
        }
    }
}

// A thread per column; neighbouring threads read neighbours.
template <typename E>
__global__ __launch_bounds__(THREADS) void norm_lp_columns(const tare_norm_axis work,
                                                           bool squares) {
    typedef typename E::stored stored;

    for (int64_t column = static_cast<int64_t>(blockIdx.x) * THREADS + threadIdx.x;
         column < work.outer * work.inner; column += static_cast<int64_t>(gridDim.x) * THREADS) {
        const int64_t base = column / work.inner * (work.size * work.inner) + column % work.inner;
        const stored *in = static_cast<const stored *>(work.in) + base;
        stored *out = static_cast<stored *>(work.out) + base;
        double sum = 0.0;
        for (int64_t k = 0; k < work.size; k++) {
            sum += magnitude(E::value(in[k * work.inner]), squares);
        }
        const double factor = reciprocal(sum, squares);
        for (int64_t k = 0; k < work.size; k++) {
            out[k * work.inner] =
                E::bits(static_cast<float>(E::value(in[k * work.inner]) * factor));
        }
    }
}

// A thread per element.
template <typename E>
__global__ __launch_bounds__(THREADS) void norm_lrn(const tare_norm_axis work,
                                                    const tare_norm_response response) {
    typedef typename E::stored stored;
    const stored *in = static_cast<const stored *>(work.in);
    const int64_t count = work.outer * work.size * work.inner;
    const float factor = response.alpha / static_cast<float>(response.size);

    for (int64_t at = static_cast<int64_t>(blockIdx.x) * THREADS + threadIdx.x; at < count;
         at += static_cast<int64_t>(gridDim.x) * THREADS) {
        const int64_t k = at / work.inner % work.size;
        const int64_t low = k - (response.size - 1) / 2, high = k + response.size / 2 + 1;
        float sum = 0.0F;
        for (int64_t j = low < 0 ? 0 : low; j < high && j < work.size; j++) {
            const float x = E::value(in[at + (j - k) * work.inner]);
            sum += x * x;
        }
        static_cast<stored *>(work.out)[at] =
            E::bits(E::value(in[at]) * powf(response.bias + factor * sum, -response.beta));
    }
}

typedef void (*layer_kernel)(tare_norm_layer);

// The kernel for the rows' length, and how many rows a block of it takes at a time.
template <typename E> static layer_kernel choose_layer(int *teams, const tare_norm_layer &work) {
    const bool vectors = tare_vectors_fit<E>(work.out, work.in, work.size);
    *teams = work.size <= 32 * LONG_VALUES ? THREADS / 32 : 1;
    if (*teams > 1) {
        return !vectors                         ? norm_layer_read<E, 32, 1>
               : work.size <= 32 * SHORT_VALUES ? norm_layer<E, 32, SHORT_VALUES>
                                                : norm_layer<E, 32, LONG_VALUES>;
    }
    return !vectors                             ? norm_layer_read<E, THREADS, 1>
           : work.size <= THREADS * LONG_VALUES ? norm_layer<E, THREADS, LONG_VALUES>
                                                : norm_layer_read<E, THREADS, E::width>;
}

tare_status tare_cuda_norm_layer(const tare_norm_layer *launch, tare_stream stream,
                                 tare_error *err) {
    const tare_norm_layer work = *launch;
    unsigned blocks = 0;
    int teams = 1;
    const layer_kernel kernel = work.dtype == TARE_DTYPE_FLOAT16
                                    ? choose_layer<tare_element_half>(&teams, work)
                                    : choose_layer<tare_element_float>(&teams, work);
    if (launch->rows == 0 || launch->size == 0) {
        return TARE_OK;
    }
    TARE_TRY(
        tare_grid(&blocks, tare_pieces(work.rows, teams), work.max_blocks, BLOCKS_PER_SM, err));
    TARE_LAUNCH(kernel, blocks, THREADS, 0, stream, work);
    return tare_launched("norm_layer", err);
}

template <typename E>
static tare_status lp(const tare_norm_axis &work, bool squares, tare_stream stream,
                      tare_error *err) {
    const bool rows = work.inner == 1, block = rows && work.size > 32 * LONG_VALUES;
    const int64_t items = rows ? work.outer : work.outer * work.inner;
    const int64_t share = rows ? (block ? 1 : THREADS / 32) : THREADS;
    const auto kernel =
        rows ? (block ? norm_lp_rows<E, THREADS> : norm_lp_rows<E, 32>) : norm_lp_columns<E>;
    unsigned blocks = 0;
    TARE_TRY(tare_grid(&blocks, tare_pieces(items, share), work.max_blocks, BLOCKS_PER_SM, err));
    TARE_LAUNCH(kernel, blocks, THREADS, 0, stream, work, squares);
    return tare_launched("norm_lp", err);
}

tare_status tare_cuda_norm_lp(const tare_norm_axis *launch, bool squares, tare_stream stream,
                              tare_error *err) {
    if (launch->outer == 0 || launch->size == 0 || launch->inner == 0) {
        return TARE_OK;
    }
    return launch->dtype == TARE_DTYPE_FLOAT16
               ? lp<tare_element_half>(*launch, squares, stream, err)
               : lp<tare_element_float>(*launch, squares, stream, err);
}

tare_status tare_cuda_norm_lrn(const tare_norm_axis *launch, const tare_norm_response *response,
                               tare_stream stream, tare_error *err) {
    const int64_t count = launch->outer * launch->size * launch->inner;
    const tare_norm_axis work = *launch;
    const tare_norm_response how = *response;
    const auto kernel = launch->dtype == TARE_DTYPE_FLOAT16 ? norm_lrn<tare_element_half>
                                                            : norm_lrn<tare_element_float>;
    unsigned blocks = 0;
    if (count == 0) {
        return TARE_OK;
    }
    TARE_TRY(
        tare_grid(&blocks, tare_pieces(count, THREADS), launch->max_blocks, BLOCKS_PER_SM, err));
    TARE_LAUNCH(kernel, blocks, THREADS, 0, stream, work, how);
    return tare_launched("norm_lrn", err);
}
