/* SPDX-License-Identifier: Apache-2.0 */
/** Every extension point in one place: the tables of backends, calibration methods and targets. */
#ifndef TARE_REGISTRY_H
#define TARE_REGISTRY_H

#include "exec/backend.h"
#include "quant/target.h"
#include "stats/method.h"

/** The tables, each ended by NULL; the first entry is the default. */
extern const tare_backend *const tare_backends[];
extern const tare_method *const tare_methods[];
extern const tare_target *const tare_targets[];

/** The entry of that name ("auto" or NULL: the default). TARE_NOT_FOUND with the names there are.
 */
TARE_MUST_CHECK tare_status tare_registry_backend(const tare_backend **out, const char *name,
                                                  tare_error *err);
TARE_MUST_CHECK tare_status tare_registry_method(const tare_method **out, const char *name,
                                                 tare_error *err);
TARE_MUST_CHECK tare_status tare_registry_target(const tare_target **out, const char *name,
                                                 tare_error *err);

#endif
