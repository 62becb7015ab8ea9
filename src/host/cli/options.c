/* SPDX-License-Identifier: Apache-2.0 */
/** From what the command line said to the option structs of the library. */
#include "cli/options.h"

#include <string.h>

/* Leaves the library's defaults in place for what was not given. */
static void fill_run_options(tare_run_options *options, tare_cli_progress *progress,
                             const tare_cli_arguments *arguments) {
    if (arguments->device != NULL) {
        options->device = arguments->device;
    }
    options->threads = (int)arguments->threads;
    options->memory_bytes = arguments->memory_bytes;
    options->shapes = arguments->shapes.items;
    options->shape_count = arguments->shapes.count;
    options->skip_bad = arguments->skip_bad;
    options->progress = tare_cli_progress_show;
    options->note = tare_cli_progress_note;
    options->user = progress;
}

void tare_cli_run_options(tare_run_options *options, tare_cli_progress *progress,
                          const tare_cli_arguments *arguments) {
    tare_run_options_init(options);
    fill_run_options(options, progress, arguments);
}

void tare_cli_quantize_options(tare_quantize_options *options, tare_cli_progress *progress,
                               const tare_cli_arguments *arguments) {
    tare_quantize_options_init(options);
    fill_run_options(&options->run, progress, arguments);
    if (arguments->samples != 0) {
        options->samples = arguments->samples;
    }
    if (arguments->preset != NULL) {
        options->preset =
            strcmp(arguments->preset, "mixed") == 0 ? TARE_PRESET_MIXED : TARE_PRESET_PERFORMANCE;
    }
    if (arguments->model_type != NULL) {
        options->model_type = TARE_MODEL_TRANSFORMER;
    }
    if (arguments->target != NULL) {
        options->target = arguments->target;
    }
    options->ignored_names = arguments->ignored_names.items;
    options->ignored_name_count = arguments->ignored_names.count;
    options->ignored_types = arguments->ignored_types.items;
    options->ignored_type_count = arguments->ignored_types.count;
    options->ignored_patterns = arguments->ignored_patterns.items;
    options->ignored_pattern_count = arguments->ignored_patterns.count;
}
