/* SPDX-License-Identifier: Apache-2.0 */
/** Samples for measuring: those of a dataset, or made up. */
#include <stdlib.h>
#include <string.h>

#include "bench.h"

#define LARGEST_BATCH 65536
/* As many samples as a batch has when nothing else is asked for, in each slot of a device. */
#define USUAL_SAMPLES 192
#define SAMPLE_BYTES  ((size_t)256 << 20)
#define LOAD_THREADS  4

/* ---- making samples up ---- */

/* Well-mixed bits of a counter (the finalizer of SplitMix64): the same samples in every run. */
static uint64_t mix(uint64_t counter) {
    uint64_t z = counter * 0x9E3779B97F4A7C15U;
    z = (z ^ (z >> 30)) * 0xBF58476D1CE4E5B9U;
    z = (z ^ (z >> 27)) * 0x94D049BB133111EBU;
    return z ^ (z >> 31);
}

static void make_floats(void *to, size_t count, uint64_t seed) {
    float *values = to;
    for (size_t i = 0; i < count; i++) {
        values[i] = (float)((mix(seed + i) >> 40) + 1) * 0x1p-24F;
    }
}

static void make_doubles(void *to, size_t count, uint64_t seed) {
    double *values = to;
    for (size_t i = 0; i < count; i++) {
        values[i] = (double)((mix(seed + i) >> 40) + 1) * 0x1p-24;
    }
}

static void make_bytes(void *to, size_t count, uint64_t seed) {
    uint8_t *values = to;
    for (size_t i = 0; i < count; i++) {
        values[i] = (uint8_t)(1 + mix(seed + i) % 127);
    }
}

/* Wider integers are often indices, of tables whose length nobody knows here. */
static void make_ones(void *to, size_t count, size_t bytes) {
    unsigned char *values = to;
    const uint16_t probe = 1;
    unsigned char low;
    memcpy(&low, &probe, 1);
    memset(values, 0, count * bytes);
    for (size_t i = 0; i < count; i++) {
        values[i * bytes + (low == 1 ? 0 : bytes - 1)] = 1;
    }
}

static const struct maker {
    tare_element element;
    void (*make)(void *to, size_t count, uint64_t seed); /* NULL: ones */
} makers[] = {
    {TARE_FLOAT32, make_floats}, {TARE_FLOAT64, make_doubles},
    {TARE_UINT8, make_bytes},    {TARE_INT8, make_bytes},
    {TARE_UINT16, NULL},         {TARE_INT16, NULL},
    {TARE_UINT32, NULL},         {TARE_INT32, NULL},
    {TARE_UINT64, NULL},         {TARE_INT64, NULL},
    {TARE_BOOL, NULL},
};

/* The row of a type, or NULL. */
static const struct maker *find_maker(tare_dtype dtype) {
    for (size_t i = 0; i < sizeof makers / sizeof makers[0]; i++) {
        if ((int)makers[i].element == (int)dtype) {
            return &makers[i];
        }
    }
    return NULL;
}

/* Whether samples can be made up. */
static tare_status check_input(const tare_value *input, const tare_run_options *run,
                               tare_error *err) {
    tare_input_shape shape;
    tare_text reason = {0};
    tare_status status = TARE_OK;

    if (find_maker(input->dtype) == NULL) {
        return tare_fail(err, TARE_UNSUPPORTED,
                         "input '%s' is %s, which cannot be made up; give data", input->name,
                         tare_dtype_text(input->dtype));
    }
    if (!tare_session_assume_shape(&shape, &reason, input, run)) {
        status = tare_fail(err, TARE_INVALID_ARGUMENT, "%s",
                           reason.data == NULL ? "a shape is not known" : reason.data);
    }
    tare_text_release(&reason);
    return status;
}

static tare_status check_inputs(const tare_bench_inputs *inputs, tare_error *err) {
    const tare_graph *graph = &inputs->model->graph;
    for (size_t i = 0; i < graph->input_count; i++) {
        if (!graph->inputs[i]->is_initializer) {
            TARE_TRY(check_input(graph->inputs[i], inputs->run, err));
        }
    }
    return TARE_OK;
}

static tare_status make_input(tare_sample_sink *sink, const tare_bench_inputs *inputs,
                              const tare_value *input, uint64_t seed, tare_error *err) {
    const struct maker *maker = find_maker(input->dtype);
    tare_array_view view = {.name = input->name, .element = (tare_element)input->dtype};
    tare_input_shape shape;
    tare_text reason = {0};
    void *data;
    size_t bytes = 0, each = tare_dtype_bytes(input->dtype);
    tare_status status;

    (void)tare_session_assume_shape(&shape, &reason, input, inputs->run);
    tare_text_release(&reason);
    if (!tare_dims_bytes(&bytes, input->dtype, shape.rank, shape.dims) ||
        (data = malloc(bytes + 1)) == NULL) {
        return tare_fail_memory(err, bytes, "a sample");
    }
    if (maker->make == NULL) {
        make_ones(data, bytes / each, each);
    } else {
        maker->make(data, bytes / each, seed);
    }
    view.rank = shape.rank;
    memcpy(view.dims, shape.dims, (size_t)shape.rank * sizeof shape.dims[0]);
    view.data = data;
    status = tare_sample_add(sink, &view, err);
    free(data);
    return status;
}

