// SPDX-License-Identifier: Apache-2.0
// Minimum, maximum, sum and counts per sample and per column, of many tensors in three launches:
// tiles, columns, samples.
#include "cuda/device.cuh"

#define THREADS              256U
#define POSITIONS            (THREADS / TARE_STATS_LANES)
// Distance of lanes in shared memory: the 4 more than the data keep threads of a warp in different
// banks.
#define LANE_STRIDE(width)   ((width)*POSITIONS + 4U)
#define MAX_WIDTH            8U
// 2 blocks of 256 threads with 4 loads of 16 bytes keep 32 KB on their way; a third block would
// leave too few registers.
#define ROWS_IN_FLIGHT       4
#define BLOCKS_PER_PROCESSOR 2

static_assert(THREADS == TARE_STATS_COLUMN_LANES, "the third step has one thread per lane");
static_assert(POSITIONS == TARE_STATS_POSITIONS, "as tare_stats_plan() counts on");

namespace {

// What a thread has seen of its columns.
template <typename E> struct extremes {
    float low[E::width], high[E::width], sum[E::width];
    uint32_t zeros;
    uint32_t rare; // NaN, +Inf and -Inf in 10 bits each: a thread has at most 33 rows of 8 elements

    __device__ void clear() {
#pragma unroll
        for (int v = 0; v < E::width; v++) {
            low[v] = INFINITY;
            high[v] = -INFINITY;
            sum[v] = 0.0F;
        }
        zeros = rare = 0;
    }

    __device__ void add_finite(int v, float x) {
        zeros += x == 0.0F ? 1U : 0U;
        low[v] = fminf(low[v], x);
        high[v] = fmaxf(high[v], x);
        sum[v] += x;
    }

    __device__ void add(int v, float x) {
        const uint32_t bits = __float_as_uint(x);
        const uint32_t magnitude = bits & TARE_MAGNITUDE;
        if (magnitude < TARE_INFINITE) {
            add_finite(v, x);
        } else if (magnitude > TARE_INFINITE) {
            rare += 1U;
        } else if (bits == magnitude) {
            rare += 1U << 10;
        } else {
            rare += 1U << 20;
        }
    }

    // One test for all elements: what is not finite is rare.
    __device__ void add_vector(const uint4 &in) {
        float x[E::width];
        uint32_t largest = 0;
        E::unpack(x, in);
#pragma unroll
        for (int v = 0; v < E::width; v++) {
            largest = max(largest, __float_as_uint(x[v]) & TARE_MAGNITUDE);
        }
        if (largest < TARE_INFINITE) {
#pragma unroll
            for (int v = 0; v < E::width; v++) {
                add_finite(v, x[v]);
            }
        } else {
#pragma unroll
            for (int v = 0; v < E::width; v++) {
                add(v, x[v]);
            }
        }
    }

    // The first `valid` columns only, element by element: no address beyond them is touched.
    __device__ void add_some(const typename E::stored *in, unsigned valid) {
#pragma unroll
        for (int v = 0; v < E::width; v++) {
            if (static_cast<unsigned>(v) < valid) {
                add(v, E::value(in[v]));
            }
        }
    }
};

// Where a thread stands: 8 lanes of rows, and 32 positions that are threads along a row times tiles
// side by side.
struct place {
    uint32_t sample, group, tile_block;
    unsigned lane, position;
};

__device__ uint64_t tile_at(const tare_stats_tensor &tensor, const place &here, unsigned position) {
    return static_cast<uint64_t>(here.tile_block) * (POSITIONS / tensor.row_threads) +
           position / tensor.row_threads;
}

// The first column of the vector at a position.
__device__ uint64_t column_at(const tare_stats_tensor &tensor, const place &here, unsigned position,
                              unsigned width) {
    return (static_cast<uint64_t>(here.group) * tensor.row_threads +
            position % tensor.row_threads) *
           width;
}

__device__ place find_place(const tare_stats_tensor &tensor, uint64_t item) {
    const unsigned in_tile = threadIdx.x % (TARE_STATS_LANES * tensor.row_threads);
    const unsigned tile = threadIdx.x / (TARE_STATS_LANES * tensor.row_threads);
    place here;
    // Groups of a row are neighbours in the list, so that blocks that run together read whole rows.
    here.group = static_cast<uint32_t>(item % tensor.groups);
    item /= tensor.groups;
    here.tile_block = static_cast<uint32_t>(item % tensor.tile_blocks);
    here.sample = static_cast<uint32_t>(item / tensor.tile_blocks);
    here.lane = in_tile / tensor.row_threads;
    here.position = tile * tensor.row_threads + in_tile % tensor.row_threads;
    return here;
}

// A lane's full rows of one tile, several loads in flight.
template <typename E>
__device__ void add_rows(extremes<E> &seen, const tare_stats_tensor &tensor,
                         const typename E::stored *in, unsigned rows, unsigned valid) {
    const uint64_t step = TARE_STATS_LANES * tensor.columns;
    unsigned row = 0;
    if (valid < E::width || !tare_aligned_16(in) || tensor.columns % E::width != 0) {
#pragma unroll 1
        for (; row < rows; row++, in += step) {
            seen.add_some(in, valid);
        }
        return;
    }
#pragma unroll 1
    for (; row + ROWS_IN_FLIGHT <= rows; row += ROWS_IN_FLIGHT) {
        uint4 words[ROWS_IN_FLIGHT];
#pragma unroll
        for (int i = 0; i < ROWS_IN_FLIGHT; i++, in += step) {
            words[i] = tare_load_16(in);
        }
#pragma unroll
        for (int i = 0; i < ROWS_IN_FLIGHT; i++) {
            seen.add_vector(words[i]);
        }
    }
#pragma unroll 1
    for (; row < rows; row++, in += step) {
        seen.add_vector(tare_load_16(in));
    }
}

template <typename E>
__device__ void add_tile(extremes<E> &seen, const tare_stats_tensor &tensor, const void *data,
                         const place &here) {
    const uint64_t tile = tile_at(tensor, here, here.position);
    const uint64_t column = column_at(tensor, here, here.position, E::width);
    if (tile >= tensor.tiles || column >= tensor.columns) {
        return;
    }
    const typename E::stored *sample =
        static_cast<const typename E::stored *>(data) + here.sample * tensor.sample_elements;
    const uint64_t row = tile * TARE_STATS_TILE_ROWS + here.lane;
    const uint64_t tile_end = (tile + 1) * TARE_STATS_TILE_ROWS;
    const uint64_t end = tile_end < tensor.full_rows ? tile_end : tensor.full_rows;
    const uint64_t left = tensor.columns - column;
    const unsigned valid =
        left < E::width ? static_cast<unsigned>(left) : static_cast<unsigned>(E::width);

    if (row < end) {
        add_rows(seen, tensor, sample + row * tensor.columns + column,
                 static_cast<unsigned>(end - row + TARE_STATS_LANES - 1) / TARE_STATS_LANES, valid);
    }
    // The short last row comes after all others of its lane.
    if (tensor.ragged > column && tensor.full_rows < tile_end &&
        tensor.full_rows % TARE_STATS_LANES == here.lane) {
        const uint64_t rest = tensor.ragged - column;
        seen.add_some(sample + tensor.full_rows * tensor.columns + column,
                      rest < valid ? static_cast<unsigned>(rest) : valid);
    }
}

// The lanes of each column, pairwise. `shared` is [3][lane][v][position].
__device__ float lanes_sum(const float *lanes, unsigned stride) {
    return ((lanes[0] + lanes[stride]) + (lanes[2 * stride] + lanes[3 * stride])) +
           ((lanes[4 * stride] + lanes[5 * stride]) + (lanes[6 * stride] + lanes[7 * stride]));
}

// The columns of the item's tiles, and the largest magnitudes among those of this thread.
template <typename E>
__device__ void store_tile(const tare_stats_launch &launch, uint32_t (&largest)[2],
                           const tare_stats_tensor &tensor, const place &here,
                           const extremes<E> &seen, float *shared) {
    constexpr unsigned stride = LANE_STRIDE(E::width), plane = TARE_STATS_LANES * stride;
#pragma unroll
    for (int v = 0; v < E::width; v++) {
        const unsigned at =
            here.lane * stride + static_cast<unsigned>(v) * POSITIONS + here.position;
        shared[at] = seen.low[v];
        shared[plane + at] = seen.high[v];
        shared[2 * plane + at] = seen.sum[v];
    }
    __syncthreads();
    largest[0] = largest[1] = 0;
    const unsigned v = threadIdx.x / POSITIONS, position = threadIdx.x % POSITIONS;
    const uint64_t tile = tile_at(tensor, here, position);
    const uint64_t column = column_at(tensor, here, position, E::width) + v;
    if (v < E::width && tile < tensor.tiles && column < tensor.columns) {
        const float *lanes = shared + v * POSITIONS + position;
        tare_stats_column out = {lanes[0], lanes[plane], lanes_sum(lanes + 2 * plane, stride)};
#pragma unroll
        for (unsigned lane = 1; lane < TARE_STATS_LANES; lane++) {
            out.min = fminf(out.min, lanes[lane * stride]);
            out.max = fmaxf(out.max, lanes[plane + lane * stride]);
        }
        launch.partials[tensor.first_partial +
                        (here.sample * tensor.tiles + tile) * tensor.columns + column] = out;
        largest[0] = out.max > 0.0F ? __float_as_uint(out.max) : 0;
        largest[1] = out.min < 0.0F ? __float_as_uint(out.min) & TARE_MAGNITUDE : 0;
    }
}

// What an item leaves for the whole sample, and for the tensor's histogram.
struct item_part {
    tare_stats_counts counts;
    uint32_t largest[2]; // finite magnitudes of positive and of negative values
};

// The item's counters, and its largest magnitudes if there is a histogram. `shared` has a place for
// each warp.
__device__ void store_part(tare_stats_counts *out, unsigned long long *histogram,
                           const item_part &mine, item_part *shared) {
    item_part warp;
    warp.counts.zeros = __reduce_add_sync(0xffffffffU, mine.counts.zeros);
    warp.counts.nan = __reduce_add_sync(0xffffffffU, mine.counts.nan);
    warp.counts.positive_infinity = __reduce_add_sync(0xffffffffU, mine.counts.positive_infinity);
    warp.counts.negative_infinity = __reduce_add_sync(0xffffffffU, mine.counts.negative_infinity);
    warp.largest[0] = __reduce_max_sync(0xffffffffU, mine.largest[0]);
    warp.largest[1] = __reduce_max_sync(0xffffffffU, mine.largest[1]);
    if (threadIdx.x % 32 == 0) {
        shared[threadIdx.x / 32] = warp;
    }
    __syncthreads();
    if (threadIdx.x == 0) {
        item_part block = shared[0];
        for (unsigned i = 1; i < THREADS / 32; i++) {
            block.counts.zeros += shared[i].counts.zeros;
            block.counts.nan += shared[i].counts.nan;
            block.counts.positive_infinity += shared[i].counts.positive_infinity;
            block.counts.negative_infinity += shared[i].counts.negative_infinity;
            block.largest[0] = max(block.largest[0], shared[i].largest[0]);
            block.largest[1] = max(block.largest[1], shared[i].largest[1]);
        }
        *out = block.counts;
        if (histogram != nullptr) {
            atomicMax(&histogram[TARE_STATS_LARGEST], block.largest[0]);
            atomicMax(&histogram[TARE_STATS_LARGEST + 1], block.largest[1]);
        }
    }
}

template <typename E>
__device__ item_part reduce_item(const tare_stats_launch &launch, const tare_stats_tensor &tensor,
                                 const void *data, uint64_t item, float *shared) {
    const place here = find_place(tensor, item - tensor.first_item);
    extremes<E> seen;
    item_part part;
    seen.clear();
    add_tile(seen, tensor, data, here);
    store_tile(launch, part.largest, tensor, here, seen, shared);
    part.counts = {seen.zeros, seen.rare & 1023U, seen.rare >> 10 & 1023U, seen.rare >> 20};
    return part;
}

} // namespace

