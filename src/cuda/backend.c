/* SPDX-License-Identifier: Apache-2.0 */
/** The CUDA backend: its families of kernels, in order of preference, and its device functions. */
#include "cuda/backend.h"

#include "base/error.h"
#include "cuda/collector.h"
#include "cuda/functions.h"
#include "cuda/ingest.h"
#include "cuda/kernels.h"
#include "cuda/survey.h"

static const tare_kernel_table *const tables[] = {
    &tare_cuda_depthwise_table, /* before cuDNN's convolutions */
    &tare_cuda_conv_table,
    &tare_cuda_matmul_table,
    &tare_cuda_elementwise_table,
    &tare_cuda_reduce_table,
    &tare_cuda_move_table,
    &tare_cuda_gather_table,
    &tare_cuda_norm_table,
    &tare_cuda_pool_table,
    &tare_cuda_resize_table,
    &tare_cuda_softmax_table,
    NULL, /* ends the list */
};

static const tare_device_functions functions = {
    .survey = tare_cuda_survey,
    .open = tare_cuda_open,
    .close = tare_cuda_close,
    .facts = tare_cuda_facts,
    .memory_new = tare_cuda_memory_new,
    .memory_free = tare_cuda_free,
    .pinned_new = tare_cuda_pinned_new,
    .pinned_free = tare_cuda_pinned_free,
    .queue_new = tare_cuda_queue_new,
    .queue_free = tare_cuda_queue_free,
    .copy = tare_cuda_copy,
    .zero = tare_cuda_zero,
    .wait = tare_cuda_wait,
    .mark_new = tare_cuda_mark_new,
    .mark_free = tare_cuda_mark_free,
    .mark_set = tare_cuda_mark_set,
    .mark_wait = tare_cuda_mark_wait,
    .mark_follow = tare_cuda_mark_follow,
    .mark_seconds = tare_cuda_mark_seconds,
    .record_begin = tare_cuda_record_begin,
    .record_end = tare_cuda_record_end,
    .replay = tare_cuda_replay,
    .recording_free = tare_cuda_recording_free,
    .ingest = tare_cuda_ingest,
    .collector_measure = tare_cuda_collector_measure,
    .collector_new = tare_cuda_collector_new,
    .collector_free = tare_cuda_collector_free,
    .collect = tare_cuda_collect,
    .collect_end = tare_cuda_collect_end,
    .collect_result = tare_cuda_collect_result,
    .collect_codes = tare_cuda_collect_codes,
};

/* Nothing: a thread's device is chosen by what it calls (cuda/queue.c). */
static void begin_thread(int threads_per_run) {
    TARE_UNUSED(threads_per_run);
}

const tare_backend tare_backend_cuda = {
    .name = "cuda",
    .thread_begin = begin_thread,
    .tables = tables,
    .table_count = sizeof tables / sizeof tables[0] - 1,
    .device = &functions,
};
