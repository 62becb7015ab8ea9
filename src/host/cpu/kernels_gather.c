/* SPDX-License-Identifier: Apache-2.0 */
/** Reading and writing at computed indices: Gather, GatherElements, GatherND, ScatterElements,
 * ScatterND, OneHot. All operands are plain. */
#include <string.h>

#include "cpu/element.h"
#include "cpu/kernels.h"
#include "ops/attrs.h"

typedef struct index_state {
    tare_desc data, indices, out; /* of OneHot: data is unused */
    const tare_accessor *element, *index;
    size_t bytes;
    int axis, batch_dims;
    int reduction; /* tare_scatter_reduction */
} index_state;

static tare_status index_prepare(tare_prepare *prepare, size_t data_port, size_t index_port,
                                 tare_error *err) {
    index_state *state = prepare->private_data;
    const tare_desc *indices = &prepare->inputs[index_port];

    state->data = prepare->inputs[data_port];
    state->indices = *indices;
    state->out = prepare->outputs[0];
    state->element = tare_accessor_of(state->data.dtype);
    state->index = tare_accessor_of(indices->dtype);
    state->bytes = tare_dtype_bytes(state->data.dtype);
    if (state->element == NULL || state->index == NULL) {
        return tare_fail(err, TARE_UNSUPPORTED, "%s operand with %s indices",
                         tare_dtype_text(state->data.dtype), tare_dtype_text(indices->dtype));
    }
    return TARE_OK;
}

/* Index number `at`, counted from the end when negative. */
static tare_status read_index(int64_t *out, const index_state *state, const void *indices,
                              int64_t at, int64_t size, tare_error *err) {
    const int64_t index = state->index->integer(indices, at);
    *out = index < 0 ? index + size : index;
    if (*out < 0 || *out >= size) {
        return tare_fail(err, TARE_INVALID_ARGUMENT, "index %lld into an axis of %lld elements",
                         (long long)index, (long long)size);
    }
    return TARE_OK;
}

static int64_t product(const int64_t *dims, int from, int to) {
    int64_t count = 1;
    for (int axis = from; axis < to; axis++) {
        count *= dims[axis];
    }
    return count;
}

static tare_status gather_prepare(tare_prepare *prepare, tare_error *err) {
    index_state *state = prepare->private_data;
    state->axis = (int)((const tare_axis_attrs *)prepare->attrs)->axis;
    return index_prepare(prepare, 0, 1, err);
}

static tare_status gather_run(const tare_run *run, tare_error *err) {
    const index_state *state = run->private_data;
    const int64_t *dims = state->data.dims, size = dims[state->axis];
    const int64_t outer = product(dims, 0, state->axis), count = tare_desc_count(&state->indices);
    const size_t row = (size_t)product(dims, state->axis + 1, state->data.rank) * state->bytes;
    const char *in = run->inputs[0];
    char *out = run->outputs[0];

    for (int64_t o = 0; o < outer; o++) {
        for (int64_t k = 0; k < count; k++, out += row) {
            int64_t index;
            TARE_TRY(read_index(&index, state, run->inputs[1], k, size, err));
            memcpy(out, in + (size_t)(o * size + index) * row, row);
        }
    }
    return TARE_OK;
}

/* Offset into `data` of position `at` of the indices, with the index along the axis replaced. */
static int64_t element_offset(const index_state *state, int64_t at, int64_t index) {
    int64_t offset = 0, stride = 1, coordinates[TARE_MAX_RANK];

    for (int axis = state->indices.rank - 1; axis >= 0; axis--) {
        coordinates[axis] = at % state->indices.dims[axis];
        at /= state->indices.dims[axis];
    }
    coordinates[state->axis] = index;
    for (int axis = state->data.rank - 1; axis >= 0; axis--) {
        offset += coordinates[axis] * stride;
        stride *= state->data.dims[axis];
    }
    return offset;
}

static tare_status gather_elements_run(const tare_run *run, tare_error *err) {
    const index_state *state = run->private_data;
    const int64_t count = tare_desc_count(&state->indices);

    for (int64_t k = 0; k < count; k++) {
        int64_t index;
        TARE_TRY(read_index(&index, state, run->inputs[1], k, state->data.dims[state->axis], err));
        memcpy((char *)run->outputs[0] + (size_t)k * state->bytes,
               (const char *)run->inputs[0] +
                   (size_t)element_offset(state, k, index) * state->bytes,
               state->bytes);
    }
    return TARE_OK;
}

