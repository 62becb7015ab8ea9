/* SPDX-License-Identifier: Apache-2.0 */
/** Gather and GatherElements with constant indices, as copies through a table of offsets. Indices
 * that are computed may lie outside their axis, which only the CPU reports: it does those. */
#include <stdlib.h>

#include "cuda/kernels.h"
#include "cuda/move_plan.h"
#include "ops/attrs.h"

typedef struct gather_state {
    tare_cuda_mapped mapped;
    tare_device *device;
    void *table; /* device memory */
} gather_state;

static tare_status check_operands(gather_state *state, const tare_prepare *prepare,
                                  tare_error *err) {
    const tare_desc *data = &prepare->inputs[0], *indices = &prepare->inputs[1];
    const size_t bytes = tare_dtype_bytes(data->dtype);

    if (prepare->constants[1] == NULL) {
        return tare_fail(err, TARE_UNSUPPORTED, "indices that are not constant");
    }
    if (data->dtype != prepare->outputs[0].dtype ||
        (bytes != 1 && bytes != 2 && bytes != 4 && bytes != 8) ||
        (indices->dtype != TARE_DTYPE_INT64 && indices->dtype != TARE_DTYPE_INT32)) {
        return tare_fail(err, TARE_UNSUPPORTED, "%s elements out of %s ones by %s indices",
                         tare_dtype_text(prepare->outputs[0].dtype), tare_dtype_text(data->dtype),
                         tare_dtype_text(indices->dtype));
    }
    state->device = prepare->device;
    state->mapped.element_bytes = (uint32_t)bytes;
    return TARE_OK;
}

static int64_t product(const int64_t *dims, int from, int to) {
    int64_t count = 1;
    for (int axis = from; axis < to; axis++) {
        count *= dims[axis];
    }
    return count;
}

/* Index number `at`, counted from the end when negative. */
static tare_status read_index(int64_t *out, const tare_tensor *indices, int64_t at, int64_t size,
                              tare_error *err) {
    const int64_t index = tare_tensor_int_at(indices, at);
    *out = index < 0 ? index + size : index;
    if (*out < 0 || *out >= size) {
        return tare_fail(err, TARE_INVALID_MODEL, "index %lld into an axis of %lld elements",
                         (long long)index, (long long)size);
    }
    return TARE_OK;
}

/* Offset of the element that number `at` of the indices picks, when every index of `axis` is
 * replaced by `index`. */
static int64_t element_offset(const tare_desc *data, const tare_desc *indices, int64_t at, int axis,
                              int64_t index) {
    int64_t offset = 0, stride = 1;
    for (int a = data->rank - 1; a >= 0; a--) {
        offset += (a == axis ? index : at % indices->dims[a]) * stride;
        stride *= data->dims[a];
        at /= indices->dims[a];
    }
    return offset;
}

/* What the table holds for each index: the index times `row` bytes, or where its element lies. */
typedef struct table_spec {
    const tare_prepare *prepare;
    int axis;
    int64_t count, row;
    bool elements;
} table_spec;

static tare_status fill_table(int64_t *table, const table_spec *spec, tare_error *err) {
    const tare_desc *data = &spec->prepare->inputs[0], *indices = &spec->prepare->inputs[1];

    for (int64_t k = 0; k < spec->count; k++) {
        int64_t index;
        TARE_TRY(read_index(&index, spec->prepare->constants[1], k, data->dims[spec->axis], err));
        table[k] = (spec->elements ? element_offset(data, indices, k, spec->axis, index) : index) *
                   spec->row;
    }
    return TARE_OK;
}

static tare_status make_table(gather_state *state, const table_spec *spec, tare_error *err) {
    const size_t bytes = (size_t)spec->count * sizeof(int64_t);
    int64_t *table = malloc(bytes + 1);
    tare_status status;

    if (table == NULL) {
        return tare_fail_memory(err, bytes, "a kernel");
    }
    status = fill_table(table, spec, err);
    if (status == TARE_OK && spec->count > 0) {
        status = tare_cuda_upload(&state->table, state->device, table, bytes, err);
    }
    free(table);
    return status;
}

static tare_status gather_prepare(tare_prepare *prepare, tare_error *err) {
    const tare_desc *data = &prepare->inputs[0];
    const int axis = (int)((const tare_axis_attrs *)prepare->attrs)->axis;
    gather_state *state = prepare->private_data;
    table_spec spec = {.prepare = prepare, .axis = axis};

    TARE_TRY(check_operands(state, prepare, err));
    spec.count = tare_desc_count(&prepare->inputs[1]);
    spec.row = product(data->dims, axis + 1, data->rank) * (int64_t)state->mapped.element_bytes;
    TARE_TRY(make_table(state, &spec, err));
    state->mapped.rank = 2;
    state->mapped.dims[0] = product(data->dims, 0, axis);
    state->mapped.step[0] = data->dims[axis] * spec.row;
    state->mapped.dims[1] = spec.count;
    state->mapped.offsets[1] = state->table;
    state->mapped.run_bytes = spec.row;
    state->mapped.grain_bytes = spec.row;
    prepare->weight_bytes = (size_t)spec.count * sizeof(int64_t);
    prepare->unread = 1U << 1;
    return TARE_OK;
}

static tare_status gather_elements_prepare(tare_prepare *prepare, tare_error *err) {
    gather_state *state = prepare->private_data;
    table_spec spec = {.prepare = prepare,
                       .axis = (int)((const tare_axis_attrs *)prepare->attrs)->axis,
                       .elements = true};

    TARE_TRY(check_operands(state, prepare, err));
    spec.count = tare_desc_count(&prepare->inputs[1]);
    spec.row = (int64_t)state->mapped.element_bytes;
    TARE_TRY(make_table(state, &spec, err));
    state->mapped.rank = 1;
    state->mapped.dims[0] = spec.count;
    state->mapped.offsets[0] = state->table;
    state->mapped.run_bytes = spec.row;
    state->mapped.grain_bytes = spec.row;
    prepare->weight_bytes = (size_t)spec.count * sizeof(int64_t);
    prepare->unread = 1U << 1;
    return TARE_OK;
}

static tare_status gather_run(const tare_run *run, tare_error *err) {
    const gather_state *state = run->private_data;
    return tare_cuda_mapped_run(&state->mapped, run->outputs[0], run->inputs[0], run->queue->stream,
                                err);
}

static void gather_release(void *private_data) {
    gather_state *state = private_data;
    if (state->table != NULL) {
        tare_cuda_free(state->device, state->table);
    }
}

#define KERNEL(text, prepare_function)                                                             \
    {                                                                                              \
        .name = text, .private_size = sizeof(gather_state), .layout = TARE_LAYOUT_RULE_PLAIN,      \
        .prepare = prepare_function, .run = gather_run, .release = gather_release                  \
    }

static const tare_kernel rows[] = {
    KERNEL("Gather", gather_prepare),
    KERNEL("GatherElements", gather_elements_prepare),
};

const tare_kernel_table tare_cuda_gather_table = {rows, sizeof rows / sizeof rows[0]};
