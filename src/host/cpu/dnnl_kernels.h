/* SPDX-License-Identifier: Apache-2.0 */
/** The families of kernels that oneDNN computes. */
#ifndef TARE_CPU_DNNL_KERNELS_H
#define TARE_CPU_DNNL_KERNELS_H

#include "exec/backend.h"

/** Conv, ConvTranspose: float32, 1 to 3 spatial dims, channels-last, with epilogues. */
extern const tare_kernel_table tare_dnnl_conv_table;

/** MatMul, Gemm: float32, plain, with epilogues. */
extern const tare_kernel_table tare_dnnl_matmul_table;

/** MaxPool, AveragePool and their global forms: float32, 1 to 3 spatial dims, channels-last. */
extern const tare_kernel_table tare_dnnl_pool_table;

/** Makes the calling thread prepare and run primitives with that many threads. oneDNN chooses its
 * blocking by this number when a primitive is prepared, so it must be the same for running. */
void tare_dnnl_thread_begin(int threads_per_run);

#endif
