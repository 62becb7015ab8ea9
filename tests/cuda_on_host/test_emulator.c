/* SPDX-License-Identifier: Apache-2.0 */
/** The emulator sees the faults that it is there to see, and runs a right kernel rightly. */
#include <criterion/criterion.h>

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#include "broken.h"
#include "problem.h"
#include "reference.h"
#include "schedules.h"

#define THREADS 64

/* Runs the kernel on fresh memory. 1: right, 0: wrong results, -1: the launch failed. */
static int run(broken_fault fault, unsigned blocks) {
    const size_t count = (size_t)blocks * THREADS;
    uint32_t *in = NULL, *out = calloc(count, sizeof *out);
    int result = 1;

    cr_assert(posix_memalign((void **)&in, 16, count * sizeof *in) == 0 && out != NULL);
    for (size_t i = 0; i < count; i++) {
        in[i] = (uint32_t)i + 1;
    }
    if (!broken_run(out, in, blocks, fault)) {
        result = -1;
    }
    for (size_t i = 0; i < count && result == 1; i++) {
        result = out[i] == in[i / THREADS * THREADS + (THREADS - 1 - i % THREADS)];
    }
    free(in);
    free(out);
    return result;
}

Test(emulator, right_kernel_under_every_schedule) {
    for (unsigned i = 0; i < SCHEDULE_COUNT; i++) {
        emulator_set(schedule_at(i));
        cr_assert_eq(run(BROKEN_NOTHING, 5), 1, "schedule %u: %s", i, emulator_failure());
        cr_assert_null(emulator_failure());
    }
}

/* The order in which the threads of two blocks of two warps go on after a collective: the last of a
 * warp to come is not interrupted, whoever is next by the schedule follows. */
static void expect_order(emulator_schedule schedule, const uint32_t ranges[4][2],
                         bool second_first) {
    uint32_t order[1 + 128] = {0};
    emulator_settings settings = emulator_defaults();
    size_t at = 1;
    settings.schedule = schedule;
    emulator_set(settings);
    cr_assert(broken_order(order, 2), "%s", emulator_failure());
    cr_assert_eq(order[0], 128);
    for (uint32_t block = 0; block < 2; block++) {
        const uint32_t first = (block == 1) != second_first ? 64 : 0;
        for (size_t r = 0; r < 4; r++) {
            const uint32_t from = ranges[r][0], to = ranges[r][1];
            for (uint32_t i = from;; i += from < to ? 1U : (uint32_t)-1) {
                cr_assert_eq(order[at], first + i, "schedule %d, place %zu: %u, expected %u",
                             (int)schedule, at, order[at], first + i);
                at++;
                if (i == to) {
                    break;
                }
            }
        }
    }
}

Test(emulator, schedules_have_their_order) {
    expect_order(EMULATOR_SCHEDULE_ASCENDING,
                 (const uint32_t[4][2]){{31, 31}, {0, 30}, {63, 63}, {32, 62}}, false);
    expect_order(EMULATOR_SCHEDULE_DESCENDING,
                 (const uint32_t[4][2]){{32, 32}, {63, 33}, {0, 0}, {31, 1}}, true);
    expect_order(EMULATOR_SCHEDULE_ROUND,
                 (const uint32_t[4][2]){{31, 31}, {63, 63}, {0, 30}, {32, 62}}, false);
}

/* Another order for each seed, the same for the same one, and every thread once. */
Test(emulator, random_schedules_follow_their_seed) {
    uint32_t orders[4][1 + 64] = {{0}};
    for (unsigned i = 0; i < 4; i++) {
        emulator_settings settings = emulator_defaults();
        bool seen[64] = {false};
        settings.schedule = EMULATOR_SCHEDULE_RANDOM;
        settings.seed = i == 3 ? 2 : i;
        emulator_set(settings);
        cr_assert(broken_order(orders[i], 1), "%s", emulator_failure());
        for (size_t k = 1; k <= 64; k++) {
            cr_assert_not(seen[orders[i][k]]);
            seen[orders[i][k]] = true;
        }
    }
    cr_assert_arr_eq(orders[2], orders[3], sizeof orders[2]);
    cr_assert_arr_neq(orders[0], orders[1], sizeof orders[0]);
    cr_assert_arr_neq(orders[1], orders[2], sizeof orders[1]);
}

