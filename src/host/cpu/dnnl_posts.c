/* SPDX-License-Identifier: Apache-2.0 */
/** Epilogues and attributes of oneDNN primitives; see the header. */
#include "cpu/dnnl_posts.h"

#include <string.h>

typedef dnnl_status_t append_epilogue(tare_dnnl_posts *posts, float a, float b);

/* oneDNN 2.6 generates the code of a function once and uses it again with the parameters of its
 * first occurrence, so a second one with others must not be asked for. */
static dnnl_status_t note_function(tare_dnnl_posts *posts, dnnl_alg_kind_t algorithm, float alpha,
                                   float beta) {
    const size_t capacity = sizeof(posts->functions) / sizeof(posts->functions[0]);
    for (size_t i = 0; i < posts->function_count; i++) {
        if (posts->functions[i].algorithm == algorithm &&
            (posts->functions[i].alpha != alpha || posts->functions[i].beta != beta)) {
            return dnnl_unimplemented;
        }
    }
    if (posts->function_count == capacity) {
        return dnnl_unimplemented;
    }
    posts->functions[posts->function_count].algorithm = algorithm;
    posts->functions[posts->function_count].alpha = alpha;
    posts->functions[posts->function_count].beta = beta;
    posts->function_count++;
    return dnnl_success;
}

static dnnl_status_t append(tare_dnnl_posts *posts, dnnl_alg_kind_t algorithm, float alpha,
                            float beta) {
    const dnnl_status_t status = note_function(posts, algorithm, alpha, beta);
    return status != dnnl_success ? status
                                  : tare_dnnl_append_eltwise(posts->ops, algorithm, alpha, beta);
}

static dnnl_status_t append_clip(tare_dnnl_posts *posts, float a, float b) {
    return append(posts, dnnl_eltwise_clip, a, b);
}

static dnnl_status_t append_leaky_relu(tare_dnnl_posts *posts, float a, float b) {
    TARE_UNUSED(b);
    return append(posts, dnnl_eltwise_relu, a, 0.0f);
}

static dnnl_status_t append_sigmoid(tare_dnnl_posts *posts, float a, float b) {
    TARE_UNUSED(a);
    TARE_UNUSED(b);
    return append(posts, dnnl_eltwise_logistic, 0.0f, 0.0f);
}

static dnnl_status_t append_tanh(tare_dnnl_posts *posts, float a, float b) {
    TARE_UNUSED(a);
    TARE_UNUSED(b);
    return append(posts, dnnl_eltwise_tanh, 0.0f, 0.0f);
}

static dnnl_status_t append_swish(tare_dnnl_posts *posts, float a, float b) {
    TARE_UNUSED(a);
    TARE_UNUSED(b);
    return append(posts, dnnl_eltwise_swish, 1.0f, 0.0f);
}

static dnnl_status_t append_hard_sigmoid(tare_dnnl_posts *posts, float a, float b) {
    const dnnl_status_t status = append(posts, dnnl_eltwise_linear, a, b);
    return status != dnnl_success ? status : append(posts, dnnl_eltwise_clip, 0.0f, 1.0f);
}

static dnnl_status_t append_hard_swish(tare_dnnl_posts *posts, float a, float b) {
    const dnnl_status_t status = note_function(posts, dnnl_eltwise_hardswish, a, b);
    return status != dnnl_success ? status : tare_dnnl_append_hard_swish(posts->ops, a, b);
}

static append_epilogue *const epilogues[] = {
    [TARE_EPILOGUE_CLIP] = append_clip,
    [TARE_EPILOGUE_LEAKY_RELU] = append_leaky_relu,
    [TARE_EPILOGUE_SIGMOID] = append_sigmoid,
    [TARE_EPILOGUE_TANH] = append_tanh,
    [TARE_EPILOGUE_SWISH] = append_swish,
    [TARE_EPILOGUE_HARD_SIGMOID] = append_hard_sigmoid,
    [TARE_EPILOGUE_HARD_SWISH] = append_hard_swish,
    [TARE_EPILOGUE_ADD] = NULL,
};

