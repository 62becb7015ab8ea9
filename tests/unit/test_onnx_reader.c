/* SPDX-License-Identifier: Apache-2.0 */
/** The ONNX reader: what it fills, and every way in which a file can be bad. */
#include <criterion/criterion.h>
#include <sys/stat.h>
#include <unistd.h>

#include "onnx/reader.h"
#include "onnx_wire.h"

static tare_graph graph;
static tare_error err;

static tare_status read_bytes(wire model, const char *folder) {
    /* A copy of the exact size, so that the sanitizers see a step beyond the end. */
    unsigned char *exact = malloc(model.bytes > 0 ? model.bytes : 1);
    tare_status status;
    if (model.bytes > 0) {
        memcpy(exact, model.data, model.bytes);
    }
    free(model.data);
    tare_graph_init(&graph);
    status = tare_onnx_read_memory(&graph, exact, model.bytes, folder, &err);
    free(exact);
    return status;
}

static void release(void) {
    tare_graph_release(&graph);
}

static void load(wire g) {
    const tare_status status = read_bytes(wire_model(&g), NULL);
    cr_assert_eq(status, TARE_OK, "%s", status == TARE_OK ? "" : err.text);
}

/* Reading fails with that status and a text that has both parts. */
static void refuse_in(wire g, const char *folder, tare_status expected, const char *part,
                      const char *other) {
    const tare_status status = read_bytes(wire_model(&g), folder);
    cr_assert_eq(status, expected, "status %d, text '%s'", (int)status,
                 status == TARE_OK ? "" : err.text);
    cr_assert_neq(strstr(err.text, part), NULL, "'%s' lacks '%s'", err.text, part);
    cr_assert_neq(strstr(err.text, other), NULL, "'%s' lacks '%s'", err.text, other);
    release();
}

static void refuse(wire g, tare_status expected, const char *part, const char *other) {
    refuse_in(g, NULL, expected, part, other);
}

static wire with_node(const char *op, const char *inputs, const char *outputs) {
    wire g = wire_small_graph();
    wire_add(&g, GRAPH_NODE, wire_node(op, inputs, outputs));
    return g;
}

static wire with_tensor(wire tensor) {
    wire g = wire_small_graph();
    wire_add(&g, GRAPH_INITIALIZER, tensor);
    return g;
}

static wire with_attribute(wire attribute) {
    wire g = wire_small_graph(), node = wire_node("Op", "x", "z");
    wire_message(&node, 5, &attribute);
    wire_add(&g, GRAPH_NODE, node);
    return g;
}

/* ---- what is filled ---- */

Test(reader, fills_values_nodes_and_types) {
    load(wire_small_graph());
    cr_assert_eq(graph.ir_version, 8);
    cr_assert_eq(tare_graph_opset(&graph, ""), 17);
    cr_assert_str_eq(graph.name, "small");
    cr_assert_eq(graph.node_count, 1);
    cr_assert_eq(graph.input_count, 1);
    cr_assert_eq(graph.output_count, 1);
    const tare_value *x = graph.inputs[0], *w = tare_graph_find_value(&graph, "w");
    cr_assert(x->is_input && !x->is_initializer && x->constant == NULL);
    cr_assert_eq(x->dtype, TARE_DTYPE_FLOAT);
    cr_assert_eq(x->rank, 2);
    cr_assert_eq(x->dims[0], -1);
    cr_assert_eq(x->dims[1], 3);
    cr_assert_str_eq(x->dim_names[0], "n");
    cr_assert(w->is_initializer && !w->is_input);
    cr_assert_eq(w->rank, 1);
    cr_assert_eq(((const float *)w->constant->data)[2], 2.5f);
    cr_assert_eq((uintptr_t)w->constant->data % sizeof(float), 0);
    cr_assert_eq(graph.nodes[0]->inputs[1], w);
    cr_assert_neq(graph.nodes[0]->origin, NULL);
    cr_assert(graph.outputs[0]->is_output);
    cr_assert_eq(graph.outputs[0]->producer, graph.nodes[0]);
    release();
}

Test(reader, a_constant_outlives_its_graph) {
    tare_tensor kept;
    load(wire_small_graph());
    tare_tensor_share(&kept, tare_graph_find_value(&graph, "w")->constant);
    release();
    cr_assert_eq(((const float *)kept.data)[1], 1.5f);
    tare_tensor_release(&kept);
}

Test(reader, left_out_inputs_and_outputs_are_null) {
    load(with_node("Op", "x,,w", ",z"));
    const tare_node *node = graph.nodes[1];
    cr_assert_eq(node->input_count, 3);
    cr_assert_eq(node->inputs[1], NULL);
    cr_assert_eq(node->output_count, 2);
    cr_assert_eq(node->outputs[0], NULL);
    cr_assert_eq(tare_node_input(node, 2), tare_graph_find_value(&graph, "w"));
    release();
}

