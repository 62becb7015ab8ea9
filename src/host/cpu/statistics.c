/* SPDX-License-Identifier: Apache-2.0 */
/**
 * Counts, extremes and sums of one operand, in the order of additions of exec/reduce.h.
 *
 * The fast loops do not look for NaN and infinities; they only tell whether there were any. Then
 * the elements are looked at again one by one.
 */
#include "cpu/statistics.h"

#include <math.h>
#include <string.h>

#include "exec/channels.h"

/* Columns that are reduced together: all lanes of a tile of them lie in the first cache. */
#define BLOCK      64
#define INFINITE   0x7f800000
#define LANE_COUNT ((int64_t)TARE_STATS_LANES)
#define TILE_ROWS  ((int64_t)TARE_STATS_TILE_ROWS)

static void merge(float *low, float *high, float min, float max) {
    *low = min < *low ? min : *low;
    *high = max > *high ? max : *high;
}

float tare_cpu_plain_sum(double sum) {
    const uint32_t bits = 0x7fc00000;
    float rounded = (float)sum;
    if (isnan(rounded)) {
        memcpy(&rounded, &bits, sizeof rounded);
    }
    return rounded;
}

/* False, and counted, when it is not finite. */
static bool count_unusual(tare_reduce_record *out, float x) {
    if (isnan(x)) {
        out->nan++;
    } else if (x == INFINITY) {
        out->positive_infinity++;
    } else if (x == -INFINITY) {
        out->negative_infinity++;
    } else {
        return true;
    }
    return false;
}

/* ---- without channels ---- */

static void reduce_flat(tare_reduce_record *out, const tare_vector *vector, const float *in,
                        int64_t count) {
    tare_extremes seen = {.low = INFINITY, .high = -INFINITY};

    vector->look_over(&seen, in, count);
    out->zeros = (uint64_t)seen.zeros;
    if (seen.largest < INFINITE) {
        out->min = seen.low;
        out->max = seen.high;
        return;
    }
    for (int64_t i = 0; i < count; i++) {
        if (count_unusual(out, in[i])) {
            merge(&out->min, &out->max, in[i], in[i]);
        }
    }
}

/* ---- with channels ---- */

/* Some columns of a tile, or of all of them. */
typedef struct block {
    float low[BLOCK], high[BLOCK], sum[BLOCK];
} block;

/* Rows [first, first + rows) of columns [column, column + columns), which stand `width` apart. */
typedef struct tile {
    const float *in; /* first row, first column */
    int64_t rows, columns, width;
} tile;

/* Where the elements are. */
typedef struct channel_source {
    const tare_vector *vector;
    const float *data;
    tare_channels at;
} channel_source;

/* Copies rows of one channel next to each other. */
static void gather(float *out, const channel_source *source, int64_t channel, int64_t first,
                   int64_t rows) {
    const tare_channels *all = &source->at;
    const int last = all->axes - 1;
    int64_t at[TARE_MAX_RANK] = {0}, offset = channel * all->stride, rest = first;

    for (int i = last; i >= 0; i--) {
        at[i] = rest % all->dims[i];
        rest /= all->dims[i];
        offset += at[i] * all->strides[i];
    }
    for (int64_t done = 0; done < rows;) {
        const int64_t left = all->dims[last] - at[last];
        const int64_t run = left < rows - done ? left : rows - done;
        for (int64_t i = 0; i < run; i++) {
            out[done + i] = source->data[offset + i * all->strides[last]];
        }
        done += run;
        offset += run * all->strides[last];
        at[last] += run;
        for (int i = last; i > 0 && at[i] == all->dims[i]; i--) {
            offset += all->strides[i - 1] - at[i] * all->strides[i];
            at[i] = 0;
            at[i - 1]++;
        }
    }
}

/* One by one, for tiles with NaN or infinities. */
static void reduce_tile_slowly(tare_reduce_record *record, block *out, const tile *t) {
    for (int64_t c = 0; c < t->columns; c++) {
        float lanes[TARE_STATS_LANES] = {0};
        out->low[c] = INFINITY;
        out->high[c] = -INFINITY;
        for (int64_t row = 0; row < t->rows; row++) {
            const float x = t->in[row * t->width + c];
            if (count_unusual(record, x)) {
                lanes[row % LANE_COUNT] += x;
                merge(&out->low[c], &out->high[c], x, x);
            }
        }
        out->sum[c] = ((lanes[0] + lanes[1]) + (lanes[2] + lanes[3])) +
                      ((lanes[4] + lanes[5]) + (lanes[6] + lanes[7]));
    }
}

