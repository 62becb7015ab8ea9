/* SPDX-License-Identifier: Apache-2.0 */
/** Image decoding: every format's small cases, damaged files, orientation. Equality with Pillow:
 * tests/data. */
#include <criterion/criterion.h>
#include <dirent.h>
#include <png.h>
#include <stdlib.h>
#include <string.h>

#include <stdio.h>

#include <jpeglib.h>
#include <webp/encode.h>

#include "base/file.h"
#include "data/image.h"

#define WIDTH  23
#define HEIGHT 17

/** An encoded file; `data` is malloc'ed. */
typedef struct encoded {
    unsigned char *data;
    size_t bytes;
} encoded;

static void gradient(unsigned char *rgb) {
    for (size_t i = 0; i < WIDTH * HEIGHT; i++) {
        rgb[3 * i] = (unsigned char)(i % WIDTH * 10);
        rgb[3 * i + 1] = (unsigned char)(i / WIDTH * 12);
        rgb[3 * i + 2] = (unsigned char)(i * 7 % 256);
    }
}

static encoded make_png(void) {
    unsigned char rgb[WIDTH * HEIGHT * 3];
    png_image image = {
        .version = PNG_IMAGE_VERSION, .width = WIDTH, .height = HEIGHT, .format = PNG_FORMAT_RGB};
    encoded out = {malloc(1 << 16), 1 << 16};

    gradient(rgb);
    cr_assert(png_image_write_to_memory(&image, out.data, &out.bytes, 0, rgb, 0, NULL));
    return out;
}

/* All zero. */
static encoded make_png_of(int color, int depth) {
    static unsigned char row[WIDTH * 8];
    png_structp png = png_create_write_struct(PNG_LIBPNG_VER_STRING, NULL, NULL, NULL);
    png_infop info = png_create_info_struct(png);
    encoded out = {0};
    FILE *file = open_memstream((char **)&out.data, &out.bytes);

    png_init_io(png, file);
    png_set_IHDR(png, info, WIDTH, HEIGHT, depth, color, PNG_INTERLACE_NONE,
                 PNG_COMPRESSION_TYPE_DEFAULT, PNG_FILTER_TYPE_DEFAULT);
    png_write_info(png, info);
    for (size_t y = 0; y < HEIGHT; y++) {
        png_write_row(png, row);
    }
    png_write_end(png, NULL);
    png_destroy_write_struct(&png, &info);
    cr_assert_eq(fclose(file), 0);
    return out;
}

static encoded make_webp(void) {
    unsigned char rgb[WIDTH * HEIGHT * 3];
    uint8_t *data = NULL;
    encoded out;

    gradient(rgb);
    out.bytes = WebPEncodeLosslessRGB(rgb, WIDTH, HEIGHT, WIDTH * 3, &data);
    cr_assert_gt(out.bytes, 0);
    out.data = malloc(out.bytes);
    memcpy(out.data, data, out.bytes);
    WebPFree(data);
    return out;
}

static encoded make_jpeg_of(bool progressive) {
    unsigned char rgb[WIDTH * HEIGHT * 3], *data = NULL;
    unsigned long bytes = 0;
    struct jpeg_compress_struct codec;
    struct jpeg_error_mgr errors;

    gradient(rgb);
    codec.err = jpeg_std_error(&errors);
    jpeg_create_compress(&codec);
    jpeg_mem_dest(&codec, &data, &bytes);
    codec.image_width = WIDTH;
    codec.image_height = HEIGHT;
    codec.input_components = 3;
    codec.in_color_space = JCS_RGB;
    jpeg_set_defaults(&codec);
    if (progressive) {
        jpeg_simple_progression(&codec);
    }
    jpeg_start_compress(&codec, TRUE);
    while (codec.next_scanline < codec.image_height) {
        JSAMPROW row = rgb + 3 * WIDTH * codec.next_scanline;
        jpeg_write_scanlines(&codec, &row, 1);
    }
    jpeg_finish_compress(&codec);
    jpeg_destroy_compress(&codec);
    return (encoded){data, bytes};
}

