// SPDX-License-Identifier: Apache-2.0
// Normalisations by parameters of columns: the parameters out of an operand's statistics, and their
// application.
#include "cuda/norm.cuh"

#define THREADS        256
#define BLOCKS_PER_SM  16
#define MOST_LANES     32   // threads side by side on the columns of a row
#define ONE_WARP_PARTS 1024 // parts of a group or elements of a run for a warp; more take a block

// Columns in vectors: `lanes` threads side by side, THREADS / lanes rows at a time, in blocks of
// TARE_NORM_TILE_ROWS rows.
struct columns_cut {
    int64_t vectors, groups, tiles, items;
    int lanes;
};

// What a block or thread of a column kernel works on.
struct columns_place {
    int64_t outer, first_row, vector;
    int rows;
};

__device__ static inline columns_place place_of(int64_t item, const columns_cut &cut,
                                                int64_t rows) {
    const int64_t tile = item / cut.groups;
    const int64_t first = tile % cut.tiles * TARE_NORM_TILE_ROWS;
    const int64_t left = rows - first;
    return {tile / cut.tiles, first, item % cut.groups * cut.lanes + threadIdx.x % cut.lanes,
            static_cast<int>(left < TARE_NORM_TILE_ROWS ? left : TARE_NORM_TILE_ROWS)};
}

// A block per tile: sums of the differences to the tile's first row and of their squares, added by
// rows THREADS / lanes apart and then across these. With at most TARE_NORM_TILE_ROWS rows the
// squares around the mean follow from both with a relative error of that many roundings.
template <typename E, int W>
__global__ __launch_bounds__(THREADS) void norm_tiles(const tare_norm_statistics work,
                                                      const columns_cut cut) {
    typedef typename E::stored stored;
    TARE_SHARED(float, sums, THREADS *W);
    TARE_SHARED(float, squares, THREADS *W);
    const int step = THREADS / cut.lanes;
    const int64_t columns = work.shape.columns;

    for (int64_t item = blockIdx.x; item < cut.items; item += gridDim.x) {
        const columns_place place = place_of(item, cut, work.shape.rows);
        const stored *in = static_cast<const stored *>(work.in) +
                           (place.outer * work.shape.rows + place.first_row) * columns;
        float x[W], first[W], sum[W], square[W];
#pragma unroll
        for (int i = 0; i < W; i++) {
            sum[i] = 0.0F;
            square[i] = 0.0F;
        }
        if (place.vector < cut.vectors) {
            tare_vector_load<E, W>(first, in + place.vector * W);
#pragma unroll 4
            for (int row = threadIdx.x / cut.lanes; row < place.rows; row += step) {
                tare_vector_load<E, W>(x, in + row * columns + place.vector * W);
#pragma unroll
                for (int i = 0; i < W; i++) {
                    const float distance = x[i] - first[i];
                    sum[i] += distance;
                    square[i] += distance * distance;
                }
            }
        }
        __syncthreads(); // the last item's sums have been read
#pragma unroll
        for (int i = 0; i < W; i++) {
            sums[i * THREADS + threadIdx.x] = sum[i];
            squares[i * THREADS + threadIdx.x] = square[i];
        }
        __syncthreads();
        const int i = threadIdx.x / cut.lanes, lane = threadIdx.x % cut.lanes;
        if (i < W && place.vector < cut.vectors) {
            const int used = place.rows < step ? place.rows : step;
            const int64_t column = place.vector * W + i;
            float total = 0.0F, total_squares = 0.0F;
            for (int row = 0; row < used; row++) {
                total += sums[i * THREADS + row * cut.lanes + lane];
                total_squares += squares[i * THREADS + row * cut.lanes + lane];
            }
            const float mean = total / static_cast<float>(place.rows);
            work.parts[item / cut.groups * columns + column] = {E::value(in[column]) + mean,
                                                                total_squares - total * mean};
        }
    }
}

