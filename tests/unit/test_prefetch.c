/* SPDX-License-Identifier: Apache-2.0 */
/** Loading ahead: order, completeness, errors, bad samples, shutdown, several consumers; and the
 * folder source. */
#include <criterion/criterion.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#include "data/prefetch.h"
#include "data/turns.h"

#define COUNT 200

/* A source without files: sample i holds the number i; some indices fail; loading takes uneven
 * time, and some samples, where that is asked for, ten times as much memory. */
typedef struct fake {
    char names[COUNT][16];
} fake;

/* How many large samples are being loaded, and were at most. */
static struct loads {
    pthread_mutex_t lock;
    bool uneven, grown; /* there are large ones; they have become larger still */
    size_t large, most_large;
} loads = {.lock = PTHREAD_MUTEX_INITIALIZER};

static bool is_large(size_t index) {
    return loads.uneven && index / 4 == 15;
}

static bool fake_probe(const char *path) {
    return strcmp(path, ".") == 0;
}

static tare_status fake_open(void *state, tare_source_info *info,
                             const tare_source_options *options, tare_error *err) {
    fake *to = state;

    TARE_UNUSED(options);
    TARE_UNUSED(err);
    for (size_t i = 0; i < COUNT; i++) {
        (void)snprintf(to->names[i], sizeof to->names[i], "fake[%zu]", i);
    }
    info->count = COUNT;
    info->input_count = 1;
    info->sample_bytes = sizeof(int64_t);
    return TARE_OK;
}

static const char *fake_name(const void *state, size_t index) {
    return ((const fake *)state)->names[index];
}

static tare_status fake_measure(size_t *bytes, const void *state, size_t index, tare_error *err) {
    TARE_UNUSED(state);
    TARE_UNUSED(err);
    *bytes = !is_large(index) ? 100 : loads.grown ? 5000 : 1000;
    return TARE_OK;
}

static void count_large(size_t index, bool begins) {
    if (is_large(index)) {
        (void)pthread_mutex_lock(&loads.lock);
        loads.large = begins ? loads.large + 1 : loads.large - 1;
        loads.most_large = loads.large > loads.most_large ? loads.large : loads.most_large;
        (void)pthread_mutex_unlock(&loads.lock);
    }
}

static bool is_bad(size_t index) {
    return index == 73 || index == 74 || index == 150;
}

static tare_status fake_load(tare_sample *sample, const void *state, size_t index,
                             tare_source_scratch *scratch, tare_error *err) {
    const tare_array shape = {.element = TARE_INT64, .rank = 1, .dims = {1}};
    const struct timespec pause = {0, (long)(index * 7919 % 13) * 20000};

    TARE_UNUSED(state);
    TARE_UNUSED(scratch);
    count_large(index, true);
    (void)nanosleep(&pause, NULL);
    count_large(index, false);
    if (is_bad(index)) {
        return tare_fail(err, TARE_INVALID_ARGUMENT, "fake[%zu] is damaged", index);
    }
    TARE_TRY(tare_sample_shape(sample, 0, &shape, err));
    *(int64_t *)sample->inputs[0].data = (int64_t)index;
    return TARE_OK;
}

static void fake_close(void *state) {
    TARE_UNUSED(state);
}

static const tare_source fake_source = {.name = "fake",
                                        .summary = "numbers",
                                        .private_size = sizeof(fake),
                                        .probe = fake_probe,
                                        .open = fake_open,
                                        .sample_name = fake_name,
                                        .measure = fake_measure,
                                        .load = fake_load,
                                        .close = fake_close};

static tare_samples *open_fake(void) {
    static const tare_source *const sources[] = {&fake_source};
    const tare_source_list kinds = {sources, 1};
    const tare_source_options options = {.path = "."};
    tare_samples *dataset = NULL;

    cr_assert_eq(tare_samples_open(&dataset, &kinds, &options, NULL), TARE_OK);
    return dataset;
}

static int64_t number_of(const tare_sample *sample) {
    return *(const int64_t *)sample->inputs[0].data;
}

