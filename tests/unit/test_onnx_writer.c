/* SPDX-License-Identifier: Apache-2.0 */
/** The ONNX writer: what survives a change, what a new graph becomes, files complete or absent. */
#include <criterion/criterion.h>
#include <dirent.h>
#include <sys/stat.h>
#include <unistd.h>

#include "onnx/reader.h"
#include "onnx/writer.h"
#include "onnx_wire.h"

static tare_graph graph, again;
static tare_error err;
static char folder[] = "/tmp/tare-onnx-XXXXXX";
static char path_text[512];

static const char *in_folder(const char *name) {
    (void)snprintf(path_text, sizeof path_text, "%s/%s", folder, name);
    return path_text;
}

static void set_up(void) {
    cr_assert_neq(mkdtemp(folder), NULL);
    tare_graph_init(&graph);
    tare_graph_init(&again);
}

static void tear_down(void) {
    char command[600];
    tare_graph_release(&again);
    tare_graph_init(&again);
    tare_graph_release(&graph);
    (void)snprintf(command, sizeof command, "rm -rf %s", folder);
    cr_assert_eq(system(command), 0);
}

TestSuite(writer, .init = set_up, .fini = tear_down);

#define CHECK_OK(call)                                                                             \
    do {                                                                                           \
        const tare_status check_status_ = (call);                                                  \
        cr_assert_eq(check_status_, TARE_OK, "%s", check_status_ == TARE_OK ? "" : err.text);      \
    } while (0)

static size_t count_files(void) {
    DIR *dir = opendir(folder);
    size_t count = 0;
    while (readdir(dir) != NULL) {
        count++;
    }
    (void)closedir(dir);
    return count - 2;
}

/* The small graph with things around it that the graph does not model. */
static wire rich_model(void) {
    const int64_t shape[] = {-1, 3};
    wire g = wire_small_graph(), node = wire_node("Relu", "y", "r"), a = {0}, entry = {0};
    wire_message(&node, 5, wire_number(wire_number(wire_text(&a, 1, "k"), 3, 5), 20, 2));
    wire_text(wire_text(&a, 1, "tag"), 13, "an attribute's doc");
    wire_message(&node, 5, wire_number(wire_text(&a, 4, "v"), 20, 3));
    wire_text(wire_text(&node, 3, "relu1"), 6, "a node's doc");
    wire_text(&node, 2000, "a node's future");
    wire_add(&g, GRAPH_NODE, node);
    wire_add(&g, GRAPH_VALUE_INFO, wire_value("y", 1, 2, shape));
    wire_add(&g, GRAPH_VALUE_INFO, wire_value("r", 1, 2, shape));
    wire model = wire_model(&g);
    wire_text(wire_text(&model, 2, "producer"), 6, "a model's doc");
    wire_message(&model, 14, wire_text(wire_text(&entry, 1, "license"), 2, "free"));
    wire_text(&model, 5000, "a model's future");
    return model;
}

static void load(wire model) {
    CHECK_OK(tare_onnx_read_memory(&graph, model.data, model.bytes, NULL, &err));
    free(model.data);
}

static tare_buffer *pack(const tare_graph *from) {
    const tare_onnx_write_options options = tare_onnx_write_options_default();
    tare_buffer *buffer = NULL;
    CHECK_OK(tare_onnx_write_memory(&buffer, from, &options, &err));
    return buffer;
}

static void reload(void) {
    tare_buffer *buffer = pack(&graph);
    tare_graph_release(&again);
    tare_graph_init(&again);
    CHECK_OK(tare_onnx_read_memory(&again, tare_buffer_data(buffer), tare_buffer_bytes(buffer),
                                   NULL, &err));
    tare_buffer_release(buffer);
}

static bool holds(tare_buffer *buffer, const char *text) {
    const char *data = tare_buffer_data(buffer);
    const size_t length = strlen(text), bytes = tare_buffer_bytes(buffer);
    for (size_t i = 0; i + length <= bytes; i++) {
        if (memcmp(data + i, text, length) == 0) {
            return true;
        }
    }
    return false;
}

