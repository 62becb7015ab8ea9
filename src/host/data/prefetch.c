/* SPDX-License-Identifier: Apache-2.0 */
/**
 * Loading ahead. A thread takes a free sample and the next position under one lock, so the smallest
 * position not yet delivered always has a sample and the threads cannot block each other, whoever
 * is slow.
 */
#include "data/prefetch.h"

#include <math.h>
#include <pthread.h>
#include <stdlib.h>
#include <string.h>

#include "data/turns.h"

#define MAX_THREADS 256
_Static_assert(TARE_TURNS_MAX >= MAX_THREADS, "each thread may have to wait");

/* What a thread may keep between two samples. More is got from the system again, whichever sample
 * needed it. */
#define KEPT_BYTES ((size_t)1 << 19)

/** What became of a position that is not delivered yet. */
typedef struct entry {
    bool finished;
    tare_sample *sample;
    tare_status status;
    tare_error error;
} entry;

struct tare_prefetch {
    const tare_samples *dataset;
    tare_prefetch_options options;
    pthread_mutex_t lock;
    pthread_cond_t work;  /**< a sample became free, or stop */
    pthread_cond_t ready; /**< the next position finished, or stop */
    pthread_cond_t turn;  /**< others may try to take memory, or stop */
    tare_turns turns;     /**< of options.room.extra */
    pthread_t threads[MAX_THREADS];
    size_t started;
    tare_sample *samples; /**< options.slots of them */
    tare_sample **free;
    size_t free_count;
    entry *ring;      /**< position p lives at p % slots: no two undelivered ones share a place */
    size_t claimed;   /**< positions before this one have been taken by a thread */
    size_t delivered; /**< positions before this one have been delivered, skipped or have failed */
    bool stop;
    bool failed; /**< `delivered` is the position that failed; its entry keeps the error */
    tare_prefetch_bad *bad;
    size_t bad_count, bad_capacity;
};

tare_prefetch_options tare_prefetch_defaults(const tare_samples *dataset) {
    return (tare_prefetch_options){.threads = 2, .slots = 8, .count = tare_samples_count(dataset)};
}

static tare_status check_options(const tare_samples *dataset, const tare_prefetch_options *options,
                                 tare_error *err) {
    const size_t total = tare_samples_count(dataset);

    if (options->threads < 1 || options->threads > MAX_THREADS || options->slots < 1) {
        return tare_fail(err, TARE_INVALID_ARGUMENT,
                         "%zu loading threads (1 to %d) and %zu slots (at least 1)",
                         options->threads, MAX_THREADS, options->slots);
    }
    if (options->order == NULL && options->count > total) {
        return tare_fail(err, TARE_INVALID_ARGUMENT, "%zu samples asked for, there are %zu",
                         options->count, total);
    }
    for (size_t i = 0; options->order != NULL && i < options->count; i++) {
        if (options->order[i] >= total) {
            return tare_fail(err, TARE_INVALID_ARGUMENT, "sample %zu asked for, there are %zu",
                             options->order[i], total);
        }
    }
    return TARE_OK;
}

static size_t sample_index(const tare_prefetch_options *options, size_t position) {
    return options->order == NULL ? position : options->order[position];
}

/* 0 where the header cannot be read. */
static size_t working_bytes(const tare_samples *dataset, const tare_prefetch_options *options,
                            size_t position) {
    const size_t index = sample_index(options, position);
    size_t bytes = 0;

    return tare_samples_measure(&bytes, dataset, index, NULL) == TARE_OK ? bytes : 0;
}

static size_t busy_threads(const tare_prefetch_options *options) {
    return options->threads < options->count ? options->threads : options->count;
}

/** Working memory that the samples take, one by one. */
typedef struct demand {
    size_t *working;
    size_t most;
    double sum;
} demand;

static tare_status measure_all(demand *out, const tare_samples *dataset,
                               const tare_prefetch_options *options, tare_error *err) {
    *out = (demand){.working = calloc(options->count + 1, sizeof(size_t))};
    if (out->working == NULL) {
        return tare_fail_memory(err, options->count * sizeof(size_t), "the sizes of samples");
    }
    for (size_t i = 0; i < options->count; i++) {
        const size_t working = working_bytes(dataset, options, i);
        out->working[i] = working;
        out->most = working > out->most ? working : out->most;
        out->sum += (double)working;
    }
    return TARE_OK;
}

/* Samples of one kind differ by so much, compared with their average, without being large. */
#define USUAL    1.25
/* How much more than on average may be wanted before anybody waits. */
#define HEADROOM 2.0

