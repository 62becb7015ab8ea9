/* SPDX-License-Identifier: Apache-2.0 */
/** Reads and writes preprocessing descriptions as JSON; every complaint names the field. */
#include "data/preprocess_json.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

#define MAX_SIDE 32768

static const char *const color_names[] = {"unset", "RGB", "BGR", "GRAY", "Y", NULL};
static const char *const layout_names[] = {"unset", "NCHW", "NHWC", NULL};
static const char *const mode_names[] = {"none", "exact", "short_side", "letterbox", NULL};
static const char *const align_names[] = {"top_left", "center", NULL};
static const char *const filter_names[] = {"nearest", "box",     "bilinear", "hamming",
                                           "bicubic", "lanczos", "area",     NULL};

const char *tare_preprocess_color_name(tare_color color) {
    return color_names[color];
}

const char *tare_preprocess_layout_name(tare_pixel_layout layout) {
    return layout_names[layout];
}

/** A field of the description, or of its "resize" object. */
typedef struct field_row {
    const char *name;
    tare_status (*read)(tare_preprocess *out, const json_t *value, const char *name,
                        tare_error *err);
    bool required;
} field_row;

/* The names from `first` on, for an error: "RGB, BGR, GRAY, Y". */
static void list_names(char *to, size_t bytes, const char *const *names, size_t first) {
    size_t used = 0;

    to[0] = '\0';
    for (size_t i = first; names[i] != NULL; i++) {
        const int length =
            snprintf(to + used, bytes - used, "%s%s", used == 0 ? "" : ", ", names[i]);
        if (length < 0 || (size_t)length >= bytes - used) {
            return;
        }
        used += (size_t)length;
    }
}

static tare_status read_choice(size_t *out, const json_t *value, const char *name,
                               const char *const *names, size_t first, tare_error *err) {
    const char *text = json_string_value(value);
    char list[128];

    for (size_t i = first; text != NULL && names[i] != NULL; i++) {
        if (strcmp(names[i], text) == 0) {
            *out = i;
            return TARE_OK;
        }
    }
    list_names(list, sizeof list, names, first);
    return tare_fail(err, TARE_INVALID_ARGUMENT, "field '%s' is %s%s%s, expected one of %s", name,
                     text == NULL ? "not a text" : "'", text == NULL ? "" : text,
                     text == NULL ? "" : "'", list);
}

static tare_status read_side(size_t *out, const json_t *value, const char *name, tare_error *err) {
    const json_int_t side = json_integer_value(value);

    if (!json_is_integer(value) || side < 1 || side > MAX_SIDE) {
        return tare_fail(err, TARE_INVALID_ARGUMENT,
                         "field '%s' must be whole numbers from 1 to %d", name, MAX_SIDE);
    }
    *out = (size_t)side;
    return TARE_OK;
}

/* [height, width], or one number for both. */
static tare_status read_sides(size_t out[2], const json_t *value, const char *name,
                              tare_error *err) {
    if (!json_is_array(value)) {
        TARE_TRY(read_side(&out[0], value, name, err));
        out[1] = out[0];
        return TARE_OK;
    }
    if (json_array_size(value) != 2) {
        return tare_fail(err, TARE_INVALID_ARGUMENT,
                         "field '%s' has %zu elements, expected [height, width]", name,
                         json_array_size(value));
    }
    TARE_TRY(read_side(&out[0], json_array_get(value, 0), name, err));
    return read_side(&out[1], json_array_get(value, 1), name, err);
}

static tare_status read_number(double *out, const json_t *value, const char *name,
                               tare_error *err) {
    *out = json_number_value(value);
    if (!json_is_number(value) || !isfinite(*out) || fabs(*out) > 1e30) {
        return tare_fail(err, TARE_INVALID_ARGUMENT, "field '%s' must be a number%s", name,
                         json_is_number(value) ? " within 1e30" : "");
    }
    return TARE_OK;
}

/* A number for all channels, or one per channel; the count is checked against `color`, which is
 * read first. */
