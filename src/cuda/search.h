/* SPDX-License-Identifier: Apache-2.0 */
/** The places where NVIDIA's libraries may lie on a machine. No CUDA header is needed. */
#ifndef TARE_CUDA_SEARCH_H
#define TARE_CUDA_SEARCH_H

#include <stdbool.h>
#include <stddef.h>

/** Called with a bare name for the loader, or a path that need not exist. Return true to stop. */
typedef bool (*tare_cuda_visit)(void *context, const char *file);

/**
 * Visits the places of cuda/library.h where a file called `name` may be, in order; only in the
 * folder that the environment variable `variable` names if it is set. True when a visit stopped it.
 */
bool tare_cuda_search(const char *name, const char *variable, tare_cuda_visit visit, void *context);

/** The file whose mapping holds `address`; `otherwise` when the system does not tell. */
void tare_cuda_mapped_file(char *out, size_t capacity, const void *address, const char *otherwise);

#endif
