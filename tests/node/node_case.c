/* SPDX-License-Identifier: Apache-2.0 */
/** One of ONNX's operator cases: reading it, comparing with it, running its plan. */
#include "node_case.h"

#include <math.h>
#include <stdio.h>
#include <string.h>

#include "cpu/backend.h"
#include "cpu/element.h"
#include "exec/executor.h"
#include "onnx/reader.h"
#include "pass/infer.h"

#define PATH_BYTES 1024

static tare_status read_tensors(tare_tensor *tensors, bool *present, const char *folder,
                                const char *kind, size_t count, tare_error *err) {
    char path[PATH_BYTES];
    if (count > NODE_CASE_TENSORS) {
        return tare_fail(err, TARE_NOT_FOUND, "%zu tensors", count);
    }
    for (size_t i = 0; i < count; i++) {
        tare_status status;
        if (snprintf(path, sizeof path, "%s/test_data_set_0/%s_%zu.pb", folder, kind, i) >=
            PATH_BYTES) {
            return tare_fail(err, TARE_IO, "the path is too long");
        }
        status = tare_onnx_read_tensor_file(&tensors[i], path, err);
        present[i] = status == TARE_OK;
        if (status != TARE_OK && status != TARE_NOT_FOUND) {
            return TARE_NOT_FOUND;
        }
    }
    return TARE_OK;
}

/* Whether an input stands for what real models have as a constant: shapes, axes, bounds. */
static bool is_parameter(const tare_tensor *tensor, size_t index) {
    if (index > 0 && tensor->rank <= 1 && tare_tensor_count(tensor) <= 8) {
        return true;
    }
    return tensor->dtype != TARE_DTYPE_FLOAT && tensor->dtype != TARE_DTYPE_FLOAT16 &&
           tensor->dtype != TARE_DTYPE_DOUBLE && tensor->dtype != TARE_DTYPE_BFLOAT16;
}

static tare_status infer(node_case *c, tare_error *err) {
    tare_shape_binding bindings[NODE_CASE_TENSORS];
    size_t count = 0;

    for (size_t i = 0; i < c->graph.input_count; i++) {
        tare_value *value = c->graph.inputs[i];
        if (!c->has_input[i]) {
            continue;
        }
        if (is_parameter(&c->inputs[i], i)) {
            value->constant = tare_graph_new_tensor(&c->graph);
            if (value->constant == NULL) {
                return TARE_OUT_OF_MEMORY;
            }
            tare_tensor_share(value->constant, &c->inputs[i]);
        }
        bindings[count] = (tare_shape_binding){.name = value->name, .rank = c->inputs[i].rank};
        memcpy(bindings[count].dims, c->inputs[i].dims, sizeof c->inputs[i].dims);
        count++;
    }
    return tare_pass_infer(&c->graph, &tare_backend_cpu, bindings, count, err);
}

tare_status node_case_read(node_case *c, const char *folder, tare_error *err) {
    char path[PATH_BYTES];

    memset(c, 0, sizeof *c);
    tare_graph_init(&c->graph);
    if (snprintf(path, sizeof path, "%s/model.onnx", folder) >= PATH_BYTES) {
        return tare_fail(err, TARE_IO, "the path is too long");
    }
    TARE_TRY(tare_onnx_read(&c->graph, path, err));
    if (c->graph.node_count > 0) {
        (void)snprintf(c->operator_name, sizeof c->operator_name, "%s", c->graph.nodes[0]->op_type);
    }
    TARE_TRY(read_tensors(c->inputs, c->has_input, folder, "input", c->graph.input_count, err));
    TARE_TRY(
        read_tensors(c->expected, c->has_expected, folder, "output", c->graph.output_count, err));
    return infer(c, err);
}

void node_case_release(node_case *c) {
    for (size_t i = 0; i < NODE_CASE_TENSORS; i++) {
        tare_tensor_release(&c->inputs[i]);
        tare_tensor_release(&c->expected[i]);
    }
    tare_graph_release(&c->graph);
}

static bool close_enough(node_errors *errors, double found, double expected) {
    const double difference = fabs(found - expected);
    if (found == expected || (isnan(found) && isnan(expected))) {
        return true;
    }
    if (fabs(expected) > 1e-4 && difference / fabs(expected) > errors->relative) {
        errors->relative = difference / fabs(expected);
    }
    return difference <= 1e-7 + 1e-3 * fabs(expected);
}

tare_status node_case_compare(node_errors *errors, const node_case *c, size_t index,
                              const void *found, tare_error *err) {
    const tare_tensor *expected = &c->expected[index];
    const tare_accessor *accessor = tare_accessor_of(expected->dtype);
    const int64_t count = tare_tensor_count(expected);

    if (accessor == NULL) {
        return tare_fail(err, TARE_UNSUPPORTED, "output %zu of type %s", index,
                         tare_dtype_text(expected->dtype));
    }
    for (int64_t i = 0; i < count; i++) {
        const bool equal =
            accessor->number == TARE_NUMBER_REAL
                ? close_enough(errors, accessor->real(found, i), accessor->real(expected->data, i))
                : accessor->integer(found, i) == accessor->integer(expected->data, i);
        if (!equal) {
            return tare_fail(err, TARE_INTERNAL, "output %zu, element %lld is %.9g, expected %.9g",
                             index, (long long)i, accessor->real(found, i),
                             accessor->real(expected->data, i));
        }
    }
    return TARE_OK;
}

static tare_status check_type(const node_case *c, size_t index, const tare_desc *desc,
                              tare_error *err) {
    const tare_tensor *expected = &c->expected[index];
    if (desc->dtype != expected->dtype || desc->rank != expected->rank ||
        memcmp(desc->dims, expected->dims, (size_t)desc->rank * sizeof desc->dims[0]) != 0) {
        return tare_fail(err, TARE_INTERNAL, "output %zu has another type or shape", index);
    }
    return TARE_OK;
}

tare_status node_case_run_plan(node_errors *errors, const node_case *c, const tare_backend *backend,
                               tare_error *err) {
    const tare_plan_options options = {.threads_per_run = 1};
    const void *inputs[NODE_CASE_TENSORS];
    tare_plan *plan = NULL;
    tare_execution *execution = NULL;
    tare_status status;

    for (size_t i = 0; i < NODE_CASE_TENSORS; i++) {
        inputs[i] = c->inputs[i].data;
    }
    TARE_TRY_DONE(
        status, tare_plan_build(&plan, (tare_graph *)(uintptr_t)&c->graph, backend, &options, err));
    TARE_TRY_DONE(status, tare_execution_new(&execution, plan, err));
    TARE_TRY_DONE(status, tare_execution_run(execution, inputs, NULL, err));
    for (size_t i = 0; i < c->graph.output_count; i++) {
        tare_desc desc;
        const void *found = tare_execution_output(execution, i, &desc);
        if (c->has_expected[i]) {
            TARE_TRY_DONE(status, check_type(c, i, &desc, err));
            TARE_TRY_DONE(status, node_case_compare(errors, c, i, found, err));
        }
    }
done:
    tare_execution_free(execution);
    tare_plan_free(plan);
    return status;
}
