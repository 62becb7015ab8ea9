/* SPDX-License-Identifier: Apache-2.0 */
/** The statistics kernels against their reference, to the bit. */
#include <criterion/criterion.h>

#include <stdlib.h>
#include <string.h>

#include "problem.h"
#include "reference.h"
#include "schedules.h"

Test(stats, reduces_each_tensor_alone, .timeout = 240) {
    for (size_t i = 0; i < problem_case_count; i++) {
        const verdict v = problem_reduce(&problem_cases[i], 1, emulator_defaults(), 0);
        cr_expect(v.right, "case %zu: %s", i, v.text);
    }
}

Test(stats, reduces_many_tensors_in_one_launch_under_every_schedule, .timeout = 240) {
    for (unsigned i = 0; i < SCHEDULE_COUNT; i++) {
        const verdict v = problem_reduce(problem_cases, problem_case_count, schedule_at(i), 0);
        cr_expect(v.right, "schedule %u: %s", i, v.text);
    }
}

Test(stats, results_do_not_depend_on_the_grid, .timeout = 240) {
    static const uint32_t grids[] = {1, 7, 100000};
    for (size_t i = 0; i < sizeof grids / sizeof grids[0]; i++) {
        verdict v = problem_reduce(problem_cases, problem_case_count, schedule_at(3), grids[i]);
        cr_expect(v.right, "%u blocks: %s", grids[i], v.text);
        v = problem_codes(problem_cases, problem_case_count, schedule_at(4), grids[i]);
        cr_expect(v.right, "%u blocks, codes: %s", grids[i], v.text);
    }
}

/* Every number of columns around the widths that the kernel distinguishes, every start in 16 bytes.
 */
Test(stats, columns_and_starts, .timeout = 240) {
    static const tare_dtype dtypes[] = {TARE_DTYPE_FLOAT, TARE_DTYPE_FLOAT16, TARE_DTYPE_BFLOAT16};
    tensor_case cases[3 * 40];
    size_t count = 0;

    for (uint64_t columns = 1; columns <= 40; columns++) {
        for (size_t i = 0; i < 3; i++) {
            cases[count] = (tensor_case){
                dtypes[i],         2,           columns * (columns * 7 % 23 + 1), columns,
                (columns + i) % 9, FILL_SPECIAL};
            count++;
        }
    }
    const verdict v = problem_reduce(cases, count, schedule_at(0), 3);
    cr_assert(v.right, "%s", v.text);
}

Test(stats, histogram_under_every_schedule, .timeout = 240) {
    for (unsigned i = 0; i < SCHEDULE_COUNT; i++) {
        const verdict v = problem_codes(problem_cases, problem_case_count, schedule_at(i), 0);
        cr_expect(v.right, "schedule %u: %s", i, v.text);
    }
}

/* Bins are raised, by few octaves and by many, where later samples are larger. */
static const tensor_case part_cases[] = {
    {TARE_DTYPE_FLOAT, 6, 1500, 0, 0, FILL_RISING},
    {TARE_DTYPE_FLOAT, 0, 7, 0, 0, FILL_RISING}, /* without a histogram */
    {TARE_DTYPE_BFLOAT16, 3, 6000, 0, 3, FILL_RISING},
    {TARE_DTYPE_FLOAT, 2, 40000, 8, 0, FILL_RISING},
    {TARE_DTYPE_FLOAT16, 3, 999, 0, 1, FILL_RISING},
    {TARE_DTYPE_FLOAT, 3, 0, 0, 0, FILL_MIXED}, /* without a histogram */
    {TARE_DTYPE_FLOAT, 3, 400, 0, 0, FILL_SPECIAL},
    {TARE_DTYPE_FLOAT, 3, 400, 0, 0, FILL_NEGATIVE_ZERO},
    {TARE_DTYPE_FLOAT, 3, 400, 0, 0, FILL_NAN},
};

Test(stats, histogram_in_parts_under_every_schedule, .timeout = 240) {
    const size_t count = sizeof part_cases / sizeof part_cases[0];
    for (unsigned i = 0; i < SCHEDULE_COUNT; i++) {
        const verdict v = problem_codes_in_parts(part_cases, count, schedule_at(i), i % 3);
        cr_expect(v.right, "schedule %u: %s", i, v.text);
    }
}

