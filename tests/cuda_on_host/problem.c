/* SPDX-License-Identifier: Apache-2.0 */
/** Builds tensors, runs the kernels on them, and says where they differ from the reference. */
#include "problem.h"
#include "on_device.h"
#include "reference.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define F32  TARE_DTYPE_FLOAT
#define F16  TARE_DTYPE_FLOAT16
#define BF16 TARE_DTYPE_BFLOAT16

/* Rows around the tile of 256, columns around the vector of 16 bytes and the block's 32 vectors. */
const tensor_case problem_cases[] = {
    {F32, 1, 1, 0, 0, FILL_MIXED},
    {F32, 3, 0, 0, 0, FILL_MIXED},
    {F32, 0, 10, 0, 0, FILL_MIXED},
    {F16, 2, 0, 5, 0, FILL_MIXED},
    {F32, 1, 63, 0, 1, FILL_MIXED},
    {F32, 2, 64, 0, 0, FILL_SPECIAL},
    {F16, 3, 65, 0, 3, FILL_SPECIAL},
    {BF16, 2, 1000, 0, 0, FILL_SPECIAL},
    {F32, 2, 64 * 256, 0, 0, FILL_MIXED},
    {F16, 2, 64 * 256 + 1, 0, 0, FILL_MIXED},
    {F32, 1, 64 * 256 * 3 + 77, 0, 2, FILL_MIXED},
    {BF16, 1, 64 * 256 * 34 + 64 * 9, 0, 0, FILL_MIXED},
    {F32, 5, 1, 1, 0, FILL_MIXED},
    {F32, 2, 3 * 37, 3, 0, FILL_SPECIAL},
    {F32, 1, 3 * 9000, 3, 1, FILL_MIXED},
    {F16, 2, 8 * 255, 8, 0, FILL_SPECIAL},
    {F16, 2, 24 * 257, 24, 0, FILL_MIXED},
    {F32, 2, 24 * 49, 24, 0, FILL_HUGE},
    {BF16, 2, 40 * 512, 40, 1, FILL_MIXED},
    {F32, 3, 128 * 31, 128, 0, FILL_MIXED},
    {F32, 1, 132 * 33, 132, 0, FILL_SPECIAL},
    {F16, 1, 255 * 40, 255, 0, FILL_MIXED},
    {F16, 1, 256 * 300, 256, 0, FILL_MIXED},
    {BF16, 2, 264 * 20, 264, 0, FILL_HUGE},
    {F32, 1, 1000, 1000, 0, FILL_MIXED},
    {F32, 2, 2, 2, 0, FILL_NAN},
    {F32, 2, 100, 4, 0, FILL_NAN},
    {F16, 2, 90, 0, 0, FILL_NEGATIVE_ZERO},
    {F32, 1, 64 * 256 * 2, 0, 0, FILL_HUGE},
    {F32, 1, 4 * 256 * 40 + 4 * 3, 4, 0, FILL_MIXED},
    {F32, 8, 64 * 256, 0, 0, FILL_RISING},
};
const size_t problem_case_count = sizeof problem_cases / sizeof problem_cases[0];

/* Bits that are the same on every machine. */
static uint32_t draw(uint64_t *state) {
    *state = *state * 6364136223846793005U + 1442695040888963407U;
    return (uint32_t)(*state >> 32);
}

/* Float32 patterns; the 16-bit types take what their own layouts make of it. `octave` rises from 0
 * to 31 in the course of the elements. */
