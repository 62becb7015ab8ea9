/* SPDX-License-Identifier: Apache-2.0 */
/** Windows of convolutions and pools. */
#include "ops/window.h"

const char *const tare_auto_pad_texts[] = {"NOTSET", "SAME_UPPER", "SAME_LOWER", "VALID", NULL};

/* One list of the file with its bounds and the number it holds when it is absent. */
typedef struct list_rule {
    const char *name;
    const tare_ints *list;
    int64_t low, absent;
} list_rule;

static tare_status read_list(int64_t *out, int count, const list_rule *rule, tare_error *err) {
    if (rule->list->values != NULL && rule->list->count != (size_t)count) {
        return tare_fail(err, TARE_INVALID_MODEL, "%s has %zu numbers, expected %d", rule->name,
                         rule->list->count, count);
    }
    for (int i = 0; i < count; i++) {
        out[i] = rule->list->values == NULL ? rule->absent : rule->list->values[i];
        if (out[i] < rule->low || out[i] > TARE_WINDOW_LIMIT) {
            return tare_fail(err, TARE_INVALID_MODEL, "%s holds %lld, expected %lld or more",
                             rule->name, (long long)out[i], (long long)rule->low);
        }
    }
    return TARE_OK;
}

tare_status tare_window_read(tare_window *window, int rank, const tare_window_lists *lists,
                             int auto_pad, tare_error *err) {
    const list_rule kernel = {"kernel_shape", lists->kernel_shape, 1, 1};
    const list_rule stride = {"strides", lists->strides, 1, 1};
    const list_rule dilation = {"dilations", lists->dilations, 1, 1};
    const list_rule padding = {"pads", lists->pads, 0, 0};
    int64_t pads[2 * TARE_MAX_SPATIAL];

    if (rank < 1 || rank > TARE_MAX_SPATIAL) {
        return tare_fail(err, TARE_UNSUPPORTED, "%d spatial dims; supported are 1 to %d", rank,
                         TARE_MAX_SPATIAL);
    }
    window->rank = rank;
    TARE_TRY(read_list(window->kernel, rank, &kernel, err));
    TARE_TRY(read_list(window->stride, rank, &stride, err));
    TARE_TRY(read_list(window->dilation, rank, &dilation, err));
    TARE_TRY(read_list(pads, 2 * rank, &padding, err));
    for (int i = 0; i < rank; i++) {
        /* Converters write stale pads beside automatic padding; the latter counts. */
        const bool given = auto_pad == TARE_PAD_NOTSET;
        window->pad_begin[i] = given ? pads[i] : 0;
        window->pad_end[i] = given ? pads[rank + i] : 0;
        if (tare_window_extent(window, i) > TARE_WINDOW_LIMIT) {
            return tare_fail(err, TARE_INVALID_MODEL,
                             "a kernel of %lld with dilation %lld is too large",
                             (long long)window->kernel[i], (long long)window->dilation[i]);
        }
    }
    return TARE_OK;
}

int64_t tare_window_extent(const tare_window *window, int i) {
    return (window->kernel[i] - 1) * window->dilation[i] + 1;
}

void tare_window_pad(tare_window *window, int i, int64_t in, int auto_pad) {
    int64_t positions, total;
    if (auto_pad != TARE_PAD_SAME_UPPER && auto_pad != TARE_PAD_SAME_LOWER) {
        return;
    }
    positions = (in - 1) / window->stride[i] + 1;
    total = (positions - 1) * window->stride[i] + tare_window_extent(window, i) - in;
    if (total < 0) {
        total = 0;
    }
    window->pad_begin[i] = auto_pad == TARE_PAD_SAME_UPPER ? total / 2 : total - total / 2;
    window->pad_end[i] = total - window->pad_begin[i];
}

tare_status tare_window_positions(int64_t *out, const tare_window *window, int i, int64_t in,
                                  bool ceil_mode, tare_error *err) {
    const int64_t extent = tare_window_extent(window, i);
    const int64_t padded = in + window->pad_begin[i] + window->pad_end[i];
    const int64_t stride = window->stride[i];
    int64_t positions;

    if (in < 1 || in > TARE_WINDOW_LIMIT || padded < extent) {
        return tare_fail(err, TARE_INVALID_MODEL,
                         "the window of %lld does not fit into spatial dim %d of the input: %lld "
                         "with padding %lld and %lld",
                         (long long)extent, i, (long long)in, (long long)window->pad_begin[i],
                         (long long)window->pad_end[i]);
    }
    positions = (padded - extent) / stride + 1;
    if (ceil_mode && (padded - extent) % stride != 0 &&
        positions * stride < in + window->pad_begin[i]) {
        positions++;
    }
    *out = positions;
    return TARE_OK;
}
