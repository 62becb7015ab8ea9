/* SPDX-License-Identifier: Apache-2.0 */
/** A growing text buffer for reports and generated names. */
#ifndef TARE_BASE_TEXT_H
#define TARE_BASE_TEXT_H

#include "base/error.h"

typedef struct tare_text {
    char *data; /**< NUL-terminated once something was appended, else NULL */
    size_t length, capacity;
    bool failed; /**< an allocation failed; later appends do nothing */
} tare_text;

/** Releases the buffer and leaves an empty one. NULL allowed. */
void tare_text_release(tare_text *text);

/** Appends printf-style. Failures are sticky: check once with tare_text_check(). */
TARE_PRINTF(2, 3) void tare_text_add(tare_text *text, const char *fmt, ...);

/** TARE_OUT_OF_MEMORY when any append failed. */
TARE_MUST_CHECK tare_status tare_text_check(const tare_text *text, tare_error *err);

#endif
