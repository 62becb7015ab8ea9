/* SPDX-License-Identifier: Apache-2.0 */
/** Gemm and MatMul. */
#include <string.h>

#include "ops/rows.h"

static const tare_attr_spec gemm_attrs[] = {
    {TARE_OP_ATTR("alpha", FLOAT, tare_gemm_attrs, alpha), .default_float = 1.0F},
    {TARE_OP_ATTR("beta", FLOAT, tare_gemm_attrs, beta), .default_float = 1.0F},
    {TARE_OP_ATTR("transA", BOOL, tare_gemm_attrs, trans_a)},
    {TARE_OP_ATTR("transB", BOOL, tare_gemm_attrs, trans_b)},
    {0}};

static tare_status wrong_inner(const tare_value *a, const tare_value *b, tare_error *err) {
    char first[TARE_DIMS_TEXT_BYTES], second[TARE_DIMS_TEXT_BYTES];
    return tare_fail(err, TARE_INVALID_MODEL, "inputs '%s' %s and '%s' %s do not fit", a->name,
                     tare_dims_text(first, sizeof first, a->rank, a->dims), b->name,
                     tare_dims_text(second, sizeof second, b->rank, b->dims));
}

static tare_status infer_gemm(tare_infer *infer, tare_error *err) {
    const tare_gemm_attrs *attrs = infer->attrs;
    const tare_value *a = tare_infer_input(infer, 0), *b = tare_infer_input(infer, 1);
    const tare_value *c = tare_infer_input(infer, 2);
    tare_shape shape = {.rank = 2};

    for (size_t port = 0; port < 3; port++) {
        TARE_TRY(tare_infer_float32(infer, port, err));
    }
    TARE_TRY(tare_infer_rank(infer, 0, 2, 2, err));
    TARE_TRY(tare_infer_rank(infer, 1, 2, 2, err));
    if (a->dims[attrs->trans_a ? 0 : 1] != b->dims[attrs->trans_b ? 1 : 0]) {
        return wrong_inner(a, b, err);
    }
    shape.dims[0] = a->dims[attrs->trans_a ? 1 : 0];
    shape.dims[1] = b->dims[attrs->trans_b ? 0 : 1];
    if (c != NULL) {
        tare_shape grown = shape;
        TARE_TRY(tare_infer_broadcast(&grown, c->rank, c->dims, err));
        if (grown.rank != 2 || grown.dims[0] != shape.dims[0] || grown.dims[1] != shape.dims[1]) {
            return wrong_inner(c, b, err);
        }
    }
    return tare_infer_output(infer, 0, TARE_DTYPE_FLOAT, 2, shape.dims, err);
}

/* NumPy's rule: a vector on the left is a row, on the right a column; leading dims broadcast. */
static tare_status infer_matmul(tare_infer *infer, tare_error *err) {
    const tare_value *a = tare_infer_input(infer, 0), *b = tare_infer_input(infer, 1);
    tare_shape shape;

    TARE_TRY(tare_infer_float32(infer, 0, err));
    TARE_TRY(tare_infer_float32(infer, 1, err));
    TARE_TRY(tare_infer_rank(infer, 0, 1, TARE_MAX_RANK, err));
    TARE_TRY(tare_infer_rank(infer, 1, 1, TARE_MAX_RANK, err));
    if (a->dims[a->rank - 1] != b->dims[b->rank == 1 ? 0 : b->rank - 2]) {
        return wrong_inner(a, b, err);
    }
    shape.rank = a->rank < 2 ? 0 : a->rank - 2;
    memcpy(shape.dims, a->dims, sizeof shape.dims);
    TARE_TRY(tare_infer_broadcast(&shape, b->rank < 2 ? 0 : b->rank - 2, b->dims, err));
    if (a->rank > 1) {
        shape.dims[shape.rank++] = a->dims[a->rank - 2];
    }
    if (b->rank > 1) {
        shape.dims[shape.rank++] = b->dims[b->rank - 1];
    }
    return tare_infer_output(infer, 0, TARE_DTYPE_FLOAT, shape.rank, shape.dims, err);
}

const tare_op tare_ops_matmul[] = {
    {TARE_OP_ROW("Gemm", 7, 3, 3, 1, 1, infer_gemm), .until = 10,
     TARE_OP_ATTRS(tare_gemm_attrs, gemm_attrs)},
    {TARE_OP_ROW("Gemm", 11, 2, 3, 1, 1, infer_gemm), TARE_OP_ATTRS(tare_gemm_attrs, gemm_attrs)},
    {TARE_OP_ROW("MatMul", 1, 2, 2, 1, 1, infer_matmul)},
    {0}};
