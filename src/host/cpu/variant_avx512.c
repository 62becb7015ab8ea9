/* SPDX-License-Identifier: Apache-2.0 */
/** The hot loops compiled for the instruction set named in this file's name (see vector.h). */
#define TARE_VARIANT tare_vector_avx512
#include "cpu/vector_table.inc"
