/* SPDX-License-Identifier: Apache-2.0 */
/** Element-wise kernels over broadcast shapes, mixed layouts and memory shared with an input. */
#include <criterion/criterion.h>
#include <math.h>

#include "cpu/kernels.h"
#include "kernel_case.h"
#include "ops/attrs.h"

#define MAX_COUNT 32768

/* The element of an operand that belongs to position `index` of the row-major output. */
static float broadcast_at(const float *data, const tare_desc *operand, const tare_desc *out,
                          int64_t index) {
    int64_t offset = 0, stride = 1;
    for (int axis = out->rank - 1, own = operand->rank - 1; own >= 0; axis--, own--) {
        const int64_t at = index % out->dims[axis];
        index /= out->dims[axis];
        offset += operand->dims[own] == 1 ? 0 : at * stride;
        stride *= operand->dims[own];
    }
    return data[offset];
}

typedef struct shapes {
    int out_rank, a_rank, b_rank;
    int64_t out[5], a[5], b[5];
} shapes;

static const shapes broadcasts[] = {
    {4, 4, 4, {2, 3, 5, 7}, {2, 3, 5, 7}, {2, 3, 5, 7}},
    {4, 4, 3, {2, 3, 5, 7}, {2, 3, 5, 7}, {3, 1, 1}}, /* a few channels: rows are joined */
    {4, 4, 4, {2, 40, 5, 7}, {2, 40, 5, 7}, {2, 40, 1, 1}},
    {4, 4, 4, {1, 17, 6, 6}, {1, 17, 1, 1}, {1, 17, 6, 6}},
    {4, 4, 0, {2, 3, 5, 7}, {2, 3, 5, 7}, {0}},
    {4, 0, 4, {2, 3, 5, 7}, {0}, {2, 3, 5, 7}},
    {4, 4, 1, {2, 3, 5, 7}, {2, 3, 5, 7}, {7}},
    {4, 4, 2, {2, 3, 5, 7}, {2, 3, 5, 7}, {5, 1}},
    {4, 4, 4, {2, 3, 5, 7}, {2, 1, 5, 1}, {1, 3, 1, 7}},
    {4, 4, 4, {2, 3, 5, 7}, {2, 3, 5, 1}, {1, 1, 1, 7}},
    {3, 3, 3, {4, 6, 9}, {4, 6, 9}, {1, 6, 1}},
    {3, 3, 2, {4, 6, 9}, {4, 6, 9}, {6, 9}},
    {5, 5, 5, {2, 3, 4, 2, 5}, {2, 3, 4, 2, 5}, {1, 3, 1, 1, 1}},
    {2, 2, 1, {6, 9}, {6, 9}, {9}},
    {1, 1, 1, {1000}, {1000}, {1}},
    {4, 4, 4, {1, 2, 61, 40}, {1, 2, 61, 40}, {1, 1, 61, 40}},
    {4, 4, 4, {0, 3, 5, 7}, {0, 3, 5, 7}, {1, 3, 5, 7}},
};

static float subtract(float x, float y) {
    return x - y;
}

static float larger(float x, float y) {
    return isnan(x) || x > y ? x : y;
}

static void check_broadcast(const shapes *s, const char *name, float (*exact)(float, float)) {
    static float a[MAX_COUNT], b[MAX_COUNT], found[MAX_COUNT];
    for (int layouts = 0; layouts < 4; layouts++) {
        /* Outputs are channels-last as soon as one input of their rank is. */
        const bool a_last = (layouts & 1) != 0, b_last = (layouts & 2) != 0;
        const bool last = (a_last && s->a_rank == s->out_rank && s->a_rank >= 3) ||
                          (b_last && s->b_rank == s->out_rank && s->b_rank >= 3);
        kernel_case c = {.kernel = kernel_case_row(&tare_cpu_binary_table, name),
                         .input_count = 2,
                         .inputs = {kernel_case_desc(s->a_rank, s->a, a_last),
                                    kernel_case_desc(s->b_rank, s->b, b_last)},
                         .data = {a, b},
                         .output = kernel_case_desc(s->out_rank, s->out, last)};
        tare_error err;
        kernel_case_fill(a, MAX_COUNT, 1);
        kernel_case_fill(b, MAX_COUNT, 2);
        a[5] = NAN;
        cr_assert_eq(kernel_case_run(found, &c, &err), TARE_OK, "%s", err.text);
        for (int64_t i = 0; i < tare_desc_count(&c.output); i++) {
            const float expected = exact(broadcast_at(a, &c.inputs[0], &c.output, i),
                                         broadcast_at(b, &c.inputs[1], &c.output, i));
            cr_assert(found[i] == expected || (isnan(found[i]) && isnan(expected)),
                      "%s, shapes %td, layouts %d, element %lld: %g, expected %g", name,
                      s - broadcasts, layouts, (long long)i, (double)found[i], (double)expected);
        }
    }
}

Test(cpu_elementwise, broadcasts_over_mixed_layouts) {
    for (size_t i = 0; i < sizeof broadcasts / sizeof broadcasts[0]; i++) {
        check_broadcast(&broadcasts[i], "Sub", subtract);
        check_broadcast(&broadcasts[i], "Max", larger);
    }
}

