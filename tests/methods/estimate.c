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
#include "stats/entropy.h"
#include "stats/estimate.h"
#include "stats/nncf.h"

#define MOST_WORDS 8

typedef tare_status (*request)(char **words, tare_error *err);

/* Everything that one `range` request owns. */
typedef struct sampled {
    tare_mapping file;
    tare_code_histogram histogram;
    tare_code_counter *counter;
    float *numbers; /* per sample: min, max, low, high */
} sampled;

static tare_status reduce_samples(sampled *s, tare_tensor_statistics *in, size_t samples, double p,
                                  tare_error *err) {
    static const tare_nncf_reducer reducers[4] = {TARE_NNCF_REDUCER_MIN, TARE_NNCF_REDUCER_MAX,
                                                  TARE_NNCF_REDUCER_QUANTILE,
                                                  TARE_NNCF_REDUCER_QUANTILE};
    const double q[4] = {0.0, 0.0, p, 1.0 - p};
    const size_t each = s->file.bytes / sizeof(float) / samples;
    for (size_t i = 0; i < samples; i++) {
        const float *values = (const float *)(const void *)s->file.data + i * each;
        for (size_t k = 0; k < 4; k++) {
            double value;
            TARE_TRY(tare_nncf_reduce(&value, reducers[k], values, each, q[k], err));
            s->numbers[k * samples + i] = (float)value;
        }
        in->min = fminf(in->min, s->numbers[i]);
        in->max = fmaxf(in->max, s->numbers[samples + i]);
        tare_code_histogram_add(&s->histogram, s->counter, values, each);
    }
    in->sample_min = s->numbers;
    in->sample_max = s->numbers + samples;
    in->sample_low = s->numbers + 2 * samples;
    in->sample_high = s->numbers + 3 * samples;
    in->sample_count = samples;
    return TARE_OK;
}

static tare_status answer_range(char **words, tare_error *err) {
    const size_t samples = (size_t)strtoul(words[3], NULL, 10);
    uint64_t *counts = calloc(TARE_CODE_COUNTERS, sizeof *counts);
    sampled s = {.numbers = calloc(samples + 1, 4 * sizeof *s.numbers)};
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
                  tare_estimator_find(&estimator, &options.number, tare_estimators, words[0], err));
    TARE_TRY_DONE(status, reduce_samples(&s, &in, samples, TARE_NNCF_PROBABILITY, err));
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
