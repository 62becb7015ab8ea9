/* SPDX-License-Identifier: Apache-2.0 */
/**
 * Estimators: from the statistics of one tensor to the range of its quantizer.
 *
 * Each is a pure function; none sees data or a calibration state. What a range means: for an
 * asymmetric scheme [min, max]; for a symmetric one ("magnitude") max is the magnitude that
 * quantizes to the largest code and min only tells by its sign whether codes are signed.
 */
#ifndef TARE_STATS_ESTIMATE_H
#define TARE_STATS_ESTIMATE_H

#include "base/arena.h"
#include "stats/code_histogram.h"
#include "stats/nncf_set.h"
#include "stats/sample.h"

/** The error of any range, from a histogram (stats/error_curve.h). */
struct tare_error_curve;

/** What is known of one tensor. Borrowed. */
typedef struct tare_tensor_statistics {
    const char *tensor; /**< for messages */
    const tare_code_histogram *histogram;
    const struct tare_error_curve *curve; /**< tare_estimate_range() makes it of the histogram */
    float min, max;                       /**< exact, over all samples */
    /** What was kept of each sample that has values: sample_count numbers by column; NULL: not
     * kept. Quantiles are those of p and 1 - p of the options. */
    const float *samples[TARE_SAMPLE_COLUMN_COUNT];
    size_t sample_count;
} tare_tensor_statistics;

typedef struct tare_estimate_options {
    bool magnitude;    /**< the quantizer is symmetric */
    bool narrow;       /**< signed symmetric codes are -127..127 instead of -128..127 */
    double number;     /**< the number after '=' in the estimator's name, or its default */
    tare_nncf_set set; /**< of NNCF's estimators */
} tare_estimate_options;

typedef struct tare_estimate {
    float min, max;
    double error;       /**< expected squared error of a value that is quantized with this range */
    const char *method; /**< the estimator that gave the range; static */
    char reason[160];   /**< why this one, in words; empty unless there was a choice */
} tare_estimate;

typedef struct tare_estimator {
    const char *name;
    const char *number_name; /**< what the number is, for messages; NULL: takes none */
    double number, number_min, number_max; /**< default and bounds */
    bool number_whole;                     /**< fractions are refused */
    bool needs_histogram;
    const tare_nncf_set *set; /**< of NNCF's estimators: reducers and aggregators; else NULL */
    bool composed;            /**< what follows '=' says which (tare_nncf_set_parse()), no number */
    /** Fills min and max, perhaps method and reason. `scratch` is for working memory. */
    tare_status (*range)(tare_estimate *out, tare_arena *scratch, const tare_tensor_statistics *in,
                         const tare_estimate_options *options, tare_error *err);
} tare_estimator;

/**
 * Splits "percentile=99.9" into an entry of `table` (ended by NULL) and what follows from the rest:
 * the number and the set of *options. TARE_NOT_FOUND with the names there are;
 * TARE_INVALID_ARGUMENT for a number that is missing, unknown to this estimator, or out of its
 * bounds.
 */
TARE_MUST_CHECK tare_status tare_estimator_find(const tare_estimator **out,
                                                tare_estimate_options *options,
                                                const tare_estimator *const *table,
                                                const char *text, tare_error *err);

/** Sets number and set to those that the estimator has when nothing follows its name. */
void tare_estimator_defaults(tare_estimate_options *options, const tare_estimator *estimator);

/** What a state must hold for an estimator with these options: bits of TARE_COLLECT_... */
unsigned tare_estimator_needs(const tare_estimator *estimator,
                              const tare_estimate_options *options);

/**
 * Runs an estimator: checks what it needs, and adds the expected error where there is a histogram
 * (else NAN). TARE_INVALID_ARGUMENT naming the tensor when it has no values or a histogram is
 * needed and missing.
 */
TARE_MUST_CHECK tare_status tare_estimate_range(tare_estimate *out, const tare_estimator *estimator,
                                                const tare_tensor_statistics *in,
                                                const tare_estimate_options *options,
                                                tare_error *err);

/** Fills a walk over the tensor's values, or over their magnitudes, cut to the exact extremes. */
tare_code_span tare_statistics_span(const tare_tensor_statistics *in, bool magnitude);

/** The largest magnitude. */
double tare_statistics_magnitude(const tare_tensor_statistics *in);

/** Sets the range of a symmetric quantizer that clips at `threshold`. */
void tare_estimate_clip(tare_estimate *out, const tare_tensor_statistics *in, double threshold);

/** Every estimator, ended by NULL. */
extern const tare_estimator *const tare_estimators[];

/** Exact extremes over all samples. */
extern const tare_estimator tare_estimator_extremes;
extern const tare_estimator tare_estimator_percentile;
extern const tare_estimator tare_estimator_entropy;
extern const tare_estimator tare_estimator_ort_entropy;
extern const tare_estimator tare_estimator_trt_entropy;
extern const tare_estimator tare_estimator_pytorch_entropy;
extern const tare_estimator tare_estimator_mse;
extern const tare_estimator tare_estimator_nncf_histogram;
extern const tare_estimator tare_estimator_auto;

/** NNCF's named sets of range estimators (stats/nncf.h). */
extern const tare_estimator tare_estimator_nncf_minmax;
extern const tare_estimator tare_estimator_nncf_mean_minmax;
extern const tare_estimator tare_estimator_nncf_median_minmax;
extern const tare_estimator tare_estimator_nncf_mean_no_outliers_minmax;
extern const tare_estimator tare_estimator_nncf_mean_quantile;
extern const tare_estimator tare_estimator_nncf; /**< any composition */

#endif