extern "C" __global__ void __launch_bounds__(THREADS, BLOCKS_PER_PROCESSOR)
    tare_stats_tiles(const tare_stats_launch launch, const tare_stats_span span) {
    TARE_SHARED(float, lanes, 3 * TARE_STATS_LANES * LANE_STRIDE(MAX_WIDTH));
    TARE_SHARED(item_part, warps, THREADS / 32);
    uint32_t index = 0;
    uint64_t next = 0; // the first item behind those of tensor `index`
    for (uint64_t item = span.first + blockIdx.x; item < span.end; item += gridDim.x) {
        // A search waits for one load after the other: once for all items of a tensor.
        if (item >= next) {
            index = tare_find(launch.tensors, launch.count, &tare_stats_tensor::first_item, item);
            next = index + 1 < launch.count ? launch.tensors[index + 1].first_item : span.end;
        }
        const tare_stats_tensor &tensor = launch.tensors[index];
        const void *data = span.data != nullptr ? span.data : tensor.data;
        item_part part;
        if (tensor.dtype == TARE_DTYPE_FLOAT) {
            part = reduce_item<tare_element_float>(launch, tensor, data, item, lanes);
        } else if (tensor.dtype == TARE_DTYPE_FLOAT16) {
            part = reduce_item<tare_element_half>(launch, tensor, data, item, lanes);
        } else {
            part = reduce_item<tare_element_bfloat>(launch, tensor, data, item, lanes);
        }
        // Its barrier also keeps the next item from writing to `lanes` while this one's are read.
        store_part(&launch.counts[item],
                   tensor.histogram
                       ? reinterpret_cast<unsigned long long *>(launch.bins) + tensor.first_bin
                       : nullptr,
                   part, warps);
    }
}

