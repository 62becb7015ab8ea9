/* SPDX-License-Identifier: Apache-2.0 */
/** The part of a session that is about a device: opening it, and choosing a batch that fits. */
#include "session_device.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* Left to the device's libraries and to fragmentation: one part in so many. */
#define SPARE_PARTS 16

/* ---- opening ---- */

/* False: plans are prepared anew in every run. */
static bool find_cache(char *path, size_t capacity) {
    const char *cache = getenv("XDG_CACHE_HOME"), *home = getenv("HOME");
    const bool named = cache != NULL && cache[0] == '/';
    int length;

    if (!named && (home == NULL || home[0] != '/')) {
        return false;
    }
    length = snprintf(path, capacity, named ? "%s/tare" : "%s/.cache/tare", named ? cache : home);
    return length > 0 && (size_t)length < capacity;
}

static tare_status open_device(tare_session *session, tare_error *err) {
    const tare_backend *backend = session->choice.backend;
    tare_device_options options = session->choice.options;
    char cache[1024];

    options.cache_folder = find_cache(cache, sizeof cache) ? cache : NULL;
    TARE_TRY(backend->device->open(&session->device, &options, err));
    session->backend = backend;
    backend->device->facts(&session->facts, session->device);
    return TARE_OK;
}

tare_status tare_session_open(tare_session *session, const tare_run_options *run, tare_error *err) {
    tare_device_choice *choice = &session->choice;

    TARE_TRY(tare_registry_device(choice, run->device, run->precision, err));
    if (choice->note[0] != '\0') {
        tare_note(run, "%s", choice->note);
    }
    choice->options.tune = run->tune;
    session->backend = choice->backend;
    if (choice->backend->device == NULL) {
        session->host = choice->backend;
        return TARE_OK;
    }
    TARE_TRY(open_device(session, err));
    tare_note(run, "device: %s, %s", session->facts.name, tare_session_precision(session));
    return TARE_OK;
}

tare_status tare_session_reopen(tare_session *session, tare_precision precision, tare_error *err) {
    tare_session_drop_plan(session);
    tare_session_close_device(session);
    session->choice.options.precision = precision;
    return open_device(session, err);
}

void tare_session_close_device(tare_session *session) {
    if (session->device != NULL) {
        session->backend->device->close(session->device);
        session->device = NULL;
        session->backend = session->host;
    }
}

const char *tare_session_precision(const tare_session *session) {
    static const char *const names[] = {[TARE_PRECISION_FP32] = "fp32",
                                        [TARE_PRECISION_TF32] = "tf32",
                                        [TARE_PRECISION_FP16] = "fp16"};
    return session->device == NULL ? "float32" : names[session->facts.precision];
}

/* ---- planning ---- */

static void drop_collection(tare_session_collection *collection) {
    free(collection->points);
    free(collection->values);
    *collection = (tare_session_collection){0};
}

void tare_session_drop_plan(tare_session *session) {
    tare_plan_free(session->plan);
    session->plan = NULL;
    tare_batch_release(&session->batch);
    session->samples_per_run = 1;
    drop_collection(&session->collection);
}

static tare_status list_collection(tare_session *session, const tare_session_limits *limits,
                                   tare_error *err) {
    tare_session_collection *to = &session->collection;

    to->points = calloc(limits->point_count + 1, sizeof *to->points);
    to->values = calloc(limits->point_count + 1, sizeof *to->values);
    if (to->points == NULL || to->values == NULL) {
        return tare_fail_memory(err, limits->point_count * sizeof *to->points, "statistics");
    }
    for (size_t i = 0; i < limits->point_count; i++) {
        const tare_session_point *from = &limits->points[i];
        tare_collect_point point = {.samples = session->samples_per_run,
                                    .axis = from->axis,
                                    .channels = from->channels,
                                    .codes = from->codes,
                                    .quantiles = from->quantiles,
                                    .quantile = from->quantile,
                                    .windows = from->windows,
                                    .window_count = from->window_count};
        if (tare_plan_watched_desc(&point.desc, session->plan, from->value)) {
            to->values[to->count] = from->value;
            to->points[to->count++] = point;
        }
    }
    return TARE_OK;
}

static uint64_t input_bytes(const tare_session *session) {
    uint64_t bytes = 0;
    for (size_t i = 0; i < session->graph.input_count; i++) {
        tare_desc desc;
        if (tare_plan_input_desc(&desc, session->plan, i)) {
            bytes += tare_desc_bytes(&desc);
        }
    }
    return bytes;
}

static tare_status account(tare_session *session, const tare_session_limits *limits,
                           tare_error *err) {
    const tare_device_functions *functions = session->backend->device;
    const uint64_t samples = (uint64_t)session->samples_per_run;
    tare_session_memory *m = &session->memory;
    uint64_t pinned = 0, staged = 0;

    *m = (tare_session_memory){
        .constants = session->constant_bytes,
        .packed = tare_plan_weight_bytes(session->plan),
        .data = limits->fixed_bytes + (uint64_t)session->threads * limits->bytes_per_thread +
                samples * limits->bytes_per_sample,
        .device_weights = tare_plan_device_weight_bytes(session->plan),
        .device_workspace = tare_plan_device_workspace_bytes(session->plan),
    };
    if (limits->streams) {
        staged = TARE_SESSION_SLOTS * samples * (uint64_t)session->repeat * limits->staged_bytes;
        m->device_staging = staged + input_bytes(session);
    }
    if (session->collection.count > 0) {
        TARE_TRY(functions->collector_measure(&m->device_statistics, &pinned,
                                              session->collection.points, session->collection.count,
                                              TARE_SESSION_SLOTS, err));
    }
    m->pinned = tare_plan_workspace_bytes(session->plan) + staged + pinned;
    return TARE_OK;
}

