// SPDX-License-Identifier: Apache-2.0
// Resize: a thread per output position and vector of what lies inside the resized axes.
#include "cuda/resize.h"
#include "cuda/vectors.cuh"

#define THREADS       256
#define BLOCKS_PER_SM 16
#define LEAST_BLOCKS  4 // in a multiprocessor: up to 64 registers per thread

// The taps of one output index.
struct resize_taps {
    const int32_t *index;
    const float *weight;
    bool outside;
};

__device__ static inline resize_taps taps_of(const tare_resize_axis &axis, uint32_t position) {
    const int64_t first = static_cast<int64_t>(position) * axis.taps;
    return {axis.index + first, axis.weight + first,
            axis.outside != nullptr && axis.outside[position] != 0};
}

// Positions and vectors are counted in 32 bits.
template <typename E, int W>
__global__ __launch_bounds__(THREADS, LEAST_BLOCKS) void resize(const tare_resize_launch work) {
    typedef typename E::stored stored;
    const uint32_t vectors = static_cast<uint32_t>(work.inner / W);
    const uint32_t sizes[3] = {static_cast<uint32_t>(work.axes[0].out),
                               static_cast<uint32_t>(work.axes[1].out),
                               static_cast<uint32_t>(work.axes[2].out)};
    const uint32_t items =
        static_cast<uint32_t>(work.outer) * sizes[0] * sizes[1] * sizes[2] * vectors;

    for (uint32_t item = blockIdx.x * THREADS + threadIdx.x; item < items;
         item += gridDim.x * THREADS) {
        const uint32_t position = item / vectors, row = position / sizes[2], plane = row / sizes[1];
        const resize_taps c = taps_of(work.axes[2], position % sizes[2]);
        const resize_taps b = taps_of(work.axes[1], row % sizes[1]);
        const resize_taps a = taps_of(work.axes[0], plane % sizes[0]);
        const stored *in = static_cast<const stored *>(work.in) + item % vectors * W;
        const int64_t outer = static_cast<int64_t>(plane / sizes[0]) * work.axes[0].in;
        float sums[W];
#pragma unroll
        for (int v = 0; v < W; v++) {
            sums[v] = -0.0F; // to which anything can be added without a change
        }
        for (int i = 0; i < work.axes[0].taps; i++) {
            const int64_t planes = (outer + a.index[i]) * work.axes[1].in;
            for (int j = 0; j < work.axes[1].taps; j++) {
                const int64_t rows = (planes + b.index[j]) * work.axes[2].in;
                const float weight = a.weight[i] * b.weight[j];
#pragma unroll 4
                for (int k = 0; k < work.axes[2].taps; k++) {
                    const float share = weight * c.weight[k];
                    float x[W];
                    tare_vector_load<E, W>(x, in + (rows + c.index[k]) * work.inner);
#pragma unroll
                    for (int v = 0; v < W; v++) {
                        sums[v] += x[v] * share;
                    }
                }
            }
        }
        if (a.outside || b.outside || c.outside) {
#pragma unroll
            for (int v = 0; v < W; v++) {
                sums[v] = work.extrapolation;
            }
        }
        tare_vector_store<E, W>(static_cast<stored *>(work.out) + static_cast<int64_t>(item) * W,
                                sums);
    }
}

template <typename E>
static tare_status resize(const tare_resize_launch &work, tare_stream stream, tare_error *err) {
    const bool vectors = tare_vectors_fit<E>(work.out, work.in, work.inner);
    const auto kernel = vectors ? resize<E, E::width> : resize<E, 1>;
    const int64_t items = work.outer * work.axes[0].out * work.axes[1].out * work.axes[2].out *
                          (work.inner / (vectors ? E::width : 1));
    unsigned blocks = 0;
    if (items == 0) {
        return TARE_OK;
    }
    TARE_TRY(tare_grid(&blocks, tare_pieces(items, THREADS), work.max_blocks, BLOCKS_PER_SM, err));
    TARE_LAUNCH(kernel, blocks, THREADS, 0, stream, work);
    return tare_launched("resize", err);
}

tare_status tare_cuda_resize(const tare_resize_launch *launch, tare_stream stream,
                             tare_error *err) {
    return launch->dtype == TARE_DTYPE_FLOAT16 ? resize<tare_element_half>(*launch, stream, err)
                                               : resize<tare_element_float>(*launch, stream, err);
}