namespace {

// Neighbours of `count` lanes are added, then neighbouring results; the result stands in lane 0 of
// each column. All threads of the block must call it.
template <typename P>
__device__ void add_pairwise(P *parts, unsigned lane, unsigned count, unsigned distance) {
    for (unsigned step = 1; step < count; step *= 2) {
        __syncthreads();
        if (lane % (2 * step) == 0) {
            parts[threadIdx.x].merge(parts[threadIdx.x + step * distance]);
        }
    }
}

struct column_part {
    double sum;
    float low, high;

    __device__ void merge(const column_part &other) {
        sum += other.sum;
        low = fminf(low, other.low);
        high = fmaxf(high, other.high);
    }
};

struct sample_part {
    double sum;
    float low, high;
    uint64_t zeros, nan, positive_infinity, negative_infinity;

    __device__ void merge(const sample_part &other) {
        sum += other.sum;
        low = fminf(low, other.low);
        high = fmaxf(high, other.high);
        zeros += other.zeros;
        nan += other.nan;
        positive_infinity += other.positive_infinity;
        negative_infinity += other.negative_infinity;
    }
};

} // namespace

extern "C" __global__ void __launch_bounds__(THREADS)
    tare_stats_columns(const tare_stats_launch launch) {
    TARE_SHARED(column_part, parts, THREADS);
    for (uint64_t item = blockIdx.x; item < launch.totals.column_items; item += gridDim.x) {
        const tare_stats_tensor &tensor = launch.tensors[tare_find(
            launch.tensors, launch.count, &tare_stats_tensor::first_column_item, item)];
        const unsigned width = THREADS / tensor.finish_lanes;
        const uint64_t blocks = (tensor.columns + width - 1) / width;
        const uint64_t sample = (item - tensor.first_column_item) / blocks;
        const uint64_t column =
            (item - tensor.first_column_item) % blocks * width + threadIdx.x % width;
        const unsigned lane = threadIdx.x / width;
        column_part mine = {0.0, INFINITY, -INFINITY};

        if (column < tensor.columns) {
            const tare_stats_column *tiles = launch.partials + tensor.first_partial +
                                             sample * tensor.tiles * tensor.columns + column;
#pragma unroll 4
            for (uint64_t tile = lane; tile < tensor.tiles; tile += tensor.finish_lanes) {
                const tare_stats_column part = tiles[tile * tensor.columns];
                mine.merge({static_cast<double>(part.sum), part.min, part.max});
            }
        }
        parts[threadIdx.x] = mine;
        add_pairwise(parts, lane, tensor.finish_lanes, width);
        if (lane == 0 && column < tensor.columns) {
            const column_part &all = parts[threadIdx.x];
            // Adding +0 makes a zero positive: which of -0 and +0 was met first must not show.
            launch.columns[tensor.first_column + sample * tensor.columns + column] = {
                all.low + 0.0F, all.high + 0.0F, tare_plain_sum(all.sum)};
        }
        __syncthreads();
    }
}

