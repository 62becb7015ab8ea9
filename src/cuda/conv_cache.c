/* SPDX-License-Identifier: Apache-2.0 */
/**
 * Plans by key, built by whoever needs them first or by threads that were told early; see the
 * headers.
 *
 * One lock guards the lists and states; it is not held while a plan is built. cuDNN wants a handle
 * for each thread that builds and for each queue, and one user of a plan at a time.
 */
#include "cuda/conv_cache.h"

#include <pthread.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "cuda/api.h"

#define MAX_BUILDERS 8

typedef enum entry_state { ENTRY_NEW, ENTRY_BUILDING, ENTRY_DONE } entry_state;

struct tare_conv_entry {
    tare_conv_entry *next;
    tare_conv_entry *next_waiting;
    tare_conv_cache *cache;
    tare_conv_spec spec;
    char *key;
    entry_state state;
    bool waiting;       /**< in the list of those that were announced */
    tare_status status; /**< of building it: TARE_OK or TARE_UNSUPPORTED */
    tare_error error;
    tare_conv_plan plan;
    pthread_mutex_t running;
};

typedef struct queue_handle {
    struct queue_handle *next;
    const tare_queue *queue;
    cudnnHandle_t handle;
} queue_handle;

typedef enum builder_state { BUILDER_FREE, BUILDER_RUNNING, BUILDER_ENDED } builder_state;

typedef struct builder {
    tare_conv_cache *cache;
    pthread_t thread;
    builder_state state;
    cudnnHandle_t handle; /* of one thread after the other; NULL until the first has opened it */
} builder;

struct tare_conv_cache {
    tare_device *device;
    char *folder; /* NULL: plans are not kept */
    pthread_mutex_t lock;
    pthread_cond_t changed;
    tare_conv_entry *entries;
    tare_conv_entry *first_waiting, *last_waiting;
    queue_handle *handles;
    size_t builder_count;
    builder builders[MAX_BUILDERS];
    bool stop;
    tare_conv_counts counts;
    pthread_mutex_t measuring;
    pthread_mutex_t building; /* guards what follows: for callers that build by themselves */
    cudnnHandle_t own_handle;
};

static size_t wanted_builders(void) {
    const long processors = sysconf(_SC_NPROCESSORS_ONLN);
    return processors < 1 ? 1 : processors > MAX_BUILDERS ? MAX_BUILDERS : (size_t)processors;
}

tare_status tare_conv_cache_new(tare_conv_cache **out, tare_device *device, const char *folder,
                                tare_error *err) {
    tare_conv_cache *cache = calloc(1, sizeof *cache);
    *out = NULL;
    if (cache == NULL) {
        return tare_fail_memory(err, sizeof *cache, "the plans of convolutions");
    }
    cache->device = device;
    cache->builder_count = wanted_builders();
    if (folder != NULL) {
        cache->folder = tare_conv_folder_new(folder, device, device->api->cudnnGetVersion());
    }
    pthread_mutex_init(&cache->lock, NULL);
    pthread_mutex_init(&cache->measuring, NULL);
    pthread_mutex_init(&cache->building, NULL);
    pthread_cond_init(&cache->changed, NULL);
    *out = cache;
    return TARE_OK;
}

static void entry_free(tare_conv_entry *entry) {
    tare_conv_plan_release(&entry->plan);
    pthread_mutex_destroy(&entry->running);
    free(entry->key);
    free(entry);
}

static void stop_builders(tare_conv_cache *cache) {
    bool started[MAX_BUILDERS];
    pthread_mutex_lock(&cache->lock);
    cache->stop = true;
    for (size_t i = 0; i < cache->builder_count; i++) {
        started[i] = cache->builders[i].state != BUILDER_FREE;
    }
    pthread_mutex_unlock(&cache->lock);
    for (size_t i = 0; i < cache->builder_count; i++) {
        if (started[i]) {
            pthread_join(cache->builders[i].thread, NULL);
        }
    }
}

