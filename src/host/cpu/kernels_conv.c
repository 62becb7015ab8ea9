/* SPDX-License-Identifier: Apache-2.0 */
/** Conv, ConvTranspose, MatMul, Gemm in plain loops over any layout: the reference, and what runs
 * where oneDNN refuses. Sums are taken in double. */

#include "cpu/kernels.h"
#include "ops/attrs.h"

typedef struct conv_state {
    tare_desc x, w, y;
    tare_window window;
    int64_t group;
    int64_t x_strides[TARE_MAX_RANK], w_strides[TARE_MAX_RANK], y_strides[TARE_MAX_RANK];
    bool has_bias;
} conv_state;

static tare_status conv_prepare(tare_prepare *prepare, tare_error *err) {
    const tare_conv_attrs *attrs = prepare->attrs;
    conv_state *state = prepare->private_data;

    state->x = prepare->inputs[0];
    state->w = prepare->inputs[1];
    state->y = prepare->outputs[0];
    state->window = attrs->window;
    state->group = attrs->group;
    state->has_bias = prepare->input_count > 2 && prepare->inputs[2].rank >= 0;
    if (state->x.dtype != TARE_DTYPE_FLOAT || state->w.dtype != TARE_DTYPE_FLOAT ||
        state->x.rank != state->window.rank + 2) {
        return tare_fail(err, TARE_UNSUPPORTED, "convolution of a %s operand of rank %d",
                         tare_dtype_text(state->x.dtype), state->x.rank);
    }
    tare_desc_strides(state->x_strides, &state->x);
    tare_desc_strides(state->w_strides, &state->w);
    tare_desc_strides(state->y_strides, &state->y);
    return TARE_OK;
}

/* Steps a position of `rank` axes; false after the last. */
static bool advance(int64_t *at, const int64_t *sizes, int rank) {
    for (int d = rank - 1; d >= 0; d--) {
        if (++at[d] < sizes[d]) {
            return true;
        }
        at[d] = 0;
    }
    return false;
}

/* Input offset that kernel element k adds to output position `at`; false outside. */
static bool conv_source(int64_t *offset, const conv_state *state, const int64_t *at,
                        const int64_t *k) {
    const tare_window *window = &state->window;
    *offset = 0;
    for (int d = 0; d < window->rank; d++) {
        const int64_t x =
            at[d] * window->stride[d] - window->pad_begin[d] + k[d] * window->dilation[d];
        if (x < 0 || x >= state->x.dims[d + 2]) {
            return false;
        }
        *offset += x * state->x_strides[d + 2];
    }
    return true;
}

/* The same for the transposed convolution: output = stride * input + kernel - pad. */
static bool transpose_source(int64_t *offset, const conv_state *state, const int64_t *at,
                             const int64_t *k) {
    const tare_window *window = &state->window;
    *offset = 0;
    for (int d = 0; d < window->rank; d++) {
        const int64_t scaled = at[d] + window->pad_begin[d] - k[d] * window->dilation[d];
        if (scaled < 0 || scaled % window->stride[d] != 0 ||
            scaled / window->stride[d] >= state->x.dims[d + 2]) {
            return false;
        }
        *offset += scaled / window->stride[d] * state->x_strides[d + 2];
    }
    return true;
}

typedef bool (*source_function)(int64_t *offset, const conv_state *state, const int64_t *at,
                                const int64_t *k);

/* One output element. `in_axis` is the axis of the weights that input channels run along. */
typedef struct conv_point {
    const float *x, *w; /* at the sample and group; at the output channel */
    int64_t channels, in_axis;
    source_function source;
} conv_point;

static double conv_sum(const conv_state *state, const conv_point *point, const int64_t *at) {
    int64_t k[TARE_MAX_SPATIAL] = {0};
    double sum = 0.0;

    do {
        int64_t offset, weight = 0;
        if (!point->source(&offset, state, at, k)) {
            continue;
        }
        for (int d = 0; d < state->window.rank; d++) {
            weight += k[d] * state->w_strides[d + 2];
        }
        for (int64_t c = 0; c < point->channels; c++) {
            sum += (double)point->x[offset + c * state->x_strides[1]] *
                   (double)point->w[weight + c * state->w_strides[point->in_axis]];
        }
    } while (advance(k, state->window.kernel, state->window.rank));
    return sum;
}

