/* SPDX-License-Identifier: Apache-2.0 */
/** The calibration state and the method minmax. */
#include <criterion/criterion.h>
#include <math.h>
#include <string.h>

#include "cpu/backend.h"
#include "stats/method.h"

static const tare_stat_point points[] = {{.value = 3, .tensor = "a", .channels = 0},
                                         {.value = 7, .tensor = "b", .channels = 2}};

static tare_status record(tare_state_lane *lane, size_t point, uint64_t sample, const float *data,
                          tare_error *err) {
    const tare_desc desc = {.dtype = TARE_DTYPE_FLOAT, .rank = 4, .dims = {1, 2, 2, 1}};
    const tare_state_entry entry = {.point = point, .sample = sample, .desc = &desc, .data = data};
    return tare_state_record(lane, &tare_backend_cpu, &entry, err);
}

static tare_state *filled(const size_t *order, size_t lanes) {
    static const float a[3][4] = {{-1, 0, 2, 3}, {-4, 1, 1, 1}, {0, 0, 0, 9}};
    static const float b[3][4] = {{1, 2, -3, 4}, {0, 5, 6, 7}, {-8, 0, 0, 1}};
    tare_state *state = NULL;
    tare_state_lane *lane[2] = {NULL, NULL};
    cr_assert_eq(tare_state_new(&state, points, 2, 4, NULL), TARE_OK);
    for (size_t i = 0; i < lanes; i++) {
        cr_assert_eq(tare_state_lane_new(&lane[i], state, NULL), TARE_OK);
    }
    for (size_t i = 0; i < 3; i++) {
        const size_t s = order[i];
        cr_assert_eq(record(lane[i % lanes], 0, s, a[s], NULL), TARE_OK);
        cr_assert_eq(record(lane[i % lanes], 1, s, b[s], NULL), TARE_OK);
        tare_state_complete(state, s);
    }
    for (size_t i = 0; i < lanes; i++) {
        tare_state_merge(state, lane[i]);
        tare_state_lane_free(lane[i]);
    }
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
    tare_state *state = NULL;
    tare_state_lane *lane = NULL;
    tare_error err;
    cr_assert_eq(tare_state_new(&state, points, 2, 1, NULL), TARE_OK);
    cr_assert_eq(tare_state_lane_new(&lane, state, NULL), TARE_OK);
    cr_assert_eq(record(lane, 0, 0, bad, &err), TARE_INVALID_ARGUMENT);
    cr_assert_str_eq(err.text,
                     "tensor 'a' holds 1 NaN and 1 infinite values among 4, expected finite ones");
    tare_state_lane_free(lane);
    tare_state_free(state);
}

Test(state, incomplete_samples_do_not_count) {
    const float data[4] = {1, 2, 3, 4};
    tare_state *state = NULL;
    tare_state_lane *lane = NULL;
    float min, max;
    tare_range range = {.min = &min, .max = &max, .channels = 0};
    tare_error err;
    cr_assert_eq(tare_state_new(&state, points, 1, 2, NULL), TARE_OK);
    cr_assert_eq(tare_state_lane_new(&lane, state, NULL), TARE_OK);
    cr_assert_eq(record(lane, 0, 1, data, NULL), TARE_OK);
    cr_assert_eq(tare_method_minmax.range(&range, state, 0, false, &err), TARE_INVALID_ARGUMENT);
    cr_assert_not_null(strstr(err.text, "'a'"));
    tare_state_complete(state, 1);
    cr_assert_eq(tare_method_minmax.range(&range, state, 0, false, NULL), TARE_OK);
    cr_assert_eq(max, 4.0F);
    tare_state_lane_free(lane);
    tare_state_free(state);
}

Test(state, size_is_stated_and_impossible_sizes_are_refused) {
    tare_state *state = NULL;
    cr_assert_geq(tare_state_bytes(points, 2, 100, 2), 2 * 100 * 16);
    cr_assert_eq(tare_state_new(&state, points, 2, UINT64_MAX, NULL), TARE_OUT_OF_MEMORY);
    cr_assert_null(state);
    tare_state_free(NULL);
    tare_state_lane_free(NULL);
}
