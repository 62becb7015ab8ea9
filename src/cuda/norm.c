/* SPDX-License-Identifier: Apache-2.0 */
/** Normalisations: operands seen as rows, columns and runs, constants made into parameters. */
#include "cuda/norm.h"

#include <math.h>
#include <stdlib.h>

#include "cuda/kernels.h"
#include "exec/nest.h"
#include "ops/attrs.h"

/* What MeanVarianceNormalization adds to the deviation. */
#define DEVIATION_EPSILON 1e-9F

static bool is_real(const tare_desc *desc) {
    return desc->dtype == TARE_DTYPE_FLOAT || desc->dtype == TARE_DTYPE_FLOAT16;
}

/* The operand may be stored in either type, results like it, parameters independently. */
static tare_status check_operands(const tare_prepare *prepare, tare_error *err) {
    const tare_desc *in = &prepare->inputs[0];
    for (size_t i = 0; i < prepare->input_count; i++) {
        if (prepare->inputs[i].rank >= 0 && !is_real(&prepare->inputs[i])) {
            return tare_fail(err, TARE_UNSUPPORTED, "element type %s is not supported",
                             tare_dtype_text(prepare->inputs[i].dtype));
        }
    }
    for (size_t i = 0; i < prepare->output_count; i++) {
        if (prepare->outputs[i].rank >= 0 && prepare->outputs[i].dtype != in->dtype) {
            return tare_fail(err, TARE_UNSUPPORTED, "results of type %s from type %s",
                             tare_dtype_text(prepare->outputs[i].dtype),
                             tare_dtype_text(in->dtype));
        }
    }
    if (in->layout != prepare->outputs[0].layout) {
        return tare_fail(err, TARE_UNSUPPORTED, "input and output have different layouts");
    }
    return TARE_OK;
}

/* An operand as samples, channels and positions in memory. */
static tare_norm_shape channel_shape(const tare_desc *in) {
    tare_norm_shape shape = {in->dtype, in->dims[0], 1, in->dims[1], 1};
    int64_t positions = 1;
    for (int axis = 2; axis < in->rank; axis++) {
        positions *= in->dims[axis];
    }
    *(in->layout == TARE_LAYOUT_CHANNELS_LAST && shape.columns != 1 ? &shape.rows : &shape.length) =
        positions;
    return shape;
}

/* The elements of inputs `first` to `last`: TARE_INVALID_MODEL where they are not `count`. */
static tare_status check_counts(const tare_prepare *prepare, size_t first, size_t last,
                                int64_t count, tare_error *err) {
    for (size_t i = first; i <= last; i++) {
        if (i >= prepare->input_count || prepare->inputs[i].rank < 0 ||
            tare_desc_count(&prepare->inputs[i]) != count) {
            return tare_fail(err, TARE_INVALID_MODEL, "parameter %zu does not have %lld elements",
                             i, (long long)count);
        }
    }
    return TARE_OK;
}

typedef struct batch_state {
    tare_norm_shape shape;
    bool half[5]; /* how the inputs are stored */
    float epsilon;
    tare_device *device;
    void *folded; /* scale and shift of constant parameters */
} batch_state;

/* Scale and shift of each channel, where all parameters are constants. */
static tare_status upload_folded(batch_state *state, tare_prepare *prepare, tare_error *err) {
    const size_t channels = (size_t)state->shape.columns;
    const float *parameters[4];
    float *folded;
    tare_status status;

    for (size_t i = 0; i < 4; i++) {
        const tare_tensor *constant = prepare->constants[i + 1];
        if (constant == NULL || constant->dtype != TARE_DTYPE_FLOAT || channels == 0) {
            return TARE_OK;
        }
        parameters[i] = constant->data;
    }
    folded = calloc(channels, 2 * sizeof *folded);
    if (folded == NULL) {
        return tare_fail_memory(err, channels * 2 * sizeof *folded, "scales of channels");
    }
    for (size_t c = 0; c < channels; c++) {
        const double factor =
            (double)parameters[0][c] / sqrt((double)parameters[3][c] + (double)state->epsilon);
        folded[c] = (float)factor;
        folded[channels + c] =
            (float)((double)parameters[1][c] - (double)parameters[2][c] * factor);
    }
    status =
        tare_cuda_upload(&state->folded, state->device, folded, channels * 2 * sizeof *folded, err);
    free(folded);
    if (status == TARE_OK) {
        prepare->unread = 0x1e;
        prepare->weight_bytes = channels * 2 * sizeof *folded;
    }
    return status;
}

