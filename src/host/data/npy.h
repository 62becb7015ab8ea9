/* SPDX-License-Identifier: Apache-2.0 */
/** NumPy's array files: .npy read and written by ourselves, .npz (a zip of them) through
 * libarchive. */
#ifndef TARE_DATA_NPY_H
#define TARE_DATA_NPY_H

#include "base/arena.h"
#include "data/array.h"

/** What the header of a .npy says: an array without name and data, and where its elements lie. */
typedef struct tare_npy_header {
    tare_array array; /**< bytes is set and lies within the file */
    size_t data_at;   /**< offset of the first element */
    bool swapped;     /**< the file has the other byte order than this machine */
} tare_npy_header;

/**
 * Parses the header of a file that lies in memory. TARE_INVALID_ARGUMENT for a damaged or truncated
 * file, TARE_UNSUPPORTED for Fortran order and element types that ONNX does not have; the text
 * names `path`.
 */
TARE_MUST_CHECK tare_status tare_npy_parse(tare_npy_header *header, const void *data, size_t bytes,
                                           const char *path, tare_error *err);

/** Copies `bytes` bytes of elements, turning the byte order where `header` says so. */
void tare_npy_copy(void *to, const void *from, size_t bytes, const tare_npy_header *header);

/** Reads a whole .npy; the array's data is `storage`'s memory. The name is NULL. */
TARE_MUST_CHECK tare_status tare_npy_read(tare_array *array, tare_memory *storage, const char *path,
                                          tare_error *err);

/** Writes an array (version 1.0, little-endian); complete or not at all. */
TARE_MUST_CHECK tare_status tare_npy_write(const char *path, const tare_array *array,
                                           tare_error *err);

/** The arrays of a .npz in the order of the file. All zero is empty. */
typedef struct tare_npz {
    tare_arena arena; /**< of the names and the two tables */
    size_t count;
    tare_array *arrays;
    tare_memory *storage; /**< the arrays' data, one each */
} tare_npz;

/** Reads all arrays of a .npz, stored or deflated, into memory. Names are those of the members
 * without ".npy". */
TARE_MUST_CHECK tare_status tare_npz_read(tare_npz *npz, const char *path, tare_error *err);

/** Frees everything and leaves an empty one. NULL allowed. */
void tare_npz_release(tare_npz *npz);

/** Writes arrays, each with a name of its own, uncompressed; the same arrays always give the same
 * bytes. */
TARE_MUST_CHECK tare_status tare_npz_write(const char *path, const tare_array *arrays, size_t count,
                                           tare_error *err);

/** Longest header that tare_npy_format() makes. */
#define TARE_NPY_HEADER_BYTES 512

/** The header of a .npy with this element type and shape in `text`, its length in `bytes`. */
TARE_MUST_CHECK tare_status tare_npy_format(char text[TARE_NPY_HEADER_BYTES], size_t *bytes,
                                            const tare_array *array, tare_error *err);

#endif
