/* SPDX-License-Identifier: Apache-2.0 */
/** MaxPool (with Indices), AveragePool, LpPool: plain loops over any layout and type, for what
 * oneDNN does not do. */
#include <math.h>

#include "cpu/element.h"
#include "cpu/kernels.h"
#include "ops/attrs.h"

typedef struct pool_state pool_state;

/* The elements of one window. */
typedef struct pool_window {
    const void *in;
    int64_t base;                    /* offset of the channel */
    int64_t first[TARE_MAX_SPATIAL]; /* input position of the window's first element */
    int64_t begin[TARE_MAX_SPATIAL], end[TARE_MAX_SPATIAL]; /* window elements inside the input */
} pool_window;

struct pool_state {
    const tare_accessor *element;
    tare_window window;
    int64_t samples, channels;
    int64_t in[TARE_MAX_SPATIAL], out[TARE_MAX_SPATIAL]; /* sizes; trailing ones are 1 */
    int64_t in_strides[TARE_MAX_SPATIAL], out_strides[TARE_MAX_SPATIAL];
    int64_t in_sample, in_channel, out_sample, out_channel;
    int64_t declared_end[TARE_MAX_SPATIAL];
    double p;
    bool count_pads, column_major, wants_indices;
    void (*reduce)(const pool_state *state, const tare_run *run, const pool_window *window,
                   int64_t out);
};

/* Visits the inner elements of a window; position is set to the input position of each. */
static bool next_element(int64_t *k, const pool_window *window) {
    for (int d = TARE_MAX_SPATIAL - 1; d >= 0; d--) {
        if (++k[d] < window->end[d]) {
            return true;
        }
        k[d] = window->begin[d];
    }
    return false;
}

static int64_t element_at(const pool_state *state, const pool_window *window, const int64_t *k) {
    int64_t at = window->base;
    for (int d = 0; d < TARE_MAX_SPATIAL; d++) {
        at += (window->first[d] + k[d] * state->window.dilation[d]) * state->in_strides[d];
    }
    return at;
}

static bool is_empty(const pool_window *window) {
    for (int d = 0; d < TARE_MAX_SPATIAL; d++) {
        if (window->begin[d] >= window->end[d]) {
            return true;
        }
    }
    return false;
}

/* The index that ONNX's Indices output wants: into the whole plain input. */
static int64_t flat_index(const pool_state *state, const pool_window *window, const int64_t *k,
                          int64_t channel) {
    int64_t flat = 0, at[TARE_MAX_SPATIAL];
    for (int d = 0; d < TARE_MAX_SPATIAL; d++) {
        at[d] = window->first[d] + k[d] * state->window.dilation[d];
    }
    for (int i = 0; i < TARE_MAX_SPATIAL; i++) {
        const int d = state->column_major ? TARE_MAX_SPATIAL - 1 - i : i;
        flat = flat * state->in[d] + at[d];
    }
    return channel * state->in[0] * state->in[1] * state->in[2] + flat;
}

static void reduce_max(const pool_state *state, const tare_run *run, const pool_window *window,
                       int64_t out) {
    int64_t k[TARE_MAX_SPATIAL], best[TARE_MAX_SPATIAL];
    double largest = -(double)INFINITY;

    for (int d = 0; d < TARE_MAX_SPATIAL; d++) {
        k[d] = window->begin[d];
        best[d] = k[d];
    }
    if (!is_empty(window)) {
        largest = state->element->real(window->in, element_at(state, window, k));
        while (next_element(k, window)) {
            const double x = state->element->real(window->in, element_at(state, window, k));
            if (x > largest || (isnan(x) && !isnan(largest))) {
                largest = x;
                for (int d = 0; d < TARE_MAX_SPATIAL; d++) {
                    best[d] = k[d];
                }
            }
        }
    }
    state->element->set_real(run->outputs[0], out, largest);
    if (state->wants_indices) {
        /* The channel number comes back from the offset: outputs of this row are plain. */
        const int64_t plane = state->out[0] * state->out[1] * state->out[2];
        ((int64_t *)run->outputs[1])[out] = flat_index(state, window, best, out / plane);
    }
}

/* Window elements that count as present although they lie in the declared padding. */
static int64_t padded_count(const pool_state *state, const pool_window *window) {
    int64_t count = 1;
    for (int d = 0; d < TARE_MAX_SPATIAL; d++) {
        int64_t along = 0;
        for (int64_t k = 0; k < state->window.kernel[d]; k++) {
            const int64_t at = window->first[d] + k * state->window.dilation[d];
            along += at < state->in[d] + state->declared_end[d] ? 1 : 0;
        }
        count *= along;
    }
    return count;
}

static void reduce_average(const pool_state *state, const tare_run *run, const pool_window *window,
                           int64_t out) {
    int64_t k[TARE_MAX_SPATIAL], count = 0;
    double sum = 0.0;

    for (int d = 0; d < TARE_MAX_SPATIAL; d++) {
        k[d] = window->begin[d];
    }
    if (!is_empty(window)) {
        do {
            sum += state->element->real(window->in, element_at(state, window, k));
            count++;
        } while (next_element(k, window));
    }
    count = state->count_pads ? padded_count(state, window) : count;
    state->element->set_real(run->outputs[0], out, count > 0 ? sum / (double)count : 0.0);
}

