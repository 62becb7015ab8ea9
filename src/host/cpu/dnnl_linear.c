/* SPDX-License-Identifier: Apache-2.0 */
/** Building the program of one linear operation with its bias and epilogues. */
#include "cpu/dnnl_linear.h"

#include <string.h>

/** The memory descriptors of one linear operation while it is being built. */
typedef struct linear_descs {
    tare_dnnl_md src, weights, packed, bias, dst, addend;
} linear_descs;

tare_dnnl_view tare_dnnl_view_of(const tare_desc *desc, tare_dnnl_place place) {
    tare_dnnl_view view = {.rank = desc->rank, .place = place};
    memcpy(view.dims, desc->dims, sizeof(view.dims));
    tare_desc_strides(view.strides, desc);
    return view;
}

static tare_status check_operands(const tare_desc *descs, size_t count, const char *what,
                                  tare_error *err) {
    for (size_t i = 0; i < count; i++) {
        if (descs[i].rank < 0) {
            continue;
        }
        if (descs[i].dtype != TARE_DTYPE_FLOAT) {
            return tare_fail(err, TARE_UNSUPPORTED, "%s %zu: expected float32, got %s", what, i,
                             tare_dtype_text(descs[i].dtype));
        }
        if (tare_desc_count(&descs[i]) == 0) {
            return tare_fail(err, TARE_UNSUPPORTED, "%s %zu has no elements", what, i);
        }
    }
    return TARE_OK;
}

tare_status tare_dnnl_check_operands(const tare_prepare *prepare, tare_error *err) {
    TARE_TRY(check_operands(prepare->inputs, prepare->input_count, "input", err));
    return check_operands(prepare->outputs, prepare->output_count, "output", err);
}

/** The largest number for which sums of a few such numbers fit into 32 bits. */
#define SIZE_LIMIT (INT32_MAX / 8)

static bool is_small(int64_t value) {
    return value >= -SIZE_LIMIT && value <= SIZE_LIMIT;
}

tare_status tare_dnnl_check_sizes(const tare_dnnl_window *window, const tare_desc *src,
                                  const tare_desc *dst, tare_error *err) {
    for (int axis = 0; axis < window->rank; axis++) {
        const int64_t kernel = window->kernel[axis], dilation = window->dilation[axis];
        const bool small = is_small(kernel) && is_small(dilation) && is_small(kernel * dilation) &&
                           is_small(window->stride[axis]) && is_small(window->pad_begin[axis]) &&
                           is_small(window->pad_end[axis]);
        if (!small) {
            return tare_fail(err, TARE_UNSUPPORTED,
                             "a window beyond 32 bits on spatial axis %d: %lld taps, dilation "
                             "%lld, stride %lld, pads %lld and %lld",
                             axis, (long long)kernel, (long long)dilation,
                             (long long)window->stride[axis], (long long)window->pad_begin[axis],
                             (long long)window->pad_end[axis]);
        }
    }
    if (tare_desc_bytes(src) / (size_t)src->dims[0] > INT32_MAX ||
        tare_desc_bytes(dst) / (size_t)dst->dims[0] > INT32_MAX) {
        return tare_fail(err, TARE_UNSUPPORTED, "a sample of more than 2 GiB");
    }
    return TARE_OK;
}

/** oneDNN's name of the implementation that it chose. */
static tare_status read_name(const char **name, const_dnnl_primitive_desc_t pd, tare_error *err) {
    return tare_dnnl_check(dnnl_primitive_desc_query(pd, dnnl_query_impl_info_str, 0, name),
                           "asking for the implementation", err);
}

tare_status tare_dnnl_check_fast(const_dnnl_primitive_desc_t pd, tare_error *err) {
    const char *name = NULL;
    TARE_TRY(read_name(&name, pd, err));
    if (strncmp(name, "ref", 3) == 0) {
        return tare_fail(err, TARE_UNSUPPORTED, "oneDNN has only its reference (%s)", name);
    }
    return TARE_OK;
}

/** Refuses what oneDNN would compute wrongly: its convolutions by gemm misread an added operand
 * that lies channels-last (2.6.3 does; there they serve instruction sets before AVX-512). */
static tare_status check_right(const_dnnl_primitive_desc_t pd, const tare_dnnl_linear *linear,
                               const tare_dnnl_posts *posts, tare_error *err) {
    const char *name = NULL;
    if (linear->window == NULL || posts->operand_count == 0) {
        return TARE_OK;
    }
    TARE_TRY(read_name(&name, pd, err));
    if (strstr(name, "gemm") != NULL) {
        return tare_fail(err, TARE_UNSUPPORTED, "an addition behind a convolution by %s", name);
    }
    return TARE_OK;
}

void tare_dnnl_prepend_shapes(tare_error *err, const tare_prepare *prepare) {
    char a[TARE_DIMS_TEXT_BYTES], b[TARE_DIMS_TEXT_BYTES], c[TARE_DIMS_TEXT_BYTES];
    const tare_desc *in = prepare->inputs, *out = prepare->outputs;
    tare_error_prepend(
        err, "%s and %s to %s: ", tare_dims_text(a, sizeof(a), in[0].rank, in[0].dims),
        prepare->input_count < 2 ? "no weights"
                                 : tare_dims_text(b, sizeof(b), in[1].rank, in[1].dims),
        tare_dims_text(c, sizeof(c), out[0].rank, out[0].dims));
}