static uint32_t pattern(problem_kind fill, uint64_t *state, uint32_t octave) {
    static const uint32_t special[] = {0x7fc00000, 0xffc00001, 0x7f800001, 0x7f800000, 0xff800000,
                                       0x00000001, 0x80000001, 0x007fffff, 0x00012345, 0x80000000,
                                       0x00000000, 0x7f7fffff, 0xff7fffff, 0x3f800000, 0xbf900000};
    const uint32_t random = draw(state), choice = draw(state);

    switch (fill) {
    case FILL_SPECIAL:
        return choice % 3 == 0 ? special[random % 15] : (random & 0x807fffffU) | 0x3f000000U;
    case FILL_HUGE:
        return (random & 0x80000000U) | 0x7f7fff00U;
    case FILL_RISING:
        return (random & (octave < 24 ? 0x807fffffU : 0x007fffffU)) | (100U + octave) << 23;
    case FILL_NAN:
        return 0x7fc00000U | (random & 0x803fffffU);
    case FILL_NEGATIVE_ZERO:
        return 0x80000000U;
    case FILL_MIXED:
        break;
    }
    return choice % 4 == 0 ? random & 0x80000000U
                           : (random & 0x807fffffU) | (100U + choice / 4 % 40) << 23;
}

/* The float16 with about the meaning of a float32 pattern: the same kind, the exponent folded into
 * its range. */
static uint16_t half_pattern(uint32_t bits) {
    const uint32_t exponent = bits >> 23 & 255U, mantissa = bits >> 13 & 1023U;
    const uint32_t sign = bits >> 16 & 0x8000U;
    const uint32_t low = (bits & 0x7fffffU) != 0 ? 1U : 0U;

    if (exponent == 255 || (bits & 0x7fffffffU) == 0x7f7fff00U) {
        return (uint16_t)(sign | (exponent == 255 ? 0x7c00U | mantissa | low : 0x7bffU));
    }
    return (uint16_t)(sign | (exponent == 0 ? mantissa | low : (exponent % 31) << 10 | mantissa));
}

problem_data problem_fill(tare_dtype dtype, uint64_t elements, size_t offset, problem_kind fill) {
    const size_t bytes = tare_dtype_bytes(dtype), before = 64 + offset * bytes;
    problem_data out = {.memory = NULL};
    uint64_t state = elements * 31 + offset + (uint64_t)fill;
    unsigned char *at;

    if (posix_memalign(&out.memory, 64, before + elements * bytes) != 0) {
        abort();
    }
    memset(out.memory, 0xff, before);
    at = (unsigned char *)out.memory + before;
    out.data = at;
    for (uint64_t i = 0; i < elements; i++, at += bytes) {
        const uint32_t bits = pattern(fill, &state, (uint32_t)(i * 32 / elements));
        const uint16_t narrow = dtype == F16 ? half_pattern(bits) : (uint16_t)(bits >> 16);
        memcpy(at, bytes == 4 ? (const void *)&bits : (const void *)&narrow, bytes);
    }
    return out;
}

void problem_free(problem_data *contents) {
    free(contents->memory);
    contents->memory = NULL;
}

/* A planned problem: everything is on the heap, so that AddressSanitizer knows its limits. */
typedef struct problem {
    size_t count;
    problem_data *contents;
    tare_stats_launch launch;
    tare_stats_tensor *tensors;
    tare_stats_tensor *table; /* the same with data on the device */
} problem;

static void *filled(uint64_t count, size_t bytes, int byte) {
    void *memory = malloc(count * bytes > 0 ? count * bytes : 1);
    if (memory == NULL) {
        abort();
    }
    return memset(memory, byte, count * bytes);
}

