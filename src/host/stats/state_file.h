/* SPDX-License-Identifier: Apache-2.0 */
/**
 * Calibration states as files (docs/state-format.md): safetensors whose metadata tell what the
 * statistics are of. Equal states give equal bytes: samples are in the order of their ids, and
 * nothing tells when or where the work was done.
 */
#ifndef TARE_STATS_STATE_FILE_H
#define TARE_STATS_STATE_FILE_H

#include "stats/state.h"

/** Of the format; readers refuse others. */
#define TARE_STATE_VERSION "3"

/** A model input as it was fed: one sample. */
typedef struct tare_state_input {
    const char *name;
    int64_t element; /**< ONNX's number of the type */
    int rank;
    int64_t dims[TARE_MAX_RANK];
} tare_state_input;

/** What the statistics are of. States with different identities do not go together. Borrowed. */
typedef struct tare_state_identity {
    const char *model;      /**< hash of the model, in hexadecimal */
    const char *preprocess; /**< canonical description, or "none" */
    const char *precision;  /**< in which the model ran, such as "float32" */
    const tare_state_input *inputs;
    size_t input_count;
} tare_state_identity;

/** TARE_INVALID_ARGUMENT with the first difference, "it was made with ..., expected ...". */
TARE_MUST_CHECK tare_status tare_state_identity_check(const tare_state_identity *actual,
                                                      const tare_state_identity *expected,
                                                      tare_error *err);

/** Writes a settled state, complete or not at all. */
TARE_MUST_CHECK tare_status tare_state_write(const char *path, const tare_state *state,
                                             const tare_state_identity *identity, tare_error *err);

/** A state that was read. Zeroed: none. */
typedef struct tare_state_file {
    tare_state *state;            /**< settled; points have no value */
    tare_state_identity identity; /**< in `arena` */
    const char *tool;             /**< that wrote it, in `arena` */
    tare_arena arena;
} tare_state_file;

/** NULL and zeroed structs allowed. */
void tare_state_file_release(tare_state_file *file);

/**
 * Reads a state. TARE_NOT_FOUND, TARE_IO; TARE_INVALID_ARGUMENT when it is something else, cut off
 * or damaged; TARE_UNSUPPORTED for another version of the format. Texts begin with the path. The
 * caller releases `out`, also after a failure.
 */
TARE_MUST_CHECK tare_status tare_state_read(tare_state_file *out, const char *path,
                                            tare_error *err);

/** As tare_state_read() from memory, which is not needed afterwards. */
TARE_MUST_CHECK tare_status tare_state_read_memory(tare_state_file *out, const void *data,
                                                   size_t bytes, tare_error *err);

/* ---- names and numbers that writer and reader share ---- */

#define TARE_STATE_FORMAT         "tare-state"
#define TARE_STATE_PRECISION      "float32"

/** Numbers of a row of "window.shape": those of a tare_collect_window, in its order. */
#define TARE_STATE_WINDOW_NUMBERS 10

#endif