/* The lanes of each column, `stride` apart. */
static void fold_lanes(block *out, const tare_row_reduction *lanes, int64_t columns,
                       int64_t stride) {
    const float *s = lanes->sum;
    for (int64_t c = 0; c < columns; c++) {
        out->sum[c] =
            ((s[c] + s[c + stride]) + (s[c + 2 * stride] + s[c + 3 * stride])) +
            ((s[c + 4 * stride] + s[c + 5 * stride]) + (s[c + 6 * stride] + s[c + 7 * stride]));
        out->low[c] = lanes->low[c];
        out->high[c] = lanes->high[c];
    }
    for (int64_t lane = 1; lane < LANE_COUNT; lane++) {
        for (int64_t c = 0; c < columns; c++) {
            merge(&out->low[c], &out->high[c], lanes->low[c + lane * stride],
                  lanes->high[c + lane * stride]);
        }
    }
}

/* Fewer rows than lanes: each lane is a row or missing. */
static void reduce_few_rows(tare_row_reduction *seen, const tare_vector *vector, const tile *t) {
    static const float missing[BLOCK];
    const float *x[TARE_STATS_LANES];

    for (int64_t lane = 0; lane < LANE_COUNT; lane++) {
        x[lane] = lane < t->rows ? t->in + lane * t->width : missing;
    }
    vector->reduce_rows(seen, t->in, (int64_t[2]){t->rows, t->width}, t->columns);
    for (int64_t c = 0; c < t->columns; c++) {
        seen->sum[c] = ((x[0][c] + x[1][c]) + (x[2][c] + x[3][c])) +
                       ((x[4][c] + x[5][c]) + (x[6][c] + x[7][c]));
    }
}

/* Rows that are dense and few columns: 8 of them side by side are one row of all lanes. Else lane
 * by lane. */
static void reduce_tile(tare_reduce_record *record, block *out, const tare_vector *vector,
                        const tile *t) {
    float sum[TARE_STATS_LANES * BLOCK], low[TARE_STATS_LANES * BLOCK],
        high[TARE_STATS_LANES * BLOCK];
    tare_row_reduction lanes = {.sum = sum, .low = low, .high = high};
    const int64_t whole = t->rows / LANE_COUNT, rest = t->rows % LANE_COUNT;
    const int64_t step = LANE_COUNT * t->width;

    if (t->rows < LANE_COUNT) {
        tare_row_reduction seen = {.sum = out->sum, .low = out->low, .high = out->high};
        reduce_few_rows(&seen, vector, t);
        lanes.zeros = seen.zeros;
        lanes.largest = seen.largest;
    } else if (t->columns == t->width) {
        const int64_t longer = rest * t->width;
        tare_row_reduction others = {
            .sum = sum + longer, .low = low + longer, .high = high + longer};
        vector->reduce_rows(&lanes, t->in, (int64_t[2]){whole + 1, step}, longer);
        vector->reduce_rows(&others, t->in + longer, (int64_t[2]){whole, step}, step - longer);
        lanes.zeros += others.zeros;
        lanes.largest = others.largest > lanes.largest ? others.largest : lanes.largest;
    } else {
        for (int64_t lane = 0; lane < LANE_COUNT; lane++) {
            const int64_t dims[2] = {whole + (lane < rest ? 1 : 0), step};
            lanes.sum = sum + lane * t->columns;
            lanes.low = low + lane * t->columns;
            lanes.high = high + lane * t->columns;
            vector->reduce_rows(&lanes, t->in + lane * t->width, dims, t->columns);
        }
        lanes.sum = sum;
        lanes.low = low;
        lanes.high = high;
    }
    record->zeros += (uint64_t)lanes.zeros;
    if (lanes.largest >= INFINITE) {
        reduce_tile_slowly(record, out, t);
    } else if (t->rows >= LANE_COUNT) {
        fold_lanes(out, &lanes, t->columns, t->columns);
    }
}

