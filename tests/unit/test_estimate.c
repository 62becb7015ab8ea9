/* SPDX-License-Identifier: Apache-2.0 */
/** Estimators: names and numbers, known answers, expected errors, and tensors that are no fun. */
#include <criterion/criterion.h>
#include <float.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "stats/error_curve.h"
#include "stats/nncf.h"

/* Values with their statistics. */
typedef struct fixture {
    float *values;
    size_t count;
    tare_code_histogram histogram;
    tare_code_counter *counter;
    float sample_min[4], sample_max[4];
    tare_tensor_statistics statistics;
} fixture;

static void add_values(fixture *f, const float *values, size_t count) {
    void *counts = calloc(1, TARE_CODE_HISTOGRAM_BYTES);
    tare_tensor_statistics *in = &f->statistics;
    f->values = malloc(count * sizeof *values);
    cr_assert(counts != NULL && f->values != NULL);
    memcpy(f->values, values, count * sizeof *values);
    f->count = count;
    tare_code_histogram_init(&f->histogram, counts);
    cr_assert_eq(tare_code_counter_new(&f->counter, NULL), TARE_OK);
    tare_code_histogram_add(&f->histogram, f->counter, values, count);
    *in = (tare_tensor_statistics){
        .tensor = "conv.out", .histogram = &f->histogram, .min = INFINITY, .max = -INFINITY};
    /* One sample, or four. */
    in->sample_count = count < 4 ? 1 : 4;
    in->samples[TARE_SAMPLE_MIN] = f->sample_min;
    in->samples[TARE_SAMPLE_MAX] = f->sample_max;
    for (size_t s = 0; s < in->sample_count; s++) {
        const size_t begin = s * count / in->sample_count, end = (s + 1) * count / in->sample_count;
        f->sample_min[s] = INFINITY;
        f->sample_max[s] = -INFINITY;
        for (size_t i = begin; i < end; i++) {
            f->sample_min[s] = fminf(f->sample_min[s], values[i]);
            f->sample_max[s] = fmaxf(f->sample_max[s], values[i]);
        }
        in->min = fminf(in->min, f->sample_min[s]);
        in->max = fmaxf(in->max, f->sample_max[s]);
    }
}

static void release(fixture *f) {
    free(f->values);
    free(f->histogram.counts);
    tare_code_counter_free(f->counter);
}

static double uniform(uint32_t *seed) {
    *seed = *seed * 1664525U + 1013904223U;
    return ((double)(*seed >> 8) + 0.5) / 16777216.0;
}

/* Sums of twelve uniform numbers, shifted: normal enough. */
static float normal(uint32_t *seed) {
    double sum = -6.0;
    for (int i = 0; i < 12; i++) {
        sum += uniform(seed);
    }
    return (float)sum;
}

enum { COUNT = 40000 };

/* Normal values, and four outliers unless that is 0. */
static void fill_normal(fixture *f, float shift, float outlier) {
    float *values = malloc(COUNT * sizeof *values);
    uint32_t seed = 12;
    for (size_t i = 0; i < COUNT; i++) {
        values[i] = normal(&seed) + shift;
        values[i] = outlier != 0.0F && i % 10000 == 77 ? outlier : values[i];
    }
    add_values(f, values, COUNT);
    free(values);
}

static tare_estimate run(const fixture *f, const char *name, bool magnitude) {
    const tare_estimator *estimator;
    tare_estimate_options options = {.magnitude = magnitude};
    tare_estimate out;
    tare_error err;
    cr_assert_eq(tare_estimator_find(&estimator, &options, tare_estimators, name, &err), TARE_OK,
                 "%s", err.text);
    cr_assert_eq(tare_estimate_range(&out, estimator, &f->statistics, &options, &err), TARE_OK,
                 "%s", err.text);
    return out;
}

Test(estimate, names_and_numbers) {
    const tare_estimator *estimator;
    tare_estimate_options options = {.number = 0.0};
    tare_error err;
    cr_assert_eq(
        tare_estimator_find(&estimator, &options, tare_estimators, "percentile=99.5", &err),
        TARE_OK);
    cr_assert_eq(estimator, &tare_estimator_percentile);
    cr_assert_eq(options.number, 99.5);
    cr_assert_eq(tare_estimator_find(&estimator, &options, tare_estimators, "percentile", &err),
                 TARE_OK);
    cr_assert_eq(options.number, 99.99);
    cr_assert_eq(tare_estimator_find(&estimator, &options, tare_estimators, "perc", &err),
                 TARE_NOT_FOUND);
    cr_assert_not_null(strstr(err.text, "'perc'"));
    cr_assert_not_null(strstr(err.text, "nncf-histogram"));
}

