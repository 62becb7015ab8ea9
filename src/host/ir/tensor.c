/* SPDX-License-Identifier: Apache-2.0 */
/** Element types, refcounted buffers, and dense host tensors over them. */
#include "ir/tensor.h"

#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define BUFFER_ALIGNMENT ((size_t)64)

static const struct {
    const char *text;
    unsigned bits;
} dtypes[] = {
    [TARE_DTYPE_UNDEFINED] = {"undefined", 0},
    [TARE_DTYPE_FLOAT] = {"float32", 32},
    [TARE_DTYPE_UINT8] = {"uint8", 8},
    [TARE_DTYPE_INT8] = {"int8", 8},
    [TARE_DTYPE_UINT16] = {"uint16", 16},
    [TARE_DTYPE_INT16] = {"int16", 16},
    [TARE_DTYPE_INT32] = {"int32", 32},
    [TARE_DTYPE_INT64] = {"int64", 64},
    [TARE_DTYPE_STRING] = {"string", 0},
    [TARE_DTYPE_BOOL] = {"bool", 8},
    [TARE_DTYPE_FLOAT16] = {"float16", 16},
    [TARE_DTYPE_DOUBLE] = {"float64", 64},
    [TARE_DTYPE_UINT32] = {"uint32", 32},
    [TARE_DTYPE_UINT64] = {"uint64", 64},
    [TARE_DTYPE_COMPLEX64] = {"complex64", 64},
    [TARE_DTYPE_COMPLEX128] = {"complex128", 128},
    [TARE_DTYPE_BFLOAT16] = {"bfloat16", 16},
    [TARE_DTYPE_FLOAT8E4M3FN] = {"float8e4m3fn", 8},
    [TARE_DTYPE_FLOAT8E4M3FNUZ] = {"float8e4m3fnuz", 8},
    [TARE_DTYPE_FLOAT8E5M2] = {"float8e5m2", 8},
    [TARE_DTYPE_FLOAT8E5M2FNUZ] = {"float8e5m2fnuz", 8},
    [TARE_DTYPE_UINT4] = {"uint4", 4},
    [TARE_DTYPE_INT4] = {"int4", 4},
    [TARE_DTYPE_FLOAT4E2M1] = {"float4e2m1", 4},
    [TARE_DTYPE_FLOAT8E8M0] = {"float8e8m0", 8},
    [TARE_DTYPE_UINT2] = {"uint2", 2},
    [TARE_DTYPE_INT2] = {"int2", 2},
};

static bool known(tare_dtype dtype) {
    return (unsigned)dtype < sizeof dtypes / sizeof dtypes[0];
}

unsigned tare_dtype_bits(tare_dtype dtype) {
    return known(dtype) ? dtypes[dtype].bits : 0;
}

size_t tare_dtype_bytes(tare_dtype dtype) {
    return tare_dtype_bits(dtype) / 8;
}

const char *tare_dtype_text(tare_dtype dtype) {
    return known(dtype) ? dtypes[dtype].text : "unknown";
}

struct tare_buffer {
    atomic_size_t references;
    void *data;
    size_t bytes;
    void (*release)(void *owner);
    void *owner;
};

tare_buffer *tare_buffer_wrap(const void *data, size_t bytes, void (*release)(void *owner),
                              void *owner) {
    tare_buffer *buffer = malloc(sizeof *buffer);
    if (buffer != NULL) {
        atomic_init(&buffer->references, 1);
        buffer->data = (void *)(uintptr_t)data;
        buffer->bytes = bytes;
        buffer->release = release;
        buffer->owner = owner;
    }
    return buffer;
}

tare_buffer *tare_buffer_new(size_t bytes) {
    tare_buffer *buffer;
    size_t rounded;
    void *data;

    if (bytes > SIZE_MAX - BUFFER_ALIGNMENT) {
        return NULL;
    }
    rounded = (bytes + BUFFER_ALIGNMENT) & ~(BUFFER_ALIGNMENT - 1);
    data = aligned_alloc(BUFFER_ALIGNMENT, rounded);
    if (data == NULL) {
        return NULL;
    }
    memset(data, 0, rounded);
    buffer = tare_buffer_wrap(data, bytes, free, data);
    if (buffer == NULL) {
        free(data);
    }
    return buffer;
}

tare_buffer *tare_buffer_retain(tare_buffer *buffer) {
    if (buffer != NULL) {
        (void)atomic_fetch_add_explicit(&buffer->references, 1, memory_order_relaxed);
    }
    return buffer;
}

void tare_buffer_release(tare_buffer *buffer) {
    if (buffer != NULL &&
        atomic_fetch_sub_explicit(&buffer->references, 1, memory_order_acq_rel) == 1) {
        if (buffer->release != NULL) {
            buffer->release(buffer->owner);
        }
        free(buffer);
    }
}

void *tare_buffer_data(tare_buffer *buffer) {
    return buffer->data;
}

