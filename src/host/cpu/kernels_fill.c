/* SPDX-License-Identifier: Apache-2.0 */
/** Operators that make or order elements: ConstantOfShape, Range, Trilu, CumSum, TopK. All operands
 * are plain. */
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "cpu/element.h"
#include "cpu/kernels.h"
#include "exec/nest.h"
#include "ops/attrs.h"

typedef struct fill_state {
    const tare_accessor *element;
    int64_t count;
    size_t bytes;
    unsigned char value[8];
} fill_state;

static tare_status fill_prepare(tare_prepare *prepare, tare_error *err) {
    const tare_constant_attrs *attrs = prepare->attrs;
    fill_state *state = prepare->private_data;
    const tare_desc *out = &prepare->outputs[0];

    state->element = tare_accessor_of(out->dtype);
    state->count = tare_desc_count(out);
    state->bytes = tare_dtype_bytes(out->dtype);
    if (state->element == NULL) {
        return tare_fail(err, TARE_UNSUPPORTED, "element type %s is not supported",
                         tare_dtype_text(out->dtype));
    }
    if (attrs->value != NULL) {
        if (attrs->value->dtype != out->dtype || tare_tensor_count(attrs->value) != 1) {
            return tare_fail(err, TARE_INVALID_MODEL, "the value is not one %s element",
                             tare_dtype_text(out->dtype));
        }
        memcpy(state->value, attrs->value->data, state->bytes);
    }
    return TARE_OK;
}

static tare_status fill_run(const tare_run *run, tare_error *err) {
    const fill_state *state = run->private_data;
    TARE_UNUSED(err);
    for (int64_t i = 0; i < state->count; i++) {
        memcpy((char *)run->outputs[0] + (size_t)i * state->bytes, state->value, state->bytes);
    }
    return TARE_OK;
}

/* Inputs: start, limit, step. */
static tare_status range_prepare(tare_prepare *prepare, tare_error *err) {
    fill_state *state = prepare->private_data;
    state->element = tare_accessor_of(prepare->outputs[0].dtype);
    state->count = tare_desc_count(&prepare->outputs[0]);
    if (state->element == NULL) {
        return tare_fail(err, TARE_UNSUPPORTED, "element type %s is not supported",
                         tare_dtype_text(prepare->outputs[0].dtype));
    }
    return TARE_OK;
}

static tare_status range_run(const tare_run *run, tare_error *err) {
    const fill_state *state = run->private_data;
    const tare_accessor *element = state->element;

    TARE_UNUSED(err);
    for (int64_t i = 0; i < state->count; i++) {
        if (element->number == TARE_NUMBER_REAL) {
            element->set_real(run->outputs[0], i,
                              element->real(run->inputs[0], 0) +
                                  (double)i * element->real(run->inputs[2], 0));
        } else {
            element->set_integer(
                run->outputs[0], i,
                (int64_t)((uint64_t)element->integer(run->inputs[0], 0) +
                          (uint64_t)i * (uint64_t)element->integer(run->inputs[2], 0)));
        }
    }
    return TARE_OK;
}

typedef struct trilu_state {
    int64_t matrices, rows, columns, k;
    size_t bytes;
    bool upper;
} trilu_state;

static tare_status trilu_prepare(tare_prepare *prepare, tare_error *err) {
    const tare_trilu_attrs *attrs = prepare->attrs;
    const tare_desc *in = &prepare->inputs[0];
    trilu_state *state = prepare->private_data;

    if (in->rank < 2 || tare_dtype_bytes(in->dtype) == 0) {
        return tare_fail(err, TARE_UNSUPPORTED, "Trilu of a %s operand of rank %d",
                         tare_dtype_text(in->dtype), in->rank);
    }
    state->rows = in->dims[in->rank - 2];
    state->columns = in->dims[in->rank - 1];
    state->matrices = 1;
    for (int axis = 0; axis < in->rank - 2; axis++) {
        state->matrices *= in->dims[axis];
    }
    state->bytes = tare_dtype_bytes(in->dtype);
    state->upper = attrs->upper;
    /* Diagonals beyond the matrix are all the same; limiting k keeps the sums below in range. */
    state->k = attrs->k;
    state->k = state->k < -state->rows ? -state->rows : state->k;
    state->k = state->k > state->columns ? state->columns : state->k;
    return TARE_OK;
}

