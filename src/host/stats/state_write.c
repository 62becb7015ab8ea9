/* SPDX-License-Identifier: Apache-2.0 */
/** Writing calibration states. */
#include <math.h>
#include <stdio.h>
#include <string.h>

#include "stats/safetensors.h"
#include "stats/state_file.h"
#include "stats/state_parts.h"

/* Codes first..last of one sign that stand in the file; first > last: none. */
typedef struct code_span {
    uint32_t first, last;
} code_span;

/* What the emitting functions see. */
typedef struct writing {
    const tare_state *state;
    const tare_state_identity *identity;
    code_span (*spans)[2]; /* per point: positive, negative */
} writing;

/* ---- code histograms: only what lies between the outermost codes that occur ---- */

static code_span span_of(const tare_code_histogram *histogram, size_t sign) {
    const size_t base = sign * TARE_CODE_BINS;
    code_span span = {.first = histogram->first, .last = histogram->last};
    while (span.first <= span.last && tare_code_count(histogram, base + span.first) == 0) {
        span.first++;
    }
    while (span.last > span.first && tare_code_count(histogram, base + span.last) == 0) {
        span.last--;
    }
    return span.first <= span.last ? span : (code_span){.first = 1, .last = 0};
}

/* Numbers of as many bytes as they have sevenths of bytes (LEB128): most are small. */
typedef void (*number_taker)(void *user, const unsigned char *bytes, size_t count);

static void give_number(number_taker take, void *user, uint64_t number) {
    unsigned char bytes[10];
    size_t length = 0;
    for (; number >= 0x80; number >>= 7) {
        bytes[length++] = (unsigned char)(0x80 | (number & 0x7F));
    }
    bytes[length++] = (unsigned char)number;
    take(user, bytes, length);
}

/* The counts of one sign. Behind a 0 stands how many more follow: there are long runs of them. */
static void give_counts(number_taker take, void *user, const tare_code_histogram *histogram,
                        size_t sign, code_span span) {
    const size_t base = sign * TARE_CODE_BINS;
    for (uint32_t bin = span.first; bin <= span.last; bin++) {
        const uint64_t count = tare_code_count(histogram, base + bin);
        uint32_t end = bin + 1;
        give_number(take, user, count);
        if (count == 0) {
            while (end <= span.last && tare_code_count(histogram, base + end) == 0) {
                end++;
            }
            give_number(take, user, end - bin - 1);
            bin = end - 1;
        }
    }
}

static void give_codes(number_taker take, void *user, const writing *w) {
    for (size_t i = 0; i < w->state->point_count && w->spans != NULL; i++) {
        for (size_t sign = 0; sign < 2; sign++) {
            give_counts(take, user, &w->state->histograms[i], sign, w->spans[i][sign]);
        }
    }
}

static void sink_number(void *user, const unsigned char *bytes, size_t count) {
    tare_sink_bytes(user, bytes, count);
}

static void measure_number(void *user, const unsigned char *bytes, size_t count) {
    uint64_t *total = user;
    TARE_UNUSED(bytes);
    *total += count;
}

static void emit_codes(tare_tensor_sink *sink, const void *user, size_t which) {
    TARE_UNUSED(which);
    give_codes(sink_number, sink, user);
}

static uint64_t code_bytes(const writing *w) {
    uint64_t bytes = 0;
    give_codes(measure_number, &bytes, w);
    return bytes;
}

static void emit_tops(tare_tensor_sink *sink, const void *user, size_t which) {
    const writing *w = user;
    TARE_UNUSED(which);
    for (size_t i = 0; i < w->state->point_count; i++) {
        tare_sink_u32(sink, w->state->histograms[i].top);
    }
}

static void emit_code_spans(tare_tensor_sink *sink, const void *user, size_t which) {
    const writing *w = user;
    TARE_UNUSED(which);
    for (size_t i = 0; i < w->state->point_count; i++) {
        for (size_t sign = 0; sign < 2; sign++) {
            tare_sink_u32(sink, w->spans[i][sign].first);
            tare_sink_u32(sink, w->spans[i][sign].last);
        }
    }
}

