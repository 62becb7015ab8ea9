/* SPDX-License-Identifier: Apache-2.0 */
/** Which input elements an output element of Resize comes from, along one axis. */
#ifndef TARE_EXEC_RESAMPLE_H
#define TARE_EXEC_RESAMPLE_H

#include "ops/attrs.h"

/** The taps of every output index of one axis. */
typedef struct tare_taps {
    int64_t in, out; /**< sizes */
    int64_t count;   /**< taps per output index */
    int64_t *index;  /**< out x count, inside the input */
    float *weight;   /**< out x count; NULL for nearest (count 1) */
    bool *outside;   /**< per output index: gets the extrapolation value; NULL: none */
    bool identity;   /**< copies the axis unchanged */
} tare_taps;

/** Computes the taps of `axis`; memory comes from malloc(). */
TARE_MUST_CHECK tare_status tare_taps_init(tare_taps *taps, const tare_resize_attrs *attrs,
                                           int axis, const int64_t sizes[2], tare_error *err);

/** NULL and zeroed structs allowed. */
void tare_taps_release(tare_taps *taps);

#endif