static tare_status build_plan(tare_session *session, const tare_session_limits *limits,
                              tare_error *err) {
    tare_graph *graph = tare_session_graph(session);
    bool *watched = calloc(graph->value_count + 1, sizeof *watched);
    bool *streamed = calloc(graph->input_count + 1, sizeof *streamed);
    const tare_plan_options options = {.watched = watched,
                                       .threads_per_run = session->threads_per_run,
                                       .device = session->device,
                                       .fallback = session->host,
                                       .inputs_on_device = streamed,
                                       .outputs_to_host = limits->wants_outputs};
    tare_status status;

    if (watched == NULL || streamed == NULL) {
        status = tare_fail_memory(err, graph->value_count, "the plan");
        goto done;
    }
    /* A batch keeps the ids of values and adds constants behind them. */
    if (limits->watched != NULL) {
        memcpy(watched, limits->watched, session->graph.value_count * sizeof *watched);
    }
    for (size_t i = 0; i < graph->input_count; i++) {
        streamed[i] = limits->streams && graph->inputs[i]->constant == NULL;
    }
    status = tare_plan_build(&session->plan, graph, session->backend, &options, err);
done:
    free(watched);
    free(streamed);
    return status;
}

static tare_status plan_batch(tare_session *session, const tare_session_limits *limits,
                              int64_t samples, tare_error *err) {
    tare_session_drop_plan(session);
    if (samples > 1) {
        TARE_TRY(tare_pass_batch(&session->batch, &session->graph, session->host, samples, err));
    }
    session->samples_per_run = samples;
    TARE_TRY(build_plan(session, limits, err));
    TARE_TRY(list_collection(session, limits, err));
    return account(session, limits, err);
}

/* What may be used of the device's memory. */
static uint64_t device_limit(const tare_session *session, const tare_session_limits *limits) {
    const uint64_t free_bytes = session->facts.free_bytes;
    const uint64_t most = free_bytes - free_bytes / SPARE_PARTS;
    return limits->memory_bytes > 0 && limits->memory_bytes < most ? limits->memory_bytes : most;
}

/* Memory that any plan needs for one sample: the operands of the widest node. */
static uint64_t widest_node_bytes(const tare_graph *graph) {
    uint64_t widest = 0;
    for (size_t i = 0; i < graph->node_count; i++) {
        const tare_node *node = graph->nodes[i];
        uint64_t bytes = 0;
        for (size_t k = 0; k < node->output_count; k++) {
            const tare_value *value = node->outputs[k];
            size_t size = 0;
            if (value != NULL && value->constant == NULL &&
                tare_dims_bytes(&size, value->dtype, value->rank, value->dims)) {
                bytes += size;
            }
        }
        widest = bytes > widest ? bytes : widest;
    }
    return widest;
}

/* Elements of the largest value that is computed from one sample. */
static uint64_t largest_value(const tare_graph *graph) {
    uint64_t largest = 1;
    for (size_t i = 0; i < graph->node_count; i++) {
        const tare_node *node = graph->nodes[i];
        for (size_t k = 0; k < node->output_count; k++) {
            const tare_value *value = node->outputs[k];
            if (value != NULL && value->constant == NULL) {
                const int64_t count = tare_dims_count(value->rank, value->dims);
                largest = count > 0 && (uint64_t)count > largest ? (uint64_t)count : largest;
            }
        }
    }
    return largest;
}

/* float16 halves what the graph says. Beyond 2^31 elements libraries and some kernels do not number
 * them any more, and nodes that could do a smaller batch would be left to the CPU. */
static int64_t first_batch(const tare_session *session, const tare_session_limits *limits) {
    const uint64_t each = widest_node_bytes(&session->graph) / 2 + 1;
    const uint64_t largest = largest_value(&session->graph);
    int64_t batch = limits->batch > 1 ? limits->batch : 1;
    while (batch > 1 && ((uint64_t)batch > device_limit(session, limits) / each ||
                         (uint64_t)batch > INT32_MAX / largest)) {
        batch /= 2;
    }
    return batch;
}

static bool fits(const tare_session *session, const tare_session_limits *limits) {
    return tare_session_device_bytes(session) <= device_limit(session, limits) &&
           (limits->memory_bytes == 0 || tare_session_bytes(session) <= limits->memory_bytes);
}

static tare_status fail_memory(const tare_session *session, const tare_session_limits *limits,
                               tare_error *err) {
    const bool device = tare_session_device_bytes(session) > device_limit(session, limits);
    char need[TARE_BYTES_TEXT], allowed[TARE_BYTES_TEXT];
    const uint64_t needed =
        device ? tare_session_device_bytes(session) : tare_session_bytes(session);
    return tare_fail(
        err, TARE_OUT_OF_MEMORY, "the run needs %s of %s memory with a batch of one, %s are %s",
        tare_bytes_text(need, sizeof need, needed), device ? "the device's" : "the host's",
        limits->memory_bytes > 0 ? "allowed" : "free",
        tare_bytes_text(allowed, sizeof allowed,
                        device ? device_limit(session, limits) : limits->memory_bytes));
}

tare_status tare_session_plan_device(tare_session *session, const tare_session_limits *limits,
                                     tare_error *err) {
    int64_t batch = first_batch(session, limits);

    session->threads = limits->threads > 0 ? limits->threads : 1;
    for (;;) {
        const tare_status status = plan_batch(session, limits, batch, err);
        if (status != TARE_OK && (status != TARE_OUT_OF_MEMORY || batch == 1)) {
            return status;
        }
        if (status == TARE_OK && fits(session, limits)) {
            return TARE_OK;
        }
        if (batch == 1) {
            return fail_memory(session, limits, err);
        }
        batch /= 2;
    }
}
