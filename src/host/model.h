/* SPDX-License-Identifier: Apache-2.0 */
/** The insides of the public handles tare_model and tare_report. */
#ifndef TARE_MODEL_H
#define TARE_MODEL_H

#include "base/json.h"
#include "base/text.h"
#include "ir/graph.h"

struct tare_model {
    tare_graph graph; /**< as the file has it */
    char *path;
    uint64_t file_bytes;
};

struct tare_report {
    tare_text text;
    json_t *json;
    char *json_text;
};

/** Puts the model's path in front of an error that is about the model, not about the data. Returns
 * `status`, and does nothing when that is TARE_OK. */
TARE_MUST_CHECK tare_status tare_model_blame(const tare_model *model, tare_status status,
                                             tare_error *err);

/** An empty report with an empty JSON object. */
TARE_MUST_CHECK tare_status tare_report_new(tare_report **out, tare_error *err);

/** Serializes the JSON; call once everything is in. */
TARE_MUST_CHECK tare_status tare_report_finish(tare_report *report, tare_error *err);

/** Passes one printf-style line to the caller's note function, if there is one: as information, or
 * as a warning. */
TARE_PRINTF(2, 3) void tare_note(const tare_run_options *options, const char *fmt, ...);
TARE_PRINTF(2, 3) void tare_warn(const tare_run_options *options, const char *fmt, ...);

/** "12.3 MB" into text, which is returned. */
const char *tare_bytes_text(char *text, size_t capacity, uint64_t bytes);
#define TARE_BYTES_TEXT 32

#endif
