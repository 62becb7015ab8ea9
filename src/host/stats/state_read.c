/* SPDX-License-Identifier: Apache-2.0 */
/** Reading calibration states. Files are hostile: every number is checked before it is used. */
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "stats/safetensors.h"
#include "stats/state_file.h"
#include "stats/state_parts.h"

/* What a file is read into. */
typedef struct reading {
    const tare_safetensors *in;
    tare_state_file *out;
    unsigned collect;
    double quantile;
    uint64_t samples, points;
} reading;

static tare_status fail_damaged(tare_error *err, const char *tensor, const char *what) {
    return tare_fail(err, TARE_INVALID_ARGUMENT, "its tensor '%s' %s", tensor, what);
}

/* A tensor with so many rows (and columns). */
static tare_status find(tare_tensor_bytes *out, const reading *r, const char *name,
                        const char *dtype, const uint64_t shape[2], tare_error *err) {
    const int rank = shape[1] == 0 ? 1 : 2;
    TARE_TRY(tare_safetensors_find(out, r->in, name, dtype, rank, err));
    if (out->shape[0] != shape[0] || (rank == 2 && out->shape[1] != shape[1])) {
        return tare_fail(
            err, TARE_INVALID_ARGUMENT, "its tensor '%s' has shape %llux%llu, expected %llux%llu",
            name, (unsigned long long)out->shape[0], (unsigned long long)out->shape[1],
            (unsigned long long)shape[0], (unsigned long long)(shape[1] == 0 ? 1 : shape[1]));
    }
    return TARE_OK;
}

/* Splits `count` names, each ended by a NUL, that fill a tensor. They borrow from the file. */
static tare_status read_names(const char ***out, reading *r, const char *tensor, uint64_t count,
                              tare_error *err) {
    tare_tensor_bytes bytes;
    uint64_t at = 0;

    TARE_TRY(tare_safetensors_find(&bytes, r->in, tensor, "U8", 1, err));
    if (count > bytes.count) {
        return fail_damaged(err, tensor, "has too few names");
    }
    *out = tare_arena_array(&r->out->arena, (size_t)count, sizeof **out);
    if (*out == NULL) {
        return tare_fail_memory(err, (size_t)count * sizeof **out, "names");
    }
    for (uint64_t i = 0; i < count; i++) {
        const unsigned char *start = bytes.data + at;
        const unsigned char *end =
            at < bytes.count ? memchr(start, 0, (size_t)(bytes.count - at)) : NULL;
        if (end == NULL) {
            return fail_damaged(err, tensor, "has too few names");
        }
        (*out)[i] = (const char *)start;
        at += (uint64_t)(end - start) + 1;
    }
    return at == bytes.count ? TARE_OK : fail_damaged(err, tensor, "has too many names");
}

/* ---- identity ---- */

static tare_status read_text(const char **out, reading *r, const char *key, tare_error *err) {
    const char *text = NULL;
    TARE_TRY(tare_safetensors_text(&text, r->in, key, err));
    *out = tare_arena_strdup(&r->out->arena, text);
    return *out != NULL ? TARE_OK : tare_fail_memory(err, strlen(text), "metadata");
}

