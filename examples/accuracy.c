/* SPDX-License-Identifier: Apache-2.0 */
/** accuracy DATA PREPROCESS LABELS.csv MODEL.onnx [MODEL.onnx ...]: runs classifiers on labelled
 * pictures with libtare, and counts how often the largest output is the labelled class. */
#include <errno.h>
#include <math.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "tare.h"

#define LINE_BYTES  4096
#define MAX_CLASSES 1000000

/* The labelled class of each sample, in the order of the samples. */
typedef struct labels {
    size_t *classes; /* owned */
    size_t count;
} labels;

/* The first output of a model for all samples: `rows` samples of `columns` logits. */
typedef struct logits {
    tare_outcome *outcome; /* owned; holds `values` */
    const float *values;
    size_t rows, columns;
} logits;

static tare_status fail(tare_error *err, tare_status code, const char *path, const char *what) {
    err->code = code;
    snprintf(err->text, sizeof err->text, "%s: %s", path, what);
    return code;
}

/* Reads "name,class,...". A dataset takes its files in the order of their names, so the names here
 * must ascend, or rows and labels would not belong together. `previous` holds the name of the line
 * before, and then this one's. */
static bool parse_label(size_t *class, char *line, char *previous) {
    char *comma = strchr(line, ',');
    char *end = NULL;
    if (comma == NULL) {
        return false;
    }
    *comma = '\0';
    if (strcmp(line, previous) <= 0) {
        return false;
    }
    memcpy(previous, line, strlen(line) + 1);
    errno = 0;
    unsigned long value = strtoul(comma + 1, &end, 10);
    *class = (size_t)value;
    return errno == 0 && end != comma + 1 && strchr(",\r\n", *end) != NULL && value < MAX_CLASSES;
}

static bool append(labels *out, size_t class, size_t *capacity) {
    if (out->count == *capacity) {
        *capacity = *capacity == 0 ? 256 : 2 * *capacity;
        size_t *grown = realloc(out->classes, *capacity * sizeof *grown);
        if (grown == NULL) {
            return false;
        }
        out->classes = grown;
    }
    out->classes[out->count++] = class;
    return true;
}

static tare_status read_labels(labels *out, const char *path, tare_error *err) {
    char line[LINE_BYTES];
    char previous[LINE_BYTES] = "";
    size_t capacity = 0;
    size_t class = 0;
    tare_status status = TARE_OK;
    FILE *file = fopen(path, "r");
    if (file == NULL) {
        return fail(err, TARE_NOT_FOUND, path, strerror(errno));
    }
    bool heading = fgets(line, sizeof line, file) != NULL;
    while (status == TARE_OK && heading && fgets(line, sizeof line, file) != NULL) {
        if (!parse_label(&class, line, previous)) {
            status = fail(err, TARE_INVALID_ARGUMENT, path,
                          "a line is not name,class,... with the names in ascending order");
        } else if (!append(out, class, &capacity)) {
            status = fail(err, TARE_OUT_OF_MEMORY, path, "too many labels");
        }
    }
    fclose(file);
    if (status == TARE_OK && out->count == 0) {
        status = fail(err, TARE_INVALID_ARGUMENT, path, "has no labels behind the heading");
    }
    return status;
}

static tare_status run_model(logits *out, const char *path, const tare_dataset *dataset,
                             tare_error *err) {
    tare_run_options options;
    tare_model *model = NULL;
    tare_run_options_init(&options);
    tare_status status = tare_model_open(&model, path, err);
    if (status == TARE_OK) {
        status = tare_model_run_dataset(&out->outcome, model, dataset, &options, err);
    }
    tare_model_free(model);
    if (status != TARE_OK) {
        return status;
    }
    tare_array_view view = tare_outcome_get(out->outcome, 0);
    if (view.element != TARE_FLOAT32 || view.rank != 2 || view.dims[1] < 1) {
        return fail(err, TARE_UNSUPPORTED, path,
                    "the first output is not float32 [samples, classes]");
    }
    out->values = view.data;
    out->rows = (size_t)view.dims[0];
    out->columns = (size_t)view.dims[1];
    return TARE_OK;
}

static size_t largest(const logits *from, size_t row) {
    const float *values = from->values + row * from->columns;
    size_t best = 0;
    for (size_t i = 1; i < from->columns; i++) {
        if (values[i] > values[best]) {
            best = i;
        }
    }
    return best;
}

/* Signal-to-noise ratio of `other` against `reference` in decibels. */
static double signal_to_noise(const logits *reference, const logits *other) {
    double signal = 0;
    double noise = 0;
    for (size_t i = 0; i < reference->rows * reference->columns; i++) {
        double value = (double)reference->values[i];
        double difference = value - (double)other->values[i];
        signal += value * value;
        noise += difference * difference;
    }
    return 10 * log10(signal / noise);
}

static void print_score(const char *path, const logits *shown, const logits *first,
                        const labels *truth) {
    size_t right = 0;
    size_t same = 0;
    for (size_t row = 0; row < shown->rows; row++) {
        right += largest(shown, row) == truth->classes[row];
        same += largest(shown, row) == largest(first, row);
    }
    printf("%s: %zu of %zu right (%.1f %%)", path, right, shown->rows,
           100.0 * (double)right / (double)shown->rows);
    if (shown != first) {
        printf(", same answer as the first model %zu of %zu, signal-to-noise %.1f dB", same,
               shown->rows, signal_to_noise(first, shown));
    }
    printf("\n");
}

/* Scores one model. `first` is the outcome of the first model, and is `shown` itself for that one.
 */
static tare_status score(logits *shown, const logits *first, const char *path,
                         const tare_dataset *dataset, const labels *truth, tare_error *err) {
    tare_status status = run_model(shown, path, dataset, err);
    if (status != TARE_OK) {
        return status;
    }
    if (shown->rows != truth->count) {
        return fail(err, TARE_INVALID_ARGUMENT, path, "there are not as many labels as samples");
    }
    if (shown->columns != first->columns) {
        return fail(err, TARE_INVALID_ARGUMENT, path, "not as many classes as the first model");
    }
    print_score(path, shown, first, truth);
    return TARE_OK;
}

int main(int argc, char **argv) {
    tare_error err = {TARE_OK, ""};
    tare_dataset *dataset = NULL;
    labels truth = {NULL, 0};
    logits first = {NULL, NULL, 0, 0};
    if (argc < 5) {
        fprintf(stderr, "usage: accuracy DATA PREPROCESS LABELS.csv MODEL.onnx [MODEL.onnx ...]\n");
        return 2;
    }
    tare_status status = read_labels(&truth, argv[3], &err);
    if (status == TARE_OK) {
        status = tare_dataset_open(&dataset, argv[1], argv[2], &err);
    }
    for (int i = 4; i < argc && status == TARE_OK; i++) {
        logits next = {NULL, NULL, 0, 0};
        status = score(i == 4 ? &first : &next, &first, argv[i], dataset, &truth, &err);
        tare_outcome_free(next.outcome);
    }
    if (status != TARE_OK) {
        fprintf(stderr, "accuracy: %s\n", err.text);
    }
    tare_outcome_free(first.outcome);
    tare_dataset_free(dataset);
    free(truth.classes);
    return status == TARE_OK ? 0 : 1;
}
