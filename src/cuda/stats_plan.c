/* SPDX-License-Identifier: Apache-2.0 */
/**
 * Cuts tensors into items of work. Everything that decides a result (rows, columns, tiles) comes
 * from the shape alone; the rest only decides which thread does what.
 */
#include "cuda/stats.h"

static uint64_t divide_up(uint64_t a, uint64_t b) {
    return a / b + (a % b != 0 ? 1 : 0);
}

static uint32_t power_of_two_up(uint64_t wanted, uint32_t most) {
    uint32_t power = 1;
    while (power < wanted && power < most) {
        power *= 2;
    }
    return power;
}

/* *total += a * b, below 2^62 so that no sum of a few of them overflows. */
static bool add_product(uint64_t *total, uint64_t a, uint64_t b) {
    const uint64_t most = (uint64_t)1 << 62;
    if (b != 0 && a > most / b) {
        return false;
    }
    *total += a * b;
    return *total <= most;
}

static tare_status check_dtype(tare_dtype dtype, size_t index, tare_error *err) {
    if (dtype != TARE_DTYPE_FLOAT && dtype != TARE_DTYPE_FLOAT16 && dtype != TARE_DTYPE_BFLOAT16) {
        return tare_fail(err, TARE_UNSUPPORTED,
                         "statistics of tensor %zu: element type %s, expected float32, float16 or "
                         "bfloat16",
                         index, tare_dtype_text(dtype));
    }
    return TARE_OK;
}

static tare_status check_data(const void *data, uint64_t elements, tare_dtype dtype, size_t index,
                              tare_error *err) {
    if (elements == 0) {
        return TARE_OK;
    }
    if (data == NULL || (uintptr_t)data % tare_dtype_bytes(dtype) != 0) {
        return tare_fail(err, TARE_INVALID_ARGUMENT,
                         "statistics of tensor %zu: address %p, expected a multiple of %zu", index,
                         (const void *)data, tare_dtype_bytes(dtype));
    }
    return TARE_OK;
}

static tare_status check_tensor(const tare_stats_tensor *tensor, size_t index, tare_error *err) {
    uint64_t elements = 0;

    TARE_TRY(check_dtype(tensor->dtype, index, err));
    if (tensor->samples > TARE_STATS_MAX_SAMPLES ||
        tensor->sample_elements > TARE_STATS_MAX_ELEMENTS ||
        !add_product(&elements, tensor->samples, tensor->sample_elements)) {
        return tare_fail(err, TARE_INVALID_ARGUMENT,
                         "statistics of tensor %zu: %llu samples of %llu elements are too many",
                         index, (unsigned long long)tensor->samples,
                         (unsigned long long)tensor->sample_elements);
    }
    if (tensor->channels > TARE_STATS_MAX_ELEMENTS ||
        (tensor->channels > 0 && tensor->sample_elements % tensor->channels != 0)) {
        return tare_fail(err, TARE_INVALID_ARGUMENT,
                         "statistics of tensor %zu: %llu channels do not divide a sample of %llu "
                         "elements",
                         index, (unsigned long long)tensor->channels,
                         (unsigned long long)tensor->sample_elements);
    }
    return tensor->late ? TARE_OK : check_data(tensor->data, elements, tensor->dtype, index, err);
}

static void shape_items(tare_stats_tensor *tensor) {
    const uint64_t width = TARE_STATS_VECTOR_BYTES / tare_dtype_bytes(tensor->dtype);

    tensor->columns = tensor->channels > 0 ? tensor->channels : TARE_STATS_FLAT_COLUMNS;
    tensor->full_rows = tensor->sample_elements / tensor->columns;
    tensor->ragged = tensor->sample_elements % tensor->columns;
    tensor->tiles =
        divide_up(tensor->full_rows + (tensor->ragged > 0 ? 1 : 0), TARE_STATS_TILE_ROWS);
    tensor->row_threads = power_of_two_up(divide_up(tensor->columns, width), TARE_STATS_POSITIONS);
    tensor->groups = divide_up(tensor->columns, tensor->row_threads * width);
    tensor->tile_blocks = divide_up(tensor->tiles, TARE_STATS_POSITIONS / tensor->row_threads);
    tensor->finish_lanes = power_of_two_up(tensor->tiles, TARE_STATS_TILE_LANES);
}

