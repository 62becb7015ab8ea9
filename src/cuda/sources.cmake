# SPDX-License-Identifier: Apache-2.0
# The sources of the CUDA backend, listed once for the plug-in and for the tests that run it on the CPU.

# Kernels and their launchers.
set(TARE_CUDA_KERNEL_FILES
  elementwise.cu
  reduce.cu
  conv_epilogue.cu
  depthwise.cu
  ingest.cu
  move.cu
  norm_groups.cu
  norm_rows.cu
  pool.cu
  resize.cu
  softmax.cu
  stats_histogram.cu
  stats_quantile.cu
  stats_range.cu
  stats_window.cu)

# C that includes no CUDA header, directly or through others: kernel rows, plans. Tested also where CUDA is missing.
set(TARE_CUDA_C_FILES
  elementwise.c
  conv_spec.c
  depthwise.c
  gather.c
  ingest.c
  matmul_cut.c
  move.c
  move_plan.c
  norm.c
  pad.c
  pool.c
  resize.c
  softmax.c
  program.c
  reduce.c
  stats_plan.c)

# C that includes cuda/api.h.
set(TARE_CUDA_RUNTIME_FILES
  api.c
  backend.c
  collector.c
  collector_plan.c
  conv.c
  conv_cache.c
  conv_graph.c
  conv_plan.c
  conv_store.c
  conv_tune.c
  cudnn_graph.c
  device.c
  matmul.c
  plugin.c
  queue.c
  survey.c)

# Where the entry points of cuda/api.h come from: real ones here, fakes in the tests.
set(TARE_CUDA_LIBRARY_FILES
  library.c
  search.c)
