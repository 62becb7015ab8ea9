/* SPDX-License-Identifier: Apache-2.0 */
/**
 * Faults on purpose, and what the fake machine is: the environment variable TARE_CUDA_FAULT, a list
 * of NAME:VALUE with commas between them.
 *
 *   cudaMalloc:3           the third call of that entry point of cuda/api.h fails, and only it
 *   launch:5               the fifth launch of a kernel is refused
 *   library:cudnn          that library is not found (or cublaslt)
 *   memory:1000000         bytes of device memory
 *   devices:0              how many devices the driver sees
 *   driver:12040           the CUDA version that the driver serves
 *   capability:75          compute capability of the devices
 */
#ifndef TARE_TESTS_FAULT_H
#define TARE_TESTS_FAULT_H

#include <stdatomic.h>
#include <stdbool.h>

/** The number given for `name`, or `otherwise`. */
long long fake_setting(const char *name, long long otherwise);

/** Whether `value` is given for `name`. */
bool fake_setting_is(const char *name, const char *value);

/** Counts a call, if a number is given for `name`; whether it is the one that is to fail. */
bool fake_fault_due(const char *name, atomic_llong *calls);

#endif
