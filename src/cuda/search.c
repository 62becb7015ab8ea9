/* SPDX-License-Identifier: Apache-2.0 */
/** The places where NVIDIA's libraries may lie on a machine. */
#include "cuda/search.h"

#include <glob.h>
#include <limits.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#ifndef PATH_MAX
#define PATH_MAX 4096
#endif

typedef struct search {
    const char *name;
    tare_cuda_visit visit;
    void *context;
} search;

/* Visits `name` in the folders that match `folder` with its stars, below `root`. Roots with a
 * special character of glob() are left out rather than misread. */
static bool visit_folders(const search *s, const char *root, const char *folder) {
    char pattern[PATH_MAX];
    glob_t found;
    bool stopped = false;
    if (root == NULL || root[0] == '\0' || strpbrk(root, "*?[\\") != NULL) {
        return false;
    }
    const int length = snprintf(pattern, sizeof pattern, "%s/%s/%s", root, folder, s->name);
    if (length < 0 || (size_t)length >= sizeof pattern || glob(pattern, 0, NULL, &found) != 0) {
        return false;
    }
    for (size_t i = 0; i < found.gl_pathc && !stopped; i++) {
        stopped = s->visit(s->context, found.gl_pathv[i]);
    }
    globfree(&found);
    return stopped;
}

static bool visit_toolkit(const search *s, const char *root) {
    return visit_folders(s, root, "lib64") || visit_folders(s, root, "lib");
}

/* Python's packages below a prefix; the second and third are Debian's ways. */
static bool visit_packages(const search *s, const char *prefix) {
    return visit_folders(s, prefix, "lib/python3*/site-packages/nvidia/*/lib") ||
           visit_folders(s, prefix, "lib/python3*/dist-packages/nvidia/*/lib") ||
           visit_folders(s, prefix, "local/lib/python3*/dist-packages/nvidia/*/lib");
}

/* Replaces a link by what it leads to. False when it is none. */
static bool follow_link(char *file, size_t capacity) {
    char target[PATH_MAX], joined[PATH_MAX];
    const ssize_t length = readlink(file, target, sizeof target - 1);
    const char *slash = strrchr(file, '/');
    if (length <= 0 || slash == NULL) {
        return false;
    }
    target[length] = '\0';
    const int folder = target[0] == '/' ? 0 : (int)(slash - file) + 1;
    const int written = snprintf(joined, sizeof joined, "%.*s%s", folder, file, target);
    if (written < 0 || (size_t)written >= capacity) {
        return false;
    }
    memcpy(file, joined, (size_t)written + 1);
    return true;
}

/* The packages of the prefix of bin/python3. Its links are followed, since the python3 of a virtual
 * environment leads to the one whose packages it may share. Python is not run, so a wrapper script
 * leads nowhere. */
static bool visit_interpreter(const search *s, char *file, size_t capacity) {
    for (int links = 0; links < 8; links++) {
        char prefix[PATH_MAX];
        (void)snprintf(prefix, sizeof prefix, "%s", file);
        for (int up = 0; up < 2; up++) {
            char *slash = strrchr(prefix, '/');
            *(slash == NULL ? prefix : slash) = '\0';
        }
        if (visit_packages(s, prefix)) {
            return true;
        }
        if (!follow_link(file, capacity)) {
            return false;
        }
    }
    return false;
}

/* The first python3 of a list of folders, which is taken apart. */
static bool visit_python(const search *s, char *path) {
    char file[PATH_MAX];
    char *rest = path;
    while (rest != NULL) {
        const char *folder = rest;
        rest = strchr(rest, ':');
        if (rest != NULL) {
            *rest++ = '\0';
        }
        const int length = snprintf(file, sizeof file, "%s/python3", folder);
        if (length > 0 && (size_t)length < sizeof file && access(file, X_OK) == 0) {
            return visit_interpreter(s, file, sizeof file);
        }
    }
    return false;
}

static bool visit_python_on_path(const search *s) {
    const char *path = getenv("PATH");
    char *copy = path == NULL ? NULL : strdup(path);
    const bool stopped = copy != NULL && visit_python(s, copy);
    free(copy);
    return stopped;
}

bool tare_cuda_search(const char *name, const char *variable, tare_cuda_visit visit,
                      void *context) {
    const search s = {name, visit, context};
    const char *named = getenv(variable);
    if (named != NULL && named[0] != '\0') {
        char file[PATH_MAX];
        const int length = snprintf(file, sizeof file, "%s/%s", named, name);
        return length > 0 && (size_t)length < sizeof file && visit(context, file);
    }
    return visit(context, name) || visit_toolkit(&s, getenv("CUDA_HOME")) ||
           visit_toolkit(&s, "/usr/local/cuda") || visit_packages(&s, getenv("VIRTUAL_ENV")) ||
           visit_packages(&s, getenv("CONDA_PREFIX")) || visit_python_on_path(&s) ||
           visit_packages(&s, "/usr") ||
           visit_folders(&s, getenv("HOME"),
                         ".local/lib/python3*/site-packages/nvidia/"
                         "*/lib");
}

/* A line is "55d0c0de0000-55d0c0de4000 r-xp 00000000 08:01 1234 /path", addresses in hexadecimal.
 */
static const char *path_of_mapping(char *line, uintptr_t address) {
    char *end;
    const unsigned long long first = strtoull(line, &end, 16);
    const unsigned long long behind = *end == '-' ? strtoull(end + 1, NULL, 16) : 0;
    char *path = strchr(line, '/');
    if (path == NULL || address < first || address >= behind) {
        return NULL;
    }
    path[strcspn(path, "\n")] = '\0';
    return path;
}

void tare_cuda_mapped_file(char *out, size_t capacity, const void *address, const char *otherwise) {
    char line[PATH_MAX + 128];
    const char *path = NULL;
    FILE *maps = fopen("/proc/self/maps", "r");
    while (maps != NULL && path == NULL && fgets(line, sizeof line, maps) != NULL) {
        path = path_of_mapping(line, (uintptr_t)address);
    }
    (void)snprintf(out, capacity, "%s", path == NULL ? otherwise : path);
    if (maps != NULL) {
        (void)fclose(maps);
    }
}
