/* SPDX-License-Identifier: Apache-2.0 */
/** Faults on purpose: reads TARE_CUDA_FAULT. */
#include "fault.h"

#include <stdlib.h>
#include <string.h>

/* What stands behind "NAME:", or NULL. */
static const char *find(const char *name) {
    const char *entry = getenv("TARE_CUDA_FAULT");
    const size_t length = strlen(name);
    while (entry != NULL) {
        if (strncmp(entry, name, length) == 0 && entry[length] == ':') {
            return entry + length + 1;
        }
        entry = strchr(entry, ',');
        entry = entry == NULL ? NULL : entry + 1;
    }
    return NULL;
}

long long fake_setting(const char *name, long long otherwise) {
    const char *value = find(name);
    return value == NULL ? otherwise : strtoll(value, NULL, 10);
}

bool fake_setting_is(const char *name, const char *value) {
    const char *given = find(name);
    const size_t length = strlen(value);
    return given != NULL && strncmp(given, value, length) == 0 &&
           (given[length] == '\0' || given[length] == ',');
}

bool fake_fault_due(const char *name, atomic_llong *calls) {
    const long long due = fake_setting(name, 0);
    return due > 0 && atomic_fetch_add(calls, 1) + 1 == due;
}
