/* SPDX-License-Identifier: Apache-2.0 */
/** The test device: memory, queues that are threads, marks, recordings, and the plug-in's entry. */
#include "host_device.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "cpu/backend.h"
#include "exec/plugin.h"

#define POISON 0xFB /* as float16 and float32 a large negative number */

/* ---- the device ---- */

static long number(const char *name, long otherwise) {
    const char *text = getenv(name);
    return text == NULL ? otherwise : strtol(text, NULL, 10);
}

tare_status host_device_call(tare_device *device, const char *what, tare_error *err) {
    bool fails;
    (void)pthread_mutex_lock(&device->lock);
    fails = ++device->calls == device->fails_at;
    (void)pthread_mutex_unlock(&device->lock);
    return fails ? tare_fail(err, TARE_BACKEND, "%s: the test device fails here", what) : TARE_OK;
}

static void survey(tare_device_survey *out, bool whole) {
    (void)whole;
    host_rows_init();
    *out = (tare_device_survey){
        .usable = true,
        .device_count = 1,
        .part_count = 1,
        .parts = {{.name = "device 0", .usable = true, .detail = "host memory, for tests"}}};
}

static tare_status open_device(tare_device **out, const tare_device_options *options,
                               tare_error *err) {
    tare_device *device = calloc(1, sizeof *device);
    if (device == NULL) {
        return tare_fail_memory(err, sizeof *device, "a device");
    }
    device->options = *options;
    device->storage =
        options->precision == TARE_PRECISION_FP16 ? TARE_DTYPE_FLOAT16 : TARE_DTYPE_FLOAT;
    device->refuses = getenv("TARE_TEST_DEVICE_REFUSES");
    device->free_bytes = (uint64_t)number("TARE_TEST_DEVICE_FREE", 1L << 34);
    device->fails_at = number("TARE_TEST_DEVICE_FAILS", -1);
    (void)pthread_mutex_init(&device->lock, NULL);
    *out = device;
    return TARE_OK;
}

static void close_device(tare_device *device) {
    const char *log = getenv("TARE_TEST_DEVICE_LOG");
    FILE *file = device == NULL || log == NULL ? NULL : fopen(log, "a");
    if (file != NULL) {
        (void)fprintf(file, "calls %ld ingests %ld replays %ld most %llu left %llu\n",
                      device->calls, device->ingests, device->replays,
                      (unsigned long long)device->most_bytes,
                      (unsigned long long)device->used_bytes);
        (void)fclose(file);
    }
    if (device != NULL) {
        (void)pthread_mutex_destroy(&device->lock);
        free(device);
    }
}

static void facts(tare_device_facts *out, tare_device *device) {
    *out = (tare_device_facts){.name = "test device",
                               .memory_bytes = device->free_bytes,
                               .free_bytes = device->free_bytes,
                               .precision = device->options.precision,
                               .storage = device->storage};
}

/* In front of each piece of memory; as wide as the alignment. */
typedef struct memory_head {
    uint64_t bytes;
    bool pinned;
    char fill[240];
} memory_head;

static tare_status allocate(void **out, tare_device *device, size_t bytes, bool pinned,
                            tare_error *err) {
    memory_head *head;
    bool fits;
    TARE_TRY(host_device_call(device, "memory", err));
    (void)pthread_mutex_lock(&device->lock);
    fits = pinned || bytes <= device->free_bytes - device->used_bytes;
    device->used_bytes += pinned || !fits ? 0 : bytes;
    device->most_bytes =
        device->used_bytes > device->most_bytes ? device->used_bytes : device->most_bytes;
    (void)pthread_mutex_unlock(&device->lock);
    head = fits ? aligned_alloc(256, sizeof *head + ((bytes + 255) & ~(size_t)255)) : NULL;
    if (head == NULL) {
        return tare_fail_memory(err, bytes, "memory of the device");
    }
    head->bytes = bytes;
    head->pinned = pinned;
    memset(head + 1, POISON, bytes);
    *out = head + 1;
    return TARE_OK;
}

