/* SPDX-License-Identifier: Apache-2.0 */
/** Presets, fitting a description to a model input, and where the pixels of an image go. */
#include "data/preprocess.h"

#include <math.h>
#include <stdio.h>
#include <string.h>

#include "base/file.h"
#include "data/preprocess_json.h"

static const tare_preprocess presets[] = {
    {.origin = "imagenet",
     .color = TARE_COLOR_RGB,
     .mode = TARE_FIT_SHORT_SIDE,
     .size = {256, 0},
     .filter = TARE_FILTER_BILINEAR,
     .crop = {224, 224},
     .scale = 1.0 / 255.0,
     .mean = {0.485, 0.456, 0.406},
     .std = {0.229, 0.224, 0.225}},
    {.origin = "imagenet-tf",
     .color = TARE_COLOR_RGB,
     .mode = TARE_FIT_SHORT_SIDE,
     .size = {256, 0},
     .filter = TARE_FILTER_BILINEAR,
     .crop = {224, 224},
     .scale = 1.0 / 127.5,
     .mean = {1.0, 1.0, 1.0},
     .std = {1.0, 1.0, 1.0}},
    {.origin = "unit",
     .filter = TARE_FILTER_BILINEAR,
     .scale = 1.0 / 255.0,
     .std = {1.0, 1.0, 1.0}},
    {.origin = "raw", .filter = TARE_FILTER_BILINEAR, .scale = 1.0, .std = {1.0, 1.0, 1.0}},
};

/* A path is longer than a name in an error should be: its end says more than its beginning. */
static void set_origin(tare_preprocess *out, const char *kind, const char *name) {
    const size_t length = strlen(name), most = sizeof out->origin - 32;
    const bool cut = length > most;

    (void)snprintf(out->origin, sizeof out->origin, "%s '%s%s'", kind, cut ? "..." : "",
                   name + (cut ? length - most : 0));
}

static tare_status fail_unknown(const char *name, tare_error *err) {
    const char *slash = strchr(name, '/'), *dot = strrchr(name, '.');

    if (slash != NULL || (dot != NULL && strcmp(dot, ".json") == 0)) {
        return tare_fail(err, TARE_NOT_FOUND, "preprocessing: there is no file '%s'", name);
    }
    return tare_fail(err, TARE_NOT_FOUND,
                     "preprocessing '%s' is neither a preset (%s, %s, %s, %s) nor a JSON file",
                     name, presets[0].origin, presets[1].origin, presets[2].origin,
                     presets[3].origin);
}

static tare_status load_file(tare_preprocess *out, const char *path, tare_error *err) {
    json_t *json = NULL;
    tare_status status = tare_json_read(&json, path, err);

    if (status == TARE_NOT_FOUND) {
        return fail_unknown(path, err);
    }
    if (status != TARE_OK) {
        tare_error_prepend(err, "preprocessing: ");
        return status;
    }
    *out = (tare_preprocess){0};
    set_origin(out, "preprocessing", path);
    status = tare_preprocess_from_json(out, json, err);
    json_decref(json);
    return status;
}

tare_status tare_preprocess_load(tare_preprocess *out, const char *name_or_path, tare_error *err) {
    for (size_t i = 0; i < sizeof presets / sizeof presets[0]; i++) {
        if (strcmp(presets[i].origin, name_or_path) == 0) {
            *out = presets[i];
            set_origin(out, "preset", name_or_path);
            return TARE_OK;
        }
    }
    return load_file(out, name_or_path, err);
}

tare_status tare_preprocess_read(tare_preprocess *out, const char *text, const char *origin,
                                 tare_error *err) {
    json_error_t where;
    json_t *json = json_loads(text, JSON_REJECT_DUPLICATES, &where);
    tare_status status;

    if (json == NULL) {
        return tare_fail(err, TARE_INVALID_ARGUMENT, "preprocessing '%s' line %d: %s", origin,
                         where.line, where.text);
    }
    *out = (tare_preprocess){0};
    set_origin(out, "preprocessing", origin);
    status = tare_preprocess_from_json(out, json, err);
    json_decref(json);
    return status;
}

size_t tare_preprocess_channels(const tare_preprocess *preprocess) {
    static const size_t channels[TARE_COLOR_COUNT] = {
        [TARE_COLOR_RGB] = 3, [TARE_COLOR_BGR] = 3, [TARE_COLOR_GRAY] = 1, [TARE_COLOR_Y] = 1};

    return channels[preprocess->color];
}

void tare_preprocess_size(size_t *height, size_t *width, const tare_preprocess *preprocess) {
    const bool cropped = preprocess->crop[0] != 0;
    const bool fixed = preprocess->mode == TARE_FIT_EXACT || preprocess->mode == TARE_FIT_LETTERBOX;

    *height = cropped ? preprocess->crop[0] : fixed ? preprocess->size[0] : 0;
    *width = cropped ? preprocess->crop[1] : fixed ? preprocess->size[1] : 0;
}

static tare_status complete_color(tare_preprocess *to, size_t channels, tare_error *err) {
    if (to->color == TARE_COLOR_UNSET) {
        if (channels != 0 && channels != 1 && channels != 3) {
            return tare_fail(
                err, TARE_INVALID_ARGUMENT,
                "%s: the model input has %zu channels; images give 3 (RGB) or 1 (GRAY)", to->origin,
                channels);
        }
        to->color = channels == 1 ? TARE_COLOR_GRAY : TARE_COLOR_RGB;
    }
    if (channels != 0 && channels != tare_preprocess_channels(to)) {
        return tare_fail(err, TARE_INVALID_ARGUMENT,
                         "%s: color %s gives %zu channels, the model input has %zu", to->origin,
                         tare_preprocess_color_name(to->color), tare_preprocess_channels(to),
                         channels);
    }
    return TARE_OK;
}

