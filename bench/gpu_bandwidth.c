/* SPDX-License-Identifier: Apache-2.0 */
/**
 * How fast the CUDA backend's own kernels go through memory, next to a copy in the same run.
 *
 *     gpu_bandwidth [--quick] [OUT.json]
 *
 * Each kernel gets operands of 16 MB, 256 MB and 2 GB (--quick: 1 MB) of random numbers, a quarter
 * of them zero. A rate counts the bytes of its operands once each; the time is the median of
 * several groups of runs between two events (--quick: one run). Those of 16 MB may stay in the
 * cache of the device. Exits 3 when no device can be used.
 */
#include <math.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "cuda/functions.h"
#include "cuda/kernels.h"
#include "cuda/stats.h"
#include "ops/attrs.h"

#define EXIT_MISSING  3
#define OPERANDS      3 /* on the device at once */
#define GROUPS        7
#define GROUP_SECONDS 0.012
#define PATTERN_BYTES ((size_t)64 << 20)
#define CHANNELS      256
#define COUNT(array)  (sizeof(array) / sizeof((array)[0]))

typedef struct bench {
    tare_device *device;
    tare_queue *queue;
    tare_mark *marks[2];
    void *operands[OPERANDS]; /* inputs, the last one for outputs */
    uint16_t *pattern[2];     /* PATTERN_BYTES of float32, of float16 */
    tare_dtype dtype;
    size_t bytes; /* of an operand */
    double copy;  /* bytes a second, of as large a copy */
    bool quick;   /* once each */
    FILE *out;
    bool first;
} bench;

/* Something that can be run again and again. */
typedef struct work {
    const char *name;
    uint64_t bytes; /* read and written */
    tare_status (*run)(void *context, tare_error *err);
    void *context;
} work;

/* ---- measuring ---- */

static int compare(const void *a, const void *b) {
    const double x = *(const double *)a, y = *(const double *)b;
    return (x > y) - (x < y);
}

/* Seconds of one run, of `runs` in a row. */
static tare_status time_group(double *seconds, bench *b, const work *w, int runs, tare_error *err) {
    TARE_TRY(tare_cuda_mark_set(b->marks[0], b->queue, err));
    for (int i = 0; i < runs; i++) {
        TARE_TRY(w->run(w->context, err));
    }
    TARE_TRY(tare_cuda_mark_set(b->marks[1], b->queue, err));
    TARE_TRY(tare_cuda_mark_wait(b->marks[1], err));
    TARE_TRY(tare_cuda_mark_seconds(seconds, b->marks[0], b->marks[1], err));
    *seconds /= runs;
    return TARE_OK;
}

static tare_status measure(double *rate, bench *b, const work *w, tare_error *err) {
    double seconds[GROUPS], once;
    int runs;

    if (b->quick) {
        TARE_TRY(time_group(&once, b, w, 1, err));
        *rate = (double)w->bytes / (once > 0.0 ? once : 1e-9);
        return TARE_OK;
    }
    TARE_TRY(time_group(&once, b, w, 3, err)); /* warms up */
    TARE_TRY(time_group(&once, b, w, 3, err));
    runs = once > 0.0 ? (int)(GROUP_SECONDS / once) + 1 : 1;
    runs = runs > 1000 ? 1000 : runs;
    for (int i = 0; i < GROUPS; i++) {
        TARE_TRY(time_group(&seconds[i], b, w, runs, err));
    }
    qsort(seconds, GROUPS, sizeof seconds[0], compare);
    *rate = (double)w->bytes / seconds[GROUPS / 2];
    return TARE_OK;
}

static tare_status report(bench *b, const work *w, tare_error *err) {
    const char *type = b->dtype == TARE_DTYPE_FLOAT ? "float32" : "float16";
    double rate;

    TARE_TRY(measure(&rate, b, w, err));
    printf("%-24s %s %6zu MB %10.1f GB/s %6.3f of a copy\n", w->name, type, b->bytes >> 20,
           rate / 1e9, rate / b->copy);
    if (b->out != NULL) {
        fprintf(b->out,
                "%s\n  {\"name\": \"%s %s\", \"bytes\": %zu, \"moved_bytes\": %llu, "
                "\"bytes_per_second\": %.4g, \"of_copy\": %.4f}",
                b->first ? "" : ",", w->name, type, b->bytes, (unsigned long long)w->bytes, rate,
                rate / b->copy);
        b->first = false;
    }
    return TARE_OK;
}

/* ---- copy ---- */

