/* SPDX-License-Identifier: Apache-2.0 */
/**
 * Convolutions by cuDNN: the plans of a device, shared by all nodes that compute the same.
 *
 * A plan is found by heuristics, or measured where the device says `tune`, among engines that are
 * deterministic and precise enough: fp32 takes neither tensor cores nor rounded inputs, and no
 * precision takes Winograd's or Fourier's algorithms or sums in less than float32. Bias and
 * epilogues are computed along with the convolution where cuDNN has kernels ready for that, or with
 * `tune` where it can compile them; elsewhere a kernel of ours does so behind it. In float16
 * storage a bias that goes along is rounded to float16. Plans that the rows were announced are
 * built by other threads meanwhile.
 *
 * What only a GPU can show: how fast engines are, and what building in parallel gains.
 */
#ifndef TARE_CUDA_CONV_H
#define TARE_CUDA_CONV_H

#include "cuda/device.h"

typedef struct tare_conv_cache tare_conv_cache;

/** Makes the device's `convolutions`, once its other fields are set. `folder`: where plans are kept
 * between runs, in a folder per kind of device and version of cuDNN; NULL: nowhere. That the folder
 * cannot be used is no error. Reads no plan yet. */
TARE_MUST_CHECK tare_status tare_conv_cache_new(tare_conv_cache **out, tare_device *device,
                                                const char *folder, tare_error *err);

/** Waits for plans that are being built. NULL allowed. */
void tare_conv_cache_free(tare_conv_cache *cache);

/** Prepares a queue for convolutions, so that they may be recorded (otherwise the first one does,
 * which may then not be recorded), and ends that before the queue does. */
TARE_MUST_CHECK tare_status tare_conv_queue_open(tare_queue *queue, tare_error *err);
void tare_conv_queue_close(tare_queue *queue);

/** How many plans were built, read from the folder, and written to it so far. */
typedef struct tare_conv_counts {
    size_t built, read, written;
} tare_conv_counts;

void tare_conv_cache_counts(tare_conv_counts *out, tare_conv_cache *cache);

#endif