static tare_status read_inputs(reading *r, tare_error *err) {
    tare_arena *arena = &r->out->arena;
    tare_tensor_bytes shapes;
    const char **names = NULL;
    tare_state_input *inputs;

    TARE_TRY(tare_safetensors_find(&shapes, r->in, "input.shape", "I64", 2, err));
    if (shapes.shape[1] != 2 + TARE_MAX_RANK) {
        return fail_damaged(err, "input.shape", "has rows of another length");
    }
    TARE_TRY(read_names(&names, r, "input.name", shapes.shape[0], err));
    inputs = tare_arena_array(arena, (size_t)shapes.shape[0], sizeof *inputs);
    if (inputs == NULL) {
        return tare_fail_memory(err, (size_t)shapes.shape[0] * sizeof *inputs, "inputs");
    }
    for (size_t i = 0; i < shapes.shape[0]; i++) {
        const uint64_t row = i * (2 + TARE_MAX_RANK);
        const uint64_t rank = tare_tensor_u64(&shapes, row + 1);
        inputs[i].name = tare_arena_strdup(arena, names[i]);
        inputs[i].element = (int64_t)tare_tensor_u64(&shapes, row);
        inputs[i].rank = rank <= TARE_MAX_RANK ? (int)rank : -1;
        for (uint64_t k = 0; k < TARE_MAX_RANK; k++) {
            inputs[i].dims[k] = (int64_t)tare_tensor_u64(&shapes, row + 2 + k);
            inputs[i].rank = inputs[i].dims[k] < 0 ? -1 : inputs[i].rank;
        }
        if (inputs[i].name == NULL) {
            return tare_fail_memory(err, strlen(names[i]), "a name");
        }
        if (inputs[i].rank < 0 || inputs[i].element < 1 || inputs[i].element > TARE_UINT64) {
            return fail_damaged(err, "input.shape", "has an impossible shape");
        }
    }
    r->out->identity.inputs = inputs;
    r->out->identity.input_count = (size_t)shapes.shape[0];
    return TARE_OK;
}

/* There is one way to write what was collected: with "ranges", in order, nothing twice. */
static tare_status read_fields(reading *r, tare_error *err) {
    char expected[TARE_COLLECT_TEXT_BYTES];
    const char *fields = NULL;

    TARE_TRY(tare_safetensors_text(&fields, r->in, "fields", err));
    TARE_TRY(tare_collect_parse(&r->collect, fields, ' ', err));
    if (strcmp(fields, tare_collect_text(expected, r->collect)) != 0) {
        return tare_fail(err, TARE_INVALID_ARGUMENT, "its fields are '%s', expected '%s'", fields,
                         expected);
    }
    return TARE_OK;
}

static tare_status read_identity(reading *r, tare_error *err) {
    TARE_TRY(read_text(&r->out->identity.model, r, "model", err));
    TARE_TRY(read_text(&r->out->identity.preprocess, r, "preprocess", err));
    TARE_TRY(read_text(&r->out->identity.precision, r, "precision", err));
    TARE_TRY(read_text(&r->out->tool, r, "tool", err));
    TARE_TRY(read_fields(r, err));
    if (tare_sample_uses_quantile(r->collect)) {
        const char *quantile = NULL;
        char *end = NULL;
        TARE_TRY(tare_safetensors_text(&quantile, r->in, "quantile", err));
        r->quantile = strtod(quantile, &end);
        if (end == quantile || *end != '\0' || !(r->quantile >= 0.0 && r->quantile <= 0.5)) {
            return tare_fail(err, TARE_INVALID_ARGUMENT,
                             "its quantile is '%s', expected a number from 0 to 0.5", quantile);
        }
    }
    return read_inputs(r, err);
}

/* ---- statistics ---- */

static bool valid_window(const int64_t numbers[TARE_STATE_WINDOW_NUMBERS]) {
    /* Kernel, stride and dilation are at least 1; padding and output may be 0. */
    for (size_t i = 0; i < TARE_STATE_WINDOW_NUMBERS; i++) {
        if (numbers[i] < (i < 6 ? 1 : 0) || numbers[i] > INT32_MAX) {
            return false;
        }
    }
    return true;
}

