/* SPDX-License-Identifier: Apache-2.0 */
/** The columns of samples, and the names of what is collected. */
#include "stats/sample.h"

#include <math.h>
#include <stdio.h>
#include <string.h>

#define INFINITE 0x7F800000U

const tare_sample_column_info tare_sample_column_infos[TARE_SAMPLE_COLUMN_COUNT] = {
    [TARE_SAMPLE_MIN] = {"sample.min", TARE_COLLECT_RANGES},
    [TARE_SAMPLE_MAX] = {"sample.max", TARE_COLLECT_RANGES},
    [TARE_SAMPLE_LOW] = {"sample.low", TARE_COLLECT_QUANTILES},
    [TARE_SAMPLE_HIGH] = {"sample.high", TARE_COLLECT_QUANTILES},
    [TARE_SAMPLE_MAGNITUDE_LOW] = {"sample.magnitude_low", TARE_COLLECT_MAGNITUDES},
    [TARE_SAMPLE_MAGNITUDE_HIGH] = {"sample.magnitude_high", TARE_COLLECT_MAGNITUDES},
    [TARE_SAMPLE_MEAN] = {"sample.mean", TARE_COLLECT_MEANS},
};

size_t tare_sample_columns(unsigned collect) {
    size_t count = 0;
    for (size_t i = 0; i < TARE_SAMPLE_COLUMN_COUNT; i++) {
        count += tare_sample_keeps(i, collect) ? 1 : 0;
    }
    return count;
}

void tare_sample_store(uint32_t *cells, const tare_sample_numbers *numbers, unsigned collect) {
    for (size_t i = 0; i < TARE_SAMPLE_COLUMN_COUNT; i++) {
        if (tare_sample_keeps(i, collect)) {
            uint32_t bits;
            memcpy(&bits, &numbers->of[i], sizeof bits);
            *cells++ = bits ^ INFINITE;
        }
    }
}

bool tare_sample_load(tare_sample_numbers *out, const uint32_t *cells, unsigned collect) {
    for (size_t i = 0; i < TARE_SAMPLE_COLUMN_COUNT; i++) {
        out->of[i] = NAN;
        if (tare_sample_keeps(i, collect)) {
            const uint32_t bits = *cells++ ^ INFINITE;
            memcpy(&out->of[i], &bits, sizeof bits);
        }
    }
    return isfinite(out->of[TARE_SAMPLE_MIN]);
}

/* In the order of the bits. Ranges are always there. */
static const char *const names[] = {"codes", "sums", "windows", "quantiles", "magnitudes", "means"};

#define NAME_COUNT (sizeof names / sizeof names[0])
_Static_assert(TARE_COLLECT_ANYTHING == (1U << NAME_COUNT) - 1, "a name for each bit");

const char *tare_collect_text(char out[TARE_COLLECT_TEXT_BYTES], unsigned collect) {
    int length = snprintf(out, TARE_COLLECT_TEXT_BYTES, "ranges");
    for (size_t i = 0; i < NAME_COUNT; i++) {
        if ((collect >> i & 1U) != 0) {
            length +=
                snprintf(out + length, TARE_COLLECT_TEXT_BYTES - (size_t)length, " %s", names[i]);
        }
    }
    return out;
}

static bool is_word(const char *word, size_t length, const char *name) {
    return strlen(name) == length && memcmp(word, name, length) == 0;
}

static bool parse_word(unsigned *out, const char *word, size_t length) {
    for (size_t i = 0; i < NAME_COUNT; i++) {
        if (is_word(word, length, names[i])) {
            *out |= 1U << i;
            return true;
        }
    }
    *out |= is_word(word, length, "all") ? TARE_COLLECT_ALL : 0;
    return is_word(word, length, "all") || is_word(word, length, "ranges");
}

tare_status tare_collect_parse(unsigned *out, const char *text, char separator, tare_error *err) {
    *out = TARE_COLLECT_RANGES;
    for (const char *word = text;; word++) {
        const char *end = strchr(word, separator);
        const size_t length = end == NULL ? strlen(word) : (size_t)(end - word);
        if (!parse_word(out, word, length)) {
            return tare_fail(
                err, TARE_INVALID_ARGUMENT,
                "'%.*s' is nothing that is collected; known: all, ranges, codes, sums, "
                "windows, quantiles, magnitudes, means",
                (int)length, word);
        }
        if (end == NULL) {
            return TARE_OK;
        }
        word = end;
    }
}
