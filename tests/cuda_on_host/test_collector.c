/* SPDX-License-Identifier: Apache-2.0 */
/** The collector against the CPU backend's reductions: the same bits for any layout, axis and
 * storage type, for padded batches, slots and recordings; and the same calibration state. */
#include <criterion/criterion.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/file.h"
#include "cpu/backend.h"
#include "cuda/backend.h"
#include "reference.h"
#include "stats/state_file.h"

#define SLOTS    2
#define QUANTILE 0.01 /* of states */

static const tare_device_functions *functions(void) {
    return tare_backend_cuda.device;
}

/* ---- points and contents ---- */

static const tare_collect_window windows[] = {
    {.kernel = {3, 3}, .stride = {1, 1}, .dilation = {1, 1}, .padding = {1, 1}, .output = {9, 7}},
    {.kernel = {2, 5}, .stride = {2, 2}, .dilation = {2, 1}, .padding = {0, 2}, .output = {4, 4}},
};
static const tare_collect_window row_window = {
    .kernel = {1, 3}, .stride = {1, 2}, .dilation = {1, 1}, .padding = {0, 1}, .output = {1, 10}};

#define LAST  TARE_LAYOUT_CHANNELS_LAST
#define PLAIN TARE_LAYOUT_PLAIN

/* Batches of 4 samples; one of them has two images each, one is a batch of scalars. */
static const tare_collect_point points[] = {
    {{.rank = 4, .dims = {4, 24, 9, 7}, .layout = LAST}, 4, 1, true, true, true, 0.01, windows, 2},
    {{.rank = 4, .dims = {4, 3, 9, 7}, .layout = PLAIN}, 4, 1, true, false, true, 0, windows, 1},
    {{.rank = 4, .dims = {4, 5, 17, 3}, .layout = PLAIN}, 4, 0, false, true, true, 0.5, NULL, 0},
    {{.rank = 3, .dims = {4, 37, 48}, .layout = PLAIN}, 4, 2, true, true, true, 0.001, NULL, 0},
    {{.rank = 3, .dims = {4, 37, 11}, .layout = LAST}, 4, 2, true, false, false, 0, NULL, 0},
    {{.rank = 3, .dims = {4, 6, 20}, .layout = LAST}, 4, 1, true, true, true, 0.1, &row_window, 1},
    {{.rank = 2, .dims = {4, 130}, .layout = PLAIN}, 4, 1, true, true, true, 0.02, NULL, 0},
    {{.rank = 4, .dims = {8, 16, 20, 20}, .layout = LAST}, 4, 1, true, false, true, 0.3, NULL, 0},
    {{.rank = 4, .dims = {8, 3, 9, 7}, .layout = PLAIN},
     4,
     1,
     true,
     false,
     true,
     0.0001,
     windows,
     2},
    {{.rank = 1, .dims = {4}, .layout = PLAIN}, 4, 0, false, true, true, 0.2, NULL, 0},
    {{.rank = 4, .dims = {4, 2, 0, 3}, .layout = PLAIN}, 4, 1, true, true, true, 0.1, NULL, 0},
    {{.rank = 4, .dims = {4, 4, 5, 6}, .layout = PLAIN}, 4, 2, true, false, true, 0.05, NULL, 0},
};
#define POINTS (sizeof points / sizeof points[0])

static uint32_t draw(uint64_t *state) {
    *state = *state * 6364136223846793005U + 1442695040888963407U;
    return (uint32_t)(*state >> 32);
}

/* Finite numbers of many magnitudes, with larger ones from seed 100 on, zeros of both signs and,
 * where asked for, all else. */
static void fill(void *to, tare_dtype dtype, size_t count, bool special, uint64_t seed) {
    static const uint16_t halves[] = {0x7c00, 0xfc00, 0x7e00, 0x0001, 0x8001, 0x8000, 0x0000};
    static const uint32_t floats[] = {0x7f800000, 0xff800000, 0x7fc00001, 0x00000001,
                                      0x80000001, 0x80000000, 0x00000000};
    uint64_t state = seed * 91 + 7;
    for (size_t i = 0; i < count; i++) {
        const uint32_t random = draw(&state), choice = draw(&state);
        uint16_t half =
            (uint16_t)((random & 0x83ffU) | (5U + choice / 16 % (seed < 100 ? 10 : 18)) << 10);
        uint32_t bits = (random & 0x807fffffU) | (105U + choice / 16 % (seed < 100 ? 20 : 30))
                                                     << 23;
        if (choice % 4 == 0) {
            half = (uint16_t)(random & 0x8000U);
            bits = random & 0x80000000U;
        } else if (special && choice % 16 == 1) {
            half = halves[random % 7];
            bits = floats[random % 7];
        }
        if (dtype == TARE_DTYPE_FLOAT16) {
            memcpy((uint16_t *)to + i, &half, sizeof half);
        } else {
            memcpy((uint32_t *)to + i, &bits, sizeof bits);
        }
    }
}