Test(cpu_elementwise, refuses_shapes_that_do_not_spread) {
    const int64_t out[2] = {4, 3}, other[1] = {4};
    tare_desc inputs[2] = {kernel_case_desc(2, out, false), kernel_case_desc(1, other, false)};
    const tare_desc output = inputs[0];
    const tare_kernel *kernel = kernel_case_row(&tare_cpu_binary_table, "Add");
    tare_error err;
    tare_prepare prepare = {.input_count = 2,
                            .inputs = inputs,
                            .output_count = 1,
                            .outputs = &output,
                            .private_data = calloc(1, kernel->private_size)};
    cr_assert_eq(kernel->prepare(&prepare, &err), TARE_INVALID_MODEL);
    cr_assert_not_null(strstr(err.text, "[4]"), "%s", err.text);
    free(prepare.private_data);
}

/* Runs a row on typed operands of one dim. */
static tare_status run_typed(const tare_kernel_table *table, const char *name, const void *attrs,
                             const tare_desc *descs, void *const *data) {
    const tare_kernel *kernel = kernel_case_row(table, name);
    void *outputs[1] = {data[2]};
    tare_error err = {.text = ""};
    tare_prepare prepare = {.attrs = attrs,
                            .input_count = 2,
                            .inputs = descs,
                            .output_count = 1,
                            .outputs = &descs[2],
                            .private_data = calloc(1, kernel->private_size)};
    const tare_run run = {.private_data = prepare.private_data,
                          .inputs = (const void *const *)data,
                          .outputs = outputs};
    tare_status status = kernel->prepare(&prepare, &err);
    if (status == TARE_OK) {
        status = kernel->run(&run, &err);
    }
    free(prepare.private_data);
    return status;
}

static tare_desc typed(tare_dtype dtype, int64_t count) {
    tare_desc desc = kernel_case_desc(1, &count, false);
    desc.dtype = dtype;
    return desc;
}

Test(cpu_elementwise, whole_numbers_divide_towards_zero_and_never_trap) {
    int64_t a[4] = {7, -7, INT64_MIN, 5}, b[4] = {2, 2, -1, 3}, out[4];
    void *data[3] = {a, b, out};
    const tare_desc descs[3] = {typed(TARE_DTYPE_INT64, 4), typed(TARE_DTYPE_INT64, 4),
                                typed(TARE_DTYPE_INT64, 4)};
    const tare_binary_attrs python = {.fmod = false}, c = {.fmod = true};

    cr_assert_eq(run_typed(&tare_cpu_binary_table, "Div", NULL, descs, data), TARE_OK);
    cr_assert(out[0] == 3 && out[1] == -3 && out[2] == INT64_MIN && out[3] == 1);
    cr_assert_eq(run_typed(&tare_cpu_binary_table, "Mod", &python, descs, data), TARE_OK);
    cr_assert(out[0] == 1 && out[1] == 1 && out[2] == 0);
    cr_assert_eq(run_typed(&tare_cpu_binary_table, "Mod", &c, descs, data), TARE_OK);
    cr_assert(out[0] == 1 && out[1] == -1 && out[2] == 0);
    b[1] = 0;
    cr_assert_eq(run_typed(&tare_cpu_binary_table, "Div", NULL, descs, data),
                 TARE_INVALID_ARGUMENT);
    cr_assert_eq(run_typed(&tare_cpu_binary_table, "Mod", &python, descs, data),
                 TARE_INVALID_ARGUMENT);
}

Test(cpu_elementwise, comparisons_of_uint64_are_unsigned) {
    uint64_t a[2] = {UINT64_MAX, 1}, b[2] = {1, UINT64_MAX};
    uint8_t out[2];
    void *data[3] = {a, b, out};
    const tare_desc descs[3] = {typed(TARE_DTYPE_UINT64, 2), typed(TARE_DTYPE_UINT64, 2),
                                typed(TARE_DTYPE_BOOL, 2)};
    cr_assert_eq(run_typed(&tare_cpu_binary_table, "Less", NULL, descs, data), TARE_OK);
    cr_assert(out[0] == 0 && out[1] == 1);
}

Test(cpu_elementwise, pow_of_mixed_types) {
    int32_t base[3] = {2, -3, 10};
    float exponent[3] = {3.0F, 2.0F, 0.5F};
    int32_t out[3];
    void *data[3] = {base, exponent, out};
    const tare_desc descs[3] = {typed(TARE_DTYPE_INT32, 3), typed(TARE_DTYPE_FLOAT, 3),
                                typed(TARE_DTYPE_INT32, 3)};
    cr_assert_eq(run_typed(&tare_cpu_binary_table, "Pow", NULL, descs, data), TARE_OK);
    cr_assert(out[0] == 8 && out[1] == 9 && out[2] == 3);
}

Test(cpu_elementwise, clips_whole_numbers_exactly) {
    int64_t a[3] = {INT64_MAX - 1, -5, 3}, out[3];
    void *data[3] = {a, a, out};
    const tare_desc descs[3] = {typed(TARE_DTYPE_INT64, 3), typed(TARE_DTYPE_INT64, 3),
                                typed(TARE_DTYPE_INT64, 3)};
    const tare_clip_attrs open = {.min = -2.0, .max = INFINITY};
    cr_assert_eq(run_typed(&tare_cpu_unary_table, "Clip", &open, descs, data), TARE_OK);
    cr_assert(out[0] == INT64_MAX - 1 && out[1] == -2 && out[2] == 3);
}
