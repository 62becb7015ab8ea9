/* SPDX-License-Identifier: Apache-2.0 */
/** `tare quantize`: from a float model and calibration data to a quantized model. */
#include "cli/command.h"
#include "cli/options.h"
#include "cli/progress.h"
#include "cli/report.h"

static const tare_cli_option options[] = {
    {"--data", "-d", "PATH", "folder of images, an image, .npy or .npz", &tare_cli_text,
     TARE_CLI_FIELD(data), NULL, false},
    {"--state", "-s", "FILE", "instead: a calibration state", &tare_cli_text, TARE_CLI_FIELD(state),
     NULL, false},
    {"--output", "-o", "FILE", "where the quantized model goes", &tare_cli_text,
     TARE_CLI_FIELD(output), NULL, true},
    {"--preprocess", "-p", "NAME|FILE", "imagenet, imagenet-tf, unit, raw, or a JSON description",
     &tare_cli_text, TARE_CLI_FIELD(preprocess), NULL, false},
    {"--samples", "-n", "N", "use the first N samples at most (default 300)", &tare_cli_count,
     TARE_CLI_FIELD(samples), NULL, false},
    {"--method", "-m", "NAME", "how ranges are chosen, as percentile=99.9 (default minmax)",
     &tare_cli_text, TARE_CLI_FIELD(method), NULL, false},
    TARE_CLI_PLACEMENT_OPTIONS,
    TARE_CLI_SKIP_OPTION,
    TARE_CLI_RUN_OPTIONS,
    TARE_CLI_JSON_OPTION,
    TARE_CLI_QUIET_OPTION,
};

static int quantize(const tare_cli_command *command, const tare_cli_arguments *arguments) {
    tare_model *model = NULL;
    tare_dataset *dataset = NULL;
    tare_report *report = NULL;
    tare_error err = {0};
    tare_cli_progress progress;
    tare_quantize_options settings;
    int code = TARE_CLI_EXIT_OK;

    tare_cli_progress_init(&progress, arguments);
    tare_cli_quantize_options(&settings, &progress, arguments);
    tare_cli_signal_catch();

    tare_status status = tare_model_open(&model, arguments->model, &err);
    if (status == TARE_OK && arguments->data != NULL) {
        status = tare_dataset_open(&dataset, arguments->data, arguments->preprocess, &err);
    }
    if (status != TARE_OK) {
        code = tare_cli_fail(status, &err);
        goto done;
    }
    code = tare_cli_check_shapes(command, arguments, model);
    if (code != TARE_CLI_EXIT_OK) {
        goto done;
    }
    status = arguments->state != NULL
                 ? tare_quantize_state(model, arguments->state, arguments->output, &settings,
                                       &report, &err)
                 : tare_quantize(model, dataset, arguments->output, &settings, &report, &err);
    tare_cli_progress_end(&progress);
    if (status != TARE_OK) {
        code = tare_cli_fail_run(status, &err, arguments);
        goto done;
    }
    code = tare_cli_report(report, arguments);

done:
    tare_report_free(report);
    tare_dataset_free(dataset);
    tare_model_free(model);
    return code;
}

/* What says how data are read means nothing where none are read. */
static int check_source(const tare_cli_command *command, const tare_cli_arguments *arguments) {
    if ((arguments->data == NULL) == (arguments->state == NULL)) {
        return tare_cli_fail_usage(command, "exactly one of --data and --state is needed");
    }
    if (arguments->state != NULL && (arguments->preprocess != NULL || arguments->samples != 0 ||
                                     arguments->skip_bad || arguments->shapes.count > 0)) {
        return tare_cli_fail_usage(
            command, "--preprocess, --samples, --skip-bad and --shape go with --data");
    }
    return TARE_CLI_EXIT_OK;
}

static int run(const tare_cli_command *command, const tare_cli_arguments *arguments) {
    if (check_source(command, arguments) != TARE_CLI_EXIT_OK) {
        return TARE_CLI_EXIT_USAGE;
    }
    const int code = tare_cli_check_outputs(command, arguments);
    return code == TARE_CLI_EXIT_OK ? quantize(command, arguments) : code;
}

const tare_cli_command tare_cli_quantize = {
    .name = "quantize",
    .usage = "MODEL (--data PATH | --state FILE) --output FILE [options]",
    .summary = "write an int8 model from a float model and calibration data",
    .description =
        "Runs the float ONNX model on the data, chooses scales and zero points from what flows\n"
        "through it, and writes a model with QuantizeLinear and DequantizeLinear nodes. With a\n"
        "state of 'tare calibrate' nothing is run.\n",
    .example = "  tare quantize resnet50.onnx --data photographs/ --preprocess imagenet \\\n"
               "      --output resnet50.int8.onnx\n"
               "  tare quantize resnet50.onnx --state resnet50.tare --method mse -o r.onnx\n",
    .options = options,
    .option_count = sizeof(options) / sizeof(options[0]),
    .takes_model = true,
    .run = run,
};
