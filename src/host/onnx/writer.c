/* SPDX-License-Identifier: Apache-2.0 */
/** Writing graphs as ONNX files. */
#include "onnx/writer.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "onnx/document.h"
#include "onnx/emit.h"

#define SMALL_BYTES     ((size_t)1024)      /* contents below stay in the model */
#define LARGE_BYTES     ((size_t)64 * 1024) /* contents from here on start a page, to be mapped */
#define SMALL_ALIGNMENT ((uint64_t)64)
#define PAGE_BYTES      ((uint64_t)4096)

tare_onnx_write_options tare_onnx_write_options_default(void) {
    return (tare_onnx_write_options){.inline_limit_bytes = INT32_MAX};
}

/* protobuf-c hands over many small pieces, and payloads as one piece without copying them. */
typedef struct sink {
    ProtobufCBuffer base; /* first, because protobuf-c passes a pointer to it */
    tare_output *file;
    tare_status status;
    tare_error *err;
    size_t used;
    unsigned char pieces[16 * 1024];
} sink;

static void flush(sink *s) {
    if (s->status == TARE_OK && s->used > 0) {
        s->status = tare_output_write(s->file, s->pieces, s->used, s->err);
    }
    s->used = 0;
}

static void append(ProtobufCBuffer *buffer, size_t bytes, const uint8_t *data) {
    sink *s = (sink *)buffer;
    if (bytes > sizeof s->pieces - s->used) {
        flush(s);
    }
    if (bytes > sizeof s->pieces) {
        if (s->status == TARE_OK) {
            s->status = tare_output_write(s->file, data, bytes, s->err);
        }
    } else if (bytes > 0) {
        memcpy(s->pieces + s->used, data, bytes);
        s->used += bytes;
    }
}

static tare_status pack_into(tare_output *file, const Tare__ModelProto *model, tare_error *err) {
    sink *s = calloc(1, sizeof *s);
    tare_status status;
    if (s == NULL) {
        return tare_fail_memory(err, sizeof *s, "writing");
    }
    s->base.append = append;
    s->file = file;
    s->err = err;
    (void)tare__model_proto__pack_to_buffer(model, &s->base);
    flush(s);
    status = s->status;
    free(s);
    return status;
}

/* Contents that go to the side file. */
typedef struct side_part {
    const void *data;
    uint64_t offset;
    size_t bytes;
} side_part;

typedef struct side_plan {
    side_part *parts;
    size_t count;
    uint64_t end;
} side_plan;

static Tare__StringStringEntryProto *new_entry(tare_arena *arena, const char *key,
                                               const char *value) {
    Tare__StringStringEntryProto *entry = tare_arena_alloc(arena, sizeof *entry);
    if (entry == NULL || value == NULL) {
        return NULL;
    }
    tare__string_string_entry_proto__init(entry);
    entry->key = (char *)(uintptr_t)key;
    entry->value = (char *)(uintptr_t)value;
    return entry;
}

static Tare__TensorProto *refer(tare_arena *arena, const Tare__TensorProto *source,
                                const side_part *part, const char *location) {
    Tare__TensorProto *proto = tare_arena_alloc(arena, sizeof *proto);
    Tare__StringStringEntryProto **entries = tare_arena_array(arena, 3, sizeof *entries);

    if (proto == NULL || entries == NULL) {
        return NULL;
    }
    *proto = *source;
    tare_onnx_tensor_clear(proto);
    entries[0] = new_entry(arena, "location", location);
    entries[1] = new_entry(arena, "offset", tare_arena_printf(arena, "%" PRIu64, part->offset));
    entries[2] = new_entry(arena, "length", tare_arena_printf(arena, "%zu", part->bytes));
    if (entries[0] == NULL || entries[1] == NULL || entries[2] == NULL) {
        return NULL;
    }
    proto->n_external_data = 3;
    proto->external_data = entries;
    proto->has_data_location = 1;
    proto->data_location = 1;
    return proto;
}

/* Turns the initializers that are worth it into references to `location`. */
static tare_status plan_side_file(side_plan *plan, tare_onnx_emission *e, const char *location,
                                  tare_error *err) {
    const size_t count = e->body.n_initializer;
    plan->parts = tare_arena_array(&e->arena, count, sizeof *plan->parts);
    if (plan->parts == NULL) {
        return tare_fail_memory(err, count * sizeof *plan->parts, "the side file");
    }
    for (size_t i = 0; i < count; i++) {
        const tare_tensor *tensor = e->contents[i];
        side_part *part = &plan->parts[plan->count];
        uint64_t alignment;
        size_t bytes = 0;

        if (tensor == NULL || !tare_dims_bytes(&bytes, tensor->dtype, tensor->rank, tensor->dims) ||
            bytes < SMALL_BYTES) {
            continue;
        }
        alignment = bytes >= LARGE_BYTES ? PAGE_BYTES : SMALL_ALIGNMENT;
        *part = (side_part){.data = tensor->data,
                            .offset = (plan->end + alignment - 1) / alignment * alignment,
                            .bytes = bytes};
        plan->end = part->offset + bytes;
        plan->count++;
        e->body.initializer[i] = refer(&e->arena, e->body.initializer[i], part, location);
        if (e->body.initializer[i] == NULL) {
            return tare_fail_memory(err, sizeof *part, "the side file");
        }
    }
    return TARE_OK;
}

