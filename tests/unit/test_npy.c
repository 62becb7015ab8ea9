/* SPDX-License-Identifier: Apache-2.0 */
/** .npy and .npz: round trips, other byte order, damaged and hostile files, and the sources that
 * read them. */
#include <criterion/criterion.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/file.h"
#include "data/npy.h"
#include "data/source.h"

static const char *temp_path(char *out, size_t bytes, const char *name) {
    const char *folder = getenv("TMPDIR");

    (void)snprintf(out, bytes, "%s/tare_%ld_%s", folder == NULL ? "/tmp" : folder, (long)getpid(),
                   name);
    return out;
}

static tare_array array_of(tare_element element, size_t rank, const size_t *dims, void *data) {
    tare_array array = {.element = element, .rank = rank, .data = data};

    memcpy(array.dims, dims, rank * sizeof *dims);
    cr_assert_eq(tare_array_measure(&array.bytes, element, rank, array.dims, NULL), TARE_OK);
    return array;
}

static void expect_equal(const tare_array *a, const tare_array *b) {
    cr_assert_eq(a->element, b->element);
    cr_assert_eq(a->rank, b->rank);
    cr_assert_arr_eq(a->dims, b->dims, a->rank * sizeof(size_t));
    cr_assert_eq(a->bytes, b->bytes);
    cr_assert_arr_eq(a->data, b->data, a->bytes);
}

Test(npy, round_trip_of_every_type_and_rank) {
    static const tare_element elements[] = {TARE_FLOAT32, TARE_UINT8,   TARE_INT8,   TARE_UINT16,
                                            TARE_INT16,   TARE_INT32,   TARE_INT64,  TARE_BOOL,
                                            TARE_FLOAT16, TARE_FLOAT64, TARE_UINT32, TARE_UINT64};
    static const size_t dims[8] = {2, 3, 1, 2, 1, 2, 1, 1};
    unsigned char data[24 * 8];
    char path[256];

    for (size_t i = 0; i < sizeof data; i++) {
        data[i] = (unsigned char)(i * 37);
    }
    temp_path(path, sizeof path, "round.npy");
    for (size_t i = 0; i < sizeof elements / sizeof elements[0]; i++) {
        for (size_t rank = 0; rank <= 8; rank++) {
            tare_array in = array_of(elements[i], rank, dims, data), out;
            tare_memory storage = {0};
            tare_error err = {0};
            cr_assert_eq(tare_npy_write(path, &in, &err), TARE_OK, "%s", err.text);
            cr_assert_eq(tare_npy_read(&out, &storage, path, &err), TARE_OK, "%s", err.text);
            expect_equal(&in, &out);
            tare_memory_release(&storage);
        }
    }
    (void)remove(path);
}

/* A version 1 file with this dictionary and `data` zero bytes behind it. */
static tare_status parse(tare_npy_header *header, const char *dictionary, size_t data,
                         tare_error *err) {
    const size_t length = strlen(dictionary);
    unsigned char *file = calloc(1, 10 + length + data);
    tare_status status;

    memcpy(file, "\x93NUMPY\x01\x00", 8);
    file[8] = (unsigned char)(length & 255);
    file[9] = (unsigned char)(length >> 8);
    memcpy(file + 10, dictionary, length);
    status = tare_npy_parse(header, file, 10 + length + data, "some.npy", err);
    free(file);
    return status;
}

Test(npy, headers_that_numpy_writes) {
    tare_npy_header header;

    cr_assert_eq(
        parse(&header, "{'descr': '>f4', 'fortran_order': False, 'shape': (3,), }   \n", 12, NULL),
        TARE_OK);
    cr_assert(header.swapped);
    cr_assert_eq(header.array.dims[0], 3);
    cr_assert_eq(
        parse(&header, "{'shape': (2L, 3L), 'fortran_order': False, \"descr\": \"<i8\"}", 48, NULL),
        TARE_OK);
    cr_assert_eq(header.array.element, TARE_INT64);
    cr_assert_eq(parse(&header, "{'descr': '|b1', 'fortran_order': False, 'shape': ()}", 1, NULL),
                 TARE_OK);
    cr_assert_eq(header.array.rank, 0);
}

