/* SPDX-License-Identifier: Apache-2.0 */
/** The .npz format through libarchive: a zip file with one .npy member per array. */
#include <locale.h>
#include <stdlib.h>
#include <string.h>

#include <archive.h>
#include <archive_entry.h>

#include "base/file.h"
#include "data/npy.h"

#define READ_BYTES ((size_t)1 << 16)

/** The calling thread's character set while libarchive works. */
typedef struct utf8_scope {
    locale_t mine, before;
} utf8_scope;

/*
 * libarchive turns member names into the character set of the thread's locale and gives up where
 * that is ASCII, as in any program that never calls setlocale(). ONNX names are UTF-8, so the
 * thread gets that for a while; only this thread.
 */
static utf8_scope utf8_enter(void) {
    utf8_scope scope = {newlocale(LC_CTYPE_MASK, "C.UTF-8", (locale_t)0), (locale_t)0};

    if (scope.mine != (locale_t)0) {
        scope.before = uselocale(scope.mine);
    }
    return scope;
}

static void utf8_leave(const utf8_scope *scope) {
    if (scope->mine != (locale_t)0) {
        (void)uselocale(scope->before);
        freelocale(scope->mine);
    }
}

/** A zip file being read. */
typedef struct npz_reader {
    struct archive *archive;
    tare_npz *npz;
    size_t capacity; /**< of the tables */
    const char *path;
    tare_error *err;
} npz_reader;

static tare_status fail_archive(npz_reader *reader, const char *what) {
    const char *text = archive_error_string(reader->archive);

    return tare_fail(reader->err, TARE_INVALID_ARGUMENT, "'%s': %s: %s", reader->path, what,
                     text == NULL ? "unknown failure" : text);
}

/* The tables grow by doubling; the arena keeps the old ones, which are small. */
static tare_status grow_tables(npz_reader *reader) {
    tare_npz *npz = reader->npz;
    const size_t capacity = reader->capacity == 0 ? 8 : reader->capacity * 2;
    tare_array *arrays;
    tare_memory *storage;

    if (npz->count < reader->capacity) {
        return TARE_OK;
    }
    arrays = tare_arena_array(&npz->arena, capacity, sizeof *arrays);
    storage = tare_arena_array(&npz->arena, capacity, sizeof *storage);
    if (arrays == NULL || storage == NULL) {
        return tare_fail_memory(reader->err, capacity * sizeof *arrays, "the arrays of a .npz");
    }
    if (npz->count != 0) {
        memcpy(arrays, npz->arrays, npz->count * sizeof *arrays);
        memcpy(storage, npz->storage, npz->count * sizeof *storage);
    }
    npz->arrays = arrays;
    npz->storage = storage;
    reader->capacity = capacity;
    return TARE_OK;
}

/* The announced size is only a hint for the first allocation: a hostile file may announce anything.
 */
static tare_status read_member(npz_reader *reader, tare_memory *to, size_t *bytes,
                               int64_t announced) {
    size_t capacity =
        announced > 0 && announced < (int64_t)1 << 26 ? (size_t)announced + 1 : READ_BYTES;

    *bytes = 0;
    TARE_TRY(tare_memory_reserve(to, capacity, "an array of a .npz", reader->err));
    for (;;) {
        la_ssize_t got;
        if (*bytes == to->capacity) {
            void *data;
            capacity = to->capacity * 2;
            data = to->capacity > SIZE_MAX / 2 ? NULL : realloc(to->data, capacity);
            if (data == NULL) {
                return tare_fail_memory(reader->err, capacity, "an array of a .npz");
            }
            to->data = data;
            to->capacity = capacity;
        }
        got = archive_read_data(reader->archive, (char *)to->data + *bytes, to->capacity - *bytes);
        if (got < 0) {
            return fail_archive(reader, "a member does not unpack");
        }
        if (got == 0) {
            return TARE_OK;
        }
        *bytes += (size_t)got;
    }
}

