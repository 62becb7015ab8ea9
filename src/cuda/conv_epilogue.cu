// SPDX-License-Identifier: Apache-2.0
// Bias and functions behind a convolution, element by element in place; see the header.
#include "cuda/conv_epilogue.h"

#include "cuda/vectors.cuh"

extern "C" {
#include "exec/backend.h"
}

#define THREADS       256
#define BLOCKS_PER_SM 16

// NaN stays NaN.
__device__ static inline float clamp(float x, float low, float high) {
    const float floored = x < low ? low : x;
    return floored > high ? high : floored;
}

__device__ static inline float sigmoid(float x) {
    return 1.0F / (1.0F + expf(-x));
}

__device__ static inline float step_of(const tare_conv_step &step, float x, float residual) {
    switch (step.kind) {
    case TARE_EPILOGUE_CLIP:
        return clamp(x, step.a, step.b);
    case TARE_EPILOGUE_LEAKY_RELU:
        return x < 0.0F ? step.a * x : x;
    case TARE_EPILOGUE_SIGMOID:
        return sigmoid(x);
    case TARE_EPILOGUE_TANH:
        return tanhf(x);
    case TARE_EPILOGUE_SWISH:
        return x * sigmoid(x);
    case TARE_EPILOGUE_HARD_SIGMOID:
        return clamp(fmaf(step.a, x, step.b), 0.0F, 1.0F);
    case TARE_EPILOGUE_HARD_SWISH:
        return x * clamp(fmaf(step.a, x, step.b), 0.0F, 1.0F);
    default:
        return x + residual;
    }
}

// One step for all elements of a thread: the choice of the function is made once for them.
template <int W>
__device__ static inline void apply(float (&x)[W], const float (&residual)[W],
                                    const tare_conv_step &step) {
#pragma unroll
    for (int i = 0; i < W; i++) {
        x[i] = step_of(step, x[i], residual[i]);
    }
}

template <typename E, int W>
__global__ static void __launch_bounds__(THREADS) conv_epilogue(const tare_conv_epilogue work) {
    typedef typename E::stored stored;
    const int64_t stride = static_cast<int64_t>(gridDim.x) * THREADS * W;
    for (int64_t at = (static_cast<int64_t>(blockIdx.x) * THREADS + threadIdx.x) * W;
         at < work.count; at += stride) {
        float x[W], residual[W] = {};
        stored *data = static_cast<stored *>(work.data) + at;
        tare_vector_load<E, W>(x, data);
        if (work.residual != nullptr) {
            tare_vector_load<E, W>(residual, static_cast<const stored *>(work.residual) + at);
        }
        if (work.bias != nullptr) {
            // With vectors the channels are a multiple of W, so that a vector stays in its pixel.
            const float *bias = work.bias + at % work.channels;
#pragma unroll
            for (int i = 0; i < W; i++) {
                x[i] += bias[i];
            }
        }
#pragma unroll
        for (int step = 0; step < TARE_CONV_STEPS; step++) {
            if (step < work.step_count) {
                apply<W>(x, residual, work.steps[step]);
            }
        }
        tare_vector_store<E, W>(data, x);
    }
}

template <typename E, int W>
static tare_status launch(const tare_conv_epilogue &work, tare_stream stream, tare_error *err) {
    const auto kernel = conv_epilogue<E, W>;
    const uint64_t per_block = static_cast<uint64_t>(THREADS) * W;
    unsigned blocks = 0;
    TARE_TRY(tare_grid(&blocks, (static_cast<uint64_t>(work.count) + per_block - 1) / per_block,
                       work.max_blocks, BLOCKS_PER_SM, err));
    TARE_LAUNCH(kernel, blocks, THREADS, 0, stream, work);
    return tare_launched("conv_epilogue", err);
}

template <typename E>
static tare_status epilogue_of(const tare_conv_epilogue &work, tare_stream stream,
                               tare_error *err) {
    return tare_vectors_fit<E>(work.data, work.residual, work.channels)
               ? launch<E, E::width>(work, stream, err)
               : launch<E, 1>(work, stream, err);
}

tare_status tare_cuda_conv_epilogue(const tare_conv_epilogue *epilogue, tare_stream stream,
                                    tare_error *err) {
    if (epilogue->count == 0) {
        return TARE_OK;
    }
    return epilogue->dtype == TARE_DTYPE_FLOAT16
               ? epilogue_of<tare_element_half>(*epilogue, stream, err)
               : epilogue_of<tare_element_float>(*epilogue, stream, err);
}