/* ---- samples, points, inputs ---- */

static void emit_ids(tare_tensor_sink *sink, const void *user, size_t which) {
    const writing *w = user;
    TARE_UNUSED(which);
    for (uint64_t i = 0; i < w->state->settled; i++) {
        tare_sink_u64(sink, tare_state_sample_at(w->state, i).id);
    }
}

static void emit_sample_names(tare_tensor_sink *sink, const void *user, size_t which) {
    const writing *w = user;
    TARE_UNUSED(which);
    for (uint64_t i = 0; i < w->state->settled; i++) {
        const char *name = tare_state_sample_at(w->state, i).name;
        tare_sink_bytes(sink, name, strlen(name) + 1);
    }
}

/* Of a tensor without values in a sample every number is +inf, but the largest -inf. */
static void emit_column(tare_tensor_sink *sink, const void *user, size_t which) {
    const writing *w = user;
    for (size_t i = 0; i < w->state->point_count; i++) {
        for (uint64_t k = 0; k < w->state->settled; k++) {
            tare_sample_numbers numbers;
            const bool any = tare_state_sample_numbers(&numbers, w->state, i, k);
            tare_sink_f32(sink, any                        ? numbers.of[which]
                                : which == TARE_SAMPLE_MAX ? -INFINITY
                                                           : INFINITY);
        }
    }
}

static void emit_points(tare_tensor_sink *sink, const void *user, size_t which) {
    const writing *w = user;
    TARE_UNUSED(which);
    for (size_t i = 0; i < w->state->point_count; i++) {
        const char *name = w->state->points[i].tensor;
        tare_sink_bytes(sink, name, strlen(name) + 1);
    }
}

static void emit_channels(tare_tensor_sink *sink, const void *user, size_t which) {
    const writing *w = user;
    TARE_UNUSED(which);
    for (size_t i = 0; i < w->state->point_count; i++) {
        tare_sink_u64(sink, (uint64_t)w->state->points[i].channels);
    }
}

static void emit_inputs(tare_tensor_sink *sink, const void *user, size_t which) {
    const writing *w = user;
    TARE_UNUSED(which);
    for (size_t i = 0; i < w->identity->input_count; i++) {
        const char *name = w->identity->inputs[i].name;
        tare_sink_bytes(sink, name, strlen(name) + 1);
    }
}

static void emit_input_shapes(tare_tensor_sink *sink, const void *user, size_t which) {
    const writing *w = user;
    TARE_UNUSED(which);
    for (size_t i = 0; i < w->identity->input_count; i++) {
        const tare_state_input *input = &w->identity->inputs[i];
        tare_sink_u64(sink, (uint64_t)input->element);
        tare_sink_u64(sink, (uint64_t)input->rank);
        for (int k = 0; k < TARE_MAX_RANK; k++) {
            tare_sink_u64(sink, k < input->rank ? (uint64_t)input->dims[k] : 0);
        }
    }
}

static void emit_axes(tare_tensor_sink *sink, const void *user, size_t which) {
    const writing *w = user;
    TARE_UNUSED(which);
    for (size_t i = 0; i < w->state->point_count; i++) {
        tare_sink_u64(sink, (uint64_t)w->state->points[i].axis);
    }
}

static void emit_window_tensors(tare_tensor_sink *sink, const void *user, size_t which) {
    const writing *w = user;
    TARE_UNUSED(which);
    for (size_t i = 0; i < w->state->point_count; i++) {
        for (size_t k = 0; k < w->state->points[i].window_count; k++) {
            tare_sink_u64(sink, i);
        }
    }
}

static void emit_window_shapes(tare_tensor_sink *sink, const void *user, size_t which) {
    const writing *w = user;
    TARE_UNUSED(which);
    for (size_t i = 0; i < w->state->point_count; i++) {
        const tare_stat_point *point = &w->state->points[i];
        for (size_t k = 0; k < point->window_count; k++) {
            const tare_collect_window *window = &point->windows[k];
            const int64_t *const parts[] = {window->kernel, window->stride, window->dilation,
                                            window->padding, window->output};
            for (size_t n = 0; n < TARE_STATE_WINDOW_NUMBERS; n++) {
                tare_sink_u64(sink, (uint64_t)parts[n / 2][n % 2]);
            }
        }
    }
}

