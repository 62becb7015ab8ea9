/* SPDX-License-Identifier: Apache-2.0 */
/** Operators that move elements to places known before the run. */
#include <string.h>

#include "ops/rows.h"

static const tare_attr_spec transpose_attrs[] = {
    {TARE_OP_ATTR("perm", INTS, tare_transpose_attrs, file_perm)}, {0}};
static const tare_attr_spec slice_attrs[] = {
    {TARE_OP_ATTR("axes", INTS, tare_slice_attrs, file_axes)},
    {TARE_OP_ATTR("starts", INTS, tare_slice_attrs, file_starts), .required = true},
    {TARE_OP_ATTR("ends", INTS, tare_slice_attrs, file_ends), .required = true},
    {0}};
static const tare_attr_spec split_attrs[] = {
    {TARE_OP_ATTR("axis", INT, tare_split_attrs, axis), .default_int = 0},
    {TARE_OP_ATTR("split", INTS, tare_split_attrs, file_split), .until = 12},
    {TARE_OP_ATTR("num_outputs", INT, tare_split_attrs, num_outputs), .since = 18},
    {0}};
static const tare_attr_spec concat_attrs[] = {
    {TARE_OP_ATTR("axis", INT, tare_axis_attrs, axis), .required = true}, {0}};

static const char *const pad_modes[] = {"constant", "reflect", "edge", "wrap", NULL};
static const tare_attr_spec pad_attrs[] = {
    {TARE_OP_ATTR("mode", CHOICE, tare_pad_attrs, mode), .choices = pad_modes},
    {TARE_OP_ATTR("pads", INTS, tare_pad_attrs, file_pads), .until = 10, .required = true},
    {TARE_OP_ATTR("value", FLOAT, tare_pad_attrs, file_value), .until = 10},
    {0}};

static const char *const block_modes[] = {"DCR", "CRD", NULL};
static const tare_attr_spec block_attrs[] = {
    {TARE_OP_ATTR("blocksize", INT, tare_block_attrs, blocksize), .required = true},
    {TARE_OP_ATTR("mode", CHOICE, tare_block_attrs, mode), .since = 11, .choices = block_modes},
    {0}};
static const tare_attr_spec space_attrs[] = {
    {TARE_OP_ATTR("blocksize", INT, tare_block_attrs, blocksize), .required = true}, {0}};
static const tare_attr_spec trilu_attrs[] = {
    {TARE_OP_ATTR("upper", BOOL, tare_trilu_attrs, upper), .default_int = 1}, {0}};

static tare_status infer_transpose(tare_infer *infer, tare_error *err) {
    tare_transpose_attrs *attrs = infer->attrs;
    const tare_value *x = tare_infer_input(infer, 0);
    bool seen[TARE_MAX_RANK];
    int64_t dims[TARE_MAX_RANK];

    if (attrs->file_perm.values != NULL && attrs->file_perm.count != (size_t)x->rank) {
        return tare_fail(err, TARE_INVALID_MODEL, "perm has %zu numbers, input '%s' has %d dims",
                         attrs->file_perm.count, x->name, x->rank);
    }
    TARE_TRY(tare_infer_axes(seen, &attrs->file_perm, x->rank, err));
    for (int i = 0; i < x->rank; i++) {
        int64_t from = x->rank - 1 - i;
        if (attrs->file_perm.values != NULL) {
            TARE_TRY(tare_infer_axis(&from, attrs->file_perm.values[i], x->rank, err));
        }
        attrs->perm[i] = (int)from;
        dims[i] = x->dims[from];
    }
    return tare_infer_output(infer, 0, x->dtype, x->rank, dims, err);
}

static int64_t clamp(int64_t number, int64_t low, int64_t high) {
    return number < low ? low : number > high ? high : number;
}

/* One axis of Slice: the file's numbers in, the first element, the step and the count out. */
typedef struct slice_range {
    int64_t start, end, step, count;
} slice_range;

/* Negative positions count from the end. Only then is everything clamped, so that the extreme
 * values exporters write for "all" never enter arithmetic. */
static void settle_range(slice_range *range, int64_t size) {
    const int64_t start = range->start < 0 ? range->start + size : range->start;
    const int64_t end = range->end < 0 ? range->end + size : range->end;

    range->step = clamp(range->step, -(size > 0 ? size : 1), size > 0 ? size : 1);
    if (range->step > 0) {
        range->start = clamp(start, 0, size);
        range->end = clamp(end, 0, size);
        range->count = (range->end - range->start + range->step - 1) / range->step;
    } else {
        range->start = clamp(start, 0, size - 1);
        range->end = clamp(end, -1, size - 1);
        range->count = (range->start - range->end - range->step - 1) / -range->step;
    }
    if (range->count <= 0 || size == 0) {
        range->count = 0;
        range->start = 0;
    }
}

