// SPDX-License-Identifier: Apache-2.0
// Functions of one float32 as the CPU backend defines them. Sine, cosine and tangent are our own,
// because CUDA's keep a table in local memory.
#ifndef TARE_CUDA_FUNCTIONS_CUH
#define TARE_CUDA_FUNCTIONS_CUH

#include "cuda/device.cuh"

__device__ static inline float tare_clamp(float x, float low, float high) {
    const float raised = x < low ? low : x;
    return raised > high ? high : raised;
}

__device__ static inline float tare_sigmoid(float x) {
    const float e = expf(-fabsf(x));
    return (x < 0.0F ? e : 1.0F) / (1.0F + e);
}

__device__ static inline float tare_gelu(float x) {
    return 0.5F * x * (1.0F + erff(x * 0.707106781F));
}

__device__ static inline float tare_gelu_tanh(float x) {
    return 0.5F * x * (1.0F + tanhf(0.797884561F * (x + 0.044715F * x * x * x)));
}

// tanh(log(1 + e)) = n / (n + 2) with n = e (e + 2); above 20 it is 1 in float32.
__device__ static inline float tare_mish(float x) {
    const float e = expf(x > 20.0F ? 20.0F : x);
    const float n = e * (e + 2.0F);
    return x > 20.0F ? x : x * (n / (n + 2.0F));
}

__device__ static inline float tare_softplus(float x) {
    return x > 40.0F ? x : log1pf(expf(x));
}

// The first 224 bits of 2 / pi behind the point.
#ifdef TARE_CUDA_ON_HOST
static const uint32_t tare_two_over_pi[7] =
#else
__constant__ static const uint32_t tare_two_over_pi[7] =
#endif
    {0xa2f9836eU, 0x4e441529U, 0xfc2757d1U, 0xf534ddc0U, 0xdb629599U, 0x3c439041U, 0xfe5163abU};

// x = quadrant pi / 2 + the result, which is about pi / 4 at most; NaN for infinities.
__device__ static inline double tare_reduce_angle(uint32_t *quadrant, float x) {
    const uint32_t bits = __float_as_uint(x);
    const int exponent = static_cast<int>(bits >> 23 & 255U) - 150; // x = significand 2^exponent
    if (exponent < 7 || exponent == 105) {
        const double n = rint(static_cast<double>(x) * 0.63661977236758134);
        // A fused product is not rounded: only the difference is, to the last bits of the result.
        const double r = fma(-n, 1.5707963267948966, static_cast<double>(x));
        *quadrant = exponent < 7 ? static_cast<uint32_t>(static_cast<int32_t>(n)) : 0;
        return fma(-n, 6.123233995736766e-17, r);
    }
    // Bits of 2 / pi whose product with x is a multiple of 4 do not count: 96 bits are enough, of
    // which the first weighs 2.
    const int first = exponent - 2, word = first / 32, shift = first % 32;
    const uint64_t w0 = tare_two_over_pi[word], w1 = tare_two_over_pi[word + 1],
                   w2 = tare_two_over_pi[word + 2], w3 = tare_two_over_pi[word + 3];
    const uint64_t high = (w0 << 32 | w1) << shift | (w2 << shift) >> 32;
    const uint64_t low = ((w2 << 32 | w3) << shift) >> 32;
    const uint64_t significand = (bits & 0x7fffffU) | 0x800000U;
    // x 2 / pi modulo 4, in units of 2^-62.
    const uint64_t turns = high * significand + (low * significand >> 32);
    const uint32_t nearest = static_cast<uint32_t>((turns + (1ULL << 61)) >> 62);
    const int64_t rest = static_cast<int64_t>(turns - (static_cast<uint64_t>(nearest) << 62));
    const double r = static_cast<double>(rest) * (1.5707963267948966 * 0x1p-62);
    *quadrant = x < 0.0F ? 0U - nearest : nearest;
    return x < 0.0F ? -r : r;
}

// Taylor's series, whose next terms are below 1e-11 of the result.
__device__ static inline double tare_sin_near(double r) {
    const double z = r * r;
    const double p = 1.0 / 120 + z * (-1.0 / 5040 + z * (1.0 / 362880 - z * (1.0 / 39916800)));
    return r + r * z * (-1.0 / 6 + z * p);
}

__device__ static inline double tare_cos_near(double r) {
    const double z = r * r;
    const double p = -1.0 / 720 + z * (1.0 / 40320 + z * (-1.0 / 3628800 + z * (1.0 / 479001600)));
    return 1.0 + z * (-0.5 + z * (1.0 / 24 + z * p));
}

// The sine of x + quarters pi / 2.
__device__ static inline float tare_sine(float x, uint32_t quarters) {
    uint32_t quadrant;
    const double r = tare_reduce_angle(&quadrant, x);
    quadrant += quarters;
    const double value = (quadrant & 1U) != 0 ? tare_cos_near(r) : tare_sin_near(r);
    return static_cast<float>((quadrant & 2U) != 0 ? -value : value);
}

__device__ static inline float tare_tangent(float x) {
    uint32_t quadrant;
    const double r = tare_reduce_angle(&quadrant, x);
    const double s = tare_sin_near(r), c = tare_cos_near(r);
    return static_cast<float>((quadrant & 1U) != 0 ? -c / s : s / c);
}

#endif
