/* SPDX-License-Identifier: Apache-2.0 */
/** The sources "npy" and "npz": arrays whose axis 0 counts the samples. */
#include <string.h>
#include <strings.h>
#include <sys/stat.h>

#include "base/file.h"
#include "data/npy.h"
#include "data/source.h"

/** An array to cut samples from; the npy source maps its file, the npz source has read it. */
typedef struct column {
    tare_npy_header header; /**< header.array describes all samples */
    const unsigned char *data;
    size_t sample_bytes;
} column;

typedef struct arrays {
    tare_arena arena; /**< of the names */
    tare_mapping mapping;
    tare_npz npz;
    size_t count; /**< of samples */
    size_t column_count;
    column columns[TARE_SAMPLE_MAX_INPUTS];
    const char **names;
    bool preprocessed; /**< the bytes are pixels on which `preprocess` runs */
    tare_preprocess preprocess;
} arrays;

static bool has_suffix(const char *path, const char *suffix) {
    const size_t length = strlen(path), tail = strlen(suffix);
    struct stat about;

    return length > tail && strcasecmp(path + length - tail, suffix) == 0 &&
           stat(path, &about) == 0 && S_ISREG(about.st_mode);
}

static bool npy_probe(const char *path) {
    return has_suffix(path, ".npy");
}

static bool npz_probe(const char *path) {
    return has_suffix(path, ".npz");
}

static tare_status check_column(arrays *to, column *from, const char *path, tare_error *err) {
    const tare_array *array = &from->header.array;
    const char *name = array->name == NULL ? "the array" : array->name;

    if (array->rank == 0) {
        return tare_fail(err, TARE_INVALID_ARGUMENT,
                         "data '%s': %s has no axis 0 that counts the samples", path, name);
    }
    if (from != &to->columns[0] && array->dims[0] != to->count) {
        return tare_fail(err, TARE_INVALID_ARGUMENT, "data '%s': %s has %zu samples, %s has %zu",
                         path, name, array->dims[0], to->columns[0].header.array.name, to->count);
    }
    to->count = array->dims[0];
    from->sample_bytes = to->count == 0 ? 0 : array->bytes / to->count;
    return TARE_OK;
}

/* Names such as "digits.npy[12]": the file's name, not its path, so that they are equal on every
 * machine. */
static tare_status make_names(arrays *to, const char *path, tare_error *err) {
    const char *slash = strrchr(path, '/');

    to->names = tare_arena_array(&to->arena, to->count, sizeof *to->names);
    for (size_t i = 0; i < to->count && to->names != NULL; i++) {
        to->names[i] =
            tare_arena_printf(&to->arena, "%s[%zu]", slash == NULL ? path : slash + 1, i);
        if (to->names[i] == NULL) {
            to->names = NULL;
        }
    }
    return to->names == NULL ? tare_fail_memory(err, to->count, "the names of samples") : TARE_OK;
}

static tare_status take_preprocess(arrays *to, const tare_source_options *options,
                                   tare_error *err) {
    const tare_array *array = &to->columns[0].header.array;

    if (options->preprocess == NULL) {
        return TARE_OK;
    }
    if (to->column_count != 1 || array->element != TARE_UINT8 || array->rank != 4 ||
        array->dims[3] != 3) {
        return tare_fail(
            err, TARE_INVALID_ARGUMENT,
            "data '%s': %s applies to images: one uint8 array [samples, height, width, 3]; this is "
            "%s of "
            "rank %zu%s. Without a preprocessing the arrays go into the model as they are",
            options->path, options->preprocess->origin, tare_element_name(array->element),
            array->rank, to->column_count == 1 ? "" : ", one of several");
    }
    for (size_t i = 1; i < 3; i++) {
        if (array->dims[i] == 0) {
            return tare_fail(err, TARE_INVALID_ARGUMENT, "data '%s': the images have no pixels",
                             options->path);
        }
    }
    if (array->dims[1] > TARE_IMAGE_MAX_PIXELS / array->dims[2]) {
        return tare_fail(err, TARE_INVALID_ARGUMENT,
                         "data '%s': images of %zux%zu pixels, at most %zu are allowed",
                         options->path, array->dims[2], array->dims[1], TARE_IMAGE_MAX_PIXELS);
    }
    to->preprocessed = true;
    to->preprocess = *options->preprocess;
    return TARE_OK;
}

static tare_status describe(tare_source_info *info, const arrays *from, tare_error *err) {
    info->count = from->count;
    info->input_count = from->column_count;
    for (size_t i = 0; i < from->column_count; i++) {
        const tare_array *array = &from->columns[i].header.array;
        info->inputs[i] = *array;
        info->inputs[i].data = NULL;
        info->inputs[i].dims[0] = 1;
        info->inputs[i].bytes = from->columns[i].sample_bytes;
    }
    if (from->preprocessed) {
        const tare_array *array = &from->columns[0].header.array;
        const bool planar = from->preprocess.layout != TARE_PIXEL_LAYOUT_NHWC;
        const size_t channels = tare_preprocess_channels(&from->preprocess);
        tare_geometry geometry;
        TARE_TRY(tare_preprocess_geometry(&geometry, &from->preprocess, array->dims[2],
                                          array->dims[1], err));
        info->inputs[0].element = TARE_FLOAT32;
        info->inputs[0].dims[1] = planar ? channels : geometry.out_height;
        info->inputs[0].dims[2] = planar ? geometry.out_height : geometry.out_width;
        info->inputs[0].dims[3] = planar ? geometry.out_width : channels;
        info->inputs[0].bytes = channels * geometry.out_height * geometry.out_width * sizeof(float);
    }
    for (size_t i = 0; i < info->input_count; i++) {
        info->sample_bytes += info->inputs[i].bytes;
    }
    return TARE_OK;
}

