/* SPDX-License-Identifier: Apache-2.0 */
/** Safetensors files with a checksum. */
#include "stats/safetensors.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/hash.h"
#include "base/text.h"

/* The format's own bound on the header. */
#define MAX_HEADER      UINT64_C(100000000)
#define CHECKSUM_KEY    "\"checksum\":\""
#define CHECKSUM_DIGITS 16
#define NO_CHECKSUM     "0000000000000000"

static const struct {
    const char *name;
    size_t bytes;
} element_types[] = {{"U64", 8}, {"I64", 8}, {"U32", 4}, {"F32", 4}, {"U8", 1}};

static size_t element_bytes(const char *dtype) {
    for (size_t i = 0; i < sizeof element_types / sizeof element_types[0]; i++) {
        if (strcmp(element_types[i].name, dtype) == 0) {
            return element_types[i].bytes;
        }
    }
    return 0;
}

/* ---- the sink ---- */

/* Blocks are cut at fixed places, so that the hash does not depend on who gave which bytes. */
static void flush_block(tare_tensor_sink *sink) {
    sink->hash = tare_hash_bytes(sink->hash, sink->block, sink->used);
    if (sink->output != NULL && sink->status == TARE_OK) {
        sink->status = tare_output_write(sink->output, sink->block, sink->used, sink->err);
    }
    sink->used = 0;
}

void tare_sink_bytes(tare_tensor_sink *sink, const void *data, size_t bytes) {
    const unsigned char *at = data;
    sink->written += bytes;
    while (bytes > 0) {
        const size_t room = sizeof sink->block - sink->used;
        const size_t chunk = bytes < room ? bytes : room;
        memcpy(sink->block + sink->used, at, chunk);
        sink->used += chunk;
        at += chunk;
        bytes -= chunk;
        if (sink->used == sizeof sink->block) {
            flush_block(sink);
        }
    }
}

void tare_sink_u64(tare_tensor_sink *sink, uint64_t value) {
    unsigned char bytes[8];
    for (size_t i = 0; i < sizeof bytes; i++) {
        bytes[i] = (unsigned char)(value >> (8 * i));
    }
    tare_sink_bytes(sink, bytes, sizeof bytes);
}

void tare_sink_u32(tare_tensor_sink *sink, uint32_t value) {
    unsigned char bytes[4];
    for (size_t i = 0; i < sizeof bytes; i++) {
        bytes[i] = (unsigned char)(value >> (8 * i));
    }
    tare_sink_bytes(sink, bytes, sizeof bytes);
}

void tare_sink_f32(tare_tensor_sink *sink, float value) {
    uint32_t bits;
    memcpy(&bits, &value, sizeof bits);
    tare_sink_u32(sink, bits);
}

/* ---- writing ---- */

static json_t *describe_tensor(const tare_tensor_plan *tensor, uint64_t begin, uint64_t end) {
    json_t *shape = json_array();
    for (int i = 0; i < tensor->rank; i++) {
        (void)json_array_append_new(shape, json_integer((json_int_t)tensor->shape[i]));
    }
    return json_pack("{s:s, s:o, s:[I, I]}", "dtype", tensor->dtype, "shape", shape, "data_offsets",
                     (json_int_t)begin, (json_int_t)end);
}

static uint64_t plan_bytes(const tare_tensor_plan *tensor) {
    uint64_t bytes = element_bytes(tensor->dtype);
    for (int i = 0; i < tensor->rank; i++) {
        bytes *= tensor->shape[i];
    }
    return bytes;
}

/* The header with a checksum of zeros, padded with blanks to a multiple of 8. */
static tare_status make_header(tare_text *out, const tare_safetensors_plan *plan, tare_error *err) {
    json_t *header = json_object();
    json_t *metadata = json_copy(plan->metadata);
    uint64_t position = 0;
    char *text = NULL;
    int failed = 0;

    failed |= json_object_set_new(metadata, "checksum", json_string(NO_CHECKSUM));
    failed |= json_object_set_new(header, "__metadata__", metadata);
    for (size_t i = 0; i < plan->count; i++) {
        const uint64_t end = position + plan_bytes(&plan->tensors[i]);
        failed |= json_object_set_new(header, plan->tensors[i].name,
                                      describe_tensor(&plan->tensors[i], position, end));
        position = end;
    }
    if (failed == 0) {
        text = json_dumps(header, JSON_COMPACT);
    }
    json_decref(header);
    if (text == NULL) {
        return tare_fail_memory(err, 0, "the header of a state");
    }
    tare_text_add(out, "%s", text);
    free(text);
    while (out->length % 8 != 0 && !out->failed) {
        tare_text_add(out, " ");
    }
    return tare_text_check(out, err);
}