Test(reader, attributes_of_every_kind) {
    wire g = wire_small_graph(), node = wire_node("Op", "x", "z"), a = {0};
    const float floats[] = {0.5f, -1.0f};
    const int64_t dims[] = {2};
    wire_message(&node, 5, wire_number(wire_float(wire_text(&a, 1, "f"), 2, 1.5f), 20, 1));
    wire_message(&node, 5, wire_number(wire_number(wire_text(&a, 1, "i"), 3, (uint64_t)-7), 20, 2));
    wire_message(&node, 5, wire_number(wire_bytes(wire_text(&a, 1, "s"), 4, "a\0b", 3), 20, 3));
    wire tensor = wire_floats("", 1, dims);
    wire_message(&node, 5, wire_number(wire_message(wire_text(&a, 1, "t"), 5, &tensor), 20, 4));
    wire_message(&node, 5, wire_number(wire_bytes(wire_text(&a, 1, "fs"), 7, floats, 8), 20, 6));
    wire_number(wire_number(wire_text(&a, 1, "is"), 8, 3), 8, (uint64_t)-1);
    wire_message(&node, 5, wire_number(&a, 20, 7));
    wire_message(&node, 5,
                 wire_number(wire_text(wire_text(wire_text(&a, 1, "ss"), 9, "p"), 9, ""), 20, 8));
    wire_message(&node, 5, wire_number(wire_text(&a, 1, "zero"), 20, 2));
    wire_message(&node, 5, wire_number(wire_text(&a, 1, "old"), 3, 9)); /* kind left out */
    wire_text(&node, 7, "ai.onnx");
    wire_add(&g, GRAPH_NODE, node);
    load(g);
    const tare_node *n = graph.nodes[1];
    cr_assert_str_eq(n->domain, "");
    cr_assert_eq(tare_node_attribute(n, "f")->f, 1.5f);
    cr_assert_eq(tare_node_attribute(n, "i")->i, -7);
    cr_assert_eq(tare_node_attribute(n, "s")->s_length, 3);
    cr_assert_arr_eq(tare_node_attribute(n, "s")->s, "a\0b", 4);
    cr_assert_eq(((const float *)tare_node_attribute(n, "t")->tensor->data)[1], 1.5f);
    cr_assert_eq(tare_node_attribute(n, "fs")->count, 2);
    cr_assert_eq(tare_node_attribute(n, "fs")->floats[1], -1.0f);
    cr_assert_eq(tare_node_attribute(n, "is")->count, 2);
    cr_assert_eq(tare_node_attribute(n, "is")->ints[1], -1);
    cr_assert_eq(tare_node_attribute(n, "ss")->count, 2);
    cr_assert_str_eq(tare_node_attribute(n, "ss")->strings[0], "p");
    cr_assert_str_eq(tare_node_attribute(n, "ss")->strings[1], "");
    cr_assert_eq(tare_node_attribute(n, "zero")->type, TARE_ATTRIBUTE_INT);
    cr_assert_eq(tare_node_attribute(n, "zero")->i, 0);
    cr_assert_eq(tare_node_attribute(n, "old")->type, TARE_ATTRIBUTE_INT);
    cr_assert_eq(tare_node_attribute(n, "old")->i, 9);
    release();
}