Test(estimate, wrong_numbers_are_refused) {
    static const char *const wrong[] = {
        "percentile=",           "percentile=101", "percentile=49.9", "percentile=99x",
        "percentile=nan",        "mse=3",          "ort-entropy=127", "entropy=1000.5",
        "trt-entropy=1e9",       "nncf=",          "nncf=min:mean",   "nncf=min:mean/",
        "nncf=min:mean/abs_max", "nncf=p:0.6",     "nncf=p:",         "nncf=min:min/min,",
        "nncf=mid:min/min"};
    for (size_t i = 0; i < sizeof wrong / sizeof *wrong; i++) {
        const tare_estimator *estimator;
        tare_estimate_options options;
        tare_error err;
        cr_assert_eq(tare_estimator_find(&estimator, &options, tare_estimators, wrong[i], &err),
                     TARE_INVALID_ARGUMENT, "%s", wrong[i]);
        cr_assert_null(estimator);
    }
}

Test(estimate, what_is_missing_is_named) {
    fixture f;
    tare_estimate out;
    tare_error err;
    const tare_estimate_options options = {.number = 99};
    fill_normal(&f, 0, 0);
    tare_tensor_statistics in = f.statistics;
    in.histogram = NULL;
    cr_assert_eq(tare_estimate_range(&out, &tare_estimator_percentile, &in, &options, &err),
                 TARE_INVALID_ARGUMENT);
    cr_assert_str_eq(err.text,
                     "method 'percentile' needs a histogram, but none was taken of tensor "
                     "'conv.out'");
    cr_assert_eq(tare_estimate_range(&out, &tare_estimator_extremes, &in, &options, &err), TARE_OK);
    cr_assert(isnan(out.error));
    cr_assert_eq(
        tare_estimate_range(&out, &tare_estimator_nncf_mean_quantile, &in,
                            &(tare_estimate_options){.number = TARE_NNCF_PROBABILITY,
                                                     .set = *tare_estimator_nncf_mean_quantile.set},
                            &err),
        TARE_INVALID_ARGUMENT);
    cr_assert_str_eq(err.text, "'sample.low' was not kept of the samples of tensor 'conv.out'");
    in.min = INFINITY;
    in.max = -INFINITY;
    cr_assert_eq(tare_estimate_range(&out, &tare_estimator_extremes, &in, &options, &err),
                 TARE_INVALID_ARGUMENT);
    release(&f);
}

/* The error of the values themselves. */
static double raw_error(const fixture *f, const tare_grid *grid) {
    double sum = 0.0;
    for (size_t i = 0; i < f->count; i++) {
        const double x = (double)f->values[i];
        const double q = fmin(fmax(rint(x / grid->scale) + grid->zero, 0.0), grid->last);
        sum += (x - (q - grid->zero) * grid->scale) * (x - (q - grid->zero) * grid->scale);
    }
    return sum / (double)f->count;
}

/* A mean of n rounding errors deviates by 0.0745 scale^2 / sqrt(n); bins add 0.14 %. */
Test(error_curve, is_the_error_of_the_values) {
    static const float shifts[] = {0.0F, 2.0F, 9.0F, -9.0F};
    for (size_t s = 0; s < 4; s++) {
        fixture f;
        tare_arena arena;
        tare_error_curve curve;
        fill_normal(&f, shifts[s], 0);
        tare_arena_init(&arena);
        cr_assert_eq(tare_error_curve_init(&curve, &arena, &f.statistics, NULL), TARE_OK);
        for (int zero = 0; zero <= 255; zero += 51) {
            for (double scale = 0.3; scale > 0.001; scale *= 0.77) {
                const tare_grid grid = {.scale = scale, .zero = zero, .last = 255};
                const double raw = raw_error(&f, &grid);
                cr_assert_float_eq(tare_error_curve_at(&curve, &grid), raw,
                                   0.0014 * raw + 5 * 0.0745 * scale * scale / sqrt(COUNT),
                                   "shift %g, zero %d, scale %g: %g, values %g", (double)shifts[s],
                                   zero, scale, tare_error_curve_at(&curve, &grid), raw);
            }
        }
        tare_arena_release(&arena);
        release(&f);
    }
}

