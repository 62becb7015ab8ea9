/* SPDX-License-Identifier: Apache-2.0 */
/** Calibration states as files: what is written is read again, and what differs is named. */
#include <criterion/criterion.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/file.h"
#include "cpu/backend.h"
#include "stats/safetensors.h"
#include "stats/state_file.h"

static const tare_collect_window windows[] = {
    {.kernel = {1, 2}, .stride = {1, 1}, .dilation = {1, 1}, .padding = {0, 1}, .output = {2, 2}},
    {.kernel = {2, 1}, .stride = {1, 1}, .dilation = {1, 1}, .padding = {0, 0}, .output = {1, 1}}};

static const tare_stat_point points[] = {{.value = 3, .tensor = "a"},
                                         {.value = 7,
                                          .tensor = "\xff/b",
                                          .channels = 2,
                                          .axis = 1,
                                          .windows = windows,
                                          .window_count = 2}};

static const tare_state_input inputs[] = {
    {.name = "x", .element = TARE_FLOAT32, .rank = 4, .dims = {1, 2, 2, 1}}};

static const tare_state_identity identity = {.model = "0123",
                                             .preprocess = "{\"scale\":1,\"color\":\"RGB\"}",
                                             .precision = TARE_STATE_PRECISION,
                                             .inputs = inputs,
                                             .input_count = 1};

static tare_state *make_state(unsigned collect) {
    static const float data[2][4] = {{-1, 0, 2, 3}, {0.5F, -300, 0, 5}};
    const tare_state_spec spec = {
        .points = points, .point_count = 2, .collect = collect, .quantile = 0.25};
    const tare_desc desc = {.dtype = TARE_DTYPE_FLOAT, .rank = 4, .dims = {1, 2, 2, 1}};
    tare_state *state = NULL;
    tare_state_lane *lane = NULL;
    cr_assert_eq(tare_state_new(&state, &spec, 3, NULL), TARE_OK);
    cr_assert_eq(tare_state_lane_new(&lane, state, NULL), TARE_OK);
    for (size_t i = 0; i < 2; i++) {
        const tare_state_sample sample = {.id = 9 - i, .name = i == 0 ? "nine" : "eight"};
        for (size_t p = 0; p < 2; p++) {
            const tare_state_entry entry = {.point = p, .slot = i, .desc = &desc, .data = data[i]};
            cr_assert_eq(tare_state_record(lane, &tare_backend_cpu, &entry, NULL), TARE_OK);
        }
        cr_assert_eq(tare_state_complete(state, i, &sample, NULL), TARE_OK);
    }
    tare_state_merge(state, lane);
    tare_state_lane_free(lane);
    tare_state_settle(state);
    return state;
}

/* The bytes of a written state; the caller frees. */
static unsigned char *written(size_t *bytes, const tare_state *state) {
    char path[] = "/tmp/tare-state-XXXXXX";
    tare_mapping mapping;
    unsigned char *copy;
    tare_error err = {0};
    const int descriptor = mkstemp(path);
    cr_assert_geq(descriptor, 0);
    (void)close(descriptor);
    cr_assert_eq(tare_state_write(path, state, &identity, &err), TARE_OK, "%s", err.text);
    cr_assert_eq(tare_mapping_open(&mapping, path, &err), TARE_OK);
    *bytes = mapping.bytes;
    copy = malloc(mapping.bytes + 1);
    memcpy(copy, mapping.data, mapping.bytes);
    tare_mapping_release(&mapping);
    (void)unlink(path);
    return copy;
}

