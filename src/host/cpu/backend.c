/* SPDX-License-Identifier: Apache-2.0 */
/** The CPU backend's tables: oneDNN's kernels first, the plain ones behind them. */
#include "cpu/backend.h"

#include "cpu/dnnl_kernels.h"
#include "cpu/kernels.h"

/* Of rows with one name the planner takes the first that can do the operands. */
static const tare_kernel_table *const tables[] = {
    &tare_dnnl_conv_table,    &tare_dnnl_matmul_table, &tare_dnnl_pool_table,
    &tare_cpu_unary_table,    &tare_cpu_binary_table,  &tare_cpu_select_table,
    &tare_cpu_move_table,     &tare_cpu_pad_table,     &tare_cpu_gather_table,
    &tare_cpu_fill_table,     &tare_cpu_reduce_table,  &tare_cpu_softmax_table,
    &tare_cpu_norm_table,     &tare_cpu_pool_table,    &tare_cpu_conv_table,
    &tare_cpu_resize_table,   &tare_cpu_grid_table,    &tare_cpu_rnn_table,
    &tare_cpu_quantize_table,
};

const tare_backend tare_backend_cpu = {
    .name = "cpu",
    .tables = tables,
    .table_count = sizeof(tables) / sizeof(tables[0]),
    .thread_begin = tare_dnnl_thread_begin,
    .range = tare_cpu_range,
};
