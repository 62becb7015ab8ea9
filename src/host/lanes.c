/* SPDX-License-Identifier: Apache-2.0 */
/** A few threads that share short pieces of work. */
#include "lanes.h"

#include <pthread.h>
#include <stdlib.h>
#include <string.h>

typedef struct lane {
    tare_lanes *lanes;
    size_t index;
    pthread_t thread;
} lane;

struct tare_lanes {
    lane *others; /* the first lane is the caller */
    size_t started;
    pthread_mutex_t lock;
    pthread_cond_t work; /* there is some, or stop */
    pthread_cond_t idle; /* nobody is working */
    bool stop;
    tare_lane_function function;
    void *user;
    size_t next, count, working;
    size_t failed; /* the first piece that failed, if status says so */
    tare_status status;
    tare_error error;
};

/* Under the lock: pieces are taken in order, so all before one that failed have been taken. */
static void do_pieces(tare_lanes *lanes, size_t index) {
    lanes->working++;
    while (lanes->next < lanes->count && lanes->status == TARE_OK) {
        const size_t piece = lanes->next++;
        tare_error error = {TARE_OK, ""};
        tare_status status;
        (void)pthread_mutex_unlock(&lanes->lock);
        status = lanes->function(lanes->user, index, piece, &error);
        (void)pthread_mutex_lock(&lanes->lock);
        if (status != TARE_OK && (lanes->status == TARE_OK || piece < lanes->failed)) {
            lanes->status = status;
            lanes->failed = piece;
            lanes->error = error;
        }
    }
    lanes->working--;
    if (lanes->working == 0) {
        (void)pthread_cond_broadcast(&lanes->idle);
    }
}

static void *work(void *argument) {
    const lane *self = argument;
    tare_lanes *lanes = self->lanes;

    (void)pthread_mutex_lock(&lanes->lock);
    while (!lanes->stop) {
        if (lanes->next < lanes->count && lanes->status == TARE_OK) {
            do_pieces(lanes, self->index);
        } else {
            (void)pthread_cond_wait(&lanes->work, &lanes->lock);
        }
    }
    (void)pthread_mutex_unlock(&lanes->lock);
    return NULL;
}

tare_status tare_lanes_new(tare_lanes **out, size_t count, tare_error *err) {
    tare_lanes *lanes = calloc(1, sizeof *lanes);

    *out = NULL;
    if (lanes == NULL) {
        return tare_fail_memory(err, sizeof *lanes, "threads");
    }
    /* With default attributes these cannot fail on any POSIX system that Tare runs on. */
    (void)pthread_mutex_init(&lanes->lock, NULL);
    (void)pthread_cond_init(&lanes->work, NULL);
    (void)pthread_cond_init(&lanes->idle, NULL);
    lanes->others = calloc(count, sizeof *lanes->others);
    if (lanes->others == NULL) {
        tare_lanes_free(lanes);
        return tare_fail_memory(err, count * sizeof *lanes->others, "threads");
    }
    while (lanes->started + 1 < count) {
        lane *other = &lanes->others[lanes->started];
        *other = (lane){.lanes = lanes, .index = lanes->started + 1};
        if (pthread_create(&other->thread, NULL, work, other) != 0) {
            tare_lanes_free(lanes);
            return tare_fail(err, TARE_INTERNAL, "a thread cannot be started");
        }
        lanes->started++;
    }
    *out = lanes;
    return TARE_OK;
}

void tare_lanes_free(tare_lanes *lanes) {
    if (lanes == NULL) {
        return;
    }
    (void)pthread_mutex_lock(&lanes->lock);
    lanes->stop = true;
    (void)pthread_cond_broadcast(&lanes->work);
    (void)pthread_mutex_unlock(&lanes->lock);
    for (size_t i = 0; i < lanes->started; i++) {
        (void)pthread_join(lanes->others[i].thread, NULL);
    }
    (void)pthread_mutex_destroy(&lanes->lock);
    (void)pthread_cond_destroy(&lanes->work);
    (void)pthread_cond_destroy(&lanes->idle);
    free(lanes->others);
    free(lanes);
}

tare_status tare_lanes_run(tare_lanes *lanes, size_t count, tare_lane_function function, void *user,
                           tare_error *err) {
    tare_status status;

    (void)pthread_mutex_lock(&lanes->lock);
    lanes->function = function;
    lanes->user = user;
    lanes->next = 0;
    lanes->count = count;
    lanes->status = TARE_OK;
    (void)pthread_cond_broadcast(&lanes->work);
    do_pieces(lanes, 0);
    while (lanes->working > 0) {
        (void)pthread_cond_wait(&lanes->idle, &lanes->lock);
    }
    lanes->count = 0;
    status = lanes->status;
    if (status != TARE_OK && err != NULL) {
        *err = lanes->error;
    }
    (void)pthread_mutex_unlock(&lanes->lock);
    return status;
}
