/* SPDX-License-Identifier: Apache-2.0 */
/** Conv and ConvTranspose of the CPU backend against loops in double precision. */
#include <criterion/criterion.h>
#include <math.h>

#include "cpu/dnnl_kernels.h"
#include "kernel_case.h"
#include "ops/attrs.h"

typedef struct conv_shape {
    const char *what;
    bool transposed;
    int rank; /* spatial dims */
    int64_t n, in_channels, out_channels, group, in[3];
    int64_t kernel[3], stride[3], dilation[3], pad_begin[3], pad_end[3], output_padding[3];
} conv_shape;

#define ONES                                                                                       \
    { 1, 1, 1 }
#define S1(a)                                                                                      \
    { a, 1, 1 }
#define S2(a, b)                                                                                   \
    { a, b, 1 }

static const conv_shape shapes[] = {
    {"3 channels, stride 2",
     false,
     2,
     2,
     3,
     32,
     1,
     S2(17, 19),
     S2(3, 3),
     S2(2, 2),
     ONES,
     {1, 1},
     {1, 1},
     {0}},
    {"odd channels", false, 2, 1, 5, 7, 1, S2(9, 11), S2(3, 3), ONES, ONES, {1, 1}, {1, 1}, {0}},
    {"1x1", false, 2, 2, 24, 40, 1, S2(7, 5), S2(1, 1), ONES, ONES, {0}, {0}, {0}},
    {"1x1, stride 2", false, 2, 1, 17, 33, 1, S2(9, 8), S2(1, 1), S2(2, 2), ONES, {0}, {0}, {0}},
    {"5x3 window", false, 2, 1, 6, 10, 1, S2(12, 9), S2(5, 3), S2(2, 1), ONES, {2, 1}, {2, 1}, {0}},
    {"uneven pads",
     false,
     2,
     1,
     8,
     16,
     1,
     S2(10, 10),
     S2(3, 3),
     S2(2, 2),
     ONES,
     {0, 0},
     {1, 1},
     {0}},
    {"pads larger than needed",
     false,
     2,
     1,
     4,
     4,
     1,
     S2(5, 6),
     S2(3, 3),
     ONES,
     ONES,
     {2, 0},
     {0, 2},
     {0}},
    {"dilated", false, 2, 1, 16, 16, 1, S2(13, 15), S2(3, 3), ONES, S2(2, 3), {2, 3}, {2, 3}, {0}},
    {"depthwise", false, 2, 2, 24, 24, 24, S2(11, 9), S2(3, 3), ONES, ONES, {1, 1}, {1, 1}, {0}},
    {"depthwise, odd channels, stride 2",
     false,
     2,
     1,
     17,
     17,
     17,
     S2(12, 13),
     S2(3, 3),
     S2(2, 2),
     ONES,
     {1, 1},
     {1, 1},
     {0}},
    {"depthwise 5x5, uneven pads",
     false,
     2,
     1,
     40,
     40,
     40,
     S2(14, 14),
     S2(5, 5),
     S2(2, 2),
     ONES,
     {1, 1},
     {2, 2},
     {0}},
    {"depthwise, dilated",
     false,
     2,
     1,
     32,
     32,
     32,
     S2(12, 12),
     S2(3, 3),
     ONES,
     S2(2, 2),
     {2, 2},
     {2, 2},
     {0}},
    {"depthwise with a multiplier",
     false,
     2,
     1,
     8,
     24,
     8,
     S2(9, 9),
     S2(3, 3),
     ONES,
     ONES,
     {1, 1},
     {1, 1},
     {0}},
    {"2 groups", false, 2, 1, 32, 48, 2, S2(8, 9), S2(3, 3), ONES, ONES, {1, 1}, {1, 1}, {0}},
    {"3 groups of odd size",
     false,
     2,
     1,
     15,
     21,
     3,
     S2(8, 9),
     S2(3, 3),
     ONES,
     ONES,
     {1, 1},
     {1, 1},
     {0}},
    {"32 groups",
     false,
     2,
     1,
     128,
     128,
     32,
     S2(7, 7),
     S2(3, 3),
     S2(2, 2),
     ONES,
     {1, 1},
     {1, 1},
     {0}},
    {"one output", false, 2, 1, 96, 1, 1, S2(6, 6), S2(1, 1), ONES, ONES, {0}, {0}, {0}},
    {"window as large as the input",
     false,
     2,
     1,
     5,
     12,
     1,
     S2(7, 6),
     S2(7, 6),
     ONES,
     ONES,
     {0},
     {0},
     {0}},
    {"1-D", false, 1, 2, 12, 20, 1, S1(50), S1(5), S1(2), ONES, {2}, {1}, {0}},
    {"1-D, dilated", false, 1, 1, 16, 16, 1, S1(40), S1(3), ONES, S1(4), {4}, {4}, {0}},
    {"1-D, depthwise", false, 1, 1, 24, 24, 24, S1(33), S1(3), ONES, ONES, {1}, {1}, {0}},
    {"1-D, one channel", false, 1, 1, 1, 32, 1, S1(64), S1(10), S1(5), ONES, {0}, {0}, {0}},
    {"3-D",
     false,
     3,
     1,
     3,
     16,
     1,
     {6, 7, 5},
     {3, 3, 3},
     {1, 2, 1},
     ONES,
     {1, 1, 1},
     {1, 1, 1},
     {0}},
    {"3-D, groups",
     false,
     3,
     1,
     8,
     12,
     4,
     {5, 4, 6},
     {2, 3, 2},
     ONES,
     {1, 1, 2},
     {0, 1, 1},
     {1, 1, 0},
     {0}},
    {"3-D, depthwise",
     false,
     3,
     1,
     16,
     16,
     16,
     {5, 6, 7},
     {3, 3, 3},
     ONES,
     ONES,
     {1, 1, 1},
     {1, 1, 1},
     {0}},
    {"transposed 2x2, stride 2",
     true,
     2,
     1,
     16,
     24,
     1,
     S2(7, 6),
     S2(2, 2),
     S2(2, 2),
     ONES,
     {0},
     {0},
     {0}},
    {"transposed 4x4, pads",
     true,
     2,
     2,
     8,
     3,
     1,
     S2(5, 7),
     S2(4, 4),
     S2(2, 2),
     ONES,
     {1, 1},
     {1, 1},
     {0}},
    {"transposed, output padding",
     true,
     2,
     1,
     6,
     10,
     1,
     S2(5, 5),
     S2(3, 3),
     S2(2, 2),
     ONES,
     {1, 1},
     {1, 1},
     S2(1, 0)},
    {"transposed, output padding beyond the window",
     true,
     2,
     1,
     6,
     10,
     1,
     S2(5, 5),
     S2(3, 3),
     S2(3, 3),
     ONES,
     {0},
     {0},
     S2(2, 1)},
    {"transposed, groups",
     true,
     2,
     1,
     12,
     18,
     3,
     S2(6, 5),
     S2(3, 3),
     S2(2, 1),
     ONES,
     {1, 0},
     {0, 1},
     {0}},
    {"transposed, depthwise",
     true,
     2,
     1,
     16,
     16,
     16,
     S2(6, 5),
     S2(4, 4),
     S2(2, 2),
     ONES,
     {1, 1},
     {1, 1},
     {0}},
    {"transposed, dilated",
     true,
     2,
     1,
     5,
     7,
     1,
     S2(6, 5),
     S2(3, 2),
     ONES,
     S2(2, 3),
     {1, 1},
     {2, 0},
     {0}},
    {"transposed, stride 1", true, 2, 1, 16, 16, 1, S2(9, 11), S2(7, 5), ONES, ONES, {0}, {0}, {0}},
    {"transposed, stride 1, groups",
     true,
     2,
     1,
     6,
     9,
     3,
     S2(5, 6),
     S2(3, 2),
     ONES,
     ONES,
     {1, 0},
     {0, 1},
     {0}},
    {"transposed, stride 1, depthwise",
     true,
     2,
     1,
     24,
     24,
     24,
     S2(5, 6),
     S2(3, 3),
     ONES,
     ONES,
     {1, 1},
     {1, 1},
     {0}},
    {"transposed, stride 1, one channel",
     true,
     2,
     1,
     1,
     1,
     1,
     S2(4, 4),
     S2(3, 3),
     ONES,
     ONES,
     {0},
     {0},
     {0}},
    {"transposed, stride 1, 1-D", true, 1, 1, 3, 5, 1, S1(8), S1(3), ONES, ONES, {2}, {0}, {0}},
    {"transposed, 1-D", true, 1, 1, 9, 14, 1, S1(13), S1(4), S1(2), ONES, {1}, {1}, {0}},
    {"transposed, 3-D",
     true,
     3,
     1,
     4,
     6,
     1,
     {3, 4, 3},
     {2, 3, 2},
     {2, 1, 2},
     ONES,
     {0, 1, 0},
     {0, 1, 0},
     {0}},
};

