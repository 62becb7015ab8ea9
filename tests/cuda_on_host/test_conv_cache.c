/* SPDX-License-Identifier: Apache-2.0 */
/** Plans of convolutions over a fake cuDNN: sharing, building ahead, files, measuring, faults. */
#include <criterion/criterion.h>
#include <dirent.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include "cuda/conv.h"
#include "cuda/kernels.h"
#include "cuda/library.h"
#include "fake_cudnn.h"
#include "fake_stream.h"
#include "ops/attrs.h"

#define COUNT(array)  (sizeof(array) / sizeof((array)[0]))
#define OUTPUT_VALUES 4096

/* ---- a device and a layer ---- */

typedef struct bench {
    tare_cuda_api api;
    tare_device device;
} bench;

static void bench_open(bench *out, tare_precision precision, const char *folder, bool tune) {
    tare_device_part parts[TARE_CUDA_LIBRARY_COUNT];
    tare_error err = {TARE_OK, ""};
    memset(out, 0, sizeof *out);
    tare_cuda_api_init(&out->api);
    tare_cuda_libraries_open(&out->api, parts);
    out->device.api = &out->api;
    out->device.precision = precision;
    out->device.storage = precision == TARE_PRECISION_FP16 ? TARE_DTYPE_FLOAT16 : TARE_DTYPE_FLOAT;
    out->device.processors = 2;
    out->device.capability[0] = 9;
    out->device.tune = tune;
    (void)snprintf(out->device.name, sizeof out->device.name, "Fake/GPU 1");
    cr_assert_eq(tare_conv_cache_new(&out->device.convolutions, &out->device, folder, &err),
                 TARE_OK, "%s", err.text);
}

static void bench_close(bench *used) {
    tare_conv_cache_free(used->device.convolutions);
    used->device.convolutions = NULL;
}

static tare_conv_counts bench_counts(bench *used) {
    tare_conv_counts counts;
    tare_conv_cache_counts(&counts, used->device.convolutions);
    return counts;
}

/** A 3x3 convolution with a bias and Relu; `channels` makes them differ. */
typedef struct layer {
    tare_conv_attrs attrs;
    tare_desc inputs[3], output;
    tare_tensor tensors[3];
    const tare_tensor *constants[3];
    float weights[3 * 9 * 64], bias[64];
    tare_prepare prepare;
    const tare_kernel *row;
} layer;

static const tare_epilogue relu = {TARE_EPILOGUE_CLIP, 0.0F, INFINITY};
static const tare_node node = {.name = "layer", .op_type = "Conv"};

static void layer_init(layer *out, bench *used, int64_t channels) {
    const tare_dtype storage = used->device.storage;
    memset(out, 0, sizeof *out);
    out->attrs.group = 1;
    out->attrs.window = (tare_window){.rank = 2,
                                      .kernel = {3, 3},
                                      .stride = {1, 1},
                                      .dilation = {1, 1},
                                      .pad_begin = {1, 1},
                                      .pad_end = {1, 1}};
    out->inputs[0] = (tare_desc){storage, 4, {1, 3, 6, 5}, TARE_LAYOUT_CHANNELS_LAST};
    out->inputs[1] = (tare_desc){TARE_DTYPE_FLOAT, 4, {channels, 3, 3, 3}, TARE_LAYOUT_PLAIN};
    out->inputs[2] = (tare_desc){TARE_DTYPE_FLOAT, 1, {channels}, TARE_LAYOUT_PLAIN};
    out->output = (tare_desc){storage, 4, {1, channels, 6, 5}, TARE_LAYOUT_CHANNELS_LAST};
    for (size_t i = 0; i < COUNT(out->weights); i++) {
        out->weights[i] = (float)((int)(i * 37 % 17) - 8) / 8.0F;
    }
    for (size_t i = 0; i < COUNT(out->bias); i++) {
        out->bias[i] = (float)i / 16.0F - 1.0F;
    }
    for (int i = 1; i < 3; i++) {
        out->tensors[i] =
            (tare_tensor){.dtype = TARE_DTYPE_FLOAT,
                          .rank = out->inputs[i].rank,
                          .data = i == 1 ? (const void *)out->weights : (const void *)out->bias};
        memcpy(out->tensors[i].dims, out->inputs[i].dims, sizeof out->tensors[i].dims);
        out->constants[i] = &out->tensors[i];
    }
    out->row = &tare_cuda_conv_table.rows[0];
    out->prepare = (tare_prepare){.device = &used->device,
                                  .node = &node,
                                  .attrs = &out->attrs,
                                  .input_count = 3,
                                  .inputs = out->inputs,
                                  .constants = out->constants,
                                  .output_count = 1,
                                  .outputs = &out->output,
                                  .epilogue_count = 1,
                                  .epilogues = &relu};
    out->prepare.private_data = calloc(1, out->row->private_size);
    cr_assert_not_null(out->prepare.private_data);
}

