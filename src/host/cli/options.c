/* SPDX-License-Identifier: Apache-2.0 */
/** From what the command line said to the option structs of the library. */
#include "cli/options.h"

#include <stdio.h>
#include <string.h>

#include "cli/report.h"

/* Leaves the library's defaults in place for what was not given. */
static void fill_run_options(tare_run_options *options, tare_cli_progress *progress,
                             const tare_cli_arguments *arguments) {
    if (arguments->device != NULL) {
        options->device = arguments->device;
    }
    if (arguments->precision != NULL) {
        options->precision = arguments->precision;
    }
    options->tune = arguments->tune;
    options->batch = arguments->batch;
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
    options->method = arguments->method;
    options->ignored_names = arguments->ignored_names.items;
    options->ignored_name_count = arguments->ignored_names.count;
    options->ignored_types = arguments->ignored_types.items;
    options->ignored_type_count = arguments->ignored_types.count;
    options->ignored_patterns = arguments->ignored_patterns.items;
    options->ignored_pattern_count = arguments->ignored_patterns.count;
}

void tare_cli_calibrate_options(tare_calibrate_options *options, tare_cli_progress *progress,
                                const tare_cli_arguments *arguments) {
    tare_calibrate_options_init(options);
    fill_run_options(&options->run, progress, arguments);
    options->samples = arguments->samples;
    if (arguments->shard.count != 0) {
        options->shard = arguments->shard.number;
        options->shards = arguments->shard.count;
    }
    if (arguments->checkpoint.given) {
        options->checkpoint_seconds = (double)arguments->checkpoint.milliseconds / 1000.0;
    }
    if (arguments->target != NULL) {
        options->target = arguments->target;
    }
    options->resume = arguments->resume;
    if (arguments->collect != NULL) {
        options->collect = arguments->collect;
    }
    if (arguments->quantile.given) {
        options->quantile = arguments->quantile.value;
    }
    options->ignored_names = arguments->ignored_names.items;
    options->ignored_name_count = arguments->ignored_names.count;
    options->ignored_types = arguments->ignored_types.items;
    options->ignored_type_count = arguments->ignored_types.count;
    options->ignored_patterns = arguments->ignored_patterns.items;
    options->ignored_pattern_count = arguments->ignored_patterns.count;
}

void tare_cli_bench_options(tare_bench_options *options, tare_cli_progress *progress,
                            const tare_cli_arguments *arguments) {
    tare_bench_options_init(options);
    fill_run_options(&options->run, progress, arguments);
    if (arguments->seconds.given) {
        options->seconds = (double)arguments->seconds.milliseconds / 1000.0;
    }
    if (arguments->target != NULL) {
        options->target = arguments->target;
    }
    options->method = arguments->method;
    options->collect = arguments->collect;
    options->layers = arguments->layers;
}

void tare_cli_list_names(char *out, size_t capacity, const tare_model *model, bool outputs) {
    const size_t count = outputs ? tare_model_output_count(model) : tare_model_input_count(model);
    size_t length = 0;
    out[0] = '\0';
    for (size_t i = 0; i < count && length < capacity; i++) {
        const char *name =
            outputs ? tare_model_output_name(model, i) : tare_model_input_name(model, i);
        const int written =
            snprintf(out + length, capacity - length, "%s'%s'", i == 0 ? "" : ", ", name);
        length += written < 0 ? 0 : (size_t)written;
    }
}

static bool has_input(const tare_model *model, const char *name) {
    for (size_t i = 0; i < tare_model_input_count(model); i++) {
        if (strcmp(tare_model_input_name(model, i), name) == 0) {
            return true;
        }
    }
    return false;
}

int tare_cli_check_shapes(const tare_cli_command *command, const tare_cli_arguments *arguments,
                          const tare_model *model) {
    for (size_t i = 0; i < arguments->shapes.count; i++) {
        const char *name = arguments->shapes.items[i].name;
        if (!has_input(model, name)) {
            char names[256];
            tare_cli_list_names(names, sizeof(names), model, false);
            return tare_cli_fail_usage(command, "--shape: the model has no input '%s', only %s",
                                       name, names);
        }
    }
    return TARE_CLI_EXIT_OK;
}
