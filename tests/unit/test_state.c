/* SPDX-License-Identifier: Apache-2.0 */
/** The calibration state and the method minmax. */
#include <criterion/criterion.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "cpu/backend.h"
#include "stats/method.h"

static const tare_stat_point points[] = {{.value = 3, .tensor = "a", .channels = 0},
                                         {.value = 7, .tensor = "b", .channels = 2, .axis = 1}};

#define P 0.1

static tare_status record(tare_state_lane *lane, size_t point, uint64_t slot, const float *data,
                          tare_error *err) {
    const tare_desc desc = {.dtype = TARE_DTYPE_FLOAT, .rank = 4, .dims = {1, 2, 2, 1}};
    const tare_state_entry entry = {.point = point, .slot = slot, .desc = &desc, .data = data};
    return tare_state_record(lane, &tare_backend_cpu, &entry, err);
}

static tare_state *new_state(size_t count, uint64_t samples, unsigned collect) {
    const tare_state_spec spec = {
        .points = points, .point_count = count, .collect = collect, .quantile = P};
    tare_state *state = NULL;
    cr_assert_eq(tare_state_new(&state, &spec, samples, NULL), TARE_OK);
    return state;
}

static void complete(tare_state *state, uint64_t slot, uint64_t id, const char *name) {
    const tare_state_sample sample = {.id = id, .name = name};
    cr_assert_eq(tare_state_complete(state, slot, &sample, NULL), TARE_OK);
}

static tare_state *filled(const size_t *order, size_t lanes) {
    static const float a[3][4] = {{-1, 0, 2, 3}, {-4, 1, 1, 1}, {0, 0, 0, 9}};
    static const char *const names[3] = {"x", "y", "z"};
    static const float b[3][4] = {{1, 2, -3, 4}, {0, 5, 6, 7}, {-8, 0, 0, 1}};
    tare_state *state = new_state(2, 4, TARE_COLLECT_ALL);
    tare_state_lane *lane[2] = {NULL, NULL};
    for (size_t i = 0; i < lanes; i++) {
        cr_assert_eq(tare_state_lane_new(&lane[i], state, NULL), TARE_OK);
    }
    for (size_t i = 0; i < 3; i++) {
        const size_t s = order[i];
        cr_assert_eq(record(lane[i % lanes], 0, s, a[s], NULL), TARE_OK);
        cr_assert_eq(record(lane[i % lanes], 1, s, b[s], NULL), TARE_OK);
        complete(state, s, 100 - s, names[s]);
    }
    for (size_t i = 0; i < lanes; i++) {
        tare_state_merge(state, lane[i]);
        tare_state_lane_free(lane[i]);
    }
    tare_state_settle(state);
    return state;
}

Test(state, ranges_do_not_depend_on_order_or_lanes) {
    static const size_t orders[2][3] = {{0, 1, 2}, {2, 0, 1}};
    for (size_t i = 0; i < 2; i++) {
        tare_state *state = filled(orders[i], i + 1);
        float min[2], max[2];
        tare_range range = {.min = min, .max = max, .channels = 0};
        cr_assert_eq(tare_state_sample_count(state), 3);
        cr_assert_eq(tare_method_minmax.range(&range, state, 0, false, NULL), TARE_OK);
        cr_assert_float_eq(min[0], -5.0 / 3.0, 1e-6);
        cr_assert_float_eq(max[0], 13.0 / 3.0, 1e-6);
        cr_assert_eq(tare_method_minmax.range(&range, state, 0, true, NULL), TARE_OK);
        cr_assert_float_eq(max[0], 16.0 / 3.0, 1e-6, "magnitudes are 3, 4, 9");
        range.channels = 2;
        cr_assert_eq(tare_method_minmax.range(&range, state, 1, true, NULL), TARE_OK);
        cr_assert_eq(min[0], -8.0F);
        cr_assert_eq(max[0], 8.0F);
        cr_assert_eq(min[1], -3.0F);
        cr_assert_eq(max[1], 7.0F);
        tare_state_free(state);
    }
}

