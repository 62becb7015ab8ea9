/* SPDX-License-Identifier: Apache-2.0 */
/**
 * Reductions over any axes. The input is read once in the order of its memory; one double (or one
 * int64 for whole numbers) per output element collects in scratch memory.
 */
#include <math.h>
#include <string.h>

#include "cpu/element.h"
#include "cpu/kernels.h"
#include "cpu/vector.h"
#include "exec/nest.h"
#include "ops/attrs.h"

typedef struct reduce_row {
    double start;
    double (*step)(double sum, double x); /* takes in one element */
    double (*finish)(double sum, double count);
    int64_t integer_start;
    int64_t (*integer_step)(int64_t sum, int64_t x); /* NULL: not for whole numbers */
    bool squares, plain_sum; /* of float32: there are vectorised loops for these two */
    bool exponential;        /* the largest element is found first and subtracted */
} reduce_row;

typedef struct reduce_state {
    const reduce_row *row;
    const tare_vector *vector;
    const tare_accessor *accessor;
    tare_nest nest; /* operand 0: output, with stride 0 along reduced axes; operand 1: input */
    int64_t out_count;
    double reduced; /* elements behind each output */
    bool floats;
} reduce_state;

#define STEP(name, expression)                                                                     \
    static double step_##name(double sum, double x) {                                              \
        return (expression);                                                                       \
    }
#define FINISH(name, expression)                                                                   \
    static double finish_##name(double sum, double count) {                                        \
        TARE_UNUSED(count);                                                                        \
        return (expression);                                                                       \
    }
#define INTEGER(name, expression)                                                                  \
    static int64_t integer_##name(int64_t sum, int64_t x) {                                        \
        return (expression);                                                                       \
    }

STEP(sum, sum + x)
STEP(absolute, sum + fabs(x))
STEP(square, sum + x * x)
STEP(product, sum *x)
STEP(max, isnan(sum) || sum > x ? sum : x)
STEP(min, isnan(sum) || sum < x ? sum : x)
STEP(exp, sum + exp(x))
FINISH(same, sum)
FINISH(mean, sum / count)
FINISH(root, sqrt(sum))
FINISH(log, log(sum))
INTEGER(sum, (int64_t)((uint64_t)sum + (uint64_t)x))
INTEGER(absolute, (int64_t)((uint64_t)sum + (x < 0 ? 0U - (uint64_t)x : (uint64_t)x)))
INTEGER(square, (int64_t)((uint64_t)sum + (uint64_t)x * (uint64_t)x))
INTEGER(product, (int64_t)((uint64_t)sum *(uint64_t)x))
INTEGER(max, sum > x ? sum : x)
INTEGER(min, sum < x ? sum : x)

/* X(identifier, name, start, step, finish, integer start, integer step, squares, sum, exponential)
 */
#define REDUCE_ROWS(X)                                                                             \
    X(mean, "ReduceMean", 0.0, step_sum, finish_mean, 0, integer_sum, false, true, false)          \
    X(sum, "ReduceSum", 0.0, step_sum, finish_same, 0, integer_sum, false, true, false)            \
    X(max, "ReduceMax", -(double)INFINITY, step_max, finish_same, INT64_MIN, integer_max, false,   \
      false, false)                                                                                \
    X(min, "ReduceMin", (double)INFINITY, step_min, finish_same, INT64_MAX, integer_min, false,    \
      false, false)                                                                                \
    X(prod, "ReduceProd", 1.0, step_product, finish_same, 1, integer_product, false, false, false) \
    X(l1, "ReduceL1", 0.0, step_absolute, finish_same, 0, integer_absolute, false, false, false)   \
    X(l2, "ReduceL2", 0.0, step_square, finish_root, 0, NULL, true, false, false)                  \
    X(square, "ReduceSumSquare", 0.0, step_square, finish_same, 0, integer_square, true, false,    \
      false)                                                                                       \
    X(log_sum, "ReduceLogSum", 0.0, step_sum, finish_log, 0, NULL, false, true, false)             \
    X(log_sum_exp, "ReduceLogSumExp", 0.0, step_exp, finish_log, 0, NULL, false, false, true)