static encoded make_jpeg(void) {
    return make_jpeg_of(false);
}

static encoded make_progressive(void) {
    return make_jpeg_of(true);
}

static void put(unsigned char *at, uint32_t value, size_t bytes) {
    for (size_t i = 0; i < bytes; i++) {
        at[i] = (unsigned char)(value >> (8 * i));
    }
}

/* 24 bits a pixel, bottom-up. */
static encoded make_bmp(void) {
    const size_t pitch = (WIDTH * 3 + 3) / 4 * 4;
    unsigned char rgb[WIDTH * HEIGHT * 3];
    encoded out = {calloc(1, 54 + pitch * HEIGHT), 54 + pitch * HEIGHT};

    gradient(rgb);
    memcpy(out.data, "BM", 2);
    put(out.data + 10, 54, 4);
    put(out.data + 14, 40, 4);
    put(out.data + 18, WIDTH, 4);
    put(out.data + 22, HEIGHT, 4);
    put(out.data + 26, 1, 2);
    put(out.data + 28, 24, 2);
    for (size_t y = 0; y < HEIGHT; y++) {
        for (size_t x = 0; x < WIDTH * 3; x++) {
            out.data[54 + (HEIGHT - 1 - y) * pitch + x] =
                rgb[y * WIDTH * 3 + x / 3 * 3 + 2 - x % 3];
        }
    }
    return out;
}

/* 8 bits a pixel with a palette of grays, compressed: runs, a literal, a jump, line ends. */
static encoded make_rle8(void) {
    static const unsigned char codes[] = {5, 1, 0, 3, 7, 8, 9, 0, 0, 0, 0, 2, 3, 1, 4, 200, 0, 1};
    const size_t at = 54 + 256 * 4;
    encoded out = {calloc(1, at + sizeof codes), at + sizeof codes};

    memcpy(out.data, "BM", 2);
    put(out.data + 10, (uint32_t)at, 4);
    put(out.data + 14, 40, 4);
    put(out.data + 18, 10, 4);
    put(out.data + 22, 3, 4);
    put(out.data + 26, 1, 2);
    put(out.data + 28, 8, 2);
    put(out.data + 30, 1, 4);
    for (uint32_t i = 0; i < 256; i++) {
        put(out.data + 54 + 4 * i, i * 0x010101U, 4);
    }
    memcpy(out.data + at, codes, sizeof codes);
    return out;
}

typedef struct format {
    const char *name;
    encoded (*make)(void);
    bool exact; /**< decodes to the very gradient */
} format;

static const format formats[] = {
    {"PNG", make_png, true},    {"WebP", make_webp, true},         {"BMP", make_bmp, true},
    {"JPEG", make_jpeg, false}, {"JPEG", make_progressive, false}, {"BMP", make_rle8, false},
};
#define FORMATS (sizeof formats / sizeof formats[0])

Test(image, decodes_what_was_encoded) {
    unsigned char expected[WIDTH * HEIGHT * 3];
    tare_image image = {0};

    gradient(expected);
    for (size_t i = 0; i < FORMATS; i++) {
        encoded file = formats[i].make();
        tare_error err = {0};
        cr_assert_eq(tare_image_decode(&image, file.data, file.bytes, "x", &err), TARE_OK, "%s",
                     err.text);
        if (formats[i].exact) {
            cr_assert_eq(image.width, WIDTH);
            cr_assert_eq(image.height, HEIGHT);
            cr_assert_arr_eq(tare_image_pixels(&image), expected, sizeof expected, "%s",
                             formats[i].name);
        }
        cr_assert_eq(tare_image_measure(&image, file.data, file.bytes, "x", &err), TARE_OK, "%s",
                     err.text);
        free(file.data);
    }
    tare_image_release(&image);
}

static tare_image measured(encoded file) {
    tare_image image = {0};
    tare_error err = {0};

    cr_assert_eq(tare_image_measure(&image, file.data, file.bytes, "x", &err), TARE_OK, "%s",
                 err.text);
    cr_assert_null(tare_image_pixels(&image));
    free(file.data);
    return image;
}

