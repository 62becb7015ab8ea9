/* SPDX-License-Identifier: Apache-2.0 */
/** The reductions behind tare_backend.reduce: what exec/reduce.h defines, of operands in host
 * memory. */
#ifndef TARE_CPU_STATISTICS_H
#define TARE_CPU_STATISTICS_H

#include "cpu/vector.h"
#include "exec/backend.h"

/** All that a request asks for. TARE_INVALID_ARGUMENT for an operand that is not float32, and for
 * an axis or a window that it does not have. */
TARE_MUST_CHECK tare_status tare_cpu_reduce(tare_reduce_record *out,
                                            const tare_reduce_request *request, tare_error *err);

/** The quantiles and the mean of a request, of `count` > 0 elements. */
void tare_cpu_sample_numbers(const tare_reduce_request *request, size_t count);

/** exec/code_find.h */
void tare_cpu_find_codes(int32_t *out, const float *in, int64_t count, uint32_t top);

/** The window sums of a request. `unusual`: some elements are not finite. */
TARE_MUST_CHECK tare_status tare_cpu_window_sums(const tare_reduce_request *request, bool unusual,
                                                 tare_error *err);

/** A sum as it is handed out: of one NaN only one pattern. */
float tare_cpu_plain_sum(double sum);

#endif
