/* SPDX-License-Identifier: Apache-2.0 */
/** Calibration data: what a kind of data has to offer, and the opened data that everybody reads
 * samples from. */
#ifndef TARE_DATA_SOURCE_H
#define TARE_DATA_SOURCE_H

#include "data/preprocess.h"

/** What is to be opened. Borrowed only during the call. */
typedef struct tare_source_options {
    const char *path;                  /**< NULL: the first kind of the list is meant */
    const tare_preprocess *preprocess; /**< complete; NULL: the data is the model's input already */
    const struct tare_function_data *function; /**< for tare_source_function */
} tare_source_options;

/** What is known once it is open. */
typedef struct tare_source_info {
    size_t count;          /**< samples */
    size_t skipped;        /**< files that are not data of this kind, by their names */
    size_t resident_bytes; /**< memory held for the data as a whole, beside names */
    size_t sample_bytes;   /**< of the inputs of one sample; 0 when it depends on the sample */
    size_t input_count;
    tare_array inputs[TARE_SAMPLE_MAX_INPUTS]; /**< shape of a sample's inputs, data NULL; dims 0
                                                  where it varies */
} tare_source_info;

/** Working memory of one loading thread. All zero is a valid start. */
typedef tare_preprocess_scratch tare_source_scratch;

/**
 * A kind of data: a const struct that the registry lists. `state` is private_size zeroed bytes;
 * close() accepts any state that open() left, also after it failed. load(), measure() and
 * sample_name() are called by several threads at a time.
 */
typedef struct tare_source {
    const char *name;    /**< such as "folder" */
    const char *summary; /**< one line for --help */
    size_t private_size;
    /** Whether the path looks like this kind; the content may still turn out to be damaged. */
    bool (*probe)(const char *path);
    tare_status (*open)(void *state, tare_source_info *info, const tare_source_options *options,
                        tare_error *err);
    /** Relative to the path, stable across machines; valid until close(). */
    const char *(*sample_name)(const void *state, size_t index);
    /** Upper bound of the working memory that loading this sample takes; reads headers at most. */
    tare_status (*measure)(size_t *scratch_bytes, const void *state, size_t index, tare_error *err);
    /** Loads sample `index` in any order. Errors name the sample. */
    tare_status (*load)(tare_sample *sample, const void *state, size_t index,
                        tare_source_scratch *scratch, tare_error *err);
    void (*close)(void *state);
    /** The id that load() would give the sample, without loading it; NULL: only load() can tell. */
    tare_status (*identify)(uint64_t *id, const void *state, size_t index, tare_error *err);
} tare_source;

/** A folder of images (recursive), or one image file. */
extern const tare_source tare_source_folder;
/** One .npy: axis 0 counts the samples. */
extern const tare_source tare_source_npy;
/** One .npz: an array per model input, axis 0 counts the samples. */
extern const tare_source tare_source_npz;

/** A function of the caller's that makes the samples. */
extern const tare_source tare_source_function;

/** What tare_source_function opens. Borrowed until the data are closed. */
typedef struct tare_function_data {
    size_t count;
    tare_sample_function function;
    void *user;
} tare_function_data;

/** Opened data. */
typedef struct tare_samples tare_samples;

/** The kinds to choose from. Borrowed. */
typedef struct tare_source_list {
    const tare_source *const *sources;
    size_t count;
} tare_source_list;

/**
 * Opens the path with the first kind that recognises it. TARE_NOT_FOUND when there is nothing at
 * the path or no sample in it, TARE_UNSUPPORTED when no kind recognises it.
 */
TARE_MUST_CHECK tare_status tare_samples_open(tare_samples **out, const tare_source_list *kinds,
                                              const tare_source_options *options, tare_error *err);

/** Closes and frees. NULL allowed. Samples' names end here. */
void tare_samples_close(tare_samples *dataset);

const tare_source_info *tare_samples_info(const tare_samples *dataset);

/** The number of samples; at least 1. */
size_t tare_samples_count(const tare_samples *dataset);

/** The name of the kind, such as "folder". */
const char *tare_samples_kind(const tare_samples *dataset);

/** The name of a sample; valid until the dataset is closed. */
const char *tare_samples_sample_name(const tare_samples *dataset, size_t index);

/** Upper bound of the working memory for loading the sample. */
TARE_MUST_CHECK tare_status tare_samples_measure(size_t *scratch_bytes, const tare_samples *dataset,
                                                 size_t index, tare_error *err);

/** Loads a sample; name, id and inputs are set. Several threads may load at a time, each with its
 * own scratch. */
TARE_MUST_CHECK tare_status tare_samples_load(tare_sample *sample, const tare_samples *dataset,
                                              size_t index, tare_source_scratch *scratch,
                                              tare_error *err);

/** The id that loading the sample gives, as cheaply as the source can tell. `spare` and `scratch`
 * are for sources that have to load. */
TARE_MUST_CHECK tare_status tare_samples_identify(uint64_t *id, const tare_samples *dataset,
                                                  size_t index, tare_sample *spare,
                                                  tare_source_scratch *scratch, tare_error *err);

#endif