static tare_status read_channels(double out[3], const json_t *value, const char *name,
                                 const tare_preprocess *of, tare_error *err) {
    const size_t channels = tare_preprocess_channels(of);

    if (!json_is_array(value)) {
        TARE_TRY(read_number(&out[0], value, name, err));
        out[1] = out[2] = out[0];
        return TARE_OK;
    }
    if (channels == 1 && json_array_size(value) == 3) {
        /* Files for gray models often repeat the value three times: equal numbers leave nothing
         * open. */
        for (size_t i = 0; i < 3; i++) {
            TARE_TRY(read_number(&out[i], json_array_get(value, i), name, err));
        }
        if (out[0] == out[1] && out[1] == out[2]) {
            return TARE_OK;
        }
    }
    if (json_array_size(value) != channels) {
        return tare_fail(err, TARE_INVALID_ARGUMENT,
                         "field '%s' has %zu elements, color %s has %zu channels", name,
                         json_array_size(value), color_names[of->color], channels);
    }
    for (size_t i = 0; i < channels; i++) {
        TARE_TRY(read_number(&out[i], json_array_get(value, i), name, err));
    }
    for (size_t i = channels; i < 3; i++) {
        out[i] = out[0];
    }
    return TARE_OK;
}

static tare_status read_color(tare_preprocess *out, const json_t *value, const char *name,
                              tare_error *err) {
    size_t number = 0;

    TARE_TRY(read_choice(&number, value, name, color_names, 1, err));
    out->color = (tare_color)number;
    return TARE_OK;
}

static tare_status read_layout(tare_preprocess *out, const json_t *value, const char *name,
                               tare_error *err) {
    size_t number = 0;

    TARE_TRY(read_choice(&number, value, name, layout_names, 1, err));
    out->layout = (tare_pixel_layout)number;
    return TARE_OK;
}

static tare_status read_mode(tare_preprocess *out, const json_t *value, const char *name,
                             tare_error *err) {
    size_t number = 0;

    TARE_TRY(read_choice(&number, value, name, mode_names, 1, err));
    out->mode = (tare_fit_mode)number;
    return TARE_OK;
}

static tare_status read_filter(tare_preprocess *out, const json_t *value, const char *name,
                               tare_error *err) {
    size_t number = 0;

    TARE_TRY(read_choice(&number, value, name, filter_names, 0, err));
    out->filter = (tare_filter)number;
    return TARE_OK;
}

static tare_status require_letterbox(const tare_preprocess *of, const char *name, tare_error *err) {
    if (of->mode != TARE_FIT_LETTERBOX) {
        return tare_fail(err, TARE_INVALID_ARGUMENT,
                         "field '%s' has a meaning only with mode letterbox, not with %s", name,
                         mode_names[of->mode]);
    }
    return TARE_OK;
}

static tare_status read_align(tare_preprocess *out, const json_t *value, const char *name,
                              tare_error *err) {
    size_t number = 0;

    TARE_TRY(require_letterbox(out, name, err));
    TARE_TRY(read_choice(&number, value, name, align_names, 0, err));
    out->align = (tare_align)number;
    return TARE_OK;
}

static tare_status read_pad(tare_preprocess *out, const json_t *value, const char *name,
                            tare_error *err) {
    double pad[3] = {0.0, 0.0, 0.0};

    TARE_TRY(require_letterbox(out, name, err));
    TARE_TRY(read_channels(pad, value, name, out, err));
    for (size_t i = 0; i < 3; i++) {
        if (pad[i] < 0.0 || pad[i] > 255.0 || pad[i] != floor(pad[i])) {
            return tare_fail(err, TARE_INVALID_ARGUMENT,
                             "field '%s' must be whole numbers from 0 to 255", name);
        }
        out->pad[i] = (unsigned char)pad[i];
    }
    return TARE_OK;
}

static tare_status read_size(tare_preprocess *out, const json_t *value, const char *name,
                             tare_error *err) {
    TARE_TRY(read_sides(out->size, value, name, err));
    if (out->mode == TARE_FIT_SHORT_SIDE) {
        if (json_is_array(value)) {
            return tare_fail(err, TARE_INVALID_ARGUMENT,
                             "field '%s' must be one number with mode short_side", name);
        }
        out->size[1] = 0;
    }
    return TARE_OK;
}

static tare_status read_crop(tare_preprocess *out, const json_t *value, const char *name,
                             tare_error *err) {
    return read_sides(out->crop, value, name, err);
}

static tare_status read_scale(tare_preprocess *out, const json_t *value, const char *name,
                              tare_error *err) {
    TARE_TRY(read_number(&out->scale, value, name, err));
    if ((float)out->scale == 0.0F) {
        return tare_fail(err, TARE_INVALID_ARGUMENT,
                         "field '%s' is 0: every image would be the same", name);
    }
    return TARE_OK;
}

