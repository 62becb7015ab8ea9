/* SPDX-License-Identifier: Apache-2.0 */
/**
 * Writing graphs as ONNX files.
 *
 * A graph that was read and not changed is written as an equal model. What changed is taken from
 * the graph; everything else comes from the document it was read from:
 * - nodes with an origin keep its doc string, metadata, subgraphs and unknown fields, and each
 *   attribute that the graph did not change;
 * - initializers whose contents are still those of the file keep the file's encoding, others are
 *   written as raw data; initializers, inputs and value_info entries of tensors that are gone are
 *   left out;
 * - the type of an input, output or inner tensor is the file's, unless element type, rank or a
 *   fixed dim of the graph contradict it; inner tensors that the file did not have get a value_info
 *   entry when their type is known.
 * External data of the source is embedded, so the output can be put anywhere.
 */
#ifndef TARE_ONNX_WRITER_H
#define TARE_ONNX_WRITER_H

#include "ir/graph.h"

typedef struct tare_onnx_write_options {
    /** A serialized model larger than this is written with the contents of its initializers in a
     * side file "<file>.data". Default 2^31 - 1, the limit of the wire format. */
    uint64_t inline_limit_bytes;
    /** For a clone: the graph it was cloned from, whose document is then used. Default NULL. */
    const tare_graph *source;
} tare_onnx_write_options;

tare_onnx_write_options tare_onnx_write_options_default(void);

/**
 * Writes `graph` to `path` with default options. The file (and the side file, if one is needed)
 * appears complete or not at all.
 *
 * Errors: TARE_INVALID_ARGUMENT for a graph that is not a valid model (a tensor that is read but
 * not defined, nodes out of order, an output without a type); TARE_UNSUPPORTED when the model
 * exceeds the limit even with its initializers outside; TARE_IO, TARE_NOT_FOUND;
 * TARE_OUT_OF_MEMORY.
 */
TARE_MUST_CHECK tare_status tare_onnx_write(const tare_graph *graph, const char *path,
                                            tare_error *err);

/** tare_onnx_write() with options. */
TARE_MUST_CHECK tare_status tare_onnx_write_with(const tare_graph *graph, const char *path,
                                                 const tare_onnx_write_options *options,
                                                 tare_error *err);

/** Serializes into a new buffer, whose reference the caller gives back. A model above the limit is
 * TARE_UNSUPPORTED: there is no side file here. */
TARE_MUST_CHECK tare_status tare_onnx_write_memory(tare_buffer **out, const tare_graph *graph,
                                                   const tare_onnx_write_options *options,
                                                   tare_error *err);

#endif
