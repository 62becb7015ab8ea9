/* SPDX-License-Identifier: Apache-2.0 */
/** The statistics of cuda/stats.h, written down from its definitions alone: plain loops, no items,
 * no vectors. */
#ifndef TARE_TESTS_CUDA_REFERENCE_H
#define TARE_TESTS_CUDA_REFERENCE_H

#include "cuda/stats.h"

/** Element `index` of an array of float32, float16 or bfloat16. */
float reference_element(tare_dtype dtype, const void *data, uint64_t index);

/** Reduces sample number `sample`; `columns` gets one entry per column. Uses the caller's part of
 * the tensor only. */
void reference_reduce(tare_stats_record *record, tare_stats_column *columns,
                      const tare_stats_tensor *tensor, uint64_t sample);

/** The top that the largest magnitude of the first samples asks for; 0 where there is none. */
uint32_t reference_top(const tare_stats_tensor *tensor, uint64_t samples);

/** Adds the first samples to `bins`, TARE_STATS_CODES numbers relative to that top. */
void reference_codes(uint64_t *bins, const tare_stats_tensor *tensor, uint64_t samples,
                     uint32_t top);

/** The neighbours of the quantiles p and 1 - p in a sample, by sorting it. */
tare_quantile_pairs reference_quantiles(tare_dtype dtype, const void *sample, uint64_t elements,
                                        double p);

/** One window sum, by walking over the convolution's outputs. */
float reference_window_sum(const tare_window_tensor *tensor, uint64_t sample, const uint32_t tap[2],
                           uint64_t channel);

/** The bits of a float. */
uint32_t reference_bits(float value);

#endif