Test(writer, an_unchanged_model_keeps_everything) {
    static const char *const texts[] = {"an attribute's doc", "a node's doc",  "a node's future",
                                        "producer",           "a model's doc", "license",
                                        "a model's future"};
    load(rich_model());
    tare_buffer *first = pack(&graph);
    for (size_t i = 0; i < sizeof texts / sizeof texts[0]; i++) {
        cr_assert(holds(first, texts[i]), "lost '%s'", texts[i]);
    }
    reload();
    tare_buffer *second = pack(&again);
    cr_assert_eq(tare_buffer_bytes(first), tare_buffer_bytes(second));
    cr_assert_arr_eq(tare_buffer_data(first), tare_buffer_data(second), tare_buffer_bytes(first));
    /* The file has the same bytes. */
    CHECK_OK(tare_onnx_write(&graph, in_folder("m.onnx"), &err));
    FILE *file = fopen(in_folder("m.onnx"), "rb");
    char *bytes = malloc(tare_buffer_bytes(first) + 1);
    cr_assert_eq(fread(bytes, 1, tare_buffer_bytes(first) + 1, file), tare_buffer_bytes(first));
    cr_assert_arr_eq(bytes, tare_buffer_data(first), tare_buffer_bytes(first));
    free(bytes);
    (void)fclose(file);
    tare_buffer_release(first);
    tare_buffer_release(second);
    cr_assert_eq(count_files(), 1);
}

Test(writer, changes_come_from_the_graph_and_the_rest_from_the_file) {
    load(rich_model());
    tare_node *relu = graph.nodes[1];
    /* Another attribute value, another weight, a higher opset, a fixed batch, a node in between. */
    relu->attributes[0].i = 6;
    graph.opsets[0].version = 21;
    graph.ir_version = 10;
    graph.inputs[0]->dims[1] = 4;
    tare_value *w = tare_graph_find_value(&graph, "w"), *y = tare_graph_find_value(&graph, "y");
    const int64_t four[] = {4};
    tare_tensor *weight = tare_graph_new_tensor(&graph);
    CHECK_OK(tare_tensor_init(weight, TARE_DTYPE_FLOAT, 1, four, &err));
    ((float *)tare_tensor_elements(weight))[3] = 42;
    w->constant = weight;
    tare_value *scaled, *scale, *node_outputs[1], *node_inputs[2];
    tare_tensor one;
    CHECK_OK(tare_tensor_init(&one, TARE_DTYPE_FLOAT, 0, NULL, &err));
    CHECK_OK(tare_graph_add_initializer(&scale, &graph, "y_scale", &one, &err));
    tare_tensor_release(&one);
    CHECK_OK(tare_graph_add_value(&scaled, &graph, "y_scaled", &err));
    scaled->dtype = TARE_DTYPE_FLOAT;
    scaled->rank = 2;
    scaled->dims[0] = -1;
    scaled->dims[1] = 4;
    node_inputs[0] = y;
    node_inputs[1] = scale;
    node_outputs[0] = scaled;
    tare_node *mul;
    CHECK_OK(tare_graph_add_node(&mul, &graph,
                                 &(tare_node_spec){.op_type = "Mul",
                                                   .name = "mul",
                                                   .inputs = node_inputs,
                                                   .input_count = 2,
                                                   .outputs = node_outputs,
                                                   .output_count = 1},
                                 1, &err));
    relu->inputs[0] = scaled;

    tare_buffer *bytes = pack(&graph);
    cr_assert(holds(bytes, "a node's future") && holds(bytes, "an attribute's doc"));
    tare_buffer_release(bytes);
    reload();
    cr_assert_eq(again.ir_version, 10);
    cr_assert_eq(tare_graph_opset(&again, ""), 21);
    cr_assert_eq(again.node_count, 3);
    cr_assert_str_eq(again.nodes[1]->op_type, "Mul");
    cr_assert_str_eq(again.nodes[2]->inputs[0]->name, "y_scaled");
    cr_assert_eq(tare_node_attribute(again.nodes[2], "k")->i, 6);
    cr_assert_str_eq(tare_node_attribute(again.nodes[2], "tag")->s, "v");
    cr_assert_eq(((const float *)tare_graph_find_value(&again, "w")->constant->data)[3], 42);
    cr_assert_eq(again.inputs[0]->dims[1], 4);
    cr_assert_eq(again.inputs[0]->dims[0], -1);
    cr_assert_str_eq(again.inputs[0]->dim_names[0], "n");
    cr_assert_eq(tare_graph_find_value(&again, "y_scaled")->rank, 2);
    cr_assert_eq(tare_graph_find_value(&again, "y_scaled")->dims[1], 4);
}

