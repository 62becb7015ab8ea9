/* SPDX-License-Identifier: Apache-2.0 */
/** Normalisations. Means and variances are summed in double, the variance around the mean. */
#include <math.h>

#include "cpu/kernels.h"
#include "cpu/vector.h"
#include "exec/nest.h"
#include "ops/attrs.h"

/* An operand seen as samples x channels x positions. */
typedef struct norm_state {
    const tare_vector *vector;
    int64_t samples, channels, positions, groups;
    bool last;          /* channels are innermost in memory */
    bool group_weights; /* scale and bias have one element per group */
    bool has_bias;      /* LayerNormalization */
    bool wants[2];      /* LayerNormalization: mean, inverse deviation */
    float epsilon;
} norm_state;

static tare_status norm_init(norm_state *state, const tare_prepare *prepare, tare_error *err) {
    const tare_desc *in = &prepare->inputs[0];

    for (size_t i = 0; i < prepare->input_count; i++) {
        if (prepare->inputs[i].rank >= 0 && prepare->inputs[i].dtype != TARE_DTYPE_FLOAT) {
            return tare_fail(err, TARE_UNSUPPORTED, "element type %s is not supported",
                             tare_dtype_text(prepare->inputs[i].dtype));
        }
    }
    if (in->layout != prepare->outputs[0].layout) {
        return tare_fail(err, TARE_UNSUPPORTED, "input and output have different layouts");
    }
    state->vector = tare_vector_best();
    state->samples = in->rank > 0 ? in->dims[0] : 1;
    state->channels = in->rank > 1 ? in->dims[1] : 1;
    state->positions = 1;
    for (int axis = 2; axis < in->rank; axis++) {
        state->positions *= in->dims[axis];
    }
    state->last = state->positions == 1 || in->layout == TARE_LAYOUT_CHANNELS_LAST;
    return TARE_OK;
}

/* y = x scale[c] + shift[c] over one sample. */
static void apply(const norm_state *state, float *out, const float *in, const float *scale,
                  const float *shift) {
    if (state->last) {
        for (int64_t p = 0; p < state->positions; p++) {
            state->vector->affine(out + p * state->channels, in + p * state->channels, scale, shift,
                                  state->channels);
        }
        return;
    }
    for (int64_t c = 0; c < state->channels; c++) {
        const int64_t at = c * state->positions;
        state->vector->affine_scalar(out + at, in + at, scale[c], shift[c], state->positions);
    }
}

static tare_status batch_prepare(tare_prepare *prepare, tare_error *err) {
    const tare_norm_attrs *attrs = prepare->attrs;
    norm_state *state = prepare->private_data;

    TARE_TRY(norm_init(state, prepare, err));
    for (size_t i = 1; i < 5; i++) {
        if (prepare->input_count < 5 || tare_desc_count(&prepare->inputs[i]) != state->channels) {
            return tare_fail(err, TARE_INVALID_MODEL, "parameter %zu does not have %lld elements",
                             i, (long long)state->channels);
        }
    }
    state->epsilon = attrs->epsilon;
    prepare->scratch_bytes = (size_t)state->channels * 2 * sizeof(float);
    return TARE_OK;
}

static tare_status batch_run(const tare_run *run, tare_error *err) {
    const norm_state *state = run->private_data;
    const float *gamma = run->inputs[1], *beta = run->inputs[2], *mean = run->inputs[3],
                *variance = run->inputs[4];
    const int64_t size = state->channels * state->positions;
    float *scale = run->scratch, *shift = scale + state->channels;

    TARE_UNUSED(err);
    for (int64_t c = 0; c < state->channels; c++) {
        const double factor = (double)gamma[c] / sqrt((double)variance[c] + (double)state->epsilon);
        scale[c] = (float)factor;
        shift[c] = (float)((double)beta[c] - (double)mean[c] * factor);
    }
    for (int64_t n = 0; n < state->samples; n++) {
        apply(state, (float *)run->outputs[0] + n * size, (const float *)run->inputs[0] + n * size,
              scale, shift);
    }
    return TARE_OK;
}

/* Instance and group normalisation: the channels of a sample in groups, each with its own mean. */
static tare_status groups_prepare(tare_prepare *prepare, int64_t groups, tare_error *err) {
    const tare_norm_attrs *attrs = prepare->attrs;
    norm_state *state = prepare->private_data;
    int64_t weights;

    TARE_TRY(norm_init(state, prepare, err));
    state->epsilon = attrs->epsilon;
    state->groups = groups == 0 ? state->channels : groups;
    weights = tare_desc_count(&prepare->inputs[1]);
    state->group_weights = weights == state->groups && weights != state->channels;
    if (state->groups <= 0 || state->channels % state->groups != 0 ||
        (weights != state->channels && weights != state->groups) ||
        tare_desc_count(&prepare->inputs[2]) != weights) {
        return tare_fail(err, TARE_INVALID_MODEL,
                         "%lld channels in %lld groups with %lld scale elements",
                         (long long)state->channels, (long long)state->groups, (long long)weights);
    }
    prepare->scratch_bytes = (size_t)state->channels * (2 * sizeof(double) + 2 * sizeof(float));
    return TARE_OK;
}

