/* SPDX-License-Identifier: Apache-2.0 */
/** Operand descriptors, and finding the rows of a backend. */
#include "exec/backend.h"

#include <string.h>

int64_t tare_desc_count(const tare_desc *desc) {
    int64_t count = 1;
    for (int axis = 0; axis < desc->rank; axis++) {
        count *= desc->dims[axis];
    }
    return count;
}

size_t tare_desc_bytes(const tare_desc *desc) {
    return (size_t)tare_desc_count(desc) * tare_dtype_bytes(desc->dtype);
}

void tare_desc_strides(int64_t *strides, const tare_desc *desc) {
    int64_t stride = 1;
    const bool last = desc->layout == TARE_LAYOUT_CHANNELS_LAST && desc->rank >= 3;
    if (last) {
        strides[1] = 1;
        stride = desc->dims[1];
    }
    for (int axis = desc->rank - 1; axis >= 0; axis--) {
        if (last && axis == 1) {
            continue;
        }
        strides[axis] = stride;
        stride *= desc->dims[axis];
    }
}

const tare_kernel *tare_backend_kernel(const tare_backend *backend, const char *name, size_t nth) {
    for (size_t t = 0; t < backend->table_count; t++) {
        const tare_kernel_table *table = backend->tables[t];
        for (size_t r = 0; r < table->count; r++) {
            if (strcmp(table->rows[r].name, name) == 0 && nth-- == 0) {
                return &table->rows[r];
            }
        }
    }
    return NULL;
}