static tare_status layer_prepare(layer *of, tare_error *err) {
    return of->row->prepare(&of->prepare, err);
}

static void layer_free(layer *of) {
    of->row->release(of->prepare.private_data);
    free(of->prepare.private_data);
}

/* What the layer makes of a fixed input, in `out`, which must stay until the queue was waited for;
 * so must `memory`, of which the caller frees both. */
static tare_status layer_run(const layer *of, tare_queue *queue, void *out, void *memory[2],
                             tare_error *err) {
    const size_t bytes = tare_desc_bytes(&of->inputs[0]);
    const size_t scratch = of->prepare.scratch_bytes;
    const void *inputs[3] = {NULL};
    void *outputs[1] = {out};
    cr_assert_eq(posix_memalign(&memory[0], 64, bytes), 0);
    cr_assert_eq(posix_memalign(&memory[1], 64, scratch > 0 ? scratch : 1), 0);
    memset(memory[0], 0x3c, bytes); /* about 0.01 in float32, 1.06 in float16 */
    inputs[0] = memory[0];
    const tare_run run = {.queue = queue,
                          .private_data = of->prepare.private_data,
                          .inputs = inputs,
                          .outputs = outputs,
                          .scratch = memory[1]};
    return of->row->run(&run, err);
}

/* Prepares a layer, and runs it in the stream where nothing waits. */
static tare_status layer_try(bench *used, int64_t channels, void *out, tare_error *err) {
    tare_queue queue = {.device = &used->device};
    void *memory[2] = {NULL, NULL};
    layer made;
    layer_init(&made, used, channels);
    tare_status status = layer_prepare(&made, err);
    if (status == TARE_OK && out != NULL) {
        status = layer_run(&made, &queue, out, memory, err);
    }
    layer_free(&made);
    free(memory[0]);
    free(memory[1]);
    return status;
}

static void layer_must(bench *used, int64_t channels, void *out) {
    tare_error err = {TARE_OK, ""};
    cr_assert_eq(layer_try(used, channels, out, &err), TARE_OK, "%s", err.text);
}

static void expect_nothing_left(void) {
    cr_expect_eq(fake_cudnn_count().handles, 0);
    cr_expect_eq(fake_cudnn_count().descriptors, 0);
}

/* ---- sharing ---- */

Test(conv_cache, equal_convolutions_share_a_plan) {
    bench used;
    bench_open(&used, TARE_PRECISION_TF32, NULL, false);
    for (int i = 0; i < 3; i++) {
        layer_must(&used, 8, NULL);
        layer_must(&used, 9, NULL);
    }
    cr_expect_eq(bench_counts(&used).built, 2);
    cr_expect_eq(fake_cudnn_count().plans, 2);
    bench_close(&used);
    expect_nothing_left();
}

Test(conv_cache, precision_decides_on_engines) {
    static const fake_cudnn_settings inexact = {.only_inexact = true};
    static const struct {
        tare_precision precision;
        tare_status status;
    } cases[] = {{TARE_PRECISION_FP32, TARE_UNSUPPORTED},
                 {TARE_PRECISION_TF32, TARE_OK},
                 {TARE_PRECISION_FP16, TARE_OK}};
    fake_cudnn_set(inexact);
    for (size_t i = 0; i < COUNT(cases); i++) {
        bench used;
        tare_error err = {TARE_OK, ""};
        bench_open(&used, cases[i].precision, NULL, false);
        cr_expect_eq(layer_try(&used, 8, NULL, &err), cases[i].status, "%s", err.text);
        if (cases[i].status != TARE_OK) {
            cr_expect_not_null(strstr(err.text, "no engine"), "%s", err.text);
            cr_expect_eq(layer_try(&used, 8, NULL, &err), cases[i].status, "%s", err.text);
        }
        bench_close(&used);
    }
    expect_nothing_left();
}

/* ---- building ahead ---- */

