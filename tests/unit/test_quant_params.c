/* SPDX-License-Identifier: Apache-2.0 */
/** Scales and zero points: closed forms, degenerate ranges, refusals. */
#include <criterion/criterion.h>
#include <math.h>
#include <string.h>

#include "quant/params.h"

static const tare_quantizer_config symmetric = {8, true, false, false, false};
static const tare_quantizer_config asymmetric = {8, false, false, false, false};
static const tare_quantizer_config weight = {8, true, true, true, true};

static float scales[4];
static int32_t zeros[4];
static tare_quantizer_params params;

static tare_status compute(tare_params_spec spec, const float *min, const float *max,
                           size_t count) {
    params = (tare_quantizer_params){.scale = scales, .zero_point = zeros};
    return tare_params_compute(&params, &spec, min, max, count, NULL);
}

static void expect(tare_params_spec spec, float min, float max, float scale, int32_t zero_point,
                   tare_dtype dtype) {
    cr_assert_eq(compute(spec, &min, &max, 1), TARE_OK);
    cr_expect_eq(params.count, 1);
    /* Equal to the bit: these are the numbers of the reference. */
    cr_expect_eq(scales[0], scale, "[%g, %g]: scale %.9g, expected %.9g", (double)min, (double)max,
                 (double)scales[0], (double)scale);
    cr_expect_eq(zeros[0], zero_point, "[%g, %g]: zero point %d, expected %d", (double)min,
                 (double)max, zeros[0], zero_point);
    cr_expect_eq(params.dtype, dtype);
}

Test(params, symmetric_activation) {
    const tare_params_spec spec = {.config = symmetric};
    expect(spec, -1.0F, 1.0F, (1.0F + (float)(256.0 / 254.0)) / 255.0F, 0, TARE_DTYPE_INT8);
    expect(spec, -0.25F, 3.0F, (3.0F + 3.0F * (float)(256.0 / 254.0)) / 255.0F, 0, TARE_DTYPE_INT8);
    expect(spec, 0.0F, 6.0F, 6.0F / 255.0F, 0, TARE_DTYPE_UINT8);
    expect(spec, 0.0F, 0.0F, 8e-5F / 255.0F, 0, TARE_DTYPE_UINT8);
}

Test(params, forced_sign) {
    tare_params_spec spec = {.config = symmetric};
    spec.config.signed_only = true;
    expect(spec, 0.0F, 1.0F, (1.0F + (float)(256.0 / 254.0)) / 255.0F, 0, TARE_DTYPE_INT8);
}

Test(params, asymmetric_activation) {
    const tare_params_spec spec = {.config = asymmetric};
    expect(spec, 0.0F, 2.55F, 2.55F / 255.0F, 0, TARE_DTYPE_UINT8);
    expect(spec, -2.0F, 0.0F, 2.0F / 255.0F, 127, TARE_DTYPE_INT8);
    /* Zero falls between two codes: one bound moves outwards. */
    const float min = -1.0F;
    const float max = 2.0F;
    cr_assert_eq(compute(spec, &min, &max, 1), TARE_OK);
    cr_expect_eq(zeros[0], -43);
    cr_expect_geq(scales[0], 3.0F / 255.0F);
    cr_expect_float_eq(scales[0], 3.0F / 255.0F, 1e-6);
    /* A tensor of zeros: the range is widened on both sides. */
    const float none = 0.0F;
    cr_assert_eq(compute(spec, &none, &none, 1), TARE_OK);
    cr_expect_float_eq(scales[0], 6.2992e-06F, 1e-10);
    cr_expect_eq(zeros[0], 0);
    cr_expect_eq(params.dtype, TARE_DTYPE_INT8);
    /* A range that does not contain zero is widened to it. */
    expect(spec, 1.0F, 2.0F, 2.0F / 255.0F, 0, TARE_DTYPE_UINT8);
}

