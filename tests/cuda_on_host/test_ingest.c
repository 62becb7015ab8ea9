/* SPDX-License-Identifier: Apache-2.0 */
/** Staged input on its way into the form in which a plan takes it, against an index loop. */
#include <criterion/criterion.h>

#include <string.h>

#include "cuda/device.h"
#include "cuda/ingest.h"
#include "emulator.h"
#include "ir/half.h"
#include "on_device.h"
#include "schedules.h"

#define COUNT(array) (sizeof(array) / sizeof(array)[0])
#define CHANNELS     5
#define MAX_ELEMENTS 4000

/* What channel c makes of byte p: different everywhere, not always a float16. */
static float value_of(int64_t c, unsigned p) {
    return ((float)p - 100.0F) / 57.375F + (float)c * 7.0F;
}

static float table_values[CHANNELS * 256];

static const float *table(void) {
    for (int64_t c = 0; c < CHANNELS; c++) {
        for (unsigned p = 0; p < 256; p++) {
            table_values[c * 256 + p] = value_of(c, p);
        }
    }
    return table_values;
}

static double stored(double value, tare_dtype dtype) {
    return dtype == TARE_DTYPE_FLOAT16 ? tare_half_to_double(tare_half_from_double(value)) : value;
}

static double element_at(const tare_desc *desc, const void *data, int64_t at) {
    return desc->dtype == TARE_DTYPE_FLOAT16 ? tare_half_to_double(((const uint16_t *)data)[at])
                                             : (double)((const float *)data)[at];
}

/* Memory that ends with its last byte, `shift` elements behind a boundary. */
static void *block_new(size_t count, size_t bytes, size_t shift, char **memory) {
    *memory = malloc((count + shift) * bytes + (count + shift == 0 ? 1 : 0));
    memset(*memory, 0xee, (count + shift) * bytes);
    return *memory + shift * bytes;
}

static tare_status ingest(tare_ingest *what, tare_error *err) {
    const size_t count = (size_t)tare_desc_count(what->desc);
    tare_device device = on_device(TARE_PRECISION_FP32);
    tare_queue queue = {.device = &device};
    tare_ingest there = *what;
    tare_status status;
    const char *reason;

    device.storage = what->desc->dtype;
    if (count <= MAX_ELEMENTS) { /* what is larger is refused before it is looked at */
        there.to = on_device_out(what->to, tare_desc_bytes(what->desc));
        there.from = on_device_in(what->from, count * tare_dtype_bytes(what->from_dtype));
        there.table = what->table == table_values ? on_device_in(table_values, sizeof table_values)
                                                  : what->table;
    }
    status = tare_cuda_ingest(&queue, &there, err);
    if (!on_device_done(&reason) && status == TARE_OK) {
        return tare_fail(err, TARE_BACKEND, "%s", reason);
    }
    return status;
}

static void check_pixels(const tare_desc *desc, int axis, size_t shift) {
    const int64_t count = tare_desc_count(desc), channels = desc->dims[axis];
    const int row = axis == 1 ? 2 : 1;
    tare_error err = {.text = ""};
    char *memory[2];
    uint8_t *in = block_new((size_t)count, 1, shift, &memory[0]);
    void *out = block_new((size_t)count, tare_dtype_bytes(desc->dtype), shift, &memory[1]);
    tare_ingest what = {.to = out,
                        .desc = desc,
                        .from = in,
                        .from_dtype = TARE_DTYPE_UINT8,
                        .table = table(),
                        .channel_axis = axis};
    int64_t steps[TARE_MAX_RANK];

    for (int64_t i = 0; i < count; i++) {
        in[i] = (uint8_t)(i * 73 + i / 251);
    }
    cr_assert_eq(ingest(&what, &err), TARE_OK, "%s", err.text);
    cr_assert_null(emulator_failure());
    tare_desc_strides(steps, desc);
    for (int64_t i = 0; i < count; i++) {
        const int64_t c = i % channels, pixel = i / channels;
        const int64_t x = pixel % desc->dims[row + 1], line = pixel / desc->dims[row + 1];
        const int64_t at = line / desc->dims[row] * steps[0] + line % desc->dims[row] * steps[row] +
                           x * steps[row + 1] + c * steps[axis];
        cr_assert_eq(element_at(desc, out, at), stored((double)value_of(c, in[i]), desc->dtype),
                     "byte %lld", (long long)i);
    }
    free(memory[0]);
    free(memory[1]);
}

