/* SPDX-License-Identifier: Apache-2.0 */
/** A model made ready to run: shapes bound and inferred, constants folded, planned, its memory
 * accounted for. */
#ifndef TARE_SESSION_H
#define TARE_SESSION_H

#include "exec/executor.h"
#include "model.h"

/** Models with more inputs that must be fed are refused. */
#define TARE_SAMPLE_INPUT_LIMIT 64

/** The shape that one model input gets. */
typedef struct tare_input_shape {
    const char *name;
    tare_element element; /**< 0: whatever the model says */
    int rank;
    int64_t dims[TARE_MAX_RANK];
    bool is_sample; /**< one sample, which may be repeated to fill a batch that the model fixes */
} tare_input_shape;

typedef struct tare_session {
    const tare_backend *backend;
    tare_graph graph; /**< the executed graph; value ids are those of the graph it was made from */
    tare_plan *plan;
    int threads;         /**< how many samples run at once */
    int threads_per_run; /**< how many threads one kernel may use */
    /** How often one sample is repeated to fill a batch that the model fixes; 1 where shapes agree.
     */
    int64_t repeat;
    uint64_t constant_bytes; /**< weights of the graph */
} tare_session;

/** Makes an empty session that can be released. */
void tare_session_init(tare_session *session);

/** Releases plan and graph. NULL allowed. */
void tare_session_release(tare_session *session);

/**
 * Clones `graph`, binds its inputs and infers shapes. shapes: one per input that must be fed, in
 * any order; an input whose batch the model fixes to B takes samples of batch 1, repeated B times
 * (then ranges per sample stay exact wherever the batch axis goes). Errors: TARE_INVALID_ARGUMENT
 * for a missing, unknown or ill-shaped input, with expected and actual.
 */
TARE_MUST_CHECK tare_status tare_session_bind(tare_session *session, const tare_graph *graph,
                                              const tare_backend *backend,
                                              const tare_input_shape *shapes, size_t shape_count,
                                              tare_error *err);

/** What tare_session_plan() is to respect. */
typedef struct tare_session_limits {
    const bool *watched;       /**< by value id, or NULL */
    int threads;               /**< wanted samples at once; 0: processors */
    int threads_per_run;       /**< 0: 1 */
    uint64_t memory_bytes;     /**< 0: no limit */
    uint64_t fixed_bytes;      /**< memory that the caller needs besides */
    uint64_t bytes_per_thread; /**< and for each thread */
} tare_session_limits;

/**
 * Plans the bound graph. Uses fewer threads when that is what it takes to stay under the limit;
 * TARE_OUT_OF_MEMORY, with what is needed and what is allowed, when even one does not fit.
 */
TARE_MUST_CHECK tare_status tare_session_plan(tare_session *session,
                                              const tare_session_limits *limits, tare_error *err);

/** Bytes the session needs in all: weights as stored and as packed, workspaces of all threads,
 * limits' own. */
uint64_t tare_session_bytes(const tare_session *session, const tare_session_limits *limits);

/** Adds the memory plan to a report's text and JSON. */
TARE_MUST_CHECK tare_status tare_session_describe(tare_report *report, const tare_session *session,
                                                  const tare_session_limits *limits,
                                                  tare_error *err);

/** Processors this process may use, at least 1. */
int tare_processor_count(void);

#endif