/* Windows stand in the order of their tensors. */
static tare_status read_windows(reading *r, tare_stat_point *points, tare_error *err) {
    tare_tensor_bytes tensors, shapes;
    tare_collect_window *windows;
    uint64_t sums = 0, last = 0;

    TARE_TRY(tare_safetensors_find(&tensors, r->in, "window.tensor", "U64", 1, err));
    TARE_TRY(find(&shapes, r, "window.shape", "I64",
                  (const uint64_t[2]){tensors.count, TARE_STATE_WINDOW_NUMBERS}, err));
    windows = tare_arena_array(&r->out->arena, (size_t)tensors.count, sizeof *windows);
    if (windows == NULL) {
        return tare_fail_memory(err, (size_t)tensors.count * sizeof *windows, "windows");
    }
    for (uint64_t i = 0; i < tensors.count; i++) {
        const uint64_t at = tare_tensor_u64(&tensors, i);
        int64_t n[TARE_STATE_WINDOW_NUMBERS];
        size_t taps;
        for (uint64_t k = 0; k < TARE_STATE_WINDOW_NUMBERS; k++) {
            n[k] = (int64_t)tare_tensor_u64(&shapes, i * TARE_STATE_WINDOW_NUMBERS + k);
        }
        if (at >= r->points || at < last || points[at].channels == 0 || points[at].axis != 1) {
            return fail_damaged(err, "window.tensor", "names an impossible tensor");
        }
        if (!valid_window(n)) {
            return fail_damaged(err, "window.shape", "has an impossible window");
        }
        windows[i] = (tare_collect_window){
            {n[0], n[1]}, {n[2], n[3]}, {n[4], n[5]}, {n[6], n[7]}, {n[8], n[9]}};
        if (points[at].window_count++ == 0) {
            points[at].windows = &windows[i];
        }
        taps = tare_window_taps(&points[at], points[at].window_count - 1);
        if (taps > r->in->bytes || sums + taps > r->in->bytes) {
            return fail_damaged(err, "window.shape", "has an impossible window");
        }
        sums += taps;
        last = at;
    }
    return TARE_OK;
}

static tare_status read_points(reading *r, tare_stat_point **out, tare_error *err) {
    tare_tensor_bytes channels, axes;
    const char **names = NULL;
    tare_stat_point *points;
    uint64_t total = 0;

    TARE_TRY(tare_safetensors_find(&channels, r->in, "tensor.channels", "I64", 1, err));
    r->points = channels.count;
    TARE_TRY(find(&axes, r, "tensor.axis", "I64", (const uint64_t[2]){r->points, 0}, err));
    TARE_TRY(read_names(&names, r, "tensor.name", r->points, err));
    points = tare_arena_array(&r->out->arena, (size_t)r->points, sizeof *points);
    *out = points;
    if (points == NULL) {
        return tare_fail_memory(err, (size_t)r->points * sizeof *points, "tensors");
    }
    for (size_t i = 0; i < r->points; i++) {
        const uint64_t count = tare_tensor_u64(&channels, i), axis = tare_tensor_u64(&axes, i);
        /* Before anything is allocated: no more channels than the file has room for. */
        if (count > r->in->bytes || total + count > r->in->bytes) {
            return fail_damaged(err, "tensor.channels", "has an impossible number");
        }
        if (axis >= TARE_MAX_RANK) {
            return fail_damaged(err, "tensor.axis", "has an impossible number");
        }
        total += count;
        points[i] = (tare_stat_point){
            .value = SIZE_MAX, .tensor = names[i], .channels = (int64_t)count, .axis = (int)axis};
    }
    return (r->collect & TARE_COLLECT_WINDOWS) != 0 ? read_windows(r, points, err) : TARE_OK;
}

static tare_status make_state(reading *r, tare_error *err) {
    tare_tensor_bytes ids;
    tare_stat_point *points = NULL;
    tare_state_spec spec = {.collect = r->collect, .quantile = r->quantile};

    TARE_TRY(tare_safetensors_find(&ids, r->in, "sample.id", "U64", 1, err));
    r->samples = ids.count;
    TARE_TRY(read_points(r, &points, err));
    spec.points = points;
    spec.point_count = (size_t)r->points;
    return tare_state_new(&r->out->state, &spec, r->samples, err);
}

static tare_status read_samples(reading *r, tare_error *err) {
    tare_tensor_bytes ids;
    const char **names = NULL;

    TARE_TRY(tare_safetensors_find(&ids, r->in, "sample.id", "U64", 1, err));
    TARE_TRY(read_names(&names, r, "sample.name", r->samples, err));
    for (uint64_t i = 0; i < r->samples; i++) {
        const tare_state_sample sample = {.id = tare_tensor_u64(&ids, i), .name = names[i]};
        if (i > 0 && sample.id < tare_tensor_u64(&ids, i - 1)) {
            return fail_damaged(err, "sample.id", "is not in order");
        }
        TARE_TRY(tare_state_complete(r->out->state, i, &sample, err));
    }
    return TARE_OK;
}

