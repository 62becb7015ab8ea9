/* SPDX-License-Identifier: Apache-2.0 */
/**
 * NNCF's range estimators (NNCF 3.2, common/tensor_statistics): a reducer makes one number of each
 * sample, an aggregator makes one number of those.
 */
#ifndef TARE_STATS_NNCF_H
#define TARE_STATS_NNCF_H

#include "stats/estimate.h"
#include "stats/linear_histogram.h"

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

/**
 * Reduces the elements of one sample. The quantile reducers interpolate linearly between order
 * statistics at probability q; the others ignore q. TARE_INVALID_ARGUMENT for no elements or q
 * outside of [0, 1].
 */
TARE_MUST_CHECK tare_status tare_nncf_reduce(double *out, tare_nncf_reducer reducer,
                                             const float *values, size_t count, double q,
                                             tare_error *err);

/**
 * Aggregates the numbers of `count` samples. "No outliers" leaves out what is below the p-quantile
 * or above the (1-p)-quantile; the others ignore p. The median of an even number is the mean of the
 * middle two. TARE_INVALID_ARGUMENT for no samples or p outside of [0, 0.5].
 */
TARE_MUST_CHECK tare_status tare_nncf_aggregate(double *out, tare_nncf_aggregator aggregator,
                                                const float *values, size_t count, double p,
                                                tare_error *err);

/** One side of a named set. */
typedef struct tare_nncf_side {
    tare_nncf_reducer reducer;
    tare_nncf_aggregator aggregator;
} tare_nncf_side;

/** A named set of range estimators. */
typedef struct tare_nncf_set {
    const char *name;
    tare_nncf_side min, max;
} tare_nncf_set;

/** The sets that reduce and aggregate, ended by one without a name; "histogram" is an estimator of
 * its own. */
extern const tare_nncf_set tare_nncf_sets[];

/**
 * The range search of the set "histogram" on a histogram over [min, max] of the values. Range ends
 * are edges of bins.
 */
void tare_nncf_histogram_search(double range[2], const tare_linear_histogram *histogram);

#endif
