/* SPDX-License-Identifier: Apache-2.0 */
/** MaxPool, AveragePool and their global forms through oneDNN, channels-last. */
#include "cpu/dnnl_kernels.h"
#include "cpu/dnnl_linear.h"
#include "ops/attrs.h"

/** oneDNN's name for the way a pool reduces a window. */
static dnnl_alg_kind_t choose_algorithm(const tare_pool_attrs *attrs, bool maximum) {
    if (maximum) {
        return dnnl_pooling_max;
    }
    return attrs->count_include_pad ? dnnl_pooling_avg_include_padding
                                    : dnnl_pooling_avg_exclude_padding;
}

/** TARE_UNSUPPORTED for windows that oneDNN reads otherwise than ONNX. */
static tare_status check_window(const tare_pool_attrs *attrs, bool maximum, tare_error *err) {
    const tare_window *window = &attrs->window;
    for (int axis = 0; axis < window->rank; axis++) {
        /* ONNX divides by the declared window, without what ceil_mode adds behind it. */
        if (!maximum && attrs->count_include_pad &&
            window->pad_end[axis] != attrs->declared_pad_end[axis]) {
            return tare_fail(err, TARE_UNSUPPORTED,
                             "an average that counts pads, in a window enlarged by ceil_mode");
        }
        if (window->pad_begin[axis] < 0 || window->pad_end[axis] < 0) {
            return tare_fail(err, TARE_UNSUPPORTED, "negative pads");
        }
    }
    return TARE_OK;
}

static tare_status build(tare_prepare *prepare, const tare_dnnl_window *window,
                         dnnl_alg_kind_t algorithm, tare_error *err) {
    tare_status status = TARE_OK;
    tare_dnnl_program *program = prepare->private_data;
    const tare_dnnl_place input = {TARE_DNNL_INPUT, 0}, output = {TARE_DNNL_OUTPUT, 0};
    const tare_dnnl_view src = tare_dnnl_view_of(&prepare->inputs[0], input);
    const tare_dnnl_view dst = tare_dnnl_view_of(&prepare->outputs[0], output);
    tare_dnnl_md src_md = NULL, dst_md = NULL;
    tare_dnnl_posts posts = {0};
    dnnl_primitive_desc_t pd = NULL;
    TARE_TRY_DONE(status,
                  tare_dnnl_check(tare_dnnl_md_new(&src_md, src.rank, src.dims, src.strides),
                                  "describing memory", err));
    TARE_TRY_DONE(status,
                  tare_dnnl_check(tare_dnnl_md_new(&dst_md, dst.rank, dst.dims, dst.strides),
                                  "describing memory", err));
    TARE_TRY_DONE(status, tare_dnnl_posts_open(&posts, err));
    TARE_TRY_DONE(status, tare_dnnl_posts_attr(&posts, err));
    const tare_dnnl_spec spec = {.engine = program->engine,
                                 .attr = posts.attr,
                                 .src = src_md,
                                 .dst = dst_md,
                                 .window = window,
                                 .algorithm = algorithm};
    TARE_TRY_DONE(
        status, tare_dnnl_check(tare_dnnl_pooling(&pd, &spec), "choosing an implementation", err));
    TARE_TRY_DONE(status, tare_dnnl_check_fast(pd, err));
    TARE_TRY_DONE(status, tare_dnnl_program_step(program, pd, err));
    TARE_TRY_DONE(status, tare_dnnl_program_bind(program, DNNL_ARG_SRC, src_md, src.place, err));
    TARE_TRY_DONE(status, tare_dnnl_program_bind(program, DNNL_ARG_DST, dst_md, dst.place, err));
    tare_dnnl_program_close(program, prepare);
done:
    if (pd != NULL) {
        (void)dnnl_primitive_desc_destroy(pd);
    }
    tare_dnnl_posts_release(&posts);
    tare_dnnl_md_free(src_md);
    tare_dnnl_md_free(dst_md);
    return status;
}

static tare_status prepare_pool(tare_prepare *prepare, bool maximum, tare_error *err) {
    const tare_pool_attrs *attrs = prepare->attrs;
    TARE_TRY(tare_dnnl_check_operands(prepare, err));
    if (prepare->output_count > 1 && prepare->outputs[1].rank >= 0) {
        return tare_fail(err, TARE_UNSUPPORTED, "oneDNN does not give the indices of maxima");
    }
    TARE_TRY(check_window(attrs, maximum, err));
    const tare_dnnl_window window = {.kernel = attrs->window.kernel,
                                     .stride = attrs->window.stride,
                                     .dilation = attrs->window.dilation,
                                     .pad_begin = attrs->window.pad_begin,
                                     .pad_end = attrs->window.pad_end,
                                     .rank = attrs->window.rank};
    TARE_TRY(tare_dnnl_check_sizes(&window, &prepare->inputs[0], &prepare->outputs[0], err));
    TARE_TRY(tare_dnnl_program_open(prepare->private_data, err));
    const tare_status status = build(prepare, &window, choose_algorithm(attrs, maximum), err);
    if (status != TARE_OK) {
        tare_dnnl_prepend_shapes(err, prepare);
    }
    return status;
}

static tare_status prepare_max(tare_prepare *prepare, tare_error *err) {
    return prepare_pool(prepare, true, err);
}

static tare_status prepare_average(tare_prepare *prepare, tare_error *err) {
    return prepare_pool(prepare, false, err);
}

static const tare_kernel rows[] = {
    {.name = "MaxPool",
     .private_size = sizeof(tare_dnnl_program),
     .layout = TARE_LAYOUT_RULE_LAST,
     .prepare = prepare_max,
     .run = tare_dnnl_run,
     .release = tare_dnnl_release},
    {.name = "AveragePool",
     .private_size = sizeof(tare_dnnl_program),
     .layout = TARE_LAYOUT_RULE_LAST,
     .prepare = prepare_average,
     .run = tare_dnnl_run,
     .release = tare_dnnl_release},
};

const tare_kernel_table tare_dnnl_pool_table = {rows, sizeof(rows) / sizeof(rows[0])};
