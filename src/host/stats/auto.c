/* SPDX-License-Identifier: Apache-2.0 */
/**
 * The estimator `auto=PERCENT`: for each tensor the most cautious range whose expected squared
 * error is at most PERCENT (default 5) above that of the best.
 *
 * From cautious to bold: all values (extremes), the mean of the samples' extremes, 99.99 % of the
 * values, mse. The last one has the least expected error by construction, but that error knows
 * nothing of what outliers are worth to the network; where clipping gains next to nothing, nothing
 * is clipped.
 */
#include <math.h>
#include <stdio.h>

#include "stats/error_curve.h"

typedef struct candidate {
    const tare_estimator *estimator;
    bool needs_samples;
    const char *text; /* what it keeps, for the reason */
} candidate;

static const candidate choices[] = {
    {&tare_estimator_extremes, false, "all values"},
    {&tare_estimator_nncf_mean_minmax, true, "the mean extremes of the samples"},
    {&tare_estimator_percentile, false, "99.99 % of the values"},
    {&tare_estimator_mse, false, "the range of least error"},
};

#define CHOICES (sizeof choices / sizeof choices[0])

static tare_status try_choice(tare_estimate *out, tare_arena *scratch, const candidate *one,
                              const tare_tensor_statistics *in,
                              const tare_estimate_options *options, tare_error *err) {
    tare_estimate_options own = *options;
    *out = (tare_estimate){.error = INFINITY, .method = one->estimator->name};
    if (one->needs_samples && in->sample_count == 0) {
        return TARE_OK;
    }
    tare_estimator_defaults(&own, one->estimator);
    TARE_TRY(one->estimator->range(out, scratch, in, &own, err));
    out->error = 0.0;
    return TARE_OK;
}

static tare_status auto_range(tare_estimate *out, tare_arena *scratch,
                              const tare_tensor_statistics *in,
                              const tare_estimate_options *options, tare_error *err) {
    tare_estimate tried[CHOICES];
    double best = INFINITY;
    size_t chosen = 0;

    for (size_t i = 0; i < CHOICES; i++) {
        TARE_TRY(try_choice(&tried[i], scratch, &choices[i], in, options, err));
        if (tried[i].error < INFINITY) {
            const tare_grid grid = tare_grid_of_range(tried[i].min, tried[i].max, options);
            tried[i].error = tare_error_curve_at(in->curve, &grid);
        }
        best = fmin(best, tried[i].error);
    }
    while (tried[chosen].error > best * (1.0 + options->number / 100.0)) {
        chosen++;
    }
    *out = tried[chosen];
    if (chosen == 0) {
        (void)snprintf(out->reason, sizeof out->reason,
                       "keeps %s: expected error %.3g, least possible %.3g", choices[0].text,
                       out->error, best);
    } else {
        (void)snprintf(out->reason, sizeof out->reason,
                       "keeps %s: expected error %.3g, with all values %.3g, least possible %.3g",
                       choices[chosen].text, out->error, tried[0].error, best);
    }
    return TARE_OK;
}

const tare_estimator tare_estimator_auto = {.name = "auto",
                                            .number_name = "percentage of error to allow",
                                            .number = 5.0,
                                            .number_min = 0.0,
                                            .number_max = 1000.0,
                                            .needs_histogram = true,
                                            .range = auto_range};
