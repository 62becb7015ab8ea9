/* SPDX-License-Identifier: Apache-2.0 */
/** What holds for every call through the table. */
#include "cuda/api.h"

/* The lists agree with the headers they were written after. */
#define CHECK_F(result, name, parameters, arguments)                                               \
    _Static_assert(_Generic(&name, result(*) parameters : 1, default : 0), #name);
#define CHECK_Q(result, name, parameters) CHECK_F(result, name, parameters, ())

TARE_CUDA_RUNTIME_CALLS(CHECK_F, CHECK_Q)
TARE_CUDNN_CALLS(CHECK_F, CHECK_Q)
TARE_CUBLASLT_CALLS(CHECK_F, CHECK_Q)

tare_status tare_cuda_check(const tare_cuda_api *api, cudaError_t result, const char *what,
                            tare_error *err) {
    if (result == cudaSuccess) {
        return TARE_OK;
    }
    (void)api->cudaGetLastError();
    return tare_fail(err, result == cudaErrorMemoryAllocation ? TARE_OUT_OF_MEMORY : TARE_BACKEND,
                     "%s: %s (%s)", what, api->cudaGetErrorString(result),
                     api->cudaGetErrorName(result));
}