/* ---- a batch on the device ---- */

typedef struct batch {
    void *host[POINTS];
    void *device[POINTS];
    size_t bytes[POINTS];
} batch;

typedef struct setting {
    tare_device *device;
    tare_queue *queue;
    tare_collector *collector;
    tare_collect_point points[POINTS];
} setting;

static void open_setting(setting *out, tare_precision precision, bool special) {
    const tare_device_options options = {.precision = precision};
    uint64_t device_bytes, pinned_bytes;
    tare_device_facts facts;
    tare_error err;

    *out = (setting){0};
    cr_assert_eq(functions()->open(&out->device, &options, &err), TARE_OK, "%s", err.text);
    functions()->facts(&facts, out->device);
    memcpy(out->points, points, sizeof points);
    for (size_t i = 0; i < POINTS; i++) {
        out->points[i].desc.dtype = facts.storage;
        /* Sums of what is not finite are not asked for by anybody. */
        out->points[i].window_count = special && i % 3 == 0 ? 0 : points[i].window_count;
    }
    cr_assert_eq(functions()->queue_new(&out->queue, out->device, &err), TARE_OK);
    cr_assert_eq(functions()->collector_measure(&device_bytes, &pinned_bytes, out->points, POINTS,
                                                SLOTS, &err),
                 TARE_OK, "%s", err.text);
    cr_assert_gt(device_bytes, pinned_bytes);
    cr_assert_eq(
        functions()->collector_new(&out->collector, out->device, out->points, POINTS, SLOTS, &err),
        TARE_OK, "%s", err.text);
}

static void close_setting(setting *s) {
    functions()->collector_free(s->collector);
    functions()->queue_free(s->queue);
    functions()->close(s->device);
}

static void new_batch(batch *out, const setting *s, bool special, uint64_t seed) {
    for (size_t i = 0; i < POINTS; i++) {
        const tare_desc *desc = &s->points[i].desc;
        out->bytes[i] = tare_desc_bytes(desc);
        out->host[i] = malloc(out->bytes[i] + 1);
        fill(out->host[i], desc->dtype, (size_t)tare_desc_count(desc), special, seed + i);
        cr_assert_eq(functions()->memory_new(&out->device[i], s->device, out->bytes[i] + 16, NULL),
                     TARE_OK);
        const tare_copy copy = {TARE_COPY_TO_DEVICE, out->device[i], out->host[i], out->bytes[i]};
        cr_assert_eq(functions()->copy(s->queue, &copy, NULL), TARE_OK);
    }
}

static void free_batch(batch *b, const setting *s) {
    for (size_t i = 0; i < POINTS; i++) {
        free(b->host[i]);
        functions()->memory_free(s->device, b->device[i]);
    }
}

static void collect(const setting *s, const batch *b, size_t slot, int64_t samples) {
    tare_error err;
    for (size_t i = 0; i < POINTS; i++) {
        const tare_collect what = {
            .slot = slot, .point = i, .data = b->device[i], .samples = samples};
        cr_assert_eq(functions()->collect(s->collector, s->queue, &what, &err), TARE_OK, "%s",
                     err.text);
    }
    cr_assert_eq(functions()->collect_end(s->collector, s->queue, slot, &err), TARE_OK, "%s",
                 err.text);
}

/* ---- what it should be ---- */

/* One sample as float32 in host memory. */
static float *sample_of(tare_desc *desc, const tare_collect_point *point, const void *data,
                        size_t sample) {
    const size_t count = (size_t)(tare_desc_count(&point->desc) / point->samples);
    float *out = malloc(count * sizeof *out + 1);
    *desc = point->desc;
    desc->dims[0] /= point->samples;
    desc->dtype = TARE_DTYPE_FLOAT;
    for (size_t i = 0; i < count; i++) {
        out[i] = reference_element(point->desc.dtype, data, sample * count + i);
    }
    return out;
}