size_t tare_buffer_bytes(const tare_buffer *buffer) {
    return buffer->bytes;
}

int64_t tare_dims_count(int rank, const int64_t *dims) {
    int64_t count = 1;
    bool zero = false;
    for (int i = 0; i < rank; i++) {
        if (dims[i] < 0) {
            return -1;
        }
        zero = zero || dims[i] == 0;
    }
    for (int i = 0; i < rank && !zero; i++) {
        if (count > INT64_MAX / dims[i]) {
            return -1;
        }
        count *= dims[i];
    }
    return zero ? 0 : count;
}

bool tare_dims_bytes(size_t *bytes, tare_dtype dtype, int rank, const int64_t *dims) {
    const int64_t count = tare_dims_count(rank, dims);
    const unsigned bits = tare_dtype_bits(dtype);
    if (count < 0 || bits == 0 || count > (INT64_MAX - 7) / (int64_t)bits) {
        return false;
    }
    *bytes = (size_t)((count * (int64_t)bits + 7) / 8);
    return true;
}

int64_t tare_tensor_count(const tare_tensor *tensor) {
    return tare_dims_count(tensor->rank, tensor->dims);
}

tare_status tare_tensor_init(tare_tensor *tensor, tare_dtype dtype, int rank, const int64_t *dims,
                             tare_error *err) {
    char text[TARE_DIMS_TEXT_BYTES];
    size_t bytes;

    *tensor = (tare_tensor){.dtype = dtype, .rank = rank};
    if (rank < 0 || rank > TARE_MAX_RANK || !tare_dims_bytes(&bytes, dtype, rank, dims)) {
        return tare_fail(err, TARE_INVALID_ARGUMENT, "a %s tensor of shape %s cannot be made",
                         tare_dtype_text(dtype), tare_dims_text(text, sizeof text, rank, dims));
    }
    for (int i = 0; i < rank; i++) {
        tensor->dims[i] = dims[i];
    }
    tensor->buffer = tare_buffer_new(bytes);
    if (tensor->buffer == NULL) {
        return tare_fail_memory(err, bytes, "a tensor");
    }
    tensor->data = tensor->buffer->data;
    return TARE_OK;
}

void *tare_tensor_elements(tare_tensor *tensor) {
    return (void *)(uintptr_t)tensor->data;
}

void tare_tensor_share(tare_tensor *copy, const tare_tensor *tensor) {
    (void)tare_buffer_retain(tensor->buffer);
    *copy = *tensor;
}

void tare_tensor_release(tare_tensor *tensor) {
    if (tensor != NULL) {
        tare_buffer_release(tensor->buffer);
        *tensor = (tare_tensor){0};
    }
}

int64_t tare_tensor_int_at(const tare_tensor *tensor, int64_t index) {
    switch (tensor->dtype) {
    case TARE_DTYPE_INT64:
        return ((const int64_t *)tensor->data)[index];
    case TARE_DTYPE_INT32:
        return ((const int32_t *)tensor->data)[index];
    case TARE_DTYPE_INT16:
        return ((const int16_t *)tensor->data)[index];
    case TARE_DTYPE_INT8:
        return ((const int8_t *)tensor->data)[index];
    case TARE_DTYPE_UINT8:
    case TARE_DTYPE_BOOL:
        return ((const uint8_t *)tensor->data)[index];
    case TARE_DTYPE_UINT16:
        return ((const uint16_t *)tensor->data)[index];
    case TARE_DTYPE_UINT32:
        return ((const uint32_t *)tensor->data)[index];
    case TARE_DTYPE_UINT64:
        return (int64_t)((const uint64_t *)tensor->data)[index];
    default:
        return 0;
    }
}

double tare_tensor_float_at(const tare_tensor *tensor, int64_t index) {
    if (tensor->dtype == TARE_DTYPE_FLOAT) {
        return (double)((const float *)tensor->data)[index];
    }
    if (tensor->dtype == TARE_DTYPE_DOUBLE) {
        return ((const double *)tensor->data)[index];
    }
    return (double)tare_tensor_int_at(tensor, index);
}

const char *tare_dims_text(char *text, size_t capacity, int rank, const int64_t *dims) {
    size_t at = 0;
    if (rank < 0 || rank > TARE_MAX_RANK) {
        (void)snprintf(text, capacity, "[unknown]");
        return text;
    }
    at += (size_t)snprintf(text, capacity, "[");
    for (int i = 0; i < rank && at < capacity; i++) {
        const char *separator = i == 0 ? "" : "x";
        at += (size_t)(dims[i] < 0 ? snprintf(text + at, capacity - at, "%s?", separator)
                                   : snprintf(text + at, capacity - at, "%s%lld", separator,
                                              (long long)dims[i]));
    }
    if (at < capacity) {
        (void)snprintf(text + at, capacity - at, "]");
    }
    return text;
}