static void problem_init(problem *p, const tensor_case *cases, size_t count) {
    tare_error err;

    *p = (problem){.count = count};
    p->contents = filled(count, sizeof *p->contents, 0);
    p->tensors = filled(count, sizeof *p->tensors, 0);
    for (size_t i = 0; i < count; i++) {
        const tensor_case *c = &cases[i];
        p->contents[i] =
            problem_fill(c->dtype, c->samples * c->sample_elements, c->offset, c->fill);
        p->tensors[i] = (tare_stats_tensor){.data = p->contents[i].data,
                                            .samples = c->samples,
                                            .sample_elements = c->sample_elements,
                                            .channels = c->channels,
                                            .dtype = c->dtype,
                                            .histogram = i % 4 != 1};
    }
    if (tare_stats_plan(&p->launch.totals, p->tensors, count, &err) != TARE_OK) {
        abort();
    }
    p->launch.tensors = p->tensors;
    p->launch.count = (uint32_t)count;
    p->launch.counts = filled(p->launch.totals.items, sizeof *p->launch.counts, 0xff);
    p->launch.partials = filled(p->launch.totals.partials, sizeof *p->launch.partials, 0xff);
    p->launch.columns = filled(p->launch.totals.columns, sizeof *p->launch.columns, 0xff);
    p->launch.samples = filled(p->launch.totals.samples, sizeof *p->launch.samples, 0xff);
    p->launch.bins = filled(p->launch.totals.bins, sizeof *p->launch.bins, 0);
}

/* The launch as kernels see it. */
static tare_stats_launch on_device_launch(problem *p) {
    const tare_stats_totals *totals = &p->launch.totals;
    tare_stats_launch out = p->launch;

    p->table = filled(p->count, sizeof *p->table, 0);
    memcpy(p->table, p->tensors, p->count * sizeof *p->table);
    for (size_t i = 0; i < p->count; i++) {
        const tare_stats_tensor *tensor = &p->tensors[i];
        p->table[i].data = on_device_in(tensor->data, tensor->samples * tensor->sample_elements *
                                                          tare_dtype_bytes(tensor->dtype));
    }
    out.tensors = on_device_in(p->table, p->count * sizeof *p->table);
    out.counts = on_device_in(out.counts, totals->items * sizeof *out.counts);
    out.partials = on_device_in(out.partials, totals->partials * sizeof *out.partials);
    out.columns = on_device_out(out.columns, totals->columns * sizeof *out.columns);
    out.samples = on_device_out(out.samples, totals->samples * sizeof *out.samples);
    out.bins = on_device_out(out.bins, totals->bins * sizeof *out.bins);
    return out;
}

static void problem_release(problem *p) {
    for (size_t i = 0; i < p->count; i++) {
        problem_free(&p->contents[i]);
    }
    free(p->contents);
    free(p->tensors);
    free(p->table);
    free(p->launch.counts);
    free(p->launch.partials);
    free(p->launch.columns);
    free(p->launch.samples);
    free(p->launch.bins);
}

static bool same_float(verdict *out, size_t tensor, uint64_t sample, const char *what, float got,
                       float wanted) {
    if (reference_bits(got) == reference_bits(wanted)) {
        return true;
    }
    snprintf(out->text, sizeof out->text,
             "tensor %zu, sample %llu: %s is %a (%08x), expected %a (%08x)", tensor,
             (unsigned long long)sample, what, (double)got, reference_bits(got), (double)wanted,
             reference_bits(wanted));
    return false;
}

static bool same_count(verdict *out, size_t tensor, uint64_t sample, const char *what, uint64_t got,
                       uint64_t wanted) {
    if (got == wanted) {
        return true;
    }
    snprintf(out->text, sizeof out->text, "tensor %zu, sample %llu: %s is %llu, expected %llu",
             tensor, (unsigned long long)sample, what, (unsigned long long)got,
             (unsigned long long)wanted);
    return false;
}

