/* SPDX-License-Identifier: Apache-2.0 */
/** Operands of kernel tests on a real device, and what the tests ask of the emulator and of fakes
 * where there are none. */
#include "gpu_device.h"

#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>

#include "cuda/api.h"
#include "cuda/functions.h"
#include "on_device.h"

#define COPIES    1024
#define ALIGNMENT 256U

/* Host memory and its copy. */
typedef struct copy {
    const void *host;
    void *back; /* the same, where it is copied back */
    size_t bytes;
    void *memory, *data;
} copy;

static tare_device *devices[2]; /* float32, float16 */
static copy copies[COPIES];
static size_t copy_count;
static uint64_t checksum;
static tare_error failure; /* TARE_OK: none since on_device_done() */

tare_status gpu_device_open(tare_error *err) {
    const tare_device_options options[] = {{.precision = TARE_PRECISION_FP32},
                                           {.precision = TARE_PRECISION_FP16}};
    for (size_t i = 0; i < 2; i++) {
        TARE_TRY(tare_cuda_open(&devices[i], &options[i], err));
    }
    return TARE_OK;
}

void gpu_device_close(void) {
    const char *unused;
    (void)on_device_done(&unused);
    for (size_t i = 0; i < 2; i++) {
        tare_cuda_close(devices[i]);
        devices[i] = NULL;
    }
}

uint64_t gpu_device_checksum(void) {
    const uint64_t sum = checksum;
    checksum = UINT64_C(0xcbf29ce484222325);
    return sum;
}

tare_device on_device(tare_precision precision) {
    return *devices[precision == TARE_PRECISION_FP16 ? 1 : 0];
}

static tare_status upload(copy *out, tare_error *err) {
    const tare_cuda_api *api = devices[0]->api;
    const size_t shift = (uintptr_t)out->host % ALIGNMENT;
    TARE_TRY(tare_cuda_memory_new(&out->memory, devices[0], shift + out->bytes, err));
    out->data = (char *)out->memory + shift;
    if (out->bytes == 0) {
        return TARE_OK;
    }
    return tare_cuda_check(
        api, api->cudaMemcpy(out->data, out->host, out->bytes, cudaMemcpyHostToDevice),
        "cudaMemcpy", err);
}

static void *find_or_copy(const void *host, void *back, size_t bytes) {
    if (host == NULL) {
        return NULL;
    }
    for (size_t i = 0; i < copy_count; i++) {
        if (copies[i].host == host && copies[i].bytes == bytes) {
            copies[i].back = back != NULL ? back : copies[i].back;
            return copies[i].data;
        }
    }
    if (copy_count == COPIES) {
        (void)fprintf(stderr, "more than %d operands of one launch\n", COPIES);
        exit(1);
    }
    copy *fresh = &copies[copy_count++];
    *fresh = (copy){.host = host, .back = back, .bytes = bytes};
    if (failure.code == TARE_OK && upload(fresh, &failure) != TARE_OK) {
        (void)fprintf(stderr, "operand of %zu bytes: %s\n", bytes, failure.text);
    }
    return fresh->data;
}

void *on_device_in(const void *host, size_t bytes) {
    return find_or_copy(host, NULL, bytes);
}

void *on_device_out(void *host, size_t bytes) {
    return find_or_copy(host, host, bytes);
}

static void add_to_checksum(const unsigned char *data, size_t bytes) {
    for (size_t i = 0; i < bytes; i++) {
        checksum = (checksum ^ data[i]) * UINT64_C(0x100000001b3);
    }
}

static tare_status download(const copy *from, tare_error *err) {
    const tare_cuda_api *api = devices[0]->api;
    if (from->back == NULL || from->bytes == 0) {
        return TARE_OK;
    }
    TARE_TRY(tare_cuda_check(
        api, api->cudaMemcpy(from->back, from->data, from->bytes, cudaMemcpyDeviceToHost),
        "cudaMemcpy", err));
    add_to_checksum((const unsigned char *)from->back, from->bytes);
    return TARE_OK;
}

bool on_device_done(const char **reason) {
    static char text[TARE_ERROR_TEXT_BYTES];
    const tare_cuda_api *api = devices[0] == NULL ? NULL : devices[0]->api;
    tare_status status = failure.code;

    if (api == NULL) {
        *reason = "no device is open";
        return false;
    }
    if (status == TARE_OK) {
        status = tare_cuda_check(api, api->cudaDeviceSynchronize(), "kernel", &failure);
    }
    for (size_t i = 0; i < copy_count; i++) {
        if (status == TARE_OK) {
            status = download(&copies[i], &failure);
        }
        tare_cuda_free(devices[0], copies[i].memory);
    }
    copy_count = 0;
    (void)snprintf(text, sizeof text, "%s", status == TARE_OK ? "" : failure.text);
    *reason = text;
    failure = (tare_error){.code = TARE_OK};
    return status == TARE_OK;
}
