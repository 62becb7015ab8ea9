/* SPDX-License-Identifier: Apache-2.0 */
/**
 * The way of batches through a device: gathered in a slot, given to the device, finished in the
 * order in which they were given. Up to TARE_SESSION_SLOTS are under way at once.
 */
#ifndef TARE_DEVICE_LANE_H
#define TARE_DEVICE_LANE_H

#include "device_ring.h"
#include "job.h"
#include "lanes.h"

typedef struct tare_device_lane {
    tare_session *session;
    const tare_job *job;
    const tare_run_options *options;
    const tare_device_functions *functions;
    tare_execution *execution;
    tare_collector *collector; /**< NULL: nothing is collected */
    tare_lanes *takers;        /**< take the results of a batch, sample by sample */
    tare_ring ring;
    size_t *point_of_value; /**< by value id of the planned graph: of the collection, or SIZE_MAX */
    size_t *order;          /**< points of the collection in the order in which they are computed */
    size_t ordered;
    tare_collect_result *results; /**< of the batch that is being finished, in that order */
    uint64_t *codes;              /**< room for the histogram of one point */
    tare_ring_slot *current;      /**< the one that is given to the device */
    size_t next;                  /**< slots that were given to the device so far */
    size_t done;                  /**< samples that are through */
    bool records;                 /**< full batches are recorded and replayed */
    /** As that of a tare_watch; NULL: not called. To be set while `records` is false. */
    tare_status (*passed)(void *user, size_t place, tare_error *err);
    void *user;
} tare_device_lane;

/** What a lane is for. Borrowed. */
typedef struct tare_device_lane_spec {
    tare_session *session; /**< planned, with a device, and with inputs that are streamed */
    const tare_feed *feed;
    const tare_job *job;
    const tare_run_options *options; /**< for notes */
} tare_device_lane_spec;

/** Allocates everything, in the thread that is going to use the lane. `lane` is to be released,
 * also after a failure. */
TARE_MUST_CHECK tare_status tare_device_lane_init(tare_device_lane *lane,
                                                  const tare_device_lane_spec *spec,
                                                  tare_error *err);

/** Waits for the device. Zeroed lanes allowed. */
void tare_device_lane_release(tare_device_lane *lane);

/** The slot of the next batch, which has to be finished before it is filled. */
tare_ring_slot *tare_device_lane_slot(tare_device_lane *lane);

/** Copies the samples of the slot to the device and gives it the batch. */
TARE_MUST_CHECK tare_status tare_device_lane_submit(tare_device_lane *lane, tare_ring_slot *slot,
                                                    tare_error *err);

/** Gives the device a batch whose samples were copied there before. */
TARE_MUST_CHECK tare_status tare_device_lane_repeat(tare_device_lane *lane, tare_ring_slot *slot,
                                                    tare_error *err);

/** Waits for the slot's batch, if it is under way, and gives the job its results, sample by sample.
 * The samples stay in the slot. */
TARE_MUST_CHECK tare_status tare_device_lane_finish(tare_device_lane *lane, tare_ring_slot *slot,
                                                    tare_error *err);

/** Finishes all batches that are under way, the oldest first. */
TARE_MUST_CHECK tare_status tare_device_lane_drain(tare_device_lane *lane, tare_error *err);

/** Gives the job the code histograms since the last call; for a drained lane. */
TARE_MUST_CHECK tare_status tare_device_lane_pass_codes(tare_device_lane *lane, tare_error *err);

#endif