Test(reader, lists_of_numbers_become_dense) {
    const int64_t three[] = {3}, two[] = {2};
    wire g = wire_small_graph(), t = wire_tensor("i8", TARE_DTYPE_INT8, 1, three), packed = {0};
    wire_varint(&packed, (uint64_t)-128);
    wire_varint(&packed, 127);
    wire_varint(&packed, 0);
    wire_message(&t, 5, &packed);
    wire_add(&g, GRAPH_INITIALIZER, t);
    t = wire_tensor("half", TARE_DTYPE_FLOAT16, 1, two);
    wire_number(wire_number(&t, 5, 0x3c00), 5, 0xc000); /* not packed */
    wire_add(&g, GRAPH_INITIALIZER, t);
    t = wire_tensor("u32", TARE_DTYPE_UINT32, 1, two);
    wire_number(wire_number(&t, 11, UINT32_MAX), 11, 1);
    wire_add(&g, GRAPH_INITIALIZER, t);
    t = wire_tensor("i4", TARE_DTYPE_INT4, 1, three);
    wire_number(wire_number(&t, 5, 0x78), 5, 0x01);
    wire_add(&g, GRAPH_INITIALIZER, t);
    t = wire_tensor("i64", TARE_DTYPE_INT64, 0, NULL);
    wire_number(&t, 7, (uint64_t)-5);
    wire_add(&g, GRAPH_INITIALIZER, t);
    t = wire_tensor("text", TARE_DTYPE_STRING, 1, two);
    wire_text(wire_text(&t, 6, "a"), 6, "");
    wire_add(&g, GRAPH_INITIALIZER, t);
    load(g);
    const tare_tensor *i8 = tare_graph_find_value(&graph, "i8")->constant;
    cr_assert_eq(tare_tensor_int_at(i8, 0), -128);
    cr_assert_eq(tare_tensor_int_at(i8, 1), 127);
    const uint16_t *half = tare_graph_find_value(&graph, "half")->constant->data;
    cr_assert(half[0] == 0x3c00 && half[1] == 0xc000);
    const tare_tensor *u32 = tare_graph_find_value(&graph, "u32")->constant;
    cr_assert_eq(tare_tensor_int_at(u32, 0), UINT32_MAX);
    const unsigned char *i4 = tare_graph_find_value(&graph, "i4")->constant->data;
    cr_assert(i4[0] == 0x78 && i4[1] == 0x01);
    cr_assert_eq(tare_tensor_int_at(tare_graph_find_value(&graph, "i64")->constant, 0), -5);
    const tare_value *text = tare_graph_find_value(&graph, "text");
    cr_assert(text->is_initializer && text->constant == NULL && text->dtype == TARE_DTYPE_STRING);
    cr_assert_eq(text->dims[0], 2);
    release();
}

Test(reader, an_initializer_may_be_an_input_if_they_agree) {
    const int64_t three[] = {3}, four[] = {4}, open[] = {-1};
    wire g = wire_small_graph();
    wire_add(&g, GRAPH_INPUT, wire_value("w", 1, 1, open));
    load(g);
    const tare_value *w = tare_graph_find_value(&graph, "w");
    cr_assert(w->is_input && w->is_initializer);
    cr_assert_eq(w->dims[0], 3);
    cr_assert_eq(graph.input_count, 2);
    release();
    g = wire_small_graph();
    wire_add(&g, GRAPH_INPUT, wire_value("w", 1, 1, four));
    refuse(g, TARE_INVALID_MODEL, "initializer 'w'", "[3], but the graph input says float32 [4]");
    g = wire_small_graph();
    wire_add(&g, GRAPH_INPUT, wire_value("w", 7, 1, three));
    refuse(g, TARE_INVALID_MODEL, "initializer 'w'", "int64");
}

Test(reader, sparse_initializers_have_a_type_but_no_contents) {
    const int64_t two[] = {2}, five[] = {5};
    wire g = wire_small_graph(), sparse = {0}, values = wire_floats("s", 1, two);
    wire_message(&sparse, 1, &values);
    wire_number(&sparse, 3, (uint64_t)five[0]);
    wire_add(&g, GRAPH_SPARSE_INITIALIZER, sparse);
    load(g);
    const tare_value *s = tare_graph_find_value(&graph, "s");
    cr_assert(s->is_initializer && s->constant == NULL && s->dims[0] == 5);
    release();
    g = wire_small_graph();
    wire_add(&g, GRAPH_SPARSE_INITIALIZER, (wire){0});
    refuse(g, TARE_INVALID_MODEL, "sparse initializer #0", "no values");
}

Test(reader, unsorted_nodes_are_sorted) {
    wire g = with_node("Late", "b", "c");
    wire_add(&g, GRAPH_NODE, wire_node("Early", "y", "b"));
    load(g);
    cr_assert_str_eq(graph.nodes[0]->op_type, "Add");
    cr_assert_str_eq(graph.nodes[1]->op_type, "Early");
    cr_assert_str_eq(graph.nodes[2]->op_type, "Late");
    release();
}

/* A node whose subgraph has one node reading `names`, and one output `out`. */
static wire branch(const char *names, const char *out) {
    wire node = wire_node("If", "x", "z"), body = {0}, attribute = {0};
    wire_add(&body, GRAPH_NODE, wire_node("Op", names, "inner"));
    wire_add(&body, GRAPH_OUTPUT, wire_value(out, 1, 0, NULL));
    wire_message(wire_text(&attribute, 1, "then_branch"), 6, &body);
    wire_number(&attribute, 20, TARE_ATTRIBUTE_GRAPH);
    wire_message(&node, 5, &attribute);
    return node;
}

