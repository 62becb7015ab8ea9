/* SPDX-License-Identifier: Apache-2.0 */
/** WebP through libwebp: still images directly, of animations the first frame. */
#include <string.h>

#include <webp/decode.h>
#include <webp/demux.h>

#include "data/image_codec.h"

static const char *status_text(VP8StatusCode code) {
    static const char *const texts[] = {
        [VP8_STATUS_OK] = "no error",
        [VP8_STATUS_OUT_OF_MEMORY] = "out of memory",
        [VP8_STATUS_INVALID_PARAM] = "invalid parameter",
        [VP8_STATUS_BITSTREAM_ERROR] = "damaged data",
        [VP8_STATUS_UNSUPPORTED_FEATURE] = "a feature that libwebp does not support",
        [VP8_STATUS_SUSPENDED] = "the file ends early",
        [VP8_STATUS_USER_ABORT] = "stopped",
        [VP8_STATUS_NOT_ENOUGH_DATA] = "the file ends early",
    };
    const size_t number = (size_t)code;

    return number < sizeof texts / sizeof texts[0] ? texts[number] : "unknown failure";
}

static bool webp_probe(const tare_image_file *file) {
    return file->bytes >= 12 && memcmp(file->data, "RIFF", 4) == 0 &&
           memcmp(file->data + 8, "WEBP", 4) == 0;
}

static tare_status decode_still(tare_image *image, const tare_image_file *file, tare_error *err) {
    WebPDecoderConfig config;
    VP8StatusCode code;

    if (!WebPInitDecoderConfig(&config)) {
        return tare_fail(err, TARE_BACKEND,
                         "libwebp has another version than the headers Tare was built with");
    }
    config.output.colorspace = MODE_RGB;
    config.output.is_external_memory = 1;
    config.output.u.RGBA.rgba = tare_image_pixels(image);
    config.output.u.RGBA.stride = (int)(image->width * 3);
    config.output.u.RGBA.size = image->width * image->height * 3;
    code = WebPDecode(file->data, file->bytes, &config);
    WebPFreeDecBuffer(&config.output);
    return code == VP8_STATUS_OK ? TARE_OK
                                 : tare_fail(err, TARE_INVALID_ARGUMENT, "%s", status_text(code));
}

static tare_status decode_first_frame(tare_image *image, const tare_image_file *file,
                                      tare_error *err) {
    const WebPData data = {file->data, file->bytes};
    tare_status status = TARE_OK;
    WebPAnimDecoder *decoder = NULL;
    WebPAnimDecoderOptions options;
    WebPAnimInfo info;
    unsigned char *rgba = NULL;
    int time = 0;

    if (!WebPAnimDecoderOptionsInit(&options)) {
        return tare_fail(err, TARE_BACKEND,
                         "libwebp has another version than the headers Tare was built with");
    }
    options.color_mode = MODE_RGBA;
    decoder = WebPAnimDecoderNew(&data, &options);
    if (decoder == NULL || !WebPAnimDecoderGetInfo(decoder, &info) ||
        info.canvas_width != image->width || info.canvas_height != image->height ||
        !WebPAnimDecoderGetNext(decoder, &rgba, &time)) {
        status = tare_fail(err, TARE_INVALID_ARGUMENT,
                           "the first frame of the animation does not decode");
        goto done;
    }
    for (size_t i = 0; i < image->width * image->height; i++) {
        memcpy(tare_image_pixels(image) + 3 * i, rgba + 4 * i, 3);
    }
done:
    WebPAnimDecoderDelete(decoder);
    return status;
}

/* An animation is composed on two canvases of 4 bytes a pixel, and its frames are decoded besides.
 * A lossless image is decoded to 4 bytes a pixel, as is the alpha plane of a lossy one, whose
 * pixels take only some rows. */
static size_t decoder_bytes(const WebPBitstreamFeatures *features) {
    const size_t width = (size_t)features->width, pixels = width * (size_t)features->height;
    const bool lossy = features->format == 1, alpha = features->has_alpha != 0;

    return (features->has_animation ? 8 * pixels : 0) +
           (lossy ? (alpha ? 5 * pixels : 0) + 256 * width : 4 * pixels);
}

static tare_status webp_decode(tare_image *image, const tare_image_file *file, bool header_only,
                               tare_error *err) {
    WebPBitstreamFeatures features;
    const VP8StatusCode code = WebPGetFeatures(file->data, file->bytes, &features);

    if (code != VP8_STATUS_OK) {
        return tare_fail(err, TARE_INVALID_ARGUMENT, "%s", status_text(code));
    }
    if (features.width <= 0 || features.height <= 0) {
        return tare_fail(err, TARE_INVALID_ARGUMENT, "the image has no pixels");
    }
    TARE_TRY(tare_image_resize(image, (size_t)features.width, (size_t)features.height, err));
    image->decoder_bytes = decoder_bytes(&features);
    if (header_only) {
        return TARE_OK;
    }
    TARE_TRY(tare_image_reserve(image, err));
    return features.has_animation ? decode_first_frame(image, file, err)
                                  : decode_still(image, file, err);
}

const tare_image_codec tare_image_webp = {"WebP", webp_probe, false, webp_decode};