/* The tiles of some columns. */
static void reduce_columns(tare_reduce_record *record, tare_reduce_channel *out,
                           const channel_source *source, int64_t column, int64_t columns) {
    double lanes[TARE_STATS_TILE_LANES][BLOCK];
    float buffer[TARE_STATS_TILE_ROWS];
    const int64_t tiles = (source->at.rows + TILE_ROWS - 1) / TILE_ROWS;
    int64_t lane_count = 1;

    while (lane_count < tiles && lane_count < TARE_STATS_TILE_LANES) {
        lane_count *= 2;
    }
    for (int64_t i = 0; i < lane_count; i++) {
        for (int64_t c = 0; c < columns; c++) {
            lanes[i][c] = 0.0;
        }
    }
    for (int64_t c = 0; c < columns; c++) {
        out[c] = (tare_reduce_channel){.min = INFINITY, .max = -INFINITY};
    }
    for (int64_t i = 0; i < tiles; i++) {
        const int64_t first = i * TILE_ROWS, left = source->at.rows - first;
        tile t = {.rows = left < TILE_ROWS ? left : TILE_ROWS, .columns = columns};
        double *lane = lanes[i % TARE_STATS_TILE_LANES];
        block found;
        if (source->at.dense) {
            t.in = source->data + first * source->at.channels + column;
            t.width = source->at.channels;
        } else {
            gather(buffer, source, column, first, t.rows);
            t.in = buffer;
            t.width = 1;
        }
        reduce_tile(record, &found, source->vector, &t);
        for (int64_t c = 0; c < columns; c++) {
            merge(&out[c].min, &out[c].max, found.low[c], found.high[c]);
            lane[c] += (double)found.sum[c];
        }
    }
    for (; lane_count > 1; lane_count /= 2) {
        for (int64_t i = 0; i < lane_count / 2; i++) {
            for (int64_t c = 0; c < columns; c++) {
                lanes[i][c] = lanes[2 * i][c] + lanes[2 * i + 1][c];
            }
        }
    }
    /* Adding +0 makes a zero positive: which of -0 and +0 was met first must not show. */
    for (int64_t c = 0; c < columns; c++) {
        out[c].min += 0.0F;
        out[c].max += 0.0F;
        out[c].sum = tare_cpu_plain_sum(lanes[0][c]);
    }
}

static void reduce_channels(tare_reduce_record *out, const tare_reduce_request *request) {
    channel_source source = {.vector = tare_vector_best(), .data = request->data};
    int64_t blocks, width;

    tare_channels_find(&source.at, request->desc, request->axis);
    /* Blocks of one size: a last one of a few columns would take as long as a whole one. */
    blocks = source.at.dense ? (source.at.channels + BLOCK - 1) / BLOCK : source.at.channels;
    width = blocks == 0 ? 0 : (source.at.channels + blocks - 1) / blocks;
    for (int64_t c = 0; c < source.at.channels; c += width) {
        const int64_t left = source.at.channels - c;
        reduce_columns(out, &request->channels[c], &source, c, left < width ? left : width);
    }
    for (int64_t c = 0; c < source.at.channels; c++) {
        merge(&out->min, &out->max, request->channels[c].min, request->channels[c].max);
    }
}

static tare_status check(const tare_reduce_request *request, tare_error *err) {
    const tare_desc *desc = request->desc;
    if (desc->dtype != TARE_DTYPE_FLOAT) {
        return tare_fail(err, TARE_INVALID_ARGUMENT, "statistics of a %s operand, expected float32",
                         tare_dtype_text(desc->dtype));
    }
    if (request->channels != NULL && (request->axis < 0 || request->axis >= desc->rank)) {
        return tare_fail(err, TARE_INVALID_ARGUMENT,
                         "statistics per channel on axis %d of an operand of rank %d",
                         request->axis, desc->rank);
    }
    if (request->window_count > 0 && desc->rank != 3 && desc->rank != 4) {
        return tare_fail(err, TARE_INVALID_ARGUMENT,
                         "window sums of an operand of rank %d, expected 3 or 4", desc->rank);
    }
    return TARE_OK;
}

tare_status tare_cpu_reduce(tare_reduce_record *out, const tare_reduce_request *request,
                            tare_error *err) {
    const int64_t count = tare_desc_count(request->desc);

    *out = (tare_reduce_record){.min = INFINITY, .max = -INFINITY, .elements = (uint64_t)count};
    TARE_TRY(check(request, err));
    if (request->channels != NULL) {
        reduce_channels(out, request);
    } else if (count > 0) {
        reduce_flat(out, tare_vector_best(), request->data, count);
    }
    out->min += 0.0F;
    out->max += 0.0F;
    if (count > 0) {
        tare_cpu_sample_numbers(request, (size_t)count);
    }
    if (request->window_count == 0) {
        return TARE_OK;
    }
    return tare_cpu_window_sums(
        request, out->nan + out->positive_infinity + out->negative_infinity > 0, err);
}

void tare_cpu_find_codes(int32_t *out, const float *in, int64_t count, uint32_t top) {
    tare_vector_best()->find_codes(out, in, count, top);
}
