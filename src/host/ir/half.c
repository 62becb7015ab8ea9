/* SPDX-License-Identifier: Apache-2.0 */
/** Conversions to and from the types of 16 bits. */
#include "ir/half.h"

#include <math.h>
#include <string.h>

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