Test(state_file, what_is_written_is_read) {
    static const unsigned collects[] = {
        TARE_COLLECT_RANGES,    TARE_COLLECT_ALL,
        TARE_COLLECT_CODES,     TARE_COLLECT_SUMS,
        TARE_COLLECT_WINDOWS,   TARE_COLLECT_SUMS | TARE_COLLECT_WINDOWS,
        TARE_COLLECT_QUANTILES, TARE_COLLECT_MEANS | TARE_COLLECT_MAGNITUDES,
        TARE_COLLECT_ANYTHING};
    for (size_t i = 0; i < sizeof collects / sizeof collects[0]; i++) {
        tare_state *state = make_state(collects[i]);
        const tare_state_spec spec = tare_state_spec_of(state);
        tare_sample_numbers numbers;
        tare_state_file file;
        tare_error err = {0};
        size_t bytes = 0, bytes_again = 0;
        unsigned char *first = written(&bytes, state), *second;
        cr_assert_eq(tare_state_read_memory(&file, first, bytes, &err), TARE_OK, "%s", err.text);
        cr_assert_eq(tare_state_identity_check(&file.identity, &identity, NULL), TARE_OK);
        cr_assert_eq(tare_state_check_spec(file.state, &spec, NULL), TARE_OK);
        cr_assert_str_eq(tare_state_sample_at(file.state, 0).name, "eight");
        cr_assert(tare_state_sample_numbers(&numbers, file.state, 0, 0));
        cr_assert_eq(numbers.of[TARE_SAMPLE_MIN], -300.0F);
        cr_assert_eq(isnan(numbers.of[TARE_SAMPLE_HIGH]),
                     (collects[i] & TARE_COLLECT_QUANTILES) == 0);
        cr_assert_eq(tare_state_channel_max(file.state, 1)[1], 5.0F);
        cr_assert_eq(tare_state_counts_of(file.state, 0).elements, 8);
        cr_assert_eq(tare_state_counts_of(file.state, 1).zeros, 2);
        cr_assert_eq(tare_state_codes(file.state, 0) == NULL,
                     (collects[i] & TARE_COLLECT_CODES) == 0);
        cr_assert_eq(tare_state_channel_sums(file.state, 1) == NULL,
                     (collects[i] & TARE_COLLECT_SUMS) == 0);
        cr_assert_eq(tare_state_window_sums(file.state, 1, 1) == NULL,
                     (collects[i] & TARE_COLLECT_WINDOWS) == 0);
        if ((collects[i] & TARE_COLLECT_SUMS) != 0) {
            cr_assert_eq(tare_exact_sum_value(tare_state_channel_sums(file.state, 1)), -300.5);
        }
        if ((collects[i] & TARE_COLLECT_WINDOWS) != 0) {
            cr_assert_eq(tare_exact_sum_value(&tare_state_window_sums(file.state, 1, 1)[3]), 8.0);
        }
        for (size_t p = 0; p < 2 && (collects[i] & TARE_COLLECT_CODES) != 0; p++) {
            cr_assert(tare_code_histogram_equal(tare_state_codes(file.state, p),
                                                tare_state_codes(state, p)));
        }
        second = written(&bytes_again, file.state);
        cr_assert_eq(bytes, bytes_again);
        cr_assert_eq(memcmp(first, second, bytes), 0);
        free(first);
        free(second);
        tare_state_file_release(&file);
        tare_state_free(state);
    }
}

Test(state_file, every_flipped_bit_is_seen) {
    tare_state *state = make_state(TARE_COLLECT_ALL);
    size_t bytes = 0;
    unsigned char *content = written(&bytes, state);
    for (size_t bit = 0; bit < 8 * bytes; bit += bit < 3000 ? 1 : 61) {
        tare_state_file file;
        content[bit / 8] ^= (unsigned char)(1U << bit % 8);
        cr_assert_neq(tare_state_read_memory(&file, content, bytes, NULL), TARE_OK, "bit %zu", bit);
        tare_state_file_release(&file);
        content[bit / 8] ^= (unsigned char)(1U << bit % 8);
    }
    free(content);
    tare_state_free(state);
}

/* With a checksum that is right again, what a number says must still be checked. */
Test(state_file, impossible_contents_are_refused) {
    static const struct {
        const char *old, *new, *text;
    } cases[] = {
        {"\"version\":\"3\"", "\"version\":\"2\"", "version '2' of the format"},
        {"\"quantile\":\"0.25", "\"quantile\":\"7.25", "its quantile is '7.25'"},
        {"\"quantile\":\"0.25", "\"quantile\":\"x.25", "its quantile is 'x.25'"},
        {"\"sample.id\":", "\"sample.ix\":", "'sample.id' is missing"},
        {"\"shape\":[2,2]", "\"shape\":[2,9]", "'sample.min'"},
        {"\"F32\"", "\"F64\"", "is not F32"},
        {"\"fields\":\"ranges codes ", "\"fields\":\"ranges cones ", "'cones' is nothing"},
        {"\"fields\":\"ranges codes ", "\"fields\":\"codes ranges ",
         "its fields are 'codes ranges sums windows quantiles', expected 'ranges codes sums "},
        {"\"fields\":\"ranges codes ", "\"fields\":\"ranges  sums ", "'' is nothing"},
        {"\"shape\":[2,10]", "\"shape\":[2,11]", "'window.shape'"},
        {"\"channel_sum\":", "\"channel_sun\":", "'channel_sum' is missing"},
        {"\"format\":\"tare-state\"", "\"format\":\"bare-state\"", "'bare-state'"},
    };
    tare_state *state = make_state(TARE_COLLECT_ALL);
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        size_t bytes = 0;
        unsigned char *content = written(&bytes, state);
        const size_t length = strlen(cases[i].old);
        tare_state_file file;
        tare_error err = {0};
        size_t at = 8;
        while (memcmp(content + at, cases[i].old, length) != 0) {
            at++;
        }
        memcpy(content + at, cases[i].new, length);
        tare_safetensors_seal(content, bytes);
        cr_assert_neq(tare_state_read_memory(&file, content, bytes, &err), TARE_OK);
        cr_assert_not_null(strstr(err.text, cases[i].text), "%s", err.text);
        tare_state_file_release(&file);
        free(content);
    }
    tare_state_free(state);
}

