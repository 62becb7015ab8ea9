// SPDX-License-Identifier: Apache-2.0
// The code histogram: how many values fall into each bin of exec/code.h, of many tensors in two
// launches. The first raises the bins to a top that has grown, the second counts.
#include "cuda/stats_chunks.cuh"

// A multiprocessor's shared memory belongs to one block: twice the bins save more than a second
// block, which would have to write out its own.
#define THREADS         1024U
#define MIN_WINDOW      (48U << 10) // bytes that every device has
#define RAISE_THREADS   512U
#define RAISED_TOGETHER 4U

namespace {

// A tensor's histogram in global memory, and the part of it that a block counts in shared memory:
// from bin `base` on some bins of positive values, behind them some of negative ones.
struct counter {
    uint32_t *window;
    unsigned long long *bins;
    uint32_t top, base;
    uint32_t positive, negative; // bins

    // How many bins from `base` on it takes to hold a magnitude.
    __device__ uint32_t reach(uint32_t magnitude) const {
        const uint32_t end = magnitude > 0 ? tare_code_of(magnitude, top) + 1 : 0;
        return end > base ? end - base : 0;
    }

    // Where both signs do not fit as a whole, one may have what the other does not need, or both
    // have half. What is left out are the highest bins: few values are near the largest one.
    __device__ void place(uint32_t *memory, uint32_t counters, unsigned long long *histogram) {
        window = memory;
        bins = histogram;
        top = static_cast<uint32_t>(histogram[TARE_STATS_TOP]);
        base = tare_code_first_fine(top);
        const uint32_t below = (TARE_STATS_WINDOW_OCTAVES - 1U - TARE_CODE_FINE_OCTAVES) * 128U;
        base = base > below ? base - below : 0;
        const uint32_t first = reach(static_cast<uint32_t>(histogram[TARE_STATS_LARGEST]));
        const uint32_t second = reach(static_cast<uint32_t>(histogram[TARE_STATS_LARGEST + 1]));
        const uint32_t left = counters - (second < counters / 2 ? second : counters / 2);
        positive = first < left ? first : left;
        negative = second < counters - positive ? second : counters - positive;
    }

    // Zero takes no part: after a ReLU half of all elements would queue for one counter.
    __device__ void add(float x) const {
        const uint32_t bits = __float_as_uint(x);
        const uint32_t magnitude = bits & TARE_MAGNITUDE;
        if (magnitude == 0 || magnitude >= TARE_INFINITE) {
            return;
        }
        const bool is_negative = bits != magnitude;
        const uint32_t bin = tare_code_of(magnitude, top);
        const uint32_t place = bin - base; // below the window: wraps to a large number
        if (place < (is_negative ? negative : positive)) {
            atomicAdd(&window[is_negative ? positive + place : place], 1U);
        } else {
            atomicAdd(&bins[is_negative ? TARE_CODE_BINS + bin : bin], 1ULL);
        }
    }

    __device__ void clear() const {
        for (unsigned i = threadIdx.x; i < positive + negative; i += THREADS) {
            window[i] = 0;
        }
        __syncthreads();
    }

    // Adds the window to the totals. A thread clears the same counters that it has written out, so
    // that none needs to wait for others before the next window.
    __device__ void flush() const {
        __syncthreads();
        for (unsigned i = threadIdx.x; i < positive + negative; i += THREADS) {
            const uint32_t count = window[i];
            if (count > 0) {
                const uint32_t bin = i < positive ? i : TARE_CODE_BINS + (i - positive);
                atomicAdd(&bins[base + bin], static_cast<unsigned long long>(count));
            }
        }
    }
};

// Bins of one sign that are equally wide below the old top; the others stay where they are. A bin
// only moves down, so what is written lies among the bins just read or before them.
__device__ void raise_side(unsigned long long *bins, uint32_t from, uint32_t to) {
    const uint32_t first = tare_code_first_fine(from);
#pragma unroll 1
    for (uint32_t start = 0; start < TARE_CODE_FINE_BINS;
         start += RAISE_THREADS * RAISED_TOGETHER) {
        unsigned long long counts[RAISED_TOGETHER];
#pragma unroll
        for (uint32_t k = 0; k < RAISED_TOGETHER; k++) {
            const uint32_t at = start + k * RAISE_THREADS + threadIdx.x;
            counts[k] = at < TARE_CODE_FINE_BINS ? bins[first + at] : 0;
            if (counts[k] > 0) {
                bins[first + at] = 0;
            }
        }
        __syncthreads();
#pragma unroll
        for (uint32_t k = 0; k < RAISED_TOGETHER; k++) {
            const uint32_t at = start + k * RAISE_THREADS + threadIdx.x;
            if (counts[k] > 0) {
                atomicAdd(&bins[tare_code_raised(first + at, from, to)], counts[k]);
            }
        }
    }
}

} // namespace

