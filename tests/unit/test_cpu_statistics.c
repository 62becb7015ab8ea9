/* SPDX-License-Identifier: Apache-2.0 */
/** The statistics of the CPU backend, bit by bit against the plain loops that also judge the CUDA
 * kernels, over layouts, axes, odd shapes, NaN, infinities, denormals and zeros of both signs. */
#include <criterion/criterion.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "cpu/backend.h"
#include "kernel_case.h"
#include "reference.h"

typedef enum content { CONTENT_PLAIN, CONTENT_SPECIAL, CONTENT_NAN, CONTENT_HUGE } content;

static uint32_t draw(uint64_t *state) {
    *state = *state * 6364136223846793005U + 1442695040888963407U;
    return (uint32_t)(*state >> 32);
}

static void fill(float *out, int64_t count, content kind, uint64_t seed) {
    static const uint32_t special[] = {0x7fc00000, 0xffc00001, 0x7f800000, 0xff800000,
                                       0x00000001, 0x80000001, 0x80000000, 0x00000000,
                                       0x7f7fffff, 0xff7fffff, 0x00012345, 0x3f800000};
    uint64_t state = seed * 977 + 5;
    for (int64_t i = 0; i < count; i++) {
        const uint32_t random = draw(&state), choice = draw(&state);
        uint32_t bits = (random & 0x807fffffU) | (100U + choice / 8 % 40) << 23;
        if (choice % 8 == 0) {
            bits = random & 0x80000000U;
        }
        if (kind == CONTENT_SPECIAL && choice % 5 == 0) {
            bits = special[random % 12];
        } else if (kind == CONTENT_NAN) {
            bits = 0x7fc00000U | (random & 0x803fffffU);
        } else if (kind == CONTENT_HUGE) {
            bits = (random & 0x80000000U) | 0x7f7fff00U;
        }
        memcpy(&out[i], &bits, sizeof bits);
    }
}

/* The operand with the channels innermost and the other axes in order. */
static float *channels_innermost(const float *data, const tare_desc *desc, int axis) {
    const int64_t count = tare_desc_count(desc);
    int64_t strides[TARE_MAX_RANK], at[TARE_MAX_RANK] = {0};
    float *out = malloc((size_t)(count + 1) * sizeof *out);

    tare_desc_strides(strides, desc);
    for (int64_t row = 0; count > 0 && row < count / desc->dims[axis]; row++) {
        for (int64_t c = 0; c < desc->dims[axis]; c++) {
            int64_t from = c * strides[axis];
            for (int i = 0; i < desc->rank; i++) {
                from += i == axis ? 0 : at[i] * strides[i];
            }
            out[row * desc->dims[axis] + c] = data[from];
        }
        for (int i = desc->rank - 1; i >= 0; i--) {
            if (i != axis && ++at[i] < desc->dims[i]) {
                break;
            }
            at[i] = 0;
        }
    }
    return out;
}

static void expect_float(float got, float wanted, const char *what, int64_t at) {
    cr_assert_eq(reference_bits(got), reference_bits(wanted), "%s %lld: %a (%08x), expected %a",
                 what, (long long)at, (double)got, reference_bits(got), (double)wanted);
}

static void expect_record(const tare_reduce_record *got, const tare_stats_record *wanted,
                          uint64_t elements) {
    expect_float(got->min, wanted->min, "minimum", 0);
    expect_float(got->max, wanted->max, "maximum", 0);
    cr_assert_eq(got->elements, elements);
    cr_assert_eq(got->zeros, wanted->zeros);
    cr_assert_eq(got->nan, wanted->nan);
    cr_assert_eq(got->positive_infinity, wanted->positive_infinity);
    cr_assert_eq(got->negative_infinity, wanted->negative_infinity);
}

/* axis -1: without channels. */
static void check(const float *data, const tare_desc *desc, int axis) {
    const uint64_t count = (uint64_t)tare_desc_count(desc);
    const uint64_t channels = axis < 0 ? 0 : (uint64_t)desc->dims[axis];
    float *inner = axis < 0 ? NULL : channels_innermost(data, desc, axis);
    const tare_stats_tensor tensor = {.data = axis < 0 ? data : inner,
                                      .samples = 1,
                                      .sample_elements = count,
                                      .channels = channels,
                                      .dtype = TARE_DTYPE_FLOAT};
    const size_t columns = (size_t)channels + TARE_STATS_FLAT_COLUMNS;
    tare_stats_column *wanted = calloc(columns, sizeof *wanted);
    tare_reduce_channel *found = calloc(columns, sizeof *found);
    const tare_reduce_request request = {
        .desc = desc, .data = data, .channels = axis < 0 ? NULL : found, .axis = axis};
    tare_stats_record expected;
    tare_reduce_record record;
    tare_error err;

    reference_reduce(&expected, wanted, &tensor, 0);
    cr_assert_eq(tare_backend_cpu.reduce(&record, &request, &err), TARE_OK, "%s", err.text);
    expect_record(&record, &expected, count);
    for (uint64_t c = 0; c < channels; c++) {
        expect_float(found[c].min, wanted[c].min, "minimum of channel", (int64_t)c);
        expect_float(found[c].max, wanted[c].max, "maximum of channel", (int64_t)c);
        expect_float(found[c].sum, wanted[c].sum, "sum of channel", (int64_t)c);
    }
    free(inner);
    free(wanted);
    free(found);
}

