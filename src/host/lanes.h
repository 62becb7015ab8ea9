/* SPDX-License-Identifier: Apache-2.0 */
/** A few threads that share short pieces of work, again and again. */
#ifndef TARE_LANES_H
#define TARE_LANES_H

#include "base/error.h"

typedef struct tare_lanes tare_lanes;

/** Piece `index` of the work; no lane is in two calls at once. */
typedef tare_status (*tare_lane_function)(void *user, size_t lane, size_t index, tare_error *err);

/** `count` lanes, at least 1; the caller of tare_lanes_run() is one of them. */
TARE_MUST_CHECK tare_status tare_lanes_new(tare_lanes **out, size_t count, tare_error *err);

/** NULL allowed. */
void tare_lanes_free(tare_lanes *lanes);

/** Does pieces 0 to count - 1. The error reported is that of the first piece that failed; pieces
 * before it have been done, some behind it too. */
TARE_MUST_CHECK tare_status tare_lanes_run(tare_lanes *lanes, size_t count,
                                           tare_lane_function function, void *user,
                                           tare_error *err);

#endif
