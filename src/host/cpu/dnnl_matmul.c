/* SPDX-License-Identifier: Apache-2.0 */
/** MatMul and Gemm through oneDNN's matrix product. */
#include "cpu/dnnl_kernels.h"
#include "cpu/dnnl_linear.h"
#include "exec/product.h"
#include "ops/attrs.h"

/** A row-major operand [batch..., rows, columns]; `flip`: stored as [batch..., columns, rows]. */
static tare_dnnl_view view_matrix(const tare_product *p, const int64_t *batch, int64_t rows,
                                  int64_t columns, bool flip) {
    tare_dnnl_view view = {.rank = p->batch_rank + 2};
    /* A vector lies the same either way; oneDNN's checks of strides know only the usual one. */
    const bool column_major = flip && rows > 1 && columns > 1;
    int64_t stride = rows * columns;
    for (int axis = p->batch_rank - 1; axis >= 0; axis--) {
        view.dims[axis] = batch[axis];
        view.strides[axis] = stride;
        stride *= batch[axis];
    }
    view.dims[p->batch_rank] = rows;
    view.dims[p->batch_rank + 1] = columns;
    view.strides[p->batch_rank] = column_major ? 1 : columns;
    view.strides[p->batch_rank + 1] = column_major ? rows : 1;
    return view;
}

/** The operation without bias or addend. */
static tare_dnnl_linear describe_product(const tare_product *p, const tare_prepare *prepare,
                                         const tare_gemm_attrs *attrs) {
    int64_t out_batch[TARE_MAX_RANK] = {0};
    for (int axis = 0; axis < p->batch_rank; axis++) {
        out_batch[axis] = p->a_batch[axis] == 1 ? p->b_batch[axis] : p->a_batch[axis];
    }
    tare_dnnl_linear linear = {.make = tare_dnnl_matmul,
                               .pack = prepare->constants[1] != NULL,
                               .scale = attrs->alpha,
                               .src = view_matrix(p, p->a_batch, p->m, p->k, attrs->trans_a),
                               .weights = view_matrix(p, p->b_batch, p->k, p->n, attrs->trans_b),
                               .dst = view_matrix(p, out_batch, p->m, p->n, false)};
    const tare_dnnl_place input = {TARE_DNNL_INPUT, 0}, output = {TARE_DNNL_OUTPUT, 0};
    linear.src.place = input;
    linear.dst.place = output;
    return linear;
}

static tare_status prepare_matmul(tare_prepare *prepare, tare_error *err) {
    static const tare_gemm_attrs attrs = {.alpha = 1.0f};
    TARE_TRY(tare_dnnl_check_operands(prepare, err));
    const tare_product p = tare_product_read(&prepare->inputs[0], &prepare->inputs[1]);
    const tare_dnnl_linear linear = describe_product(&p, prepare, &attrs);
    TARE_TRY(tare_dnnl_program_open(prepare->private_data, err));
    return tare_dnnl_linear_prepare(prepare, &linear, err);
}

/** How Gemm's C is stored, as rows and columns. */
static void read_addend_dims(int64_t dims[2], const tare_desc *c) {
    dims[0] = c->rank == 2 ? c->dims[0] : 1;
    dims[1] = c->rank == 0 ? 1 : c->dims[c->rank - 1];
}

/** beta C as a matrix of m x n, or one row of n when C has one row; kept by the program. */
static tare_status expand_addend(tare_dnnl_view *view, tare_prepare *prepare, float beta,
                                 const tare_product *p, tare_error *err) {
    int64_t dims[2];
    read_addend_dims(dims, &prepare->inputs[2]);
    const float *c = prepare->constants[2]->data;
    const int64_t rows = dims[0] == 1 ? 1 : p->m;
    const size_t bytes = (size_t)(rows * p->n) * sizeof(float);
    tare_buffer *buffer = tare_buffer_new(bytes);
    if (buffer == NULL) {
        return tare_fail_memory(err, bytes, "the addend of a product");
    }
    float *out = tare_buffer_data(buffer);
    for (int64_t row = 0; row < rows; row++) {
        for (int64_t column = 0; column < p->n; column++) {
            out[row * p->n + column] = beta * c[row * dims[1] + (dims[1] == 1 ? 0 : column)];
        }
    }
    const tare_product single = {.m = rows, .n = p->n};
    *view = view_matrix(&single, NULL, rows, p->n, false);
    view->place = tare_dnnl_program_keep(prepare->private_data, buffer);
    return TARE_OK;
}

/** Gemm's beta C, as a matrix whose dims of 1 are broadcast. */
static tare_status read_addend(tare_dnnl_view *view, tare_prepare *prepare, float beta,
                               const tare_product *p, tare_error *err) {
    int64_t dims[2];
    read_addend_dims(dims, &prepare->inputs[2]);
    const bool whole = dims[1] == p->n && (dims[0] == p->m || dims[0] == 1);
    if (prepare->constants[2] != NULL && (beta != 1.0f || !whole)) {
        return expand_addend(view, prepare, beta, p, err);
    }
    if (beta != 1.0f) {
        return tare_fail(err, TARE_UNSUPPORTED, "beta %g with a bias that is not constant",
                         (double)beta);
    }
    const tare_product single = {.m = dims[0], .n = dims[1]};
    *view = view_matrix(&single, NULL, dims[0], dims[1], false);
    view->place.space = TARE_DNNL_INPUT;
    view->place.index = 2;
    return TARE_OK;
}

static tare_status prepare_gemm(tare_prepare *prepare, tare_error *err) {
    const tare_gemm_attrs *attrs = prepare->attrs;
    TARE_TRY(tare_dnnl_check_operands(prepare, err));
    const tare_desc *a = &prepare->inputs[0], *b = &prepare->inputs[1];
    const tare_product p = {.m = a->dims[attrs->trans_a ? 1 : 0],
                            .k = a->dims[attrs->trans_a ? 0 : 1],
                            .n = b->dims[attrs->trans_b ? 0 : 1]};
    tare_dnnl_linear linear = describe_product(&p, prepare, attrs);
    TARE_TRY(tare_dnnl_program_open(prepare->private_data, err));
    if (prepare->input_count > 2 && prepare->inputs[2].rank >= 0 && attrs->beta != 0.0f) {
        tare_dnnl_view addend;
        TARE_TRY(read_addend(&addend, prepare, attrs->beta, &p, err));
        const bool row = addend.dims[0] == 1 && addend.dims[1] == p.n;
        /* oneDNN's own bias comes before the scale, so it serves only products without one. */
        *(row && attrs->alpha == 1.0f ? &linear.bias : &linear.addend) = addend;
    }
    return tare_dnnl_linear_prepare(prepare, &linear, err);
}

static const tare_kernel rows[] = {
    {.name = "MatMul",
     .private_size = sizeof(tare_dnnl_program),
     .layout = TARE_LAYOUT_RULE_PLAIN,
     .takes_epilogues = true,
     .prepare = prepare_matmul,
     .run = tare_dnnl_run,
     .release = tare_dnnl_release},
    {.name = "Gemm",
     .private_size = sizeof(tare_dnnl_program),
     .layout = TARE_LAYOUT_RULE_PLAIN,
     .takes_epilogues = true,
     .prepare = prepare_gemm,
     .run = tare_dnnl_run,
     .release = tare_dnnl_release},
};

const tare_kernel_table tare_dnnl_matmul_table = {rows, sizeof(rows) / sizeof(rows[0])};