extern "C" __global__ void __launch_bounds__(THREADS)
    tare_stats_samples(const tare_stats_launch launch) {
    TARE_SHARED(sample_part, parts, THREADS);
    for (uint64_t item = blockIdx.x; item < launch.totals.samples; item += gridDim.x) {
        const tare_stats_tensor &tensor = launch.tensors[tare_find(
            launch.tensors, launch.count, &tare_stats_tensor::first_sample, item)];
        const uint64_t sample = item - tensor.first_sample;
        const uint64_t items = tensor.groups * tensor.tile_blocks;
        const tare_stats_column *columns =
            launch.columns + tensor.first_column + sample * tensor.columns;
        const tare_stats_counts *counts = launch.counts + tensor.first_item + sample * items;
        sample_part mine = {0.0, INFINITY, -INFINITY, 0, 0, 0, 0};

        for (uint64_t column = threadIdx.x; column < tensor.columns; column += THREADS) {
            const tare_stats_column part = columns[column];
            mine.merge({static_cast<double>(part.sum), part.min, part.max, 0, 0, 0, 0});
        }
        for (uint64_t i = threadIdx.x; i < items; i += THREADS) {
            const tare_stats_counts part = counts[i];
            mine.zeros += part.zeros;
            mine.nan += part.nan;
            mine.positive_infinity += part.positive_infinity;
            mine.negative_infinity += part.negative_infinity;
        }
        parts[threadIdx.x] = mine;
        add_pairwise(parts, threadIdx.x, THREADS, 1);
        if (threadIdx.x == 0) {
            const sample_part &all = parts[0];
            launch.samples[item] = {all.low,
                                    all.high,
                                    tare_plain_sum(all.sum),
                                    all.zeros,
                                    all.nan,
                                    all.positive_infinity,
                                    all.negative_infinity};
        }
        __syncthreads();
    }
}

