/* SPDX-License-Identifier: Apache-2.0 */
/** JPEG through libjpeg-turbo: its longjmp is confined to one function, its messages go into our
 * error. */
#include <setjmp.h>
#include <stdio.h>
#include <string.h>

#include <jerror.h>
#include <jpeglib.h>

#include "data/image_codec.h"

/* A progressive file may repeat scans without end, each costing a pass over the whole image. */
#define MAX_SCANS 500

/** Everything a decode owns; lives outside the functions that longjmp leaves, so nothing is
 * clobbered. */
typedef struct jpeg_state {
    struct jpeg_decompress_struct codec;
    struct jpeg_error_mgr errors;
    struct jpeg_progress_mgr progress;
    jmp_buf jump;
    tare_image *image;
    const tare_image_file *file;
    bool header_only;
    tare_memory row; /**< one row of CMYK */
    tare_status status;
    tare_error *err;
} jpeg_state;

static void leave_with(jpeg_state *state, tare_status status) {
    state->status = status;
    longjmp(state->jump, 1);
}

static void on_error(j_common_ptr codec) {
    jpeg_state *state = codec->client_data;
    char text[JMSG_LENGTH_MAX];

    codec->err->format_message(codec, text);
    leave_with(state, tare_fail(state->err, TARE_INVALID_ARGUMENT, "%s", text));
}

/* Level -1 is a warning. Those about data that ended early mean pixels that libjpeg made up: an
 * error here. */
static void on_message(j_common_ptr codec, int level) {
    const int code = codec->err->msg_code;

    if (level < 0 && (code == JWRN_HIT_MARKER || code == JWRN_JPEG_EOF)) {
        on_error(codec);
    }
}

static void on_output(j_common_ptr codec) {
    TARE_UNUSED(codec);
}

static void on_progress(j_common_ptr codec) {
    const j_decompress_ptr decoder = (j_decompress_ptr)codec;
    jpeg_state *state = codec->client_data;

    if (decoder->input_scan_number > MAX_SCANS) {
        leave_with(state,
                   tare_fail(state->err, TARE_INVALID_ARGUMENT, "more than %d scans", MAX_SCANS));
    }
}

/* Adobe's polarity (255 = no ink), as every program assumes; ink over black as Pillow rounds it. */
static unsigned char ink_to_light(unsigned char paper, unsigned char white) {
    const unsigned ink = 255U - paper;
    unsigned product = ink * white + 128;

    product = ((product >> 8) + product) >> 8;
    return (unsigned char)(white > product ? white - product : 0);
}

static void row_from_cmyk(unsigned char *rgb, const unsigned char *cmyk, size_t width) {
    for (size_t x = 0; x < width; x++, rgb += 3, cmyk += 4) {
        rgb[0] = ink_to_light(cmyk[0], cmyk[3]);
        rgb[1] = ink_to_light(cmyk[1], cmyk[3]);
        rgb[2] = ink_to_light(cmyk[2], cmyk[3]);
    }
}

/* A file of several scans is held as coefficients until the last one; else libjpeg has some rows of
 * blocks at a time. */
static size_t decoder_bytes(const struct jpeg_decompress_struct *codec) {
    size_t bytes = (size_t)codec->image_width * (size_t)codec->num_components * 32;

    for (int i = 0; i < codec->num_components && jpeg_has_multiple_scans((j_decompress_ptr)codec);
         i++) {
        const jpeg_component_info *component = &codec->comp_info[i];
        bytes += (size_t)component->width_in_blocks * component->height_in_blocks * sizeof(JBLOCK);
    }
    return bytes;
}

static void read_header(jpeg_state *state) {
    const j_decompress_ptr codec = &state->codec;
    const int components_known[] = {1, 3, 4};
    bool known = false;
    tare_status status;

    jpeg_mem_src(codec, state->file->data, (unsigned long)state->file->bytes);
    (void)jpeg_read_header(codec, TRUE);
    for (size_t i = 0; i < sizeof components_known / sizeof components_known[0]; i++) {
        known = known || codec->num_components == components_known[i];
    }
    if (!known) {
        leave_with(state,
                   tare_fail(state->err, TARE_UNSUPPORTED,
                             "%d colour components, expected 1, 3 or 4", codec->num_components));
    }
    status = tare_image_resize(state->image, codec->image_width, codec->image_height, state->err);
    if (status != TARE_OK) {
        leave_with(state, status);
    }
    state->image->decoder_bytes = decoder_bytes(codec);
}

static void read_pixels(jpeg_state *state) {
    const j_decompress_ptr codec = &state->codec;
    const size_t width = state->image->width;
    const bool cmyk = codec->num_components == 4;
    const tare_image_sink *sink = state->file->sink;
    tare_status status =
        sink == NULL ? tare_image_reserve(state->image, state->err)
                     : tare_memory_reserve(&state->image->memory, 3 * width, "a row", state->err);

    if (status == TARE_OK && cmyk) {
        status = tare_memory_reserve(&state->row, width * 4, "a row of CMYK", state->err);
    }
    if (status != TARE_OK) {
        leave_with(state, status);
    }
    codec->out_color_space = cmyk ? JCS_CMYK : JCS_RGB;
    (void)jpeg_start_decompress(codec);
    while (codec->output_scanline < codec->output_height) {
        const size_t y = codec->output_scanline;
        unsigned char *rgb = tare_image_pixels(state->image) + (sink == NULL ? 3 * width * y : 0);
        JSAMPROW row = cmyk ? state->row.data : rgb;
        (void)jpeg_read_scanlines(codec, &row, 1);
        if (cmyk) {
            row_from_cmyk(rgb, row, width);
        }
        if (sink != NULL) {
            sink->row(sink->user, y, rgb);
        }
    }
    (void)jpeg_finish_decompress(codec);
}

static void decode_steps(jpeg_state *state) {
    jpeg_create_decompress(&state->codec);
    state->codec.client_data =
        state; /* create() wipes all fields but the error manager and this one */
    state->codec.progress = &state->progress;
    read_header(state);
    if (!state->header_only) {
        read_pixels(state);
    }
}

/* The only setjmp: no local lives across it. */
static void run_guarded(jpeg_state *state) {
    if (setjmp(state->jump) == 0) {
        decode_steps(state);
    }
}

static bool jpeg_probe(const tare_image_file *file) {
    return file->bytes >= 3 && memcmp(file->data, "\xff\xd8\xff", 3) == 0;
}

static tare_status jpeg_decode(tare_image *image, const tare_image_file *file, bool header_only,
                               tare_error *err) {
    jpeg_state state;

    memset(&state, 0, sizeof state);
    state.image = image;
    state.file = file;
    state.header_only = header_only;
    state.err = err;
    state.codec.err = jpeg_std_error(&state.errors);
    state.codec.client_data = &state;
    state.errors.error_exit = on_error;
    state.errors.emit_message = on_message;
    state.errors.output_message = on_output;
    state.progress.progress_monitor = on_progress;
    run_guarded(&state);
    jpeg_destroy_decompress(&state.codec);
    tare_memory_release(&state.row);
    return state.status;
}

const tare_image_codec tare_image_jpeg = {"JPEG", jpeg_probe, true, jpeg_decode};
