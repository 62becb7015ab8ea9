/* SPDX-License-Identifier: Apache-2.0 */
/** `tare bench`: how fast a model runs, and how fast it is calibrated. */
#include "cli/command.h"
#include "cli/options.h"
#include "cli/progress.h"
#include "cli/report.h"

static const char *const collections[] = {"ranges", "all", NULL};

static const tare_cli_option options[] = {
    {"--data", "-d", "PATH", "run these samples instead of made-up ones", &tare_cli_text,
     TARE_CLI_FIELD(data), NULL, false},
    {"--preprocess", "-p", "NAME|FILE", "imagenet, imagenet-tf, unit, raw, or a JSON description",
     &tare_cli_text, TARE_CLI_FIELD(preprocess), NULL, false},
    {"--seconds", NULL, "TIME", "measure each side for that long (default 3s)", &tare_cli_time,
     TARE_CLI_FIELD(seconds), NULL, false},
    {"--method", "-m", "NAME", "take the statistics this method needs (default minmax)",
     &tare_cli_text, TARE_CLI_FIELD(method), NULL, false},
    {"--collect", NULL, "NAME", "instead, as 'tare calibrate' does: ranges or all", &tare_cli_text,
     TARE_CLI_FIELD(collect), collections, false},
    {"--layers", NULL, NULL, "time each step, too", &tare_cli_switch, TARE_CLI_FIELD(layers), NULL,
     false},
    {"--target", NULL, "NAME", "runtime to quantize for (default openvino)", &tare_cli_text,
     TARE_CLI_FIELD(target), NULL, false},
    TARE_CLI_SKIP_OPTION,
    TARE_CLI_RUN_OPTIONS,
    TARE_CLI_JSON_OPTION,
    TARE_CLI_QUIET_OPTION,
};

static int bench(const tare_cli_command *command, const tare_cli_arguments *arguments) {
    tare_model *model = NULL;
    tare_dataset *dataset = NULL;
    tare_report *report = NULL;
    tare_error err = {0};
    tare_cli_progress progress;
    tare_bench_options settings;
    int code = TARE_CLI_EXIT_OK;

    tare_cli_progress_init(&progress, arguments);
    progress.unit = "repetitions";
    tare_cli_bench_options(&settings, &progress, arguments);

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
    status = tare_bench(&report, model, dataset, &settings, &err);
    tare_cli_progress_end(&progress);
    code = status == TARE_OK ? tare_cli_report(report, arguments)
                             : tare_cli_fail_run(status, &err, arguments);

done:
    tare_report_free(report);
    tare_dataset_free(dataset);
    tare_model_free(model);
    return code;
}

static int run(const tare_cli_command *command, const tare_cli_arguments *arguments) {
    if (arguments->method != NULL && arguments->collect != NULL) {
        return tare_cli_fail_usage(command, "--method and --collect exclude each other");
    }
    if (arguments->preprocess != NULL && arguments->data == NULL) {
        return tare_cli_fail_usage(command, "--preprocess goes with --data");
    }
    const int code = tare_cli_check_output(arguments->json);
    return code == TARE_CLI_EXIT_OK ? bench(command, arguments) : code;
}

const tare_cli_command tare_cli_bench = {
    .name = "bench",
    .usage = "MODEL [options]",
    .summary = "measure how fast a model runs, and how fast it is calibrated",
    .description =
        "Runs the model with and without taking the statistics of a calibration, in turns, on\n"
        "samples that stay in memory, and writes samples per second of both and their ratio, the\n"
        "memory planned and used, and how long it takes to start.\n",
    .example = "  tare bench resnet50.onnx --device cuda --precision fp16 --batch 64\n"
               "  tare bench detector.onnx --shape images=1x3x640x640 --collect all --layers\n",
    .options = options,
    .option_count = sizeof(options) / sizeof(options[0]),
    .takes_model = true,
    .run = run,
};
