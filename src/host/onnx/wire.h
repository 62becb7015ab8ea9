/* SPDX-License-Identifier: Apache-2.0 */
/** A look over serialized bytes before protobuf-c unpacks them. */
#ifndef TARE_ONNX_WIRE_H
#define TARE_ONNX_WIRE_H

#include <protobuf-c/protobuf-c.h>

#include "base/error.h"

/** Messages nested deeper than this are refused; other readers of the format stop at 100 too. */
#define TARE_ONNX_MAX_NESTING 100

/**
 * Checks that `bytes` bytes are a well-formed message of the given kind, so that unpacking needs
 * bounded stack and time: every length lies within its parent, nesting is limited, wire types fit
 * their fields, single messages come once (merging copies would take quadratic time), texts hold no
 * NUL, memory for the messages is bounded by a multiple of `bytes`. TARE_INVALID_MODEL with the
 * offset of the first fault.
 */
TARE_MUST_CHECK tare_status tare_onnx_wire_check(const ProtobufCMessageDescriptor *kind,
                                                 const void *data, size_t bytes, tare_error *err);

#endif