Test(npy, hostile_headers) {
    static const struct hostile {
        const char *dictionary;
        tare_status status;
        const char *named;
    } cases[] = {
        {"", TARE_INVALID_ARGUMENT, "'{'"},
        {"{", TARE_INVALID_ARGUMENT, "quoted"},
        {"{}", TARE_INVALID_ARGUMENT, "missing"},
        {"{'descr': '<f4'", TARE_INVALID_ARGUMENT, "'}'"},
        {"{'descr': '<f4', 'descr': '<f4'}", TARE_INVALID_ARGUMENT, "twice"},
        {"{'descr': '<f4', 'order': 1}", TARE_INVALID_ARGUMENT, "not known"},
        {"{'descr': '<c8', 'fortran_order': False, 'shape': (1,)}", TARE_UNSUPPORTED, "<c8"},
        {"{'descr': '|O', 'fortran_order': False, 'shape': (1,)}", TARE_UNSUPPORTED, "|O"},
        {"{'descr': [('a', '<f4')], 'fortran_order': False, 'shape': (1,)}", TARE_UNSUPPORTED,
         "records"},
        {"{'descr': '<f4', 'fortran_order': True, 'shape': (1,)}", TARE_UNSUPPORTED, "Fortran"},
        {"{'descr': '<f4', 'fortran_order': No, 'shape': (1,)}", TARE_INVALID_ARGUMENT,
         "fortran_order"},
        {"{'descr': '<f4', 'fortran_order': False, 'shape': (9,)}", TARE_INVALID_ARGUMENT,
         "36 bytes"},
        {"{'descr': '<f4', 'fortran_order': False, 'shape': (-1,)}", TARE_INVALID_ARGUMENT,
         "number"},
        {"{'descr': '<f4', 'fortran_order': False, 'shape': (99999999999999999999,)}",
         TARE_INVALID_ARGUMENT, "large"},
        {"{'descr': '<f4', 'fortran_order': False, 'shape': (4294967296, 4294967296, 4)}",
         TARE_INVALID_ARGUMENT, "memory"},
        {"{'descr': '<f4', 'fortran_order': False, 'shape': (1,1,1,1,1,1,1,1,1)}", TARE_UNSUPPORTED,
         "8 dimensions"},
        {"{'descr': '<f4', 'fortran_order': False, 'shape': (1", TARE_INVALID_ARGUMENT, "shape"},
    };

    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        tare_npy_header header;
        tare_error err = {0};
        cr_expect_eq(parse(&header, cases[i].dictionary, 4, &err), cases[i].status, "%s",
                     cases[i].dictionary);
        cr_expect_not_null(strstr(err.text, cases[i].named), "%s gave: %s", cases[i].dictionary,
                           err.text);
        cr_expect_not_null(strstr(err.text, "some.npy"), "%s", err.text);
    }
}

Test(npy, every_prefix_of_a_file_is_an_error) {
    float data[6] = {1, 2, 3, 4, 5, 6};
    const tare_array array = array_of(TARE_FLOAT32, 2, (const size_t[2]){2, 3}, data);
    char text[TARE_NPY_HEADER_BYTES];
    unsigned char file[TARE_NPY_HEADER_BYTES + sizeof data];
    size_t header_bytes;
    tare_npy_header header;

    cr_assert_eq(tare_npy_format(text, &header_bytes, &array, NULL), TARE_OK);
    cr_assert_eq(header_bytes % 64, 0);
    memcpy(file, text, header_bytes);
    memcpy(file + header_bytes, data, sizeof data);
    cr_assert_eq(tare_npy_parse(&header, file, header_bytes + sizeof data, "x", NULL), TARE_OK);
    for (size_t bytes = 0; bytes < header_bytes + sizeof data; bytes++) {
        unsigned char *part = malloc(bytes + (bytes == 0));
        memcpy(part, file, bytes);
        cr_assert_neq(tare_npy_parse(&header, part, bytes, "x", NULL), TARE_OK);
        free(part);
    }
    for (size_t at = 0; at < header_bytes * 8; at++) {
        file[at / 8] ^= (unsigned char)(1 << at % 8);
        (void)!tare_npy_parse(&header, file, header_bytes + sizeof data, "x", NULL);
        file[at / 8] ^= (unsigned char)(1 << at % 8);
    }
}

Test(npy, byte_order_is_turned) {
    const tare_npy_header header = {.array = {.element = TARE_INT32}, .swapped = true};
    const unsigned char in[8] = {1, 2, 3, 4, 5, 6, 7, 8};
    unsigned char out[8];

    tare_npy_copy(out, in, 8, &header);
    cr_assert_arr_eq(out, ((const unsigned char[8]){4, 3, 2, 1, 8, 7, 6, 5}), 8);
}

