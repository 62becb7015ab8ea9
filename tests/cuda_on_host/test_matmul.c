/* SPDX-License-Identifier: Apache-2.0 */
/** MatMul and Gemm over a fake cuBLASLt against the CPU's rows. */
#include <criterion/criterion.h>
#include <math.h>

#include "cuda/api.h"
#include "cuda/kernels.h"
#include "cuda/matmul.h"
#include "kernel_case.h"
#include "on_device.h"
#include "ops/attrs.h"

#define MATRIX(...)                                                                                \
    TARE_DTYPE_FLOAT, .rank = sizeof((int64_t[]){__VA_ARGS__}) / 8, .dims = {__VA_ARGS__}
#define COUNT(array) (sizeof(array) / sizeof((array)[0]))

#ifdef TARE_TESTS_ON_DEVICE
#define API(own) (own)
#else
/* Only cuBLASLt: rows of products call nothing else. */
static const tare_cuda_api api = {
    .cublasLtGetStatusString = cublasLtGetStatusString,
    .cublasLtCreate = cublasLtCreate,
    .cublasLtDestroy = cublasLtDestroy,
    .cublasLtMatmulDescCreate = cublasLtMatmulDescCreate,
    .cublasLtMatmulDescDestroy = cublasLtMatmulDescDestroy,
    .cublasLtMatmulDescSetAttribute = cublasLtMatmulDescSetAttribute,
    .cublasLtMatrixLayoutCreate = cublasLtMatrixLayoutCreate,
    .cublasLtMatrixLayoutDestroy = cublasLtMatrixLayoutDestroy,
    .cublasLtMatrixLayoutSetAttribute = cublasLtMatrixLayoutSetAttribute,
    .cublasLtMatmulPreferenceCreate = cublasLtMatmulPreferenceCreate,
    .cublasLtMatmulPreferenceDestroy = cublasLtMatmulPreferenceDestroy,
    .cublasLtMatmulPreferenceSetAttribute = cublasLtMatmulPreferenceSetAttribute,
    .cublasLtMatmulAlgoGetHeuristic = cublasLtMatmulAlgoGetHeuristic,
    .cublasLtMatmul = cublasLtMatmul,
};
#define API(own) (&api)
#endif

static void check_cases(kernel_case *tests, size_t count) {
    tare_device device = on_device(TARE_PRECISION_FP32);
    tare_error err = {TARE_OK, ""};

    device.api = API(device.api);
    cr_assert_eq(tare_blas_new(&device.blas, &device, &err), TARE_OK, "%s", err.text);
    for (size_t i = 0; i < count; i++) {
        const kernel_operand *a = &tests[i].inputs[0];
        const double k = (double)a->dims[a->rank > 0 ? a->rank - 1 : 0];
        tests[i].device = &device;
        tests[i].aligned = true;
        tests[i].output_count = 1;
        /* Both add in float32 or better; products are up to 16. In float16 constants are rounded
         * too, each by up to 2^-11 of 4. */
        tests[i].relative = 1e-5;
        tests[i].absolute = 1e-5 * sqrt(k + 1.0);
        tests[i].half_absolute = 4.0 * 4.0 * 0x1p-11 * 2.0 * sqrt(k + 1.0);
        kernel_case_check(&tare_cuda_matmul_table, &tests[i]);
    }
    tare_blas_free(device.blas, &device);
}

