/* SPDX-License-Identifier: Apache-2.0 */
/** Types and shapes of a whole graph for concrete inputs, with constants folded. */
#ifndef TARE_PASS_INFER_H
#define TARE_PASS_INFER_H

#include "exec/backend.h"

/** The shape that one graph input is going to have. */
typedef struct tare_shape_binding {
    const char *name;
    int rank;
    int64_t dims[TARE_MAX_RANK];
} tare_shape_binding;

/**
 * Gives every value that an output depends on its type and concrete shape, resolves the operators'
 * typed attributes, and evaluates what does not depend on the inputs with the backend's kernels
 * (NULL: nothing is evaluated beyond what inference itself knows).
 *
 * Shapes in the file's value_info are hints and are overwritten; those of inputs bind: a given
 * shape must agree with the fixed dims, and a dim name stands for one number in the whole graph.
 * May be called again with other bindings. Nodes that no output needs are left alone.
 *
 * Errors: TARE_INVALID_ARGUMENT for a binding that names no input or contradicts the file (both
 * shapes given), and for dims that nothing fixes (input, dim and its name given); TARE_UNSUPPORTED
 * listing all operators that are not supported; those of tare_op_infer() and tare_pass_fold().
 */
TARE_MUST_CHECK tare_status tare_pass_infer(tare_graph *graph, const tare_backend *backend,
                                            const tare_shape_binding *bindings,
                                            size_t binding_count, tare_error *err);

#endif
