/* SPDX-License-Identifier: Apache-2.0 */
/**
 * LSTM, GRU and RNN with ONNX's default activations.
 *
 * Weights are turned so that one input element scales one contiguous row of all gates: at prepare
 * when they are constant, else in scratch memory at every run.
 */
#include <stdlib.h>
#include <string.h>

#include "cpu/kernels.h"
#include "cpu/vector.h"
#include "ops/attrs.h"

enum { PORT_X, PORT_W, PORT_R, PORT_B, PORT_LENGTHS, PORT_H, PORT_C, PORT_P, PORT_COUNT };

typedef struct rnn_state rnn_state;

/* What a cell works on: one sample, one step, one direction. */
typedef struct rnn_step {
    float *gates;    /* x W + input bias; hidden * gate_count */
    float *hidden_h; /* GRU: h R + recurrent bias, the same shape */
    float *h, *c;
    const float *recurrent; /* turned R: hidden rows of hidden * gate_count */
    const float *bias;      /* recurrent bias, or NULL */
    const float *peephole;  /* LSTM: P of this direction, or NULL */
} rnn_step;

typedef void (*rnn_cell)(const rnn_state *state, const rnn_step *step);

struct rnn_state {
    const tare_vector *vector;
    rnn_cell cell;
    int64_t steps, batch, input, hidden, gates, directions;
    bool has[PORT_COUNT], wants[3];
    bool batch_first, input_forget, reset_after, reverse_only;
    float clip;    /* 0: none */
    float *turned; /* weights of all directions, or NULL when they are not constant */
};

static size_t turned_floats(const rnn_state *state) {
    return (size_t)(state->directions * state->gates * state->hidden *
                    (state->input + state->hidden));
}

/* out[k][g] = in[g][k] */
static void turn(float *out, const float *in, int64_t rows, int64_t columns) {
    for (int64_t row = 0; row < rows; row++) {
        for (int64_t column = 0; column < columns; column++) {
            out[column * rows + row] = in[row * columns + column];
        }
    }
}

/* Per direction: W then R, both turned. */
static void turn_weights(float *out, const rnn_state *state, const float *w, const float *r) {
    const int64_t rows = state->gates * state->hidden;
    for (int64_t d = 0; d < state->directions; d++) {
        turn(out, w + d * rows * state->input, rows, state->input);
        out += rows * state->input;
        turn(out, r + d * rows * state->hidden, rows, state->hidden);
        out += rows * state->hidden;
    }
}

static void clip(const rnn_state *state, float *values, int64_t count) {
    if (state->clip > 0.0F) {
        state->vector->unary[TARE_UNARY_CLIP](values, values, count, -state->clip, state->clip);
    }
}

static void squash(const rnn_state *state, tare_unary function, float *values, int64_t count) {
    clip(state, values, count);
    state->vector->unary[function](values, values, count, 0.0F, 0.0F);
}

/* out += h R over the gates [first, first + count). */
static void add_recurrent(const rnn_state *state, float *out, const rnn_step *step, int64_t first,
                          int64_t count) {
    const int64_t size = state->hidden, width = state->gates * size;
    const int64_t dims[2] = {size, width};
    state->vector->add_product(out, step->h, step->recurrent + first * size, dims, count * size);
    for (int64_t i = 0; step->bias != NULL && i < count * size; i++) {
        out[i] += step->bias[first * size + i];
    }
}

static void add_peephole(float *gate, const float *weight, const float *c, int64_t count) {
    for (int64_t i = 0; weight != NULL && i < count; i++) {
        gate[i] += weight[i] * c[i];
    }
}

/* Gates: input, output, forget, cell. */
static void lstm_cell(const rnn_state *state, const rnn_step *step) {
    const int64_t n = state->hidden;
    float *i = step->gates, *o = i + n, *f = o + n, *c = f + n;
    const float *p = step->peephole;

    add_recurrent(state, step->gates, step, 0, 4);
    add_peephole(i, p, step->c, n);
    add_peephole(f, p == NULL ? NULL : p + 2 * n, step->c, n);
    squash(state, TARE_UNARY_SIGMOID, i, n);
    squash(state, TARE_UNARY_SIGMOID, f, n);
    squash(state, TARE_UNARY_TANH, c, n);
    for (int64_t k = 0; k < n; k++) {
        const float forget = state->input_forget ? 1.0F - i[k] : f[k];
        step->c[k] = forget * step->c[k] + i[k] * c[k];
    }
    add_peephole(o, p == NULL ? NULL : p + n, step->c, n);
    squash(state, TARE_UNARY_SIGMOID, o, n);
    /* c is free now: it takes tanh of the new cell state. */
    state->vector->unary[TARE_UNARY_TANH](c, step->c, n, 0.0F, 0.0F);
    for (int64_t k = 0; k < n; k++) {
        step->h[k] = o[k] * c[k];
    }
}

