/* SPDX-License-Identifier: Apache-2.0 */
/** Backends that are libraries of their own. */
#include "plugin.h"

#include <dlfcn.h>
#include <stdlib.h>
#include <string.h>

#include "base/error.h"
#include "exec/plugin.h"

const char *tare_plugin_file(const tare_plugin_source *source) {
    const char *named = getenv(source->environment);
    return named != NULL && named[0] != '\0' ? named : source->file;
}

static bool is_of_this_build(const tare_plugin *plugin) {
    const tare_plugin mine = {TARE_PLUGIN_STAMP};
    return strncmp(plugin->version, mine.version, sizeof mine.version) == 0 &&
           plugin->number == mine.number &&
           memcmp(plugin->sizes, mine.sizes, sizeof mine.sizes) == 0;
}

tare_status tare_plugin_load(const tare_backend **out, const tare_plugin_source *source,
                             tare_error *err) {
    const char *file = tare_plugin_file(source);
    /* This library's run path is its own folder, so a bare name is found beside it. The handle is
     * not kept: the plug-in is never unloaded, and the loader knows it when it is asked again. */
    void *library = dlopen(file, RTLD_NOW | RTLD_LOCAL | RTLD_NODELETE);
    if (library == NULL) {
        return tare_fail(err, TARE_NOT_FOUND, "the plug-in cannot be loaded: %s", dlerror());
    }
    const tare_plugin *plugin = (const tare_plugin *)dlsym(library, TARE_PLUGIN_SYMBOL);
    if (plugin == NULL) {
        (void)dlclose(library);
        return tare_fail(err, TARE_NOT_FOUND, "'%s' is no plug-in: it has no %s", file,
                         TARE_PLUGIN_SYMBOL);
    }
    if (!is_of_this_build(plugin)) {
        const tare_status status = tare_fail(
            err, TARE_NOT_FOUND, "the plug-in '%s' is of build %.31s/%u, expected %s/%d", file,
            plugin->version, (unsigned)plugin->number, TARE_VERSION, TARE_PLUGIN_NUMBER);
        (void)dlclose(library);
        return status;
    }
    *out = plugin->backend;
    return TARE_OK;
}
