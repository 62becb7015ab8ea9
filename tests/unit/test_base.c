/* SPDX-License-Identifier: Apache-2.0 */
/** The base layer: errors, arena, map, text, files, JSON. */
#include <criterion/criterion.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/arena.h"
#include "base/file.h"
#include "base/json.h"
#include "base/map.h"
#include "base/text.h"

Test(error, prepend_keeps_the_first_text_and_one_line) {
    tare_error err;
    cr_assert_eq(tare_fail(&err, TARE_UNSUPPORTED, "rank is %d,\nexpected %d", 3, 4),
                 TARE_UNSUPPORTED);
    tare_error_prepend(&err, "node '%s': ", "Conv_2");
    cr_assert_str_eq(err.text, "node 'Conv_2': rank is 3, expected 4");
    cr_assert_eq(err.code, TARE_UNSUPPORTED);
    cr_assert_eq(tare_fail(NULL, TARE_IO, "x"), TARE_IO);
    tare_error_prepend(NULL, "x");
}

Test(error, overlong_texts_are_cut) {
    tare_error err;
    char big[2000];
    memset(big, 'a', sizeof big - 1);
    big[sizeof big - 1] = '\0';
    (void)tare_fail(&err, TARE_IO, "%s", big);
    tare_error_prepend(&err, "%s", big);
    cr_assert_eq(strlen(err.text), sizeof err.text - 1);
    (void)tare_fail(&err, TARE_IO, "tail");
    tare_error_prepend(&err, "%.508s", big);
    cr_assert_eq(strlen(err.text), sizeof err.text - 1);
}

Test(arena, blocks_are_zeroed_aligned_and_survive_growth) {
    tare_arena arena;
    unsigned char *blocks[300];
    tare_arena_init(&arena);
    for (size_t i = 0; i < 300; i++) {
        blocks[i] = tare_arena_alloc(&arena, i * 37);
        cr_assert_not_null(blocks[i]);
        cr_assert_eq((uintptr_t)blocks[i] % (i * 37 >= 64 ? 64 : 16), 0);
        for (size_t k = 0; k < i * 37; k++) {
            cr_assert_eq(blocks[i][k], 0);
        }
        memset(blocks[i], (int)(i & 255), i * 37);
    }
    for (size_t i = 1; i < 300; i++) {
        cr_assert_eq(blocks[i][i * 37 - 1], (unsigned char)i);
    }
    cr_assert_null(tare_arena_array(&arena, SIZE_MAX / 2, 3));
    cr_assert_null(tare_arena_alloc(&arena, SIZE_MAX - 8));
    cr_assert_str_eq(tare_arena_printf(&arena, "%d-%s", 7, "x"), "7-x");
    cr_assert_str_eq(tare_arena_strndup(&arena, "hello", 4), "hell");
    tare_arena_release(&arena);
    tare_arena_release(&arena);
    tare_arena_release(NULL);
}

Test(map, sets_replaces_and_removes_many_keys) {
    tare_arena arena = {0};
    tare_map map;
    static int values[5000];
    tare_map_init(&map, &arena);
    cr_assert_null(tare_map_get(&map, "absent"));
    for (int i = 0; i < 5000; i++) {
        cr_assert(tare_map_set(&map, tare_arena_printf(&arena, "key%d", i), &values[i]));
    }
    for (int i = 0; i < 5000; i += 2) {
        tare_map_remove(&map, tare_arena_printf(&arena, "key%d", i));
    }
    for (int i = 0; i < 5000; i++) {
        cr_assert_eq(tare_map_get(&map, tare_arena_printf(&arena, "key%d", i)),
                     i % 2 == 0 ? NULL : (void *)&values[i]);
    }
    cr_assert(tare_map_set(&map, "key4", &values[1]));
    cr_assert_eq(tare_map_get(&map, "key4"), &values[1]);
    tare_map_remove(&map, "absent");
    tare_arena_release(&arena);
}

Test(text, grows) {
    tare_text text = {0};
    for (int i = 0; i < 1000; i++) {
        tare_text_add(&text, "%d,", i);
    }
    cr_assert_eq(tare_text_check(&text, NULL), TARE_OK);
    cr_assert_eq(text.length, strlen(text.data));
    cr_assert_eq(memcmp(text.data + text.length - 4, "999,", 4), 0);
    tare_text_release(&text);
    tare_text_release(NULL);
}