static void emit_all(tare_tensor_sink *sink, const tare_text *header,
                     const tare_safetensors_plan *plan) {
    tare_sink_u64(sink, header->length);
    tare_sink_bytes(sink, header->data, header->length);
    for (size_t i = 0; i < plan->count; i++) {
        plan->tensors[i].emit(sink, plan->user, plan->tensors[i].which);
    }
    flush_block(sink);
}

/* Runs over the contents twice: the checksum stands before what it covers. */
static tare_status write_twice(tare_output *output, tare_tensor_sink *sink, tare_text *header,
                               const tare_safetensors_plan *plan, tare_error *err) {
    char digits[CHECKSUM_DIGITS + 1];
    char *place = strstr(header->data, CHECKSUM_KEY NO_CHECKSUM "\"");
    uint64_t expected = 8 + header->length;

    for (size_t i = 0; i < plan->count; i++) {
        expected += plan_bytes(&plan->tensors[i]);
    }
    *sink = (tare_tensor_sink){.err = err};
    emit_all(sink, header, plan);
    if (place == NULL || sink->written != expected) {
        return tare_fail(err, TARE_INTERNAL, "a state of %llu bytes instead of %llu",
                         (unsigned long long)sink->written, (unsigned long long)expected);
    }
    (void)snprintf(digits, sizeof digits, "%016llx", (unsigned long long)sink->hash);
    memcpy(place + sizeof CHECKSUM_KEY - 1, digits, CHECKSUM_DIGITS);
    *sink = (tare_tensor_sink){.output = output, .err = err};
    emit_all(sink, header, plan);
    return sink->status;
}

tare_status tare_safetensors_write(const char *path, const tare_safetensors_plan *plan,
                                   tare_error *err) {
    tare_tensor_sink *sink = malloc(sizeof *sink);
    tare_output *output = NULL;
    tare_text header = {0};
    tare_status status;

    if (sink == NULL) {
        status = tare_fail_memory(err, sizeof *sink, "a state");
        goto done;
    }
    TARE_TRY_DONE(status, make_header(&header, plan, err));
    TARE_TRY_DONE(status, tare_output_open(&output, path, err));
    TARE_TRY_DONE(status, write_twice(output, sink, &header, plan, err));
    status = tare_output_commit(output, err);
    output = NULL;
done:
    tare_output_discard(output);
    tare_text_release(&header);
    free(sink);
    return status;
}

/* ---- reading ---- */

static uint64_t load(const unsigned char *bytes, size_t count) {
    uint64_t value = 0;
    for (size_t i = 0; i < count; i++) {
        value |= (uint64_t)bytes[i] << (8 * i);
    }
    return value;
}

tare_status tare_safetensors_open(tare_safetensors *out, const void *file, size_t bytes,
                                  tare_error *err) {
    const unsigned char *start = file;
    uint64_t length;
    json_error_t where;

    *out = (tare_safetensors){0};
    if (bytes < 8) {
        return tare_fail(err, TARE_INVALID_ARGUMENT,
                         "%zu bytes are too few for a calibration state", bytes);
    }
    length = load(start, 8);
    if (length > MAX_HEADER || length > bytes - 8) {
        return tare_fail(err, TARE_INVALID_ARGUMENT,
                         "it is no calibration state, or cut off: a header of %llu bytes in a file "
                         "of %zu",
                         (unsigned long long)length, bytes);
    }
    out->header =
        json_loadb((const char *)start + 8, (size_t)length, JSON_REJECT_DUPLICATES, &where);
    if (!json_is_object(out->header)) {
        return tare_fail(err, TARE_INVALID_ARGUMENT,
                         "it is no calibration state, or damaged: its header is no JSON object");
    }
    out->data = start + 8 + length;
    out->bytes = bytes - 8 - length;
    return TARE_OK;
}

void tare_safetensors_release(tare_safetensors *file) {
    if (file != NULL) {
        json_decref(file->header);
        *file = (tare_safetensors){0};
    }
}

tare_status tare_safetensors_text(const char **out, const tare_safetensors *in, const char *key,
                                  tare_error *err) {
    *out = json_string_value(json_object_get(json_object_get(in->header, "__metadata__"), key));
    return *out != NULL ? TARE_OK
                        : tare_fail(err, TARE_INVALID_ARGUMENT,
                                    "it is no calibration state: its metadata have no '%s'", key);
}

/* Where the digits of the checksum stand, or 0. */
static size_t find_digits(const unsigned char *file, size_t bytes) {
    const size_t key = sizeof CHECKSUM_KEY - 1;
    const uint64_t header = bytes < 8 ? 0 : load(file, 8);
    const size_t end = header > bytes || bytes < 8 + header ? bytes : 8 + (size_t)header;
    for (size_t i = 8; i + key + CHECKSUM_DIGITS <= end; i++) {
        if (memcmp(file + i, CHECKSUM_KEY, key) == 0) {
            return i + key;
        }
    }
    return 0;
}