static tare_status read_slices(tare_ints lists[4], tare_infer *infer, tare_error *err) {
    const tare_slice_attrs *attrs = infer->attrs;
    static const char *const names[] = {"starts", "ends", "axes", "steps"};

    lists[0] = attrs->file_starts;
    lists[1] = attrs->file_ends;
    lists[2] = attrs->file_axes;
    lists[3] = (tare_ints){0};
    for (size_t i = 0; infer->opset >= 10 && i < 4; i++) {
        TARE_TRY(tare_infer_ints(&lists[i], infer, 1 + i, names[i], err));
    }
    for (size_t i = 1; i < 4; i++) {
        if (lists[i].values != NULL && lists[i].count != lists[0].count) {
            return tare_fail(err, TARE_INVALID_MODEL, "%zu starts, but %zu %s", lists[0].count,
                             lists[i].count, names[i]);
        }
    }
    return TARE_OK;
}

static tare_status infer_slice(tare_infer *infer, tare_error *err) {
    tare_slice_attrs *attrs = infer->attrs;
    const tare_value *x = tare_infer_input(infer, 0);
    int64_t dims[TARE_MAX_RANK];
    bool seen[TARE_MAX_RANK] = {false};
    tare_ints lists[4];

    TARE_TRY(read_slices(lists, infer, err));
    for (int i = 0; i < TARE_MAX_RANK; i++) {
        attrs->start[i] = 0;
        attrs->step[i] = 1;
        dims[i] = x->dims[i];
    }
    for (size_t i = 0; i < lists[0].count; i++) {
        slice_range range = {lists[0].values[i], lists[1].values[i],
                             lists[3].values == NULL ? 1 : lists[3].values[i], 0};
        int64_t axis = 0;
        TARE_TRY(tare_infer_axis(&axis, lists[2].values == NULL ? (int64_t)i : lists[2].values[i],
                                 x->rank, err));
        if (range.step == 0 || seen[axis]) {
            return tare_fail(err, TARE_INVALID_MODEL, "axis %lld %s", (long long)axis,
                             seen[axis] ? "is given twice" : "has the step 0");
        }
        seen[axis] = true;
        settle_range(&range, x->dims[axis]);
        attrs->start[axis] = range.start;
        attrs->step[axis] = range.step;
        dims[axis] = range.count;
    }
    return tare_infer_output(infer, 0, x->dtype, x->rank, dims, err);
}

/* Sizes of the outputs of Split: given, or equal with a smaller last one. */
static tare_status split_size(int64_t *out, const tare_infer *infer, const tare_ints *given,
                              size_t port, tare_error *err) {
    const tare_split_attrs *attrs = infer->attrs;
    const int64_t size = tare_infer_input(infer, 0)->dims[attrs->axis];
    const int64_t count = (int64_t)infer->node->output_count;
    const int64_t chunk = size / count + (size % count != 0);
    const int64_t before = chunk * (int64_t)port;

    if (given->values != NULL) {
        *out = given->values[port];
        return TARE_OK;
    }
    if (size % count != 0 && infer->opset < 18) {
        return tare_fail(err, TARE_INVALID_MODEL,
                         "%lld elements do not split into %lld equal parts", (long long)size,
                         (long long)count);
    }
    *out = clamp(size - before, 0, chunk);
    return TARE_OK;
}