static void conv_channel(const conv_state *state, const tare_run *run, const conv_point *point,
                         int64_t n, int64_t m) {
    float *y = (float *)run->outputs[0] + n * state->y_strides[0] + m * state->y_strides[1];
    const double bias = state->has_bias ? (double)((const float *)run->inputs[2])[m] : 0.0;
    int64_t at[TARE_MAX_SPATIAL] = {0};

    do {
        int64_t offset = 0;
        for (int d = 0; d < state->window.rank; d++) {
            offset += at[d] * state->y_strides[d + 2];
        }
        y[offset] = (float)(conv_sum(state, point, at) + bias);
    } while (advance(at, state->y.dims + 2, state->window.rank));
}

static tare_status conv_run(const tare_run *run, tare_error *err) {
    const conv_state *state = run->private_data;
    const int64_t outputs = state->y.dims[1], per_group = outputs / state->group;

    TARE_UNUSED(err);
    if (tare_desc_count(&state->y) == 0) {
        return TARE_OK;
    }
    for (int64_t i = 0; i < state->y.dims[0] * outputs; i++) {
        const int64_t n = i / outputs, m = i % outputs, channels = state->w.dims[1];
        const conv_point point = {.x = (const float *)run->inputs[0] + n * state->x_strides[0] +
                                       m / per_group * channels * state->x_strides[1],
                                  .w = (const float *)run->inputs[1] + m * state->w_strides[0],
                                  .channels = channels,
                                  .in_axis = 1,
                                  .source = conv_source};
        conv_channel(state, run, &point, n, m);
    }
    return TARE_OK;
}

static tare_status transpose_run(const tare_run *run, tare_error *err) {
    const conv_state *state = run->private_data;
    const int64_t outputs = state->y.dims[1], per_group = outputs / state->group;

    TARE_UNUSED(err);
    if (tare_desc_count(&state->y) == 0) {
        return TARE_OK;
    }
    for (int64_t i = 0; i < state->y.dims[0] * outputs; i++) {
        const int64_t n = i / outputs, m = i % outputs;
        const int64_t channels = state->x.dims[1] / state->group, g = m / per_group;
        const conv_point point = {.x = (const float *)run->inputs[0] + n * state->x_strides[0] +
                                       g * channels * state->x_strides[1],
                                  .w = (const float *)run->inputs[1] +
                                       g * channels * state->w_strides[0] +
                                       m % per_group * state->w_strides[1],
                                  .channels = channels,
                                  .in_axis = 0,
                                  .source = transpose_source};
        conv_channel(state, run, &point, n, m);
    }
    return TARE_OK;
}

/* One matrix product of a batch. */
typedef struct matmul_state {
    tare_desc a, b, y;
    int64_t rows, depth, columns, batches;
    int64_t a_row, a_column, b_row, b_column; /* strides */
    int64_t c_row, c_column;                  /* of Gemm's third operand; 0 where it is spread */
    double alpha, beta;
    bool has_c;
} matmul_state;

static tare_status check_floats(const tare_prepare *prepare, tare_error *err) {
    for (size_t i = 0; i < prepare->input_count; i++) {
        if (prepare->inputs[i].rank >= 0 && prepare->inputs[i].dtype != TARE_DTYPE_FLOAT) {
            return tare_fail(err, TARE_UNSUPPORTED, "element type %s is not supported",
                             tare_dtype_text(prepare->inputs[i].dtype));
        }
    }
    return TARE_OK;
}

static tare_status matmul_prepare(tare_prepare *prepare, tare_error *err) {
    matmul_state *state = prepare->private_data;
    const tare_desc *a = &prepare->inputs[0], *b = &prepare->inputs[1];

    TARE_TRY(check_floats(prepare, err));
    state->a = *a;
    state->b = *b;
    state->y = prepare->outputs[0];
    state->rows = a->rank > 1 ? a->dims[a->rank - 2] : 1;
    state->depth = a->dims[a->rank - 1];
    state->columns = b->rank > 1 ? b->dims[b->rank - 1] : 1;
    state->a_row = state->depth;
    state->a_column = 1;
    state->b_row = state->columns;
    state->b_column = 1;
    state->alpha = 1.0;
    state->batches = state->rows * state->columns > 0
                         ? tare_desc_count(&state->y) / (state->rows * state->columns)
                         : 0;
    return TARE_OK;
}