static const struct {
    int rank;
    int64_t dims[4];
} shapes[] = {{4, {1, 1, 1, 1}},    {4, {2, 3, 5, 7}},    {4, {1, 3, 33, 41}}, {4, {3, 64, 3, 3}},
              {4, {1, 65, 9, 4}},   {4, {1, 24, 17, 17}}, {4, {2, 500, 1, 1}}, {4, {1, 31, 61, 1}},
              {4, {1, 1, 100, 99}}, {4, {2, 130, 5, 5}},  {4, {1, 7, 96, 96}}, {4, {1, 0, 3, 3}},
              {4, {1, 3, 0, 3}},    {3, {1, 197, 96}},    {3, {2, 50, 129}},   {3, {1, 300, 1}},
              {2, {1, 1000}},       {2, {300, 12}},       {1, {77}},           {0, {0}}};

Test(cpu_statistics, matches_the_definition, .timeout = 120) {
    for (size_t s = 0; s < sizeof shapes / sizeof shapes[0]; s++) {
        for (int last = 0; last < (shapes[s].rank > 2 ? 2 : 1); last++) {
            const tare_desc desc = kernel_case_desc(shapes[s].rank, shapes[s].dims, last != 0);
            const int64_t count = tare_desc_count(&desc);
            float *data = malloc((size_t)(count + 1) * sizeof *data);
            for (int kind = CONTENT_PLAIN; kind <= CONTENT_HUGE; kind++) {
                fill(data, count, (content)kind, s);
                for (int axis = -1; axis < desc.rank; axis++) {
                    check(data, &desc, axis);
                }
            }
            free(data);
        }
    }
}

/* A NaN or an infinity at any place of a vector is found. */
Test(cpu_statistics, one_unusual_element_is_counted) {
    const int64_t dims[2] = {9, 70};
    const float unusual[] = {NAN, INFINITY, -INFINITY, -NAN, 0.0F, -0.0F};
    const tare_desc desc = kernel_case_desc(2, dims, false);
    float data[9 * 70];
    for (size_t i = 0; i < 9 * 70; i++) {
        fill(data, 9 * 70, CONTENT_PLAIN, i);
        data[i] = unusual[i % 6];
        check(data, &desc, -1);
        check(data, &desc, 1);
    }
}

/* Sums do not depend on the layout: rows are in logical order. */
Test(cpu_statistics, layouts_agree) {
    const int64_t dims[4] = {2, 5, 23, 19};
    const tare_desc plain = kernel_case_desc(4, dims, false),
                    last = kernel_case_desc(4, dims, true);
    const int64_t count = tare_desc_count(&plain);
    float *data = malloc((size_t)count * sizeof *data), *moved;
    tare_reduce_channel found[2][5];
    tare_reduce_record records[2];
    tare_reduce_request request = {.desc = &plain, .data = data, .channels = found[0], .axis = 1};

    fill(data, count, CONTENT_PLAIN, 3);
    moved = channels_innermost(data, &plain, 1);
    cr_assert_eq(tare_backend_cpu.reduce(&records[0], &request, NULL), TARE_OK);
    request.desc = &last;
    request.data = moved;
    request.channels = found[1];
    cr_assert_eq(tare_backend_cpu.reduce(&records[1], &request, NULL), TARE_OK);
    cr_assert_eq(memcmp(&records[0], &records[1], sizeof records[0]), 0);
    cr_assert_eq(memcmp(found[0], found[1], sizeof found[0]), 0);
    free(data);
    free(moved);
}

