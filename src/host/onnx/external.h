/* SPDX-License-Identifier: Apache-2.0 */
/** External data of a model. Internal to this layer. */
#ifndef TARE_ONNX_EXTERNAL_H
#define TARE_ONNX_EXTERNAL_H

#include "onnx/document.h"

/**
 * Maps the external data of every tensor of the model, also inside subgraphs and functions, and
 * turns the tensors into ones with raw data that points into the mappings. `folder` (NULL: none) is
 * the model's; data must lie in it or below, also after following links.
 */
TARE_MUST_CHECK tare_status tare_onnx_external_resolve(tare_document *document, const char *folder,
                                                       tare_error *err);

#endif
