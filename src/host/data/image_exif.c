/* SPDX-License-Identifier: Apache-2.0 */
/** Finds the EXIF orientation in JPEG, PNG and WebP files by walking their segments; no library is
 * needed. */
#include <string.h>

#include "data/image_codec.h"

#define ORIENTATION_TAG 0x0112

/** A piece of a file with a byte order. Reads beyond the end give 0, which no valid structure
 * contains there. */
typedef struct span {
    const unsigned char *data;
    size_t bytes;
    bool big_endian;
} span;

static uint32_t read_number(const span *from, size_t at, size_t size) {
    uint32_t value = 0;

    if (at > from->bytes || from->bytes - at < size) {
        return 0;
    }
    for (size_t i = 0; i < size; i++) {
        const size_t place = from->big_endian ? size - 1 - i : i;
        value |= (uint32_t)from->data[at + i] << (8 * place);
    }
    return value;
}

/* TIFF: byte order, 42, offset of the first directory; there 12-byte entries: tag, type, count,
 * value. */
static int tiff_orientation(span tiff) {
    size_t directory;
    uint32_t entries;

    if (tiff.bytes < 8 || (memcmp(tiff.data, "II", 2) != 0 && memcmp(tiff.data, "MM", 2) != 0)) {
        return 1;
    }
    tiff.big_endian = tiff.data[0] == 'M';
    directory = read_number(&tiff, 4, 4);
    entries = read_number(&tiff, directory, 2);
    for (uint32_t i = 0; i < entries; i++) {
        const size_t entry = directory + 2 + (size_t)i * 12;
        if (read_number(&tiff, entry, 2) == ORIENTATION_TAG &&
            read_number(&tiff, entry + 2, 2) == 3) {
            const uint32_t value = read_number(&tiff, entry + 8, 2);
            return value >= 1 && value <= 8 ? (int)value : 1;
        }
    }
    return 1;
}

/* The block may begin with "Exif\0\0" (always in JPEG, sometimes in WebP). */
static int exif_orientation(const unsigned char *data, size_t bytes) {
    const bool prefixed = bytes >= 6 && memcmp(data, "Exif\0\0", 6) == 0;
    const span tiff = {data + (prefixed ? 6 : 0), bytes - (prefixed ? 6 : 0), false};

    return tiff_orientation(tiff);
}

static int jpeg_orientation(const span *file) {
    size_t at = 2;

    while (at < file->bytes && file->bytes - at >= 4 && file->data[at] == 0xff) {
        const unsigned char marker = file->data[at + 1];
        const size_t length = read_number(file, at + 2, 2);
        if (marker == 0xff) {
            at++; /* a fill byte */
            continue;
        }
        if (marker == 0xda || length < 2 || file->bytes - at - 2 < length) {
            return 1;
        }
        if (marker == 0xe1 && length >= 8 && memcmp(file->data + at + 4, "Exif\0\0", 6) == 0) {
            return exif_orientation(file->data + at + 4, length - 2);
        }
        at += 2 + length;
    }
    return 1;
}

/** How a chunked format lays out its chunks: PNG writes the length first, RIFF the tag. */
typedef struct chunk_form {
    size_t first, tag_at, length_at, data_at, trailer, alignment;
    const char *tag;
} chunk_form;

static int chunk_orientation(const span *file, const chunk_form *form) {
    size_t at = form->first;

    while (at < file->bytes && file->bytes - at >= form->data_at) {
        const size_t length = read_number(file, at + form->length_at, 4);
        const size_t padded = length + length % form->alignment;
        const size_t left = file->bytes - at - form->data_at;
        if (length > left) {
            return 1;
        }
        if (memcmp(file->data + at + form->tag_at, form->tag, 4) == 0) {
            return exif_orientation(file->data + at + form->data_at, length);
        }
        if (padded > left || form->trailer > left - padded) {
            return 1;
        }
        at += form->data_at + padded + form->trailer;
    }
    return 1;
}

int tare_image_orientation(const void *data, size_t bytes) {
    static const chunk_form png_form = {8, 4, 0, 8, 4, 1, "eXIf"};
    static const chunk_form webp_form = {12, 0, 4, 8, 0, 2, "EXIF"};
    const tare_image_file file = {.data = data, .bytes = bytes};
    const span big = {data, bytes, true}, little = {data, bytes, false};

    if (tare_image_jpeg.probe(&file)) {
        return jpeg_orientation(&big);
    }
    if (tare_image_png.probe(&file)) {
        return chunk_orientation(&big, &png_form);
    }
    return tare_image_webp.probe(&file) ? chunk_orientation(&little, &webp_form) : 1;
}
