/* SPDX-License-Identifier: Apache-2.0 */
/** How the values of options are read: one kind per form of value. */
#include "cli/values.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

/* Digits only: strtoull by itself would accept blanks and signs, and wrap negative numbers. */
static bool read_number(uint64_t *out, const char *text, const char **end) {
    char *stop = NULL;
    if (text[0] < '0' || text[0] > '9') {
        return false;
    }
    errno = 0;
    const unsigned long long number = strtoull(text, &stop, 10);
    *end = stop;
    *out = (uint64_t)number;
    return errno == 0;
}

static const char *set_switch(void *field, char *value) {
    (void)value;
    *(bool *)field = true;
    return NULL;
}

static const char *set_text(void *field, char *value) {
    if (value[0] == '\0') {
        return "a text that is not empty";
    }
    *(const char **)field = value;
    return NULL;
}

static const char *append_text(void *field, char *value) {
    tare_cli_texts *texts = (tare_cli_texts *)field;
    if (value[0] == '\0') {
        return "a text that is not empty";
    }
    const char **items =
        (const char **)realloc((void *)texts->items, (texts->count + 1) * sizeof(*items));
    if (items == NULL) {
        return "less (out of memory)";
    }
    items[texts->count] = value;
    texts->items = items;
    texts->count++;
    return NULL;
}

static const char *set_count(void *field, char *value) {
    const char *end = NULL;
    uint64_t number = 0;
    if (!read_number(&number, value, &end) || *end != '\0' || number == 0 || number > INT32_MAX) {
        return "a whole number of at least 1";
    }
    *(uint64_t *)field = number;
    return NULL;
}

static const char *set_size(void *field, char *value) {
    static const char units[] = "KMGT";
    static const char expected[] = "a size such as 512M or 4G";
    const char *end = NULL;
    uint64_t number = 0;
    unsigned shift = 0;
    if (!read_number(&number, value, &end) || number == 0) {
        return expected;
    }
    if (*end != '\0') {
        const char *unit = strchr(units, *end);
        if (unit == NULL || end[1] != '\0') {
            return expected;
        }
        shift = 10 * (unsigned)(unit - units + 1);
    }
    if (number > UINT64_MAX >> shift) {
        return expected;
    }
    *(uint64_t *)field = number << shift;
    return NULL;
}

static const char *set_parts(void *field, char *value) {
    tare_cli_shard *shard = (tare_cli_shard *)field;
    const char *end = NULL;
    if (!read_number(&shard->number, value, &end) || *end != '/' ||
        !read_number(&shard->count, end + 1, &end) || *end != '\0' || shard->number == 0 ||
        shard->number > shard->count) {
        return "I/N with I from 1 to N, such as 2/3";
    }
    return NULL;
}

static const char *set_time(void *field, char *value) {
    static const struct {
        const char *unit;
        uint64_t milliseconds;
    } units[] = {{"", 1000}, {"ms", 1}, {"s", 1000}, {"m", 60000}, {"h", 3600000}};
    tare_cli_duration *time = (tare_cli_duration *)field;
    const char *end = NULL;
    uint64_t number = 0;
    if (read_number(&number, value, &end) && number <= INT32_MAX) {
        for (size_t i = 0; i < sizeof(units) / sizeof(units[0]); i++) {
            if (strcmp(end, units[i].unit) == 0) {
                *time = (tare_cli_duration){.milliseconds = number * units[i].milliseconds,
                                            .given = true};
                return NULL;
            }
        }
    }
    return "a time such as 30s or 5m";
}

/* The name may itself hold '=', so the last one divides; the dims never do. */
static bool read_shape(tare_array_view *out, char *value) {
    char *divider = strrchr(value, '=');
    if (divider == NULL || divider == value) {
        return false;
    }
    *out = (tare_array_view){.name = value, .element = TARE_FLOAT32};
    const char *at = divider + 1;
    for (;;) {
        const char *end = NULL;
        uint64_t dim = 0;
        if (out->rank == TARE_ARRAY_MAX_RANK || !read_number(&dim, at, &end) || dim == 0 ||
            dim > INT32_MAX) {
            return false;
        }
        out->dims[out->rank] = (int64_t)dim;
        out->rank++;
        if (*end == '\0') {
            *divider = '\0'; /* not before: a message shows the whole text */
            return true;
        }
        if (*end != 'x') {
            return false;
        }
        at = end + 1;
    }
}

static const char *append_shape(void *field, char *value) {
    tare_cli_shapes *shapes = (tare_cli_shapes *)field;
    tare_array_view *items =
        (tare_array_view *)realloc(shapes->items, (shapes->count + 1) * sizeof(*items));
    if (items == NULL) {
        return "less (out of memory)";
    }
    shapes->items = items;
    if (!read_shape(&items[shapes->count], value)) {
        return "NAME=DIMS with at most 8 dims, such as data=1x3x224x224";
    }
    shapes->count++;
    return NULL;
}

static const char *set_half(void *field, char *value) {
    tare_cli_probability *out = (tare_cli_probability *)field;
    char *end = NULL;
    out->value = strtod(value, &end);
    out->given = true;
    return end != value && *end == '\0' && out->value >= 0.0 && out->value <= 0.5
               ? NULL
               : "a probability from 0 to 0.5";
}

const tare_cli_kind tare_cli_switch = {set_switch, false};
const tare_cli_kind tare_cli_text = {set_text, false};
const tare_cli_kind tare_cli_text_list = {append_text, true};
const tare_cli_kind tare_cli_count = {set_count, false};
const tare_cli_kind tare_cli_size = {set_size, false};
const tare_cli_kind tare_cli_parts = {set_parts, false};
const tare_cli_kind tare_cli_time = {set_time, false};
const tare_cli_kind tare_cli_half = {set_half, false};
const tare_cli_kind tare_cli_shape = {append_shape, true};