/* What a decoder keeps on its own: all coefficients of a progressive file (9 blocks of luma and two
 * times 4 of colour, 64 numbers of 2 bytes), pixels of 4 bytes of a lossless WebP. */
Test(image, headers_tell_what_decoding_takes) {
    const tare_image plain = measured(make_jpeg()), progressive = measured(make_progressive());
    const tare_image webp = measured(make_webp()), bmp = measured(make_bmp());

    cr_assert(plain.by_rows && progressive.by_rows && !webp.by_rows && !bmp.by_rows);
    cr_assert_eq(progressive.decoder_bytes - plain.decoder_bytes, 17 * 128);
    cr_assert_eq(webp.decoder_bytes, 4 * WIDTH * HEIGHT);
    cr_assert_eq(bmp.decoder_bytes, 0);
}

/* Rows that are not RGB as they come are kept until the last one, 16-bit colour as 8 bits; besides
 * two rows and 64 KiB. */
Test(image, png_headers_tell_what_decoding_takes) {
    static const struct {
        int color, depth;
        size_t stored, kept; /* bits a pixel */
    } cases[] = {{PNG_COLOR_TYPE_RGB, 8, 24, 0},        {PNG_COLOR_TYPE_RGB, 16, 48, 0},
                 {PNG_COLOR_TYPE_RGB_ALPHA, 8, 32, 32}, {PNG_COLOR_TYPE_RGB_ALPHA, 16, 64, 32},
                 {PNG_COLOR_TYPE_GRAY, 1, 1, 8},        {PNG_COLOR_TYPE_GRAY, 16, 16, 16}};

    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        const encoded file = make_png_of(cases[i].color, cases[i].depth);
        const size_t row = (cases[i].stored * WIDTH + 7) / 8;
        cr_assert_eq(measured(file).decoder_bytes, cases[i].kept / 8 * WIDTH * HEIGHT +
                                                       HEIGHT * sizeof(void *) + 2 * row +
                                                       ((size_t)1 << 16));
    }
}

static encoded make_lossy_webp(bool alpha) {
    unsigned char pixels[WIDTH * HEIGHT * 4];
    uint8_t *data = NULL;
    encoded out;

    for (size_t i = 0; i < sizeof pixels; i++) {
        pixels[i] = (unsigned char)(alpha || i % 4 != 3 ? i * 7 % 256 : 255);
    }
    out.bytes = WebPEncodeRGBA(pixels, WIDTH, HEIGHT, WIDTH * 4, 50.0F, &data);
    cr_assert_gt(out.bytes, 0);
    out.data = malloc(out.bytes);
    memcpy(out.data, data, out.bytes);
    WebPFree(data);
    return out;
}

Test(image, webp_headers_tell_what_decoding_takes) {
    cr_assert_eq(measured(make_lossy_webp(false)).decoder_bytes, 256 * WIDTH);
    cr_assert_eq(measured(make_lossy_webp(true)).decoder_bytes, 256 * WIDTH + 5 * WIDTH * HEIGHT);
}

typedef struct gathered {
    unsigned char *pixels;
    size_t pitch, next;
} gathered;

static void gather_row(void *user, size_t y, const unsigned char *rgb) {
    gathered *to = user;
    cr_assert_eq(y, to->next++);
    memcpy(to->pixels + y * to->pitch, rgb, to->pitch);
}

/* Rows make up the image, also when memory is left from a smaller or a larger one; a file that ends
 * early is an error all the same. */
Test(image, decodes_row_by_row) {
    tare_image whole = {0}, rows = {0};

    for (size_t i = 0; i < FORMATS; i++) {
        encoded file = formats[i].make();
        tare_error err = {0};
        cr_assert_eq(tare_image_decode(&whole, file.data, file.bytes, "x", NULL), TARE_OK);
        const size_t bytes = whole.width * whole.height * 3;
        gathered to = {.pixels = malloc(bytes), .pitch = whole.width * 3};
        const tare_image_sink sink = {.row = gather_row, .user = &to};
        cr_assert_not_null(to.pixels);
        cr_assert_eq(tare_image_decode_rows(&rows, &sink, file.data, file.bytes, "x", &err),
                     TARE_OK, "%s", err.text);
        cr_assert_eq(to.next, whole.height, "%s", formats[i].name);
        cr_assert_arr_eq(to.pixels, tare_image_pixels(&whole), bytes, "%s", formats[i].name);
        to.next = 0;
        cr_assert_neq(tare_image_decode_rows(&rows, &sink, file.data, file.bytes / 2, "x", &err),
                      TARE_OK, "%s", formats[i].name);
        free(to.pixels);
        free(file.data);
    }
    tare_image_release(&whole);
    tare_image_release(&rows);
}