Test(prefetch, delivers_in_order_and_reports_the_first_failure) {
    tare_samples *dataset = open_fake();

    for (size_t threads = 1; threads <= 8; threads += 7) {
        tare_prefetch_options options = tare_prefetch_defaults(dataset);
        tare_prefetch *prefetch = NULL;
        tare_error err = {0};
        size_t position = 0;
        tare_sample *sample = NULL;
        options.threads = threads;
        options.slots = 5;
        cr_assert_eq(tare_prefetch_open(&prefetch, dataset, &options, NULL), TARE_OK);
        for (size_t i = 0; i < 73; i++) {
            cr_assert_eq(tare_prefetch_next(prefetch, &sample, &position, &err), TARE_OK, "%s",
                         err.text);
            cr_assert_eq(position, i);
            cr_assert_eq(number_of(sample), (int64_t)i);
            tare_prefetch_return(prefetch, sample);
        }
        for (int again = 0; again < 2; again++) {
            cr_assert_eq(tare_prefetch_next(prefetch, &sample, &position, &err),
                         TARE_INVALID_ARGUMENT);
            cr_assert_null(sample);
            cr_assert_str_eq(err.text, "fake[73] is damaged");
        }
        tare_prefetch_close(prefetch);
    }
    tare_samples_close(dataset);
}

/** What the consumers of one run share. */
typedef struct consumers {
    tare_prefetch *prefetch;
    pthread_mutex_t lock;
    int seen[COUNT];
} consumers;

static void *consume(void *data) {
    consumers *shared = data;
    tare_sample *sample = NULL;
    size_t position = 0;

    while (tare_prefetch_next(shared->prefetch, &sample, &position, NULL) == TARE_OK &&
           sample != NULL) {
        (void)pthread_mutex_lock(&shared->lock);
        shared->seen[number_of(sample)]++;
        (void)pthread_mutex_unlock(&shared->lock);
        tare_prefetch_return(shared->prefetch, sample);
    }
    return NULL;
}

Test(prefetch, several_consumers_get_everything_once) {
    tare_samples *dataset = open_fake();
    tare_prefetch_options options = tare_prefetch_defaults(dataset);
    consumers shared = {.lock = PTHREAD_MUTEX_INITIALIZER};
    const tare_prefetch_bad *bad = NULL;
    pthread_t threads[4];

    options.threads = 4;
    options.slots = 6;
    options.skip_bad = true;
    cr_assert_eq(tare_prefetch_open(&shared.prefetch, dataset, &options, NULL), TARE_OK);
    for (size_t i = 0; i < 4; i++) {
        cr_assert_eq(pthread_create(&threads[i], NULL, consume, &shared), 0);
    }
    for (size_t i = 0; i < 4; i++) {
        (void)pthread_join(threads[i], NULL);
    }
    for (size_t i = 0; i < COUNT; i++) {
        cr_assert_eq(shared.seen[i], is_bad(i) ? 0 : 1, "sample %zu", i);
    }
    cr_assert_eq(tare_prefetch_skipped(shared.prefetch, &bad), 3);
    cr_assert_eq(bad[0].position, 73);
    cr_assert_eq(bad[2].position, 150);
    cr_assert_str_eq(bad[2].name, "fake[150]");
    cr_assert_str_eq(bad[1].reason, "fake[74] is damaged");
    tare_prefetch_close(shared.prefetch);
    tare_samples_close(dataset);
}

/* Everything comes, whoever waits. */
static void load_all(const tare_samples *dataset, const tare_prefetch_options *options) {
    consumers shared = {.lock = PTHREAD_MUTEX_INITIALIZER};

    loads.most_large = 0;
    cr_assert_eq(tare_prefetch_open(&shared.prefetch, dataset, options, NULL), TARE_OK);
    (void)consume(&shared);
    for (size_t k = 0; k < COUNT; k++) {
        cr_assert_eq(shared.seen[k], is_bad(k) ? 0 : 1, "sample %zu", k);
    }
    cr_assert_eq(loads.large, 0);
    tare_prefetch_close(shared.prefetch);
}

/* 4 of 200 samples take 1000 bytes, the others 100: 118 on average, of which 5/4 are 147. 853 more
 * are taken for 17 % of the time: twice that makes 0.7 of two threads and 2.7 of eight. */