static void reduce_norm(const pool_state *state, const tare_run *run, const pool_window *window,
                        int64_t out) {
    int64_t k[TARE_MAX_SPATIAL];
    double sum = 0.0;

    for (int d = 0; d < TARE_MAX_SPATIAL; d++) {
        k[d] = window->begin[d];
    }
    if (!is_empty(window)) {
        do {
            const double x = state->element->real(window->in, element_at(state, window, k));
            sum += pow(fabs(x), state->p);
        } while (next_element(k, window));
    }
    state->element->set_real(run->outputs[0], out, pow(sum, 1.0 / state->p));
}

static void set_sizes(pool_state *state, const tare_pool_attrs *attrs, const tare_desc *in,
                      const tare_desc *out) {
    int64_t from[TARE_MAX_RANK], to[TARE_MAX_RANK];

    tare_desc_strides(from, in);
    tare_desc_strides(to, out);
    state->samples = in->dims[0];
    state->channels = in->dims[1];
    state->in_sample = from[0];
    state->in_channel = from[1];
    state->out_sample = to[0];
    state->out_channel = to[1];
    for (int d = 0; d < TARE_MAX_SPATIAL; d++) {
        const bool real = d < state->window.rank;
        state->in[d] = real ? in->dims[d + 2] : 1;
        state->out[d] = real ? out->dims[d + 2] : 1;
        state->in_strides[d] = real ? from[d + 2] : 0;
        state->out_strides[d] = real ? to[d + 2] : 0;
        state->declared_end[d] = real ? attrs->declared_pad_end[d] : 0;
        if (!real) {
            state->window.kernel[d] = 1;
            state->window.stride[d] = 1;
            state->window.dilation[d] = 1;
            state->window.pad_begin[d] = 0;
        }
    }
}

static tare_status pool_prepare(tare_prepare *prepare, tare_error *err) {
    const tare_pool_attrs *attrs = prepare->attrs;
    const tare_desc *in = &prepare->inputs[0], *out = &prepare->outputs[0];
    pool_state *state = prepare->private_data;

    state->element = tare_accessor_of(in->dtype);
    state->window = attrs->window;
    state->p = (double)attrs->p;
    state->count_pads = attrs->count_include_pad;
    state->column_major = attrs->storage_order != 0;
    state->wants_indices = prepare->output_count > 1 && prepare->outputs[1].rank >= 0;
    if (state->element == NULL || in->rank != state->window.rank + 2 ||
        (state->wants_indices && out->layout != TARE_LAYOUT_PLAIN)) {
        return tare_fail(err, TARE_UNSUPPORTED, "pooling of a %s operand of rank %d",
                         tare_dtype_text(in->dtype), in->rank);
    }
    set_sizes(state, attrs, in, out);
    return TARE_OK;
}

static tare_status max_prepare(tare_prepare *prepare, tare_error *err) {
    ((pool_state *)prepare->private_data)->reduce = reduce_max;
    return pool_prepare(prepare, err);
}

static tare_status average_prepare(tare_prepare *prepare, tare_error *err) {
    ((pool_state *)prepare->private_data)->reduce = reduce_average;
    return pool_prepare(prepare, err);
}

static tare_status norm_prepare(tare_prepare *prepare, tare_error *err) {
    ((pool_state *)prepare->private_data)->reduce = reduce_norm;
    return pool_prepare(prepare, err);
}

/* Which of a window's elements lie inside the input, along one axis. */
static void limit(pool_window *window, const pool_state *state, int d, int64_t position) {
    const int64_t dilation = state->window.dilation[d];
    const int64_t first = position * state->window.stride[d] - state->window.pad_begin[d];
    const int64_t below = first < 0 ? (-first + dilation - 1) / dilation : 0;
    const int64_t room = state->in[d] - first;
    const int64_t above = room <= 0 ? 0 : (room + dilation - 1) / dilation;

    window->first[d] = first;
    window->begin[d] = below;
    window->end[d] = above < state->window.kernel[d] ? above : state->window.kernel[d];
}

static tare_status pool_run(const tare_run *run, tare_error *err) {
    const pool_state *state = run->private_data;
    const int64_t plane = state->out[0] * state->out[1] * state->out[2];

    TARE_UNUSED(err);
    for (int64_t nc = 0; nc < state->samples * state->channels; nc++) {
        const int64_t n = nc / state->channels, c = nc % state->channels;
        pool_window window = {.in = run->inputs[0],
                              .base = n * state->in_sample + c * state->in_channel};
        for (int64_t i = 0; i < plane; i++) {
            const int64_t at[TARE_MAX_SPATIAL] = {i / (state->out[1] * state->out[2]),
                                                  i / state->out[2] % state->out[1],
                                                  i % state->out[2]};
            int64_t out = n * state->out_sample + c * state->out_channel;
            for (int d = 0; d < TARE_MAX_SPATIAL; d++) {
                limit(&window, state, d, at[d]);
                out += at[d] * state->out_strides[d];
            }
            state->reduce(state, run, &window, out);
        }
    }
    return TARE_OK;
}

#define KERNEL(text, rule, function)                                                               \
    {                                                                                              \
        .name = text, .private_size = sizeof(pool_state), .layout = rule, .prepare = function,     \
        .run = pool_run                                                                            \
    }

static const tare_kernel rows[] = {
    KERNEL("MaxPool", TARE_LAYOUT_RULE_PLAIN, max_prepare),
    KERNEL("AveragePool", TARE_LAYOUT_RULE_FOLLOW, average_prepare),
    KERNEL("LpPool", TARE_LAYOUT_RULE_FOLLOW, norm_prepare),
};

const tare_kernel_table tare_cpu_pool_table = {rows, sizeof rows / sizeof rows[0]};