Test(writer, knowing_more_than_the_file_does_not_change_its_types) {
    load(rich_model());
    graph.inputs[0]->dims[0] = 8;
    graph.outputs[0]->dims[0] = 8;
    reload();
    cr_assert_eq(again.inputs[0]->dims[0], -1);
    cr_assert_eq(again.outputs[0]->dims[0], -1);
}

Test(writer, a_file_that_contradicts_itself_is_not_corrected) {
    const int64_t two[] = {2}, three[] = {3};
    wire g = wire_small_graph(), sequence = {0}, type = {0}, info = {0};
    wire_add(&g, GRAPH_NODE, wire_node("Op", "y", "z"));
    wire_add(&g, GRAPH_VALUE_INFO, wire_value("z", 1, 1, two));
    wire_add(&g, GRAPH_OUTPUT, wire_value("z", 7, 1, three));
    wire_message(&type, 4, &sequence);
    wire_text(&info, 1, "x");
    wire_add(&g, GRAPH_VALUE_INFO, *wire_message(&info, 2, &type)); /* x: a sequence after all */
    load(wire_model(&g));
    tare_buffer *first = pack(&graph);
    reload();
    tare_buffer *second = pack(&again);
    cr_assert_eq(again.outputs[1]->dtype, TARE_DTYPE_INT64);
    cr_assert_eq(again.outputs[1]->dims[0], 3);
    wire kept = wire_value("z", 1, 1, two); /* the other entry */
    bool found = false;
    for (size_t i = 0; i + kept.bytes <= tare_buffer_bytes(first); i++) {
        found = found || memcmp((char *)tare_buffer_data(first) + i, kept.data, kept.bytes) == 0;
    }
    cr_assert(found);
    free(kept.data);
    cr_assert_eq(tare_buffer_bytes(first), tare_buffer_bytes(second));
    tare_buffer_release(first);
    tare_buffer_release(second);
}

Test(writer, what_is_gone_is_left_out) {
    load(rich_model());
    tare_value *w = tare_graph_find_value(&graph, "w");
    tare_graph_remove_node(&graph, graph.nodes[1]);
    graph.nodes[0]->inputs[1] = graph.inputs[0];
    tare_graph_drop_initializer(&graph, w);
    reload();
    cr_assert_eq(tare_graph_find_value(&again, "w"), NULL);
    cr_assert_eq(again.node_count, 1);
    tare_buffer *bytes = pack(&graph);
    cr_assert_not(holds(bytes, "relu1"));
    tare_buffer_release(bytes);
}

Test(writer, an_unchanged_encoding_is_kept) {
    const int64_t two[] = {2};
    wire g = wire_small_graph(), t = wire_tensor("typed", TARE_DTYPE_INT8, 1, two);
    wire_number(wire_number(wire_text(&t, 12, "tensor doc"), 5, 1), 5, 2);
    wire_add(&g, GRAPH_INITIALIZER, t);
    load(wire_model(&g));
    tare_buffer *bytes = pack(&graph);
    cr_assert(holds(bytes, "\x2a\x02\x01\x02")); /* int32_data, packed: 1, 2 */
    tare_buffer_release(bytes);
    tare_tensor *other = tare_graph_new_tensor(&graph);
    CHECK_OK(tare_tensor_init(other, TARE_DTYPE_INT8, 1, two, &err));
    tare_graph_find_value(&graph, "typed")->constant = other;
    bytes = pack(&graph);
    cr_assert_not(holds(bytes, "\x2a\x02\x01\x02"));
    cr_assert(holds(bytes, "tensor doc"));
    tare_buffer_release(bytes);
    reload();
    cr_assert_eq(tare_tensor_int_at(tare_graph_find_value(&again, "typed")->constant, 1), 0);
}

