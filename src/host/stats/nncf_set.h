/* SPDX-License-Identifier: Apache-2.0 */
/** What NNCF's range estimators are composed of (NNCF 3.2, common/tensor_statistics): a reducer
 * makes one number of each sample, an aggregator makes one number of those; one pair for either
 * side. */
#ifndef TARE_STATS_NNCF_SET_H
#define TARE_STATS_NNCF_SET_H

#include "base/error.h"

typedef enum tare_nncf_reducer {
    TARE_NNCF_REDUCER_MIN,
    TARE_NNCF_REDUCER_MAX,
    TARE_NNCF_REDUCER_ABS_MAX,
    TARE_NNCF_REDUCER_MEAN,
    TARE_NNCF_REDUCER_QUANTILE,
    TARE_NNCF_REDUCER_ABS_QUANTILE
} tare_nncf_reducer;

typedef enum tare_nncf_aggregator {
    TARE_NNCF_AGGREGATOR_MIN,
    TARE_NNCF_AGGREGATOR_MAX,
    TARE_NNCF_AGGREGATOR_MEAN,
    TARE_NNCF_AGGREGATOR_MEDIAN,
    TARE_NNCF_AGGREGATOR_MEAN_NO_OUTLIERS,
    TARE_NNCF_AGGREGATOR_MEDIAN_NO_OUTLIERS
} tare_nncf_aggregator;

/** The probability p of NNCF's quantiles and outliers unless one is given. */
#define TARE_NNCF_PROBABILITY 1e-4

/** One side of a range. */
typedef struct tare_nncf_side {
    tare_nncf_reducer reducer;
    tare_nncf_aggregator aggregator;
} tare_nncf_side;

/** Both. */
typedef struct tare_nncf_set {
    tare_nncf_side min, max;
} tare_nncf_set;

/** What a state must hold for it: bits of TARE_COLLECT_... */
unsigned tare_nncf_set_needs(const tare_nncf_set *set);

/**
 * Reads "min:REDUCER/AGGREGATOR,max:REDUCER/AGGREGATOR,p:P", where each of the three may be left
 * out and what is left out stays. Names are those of NNCF's enumerations. TARE_INVALID_ARGUMENT
 * with what is wrong and the names there are.
 */
TARE_MUST_CHECK tare_status tare_nncf_set_parse(tare_nncf_set *set, double *p, const char *text,
                                                tare_error *err);

#endif
