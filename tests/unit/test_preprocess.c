/* SPDX-License-Identifier: Apache-2.0 */
/** Preprocessing descriptions: presets, JSON fields and their errors, fitting to a model, geometry,
 * values. */
#include <criterion/criterion.h>
#include <math.h>
#include <stdio.h>
#include <string.h>

#include "data/preprocess.h"

#define EXACT "\"resize\":{\"mode\":\"exact\",\"size\":[2,3],\"filter\":\"bilinear\"}"

static tare_preprocess load(const char *name) {
    tare_preprocess out;
    tare_error err = {0};

    cr_assert_eq(tare_preprocess_load(&out, name, &err), TARE_OK, "%s", err.text);
    return out;
}

static tare_preprocess read_text(const char *text) {
    tare_preprocess out;
    tare_error err = {0};

    cr_assert_eq(tare_preprocess_read(&out, text, "test", &err), TARE_OK, "%s: %s", text, err.text);
    return out;
}

Test(preprocess, presets) {
    const tare_preprocess imagenet = load("imagenet"), tf = load("imagenet-tf"),
                          unit = load("unit"), raw = load("raw");

    cr_assert_eq(imagenet.crop[0], 224);
    cr_assert_eq(imagenet.size[0], 256);
    cr_assert_eq(imagenet.mode, TARE_FIT_SHORT_SIDE);
    cr_assert_float_eq(imagenet.mean[1], 0.456, 0);
    cr_assert_float_eq((0.0 * tf.scale - tf.mean[0]) / tf.std[0], -1.0, 0);
    cr_assert_float_eq((255.0 * tf.scale - tf.mean[0]) / tf.std[0], 1.0, 1e-12);
    cr_assert_float_eq(unit.scale * 255.0, 1.0, 1e-12);
    cr_assert_float_eq(raw.scale, 1.0, 0);
    cr_assert_eq(raw.mode, TARE_FIT_NONE);
}

Test(preprocess, unknown_names) {
    tare_preprocess out;
    tare_error err = {0};

    cr_assert_eq(tare_preprocess_load(&out, "imagnet", &err), TARE_NOT_FOUND);
    cr_assert_not_null(strstr(err.text, "imagnet"));
    cr_assert_not_null(strstr(err.text, "imagenet-tf"), "%s", err.text);
    cr_assert_eq(tare_preprocess_load(&out, "/nowhere/x.json", &err), TARE_NOT_FOUND);
    cr_assert_not_null(strstr(err.text, "/nowhere/x.json"));
}