/* y = Op(x, w) built in memory, with attributes of every kind that can be made. */
static tare_node *build(int64_t weight_count) {
    tare_value *x, *w, *y, *inputs[3], *outputs[1];
    tare_tensor weight;
    static const float floats[] = {1.5f, -2.5f};
    static const int64_t ints[] = {-1, INT64_MAX};
    static const char *const strings[] = {"a", ""};
    const int64_t one[] = {1};
    tare_node *node;

    CHECK_OK(tare_graph_add_value(&x, &graph, "x", &err));
    x->is_input = true;
    x->dtype = TARE_DTYPE_FLOAT;
    x->rank = 2;
    x->dims[0] = -1;
    x->dims[1] = weight_count;
    x->dim_names[0] = "batch";
    graph.inputs = tare_arena_array(&graph.arena, 1, sizeof(tare_value *));
    graph.inputs[graph.input_count++] = x;
    CHECK_OK(tare_tensor_init(&weight, TARE_DTYPE_FLOAT, 1, &weight_count, &err));
    for (int64_t i = 0; i < weight_count; i++) {
        ((float *)tare_tensor_elements(&weight))[i] = (float)i;
    }
    CHECK_OK(tare_graph_add_initializer(&w, &graph, "w", &weight, &err));
    tare_tensor_release(&weight);
    CHECK_OK(tare_graph_add_value(&y, &graph, "y", &err));
    y->dtype = TARE_DTYPE_FLOAT;
    y->is_output = true;
    graph.outputs = tare_arena_array(&graph.arena, 1, sizeof(tare_value *));
    graph.outputs[graph.output_count++] = y;
    graph.opsets = tare_arena_array(&graph.arena, 1, sizeof *graph.opsets);
    graph.opsets[graph.opset_count++] = (tare_opset){"", 17};
    tare_tensor *tensor = tare_graph_new_tensor(&graph);
    CHECK_OK(tare_tensor_init(tensor, TARE_DTYPE_INT64, 1, one, &err));
    const tare_attribute attributes[] = {
        {.name = "f", .type = TARE_ATTRIBUTE_FLOAT, .f = 0.25f},
        {.name = "i", .type = TARE_ATTRIBUTE_INT, .i = 0},
        {.name = "s", .type = TARE_ATTRIBUTE_STRING, .s = "a\0b", .s_length = 3},
        {.name = "t", .type = TARE_ATTRIBUTE_TENSOR, .tensor = tensor},
        {.name = "fs", .type = TARE_ATTRIBUTE_FLOATS, .floats = floats, .count = 2},
        {.name = "is", .type = TARE_ATTRIBUTE_INTS, .ints = ints, .count = 2},
        {.name = "ss", .type = TARE_ATTRIBUTE_STRINGS, .strings = strings, .count = 2},
        {.name = "no", .type = TARE_ATTRIBUTE_INTS},
    };
    inputs[0] = x;
    inputs[1] = NULL;
    inputs[2] = w;
    outputs[0] = y;
    CHECK_OK(tare_graph_add_node(&node, &graph,
                                 &(tare_node_spec){.op_type = "Op",
                                                   .domain = "my",
                                                   .name = "n",
                                                   .inputs = inputs,
                                                   .input_count = 3,
                                                   .outputs = outputs,
                                                   .output_count = 1,
                                                   .attributes = attributes,
                                                   .attribute_count = 8},
                                 SIZE_MAX, &err));
    return node;
}

Test(writer, a_graph_made_in_memory_is_a_whole_model) {
    build(4);
    reload();
    const tare_node *n = again.nodes[0];
    cr_assert_str_eq(n->domain, "my");
    cr_assert_str_eq(n->name, "n");
    cr_assert_eq(n->inputs[1], NULL);
    cr_assert_eq(n->attribute_count, 8);
    cr_assert_eq(tare_node_attribute(n, "f")->f, 0.25f);
    cr_assert_eq(tare_node_attribute(n, "i")->type, TARE_ATTRIBUTE_INT);
    cr_assert_arr_eq(tare_node_attribute(n, "s")->s, "a\0b", 4);
    cr_assert_eq(tare_node_attribute(n, "t")->tensor->dims[0], 1);
    cr_assert_eq(tare_node_attribute(n, "fs")->floats[1], -2.5f);
    cr_assert_eq(tare_node_attribute(n, "is")->ints[1], INT64_MAX);
    cr_assert_str_eq(tare_node_attribute(n, "ss")->strings[0], "a");
    cr_assert_eq(tare_node_attribute(n, "no")->count, 0);
    cr_assert_eq(tare_graph_opset(&again, ""), 17);
    cr_assert_str_eq(again.inputs[0]->dim_names[0], "batch");
    cr_assert_eq(((const float *)again.nodes[0]->inputs[2]->constant->data)[3], 3);
    cr_assert_gt(strlen(again.name), 0);
    cr_assert_gt(again.ir_version, 0);
    tare_buffer *bytes = pack(&graph);
    cr_assert(holds(bytes, "tare"));
    tare_buffer_release(bytes);
}

