/* SPDX-License-Identifier: Apache-2.0 */
/** The document behind a graph. */
#include "onnx/document.h"

#include <stdlib.h>
#include <string.h>

#include "onnx/wire.h"

tare_document *tare_document_new(void) {
    tare_document *document = calloc(1, sizeof *document);
    if (document != NULL) {
        atomic_init(&document->references, 1);
        tare_arena_init(&document->arena);
    }
    return document;
}

tare_document *tare_document_retain(tare_document *document) {
    (void)atomic_fetch_add_explicit(&document->references, 1, memory_order_relaxed);
    return document;
}

void tare_document_release(tare_document *document) {
    if (document == NULL ||
        atomic_fetch_sub_explicit(&document->references, 1, memory_order_acq_rel) != 1) {
        return;
    }
    for (tare_onnx_side_file *file = document->side_files; file != NULL; file = file->next) {
        tare_mapping_release(&file->mapping);
    }
    free(document->records);
    free(document->captures);
    tare_arena_release(&document->arena);
    free(document);
}

typedef struct unpacking {
    tare_arena *arena;
    bool out_of_memory;
} unpacking;

static void *unpack_alloc(void *data, size_t bytes) {
    unpacking *state = data;
    void *memory = tare_arena_alloc(state->arena, bytes);
    state->out_of_memory = state->out_of_memory || memory == NULL;
    return memory;
}

static void unpack_free(void *data, void *memory) {
    /* The arena goes as a whole. */
    TARE_UNUSED(data);
    TARE_UNUSED(memory);
}

tare_status tare_document_unpack(ProtobufCMessage **out, tare_document *document,
                                 const ProtobufCMessageDescriptor *kind, const void *data,
                                 size_t bytes, tare_error *err) {
    unpacking state = {.arena = &document->arena};
    ProtobufCAllocator allocator = {
        .alloc = unpack_alloc, .free = unpack_free, .allocator_data = &state};

    *out = NULL;
    if (bytes == 0) {
        return tare_fail(err, TARE_INVALID_MODEL, "the file is empty");
    }
    TARE_TRY(tare_onnx_wire_check(kind, data, bytes, err));
    *out = protobuf_c_message_unpack(kind, &allocator, bytes, data);
    if (*out != NULL) {
        return TARE_OK;
    }
    if (state.out_of_memory) {
        return tare_fail_memory(err, bytes, "the unpacked model");
    }
    return tare_fail(err, TARE_INVALID_MODEL, "damaged, or not an ONNX file: %s does not unpack",
                     kind->short_name);
}

/* Makes room for one more element of `size` bytes. */
static bool reserve(void **array, size_t count, size_t *capacity, size_t size) {
    size_t wanted;
    void *grown;
    if (count < *capacity) {
        return true;
    }
    wanted = *capacity == 0 ? 64 : *capacity * 2;
    grown = realloc(*array, wanted * size);
    if (grown == NULL) {
        return false;
    }
    *array = grown;
    *capacity = wanted;
    return true;
}

bool tare_document_record(tare_document *document, const Tare__TensorProto *proto,
                          const tare_tensor *tensor) {
    void *array = document->records;
    const bool ok = reserve(&array, document->record_count, &document->record_capacity,
                            sizeof *document->records);
    document->records = array;
    if (ok) {
        document->records[document->record_count++] =
            (tare_onnx_record){.proto = proto, .tensor = *tensor};
    }
    return ok;
}

bool tare_document_capture(tare_document *document, const void *origin, tare_value **values,
                           size_t count) {
    void *array = document->captures;
    const bool ok = reserve(&array, document->capture_count, &document->capture_capacity,
                            sizeof *document->captures);
    document->captures = array;
    if (ok) {
        document->captures[document->capture_count++] =
            (tare_onnx_capture){.origin = origin, .values = values, .count = count};
    }
    return ok;
}

static int order_addresses(const void *a, const void *b) {
    const uintptr_t x = (uintptr_t)a, y = (uintptr_t)b;
    return (x > y) - (x < y);
}

static int order_records(const void *a, const void *b) {
    return order_addresses(((const tare_onnx_record *)a)->proto,
                           ((const tare_onnx_record *)b)->proto);
}

static int order_captures(const void *a, const void *b) {
    return order_addresses(((const tare_onnx_capture *)a)->origin,
                           ((const tare_onnx_capture *)b)->origin);
}

void tare_document_seal(tare_document *document) {
    if (document->record_count > 0) {
        qsort(document->records, document->record_count, sizeof *document->records, order_records);
    }
    if (document->capture_count > 0) {
        qsort(document->captures, document->capture_count, sizeof *document->captures,
              order_captures);
    }
}

bool tare_document_is_unchanged(const tare_document *document, const Tare__TensorProto *proto,
                                const tare_tensor *tensor) {
    const tare_onnx_record key = {.proto = proto};
    const tare_onnx_record *record;
    if (document->record_count == 0) {
        return false;
    }
    record = bsearch(&key, document->records, document->record_count, sizeof key, order_records);
    return record != NULL && record->tensor.data == tensor->data &&
           record->tensor.dtype == tensor->dtype && record->tensor.rank == tensor->rank &&
           memcmp(record->tensor.dims, tensor->dims,
                  (size_t)tensor->rank * sizeof tensor->dims[0]) == 0;
}

const tare_onnx_capture *tare_document_find_capture(const tare_document *document,
                                                    const void *origin) {
    const tare_onnx_capture key = {.origin = origin};
    if (document->capture_count == 0) {
        return NULL;
    }
    return bsearch(&key, document->captures, document->capture_count, sizeof key, order_captures);
}
