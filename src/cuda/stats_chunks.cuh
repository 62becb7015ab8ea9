// SPDX-License-Identifier: Apache-2.0
// Walking over a chunk of elements with a whole block, for kernels that count: the order in which
// they meet elements does not matter.
#ifndef TARE_CUDA_STATS_CHUNKS_CUH
#define TARE_CUDA_STATS_CHUNKS_CUH

#include "cuda/device.cuh"

// Loads of 16 bytes that a thread has under way.
#define TARE_CHUNK_LOADS 4U

// Elements that lie together: a tensor, or a sample of one.
struct tare_elements {
    const void *data;
    uint64_t count;
    tare_dtype dtype;
};

template <typename E, typename C>
__device__ static inline void tare_add_words(C &counter, const uint4 &words) {
    float x[E::width];
    E::unpack(x, words);
#pragma unroll
    for (int v = 0; v < E::width; v++) {
        counter.add(x[v]);
    }
}

template <typename E, unsigned THREADS, typename C>
__device__ static inline void tare_add_chunk_of(C &counter, const tare_elements &all,
                                                uint64_t chunk) {
    const uint64_t first = chunk * TARE_STATS_CHUNK;
    const unsigned length = static_cast<unsigned>(
        all.count - first < TARE_STATS_CHUNK ? all.count - first : TARE_STATS_CHUNK);
    const typename E::stored *in = static_cast<const typename E::stored *>(all.data) + first;
    // Elements before the first address that is a multiple of 16, and vectors from there on.
    const unsigned wanted = static_cast<unsigned>(-reinterpret_cast<uintptr_t>(in) & 15U) /
                            static_cast<unsigned>(sizeof(typename E::stored));
    const unsigned head = wanted < length ? wanted : length;
    const unsigned vectors = (length - head) / E::width;
    unsigned i = threadIdx.x;

    if (i < head) {
        counter.add(E::value(in[i]));
    }
    in += head;
#pragma unroll 1
    for (; i + (TARE_CHUNK_LOADS - 1) * THREADS < vectors; i += TARE_CHUNK_LOADS * THREADS) {
        uint4 words[TARE_CHUNK_LOADS];
#pragma unroll
        for (unsigned k = 0; k < TARE_CHUNK_LOADS; k++) {
            words[k] = tare_load_16(in + (i + k * THREADS) * E::width);
        }
#pragma unroll
        for (unsigned k = 0; k < TARE_CHUNK_LOADS; k++) {
            tare_add_words<E>(counter, words[k]);
        }
    }
#pragma unroll 1
    for (; i < vectors; i += THREADS) {
        tare_add_words<E>(counter, tare_load_16(in + i * E::width));
    }
#pragma unroll 1
    for (i = vectors * E::width + threadIdx.x; i < length - head; i += THREADS) {
        counter.add(E::value(in[i]));
    }
}

// Adds chunk number `chunk`, of TARE_STATS_CHUNK elements, by counter.add(float). All of the
// block's THREADS threads must call it.
template <unsigned THREADS, typename C>
__device__ static inline void tare_add_chunk(C &counter, const tare_elements &all, uint64_t chunk) {
    if (all.dtype == TARE_DTYPE_FLOAT) {
        tare_add_chunk_of<tare_element_float, THREADS>(counter, all, chunk);
    } else if (all.dtype == TARE_DTYPE_FLOAT16) {
        tare_add_chunk_of<tare_element_half, THREADS>(counter, all, chunk);
    } else {
        tare_add_chunk_of<tare_element_bfloat, THREADS>(counter, all, chunk);
    }
}

// The chunks of one block: neighbours, so that it writes its counters out once per tensor or sample
// and not once per chunk.
struct tare_chunk_range {
    uint64_t next, end;
};

__device__ static inline tare_chunk_range tare_own_chunks(uint64_t first, uint64_t end) {
    const uint64_t share = (end - first) / gridDim.x, rest = (end - first) % gridDim.x;
    const uint64_t own = first + blockIdx.x * share + (blockIdx.x < rest ? blockIdx.x : rest);
    return {own, own + share + (blockIdx.x < rest ? 1 : 0)};
}

// A block writes its 32-bit counters out before they could overflow. The tests make it happen
// sooner.
#ifndef CHUNKS_PER_FLUSH
#define CHUNKS_PER_FLUSH 131072U
#endif

static_assert(static_cast<uint64_t>(CHUNKS_PER_FLUSH) * TARE_STATS_CHUNK < UINT32_MAX,
              "counters are 32 bits");

#endif
