/* SPDX-License-Identifier: Apache-2.0 */
/** Placements that were observed with NNCF, on networks of a few nodes. */
#include <criterion/criterion.h>
#include <stdio.h>

#include "quant_net.h"

static quant_net net;

static void setup(void) {
    quant_net_init(&net);
}

static void teardown(void) {
    quant_net_release(&net);
}

TestSuite(placement, .init = setup, .fini = teardown);

#define OP(name, type, ...)    tare_value *name = quant_net_op(&net, #name, type, __VA_ARGS__, NULL)
#define CONV(name, input)      tare_value *name = quant_net_conv(&net, #name, input, 1)
#define DEPTHWISE(name, input) tare_value *name = quant_net_conv(&net, #name, input, 8)
#define INPUT(name)            tare_value *name = quant_net_input(&net, #name)
#define SCALAR                 quant_net_scalar(&net)

static const tare_placement_options generic = {.preset = TARE_PRESET_PERFORMANCE};

static void expect(const char *wanted, const tare_placement_options *options) {
    cr_expect_str_eq(quant_net_describe(&net, options), wanted);
}

static tare_value *matrix(void) {
    const int64_t dims[2] = {8, 8};
    return quant_net_constant(&net, 2, dims);
}

Test(placement, chain_of_convolutions) {
    INPUT(x);
    CONV(a, x);
    OP(r, "Relu", a);
    CONV(b, r);
    quant_net_output(&net, b);
    expect("x(a:0) r(b:0) | a*/2 b*", &generic);
    const tare_placement_options mixed = {.preset = TARE_PRESET_MIXED};
    expect("x?(a:0) r?(b:0) | a*/2 b*", &mixed);
    const tare_placement_options whole = {.half_range = TARE_HALF_RANGE_NONE};
    expect("x(a:0) r(b:0) | a* b*", &whole);
}

Test(placement, residual) {
    INPUT(x);
    CONV(a, x);
    OP(r, "Relu", a);
    CONV(b, r);
    OP(s, "Add", b, r);
    OP(y, "Relu", s);
    CONV(c, y);
    quant_net_output(&net, c);
    expect("x(a:0) r(b:0,s:1) b(s:0) y(c:0) | a*/2 b* c*", &generic);
}

Test(placement, sum_at_the_output) {
    INPUT(x);
    CONV(a, x);
    CONV(b, x);
    OP(s, "Add", a, b);
    quant_net_output(&net, s);
    expect("x(a:0,b:0) a(s:0) b(s:1) | a*/2 b*/2", &generic);
}

Test(placement, depthwise_per_channel) {
    INPUT(x);
    CONV(a, x);
    OP(r, "Relu", a);
    DEPTHWISE(d, r);
    OP(q, "Relu", d);
    CONV(b, q);
    quant_net_output(&net, b);
    expect("x(a:0) r*(d:0) q(b:0) | a*/2 d* b*", &generic);
}

Test(placement, depthwise_beside_ordinary) {
    INPUT(x);
    OP(r, "Relu", x);
    DEPTHWISE(d, r);
    CONV(a, r);
    quant_net_output(&net, d);
    quant_net_output(&net, a);
    expect("r(d:0,a:0) | d* a*/2", &generic);
}

Test(placement, concat_in_front_of_weights_shares_a_scale) {
    INPUT(x);
    OP(r, "Relu", x);
    OP(s, "Sigmoid", x);
    OP(c, "Concat", r, s);
    CONV(a, c);
    quant_net_output(&net, a);
    expect("r=0(c:0) s=0(c:1) | a*/2", &generic);
}

Test(placement, concat_in_front_of_a_sum_does_not) {
    INPUT(x);
    OP(r, "Relu", x);
    OP(s, "Sigmoid", x);
    OP(c, "Concat", r, s);
    OP(e, "Exp", x);
    OP(y, "Add", c, e);
    quant_net_output(&net, y);
    expect("r(c:0) s(c:1) e(y:1)", &generic);
}

