/* SPDX-License-Identifier: Apache-2.0 */
/** `tare run`: a model's outputs for arrays or for calibration data. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "cli/command.h"
#include "cli/options.h"
#include "cli/progress.h"
#include "cli/report.h"

static const tare_cli_option options[] = {
    {"--input", "-i", "FILE", ".npy, or .npz with one array per input of the model", &tare_cli_text,
     TARE_CLI_FIELD(input), NULL, false},
    {"--data", "-d", "PATH", "instead: a folder of images, an image, .npy or .npz of samples",
     &tare_cli_text, TARE_CLI_FIELD(data), NULL, false},
    {"--preprocess", "-p", "NAME|FILE", "imagenet, imagenet-tf, unit, raw, or a JSON description",
     &tare_cli_text, TARE_CLI_FIELD(preprocess), NULL, false},
    {"--output", "-o", "FILE", ".npy, or .npz with one array per output of the model",
     &tare_cli_text, TARE_CLI_FIELD(output), NULL, true},
    TARE_CLI_SKIP_OPTION,
    TARE_CLI_RUN_OPTIONS,
    TARE_CLI_QUIET_OPTION,
};

static bool has_ending(const char *path, const char *ending) {
    const size_t path_length = strlen(path);
    const size_t length = strlen(ending);
    return path_length > length && strcmp(path + path_length - length, ending) == 0;
}

/* Prints which names an .npz must hold, because a single .npy cannot say which array is which. */
static int fail_single(const tare_cli_command *command, const tare_model *model, bool outputs) {
    const size_t count = outputs ? tare_model_output_count(model) : tare_model_input_count(model);
    char names[256];
    tare_cli_list_names(names, sizeof(names), model, outputs);
    return tare_cli_fail_usage(command, "the model has %zu %s (%s), so --%s must be an .npz file",
                               count, outputs ? "outputs" : "inputs", names,
                               outputs ? "output" : "input");
}

static int check_model(const tare_cli_command *command, const tare_cli_arguments *arguments,
                       const tare_model *model) {
    if (has_ending(arguments->output, ".npy") && tare_model_output_count(model) != 1) {
        return fail_single(command, model, true);
    }
    if (arguments->input != NULL && has_ending(arguments->input, ".npy") &&
        tare_model_input_count(model) != 1) {
        return fail_single(command, model, false);
    }
    return tare_cli_check_shapes(command, arguments, model);
}

/* The library's way to report a failed allocation is not part of its interface. */
static tare_status new_views(tare_array_view **out, size_t count, const char *what,
                             tare_error *err) {
    *out = (tare_array_view *)calloc(count == 0 ? 1 : count, sizeof(**out));
    if (*out == NULL) {
        err->code = TARE_OUT_OF_MEMORY;
        (void)snprintf(err->text, sizeof(err->text), "out of memory: %zu bytes for %s",
                       count * sizeof(**out), what);
        return TARE_OUT_OF_MEMORY;
    }
    return TARE_OK;
}

static tare_status run_arrays(tare_outcome **out, const tare_model *model, const char *path,
                              const tare_run_options *settings, tare_error *err) {
    tare_arrays *arrays = NULL;
    tare_array_view *views = NULL;
    tare_status status = tare_arrays_read(&arrays, path, err);
    if (status != TARE_OK) {
        goto done;
    }
    const size_t count = tare_arrays_count(arrays);
    status = new_views(&views, count, "the inputs", err);
    if (status != TARE_OK) {
        goto done;
    }
    for (size_t i = 0; i < count; i++) {
        views[i] = tare_arrays_get(arrays, i);
    }
    status = tare_model_run(out, model, views, count, settings, err);

done:
    free(views);
    tare_arrays_free(arrays);
    return status;
}

static tare_status run_dataset(tare_outcome **out, const tare_model *model,
                               const tare_cli_arguments *arguments,
                               const tare_run_options *settings, tare_error *err) {
    tare_dataset *dataset = NULL;
    tare_status status = tare_dataset_open(&dataset, arguments->data, arguments->preprocess, err);
    if (status == TARE_OK) {
        tare_cli_signal_catch();
        status = tare_model_run_dataset(out, model, dataset, settings, err);
    }
    tare_dataset_free(dataset);
    return status;
}

