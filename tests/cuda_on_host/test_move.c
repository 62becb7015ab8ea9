/* SPDX-License-Identifier: Apache-2.0 */
/** Operators that move elements on the device, against the CPU's rows; Reorder between all layouts
 * and types against an index loop; and the units that launches are made of. */
#include <criterion/criterion.h>

#include <string.h>

#include "cuda/kernels.h"
#include "cuda/move_plan.h"
#include "ir/half.h"
#include "kernel_case.h"
#include "on_device.h"
#include "ops/attrs.h"
#include "schedules.h"

#define COUNT(array) (sizeof(array) / sizeof(array)[0])
#define FLOATS(...)                                                                                \
    {                                                                                              \
        .dtype = TARE_DTYPE_FLOAT, .rank = RANK(__VA_ARGS__), .dims = { __VA_ARGS__ }              \
    }
#define RANK(...) ((int)(sizeof((int64_t[]){__VA_ARGS__}) / sizeof(int64_t)))
#define OF(type, ...)                                                                              \
    {                                                                                              \
        .dtype = type, .rank = RANK(__VA_ARGS__), .dims = { __VA_ARGS__ }                          \
    }
#define ONE(name, attributes, in, out)                                                             \
    {                                                                                              \
        .kernel = name, .attrs = attributes, .input_count = 1, .output_count = 1, .inputs = {in},  \
        .outputs = {                                                                               \
            out                                                                                    \
        }                                                                                          \
    }

/* A macro argument that holds commas. */
#define X(...) __VA_ARGS__

static void check(const kernel_case *tests, size_t count) {
    kernel_case_check_all(&tare_cuda_move_table, tests, count);
}

Test(cuda_move, transpose) {
    static const tare_transpose_attrs heads = {.perm = {0, 2, 1, 3}}, last = {.perm = {0, 2, 3, 1}},
                                      first = {.perm = {0, 3, 1, 2}}, matrix = {.perm = {1, 0}},
                                      keys = {.perm = {0, 2, 3, 1}}, same = {.perm = {0, 1, 2}},
                                      far = {.perm = {5, 3, 1, 0, 4, 2}}, none = {.file_perm = {0}};
    const kernel_case tests[] = {
        ONE("Transpose", &heads, X(FLOATS(2, 7, 3, 16)), X(FLOATS(2, 3, 7, 16))),
        ONE("Transpose", &heads, X(FLOATS(2, 5, 3, 9)), X(FLOATS(2, 3, 5, 9))),
        ONE("Transpose", &last, X(FLOATS(2, 3, 9, 11)), X(FLOATS(2, 9, 11, 3))),
        ONE("Transpose", &last, X(FLOATS(1, 40, 7, 13)), X(FLOATS(1, 7, 13, 40))),
        ONE("Transpose", &first, X(FLOATS(2, 5, 7, 33)), X(FLOATS(2, 33, 5, 7))),
        ONE("Transpose", &keys, X(FLOATS(1, 70, 2, 8)), X(FLOATS(1, 2, 8, 70))),
        ONE("Transpose", &matrix, X(FLOATS(70, 67)), X(FLOATS(67, 70))),
        ONE("Transpose", &matrix, X(FLOATS(8, 130)), X(FLOATS(130, 8))),
        ONE("Transpose", &matrix, X(FLOATS(1, 5)), X(FLOATS(5, 1))),
        ONE("Transpose", &same, X(FLOATS(3, 4, 5)), X(FLOATS(3, 4, 5))),
        ONE("Transpose", &far, X(FLOATS(2, 3, 4, 2, 3, 5)), X(FLOATS(5, 2, 3, 2, 3, 4))),
        ONE("Transpose", &matrix, X(FLOATS(0, 4)), X(FLOATS(4, 0))),
        ONE("Transpose", &none, X(OF(TARE_DTYPE_INT64, 1)), X(OF(TARE_DTYPE_INT64, 1))),
        ONE("Transpose", &matrix, X(OF(TARE_DTYPE_UINT8, 70, 65)), X(OF(TARE_DTYPE_UINT8, 65, 70))),
        ONE("Transpose", &matrix, X(OF(TARE_DTYPE_INT64, 33, 40)), X(OF(TARE_DTYPE_INT64, 40, 33))),
        ONE("Transpose", &heads, X(OF(TARE_DTYPE_BOOL, 1, 5, 4, 6)),
            X(OF(TARE_DTYPE_BOOL, 1, 4, 5, 6))),
        ONE("Transpose", &matrix, X(OF(TARE_DTYPE_INT16, 65, 9)), X(OF(TARE_DTYPE_INT16, 9, 65)))};
    check(tests, COUNT(tests));
}