Test(placement, concat_at_the_output) {
    INPUT(x);
    CONV(a, x);
    CONV(b, x);
    OP(c, "Concat", a, b);
    quant_net_output(&net, c);
    expect("x(a:0,b:0) | a*/2 b*/2", &generic);
}

Test(placement, moves_up_through_pooling_and_flatten) {
    INPUT(x);
    CONV(a, x);
    OP(r, "Relu", a);
    OP(p, "MaxPool", r);
    OP(f, "Flatten", p);
    OP(g, "Gemm", f, matrix());
    quant_net_output(&net, g);
    expect("x(a:0) r(p:0) | a*/2 g*", &generic);
}

Test(placement, scaled_input_is_fused) {
    INPUT(x);
    OP(m, "Mul", x, SCALAR);
    CONV(a, m);
    quant_net_output(&net, a);
    expect("m(a:0) | a*/2", &generic);
}

Test(placement, lonely_operand) {
    INPUT(x);
    OP(r, "Relu", x);
    OP(m, "Mul", r, SCALAR);
    OP(s, "Sigmoid", m);
    quant_net_output(&net, s);
    expect("", &generic);
}

Test(placement, resize_stops) {
    INPUT(x);
    CONV(a, x);
    OP(r, "Relu", a);
    OP(z, "Resize", r);
    CONV(b, z);
    quant_net_output(&net, b);
    expect("x(a:0) r(z:0) z(b:0) | a*/2 b*", &generic);
}

Test(placement, grouped_convolution_is_not_fused) {
    INPUT(x);
    tare_value *g = quant_net_conv(&net, "g", x, 2);
    OP(s, "Add", g, SCALAR);
    OP(r, "Relu", s);
    CONV(b, r);
    quant_net_output(&net, b);
    expect("x(g:0) r(b:0) | g* b*/2", &generic);
}

Test(placement, scale_and_shift_behind_a_convolution) {
    INPUT(x);
    CONV(a, x);
    OP(m, "Mul", a, SCALAR);
    OP(s, "Add", m, SCALAR);
    OP(r, "Relu", s);
    CONV(b, r);
    quant_net_output(&net, b);
    expect("x(a:0) r(b:0) | a*/2 b*", &generic);
}

Test(placement, swish) {
    INPUT(x);
    CONV(a, x);
    OP(s, "Sigmoid", a);
    OP(m, "Mul", a, s);
    CONV(b, m);
    quant_net_output(&net, b);
    expect("x(a:0) m(b:0) | a*/2 b*", &generic);
}

Test(placement, output_with_readers_stays_float) {
    INPUT(x);
    OP(r, "Relu", x);
    CONV(a, r);
    CONV(b, r);
    quant_net_output(&net, r);
    quant_net_output(&net, a);
    quant_net_output(&net, b);
    expect("r(a:0,b:0) | a*/2 b*/2", &generic);
}

Test(placement, squeeze_and_excitation) {
    INPUT(x);
    CONV(a, x);
    OP(r, "Relu", a);
    OP(p, "GlobalAveragePool", r);
    CONV(b, p);
    OP(q, "Relu", b);
    CONV(c, q);
    OP(s, "Sigmoid", c);
    OP(m, "Mul", r, s);
    CONV(d, m);
    quant_net_output(&net, d);
    expect("x(a:0) r(p:0,m:0) s(m:1) m(d:0) | a*/2 d*", &generic);
}

Test(placement, batch_normalization) {
    const int64_t dims[1] = {8};
    INPUT(x);
    CONV(a, x);
    OP(n, "BatchNormalization", a, quant_net_constant(&net, 1, dims),
       quant_net_constant(&net, 1, dims), quant_net_constant(&net, 1, dims),
       quant_net_constant(&net, 1, dims));
    OP(r, "Relu", n);
    OP(p, "MaxPool", r);
    CONV(b, p);
    quant_net_output(&net, b);
    expect("x(a:0) r(p:0) | a*/2 b*", &generic);
}

