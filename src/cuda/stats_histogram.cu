// SPDX-License-Identifier: Apache-2.0
// The code histogram: how often each value of the top 16 bits of the float32 pattern occurs, of
// many tensors in one launch.
#include "cuda/device.cuh"

#define THREADS        512U
// Bins of one sign in shared memory; the codes of an octave are 128.
#define SIDE           (TARE_STATS_WINDOW_OCTAVES * 128U)
#define BINS           (2U * SIDE)
// Copies of each bin, by lane, so that equal codes in a warp do not all wait for one counter.
#define MAX_REPLICAS   4U
#define LOADS_TOGETHER 4
// A block writes its 32-bit counters out before they could overflow. The tests make it happen
// sooner.
#ifndef CHUNKS_PER_FLUSH
#define CHUNKS_PER_FLUSH 131072U
#endif

static_assert(static_cast<uint64_t>(CHUNKS_PER_FLUSH) * TARE_STATS_CHUNK < UINT32_MAX,
              "counters are 32 bits");

namespace {

// A tensor's window in a block's shared memory, and its bins in global memory.
struct counter {
    uint32_t *window;
    unsigned long long *bins;
    uint32_t base; // the code of the lowest magnitude in the window
    unsigned shift, replica;

    // Zero takes no part: after a ReLU half of all elements would queue for one counter.
    __device__ void add(float x) const {
        const uint32_t bits = __float_as_uint(x);
        const uint32_t magnitude = bits & TARE_MAGNITUDE;
        if (magnitude == 0 || magnitude >= TARE_INFINITE) {
            return;
        }
        const uint32_t place =
            (magnitude >> 16) - base; // below the window: wraps to a large number
        if (place < SIDE) {
            const uint32_t bin = place + (bits >> 31) * SIDE;
            atomicAdd(&window[(bin << shift) + replica], 1U);
        } else {
            atomicAdd(&bins[bits >> 16], 1ULL);
        }
    }

    __device__ void clear() const {
        for (unsigned i = threadIdx.x; i < BINS << shift; i += THREADS) {
            window[i] = 0;
        }
        __syncthreads();
    }

    // Adds the window to the totals. The codes of negative numbers begin at 32768.
    __device__ void flush() const {
        __syncthreads();
        for (unsigned bin = threadIdx.x; bin < BINS; bin += THREADS) {
            unsigned long long sum = 0;
            for (unsigned i = 0; i < 1U << shift; i++) {
                sum += window[(bin << shift) + i];
            }
            if (sum > 0) {
                const uint32_t code = bin < SIDE ? base + bin : 32768U + base + (bin - SIDE);
                atomicAdd(&bins[code], sum);
            }
        }
        __syncthreads();
    }
};

template <typename E> __device__ void add_words(const counter &counts, const uint4 &words) {
    float x[E::width];
    E::unpack(x, words);
#pragma unroll
    for (int v = 0; v < E::width; v++) {
        counts.add(x[v]);
    }
}

// The elements of a tensor.
struct elements {
    const void *data;
    uint64_t count;
    tare_dtype dtype;
};

template <typename E>
__device__ void add_chunk(const counter &counts, const elements &all, uint64_t chunk) {
    const uint64_t first = chunk * TARE_STATS_CHUNK;
    const unsigned length = static_cast<unsigned>(
        all.count - first < TARE_STATS_CHUNK ? all.count - first : TARE_STATS_CHUNK);
    const typename E::stored *in = static_cast<const typename E::stored *>(all.data) + first;
    unsigned done = 0;

    if (tare_aligned_16(in)) {
        const unsigned vectors = length / E::width;
        unsigned i = threadIdx.x;
#pragma unroll 1
        for (; i + (LOADS_TOGETHER - 1) * THREADS < vectors; i += LOADS_TOGETHER * THREADS) {
            uint4 words[LOADS_TOGETHER];
#pragma unroll
            for (unsigned k = 0; k < LOADS_TOGETHER; k++) {
                words[k] = tare_load_16(in + (i + k * THREADS) * E::width);
            }
#pragma unroll
            for (unsigned k = 0; k < LOADS_TOGETHER; k++) {
                add_words<E>(counts, words[k]);
            }
        }
#pragma unroll 1
        for (; i < vectors; i += THREADS) {
            add_words<E>(counts, tare_load_16(in + i * E::width));
        }
        done = vectors * E::width;
    }
#pragma unroll 1
    for (unsigned i = done + threadIdx.x; i < length; i += THREADS) {
        counts.add(E::value(in[i]));
    }
}

__device__ void add_any_chunk(const counter &counts, const elements &all, uint64_t chunk) {
    if (all.dtype == TARE_DTYPE_FLOAT) {
        add_chunk<tare_element_float>(counts, all, chunk);
    } else if (all.dtype == TARE_DTYPE_FLOAT16) {
        add_chunk<tare_element_half>(counts, all, chunk);
    } else {
        add_chunk<tare_element_bfloat>(counts, all, chunk);
    }
}

} // namespace