Test(cuda_move, slice) {
    static const tare_slice_attrs middle = {.start = {0, 1, 2, 0}, .step = {1, 1, 1, 1}},
                                  back = {.start = {0, 6, 0, 8}, .step = {1, -2, 1, -1}},
                                  thin = {.start = {1, 0, 0, 0}, .step = {1, 1, 2, 3}},
                                  channels = {.start = {0, 8, 0, 0}, .step = {1, 1, 1, 1}},
                                  empty = {.start = {0, 7, 0, 0}, .step = {1, 1, 1, 1}};
    const kernel_case tests[] = {
        ONE("Slice", &middle, X(FLOATS(2, 7, 5, 8)), X(FLOATS(2, 4, 3, 8))),
        ONE("Slice", &back, X(FLOATS(2, 7, 3, 9)), X(FLOATS(2, 4, 3, 9))),
        ONE("Slice", &thin, X(FLOATS(2, 3, 5, 10)), X(FLOATS(1, 3, 3, 4))),
        ONE("Slice", &channels, X(FLOATS(2, 24, 3, 5)), X(FLOATS(2, 8, 3, 5))),
        ONE("Slice", &empty, X(FLOATS(2, 7, 5, 8)), X(FLOATS(2, 0, 5, 8))),
        ONE("Slice", &thin, X(OF(TARE_DTYPE_INT64, 2, 6)), X(OF(TARE_DTYPE_INT64, 1, 6)))};
    check(tests, COUNT(tests));
}

Test(cuda_move, expand_and_tile) {
    const kernel_case tests[] = {
        ONE("Expand", NULL, X(FLOATS(1, 5, 1, 3)), X(FLOATS(2, 5, 4, 3))),
        ONE("Expand", NULL, X(FLOATS(7, 1)), X(FLOATS(2, 3, 7, 9))),
        ONE("Expand", NULL, X(FLOATS(1)), X(FLOATS(3, 5))),
        ONE("Expand", NULL, X(FLOATS(16)), X(FLOATS(5, 16))),
        ONE("Expand", NULL, X(OF(TARE_DTYPE_BOOL, 3, 1)), X(OF(TARE_DTYPE_BOOL, 3, 4))),
        ONE("Tile", NULL, X(FLOATS(2, 3, 4, 5)), X(FLOATS(2, 6, 4, 15))),
        ONE("Tile", NULL, X(FLOATS(1, 8, 2, 2)), X(FLOATS(3, 16, 2, 2))),
        ONE("Tile", NULL, X(FLOATS(2, 3, 2)), X(FLOATS(4, 3, 6))),
        ONE("Tile", NULL, X(FLOATS(0, 3)), X(FLOATS(0, 6))),
        ONE("Tile", NULL, X(OF(TARE_DTYPE_INT64, 2, 3)), X(OF(TARE_DTYPE_INT64, 4, 9)))};
    check(tests, COUNT(tests));
}

Test(cuda_move, depth_and_space) {
    static const tare_block_attrs rows = {.blocksize = 2}, columns = {.blocksize = 3, .mode = 1};
    const kernel_case tests[] = {
        ONE("DepthToSpace", &rows, X(FLOATS(2, 16, 3, 5)), X(FLOATS(2, 4, 6, 10))),
        ONE("DepthToSpace", &columns, X(FLOATS(1, 18, 3, 2)), X(FLOATS(1, 2, 9, 6))),
        ONE("DepthToSpace", &rows, X(FLOATS(1, 32, 4, 9)), X(FLOATS(1, 8, 8, 18))),
        ONE("SpaceToDepth", &rows, X(FLOATS(2, 3, 6, 10)), X(FLOATS(2, 12, 3, 5))),
        ONE("SpaceToDepth", &rows, X(FLOATS(1, 8, 4, 6)), X(FLOATS(1, 32, 2, 3)))};
    check(tests, COUNT(tests));
}