typedef struct conv_data {
    tare_desc x, w, b, y;
    float *x_data, *w_data, *b_data, *y_data, *added;
    double *expected, *magnitude; /* the sum of products, and of their absolute values */
    int64_t terms;                /* products per output, at most */
    tare_conv_attrs attrs;
} conv_data;

static void describe(conv_data *d, const conv_shape *s) {
    int64_t x[5] = {s->n, s->in_channels}, y[5] = {s->n, s->out_channels};
    int64_t w[5] = {s->out_channels, s->in_channels / s->group};
    if (s->transposed) {
        w[0] = s->in_channels;
        w[1] = s->out_channels / s->group;
    }
    d->attrs.group = s->group;
    d->attrs.window.rank = s->rank;
    d->terms = s->in_channels / s->group;
    for (int i = 0; i < s->rank; i++) {
        const int64_t reach = (s->kernel[i] - 1) * s->dilation[i] + 1;
        const int64_t pads = s->pad_begin[i] + s->pad_end[i];
        x[2 + i] = s->in[i];
        w[2 + i] = s->kernel[i];
        y[2 + i] = s->transposed
                       ? s->stride[i] * (s->in[i] - 1) + reach - pads + s->output_padding[i]
                       : (s->in[i] + pads - reach) / s->stride[i] + 1;
        d->terms *= s->kernel[i];
        d->attrs.window.kernel[i] = s->kernel[i];
        d->attrs.window.stride[i] = s->stride[i];
        d->attrs.window.dilation[i] = s->dilation[i];
        d->attrs.window.pad_begin[i] = s->pad_begin[i];
        d->attrs.window.pad_end[i] = s->pad_end[i];
    }
    d->x = kernel_case_desc(2 + s->rank, x, true);
    d->w = kernel_case_desc(2 + s->rank, w, false);
    d->y = kernel_case_desc(2 + s->rank, y, true);
    d->b = kernel_case_desc(1, &s->out_channels, false);
}