Test(conv_cache, announced_plans_are_built_once) {
    enum { LAYERS = 24 };
    bench used;
    bench_open(&used, TARE_PRECISION_TF32, NULL, false);
    for (int round = 0; round < 2; round++) {
        for (int64_t i = 1; i <= LAYERS; i++) {
            layer made;
            layer_init(&made, &used, i);
            made.row->announce(&made.prepare);
            layer_free(&made);
        }
        for (int64_t i = 1; i <= LAYERS; i++) {
            layer_must(&used, i, NULL);
        }
    }
    cr_expect_eq(bench_counts(&used).built, LAYERS);
    bench_close(&used);
    expect_nothing_left();
}

Test(conv_cache, closes_while_plans_are_built) {
    bench used;
    bench_open(&used, TARE_PRECISION_FP16, NULL, false);
    for (int64_t i = 1; i <= 40; i++) {
        layer made;
        layer_init(&made, &used, i);
        made.row->announce(&made.prepare);
        layer_free(&made);
    }
    bench_close(&used);
    expect_nothing_left();
}

/* ---- which plans ---- */

/* Where no engine computes epilogues, a plan is tried for each of two engines in vain, and then for
 * the convolution alone: for one engine, or for two that are measured. */
Test(conv_cache, compiles_epilogues_only_when_it_measures) {
    static const fake_cudnn_settings single = {.only_single = true};
    static const struct {
        size_t count;
        tare_epilogue epilogues[2];
        bool ready;
    } cases[] = {
        {0, {{0}}, true},
        {1, {{TARE_EPILOGUE_CLIP, 0.0F, INFINITY}}, true},
        {1, {{TARE_EPILOGUE_ADD, 0.0F, 0.0F}}, true},
        {2, {{TARE_EPILOGUE_ADD, 0.0F, 0.0F}, {TARE_EPILOGUE_CLIP, 0.0F, INFINITY}}, true},
        {1, {{TARE_EPILOGUE_CLIP, 0.0F, 6.0F}}, false},
        {1, {{TARE_EPILOGUE_SWISH, 0.0F, 0.0F}}, false},
        {2, {{TARE_EPILOGUE_CLIP, 0.0F, INFINITY}, {TARE_EPILOGUE_ADD, 0.0F, 0.0F}}, false},
    };
    fake_cudnn_set(single);
    for (int tune = 0; tune < 2; tune++) {
        for (size_t i = 0; i < COUNT(cases); i++) {
            tare_error err = {TARE_OK, ""};
            bench used;
            layer made;
            bench_open(&used, TARE_PRECISION_TF32, NULL, tune == 1);
            layer_init(&made, &used, 8);
            made.prepare.epilogues = cases[i].epilogues;
            made.prepare.epilogue_count = cases[i].count;
            const size_t before = fake_cudnn_count().plans;
            cr_assert_eq(layer_prepare(&made, &err), TARE_OK, "%s", err.text);
            cr_expect_eq(fake_cudnn_count().plans - before,
                         tune == 1        ? 4U
                         : cases[i].ready ? 3U
                                          : 1U,
                         "case %zu", i);
            layer_free(&made);
            bench_close(&used);
        }
    }
    expect_nothing_left();
}

/* ---- files ---- */

static char root[] = "/tmp/tare-conv-XXXXXX";

static void make_root(void) {
    cr_assert_not_null(mkdtemp(root));
}

static void remove_root(void) {
    char command[100];
    (void)snprintf(command, sizeof command, "rm -rf '%s'", root);
    cr_assert_eq(system(command), 0);
}

/* The only file below the root, which has one folder. */
static void find_file(char folder[601]) {
    folder[0] = '\0';
    for (int level = 0; level < 2; level++) {
        const char *place = level == 0 ? root : folder;
        DIR *opened = opendir(place);
        struct dirent *entry;
        char found[601] = "";
        cr_assert_not_null(opened);
        while ((entry = readdir(opened)) != NULL) {
            if (entry->d_name[0] != '.') {
                cr_assert_eq(found[0], '\0', "more than one file in %s", place);
                (void)snprintf(found, sizeof found, "%.390s/%.200s", place, entry->d_name);
            }
        }
        closedir(opened);
        memcpy(folder, found, sizeof found);
    }
}

/* One run of a program with the folder: what is read and built, and the same result. */
static void run_with_folder(bool tune, size_t read, size_t built, size_t written) {
    static float first[OUTPUT_VALUES];
    static bool has_first = false;
    float out[OUTPUT_VALUES] = {0.0F};
    bench used;
    bench_open(&used, TARE_PRECISION_TF32, root, tune);
    layer_must(&used, 8, out);
    const tare_conv_counts counts = bench_counts(&used);
    cr_expect_eq(counts.read, read, "%zu read, expected %zu", counts.read, read);
    cr_expect_eq(counts.built, built, "%zu built, expected %zu", counts.built, built);
    cr_expect_eq(counts.written, written, "%zu written, expected %zu", counts.written, written);
    bench_close(&used);
    if (has_first) {
        cr_expect_arr_eq(out, first, sizeof out);
    }
    memcpy(first, out, sizeof out);
    has_first = true;
}