Test(error_curve, clipping_grows_as_the_scale_shrinks) {
    fixture f;
    tare_arena arena;
    tare_error_curve curve;
    double before = 0.0;
    fill_normal(&f, 1, -30);
    tare_arena_init(&arena);
    cr_assert_eq(tare_error_curve_init(&curve, &arena, &f.statistics, NULL), TARE_OK);
    for (double scale = 0.4; scale > 1e-4; scale *= 0.9) {
        const tare_grid grid = {.scale = scale, .zero = 100, .last = 255};
        const double clipping = tare_error_curve_clipping(&curve, &grid);
        cr_assert_geq(clipping, before);
        before = clipping;
    }
    cr_assert_gt(before, 0.0);
    tare_arena_release(&arena);
    release(&f);
}

Test(estimate, mse_beats_every_threshold_of_a_grid) {
    for (int outlier = 0; outlier < 2; outlier++) {
        fixture f;
        fill_normal(&f, 0, outlier ? -40.0F : 0.0F);
        const tare_estimate out = run(&f, "mse", true);
        const tare_grid chosen = {.scale = (double)out.max / 127, .zero = 128, .last = 255};
        const double error = raw_error(&f, &chosen);
        for (double top = 2.0; top < 40.0; top += 0.05) {
            const tare_grid grid = {.scale = top / 127, .zero = 128, .last = 255};
            cr_assert_leq(error, raw_error(&f, &grid) * 1.005, "at %g", top);
        }
        release(&f);
    }
}

/* Few values, or many, and some that repeat: the error jumps up and down with the threshold, and
 * the best one is where those that repeat are codes, be it beyond the values. */
Test(estimate, mse_sees_where_the_values_lie) {
    for (uint32_t trial = 1; trial <= 8; trial++) {
        const size_t count = trial <= 6 ? 4000 : 500000;
        fixture f;
        float *values = malloc(count * sizeof *values);
        uint32_t seed = trial;
        double best = INFINITY, error, top;
        for (size_t i = 0; i < count; i++) {
            const float x = 3 * normal(&seed);
            values[i] = x < 0.0F ? 0.0F : i % 7 < trial / 2 ? 0.37F + (float)(i % 2) : x;
        }
        add_values(&f, values, count);
        top = (double)f.statistics.max;
        for (double t = 0.5; t < 1.27; t += trial <= 6 ? 0.0003 : 0.003) {
            const tare_grid grid = {.scale = t * top / 255, .zero = 0, .last = 255};
            best = fmin(best, raw_error(&f, &grid));
        }
        for (int magnitude = 0; magnitude < 2; magnitude++) {
            const tare_estimate out = run(&f, "mse", magnitude != 0);
            const tare_estimate_options options = {.magnitude = magnitude != 0};
            const tare_grid chosen = tare_grid_of_range(out.min, out.max, &options);
            error = raw_error(&f, &chosen);
            cr_assert_leq(error, best * 1.005, "trial %u: %g, best %g", trial, error, best);
            cr_assert_float_eq(out.error, error, 0.005 * error);
        }
        release(&f);
        free(values);
    }
}

/* Largest magnitude 5 below zero, 1 above: the negative tail must count in symmetric schemes. */
Test(estimate, symmetric_ranges_count_both_tails) {
    static const char *const names[] = {"extremes", "percentile=99.9", "entropy",
                                        "mse",      "trt-entropy",     "pytorch-entropy"};
    float values[6000];
    uint32_t seed = 2;
    fixture f;
    for (size_t i = 0; i < 6000; i++) {
        values[i] = (float)(uniform(&seed) * 6.0 - 5.0);
    }
    add_values(&f, values, 6000);
    for (size_t i = 0; i < sizeof names / sizeof *names; i++) {
        const tare_estimate out = run(&f, names[i], true);
        cr_assert_float_eq(out.max, 5.0F, 0.15, "%s gives %g", names[i], (double)out.max);
        cr_assert_lt(out.min, 0.0F);
    }
    cr_assert_float_eq(run(&f, "nncf-histogram", true).max, 1.0F, 0.02, "as the original does");
    release(&f);
}

