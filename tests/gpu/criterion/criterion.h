/* SPDX-License-Identifier: Apache-2.0 */
/**
 * Stands in for Criterion where its libraries are not: as many of its macros as the kernel tests
 * use. All tests run in one process, one after the other, so that a device is opened once.
 */
#ifndef TARE_TESTS_GPU_CRITERION_H
#define TARE_TESTS_GPU_CRITERION_H

#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* As with Criterion, a message may be left out; clang's pedantry would have a comma for it. */
#ifdef __clang__
#pragma clang diagnostic ignored "-Wgnu-zero-variadic-macro-arguments"
#endif

typedef struct gpu_test {
    const char *suite, *name;
    void (*run)(void);
    void (*init)(void), (*fini)(void); /**< NULL: none */
    double timeout;                    /**< not looked at: the suite has limits of its own */
    struct gpu_test *next;
} gpu_test;

/** Called for every test before main(). */
void gpu_test_add(gpu_test *test);

/** Notes a failure; a fatal one ends the test. */
void gpu_test_failed(const char *file, int line, bool fatal, const char *format, ...)
    __attribute__((format(printf, 4, 5)));

#define Test(suite_, name_, ...)                                                                   \
    static void run_##suite_##_##name_(void);                                                      \
    __attribute__((constructor)) static void add_##suite_##_##name_(void) {                        \
        static gpu_test test = {                                                                   \
            .suite = #suite_, .name = #name_, .run = run_##suite_##_##name_, __VA_ARGS__};         \
        gpu_test_add(&test);                                                                       \
    }                                                                                              \
    static void run_##suite_##_##name_(void)

#define GPU_TEST_CHECK(fatal, right, ...)                                                          \
    do {                                                                                           \
        if (!(right)) {                                                                            \
            gpu_test_failed(__FILE__, __LINE__, fatal, __VA_ARGS__);                               \
        }                                                                                          \
    } while (0)

#define cr_assert(x, ...)          GPU_TEST_CHECK(true, x, "is false. " __VA_ARGS__)
#define cr_assert_not(x, ...)      GPU_TEST_CHECK(true, !(x), "is true. " __VA_ARGS__)
#define cr_assert_eq(a, b, ...)    GPU_TEST_CHECK(true, (a) == (b), "not equal. " __VA_ARGS__)
#define cr_assert_neq(a, b, ...)   GPU_TEST_CHECK(true, (a) != (b), "equal. " __VA_ARGS__)
#define cr_assert_lt(a, b, ...)    GPU_TEST_CHECK(true, (a) < (b), "not less. " __VA_ARGS__)
#define cr_assert_leq(a, b, ...)   GPU_TEST_CHECK(true, (a) <= (b), "greater. " __VA_ARGS__)
#define cr_assert_gt(a, b, ...)    GPU_TEST_CHECK(true, (a) > (b), "not greater. " __VA_ARGS__)
#define cr_assert_geq(a, b, ...)   GPU_TEST_CHECK(true, (a) >= (b), "less. " __VA_ARGS__)
#define cr_assert_null(x, ...)     GPU_TEST_CHECK(true, (x) == NULL, "not NULL. " __VA_ARGS__)
#define cr_assert_not_null(x, ...) GPU_TEST_CHECK(true, (x) != NULL, "NULL. " __VA_ARGS__)
#define cr_assert_str_eq(a, b, ...)                                                                \
    GPU_TEST_CHECK(true, strcmp(a, b) == 0, "not the same text. " __VA_ARGS__)
#define cr_assert_arr_eq(a, b, bytes, ...)                                                         \
    GPU_TEST_CHECK(true, memcmp(a, b, bytes) == 0, "not the same bytes. " __VA_ARGS__)

#define cr_expect(x, ...)          GPU_TEST_CHECK(false, x, "is false. " __VA_ARGS__)
#define cr_expect_not(x, ...)      GPU_TEST_CHECK(false, !(x), "is true. " __VA_ARGS__)
#define cr_expect_eq(a, b, ...)    GPU_TEST_CHECK(false, (a) == (b), "not equal. " __VA_ARGS__)
#define cr_expect_neq(a, b, ...)   GPU_TEST_CHECK(false, (a) != (b), "equal. " __VA_ARGS__)
#define cr_expect_gt(a, b, ...)    GPU_TEST_CHECK(false, (a) > (b), "not greater. " __VA_ARGS__)
#define cr_expect_not_null(x, ...) GPU_TEST_CHECK(false, (x) != NULL, "NULL. " __VA_ARGS__)
#define cr_expect_str_eq(a, b, ...)                                                                \
    GPU_TEST_CHECK(false, strcmp(a, b) == 0, "not the same text. " __VA_ARGS__)
#define cr_expect_arr_eq(a, b, bytes, ...)                                                         \
    GPU_TEST_CHECK(false, memcmp(a, b, bytes) == 0, "not the same bytes. " __VA_ARGS__)

#endif
