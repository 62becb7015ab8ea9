/* SPDX-License-Identifier: Apache-2.0 */
/**
 * The estimator `percentile=P` (default 99.99).
 *
 *   symmetric:   max = quantile of |x| at P/100
 *   asymmetric:  min, max = quantiles of x at (100-P)/200 and 1-(100-P)/200
 *
 * Both tails count: the symmetric threshold is taken over magnitudes. Quantiles interpolate between
 * order statistics, where other tools return the lower edge of the bin that the quantile falls
 * into.
 */
#include "stats/estimate.h"

static tare_status percentile_range(tare_estimate *out, tare_arena *scratch,
                                    const tare_tensor_statistics *in,
                                    const tare_estimate_options *options, tare_error *err) {
    const tare_code_span span = tare_statistics_span(in, options->magnitude);
    const double cut = (100.0 - options->number) / 100.0;

    TARE_UNUSED(scratch);
    TARE_UNUSED(err);
    if (options->magnitude) {
        tare_estimate_clip(out, in, tare_code_span_quantile(&span, 1.0 - cut));
    } else {
        out->min = (float)tare_code_span_quantile(&span, cut / 2);
        out->max = (float)tare_code_span_quantile(&span, 1.0 - cut / 2);
    }
    return TARE_OK;
}

const tare_estimator tare_estimator_percentile = {.name = "percentile",
                                                  .number_name = "percentage of values to keep",
                                                  .number = 99.99,
                                                  .number_min = 50.0,
                                                  .number_max = 100.0,
                                                  .needs_histogram = true,
                                                  .range = percentile_range};
