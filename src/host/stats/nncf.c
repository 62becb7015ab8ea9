/* SPDX-License-Identifier: Apache-2.0 */
/**
 * The estimators `nncf-minmax`, `nncf-mean-minmax`, `nncf-median-minmax`,
 * `nncf-mean-no-outliers-minmax` and `nncf-mean-quantile` (NNCF 3.2, RangeEstimatorParametersSet),
 * and `nncf=min:REDUCER/AGGREGATOR,max:REDUCER/AGGREGATOR,p:P` for any other
 * (RangeEstimatorParameters), with MAX taken over magnitudes when the scheme is symmetric, as its
 * MinMaxQuantization does.
 *
 * A sample here is what NNCF calls an item of its data set. Arithmetic is in double where NNCF's is
 * partly in single precision.
 */
#include "stats/nncf.h"

#include <math.h>
#include <stdlib.h>

#include "exec/quantile.h"

const tare_nncf_named_set tare_nncf_sets[] = {
    {"nncf-minmax",
     {{TARE_NNCF_REDUCER_MIN, TARE_NNCF_AGGREGATOR_MIN},
      {TARE_NNCF_REDUCER_MAX, TARE_NNCF_AGGREGATOR_MAX}}},
    {"nncf-mean-minmax",
     {{TARE_NNCF_REDUCER_MIN, TARE_NNCF_AGGREGATOR_MEAN},
      {TARE_NNCF_REDUCER_MAX, TARE_NNCF_AGGREGATOR_MEAN}}},
    {"nncf-median-minmax",
     {{TARE_NNCF_REDUCER_MIN, TARE_NNCF_AGGREGATOR_MEDIAN},
      {TARE_NNCF_REDUCER_MAX, TARE_NNCF_AGGREGATOR_MEDIAN}}},
    {"nncf-mean-no-outliers-minmax",
     {{TARE_NNCF_REDUCER_MIN, TARE_NNCF_AGGREGATOR_MEAN_NO_OUTLIERS},
      {TARE_NNCF_REDUCER_MAX, TARE_NNCF_AGGREGATOR_MEAN_NO_OUTLIERS}}},
    {"nncf-mean-quantile",
     {{TARE_NNCF_REDUCER_QUANTILE, TARE_NNCF_AGGREGATOR_MEAN},
      {TARE_NNCF_REDUCER_QUANTILE, TARE_NNCF_AGGREGATOR_MEAN}}},
    {0},
};

static int compare(const void *a, const void *b) {
    const float x = *(const float *)a, y = *(const float *)b;
    return (x > y) - (x < y);
}

/* The q-quantile of sorted values. */
static double sorted_quantile(const float *sorted, size_t count, double q) {
    const tare_quantile_place place = tare_quantile_find(q, count);
    const double low = (double)sorted[place.index], high = (double)sorted[place.next];
    return low + place.share * (high - low);
}

static float *sorted_copy(const float *values, size_t count, bool magnitude) {
    float *copy = count > SIZE_MAX / sizeof *copy ? NULL : malloc(count * sizeof *copy);
    if (copy != NULL) {
        for (size_t i = 0; i < count; i++) {
            copy[i] = magnitude ? fabsf(values[i]) : values[i];
        }
        qsort(copy, count, sizeof *copy, compare);
    }
    return copy;
}

static tare_status reduce_quantile(double *out, bool magnitude, const float *values, size_t count,
                                   double q, tare_error *err) {
    float *sorted = sorted_copy(values, count, magnitude);
    if (sorted == NULL) {
        return tare_fail_memory(err, count * sizeof *sorted, "a quantile");
    }
    *out = sorted_quantile(sorted, count, q);
    free(sorted);
    return TARE_OK;
}

static double mean_of(const float *values, size_t count) {
    double sum = 0.0;
    for (size_t i = 0; i < count; i++) {
        sum += (double)values[i];
    }
    return sum / (double)count;
}

