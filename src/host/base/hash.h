/* SPDX-License-Identifier: Apache-2.0 */
/** A 64-bit hash, for the keys of samples and the checksums of files. */
#ifndef TARE_BASE_HASH_H
#define TARE_BASE_HASH_H

#include <stddef.h>
#include <stdint.h>

/**
 * Folds `bytes` bytes into a 64-bit hash that starts as any number (0). The same on every machine;
 * not meant to withstand an adversary. Each step is a bijection of the hash, so that a change
 * within one aligned word of the data is always seen.
 */
uint64_t tare_hash_bytes(uint64_t hash, const void *data, size_t bytes);

#endif
