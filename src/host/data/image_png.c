/* SPDX-License-Identifier: Apache-2.0 */
/** PNG through libpng: indices and samples are fetched raw and expanded here, so that Pillow's
 * rules hold. */
#include <setjmp.h>
#include <stdlib.h>
#include <string.h>

#include <png.h>

#include "data/image_codec.h"

/* Chunks besides the pixels (text, profiles) are not needed; a bomb in one of them must not be
 * unpacked. */
#define MAX_CHUNK_BYTES ((png_alloc_size_t)8 << 20)

/** Everything a decode owns; lives outside the functions that longjmp leaves, so nothing is
 * clobbered. */
typedef struct png_state {
    png_structp png;
    png_infop info;
    jmp_buf jump;
    tare_image *image;
    const tare_image_file *file;
    size_t position;
    bool header_only;
    tare_memory raw; /**< rows as the file has them, where they are not RGB already */
    tare_memory rows;
    unsigned char palette[256][3];
    tare_status status;
    tare_error *err;
} png_state;

static void leave_with(png_state *state, tare_status status) {
    state->status = status;
    longjmp(state->jump, 1);
}

static void on_error(png_structp png, png_const_charp text) {
    png_state *state = png_get_error_ptr(png);

    leave_with(state, tare_fail(state->err, TARE_INVALID_ARGUMENT, "%s", text));
}

static void on_warning(png_structp png, png_const_charp text) {
    TARE_UNUSED(png);
    TARE_UNUSED(text);
}

static void on_read(png_structp png, png_bytep to, png_size_t bytes) {
    png_state *state = png_get_io_ptr(png);

    if (bytes > state->file->bytes - state->position) {
        png_error(png, "the file ends early");
    }
    memcpy(to, state->file->data + state->position, bytes);
    state->position += bytes;
}

static void read_header(png_state *state) {
    tare_status status;

    state->info = png_create_info_struct(state->png);
    if (state->info == NULL) {
        leave_with(state, tare_fail_memory(state->err, 0, "libpng"));
    }
    png_set_read_fn(state->png, state, on_read);
    png_set_user_limits(state->png, 0x7fffffff,
                        0x7fffffff); /* our own limit gives the better message */
    png_set_chunk_malloc_max(state->png, MAX_CHUNK_BYTES);
    png_read_info(state->png, state->info);
    status = tare_image_resize(state->image, png_get_image_width(state->png, state->info),
                               png_get_image_height(state->png, state->info), state->err);
    if (status != TARE_OK) {
        leave_with(state, status);
    }
}

/* An index beyond the palette is black, as in Pillow: the array starts as zeros. */
static void read_palette(png_state *state) {
    png_colorp colors = NULL;
    int count = 0;

    if (png_get_PLTE(state->png, state->info, &colors, &count) == 0) {
        png_error(state->png, "the palette is missing");
    }
    for (int i = 0; i < count && i < 256; i++) {
        state->palette[i][0] = colors[i].red;
        state->palette[i][1] = colors[i].green;
        state->palette[i][2] = colors[i].blue;
    }
}

static void expand_palette(const png_state *state, unsigned char *rgb, const unsigned char *raw,
                           size_t width) {
    for (size_t x = 0; x < width; x++, rgb += 3) {
        memcpy(rgb, state->palette[raw[x]], 3);
    }
}

static void expand_gray(unsigned char *rgb, const unsigned char *raw, size_t width, size_t stride) {
    for (size_t x = 0; x < width; x++, rgb += 3, raw += stride) {
        rgb[0] = rgb[1] = rgb[2] = raw[0];
    }
}

static void expand_gray16(unsigned char *rgb, const unsigned char *raw, size_t width) {
    for (size_t x = 0; x < width; x++, rgb += 3, raw += 2) {
        rgb[0] = rgb[1] = rgb[2] = raw[0] == 0 ? raw[1] : 255;
    }
}

static void expand_rgba(unsigned char *rgb, const unsigned char *raw, size_t width) {
    for (size_t x = 0; x < width; x++, rgb += 3, raw += 4) {
        memcpy(rgb, raw, 3);
    }
}

static void expand_row(const png_state *state, unsigned char *rgb, const unsigned char *raw) {
    const int color = png_get_color_type(state->png, state->info);
    const bool wide = png_get_bit_depth(state->png, state->info) == 16;
    const size_t width = state->image->width;

    if (color == PNG_COLOR_TYPE_PALETTE) {
        expand_palette(state, rgb, raw, width);
    } else if (color == PNG_COLOR_TYPE_GRAY && wide) {
        expand_gray16(rgb, raw, width);
    } else if (color == PNG_COLOR_TYPE_GRAY) {
        expand_gray(rgb, raw, width, 1);
    } else if (color == PNG_COLOR_TYPE_GRAY_ALPHA) {
        expand_gray(rgb, raw, width, 2);
    } else {
        expand_rgba(rgb, raw, width);
    }
}

