/* SPDX-License-Identifier: Apache-2.0 */
/** Staged input of a batch on its way into the form in which the plan takes it: pixels through a
 * table of values, everything else as a Reorder. */
#include "cuda/ingest.h"

#include "cuda/move_plan.h"

/* As many samples at once as a launch takes. */
static tare_status start_chunks(tare_pixels_launch *launch, const tare_desc *desc,
                                tare_stream stream, tare_error *err) {
    const int64_t per_sample = tare_desc_count(desc) / desc->dims[0];
    const int64_t most = TARE_PIXELS_MAX / per_sample;

    if (most == 0) {
        return tare_fail(err, TARE_UNSUPPORTED, "an image of %lld elements, expected at most %lld",
                         (long long)per_sample, (long long)TARE_PIXELS_MAX);
    }
    for (int64_t first = 0; first < desc->dims[0]; first += most) {
        const int64_t left = desc->dims[0] - first;
        launch->count = (uint32_t)((left < most ? left : most) * per_sample);
        TARE_TRY(tare_pixels_start(launch, stream, err));
        launch->src += launch->count;
        launch->dst = (unsigned char *)launch->dst + launch->count * tare_dtype_bytes(desc->dtype);
    }
    return TARE_OK;
}

static tare_status pixels(tare_queue *queue, const tare_ingest *ingest, tare_error *err) {
    const tare_desc *desc = ingest->desc;
    const int axis = ingest->channel_axis, row = axis == 1 ? 2 : 1;
    int64_t steps[TARE_MAX_RANK];
    tare_pixels_launch launch = {.dst = ingest->to, .src = ingest->from, .table = ingest->table};

    if (ingest->from_dtype != TARE_DTYPE_UINT8 || desc->rank != 4 || (axis != 1 && axis != 3) ||
        (desc->dtype != TARE_DTYPE_FLOAT && desc->dtype != TARE_DTYPE_FLOAT16)) {
        return tare_fail(err, TARE_UNSUPPORTED,
                         "%s pixels with channels on axis %d into a %s tensor of rank %d, expected "
                         "uint8 pixels, axis 1 or 3, a float tensor of rank 4",
                         tare_dtype_text(ingest->from_dtype), axis, tare_dtype_text(desc->dtype),
                         desc->rank);
    }
    tare_desc_strides(steps, desc);
    if (tare_desc_count(desc) == 0) {
        return TARE_OK;
    }
    launch.rows = tare_divisor_of((uint64_t)desc->dims[row]);
    launch.columns = tare_divisor_of((uint64_t)desc->dims[row + 1]);
    launch.channels = tare_divisor_of((uint64_t)desc->dims[axis]);
    launch.half = desc->dtype == TARE_DTYPE_FLOAT16;
    launch.sample_step = steps[0];
    launch.row_step = steps[row];
    launch.column_step = steps[row + 1];
    launch.channel_step = steps[axis];
    launch.same_order = steps[axis] == 1 && steps[row + 1] == desc->dims[axis] &&
                        steps[row] == steps[row + 1] * desc->dims[row + 1];
    return start_chunks(&launch, desc, queue->stream, err);
}

tare_status tare_cuda_ingest(tare_queue *queue, const tare_ingest *ingest, tare_error *err) {
    tare_desc from = *ingest->desc;
    tare_cuda_move move = {.dst_bytes = 0};

    if (ingest->table != NULL) {
        return pixels(queue, ingest, err);
    }
    from.dtype = ingest->from_dtype;
    from.layout = TARE_LAYOUT_PLAIN;
    TARE_TRY(tare_cuda_move_types(&move, ingest->desc->dtype, from.dtype, err));
    tare_movement_reorder(&move.movement, ingest->desc, &from);
    return tare_cuda_move_run(&move, ingest->to, ingest->from, queue->stream, err);
}
