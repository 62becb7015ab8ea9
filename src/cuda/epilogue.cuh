// SPDX-License-Identifier: Apache-2.0
// The functions that a kernel applies to its results before storing them. NaN stay NaN.
#ifndef TARE_CUDA_EPILOGUE_CUH
#define TARE_CUDA_EPILOGUE_CUH

#include "cuda/functions.cuh"

extern "C" {
#include "exec/backend.h"
}

template <int COUNT, typename F>
__device__ static inline void tare_epilogue_each(float (&x)[COUNT], F function) {
#pragma unroll
    for (int i = 0; i < COUNT; i++) {
        x[i] = function(x[i]);
    }
}

// All but TARE_EPILOGUE_ADD. The choice is made once for all values, and none of them is indexed
// at run time, so that they stay in registers.
template <int COUNT>
__device__ static inline void tare_epilogue_apply(float (&x)[COUNT], const tare_epilogue &step) {
    const float a = step.a, b = step.b;
    switch (step.kind) {
    case TARE_EPILOGUE_CLIP:
        tare_epilogue_each(x, [=](float value) { return tare_clamp(value, a, b); });
        break;
    case TARE_EPILOGUE_LEAKY_RELU:
        tare_epilogue_each(x, [=](float value) { return value < 0.0F ? a * value : value; });
        break;
    case TARE_EPILOGUE_SIGMOID:
        tare_epilogue_each(x, [](float value) { return tare_sigmoid(value); });
        break;
    case TARE_EPILOGUE_TANH:
        tare_epilogue_each(x, [](float value) { return tanhf(value); });
        break;
    case TARE_EPILOGUE_SWISH:
        tare_epilogue_each(x, [](float value) { return value * tare_sigmoid(value); });
        break;
    case TARE_EPILOGUE_HARD_SIGMOID:
        tare_epilogue_each(x, [=](float value) { return tare_clamp(a * value + b, 0.0F, 1.0F); });
        break;
    case TARE_EPILOGUE_HARD_SWISH:
        tare_epilogue_each(
            x, [=](float value) { return value * tare_clamp(a * value + b, 0.0F, 1.0F); });
        break;
    default:
        break;
    }
}

#endif