Test(reader, captures_of_subgraphs_are_known) {
    size_t count = 99;
    wire g = wire_small_graph();
    wire_add(&g, GRAPH_NODE, branch("y,inner,unknown,y", "w"));
    load(g);
    tare_value *const *captured = tare_onnx_captured(&graph, graph.nodes[1], &count);
    cr_assert_eq(count, 2);
    cr_assert_str_eq(captured[0]->name, "y");
    cr_assert_str_eq(captured[1]->name, "w");
    cr_assert_eq(tare_onnx_captured(&graph, graph.nodes[0], &count), NULL);
    cr_assert_eq(count, 0);
    release();
    g = (wire){0};
    const int64_t one[] = {1};
    wire_add(&g, GRAPH_INPUT, wire_value("x", 1, 1, one));
    wire_add(&g, GRAPH_NODE, branch("later", "inner"));
    wire_add(&g, GRAPH_NODE, wire_node("Op", "x", "later"));
    refuse(g, TARE_INVALID_MODEL, "node #0 (If)", "'later', which is produced later");
}

Test(reader, both_names_of_the_standard_domain_are_one) {
    wire model = {0}, opset = {0}, g = wire_small_graph();
    wire_message(&model, 7, &g);
    wire_number(wire_text(&opset, 1, "ai.onnx"), 2, 13);
    wire_message(&model, 8, &opset);
    cr_assert_eq(read_bytes(model, NULL), TARE_OK);
    cr_assert_eq(tare_graph_opset(&graph, ""), 13);
    release();
    g = wire_small_graph();
    model = wire_model(&g);
    wire_number(wire_text(&opset, 1, "ai.onnx"), 2, 13);
    wire_message(&model, 8, &opset);
    cr_assert_eq(read_bytes(model, NULL), TARE_INVALID_MODEL);
    cr_assert_neq(strstr(err.text, "version 17 and as 13"), NULL, "%s", err.text);
    release();
}

/* ---- damaged bytes ---- */

Test(damaged, empty_zeros_and_noise) {
    uint64_t state = 88172645463325252u;
    cr_assert_eq(read_bytes((wire){0}, NULL), TARE_INVALID_MODEL);
    cr_assert_neq(strstr(err.text, "empty"), NULL);
    release();
    const wire zeros = {.data = calloc(1, (size_t)64 << 20), .bytes = (size_t)64 << 20};
    cr_assert_eq(read_bytes(zeros, NULL), TARE_INVALID_MODEL);
    cr_assert_neq(strstr(err.text, "not an ONNX file"), NULL, "%s", err.text);
    release();
    for (int round = 0; round < 2000; round++) {
        wire noise = {0};
        for (int i = 0; i < 64; i++) {
            state ^= state << 13;
            state ^= state >> 7;
            state ^= state << 17;
            wire_raw(&noise, &state, sizeof state);
        }
        cr_assert_neq(read_bytes(noise, NULL), TARE_OK);
        release();
    }
}

Test(damaged, every_truncation_and_every_flipped_bit_is_survived) {
    wire g = with_attribute(*wire_text(&(wire){0}, 1, "a"));
    const int64_t dims[] = {2, 2};
    wire_add(&g, GRAPH_VALUE_INFO, wire_value("z", 1, 2, dims));
    wire_add(&g, GRAPH_NODE, branch("y", "w"));
    const wire model = wire_model(&g);
    size_t loaded = 0;
    for (size_t length = 1; length < model.bytes; length++) {
        wire cut = {0};
        wire_raw(&cut, model.data, length);
        loaded += read_bytes(cut, NULL) == TARE_OK;
        release();
    }
    /* The graph is one block, so only cuts behind it can load. */
    cr_assert_leq(loaded, 8);
    for (size_t bit = 0; bit < model.bytes * 8; bit++) {
        wire flipped = {0};
        wire_raw(&flipped, model.data, model.bytes);
        flipped.data[bit / 8] ^= (unsigned char)(1u << (bit % 8));
        if (read_bytes(flipped, NULL) != TARE_OK) {
            cr_assert_neq(err.text[0], '\0');
        }
        release();
    }
    free(model.data);
}

Test(damaged, deep_nesting_is_refused_before_the_stack_ends) {
    for (unsigned depth = 10; depth <= 100000; depth *= 10) {
        /* Sequences of sequences: ValueInfo.type, then Sequence.elem_type again and again; built
         * from the inside, each level as a prefix in front of what is there. */
        unsigned char *buffer = malloc((size_t)depth * 16 + 64);
        size_t start = (size_t)depth * 16 + 64, end = start;
        for (unsigned level = 0; level < depth * 2; level++) {
            wire header = {0};
            wire_varint(&header, (level % 2 == 0 ? 1u : 4u) << 3 | 2);
            wire_varint(&header, end - start);
            start -= header.bytes;
            memcpy(buffer + start, header.data, header.bytes);
            free(header.data);
        }
        wire info = {0}, g = wire_small_graph();
        wire_bytes(wire_text(&info, 1, "deep"), 2, buffer + start, end - start);
        free(buffer);
        wire_add(&g, GRAPH_VALUE_INFO, info);
        if (depth == 10) {
            load(g);
            release();
        } else {
            refuse(g, TARE_INVALID_MODEL, "nesting deeper", "byte");
        }
    }
}