/* NULL when the numbers of a sample can be, else the tensor of one that cannot. Without values the
 * smallest is above the largest, and nothing else is looked at. */
static const char *wrong_number(const tare_sample_numbers *numbers, unsigned collect) {
    const float *of = numbers->of;
    const float min = of[TARE_SAMPLE_MIN], max = of[TARE_SAMPLE_MAX];
    const float largest = fmaxf(fabsf(min), fabsf(max));
    const float low[TARE_SAMPLE_COLUMN_COUNT] = {
        min, min, min, of[TARE_SAMPLE_LOW], 0.0F, of[TARE_SAMPLE_MAGNITUDE_LOW], min};
    const float high[TARE_SAMPLE_COLUMN_COUNT] = {max, max, max, max, largest, largest, max};
    if (min == INFINITY && max == -INFINITY) {
        return NULL;
    }
    for (size_t i = 0; i < TARE_SAMPLE_COLUMN_COUNT; i++) {
        const bool good = isfinite(of[i]) && of[i] >= low[i] && of[i] <= high[i];
        if (tare_sample_keeps(i, collect) && !good) {
            return tare_sample_column_infos[i].tensor;
        }
    }
    return NULL;
}

static tare_status read_records(reading *r, tare_error *err) {
    const uint64_t shape[2] = {r->points, r->samples};
    tare_tensor_bytes columns[TARE_SAMPLE_COLUMN_COUNT] = {{0}};
    const char *wrong;

    if (r->samples == 0) {
        return TARE_OK;
    }
    for (size_t i = 0; i < TARE_SAMPLE_COLUMN_COUNT; i++) {
        if (tare_sample_keeps(i, r->collect)) {
            TARE_TRY(find(&columns[i], r, tare_sample_column_infos[i].tensor, "F32", shape, err));
        }
    }
    for (uint64_t i = 0; i < r->points; i++) {
        for (uint64_t k = 0; k < r->samples; k++) {
            uint32_t *cells = tare_state_slot_numbers(r->out->state, k, (size_t)i);
            tare_sample_numbers numbers;
            for (size_t c = 0; c < TARE_SAMPLE_COLUMN_COUNT; c++) {
                numbers.of[c] = columns[c].data == NULL
                                    ? NAN
                                    : tare_tensor_f32(&columns[c], i * r->samples + k);
            }
            wrong = wrong_number(&numbers, r->collect);
            if (wrong != NULL) {
                return fail_damaged(err, wrong, "holds what no sample has");
            }
            if (isfinite(numbers.of[TARE_SAMPLE_MIN])) {
                tare_sample_store(cells, &numbers, r->collect);
            }
        }
    }
    return TARE_OK;
}

static tare_status read_field(reading *r, tare_field_index index, tare_error *err) {
    const tare_state_field *field = &tare_state_fields[index];
    tare_field_set *set = &r->out->state->fields;
    const uint64_t shape[2] = {tare_field_total(set, index),
                               field->numbers > 1 ? field->numbers : 0};
    unsigned char *values = set->data[index];
    tare_tensor_bytes tensor;

    if ((field->needs & ~r->collect) != 0) {
        return TARE_OK;
    }
    TARE_TRY(find(&tensor, r, field->name, field->dtype, shape, err));
    for (uint64_t i = 0; i < tensor.count; i++) {
        if (strcmp(field->dtype, "F32") == 0) {
            const float value = tare_tensor_f32(&tensor, i);
            memcpy(values + i * sizeof value, &value, sizeof value);
        } else {
            const uint64_t value = tare_tensor_u64(&tensor, i);
            memcpy(values + i * sizeof value, &value, sizeof value);
        }
    }
    return field->valid(values, (size_t)shape[0])
               ? TARE_OK
               : fail_damaged(err, field->name, "holds what is no number");
}

