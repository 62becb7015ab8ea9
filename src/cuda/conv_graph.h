/* SPDX-License-Identifier: Apache-2.0 */
/** The operation graph of a convolution with its bias and epilogues. */
#ifndef TARE_CUDA_CONV_GRAPH_H
#define TARE_CUDA_CONV_GRAPH_H

#include "cuda/conv_spec.h"
#include "cuda/cudnn_graph.h"

/** Ids of the tensors in memory; input and output are the node's. They are part of stored plans. */
enum {
    TARE_CONV_ID_INPUT = 1,
    TARE_CONV_ID_WEIGHTS,
    TARE_CONV_ID_OUTPUT,
    TARE_CONV_ID_BIAS,     /**< [channels] in the storage type */
    TARE_CONV_ID_RESIDUAL, /**< like the output */
    TARE_CONV_ID_CONSTANT  /**< and following: float32 numbers */
};

/** Each epilogue has at most two numbers. */
#define TARE_CONV_MAX_CONSTANTS (2 * TARE_MAX_EPILOGUES)
#define TARE_CONV_MAX_IDS       (TARE_CONV_ID_CONSTANT + TARE_CONV_MAX_CONSTANTS)

/** Numbers that epilogues take from device memory. */
typedef struct tare_conv_constants {
    size_t count;
    float values[TARE_CONV_MAX_CONSTANTS];
} tare_conv_constants;

/** Whether cuDNN has kernels ready for the graph with bias and epilogues. Others it has to compile,
 * which takes seconds of a processor for each graph, or computes by its plainest algorithm. */
bool tare_conv_graph_is_ready(const tare_conv_spec *spec);

/** Which constants the graph with epilogues has, in the order of their ids. */
void tare_conv_graph_constants(tare_conv_constants *out, const tare_conv_spec *spec);

/** `fused`: with bias and epilogues, else the convolution alone. TARE_UNSUPPORTED for epilogues
 * that cannot be said in pointwise operations. */
TARE_MUST_CHECK tare_status tare_conv_graph_new(cudnnBackendDescriptor_t *out,
                                                tare_cudnn_scope *scope, const tare_conv_spec *spec,
                                                bool fused, tare_error *err);

#endif
