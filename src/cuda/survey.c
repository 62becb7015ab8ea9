/* SPDX-License-Identifier: Apache-2.0 */
/** Whether CUDA can be used on this machine, part by part. */
#include "cuda/survey.h"

#include <stdio.h>
#include <string.h>

#include "cuda/library.h"

/* Parts that are no devices: driver, runtime, libraries. */
#define OTHER_PARTS (2 + TARE_CUDA_LIBRARY_COUNT)

static tare_device_part *add_part(tare_device_survey *out, const char *name) {
    tare_device_part *part = &out->parts[out->part_count++];
    (void)snprintf(part->name, sizeof part->name, "%s", name);
    return part;
}

/* CUDA's versions are major * 1000 + minor * 10. */
static void write_version(char *out, size_t capacity, int version) {
    (void)snprintf(out, capacity, "%d.%d", version / 1000, version / 10 % 100);
}

/* Why there are no devices, in the words of who has to change it. */
static void explain(tare_device_part *driver, const tare_cuda_api *api, cudaError_t result,
                    int driver_version, int runtime_version) {
    char runtime[16], found[16];
    write_version(runtime, sizeof runtime, runtime_version);
    write_version(found, sizeof found, driver_version);
    if (result == cudaErrorInsufficientDriver && driver_version == 0) {
        (void)snprintf(driver->detail, sizeof driver->detail,
                       "no NVIDIA driver was found (libcuda.so.1)");
    } else if (result == cudaErrorInsufficientDriver) {
        (void)snprintf(driver->detail, sizeof driver->detail,
                       "the driver is too old: it serves CUDA up to %s, expected %s", found,
                       runtime);
    } else if (result == cudaErrorStubLibrary) {
        (void)snprintf(driver->detail, sizeof driver->detail,
                       "the toolkit's stub stands in for the driver (libcuda.so.1)");
    } else if (result == cudaErrorNoDevice) {
        (void)snprintf(driver->detail, sizeof driver->detail, "the driver sees no device");
    } else {
        (void)snprintf(driver->detail, sizeof driver->detail, "%s (%s)",
                       api->cudaGetErrorString(result), api->cudaGetErrorName(result));
    }
}

/* The number of devices; 0 with the reason in the part "driver". */
static int survey_driver(tare_device_survey *out, const tare_cuda_api *api) {
    tare_device_part *driver = add_part(out, "driver");
    int driver_version = 0, runtime_version = 0, count = 0;
    if (api->cudaRuntimeGetVersion(&runtime_version) != cudaSuccess) {
        runtime_version = CUDART_VERSION;
    }
    /* Without a driver this succeeds with 0. */
    if (api->cudaDriverGetVersion(&driver_version) == cudaSuccess && driver_version > 0) {
        write_version(driver->version, sizeof driver->version, driver_version);
    }
    const cudaError_t result = api->cudaGetDeviceCount(&count);
    driver->usable = result == cudaSuccess && count > 0;
    if (!driver->usable) {
        explain(driver, api, result == cudaSuccess ? cudaErrorNoDevice : result, driver_version,
                runtime_version);
        count = 0; /* it is not written when the call fails */
        (void)api->cudaGetLastError();
    }
    tare_device_part *runtime = add_part(out, "runtime");
    runtime->usable = true;
    write_version(runtime->version, sizeof runtime->version, runtime_version);
    (void)snprintf(runtime->detail, sizeof runtime->detail, "built in");
    return count;
}

static bool survey_device(tare_device_survey *out, const tare_cuda_api *api, int index) {
    struct cudaDeviceProp properties;
    char name[32];
    (void)snprintf(name, sizeof name, "device %d", index);
    tare_device_part *part = add_part(out, name);
    const cudaError_t result = api->cudaGetDeviceProperties(&properties, index);
    if (result != cudaSuccess) {
        (void)snprintf(part->detail, sizeof part->detail, "%s (%s)",
                       api->cudaGetErrorString(result), api->cudaGetErrorName(result));
        (void)api->cudaGetLastError();
        return false;
    }
    (void)snprintf(part->version, sizeof part->version, "%d.%d", properties.major,
                   properties.minor);
    part->usable = properties.major * 10 + properties.minor >= TARE_CUDA_LEAST_CAPABILITY;
    if (part->usable) {
        (void)snprintf(part->detail, sizeof part->detail, "%.128s, %.1f GB", properties.name,
                       (double)properties.totalGlobalMem / 1e9);
    } else {
        (void)snprintf(part->detail, sizeof part->detail,
                       "compute capability %d.%d, expected %d.%d or later: %.128s",
                       properties.major, properties.minor, TARE_CUDA_LEAST_CAPABILITY / 10,
                       TARE_CUDA_LEAST_CAPABILITY % 10, properties.name);
    }
    return part->usable;
}

void tare_cuda_survey_api(tare_device_survey *out, tare_cuda_api *api, bool whole) {
    bool any = false;
    memset(out, 0, sizeof *out);
    tare_cuda_api_init(api);
    out->device_count = survey_driver(out, api);
    for (int i = 0; i < out->device_count && i < TARE_DEVICE_MAX_PARTS - OTHER_PARTS; i++) {
        any = survey_device(out, api, i) || any;
    }
    /* Loading them takes a quarter of a second. */
    if (!any && !whole) {
        return;
    }
    tare_cuda_libraries_open(api, &out->parts[out->part_count]);
    out->usable = any;
    for (size_t i = 0; i < TARE_CUDA_LIBRARY_COUNT; i++) {
        out->usable = out->parts[out->part_count].usable && out->usable;
        out->part_count++;
    }
}

void tare_cuda_survey(tare_device_survey *out, bool whole) {
    tare_cuda_api api;
    tare_cuda_survey_api(out, &api, whole);
}

tare_status tare_cuda_survey_check(const tare_device_survey *survey, int index, tare_error *err) {
    char wanted[32];
    (void)snprintf(wanted, sizeof wanted, "device %d", index);
    for (size_t i = 0; i < survey->part_count; i++) {
        const tare_device_part *part = &survey->parts[i];
        const bool other =
            strncmp(part->name, "device ", 7) == 0 && strcmp(part->name, wanted) != 0;
        if (!part->usable && !other) {
            return tare_fail(err, TARE_NOT_FOUND, "%s: %s", part->name, part->detail);
        }
    }
    if (index < 0 || index >= survey->device_count) {
        return tare_fail(err, TARE_NOT_FOUND, "%s: there are %d devices, counted from 0", wanted,
                         survey->device_count);
    }
    return TARE_OK;
}