/* The tensors of code histograms, and how far the counts have been read. */
typedef struct code_tensors {
    tare_tensor_bytes codes, spans, tops;
    uint64_t at;
} code_tensors;

/* The next number (LEB128); false when there is none. */
static bool read_number(uint64_t *out, code_tensors *in) {
    *out = 0;
    for (unsigned shift = 0; shift < 64 && in->at < in->codes.count; shift += 7) {
        const uint64_t byte = in->codes.data[in->at++];
        if (shift == 63 && byte > 1) {
            return false;
        }
        *out |= (byte & 0x7F) << shift;
        if (byte < 0x80) {
            return true;
        }
    }
    return false;
}

/* The codes of one sign. */
static tare_status read_span(tare_code_histogram *to, code_tensors *in, const uint32_t span[2],
                             size_t sign, tare_error *err) {
    if (span[0] > span[1]) {
        return TARE_OK;
    }
    if (to->top == 0 || span[1] > tare_code_last(to->top)) {
        return fail_damaged(err, "codes.span", "holds an impossible code");
    }
    for (uint32_t k = span[0]; k <= span[1]; k++) {
        uint64_t count = 0, more = 0;
        if (!read_number(&count, in) || count >= TARE_CODE_COUNT_END) {
            return fail_damaged(err, "codes", "is too short or holds what is no count");
        }
        if (count > 0) {
            tare_code_histogram_set(to, sign * TARE_CODE_BINS + k, count);
        } else if (!read_number(&more, in) || more > span[1] - k) {
            return fail_damaged(err, "codes", "has more zeros than the span of codes");
        } else {
            k += (uint32_t)more;
        }
    }
    to->first = span[0] < to->first ? span[0] : to->first;
    to->last = span[1] > to->last ? span[1] : to->last;
    return TARE_OK;
}

/* No sum of counts may overflow, else they could pretend to agree. */
static bool agrees(const tare_code_histogram *histogram, const tare_state_counts *counts) {
    uint64_t left = counts->elements;
    const uint64_t apart[] = {counts->zeros, counts->nan, counts->positive_infinity,
                              counts->negative_infinity};
    for (size_t i = 0; i < sizeof apart / sizeof apart[0]; i++) {
        left -= apart[i]; /* as valid_counts() has seen */
    }
    for (uint32_t k = histogram->first; k <= histogram->last; k++) {
        for (size_t sign = 0; sign < 2; sign++) {
            const uint64_t count = tare_code_count(histogram, sign * TARE_CODE_BINS + k);
            if (count > left) {
                return false;
            }
            left -= count;
        }
    }
    return left == 0;
}

/* The top that the largest magnitude of all samples asks for; 0: there is none but zero. */
static uint32_t top_of_samples(const reading *r, size_t point) {
    float largest = 0.0F;
    uint32_t bits;
    for (uint64_t k = 0; k < r->samples; k++) {
        tare_sample_numbers numbers;
        if (tare_sample_load(&numbers, tare_state_slot_numbers(r->out->state, k, point),
                             r->collect)) {
            largest = fmaxf(largest, fmaxf(fabsf(numbers.of[TARE_SAMPLE_MIN]),
                                           fabsf(numbers.of[TARE_SAMPLE_MAX])));
        }
    }
    memcpy(&bits, &largest, sizeof bits);
    return bits == 0 ? 0 : tare_code_top(bits);
}