static tare_status instance_prepare(tare_prepare *prepare, tare_error *err) {
    return groups_prepare(prepare, 0, err);
}

static tare_status group_prepare(tare_prepare *prepare, tare_error *err) {
    return groups_prepare(prepare, ((const tare_norm_attrs *)prepare->attrs)->num_groups, err);
}

/* Per channel: the sum of x, or of (x - mean)^2 where mean is given; then every channel gets the
 * average over its group. */
static void group_averages(const norm_state *state, double *averages, const float *in,
                           const double *mean) {
    const int64_t channels = state->channels, positions = state->positions;
    const int64_t size = channels / state->groups;

    for (int64_t c = 0; c < channels; c++) {
        averages[c] = 0.0;
    }
    for (int64_t p = 0; state->last && p < positions; p++) {
        if (mean == NULL) {
            state->vector->add_columns(averages, in + p * channels, channels);
        } else {
            state->vector->add_square_columns(averages, in + p * channels, mean, channels);
        }
    }
    for (int64_t c = 0; !state->last && c < channels; c++) {
        averages[c] = mean == NULL
                          ? state->vector->sum(in + c * positions, positions)
                          : state->vector->sum_squares(in + c * positions, positions, mean[c]);
    }
    for (int64_t g = 0; g < state->groups; g++) {
        double sum = 0.0;
        for (int64_t c = 0; c < size; c++) {
            sum += averages[g * size + c];
        }
        for (int64_t c = 0; c < size; c++) {
            averages[g * size + c] = sum / (double)(size * positions);
        }
    }
}

static tare_status groups_run(const tare_run *run, tare_error *err) {
    const norm_state *state = run->private_data;
    const int64_t channels = state->channels, size = channels * state->positions;
    const float *gamma = run->inputs[1], *beta = run->inputs[2];
    double *mean = run->scratch, *variance = mean + channels;
    float *scale = (float *)(void *)(variance + channels), *shift = scale + channels;

    TARE_UNUSED(err);
    for (int64_t n = 0; n < state->samples; n++) {
        const float *in = (const float *)run->inputs[0] + n * size;
        group_averages(state, mean, in, NULL);
        group_averages(state, variance, in, mean);
        for (int64_t c = 0; c < channels; c++) {
            const int64_t w = state->group_weights ? c / (channels / state->groups) : c;
            const double factor = (double)gamma[w] / sqrt(variance[c] + (double)state->epsilon);
            scale[c] = (float)factor;
            shift[c] = (float)((double)beta[w] - mean[c] * factor);
        }
        apply(state, (float *)run->outputs[0] + n * size, in, scale, shift);
    }
    return TARE_OK;
}

/* Layer normalisation over the last axes: channels = elements that are normalised together. */
static tare_status layer_prepare(tare_prepare *prepare, tare_error *err) {
    const tare_norm_attrs *attrs = prepare->attrs;
    const tare_desc *in = &prepare->inputs[0];
    norm_state *state = prepare->private_data;

    TARE_TRY(norm_init(state, prepare, err));
    state->epsilon = attrs->epsilon;
    state->samples = 1;
    state->channels = 1;
    for (int axis = 0; axis < in->rank; axis++) {
        *(axis < attrs->axis ? &state->samples : &state->channels) *= in->dims[axis];
    }
    for (size_t i = 1; i < prepare->input_count; i++) {
        if (prepare->inputs[i].rank >= 0 &&
            tare_desc_count(&prepare->inputs[i]) != state->channels) {
            return tare_fail(
                err, TARE_UNSUPPORTED, "scale or bias of %lld elements for %lld normalised ones",
                (long long)tare_desc_count(&prepare->inputs[i]), (long long)state->channels);
        }
    }
    state->has_bias = prepare->input_count > 2 && prepare->inputs[2].rank >= 0;
    for (size_t i = 1; i < prepare->output_count && i < 3; i++) {
        state->wants[i - 1] = prepare->outputs[i].rank >= 0;
    }
    return TARE_OK;
}

static tare_status layer_run(const tare_run *run, tare_error *err) {
    const norm_state *state = run->private_data;
    const int64_t size = state->channels;
    const float *gamma = run->inputs[1], *beta = state->has_bias ? run->inputs[2] : NULL;

    TARE_UNUSED(err);
    for (int64_t row = 0; row < state->samples; row++) {
        const float *in = (const float *)run->inputs[0] + row * size;
        float *out = (float *)run->outputs[0] + row * size;
        const double mean = state->vector->sum(in, size) / (double)size;
        const double variance = state->vector->sum_squares(in, size, mean) / (double)size;
        const double inverse = 1.0 / sqrt(variance + (double)state->epsilon);
        state->vector->affine_scalar(out, in, (float)inverse, (float)(-mean * inverse), size);
        if (beta != NULL) {
            state->vector->affine(out, out, gamma, beta, size);
        } else {
            const tare_span span = {.rows = 1, .columns = size, .a_varies = true, .b_varies = true};
            state->vector->binary[TARE_BINARY_MUL](out, out, gamma, &span);
        }
        if (state->wants[0]) {
            ((float *)run->outputs[1])[row] = (float)mean;
        }
        if (state->wants[1]) {
            ((float *)run->outputs[2])[row] = (float)inverse;
        }
    }
    return TARE_OK;
}

