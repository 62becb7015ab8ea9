/* SPDX-License-Identifier: Apache-2.0 */
/**
 * The document behind a graph: the unpacked file, the mappings of its external data, and what the
 * writer must remember of reading. Internal to this layer.
 *
 * Constants share its memory, and clones share constants; hence a document is counted by reference
 * and goes when the graph and every buffer over it are gone.
 */
#ifndef TARE_ONNX_DOCUMENT_H
#define TARE_ONNX_DOCUMENT_H

#include <stdatomic.h>

#include "base/file.h"
#include "ir/graph.h"
#include "onnx.pb-c.h"

#if defined(__BYTE_ORDER__) && __BYTE_ORDER__ != __ORDER_LITTLE_ENDIAN__
#error "raw tensor data is little-endian and is used in place; this host is not"
#endif

/** What a tensor of the file became, to tell later whether it is still that. */
typedef struct tare_onnx_record {
    const Tare__TensorProto *proto;
    tare_tensor tensor; /**< without a reference: only compared */
} tare_onnx_record;

/** The outer tensors that the subgraphs of one node read. */
typedef struct tare_onnx_capture {
    const void *origin; /**< the node's */
    tare_value **values;
    size_t count;
} tare_onnx_capture;

/** The type of a value when the file was read. */
typedef struct tare_onnx_type {
    tare_dtype dtype;
    int rank;
    int64_t dims[TARE_MAX_RANK];
    bool is_tensor_type;
} tare_onnx_type;

/** A file with external data, mapped while the document lives. */
typedef struct tare_onnx_side_file {
    struct tare_onnx_side_file *next;
    const char *path; /**< without links */
    tare_mapping mapping;
} tare_onnx_side_file;

struct tare_document {
    atomic_size_t references;
    tare_arena arena;          /**< of everything unpacked */
    Tare__ModelProto *model;   /**< NULL in a document of a lone tensor */
    size_t value_count;        /**< values of the graph when it was read; later ids are new */
    tare_onnx_type *types;     /**< of those values, by id */
    tare_onnx_record *records; /**< sorted by proto after tare_document_seal() */
    size_t record_count, record_capacity;
    tare_onnx_capture *captures; /**< sorted by origin after tare_document_seal() */
    size_t capture_count, capture_capacity;
    tare_onnx_side_file *side_files;
};

/** An empty document with one reference, or NULL when memory runs out. */
tare_document *tare_document_new(void);

/** Takes another reference and returns its argument. */
tare_document *tare_document_retain(tare_document *document);

/** Gives a reference back. NULL allowed. */
void tare_document_release(tare_document *document);

/** Checks and unpacks `bytes` bytes into the document's arena. TARE_INVALID_MODEL,
 * TARE_OUT_OF_MEMORY. */
TARE_MUST_CHECK tare_status tare_document_unpack(ProtobufCMessage **out, tare_document *document,
                                                 const ProtobufCMessageDescriptor *kind,
                                                 const void *data, size_t bytes, tare_error *err);

/** Remembers what `proto` became; false when memory runs out. */
TARE_MUST_CHECK bool tare_document_record(tare_document *document, const Tare__TensorProto *proto,
                                          const tare_tensor *tensor);

/** Remembers captured values (array kept, not copied); false when memory runs out. */
TARE_MUST_CHECK bool tare_document_capture(tare_document *document, const void *origin,
                                           tare_value **values, size_t count);

/** Ends recording; the look-ups below work from now on. */
void tare_document_seal(tare_document *document);

/** True when `tensor` is exactly what `proto` became. */
bool tare_document_is_unchanged(const tare_document *document, const Tare__TensorProto *proto,
                                const tare_tensor *tensor);

/** The captures of the node with that origin, or NULL. */
const tare_onnx_capture *tare_document_find_capture(const tare_document *document,
                                                    const void *origin);

#endif
