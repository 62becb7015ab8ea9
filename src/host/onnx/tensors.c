/* SPDX-License-Identifier: Apache-2.0 */
/** Tensors of the file as dense tensors. */
#include "onnx/tensors.h"

#include <string.h>

#include "onnx/reader.h"

typedef enum {
    FIELD_NONE,
    FIELD_FLOAT,
    FIELD_INT32,
    FIELD_INT64,
    FIELD_DOUBLE,
    FIELD_UINT64
} field;

/* Which list holds the numbers of a type, how many bytes an entry makes, and what fits into them.
 * Complex numbers take two entries per element; packed types share one entry per byte. */
static const struct {
    field from;
    uint8_t entry_bytes;
    int64_t low, high;
} encodings[] = {
    [TARE_DTYPE_FLOAT] = {FIELD_FLOAT, 4, 0, 0},
    [TARE_DTYPE_COMPLEX64] = {FIELD_FLOAT, 4, 0, 0},
    [TARE_DTYPE_DOUBLE] = {FIELD_DOUBLE, 8, 0, 0},
    [TARE_DTYPE_COMPLEX128] = {FIELD_DOUBLE, 8, 0, 0},
    [TARE_DTYPE_INT64] = {FIELD_INT64, 8, 0, 0},
    [TARE_DTYPE_UINT64] = {FIELD_UINT64, 8, 0, 0},
    [TARE_DTYPE_UINT32] = {FIELD_UINT64, 4, 0, UINT32_MAX},
    [TARE_DTYPE_INT32] = {FIELD_INT32, 4, INT32_MIN, INT32_MAX},
    [TARE_DTYPE_INT16] = {FIELD_INT32, 2, INT16_MIN, INT16_MAX},
    [TARE_DTYPE_UINT16] = {FIELD_INT32, 2, 0, UINT16_MAX},
    [TARE_DTYPE_INT8] = {FIELD_INT32, 1, INT8_MIN, INT8_MAX},
    [TARE_DTYPE_UINT8] = {FIELD_INT32, 1, 0, UINT8_MAX},
    [TARE_DTYPE_BOOL] = {FIELD_INT32, 1, 0, 1},
    [TARE_DTYPE_FLOAT16] = {FIELD_INT32, 2, 0, UINT16_MAX},
    [TARE_DTYPE_BFLOAT16] = {FIELD_INT32, 2, 0, UINT16_MAX},
    [TARE_DTYPE_FLOAT8E4M3FN] = {FIELD_INT32, 1, 0, UINT8_MAX},
    [TARE_DTYPE_FLOAT8E4M3FNUZ] = {FIELD_INT32, 1, 0, UINT8_MAX},
    [TARE_DTYPE_FLOAT8E5M2] = {FIELD_INT32, 1, 0, UINT8_MAX},
    [TARE_DTYPE_FLOAT8E5M2FNUZ] = {FIELD_INT32, 1, 0, UINT8_MAX},
    [TARE_DTYPE_FLOAT8E8M0] = {FIELD_INT32, 1, 0, UINT8_MAX},
    /* Some writers store the packed bytes as signed numbers. */
    [TARE_DTYPE_UINT4] = {FIELD_INT32, 1, INT8_MIN, UINT8_MAX},
    [TARE_DTYPE_INT4] = {FIELD_INT32, 1, INT8_MIN, UINT8_MAX},
    [TARE_DTYPE_FLOAT4E2M1] = {FIELD_INT32, 1, INT8_MIN, UINT8_MAX},
    [TARE_DTYPE_UINT2] = {FIELD_INT32, 1, INT8_MIN, UINT8_MAX},
    [TARE_DTYPE_INT2] = {FIELD_INT32, 1, INT8_MIN, UINT8_MAX},
};

typedef struct number_list {
    const void *data;
    size_t count, bytes_each;
} number_list;

static number_list find_numbers(const Tare__TensorProto *proto, field from) {
    switch (from) {
    case FIELD_FLOAT:
        return (number_list){proto->float_data, proto->n_float_data, 4};
    case FIELD_INT32:
        return (number_list){proto->int32_data, proto->n_int32_data, 4};
    case FIELD_INT64:
        return (number_list){proto->int64_data, proto->n_int64_data, 8};
    case FIELD_DOUBLE:
        return (number_list){proto->double_data, proto->n_double_data, 8};
    case FIELD_UINT64:
        return (number_list){proto->uint64_data, proto->n_uint64_data, 8};
    case FIELD_NONE:
        break;
    }
    return (number_list){0};
}

