/* SPDX-License-Identifier: Apache-2.0 */
/** The .npy format: a small strict parser for the Python literal in the header, and a writer. */
#include "data/npy.h"

#include <stdio.h>
#include <string.h>

#include "base/file.h"

/** Kind and size as NumPy writes them, and the ONNX element type. */
typedef struct descr_row {
    const char *text;
    tare_element element;
} descr_row;

static const descr_row descrs[] = {
    {"f2", TARE_FLOAT16}, {"f4", TARE_FLOAT32}, {"f8", TARE_FLOAT64}, {"i1", TARE_INT8},
    {"i2", TARE_INT16},   {"i4", TARE_INT32},   {"i8", TARE_INT64},   {"u1", TARE_UINT8},
    {"u2", TARE_UINT16},  {"u4", TARE_UINT32},  {"u8", TARE_UINT64},  {"b1", TARE_BOOL},
};

/** The text of a header and the place up to which it was read. */
typedef struct literal {
    const char *text;
    size_t bytes, at;
    const char *path;
} literal;

static bool machine_is_little(void) {
    const uint16_t one = 1;
    unsigned char first;

    memcpy(&first, &one, 1);
    return first == 1;
}

static void skip_space(literal *from) {
    while (from->at < from->bytes && strchr(" \t\r\n", from->text[from->at]) != NULL &&
           from->text[from->at] != '\0') {
        from->at++;
    }
}

/* Whether the next thing is `token`; if so it is consumed. */
static bool take(literal *from, const char *token) {
    const size_t length = strlen(token);

    skip_space(from);
    if (from->bytes - from->at < length || memcmp(from->text + from->at, token, length) != 0) {
        return false;
    }
    from->at += length;
    return true;
}

static tare_status fail_header(const literal *from, const char *what, tare_error *err) {
    return tare_fail(err, TARE_INVALID_ARGUMENT,
                     "'%s': not a valid .npy header: %s (at byte %zu of the header)", from->path,
                     what, from->at);
}

static tare_status take_number(size_t *out, literal *from, tare_error *err) {
    size_t value = 0, digits = 0;

    skip_space(from);
    for (; from->at < from->bytes && from->text[from->at] >= '0' && from->text[from->at] <= '9';
         from->at++, digits++) {
        const size_t digit = (size_t)(from->text[from->at] - '0');
        if (value > (SIZE_MAX - digit) / 10) {
            return fail_header(from, "a dimension is too large", err);
        }
        value = value * 10 + digit;
    }
    if (digits == 0) {
        return fail_header(from, "a number is missing", err);
    }
    (void)take(from, "L"); /* Python 2 wrote long integers so */
    *out = value;
    return TARE_OK;
}

/* A quoted text without escapes; NumPy writes no others. */
static tare_status take_text(char *out, size_t room, literal *from, tare_error *err) {
    size_t length = 0;
    char quote;

    skip_space(from);
    quote = from->at < from->bytes ? from->text[from->at] : '\0';
    if (quote != '\'' && quote != '"') {
        return fail_header(from, "a quoted text is missing", err);
    }
    for (from->at++; from->at < from->bytes && from->text[from->at] != quote; from->at++) {
        if (length + 1 >= room || from->text[from->at] == '\\') {
            return fail_header(from, "a text is too long or has an escape", err);
        }
        out[length++] = from->text[from->at];
    }
    if (from->at == from->bytes) {
        return fail_header(from, "a text does not end", err);
    }
    from->at++;
    out[length] = '\0';
    return TARE_OK;
}

static tare_status take_descr(tare_npy_header *to, literal *from, tare_error *err) {
    char text[32];

    if (take(from, "[")) {
        return tare_fail(err, TARE_UNSUPPORTED,
                         "'%s': an array of records; Tare reads plain numbers", from->path);
    }
    TARE_TRY(take_text(text, sizeof text, from, err));
    for (size_t i = 0; i < sizeof descrs / sizeof descrs[0]; i++) {
        if (text[0] != '\0' && strchr("<>|=", text[0]) != NULL &&
            strcmp(text + 1, descrs[i].text) == 0) {
            to->array.element = descrs[i].element;
            to->swapped =
                (text[0] == '>' && machine_is_little()) || (text[0] == '<' && !machine_is_little());
            to->swapped = to->swapped && tare_element_bytes(to->array.element) > 1;
            return TARE_OK;
        }
    }
    return tare_fail(err, TARE_UNSUPPORTED,
                     "'%s': element type '%s'; Tare reads float, integer and bool types",
                     from->path, text);
}