static size_t taps_of(const tare_collect_point *point, size_t window) {
    const int64_t *kernel = point->windows[window].kernel;
    return (size_t)(kernel[0] * kernel[1] * point->desc.dims[1]);
}

static void check_sample(const tare_collect_point *point, const tare_collect_result *found,
                         const void *data, size_t sample) {
    const size_t images =
        (size_t)((point->desc.rank > 0 ? point->desc.dims[0] : 1) / point->samples);
    const size_t channels = point->channels ? (size_t)point->desc.dims[point->axis] : 0;
    tare_reduce_channel *wanted = calloc(channels + 1, sizeof *wanted);
    float *sums[2] = {NULL, NULL};
    tare_desc desc;
    float *values = sample_of(&desc, point, data, sample);
    tare_reduce_request request = {.desc = &desc,
                                   .data = values,
                                   .channels = point->channels ? wanted : NULL,
                                   .axis = point->axis,
                                   .windows = point->windows,
                                   .window_count = point->window_count,
                                   .window_sums = sums};
    tare_reduce_record record;

    for (size_t i = 0; i < point->window_count; i++) {
        sums[i] = calloc(images * taps_of(point, i), sizeof(float));
    }
    cr_assert_eq(tare_backend_cpu.reduce(&record, &request, NULL), TARE_OK);
    cr_assert_eq(memcmp(&record, &found->records[sample], sizeof record), 0);
    cr_assert_eq(memcmp(wanted,
                        found->channels == NULL ? wanted : found->channels + sample * channels,
                        channels * sizeof *wanted),
                 0);
    cr_assert_eq(found->channels == NULL, !point->channels);
    for (size_t i = 0; i < point->window_count; i++) {
        const size_t count = images * taps_of(point, i);
        cr_assert_eq(memcmp(sums[i], found->windows[i] + sample * count, count * sizeof(float)), 0,
                     "window %zu", i);
        free(sums[i]);
    }
    free(values);
    free(wanted);
}

/* NaN and infinities: nobody asks for the quantiles of such a sample. */
static void check_quantiles(const tare_collect_point *point, const tare_collect_result *found,
                            const void *data, size_t sample) {
    const size_t count = (size_t)(tare_desc_count(&point->desc) / point->samples);
    const unsigned char *first = data;
    const tare_reduce_record *record = &found->records[sample];
    tare_quantile_pairs wanted;

    cr_assert_eq(found->quantiles == NULL, !point->quantiles);
    if (!point->quantiles || count == 0 || record->nan > 0 || record->positive_infinity > 0 ||
        record->negative_infinity > 0) {
        return;
    }
    first += sample * count * tare_dtype_bytes(point->desc.dtype);
    wanted = reference_quantiles(point->desc.dtype, first, count, point->quantile);
    cr_assert_eq(memcmp(&wanted, &found->quantiles[sample], sizeof wanted), 0,
                 "sample %zu: %a %a, %a %a, expected %a %a, %a %a", sample,
                 (double)found->quantiles[sample].low[0], (double)found->quantiles[sample].low[1],
                 (double)found->quantiles[sample].high[0], (double)found->quantiles[sample].high[1],
                 (double)wanted.low[0], (double)wanted.low[1], (double)wanted.high[0],
                 (double)wanted.high[1]);
}

static void check_slot(const setting *s, const batch *b, size_t slot, int64_t samples) {
    for (size_t i = 0; i < POINTS; i++) {
        tare_collect_result found;
        functions()->collect_result(&found, s->collector, slot, i);
        for (size_t sample = 0; sample < (size_t)samples; sample++) {
            check_sample(&s->points[i], &found, b->host[i], sample);
            check_quantiles(&s->points[i], &found, b->host[i], sample);
        }
    }
}

/* A batch of a point, as far as the reference looks at it. */
static tare_stats_tensor tensor_of(const tare_collect_point *point, const batch *b, size_t i) {
    return (tare_stats_tensor){.data = b->host[i],
                               .samples = (uint64_t)point->samples,
                               .sample_elements =
                                   (uint64_t)(tare_desc_count(&point->desc) / point->samples),
                               .dtype = point->desc.dtype};
}

