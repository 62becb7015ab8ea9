/* SPDX-License-Identifier: Apache-2.0 */
/**
 * NNCF's range estimators (NNCF 3.2, common/tensor_statistics): a reducer makes one number of each
 * sample, an aggregator makes one number of those.
 */
#ifndef TARE_STATS_NNCF_H
#define TARE_STATS_NNCF_H

#include "stats/estimate.h"
#include "stats/linear_histogram.h"
#include "stats/nncf_set.h"

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
 * or above the (1-p)-quantile, unless that is all of them; the others ignore p. The median of an
 * even number is the mean of the middle two. TARE_INVALID_ARGUMENT for no samples or p outside of
 * [0, 0.5].
 */
TARE_MUST_CHECK tare_status tare_nncf_aggregate(double *out, tare_nncf_aggregator aggregator,
                                                const float *values, size_t count, double p,
                                                tare_error *err);

/** A set that NNCF has a name for. */
typedef struct tare_nncf_named_set {
    const char *name;
    tare_nncf_set set;
} tare_nncf_named_set;

/** Those that reduce and aggregate, ended by one without a name; "histogram" is an estimator of its
 * own. */
extern const tare_nncf_named_set tare_nncf_sets[];

/**
 * The range search of the set "histogram" on a histogram over [min, max] of the values. Range ends
 * are edges of bins.
 */
void tare_nncf_histogram_search(double range[2], const tare_linear_histogram *histogram);

#endif