static tare_status take_order(tare_npy_header *to, literal *from, tare_error *err) {
    TARE_UNUSED(to);
    if (take(from, "False")) {
        return TARE_OK;
    }
    if (take(from, "True")) {
        return tare_fail(err, TARE_UNSUPPORTED,
                         "'%s': Fortran order; save numpy.ascontiguousarray(array) instead",
                         from->path);
    }
    return fail_header(from, "fortran_order must be True or False", err);
}

static tare_status take_shape(tare_npy_header *to, literal *from, tare_error *err) {
    if (!take(from, "(")) {
        return fail_header(from, "shape must be a tuple", err);
    }
    while (!take(from, ")")) {
        if (to->array.rank == TARE_ARRAY_MAX_RANK) {
            return tare_fail(err, TARE_UNSUPPORTED, "'%s': more than %d dimensions", from->path,
                             TARE_ARRAY_MAX_RANK);
        }
        TARE_TRY(take_number(&to->array.dims[to->array.rank], from, err));
        to->array.rank++;
        if (!take(from, ",")) {
            return take(from, ")") ? TARE_OK : fail_header(from, "shape does not end", err);
        }
    }
    return TARE_OK;
}

typedef struct key_row {
    const char *name;
    tare_status (*read)(tare_npy_header *to, literal *from, tare_error *err);
} key_row;

static const key_row keys[] = {
    {"descr", take_descr}, {"fortran_order", take_order}, {"shape", take_shape}};
#define KEY_COUNT (sizeof keys / sizeof keys[0])

static tare_status take_entry(tare_npy_header *to, bool seen[KEY_COUNT], literal *from,
                              tare_error *err) {
    char name[32];

    TARE_TRY(take_text(name, sizeof name, from, err));
    if (!take(from, ":")) {
        return fail_header(from, "':' is missing", err);
    }
    for (size_t i = 0; i < KEY_COUNT; i++) {
        if (strcmp(keys[i].name, name) == 0) {
            if (seen[i]) {
                return fail_header(from, "a key occurs twice", err);
            }
            seen[i] = true;
            return keys[i].read(to, from, err);
        }
    }
    return fail_header(from, "a key is not known", err);
}

static tare_status take_dictionary(tare_npy_header *to, literal *from, tare_error *err) {
    bool seen[KEY_COUNT] = {false};

    if (!take(from, "{")) {
        return fail_header(from, "'{' is missing", err);
    }
    while (!take(from, "}")) {
        TARE_TRY(take_entry(to, seen, from, err));
        if (!take(from, ",")) {
            if (!take(from, "}")) {
                return fail_header(from, "'}' is missing", err);
            }
            break;
        }
    }
    for (size_t i = 0; i < KEY_COUNT; i++) {
        if (!seen[i]) {
            return fail_header(from, "descr, fortran_order or shape is missing", err);
        }
    }
    return TARE_OK;
}

/* Version 1 has two bytes of header length, the later ones four. */
static tare_status find_header(literal *out, const unsigned char *data, size_t bytes,
                               tare_error *err) {
    size_t prefix, length = 0;

    if (bytes < 10 || memcmp(data, "\x93NUMPY", 6) != 0) {
        return tare_fail(err, TARE_INVALID_ARGUMENT,
                         "'%s' is not a .npy file: it does not begin with \\x93NUMPY", out->path);
    }
    if (data[6] < 1 || data[6] > 3) {
        return tare_fail(err, TARE_UNSUPPORTED,
                         "'%s': .npy version %d, versions 1 to 3 are supported", out->path,
                         data[6]);
    }
    prefix = data[6] == 1 ? 10 : 12;
    for (size_t i = 8; i < prefix && i < bytes; i++) {
        length |= (size_t)data[i] << (8 * (i - 8));
    }
    if (bytes < prefix || bytes - prefix < length) {
        return tare_fail(err, TARE_INVALID_ARGUMENT, "'%s' ends in its header", out->path);
    }
    out->text = (const char *)data + prefix;
    out->bytes = length;
    return TARE_OK;
}

