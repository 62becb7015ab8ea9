/* SPDX-License-Identifier: Apache-2.0 */
/** External data of a model: found, confined to the model's folder, mapped. */
#include "onnx/external.h"

#include <errno.h>
#include <limits.h>
#include <stdlib.h>
#include <string.h>

#include "onnx/tensors.h"

#define LOCATION_EXTERNAL 1

typedef struct resolving {
    tare_document *document;
    const char *folder;
    char *root; /* `folder` without links; NULL until the first external tensor; malloc'ed */
    tare_error *err;
} resolving;

static tare_status find_entry(const char **value, const Tare__TensorProto *tensor, const char *key,
                              tare_error *err) {
    *value = NULL;
    for (size_t i = 0; i < tensor->n_external_data; i++) {
        const Tare__StringStringEntryProto *entry = tensor->external_data[i];
        if (entry->key != NULL && strcmp(entry->key, key) == 0) {
            if (*value != NULL) {
                return tare_fail(err, TARE_INVALID_MODEL, "external data has two entries '%s'",
                                 key);
            }
            *value = entry->value == NULL ? "" : entry->value;
        }
    }
    return TARE_OK;
}

static tare_status parse_size(uint64_t *number, const char *text, const char *key,
                              tare_error *err) {
    uint64_t result = 0;
    const char *at = text;
    for (; *at >= '0' && *at <= '9' && result <= (UINT64_MAX - 9) / 10; at++) {
        result = result * 10 + (uint64_t)(*at - '0');
    }
    if (at == text || *at != '\0') {
        return tare_fail(err, TARE_INVALID_MODEL, "external data: %s '%s' is not a size", key,
                         text);
    }
    *number = result;
    return TARE_OK;
}

/* A relative path that does not step up. */
static bool location_is_inside(const char *location) {
    const char *at = location;
    if (location[0] == '\0' || location[0] == '/') {
        return false;
    }
    while (*at != '\0') {
        const size_t length = strcspn(at, "/");
        if (length == 2 && at[0] == '.' && at[1] == '.') {
            return false;
        }
        at += length + (at[length] == '/' ? 1 : 0);
    }
    return true;
}

static tare_status join_and_resolve(char **path, const resolving *r, const char *location) {
    const size_t folder = strlen(r->folder), bytes = folder + strlen(location) + 2;
    char *joined = malloc(bytes);
    const size_t root = strlen(r->root);
    tare_status status = TARE_OK;

    *path = NULL;
    if (joined == NULL) {
        return tare_fail_memory(r->err, bytes, "a path");
    }
    memcpy(joined, r->folder, folder);
    joined[folder] = '/';
    memcpy(joined + folder + 1, location, bytes - folder - 1);
    *path = realpath(joined, NULL);
    if (*path == NULL) {
        status = tare_fail(r->err, errno == ENOENT ? TARE_NOT_FOUND : TARE_IO,
                           "external data file '%s': %s", location, strerror(errno));
    } else if (strncmp(*path, r->root, root) != 0 || ((*path)[root] != '/' && root > 1)) {
        status = tare_fail(r->err, TARE_INVALID_MODEL,
                           "external data file '%s' lies outside the model's folder", location);
    }
    free(joined);
    return status;
}

static tare_status open_side_file(tare_onnx_side_file **out, resolving *r, const char *location) {
    tare_document *document = r->document;
    tare_onnx_side_file *file;
    char *path = NULL;
    tare_status status = join_and_resolve(&path, r, location);

    *out = NULL;
    if (status != TARE_OK) {
        goto done;
    }
    for (file = document->side_files; file != NULL; file = file->next) {
        if (strcmp(file->path, path) == 0) {
            *out = file;
            goto done;
        }
    }
    file = tare_arena_alloc(&document->arena, sizeof *file);
    if (file == NULL || (file->path = tare_arena_strdup(&document->arena, path)) == NULL) {
        status = tare_fail_memory(r->err, strlen(path), "a path");
        goto done;
    }
    TARE_TRY_DONE(status, tare_mapping_open(&file->mapping, path, r->err));
    file->next = document->side_files;
    document->side_files = file;
    *out = file;
done:
    free(path);
    return status;
}

static tare_status find_range(uint64_t *offset, const Tare__TensorProto *tensor, size_t bytes,
                              const resolving *r) {
    const char *offset_text, *length_text;
    uint64_t length = bytes;

    *offset = 0;
    TARE_TRY(find_entry(&offset_text, tensor, "offset", r->err));
    TARE_TRY(find_entry(&length_text, tensor, "length", r->err));
    if (offset_text != NULL) {
        TARE_TRY(parse_size(offset, offset_text, "offset", r->err));
    }
    if (length_text != NULL) {
        TARE_TRY(parse_size(&length, length_text, "length", r->err));
    }
    if (length != bytes) {
        return tare_fail(r->err, TARE_INVALID_MODEL,
                         "external data: length is %llu, but the tensor has %zu bytes",
                         (unsigned long long)length, bytes);
    }
    return TARE_OK;
}

