/* SPDX-License-Identifier: Apache-2.0 */
/**
 * The codes of float32 values: which bin of a code histogram a magnitude falls into.
 *
 * The code of a magnitude depends on the *top*, the exponent of the largest magnitude that is
 * counted. Up to TARE_CODE_FINE_OCTAVES below the top, bins are equally wide: 2^15 of them share
 * the top octave. Further down a bin is what the upper 16 bits of the pattern tell apart (sign,
 * exponent, 7 bits of mantissa), 0.4 to 0.8 % of its value.
 *
 * Bins of one top are unions of bins of every lower top. So histograms of different tops merge
 * exactly, and what comes out depends on the values alone: on the largest one for the bins, on all
 * of them for the counts. No range has to be known or agreed on beforehand.
 *
 * Host and device code share this file.
 */
#ifndef TARE_EXEC_CODE_H
#define TARE_EXEC_CODE_H

#include <stdint.h>

#ifdef __CUDACC__
#define TARE_CODE_FUNCTION static __host__ __device__ inline
#else
#define TARE_CODE_FUNCTION static inline
#endif

/** Octaves below the top octave that have equally wide bins, too: the lowest has 2^8 of them. */
#define TARE_CODE_FINE_OCTAVES 7U
/** Bits of the number of such a bin, counted from zero. */
#define TARE_CODE_FINE_BITS    16U
/** Equally wide bins; those nearer to zero would be narrower than what the pattern's half gives. */
#define TARE_CODE_FINE_FIRST   (1U << (TARE_CODE_FINE_BITS - 1 - TARE_CODE_FINE_OCTAVES))
#define TARE_CODE_FINE_BINS    ((1U << TARE_CODE_FINE_BITS) - TARE_CODE_FINE_FIRST)

/** Exponents (as they stand in patterns) that a top may have; lower ones are counted with the
 * first. */
#define TARE_CODE_TOP_FIRST    15U
#define TARE_CODE_TOP_LAST     254U

/** Bins of one sign: enough for every top. */
#define TARE_CODE_BINS         ((TARE_CODE_TOP_LAST - TARE_CODE_FINE_OCTAVES) * 128U + TARE_CODE_FINE_BINS)

/** Patterns without sign from here on are infinities and NaN, which have no code. */
#define TARE_CODE_INFINITE     0x7F800000U

/** The top that a finite magnitude (a pattern without sign) asks for. */
TARE_CODE_FUNCTION uint32_t tare_code_top(uint32_t magnitude) {
    const uint32_t exponent = magnitude >> 23;
    return exponent < TARE_CODE_TOP_FIRST ? TARE_CODE_TOP_FIRST : exponent;
}

/** The first equally wide bin. */
TARE_CODE_FUNCTION uint32_t tare_code_first_fine(uint32_t top) {
    return (top - TARE_CODE_FINE_OCTAVES) << 7;
}

/** The bin of a finite magnitude (a pattern without sign) whose top is at most `top`. Magnitudes
 * and bins rise together; zero falls into bin 0, with the smallest denormals. */
TARE_CODE_FUNCTION uint32_t tare_code_of(uint32_t magnitude, uint32_t top) {
    const uint32_t below = top - (magnitude >> 23); /* octaves */
    if (below > TARE_CODE_FINE_OCTAVES) {
        return magnitude >> 16;
    }
    return tare_code_first_fine(top) - TARE_CODE_FINE_FIRST +
           ((0x800000U | (magnitude & 0x7FFFFFU)) >> (24U - TARE_CODE_FINE_BITS + below));
}

/** The last bin. */
TARE_CODE_FUNCTION uint32_t tare_code_last(uint32_t top) {
    return tare_code_first_fine(top) + TARE_CODE_FINE_BINS - 1U;
}

/** The pattern of the smallest magnitude of a bin, at most one behind the last. */
TARE_CODE_FUNCTION uint32_t tare_code_smallest(uint32_t bin, uint32_t top) {
    const uint32_t first = tare_code_first_fine(top);
    uint32_t number, octave = 0;
    if (bin < first) {
        return bin << 16;
    }
    number = bin - first + TARE_CODE_FINE_FIRST;
    while (number >> octave >= 2U * TARE_CODE_FINE_FIRST) {
        octave++;
    }
    return ((top - TARE_CODE_FINE_OCTAVES + octave) << 23) |
           ((number << (23U - (TARE_CODE_FINE_BITS - 1U - TARE_CODE_FINE_OCTAVES) - octave)) &
            0x7FFFFFU);
}

/** The bin with a higher top that a bin is part of. */
TARE_CODE_FUNCTION uint32_t tare_code_raised(uint32_t bin, uint32_t from_top, uint32_t to_top) {
    return tare_code_of(tare_code_smallest(bin, from_top), to_top);
}

#endif
