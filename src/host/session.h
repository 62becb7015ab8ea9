/* SPDX-License-Identifier: Apache-2.0 */
/**
 * A model made ready to run: shapes bound and inferred, constants folded, planned, its memory
 * accounted for.
 *
 * Without a device, samples run one by one on several threads in host memory. With one, batches of
 * them run on the device, and the host computes what the device has no kernel for.
 */
#ifndef TARE_SESSION_H
#define TARE_SESSION_H

#include "exec/device.h"
#include "exec/executor.h"
#include "model.h"
#include "pass/batch.h"
#include "registry.h"

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

/** Bytes of memory, by place and purpose. */
typedef struct tare_session_memory {
    uint64_t constants; /**< host: weights of the graph as stored */
    uint64_t packed;    /**< host: weights as prepared */
    uint64_t workspace; /**< host: activations, of each thread */
    uint64_t data;      /**< host: samples that are loaded, statistics, results */
    uint64_t pinned;    /**< host: staging and statistics that the device copies from and to */
    uint64_t device_weights, device_workspace, device_staging, device_statistics;
} tare_session_memory;

/** What a device collects: those of the limits' points that the plan computes. */
typedef struct tare_session_collection {
    size_t count;
    tare_collect_point *points;
    size_t *values; /**< per point: the value's id */
} tare_session_collection;

typedef struct tare_session {
    const tare_backend *host;    /**< computes in host memory: folding, what a device cannot do */
    const tare_backend *backend; /**< runs the plan */
    tare_device *device;         /**< NULL: `backend` is `host` */
    tare_device_choice choice;
    tare_device_facts facts; /**< of the device */
    tare_graph graph; /**< the executed graph; value ids are those of the graph it was made from */
    tare_batch batch; /**< the same for `samples_per_run` samples where that is more than one */
    int64_t samples_per_run;
    tare_plan *plan;     /**< of tare_session_graph() */
    int threads;         /**< how many samples run at once; of a device: take results at once */
    int threads_per_run; /**< how many threads one kernel may use */
    /** How often one sample is repeated to fill a batch that the model fixes; 1 where shapes agree.
     */
    int64_t repeat;
    uint64_t constant_bytes; /**< weights of the graph */
    tare_session_memory memory;
    tare_session_collection collection;
} tare_session;

/** Makes an empty session that can be released. */
void tare_session_init(tare_session *session);

/** Releases plan, graph and device. NULL allowed. */
void tare_session_release(tare_session *session);

/**
 * Chooses what to run on and opens the device, if it is one; notes why "auto" is the CPU. A session
 * that is not opened runs on the CPU. Errors: TARE_NOT_FOUND when the device cannot be used.
 */
TARE_MUST_CHECK tare_status tare_session_open(tare_session *session, const tare_run_options *run,
                                              tare_error *err);

/** Closes the device and opens it again with another precision. The plan is dropped. */
TARE_MUST_CHECK tare_status tare_session_reopen(tare_session *session, tare_precision precision,
                                                tare_error *err);

/** In what the model runs: "float32" on the CPU, else "fp32", "tf32" or "fp16". */
const char *tare_session_precision(const tare_session *session);

/** The graph that is planned: of one sample or of a batch. */
tare_graph *tare_session_graph(tare_session *session);

/**
 * Clones `graph`, binds its inputs and infers shapes. shapes: one per input that must be fed, in
 * any order; an input whose batch the model fixes to B takes samples of batch 1, repeated B times
 * (then ranges per sample stay exact wherever the batch axis goes). Errors: TARE_INVALID_ARGUMENT
 * for a missing, unknown or ill-shaped input, with expected and actual.
 */
TARE_MUST_CHECK tare_status tare_session_bind(tare_session *session, const tare_graph *graph,
                                              const tare_input_shape *shapes, size_t shape_count,
                                              tare_error *err);

/** The shape to assume for an input without data: open dims as `run` gives them, else 1 for the
 * leading one. False, with the reason, when another one stays open. */
bool tare_session_assume_shape(tare_input_shape *shape, tare_text *reason, const tare_value *input,
                               const tare_run_options *run);

/** A value whose statistics a device is to collect. */
typedef struct tare_session_point {
    size_t value;
    int axis; /**< of the channels */
    bool channels, codes, quantiles;
    double quantile; /**< p */
    const tare_collect_window *windows;
    size_t window_count;
} tare_session_point;

/** Staging of samples on their way to a device: so many batches are under way. */
#define TARE_SESSION_SLOTS 3

/** What tare_session_plan() is to respect. */
typedef struct tare_session_limits {
    const bool *watched;              /**< by value id, or NULL */
    int threads;                      /**< wanted samples at once; 0: processors */
    int threads_per_run;              /**< 0: 1 */
    uint64_t memory_bytes;            /**< of host memory, and of a device's; 0: no limit */
    uint64_t fixed_bytes;             /**< memory that the caller needs besides */
    uint64_t bytes_per_thread;        /**< and for each thread */
    bool streams;                     /**< a device gets its inputs staged, in batches */
    bool wants_outputs;               /**< a device brings the graph's outputs to the host */
    uint64_t bytes_per_sample;        /**< host memory for each sample of a batch of a device */
    uint64_t staged_bytes;            /**< of one sample as it travels to a device */
    int64_t batch;                    /**< the largest batch of a device; 0: 1 */
    const tare_session_point *points; /**< what a device collects */
    size_t point_count;
} tare_session_limits;

/**
 * Plans the bound graph. Uses fewer threads or a smaller batch when that is what it takes to stay
 * under the limit; TARE_OUT_OF_MEMORY, with what is needed and what is allowed, when even one does
 * not fit.
 */
TARE_MUST_CHECK tare_status tare_session_plan(tare_session *session,
                                              const tare_session_limits *limits, tare_error *err);

/** Bytes the session needs in all: of host memory, and of a device's. */
uint64_t tare_session_bytes(const tare_session *session);
uint64_t tare_session_device_bytes(const tare_session *session);

/** Adds the memory plan to a report's text and JSON. */
TARE_MUST_CHECK tare_status tare_session_describe(tare_report *report, const tare_session *session,
                                                  tare_error *err);

/** One line on the memory plan, and on what the host computes for a device. */
void tare_session_note(const tare_session *session, const tare_run_options *run);

/** Processors this process may use, at least 1. */
int tare_processor_count(void);

/** The threads that a run asks for, or as many as there are processors. */
int tare_wanted_threads(const tare_run_options *run);

#endif
