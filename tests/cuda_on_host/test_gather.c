/* SPDX-License-Identifier: Apache-2.0 */
/** Gather and GatherElements on the device, against the CPU's rows. */
#include <criterion/criterion.h>

#include "cuda/kernels.h"
#include "kernel_case.h"
#include "on_device.h"
#include "ops/attrs.h"

#define COUNT(array) (sizeof(array) / sizeof(array)[0])
#define RANK(...)    ((int)(sizeof((int64_t[]){__VA_ARGS__}) / sizeof(int64_t)))
#define OF(type, ...)                                                                              \
    {                                                                                              \
        .dtype = type, .rank = RANK(__VA_ARGS__), .dims = { __VA_ARGS__ }                          \
    }
#define FLOATS(...) OF(TARE_DTYPE_FLOAT, __VA_ARGS__)
#define INDICES(type, ...)                                                                         \
    { .dtype = type, .rank = RANK(__VA_ARGS__), .dims = {__VA_ARGS__}, .constant = true, BETWEEN }
#define BETWEEN .low = -3, .high = 2
#define CASE(name, attributes, data, indices, out)                                                 \
    {                                                                                              \
        .kernel = name, .attrs = attributes, .input_count = 2, .output_count = 1,                  \
        .inputs = {data, indices}, .outputs = {                                                    \
            out                                                                                    \
        }                                                                                          \
    }
#define X(...) __VA_ARGS__

static const tare_axis_attrs first = {.axis = 0}, second = {.axis = 1}, third = {.axis = 2};

Test(cuda_gather, constant_indices) {
    const kernel_case tests[] = {
        CASE("Gather", &first, X(FLOATS(3, 8)), X(INDICES(TARE_DTYPE_INT64, 5)), X(FLOATS(5, 8))),
        CASE("Gather", &second, X(FLOATS(2, 3, 5)), X(INDICES(TARE_DTYPE_INT32, 2, 3)),
             X(FLOATS(2, 2, 3, 5))),
        CASE("Gather", &third, X(FLOATS(2, 5, 3)), X(INDICES(TARE_DTYPE_INT64, 7)),
             X(FLOATS(2, 5, 7))),
        CASE("Gather", &second, X(FLOATS(2, 3, 24)),
             X({.dtype = TARE_DTYPE_INT64, .constant = true, BETWEEN}), X(FLOATS(2, 24))),
        CASE("Gather", &first, X(FLOATS(3, 4)), X(INDICES(TARE_DTYPE_INT64, 0)), X(FLOATS(0, 4))),
        CASE("Gather", &first, X(FLOATS(3, 0)), X(INDICES(TARE_DTYPE_INT64, 2)), X(FLOATS(2, 0))),
        CASE("Gather", &first, X(OF(TARE_DTYPE_INT64, 4)), X(INDICES(TARE_DTYPE_INT64, 3)),
             X(OF(TARE_DTYPE_INT64, 3))),
        CASE("Gather", &first, X(OF(TARE_DTYPE_BOOL, 3, 5)), X(INDICES(TARE_DTYPE_INT32, 9)),
             X(OF(TARE_DTYPE_BOOL, 9, 5))),
        CASE("GatherElements", &second, X(FLOATS(4, 3, 6)), X(INDICES(TARE_DTYPE_INT64, 2, 5, 6)),
             X(FLOATS(2, 5, 6))),
        CASE("GatherElements", &third, X(FLOATS(2, 2, 3)), X(INDICES(TARE_DTYPE_INT32, 2, 2, 4)),
             X(FLOATS(2, 2, 4))),
        CASE("GatherElements", &first, X(OF(TARE_DTYPE_INT8, 3, 2)),
             X(INDICES(TARE_DTYPE_INT64, 3, 2)), X(OF(TARE_DTYPE_INT8, 3, 2)))};
    kernel_case_check_all(&tare_cuda_gather_table, tests, COUNT(tests));
}

/* What prepare says of one index into an axis of three elements; NULL: it is computed. */
static tare_status prepare_with(const int64_t *index, tare_error *err) {
    const tare_kernel *row = &tare_cuda_gather_table.rows[0];
    const tare_tensor indices = {.dtype = TARE_DTYPE_INT64, .rank = 1, .dims = {1}, .data = index};
    const tare_tensor *constants[] = {NULL, index != NULL ? &indices : NULL};
    const tare_desc inputs[] = {OF(TARE_DTYPE_FLOAT, 3, 4), OF(TARE_DTYPE_INT64, 1)};
    const tare_desc output = OF(TARE_DTYPE_FLOAT, 1, 4);
    tare_device opened = on_device(TARE_PRECISION_FP32);
    tare_prepare prepare = {.device = &opened,
                            .attrs = &first,
                            .input_count = 2,
                            .inputs = inputs,
                            .constants = constants,
                            .output_count = 1,
                            .outputs = &output,
                            .private_data = calloc(1, row->private_size)};
    const tare_status status = row->prepare(&prepare, err);
    row->release(prepare.private_data);
    free(prepare.private_data);
    return status;
}

Test(cuda_gather, indices_outside_are_an_error) {
    static const int64_t places[] = {3, -4, 2, -3};
    tare_error err = {.text = ""};
    cr_expect_eq(prepare_with(&places[0], &err), TARE_INVALID_MODEL);
    cr_expect_str_eq(err.text, "index 3 into an axis of 3 elements");
    cr_expect_eq(prepare_with(&places[1], &err), TARE_INVALID_MODEL);
    cr_expect_eq(prepare_with(&places[2], &err), TARE_OK);
    cr_expect_eq(prepare_with(&places[3], &err), TARE_OK);
}

Test(cuda_gather, computed_indices_are_left_to_the_cpu) {
    tare_error err = {.text = ""};
    cr_expect_eq(prepare_with(NULL, &err), TARE_UNSUPPORTED);
}
