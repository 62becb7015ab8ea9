/* SPDX-License-Identifier: Apache-2.0 */
/** Reorders, transposes and other moves of every element size against an index loop. */
#include <criterion/criterion.h>

#include "cpu/copy.h"
#include "cpu/kernels.h"
#include "kernel_case.h"
#include "ops/attrs.h"

#define MAX_BYTES 400000

static const int64_t shapes[][5] = {{1, 3, 17, 19, 0},  {2, 1, 5, 7, 0},    {1, 40, 9, 9, 0},
                                    {2, 33, 16, 32, 0}, {1, 85, 13, 13, 0}, {3, 4, 1, 50, 0},
                                    {1, 2, 3, 4, 5},    {2, 16, 4, 3, 6},   {2, 0, 3, 4, 0},
                                    {2, 5, 9, 0, 0},    {1, 4, 8, 8, 0},    {1, 5, 8, 8, 0}};
static const tare_dtype types[] = {TARE_DTYPE_UINT8, TARE_DTYPE_FLOAT16, TARE_DTYPE_FLOAT,
                                   TARE_DTYPE_INT64};

static tare_desc shaped(size_t index, bool last, tare_dtype dtype) {
    /* The last dim 0 stands for rank 4 except in the shapes that are meant to be empty. */
    const int rank = shapes[index][4] > 0 ? 5 : (shapes[index][3] > 0 ? 4 : 3);
    tare_desc desc = kernel_case_desc(rank, shapes[index], last);
    desc.dtype = dtype;
    return desc;
}

static int64_t offset_of(const tare_desc *desc, const int64_t *index) {
    int64_t strides[TARE_MAX_RANK], offset = 0;
    tare_desc_strides(strides, desc);
    for (int axis = 0; axis < desc->rank; axis++) {
        offset += index[axis] * strides[axis];
    }
    return offset;
}

static bool next_index(int64_t *index, const tare_desc *desc) {
    for (int axis = desc->rank - 1; axis >= 0; axis--) {
        if (++index[axis] < desc->dims[axis]) {
            return true;
        }
        index[axis] = 0;
    }
    return false;
}

/* Runs a row of one input and one output. */
static void run_row(const tare_kernel *kernel, const void *attrs, const tare_desc *in,
                    const tare_desc *out, void *const *data) {
    tare_error err = {.text = ""};
    void *outputs[1] = {data[1]};
    tare_prepare prepare = {.attrs = attrs,
                            .input_count = 1,
                            .inputs = in,
                            .output_count = 1,
                            .outputs = out,
                            .private_data = calloc(1, kernel->private_size)};
    const tare_run run = {.private_data = prepare.private_data,
                          .inputs = (const void *const *)data,
                          .outputs = outputs};
    cr_assert_eq(kernel->prepare(&prepare, &err), TARE_OK, "%s", err.text);
    cr_assert_eq(kernel->run(&run, &err), TARE_OK, "%s", err.text);
    free(prepare.private_data);
}

static void fill_bytes(unsigned char *data, size_t bytes) {
    uint32_t state = 1;
    for (size_t i = 0; i < bytes; i++) {
        state = state * 1664525U + 1013904223U;
        data[i] = (unsigned char)(state >> 24);
    }
}

/* out[index] must be in[permuted index]; perm NULL: the same index. */
static void check(const tare_desc *in, const tare_desc *out, const int *perm, void *const *data) {
    const size_t bytes = tare_dtype_bytes(in->dtype);
    int64_t index[TARE_MAX_RANK] = {0}, from[TARE_MAX_RANK];
    if (tare_desc_count(out) == 0) {
        return;
    }
    do {
        for (int axis = 0; axis < out->rank; axis++) {
            from[perm == NULL ? axis : perm[axis]] = index[axis];
        }
        cr_assert_eq(memcmp((const char *)data[1] + (size_t)offset_of(out, index) * bytes,
                            (const char *)data[0] + (size_t)offset_of(in, from) * bytes, bytes),
                     0);
    } while (next_index(index, out));
}

Test(cpu_move, reorders_between_layouts) {
    static uint64_t in[MAX_BYTES / 8], out[MAX_BYTES / 8];
    void *data[2] = {in, out};
    fill_bytes((unsigned char *)in, sizeof in);
    for (size_t s = 0; s < sizeof shapes / sizeof shapes[0]; s++) {
        for (size_t t = 0; t < sizeof types / sizeof types[0]; t++) {
            for (int to_last = 0; to_last < 2; to_last++) {
                const tare_desc from = shaped(s, to_last == 0, types[t]);
                const tare_desc to = shaped(s, to_last != 0, types[t]);
                cr_assert_leq(tare_desc_bytes(&from), sizeof in);
                run_row(kernel_case_row(&tare_cpu_move_table, "Reorder"), NULL, &from, &to, data);
                check(&from, &to, NULL, data);
            }
        }
    }
}

