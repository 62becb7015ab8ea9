/* SPDX-License-Identifier: Apache-2.0 */
/** Evaluating a node whose inputs are constants. */
#ifndef TARE_PASS_FOLD_H
#define TARE_PASS_FOLD_H

#include "exec/backend.h"

/** Results larger than this and than the node's inputs are left to the run. */
#define TARE_FOLD_BYTES ((size_t)64 << 20)

/** Whether the node has outputs that are not constants yet and all its inputs are. */
bool tare_pass_is_foldable(const tare_node *node);

/**
 * Computes an inferred, foldable node with the backend's kernel and makes its outputs constants.
 * Does nothing for results that are too large, and for kernels that work channels-last only (their
 * operands would have to be reordered; such a node is left to the plan). Errors: TARE_UNSUPPORTED
 * when no kernel takes the operands, those of the kernel, TARE_OUT_OF_MEMORY; the node is named.
 * The caller has called backend->thread_begin().
 */
TARE_MUST_CHECK tare_status tare_pass_fold(tare_graph *graph, tare_node *node,
                                           const tare_backend *backend, tare_error *err);

#endif