static tare_status gemm_prepare(tare_prepare *prepare, tare_error *err) {
    const tare_gemm_attrs *attrs = prepare->attrs;
    matmul_state *state = prepare->private_data;
    const tare_desc *a = &prepare->inputs[0], *b = &prepare->inputs[1];

    TARE_TRY(check_floats(prepare, err));
    state->a = *a;
    state->b = *b;
    state->y = prepare->outputs[0];
    state->batches = 1;
    state->rows = state->y.dims[0];
    state->columns = state->y.dims[1];
    state->depth = a->dims[attrs->trans_a ? 0 : 1];
    state->a_row = attrs->trans_a ? 1 : a->dims[1];
    state->a_column = attrs->trans_a ? a->dims[1] : 1;
    state->b_row = attrs->trans_b ? 1 : b->dims[1];
    state->b_column = attrs->trans_b ? b->dims[1] : 1;
    state->alpha = (double)attrs->alpha;
    state->beta = (double)attrs->beta;
    state->has_c = prepare->input_count > 2 && prepare->inputs[2].rank >= 0;
    if (state->has_c) {
        const tare_desc *c = &prepare->inputs[2];
        const int64_t columns = c->rank > 0 ? c->dims[c->rank - 1] : 1;
        state->c_column = columns == 1 ? 0 : 1;
        state->c_row = c->rank < 2 || c->dims[0] == 1 ? 0 : columns;
    }
    return TARE_OK;
}

/* Offset of batch `index` of the output in an operand whose leading axes are broadcast. */
static int64_t batch_offset(const matmul_state *state, const tare_desc *operand, int64_t index,
                            int64_t matrix) {
    const int missing = (state->a.rank == 1 ? 1 : 0) + (state->b.rank == 1 ? 1 : 0);
    int64_t offset = 0, stride = matrix;

    for (int axis = state->y.rank - 3 + missing, own = operand->rank - 3; axis >= 0 && own >= 0;
         axis--, own--) {
        const int64_t size = operand->dims[own];
        offset += size == 1 ? 0 : index % state->y.dims[axis] * stride;
        stride *= size;
        index /= state->y.dims[axis];
    }
    return offset;
}

static tare_status matmul_run(const tare_run *run, tare_error *err) {
    const matmul_state *state = run->private_data;
    float *y = run->outputs[0];

    TARE_UNUSED(err);
    for (int64_t batch = 0; batch < state->batches; batch++) {
        const float *a = (const float *)run->inputs[0] +
                         batch_offset(state, &state->a, batch, state->rows * state->depth);
        const float *b = (const float *)run->inputs[1] +
                         batch_offset(state, &state->b, batch, state->depth * state->columns);
        for (int64_t i = 0; i < state->rows * state->columns; i++) {
            const int64_t row = i / state->columns, column = i % state->columns;
            double sum = 0.0;
            for (int64_t k = 0; k < state->depth; k++) {
                sum += (double)a[row * state->a_row + k * state->a_column] *
                       (double)b[k * state->b_row + column * state->b_column];
            }
            sum *= state->alpha;
            if (state->has_c) {
                const float *c = run->inputs[2];
                sum += state->beta * (double)c[row * state->c_row + column * state->c_column];
            }
            *y++ = (float)sum;
        }
    }
    return TARE_OK;
}

#define KERNEL(text, state, rule, prepare_function, run_function)                                  \
    {                                                                                              \
        .name = text, .private_size = sizeof(state), .layout = rule, .prepare = prepare_function,  \
        .run = run_function                                                                        \
    }

static const tare_kernel rows[] = {
    KERNEL("Conv", conv_state, TARE_LAYOUT_RULE_FOLLOW, conv_prepare, conv_run),
    KERNEL("ConvTranspose", conv_state, TARE_LAYOUT_RULE_FOLLOW, conv_prepare, transpose_run),
    KERNEL("MatMul", matmul_state, TARE_LAYOUT_RULE_PLAIN, matmul_prepare, matmul_run),
    KERNEL("Gemm", matmul_state, TARE_LAYOUT_RULE_PLAIN, gemm_prepare, matmul_run),
};

const tare_kernel_table tare_cpu_conv_table = {rows, sizeof rows / sizeof rows[0]};