Test(estimate, entropy_clips_outliers_and_keeps_uniform_values) {
    fixture f;
    fill_normal(&f, 0, -40);
    const tare_estimate symmetric = run(&f, "entropy", true), both = run(&f, "entropy", false);
    cr_assert_lt(symmetric.max, 8.0F);
    cr_assert_gt(symmetric.max, 2.5F);
    cr_assert_gt(both.min, -8.0F);
    cr_assert_gt(both.max, 2.5F);
    cr_assert_leq(both.max, 6.0F);
    release(&f);
}

Test(estimate, auto_says_why) {
    fixture f;
    fill_normal(&f, 0, 0);
    const tare_estimate plain = run(&f, "auto=400", false);
    cr_assert_str_eq(plain.method, "extremes");
    cr_assert_eq(plain.min, f.statistics.min);
    cr_assert_eq(plain.max, f.statistics.max);
    cr_assert_not_null(strstr(plain.reason, "all values"));
    release(&f);

    /* 400000 values between -1 and 1 and one beyond: the step of a grid for all is worth more. */
    float *values = malloc(COUNT * sizeof *values);
    const float outlier = -1.5F;
    uint32_t seed = 6;
    for (size_t i = 0; i < COUNT; i++) {
        values[i] = (float)(2.0 * uniform(&seed) - 1.0);
    }
    add_values(&f, values, COUNT);
    for (int i = 1; i < 10; i++) {
        tare_code_histogram_add(&f.histogram, f.counter, values, COUNT);
    }
    tare_code_histogram_add(&f.histogram, f.counter, &outlier, 1);
    f.statistics.min = f.sample_min[0] = outlier;
    const tare_estimate clipped = run(&f, "auto", false), best = run(&f, "mse", false);
    cr_assert_str_neq(clipped.method, "extremes");
    cr_assert_gt(clipped.min, -1.2F);
    cr_assert_leq(clipped.error, best.error * 1.05);
    cr_assert_not_null(strstr(clipped.reason, "with all values"));
    free(values);
    release(&f);
}

/* One value of 200,000 stands out a little: all values cost 10 % too much, the mean of the four
 * samples' extremes next to nothing. */
Test(estimate, auto_takes_the_mean_of_the_samples_where_it_does) {
    enum { MANY = 200000 };
    float *values = malloc(MANY * sizeof *values);
    fixture f;
    uint32_t seed = 8;
    for (size_t i = 0; i < MANY; i++) {
        values[i] = (float)(2.0 * uniform(&seed) - 1.0);
    }
    values[MANY - 7] = 1.1F;
    add_values(&f, values, MANY);
    const tare_estimate out = run(&f, "auto", false);
    cr_assert_str_eq(out.method, "nncf-mean-minmax");
    cr_assert_float_eq(out.min, -1.0F, 1e-3F);
    cr_assert_float_eq(out.max, 1.025F, 1e-3F);
    free(values);
    release(&f);
}

/* NNCF's estimators look at signed values: the upper end of negative ones is no magnitude. */
Test(estimate, ends_that_make_no_range_are_said) {
    static const float values[] = {-1, -2, -3, -4};
    const tare_estimator *estimator;
    tare_estimate_options options = {.magnitude = true};
    tare_estimate out;
    tare_error err;
    fixture f;
    add_values(&f, values, 4);
    f.statistics.samples[TARE_SAMPLE_LOW] = f.sample_min;
    f.statistics.samples[TARE_SAMPLE_HIGH] = f.sample_max;
    out = run(&f, "nncf-mean-quantile", true);
    cr_assert_eq(out.max, 0.0F);
    cr_assert_lt(out.min, 0.0F);
    cr_assert_not_null(strstr(out.reason, "-2.5 is negative"), "%s", out.reason);
    cr_assert_eq(tare_estimator_find(&estimator, &options, tare_estimators,
                                     "nncf=min:max/max,max:min/min", &err),
                 TARE_OK);
    options.magnitude = false;
    cr_assert_eq(tare_estimate_range(&out, estimator, &f.statistics, &options, &err),
                 TARE_INVALID_ARGUMENT);
    cr_assert_str_eq(err.text,
                     "method 'nncf' gives tensor 'conv.out' the range [-1, -4], expected ends in "
                     "order; choose other reducers or aggregators");
    release(&f);
}

