/* SPDX-License-Identifier: Apache-2.0 */
/** Matrix products by cuBLASLt: the handle of a device, and how a product is cut into calls. */
#ifndef TARE_CUDA_MATMUL_H
#define TARE_CUDA_MATMUL_H

#include "cuda/device.h"
#include "exec/product.h"

/** A device's handle of cuBLASLt. */
typedef struct tare_blas tare_blas;

/** TARE_BACKEND when cuBLASLt refuses. device->api must be set. */
TARE_MUST_CHECK tare_status tare_blas_new(tare_blas **out, tare_device *device, tare_error *err);

/** NULL allowed. */
void tare_blas_free(tare_blas *blas, tare_device *device);

/** Products with more calls than this are not worth the launches. */
#define TARE_MATMUL_MAX_CALLS 4096

/**
 * A stack of products as cuBLASLt takes it: `batch` products at regular distances in one call, and
 * calls over the remaining axes. Distances are in elements; 0: the same matrix again.
 */
typedef struct tare_matmul_cut {
    int64_t batch;
    int64_t a_stride, b_stride, d_stride;
    int outer_rank;
    int64_t outer_dims[TARE_MAX_RANK];
    int64_t a_outer[TARE_MAX_RANK], b_outer[TARE_MAX_RANK], d_outer[TARE_MAX_RANK];
    int64_t calls; /**< product of outer_dims */
} tare_matmul_cut;

/** Cuts a product so that the longest batch axis goes into one call. */
tare_matmul_cut tare_matmul_cut_of(const tare_product *product);

/** Where call number `call` begins in a, b and d. */
void tare_matmul_offsets(int64_t out[3], const tare_matmul_cut *cut, int64_t call);

#endif
