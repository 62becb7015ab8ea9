/* SPDX-License-Identifier: Apache-2.0 */
/** The CUDA backend: its families of kernels, in order of preference, and its device functions. */
#include "cuda/backend.h"

#include "cuda/kernels.h"

static const tare_kernel_table *const tables[] = {
    &tare_cuda_elementwise_table,
    &tare_cuda_move_table,
    &tare_cuda_gather_table,
    &tare_cuda_norm_table,
    &tare_cuda_softmax_table,
    NULL, /* ends the list */
};

const tare_backend tare_backend_cuda = {
    .name = "cuda",
    .tables = tables,
    .table_count = sizeof tables / sizeof tables[0] - 1,
};