Test(damaged, structure_that_unpacking_must_not_see) {
    wire g = wire_small_graph();
    wire_bytes(&g, GRAPH_NAME, "a\0b", 3);
    refuse(g, TARE_INVALID_MODEL, "zero byte", "GraphProto");
    g = wire_small_graph();
    wire_number(&g, GRAPH_NODE, 1);
    refuse(g, TARE_INVALID_MODEL, "wrong kind", "GraphProto");
    g = wire_small_graph();
    wire_raw(&g, "\x0b", 1); /* a group */
    refuse(g, TARE_INVALID_MODEL, "wrong kind", "GraphProto");
    wire model = {0}, first = wire_small_graph(), second = wire_small_graph();
    wire_message(wire_message(&model, 7, &first), 7, &second);
    cr_assert_eq(read_bytes(model, NULL), TARE_INVALID_MODEL);
    cr_assert_neq(strstr(err.text, "comes twice"), NULL, "%s", err.text);
    release();
    model = (wire){0};
    wire_number(&model, 1, 8);
    cr_assert_eq(read_bytes(model, NULL), TARE_INVALID_MODEL);
    cr_assert_neq(strstr(err.text, "no graph"), NULL);
    release();
}

Test(damaged, millions_of_empty_nodes_are_refused_before_they_take_memory) {
    const size_t count = 4000000;
    unsigned char *nodes = malloc(count * 2);
    for (size_t i = 0; i < count; i++) {
        nodes[2 * i] = GRAPH_NODE << 3 | 2;
        nodes[2 * i + 1] = 0;
    }
    wire g = wire_small_graph();
    wire_raw(&g, nodes, count * 2);
    free(nodes);
    refuse(g, TARE_INVALID_MODEL, "empty parts", "NodeProto");
}

/* ---- bad tensors ---- */

Test(tensors, impossible_shapes_are_refused_without_allocating) {
    const int64_t huge[] = {(int64_t)1 << 30, (int64_t)1 << 30},
                  big[] = {(int64_t)1 << 30, (int64_t)1 << 20}, negative[] = {3, -1},
                  overflow[] = {(int64_t)1 << 62, 4}, many[] = {1, 1, 1, 1, 1, 1, 1, 1, 1};
    wire t = wire_tensor("t", 1, 2, big);
    refuse(with_tensor(wire_tensor("t", 1, 2, huge)), TARE_INVALID_MODEL, "initializer 't'",
           "[1073741824x1073741824] is too large");
    refuse(with_tensor(wire_tensor("t", 1, 2, big)), TARE_INVALID_MODEL, "initializer 't'",
           "0 bytes of data, but float32 [1073741824x1048576] has 4503599627370496");
    refuse(with_tensor(*wire_float(&t, 4, 1.0f)), TARE_INVALID_MODEL, "initializer 't'",
           "1 numbers, but float32");
    refuse(with_tensor(wire_tensor("t", 1, 2, negative)), TARE_INVALID_MODEL, "'t'", "negative");
    refuse(with_tensor(wire_tensor("t", 1, 2, overflow)), TARE_INVALID_MODEL, "'t'", "impossible");
    refuse(with_tensor(wire_tensor("t", 1, 9, many)), TARE_UNSUPPORTED, "'t'", "rank 9");
    wire g = wire_small_graph();
    wire_add(&g, GRAPH_VALUE_INFO, wire_value("y2", 1, 2, negative));
    wire_add(&g, GRAPH_INPUT, wire_value("i", 1, 9, many));
    refuse(g, TARE_UNSUPPORTED, "tensor 'i'", "rank 9");
}

