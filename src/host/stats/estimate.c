/* SPDX-License-Identifier: Apache-2.0 */
/** Finding estimators by name, running them, and what they share. */
#include "stats/estimate.h"

#include <float.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "stats/error_curve.h"
#include "stats/nncf.h"

const tare_estimator *const tare_estimators[] = {
    &tare_estimator_extremes,
    &tare_estimator_percentile,
    &tare_estimator_entropy,
    &tare_estimator_mse,
    &tare_estimator_auto,
    &tare_estimator_ort_entropy,
    &tare_estimator_trt_entropy,
    &tare_estimator_pytorch_entropy,
    &tare_estimator_nncf_histogram,
    &tare_estimator_nncf_minmax,
    &tare_estimator_nncf_mean_minmax,
    &tare_estimator_nncf_median_minmax,
    &tare_estimator_nncf_mean_no_outliers_minmax,
    &tare_estimator_nncf_mean_quantile,
    &tare_estimator_nncf,
    NULL,
};

static tare_status fail_unknown(const tare_estimator *const *table, const char *text, size_t length,
                                tare_error *err) {
    char known[320] = "";
    size_t at = 0;
    for (size_t i = 0; table[i] != NULL && at < sizeof known; i++) {
        at += (size_t)snprintf(known + at, sizeof known - at, "%s%s", i == 0 ? "" : ", ",
                               table[i]->name);
    }
    return tare_fail(err, TARE_NOT_FOUND, "there is no method '%.*s'; known: %s", (int)length, text,
                     known);
}

static tare_status read_number(double *number, const tare_estimator *estimator, const char *text,
                               tare_error *err) {
    char *end = NULL;
    if (estimator->number_name == NULL) {
        return tare_fail(err, TARE_INVALID_ARGUMENT, "method '%s' takes no number, got '%s'",
                         estimator->name, text);
    }
    *number = strtod(text, &end);
    if (end == text || *end != '\0' || !(*number >= estimator->number_min) ||
        !(*number <= estimator->number_max) ||
        (estimator->number_whole && floor(*number) != *number)) {
        return tare_fail(err, TARE_INVALID_ARGUMENT,
                         "method '%s' expects as %s a%s number from %g to %g, got '%s'",
                         estimator->name, estimator->number_name,
                         estimator->number_whole ? " whole" : "", estimator->number_min,
                         estimator->number_max, text);
    }
    return TARE_OK;
}

void tare_estimator_defaults(tare_estimate_options *options, const tare_estimator *estimator) {
    options->number = estimator->number;
    options->set = estimator->set == NULL ? tare_nncf_sets[0].set : *estimator->set;
}

static tare_status read_options(tare_estimate_options *options, const tare_estimator *estimator,
                                const char *text, tare_error *err) {
    tare_estimator_defaults(options, estimator);
    if (text == NULL) {
        return TARE_OK;
    }
    if (!estimator->composed) {
        return read_number(&options->number, estimator, text, err);
    }
    const tare_status status = tare_nncf_set_parse(&options->set, &options->number, text, err);
    if (status != TARE_OK) {
        tare_error_prepend(err, "method '%s': ", estimator->name);
    }
    return status;
}

unsigned tare_estimator_needs(const tare_estimator *estimator,
                              const tare_estimate_options *options) {
    return (estimator->needs_histogram ? TARE_COLLECT_CODES : TARE_COLLECT_RANGES) |
           (estimator->set == NULL ? 0U : tare_nncf_set_needs(&options->set));
}

tare_status tare_estimator_find(const tare_estimator **out, tare_estimate_options *options,
                                const tare_estimator *const *table, const char *text,
                                tare_error *err) {
    const char *equals = strchr(text, '=');
    const size_t length = equals == NULL ? strlen(text) : (size_t)(equals - text);

    *out = NULL;
    for (size_t i = 0; table[i] != NULL; i++) {
        if (strlen(table[i]->name) == length && memcmp(table[i]->name, text, length) == 0) {
            TARE_TRY(read_options(options, table[i], equals == NULL ? NULL : equals + 1, err));
            *out = table[i];
            return TARE_OK;
        }
    }
    return fail_unknown(table, text, length, err);
}

