/* SPDX-License-Identifier: Apache-2.0 */
/** One set of names over oneDNN 2 and 3; see the header. */
#include "cpu/dnnl_compat.h"

#include <stdlib.h>
#include <string.h>

/** oneDNN counts the holes between the taps of a dilated window. */
static void holes(dnnl_dims_t out, const tare_dnnl_window *window) {
    for (int axis = 0; axis < window->rank; axis++) {
        out[axis] = window->dilation[axis] - 1;
    }
}

static bool has_name(const_dnnl_primitive_desc_t pd, const char *start) {
    const char *name = NULL;
    return dnnl_primitive_desc_query(pd, dnnl_query_impl_info_str, 0, &name) == dnnl_success &&
           strncmp(name, start, strlen(start)) == 0;
}

#if DNNL_VERSION_MAJOR >= 3

/** Walks on from oneDNN's first choice to the preferred implementation; false: there is none, and
 * `pd` is used up. */
static bool walk_to(dnnl_primitive_desc_t pd, const char *preferred) {
    while (!has_name(pd, preferred)) {
        if (dnnl_primitive_desc_next_impl(pd) != dnnl_success) {
            return false;
        }
    }
    return true;
}

dnnl_status_t tare_dnnl_md_new(tare_dnnl_md *md, int rank, const int64_t *dims,
                               const int64_t *strides) {
    if (strides == NULL) {
        return dnnl_memory_desc_create_with_tag(md, rank, dims, dnnl_f32, dnnl_format_tag_any);
    }
    return dnnl_memory_desc_create_with_strides(md, rank, dims, dnnl_f32, strides);
}

dnnl_status_t tare_dnnl_md_clone(tare_dnnl_md *copy, tare_dnnl_md_view md) {
    return dnnl_memory_desc_clone(copy, md);
}

void tare_dnnl_md_free(tare_dnnl_md md) {
    if (md != NULL) {
        (void)dnnl_memory_desc_destroy(md);
    }
}

static dnnl_status_t first_convolution(dnnl_primitive_desc_t *out, const tare_dnnl_spec *spec) {
    const tare_dnnl_window *window = spec->window;
    dnnl_dims_t dilates;
    holes(dilates, window);
    return dnnl_convolution_forward_primitive_desc_create(
        out, spec->engine, dnnl_forward_inference, spec->algorithm, spec->src, spec->weights,
        spec->bias, spec->dst, window->stride, dilates, window->pad_begin, window->pad_end,
        spec->attr);
}

dnnl_status_t tare_dnnl_convolution(dnnl_primitive_desc_t *out, const tare_dnnl_spec *spec) {
    const dnnl_status_t status = first_convolution(out, spec);
    if (status != dnnl_success || spec->preferred == NULL || walk_to(*out, spec->preferred)) {
        return status;
    }
    (void)dnnl_primitive_desc_destroy(*out);
    *out = NULL;
    return first_convolution(out, spec);
}

dnnl_status_t tare_dnnl_deconvolution(dnnl_primitive_desc_t *out, const tare_dnnl_spec *spec) {
    const tare_dnnl_window *window = spec->window;
    dnnl_dims_t dilates;
    holes(dilates, window);
    return dnnl_deconvolution_forward_primitive_desc_create(
        out, spec->engine, dnnl_forward_inference, spec->algorithm, spec->src, spec->weights,
        spec->bias, spec->dst, window->stride, dilates, window->pad_begin, window->pad_end,
        spec->attr);
}

dnnl_status_t tare_dnnl_pooling(dnnl_primitive_desc_t *out, const tare_dnnl_spec *spec) {
    const tare_dnnl_window *window = spec->window;
    dnnl_dims_t dilates;
    holes(dilates, window);
    return dnnl_pooling_forward_primitive_desc_create(
        out, spec->engine, dnnl_forward_inference, spec->algorithm, spec->src, spec->dst,
        window->stride, window->kernel, dilates, window->pad_begin, window->pad_end, spec->attr);
}

dnnl_status_t tare_dnnl_matmul(dnnl_primitive_desc_t *out, const tare_dnnl_spec *spec) {
    return dnnl_matmul_primitive_desc_create(out, spec->engine, spec->src, spec->weights,
                                             spec->bias, spec->dst, spec->attr);
}

dnnl_status_t tare_dnnl_append_eltwise(dnnl_post_ops_t ops, dnnl_alg_kind_t algorithm, float alpha,
                                       float beta) {
    return dnnl_post_ops_append_eltwise(ops, algorithm, alpha, beta);
}

dnnl_status_t tare_dnnl_append_hard_swish(dnnl_post_ops_t ops, float a, float b) {
    return dnnl_post_ops_append_eltwise(ops, dnnl_eltwise_hardswish, a, b);
}

#else