Test(cpu_move, transposes_from_both_layouts) {
    static const int perms[][5] = {{0, 2, 3, 1, 4}, {0, 3, 1, 2, 4}, {3, 2, 1, 0, 4},
                                   {1, 0, 2, 3, 4}, {0, 1, 3, 2, 4}, {0, 1, 2, 3, 4}};
    static uint64_t in[MAX_BYTES / 8], out[MAX_BYTES / 8];
    void *data[2] = {in, out};
    fill_bytes((unsigned char *)in, sizeof in);
    for (size_t s = 0; s < sizeof shapes / sizeof shapes[0]; s++) {
        for (size_t p = 0; p < sizeof perms / sizeof perms[0]; p++) {
            for (int last = 0; last < 2; last++) {
                const tare_desc from = shaped(s, last != 0, TARE_DTYPE_FLOAT);
                tare_transpose_attrs attrs = {.perm = {0}};
                tare_desc to = from;
                if (from.rank < 4) {
                    continue;
                }
                to.layout = TARE_LAYOUT_PLAIN;
                for (int axis = 0; axis < from.rank; axis++) {
                    attrs.perm[axis] = perms[p][axis];
                    to.dims[axis] = from.dims[perms[p][axis]];
                }
                run_row(kernel_case_row(&tare_cpu_move_table, "Transpose"), &attrs, &from, &to,
                        data);
                check(&from, &to, attrs.perm, data);
            }
        }
    }
}

Test(cpu_move, slices_backwards) {
    float in[10], out[4];
    void *data[2] = {in, out};
    const int64_t from_dims[1] = {10}, to_dims[1] = {4};
    const tare_desc from = kernel_case_desc(1, from_dims, false),
                    to = kernel_case_desc(1, to_dims, false);
    const tare_slice_attrs attrs = {.start = {9}, .step = {-3}};
    for (int i = 0; i < 10; i++) {
        in[i] = (float)i;
    }
    run_row(kernel_case_row(&tare_cpu_move_table, "Slice"), &attrs, &from, &to, data);
    cr_assert(out[0] == 9.0F && out[1] == 6.0F && out[2] == 3.0F && out[3] == 0.0F);
}

Test(cpu_move, pads_in_every_mode_with_crops) {
    static const struct {
        int mode;
        int64_t begin, end;
        float expected[9];
        int64_t count;
    } cases[] = {
        {TARE_PAD_CONSTANT, 2, 1, {9, 9, 0, 1, 2, 3, 9}, 7},
        {TARE_PAD_CONSTANT, -1, 2, {1, 2, 3, 9, 9}, 5},
        {TARE_PAD_EDGE, 2, 1, {0, 0, 0, 1, 2, 3, 3}, 7},
        {TARE_PAD_REFLECT, 3, 2, {3, 2, 1, 0, 1, 2, 3, 2, 1}, 9},
        {TARE_PAD_REFLECT, -1, 2, {1, 2, 3, 2, 1}, 5},
        {TARE_PAD_WRAP, 2, 3, {2, 3, 0, 1, 2, 3, 0, 1, 2}, 9},
    };
    float in[4] = {0, 1, 2, 3}, out[9];
    const int64_t from_dims[1] = {4};
    const tare_desc from = kernel_case_desc(1, from_dims, false);
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        const tare_kernel *kernel = kernel_case_row(&tare_cpu_pad_table, "Pad");
        const tare_desc to = kernel_case_desc(1, &cases[i].count, false);
        const tare_pad_attrs attrs = {
            .mode = cases[i].mode, .value = 9.0, .begin = {cases[i].begin}, .end = {cases[i].end}};
        kernel_case c = {.kernel = kernel,
                         .attrs = &attrs,
                         .input_count = 1,
                         .inputs = {from},
                         .data = {in},
                         .output = to};
        tare_error err;
        cr_assert_eq(kernel_case_run(out, &c, &err), TARE_OK, "%s", err.text);
        for (int64_t k = 0; k < cases[i].count; k++) {
            cr_assert_eq(out[k], cases[i].expected[k], "case %zu, element %lld", i, (long long)k);
        }
    }
}

/* The operators that take both layouts give the same numbers in both. */
Test(cpu_move, joins_operands_of_mixed_layouts) {
    static float a[3000], b[3000], found[6000];
    const int64_t a_dims[4] = {2, 5, 6, 7}, b_dims[4] = {2, 11, 6, 7}, out_dims[4] = {2, 16, 6, 7};
    const tare_axis_attrs attrs = {.axis = 1};
    kernel_case_fill(a, 420, 1);
    kernel_case_fill(b, 924, 2);
    for (int layouts = 0; layouts < 4; layouts++) {
        kernel_case c = {.kernel = kernel_case_row(&tare_cpu_move_table, "Concat"),
                         .attrs = &attrs,
                         .input_count = 2,
                         .inputs = {kernel_case_desc(4, a_dims, (layouts & 1) != 0),
                                    kernel_case_desc(4, b_dims, (layouts & 2) != 0)},
                         .data = {a, b},
                         .output = kernel_case_desc(4, out_dims, layouts != 0)};
        tare_error err;
        cr_assert_eq(kernel_case_run(found, &c, &err), TARE_OK, "%s", err.text);
        for (int64_t n = 0; n < 2; n++) {
            cr_assert_eq(memcmp(found + n * 672, a + n * 210, 210 * sizeof(float)), 0);
            cr_assert_eq(memcmp(found + n * 672 + 210, b + n * 462, 462 * sizeof(float)), 0);
        }
    }
}