Test(writer, graphs_that_are_no_model_are_refused) {
    tare_buffer *buffer;
    const tare_onnx_write_options options = tare_onnx_write_options_default();
    build(4);
    graph.outputs[0]->dtype = TARE_DTYPE_UNDEFINED;
    cr_assert_eq(tare_onnx_write_memory(&buffer, &graph, &options, &err), TARE_INVALID_ARGUMENT);
    cr_assert_neq(strstr(err.text, "'y' has no type"), NULL, "%s", err.text);
    graph.outputs[0]->dtype = TARE_DTYPE_FLOAT;
    graph.nodes[0]->inputs[2]->is_initializer = false;
    cr_assert_eq(tare_onnx_write_memory(&buffer, &graph, &options, &err), TARE_INVALID_ARGUMENT);
    cr_assert_neq(strstr(err.text, "node 'n' (Op) reads tensor 'w'"), NULL, "%s", err.text);
    graph.nodes[0]->inputs[2] = graph.outputs[0];
    cr_assert_eq(tare_onnx_write_memory(&buffer, &graph, &options, &err), TARE_INVALID_ARGUMENT);
    cr_assert_neq(strstr(err.text, "produced later"), NULL, "%s", err.text);
    graph.nodes[0]->inputs[2] = NULL;
    graph.nodes[0]->attributes[0].type = TARE_ATTRIBUTE_GRAPH;
    cr_assert_eq(tare_onnx_write_memory(&buffer, &graph, &options, &err), TARE_INVALID_ARGUMENT);
    cr_assert_neq(strstr(err.text, "attribute 'f'"), NULL, "%s", err.text);
    cr_assert_eq(tare_onnx_write(&graph, in_folder("m.onnx"), &err), TARE_INVALID_ARGUMENT);
    cr_assert_eq(count_files(), 0);
}

Test(writer, a_clone_needs_the_graph_it_came_from) {
    tare_onnx_write_options options = tare_onnx_write_options_default();
    tare_buffer *buffer = NULL, *original;
    load(rich_model());
    CHECK_OK(tare_graph_clone(&again, &graph, &err));
    cr_assert_eq(tare_onnx_write_memory(&buffer, &again, &options, &err), TARE_INVALID_ARGUMENT);
    options.source = &graph;
    CHECK_OK(tare_onnx_write_memory(&buffer, &again, &options, &err));
    original = pack(&graph);
    cr_assert_eq(tare_buffer_bytes(buffer), tare_buffer_bytes(original));
    cr_assert_arr_eq(tare_buffer_data(buffer), tare_buffer_data(original),
                     tare_buffer_bytes(original));
    tare_buffer_release(buffer);
    tare_buffer_release(original);
}