/*
 * A share for each thread, and room for a number of the largest samples. If nobody waited, what a
 * thread holds beyond its share would be, averaged over time, the excess of a sample weighted with
 * the time that loading it takes, which goes with its size.
 */
static tare_prefetch_room room_for(const demand *of, const tare_prefetch_options *options) {
    const size_t threads = busy_threads(options);
    const double mean = options->count == 0 ? 0.0 : of->sum / (double)options->count;
    const double usual = mean * USUAL;
    const size_t share = usual < (double)of->most ? (size_t)usual : of->most;
    const size_t excess = of->most - share;
    double weighted = 0.0, large;

    for (size_t i = 0; i < options->count; i++) {
        const double working = (double)of->working[i];
        weighted += of->working[i] > share ? working * (double)(of->working[i] - share) : 0.0;
    }
    large =
        excess == 0 ? 0.0 : ceil(HEADROOM * (double)threads * weighted / of->sum / (double)excess);
    if (large >= (double)threads) {
        return (tare_prefetch_room){of->most, 0};
    }
    return (tare_prefetch_room){share, (size_t)large * excess};
}

tare_status tare_prefetch_measure(size_t *bytes, tare_prefetch_options *options,
                                  const tare_samples *dataset, tare_error *err) {
    const tare_source_info *info = tare_samples_info(dataset);
    size_t sample = info->sample_bytes, of_thread;
    demand all;

    TARE_TRY(check_options(dataset, options, err));
    TARE_TRY(measure_all(&all, dataset, options, err));
    options->room = room_for(&all, options);
    free(all.working);
    /* A size that follows the image: float32 for each decoded byte bounds it, and the working
     * memory of a whole image holds those bytes, that of one that goes by rows its result. */
    sample = sample == 0 ? all.most * sizeof(float) : sample;
    sample = options->keep_pixels ? sample / sizeof(float) : sample;
    if (sample != 0 && options->slots > (SIZE_MAX / 2) / sample) {
        return tare_fail_memory(err, SIZE_MAX, "samples loaded ahead");
    }
    of_thread = options->room.share + (all.most < KEPT_BYTES ? all.most : KEPT_BYTES);
    *bytes = options->slots * sample + busy_threads(options) * of_thread + options->room.extra +
             info->resident_bytes;
    return TARE_OK;
}

/* Under the lock. False when there is nothing left to do. */
static bool claim(tare_prefetch *prefetch, size_t *position, tare_sample **sample) {
    while (!prefetch->stop && !prefetch->failed && prefetch->claimed < prefetch->options.count &&
           prefetch->free_count == 0) {
        (void)pthread_cond_wait(&prefetch->work, &prefetch->lock);
    }
    if (prefetch->stop || prefetch->failed || prefetch->claimed == prefetch->options.count) {
        return false;
    }
    *position = prefetch->claimed++;
    *sample = prefetch->free[--prefetch->free_count];
    return true;
}

/* What a sample takes beyond a thread's share. */
static size_t extra_bytes(const tare_prefetch *prefetch, size_t position) {
    const tare_prefetch_room *room = &prefetch->options.room;
    size_t working = 0;

    if (room->extra > 0) {
        working = working_bytes(prefetch->dataset, &prefetch->options, position);
    }
    return working > room->share ? working - room->share : 0;
}

/* Under the lock. Comes to an end, since those who hold memory wait for nothing. False when there
 * is nothing left to do. */
static bool take_room(tare_prefetch *prefetch, size_t position, size_t extra) {
    while (extra > 0 && !prefetch->stop && !prefetch->failed &&
           !tare_turns_take(&prefetch->turns, position, extra)) {
        (void)pthread_cond_wait(&prefetch->turn, &prefetch->lock);
    }
    if (extra > 0) {
        /* Who is next in turn may fit as well. */
        (void)pthread_cond_broadcast(&prefetch->turn);
    }
    return !prefetch->stop && !prefetch->failed;
}

/* Under the lock. */
static void give_room(tare_prefetch *prefetch, size_t extra) {
    if (extra > 0) {
        tare_turns_give(&prefetch->turns, extra);
        (void)pthread_cond_broadcast(&prefetch->turn);
    }
}

static void load_into(entry *result, tare_prefetch *prefetch, size_t position, tare_sample *sample,
                      tare_source_scratch *scratch) {
    result->sample = sample;
    result->status =
        tare_samples_load(sample, prefetch->dataset, sample_index(&prefetch->options, position),
                          scratch, &result->error);
    tare_preprocess_scratch_trim(scratch, KEPT_BYTES);
}

