/* SPDX-License-Identifier: Apache-2.0 */
/** The CPU backend: oneDNN where it computes an operator well, own kernels for the rest. */
#ifndef TARE_CPU_BACKEND_H
#define TARE_CPU_BACKEND_H

#include "exec/backend.h"

extern const tare_backend tare_backend_cpu;

#endif