// A team (warp or block) per run of `length` elements.
template <typename E, int TEAM, int W>
__global__ __launch_bounds__(THREADS) void norm_runs(const tare_norm_statistics work) {
    typedef typename E::stored stored;
    TARE_SHARED(float, shared, THREADS / 32);
    constexpr int64_t teams = THREADS / TEAM;
    const int64_t length = work.shape.length;
    const int64_t runs = work.shape.outer * work.shape.rows * work.shape.columns;
    const int64_t begin = static_cast<int64_t>(threadIdx.x % TEAM) * W;

    for (int64_t run = blockIdx.x * teams + tare_team_index<TEAM>(); run < runs;
         run += gridDim.x * teams) {
        const stored *in = static_cast<const stored *>(work.in) + run * length;
        const float first = E::value(in[0]);
        float x[W], sum = 0.0F, squares = 0.0F;
#pragma unroll 4
        for (int64_t at = begin; at < length; at += TEAM * W) {
            tare_vector_load<E, W>(x, in + at);
#pragma unroll
            for (int i = 0; i < W; i++) {
                sum += x[i] - first;
            }
        }
        sum = tare_team<tare_join_sum, TEAM>(sum, shared);
        const float mean = first + sum / static_cast<float>(length);
#pragma unroll 4
        for (int64_t at = begin; at < length; at += TEAM * W) {
            tare_vector_load<E, W>(x, in + at);
#pragma unroll
            for (int i = 0; i < W; i++) {
                squares += (x[i] - mean) * (x[i] - mean);
            }
        }
        squares = tare_team<tare_join_sum, TEAM>(squares, shared);
        if (begin == 0) {
            work.parts[run] = {mean, squares};
        }
    }
}

// Elements behind a part of tile `tile`.
__device__ static inline double part_elements(const tare_norm_shape &shape, int64_t tile) {
    if (shape.length > 1) {
        return static_cast<double>(shape.length);
    }
    const int64_t left = shape.rows - tile * TARE_NORM_TILE_ROWS;
    return static_cast<double>(left < TARE_NORM_TILE_ROWS ? left : TARE_NORM_TILE_ROWS);
}

__device__ static inline void write_parameters(const tare_norm_statistics &work, int64_t outer,
                                               int64_t column, double mean, float variance) {
    const int64_t at = outer * work.shape.columns + column;
    const int64_t from = work.per_group ? column / work.group : column;
    const float scale = work.scale.data == nullptr ? 1.0F : tare_norm_parameter(work.scale, from);
    const float inverse = work.outside ? 1.0F / (sqrtf(variance) + work.epsilon)
                                       : tare_inverse_root(variance + work.epsilon);
    work.center[at] = static_cast<float>(mean);
    work.factor[at] = scale * inverse;
    work.shift[at] = work.bias.data == nullptr ? 0.0F : tare_norm_parameter(work.bias, from);
}

// Walks the parts of a group, TEAM apart, without a division for each.
struct part_cursor {
    int64_t tile, column;
};

template <int TEAM> __device__ static inline part_cursor first_part(int64_t group) {
    const int64_t lane = threadIdx.x % TEAM;
    return {lane / group, lane % group};
}

__device__ static inline void next_part(part_cursor &at, const part_cursor &step, int64_t group) {
    at.tile += step.tile;
    at.column += step.column;
    if (at.column >= group) {
        at.column -= group;
        at.tile++;
    }
}