/* The nest over the input with the output's strides, those of reduced axes zero. */
static void reduce_nest(tare_nest *nest, const tare_prepare *prepare, const bool *reduced,
                        bool keepdims) {
    const tare_desc *in = &prepare->inputs[0], *out = &prepare->outputs[0];
    int64_t from[TARE_MAX_RANK], to[TARE_MAX_RANK], spread[TARE_MAX_RANK] = {0};
    int order[TARE_MAX_RANK], kept = 0;

    tare_desc_strides(from, in);
    tare_desc_strides(to, out);
    for (int axis = 0; axis < in->rank; axis++) {
        const int at = keepdims ? axis : kept;
        spread[axis] = reduced[axis] ? 0 : to[at];
        kept += reduced[axis] ? 0 : 1;
    }
    *nest = (tare_nest){.operand_count = 2};
    tare_desc_order(order, in);
    for (int i = 0; i < in->rank; i++) {
        const int64_t strides[2] = {spread[order[i]], from[order[i]]};
        tare_nest_axis(nest, in->dims[order[i]], strides);
    }
    tare_nest_finish(nest);
}

static tare_status reduce_prepare(tare_prepare *prepare, const reduce_row *row, tare_error *err) {
    const tare_reduce_attrs *attrs = prepare->attrs;
    const tare_desc *in = &prepare->inputs[0];
    reduce_state *state = prepare->private_data;
    bool reduced[TARE_MAX_RANK] = {false};

    state->row = row;
    state->vector = tare_vector_best();
    state->accessor = tare_accessor_of(in->dtype);
    state->out_count = tare_desc_count(&prepare->outputs[0]);
    state->floats = in->dtype == TARE_DTYPE_FLOAT;
    state->reduced = 1.0;
    if (state->accessor == NULL || in->dtype != prepare->outputs[0].dtype ||
        state->accessor->number == TARE_NUMBER_UNSIGNED ||
        (state->accessor->number == TARE_NUMBER_SIGNED && row->integer_step == NULL)) {
        return tare_fail(err, TARE_UNSUPPORTED, "element type %s is not supported",
                         tare_dtype_text(in->dtype));
    }
    for (int i = 0; i < attrs->axis_count; i++) {
        reduced[attrs->axes[i]] = true;
        state->reduced *= (double)in->dims[attrs->axes[i]];
    }
    reduce_nest(&state->nest, prepare, reduced, attrs->keepdims);
    prepare->scratch_bytes = (size_t)state->out_count * 2 * sizeof(double);
    return TARE_OK;
}

/* One row of float32: `step` apart in the sums (0: all into one). */
static void collect_floats(const reduce_state *state, const reduce_row *row, double *sums,
                           const float *in, const double *shift) {
    const int last = state->nest.rank - 1;
    const int64_t n = state->nest.dims[last], step = state->nest.strides[0][last];

    if (row->plain_sum && step == 0) {
        *sums += state->vector->sum(in, n);
    } else if (row->plain_sum && step == 1) {
        state->vector->add_columns(sums, in, n);
    } else if (row->squares && step == 0) {
        *sums += state->vector->sum_squares(in, n, 0.0);
    } else if (row->squares && step == 1) {
        state->vector->add_square_columns(sums, in, NULL, n);
    } else if (step == 0 && row->step == step_max) {
        *sums = step_max(*sums, (double)state->vector->maximum(in, n));
    } else if (step == 0 && row->step == step_min) {
        *sums = step_min(*sums, (double)state->vector->minimum(in, n));
    } else {
        for (int64_t i = 0; i < n; i++) {
            const double x = (double)in[i];
            double *sum = &sums[i * step];
            *sum = row->step(*sum, shift == NULL ? x : x - shift[i * step]);
        }
    }
}

static void collect_reals(const reduce_state *state, const reduce_row *row, double *sums,
                          const void *in, const double *shift) {
    tare_cursor cursor = {{0}, {0}};
    const tare_nest *nest = &state->nest;

    if (nest->empty) {
        return;
    }
    if (state->floats && nest->strides[1][nest->rank - 1] <= 1) {
        do {
            const int64_t at = cursor.offset[0];
            collect_floats(state, row, sums + at, (const float *)in + cursor.offset[1],
                           shift == NULL ? NULL : shift + at);
        } while (tare_cursor_next(&cursor, nest, nest->rank - 1));
        return;
    }
    do {
        const int64_t at = cursor.offset[0];
        const double x = state->accessor->real(in, cursor.offset[1]);
        sums[at] = row->step(sums[at], shift == NULL ? x : x - shift[at]);
    } while (tare_cursor_next(&cursor, nest, nest->rank));
}

