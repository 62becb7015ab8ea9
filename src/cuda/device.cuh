// SPDX-License-Identifier: Apache-2.0
// What the kernels share: the few words in which they differ between nvcc and the host, element
// types, loads, and how work is found in a table of tensors.
#ifndef TARE_CUDA_DEVICE_CUH
#define TARE_CUDA_DEVICE_CUH

#include <cuda_runtime.h>
#include <math.h>

#include "cuda/stats.h"

extern "C" {
#include "base/error.h"
}

// On the host (tests) these three come with the emulator's cuda_runtime.h.
#ifndef TARE_CUDA_ON_HOST
#define TARE_SHARED(type, name, count)  __shared__ type name[count]
#define TARE_SHARED_DYNAMIC(type, name) extern __shared__ type name[]
#define TARE_LAUNCH(kernel, blocks, threads, shared_bytes, stream, ...)                            \
    kernel<<<blocks, threads, shared_bytes, stream>>>(__VA_ARGS__)

__device__ static inline float tare_half_to_float(uint16_t bits) {
    float value;
    asm("cvt.f32.f16 %0, %1;" : "=f"(value) : "h"(bits));
    return value;
}

// To nearest, ties to even; beyond the largest float16 infinite.
__device__ static inline uint16_t tare_float_to_half(float value) {
    uint16_t bits;
    asm("cvt.rn.f16.f32 %0, %1;" : "=h"(bits) : "f"(value));
    return bits;
}
#endif

// Element types: what is stored, and how 16 bytes of it become floats and back.
struct tare_element_float {
    typedef uint32_t stored;
    static constexpr int width = TARE_STATS_VECTOR_BYTES / sizeof(stored);

    __device__ static float value(stored bits) {
        return __uint_as_float(bits);
    }

    __device__ static void unpack(float (&out)[width], const uint4 &in) {
        const uint32_t words[4] = {in.x, in.y, in.z, in.w};
#pragma unroll
        for (int i = 0; i < 4; i++) {
            out[i] = value(words[i]);
        }
    }

    __device__ static stored bits(float value) {
        return __float_as_uint(value);
    }

    __device__ static uint4 pack(const float (&in)[width]) {
        return {bits(in[0]), bits(in[1]), bits(in[2]), bits(in[3])};
    }
};

struct tare_element_half {
    typedef uint16_t stored;
    static constexpr int width = TARE_STATS_VECTOR_BYTES / sizeof(stored);

    __device__ static float value(stored bits) {
        return tare_half_to_float(bits);
    }

    __device__ static void unpack(float (&out)[width], const uint4 &in) {
        const uint32_t words[4] = {in.x, in.y, in.z, in.w};
#pragma unroll
        for (int i = 0; i < 4; i++) {
            out[2 * i] = value(static_cast<stored>(words[i] & 0xffffU));
            out[2 * i + 1] = value(static_cast<stored>(words[i] >> 16));
        }
    }

    __device__ static stored bits(float value) {
        return tare_float_to_half(value);
    }

    __device__ static uint4 pack(const float (&in)[width]) {
        uint32_t words[4];
#pragma unroll
        for (int i = 0; i < 4; i++) {
            words[i] = bits(in[2 * i]) | static_cast<uint32_t>(bits(in[2 * i + 1])) << 16;
        }
        return {words[0], words[1], words[2], words[3]};
    }
};

struct tare_element_bfloat {
    typedef uint16_t stored;
    static constexpr int width = TARE_STATS_VECTOR_BYTES / sizeof(stored);

    __device__ static float value(stored bits) {
        return __uint_as_float(static_cast<uint32_t>(bits) << 16);
    }

    __device__ static void unpack(float (&out)[width], const uint4 &in) {
        const uint32_t words[4] = {in.x, in.y, in.z, in.w};
#pragma unroll
        for (int i = 0; i < 4; i++) {
            out[2 * i] = __uint_as_float(words[i] << 16);
            out[2 * i + 1] = __uint_as_float(words[i] & 0xffff0000U);
        }
    }
};

// 16 bytes that nobody reads again soon. The address must be a multiple of 16.
__device__ static inline uint4 tare_load_16(const void *address) {
    return __ldcs(static_cast<const uint4 *>(address));
}

__host__ __device__ static inline bool tare_aligned_16(const void *address) {
    return (reinterpret_cast<uintptr_t>(address) & 15U) == 0;
}

#define TARE_MAGNITUDE 0x7fffffffU
#define TARE_INFINITE  0x7f800000U

// The same sum on every machine: which NaN an operation gives is not the same everywhere.
__device__ static inline float tare_plain_sum(double sum) {
    const float rounded = static_cast<float>(sum);
    return rounded == rounded ? rounded : __uint_as_float(0x7fc00000U);
}

// The tensor that `item` belongs to: the last one whose `first` is not above it. Empty tensors own
// no item, since the next one begins at the same number.
template <typename T>
__device__ static inline uint32_t tare_find(const T *tensors, uint32_t count, uint64_t T::*first,
                                            uint64_t item) {
    uint32_t low = 0, high = count;
    while (high - low > 1) {
        const uint32_t middle = low + (high - low) / 2;
        if (tensors[middle].*first <= item) {
            low = middle;
        } else {
            high = middle;
        }
    }
    return low;
}

// The grid for `items` blocks of work: no larger than the limit, or than what keeps every
// multiprocessor busy.
static inline tare_status tare_grid(unsigned *blocks, uint64_t items, uint32_t max_blocks,
                                    unsigned per_processor, tare_error *err) {
    uint64_t limit = max_blocks;
    if (limit == 0) {
        int device = 0, processors = 0;
        cudaError_t status = cudaGetDevice(&device);
        if (status == cudaSuccess) {
            status = cudaDeviceGetAttribute(&processors, cudaDevAttrMultiProcessorCount, device);
        }
        if (status != cudaSuccess) {
            return tare_fail(err, TARE_BACKEND, "number of multiprocessors: %s",
                             cudaGetErrorString(status));
        }
        limit = static_cast<uint64_t>(processors) * per_processor;
    }
    *blocks = static_cast<unsigned>(items < limit ? items : limit);
    return TARE_OK;
}

// Data of one tensor that come with the launch.
static inline tare_status tare_check_data(const void *data, tare_dtype dtype, tare_error *err) {
    const size_t bytes = dtype == TARE_DTYPE_FLOAT ? 4 : 2;
    return data != nullptr && reinterpret_cast<uintptr_t>(data) % bytes == 0
               ? TARE_OK
               : tare_fail(err, TARE_INVALID_ARGUMENT,
                           "statistics of data at %p, expected a multiple of %zu", data, bytes);
}

// Whether the launch before was accepted.
static inline tare_status tare_launched(const char *kernel, tare_error *err) {
    const cudaError_t status = cudaGetLastError();
    return status == cudaSuccess ? TARE_OK
                                 : tare_fail(err, TARE_BACKEND, "launch of %s: %s", kernel,
                                             cudaGetErrorString(status));
}

#endif
