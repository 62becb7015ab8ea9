/* SPDX-License-Identifier: Apache-2.0 */
/** The library through its public header alone: what a program in C can do. */
#include <criterion/criterion.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "tare.h"

#define SHAPES TARE_SOURCE_DIR "/examples/shapes/"

static tare_model *open_model(void) {
    tare_model *model = NULL;
    tare_error err;
    cr_assert_eq(tare_model_open(&model, SHAPES "shapes.onnx", &err), TARE_OK, "%s", err.text);
    return model;
}

/* What the function makes of an index; `mode` makes it misbehave. */
typedef struct maker {
    int mode;
    const char *name;
} maker;

static tare_status make_sample(void *user, uint64_t index, tare_sample_sink *sink,
                               tare_error *err) {
    const maker *m = user;
    float pixels[3 * 32 * 32];
    tare_array_view view = {.name = m->name,
                            .element = TARE_FLOAT32,
                            .rank = 4,
                            .dims = {1, 3, 32, 32},
                            .data = pixels};
    for (size_t i = 0; i < sizeof pixels / sizeof pixels[0]; i++) {
        pixels[i] = (float)((i * 7 + index * 13) % 256) / 255.0F;
    }
    if (m->mode == 1 && index == 3) {
        pixels[5] = NAN;
    }
    if (m->mode == 2 && index == 4) {
        view.dims[3] = 16;
    }
    if (m->mode == 3 && index >= 2) {
        return TARE_IO;
    }
    return tare_sample_add(sink, &view, err);
}

static tare_status quantize(const char *path, int mode, const char *name,
                            tare_quantize_options *options, tare_report **report, tare_error *err) {
    maker m = {.mode = mode, .name = name};
    tare_model *model = open_model();
    tare_dataset *dataset = NULL;
    tare_status status = tare_dataset_from_function(&dataset, 8, make_sample, &m, err);
    cr_assert_eq(status, TARE_OK);
    cr_assert_eq(tare_dataset_count(dataset), 8);
    status = tare_quantize(model, dataset, path, options, report, err);
    tare_dataset_free(dataset);
    tare_model_free(model);
    return status;
}

static void expect_failure(int mode, tare_status expected, const char *first, const char *second) {
    const char *path = "/tmp/tare-api-failure.onnx";
    tare_quantize_options options;
    tare_report *report = NULL;
    tare_error err;
    tare_quantize_options_init(&options);
    options.run.threads = 2;
    cr_assert_eq(quantize(path, mode, "image", &options, &report, &err), expected, "%s", err.text);
    cr_assert_not_null(strstr(err.text, first), "%s", err.text);
    cr_assert_not_null(strstr(err.text, second), "%s", err.text);
    cr_assert_neq(access(path, F_OK), 0, "nothing is written");
    cr_assert_null(report);
}

Test(api, a_function_as_data_gives_a_quantized_model_and_a_report) {
    char path[] = "/tmp/tare-api-XXXXXX";
    tare_quantize_options options;
    tare_report *report = NULL;
    tare_model *model = NULL;
    tare_error err;
    close(mkstemp(path));
    tare_quantize_options_init(&options);
    cr_assert_eq(options.samples, 300);
    cr_assert_eq(quantize(path, 0, "image", &options, &report, &err), TARE_OK, "%s", err.text);
    cr_assert_not_null(strstr(tare_report_text(report), "8 of 8 samples"));
    cr_assert_not_null(strstr(tare_report_json(report), "\"quantizers\""));
    tare_report_free(report);
    cr_assert_eq(tare_model_open(&model, path, &err), TARE_OK);
    cr_assert_eq(tare_model_input_count(model), 1);
    cr_assert_str_eq(tare_model_input_name(model, 0), "image");
    cr_assert_null(tare_model_input_name(model, 1));
    tare_model_free(model);
    cr_assert_eq(quantize(path, 0, NULL, &options, NULL, &err), TARE_OK,
                 "the only input needs no name");
    unlink(path);
}

Test(api, a_path_need_not_be_utf_8) {
    static const char path[] = "/tmp/tare-api-caf\xE9.onnx";
    tare_quantize_options options;
    tare_report *report = NULL;
    tare_error err;
    tare_quantize_options_init(&options);
    cr_assert_eq(quantize(path, 0, "image", &options, &report, &err), TARE_OK, "%s", err.text);
    cr_assert_not_null(strstr(tare_report_json(report), "caf\\\\xE9.onnx"), "the byte is escaped");
    tare_report_free(report);
    cr_assert_eq(unlink(path), 0);
}

Test(api, nan_in_a_sample_is_named_with_sample_and_tensor) {
    expect_failure(1, TARE_INVALID_ARGUMENT, "sample 3", "'image'");
}

Test(api, a_sample_of_another_shape_is_named) {
    expect_failure(2, TARE_INVALID_ARGUMENT, "sample 4", "[1x3x32x16]");
}

Test(api, a_failing_function_is_reported_at_its_first_sample) {
    expect_failure(3, TARE_IO, "sample 2", "function");
}

static bool stop_at_once(void *user, const tare_progress *progress) {
    ++*(int *)user;
    (void)progress;
    return false;
}

Test(api, the_progress_function_can_stop_a_run) {
    tare_quantize_options options;
    tare_error err;
    int calls = 0;
    tare_quantize_options_init(&options);
    options.run.progress = stop_at_once;
    options.run.user = &calls;
    cr_assert_eq(quantize("/tmp/tare-api-cancel.onnx", 0, "image", &options, NULL, &err),
                 TARE_CANCELLED);
    cr_assert_eq(calls, 1);
    cr_assert_neq(access("/tmp/tare-api-cancel.onnx", F_OK), 0);
}

