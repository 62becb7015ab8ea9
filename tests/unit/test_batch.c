/* SPDX-License-Identifier: Apache-2.0 */
/** Running several samples at once: which graphs can, and that every tensor of every sample is what
 * it is alone. */
#include <criterion/criterion.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "cpu/backend.h"
#include "exec/executor.h"
#include "graph_builder.h"
#include "onnx/reader.h"
#include "pass/batch.h"
#include "pass/infer.h"

#define F TARE_DTYPE_FLOAT

static tare_graph graph;
static tare_batch batch;
static int64_t samples = 3;
static tare_error err;

static void release(void) {
    tare_batch_release(&batch);
    tare_graph_release(&graph);
}

TestSuite(batch, .fini = release);

/* ---- running ---- */

/* Every computed tensor of one run, by value id. */
typedef struct tensors {
    void **data;
    tare_desc *descs;
    size_t count;
} tensors;

static tare_status keep(void *user, size_t value_id, const tare_desc *desc, const void *data,
                        tare_error *error) {
    tensors *all = user;
    void *copy = malloc(tare_desc_bytes(desc) + 1);
    (void)error;
    memcpy(copy, data, tare_desc_bytes(desc));
    free(all->data[value_id]);
    all->data[value_id] = copy;
    all->descs[value_id] = *desc;
    return TARE_OK;
}

static void run_graph(tensors *all, tare_graph *which, const void *const *inputs) {
    bool *watched = calloc(which->value_count, sizeof *watched);
    tare_execution *execution = NULL;
    tare_plan *plan = NULL;
    const tare_watch watch = {.value = keep, .user = all};

    all->count = which->value_count;
    all->data = calloc(all->count, sizeof *all->data);
    all->descs = calloc(all->count, sizeof *all->descs);
    memset(watched, 1, which->value_count);
    const tare_plan_options options = {.watched = watched, .no_fusion = true, .threads_per_run = 2};
    cr_assert_eq(tare_plan_build(&plan, which, &tare_backend_cpu, &options, &err), TARE_OK, "%s",
                 err.text);
    cr_assert_eq(tare_execution_new(&execution, plan, &err), TARE_OK, "%s", err.text);
    cr_assert_eq(tare_execution_run(execution, inputs, &watch, &err), TARE_OK, "%s", err.text);
    tare_execution_free(execution);
    tare_plan_free(plan);
    free(watched);
}

static void release_tensors(tensors *all) {
    for (size_t i = 0; i < all->count; i++) {
        free(all->data[i]);
    }
    free(all->data);
    free(all->descs);
}

static uint64_t random_state;

static double random_unit(void) {
    random_state = random_state * 6364136223846793005U + 1442695040888963407U;
    return (double)(random_state >> 40) / (double)(1U << 24);
}

static void fill(void *data, tare_dtype dtype, int64_t count) {
    for (int64_t i = 0; i < count; i++) {
        if (dtype == F) {
            ((float *)data)[i] = (float)(random_unit() * 2.0 - 1.0);
        } else if (dtype == TARE_DTYPE_INT64) {
            ((int64_t *)data)[i] = (int64_t)(random_unit() * 3.0);
        } else {
            cr_assert_fail("inputs of type %d are not made here", (int)dtype);
        }
    }
}

static void compare(const tensors *one, const tensors *many, size_t id, int64_t sample) {
    const tare_desc *desc = &one->descs[id];
    const int64_t count = tare_desc_count(desc);
    const size_t bytes = tare_desc_bytes(desc);
    const char *part = (const char *)many->data[id] + (size_t)sample * bytes;
    double worst = 0.0, scale = 0.0;

    /* Axis 0 is the outermost one in both layouts. */
    cr_assert_eq(desc->layout, many->descs[id].layout);
    if (desc->dtype != F) {
        cr_assert_arr_eq(part, one->data[id], bytes, "tensor '%s' of sample %d differs",
                         graph.values[id]->name, (int)sample);
        return;
    }
    for (int64_t i = 0; i < count; i++) {
        const double a = ((const float *)one->data[id])[i], b = ((const float *)part)[i];
        worst = fmax(worst, fabs(a - b));
        scale = fmax(scale, fabs(a));
    }
    cr_assert_leq(worst, 1e-5 * scale, "tensor '%s' of sample %d is off by %g of %g",
                  graph.values[id]->name, (int)sample, worst, scale);
}