Test(writer, above_the_limit_contents_go_to_a_side_file) {
    tare_onnx_write_options options = tare_onnx_write_options_default();
    tare_value *small;
    tare_tensor tensor;
    const int64_t few[] = {400}; /* between the sizes that stay and that start a page */
    build(20000);
    CHECK_OK(tare_tensor_init(&tensor, TARE_DTYPE_FLOAT, 1, few, &err));
    ((float *)tare_tensor_elements(&tensor))[399] = 9;
    CHECK_OK(tare_graph_add_initializer(&small, &graph, "few", &tensor, &err));
    tare_tensor_release(&tensor);
    options.inline_limit_bytes = 2000;
    CHECK_OK(tare_onnx_write_with(&graph, in_folder("big.onnx"), &options, &err));
    struct stat main_file, side;
    cr_assert_eq(stat(in_folder("big.onnx"), &main_file), 0);
    cr_assert_leq(main_file.st_size, 2000);
    cr_assert_eq(stat(in_folder("big.onnx.data"), &side), 0);
    cr_assert_eq(side.st_size, 20000 * 4 + 400 * 4); /* 80000 is a multiple of 64 */
    cr_assert_eq(count_files(), 2);
    CHECK_OK(tare_onnx_read(&again, in_folder("big.onnx"), &err));
    const tare_tensor *w = tare_graph_find_value(&again, "w")->constant;
    cr_assert_eq(((const float *)w->data)[19999], 19999);
    cr_assert_eq((uintptr_t)w->data % 4096, 0);
    cr_assert_eq(((const float *)tare_graph_find_value(&again, "few")->constant->data)[399], 9);
    /* Written over itself, from its own mapping, and embedded again elsewhere. */
    CHECK_OK(tare_onnx_write_with(&again, in_folder("big.onnx"), &options, &err));
    CHECK_OK(tare_onnx_write(&again, in_folder("whole.onnx"), &err));
    cr_assert_eq(unlink(in_folder("big.onnx.data")), 0);
    tare_graph_release(&again);
    tare_graph_init(&again);
    CHECK_OK(tare_onnx_read(&again, in_folder("whole.onnx"), &err));
    cr_assert_eq(((const float *)tare_graph_find_value(&again, "w")->constant->data)[19999], 19999);
}

Test(writer, failures_leave_nothing_behind) {
    tare_onnx_write_options options = tare_onnx_write_options_default();
    build(20000);
    cr_assert_eq(tare_onnx_write(&graph, in_folder("no/m.onnx"), &err), TARE_IO);
    cr_assert_neq(strstr(err.text, "no/m.onnx"), NULL);
    options.inline_limit_bytes = 50;
    cr_assert_eq(tare_onnx_write_with(&graph, in_folder("m.onnx"), &options, &err),
                 TARE_UNSUPPORTED);
    cr_assert_eq(count_files(), 0);
    options.inline_limit_bytes = 2000;
    cr_assert_eq(mkdir(in_folder("m.onnx"), 0777), 0);
    cr_assert_eq(tare_onnx_write_with(&graph, in_folder("m.onnx"), &options, &err), TARE_IO);
    cr_assert_eq(count_files(), 1);
    cr_assert_eq(rmdir(in_folder("m.onnx")), 0);
    cr_assert_eq(mkdir(in_folder("m.onnx.data"), 0777), 0);
    cr_assert_eq(tare_onnx_write_with(&graph, in_folder("m.onnx"), &options, &err), TARE_IO);
    cr_assert_eq(count_files(), 1);
    tare_buffer *buffer = NULL;
    cr_assert_eq(tare_onnx_write_memory(&buffer, &graph, &options, &err), TARE_UNSUPPORTED);
    cr_assert_eq(buffer, NULL);
}

Test(writer, captured_tensors_must_stay) {
    wire g = wire_small_graph(), node = wire_node("If", "x", "z"), body = {0}, a = {0};
    tare_buffer *buffer;
    const tare_onnx_write_options options = tare_onnx_write_options_default();
    wire_add(&body, GRAPH_NODE, wire_node("Relu", "w", "inner"));
    wire_message(wire_text(&a, 1, "then_branch"), 6, &body);
    wire_message(&node, 5, wire_number(&a, 20, 5));
    wire_add(&g, GRAPH_NODE, node);
    load(wire_model(&g));
    reload();
    cr_assert_eq(again.nodes[1]->attributes[0].type, TARE_ATTRIBUTE_GRAPH);
    graph.nodes[0]->inputs[1] = graph.inputs[0];
    tare_graph_drop_initializer(&graph, tare_graph_find_value(&graph, "w"));
    cr_assert_eq(tare_onnx_write_memory(&buffer, &graph, &options, &err), TARE_INVALID_ARGUMENT);
    cr_assert_neq(strstr(err.text, "(If) reads tensor 'w'"), NULL, "%s", err.text);
}
