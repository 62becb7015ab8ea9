/* SPDX-License-Identifier: Apache-2.0 */
/**
 * What a plug-in library is: one exported object that leads to its backend.
 *
 * Plug-in and library are built from the same sources and share structs by value, so they must be
 * of one build: version, number and sizes say whether they are.
 */
#ifndef TARE_EXEC_PLUGIN_H
#define TARE_EXEC_PLUGIN_H

#include "exec/device.h"

/** To be raised with every change of exec/backend.h or exec/device.h that sizes do not show. */
#define TARE_PLUGIN_NUMBER 1

/** What both sides hand to each other: a size that differs shows another build. */
#define TARE_PLUGIN_SIZES                                                                          \
    {                                                                                              \
        sizeof(tare_backend), sizeof(tare_kernel), sizeof(tare_prepare), sizeof(tare_run),         \
            sizeof(tare_desc), sizeof(tare_epilogue), sizeof(tare_tensor),                         \
            sizeof(tare_device_functions), sizeof(tare_device_options), sizeof(tare_device_facts), \
            sizeof(tare_device_survey), sizeof(tare_copy), sizeof(tare_ingest),                    \
            sizeof(tare_collect_point), sizeof(tare_collect_result), sizeof(tare_collect)          \
    }

typedef struct tare_plugin {
    char version[32]; /**< TARE_VERSION */
    uint32_t number;  /**< TARE_PLUGIN_NUMBER */
    uint32_t sizes[16];
    const tare_backend *backend;
} tare_plugin;

/** An initialiser of everything but the backend: these members come first and do not move. */
#define TARE_PLUGIN_STAMP                                                                          \
    .version = TARE_VERSION, .number = TARE_PLUGIN_NUMBER, .sizes = TARE_PLUGIN_SIZES

/** The name of the object, a const tare_plugin. */
#define TARE_PLUGIN_SYMBOL "tare_plugin_entry"

#endif