Test(params, weights_and_half_range) {
    const float min[3] = {-1.0F, -0.5F, -0.001F};
    const float max[3] = {1.0F, 0.75F, 0.002F};
    tare_params_spec spec = {.config = weight, .weight = true};
    cr_assert_eq(compute(spec, min, max, 3), TARE_OK);
    cr_expect_eq(params.dtype, TARE_DTYPE_INT8);
    cr_expect_eq(scales[0], 2.0F / 254.0F);
    cr_expect_eq(scales[1], 1.5F / 254.0F);
    /* Less than a hundredth of the widest channel is raised to that. */
    cr_expect_eq(scales[2], 0.02F / 254.0F);
    spec.half_range = true;
    cr_assert_eq(compute(spec, min, max, 3), TARE_OK);
    cr_expect_eq(scales[0], 4.0F / 254.0F);
    cr_expect_eq(scales[1], 3.0F / 254.0F);
    for (size_t i = 0; i < 3; i++) {
        cr_expect_eq(zeros[i], 0);
    }
}

Test(params, one_negative_channel_makes_all_signed) {
    const float min[2] = {0.0F, -1.0F};
    const float max[2] = {1.0F, 1.0F};
    tare_params_spec spec = {.config = symmetric};
    spec.config.per_channel = true;
    cr_assert_eq(compute(spec, min, max, 2), TARE_OK);
    cr_expect_eq(params.dtype, TARE_DTYPE_INT8);
    cr_expect_eq(scales[0], scales[1]);
}

Test(params, refusals) {
    const float bad[4] = {NAN, INFINITY, 2.0F, 0.0F};
    const float good[1] = {1.0F};
    tare_params_spec spec = {.config = asymmetric};
    cr_expect_eq(compute(spec, &bad[0], good, 1), TARE_INVALID_ARGUMENT);
    cr_expect_eq(compute(spec, &bad[3], &bad[1], 1), TARE_INVALID_ARGUMENT);
    cr_expect_eq(compute(spec, &bad[2], good, 1), TARE_INVALID_ARGUMENT);
    cr_expect_eq(compute(spec, good, good, 0), TARE_INVALID_ARGUMENT);
    spec.half_range = true;
    cr_expect_eq(compute(spec, good, good, 1), TARE_UNSUPPORTED);
    spec = (tare_params_spec){.config = {16, true, false, false, false}};
    cr_expect_eq(compute(spec, good, good, 1), TARE_UNSUPPORTED);
}

Test(params, codes) {
    const int64_t dims[2] = {2, 3};
    const float values[6] = {1.0F, -1.0F, 0.5F, 0.004F, 0.1F, -0.3F};
    tare_tensor tensor;
    tare_tensor codes;
    float scale[2] = {1.0F / 127.0F, 0.1F};
    int32_t zero[2] = {0, 0};
    const tare_quantizer_params numbers = {TARE_DTYPE_INT8, 2, scale, zero};
    cr_assert_eq(tare_tensor_init(&tensor, TARE_DTYPE_FLOAT, 2, dims, NULL), TARE_OK);
    memcpy(tare_tensor_elements(&tensor), values, sizeof(values));
    cr_assert_eq(tare_weight_quantize(&codes, &tensor, 0, &numbers, NULL), TARE_OK);
    const int8_t wanted[6] = {127, -127, 64, 0, 1, -3};
    cr_expect_arr_eq(codes.data, wanted, sizeof(wanted));
    tare_tensor_release(&codes);
    /* Along axis 1 each column has its own scale. */
    float columns[3] = {1.0F, 0.5F, 0.01F};
    int32_t zeros3[3] = {0, 0, 0};
    const tare_quantizer_params per_column = {TARE_DTYPE_INT8, 3, columns, zeros3};
    cr_assert_eq(tare_weight_quantize(&codes, &tensor, 1, &per_column, NULL), TARE_OK);
    const int8_t wanted_columns[6] = {1, -2, 50, 0, 0, -30};
    cr_expect_arr_eq(codes.data, wanted_columns, sizeof(wanted_columns));
    tare_tensor_release(&codes);
    tare_tensor_release(&tensor);
}