void tare_conv_cache_free(tare_conv_cache *cache) {
    if (cache == NULL) {
        return;
    }
    const tare_cuda_api *api = cache->device->api;
    stop_builders(cache);
    while (cache->entries != NULL) {
        tare_conv_entry *entry = cache->entries;
        cache->entries = entry->next;
        entry_free(entry);
    }
    /* Only now: cuDNN does not say that a plan may outlive the handle it was made with. */
    for (size_t i = 0; i < cache->builder_count; i++) {
        if (cache->builders[i].handle != NULL) {
            (void)api->cudnnDestroy(cache->builders[i].handle);
        }
    }
    while (cache->handles != NULL) {
        queue_handle *handle = cache->handles;
        cache->handles = handle->next;
        (void)api->cudnnDestroy(handle->handle);
        free(handle);
    }
    if (cache->own_handle != NULL) {
        (void)api->cudnnDestroy(cache->own_handle);
    }
    pthread_cond_destroy(&cache->changed);
    pthread_mutex_destroy(&cache->building);
    pthread_mutex_destroy(&cache->measuring);
    pthread_mutex_destroy(&cache->lock);
    free(cache->folder);
    free(cache);
}

void tare_conv_cache_counts(tare_conv_counts *out, tare_conv_cache *cache) {
    pthread_mutex_lock(&cache->lock);
    *out = cache->counts;
    pthread_mutex_unlock(&cache->lock);
}

/* In threads that build and not only run, also for their own calls of CUDA. */
static tare_status choose_device(const tare_device *device, tare_error *err) {
    const tare_cuda_api *api = device->api;
    return tare_cuda_check(api, api->cudaSetDevice(device->index), "choosing the device", err);
}

static tare_status create_handle(cudnnHandle_t *out, const tare_device *device, tare_error *err) {
    const tare_cuda_api *api = device->api;
    TARE_TRY(choose_device(device, err));
    const cudnnStatus_t status = api->cudnnCreate(out);
    if (status != CUDNN_STATUS_SUCCESS) {
        *out = NULL;
        return tare_cudnn_fail(err, api, status, "opening cuDNN");
    }
    return TARE_OK;
}

/* ---- Building ---- */

/* From the folder, else anew; what is new is kept. Failing to keep it is no failure. */
static tare_status make_plan(tare_conv_entry *entry, cudnnHandle_t handle, tare_conv_counts *done,
                             tare_error *err) {
    tare_conv_cache *cache = entry->cache;
    const tare_conv_maker maker = {cache->device, handle, &cache->measuring};
    if (cache->folder != NULL &&
        tare_conv_plan_load(&entry->plan, &maker, cache->folder, entry->key, NULL) == TARE_OK) {
        done->read++;
        return TARE_OK;
    }
    TARE_TRY(tare_conv_plan_choose(&entry->plan, &maker, &entry->spec, err));
    done->built++;
    if (cache->folder != NULL && tare_conv_plan_save(&entry->plan, cache->device, cache->folder,
                                                     entry->key, NULL) == TARE_OK) {
        done->written++;
    }
    return TARE_OK;
}

/* Builds an entry whose state is BUILDING, and says so. Only answers that will stay the same are
 * kept; after other failures the next one who asks tries again. */
static tare_status build(tare_conv_entry *entry, cudnnHandle_t handle, tare_error *err) {
    tare_conv_cache *cache = entry->cache;
    tare_conv_counts done = {0};
    tare_error error = {0};
    const tare_status status = make_plan(entry, handle, &done, &error);

    pthread_mutex_lock(&cache->lock);
    entry->status = status;
    entry->error = error;
    entry->state = status == TARE_OK || status == TARE_UNSUPPORTED ? ENTRY_DONE : ENTRY_NEW;
    cache->counts.built += done.built;
    cache->counts.read += done.read;
    cache->counts.written += done.written;
    pthread_cond_broadcast(&cache->changed);
    pthread_mutex_unlock(&cache->lock);
    return status == TARE_OK ? TARE_OK : tare_fail(err, status, "%s", error.text);
}

/* The next one that was announced and that nobody builds, or NULL; the lock is held. */
static tare_conv_entry *next_waiting(tare_conv_cache *cache) {
    while (cache->first_waiting != NULL) {
        tare_conv_entry *entry = cache->first_waiting;
        cache->first_waiting = entry->next_waiting;
        if (cache->first_waiting == NULL) {
            cache->last_waiting = NULL;
        }
        entry->waiting = false;
        entry->next_waiting = NULL;
        if (entry->state == ENTRY_NEW) {
            return entry;
        }
    }
    return NULL;
}