Test(placement, sum_with_itself) {
    INPUT(x);
    CONV(a, x);
    OP(s, "Add", a, a);
    CONV(b, s);
    quant_net_output(&net, b);
    expect("x(a:0) s(b:0) | a*/2 b*", &generic);
}

Test(placement, shapes_stay_apart) {
    INPUT(x);
    CONV(a, x);
    OP(r, "Relu", a);
    OP(h, "Shape", r);
    h->dtype = TARE_DTYPE_INT64;
    h->rank = 1;
    OP(y, "Reshape", r, h);
    CONV(b, y);
    quant_net_output(&net, b);
    expect("x(a:0) r(h:0,y:0) | a*/2 b*", &generic);
}

Test(placement, attention) {
    INPUT(q);
    INPUT(k);
    INPUT(v);
    OP(a, "Relu", q);
    OP(b, "Relu", k);
    OP(c, "Relu", v);
    OP(t, "Transpose", b);
    OP(s, "MatMul", a, t);
    OP(p, "Softmax", s);
    OP(o, "MatMul", p, c);
    quant_net_output(&net, o);
    expect("a(s:0) b(t:0) c(o:1) p(o:0)", &generic);
    /* Products of two activations are symmetric in transformers, with any preset. */
    const tare_placement_options transformer = {.model_type = TARE_MODEL_TRANSFORMER};
    expect("a(s:0) b(t:0) c(o:1) p(o:0)", &transformer);
}

Test(placement, transformer_keeps_sums_float) {
    INPUT(x);
    OP(r, "Relu", x);
    OP(m, "MatMul", r, matrix());
    OP(e, "Exp", x);
    OP(s, "Add", m, e);
    OP(n, "MatMul", s, matrix());
    quant_net_output(&net, n);
    const tare_placement_options transformer = {.model_type = TARE_MODEL_TRANSFORMER};
    expect("r?(m:0) s?(n:0) | m* n*", &transformer);
    expect("r(m:0) m(s:0) e(s:1) s(n:0) | m* n*", &generic);
}

Test(placement, embedding) {
    const int64_t dims[2] = {10, 8};
    INPUT(ids);
    ids->dtype = TARE_DTYPE_INT64;
    OP(e, "Gather", quant_net_constant(&net, 2, dims), ids);
    OP(m, "MatMul", e, matrix());
    quant_net_output(&net, m);
    expect("| e m*", &generic);
    const tare_placement_options mixed = {.preset = TARE_PRESET_MIXED};
    expect("e?(m:0) | e* m*", &mixed);
}

Test(placement, post_processing_stays_float) {
    INPUT(x);
    CONV(a, x);
    OP(r, "Relu", a);
    OP(m, "Exp", r);
    OP(n, "Mul", m, r);
    OP(t, "TopK", n);
    quant_net_output(&net, t);
    expect("x(a:0) | a*/2", &generic);
}

Test(placement, idle_casts_are_looked_through) {
    const tare_attribute to = {.name = "to", .type = TARE_ATTRIBUTE_INT, .i = TARE_DTYPE_FLOAT};
    INPUT(x);
    CONV(a, x);
    OP(r, "Relu", a);
    OP(k, "Cast", r);
    k->producer->attributes = tare_arena_array(&net.graph.arena, 1, sizeof(to));
    cr_assert_not_null(k->producer->attributes);
    k->producer->attributes[0] = to;
    k->producer->attribute_count = 1;
    CONV(b, k);
    quant_net_output(&net, b);
    expect("x(a:0) r(b:0) | a*/2 b*", &generic);
}

Test(placement, half_precision_stays_as_it_is) {
    INPUT(x);
    x->dtype = TARE_DTYPE_FLOAT16;
    OP(r, "Relu", x);
    r->dtype = TARE_DTYPE_FLOAT16;
    OP(s, "Add", r, x);
    s->dtype = TARE_DTYPE_FLOAT16;
    quant_net_output(&net, s);
    expect("", &generic);
}

