/* SPDX-License-Identifier: Apache-2.0 */
/** Pad in all modes: each padded axis has a table of where its elements come from. */
#include "cuda/pad.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "exec/nest.h"
#include "ir/half.h"

/* One element of the fill value in the lowest bytes. */
static tare_status fill_bits(uint64_t *out, tare_dtype dtype, double value, tare_error *err) {
    const size_t bytes = tare_dtype_bytes(dtype);
    const float single = (float)value;
    uint32_t word;

    *out = 0;
    switch (dtype) {
    case TARE_DTYPE_FLOAT:
        memcpy(&word, &single, sizeof word);
        *out = word;
        return TARE_OK;
    case TARE_DTYPE_DOUBLE:
        memcpy(out, &value, sizeof *out);
        return TARE_OK;
    case TARE_DTYPE_FLOAT16:
        *out = tare_half_from_double(value);
        return TARE_OK;
    case TARE_DTYPE_BFLOAT16:
        *out = tare_bfloat16_from_double(value);
        return TARE_OK;
    case TARE_DTYPE_BOOL:
        *out = value != 0.0 ? 1 : 0;
        return TARE_OK;
    case TARE_DTYPE_INT8:
    case TARE_DTYPE_INT16:
    case TARE_DTYPE_INT32:
    case TARE_DTYPE_INT64:
    case TARE_DTYPE_UINT8:
    case TARE_DTYPE_UINT16:
    case TARE_DTYPE_UINT32:
        /* Beyond 2^53 the value may not be what the model says. */
        if (fabs(value) <= 0x1p53) {
            *out = (uint64_t)(int64_t)value;
            *out &= bytes == 8 ? UINT64_MAX : ((uint64_t)1 << (8 * bytes)) - 1;
            return TARE_OK;
        }
        break;
    default:
        break;
    }
    return tare_fail(err, TARE_UNSUPPORTED, "Pad of %s elements with %g", tare_dtype_text(dtype),
                     value);
}

static bool is_padded(const tare_pad_attrs *attrs, int axis) {
    return attrs->begin[axis] != 0 || attrs->end[axis] != 0;
}

static int64_t common_divisor(int64_t a, int64_t b) {
    while (b != 0) {
        const int64_t rest = a % b;
        a = b;
        b = rest;
    }
    return a;
}

/* An axis of the output with the bytes between its elements in the input, and its table. */
static void add_axis(tare_cuda_mapped *mapped, int64_t size, int64_t step) {
    mapped->dims[mapped->rank] = size;
    mapped->step[mapped->rank] = step;
    mapped->grain_bytes = common_divisor(mapped->grain_bytes, step);
    mapped->rank++;
}

static void fill_table(int64_t *table, const tare_pad_attrs *attrs, int axis, int64_t size,
                       const tare_desc *in, int64_t step) {
    for (int64_t k = 0; k < size; k++) {
        const int64_t from = tare_pad_source(attrs, axis, k, in->dims[axis]);
        table[k] = from < 0 ? -1 : from * step;
    }
}

/* Innermost axes without pads travel as one run: in channels-last, whole positions. Returns how
 * many axes are left outside. */
static int find_run(tare_cuda_mapped *mapped, const tare_pad_attrs *attrs, const int *order,
                    const tare_desc *out, const int64_t *from) {
    int rank = out->rank;
    int64_t run = 1;

    while (rank > 0 && !is_padded(attrs, order[rank - 1]) && from[order[rank - 1]] == run) {
        run *= out->dims[order[--rank]];
    }
    mapped->run_bytes = run * (int64_t)mapped->element_bytes;
    mapped->grain_bytes = mapped->run_bytes;
    return rank;
}

static tare_status make_tables(tare_prepare *prepare, const int *axes, tare_error *err) {
    tare_cuda_pad *state = prepare->private_data;
    const tare_pad_attrs *attrs = prepare->attrs;
    const tare_desc *in = &prepare->inputs[0];
    tare_cuda_mapped *mapped = &state->mapped;
    tare_status status = TARE_OK;
    int64_t *tables, *next, total = 0;

    for (int k = 0; k < mapped->rank; k++) {
        total += is_padded(attrs, axes[k]) ? mapped->dims[k] : 0;
    }
    if (total == 0) {
        return TARE_OK;
    }
    tables = calloc((size_t)total, sizeof *tables);
    if (tables == NULL) {
        return tare_fail_memory(err, (size_t)total * sizeof *tables, "a kernel");
    }
    next = tables;
    for (int k = 0; k < mapped->rank; k++) {
        if (is_padded(attrs, axes[k])) {
            fill_table(next, attrs, axes[k], mapped->dims[k], in, mapped->step[k]);
            next += mapped->dims[k];
        }
    }
    status = tare_cuda_upload(&state->tables, state->device, tables, (size_t)total * sizeof *tables,
                              err);
    next = state->tables;
    for (int k = 0; k < mapped->rank && status == TARE_OK; k++) {
        if (is_padded(attrs, axes[k])) {
            mapped->offsets[k] = next;
            next += mapped->dims[k];
        }
    }
    prepare->weight_bytes = (size_t)total * sizeof *tables;
    free(tables);
    return status;
}

tare_status tare_cuda_pad_prepare(tare_prepare *prepare, tare_error *err) {
    const tare_desc *in = &prepare->inputs[0], *out = &prepare->outputs[0];
    const tare_pad_attrs *attrs = prepare->attrs;
    tare_cuda_pad *state = prepare->private_data;
    int order[TARE_MAX_RANK], outside;
    int64_t from[TARE_MAX_RANK];

    if (in->dtype != out->dtype) {
        return tare_fail(err, TARE_UNSUPPORTED, "Pad of %s elements as %s",
                         tare_dtype_text(in->dtype), tare_dtype_text(out->dtype));
    }
    TARE_TRY(fill_bits(&state->mapped.fill, in->dtype, attrs->value, err));
    state->device = prepare->device;
    state->mapped.element_bytes = (uint32_t)tare_dtype_bytes(in->dtype);
    tare_desc_order(order, out);
    tare_desc_strides(from, in);
    outside = find_run(&state->mapped, attrs, order, out, from);
    for (int k = 0; k < outside; k++) {
        add_axis(&state->mapped, out->dims[order[k]],
                 from[order[k]] * (int64_t)state->mapped.element_bytes);
    }
    return make_tables(prepare, order, err);
}

tare_status tare_cuda_pad_run(const tare_run *run, tare_error *err) {
    const tare_cuda_pad *state = run->private_data;
    return tare_cuda_mapped_run(&state->mapped, run->outputs[0], run->inputs[0], run->queue->stream,
                                err);
}

void tare_cuda_pad_release(void *private_data) {
    tare_cuda_pad *state = private_data;
    if (state->tables != NULL) {
        tare_cuda_free(state->device, state->tables);
    }
}