static tare_status infer_split(tare_infer *infer, tare_error *err) {
    tare_split_attrs *attrs = infer->attrs;
    const tare_value *x = tare_infer_input(infer, 0);
    const size_t count = infer->node->output_count;
    int64_t dims[TARE_MAX_RANK], left;
    tare_ints given = attrs->file_split;

    TARE_TRY(tare_infer_axis(&attrs->axis, attrs->axis, x->rank, err));
    if (infer->opset >= 13) {
        TARE_TRY(tare_infer_ints(&given, infer, 1, "sizes", err));
    }
    if ((given.values != NULL && given.count != count) ||
        (attrs->num_outputs != 0 && attrs->num_outputs != (int64_t)count)) {
        return tare_fail(
            err, TARE_INVALID_MODEL, "%zu outputs, but %lld parts are asked for", count,
            given.values != NULL ? (long long)given.count : (long long)attrs->num_outputs);
    }
    memcpy(dims, x->dims, sizeof dims);
    left = x->dims[attrs->axis];
    for (size_t i = 0; i < count; i++) {
        TARE_TRY(split_size(&dims[attrs->axis], infer, &given, i, err));
        if (dims[attrs->axis] < 0 || dims[attrs->axis] > left) {
            return tare_fail(err, TARE_INVALID_MODEL, "part %zu has %lld elements, %lld are left",
                             i, (long long)dims[attrs->axis], (long long)left);
        }
        left -= dims[attrs->axis];
        TARE_TRY(tare_infer_output(infer, i, x->dtype, x->rank, dims, err));
    }
    if (left != 0) {
        return tare_fail(err, TARE_INVALID_MODEL, "the parts leave %lld of %lld elements out",
                         (long long)left, (long long)x->dims[attrs->axis]);
    }
    return TARE_OK;
}

static tare_status infer_concat(tare_infer *infer, tare_error *err) {
    tare_axis_attrs *attrs = infer->attrs;
    const tare_value *x = tare_infer_input(infer, 0);
    int64_t dims[TARE_MAX_RANK];

    TARE_TRY(tare_infer_axis(&attrs->axis, attrs->axis, x->rank, err));
    TARE_TRY(tare_infer_one_type(infer, 0, SIZE_MAX, err));
    memcpy(dims, x->dims, sizeof dims);
    for (size_t port = 1; port < infer->node->input_count; port++) {
        const tare_value *part = tare_infer_input(infer, port);
        if (part == NULL) {
            return tare_fail(err, TARE_INVALID_MODEL, "input %zu is left out", port);
        }
        TARE_TRY(tare_infer_rank(infer, port, x->rank, x->rank, err));
        for (int i = 0; i < x->rank; i++) {
            if (i != attrs->axis && part->dims[i] != x->dims[i]) {
                return tare_fail(
                    err, TARE_INVALID_MODEL, "dim %d of input '%s' is %lld, that of '%s' is %lld",
                    i, part->name, (long long)part->dims[i], x->name, (long long)x->dims[i]);
            }
        }
        if (part->dims[attrs->axis] > INT64_MAX - dims[attrs->axis]) {
            return tare_fail(err, TARE_INVALID_MODEL, "the result is too large");
        }
        dims[attrs->axis] += part->dims[attrs->axis];
    }
    return tare_infer_output(infer, 0, x->dtype, x->rank, dims, err);
}

static tare_status infer_expand(tare_infer *infer, tare_error *err) {
    const tare_value *x = tare_infer_input(infer, 0);
    tare_shape shape = {.rank = x->rank};
    tare_ints asked;

    TARE_TRY(tare_infer_ints(&asked, infer, 1, "shapes", err));
    if (asked.count > TARE_MAX_RANK) {
        return tare_fail(err, TARE_UNSUPPORTED, "a shape of %zu dims; at most %d are supported",
                         asked.count, TARE_MAX_RANK);
    }
    memcpy(shape.dims, x->dims, sizeof shape.dims);
    TARE_TRY(tare_infer_broadcast(&shape, (int)asked.count, asked.values, err));
    return tare_infer_output(infer, 0, x->dtype, shape.rank, shape.dims, err);
}

static tare_status infer_tile(tare_infer *infer, tare_error *err) {
    const tare_value *x = tare_infer_input(infer, 0);
    int64_t dims[TARE_MAX_RANK];
    tare_ints repeats;

    TARE_TRY(tare_infer_ints(&repeats, infer, 1, "repeats", err));
    if (repeats.count != (size_t)x->rank) {
        return tare_fail(err, TARE_INVALID_MODEL, "%zu repeats for an input with %d dims",
                         repeats.count, x->rank);
    }
    for (int i = 0; i < x->rank; i++) {
        if (repeats.values[i] < 0 ||
            (x->dims[i] > 0 && repeats.values[i] > INT64_MAX / x->dims[i])) {
            return tare_fail(err, TARE_INVALID_MODEL, "axis %d is repeated %lld times", i,
                             (long long)repeats.values[i]);
        }
        dims[i] = x->dims[i] * repeats.values[i];
    }
    return tare_infer_output(infer, 0, x->dtype, x->rank, dims, err);
}