static bool same_sample(verdict *out, const problem *p, size_t i, uint64_t sample) {
    const tare_stats_tensor *tensor = &p->tensors[i];
    const tare_stats_record *got = &p->launch.samples[tensor->first_sample + sample];
    const tare_stats_column *columns =
        &p->launch.columns[tensor->first_column + sample * tensor->columns];
    tare_stats_column *wanted_columns = filled(tensor->columns, sizeof *wanted_columns, 0);
    tare_stats_record wanted;
    bool same = true;

    reference_reduce(&wanted, wanted_columns, tensor, sample);
    for (uint64_t c = 0; c < tensor->columns && same; c++) {
        char what[64];
        snprintf(what, sizeof what, "minimum, maximum or sum of column %llu",
                 (unsigned long long)c);
        same = same_float(out, i, sample, what, columns[c].min, wanted_columns[c].min) &&
               same_float(out, i, sample, what, columns[c].max, wanted_columns[c].max) &&
               same_float(out, i, sample, what, columns[c].sum, wanted_columns[c].sum);
    }
    free(wanted_columns);
    return same && same_float(out, i, sample, "minimum", got->min, wanted.min) &&
           same_float(out, i, sample, "maximum", got->max, wanted.max) &&
           same_float(out, i, sample, "sum", got->sum, wanted.sum) &&
           same_count(out, i, sample, "zeros", got->zeros, wanted.zeros) &&
           same_count(out, i, sample, "NaN", got->nan, wanted.nan) &&
           same_count(out, i, sample, "+Inf", got->positive_infinity, wanted.positive_infinity) &&
           same_count(out, i, sample, "-Inf", got->negative_infinity, wanted.negative_infinity);
}

/* A call that failed is wrong too; what the emulator found says more than the error. */
static bool went_well(verdict *out, tare_status status, const tare_error *err) {
    const char *reason;
    const bool done = on_device_done(&reason);
    *out = (verdict){.right = status == TARE_OK && done};
    if (!out->right) {
        snprintf(out->text, sizeof out->text, "%s%s; emulator: %s", err->text, reason,
                 emulator_failure() != NULL ? emulator_failure() : "nothing");
    }
    return out->right;
}

verdict problem_reduce(const tensor_case *cases, size_t count, emulator_settings settings,
                       uint32_t max_blocks) {
    problem p;
    tare_stats_launch launch;
    verdict out;
    tare_error err = {.code = TARE_OK};

    problem_init(&p, cases, count);
    p.launch.max_blocks = max_blocks;
    emulator_set(settings);
    launch = on_device_launch(&p);
    went_well(&out, tare_stats_reduce(&launch, NULL, &err), &err);
    for (size_t i = 0; i < count && out.right; i++) {
        for (uint64_t sample = 0; sample < p.tensors[i].samples && out.right; sample++) {
            out.right = same_sample(&out, &p, i, sample);
        }
    }
    problem_release(&p);
    return out;
}

/* The histogram of tensor `i`, to which its first `first` samples were added, then the first
 * `first` + 1, up to the first `last`. */
static bool same_codes(verdict *out, const problem *p, size_t i, uint64_t first, uint64_t last) {
    const tare_stats_tensor *tensor = &p->tensors[i];
    const uint64_t *got = p->launch.bins + tensor->first_bin;
    const uint32_t top = reference_top(tensor, last);
    uint64_t *wanted = filled(TARE_STATS_CODES, sizeof *wanted, 0);
    bool same = same_count(out, i, last, "top", got[TARE_STATS_TOP], top);

    for (uint64_t samples = first; samples <= last; samples++) {
        reference_codes(wanted, tensor, samples, top);
    }
    for (unsigned code = 0; code < TARE_STATS_CODES && same; code++) {
        char what[32];
        snprintf(what, sizeof what, "bin %u", code);
        same = same_count(out, i, last, what, got[code], wanted[code]);
    }
    free(wanted);
    return same;
}

verdict problem_codes(const tensor_case *cases, size_t count, emulator_settings settings,
                      uint32_t max_blocks) {
    problem p;
    tare_stats_launch launch;
    verdict out;
    tare_error err = {.code = TARE_OK};
    tare_status status;

    problem_init(&p, cases, count);
    p.launch.max_blocks = max_blocks;
    emulator_set(settings);
    launch = on_device_launch(&p);
    status = tare_stats_reduce(&launch, NULL, &err);
    if (status == TARE_OK) {
        status = tare_stats_codes(&launch, NULL, &err);
    }
    went_well(&out, status, &err);
    for (size_t i = 0; i < count && out.right; i++) {
        out.right = !p.tensors[i].histogram ||
                    same_codes(&out, &p, i, p.tensors[i].samples, p.tensors[i].samples);
    }
    problem_release(&p);
    return out;
}