static tare_status complete_layout(tare_preprocess *to, tare_pixel_layout layout, tare_error *err) {
    if (to->layout == TARE_PIXEL_LAYOUT_UNSET) {
        to->layout = layout == TARE_PIXEL_LAYOUT_UNSET ? TARE_PIXEL_LAYOUT_NCHW : layout;
    }
    if (layout != TARE_PIXEL_LAYOUT_UNSET && layout != to->layout) {
        return tare_fail(err, TARE_INVALID_ARGUMENT, "%s: layout %s, but the model input is %s",
                         to->origin, tare_preprocess_layout_name(to->layout),
                         tare_preprocess_layout_name(layout));
    }
    return TARE_OK;
}

static tare_status complete_size(tare_preprocess *to, size_t height, size_t width,
                                 tare_error *err) {
    const bool open = to->mode == TARE_FIT_NONE && to->crop[0] == 0;
    size_t own_height, own_width;

    if (height == 0 && width == 0) {
        return TARE_OK;
    }
    if (open && height != 0 && width != 0) {
        to->mode = TARE_FIT_EXACT;
        to->filter = TARE_FILTER_BILINEAR;
        to->size[0] = height;
        to->size[1] = width;
    }
    tare_preprocess_size(&own_height, &own_width, to);
    if (own_height == 0) {
        return tare_fail(err, TARE_INVALID_ARGUMENT,
                         "%s: the size depends on the image, but the model input has a fixed size "
                         "(height %zu, width "
                         "%zu; 0 = open); add a resize or center_crop that gives one size",
                         to->origin, height, width);
    }
    if ((height != 0 && height != own_height) || (width != 0 && width != own_width)) {
        return tare_fail(err, TARE_INVALID_ARGUMENT,
                         "%s: gives height %zu, width %zu, but the model input has height %zu, "
                         "width %zu (0 = open)",
                         to->origin, own_height, own_width, height, width);
    }
    return TARE_OK;
}

tare_status tare_preprocess_complete(tare_preprocess *preprocess, size_t channels, size_t height,
                                     size_t width, tare_pixel_layout layout, tare_error *err) {
    TARE_TRY(complete_color(preprocess, channels, err));
    TARE_TRY(complete_layout(preprocess, layout, err));
    return complete_size(preprocess, height, width, err);
}

/* Half of a difference, ties to the even number, as Python's round(). */
static size_t half_rounded(size_t difference) {
    const size_t half = difference / 2;

    return half + (difference % 2 != 0 && half % 2 != 0 ? 1 : 0);
}

static void resize_size(tare_geometry *to, const tare_preprocess *preprocess, size_t width,
                        size_t height) {
    const size_t *size = preprocess->size;

    to->resized_width = width;
    to->resized_height = height;
    if (preprocess->mode == TARE_FIT_EXACT) {
        to->resized_width = size[1];
        to->resized_height = size[0];
    } else if (preprocess->mode == TARE_FIT_SHORT_SIDE) {
        to->resized_width = width <= height ? size[0] : size[0] * width / height;
        to->resized_height = width <= height ? size[0] * height / width : size[0];
    } else if (preprocess->mode == TARE_FIT_LETTERBOX) {
        /* In double and cut off, as the detectors' own loaders do it. A pixel at least must remain.
         */
        const double tall = (double)size[0] / (double)height,
                     wide = (double)size[1] / (double)width;
        const double ratio = tall < wide ? tall : wide;
        const size_t fit_width = (size_t)((double)width * ratio),
                     fit_height = (size_t)((double)height * ratio);
        to->resized_width = fit_width < 1 ? 1 : fit_width > size[1] ? size[1] : fit_width;
        to->resized_height = fit_height < 1 ? 1 : fit_height > size[0] ? size[0] : fit_height;
    }
}

tare_status tare_preprocess_geometry(tare_geometry *geometry, const tare_preprocess *preprocess,
                                     size_t width, size_t height, tare_error *err) {
    const size_t *crop = preprocess->crop;
    const bool boxed = preprocess->mode == TARE_FIT_LETTERBOX;

    *geometry = (tare_geometry){0};
    resize_size(geometry, preprocess, width, height);
    geometry->window_width = geometry->resized_width;
    geometry->window_height = geometry->resized_height;
    if (crop[0] != 0) {
        if (crop[0] > geometry->resized_height || crop[1] > geometry->resized_width) {
            return tare_fail(err, TARE_INVALID_ARGUMENT,
                             "%s: center_crop %zux%zu (height x width) of an image of %zux%zu",
                             preprocess->origin, crop[0], crop[1], geometry->resized_height,
                             geometry->resized_width);
        }
        geometry->window_height = crop[0];
        geometry->window_width = crop[1];
        geometry->crop_y = half_rounded(geometry->resized_height - crop[0]);
        geometry->crop_x = half_rounded(geometry->resized_width - crop[1]);
    }
    geometry->out_width = boxed ? preprocess->size[1] : geometry->window_width;
    geometry->out_height = boxed ? preprocess->size[0] : geometry->window_height;
    if (boxed && preprocess->align == TARE_ALIGN_CENTER) {
        geometry->place_x = (geometry->out_width - geometry->window_width) / 2;
        geometry->place_y = (geometry->out_height - geometry->window_height) / 2;
    }
    if (geometry->out_width > TARE_IMAGE_MAX_PIXELS / geometry->out_height) {
        return tare_fail(err, TARE_INVALID_ARGUMENT,
                         "%s: %zux%zu pixels become %zux%zu, at most %zu pixels are allowed",
                         preprocess->origin, width, height, geometry->out_width,
                         geometry->out_height, TARE_IMAGE_MAX_PIXELS);
    }
    return TARE_OK;
}
