/* SPDX-License-Identifier: Apache-2.0 */
/** MatMul and Gemm of the CPU backend against loops in double precision. */
#include <criterion/criterion.h>
#include <math.h>

#include "cpu/dnnl_kernels.h"
#include "kernel_case.h"
#include "ops/attrs.h"

typedef struct matmul_shape {
    const char *what;
    int a_rank, b_rank, y_rank;
    int64_t a[5], b[5], y[5];
} matmul_shape;

static const matmul_shape shapes[] = {
    {"matrices", 2, 2, 2, {5, 7}, {7, 9}, {5, 9}},
    {"one row", 2, 2, 2, {1, 33}, {33, 17}, {1, 17}},
    {"one column", 2, 2, 2, {13, 20}, {20, 1}, {13, 1}},
    {"one term", 2, 2, 2, {6, 1}, {1, 11}, {6, 11}},
    {"large", 2, 2, 2, {65, 130}, {130, 70}, {65, 70}},
    {"vector and matrix", 1, 2, 1, {12}, {12, 5}, {5}},
    {"matrix and vector", 2, 1, 1, {9, 12}, {12}, {9}},
    {"two vectors", 1, 1, 0, {31}, {31}, {0}},
    {"vector and batch", 1, 3, 2, {6}, {4, 6, 3}, {4, 3}},
    {"batch and vector", 3, 1, 2, {4, 5, 6}, {6}, {4, 5}},
    {"batch, one matrix", 3, 2, 3, {3, 5, 8}, {8, 10}, {3, 5, 10}},
    {"batch, one matrix of rank 3", 3, 3, 3, {3, 5, 8}, {1, 8, 10}, {3, 5, 10}},
    {"one matrix, batch", 2, 3, 3, {5, 8}, {3, 8, 10}, {3, 5, 10}},
    {"batches", 3, 3, 3, {4, 5, 8}, {4, 8, 6}, {4, 5, 6}},
    {"attention", 4, 4, 4, {2, 3, 10, 16}, {2, 3, 16, 10}, {2, 3, 10, 10}},
    {"two batch axes, the left one broadcast", 4, 4, 4, {1, 3, 4, 6}, {2, 3, 6, 5}, {2, 3, 4, 5}},
    {"two batch axes, crossed", 4, 4, 4, {2, 1, 4, 6}, {1, 3, 6, 5}, {2, 3, 4, 5}},
    {"rank 5 and 3", 5, 3, 5, {2, 2, 3, 4, 6}, {3, 6, 5}, {2, 2, 3, 4, 5}},
    {"ones in front", 4, 2, 4, {1, 1, 4, 6}, {6, 5}, {1, 1, 4, 5}},
};

static float *filled(const tare_desc *desc, uint32_t seed) {
    float *data = malloc(tare_desc_bytes(desc));
    cr_assert_not_null(data);
    kernel_case_fill(data, tare_desc_count(desc), seed);
    return data;
}

/** The first element of the matrix that a broadcast operand uses for output batch `batch`. */
static int64_t batch_offset(const matmul_shape *s, const int64_t *dims, int rank, int64_t batch) {
    /* The output's batch axes; vectors have taken axes away from its end. */
    const int matrix_axes = (s->a_rank > 1 ? 1 : 0) + (s->b_rank > 1 ? 1 : 0);
    const int out_axes = s->y_rank - matrix_axes, own_axes = rank - 2;
    int64_t offset = 0, stride = rank < 2 ? 0 : dims[rank - 1] * dims[rank - 2];
    for (int i = 0; i < own_axes; i++) {
        const int own = own_axes - 1 - i, out = out_axes - 1 - i;
        const int64_t index = batch % s->y[out];
        batch /= s->y[out];
        offset += (dims[own] == 1 ? 0 : index) * stride;
        stride *= dims[own];
    }
    return offset;
}