static void three_convolutions(void) {
    INPUT(x);
    CONV(first, x);
    OP(r, "Relu", first);
    CONV(middle, r);
    OP(s, "Relu", middle);
    CONV(last, s);
    quant_net_output(&net, last);
}

Test(placement, ignored_name) {
    const char *const names[] = {"middle"};
    const tare_placement_options options = {.ignored_names = names, .ignored_name_count = 1};
    three_convolutions();
    expect("x(first:0) s(last:0) | first*/2 last*", &options);
}

Test(placement, ignored_member_of_a_fused_operator) {
    const char *const names[] = {"r"};
    const tare_placement_options options = {.ignored_names = names, .ignored_name_count = 1};
    three_convolutions();
    expect("x(first:0) r(middle:0) s(last:0) | first*/2 middle* last*", &options);
}

Test(placement, ignored_type_and_pattern) {
    const char *const types[] = {"Conv"};
    const char *const patterns[] = {"mid|la"};
    tare_placement_options options = {.ignored_types = types, .ignored_type_count = 1};
    three_convolutions();
    expect("", &options);
    options = (tare_placement_options){.ignored_patterns = patterns, .ignored_pattern_count = 1};
    expect("x(first:0) | first*/2", &options);
}

Test(placement, ignored_nothing) {
    const char *const names[] = {"centre"};
    const char *const patterns[] = {"iddle"};
    const char *const broken[] = {"(mid"};
    tare_placement_options options = {.ignored_names = names, .ignored_name_count = 1};
    three_convolutions();
    expect("ignored name 'centre' matches no node", &options);
    options = (tare_placement_options){.ignored_types = names, .ignored_type_count = 1};
    expect("ignored type 'centre' matches no node", &options);
    options = (tare_placement_options){.ignored_patterns = patterns, .ignored_pattern_count = 1};
    expect("ignored pattern 'iddle' matches no node", &options);
    options = (tare_placement_options){.ignored_patterns = broken, .ignored_pattern_count = 1};
    cr_expect_not_null(strstr(quant_net_describe(&net, &options), "ignored pattern '(mid': "));
}

/* Work must stay close to linear: a chain of this length takes well under a second. */
Test(placement, large_chain, .timeout = 20) {
    char name[32];
    INPUT(x);
    tare_value *last = x;
    for (int i = 0; i < 12000; i++) {
        snprintf(name, sizeof(name), "c%d", i);
        tare_value *conv = quant_net_conv(&net, name, last, 1);
        snprintf(name, sizeof(name), "r%d", i);
        tare_value *relu = quant_net_op(&net, name, "Relu", conv, NULL);
        snprintf(name, sizeof(name), "s%d", i);
        last = quant_net_op(&net, name, "Add", relu, last, NULL);
    }
    quant_net_output(&net, last);
    tare_error err;
    cr_assert_eq(tare_quantizer_setup_build(&net.setup, &net.arena, &net.graph,
                                            &tare_target_openvino, &generic, &err),
                 TARE_OK);
    /* Relu and sum of each link, weights, and the input. */
    cr_expect_eq(net.setup.point_count, 3 * 12000);
}

/* What every reader of a tensor has to say must not be asked again for every one of them. */
Test(placement, very_many_readers, .timeout = 60) {
    enum { READERS = 20000 };
    tare_error err = {TARE_OK, ""};
    INPUT(x);
    CONV(a, x);
    OP(r, "Relu", a);
    for (int i = 0; i < READERS; i++) {
        char name[32];
        (void)snprintf(name, sizeof name, "s%d", i);
        quant_net_output(&net, quant_net_op(&net, name, "Add", r, r, NULL));
    }
    cr_assert_eq(tare_quantizer_setup_build(&net.setup, &net.arena, &net.graph,
                                            &tare_target_openvino, &generic, &err),
                 TARE_OK, "%s", err.text);
    cr_assert_eq(net.setup.point_count, 3);
    cr_assert_str_eq(net.setup.points[1].value->name, "r");
    cr_assert_eq(net.setup.points[1].consumer_count, 2 * READERS);
}
