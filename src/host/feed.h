/* SPDX-License-Identifier: Apache-2.0 */
/** A dataset fitted to a model: preprocessing completed from the model's input, first sample's
 * shapes known. */
#ifndef TARE_FEED_H
#define TARE_FEED_H

#include "data/prefetch.h"
#include "session.h"

typedef struct tare_feed {
    tare_samples *samples;
    tare_preprocess preprocess;
    bool has_preprocess;
    size_t count;        /**< samples to use */
    const size_t *order; /**< their indices; NULL: the first ones. Borrowed, set by the caller */
    tare_prefetch_room room; /**< set by tare_feed_measure() */
    size_t shape_count;
    tare_input_shape shapes[TARE_SAMPLE_MAX_INPUTS]; /**< of one sample */
} tare_feed;

/**
 * Opens `dataset` for the inputs of `graph`, at most `limit` samples, and loads the first good one
 * to learn the shapes. The names in shapes are those of the graph's inputs. Errors: those of
 * loading; TARE_INVALID_ARGUMENT when inputs and data do not go together.
 */
TARE_MUST_CHECK tare_status tare_feed_open(tare_feed *feed, const tare_dataset *dataset,
                                           const tare_graph *graph, uint64_t limit,
                                           const tare_run_options *options, tare_error *err);

/** NULL and zeroed feeds allowed. */
void tare_feed_close(tare_feed *feed);

/** How to load the feed's samples: all but threads, slots and whether pixels are kept. */
tare_prefetch_options tare_feed_prefetch(const tare_feed *feed, const tare_run_options *options);

/** What loading in this way takes at most, and what one sample takes as it is loaded. The feed and
 * the options then know how threads share their working memory. */
TARE_MUST_CHECK tare_status tare_feed_measure(size_t *bytes, size_t *sample_bytes, tare_feed *feed,
                                              tare_prefetch_options *prefetch, tare_error *err);

/** The sample's input for the graph input of that name: by name, or the only one. NULL when there
 * is none. */
const tare_array *tare_feed_input(const tare_sample *sample, const char *name, size_t graph_inputs);

/** Whether an array of a sample is as the run was set up; TARE_INVALID_ARGUMENT, with both types
 * and shapes, when it is not or is missing (NULL). `input` is the name of the model's input. */
TARE_MUST_CHECK tare_status tare_feed_check(const tare_array *array, const tare_array *expected,
                                            const char *input, tare_error *err);

/** Adds what the data are to a report. */
TARE_MUST_CHECK tare_status tare_feed_describe(tare_report *report, const tare_feed *feed,
                                               const tare_dataset *dataset, tare_error *err);

#endif