/* Runs `graph` on random samples one by one and together. Returns the number of tensors that were
 * compared. */
static size_t check_samples(void) {
    void **joined = calloc(graph.input_count, sizeof *joined);
    const void **inputs = calloc(graph.input_count, sizeof *inputs);
    size_t compared = 0;
    tensors many;

    random_state = 1;
    for (size_t i = 0; i < graph.input_count; i++) {
        const tare_value *input = batch.graph.inputs[i];
        const int64_t count = tare_dims_count(input->rank, input->dims);
        if (input->constant != NULL) {
            continue;
        }
        joined[i] = malloc((size_t)count * tare_dtype_bytes(input->dtype) + 1);
        fill(joined[i], input->dtype, count);
        inputs[i] = joined[i];
    }
    run_graph(&many, &batch.graph, inputs);
    for (int64_t s = 0; s < samples; s++) {
        tensors one;
        for (size_t i = 0; i < graph.input_count; i++) {
            size_t bytes = 0;
            if (joined[i] == NULL) {
                continue;
            }
            cr_assert(tare_dims_bytes(&bytes, graph.inputs[i]->dtype, graph.inputs[i]->rank,
                                      graph.inputs[i]->dims));
            inputs[i] = (const char *)joined[i] + (size_t)s * bytes;
        }
        run_graph(&one, &graph, inputs);
        for (size_t id = 0; id < one.count; id++) {
            if (one.data[id] != NULL && batch.graph.values[id]->constant == NULL) {
                cr_assert_geq(batch.axis[id], 0, "%s", graph.values[id]->name);
                cr_assert_not_null(many.data[id], "%s", graph.values[id]->name);
            }
            if (one.data[id] != NULL && batch.axis[id] == 0) {
                compare(&one, &many, id, s);
                compared++;
            }
        }
        release_tensors(&one);
    }
    release_tensors(&many);
    for (size_t i = 0; i < graph.input_count; i++) {
        free(joined[i]);
    }
    free(joined);
    free(inputs);
    return compared;
}

static void infer(void) {
    cr_assert_eq(tare_pass_infer(&graph, &tare_backend_cpu, NULL, 0, &err), TARE_OK, "%s",
                 err.text);
}

static tare_status make_batch(void) {
    tare_batch_init(&batch);
    return tare_pass_batch(&batch, &graph, &tare_backend_cpu, samples, &err);
}

static void expect_batch(size_t rewritten) {
    infer();
    cr_assert_eq(make_batch(), TARE_OK, "%s", err.text);
    cr_assert_eq(batch.rewritten, rewritten, "%zu", batch.rewritten);
    cr_assert_gt(check_samples(), 0);
}

static void expect_refusal(const char *words) {
    infer();
    cr_assert_eq(make_batch(), TARE_UNSUPPORTED, "%s", err.text);
    cr_assert_not_null(strstr(err.text, words), "'%s' is not in '%s'", words, err.text);
}

/* ---- one by one ---- */

Test(batch, layers_and_elements_need_nothing) {
    build_graph(&graph, 13);
    tare_value *x = build_input(&graph, "x", F, DIMS(1, 3, 6, 5));
    tare_node *conv = build_node(&graph, "Conv", "conv", 3, x,
                                 build_floats(&graph, "w", -1, 0.02, DIMS(4, 3, 3, 3)),
                                 build_floats(&graph, "b", 0, 0.1, DIMS(4)));
    tare_node *relu = build_node(&graph, "Relu", "relu", 1, conv->outputs[0]);
    tare_node *shifted = build_node(&graph, "Add", "shifted", 2, relu->outputs[0],
                                    build_floats(&graph, "c", 0, 1, DIMS(1, 4, 1, 1)));
    tare_node *pool = build_node(&graph, "GlobalAveragePool", "pool", 1, shifted->outputs[0]);
    tare_node *flat = build_node(&graph, "Flatten", "flat", 1, pool->outputs[0]);
    tare_node *y = build_node(&graph, "Gemm", "y", 2, flat->outputs[0],
                              build_floats(&graph, "m", 0, 0.1, DIMS(4, 2)));
    build_output(&graph, y->outputs[0]);
    expect_batch(0);
}