/* ---- fields ---- */

static void emit_floats(tare_tensor_sink *sink, const void *user, size_t field) {
    const writing *w = user;
    const float *values = w->state->fields.data[field];
    for (size_t i = 0; i < tare_field_total(&w->state->fields, (tare_field_index)field); i++) {
        tare_sink_f32(sink, values[i]);
    }
}

static void emit_words(tare_tensor_sink *sink, const void *user, size_t field) {
    const writing *w = user;
    const unsigned char *bytes = w->state->fields.data[field];
    const size_t words = tare_field_total(&w->state->fields, (tare_field_index)field) *
                         tare_state_fields[field].numbers;
    for (size_t i = 0; i < words; i++) {
        uint64_t word;
        memcpy(&word, bytes + i * sizeof word, sizeof word);
        tare_sink_u64(sink, word);
    }
}

static tare_tensor_plan plan_field(const writing *w, tare_field_index field) {
    const tare_state_field *row = &tare_state_fields[field];
    return (tare_tensor_plan){
        .name = row->name,
        .dtype = row->dtype,
        .rank = row->numbers > 1 ? 2 : 1,
        .shape = {tare_field_total(&w->state->fields, field), row->numbers > 1 ? row->numbers : 0},
        .emit = strcmp(row->dtype, "F32") == 0 ? emit_floats : emit_words,
        .which = field};
}

static tare_tensor_plan plan_column(const writing *w, size_t column) {
    return (tare_tensor_plan){.name = tare_sample_column_infos[column].tensor,
                              .dtype = "F32",
                              .rank = 2,
                              .shape = {w->state->point_count, w->state->settled},
                              .emit = emit_column,
                              .which = column};
}

/* ---- the whole ---- */

static uint64_t name_bytes(const writing *w, bool samples) {
    uint64_t bytes = 0;
    for (uint64_t i = 0; i < w->state->settled && samples; i++) {
        bytes += strlen(tare_state_sample_at(w->state, i).name) + 1;
    }
    for (size_t i = 0; i < w->state->point_count && !samples; i++) {
        bytes += strlen(w->state->points[i].tensor) + 1;
    }
    return bytes;
}

static uint64_t input_bytes(const tare_state_identity *identity) {
    uint64_t bytes = 0;
    for (size_t i = 0; i < identity->input_count; i++) {
        bytes += strlen(identity->inputs[i].name) + 1;
    }
    return bytes;
}

static uint64_t window_count(const tare_state *state) {
    uint64_t count = 0;
    for (size_t i = 0; i < state->point_count; i++) {
        count += state->points[i].window_count;
    }
    return count;
}

#define MOST_TENSORS (16 + TARE_FIELD_COUNT + TARE_SAMPLE_COLUMN_COUNT)

/* The tensors of the file in the making. */
typedef struct tensor_list {
    tare_tensor_plan tensors[MOST_TENSORS];
    size_t count;
    unsigned collect;
} tensor_list;

static void list(tensor_list *to, unsigned needs, tare_tensor_plan plan) {
    if ((needs & ~to->collect) == 0) {
        to->tensors[to->count++] = plan;
    }
}

static void list_fields(tensor_list *to, const writing *w, const char *dtype) {
    for (size_t i = 0; i < TARE_FIELD_COUNT; i++) {
        if (strcmp(tare_state_fields[i].dtype, dtype) == 0) {
            list(to, tare_state_fields[i].needs, plan_field(w, (tare_field_index)i));
        }
    }
}