static tare_status member_name(npz_reader *reader, char **out, struct archive_entry *entry) {
    const char *name = archive_entry_pathname_utf8(entry);
    size_t length;

    name = name == NULL ? archive_entry_pathname(entry) : name;
    if (name == NULL) {
        return tare_fail(reader->err, TARE_INVALID_ARGUMENT, "'%s': a member has no readable name",
                         reader->path);
    }
    length = strlen(name);
    if (length <= 4 || strcmp(name + length - 4, ".npy") != 0) {
        return tare_fail(reader->err, TARE_INVALID_ARGUMENT, "'%s': member '%s' is not a .npy",
                         reader->path, name);
    }
    *out = tare_arena_strndup(&reader->npz->arena, name, length - 4);
    return *out == NULL ? tare_fail_memory(reader->err, length, "a name") : TARE_OK;
}

static tare_status add_member(npz_reader *reader, struct archive_entry *entry) {
    tare_npz *npz = reader->npz;
    tare_npy_header header;
    tare_memory *storage;
    char *name = NULL;
    size_t bytes;
    tare_status status;

    TARE_TRY(member_name(reader, &name, entry));
    for (size_t i = 0; i < npz->count; i++) {
        if (strcmp(npz->arrays[i].name, name) == 0) {
            return tare_fail(reader->err, TARE_INVALID_ARGUMENT, "'%s': array '%s' occurs twice",
                             reader->path, name);
        }
    }
    TARE_TRY(grow_tables(reader));
    storage = &npz->storage[npz->count];
    npz->count++; /* from here on the storage is released with the rest */
    TARE_TRY(read_member(reader, storage, &bytes,
                         archive_entry_size_is_set(entry) ? archive_entry_size(entry) : 0));
    status = tare_npy_parse(&header, storage->data, bytes, reader->path, reader->err);
    if (status != TARE_OK) {
        tare_error_prepend(reader->err, "array '%s' of ", name);
        return status;
    }
    if (header.swapped) {
        const tare_memory raw = *storage;
        *storage = (tare_memory){0};
        status =
            tare_memory_reserve(storage, header.array.bytes, "an array of a .npz", reader->err);
        if (status == TARE_OK) {
            tare_npy_copy(storage->data, (const char *)raw.data + header.data_at,
                          header.array.bytes, &header);
        }
        free(raw.data);
        TARE_TRY(status);
    } else {
        /* To the front of the memory: there it is aligned for every type, whatever the header's
         * length. */
        memmove(storage->data, (const char *)storage->data + header.data_at, header.array.bytes);
    }
    header.array.name = name;
    header.array.data = storage->data;
    npz->arrays[npz->count - 1] = header.array;
    return TARE_OK;
}

static tare_status read_members(npz_reader *reader) {
    for (;;) {
        struct archive_entry *entry = NULL;
        const int code = archive_read_next_header(reader->archive, &entry);
        if (code == ARCHIVE_EOF) {
            break;
        }
        if (code != ARCHIVE_OK && (code != ARCHIVE_WARN || entry == NULL)) {
            return fail_archive(reader, "not a readable .npz");
        }
        TARE_TRY(add_member(reader, entry));
    }
    if (reader->npz->count == 0) {
        return tare_fail(reader->err, TARE_INVALID_ARGUMENT, "'%s' holds no arrays", reader->path);
    }
    return TARE_OK;
}

tare_status tare_npz_read(tare_npz *npz, const char *path, tare_error *err) {
    npz_reader reader = {.npz = npz, .path = path, .err = err};
    const utf8_scope scope = utf8_enter();
    tare_mapping file = {0};
    tare_status status;

    *npz = (tare_npz){0};
    TARE_TRY_DONE(status, tare_mapping_open(&file, path, err));
    reader.archive = archive_read_new();
    if (reader.archive == NULL) {
        status = tare_fail_memory(err, 0, "libarchive");
        goto done;
    }
    /* The directory at the end of the file is authoritative: the seekable reader is the only one
     * asked for. */
    if (archive_read_support_format_zip_seekable(reader.archive) != ARCHIVE_OK ||
        archive_read_set_options(reader.archive, "zip:hdrcharset=UTF-8") < ARCHIVE_WARN ||
        archive_read_open_memory(reader.archive, file.data, file.bytes) != ARCHIVE_OK) {
        status = fail_archive(&reader, "not a .npz (zip) file");
        goto done;
    }
    status = read_members(&reader);
done:
    (void)archive_read_free(reader.archive);
    utf8_leave(&scope);
    tare_mapping_release(&file);
    if (status != TARE_OK) {
        tare_npz_release(npz);
    }
    return status;
}