static size_t count_all_numbers(const Tare__TensorProto *proto) {
    return proto->n_float_data + proto->n_int32_data + proto->n_int64_data + proto->n_double_data +
           proto->n_uint64_data + proto->n_string_data;
}

tare_status tare_onnx_tensor_shape(tare_tensor *tensor, const Tare__TensorProto *proto,
                                   tare_error *err) {
    char text[TARE_DIMS_TEXT_BYTES];

    *tensor = (tare_tensor){0};
    if (!proto->has_data_type || proto->data_type <= 0) {
        return tare_fail(err, TARE_INVALID_MODEL, "element type %ld is none of ONNX's",
                         (long)proto->data_type);
    }
    if (proto->segment != NULL) {
        return tare_fail(err, TARE_UNSUPPORTED, "tensors stored in segments are not supported");
    }
    if (proto->n_dims > TARE_MAX_RANK) {
        return tare_fail(err, TARE_UNSUPPORTED, "rank %zu is above %d", proto->n_dims,
                         TARE_MAX_RANK);
    }
    tensor->dtype = (tare_dtype)proto->data_type;
    tensor->rank = (int)proto->n_dims;
    for (size_t i = 0; i < proto->n_dims; i++) {
        tensor->dims[i] = proto->dims[i];
    }
    if (tare_dims_count(tensor->rank, tensor->dims) < 0) {
        return tare_fail(err, TARE_INVALID_MODEL, "shape %s has a negative or impossible size",
                         tare_dims_text(text, sizeof text, tensor->rank, tensor->dims));
    }
    return TARE_OK;
}

/* Boolean elements are read as C truth values later, so other bytes must not get in. */
static bool raw_is_legal(const tare_tensor *tensor, const ProtobufCBinaryData *raw) {
    bool legal = true;
    for (size_t i = 0; tensor->dtype == TARE_DTYPE_BOOL && i < raw->len; i++) {
        legal = legal && raw->data[i] <= 1;
    }
    return legal;
}

static bool aligned(const void *data, tare_dtype dtype) {
    /* Complex numbers are pairs; everything else aligns to its own size. */
    const bool pairs = dtype == TARE_DTYPE_COMPLEX64 || dtype == TARE_DTYPE_COMPLEX128;
    const size_t size = tare_dtype_bytes(dtype) / (pairs ? 2 : 1);
    return size <= 1 || (uintptr_t)data % size == 0;
}

static tare_status view_raw(tare_tensor *tensor, tare_document *document,
                            const ProtobufCBinaryData *raw, size_t bytes, tare_error *err) {
    char text[TARE_DIMS_TEXT_BYTES];
    void *copy;

    if (raw->len != bytes) {
        return tare_fail(err, TARE_INVALID_MODEL, "%zu bytes of data, but %s %s has %zu", raw->len,
                         tare_dtype_text(tensor->dtype),
                         tare_dims_text(text, sizeof text, tensor->rank, tensor->dims), bytes);
    }
    if (!raw_is_legal(tensor, raw)) {
        return tare_fail(err, TARE_INVALID_MODEL, "a boolean that is neither 0 nor 1");
    }
    tensor->data = raw->data;
    if (bytes > 0 && !aligned(raw->data, tensor->dtype)) {
        copy = tare_arena_alloc(&document->arena, bytes);
        if (copy == NULL) {
            return tare_fail_memory(err, bytes, "a tensor");
        }
        tensor->data = memcpy(copy, raw->data, bytes);
    }
    return TARE_OK;
}

static bool narrow(unsigned char *to, const number_list *from, tare_dtype dtype, size_t *bad) {
    const size_t bytes = encodings[dtype].entry_bytes;
    for (size_t i = 0; i < from->count; i++) {
        int64_t value;
        if (from->bytes_each == 4) {
            value = ((const int32_t *)from->data)[i];
        } else {
            const uint64_t wide = ((const uint64_t *)from->data)[i];
            value = wide > INT64_MAX ? INT64_MAX : (int64_t)wide;
        }
        if (value < encodings[dtype].low || value > encodings[dtype].high) {
            *bad = i;
            return false;
        }
        memcpy(to + i * bytes, &value, bytes); /* the low bytes come first */
    }
    return true;
}

