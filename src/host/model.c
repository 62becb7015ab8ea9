/* SPDX-License-Identifier: Apache-2.0 */
/** Public API: models and reports. */
#include "model.h"

#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#include "onnx/reader.h"
#include "onnx/writer.h"

TARE_API const char *tare_status_name(tare_status status) {
    return tare_status_text(status);
}

TARE_API const char *tare_version(void) {
    return TARE_VERSION;
}

TARE_API tare_status tare_model_open(tare_model **out, const char *path, tare_error *err) {
    tare_model *model;
    struct stat info;
    tare_status status;

    *out = NULL;
    model = calloc(1, sizeof *model);
    if (model == NULL) {
        return tare_fail_memory(err, sizeof *model, "a model");
    }
    tare_graph_init(&model->graph);
    status = tare_onnx_read(&model->graph, path, err);
    if (status == TARE_OK) {
        model->path = malloc(strlen(path) + 1);
        if (model->path == NULL) {
            status = tare_fail_memory(err, strlen(path), "a path");
        }
    }
    if (status != TARE_OK) {
        tare_model_free(model);
        return status;
    }
    memcpy(model->path, path, strlen(path) + 1);
    model->file_bytes = stat(path, &info) == 0 ? (uint64_t)info.st_size : 0;
    *out = model;
    return TARE_OK;
}

TARE_API void tare_model_free(tare_model *model) {
    if (model != NULL) {
        tare_graph_release(&model->graph);
        free(model->path);
        free(model);
    }
}

TARE_API tare_status tare_model_save(const tare_model *model, const char *path, tare_error *err) {
    return tare_onnx_write(&model->graph, path, err);
}

static const tare_value *fed_input(const tare_model *model, size_t index) {
    for (size_t i = 0; i < model->graph.input_count; i++) {
        if (!model->graph.inputs[i]->is_initializer && index-- == 0) {
            return model->graph.inputs[i];
        }
    }
    return NULL;
}

TARE_API size_t tare_model_input_count(const tare_model *model) {
    size_t count = 0;
    while (fed_input(model, count) != NULL) {
        count++;
    }
    return count;
}

TARE_API const char *tare_model_input_name(const tare_model *model, size_t index) {
    const tare_value *value = fed_input(model, index);
    return value == NULL ? NULL : value->name;
}

TARE_API size_t tare_model_output_count(const tare_model *model) {
    return model->graph.output_count;
}

TARE_API const char *tare_model_output_name(const tare_model *model, size_t index) {
    return index < model->graph.output_count ? model->graph.outputs[index]->name : NULL;
}

tare_status tare_model_blame(const tare_model *model, tare_status status, tare_error *err) {
    if (status != TARE_OK) {
        tare_error_prepend(err, "%s: ", model->path);
    }
    return status;
}

tare_status tare_report_new(tare_report **out, tare_error *err) {
    tare_report *report = calloc(1, sizeof *report);
    *out = report;
    if (report == NULL || (report->json = json_object()) == NULL) {
        free(report);
        *out = NULL;
        return tare_fail_memory(err, sizeof *report, "a report");
    }
    return TARE_OK;
}

tare_status tare_report_finish(tare_report *report, tare_error *err) {
    report->json_text = json_dumps(report->json, JSON_INDENT(1) | JSON_REAL_PRECISION(9));
    if (report->json_text == NULL) {
        return tare_fail_memory(err, 0, "a report");
    }
    return tare_text_check(&report->text, err);
}

TARE_API const char *tare_report_text(const tare_report *report) {
    return report->text.data == NULL ? "" : report->text.data;
}

TARE_API const char *tare_report_json(const tare_report *report) {
    return report->json_text;
}

TARE_API void tare_report_free(tare_report *report) {
    if (report != NULL) {
        tare_text_release(&report->text);
        json_decref(report->json);
        free(report->json_text);
        free(report);
    }
}

static void pass_line(const tare_run_options *options, tare_note_level level, const char *fmt,
                      va_list args) {
    char line[1024];
    if (options != NULL && options->note != NULL) {
        (void)vsnprintf(line, sizeof line, fmt, args);
        tare_flatten_control_characters(line);
        options->note(options->user, level, line);
    }
}

void tare_note(const tare_run_options *options, const char *fmt, ...) {
    va_list args;
    va_start(args, fmt);
    pass_line(options, TARE_NOTE_INFO, fmt, args);
    va_end(args);
}

void tare_warn(const tare_run_options *options, const char *fmt, ...) {
    va_list args;
    va_start(args, fmt);
    pass_line(options, TARE_NOTE_WARNING, fmt, args);
    va_end(args);
}

const char *tare_bytes_text(char *text, size_t capacity, uint64_t bytes) {
    static const char *const units[] = {"B", "kB", "MB", "GB", "TB"};
    double value = (double)bytes;
    size_t unit = 0;
    while (value >= 999.5 && unit + 1 < sizeof units / sizeof units[0]) {
        value /= 1000.0;
        unit++;
    }
    (void)snprintf(text, capacity, unit == 0 ? "%.0f %s" : "%.1f %s", value, units[unit]);
    return text;
}
