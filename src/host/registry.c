/* SPDX-License-Identifier: Apache-2.0 */
/** The tables of backends, calibration methods and targets: to add one, add its line here. */
#include "registry.h"

#include <stdio.h>
#include <string.h>

#include "cpu/backend.h"

const tare_backend *const tare_backends[] = {&tare_backend_cpu, NULL};
const tare_plugin_source tare_plugins[] = {
    {"cuda", "libtare_cuda.so", "TARE_CUDA_PLUGIN"},
    {NULL, NULL, NULL},
};
const tare_method *const tare_methods[] = {&tare_method_minmax, NULL};
const tare_target *const tare_targets[] = {&tare_target_openvino, NULL};

/* The tables hold structs of different types that all begin with their name. */
typedef struct named_entry {
    const char *name;
} named_entry;

static const void *entry_at(const void *const *table, size_t index) {
    return table[index];
}

static tare_status find(const void **out, const void *const *table, const char *kind,
                        const char *name, tare_error *err) {
    char known[256] = "";
    size_t length = 0;

    *out = entry_at(table, 0);
    if (name == NULL || strcmp(name, "auto") == 0) {
        return TARE_OK;
    }
    for (size_t i = 0; entry_at(table, i) != NULL; i++) {
        const named_entry *entry = entry_at(table, i);
        if (strcmp(entry->name, name) == 0) {
            *out = entry;
            return TARE_OK;
        }
        if (length < sizeof known) {
            length += (size_t)snprintf(known + length, sizeof known - length, "%s%s",
                                       i == 0 ? "" : ", ", entry->name);
        }
    }
    *out = NULL;
    return tare_fail(err, TARE_NOT_FOUND, "there is no %s '%s'; known: %s", kind, name, known);
}

/* The name must stay the first member for find() to read it. */
_Static_assert(offsetof(tare_method, name) == 0, "name first");
_Static_assert(offsetof(tare_target, name) == 0, "name first");

/* "cuda" or "cuda:3" into its halves. False when a number does not follow the colon. */
static bool split_device(size_t *name_length, int *index, const char *device) {
    const char *colon = strchr(device, ':');
    *index = 0;
    *name_length = colon == NULL ? strlen(device) : (size_t)(colon - device);
    if (colon == NULL) {
        return true;
    }
    const char *digit = colon + 1;
    for (; *digit >= '0' && *digit <= '9' && *index < 10000; digit++) {
        *index = *index * 10 + (*digit - '0');
    }
    return digit != colon + 1 && *digit == '\0';
}

#define ANY_DEVICE (-1)

static const tare_device_part *find_device(const tare_device_survey *survey, int index) {
    char name[sizeof survey->parts[0].name];
    (void)snprintf(name, sizeof name, "device %d", index);
    for (size_t i = 0; i < survey->part_count; i++) {
        if (strcmp(survey->parts[i].name, name) == 0) {
            return &survey->parts[i];
        }
    }
    return NULL;
}

static tare_status fail_part(const tare_device_part *part, tare_error *err) {
    return tare_fail(err, TARE_NOT_FOUND, "%s: %s", part->name, part->detail);
}

/* Whether device *index can be used (for ANY_DEVICE: the first one that can); else what is wrong.
 */
static tare_status choose_device(int *index, const tare_device_survey *survey, tare_error *err) {
    for (size_t i = 0; i < survey->part_count && !survey->usable; i++) {
        if (!survey->parts[i].usable) {
            return fail_part(&survey->parts[i], err);
        }
    }
    if (!survey->usable) {
        return tare_fail(err, TARE_NOT_FOUND, "no device was found");
    }
    for (int i = 0; i < survey->device_count && *index == ANY_DEVICE; i++) {
        const tare_device_part *part = find_device(survey, i);
        *index = part != NULL && part->usable ? i : ANY_DEVICE;
    }
    if (*index < 0 || *index >= survey->device_count) {
        return tare_fail(err, TARE_NOT_FOUND, "there are %d devices, counted from 0",
                         survey->device_count);
    }
    const tare_device_part *part = find_device(survey, *index);
    return part == NULL || part->usable ? TARE_OK : fail_part(part, err);
}