Test(state, nan_and_infinity_name_the_tensor) {
    const float bad[4] = {1, NAN, -INFINITY, 2};
    tare_state *state = new_state(2, 1, TARE_COLLECT_RANGES);
    tare_state_lane *lane = NULL;
    tare_error err;
    cr_assert_eq(tare_state_lane_new(&lane, state, NULL), TARE_OK);
    cr_assert_eq(record(lane, 0, 0, bad, &err), TARE_INVALID_ARGUMENT);
    cr_assert_str_eq(err.text,
                     "tensor 'a' holds 1 NaN and 1 infinite values among 4, expected finite ones");
    tare_state_lane_free(lane);
    tare_state_free(state);
}

Test(state, incomplete_samples_do_not_count) {
    const float data[4] = {1, 2, 3, 4};
    tare_state *state = new_state(1, 2, TARE_COLLECT_RANGES);
    tare_state_lane *lane = NULL;
    float min, max;
    tare_range range = {.min = &min, .max = &max, .channels = 0};
    tare_error err;
    cr_assert_eq(tare_state_lane_new(&lane, state, NULL), TARE_OK);
    cr_assert_eq(record(lane, 0, 1, data, NULL), TARE_OK);
    cr_assert_eq(tare_method_minmax.range(&range, state, 0, false, &err), TARE_INVALID_ARGUMENT);
    cr_assert_not_null(strstr(err.text, "'a'"));
    complete(state, 1, 7, "seven");
    tare_state_settle(state);
    cr_assert_eq(tare_method_minmax.range(&range, state, 0, false, NULL), TARE_OK);
    cr_assert_eq(max, 4.0F);
    tare_state_lane_free(lane);
    tare_state_free(state);
}

Test(state, size_is_stated_and_impossible_sizes_are_refused) {
    const tare_state_spec spec = {.points = points, .point_count = 2};
    const tare_state_spec codes = {
        .points = points, .point_count = 2, .collect = TARE_COLLECT_CODES};
    tare_state *state = NULL;
    const tare_state_spec quantiles = {
        .points = points, .point_count = 2, .collect = TARE_COLLECT_QUANTILES};
    /* 4 bytes for each number of each tensor, and what a sample has once. */
    const uint64_t once = 36;
    cr_assert_leq(tare_state_bytes(&spec, 1000) - tare_state_bytes(&spec, 0),
                  1000 * (2 * 8 + once));
    cr_assert_leq(tare_state_bytes(&quantiles, 1000) - tare_state_bytes(&quantiles, 0),
                  1000 * (2 * 16 + once));
    cr_assert_geq(tare_state_bytes(&codes, 0), 2 * TARE_CODE_HISTOGRAM_BYTES);
    cr_assert_eq(tare_state_new(&state, &spec, UINT64_MAX, NULL), TARE_OUT_OF_MEMORY);
    cr_assert_eq(tare_state_new(&state, &spec, UINT64_MAX / 48, NULL), TARE_OUT_OF_MEMORY);
    cr_assert_null(state);
    tare_state_free(NULL);
    tare_state_lane_free(NULL);
}

Test(state, samples_stand_in_the_order_of_their_ids) {
    static const size_t order[3] = {1, 2, 0};
    tare_state *state = filled(order, 2);
    tare_sample_numbers numbers;
    cr_assert_str_eq(tare_state_sample_at(state, 0).name, "z");
    cr_assert_str_eq(tare_state_sample_at(state, 2).name, "x");
    cr_assert_eq(tare_state_find_sample(state, 99), 1);
    cr_assert_eq(tare_state_find_sample(state, 1), UINT64_MAX);
    cr_assert_eq(tare_state_find_sample(state, 101), UINT64_MAX);
    cr_assert(tare_state_sample_numbers(&numbers, state, 0, 0));
    cr_assert_eq(numbers.of[TARE_SAMPLE_MAX], 9.0F);
    cr_assert_eq(tare_state_codes(state, 0)->zeros, 4);
    cr_assert_eq(tare_code_histogram_finite(tare_state_codes(state, 1)), 12);
    tare_state_free(state);
}

