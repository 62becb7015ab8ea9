/* SPDX-License-Identifier: Apache-2.0 */
/** accuracy LABELS.csv LOGITS.npy [LOGITS.npy ...]: how often the largest logit is the labelled
 * class. */
#include <errno.h>
#include <math.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* Row i of every logits file belongs to line i + 1 of the labels (behind the heading). */
typedef struct logits {
    float *values; /* [rows][columns], owned */
    size_t rows, columns;
} logits;

typedef struct labels {
    size_t *classes; /* owned */
    size_t count;
} labels;

#define LINE_BYTES 4096
#define MAX_VALUES                                                                                 \
    ((size_t)1 << 28) /* 1 GiB of float32: more is a damaged header, not a result                  \
                       */
#define NPY_MAGIC       "\x93NUMPY"
#define NPY_MAGIC_BYTES 6
#define SHAPE_KEY       "'shape': ("

static bool fail(const char *path, const char *what) {
    fprintf(stderr, "accuracy: %s: %s\n", path, what);
    return false;
}

/* Reads "name,class,...": the tool that wrote the logits took the files in the order of their
 * names, so the names must ascend, or rows and labels would not belong together. */
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
    *class = value;
    return errno == 0 && end != comma + 1 &&
           (*end == ',' || *end == '\n' || *end == '\r' || *end == '\0');
}

static bool read_labels(labels *out, const char *path) {
    char line[LINE_BYTES];
    char previous[LINE_BYTES] = "";
    size_t capacity = 0;
    bool ok = false;
    FILE *file = fopen(path, "r");
    if (file == NULL) {
        return fail(path, "cannot be opened");
    }
    if (fgets(line, sizeof line, file) == NULL) {
        fail(path, "is empty; expected the heading file,class,name");
        goto done;
    }
    while (fgets(line, sizeof line, file) != NULL) {
        if (out->count == capacity) {
            capacity = capacity == 0 ? 256 : 2 * capacity;
            size_t *grown = realloc(out->classes, capacity * sizeof *grown);
            if (grown == NULL) {
                fail(path, "out of memory");
                goto done;
            }
            out->classes = grown;
        }
        if (!parse_label(&out->classes[out->count], line, previous)) {
            fprintf(stderr,
                    "accuracy: %s: line %zu is not file,class,... with ascending file names\n",
                    path, out->count + 2);
            goto done;
        }
        out->count++;
    }
    ok = out->count > 0 || fail(path, "has no labels");
done:
    fclose(file);
    return ok;
}

/* One length of the shape and the character behind it; 0 for anything that is no length. */
static size_t parse_length(const char **text, char behind) {
    char *end = NULL;
    errno = 0;
    unsigned long long value = strtoull(*text, &end, 10);
    if (errno != 0 || end == *text || *end != behind || value > MAX_VALUES) {
        return 0;
    }
    *text = end + 1;
    return (size_t)value;
}

/* The .npy header is a Python dictionary in a fixed spelling; only 2-D little-endian float32 in C
 * order is of use. */
static bool parse_header(logits *out, const char *header) {
    const char *shape = strstr(header, SHAPE_KEY);
    if (strstr(header, "'descr': '<f4'") == NULL ||
        strstr(header, "'fortran_order': False") == NULL || shape == NULL) {
        return false;
    }
    shape += strlen(SHAPE_KEY);
    out->rows = parse_length(&shape, ',');
    out->columns = parse_length(&shape, ')');
    return out->rows > 0 && out->columns > 0 && out->columns <= MAX_VALUES / out->rows;
}

static bool read_header(logits *out, FILE *file) {
    unsigned char start[NPY_MAGIC_BYTES + 2];
    unsigned char length[4] = {0};
    char header[LINE_BYTES];
    if (fread(start, 1, sizeof start, file) != sizeof start ||
        memcmp(start, NPY_MAGIC, NPY_MAGIC_BYTES) != 0) {
        return false;
    }
    /* The length of the header has two bytes in version 1, and four from version 2 on. */
    size_t width = start[NPY_MAGIC_BYTES] == 1 ? 2 : 4;
    if (fread(length, 1, width, file) != width) {
        return false;
    }
    size_t bytes = (size_t)length[0] | (size_t)length[1] << 8 | (size_t)length[2] << 16 |
                   (size_t)length[3] << 24;
    if (bytes >= sizeof header || fread(header, 1, bytes, file) != bytes) {
        return false;
    }
    header[bytes] = '\0';
    return parse_header(out, header);
}

static bool read_logits(logits *out, const char *path) {
    FILE *file = fopen(path, "rb");
    if (file == NULL) {
        return fail(path, "cannot be opened");
    }
    bool ok = false;
    if (!read_header(out, file)) {
        fail(path, "is not a .npy file of float32 with two axes");
        goto done;
    }
    out->values = malloc(out->rows * out->columns * sizeof *out->values);
    if (out->values == NULL) {
        fail(path, "out of memory");
        goto done;
    }
    ok = fread(out->values, sizeof *out->values, out->rows * out->columns, file) ==
             out->rows * out->columns ||
         fail(path, "is shorter than its header says");
done:
    fclose(file);
    return ok;
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
        double difference = (double)reference->values[i] - (double)other->values[i];
        signal += (double)reference->values[i] * (double)reference->values[i];
        noise += difference * difference;
    }
    return 10 * log10(signal / noise);
}

static void report(const char *path, const logits *shown, const logits *first,
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
        printf(", same answer as the first %zu of %zu, signal-to-noise %.1f dB", same, shown->rows,
               signal_to_noise(first, shown));
    }
    printf("\n");
}

static bool compare(char **paths, size_t count, const labels *truth, logits *first) {
    for (size_t i = 0; i < count; i++) {
        logits next = {NULL, 0, 0};
        logits *shown = i == 0 ? first : &next;
        bool ok = read_logits(shown, paths[i]);
        if (ok && (shown->rows != truth->count || shown->columns != first->columns)) {
            fprintf(stderr, "accuracy: %s: %zu rows of %zu logits, expected %zu rows of %zu\n",
                    paths[i], shown->rows, shown->columns, truth->count, first->columns);
            ok = false;
        }
        if (ok) {
            report(paths[i], shown, first, truth);
        }
        free(next.values);
        if (!ok) {
            return false;
        }
    }
    return true;
}

int main(int argc, char **argv) {
    labels truth = {NULL, 0};
    logits first = {NULL, 0, 0};
    if (argc < 3) {
        fprintf(stderr, "usage: accuracy LABELS.csv LOGITS.npy [LOGITS.npy ...]\n");
        return 2;
    }
    bool ok = read_labels(&truth, argv[1]) && compare(argv + 2, (size_t)argc - 2, &truth, &first);
    free(truth.classes);
    free(first.values);
    return ok ? 0 : 1;
}
