/* SPDX-License-Identifier: Apache-2.0 */
/**
 * Safetensors files with a checksum: 8 bytes of header length, a JSON header, the tensors' bytes.
 *
 * The checksum stands in the header's metadata and covers the whole file with its own digits
 * counted as zeros, so that a change anywhere is seen. Equal contents give equal bytes.
 */
#ifndef TARE_STATS_SAFETENSORS_H
#define TARE_STATS_SAFETENSORS_H

#include "base/arena.h"
#include "base/file.h"
#include "base/json.h"

/** Collects bytes in blocks, which are hashed and, when there is an output, written. */
typedef struct tare_tensor_sink {
    tare_output *output; /**< NULL: only hash */
    uint64_t hash, written;
    size_t used;
    tare_status status; /**< of the first failure; later bytes are dropped */
    tare_error *err;
    unsigned char block[65536];
} tare_tensor_sink;

void tare_sink_bytes(tare_tensor_sink *sink, const void *data, size_t bytes);

/** Numbers in little-endian order. */
void tare_sink_u64(tare_tensor_sink *sink, uint64_t value);
void tare_sink_u32(tare_tensor_sink *sink, uint32_t value);
void tare_sink_f32(tare_tensor_sink *sink, float value);

/** A tensor to write. */
typedef struct tare_tensor_plan {
    const char *name;
    const char *dtype; /**< "U64", "I64", "U32", "F32" or "U8" */
    int rank;
    uint64_t shape[2];
    /** Gives all its bytes; called twice. */
    void (*emit)(tare_tensor_sink *sink, const void *user, size_t which);
    size_t which; /**< for emit, where one function serves several tensors */
} tare_tensor_plan;

/** What to write. Borrowed. */
typedef struct tare_safetensors_plan {
    const tare_tensor_plan *tensors; /**< those with wide elements first, so that all are aligned */
    size_t count;
    json_t *metadata; /**< texts; "checksum" is added */
    const void *user; /**< for emit */
} tare_safetensors_plan;

/** Writes the file, complete or not at all. */
TARE_MUST_CHECK tare_status tare_safetensors_write(const char *path,
                                                   const tare_safetensors_plan *plan,
                                                   tare_error *err);

/** An opened file in memory. */
typedef struct tare_safetensors {
    json_t *header;
    const unsigned char *data; /**< of the tensors; borrowed */
    uint64_t bytes;            /**< of data */
} tare_safetensors;

/**
 * Reads the header of a file in memory, which must outlive `out`. TARE_INVALID_ARGUMENT when it is
 * not a safetensors file or cut off. The caller releases `out` in every case.
 */
TARE_MUST_CHECK tare_status tare_safetensors_open(tare_safetensors *out, const void *file,
                                                  size_t bytes, tare_error *err);

/** Compares the checksum with that of the contents. `file` is what was opened. */
TARE_MUST_CHECK tare_status tare_safetensors_check(const tare_safetensors *in, const void *file,
                                                   size_t bytes, tare_error *err);

/** Sets the checksum of a file in memory to that of its contents, if it has a place for one. */
void tare_safetensors_seal(unsigned char *file, size_t bytes);

/** NULL and zeroed structs allowed. */
void tare_safetensors_release(tare_safetensors *file);

/** A metadata text; the file's. TARE_INVALID_ARGUMENT when it is not there. */
TARE_MUST_CHECK tare_status tare_safetensors_text(const char **out, const tare_safetensors *in,
                                                  const char *key, tare_error *err);

/** A tensor of a file. */
typedef struct tare_tensor_bytes {
    const unsigned char *data;
    uint64_t shape[2];
    uint64_t count; /**< elements */
} tare_tensor_bytes;

/** The tensor of that name; TARE_INVALID_ARGUMENT unless it is there with that type and rank (1 or
 * 2) within the file. */
TARE_MUST_CHECK tare_status tare_safetensors_find(tare_tensor_bytes *out,
                                                  const tare_safetensors *in, const char *name,
                                                  const char *dtype, int rank, tare_error *err);

/** Element `index` of a tensor of the respective type. */
uint64_t tare_tensor_u64(const tare_tensor_bytes *tensor, uint64_t index);
uint32_t tare_tensor_u32(const tare_tensor_bytes *tensor, uint64_t index);
float tare_tensor_f32(const tare_tensor_bytes *tensor, uint64_t index);

#endif
