/* SPDX-License-Identifier: Apache-2.0 */
/** Rows of Reduce*, ArgMax and ArgMin. */
#include "cuda/reduce.h"

#include "cuda/kernels.h"
#include "exec/nest.h"
#include "ops/attrs.h"

/* More blocks do not make a reduction faster, and slices are no use below this many elements. */
#define ENOUGH_BLOCKS      512
#define MAX_SLICES         64
#define MIN_SLICE_ELEMENTS 2048

/* Elements that a lane should have, and lanes of outputs that lie side by side. */
#define LANE_ELEMENTS      4
#define COLUMNS_LOG2       5

#define THREADS_LOG2       8

typedef struct reduce_row {
    tare_reduce_kind kind;
    tare_reduce_finish finish;
    bool whole; /* for whole numbers too */
} reduce_row;

typedef struct reduce_state {
    tare_reduction reduction; /* without addresses; kept.count 0: nothing to do */
    bool exponential;         /* the largest element comes first and is subtracted */
    size_t shift_bytes;
} reduce_state;

static bool is_real(tare_dtype dtype) {
    return dtype == TARE_DTYPE_FLOAT || dtype == TARE_DTYPE_FLOAT16;
}

static bool is_whole(tare_dtype dtype) {
    return dtype == TARE_DTYPE_INT64 || dtype == TARE_DTYPE_INT32 || dtype == TARE_DTYPE_UINT8 ||
           dtype == TARE_DTYPE_INT8;
}

static tare_status add_axis(tare_reduce_axes *axes, const tare_nest *nest, int axis,
                            tare_error *err) {
    const uint64_t count = (uint64_t)axes->count * (uint64_t)nest->dims[axis];
    if (count > TARE_DIVISOR_MAX) {
        return tare_fail(err, TARE_UNSUPPORTED, "reduction of or to %llu elements",
                         (unsigned long long)count);
    }
    axes->count = (uint32_t)count;
    if (count > 0) {
        axes->dims[axes->rank] = tare_divisor_of((uint64_t)nest->dims[axis]);
    }
    axes->out[axes->rank] = nest->strides[0][axis];
    axes->in[axes->rank++] = nest->strides[1][axis];
    return TARE_OK;
}

/* Kept and reduced axes in the order of the input's memory, neighbours of one kind merged where
 * they can be. */
static tare_status set_axes(tare_reduction *reduction, const tare_prepare *prepare,
                            const bool *reduced, bool keepdims, tare_error *err) {
    const tare_desc *in = &prepare->inputs[0], *out = &prepare->outputs[0];
    int64_t from[TARE_MAX_RANK], to[TARE_MAX_RANK], spread[TARE_MAX_RANK] = {0};
    int64_t mark[TARE_MAX_RANK], step = 1;
    int order[TARE_MAX_RANK], kept = 0;
    /* The third operand tells kept axes from reduced ones, also where others have no elements. */
    tare_nest nest = {.operand_count = 3};

    tare_desc_strides(from, in);
    tare_desc_strides(to, out);
    for (int axis = 0; axis < in->rank; axis++) {
        spread[axis] = reduced[axis] ? 0 : to[keepdims ? axis : kept];
        kept += reduced[axis] ? 0 : 1;
    }
    tare_desc_order(order, in);
    for (int i = in->rank - 1; i >= 0; i--) {
        mark[order[i]] = reduced[order[i]] ? 0 : step;
        step *= in->dims[order[i]] > 0 ? in->dims[order[i]] : 1;
    }
    for (int i = 0; i < in->rank; i++) {
        const int axis = order[i];
        const int64_t strides[3] = {spread[axis], from[axis], mark[axis]};
        tare_nest_axis(&nest, in->dims[axis], strides);
    }
    reduction->kept.count = reduction->reduced.count = 1;
    for (int axis = 0; axis < nest.rank; axis++) {
        const bool keep = nest.strides[2][axis] != 0;
        TARE_TRY(add_axis(keep ? &reduction->kept : &reduction->reduced, &nest, axis, err));
        reduction->rows = !keep;
    }
    return TARE_OK;
}

