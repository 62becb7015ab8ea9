/* SPDX-License-Identifier: Apache-2.0 */
/** What a calibration method is: a pure function from the calibration state to the range of a
 * quantizer. */
#ifndef TARE_STATS_METHOD_H
#define TARE_STATS_METHOD_H

#include "stats/state.h"

/** A range to fill: one minimum and maximum per tensor, or `channels` of each per channel. */
typedef struct tare_range {
    float *min, *max;
    int64_t channels; /**< 0: per tensor */
} tare_range;

typedef struct tare_method {
    const char *name;
    /**
     * Chooses the range of one point. magnitude: the scheme is symmetric, so max is to be the
     * largest magnitude instead of the largest value. TARE_INVALID_ARGUMENT when no sample has the
     * tensor.
     */
    tare_status (*range)(tare_range *out, const tare_state *state, size_t point, bool magnitude,
                         tare_error *err);
} tare_method;

/** Mean over samples of their minima and maxima per tensor, extremes over samples per channel. */
extern const tare_method tare_method_minmax;

#endif
