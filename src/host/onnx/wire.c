/* SPDX-License-Identifier: Apache-2.0 */
/** A look over serialized bytes before protobuf-c unpacks them. */
#include "onnx/wire.h"

#include <string.h>

#define LARGEST_FIELD  ((UINT64_C(1) << 29) - 1)

/* An empty message takes 2 bytes in a file and hundreds in memory. Real nodes, attributes and dims
 * need less than 40 times their size. */
#define LARGEST_GROWTH ((size_t)64)
#define FREE_BYTES     ((size_t)16 << 20)

typedef struct scan {
    const unsigned char *data;
    size_t at;                       /* offset in the whole file, for messages */
    size_t unpacked, unpacked_limit; /* bytes of the message structs, about */
    tare_error *err;
} scan;

static tare_status damaged(const scan *s, const ProtobufCMessageDescriptor *kind,
                           const char *what) {
    return tare_fail(s->err, TARE_INVALID_MODEL,
                     "damaged, or not an ONNX file: %s at byte %zu, inside a %s", what, s->at,
                     kind->short_name);
}

static bool read_varint(uint64_t *value, scan *s, size_t end) {
    uint64_t result = 0;
    for (unsigned shift = 0; shift < 70 && s->at < end; shift += 7) {
        const unsigned char byte = s->data[s->at++];
        if (shift < 63 || byte <= 1) {
            result |= (uint64_t)(byte & 0x7f) << shift;
        } else {
            return false;
        }
        if (byte < 0x80) {
            *value = result;
            return true;
        }
    }
    return false;
}

static const ProtobufCWireType wire_types[] = {
    [PROTOBUF_C_TYPE_INT32] = PROTOBUF_C_WIRE_TYPE_VARINT,
    [PROTOBUF_C_TYPE_SINT32] = PROTOBUF_C_WIRE_TYPE_VARINT,
    [PROTOBUF_C_TYPE_SFIXED32] = PROTOBUF_C_WIRE_TYPE_32BIT,
    [PROTOBUF_C_TYPE_INT64] = PROTOBUF_C_WIRE_TYPE_VARINT,
    [PROTOBUF_C_TYPE_SINT64] = PROTOBUF_C_WIRE_TYPE_VARINT,
    [PROTOBUF_C_TYPE_SFIXED64] = PROTOBUF_C_WIRE_TYPE_64BIT,
    [PROTOBUF_C_TYPE_UINT32] = PROTOBUF_C_WIRE_TYPE_VARINT,
    [PROTOBUF_C_TYPE_FIXED32] = PROTOBUF_C_WIRE_TYPE_32BIT,
    [PROTOBUF_C_TYPE_UINT64] = PROTOBUF_C_WIRE_TYPE_VARINT,
    [PROTOBUF_C_TYPE_FIXED64] = PROTOBUF_C_WIRE_TYPE_64BIT,
    [PROTOBUF_C_TYPE_FLOAT] = PROTOBUF_C_WIRE_TYPE_32BIT,
    [PROTOBUF_C_TYPE_DOUBLE] = PROTOBUF_C_WIRE_TYPE_64BIT,
    [PROTOBUF_C_TYPE_BOOL] = PROTOBUF_C_WIRE_TYPE_VARINT,
    [PROTOBUF_C_TYPE_ENUM] = PROTOBUF_C_WIRE_TYPE_VARINT,
    [PROTOBUF_C_TYPE_STRING] = PROTOBUF_C_WIRE_TYPE_LENGTH_PREFIXED,
    [PROTOBUF_C_TYPE_BYTES] = PROTOBUF_C_WIRE_TYPE_LENGTH_PREFIXED,
    [PROTOBUF_C_TYPE_MESSAGE] = PROTOBUF_C_WIRE_TYPE_LENGTH_PREFIXED,
};

/* Numbers of a repeated field that stand together in one block. */
static bool packed_is_whole(scan *s, ProtobufCWireType wire, size_t end) {
    if (wire == PROTOBUF_C_WIRE_TYPE_VARINT) {
        uint64_t ignored;
        while (s->at < end) {
            if (!read_varint(&ignored, s, end)) {
                return false;
            }
        }
        return true;
    }
    return (end - s->at) % (wire == PROTOBUF_C_WIRE_TYPE_32BIT ? 4 : 8) == 0;
}

static const ProtobufCFieldDescriptor *find_field(const ProtobufCMessageDescriptor *kind,
                                                  uint64_t id) {
    for (unsigned i = 0; i < kind->n_fields; i++) {
        if (kind->fields[i].id == id) {
            return &kind->fields[i];
        }
    }
    return NULL;
}