Test(preprocess, bad_fields_are_named) {
    static const struct bad {
        const char *text, *named;
    } cases[] = {
        {"[]", "object"},
        {"{", "line 1"},
        {"{}", "'color'"},
        {"{\"color\":\"CMYK\"}", "CMYK"},
        {"{\"color\":3}", "'color'"},
        {"{\"color\":\"RGB\",\"sise\":1}", "'sise'"},
        {"{\"color\":\"RGB\",\"color\":\"BGR\"}", "duplicate"},
        {"{\"color\":\"RGB\",\"scale\":0}", "'scale'"},
        {"{\"color\":\"RGB\",\"scale\":true}", "'scale'"},
        {"{\"color\":\"RGB\",\"scale\":1e300}", "'scale'"},
        {"{\"color\":\"RGB\",\"mean\":[1,2]}", "'mean' has 2"},
        {"{\"color\":\"GRAY\",\"mean\":[1,2,3]}", "'mean' has 3"},
        {"{\"color\":\"RGB\",\"mean\":[1,2,\"x\"]}", "'mean'"},
        {"{\"color\":\"RGB\",\"std\":[1,0,1]}", "'std'"},
        {"{\"color\":\"RGB\",\"std\":1e-60}", "'std'"},
        {"{\"color\":\"RGB\",\"layout\":\"CHW\"}", "'layout'"},
        {"{\"color\":\"RGB\",\"exif_orientation\":1}", "'exif_orientation'"},
        {"{\"color\":\"RGB\",\"resize\":7}", "'resize'"},
        {"{\"color\":\"RGB\",\"resize\":{}}", "'resize.mode'"},
        {"{\"color\":\"RGB\",\"resize\":{\"mode\":\"exact\",\"size\":[2,3]}}", "'resize.filter'"},
        {"{\"color\":\"RGB\",\"resize\":{\"mode\":\"exact\",\"filter\":\"box\"}}", "'resize.size'"},
        {"{\"color\":\"RGB\",\"resize\":{\"mode\":\"exact\",\"size\":[2,3],\"filter\":\"cubic\"}}",
         "cubic"},
        {"{\"color\":\"RGB\",\"resize\":{\"mode\":\"exact\",\"size\":[2],\"filter\":\"box\"}}",
         "'resize.size'"},
        {"{\"color\":\"RGB\",\"resize\":{\"mode\":\"exact\",\"size\":[0,3],\"filter\":\"box\"}}",
         "'resize.size'"},
        {"{\"color\":\"RGB\",\"resize\":{\"mode\":\"exact\",\"size\":1e9,\"filter\":\"box\"}}",
         "'resize.size'"},
        {"{\"color\":\"RGB\",\"resize\":{\"mode\":\"short_side\",\"size\":[2,3],\"filter\":\"box\"}"
         "}",
         "short_side"},
        {"{\"color\":\"RGB\",\"resize\":{\"mode\":\"exact\",\"size\":4,\"filter\":\"box\",\"pad\":"
         "0}}",
         "'resize.pad'"},
        {"{\"color\":\"RGB\",\"resize\":{\"mode\":\"exact\",\"size\":4,\"filter\":\"box\","
         "\"align\":\"center\"}}",
         "'resize.align'"},
        {"{\"color\":\"RGB\",\"resize\":{\"mode\":\"exact\",\"size\":4,\"filter\":\"box\",\"x\":0}"
         "}",
         "'resize.x'"},
        {"{\"color\":\"RGB\",\"resize\":{\"mode\":\"letterbox\",\"size\":4,\"filter\":\"box\","
         "\"pad\":0}}",
         "'resize.align'"},
        {"{\"color\":\"RGB\",\"resize\":{\"mode\":\"letterbox\",\"size\":4,\"filter\":\"box\","
         "\"align\":\"center\"}}",
         "'resize.pad'"},
        {"{\"color\":\"RGB\",\"resize\":{\"mode\":\"letterbox\",\"size\":4,\"filter\":\"box\","
         "\"align\":\"center\","
         "\"pad\":256}}",
         "'resize.pad'"},
        {"{\"color\":\"RGB\"," EXACT ",\"center_crop\":[3,3]}", "'center_crop'"},
        {"{\"color\":\"RGB\",\"center_crop\":[3,3],\"resize\":{\"mode\":\"letterbox\",\"size\":4,"
         "\"filter\":\"box\","
         "\"align\":\"center\",\"pad\":0}}",
         "'center_crop'"},
    };

    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        tare_preprocess out;
        tare_error err = {0};
        cr_expect_eq(tare_preprocess_read(&out, cases[i].text, "test.json", &err),
                     TARE_INVALID_ARGUMENT, "%s", cases[i].text);
        cr_expect_not_null(strstr(err.text, cases[i].named), "%s gave: %s", cases[i].text,
                           err.text);
        cr_expect_not_null(strstr(err.text, "test.json"), "%s", err.text);
    }
}

