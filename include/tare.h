/* SPDX-License-Identifier: Apache-2.0 */
/** Tare: calibrate and quantize neural networks after training. The only public header. */
#ifndef TARE_H
#define TARE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#ifdef __cplusplus
extern "C" {
#endif

#if defined(TARE_BUILDING) && defined(__GNUC__)
#define TARE_API __attribute__((visibility("default")))
#else
#define TARE_API
#endif

#if defined(__GNUC__)
#define TARE_MUST_CHECK        __attribute__((warn_unused_result))
#define TARE_PRINTF(fmt, args) __attribute__((format(printf, fmt, args)))
#else
#define TARE_MUST_CHECK
#define TARE_PRINTF(fmt, args)
#endif

/** What became of a call. Zero is success; every other value comes with a text in tare_error. */
typedef enum tare_status {
    TARE_OK = 0,
    TARE_INVALID_ARGUMENT, /**< the caller passed something that cannot be meant */
    TARE_INVALID_MODEL,    /**< the model file is damaged or breaks the ONNX specification */
    TARE_UNSUPPORTED,      /**< legal, but Tare cannot do it exactly, so it does not do it */
    TARE_NOT_FOUND,        /**< a file, tensor, name or device is not there */
    TARE_IO,               /**< reading or writing failed */
    TARE_OUT_OF_MEMORY,    /**< an allocation failed or a stated memory limit is exceeded */
    TARE_BACKEND,          /**< a library or device underneath reported a failure */
    TARE_CANCELLED,        /**< the caller's progress callback asked to stop */
    TARE_INTERNAL          /**< a bug in Tare */
} tare_status;

#define TARE_ERROR_TEXT_BYTES 512

/**
 * A caller-owned error. Functions that can fail take a pointer to one as their last parameter (NULL
 * allowed) and write it only when they fail; no allocation is involved, so running out of memory
 * can be reported too.
 */
typedef struct tare_error {
    tare_status code;
    char text[TARE_ERROR_TEXT_BYTES]; /**< one line without a line break, NUL-terminated */
} tare_error;

#ifdef __cplusplus
}
#endif
#endif