/* Largest power of two up to `count`, at most 2^limit. */
static uint32_t log2_below(uint64_t count, uint32_t limit) {
    uint32_t log2 = 0;
    while (log2 < limit && ((uint64_t)2 << log2) <= count) {
        log2++;
    }
    return log2;
}

/* Cuts the work into lanes and slices; see reduce.h for why only shapes matter. */
static void cut(tare_reduction *reduction) {
    const tare_reduce_axes *kept = &reduction->kept;
    const uint32_t elements = reduction->reduced.count;
    uint64_t tiles, slices = 1;
    uint32_t width_log2 = 0;

    reduction->lanes_log2 = log2_below(elements / LANE_ELEMENTS, THREADS_LOG2);
    if (!reduction->rows && kept->rank > 0) {
        /* As many outputs side by side as lie so in memory, rounded up. */
        const uint64_t side = kept->dims[kept->rank - 1].value;
        width_log2 = log2_below(2 * side - 1, COLUMNS_LOG2);
        if (reduction->lanes_log2 > THREADS_LOG2 - width_log2) {
            reduction->lanes_log2 = THREADS_LOG2 - width_log2;
        }
    }
    width_log2 = THREADS_LOG2 - reduction->lanes_log2;
    tiles = ((uint64_t)kept->count - 1) / ((uint64_t)1 << width_log2) + 1;
    if (tiles < ENOUGH_BLOCKS && elements >= 2 * MIN_SLICE_ELEMENTS) {
        slices = elements / MIN_SLICE_ELEMENTS;
        slices = slices > ENOUGH_BLOCKS / tiles ? ENOUGH_BLOCKS / tiles : slices;
        slices = slices > MAX_SLICES ? MAX_SLICES : slices;
    }
    reduction->slice_elements = (uint32_t)((elements + slices - 1) / slices);
    /* Rounding up may leave nothing for the last ones. */
    slices = elements == 0 ? 1 : (elements - 1) / reduction->slice_elements + 1;
    reduction->slices = (uint32_t)slices;
}

static tare_status prepare_axes(tare_prepare *prepare, const bool *reduced, bool keepdims,
                                tare_error *err) {
    reduce_state *state = prepare->private_data;
    tare_reduction *reduction = &state->reduction;
    const tare_desc *in = &prepare->inputs[0], *out = &prepare->outputs[0];

    if (!is_real(in->dtype) && !is_whole(in->dtype)) {
        return tare_fail(err, TARE_UNSUPPORTED, "element type %s is not supported",
                         tare_dtype_text(in->dtype));
    }
    reduction->in_dtype = in->dtype;
    reduction->out_dtype = out->dtype;
    TARE_TRY(set_axes(reduction, prepare, reduced, keepdims, err));
    if (reduction->kept.count == 0) {
        return TARE_OK;
    }
    cut(reduction);
    if (state->exponential) {
        const size_t bytes = (size_t)reduction->kept.count * sizeof(float);
        state->shift_bytes = (bytes + TARE_REDUCE_STATE_BYTES - 1) / TARE_REDUCE_STATE_BYTES *
                             TARE_REDUCE_STATE_BYTES;
    }
    prepare->scratch_bytes = state->shift_bytes;
    if (reduction->slices > 1) {
        prepare->scratch_bytes +=
            (size_t)reduction->kept.count * reduction->slices * TARE_REDUCE_STATE_BYTES;
    }
    return TARE_OK;
}

static tare_status reduce_prepare(tare_prepare *prepare, const reduce_row *row, tare_error *err) {
    const tare_reduce_attrs *attrs = prepare->attrs;
    reduce_state *state = prepare->private_data;
    bool reduced[TARE_MAX_RANK] = {false};

    if (prepare->inputs[0].dtype != prepare->outputs[0].dtype ||
        (!is_real(prepare->inputs[0].dtype) && !row->whole)) {
        return tare_fail(err, TARE_UNSUPPORTED, "element type %s is not supported",
                         tare_dtype_text(prepare->inputs[0].dtype));
    }
    state->exponential = row->kind == TARE_REDUCE_EXPONENTIALS;
    state->reduction.kind = row->kind;
    state->reduction.finish = row->finish;
    for (int i = 0; i < attrs->axis_count; i++) {
        reduced[attrs->axes[i]] = true;
    }
    return prepare_axes(prepare, reduced, attrs->keepdims, err);
}