// Lets the bins of `count` histograms be relative to the largest magnitudes met so far.
extern "C" __global__ void __launch_bounds__(RAISE_THREADS)
    tare_stats_raise(unsigned long long *histograms, const uint64_t count) {
    for (uint64_t i = blockIdx.x; i < count; i += gridDim.x) {
        unsigned long long *histogram = histograms + i * TARE_STATS_HISTOGRAM;
        const uint32_t largest = max(static_cast<uint32_t>(histogram[TARE_STATS_LARGEST]),
                                     static_cast<uint32_t>(histogram[TARE_STATS_LARGEST + 1]));
        const uint32_t from = static_cast<uint32_t>(histogram[TARE_STATS_TOP]);
        const uint32_t to = largest > 0 ? tare_code_top(largest) : 0;
        if (from > 0 && from < to) {
            raise_side(histogram, from, to);
            raise_side(histogram + TARE_CODE_BINS, from, to);
        }
        // Nobody looks at it any more: who raises bins has waited for all, others leave alike.
        if (threadIdx.x == 0) {
            histogram[TARE_STATS_TOP] = to;
        }
    }
}

extern "C" __global__ void __launch_bounds__(THREADS)
    tare_stats_histogram(const tare_stats_launch launch, const tare_stats_span span,
                         const unsigned counters) {
    TARE_SHARED_DYNAMIC(uint32_t, window);
    tare_chunk_range own = tare_own_chunks(span.first, span.end);

    while (own.next < own.end) {
        const uint32_t index =
            tare_find(launch.tensors, launch.count, &tare_stats_tensor::first_chunk, own.next);
        const tare_stats_tensor &tensor = launch.tensors[index];
        const uint64_t next =
            index + 1 < launch.count ? launch.tensors[index + 1].first_chunk : span.end;
        uint64_t stop = next < own.end ? next : own.end;
        stop = stop - own.next > CHUNKS_PER_FLUSH ? own.next + CHUNKS_PER_FLUSH : stop;
        tare_elements all = {span.data, span.elements, tensor.dtype};
        if (span.data == nullptr) {
            all = {tensor.data, tensor.samples * tensor.sample_elements, tensor.dtype};
        }
        counter counts;
        counts.place(window, counters,
                     reinterpret_cast<unsigned long long *>(launch.bins) + tensor.first_bin);
        counts.clear();
        for (; own.next < stop; own.next++) {
            tare_add_chunk<THREADS>(counts, all, own.next - tensor.first_chunk);
        }
        counts.flush();
    }
}

// All the shared memory that a block may have.
static tare_status choose_window(size_t *bytes, tare_error *err) {
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
    *bytes = shared_bytes >= static_cast<int>(MIN_WINDOW) + reserved
                 ? static_cast<size_t>(shared_bytes - reserved)
                 : MIN_WINDOW;
    return TARE_OK;
}

static tare_status start_raise(uint64_t *histograms, uint64_t count,
                               const tare_stats_launch *launch, tare_stream stream,
                               tare_error *err) {
    unsigned blocks = 0;

    TARE_TRY(tare_grid(&blocks, count, launch->max_blocks, 4, err));
    TARE_LAUNCH(tare_stats_raise, blocks, RAISE_THREADS, 0, stream,
                reinterpret_cast<unsigned long long *>(histograms), count);
    return tare_launched("tare_stats_raise", err);
}

static tare_status start_histogram(const tare_stats_launch *launch, const tare_stats_span &span,
                                   tare_stream stream, tare_error *err) {
    unsigned blocks = 0;
    size_t bytes = 0;

    TARE_TRY(tare_grid(&blocks, span.end - span.first, launch->max_blocks, 1, err));
    TARE_TRY(choose_window(&bytes, err));
    const cudaError_t status =
        cudaFuncSetAttribute(reinterpret_cast<const void *>(tare_stats_histogram),
                             cudaFuncAttributeMaxDynamicSharedMemorySize, static_cast<int>(bytes));
    if (status != cudaSuccess) {
        return tare_fail(err, TARE_BACKEND,
                         "%zu bytes of shared memory for tare_stats_histogram: %s", bytes,
                         cudaGetErrorString(status));
    }
    TARE_LAUNCH(tare_stats_histogram, blocks, THREADS, bytes, stream, *launch, span,
                static_cast<unsigned>(bytes / sizeof(uint32_t)));
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
    TARE_TRY(start_raise(launch->bins + part->tensor->first_bin, 1, launch, stream, err));
    return start_histogram(launch, {first, first + chunks, part->data, elements}, stream, err);
}

extern "C" tare_status tare_stats_codes(const tare_stats_launch *launch, tare_stream stream,
                                        tare_error *err) {
    const tare_stats_totals *totals = &launch->totals;

    if (totals->chunks == 0) {
        return TARE_OK;
    }
    TARE_TRY(start_raise(launch->bins, totals->bins / TARE_STATS_HISTOGRAM, launch, stream, err));
    return start_histogram(launch, {0, totals->chunks, nullptr, 0}, stream, err);
}