Test(preprocess, canonical_text_round_trip) {
    static const char *const texts[] = {
        "{\"color\":\"RGB\"," EXACT ",\"scale\":0.00392156862745098,\"mean\":[0.485,0.456,0.406]}",
        "{\"color\":\"GRAY\",\"mean\":[3,3,3],\"std\":2,\"layout\":\"NHWC\",\"exif_orientation\":"
        "true}",
        "{\"color\":\"BGR\",\"resize\":{\"mode\":\"letterbox\",\"size\":416,\"filter\":\"area\","
        "\"align\":\"center\","
        "\"pad\":[1,2,3]}}",
        "{\"color\":\"Y\",\"resize\":{\"mode\":\"short_side\",\"size\":9,\"filter\":\"lanczos\"},"
        "\"center_crop\":8}",
    };

    for (size_t i = 0; i < sizeof texts / sizeof texts[0]; i++) {
        tare_preprocess first = read_text(texts[i]), second;
        tare_text one = {0}, two = {0};
        cr_assert_eq(tare_preprocess_complete(&first, 0, 0, 0, TARE_PIXEL_LAYOUT_UNSET, NULL),
                     TARE_OK);
        cr_assert_eq(tare_preprocess_write(&one, &first, NULL), TARE_OK);
        second = read_text(one.data);
        cr_assert_eq(tare_preprocess_write(&two, &second, NULL), TARE_OK);
        cr_assert_str_eq(one.data, two.data);
        cr_assert_eq(first.mean[2], second.mean[2]);
        cr_assert_eq(first.filter, second.filter);
        tare_text_release(&one);
        tare_text_release(&two);
    }
}

Test(preprocess, completes_what_is_open) {
    tare_preprocess unit = load("unit");

    cr_assert_eq(tare_preprocess_complete(&unit, 1, 28, 30, TARE_PIXEL_LAYOUT_NHWC, NULL), TARE_OK);
    cr_assert_eq(unit.color, TARE_COLOR_GRAY);
    cr_assert_eq(unit.layout, TARE_PIXEL_LAYOUT_NHWC);
    cr_assert_eq(unit.mode, TARE_FIT_EXACT);
    cr_assert_eq(unit.size[0], 28);
    cr_assert_eq(unit.size[1], 30);
    unit = load("unit");
    cr_assert_eq(tare_preprocess_complete(&unit, 0, 0, 0, TARE_PIXEL_LAYOUT_UNSET, NULL), TARE_OK);
    cr_assert_eq(unit.color, TARE_COLOR_RGB);
    cr_assert_eq(unit.layout, TARE_PIXEL_LAYOUT_NCHW);
    cr_assert_eq(unit.mode, TARE_FIT_NONE);
}

static void expect_contradiction(const tare_preprocess *of, const size_t model[3],
                                 tare_pixel_layout layout, const char *named) {
    tare_preprocess copy = *of;
    tare_error err = {0};

    cr_expect_eq(tare_preprocess_complete(&copy, model[0], model[1], model[2], layout, &err),
                 TARE_INVALID_ARGUMENT);
    cr_expect_not_null(strstr(err.text, named), "expected '%s' in: %s", named, err.text);
    cr_expect_not_null(strstr(err.text, of->origin), "%s", err.text);
}

Test(preprocess, contradictions_with_the_model) {
    const tare_preprocess imagenet = load("imagenet"), unit = load("unit");
    const tare_preprocess nchw = read_text("{\"color\":\"RGB\",\"layout\":\"NCHW\"}");
    const tare_preprocess open = read_text(
        "{\"color\":\"RGB\",\"resize\":{\"mode\":\"short_side\",\"size\":9,\"filter\":\"box\"}}");

    expect_contradiction(&imagenet, (const size_t[3]){3, 128, 128}, TARE_PIXEL_LAYOUT_NCHW,
                         "height 128");
    expect_contradiction(&imagenet, (const size_t[3]){3, 224, 192}, TARE_PIXEL_LAYOUT_NCHW,
                         "width 192");
    expect_contradiction(&imagenet, (const size_t[3]){1, 224, 224}, TARE_PIXEL_LAYOUT_NCHW,
                         "has 1");
    expect_contradiction(&unit, (const size_t[3]){4, 224, 224}, TARE_PIXEL_LAYOUT_NCHW,
                         "4 channels");
    expect_contradiction(&nchw, (const size_t[3]){3, 224, 224}, TARE_PIXEL_LAYOUT_NHWC, "NHWC");
    expect_contradiction(&open, (const size_t[3]){3, 9, 9}, TARE_PIXEL_LAYOUT_NCHW,
                         "depends on the image");
}