static tare_status describe(tare_dnnl_md *md, const tare_dnnl_view *view, bool any,
                            tare_error *err) {
    if (view->rank == 0) {
        return TARE_OK;
    }
    return tare_dnnl_check(tare_dnnl_md_new(md, view->rank, view->dims, any ? NULL : view->strides),
                           "describing memory", err);
}

static tare_status describe_all(linear_descs *descs, const tare_dnnl_linear *linear,
                                tare_error *err) {
    TARE_TRY(describe(&descs->src, &linear->src, false, err));
    TARE_TRY(describe(&descs->weights, &linear->weights, false, err));
    TARE_TRY(describe(&descs->packed, &linear->weights, linear->pack, err));
    TARE_TRY(describe(&descs->bias, &linear->bias, false, err));
    TARE_TRY(describe(&descs->dst, &linear->dst, false, err));
    return describe(&descs->addend, &linear->addend, false, err);
}

static tare_status describe_posts(tare_dnnl_posts *posts, const linear_descs *descs,
                                  const tare_dnnl_linear *linear, const tare_prepare *prepare,
                                  tare_error *err) {
    TARE_TRY(tare_dnnl_posts_open(posts, err));
    if (linear->scale != 1.0f) {
        TARE_TRY(tare_dnnl_posts_linear(posts, linear->scale, 0.0f, err));
    }
    if (descs->addend != NULL) {
        TARE_TRY(tare_dnnl_posts_add(posts, descs->addend, linear->addend.place, err));
    }
    TARE_TRY(tare_dnnl_posts_epilogues(posts, prepare, descs->dst, err));
    return tare_dnnl_posts_attr(posts, err);
}

static void free_descs(linear_descs *descs) {
    tare_dnnl_md_free(descs->src);
    tare_dnnl_md_free(descs->weights);
    tare_dnnl_md_free(descs->packed);
    tare_dnnl_md_free(descs->bias);
    tare_dnnl_md_free(descs->dst);
    tare_dnnl_md_free(descs->addend);
}

tare_status tare_dnnl_linear_prepare(tare_prepare *prepare, const tare_dnnl_linear *linear,
                                     tare_error *err) {
    tare_status status = TARE_OK;
    tare_dnnl_program *program = prepare->private_data;
    linear_descs descs = {0};
    tare_dnnl_posts posts = {0};
    dnnl_primitive_desc_t pd = NULL;
    TARE_TRY_DONE(status, describe_all(&descs, linear, err));
    TARE_TRY_DONE(status, describe_posts(&posts, &descs, linear, prepare, err));
    const tare_dnnl_spec spec = {.engine = program->engine,
                                 .attr = posts.attr,
                                 .src = descs.src,
                                 .weights = descs.packed,
                                 .bias = descs.bias,
                                 .dst = descs.dst,
                                 .window = linear->window,
                                 .algorithm = linear->algorithm,
                                 .preferred = linear->preferred};
    TARE_TRY_DONE(status,
                  tare_dnnl_check(linear->make(&pd, &spec), "choosing an implementation", err));
    TARE_TRY_DONE(status, tare_dnnl_check_fast(pd, err));
    TARE_TRY_DONE(status, check_right(pd, linear, &posts, err));

    const tare_dnnl_md_view wanted = dnnl_primitive_desc_query_md(pd, dnnl_query_weights_md, 0);
    const tare_dnnl_md_view formats[2] = {descs.weights, wanted};
    tare_dnnl_place weights;
    TARE_TRY_DONE(status, tare_dnnl_program_reorder(&weights, program, prepare, 1, formats, err));
    TARE_TRY_DONE(status, tare_dnnl_program_step(program, pd, err));
    TARE_TRY_DONE(status,
                  tare_dnnl_program_bind(program, DNNL_ARG_SRC, descs.src, linear->src.place, err));
    TARE_TRY_DONE(status, tare_dnnl_program_bind(program, DNNL_ARG_WEIGHTS, wanted, weights, err));
    if (descs.bias != NULL) {
        TARE_TRY_DONE(status, tare_dnnl_program_bind(program, DNNL_ARG_BIAS, descs.bias,
                                                     linear->bias.place, err));
    }
    TARE_TRY_DONE(status,
                  tare_dnnl_program_bind(program, DNNL_ARG_DST, descs.dst, linear->dst.place, err));
    TARE_TRY_DONE(status, tare_dnnl_posts_bind(&posts, program, err));
    tare_dnnl_program_close(program, prepare);
done:
    if (pd != NULL) {
        (void)dnnl_primitive_desc_destroy(pd);
    }
    tare_dnnl_posts_release(&posts);
    free_descs(&descs);
    if (status != TARE_OK) {
        tare_dnnl_prepend_shapes(err, prepare);
    }
    return status;
}