/* Less shared memory means that more is counted in global memory. */
Test(stats, histogram_on_any_device, .timeout = 240) {
    static const size_t kilobytes[] = {49, 100, 164};
    for (size_t i = 0; i < sizeof kilobytes / sizeof kilobytes[0]; i++) {
        emulator_settings settings = schedule_at((unsigned)i);
        settings.shared_bytes = kilobytes[i] * 1024;
        verdict v = problem_codes(problem_cases, 12, settings, 2);
        cr_expect(v.right, "%zu KB: %s", kilobytes[i], v.text);
        v = problem_codes_in_parts(part_cases, 1, settings, 2);
        cr_expect(v.right, "%zu KB, parts: %s", kilobytes[i], v.text);
    }
}

/* Plans one tensor and runs it in memory of its own. */
static tare_stats_record reduce_one(float *column_sums, const tare_stats_tensor *tensor,
                                    uint64_t *bins) {
    tare_stats_tensor planned = *tensor;
    tare_stats_launch launch = {.tensors = &planned, .count = 1};
    tare_stats_record record;

    cr_assert_eq(tare_stats_plan(&launch.totals, &planned, 1, NULL), TARE_OK);
    launch.counts = calloc(launch.totals.items, sizeof *launch.counts);
    launch.partials = calloc(launch.totals.partials, sizeof *launch.partials);
    launch.columns = calloc(launch.totals.columns, sizeof *launch.columns);
    launch.samples = calloc(launch.totals.samples, sizeof *launch.samples);
    launch.bins = bins;
    emulator_set(emulator_defaults());
    cr_assert_eq(tare_stats_reduce(&launch, NULL, NULL), TARE_OK);
    if (bins != NULL) {
        cr_assert_eq(tare_stats_codes(&launch, NULL, NULL), TARE_OK);
    }
    record = launch.samples[tensor->samples - 1];
    for (uint64_t c = 0; c < tensor->channels; c++) {
        column_sums[c] = launch.columns[(tensor->samples - 1) * tensor->channels + c].sum;
    }
    free(launch.counts);
    free(launch.partials);
    free(launch.columns);
    free(launch.samples);
    return record;
}

/* The last sample of a batch has the bits that it has alone, and as float32 those of its 16-bit
 * type. */
Test(stats, sums_depend_on_neither_batch_nor_type) {
    enum { SAMPLES = 3, ROWS = 301, CHANNELS = 24, ELEMENTS = ROWS * CHANNELS };
    static float wide[ELEMENTS];
    problem_data data =
        problem_fill(TARE_DTYPE_BFLOAT16, (uint64_t)SAMPLES * ELEMENTS, 0, FILL_MIXED);
    const uint16_t *last = (const uint16_t *)data.data + (SAMPLES - 1) * ELEMENTS;
    float sums[3][CHANNELS];
    tare_stats_record records[3];
    tare_stats_tensor tensor = {.data = data.data,
                                .samples = SAMPLES,
                                .sample_elements = ELEMENTS,
                                .channels = CHANNELS,
                                .dtype = TARE_DTYPE_BFLOAT16};

    for (size_t i = 0; i < ELEMENTS; i++) {
        wide[i] = reference_element(TARE_DTYPE_BFLOAT16, last, i);
    }
    records[0] = reduce_one(sums[0], &tensor, NULL);
    tensor.samples = 1;
    tensor.data = last;
    records[1] = reduce_one(sums[1], &tensor, NULL);
    tensor.data = wide;
    tensor.dtype = TARE_DTYPE_FLOAT;
    records[2] = reduce_one(sums[2], &tensor, NULL);
    for (size_t i = 1; i < 3; i++) {
        cr_expect_eq(memcmp(sums[0], sums[i], sizeof sums[0]), 0);
        cr_expect_eq(reference_bits(records[0].sum), reference_bits(records[i].sum));
        cr_expect_eq(records[0].zeros, records[i].zeros);
    }
    cr_expect_neq(records[0].sum, 0.0F);
    problem_free(&data);
}

/* Counts of zero, of what is not finite and of all bins make up the tensor; a second launch adds to
 * the bins. */
