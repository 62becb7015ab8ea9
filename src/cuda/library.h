/* SPDX-License-Identifier: Apache-2.0 */
/**
 * Where the entry points come from: the runtime that is linked in, and libraries that are looked
 * for when a device is opened.
 *
 * cuBLASLt and cuDNN are looked for, in this order, in the folder that TARE_CUBLAS_DIR or
 * TARE_CUDNN_DIR names (and then nowhere else); where the loader looks; in the lib64 and lib of
 * CUDA_HOME and of /usr/local/cuda; and in the nvidia folders that Python packages bring, of
 * VIRTUAL_ENV, CONDA_PREFIX, the python3 on PATH and the user. They are never unloaded.
 */
#ifndef TARE_CUDA_LIBRARY_H
#define TARE_CUDA_LIBRARY_H

#include "cuda/api.h"
#include "exec/device.h"

#define TARE_CUDA_LIBRARY_COUNT 2

/** Fills in the runtime's entry points, the others become NULL. */
void tare_cuda_api_init(tare_cuda_api *api);

/**
 * Opens cuBLASLt (13) and cuDNN (9.8 or later, below 10) and fills in their entry points. `parts`
 * say what was found, or what was expected and is missing.
 */
void tare_cuda_libraries_open(tare_cuda_api *api, tare_device_part parts[TARE_CUDA_LIBRARY_COUNT]);

#endif
