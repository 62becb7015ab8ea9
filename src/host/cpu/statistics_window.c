/* SPDX-License-Identifier: Apache-2.0 */
/** Window sums of one operand, in the order of additions of exec/reduce.h. */
#include <math.h>
#include <stdlib.h>

#include "cpu/statistics.h"

/* An operand seen as images, and what is kept while one of them is summed. */
typedef struct window_work {
    const tare_vector *vector;
    const tare_collect_window *window;
    const float *in;                       /* of the image */
    int64_t channels, size[2], strides[3]; /* of channels, rows, columns */
    bool unusual;
    float *row;   /* [columns][channels]: a row that does not lie like this, or is not finite */
    float *sums;  /* [kernel 1][channels], of a row */
    double *rows; /* [kernel 0][kernel 1][channels], of the rows so far */
} window_work;

/* The kernel positions first to end - 1 meet an element when the window stands at `start`, which
 * may lie in the padding. */
static void find_taps(int64_t *first, int64_t *end, const window_work *w, int64_t start) {
    const int64_t dilation = w->window->dilation[1], size = w->size[1];
    *first = start >= 0 ? 0 : (-start + dilation - 1) / dilation;
    *end = start >= size ? 0 : (size - 1 - start) / dilation + 1;
    *end = *end < w->window->kernel[1] ? *end : w->window->kernel[1];
}

/* `count` positions of the window along the row, from `start` on, that all meet what the first
 * meets. Neighbouring taps without dilation are neighbours in memory. */
static void add_positions(const window_work *w, const float *row, int64_t start, int64_t count) {
    const int64_t dims[2] = {count, w->window->stride[1] * w->channels};
    int64_t first, end;

    find_taps(&first, &end, w, start);
    if (w->window->dilation[1] == 1 && first < end) {
        w->vector->add_rows(w->sums + first * w->channels, row + (start + first) * w->channels,
                            dims, (end - first) * w->channels);
        return;
    }
    for (int64_t tap = first; tap < end; tap++) {
        const int64_t at = start + tap * w->window->dilation[1];
        w->vector->add_rows(w->sums + tap * w->channels, row + at * w->channels, dims, w->channels);
    }
}

static void sum_row(const window_work *w, const float *row) {
    const tare_collect_window *window = w->window;
    const int64_t reach = (window->kernel[1] - 1) * window->dilation[1];

    for (int64_t i = 0; i < window->kernel[1] * w->channels; i++) {
        w->sums[i] = 0.0F;
    }
    for (int64_t o = 0; o < window->output[1];) {
        const int64_t start = o * window->stride[1] - window->padding[1];
        int64_t count = 1;
        /* Where the whole window lies in the row, all positions up to the border are alike. */
        if (start >= 0 && start + reach < w->size[1]) {
            const int64_t inside = (w->size[1] - 1 - reach - start) / window->stride[1] + 1;
            count = inside < window->output[1] - o ? inside : window->output[1] - o;
        }
        add_positions(w, row, start, count);
        o += count;
    }
}

/* The row with channels innermost and without what is not finite. */
static const float *read_row(const window_work *w, int64_t y) {
    const float *in = w->in + y * w->strides[1];
    if (!w->unusual && (w->strides[0] == 1 || w->channels == 1) && w->strides[2] == w->channels) {
        return in;
    }
    for (int64_t c = 0; c < w->channels; c++) {
        for (int64_t x = 0; x < w->size[1]; x++) {
            const float value = in[c * w->strides[0] + x * w->strides[2]];
            w->row[x * w->channels + c] = isfinite(value) ? value : 0.0F;
        }
    }
    return w->row;
}

static void sum_image(float *out, const window_work *w) {
    const tare_collect_window *window = w->window;
    const int64_t line = window->kernel[1] * w->channels, total = window->kernel[0] * line;

    for (int64_t i = 0; i < total; i++) {
        w->rows[i] = 0.0;
    }
    for (int64_t y = 0; y < w->size[0]; y++) {
        bool summed = false;
        for (int64_t tap = 0; tap < window->kernel[0]; tap++) {
            const int64_t start = y + window->padding[0] - tap * window->dilation[0];
            if (start < 0 || start % window->stride[0] != 0 ||
                start / window->stride[0] >= window->output[0]) {
                continue;
            }
            if (!summed) {
                sum_row(w, read_row(w, y));
                summed = true;
            }
            w->vector->add_columns(w->rows + tap * line, w->sums, line);
        }
    }
    for (int64_t i = 0; i < total; i++) {
        out[i] = tare_cpu_plain_sum(w->rows[i]);
    }
}

static tare_status sum_images(float *out, window_work *w, const tare_reduce_request *request,
                              tare_error *err) {
    const size_t channels = (size_t)w->channels;
    const size_t line = (size_t)w->window->kernel[1] * channels;
    const size_t total = (size_t)w->window->kernel[0] * line;
    const int64_t images = request->desc->dims[0];
    tare_status status = TARE_OK;

    w->row = calloc((size_t)w->size[1] * channels + 1, sizeof *w->row);
    w->sums = calloc(line + 1, sizeof *w->sums);
    w->rows = calloc(total + 1, sizeof *w->rows);
    if (w->row == NULL || w->sums == NULL || w->rows == NULL) {
        status = tare_fail_memory(err, total * sizeof *w->rows, "window sums");
        goto done;
    }
    for (int64_t i = 0; i < images; i++) {
        sum_image(out + (size_t)i * total, w);
        w->in += w->channels * w->size[0] * w->size[1];
    }
done:
    free(w->row);
    free(w->sums);
    free(w->rows);
    return status;
}

tare_status tare_cpu_window_sums(const tare_reduce_request *request, bool unusual,
                                 tare_error *err) {
    const tare_desc *desc = request->desc;
    const int columns = desc->rank - 1;
    int64_t strides[TARE_MAX_RANK];

    tare_desc_strides(strides, desc);
    for (size_t i = 0; i < request->window_count; i++) {
        window_work w = {
            .vector = tare_vector_best(),
            .window = &request->windows[i],
            .in = request->data,
            .channels = desc->dims[1],
            .size = {desc->rank == 4 ? desc->dims[2] : 1, desc->dims[columns]},
            .strides = {strides[1], desc->rank == 4 ? strides[2] : 0, strides[columns]},
            .unusual = unusual};
        TARE_TRY(sum_images(request->window_sums[i], &w, request, err));
    }
    return TARE_OK;
}
