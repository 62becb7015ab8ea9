/* SPDX-License-Identifier: Apache-2.0 */
/**
 * The part of cuDNN's backend interface that the backend calls, on the host and at once: strict
 * about what it is given, plain in how it computes. Sums are taken in double.
 *
 * It has three engines: 0 computes graphs of a convolution and what follows it, but with tensor
 * cores; 1 computes single convolutions and is as exact as float32; 2 computes everything, but not
 * the same each time. Heuristics propose 2, 0, 1; the fallback proposes 1.
 */
#ifndef TARE_TESTS_FAKE_CUDNN_H
#define TARE_TESTS_FAKE_CUDNN_H

#include <cudnn_graph.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/** What the fake refuses, to see what its caller then does. Set it while no other thread calls. */
typedef struct fake_cudnn_settings {
    bool only_single;  /**< no engine computes more than a convolution */
    bool exact_fusion; /**< engine 1 computes what follows a convolution too */
    bool only_inexact; /**< engine 1 is missing */
    bool no_text;      /**< plans have no text */
} fake_cudnn_settings;

void fake_cudnn_set(fake_cudnn_settings settings);

typedef struct fake_cudnn_counts {
    size_t handles, descriptors; /**< alive */
    size_t plans, runs;          /**< made of engines, executed, since the program began */
} fake_cudnn_counts;

fake_cudnn_counts fake_cudnn_count(void);

#endif