Test(cuda_move, concat) {
    static const tare_axis_attrs channels = {.axis = 1}, rows = {.axis = 2}, first = {.axis = 0};
    const kernel_case tests[] = {
        {.kernel = "Concat",
         .attrs = &channels,
         .input_count = 3,
         .output_count = 1,
         .inputs = {FLOATS(2, 8, 3, 5), FLOATS(2, 16, 3, 5), FLOATS(2, 4, 3, 5)},
         .outputs = {FLOATS(2, 28, 3, 5)}},
        {.kernel = "Concat",
         .attrs = &channels,
         .input_count = 3,
         .output_count = 1,
         .inputs = {FLOATS(2, 3, 4, 5), FLOATS(2, 0, 4, 5), FLOATS(2, 1, 4, 5)},
         .outputs = {FLOATS(2, 4, 4, 5)}},
        {.kernel = "Concat",
         .attrs = &rows,
         .input_count = 2,
         .output_count = 1,
         .inputs = {FLOATS(2, 8, 3, 5), FLOATS(2, 8, 1, 5)},
         .outputs = {FLOATS(2, 8, 4, 5)}},
        /* A class token: a constant, stored as float32 whatever the rest is. */
        {.kernel = "Concat",
         .attrs = &channels,
         .input_count = 2,
         .output_count = 1,
         .inputs = {{.dtype = TARE_DTYPE_FLOAT, .rank = 3, .dims = {2, 1, 24}, .constant = true},
                    FLOATS(2, 9, 24)},
         .outputs = {FLOATS(2, 10, 24)}},
        {.kernel = "Concat",
         .attrs = &first,
         .input_count = 2,
         .output_count = 1,
         .inputs = {OF(TARE_DTYPE_INT64, 1), OF(TARE_DTYPE_INT64, 3)},
         .outputs = {OF(TARE_DTYPE_INT64, 4)}}};
    check(tests, COUNT(tests));
}

Test(cuda_move, split) {
    static const tare_split_attrs channels = {.axis = 1}, last = {.axis = 2};
    const kernel_case tests[] = {{.kernel = "Split",
                                  .attrs = &channels,
                                  .input_count = 1,
                                  .output_count = 2,
                                  .inputs = {FLOATS(2, 24, 3, 5)},
                                  .outputs = {FLOATS(2, 16, 3, 5), FLOATS(2, 8, 3, 5)}},
                                 {.kernel = "Split",
                                  .attrs = &channels,
                                  .input_count = 1,
                                  .output_count = 2,
                                  .inputs = {FLOATS(2, 7, 3, 5)},
                                  .outputs = {FLOATS(2, 3, 3, 5), FLOATS(2, 4, 3, 5)}},
                                 {.kernel = "Split",
                                  .attrs = &last,
                                  .input_count = 1,
                                  .output_count = 2,
                                  .inputs = {FLOATS(2, 4, 9)},
                                  .outputs = {FLOATS(2, 4, 8), FLOATS(2, 4, 1)}}};
    check(tests, COUNT(tests));
}

Test(cuda_move, views) {
    const kernel_case tests[] = {
        ONE("Reshape", NULL, X(FLOATS(2, 3, 4)), X(FLOATS(6, 4))),
        ONE("Reshape", NULL, X(OF(TARE_DTYPE_INT64, 5)), X(OF(TARE_DTYPE_INT64, 1, 5)))};
    check(tests, COUNT(tests));
}