/* Counts of the first samples of some batches, each taken so many times. */
static void check_codes(const setting *s, const batch *batches, const int64_t *samples,
                        const uint64_t *times, size_t count) {
    uint64_t *found = calloc(TARE_COLLECT_CODE_COUNT, sizeof *found);
    uint64_t *wanted = calloc(TARE_COLLECT_CODE_COUNT, sizeof *wanted);
    for (size_t i = 0; i < POINTS; i++) {
        uint32_t top = 77, wanted_top = 0;
        const tare_collect_point *point = &s->points[i];
        tare_error err;
        if (!point->codes) {
            cr_assert_eq(functions()->collect_codes(found, &top, s->collector, s->queue, i, &err),
                         TARE_INTERNAL);
            continue;
        }
        memset(wanted, 0, TARE_COLLECT_CODE_COUNT * sizeof *wanted);
        for (size_t k = 0; k < count; k++) {
            const tare_stats_tensor tensor = tensor_of(point, &batches[k], i);
            const uint32_t asked = reference_top(&tensor, (uint64_t)samples[k]);
            wanted_top = times[k] > 0 && asked > wanted_top ? asked : wanted_top;
        }
        for (size_t k = 0; k < count; k++) {
            const tare_stats_tensor tensor = tensor_of(point, &batches[k], i);
            for (uint64_t time = 0; time < times[k]; time++) {
                reference_codes(wanted, &tensor, (uint64_t)samples[k], wanted_top);
            }
        }
        cr_assert_eq(functions()->collect_codes(found, &top, s->collector, s->queue, i, &err),
                     TARE_OK, "%s", err.text);
        cr_assert_eq(top, wanted_top, "point %zu", i);
        cr_assert_eq(memcmp(found, wanted, TARE_COLLECT_CODE_COUNT * sizeof *found), 0, "point %zu",
                     i);
    }
    free(found);
    free(wanted);
}

static void check_batches(tare_precision precision, bool special) {
    static const int64_t samples[] = {4, 3};
    static const uint64_t once[] = {1, 1}, never[] = {0, 0};
    batch batches[2];
    setting s;

    open_setting(&s, precision, special);
    for (size_t i = 0; i < 2; i++) {
        new_batch(&batches[i], &s, special, 100 * i);
        collect(&s, &batches[i], i, samples[i]);
    }
    cr_assert_eq(functions()->wait(s.queue, NULL), TARE_OK);
    for (size_t i = 0; i < 2; i++) {
        check_slot(&s, &batches[i], i, samples[i]);
    }
    check_codes(&s, batches, samples, once, 2);
    check_codes(&s, batches, samples, never, 2);
    /* A slot can be used again. */
    collect(&s, &batches[0], 1, 2);
    cr_assert_eq(functions()->wait(s.queue, NULL), TARE_OK);
    check_slot(&s, &batches[0], 1, 2);
    for (size_t i = 0; i < 2; i++) {
        free_batch(&batches[i], &s);
    }
    close_setting(&s);
}

Test(collector, float_storage, .timeout = 240) {
    check_batches(TARE_PRECISION_FP32, false);
}

Test(collector, half_storage, .timeout = 240) {
    check_batches(TARE_PRECISION_FP16, false);
}

Test(collector, elements_that_are_not_finite, .timeout = 240) {
    check_batches(TARE_PRECISION_TF32, true);
    check_batches(TARE_PRECISION_FP16, true);
}

Test(collector, may_be_recorded, .timeout = 240) {
    static const int64_t samples[] = {4};
    static const uint64_t times[] = {2};
    tare_recording *recording = NULL;
    batch b;
    setting s;
    tare_error err;

    open_setting(&s, TARE_PRECISION_FP32, false);
    new_batch(&b, &s, false, 5);
    cr_assert_eq(functions()->wait(s.queue, NULL), TARE_OK);
    cr_assert_eq(functions()->record_begin(s.queue, &err), TARE_OK, "%s", err.text);
    collect(&s, &b, 1, 4);
    cr_assert_eq(functions()->record_end(&recording, s.queue, &err), TARE_OK, "%s", err.text);
    for (int i = 0; i < 2; i++) {
        cr_assert_eq(functions()->replay(s.queue, recording, &err), TARE_OK, "%s", err.text);
    }
    cr_assert_eq(functions()->wait(s.queue, NULL), TARE_OK);
    check_slot(&s, &b, 1, 4);
    check_codes(&s, &b, samples, times, 1);
    functions()->recording_free(recording);
    free_batch(&b, &s);
    close_setting(&s);
}

/* ---- the calibration state ---- */

static void name_points(tare_stat_point *out, const tare_collect_point *from) {
    static char names[POINTS][8];
    for (size_t i = 0; i < POINTS; i++) {
        (void)snprintf(names[i], sizeof names[i], "t%zu", i);
        out[i] =
            (tare_stat_point){.tensor = names[i],
                              .axis = from[i].axis,
                              .channels = from[i].channels ? from[i].desc.dims[from[i].axis] : 0,
                              .windows = from[i].windows,
                              .window_count = from[i].window_count};
    }
}

