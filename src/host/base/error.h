/* SPDX-License-Identifier: Apache-2.0 */
/**
 * Failing with a status and a text.
 *
 * Who detects a failure calls tare_fail() with what, where, the expected and the actual value;
 * frames above may only put a place in front with tare_error_prepend(). All functions accept err ==
 * NULL.
 */
#ifndef TARE_BASE_ERROR_H
#define TARE_BASE_ERROR_H

#include "tare.h"

/** Writes code and text (printf-style, cut at the capacity) into err and returns code. */
TARE_PRINTF(3, 4) tare_status tare_fail(tare_error *err, tare_status code, const char *fmt, ...);

/** Makes a text one line that a terminal shows as it is: file and node names may hold anything. */
void tare_flatten_control_characters(char *text);

/** Puts a place ("node 'Conv_12' (Conv): ") in front of the text of err. */
TARE_PRINTF(2, 3) void tare_error_prepend(tare_error *err, const char *fmt, ...);

/** Reports that an allocation of `bytes` for `what` failed. */
tare_status tare_fail_memory(tare_error *err, size_t bytes, const char *what);

/** The name of a status, such as "invalid model". Never NULL. */
const char *tare_status_text(tare_status status);

/** Returns from the calling function with the status of `call` unless it is TARE_OK. Only where
 * nothing is owned. */
#define TARE_TRY(call)                                                                             \
    do {                                                                                           \
        const tare_status tare_try_status_ = (call);                                               \
        if (tare_try_status_ != TARE_OK) {                                                         \
            return tare_try_status_;                                                               \
        }                                                                                          \
    } while (0)

/** Stores the status of `call` in `status` and goes to `done` unless it is TARE_OK. Where something
 * is owned. */
#define TARE_TRY_DONE(status, call)                                                                \
    do {                                                                                           \
        (status) = (call);                                                                         \
        if ((status) != TARE_OK) {                                                                 \
            goto done;                                                                             \
        }                                                                                          \
    } while (0)

/** For parameters that an interface asks for and a function does not need. */
#define TARE_UNUSED(x) ((void)(x))

#endif