Test(cuda_move, pad) {
    static const tare_pad_attrs
        around = {.value = 1.25, .begin = {0, 0, 1, 2}, .end = {0, 0, 3, 0}},
        crop = {.value = -3, .begin = {0, 1, -1, 2}, .end = {1, 0, 2, -3}},
        edge = {.mode = TARE_PAD_EDGE, .begin = {0, 0, 2, 3}, .end = {0, 0, 1}},
        mirror = {.mode = TARE_PAD_REFLECT, .begin = {0, 0, 3, 2}, .end = {0, 0, 9, 1}},
        wrap = {.mode = TARE_PAD_WRAP, .begin = {1, 0, 4}, .end = {0, 2, 7}},
        nothing = {.value = 0}, minus = {.value = -1, .begin = {2}, .end = {1}},
        tiny = {.value = 3e-8, .begin = {1}}, huge = {.value = 1e6, .begin = {1}};
    const kernel_case tests[] = {
        ONE("Pad", &around, X(FLOATS(2, 8, 3, 5)), X(FLOATS(2, 8, 7, 7))),
        ONE("Pad", &around, X(FLOATS(1, 3, 4, 6)), X(FLOATS(1, 3, 8, 8))),
        ONE("Pad", &crop, X(FLOATS(2, 3, 4, 8)), X(FLOATS(3, 4, 5, 7))),
        ONE("Pad", &edge, X(FLOATS(2, 4, 3, 5)), X(FLOATS(2, 4, 6, 8))),
        ONE("Pad", &mirror, X(FLOATS(1, 5, 3, 4)), X(FLOATS(1, 5, 15, 7))),
        ONE("Pad", &wrap, X(FLOATS(2, 3, 4)), X(FLOATS(3, 5, 15))),
        ONE("Pad", &nothing, X(FLOATS(2, 3, 4)), X(FLOATS(2, 3, 4))),
        ONE("Pad", &around, X(FLOATS(2, 3, 0, 2)), X(FLOATS(2, 3, 4, 4))),
        ONE("Pad", &around, X(FLOATS(0, 3, 2, 2)), X(FLOATS(0, 3, 6, 4))),
        ONE("Pad", &tiny, X(FLOATS(3)), X(FLOATS(4))),
        ONE("Pad", &huge, X(FLOATS(3)), X(FLOATS(4))),
        ONE("Pad", &minus, X(OF(TARE_DTYPE_INT8, 3)), X(OF(TARE_DTYPE_INT8, 6))),
        ONE("Pad", &minus, X(OF(TARE_DTYPE_INT64, 2)), X(OF(TARE_DTYPE_INT64, 5))),
        ONE("Pad", &minus, X(OF(TARE_DTYPE_INT32, 16)), X(OF(TARE_DTYPE_INT32, 19))),
        ONE("Pad", &minus, X(OF(TARE_DTYPE_BOOL, 5)), X(OF(TARE_DTYPE_BOOL, 8)))};
    check(tests, COUNT(tests));
}

/* Elements of the Reorder tests. */
#define MAX_ELEMENTS 30000

static double value_at(const tare_desc *desc, const void *data, int64_t at) {
    uint64_t bits = 0;
    float single;
    switch (desc->dtype) {
    case TARE_DTYPE_FLOAT:
        memcpy(&single, (const char *)data + at * 4, sizeof single);
        return (double)single;
    case TARE_DTYPE_FLOAT16:
        return tare_half_to_double(((const uint16_t *)data)[at]);
    default:
        memcpy(&bits, (const char *)data + (size_t)at * tare_dtype_bytes(desc->dtype),
               tare_dtype_bytes(desc->dtype));
        return (double)bits;
    }
}

static void set_element(const tare_desc *desc, void *data, int64_t at, int64_t value) {
    const float single = (float)value * 0.37F;
    if (desc->dtype == TARE_DTYPE_FLOAT) {
        ((float *)data)[at] = single;
    } else if (desc->dtype == TARE_DTYPE_FLOAT16) {
        ((uint16_t *)data)[at] = tare_half_from_double((double)single);
    } else {
        memcpy((char *)data + (size_t)at * tare_dtype_bytes(desc->dtype), &value,
               tare_dtype_bytes(desc->dtype));
    }
}