static tare_status choose_plugin(tare_device_choice *out, const tare_plugin_source *source,
                                 int index, tare_error *err) {
    const tare_backend *backend;
    tare_device_survey survey;
    TARE_TRY(tare_plugin_load(&backend, source, err));
    backend->device->survey(&survey, false);
    TARE_TRY(choose_device(&index, &survey, err));
    out->backend = backend;
    out->options.index = index;
    return TARE_OK;
}

static tare_status choose_automatically(tare_device_choice *out) {
    out->backend = tare_backends[0];
    for (const tare_plugin_source *source = tare_plugins; source->backend != NULL; source++) {
        tare_error why = {0};
        if (choose_plugin(out, source, ANY_DEVICE, &why) == TARE_OK) {
            out->note[0] = '\0';
            return TARE_OK;
        }
        (void)snprintf(out->note, sizeof out->note, "device: %s (%s is not usable: %s)",
                       tare_backends[0]->name, source->backend, why.text);
    }
    return TARE_OK;
}

static tare_status fail_unknown(const char *device, tare_error *err) {
    char known[256] = "auto";
    size_t length = strlen(known);
    for (size_t i = 0; tare_backends[i] != NULL && length < sizeof known; i++) {
        length +=
            (size_t)snprintf(known + length, sizeof known - length, ", %s", tare_backends[i]->name);
    }
    for (size_t i = 0; tare_plugins[i].backend != NULL && length < sizeof known; i++) {
        length += (size_t)snprintf(known + length, sizeof known - length, ", %s, %s:N",
                                   tare_plugins[i].backend, tare_plugins[i].backend);
    }
    return tare_fail(err, TARE_NOT_FOUND, "there is no device '%s'; known: %s", device, known);
}

static tare_status choose_named(tare_device_choice *out, const char *device, tare_error *err) {
    size_t length;
    int index;
    const bool split = split_device(&length, &index, device);
    for (const tare_plugin_source *source = tare_plugins; source->backend != NULL; source++) {
        if (strlen(source->backend) != length || strncmp(source->backend, device, length) != 0) {
            continue;
        }
        if (!split) {
            return fail_unknown(device, err);
        }
        const tare_status status = choose_plugin(out, source, index, err);
        if (status != TARE_OK) {
            tare_error_prepend(err, "device '%s' cannot be used: ", device);
        }
        return status;
    }
    for (size_t i = 0; tare_backends[i] != NULL; i++) {
        if (strcmp(tare_backends[i]->name, device) == 0) {
            out->backend = tare_backends[i];
            return TARE_OK;
        }
    }
    return fail_unknown(device, err);
}

static const struct {
    const char *name;
    tare_precision precision;
} precisions[] = {
    {"auto", TARE_PRECISION_TF32},
    {"fp32", TARE_PRECISION_FP32},
    {"tf32", TARE_PRECISION_TF32},
    {"fp16", TARE_PRECISION_FP16},
};

static tare_status find_precision(tare_precision *out, const char *name, tare_error *err) {
    for (size_t i = 0; i < sizeof precisions / sizeof precisions[0]; i++) {
        if (name == NULL || strcmp(name, precisions[i].name) == 0) {
            *out = precisions[i].precision;
            return TARE_OK;
        }
    }
    return tare_fail(err, TARE_INVALID_ARGUMENT,
                     "there is no precision '%s'; known: auto, fp32, tf32, fp16", name);
}

tare_status tare_registry_device(tare_device_choice *out, const char *device, const char *precision,
                                 tare_error *err) {
    memset(out, 0, sizeof *out);
    TARE_TRY(find_precision(&out->options.precision, precision, err));
    if (device == NULL || strcmp(device, "auto") == 0) {
        return choose_automatically(out);
    }
    return choose_named(out, device, err);
}

tare_status tare_registry_method(const tare_method **out, const char *name, tare_error *err) {
    const void *found = NULL;
    const tare_status status = find(&found, (const void *const *)tare_methods, "method", name, err);
    *out = found;
    return status;
}

tare_status tare_registry_target(const tare_target **out, const char *name, tare_error *err) {
    const void *found = NULL;
    const tare_status status = find(&found, (const void *const *)tare_targets, "target", name, err);
    *out = found;
    return status;
}
