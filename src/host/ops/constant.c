/* SPDX-License-Identifier: Apache-2.0 */
/** Operators whose results are known once shapes are: they give their outputs constants here. */
#include <math.h>
#include <string.h>

#include "ops/rows.h"

static const tare_attr_spec constant_attrs[] = {
    {TARE_OP_ATTR("value", TENSOR, tare_constant_attrs, value)},
    {TARE_OP_ATTR("sparse_value", REFUSED, tare_constant_attrs, value), .since = 11},
    {TARE_OP_ATTR("value_float", FLOAT, tare_constant_attrs, value_float), .since = 12},
    {TARE_OP_ATTR("value_floats", FLOATS, tare_constant_attrs, value_floats), .since = 12},
    {TARE_OP_ATTR("value_int", INT, tare_constant_attrs, value_int), .since = 12},
    {TARE_OP_ATTR("value_ints", INTS, tare_constant_attrs, value_ints), .since = 12},
    {TARE_OP_ATTR("value_string", REFUSED, tare_constant_attrs, value), .since = 12},
    {TARE_OP_ATTR("value_strings", REFUSED, tare_constant_attrs, value), .since = 12},
    {0}};
static const tare_attr_spec of_shape_attrs[] = {
    {TARE_OP_ATTR("value", TENSOR, tare_constant_attrs, value)}, {0}};
static const tare_attr_spec shape_attrs[] = {
    {TARE_OP_ATTR("start", INT, tare_shape_attrs, start), .since = 15},
    {TARE_OP_ATTR("end", INT, tare_shape_attrs, end), .default_int = INT64_MAX},
    {0}};

/* A constant of `count` numbers of `bytes` bytes each; rank 0 for a scalar. */
typedef struct plain_numbers {
    tare_dtype dtype;
    int rank;
    int64_t count;
    const void *numbers;
    size_t bytes;
} plain_numbers;

static tare_status set_numbers(tare_infer *infer, const plain_numbers *from, tare_error *err) {
    tare_tensor *tensor;
    TARE_TRY(tare_infer_output(infer, 0, from->dtype, from->rank, &from->count, err));
    TARE_TRY(tare_infer_output_constant(&tensor, infer, 0, err));
    if (from->count > 0) {
        memcpy(tare_tensor_elements(tensor), from->numbers, (size_t)from->count * from->bytes);
    }
    return TARE_OK;
}

static tare_status share_tensor(tare_infer *infer, const tare_tensor *value, tare_error *err) {
    tare_tensor *tensor;
    TARE_TRY(tare_infer_output(infer, 0, value->dtype, value->rank, value->dims, err));
    tensor = tare_graph_new_tensor(infer->graph);
    if (tensor == NULL) {
        return tare_fail_memory(err, sizeof *tensor, "a tensor");
    }
    tare_tensor_share(tensor, value);
    infer->node->outputs[0]->constant = tensor;
    return TARE_OK;
}

static tare_status infer_constant(tare_infer *infer, tare_error *err) {
    const tare_constant_attrs *attrs = infer->attrs;
    const tare_node *node = infer->node;
    const plain_numbers floats = {TARE_DTYPE_FLOAT, 1, (int64_t)attrs->value_floats.count,
                                  attrs->value_floats.values, sizeof(float)};
    const plain_numbers ints = {TARE_DTYPE_INT64, 1, (int64_t)attrs->value_ints.count,
                                attrs->value_ints.values, sizeof(int64_t)};
    const plain_numbers one_float = {TARE_DTYPE_FLOAT, 0, 1, &attrs->value_float, sizeof(float)};
    const plain_numbers one_int = {TARE_DTYPE_INT64, 0, 1, &attrs->value_int, sizeof(int64_t)};

    if (node->attribute_count != 1) {
        return tare_fail(err, TARE_INVALID_MODEL, "has %zu attributes, expected one value",
                         node->attribute_count);
    }
    if (attrs->value != NULL) {
        return share_tensor(infer, attrs->value, err);
    }
    if (attrs->value_floats.values != NULL) {
        return set_numbers(infer, &floats, err);
    }
    if (attrs->value_ints.values != NULL) {
        return set_numbers(infer, &ints, err);
    }
    return set_numbers(
        infer, tare_node_attribute(node, "value_float") != NULL ? &one_float : &one_int, err);
}

