/* SPDX-License-Identifier: Apache-2.0 */
/** The JSON form of a preprocessing description; used by preprocess.c only. */
#ifndef TARE_DATA_PREPROCESS_JSON_H
#define TARE_DATA_PREPROCESS_JSON_H

#include "base/json.h"
#include "data/preprocess.h"

/** Fills `out`, which is all zero but for its origin, from a JSON object. */
TARE_MUST_CHECK tare_status tare_preprocess_from_json(tare_preprocess *out, const json_t *json,
                                                      tare_error *err);

/** "RGB", ...; "unset" when it is. */
const char *tare_preprocess_color_name(tare_color color);

/** "NCHW", ...; "unset" when it is. */
const char *tare_preprocess_layout_name(tare_pixel_layout layout);

#endif