static void extremes_of(double *min, double *max, const float *values, size_t count) {
    *min = *max = (double)values[0];
    for (size_t i = 1; i < count; i++) {
        *min = fmin(*min, (double)values[i]);
        *max = fmax(*max, (double)values[i]);
    }
}

tare_status tare_nncf_reduce(double *out, tare_nncf_reducer reducer, const float *values,
                             size_t count, double q, tare_error *err) {
    double min, max;
    if (count == 0 || !(q >= 0.0 && q <= 1.0)) {
        return tare_fail(err, TARE_INVALID_ARGUMENT,
                         "a reducer expects elements and a probability from 0 to 1, got %zu and %g",
                         count, q);
    }
    if (reducer >= TARE_NNCF_REDUCER_QUANTILE) {
        return reduce_quantile(out, reducer == TARE_NNCF_REDUCER_ABS_QUANTILE, values, count, q,
                               err);
    }
    extremes_of(&min, &max, values, count);
    const double results[] = {[TARE_NNCF_REDUCER_MIN] = min,
                              [TARE_NNCF_REDUCER_MAX] = max,
                              [TARE_NNCF_REDUCER_ABS_MAX] = fmax(fabs(min), fabs(max)),
                              [TARE_NNCF_REDUCER_MEAN] = mean_of(values, count)};
    *out = results[reducer];
    return TARE_OK;
}

tare_status tare_nncf_aggregate(double *out, tare_nncf_aggregator aggregator, const float *values,
                                size_t count, double p, tare_error *err) {
    const bool trimmed = aggregator >= TARE_NNCF_AGGREGATOR_MEAN_NO_OUTLIERS;
    if (count == 0 || !(p >= 0.0 && p <= 0.5)) {
        return tare_fail(err, TARE_INVALID_ARGUMENT,
                         "an aggregator expects samples and a probability from 0 to 0.5, got %zu "
                         "and %g",
                         count, p);
    }
    float *sorted = sorted_copy(values, count, false);
    if (sorted == NULL) {
        return tare_fail_memory(err, count * sizeof *sorted, "an aggregate");
    }
    /* In sorted order outliers are the first and the last ones. */
    size_t begin = 0, end = count;
    while (trimmed && begin < end && (double)sorted[begin] < sorted_quantile(sorted, count, p)) {
        begin++;
    }
    while (trimmed && begin < end &&
           (double)sorted[end - 1] > sorted_quantile(sorted, count, 1.0 - p)) {
        end--;
    }
    /* Of two samples either is an outlier. NNCF then says 0. */
    if (begin >= end) {
        begin = 0;
        end = count;
    }
    const double mean = mean_of(sorted + begin, end - begin);
    const double median = sorted_quantile(sorted + begin, end - begin, 0.5);
    const double results[] = {[TARE_NNCF_AGGREGATOR_MIN] = (double)sorted[0],
                              [TARE_NNCF_AGGREGATOR_MAX] = (double)sorted[count - 1],
                              [TARE_NNCF_AGGREGATOR_MEAN] = mean,
                              [TARE_NNCF_AGGREGATOR_MEDIAN] = median,
                              [TARE_NNCF_AGGREGATOR_MEAN_NO_OUTLIERS] = mean,
                              [TARE_NNCF_AGGREGATOR_MEDIAN_NO_OUTLIERS] = median};
    *out = results[aggregator];
    free(sorted);
    return TARE_OK;
}

