/* SPDX-License-Identifier: Apache-2.0 */
/** `tare merge`: several calibration states become one. */
#include "cli/command.h"
#include "cli/report.h"

static const tare_cli_option options[] = {
    {"--output", "-o", "FILE", "where the merged state goes", &tare_cli_text,
     TARE_CLI_FIELD(output), NULL, true},
    {"--allow-duplicates", NULL, NULL, "count a sample that is in several states each time",
     &tare_cli_switch, TARE_CLI_FIELD(allow_duplicates), NULL, false},
    TARE_CLI_JSON_OPTION,
    TARE_CLI_QUIET_OPTION,
};

static int run(const tare_cli_command *command, const tare_cli_arguments *arguments) {
    tare_report *report = NULL;
    tare_error err = {0};
    int code = tare_cli_check_outputs(command, arguments);

    if (code != TARE_CLI_EXIT_OK) {
        return code;
    }
    const tare_status status =
        tare_merge(arguments->states.items, arguments->states.count, arguments->output,
                   arguments->allow_duplicates, &report, &err);
    code = status == TARE_OK ? tare_cli_report(report, arguments) : tare_cli_fail(status, &err);
    tare_report_free(report);
    return code;
}

const tare_cli_command tare_cli_merge = {
    .name = "merge",
    .usage = "STATE... --output FILE [options]",
    .summary = "join calibration states of different samples",
    .description =
        "Joins states of one model, made with the same preprocessing from different samples, into\n"
        "the state that one run over all of the samples would have given, in any order.\n",
    .example = "  tare merge a.tare b.tare c.tare --output all.tare\n",
    .options = options,
    .option_count = sizeof(options) / sizeof(options[0]),
    .takes_states = true,
    .run = run,
};
