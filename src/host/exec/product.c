/* SPDX-License-Identifier: Apache-2.0 */
/** What MatMul multiplies: its operands as stacks of matrices. */
#include "exec/product.h"

/* Dim `axis` of a shape padded with ones in front to `rank` dims. */
static int64_t padded_dim(const tare_desc *desc, int rank, int axis) {
    const int own = axis - (rank - desc->rank);
    return own < 0 ? 1 : desc->dims[own];
}

/* Adds a batch axis, merged into the last one when both operands go on in the same way there. */
static void add_batch_axis(tare_product *out, int64_t a, int64_t b) {
    if (a == 1 && b == 1) {
        return;
    }
    if (out->batch_rank > 0) {
        int64_t *last_a = &out->a_batch[out->batch_rank - 1];
        int64_t *last_b = &out->b_batch[out->batch_rank - 1];
        if ((*last_a == 1) == (a == 1) && (*last_b == 1) == (b == 1)) {
            *last_a *= a;
            *last_b *= b;
            return;
        }
    }
    out->a_batch[out->batch_rank] = a;
    out->b_batch[out->batch_rank++] = b;
}

tare_product tare_product_read(const tare_desc *a, const tare_desc *b) {
    tare_desc left = *a, right = *b;
    if (a->rank == 1) {
        left.rank = 2;
        left.dims[0] = 1;
        left.dims[1] = a->dims[0];
    }
    if (b->rank == 1) {
        right.rank = 2;
        right.dims[1] = 1;
    }
    tare_product out = {.m = left.dims[left.rank - 2],
                        .k = left.dims[left.rank - 1],
                        .n = right.dims[right.rank - 1]};
    const int rank = left.rank > right.rank ? left.rank : right.rank;
    for (int axis = 0; axis < rank - 2; axis++) {
        add_batch_axis(&out, padded_dim(&left, rank, axis), padded_dim(&right, rank, axis));
    }
    /* One matrix on the right for all on the left: their rows make up one tall matrix. */
    if (out.batch_rank == 1 && out.b_batch[0] == 1) {
        out.m *= out.a_batch[0];
        out.batch_rank = 0;
    }
    return out;
}