static tare_status view_numbers(tare_tensor *tensor, tare_document *document,
                                const Tare__TensorProto *proto, size_t bytes, tare_error *err) {
    const size_t entry_bytes = encodings[tensor->dtype].entry_bytes;
    const number_list list = find_numbers(proto, encodings[tensor->dtype].from);
    char text[TARE_DIMS_TEXT_BYTES];
    size_t bad = 0;
    void *copy;

    if (list.count != count_all_numbers(proto)) {
        return tare_fail(err, TARE_INVALID_MODEL, "%s data in a list meant for another type",
                         tare_dtype_text(tensor->dtype));
    }
    if (list.count != bytes / entry_bytes) {
        return tare_fail(err, TARE_INVALID_MODEL, "%zu numbers, but %s %s has %zu", list.count,
                         tare_dtype_text(tensor->dtype),
                         tare_dims_text(text, sizeof text, tensor->rank, tensor->dims),
                         bytes / entry_bytes);
    }
    if (list.bytes_each == entry_bytes) {
        tensor->data = list.data;
        return TARE_OK;
    }
    copy = tare_arena_alloc(&document->arena, bytes);
    if (copy == NULL) {
        return tare_fail_memory(err, bytes, "a tensor");
    }
    if (!narrow(copy, &list, tensor->dtype, &bad)) {
        return tare_fail(err, TARE_INVALID_MODEL, "number %zu does not fit %s", bad,
                         tare_dtype_text(tensor->dtype));
    }
    tensor->data = copy;
    return TARE_OK;
}

static void release_document(void *owner) {
    tare_document_release(owner);
}

tare_status tare_onnx_tensor_view(tare_tensor *tensor, tare_document *document,
                                  const Tare__TensorProto *proto, tare_error *err) {
    static const unsigned char nothing[64];
    tare_status status;
    size_t bytes;

    TARE_TRY(tare_onnx_tensor_shape(tensor, proto, err));
    if (proto->data_location != 0) {
        return tare_fail(err, TARE_INVALID_MODEL, "data location %ld is none of ONNX's",
                         (long)proto->data_location);
    }
    if (tare_dtype_bits(tensor->dtype) == 0) {
        return TARE_OK;
    }
    if (!tare_dims_bytes(&bytes, tensor->dtype, tensor->rank, tensor->dims)) {
        char text[TARE_DIMS_TEXT_BYTES];
        return tare_fail(err, TARE_INVALID_MODEL, "shape %s is too large",
                         tare_dims_text(text, sizeof text, tensor->rank, tensor->dims));
    }
    if (proto->raw_data.len > 0 && count_all_numbers(proto) > 0) {
        return tare_fail(err, TARE_INVALID_MODEL, "contents are stored twice");
    }
    if (proto->raw_data.len > 0 || count_all_numbers(proto) == 0) {
        status = view_raw(tensor, document, &proto->raw_data, bytes, err);
    } else {
        status = view_numbers(tensor, document, proto, bytes, err);
    }
    if (status == TARE_OK) {
        if (tensor->data == NULL) {
            tensor->data = nothing;
        }
        tensor->buffer = tare_buffer_wrap(tensor->data, bytes, release_document, document);
        if (tensor->buffer == NULL) {
            status = tare_fail_memory(err, bytes, "a tensor's buffer");
        } else {
            (void)tare_document_retain(document);
            if (!tare_document_record(document, proto, tensor)) {
                tare_tensor_release(tensor);
                status = tare_fail_memory(err, sizeof *tensor, "the list of tensors");
            }
        }
    }
    if (status != TARE_OK) {
        *tensor = (tare_tensor){0};
    }
    return status;
}

tare_status tare_onnx_read_tensor_file(tare_tensor *tensor, const char *path, tare_error *err) {
    tare_document *document = NULL;
    tare_mapping mapping;
    ProtobufCMessage *message;
    tare_status status;

    *tensor = (tare_tensor){0};
    TARE_TRY(tare_mapping_open(&mapping, path, err));
    document = tare_document_new();
    if (document == NULL) {
        status = tare_fail_memory(err, sizeof *document, "a tensor file");
        goto done;
    }
    status = tare_document_unpack(&message, document, &tare__tensor_proto__descriptor, mapping.data,
                                  mapping.bytes, err);
    if (status == TARE_OK) {
        status = tare_onnx_tensor_view(tensor, document, (const Tare__TensorProto *)message, err);
    }
    if (status == TARE_OK && tensor->buffer == NULL) {
        status = tare_fail(err, TARE_UNSUPPORTED, "%s tensors are not supported",
                           tare_dtype_text(tensor->dtype));
    }
    if (status != TARE_OK) {
        tare_error_prepend(err, "'%s': ", path);
    }
done:
    tare_mapping_release(&mapping);
    tare_document_release(document);
    return status;
}