/* Index tuples: the last axis of the indices holds coordinates of the axes after `batch_dims`. */
typedef struct tuples {
    int64_t batches, per_batch, length; /* tuples per batch, coordinates per tuple */
    int64_t slice;                      /* elements behind one tuple */
    int64_t batch_stride;               /* elements of one batch of the data */
} tuples;

static tuples tuples_of(const index_state *state) {
    const int64_t *data = state->data.dims, *indices = state->indices.dims;
    const int batch = state->batch_dims, last = state->indices.rank - 1;
    return (tuples){.batches = product(data, 0, batch),
                    .per_batch = product(indices, batch, last),
                    .length = indices[last],
                    .slice = product(data, batch + (int)indices[last], state->data.rank),
                    .batch_stride = product(data, batch, state->data.rank)};
}

static tare_status tuple_offset(int64_t *out, const index_state *state, const void *indices,
                                int64_t tuple, tare_error *err) {
    const tuples t = tuples_of(state);
    *out = 0;
    for (int64_t i = 0; i < t.length; i++) {
        const int64_t size = state->data.dims[state->batch_dims + (int)i];
        int64_t index;
        TARE_TRY(read_index(&index, state, indices, tuple * t.length + i, size, err));
        *out = *out * size + index;
    }
    *out = *out * t.slice + tuple / (t.per_batch > 0 ? t.per_batch : 1) * t.batch_stride;
    return TARE_OK;
}

static tare_status check_tuples(const index_state *state, tare_error *err) {
    const int last = state->indices.rank - 1;
    if (last < 0 || state->batch_dims < 0 || state->batch_dims > last ||
        state->indices.dims[last] < 0 ||
        state->indices.dims[last] > state->data.rank - state->batch_dims) {
        return tare_fail(err, TARE_INVALID_MODEL, "index tuples do not fit an operand of rank %d",
                         state->data.rank);
    }
    return TARE_OK;
}

static tare_status gather_nd_prepare(tare_prepare *prepare, tare_error *err) {
    index_state *state = prepare->private_data;
    state->batch_dims = (int)((const tare_gather_nd_attrs *)prepare->attrs)->batch_dims;
    TARE_TRY(index_prepare(prepare, 0, 1, err));
    return check_tuples(state, err);
}

static tare_status gather_nd_run(const tare_run *run, tare_error *err) {
    const index_state *state = run->private_data;
    const tuples t = tuples_of(state);
    const size_t row = (size_t)t.slice * state->bytes;

    for (int64_t k = 0; k < t.batches * t.per_batch; k++) {
        int64_t offset;
        TARE_TRY(tuple_offset(&offset, state, run->inputs[1], k, err));
        memcpy((char *)run->outputs[0] + (size_t)k * row,
               (const char *)run->inputs[0] + (size_t)offset * state->bytes, row);
    }
    return TARE_OK;
}

static tare_status scatter_prepare(tare_prepare *prepare, tare_error *err) {
    const tare_scatter_attrs *attrs = prepare->attrs;
    index_state *state = prepare->private_data;
    state->axis = (int)attrs->axis;
    state->reduction = attrs->reduction;
    return index_prepare(prepare, 0, 1, err);
}

static tare_status scatter_nd_prepare(tare_prepare *prepare, tare_error *err) {
    const tare_scatter_attrs *attrs = prepare->attrs;
    index_state *state = prepare->private_data;
    state->reduction = attrs->reduction;
    TARE_TRY(index_prepare(prepare, 0, 1, err));
    return check_tuples(state, err);
}

static double combined_real(int reduction, double old, double x) {
    switch (reduction) {
    case TARE_SCATTER_ADD:
        return old + x;
    case TARE_SCATTER_MUL:
        return old * x;
    case TARE_SCATTER_MIN:
        return x < old ? x : old;
    default:
        return x > old ? x : old;
    }
}

