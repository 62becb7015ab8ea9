/* SPDX-License-Identifier: Apache-2.0 */
/** QuantizeLinear and DequantizeLinear, per tensor and per axis. */
#include "ops/rows.h"

static const tare_attr_spec quantize_attrs[] = {
    {TARE_OP_ATTR("axis", INT, tare_quantize_attrs, axis), .since = 13, .default_int = 1},
    {TARE_OP_ATTR("saturate", INT, tare_quantize_attrs, saturate), .since = 19, .default_int = 1},
    {TARE_OP_ATTR("block_size", INT, tare_quantize_attrs, block_size), .since = 21},
    {TARE_OP_ATTR("output_dtype", INT, tare_quantize_attrs, output_dtype), .since = 21},
    {TARE_OP_ATTR("precision", INT, tare_quantize_attrs, precision), .since = 23},
    {0}};
static const tare_attr_spec dequantize_attrs[] = {
    {TARE_OP_ATTR("axis", INT, tare_quantize_attrs, axis), .since = 13, .default_int = 1},
    {TARE_OP_ATTR("block_size", INT, tare_quantize_attrs, block_size), .since = 21},
    {TARE_OP_ATTR("output_dtype", INT, tare_quantize_attrs, output_dtype), .since = 23},
    {0}};

/* Scale and zero point: one number, or one per element of the axis. */
static tare_status check_parameters(const tare_infer *infer, tare_error *err) {
    tare_quantize_attrs *attrs = infer->attrs;
    const tare_value *x = tare_infer_input(infer, 0), *scale = tare_infer_input(infer, 1);
    const tare_value *zero = tare_infer_input(infer, 2);
    const bool single = tare_dims_count(scale->rank, scale->dims) == 1;

    TARE_TRY(tare_infer_float32(infer, 1, err));
    if (attrs->block_size != 0) {
        return tare_fail(err, TARE_UNSUPPORTED,
                         "block_size %lld; blocked quantization is not "
                         "supported",
                         (long long)attrs->block_size);
    }
    if (scale->rank == 1 && x->rank > 0 && (!single || infer->opset >= 13)) {
        /* A scale of one element may come with the default axis 1 although the input is a vector;
         * it is per tensor then. */
        if (!single || attrs->axis < x->rank) {
            TARE_TRY(tare_infer_axis(&attrs->axis, attrs->axis, x->rank, err));
        }
        if (!single) {
            TARE_TRY(tare_infer_vector(infer, 1, x->dims[attrs->axis], "scale", err));
        }
    } else if (!single) {
        return tare_fail(err, TARE_INVALID_MODEL, "scale '%s' has %d dims, expected 0 or 1",
                         scale->name, scale->rank);
    }
    if (zero != NULL &&
        tare_dims_count(zero->rank, zero->dims) != tare_dims_count(scale->rank, scale->dims)) {
        return tare_fail(err, TARE_INVALID_MODEL, "zero point '%s' and scale '%s' differ in size",
                         zero->name, scale->name);
    }
    return TARE_OK;
}

static bool is_code_type(tare_dtype dtype) {
    return dtype == TARE_DTYPE_UINT8 || dtype == TARE_DTYPE_INT8 || dtype == TARE_DTYPE_UINT16 ||
           dtype == TARE_DTYPE_INT16;
}

static tare_status infer_quantize(tare_infer *infer, tare_error *err) {
    const tare_quantize_attrs *attrs = infer->attrs;
    const tare_value *x = tare_infer_input(infer, 0), *zero = tare_infer_input(infer, 2);
    int64_t to = attrs->output_dtype;

    TARE_TRY(tare_infer_float32(infer, 0, err));
    TARE_TRY(check_parameters(infer, err));
    if (zero != NULL && to != 0 && to != (int64_t)zero->dtype) {
        return tare_fail(err, TARE_INVALID_MODEL, "output_dtype %lld, but zero point '%s' is %s",
                         (long long)to, zero->name, tare_dtype_text(zero->dtype));
    }
    if (to == 0) {
        to = zero != NULL ? (int64_t)zero->dtype : (int64_t)TARE_DTYPE_UINT8;
    }
    if (to < 0 || to > TARE_DTYPE_INT2 || !is_code_type((tare_dtype)to)) {
        return tare_fail(err, TARE_UNSUPPORTED, "quantizing to type %lld is not supported",
                         (long long)to);
    }
    return tare_infer_output(infer, 0, (tare_dtype)to, x->rank, x->dims, err);
}

static tare_status infer_dequantize(tare_infer *infer, tare_error *err) {
    const tare_quantize_attrs *attrs = infer->attrs;
    const tare_value *x = tare_infer_input(infer, 0), *zero = tare_infer_input(infer, 2);

    if (!is_code_type(x->dtype) && x->dtype != TARE_DTYPE_INT32) {
        return tare_fail(err, TARE_UNSUPPORTED, "dequantizing %s is not supported",
                         tare_dtype_text(x->dtype));
    }
    if (zero != NULL && zero->dtype != x->dtype) {
        return tare_fail(err, TARE_INVALID_MODEL, "input '%s' is %s, its zero point '%s' %s",
                         x->name, tare_dtype_text(x->dtype), zero->name,
                         tare_dtype_text(zero->dtype));
    }
    if (attrs->output_dtype != 0 && attrs->output_dtype != TARE_DTYPE_FLOAT) {
        return tare_fail(err, TARE_UNSUPPORTED, "output_dtype %lld",
                         (long long)attrs->output_dtype);
    }
    TARE_TRY(check_parameters(infer, err));
    return tare_infer_output(infer, 0, TARE_DTYPE_FLOAT, x->rank, x->dims, err);
}

const tare_op tare_ops_quantize[] = {
    {TARE_OP_ROW("QuantizeLinear", 10, 2, 3, 1, 1, infer_quantize),
     TARE_OP_ATTRS(tare_quantize_attrs, quantize_attrs)},
    {TARE_OP_ROW("DequantizeLinear", 10, 2, 3, 1, 1, infer_dequantize),
     TARE_OP_ATTRS(tare_quantize_attrs, dequantize_attrs)},
    {0}};
