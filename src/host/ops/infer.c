/* SPDX-License-Identifier: Apache-2.0 */
/** What the rows' infer functions are built from. */
#include "ops/infer.h"

#include <string.h>

const tare_value *tare_infer_input(const tare_infer *infer, size_t port) {
    return tare_node_input(infer->node, port);
}

bool tare_infer_wants(const tare_infer *infer, size_t port) {
    return port < infer->node->output_count && infer->node->outputs[port] != NULL;
}

tare_status tare_infer_output(tare_infer *infer, size_t port, tare_dtype dtype, int rank,
                              const int64_t *dims, tare_error *err) {
    char text[TARE_DIMS_TEXT_BYTES];
    tare_value *value;
    size_t bytes;

    if (rank > TARE_MAX_RANK) {
        return tare_fail(err, TARE_UNSUPPORTED, "the result has %d dims, at most %d are supported",
                         rank, TARE_MAX_RANK);
    }
    /* Checked also for outputs nobody reads: a wrong node is wrong either way. */
    if (!tare_dims_bytes(&bytes, dtype, rank, dims)) {
        return tare_fail(err, TARE_INVALID_MODEL, "the result would have the shape %s of type %s",
                         tare_dims_text(text, sizeof text, rank, dims), tare_dtype_text(dtype));
    }
    if (!tare_infer_wants(infer, port)) {
        return TARE_OK;
    }
    value = infer->node->outputs[port];
    value->dtype = dtype;
    value->rank = rank;
    for (int i = 0; i < TARE_MAX_RANK; i++) {
        value->dims[i] = i < rank ? dims[i] : 0;
    }
    return TARE_OK;
}

tare_status tare_infer_output_like(tare_infer *infer, size_t port, const tare_value *value,
                                   tare_error *err) {
    return tare_infer_output(infer, port, value->dtype, value->rank, value->dims, err);
}

tare_status tare_infer_output_constant(tare_tensor **out, tare_infer *infer, size_t port,
                                       tare_error *err) {
    tare_value *value = infer->node->outputs[port];
    tare_tensor *tensor = tare_graph_new_tensor(infer->graph);
    *out = tensor;
    if (tensor == NULL) {
        return tare_fail_memory(err, sizeof *tensor, "a tensor");
    }
    TARE_TRY(tare_tensor_init(tensor, value->dtype, value->rank, value->dims, err));
    value->constant = tensor;
    return TARE_OK;
}

/* The constant behind an input; NULL with TARE_OK when the input is left out. */
static tare_status constant_input(const tare_tensor **out, const tare_infer *infer, size_t port,
                                  const char *what, tare_error *err) {
    const tare_value *value = tare_infer_input(infer, port);
    *out = NULL;
    if (value == NULL) {
        return TARE_OK;
    }
    if (value->constant == NULL) {
        return tare_fail(err, TARE_UNSUPPORTED,
                         "input '%s' (%s) depends on the model's inputs; only constant %s are "
                         "supported here",
                         value->name, what, what);
    }
    *out = value->constant;
    return TARE_OK;
}

tare_status tare_infer_ints(tare_ints *out, tare_infer *infer, size_t port, const char *what,
                            tare_error *err) {
    const tare_tensor *tensor;
    int64_t *values;
    int64_t count;

    *out = (tare_ints){0};
    TARE_TRY(constant_input(&tensor, infer, port, what, err));
    if (tensor == NULL) {
        return TARE_OK;
    }
    if (!tare_dtype_is_integer(tensor->dtype) || tensor->rank > 1) {
        char text[TARE_DIMS_TEXT_BYTES];
        return tare_fail(err, TARE_INVALID_MODEL,
                         "%s must be a vector of integers, found %s of shape %s", what,
                         tare_dtype_text(tensor->dtype),
                         tare_dims_text(text, sizeof text, tensor->rank, tensor->dims));
    }
    count = tare_tensor_count(tensor);
    values = tare_arena_array(&infer->graph->arena, (size_t)count, sizeof *values);
    if (values == NULL) {
        return tare_fail_memory(err, (size_t)count * sizeof *values, what);
    }
    for (int64_t i = 0; i < count; i++) {
        values[i] = tare_tensor_int_at(tensor, i);
    }
    *out = (tare_ints){.count = (size_t)count, .values = values};
    return TARE_OK;
}

tare_status tare_infer_int(int64_t *out, tare_infer *infer, size_t port, const char *what,
                           tare_error *err) {
    tare_ints ints;
    TARE_TRY(tare_infer_ints(&ints, infer, port, what, err));
    if (ints.count != 1) {
        return tare_fail(err, TARE_INVALID_MODEL, "%s must be one integer, found %zu", what,
                         ints.count);
    }
    *out = ints.values[0];
    return TARE_OK;
}

tare_status tare_infer_number(double *out, const tare_infer *infer, size_t port, const char *what,
                              tare_error *err) {
    const tare_tensor *tensor;
    TARE_TRY(constant_input(&tensor, infer, port, what, err));
    if (tensor == NULL) {
        return TARE_OK;
    }
    if (tare_tensor_count(tensor) != 1 || !tare_dtype_is_executable(tensor->dtype)) {
        return tare_fail(err, TARE_INVALID_MODEL, "%s must be one number, found %lld of type %s",
                         what, (long long)tare_tensor_count(tensor),
                         tare_dtype_text(tensor->dtype));
    }
    *out = tare_tensor_float_at(tensor, 0);
    return TARE_OK;
}

