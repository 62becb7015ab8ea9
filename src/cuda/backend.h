/* SPDX-License-Identifier: Apache-2.0 */
/** The CUDA backend. */
#ifndef TARE_CUDA_BACKEND_H
#define TARE_CUDA_BACKEND_H

#include "exec/device.h"

extern const tare_backend tare_backend_cuda;

#endif