static tare_geometry geometry_of(const char *text, size_t width, size_t height) {
    const tare_preprocess preprocess = read_text(text);
    tare_geometry geometry;
    tare_error err = {0};

    cr_assert_eq(tare_preprocess_geometry(&geometry, &preprocess, width, height, &err), TARE_OK,
                 "%s", err.text);
    return geometry;
}

Test(preprocess, geometry_rounds_as_torchvision_and_the_detectors) {
    static const char *const shortened = "{\"color\":\"RGB\",\"resize\":{\"mode\":\"short_side\","
                                         "\"size\":256,\"filter\":\"box\"},\"center_crop\":224}";
    static const char *const boxed =
        "{\"color\":\"RGB\",\"resize\":{\"mode\":\"letterbox\",\"size\":[48,192],\"filter\":"
        "\"box\",\"align\":\"center\",\"pad\":0}}";
    tare_geometry at = geometry_of(shortened, 500, 375);

    cr_assert_eq(at.resized_width, 341); /* 256 * 500 / 375 = 341.3 */
    cr_assert_eq(at.resized_height, 256);
    cr_assert_eq(at.crop_x, 58); /* 58.5 goes to the even 58 */
    cr_assert_eq(at.crop_y, 16);
    at = geometry_of(shortened, 256, 259);
    cr_assert_eq(at.crop_y, 18); /* 17.5 goes to the even 18 */
    at = geometry_of(boxed, 100, 31);
    cr_assert_eq(at.resized_width, 154); /* 48 / 31 * 100 = 154.8 */
    cr_assert_eq(at.resized_height, 48);
    cr_assert_eq(at.place_x, 19);
    cr_assert_eq(at.out_width, 192);
    at = geometry_of(boxed, 10000, 1);
    cr_assert_eq(at.resized_height, 1);
}

Test(preprocess, crop_larger_than_the_image) {
    const tare_preprocess preprocess = read_text("{\"color\":\"RGB\",\"center_crop\":[20,10]}");
    tare_geometry geometry;
    tare_error err = {0};

    cr_assert_eq(tare_preprocess_geometry(&geometry, &preprocess, 10, 19, &err),
                 TARE_INVALID_ARGUMENT);
    cr_assert_not_null(strstr(err.text, "center_crop 20x10"), "%s", err.text);
}

Test(preprocess, extreme_proportions_are_refused_not_overflowed) {
    const tare_preprocess preprocess = read_text("{\"color\":\"RGB\",\"resize\":{\"mode\":\"short_"
                                                 "side\",\"size\":32768,\"filter\":\"box\"}}");
    tare_geometry geometry;
    tare_error err = {0};

    cr_assert_eq(tare_preprocess_geometry(&geometry, &preprocess, (size_t)1 << 28, 1, &err),
                 TARE_INVALID_ARGUMENT);
    cr_assert_not_null(strstr(err.text, "at most"), "%s", err.text);
}

/* Two pixels, (10, 20, 30) and (40, 50, 60), without resize. */
static const float *run_two(tare_sample *sample, tare_preprocess_scratch *scratch,
                            const char *text) {
    static const unsigned char rgb[6] = {10, 20, 30, 40, 50, 60};
    const tare_pixels pixels = {rgb, 2, 1};
    const tare_preprocess preprocess = read_text(text);
    tare_error err = {0};

    cr_assert_eq(tare_preprocess_run(sample, 0, &preprocess, &pixels, scratch, &err), TARE_OK, "%s",
                 err.text);
    return sample->inputs[0].data;
}

