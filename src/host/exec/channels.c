/* SPDX-License-Identifier: Apache-2.0 */
/** Rows of channels. */
#include "exec/channels.h"

void tare_channels_find(tare_channels *out, const tare_desc *desc, int axis) {
    int64_t strides[TARE_MAX_RANK], expected;

    tare_desc_strides(strides, desc);
    *out = (tare_channels){.rows = 1, .channels = desc->dims[axis], .stride = strides[axis]};
    for (int i = 0; i < desc->rank; i++) {
        if (i != axis && desc->dims[i] != 1) {
            out->dims[out->axes] = desc->dims[i];
            out->strides[out->axes++] = strides[i];
            out->rows *= desc->dims[i];
        }
    }
    out->dense = out->channels == 1 || out->stride == 1;
    expected = out->channels;
    for (int i = out->axes - 1; i >= 0; i--) {
        out->dense = out->dense && out->strides[i] == expected;
        expected *= out->dims[i];
    }
}