static tare_status read_codes(reading *r, tare_error *err) {
    const uint64_t span_shape[2] = {r->points, 4}, top_shape[2] = {r->points, 0};
    code_tensors in = {.at = 0};

    TARE_TRY(tare_safetensors_find(&in.codes, r->in, "codes", "U8", 1, err));
    TARE_TRY(find(&in.spans, r, "codes.span", "U32", span_shape, err));
    TARE_TRY(find(&in.tops, r, "codes.top", "U32", top_shape, err));
    for (size_t i = 0; i < r->points; i++) {
        tare_code_histogram *to = &r->out->state->histograms[i];
        const tare_state_counts counts = tare_state_counts_of(r->out->state, i);
        to->top = tare_tensor_u32(&in.tops, i);
        if (to->top != top_of_samples(r, i)) {
            return fail_damaged(err, "codes.top", "does not agree with the samples' extremes");
        }
        to->zeros = counts.zeros;
        to->nan = counts.nan;
        to->positive_infinity = counts.positive_infinity;
        to->negative_infinity = counts.negative_infinity;
        for (size_t sign = 0; sign < 2; sign++) {
            const uint32_t span[2] = {tare_tensor_u32(&in.spans, i * 4 + sign * 2),
                                      tare_tensor_u32(&in.spans, i * 4 + sign * 2 + 1)};
            TARE_TRY(read_span(to, &in, span, sign, err));
        }
        if (counts.elements >= TARE_CODE_COUNT_END) {
            return fail_damaged(err, "counts", "holds more values than can be counted");
        }
        if (!agrees(to, &counts)) {
            return fail_damaged(err, "counts", "does not agree with the codes");
        }
    }
    return in.at == in.codes.count ? TARE_OK
                                   : fail_damaged(err, "codes", "has more than codes.span");
}

static tare_status read_statistics(reading *r, tare_error *err) {
    TARE_TRY(make_state(r, err));
    TARE_TRY(read_samples(r, err));
    TARE_TRY(read_records(r, err));
    for (size_t i = 0; i < TARE_FIELD_COUNT; i++) {
        TARE_TRY(read_field(r, (tare_field_index)i, err));
    }
    if ((r->collect & TARE_COLLECT_CODES) != 0) {
        TARE_TRY(read_codes(r, err));
    }
    tare_state_settle(r->out->state);
    return TARE_OK;
}

/* What it is comes before whether it is whole: a picture is not "damaged". */
static tare_status check_format(const tare_safetensors *in, tare_error *err) {
    const char *format = NULL, *version = NULL;
    TARE_TRY(tare_safetensors_text(&format, in, "format", err));
    if (strcmp(format, TARE_STATE_FORMAT) != 0) {
        return tare_fail(err, TARE_INVALID_ARGUMENT,
                         "it is no calibration state: its format is '%s', expected '%s'", format,
                         TARE_STATE_FORMAT);
    }
    TARE_TRY(tare_safetensors_text(&version, in, "version", err));
    if (strcmp(version, TARE_STATE_VERSION) != 0) {
        return tare_fail(err, TARE_UNSUPPORTED,
                         "it has version '%s' of the format, this program reads version %s",
                         version, TARE_STATE_VERSION);
    }
    return TARE_OK;
}

tare_status tare_state_read_memory(tare_state_file *out, const void *data, size_t bytes,
                                   tare_error *err) {
    tare_safetensors in;
    reading r = {.in = &in, .out = out};
    tare_status status;

    *out = (tare_state_file){0};
    TARE_TRY_DONE(status, tare_safetensors_open(&in, data, bytes, err));
    TARE_TRY_DONE(status, check_format(&in, err));
    TARE_TRY_DONE(status, tare_safetensors_check(&in, data, bytes, err));
    TARE_TRY_DONE(status, read_identity(&r, err));
    status = read_statistics(&r, err);
done:
    tare_safetensors_release(&in);
    return status;
}

tare_status tare_state_read(tare_state_file *out, const char *path, tare_error *err) {
    tare_mapping mapping = {0};
    tare_status status;

    *out = (tare_state_file){0};
    TARE_TRY(tare_mapping_open(&mapping, path, err));
    status = tare_state_read_memory(
        out, mapping.data == NULL ? (const unsigned char *)"" : mapping.data, mapping.bytes, err);
    if (status != TARE_OK) {
        tare_error_prepend(err, "'%s': ", path);
    }
    tare_mapping_release(&mapping);
    return status;
}

void tare_state_file_release(tare_state_file *file) {
    if (file != NULL) {
        tare_state_free(file->state);
        tare_arena_release(&file->arena);
        *file = (tare_state_file){0};
    }
}