/* Gates: update, reset, hidden. */
static void gru_cell(const rnn_state *state, const rnn_step *step) {
    const int64_t n = state->hidden;
    float *z = step->gates, *r = z + n, *g = r + n, *extra = step->hidden_h;

    add_recurrent(state, z, step, 0, 2);
    squash(state, TARE_UNARY_SIGMOID, z, 2 * n);
    memset(extra, 0, (size_t)n * sizeof *extra);
    if (state->reset_after) {
        add_recurrent(state, extra, step, 2, 1);
        for (int64_t k = 0; k < n; k++) {
            g[k] += r[k] * extra[k];
        }
    } else {
        rnn_step reset = *step;
        reset.h = extra + n;
        for (int64_t k = 0; k < n; k++) {
            reset.h[k] = r[k] * step->h[k];
        }
        add_recurrent(state, g, &reset, 2, 1);
    }
    squash(state, TARE_UNARY_TANH, g, n);
    for (int64_t k = 0; k < n; k++) {
        step->h[k] = (1.0F - z[k]) * g[k] + z[k] * step->h[k];
    }
}

static void plain_cell(const rnn_state *state, const rnn_step *step) {
    add_recurrent(state, step->gates, step, 0, 1);
    squash(state, TARE_UNARY_TANH, step->gates, state->hidden);
    memcpy(step->h, step->gates, (size_t)state->hidden * sizeof(float));
}

static tare_status rnn_check(const rnn_state *state, const tare_prepare *prepare, tare_error *err) {
    const int64_t rows = state->gates * state->hidden, d = state->directions;
    const int64_t counts[PORT_COUNT] = {state->steps * state->batch * state->input,
                                        d * rows * state->input,
                                        d * rows * state->hidden,
                                        d * 2 * rows,
                                        state->batch,
                                        d * state->batch * state->hidden,
                                        d * state->batch * state->hidden,
                                        d * 3 * state->hidden};
    for (size_t port = 0; port < PORT_COUNT; port++) {
        const tare_desc *in = &prepare->inputs[port];
        if (!state->has[port]) {
            continue;
        }
        if (in->dtype != (port == PORT_LENGTHS ? TARE_DTYPE_INT32 : TARE_DTYPE_FLOAT)) {
            return tare_fail(err, TARE_UNSUPPORTED, "input %zu of type %s is not supported", port,
                             tare_dtype_text(in->dtype));
        }
        if (tare_desc_count(in) != counts[port]) {
            return tare_fail(err, TARE_INVALID_MODEL, "input %zu has %lld elements, expected %lld",
                             port, (long long)tare_desc_count(in), (long long)counts[port]);
        }
    }
    return TARE_OK;
}

static tare_status rnn_prepare(tare_prepare *prepare, rnn_cell cell, int64_t gates,
                               tare_error *err) {
    const tare_rnn_attrs *attrs = prepare->attrs;
    const tare_desc *x = &prepare->inputs[PORT_X];
    rnn_state *state = prepare->private_data;
    size_t floats;

    for (size_t i = 0; i < PORT_COUNT; i++) {
        state->has[i] = i < prepare->input_count && prepare->inputs[i].rank >= 0;
    }
    for (size_t i = 0; i < 3; i++) {
        state->wants[i] = i < prepare->output_count && prepare->outputs[i].rank >= 0;
    }
    if (!state->has[PORT_X] || !state->has[PORT_W] || !state->has[PORT_R] || x->rank != 3 ||
        prepare->inputs[PORT_R].rank != 3) {
        return tare_fail(err, TARE_INVALID_MODEL, "input of rank %d, expected 3", x->rank);
    }
    state->vector = tare_vector_best();
    state->cell = cell;
    state->gates = gates;
    state->batch_first = attrs->layout != 0;
    state->steps = x->dims[state->batch_first ? 1 : 0];
    state->batch = x->dims[state->batch_first ? 0 : 1];
    state->input = x->dims[2];
    state->hidden = prepare->inputs[PORT_R].dims[2];
    state->directions = attrs->direction == TARE_RNN_BIDIRECTIONAL ? 2 : 1;
    state->reverse_only = attrs->direction == TARE_RNN_REVERSE;
    state->input_forget = attrs->input_forget != 0;
    state->reset_after = attrs->linear_before_reset != 0;
    state->clip = attrs->clip;
    TARE_TRY(rnn_check(state, prepare, err));
    floats = (size_t)(state->hidden * (state->gates + 4));
    if (prepare->constants[PORT_W] != NULL && prepare->constants[PORT_R] != NULL) {
        prepare->weight_bytes = turned_floats(state) * sizeof(float);
        state->turned = malloc(prepare->weight_bytes + 1);
        if (state->turned == NULL) {
            return tare_fail_memory(err, prepare->weight_bytes, "weights");
        }
        turn_weights(state->turned, state, prepare->constants[PORT_W]->data,
                     prepare->constants[PORT_R]->data);
    } else {
        floats += turned_floats(state);
    }
    prepare->scratch_bytes = floats * sizeof(float);
    return TARE_OK;
}

static tare_status prepare_lstm(tare_prepare *prepare, tare_error *err) {
    return rnn_prepare(prepare, lstm_cell, 4, err);
}