static tare_status memory_new(void **out, tare_device *device, size_t bytes, tare_error *err) {
    return allocate(out, device, bytes, false, err);
}

static tare_status pinned_new(void **out, tare_device *device, size_t bytes, tare_error *err) {
    return allocate(out, device, bytes, true, err);
}

static void memory_free(tare_device *device, void *memory) {
    memory_head *head = (memory_head *)memory - 1;
    (void)pthread_mutex_lock(&device->lock);
    device->used_bytes -= head->pinned ? 0 : head->bytes;
    (void)pthread_mutex_unlock(&device->lock);
    free(head);
}

/* ---- queues ---- */

struct tare_recording {
    host_work *first, **last;
};

struct tare_queue {
    tare_device *device;
    pthread_t thread;
    pthread_mutex_t lock;
    pthread_cond_t changed;
    host_work *first, **last;
    bool busy, stop;
    tare_status status; /* of the first work that failed */
    tare_error error;
    tare_recording *recording; /* where work goes instead, or NULL */
};

tare_device *host_queue_device(const tare_queue *queue) {
    return queue->device;
}

static void *work(void *argument) {
    tare_queue *queue = argument;
    tare_error error = {TARE_OK, ""};
    tare_backend_cpu.thread_begin(2);
    (void)pthread_mutex_lock(&queue->lock);
    while (!queue->stop || queue->first != NULL) {
        host_work *next = queue->first;
        tare_status status;
        if (next == NULL) {
            (void)pthread_cond_wait(&queue->changed, &queue->lock);
            continue;
        }
        queue->first = next->next;
        queue->last = queue->first == NULL ? &queue->first : queue->last;
        queue->busy = true;
        (void)pthread_mutex_unlock(&queue->lock);
        status = next->run(next, &error);
        if (next->release != NULL) {
            next->release(next);
        }
        free(next);
        (void)pthread_mutex_lock(&queue->lock);
        if (status != TARE_OK && queue->status == TARE_OK) {
            queue->status = status;
            queue->error = error;
        }
        queue->busy = false;
        (void)pthread_cond_broadcast(&queue->changed);
    }
    (void)pthread_mutex_unlock(&queue->lock);
    return NULL;
}

static tare_status queue_new(tare_queue **out, tare_device *device, tare_error *err) {
    tare_queue *queue;
    TARE_TRY(host_device_call(device, "a queue", err));
    queue = calloc(1, sizeof *queue);
    if (queue == NULL) {
        return tare_fail_memory(err, sizeof *queue, "a queue");
    }
    queue->device = device;
    queue->last = &queue->first;
    (void)pthread_mutex_init(&queue->lock, NULL);
    (void)pthread_cond_init(&queue->changed, NULL);
    if (pthread_create(&queue->thread, NULL, work, queue) != 0) {
        free(queue);
        return tare_fail(err, TARE_BACKEND, "a queue cannot be made");
    }
    *out = queue;
    return TARE_OK;
}

static void queue_free(tare_queue *queue) {
    if (queue != NULL) {
        (void)pthread_mutex_lock(&queue->lock);
        queue->stop = true;
        (void)pthread_cond_broadcast(&queue->changed);
        (void)pthread_mutex_unlock(&queue->lock);
        (void)pthread_join(queue->thread, NULL);
        (void)pthread_mutex_destroy(&queue->lock);
        (void)pthread_cond_destroy(&queue->changed);
        free(queue);
    }
}

tare_status host_queue_push(tare_queue *queue, const host_work *what, tare_error *err) {
    host_work *copy = malloc(sizeof *copy);
    if (copy == NULL) {
        return tare_fail_memory(err, sizeof *copy, "work");
    }
    *copy = *what;
    copy->next = NULL;
    if (queue->recording != NULL) {
        *queue->recording->last = copy;
        queue->recording->last = &copy->next;
        return TARE_OK;
    }
    (void)pthread_mutex_lock(&queue->lock);
    *queue->last = copy;
    queue->last = &copy->next;
    (void)pthread_cond_broadcast(&queue->changed);
    (void)pthread_mutex_unlock(&queue->lock);
    return TARE_OK;
}

