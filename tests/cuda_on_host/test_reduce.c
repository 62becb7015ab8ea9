/* SPDX-License-Identifier: Apache-2.0 */
/** Reductions of the CUDA backend against the CPU backend's. */
#include <criterion/criterion.h>

#include <string.h>

#include "cuda/kernels.h"
#include "kernel_case.h"
#include "ops/attrs.h"
#include "schedules.h"

#define COUNT(array) (sizeof(array) / sizeof(array)[0])

/* Both add in double and round once; exponentials and logarithms add a few ulp. */
#define FEW_ULP      4e-7

/* An input and the axes to reduce. */
typedef struct situation {
    int rank;
    int64_t dims[TARE_MAX_RANK];
    int axis_count;
    int axes[TARE_MAX_RANK];
} situation;

static const situation situations[] = {
    {1, {1}, 1, {0}},
    {1, {9}, 1, {0}},
    {2, {5, 7}, 1, {0}},
    {2, {5, 7}, 1, {1}},
    {2, {3, 1000}, 1, {1}},
    {3, {2, 7, 5}, 2, {0, 2}},
    {4, {2, 3, 5, 7}, 2, {2, 3}},
    {4, {1, 40, 6, 5}, 2, {2, 3}},
    {4, {2, 3, 5, 7}, 1, {1}},
    {4, {2, 64, 3, 3}, 1, {1}},
    {4, {2, 3, 5, 7}, 4, {0, 1, 2, 3}},
    {4, {2, 3, 5, 7}, 1, {2}},
    {4, {3, 6, 2, 5}, 2, {1, 3}},
    {5, {2, 3, 2, 3, 2}, 3, {0, 2, 4}},
    {8, {2, 1, 2, 3, 2, 1, 2, 2}, 4, {0, 2, 4, 6}},
    {4, {2, 3, 5, 7}, 0, {0}},
    {2, {3, 0}, 1, {1}},
    {3, {2, 0, 3}, 1, {0}},
    {3, {1, 1, 1}, 1, {1}},
};

/* Large enough for slices, in rows and in columns. */
static const situation large[] = {
    {1, {20000}, 1, {0}},
    {2, {9001, 3}, 1, {0}},
    {4, {2, 5, 70, 80}, 2, {2, 3}},
    {3, {5, 40, 130}, 2, {0, 2}},
};

static bool is_reduced(const situation *of, int axis) {
    bool found = false;
    for (int i = 0; i < of->axis_count; i++) {
        found = found || of->axes[i] == axis;
    }
    return found;
}

/* The case of one operator. The attributes must outlive it. */
static kernel_case make_case(const char *kernel, const situation *of, tare_reduce_attrs *attrs,
                             bool keepdims, tare_dtype in, tare_dtype out) {
    kernel_case test = {.kernel = kernel,
                        .attrs = attrs,
                        .input_count = 1,
                        .output_count = 1,
                        .relative = FEW_ULP,
                        .absolute = 1e-6};
    int kept = 0;

    *attrs = (tare_reduce_attrs){.keepdims = keepdims, .axis_count = of->axis_count};
    memcpy(attrs->axes, of->axes, sizeof attrs->axes);
    attrs->axis = of->axes[0];
    test.inputs[0] = (kernel_operand){.dtype = in, .rank = of->rank};
    memcpy(test.inputs[0].dims, of->dims, sizeof of->dims);
    test.outputs[0].dtype = out;
    for (int axis = 0; axis < of->rank; axis++) {
        if (keepdims) {
            test.outputs[0].dims[axis] = is_reduced(of, axis) ? 1 : of->dims[axis];
        } else if (!is_reduced(of, axis)) {
            test.outputs[0].dims[kept++] = of->dims[axis];
        }
    }
    test.outputs[0].rank = keepdims ? of->rank : kept;
    return test;
}

static const char *const names[] = {
    "ReduceSum", "ReduceMean", "ReduceMax",       "ReduceMin",    "ReduceProd",
    "ReduceL1",  "ReduceL2",   "ReduceSumSquare", "ReduceLogSum", "ReduceLogSumExp"};

