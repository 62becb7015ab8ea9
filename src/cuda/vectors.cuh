// SPDX-License-Identifier: Apache-2.0
// What kernels over rows and channels share: loads and stores of one element or 16 bytes, rows kept
// in registers by a team of threads, and results of a team that all its threads get.
#ifndef TARE_CUDA_VECTORS_CUH
#define TARE_CUDA_VECTORS_CUH

#include "cuda/device.cuh"

// Whether launchers may choose vectors of 16 bytes: where the operands begin and, by elements,
// where every row of them begins.
template <typename E>
static inline bool tare_vectors_fit(const void *out, const void *in, int64_t row) {
    const uintptr_t places = reinterpret_cast<uintptr_t>(out) | reinterpret_cast<uintptr_t>(in);
    return (places & 15U) == 0 && row % E::width == 0;
}

// How many pieces of `size` it takes to hold `items`.
static inline uint64_t tare_pieces(int64_t items, int64_t size) {
    return static_cast<uint64_t>((items + size - 1) / size);
}

// W elements: 16 bytes at an aligned address where W is the type's width, else one.
template <typename E, int W>
__device__ static inline void tare_vector_load(float (&out)[W], const typename E::stored *in) {
    static_assert(W == 1 || W == E::width, "one element or 16 bytes");
    if constexpr (W == 1) {
        out[0] = E::value(*in);
    } else {
        E::unpack(out, *reinterpret_cast<const uint4 *>(in));
    }
}

template <typename E, int W>
__device__ static inline void tare_vector_store(typename E::stored *out, const float (&in)[W]) {
    static_assert(W == 1 || W == E::width, "one element or 16 bytes");
    if constexpr (W == 1) {
        *out = E::bits(in[0]);
    } else {
        *reinterpret_cast<uint4 *>(out) = E::pack(in);
    }
}

// A row of up to TEAM x VALUES elements in registers. With `vectors` (row aligned, size a multiple
// of the width) a thread holds neighbours that come by one load, else elements TEAM apart, so that
// neighbouring threads load neighbours in both cases.
template <typename E, int TEAM>
__device__ static inline int tare_row_at(int i, int lane, bool vectors) {
    return vectors ? (i / E::width * TEAM + lane) * E::width + i % E::width : i * TEAM + lane;
}

// Values beyond the row's end become `rest`.
template <typename E, int TEAM, int VALUES>
__device__ static inline void tare_row_load(float (&x)[VALUES], const typename E::stored *row,
                                            int size, bool vectors, float rest) {
    const int lane = threadIdx.x % TEAM;
    if (vectors) {
#pragma unroll
        for (int i = 0; i < VALUES; i += E::width) {
            const int at = tare_row_at<E, TEAM>(i, lane, true);
            float part[E::width];
            if (at < size) {
                tare_vector_load<E, E::width>(part, row + at);
            }
#pragma unroll
            for (int j = 0; j < E::width; j++) {
                x[i + j] = at < size ? part[j] : rest;
            }
        }
    } else {
#pragma unroll
        for (int i = 0; i < VALUES; i++) {
            const int at = tare_row_at<E, TEAM>(i, lane, false);
            x[i] = at < size ? E::value(row[at]) : rest;
        }
    }
}

template <typename E, int TEAM, int VALUES>
__device__ static inline void tare_row_store(typename E::stored *row, const float (&x)[VALUES],
                                             int size, bool vectors) {
    const int lane = threadIdx.x % TEAM;
    if (vectors) {
#pragma unroll
        for (int i = 0; i < VALUES; i += E::width) {
            const int at = tare_row_at<E, TEAM>(i, lane, true);
            float part[E::width];
#pragma unroll
            for (int j = 0; j < E::width; j++) {
                part[j] = x[i + j];
            }
            if (at < size) {
                tare_vector_store<E, E::width>(row + at, part);
            }
        }
    } else {
#pragma unroll
        for (int i = 0; i < VALUES; i++) {
            const int at = tare_row_at<E, TEAM>(i, lane, false);
            if (at < size) {
                row[at] = E::bits(x[i]);
            }
        }
    }
}

// Which of the block's teams of TEAM threads this is. The shuffle tells the compiler that a whole
// warp agrees on it, and hence walks loops over rows together.
template <int TEAM> __device__ static inline int64_t tare_team_index() {
    if constexpr (TEAM > 32) {
        return 0;
    } else {
        return __shfl_sync(0xffffffffU, static_cast<int>(threadIdx.x / TEAM), 0);
    }
}

// 1 / sqrt(x), on the device within 2 units in the last place and without a call.
__device__ static inline float tare_inverse_root(float x) {
#ifdef TARE_CUDA_ON_HOST
    return 1.0F / sqrtf(x);
#else
    return rsqrtf(x);
#endif
}

struct tare_join_sum {
    template <typename T> __device__ static T join(T a, T b) {
        return a + b;
    }
};

struct tare_join_max {
    __device__ static float join(float a, float b) {
        return fmaxf(a, b);
    }
};

// The join of a team's values (a warp or a whole block of TEAM threads), the same bits in all
// threads. `shared`: one per warp, for blocks.
template <typename J, int TEAM, typename T>
__device__ static inline T tare_team(T value, T *shared) {
#pragma unroll
    for (int lanes = 16; lanes > 0; lanes /= 2) {
        value = J::join(value, __shfl_xor_sync(0xffffffffU, value, lanes));
    }
    if constexpr (TEAM > 32) {
        __syncthreads(); // the last call's results have been read
        if (threadIdx.x % 32 == 0) {
            shared[threadIdx.x / 32] = value;
        }
        __syncthreads();
        value = shared[0];
#pragma unroll
        for (int warp = 1; warp < TEAM / 32; warp++) {
            value = J::join(value, shared[warp]);
        }
    }
    return value;
}

#endif