/* Fills a tensor with copies of one element. */
static void fill(tare_tensor *tensor, const void *element, size_t bytes) {
    const int64_t count = tare_tensor_count(tensor);
    unsigned char *at = tare_tensor_elements(tensor);
    for (int64_t i = 0; i < count; i++) {
        memcpy(at + (size_t)i * bytes, element, bytes);
    }
}

static tare_status infer_constant_of_shape(tare_infer *infer, tare_error *err) {
    const tare_constant_attrs *attrs = infer->attrs;
    const tare_dtype dtype = attrs->value == NULL ? TARE_DTYPE_FLOAT : attrs->value->dtype;
    const float zero = 0.0F;
    tare_tensor *tensor;
    tare_ints shape;
    size_t bytes;

    TARE_TRY(tare_infer_ints(&shape, infer, 0, "shapes", err));
    if (attrs->value != NULL &&
        (tare_tensor_count(attrs->value) != 1 || !tare_dtype_is_executable(attrs->value->dtype))) {
        return tare_fail(err, TARE_INVALID_MODEL, "the value must be one number, found %lld of %s",
                         (long long)tare_tensor_count(attrs->value), tare_dtype_text(dtype));
    }
    if (shape.count > TARE_MAX_RANK) {
        return tare_fail(err, TARE_UNSUPPORTED, "a shape of %zu dims; at most %d are supported",
                         shape.count, TARE_MAX_RANK);
    }
    TARE_TRY(tare_infer_output(infer, 0, dtype, (int)shape.count, shape.values, err));
    if (!tare_dims_bytes(&bytes, dtype, (int)shape.count, shape.values) ||
        bytes > TARE_INFER_CONSTANT_BYTES) {
        return TARE_OK;
    }
    TARE_TRY(tare_infer_output_constant(&tensor, infer, 0, err));
    fill(tensor, attrs->value == NULL ? &zero : attrs->value->data, tare_dtype_bytes(dtype));
    return TARE_OK;
}

static int64_t clamp_dim(int64_t position, int rank) {
    const int64_t from_end = position < 0 ? position + rank : position;
    return from_end < 0 ? 0 : from_end > rank ? rank : from_end;
}

static tare_status infer_shape(tare_infer *infer, tare_error *err) {
    const tare_shape_attrs *attrs = infer->attrs;
    const tare_value *x = tare_infer_input(infer, 0);
    const int64_t start = clamp_dim(attrs->start, x->rank), end = clamp_dim(attrs->end, x->rank);
    const plain_numbers dims = {TARE_DTYPE_INT64, 1, end > start ? end - start : 0, x->dims + start,
                                sizeof(int64_t)};
    return set_numbers(infer, &dims, err);
}

static tare_status infer_size(tare_infer *infer, tare_error *err) {
    const tare_value *x = tare_infer_input(infer, 0);
    const int64_t count = tare_dims_count(x->rank, x->dims);
    const plain_numbers size = {TARE_DTYPE_INT64, 0, 1, &count, sizeof count};
    return set_numbers(infer, &size, err);
}

static void store_number(tare_tensor *tensor, int64_t index, double number, int64_t integer) {
    void *data = tare_tensor_elements(tensor);
    if (tensor->dtype == TARE_DTYPE_FLOAT) {
        ((float *)data)[index] = (float)number;
    } else if (tensor->dtype == TARE_DTYPE_DOUBLE) {
        ((double *)data)[index] = number;
    } else if (tensor->dtype == TARE_DTYPE_INT64) {
        ((int64_t *)data)[index] = integer;
    } else {
        ((int32_t *)data)[index] = (int32_t)integer;
    }
}

