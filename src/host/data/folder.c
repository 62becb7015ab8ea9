/* SPDX-License-Identifier: Apache-2.0 */
/** The source "folder": all images below a folder, sorted by relative path, or a single image file.
 */
#include <dirent.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include <sys/stat.h>

#include "base/arena.h"
#include "base/file.h"
#include "data/source.h"

/* Deeper than any data set and well within the stack. */
#define MAX_DEPTH 64

typedef struct folder {
    tare_arena arena; /**< of the names */
    const char *root; /**< NULL for a single file, whose name is then its path */
    const char **names;
    size_t count, capacity;
    size_t skipped;
    tare_preprocess preprocess;
    const char *file_path; /**< of a single file */
} folder;

/** A folder on the way down from the root; used to recognise loops of symbolic links. */
typedef struct level {
    const struct level *above;
    dev_t device;
    ino_t inode;
    size_t depth;
    int descriptor; /**< of the open folder */
} level;

static bool has_image_suffix(const char *name) {
    static const char *const suffixes[] = {".jpg", ".jpeg", ".jpe", ".jfif",
                                           ".png", ".webp", ".bmp", ".dib"};
    const char *dot = strrchr(name, '.');

    for (size_t i = 0; dot != NULL && i < sizeof suffixes / sizeof suffixes[0]; i++) {
        if (strcasecmp(dot, suffixes[i]) == 0) {
            return true;
        }
    }
    return false;
}

static bool folder_probe(const char *path) {
    struct stat about;

    return stat(path, &about) == 0 &&
           (S_ISDIR(about.st_mode) || (S_ISREG(about.st_mode) && has_image_suffix(path)));
}

static tare_status add_name(folder *to, const char *name, tare_error *err) {
    if (to->count == to->capacity) {
        const size_t capacity = to->capacity == 0 ? 256 : to->capacity * 2;
        const char **names = realloc(to->names, capacity * sizeof *names);
        if (names == NULL) {
            return tare_fail_memory(err, capacity * sizeof *names, "the names of images");
        }
        to->names = names;
        to->capacity = capacity;
    }
    to->names[to->count++] = name;
    return TARE_OK;
}

static bool is_loop(const level *from, const struct stat *about) {
    for (; from != NULL; from = from->above) {
        if (from->device == about->st_dev && from->inode == about->st_ino) {
            return true;
        }
    }
    return false;
}

static tare_status scan_folder(folder *to, const char *path, const char *relative,
                               const level *above, tare_error *err);

static tare_status scan_entry(folder *to, const char *path, const char *relative, const char *entry,
                              const level *here, tare_error *err) {
    struct stat about;
    const bool inner = fstatat(here->descriptor, entry, &about, 0) == 0 && S_ISDIR(about.st_mode);
    char *full, *name;

    /* A dangling link or a socket with an image's name is listed: loading it then fails by name. */
    if (!inner && !has_image_suffix(entry)) {
        to->skipped++;
        return TARE_OK;
    }
    name = tare_arena_printf(&to->arena, "%s%s%s", relative, relative[0] == '\0' ? "" : "/", entry);
    if (name == NULL) {
        return tare_fail_memory(err, 0, "the names of images");
    }
    if (!inner) {
        return add_name(to, name, err);
    }
    full = tare_arena_printf(&to->arena, "%s/%s", path, entry);
    if (full == NULL) {
        return tare_fail_memory(err, 0, "the names of images");
    }
    return is_loop(here, &about) ? TARE_OK : scan_folder(to, full, name, here, err);
}

static tare_status scan_folder(folder *to, const char *path, const char *relative,
                               const level *above, tare_error *err) {
    level here = {.above = above, .depth = above == NULL ? 0 : above->depth + 1};
    tare_status status = TARE_OK;
    struct stat about;
    DIR *directory = opendir(path);
    int reason;

    if (directory == NULL || stat(path, &about) != 0) {
        status = tare_fail(err, TARE_IO, "folder '%s': %s", path, strerror(errno));
        goto done;
    }
    if (here.depth > MAX_DEPTH) {
        status = tare_fail(err, TARE_UNSUPPORTED, "folder '%s' lies more than %d levels deep", path,
                           MAX_DEPTH);
        goto done;
    }
    here.device = about.st_dev;
    here.inode = about.st_ino;
    here.descriptor = dirfd(directory);
    for (;;) {
        const struct dirent *entry;
        errno = 0;
        entry = readdir(directory);
        reason = errno;
        if (entry == NULL) {
            break;
        }
        if (strcmp(entry->d_name, ".") == 0 || strcmp(entry->d_name, "..") == 0) {
            continue;
        }
        /* Hidden files are other programs' bookkeeping ("._photo.jpg" is not a photograph). */
        if (entry->d_name[0] == '.') {
            to->skipped++;
            continue;
        }
        TARE_TRY_DONE(status, scan_entry(to, path, relative, entry->d_name, &here, err));
    }
    if (reason != 0) {
        status = tare_fail(err, TARE_IO, "folder '%s': %s", path, strerror(reason));
    }
done:
    if (directory != NULL) {
        (void)closedir(directory);
    }
    return status;
}

static int compare_names(const void *a, const void *b) {
    const char *const *left = a, *const *right = b;

    return strcmp(*left, *right);
}