/* All magnitudes are one number: so are their quantiles. */
Test(estimate, percentiles_of_one_magnitude) {
    static const float values[] = {5, 5, -5};
    fixture f;
    add_values(&f, values, 2);
    cr_assert_float_eq(run(&f, "percentile=75", true).max, 5.0F, 5.0F / 32768);
    release(&f);
    add_values(&f, values, 3);
    cr_assert_float_eq(run(&f, "percentile=75", true).max, 5.0F, 5.0F / 32768);
    release(&f);
}

/* A range of little error may be wider than the values, so that those that repeat are codes. */
static double widest(const tare_estimator *estimator) {
    return estimator == &tare_estimator_mse || estimator == &tare_estimator_auto ? 1.3 : 1.02;
}

/* Whatever the tensor, a range comes back that is finite, in order and about within the extremes.
 */
Test(estimate, odd_tensors_have_ranges) {
    static const float zeros[] = {0, -0.0F, 0, 0}, one[] = {3.5F}, same[] = {-2, -2, -2, -2};
    static const float tiny[] = {1e-45F, -1e-45F, 0, 3e-45F}, huge[] = {FLT_MAX, -FLT_MAX, 1, 0};
    static const float positive[] = {1, 2, 3, 4, 5}, negative[] = {-1, -2, -3, -1e-20F};
    const struct {
        const float *values;
        size_t count;
    } tensors[] = {{zeros, 4}, {one, 1},      {same, 4},    {tiny, 4},
                   {huge, 4},  {positive, 5}, {negative, 4}};
    for (size_t t = 0; t < sizeof tensors / sizeof *tensors; t++) {
        fixture f;
        add_values(&f, tensors[t].values, tensors[t].count);
        f.statistics.samples[TARE_SAMPLE_LOW] = f.sample_min;
        f.statistics.samples[TARE_SAMPLE_HIGH] = f.sample_max;
        for (size_t e = 0; tare_estimators[e] != NULL; e++) {
            for (int magnitude = 0; magnitude < 2; magnitude++) {
                const tare_estimate out = run(&f, tare_estimators[e]->name, magnitude != 0);
                const double top = fmax(fabs((double)f.statistics.min), (double)f.statistics.max);
                cr_assert(isfinite(out.min) && isfinite(out.max), "%s", tare_estimators[e]->name);
                cr_assert_leq(out.min, out.max, "%s: %g %g", tare_estimators[e]->name,
                              (double)out.min, (double)out.max);
                cr_assert_leq(fabs((double)out.max), top * widest(tare_estimators[e]),
                              "%s: %g for %g", tare_estimators[e]->name, (double)out.max, top);
                cr_assert(out.error >= 0.0, "%s: %g", tare_estimators[e]->name, out.error);
            }
        }
        release(&f);
    }
}

Test(nncf, compositions_are_read) {
    const tare_estimator *estimator;
    tare_estimate_options options;
    tare_error err;
    cr_assert_eq(tare_estimator_find(&estimator, &options, tare_estimators,
                                     "nncf=p:0.01,max:abs_quantile/median_no_outliers", &err),
                 TARE_OK, "%s", err.text);
    cr_assert_eq(estimator, &tare_estimator_nncf);
    cr_assert_eq(options.number, 0.01);
    cr_assert_eq(options.set.min.reducer, TARE_NNCF_REDUCER_MIN);
    cr_assert_eq(options.set.min.aggregator, TARE_NNCF_AGGREGATOR_MEAN);
    cr_assert_eq(options.set.max.reducer, TARE_NNCF_REDUCER_ABS_QUANTILE);
    cr_assert_eq(options.set.max.aggregator, TARE_NNCF_AGGREGATOR_MEDIAN_NO_OUTLIERS);
    cr_assert_eq(tare_estimator_needs(estimator, &options), TARE_COLLECT_MAGNITUDES);
    cr_assert_eq(
        tare_estimator_find(&estimator, &options, tare_estimators, "nncf=min:mode/mean", &err),
        TARE_INVALID_ARGUMENT);
    cr_assert_str_eq(err.text, "method 'nncf': NNCF has no reducer 'mode'; known: min, max, "
                               "abs_max, mean, quantile, abs_quantile");
}