// A block takes neighbouring chunks, so that it writes a window out once per tensor and not once
// per chunk.
extern "C" __global__ void __launch_bounds__(THREADS, 2)
    tare_stats_histogram(const tare_stats_launch launch, const tare_stats_span span,
                         const unsigned shift) {
    TARE_SHARED_DYNAMIC(uint32_t, window);
    const uint64_t chunks = span.end - span.first;
    const uint64_t share = chunks / gridDim.x, rest = chunks % gridDim.x;
    uint64_t chunk = span.first + blockIdx.x * share + (blockIdx.x < rest ? blockIdx.x : rest);
    const uint64_t end = chunk + share + (blockIdx.x < rest ? 1 : 0);

    while (chunk < end) {
        const uint32_t index =
            tare_find(launch.tensors, launch.count, &tare_stats_tensor::first_chunk, chunk);
        const tare_stats_tensor &tensor = launch.tensors[index];
        const uint64_t next =
            index + 1 < launch.count ? launch.tensors[index + 1].first_chunk : span.end;
        uint64_t stop = next < end ? next : end;
        stop = stop - chunk > CHUNKS_PER_FLUSH ? chunk + CHUNKS_PER_FLUSH : stop;
        elements all = {span.data, span.elements, tensor.dtype};
        if (span.data == nullptr) {
            all = {tensor.data, tensor.samples * tensor.sample_elements, tensor.dtype};
        }
        counter counts;
        counts.window = window;
        counts.bins = reinterpret_cast<unsigned long long *>(launch.bins) + tensor.first_bin;
        counts.base = static_cast<uint32_t>(tensor.histogram_top + 127 - TARE_STATS_WINDOW_OCTAVES)
                      << 7;
        counts.shift = shift;
        counts.replica = threadIdx.x & ((1U << shift) - 1U);
        counts.clear();
        for (; chunk < stop; chunk++) {
            add_any_chunk(counts, all, chunk - tensor.first_chunk);
        }
        counts.flush();
    }
}

// As many copies of the bins as let two blocks share a multiprocessor.
static tare_status choose_replicas(unsigned *shift, tare_error *err) {
    const int reserved = 1024; // of each block's shared memory, by the driver
    int device = 0, shared_bytes = 0;
    cudaError_t status = cudaGetDevice(&device);
    if (status == cudaSuccess) {
        status = cudaDeviceGetAttribute(&shared_bytes, cudaDevAttrMaxSharedMemoryPerMultiprocessor,
                                        device);
    }
    if (status != cudaSuccess) {
        return tare_fail(err, TARE_BACKEND, "size of the shared memory: %s",
                         cudaGetErrorString(status));
    }
    const int wanted = static_cast<int>(BINS * sizeof(uint32_t) * MAX_REPLICAS) + reserved;
    *shift = shared_bytes >= 2 * wanted ? 2 : 1;
    return TARE_OK;
}

static tare_status start_histogram(const tare_stats_launch *launch, const tare_stats_span &span,
                                   tare_stream stream, tare_error *err) {
    unsigned blocks = 0, shift = 0;

    if (span.first == span.end) {
        return TARE_OK;
    }
    TARE_TRY(tare_grid(&blocks, span.end - span.first, launch->max_blocks, 2, err));
    TARE_TRY(choose_replicas(&shift, err));
    const size_t bytes = (BINS * sizeof(uint32_t)) << shift;
    const cudaError_t status =
        cudaFuncSetAttribute(reinterpret_cast<const void *>(tare_stats_histogram),
                             cudaFuncAttributeMaxDynamicSharedMemorySize, static_cast<int>(bytes));
    if (status != cudaSuccess) {
        return tare_fail(err, TARE_BACKEND,
                         "%zu bytes of shared memory for tare_stats_histogram: %s", bytes,
                         cudaGetErrorString(status));
    }
    TARE_LAUNCH(tare_stats_histogram, blocks, THREADS, bytes, stream, *launch, span, shift);
    return tare_launched("tare_stats_histogram", err);
}

extern "C" tare_status tare_stats_codes_of(const tare_stats_launch *launch,
                                           const tare_stats_part *part, tare_stream stream,
                                           tare_error *err) {
    const uint64_t elements = part->samples * part->tensor->sample_elements;
    const uint64_t chunks = (elements + TARE_STATS_CHUNK - 1) / TARE_STATS_CHUNK;
    const uint64_t first = part->tensor->first_chunk;

    if (chunks == 0) {
        return TARE_OK;
    }
    TARE_TRY(tare_check_data(part->data, part->tensor->dtype, err));
    return start_histogram(launch, {first, first + chunks, part->data, elements}, stream, err);
}

extern "C" tare_status tare_stats_codes(const tare_stats_launch *launch, tare_stream stream,
                                        tare_error *err) {
    return start_histogram(launch, {0, launch->totals.chunks, nullptr, 0}, stream, err);
}
