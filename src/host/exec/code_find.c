/* SPDX-License-Identifier: Apache-2.0 */
/** The finder that every other one is compared with. */
#include "exec/code_find.h"

#include <string.h>

void tare_code_find(int32_t *out, const float *in, int64_t count, uint32_t top) {
    for (int64_t i = 0; i < count; i++) {
        uint32_t bits;
        memcpy(&bits, &in[i], sizeof bits);
        const uint32_t magnitude = bits & 0x7FFFFFFFU;
        out[i] = magnitude == 0
                     ? (int32_t)(2 * TARE_CODE_BINS) + (int32_t)(i % TARE_CODE_ZERO_BINS)
                     : (int32_t)((bits >> 31) * TARE_CODE_BINS + tare_code_of(magnitude, top));
    }
}