Test(tensors, contents_must_match_type_and_shape) {
    const int64_t two[] = {2};
    wire t = wire_tensor("t", 1, 1, two);
    refuse(with_tensor(*wire_bytes(&t, 9, "1234567", 7)), TARE_INVALID_MODEL, "'t'",
           "7 bytes of data, but float32 [2] has 8");
    t = wire_tensor("t", TARE_DTYPE_UINT8, 1, two);
    refuse(with_tensor(*wire_number(wire_number(&t, 5, 1), 5, 256)), TARE_INVALID_MODEL, "'t'",
           "number 1 does not fit uint8");
    t = wire_tensor("t", TARE_DTYPE_UINT32, 1, two);
    refuse(with_tensor(*wire_number(wire_number(&t, 11, UINT64_MAX), 11, 0)), TARE_INVALID_MODEL,
           "'t'", "number 0 does not fit uint32");
    t = wire_tensor("t", 1, 1, two);
    refuse(with_tensor(*wire_number(wire_number(&t, 7, 1), 7, 2)), TARE_INVALID_MODEL, "'t'",
           "list meant for another type");
    t = wire_tensor("t", TARE_DTYPE_BOOL, 1, two);
    refuse(with_tensor(*wire_bytes(&t, 9, "\x01\x02", 2)), TARE_INVALID_MODEL, "'t'",
           "neither 0 nor 1");
    t = wire_floats("t", 1, two);
    refuse(with_tensor(*wire_float(wire_float(&t, 4, 1), 4, 2)), TARE_INVALID_MODEL, "'t'",
           "stored twice");
    refuse(with_tensor(wire_tensor("t", 0, 1, two)), TARE_INVALID_MODEL, "'t'", "element type 0");
    t = wire_tensor("t", 1, 1, two);
    refuse(with_tensor(*wire_number(&t, 14, 7)), TARE_INVALID_MODEL, "'t'", "data location 7");
    t = wire_floats("t", 1, two);
    wire segment = {0};
    wire_number(&segment, 1, 0);
    refuse(with_tensor(*wire_message(&t, 3, &segment)), TARE_UNSUPPORTED, "'t'", "segments");
}

/* ---- bad graphs ---- */

Test(graphs, names_are_defined_once) {
    const int64_t three[] = {3};
    refuse(with_tensor(wire_floats("w", 1, three)), TARE_INVALID_MODEL, "initializer 'w'", "two");
    wire g = wire_small_graph();
    wire_add(&g, GRAPH_INPUT, wire_value("x", 1, 1, three));
    refuse(g, TARE_INVALID_MODEL, "graph input 1", "'x'");
    refuse(with_node("Op", "x", "y"), TARE_INVALID_MODEL, "node #1", "'y' is produced twice");
    refuse(with_node("Op", "y", "x"), TARE_INVALID_MODEL, "node #1", "'x' is produced twice");
    refuse(with_node("Op", "y", "w"), TARE_INVALID_MODEL, "node #1", "'w' is produced twice");
    refuse(with_node("Op", "y", "a,a"), TARE_INVALID_MODEL, "node #1", "'a' is produced twice");
    g = wire_small_graph();
    wire_add(&g, GRAPH_OUTPUT, wire_value("y", 1, 1, three));
    refuse(g, TARE_INVALID_MODEL, "graph output 'y'", "listed twice");
    refuse(with_tensor(wire_floats("", 1, three)), TARE_INVALID_MODEL, "initializer ''",
           "without a name");
}

Test(graphs, what_is_read_is_defined) {
    refuse(with_node("Op", "x,ghost", "z"), TARE_INVALID_MODEL, "node #1 '' (Op): input 1",
           "'ghost', which nothing defines");
    const int64_t three[] = {3};
    wire g = wire_small_graph();
    wire_add(&g, GRAPH_OUTPUT, wire_value("ghost", 1, 1, three));
    refuse(g, TARE_INVALID_MODEL, "graph output 1", "'ghost'");
    refuse(with_node("", "x", "z"), TARE_INVALID_MODEL, "node #1", "names no operator");
}

Test(graphs, cycles_are_named) {
    refuse(with_node("Loop1", "z", "z"), TARE_INVALID_MODEL, "cycle", "Loop1");
    wire g = with_node("First", "b", "a");
    wire_add(&g, GRAPH_NODE, wire_node("Second", "a", "b"));
    refuse(g, TARE_INVALID_MODEL, "cycle", "node #");
}

Test(graphs, attributes_make_sense) {
    wire a = {0};
    wire_number(wire_text(wire_text(&a, 1, "axis"), 21, "outer"), 20, 2);
    refuse(with_attribute(a), TARE_INVALID_MODEL, "attribute 'axis'", "'outer'");
    a = (wire){0};
    refuse(with_attribute(*wire_number(wire_text(&a, 1, "value"), 20, 4)), TARE_INVALID_MODEL,
           "node #1 '' (Op): attribute 'value'", "missing");
    wire g = wire_small_graph(), node = wire_node("Op", "x", "z");
    a = (wire){0};
    wire_message(&node, 5, wire_number(wire_text(&a, 1, "k"), 3, 1));
    wire_message(&node, 5, wire_number(wire_text(&a, 1, "k"), 3, 2));
    wire_add(&g, GRAPH_NODE, node);
    refuse(g, TARE_INVALID_MODEL, "attribute 'k'", "twice");
}