static tare_status start_tiles(const tare_stats_launch *launch, const tare_stats_span &span,
                               tare_stream stream, tare_error *err) {
    unsigned blocks = 0;

    if (span.first == span.end) {
        return TARE_OK;
    }
    TARE_TRY(
        tare_grid(&blocks, span.end - span.first, launch->max_blocks, BLOCKS_PER_PROCESSOR, err));
    TARE_LAUNCH(tare_stats_tiles, blocks, THREADS, 0, stream, *launch, span);
    return tare_launched("tare_stats_tiles", err);
}

extern "C" tare_status tare_stats_begin(const tare_stats_launch *launch,
                                        const tare_stats_part *part, tare_stream stream,
                                        tare_error *err) {
    const tare_stats_tensor *tensor = part->tensor;
    const uint64_t items = part->samples * tensor->groups * tensor->tile_blocks;

    if (items == 0) {
        return TARE_OK;
    }
    TARE_TRY(tare_check_data(part->data, tensor->dtype, err));
    return start_tiles(launch, {tensor->first_item, tensor->first_item + items, part->data, 0},
                       stream, err);
}

extern "C" tare_status tare_stats_finish(const tare_stats_launch *launch, tare_stream stream,
                                         tare_error *err) {
    unsigned blocks = 0;

    if (launch->totals.samples == 0) {
        return TARE_OK;
    }
    TARE_TRY(tare_grid(&blocks, launch->totals.column_items, launch->max_blocks, 8, err));
    TARE_LAUNCH(tare_stats_columns, blocks, THREADS, 0, stream, *launch);
    TARE_TRY(tare_launched("tare_stats_columns", err));
    TARE_TRY(tare_grid(&blocks, launch->totals.samples, launch->max_blocks, 8, err));
    TARE_LAUNCH(tare_stats_samples, blocks, THREADS, 0, stream, *launch);
    return tare_launched("tare_stats_samples", err);
}

extern "C" tare_status tare_stats_reduce(const tare_stats_launch *launch, tare_stream stream,
                                         tare_error *err) {
    TARE_TRY(start_tiles(launch, {0, launch->totals.items, nullptr, 0}, stream, err));
    return tare_stats_finish(launch, stream, err);
}