static tare_status batch_prepare(tare_prepare *prepare, tare_error *err) {
    batch_state *state = prepare->private_data;

    TARE_TRY(check_operands(prepare, err));
    state->shape = channel_shape(&prepare->inputs[0]);
    /* All samples have the same parameters, so that they are only more rows. */
    state->shape.rows *= state->shape.outer;
    state->shape.outer = 1;
    TARE_TRY(check_counts(prepare, 1, 4, state->shape.columns, err));
    for (size_t i = 0; i < 5; i++) {
        state->half[i] = prepare->inputs[i].dtype == TARE_DTYPE_FLOAT16;
    }
    state->device = prepare->device;
    state->epsilon = ((const tare_norm_attrs *)prepare->attrs)->epsilon;
    TARE_TRY(upload_folded(state, prepare, err));
    prepare->scratch_bytes =
        state->folded == NULL ? (size_t)state->shape.columns * 2 * sizeof(float) : 0;
    return TARE_OK;
}

static void batch_release(void *private_data) {
    batch_state *state = private_data;
    if (state->folded != NULL) {
        tare_cuda_free(state->device, state->folded);
        state->folded = NULL;
    }
}

static tare_status batch_run(const tare_run *run, tare_error *err) {
    const batch_state *state = run->private_data;
    const int64_t channels = state->shape.columns;
    const float *scale = state->folded;

    if (scale == NULL) {
        const tare_norm_fold fold = {.scale = run->scratch,
                                     .shift = (float *)run->scratch + channels,
                                     .gamma = {run->inputs[1], state->half[1]},
                                     .beta = {run->inputs[2], state->half[2]},
                                     .mean = {run->inputs[3], state->half[3]},
                                     .variance = {run->inputs[4], state->half[4]},
                                     .channels = channels,
                                     .epsilon = state->epsilon};
        TARE_TRY(tare_cuda_norm_fold(&fold, run->queue->stream, err));
        scale = run->scratch;
    }
    const tare_norm_apply apply = {.shape = state->shape,
                                   .out = run->outputs[0],
                                   .in = run->inputs[0],
                                   .scale = scale,
                                   .shift = scale + channels,
                                   .shared = true};
    return tare_cuda_norm_apply(&apply, run->queue->stream, err);
}

/* Instance, group and mean-variance normalisation: statistics first, then their application. */
typedef struct groups_state {
    tare_norm_statistics statistics; /* without pointers */
    size_t part_count, column_count;
    bool weighted;
} groups_state;

/* A single column is one run, which has a kernel of its own. */
static void set_shape(groups_state *state, tare_prepare *prepare, tare_norm_shape shape) {
    if (shape.columns == 1 && shape.length == 1) {
        shape.length = shape.rows;
        shape.rows = 1;
    }
    state->statistics.shape = shape;
    state->column_count = (size_t)(shape.outer * shape.columns);
    state->part_count = state->column_count * (size_t)tare_norm_tiles(&shape);
    prepare->scratch_bytes =
        state->part_count * sizeof(tare_norm_part) + state->column_count * 3 * sizeof(float);
}

static tare_status groups_prepare(tare_prepare *prepare, int64_t groups, tare_error *err) {
    groups_state *state = prepare->private_data;
    const tare_norm_shape shape = channel_shape(&prepare->inputs[0]);
    const int64_t count = groups == 0 ? shape.columns : groups;
    int64_t weights;

    TARE_TRY(check_operands(prepare, err));
    weights = tare_desc_count(&prepare->inputs[1]);
    if (shape.columns > 0 && (count <= 0 || shape.columns % count != 0)) {
        return tare_fail(err, TARE_INVALID_MODEL, "%lld channels do not divide into %lld groups",
                         (long long)shape.columns, (long long)count);
    }
    TARE_TRY(check_counts(prepare, 1, 2, weights == count ? count : shape.columns, err));
    state->weighted = true;
    state->statistics.group = shape.columns == 0 ? 1 : shape.columns / count;
    state->statistics.per_group = weights == count && weights != shape.columns;
    state->statistics.scale.half = prepare->inputs[1].dtype == TARE_DTYPE_FLOAT16;
    state->statistics.bias.half = prepare->inputs[2].dtype == TARE_DTYPE_FLOAT16;
    state->statistics.epsilon = ((const tare_norm_attrs *)prepare->attrs)->epsilon;
    set_shape(state, prepare, shape);
    return TARE_OK;
}

static tare_status instance_prepare(tare_prepare *prepare, tare_error *err) {
    return groups_prepare(prepare, 0, err);
}

