/* SPDX-License-Identifier: Apache-2.0 */
/**
 * The families of CUDA kernels. Their rows follow exec/backend.h: inputs and outputs are device
 * memory, run only puts work into the queue. Float operands are float32 or, in the storage type of
 * the device, float16; constants are always float32 as the model has them.
 */
#ifndef TARE_CUDA_KERNELS_H
#define TARE_CUDA_KERNELS_H

#include "cuda/device.h"

/** Conv, ConvTranspose by cuDNN. */
extern const tare_kernel_table tare_cuda_conv_table;

/** Depthwise Conv: our own kernels. */
extern const tare_kernel_table tare_cuda_depthwise_table;

/** MatMul, Gemm by cuBLASLt. */
extern const tare_kernel_table tare_cuda_matmul_table;

/** Functions of one, two and more operands, with broadcasting, and chains of them; Where, Cast,
 * comparisons. */
extern const tare_kernel_table tare_cuda_elementwise_table;

/** Reduce*, ArgMax, ArgMin. */
extern const tare_kernel_table tare_cuda_reduce_table;

/** Softmax, LogSoftmax. */
extern const tare_kernel_table tare_cuda_softmax_table;

/** BatchNormalization, InstanceNormalization, LayerNormalization, GroupNormalization, LRN,
 * LpNormalization, MeanVarianceNormalization. */
extern const tare_kernel_table tare_cuda_norm_table;

/** MaxPool, AveragePool, LpPool, the global pools. */
extern const tare_kernel_table tare_cuda_pool_table;

/** Reorder (also between storage types), Reshape, Transpose, Concat, Split, Slice, Expand, Tile,
 * Pad, DepthToSpace, SpaceToDepth. */
extern const tare_kernel_table tare_cuda_move_table;

/** Gather, GatherElements. */
extern const tare_kernel_table tare_cuda_gather_table;

/** Resize. */
extern const tare_kernel_table tare_cuda_resize_table;

#endif