Test(npz, round_trip_and_equal_bytes) {
    float first[6] = {1, 2, 3, 4, 5, 6};
    int64_t second[2] = {-1, 7};
    tare_array arrays[2] = {array_of(TARE_FLOAT32, 2, (const size_t[2]){2, 3}, first),
                            array_of(TARE_INT64, 1, (const size_t[1]){2}, second)};
    char path[256], again[256];
    tare_mapping one, two;
    tare_error err = {0};
    tare_npz npz;

    arrays[0].name = "input/x:0";
    arrays[1].name = "Eingabe \xc3\xa4"; /* not ASCII, whatever the locale */
    temp_path(path, sizeof path, "a.npz");
    temp_path(again, sizeof again, "b.npz");
    cr_assert_eq(tare_npz_write(path, arrays, 2, &err), TARE_OK, "%s", err.text);
    cr_assert_eq(tare_npz_write(again, arrays, 2, &err), TARE_OK, "%s", err.text);
    cr_assert_eq(tare_npz_read(&npz, path, &err), TARE_OK, "%s", err.text);
    cr_assert_eq(npz.count, 2);
    for (size_t i = 0; i < 2; i++) {
        cr_assert_str_eq(npz.arrays[i].name, arrays[i].name);
        expect_equal(&npz.arrays[i], &arrays[i]);
    }
    tare_npz_release(&npz);
    cr_assert_eq(tare_mapping_open(&one, path, NULL), TARE_OK);
    cr_assert_eq(tare_mapping_open(&two, again, NULL), TARE_OK);
    cr_assert_eq(one.bytes, two.bytes);
    cr_assert_arr_eq(one.data, two.data, one.bytes);
    tare_mapping_release(&one);
    tare_mapping_release(&two);
    (void)remove(path);
    (void)remove(again);
}

Test(npz, damaged_files_do_no_harm) {
    float data[6] = {1, 2, 3, 4, 5, 6};
    tare_array array = array_of(TARE_FLOAT32, 2, (const size_t[2]){2, 3}, data);
    tare_mapping file;
    unsigned char *copy;
    char path[256];
    size_t errors = 0;

    array.name = "x";
    temp_path(path, sizeof path, "damaged.npz");
    cr_assert_eq(tare_npz_write(path, &array, 1, NULL), TARE_OK);
    cr_assert_eq(tare_mapping_open(&file, path, NULL), TARE_OK);
    copy = malloc(file.bytes);
    memcpy(copy, file.data, file.bytes);
    const size_t bytes = file.bytes;
    tare_mapping_release(&file);
    for (size_t at = 0; at < bytes; at++) {
        tare_npz npz;
        tare_error err = {0};
        FILE *out = fopen(path, "wb");
        copy[at] ^= 0xa5;
        cr_assert_eq(fwrite(copy, 1, at % 3 == 0 ? at : bytes, out), at % 3 == 0 ? at : bytes);
        (void)fclose(out);
        if (tare_npz_read(&npz, path, &err) != TARE_OK) {
            cr_assert_not_null(strstr(err.text, path), "%s", err.text);
            errors++;
        } else {
            tare_npz_release(&npz);
        }
        copy[at] ^= 0xa5;
    }
    cr_assert_gt(errors, bytes / 3);
    free(copy);
    (void)remove(path);
}

static tare_status open_path(tare_samples **out, const char *path,
                             const tare_preprocess *preprocess, tare_error *err) {
    static const tare_source *const sources[] = {&tare_source_npy, &tare_source_npz,
                                                 &tare_source_folder};
    const tare_source_list kinds = {sources, 3};
    const tare_source_options options = {.path = path, .preprocess = preprocess};

    return tare_samples_open(out, &kinds, &options, err);
}

