// SPDX-License-Identifier: Apache-2.0
// Parameters of normalisations, of whichever type they are stored in.
#ifndef TARE_CUDA_NORM_CUH
#define TARE_CUDA_NORM_CUH

#include "cuda/norm.h"
#include "cuda/vectors.cuh"

__device__ static inline float tare_norm_parameter(const tare_norm_vector &vector, int64_t at) {
    return vector.half ? tare_half_to_float(static_cast<const uint16_t *>(vector.data)[at])
                       : static_cast<const float *>(vector.data)[at];
}

// W neighbouring parameters from a multiple of W on.
template <int W>
__device__ static inline void tare_norm_parameters(float (&out)[W], const tare_norm_vector &vector,
                                                   int64_t at) {
    if constexpr (W % tare_element_float::width == 0) {
        if (!vector.half && tare_aligned_16(vector.data)) {
            const uint32_t *from = static_cast<const uint32_t *>(vector.data) + at;
#pragma unroll
            for (int i = 0; i < W; i += tare_element_float::width) {
                float part[tare_element_float::width];
                tare_vector_load<tare_element_float, tare_element_float::width>(part, from + i);
#pragma unroll
                for (int j = 0; j < tare_element_float::width; j++) {
                    out[i + j] = part[j];
                }
            }
            return;
        }
    }
#pragma unroll
    for (int i = 0; i < W; i++) {
        out[i] = tare_norm_parameter(vector, at + i);
    }
}

#endif
