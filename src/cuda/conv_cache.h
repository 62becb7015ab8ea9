/* SPDX-License-Identifier: Apache-2.0 */
/** The plans of a device as the rows of cuda/conv.c see them. All functions are thread-safe. */
#ifndef TARE_CUDA_CONV_CACHE_H
#define TARE_CUDA_CONV_CACHE_H

#include "cuda/conv.h"
#include "cuda/conv_plan.h"

/** A convolution and its plan; lives as long as the cache. */
typedef struct tare_conv_entry tare_conv_entry;

/** The plan for a convolution: one that is there, or that is being built, or a new one.
 * TARE_UNSUPPORTED when there is no engine for it. */
TARE_MUST_CHECK tare_status tare_conv_cache_get(tare_conv_entry **out, tare_conv_cache *cache,
                                                const tare_conv_spec *spec, tare_error *err);

/** Lets another thread build the plan meanwhile. */
void tare_conv_cache_announce(tare_conv_cache *cache, const tare_conv_spec *spec);

/** Whether the plan computes bias and epilogues too, and the workspace that it needs. */
bool tare_conv_entry_fused(const tare_conv_entry *entry);
size_t tare_conv_entry_workspace(const tare_conv_entry *entry);

/** Queues a run of the plan. */
TARE_MUST_CHECK tare_status tare_conv_entry_run(tare_conv_entry *entry, tare_queue *queue,
                                                const tare_cudnn_binding *binding, tare_error *err);

#endif
