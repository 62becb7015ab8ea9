/* SPDX-License-Identifier: Apache-2.0 */
/** Chooses among the variants of the hot loops. */
#include "cpu/vector.h"

const tare_vector *tare_vector_of(tare_isa isa) {
    if (isa > tare_isa_detect()) {
        return NULL;
    }
#if defined(__GNUC__) && defined(__x86_64__)
    if (isa == TARE_ISA_AVX512) {
        return &tare_vector_avx512;
    }
    if (isa == TARE_ISA_AVX2) {
        return &tare_vector_avx2;
    }
#endif
    return isa == TARE_ISA_BASE ? &tare_vector_base : NULL;
}

const tare_vector *tare_vector_best(void) {
    return tare_vector_of(tare_isa_detect());
}
