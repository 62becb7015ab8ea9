/* SPDX-License-Identifier: Apache-2.0 */
/** `tare state`: what a calibration state holds. */
#include "cli/command.h"
#include "cli/report.h"

static const tare_cli_option options[] = {
    TARE_CLI_JSON_OPTION,
    TARE_CLI_QUIET_OPTION,
};

static int run(const tare_cli_command *command, const tare_cli_arguments *arguments) {
    tare_report *report = NULL;
    tare_error err = {0};

    if (arguments->states.count > 1) {
        return tare_cli_fail_usage(command, "unexpected argument '%s'", arguments->states.items[1]);
    }
    int code = tare_cli_check_output(arguments->json);
    if (code != TARE_CLI_EXIT_OK) {
        return code;
    }
    const tare_status status = tare_describe_state(&report, arguments->states.items[0], &err);
    code = status == TARE_OK ? tare_cli_report(report, arguments) : tare_cli_fail(status, &err);
    tare_report_free(report);
    return code;
}

const tare_cli_command tare_cli_state = {
    .name = "state",
    .usage = "STATE [options]",
    .summary = "describe a calibration state: model, samples, tensors",
    .description = "Checks a calibration state and says what it is of: the model, the\n"
                   "preprocessing, the samples (by name in the JSON), and each tensor with the\n"
                   "smallest and the largest value.\n",
    .example = "  tare state resnet50.tare --json -\n",
    .options = options,
    .option_count = sizeof(options) / sizeof(options[0]),
    .takes_states = true,
    .run = run,
};