Test(prefetch, rare_large_samples_take_turns) {
    static const struct { size_t threads, at_once; } cases[] = {{1, 1}, {2, 1}, {8, 3}};

    loads.uneven = true;
    for (size_t i = 0; i < 3; i++) {
        tare_samples *dataset = open_fake();
        tare_prefetch_options options = tare_prefetch_defaults(dataset);
        const size_t threads = cases[i].threads, extra = cases[i].at_once * 853;
        size_t bytes = 0;
        options.threads = threads;
        options.slots = 20;
        options.skip_bad = true;
        loads.grown = false;
        cr_assert_eq(tare_prefetch_measure(&bytes, &options, dataset, NULL), TARE_OK);
        cr_assert_eq(options.room.share, threads == 1 ? 1000 : 147);
        cr_assert_eq(options.room.extra, threads == 1 ? 0 : extra);
        cr_assert_eq(bytes, 20 * sizeof(int64_t) + threads * 1000 +
                                (threads == 1 ? 1000 : threads * 147 + extra));
        load_all(dataset, &options);
        cr_assert_leq(loads.most_large, cases[i].at_once);
        /* Each of them now takes all there is. */
        loads.grown = true;
        load_all(dataset, &options);
        cr_assert_leq(loads.most_large, 1);
        tare_samples_close(dataset);
    }
}

/* Where large samples are much of the work (here 71 % of the time), waiting would cost time. */
Test(prefetch, nobody_waits_where_large_samples_are_common) {
    static size_t order[COUNT];
    tare_samples *dataset = open_fake();
    tare_prefetch_options options = tare_prefetch_defaults(dataset);
    size_t bytes = 0;

    for (size_t i = 0; i < COUNT; i++) {
        order[i] = i % 5 == 0 ? 60 + i % 4 : 80 + i % 40;
    }
    loads.uneven = true;
    options.order = order;
    for (options.threads = 2; options.threads <= 16; options.threads *= 2) {
        cr_assert_eq(tare_prefetch_measure(&bytes, &options, dataset, NULL), TARE_OK);
        cr_assert_eq(options.room.share, 1000);
        cr_assert_eq(options.room.extra, 0);
    }
    options.threads = 200;
    options.count = 3;
    cr_assert_eq(tare_prefetch_measure(&bytes, &options, dataset, NULL), TARE_OK);
    cr_assert_leq(bytes, options.slots * sizeof(int64_t) + 3 * 2000,
                  "three samples, three threads");
    tare_samples_close(dataset);
}

Test(turns, first_in_order_first_served) {
    tare_turns turns = {.limit = 10};

    cr_assert(tare_turns_take(&turns, 7, 6));
    cr_assert_not(tare_turns_take(&turns, 9, 8), "it does not fit");
    cr_assert_not(tare_turns_take(&turns, 10, 1), "9 waits");
    cr_assert_not(tare_turns_take(&turns, 9, 8));
    cr_assert(tare_turns_take(&turns, 8, 4), "nobody before it waits");
    tare_turns_give(&turns, 6);
    cr_assert_not(tare_turns_take(&turns, 10, 1));
    tare_turns_give(&turns, 4);
    cr_assert(tare_turns_take(&turns, 9, 8));
    cr_assert(tare_turns_take(&turns, 10, 1));
    tare_turns_give(&turns, 8);
    cr_assert_not(tare_turns_take(&turns, 11, 1000), "all there is, and 1 is missing");
    tare_turns_give(&turns, 1);
    cr_assert(tare_turns_take(&turns, 11, 1000));
    tare_turns_give(&turns, 1000);
    cr_assert_eq(turns.held, 0);
    cr_assert_eq(turns.waiting_count, 0);
}