Test(preprocess, values_colours_and_layouts) {
    tare_sample sample = {0};
    tare_preprocess_scratch scratch = {0};
    const float *v = run_two(&sample, &scratch,
                             "{\"color\":\"RGB\",\"mean\":[1,2,3],\"std\":[1,2,4],\"scale\":2}");
    const float planar[6] = {19, 79, 19, 49, 14.25F, 29.25F};

    cr_assert_arr_eq(v, planar, sizeof planar);
    cr_assert_eq(sample.inputs[0].dims[1], 3);
    cr_assert_eq(sample.inputs[0].dims[3], 2);
    v = run_two(&sample, &scratch, "{\"color\":\"BGR\",\"layout\":\"NHWC\",\"mean\":[1,0,0]}");
    cr_assert_arr_eq(v, ((const float[6]){29, 20, 10, 59, 50, 40}), 24);
    cr_assert_eq(sample.inputs[0].dims[3], 3);
    v = run_two(&sample, &scratch, "{\"color\":\"GRAY\"}");
    cr_assert_arr_eq(v, ((const float[2]){18, 48}),
                     8); /* 0.299 * 10 + 0.587 * 20 + 0.114 * 30 = 18.15 */
    cr_assert_eq(sample.inputs[0].dims[1], 1);
    v = run_two(&sample, &scratch,
                "{\"color\":\"BGR\",\"resize\":{\"mode\":\"letterbox\",\"size\":[2,2],\"filter\":"
                "\"box\",\"align\":"
                "\"top_left\",\"pad\":[7,8,9]}}");
    cr_assert_arr_eq(v, ((const float[12]){30, 60, 7, 7, 20, 50, 8, 8, 10, 40, 9, 9}), 48);
    tare_sample_release(&sample);
    tare_preprocess_scratch_release(&scratch);
}

/* A BMP of 24 bits a pixel, all black. */
static size_t make_bmp(unsigned char *out, size_t width, size_t height) {
    const size_t bytes = 54 + (3 * width + 3) / 4 * 4 * height;

    memset(out, 0, bytes);
    memcpy(out, "BM", 2);
    out[10] = 54;
    out[14] = 40;
    out[18] = (unsigned char)width;
    out[22] = (unsigned char)height;
    out[26] = 1;
    out[28] = 24;
    return bytes;
}

static size_t held_bytes(const tare_preprocess_scratch *scratch) {
    return scratch->image.memory.capacity + scratch->spare.memory.capacity +
           scratch->plane.capacity + scratch->resized.capacity + scratch->resize.columns.capacity +
           scratch->resize.rows.capacity + scratch->resize.between.capacity;
}

/* Whichever way an image goes, it takes no more than its header said, and not much less. */
Test(preprocess, working_memory_is_known_beforehand) {
    static const char *const filters[] = {"nearest", "box",     "bilinear", "hamming",
                                          "bicubic", "lanczos", "area"};
    static const char *const sizes[] = {"20,30", "100,90", "48,20", "20,64", "48,64", "5,60"};
    unsigned char file[54 + 64 * 3 * 48];
    const tare_image_source source = {file, make_bmp(file, 64, 48), "x.bmp"};
    tare_sample sample = {0};
    tare_error err = {0};
    char text[200];

    for (size_t i = 0; i < 7 * 6 * 2; i++) {
        tare_preprocess_scratch scratch = {0};
        tare_preprocess preprocess;
        size_t bytes = 0, held;
        (void)snprintf(text, sizeof text,
                       "{\"color\":\"%s\",\"resize\":{\"mode\":\"exact\",\"size\":[%s],\"filter\":"
                       "\"%s\"}}",
                       i % 2 == 0 ? "RGB" : "GRAY", sizes[i / 2 % 6], filters[i / 12]);
        preprocess = read_text(text);
        cr_assert_eq(tare_preprocess_file_bytes(&bytes, &preprocess, &source, &err), TARE_OK, "%s",
                     err.text);
        cr_assert_eq(tare_preprocess_run_file(&sample, &preprocess, &source, &scratch, &err),
                     TARE_OK, "%s", err.text);
        held = held_bytes(&scratch) + source.bytes;
        cr_assert(held <= bytes && bytes <= 3 * held, "%s: %zu bytes held, %zu foretold", text,
                  held, bytes);
        tare_preprocess_scratch_trim(&scratch, held);
        cr_assert_gt(held_bytes(&scratch), 0, "what may be kept is kept");
        tare_preprocess_scratch_trim(&scratch, 0);
        cr_assert_eq(held_bytes(&scratch), 0);
    }
    tare_sample_release(&sample);
}

