/* SPDX-License-Identifier: Apache-2.0 */
/**
 * The table of entry points through which the backend calls the CUDA runtime, cuDNN and cuBLASLt.
 *
 * The runtime is linked in, the two libraries are opened when a device is (cuda/library.h). Each
 * call is listed once below; from the lists come the table, the look-up in the libraries, a check
 * that the headers agree, and in tests the wrappers that let a call fail. Kernel launchers (.cu)
 * call the runtime directly.
 *
 * A list is a macro of two parameters: F(result, name, parameters, arguments) for calls that report
 * failure by their result, Q(result, name, parameters) for those that only tell something.
 */
#ifndef TARE_CUDA_API_H
#define TARE_CUDA_API_H

#include <cublasLt.h>
#include <cuda_runtime_api.h>
#include <cudnn_graph.h>

#include "base/error.h"

/* clang-format off */
#define TARE_CUDA_RUNTIME_CALLS(F, Q)                                                              \
    Q(const char *, cudaGetErrorString, (cudaError_t error))                                       \
    Q(const char *, cudaGetErrorName, (cudaError_t error))                                         \
    Q(cudaError_t, cudaGetLastError, (void))                                                       \
    F(cudaError_t, cudaDriverGetVersion, (int *version), (version))                                \
    F(cudaError_t, cudaRuntimeGetVersion, (int *version), (version))                               \
    F(cudaError_t, cudaGetDeviceCount, (int *count), (count))                                      \
    F(cudaError_t, cudaGetDeviceProperties, (struct cudaDeviceProp * properties, int device),      \
      (properties, device))                                                                        \
    F(cudaError_t, cudaDeviceGetAttribute,                                                         \
      (int *value, enum cudaDeviceAttr attribute, int device), (value, attribute, device))         \
    F(cudaError_t, cudaSetDevice, (int device), (device))                                          \
    F(cudaError_t, cudaGetDevice, (int *device), (device))                                         \
    F(cudaError_t, cudaDeviceSynchronize, (void), ())                                              \
    F(cudaError_t, cudaMemGetInfo, (size_t *free, size_t *total), (free, total))                   \
    F(cudaError_t, cudaMalloc, (void **memory, size_t bytes), (memory, bytes))                     \
    F(cudaError_t, cudaFree, (void *memory), (memory))                                             \
    F(cudaError_t, cudaHostAlloc, (void **memory, size_t bytes, unsigned flags),                   \
      (memory, bytes, flags))                                                                      \
    F(cudaError_t, cudaFreeHost, (void *memory), (memory))                                         \
    F(cudaError_t, cudaMemcpy,                                                                     \
      (void *to, const void *from, size_t bytes, enum cudaMemcpyKind kind),                        \
      (to, from, bytes, kind))                                                                     \
    F(cudaError_t, cudaMemcpyAsync,                                                                \
      (void *to, const void *from, size_t bytes, enum cudaMemcpyKind kind, cudaStream_t stream),   \
      (to, from, bytes, kind, stream))                                                             \
    F(cudaError_t, cudaMemsetAsync, (void *memory, int value, size_t bytes, cudaStream_t stream),  \
      (memory, value, bytes, stream))                                                              \
    F(cudaError_t, cudaStreamCreateWithFlags, (cudaStream_t *stream, unsigned flags),              \
      (stream, flags))                                                                             \
    F(cudaError_t, cudaStreamDestroy, (cudaStream_t stream), (stream))                             \
    F(cudaError_t, cudaStreamSynchronize, (cudaStream_t stream), (stream))                         \
    F(cudaError_t, cudaStreamWaitEvent, (cudaStream_t stream, cudaEvent_t event, unsigned flags),  \
      (stream, event, flags))                                                                      \
    F(cudaError_t, cudaStreamBeginCapture,                                                         \
      (cudaStream_t stream, enum cudaStreamCaptureMode mode), (stream, mode))                      \
    F(cudaError_t, cudaStreamEndCapture, (cudaStream_t stream, cudaGraph_t *graph),                \
      (stream, graph))                                                                             \
    F(cudaError_t, cudaEventCreateWithFlags, (cudaEvent_t *event, unsigned flags), (event, flags)) \
    F(cudaError_t, cudaEventDestroy, (cudaEvent_t event), (event))                                 \
    F(cudaError_t, cudaEventRecord, (cudaEvent_t event, cudaStream_t stream), (event, stream))     \
    F(cudaError_t, cudaEventSynchronize, (cudaEvent_t event), (event))                             \
    F(cudaError_t, cudaEventElapsedTime, (float *ms, cudaEvent_t start, cudaEvent_t end),          \
      (ms, start, end))                                                                            \
    F(cudaError_t, cudaGraphInstantiate,                                                           \
      (cudaGraphExec_t * executable, cudaGraph_t graph, unsigned long long flags),                 \
      (executable, graph, flags))                                                                  \
    F(cudaError_t, cudaGraphLaunch, (cudaGraphExec_t executable, cudaStream_t stream),             \
      (executable, stream))                                                                        \
    F(cudaError_t, cudaGraphDestroy, (cudaGraph_t graph), (graph))                                 \
    F(cudaError_t, cudaGraphExecDestroy, (cudaGraphExec_t executable), (executable))

