/* SPDX-License-Identifier: Apache-2.0 */
/** JSON through jansson: reading with errors that name file and line, writing complete files. */
#include "base/json.h"

#include <stdlib.h>
#include <string.h>

#include "base/file.h"

tare_status tare_json_read(json_t **out, const char *path, tare_error *err) {
    tare_mapping mapping;
    json_error_t where;

    *out = NULL;
    TARE_TRY(tare_mapping_open(&mapping, path, err));
    *out = json_loadb(mapping.data == NULL ? "" : (const char *)mapping.data, mapping.bytes,
                      JSON_REJECT_DUPLICATES, &where);
    tare_mapping_release(&mapping);
    if (*out == NULL) {
        return tare_fail(err, TARE_INVALID_ARGUMENT, "'%s' line %d column %d: %s", path, where.line,
                         where.column, where.text);
    }
    return TARE_OK;
}

tare_status tare_json_write(const json_t *json, const char *path, tare_error *err) {
    char *text = json_dumps(json, JSON_INDENT(1) | JSON_ENCODE_ANY | JSON_REAL_PRECISION(9));
    tare_status status;
    size_t length;

    if (text == NULL) {
        return tare_fail_memory(err, 0, "a JSON text");
    }
    length = strlen(text);
    text[length] = '\n'; /* in place of the NUL: the length says where the text ends */
    status = tare_file_write(path, text, length + 1, err);
    free(text);
    return status;
}

json_t *tare_json_text(const char *text) {
    static const char digits[] = "0123456789ABCDEF";
    json_t *json = json_string(text);
    char *plain, *to;

    if (json != NULL) {
        return json;
    }
    plain = to = calloc(strlen(text) + 1, 4);
    if (plain == NULL) {
        return NULL;
    }
    for (; *text != '\0'; text++) {
        const unsigned char byte = (unsigned char)*text;
        if (byte < 0x80) {
            *to++ = *text;
            continue;
        }
        *to++ = '\\';
        *to++ = 'x';
        *to++ = digits[byte >> 4];
        *to++ = digits[byte & 15];
    }
    json = json_string(plain);
    free(plain);
    return json;
}
