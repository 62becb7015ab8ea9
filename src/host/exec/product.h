/* SPDX-License-Identifier: Apache-2.0 */
/** What MatMul multiplies: its operands as stacks of matrices. */
#ifndef TARE_EXEC_PRODUCT_H
#define TARE_EXEC_PRODUCT_H

#include "exec/backend.h"

/** A matrix product [batch..., m, k] x [batch..., k, n] with as few batch axes as possible. */
typedef struct tare_product {
    int batch_rank;
    int64_t a_batch[TARE_MAX_RANK], b_batch[TARE_MAX_RANK]; /**< 1 where broadcast */
    int64_t m, n, k;
} tare_product;

/** Reads MatMul's operands (a vector is a row on the left and a column on the right). */
tare_product tare_product_read(const tare_desc *a, const tare_desc *b);

#endif