Test(sample, what_is_collected_is_said_and_read) {
    char text[TARE_COLLECT_TEXT_BYTES];
    tare_error err;
    unsigned read;
    for (unsigned i = 0; i <= TARE_COLLECT_ANYTHING; i++) {
        cr_assert_eq(tare_collect_parse(&read, tare_collect_text(text, i), ' ', &err), TARE_OK);
        cr_assert_eq(read, i);
    }
    cr_assert_eq(tare_collect_parse(&read, "all,means", ',', &err), TARE_OK);
    cr_assert_eq(read, TARE_COLLECT_ALL | TARE_COLLECT_MEANS);
    cr_assert_eq(tare_collect_parse(&read, "codes,sum", ',', &err), TARE_INVALID_ARGUMENT);
    cr_assert_not_null(strstr(err.text, "'sum' is nothing that is collected"));
    cr_assert_eq(tare_collect_parse(&read, "", ',', &err), TARE_INVALID_ARGUMENT);
}

Test(sample, untouched_memory_holds_nothing) {
    const tare_sample_numbers some = {{-1, 2, -0.5F, 1, 0, 3, 0.25F}};
    for (unsigned i = 0; i <= TARE_COLLECT_ANYTHING; i++) {
        uint32_t cells[TARE_SAMPLE_COLUMN_COUNT + 1] = {0};
        tare_sample_numbers numbers;
        cr_assert(!tare_sample_load(&numbers, cells, i));
        tare_sample_store(cells, &some, i);
        cr_assert_eq(cells[tare_sample_columns(i)], 0);
        cr_assert(tare_sample_load(&numbers, cells, i));
        for (size_t c = 0; c < TARE_SAMPLE_COLUMN_COUNT; c++) {
            const bool kept = (tare_sample_column_infos[c].needs & ~i) == 0;
            cr_assert(kept ? numbers.of[c] == some.of[c] : isnan(numbers.of[c]));
        }
    }
}

Test(nncf, known_numbers) {
    static const float values[] = {4, -1, 3, 100, 2, -50, 1, 0};
    const double expected_reduced[] = {-50, 100, 100, 7.375, 3.25, 15.5};
    const double expected[] = {-50, 100, 7.375, 1.5, 1.5, 1.5};
    for (int i = 0; i < 6; i++) {
        double value;
        cr_assert_eq(tare_nncf_reduce(&value, (tare_nncf_reducer)i, values, 8, 0.75, NULL),
                     TARE_OK);
        cr_assert_float_eq(value, expected_reduced[i], 1e-12, "%d: %g", i, value);
        cr_assert_eq(tare_nncf_aggregate(&value, (tare_nncf_aggregator)i, values, 8, 0.1, NULL),
                     TARE_OK);
        cr_assert_float_eq(value, expected[i], 1e-12, "%d: %g", i, value);
    }
}

Test(nncf, of_two_samples_both_stay) {
    static const float values[] = {1, 2};
    double value;
    for (int i = TARE_NNCF_AGGREGATOR_MEAN_NO_OUTLIERS;
         i <= TARE_NNCF_AGGREGATOR_MEDIAN_NO_OUTLIERS; i++) {
        cr_assert_eq(tare_nncf_aggregate(&value, (tare_nncf_aggregator)i, values, 2, 1e-4, NULL),
                     TARE_OK);
        cr_assert_eq(value, 1.5);
    }
}

Test(nncf, nothing_cannot_be_reduced) {
    const float value = 1;
    double out;
    cr_assert_eq(tare_nncf_reduce(&out, TARE_NNCF_REDUCER_MIN, &value, 0, 0, NULL),
                 TARE_INVALID_ARGUMENT);
    cr_assert_eq(tare_nncf_reduce(&out, TARE_NNCF_REDUCER_QUANTILE, &value, 1, 1.5, NULL),
                 TARE_INVALID_ARGUMENT);
    cr_assert_eq(tare_nncf_aggregate(&out, TARE_NNCF_AGGREGATOR_MEAN, &value, 0, 0, NULL),
                 TARE_INVALID_ARGUMENT);
    cr_assert_eq(tare_nncf_aggregate(&out, TARE_NNCF_AGGREGATOR_MEAN, &value, 1, 0.6, NULL),
                 TARE_INVALID_ARGUMENT);
    cr_assert_eq(
        tare_nncf_aggregate(&out, TARE_NNCF_AGGREGATOR_MEAN_NO_OUTLIERS, &value, 1, 0.5, NULL),
        TARE_OK);
    cr_assert_eq(out, 1.0);
}
