/* SPDX-License-Identifier: Apache-2.0 */
/**
 * The kernel tests on a device.
 *
 *     gpu_tests [--small] [SUITE...]     runs these suites, or all
 *     gpu_tests --list                   names the suites
 *     gpu_tests --device                 only opens the device
 *
 * For each test a line "checksum SUITE.TEST NUMBER" of all that kernels wrote, which is the same in
 * every run. --small begins no test after some seconds, for checkers that are slow. Exits 1 when a
 * test failed, 3 when no device can be used.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "criterion/criterion.h"
#include "gpu_device.h"
#include "on_device.h"

#define EXIT_MISSING  3
#define SMALL_SECONDS 40.0

/* Tests that only the emulator can run: they break barriers, refuse launches, make calls fail, or
 * launch kernels on host memory to compare grids, which the others do too. */
static const char *const excluded[] = {
    "stats.failures_are_reported",
    "stats.sums_depend_on_neither_batch_nor_type",
    "stats.histogram_adds_up",
    "quantile.every_barrier_is_needed",
    "quantile.failures_are_reported",
    "window.failures_are_reported",
    "collector.failure_of_*",
    "cuda_move.long_division*",
    "cuda_move.tiles_need_their_barrier",
    "reduce.every_barrier_is_needed",
    "norm.does_not_depend_on_the_grid",
    "pool.does_not_depend_on_the_grid",
    "pool.maxima_hand_on_nan",
    "softmax.does_not_depend_on_the_grid",
};

static gpu_test *tests;
static jmp_buf way_out;
static int failures; /* of the running test */
static const gpu_test *running;

void gpu_test_add(gpu_test *test) {
    gpu_test **at = &tests;
    while (*at != NULL) {
        at = &(*at)->next;
    }
    *at = test;
}

void gpu_test_failed(const char *file, int line, bool fatal, const char *format, ...) {
    const char *slash = strrchr(file, '/');
    va_list list;

    if (failures++ < 20) {
        printf("FAILED %s.%s: %s:%d: ", running->suite, running->name,
               slash == NULL ? file : slash + 1, line);
        va_start(list, format);
        (void)vprintf(format, list);
        va_end(list);
        printf("\n");
    }
    if (fatal) {
        longjmp(way_out, 1);
    }
}

static bool is_excluded(const gpu_test *test) {
    char name[200];
    (void)snprintf(name, sizeof name, "%s.%s", test->suite, test->name);
    for (size_t i = 0; i < sizeof excluded / sizeof excluded[0]; i++) {
        const size_t length = strlen(excluded[i]);
        const bool open = excluded[i][length - 1] == '*';
        if (open ? strncmp(name, excluded[i], length - 1) == 0 : strcmp(name, excluded[i]) == 0) {
            return true;
        }
    }
    return false;
}

static bool is_wanted(const gpu_test *test, char *const *suites, int count) {
    for (int i = 0; i < count; i++) {
        if (strcmp(suites[i], test->suite) == 0) {
            return true;
        }
    }
    return count == 0;
}

static void list_suites(void) {
    for (const gpu_test *test = tests; test != NULL; test = test->next) {
        const gpu_test *first = tests;
        while (strcmp(first->suite, test->suite) != 0) {
            first = first->next;
        }
        if (first == test) {
            printf("%s\n", test->suite);
        }
    }
}

/* True when it passed. */
static bool run_test(const gpu_test *test) {
    const char *reason;

    running = test;
    failures = 0;
    (void)gpu_device_checksum();
    if (setjmp(way_out) == 0) {
        if (test->init != NULL) {
            test->init();
        }
        test->run();
        if (test->fini != NULL) {
            test->fini();
        }
    }
    /* Of a test that was left early, and of the device itself. */
    if (!on_device_done(&reason)) {
        printf("FAILED %s.%s: the device: %s\n", test->suite, test->name, reason);
        failures++;
    }
    printf("checksum %s.%s %016llx\n", test->suite, test->name,
           (unsigned long long)gpu_device_checksum());
    (void)fflush(stdout);
    return failures == 0;
}

static int run_all(char *const *suites, int count, bool small) {
    const time_t start = time(NULL);
    int passed = 0, failed = 0, skipped = 0;

    for (const gpu_test *test = tests; test != NULL; test = test->next) {
        if (!is_wanted(test, suites, count)) {
            continue;
        }
        if (is_excluded(test) || (small && difftime(time(NULL), start) > SMALL_SECONDS)) {
            skipped++;
        } else if (run_test(test)) {
            passed++;
        } else {
            failed++;
        }
    }
    printf("%d passed, %d failed, %d skipped\n", passed, failed, skipped);
    return failed > 0 || passed == 0 ? 1 : 0;
}

int main(int argc, char **argv) {
    tare_error err = {.text = ""};
    bool small = false, only_device = false;
    int first = 1, code = 0;

    for (; first < argc && argv[first][0] == '-'; first++) {
        if (strcmp(argv[first], "--list") == 0) {
            list_suites();
            return 0;
        }
        small = small || strcmp(argv[first], "--small") == 0;
        only_device = only_device || strcmp(argv[first], "--device") == 0;
    }
    if (gpu_device_open(&err) != TARE_OK) {
        gpu_device_close();
        fprintf(stderr, "skipped: no device: %s\n", err.text);
        return EXIT_MISSING;
    }
    if (!only_device) {
        code = run_all(argv + first, argc - first, small);
    }
    gpu_device_close();
    return code;
}
