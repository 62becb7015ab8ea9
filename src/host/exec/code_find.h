/* SPDX-License-Identifier: Apache-2.0 */
/** Finding the counters of many values at once, ahead of counting them. */
#ifndef TARE_EXEC_CODE_FIND_H
#define TARE_EXEC_CODE_FIND_H

#include "exec/code.h"

/** Zeros take turns among so many counters behind those of the bins of both signs: every other
 * value may be zero, and adding to a counter that was stored just before waits for that store. */
#define TARE_CODE_ZERO_BINS 16

/**
 * Writes for each of `count` finite values, whose tops are at most `top`, the counter it belongs
 * to: its bin, behind those of the positive values for a negative one, behind both for a zero.
 */
typedef void (*tare_code_finder)(int32_t *out, const float *in, int64_t count, uint32_t top);

/** A finder in plain C. */
void tare_code_find(int32_t *out, const float *in, int64_t count, uint32_t top);

#endif
