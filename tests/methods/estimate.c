/* SPDX-License-Identifier: Apache-2.0 */
/**
 * Runs estimators for the comparison with Python packages: one request per line on standard input,
 * one line with the answer on standard output. Files hold raw float32 values, or float64 counts for
 * `search`.
 *
 *   range METHOD symmetric|asymmetric FILE SAMPLES -> min max expected-error method reason
 *   search trt|pytorch|ort|nncf FILE LOW HIGH      -> low high
 *   reduce NUMBER-OF-REDUCER Q FILE                -> value
 *   aggregate NUMBER-OF-AGGREGATOR P FILE          -> value
 */
#include <float.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/file.h"
#include "cpu/backend.h"
#include "stats/entropy.h"
#include "stats/estimate.h"
#include "stats/nncf.h"

#define MOST_WORDS 8

typedef tare_status (*request)(char **words, tare_error *err);

/* Everything that one `range` request owns. */
typedef struct sampled {
    tare_mapping file;
    size_t samples;
    tare_code_histogram histogram;
    tare_code_counter *counter;
    float *numbers; /* by column, then by sample */
} sampled;

/* What the CPU backend finds in a sample. */
static tare_status reduce_sample(sampled *s, tare_tensor_statistics *in, const float *values,
                                 size_t each, double p, tare_error *err) {
    static float scratch[TARE_QUANTILE_SCRATCH];
    const tare_desc desc = {
        .dtype = TARE_DTYPE_FLOAT, .rank = 1, .dims = {(int64_t)each}, .layout = TARE_LAYOUT_PLAIN};
    const tare_quantile_place low = tare_quantile_find(p, each);
    const tare_quantile_place high = tare_quantile_find(1.0 - p, each);
    tare_quantile_pairs values_at, magnitudes_at;
    float mean;
    const tare_reduce_request wanted = {.desc = &desc,
                                        .data = values,
                                        .quantile = p,
                                        .quantiles = &values_at,
                                        .magnitudes = &magnitudes_at,
                                        .quantile_scratch = scratch,
                                        .mean = &mean};
    tare_reduce_record record;
    TARE_TRY(tare_backend_cpu.reduce(&record, &wanted, err));
    const float found[TARE_SAMPLE_COLUMN_COUNT] = {
        [TARE_SAMPLE_MIN] = record.min,
        [TARE_SAMPLE_MAX] = record.max,
        [TARE_SAMPLE_LOW] = tare_quantile_between(values_at.low, &low),
        [TARE_SAMPLE_HIGH] = tare_quantile_between(values_at.high, &high),
        [TARE_SAMPLE_MAGNITUDE_LOW] = tare_quantile_between(magnitudes_at.low, &low),
        [TARE_SAMPLE_MAGNITUDE_HIGH] = tare_quantile_between(magnitudes_at.high, &high),
        [TARE_SAMPLE_MEAN] = mean};
    for (size_t c = 0; c < TARE_SAMPLE_COLUMN_COUNT; c++) {
        float *column = s->numbers + c * s->samples;
        column[in->sample_count] = found[c];
        in->samples[c] = column;
    }
    in->sample_count++;
    in->min = fminf(in->min, record.min);
    in->max = fmaxf(in->max, record.max);
    tare_code_histogram_add(&s->histogram, s->counter, values, each);
    return TARE_OK;
}

static tare_status reduce_samples(sampled *s, tare_tensor_statistics *in, double p,
                                  tare_error *err) {
    const float *values = (const float *)(const void *)s->file.data;
    const size_t each = s->file.bytes / sizeof(float) / s->samples;
    for (size_t i = 0; i < s->samples; i++) {
        TARE_TRY(reduce_sample(s, in, values + i * each, each, p, err));
    }
    return TARE_OK;
}

static tare_status answer_range(char **words, tare_error *err) {
    const size_t samples = (size_t)strtoul(words[3], NULL, 10);
    void *counts = calloc(1, TARE_CODE_HISTOGRAM_BYTES);
    sampled s = {.samples = samples,
                 .numbers = calloc(samples + 1, TARE_SAMPLE_COLUMN_COUNT * sizeof *s.numbers)};
    tare_tensor_statistics in = {
        .tensor = "t", .histogram = &s.histogram, .min = FLT_MAX, .max = -FLT_MAX};
    tare_estimate_options options = {.magnitude = strcmp(words[1], "symmetric") == 0};
    const tare_estimator *estimator;
    tare_estimate out;
    tare_status status = TARE_OUT_OF_MEMORY;

    if (counts == NULL || s.numbers == NULL || samples == 0) {
        goto done;
    }
    tare_code_histogram_init(&s.histogram, counts);
    TARE_TRY_DONE(status, tare_code_counter_new(&s.counter, err));
    TARE_TRY_DONE(status, tare_mapping_open(&s.file, words[2], err));
    TARE_TRY_DONE(status,
                  tare_estimator_find(&estimator, &options, tare_estimators, words[0], err));
    TARE_TRY_DONE(
        status, reduce_samples(
                    &s, &in, estimator->set == NULL ? TARE_NNCF_PROBABILITY : options.number, err));
    TARE_TRY_DONE(status, tare_estimate_range(&out, estimator, &in, &options, err));
    printf("%.9g %.9g %.17g %s %s\n", (double)out.min, (double)out.max, out.error, out.method,
           out.reason);
done:
    tare_mapping_release(&s.file);
    tare_code_counter_free(s.counter);
    free(s.numbers);
    free(counts);
    return status;
}