// A team per group of columns joins its parts in double: first the mean, then the squares around
// it.
template <int TEAM>
__global__ __launch_bounds__(THREADS) void norm_join(const tare_norm_statistics work,
                                                     int64_t tiles) {
    TARE_SHARED(double, shared, THREADS / 32);
    constexpr int64_t teams = THREADS / TEAM;
    const int64_t columns = work.shape.columns, groups = columns / work.group;
    const part_cursor begin = first_part<TEAM>(work.group);
    const part_cursor step = {TEAM / work.group, TEAM % work.group};
    const double share =
        1.0 / (static_cast<double>(work.shape.rows) * static_cast<double>(work.shape.length) *
               static_cast<double>(work.group));

    for (int64_t team = blockIdx.x * teams + tare_team_index<TEAM>();
         team < work.shape.outer * groups; team += gridDim.x * teams) {
        const int64_t outer = team / groups, column = team % groups * work.group;
        const tare_norm_part *from = work.parts + outer * tiles * columns + column;
        double sum = 0.0, squares = 0.0;
        for (part_cursor at = begin; at.tile < tiles; next_part(at, step, work.group)) {
            sum += part_elements(work.shape, at.tile) * from[at.tile * columns + at.column].mean;
        }
        const double mean = tare_team<tare_join_sum, TEAM>(sum, shared) * share;
        for (part_cursor at = begin; at.tile < tiles; next_part(at, step, work.group)) {
            const tare_norm_part part = from[at.tile * columns + at.column];
            const double distance = part.mean - mean;
            squares += part.squares + part_elements(work.shape, at.tile) * distance * distance;
        }
        const double variance = tare_team<tare_join_sum, TEAM>(squares, shared) * share;
        for (int64_t i = threadIdx.x % TEAM; i < work.group; i += TEAM) {
            write_parameters(work, outer, column + i, mean, static_cast<float>(variance));
        }
    }
}

template <int W>
__device__ static inline void apply(float (&x)[W], const float (&center)[W],
                                    const float (&scale)[W], const float (&shift)[W]) {
#pragma unroll
    for (int i = 0; i < W; i++) {
        x[i] = (x[i] - center[i]) * scale[i] + shift[i];
    }
}

// A block per tile of rows; a thread keeps the parameters of its columns.
template <typename E, int W>
__global__ __launch_bounds__(THREADS) void norm_apply_columns(const tare_norm_apply work,
                                                              const columns_cut cut) {
    typedef typename E::stored stored;
    const int step = THREADS / cut.lanes;
    const int64_t columns = work.shape.columns;

    for (int64_t item = blockIdx.x; item < cut.items; item += gridDim.x) {
        const columns_place place = place_of(item, cut, work.shape.rows);
        if (place.vector >= cut.vectors) {
            continue;
        }
        const int64_t column = place.vector * W;
        const int64_t at = column + (work.shared ? 0 : place.outer * columns);
        const int64_t base = (place.outer * work.shape.rows + place.first_row) * columns + column;
        const stored *in = static_cast<const stored *>(work.in) + base;
        stored *out = static_cast<stored *>(work.out) + base;
        float x[W], center[W], scale[W], shift[W];
        tare_norm_parameters<W>(scale, {work.scale, false}, at);
        tare_norm_parameters<W>(shift, {work.shift, false}, at);
        tare_norm_parameters<W>(center, {work.center == nullptr ? work.shift : work.center, false},
                                at);
#pragma unroll
        for (int i = 0; i < W; i++) {
            center[i] = work.center == nullptr ? 0.0F : center[i];
        }
#pragma unroll 4
        for (int row = threadIdx.x / cut.lanes; row < place.rows; row += step) {
            tare_vector_load<E, W>(x, in + row * columns);
            apply<W>(x, center, scale, shift);
            tare_vector_store<E, W>(out + row * columns, x);
        }
    }
}