static float *filled(const tare_desc *desc, uint32_t seed) {
    float *data = malloc(tare_desc_bytes(desc));
    cr_assert_not_null(data);
    kernel_case_fill(data, tare_desc_count(desc), seed);
    return data;
}

/** Splits a row-major position into up to three coordinates, the missing ones 0, behind `skip`
 * axes. */
static void coordinates(int64_t out[3], int64_t position, const int64_t *dims, int rank) {
    for (int i = rank - 1; i >= 0; i--) {
        out[i] = position % dims[i];
        position /= dims[i];
    }
}

/** The input coordinate that window tap `tap` of output `out` reads on one axis, or -1. */
static int64_t tap_source(const conv_shape *s, int axis, int64_t out, int64_t tap) {
    if (!s->transposed) {
        const int64_t at = out * s->stride[axis] + tap * s->dilation[axis] - s->pad_begin[axis];
        return at >= 0 && at < s->in[axis] ? at : -1;
    }
    const int64_t at = out + s->pad_begin[axis] - tap * s->dilation[axis];
    return at >= 0 && at % s->stride[axis] == 0 && at / s->stride[axis] < s->in[axis]
               ? at / s->stride[axis]
               : -1;
}

/** One output of the convolution; bias included. */
static void reference_at(conv_data *d, const conv_shape *s, int64_t index, int64_t n, int64_t o) {
    const int64_t out_per_group = s->out_channels / s->group;
    const int64_t in_per_group = s->in_channels / s->group, group = o / out_per_group;
    const int64_t positions = tare_dims_count(s->rank, s->in);
    const int64_t taps = tare_dims_count(s->rank, s->kernel);
    int64_t at[3], tap[3];
    coordinates(at, index % tare_dims_count(s->rank, d->y.dims + 2), d->y.dims + 2, s->rank);
    double sum = d->b_data[o], magnitude = fabs(sum);
    for (int64_t t = 0; t < taps; t++) {
        coordinates(tap, t, s->kernel, s->rank);
        int64_t source = 0;
        for (int i = 0; i < s->rank && source >= 0; i++) {
            const int64_t from = tap_source(s, i, at[i], tap[i]);
            source = from < 0 ? -1 : source * s->in[i] + from;
        }
        for (int64_t c = 0; source >= 0 && c < in_per_group; c++) {
            const int64_t channel = group * in_per_group + c;
            const int64_t weight =
                s->transposed ? channel * out_per_group + o % out_per_group : o * in_per_group + c;
            const double term =
                (double)d->x_data[(n * s->in_channels + channel) * positions + source] *
                d->w_data[weight * taps + t];
            sum += term;
            magnitude += fabs(term);
        }
    }
    d->expected[index] = sum;
    d->magnitude[index] = magnitude;
}

