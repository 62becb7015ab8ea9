/* SPDX-License-Identifier: Apache-2.0 */
/**
 * Measuring inference and calibration against each other: two sides, each a planned session with a
 * job, that run the same samples from memory in turns.
 */
#ifndef TARE_BENCH_H
#define TARE_BENCH_H

#include "calibration.h"

#define TARE_BENCH_REPETITIONS 20
/** Samples in rotation, at most. */
#define TARE_BENCH_SAMPLES     16

/** Samples that are kept in memory. Zeroed: nothing is owned. */
typedef struct tare_bench_inputs {
    const tare_model *model;
    const tare_run_options *run;
    tare_dataset *synthetic; /**< the data when none are given */
    tare_feed feed;          /**< its order lists the samples there are again and again, so that no
                                batch is too large for them */
    size_t *order;
    tare_prefetch *prefetch; /**< holds the samples */
    tare_sample *samples[TARE_BENCH_SAMPLES];
    size_t count;
} tare_bench_inputs;

/**
 * Opens `dataset` for the model. NULL: makes up samples in the shapes that the model and the
 * options say, of pseudo-random numbers that are never zero: floats in (0, 1], small integers,
 * true. Errors: those of tare_feed_open(); TARE_INVALID_ARGUMENT when a shape is not known;
 * TARE_UNSUPPORTED for types that are not made up.
 */
TARE_MUST_CHECK tare_status tare_bench_inputs_open(tare_bench_inputs *inputs,
                                                   const tare_model *model,
                                                   const tare_dataset *dataset,
                                                   const tare_run_options *run, tare_error *err);

/** Loads the samples; for a device images stay pixels. */
TARE_MUST_CHECK tare_status tare_bench_inputs_load(tare_bench_inputs *inputs, bool for_device,
                                                   tare_error *err);

/** NULL and zeroed inputs allowed. */
void tare_bench_inputs_close(tare_bench_inputs *inputs);

struct tare_bench_way;

/** One of the two that are compared. */
typedef struct tare_bench_side {
    const char *name;
    tare_session *session; /**< planned */
    tare_job job;          /**< its done() does nothing: a sample is run more than once */
    const tare_bench_inputs *inputs;
    const struct tare_bench_way *way;
    void *state; /**< the way's */
    double open_seconds, plan_seconds, first_seconds;
    double rates[TARE_BENCH_REPETITIONS]; /**< samples per second */
    size_t rate_count;
    double *places; /**< mean seconds up to each place of a batch (exec/executor.h), or NULL */
} tare_bench_side;

/** How samples are run: by threads of the host, or on a device. */
typedef struct tare_bench_way {
    /** Allocates everything and runs the first batch, which costs more than others. The state is
     * to be closed, also after a failure. */
    tare_status (*open)(void **state, tare_bench_side *side, tare_error *err);
    /** Runs for about that long, at least one batch, and says how many samples per second. What is
     * done to get into and out of the steady state is not counted. */
    tare_status (*round)(double *rate, void *state, double seconds, tare_error *err);
    /** Runs for about that long and writes mean seconds for each place. */
    tare_status (*time)(double *places, void *state, double seconds, tare_error *err);
    void (*close)(void *state); /**< NULL allowed */
} tare_bench_way;

extern const tare_bench_way tare_bench_on_host, tare_bench_on_device;

/** Number of places of a session's runs. */
size_t tare_bench_place_count(const tare_session *session);

/** What is reported beside the sides. */
typedef struct tare_bench_facts {
    const tare_bench_side *inference, *calibration;
    const tare_quantization *q;
    const char *statistics; /**< "minmax", "all", ... */
    bool synthetic;
    uint64_t host_peak_bytes; /**< resident, of the whole process */
    uint64_t device_used_bytes;
} tare_bench_facts;

/** Adds everything to the report and finishes it. */
TARE_MUST_CHECK tare_status tare_bench_describe(tare_report *report, const tare_bench_facts *facts,
                                                tare_error *err);

#endif