void tare_npz_release(tare_npz *npz) {
    if (npz != NULL) {
        for (size_t i = 0; i < npz->count; i++) {
            tare_memory_release(&npz->storage[i]);
        }
        tare_arena_release(&npz->arena);
        *npz = (tare_npz){0};
    }
}

/** A zip file being written through an output that appears only when it is complete. */
typedef struct npz_writer {
    tare_output *out;
    tare_status status; /**< of the output, which libarchive only knows as "failed" */
    tare_error *err;
} npz_writer;

static la_ssize_t on_write(struct archive *archive, void *data, const void *bytes, size_t count) {
    npz_writer *writer = data;

    TARE_UNUSED(archive);
    if (writer->status == TARE_OK) {
        writer->status = tare_output_write(writer->out, bytes, count, writer->err);
    }
    return writer->status == TARE_OK ? (la_ssize_t)count : -1;
}

static tare_status fail_write(const npz_writer *writer, struct archive *archive, const char *path) {
    const char *text = archive_error_string(archive);

    if (writer->status != TARE_OK) {
        return writer->status; /* err tells the real reason already */
    }
    return tare_fail(writer->err, TARE_IO, "'%s': %s", path,
                     text == NULL ? "writing the zip file failed" : text);
}

static bool write_bytes(struct archive *archive, const void *data, size_t bytes) {
    const char *at = data;

    while (bytes > 0) {
        const la_ssize_t wrote = archive_write_data(archive, at, bytes);
        if (wrote <= 0) {
            return false;
        }
        at += wrote;
        bytes -= (size_t)wrote;
    }
    return true;
}

static tare_status write_member(npz_writer *writer, struct archive *archive, const char *path,
                                const tare_array *array) {
    char header[TARE_NPY_HEADER_BYTES], *name = NULL;
    struct archive_entry *entry = archive_entry_new2(archive);
    tare_arena arena = {0};
    tare_status status;
    size_t bytes;

    TARE_TRY_DONE(status, tare_npy_format(header, &bytes, array, writer->err));
    name = tare_arena_printf(&arena, "%s.npy", array->name);
    if (name == NULL || entry == NULL) {
        status = tare_fail_memory(writer->err, 0, "a member of a .npz");
        goto done;
    }
    archive_entry_set_pathname(entry, name);
    archive_entry_set_filetype(entry, AE_IFREG);
    archive_entry_set_perm(entry, 0644);
    archive_entry_set_mtime(entry, 315619200,
                            0); /* 1980-01-02: a fixed time, so equal arrays give equal files */
    archive_entry_set_size(entry, (la_int64_t)(bytes + array->bytes));
    if (archive_write_header(archive, entry) < ARCHIVE_WARN ||
        !write_bytes(archive, header, bytes) || !write_bytes(archive, array->data, array->bytes)) {
        status = fail_write(writer, archive, path);
    }
done:
    archive_entry_free(entry);
    tare_arena_release(&arena);
    return status;
}

tare_status tare_npz_write(const char *path, const tare_array *arrays, size_t count,
                           tare_error *err) {
    const utf8_scope scope = utf8_enter();
    struct archive *archive = archive_write_new();
    npz_writer writer = {.err = err};
    tare_status status;

    if (archive == NULL) {
        status = tare_fail_memory(err, 0, "libarchive");
        goto done;
    }
    TARE_TRY_DONE(status, tare_output_open(&writer.out, path, err));
    if (archive_write_set_format_zip(archive) != ARCHIVE_OK ||
        archive_write_set_options(archive, "zip:compression=store,zip:hdrcharset=UTF-8") <
            ARCHIVE_WARN ||
        archive_write_set_bytes_in_last_block(archive, 1) != ARCHIVE_OK ||
        archive_write_open(archive, &writer, NULL, on_write, NULL) != ARCHIVE_OK) {
        status = fail_write(&writer, archive, path);
        goto done;
    }
    for (size_t i = 0; i < count; i++) {
        TARE_TRY_DONE(status, write_member(&writer, archive, path, &arrays[i]));
    }
    if (archive_write_close(archive) != ARCHIVE_OK) {
        status = fail_write(&writer, archive, path);
        goto done;
    }
    status = tare_output_commit(writer.out, err);
    writer.out = NULL;
done:
    /* After a failure freeing would try to finish the file: the output must still be there then. */
    (void)archive_write_free(archive);
    utf8_leave(&scope);
    tare_output_discard(writer.out);
    return status;
}
