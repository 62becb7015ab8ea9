/* SPDX-License-Identifier: Apache-2.0 */
/** The part of a session that is about a device. Private to the session's files. */
#ifndef TARE_SESSION_DEVICE_H
#define TARE_SESSION_DEVICE_H

#include "session.h"

/** Frees the plan and what belongs to it. */
void tare_session_drop_plan(tare_session *session);

/** Nothing to do when none is open. */
void tare_session_close_device(tare_session *session);

/** tare_session_plan() for a device. */
TARE_MUST_CHECK tare_status tare_session_plan_device(tare_session *session,
                                                     const tare_session_limits *limits,
                                                     tare_error *err);

#endif
