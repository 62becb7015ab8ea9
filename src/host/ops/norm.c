/* SPDX-License-Identifier: Apache-2.0 */
/** Normalizations and the Softmax family. */
#include <string.h>

#include "ops/rows.h"

#define EPSILON                                                                                    \
    { TARE_OP_ATTR("epsilon", FLOAT, tare_norm_attrs, epsilon), .default_float = 1e-5F }

static const tare_attr_spec batch_norm_attrs[] = {
    EPSILON,
    {TARE_OP_ATTR("momentum", FLOAT, tare_norm_attrs, momentum), .default_float = 0.9F},
    {TARE_OP_ATTR("spatial", INT, tare_norm_attrs, spatial), .default_int = 1, .until = 8},
    {TARE_OP_ATTR("training_mode", INT, tare_norm_attrs, training_mode), .since = 14},
    {0}};
static const tare_attr_spec instance_norm_attrs[] = {EPSILON, {0}};
static const tare_attr_spec layer_norm_attrs[] = {
    EPSILON,
    {TARE_OP_ATTR("axis", INT, tare_norm_attrs, axis), .default_int = -1},
    {TARE_OP_ATTR("stash_type", INT, tare_norm_attrs, stash_type), .default_int = 1},
    {0}};
static const tare_attr_spec group_norm_attrs[] = {
    EPSILON,
    {TARE_OP_ATTR("num_groups", INT, tare_norm_attrs, num_groups), .required = true},
    {TARE_OP_ATTR("stash_type", INT, tare_norm_attrs, stash_type), .since = 21, .default_int = 1},
    {0}};
static const tare_attr_spec lrn_attrs[] = {
    {TARE_OP_ATTR("alpha", FLOAT, tare_lrn_attrs, alpha), .default_float = 1e-4F},
    {TARE_OP_ATTR("beta", FLOAT, tare_lrn_attrs, beta), .default_float = 0.75F},
    {TARE_OP_ATTR("bias", FLOAT, tare_lrn_attrs, bias), .default_float = 1.0F},
    {TARE_OP_ATTR("size", INT, tare_lrn_attrs, size), .required = true},
    {0}};
static const tare_attr_spec lp_attrs[] = {
    {TARE_OP_ATTR("axis", INT, tare_lp_attrs, axis), .default_int = -1},
    {TARE_OP_ATTR("p", INT, tare_lp_attrs, p), .default_int = 2},
    {0}};
/* Opset 13 moved the default axis to the end and stopped flattening what follows it. */
static const tare_attr_spec softmax_attrs[] = {
    {TARE_OP_ATTR("axis", INT, tare_axis_attrs, axis), .default_int = 1, .until = 12},
    {TARE_OP_ATTR("axis", INT, tare_axis_attrs, axis), .default_int = -1, .since = 13},
    {0}};

static tare_status check_float32(const tare_infer *infer, tare_error *err) {
    for (size_t port = 0; port < infer->node->input_count; port++) {
        TARE_TRY(tare_infer_float32(infer, port, err));
    }
    return TARE_OK;
}

static tare_status infer_batch_norm(tare_infer *infer, tare_error *err) {
    const tare_norm_attrs *attrs = infer->attrs;
    const tare_value *x = tare_infer_input(infer, 0);
    static const char *const names[] = {"scale", "bias", "mean", "variance"};

    TARE_TRY(check_float32(infer, err));
    TARE_TRY(tare_infer_rank(infer, 0, 2, TARE_MAX_RANK, err));
    for (size_t i = 0; i < 4; i++) {
        TARE_TRY(tare_infer_vector(infer, 1 + i, x->dims[1], names[i], err));
    }
    if (attrs->training_mode != 0 || (infer->opset < 9 && attrs->spatial != 1)) {
        return tare_fail(err, TARE_UNSUPPORTED, "%s is not supported",
                         attrs->training_mode != 0 ? "training_mode 1" : "spatial 0");
    }
    for (size_t port = 1; port < infer->node->output_count; port++) {
        if (tare_infer_wants(infer, port)) {
            return tare_fail(err, TARE_UNSUPPORTED, "output %zu exists only in training", port);
        }
    }
    return tare_infer_output_like(infer, 0, x, err);
}

static tare_status infer_instance_norm(tare_infer *infer, tare_error *err) {
    const tare_value *x = tare_infer_input(infer, 0);
    TARE_TRY(check_float32(infer, err));
    TARE_TRY(tare_infer_rank(infer, 0, 3, TARE_MAX_RANK, err));
    TARE_TRY(tare_infer_vector(infer, 1, x->dims[1], "scale", err));
    TARE_TRY(tare_infer_vector(infer, 2, x->dims[1], "bias", err));
    return tare_infer_output_like(infer, 0, x, err);
}

static tare_status infer_group_norm(tare_infer *infer, tare_error *err) {
    const tare_norm_attrs *attrs = infer->attrs;
    const tare_value *x = tare_infer_input(infer, 0);
    int64_t parameters;

    TARE_TRY(check_float32(infer, err));
    TARE_TRY(tare_infer_rank(infer, 0, 3, TARE_MAX_RANK, err));
    if (attrs->num_groups < 1 || x->dims[1] % attrs->num_groups != 0) {
        return tare_fail(err, TARE_INVALID_MODEL, "%lld channels do not divide into %lld groups",
                         (long long)x->dims[1], (long long)attrs->num_groups);
    }
    parameters = infer->opset < 21 ? attrs->num_groups : x->dims[1];
    TARE_TRY(tare_infer_vector(infer, 1, parameters, "scale", err));
    TARE_TRY(tare_infer_vector(infer, 2, parameters, "bias", err));
    return tare_infer_output_like(infer, 0, x, err);
}