static tare_status group_prepare(tare_prepare *prepare, tare_error *err) {
    return groups_prepare(prepare, ((const tare_norm_attrs *)prepare->attrs)->num_groups, err);
}

/* The axes in the order of memory, neighbours that are both reduced or both kept as one, have to be
 * kept, reduced, kept and reduced ones, each of which may be missing. */
static tare_status mvn_shape(tare_norm_shape *shape, const tare_prepare *prepare, tare_error *err) {
    const tare_reduce_attrs *attrs = prepare->attrs;
    const tare_desc *in = &prepare->inputs[0];
    int64_t levels[4] = {1, 1, 1, 1};
    bool reduced[TARE_MAX_RANK] = {false};
    int order[TARE_MAX_RANK], level = 0;

    for (int i = 0; i < attrs->axis_count; i++) {
        reduced[attrs->axes[i]] = true;
    }
    tare_desc_order(order, in);
    for (int i = 0; i < in->rank; i++) {
        if (in->dims[order[i]] == 1) {
            continue;
        }
        level += (level % 2 != 0) != reduced[order[i]] ? 1 : 0;
        if (level > 3) {
            return tare_fail(err, TARE_UNSUPPORTED,
                             "means over axes that take turns with others in memory");
        }
        levels[level] *= in->dims[order[i]];
    }
    *shape = (tare_norm_shape){in->dtype, levels[0], levels[1], levels[2], levels[3]};
    return TARE_OK;
}

static tare_status mvn_prepare(tare_prepare *prepare, tare_error *err) {
    groups_state *state = prepare->private_data;
    tare_norm_shape shape;

    TARE_TRY(check_operands(prepare, err));
    TARE_TRY(mvn_shape(&shape, prepare, err));
    state->statistics.group = 1;
    state->statistics.outside = true;
    state->statistics.epsilon = DEVIATION_EPSILON;
    set_shape(state, prepare, shape);
    return TARE_OK;
}

static tare_status groups_run(const tare_run *run, tare_error *err) {
    const groups_state *state = run->private_data;
    tare_norm_statistics work = state->statistics;

    work.in = run->inputs[0];
    work.scale.data = state->weighted ? run->inputs[1] : NULL;
    work.bias.data = state->weighted ? run->inputs[2] : NULL;
    work.parts = run->scratch;
    work.center = (float *)(void *)(work.parts + state->part_count);
    work.factor = work.center + state->column_count;
    work.shift = work.factor + state->column_count;
    TARE_TRY(tare_cuda_norm_statistics(&work, run->queue->stream, err));
    const tare_norm_apply apply = {.shape = work.shape,
                                   .out = run->outputs[0],
                                   .in = work.in,
                                   .center = work.center,
                                   .scale = work.factor,
                                   .shift = work.shift};
    return tare_cuda_norm_apply(&apply, run->queue->stream, err);
}

typedef struct layer_state {
    tare_norm_layer work; /* without pointers */
    bool has_bias, wants[2];
} layer_state;

static tare_status layer_prepare(tare_prepare *prepare, tare_error *err) {
    const tare_norm_attrs *attrs = prepare->attrs;
    const tare_desc *in = &prepare->inputs[0];
    layer_state *state = prepare->private_data;
    tare_norm_layer *work = &state->work;

    TARE_TRY(check_operands(prepare, err));
    *work = (tare_norm_layer){.dtype = in->dtype, .rows = 1, .size = 1, .epsilon = attrs->epsilon};
    for (int axis = 0; axis < in->rank; axis++) {
        *(axis < attrs->axis ? &work->rows : &work->size) *= in->dims[axis];
    }
    for (size_t i = 1; i < prepare->input_count; i++) {
        const tare_desc *parameter = &prepare->inputs[i];
        if (parameter->rank >= 0 && tare_desc_count(parameter) != work->size) {
            return tare_fail(err, TARE_UNSUPPORTED,
                             "scale or bias of %lld elements for %lld normalised ones",
                             (long long)tare_desc_count(parameter), (long long)work->size);
        }
        *(i == 1 ? &work->scale.half : &work->bias.half) = parameter->dtype == TARE_DTYPE_FLOAT16;
    }
    state->has_bias = prepare->input_count > 2 && prepare->inputs[2].rank >= 0;
    for (size_t i = 1; i < prepare->output_count && i < 3; i++) {
        state->wants[i - 1] = prepare->outputs[i].rank >= 0;
    }
    return TARE_OK;
}