Test(matmul, stacks_of_matrices) {
    kernel_case tests[] = {
        {.kernel = "MatMul",
         .input_count = 2,
         .inputs = {{MATRIX(3, 5)}, {MATRIX(5, 7)}},
         .outputs = {{MATRIX(3, 7)}}},
        {.kernel = "MatMul",
         .input_count = 2,
         .inputs = {{MATRIX(1, 1)}, {MATRIX(1, 1)}},
         .outputs = {{MATRIX(1, 1)}}},
        {.kernel = "MatMul",
         .input_count = 2,
         .inputs = {{MATRIX(2, 3, 5)}, {MATRIX(5, 7), .constant = true}},
         .outputs = {{MATRIX(2, 3, 7)}}},
        {.kernel = "MatMul",
         .input_count = 2,
         .inputs = {{MATRIX(3, 5), .constant = true}, {MATRIX(2, 5, 7)}},
         .outputs = {{MATRIX(2, 3, 7)}}},
        {.kernel = "MatMul",
         .input_count = 2,
         .inputs = {{MATRIX(2, 4, 3, 5)}, {MATRIX(2, 4, 5, 6)}},
         .outputs = {{MATRIX(2, 4, 3, 6)}}},
        {.kernel = "MatMul",
         .input_count = 2,
         .inputs = {{MATRIX(2, 1, 3, 5)}, {MATRIX(1, 4, 5, 6)}},
         .outputs = {{MATRIX(2, 4, 3, 6)}}},
        {.kernel = "MatMul",
         .input_count = 2,
         .inputs = {{MATRIX(6, 4, 3, 5)}, {MATRIX(4, 5, 2), .constant = true}},
         .outputs = {{MATRIX(6, 4, 3, 2)}}},
        {.kernel = "MatMul",
         .input_count = 2,
         .inputs = {{MATRIX(2, 1, 3, 2, 3)}, {MATRIX(5, 1, 3, 4)}},
         .outputs = {{MATRIX(2, 5, 3, 2, 4)}}},
        {.kernel = "MatMul",
         .input_count = 2,
         .inputs = {{MATRIX(5)}, {MATRIX(5, 7)}},
         .outputs = {{MATRIX(7)}}},
        {.kernel = "MatMul",
         .input_count = 2,
         .inputs = {{MATRIX(3, 5)}, {MATRIX(5)}},
         .outputs = {{MATRIX(3)}}},
        {.kernel = "MatMul",
         .input_count = 2,
         .inputs = {{MATRIX(4, 3, 5)}, {MATRIX(5)}},
         .outputs = {{MATRIX(4, 3)}}},
        {.kernel = "MatMul",
         .input_count = 2,
         .inputs = {{MATRIX(9, 130)}, {MATRIX(130, 33)}},
         .outputs = {{MATRIX(9, 33)}}},
    };
    check_cases(tests, COUNT(tests));
}

Test(matmul, gemm_with_every_form_of_its_addend) {
    static const tare_gemm_attrs plain = {.alpha = 1.0F, .beta = 1.0F};
    static const tare_gemm_attrs scaled = {.alpha = 0.5F, .beta = -2.0F};
    static const tare_gemm_attrs right = {.alpha = 1.0F, .beta = 1.0F, .trans_b = true};
    static const tare_gemm_attrs both = {
        .alpha = 1.5F, .beta = 0.5F, .trans_a = true, .trans_b = true};
    kernel_case tests[] = {
        {.kernel = "Gemm",
         .attrs = &plain,
         .input_count = 2,
         .inputs = {{MATRIX(3, 5)}, {MATRIX(5, 7)}},
         .outputs = {{MATRIX(3, 7)}}},
        {.kernel = "Gemm",
         .attrs = &right,
         .input_count = 3,
         .inputs = {{MATRIX(3, 5)},
                    {MATRIX(7, 5), .constant = true},
                    {MATRIX(7), .constant = true}},
         .outputs = {{MATRIX(3, 7)}}},
        {.kernel = "Gemm",
         .attrs = &scaled,
         .input_count = 3,
         .inputs = {{MATRIX(3, 5)},
                    {MATRIX(5, 7), .constant = true},
                    {MATRIX(1, 7), .constant = true}},
         .outputs = {{MATRIX(3, 7)}}},
        {.kernel = "Gemm",
         .attrs = &scaled,
         .input_count = 3,
         .inputs = {{MATRIX(3, 5)}, {MATRIX(5, 7)}, {MATRIX(3, 7)}},
         .outputs = {{MATRIX(3, 7)}}},
        {.kernel = "Gemm",
         .attrs = &scaled,
         .input_count = 3,
         .inputs = {{MATRIX(3, 5)}, {MATRIX(5, 7)}, {MATRIX(3, 1), .constant = true}},
         .outputs = {{MATRIX(3, 7)}}},
        {.kernel = "Gemm",
         .attrs = &plain,
         .input_count = 3,
         .inputs = {{MATRIX(3, 5)},
                    {MATRIX(5, 7)},
                    {TARE_DTYPE_FLOAT, .rank = 0, .constant = true}},
         .outputs = {{MATRIX(3, 7)}}},
        {.kernel = "Gemm",
         .attrs = &both,
         .input_count = 3,
         .inputs = {{MATRIX(5, 3)}, {MATRIX(7, 5)}, {MATRIX(3, 7), .constant = true}},
         .outputs = {{MATRIX(3, 7)}}},
        {.kernel = "Gemm",
         .attrs = &both,
         .input_count = 3,
         .inputs = {{MATRIX(5, 3), .constant = true},
                    {MATRIX(7, 5)},
                    {MATRIX(7), .constant = true}},
         .outputs = {{MATRIX(3, 7)}}},
    };
    check_cases(tests, COUNT(tests));
}