/* ---- files ---- */

static char folder[] = "/tmp/tare-onnx-XXXXXX";
static char path_text[512];

static const char *in_folder(const char *name) {
    (void)snprintf(path_text, sizeof path_text, "%s/%s", folder, name);
    return path_text;
}

static void make_folder(void) {
    cr_assert_neq(mkdtemp(folder), NULL);
}

static void remove_folder(void) {
    char command[600];
    (void)snprintf(command, sizeof command, "rm -rf %s %s-outside", folder, folder);
    cr_assert_eq(system(command), 0);
}

TestSuite(files, .init = make_folder, .fini = remove_folder);

static tare_status read_file(const char *path) {
    tare_graph_init(&graph);
    return tare_onnx_read(&graph, path, &err);
}

Test(files, errors_name_the_file) {
    wire g = with_node("Op", "ghost", "z"), model = wire_model(&g);
    cr_assert_eq(read_file(in_folder("none.onnx")), TARE_NOT_FOUND);
    cr_assert_neq(strstr(err.text, "none.onnx"), NULL);
    release();
    cr_assert_eq(read_file(folder), TARE_IO);
    release();
    wire_save(in_folder("bad.onnx"), model.data, model.bytes);
    free(model.data);
    cr_assert_eq(read_file(in_folder("bad.onnx")), TARE_INVALID_MODEL);
    cr_assert_neq(strstr(err.text, "bad.onnx': node #1"), NULL, "%s", err.text);
    release();
    wire_save(in_folder("empty.onnx"), "", 0);
    cr_assert_eq(read_file(in_folder("empty.onnx")), TARE_INVALID_MODEL);
    cr_assert_neq(strstr(err.text, "empty.onnx"), NULL);
    release();
    g = wire_small_graph();
    model = wire_model(&g);
    wire_save(in_folder("good.onnx"), model.data, model.bytes);
    free(model.data);
    cr_assert_eq(read_file(in_folder("good.onnx")), TARE_OK);
    cr_assert_str_eq(graph.path, in_folder("good.onnx"));
    release();
}

/* A float tensor [3] that lies outside; length NULL leaves the entry out. */
static wire external(const char *location, const char *offset, const char *length) {
    const int64_t three[] = {3};
    wire t = wire_tensor("e", 1, 1, three), g;
    if (location != NULL) {
        wire_external(&t, "location", location);
    }
    if (offset != NULL) {
        wire_external(&t, "offset", offset);
    }
    if (length != NULL) {
        wire_external(&t, "length", length);
    }
    wire_number(&t, 14, 1);
    g = with_tensor(t);
    return g;
}

static void write_numbers(const char *path) {
    const float numbers[] = {1, 2, 3, 4, 5};
    wire_save(path, numbers, sizeof numbers);
}

Test(files, external_data_is_mapped) {
    wire g = external("sub/w.bin", "4", "12"), model = wire_model(&g);
    cr_assert_eq(mkdir(in_folder("sub"), 0777), 0);
    write_numbers(in_folder("sub/w.bin"));
    wire_save(in_folder("m.onnx"), model.data, model.bytes);
    free(model.data);
    cr_assert_eq(read_file(in_folder("m.onnx")), TARE_OK, "%s", err.text);
    const tare_tensor *e = tare_graph_find_value(&graph, "e")->constant;
    cr_assert_eq(((const float *)e->data)[0], 2.0f);
    cr_assert_eq(((const float *)e->data)[2], 4.0f);
    cr_assert_eq((uintptr_t)e->data % 4096, 4); /* inside the mapping itself */
    release();
}

Test(files, misaligned_external_data_is_copied) {
    wire g = external("w.bin", "3", NULL);
    unsigned char bytes[16] = {0};
    const float numbers[] = {7, 8, 9};
    memcpy(bytes + 3, numbers, sizeof numbers);
    wire_save(in_folder("w.bin"), bytes, sizeof bytes);
    cr_assert_eq(read_bytes(wire_model(&g), folder), TARE_OK, "%s", err.text);
    const tare_tensor *e = tare_graph_find_value(&graph, "e")->constant;
    cr_assert_eq((uintptr_t)e->data % sizeof(float), 0);
    cr_assert_eq(((const float *)e->data)[1], 8.0f);
    release();
}

