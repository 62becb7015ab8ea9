/* SPDX-License-Identifier: Apache-2.0 */
/** Writing quantizers into a graph as QuantizeLinear and DequantizeLinear. */
#ifndef TARE_QUANT_QDQ_H
#define TARE_QUANT_QDQ_H

#include "quant/params.h"

/**
 * Inserts every quantizer of `setup` into its graph, which must be that of the setup and have opset
 * 13 or later. Activations get a pair of nodes before their first consumer; weights become int8
 * initializers behind a DequantizeLinear, and what only led to the float weight is taken out.
 * Graph outputs and other readers than the points' consumers keep the float tensor. `ranges` has
 * one entry per point (those of weights are not read). The setup's values stay valid; the result is
 * the same for the same input.
 *
 * Errors: those of tare_setup_params().
 */
TARE_MUST_CHECK tare_status tare_qdq_insert(tare_graph *graph, const tare_quantizer_setup *setup,
                                            const tare_activation_range *ranges, tare_error *err);

#endif