static tare_status run_copy(void *context, tare_error *err) {
    bench *b = (bench *)context;
    const tare_copy copy = {TARE_COPY_ON_DEVICE, b->operands[OPERANDS - 1], b->operands[0],
                            b->bytes};
    return tare_cuda_copy(b->queue, &copy, err);
}

/* ---- statistics ---- */

/* A planned launch over one tensor. */
typedef struct statistics {
    bench *b;
    tare_stats_launch launch;
    void *memory[6];
    bool histogram;
} statistics;

static tare_status run_statistics(void *context, tare_error *err) {
    const statistics *s = (const statistics *)context;
    return s->histogram ? tare_stats_codes(&s->launch, s->b->queue->stream, err)
                        : tare_stats_reduce(&s->launch, s->b->queue->stream, err);
}

static tare_status plan_statistics(statistics *s, tare_stats_tensor *tensor, tare_error *err) {
    tare_stats_launch *l = &s->launch;
    tare_device *device = s->b->device;

    TARE_TRY(tare_stats_plan(&l->totals, tensor, 1, err));
    const size_t bytes[5] = {
        l->totals.items * sizeof *l->counts, l->totals.partials * sizeof *l->partials,
        l->totals.columns * sizeof *l->columns, l->totals.samples * sizeof *l->samples,
        l->totals.bins * sizeof *l->bins};
    for (size_t i = 0; i < COUNT(bytes); i++) {
        TARE_TRY(tare_cuda_memory_new(&s->memory[i], device, bytes[i], err));
        TARE_TRY(tare_cuda_zero(s->b->queue, s->memory[i], bytes[i], err));
    }
    TARE_TRY(tare_cuda_upload(&s->memory[5], device, tensor, sizeof *tensor, err));
    l->counts = (tare_stats_counts *)s->memory[0];
    l->partials = (tare_stats_column *)s->memory[1];
    l->columns = (tare_stats_column *)s->memory[2];
    l->samples = (tare_stats_record *)s->memory[3];
    l->bins = (uint64_t *)s->memory[4];
    l->tensors = (const tare_stats_tensor *)s->memory[5];
    l->count = 1;
    return TARE_OK;
}

static tare_status bench_statistics(bench *b, const char *name, uint64_t channels, bool histogram,
                                    tare_error *err) {
    statistics s = {.b = b, .histogram = histogram};
    const work w = {name, b->bytes, run_statistics, &s};
    tare_stats_tensor tensor = {.data = b->operands[0],
                                .samples = 16,
                                .sample_elements = b->bytes / 16 / tare_dtype_bytes(b->dtype),
                                .channels = channels,
                                .dtype = b->dtype,
                                .histogram = histogram};
    tare_status status = plan_statistics(&s, &tensor, err);

    if (status == TARE_OK && histogram) { /* which finds the largest magnitudes */
        status = tare_stats_reduce(&s.launch, b->queue->stream, err);
    }
    if (status == TARE_OK) {
        status = report(b, &w, err);
    }
    for (size_t i = 0; i < COUNT(s.memory); i++) {
        tare_cuda_free(b->device, s.memory[i]);
    }
    return status;
}

typedef struct quantiles {
    bench *b;
    tare_quantile_launch launch;
} quantiles;

static tare_status run_quantiles(void *context, tare_error *err) {
    const quantiles *q = (const quantiles *)context;
    return tare_quantiles(&q->launch, q->b->queue->stream, err);
}

static tare_status bench_quantiles(bench *b, tare_error *err) {
    const uint64_t samples = 16;
    quantiles q = {.b = b,
                   .launch = {.data = b->operands[0],
                              .samples = samples,
                              .elements = b->bytes / samples / tare_dtype_bytes(b->dtype),
                              .dtype = b->dtype}};
    tare_quantile_launch *l = &q.launch;
    const work w = {"quantiles", b->bytes, run_quantiles, &q};
    const size_t bytes[3] = {samples * TARE_QUANTILE_COUNTS * sizeof *l->counts,
                             samples * sizeof *l->searches, samples * sizeof *l->pairs};
    void *memory[COUNT(bytes)] = {NULL};
    tare_status status = TARE_OK;

    tare_quantile_plan(l, 1e-4);
    for (size_t i = 0; i < COUNT(bytes) && status == TARE_OK; i++) {
        status = tare_cuda_memory_new(&memory[i], b->device, bytes[i], err);
        if (status == TARE_OK) {
            status = tare_cuda_zero(b->queue, memory[i], bytes[i], err);
        }
    }
    if (status == TARE_OK) {
        l->counts = (uint64_t *)memory[0];
        l->searches = (tare_quantile_search *)memory[1];
        l->pairs = (tare_quantile_pairs *)memory[2];
        status = report(b, &w, err);
    }
    for (size_t i = 0; i < COUNT(bytes); i++) {
        tare_cuda_free(b->device, memory[i]);
    }
    return status;
}

