/* SPDX-License-Identifier: Apache-2.0 */
/**
 * Plans in files: one per convolution, in a folder per kind of device and version of cuDNN.
 *
 * A file is a line that names the format, a line with the key, a line about the plan, and cuDNN's
 * text of it. The name comes from a hash of the key, and the key is compared, so that neither a
 * collision nor a file of another version can give a wrong plan.
 */
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#include "base/file.h"
#include "base/hash.h"
#include "cuda/conv_plan.h"

#define FORMAT_LINE "tare convolution plan 2\n"

/* Missing folders on the way to `path`, and itself; what cannot be made shows when a file is. */
static void make_folders(char *path) {
    for (char *at = path + 1; *at != '\0'; at++) {
        if (*at == '/') {
            *at = '\0';
            (void)mkdir(path, 0777);
            *at = '/';
        }
    }
    (void)mkdir(path, 0777);
}

static void add_name(tare_text *out, const char *name) {
    for (const char *at = name; *at != '\0'; at++) {
        const bool kept =
            (*at >= 'a' && *at <= 'z') || (*at >= 'A' && *at <= 'Z') || (*at >= '0' && *at <= '9');
        tare_text_add(out, "%c", kept ? *at : '-');
    }
}

char *tare_conv_folder_new(const char *root, const tare_device *device, size_t version) {
    tare_text path = {0};
    tare_text_add(&path, "%s/", root);
    add_name(&path, device->name);
    tare_text_add(&path, "-sm%d%d-%d-cudnn%zu", device->capability[0], device->capability[1],
                  device->processors, version);
    if (path.failed || path.data == NULL) {
        tare_text_release(&path);
        return NULL;
    }
    make_folders(path.data);
    return path.data;
}

static tare_status file_name(tare_text *out, const char *folder, const char *key, tare_error *err) {
    const uint64_t hash = tare_hash_bytes(0, key, strlen(key));
    tare_text_add(out, "%s/%016llx.plan", folder, (unsigned long long)hash);
    return tare_text_check(out, err);
}

/** What is left of a file that is being read. */
typedef struct unread_text {
    const char *text;
    size_t length;
} unread_text;

static bool skip(unread_text *rest, const char *expected) {
    const size_t length = strlen(expected);
    if (rest->length < length || memcmp(rest->text, expected, length) != 0) {
        return false;
    }
    rest->text += length;
    rest->length -= length;
    return true;
}

/* A plan chosen by heuristics does for a device that does not tune, a measured one for both. */
static bool read_header(tare_conv_plan *out, unread_text *rest, const char *key, bool tune) {
    if (!skip(rest, FORMAT_LINE) || !skip(rest, key)) {
        return false;
    }
    out->fused = skip(rest, "\nfused");
    if (!out->fused && !skip(rest, "\nalone")) {
        return false;
    }
    return (skip(rest, " measured\n") || (!tune && skip(rest, " guessed\n"))) && rest->length > 0;
}

static tare_status load(tare_conv_plan *out, const tare_conv_maker *maker, const char *path,
                        const char *key, tare_error *err) {
    tare_mapping mapping = {0};
    unread_text rest;
    tare_status status;

    TARE_TRY_DONE(status, tare_mapping_open(&mapping, path, err));
    rest.text = (const char *)mapping.data;
    rest.length = mapping.bytes;
    if (rest.length == 0 || !read_header(out, &rest, key, maker->device->tune)) {
        status = tare_fail(err, TARE_NOT_FOUND, "'%s' holds no plan for this convolution", path);
        goto done;
    }
    TARE_TRY_DONE(status,
                  tare_cudnn_plan_read(&out->plan, &out->scope, rest.text, rest.length, err));
    if (out->plan.workspace_bytes > TARE_CONV_MAX_WORKSPACE) {
        status = tare_fail(err, TARE_NOT_FOUND, "'%s' holds a plan that needs %zu bytes", path,
                           out->plan.workspace_bytes);
    }
done:
    tare_mapping_release(&mapping);
    return status;
}

tare_status tare_conv_plan_load(tare_conv_plan *out, const tare_conv_maker *maker,
                                const char *folder, const char *key, tare_error *err) {
    tare_text path = {0};
    tare_status status = file_name(&path, folder, key, err);

    memset(out, 0, sizeof *out);
    out->scope = tare_cudnn_scope_of(maker->device->api, maker->handle);
    if (status == TARE_OK) {
        status = load(out, maker, path.data, key, err);
    }
    if (status != TARE_OK) {
        tare_conv_plan_release(out);
        /* Whatever is wrong with the file, the plan can be made anew. */
        status = status == TARE_OUT_OF_MEMORY ? status : TARE_NOT_FOUND;
    }
    tare_text_release(&path);
    return status;
}

tare_status tare_conv_plan_save(const tare_conv_plan *plan, const tare_device *device,
                                const char *folder, const char *key, tare_error *err) {
    tare_text path = {0}, text = {0};
    tare_status status;

    TARE_TRY_DONE(status, file_name(&path, folder, key, err));
    tare_text_add(&text, "%s%s\n%s %s\n", FORMAT_LINE, key, plan->fused ? "fused" : "alone",
                  device->tune ? "measured" : "guessed");
    TARE_TRY_DONE(status, tare_cudnn_plan_write(&text, &plan->scope, &plan->plan, err));
    TARE_TRY_DONE(status, tare_text_check(&text, err));
    status = tare_file_write(path.data, text.data, text.length, err);
done:
    tare_text_release(&path);
    tare_text_release(&text);
    return status;
}