Test(state, absorbing_gives_what_one_run_gives) {
    static const size_t order[3] = {0, 1, 2};
    const float a[4] = {5, 6, 7, 8}, b[4] = {0, 0, 0, -9};
    tare_state *whole = filled(order, 1), *part = new_state(2, 1, TARE_COLLECT_ALL);
    tare_state_lane *lane = NULL;
    tare_error err;
    cr_assert_eq(tare_state_lane_new(&lane, part, NULL), TARE_OK);
    cr_assert_eq(record(lane, 0, 0, a, NULL), TARE_OK);
    cr_assert_eq(record(lane, 1, 0, b, NULL), TARE_OK);
    complete(part, 0, 3, "w");
    tare_state_merge(part, lane);
    tare_state_settle(part);
    cr_assert_eq(tare_state_absorb(whole, part, false, NULL), TARE_OK);
    cr_assert_eq(tare_state_sample_count(whole), 4);
    cr_assert_str_eq(tare_state_sample_at(whole, 0).name, "w");
    cr_assert_eq(tare_state_channel_min(whole, 1)[1], -9.0F);
    cr_assert_eq(tare_code_histogram_finite(tare_state_codes(whole, 0)), 16);

    cr_assert_eq(tare_state_absorb(whole, part, false, &err), TARE_INVALID_ARGUMENT);
    cr_assert_str_eq(err.text, "sample 'w' is in an earlier state, too");
    cr_assert_eq(tare_state_absorb(whole, part, true, NULL), TARE_OK);
    cr_assert_eq(tare_state_sample_count(whole), 5);
    cr_assert_str_eq(tare_state_sample_at(whole, 1).name, "w");
    tare_state_lane_free(lane);
    tare_state_free(part);
    tare_state_free(whole);
}

Test(state, different_states_do_not_merge) {
    static const tare_stat_point other[] = {{.tensor = "a"},
                                            {.tensor = "c", .channels = 2, .axis = 1}};
    static const tare_stat_point wider[] = {{.tensor = "a"},
                                            {.tensor = "b", .channels = 3, .axis = 1}};
    const tare_state_spec specs[] = {{points, 1, TARE_COLLECT_ALL, P},
                                     {other, 2, TARE_COLLECT_ALL, P},
                                     {wider, 2, TARE_COLLECT_ALL, P},
                                     {points, 2, TARE_COLLECT_RANGES, P},
                                     {points, 2, TARE_COLLECT_ALL, 0.25}};
    static const char *const texts[] = {
        "'b'", "'c'", "3 channels on axis 1, expected 2",
        "it has the fields 'ranges', expected 'ranges codes sums windows quantiles'",
        "it has the quantiles 0.25 of samples, expected 0.1"};
    tare_state *state = new_state(2, 0, TARE_COLLECT_ALL);
    for (size_t i = 0; i < 5; i++) {
        tare_state *from = NULL;
        tare_error err;
        cr_assert_eq(tare_state_new(&from, &specs[i], 0, NULL), TARE_OK);
        cr_assert_eq(tare_state_absorb(state, from, false, &err), TARE_INVALID_ARGUMENT);
        cr_assert_not_null(strstr(err.text, texts[i]), "%s", err.text);
        tare_state_free(from);
    }
    tare_state_free(state);
}

/* ---- sums ---- */

static const tare_collect_window window = {
    .kernel = {1, 2}, .stride = {1, 1}, .dilation = {1, 1}, .padding = {0, 1}, .output = {2, 2}};

/* A tensor that a convolution reads, and rows of a matrix. */
static const tare_stat_point sum_points[] = {
    {.tensor = "image", .channels = 2, .axis = 1, .windows = &window, .window_count = 1},
    {.tensor = "rows", .channels = 3, .axis = 2}};

static const tare_desc image_desc = {
    .dtype = TARE_DTYPE_FLOAT, .rank = 4, .dims = {1, 2, 2, 1}, .layout = TARE_LAYOUT_PLAIN};
static const tare_desc rows_desc = {.dtype = TARE_DTYPE_FLOAT, .rank = 3, .dims = {1, 2, 3}};

static tare_state *new_sum_state(tare_state_lane **lane, unsigned collect) {
    const tare_state_spec spec = {
        .points = sum_points, .point_count = 2, .collect = collect, .quantile = P};
    tare_state *state = NULL;
    cr_assert_eq(tare_state_new(&state, &spec, 4, NULL), TARE_OK);
    cr_assert_eq(tare_state_lane_new(lane, state, NULL), TARE_OK);
    return state;
}

static void record_sums(tare_state_lane *lane, uint64_t slot) {
    const float image[4] = {1, 2, 0, 0.5F}, rows[6] = {1, 10, 100, 2, 20, -200};
    const tare_state_entry entries[] = {{0, slot, &image_desc, image}, {1, slot, &rows_desc, rows}};
    for (size_t i = 0; i < 2; i++) {
        cr_assert_eq(tare_state_record(lane, &tare_backend_cpu, &entries[i], NULL), TARE_OK);
    }
}