static int64_t place_of(const tare_desc *desc, const int64_t *index) {
    int64_t strides[TARE_MAX_RANK], place = 0;
    tare_desc_strides(strides, desc);
    for (int axis = 0; axis < desc->rank; axis++) {
        place += index[axis] * strides[axis];
    }
    return place;
}

/* Reorders from one descriptor to another and compares element by element. */
static void check_reorder(const tare_desc *to, const tare_desc *from, size_t shift) {
    static uint64_t memory[2][MAX_ELEMENTS + 2];
    const tare_kernel *row = &tare_cuda_move_table.rows[0];
    tare_device device = on_device(TARE_PRECISION_FP32);
    tare_queue queue = {.device = &device};
    char *in = (char *)memory[0] + shift * tare_dtype_bytes(from->dtype);
    char *out = (char *)memory[1] + shift * tare_dtype_bytes(to->dtype);
    const void *inputs[1];
    void *outputs[1];
    const char *reason;
    tare_cuda_move state;
    tare_error err = {.text = ""};
    tare_prepare prepare = {.device = &device,
                            .input_count = 1,
                            .inputs = from,
                            .output_count = 1,
                            .outputs = to,
                            .private_data = &state};
    const tare_run run = {
        .queue = &queue, .private_data = &state, .inputs = inputs, .outputs = outputs};
    const int64_t count = tare_desc_count(from);
    int64_t index[TARE_MAX_RANK] = {0};

    device.storage = to->dtype;
    memset(&state, 0, sizeof state);
    memset(memory[1], 0xee, sizeof memory[1]);
    for (int64_t i = 0; i < count; i++) {
        set_element(from, in, i, (i * 37 + 11) % 4001);
    }
    cr_assert_str_eq(row->name, "Reorder");
    /* With what lies behind the last element, which has to stay. */
    inputs[0] = on_device_in(in, tare_desc_bytes(from));
    outputs[0] = on_device_out(out, tare_desc_bytes(to) + tare_dtype_bytes(to->dtype));
    cr_assert_eq(row->prepare(&prepare, &err), TARE_OK, "%s", err.text);
    cr_assert_eq(row->run(&run, &err), TARE_OK, "%s", err.text);
    cr_assert(on_device_done(&reason), "%s", reason);
    cr_assert_null(emulator_failure());
    for (int64_t i = 0; i < count; i++) {
        const double wanted = value_at(from, in, place_of(from, index));
        const double rounded = to->dtype == TARE_DTYPE_FLOAT16
                                   ? tare_half_to_double(tare_half_from_double(wanted))
                                   : wanted;
        cr_assert_eq(value_at(to, out, place_of(to, index)), rounded, "element %lld", (long long)i);
        for (int axis = from->rank - 1; axis >= 0 && ++index[axis] == from->dims[axis]; axis--) {
            index[axis] = 0;
        }
    }
    for (size_t i = 0; i < tare_dtype_bytes(to->dtype); i++) {
        cr_assert_eq((unsigned char)out[tare_desc_bytes(to) + i], 0xee, "written behind the end");
    }
}