static void check_names(const situation *of, kernel_values values, bool keepdims) {
    for (size_t i = 0; i < COUNT(names); i++) {
        tare_reduce_attrs attrs;
        kernel_case test =
            make_case(names[i], of, &attrs, keepdims, TARE_DTYPE_FLOAT, TARE_DTYPE_FLOAT);
        test.inputs[0].values = values;
        if (strcmp(names[i], "ReduceLogSum") == 0) {
            test.inputs[0].low = 0.1;
            test.inputs[0].high = 2.0;
        } else if (strcmp(names[i], "ReduceProd") == 0) {
            test.inputs[0].low = 0.9;
            test.inputs[0].high = 1.1;
        }
        kernel_case_check(&tare_cuda_reduce_table, &test);
    }
}

Test(reduce, over_any_axes, .timeout = 300) {
    for (size_t s = 0; s < COUNT(situations); s++) {
        check_names(&situations[s], KERNEL_VALUES_RANGE, s % 2 == 0);
    }
}

Test(reduce, special_numbers, .timeout = 300) {
    static const situation some[] = {
        {2, {60, 3}, 1, {1}}, {2, {3, 60}, 1, {0}}, {4, {2, 6, 3, 5}, 2, {2, 3}}};
    for (size_t s = 0; s < COUNT(some); s++) {
        check_names(&some[s], KERNEL_VALUES_SPECIAL, false);
    }
}

Test(reduce, in_slices, .timeout = 300) {
    for (size_t s = 0; s < COUNT(large); s++) {
        check_names(&large[s], KERNEL_VALUES_RANGE, true);
    }
}

Test(reduce, places_of_extremes, .timeout = 300) {
    static const char *const kernels[] = {"ArgMax", "ArgMin"};
    static const kernel_values values[] = {KERNEL_VALUES_RANGE, KERNEL_VALUES_EQUAL,
                                           KERNEL_VALUES_SPECIAL};
    for (size_t s = 0; s < COUNT(situations) + COUNT(large); s++) {
        const situation *of =
            s < COUNT(situations) ? &situations[s] : &large[s - COUNT(situations)];
        situation one = *of;
        one.axis_count = 1;
        if (of->axis_count == 0 || of->dims[of->axes[0]] == 0) {
            continue;
        }
        for (size_t i = 0; i < 12; i++) {
            tare_reduce_attrs attrs;
            kernel_case test = make_case(kernels[i % 2], &one, &attrs, i % 3 == 0, TARE_DTYPE_FLOAT,
                                         TARE_DTYPE_INT64);
            attrs.select_last_index = i >= 6;
            test.inputs[0].values = values[i / 2 % 3];
            kernel_case_check(&tare_cuda_reduce_table, &test);
        }
    }
}

Test(reduce, whole_numbers, .timeout = 300) {
    static const tare_dtype types[] = {TARE_DTYPE_INT64, TARE_DTYPE_INT32, TARE_DTYPE_INT8,
                                       TARE_DTYPE_UINT8};
    for (size_t s = 0; s < COUNT(situations); s++) {
        for (size_t i = 0; i < COUNT(names); i++) {
            const tare_dtype type = types[(s + i) % COUNT(types)];
            tare_reduce_attrs attrs;
            kernel_case test = make_case(names[i], &situations[s], &attrs, i % 2 == 0, type, type);
            test.inputs[0].low = type == TARE_DTYPE_UINT8 ? 0 : -9;
            test.inputs[0].high = 9;
            test.refused = strcmp(names[i], "ReduceL2") == 0 || strstr(names[i], "Log") != NULL;
            kernel_case_check(&tare_cuda_reduce_table, &test);
        }
    }
}

/* Two lanes per output and more pieces of work than blocks; many lanes. */
static bool right_under(emulator_settings settings) {
    static const situation both[] = {{2, {2500, 8}, 1, {1}}, {2, {3, 1000}, 1, {1}}};
    bool right = true;
    for (size_t s = 0; s < COUNT(both); s++) {
        tare_reduce_attrs attrs;
        const kernel_case test =
            make_case("ReduceSum", &both[s], &attrs, true, TARE_DTYPE_FLOAT, TARE_DTYPE_FLOAT);
        right = right && kernel_case_is_right(&tare_cuda_reduce_table, &test, settings);
    }
    return right;
}

Test(reduce, every_barrier_is_needed, .timeout = 300) {
    const char *name;
    cr_assert(right_under(emulator_defaults()));
    cr_assert_not_null(emulator_barrier(1));
    for (size_t i = 0; (name = emulator_barrier(i)) != NULL; i++) {
        cr_expect(barrier_is_needed(name, right_under), "nothing happens without the barrier %s",
                  name);
    }
}
