/* SPDX-License-Identifier: Apache-2.0 */
/** Element types, refcounted buffers, and dense host tensors over them. */
#ifndef TARE_IR_TENSOR_H
#define TARE_IR_TENSOR_H

#include "base/error.h"

/** Ranks above this are refused when a model is read. */
#define TARE_MAX_RANK 8

/** Element types with ONNX's numbers (TensorProto.DataType). Numbers above are kept as they are and
 * not executable. */
typedef enum tare_dtype {
    TARE_DTYPE_UNDEFINED = 0,
    TARE_DTYPE_FLOAT = 1,
    TARE_DTYPE_UINT8 = 2,
    TARE_DTYPE_INT8 = 3,
    TARE_DTYPE_UINT16 = 4,
    TARE_DTYPE_INT16 = 5,
    TARE_DTYPE_INT32 = 6,
    TARE_DTYPE_INT64 = 7,
    TARE_DTYPE_STRING = 8,
    TARE_DTYPE_BOOL = 9,
    TARE_DTYPE_FLOAT16 = 10,
    TARE_DTYPE_DOUBLE = 11,
    TARE_DTYPE_UINT32 = 12,
    TARE_DTYPE_UINT64 = 13,
    TARE_DTYPE_COMPLEX64 = 14,
    TARE_DTYPE_COMPLEX128 = 15,
    TARE_DTYPE_BFLOAT16 = 16,
    TARE_DTYPE_FLOAT8E4M3FN = 17,
    TARE_DTYPE_FLOAT8E4M3FNUZ = 18,
    TARE_DTYPE_FLOAT8E5M2 = 19,
    TARE_DTYPE_FLOAT8E5M2FNUZ = 20,
    TARE_DTYPE_UINT4 = 21,
    TARE_DTYPE_INT4 = 22,
    TARE_DTYPE_FLOAT4E2M1 = 23,
    TARE_DTYPE_FLOAT8E8M0 = 24,
    TARE_DTYPE_UINT2 = 25,
    TARE_DTYPE_INT2 = 26
} tare_dtype;

/** Bytes of one element; 0 for types without a whole number of bytes per element (strings, 4-bit
 * and 2-bit types). */
size_t tare_dtype_bytes(tare_dtype dtype);

/** Bits of one element; 0 for strings and unknown types. */
unsigned tare_dtype_bits(tare_dtype dtype);

/** "float32", "int64", ... ; "type 77" is never needed: unknown numbers give "unknown". */
const char *tare_dtype_text(tare_dtype dtype);

/** A block of memory shared by reference. Create with tare_buffer_new() or tare_buffer_wrap(). */
typedef struct tare_buffer tare_buffer;

/** Allocates `bytes` zeroed bytes aligned to 64; NULL when memory runs out. One reference. */
tare_buffer *tare_buffer_new(size_t bytes);

/** Wraps foreign memory; release(owner) runs when the last reference goes (release NULL: nothing
 * happens). NULL when memory runs out. */
tare_buffer *tare_buffer_wrap(const void *data, size_t bytes, void (*release)(void *owner),
                              void *owner);

/** Takes another reference and returns its argument (thread-safe). NULL allowed. */
tare_buffer *tare_buffer_retain(tare_buffer *buffer);

/** Gives a reference back (thread-safe). NULL allowed. */
void tare_buffer_release(tare_buffer *buffer);

/** The memory. Only buffers made by tare_buffer_new() may be written. */
void *tare_buffer_data(tare_buffer *buffer);
size_t tare_buffer_bytes(const tare_buffer *buffer);

/** A dense row-major tensor in host memory. The struct is plain data; its buffer is refcounted. */
typedef struct tare_tensor {
    tare_dtype dtype;
    int rank;
    int64_t dims[TARE_MAX_RANK];
    tare_buffer *buffer;
    const void *data; /**< into buffer, aligned for the element type; 4-bit types packed two per
                         byte as in ONNX */
} tare_tensor;

/** Product of dims; -1 when a dim is negative or the product exceeds INT64_MAX. Rank 0 gives 1. */
int64_t tare_dims_count(int rank, const int64_t *dims);

/** Bytes of a tensor of this type and shape into *bytes; false on overflow, negative dims or a type
 * without a size. */
bool tare_dims_bytes(size_t *bytes, tare_dtype dtype, int rank, const int64_t *dims);

/** Elements of a tensor (its dims are valid by construction). */
int64_t tare_tensor_count(const tare_tensor *tensor);

/** Makes a zeroed tensor with its own buffer. TARE_INVALID_ARGUMENT for impossible shapes,
 * TARE_OUT_OF_MEMORY. */
TARE_MUST_CHECK tare_status tare_tensor_init(tare_tensor *tensor, tare_dtype dtype, int rank,
                                             const int64_t *dims, tare_error *err);

/** Writable elements of a tensor made by tare_tensor_init() (whose buffer nobody else shares yet).
 */
void *tare_tensor_elements(tare_tensor *tensor);

/** Makes `copy` share the buffer of `tensor`. */
void tare_tensor_share(tare_tensor *copy, const tare_tensor *tensor);

/** Releases the buffer and zeroes the struct. NULL and zeroed structs allowed. */
void tare_tensor_release(tare_tensor *tensor);

/** Element `index` of an integer or boolean tensor as int64; the type must be one of those (0
 * otherwise). */
int64_t tare_tensor_int_at(const tare_tensor *tensor, int64_t index);

/** Element `index` of a float, double, integer or boolean tensor as double. */
double tare_tensor_float_at(const tare_tensor *tensor, int64_t index);

/** Writes a shape such as "[1x3x224x?]" (unknown dims are negative) into `text` of `capacity` bytes
 * and returns it. rank < 0 gives "[unknown]". */
const char *tare_dims_text(char *text, size_t capacity, int rank, const int64_t *dims);

/** A capacity that fits every text of tare_dims_text(). */
#define TARE_DIMS_TEXT_BYTES 200

#endif