static tare_status trilu_run(const tare_run *run, tare_error *err) {
    const trilu_state *state = run->private_data;
    const char *in = run->inputs[0];
    char *out = run->outputs[0];

    TARE_UNUSED(err);
    for (int64_t i = 0; i < state->matrices * state->rows; i++) {
        const int64_t row = i % state->rows;
        for (int64_t column = 0; column < state->columns; column++) {
            const bool keep = state->upper ? column >= row + state->k : column <= row + state->k;
            if (keep) {
                memcpy(out, in, state->bytes);
            } else {
                memset(out, 0, state->bytes);
            }
            in += state->bytes;
            out += state->bytes;
        }
    }
    return TARE_OK;
}

typedef struct cumsum_state {
    tare_axis_view view;
    const tare_accessor *element;
    bool exclusive, reverse;
} cumsum_state;

static tare_status cumsum_prepare(tare_prepare *prepare, tare_error *err) {
    const tare_cumsum_attrs *attrs = prepare->attrs;
    cumsum_state *state = prepare->private_data;

    state->element = tare_accessor_of(prepare->inputs[0].dtype);
    if (state->element == NULL || prepare->inputs[0].rank == 0) {
        return tare_fail(err, TARE_UNSUPPORTED, "CumSum of a %s operand of rank %d",
                         tare_dtype_text(prepare->inputs[0].dtype), prepare->inputs[0].rank);
    }
    state->view = tare_axis_view_of(&prepare->inputs[0], (int)attrs->axis);
    state->exclusive = attrs->exclusive;
    state->reverse = attrs->reverse;
    return TARE_OK;
}

static void cumsum_line(const cumsum_state *state, const tare_run *run, int64_t base) {
    const tare_accessor *element = state->element;
    double real = 0.0;
    uint64_t whole = 0;

    for (int64_t k = 0; k < state->view.size; k++) {
        const int64_t index = state->reverse ? state->view.size - 1 - k : k;
        const int64_t at = base + index * state->view.inner;
        const double real_before = real;
        const uint64_t whole_before = whole;
        if (element->number == TARE_NUMBER_REAL) {
            real += element->real(run->inputs[0], at);
            element->set_real(run->outputs[0], at, state->exclusive ? real_before : real);
        } else {
            whole += (uint64_t)element->integer(run->inputs[0], at);
            element->set_integer(run->outputs[0], at,
                                 (int64_t)(state->exclusive ? whole_before : whole));
        }
    }
}

static tare_status cumsum_run(const tare_run *run, tare_error *err) {
    const cumsum_state *state = run->private_data;
    const tare_axis_view *view = &state->view;

    TARE_UNUSED(err);
    for (int64_t i = 0; i < view->outer * view->inner; i++) {
        cumsum_line(state, run, i / view->inner * view->size * view->inner + i % view->inner);
    }
    return TARE_OK;
}

typedef struct topk_state {
    tare_axis_view view;
    const tare_accessor *element;
    int64_t k;
    bool largest;
    bool wants_indices;
} topk_state;

/* An element and where it stood; ties go to the lower index. */
typedef struct candidate {
    double real;
    int64_t whole;
    int64_t index;
} candidate;