/** Makes the preferred implementation of an operation, or oneDNN's own choice. */
static dnnl_status_t choose(dnnl_primitive_desc_t *out, const_dnnl_op_desc_t desc,
                            const tare_dnnl_spec *spec) {
    dnnl_primitive_desc_iterator_t all = NULL;
    if (spec->preferred == NULL ||
        dnnl_primitive_desc_iterator_create(&all, desc, spec->attr, spec->engine, NULL) !=
            dnnl_success) {
        return dnnl_primitive_desc_create(out, desc, spec->attr, spec->engine, NULL);
    }
    dnnl_status_t status = dnnl_success;
    bool found = false;
    while (!found && status == dnnl_success) {
        *out = dnnl_primitive_desc_iterator_fetch(all);
        found = has_name(*out, spec->preferred);
        if (!found) {
            (void)dnnl_primitive_desc_destroy(*out);
            status = dnnl_primitive_desc_iterator_next(all);
        }
    }
    (void)dnnl_primitive_desc_iterator_destroy(all);
    return found ? dnnl_success
                 : dnnl_primitive_desc_create(out, desc, spec->attr, spec->engine, NULL);
}

dnnl_status_t tare_dnnl_md_new(tare_dnnl_md *md, int rank, const int64_t *dims,
                               const int64_t *strides) {
    *md = calloc(1, sizeof(**md));
    if (*md == NULL) {
        return dnnl_out_of_memory;
    }
    const dnnl_status_t status =
        strides == NULL
            ? dnnl_memory_desc_init_by_tag(*md, rank, dims, dnnl_f32, dnnl_format_tag_any)
            : dnnl_memory_desc_init_by_strides(*md, rank, dims, dnnl_f32, strides);
    if (status != dnnl_success) {
        free(*md);
        *md = NULL;
    }
    return status;
}

dnnl_status_t tare_dnnl_md_clone(tare_dnnl_md *copy, tare_dnnl_md_view md) {
    *copy = malloc(sizeof(**copy));
    if (*copy == NULL) {
        return dnnl_out_of_memory;
    }
    **copy = *md;
    return dnnl_success;
}

void tare_dnnl_md_free(tare_dnnl_md md) {
    free(md);
}

dnnl_status_t tare_dnnl_convolution(dnnl_primitive_desc_t *out, const tare_dnnl_spec *spec) {
    const tare_dnnl_window *window = spec->window;
    dnnl_convolution_desc_t desc;
    dnnl_dims_t dilates;
    holes(dilates, window);
    const dnnl_status_t status = dnnl_dilated_convolution_forward_desc_init(
        &desc, dnnl_forward_inference, spec->algorithm, spec->src, spec->weights, spec->bias,
        spec->dst, window->stride, dilates, window->pad_begin, window->pad_end);
    return status != dnnl_success ? status : choose(out, &desc, spec);
}

dnnl_status_t tare_dnnl_deconvolution(dnnl_primitive_desc_t *out, const tare_dnnl_spec *spec) {
    const tare_dnnl_window *window = spec->window;
    dnnl_deconvolution_desc_t desc;
    dnnl_dims_t dilates;
    holes(dilates, window);
    const dnnl_status_t status = dnnl_dilated_deconvolution_forward_desc_init(
        &desc, dnnl_forward_inference, spec->algorithm, spec->src, spec->weights, spec->bias,
        spec->dst, window->stride, dilates, window->pad_begin, window->pad_end);
    return status != dnnl_success ? status : choose(out, &desc, spec);
}

dnnl_status_t tare_dnnl_pooling(dnnl_primitive_desc_t *out, const tare_dnnl_spec *spec) {
    const tare_dnnl_window *window = spec->window;
    dnnl_pooling_v2_desc_t desc;
    dnnl_dims_t dilates;
    holes(dilates, window);
    const dnnl_status_t status = dnnl_pooling_v2_forward_desc_init(
        &desc, dnnl_forward_inference, spec->algorithm, spec->src, spec->dst, window->stride,
        window->kernel, dilates, window->pad_begin, window->pad_end);
    return status != dnnl_success ? status : choose(out, &desc, spec);
}

dnnl_status_t tare_dnnl_matmul(dnnl_primitive_desc_t *out, const tare_dnnl_spec *spec) {
    dnnl_matmul_desc_t desc;
    const dnnl_status_t status =
        dnnl_matmul_desc_init(&desc, spec->src, spec->weights, spec->bias, spec->dst);
    return status != dnnl_success ? status : choose(out, &desc, spec);
}

dnnl_status_t tare_dnnl_append_eltwise(dnnl_post_ops_t ops, dnnl_alg_kind_t algorithm, float alpha,
                                       float beta) {
    return dnnl_post_ops_append_eltwise(ops, 1.0f, algorithm, alpha, beta);
}

dnnl_status_t tare_dnnl_append_hard_swish(dnnl_post_ops_t ops, float a, float b) {
    /* Version 2 has only the usual x min(max(x + 3, 0), 6) / 6. */
    if (a != 1.0f / 6.0f || b != 0.5f) {
        return dnnl_unimplemented;
    }
    return dnnl_post_ops_append_eltwise(ops, 1.0f, dnnl_eltwise_hardswish, 0.0f, 0.0f);
}

#endif