/* Whether the rows are RGB as they come. */
static bool is_direct(const png_state *state) {
    return png_get_color_type(state->png, state->info) == PNG_COLOR_TYPE_RGB;
}

/* As read_pixels() takes it, with two rows and a window of zlib's for libpng. */
static size_t decoder_bytes(const png_state *state) {
    const size_t width = state->image->width, height = state->image->height;
    const size_t stored = png_get_rowbytes(state->png, state->info);
    const bool stripped = png_get_bit_depth(state->png, state->info) == 16 &&
                          png_get_color_type(state->png, state->info) != PNG_COLOR_TYPE_GRAY;
    const size_t row = stripped ? stored / 2 : stored;
    const size_t unpacked = row > width ? row : width; /* at least a byte a pixel */

    return (is_direct(state) ? 0 : unpacked * height) + height * sizeof(void *) + 2 * stored +
           ((size_t)1 << 16);
}

static void set_transforms(png_state *state) {
    const int color = png_get_color_type(state->png, state->info);
    const int depth = png_get_bit_depth(state->png, state->info);

    if (color == PNG_COLOR_TYPE_PALETTE) {
        png_set_packing(state->png);
        png_set_check_for_invalid_index(state->png, 0);
        read_palette(state);
    } else if (color == PNG_COLOR_TYPE_GRAY && depth < 8) {
        png_set_expand_gray_1_2_4_to_8(state->png);
    } else if (depth == 16 && color != PNG_COLOR_TYPE_GRAY) {
        png_set_strip_16(state->png);
    }
    (void)png_set_interlace_handling(state->png);
}

static void *reserve_or_leave(png_state *state, tare_memory *buffer, size_t count, size_t size) {
    if (count > SIZE_MAX / size) {
        leave_with(state, tare_fail_memory(state->err, SIZE_MAX, "rows of a PNG"));
    }
    const tare_status status =
        tare_memory_reserve(buffer, count * size, "rows of a PNG", state->err);
    if (status != TARE_OK) {
        leave_with(state, status);
    }
    return buffer->data;
}

/* Interlaced files are finished only with the last pass, so whole images are read, then expanded.
 */
static void read_pixels(png_state *state) {
    const bool direct = is_direct(state);
    const size_t height = state->image->height, width = state->image->width;
    const tare_status status = tare_image_reserve(state->image, state->err);
    unsigned char *base, **rows;
    size_t stride;

    if (status != TARE_OK) {
        leave_with(state, status);
    }
    set_transforms(state);
    png_read_update_info(state->png, state->info);
    stride = png_get_rowbytes(state->png, state->info);
    if (direct && stride != width * 3) {
        leave_with(state, tare_fail(state->err, TARE_INTERNAL, "a row of %zu bytes for %zu pixels",
                                    stride, width));
    }
    base = direct ? tare_image_pixels(state->image)
                  : reserve_or_leave(state, &state->raw, height, stride);
    rows = reserve_or_leave(state, &state->rows, height, sizeof *rows);
    for (size_t y = 0; y < height; y++) {
        rows[y] = base + y * stride;
    }
    png_read_image(state->png, rows);
    png_read_end(state->png, NULL);
    for (size_t y = 0; y < height && !direct; y++) {
        expand_row(state, tare_image_pixels(state->image) + y * width * 3, rows[y]);
    }
}

/* The only setjmp: no local lives across it. */
static void run_guarded(png_state *state) {
    if (setjmp(state->jump) != 0) {
        return;
    }
    state->png = png_create_read_struct(PNG_LIBPNG_VER_STRING, state, on_error, on_warning);
    if (state->png == NULL) {
        state->status = tare_fail_memory(state->err, 0, "libpng");
        return;
    }
    read_header(state);
    state->image->decoder_bytes = decoder_bytes(state);
    if (!state->header_only) {
        read_pixels(state);
    }
}

static bool png_probe(const tare_image_file *file) {
    return file->bytes >= 8 && memcmp(file->data, "\x89PNG\r\n\x1a\n", 8) == 0;
}

static tare_status png_decode(tare_image *image, const tare_image_file *file, bool header_only,
                              tare_error *err) {
    png_state state;

    memset(&state, 0, sizeof state);
    state.image = image;
    state.file = file;
    state.header_only = header_only;
    state.err = err;
    run_guarded(&state);
    png_destroy_read_struct(&state.png, &state.info, NULL);
    tare_memory_release(&state.raw);
    tare_memory_release(&state.rows);
    return state.status;
}

const tare_image_codec tare_image_png = {"PNG", png_probe, false, png_decode};