static void check_matmul(const matmul_shape *s, bool constant) {
    const tare_desc a = kernel_case_desc(s->a_rank, s->a, false);
    const tare_desc b = kernel_case_desc(s->b_rank, s->b, false);
    const tare_desc y = kernel_case_desc(s->y_rank, s->y, false);
    const int64_t k = s->a[s->a_rank - 1];
    const int64_t m = s->a_rank == 1 ? 1 : s->a[s->a_rank - 2];
    const int64_t n = s->b_rank == 1 ? 1 : s->b[s->b_rank - 1];
    float *a_data = filled(&a, 5), *b_data = filled(&b, 6), *y_data = filled(&y, 7);
    float *added = filled(&y, 8);
    tare_error err = {0};
    kernel_case c = {.kernel = kernel_case_row(&tare_dnnl_matmul_table, "MatMul"),
                     .input_count = 2,
                     .inputs = {a, b},
                     .data = {a_data, b_data, added},
                     .constant = {false, constant},
                     .output = y};
    for (size_t epilogues = 0; epilogues < 3; epilogues++) {
        c.epilogue_count = epilogues;
        c.epilogues[0] = (tare_epilogue){TARE_EPILOGUE_CLIP, -0.5f, INFINITY};
        c.epilogues[1] = (tare_epilogue){TARE_EPILOGUE_ADD, 0, 0};
        cr_assert_eq(kernel_case_run(y_data, &c, &err), TARE_OK, "%s: %s", s->what, err.text);
        for (int64_t i = 0; i < tare_desc_count(&y); i++) {
            const int64_t batch = i / (m * n), row = i / n % m, column = i % n;
            const float *left = a_data + batch_offset(s, s->a, s->a_rank, batch) + row * k;
            const float *right = b_data + batch_offset(s, s->b, s->b_rank, batch) + column;
            double sum = 0, magnitude = 0;
            for (int64_t t = 0; t < k; t++) {
                sum += (double)left[t] * right[t * n];
                magnitude += fabs((double)left[t] * right[t * n]);
            }
            sum = epilogues > 0 ? fmax(sum, -0.5) : sum;
            sum += epilogues > 1 ? added[i] : 0;
            /* k products and k sums in some order, then at most one more addition */
            const double bound = (double)(k + 2) * 0x1p-24 * (magnitude + 2);
            cr_assert(fabs(y_data[i] - sum) <= bound, "%s: output %lld: expected %.9g, got %.9g",
                      s->what, (long long)i, sum, (double)y_data[i]);
        }
    }
    free(a_data);
    free(b_data);
    free(y_data);
    free(added);
}

Test(cpu_dnnl_matmul, equals_loops) {
    for (size_t i = 0; i < sizeof(shapes) / sizeof(shapes[0]); i++) {
        check_matmul(&shapes[i], false);
        check_matmul(&shapes[i], true);
    }
}

/** Gemm's C as rows and columns (1: broadcast), and the rank it is given in; rank -1: none. */
typedef struct gemm_addend {
    int rank;
    bool one_row, one_column, constant;
} gemm_addend;

static const gemm_addend addends[] = {
    {-1, true, true, false}, {0, true, true, true},   {1, true, false, true},
    {1, true, true, true},   {2, true, false, true},  {2, false, true, true},
    {2, false, false, true}, {1, true, false, false}, {2, false, false, false},
    {2, true, false, false}, {2, false, true, false}, {0, true, true, false},
};

typedef struct gemm_case {
    int64_t m, n, k;
    tare_gemm_attrs attrs;
    gemm_addend addend;
    bool constant_b;
} gemm_case;