static tare_status write_outcome(const char *path, const tare_outcome *outcome, tare_error *err) {
    const size_t count = tare_outcome_count(outcome);
    tare_array_view *views = NULL;
    tare_status status = new_views(&views, count, "the outputs", err);
    if (status != TARE_OK) {
        return status;
    }
    for (size_t i = 0; i < count; i++) {
        views[i] = tare_outcome_get(outcome, i);
    }
    status = tare_arrays_write(path, views, count, err);
    free(views);
    return status;
}

static void print_outcome(const char *path, const tare_outcome *outcome) {
    for (size_t i = 0; i < tare_outcome_count(outcome); i++) {
        const tare_array_view view = tare_outcome_get(outcome, i);
        printf("%s ", view.name);
        for (int axis = 0; axis < view.rank; axis++) {
            printf("%s%lld", axis == 0 ? "" : "x", (long long)view.dims[axis]);
        }
        printf("%s -> %s\n", view.rank == 0 ? "scalar" : "", path);
    }
}

static int execute(const tare_cli_command *command, const tare_cli_arguments *arguments) {
    tare_model *model = NULL;
    tare_outcome *outcome = NULL;
    tare_error err = {0};
    tare_cli_progress progress;
    tare_run_options settings;

    tare_cli_progress_init(&progress, arguments);
    tare_cli_run_options(&settings, &progress, arguments);
    tare_status status = tare_model_open(&model, arguments->model, &err);
    if (status != TARE_OK) {
        return tare_cli_fail(status, &err);
    }
    int code = check_model(command, arguments, model);
    if (code != TARE_CLI_EXIT_OK) {
        goto done;
    }
    status = arguments->input != NULL
                 ? run_arrays(&outcome, model, arguments->input, &settings, &err)
                 : run_dataset(&outcome, model, arguments, &settings, &err);
    tare_cli_progress_end(&progress);
    if (status != TARE_OK) {
        code = tare_cli_fail_run(status, &err, arguments);
        goto done;
    }
    status = write_outcome(arguments->output, outcome, &err);
    if (status != TARE_OK) {
        code = tare_cli_fail(status, &err);
        goto done;
    }
    if (!arguments->quiet) {
        print_outcome(arguments->output, outcome);
        code = tare_cli_flush();
    }

done:
    tare_outcome_free(outcome);
    tare_model_free(model);
    return code;
}

static int run(const tare_cli_command *command, const tare_cli_arguments *arguments) {
    if ((arguments->input == NULL) == (arguments->data == NULL)) {
        return tare_cli_fail_usage(command, "exactly one of --input and --data is needed");
    }
    if (arguments->input != NULL && arguments->preprocess != NULL) {
        return tare_cli_fail_usage(command, "--preprocess goes with --data, not with --input");
    }
    if (!has_ending(arguments->output, ".npy") && !has_ending(arguments->output, ".npz")) {
        return tare_cli_fail_usage(command, "--output must end in .npy or .npz, got '%s'",
                                   arguments->output);
    }
    const int code = tare_cli_check_outputs(command, arguments);
    return code == TARE_CLI_EXIT_OK ? execute(command, arguments) : code;
}

const tare_cli_command tare_cli_run = {
    .name = "run",
    .usage = "MODEL (--input FILE | --data PATH) --output FILE [options]",
    .summary = "run a model and write its outputs",
    .description =
        "Runs the model once on the arrays of a file, or on every sample of a data set;\n"
        "the outputs of samples are joined along their first axis.\n",
    .example = "  tare run mobilenet.onnx --data photographs/ --preprocess imagenet-tf \\\n"
               "      --output logits.npy\n",
    .options = options,
    .option_count = sizeof(options) / sizeof(options[0]),
    .takes_model = true,
    .run = run,
};