Test(image, run_lengths) {
    static const unsigned char bottom[10] = {1, 1, 1, 1, 1, 7, 8, 9, 0, 0},
                               top[10] = {0, 0, 0, 200, 200, 200, 200};
    tare_image image = {0};
    encoded file = make_rle8();

    cr_assert_eq(tare_image_decode(&image, file.data, file.bytes, "x", NULL), TARE_OK);
    for (size_t x = 0; x < 10; x++) {
        cr_assert_eq(tare_image_pixels(&image)[(2 * 10 + x) * 3], bottom[x], "column %zu", x);
        cr_assert_eq(tare_image_pixels(&image)[(1 * 10 + x) * 3], 0);
        cr_assert_eq(tare_image_pixels(&image)[x * 3 + 1], top[x], "column %zu", x);
    }
    free(file.data);
    tare_image_release(&image);
}

/* The file cut at every length: an error that names file and format, or (BMP, trailing bytes) a
 * whole image. */
Test(image, truncated_files_are_errors) {
    tare_image image = {0};

    for (size_t i = 0; i < FORMATS; i++) {
        encoded file = formats[i].make();
        for (size_t bytes = 0; bytes + 3 < file.bytes; bytes++) {
            unsigned char *part =
                malloc(bytes + (bytes == 0)); /* exact size, so that ASan sees a read beyond it */
            tare_error err = {0};
            memcpy(part, file.data, bytes);
            cr_assert_neq(tare_image_decode(&image, part, bytes, "some/photo.x", &err), TARE_OK,
                          "%s cut at %zu", formats[i].name, bytes);
            cr_assert_not_null(strstr(err.text, "some/photo.x"), "%s", err.text);
            free(part);
        }
        free(file.data);
    }
    tare_image_release(&image);
}

/* Every byte damaged in several ways, over every format: no crash, no hang; the sanitizers watch.
 */
Test(image, damaged_files_do_no_harm) {
    static const unsigned char flips[] = {0x01, 0x80, 0xff};
    tare_image image = {0}, spare = {0};
    size_t errors = 0;

    for (size_t i = 0; i < FORMATS; i++) {
        encoded file = formats[i].make();
        for (size_t at = 0; at < file.bytes * 3; at++) {
            tare_error err = {0};
            file.data[at / 3] ^= flips[at % 3];
            if (tare_image_decode(&image, file.data, file.bytes, "x", &err) != TARE_OK) {
                cr_assert_neq(err.text[0], '\0');
                errors++;
            } else if (image.width * image.height < 100000) {
                cr_assert_eq(tare_image_orient(&image, &spare,
                                               tare_image_orientation(file.data, file.bytes), &err),
                             TARE_OK);
            }
            file.data[at / 3] ^= flips[at % 3];
        }
        free(file.data);
    }
    cr_assert_gt(errors, 100);
    tare_image_release(&image);
    tare_image_release(&spare);
}

Test(image, huge_claims_are_refused_before_memory_is_asked_for) {
    encoded bmp = make_bmp(), png = make_png();
    tare_image image = {0};
    tare_error err = {0};

    put(bmp.data + 18, 0x7fffffff, 4);
    put(bmp.data + 22, 0x7fffffff, 4);
    cr_assert_eq(tare_image_decode(&image, bmp.data, bmp.bytes, "x.bmp", &err),
                 TARE_INVALID_ARGUMENT);
    cr_assert_not_null(strstr(err.text, "2147483647x2147483647"), "%s", err.text);
    cr_assert_eq(image.memory.capacity, 0);
    put(bmp.data + 18, 0, 4);
    cr_assert_eq(tare_image_decode(&image, bmp.data, bmp.bytes, "x.bmp", &err),
                 TARE_INVALID_ARGUMENT);
    cr_assert_not_null(strstr(err.text, "no pixels"), "%s", err.text);
    free(bmp.data);
    free(png.data);
}

