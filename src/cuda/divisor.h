/* SPDX-License-Identifier: Apache-2.0 */
/** Division by numbers that a whole launch shares: a multiplication and a shift for what fits. */
#ifndef TARE_CUDA_DIVISOR_H
#define TARE_CUDA_DIVISOR_H

#include <stdint.h>

/** Dividends up to this, and divisors from 1 to this, are divided by multiplying. */
#define TARE_DIVISOR_MAX ((uint64_t)1 << 31)

typedef struct tare_divisor {
    uint64_t value;
    uint32_t multiplier; /**< for value <= TARE_DIVISOR_MAX: n / value is
                            (n + (n multiplier >> 32)) >> shift */
    uint32_t shift;
} tare_divisor;

/** value is not 0. */
static inline tare_divisor tare_divisor_of(uint64_t value) {
    tare_divisor divisor = {value, 0, 0};
    if (value <= TARE_DIVISOR_MAX) {
        while (((uint64_t)1 << divisor.shift) < value) {
            divisor.shift++;
        }
        /* 2^32 (2^shift - value) / value + 1 is below 2^32 since 2^shift < 2 value. */
        divisor.multiplier =
            (uint32_t)(((((uint64_t)1 << divisor.shift) - value) << 32) / value + 1);
    }
    return divisor;
}

#endif