static int64_t combined_integer(int reduction, int64_t old, int64_t x) {
    switch (reduction) {
    case TARE_SCATTER_ADD:
        return (int64_t)((uint64_t)old + (uint64_t)x);
    case TARE_SCATTER_MUL:
        return (int64_t)((uint64_t)old * (uint64_t)x);
    case TARE_SCATTER_MIN:
        return x < old ? x : old;
    default:
        return x > old ? x : old;
    }
}

static void put(const index_state *state, void *out, int64_t to, const void *updates,
                int64_t from) {
    const tare_accessor *element = state->element;
    if (state->reduction == TARE_SCATTER_NONE) {
        memcpy((char *)out + (size_t)to * state->bytes,
               (const char *)updates + (size_t)from * state->bytes, state->bytes);
    } else if (element->number == TARE_NUMBER_REAL) {
        element->set_real(
            out, to,
            combined_real(state->reduction, element->real(out, to), element->real(updates, from)));
    } else {
        element->set_integer(out, to,
                             combined_integer(state->reduction, element->integer(out, to),
                                              element->integer(updates, from)));
    }
}

static tare_status scatter_run(const tare_run *run, tare_error *err) {
    const index_state *state = run->private_data;
    const int64_t count = tare_desc_count(&state->indices);

    memcpy(run->outputs[0], run->inputs[0], tare_desc_bytes(&state->data));
    for (int64_t k = 0; k < count; k++) {
        int64_t index;
        TARE_TRY(read_index(&index, state, run->inputs[1], k, state->data.dims[state->axis], err));
        put(state, run->outputs[0], element_offset(state, k, index), run->inputs[2], k);
    }
    return TARE_OK;
}

static tare_status scatter_nd_run(const tare_run *run, tare_error *err) {
    const index_state *state = run->private_data;
    const tuples t = tuples_of(state);

    memcpy(run->outputs[0], run->inputs[0], tare_desc_bytes(&state->data));
    for (int64_t k = 0; k < t.per_batch; k++) {
        int64_t offset;
        TARE_TRY(tuple_offset(&offset, state, run->inputs[1], k, err));
        for (int64_t i = 0; i < t.slice; i++) {
            put(state, run->outputs[0], offset + i, run->inputs[2], k * t.slice + i);
        }
    }
    return TARE_OK;
}

/* Inputs: indices, depth, [off, on]. */
static tare_status one_hot_prepare(tare_prepare *prepare, tare_error *err) {
    index_state *state = prepare->private_data;
    state->axis = (int)((const tare_axis_attrs *)prepare->attrs)->axis;
    return index_prepare(prepare, 2, 0, err);
}

static tare_status one_hot_run(const tare_run *run, tare_error *err) {
    const index_state *state = run->private_data;
    const int64_t depth = state->out.dims[state->axis];
    const int64_t inner = product(state->out.dims, state->axis + 1, state->out.rank);
    const int64_t count = tare_desc_count(&state->out);
    const char *values = run->inputs[2];

    TARE_UNUSED(err);
    for (int64_t k = 0; k < count; k++) {
        const int64_t at = k / (depth * inner) * inner + k % inner;
        const int64_t index = state->index->integer(run->inputs[0], at);
        const bool on = (index < 0 ? index + depth : index) == k / inner % depth;
        memcpy((char *)run->outputs[0] + (size_t)k * state->bytes, values + (on ? state->bytes : 0),
               state->bytes);
    }
    return TARE_OK;
}

#define KERNEL(text, prepare_function, run_function)                                               \
    {                                                                                              \
        .name = text, .private_size = sizeof(index_state), .layout = TARE_LAYOUT_RULE_PLAIN,       \
        .prepare = prepare_function, .run = run_function                                           \
    }

static const tare_kernel rows[] = {
    KERNEL("Gather", gather_prepare, gather_run),
    KERNEL("GatherElements", gather_prepare, gather_elements_run),
    KERNEL("GatherND", gather_nd_prepare, gather_nd_run),
    KERNEL("ScatterElements", scatter_prepare, scatter_run),
    KERNEL("ScatterND", scatter_nd_prepare, scatter_nd_run),
    KERNEL("OneHot", one_hot_prepare, one_hot_run),
};

const tare_kernel_table tare_cpu_gather_table = {rows, sizeof rows / sizeof rows[0]};
