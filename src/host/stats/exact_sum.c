/* SPDX-License-Identifier: Apache-2.0 */
/** Arithmetic of 320-bit integers, as far as sums need it. */
#include "stats/exact_sum.h"

#include <math.h>
#include <string.h>

#define LIMB_BITS     64
/* Exponent of the unit: the smallest float32 is 2^-149. */
#define UNIT_EXPONENT (-149)
#define DOUBLE_BITS   53

/* Adds low and high to the limbs from `at` on, and their carry to those above. */
static void add_at(tare_exact_sum *sum, size_t at, uint64_t low, uint64_t high) {
    uint64_t addend = low, carry = 0;
    for (size_t i = at; i < TARE_EXACT_SUM_LIMBS; i++) {
        const uint64_t before = sum->limbs[i], added = before + addend, result = added + carry;
        sum->limbs[i] = result;
        carry = (added < before ? 1U : 0U) + (result < added ? 1U : 0U);
        addend = i == at ? high : 0;
        if (i > at && carry == 0) {
            return;
        }
    }
}

static void subtract_at(tare_exact_sum *sum, size_t at, uint64_t low, uint64_t high) {
    uint64_t subtrahend = low, borrow = 0;
    for (size_t i = at; i < TARE_EXACT_SUM_LIMBS; i++) {
        const uint64_t before = sum->limbs[i], less = before - subtrahend, result = less - borrow;
        sum->limbs[i] = result;
        borrow = (before < subtrahend ? 1U : 0U) + (less < borrow ? 1U : 0U);
        subtrahend = i == at ? high : 0;
        if (i > at && borrow == 0) {
            return;
        }
    }
}

bool tare_exact_sum_add(tare_exact_sum *sum, float value) {
    uint32_t bits;
    memcpy(&bits, &value, sizeof bits);
    const uint32_t exponent = bits >> 23 & 0xFFU, fraction = bits & 0x7FFFFFU;
    if (exponent == 0xFF) {
        return false;
    }
    /* Denormals have no hidden bit and the exponent of the smallest normal values. */
    const uint64_t mantissa = exponent == 0 ? fraction : fraction | 0x800000U;
    const uint32_t shift = exponent == 0 ? 0 : exponent - 1, offset = shift % LIMB_BITS;
    const uint64_t low = mantissa << offset;
    const uint64_t high = offset == 0 ? 0 : mantissa >> (LIMB_BITS - offset);
    if (bits >> 31 == 0) {
        add_at(sum, shift / LIMB_BITS, low, high);
    } else {
        subtract_at(sum, shift / LIMB_BITS, low, high);
    }
    return true;
}

void tare_exact_sum_merge(tare_exact_sum *into, const tare_exact_sum *from) {
    uint64_t carry = 0;
    for (size_t i = 0; i < TARE_EXACT_SUM_LIMBS; i++) {
        const uint64_t added = into->limbs[i] + from->limbs[i], result = added + carry;
        carry = (added < from->limbs[i] ? 1U : 0U) + (result < added ? 1U : 0U);
        into->limbs[i] = result;
    }
}

static bool bit_at(const tare_exact_sum *sum, int bit) {
    return (sum->limbs[bit / LIMB_BITS] >> (bit % LIMB_BITS) & 1U) != 0;
}

/* The `count` <= 64 bits that begin at bit `from`, as an integer. */
static uint64_t bits_from(const tare_exact_sum *sum, int from, int count) {
    uint64_t out = 0;
    for (int i = count - 1; i >= 0; i--) {
        out = out << 1 | (bit_at(sum, from + i) ? 1U : 0U);
    }
    return out;
}

static bool any_below(const tare_exact_sum *sum, int bit) {
    for (int i = 0; i < bit / LIMB_BITS; i++) {
        if (sum->limbs[i] != 0) {
            return true;
        }
    }
    return bit % LIMB_BITS > 0 && sum->limbs[bit / LIMB_BITS] << (LIMB_BITS - bit % LIMB_BITS) != 0;
}

double tare_exact_sum_value(const tare_exact_sum *sum) {
    const bool negative = sum->limbs[TARE_EXACT_SUM_LIMBS - 1] >> (LIMB_BITS - 1) != 0;
    tare_exact_sum magnitude = *sum;
    int top = TARE_EXACT_SUM_LIMBS * LIMB_BITS - 1;

    if (negative) {
        magnitude = (tare_exact_sum){{0}};
        uint64_t borrow = 0;
        for (size_t i = 0; i < TARE_EXACT_SUM_LIMBS; i++) {
            magnitude.limbs[i] = 0 - sum->limbs[i] - borrow;
            borrow = sum->limbs[i] != 0 || borrow != 0 ? 1 : 0;
        }
    }
    while (top >= 0 && !bit_at(&magnitude, top)) {
        top--;
    }
    if (top < 0) {
        return 0.0;
    }
    const int from = top >= DOUBLE_BITS ? top - DOUBLE_BITS + 1 : 0;
    uint64_t mantissa = bits_from(&magnitude, from, top - from + 1);
    if (from > 0 && bit_at(&magnitude, from - 1) &&
        (any_below(&magnitude, from - 1) || (mantissa & 1U) != 0)) {
        mantissa++;
    }
    const double value = ldexp((double)mantissa, from + UNIT_EXPONENT);
    return negative ? -value : value;
}
