/* SPDX-License-Identifier: Apache-2.0 */
/** Threads that load samples ahead of those who use them. */
#ifndef TARE_DATA_PREFETCH_H
#define TARE_DATA_PREFETCH_H

#include "data/source.h"

/**
 * Working memory of the threads that load. Each may hold its share at any time; a sample that takes
 * more takes it out of `extra`, which all threads have in common, and waits until there is enough.
 * So rare large samples take turns, and how many of them happen to be loaded at a time does not
 * decide how much memory a run takes. There is room for twice as many large ones as threads would
 * be busy with on average; so where they are much of the work, nobody waits.
 */
typedef struct tare_prefetch_room {
    size_t share; /**< a little more than samples take on average; where nobody waits, the most */
    size_t extra; /**< beyond the shares; 0: nobody waits */
} tare_prefetch_room;

/** What is to be loaded, and how. Start from tare_prefetch_defaults(). */
typedef struct tare_prefetch_options {
    size_t threads; /**< loading threads, 1 to 256 */
    size_t slots;   /**< samples that exist at a time, at least 1; those handed out count too */
    const size_t *order; /**< dataset indices to deliver, in this order (borrowed until close);
                            NULL: 0, 1, 2, ... */
    size_t count;        /**< how many to deliver; with order == NULL at most the dataset's count */
    bool skip_bad;       /**< leave out samples that do not load, instead of failing */
    bool keep_pixels;    /**< images stay pixels (data/preprocess.h) */
    tare_prefetch_room room; /**< as tare_prefetch_measure() finds it; all zero: no limit */
} tare_prefetch_options;

/** 2 threads, 8 slots, all samples in their order, failing at the first bad one. */
tare_prefetch_options tare_prefetch_defaults(const tare_samples *dataset);

/** A running prefetch. Opaque. */
typedef struct tare_prefetch tare_prefetch;

/**
 * Reads the headers of the samples that are to be loaded: sets `options->room`, and `*bytes` to the
 * memory that a prefetch with these options then takes at most, as far as headers can tell: slots
 * and working memory of the threads. A sample whose header cannot be read counts nothing: loading
 * it will say why.
 */
TARE_MUST_CHECK tare_status tare_prefetch_measure(size_t *bytes, tare_prefetch_options *options,
                                                  const tare_samples *dataset, tare_error *err);

/** Starts the threads. The dataset is borrowed until tare_prefetch_close(). */
TARE_MUST_CHECK tare_status tare_prefetch_open(tare_prefetch **out, const tare_samples *dataset,
                                               const tare_prefetch_options *options,
                                               tare_error *err);

/**
 * Waits for the next sample in order; `position` becomes its place in the order. At the end,
 * *sample is NULL and the status TARE_OK. Every position is delivered once, over all consumers. The
 * first position that does not load fails, with its name in the text, and so does every later call:
 * which error is reported does not depend on the threads' timing.
 */
TARE_MUST_CHECK tare_status tare_prefetch_next(tare_prefetch *prefetch, tare_sample **sample,
                                               size_t *position, tare_error *err);

/** Gives a sample back for reuse. Whoever keeps all slots waits for ever in tare_prefetch_next().
 */
void tare_prefetch_return(tare_prefetch *prefetch, tare_sample *sample);

/** A sample that was left out. */
typedef struct tare_prefetch_bad {
    size_t position;
    const char *name; /**< the dataset's */
    char *reason;     /**< the error's text; the prefetch's */
} tare_prefetch_bad;

/**
 * The number of samples left out so far; *bad becomes their list in order, which stays valid and
 * complete once the last sample was delivered, until close. `bad` may be NULL.
 */
size_t tare_prefetch_skipped(tare_prefetch *prefetch, const tare_prefetch_bad **bad);

/** Stops at any time, joins the threads and frees everything, also samples not returned. NULL
 * allowed. */
void tare_prefetch_close(tare_prefetch *prefetch);

#endif