static void replace_file(const char *path, const char *contents, size_t bytes) {
    FILE *file = fopen(path, "wb");
    cr_assert_not_null(file);
    cr_assert_eq(fwrite(contents, 1, bytes, file), bytes);
    cr_assert_eq(fclose(file), 0);
}

static size_t read_file(char *out, size_t capacity, const char *path) {
    FILE *file = fopen(path, "rb");
    cr_assert_not_null(file);
    const size_t bytes = fread(out, 1, capacity, file);
    cr_assert_eq(fclose(file), 0);
    cr_assert_lt(bytes, capacity);
    return bytes;
}

Test(conv_cache, plans_are_kept_in_files, .init = make_root, .fini = remove_root) {
    run_with_folder(false, 0, 1, 1);
    run_with_folder(false, 1, 0, 0);
    expect_nothing_left();
}

Test(conv_cache, damaged_and_foreign_files_are_replaced, .init = make_root, .fini = remove_root) {
    char path[601], text[20000];
    run_with_folder(false, 0, 1, 1);
    find_file(path);
    const size_t bytes = read_file(text, sizeof text, path);
    /* Cut anywhere. */
    for (size_t kept = 0; kept < bytes; kept += 1 + bytes / 23) {
        replace_file(path, text, kept);
        run_with_folder(false, 0, 1, 1);
    }
    /* The plan of another convolution under this name. */
    char *key = strstr(text, "w=8,");
    cr_assert_not_null(key);
    key[2] = '9';
    replace_file(path, text, bytes);
    run_with_folder(false, 0, 1, 1);
    replace_file(path, "{}", 2);
    run_with_folder(false, 0, 1, 1);
    run_with_folder(false, 1, 0, 0);
    expect_nothing_left();
}

Test(conv_cache, measured_plans_are_preferred, .init = make_root, .fini = remove_root) {
    run_with_folder(false, 0, 1, 1);
    run_with_folder(true, 0, 1, 1);
    run_with_folder(true, 1, 0, 0);
    run_with_folder(false, 1, 0, 0);
    expect_nothing_left();
}

Test(conv_cache, engines_without_text_are_not_kept, .init = make_root, .fini = remove_root) {
    static const fake_cudnn_settings no_text = {.no_text = true};
    fake_cudnn_set(no_text);
    run_with_folder(false, 0, 1, 0);
    run_with_folder(false, 0, 1, 0);
    expect_nothing_left();
}

Test(conv_cache, a_folder_that_cannot_be_is_no_failure) {
    bench used;
    bench_open(&used, TARE_PRECISION_TF32, "/dev/null/plans", false);
    layer_must(&used, 8, NULL);
    cr_expect_eq(bench_counts(&used).built, 1);
    cr_expect_eq(bench_counts(&used).written, 0);
    bench_close(&used);
    expect_nothing_left();
}

/* ---- measuring ---- */

Test(conv_cache, measures_candidates_with_all_their_tensors) {
    static const fake_cudnn_settings fusing = {.exact_fusion = true};
    fake_cudnn_set(fusing);
    for (int precision = TARE_PRECISION_FP32; precision <= TARE_PRECISION_FP16; precision++) {
        float measured[OUTPUT_VALUES] = {0.0F}, guessed[OUTPUT_VALUES] = {0.0F};
        bench used;
        bench_open(&used, (tare_precision)precision, NULL, true);
        const size_t before = fake_cudnn_count().runs;
        layer_must(&used, 8, measured);
        /* Two engines qualify, except for fp32; each runs four times. Then the layer. */
        cr_expect_eq(fake_cudnn_count().runs - before,
                     precision == TARE_PRECISION_FP32 ? 1U : 2U * 4U + 1U);
        bench_close(&used);
        bench_open(&used, (tare_precision)precision, NULL, false);
        layer_must(&used, 8, guessed);
        bench_close(&used);
        cr_expect_arr_eq(measured, guessed, sizeof measured);
    }
    expect_nothing_left();
}

/* ---- queues ---- */