static tare_status layer_run(const tare_run *run, tare_error *err) {
    const layer_state *state = run->private_data;
    tare_norm_layer work = state->work;

    work.in = run->inputs[0];
    work.out = run->outputs[0];
    work.scale.data = run->inputs[1];
    work.bias.data = state->has_bias ? run->inputs[2] : NULL;
    work.mean = state->wants[0] ? run->outputs[1] : NULL;
    work.inverse = state->wants[1] ? run->outputs[2] : NULL;
    return tare_cuda_norm_layer(&work, run->queue->stream, err);
}

/* LRN and LpNormalization. */
typedef struct axis_state {
    tare_norm_axis work;
    tare_norm_response response;
    bool squares;
} axis_state;

static tare_status axis_prepare(tare_prepare *prepare, int axis, int least_rank, tare_error *err) {
    axis_state *state = prepare->private_data;
    const tare_desc *in = &prepare->inputs[0];
    tare_axis_view view;

    TARE_TRY(check_operands(prepare, err));
    if (in->rank < least_rank) {
        return tare_fail(err, TARE_UNSUPPORTED, "an operand of rank %d", in->rank);
    }
    view = tare_axis_view_of(in, axis);
    state->work = (tare_norm_axis){
        .dtype = in->dtype, .outer = view.outer, .size = view.size, .inner = view.inner};
    return TARE_OK;
}

static tare_status lrn_prepare(tare_prepare *prepare, tare_error *err) {
    const tare_lrn_attrs *attrs = prepare->attrs;
    axis_state *state = prepare->private_data;

    TARE_TRY(axis_prepare(prepare, 1, 2, err));
    /* Wider windows than the channels could only overflow. */
    if (attrs->size < 1 || attrs->size > INT32_MAX) {
        return tare_fail(err, TARE_UNSUPPORTED, "LRN of size %lld", (long long)attrs->size);
    }
    state->response = (tare_norm_response){attrs->alpha, attrs->beta, attrs->bias, attrs->size};
    return TARE_OK;
}

static tare_status lp_prepare(tare_prepare *prepare, tare_error *err) {
    const tare_lp_attrs *attrs = prepare->attrs;
    axis_state *state = prepare->private_data;

    TARE_TRY(axis_prepare(prepare, (int)attrs->axis, 1, err));
    if (attrs->p != 1 && attrs->p != 2) {
        return tare_fail(err, TARE_UNSUPPORTED, "norm %lld", (long long)attrs->p);
    }
    state->squares = attrs->p == 2;
    return TARE_OK;
}

static tare_norm_axis axis_work(const tare_run *run) {
    tare_norm_axis work = ((const axis_state *)run->private_data)->work;
    work.in = run->inputs[0];
    work.out = run->outputs[0];
    return work;
}

static tare_status lrn_run(const tare_run *run, tare_error *err) {
    const axis_state *state = run->private_data;
    const tare_norm_axis work = axis_work(run);
    return tare_cuda_norm_lrn(&work, &state->response, run->queue->stream, err);
}

static tare_status lp_run(const tare_run *run, tare_error *err) {
    const axis_state *state = run->private_data;
    const tare_norm_axis work = axis_work(run);
    return tare_cuda_norm_lp(&work, state->squares, run->queue->stream, err);
}

#define KERNEL(text, state, rule, prepare_function, run_function)                                  \
    {                                                                                              \
        .name = text, .private_size = sizeof(state), .layout = rule, .prepare = prepare_function,  \
        .run = run_function                                                                        \
    }

static const tare_kernel rows[] = {
    {.name = "BatchNormalization",
     .private_size = sizeof(batch_state),
     .layout = TARE_LAYOUT_RULE_FOLLOW,
     .prepare = batch_prepare,
     .run = batch_run,
     .release = batch_release},
    KERNEL("InstanceNormalization", groups_state, TARE_LAYOUT_RULE_FOLLOW, instance_prepare,
           groups_run),
    KERNEL("GroupNormalization", groups_state, TARE_LAYOUT_RULE_FOLLOW, group_prepare, groups_run),
    KERNEL("MeanVarianceNormalization", groups_state, TARE_LAYOUT_RULE_FOLLOW, mvn_prepare,
           groups_run),
    KERNEL("LayerNormalization", layer_state, TARE_LAYOUT_RULE_PLAIN, layer_prepare, layer_run),
    KERNEL("LRN", axis_state, TARE_LAYOUT_RULE_FOLLOW, lrn_prepare, lrn_run),
    KERNEL("LpNormalization", axis_state, TARE_LAYOUT_RULE_FOLLOW, lp_prepare, lp_run),
};

const tare_kernel_table tare_cuda_norm_table = {rows, sizeof rows / sizeof rows[0]};
