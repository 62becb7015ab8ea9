/* SPDX-License-Identifier: Apache-2.0 */
/**
 * The calls of oneDNN that differ between its versions 2 and 3, under one set of names.
 *
 * Version 2 has memory descriptors by value and operation descriptors between the parameters and
 * the primitive descriptor; version 3 has opaque memory descriptors and no operation descriptors.
 * Everything else in oneDNN that this folder uses is the same in both and is called directly.
 */
#ifndef TARE_CPU_DNNL_COMPAT_H
#define TARE_CPU_DNNL_COMPAT_H

#include <dnnl.h>
#include <dnnl_debug.h>

#include "ir/tensor.h"

/** A memory descriptor owned by whoever made it; passes as const where oneDNN reads one. */
#if DNNL_VERSION_MAJOR >= 3
typedef dnnl_memory_desc_t tare_dnnl_md;
typedef const_dnnl_memory_desc_t tare_dnnl_md_view;
#else
typedef dnnl_memory_desc_t *tare_dnnl_md;
typedef const dnnl_memory_desc_t *tare_dnnl_md_view;
#endif

/** float32 elements with the given dims and strides; strides NULL: oneDNN may choose the format. */
dnnl_status_t tare_dnnl_md_new(tare_dnnl_md *md, int rank, const int64_t *dims,
                               const int64_t *strides);

/** A copy that outlives what `md` belongs to. */
dnnl_status_t tare_dnnl_md_clone(tare_dnnl_md *copy, tare_dnnl_md_view md);

/** NULL allowed. */
void tare_dnnl_md_free(tare_dnnl_md md);

/** A window in ONNX's terms: dilation 1 is a dense window. */
typedef struct tare_dnnl_window {
    const int64_t *kernel, *stride, *dilation, *pad_begin, *pad_end;
    int rank;
} tare_dnnl_window;

/** What a primitive of inference computes; the fields that its kind does not have are NULL. */
typedef struct tare_dnnl_spec {
    dnnl_engine_t engine;
    dnnl_primitive_attr_t attr;
    tare_dnnl_md_view src, weights, bias, dst;
    const tare_dnnl_window *window;
    dnnl_alg_kind_t algorithm;
    const char *preferred; /**< of a convolution: the implementation whose name starts so is taken
                              where there is one; NULL: oneDNN's own choice */
} tare_dnnl_spec;

/** Makes the primitive descriptor of one kind of operation. */
typedef dnnl_status_t tare_dnnl_make(dnnl_primitive_desc_t *out, const tare_dnnl_spec *spec);
tare_dnnl_make tare_dnnl_convolution;
tare_dnnl_make tare_dnnl_deconvolution;
tare_dnnl_make tare_dnnl_pooling;
tare_dnnl_make tare_dnnl_matmul;

/** Appends an element-wise function to the post-ops. */
dnnl_status_t tare_dnnl_append_eltwise(dnnl_post_ops_t ops, dnnl_alg_kind_t algorithm, float alpha,
                                       float beta);

/** Appends x min(max(a x + b, 0), 1); unimplemented where this version does not have it for a, b.
 */
dnnl_status_t tare_dnnl_append_hard_swish(dnnl_post_ops_t ops, float a, float b);

#endif
