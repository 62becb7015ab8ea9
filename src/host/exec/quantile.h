/* SPDX-License-Identifier: Apache-2.0 */
/**
 * Quantiles of one sample of a tensor: what a backend finds, and what is made of it.
 *
 * The q-quantile of n values interpolates linearly between two neighbours in sorted order, as NumPy
 * does: it stands at q (n - 1), counted from 0. A backend finds the neighbours, values of the
 * sample; the rest is done here, so that quantiles are the same to the bit on every backend.
 */
#ifndef TARE_EXEC_QUANTILE_H
#define TARE_EXEC_QUANTILE_H

#include <stdint.h>

/** Where a quantile stands. */
typedef struct tare_quantile_place {
    uint64_t index; /**< of the neighbour below, in rising order */
    uint64_t next;  /**< of the one above; at the end the same */
    double share;   /**< of the way from one to the other */
} tare_quantile_place;

/** What a backend finds in a sample: the neighbours of the quantile p, then those of 1 - p. Zeros
 * are +0. */
typedef struct tare_quantile_pairs {
    float low[2], high[2];
} tare_quantile_pairs;

/** count > 0, 0 <= q <= 1. */
static inline tare_quantile_place tare_quantile_find(double q, uint64_t count) {
    const double rank = q * (double)(count - 1);
    tare_quantile_place place = {(uint64_t)rank, 0, 0.0};
    place.index = place.index < count - 1 ? place.index : count - 1;
    place.next = place.index + 1 < count ? place.index + 1 : place.index;
    place.share = rank - (double)place.index;
    return place;
}

static inline float tare_quantile_between(const float pair[2], const tare_quantile_place *place) {
    const double low = (double)pair[0], high = (double)pair[1];
    return (float)(low + (high - low) * place->share) + 0.0F; /* no -0 */
}

#endif
