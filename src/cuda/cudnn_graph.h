/* SPDX-License-Identifier: Apache-2.0 */
/**
 * cuDNN's backend descriptors as plain functions: tensors, convolutions, pointwise operations,
 * graphs of them, engines that heuristics propose, and execution plans.
 *
 * Descriptors belong to the scope they were made in and live as long as it does. Failures are
 * TARE_BACKEND (TARE_OUT_OF_MEMORY, TARE_UNSUPPORTED where cuDNN says so) with the descriptor, the
 * attribute and cuDNN's own words; who calls adds the node.
 *
 * What only a GPU can show: that attributes mean to engines what the documentation says. That
 * graphs of all descriptors below finalize, and which have engines on a device that is only
 * described, is tested with cuDNN itself.
 */
#ifndef TARE_CUDA_CUDNN_GRAPH_H
#define TARE_CUDA_CUDNN_GRAPH_H

#include "base/text.h"
#include "cuda/api.h"
#include "exec/device.h"

/** Descriptors that are destroyed together, the youngest first. Not thread-safe. */
typedef struct tare_cudnn_scope {
    const tare_cuda_api *api;
    cudnnHandle_t handle; /**< of the device that plans are made for; NULL: graphs can be made but
                             no plans */
    size_t count, capacity;
    cudnnBackendDescriptor_t *descriptors;
} tare_cudnn_scope;

/** An empty scope; it makes no call. */
tare_cudnn_scope tare_cudnn_scope_of(const tare_cuda_api *api, cudnnHandle_t handle);

/** Destroys what was made in it, and leaves an empty scope. */
void tare_cudnn_scope_release(tare_cudnn_scope *scope);

/** Batch, channels and up to three spatial dims. */
#define TARE_CUDNN_RANK      5
/** What is promised of the addresses of tensors. */
#define TARE_CUDNN_ALIGNMENT 16

typedef struct tare_cudnn_tensor {
    int64_t id; /**< unique in its graph; a tensor in memory is bound by it */
    cudnnDataType_t type;
    int rank;
    int64_t dims[TARE_CUDNN_RANK]; /**< batch, channels, space */
    bool is_virtual;               /**< lives in no memory */
} tare_cudnn_tensor;

/** The channels are innermost, in weights too (their "channels" are those of the input). */
TARE_MUST_CHECK tare_status tare_cudnn_tensor_new(cudnnBackendDescriptor_t *out,
                                                  tare_cudnn_scope *scope,
                                                  const tare_cudnn_tensor *tensor, tare_error *err);

/** A convolution of the forward kind: y = w * x with `rank` spatial dims. */
typedef struct tare_cudnn_convolution {
    bool backward_data; /**< computes x from y and w instead */
    int rank;
    int64_t stride[3], dilation[3], pad_begin[3], pad_end[3];
    cudnnBackendDescriptor_t x, w, y;
} tare_cudnn_convolution;

/** The operation; computed in float32. */
TARE_MUST_CHECK tare_status tare_cudnn_convolution_new(cudnnBackendDescriptor_t *out,
                                                       tare_cudnn_scope *scope,
                                                       const tare_cudnn_convolution *convolution,
                                                       tare_error *err);

/** y = f(x) or f(x, b); b is broadcast along dims of size 1. */
typedef struct tare_cudnn_pointwise {
    cudnnPointwiseMode_t mode;
    cudnnBackendDescriptor_t x, b /**< NULL: one operand */, y;
    /** Of CUDNN_POINTWISE_RELU_FWD: bounds, and the slope below the lower one. No upper bound when
     * it is infinite. */
    double lower, upper, slope;
} tare_cudnn_pointwise;

TARE_MUST_CHECK tare_status tare_cudnn_pointwise_new(cudnnBackendDescriptor_t *out,
                                                     tare_cudnn_scope *scope,
                                                     const tare_cudnn_pointwise *pointwise,
                                                     tare_error *err);

/** A graph of finished operations. */
TARE_MUST_CHECK tare_status tare_cudnn_graph_new(cudnnBackendDescriptor_t *out,
                                                 tare_cudnn_scope *scope,
                                                 const cudnnBackendDescriptor_t *operations,
                                                 size_t count, tare_error *err);

#define TARE_CUDNN_MAX_CONFIGS 256

/** Engines for a graph with their settings, the most promising first. */
typedef struct tare_cudnn_configs {
    size_t count;
    cudnnBackendDescriptor_t configs[TARE_CUDNN_MAX_CONFIGS];
} tare_cudnn_configs;

/** What heuristics propose; no proposal is no error. */
TARE_MUST_CHECK tare_status tare_cudnn_configs_find(tare_cudnn_configs *out,
                                                    tare_cudnn_scope *scope,
                                                    cudnnBackendDescriptor_t graph,
                                                    cudnnBackendHeurMode_t mode, tare_error *err);

/** The numerical notes of an engine, as bits numbered by cudnnBackendNumericalNote_t. */
TARE_MUST_CHECK tare_status tare_cudnn_config_notes(uint32_t *out, tare_cudnn_scope *scope,
                                                    cudnnBackendDescriptor_t config,
                                                    tare_error *err);

typedef struct tare_cudnn_plan {
    cudnnBackendDescriptor_t descriptor;
    size_t workspace_bytes;
} tare_cudnn_plan;

/** May compile for seconds. TARE_UNSUPPORTED when the engine cannot do the graph after all. */
TARE_MUST_CHECK tare_status tare_cudnn_plan_new(tare_cudnn_plan *out, tare_cudnn_scope *scope,
                                                cudnnBackendDescriptor_t config, tare_error *err);

/** Appends a plan as text, from which tare_cudnn_plan_read() makes it again with the same version
 * of cuDNN on the same kind of device. TARE_UNSUPPORTED for engines without such a text. */
TARE_MUST_CHECK tare_status tare_cudnn_plan_write(tare_text *out, const tare_cudnn_scope *scope,
                                                  const tare_cudnn_plan *plan, tare_error *err);
TARE_MUST_CHECK tare_status tare_cudnn_plan_read(tare_cudnn_plan *out, tare_cudnn_scope *scope,
                                                 const char *text, size_t length, tare_error *err);

/** What a plan is run with. */
typedef struct tare_cudnn_binding {
    size_t count;
    const int64_t *ids; /**< of all tensors that lie in memory */
    void **pointers;
    void *workspace;
} tare_cudnn_binding;

/** Queues the work on the stream of `handle`. One thread at a time may use a plan or a handle. */
TARE_MUST_CHECK tare_status tare_cudnn_plan_execute(const tare_cuda_api *api, cudnnHandle_t handle,
                                                    const tare_cudnn_plan *plan,
                                                    const tare_cudnn_binding *binding,
                                                    tare_error *err);

/** Fails with what cuDNN says of `status`, behind `what`. */
tare_status tare_cudnn_fail(tare_error *err, const tare_cuda_api *api, cudnnStatus_t status,
                            const char *what);

#endif
