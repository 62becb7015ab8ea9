/* SPDX-License-Identifier: Apache-2.0 */
/** Device memory for tests of kernel rows alone: the host's, so that AddressSanitizer guards it. */
#include <stdlib.h>
#include <string.h>

#include "base/error.h"
#include "cuda/device.h"

tare_status tare_cuda_upload(void **out, tare_device *device, const void *from, size_t bytes,
                             tare_error *err) {
    (void)device;
    *out = NULL;
    if (posix_memalign(out, 256, bytes > 0 ? bytes : 1) != 0) { /* cudaMalloc()'s alignment */
        return tare_fail_memory(err, bytes, "device memory");
    }
    if (bytes > 0) {
        memcpy(*out, from, bytes);
    }
    return TARE_OK;
}

void tare_cuda_free(tare_device *device, void *memory) {
    (void)device;
    free(memory);
}