/* Moves pads of the file's axes to all axes. */
static tare_status place_pads(tare_pad_attrs *attrs, const tare_ints *pads, const tare_ints *axes,
                              int rank, tare_error *err) {
    const size_t count = axes->values != NULL ? axes->count : (size_t)rank;
    bool seen[TARE_MAX_RANK];

    TARE_TRY(tare_infer_axes(seen, axes, rank, err));
    if (pads->count != 2 * count) {
        return tare_fail(err, TARE_INVALID_MODEL, "%zu pads for %zu axes", pads->count, count);
    }
    memset(attrs->begin, 0, sizeof attrs->begin);
    memset(attrs->end, 0, sizeof attrs->end);
    for (size_t i = 0; i < count; i++) {
        int64_t axis = (int64_t)i;
        if (axes->values != NULL) {
            TARE_TRY(tare_infer_axis(&axis, axes->values[i], rank, err));
        }
        attrs->begin[axis] = pads->values[i];
        attrs->end[axis] = pads->values[count + i];
    }
    return TARE_OK;
}

static tare_status padded_size(int64_t *out, const tare_pad_attrs *attrs, int axis, int64_t size,
                               tare_error *err) {
    /* The largest padding that each mode can take from the elements that are there. */
    const int64_t most[] = {INT64_MAX / 4, size - 1, size > 0 ? INT64_MAX / 4 : 0, size};
    const int64_t begin = attrs->begin[axis], end = attrs->end[axis];

    if (begin < -size || end < -size || size > INT64_MAX / 4 || begin > INT64_MAX / 4 ||
        end > INT64_MAX / 4 || size + begin + end < 0) {
        return tare_fail(err, TARE_INVALID_MODEL,
                         "axis %d of %lld cannot be padded by %lld and %lld", axis, (long long)size,
                         (long long)begin, (long long)end);
    }
    if ((begin > 0 && begin > most[attrs->mode]) || (end > 0 && end > most[attrs->mode])) {
        return tare_fail(err, TARE_UNSUPPORTED,
                         "axis %d of %lld elements is padded by %lld and %lld in mode %s", axis,
                         (long long)size, (long long)begin, (long long)end, pad_modes[attrs->mode]);
    }
    *out = size + begin + end;
    return TARE_OK;
}

static tare_status infer_pad(tare_infer *infer, tare_error *err) {
    tare_pad_attrs *attrs = infer->attrs;
    const tare_value *x = tare_infer_input(infer, 0);
    tare_ints pads = attrs->file_pads, axes = {0};
    int64_t dims[TARE_MAX_RANK];

    attrs->value = (double)attrs->file_value;
    if (infer->opset >= 11) {
        TARE_TRY(tare_infer_ints(&pads, infer, 1, "pads", err));
        TARE_TRY(tare_infer_number(&attrs->value, infer, 2, "values", err));
        TARE_TRY(tare_infer_ints(&axes, infer, 3, "axes", err));
    }
    TARE_TRY(place_pads(attrs, &pads, &axes, x->rank, err));
    for (int i = 0; i < x->rank; i++) {
        TARE_TRY(padded_size(&dims[i], attrs, i, x->dims[i], err));
    }
    return tare_infer_output(infer, 0, x->dtype, x->rank, dims, err);
}

static tare_status check_blocks(const tare_infer *infer, tare_error *err) {
    const tare_block_attrs *attrs = infer->attrs;
    TARE_TRY(tare_infer_rank(infer, 0, 4, 4, err));
    if (attrs->blocksize < 1 || attrs->blocksize > 32768) {
        return tare_fail(err, TARE_INVALID_MODEL, "blocksize is %lld", (long long)attrs->blocksize);
    }
    return TARE_OK;
}

static tare_status infer_depth_to_space(tare_infer *infer, tare_error *err) {
    const tare_block_attrs *attrs = infer->attrs;
    const tare_value *x = tare_infer_input(infer, 0);
    int64_t dims[4];

    TARE_TRY(check_blocks(infer, err));
    if (x->dims[1] % (attrs->blocksize * attrs->blocksize) != 0 ||
        x->dims[2] > INT64_MAX / attrs->blocksize || x->dims[3] > INT64_MAX / attrs->blocksize) {
        return tare_fail(err, TARE_INVALID_MODEL, "%lld channels do not make blocks of %lld x %lld",
                         (long long)x->dims[1], (long long)attrs->blocksize,
                         (long long)attrs->blocksize);
    }
    dims[0] = x->dims[0];
    dims[1] = x->dims[1] / (attrs->blocksize * attrs->blocksize);
    dims[2] = x->dims[2] * attrs->blocksize;
    dims[3] = x->dims[3] * attrs->blocksize;
    return tare_infer_output(infer, 0, x->dtype, 4, dims, err);
}

