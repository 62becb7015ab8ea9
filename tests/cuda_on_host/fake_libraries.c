/* SPDX-License-Identifier: Apache-2.0 */
/** Entry points that lead to the fakes, by way of wrappers that let a call fail (fault.h). */
#include "cuda/library.h"

#include <stdbool.h>
#include <stdio.h>
#include <string.h>

#include "emulator.h"
#include "fault.h"

/* What a call that is to fail returns: an allocation that memory is out, anything else that the
 * device has failed. */
static cudaError_t runtime_fault(const char *name) {
    return strcmp(name, "cudaMalloc") == 0 || strcmp(name, "cudaHostAlloc") == 0
               ? cudaErrorMemoryAllocation
               : cudaErrorLaunchFailure;
}

/* Such calls do their work; what they report is an earlier failure on the device. */
static bool frees(const char *name) {
    return strstr(name, "Destroy") != NULL || strstr(name, "Free") != NULL;
}

#define WRAP(fault, result, name, parameters, arguments)                                           \
    static result wrapped_##name parameters {                                                      \
        static atomic_llong calls;                                                                 \
        if (!fake_fault_due(#name, &calls)) {                                                      \
            return name arguments;                                                                 \
        }                                                                                          \
        if (frees(#name)) {                                                                        \
            (void)name arguments;                                                                  \
        }                                                                                          \
        return fault;                                                                              \
    }
#define WRAP_RUNTIME(result, name, parameters, arguments)                                          \
    WRAP(runtime_fault(#name), result, name, parameters, arguments)
#define WRAP_CUBLASLT(result, name, parameters, arguments)                                         \
    WRAP(CUBLAS_STATUS_EXECUTION_FAILED, result, name, parameters, arguments)
#define WRAP_CUDNN(result, name, parameters, arguments)                                            \
    WRAP(CUDNN_STATUS_EXECUTION_FAILED, result, name, parameters, arguments)
#define NOTHING(result, name, parameters)

TARE_CUDA_RUNTIME_CALLS(WRAP_RUNTIME, NOTHING)
TARE_CUBLASLT_CALLS(WRAP_CUBLASLT, NOTHING)
TARE_CUDNN_CALLS(WRAP_CUDNN, NOTHING)

#define ENTER_F(result, name, parameters, arguments) api->name = wrapped_##name;
#define ENTER_Q(result, name, parameters)            api->name = name;

void tare_cuda_api_init(tare_cuda_api *api) {
    emulator_settings settings = emulator_defaults();
    /* The fastest to find the next thread that can run. */
    settings.schedule = EMULATOR_SCHEDULE_ROUND;
    settings.refused_launch = (int)fake_setting("launch", 0);
    emulator_set(settings);
    memset(api, 0, sizeof *api);
    TARE_CUDA_RUNTIME_CALLS(ENTER_F, ENTER_Q)
}

static void fill_part(tare_device_part *part, const char *name, size_t version, bool usable) {
    memset(part, 0, sizeof *part);
    (void)snprintf(part->name, sizeof part->name, "%s", name);
    part->usable = usable;
    if (usable) {
        (void)snprintf(part->version, sizeof part->version, "%zu.%zu.%zu", version / 10000,
                       version / 100 % 100, version % 100);
        (void)snprintf(part->detail, sizeof part->detail, "a fake for tests");
    } else {
        (void)snprintf(part->detail, sizeof part->detail, "it was not found, as the test wishes");
    }
}

void tare_cuda_libraries_open(tare_cuda_api *api, tare_device_part parts[TARE_CUDA_LIBRARY_COUNT]) {
    fill_part(&parts[0], "cuBLASLt", cublasLtGetVersion(), !fake_setting_is("library", "cublaslt"));
    fill_part(&parts[1], "cuDNN", cudnnGetVersion(), !fake_setting_is("library", "cudnn"));
    if (parts[0].usable) {
        TARE_CUBLASLT_CALLS(ENTER_F, ENTER_Q)
    }
    if (parts[1].usable) {
        TARE_CUDNN_CALLS(ENTER_F, ENTER_Q)
    }
}