Test(state, sums_of_channels_and_windows) {
    static const double channels[] = {3, 0.5}, rows[] = {3, 30, -100};
    /* The image is one column wide: each column of the window meets it once, or the padding. */
    static const double taps[] = {3, 0.5, 3, 0.5};
    tare_state_lane *lane = NULL;
    tare_state *state = new_sum_state(&lane, TARE_COLLECT_ALL);
    tare_state_counts counts;

    for (uint64_t slot = 0; slot < 3; slot++) {
        record_sums(lane, slot);
        complete(state, slot, slot, "sample");
    }
    tare_state_merge(state, lane);
    tare_state_settle(state);
    for (size_t c = 0; c < 2; c++) {
        cr_assert_eq(tare_exact_sum_value(&tare_state_channel_sums(state, 0)[c]), 3 * channels[c]);
    }
    for (size_t c = 0; c < 3; c++) {
        cr_assert_eq(tare_exact_sum_value(&tare_state_channel_sums(state, 1)[c]), 3 * rows[c]);
    }
    for (size_t i = 0; i < 4; i++) {
        cr_assert_eq(tare_exact_sum_value(&tare_state_window_sums(state, 0, 0)[i]), 3 * taps[i]);
    }
    cr_assert_null(tare_state_window_sums(state, 0, 1));
    cr_assert_null(tare_state_window_sums(state, 1, 0));
    cr_assert_eq(tare_state_channel_max(state, 1)[1], 20.0F);
    counts = tare_state_counts_of(state, 0);
    cr_assert(counts.elements == 12 && counts.zeros == 3 && counts.nan == 0);
    tare_state_lane_free(lane);
    tare_state_free(state);
}

Test(state, only_what_is_asked_for_is_collected) {
    tare_state_lane *lane = NULL;
    tare_state *state = new_sum_state(&lane, TARE_COLLECT_RANGES);
    const tare_state_spec spec = tare_state_spec_of(state);
    tare_state_spec all = spec;

    record_sums(lane, 0);
    complete(state, 0, 1, "sample");
    tare_state_merge(state, lane);
    tare_state_settle(state);
    cr_assert_null(tare_state_channel_sums(state, 0));
    cr_assert_null(tare_state_window_sums(state, 0, 0));
    cr_assert_null(tare_state_codes(state, 0));
    cr_assert_eq(tare_state_channel_max(state, 0)[0], 2.0F);
    all.collect = TARE_COLLECT_ALL;
    cr_assert_gt(tare_state_bytes(&all, 0), tare_state_bytes(&spec, 0) + 9 * 40);
    cr_assert_gt(tare_state_lane_bytes(&all), tare_state_lane_bytes(&spec) + 9 * 40);
    tare_state_lane_free(lane);
    tare_state_free(state);
}

