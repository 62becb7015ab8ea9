/* SPDX-License-Identifier: Apache-2.0 */
/** BMP, read by ourselves: 1 to 32 bits a pixel, palettes, bit fields, run lengths, either row
 * order. */
#include <string.h>

#include "data/image_codec.h"

typedef enum bmp_compression {
    BMP_RAW = 0,
    BMP_RLE8 = 1,
    BMP_RLE4 = 2,
    BMP_BITFIELDS = 3
} bmp_compression;

/** The parsed headers. */
typedef struct bmp {
    const tare_image_file *file;
    size_t header_bytes, pixels_at;
    size_t width, height, row_bytes;
    bool top_down;
    uint32_t bits, compression, colors;
    uint32_t masks[3];
    unsigned char palette[256][3];
} bmp;

/** Where the next decoded row goes. */
static unsigned char *row_target(const bmp *from, tare_image *image, size_t row) {
    const size_t y = from->top_down ? row : from->height - 1 - row;

    return tare_image_pixels(image) + y * from->width * 3;
}

static uint32_t number_at(const tare_image_file *file, size_t at, size_t size) {
    uint32_t value = 0;

    for (size_t i = 0; i < size && at < file->bytes && i < file->bytes - at; i++) {
        value |= (uint32_t)file->data[at + i] << (8 * i);
    }
    return value;
}

static bool bmp_probe(const tare_image_file *file) {
    return file->bytes >= 26 && memcmp(file->data, "BM", 2) == 0;
}

static bool header_known(size_t bytes) {
    static const size_t known[] = {12, 40, 52, 56, 64, 108, 124};

    for (size_t i = 0; i < sizeof known / sizeof known[0]; i++) {
        if (known[i] == bytes) {
            return true;
        }
    }
    return false;
}

static tare_status read_sizes(bmp *to, tare_image *image, tare_error *err) {
    const tare_image_file *file = to->file;

    to->header_bytes = number_at(file, 14, 4);
    to->pixels_at = number_at(file, 10, 4);
    if (!header_known(to->header_bytes)) {
        return tare_fail(err, TARE_UNSUPPORTED, "a header of %zu bytes is not known",
                         to->header_bytes);
    }
    if (file->bytes < 14 + to->header_bytes) {
        return tare_fail(err, TARE_INVALID_ARGUMENT, "the file ends in its header");
    }
    if (to->header_bytes == 12) {
        to->width = number_at(file, 18, 2);
        to->height = number_at(file, 20, 2);
        to->bits = number_at(file, 24, 2);
    } else {
        const uint32_t height = number_at(file, 22, 4);
        to->width = number_at(file, 18, 4);
        to->top_down = (height & 0x80000000U) != 0; /* a negative height */
        to->height = to->top_down ? (size_t)(0U - height) : height;
        to->bits = number_at(file, 28, 2);
        to->compression = number_at(file, 30, 4);
        to->colors = number_at(file, 46, 4);
    }
    return tare_image_resize(image, to->width, to->height, err);
}

static tare_status check_form(bmp *to, tare_error *err) {
    static const struct form {
        uint32_t compression, bits;
    } forms[] = {{BMP_RAW, 1},        {BMP_RAW, 4},        {BMP_RAW, 8},       {BMP_RAW, 16},
                 {BMP_RAW, 24},       {BMP_RAW, 32},       {BMP_RLE8, 8},      {BMP_RLE4, 4},
                 {BMP_BITFIELDS, 16}, {BMP_BITFIELDS, 24}, {BMP_BITFIELDS, 32}};

    for (size_t i = 0; i < sizeof forms / sizeof forms[0]; i++) {
        if (forms[i].compression == to->compression && forms[i].bits == to->bits) {
            /* OS/2 version 2 gives compression 3 another meaning (a fax code). */
            if (to->compression == BMP_BITFIELDS && to->header_bytes == 64) {
                break;
            }
            to->row_bytes = (to->width * to->bits + 31) / 32 * 4;
            return TARE_OK;
        }
    }
    return tare_fail(err, TARE_UNSUPPORTED, "compression %u with %u bits a pixel",
                     (unsigned)to->compression, (unsigned)to->bits);
}

