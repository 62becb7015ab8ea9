/* SPDX-License-Identifier: Apache-2.0 */
/** Writing calibration states. */
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

static const uint64_t *sign_counts(const tare_code_histogram *histogram, size_t sign) {
    return histogram->counts + sign * TARE_CODE_MAGNITUDES;
}

static code_span span_of(const tare_code_histogram *histogram, size_t sign) {
    const uint64_t *counts = sign_counts(histogram, sign);
    code_span span = {.first = histogram->first, .last = histogram->last};
    while (span.first <= span.last && counts[span.first] == 0) {
        span.first++;
    }
    while (span.last > span.first && counts[span.last] == 0) {
        span.last--;
    }
    return span.first <= span.last ? span : (code_span){.first = 1, .last = 0};
}

static uint64_t span_length(code_span span) {
    return span.first <= span.last ? (uint64_t)span.last - span.first + 1 : 0;
}

static void emit_code_counts(tare_tensor_sink *sink, const void *user) {
    const writing *w = user;
    for (size_t i = 0; i < w->state->point_count; i++) {
        for (size_t sign = 0; sign < 2; sign++) {
            const uint64_t *counts = sign_counts(&w->state->histograms[i], sign);
            const code_span span = w->spans[i][sign];
            for (uint32_t k = span.first; k <= span.last; k++) {
                tare_sink_u64(sink, counts[k]);
            }
        }
    }
}

static void emit_code_places(tare_tensor_sink *sink, const void *user) {
    const writing *w = user;
    for (size_t i = 0; i < w->state->point_count; i++) {
        for (size_t sign = 0; sign < 2; sign++) {
            const uint64_t *places = w->state->histograms[i].places + sign * TARE_CODE_MAGNITUDES;
            const code_span span = w->spans[i][sign];
            for (uint32_t k = span.first; k <= span.last; k++) {
                tare_sink_u64(sink, places[k]);
            }
        }
    }
}

/* Places are of all values or left out. */
static bool has_places(const tare_state *state) {
    for (size_t i = 0; i < state->point_count && state->histograms != NULL; i++) {
        if (state->histograms[i].unplaced) {
            return false;
        }
    }
    return state->histograms != NULL;
}

static void emit_code_spans(tare_tensor_sink *sink, const void *user) {
    const writing *w = user;
    for (size_t i = 0; i < w->state->point_count; i++) {
        for (size_t sign = 0; sign < 2; sign++) {
            tare_sink_u32(sink, w->spans[i][sign].first);
            tare_sink_u32(sink, w->spans[i][sign].last);
        }
    }
}

/* ---- samples, points, inputs ---- */

static void emit_ids(tare_tensor_sink *sink, const void *user) {
    const writing *w = user;
    for (uint64_t i = 0; i < w->state->settled; i++) {
        tare_sink_u64(sink, tare_state_sample_at(w->state, i).id);
    }
}

static void emit_sample_names(tare_tensor_sink *sink, const void *user) {
    const writing *w = user;
    for (uint64_t i = 0; i < w->state->settled; i++) {
        const char *name = tare_state_sample_at(w->state, i).name;
        tare_sink_bytes(sink, name, strlen(name) + 1);
    }
}

static void emit_elements(tare_tensor_sink *sink, const void *user) {
    const writing *w = user;
    for (size_t i = 0; i < w->state->point_count; i++) {
        for (uint64_t k = 0; k < w->state->settled; k++) {
            tare_sink_u64(sink, tare_state_record_at(w->state, i, k)->elements);
        }
    }
}

static void emit_sample_min(tare_tensor_sink *sink, const void *user) {
    const writing *w = user;
    for (size_t i = 0; i < w->state->point_count; i++) {
        for (uint64_t k = 0; k < w->state->settled; k++) {
            tare_sink_f32(sink, tare_state_record_at(w->state, i, k)->min);
        }
    }
}

static void emit_sample_max(tare_tensor_sink *sink, const void *user) {
    const writing *w = user;
    for (size_t i = 0; i < w->state->point_count; i++) {
        for (uint64_t k = 0; k < w->state->settled; k++) {
            tare_sink_f32(sink, tare_state_record_at(w->state, i, k)->max);
        }
    }
}

