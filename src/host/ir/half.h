/* SPDX-License-Identifier: Apache-2.0 */
/** float16 and bfloat16 bits as numbers and back; rounding is half to even, NaN stay NaN. */
#ifndef TARE_IR_HALF_H
#define TARE_IR_HALF_H

#include <stdint.h>

double tare_half_to_double(uint16_t bits);
uint16_t tare_half_from_double(double value);
double tare_bfloat16_to_double(uint16_t bits);
uint16_t tare_bfloat16_from_double(double value);

#endif
