/* SPDX-License-Identifier: Apache-2.0 */
/** Reading the composition of an NNCF range estimator. */
#include "stats/nncf_set.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "stats/sample.h"

/* In the order of the enumerations. */
static const char *const reducers[] = {"min", "max", "abs_max", "mean", "quantile", "abs_quantile"};
static const char *const aggregators[] = {
    "min", "max", "mean", "median", "mean_no_outliers", "median_no_outliers"};

#define COUNT (sizeof reducers / sizeof reducers[0])
_Static_assert(sizeof aggregators == sizeof reducers, "as many of both");

unsigned tare_nncf_set_needs(const tare_nncf_set *set) {
    static const unsigned needs[COUNT] = {[TARE_NNCF_REDUCER_MEAN] = TARE_COLLECT_MEANS,
                                          [TARE_NNCF_REDUCER_QUANTILE] = TARE_COLLECT_QUANTILES,
                                          [TARE_NNCF_REDUCER_ABS_QUANTILE] =
                                              TARE_COLLECT_MAGNITUDES};
    return needs[set->min.reducer] | needs[set->max.reducer];
}

static tare_status find_name(size_t *out, const char *const *names, const char *what,
                             const char *word, size_t length, tare_error *err) {
    char known[128] = "";
    size_t at = 0;
    for (size_t i = 0; i < COUNT; i++) {
        if (strlen(names[i]) == length && memcmp(names[i], word, length) == 0) {
            *out = i;
            return TARE_OK;
        }
        at += (size_t)snprintf(known + at, sizeof known - at, "%s%s", i == 0 ? "" : ", ", names[i]);
    }
    return tare_fail(err, TARE_INVALID_ARGUMENT, "NNCF has no %s '%.*s'; known: %s", what,
                     (int)length, word, known);
}

static tare_status parse_side(tare_nncf_side *side, const char *word, size_t length,
                              tare_error *err) {
    const char *slash = memchr(word, '/', length);
    size_t reducer = 0, aggregator = 0;
    if (slash == NULL) {
        return tare_fail(err, TARE_INVALID_ARGUMENT,
                         "'%.*s' is not a reducer and an aggregator, as in quantile/mean",
                         (int)length, word);
    }
    TARE_TRY(find_name(&reducer, reducers, "reducer", word, (size_t)(slash - word), err));
    TARE_TRY(find_name(&aggregator, aggregators, "aggregator", slash + 1,
                       length - (size_t)(slash - word) - 1, err));
    side->reducer = (tare_nncf_reducer)reducer;
    side->aggregator = (tare_nncf_aggregator)aggregator;
    return TARE_OK;
}

static tare_status parse_probability(double *p, const char *word, size_t length, tare_error *err) {
    char *end = NULL;
    *p = strtod(word, &end);
    if (end != word + length || length == 0 || !(*p >= 0.0 && *p <= 0.5)) {
        return tare_fail(err, TARE_INVALID_ARGUMENT, "'%.*s' is no probability from 0 to 0.5",
                         (int)length, word);
    }
    return TARE_OK;
}

static tare_status parse_part(tare_nncf_set *set, double *p, const char *word, size_t length,
                              tare_error *err) {
    if (length >= 4 && memcmp(word, "min:", 4) == 0) {
        return parse_side(&set->min, word + 4, length - 4, err);
    }
    if (length >= 4 && memcmp(word, "max:", 4) == 0) {
        return parse_side(&set->max, word + 4, length - 4, err);
    }
    if (length >= 2 && memcmp(word, "p:", 2) == 0) {
        return parse_probability(p, word + 2, length - 2, err);
    }
    return tare_fail(err, TARE_INVALID_ARGUMENT,
                     "'%.*s' begins with none of min:, max: and p:, as in "
                     "min:quantile/mean,max:quantile/mean,p:0.001",
                     (int)length, word);
}

tare_status tare_nncf_set_parse(tare_nncf_set *set, double *p, const char *text, tare_error *err) {
    for (const char *word = text;; word++) {
        const char *end = strchr(word, ',');
        const size_t length = end == NULL ? strlen(word) : (size_t)(end - word);
        TARE_TRY(parse_part(set, p, word, length, err));
        if (end == NULL) {
            return TARE_OK;
        }
        word = end;
    }
}