Test(conv_cache, work_goes_to_the_stream_of_its_queue) {
    /* An engine with an epilogue, and one without, whose epilogue is a kernel of ours. */
    static const tare_precision precisions[] = {TARE_PRECISION_TF32, TARE_PRECISION_FP32};
    for (size_t p = 0; p < COUNT(precisions); p++) {
        float wanted[OUTPUT_VALUES] = {0.0F}, got[OUTPUT_VALUES] = {0.0F};
        const float untouched[OUTPUT_VALUES] = {0.0F};
        tare_error err = {TARE_OK, ""};
        void *memory[2];
        bench used;
        layer made;
        bench_open(&used, precisions[p], NULL, false);
        tare_queue queue = {.device = &used.device, .stream = fake_stream_new()};
        layer_must(&used, 8, wanted);
        cr_assert_eq(tare_conv_queue_open(&queue, &err), TARE_OK, "%s", err.text);
        layer_init(&made, &used, 8);
        cr_assert_eq(layer_prepare(&made, &err), TARE_OK, "%s", err.text);
        cr_assert_eq(layer_run(&made, &queue, got, memory, &err), TARE_OK, "%s", err.text);
        cr_expect_arr_eq(got, untouched, sizeof got);
        cr_expect_eq(fake_stream_wait(queue.stream), 0);
        cr_expect_arr_eq(got, wanted, sizeof got);
        layer_free(&made);
        tare_conv_queue_close(&queue);
        tare_conv_queue_close(&queue);
        fake_stream_free(queue.stream);
        free(memory[0]);
        free(memory[1]);
        bench_close(&used);
    }
    expect_nothing_left();
}

/* ---- faults ---- */

/* In a process of its own, since calls are counted from its start: with call number `nth` of an
 * entry point failing, either nothing is noticed or there is an error with a text, and what follows
 * works. Exits with 0 when that holds and the call was reached, with 1 when it was not. */
static int run_with_fault(const char *call, int nth) {
    char fault[100];
    tare_error err = {TARE_OK, ""};
    float out[OUTPUT_VALUES];
    bench used;
    (void)snprintf(fault, sizeof fault, "%s:%d", call, nth);
    cr_assert_eq(setenv("TARE_CUDA_FAULT", fault, 1), 0);
    bench_open(&used, TARE_PRECISION_TF32, NULL, nth % 2 == 1);
    const tare_status status = layer_try(&used, 8, out, &err);
    cr_assert(status == TARE_OK || err.text[0] != '\0');
    cr_assert(status != TARE_UNSUPPORTED || strstr(err.text, "no engine") != NULL, "%s", err.text);
    err.text[0] = '\0';
    const tare_status again = layer_try(&used, 9, out, &err);
    cr_assert(again == TARE_OK || err.text[0] != '\0');
    bench_close(&used);
    cr_assert_eq(fake_cudnn_count().handles + fake_cudnn_count().descriptors, 0);
    return status == TARE_OK && again == TARE_OK ? 1 : 0;
}

Test(conv_cache, every_call_may_fail, .timeout = 300) {
    static const struct {
        const char *name;
        int most;
    } calls[] = {{"cudnnCreate", 2},
                 {"cudnnSetStream", 2},
                 {"cudnnBackendCreateDescriptor", 30},
                 {"cudnnBackendSetAttribute", 60},
                 {"cudnnBackendGetAttribute", 20},
                 {"cudnnBackendFinalize", 25},
                 {"cudnnBackendExecute", 10},
                 {"cudaMalloc", 10},
                 {"cudaEventRecord", 3},
                 {"cudaEventSynchronize", 3},
                 {"cudaEventElapsedTime", 3},
                 {"cudaStreamCreateWithFlags", 1},
                 {"cudaSetDevice", 2}};
    size_t failures = 0;
    for (size_t i = 0; i < COUNT(calls); i++) {
        for (int nth = 1; nth <= calls[i].most; nth += calls[i].most > 20 ? 3 : 1) {
            int status = 0;
            const pid_t child = fork();
            if (child == 0) {
                _exit(run_with_fault(calls[i].name, nth));
            }
            cr_assert_gt(child, 0);
            cr_assert_eq(waitpid(child, &status, 0), child);
            cr_assert(WIFEXITED(status) && WEXITSTATUS(status) <= 1, "%s:%d", calls[i].name, nth);
            failures += WEXITSTATUS(status) == 0 ? 1 : 0;
        }
    }
    /* Those on the way to a plan with epilogues only lead to one without. */
    cr_expect_gt(failures, 10, "only %zu faults were noticed", failures);
}