// A thread per vector of a run.
template <typename E, int W>
__global__ __launch_bounds__(THREADS) void norm_apply_runs(const tare_norm_apply work) {
    typedef typename E::stored stored;
    const tare_norm_shape &shape = work.shape;
    const int64_t count = shape.outer * shape.rows * shape.columns * shape.length;
    const int64_t share = static_cast<int64_t>(THREADS) * W;

    for (int64_t at = blockIdx.x * share + threadIdx.x * W; at < count; at += gridDim.x * share) {
        const int64_t run = at / shape.length;
        const int64_t outer = work.shared ? 0 : run / (shape.rows * shape.columns);
        const int64_t column = outer * shape.columns + run % shape.columns;
        const float center = work.center == nullptr ? 0.0F : work.center[column];
        const float scale = work.scale[column], shift = work.shift[column];
        float x[W];
        tare_vector_load<E, W>(x, static_cast<const stored *>(work.in) + at);
#pragma unroll
        for (int i = 0; i < W; i++) {
            x[i] = (x[i] - center) * scale + shift;
        }
        tare_vector_store<E, W>(static_cast<stored *>(work.out) + at, x);
    }
}

__global__ __launch_bounds__(THREADS) void norm_fold(const tare_norm_fold work) {
    for (int64_t c = static_cast<int64_t>(blockIdx.x) * THREADS + threadIdx.x; c < work.channels;
         c += static_cast<int64_t>(gridDim.x) * THREADS) {
        const double variance = tare_norm_parameter(work.variance, c);
        const double factor = tare_norm_parameter(work.gamma, c) / sqrt(variance + work.epsilon);
        work.scale[c] = static_cast<float>(factor);
        work.shift[c] = static_cast<float>(tare_norm_parameter(work.beta, c) -
                                           tare_norm_parameter(work.mean, c) * factor);
    }
}

int64_t tare_norm_tiles(const tare_norm_shape *shape) {
    return shape->length > 1 ? shape->rows
                             : static_cast<int64_t>(tare_pieces(shape->rows, TARE_NORM_TILE_ROWS));
}

static bool is_empty(const tare_norm_shape &shape) {
    return shape.outer == 0 || shape.rows == 0 || shape.columns == 0 || shape.length == 0;
}

static columns_cut cut_columns(const tare_norm_shape &shape, int width) {
    columns_cut cut = {shape.columns / width, 0, tare_norm_tiles(&shape), 0, 1};
    while (cut.lanes < MOST_LANES && cut.lanes < cut.vectors) {
        cut.lanes *= 2;
    }
    cut.groups = static_cast<int64_t>(tare_pieces(cut.vectors, cut.lanes));
    cut.items = shape.outer * cut.tiles * cut.groups;
    return cut;
}

template <typename E>
static tare_status launch_runs(const tare_norm_statistics &work, tare_stream stream,
                               tare_error *err) {
    const tare_norm_shape &shape = work.shape;
    const bool warps = shape.length <= ONE_WARP_PARTS;
    const bool vectors = tare_vectors_fit<E>(work.in, work.in, shape.length);
    const auto kernel =
        warps ? (vectors ? norm_runs<E, 32, E::width> : norm_runs<E, 32, 1>)
              : (vectors ? norm_runs<E, THREADS, E::width> : norm_runs<E, THREADS, 1>);
    unsigned blocks = 0;
    TARE_TRY(tare_grid(
        &blocks, tare_pieces(shape.outer * shape.rows * shape.columns, warps ? THREADS / 32 : 1),
        work.max_blocks, BLOCKS_PER_SM, err));
    TARE_LAUNCH(kernel, blocks, THREADS, 0, stream, work);
    return tare_launched("norm_runs", err);
}

template <typename E>
static tare_status launch_tiles(const tare_norm_statistics &work, tare_stream stream,
                                tare_error *err) {
    const bool vectors = tare_vectors_fit<E>(work.in, work.in, work.shape.columns);
    const auto kernel = vectors ? norm_tiles<E, E::width> : norm_tiles<E, 1>;
    const columns_cut cut = cut_columns(work.shape, vectors ? E::width : 1);
    unsigned blocks = 0;
    TARE_TRY(
        tare_grid(&blocks, static_cast<uint64_t>(cut.items), work.max_blocks, BLOCKS_PER_SM, err));
    TARE_LAUNCH(kernel, blocks, THREADS, 0, stream, work, cut);
    return tare_launched("norm_tiles", err);
}

