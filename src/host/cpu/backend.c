/* SPDX-License-Identifier: Apache-2.0 */
/** The CPU backend's tables: oneDNN's kernels first, the plain ones behind them. */
#include "cpu/backend.h"

#include <oneapi/dnnl/dnnl_version.h>

#include "cpu/dnnl_kernels.h"
#include "cpu/isa.h"
#include "cpu/kernels.h"
#include "cpu/statistics.h"

#define TEXT_OF(number)    #number
#define NUMBER_TEXT(macro) TEXT_OF(macro)
#define TARE_DNNL_VERSION_TEXT                                                                     \
    NUMBER_TEXT(DNNL_VERSION_MAJOR)                                                                \
    "." NUMBER_TEXT(DNNL_VERSION_MINOR) "." NUMBER_TEXT(DNNL_VERSION_PATCH)

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

/* Constant texts, because a description must not need memory. */
static const char *describe(void) {
    static const char *const texts[TARE_ISA_COUNT] = {
        [TARE_ISA_BASE] = "oneDNN " TARE_DNNL_VERSION_TEXT ", kernels for any processor",
        [TARE_ISA_AVX2] = "oneDNN " TARE_DNNL_VERSION_TEXT ", kernels for AVX2",
        [TARE_ISA_AVX512] = "oneDNN " TARE_DNNL_VERSION_TEXT ", kernels for AVX-512"};
    return texts[tare_isa_detect()];
}

const tare_backend tare_backend_cpu = {
    .name = "cpu",
    .describe = describe,
    .tables = tables,
    .table_count = sizeof(tables) / sizeof(tables[0]),
    .thread_begin = tare_dnnl_thread_begin,
    .reduce = tare_cpu_reduce,
    .find_codes = tare_cpu_find_codes,
};
