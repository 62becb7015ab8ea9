/* SPDX-License-Identifier: Apache-2.0 */
/** Quantiles of samples against sorting, to the bit. */
#include <criterion/criterion.h>

#include <string.h>

#include "problem.h"
#include "schedules.h"

#define F32  TARE_DTYPE_FLOAT
#define F16  TARE_DTYPE_FLOAT16
#define BF16 TARE_DTYPE_BFLOAT16

/* samples, elements of a sample, channels (none), start. Sizes around a vector and a chunk. */
static const tensor_case cases[] = {
    {F32, 1, 1, 0, 0, FILL_MIXED},
    {F16, 3, 2, 0, 1, FILL_MIXED},
    {F32, 0, 5, 0, 0, FILL_MIXED},
    {F32, 3, 0, 0, 0, FILL_MIXED},
    {BF16, 5, 3, 0, 0, FILL_MIXED},
    {F32, 4, 1001, 0, 3, FILL_MIXED},
    {F16, 4, 1001, 0, 5, FILL_MIXED},
    {BF16, 2, 5000, 0, 2, FILL_MIXED},
    {F32, 2, TARE_STATS_CHUNK, 0, 0, FILL_MIXED},
    {F32, 1, 3 * TARE_STATS_CHUNK + 7, 0, 1, FILL_MIXED},
    {F16, 2, TARE_STATS_CHUNK + 1, 0, 0, FILL_MIXED},
    {F32, 2, 3000, 0, 0, FILL_RISING},
    {F32, 2, 3000, 0, 0, FILL_HUGE},
    {F32, 2, 100, 0, 0, FILL_NEGATIVE_ZERO},
    {F16, 2, 100, 0, 0, FILL_NEGATIVE_ZERO},
    {F32, 2, 3000, 0, 0, FILL_SPECIAL},
    {F16, 2, 3000, 0, 0, FILL_SPECIAL},
    {F32, 2, 100, 0, 0, FILL_NAN},
};
#define CASES (sizeof cases / sizeof cases[0])

static const double probabilities[] = {0.0, 1e-4, 0.02, 0.5};
#define PROBABILITIES (sizeof probabilities / sizeof probabilities[0])

Test(quantile, each_case_at_each_probability, .timeout = 240) {
    for (size_t i = 0; i < CASES; i++) {
        for (size_t k = 0; k < PROBABILITIES; k++) {
            const verdict v = problem_quantiles(&cases[i], probabilities[k],
                                                schedule_at((unsigned)(i + k) % SCHEDULE_COUNT), 0);
            cr_expect(v.right, "case %zu, p %g: %s", i, probabilities[k], v.text);
        }
    }
}

Test(quantile, under_every_schedule_and_on_every_grid, .timeout = 240) {
    for (size_t i = 0; i < CASES; i++) {
        for (unsigned s = 0; s < SCHEDULE_COUNT; s++) {
            const verdict v = problem_quantiles(&cases[i], 0.02, schedule_at(s), s * s);
            cr_expect(v.right, "case %zu, schedule %u: %s", i, s, v.text);
        }
    }
}

static bool right_under(emulator_settings settings) {
    return problem_quantiles(&cases[5], 0.01, settings, 1).right &&
           problem_quantiles(&cases[9], 0.3, settings, 1).right;
}

Test(quantile, every_barrier_is_needed, .timeout = 240) {
    const char *name;
    cr_assert(right_under(emulator_defaults()));
    cr_assert_not_null(emulator_barrier(2));
    for (size_t i = 0; (name = emulator_barrier(i)) != NULL; i++) {
        cr_expect(barrier_is_needed(name, right_under), "nothing happens without the barrier %s",
                  name);
    }
}

Test(quantile, failures_are_reported) {
    emulator_settings settings = emulator_defaults();
    tensor_case odd = cases[5];
    for (int i = 0; i < 6; i++) {
        settings.refused_launch = i + 1;
        const verdict v = problem_quantiles(&cases[5], 0.01, settings, 0);
        const char *kernel = i % 2 == 0 ? "tare_quantile_count" : "tare_quantile_choose";
        cr_expect(!v.right && strstr(v.text, kernel) != NULL, "%s", v.text);
    }
    settings = emulator_defaults();
    settings.processors = 0;
    odd.samples = 1;
    const verdict v = problem_quantiles(&odd, 0.01, settings, 0);
    cr_expect(!v.right, "%s", v.text);
}