static tare_status arg_prepare(tare_prepare *prepare, tare_reduce_kind kind, tare_error *err) {
    const tare_reduce_attrs *attrs = prepare->attrs;
    const tare_desc *in = &prepare->inputs[0];
    reduce_state *state = prepare->private_data;
    bool reduced[TARE_MAX_RANK] = {false};

    if (!is_real(in->dtype) || in->dims[attrs->axis] == 0) {
        return tare_fail(err, TARE_UNSUPPORTED, "place of an extreme among %lld of %s",
                         (long long)in->dims[attrs->axis], tare_dtype_text(in->dtype));
    }
    state->reduction.kind = kind;
    state->reduction.last = attrs->select_last_index;
    reduced[attrs->axis] = true;
    return prepare_axes(prepare, reduced, attrs->keepdims, err);
}

static tare_status reduce_run(const tare_run *run, tare_error *err) {
    const reduce_state *state = run->private_data;
    tare_reduction reduction = state->reduction;

    if (reduction.kept.count == 0) {
        return TARE_OK;
    }
    reduction.in = run->inputs[0];
    reduction.out = run->outputs[0];
    reduction.partials = run->scratch;
    if (state->exponential) {
        tare_reduction largest = reduction;
        largest.kind = TARE_REDUCE_MAX;
        largest.finish = TARE_REDUCE_FINISH_SAME;
        largest.out = run->scratch;
        largest.out_dtype = TARE_DTYPE_FLOAT;
        largest.dense = true;
        largest.partials = (char *)run->scratch + state->shift_bytes;
        TARE_TRY(tare_reduce(&largest, run->queue->stream, err));
        reduction.shifts = run->scratch;
        reduction.partials = largest.partials;
    }
    return tare_reduce(&reduction, run->queue->stream, err);
}

/* X(identifier, name, what is reduced, what becomes of it, also for whole numbers) */
#define REDUCE_ROWS(X)                                                                             \
    X(mean, "ReduceMean", SUM, MEAN, true)                                                         \
    X(sum, "ReduceSum", SUM, SAME, true)                                                           \
    X(max, "ReduceMax", MAX, SAME, true)                                                           \
    X(min, "ReduceMin", MIN, SAME, true)                                                           \
    X(prod, "ReduceProd", PRODUCT, SAME, true)                                                     \
    X(l1, "ReduceL1", ABSOLUTE, SAME, true)                                                        \
    X(l2, "ReduceL2", SQUARES, ROOT, false)                                                        \
    X(square, "ReduceSumSquare", SQUARES, SAME, true)                                              \
    X(log_sum, "ReduceLogSum", SUM, LOG, false)                                                    \
    X(log_sum_exp, "ReduceLogSumExp", EXPONENTIALS, LOG, false)

#define PREPARE(id, name, kind, finish, whole)                                                     \
    static tare_status prepare_##id(tare_prepare *prepare, tare_error *err) {                      \
        static const reduce_row row = {TARE_REDUCE_##kind, TARE_REDUCE_FINISH_##finish, whole};    \
        return reduce_prepare(prepare, &row, err);                                                 \
    }

REDUCE_ROWS(PREPARE)

static tare_status prepare_arg_max(tare_prepare *prepare, tare_error *err) {
    return arg_prepare(prepare, TARE_REDUCE_ARG_MAX, err);
}

static tare_status prepare_arg_min(tare_prepare *prepare, tare_error *err) {
    return arg_prepare(prepare, TARE_REDUCE_ARG_MIN, err);
}

#define KERNEL(text, function)                                                                     \
    {                                                                                              \
        .name = text, .private_size = sizeof(reduce_state), .layout = TARE_LAYOUT_RULE_FOLLOW,     \
        .prepare = function, .run = reduce_run                                                     \
    }
#define ROW(id, name, kind, finish, whole) KERNEL(name, prepare_##id),

static const tare_kernel rows[] = {REDUCE_ROWS(ROW) KERNEL("ArgMax", prepare_arg_max),
                                   KERNEL("ArgMin", prepare_arg_min)};

const tare_kernel_table tare_cuda_reduce_table = {rows, sizeof rows / sizeof rows[0]};