Test(preprocess, kept_pixels_lead_to_the_same_values) {
    static const char *const texts[] = {
        "{\"color\":\"RGB\",\"mean\":[1,2,3],\"std\":[1,2,4],\"scale\":0.3}",
        "{\"color\":\"BGR\",\"layout\":\"NHWC\",\"mean\":[0.4,0.5,0.6],\"scale\":0.003921569}",
        "{\"color\":\"GRAY\",\"center_crop\":[5,4],\"std\":[0.3]}",
        "{\"color\":\"Y\",\"resize\":{\"mode\":\"exact\",\"size\":[7,3],\"filter\":\"bilinear\"}}",
        "{\"color\":\"BGR\",\"resize\":{\"mode\":\"letterbox\",\"size\":[8,16],\"filter\":"
        "\"bicubic\",\"align\":\"center\",\"pad\":[7,8,9]},\"std\":[3,1,2]}",
        "{\"color\":\"RGB\",\"resize\":{\"mode\":\"letterbox\",\"size\":[20,3],\"filter\":"
        "\"box\",\"align\":\"top_left\",\"pad\":[1,2,3]}}",
    };
    unsigned char rgb[13 * 9 * 3];
    const tare_pixels pixels = {rgb, 13, 9};
    tare_sample values = {0}, kept = {0};
    tare_preprocess_scratch scratch = {0}, keeping = {.keep_pixels = true};
    tare_error err = {0};

    for (size_t i = 0; i < sizeof rgb; i++) {
        rgb[i] = (unsigned char)(i * 37 + i / 11 * 5);
    }
    for (size_t t = 0; t < sizeof texts / sizeof texts[0]; t++) {
        const tare_preprocess preprocess = read_text(texts[t]);
        const size_t channels = tare_preprocess_channels(&preprocess);
        const bool last = preprocess.layout == TARE_PIXEL_LAYOUT_NHWC;
        float table[3 * TARE_PIXEL_VALUES];
        tare_preprocess_table(table, &preprocess);
        cr_assert_eq(tare_preprocess_run(&values, 0, &preprocess, &pixels, &scratch, &err), TARE_OK,
                     "%s", err.text);
        cr_assert_eq(tare_preprocess_run(&kept, 0, &preprocess, &pixels, &keeping, &err), TARE_OK,
                     "%s", err.text);
        const tare_array *array = &kept.inputs[0];
        const unsigned char *bytes = array->data;
        const float *floats = values.inputs[0].data;
        const size_t area = array->dims[1] * array->dims[2];
        cr_assert_eq(array->element, TARE_UINT8);
        cr_assert_eq(array->dims[3], channels);
        cr_assert_eq(array->bytes * sizeof(float), values.inputs[0].bytes);
        for (size_t i = 0; i < area * channels; i++) {
            const size_t c = i % channels;
            const float value = floats[last ? i : c * area + i / channels];
            cr_assert_eq(memcmp(&value, &table[c * TARE_PIXEL_VALUES + bytes[i]], sizeof value), 0,
                         "description %zu, element %zu", t, i);
        }
    }
    tare_sample_release(&values);
    tare_sample_release(&kept);
    tare_preprocess_scratch_release(&scratch);
    tare_preprocess_scratch_release(&keeping);
}