/* Where the bytes of a tensor of one byte per element begin. */
static unsigned char *tensor_in(unsigned char *content, const char *name) {
    char key[64];
    uint64_t header = 0, offset;
    const char *at;
    (void)snprintf(key, sizeof key, "\"%s\":{", name);
    memcpy(&header, content, sizeof header);
    at = strstr((const char *)content + 8, key);
    cr_assert_not_null(at);
    at = strstr(at, "\"data_offsets\":[");
    cr_assert_not_null(at);
    offset = strtoull(at + strlen("\"data_offsets\":["), NULL, 10);
    return content + 8 + header + offset;
}

/* Numbers that the checksum agrees with, but that contradict each other. */
Test(state_file, impossible_codes_are_refused) {
    static const struct {
        const char *tensor, *text;
        size_t at;
        unsigned char value;
    } cases[] = {
        {"codes", "does not agree with the codes", 0, 99},
        {"codes", "'codes'", 0, 0x80},
        {"codes.top", "'codes.top' does not agree with the samples' extremes", 0, 255},
        {"codes.top", "'codes.top' does not agree with the samples' extremes", 0, 0},
        {"codes.top", "'codes.top' does not agree with the samples' extremes", 0, 40},
        {"codes.span", "'counts' does not agree with the codes", 0, 1},
        {"codes.span", "'codes.span' holds an impossible code", 6, 9},
        {"sample.low", "'sample.low' holds what no sample has", 3, 0x7F},
        {"counts", "'counts'", 0, 9},
    };
    tare_state *state = make_state(TARE_COLLECT_ALL);
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        size_t bytes = 0;
        unsigned char *content = written(&bytes, state);
        unsigned char *at = tensor_in(content, cases[i].tensor) + cases[i].at;
        tare_state_file file;
        tare_error err = {0};
        cr_assert_neq(*at, cases[i].value);
        *at = cases[i].value;
        if (strcmp(cases[i].tensor, "sample.low") == 0) {
            at[-1] = 0x80; /* infinity */
            at[-2] = at[-3] = 0;
        }
        tare_safetensors_seal(content, bytes);
        cr_assert_neq(tare_state_read_memory(&file, content, bytes, &err), TARE_OK, "case %zu", i);
        cr_assert_not_null(strstr(err.text, cases[i].text), "case %zu: %s", i, err.text);
        tare_state_file_release(&file);
        free(content);
    }
    tare_state_free(state);
}

Test(state_file, differences_are_named) {
    tare_state_input wider = inputs[0];
    tare_state_identity others[5] = {identity, identity, identity, identity, identity};
    static const char *const texts[5] = {
        "the model 0123, expected 4567", "the precision float32, expected tf32",
        "the preprocessing \"color\": \"RGB\", expected \"BGR\"", "the preprocessing {\"scale\"",
        "input 'x' as float32 [1x2x2x1], expected float32 [1x2x3x1]"};
    wider.dims[2] = 3;
    others[0].model = "4567";
    others[1].precision = "tf32";
    others[2].preprocess = "{\"scale\":1,\"color\":\"BGR\"}";
    others[3].preprocess = "none";
    others[4].inputs = &wider;
    cr_assert_eq(tare_state_identity_check(&identity, &identity, NULL), TARE_OK);
    for (size_t i = 0; i < 5; i++) {
        tare_error err = {0};
        cr_assert_eq(tare_state_identity_check(&identity, &others[i], &err), TARE_INVALID_ARGUMENT);
        cr_assert_not_null(strstr(err.text, texts[i]), "%s", err.text);
    }
}