static void conv_data_init(conv_data *d, const conv_shape *s, bool bias) {
    memset(d, 0, sizeof(*d));
    describe(d, s);
    const int64_t count = tare_desc_count(&d->y);
    const int64_t positions = tare_dims_count(s->rank, d->y.dims + 2);
    d->x_data = filled(&d->x, 1);
    d->w_data = filled(&d->w, 2);
    d->b_data = filled(&d->b, 3);
    d->added = filled(&d->y, 4);
    if (!bias) {
        memset(d->b_data, 0, tare_desc_bytes(&d->b));
    }
    d->y_data = malloc((size_t)count * sizeof(float));
    d->expected = malloc((size_t)count * sizeof(double));
    d->magnitude = malloc((size_t)count * sizeof(double));
    for (int64_t i = 0; i < count; i++) {
        reference_at(d, s, i, i / positions / s->out_channels, i / positions % s->out_channels);
    }
}

static void conv_data_free(conv_data *d) {
    free(d->x_data);
    free(d->w_data);
    free(d->b_data);
    free(d->y_data);
    free(d->added);
    free(d->expected);
    free(d->magnitude);
}

static kernel_case conv_case(const conv_data *d, const conv_shape *s, bool bias, bool constant) {
    kernel_case c = {
        .kernel = kernel_case_row(&tare_dnnl_conv_table, s->transposed ? "ConvTranspose" : "Conv"),
        .attrs = &d->attrs,
        .input_count = 3,
        .inputs = {d->x, d->w, d->b},
        .data = {d->x_data, d->w_data, d->b_data, d->added},
        .constant = {false, constant, constant},
        .output = d->y};
    if (!constant) {
        c.inputs[1] = kernel_case_desc(d->w.rank, d->w.dims, true);
    }
    if (!bias) {
        c.inputs[2].rank = -1;
    }
    return c;
}

/** A sum of n products in any order is off by at most n + 1 roundings of the sum of magnitudes. */
static double sum_bound(const conv_data *d, int64_t index) {
    return (double)(d->terms + 2) * 0x1p-24 * d->magnitude[index];
}

static void check_plain(const conv_shape *s, bool bias, bool constant) {
    conv_data d;
    tare_error err = {0};
    conv_data_init(&d, s, bias);
    const kernel_case c = conv_case(&d, s, bias, constant);
    cr_assert_eq(kernel_case_run(d.y_data, &c, &err), TARE_OK, "%s: %s", s->what, err.text);
    for (int64_t i = 0; i < tare_desc_count(&d.y); i++) {
        cr_assert(fabs(d.y_data[i] - d.expected[i]) <= sum_bound(&d, i),
                  "%s: output %lld: expected %.9g, got %.9g", s->what, (long long)i, d.expected[i],
                  (double)d.y_data[i]);
    }
    conv_data_free(&d);
}

Test(cpu_dnnl_conv, equals_loops_with_constant_weights) {
    for (size_t i = 0; i < sizeof(shapes) / sizeof(shapes[0]); i++) {
        check_plain(&shapes[i], true, true);
        check_plain(&shapes[i], false, true);
    }
}

Test(cpu_dnnl_conv, equals_loops_with_computed_weights) {
    for (size_t i = 0; i < sizeof(shapes) / sizeof(shapes[0]); i++) {
        check_plain(&shapes[i], true, false);
    }
}

static double apply(const tare_epilogue *e, double x, double y) {
    switch (e->kind) {
    case TARE_EPILOGUE_CLIP:
        return fmin(fmax(x, e->a), e->b);
    case TARE_EPILOGUE_LEAKY_RELU:
        return x < 0 ? e->a * x : x;
    case TARE_EPILOGUE_SIGMOID:
        return 1 / (1 + exp(-x));
    case TARE_EPILOGUE_TANH:
        return tanh(x);
    case TARE_EPILOGUE_SWISH:
        return x / (1 + exp(-x));
    case TARE_EPILOGUE_HARD_SIGMOID:
        return fmin(fmax(e->a * x + e->b, 0), 1);
    case TARE_EPILOGUE_HARD_SWISH:
        return x * fmin(fmax(e->a * x + e->b, 0), 1);
    case TARE_EPILOGUE_ADD:
        return x + y;
    }
    return NAN;
}