static tare_status open_single(folder *to, const char *path, tare_error *err) {
    const char *slash = strrchr(path, '/');
    const char *name = tare_arena_strdup(&to->arena, slash == NULL ? path : slash + 1);

    to->file_path = tare_arena_strdup(&to->arena, path);
    if (name == NULL || to->file_path == NULL) {
        return tare_fail_memory(err, strlen(path), "a name");
    }
    return add_name(to, name, err);
}

static tare_status open_folder(folder *to, const char *path, tare_error *err) {
    to->root = tare_arena_strdup(&to->arena, path);
    if (to->root == NULL) {
        return tare_fail_memory(err, strlen(path), "a name");
    }
    TARE_TRY(scan_folder(to, path, "", NULL, err));
    if (to->count == 0) {
        return tare_fail(
            err, TARE_NOT_FOUND,
            "folder '%s' holds no images (JPEG, PNG, WebP, BMP); %zu other files were passed over",
            path, to->skipped);
    }
    qsort(to->names, to->count, sizeof *to->names, compare_names);
    return TARE_OK;
}

static void describe(tare_source_info *info, const folder *from) {
    tare_array *input = &info->inputs[0];
    const bool planar = from->preprocess.layout != TARE_PIXEL_LAYOUT_NHWC;
    const size_t channels = tare_preprocess_channels(&from->preprocess);
    size_t height, width;

    tare_preprocess_size(&height, &width, &from->preprocess);
    info->count = from->count;
    info->skipped = from->skipped;
    info->input_count = 1;
    input->element = TARE_FLOAT32;
    input->rank = 4;
    input->dims[0] = 1;
    input->dims[1] = planar ? channels : height;
    input->dims[2] = planar ? height : width;
    input->dims[3] = planar ? width : channels;
    input->bytes = channels * height * width * sizeof(float);
    info->sample_bytes = input->bytes;
}

static tare_status folder_open(void *state, tare_source_info *info,
                               const tare_source_options *options, tare_error *err) {
    folder *to = state;
    struct stat about;

    if (options->preprocess == NULL) {
        return tare_fail(
            err, TARE_INVALID_ARGUMENT,
            "data '%s': images need a description of their preprocessing (a preset or a JSON file)",
            options->path);
    }
    to->preprocess = *options->preprocess;
    if (stat(options->path, &about) != 0) {
        return tare_fail(err, TARE_NOT_FOUND, "data '%s': %s", options->path, strerror(errno));
    }
    TARE_TRY(S_ISDIR(about.st_mode) ? open_folder(to, options->path, err)
                                    : open_single(to, options->path, err));
    describe(info, to);
    return TARE_OK;
}

static const char *folder_sample_name(const void *state, size_t index) {
    const folder *from = state;

    return from->names[index];
}

/** An image file mapped for one call, and its path. */
typedef struct image_file {
    tare_mapping mapping;
    tare_arena arena;
    tare_image_source source;
} image_file;

static tare_status image_file_open(image_file *to, const folder *from, size_t index,
                                   tare_error *err) {
    to->source.path = from->root == NULL
                          ? from->file_path
                          : tare_arena_printf(&to->arena, "%s/%s", from->root, from->names[index]);
    if (to->source.path == NULL) {
        return tare_fail_memory(err, 0, "the path of an image");
    }
    TARE_TRY(tare_mapping_open(&to->mapping, to->source.path, err));
    to->source.data = to->mapping.data;
    to->source.bytes = to->mapping.bytes;
    return TARE_OK;
}

static void image_file_close(image_file *file) {
    tare_mapping_release(&file->mapping);
    tare_arena_release(&file->arena);
}

static tare_status folder_measure(size_t *scratch_bytes, const void *state, size_t index,
                                  tare_error *err) {
    const folder *from = state;
    image_file file = {0};
    tare_status status = image_file_open(&file, from, index, err);

    if (status == TARE_OK) {
        status = tare_preprocess_file_bytes(scratch_bytes, &from->preprocess, &file.source, err);
    }
    image_file_close(&file);
    return status;
}

static uint64_t image_id(const folder *from, size_t index, const image_file *file) {
    const uint64_t name = tare_hash_bytes(0, from->names[index], strlen(from->names[index]));
    return tare_hash_bytes(name, file->source.data, file->source.bytes);
}

static tare_status folder_identify(uint64_t *id, const void *state, size_t index, tare_error *err) {
    const folder *from = state;
    image_file file = {0};
    const tare_status status = image_file_open(&file, from, index, err);

    if (status == TARE_OK) {
        *id = image_id(from, index, &file);
    }
    image_file_close(&file);
    return status;
}

static tare_status folder_load(tare_sample *sample, const void *state, size_t index,
                               tare_source_scratch *scratch, tare_error *err) {
    const folder *from = state;
    image_file file = {0};
    tare_status status;

    TARE_TRY_DONE(status, image_file_open(&file, from, index, err));
    sample->id = image_id(from, index, &file);
    status = tare_preprocess_run_file(sample, &from->preprocess, &file.source, scratch, err);
done:
    image_file_close(&file);
    return status;
}

static void folder_close(void *state) {
    folder *to = state;

    free(to->names);
    tare_arena_release(&to->arena);
}

const tare_source tare_source_folder = {
    .name = "folder",
    .summary = "a folder of JPEG, PNG, WebP or BMP images (with its subfolders), or one image",
    .private_size = sizeof(folder),
    .probe = folder_probe,
    .open = folder_open,
    .sample_name = folder_sample_name,
    .measure = folder_measure,
    .load = folder_load,
    .close = folder_close,
    .identify = folder_identify,
};