Test(cuda_ingest, pixels) {
    static const int64_t sizes[][4] = {{1, 3, 7, 9}, {2, 3, 8, 8}, {3, 1, 5, 3}, {2, 4, 1, 6},
                                       {1, 5, 2, 2}, {0, 3, 4, 4}, {1, 2, 1, 1}, {2, 3, 17, 20}};
    unsigned schedule = 0;
    for (size_t s = 0; s < COUNT(sizes); s++) {
        for (unsigned how = 0; how < 16; how++) {
            const int axis = (how & 1U) != 0 ? 1 : 3;
            const int64_t *size = sizes[s];
            tare_desc desc = {.dtype = (how & 2U) != 0 ? TARE_DTYPE_FLOAT : TARE_DTYPE_FLOAT16,
                              .rank = 4,
                              .dims = {size[0], size[1], size[2], size[3]},
                              .layout =
                                  (how & 4U) != 0 ? TARE_LAYOUT_CHANNELS_LAST : TARE_LAYOUT_PLAIN};
            if (axis == 3) {
                desc.dims[1] = size[2];
                desc.dims[2] = size[3];
                desc.dims[3] = size[1];
            }
            emulator_set(schedule_at(schedule++ % SCHEDULE_COUNT));
            check_pixels(&desc, axis, how / 8);
        }
    }
}

Test(cuda_ingest, floats) {
    static float in[MAX_ELEMENTS];
    static uint32_t out[MAX_ELEMENTS];
    for (unsigned how = 0; how < 4; how++) {
        const tare_desc desc = {.dtype = (how & 1U) != 0 ? TARE_DTYPE_FLOAT : TARE_DTYPE_FLOAT16,
                                .rank = 4,
                                .dims = {2, 3, 7, 9},
                                .layout = (how & 2U) != 0 ? TARE_LAYOUT_CHANNELS_LAST
                                                          : TARE_LAYOUT_PLAIN};
        tare_ingest what = {.to = out, .desc = &desc, .from = in, .from_dtype = TARE_DTYPE_FLOAT};
        tare_error err = {.text = ""};
        int64_t steps[TARE_MAX_RANK];

        for (int i = 0; i < 378; i++) {
            in[i] = (float)i * 0.37F - 40.0F;
        }
        emulator_set(schedule_at(how));
        cr_assert_eq(ingest(&what, &err), TARE_OK, "%s", err.text);
        tare_desc_strides(steps, &desc);
        for (int64_t i = 0; i < 378; i++) {
            const int64_t at = i / 189 * steps[0] + i / 63 % 3 * steps[1] + i / 9 % 7 * steps[2] +
                               i % 9 * steps[3];
            cr_assert_eq(element_at(&desc, out, at), stored((double)in[i], desc.dtype));
        }
    }
}

Test(cuda_ingest, other_types_keep_their_bytes) {
    static const int64_t in[6] = {1, -1, INT64_MAX, 0, 7, INT64_MIN};
    int64_t out[6] = {0};
    const tare_desc desc = {.dtype = TARE_DTYPE_INT64, .rank = 2, .dims = {2, 3}};
    tare_ingest what = {.to = out, .desc = &desc, .from = in, .from_dtype = TARE_DTYPE_INT64};
    tare_error err = {.text = ""};
    emulator_set(schedule_at(0));
    cr_assert_eq(ingest(&what, &err), TARE_OK, "%s", err.text);
    cr_assert_arr_eq(out, in, sizeof in);
}

Test(cuda_ingest, what_does_not_fit_is_refused) {
    static float memory[64];
    tare_desc desc = {.dtype = TARE_DTYPE_FLOAT, .rank = 4, .dims = {1, 3, 2, 2}};
    tare_ingest what = {.to = memory,
                        .desc = &desc,
                        .from = memory,
                        .from_dtype = TARE_DTYPE_UINT8,
                        .table = memory,
                        .channel_axis = 2};
    tare_error err = {.text = ""};

    cr_expect_eq(ingest(&what, &err), TARE_UNSUPPORTED, "channels in the middle");
    what.channel_axis = 1;
    what.from_dtype = TARE_DTYPE_INT32;
    cr_expect_eq(ingest(&what, &err), TARE_UNSUPPORTED, "wide pixels");
    what.from_dtype = TARE_DTYPE_UINT8;
    desc.dtype = TARE_DTYPE_INT32;
    cr_expect_eq(ingest(&what, &err), TARE_UNSUPPORTED, "whole numbers");
    desc.dtype = TARE_DTYPE_FLOAT;
    desc.dims[2] = (int64_t)1 << 31;
    cr_expect_eq(ingest(&what, &err), TARE_UNSUPPORTED, "a huge image");
    what.table = NULL;
    cr_expect_eq(ingest(&what, &err), TARE_UNSUPPORTED, "bytes as floats");
}
