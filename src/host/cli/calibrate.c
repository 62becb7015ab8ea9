/* SPDX-License-Identifier: Apache-2.0 */
/** `tare calibrate`: from a float model and calibration data to a calibration state. */
#include <stdio.h>

#include "cli/command.h"
#include "cli/options.h"
#include "cli/progress.h"
#include "cli/report.h"

static const tare_cli_option options[] = {
    {"--data", "-d", "PATH", "folder of images, an image, .npy or .npz", &tare_cli_text,
     TARE_CLI_FIELD(data), NULL, true},
    {"--output", "-o", "FILE", "where the state goes", &tare_cli_text, TARE_CLI_FIELD(output), NULL,
     true},
    {"--preprocess", "-p", "NAME|FILE", "imagenet, imagenet-tf, unit, raw, or a JSON description",
     &tare_cli_text, TARE_CLI_FIELD(preprocess), NULL, false},
    {"--samples", "-n", "N", "use the first N samples at most (default all)", &tare_cli_count,
     TARE_CLI_FIELD(samples), NULL, false},
    {"--shard", NULL, "I/N", "use every N-th sample, from the I-th on", &tare_cli_parts,
     TARE_CLI_FIELD(shard), NULL, false},
    {"--resume", NULL, NULL, "go on where an earlier run stopped", &tare_cli_switch,
     TARE_CLI_FIELD(resume), NULL, false},
    {"--checkpoint-every", NULL, "TIME", "save what is done so far (default 30s; 0: never)",
     &tare_cli_time, TARE_CLI_FIELD(checkpoint), NULL, false},
    {"--collect", NULL, "LIST", "all (default), or codes,quantiles,sums,windows,magnitudes,means",
     &tare_cli_text, TARE_CLI_FIELD(collect), NULL, false},
    {"--quantile", NULL, "P", "keep the quantiles P and 1-P of each sample (default 0.0001)",
     &tare_cli_half, TARE_CLI_FIELD(quantile), NULL, false},
    {"--target", NULL, "NAME", "runtime to quantize for (default openvino)", &tare_cli_text,
     TARE_CLI_FIELD(target), NULL, false},
    TARE_CLI_IGNORE_OPTIONS,
    TARE_CLI_SKIP_OPTION,
    TARE_CLI_RUN_OPTIONS,
    TARE_CLI_JSON_OPTION,
    TARE_CLI_QUIET_OPTION,
};

/* The library has noted what the checkpoint holds. */
static int fail(tare_status status, const tare_error *err, const tare_cli_arguments *arguments) {
    const int signal_number = tare_cli_signal_caught();
    if (status == TARE_CANCELLED && signal_number != 0) {
        (void)fputs("tare: error: interrupted; the state was not written\n", stderr);
        return TARE_CLI_EXIT_SIGNAL + signal_number;
    }
    return tare_cli_fail_run(status, err, arguments);
}

static int calibrate(const tare_cli_command *command, const tare_cli_arguments *arguments) {
    tare_model *model = NULL;
    tare_dataset *dataset = NULL;
    tare_report *report = NULL;
    tare_error err = {0};
    tare_cli_progress progress;
    tare_calibrate_options settings;
    int code = TARE_CLI_EXIT_OK;

    tare_cli_progress_init(&progress, arguments);
    tare_cli_calibrate_options(&settings, &progress, arguments);
    tare_cli_signal_catch();

    tare_status status = tare_model_open(&model, arguments->model, &err);
    if (status == TARE_OK) {
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
    status = tare_calibrate(model, dataset, arguments->output, &settings, &report, &err);
    tare_cli_progress_end(&progress);
    code = status == TARE_OK ? tare_cli_report(report, arguments) : fail(status, &err, arguments);

done:
    tare_report_free(report);
    tare_dataset_free(dataset);
    tare_model_free(model);
    return code;
}

static int run(const tare_cli_command *command, const tare_cli_arguments *arguments) {
    const int code = tare_cli_check_outputs(command, arguments);
    return code == TARE_CLI_EXIT_OK ? calibrate(command, arguments) : code;
}

const tare_cli_command tare_cli_calibrate = {
    .name = "calibrate",
    .usage = "MODEL --data PATH --output FILE [options]",
    .summary = "write the statistics of calibration data, to quantize from later",
    .description =
        "Runs the float ONNX model on the data and writes what flows through it as a calibration\n"
        "state, from which 'tare quantize --state' makes models with any preset and method, and\n"
        "which 'tare merge' joins with others. Work that was interrupted goes on with --resume.\n",
    .example = "  tare calibrate resnet50.onnx --data photographs/ --preprocess imagenet \\\n"
               "      --output resnet50.tare\n"
               "  tare quantize resnet50.onnx --state resnet50.tare --output resnet50.int8.onnx\n",
    .options = options,
    .option_count = sizeof(options) / sizeof(options[0]),
    .takes_model = true,
    .run = run,
};