Test(cuda_move, reorder) {
    static const struct {
        int rank;
        int64_t dims[TARE_MAX_RANK];
    } shapes[] = {
        {4, {2, 3, 9, 7}}, {4, {1, 33, 6, 11}},  {4, {2, 16, 8, 4}}, {4, {1, 1, 5, 7}},
        {3, {2, 70, 65}},  {5, {1, 9, 2, 3, 5}}, {4, {2, 8, 1, 1}},  {4, {2, 0, 3, 3}},
        {2, {13, 40}},     {1, {4099}},          {0, {0}},           {4, {1, 130, 9, 15}}};
    static const tare_dtype types[][2] = {
        {TARE_DTYPE_FLOAT, TARE_DTYPE_FLOAT},   {TARE_DTYPE_FLOAT16, TARE_DTYPE_FLOAT},
        {TARE_DTYPE_FLOAT, TARE_DTYPE_FLOAT16}, {TARE_DTYPE_FLOAT16, TARE_DTYPE_FLOAT16},
        {TARE_DTYPE_INT64, TARE_DTYPE_INT64},   {TARE_DTYPE_UINT8, TARE_DTYPE_UINT8}};
    unsigned schedule = 0;

    for (size_t s = 0; s < COUNT(shapes); s++) {
        for (size_t t = 0; t < COUNT(types); t++) {
            for (unsigned how = 0; how < 8; how++) {
                tare_desc to = {.dtype = types[t][0], .rank = shapes[s].rank}, from;
                memcpy(to.dims, shapes[s].dims, sizeof to.dims);
                from = to;
                from.dtype = types[t][1];
                to.layout = (how & 1U) != 0 ? TARE_LAYOUT_CHANNELS_LAST : TARE_LAYOUT_PLAIN;
                from.layout = (how & 2U) != 0 ? TARE_LAYOUT_CHANNELS_LAST : TARE_LAYOUT_PLAIN;
                emulator_set(schedule_at(schedule++ % SCHEDULE_COUNT));
                check_reorder(&to, &from, how / 4);
            }
        }
    }
}

Test(cuda_move, types_that_are_refused) {
    tare_cuda_move move;
    tare_error err;
    cr_expect_eq(tare_cuda_move_types(&move, TARE_DTYPE_INT32, TARE_DTYPE_FLOAT, &err),
                 TARE_UNSUPPORTED);
    cr_expect_eq(tare_cuda_move_types(&move, TARE_DTYPE_STRING, TARE_DTYPE_STRING, &err),
                 TARE_UNSUPPORTED);
    cr_expect_eq(tare_cuda_move_types(&move, TARE_DTYPE_COMPLEX128, TARE_DTYPE_COMPLEX128, &err),
                 TARE_UNSUPPORTED);
}

/* The units of a dense copy of rows with a gap between them, for operands at these addresses. */
static tare_move_unit unit_for(tare_dtype to, tare_dtype from, int64_t row, int64_t gap,
                               uintptr_t shift) {
    static uint64_t memory[2];
    tare_cuda_move move = {.dst_bytes = 0};
    tare_move_launch launch;
    tare_error err;
    cr_assert_eq(tare_cuda_move_types(&move, to, from, &err), TARE_OK);
    tare_movement_axis(&move.movement, 4, row, row + gap);
    tare_movement_axis(&move.movement, row, 1, 1);
    tare_movement_finish(&move.movement);
    tare_cuda_move_plan(&launch, &move, (char *)((uintptr_t)memory / 64 * 64 + shift),
                        (char *)((uintptr_t)memory / 64 * 64));
    cr_expect_not(launch.tiled);
    return launch.unit;
}

Test(cuda_move, units) {
    const tare_dtype f = TARE_DTYPE_FLOAT, h = TARE_DTYPE_FLOAT16, b = TARE_DTYPE_UINT8;
    cr_expect_eq(unit_for(f, f, 8, 4, 0), TARE_MOVE_BYTES_16);
    cr_expect_eq(unit_for(f, f, 8, 4, 8), TARE_MOVE_BYTES_8);
    cr_expect_eq(unit_for(f, f, 8, 4, 4), TARE_MOVE_BYTES_4);
    cr_expect_eq(unit_for(f, f, 8, 2, 0), TARE_MOVE_BYTES_8);
    cr_expect_eq(unit_for(f, f, 7, 1, 0), TARE_MOVE_BYTES_4);
    cr_expect_eq(unit_for(h, h, 8, 8, 0), TARE_MOVE_BYTES_16);
    cr_expect_eq(unit_for(h, h, 6, 8, 0), TARE_MOVE_BYTES_4);
    cr_expect_eq(unit_for(b, b, 16, 16, 0), TARE_MOVE_BYTES_16);
    cr_expect_eq(unit_for(b, b, 15, 16, 0), TARE_MOVE_BYTES_1);
    cr_expect_eq(unit_for(h, f, 8, 4, 0), TARE_MOVE_NARROW_4);
    cr_expect_eq(unit_for(h, f, 8, 4, 8), TARE_MOVE_NARROW_4);
    cr_expect_eq(unit_for(h, f, 8, 4, 4), TARE_MOVE_NARROW);
    cr_expect_eq(unit_for(h, f, 6, 2, 0), TARE_MOVE_NARROW);
    cr_expect_eq(unit_for(f, h, 8, 4, 16), TARE_MOVE_WIDEN_4);
    cr_expect_eq(unit_for(f, h, 8, 4, 8), TARE_MOVE_WIDEN);
}

