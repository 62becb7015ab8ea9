// SPDX-License-Identifier: Apache-2.0
// Single elements of the types that tensors on the device have, as float32 or int64, and division
// by numbers that a launch shares.
#ifndef TARE_CUDA_ELEMENT_CUH
#define TARE_CUDA_ELEMENT_CUH

#include "cuda/device.cuh"
#include "cuda/divisor.h"

// For what fits.
__device__ static inline uint32_t tare_divide(uint32_t n, const tare_divisor &by) {
    const uint32_t high = static_cast<uint32_t>(static_cast<uint64_t>(n) * by.multiplier >> 32);
    return (n + high) >> by.shift;
}

__device__ static inline uint64_t tare_divide(uint64_t n, const tare_divisor &by, bool small) {
    return small ? tare_divide(static_cast<uint32_t>(n), by) : n / by.value;
}

// Cut towards zero and limited; NaN gives the lowest value.
__device__ static inline int64_t tare_whole(float value) {
    if (!(value > -9223372036854775808.0F)) {
        return INT64_MIN;
    }
    return value >= 9223372036854775808.0F ? INT64_MAX : static_cast<int64_t>(value);
}

__device__ static inline bool tare_is_true(float value) {
    return value != 0.0F;
}

__device__ static inline bool tare_is_true(int64_t value) {
    return value != 0;
}

__device__ static inline float tare_as_float(float value) {
    return value;
}

__device__ static inline float tare_as_float(int64_t value) {
    return static_cast<float>(value);
}

__device__ static inline int64_t tare_as_whole(float value) {
    return tare_whole(value);
}

__device__ static inline int64_t tare_as_whole(int64_t value) {
    return value;
}

// An element of type S in memory, in a register of type T (float or int64_t).
template <typename S> struct tare_stored {
    template <typename T> __device__ static T load(const void *data, uint64_t index) {
        return static_cast<T>(static_cast<const S *>(data)[index]);
    }
    template <typename T> __device__ static void store(void *data, uint64_t index, T value) {
        static_cast<S *>(data)[index] = static_cast<S>(tare_as_whole(value));
    }
};

struct tare_stored_float {
    template <typename T> __device__ static T load(const void *data, uint64_t index) {
        return static_cast<T>(static_cast<const float *>(data)[index]);
    }
    template <typename T> __device__ static void store(void *data, uint64_t index, T value) {
        static_cast<float *>(data)[index] = tare_as_float(value);
    }
};

struct tare_stored_half {
    template <typename T> __device__ static T load(const void *data, uint64_t index) {
        return static_cast<T>(tare_half_to_float(static_cast<const uint16_t *>(data)[index]));
    }
    template <typename T> __device__ static void store(void *data, uint64_t index, T value) {
        static_cast<uint16_t *>(data)[index] = tare_float_to_half(tare_as_float(value));
    }
};

struct tare_stored_bool {
    template <typename T> __device__ static T load(const void *data, uint64_t index) {
        return static_cast<T>(static_cast<const uint8_t *>(data)[index]);
    }
    template <typename T> __device__ static void store(void *data, uint64_t index, T value) {
        static_cast<uint8_t *>(data)[index] = tare_is_true(value) ? 1 : 0;
    }
};

#endif