static tare_status read_masks(bmp *to, tare_error *err) {
    static const uint32_t masks16[3] = {0x7c00, 0x3e0, 0x1f}, masks32[3] = {0xff0000, 0xff00, 0xff};

    memcpy(to->masks, to->bits == 16 ? masks16 : masks32, sizeof to->masks);
    if (to->compression != BMP_BITFIELDS) {
        return TARE_OK;
    }
    if (to->file->bytes < 14 + 40 + 12) {
        return tare_fail(err, TARE_INVALID_ARGUMENT, "the file ends in its bit masks");
    }
    uint32_t any = 0;
    for (size_t i = 0; i < 3; i++) {
        any |= number_at(to->file, 14 + 40 + 4 * i, 4);
    }
    for (size_t i = 0; i < 3 && any != 0; i++) { /* all zero stands for the usual masks */
        to->masks[i] = number_at(to->file, 14 + 40 + 4 * i, 4);
    }
    return TARE_OK;
}

/* An index beyond the palette is black, as in Pillow: the array starts as zeros. */
static tare_status read_palette(bmp *to, tare_error *err) {
    const size_t entry = to->header_bytes == 12 ? 3 : 4;
    const size_t masks = to->header_bytes == 40 && to->compression == BMP_BITFIELDS ? 12 : 0;
    const size_t at = 14 + to->header_bytes + masks;
    const uint32_t most = (uint32_t)1 << to->bits;
    const uint32_t count = to->colors == 0 || to->colors > most ? most : to->colors;

    if (at > to->file->bytes || to->file->bytes - at < count * entry) {
        return tare_fail(err, TARE_INVALID_ARGUMENT, "the file ends in its palette");
    }
    for (uint32_t i = 0; i < count; i++) {
        for (size_t c = 0; c < 3; c++) {
            to->palette[i][c] = to->file->data[at + i * entry + 2 - c];
        }
    }
    return TARE_OK;
}

static void row_from_indices(const bmp *from, unsigned char *rgb, const unsigned char *row) {
    const uint32_t per_byte = 8 / from->bits, mask = ((uint32_t)1 << from->bits) - 1;

    for (size_t x = 0; x < from->width; x++, rgb += 3) {
        const uint32_t shift = (per_byte - 1 - (uint32_t)(x % per_byte)) * from->bits;
        memcpy(rgb, from->palette[((uint32_t)row[x / per_byte] >> shift) & mask], 3);
    }
}

/** One colour within a pixel. */
typedef struct bmp_field {
    uint32_t mask, shift, most;
} bmp_field;

static bmp_field field_make(uint32_t mask) {
    bmp_field field = {mask, 0, 0};

    while (mask != 0 && ((mask >> field.shift) & 1) == 0) {
        field.shift++;
    }
    field.most = mask >> field.shift;
    return field;
}

static unsigned char field_value(const bmp_field *field, uint32_t pixel) {
    const uint64_t value = (pixel & field->mask) >> field->shift;

    return (unsigned char)(field->most == 0 ? 0 : value * 255 / field->most);
}

static void row_from_fields(const bmp *from, unsigned char *rgb, size_t at) {
    const size_t size = from->bits / 8;
    const bmp_field fields[3] = {field_make(from->masks[0]), field_make(from->masks[1]),
                                 field_make(from->masks[2])};

    for (size_t x = 0; x < from->width; x++, rgb += 3) {
        const uint32_t pixel = number_at(from->file, at + x * size, size);
        for (size_t c = 0; c < 3; c++) {
            rgb[c] = field_value(&fields[c], pixel);
        }
    }
}

static void row_from_bgr(const bmp *from, unsigned char *rgb, const unsigned char *row,
                         size_t stride) {
    for (size_t x = 0; x < from->width; x++, rgb += 3, row += stride) {
        rgb[0] = row[2];
        rgb[1] = row[1];
        rgb[2] = row[0];
    }
}

static tare_status read_rows(const bmp *from, tare_image *image, tare_error *err) {
    const size_t total = from->row_bytes * from->height;
    const bool usual =
        from->masks[0] == 0xff0000 && from->masks[1] == 0xff00 && from->masks[2] == 0xff;

    if (from->pixels_at > from->file->bytes || from->file->bytes - from->pixels_at < total) {
        return tare_fail(err, TARE_INVALID_ARGUMENT,
                         "the file ends early: %zu bytes of pixels at %zu, the file has %zu", total,
                         from->pixels_at, from->file->bytes);
    }
    TARE_TRY(tare_image_reserve(image, err));
    for (size_t row = 0; row < from->height; row++) {
        const size_t at = from->pixels_at + row * from->row_bytes;
        if (from->bits <= 8) {
            row_from_indices(from, row_target(from, image, row), from->file->data + at);
        } else if (from->bits >= 24 && usual) {
            row_from_bgr(from, row_target(from, image, row), from->file->data + at, from->bits / 8);
        } else {
            row_from_fields(from, row_target(from, image, row), at);
        }
    }
    return TARE_OK;
}