static tare_status check_kind(size_t *bytes, const Tare__TensorProto *tensor, const resolving *r) {
    tare_tensor shape;
    if (r->folder == NULL) {
        return tare_fail(r->err, TARE_UNSUPPORTED,
                         "it has external data, but the model comes without a folder");
    }
    if (tensor->raw_data.len > 0) {
        return tare_fail(r->err, TARE_INVALID_MODEL, "contents are stored twice");
    }
    TARE_TRY(tare_onnx_tensor_shape(&shape, tensor, r->err));
    if (tare_dtype_bits(shape.dtype) != 0 &&
        !tare_dims_bytes(bytes, shape.dtype, shape.rank, shape.dims)) {
        char text[TARE_DIMS_TEXT_BYTES];
        return tare_fail(r->err, TARE_INVALID_MODEL, "shape %s is too large",
                         tare_dims_text(text, sizeof text, shape.rank, shape.dims));
    }
    if (tare_dtype_bits(shape.dtype) == 0) {
        return tare_fail(r->err, TARE_INVALID_MODEL, "%s tensors cannot have external data",
                         tare_dtype_text(shape.dtype));
    }
    return TARE_OK;
}

static tare_status resolve_tensor(resolving *r, Tare__TensorProto *tensor) {
    const char *location;
    tare_onnx_side_file *file = NULL;
    uint64_t offset = 0;
    size_t bytes = 0;

    TARE_TRY(check_kind(&bytes, tensor, r));
    TARE_TRY(find_entry(&location, tensor, "location", r->err));
    if (location == NULL || !location_is_inside(location)) {
        return tare_fail(r->err, TARE_INVALID_MODEL,
                         "external data: location '%s' is not a path inside the model's folder",
                         location == NULL ? "" : location);
    }
    TARE_TRY(find_range(&offset, tensor, bytes, r));
    if (r->root == NULL && (r->root = realpath(r->folder, NULL)) == NULL) {
        return tare_fail(r->err, TARE_NOT_FOUND, "folder '%s': %s", r->folder, strerror(errno));
    }
    TARE_TRY(open_side_file(&file, r, location));
    if (offset > file->mapping.bytes || bytes > file->mapping.bytes - offset) {
        return tare_fail(r->err, TARE_INVALID_MODEL,
                         "external data: %zu bytes at offset %llu of '%s' are asked for, "
                         "which has %zu",
                         bytes, (unsigned long long)offset, location, file->mapping.bytes);
    }
    tensor->has_raw_data = 1;
    tensor->raw_data.len = bytes;
    tensor->raw_data.data =
        bytes == 0 ? NULL : (uint8_t *)(uintptr_t)(file->mapping.data + (size_t)offset);
    tensor->has_data_location = 0;
    tensor->data_location = 0;
    tensor->n_external_data = 0;
    return TARE_OK;
}

static tare_status visit(resolving *r, ProtobufCMessage *message);

/* All messages in one field; for a oneof only when it is the chosen one. */
static tare_status visit_field(resolving *r, ProtobufCMessage *message,
                               const ProtobufCFieldDescriptor *field) {
    char *base = (char *)message;
    if (field->label == PROTOBUF_C_LABEL_REPEATED) {
        size_t count;
        ProtobufCMessage **list;
        memcpy(&count, base + field->quantifier_offset, sizeof count);
        memcpy(&list, base + field->offset, sizeof list);
        for (size_t i = 0; i < count; i++) {
            TARE_TRY(visit(r, list[i]));
        }
        return TARE_OK;
    }
    if ((field->flags & PROTOBUF_C_FIELD_FLAG_ONEOF) == 0) {
        ProtobufCMessage *child;
        memcpy(&child, base + field->offset, sizeof child);
        if (child != NULL) {
            return visit(r, child);
        }
    }
    return TARE_OK;
}

static tare_status visit(resolving *r, ProtobufCMessage *message) {
    const ProtobufCMessageDescriptor *kind = message->descriptor;
    if (kind == &tare__tensor_proto__descriptor) {
        Tare__TensorProto *tensor = (Tare__TensorProto *)message;
        if (tensor->data_location == LOCATION_EXTERNAL) {
            const tare_status status = resolve_tensor(r, tensor);
            if (status != TARE_OK) {
                tare_error_prepend(r->err,
                                   "tensor '%s': ", tensor->name == NULL ? "" : tensor->name);
            }
            return status;
        }
        return TARE_OK;
    }
    for (unsigned i = 0; i < kind->n_fields; i++) {
        if (kind->fields[i].type == PROTOBUF_C_TYPE_MESSAGE) {
            TARE_TRY(visit_field(r, message, &kind->fields[i]));
        }
    }
    return TARE_OK;
}

tare_status tare_onnx_external_resolve(tare_document *document, const char *folder,
                                       tare_error *err) {
    resolving r = {.document = document, .folder = folder, .err = err};
    const tare_status status = visit(&r, &document->model->base);
    free(r.root);
    return status;
}