static tare_status prepare_gru(tare_prepare *prepare, tare_error *err) {
    return rnn_prepare(prepare, gru_cell, 3, err);
}

static tare_status prepare_rnn(tare_prepare *prepare, tare_error *err) {
    return rnn_prepare(prepare, plain_cell, 1, err);
}

/* Where direction d of sample b stands in Y_h, Y_c, initial_h and initial_c. */
static int64_t state_offset(const rnn_state *state, int64_t d, int64_t b) {
    return (state->batch_first ? b * state->directions + d : d * state->batch + b) * state->hidden;
}

static float *y_at(const rnn_state *state, const tare_run *run, int64_t t, int64_t d, int64_t b) {
    const int64_t row = state->batch_first ? (b * state->steps + t) * state->directions + d
                                           : (t * state->directions + d) * state->batch + b;
    return (float *)run->outputs[0] + row * state->hidden;
}

static void load(float *out, const float *in, int64_t offset, int64_t count) {
    if (in == NULL) {
        memset(out, 0, (size_t)count * sizeof *out);
    } else {
        memcpy(out, in + offset, (size_t)count * sizeof *out);
    }
}

/* One direction of one sample. */
static void run_sequence(const rnn_state *state, const tare_run *run, const float *turned,
                         int64_t d, int64_t b) {
    const int64_t n = state->hidden, width = state->gates * n;
    const int64_t dims[2] = {state->input, width};
    const bool backwards = d == 1 || state->reverse_only;
    const int32_t *lengths = state->has[PORT_LENGTHS] ? run->inputs[PORT_LENGTHS] : NULL;
    const int64_t asked = lengths == NULL ? state->steps : lengths[b];
    const int64_t length = asked < 0 ? 0 : (asked > state->steps ? state->steps : asked);
    const float *weights = turned + d * width * (state->input + n);
    const float *bias =
        state->has[PORT_B] ? (const float *)run->inputs[PORT_B] + d * 2 * width : NULL;
    float *memory = run->scratch;
    const rnn_step step = {
        .gates = memory + 2 * n,
        .hidden_h = memory + 2 * n + width,
        .h = memory,
        .c = memory + n,
        .recurrent = weights + width * state->input,
        .bias = bias == NULL ? NULL : bias + width,
        .peephole = state->has[PORT_P] ? (const float *)run->inputs[PORT_P] + d * 3 * n : NULL};

    load(step.h, state->has[PORT_H] ? run->inputs[PORT_H] : NULL, state_offset(state, d, b), n);
    load(step.c, state->has[PORT_C] ? run->inputs[PORT_C] : NULL, state_offset(state, d, b), n);
    for (int64_t i = 0; i < length; i++) {
        const int64_t t = backwards ? length - 1 - i : i;
        const float *x =
            (const float *)run->inputs[PORT_X] +
            (state->batch_first ? b * state->steps + t : t * state->batch + b) * state->input;
        load(step.gates, bias, 0, width);
        state->vector->add_product(step.gates, x, weights, dims, width);
        state->cell(state, &step);
        if (state->wants[0]) {
            memcpy(y_at(state, run, t, d, b), step.h, (size_t)n * sizeof(float));
        }
    }
    for (int64_t t = length; state->wants[0] && t < state->steps; t++) {
        memset(y_at(state, run, t, d, b), 0, (size_t)n * sizeof(float));
    }
    if (state->wants[1]) {
        memcpy((float *)run->outputs[1] + state_offset(state, d, b), step.h,
               (size_t)n * sizeof(float));
    }
    if (state->wants[2]) {
        memcpy((float *)run->outputs[2] + state_offset(state, d, b), step.c,
               (size_t)n * sizeof(float));
    }
}

static tare_status rnn_run(const tare_run *run, tare_error *err) {
    const rnn_state *state = run->private_data;
    const float *turned = state->turned;

    TARE_UNUSED(err);
    if (turned == NULL) {
        float *memory = (float *)run->scratch + state->hidden * (state->gates + 4);
        turn_weights(memory, state, run->inputs[PORT_W], run->inputs[PORT_R]);
        turned = memory;
    }
    for (int64_t d = 0; d < state->directions; d++) {
        for (int64_t b = 0; b < state->batch; b++) {
            run_sequence(state, run, turned, d, b);
        }
    }
    return TARE_OK;
}

static void rnn_release(void *private_data) {
    free(((rnn_state *)private_data)->turned);
}

#define KERNEL(text, function)                                                                     \
    {                                                                                              \
        .name = text, .private_size = sizeof(rnn_state), .layout = TARE_LAYOUT_RULE_PLAIN,         \
        .prepare = function, .run = rnn_run, .release = rnn_release                                \
    }

static const tare_kernel rows[] = {
    KERNEL("LSTM", prepare_lstm),
    KERNEL("GRU", prepare_gru),
    KERNEL("RNN", prepare_rnn),
};

const tare_kernel_table tare_cpu_rnn_table = {rows, sizeof rows / sizeof rows[0]};
