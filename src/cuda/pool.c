/* SPDX-License-Identifier: Apache-2.0 */
/** MaxPool, AveragePool, LpPool and their global forms, channels-last. */
#include "cuda/pool.h"

#include "cuda/kernels.h"
#include "ops/attrs.h"

static tare_status narrow(int32_t *out, int64_t value, tare_error *err) {
    if (value < -TARE_POOL_LIMIT || value > TARE_POOL_LIMIT) {
        return tare_fail(err, TARE_UNSUPPORTED, "%lld in a window, at most %lld are supported",
                         (long long)value, (long long)TARE_POOL_LIMIT);
    }
    *out = (int32_t)value;
    return TARE_OK;
}

/* The window as the launchers take it; what a pool of fewer dims lacks comes first, since the last
 * dim is the one along which a thread keeps several loads in flight. */
static tare_status set_window(tare_pool_launch *work, const tare_pool_attrs *attrs,
                              const tare_desc *in, const tare_desc *out, tare_error *err) {
    const tare_window *window = &attrs->window;
    const int missing = TARE_POOL_DIMS - window->rank;

    for (int dim = 0; dim < TARE_POOL_DIMS; dim++) {
        const int from = dim - missing;
        const bool real = from >= 0;
        TARE_TRY(narrow(&work->size[dim], real ? in->dims[2 + from] : 1, err));
        TARE_TRY(narrow(&work->output[dim], real ? out->dims[2 + from] : 1, err));
        TARE_TRY(narrow(&work->kernel[dim], real ? window->kernel[from] : 1, err));
        TARE_TRY(narrow(&work->stride[dim], real ? window->stride[from] : 1, err));
        TARE_TRY(narrow(&work->dilation[dim], real ? window->dilation[from] : 1, err));
        TARE_TRY(narrow(&work->pad_begin[dim], real ? window->pad_begin[from] : 0, err));
        TARE_TRY(narrow(&work->counted_end[dim], real ? attrs->declared_pad_end[from] : 0, err));
    }
    if (tare_desc_count(out) > TARE_POOL_RESULTS) {
        return tare_fail(err, TARE_UNSUPPORTED, "a pool with %lld results",
                         (long long)tare_desc_count(out));
    }
    return TARE_OK;
}

static tare_status pool_prepare(tare_prepare *prepare, tare_pool_kind kind, tare_error *err) {
    const tare_pool_attrs *attrs = prepare->attrs;
    const tare_desc *in = &prepare->inputs[0], *out = &prepare->outputs[0];
    tare_pool_launch *work = prepare->private_data;

    if ((in->dtype != TARE_DTYPE_FLOAT && in->dtype != TARE_DTYPE_FLOAT16) ||
        in->dtype != out->dtype || in->rank != attrs->window.rank + 2) {
        return tare_fail(err, TARE_UNSUPPORTED, "pooling of a %s operand of rank %d",
                         tare_dtype_text(in->dtype), in->rank);
    }
    if (in->layout != TARE_LAYOUT_CHANNELS_LAST || out->layout != TARE_LAYOUT_CHANNELS_LAST) {
        return tare_fail(err, TARE_UNSUPPORTED, "this layout is not supported");
    }
    if (prepare->output_count > 1 && prepare->outputs[1].rank >= 0) {
        return tare_fail(err, TARE_UNSUPPORTED, "the indices of maxima are not computed");
    }
    *work = (tare_pool_launch){.dtype = in->dtype,
                               .kind = kind,
                               .samples = in->dims[0],
                               .channels = in->dims[1],
                               .count_pads = attrs->count_include_pad,
                               .squares = attrs->p == 2};
    TARE_TRY(set_window(work, attrs, in, out, err));
    prepare->scratch_bytes =
        (size_t)(work->samples * tare_pool_tiles(work) * work->channels) * sizeof *work->parts;
    return TARE_OK;
}

static tare_status max_prepare(tare_prepare *prepare, tare_error *err) {
    return pool_prepare(prepare, TARE_POOL_MAX, err);
}

static tare_status average_prepare(tare_prepare *prepare, tare_error *err) {
    return pool_prepare(prepare, TARE_POOL_AVERAGE, err);
}

static tare_status norm_prepare(tare_prepare *prepare, tare_error *err) {
    const int64_t p = ((const tare_pool_attrs *)prepare->attrs)->p;
    if (p != 1 && p != 2) {
        return tare_fail(err, TARE_UNSUPPORTED, "pooling by the norm of order %lld", (long long)p);
    }
    return pool_prepare(prepare, TARE_POOL_NORM, err);
}

static tare_status pool_run(const tare_run *run, tare_error *err) {
    tare_pool_launch work = *(const tare_pool_launch *)run->private_data;
    work.in = run->inputs[0];
    work.out = run->outputs[0];
    work.parts = run->scratch;
    return tare_cuda_pool(&work, run->queue->stream, err);
}

#define KERNEL(text, function)                                                                     \
    {                                                                                              \
        .name = text, .private_size = sizeof(tare_pool_launch), .layout = TARE_LAYOUT_RULE_LAST,   \
        .prepare = function, .run = pool_run                                                       \
    }

static const tare_kernel rows[] = {
    KERNEL("MaxPool", max_prepare),
    KERNEL("AveragePool", average_prepare),
    KERNEL("LpPool", norm_prepare),
};

const tare_kernel_table tare_cuda_pool_table = {rows, sizeof rows / sizeof rows[0]};
