/* SPDX-License-Identifier: Apache-2.0 */
/** What convolutions and matrix products share: from operands to a program. */
#ifndef TARE_CPU_DNNL_LINEAR_H
#define TARE_CPU_DNNL_LINEAR_H

#include "cpu/dnnl_posts.h"

/** An operand as oneDNN is to see it. rank 0: absent. */
typedef struct tare_dnnl_view {
    int rank;
    int64_t dims[TARE_MAX_RANK], strides[TARE_MAX_RANK];
    tare_dnnl_place place;
} tare_dnnl_view;

/** One linear operation: source, weights (input 1 of the node), perhaps a bias and an addend. */
typedef struct tare_dnnl_linear {
    tare_dnnl_make *make;
    const tare_dnnl_window *window; /**< of a convolution, else NULL */
    dnnl_alg_kind_t algorithm;      /**< of a convolution */
    const char *preferred;          /**< implementation to take where there is one, or NULL */
    bool pack;                      /**< bring the weights into the format that oneDNN prefers */
    float scale;                    /**< of the product, before the addend */
    tare_dnnl_view src, weights, bias, dst;
    tare_dnnl_view addend; /**< added to the product before the epilogues; dims of 1 broadcast */
} tare_dnnl_linear;

/** The dims and strides of an operand as it lies in memory. */
tare_dnnl_view tare_dnnl_view_of(const tare_desc *desc, tare_dnnl_place place);

/** TARE_UNSUPPORTED unless all operands that are there are float32 and have elements. */
TARE_MUST_CHECK tare_status tare_dnnl_check_operands(const tare_prepare *prepare, tare_error *err);

/** TARE_UNSUPPORTED for windows and samples whose sizes oneDNN's kernels, which count in 32 bits,
 * could not hold. `src` and `dst` have a batch axis in front. */
TARE_MUST_CHECK tare_status tare_dnnl_check_sizes(const tare_dnnl_window *window,
                                                  const tare_desc *src, const tare_desc *dst,
                                                  tare_error *err);

/** TARE_UNSUPPORTED when oneDNN has nothing but its unoptimised reference for `pd`. */
TARE_MUST_CHECK tare_status tare_dnnl_check_fast(const_dnnl_primitive_desc_t pd, tare_error *err);

/** Completes prepare->private_data, an opened program that may already hold buffers. Errors name
 * the shapes of the operands. */
TARE_MUST_CHECK tare_status tare_dnnl_linear_prepare(tare_prepare *prepare,
                                                     const tare_dnnl_linear *linear,
                                                     tare_error *err);

/** Puts the shapes of the node's first input, second input and output in front of err. */
void tare_dnnl_prepend_shapes(tare_error *err, const tare_prepare *prepare);

#endif
