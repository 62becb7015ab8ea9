/* SPDX-License-Identifier: Apache-2.0 */
/** Calibration states through the public header alone: cancelling, resuming, merging, quantizing.
 */
#include <criterion/criterion.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "tare.h"

#define SAMPLES 40

/* Paths in a folder of this test. */
typedef struct place {
    char folder[32];
    char path[8][64];
} place;

static place make_place(void) {
    static const char *const names[8] = {"whole", "part", "part.partial", "a", "b", "ab", "d", "s"};
    place p = {.folder = "/tmp/tare-api-XXXXXX"};
    cr_assert_not_null(mkdtemp(p.folder));
    for (size_t i = 0; i < 8; i++) {
        (void)snprintf(p.path[i], sizeof p.path[i], "%s/%s", p.folder, names[i]);
    }
    return p;
}

static void remove_place(const place *p) {
    for (size_t i = 0; i < 8; i++) {
        (void)remove(p->path[i]);
    }
    cr_assert_eq(rmdir(p->folder), 0, "something else is left in %s", p->folder);
}

static tare_status make_sample(void *user, uint64_t index, tare_sample_sink *sink,
                               tare_error *err) {
    static const size_t count = 3 * 32 * 32;
    float pixels[3 * 32 * 32];
    const tare_array_view view = {
        .element = TARE_FLOAT32, .rank = 4, .dims = {1, 3, 32, 32}, .data = pixels};
    (void)user;
    /* The same content twice: only the name tells the samples apart. */
    for (size_t i = 0; i < count; i++) {
        pixels[i] = (float)((i * 7 + index / 2 * 13) % 256) / 255.0F;
    }
    return tare_sample_add(sink, &view, err);
}

static tare_status calibrate(const char *path, const tare_calibrate_options *options,
                             tare_error *err) {
    tare_model *model = NULL;
    tare_dataset *data = NULL;
    tare_status status;
    cr_assert_eq(tare_model_open(&model, TARE_SOURCE_DIR "/examples/shapes/shapes.onnx", err),
                 TARE_OK);
    cr_assert_eq(tare_dataset_from_function(&data, SAMPLES, make_sample, NULL, err), TARE_OK);
    status = tare_calibrate(model, data, path, options, NULL, err);
    tare_dataset_free(data);
    tare_model_free(model);
    return status;
}

static tare_calibrate_options defaults(void) {
    tare_calibrate_options options;
    tare_calibrate_options_init(&options);
    options.run.threads = 2;
    return options;
}

static void expect_equal_files(const char *a, const char *b) {
    FILE *first = fopen(a, "rb"), *second = fopen(b, "rb");
    int x, y;
    cr_assert_not_null(first);
    cr_assert_not_null(second);
    do {
        x = fgetc(first);
        y = fgetc(second);
        cr_assert_eq(x, y, "%s and %s differ", a, b);
    } while (x != EOF);
    (void)fclose(first);
    (void)fclose(second);
}

static bool stop_after_a_few(void *user, const tare_progress *progress) {
    (void)user;
    return progress->done < 3;
}

Test(api_state, a_cancelled_run_leaves_a_checkpoint_to_resume_from) {
    place p = make_place();
    tare_calibrate_options options = defaults();
    tare_error err;
    cr_assert_eq(calibrate(p.path[0], &options, &err), TARE_OK, "%s", err.text);

    options.run.progress = stop_after_a_few;
    options.checkpoint_seconds = 0.001;
    const tare_status status = calibrate(p.path[1], &options, &err);
    options.run.progress = NULL;
    if (status == TARE_CANCELLED) {
        cr_assert_eq(access(p.path[2], F_OK), 0);
        cr_assert_neq(access(p.path[1], F_OK), 0);
        cr_assert_eq(calibrate(p.path[1], &options, &err), TARE_INVALID_ARGUMENT);
        cr_assert_not_null(strstr(err.text, "unfinished"), "%s", err.text);
    }
    options.resume = true;
    cr_assert_eq(calibrate(p.path[1], &options, &err), TARE_OK, "%s", err.text);
    cr_assert_neq(access(p.path[2], F_OK), 0);
    expect_equal_files(p.path[0], p.path[1]);
    remove_place(&p);
}