static tare_status scan_message(scan *s, const ProtobufCMessageDescriptor *kind, size_t end,
                                int depth);

/* The contents of a length-prefixed field, from s->at to `end`. */
static tare_status scan_block(scan *s, const ProtobufCMessageDescriptor *kind,
                              const ProtobufCFieldDescriptor *field, size_t end, int depth) {
    if (field != NULL && field->type == PROTOBUF_C_TYPE_MESSAGE) {
        return scan_message(s, field->descriptor, end, depth + 1);
    }
    if (field != NULL && field->type == PROTOBUF_C_TYPE_STRING &&
        memchr(s->data + s->at, 0, end - s->at) != NULL) {
        return damaged(s, kind, "a text with a zero byte");
    }
    if (field != NULL && wire_types[field->type] != PROTOBUF_C_WIRE_TYPE_LENGTH_PREFIXED &&
        !packed_is_whole(s, wire_types[field->type], end)) {
        return damaged(s, kind, "a broken list of numbers");
    }
    s->at = end;
    return TARE_OK;
}

static bool wire_fits(const ProtobufCFieldDescriptor *field, unsigned wire) {
    return field == NULL || wire == (unsigned)wire_types[field->type] ||
           (field->label == PROTOBUF_C_LABEL_REPEATED &&
            wire == PROTOBUF_C_WIRE_TYPE_LENGTH_PREFIXED);
}

static tare_status scan_value(scan *s, const ProtobufCMessageDescriptor *kind,
                              const ProtobufCFieldDescriptor *field, unsigned wire, size_t end,
                              int depth) {
    uint64_t value;
    switch (wire) {
    case PROTOBUF_C_WIRE_TYPE_VARINT:
        if (!read_varint(&value, s, end)) {
            return damaged(s, kind, "a broken number");
        }
        return TARE_OK;
    case PROTOBUF_C_WIRE_TYPE_32BIT:
    case PROTOBUF_C_WIRE_TYPE_64BIT:
        value = wire == PROTOBUF_C_WIRE_TYPE_32BIT ? 4 : 8;
        if (value > end - s->at) {
            return damaged(s, kind, "a number that is cut off");
        }
        s->at += (size_t)value;
        return TARE_OK;
    case PROTOBUF_C_WIRE_TYPE_LENGTH_PREFIXED:
        if (!read_varint(&value, s, end) || value > end - s->at) {
            return damaged(s, kind, "a length beyond the end");
        }
        return scan_block(s, kind, field, s->at + (size_t)value, depth);
    default:
        return damaged(s, kind, "an unknown kind of field");
    }
}

static tare_status scan_message(scan *s, const ProtobufCMessageDescriptor *kind, size_t end,
                                int depth) {
    uint64_t seen = 0; /* bit per field of a message type; no message has 64 fields */

    if (depth > TARE_ONNX_MAX_NESTING) {
        return damaged(s, kind, "nesting deeper than 100 messages");
    }
    s->unpacked += kind->sizeof_message;
    if (s->unpacked > s->unpacked_limit) {
        return damaged(s, kind, "nothing but empty parts");
    }
    while (s->at < end) {
        const ProtobufCFieldDescriptor *field;
        uint64_t tag;
        if (!read_varint(&tag, s, end) || tag >> 3 == 0 || tag >> 3 > LARGEST_FIELD) {
            return damaged(s, kind, "an impossible field number");
        }
        field = find_field(kind, tag >> 3);
        if (!wire_fits(field, (unsigned)(tag & 7))) {
            return damaged(s, kind, "a field of the wrong kind");
        }
        if (field != NULL && field->type == PROTOBUF_C_TYPE_MESSAGE &&
            field->label != PROTOBUF_C_LABEL_REPEATED) {
            const uint64_t bit = UINT64_C(1) << (field - kind->fields);
            if ((seen & bit) != 0) {
                return damaged(s, kind, "a single field that comes twice");
            }
            seen |= bit;
        }
        TARE_TRY(scan_value(s, kind, field, (unsigned)(tag & 7), end, depth));
    }
    return TARE_OK;
}

tare_status tare_onnx_wire_check(const ProtobufCMessageDescriptor *kind, const void *data,
                                 size_t bytes, tare_error *err) {
    scan s = {.data = data, .err = err};
    s.unpacked_limit = bytes > (SIZE_MAX - FREE_BYTES) / LARGEST_GROWTH
                           ? SIZE_MAX
                           : bytes * LARGEST_GROWTH + FREE_BYTES;
    return scan_message(&s, kind, bytes, 1);
}
