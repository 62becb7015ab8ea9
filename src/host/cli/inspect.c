/* SPDX-License-Identifier: Apache-2.0 */
/** `tare inspect`: what a model consists of and what Tare would do with it. */
#include "cli/command.h"
#include "cli/options.h"
#include "cli/progress.h"
#include "cli/report.h"

static const tare_cli_option options[] = {
    TARE_CLI_PLACEMENT_OPTIONS,
    TARE_CLI_RUN_OPTIONS,
    TARE_CLI_JSON_OPTION,
    TARE_CLI_QUIET_OPTION,
};

static int run(const tare_cli_command *command, const tare_cli_arguments *arguments) {
    tare_model *model = NULL;
    tare_report *report = NULL;
    tare_error err = {0};
    tare_cli_progress progress;
    tare_quantize_options settings;
    int code = tare_cli_check_output(arguments->json);
    if (code != TARE_CLI_EXIT_OK) {
        return code;
    }
    tare_cli_progress_init(&progress, arguments);
    tare_cli_quantize_options(&settings, &progress, arguments);

    tare_status status = tare_model_open(&model, arguments->model, &err);
    if (status != TARE_OK) {
        return tare_cli_fail(status, &err);
    }
    code = tare_cli_check_shapes(command, arguments, model);
    if (code != TARE_CLI_EXIT_OK) {
        goto done;
    }
    status = tare_inspect(&report, model, &settings, &err);
    tare_cli_progress_end(&progress);
    code = status == TARE_OK ? tare_cli_report(report, arguments)
                             : tare_cli_fail_run(status, &err, arguments);

done:
    tare_report_free(report);
    tare_model_free(model);
    return code;
}

const tare_cli_command tare_cli_inspect = {
    .name = "inspect",
    .usage = "MODEL [options]",
    .summary = "describe a model: operators, coverage, where quantizers would go, memory",
    .description =
        "Lists inputs, outputs and operators, says which of them cannot be run, where quantizers\n"
        "would be put with these options, and how much memory a run would take.\n",
    .example = "  tare inspect detector.onnx --shape images=1x3x640x640 --preset mixed\n",
    .options = options,
    .option_count = sizeof(options) / sizeof(options[0]),
    .takes_model = true,
    .run = run,
};