tare_status tare_npy_parse(tare_npy_header *header, const void *data, size_t bytes,
                           const char *path, tare_error *err) {
    literal from = {.path = path};
    tare_array *array = &header->array;
    tare_status status;

    *header = (tare_npy_header){0};
    TARE_TRY(find_header(&from, data, bytes, err));
    TARE_TRY(take_dictionary(header, &from, err));
    status = tare_array_measure(&array->bytes, array->element, array->rank, array->dims, err);
    if (status != TARE_OK) {
        tare_error_prepend(err, "'%s': ", path);
        return status;
    }
    header->data_at = (size_t)(from.text - (const char *)data) + from.bytes;
    if (bytes - header->data_at < array->bytes) {
        return tare_fail(
            err, TARE_INVALID_ARGUMENT,
            "'%s' ends early: its header announces %zu bytes of elements, %zu are there", path,
            array->bytes, bytes - header->data_at);
    }
    return TARE_OK;
}

void tare_npy_copy(void *to, const void *from, size_t bytes, const tare_npy_header *header) {
    const size_t size = tare_element_bytes(header->array.element);
    unsigned char *target = to;
    const unsigned char *source = from;

    if (!header->swapped) {
        memcpy(to, from, bytes);
        return;
    }
    for (size_t i = 0; i < bytes; i++) {
        target[i] = source[i - i % size + (size - 1 - i % size)];
    }
}

tare_status tare_npy_read(tare_array *array, tare_memory *storage, const char *path,
                          tare_error *err) {
    tare_mapping file = {0};
    tare_npy_header header;
    tare_status status;

    TARE_TRY_DONE(status, tare_mapping_open(&file, path, err));
    TARE_TRY_DONE(status, tare_npy_parse(&header, file.data, file.bytes, path, err));
    TARE_TRY_DONE(status, tare_memory_reserve(storage, header.array.bytes, "an array", err));
    tare_npy_copy(storage->data, file.data + header.data_at, header.array.bytes, &header);
    *array = header.array;
    array->data = storage->data;
done:
    tare_mapping_release(&file);
    return status;
}

static const char *descr_of(tare_element element) {
    for (size_t i = 0; i < sizeof descrs / sizeof descrs[0]; i++) {
        if (descrs[i].element == element) {
            return descrs[i].text;
        }
    }
    return NULL;
}

tare_status tare_npy_format(char text[TARE_NPY_HEADER_BYTES], size_t *bytes,
                            const tare_array *array, tare_error *err) {
    const char *descr = descr_of(array->element);
    const char order = tare_element_bytes(array->element) == 1 ? '|'
                       : machine_is_little()                   ? '<'
                                                               : '>';
    char shape[TARE_ARRAY_MAX_RANK * 24];
    size_t used = 0, total;
    int length;

    if (descr == NULL || array->rank > TARE_ARRAY_MAX_RANK) {
        return tare_fail(err, TARE_UNSUPPORTED, ".npy: element type %s, rank %zu",
                         tare_element_name(array->element), array->rank);
    }
    shape[0] = '\0';
    for (size_t i = 0; i < array->rank; i++) {
        used += (size_t)snprintf(shape + used, sizeof shape - used, "%zu%s", array->dims[i],
                                 i + 1 < array->rank ? ", "
                                 : i == 0            ? ","
                                                     : "");
    }
    length =
        snprintf(text + 10, TARE_NPY_HEADER_BYTES - 10,
                 "{'descr': '%c%s', 'fortran_order': False, 'shape': (%s), }", order, descr, shape);
    /* Padded with spaces, so that the elements begin at a multiple of 64. */
    total = ((size_t)length + 10 + 1 + 63) / 64 * 64;
    memset(text + 10 + length, ' ', total - 10 - (size_t)length);
    text[total - 1] = '\n';
    memcpy(text, "\x93NUMPY\x01\x00", 8);
    text[8] = (char)((total - 10) & 0xff);
    text[9] = (char)((total - 10) >> 8);
    *bytes = total;
    return TARE_OK;
}

tare_status tare_npy_write(const char *path, const tare_array *array, tare_error *err) {
    char text[TARE_NPY_HEADER_BYTES];
    tare_output *out = NULL;
    size_t bytes;
    tare_status status;

    TARE_TRY(tare_npy_format(text, &bytes, array, err));
    TARE_TRY(tare_output_open(&out, path, err));
    TARE_TRY_DONE(status, tare_output_write(out, text, bytes, err));
    TARE_TRY_DONE(status, tare_output_write(out, array->data, array->bytes, err));
    status = tare_output_commit(out, err);
    out = NULL;
done:
    tare_output_discard(out);
    return status;
}