Test(batch, baked_shapes_are_replaced) {
    build_graph(&graph, 13);
    tare_value *x = build_input(&graph, "x", F, DIMS(1, 4, 6));
    tare_value *heads = build_ints(&graph, "heads", DIMS(1, 4, 2, 3));
    tare_node *split = build_node(&graph, "Reshape", "split", 2, x, heads);
    tare_node *turned = build_node(&graph, "Transpose", "turned", 1, split->outputs[0]);
    build_list(&graph, turned, "perm", DIMS(0, 2, 1, 3));
    tare_node *merged = build_node(&graph, "Reshape", "merged", 2, turned->outputs[0],
                                   build_ints(&graph, "two", DIMS(2, 12)));
    tare_node *again = build_node(&graph, "Reshape", "again", 2, merged->outputs[0], heads);
    tare_node *open = build_node(&graph, "Reshape", "open", 2, again->outputs[0],
                                 build_ints(&graph, "rest", DIMS(-1, 24)));
    build_output(&graph, open->outputs[0]);
    /* "rest" leaves the batch open, so only the other three are replaced. */
    expect_batch(3);
}

Test(batch, shapes_computed_from_the_input_follow) {
    build_graph(&graph, 13);
    tare_value *x = build_input(&graph, "x", F, DIMS(1, 2, 6));
    tare_node *shape = build_node(&graph, "Shape", "shape", 1, x);
    tare_node *first = build_node(&graph, "Gather", "first", 2, shape->outputs[0],
                                  build_ints(&graph, "zero", DIMS(0)));
    tare_node *target = build_node(&graph, "Concat", "target", 2, first->outputs[0],
                                   build_ints(&graph, "rest", DIMS(3, 4)));
    build_int(&graph, target, "axis", 0);
    tare_node *y = build_node(&graph, "Reshape", "y", 2, x, target->outputs[0]);
    tare_node *zeros = build_node(&graph, "ConstantOfShape", "zeros", 1, target->outputs[0]);
    tare_node *joined = build_node(&graph, "Concat", "joined", 2, zeros->outputs[0], y->outputs[0]);
    build_int(&graph, joined, "axis", 2);
    build_output(&graph, joined->outputs[0]);
    expect_batch(0);
}

Test(batch, constants_that_meet_samples_are_repeated) {
    build_graph(&graph, 16);
    tare_value *x = build_input(&graph, "x", F, DIMS(1, 2, 3, 3));
    tare_node *token = build_node(&graph, "Concat", "token", 2,
                                  build_floats(&graph, "t", 0, 1, DIMS(1, 1, 3, 3)), x);
    build_int(&graph, token, "axis", 1);
    tare_node *moved = build_node(&graph, "GridSample", "moved", 2, token->outputs[0],
                                  build_floats(&graph, "grid", -1, 0.1, DIMS(1, 2, 3, 2)));
    tare_node *rows = build_node(&graph, "Reshape", "rows", 2, moved->outputs[0],
                                 build_ints(&graph, "r", DIMS(3, 6)));
    tare_node *sum = build_node(&graph, "Add", "sum", 2, rows->outputs[0],
                                build_floats(&graph, "each", 0, 1, DIMS(3, 6)));
    tare_node *same = build_node(&graph, "Mul", "same", 2, sum->outputs[0],
                                 build_floats(&graph, "vector", 1, 1, DIMS(6)));
    build_output(&graph, same->outputs[0]);
    /* token, grid, target shape, and what is added row by row; the vector repeats by itself. */
    expect_batch(4);
}

Test(batch, sizes_of_resize_are_replaced) {
    build_graph(&graph, 13);
    tare_value *x = build_input(&graph, "x", F, DIMS(1, 2, 3, 4));
    tare_node *y = build_node(&graph, "Resize", "y", 4, x, (tare_value *)NULL, (tare_value *)NULL,
                              build_ints(&graph, "sizes", DIMS(1, 2, 6, 7)));
    build_text(&graph, y, "mode", "linear");
    build_output(&graph, y->outputs[0]);
    expect_batch(1);
}