/* The number of each sample for one side, from what the statistics keep of it. */
static tare_status reduced_samples(const float **out, tare_arena *scratch,
                                   const tare_tensor_statistics *in, tare_nncf_reducer reducer,
                                   bool upper, tare_error *err) {
    const tare_sample_column columns[] = {
        [TARE_NNCF_REDUCER_MIN] = TARE_SAMPLE_MIN,
        [TARE_NNCF_REDUCER_MAX] = TARE_SAMPLE_MAX,
        [TARE_NNCF_REDUCER_MEAN] = TARE_SAMPLE_MEAN,
        [TARE_NNCF_REDUCER_QUANTILE] = upper ? TARE_SAMPLE_HIGH : TARE_SAMPLE_LOW,
        [TARE_NNCF_REDUCER_ABS_QUANTILE] =
            upper ? TARE_SAMPLE_MAGNITUDE_HIGH : TARE_SAMPLE_MAGNITUDE_LOW};
    const float *min = in->samples[TARE_SAMPLE_MIN], *max = in->samples[TARE_SAMPLE_MAX];
    if (reducer != TARE_NNCF_REDUCER_ABS_MAX) {
        *out = in->samples[columns[reducer]];
        return *out != NULL
                   ? TARE_OK
                   : tare_fail(err, TARE_INVALID_ARGUMENT,
                               "'%s' was not kept of the samples of tensor '%s'",
                               tare_sample_column_infos[columns[reducer]].tensor, in->tensor);
    }
    float *magnitudes = tare_arena_array(scratch, in->sample_count, sizeof *magnitudes);
    if (magnitudes == NULL) {
        return tare_fail_memory(err, in->sample_count * sizeof *magnitudes, "magnitudes");
    }
    for (size_t i = 0; i < in->sample_count; i++) {
        magnitudes[i] = fmaxf(fabsf(min[i]), fabsf(max[i]));
    }
    *out = magnitudes;
    return TARE_OK;
}

static tare_status set_range(tare_estimate *out, tare_arena *scratch,
                             const tare_tensor_statistics *in, const tare_nncf_set *set,
                             const tare_estimate_options *options, tare_error *err) {
    const tare_nncf_side *sides[2] = {&set->min, &set->max};
    double ends[2];

    if (in->sample_count == 0) {
        return tare_fail(err, TARE_INVALID_ARGUMENT, "no sample has values for tensor '%s'",
                         in->tensor);
    }
    for (size_t k = 0; k < 2; k++) {
        const bool magnitudes = options->magnitude && sides[k]->reducer == TARE_NNCF_REDUCER_MAX;
        const float *samples;
        TARE_TRY(reduced_samples(&samples, scratch, in,
                                 magnitudes ? TARE_NNCF_REDUCER_ABS_MAX : sides[k]->reducer, k == 1,
                                 err));
        TARE_TRY(tare_nncf_aggregate(&ends[k], sides[k]->aggregator, samples, in->sample_count,
                                     options->number, err));
    }
    out->min = (float)ends[0];
    out->max = (float)ends[1];
    return TARE_OK;
}

/* The set that a named estimator stands for is among the options, too. */
static tare_status nncf_range(tare_estimate *out, tare_arena *scratch,
                              const tare_tensor_statistics *in,
                              const tare_estimate_options *options, tare_error *err) {
    return set_range(out, scratch, in, &options->set, options, err);
}

#define NNCF_ESTIMATOR(identifier, index, text)                                                    \
    const tare_estimator tare_estimator_nncf_##identifier = {.name = (text),                       \
                                                             .number_name =                        \
                                                                 "probability of an outlier",      \
                                                             .number = TARE_NNCF_PROBABILITY,      \
                                                             .number_min = 0.0,                    \
                                                             .number_max = 0.5,                    \
                                                             .set = &tare_nncf_sets[index].set,    \
                                                             .range = nncf_range}

NNCF_ESTIMATOR(minmax, 0, "nncf-minmax");
NNCF_ESTIMATOR(mean_minmax, 1, "nncf-mean-minmax");
NNCF_ESTIMATOR(median_minmax, 2, "nncf-median-minmax");
NNCF_ESTIMATOR(mean_no_outliers_minmax, 3, "nncf-mean-no-outliers-minmax");
NNCF_ESTIMATOR(mean_quantile, 4, "nncf-mean-quantile");

/* Any other composition; what is not said of it is as in NNCF's default. */
const tare_estimator tare_estimator_nncf = {.name = "nncf",
                                            .composed = true,
                                            .number = TARE_NNCF_PROBABILITY,
                                            .set = &tare_nncf_sets[1].set,
                                            .range = nncf_range};