Test(api_state, shards_merge_to_the_whole) {
    place p = make_place();
    tare_calibrate_options options = defaults();
    tare_report *report = NULL;
    tare_error err;
    const char *paths[2] = {p.path[4], p.path[3]};
    cr_assert_eq(calibrate(p.path[0], &options, &err), TARE_OK);
    options.shards = 2;
    for (uint64_t i = 1; i <= 2; i++) {
        options.shard = i;
        cr_assert_eq(calibrate(p.path[2 + i], &options, &err), TARE_OK);
    }
    cr_assert_eq(tare_merge(paths, 2, p.path[5], false, &report, &err), TARE_OK, "%s", err.text);
    cr_assert_not_null(strstr(tare_report_text(report), "40 samples"));
    tare_report_free(report);
    expect_equal_files(p.path[0], p.path[5]);

    paths[1] = p.path[0];
    cr_assert_eq(tare_merge(paths, 2, p.path[5], false, NULL, &err), TARE_INVALID_ARGUMENT);
    cr_assert_not_null(strstr(err.text, "19 more"), "%s", err.text);
    cr_assert_eq(tare_merge(paths, 0, p.path[5], false, NULL, &err), TARE_INVALID_ARGUMENT);
    expect_equal_files(p.path[0], p.path[5]);

    cr_assert_eq(tare_describe_state(&report, p.path[0], &err), TARE_OK);
    cr_assert_not_null(strstr(tare_report_json(report), "\"sample 39\""));
    tare_report_free(report);
    remove_place(&p);
}

Test(api_state, a_state_quantizes_as_data_does) {
    place p = make_place();
    tare_calibrate_options options = defaults();
    tare_quantize_options quantize;
    tare_model *model = NULL;
    tare_dataset *data = NULL;
    tare_report *report = NULL;
    tare_error err;
    tare_quantize_options_init(&quantize);
    quantize.method = "percentile=99.5";
    cr_assert_eq(calibrate(p.path[0], &options, &err), TARE_OK);
    cr_assert_eq(tare_model_open(&model, TARE_SOURCE_DIR "/examples/shapes/shapes.onnx", &err),
                 TARE_OK);
    cr_assert_eq(tare_dataset_from_function(&data, SAMPLES, make_sample, NULL, &err), TARE_OK);
    cr_assert_eq(tare_quantize(model, data, p.path[6], &quantize, NULL, &err), TARE_OK, "%s",
                 err.text);
    cr_assert_eq(tare_quantize_state(model, p.path[0], p.path[7], &quantize, &report, &err),
                 TARE_OK, "%s", err.text);
    cr_assert_not_null(strstr(tare_report_json(report), "\"percentile\""));
    expect_equal_files(p.path[6], p.path[7]);
    tare_report_free(report);

    quantize.method = "guess";
    cr_assert_eq(tare_quantize_state(model, p.path[0], p.path[7], &quantize, &report, &err),
                 TARE_NOT_FOUND);
    cr_assert_null(report);
    quantize.method = NULL;
    cr_assert_eq(tare_quantize_state(model, p.path[6], p.path[7], &quantize, NULL, &err),
                 TARE_INVALID_ARGUMENT);
    cr_assert_not_null(strstr(err.text, "no calibration state"), "%s", err.text);
    tare_dataset_free(data);
    tare_model_free(model);
    remove_place(&p);
}

Test(api_state, impossible_shards_are_refused) {
    place p = make_place();
    tare_calibrate_options options = defaults();
    tare_error err;
    options.shard = 3;
    options.shards = 2;
    cr_assert_eq(calibrate(p.path[0], &options, &err), TARE_INVALID_ARGUMENT);
    options.shard = 0;
    cr_assert_eq(calibrate(p.path[0], &options, &err), TARE_INVALID_ARGUMENT);
    options.shard = 41;
    options.shards = 41;
    cr_assert_eq(calibrate(p.path[0], &options, &err), TARE_INVALID_ARGUMENT);
    cr_assert_not_null(strstr(err.text, "41 shards of 40 samples"), "%s", err.text);
    remove_place(&p);
}
