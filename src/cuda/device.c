/* SPDX-License-Identifier: Apache-2.0 */
/** An opened CUDA device and its memory. */
#include "cuda/device.h"

#include <stdio.h>
#include <stdlib.h>

#include "cuda/api.h"
#include "cuda/conv.h"
#include "cuda/functions.h"
#include "cuda/matmul.h"
#include "cuda/survey.h"

/* A device and the table that it calls through. */
typedef struct opened {
    tare_device device; /* first, so that its address is that of the whole */
    tare_cuda_api api;
} opened;

static tare_status fill_in(tare_device *device, const tare_device_options *options,
                           tare_error *err) {
    const tare_cuda_api *api = device->api;
    struct cudaDeviceProp properties;
    device->index = options->index;
    device->precision = options->precision;
    device->storage =
        options->precision == TARE_PRECISION_FP16 ? TARE_DTYPE_FLOAT16 : TARE_DTYPE_FLOAT;
    device->tune = options->tune;
    TARE_TRY(tare_cuda_check(api, api->cudaSetDevice(options->index), "cudaSetDevice", err));
    TARE_TRY(tare_cuda_check(api, api->cudaGetDeviceProperties(&properties, options->index),
                             "cudaGetDeviceProperties", err));
    device->processors = properties.multiProcessorCount;
    device->capability[0] = properties.major;
    device->capability[1] = properties.minor;
    (void)snprintf(device->name, sizeof device->name, "%s", properties.name);
    return TARE_OK;
}

tare_status tare_cuda_open(tare_device **out, const tare_device_options *options, tare_error *err) {
    tare_device_survey survey;
    opened *fresh = (opened *)calloc(1, sizeof(opened));
    tare_status status;

    *out = NULL;
    if (fresh == NULL) {
        return tare_fail_memory(err, sizeof(opened), "a device");
    }
    fresh->device.api = &fresh->api;
    tare_cuda_survey_api(&survey, &fresh->api, false);
    TARE_TRY_DONE(status, tare_cuda_survey_check(&survey, options->index, err));
    TARE_TRY_DONE(status, fill_in(&fresh->device, options, err));
    TARE_TRY_DONE(status, tare_conv_cache_new(&fresh->device.convolutions, &fresh->device,
                                              options->cache_folder, err));
    TARE_TRY_DONE(status, tare_blas_new(&fresh->device.blas, &fresh->device, err));
    *out = &fresh->device;

done:
    if (status != TARE_OK) {
        tare_cuda_close(&fresh->device);
    }
    return status;
}

void tare_cuda_close(tare_device *device) {
    if (device != NULL) {
        tare_blas_free(device->blas, device);
        tare_conv_cache_free(device->convolutions);
    }
    free(device);
}

void tare_cuda_facts(tare_device_facts *out, tare_device *device) {
    const tare_cuda_api *api = device->api;
    size_t unused = 0, total = 0;
    *out = (tare_device_facts){.precision = device->precision, .storage = device->storage};
    (void)snprintf(out->name, sizeof out->name, "%s", device->name);
    if (api->cudaSetDevice(device->index) == cudaSuccess &&
        api->cudaMemGetInfo(&unused, &total) == cudaSuccess) {
        out->free_bytes = unused;
        out->memory_bytes = total;
    } else {
        (void)api->cudaGetLastError();
    }
}

/* Says of a failed allocation how much was asked for, and how much there is. */
static tare_status check_memory(const tare_cuda_api *api, cudaError_t result, const char *what,
                                size_t bytes, tare_error *err) {
    size_t unused = 0, total = 0;
    if (result != cudaErrorMemoryAllocation) {
        return tare_cuda_check(api, result, what, err);
    }
    (void)api->cudaGetLastError();
    if (api->cudaMemGetInfo(&unused, &total) != cudaSuccess) {
        (void)api->cudaGetLastError();
    }
    return tare_fail(err, TARE_OUT_OF_MEMORY, "%s of %zu bytes: out of memory, %zu of %zu are free",
                     what, bytes, unused, total);
}

tare_status tare_cuda_memory_new(void **out, tare_device *device, size_t bytes, tare_error *err) {
    const tare_cuda_api *api = device->api;
    *out = NULL;
    TARE_TRY(tare_cuda_check(api, api->cudaSetDevice(device->index), "cudaSetDevice", err));
    /* Asked for nothing CUDA gives NULL, which would look like an operand that is left out. */
    const cudaError_t result = api->cudaMalloc(out, bytes > 0 ? bytes : 1);
    return check_memory(api, result, "device memory", bytes, err);
}

void tare_cuda_free(tare_device *device, void *memory) {
    if (memory != NULL && device->api->cudaFree(memory) != cudaSuccess) {
        (void)device->api->cudaGetLastError(); /* a sticky error is met again by the next call */
    }
}

tare_status tare_cuda_pinned_new(void **out, tare_device *device, size_t bytes, tare_error *err) {
    const tare_cuda_api *api = device->api;
    *out = NULL;
    TARE_TRY(tare_cuda_check(api, api->cudaSetDevice(device->index), "cudaSetDevice", err));
    const cudaError_t result = api->cudaHostAlloc(out, bytes > 0 ? bytes : 1, cudaHostAllocDefault);
    return check_memory(api, result, "pinned host memory", bytes, err);
}

void tare_cuda_pinned_free(tare_device *device, void *memory) {
    if (memory != NULL && device->api->cudaFreeHost(memory) != cudaSuccess) {
        (void)device->api->cudaGetLastError();
    }
}

tare_status tare_cuda_upload(void **out, tare_device *device, const void *from, size_t bytes,
                             tare_error *err) {
    const tare_cuda_api *api = device->api;
    TARE_TRY(tare_cuda_memory_new(out, device, bytes, err));
    if (bytes == 0) {
        return TARE_OK;
    }
    /* From pageable memory this returns when the source may be reused but before the copy has
     * arrived, in the default stream, which the queues do not wait for. */
    tare_status status = tare_cuda_check(
        api, api->cudaMemcpy(*out, from, bytes, cudaMemcpyHostToDevice), "cudaMemcpy", err);
    if (status == TARE_OK) {
        status = tare_cuda_check(api, api->cudaStreamSynchronize(cudaStreamLegacy),
                                 "cudaStreamSynchronize", err);
    }
    if (status != TARE_OK) {
        tare_cuda_free(device, *out);
        *out = NULL;
    }
    return status;
}