/** Runs one Gemm; false when the kernel leaves it to another one. */
static bool check_gemm(const gemm_case *g) {
    const bool ta = g->attrs.trans_a, tb = g->attrs.trans_b;
    const int64_t a_dims[2] = {ta ? g->k : g->m, ta ? g->m : g->k};
    const int64_t b_dims[2] = {tb ? g->n : g->k, tb ? g->k : g->n};
    const int64_t y_dims[2] = {g->m, g->n};
    const int64_t c_rows = g->addend.one_row ? 1 : g->m,
                  c_columns = g->addend.one_column ? 1 : g->n;
    const int64_t c_dims[2] = {g->addend.rank == 1 ? c_columns : c_rows, c_columns};
    const tare_desc a = kernel_case_desc(2, a_dims, false), b = kernel_case_desc(2, b_dims, false);
    const tare_desc c = kernel_case_desc(g->addend.rank, c_dims, false);
    const tare_desc y = kernel_case_desc(2, y_dims, false);
    float *a_data = filled(&a, 5), *b_data = filled(&b, 6), *y_data = filled(&y, 7);
    float *c_data = filled(&c, 8);
    tare_error err = {0};
    const kernel_case run = {.kernel = kernel_case_row(&tare_dnnl_matmul_table, "Gemm"),
                             .attrs = &g->attrs,
                             .input_count = g->addend.rank < 0 ? 2 : 3,
                             .inputs = {a, b, c},
                             .data = {a_data, b_data, c_data},
                             .constant = {false, g->constant_b, g->addend.constant},
                             .output = y,
                             .epilogue_count = 1,
                             .epilogues = {{TARE_EPILOGUE_CLIP, 0, INFINITY}}};
    const bool done = kernel_case_run(y_data, &run, &err) == TARE_OK;
    for (int64_t i = 0; done && i < g->m * g->n; i++) {
        const int64_t row = i / g->n, column = i % g->n;
        double sum = 0, magnitude = 0;
        for (int64_t t = 0; t < g->k; t++) {
            const double left = a_data[ta ? t * g->m + row : row * g->k + t];
            const double right = b_data[tb ? column * g->k + t : t * g->n + column];
            sum += left * right;
            magnitude += fabs(left * right);
        }
        sum *= g->attrs.alpha;
        magnitude *= fabs((double)g->attrs.alpha);
        if (g->addend.rank >= 0) {
            const double added =
                g->attrs.beta * (double)c_data[(g->addend.one_row ? 0 : row) * c_columns +
                                               (g->addend.one_column ? 0 : column)];
            sum += added;
            magnitude += fabs(added);
        }
        /* k products and sums, the scale, and the addend with its own scale */
        const double bound = (double)(g->k + 4) * 0x1p-24 * magnitude;
        cr_assert(fabs(y_data[i] - fmax(sum, 0)) <= bound,
                  "%lldx%lldx%lld: output %lld: expected %.9g, got %.9g", (long long)g->m,
                  (long long)g->n, (long long)g->k, (long long)i, sum, (double)y_data[i]);
    }
    free(a_data);
    free(b_data);
    free(c_data);
    free(y_data);
    return done;
}

Test(cpu_dnnl_matmul, gemm_equals_loops) {
    static const int64_t sizes[][3] = {{5, 7, 9}, {1, 10, 64}, {17, 1, 3}, {4, 33, 1}, {1, 1, 20}};
    static const float scales[][2] = {{1, 1}, {0.5f, 1}, {1, 0.25f}, {-2, 3}, {1, 0}};
    for (size_t s = 0; s < sizeof(sizes) / sizeof(sizes[0]); s++) {
        for (size_t e = 0; e < sizeof(scales) / sizeof(scales[0]); e++) {
            for (size_t d = 0; d < sizeof(addends) / sizeof(addends[0]); d++) {
                for (int flags = 0; flags < 8; flags++) {
                    const gemm_case g = {.m = sizes[s][0],
                                         .n = sizes[s][1],
                                         .k = sizes[s][2],
                                         .attrs = {.alpha = scales[e][0],
                                                   .beta = scales[e][1],
                                                   .trans_a = (flags & 1) != 0,
                                                   .trans_b = (flags & 2) != 0},
                                         .addend = addends[d],
                                         .constant_b = (flags & 4) != 0};
                    const bool scaled = scales[e][1] != 0.0f && scales[e][1] != 1.0f;
                    const bool column = !addends[d].one_row && addends[d].one_column;
                    const bool may_refuse =
                        addends[d].rank >= 0 && !addends[d].constant && (scaled || column);
                    cr_assert(check_gemm(&g) || may_refuse, "case %zu %zu %zu %d", s, e, d, flags);
                }
            }
        }
    }
}