/* ---- rows ---- */

/* A row of a table and its operands; constants are small. */
typedef struct layer {
    const char *name, *kernel;
    const tare_kernel_table *table;
    const void *attrs;
    size_t input_count;
    tare_desc inputs[3], output;
    bool constant[3];
} layer;

typedef struct prepared {
    bench *b;
    const tare_kernel *row;
    tare_run run;
    const void *inputs[3];
    void *outputs[1];
    void *uploaded[3];
    float *values[3];
} prepared;

static tare_status run_row(void *context, tare_error *err) {
    const prepared *p = (const prepared *)context;
    return p->row->run(&p->run, err);
}

static tare_status make_constants(prepared *p, const layer *l, tare_tensor *tensors,
                                  const tare_tensor **constants, tare_error *err) {
    for (size_t i = 0; i < l->input_count; i++) {
        if (!l->constant[i]) {
            continue;
        }
        const size_t count = (size_t)tare_desc_count(&l->inputs[i]);
        p->values[i] = (float *)malloc(count * sizeof(float));
        if (p->values[i] == NULL) {
            return tare_fail_memory(err, count * sizeof(float), "a constant");
        }
        for (size_t k = 0; k < count; k++) {
            p->values[i][k] = 0.01F * (float)(k % 97) - 0.4F;
        }
        tensors[i] = (tare_tensor){
            .dtype = TARE_DTYPE_FLOAT, .rank = l->inputs[i].rank, .data = p->values[i]};
        memcpy(tensors[i].dims, l->inputs[i].dims, sizeof tensors[i].dims);
        constants[i] = &tensors[i];
        TARE_TRY(tare_cuda_upload(&p->uploaded[i], p->b->device, p->values[i],
                                  count * sizeof(float), err));
    }
    return TARE_OK;
}

/* The first row of that name that takes the operands. */
static tare_status prepare_row(prepared *p, const layer *l, tare_error *err) {
    const tare_node node = {.name = "bandwidth", .op_type = l->kernel};
    const tare_tensor *constants[3] = {NULL};
    tare_tensor tensors[3];
    tare_status status = TARE_NOT_FOUND;

    TARE_TRY(make_constants(p, l, tensors, constants, err));
    for (size_t r = 0; r < l->table->count; r++) {
        const tare_kernel *row = &l->table->rows[r];
        if (strcmp(row->name, l->kernel) != 0) {
            continue;
        }
        tare_prepare prepare = {.device = p->b->device,
                                .node = &node,
                                .attrs = l->attrs,
                                .input_count = l->input_count,
                                .inputs = l->inputs,
                                .constants = constants,
                                .output_count = 1,
                                .outputs = &l->output,
                                .private_data = calloc(1, row->private_size + 1)};
        if (prepare.private_data == NULL) {
            return tare_fail_memory(err, row->private_size, "a row");
        }
        status = row->prepare == NULL ? TARE_OK : row->prepare(&prepare, err);
        if (status == TARE_OK && prepare.scratch_bytes > 0) {
            status = tare_fail(err, TARE_INTERNAL, "%s wants scratch memory", l->kernel);
        }
        p->row = row;
        p->run.private_data = prepare.private_data;
        if (status == TARE_OK) {
            return TARE_OK;
        }
        if (row->release != NULL) {
            row->release(prepare.private_data);
        }
        free(prepare.private_data);
        p->row = NULL;
    }
    return status;
}

static tare_status bench_row(bench *b, const layer *l, tare_error *err) {
    prepared p = {.b = b};
    work w = {l->name, tare_desc_bytes(&l->output), run_row, &p};
    tare_status status = prepare_row(&p, l, err);

    if (status == TARE_OK) {
        for (size_t i = 0; i < l->input_count; i++) {
            p.inputs[i] = l->constant[i] ? p.uploaded[i] : b->operands[i];
            w.bytes += tare_desc_bytes(&l->inputs[i]);
        }
        p.outputs[0] = b->operands[OPERANDS - 1];
        p.run.queue = b->queue;
        p.run.inputs = p.inputs;
        p.run.outputs = p.outputs;
        status = report(b, &w, err);
    }
    if (p.row != NULL) {
        tare_error late;
        const tare_status done = tare_cuda_wait(b->queue, &late);
        if (status == TARE_OK && done != TARE_OK) {
            *err = late;
            status = done;
        }
        if (p.row->release != NULL) {
            p.row->release((void *)(uintptr_t)p.run.private_data);
        }
        free((void *)(uintptr_t)p.run.private_data);
    }
    for (size_t i = 0; i < COUNT(p.uploaded); i++) {
        tare_cuda_free(b->device, p.uploaded[i]);
        free(p.values[i]);
    }
    return status;
}