tare_status tare_infer_axis(int64_t *out, int64_t axis, int rank, tare_error *err) {
    if (axis < -(int64_t)rank || axis >= rank) {
        return tare_fail(err, TARE_INVALID_MODEL, "axis %lld is not one of an input with %d dims",
                         (long long)axis, rank);
    }
    *out = axis < 0 ? axis + rank : axis;
    return TARE_OK;
}

tare_status tare_infer_axes(bool flags[TARE_MAX_RANK], const tare_ints *axes, int rank,
                            tare_error *err) {
    memset(flags, 0, TARE_MAX_RANK * sizeof flags[0]);
    for (size_t i = 0; i < axes->count; i++) {
        int64_t axis = 0;
        TARE_TRY(tare_infer_axis(&axis, axes->values[i], rank, err));
        if (flags[axis]) {
            return tare_fail(err, TARE_INVALID_MODEL, "axis %lld is given twice", (long long)axis);
        }
        flags[axis] = true;
    }
    return TARE_OK;
}

tare_status tare_infer_broadcast(tare_shape *shape, int rank, const int64_t *dims,
                                 tare_error *err) {
    const int grown = rank > shape->rank ? rank : shape->rank;
    tare_shape result = {.rank = grown};

    for (int i = 1; i <= grown; i++) {
        const int64_t a = i <= shape->rank ? shape->dims[shape->rank - i] : 1;
        const int64_t b = i <= rank ? dims[rank - i] : 1;
        if (a != b && a != 1 && b != 1) {
            char first[TARE_DIMS_TEXT_BYTES], second[TARE_DIMS_TEXT_BYTES];
            return tare_fail(err, TARE_INVALID_MODEL, "shapes %s and %s do not fit together",
                             tare_dims_text(first, sizeof first, shape->rank, shape->dims),
                             tare_dims_text(second, sizeof second, rank, dims));
        }
        result.dims[grown - i] = a == 1 ? b : a;
    }
    *shape = result;
    return TARE_OK;
}

tare_status tare_infer_float32(const tare_infer *infer, size_t port, tare_error *err) {
    const tare_value *value = tare_infer_input(infer, port);
    if (value != NULL && value->dtype != TARE_DTYPE_FLOAT) {
        return tare_fail(err, TARE_UNSUPPORTED,
                         "input '%s' is %s; this operator is supported for float32", value->name,
                         tare_dtype_text(value->dtype));
    }
    return TARE_OK;
}

tare_status tare_infer_one_type(const tare_infer *infer, size_t first, size_t last,
                                tare_error *err) {
    const tare_value *reference = NULL;
    for (size_t port = first; port <= last && port < infer->node->input_count; port++) {
        const tare_value *value = infer->node->inputs[port];
        if (value == NULL) {
            continue;
        }
        if (reference != NULL && value->dtype != reference->dtype) {
            return tare_fail(err, TARE_INVALID_MODEL,
                             "inputs '%s' and '%s' must have one type, found %s and %s",
                             reference->name, value->name, tare_dtype_text(reference->dtype),
                             tare_dtype_text(value->dtype));
        }
        reference = value;
    }
    return TARE_OK;
}

tare_status tare_infer_rank(const tare_infer *infer, size_t port, int low, int high,
                            tare_error *err) {
    const tare_value *value = tare_infer_input(infer, port);
    if (value->rank < low || value->rank > high) {
        char text[TARE_DIMS_TEXT_BYTES];
        const char *shape = tare_dims_text(text, sizeof text, value->rank, value->dims);
        if (low == high) {
            return tare_fail(err, TARE_INVALID_MODEL, "input '%s' must have %d dims, found %s",
                             value->name, low, shape);
        }
        return tare_fail(err, TARE_INVALID_MODEL, "input '%s' must have %d to %d dims, found %s",
                         value->name, low, high, shape);
    }
    return TARE_OK;
}

tare_status tare_infer_vector(const tare_infer *infer, size_t port, int64_t count, const char *what,
                              tare_error *err) {
    const tare_value *value = tare_infer_input(infer, port);
    if (value != NULL && (value->rank != 1 || value->dims[0] != count)) {
        char text[TARE_DIMS_TEXT_BYTES];
        return tare_fail(err, TARE_INVALID_MODEL, "%s '%s' must have %lld elements, found shape %s",
                         what, value->name, (long long)count,
                         tare_dims_text(text, sizeof text, value->rank, value->dims));
    }
    return TARE_OK;
}

bool tare_dtype_is_integer(tare_dtype dtype) {
    return (dtype >= TARE_DTYPE_UINT8 && dtype <= TARE_DTYPE_INT64) || dtype == TARE_DTYPE_UINT32 ||
           dtype == TARE_DTYPE_UINT64;
}

bool tare_dtype_is_executable(tare_dtype dtype) {
    return tare_dtype_is_integer(dtype) || dtype == TARE_DTYPE_FLOAT ||
           dtype == TARE_DTYPE_DOUBLE || dtype == TARE_DTYPE_BOOL;
}