Test(files, external_data_is_confined) {
    char outside[64], up[64];
    (void)snprintf(outside, sizeof outside, "%s-outside", folder);
    (void)snprintf(up, sizeof up, "../%s-outside", folder + 5);
    write_numbers(outside);
    write_numbers(in_folder("w.bin"));
    cr_assert_eq(symlink(outside, in_folder("link.bin")), 0);
    cr_assert_eq(symlink("w.bin", in_folder("inner.bin")), 0);
    refuse_in(external(up, NULL, NULL), folder, TARE_INVALID_MODEL, "tensor 'e'", "not a path");
    refuse_in(external("a/../w.bin", NULL, NULL), folder, TARE_INVALID_MODEL, "'e'", "not a path");
    refuse_in(external(outside, NULL, NULL), folder, TARE_INVALID_MODEL, "'e'", "not a path");
    refuse_in(external("", NULL, NULL), folder, TARE_INVALID_MODEL, "'e'", "not a path");
    refuse_in(external(NULL, NULL, NULL), folder, TARE_INVALID_MODEL, "'e'", "not a path");
    refuse_in(external("link.bin", NULL, NULL), folder, TARE_INVALID_MODEL, "'e'", "outside");
    wire g = external("inner.bin", NULL, NULL);
    cr_assert_eq(read_bytes(wire_model(&g), folder), TARE_OK, "%s", err.text);
    release();
}

Test(files, external_data_is_bounds_checked) {
    write_numbers(in_folder("w.bin"));
    wire_save(in_folder("empty.bin"), "", 0);
    refuse_in(external("w.bin", "12", NULL), folder, TARE_INVALID_MODEL, "'e'", "which has 20");
    refuse_in(external("w.bin", "18446744073709551608", NULL), folder, TARE_INVALID_MODEL, "'e'",
              "which has 20");
    refuse_in(external("w.bin", "18446744073709551616", NULL), folder, TARE_INVALID_MODEL, "'e'",
              "not a size");
    refuse_in(external("w.bin", "18446744073709551599", NULL), folder, TARE_INVALID_MODEL, "'e'",
              "which has 20");
    refuse_in(external("w.bin", "-4", NULL), folder, TARE_INVALID_MODEL, "'e'", "not a size");
    refuse_in(external("w.bin", "0x4", NULL), folder, TARE_INVALID_MODEL, "'e'", "not a size");
    refuse_in(external("w.bin", NULL, "8"), folder, TARE_INVALID_MODEL, "length is 8", "12 bytes");
    refuse_in(external("empty.bin", NULL, NULL), folder, TARE_INVALID_MODEL, "'e'", "which has 0");
    refuse_in(external("none.bin", NULL, NULL), folder, TARE_NOT_FOUND, "'e'", "none.bin");
    refuse_in(external(".", NULL, NULL), folder, TARE_INVALID_MODEL, "'e'", "outside");
    refuse_in(external("w.bin", NULL, NULL), NULL, TARE_UNSUPPORTED, "'e'", "without a folder");
    const int64_t huge[] = {(int64_t)1 << 30, (int64_t)1 << 30};
    wire t = wire_tensor("h", 1, 2, huge);
    wire_external(&t, "location", "w.bin");
    wire_number(&t, 14, 1);
    refuse_in(with_tensor(t), folder, TARE_INVALID_MODEL, "'h'", "too large");
    t = wire_tensor("text", TARE_DTYPE_STRING, 1, huge);
    wire_external(&t, "location", "w.bin");
    wire_number(&t, 14, 1);
    refuse_in(with_tensor(t), folder, TARE_INVALID_MODEL, "'text'", "cannot have external data");
}

Test(files, a_tensor_file_is_read) {
    const int64_t dims[] = {2, 2};
    wire t = wire_floats("", 2, dims), text = wire_tensor("", TARE_DTYPE_STRING, 0, NULL);
    tare_tensor tensor;
    wire_text(&text, 6, "x");
    wire_save(in_folder("t.pb"), t.data, t.bytes);
    cr_assert_eq(tare_onnx_read_tensor_file(&tensor, in_folder("t.pb"), &err), TARE_OK);
    cr_assert_eq(tensor.rank, 2);
    cr_assert_eq(((const float *)tensor.data)[3], 3.5f);
    tare_tensor_release(&tensor);
    wire_save(in_folder("t.pb"), t.data, t.bytes - 1);
    cr_assert_eq(tare_onnx_read_tensor_file(&tensor, in_folder("t.pb"), &err), TARE_INVALID_MODEL);
    cr_assert_neq(strstr(err.text, "t.pb"), NULL);
    wire_save(in_folder("s.pb"), text.data, text.bytes);
    cr_assert_eq(tare_onnx_read_tensor_file(&tensor, in_folder("s.pb"), &err), TARE_UNSUPPORTED);
    cr_assert_eq(tare_onnx_read_tensor_file(&tensor, in_folder("no.pb"), &err), TARE_NOT_FOUND);
    free(t.data);
    free(text.data);
}