static tare_status finish_open(arrays *to, tare_source_info *info,
                               const tare_source_options *options, tare_error *err) {
    for (size_t i = 0; i < to->column_count; i++) {
        TARE_TRY(check_column(to, &to->columns[i], options->path, err));
    }
    TARE_TRY(take_preprocess(to, options, err));
    TARE_TRY(make_names(to, options->path, err));
    return describe(info, to, err);
}

static tare_status npy_open(void *state, tare_source_info *info, const tare_source_options *options,
                            tare_error *err) {
    arrays *to = state;

    TARE_TRY(tare_mapping_open(&to->mapping, options->path, err));
    TARE_TRY(tare_npy_parse(&to->columns[0].header, to->mapping.data, to->mapping.bytes,
                            options->path, err));
    to->columns[0].data = to->mapping.data + to->columns[0].header.data_at;
    to->column_count = 1;
    return finish_open(to, info, options, err);
}

static tare_status npz_open(void *state, tare_source_info *info, const tare_source_options *options,
                            tare_error *err) {
    arrays *to = state;

    TARE_TRY(tare_npz_read(&to->npz, options->path, err));
    if (to->npz.count > TARE_SAMPLE_MAX_INPUTS) {
        return tare_fail(err, TARE_UNSUPPORTED,
                         "data '%s' has %zu arrays, at most %d model inputs are supported",
                         options->path, to->npz.count, TARE_SAMPLE_MAX_INPUTS);
    }
    to->column_count = to->npz.count;
    for (size_t i = 0; i < to->column_count; i++) {
        to->columns[i].header.array = to->npz.arrays[i];
        to->columns[i].data = to->npz.arrays[i].data;
        info->resident_bytes += to->npz.storage[i].capacity;
    }
    return finish_open(to, info, options, err);
}

static const char *arrays_sample_name(const void *state, size_t index) {
    const arrays *from = state;

    return from->names[index];
}

static tare_status arrays_measure(size_t *scratch_bytes, const void *state, size_t index,
                                  tare_error *err) {
    const arrays *from = state;
    const tare_array *array = &from->columns[0].header.array;

    TARE_UNUSED(index);
    *scratch_bytes = 0;
    return from->preprocessed ? tare_preprocess_scratch_bytes(scratch_bytes, &from->preprocess,
                                                              array->dims[2], array->dims[1], err)
                              : TARE_OK;
}

static tare_status load_column(tare_sample *sample, size_t index, const column *from,
                               const unsigned char *data, tare_error *err) {
    tare_array shape = from->header.array;

    shape.dims[0] = 1;
    TARE_TRY(tare_sample_shape(sample, index, &shape, err));
    tare_npy_copy(sample->inputs[index].data, data, from->sample_bytes, &from->header);
    return TARE_OK;
}

static tare_status arrays_load(tare_sample *sample, const void *state, size_t index,
                               tare_source_scratch *scratch, tare_error *err) {
    const arrays *from = state;

    sample->id = tare_hash_bytes(0, from->names[index], strlen(from->names[index]));
    for (size_t i = 0; i < from->column_count; i++) {
        const column *part = &from->columns[i];
        const unsigned char *data = part->data + index * part->sample_bytes;
        sample->id = tare_hash_bytes(sample->id, data, part->sample_bytes);
        if (from->preprocessed) {
            const tare_pixels pixels = {data, part->header.array.dims[2],
                                        part->header.array.dims[1]};
            TARE_TRY(tare_preprocess_run(sample, i, &from->preprocess, &pixels, scratch, err));
        } else {
            TARE_TRY(load_column(sample, i, part, data, err));
        }
    }
    return TARE_OK;
}

static void arrays_close(void *state) {
    arrays *to = state;

    tare_npz_release(&to->npz);
    tare_mapping_release(&to->mapping);
    tare_arena_release(&to->arena);
}

const tare_source tare_source_npy = {
    .name = "npy",
    .summary = "a .npy file; axis 0 counts the samples",
    .private_size = sizeof(arrays),
    .probe = npy_probe,
    .open = npy_open,
    .sample_name = arrays_sample_name,
    .measure = arrays_measure,
    .load = arrays_load,
    .close = arrays_close,
};

const tare_source tare_source_npz = {
    .name = "npz",
    .summary = "a .npz file with an array for each model input; axis 0 counts the samples",
    .private_size = sizeof(arrays),
    .probe = npz_probe,
    .open = npz_open,
    .sample_name = arrays_sample_name,
    .measure = arrays_measure,
    .load = arrays_load,
    .close = arrays_close,
};
