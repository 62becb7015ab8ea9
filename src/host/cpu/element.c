/* SPDX-License-Identifier: Apache-2.0 */
/** Reading and writing single elements of any numeric type, for the general (slow) paths. */
#include "cpu/element.h"

#include <math.h>
#include <string.h>

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

/* Rounds to `digits` significant bits with the least quantum 2^lowest. All steps are exact. */
static double rounded(double value, int digits, int lowest) {
    int exponent;
    (void)frexp(value, &exponent);
    exponent = exponent - digits > lowest ? exponent - digits : lowest;
    return ldexp(nearbyint(ldexp(value, -exponent)), exponent);
}

double tare_half_to_double(uint16_t bits) {
    const int exponent = (bits >> 10) & 31, fraction = bits & 1023;
    double magnitude;
    if (exponent == 31) {
        magnitude = fraction != 0 ? (double)NAN : (double)INFINITY;
    } else if (exponent == 0) {
        magnitude = ldexp((double)fraction, -24);
    } else {
        magnitude = ldexp((double)(fraction + 1024), exponent - 25);
    }
    return (bits & 0x8000U) != 0 ? -magnitude : magnitude;
}

uint16_t tare_half_from_double(double value) {
    const unsigned sign = signbit(value) ? 0x8000U : 0U;
    const double magnitude = fabs(value);
    double near;
    int exponent;

    if (isnan(value)) {
        return (uint16_t)(sign | 0x7e00U);
    }
    near = isinf(magnitude) ? magnitude : rounded(magnitude, 11, -24);
    if (near >= 65520.0) {
        return (uint16_t)(sign | 0x7c00U);
    }
    if (near < 0x1p-14) {
        return (uint16_t)(sign | (unsigned)ldexp(near, 24));
    }
    (void)frexp(near, &exponent);
    return (uint16_t)(sign | ((unsigned)(exponent + 14) << 10) |
                      ((unsigned)ldexp(near, 11 - exponent) & 1023U));
}

double tare_bfloat16_to_double(uint16_t bits) {
    const uint32_t wide = (uint32_t)bits << 16;
    float value;
    memcpy(&value, &wide, sizeof value);
    return (double)value;
}

uint16_t tare_bfloat16_from_double(double value) {
    /* Eight digits survive the conversion to float exactly, so rounding happens once. */
    const float near =
        isfinite(value) && value != 0.0 ? (float)rounded(value, 8, -133) : (float)value;
    uint32_t bits;
    memcpy(&bits, &near, sizeof bits);
    return (uint16_t)((bits >> 16) | (isnan(value) ? 0x40U : 0U));
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