static tare_status read_mean(tare_preprocess *out, const json_t *value, const char *name,
                             tare_error *err) {
    return read_channels(out->mean, value, name, out, err);
}

static tare_status read_std(tare_preprocess *out, const json_t *value, const char *name,
                            tare_error *err) {
    TARE_TRY(read_channels(out->std, value, name, out, err));
    for (size_t i = 0; i < 3; i++) {
        if (!((float)out->std[i] > 0.0F)) {
            return tare_fail(err, TARE_INVALID_ARGUMENT, "field '%s' is %g, expected more than 0",
                             name, out->std[i]);
        }
    }
    return TARE_OK;
}

static tare_status read_exif(tare_preprocess *out, const json_t *value, const char *name,
                             tare_error *err) {
    if (!json_is_boolean(value)) {
        return tare_fail(err, TARE_INVALID_ARGUMENT, "field '%s' must be true or false", name);
    }
    out->exif_orientation = json_is_true(value);
    return TARE_OK;
}

static tare_status read_object(tare_preprocess *out, const json_t *json, const char *prefix,
                               const field_row *known, tare_error *err);

/* Mode comes first: what the others may be depends on it. */
static const field_row resize_fields[] = {
    {"mode", read_mode, true},    {"size", read_size, true}, {"filter", read_filter, true},
    {"align", read_align, false}, {"pad", read_pad, false},  {NULL, NULL, false},
};

static tare_status read_resize(tare_preprocess *out, const json_t *value, const char *name,
                               tare_error *err) {
    TARE_UNUSED(name);
    TARE_TRY(read_object(out, value, "resize.", resize_fields, err));
    for (size_t i = 3; resize_fields[i].name != NULL && out->mode == TARE_FIT_LETTERBOX; i++) {
        if (json_object_get(value, resize_fields[i].name) == NULL) {
            return tare_fail(err, TARE_INVALID_ARGUMENT,
                             "field 'resize.%s' is missing; mode letterbox needs it",
                             resize_fields[i].name);
        }
    }
    return TARE_OK;
}

/* Colour comes first: how many numbers the others have depends on it. */
static const field_row fields[] = {
    {"color", read_color, true},
    {"resize", read_resize, false},
    {"center_crop", read_crop, false},
    {"scale", read_scale, false},
    {"mean", read_mean, false},
    {"std", read_std, false},
    {"layout", read_layout, false},
    {"exif_orientation", read_exif, false},
    {NULL, NULL, false},
};

static tare_status check_names(const json_t *json, const char *prefix, const field_row *known,
                               tare_error *err) {
    const char *key;
    json_t *value;

    /* jansson's iteration macro wants a pointer to non-const, though it only reads. */
    json_object_foreach((json_t *)(uintptr_t)json, key, value) {
        size_t i = 0;
        while (known[i].name != NULL && strcmp(known[i].name, key) != 0) {
            i++;
        }
        if (known[i].name == NULL) {
            return tare_fail(err, TARE_INVALID_ARGUMENT, "field '%s%s' is not known", prefix, key);
        }
    }
    return TARE_OK;
}

static tare_status read_object(tare_preprocess *out, const json_t *json, const char *prefix,
                               const field_row *known, tare_error *err) {
    if (!json_is_object(json)) {
        return tare_fail(err, TARE_INVALID_ARGUMENT, "%s must be an object with fields",
                         prefix[0] == '\0' ? "the description" : "field 'resize'");
    }
    TARE_TRY(check_names(json, prefix, known, err));
    for (size_t i = 0; known[i].name != NULL; i++) {
        const json_t *value = json_object_get(json, known[i].name);
        char name[64];
        (void)snprintf(name, sizeof name, "%s%s", prefix, known[i].name);
        if (value == NULL && known[i].required) {
            return tare_fail(err, TARE_INVALID_ARGUMENT, "field '%s' is missing", name);
        }
        if (value != NULL) {
            TARE_TRY(known[i].read(out, value, name, err));
        }
    }
    return TARE_OK;
}

