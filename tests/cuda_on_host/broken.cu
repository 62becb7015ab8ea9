// SPDX-License-Identifier: Apache-2.0
// A small kernel that is right, and the same with one fault.
#include "broken.h"
#include "cuda/device.cuh"

#define THREADS 64U

static __device__ void wait(broken_fault fault, uint32_t *values) {
    if (fault == BROKEN_BARRIER_DIVERGENT) {
        if (threadIdx.x % 2 == 0) {
            __syncthreads();
        } else {
            __syncthreads();
        }
    } else if (fault == BROKEN_COLLECTIVE_DIVERGENT) {
        values[threadIdx.x] += threadIdx.x % 32 < 16 ? __shfl_sync(0xffffffffU, 0U, 0)
                                                     : __reduce_add_sync(0xffffffffU, 0U);
    } else if (fault == BROKEN_COLLECTIVE_LEFT && threadIdx.x % 32 < 16) {
        __syncwarp();
    } else if (fault == BROKEN_MASK) {
        values[threadIdx.x] += __shfl_sync(0xffffU, 0U, 0);
    }
    if (fault != BROKEN_BARRIER_MISSING && fault != BROKEN_BARRIER_DIVERGENT) {
        __syncthreads();
    }
}

static __global__ void turn_round(uint32_t *out, const uint32_t *in, broken_fault fault) {
    TARE_SHARED(uint32_t, values, THREADS);
    TARE_SHARED_DYNAMIC(uint32_t, more);
    const uint32_t *mine = in + static_cast<size_t>(blockIdx.x) * THREADS;

    values[threadIdx.x] = mine[threadIdx.x];
    if (fault == BROKEN_MISALIGNED) {
        values[threadIdx.x] += tare_load_16(mine + 1).x;
    }
    if (fault == BROKEN_SHARED_BEHIND) {
        values[threadIdx.x + 1] = 0;
    }
    if (fault == BROKEN_DYNAMIC_BEHIND) {
        more[threadIdx.x + 1] = 0;
    }
    if ((fault == BROKEN_BARRIER_LEFT || fault == BROKEN_COLLECTIVE_LEFT) &&
        threadIdx.x % 32 >= 16) {
        return;
    }
    wait(fault, values);
    out[static_cast<size_t>(blockIdx.x) * THREADS + threadIdx.x +
        (fault == BROKEN_STORE_BEHIND ? 1 : 0)] = values[THREADS - 1 - threadIdx.x];
}

static __global__ void write_order(uint32_t *order) {
    __syncwarp();
    order[1 + order[0]++] = blockIdx.x * THREADS + threadIdx.x;
}

extern "C" bool broken_order(uint32_t *order, unsigned blocks) {
    TARE_LAUNCH(write_order, blocks, THREADS, 0, nullptr, order);
    return cudaGetLastError() == cudaSuccess;
}

extern "C" bool broken_run(uint32_t *out, const uint32_t *in, unsigned blocks, broken_fault fault) {
    const size_t shared_bytes =
        fault == BROKEN_TOO_MUCH_SHARED ? 64 * 1024 : THREADS * sizeof(uint32_t);
    TARE_LAUNCH(turn_round, blocks, THREADS, shared_bytes, nullptr, out, in, fault);
    return cudaGetLastError() == cudaSuccess;
}