static void *loader(void *data) {
    tare_prefetch *prefetch = data;
    tare_source_scratch scratch = {.keep_pixels = prefetch->options.keep_pixels};
    tare_sample *sample = NULL;
    size_t position = 0;

    (void)pthread_mutex_lock(&prefetch->lock);
    while (claim(prefetch, &position, &sample)) {
        entry *place = &prefetch->ring[position % prefetch->options.slots];
        size_t extra;
        (void)pthread_mutex_unlock(&prefetch->lock);
        extra = extra_bytes(prefetch, position);
        (void)pthread_mutex_lock(&prefetch->lock);
        if (!take_room(prefetch, position, extra)) {
            break;
        }
        (void)pthread_mutex_unlock(&prefetch->lock);
        load_into(place, prefetch, position, sample, &scratch);
        (void)pthread_mutex_lock(&prefetch->lock);
        give_room(prefetch, extra);
        place->finished = true;
        if (position == prefetch->delivered) {
            (void)pthread_cond_broadcast(&prefetch->ready);
        }
    }
    (void)pthread_mutex_unlock(&prefetch->lock);
    tare_preprocess_scratch_release(&scratch);
    return NULL;
}

/* Under the lock. */
static void give_free(tare_prefetch *prefetch, tare_sample *sample) {
    prefetch->free[prefetch->free_count++] = sample;
    (void)pthread_cond_signal(&prefetch->work);
}

static tare_status record_bad(tare_prefetch *prefetch, const entry *from, tare_error *err) {
    const size_t bytes = strlen(from->error.text) + 1;
    tare_prefetch_bad *bad;
    char *reason;

    if (prefetch->bad_count == prefetch->bad_capacity) {
        const size_t capacity = prefetch->bad_capacity == 0 ? 16 : prefetch->bad_capacity * 2;
        bad = realloc(prefetch->bad, capacity * sizeof *bad);
        if (bad == NULL) {
            return tare_fail_memory(err, capacity * sizeof *bad, "the list of bad samples");
        }
        prefetch->bad = bad;
        prefetch->bad_capacity = capacity;
    }
    reason = malloc(bytes);
    if (reason == NULL) {
        return tare_fail_memory(err, bytes, "the list of bad samples");
    }
    memcpy(reason, from->error.text, bytes);
    prefetch->bad[prefetch->bad_count++] =
        (tare_prefetch_bad){prefetch->delivered, from->sample->name, reason};
    return TARE_OK;
}

/* Under the lock; the entry at `delivered` is finished. Sets *sample unless it was bad and is
 * skipped. */
static tare_status deliver(tare_prefetch *prefetch, tare_sample **sample, size_t *position,
                           tare_error *err) {
    entry *from = &prefetch->ring[prefetch->delivered % prefetch->options.slots];
    tare_status status = from->status;

    if (status == TARE_OK) {
        *sample = from->sample;
        *position = prefetch->delivered;
    } else if (prefetch->options.skip_bad && status != TARE_OUT_OF_MEMORY) {
        status = record_bad(prefetch, from, &from->error);
        if (status == TARE_OK) {
            give_free(prefetch, from->sample);
        }
    }
    if (status != TARE_OK) {
        from->status = status;
        prefetch->failed = true;
        (void)pthread_cond_broadcast(&prefetch->work);
        (void)pthread_cond_broadcast(&prefetch->turn);
        (void)pthread_cond_broadcast(&prefetch->ready);
        return tare_fail(err, status, "%s", from->error.text);
    }
    *from = (entry){0};
    prefetch->delivered++;
    /* Another consumer may wait for what is now the next position, which may have finished before.
     */
    (void)pthread_cond_broadcast(&prefetch->ready);
    return TARE_OK;
}

tare_status tare_prefetch_next(tare_prefetch *prefetch, tare_sample **sample, size_t *position,
                               tare_error *err) {
    tare_status status = TARE_OK;

    *sample = NULL;
    (void)pthread_mutex_lock(&prefetch->lock);
    while (status == TARE_OK && *sample == NULL && prefetch->delivered < prefetch->options.count) {
        const entry *next = &prefetch->ring[prefetch->delivered % prefetch->options.slots];
        if (prefetch->failed) {
            status = tare_fail(err, next->status, "%s", next->error.text);
        } else if (next->finished) {
            status = deliver(prefetch, sample, position, err);
        } else {
            (void)pthread_cond_wait(&prefetch->ready, &prefetch->lock);
        }
    }
    (void)pthread_mutex_unlock(&prefetch->lock);
    return status;
}