tare_status tare_stats_plan(tare_stats_totals *totals, tare_stats_tensor *tensors, size_t count,
                            tare_error *err) {
    *totals = (tare_stats_totals){0};
    if (count > UINT32_MAX) {
        return tare_fail(err, TARE_INVALID_ARGUMENT, "statistics of %zu tensors in one launch",
                         count);
    }
    for (size_t i = 0; i < count; i++) {
        tare_stats_tensor *tensor = &tensors[i];
        uint64_t blocks = 0, sample_partials = 0, elements;

        TARE_TRY(check_tensor(tensor, i, err));
        shape_items(tensor);
        tensor->first_item = totals->items;
        tensor->first_partial = totals->partials;
        tensor->first_column_item = totals->column_items;
        tensor->first_column = totals->columns;
        tensor->first_sample = totals->samples;
        tensor->first_chunk = totals->chunks;
        tensor->first_bin = totals->bins;
        elements = tensor->samples * tensor->sample_elements;
        blocks = divide_up(tensor->columns, TARE_STATS_COLUMN_LANES / tensor->finish_lanes);
        if (!add_product(&sample_partials, tensor->tiles, tensor->columns) ||
            !add_product(&totals->items, tensor->samples * tensor->tile_blocks, tensor->groups) ||
            !add_product(&totals->partials, tensor->samples, sample_partials) ||
            !add_product(&totals->column_items, tensor->samples, blocks) ||
            !add_product(&totals->columns, tensor->samples, tensor->columns) ||
            !add_product(&totals->samples, tensor->samples, 1) ||
            !add_product(&totals->chunks, tensor->histogram ? 1 : 0,
                         divide_up(elements, TARE_STATS_CHUNK)) ||
            !add_product(&totals->bins, tensor->histogram ? 1 : 0, TARE_STATS_HISTOGRAM)) {
            return tare_fail(err, TARE_INVALID_ARGUMENT,
                             "statistics of tensor %zu: the scratch memory of %llu samples of %llu "
                             "columns exceeds 64 bits",
                             i, (unsigned long long)tensor->samples,
                             (unsigned long long)tensor->columns);
        }
    }
    return TARE_OK;
}

void tare_quantile_plan(tare_quantile_launch *launch, double p) {
    if (launch->elements > 0) {
        const tare_quantile_place low = tare_quantile_find(p, launch->elements);
        const tare_quantile_place high = tare_quantile_find(1.0 - p, launch->elements);
        launch->ranks[0] = low.index;
        launch->ranks[1] = low.next;
        launch->ranks[2] = high.index;
        launch->ranks[3] = high.next;
    }
}

static bool between_1_and_max(uint32_t value) {
    return value > 0 && value <= INT32_MAX;
}

/* The kernel multiplies two of these numbers and adds two products in 64 bits. */
static bool window_extents_fit(const tare_window_tensor *tensor) {
    bool fit = tensor->samples <= TARE_STATS_MAX_SAMPLES && tensor->channels <= UINT32_MAX;
    for (int axis = 0; axis < 2; axis++) {
        fit = fit && tensor->size[axis] <= INT32_MAX && tensor->output[axis] <= INT32_MAX &&
              tensor->padding[axis] <= INT32_MAX && between_1_and_max(tensor->kernel[axis]) &&
              between_1_and_max(tensor->stride[axis]) && between_1_and_max(tensor->dilation[axis]);
    }
    return fit;
}

static tare_status window_sizes(tare_window_totals *totals, tare_window_tensor *tensor,
                                size_t index, tare_error *err) {
    const uint64_t width = TARE_STATS_VECTOR_BYTES / tare_dtype_bytes(tensor->dtype);
    uint64_t pixels = 0, elements = 0, rows = 0, taps = 0;

    tensor->vectors = divide_up(tensor->channels, width);
    tensor->tap_chunks = (uint32_t)divide_up(tensor->kernel[1], TARE_WINDOW_TAPS);
    tensor->first_item = totals->items;
    tensor->first_partial = totals->partials;
    tensor->first_sum = totals->sums;
    if (!add_product(&rows, tensor->samples, tensor->size[0]) ||
        !add_product(&pixels, rows, tensor->size[1]) ||
        !add_product(&elements, pixels, tensor->channels) ||
        !add_product(&taps, (uint64_t)tensor->kernel[1], tensor->channels) ||
        !add_product(&totals->partials, rows, taps) ||
        !add_product(&totals->items, rows, tensor->tap_chunks * tensor->vectors) ||
        (tensor->samples > 0 && taps > 0 &&
         tensor->kernel[0] > ((uint64_t)1 << 62) / tensor->samples / taps) ||
        !add_product(&totals->sums, tensor->samples, tensor->kernel[0] * taps)) {
        return tare_fail(err, TARE_INVALID_ARGUMENT,
                         "window sums of tensor %zu: %llu samples of %llu x %llu x %llu elements "
                         "exceed 64 bits",
                         index, (unsigned long long)tensor->samples,
                         (unsigned long long)tensor->size[0], (unsigned long long)tensor->size[1],
                         (unsigned long long)tensor->channels);
    }
    return tensor->late ? TARE_OK : check_data(tensor->data, elements, tensor->dtype, index, err);
}

tare_status tare_window_plan(tare_window_totals *totals, tare_window_tensor *tensors, size_t count,
                             tare_error *err) {
    *totals = (tare_window_totals){0};
    if (count > UINT32_MAX) {
        return tare_fail(err, TARE_INVALID_ARGUMENT, "window sums of %zu tensors in one launch",
                         count);
    }
    for (size_t i = 0; i < count; i++) {
        TARE_TRY(check_dtype(tensors[i].dtype, i, err));
        if (!window_extents_fit(&tensors[i])) {
            return tare_fail(err, TARE_INVALID_ARGUMENT,
                             "window sums of tensor %zu: an extent exceeds 31 bits, or kernel %u x "
                             "%u, stride %u x %u or dilation %u x %u is 0",
                             i, tensors[i].kernel[0], tensors[i].kernel[1], tensors[i].stride[0],
                             tensors[i].stride[1], tensors[i].dilation[0], tensors[i].dilation[1]);
        }
        TARE_TRY(window_sizes(totals, &tensors[i], i, err));
    }
    return TARE_OK;
}