/* Those with wide elements first. */
static void list_tensors(tensor_list *to, const writing *w) {
    const uint64_t samples = w->state->settled, points = w->state->point_count;
    const uint64_t inputs = w->identity->input_count, windows = window_count(w->state);
    const unsigned codes = TARE_COLLECT_CODES, sums = TARE_COLLECT_WINDOWS;

#define TENSOR(name, dtype, rank, first, second, emit)                                             \
    (tare_tensor_plan){name, dtype, rank, {first, second}, emit, 0}
    list(to, 0, TENSOR("sample.id", "U64", 1, samples, 0, emit_ids));
    list(to, 0, TENSOR("tensor.channels", "I64", 1, points, 0, emit_channels));
    list(to, 0, TENSOR("tensor.axis", "I64", 1, points, 0, emit_axes));
    list(to, 0, TENSOR("input.shape", "I64", 2, inputs, 2 + TARE_MAX_RANK, emit_input_shapes));
    list(to, sums, TENSOR("window.tensor", "U64", 1, windows, 0, emit_window_tensors));
    list(to, sums,
         TENSOR("window.shape", "I64", 2, windows, TARE_STATE_WINDOW_NUMBERS, emit_window_shapes));
    list_fields(to, w, "U64");
    list(to, codes, TENSOR("codes.top", "U32", 1, points, 0, emit_tops));
    list(to, codes, TENSOR("codes.span", "U32", 2, points, 4, emit_code_spans));
    for (size_t i = 0; i < TARE_SAMPLE_COLUMN_COUNT; i++) {
        list(to, tare_sample_column_infos[i].needs, plan_column(w, i));
    }
    list_fields(to, w, "F32");
    list(to, codes, TENSOR("codes", "U8", 1, code_bytes(w), 0, emit_codes));
    list(to, 0, TENSOR("sample.name", "U8", 1, name_bytes(w, true), 0, emit_sample_names));
    list(to, 0, TENSOR("tensor.name", "U8", 1, name_bytes(w, false), 0, emit_points));
    list(to, 0, TENSOR("input.name", "U8", 1, input_bytes(w->identity), 0, emit_inputs));
#undef TENSOR
}

static tare_status write_tensors(const char *path, const writing *w, json_t *metadata,
                                 tare_error *err) {
    tensor_list all = {.collect = w->state->collect};
    list_tensors(&all, w);
    const tare_safetensors_plan plan = {
        .tensors = all.tensors, .count = all.count, .metadata = metadata, .user = w};
    return tare_safetensors_write(path, &plan, err);
}

/* The texts of the file's header. */
static json_t *make_metadata(const tare_state *state, const tare_state_identity *identity) {
    char fields[TARE_COLLECT_TEXT_BYTES], quantile[32];
    json_t *metadata =
        json_pack("{s:s, s:s, s:s, s:s, s:s, s:s, s:s}", "format", TARE_STATE_FORMAT, "version",
                  TARE_STATE_VERSION, "tool", "tare " TARE_VERSION, "model", identity->model,
                  "preprocess", identity->preprocess, "precision", identity->precision, "fields",
                  tare_collect_text(fields, state->collect));
    if (metadata != NULL && tare_sample_uses_quantile(state->collect)) {
        (void)snprintf(quantile, sizeof quantile, "%.17g", state->quantile);
        if (json_object_set_new(metadata, "quantile", json_string(quantile)) != 0) {
            json_decref(metadata);
            return NULL;
        }
    }
    return metadata;
}

tare_status tare_state_write(const char *path, const tare_state *state,
                             const tare_state_identity *identity, tare_error *err) {
    const bool codes = state->histograms != NULL;
    writing w = {.state = state, .identity = identity};
    tare_arena scratch;
    json_t *metadata = make_metadata(state, identity);
    tare_status status;

    tare_arena_init(&scratch);
    if (metadata == NULL) {
        status = tare_fail_memory(err, 0, "the metadata of a state");
        goto done;
    }
    if (codes) {
        w.spans = tare_arena_array(&scratch, state->point_count, sizeof *w.spans);
        if (w.spans == NULL) {
            status = tare_fail_memory(err, state->point_count * sizeof *w.spans, "a state");
            goto done;
        }
        for (size_t i = 0; i < state->point_count; i++) {
            w.spans[i][0] = span_of(&state->histograms[i], 0);
            w.spans[i][1] = span_of(&state->histograms[i], 1);
        }
    }
    status = write_tensors(path, &w, metadata, err);
done:
    json_decref(metadata);
    tare_arena_release(&scratch);
    return status;
}
