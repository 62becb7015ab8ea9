/* SPDX-License-Identifier: Apache-2.0 */
/** Plans for a described device: its description takes the place of each handle. */
#include "cudnn_plans.h"

#include <math.h>
#include <stdio.h>
#include <string.h>

#include "cuda/conv_plan.h"

#define COUNT(array) (sizeof(array) / sizeof((array)[0]))

/* An H100, in the words in which cuDNN writes a device down. */
static const char h100[] =
    "{\"cudnnVersion\":91900,\"schemaVersion\":1,\"maxGridSize\":[2147483647,65535,65535],"
    "\"maxBlockSize\":[1024,1024,64],\"regsPerBlock\":65536,\"multiProcessorCount\":132,"
    "\"warpSize\":32,\"maxSharedMemoryPerBlock\":49152,\"maxSharedMemoryPerBlockOptin\":232448,"
    "\"reservedSharedMemoryPerBlock\":1024,\"maxRegistersPerSM\":65536,\"maxCtasPerSM\":32,"
    "\"maxThreadsPerBlock\":1024,\"maxThreadsPerSM\":2048,\"pciDeviceId\":0,\"isTccDriver\":0,"
    "\"supportCoopLaunch\":1,\"totalGlobalMem\":85000000000,\"smClockRateKHz\":1980000,"
    "\"memClockRateKHz\":2619000,\"l2CacheSize\":52428800,\"cudaDeviceId\":0,\"deviceVer\":900,"
    "\"driverVer\":13000,\"deviceName\":\"NVIDIA H100 80GB HBM3\"}";

static const tare_cuda_api *cudnn;
static cudnnBackendDescriptor_t described;

static cudnnStatus_t set_attribute(cudnnBackendDescriptor_t descriptor,
                                   cudnnBackendAttributeName_t name,
                                   cudnnBackendAttributeType_t type, int64_t count,
                                   const void *values) {
    cudnnStatus_t status = CUDNN_STATUS_SUCCESS;
    if (type != CUDNN_TYPE_HANDLE) {
        status = cudnn->cudnnBackendSetAttribute(descriptor, name, type, count, values);
    }
    if (status == CUDNN_STATUS_SUCCESS && name == CUDNN_ATTR_ENGINEHEUR_MODE) {
        status = cudnn->cudnnBackendSetAttribute(descriptor, CUDNN_ATTR_ENGINEHEUR_DEVICEPROP,
                                                 CUDNN_TYPE_BACKEND_DESCRIPTOR, 1, &described);
    } else if (name == CUDNN_ATTR_EXECUTION_PLAN_HANDLE) {
        status = cudnn->cudnnBackendSetAttribute(descriptor, CUDNN_ATTR_EXECUTION_PLAN_DEVICEPROP,
                                                 CUDNN_TYPE_BACKEND_DESCRIPTOR, 1, &described);
    }
    return status;
}

static bool describe_device(void) {
    return cudnn->cudnnBackendCreateDescriptor(CUDNN_BACKEND_DEVICEPROP_DESCRIPTOR, &described) ==
               CUDNN_STATUS_SUCCESS &&
           cudnn->cudnnBackendSetAttribute(described, CUDNN_ATTR_DEVICEPROP_JSON_REPRESENTATION,
                                           CUDNN_TYPE_CHAR, (int64_t)sizeof h100 - 1,
                                           h100) == CUDNN_STATUS_SUCCESS &&
           cudnn->cudnnBackendFinalize(described) == CUDNN_STATUS_SUCCESS;
}