template <typename E>
static tare_status make_parts(const tare_norm_statistics &work, tare_stream stream,
                              tare_error *err) {
    return work.shape.length > 1 ? launch_runs<E>(work, stream, err)
                                 : launch_tiles<E>(work, stream, err);
}

tare_status tare_cuda_norm_statistics(const tare_norm_statistics *launch, tare_stream stream,
                                      tare_error *err) {
    const tare_norm_statistics work = *launch;
    const int64_t tiles = tare_norm_tiles(&work.shape);
    const bool warps = tiles * work.group <= ONE_WARP_PARTS;
    const auto kernel = warps ? norm_join<32> : norm_join<THREADS>;
    unsigned blocks = 0;

    if (is_empty(work.shape)) {
        return TARE_OK;
    }
    TARE_TRY(work.shape.dtype == TARE_DTYPE_FLOAT16
                 ? make_parts<tare_element_half>(work, stream, err)
                 : make_parts<tare_element_float>(work, stream, err));
    TARE_TRY(tare_grid(
        &blocks,
        tare_pieces(work.shape.outer * (work.shape.columns / work.group), warps ? THREADS / 32 : 1),
        work.max_blocks, BLOCKS_PER_SM, err));
    TARE_LAUNCH(kernel, blocks, THREADS, 0, stream, work, tiles);
    return tare_launched("norm_join", err);
}

template <typename E>
static tare_status apply_to(const tare_norm_apply &work, tare_stream stream, tare_error *err) {
    const tare_norm_shape &shape = work.shape;
    const bool runs = shape.length > 1;
    const bool vectors =
        tare_vectors_fit<E>(work.out, work.in, runs ? shape.length : shape.columns);
    const int width = vectors ? E::width : 1;
    unsigned blocks = 0;

    if (runs) {
        const auto kernel = vectors ? norm_apply_runs<E, E::width> : norm_apply_runs<E, 1>;
        const int64_t count = shape.outer * shape.rows * shape.columns * shape.length;
        TARE_TRY(tare_grid(&blocks, tare_pieces(count, static_cast<int64_t>(THREADS) * width),
                           work.max_blocks, BLOCKS_PER_SM, err));
        TARE_LAUNCH(kernel, blocks, THREADS, 0, stream, work);
        return tare_launched("norm_apply_runs", err);
    }
    const auto kernel = vectors ? norm_apply_columns<E, E::width> : norm_apply_columns<E, 1>;
    const columns_cut cut = cut_columns(shape, width);
    TARE_TRY(
        tare_grid(&blocks, static_cast<uint64_t>(cut.items), work.max_blocks, BLOCKS_PER_SM, err));
    TARE_LAUNCH(kernel, blocks, THREADS, 0, stream, work, cut);
    return tare_launched("norm_apply_columns", err);
}

tare_status tare_cuda_norm_apply(const tare_norm_apply *launch, tare_stream stream,
                                 tare_error *err) {
    if (is_empty(launch->shape)) {
        return TARE_OK;
    }
    return launch->shape.dtype == TARE_DTYPE_FLOAT16
               ? apply_to<tare_element_half>(*launch, stream, err)
               : apply_to<tare_element_float>(*launch, stream, err);
}

tare_status tare_cuda_norm_fold(const tare_norm_fold *launch, tare_stream stream, tare_error *err) {
    const tare_norm_fold work = *launch;
    unsigned blocks = 0;
    if (work.channels == 0) {
        return TARE_OK;
    }
    TARE_TRY(tare_grid(&blocks, tare_pieces(work.channels, THREADS), 0, BLOCKS_PER_SM, err));
    TARE_LAUNCH(norm_fold, blocks, THREADS, 0, stream, work);
    return tare_launched("norm_fold", err);
}
