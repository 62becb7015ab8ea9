/* SPDX-License-Identifier: Apache-2.0 */
/** Nodes and attributes of the file. Internal to this layer. */
#ifndef TARE_ONNX_NODES_H
#define TARE_ONNX_NODES_H

#include "onnx/document.h"

/** "" for both spellings of ONNX's own domain. */
const char *tare_onnx_domain(const char *domain);

/** NULL becomes "". */
const char *tare_onnx_text(const char *text);

/** The kind of an attribute. Files from before kinds were stored leave it out: then it is the kind
 * of the only field that is there, or TARE_ATTRIBUTE_UNDEFINED. */
tare_attribute_type tare_onnx_attribute_type(const Tare__AttributeProto *attribute);

/** Adds a value for every output of every node that has none yet. */
TARE_MUST_CHECK tare_status tare_onnx_outputs_read(tare_graph *graph,
                                                   const Tare__GraphProto *source, tare_error *err);

/** Adds the nodes, whose inputs and outputs are values of the graph by now. */
TARE_MUST_CHECK tare_status tare_onnx_nodes_read(tare_graph *graph, tare_document *document,
                                                 const Tare__GraphProto *source, tare_error *err);

/** Finds what the subgraphs of the graph's nodes read from it and records it in the document. */
TARE_MUST_CHECK tare_status tare_onnx_captures_read(const tare_graph *graph,
                                                    tare_document *document, tare_error *err);

#endif