verdict problem_codes_in_parts(const tensor_case *cases, size_t count, emulator_settings settings,
                               uint32_t max_blocks) {
    problem p;
    tare_stats_launch launch;
    verdict out;
    tare_error err = {.code = TARE_OK};
    tare_status status = TARE_OK;

    problem_init(&p, cases, count);
    p.launch.max_blocks = max_blocks;
    emulator_set(settings);
    launch = on_device_launch(&p);
    for (size_t i = 0; i < count; i++) {
        for (uint64_t k = 1; k <= p.tensors[i].samples && p.tensors[i].histogram; k++) {
            const tare_stats_part part = {&p.tensors[i], p.table[i].data, k};
            if (status == TARE_OK) {
                status = tare_stats_begin(&launch, &part, NULL, &err);
            }
            if (status == TARE_OK) {
                status = tare_stats_codes_of(&launch, &part, NULL, &err);
            }
        }
    }
    went_well(&out, status, &err);
    for (size_t i = 0; i < count && out.right; i++) {
        out.right = !p.tensors[i].histogram || same_codes(&out, &p, i, 1, p.tensors[i].samples);
    }
    problem_release(&p);
    return out;
}

static bool holds_nan(const tensor_case *c, const unsigned char *sample) {
    bool found = false;
    for (uint64_t i = 0; i < c->sample_elements; i++) {
        const float x = reference_element(c->dtype, sample, i);
        found = found || x != x;
    }
    return found;
}

static bool same_pairs(verdict *out, const tensor_case *c, const unsigned char *data,
                       const tare_quantile_pairs *got, double p) {
    const uint64_t bytes = c->sample_elements * tare_dtype_bytes(c->dtype);
    bool same = true;
    for (uint64_t s = 0; s < c->samples && same; s++) {
        tare_quantile_pairs wanted;
        if (c->sample_elements == 0 || holds_nan(c, data + s * bytes)) {
            continue;
        }
        wanted = reference_quantiles(c->dtype, data + s * bytes, c->sample_elements, p);
        for (int i = 0; i < 2; i++) {
            same = same && same_float(out, 0, s, "low", got[s].low[i], wanted.low[i]) &&
                   same_float(out, 0, s, "high", got[s].high[i], wanted.high[i]);
        }
    }
    return same;
}

verdict problem_quantiles(const tensor_case *c, double p, emulator_settings settings,
                          uint32_t max_blocks) {
    const uint64_t counts = c->samples * TARE_QUANTILE_COUNTS;
    problem_data data = problem_fill(c->dtype, c->samples * c->sample_elements, c->offset, c->fill);
    tare_quantile_launch launch = {.samples = c->samples,
                                   .elements = c->sample_elements,
                                   .dtype = c->dtype,
                                   .max_blocks = max_blocks,
                                   .counts = filled(counts, sizeof *launch.counts, 0),
                                   .searches = filled(c->samples, sizeof *launch.searches, 0xff),
                                   .pairs = filled(c->samples, sizeof *launch.pairs, 0xff)};
    tare_quantile_launch there;
    verdict out;
    tare_error err = {.code = TARE_OK};
    tare_status status;

    tare_quantile_plan(&launch, p);
    emulator_set(settings);
    there = launch;
    there.data =
        on_device_in(data.data, c->samples * c->sample_elements * tare_dtype_bytes(c->dtype));
    there.counts = on_device_out(launch.counts, counts * sizeof *launch.counts);
    there.searches = on_device_in(launch.searches, c->samples * sizeof *launch.searches);
    there.pairs = on_device_out(launch.pairs, c->samples * sizeof *launch.pairs);
    status = tare_quantiles(&there, NULL, &err);
    if (status == TARE_OK) {
        status = tare_quantiles(&there, NULL, &err);
    }
    out.right = went_well(&out, status, &err) && same_pairs(&out, c, data.data, launch.pairs, p);
    for (uint64_t i = 0; i < counts && out.right; i++) {
        out.right = same_count(&out, 0, i / TARE_QUANTILE_COUNTS, "what is left of a counter",
                               launch.counts[i], 0);
    }
    free(launch.counts);
    free(launch.searches);
    free(launch.pairs);
    problem_free(&data);
    return out;
}