static void check_windows(const tare_desc *desc, const float *data,
                          const tare_collect_window *window) {
    const int64_t height = desc->rank == 4 ? desc->dims[2] : 1;
    const int64_t width = desc->dims[desc->rank - 1], channels = desc->dims[1];
    const size_t taps = (size_t)(window->kernel[0] * window->kernel[1]);
    float *inner = channels_innermost(data, desc, 1);
    float *sums = calloc((size_t)(desc->dims[0] * channels) * taps + 1, sizeof *sums);
    float *const outputs[1] = {sums};
    const tare_reduce_request request = {
        .desc = desc, .data = data, .windows = window, .window_count = 1, .window_sums = outputs};
    tare_window_tensor tensor = {.data = inner,
                                 .samples = (uint64_t)desc->dims[0],
                                 .channels = (uint64_t)channels,
                                 .size = {(uint64_t)height, (uint64_t)width},
                                 .dtype = TARE_DTYPE_FLOAT};
    tare_reduce_record record;
    tare_error err;
    size_t at = 0;

    for (int i = 0; i < 2; i++) {
        tensor.kernel[i] = (uint32_t)window->kernel[i];
        tensor.stride[i] = (uint32_t)window->stride[i];
        tensor.dilation[i] = (uint32_t)window->dilation[i];
        tensor.padding[i] = (uint32_t)window->padding[i];
        tensor.output[i] = (uint64_t)window->output[i];
    }
    cr_assert_eq(tare_backend_cpu.reduce(&record, &request, &err), TARE_OK, "%s", err.text);
    for (int64_t image = 0; image < desc->dims[0]; image++) {
        for (uint32_t tap = 0; tap < taps; tap++) {
            const uint32_t position[2] = {tap / tensor.kernel[1], tap % tensor.kernel[1]};
            for (int64_t c = 0; c < channels; c++, at++) {
                expect_float(sums[at],
                             reference_window_sum(&tensor, (uint64_t)image, position, (uint64_t)c),
                             "window sum", (int64_t)at);
            }
        }
    }
    free(inner);
    free(sums);
}

/* The number of positions of a window along an axis, at least one. */
static int64_t positions(int64_t size, const tare_collect_window *window, int axis, int64_t after) {
    const int64_t extent = (window->kernel[axis] - 1) * window->dilation[axis] + 1;
    const int64_t room = size + window->padding[axis] + after - extent;
    return room < 0 ? 0 : room / window->stride[axis] + 1;
}

Test(cpu_statistics, window_sums_match_the_definition, .timeout = 120) {
    static const int64_t images[][4] = {{1, 3, 17, 19}, {2, 5, 1, 9},  {1, 64, 7, 7},
                                        {1, 1, 12, 5},  {1, 70, 4, 6}, {2, 20, 3, 1}};
    static const int64_t sizes[][2] = {{1, 1}, {3, 3}, {7, 7}, {1, 5}, {2, 4}};
    uint64_t state = 1;
    for (size_t i = 0; i < 6 * 5 * 24; i++) {
        const bool flat = i % 5 == 4;
        int64_t dims[4];
        tare_collect_window window;
        memcpy(dims, images[i % 6], sizeof dims);
        if (flat) {
            dims[2] = dims[3];
        }
        const tare_desc desc = kernel_case_desc(flat ? 3 : 4, dims, draw(&state) % 2 == 0);
        const int64_t count = tare_desc_count(&desc);
        float *data = malloc((size_t)(count + 1) * sizeof *data);
        for (int k = 0; k < 2; k++) {
            window.kernel[k] = flat && k == 0 ? 1 : sizes[i / 6 % 5][k];
            window.stride[k] = 1 + draw(&state) % 3;
            window.dilation[k] = 1 + draw(&state) % 2;
            window.padding[k] = flat && k == 0 ? 0 : draw(&state) % 5;
            window.output[k] = positions(flat && k == 0 ? 1 : dims[flat ? 2 : 2 + k], &window, k,
                                         draw(&state) % 4);
        }
        fill(data, count, i % 3 == 0 ? CONTENT_SPECIAL : CONTENT_PLAIN, i);
        check_windows(&desc, data, &window);
        free(data);
    }
}

Test(cpu_statistics, refuses_what_it_cannot_reduce) {
    const int64_t dims[2] = {1, 2};
    tare_desc desc = kernel_case_desc(2, dims, false);
    const tare_collect_window window = {{1, 1}, {1, 1}, {1, 1}, {0, 0}, {1, 1}};
    tare_reduce_channel channels[2];
    tare_reduce_record found;
    tare_error err;
    tare_reduce_request request = {.desc = &desc, .data = dims, .channels = channels, .axis = 2};

    cr_assert_eq(tare_backend_cpu.reduce(&found, &request, &err), TARE_INVALID_ARGUMENT);
    cr_assert_not_null(strstr(err.text, "axis 2"));
    request =
        (tare_reduce_request){.desc = &desc, .data = dims, .windows = &window, .window_count = 1};
    cr_assert_eq(tare_backend_cpu.reduce(&found, &request, &err), TARE_INVALID_ARGUMENT);
    cr_assert_not_null(strstr(err.text, "rank 2"));
    desc.dtype = TARE_DTYPE_INT32;
    cr_assert_eq(tare_backend_cpu.reduce(&found, &request, &err), TARE_INVALID_ARGUMENT);
    cr_assert_not_null(strstr(err.text, "int32"));
}
