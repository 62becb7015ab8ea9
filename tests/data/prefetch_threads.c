/* SPDX-License-Identifier: Apache-2.0 */
/**
 * Loads a folder of images with several threads and several consumers and checks that every sample
 * arrives once and equal to what one thread loads. A plain program, so that it also runs under
 * ThreadSanitizer; prints images per second.
 */
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <time.h>

#include "data/prefetch.h"

#define CONSUMERS 3

/** What arrived; the sum does not depend on the order. */
typedef struct tally {
    size_t samples;
    uint64_t sum;
} tally;

/** One consumer. */
typedef struct consumer {
    tare_prefetch *prefetch;
    tally got;
    tare_status status;
    tare_error err;
} consumer;

static void count(tally *to, const tare_sample *sample) {
    const uint64_t content =
        tare_hash_bytes(sample->id, sample->inputs[0].data, sample->inputs[0].bytes);

    to->samples++;
    to->sum += content;
}

static void *consume(void *data) {
    consumer *self = data;
    tare_sample *sample = NULL;
    size_t position = 0;

    for (;;) {
        self->status = tare_prefetch_next(self->prefetch, &sample, &position, &self->err);
        if (self->status != TARE_OK || sample == NULL) {
            return NULL;
        }
        count(&self->got, sample);
        tare_prefetch_return(self->prefetch, sample);
    }
}

static tare_status load_alone(tally *out, const tare_samples *samples, tare_error *err) {
    tare_source_scratch scratch = {0};
    tare_sample sample = {0};
    tare_status status = TARE_OK;

    for (size_t i = 0; i < tare_samples_count(samples) && status == TARE_OK; i++) {
        status = tare_samples_load(&sample, samples, i, &scratch, err);
        if (status == TARE_OK) {
            count(out, &sample);
        }
    }
    tare_sample_release(&sample);
    tare_preprocess_scratch_release(&scratch);
    return status;
}

static tare_status load_together(tally *out, const tare_samples *samples, size_t threads,
                                 tare_error *err) {
    tare_prefetch_options options = tare_prefetch_defaults(samples);
    tare_prefetch *prefetch = NULL;
    consumer consumers[CONSUMERS] = {{0}};
    pthread_t ids[CONSUMERS];
    size_t started = 0;
    tare_status status = TARE_OK;

    options.threads = threads;
    TARE_TRY(tare_prefetch_open(&prefetch, samples, &options, err));
    for (; started < CONSUMERS; started++) {
        consumers[started].prefetch = prefetch;
        if (pthread_create(&ids[started], NULL, consume, &consumers[started]) != 0) {
            status = tare_fail(err, TARE_BACKEND, "a thread does not start");
            break;
        }
    }
    for (size_t i = 0; i < started; i++) {
        (void)pthread_join(ids[i], NULL);
        out->samples += consumers[i].got.samples;
        out->sum += consumers[i].got.sum;
        status = status == TARE_OK && consumers[i].status != TARE_OK
                     ? tare_fail(err, consumers[i].status, "%s", consumers[i].err.text)
                     : status;
    }
    tare_prefetch_close(prefetch);
    return status;
}

static double seconds(void) {
    struct timespec now;

    (void)clock_gettime(CLOCK_MONOTONIC, &now);
    return (double)now.tv_sec + (double)now.tv_nsec * 1e-9;
}

static int compare(const tare_samples *samples, tare_error *err) {
    tally alone = {0};
    double begin = seconds();

    if (load_alone(&alone, samples, err) != TARE_OK) {
        return 1;
    }
    (void)printf("alone: %.0f images/s\n", (double)alone.samples / (seconds() - begin));
    for (size_t threads = 1; threads <= 4; threads *= 2) {
        tally together = {0};
        begin = seconds();
        if (load_together(&together, samples, threads, err) != TARE_OK) {
            return 1;
        }
        (void)printf("%zu threads: %.0f images/s\n", threads,
                     (double)together.samples / (seconds() - begin));
        if (together.samples != alone.samples || together.sum != alone.sum) {
            (void)tare_fail(err, TARE_INTERNAL,
                            "%zu threads delivered %zu samples, sum %llx; expected %zu, %llx",
                            threads, together.samples, (unsigned long long)together.sum,
                            alone.samples, (unsigned long long)alone.sum);
            return 1;
        }
    }
    return 0;
}

int main(int argc, char **argv) {
    static const tare_source *const sources[] = {&tare_source_folder};
    const tare_source_list kinds = {sources, 1};
    tare_preprocess preprocess;
    tare_source_options options = {.preprocess = &preprocess};
    tare_samples *samples = NULL;
    tare_error err = {0};
    tare_status status;
    int code = 1;

    if (argc != 2) {
        (void)fprintf(stderr, "usage: prefetch_threads FOLDER\n");
        return 2;
    }
    options.path = argv[1];
    TARE_TRY_DONE(status, tare_preprocess_load(&preprocess, "imagenet", &err));
    TARE_TRY_DONE(status,
                  tare_preprocess_complete(&preprocess, 3, 0, 0, TARE_PIXEL_LAYOUT_UNSET, &err));
    status = tare_samples_open(&samples, &kinds, &options, &err);
    if (status == TARE_NOT_FOUND) {
        (void)printf("skipped: %s\n", err.text);
        code = 77;
        goto done;
    }
    code = status == TARE_OK ? compare(samples, &err) : 1;
done:
    if (code == 1) {
        (void)fprintf(stderr, "%s\n", err.text);
    }
    tare_samples_close(samples);
    return code;
}
