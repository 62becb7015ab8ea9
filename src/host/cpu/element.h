/* SPDX-License-Identifier: Apache-2.0 */
/** Reading and writing single elements of any numeric type, for the general (slow) paths. */
#ifndef TARE_CPU_ELEMENT_H
#define TARE_CPU_ELEMENT_H

#include "ir/tensor.h"

/** How numbers of a type are computed with. */
typedef enum tare_number_class {
    TARE_NUMBER_REAL,    /**< in double */
    TARE_NUMBER_SIGNED,  /**< in int64_t; also bool and unsigned types below 64 bits */
    TARE_NUMBER_UNSIGNED /**< in uint64_t, carried as the int64_t of the same bits */
} tare_number_class;

typedef struct tare_accessor {
    tare_dtype dtype;
    tare_number_class number;
    double (*real)(const void *data, int64_t index);
    int64_t (*integer)(const void *data, int64_t index); /**< reals are cut towards zero, limited to
                                                            int64; NaN gives its lowest value */
    void (*set_real)(void *data, int64_t index, double value);     /**< integers as set_integer() of
                                                                      `integer` would */
    void (*set_integer)(void *data, int64_t index, int64_t value); /**< keeps the low bits */
} tare_accessor;

/** The accessors of a type, NULL for types without (strings, complex, 8-bit and 4-bit floats). */
const tare_accessor *tare_accessor_of(tare_dtype dtype);

#endif
