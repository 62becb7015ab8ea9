/* SPDX-License-Identifier: Apache-2.0 */
/** Folding per-channel scales and shifts into the layer before them. */
#ifndef TARE_PASS_BATCH_NORM_H
#define TARE_PASS_BATCH_NORM_H

#include "ir/graph.h"

/**
 * Folds BatchNormalization, and Add, Sub, Mul and Div by a per-channel constant, into weights and
 * bias of the Conv, ConvTranspose or Gemm that produces their input, as often as there is one.
 *
 * For an inferred graph that is only executed (a clone), never for one that is written, and never
 * where bits must match a reference: the folded weights are rounded once more, so results differ
 * in the last places from those of the separate nodes, and so would every statistic taken behind
 * them. Callers that promise such bits leave this pass out.
 *
 * A pair is folded when nothing else reads the value between them, it is no graph output and not in
 * `keep` (by value id; NULL: nothing is kept), weights, bias and constants are known, and a value
 * read here alone can carry each changed constant. The value between disappears; no value is added,
 * so that arrays by value id stay valid. The arithmetic is in double, rounded to float once.
 *
 * Writes the number of folded nodes to *folded. Uses are indexed afterwards. Errors:
 * TARE_OUT_OF_MEMORY.
 */
TARE_MUST_CHECK tare_status tare_pass_fold_batch_norm(size_t *folded, tare_graph *graph,
                                                      const bool *keep, tare_error *err);

#endif
