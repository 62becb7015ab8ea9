/* SPDX-License-Identifier: Apache-2.0 */
/** How a product of stacks of matrices is cut into calls. */
#include "cuda/matmul.h"

static int64_t longer(int64_t a, int64_t b) {
    return a > b ? a : b;
}

tare_matmul_cut tare_matmul_cut_of(const tare_product *product) {
    int64_t a_strides[TARE_MAX_RANK], b_strides[TARE_MAX_RANK], d_strides[TARE_MAX_RANK];
    int64_t a = product->m * product->k, b = product->k * product->n, d = product->m * product->n;
    tare_matmul_cut cut = {.batch = 1, .calls = 1};
    int64_t longest = 0;
    int chosen = -1;

    for (int axis = product->batch_rank - 1; axis >= 0; axis--) {
        const int64_t dim = longer(product->a_batch[axis], product->b_batch[axis]);
        a_strides[axis] = product->a_batch[axis] == 1 ? 0 : a;
        b_strides[axis] = product->b_batch[axis] == 1 ? 0 : b;
        d_strides[axis] = d;
        a *= product->a_batch[axis];
        b *= product->b_batch[axis];
        d *= dim;
        if (dim > longest) {
            longest = dim;
            chosen = axis;
        }
    }
    for (int axis = 0; axis < product->batch_rank; axis++) {
        const int64_t dim = longer(product->a_batch[axis], product->b_batch[axis]);
        if (axis == chosen) {
            cut.batch = dim;
            cut.a_stride = a_strides[axis];
            cut.b_stride = b_strides[axis];
            cut.d_stride = d_strides[axis];
            continue;
        }
        cut.outer_dims[cut.outer_rank] = dim;
        cut.a_outer[cut.outer_rank] = a_strides[axis];
        cut.b_outer[cut.outer_rank] = b_strides[axis];
        cut.d_outer[cut.outer_rank] = d_strides[axis];
        cut.outer_rank++;
        cut.calls *= dim;
    }
    return cut;
}

void tare_matmul_offsets(int64_t out[3], const tare_matmul_cut *cut, int64_t call) {
    out[0] = out[1] = out[2] = 0;
    for (int axis = cut->outer_rank - 1; axis >= 0; axis--) {
        const int64_t index = call % cut->outer_dims[axis];
        call /= cut->outer_dims[axis];
        out[0] += index * cut->a_outer[axis];
        out[1] += index * cut->b_outer[axis];
        out[2] += index * cut->d_outer[axis];
    }
}