static tare_status write_side_file(tare_output *file, const side_plan *plan, tare_error *err) {
    for (size_t i = 0; i < plan->count; i++) {
        const side_part *part = &plan->parts[i];
        TARE_TRY(tare_output_align(
            file, (size_t)(part->bytes >= LARGE_BYTES ? PAGE_BYTES : SMALL_ALIGNMENT), err));
        TARE_TRY(tare_output_write(file, part->data, part->bytes, err));
    }
    return TARE_OK;
}

static tare_status fail_size(uint64_t size, uint64_t limit, tare_error *err) {
    return tare_fail(err, TARE_UNSUPPORTED,
                     "the model has %" PRIu64 " bytes without the contents of its initializers, "
                     "but at most %" PRIu64 " can be written",
                     size, limit);
}

/* Both files are complete before the first one gets its name. */
static tare_status write_two_files(tare_onnx_emission *e, const char *path, uint64_t limit,
                                   tare_error *err) {
    const char *slash = strrchr(path, '/');
    const char *side_path = tare_arena_printf(&e->arena, "%s.data", path);
    const char *location =
        tare_arena_printf(&e->arena, "%s.data", slash == NULL ? path : slash + 1);
    tare_output *side = NULL, *main_file = NULL;
    side_plan plan = {0};
    tare_status status;
    uint64_t size;

    if (side_path == NULL || location == NULL) {
        return tare_fail_memory(err, strlen(path), "a path");
    }
    TARE_TRY(plan_side_file(&plan, e, location, err));
    size = tare__model_proto__get_packed_size(&e->model);
    if (size > limit) {
        return fail_size(size, limit, err);
    }
    TARE_TRY_DONE(status, tare_output_open(&side, side_path, err));
    TARE_TRY_DONE(status, tare_output_open(&main_file, path, err));
    TARE_TRY_DONE(status, write_side_file(side, &plan, err));
    TARE_TRY_DONE(status, pack_into(main_file, &e->model, err));
    status = tare_output_commit(side, err);
    side = NULL;
    if (status != TARE_OK) {
        goto done;
    }
    status = tare_output_commit(main_file, err);
    main_file = NULL;
    if (status != TARE_OK) {
        (void)remove(side_path);
    }
done:
    tare_output_discard(side);
    tare_output_discard(main_file);
    return status;
}

static tare_status write_one_file(const tare_onnx_emission *e, const char *path, tare_error *err) {
    tare_output *file = NULL;
    tare_status status;

    TARE_TRY(tare_output_open(&file, path, err));
    status = pack_into(file, &e->model, err);
    if (status != TARE_OK) {
        tare_output_discard(file);
        return status;
    }
    return tare_output_commit(file, err);
}

static const tare_document *document_of(const tare_graph *graph,
                                        const tare_onnx_write_options *options) {
    return graph->document == NULL && options->source != NULL ? options->source->document
                                                              : graph->document;
}

tare_status tare_onnx_write_with(const tare_graph *graph, const char *path,
                                 const tare_onnx_write_options *options, tare_error *err) {
    tare_onnx_emission e;
    tare_status status = tare_onnx_emit(&e, graph, document_of(graph, options), err);

    if (status == TARE_OK) {
        if (tare__model_proto__get_packed_size(&e.model) > options->inline_limit_bytes) {
            status = write_two_files(&e, path, options->inline_limit_bytes, err);
        } else {
            status = write_one_file(&e, path, err);
        }
    }
    tare_onnx_emission_release(&e);
    return status;
}

tare_status tare_onnx_write(const tare_graph *graph, const char *path, tare_error *err) {
    const tare_onnx_write_options options = tare_onnx_write_options_default();
    return tare_onnx_write_with(graph, path, &options, err);
}

tare_status tare_onnx_write_memory(tare_buffer **out, const tare_graph *graph,
                                   const tare_onnx_write_options *options, tare_error *err) {
    tare_onnx_emission e;
    tare_status status = tare_onnx_emit(&e, graph, document_of(graph, options), err);
    size_t size;

    *out = NULL;
    if (status != TARE_OK) {
        goto done;
    }
    size = tare__model_proto__get_packed_size(&e.model);
    if (size > options->inline_limit_bytes) {
        status = tare_fail(err, TARE_UNSUPPORTED,
                           "the model has %zu bytes, but at most %" PRIu64 " fit in memory", size,
                           options->inline_limit_bytes);
        goto done;
    }
    *out = tare_buffer_new(size);
    if (*out == NULL) {
        status = tare_fail_memory(err, size, "a serialized model");
        goto done;
    }
    (void)tare__model_proto__pack(&e.model, tare_buffer_data(*out));
done:
    tare_onnx_emission_release(&e);
    return status;
}