Test(api, a_memory_limit_is_stated_and_kept) {
    tare_quantize_options options;
    tare_error err;
    tare_quantize_options_init(&options);
    options.run.memory_bytes = 100000;
    cr_assert_eq(quantize("/tmp/tare-api-memory.onnx", 0, "image", &options, NULL, &err),
                 TARE_OUT_OF_MEMORY);
    cr_assert_not_null(strstr(err.text, "100.0 kB"), "%s", err.text);
}

Test(api, running_checks_names_types_and_shapes) {
    tare_model *model = open_model();
    static float pixels[2 * 3 * 32 * 32];
    tare_array_view view = {
        .element = TARE_FLOAT32, .rank = 4, .dims = {2, 3, 32, 32}, .data = pixels};
    tare_run_options options;
    tare_outcome *outcome = NULL;
    tare_error err = {TARE_OK, "untouched"};
    tare_run_options_init(&options);
    cr_assert_eq(tare_model_run(&outcome, model, &view, 1, &options, &err), TARE_OK, "%s",
                 err.text);
    cr_assert_str_eq(err.text, "untouched", "success does not write the error");
    cr_assert_eq(tare_outcome_count(outcome), 1);
    const tare_array_view out = tare_outcome_get(outcome, 0);
    cr_assert_str_eq(out.name, "logits");
    cr_assert_eq(out.dims[0], 2);
    cr_assert_eq(memcmp(out.data, (const char *)out.data + 8 * sizeof(float), 8 * sizeof(float)), 0,
                 "equal samples have equal outputs");
    tare_outcome_free(outcome);

    view.dims[1] = 4;
    cr_assert_eq(tare_model_run(&outcome, model, &view, 1, &options, &err), TARE_INVALID_ARGUMENT);
    cr_assert_not_null(strstr(err.text, "[2x4x32x32]"), "%s", err.text);
    view.dims[1] = 3;
    view.dims[0] = -2;
    cr_assert_eq(tare_model_run(&outcome, model, &view, 1, &options, &err), TARE_INVALID_ARGUMENT);
    cr_assert_not_null(strstr(err.text, "dim 0 is -2"), "%s", err.text);
    view.dims[0] = 2;
    view.data = NULL;
    cr_assert_eq(tare_model_run(&outcome, model, &view, 1, &options, &err), TARE_INVALID_ARGUMENT);
    cr_assert_not_null(strstr(err.text, "has no data"), "%s", err.text);
    view.data = pixels;
    view.element = (tare_element)0;
    cr_assert_eq(tare_model_run(&outcome, model, &view, 1, &options, &err), TARE_INVALID_ARGUMENT);
    cr_assert_not_null(strstr(err.text, "element type"), "%s", err.text);
    view.element = TARE_FLOAT64;
    cr_assert_eq(tare_model_run(&outcome, model, &view, 1, &options, &err), TARE_INVALID_ARGUMENT);
    cr_assert_not_null(strstr(err.text, "float64"), "%s", err.text);
    view.element = TARE_FLOAT32;
    view.name = "nobody";
    cr_assert_eq(tare_model_run(&outcome, model, &view, 1, &options, &err), TARE_INVALID_ARGUMENT);
    cr_assert_not_null(strstr(err.text, "'nobody'"), "%s", err.text);
    cr_assert_eq(tare_model_run(&outcome, model, NULL, 0, &options, &err), TARE_INVALID_ARGUMENT);
    cr_assert_not_null(strstr(err.text, "'image'"), "%s", err.text);
    options.device = "abacus";
    cr_assert_eq(tare_model_run(&outcome, model, &view, 1, &options, &err), TARE_NOT_FOUND);
    tare_model_free(model);
}

/* Files of old exporters list weights among the inputs; feeding one would be ignored. */
Test(api, a_value_for_an_initializer_is_refused) {
    static const char path[] = TARE_SOURCE_DIR "/../shared/models/mnist/mnist_8.onnx";
    static float image[28 * 28], weight[8 * 5 * 5];
    const tare_array_view views[] = {{.name = "Input3",
                                      .element = TARE_FLOAT32,
                                      .rank = 4,
                                      .dims = {1, 1, 28, 28},
                                      .data = image},
                                     {.name = "Parameter5",
                                      .element = TARE_FLOAT32,
                                      .rank = 4,
                                      .dims = {8, 1, 5, 5},
                                      .data = weight}};
    tare_run_options options;
    tare_model *model = NULL;
    tare_outcome *outcome = NULL;
    tare_error err;
    tare_run_options_init(&options);
    cr_assert_eq(tare_model_open(&model, path, &err), TARE_OK, "%s", err.text);
    cr_assert_eq(tare_model_input_count(model), 1);
    cr_assert_eq(tare_model_run(&outcome, model, views, 2, &options, &err), TARE_UNSUPPORTED);
    cr_assert_not_null(strstr(err.text, "'Parameter5'"), "%s", err.text);
    cr_assert_eq(tare_model_run(&outcome, model, views, 1, &options, &err), TARE_OK, "%s",
                 err.text);
    tare_outcome_free(outcome);
    tare_model_free(model);
}

Test(api, null_is_freed) {
    tare_model_free(NULL);
    tare_dataset_free(NULL);
    tare_report_free(NULL);
    tare_outcome_free(NULL);
    tare_arrays_free(NULL);
}