static tare_status topk_prepare(tare_prepare *prepare, tare_error *err) {
    const tare_topk_attrs *attrs = prepare->attrs;
    const tare_desc *in = &prepare->inputs[0];
    topk_state *state = prepare->private_data;

    state->element = tare_accessor_of(in->dtype);
    if (state->element == NULL || state->element->number == TARE_NUMBER_UNSIGNED || in->rank == 0 ||
        prepare->outputs[0].rank < 0) {
        return tare_fail(err, TARE_UNSUPPORTED, "TopK of a %s operand of rank %d",
                         tare_dtype_text(in->dtype), in->rank);
    }
    state->view = tare_axis_view_of(in, (int)attrs->axis);
    state->k = attrs->k;
    state->largest = attrs->largest;
    state->wants_indices = prepare->output_count > 1 && prepare->outputs[1].rank >= 0;
    if (state->k < 0 || state->k > state->view.size) {
        return tare_fail(err, TARE_INVALID_MODEL, "the best %lld of %lld elements",
                         (long long)state->k, (long long)state->view.size);
    }
    prepare->scratch_bytes = (size_t)state->view.size * sizeof(candidate);
    return TARE_OK;
}

/* NaN counts as the largest: qsort() needs a total order. */
static int by_value(const candidate *a, const candidate *b) {
    if (a->whole != b->whole) {
        return a->whole < b->whole ? -1 : 1;
    }
    if (isnan(a->real) || isnan(b->real)) {
        return (isnan(a->real) ? 1 : 0) - (isnan(b->real) ? 1 : 0);
    }
    return a->real < b->real ? -1 : (a->real > b->real ? 1 : 0);
}

static int ascending(const void *a, const void *b) {
    const candidate *x = a, *y = b;
    const int order = by_value(x, y);
    return order != 0 ? order : (x->index < y->index ? -1 : 1);
}

static int descending(const void *a, const void *b) {
    const candidate *x = a, *y = b;
    const int order = by_value(y, x);
    return order != 0 ? order : (x->index < y->index ? -1 : 1);
}

static tare_status topk_run(const tare_run *run, tare_error *err) {
    const topk_state *state = run->private_data;
    const tare_axis_view *view = &state->view;
    const tare_accessor *element = state->element;
    candidate *line = run->scratch;

    TARE_UNUSED(err);
    for (int64_t i = 0; view->size > 0 && i < view->outer * view->inner; i++) {
        const int64_t outer = i / view->inner, inner = i % view->inner;
        for (int64_t k = 0; k < view->size; k++) {
            const int64_t at = (outer * view->size + k) * view->inner + inner;
            const bool real = element->number == TARE_NUMBER_REAL;
            line[k] = (candidate){.real = real ? element->real(run->inputs[0], at) : 0.0,
                                  .whole = real ? 0 : element->integer(run->inputs[0], at),
                                  .index = k};
        }
        qsort(line, (size_t)view->size, sizeof *line, state->largest ? descending : ascending);
        for (int64_t k = 0; k < state->k; k++) {
            const int64_t at = (outer * state->k + k) * view->inner + inner;
            if (element->number == TARE_NUMBER_REAL) {
                element->set_real(run->outputs[0], at, line[k].real);
            } else {
                element->set_integer(run->outputs[0], at, line[k].whole);
            }
            if (state->wants_indices) {
                ((int64_t *)run->outputs[1])[at] = line[k].index;
            }
        }
    }
    return TARE_OK;
}

#define KERNEL(text, state, prepare_function, run_function)                                        \
    {                                                                                              \
        .name = text, .private_size = sizeof(state), .layout = TARE_LAYOUT_RULE_PLAIN,             \
        .prepare = prepare_function, .run = run_function                                           \
    }

static const tare_kernel rows[] = {
    KERNEL("ConstantOfShape", fill_state, fill_prepare, fill_run),
    KERNEL("Range", fill_state, range_prepare, range_run),
    KERNEL("Trilu", trilu_state, trilu_prepare, trilu_run),
    KERNEL("CumSum", cumsum_state, cumsum_prepare, cumsum_run),
    KERNEL("TopK", topk_state, topk_prepare, topk_run),
};

const tare_kernel_table tare_cpu_fill_table = {rows, sizeof rows / sizeof rows[0]};
