/* SPDX-License-Identifier: Apache-2.0 */
/** Reading and writing single elements of any numeric type, for the general (slow) paths. */
#include "cpu/element.h"

#include <math.h>
#include <string.h>

#include "ir/half.h"

static int64_t integer_of(double value) {
    if (!(value > -9223372036854775808.0)) {
        return INT64_MIN; /* NaN too, as the processor's own conversion does */
    }
    return value >= 9223372036854775808.0 ? INT64_MAX : (int64_t)value;
}

/* uint64 reaches beyond int64: such reals keep their bits. */
static int64_t unsigned_of(double value) {
    if (value >= 9223372036854775808.0) {
        const uint64_t bits = value >= 18446744073709551616.0 ? UINT64_MAX : (uint64_t)value;
        return (int64_t)bits;
    }
    return integer_of(value);
}

#define INTEGER_ACCESS(type, name, of_real)                                                        \
    static double name##_real(const void *data, int64_t index) {                                   \
        return (double)((const type *)data)[index];                                                \
    }                                                                                              \
    static int64_t name##_integer(const void *data, int64_t index) {                               \
        return (int64_t)((const type *)data)[index];                                               \
    }                                                                                              \
    static void name##_set_integer(void *data, int64_t index, int64_t value) {                     \
        ((type *)data)[index] = (type)value;                                                       \
    }                                                                                              \
    static void name##_set_real(void *data, int64_t index, double value) {                         \
        ((type *)data)[index] = (type)of_real(value);                                              \
    }

#define REAL_ACCESS(type, name, to_double, from_double)                                            \
    static double name##_real(const void *data, int64_t index) {                                   \
        return to_double(((const type *)data)[index]);                                             \
    }                                                                                              \
    static int64_t name##_integer(const void *data, int64_t index) {                               \
        return integer_of(to_double(((const type *)data)[index]));                                 \
    }                                                                                              \
    static void name##_set_real(void *data, int64_t index, double value) {                         \
        ((type *)data)[index] = from_double(value);                                                \
    }                                                                                              \
    static void name##_set_integer(void *data, int64_t index, int64_t value) {                     \
        ((type *)data)[index] = from_double((double)value);                                        \
    }

INTEGER_ACCESS(uint8_t, u8, integer_of)
INTEGER_ACCESS(int8_t, i8, integer_of)
INTEGER_ACCESS(uint16_t, u16, integer_of)
INTEGER_ACCESS(int16_t, i16, integer_of)
INTEGER_ACCESS(uint32_t, u32, integer_of)
INTEGER_ACCESS(int32_t, i32, integer_of)
INTEGER_ACCESS(uint64_t, u64, unsigned_of)
INTEGER_ACCESS(int64_t, i64, integer_of)
REAL_ACCESS(float, f32, (double), (float))
REAL_ACCESS(double, f64, (double), (double))
REAL_ACCESS(uint16_t, f16, tare_half_to_double, tare_half_from_double)
REAL_ACCESS(uint16_t, bf16, tare_bfloat16_to_double, tare_bfloat16_from_double)

static void bool_set_integer(void *data, int64_t index, int64_t value) {
    ((uint8_t *)data)[index] = value != 0 ? 1 : 0;
}

static void bool_set_real(void *data, int64_t index, double value) {
    ((uint8_t *)data)[index] = value != 0.0 ? 1 : 0;
}

#define ELEMENT(dtype, class, name)                                                                \
    { dtype, class, name##_real, name##_integer, name##_set_real, name##_set_integer }

static const tare_accessor elements[] = {
    ELEMENT(TARE_DTYPE_FLOAT, TARE_NUMBER_REAL, f32),
    ELEMENT(TARE_DTYPE_DOUBLE, TARE_NUMBER_REAL, f64),
    ELEMENT(TARE_DTYPE_FLOAT16, TARE_NUMBER_REAL, f16),
    ELEMENT(TARE_DTYPE_BFLOAT16, TARE_NUMBER_REAL, bf16),
    ELEMENT(TARE_DTYPE_INT64, TARE_NUMBER_SIGNED, i64),
    ELEMENT(TARE_DTYPE_INT32, TARE_NUMBER_SIGNED, i32),
    ELEMENT(TARE_DTYPE_INT16, TARE_NUMBER_SIGNED, i16),
    ELEMENT(TARE_DTYPE_INT8, TARE_NUMBER_SIGNED, i8),
    ELEMENT(TARE_DTYPE_UINT8, TARE_NUMBER_SIGNED, u8),
    ELEMENT(TARE_DTYPE_UINT16, TARE_NUMBER_SIGNED, u16),
    ELEMENT(TARE_DTYPE_UINT32, TARE_NUMBER_SIGNED, u32),
    ELEMENT(TARE_DTYPE_UINT64, TARE_NUMBER_UNSIGNED, u64),
    {TARE_DTYPE_BOOL, TARE_NUMBER_SIGNED, u8_real, u8_integer, bool_set_real, bool_set_integer},
};

const tare_accessor *tare_accessor_of(tare_dtype dtype) {
    for (size_t i = 0; i < sizeof elements / sizeof elements[0]; i++) {
        if (elements[i].dtype == dtype) {
            return &elements[i];
        }
    }
    return NULL;
}