static tare_status infer_range(tare_infer *infer, tare_error *err) {
    const tare_dtype dtype = tare_infer_input(infer, 0)->dtype;
    double start = 0.0, limit = 0.0, step = 0.0, steps;
    tare_tensor *tensor;
    int64_t count;

    TARE_TRY(tare_infer_one_type(infer, 0, 2, err));
    TARE_TRY(tare_infer_number(&start, infer, 0, "bounds", err));
    TARE_TRY(tare_infer_number(&limit, infer, 1, "bounds", err));
    TARE_TRY(tare_infer_number(&step, infer, 2, "bounds", err));
    if (dtype != TARE_DTYPE_FLOAT && dtype != TARE_DTYPE_DOUBLE && dtype != TARE_DTYPE_INT64 &&
        dtype != TARE_DTYPE_INT32) {
        return tare_fail(err, TARE_UNSUPPORTED, "a range of type %s", tare_dtype_text(dtype));
    }
    steps = ceil((limit - start) / step);
    if (!(steps <= (double)(TARE_INFER_CONSTANT_BYTES / 8)) || fabs(start) > 9e15 ||
        fabs(limit) > 9e15 || fabs(step) > 9e15) {
        return tare_fail(err, TARE_INVALID_MODEL, "a range from %g to %g in steps of %g", start,
                         limit, step);
    }
    count = steps > 0.0 ? (int64_t)steps : 0;
    TARE_TRY(tare_infer_output(infer, 0, dtype, 1, &count, err));
    TARE_TRY(tare_infer_output_constant(&tensor, infer, 0, err));
    for (int64_t i = 0; i < count; i++) {
        store_number(tensor, i, start + (double)i * step, (int64_t)start + i * (int64_t)step);
    }
    return TARE_OK;
}

/* The number of results depends on the contents, hence only constants have a shape. */
static tare_status infer_nonzero(tare_infer *infer, tare_error *err) {
    const tare_value *x = tare_infer_input(infer, 0);
    const int rank = x->rank == 0 ? 1 : x->rank;
    int64_t dims[2] = {rank, 0}, total, found = 0, *rows;
    tare_tensor *tensor;

    if (x->constant == NULL) {
        return tare_fail(err, TARE_UNSUPPORTED,
                         "the shape of the result depends on the contents of input '%s'", x->name);
    }
    total = tare_tensor_count(x->constant);
    for (int64_t i = 0; i < total; i++) {
        dims[1] += tare_tensor_float_at(x->constant, i) != 0.0;
    }
    TARE_TRY(tare_infer_output(infer, 0, TARE_DTYPE_INT64, 2, dims, err));
    TARE_TRY(tare_infer_output_constant(&tensor, infer, 0, err));
    rows = tare_tensor_elements(tensor);
    for (int64_t i = 0; i < total; i++) {
        int64_t rest = i;
        if (tare_tensor_float_at(x->constant, i) == 0.0) {
            continue;
        }
        for (int axis = rank - 1; axis >= 0; axis--) {
            const int64_t size = x->rank == 0 ? 1 : x->dims[axis];
            rows[axis * dims[1] + found] = rest % size;
            rest /= size;
        }
        found++;
    }
    return TARE_OK;
}

const tare_op tare_ops_constant[] = {
    {TARE_OP_ROW("Constant", 1, 0, 0, 1, 1, infer_constant),
     TARE_OP_ATTRS(tare_constant_attrs, constant_attrs)},
    {TARE_OP_ROW("ConstantOfShape", 9, 1, 1, 1, 1, infer_constant_of_shape),
     TARE_OP_ATTRS(tare_constant_attrs, of_shape_attrs)},
    {TARE_OP_ROW("Shape", 1, 1, 1, 1, 1, infer_shape),
     TARE_OP_ATTRS(tare_shape_attrs, shape_attrs)},
    {TARE_OP_ROW("Size", 1, 1, 1, 1, 1, infer_size)},
    {TARE_OP_ROW("Range", 11, 3, 3, 1, 1, infer_range)},
    {TARE_OP_ROW("NonZero", 9, 1, 1, 1, 1, infer_nonzero)},
    {0}};