/* With threads that wait for memory, and after a failure. */
Test(prefetch, stops_while_large_samples_wait) {
    tare_samples *dataset = open_fake();
    tare_prefetch_options options = tare_prefetch_defaults(dataset);

    options.threads = 8;
    options.slots = 12;
    loads.uneven = true;
    for (size_t taken = 0; taken < 80; taken += 5) {
        tare_prefetch *prefetch = NULL;
        tare_sample *sample = NULL;
        size_t position = 0;
        options.room = (tare_prefetch_room){100, 900};
        cr_assert_eq(tare_prefetch_open(&prefetch, dataset, &options, NULL), TARE_OK);
        for (size_t i = 0; i < taken; i++) {
            const tare_status status = tare_prefetch_next(prefetch, &sample, &position, NULL);
            cr_assert_eq(status, i < 73 ? TARE_OK : TARE_INVALID_ARGUMENT);
            if (sample != NULL) {
                tare_prefetch_return(prefetch, sample);
            }
        }
        tare_prefetch_close(prefetch);
    }
    cr_assert_eq(loads.most_large, 1);
    tare_samples_close(dataset);
}

Test(prefetch, an_order_of_its_own) {
    static const size_t order[] = {9, 3, 3, 199, 0};
    tare_samples *dataset = open_fake();
    tare_prefetch_options options = tare_prefetch_defaults(dataset);
    tare_prefetch *prefetch = NULL;
    tare_sample *sample = NULL;
    size_t position = 0, bytes = 0;

    options.order = order;
    options.count = 5;
    options.slots = 1;
    cr_assert_eq(tare_prefetch_measure(&bytes, &options, dataset, NULL), TARE_OK);
    /* A thread may keep what it has from the sample before. */
    cr_assert_eq(bytes, 1 * sizeof(int64_t) + 2 * 100 + 2 * 100);
    cr_assert_eq(tare_prefetch_open(&prefetch, dataset, &options, NULL), TARE_OK);
    for (size_t i = 0; i < 5; i++) {
        cr_assert_eq(tare_prefetch_next(prefetch, &sample, &position, NULL), TARE_OK);
        cr_assert_eq(number_of(sample), (int64_t)order[i]);
        tare_prefetch_return(prefetch, sample);
    }
    cr_assert_eq(tare_prefetch_next(prefetch, &sample, &position, NULL), TARE_OK);
    cr_assert_null(sample);
    tare_prefetch_close(prefetch);
    tare_samples_close(dataset);
}

Test(prefetch, stops_at_any_time) {
    tare_samples *dataset = open_fake();
    tare_prefetch_options options = tare_prefetch_defaults(dataset);

    options.threads = 4;
    for (size_t taken = 0; taken < 20; taken++) {
        tare_prefetch *prefetch = NULL;
        tare_sample *sample = NULL;
        size_t position = 0;
        cr_assert_eq(tare_prefetch_open(&prefetch, dataset, &options, NULL), TARE_OK);
        for (size_t i = 0; i < taken % 8; i++) {
            cr_assert_eq(tare_prefetch_next(prefetch, &sample, &position, NULL), TARE_OK);
        }
        tare_prefetch_close(prefetch); /* with samples not returned */
    }
    tare_samples_close(dataset);
}

Test(prefetch, options_are_checked) {
    static const size_t order[] = {200};
    tare_samples *dataset = open_fake();
    tare_prefetch_options options = tare_prefetch_defaults(dataset);
    tare_prefetch *prefetch = NULL;

    options.threads = 0;
    cr_assert_eq(tare_prefetch_open(&prefetch, dataset, &options, NULL), TARE_INVALID_ARGUMENT);
    options = tare_prefetch_defaults(dataset);
    options.count = 201;
    cr_assert_eq(tare_prefetch_open(&prefetch, dataset, &options, NULL), TARE_INVALID_ARGUMENT);
    options.count = 1;
    options.order = order;
    cr_assert_eq(tare_prefetch_open(&prefetch, dataset, &options, NULL), TARE_INVALID_ARGUMENT);
    tare_samples_close(dataset);
}

/* A folder with the given files (each a tiny BMP, unless its text says otherwise). */
static void write_file(const char *folder, const char *name, const void *data, size_t bytes) {
    char path[512];
    FILE *file;

    (void)snprintf(path, sizeof path, "%s/%s", folder, name);
    file = fopen(path, "wb");
    cr_assert_not_null(file);
    cr_assert_eq(fwrite(data, 1, bytes, file), bytes);
    (void)fclose(file);
}

