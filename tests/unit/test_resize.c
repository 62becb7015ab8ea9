/* SPDX-License-Identifier: Apache-2.0 */
/** Resampling: known values, windows equal to crops, and properties that hold for every filter. */
#include <criterion/criterion.h>
#include <stdlib.h>
#include <string.h>

#include "data/resize.h"

static tare_resize whole(tare_filter filter, size_t channels, const size_t in[2],
                         const size_t out[2]) {
    return (tare_resize){filter, channels, in[0], in[1], out[0], out[1], 0, 0, out[0], out[1]};
}

static void run(unsigned char *out, const unsigned char *in, const tare_resize *job) {
    tare_resize_scratch scratch = {0};
    tare_error err = {0};

    cr_assert_eq(tare_resize_run(out, in, job, &scratch, &err), TARE_OK, "%s", err.text);
    tare_resize_scratch_release(&scratch);
}

/* A fixed sequence of bytes that looks random. */
static void fill(unsigned char *to, size_t count) {
    uint32_t state = 12345;

    for (size_t i = 0; i < count; i++) {
        state = state * 1664525U + 1013904223U;
        to[i] = (unsigned char)(state >> 24);
    }
}

Test(resize, known_values) {
    /* What Pillow gives for Image.frombytes("L", (4, 1), ...).resize(...) with each filter. */
    static const unsigned char in[4] = {0, 100, 200, 255};
    static const struct known {
        tare_filter filter;
        size_t width;
        unsigned char out[8];
    } cases[] = {
        {TARE_FILTER_NEAREST, 2, {100, 255}},
        {TARE_FILTER_BOX, 2, {50, 228}},
        {TARE_FILTER_BILINEAR, 2, {71, 209}},
        {TARE_FILTER_AREA, 2, {50, 228}},
        {TARE_FILTER_BILINEAR, 8, {0, 25, 75, 125, 175, 214, 241, 255}},
    };

    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        unsigned char out[8] = {0};
        const tare_resize job = whole(cases[i].filter, 1, (const size_t[2]){4, 1},
                                      (const size_t[2]){cases[i].width, 1});
        run(out, in, &job);
        cr_expect_arr_eq(out, cases[i].out, cases[i].width, "case %zu: %d %d", i, out[0], out[1]);
    }
}

Test(resize, a_flat_image_stays_flat) {
    static const size_t outs[][2] = {{3, 5}, {40, 2}, {2, 40}, {50, 60}, {17, 1}, {1, 23}};
    unsigned char in[17 * 23 * 3], out[50 * 60 * 3];

    memset(in, 137, sizeof in);
    for (int filter = 0; filter < TARE_FILTER_COUNT; filter++) {
        for (size_t i = 0; i < sizeof outs / sizeof outs[0]; i++) {
            const tare_resize job =
                whole((tare_filter)filter, 3, (const size_t[2]){17, 23}, outs[i]);
            memset(out, 0, sizeof out);
            run(out, in, &job);
            for (size_t k = 0; k < outs[i][0] * outs[i][1] * 3; k++) {
                cr_assert_eq(out[k], 137, "filter %d size %zu at %zu: %d", filter, i, k, out[k]);
            }
        }
    }
}

Test(resize, a_window_is_a_crop) {
    static const size_t outs[][2] = {{31, 19}, {90, 11}, {11, 90}, {80, 70}, {60, 20}, {40, 50}};
    unsigned char in[60 * 50 * 3], full[90 * 90 * 3], part[90 * 90 * 3];

    fill(in, sizeof in);
    for (int filter = 0; filter < TARE_FILTER_COUNT; filter++) {
        for (size_t i = 0; i < sizeof outs / sizeof outs[0]; i++) {
            const size_t channels = i % 2 == 0 ? 3 : 1;
            tare_resize job =
                whole((tare_filter)filter, channels, (const size_t[2]){60, 50}, outs[i]);
            run(full, in, &job);
            job.window_x = 3;
            job.window_y = 2;
            job.window_width = outs[i][0] - 5;
            job.window_height = outs[i][1] - 6;
            run(part, in, &job);
            for (size_t y = 0; y < job.window_height; y++) {
                cr_assert_arr_eq(part + y * job.window_width * channels,
                                 full + ((y + 2) * outs[i][0] + 3) * channels,
                                 job.window_width * channels, "filter %d size %zu row %zu", filter,
                                 i, y);
            }
        }
    }
}

Test(resize, channels_do_not_mix) {
    unsigned char rgb[30 * 20 * 3], gray[30 * 20], out_rgb[13 * 9 * 3], out_gray[13 * 9];

    fill(rgb, sizeof rgb);
    for (int filter = 0; filter < TARE_FILTER_COUNT; filter++) {
        const tare_resize color =
            whole((tare_filter)filter, 3, (const size_t[2]){30, 20}, (const size_t[2]){13, 9});
        const tare_resize plain =
            whole((tare_filter)filter, 1, (const size_t[2]){30, 20}, (const size_t[2]){13, 9});
        run(out_rgb, rgb, &color);
        for (size_t c = 0; c < 3; c++) {
            for (size_t i = 0; i < sizeof gray; i++) {
                gray[i] = rgb[3 * i + c];
            }
            run(out_gray, gray, &plain);
            for (size_t i = 0; i < sizeof out_gray; i++) {
                cr_assert_eq(out_gray[i], out_rgb[3 * i + c], "filter %d channel %zu pixel %zu",
                             filter, c, i);
            }
        }
    }
}

Test(resize, area_is_the_mean) {
    unsigned char in[36 * 24], out[9 * 4];
    const tare_resize job =
        whole(TARE_FILTER_AREA, 1, (const size_t[2]){36, 24}, (const size_t[2]){9, 4});

    fill(in, sizeof in);
    run(out, in, &job);
    for (size_t i = 0; i < sizeof out; i++) {
        double sum = 0;
        for (size_t k = 0; k < 24; k++) {
            sum += in[(i / 9 * 6 + k / 4) * 36 + i % 9 * 4 + k % 4];
        }
        cr_assert_leq(abs((int)(sum / 24 * 1000) - out[i] * 1000), 500 + 1, "pixel %zu", i);
    }
}
