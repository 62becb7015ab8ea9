/* SPDX-License-Identifier: Apache-2.0 */
/**
 * Statistics of activations on the device: tables of tensors, and the launchers.
 *
 * A tensor is `samples` dense samples of `sample_elements` elements each. exec/reduce.h says what a
 * sample is reduced to; here the channels are the innermost axis.
 *
 * A list of tensors is reduced in one call, or in two steps: parts of it as their data come up,
 * and what is left to do once for all of them.
 *
 * The functions own nothing and do not synchronise. All launches of one call go to one stream.
 */
#ifndef TARE_CUDA_STATS_H
#define TARE_CUDA_STATS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#ifdef __cplusplus
extern "C" {
#endif

#include "exec/code.h"
#include "exec/quantile.h"
#include "exec/reduce.h"
#include "ir/tensor.h"

/** A code histogram is TARE_STATS_HISTOGRAM 64-bit words, at first all 0: the counts of positive
 * values by bin (exec/code.h), those of negative ones, the largest finite magnitudes (patterns) met
 * so far of positive and of negative values, and the top that the bins are relative to. */
#define TARE_STATS_CODES          (2U * TARE_CODE_BINS)
#define TARE_STATS_LARGEST        TARE_STATS_CODES
#define TARE_STATS_TOP            (TARE_STATS_CODES + 2U)
#define TARE_STATS_HISTOGRAM      (TARE_STATS_CODES + 3U)
/** Octaves, the top octave among them, whose bins may be counted in shared memory; others are only
 * slower. */
#define TARE_STATS_WINDOW_OCTAVES 24U

/** How work is cut, without influence on results: bytes that a thread loads at once; threads along
 * a row times tiles side by side in a block; kernel columns that one pass over a row serves. */
#define TARE_STATS_VECTOR_BYTES   16
#define TARE_STATS_POSITIONS      32
#define TARE_WINDOW_TAPS          4

/** Elements of a piece of work of the histogram kernel. */
#define TARE_STATS_CHUNK          16384

/** The largest number of samples of a tensor, and of elements of a sample. */
#define TARE_STATS_MAX_SAMPLES    UINT32_MAX
#define TARE_STATS_MAX_ELEMENTS   ((uint64_t)1 << 36)

/** A CUDA stream (cudaStream_t) without CUDA's headers. */
typedef struct CUstream_st *tare_stream;

/** What a sample is reduced to. Its number of elements is the tensor's sample_elements. */
typedef struct tare_stats_record {
    float min, max, sum;
    uint64_t zeros, nan, positive_infinity, negative_infinity;
} tare_stats_record;

/** What a column of a sample (a channel), or of a tile, is reduced to. */
typedef tare_reduce_channel tare_stats_column;

/** Counters of one item of work; an item has fewer than 2^17 elements. */
typedef struct tare_stats_counts {
    uint32_t zeros, nan, positive_infinity, negative_infinity;
} tare_stats_counts;

/** A tensor to reduce. The first part is the caller's, the second tare_stats_plan()'s. */
typedef struct tare_stats_tensor {
    const void *data; /**< on the device, aligned to its element type */
    uint64_t samples, sample_elements;
    uint64_t channels; /**< length of the innermost axis, divides sample_elements; 0: per-channel
                          values are not wanted */
    tare_dtype dtype;  /**< TARE_DTYPE_FLOAT, TARE_DTYPE_FLOAT16 or TARE_DTYPE_BFLOAT16 */
    bool late;         /**< data come with each part; `data` is not looked at */
    bool histogram;

    uint64_t columns, full_rows, ragged; /**< ragged: elements of the short last row, or 0 */
    uint64_t tiles;
    uint32_t row_threads;  /**< threads side by side on a row: a power of two up to 32 */
    uint32_t finish_lanes; /**< threads that share the tiles of a column: likewise */
    uint64_t groups;       /**< column groups of row_threads vectors */
    uint64_t tile_blocks;  /**< groups of 32 / row_threads tiles */
    uint64_t first_item, first_partial, first_column_item;
    uint64_t first_column, first_sample, first_chunk, first_bin;
} tare_stats_tensor;

/** How much there is to do and to store for a list of tensors, in elements of the named arrays. */
typedef struct tare_stats_totals {
    uint64_t items;        /**< tare_stats_counts: scratch */
    uint64_t partials;     /**< tare_stats_column: scratch */
    uint64_t column_items; /**< blocks of the second step */
    uint64_t columns; /**< tare_stats_column: results; tensor, sample, column; of tensors without
                         channels the columns are TARE_STATS_FLAT_COLUMNS and mean nothing */
    uint64_t samples; /**< tare_stats_record: results; tensor, sample */
    uint64_t chunks;  /**< pieces of work of the histograms */
    uint64_t bins; /**< uint64_t: results, TARE_STATS_HISTOGRAM for each tensor with a histogram */
} tare_stats_totals;

/**
 * Checks the caller's part of `tensors`, fills in the rest, and sums up. TARE_UNSUPPORTED for other
 * element types, TARE_INVALID_ARGUMENT for contradictions and for sizes whose products overflow.
 */
TARE_MUST_CHECK tare_status tare_stats_plan(tare_stats_totals *totals, tare_stats_tensor *tensors,
                                            size_t count, tare_error *err);

/** One launch over planned tensors. All pointers are device memory of the sizes in totals. */
typedef struct tare_stats_launch {
    const tare_stats_tensor *tensors; /**< copy of the planned table */
    uint32_t count;
    uint32_t max_blocks; /**< upper limit of the grid; 0: a multiple of the multiprocessors. Without
                            influence on results */
    tare_stats_totals totals;
    tare_stats_counts *counts;
    tare_stats_column *partials;
    tare_stats_column *columns;
    tare_stats_record *samples;
    uint64_t *bins; /**< the first step raises the largest magnitudes, tare_stats_codes() adds to
                       the counts that they hold */
} tare_stats_launch;

/** What the first step of a launch looks at, in items of work or chunks; for kernels. */
typedef struct tare_stats_span {
    uint64_t first, end;
    const void *data;  /**< of the only tensor; NULL: the tables' */
    uint64_t elements; /**< with `data` */
} tare_stats_span;

/** The data of one tensor of a launch. */
typedef struct tare_stats_part {
    const tare_stats_tensor *tensor; /**< planned, in host memory */
    const void *data;                /**< on the device */
    uint64_t samples;                /**< the first so many; results of the others stay */
} tare_stats_part;

/** The first step for one tensor. TARE_INVALID_ARGUMENT for data that are not aligned. */
TARE_MUST_CHECK tare_status tare_stats_begin(const tare_stats_launch *launch,
                                             const tare_stats_part *part, tare_stream stream,
                                             tare_error *err);

/** The other steps for all tensors: fills `samples` and `columns` from what the first step left. */
TARE_MUST_CHECK tare_status tare_stats_finish(const tare_stats_launch *launch, tare_stream stream,
                                              tare_error *err);

/** As tare_stats_codes() for one tensor that wants a histogram, after tare_stats_begin(). */
TARE_MUST_CHECK tare_status tare_stats_codes_of(const tare_stats_launch *launch,
                                                const tare_stats_part *part, tare_stream stream,
                                                tare_error *err);

/** Reduces all tensors: fills `samples` and `columns`. TARE_BACKEND when a launch is refused. */
TARE_MUST_CHECK tare_status tare_stats_reduce(const tare_stats_launch *launch, tare_stream stream,
                                              tare_error *err);

/** Adds the tensors that want a histogram to `bins`: finite elements other than zero, by code. The
 * first step has seen the same data before, and brought the largest magnitudes up to date: these
 * are the only ones that bins need to know, so what comes out depends on the values alone. Calls
 * that add to the same histogram go to one stream. */
TARE_MUST_CHECK tare_status tare_stats_codes(const tare_stats_launch *launch, tare_stream stream,
                                             tare_error *err);

/** Elements that are sought: the neighbours of the quantile p, those of 1 - p. */
#define TARE_QUANTILE_RANKS  4U
/** Values of as much of a pattern as one step looks at, and counters of a sample. */
#define TARE_QUANTILE_DIGITS 2048U
#define TARE_QUANTILE_COUNTS (TARE_QUANTILE_RANKS * TARE_QUANTILE_DIGITS)

/** What is known of the elements that are sought in a sample. */
typedef struct tare_quantile_search {
    uint64_t ranks[TARE_QUANTILE_RANKS]; /**< among those that begin alike */
    uint32_t prefixes[TARE_QUANTILE_RANKS];
} tare_quantile_search;

/** A tensor whose samples' quantiles are wanted. */
typedef struct tare_quantile_launch {
    const void *data;           /**< on the device, aligned to its element type */
    uint64_t samples, elements; /**< elements: of a sample; both as in tare_stats_tensor */
    tare_dtype dtype;
    uint32_t max_blocks;
    uint64_t ranks[TARE_QUANTILE_RANKS]; /**< tare_quantile_plan()'s */
    uint64_t *counts;                    /**< [samples][TARE_QUANTILE_COUNTS]: scratch, 0 before and
                                            after */
    tare_quantile_search *searches;      /**< [samples]: scratch */
    tare_quantile_pairs *pairs;          /**< [samples]: results */
} tare_quantile_launch;

/** Fills in the ranks of the quantiles p and 1 - p, 0 <= p <= 0.5, where samples are not empty. */
void tare_quantile_plan(tare_quantile_launch *launch, double p);

/** Fills `pairs`; any values for samples that hold NaN. Samples without elements are left alone.
 * TARE_INVALID_ARGUMENT for data that are not aligned, TARE_BACKEND when a launch is refused. */
TARE_MUST_CHECK tare_status tare_quantiles(const tare_quantile_launch *launch, tare_stream stream,
                                           tare_error *err);

/** The input of a two-dimensional convolution, channels innermost, and the convolution's window. */
typedef struct tare_window_tensor {
    const void *data; /**< [samples][size[0]][size[1]][channels] on the device */
    uint64_t samples, channels;
    uint64_t size[2]; /**< height and width */
    uint32_t kernel[2], stride[2], dilation[2];
    uint32_t padding[2]; /**< before the first row and column */
    uint64_t output[2];  /**< height and width of the convolution's output */
    tare_dtype dtype;
    bool late; /**< as in tare_stats_tensor */

    uint32_t tap_chunks; /**< passes over a row, each for a few kernel columns */
    uint64_t vectors;    /**< vectors of channels in a pixel */
    uint64_t first_item, first_partial, first_sum;
} tare_window_tensor;

typedef struct tare_window_totals {
    uint64_t items;    /**< threads of the first step */
    uint64_t partials; /**< float: scratch; tensor, sample, row, kernel column, channel */
    uint64_t sums;     /**< float: results; tensor, sample, kernel row, kernel column, channel */
} tare_window_totals;

/** As tare_stats_plan(). */
TARE_MUST_CHECK tare_status tare_window_plan(tare_window_totals *totals,
                                             tare_window_tensor *tensors, size_t count,
                                             tare_error *err);

typedef struct tare_window_launch {
    const tare_window_tensor *tensors;
    uint32_t count;
    uint32_t max_blocks;
    tare_window_totals totals;
    float *partials;
    float *sums;
} tare_window_launch;

typedef struct tare_window_part {
    const tare_window_tensor *tensor;
    const void *data;
    uint64_t samples;
} tare_window_part;

/** As tare_stats_begin() and tare_stats_finish(). */
TARE_MUST_CHECK tare_status tare_window_begin(const tare_window_launch *launch,
                                              const tare_window_part *part, tare_stream stream,
                                              tare_error *err);
TARE_MUST_CHECK tare_status tare_window_finish_all(const tare_window_launch *launch,
                                                   tare_stream stream, tare_error *err);

/** Fills `sums`. TARE_BACKEND when a launch is refused. */
TARE_MUST_CHECK tare_status tare_window_sums(const tare_window_launch *launch, tare_stream stream,
                                             tare_error *err);

#ifdef __cplusplus
}
#endif

#endif