Test(image, other_files_are_named) {
    tare_image image = {0};
    tare_error err = {0};

    cr_assert_eq(tare_image_decode(&image, "GIF89a....", 10, "a.jpg", &err), TARE_UNSUPPORTED);
    cr_assert_not_null(strstr(err.text, "a.jpg"));
    cr_assert_eq(tare_image_decode(&image, "", 0, "empty.png", &err), TARE_UNSUPPORTED);
    cr_assert_not_null(strstr(err.text, "empty"));
}

/* A JPEG's start with an EXIF block in either byte order. */
static size_t exif_file(unsigned char *to, bool big, unsigned orientation) {
    static const unsigned char little_form[] = {'I', 'I', 42, 0, 8, 0, 0, 0, 1, 0, 0x12,
                                                1,   3,   0,  1, 0, 0, 0, 0, 0, 0, 0};
    static const unsigned char big_form[] = {'M',  'M', 0, 42, 0, 0, 0, 8, 0, 1, 1,
                                             0x12, 0,   3, 0,  0, 0, 1, 0, 0, 0, 0};
    static const unsigned char head[] = {0xff, 0xd8, 0xff, 0xe0, 0,   4,   1,   2, 0xff,
                                         0xe1, 0,    30,   'E',  'x', 'i', 'f', 0, 0};

    memcpy(to, head, sizeof head);
    memcpy(to + sizeof head, big ? big_form : little_form, sizeof little_form);
    to[sizeof head + (big ? 19 : 18)] = (unsigned char)orientation;
    return sizeof head + sizeof little_form;
}

Test(image, exif_orientation) {
    unsigned char file[64];

    for (unsigned orientation = 0; orientation < 10; orientation++) {
        const int expected = orientation >= 1 && orientation <= 8 ? (int)orientation : 1;
        for (int big = 0; big < 2; big++) {
            const size_t bytes = exif_file(file, big != 0, orientation);
            cr_assert_eq(tare_image_orientation(file, bytes), expected);
            for (size_t cut = 0; cut < bytes; cut++) {
                cr_assert_leq(tare_image_orientation(file, cut), 8);
            }
        }
    }
}

Test(image, orientation_turns_pixels) {
    /* A 3x2 image with the pixels 0..5; what is expected at the corner and the size. */
    static const struct turned {
        size_t width;
        unsigned char pixels[6];
    } cases[9] = {{0, {0}},
                  {3, {0, 1, 2, 3, 4, 5}},
                  {3, {2, 1, 0, 5, 4, 3}},
                  {3, {5, 4, 3, 2, 1, 0}},
                  {3, {3, 4, 5, 0, 1, 2}},
                  {2, {0, 3, 1, 4, 2, 5}},
                  {2, {3, 0, 4, 1, 5, 2}},
                  {2, {5, 2, 4, 1, 3, 0}},
                  {2, {2, 5, 1, 4, 0, 3}}};

    for (int orientation = 1; orientation <= 8; orientation++) {
        tare_image image = {.width = 3, .height = 2}, spare = {0};
        cr_assert_eq(tare_memory_reserve(&image.memory, 18, "x", NULL), TARE_OK);
        for (size_t i = 0; i < 18; i++) {
            tare_image_pixels(&image)[i] = (unsigned char)(i / 3);
        }
        cr_assert_eq(tare_image_orient(&image, &spare, orientation, NULL), TARE_OK);
        cr_assert_eq(image.width, cases[orientation].width);
        for (size_t i = 0; i < 6; i++) {
            cr_assert_eq(tare_image_pixels(&image)[3 * i], cases[orientation].pixels[i],
                         "orientation %d", orientation);
        }
        tare_image_release(&image);
        tare_image_release(&spare);
    }
}
