/* SPDX-License-Identifier: Apache-2.0 */
/** One of ONNX's operator cases: a model, its inputs, and what must come out. */
#ifndef TARE_TESTS_NODE_CASE_H
#define TARE_TESTS_NODE_CASE_H

#include "exec/backend.h"

#define NODE_CASE_TENSORS 32

typedef struct node_case {
    tare_graph graph; /**< inferred; inputs that stand for parameters are constants */
    tare_tensor inputs[NODE_CASE_TENSORS], expected[NODE_CASE_TENSORS];
    bool has_input[NODE_CASE_TENSORS], has_expected[NODE_CASE_TENSORS];
    char operator_name[64]; /**< of the first node */
} node_case;

/** Reads a case's folder and infers its graph. TARE_NOT_FOUND when the data are no dense tensors
 * (sequences, strings); TARE_UNSUPPORTED when Tare refuses the model; other errors are failures.
 * Release it in any case. */
tare_status node_case_read(node_case *c, const char *folder, tare_error *err);
void node_case_release(node_case *c);

/** Largest errors seen. */
typedef struct node_errors {
    double relative; /**< |found - expected| / |expected|, where |expected| > 1e-4 */
} node_errors;

/** Compares with output `index` within ONNX's own tolerance (relative 1e-3, absolute 1e-7; whole
 * numbers are equal). TARE_INTERNAL with the first difference. */
tare_status node_case_compare(node_errors *errors, const node_case *c, size_t index,
                              const void *found, tare_error *err);

/** Plans the graph, executes the plan and compares all outputs. */
tare_status node_case_run_plan(node_errors *errors, const node_case *c, const tare_backend *backend,
                               tare_error *err);

/** Runs the only node of the graph with every kernel row that takes it, in every layout that the
 * row may be given, and in place where the row allows it. *runs counts them; other graphs run
 * nothing. */
tare_status node_case_run_rows(node_errors *errors, int *runs, const node_case *c,
                               const tare_backend *backend, tare_error *err);

#endif
