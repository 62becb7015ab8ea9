/* SPDX-License-Identifier: Apache-2.0 */
/**
 * What is collected, and which numbers are kept of each sample and tensor.
 *
 * Of a sample a few float32 numbers are kept, a column each. Which ones follows from what is
 * collected. A cell is stored as its pattern exclusive-or that of infinity: zeroed memory then
 * reads as "no values", so that memory for samples to come need not be touched.
 */
#ifndef TARE_STATS_SAMPLE_H
#define TARE_STATS_SAMPLE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/error.h"

/** What is collected beside the ranges of samples, counts and the ranges of channels: bits. */
enum {
    TARE_COLLECT_RANGES = 0,
    TARE_COLLECT_CODES = 1,       /**< a code histogram per tensor */
    TARE_COLLECT_SUMS = 2,        /**< exact sums of channels */
    TARE_COLLECT_WINDOWS = 4,     /**< exact window sums */
    TARE_COLLECT_QUANTILES = 8,   /**< two quantiles of each sample */
    TARE_COLLECT_MAGNITUDES = 16, /**< two quantiles of each sample's magnitudes */
    TARE_COLLECT_MEANS = 32,      /**< the mean of each sample */
    TARE_COLLECT_ANYTHING = 63,
    /** What one run is to leave for every method: all but what only unusual choices of NNCF's
     * estimators ask for. */
    TARE_COLLECT_ALL = 15
};

/** The columns. */
typedef enum tare_sample_column {
    TARE_SAMPLE_MIN,
    TARE_SAMPLE_MAX,
    TARE_SAMPLE_LOW, /**< the quantile p of the values; then that of 1 - p */
    TARE_SAMPLE_HIGH,
    TARE_SAMPLE_MAGNITUDE_LOW, /**< the same of magnitudes */
    TARE_SAMPLE_MAGNITUDE_HIGH,
    TARE_SAMPLE_MEAN,
    TARE_SAMPLE_COLUMN_COUNT
} tare_sample_column;

typedef struct tare_sample_column_info {
    const char *tensor; /**< in a state's file */
    unsigned needs;     /**< bits of TARE_COLLECT_... */
} tare_sample_column_info;

extern const tare_sample_column_info tare_sample_column_infos[TARE_SAMPLE_COLUMN_COUNT];

/** The numbers of one tensor of one sample by column; those that are not kept are NAN. */
typedef struct tare_sample_numbers {
    float of[TARE_SAMPLE_COLUMN_COUNT];
} tare_sample_numbers;

/** Whether what is kept of samples depends on the probability of a quantile. */
static inline bool tare_sample_uses_quantile(unsigned collect) {
    return (collect & (TARE_COLLECT_QUANTILES | TARE_COLLECT_MAGNITUDES)) != 0;
}

/** Whether a column is kept. */
static inline bool tare_sample_keeps(size_t column, unsigned collect) {
    return (tare_sample_column_infos[column].needs & ~collect) == 0;
}

/** How many columns there are, that is cells of a tensor in a sample. */
size_t tare_sample_columns(unsigned collect);

/** Stores the numbers of the columns that are kept. */
void tare_sample_store(uint32_t *cells, const tare_sample_numbers *numbers, unsigned collect);

/** False when nothing was stored. */
bool tare_sample_load(tare_sample_numbers *out, const uint32_t *cells, unsigned collect);

/** Room for the names of everything that can be collected. */
#define TARE_COLLECT_TEXT_BYTES 64

/** What is collected in words: "ranges", "ranges codes sums", ... */
const char *tare_collect_text(char out[TARE_COLLECT_TEXT_BYTES], unsigned collect);

/** The other way: words between separators (" " or ",") in any order; "all" means
 * TARE_COLLECT_ALL. TARE_INVALID_ARGUMENT with the names there are. */
TARE_MUST_CHECK tare_status tare_collect_parse(unsigned *out, const char *text, char separator,
                                               tare_error *err);

#endif