Test(matmul, epilogues) {
    static const tare_gemm_attrs plain = {.alpha = 1.0F, .beta = 1.0F};
    const tare_epilogue relu = {TARE_EPILOGUE_CLIP, 0.0F, INFINITY};
    const tare_epilogue add = {TARE_EPILOGUE_ADD, 0.0F, 0.0F};
    kernel_case tests[] = {
        {.kernel = "MatMul",
         .input_count = 2,
         .inputs = {{MATRIX(4, 3, 5)}, {MATRIX(4, 5, 7)}},
         .outputs = {{MATRIX(4, 3, 7)}},
         .epilogue_count = 1,
         .epilogues = {relu}},
        {.kernel = "MatMul",
         .input_count = 2,
         .inputs = {{MATRIX(2, 4, 3, 5)}, {MATRIX(4, 5, 7)}},
         .outputs = {{MATRIX(2, 4, 3, 7)}},
         .epilogue_count = 2,
         .epilogues = {add, relu}},
        {.kernel = "Gemm",
         .attrs = &plain,
         .input_count = 3,
         .inputs = {{MATRIX(3, 5)}, {MATRIX(5, 7)}, {MATRIX(7), .constant = true}},
         .outputs = {{MATRIX(3, 7)}},
         .epilogue_count = 2,
         .epilogues = {add, relu}},
        {.kernel = "Gemm",
         .attrs = &plain,
         .input_count = 3,
         .inputs = {{MATRIX(3, 5)}, {MATRIX(5, 7)}, {MATRIX(7), .constant = true}},
         .outputs = {{MATRIX(3, 7)}},
         .epilogue_count = 1,
         .epilogues = {relu}},
    };
    check_cases(tests, COUNT(tests));
}

/* What the planner has the CPU do instead. */
Test(matmul, refusals) {
    static const tare_gemm_attrs plain = {.alpha = 1.0F, .beta = 1.0F};
    const tare_epilogue sigmoid = {TARE_EPILOGUE_SIGMOID, 0.0F, 0.0F};
    const tare_epilogue add = {TARE_EPILOGUE_ADD, 0.0F, 0.0F};
    kernel_case tests[] = {
        {.kernel = "MatMul",
         .input_count = 2,
         .inputs = {{MATRIX(3, 5)}, {MATRIX(5, 7)}},
         .outputs = {{MATRIX(3, 7)}},
         .epilogue_count = 1,
         .epilogues = {sigmoid},
         .refused = true},
        {.kernel = "MatMul",
         .input_count = 2,
         .inputs = {{TARE_DTYPE_INT32, .rank = 2, .dims = {3, 5}},
                    {TARE_DTYPE_INT32, .rank = 2, .dims = {5, 7}}},
         .outputs = {{TARE_DTYPE_INT32, .rank = 2, .dims = {3, 7}}},
         .refused = true},
        {.kernel = "MatMul",
         .input_count = 2,
         .inputs = {{MATRIX(3, 0)}, {MATRIX(0, 7)}},
         .outputs = {{MATRIX(3, 7)}},
         .refused = true},
        {.kernel = "Gemm",
         .attrs = &plain,
         .input_count = 3,
         .inputs = {{MATRIX(3, 5)}, {MATRIX(5, 7)}, {MATRIX(7)}},
         .outputs = {{MATRIX(3, 7)}},
         .refused = true},
        {.kernel = "Gemm",
         .attrs = &plain,
         .input_count = 3,
         .inputs = {{MATRIX(3, 5)}, {MATRIX(5, 7)}, {MATRIX(3, 7)}},
         .outputs = {{MATRIX(3, 7)}},
         .epilogue_count = 1,
         .epilogues = {add},
         .refused = true},
    };
    check_cases(tests, COUNT(tests));
}

/* The longest axis goes into one call. */
Test(matmul, cuts) {
    const tare_desc a = {.rank = 5, .dims = {2, 1, 3, 4, 5}}, b = {.rank = 4, .dims = {7, 1, 5, 6}};
    const tare_product p = tare_product_read(&a, &b);
    const tare_matmul_cut cut = tare_matmul_cut_of(&p);
    int64_t at[3];

    cr_assert_eq(cut.batch, 7);
    cr_assert_eq(cut.a_stride, 0);
    cr_assert_eq(cut.b_stride, 30);
    cr_assert_eq(cut.d_stride, 3 * 24);
    cr_assert_eq(cut.calls, 6);
    tare_matmul_offsets(at, &cut, 5);
    cr_assert_eq(at[0], 5 * 20);
    cr_assert_eq(at[1], 0);
    cr_assert_eq(at[2], 7 * 3 * 24 + 2 * 24);
}
