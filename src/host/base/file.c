/* SPDX-License-Identifier: Apache-2.0 */
/** Files: read-only mappings, and outputs that appear complete or not at all. */
#include "base/file.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

struct tare_output {
    int fd;
    uint64_t position;
    char *path, *temporary;
};

static tare_status fail_errno(tare_error *err, const char *verb, const char *path) {
    const int number = errno;
    return tare_fail(err, number == ENOENT ? TARE_NOT_FOUND : TARE_IO, "cannot %s '%s': %s", verb,
                     path, strerror(number));
}

tare_status tare_mapping_open(tare_mapping *mapping, const char *path, tare_error *err) {
    tare_status status = TARE_OK;
    struct stat info;
    void *data;
    int fd;

    *mapping = (tare_mapping){0};
    /* Without waiting: a named pipe would keep us until somebody writes to it. */
    fd = open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK);
    if (fd < 0) {
        return fail_errno(err, "open", path);
    }
    if (fstat(fd, &info) != 0) {
        status = fail_errno(err, "inspect", path);
        goto done;
    }
    if (!S_ISREG(info.st_mode)) {
        status = tare_fail(err, TARE_IO, "cannot read '%s': it is not a regular file%s", path,
                           S_ISDIR(info.st_mode) ? " but a folder" : "");
        goto done;
    }
    if (info.st_size == 0) {
        goto done;
    }
    data = mmap(NULL, (size_t)info.st_size, PROT_READ, MAP_PRIVATE, fd, 0);
    if (data == MAP_FAILED) {
        status = fail_errno(err, "map", path);
        goto done;
    }
    mapping->data = data;
    mapping->bytes = (size_t)info.st_size;
done:
    (void)close(fd);
    return status;
}

void tare_mapping_release(tare_mapping *mapping) {
    if (mapping != NULL && mapping->data != NULL) {
        (void)munmap((void *)(uintptr_t)mapping->data, mapping->bytes);
        *mapping = (tare_mapping){0};
    }
}

static void output_free(tare_output *out) {
    if (out != NULL) {
        if (out->fd >= 0) {
            (void)close(out->fd);
        }
        free(out->path);
        free(out->temporary);
        free(out);
    }
}

/* What lies at the path is going to be replaced: that must be a file, or nothing. Where it is a
 * symbolic link, the file it leads to is. */
static tare_status name_files(tare_output *out, const char *path, tare_error *err) {
    static const char suffix[] = ".tmp-XXXXXX";
    struct stat info;
    const bool is_link = lstat(path, &info) == 0 && S_ISLNK(info.st_mode);
    size_t length;

    out->path = is_link ? realpath(path, NULL) : strdup(path);
    if (is_link && out->path == NULL) {
        return tare_fail(err, TARE_IO, "cannot write '%s': it is a symbolic link to nothing", path);
    }
    if (out->path != NULL && stat(out->path, &info) == 0 && !S_ISREG(info.st_mode)) {
        return tare_fail(err, TARE_IO, "cannot write '%s': it is %s", path,
                         S_ISDIR(info.st_mode) ? "a folder" : "not a regular file");
    }
    length = out->path == NULL ? strlen(path) : strlen(out->path);
    out->temporary = malloc(length + sizeof suffix);
    if (out->path == NULL || out->temporary == NULL) {
        return tare_fail_memory(err, length, "a path");
    }
    memcpy(out->temporary, out->path, length);
    memcpy(out->temporary + length, suffix, sizeof suffix);
    return TARE_OK;
}

tare_status tare_output_open(tare_output **result, const char *path, tare_error *err) {
    tare_output *out = calloc(1, sizeof *out);
    tare_status status;
    mode_t mask;

    *result = NULL;
    if (out == NULL) {
        return tare_fail_memory(err, sizeof *out, "an output file");
    }
    out->fd = -1;
    status = name_files(out, path, err);
    if (status != TARE_OK) {
        output_free(out);
        return status;
    }
    out->fd = mkstemp(out->temporary);
    if (out->fd < 0) {
        status = tare_fail(err, TARE_IO, "cannot write '%s': %s", path, strerror(errno));
        output_free(out);
        return status;
    }
    /* mkstemp makes a private file; an output should have the permissions of any new file. */
    mask = umask(0);
    (void)umask(mask);
    (void)fchmod(out->fd, (mode_t)0666 & ~mask);
    *result = out;
    return TARE_OK;
}

tare_status tare_output_check(const char *path, tare_error *err) {
    tare_output *out = NULL;
    TARE_TRY(tare_output_open(&out, path, err));
    tare_output_discard(out);
    return TARE_OK;
}

tare_status tare_output_write(tare_output *out, const void *data, size_t bytes, tare_error *err) {
    const unsigned char *at = data;
    while (bytes > 0) {
        const size_t chunk = bytes < ((size_t)1 << 30) ? bytes : (size_t)1 << 30;
        const ssize_t written = write(out->fd, at, chunk);
        if (written < 0) {
            if (errno == EINTR) {
                continue;
            }
            return tare_fail(err, TARE_IO, "cannot write '%s': %s", out->path, strerror(errno));
        }
        at += written;
        bytes -= (size_t)written;
        out->position += (uint64_t)written;
    }
    return TARE_OK;
}

tare_status tare_output_align(tare_output *out, size_t alignment, tare_error *err) {
    static const unsigned char zeros[4096];
    size_t missing = (size_t)((alignment - out->position % alignment) % alignment);
    while (missing > 0) {
        const size_t chunk = missing < sizeof zeros ? missing : sizeof zeros;
        TARE_TRY(tare_output_write(out, zeros, chunk, err));
        missing -= chunk;
    }
    return TARE_OK;
}

uint64_t tare_output_position(const tare_output *out) {
    return out->position;
}

tare_status tare_output_commit(tare_output *out, tare_error *err) {
    tare_status status = TARE_OK;
    if (fsync(out->fd) != 0 || rename(out->temporary, out->path) != 0) {
        status = tare_fail(err, TARE_IO, "cannot write '%s': %s", out->path, strerror(errno));
        (void)unlink(out->temporary);
    }
    output_free(out);
    return status;
}

void tare_output_discard(tare_output *out) {
    if (out != NULL) {
        (void)unlink(out->temporary);
        output_free(out);
    }
}

tare_status tare_file_write(const char *path, const void *data, size_t bytes, tare_error *err) {
    tare_output *out = NULL;
    tare_status status = tare_output_open(&out, path, err);
    if (status == TARE_OK) {
        status = tare_output_write(out, data, bytes, err);
    }
    if (status != TARE_OK) {
        tare_output_discard(out);
        return status;
    }
    return tare_output_commit(out, err);
}
