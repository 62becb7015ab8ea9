/* SPDX-License-Identifier: Apache-2.0 */
/** Attributes of oneDNN primitives: what happens to a result before it is stored. */
#ifndef TARE_CPU_DNNL_POSTS_H
#define TARE_CPU_DNNL_POSTS_H

#include "cpu/dnnl_program.h"

/** Post-ops being collected, and where the operands of the binary ones are. All zero: empty. */
typedef struct tare_dnnl_posts {
    dnnl_post_ops_t ops;
    dnnl_primitive_attr_t attr; /**< made by tare_dnnl_posts_attr() */
    size_t function_count;
    struct {
        dnnl_alg_kind_t algorithm;
        float alpha, beta;
    } functions[1 + 2 * TARE_MAX_EPILOGUES]; /**< the element-wise ones so far */
    size_t operand_count;
    struct {
        int id; /**< the argument of the primitive */
        tare_dnnl_md md;
        tare_dnnl_place place;
    } operands[1 + TARE_MAX_EPILOGUES];
} tare_dnnl_posts;

/** Starts an empty list. */
TARE_MUST_CHECK tare_status tare_dnnl_posts_open(tare_dnnl_posts *posts, tare_error *err);

/** Appends x -> a x + b. */
TARE_MUST_CHECK tare_status tare_dnnl_posts_linear(tare_dnnl_posts *posts, float a, float b,
                                                   tare_error *err);

/** Appends the addition of an operand; dims of 1 are broadcast. `md` is copied. */
TARE_MUST_CHECK tare_status tare_dnnl_posts_add(tare_dnnl_posts *posts, tare_dnnl_md_view md,
                                                tare_dnnl_place place, tare_error *err);

/** Appends the epilogues that prepare asks for; the k-th ADD reads input input_count + k, which
 * lies as `dst` does. TARE_UNSUPPORTED for those that oneDNN does not have exactly, and for one
 * function twice with different parameters. A bound of CLIP and of the hard functions also takes
 * the place of NaN: oneDNN compares as the processor does. */
TARE_MUST_CHECK tare_status tare_dnnl_posts_epilogues(tare_dnnl_posts *posts,
                                                      const tare_prepare *prepare,
                                                      tare_dnnl_md_view dst, tare_error *err);

/** Makes posts->attr: the post-ops, scratch memory from the caller, float32 arithmetic whatever
 * the environment says. */
TARE_MUST_CHECK tare_status tare_dnnl_posts_attr(tare_dnnl_posts *posts, tare_error *err);

/** Binds the operands to the program's newest step. */
TARE_MUST_CHECK tare_status tare_dnnl_posts_bind(const tare_dnnl_posts *posts,
                                                 tare_dnnl_program *program, tare_error *err);

/** Frees everything; also half-built. */
void tare_dnnl_posts_release(tare_dnnl_posts *posts);

#endif