Test(batch, matrices_of_samples_and_of_all) {
    build_graph(&graph, 13);
    tare_value *x = build_input(&graph, "x", F, DIMS(1, 4, 6));
    tare_node *turned = build_node(&graph, "Transpose", "turned", 1, x);
    build_list(&graph, turned, "perm", DIMS(0, 2, 1));
    tare_node *scores = build_node(&graph, "MatMul", "scores", 2, x, turned->outputs[0]);
    tare_node *soft = build_node(&graph, "Softmax", "soft", 1, scores->outputs[0]);
    tare_node *mixed = build_node(&graph, "MatMul", "mixed", 2, soft->outputs[0], x);
    tare_node *from_left =
        build_node(&graph, "MatMul", "from_left", 2, build_floats(&graph, "l", 0, 0.1, DIMS(5, 4)),
                   mixed->outputs[0]);
    tare_node *y = build_node(&graph, "MatMul", "y", 2, from_left->outputs[0],
                              build_floats(&graph, "r", 0, 0.1, DIMS(6, 2)));
    tare_node *norm = build_node(&graph, "ReduceMean", "norm", 1, y->outputs[0]);
    build_list(&graph, norm, "axes", DIMS(-1));
    build_output(&graph, norm->outputs[0]);
    expect_batch(0);
}

/* Queries, keys and values as one product, taken apart behind an axis in front of the samples'. */
Test(batch, samples_on_another_axis_in_between) {
    build_graph(&graph, 13);
    tare_value *x = build_input(&graph, "x", F, DIMS(1, 4, 18));
    tare_node *apart = build_node(&graph, "Reshape", "apart", 2, x,
                                  build_ints(&graph, "five", DIMS(1, 4, 3, 2, 3)));
    tare_node *front = build_node(&graph, "Transpose", "front", 1, apart->outputs[0]);
    build_list(&graph, front, "perm", DIMS(2, 0, 3, 1, 4));
    tare_node *scaled = build_node(&graph, "Mul", "scaled", 2, front->outputs[0],
                                   build_floats(&graph, "by", 1, 1, DIMS(3, 1, 2, 1, 1)));
    tare_value *parts[3];
    for (int64_t i = 0; i < 3; i++) {
        char name[16];
        snprintf(name, sizeof name, "at%d", (int)i);
        tare_value *index = build_ints(&graph, name, DIMS(i));
        snprintf(name, sizeof name, "part%d", (int)i);
        parts[i] = build_node(&graph, "Gather", name, 2, scaled->outputs[0], index)->outputs[0];
    }
    tare_node *keys = build_node(&graph, "Transpose", "keys", 1, parts[1]);
    build_list(&graph, keys, "perm", DIMS(0, 1, 2, 4, 3));
    tare_node *scores = build_node(&graph, "MatMul", "scores", 2, parts[0], keys->outputs[0]);
    tare_node *soft = build_node(&graph, "Softmax", "soft", 1, scores->outputs[0]);
    tare_node *mixed = build_node(&graph, "MatMul", "mixed", 2, soft->outputs[0], parts[2]);
    tare_node *y = build_node(&graph, "Reshape", "y", 2, mixed->outputs[0],
                              build_ints(&graph, "flat", DIMS(1, -1)));
    build_output(&graph, y->outputs[0]);
    /* The first target shape; the last one is open, but not where samples belong. */
    expect_batch(2);
}

/* Sequences first, as recurrent exports have them. */
Test(batch, rows_of_samples_on_axis_1) {
    build_graph(&graph, 13);
    tare_value *x = build_input(&graph, "x", F, DIMS(1, 4, 6));
    tare_node *front = build_node(&graph, "Transpose", "front", 1, x);
    build_list(&graph, front, "perm", DIMS(1, 0, 2));
    tare_node *product = build_node(&graph, "MatMul", "product", 2, front->outputs[0],
                                    build_floats(&graph, "w", -1, 0.1, DIMS(6, 8)));
    tare_node *heads = build_node(&graph, "Reshape", "heads", 2, product->outputs[0],
                                  build_ints(&graph, "two", DIMS(4, 2, 4)));
    tare_node *back = build_node(&graph, "Transpose", "back", 1, heads->outputs[0]);
    build_list(&graph, back, "perm", DIMS(1, 0, 2));
    build_output(&graph, back->outputs[0]);
    expect_batch(1);
}

