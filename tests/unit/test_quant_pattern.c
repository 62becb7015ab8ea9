/* SPDX-License-Identifier: Apache-2.0 */
/** Expanding pattern families, and what counts as a match. */
#include <criterion/criterion.h>

#include "quant/pattern.h"
#include "quant_net.h"

static quant_net net;
static tare_flow flow;
static tare_pattern_list patterns;
static tare_match_list matches;

static void setup(void) {
    quant_net_init(&net);
}

static void teardown(void) {
    quant_net_release(&net);
}

TestSuite(pattern, .init = setup, .fini = teardown);

#define OP(name, type, ...) tare_value *name = quant_net_op(&net, #name, type, __VA_ARGS__, NULL)
#define CONV(name, input)   tare_value *name = quant_net_conv(&net, #name, input, 1)

static void find(const tare_pattern_family *families, bool strict) {
    tare_error err;
    cr_assert_eq(tare_flow_build(&flow, &net.arena, &net.graph, &tare_target_openvino, false, &err),
                 TARE_OK);
    cr_assert_eq(tare_pattern_expand(&patterns, &net.arena, families, true, &err), TARE_OK);
    cr_assert_eq(tare_pattern_find(&matches, &net.arena, &flow, &patterns, strict, &err), TARE_OK,
                 "%s", err.text);
}

static void expect_match(size_t index, const char *const *names, size_t count) {
    cr_assert_gt(matches.count, index);
    cr_assert_eq(matches.items[index].count, count);
    for (size_t i = 0; i < count; i++) {
        cr_expect_str_eq(flow.nodes[matches.items[index].nodes[i]].name, names[i]);
    }
}

Test(pattern, counts) {
    tare_error err;
    /* The numbers that were observed with NNCF. */
    cr_assert_eq(
        tare_pattern_expand(&patterns, &net.arena, tare_target_openvino.fused, false, &err),
        TARE_OK);
    cr_expect_eq(patterns.count, 139);
    for (size_t i = 1; i < patterns.count; i++) {
        cr_expect_geq(patterns.items[i - 1].size, patterns.items[i].size);
    }
    cr_assert_eq(
        tare_pattern_expand(&patterns, &net.arena, tare_target_openvino.ignored, false, &err),
        TARE_OK);
    cr_expect_eq(patterns.count, 6);
    cr_assert_eq(
        tare_pattern_expand(&patterns, &net.arena, tare_target_openvino.ignored, true, &err),
        TARE_OK);
    cr_expect_eq(patterns.count, 10);
}

Test(pattern, largest_wins) {
    tare_value *x = quant_net_input(&net, "x");
    CONV(a, x);
    OP(b, "Add", a, quant_net_scalar(&net));
    OP(r, "Relu", b);
    OP(m, "Mul", r, quant_net_scalar(&net));
    quant_net_output(&net, m);
    find(tare_target_openvino.fused, true);
    const char *const names[] = {"a", "b", "r", "m"};
    cr_expect_eq(matches.count, 1);
    expect_match(0, names, 4);
}

Test(pattern, strict_refuses_other_readers) {
    tare_value *x = quant_net_input(&net, "x");
    CONV(a, x);
    OP(r, "Relu", a);
    OP(s, "Exp", a);
    quant_net_output(&net, r);
    quant_net_output(&net, s);
    find(tare_target_openvino.fused, true);
    cr_expect_eq(matches.count, 0);
}

Test(pattern, strict_refuses_other_operands) {
    tare_value *x = quant_net_input(&net, "x");
    OP(e, "Exp", x);
    CONV(a, x);
    OP(s, "Add", a, e);
    quant_net_output(&net, s);
    find(tare_target_openvino.fused, true);
    cr_expect_eq(matches.count, 0);
}

Test(pattern, parallel_edges_count) {
    tare_value *x = quant_net_input(&net, "x");
    CONV(a, x);
    OP(s, "Add", a, a);
    quant_net_output(&net, s);
    find(tare_target_openvino.fused, true);
    const char *const names[] = {"a", "s"};
    cr_expect_eq(matches.count, 1);
    expect_match(0, names, 2);
}

Test(pattern, outside_nodes_are_shared) {
    tare_value *x = quant_net_input(&net, "x");
    OP(e, "Exp", x);
    OP(s, "Sigmoid", e);
    OP(m, "Mul", e, s);
    OP(t, "HardSigmoid", e);
    OP(n, "Mul", e, t);
    quant_net_output(&net, m);
    quant_net_output(&net, n);
    find(tare_target_openvino.fused, true);
    const char *const first[] = {"s", "m"};
    const char *const second[] = {"t", "n"};
    cr_expect_eq(matches.count, 2);
    expect_match(0, first, 2);
    expect_match(1, second, 2);
}

Test(pattern, kept_nodes_are_told) {
    tare_value *x = quant_net_input(&net, "x");
    OP(p, "GlobalAveragePool", x);
    CONV(a, p);
    OP(r, "Relu", a);
    CONV(b, r);
    OP(s, "Sigmoid", b);
    OP(m, "Mul", x, s);
    quant_net_output(&net, m);
    find(tare_target_openvino.ignored, false);
    const char *const names[] = {"p", "a", "r", "b", "s", "m"};
    const bool kept[] = {true, false, false, false, false, true};
    cr_expect_eq(matches.count, 1);
    expect_match(0, names, 6);
    for (size_t i = 0; i < 6; i++) {
        cr_expect_eq(matches.items[0].kept[i], kept[i]);
    }
}
