/* SPDX-License-Identifier: Apache-2.0 */
/** Types of values between file and graph. Internal to this layer. */
#ifndef TARE_ONNX_TYPES_H
#define TARE_ONNX_TYPES_H

#include "onnx/document.h"

/** Fills what `info` says about a value and earlier lists did not; `names`: also the names of
 * dims. TARE_UNSUPPORTED for ranks above TARE_MAX_RANK, TARE_INVALID_MODEL for impossible numbers.
 */
TARE_MUST_CHECK tare_status tare_onnx_type_read(tare_value *value, tare_arena *arena,
                                                const Tare__ValueInfoProto *info, bool names,
                                                tare_error *err);

/** Remembers the types of all values of the graph, as read, in the document; false when memory runs
 * out. */
TARE_MUST_CHECK bool tare_onnx_types_record(tare_document *document, const tare_graph *graph);

/** False when element type, rank or a fixed dim of `value` contradicts what the file said when it
 * was read. A new value is compared with `info`, an entry that happens to have its name. */
bool tare_onnx_type_agrees(const tare_document *document, const tare_value *value,
                           const Tare__ValueInfoProto *info);

/** Replaces the type in `info` by that of the value; false when memory runs out. */
TARE_MUST_CHECK bool tare_onnx_type_write(Tare__ValueInfoProto *info, tare_arena *arena,
                                          const tare_value *value);

#endif