static tare_status open_folder(tare_samples **out, const char *path, tare_error *err) {
    static const tare_source *const sources[] = {&tare_source_folder};
    const tare_source_list kinds = {sources, 1};
    tare_preprocess raw;
    const tare_source_options options = {.path = path, .preprocess = &raw};

    cr_assert_eq(tare_preprocess_load(&raw, "raw", NULL), TARE_OK);
    cr_assert_eq(tare_preprocess_complete(&raw, 3, 0, 0, TARE_PIXEL_LAYOUT_NCHW, NULL), TARE_OK);
    return tare_samples_open(out, &kinds, &options, err);
}

Test(folder, sorted_recursive_and_without_loops) {
    static const unsigned char bmp[58] = {'B', 'M', 0, 0,  0, 0, 0,  0,        0, 0, 54,
                                          0,   0,   0, 40, 0, 0, 0,  1,        0, 0, 0,
                                          1,   0,   0, 0,  1, 0, 24, [54] = 3, 2, 1};
    char folder[] = "/tmp/tare_folder_XXXXXX", path[512];
    tare_samples *dataset = NULL;
    tare_source_scratch scratch = {0};
    tare_sample sample = {0}, other = {0};
    tare_error err = {0};

    cr_assert_not_null(mkdtemp(folder));
    cr_assert_eq(open_folder(&dataset, folder, &err), TARE_NOT_FOUND);
    cr_assert_not_null(strstr(err.text, folder), "%s", err.text);
    (void)snprintf(path, sizeof path, "%s/b", folder);
    cr_assert_eq(mkdir(path, 0700), 0);
    (void)snprintf(path, sizeof path, "%s/b/loop", folder);
    cr_assert_eq(symlink("..", path), 0);
    write_file(folder, "z.BMP", bmp, sizeof bmp);
    write_file(folder, "b/y.bmp", bmp, sizeof bmp);
    write_file(folder, "a.bmp", "BM", 2);
    write_file(folder, "notes.txt", "x", 1);
    write_file(folder, ".hidden.bmp", "x", 1);
    cr_assert_eq(open_folder(&dataset, folder, &err), TARE_OK, "%s", err.text);
    cr_assert_eq(tare_samples_count(dataset), 3);
    cr_assert_eq(tare_samples_info(dataset)->skipped, 2);
    cr_assert_str_eq(tare_samples_sample_name(dataset, 0), "a.bmp");
    cr_assert_str_eq(tare_samples_sample_name(dataset, 1), "b/y.bmp");
    cr_assert_str_eq(tare_samples_sample_name(dataset, 2), "z.BMP");
    cr_assert_neq(tare_samples_load(&sample, dataset, 0, &scratch, &err), TARE_OK);
    cr_assert_not_null(strstr(err.text, "a.bmp"), "%s", err.text);
    cr_assert_eq(tare_samples_load(&sample, dataset, 1, &scratch, &err), TARE_OK, "%s", err.text);
    cr_assert_arr_eq(sample.inputs[0].data, ((const float[3]){1, 2, 3}), 12);
    cr_assert_eq(tare_samples_load(&other, dataset, 2, &scratch, &err), TARE_OK, "%s", err.text);
    cr_assert_neq(sample.id, other.id, "the same content under another name is another sample");
    tare_samples_close(dataset);
    (void)snprintf(path, sizeof path, "%s/z.BMP", folder);
    cr_assert_eq(open_folder(&dataset, path, &err), TARE_OK, "%s", err.text);
    cr_assert_eq(tare_samples_load(&sample, dataset, 0, &scratch, &err), TARE_OK, "%s", err.text);
    cr_assert_eq(sample.id, other.id);
    tare_samples_close(dataset);
    cr_assert_eq(open_folder(&dataset, "/nowhere", &err), TARE_NOT_FOUND);
    tare_sample_release(&sample);
    tare_sample_release(&other);
    tare_preprocess_scratch_release(&scratch);
    for (size_t i = 0; i < 7; i++) {
        static const char *const names[] = {"b/loop", "b/y.bmp",   "b",          "z.BMP",
                                            "a.bmp",  "notes.txt", ".hidden.bmp"};
        (void)snprintf(path, sizeof path, "%s/%s", folder, names[i]);
        (void)remove(path);
    }
    (void)remove(folder);
}