/* Two images that a sample brings along count like two samples of one. */
Test(state, results_of_a_device_are_recorded_alike) {
    static const tare_reduce_record records[] = {{.min = 0, .max = 2, .elements = 4, .zeros = 1},
                                                 {.min = 0, .max = 2, .elements = 8, .zeros = 2}};
    static const tare_reduce_channel channels[] = {
        {1, 2, 3}, {0, 0.5F, 0.5F}, {1, 2, 6}, {0, 0.5F, 1}};
    static const float sums[] = {0, 0, 3, 0.5F, 0, 0, 3, 0.5F, 0, 0, 3, 0.5F, 0, 0, 3, 0.5F};
    static const float *const windows[] = {sums};
    /* The quantiles 0.1 and 0.9 of 8 values stand at 0.7 and 6.3. */
    static const tare_quantile_pairs quantiles[] = {{{0, 0}, {0, 0}}, {{0, 1}, {1.5F, 2}}};
    const tare_collect_result found = {
        .records = records, .channels = channels, .quantiles = quantiles, .windows = windows};
    tare_sample_numbers numbers;
    uint64_t *codes = calloc(TARE_COLLECT_CODE_COUNT, sizeof *codes);
    tare_state_lane *lane = NULL;
    tare_state *state = new_sum_state(&lane, TARE_COLLECT_ALL);
    const tare_state_result result = {
        .point = 0, .slot = 0, .result = &found, .sample = 1, .images = 2};

    cr_assert_eq(tare_state_record_result(lane, &result, NULL), TARE_OK);
    const uint32_t one = tare_code_of(0x3F800000, 128), two = tare_code_of(0x40000000, 128);
    codes[one] = 2;
    codes[TARE_CODE_BINS + two] = 3;
    codes[0] = 1;
    tare_state_record_codes(state, 0, codes, 128);
    complete(state, 0, 5, "sample");
    tare_state_merge(state, lane);
    tare_state_settle(state);
    cr_assert_eq(tare_exact_sum_value(&tare_state_channel_sums(state, 0)[0]), 6.0);
    cr_assert_eq(tare_exact_sum_value(&tare_state_window_sums(state, 0, 0)[3]), 1.0);
    cr_assert_eq(tare_exact_sum_value(&tare_state_window_sums(state, 0, 0)[2]), 6.0);
    cr_assert_eq(tare_state_codes(state, 0)->zeros, 2);
    cr_assert_eq(tare_state_codes(state, 0)->top, 128);
    cr_assert_eq(tare_code_count(tare_state_codes(state, 0), one), 2);
    cr_assert_eq(tare_code_count(tare_state_codes(state, 0), TARE_CODE_BINS + two), 3);
    cr_assert(tare_state_sample_numbers(&numbers, state, 0, 0));
    cr_assert_float_eq(numbers.of[TARE_SAMPLE_LOW], 0.7F, 1e-6F);
    cr_assert_float_eq(numbers.of[TARE_SAMPLE_HIGH], 1.65F, 1e-6F);
    cr_assert(isnan(numbers.of[TARE_SAMPLE_MEAN]));
    cr_assert_eq(tare_code_histogram_finite(tare_state_codes(state, 0)), 8);
    free(codes);
    tare_state_lane_free(lane);
    tare_state_free(state);
}

Test(state, sums_beyond_float_name_the_channel) {
    const float rows[6] = {1, 3e38F, 1, 1, 3e38F, 1};
    const tare_state_entry entry = {1, 0, &rows_desc, rows};
    tare_state_lane *lane = NULL;
    tare_state *state = new_sum_state(&lane, TARE_COLLECT_SUMS);
    tare_error err;
    cr_assert_eq(tare_state_record(lane, &tare_backend_cpu, &entry, &err), TARE_INVALID_ARGUMENT);
    cr_assert_str_eq(err.text, "the sum of channel 1 of tensor 'rows' is beyond float32");
    tare_state_lane_free(lane);
    tare_state_free(state);
}

Test(state, other_axes_and_windows_do_not_merge) {
    static const tare_collect_window other = {.kernel = {1, 2},
                                              .stride = {1, 1},
                                              .dilation = {1, 1},
                                              .padding = {0, 0},
                                              .output = {2, 1}};
    tare_stat_point changed[2] = {sum_points[0], sum_points[1]};
    tare_state_spec spec = {changed, 2, TARE_COLLECT_ALL, P};
    tare_state_lane *lane = NULL;
    tare_state *state = new_sum_state(&lane, TARE_COLLECT_ALL);
    tare_error err;

    cr_assert_eq(tare_state_check_spec(state, &spec, &err), TARE_OK);
    changed[1].axis = 1;
    cr_assert_eq(tare_state_check_spec(state, &spec, &err), TARE_INVALID_ARGUMENT);
    cr_assert_not_null(strstr(err.text, "3 channels on axis 2, expected 3 on axis 1"));
    changed[1].axis = 2;
    changed[0].windows = &other;
    cr_assert_eq(tare_state_check_spec(state, &spec, &err), TARE_INVALID_ARGUMENT);
    cr_assert_not_null(strstr(err.text, "1 windows, expected 1 and the same"));
    changed[0].window_count = 0;
    cr_assert_eq(tare_state_check_spec(state, &spec, &err), TARE_INVALID_ARGUMENT);
    cr_assert_not_null(strstr(err.text, "1 windows, expected 0"));
    spec.collect = TARE_COLLECT_CODES;
    cr_assert_eq(tare_state_check_spec(state, &spec, &err), TARE_INVALID_ARGUMENT);
    cr_assert_not_null(
        strstr(err.text, "'ranges codes sums windows quantiles', expected 'ranges codes'"));
    tare_state_lane_free(lane);
    tare_state_free(state);
}