static tare_status make_sample(void *user, uint64_t index, tare_sample_sink *sink,
                               tare_error *err) {
    const tare_bench_inputs *inputs = user;
    const tare_graph *graph = &inputs->model->graph;
    for (size_t i = 0; i < graph->input_count; i++) {
        if (!graph->inputs[i]->is_initializer) {
            TARE_TRY(make_input(sink, inputs, graph->inputs[i], mix(index) + i, err));
        }
    }
    return TARE_OK;
}

/* ---- opening and loading ---- */

/* Lists the samples there are as often as the largest batches take them. */
static tare_status repeat_samples(tare_bench_inputs *inputs, tare_error *err) {
    const uint64_t batch = inputs->run->batch;
    const size_t available = inputs->feed.count;
    size_t count = USUAL_SAMPLES;

    if (batch > LARGEST_BATCH) {
        return tare_fail(err, TARE_INVALID_ARGUMENT, "a batch of %llu, at most %d can be measured",
                         (unsigned long long)batch, LARGEST_BATCH);
    }
    count = batch > count / TARE_SESSION_SLOTS ? (size_t)batch * TARE_SESSION_SLOTS : count;
    inputs->order = calloc(count, sizeof *inputs->order);
    if (inputs->order == NULL) {
        return tare_fail_memory(err, count * sizeof *inputs->order, "the order of samples");
    }
    for (size_t i = 0; i < count; i++) {
        inputs->order[i] = i % available;
    }
    inputs->feed.order = inputs->order;
    inputs->feed.count = count;
    return TARE_OK;
}

tare_status tare_bench_inputs_open(tare_bench_inputs *inputs, const tare_model *model,
                                   const tare_dataset *dataset, const tare_run_options *run,
                                   tare_error *err) {
    *inputs = (tare_bench_inputs){.model = model, .run = run};
    if (dataset == NULL) {
        TARE_TRY(tare_model_blame(model, check_inputs(inputs, err), err));
        TARE_TRY(tare_dataset_from_function(&inputs->synthetic, TARE_BENCH_SAMPLES, make_sample,
                                            inputs, err));
        dataset = inputs->synthetic;
    }
    TARE_TRY(tare_feed_open(&inputs->feed, dataset, &model->graph, TARE_BENCH_SAMPLES, run, err));
    return repeat_samples(inputs, err);
}

/* How many samples are kept: enough to differ, not so many that memory fills with them. */
static size_t wanted_samples(const tare_bench_inputs *inputs) {
    size_t bytes = 1, count = tare_samples_count(inputs->feed.samples);
    for (size_t i = 0; i < inputs->feed.shape_count; i++) {
        const tare_input_shape *shape = &inputs->feed.shapes[i];
        size_t input = 0;
        if (tare_dims_bytes(&input, (tare_dtype)shape->element, shape->rank, shape->dims)) {
            bytes += input;
        }
    }
    count = count < TARE_BENCH_SAMPLES ? count : TARE_BENCH_SAMPLES;
    while (count > TARE_SESSION_SLOTS && count > SAMPLE_BYTES / bytes) {
        count--;
    }
    return count;
}

tare_status tare_bench_inputs_load(tare_bench_inputs *inputs, bool for_device, tare_error *err) {
    const size_t wanted = wanted_samples(inputs);
    tare_prefetch_options prefetch = tare_prefetch_defaults(inputs->feed.samples);

    prefetch.threads = LOAD_THREADS;
    prefetch.slots = wanted + LOAD_THREADS;
    prefetch.count = wanted;
    prefetch.skip_bad = inputs->run->skip_bad;
    prefetch.keep_pixels = for_device && inputs->feed.has_preprocess;
    TARE_TRY(tare_prefetch_open(&inputs->prefetch, inputs->feed.samples, &prefetch, err));
    for (;;) {
        tare_sample *sample = NULL;
        size_t position;
        TARE_TRY(tare_prefetch_next(inputs->prefetch, &sample, &position, err));
        if (sample == NULL) {
            break;
        }
        inputs->samples[inputs->count++] = sample;
    }
    (void)tare_job_note_skipped(inputs->prefetch, inputs->run);
    return inputs->count > 0 ? TARE_OK
                             : tare_fail(err, TARE_INVALID_ARGUMENT,
                                         "none of %zu samples could be loaded", wanted);
}

void tare_bench_inputs_close(tare_bench_inputs *inputs) {
    if (inputs != NULL) {
        tare_prefetch_close(inputs->prefetch);
        tare_feed_close(&inputs->feed);
        tare_dataset_free(inputs->synthetic);
        free(inputs->order);
        *inputs = (tare_bench_inputs){0};
    }
}