static tare_status infer_space_to_depth(tare_infer *infer, tare_error *err) {
    const tare_block_attrs *attrs = infer->attrs;
    const tare_value *x = tare_infer_input(infer, 0);
    int64_t dims[4];

    TARE_TRY(check_blocks(infer, err));
    if (x->dims[2] % attrs->blocksize != 0 || x->dims[3] % attrs->blocksize != 0 ||
        x->dims[1] > INT64_MAX / (attrs->blocksize * attrs->blocksize)) {
        return tare_fail(err, TARE_INVALID_MODEL, "%lld x %lld does not divide into blocks of %lld",
                         (long long)x->dims[2], (long long)x->dims[3], (long long)attrs->blocksize);
    }
    dims[0] = x->dims[0];
    dims[1] = x->dims[1] * attrs->blocksize * attrs->blocksize;
    dims[2] = x->dims[2] / attrs->blocksize;
    dims[3] = x->dims[3] / attrs->blocksize;
    return tare_infer_output(infer, 0, x->dtype, 4, dims, err);
}

static tare_status infer_trilu(tare_infer *infer, tare_error *err) {
    tare_trilu_attrs *attrs = infer->attrs;
    TARE_TRY(tare_infer_rank(infer, 0, 2, TARE_MAX_RANK, err));
    attrs->k = 0;
    if (tare_infer_input(infer, 1) != NULL) {
        TARE_TRY(tare_infer_int(&attrs->k, infer, 1, "k", err));
        attrs->k = clamp(attrs->k, -((int64_t)1 << 40), (int64_t)1 << 40);
    }
    return tare_infer_output_like(infer, 0, tare_infer_input(infer, 0), err);
}

const tare_op tare_ops_index[] = {
    {TARE_OP_ROW("Transpose", 1, 1, 1, 1, 1, infer_transpose),
     TARE_OP_ATTRS(tare_transpose_attrs, transpose_attrs)},
    {TARE_OP_ROW("Slice", 1, 1, 1, 1, 1, infer_slice), .until = 9,
     TARE_OP_ATTRS(tare_slice_attrs, slice_attrs)},
    {TARE_OP_ROW("Slice", 10, 3, 5, 1, 1, infer_slice), TARE_OP_ATTRS(tare_slice_attrs, NULL)},
    {TARE_OP_ROW("Split", 2, 1, 1, 1, -1, infer_split), .until = 12,
     TARE_OP_ATTRS(tare_split_attrs, split_attrs)},
    {TARE_OP_ROW("Split", 13, 1, 2, 1, -1, infer_split),
     TARE_OP_ATTRS(tare_split_attrs, split_attrs)},
    {TARE_OP_ROW("Concat", 4, 1, -1, 1, 1, infer_concat),
     TARE_OP_ATTRS(tare_axis_attrs, concat_attrs)},
    {TARE_OP_ROW("Expand", 8, 2, 2, 1, 1, infer_expand)},
    {TARE_OP_ROW("Tile", 6, 2, 2, 1, 1, infer_tile)},
    {TARE_OP_ROW("Pad", 2, 1, 1, 1, 1, infer_pad), .until = 10,
     TARE_OP_ATTRS(tare_pad_attrs, pad_attrs)},
    {TARE_OP_ROW("Pad", 11, 2, 3, 1, 1, infer_pad), .until = 17,
     TARE_OP_ATTRS(tare_pad_attrs, pad_attrs)},
    {TARE_OP_ROW("Pad", 18, 2, 4, 1, 1, infer_pad), TARE_OP_ATTRS(tare_pad_attrs, pad_attrs)},
    {TARE_OP_ROW("DepthToSpace", 1, 1, 1, 1, 1, infer_depth_to_space),
     TARE_OP_ATTRS(tare_block_attrs, block_attrs)},
    {TARE_OP_ROW("SpaceToDepth", 1, 1, 1, 1, 1, infer_space_to_depth),
     TARE_OP_ATTRS(tare_block_attrs, space_attrs)},
    {TARE_OP_ROW("Trilu", 14, 1, 2, 1, 1, infer_trilu),
     TARE_OP_ATTRS(tare_trilu_attrs, trilu_attrs)},
    {0}};
