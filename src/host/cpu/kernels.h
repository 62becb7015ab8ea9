/* SPDX-License-Identifier: Apache-2.0 */
/**
 * The families of plain C kernels. All are single-threaded, and what their prepare leaves behind is
 * read-only for run.
 */
#ifndef TARE_CPU_KERNELS_H
#define TARE_CPU_KERNELS_H

#include "exec/backend.h"

/** Functions of one operand: Relu, Sigmoid, Clip, Exp, Not, ... */
extern const tare_kernel_table tare_cpu_unary_table;

/** Functions of two operands with broadcasting: Add, Pow, Equal, And, PRelu, ...; Sum, Mean, Max,
 * Min of any number. */
extern const tare_kernel_table tare_cpu_binary_table;

/** Where, IsNaN, IsInf, Cast, CastLike. */
extern const tare_kernel_table tare_cpu_select_table;

/** Reorder, Transpose, Reshape, Concat, Split, Slice, Expand, Tile, DepthToSpace,
 * SpaceToDepth. */
extern const tare_kernel_table tare_cpu_move_table;

/** Pad. */
extern const tare_kernel_table tare_cpu_pad_table;

/** Gather, GatherElements, GatherND, ScatterElements, ScatterND, OneHot. */
extern const tare_kernel_table tare_cpu_gather_table;

/** ConstantOfShape, Range, Trilu, CumSum, TopK. */
extern const tare_kernel_table tare_cpu_fill_table;

/** Reduce*, ArgMax, ArgMin, MeanVarianceNormalization. */
extern const tare_kernel_table tare_cpu_reduce_table;

/** Softmax, LogSoftmax, Hardmax. */
extern const tare_kernel_table tare_cpu_softmax_table;

/** BatchNormalization, InstanceNormalization, LayerNormalization, GroupNormalization,
 * LRN, LpNormalization. */
extern const tare_kernel_table tare_cpu_norm_table;

/** MaxPool (with Indices), AveragePool, LpPool: plain loops for what oneDNN does not do. */
extern const tare_kernel_table tare_cpu_pool_table;

/** Conv, ConvTranspose, MatMul, Gemm: plain loops for what oneDNN does not do. */
extern const tare_kernel_table tare_cpu_conv_table;

/** Resize. */
extern const tare_kernel_table tare_cpu_resize_table;

/** GridSample. */
extern const tare_kernel_table tare_cpu_grid_table;

/** LSTM, GRU, RNN. */
extern const tare_kernel_table tare_cpu_rnn_table;

/** QuantizeLinear, DequantizeLinear. */
extern const tare_kernel_table tare_cpu_quantize_table;

#endif