Test(stats, histogram_adds_up) {
    problem_data data = problem_fill(TARE_DTYPE_FLOAT, 5001, 1, FILL_SPECIAL);
    uint64_t *bins = calloc(TARE_STATS_HISTOGRAM, sizeof *bins), total = 0;
    const tare_stats_tensor tensor = {.data = data.data,
                                      .samples = 1,
                                      .sample_elements = 5001,
                                      .dtype = TARE_DTYPE_FLOAT,
                                      .histogram = true};
    tare_stats_record record = reduce_one(NULL, &tensor, bins);

    record = reduce_one(NULL, &tensor, bins);
    for (size_t i = 0; i < TARE_STATS_CODES; i++) {
        cr_assert_eq(bins[i] % 2, 0);
        total += bins[i] / 2;
    }
    cr_assert_gt(record.nan, 0);
    cr_assert_gt(record.positive_infinity, 0);
    cr_assert_eq(total + record.zeros + record.nan + record.positive_infinity +
                     record.negative_infinity,
                 5001);
    free(bins);
    problem_free(&data);
}

/* Every launch refused in turn, and a device that does not answer. */
Test(stats, failures_are_reported) {
    static const char *kernels[] = {"tare_stats_tiles", "tare_stats_columns", "tare_stats_samples",
                                    "tare_stats_raise", "tare_stats_histogram"};
    emulator_settings settings = emulator_defaults();
    verdict v;

    for (int i = 0; i < 3; i++) {
        settings.refused_launch = i + 1;
        v = problem_reduce(&problem_cases[5], 1, settings, 0);
        cr_expect(!v.right && strstr(v.text, kernels[i]) != NULL, "%s", v.text);
    }
    for (int i = 3; i < 5; i++) {
        settings.refused_launch = i + 1;
        v = problem_codes(&problem_cases[5], 1, settings, 0);
        cr_expect(!v.right && strstr(v.text, kernels[i]) != NULL, "%s", v.text);
    }
    settings = emulator_defaults();
    settings.shared_bytes = 48 * 1024;
    v = problem_codes(&problem_cases[5], 1, settings, 0);
    cr_expect(!v.right && strstr(v.text, "bytes of shared memory") != NULL, "%s", v.text);
    settings = emulator_defaults();
    settings.processors = 0;
    v = problem_reduce(&problem_cases[5], 1, settings, 0);
    cr_expect(!v.right && strstr(v.text, "multiprocessors") != NULL, "%s", v.text);
}

static void expect_refusal(tare_stats_tensor tensor, tare_status status, const char *text) {
    tare_stats_tensor tensors[2] = {{.dtype = TARE_DTYPE_FLOAT}, tensor};
    tare_stats_totals totals;
    tare_error err;

    cr_assert_eq(tare_stats_plan(&totals, tensors, 2, &err), status, "%s", text);
    cr_assert_not_null(strstr(err.text, text), "%s", err.text);
    cr_assert_not_null(strstr(err.text, "tensor 1"), "%s", err.text);
}

Test(stats, plan_refuses) {
    static const float data[4];
    tare_stats_tensor tensor = {
        .data = data, .samples = 1, .sample_elements = 4, .dtype = TARE_DTYPE_FLOAT};
    tare_stats_tensor bad = tensor;

    bad.dtype = TARE_DTYPE_INT8;
    expect_refusal(bad, TARE_UNSUPPORTED, "element type int8");
    bad = tensor;
    bad.channels = 3;
    expect_refusal(bad, TARE_INVALID_ARGUMENT, "3 channels do not divide");
    bad.channels = UINT64_MAX;
    expect_refusal(bad, TARE_INVALID_ARGUMENT, "do not divide");
    bad = tensor;
    bad.sample_elements = UINT64_MAX;
    expect_refusal(bad, TARE_INVALID_ARGUMENT, "too many");
    bad = tensor;
    bad.samples = TARE_STATS_MAX_SAMPLES;
    bad.sample_elements = TARE_STATS_MAX_ELEMENTS;
    expect_refusal(bad, TARE_INVALID_ARGUMENT, "too many");
    bad = tensor;
    bad.samples = TARE_STATS_MAX_SAMPLES;
    bad.sample_elements = 0;
    bad.channels = TARE_STATS_MAX_ELEMENTS;
    expect_refusal(bad, TARE_INVALID_ARGUMENT, "exceeds 64 bits");
    bad = tensor;
    bad.data = NULL;
    expect_refusal(bad, TARE_INVALID_ARGUMENT, "expected a multiple of 4");
    bad.data = (const char *)data + 2;
    expect_refusal(bad, TARE_INVALID_ARGUMENT, "expected a multiple of 4");
}