#define TARE_CUDNN_CALLS(F, Q)                                                                     \
    Q(size_t, cudnnGetVersion, (void))                                                             \
    Q(const char *, cudnnGetErrorString, (cudnnStatus_t status))                                   \
    Q(void, cudnnGetLastErrorString, (char *text, size_t capacity))                                \
    F(cudnnStatus_t, cudnnCreate, (cudnnHandle_t *handle), (handle))                               \
    F(cudnnStatus_t, cudnnDestroy, (cudnnHandle_t handle), (handle))                               \
    F(cudnnStatus_t, cudnnSetStream, (cudnnHandle_t handle, cudaStream_t stream),                  \
      (handle, stream))                                                                            \
    F(cudnnStatus_t, cudnnBackendCreateDescriptor,                                                 \
      (cudnnBackendDescriptorType_t type, cudnnBackendDescriptor_t *descriptor),                   \
      (type, descriptor))                                                                          \
    F(cudnnStatus_t, cudnnBackendDestroyDescriptor, (cudnnBackendDescriptor_t descriptor),         \
      (descriptor))                                                                                \
    F(cudnnStatus_t, cudnnBackendSetAttribute,                                                     \
      (cudnnBackendDescriptor_t descriptor, cudnnBackendAttributeName_t name,                      \
       cudnnBackendAttributeType_t type, int64_t count, const void *elements),                     \
      (descriptor, name, type, count, elements))                                                   \
    F(cudnnStatus_t, cudnnBackendGetAttribute,                                                     \
      (cudnnBackendDescriptor_t descriptor, cudnnBackendAttributeName_t name,                      \
       cudnnBackendAttributeType_t type, int64_t capacity, int64_t *count, void *elements),        \
      (descriptor, name, type, capacity, count, elements))                                         \
    F(cudnnStatus_t, cudnnBackendFinalize, (cudnnBackendDescriptor_t descriptor), (descriptor))    \
    F(cudnnStatus_t, cudnnBackendExecute,                                                          \
      (cudnnHandle_t handle, cudnnBackendDescriptor_t plan, cudnnBackendDescriptor_t pack),        \
      (handle, plan, pack))

