/* SPDX-License-Identifier: Apache-2.0 */
/**
 * Batches on their way to a device: a few slots, each with pinned memory in which samples are
 * gathered, device memory to which they are copied as they are, and marks that say how far the slot
 * is. On the device they are brought into the form in which the plan takes them, in memory that all
 * slots share.
 */
#ifndef TARE_DEVICE_RING_H
#define TARE_DEVICE_RING_H

#include "feed.h"

/** A sample in a slot. */
typedef struct tare_ring_sample {
    size_t position; /**< in the feed */
    uint64_t id;
    const char *name;
} tare_ring_sample;

/** An input that must be fed. */
typedef struct tare_ring_input {
    size_t index;        /**< among the graph's inputs */
    const char *name;    /**< of the input */
    tare_array expected; /**< of each sample's array */
    int64_t copies;      /**< how often the array is repeated */
    size_t bytes;        /**< of a sample with its copies */
    size_t offset;       /**< in the staging memory of a slot */
    tare_desc desc;      /**< as the plan takes it */
    void *memory;        /**< on the device: what the plan reads */
    const float *table;  /**< on the device, for pixels; else NULL */
    int channel_axis;
} tare_ring_input;

typedef struct tare_ring_slot {
    unsigned char *pinned, *staged; /**< host memory; device memory */
    tare_mark *copied;              /**< staged is filled */
    tare_mark *done;                /**< everything of the batch is done */
    tare_ring_sample *samples;
    size_t count;              /**< of samples */
    bool is_running;           /**< given to the device, and not finished yet */
    tare_recording *recording; /**< of a full batch, or NULL */
} tare_ring_slot;

typedef struct tare_ring {
    const tare_session *session;
    const tare_device_functions *functions;
    tare_queue *copy_queue;
    tare_ring_slot slots[TARE_SESSION_SLOTS];
    tare_ring_input *inputs;
    size_t input_count, fed_count;
    size_t staged_bytes;   /**< of a slot */
    void *table;           /**< device memory of the inputs' table */
    const void **pointers; /**< by graph input: what a run is given */
} tare_ring;

/** Allocates everything for the planned session; `ring` must be zeroed and is to be released, also
 * after a failure. */
TARE_MUST_CHECK tare_status tare_ring_init(tare_ring *ring, const tare_session *session,
                                           const tare_feed *feed, tare_error *err);

/** Waits for copies, and frees. The queues that ran batches must be done. */
void tare_ring_release(tare_ring *ring);

/** Adds a sample to a slot that is not full. Errors name the input. */
TARE_MUST_CHECK tare_status tare_ring_add(tare_ring *ring, tare_ring_slot *slot,
                                          const tare_sample *sample, size_t position,
                                          tare_error *err);

/** Fills the rest of the slot with copies of its first sample, and copies it to the device. */
TARE_MUST_CHECK tare_status tare_ring_send(tare_ring *ring, tare_ring_slot *slot, tare_error *err);

/** Gives the queue the work that brings the slot's inputs to where the plan reads them. May be
 * recorded. */
TARE_MUST_CHECK tare_status tare_ring_ingest(tare_ring *ring, const tare_ring_slot *slot,
                                             tare_queue *queue, tare_error *err);

#endif
