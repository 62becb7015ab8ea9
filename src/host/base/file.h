/* SPDX-License-Identifier: Apache-2.0 */
/** Files: read-only mappings, and outputs that appear complete or not at all. */
#ifndef TARE_BASE_FILE_H
#define TARE_BASE_FILE_H

#include "base/error.h"

/** A file mapped read-only. `data` is NULL for an empty file. */
typedef struct tare_mapping {
    const unsigned char *data;
    size_t bytes;
} tare_mapping;

/** Maps a regular file. TARE_NOT_FOUND, or TARE_IO for a folder, a device or a failing system call,
 * with the path in the text. */
TARE_MUST_CHECK tare_status tare_mapping_open(tare_mapping *mapping, const char *path,
                                              tare_error *err);

/** Unmaps; NULL and an empty mapping allowed. */
void tare_mapping_release(tare_mapping *mapping);

/** A file being written under a temporary name in the folder of its final name. */
typedef struct tare_output tare_output;

/** Whether an output could be made at `path`: finds a missing folder before hours of work, not
 * after. */
TARE_MUST_CHECK tare_status tare_output_check(const char *path, tare_error *err);

/** Creates the temporary file; where the path is a symbolic link, beside the file it leads to.
 * TARE_IO when the folder does not exist or cannot be written, or the path is taken by something
 * else than a file (a device, a pipe), with the path in the text. */
TARE_MUST_CHECK tare_status tare_output_open(tare_output **out, const char *path, tare_error *err);

/** Appends bytes. */
TARE_MUST_CHECK tare_status tare_output_write(tare_output *out, const void *data, size_t bytes,
                                              tare_error *err);

/** Appends zero bytes until the position is a multiple of `alignment`. */
TARE_MUST_CHECK tare_status tare_output_align(tare_output *out, size_t alignment, tare_error *err);

/** The number of bytes written so far. */
uint64_t tare_output_position(const tare_output *out);

/** Syncs, renames to the final name and frees `out`. After a failure nothing is left behind and the
 * old file, if any, is intact. */
TARE_MUST_CHECK tare_status tare_output_commit(tare_output *out, tare_error *err);

/** Removes the temporary file and frees `out`. NULL allowed. */
void tare_output_discard(tare_output *out);

/** Writes one buffer as a whole file (open, write, commit). */
TARE_MUST_CHECK tare_status tare_file_write(const char *path, const void *data, size_t bytes,
                                            tare_error *err);

#endif
