/* SPDX-License-Identifier: Apache-2.0 */
/**
 * Exact sums of float32 values.
 *
 * A sum is a 320-bit integer that counts units of 2^-149, the smallest float32: every float32 is a
 * multiple of it, so that adding never rounds and the bits do not depend on the order. It holds
 * 2^41 values of the largest magnitude.
 */
#ifndef TARE_STATS_EXACT_SUM_H
#define TARE_STATS_EXACT_SUM_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/error.h"

#define TARE_EXACT_SUM_LIMBS 5

/** Two's complement, least significant limb first; all zero is the sum of nothing. Two sums are
 * equal when their bytes are. */
typedef struct tare_exact_sum {
    uint64_t limbs[TARE_EXACT_SUM_LIMBS];
} tare_exact_sum;

/** Adds a value; false, and nothing is added, when it is NaN or infinite. */
TARE_MUST_CHECK bool tare_exact_sum_add(tare_exact_sum *sum, float value);

/** Adds another sum. */
void tare_exact_sum_merge(tare_exact_sum *into, const tare_exact_sum *from);

/** The nearest double, ties to even. */
double tare_exact_sum_value(const tare_exact_sum *sum);

#endif