Test(emulator, missing_barrier_gives_wrong_results) {
    unsigned wrong = 0;
    for (unsigned i = 0; i < SCHEDULE_COUNT; i++) {
        emulator_set(schedule_at(i));
        wrong += run(BROKEN_BARRIER_MISSING, 3) == 0 ? 1 : 0;
    }
    cr_assert_eq(wrong, SCHEDULE_COUNT);
}

Test(emulator, a_barrier_can_be_ignored) {
    char site[64];
    emulator_settings settings = emulator_defaults();

    emulator_set(settings);
    cr_assert_eq(run(BROKEN_NOTHING, 1), 1);
    cr_assert_not_null(emulator_barrier(0));
    snprintf(site, sizeof site, "%s", emulator_barrier(0));
    cr_assert_null(emulator_barrier(1));
    settings.ignored_barrier = site;
    emulator_set(settings);
    cr_assert_eq(run(BROKEN_NOTHING, 1), 0);
}

/* The launch fails, and the text says what was wrong. A launch after it works again. */
static void expect_failure(broken_fault fault, const char *text) {
    for (unsigned i = 0; i < SCHEDULE_COUNT; i++) {
        emulator_set(schedule_at(i));
        cr_assert_eq(run(fault, 2), -1, "schedule %u", i);
        cr_assert_not_null(emulator_failure());
        cr_assert_not_null(strstr(emulator_failure(), text), "schedule %u: %s", i,
                           emulator_failure());
        emulator_set(schedule_at(i));
        cr_assert_eq(run(BROKEN_NOTHING, 2), 1);
    }
}

Test(emulator, divergent_barrier) {
    expect_failure(BROKEN_BARRIER_DIVERGENT, "waits at the barrier");
}

Test(emulator, thread_that_ends_before_a_barrier) {
    expect_failure(BROKEN_BARRIER_LEFT, "32 have ended");
}

Test(emulator, divergent_collective) {
    expect_failure(BROKEN_COLLECTIVE_DIVERGENT, "of its warp at");
}

Test(emulator, thread_that_ends_before_a_collective) {
    expect_failure(BROKEN_COLLECTIVE_LEFT, "32 in warp collectives");
}

Test(emulator, collective_of_part_of_a_warp) {
    expect_failure(BROKEN_MASK, "mask 0000ffff");
}

Test(emulator, misaligned_load) {
    expect_failure(BROKEN_MISALIGNED, "no multiple of 16");
}

Test(emulator, too_much_shared_memory) {
    expect_failure(BROKEN_TOO_MUCH_SHARED, "65536 bytes of shared memory");
}

/* AddressSanitizer ends the process, so the faulty launch happens in a child whose output is read.
 */
static void expect_report(broken_fault fault, unsigned schedule) {
    char said[16384];
    size_t length = 0;
    ssize_t more;
    int ends[2], status = 0;
    pid_t child;

    cr_assert_eq(pipe(ends), 0);
    child = fork();
    cr_assert_geq(child, 0);
    if (child == 0) {
        dup2(ends[1], STDERR_FILENO);
        close(ends[0]);
        close(ends[1]);
        emulator_set(schedule_at(schedule));
        run(fault, 1);
        _exit(0);
    }
    close(ends[1]);
    while ((more = read(ends[0], said + length, sizeof said - 1 - length)) > 0) {
        length += (size_t)more;
    }
    said[length] = '\0';
    close(ends[0]);
    cr_assert_eq(waitpid(child, &status, 0), child);
    cr_assert(!WIFEXITED(status) || WEXITSTATUS(status) != 0, "the fault was not seen: %s", said);
    cr_assert_not_null(strstr(said, "heap-buffer-overflow"), "%s", said);
    cr_assert_not_null(strstr(said, "broken.cu"), "%s", said);
}

