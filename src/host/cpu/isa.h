/* SPDX-License-Identifier: Apache-2.0 */
/** Which vector instructions of the processor the kernels may use. */
#ifndef TARE_CPU_ISA_H
#define TARE_CPU_ISA_H

/** Instruction sets for which the hot loops are compiled, weakest first. */
typedef enum tare_isa { TARE_ISA_BASE, TARE_ISA_AVX2, TARE_ISA_AVX512, TARE_ISA_COUNT } tare_isa;

/** The best set of this processor (asks it each time; a few nanoseconds). */
tare_isa tare_isa_detect(void);

/** "base", "avx2", "avx512". */
const char *tare_isa_text(tare_isa isa);

#endif