tare_status tare_dnnl_posts_open(tare_dnnl_posts *posts, tare_error *err) {
    return tare_dnnl_check(dnnl_post_ops_create(&posts->ops), "creating post-ops", err);
}

tare_status tare_dnnl_posts_linear(tare_dnnl_posts *posts, float a, float b, tare_error *err) {
    return tare_dnnl_check(append(posts, dnnl_eltwise_linear, a, b), "appending a scale", err);
}

tare_status tare_dnnl_posts_add(tare_dnnl_posts *posts, tare_dnnl_md_view md, tare_dnnl_place place,
                                tare_error *err) {
    const size_t capacity = sizeof(posts->operands) / sizeof(posts->operands[0]);
    if (posts->operand_count == capacity) {
        return tare_fail(err, TARE_UNSUPPORTED, "more than %zu added operands", capacity);
    }
    const int index = dnnl_post_ops_len(posts->ops);
    TARE_TRY(tare_dnnl_check(dnnl_post_ops_append_binary(posts->ops, dnnl_binary_add, md),
                             "appending an addition", err));
    const size_t n = posts->operand_count;
    TARE_TRY(
        tare_dnnl_check(tare_dnnl_md_clone(&posts->operands[n].md, md), "describing memory", err));
    posts->operands[n].id = DNNL_ARG_ATTR_MULTIPLE_POST_OP(index) | DNNL_ARG_SRC_1;
    posts->operands[n].place = place;
    posts->operand_count++;
    return TARE_OK;
}

tare_status tare_dnnl_posts_epilogues(tare_dnnl_posts *posts, const tare_prepare *prepare,
                                      tare_dnnl_md_view dst, tare_error *err) {
    size_t added = 0;
    for (size_t i = 0; i < prepare->epilogue_count; i++) {
        const tare_epilogue *epilogue = &prepare->epilogues[i];
        if (epilogue->kind == TARE_EPILOGUE_ADD) {
            const tare_dnnl_place place = {TARE_DNNL_INPUT, prepare->input_count + added++};
            TARE_TRY(tare_dnnl_posts_add(posts, dst, place, err));
            continue;
        }
        TARE_TRY(tare_dnnl_check(epilogues[epilogue->kind](posts, epilogue->a, epilogue->b),
                                 "appending an activation", err));
    }
    return TARE_OK;
}

tare_status tare_dnnl_posts_attr(tare_dnnl_posts *posts, tare_error *err) {
    static const char what[] = "setting attributes";
    TARE_TRY(tare_dnnl_check(dnnl_primitive_attr_create(&posts->attr), what, err));
    TARE_TRY(tare_dnnl_check(
        dnnl_primitive_attr_set_scratchpad_mode(posts->attr, dnnl_scratchpad_mode_user), what,
        err));
    TARE_TRY(tare_dnnl_check(
        dnnl_primitive_attr_set_fpmath_mode(posts->attr, dnnl_fpmath_mode_strict), what, err));
    return tare_dnnl_check(dnnl_primitive_attr_set_post_ops(posts->attr, posts->ops), what, err);
}

tare_status tare_dnnl_posts_bind(const tare_dnnl_posts *posts, tare_dnnl_program *program,
                                 tare_error *err) {
    for (size_t i = 0; i < posts->operand_count; i++) {
        TARE_TRY(tare_dnnl_program_bind(program, posts->operands[i].id, posts->operands[i].md,
                                        posts->operands[i].place, err));
    }
    return TARE_OK;
}

void tare_dnnl_posts_release(tare_dnnl_posts *posts) {
    for (size_t i = 0; i < posts->operand_count; i++) {
        tare_dnnl_md_free(posts->operands[i].md);
    }
    if (posts->attr != NULL) {
        (void)dnnl_primitive_attr_destroy(posts->attr);
    }
    if (posts->ops != NULL) {
        (void)dnnl_post_ops_destroy(posts->ops);
    }
    memset(posts, 0, sizeof(*posts));
}
