/* SPDX-License-Identifier: Apache-2.0 */
/** The one object that the plug-in library shows. */
#include "exec/plugin.h"

#include "cuda/backend.h"

extern TARE_API const tare_plugin tare_plugin_entry;

const tare_plugin tare_plugin_entry = {TARE_PLUGIN_STAMP, .backend = &tare_backend_cuda};
