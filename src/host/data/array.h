/* SPDX-License-Identifier: Apache-2.0 */
/** Arrays as the data layer hands them out: element types, growing buffers, named arrays, samples.
 */
#ifndef TARE_DATA_ARRAY_H
#define TARE_DATA_ARRAY_H

#include "base/error.h"
#include "base/hash.h"

#define TARE_SAMPLE_MAX_INPUTS 8

/* Element types are those of the public header (tare_element), numbered like ONNX's
 * TensorProto.DataType. */

/** Bytes of one element, 0 for a number that is not in the enumeration. */
size_t tare_element_bytes(tare_element element);

/** A name such as "float32"; "undefined" for a number that is not in the enumeration. */
const char *tare_element_name(tare_element element);

/** Memory that is kept between uses and only grows. All zero is an empty buffer. */
typedef struct tare_memory {
    void *data;
    size_t capacity; /**< bytes */
} tare_memory;

/** Makes room for `bytes`; the content is undefined afterwards. `what` names the purpose in the
 * error. */
TARE_MUST_CHECK tare_status tare_memory_reserve(tare_memory *buffer, size_t bytes, const char *what,
                                                tare_error *err);

/** Frees the memory and leaves an empty buffer. NULL allowed. */
void tare_memory_release(tare_memory *buffer);

/** A dense row-major array in host byte order. Who owns `data` and `name` is said where an array is
 * handed out. */
typedef struct tare_array {
    const char *name; /**< of the model input it is meant for; NULL when there is only one and it is
                         not named */
    tare_element element;
    size_t rank;
    size_t dims[TARE_ARRAY_MAX_RANK];
    void *data;
    size_t bytes;
} tare_array;

/**
 * The byte count of an array of this shape in `bytes`. TARE_INVALID_ARGUMENT when the product does
 * not fit into size_t.
 */
TARE_MUST_CHECK tare_status tare_array_measure(size_t *bytes, tare_element element, size_t rank,
                                               const size_t *dims, tare_error *err);

/**
 * One sample: an array per model input, each with axis 0 of length 1. All zero is an empty sample.
 * The arrays' data lies in `storage`, which is kept and reused by the next load, so that a steady
 * state allocates nothing.
 */
typedef struct tare_sample {
    const char *name; /**< borrowed from the source, valid until the source is closed */
    uint64_t id;      /**< hash of name and content; equal on every machine */
    size_t input_count;
    tare_array inputs[TARE_SAMPLE_MAX_INPUTS];
    tare_memory storage[TARE_SAMPLE_MAX_INPUTS];
} tare_sample;

/**
 * Sets input `index` to an array of this shape whose data is room in the sample's own storage. The
 * caller fills it. The name is borrowed.
 */
TARE_MUST_CHECK tare_status tare_sample_shape(tare_sample *sample, size_t index,
                                              const tare_array *shape, tare_error *err);

/** Frees the storage and leaves an empty sample. NULL allowed. */
void tare_sample_release(tare_sample *sample);

#endif