/* Tensors of more than 2^31 units divide by the long way; here small ones are made to. */
Test(cuda_move, long_division) {
    static float in[33 * 40], out[33 * 40];
    for (int tiled = 0; tiled < 2; tiled++) {
        tare_cuda_move move = {.dst_bytes = 4, .src_bytes = 4};
        tare_move_launch launch;
        tare_error err = {.text = ""};
        /* Columns in reverse keep the copy from being a plain one. */
        const int64_t row = tiled ? 1 : 40, column = tiled ? 33 : -1;
        move.movement.src_offset = tiled ? 0 : 39;
        tare_movement_axis(&move.movement, 33, 40, row);
        tare_movement_axis(&move.movement, 40, 1, column);
        tare_movement_finish(&move.movement);
        for (int i = 0; i < 33 * 40; i++) {
            in[i] = (float)i;
        }
        emulator_set(schedule_at(3));
        tare_cuda_move_plan(&launch, &move, out, in);
        cr_assert_eq(launch.tiled, tiled == 1);
        cr_assert(launch.small);
        launch.small = false;
        cr_assert_eq(tare_move_start(&launch, NULL, &err), TARE_OK, "%s", err.text);
        for (int i = 0; i < 33; i++) {
            for (int k = 0; k < 40; k++) {
                cr_assert_eq(out[i * 40 + k], in[move.movement.src_offset + i * row + k * column]);
            }
        }
    }
}

Test(cuda_move, long_division_through_tables) {
    static const int64_t offsets[3] = {8, -1, 0};
    static const float in[6] = {0, 1, 2, 3, 4, 5};
    static const float wanted[12] = {2, 3, 7, 7, 0, 1, 2, 3, 7, 7, 0, 1};
    float out[12];
    const tare_mapped_launch launch = {
        .dst = (unsigned char *)out,
        .src = (const unsigned char *)in,
        .unit = TARE_MOVE_BYTES_8,
        .count = 6,
        .rank = 2,
        .dims = {tare_divisor_of(2), tare_divisor_of(3)},
        .offsets = {NULL, offsets},
        .fill = {UINT64_C(0x40e0000040e00000), UINT64_C(0x40e0000040e00000)}};
    tare_error err = {.text = ""};

    emulator_set(schedule_at(1));
    cr_assert_eq(tare_mapped_start(&launch, NULL, &err), TARE_OK, "%s", err.text);
    cr_assert_arr_eq(out, wanted, sizeof wanted);
}

static bool transposes_under(emulator_settings settings) {
    static float in[33 * 40], out[33 * 40];
    tare_cuda_move move = {.dst_bytes = 4, .src_bytes = 4};
    tare_error err;
    bool right;

    tare_movement_axis(&move.movement, 33, 40, 1);
    tare_movement_axis(&move.movement, 40, 1, 33);
    tare_movement_finish(&move.movement);
    for (int i = 0; i < 33 * 40; i++) {
        in[i] = (float)i;
    }
    emulator_set(settings);
    right = tare_cuda_move_run(&move, out, in, NULL, &err) == TARE_OK;
    for (int i = 0; i < 33 * 40; i++) {
        right = right && out[i] == in[i % 40 * 33 + i / 40];
    }
    return right;
}

Test(cuda_move, tiles_need_their_barrier) {
    cr_assert(transposes_under(emulator_defaults()));
    cr_assert_not_null(emulator_barrier(0));
    cr_assert_null(emulator_barrier(1));
    cr_expect(barrier_is_needed(emulator_barrier(0), transposes_under));
}