Test(emulator, store_behind_the_output) {
    for (unsigned i = 0; i < SCHEDULE_COUNT; i++) {
        expect_report(BROKEN_STORE_BEHIND, i);
    }
}

Test(emulator, store_behind_shared_arrays) {
    expect_report(BROKEN_SHARED_BEHIND, 0);
    expect_report(BROKEN_SHARED_BEHIND, 1);
    expect_report(BROKEN_DYNAMIC_BEHIND, 0);
    expect_report(BROKEN_DYNAMIC_BEHIND, 1);
}

/* Two ways of writing the conversion down; NaN keep their sign and payload or not. */
Test(emulator, converts_every_half) {
    for (uint32_t bits = 0; bits < 65536; bits++) {
        const uint16_t half = (uint16_t)bits;
        const float wanted = reference_element(TARE_DTYPE_FLOAT16, &half, 0);
        const float got = tare_half_to_float(half);
        cr_assert(reference_bits(got) == reference_bits(wanted) || (got != got && wanted != wanted),
                  "%04x: %a, expected %a", bits, (double)got, (double)wanted);
    }
}

static void expect_half(float value, uint32_t wanted) {
    const uint16_t got = tare_float_to_half(value);
    cr_assert_eq(got, wanted, "%a: %04x, expected %04x", (double)value, got, wanted);
}

/* Every half comes back, and between two of them the middle decides. */
Test(emulator, rounds_to_halves) {
    for (uint32_t bits = 0; bits < 0x7c00U; bits++) {
        const uint16_t half = (uint16_t)bits;
        const float low = reference_element(TARE_DTYPE_FLOAT16, &half, 0);
        const float step = ldexpf(1.0F, (bits >> 10) < 1 ? -24 : (int)(bits >> 10) - 25);
        const float middle = low + step / 2;
        expect_half(low, bits);
        expect_half(-low, bits | 0x8000U);
        expect_half(middle, bits + (bits & 1U));
        expect_half(nextafterf(middle, 0.0F), bits);
        expect_half(-nextafterf(middle, INFINITY), (bits + 1) | 0x8000U);
    }
    expect_half(INFINITY, 0x7c00U);
    expect_half(-3e38F, 0xfc00U);
    expect_half(NAN, 0x7fffU);
}

/* Tensors that reach every barrier of every kernel more than once per block. */
static const tensor_case barrier_cases[] = {
    {TARE_DTYPE_FLOAT, 3, 64 * 256 * 3 + 5, 0, 0, FILL_MIXED},
    {TARE_DTYPE_FLOAT16, 2, 32 * 600, 32, 0, FILL_SPECIAL},
    {TARE_DTYPE_BFLOAT16, 4, 64 * 17, 0, 0, FILL_MIXED},
    {TARE_DTYPE_FLOAT, 3, 200 * 3, 200, 0, FILL_MIXED},
};

/* The top grows, so that bins must be raised. */
static const tensor_case rising_cases[] = {{TARE_DTYPE_FLOAT, 4, 64 * 64, 0, 0, FILL_RISING}};

static bool all_right(emulator_settings settings) {
    const size_t count = sizeof barrier_cases / sizeof barrier_cases[0];
    return problem_reduce(barrier_cases, count, settings, 1).right &&
           problem_codes(barrier_cases, count, settings, 1).right &&
           problem_codes_in_parts(rising_cases, 1, settings, 1).right;
}

/* Mutation of the real kernels: without any one of its barriers the tests must fail. */
Test(emulator, every_barrier_of_the_kernels_is_needed, .timeout = 240) {
    size_t barriers = 0;
    cr_assert(all_right(emulator_defaults()));
    while (emulator_barrier(barriers) != NULL) {
        barriers++;
    }
    cr_assert_geq(barriers, 8, "%zu barriers were met", barriers);
    for (size_t i = 0; i < barriers; i++) {
        char site[64];
        snprintf(site, sizeof site, "%s", emulator_barrier(i));
        cr_expect(barrier_is_needed(site, all_right), "nothing changed without the barrier %s",
                  site);
    }
}
