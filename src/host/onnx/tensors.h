/* SPDX-License-Identifier: Apache-2.0 */
/** Tensors of the file as dense tensors. Internal to this layer. */
#ifndef TARE_ONNX_TENSORS_H
#define TARE_ONNX_TENSORS_H

#include "onnx/document.h"

/**
 * Makes `tensor` a view of the contents of `proto` and records that in the document. Raw data is
 * shared when it is aligned for its type; lists of numbers are converted into the document's
 * memory. The tensor's buffer holds a reference to the document; the caller releases the tensor.
 *
 * Strings and element types without a known size give type and shape with buffer NULL.
 * TARE_INVALID_MODEL when shape, type and contents do not agree (before anything is allocated),
 * TARE_UNSUPPORTED for ranks above TARE_MAX_RANK and segments. Texts do not name the tensor: the
 * caller prepends it.
 */
TARE_MUST_CHECK tare_status tare_onnx_tensor_view(tare_tensor *tensor, tare_document *document,
                                                  const Tare__TensorProto *proto, tare_error *err);

/** Copies the element type and the dims of `proto` into `tensor`, without contents; errors as
 * above. */
TARE_MUST_CHECK tare_status tare_onnx_tensor_shape(tare_tensor *tensor,
                                                   const Tare__TensorProto *proto, tare_error *err);

#endif
