/* SPDX-License-Identifier: Apache-2.0 */
/** `tare devices`: what models can be run on here, and why not on the rest. */
#include "cli/command.h"
#include "cli/report.h"

static const tare_cli_option options[] = {TARE_CLI_JSON_OPTION, TARE_CLI_QUIET_OPTION};

static int run(const tare_cli_command *command, const tare_cli_arguments *arguments) {
    tare_report *report = NULL;
    tare_error err = {0};
    (void)command;
    int code = tare_cli_check_output(arguments->json);
    if (code != TARE_CLI_EXIT_OK) {
        return code;
    }
    const tare_status status = tare_devices(&report, &err);
    code = status == TARE_OK ? tare_cli_report(report, arguments) : tare_cli_fail(status, &err);
    tare_report_free(report);
    return code;
}

const tare_cli_command tare_cli_devices = {
    .name = "devices",
    .usage = "[options]",
    .summary = "list what models can be run on, and why not",
    .description =
        "Lists the devices Tare knows and, for those it cannot use here, what is missing.\n",
    .example = "  tare devices --json -\n",
    .options = options,
    .option_count = sizeof(options) / sizeof(options[0]),
    .takes_model = false,
    .run = run,
};
