/* SPDX-License-Identifier: Apache-2.0 */
/**
 * Reading ONNX files into graphs.
 *
 * The whole file is kept as the graph's document, so that tare_onnx_write() can emit what the graph
 * does not model: metadata, functions, training information, doc strings, unknown fields.
 * Files are hostile until proved otherwise: lengths, nesting, shapes, names and references are
 * checked, and every error names the file and the node or tensor.
 */
#ifndef TARE_ONNX_READER_H
#define TARE_ONNX_READER_H

#include "ir/graph.h"

/**
 * Reads the model at `path` into `graph`, which the caller has initialised and releases, also after
 * a failure.
 *
 * - Constants: initializers and tensor attributes become dense tensors that share the document's
 *   memory, or the mapping of an external data file; 4-bit and 2-bit types stay packed. Strings,
 *   sparse tensors and element types newer than ir/tensor.h have type and shape but no contents
 *   (value->constant, attribute->tensor are NULL).
 * - Types come from the lists of inputs, outputs and value_info; what the file leaves open stays
 *   unknown. Names of dims are kept for inputs and outputs.
 * - Nodes keep file order where that is topological, else they are sorted. `origin` of a node stays
 *   valid as long as the graph (clones share it).
 * - External data must lie in the model's folder or below, also after following links.
 *
 * Errors: TARE_NOT_FOUND and TARE_IO for files; TARE_INVALID_MODEL for damaged or contradictory
 * ones; TARE_UNSUPPORTED for ranks above TARE_MAX_RANK and segmented tensors; TARE_OUT_OF_MEMORY.
 */
TARE_MUST_CHECK tare_status tare_onnx_read(tare_graph *graph, const char *path, tare_error *err);

/** As tare_onnx_read() from `bytes` bytes in memory, which may go away afterwards. `folder` is
 * where external data is looked for; NULL: a model with external data is refused as
 * TARE_UNSUPPORTED. */
TARE_MUST_CHECK tare_status tare_onnx_read_memory(tare_graph *graph, const void *data, size_t bytes,
                                                  const char *folder, tare_error *err);

/** Reads a file that holds one serialized tensor (as ONNX ships test data). The caller releases
 * `tensor`. TARE_UNSUPPORTED for tensors without dense contents (strings), other errors as
 * tare_onnx_read(); nothing is to be released then. */
TARE_MUST_CHECK tare_status tare_onnx_read_tensor_file(tare_tensor *tensor, const char *path,
                                                       tare_error *err);

/** The tensors of the outer graph that the subgraphs of `node` read by name. They are not among
 * node->inputs, so a pass must not take them for unused. `source` is the graph that was read (for a
 * node of a clone: the original, whose values have the same ids). Writes their number to *count;
 * NULL when there are none. */
tare_value *const *tare_onnx_captured(const tare_graph *source, const tare_node *node,
                                      size_t *count);

#endif