/* Local response normalisation across channels. */
typedef struct lrn_state {
    tare_axis_view view;
    double alpha, beta, bias;
    int64_t size;
} lrn_state;

static tare_status lrn_prepare(tare_prepare *prepare, tare_error *err) {
    const tare_lrn_attrs *attrs = prepare->attrs;
    const tare_desc *in = &prepare->inputs[0];
    lrn_state *state = prepare->private_data;

    if (in->dtype != TARE_DTYPE_FLOAT || in->rank < 2 || in->layout != prepare->outputs[0].layout ||
        attrs->size < 1) {
        return tare_fail(err, TARE_UNSUPPORTED, "LRN of size %lld over a %s operand of rank %d",
                         (long long)attrs->size, tare_dtype_text(in->dtype), in->rank);
    }
    *state = (lrn_state){.view = tare_axis_view_of(in, 1),
                         .alpha = (double)attrs->alpha,
                         .beta = (double)attrs->beta,
                         .bias = (double)attrs->bias,
                         .size = attrs->size};
    return TARE_OK;
}

static tare_status lrn_run(const tare_run *run, tare_error *err) {
    const lrn_state *state = run->private_data;
    const tare_axis_view *view = &state->view;
    const float *in = run->inputs[0];
    float *out = run->outputs[0];

    TARE_UNUSED(err);
    for (int64_t row = 0; row < view->outer * view->inner; row++) {
        const int64_t base = row / view->inner * view->size * view->inner + row % view->inner;
        for (int64_t c = 0; c < view->size; c++) {
            const int64_t low = c - (state->size - 1) / 2, high = low + state->size;
            double sum = 0.0;
            for (int64_t k = low < 0 ? 0 : low; k < high && k < view->size; k++) {
                const double x = (double)in[base + k * view->inner];
                sum += x * x;
            }
            out[base + c * view->inner] =
                (float)((double)in[base + c * view->inner] *
                        pow(state->bias + state->alpha / (double)state->size * sum, -state->beta));
        }
    }
    return TARE_OK;
}

/* x / |x| along an axis. */
typedef struct lp_state {
    tare_axis_view view;
    bool squares;
} lp_state;

static tare_status lp_prepare(tare_prepare *prepare, tare_error *err) {
    const tare_lp_attrs *attrs = prepare->attrs;
    const tare_desc *in = &prepare->inputs[0];
    lp_state *state = prepare->private_data;

    if (in->dtype != TARE_DTYPE_FLOAT || in->rank < 1 || in->layout != prepare->outputs[0].layout ||
        (attrs->p != 1 && attrs->p != 2)) {
        return tare_fail(err, TARE_UNSUPPORTED, "norm %lld of a %s operand of rank %d",
                         (long long)attrs->p, tare_dtype_text(in->dtype), in->rank);
    }
    state->view = tare_axis_view_of(in, (int)attrs->axis);
    state->squares = attrs->p == 2;
    return TARE_OK;
}

static tare_status lp_run(const tare_run *run, tare_error *err) {
    const lp_state *state = run->private_data;
    const tare_axis_view *view = &state->view;

    TARE_UNUSED(err);
    for (int64_t row = 0; row < view->outer * view->inner; row++) {
        const int64_t base = row / view->inner * view->size * view->inner + row % view->inner;
        const float *in = (const float *)run->inputs[0] + base;
        float *out = (float *)run->outputs[0] + base;
        double sum = 0.0;
        for (int64_t k = 0; k < view->size; k++) {
            const double x = (double)in[k * view->inner];
            sum += state->squares ? x * x : fabs(x);
        }
        sum = state->squares ? sqrt(sum) : sum;
        for (int64_t k = 0; k < view->size; k++) {
            out[k * view->inner] = sum == 0.0 ? 0.0F : (float)((double)in[k * view->inner] / sum);
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
    KERNEL("BatchNormalization", norm_state, TARE_LAYOUT_RULE_FOLLOW, batch_prepare, batch_run),
    KERNEL("InstanceNormalization", norm_state, TARE_LAYOUT_RULE_FOLLOW, instance_prepare,
           groups_run),
    KERNEL("GroupNormalization", norm_state, TARE_LAYOUT_RULE_FOLLOW, group_prepare, groups_run),
    KERNEL("LayerNormalization", norm_state, TARE_LAYOUT_RULE_PLAIN, layer_prepare, layer_run),
    KERNEL("LRN", lrn_state, TARE_LAYOUT_RULE_FOLLOW, lrn_prepare, lrn_run),
    KERNEL("LpNormalization", lp_state, TARE_LAYOUT_RULE_FOLLOW, lp_prepare, lp_run),
};

const tare_kernel_table tare_cpu_norm_table = {rows, sizeof rows / sizeof rows[0]};
