/* SPDX-License-Identifier: Apache-2.0 */
/** Looks for cuBLASLt and cuDNN on this machine. */
#include "cuda/library.h"

#include <dlfcn.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "cuda/search.h"

#define ENTER_F(result, name, parameters, arguments) api->name = name;
#define ENTER_Q(result, name, parameters)            api->name = name;

void tare_cuda_api_init(tare_cuda_api *api) {
    memset(api, 0, sizeof *api);
    TARE_CUDA_RUNTIME_CALLS(ENTER_F, ENTER_Q)
}

/* C has no conversion from the pointer that dlsym() returns to one to a function; POSIX promises
 * that they look alike. */
static bool look_up(void *entry, void *library, const char *name, tare_device_part *part) {
    void *symbol = dlsym(library, name);
    if (symbol == NULL) {
        (void)snprintf(part->detail, sizeof part->detail, "the library has no %s", name);
        return false;
    }
    memcpy(entry, &symbol, sizeof symbol);
    return true;
}

#define LOOK_UP_F(result, name, parameters, arguments) &&look_up(&api->name, library, #name, part)
#define LOOK_UP_Q(result, name, parameters)            LOOK_UP_F(result, name, parameters, ())

static bool enter_cublaslt(tare_cuda_api *api, void *library, tare_device_part *part) {
    return true TARE_CUBLASLT_CALLS(LOOK_UP_F, LOOK_UP_Q);
}

static bool enter_cudnn(tare_cuda_api *api, void *library, tare_device_part *part) {
    return true TARE_CUDNN_CALLS(LOOK_UP_F, LOOK_UP_Q);
}

static size_t cublaslt_version(const tare_cuda_api *api) {
    return api->cublasLtGetVersion();
}

static size_t cudnn_version(const tare_cuda_api *api) {
    return api->cudnnGetVersion();
}

/* A library, and the versions with which the backend works. */
typedef struct wanted {
    const char *part;
    const char *names[4]; /* the right one first; others are opened to tell their version */
    const char *variable;
    const char *symbol; /* whose place tells the library's file */
    bool (*enter)(tare_cuda_api *api, void *library, tare_device_part *part);
    size_t (*version)(const tare_cuda_api *api);
    size_t least, below; /* major * 10000 + minor * 100 + patch */
    const char *expected;
} wanted;

/* cuBLASLt first: cuDNN then uses the one that is open instead of looking for its own. */
static const wanted libraries[TARE_CUDA_LIBRARY_COUNT] = {
    {"cuBLASLt",
     {"libcublasLt.so.13", "libcublasLt.so.12"},
     "TARE_CUBLAS_DIR",
     "cublasLtGetVersion",
     enter_cublaslt,
     cublaslt_version,
     130000,
     140000,
     "13"},
    {"cuDNN",
     {"libcudnn.so.9", "libcudnn.so.10", "libcudnn.so.8"},
     "TARE_CUDNN_DIR",
     "cudnnGetVersion",
     enter_cudnn,
     cudnn_version,
     90800,
     100000,
     "9.8 or a later 9"},
};

/* Versions before cuDNN 9 have a digit less: 8902 is 8.9.2. */
static void write_version(char *out, size_t capacity, size_t version) {
    const size_t major = version < 10000 ? version / 1000 : version / 10000;
    const size_t minor = version < 10000 ? version / 100 % 10 : version / 100 % 100;
    (void)snprintf(out, capacity, "%zu.%zu.%zu", major, minor, version % 100);
}

/* Takes a library's entry points if it is one that will do; else says in `part` why not. */
static bool accept(tare_cuda_api *api, void *library, const char *file, const wanted *what,
                   tare_device_part *part) {
    char path[TARE_DEVICE_TEXT_BYTES];
    if (!what->enter(api, library, part)) {
        return false;
    }
    tare_cuda_mapped_file(path, sizeof path, dlsym(library, what->symbol), file);
    const size_t version = what->version(api);
    char found[sizeof part->version];
    write_version(found, sizeof found, version);
    part->usable = version >= what->least && version < what->below;
    if (part->usable) {
        (void)snprintf(part->version, sizeof part->version, "%s", found);
        (void)snprintf(part->detail, sizeof part->detail, "%s", path);
    } else {
        (void)snprintf(part->detail, sizeof part->detail, "version %s, expected %s: %.160s", found,
                       what->expected, path);
    }
    return part->usable;
}

typedef struct attempt {
    tare_cuda_api *api;
    const wanted *what;
    tare_device_part *part;
} attempt;

/* Visits one place where the library may be; true ends the search. */
static bool try_file(void *context, const char *file) {
    const attempt *try = context;
    /* A bare name is the loader's to find, but a path that is not there need not be asked for. */
    if (strchr(file, '/') != NULL && access(file, F_OK) != 0) {
        return false;
    }
    void *library = dlopen(file, RTLD_NOW | RTLD_LOCAL | RTLD_NODELETE);
    if (library == NULL) {
        if (strchr(file, '/') != NULL) {
            (void)snprintf(try->part->detail, sizeof try->part->detail, "%s", dlerror());
        }
        return false;
    }
    return accept(try->api, library, file, try->what, try->part);
}

static void open_library(tare_cuda_api *api, const wanted *what, tare_device_part *part) {
    attempt try = {api, what, part};
    memset(part, 0, sizeof *part);
    (void)snprintf(part->name, sizeof part->name, "%s", what->part);
    for (size_t i = 0; what->names[i] != NULL && !part->usable; i++) {
        (void)tare_cuda_search(what->names[i], what->variable, try_file, &try);
    }
    if (!part->usable && part->detail[0] == '\0') {
        (void)snprintf(part->detail, sizeof part->detail,
                       "%s was not found; %s can name its folder", what->names[0], what->variable);
    }
}

void tare_cuda_libraries_open(tare_cuda_api *api, tare_device_part parts[TARE_CUDA_LIBRARY_COUNT]) {
    for (size_t i = 0; i < TARE_CUDA_LIBRARY_COUNT; i++) {
        open_library(api, &libraries[i], &parts[i]);
    }
}
