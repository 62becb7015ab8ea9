/* SPDX-License-Identifier: Apache-2.0 */
/** Every extension point in one place: the tables of backends, calibration methods and targets. */
#ifndef TARE_REGISTRY_H
#define TARE_REGISTRY_H

#include "exec/device.h"
#include "plugin.h"
#include "quant/target.h"
#include "stats/method.h"

/** The tables, each ended by NULL (plug-ins by one without a backend); the first entry is the
 * default. */
extern const tare_backend *const tare_backends[];
extern const tare_plugin_source tare_plugins[];
extern const tare_method *const tare_methods[];
extern const tare_target *const tare_targets[];

#define TARE_DEVICE_NOTE_BYTES (TARE_ERROR_TEXT_BYTES + 64)

/** What a model is to be run on. */
typedef struct tare_device_choice {
    const tare_backend *backend;
    tare_device_options
        options; /**< of a backend with a memory of its own; the folder is not set */
    char note[TARE_DEVICE_NOTE_BYTES]; /**< one line on why "auto" is the CPU; "": nothing to say */
} tare_device_choice;

/**
 * The backend and device that `device` ("auto" or NULL, a backend's name, "cuda:N") and `precision`
 * ("auto" or NULL, "fp32", "tf32", "fp16") ask for. "auto" is the first device of a plug-in if one
 * can be used, else the first backend. TARE_NOT_FOUND, naming the device and what is missing, when
 * it is not known or cannot be used; TARE_INVALID_ARGUMENT for another precision. Nothing is
 * opened.
 */
TARE_MUST_CHECK tare_status tare_registry_device(tare_device_choice *out, const char *device,
                                                 const char *precision, tare_error *err);

/** The entry of that name ("auto" or NULL: the default). TARE_NOT_FOUND with the names there are.
 */
TARE_MUST_CHECK tare_status tare_registry_method(const tare_method **out, const char *name,
                                                 tare_error *err);
TARE_MUST_CHECK tare_status tare_registry_target(const tare_target **out, const char *name,
                                                 tare_error *err);

#endif
