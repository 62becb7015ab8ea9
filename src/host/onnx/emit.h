/* SPDX-License-Identifier: Apache-2.0 */
/** Graphs as messages of the wire format, ready to be packed. Internal to this layer. */
#ifndef TARE_ONNX_EMIT_H
#define TARE_ONNX_EMIT_H

#include "onnx/document.h"

/** A model to pack. Messages are new, or the document's own; texts and payloads are borrowed from
 * graph and document. */
typedef struct tare_onnx_emission {
    tare_arena arena; /**< of the new messages */
    const tare_graph *graph;
    const tare_document *document; /**< NULL: none */
    Tare__ModelProto model;
    Tare__GraphProto body;
    const tare_tensor **contents; /**< by index in body.initializer; NULL where there are no dense
                                     contents */
} tare_onnx_emission;

/** Builds the messages; `document` NULL: the graph was made in memory. Release in any case.
 * TARE_INVALID_ARGUMENT for graphs that are no valid model, TARE_OUT_OF_MEMORY. */
TARE_MUST_CHECK tare_status tare_onnx_emit(tare_onnx_emission *emission, const tare_graph *graph,
                                           const tare_document *document, tare_error *err);

void tare_onnx_emission_release(tare_onnx_emission *emission);

/** The message of one node. */
TARE_MUST_CHECK tare_status tare_onnx_emit_node(Tare__NodeProto **out, tare_onnx_emission *emission,
                                                const tare_node *node, tare_error *err);

/** Replaces shape, type and contents of `proto` by those of `tensor` as raw data; false when memory
 * runs out. */
TARE_MUST_CHECK bool tare_onnx_emit_tensor(Tare__TensorProto *proto, tare_arena *arena,
                                           const tare_tensor *tensor);

/** Takes the contents out of `proto`, whatever form they have. */
void tare_onnx_tensor_clear(Tare__TensorProto *proto);

#endif
