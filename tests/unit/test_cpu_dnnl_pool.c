/* SPDX-License-Identifier: Apache-2.0 */
/** MaxPool and AveragePool of the CPU backend against loops in double precision. */
#include <criterion/criterion.h>
#include <math.h>

#include "cpu/dnnl_kernels.h"
#include "kernel_case.h"
#include "ops/attrs.h"

typedef struct pool_shape {
    const char *what;
    int rank; /* spatial dims */
    int64_t n, channels, in[3];
    int64_t kernel[3], stride[3], dilation[3], pad_begin[3], pad_end[3];
    int64_t beyond[3]; /* what ceil_mode adds to the end pads */
} pool_shape;

static const pool_shape shapes[] = {
    {"3x3, stride 2", 2, 1, 16, {9, 11}, {3, 3}, {2, 2}, {1, 1}, {1, 1}, {1, 1}, {0}},
    {"2x2, odd channels", 2, 2, 5, {8, 6}, {2, 2}, {2, 2}, {1, 1}, {0}, {0}, {0}},
    {"one channel", 2, 1, 1, {7, 7}, {3, 2}, {1, 1}, {1, 1}, {1, 0}, {0, 1}, {0}},
    {"ceil", 2, 1, 24, {10, 10}, {3, 3}, {2, 2}, {1, 1}, {0}, {0}, {1, 1}},
    {"5x5, stride 1", 2, 1, 40, {9, 8}, {5, 5}, {1, 1}, {1, 1}, {2, 2}, {2, 2}, {0}},
    {"13x13, stride 1", 2, 1, 17, {9, 8}, {13, 13}, {1, 1}, {1, 1}, {6, 6}, {6, 6}, {0}},
    {"global", 2, 3, 33, {7, 7}, {7, 7}, {1, 1}, {1, 1}, {0}, {0}, {0}},
    {"global, large", 2, 1, 3, {40, 50}, {40, 50}, {1, 1}, {1, 1}, {0}, {0}, {0}},
    {"1-D", 1, 2, 12, {30}, {4}, {3}, {1}, {1}, {2}, {0}},
    {"3-D", 3, 1, 9, {5, 6, 4}, {2, 3, 2}, {2, 1, 2}, {1, 1, 1}, {0, 1, 0}, {1, 1, 0}, {0}},
    {"dilated", 2, 1, 16, {11, 12}, {3, 2}, {1, 2}, {2, 3}, {1, 0}, {1, 1}, {0}},
};

typedef struct pool_kind {
    const char *row;
    bool maximum, count_pads;
} pool_kind;

static const pool_kind kinds[] = {
    {"MaxPool", true, false}, {"AveragePool", false, false}, {"AveragePool", false, true}};

static double reference_at(const pool_shape *s, const pool_kind *kind, const float *plane,
                           const int64_t at[3]) {
    const int64_t taps = tare_dims_count(s->rank, s->kernel);
    double largest = -INFINITY, sum = 0;
    int64_t inside = 0;
    for (int64_t t = 0; t < taps; t++) {
        int64_t tap = t, source = 0, stride = 1;
        for (int i = s->rank - 1; i >= 0; i--) {
            const int64_t from =
                at[i] * s->stride[i] - s->pad_begin[i] + tap % s->kernel[i] * s->dilation[i];
            tap /= s->kernel[i];
            source = from < 0 || from >= s->in[i] || source < 0 ? -1 : source + from * stride;
            stride *= s->in[i];
        }
        if (source >= 0) {
            largest = fmax(largest, plane[source]);
            sum += plane[source];
            inside++;
        }
    }
    return kind->maximum ? largest : sum / (double)(kind->count_pads ? taps : inside);
}

/** Runs one pool; false when the kernel leaves it to another one. */
static bool check_pool(const pool_shape *s, const pool_kind *kind) {
    int64_t x_dims[5] = {s->n, s->channels}, y_dims[5] = {s->n, s->channels};
    tare_pool_attrs attrs = {.count_include_pad = kind->count_pads, .window = {.rank = s->rank}};
    for (int i = 0; i < s->rank; i++) {
        const int64_t reach = (s->kernel[i] - 1) * s->dilation[i] + 1;
        attrs.window.kernel[i] = s->kernel[i];
        attrs.window.stride[i] = s->stride[i];
        attrs.window.dilation[i] = s->dilation[i];
        attrs.window.pad_begin[i] = s->pad_begin[i];
        attrs.window.pad_end[i] = s->pad_end[i] + s->beyond[i];
        attrs.declared_pad_end[i] = s->pad_end[i];
        x_dims[2 + i] = s->in[i];
        y_dims[2 + i] =
            (s->in[i] + s->pad_begin[i] + attrs.window.pad_end[i] - reach) / s->stride[i] + 1;
    }
    const tare_desc x = kernel_case_desc(2 + s->rank, x_dims, true);
    const tare_desc y = kernel_case_desc(2 + s->rank, y_dims, true);
    float *x_data = malloc(tare_desc_bytes(&x)), *y_data = malloc(tare_desc_bytes(&y));
    kernel_case_fill(x_data, tare_desc_count(&x), 11);
    tare_error err = {0};
    const kernel_case c = {.kernel = kernel_case_row(&tare_dnnl_pool_table, kind->row),
                           .attrs = &attrs,
                           .input_count = 1,
                           .inputs = {x},
                           .data = {x_data},
                           .output = y,
                           .threads = 2};
    const bool done = kernel_case_run(y_data, &c, &err) == TARE_OK;
    const int64_t in_plane = tare_dims_count(s->rank, s->in);
    const int64_t out_plane = tare_dims_count(s->rank, y_dims + 2);
    const double terms = (double)tare_dims_count(s->rank, s->kernel);
    for (int64_t i = 0; done && i < tare_desc_count(&y); i++) {
        int64_t at[3], rest = i % out_plane;
        for (int axis = s->rank - 1; axis >= 0; axis--) {
            at[axis] = rest % y_dims[2 + axis];
            rest /= y_dims[2 + axis];
        }
        const double expected = reference_at(s, kind, x_data + i / out_plane * in_plane, at);
        /* elements are below 1, so the mean of k of them in float is off by at most k roundings */
        const double bound = kind->maximum ? 0 : (terms + 2) * 0x1p-24;
        cr_assert(fabs(y_data[i] - expected) <= bound,
                  "%s, %s: output %lld: expected %.9g, got %.9g", s->what, kind->row, (long long)i,
                  expected, (double)y_data[i]);
    }
    free(x_data);
    free(y_data);
    return done;
}

Test(cpu_dnnl_pool, equals_loops) {
    for (size_t i = 0; i < sizeof(shapes) / sizeof(shapes[0]); i++) {
        for (size_t k = 0; k < sizeof(kinds) / sizeof(kinds[0]); k++) {
            const bool dilated = shapes[i].dilation[0] > 1;
            const bool enlarged = shapes[i].beyond[0] > 0 && kinds[k].count_pads;
            cr_assert_eq(check_pool(&shapes[i], &kinds[k]), !dilated && !enlarged, "%s, %s",
                         shapes[i].what, kinds[k].row);
        }
    }
}