static void reduce_integers(const reduce_state *state, const tare_run *run) {
    const reduce_row *row = state->row;
    const tare_nest *nest = &state->nest;
    tare_cursor cursor = {{0}, {0}};
    int64_t *sums = run->scratch;

    for (int64_t i = 0; i < state->out_count; i++) {
        sums[i] = row->integer_start;
    }
    if (!nest->empty) {
        do {
            const int64_t at = cursor.offset[0];
            sums[at] = row->integer_step(
                sums[at], state->accessor->integer(run->inputs[0], cursor.offset[1]));
        } while (tare_cursor_next(&cursor, nest, nest->rank));
    }
    for (int64_t i = 0; i < state->out_count; i++) {
        const int64_t count = (int64_t)state->reduced;
        const bool divide = row->finish == finish_mean && count > 0;
        state->accessor->set_integer(run->outputs[0], i, divide ? sums[i] / count : sums[i]);
    }
}

static const reduce_row largest = {.start = -(double)INFINITY, .step = step_max};

static tare_status reduce_run(const tare_run *run, tare_error *err) {
    const reduce_state *state = run->private_data;
    const reduce_row *row = state->row;
    double *sums = run->scratch, *shift = NULL;

    TARE_UNUSED(err);
    if (state->accessor->number == TARE_NUMBER_SIGNED) {
        reduce_integers(state, run);
        return TARE_OK;
    }
    if (row->exponential) {
        shift = sums + state->out_count;
        for (int64_t i = 0; i < state->out_count; i++) {
            shift[i] = largest.start;
        }
        collect_reals(state, &largest, shift, run->inputs[0], NULL);
        for (int64_t i = 0; i < state->out_count; i++) {
            shift[i] = isfinite(shift[i]) ? shift[i] : 0.0;
        }
    }
    for (int64_t i = 0; i < state->out_count; i++) {
        sums[i] = row->start;
    }
    collect_reals(state, row, sums, run->inputs[0], shift);
    for (int64_t i = 0; i < state->out_count; i++) {
        const double result = row->finish(sums[i], state->reduced);
        state->accessor->set_real(run->outputs[0], i, shift == NULL ? result : result + shift[i]);
    }
    return TARE_OK;
}

/* ArgMax and ArgMin: NaN wins, as in NumPy. */
typedef struct arg_state {
    const tare_accessor *accessor;
    tare_nest nest; /* without the axis; operand 0: output, operand 1: input */
    int64_t size, stride;
    bool largest, last;
} arg_state;

static tare_status arg_prepare(tare_prepare *prepare, bool largest_wins, tare_error *err) {
    const tare_reduce_attrs *attrs = prepare->attrs;
    const tare_desc *in = &prepare->inputs[0];
    arg_state *state = prepare->private_data;
    int64_t strides[TARE_MAX_RANK], to[TARE_MAX_RANK];
    int order[TARE_MAX_RANK];

    state->accessor = tare_accessor_of(in->dtype);
    if (state->accessor == NULL || state->accessor->number == TARE_NUMBER_UNSIGNED) {
        return tare_fail(err, TARE_UNSUPPORTED, "element type %s is not supported",
                         tare_dtype_text(in->dtype));
    }
    tare_desc_strides(strides, in);
    state->size = in->dims[attrs->axis];
    state->stride = strides[attrs->axis];
    state->largest = largest_wins;
    state->last = attrs->select_last_index;
    state->nest = (tare_nest){.operand_count = 2};
    tare_desc_strides(to, &prepare->outputs[0]);
    tare_desc_order(order, in);
    for (int i = 0; i < in->rank; i++) {
        const int axis = order[i];
        const int at = attrs->keepdims || axis < attrs->axis ? axis : axis - 1;
        if (axis != attrs->axis) {
            const int64_t both[2] = {to[at], strides[axis]};
            tare_nest_axis(&state->nest, in->dims[axis], both);
        }
    }
    tare_nest_finish(&state->nest);
    return TARE_OK;
}

static bool wins(double x, double best, const arg_state *state) {
    if (isnan(best)) {
        return state->last && isnan(x);
    }
    if (isnan(x) || (state->last && x == best)) {
        return true;
    }
    return state->largest ? x > best : x < best;
}

static tare_status arg_run(const tare_run *run, tare_error *err) {
    const arg_state *state = run->private_data;
    tare_cursor cursor = {{0}, {0}};
    int64_t *out = run->outputs[0];

    TARE_UNUSED(err);
    if (state->nest.empty || state->size == 0) {
        return TARE_OK;
    }
    do {
        const int64_t at = cursor.offset[1];
        double best = state->accessor->real(run->inputs[0], at);
        int64_t index = 0;
        for (int64_t k = 1; k < state->size; k++) {
            const double x = state->accessor->real(run->inputs[0], at + k * state->stride);
            if (wins(x, best, state)) {
                best = x;
                index = k;
            }
        }
        out[cursor.offset[0]] = index;
    } while (tare_cursor_next(&cursor, &state->nest, state->nest.rank));
    return TARE_OK;
}