static bool same_windows(verdict *out, const float *got, const tare_window_tensor *tensor,
                         size_t i) {
    bool same = true;
    for (uint64_t sample = 0; sample < tensor->samples; sample++) {
        for (uint32_t tap = 0; tap < tensor->kernel[0] * tensor->kernel[1]; tap++) {
            const uint32_t taps[2] = {tap / tensor->kernel[1], tap % tensor->kernel[1]};
            for (uint64_t channel = 0; channel < tensor->channels && same; channel++, got++) {
                char what[80];
                snprintf(what, sizeof what, "window sum of kernel position %u, %u, channel %llu",
                         taps[0], taps[1], (unsigned long long)channel);
                same = same_float(out, i, sample, what, *got,
                                  reference_window_sum(tensor, sample, taps, channel));
            }
        }
    }
    return same;
}

verdict problem_window(const tare_window_tensor *tensors, size_t count, size_t offset,
                       emulator_settings settings, uint32_t max_blocks) {
    tare_window_tensor *planned = filled(count, sizeof *planned, 0);
    tare_window_tensor *table = filled(count, sizeof *table, 0); /* with data on the device */
    problem_data *data = filled(count, sizeof *data, 0);
    tare_window_launch launch = {
        .tensors = planned, .count = (uint32_t)count, .max_blocks = max_blocks};
    tare_window_launch there;
    verdict out;
    tare_error err = {.code = TARE_OK};

    memcpy(planned, tensors, count * sizeof *planned);
    for (size_t i = 0; i < count; i++) {
        const uint64_t pixels = planned[i].samples * planned[i].size[0] * planned[i].size[1];
        data[i] = problem_fill(planned[i].dtype, pixels * planned[i].channels, offset,
                               i % 2 != 0 ? FILL_SPECIAL : FILL_MIXED);
        planned[i].data = data[i].data;
    }
    if (tare_window_plan(&launch.totals, planned, count, &err) != TARE_OK) {
        abort();
    }
    launch.partials = filled(launch.totals.partials, sizeof *launch.partials, 0xff);
    launch.sums = filled(launch.totals.sums, sizeof *launch.sums, 0xff);
    emulator_set(settings);
    memcpy(table, planned, count * sizeof *table);
    for (size_t i = 0; i < count; i++) {
        table[i].data = on_device_in(planned[i].data, planned[i].samples * planned[i].size[0] *
                                                          planned[i].size[1] * planned[i].channels *
                                                          tare_dtype_bytes(planned[i].dtype));
    }
    there = launch;
    there.tensors = on_device_in(table, count * sizeof *table);
    there.partials =
        on_device_in(launch.partials, launch.totals.partials * sizeof *launch.partials);
    there.sums = on_device_out(launch.sums, launch.totals.sums * sizeof *launch.sums);
    went_well(&out, tare_window_sums(&there, NULL, &err), &err);
    for (size_t i = 0; i < count; i++) {
        out.right =
            out.right && same_windows(&out, launch.sums + planned[i].first_sum, &planned[i], i);
        problem_free(&data[i]);
    }
    free(launch.partials);
    free(launch.sums);
    free(data);
    free(table);
    free(planned);
    return out;
}