static void emit_points(tare_tensor_sink *sink, const void *user) {
    const writing *w = user;
    for (size_t i = 0; i < w->state->point_count; i++) {
        const char *name = w->state->points[i].tensor;
        tare_sink_bytes(sink, name, strlen(name) + 1);
    }
}

static void emit_channels(tare_tensor_sink *sink, const void *user) {
    const writing *w = user;
    for (size_t i = 0; i < w->state->point_count; i++) {
        tare_sink_u64(sink, (uint64_t)w->state->points[i].channels);
    }
}

static void emit_inputs(tare_tensor_sink *sink, const void *user) {
    const writing *w = user;
    for (size_t i = 0; i < w->identity->input_count; i++) {
        const char *name = w->identity->inputs[i].name;
        tare_sink_bytes(sink, name, strlen(name) + 1);
    }
}

static void emit_input_shapes(tare_tensor_sink *sink, const void *user) {
    const writing *w = user;
    for (size_t i = 0; i < w->identity->input_count; i++) {
        const tare_state_input *input = &w->identity->inputs[i];
        tare_sink_u64(sink, (uint64_t)input->element);
        tare_sink_u64(sink, (uint64_t)input->rank);
        for (int k = 0; k < TARE_MAX_RANK; k++) {
            tare_sink_u64(sink, k < input->rank ? (uint64_t)input->dims[k] : 0);
        }
    }
}

static void emit_axes(tare_tensor_sink *sink, const void *user) {
    const writing *w = user;
    for (size_t i = 0; i < w->state->point_count; i++) {
        tare_sink_u64(sink, (uint64_t)w->state->points[i].axis);
    }
}

static void emit_window_tensors(tare_tensor_sink *sink, const void *user) {
    const writing *w = user;
    for (size_t i = 0; i < w->state->point_count; i++) {
        for (size_t k = 0; k < w->state->points[i].window_count; k++) {
            tare_sink_u64(sink, i);
        }
    }
}