static tare_state *new_state(const tare_stat_point *all, tare_state_lane **lane) {
    const tare_state_spec spec = {
        .points = all, .point_count = POINTS, .collect = TARE_COLLECT_ALL, .quantile = QUANTILE};
    tare_state *state = NULL;
    cr_assert_eq(tare_state_new(&state, &spec, 3, NULL), TARE_OK);
    cr_assert_eq(tare_state_lane_new(lane, state, NULL), TARE_OK);
    return state;
}

static void complete(tare_state *state, uint64_t slot) {
    const tare_state_sample sample = {.id = 1000 + slot, .name = "sample"};
    cr_assert_eq(tare_state_complete(state, slot, &sample, NULL), TARE_OK);
}

/* The bytes of the state's file, which frees the state. */
static tare_mapping written(tare_state *state, tare_state_lane *lane) {
    const tare_state_identity identity = {
        .model = "m", .preprocess = "none", .precision = TARE_STATE_PRECISION};
    char path[] = "/tmp/tare-collector-XXXXXX";
    tare_mapping file = {0};
    tare_error err = {0};
    const int descriptor = mkstemp(path);

    cr_assert_geq(descriptor, 0);
    (void)close(descriptor);
    tare_state_merge(state, lane);
    tare_state_settle(state);
    cr_assert_eq(tare_state_write(path, state, &identity, &err), TARE_OK, "%s", err.text);
    cr_assert_eq(tare_mapping_open(&file, path, &err), TARE_OK);
    (void)unlink(path);
    tare_state_lane_free(lane);
    tare_state_free(state);
    return file;
}

static tare_mapping state_of_cpu(const tare_stat_point *all, const setting *s, const batch *b) {
    tare_state_lane *lane;
    tare_state *state = new_state(all, &lane);
    for (uint64_t slot = 0; slot < 3; slot++) {
        for (size_t i = 0; i < POINTS; i++) {
            const tare_collect_point *point = &s->points[i];
            tare_desc desc;
            float *values = sample_of(&desc, point, b->host[i], (size_t)slot);
            /* A state without histograms of some points does not exist: all count. */
            const tare_state_entry entry = {
                .point = i, .slot = slot, .desc = &desc, .data = values};
            cr_assert_eq(tare_state_record(lane, &tare_backend_cpu, &entry, NULL), TARE_OK);
            free(values);
        }
        complete(state, slot);
    }
    return written(state, lane);
}

static tare_mapping state_of_device(const tare_stat_point *all, const setting *s) {
    uint64_t *counts = calloc(TARE_COLLECT_CODE_COUNT, sizeof *counts);
    tare_state_lane *lane;
    tare_state *state = new_state(all, &lane);
    for (uint64_t slot = 0; slot < 3; slot++) {
        for (size_t i = 0; i < POINTS; i++) {
            const tare_collect_point *point = &s->points[i];
            tare_collect_result found;
            functions()->collect_result(&found, s->collector, 0, i);
            const tare_state_result result = {.point = i,
                                              .slot = slot,
                                              .result = &found,
                                              .sample = (size_t)slot,
                                              .images =
                                                  (size_t)(point->desc.dims[0] / point->samples)};
            cr_assert_eq(tare_state_record_result(lane, &result, NULL), TARE_OK);
        }
        complete(state, slot);
    }
    for (size_t i = 0; i < POINTS; i++) {
        uint32_t top;
        cr_assert_eq(functions()->collect_codes(counts, &top, s->collector, s->queue, i, NULL),
                     TARE_OK);
        tare_state_record_codes(state, i, counts, top);
    }
    free(counts);
    return written(state, lane);
}