#define TARE_CUBLASLT_CALLS(F, Q)                                                                  \
    Q(size_t, cublasLtGetVersion, (void))                                                          \
    Q(const char *, cublasLtGetStatusString, (cublasStatus_t status))                              \
    F(cublasStatus_t, cublasLtCreate, (cublasLtHandle_t *handle), (handle))                        \
    F(cublasStatus_t, cublasLtDestroy, (cublasLtHandle_t handle), (handle))                        \
    F(cublasStatus_t, cublasLtMatmulDescCreate,                                                    \
      (cublasLtMatmulDesc_t *desc, cublasComputeType_t compute, cudaDataType_t scale),             \
      (desc, compute, scale))                                                                      \
    F(cublasStatus_t, cublasLtMatmulDescDestroy, (cublasLtMatmulDesc_t desc), (desc))              \
    F(cublasStatus_t, cublasLtMatmulDescSetAttribute,                                              \
      (cublasLtMatmulDesc_t desc, cublasLtMatmulDescAttributes_t name, const void *value,          \
       size_t bytes),                                                                              \
      (desc, name, value, bytes))                                                                  \
    F(cublasStatus_t, cublasLtMatrixLayoutCreate,                                                  \
      (cublasLtMatrixLayout_t *layout, cudaDataType type, uint64_t rows, uint64_t columns,         \
       int64_t leading),                                                                           \
      (layout, type, rows, columns, leading))                                                      \
    F(cublasStatus_t, cublasLtMatrixLayoutDestroy, (cublasLtMatrixLayout_t layout), (layout))      \
    F(cublasStatus_t, cublasLtMatrixLayoutSetAttribute,                                            \
      (cublasLtMatrixLayout_t layout, cublasLtMatrixLayoutAttribute_t name, const void *value,     \
       size_t bytes),                                                                              \
      (layout, name, value, bytes))                                                                \
    F(cublasStatus_t, cublasLtMatmulPreferenceCreate, (cublasLtMatmulPreference_t *preference),    \
      (preference))                                                                                \
    F(cublasStatus_t, cublasLtMatmulPreferenceDestroy, (cublasLtMatmulPreference_t preference),    \
      (preference))                                                                                \
    F(cublasStatus_t, cublasLtMatmulPreferenceSetAttribute,                                        \
      (cublasLtMatmulPreference_t preference, cublasLtMatmulPreferenceAttributes_t name,           \
       const void *value, size_t bytes),                                                           \
      (preference, name, value, bytes))                                                            \
    F(cublasStatus_t, cublasLtMatmulAlgoGetHeuristic,                                              \
      (cublasLtHandle_t handle, cublasLtMatmulDesc_t desc, cublasLtMatrixLayout_t a,               \
       cublasLtMatrixLayout_t b, cublasLtMatrixLayout_t c, cublasLtMatrixLayout_t d,               \
       cublasLtMatmulPreference_t preference, int wanted,                                          \
       cublasLtMatmulHeuristicResult_t results[], int *count),                                     \
      (handle, desc, a, b, c, d, preference, wanted, results, count))                              \
    F(cublasStatus_t, cublasLtMatmul,                                                              \
      (cublasLtHandle_t handle, cublasLtMatmulDesc_t desc, const void *alpha, const void *a,       \
       cublasLtMatrixLayout_t a_layout, const void *b, cublasLtMatrixLayout_t b_layout,            \
       const void *beta, const void *c, cublasLtMatrixLayout_t c_layout, void *d,                  \
       cublasLtMatrixLayout_t d_layout, const cublasLtMatmulAlgo_t *algorithm, void *workspace,    \
       size_t workspace_bytes, cudaStream_t stream),                                               \
      (handle, desc, alpha, a, a_layout, b, b_layout, beta, c, c_layout, d, d_layout, algorithm,   \
       workspace, workspace_bytes, stream))
/* clang-format on */

#define TARE_API_MEMBER_F(result, name, parameters, arguments) result(*name) parameters;
#define TARE_API_MEMBER_Q(result, name, parameters)            result(*name) parameters;

/** Entry points under their own names; those of a library that is not open are NULL. */
typedef struct tare_cuda_api {
    TARE_CUDA_RUNTIME_CALLS(TARE_API_MEMBER_F, TARE_API_MEMBER_Q)
    TARE_CUDNN_CALLS(TARE_API_MEMBER_F, TARE_API_MEMBER_Q)
    TARE_CUBLASLT_CALLS(TARE_API_MEMBER_F, TARE_API_MEMBER_Q)
} tare_cuda_api;

#undef TARE_API_MEMBER_F
#undef TARE_API_MEMBER_Q

/**
 * TARE_OK for cudaSuccess; else TARE_OUT_OF_MEMORY or TARE_BACKEND with "`what`: the runtime's
 * words". Takes the error out of the runtime's memory, so that no later call meets it again.
 */
TARE_MUST_CHECK tare_status tare_cuda_check(const tare_cuda_api *api, cudaError_t result,
                                            const char *what, tare_error *err);

#endif