static char *temporary_folder(void) {
    static char folder[] = "/tmp/tare-test-XXXXXX";
    cr_assert_not_null(mkdtemp(folder));
    return folder;
}

Test(file, output_appears_only_on_commit) {
    char path[256];
    tare_output *out = NULL;
    tare_mapping mapping;
    tare_error err;
    const char *folder = temporary_folder();
    snprintf(path, sizeof path, "%s/out.bin", folder);
    cr_assert_eq(tare_output_open(&out, path, &err), TARE_OK);
    cr_assert_eq(tare_output_write(out, "abc", 3, &err), TARE_OK);
    cr_assert_eq(tare_output_align(out, 64, &err), TARE_OK);
    cr_assert_eq(tare_output_position(out), 64);
    cr_assert_neq(access(path, F_OK), 0);
    cr_assert_eq(tare_output_commit(out, &err), TARE_OK);
    cr_assert_eq(tare_mapping_open(&mapping, path, &err), TARE_OK);
    cr_assert_eq(mapping.bytes, 64);
    cr_assert_eq(memcmp(mapping.data, "abc\0", 4), 0);
    tare_mapping_release(&mapping);

    cr_assert_eq(tare_output_open(&out, path, &err), TARE_OK);
    cr_assert_eq(tare_output_write(out, "zzz", 3, &err), TARE_OK);
    tare_output_discard(out);
    cr_assert_eq(tare_mapping_open(&mapping, path, &err), TARE_OK);
    cr_assert_eq(mapping.data[0], 'a', "the old file stays when a new one is discarded");
    tare_mapping_release(&mapping);
    unlink(path);
    cr_assert_eq(rmdir(folder), 0, "nothing temporary is left");
}

Test(file, errors_name_the_path) {
    tare_mapping mapping;
    tare_output *out = NULL;
    tare_error err;
    cr_assert_eq(tare_mapping_open(&mapping, "/nonexistent/x.onnx", &err), TARE_NOT_FOUND);
    cr_assert_not_null(strstr(err.text, "/nonexistent/x.onnx"));
    cr_assert_eq(tare_mapping_open(&mapping, "/tmp", &err), TARE_IO);
    cr_assert_eq(tare_output_open(&out, "/nonexistent/x.onnx", &err), TARE_IO);
    cr_assert_not_null(strstr(err.text, "/nonexistent/x.onnx"));
    cr_assert_eq(tare_output_open(&out, "/tmp", &err), TARE_IO);
    cr_assert_null(out);
}

Test(json, any_text_becomes_a_string) {
    static const char *const texts[][2] = {{"caf\xC3\xA9", "caf\xC3\xA9"},
                                           {"caf\xE9.onnx", "caf\\xE9.onnx"},
                                           {"", ""},
                                           {"\xFF", "\\xFF"}};
    for (size_t i = 0; i < sizeof texts / sizeof texts[0]; i++) {
        json_t *json = tare_json_text(texts[i][0]);
        cr_assert_not_null(json);
        cr_assert_str_eq(json_string_value(json), texts[i][1]);
        json_decref(json);
    }
}

Test(json, errors_name_file_and_line) {
    char path[256];
    json_t *json = NULL;
    tare_error err;
    const char *folder = temporary_folder();
    snprintf(path, sizeof path, "%s/x.json", folder);
    cr_assert_eq(tare_file_write(path, "{\"a\":1,\n\"a\":2}", 14, &err), TARE_OK);
    cr_assert_eq(tare_json_read(&json, path, &err), TARE_INVALID_ARGUMENT);
    cr_assert_not_null(strstr(err.text, "line 2"));
    json = json_pack("{s:i}", "n", 3);
    cr_assert_eq(tare_json_write(json, path, &err), TARE_OK);
    json_decref(json);
    cr_assert_eq(tare_json_read(&json, path, &err), TARE_OK);
    cr_assert_eq(json_integer_value(json_object_get(json, "n")), 3);
    json_decref(json);
    unlink(path);
    rmdir(folder);
}