static tare_status search(double range[2], const char *kind, const tare_linear_histogram *histogram,
                          tare_error *err) {
    tare_arena scratch;
    tare_status status = TARE_OK;
    tare_arena_init(&scratch);
    range[0] = 0.0;
    if (strcmp(kind, "trt") == 0) {
        status = tare_entropy_trt_threshold(&range[1], &scratch, histogram, err);
    } else if (strcmp(kind, "pytorch") == 0) {
        status = tare_entropy_pytorch_threshold(&range[1], &scratch, histogram, 128, err);
    } else if (strcmp(kind, "pytorch-unsigned") == 0) {
        status = tare_entropy_pytorch_threshold(&range[1], &scratch, histogram, 256, err);
    } else if (strcmp(kind, "ort") == 0) {
        status = tare_entropy_ort_range(range, &scratch, histogram, err);
    } else if (strcmp(kind, "nncf") == 0) {
        tare_nncf_histogram_search(range, histogram);
    } else {
        status = tare_fail(err, TARE_NOT_FOUND, "no search '%s'", kind);
    }
    tare_arena_release(&scratch);
    return status;
}

static tare_status answer_search(char **words, tare_error *err) {
    tare_mapping file = {0};
    tare_linear_histogram histogram = {.low = strtod(words[2], NULL),
                                       .high = strtod(words[3], NULL)};
    double range[2];
    tare_status status;
    TARE_TRY_DONE(status, tare_mapping_open(&file, words[1], err));
    histogram.bins = file.bytes / sizeof(double);
    histogram.counts = calloc(histogram.bins, sizeof(double));
    if (histogram.counts == NULL) {
        status = TARE_OUT_OF_MEMORY;
        goto done;
    }
    memcpy(histogram.counts, file.data, file.bytes);
    TARE_TRY_DONE(status, search(range, words[0], &histogram, err));
    printf("%.17g %.17g\n", range[0], range[1]);
done:
    free(histogram.counts);
    tare_mapping_release(&file);
    return status;
}

static tare_status answer_number(char **words, bool aggregate, tare_error *err) {
    const double q = strtod(words[1], NULL);
    const int which = (int)strtol(words[0], NULL, 10);
    tare_mapping file;
    double value;
    TARE_TRY(tare_mapping_open(&file, words[2], err));
    const float *values = (const float *)(const void *)file.data;
    const size_t count = file.bytes / sizeof(float);
    const tare_status status =
        aggregate ? tare_nncf_aggregate(&value, (tare_nncf_aggregator)which, values, count, q, err)
                  : tare_nncf_reduce(&value, (tare_nncf_reducer)which, values, count, q, err);
    tare_mapping_release(&file);
    if (status == TARE_OK) {
        printf("%.17g\n", value);
    }
    return status;
}

static tare_status answer_reduce(char **words, tare_error *err) {
    return answer_number(words, false, err);
}

static tare_status answer_aggregate(char **words, tare_error *err) {
    return answer_number(words, true, err);
}

typedef struct verb {
    const char *name;
    size_t words;
    request answer;
} verb;

static const verb verbs[] = {{"range", 4, answer_range},
                             {"search", 4, answer_search},
                             {"reduce", 3, answer_reduce},
                             {"aggregate", 3, answer_aggregate}};

static bool answer(char *line) {
    char *words[MOST_WORDS] = {0};
    size_t count = 0;
    tare_error err;
    for (char *at = line; count < MOST_WORDS;) {
        at += strspn(at, " \n");
        if (*at == '\0') {
            break;
        }
        words[count++] = at;
        at += strcspn(at, " \n");
        if (*at != '\0') {
            *at++ = '\0';
        }
    }
    for (size_t i = 0; count > 0 && i < sizeof verbs / sizeof *verbs; i++) {
        if (strcmp(verbs[i].name, words[0]) == 0 && count == verbs[i].words + 1) {
            if (verbs[i].answer(words + 1, &err) != TARE_OK) {
                printf("error %s\n", err.text);
            }
            return true;
        }
    }
    return false;
}

int main(void) {
    char line[4096];
    while (fgets(line, sizeof line, stdin) != NULL) {
        if (!answer(line)) {
            fprintf(stderr, "not a request: %s\n", line);
            return 2;
        }
        (void)fflush(stdout);
    }
    return 0;
}
