/* SPDX-License-Identifier: Apache-2.0 */
/** The tables of backends, calibration methods and targets: to add one, add its line here. */
#include "registry.h"

#include <stdio.h>
#include <string.h>

#include "cpu/backend.h"

const tare_backend *const tare_backends[] = {&tare_backend_cpu, NULL};
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
_Static_assert(offsetof(tare_backend, name) == 0, "name first");
_Static_assert(offsetof(tare_method, name) == 0, "name first");
_Static_assert(offsetof(tare_target, name) == 0, "name first");

tare_status tare_registry_backend(const tare_backend **out, const char *name, tare_error *err) {
    const void *found = NULL;
    const tare_status status =
        find(&found, (const void *const *)tare_backends, "device", name, err);
    *out = found;
    return status;
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