typedef struct epilogue_list {
    const char *what;
    size_t count;
    tare_epilogue list[TARE_MAX_EPILOGUES];
} epilogue_list;

static const epilogue_list epilogue_lists[] = {
    {"relu", 1, {{TARE_EPILOGUE_CLIP, 0, INFINITY}}},
    {"relu6", 1, {{TARE_EPILOGUE_CLIP, 0, 6}}},
    {"clip", 1, {{TARE_EPILOGUE_CLIP, -0.25f, 0.75f}}},
    {"upper bound", 1, {{TARE_EPILOGUE_CLIP, -INFINITY, 0.5f}}},
    {"leaky relu", 1, {{TARE_EPILOGUE_LEAKY_RELU, 0.1f, 0}}},
    {"sigmoid", 1, {{TARE_EPILOGUE_SIGMOID, 0, 0}}},
    {"tanh", 1, {{TARE_EPILOGUE_TANH, 0, 0}}},
    {"swish", 1, {{TARE_EPILOGUE_SWISH, 0, 0}}},
    {"hard sigmoid", 1, {{TARE_EPILOGUE_HARD_SIGMOID, 0.2f, 0.5f}}},
    {"hard swish", 1, {{TARE_EPILOGUE_HARD_SWISH, 1.0f / 6.0f, 0.5f}}},
    {"add", 1, {{TARE_EPILOGUE_ADD, 0, 0}}},
    {"add, relu", 2, {{TARE_EPILOGUE_ADD, 0, 0}, {TARE_EPILOGUE_CLIP, 0, INFINITY}}},
    {"swish, add", 2, {{TARE_EPILOGUE_SWISH, 0, 0}, {TARE_EPILOGUE_ADD, 0, 0}}},
    {"clip, clip again",
     2,
     {{TARE_EPILOGUE_CLIP, -0.5f, 0.25f}, {TARE_EPILOGUE_CLIP, 0, INFINITY}}},
    {"leaky relu, leaky relu again",
     2,
     {{TARE_EPILOGUE_LEAKY_RELU, 0.1f, 0}, {TARE_EPILOGUE_LEAKY_RELU, 0.5f, 0}}},
    {"clip, hard sigmoid that clips again",
     2,
     {{TARE_EPILOGUE_CLIP, -2, 0.5f}, {TARE_EPILOGUE_HARD_SIGMOID, 0.5f, 0.5f}}},
    {"relu, relu", 2, {{TARE_EPILOGUE_CLIP, 0, INFINITY}, {TARE_EPILOGUE_CLIP, 0, INFINITY}}},
};

/** No epilogue is steeper than 1.1 (swish), so an error of the sum grows at most by that; the
 * functions themselves may be off by 1e-6 of their value, or of 1 where they cancel. */
static void check_epilogue(const conv_shape *s, const epilogue_list *e) {
    conv_data d;
    tare_error err = {0};
    conv_data_init(&d, s, true);
    kernel_case c = conv_case(&d, s, true, true);
    c.epilogue_count = e->count;
    memcpy(c.epilogues, e->list, sizeof(c.epilogues));
    const bool done = kernel_case_run(d.y_data, &c, &err) == TARE_OK;
    /* What is left to a kernel of its own: additions that only oneDNN's slow or wrong
     * implementations take, and a function that comes again with other parameters. */
    const bool known = strstr(err.text, "an addition behind") != NULL ||
                       strstr(err.text, "oneDNN has only its reference") != NULL;
    const bool again = strstr(err.text, "appending an activation") != NULL;
    cr_assert(done || (known && strstr(e->what, "add") != NULL) ||
                  (again && strstr(e->what, "again") != NULL),
              "%s, %s: %s", s->what, e->what, err.text);
    for (int64_t i = 0; done && i < tare_desc_count(&d.y); i++) {
        double expected = d.expected[i];
        for (size_t k = 0; k < e->count; k++) {
            expected = apply(&e->list[k], expected, d.added[i]);
        }
        const double bound = 1.1 * sum_bound(&d, i) + 1e-6 * fmax(1, fabs(expected));
        cr_assert(fabs(d.y_data[i] - expected) <= bound,
                  "%s, %s: output %lld: expected %.9g, got %.9g", s->what, e->what, (long long)i,
                  expected, (double)d.y_data[i]);
    }
    conv_data_free(&d);
}