static tare_status check_crop(const tare_preprocess *of, tare_error *err) {
    const size_t tall = of->size[0],
                 wide = of->mode == TARE_FIT_SHORT_SIDE ? of->size[0] : of->size[1];

    if (of->crop[0] == 0 || of->mode == TARE_FIT_NONE) {
        return TARE_OK;
    }
    if (of->mode == TARE_FIT_LETTERBOX) {
        return tare_fail(err, TARE_INVALID_ARGUMENT,
                         "fields 'center_crop' and 'resize.mode' letterbox contradict each other: "
                         "the size is fixed");
    }
    /* With short_side the longer side may suffice, but then it depends on the image which crop
     * works. */
    if (of->crop[0] > tall || of->crop[1] > wide) {
        return tare_fail(err, TARE_INVALID_ARGUMENT,
                         "field 'center_crop' [%zu, %zu] is larger than 'resize.size' %zu, %zu",
                         of->crop[0], of->crop[1], tall, wide);
    }
    return TARE_OK;
}

tare_status tare_preprocess_from_json(tare_preprocess *out, const json_t *json, tare_error *err) {
    tare_status status;

    out->scale = 1.0;
    out->std[0] = out->std[1] = out->std[2] = 1.0;
    out->filter = TARE_FILTER_BILINEAR;
    status = read_object(out, json, "", fields, err);
    if (status == TARE_OK) {
        status = check_crop(out, err);
    }
    if (status != TARE_OK) {
        tare_error_prepend(err, "%s: ", out->origin);
    }
    return status;
}

static json_t *channels_to_json(const double values[3], size_t channels) {
    json_t *array = json_array();

    for (size_t i = 0; i < channels; i++) {
        (void)json_array_append_new(array, json_real(values[i]));
    }
    return array;
}

static json_t *sides_to_json(const size_t sides[2]) {
    return json_pack("[I, I]", (json_int_t)sides[0], (json_int_t)sides[1]);
}

static json_t *resize_to_json(const tare_preprocess *from) {
    const size_t channels = tare_preprocess_channels(from);
    json_t *json = json_object();

    (void)json_object_set_new(json, "mode", json_string(mode_names[from->mode]));
    (void)json_object_set_new(json, "size",
                              from->mode == TARE_FIT_SHORT_SIDE
                                  ? json_integer((json_int_t)from->size[0])
                                  : sides_to_json(from->size));
    (void)json_object_set_new(json, "filter", json_string(filter_names[from->filter]));
    if (from->mode == TARE_FIT_LETTERBOX) {
        json_t *pad = json_array();
        for (size_t i = 0; i < channels; i++) {
            (void)json_array_append_new(pad, json_integer(from->pad[i]));
        }
        (void)json_object_set_new(json, "align", json_string(align_names[from->align]));
        (void)json_object_set_new(json, "pad", pad);
    }
    return json;
}

/* Setting a field of, or to, a value that could not be allocated fails, so the sizes tell whether
 * all went well. */
static json_t *description_to_json(const tare_preprocess *from) {
    const size_t channels = tare_preprocess_channels(from);
    json_t *json = json_object();

    (void)json_object_set_new(json, "color", json_string(color_names[from->color]));
    if (from->mode != TARE_FIT_NONE) {
        (void)json_object_set_new(json, "resize", resize_to_json(from));
    }
    if (from->crop[0] != 0) {
        (void)json_object_set_new(json, "center_crop", sides_to_json(from->crop));
    }
    (void)json_object_set_new(json, "scale", json_real(from->scale));
    (void)json_object_set_new(json, "mean", channels_to_json(from->mean, channels));
    (void)json_object_set_new(json, "std", channels_to_json(from->std, channels));
    (void)json_object_set_new(json, "layout", json_string(layout_names[from->layout]));
    (void)json_object_set_new(json, "exif_orientation", json_boolean(from->exif_orientation));
    return json;
}

tare_status tare_preprocess_write(tare_text *out, const tare_preprocess *preprocess,
                                  tare_error *err) {
    const size_t expected = 6U + (preprocess->mode != TARE_FIT_NONE) + (preprocess->crop[0] != 0);
    json_t *json;
    char *text;
    bool complete;

    if (preprocess->color == TARE_COLOR_UNSET || preprocess->layout == TARE_PIXEL_LAYOUT_UNSET) {
        return tare_fail(err, TARE_INTERNAL, "%s: written before it was completed",
                         preprocess->origin);
    }
    json = description_to_json(preprocess);
    complete = json_object_size(json) == expected;
    text = complete ? json_dumps(json, JSON_COMPACT | JSON_REAL_PRECISION(17)) : NULL;
    json_decref(json);
    if (text == NULL) {
        return tare_fail_memory(err, 0, "a preprocessing description");
    }
    tare_text_add(out, "%s", text);
    free(text);
    return tare_text_check(out, err);
}