/* MeanVarianceNormalization: (x - mean) / (deviation + 1e-9) over any axes. */
typedef struct mvn_state {
    tare_nest nest; /* operand 0: group, operand 1: input and output */
    int64_t groups;
    double reduced;
} mvn_state;

static tare_status mvn_prepare(tare_prepare *prepare, tare_error *err) {
    const tare_reduce_attrs *attrs = prepare->attrs;
    const tare_desc *in = &prepare->inputs[0];
    mvn_state *state = prepare->private_data;
    tare_desc groups = *in;
    tare_prepare grouped = *prepare;
    bool reduced[TARE_MAX_RANK] = {false};

    if (in->dtype != TARE_DTYPE_FLOAT || in->layout != prepare->outputs[0].layout) {
        return tare_fail(err, TARE_UNSUPPORTED, "element type %s is not supported",
                         tare_dtype_text(in->dtype));
    }
    state->reduced = 1.0;
    for (int i = 0; i < attrs->axis_count; i++) {
        reduced[attrs->axes[i]] = true;
        state->reduced *= (double)in->dims[attrs->axes[i]];
        groups.dims[attrs->axes[i]] = 1;
    }
    grouped.outputs = &groups;
    reduce_nest(&state->nest, &grouped, reduced, true);
    state->groups = tare_desc_count(&groups);
    prepare->scratch_bytes = (size_t)state->groups * 2 * sizeof(double);
    return TARE_OK;
}

static tare_status mvn_run(const tare_run *run, tare_error *err) {
    const mvn_state *state = run->private_data;
    const float *in = run->inputs[0];
    float *out = run->outputs[0];
    double *mean = run->scratch, *spread = mean + state->groups;

    TARE_UNUSED(err);
    for (int64_t g = 0; g < 2 * state->groups; g++) {
        mean[g] = 0.0;
    }
    /* Sums, then squares around the means, then the result. */
    for (int pass = 0; pass < 3 && !state->nest.empty; pass++) {
        tare_cursor cursor = {{0}, {0}};
        do {
            const int64_t g = cursor.offset[0], at = cursor.offset[1];
            const double x = (double)in[at];
            if (pass == 0) {
                mean[g] += x / state->reduced;
            } else if (pass == 1) {
                spread[g] += (x - mean[g]) * (x - mean[g]) / state->reduced;
            } else {
                out[at] = (float)((x - mean[g]) / (sqrt(spread[g]) + 1e-9));
            }
        } while (tare_cursor_next(&cursor, &state->nest, state->nest.rank));
    }
    return TARE_OK;
}

static tare_status prepare_arg_max(tare_prepare *prepare, tare_error *err) {
    return arg_prepare(prepare, true, err);
}

static tare_status prepare_arg_min(tare_prepare *prepare, tare_error *err) {
    return arg_prepare(prepare, false, err);
}

#define PREPARE(id, name, start, step, finish, integer_start, integer_step, squares, plain, exp)   \
    static tare_status prepare_##id(tare_prepare *prepare, tare_error *err) {                      \
        static const reduce_row row = {start,        step,    finish, integer_start,               \
                                       integer_step, squares, plain,  exp};                        \
        return reduce_prepare(prepare, &row, err);                                                 \
    }

REDUCE_ROWS(PREPARE)

#define KERNEL(text, state, prepare_function, run_function)                                        \
    {                                                                                              \
        .name = text, .private_size = sizeof(state), .layout = TARE_LAYOUT_RULE_FOLLOW,            \
        .prepare = prepare_function, .run = run_function                                           \
    }
#define ROW(id, name, start, step, finish, integer_start, integer_step, squares, plain, exp)       \
    KERNEL(name, reduce_state, prepare_##id, reduce_run),

static const tare_kernel rows[] = {
    REDUCE_ROWS(ROW) KERNEL("ArgMax", arg_state, prepare_arg_max, arg_run),
    KERNEL("ArgMin", arg_state, prepare_arg_min, arg_run),
    KERNEL("MeanVarianceNormalization", mvn_state, mvn_prepare, mvn_run)};

const tare_kernel_table tare_cpu_reduce_table = {rows, sizeof rows / sizeof rows[0]};