/* ---- refusals ---- */

Test(batch, a_sum_over_samples_is_refused) {
    build_graph(&graph, 13);
    tare_node *y =
        build_node(&graph, "ReduceMean", "y", 1, build_input(&graph, "x", F, DIMS(1, 4)));
    build_list(&graph, y, "axes", DIMS(0));
    build_int(&graph, y, "keepdims", 1);
    build_output(&graph, y->outputs[0]);
    expect_refusal("node 'y' (ReduceMean)");
}

Test(batch, samples_that_are_mixed_on_another_axis_are_refused) {
    build_graph(&graph, 13);
    tare_node *turned =
        build_node(&graph, "Transpose", "turned", 1, build_input(&graph, "x", F, DIMS(1, 4)));
    tare_node *y = build_node(&graph, "Softmax", "y", 1, turned->outputs[0]);
    build_output(&graph, y->outputs[0]);
    expect_refusal("node 'y' (Softmax): its samples are not known");
}

Test(batch, a_lost_batch_axis_is_refused) {
    build_graph(&graph, 13);
    tare_node *y = build_node(&graph, "Squeeze", "y", 2, build_input(&graph, "x", F, DIMS(1, 4)),
                              build_ints(&graph, "axes", DIMS(0)));
    build_output(&graph, y->outputs[0]);
    expect_refusal("with 3 samples: node 'y' (Squeeze)");
}

Test(batch, softmax_over_everything_is_refused) {
    build_graph(&graph, 11);
    tare_node *y = build_node(&graph, "Softmax", "y", 1, build_input(&graph, "x", F, DIMS(1, 4)));
    build_int(&graph, y, "axis", 0);
    build_output(&graph, y->outputs[0]);
    expect_refusal("node 'y' (Softmax)");
}

Test(batch, the_first_of_the_batch_is_refused) {
    build_graph(&graph, 13);
    tare_value *x = build_input(&graph, "x", F, DIMS(1, 4));
    tare_node *y =
        build_node(&graph, "Slice", "y", 4, x, build_ints(&graph, "from", DIMS(0)),
                   build_ints(&graph, "to", DIMS(1)), build_ints(&graph, "axes", DIMS(0)));
    build_output(&graph, y->outputs[0]);
    expect_refusal("node 'y' (Slice)");
}

Test(batch, sequences_that_run_along_axis_0_are_refused) {
    build_graph(&graph, 13);
    tare_value *x = build_input(&graph, "x", F, DIMS(1, 1, 4));
    tare_node *y =
        build_node(&graph, "LSTM", "y", 3, x, build_floats(&graph, "w", 0, 0.01, DIMS(1, 8, 4)),
                   build_floats(&graph, "r", 0, 0.01, DIMS(1, 8, 2)));
    build_int(&graph, y, "hidden_size", 2);
    build_output(&graph, y->outputs[0]);
    expect_refusal("node 'y' (LSTM): the operator is not known to keep samples apart");
}

Test(batch, scalars_are_refused) {
    build_graph(&graph, 13);
    tare_node *y = build_node(&graph, "Relu", "y", 1, build_input(&graph, "x", F, SCALAR));
    build_output(&graph, y->outputs[0]);
    expect_refusal("input 'x' has no axis for samples");
}

/* ---- real networks ---- */

typedef struct network {
    const char *path;
    tare_shape_binding shapes[2]; /* of inputs whose dims the file leaves open */
    const char *refused;          /* words of the reason, or NULL: it must run in batches */
} network;