static tare_desc matrix(const bench *b, int64_t columns) {
    const int64_t elements = (int64_t)(b->bytes / tare_dtype_bytes(b->dtype));
    return (tare_desc){.dtype = b->dtype, .rank = 2, .dims = {elements / columns, columns}};
}

static tare_status bench_rows(bench *b, tare_error *err) {
    static const tare_axis_attrs last = {.axis = 1};
    static const tare_norm_attrs norm = {.epsilon = 1e-5F, .axis = 1};
    static const tare_transpose_attrs swap = {.perm = {1, 0}};
    static const tare_unary_attrs exact = {.approximate = 0};
    tare_conv_attrs conv = {.group = CHANNELS,
                            .window = {.rank = 2,
                                       .kernel = {3, 3},
                                       .stride = {1, 1},
                                       .dilation = {1, 1},
                                       .pad_begin = {1, 1},
                                       .pad_end = {1, 1}}};
    const tare_desc m = matrix(b, 1024);
    const tare_desc vector = {.dtype = TARE_DTYPE_FLOAT, .rank = 1, .dims = {1024}};
    const tare_desc turned = {.dtype = b->dtype, .rank = 2, .dims = {1024, m.dims[0]}};
    /* As many images of 32 x 32 as fit. */
    const tare_desc image = {.dtype = b->dtype,
                             .rank = 4,
                             .dims = {m.dims[0] / CHANNELS, CHANNELS, 32, 32},
                             .layout = TARE_LAYOUT_CHANNELS_LAST};
    const tare_desc weights = {.dtype = TARE_DTYPE_FLOAT, .rank = 4, .dims = {CHANNELS, 1, 3, 3}};
    const layer layers[] = {
        {"relu", "Relu", &tare_cuda_elementwise_table, NULL, 1, {m}, m, {false}},
        {"gelu", "Gelu", &tare_cuda_elementwise_table, &exact, 1, {m}, m, {false}},
        {"add", "Add", &tare_cuda_elementwise_table, NULL, 2, {m, m}, m, {false}},
        {"softmax", "Softmax", &tare_cuda_softmax_table, &last, 1, {m}, m, {false}},
        {"layer norm",
         "LayerNormalization",
         &tare_cuda_norm_table,
         &norm,
         3,
         {m, vector, vector},
         m,
         {false, true, true}},
        {"transpose", "Transpose", &tare_cuda_move_table, &swap, 1, {m}, turned, {false}},
        {"depthwise 3x3",
         "Conv",
         &tare_cuda_depthwise_table,
         &conv,
         2,
         {image, weights},
         image,
         {false, true}},
    };

    for (size_t i = 0; i < COUNT(layers); i++) {
        tare_error why = {.text = ""};
        const tare_status status = bench_row(b, &layers[i], &why);
        if (status == TARE_UNSUPPORTED) { /* said, and no reason to leave the others */
            printf("%-24s refused: %s\n", layers[i].name, why.text);
        } else if (status != TARE_OK) {
            *err = why;
            return status;
        }
    }
    return TARE_OK;
}

/* ---- all ---- */

/* Bell-shaped around 0, a quarter zeros; the halves by cutting float32's pattern down. */
static void fill_pattern(bench *b) {
    float *wide = (float *)(void *)b->pattern[0];
    uint32_t state = 1;
    for (size_t i = 0; i < PATTERN_BYTES / sizeof *wide; i++) {
        uint32_t bits;
        double sum = 0.0;
        for (int k = 0; k < 3; k++) {
            state ^= state << 13;
            state ^= state >> 17;
            state ^= state << 5;
            sum += (double)state / 4294967296.0 - 0.5;
        }
        wide[i] = state % 4 == 0 ? 0.0F : (float)(4.0 * sum);
        memcpy(&bits, &wide[i], sizeof bits);
        /* Exponents of these numbers fit; those too small become zeros. */
        const uint32_t exponent = bits >> 23 & 255U;
        const uint16_t half = exponent < 113
                                  ? 0
                                  : (uint16_t)((bits >> 16 & 0x8000U) | (exponent - 112) << 10 |
                                               (bits >> 13 & 1023U));
        b->pattern[1][i] = half;
        b->pattern[1][i + PATTERN_BYTES / sizeof *wide] = half;
    }
}