static const tare_conv_spec layers[] = {
    {.rank = 4,
     .x = {8, 64, 56, 56},
     .w = {64, 64, 3, 3},
     .y = {8, 64, 56, 56},
     .stride = {1, 1},
     .dilation = {1, 1},
     .pad_begin = {1, 1},
     .pad_end = {1, 1}},
    {.rank = 4,
     .x = {8, 3, 224, 224},
     .w = {32, 3, 3, 3},
     .y = {8, 32, 112, 112},
     .stride = {2, 2},
     .dilation = {1, 1},
     .pad_end = {1, 1}},
    {.rank = 4,
     .x = {8, 58, 28, 28},
     .w = {58, 58, 1, 1},
     .y = {8, 58, 28, 28},
     .stride = {1, 1},
     .dilation = {1, 1}},
    {.rank = 4,
     .x = {8, 128, 56, 56},
     .w = {128, 4, 3, 3},
     .y = {8, 128, 56, 56},
     .stride = {1, 1},
     .dilation = {1, 1},
     .pad_begin = {1, 1},
     .pad_end = {1, 1}},
    {.transposed = true,
     .rank = 4,
     .x = {8, 64, 64, 64},
     .w = {128, 64, 2, 2},
     .y = {8, 128, 32, 32},
     .stride = {2, 2},
     .dilation = {1, 1}},
};

/** Epilogues behind a bias. */
typedef struct chain {
    size_t count;
    tare_epilogue epilogues[2];
} chain;

static const chain chains[] = {
    {0, {{0}}},
    {1, {{TARE_EPILOGUE_CLIP, 0.0F, INFINITY}}},
    {1, {{TARE_EPILOGUE_ADD, 0.0F, 0.0F}}},
    {2, {{TARE_EPILOGUE_ADD, 0.0F, 0.0F}, {TARE_EPILOGUE_CLIP, 0.0F, INFINITY}}},
    {1, {{TARE_EPILOGUE_CLIP, 0.0F, 6.0F}}},
    {1, {{TARE_EPILOGUE_SWISH, 0.0F, 0.0F}}},
};

static bool check_plan(const tare_conv_maker *maker, const tare_conv_spec *spec) {
    tare_conv_plan plan;
    tare_error err = {TARE_OK, ""};
    tare_text text = {0};
    const bool ready = tare_conv_graph_is_ready(spec);
    const tare_status status = tare_conv_plan_choose(&plan, maker, spec, &err);
    const bool right = status == TARE_OK && plan.fused == ready;
    if (!right) {
        tare_conv_spec_text(&text, spec);
        (void)printf("  %s: %s\n", text.data == NULL ? "" : text.data,
                     status != TARE_OK ? err.text
                     : ready           ? "the epilogues are not in the plan"
                                       : "the epilogues are in the plan");
        tare_text_release(&text);
    }
    if (status == TARE_OK) {
        tare_conv_plan_release(&plan);
    }
    return right;
}

size_t check_plans(const tare_cuda_api *api) {
    tare_cuda_api changed = *api;
    tare_device device = {.api = &changed};
    pthread_mutex_t measuring = PTHREAD_MUTEX_INITIALIZER;
    const tare_conv_maker maker = {&device, NULL, &measuring};
    size_t failed = 0;

    cudnn = api;
    changed.cudnnBackendSetAttribute = set_attribute;
    if (!describe_device()) {
        (void)printf("plans were not checked: this cuDNN does not take the device's description\n");
        return 0;
    }
    for (int precision = TARE_PRECISION_FP32; precision <= TARE_PRECISION_FP16; precision++) {
        for (size_t i = 0; i < COUNT(layers) * COUNT(chains); i++) {
            const chain *then = &chains[i % COUNT(chains)];
            tare_conv_spec spec = layers[i / COUNT(chains)];
            spec.precision = (tare_precision)precision;
            spec.storage = precision == TARE_PRECISION_FP16 ? TARE_DTYPE_FLOAT16 : TARE_DTYPE_FLOAT;
            spec.bias = true;
            spec.epilogue_count = then->count;
            memcpy(spec.epilogues, then->epilogues, sizeof then->epilogues);
            failed += check_plan(&maker, &spec) ? 0 : 1;
        }
    }
    (void)cudnn->cudnnBackendDestroyDescriptor(described);
    return failed;
}