void tare_prefetch_return(tare_prefetch *prefetch, tare_sample *sample) {
    (void)pthread_mutex_lock(&prefetch->lock);
    give_free(prefetch, sample);
    (void)pthread_mutex_unlock(&prefetch->lock);
}

size_t tare_prefetch_skipped(tare_prefetch *prefetch, const tare_prefetch_bad **bad) {
    size_t count;

    (void)pthread_mutex_lock(&prefetch->lock);
    count = prefetch->bad_count;
    if (bad != NULL) {
        *bad = prefetch->bad;
    }
    (void)pthread_mutex_unlock(&prefetch->lock);
    return count;
}

static tare_status allocate(tare_prefetch *prefetch, tare_error *err) {
    const size_t slots = prefetch->options.slots;

    prefetch->samples = calloc(slots, sizeof *prefetch->samples);
    prefetch->free = calloc(slots, sizeof(tare_sample *));
    prefetch->ring = calloc(slots, sizeof *prefetch->ring);
    if (prefetch->samples == NULL || prefetch->free == NULL || prefetch->ring == NULL) {
        return tare_fail_memory(err, 0, "samples loaded ahead");
    }
    for (size_t i = 0; i < slots; i++) {
        prefetch->free[prefetch->free_count++] = &prefetch->samples[i];
    }
    return TARE_OK;
}

static tare_status start_threads(tare_prefetch *prefetch, tare_error *err) {
    for (size_t i = 0; i < prefetch->options.threads; i++) {
        const int code = pthread_create(&prefetch->threads[i], NULL, loader, prefetch);
        if (code != 0) {
            return tare_fail(err, TARE_BACKEND, "loading thread %zu of %zu does not start: %s",
                             i + 1, prefetch->options.threads, strerror(code));
        }
        prefetch->started++;
    }
    return TARE_OK;
}

tare_status tare_prefetch_open(tare_prefetch **out, const tare_samples *dataset,
                               const tare_prefetch_options *options, tare_error *err) {
    tare_prefetch *prefetch = NULL;
    tare_status status;

    *out = NULL;
    TARE_TRY(check_options(dataset, options, err));
    prefetch = calloc(1, sizeof *prefetch);
    if (prefetch == NULL) {
        return tare_fail_memory(err, sizeof *prefetch, "samples loaded ahead");
    }
    prefetch->dataset = dataset;
    prefetch->options = *options;
    prefetch->turns.limit = options->room.extra;
    /* With default attributes these cannot fail on any POSIX system that Tare runs on. */
    (void)pthread_mutex_init(&prefetch->lock, NULL);
    (void)pthread_cond_init(&prefetch->work, NULL);
    (void)pthread_cond_init(&prefetch->ready, NULL);
    (void)pthread_cond_init(&prefetch->turn, NULL);
    TARE_TRY_DONE(status, allocate(prefetch, err));
    TARE_TRY_DONE(status, start_threads(prefetch, err));
    *out = prefetch;
    return TARE_OK;
done:
    tare_prefetch_close(prefetch);
    return status;
}

void tare_prefetch_close(tare_prefetch *prefetch) {
    if (prefetch == NULL) {
        return;
    }
    (void)pthread_mutex_lock(&prefetch->lock);
    prefetch->stop = true;
    (void)pthread_cond_broadcast(&prefetch->work);
    (void)pthread_cond_broadcast(&prefetch->turn);
    (void)pthread_mutex_unlock(&prefetch->lock);
    for (size_t i = 0; i < prefetch->started; i++) {
        (void)pthread_join(prefetch->threads[i], NULL);
    }
    for (size_t i = 0; prefetch->samples != NULL && i < prefetch->options.slots; i++) {
        tare_sample_release(&prefetch->samples[i]);
    }
    for (size_t i = 0; i < prefetch->bad_count; i++) {
        free(prefetch->bad[i].reason);
    }
    free(prefetch->bad);
    free(prefetch->samples);
    free(prefetch->free);
    free(prefetch->ring);
    (void)pthread_mutex_destroy(&prefetch->lock);
    (void)pthread_cond_destroy(&prefetch->work);
    (void)pthread_cond_destroy(&prefetch->ready);
    (void)pthread_cond_destroy(&prefetch->turn);
    free(prefetch);
}
