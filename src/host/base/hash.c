/* SPDX-License-Identifier: Apache-2.0 */
/** A 64-bit hash. */
#include "base/hash.h"

static uint64_t load_little_endian(const unsigned char *bytes, size_t count) {
    uint64_t word = 0;

    for (size_t i = 0; i < count; i++) {
        word |= (uint64_t)bytes[i] << (8 * i);
    }
    return word;
}

static uint64_t hash_mix(uint64_t hash, uint64_t word) {
    hash = (hash ^ word) * UINT64_C(0xd1342543de82ef95); /* odd, so no information is lost */
    return hash ^ (hash >> 32);
}

uint64_t tare_hash_bytes(uint64_t hash, const void *data, size_t bytes) {
    const unsigned char *at = data;
    size_t left = bytes;

    hash = hash_mix(hash + UINT64_C(0x9e3779b97f4a7c15), (uint64_t)bytes);
    for (; left >= 8; left -= 8, at += 8) {
        hash = hash_mix(hash, load_little_endian(at, 8));
    }
    hash = hash_mix(hash, load_little_endian(at, left));
    return hash_mix(hash, hash >> 29);
}