Test(cpu_dnnl_conv, epilogues) {
    for (size_t i = 0; i < sizeof(shapes) / sizeof(shapes[0]); i++) {
        for (size_t k = 0; k < sizeof(epilogue_lists) / sizeof(epilogue_lists[0]); k++) {
            check_epilogue(&shapes[i], &epilogue_lists[k]);
        }
    }
}

Test(cpu_dnnl_conv, refuses_a_hard_swish_it_does_not_have) {
    conv_data d;
    tare_error err = {0};
    conv_data_init(&d, &shapes[0], true);
    kernel_case c = conv_case(&d, &shapes[0], true, true);
    c.epilogue_count = 1;
    c.epilogues[0] = (tare_epilogue){TARE_EPILOGUE_HARD_SWISH, 0.2f, 0.5f};
    const tare_status status = kernel_case_run(d.y_data, &c, &err);
    if (status == TARE_OK) { /* a version of oneDNN that has it must have it right */
        for (int64_t i = 0; i < tare_desc_count(&d.y); i++) {
            const double expected = apply(&c.epilogues[0], d.expected[i], 0);
            cr_assert_float_eq(d.y_data[i], expected, 2e-6 * fmax(1, fabs(expected)));
        }
    } else {
        cr_assert_not_null(strstr(err.text, "[2x3x17x19]"), "%s", err.text);
    }
    conv_data_free(&d);
}

Test(cpu_dnnl_conv, refuses_other_types) {
    conv_data d;
    tare_error err = {0};
    conv_data_init(&d, &shapes[0], true);
    kernel_case c = conv_case(&d, &shapes[0], true, true);
    c.inputs[0].dtype = TARE_DTYPE_INT32; /* of the same size, so that the case can be laid out */
    cr_assert_eq(kernel_case_run(d.y_data, &c, &err), TARE_UNSUPPORTED);
    cr_assert_str_eq(err.text, "input 0: expected float32, got int32");
    conv_data_free(&d);
}

Test(cpu_dnnl_conv, refuses_windows_beyond_32_bits) {
    conv_data d;
    tare_error err = {0};
    conv_data_init(&d, &shapes[0], true);
    const kernel_case c = conv_case(&d, &shapes[0], true, true);
    int64_t *const fields[] = {d.attrs.window.dilation, d.attrs.window.pad_begin,
                               d.attrs.window.pad_end, d.attrs.window.stride};
    for (size_t i = 0; i < sizeof(fields) / sizeof(fields[0]); i++) {
        const int64_t before = fields[i][1];
        fields[i][1] = ((int64_t)1 << 32) + before; /* the same in 32 bits */
        cr_assert_eq(kernel_case_run(d.y_data, &c, &err), TARE_UNSUPPORTED, "field %zu", i);
        cr_assert_not_null(strstr(err.text, "beyond 32 bits on spatial axis 1"), "%s", err.text);
        fields[i][1] = before;
    }
    cr_assert_eq(kernel_case_run(d.y_data, &c, &err), TARE_OK, "%s", err.text);
    conv_data_free(&d);
}

Test(cpu_dnnl_conv, threads_share_what_was_prepared) {
    for (size_t i = 0; i < sizeof(shapes) / sizeof(shapes[0]); i += 5) {
        for (int constant = 0; constant < 2; constant++) {
            conv_data d;
            tare_error err = {0};
            conv_data_init(&d, &shapes[i], true);
            kernel_case c = conv_case(&d, &shapes[i], true, constant == 1);
            c.threads = constant == 1 ? 4 : 2;
            c.threads_per_run = constant == 1 ? 1 : 2;
            cr_assert_eq(kernel_case_run(d.y_data, &c, &err), TARE_OK, "%s", err.text);
            for (int64_t k = 0; k < tare_desc_count(&d.y); k++) {
                cr_assert(fabs(d.y_data[k] - d.expected[k]) <= sum_bound(&d, k), "%s",
                          shapes[i].what);
            }
            conv_data_free(&d);
        }
    }
}
