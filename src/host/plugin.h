/* SPDX-License-Identifier: Apache-2.0 */
/**
 * Backends that are libraries of their own, so that this one needs nothing of what they need.
 *
 * A plug-in is looked for when it is asked for, and stays loaded to the end of the process: the
 * libraries below it do not survive being unloaded. Loading it again gives the same backend.
 */
#ifndef TARE_PLUGIN_H
#define TARE_PLUGIN_H

#include "exec/backend.h"

/** A backend that may be there. */
typedef struct tare_plugin_source {
    const char *backend;     /**< "cuda" */
    const char *file;        /**< looked for beside libtare, then where the loader looks */
    const char *environment; /**< a variable that names another file */
} tare_plugin_source;

/**
 * Loads a plug-in. TARE_NOT_FOUND when there is no such file, when it cannot be loaded, and when it
 * is of another build; the text says which and names the file.
 */
TARE_MUST_CHECK tare_status tare_plugin_load(const tare_backend **out,
                                             const tare_plugin_source *source, tare_error *err);

/** The file that tare_plugin_load() tries. */
const char *tare_plugin_file(const tare_plugin_source *source);

#endif