Test(collector, leaves_the_state_that_the_cpu_leaves, .timeout = 240) {
    tare_stat_point all[POINTS];
    tare_mapping cpu, device;
    batch b;
    setting s;

    open_setting(&s, TARE_PRECISION_FP16, false);
    functions()->collector_free(s.collector);
    for (size_t i = 0; i < POINTS; i++) {
        s.points[i].codes = s.points[i].quantiles = true;
        s.points[i].quantile = QUANTILE;
    }
    cr_assert_eq(functions()->collector_new(&s.collector, s.device, s.points, POINTS, SLOTS, NULL),
                 TARE_OK);
    new_batch(&b, &s, false, 17);
    collect(&s, &b, 0, 3);
    cr_assert_eq(functions()->wait(s.queue, NULL), TARE_OK);
    name_points(all, s.points);
    cpu = state_of_cpu(all, &s, &b);
    device = state_of_device(all, &s);
    cr_assert_eq(cpu.bytes, device.bytes);
    cr_assert_eq(memcmp(cpu.data, device.data, cpu.bytes), 0);
    tare_mapping_release(&cpu);
    tare_mapping_release(&device);
    free_batch(&b, &s);
    close_setting(&s);
}

/* ---- what goes wrong ---- */

static void expect_refusal(tare_collect_point point, tare_status status, const char *text) {
    const tare_collect_point list[] = {points[0], point};
    uint64_t bytes[2];
    tare_collect_point both[2];
    tare_error err;

    memcpy(both, list, sizeof both);
    both[0].desc.dtype = TARE_DTYPE_FLOAT;
    cr_assert_eq(functions()->collector_measure(&bytes[0], &bytes[1], both, 2, 1, &err), status,
                 "%s", text);
    cr_assert_not_null(strstr(err.text, text), "%s", err.text);
}

Test(collector, refuses_points_that_contradict_themselves) {
    const tare_collect_window bad = {{1, 1}, {1, 1}, {1, 1}, {-1, 0}, {1, 1}};
    tare_collect_point point = points[3];
    point.desc.dtype = TARE_DTYPE_INT8;
    expect_refusal(point, TARE_UNSUPPORTED, "int8");
    point = points[3];
    point.desc.dtype = TARE_DTYPE_FLOAT;
    point.samples = 3;
    expect_refusal(point, TARE_INVALID_ARGUMENT, "point 1: 3 samples");
    point.samples = 4;
    point.axis = 3;
    expect_refusal(point, TARE_INVALID_ARGUMENT, "point 1: channels on axis 3 of rank 3");
    point.axis = 2;
    point.windows = windows;
    point.window_count = 1;
    expect_refusal(point, TARE_INVALID_ARGUMENT, "windows with channels on axis 2");
    point.axis = 1;
    point.windows = &bad;
    expect_refusal(point, TARE_INVALID_ARGUMENT, "-1 in a window");
    point = points[3];
    point.desc.dtype = TARE_DTYPE_FLOAT;
    point.quantile = 0.51;
    expect_refusal(point, TARE_INVALID_ARGUMENT, "point 1: quantile 0.51");
    point.quantile = (double)NAN;
    expect_refusal(point, TARE_INVALID_ARGUMENT, "point 1: quantile");
}

/* A call of the runtime fails when it comes for the 21st time, which is one that matters; nothing
 * is left behind, which the sanitizer watches over. */
static void check_failure(const char *call) {
    const tare_device_options options = {.precision = TARE_PRECISION_FP32};
    tare_collect_point list[2] = {points[0], points[1]};
    tare_device *device = NULL;
    tare_status status = TARE_OK;
    tare_error err;
    char fault[64];

    list[0].desc.dtype = list[1].desc.dtype = TARE_DTYPE_FLOAT;
    (void)snprintf(fault, sizeof fault, "%s:21", call);
    cr_assert_eq(setenv("TARE_CUDA_FAULT", fault, 1), 0);
    cr_assert_eq(functions()->open(&device, &options, &err), TARE_OK, "%s", err.text);
    for (int i = 0; i < 21 && status == TARE_OK; i++) {
        tare_collector *collector = NULL;
        status = functions()->collector_new(&collector, device, list, 2, 1, &err);
        cr_expect_eq(collector == NULL, status != TARE_OK);
        functions()->collector_free(collector);
    }
    cr_expect(status == TARE_BACKEND || status == TARE_OUT_OF_MEMORY, "%s: %s", fault, err.text);
    functions()->close(device);
}

/* Each in a process of its own, since calls are counted from its beginning. */
#define FAILURE_TEST(call)                                                                         \
    Test(collector, failure_of_##call, .timeout = 240) {                                           \
        check_failure(#call);                                                                      \
    }

FAILURE_TEST(cudaMalloc)
FAILURE_TEST(cudaHostAlloc)
FAILURE_TEST(cudaStreamCreateWithFlags)
FAILURE_TEST(cudaMemsetAsync)
FAILURE_TEST(cudaMemcpyAsync)
FAILURE_TEST(cudaStreamSynchronize)
