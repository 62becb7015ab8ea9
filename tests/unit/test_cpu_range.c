/* SPDX-License-Identifier: Apache-2.0 */
/** The range reduction against a loop, over layouts, odd shapes, NaN and infinities. */
#include <criterion/criterion.h>
#include <math.h>

#include "cpu/kernels.h"
#include "kernel_case.h"

#define MAX_CHANNELS 512

typedef struct reference {
    tare_range_record all;
    float low[MAX_CHANNELS], high[MAX_CHANNELS];
} reference;

static void widen(float *low, float *high, float x) {
    *low = x < *low ? x : *low;
    *high = x > *high ? x : *high;
}

static void reduce(reference *out, const float *data, const tare_desc *desc) {
    int64_t strides[TARE_MAX_RANK];
    tare_desc_strides(strides, desc);
    out->all = (tare_range_record){.min = INFINITY, .max = -INFINITY};
    for (int c = 0; c < MAX_CHANNELS; c++) {
        out->low[c] = INFINITY;
        out->high[c] = -INFINITY;
    }
    out->all.elements = (uint64_t)tare_desc_count(desc);
    for (int64_t i = 0; i < tare_desc_count(desc); i++) {
        const int64_t channel = desc->rank > 1 ? i / strides[1] % desc->dims[1] : 0;
        if (isnan(data[i])) {
            out->all.nan++;
            continue;
        }
        out->all.positive_infinity += data[i] == INFINITY;
        out->all.negative_infinity += data[i] == -INFINITY;
        widen(&out->all.min, &out->all.max, data[i]);
        widen(&out->low[channel], &out->high[channel], data[i]);
    }
}

static void check(float *data, const tare_desc *desc) {
    static reference expected;
    float low[MAX_CHANNELS], high[MAX_CHANNELS];
    tare_range_record found;
    tare_range_request request = {.desc = desc, .data = data};
    tare_error err;

    reduce(&expected, data, desc);
    for (int with_channels = 0; with_channels < (desc->rank > 1 ? 2 : 1); with_channels++) {
        for (int c = 0; c < MAX_CHANNELS; c++) {
            low[c] = INFINITY;
            high[c] = -INFINITY;
        }
        request.channel_min = with_channels ? low : NULL;
        request.channel_max = with_channels ? high : NULL;
        cr_assert_eq(tare_cpu_range(&found, &request, &err), TARE_OK, "%s", err.text);
        cr_assert_eq(found.min, expected.all.min);
        cr_assert_eq(found.max, expected.all.max);
        cr_assert_eq(found.elements, expected.all.elements);
        cr_assert_eq(found.nan, expected.all.nan);
        cr_assert_eq(found.positive_infinity, expected.all.positive_infinity);
        cr_assert_eq(found.negative_infinity, expected.all.negative_infinity);
        for (int64_t c = 0; with_channels && c < desc->dims[1]; c++) {
            cr_assert_eq(low[c], expected.low[c], "channel %lld", (long long)c);
            cr_assert_eq(high[c], expected.high[c], "channel %lld", (long long)c);
        }
    }
}

static const int64_t shapes[][4] = {{1, 1, 1, 1},    {2, 3, 5, 7},  {1, 3, 33, 41}, {3, 64, 3, 3},
                                    {1, 65, 9, 4},   {1, 24, 7, 9}, {2, 500, 1, 1}, {1, 31, 61, 1},
                                    {1, 1, 100, 99}, {2, 130, 5, 5}};

Test(cpu_range, matches_a_loop_in_both_layouts) {
    static float data[40000];
    for (size_t s = 0; s < sizeof shapes / sizeof shapes[0]; s++) {
        for (int last = 0; last < 2; last++) {
            const tare_desc desc = kernel_case_desc(4, shapes[s], last != 0);
            const int64_t count = tare_desc_count(&desc);
            kernel_case_fill(data, count, (uint32_t)s);
            check(data, &desc);
            data[count / 2] = NAN;
            check(data, &desc);
            data[count - 1] = INFINITY;
            data[0] = -INFINITY;
            check(data, &desc);
            data[0] = -NAN;
            check(data, &desc);
        }
    }
}

Test(cpu_range, ranks_below_three_and_all_nan) {
    float data[6] = {3.0F, -2.0F, 0.5F, 8.0F, -0.0F, 1.0F};
    const int64_t dims[2] = {2, 3};
    tare_desc desc = kernel_case_desc(2, dims, false);
    check(data, &desc);
    desc = kernel_case_desc(1, &dims[1], false);
    check(data, &desc);
    for (int i = 0; i < 3; i++) {
        data[i] = NAN;
    }
    check(data, &desc);
}

Test(cpu_range, zeros_are_positive_wherever_they_stand) {
    const float orders[2][2] = {{0.0F, -0.0F}, {-0.0F, 0.0F}};
    const int64_t dims[1] = {2};
    const tare_desc desc = kernel_case_desc(1, dims, false);
    for (int i = 0; i < 2; i++) {
        tare_range_record found;
        const tare_range_request request = {.desc = &desc, .data = orders[i]};
        cr_assert_eq(tare_cpu_range(&found, &request, NULL), TARE_OK);
        cr_assert(!signbit(found.min) && !signbit(found.max));
    }
}

Test(cpu_range, merges_into_what_the_channels_hold) {
    float low[2] = {-5.0F, 9.0F}, high[2] = {5.0F, 9.0F};
    const float data[2] = {1.0F, 10.0F};
    const int64_t dims[2] = {1, 2};
    const tare_desc desc = kernel_case_desc(2, dims, false);
    const tare_range_request request = {
        .desc = &desc, .data = data, .channel_min = low, .channel_max = high};
    tare_range_record found;
    cr_assert_eq(tare_cpu_range(&found, &request, NULL), TARE_OK);
    cr_assert(low[0] == -5.0F && high[0] == 5.0F && low[1] == 9.0F && high[1] == 10.0F);
    cr_assert(found.min == 1.0F && found.max == 10.0F);
}

Test(cpu_range, refuses_what_is_not_float32) {
    const int64_t dims[1] = {2};
    tare_desc desc = kernel_case_desc(1, dims, false);
    tare_range_record found;
    tare_error err;
    const tare_range_request request = {.desc = &desc, .data = dims};
    desc.dtype = TARE_DTYPE_INT32;
    cr_assert_eq(tare_cpu_range(&found, &request, &err), TARE_INVALID_ARGUMENT);
    cr_assert_not_null(strstr(err.text, "int32"));
}