/* The checksum of a file whose digits stand at `digits`. */
static void hash_file(char actual[CHECKSUM_DIGITS + 1], tare_tensor_sink *sink,
                      const unsigned char *file, size_t bytes, size_t digits) {
    *sink = (tare_tensor_sink){0};
    tare_sink_bytes(sink, file, digits);
    tare_sink_bytes(sink, NO_CHECKSUM, CHECKSUM_DIGITS);
    tare_sink_bytes(sink, file + digits + CHECKSUM_DIGITS, bytes - digits - CHECKSUM_DIGITS);
    flush_block(sink);
    (void)snprintf(actual, CHECKSUM_DIGITS + 1, "%016llx", (unsigned long long)sink->hash);
}

tare_status tare_safetensors_check(const tare_safetensors *in, const void *file, size_t bytes,
                                   tare_error *err) {
    const size_t digits = find_digits(file, bytes);
    char actual[CHECKSUM_DIGITS + 1] = "unknown";
    tare_tensor_sink *sink;
    const char *stated;

    TARE_TRY(tare_safetensors_text(&stated, in, "checksum", err));
    sink = malloc(sizeof *sink);
    if (sink == NULL) {
        return tare_fail_memory(err, sizeof *sink, "a checksum");
    }
    if (digits > 0) {
        hash_file(actual, sink, file, bytes, digits);
    }
    free(sink);
    if (strcmp(actual, stated) != 0) {
        return tare_fail(err, TARE_INVALID_ARGUMENT,
                         "it is damaged or cut off: its checksum is %s, that of its contents %s",
                         stated, actual);
    }
    return TARE_OK;
}

void tare_safetensors_seal(unsigned char *file, size_t bytes) {
    const size_t digits = find_digits(file, bytes);
    char actual[CHECKSUM_DIGITS + 1];
    tare_tensor_sink *sink = digits > 0 ? malloc(sizeof *sink) : NULL;

    if (sink != NULL) {
        hash_file(actual, sink, file, bytes, digits);
        memcpy(file + digits, actual, CHECKSUM_DIGITS);
    }
    free(sink);
}

static bool whole(uint64_t *out, const json_t *array, size_t index) {
    const json_t *item = json_array_get(array, index);
    const json_int_t value = json_integer_value(item);
    *out = (uint64_t)value;
    return json_is_integer(item) && value >= 0;
}

tare_status tare_safetensors_find(tare_tensor_bytes *out, const tare_safetensors *in,
                                  const char *name, const char *dtype, int rank, tare_error *err) {
    const json_t *entry = json_object_get(in->header, name);
    const json_t *shape = json_object_get(entry, "shape");
    const json_t *offsets = json_object_get(entry, "data_offsets");
    const char *type = json_string_value(json_object_get(entry, "dtype"));
    const size_t size = element_bytes(dtype);
    uint64_t begin = 0, end = 0;
    bool good = type != NULL && strcmp(type, dtype) == 0 &&
                json_array_size(shape) == (size_t)rank && json_array_size(offsets) == 2 &&
                whole(&begin, offsets, 0) && whole(&end, offsets, 1) && begin <= end &&
                end <= in->bytes;

    *out = (tare_tensor_bytes){.shape = {1, 1}, .count = 1};
    for (size_t i = 0; i < (size_t)rank && good; i++) {
        good = whole(&out->shape[i], shape, i) &&
               (out->shape[i] == 0 || out->count <= in->bytes / out->shape[i]);
        out->count *= good ? out->shape[i] : 0;
    }
    if (!good || out->count > in->bytes / size || out->count * size != end - begin) {
        return tare_fail(err, TARE_INVALID_ARGUMENT,
                         "its tensor '%s' is missing or is not %s of rank %d", name, dtype, rank);
    }
    out->data = in->data + begin;
    return TARE_OK;
}

uint64_t tare_tensor_u64(const tare_tensor_bytes *tensor, uint64_t index) {
    return load(tensor->data + (size_t)index * 8, 8);
}

uint32_t tare_tensor_u32(const tare_tensor_bytes *tensor, uint64_t index) {
    return (uint32_t)load(tensor->data + (size_t)index * 4, 4);
}

float tare_tensor_f32(const tare_tensor_bytes *tensor, uint64_t index) {
    const uint32_t bits = tare_tensor_u32(tensor, index);
    float value;
    memcpy(&value, &bits, sizeof value);
    return value;
}
