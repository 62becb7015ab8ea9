/* SPDX-License-Identifier: Apache-2.0 */
/** Window sums against a walk over the convolution's outputs, to the bit. */
#include <criterion/criterion.h>

#include <string.h>

#include "problem.h"
#include "schedules.h"

#define F32  TARE_DTYPE_FLOAT
#define F16  TARE_DTYPE_FLOAT16
#define BF16 TARE_DTYPE_BFLOAT16

/* samples, channels, size, kernel, stride, dilation, padding, output */
static const tare_window_tensor tensors[] = {
    {NULL, 2, 3, {7, 9}, {3, 3}, {1, 1}, {1, 1}, {1, 1}, {7, 9}, .dtype = F32},
    {NULL, 2, 16, {9, 7}, {3, 3}, {2, 2}, {1, 1}, {1, 1}, {5, 4}, .dtype = F16},
    {NULL, 1, 8, {12, 11}, {5, 5}, {1, 2}, {2, 1}, {4, 2}, {12, 6}, .dtype = BF16},
    {NULL, 1, 5, {8, 8}, {1, 1}, {3, 3}, {1, 1}, {0, 0}, {3, 3}, .dtype = F16},
    {NULL, 3, 9, {6, 6}, {7, 7}, {2, 2}, {1, 1}, {3, 3}, {3, 3}, .dtype = F32},
    {NULL, 1, 4, {3, 3}, {3, 3}, {1, 1}, {5, 5}, {5, 5}, {3, 3}, .dtype = F32},
    {NULL, 1, 4, {2, 2}, {2, 2}, {4, 4}, {1, 1}, {8, 8}, {4, 4}, .dtype = F32},
    {NULL, 2, 4, {1, 1}, {3, 3}, {1, 1}, {1, 1}, {1, 1}, {1, 1}, .dtype = BF16},
    {NULL, 1, 4, {5, 5}, {4, 4}, {4, 4}, {1, 1}, {0, 0}, {1, 1}, .dtype = F32},
    {NULL, 1, 2, {0, 5}, {3, 3}, {1, 1}, {1, 1}, {2, 1}, {2, 5}, .dtype = F32},
    {NULL, 1, 2, {5, 5}, {3, 3}, {1, 1}, {1, 1}, {1, 1}, {0, 5}, .dtype = F32},
    {NULL, 0, 2, {5, 5}, {3, 3}, {1, 1}, {1, 1}, {1, 1}, {5, 5}, .dtype = F32},
};
static const size_t tensor_count = sizeof tensors / sizeof tensors[0];

Test(window, each_convolution_alone_from_any_start) {
    for (size_t i = 0; i < tensor_count; i++) {
        for (size_t offset = 0; offset < 9; offset += 4) {
            const verdict v = problem_window(&tensors[i], 1, offset, emulator_defaults(), 0);
            cr_expect(v.right, "convolution %zu, offset %zu: %s", i, offset, v.text);
        }
    }
}

Test(window, many_tensors_in_one_launch) {
    for (unsigned i = 0; i < SCHEDULE_COUNT; i++) {
        const verdict v = problem_window(tensors, tensor_count, i, schedule_at(i), i);
        cr_expect(v.right, "schedule %u: %s", i, v.text);
    }
}

Test(window, failures_are_reported) {
    static const char *kernels[] = {"tare_window_rows", "tare_window_finish"};
    emulator_settings settings = emulator_defaults();
    for (int i = 0; i < 2; i++) {
        settings.refused_launch = i + 1;
        const verdict v = problem_window(tensors, 1, 0, settings, 0);
        cr_expect(!v.right && strstr(v.text, kernels[i]) != NULL, "%s", v.text);
    }
}

static void expect_refusal(tare_window_tensor tensor, tare_status status, const char *text) {
    tare_window_totals totals;
    tare_error err;

    cr_assert_eq(tare_window_plan(&totals, &tensor, 1, &err), status, "%s", text);
    cr_assert_not_null(strstr(err.text, text), "%s", err.text);
}

Test(window, plan_refuses) {
    static const float data[1];
    tare_window_tensor bad = tensors[0];

    bad.data = data;
    bad.stride[1] = 0;
    expect_refusal(bad, TARE_INVALID_ARGUMENT, "stride 1 x 0");
    bad.stride[1] = 1;
    bad.output[0] = (uint64_t)1 << 31;
    expect_refusal(bad, TARE_INVALID_ARGUMENT, "31 bits");
    bad.output[0] = 1;
    bad.size[0] = bad.size[1] = INT32_MAX;
    expect_refusal(bad, TARE_INVALID_ARGUMENT, "exceed 64 bits");
    bad.size[0] = bad.size[1] = 1;
    bad.kernel[0] = bad.kernel[1] = INT32_MAX;
    expect_refusal(bad, TARE_INVALID_ARGUMENT, "exceed 64 bits");
    bad = tensors[0];
    expect_refusal(bad, TARE_INVALID_ARGUMENT, "expected a multiple of 4");
    bad.dtype = TARE_DTYPE_DOUBLE;
    expect_refusal(bad, TARE_UNSUPPORTED, "float64");
}