static tare_status fill_operands(bench *b, tare_error *err) {
    const uint16_t *pattern = b->pattern[b->dtype == TARE_DTYPE_FLOAT ? 0 : 1];
    for (size_t i = 0; i + 1 < OPERANDS; i++) {
        for (size_t at = 0; at < b->bytes; at += PATTERN_BYTES) {
            const size_t left = b->bytes - at;
            const tare_copy copy = {TARE_COPY_TO_DEVICE, (char *)b->operands[i] + at, pattern,
                                    left < PATTERN_BYTES ? left : PATTERN_BYTES};
            TARE_TRY(tare_cuda_copy(b->queue, &copy, err));
        }
    }
    return tare_cuda_wait(b->queue, err);
}

static tare_status bench_size(bench *b, tare_error *err) {
    const work copy = {"copy", 2 * (uint64_t)b->bytes, run_copy, b};

    TARE_TRY(fill_operands(b, err));
    TARE_TRY(measure(&b->copy, b, &copy, err));
    TARE_TRY(report(b, &copy, err));
    TARE_TRY(bench_statistics(b, "range per tensor", 0, false, err));
    TARE_TRY(bench_statistics(b, "range per channel", CHANNELS, false, err));
    TARE_TRY(bench_statistics(b, "histogram", 0, true, err));
    TARE_TRY(bench_quantiles(b, err));
    return bench_rows(b, err);
}

static tare_status bench_type(bench *b, tare_precision precision, tare_error *err) {
    static const size_t sizes[] = {(size_t)16 << 20, (size_t)256 << 20, (size_t)2 << 30};
    const tare_device_options options = {.precision = precision};
    tare_status status = TARE_OK;

    TARE_TRY(tare_cuda_open(&b->device, &options, err));
    b->dtype = b->device->storage;
    TARE_TRY_DONE(status, tare_cuda_queue_new(&b->queue, b->device, err));
    for (size_t i = 0; i < 2; i++) {
        TARE_TRY_DONE(status, tare_cuda_mark_new(&b->marks[i], b->device, err));
    }
    for (size_t s = 0; s < (b->quick ? 1 : COUNT(sizes)) && status == TARE_OK; s++) {
        b->bytes = b->quick ? (size_t)1 << 20 : sizes[s];
        for (size_t i = 0; i < OPERANDS && status == TARE_OK; i++) {
            status = tare_cuda_memory_new(&b->operands[i], b->device, b->bytes, err);
        }
        if (status == TARE_OK) {
            status = bench_size(b, err);
        }
        for (size_t i = 0; i < OPERANDS; i++) {
            tare_cuda_free(b->device, b->operands[i]);
            b->operands[i] = NULL;
        }
    }
done:
    for (size_t i = 0; i < 2; i++) {
        tare_cuda_mark_free(b->marks[i]);
        b->marks[i] = NULL;
    }
    tare_cuda_queue_free(b->queue);
    b->queue = NULL;
    tare_cuda_close(b->device);
    b->device = NULL;
    return status;
}

int main(int argc, char **argv) {
    static const tare_precision precisions[] = {TARE_PRECISION_FP32, TARE_PRECISION_FP16};
    const bool quick = argc > 1 && strcmp(argv[1], "--quick") == 0;
    const char *path = argc > (quick ? 2 : 1) ? argv[quick ? 2 : 1] : NULL;
    const tare_device_options options = {.precision = TARE_PRECISION_FP32};
    bench b = {.quick = quick, .first = true};
    tare_error err = {.text = ""};
    tare_status status = tare_cuda_open(&b.device, &options, &err);

    if (status != TARE_OK) {
        fprintf(stderr, "skipped: no device: %s\n", err.text);
        return EXIT_MISSING;
    }
    tare_cuda_close(b.device);
    for (size_t i = 0; i < 2; i++) {
        b.pattern[i] = (uint16_t *)malloc(PATTERN_BYTES);
        if (b.pattern[i] == NULL) {
            fprintf(stderr, "out of memory\n");
            return 1;
        }
    }
    fill_pattern(&b);
    b.out = path == NULL ? NULL : fopen(path, "w");
    if (b.out != NULL) {
        fprintf(b.out, "{\"kernels\": [");
    }
    for (size_t i = 0; i < COUNT(precisions) && status == TARE_OK; i++) {
        status = bench_type(&b, precisions[i], &err);
    }
    if (b.out != NULL) {
        fprintf(b.out, "\n]}\n");
        (void)fclose(b.out);
    }
    free(b.pattern[0]);
    free(b.pattern[1]);
    if (status != TARE_OK) {
        fprintf(stderr, "error: %s\n", err.text);
        return 1;
    }
    return 0;
}
