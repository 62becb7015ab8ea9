/* SPDX-License-Identifier: Apache-2.0 */
/** A growing text buffer for reports and generated names. */
#include "base/text.h"

#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>

void tare_text_release(tare_text *text) {
    if (text != NULL) {
        free(text->data);
        *text = (tare_text){0};
    }
}

void tare_text_add(tare_text *text, const char *fmt, ...) {
    va_list args;
    int length;
    size_t need;

    if (text->failed) {
        return;
    }
    va_start(args, fmt);
    length = vsnprintf(NULL, 0, fmt, args);
    va_end(args);
    if (length < 0) {
        text->failed = true;
        return;
    }
    need = text->length + (size_t)length + 1;
    if (need > text->capacity) {
        const size_t capacity = need < 256 ? 512 : need * 2;
        char *data = realloc(text->data, capacity);
        if (data == NULL) {
            text->failed = true;
            return;
        }
        text->data = data;
        text->capacity = capacity;
    }
    va_start(args, fmt);
    (void)vsnprintf(text->data + text->length, text->capacity - text->length, fmt, args);
    va_end(args);
    text->length += (size_t)length;
}

tare_status tare_text_check(const tare_text *text, tare_error *err) {
    return text->failed ? tare_fail_memory(err, text->length, "text") : TARE_OK;
}