static const network networks[] = {
    {"cifar/mlperf_tiny_resnet8.onnx", {{"input", 4, {1, 3, 32, 32}}}, NULL},
    {"detection/fastestdet.onnx", {{NULL, 0, {0}}}, NULL},
    {"detection/ultraface_version-RFB-320.onnx", {{NULL, 0, {0}}}, NULL},
    {"detection/yolox_nano.onnx", {{NULL, 0, {0}}}, NULL},
    {"detection/yunet_120x160.onnx", {{NULL, 0, {0}}}, NULL},
    {"enhance/agllnet_256x256.onnx", {{NULL, 0, {0}}}, NULL},
    {"enhance/sci_240x320.onnx", {{NULL, 0, {0}}}, NULL},
    {"features/xfeat_256x256.onnx", {{NULL, 0, {0}}}, NULL},
    {"features/xfeat_interpolator_bicubic_256x256.onnx",
     {{"x", 4, {1, 64, 32, 32}}, {"pos", 3, {1, 100, 2}}},
     NULL},
    {"imagenet/mobilenet_v1_0.25_128_deq.onnx", {{"input", 4, {1, 3, 128, 128}}}, NULL},
    {"imagenet/mobilenet_v2_1.0_224_tf.onnx", {{"input", 4, {1, 3, 224, 224}}}, NULL},
    {"imagenet/squeezenet1.1_zoo.onnx", {{"data", 4, {1, 3, 224, 224}}}, NULL},
    {"mnist/mnist_8.onnx", {{NULL, 0, {0}}}, NULL},
    {"ocr/ch_PP-OCRv3_det_infer.onnx", {{"x", 4, {1, 3, 96, 160}}}, NULL},
    {"ocr/ch_ppocr_mobile_v2.0_cls_infer.onnx", {{"x", 4, {1, 3, 48, 192}}}, NULL},
    {"ocr/en_number_mobile_v2.0_rec_infer.onnx", {{"x", 4, {1, 3, 32, 160}}}, "node 'p2o.LSTM.0'"},
    {"segmentation/deeplabv3_mnv2_dm05_tf.onnx", {{NULL, 0, {0}}}, NULL},
    {"segmentation/road_segmentation_adas_0001.onnx", {{NULL, 0, {0}}}, NULL},
    {"style/vangogh_starry-night_540.onnx", {{NULL, 0, {0}}}, NULL},
    {"superres/super_resolution_10.onnx", {{"input", 4, {1, 1, 224, 224}}}, NULL},
    {"vww/mlperf_tiny_vww_96.onnx", {{"input", 4, {1, 3, 96, 96}}}, NULL},
};

static void check_network(const network *which) {
    const char *folder = TARE_SOURCE_DIR "/../shared/models/";
    size_t shapes = which->shapes[0].name == NULL ? 0 : 1;
    char path[1024];

    (void)snprintf(path, sizeof path, "%s%s", folder, which->path);
    if (access(path, R_OK) != 0) {
        cr_skip_test("the networks beside the checkout (../shared) are not there");
    }
    shapes += which->shapes[1].name == NULL ? 0 : 1;
    samples = 2;
    tare_graph_init(&graph);
    cr_assert_eq(tare_onnx_read(&graph, path, &err), TARE_OK, "%s", err.text);
    cr_assert_eq(tare_pass_infer(&graph, &tare_backend_cpu, which->shapes, shapes, &err), TARE_OK,
                 "%s", err.text);
    if (which->refused != NULL) {
        cr_assert_eq(make_batch(), TARE_UNSUPPORTED, "%s", which->path);
        cr_assert_not_null(strstr(err.text, which->refused), "%s", err.text);
        return;
    }
    cr_assert_eq(make_batch(), TARE_OK, "%s: %s", which->path, err.text);
    cr_assert_gt(check_samples(), 10);
}

#define NETWORK(index)                                                                             \
    Test(batch, network_##index, .timeout = 120) {                                                 \
        check_network(&networks[index]);                                                           \
    }

NETWORK(0)
NETWORK(1)
NETWORK(2)
NETWORK(3)
NETWORK(4)
NETWORK(5)
NETWORK(6)
NETWORK(7)
NETWORK(8)
NETWORK(9)
NETWORK(10)
NETWORK(11)
NETWORK(12)
NETWORK(13)
NETWORK(14)
NETWORK(15)
NETWORK(16)
NETWORK(17)
NETWORK(18)
NETWORK(19)
NETWORK(20)
_Static_assert(sizeof networks / sizeof networks[0] == 21, "one test per network");
