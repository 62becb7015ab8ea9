/* SPDX-License-Identifier: Apache-2.0 */
/** Choosing an execution plan for a convolution, and keeping it in a file. */
#ifndef TARE_CUDA_CONV_PLAN_H
#define TARE_CUDA_CONV_PLAN_H

#include <pthread.h>

#include "cuda/conv_graph.h"
#include "cuda/device.h"

/** Plans that want more workspace are not taken. */
#define TARE_CONV_MAX_WORKSPACE ((size_t)1 << 30)

typedef struct tare_conv_plan {
    tare_cudnn_scope scope;
    tare_cudnn_plan plan;
    bool fused; /**< computes bias and epilogues too */
} tare_conv_plan;

/** With what a thread makes plans. */
typedef struct tare_conv_maker {
    tare_device *device;
    cudnnHandle_t handle;       /**< the thread's own */
    pthread_mutex_t *measuring; /**< of the device, so that nothing runs beside what is measured */
} tare_conv_maker;

/** Asks heuristics, and measures when the device wants it. TARE_UNSUPPORTED when no engine does. */
TARE_MUST_CHECK tare_status tare_conv_plan_choose(tare_conv_plan *out, const tare_conv_maker *maker,
                                                  const tare_conv_spec *spec, tare_error *err);

void tare_conv_plan_release(tare_conv_plan *plan);

/** Plans of one convolution to choose among. Borrowed. */
typedef struct tare_conv_candidates {
    const tare_cudnn_plan *plans;
    size_t count;
    bool fused; /**< they do the epilogue too */
} tare_conv_candidates;

/** Index of the fastest candidate, each run a few times on memory of its own. Where memory does not
 * suffice for that it is 0. */
TARE_MUST_CHECK tare_status tare_conv_tune(size_t *fastest, const tare_conv_maker *maker,
                                           const tare_conv_spec *spec,
                                           const tare_conv_candidates *candidates, tare_error *err);

/** The folder below `root` for the plans of a device, made if it is missing; NULL when memory runs
 * out. Free with free(). */
char *tare_conv_folder_new(const char *root, const tare_device *device, size_t version);

/** Takes the plan of `key` from its file. TARE_NOT_FOUND when there is none, or it was written for
 * something else, or cuDNN does not accept it. */
TARE_MUST_CHECK tare_status tare_conv_plan_load(tare_conv_plan *out, const tare_conv_maker *maker,
                                                const char *folder, const char *key,
                                                tare_error *err);

/** Writes the file; it appears complete or not at all. */
TARE_MUST_CHECK tare_status tare_conv_plan_save(const tare_conv_plan *plan,
                                                const tare_device *device, const char *folder,
                                                const char *key, tare_error *err);

#endif
