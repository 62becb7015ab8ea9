/* SPDX-License-Identifier: Apache-2.0 */
/** Softmax and LogSoftmax along any axis of any layout. */
#include "cuda/softmax.h"

#include "cuda/kernels.h"
#include "exec/nest.h"
#include "ops/attrs.h"

static tare_status softmax_prepare(tare_prepare *prepare, tare_error *err) {
    const tare_axis_attrs *attrs = prepare->attrs;
    const tare_desc *in = &prepare->inputs[0], *out = &prepare->outputs[0];
    tare_softmax_launch *work = prepare->private_data;
    tare_axis_view view = {1, 1, 1};

    if ((in->dtype != TARE_DTYPE_FLOAT && in->dtype != TARE_DTYPE_FLOAT16) ||
        in->dtype != out->dtype) {
        return tare_fail(err, TARE_UNSUPPORTED, "element type %s to %s is not supported",
                         tare_dtype_text(in->dtype), tare_dtype_text(out->dtype));
    }
    if (in->layout != out->layout || (attrs->flatten && in->layout != TARE_LAYOUT_PLAIN)) {
        return tare_fail(err, TARE_UNSUPPORTED, "this layout is not supported");
    }
    if (attrs->flatten) {
        for (int axis = 0; axis < in->rank; axis++) {
            *(axis < attrs->axis ? &view.outer : &view.size) *= in->dims[axis];
        }
    } else if (in->rank > 0) {
        view = tare_axis_view_of(in, (int)attrs->axis);
    }
    *work = (tare_softmax_launch){
        .dtype = in->dtype, .outer = view.outer, .size = view.size, .inner = view.inner};
    return TARE_OK;
}

static tare_status log_softmax_prepare(tare_prepare *prepare, tare_error *err) {
    TARE_TRY(softmax_prepare(prepare, err));
    ((tare_softmax_launch *)prepare->private_data)->logarithm = true;
    return TARE_OK;
}

static tare_status softmax_run(const tare_run *run, tare_error *err) {
    tare_softmax_launch work = *(const tare_softmax_launch *)run->private_data;
    work.in = run->inputs[0];
    work.out = run->outputs[0];
    return tare_cuda_softmax(&work, run->queue->stream, err);
}

/* The plain row is for the flattening form, which runs across axes. */
#define KERNEL(text, rule, function)                                                               \
    {                                                                                              \
        .name = text, .private_size = sizeof(tare_softmax_launch), .layout = rule,                 \
        .prepare = function, .run = softmax_run                                                    \
    }

static const tare_kernel rows[] = {
    KERNEL("Softmax", TARE_LAYOUT_RULE_FOLLOW, softmax_prepare),
    KERNEL("Softmax", TARE_LAYOUT_RULE_PLAIN, softmax_prepare),
    KERNEL("LogSoftmax", TARE_LAYOUT_RULE_FOLLOW, log_softmax_prepare),
    KERNEL("LogSoftmax", TARE_LAYOUT_RULE_PLAIN, log_softmax_prepare),
};

const tare_kernel_table tare_cuda_softmax_table = {rows, sizeof rows / sizeof rows[0]};