tare_status host_queue_wait(tare_queue *queue, tare_error *err) {
    tare_status status;
    TARE_TRY(host_device_call(queue->device, "waiting", err));
    (void)pthread_mutex_lock(&queue->lock);
    while (queue->first != NULL || queue->busy) {
        (void)pthread_cond_wait(&queue->changed, &queue->lock);
    }
    status = queue->status;
    if (status != TARE_OK && err != NULL) {
        *err = queue->error;
    }
    (void)pthread_mutex_unlock(&queue->lock);
    return status;
}

static tare_status do_copy(host_work *self, tare_error *err) {
    (void)err;
    memcpy(self->payload.copy.to, self->payload.copy.from, self->payload.copy.bytes);
    return TARE_OK;
}

static tare_status copy(tare_queue *queue, const tare_copy *what, tare_error *err) {
    const host_work push = {.run = do_copy, .payload.copy = *what};
    TARE_TRY(host_device_call(queue->device, "a copy", err));
    return host_queue_push(queue, &push, err);
}

static tare_status do_zero(host_work *self, tare_error *err) {
    (void)err;
    memset(self->payload.copy.to, 0, self->payload.copy.bytes);
    return TARE_OK;
}

static tare_status zero(tare_queue *queue, void *memory, size_t bytes, tare_error *err) {
    const host_work push = {.run = do_zero, .payload.copy = {.to = memory, .bytes = bytes}};
    return host_queue_push(queue, &push, err);
}

/* ---- marks ---- */

struct tare_mark {
    tare_device *device;
    pthread_mutex_t lock;
    pthread_cond_t changed;
    uint64_t set, reached;
};

static tare_status mark_new(tare_mark **out, tare_device *device, tare_error *err) {
    tare_mark *mark;
    TARE_TRY(host_device_call(device, "a mark", err));
    mark = calloc(1, sizeof *mark);
    if (mark == NULL) {
        return tare_fail_memory(err, sizeof *mark, "a mark");
    }
    mark->device = device;
    (void)pthread_mutex_init(&mark->lock, NULL);
    (void)pthread_cond_init(&mark->changed, NULL);
    *out = mark;
    return TARE_OK;
}

static void mark_free(tare_mark *mark) {
    (void)pthread_mutex_destroy(&mark->lock);
    (void)pthread_cond_destroy(&mark->changed);
    free(mark);
}

static tare_status reach(host_work *self, tare_error *err) {
    tare_mark *mark = self->payload.mark.mark;
    (void)err;
    (void)pthread_mutex_lock(&mark->lock);
    mark->reached = self->serial;
    (void)pthread_cond_broadcast(&mark->changed);
    (void)pthread_mutex_unlock(&mark->lock);
    return TARE_OK;
}

static tare_status follow(host_work *self, tare_error *err) {
    tare_mark *mark = self->payload.mark.mark;
    (void)err;
    (void)pthread_mutex_lock(&mark->lock);
    while (mark->reached < self->serial) {
        (void)pthread_cond_wait(&mark->changed, &mark->lock);
    }
    (void)pthread_mutex_unlock(&mark->lock);
    return TARE_OK;
}

static tare_status mark_set(tare_mark *mark, tare_queue *queue, tare_error *err) {
    host_work push = {.run = reach, .payload.mark = {mark}};
    TARE_TRY(host_device_call(queue->device, "setting a mark", err));
    (void)pthread_mutex_lock(&mark->lock);
    push.serial = ++mark->set;
    (void)pthread_mutex_unlock(&mark->lock);
    return host_queue_push(queue, &push, err);
}