static void emit_window_shapes(tare_tensor_sink *sink, const void *user) {
    const writing *w = user;
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

static void emit_floats(tare_tensor_sink *sink, const writing *w, tare_field_index field) {
    const float *values = w->state->fields.data[field];
    for (size_t i = 0; i < tare_field_total(&w->state->fields, field); i++) {
        tare_sink_f32(sink, values[i]);
    }
}

static void emit_words(tare_tensor_sink *sink, const writing *w, tare_field_index field) {
    const unsigned char *bytes = w->state->fields.data[field];
    const size_t words =
        tare_field_total(&w->state->fields, field) * tare_state_fields[field].numbers;
    for (size_t i = 0; i < words; i++) {
        uint64_t word;
        memcpy(&word, bytes + i * sizeof word, sizeof word);
        tare_sink_u64(sink, word);
    }
}

static void emit_counts(tare_tensor_sink *sink, const void *user) {
    emit_words(sink, user, TARE_FIELD_COUNTS);
}

static void emit_channel_min(tare_tensor_sink *sink, const void *user) {
    emit_floats(sink, user, TARE_FIELD_CHANNEL_MIN);
}

static void emit_channel_max(tare_tensor_sink *sink, const void *user) {
    emit_floats(sink, user, TARE_FIELD_CHANNEL_MAX);
}

static void emit_channel_sum(tare_tensor_sink *sink, const void *user) {
    emit_words(sink, user, TARE_FIELD_CHANNEL_SUM);
}

static void emit_window_sum(tare_tensor_sink *sink, const void *user) {
    emit_words(sink, user, TARE_FIELD_WINDOW_SUM);
}

static tare_tensor_plan plan_field(const writing *w, tare_field_index field,
                                   void (*emit)(tare_tensor_sink *, const void *)) {
    const tare_state_field *row = &tare_state_fields[field];
    return (tare_tensor_plan){
        .name = row->name,
        .dtype = row->dtype,
        .rank = row->numbers > 1 ? 2 : 1,
        .shape = {tare_field_total(&w->state->fields, field), row->numbers > 1 ? row->numbers : 0},
        .emit = emit};
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

static uint64_t code_count(const writing *w) {
    uint64_t count = 0;
    for (size_t i = 0; i < w->state->point_count && w->spans != NULL; i++) {
        count += span_length(w->spans[i][0]) + span_length(w->spans[i][1]);
    }
    return count;
}

/* Beside what is collected (TARE_COLLECT_...): that the places of all values are known. */
#define PLACES 0x100U

/* A tensor of the file, and what must be collected for it to be there. */
typedef struct planned {
    unsigned needs;
    tare_tensor_plan plan;
} planned;

static tare_status write_tensors(const char *path, const writing *w, json_t *metadata,
                                 tare_error *err) {
    const uint64_t samples = w->state->settled, points = w->state->point_count;
    const uint64_t inputs = w->identity->input_count, windows = window_count(w->state);
    const planned all[] = {
        {0, {"sample.id", "U64", 1, {samples, 0}, emit_ids}},
        {0, {"sample.elements", "U64", 2, {points, samples}, emit_elements}},
        {0, {"tensor.channels", "I64", 1, {points, 0}, emit_channels}},
        {0, {"tensor.axis", "I64", 1, {points, 0}, emit_axes}},
        {0, {"input.shape", "I64", 2, {inputs, 2 + TARE_MAX_RANK}, emit_input_shapes}},
        {0, plan_field(w, TARE_FIELD_COUNTS, emit_counts)},
        {TARE_COLLECT_CODES, {"codes", "U64", 1, {code_count(w), 0}, emit_code_counts}},
        {PLACES, {"codes.place", "U64", 1, {code_count(w), 0}, emit_code_places}},
        {TARE_COLLECT_SUMS, plan_field(w, TARE_FIELD_CHANNEL_SUM, emit_channel_sum)},
        {TARE_COLLECT_WINDOWS, {"window.tensor", "U64", 1, {windows, 0}, emit_window_tensors}},
        {TARE_COLLECT_WINDOWS,
         {"window.shape", "I64", 2, {windows, TARE_STATE_WINDOW_NUMBERS}, emit_window_shapes}},
        {TARE_COLLECT_WINDOWS, plan_field(w, TARE_FIELD_WINDOW_SUM, emit_window_sum)},
        {TARE_COLLECT_CODES, {"codes.span", "U32", 2, {points, 4}, emit_code_spans}},
        {0, {"sample.min", "F32", 2, {points, samples}, emit_sample_min}},
        {0, {"sample.max", "F32", 2, {points, samples}, emit_sample_max}},
        {0, plan_field(w, TARE_FIELD_CHANNEL_MIN, emit_channel_min)},
        {0, plan_field(w, TARE_FIELD_CHANNEL_MAX, emit_channel_max)},
        {0, {"sample.name", "U8", 1, {name_bytes(w, true), 0}, emit_sample_names}},
        {0, {"tensor.name", "U8", 1, {name_bytes(w, false), 0}, emit_points}},
        {0, {"input.name", "U8", 1, {input_bytes(w->identity), 0}, emit_inputs}},
    };
    const unsigned there = w->state->collect | (has_places(w->state) ? PLACES : 0);
    tare_tensor_plan chosen[sizeof all / sizeof all[0]];
    tare_safetensors_plan plan = {.tensors = chosen, .metadata = metadata, .user = w};

    for (size_t i = 0; i < sizeof all / sizeof all[0]; i++) {
        if ((all[i].needs & ~there) == 0) {
            chosen[plan.count++] = all[i].plan;
        }
    }
    return tare_safetensors_write(path, &plan, err);
}

tare_status tare_state_write(const char *path, const tare_state *state,
                             const tare_state_identity *identity, tare_error *err) {
    const bool codes = state->histograms != NULL;
    writing w = {.state = state, .identity = identity};
    tare_arena scratch;
    json_t *metadata =
        json_pack("{s:s, s:s, s:s, s:s, s:s, s:s, s:s}", "format", TARE_STATE_FORMAT, "version",
                  TARE_STATE_VERSION, "tool", "tare " TARE_VERSION, "model", identity->model,
                  "preprocess", identity->preprocess, "precision", identity->precision, "fields",
                  tare_state_fields_text(state->collect));
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
