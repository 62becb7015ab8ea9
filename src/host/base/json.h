/* SPDX-License-Identifier: Apache-2.0 */
/** JSON through jansson: reading with errors that name file and line, writing complete files. */
#ifndef TARE_BASE_JSON_H
#define TARE_BASE_JSON_H

#include <jansson.h>

#include "base/error.h"

/** Parses a file; duplicate keys are errors. The caller releases with json_decref(). */
TARE_MUST_CHECK tare_status tare_json_read(json_t **out, const char *path, tare_error *err);

/** Writes indented JSON with keys in insertion order and a final line break; complete or not at
 * all. */
TARE_MUST_CHECK tare_status tare_json_write(const json_t *json, const char *path, tare_error *err);

/**
 * A JSON string of any text: where it is not UTF-8, as paths and names in models may be, its bytes
 * beyond ASCII are written as \xE9. NULL only when memory runs out; the caller owns the result.
 */
json_t *tare_json_text(const char *text);

#endif