static tare_status mark_wait(tare_mark *mark, tare_error *err) {
    host_work wait = {.payload.mark = {mark}, .serial = mark->set};
    TARE_TRY(host_device_call(mark->device, "waiting for a mark", err));
    return follow(&wait, err);
}

static tare_status mark_follow(tare_queue *queue, tare_mark *mark, tare_error *err) {
    const host_work push = {.run = follow, .payload.mark = {mark}, .serial = mark->set};
    TARE_TRY(host_device_call(queue->device, "following a mark", err));
    return host_queue_push(queue, &push, err);
}

static tare_status mark_seconds(double *out, tare_mark *from, tare_mark *to, tare_error *err) {
    (void)from;
    (void)to;
    (void)err;
    *out = 0.0;
    return TARE_OK;
}

/* ---- recordings ---- */

static void recording_free(tare_recording *recording) {
    host_work *next;
    for (host_work *at = recording->first; at != NULL; at = next) {
        next = at->next;
        if (at->release != NULL) {
            at->release(at);
        }
        free(at);
    }
    free(recording);
}

static tare_status record_begin(tare_queue *queue, tare_error *err) {
    TARE_TRY(host_device_call(queue->device, "recording", err));
    queue->recording = calloc(1, sizeof *queue->recording);
    if (queue->recording == NULL) {
        return tare_fail_memory(err, sizeof *queue->recording, "a recording");
    }
    queue->recording->last = &queue->recording->first;
    return TARE_OK;
}

static tare_status record_end(tare_recording **out, tare_queue *queue, tare_error *err) {
    tare_recording *recording = queue->recording;
    tare_status status = TARE_OK;
    queue->recording = NULL;
    if (out != NULL) {
        status = host_device_call(queue->device, "ending a recording", err);
    }
    if (out == NULL || status != TARE_OK) {
        recording_free(recording);
    } else {
        *out = recording;
    }
    return status;
}

/* The recording keeps what its work owns. */
static tare_status replay(tare_queue *queue, tare_recording *recording, tare_error *err) {
    TARE_TRY(host_device_call(queue->device, "replaying", err));
    queue->device->replays++;
    for (const host_work *at = recording->first; at != NULL; at = at->next) {
        host_work again = *at;
        again.release = NULL;
        TARE_TRY(host_queue_push(queue, &again, err));
    }
    return TARE_OK;
}

/* ---- the plug-in ---- */

static const tare_device_functions functions = {
    .survey = survey,
    .open = open_device,
    .close = close_device,
    .facts = facts,
    .memory_new = memory_new,
    .memory_free = memory_free,
    .pinned_new = pinned_new,
    .pinned_free = memory_free,
    .queue_new = queue_new,
    .queue_free = queue_free,
    .copy = copy,
    .zero = zero,
    .wait = host_queue_wait,
    .mark_new = mark_new,
    .mark_free = mark_free,
    .mark_set = mark_set,
    .mark_wait = mark_wait,
    .mark_follow = mark_follow,
    .mark_seconds = mark_seconds,
    .record_begin = record_begin,
    .record_end = record_end,
    .replay = replay,
    .recording_free = recording_free,
    .ingest = host_ingest,
    .collector_measure = host_collector_measure,
    .collector_new = host_collector_new,
    .collector_free = host_collector_free,
    .collect = host_collect,
    .collect_end = host_collect_end,
    .collect_result = host_collect_result,
    .collect_codes = host_collect_codes,
};

static const tare_kernel_table *const tables[] = {&host_rows};

static const char *describe(void) {
    return "a device for tests";
}

static void thread_begin(int threads) {
    tare_backend_cpu.thread_begin(threads);
}

static const tare_backend backend = {.name = "cuda",
                                     .tables = tables,
                                     .table_count = 1,
                                     .describe = describe,
                                     .thread_begin = thread_begin,
                                     .device = &functions};

extern TARE_API const tare_plugin tare_plugin_entry;
const tare_plugin tare_plugin_entry = {TARE_PLUGIN_STAMP, .backend = &backend};
