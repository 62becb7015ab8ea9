/* SPDX-License-Identifier: Apache-2.0 */
/** Which vector instructions of the processor the kernels may use. */
#include "cpu/isa.h"

#if defined(__GNUC__) && defined(__x86_64__)
#define HAS_FEATURE(name) (__builtin_cpu_supports(name) != 0)
#else
#define HAS_FEATURE(name) 0
#endif

tare_isa tare_isa_detect(void) {
    if (HAS_FEATURE("avx512f") && HAS_FEATURE("avx512vl") && HAS_FEATURE("avx512bw") &&
        HAS_FEATURE("avx512dq")) {
        return TARE_ISA_AVX512;
    }
    return HAS_FEATURE("avx2") ? TARE_ISA_AVX2 : TARE_ISA_BASE;
}

const char *tare_isa_text(tare_isa isa) {
    static const char *const texts[TARE_ISA_COUNT] = {"base", "avx2", "avx512"};
    return (unsigned)isa < TARE_ISA_COUNT ? texts[isa] : "unknown";
}