static void *run_builder(void *argument) {
    builder *self = argument;
    tare_conv_cache *cache = self->cache;
    const bool opened =
        (self->handle != NULL ? choose_device(cache->device, NULL)
                              : create_handle(&self->handle, cache->device, NULL)) == TARE_OK;

    pthread_mutex_lock(&cache->lock);
    while (opened && !cache->stop) {
        tare_conv_entry *entry = next_waiting(cache);
        if (entry == NULL) {
            break;
        }
        entry->state = ENTRY_BUILDING;
        pthread_mutex_unlock(&cache->lock);
        /* Who asks for this plan gets the failure. */
        const tare_status status = build(entry, self->handle, NULL);
        TARE_UNUSED(status);
        pthread_mutex_lock(&cache->lock);
    }
    self->state = BUILDER_ENDED;
    pthread_mutex_unlock(&cache->lock);
    return NULL;
}

/* One more builder if there may be one; the lock is held. */
static void start_builder(tare_conv_cache *cache) {
    for (size_t i = 0; i < cache->builder_count; i++) {
        builder *free_one = &cache->builders[i];
        if (free_one->state == BUILDER_RUNNING) {
            continue;
        }
        if (free_one->state == BUILDER_ENDED) {
            pthread_join(free_one->thread, NULL);
            free_one->state = BUILDER_FREE;
        }
        free_one->cache = cache;
        if (pthread_create(&free_one->thread, NULL, run_builder, free_one) == 0) {
            free_one->state = BUILDER_RUNNING;
        }
        return;
    }
}

/* ---- Entries ---- */

static tare_conv_entry *entry_new(tare_conv_cache *cache, const tare_conv_spec *spec, char *key) {
    tare_conv_entry *entry = calloc(1, sizeof *entry);
    if (entry == NULL) {
        return NULL;
    }
    entry->cache = cache;
    entry->spec = *spec;
    entry->key = key;
    entry->plan.scope = tare_cudnn_scope_of(cache->device->api, NULL);
    pthread_mutex_init(&entry->running, NULL);
    entry->next = cache->entries;
    cache->entries = entry;
    return entry;
}

/* The entry of a convolution, made if it is missing; NULL without memory. The lock is held. */
static tare_conv_entry *find_entry(tare_conv_cache *cache, const tare_conv_spec *spec) {
    tare_text key = {0};
    tare_conv_entry *found = NULL;
    tare_conv_spec_text(&key, spec);
    if (!key.failed) {
        found = cache->entries;
        while (found != NULL && strcmp(found->key, key.data) != 0) {
            found = found->next;
        }
        if (found == NULL) {
            found = entry_new(cache, spec, key.data);
            if (found != NULL) {
                return found; /* which owns the key now */
            }
        }
    }
    tare_text_release(&key);
    return found;
}

void tare_conv_cache_announce(tare_conv_cache *cache, const tare_conv_spec *spec) {
    pthread_mutex_lock(&cache->lock);
    tare_conv_entry *entry = find_entry(cache, spec);
    if (entry != NULL && entry->state == ENTRY_NEW && !entry->waiting) {
        entry->waiting = true;
        if (cache->last_waiting == NULL) {
            cache->first_waiting = entry;
        } else {
            cache->last_waiting->next_waiting = entry;
        }
        cache->last_waiting = entry;
        start_builder(cache);
    }
    pthread_mutex_unlock(&cache->lock);
}

/* By the calling thread. */
static tare_status build_here(tare_conv_entry *entry, tare_error *err) {
    tare_conv_cache *cache = entry->cache;
    pthread_mutex_lock(&cache->building);
    tare_status status = choose_device(cache->device, err);
    if (status == TARE_OK && cache->own_handle == NULL) {
        status = create_handle(&cache->own_handle, cache->device, err);
    }
    if (status == TARE_OK) {
        status = build(entry, cache->own_handle, err);
    } else {
        pthread_mutex_lock(&cache->lock);
        entry->state = ENTRY_NEW;
        pthread_cond_broadcast(&cache->changed);
        pthread_mutex_unlock(&cache->lock);
    }
    pthread_mutex_unlock(&cache->building);
    return status;
}