/** A run-length decoder's place. Pixels that the file skips stay colour 0. */
typedef struct rle {
    size_t at;   /**< in the file */
    size_t x, y; /**< the next pixel, y in file order */
    bool ended;
} rle;

static void rle_put(const bmp *from, tare_image *image, rle *place, uint32_t index) {
    if (place->x < from->width && place->y < from->height) {
        memcpy(row_target(from, image, place->y) + place->x * 3, from->palette[index], 3);
    }
    place->x++;
}

static void rle_run(const bmp *from, tare_image *image, rle *place, uint32_t count) {
    const uint32_t code = from->file->data[place->at + 1];

    for (uint32_t i = 0; i < count; i++) {
        const uint32_t half = i % 2 == 0 ? code >> 4 : code & 15;
        rle_put(from, image, place, from->bits == 4 ? half : code);
    }
    place->at += 2;
}

static tare_status rle_literal(const bmp *from, tare_image *image, rle *place, tare_error *err) {
    const size_t count = from->file->data[place->at + 1];
    const size_t bytes = from->bits == 4 ? (count + 1) / 2 : count;

    if (from->file->bytes - place->at - 2 < bytes) {
        return tare_fail(err, TARE_INVALID_ARGUMENT, "the file ends early, in row %zu of %zu",
                         place->y, from->height);
    }
    for (size_t i = 0; i < count; i++) {
        const unsigned char *data = from->file->data + place->at + 2;
        const uint32_t half = i % 2 == 0 ? (uint32_t)data[i / 2] >> 4 : data[i / 2] & 15U;
        rle_put(from, image, place, from->bits == 4 ? half : data[i]);
    }
    place->at += 2 + bytes + bytes % 2; /* literals are padded to 16 bits */
    return TARE_OK;
}

static tare_status rle_step(const bmp *from, tare_image *image, rle *place, tare_error *err) {
    const unsigned char *code;

    if (place->at > from->file->bytes || from->file->bytes - place->at < 2) {
        return tare_fail(err, TARE_INVALID_ARGUMENT, "the file ends early, in row %zu of %zu",
                         place->y, from->height);
    }
    code = from->file->data + place->at;
    if (code[0] != 0) {
        rle_run(from, image, place, code[0]);
    } else if (code[1] > 2) {
        return rle_literal(from, image, place, err);
    } else if (code[1] == 2) { /* a jump: right, then up */
        if (from->file->bytes - place->at < 4) {
            return tare_fail(err, TARE_INVALID_ARGUMENT, "the file ends within a jump");
        }
        place->x += code[2];
        place->y += code[3];
        place->at += 4;
    } else {
        place->ended = code[1] == 1;
        place->x = 0;
        place->y++;
        place->at += 2;
    }
    return TARE_OK;
}

static tare_status read_runs(const bmp *from, tare_image *image, tare_error *err) {
    rle place = {.at = from->pixels_at};

    TARE_TRY(tare_image_reserve(image, err));
    for (size_t i = 0; i < from->width * from->height; i++) {
        memcpy(tare_image_pixels(image) + 3 * i, from->palette[0], 3);
    }
    while (!place.ended && place.y < from->height) {
        TARE_TRY(rle_step(from, image, &place, err));
        if (place.y + 1 == from->height && place.x >= from->width) {
            break; /* some writers leave out the end mark */
        }
    }
    return TARE_OK;
}

static tare_status bmp_decode(tare_image *image, const tare_image_file *file, bool header_only,
                              tare_error *err) {
    bmp header = {.file = file};

    TARE_TRY(read_sizes(&header, image, err));
    TARE_TRY(check_form(&header, err));
    if (header_only) {
        return TARE_OK;
    }
    if (header.bits <= 8) {
        TARE_TRY(read_palette(&header, err));
    } else {
        TARE_TRY(read_masks(&header, err));
    }
    if (header.compression == BMP_RLE8 || header.compression == BMP_RLE4) {
        return read_runs(&header, image, err);
    }
    return read_rows(&header, image, err);
}

const tare_image_codec tare_image_bmp = {"BMP", bmp_probe, false, bmp_decode};