/* Scale and bias broadcast to the normalized dims without making them larger. */
static tare_status check_layer_parameter(const tare_infer *infer, size_t port, tare_error *err) {
    const tare_value *x = tare_infer_input(infer, 0), *parameter = tare_infer_input(infer, port);
    tare_shape shape = {.rank = x->rank};

    if (parameter == NULL) {
        return TARE_OK;
    }
    memcpy(shape.dims, x->dims, sizeof shape.dims);
    TARE_TRY(tare_infer_broadcast(&shape, parameter->rank, parameter->dims, err));
    if (shape.rank != x->rank ||
        memcmp(shape.dims, x->dims, (size_t)x->rank * sizeof *x->dims) != 0) {
        return tare_fail(err, TARE_INVALID_MODEL, "'%s' is larger than the input '%s'",
                         parameter->name, x->name);
    }
    return TARE_OK;
}

static tare_status infer_layer_norm(tare_infer *infer, tare_error *err) {
    tare_norm_attrs *attrs = infer->attrs;
    const tare_value *x = tare_infer_input(infer, 0);
    int64_t dims[TARE_MAX_RANK];

    TARE_TRY(check_float32(infer, err));
    TARE_TRY(tare_infer_axis(&attrs->axis, attrs->axis, x->rank, err));
    TARE_TRY(check_layer_parameter(infer, 1, err));
    TARE_TRY(check_layer_parameter(infer, 2, err));
    if (attrs->stash_type != 1) {
        return tare_fail(err, TARE_UNSUPPORTED, "stash_type %lld", (long long)attrs->stash_type);
    }
    for (int i = 0; i < x->rank; i++) {
        dims[i] = i < attrs->axis ? x->dims[i] : 1;
    }
    TARE_TRY(tare_infer_output_like(infer, 0, x, err));
    TARE_TRY(tare_infer_output(infer, 1, TARE_DTYPE_FLOAT, x->rank, dims, err));
    return tare_infer_output(infer, 2, TARE_DTYPE_FLOAT, x->rank, dims, err);
}

static tare_status infer_lrn(tare_infer *infer, tare_error *err) {
    const tare_lrn_attrs *attrs = infer->attrs;
    TARE_TRY(check_float32(infer, err));
    TARE_TRY(tare_infer_rank(infer, 0, 2, TARE_MAX_RANK, err));
    if (attrs->size < 1) {
        return tare_fail(err, TARE_INVALID_MODEL, "size is %lld", (long long)attrs->size);
    }
    return tare_infer_output_like(infer, 0, tare_infer_input(infer, 0), err);
}

static tare_status infer_lp_norm(tare_infer *infer, tare_error *err) {
    tare_lp_attrs *attrs = infer->attrs;
    const tare_value *x = tare_infer_input(infer, 0);
    TARE_TRY(check_float32(infer, err));
    TARE_TRY(tare_infer_axis(&attrs->axis, attrs->axis, x->rank, err));
    if (attrs->p != 1 && attrs->p != 2) {
        return tare_fail(err, TARE_INVALID_MODEL, "p is %lld, expected 1 or 2",
                         (long long)attrs->p);
    }
    return tare_infer_output_like(infer, 0, x, err);
}

static tare_status infer_softmax(tare_infer *infer, tare_error *err) {
    tare_axis_attrs *attrs = infer->attrs;
    const tare_value *x = tare_infer_input(infer, 0);
    TARE_TRY(check_float32(infer, err));
    TARE_TRY(tare_infer_axis(&attrs->axis, attrs->axis, x->rank, err));
    attrs->flatten = infer->opset < 13;
    return tare_infer_output_like(infer, 0, x, err);
}

const tare_op tare_ops_norm[] = {
    {TARE_OP_ROW("BatchNormalization", 7, 5, 5, 1, 5, infer_batch_norm),
     TARE_OP_ATTRS(tare_norm_attrs, batch_norm_attrs)},
    {TARE_OP_ROW("InstanceNormalization", 6, 3, 3, 1, 1, infer_instance_norm),
     TARE_OP_ATTRS(tare_norm_attrs, instance_norm_attrs)},
    {TARE_OP_ROW("GroupNormalization", 18, 3, 3, 1, 1, infer_group_norm),
     TARE_OP_ATTRS(tare_norm_attrs, group_norm_attrs)},
    {TARE_OP_ROW("LayerNormalization", 17, 2, 3, 1, 3, infer_layer_norm),
     TARE_OP_ATTRS(tare_norm_attrs, layer_norm_attrs)},
    {TARE_OP_ROW("LRN", 1, 1, 1, 1, 1, infer_lrn), TARE_OP_ATTRS(tare_lrn_attrs, lrn_attrs)},
    {TARE_OP_ROW("LpNormalization", 1, 1, 1, 1, 1, infer_lp_norm),
     TARE_OP_ATTRS(tare_lp_attrs, lp_attrs)},
    {TARE_OP_ROW("Softmax", 1, 1, 1, 1, 1, infer_softmax),
     TARE_OP_ATTRS(tare_axis_attrs, softmax_attrs)},
    {TARE_OP_ROW("LogSoftmax", 1, 1, 1, 1, 1, infer_softmax),
     TARE_OP_ATTRS(tare_axis_attrs, softmax_attrs)},
    {TARE_OP_ROW("Hardmax", 1, 1, 1, 1, 1, infer_softmax),
     TARE_OP_ATTRS(tare_axis_attrs, softmax_attrs)},
    {0}};