tare_status tare_conv_cache_get(tare_conv_entry **out, tare_conv_cache *cache,
                                const tare_conv_spec *spec, tare_error *err) {
    tare_status status;
    tare_conv_entry *entry;

    *out = NULL;
    pthread_mutex_lock(&cache->lock);
    entry = find_entry(cache, spec);
    while (entry != NULL && entry->state == ENTRY_BUILDING) {
        pthread_cond_wait(&cache->changed, &cache->lock);
    }
    if (entry != NULL && entry->state == ENTRY_NEW) {
        entry->state = ENTRY_BUILDING;
        pthread_mutex_unlock(&cache->lock);
        status = build_here(entry, err);
    } else {
        status = entry == NULL ? tare_fail_memory(err, sizeof *entry, "a plan") : entry->status;
        if (entry != NULL && status != TARE_OK) {
            status = tare_fail(err, status, "%s", entry->error.text);
        }
        pthread_mutex_unlock(&cache->lock);
    }
    *out = status == TARE_OK ? entry : NULL;
    return status;
}

bool tare_conv_entry_fused(const tare_conv_entry *entry) {
    return entry->plan.fused;
}

size_t tare_conv_entry_workspace(const tare_conv_entry *entry) {
    return entry->plan.plan.workspace_bytes;
}

/* ---- Running ---- */

/* The place in the list where the handle of a queue is, or the list's end; the lock is held. */
static queue_handle **find_handle(tare_conv_cache *cache, const tare_queue *queue) {
    queue_handle **place = &cache->handles;
    while (*place != NULL && (*place)->queue != queue) {
        place = &(*place)->next;
    }
    return place;
}

static tare_status add_handle(queue_handle **place, tare_queue *queue, tare_error *err) {
    const tare_cuda_api *api = queue->device->api;
    queue_handle *added = calloc(1, sizeof *added);
    if (added == NULL) {
        return tare_fail_memory(err, sizeof *added, "a handle of cuDNN");
    }
    added->queue = queue;
    tare_status status = create_handle(&added->handle, queue->device, err);
    if (status == TARE_OK) {
        const cudnnStatus_t said = api->cudnnSetStream(added->handle, queue->stream);
        if (said != CUDNN_STATUS_SUCCESS) {
            status = tare_cudnn_fail(err, api, said, "giving a stream to cuDNN");
            (void)api->cudnnDestroy(added->handle);
        }
    }
    if (status != TARE_OK) {
        free(added);
        return status;
    }
    *place = added;
    return TARE_OK;
}

static tare_status handle_of(cudnnHandle_t *out, tare_conv_cache *cache, tare_queue *queue,
                             tare_error *err) {
    tare_status status = TARE_OK;
    pthread_mutex_lock(&cache->lock);
    queue_handle **place = find_handle(cache, queue);
    if (*place == NULL) {
        status = add_handle(place, queue, err);
    }
    *out = status == TARE_OK ? (*place)->handle : NULL;
    pthread_mutex_unlock(&cache->lock);
    return status;
}

tare_status tare_conv_queue_open(tare_queue *queue, tare_error *err) {
    cudnnHandle_t handle;
    return handle_of(&handle, queue->device->convolutions, queue, err);
}

void tare_conv_queue_close(tare_queue *queue) {
    tare_conv_cache *cache = queue->device->convolutions;
    if (cache == NULL) {
        return;
    }
    pthread_mutex_lock(&cache->lock);
    queue_handle **place = find_handle(cache, queue);
    queue_handle *found = *place;
    if (found != NULL) {
        *place = found->next;
    }
    pthread_mutex_unlock(&cache->lock);
    if (found != NULL) {
        (void)queue->device->api->cudnnDestroy(found->handle);
        free(found);
    }
}

tare_status tare_conv_entry_run(tare_conv_entry *entry, tare_queue *queue,
                                const tare_cudnn_binding *binding, tare_error *err) {
    cudnnHandle_t handle;
    TARE_TRY(handle_of(&handle, entry->cache, queue, err));
    pthread_mutex_lock(&entry->running);
    const tare_status status =
        tare_cudnn_plan_execute(queue->device->api, handle, &entry->plan.plan, binding, err);
    pthread_mutex_unlock(&entry->running);
    return status;
}