tare_code_span tare_statistics_span(const tare_tensor_statistics *in, bool magnitude) {
    const tare_code_span span = {.histogram = in->histogram,
                                 .magnitude = magnitude,
                                 .min = magnitude ? 0.0 : (double)in->min,
                                 .max =
                                     magnitude ? tare_statistics_magnitude(in) : (double)in->max};
    return span;
}

double tare_statistics_magnitude(const tare_tensor_statistics *in) {
    return fmax(fabs((double)in->min), fabs((double)in->max));
}

void tare_estimate_clip(tare_estimate *out, const tare_tensor_statistics *in, double threshold) {
    const float clip = (float)fmin(threshold, (double)FLT_MAX);
    out->max = clip;
    out->min = fminf(fmaxf(in->min, -clip), clip);
}

static tare_status check(const tare_estimator *estimator, const tare_tensor_statistics *in,
                         tare_error *err) {
    if (!(in->min <= in->max) || !isfinite(in->min) || !isfinite(in->max)) {
        return tare_fail(err, TARE_INVALID_ARGUMENT, "there are no finite values of tensor '%s'",
                         in->tensor);
    }
    if (estimator->needs_histogram &&
        (in->histogram == NULL || tare_code_histogram_finite(in->histogram) == 0)) {
        return tare_fail(err, TARE_INVALID_ARGUMENT,
                         "method '%s' needs a histogram, but none was taken of tensor '%s'",
                         estimator->name, in->tensor);
    }
    return TARE_OK;
}

/* What compositions of NNCF's can come to: they look at signed values, whatever the scheme. */
static tare_status check_ends(tare_estimate *out, const tare_estimator *estimator,
                              const tare_tensor_statistics *in,
                              const tare_estimate_options *options, tare_error *err) {
    if (options->magnitude && out->max < 0.0F) {
        (void)snprintf(out->reason, sizeof out->reason,
                       "the upper end %.3g is negative and counts as 0: the lower side does not "
                       "count with this method",
                       (double)out->max);
        out->max = 0.0F;
    }
    if (!options->magnitude && out->min > out->max) {
        return tare_fail(
            err, TARE_INVALID_ARGUMENT,
            "method '%s' gives tensor '%s' the range [%g, %g], expected ends in order; "
            "choose other reducers or aggregators",
            estimator->name, in->tensor, (double)out->min, (double)out->max);
    }
    return TARE_OK;
}

tare_status tare_estimate_range(tare_estimate *out, const tare_estimator *estimator,
                                const tare_tensor_statistics *in,
                                const tare_estimate_options *options, tare_error *err) {
    tare_tensor_statistics known = *in;
    tare_arena scratch;
    tare_error_curve curve;
    tare_status status;

    tare_arena_init(&scratch);
    *out = (tare_estimate){.error = NAN, .method = estimator->name};
    TARE_TRY_DONE(status, check(estimator, in, err));
    if (in->histogram != NULL && tare_code_histogram_finite(in->histogram) > 0) {
        TARE_TRY_DONE(status, tare_error_curve_init(&curve, &scratch, in, err));
        known.curve = &curve;
    }
    TARE_TRY_DONE(status, estimator->range(out, &scratch, &known, options, err));
    TARE_TRY_DONE(status, check_ends(out, estimator, in, options, err));
    if (known.curve != NULL) {
        const tare_grid grid = tare_grid_of_range(out->min, out->max, options);
        out->error = tare_error_curve_at(&curve, &grid);
    }
done:
    tare_arena_release(&scratch);
    return status;
}

static tare_status extremes_range(tare_estimate *out, tare_arena *scratch,
                                  const tare_tensor_statistics *in,
                                  const tare_estimate_options *options, tare_error *err) {
    TARE_UNUSED(scratch);
    TARE_UNUSED(err);
    out->min = in->min;
    out->max = options->magnitude ? (float)tare_statistics_magnitude(in) : in->max;
    return TARE_OK;
}

const tare_estimator tare_estimator_extremes = {.name = "extremes", .range = extremes_range};
