/* SPDX-License-Identifier: Apache-2.0 */
/** Failing with a status and a text. */
#include "base/error.h"

#include <stdarg.h>
#include <stdio.h>
#include <string.h>

void tare_flatten_control_characters(char *text) {
    for (; *text != '\0'; text++) {
        if ((unsigned char)*text < 0x20 || *text == 0x7f) {
            *text = ' ';
        }
    }
}

tare_status tare_fail(tare_error *err, tare_status code, const char *fmt, ...) {
    if (err != NULL) {
        va_list args;
        err->code = code;
        va_start(args, fmt);
        (void)vsnprintf(err->text, sizeof err->text, fmt, args);
        va_end(args);
        tare_flatten_control_characters(err->text);
    }
    return code;
}

void tare_error_prepend(tare_error *err, const char *fmt, ...) {
    char place[TARE_ERROR_TEXT_BYTES];
    va_list args;
    int written;
    size_t length, keep;

    if (err == NULL) {
        return;
    }
    va_start(args, fmt);
    written = vsnprintf(place, sizeof place, fmt, args);
    va_end(args);
    if (written <= 0) {
        return;
    }
    length = strlen(place);
    keep = strlen(err->text);
    if (length >= sizeof err->text) {
        length = sizeof err->text - 1;
    }
    if (keep > sizeof err->text - 1 - length) {
        keep = sizeof err->text - 1 - length;
    }
    memmove(err->text + length, err->text, keep);
    memcpy(err->text, place, length);
    err->text[length + keep] = '\0';
    tare_flatten_control_characters(err->text);
}

tare_status tare_fail_memory(tare_error *err, size_t bytes, const char *what) {
    return tare_fail(err, TARE_OUT_OF_MEMORY, "out of memory: %zu bytes for %s", bytes, what);
}

const char *tare_status_text(tare_status status) {
    static const char *const names[] = {
        "ok",           "invalid argument", "invalid model", "unsupported", "not found",
        "input/output", "out of memory",    "backend",       "cancelled",   "internal"};
    const size_t index = (size_t)status;
    return index < sizeof names / sizeof names[0] ? names[index] : "unknown";
}