Test(sources, npy_samples) {
    float data[6] = {1, 2, 3, 4, 5, 6};
    const tare_array array = array_of(TARE_FLOAT32, 2, (const size_t[2]){3, 2}, data);
    tare_preprocess raw;
    tare_samples *dataset = NULL;
    tare_source_scratch scratch = {0};
    tare_sample sample = {0};
    uint64_t ids[3];
    tare_error err = {0};
    char path[256];

    temp_path(path, sizeof path, "s.npy");
    cr_assert_eq(tare_npy_write(path, &array, NULL), TARE_OK);
    cr_assert_eq(open_path(&dataset, path, NULL, &err), TARE_OK, "%s", err.text);
    cr_assert_eq(tare_samples_count(dataset), 3);
    cr_assert_str_eq(tare_samples_kind(dataset), "npy");
    for (size_t i = 3; i-- > 0;) {
        cr_assert_eq(tare_samples_load(&sample, dataset, i, &scratch, &err), TARE_OK, "%s",
                     err.text);
        cr_assert_eq(sample.inputs[0].dims[0], 1);
        cr_assert_arr_eq(sample.inputs[0].data, data + 2 * i, 8);
        ids[i] = sample.id;
    }
    cr_assert_neq(ids[0], ids[1]);
    cr_assert_neq(ids[1], ids[2]);
    cr_assert_eq(tare_samples_load(&sample, dataset, 3, &scratch, &err), TARE_INVALID_ARGUMENT);
    tare_samples_close(dataset);
    cr_assert_eq(tare_preprocess_load(&raw, "raw", NULL), TARE_OK);
    cr_assert_eq(open_path(&dataset, path, &raw, &err), TARE_INVALID_ARGUMENT);
    cr_assert_not_null(strstr(err.text, "preset 'raw'"), "%s", err.text);
    tare_sample_release(&sample);
    (void)remove(path);
}

Test(sources, npy_of_pixels_is_preprocessed) {
    unsigned char data[2 * 1 * 2 * 3] = {1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12};
    const tare_array array = array_of(TARE_UINT8, 4, (const size_t[4]){2, 1, 2, 3}, data);
    tare_samples *dataset = NULL;
    tare_source_scratch scratch = {0};
    tare_sample sample = {0};
    tare_preprocess raw;
    char path[256];

    temp_path(path, sizeof path, "p.npy");
    cr_assert_eq(tare_npy_write(path, &array, NULL), TARE_OK);
    cr_assert_eq(tare_preprocess_load(&raw, "raw", NULL), TARE_OK);
    cr_assert_eq(tare_preprocess_complete(&raw, 3, 0, 0, TARE_PIXEL_LAYOUT_NCHW, NULL), TARE_OK);
    cr_assert_eq(open_path(&dataset, path, &raw, NULL), TARE_OK);
    cr_assert_eq(tare_samples_info(dataset)->sample_bytes, 24);
    cr_assert_eq(tare_samples_load(&sample, dataset, 1, &scratch, NULL), TARE_OK);
    cr_assert_arr_eq(sample.inputs[0].data, ((const float[6]){7, 10, 8, 11, 9, 12}), 24);
    tare_samples_close(dataset);
    tare_sample_release(&sample);
    tare_preprocess_scratch_release(&scratch);
    (void)remove(path);
}

Test(sources, npz_arrays_must_agree) {
    float first[6] = {1, 2, 3, 4, 5, 6}, second[2] = {7, 8};
    tare_array arrays[2] = {array_of(TARE_FLOAT32, 2, (const size_t[2]){2, 3}, first),
                            array_of(TARE_FLOAT32, 1, (const size_t[1]){2}, second)};
    tare_samples *dataset = NULL;
    tare_source_scratch scratch = {0};
    tare_sample sample = {0};
    tare_error err = {0};
    char path[256];

    arrays[0].name = "image";
    arrays[1].name = "score";
    temp_path(path, sizeof path, "s.npz");
    cr_assert_eq(tare_npz_write(path, arrays, 2, NULL), TARE_OK);
    cr_assert_eq(open_path(&dataset, path, NULL, &err), TARE_OK, "%s", err.text);
    cr_assert_eq(tare_samples_load(&sample, dataset, 1, &scratch, &err), TARE_OK, "%s", err.text);
    cr_assert_eq(sample.input_count, 2);
    cr_assert_str_eq(sample.inputs[1].name, "score");
    cr_assert_arr_eq(sample.inputs[0].data, first + 3, 12);
    cr_assert_arr_eq(sample.inputs[1].data, second + 1, 4);
    tare_samples_close(dataset);
    arrays[1].dims[0] = 1;
    arrays[1].bytes = 4;
    cr_assert_eq(tare_npz_write(path, arrays, 2, NULL), TARE_OK);
    cr_assert_eq(open_path(&dataset, path, NULL, &err), TARE_INVALID_ARGUMENT);
    cr_assert_not_null(strstr(err.text, "score has 1 samples, image has 2"), "%s", err.text);
    tare_sample_release(&sample);
    (void)remove(path);
}
