/* SPDX-License-Identifier: Apache-2.0 */
/**
 * Runs ONNX's operator cases and compares with their expected outputs.
 *
 *     run_cases [-v] [--list] [--expected=FILE] FOLDER...
 *
 * FOLDER holds cases: CASE/model.onnx, CASE/test_data_set_0/. Every case goes through a plan; cases
 * of one node also through every kernel row in every layout, and in place. Cases that Tare refuses
 * are counted by operator and, with -v, listed with the reason. FILE names cases that must pass,
 * one a line; --list prints the names of those that do. A wrong result fails.
 */
#include <dirent.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/map.h"
#include "cpu/backend.h"
#include "node_case.h"

#define PATH_BYTES   1024
#define MAX_CASES    8192
#define MAX_GROUPS   512
#define OPTION(text) (strncmp(argv[i], text, sizeof text - 1) == 0)

/* Cases that share their first operator. */
typedef struct group {
    char name[64];
    int passed, wrong, refused;
    node_errors errors;
} group;

typedef struct totals {
    group groups[MAX_GROUPS];
    size_t group_count;
    int passed, wrong, refused, skipped, row_runs;
    bool verbose, list;
    tare_arena arena;
    tare_map names; /* of the cases that passed */
} totals;

static group *group_of(totals *t, const char *name) {
    for (size_t i = 0; i < t->group_count; i++) {
        if (strcmp(t->groups[i].name, name) == 0) {
            return &t->groups[i];
        }
    }
    if (t->group_count + 1 < MAX_GROUPS) {
        t->group_count++;
    }
    (void)snprintf(t->groups[t->group_count - 1].name, sizeof t->groups[0].name, "%s", name);
    return &t->groups[t->group_count - 1];
}

static void passed(totals *t, group *g, const char *name) {
    char *key = tare_arena_strdup(&t->arena, name);
    if (key == NULL || !tare_map_set(&t->names, key, key)) {
        fprintf(stderr, "out of memory\n");
        exit(1);
    }
    g->passed++;
    t->passed++;
    if (t->list) {
        printf("%s\n", name);
    }
}

/* Whether a refusal is an answer: named operators, types or forms, or a dim that only the data
 * know. */
static bool is_refusal(tare_status status, const tare_error *err) {
    return status == TARE_UNSUPPORTED || strstr(err->text, "is not known") != NULL;
}

static void run_case(totals *t, const char *name, const char *folder) {
    node_case *c = malloc(sizeof *c);
    tare_error err = {.text = ""};
    tare_status status;
    int runs = 0;
    group *g;

    if (c == NULL) {
        return;
    }
    status = node_case_read(c, folder, &err);
    g = group_of(t, c->operator_name);
    if (status == TARE_NOT_FOUND) {
        t->skipped++;
        goto done;
    }
    if (status == TARE_OK) {
        status = node_case_run_plan(&g->errors, c, &tare_backend_cpu, &err);
    }
    if (status == TARE_OK) {
        status = node_case_run_rows(&g->errors, &runs, c, &tare_backend_cpu, &err);
        t->row_runs += runs;
    }
    if (status == TARE_OK) {
        passed(t, g, name);
    } else if (is_refusal(status, &err)) {
        g->refused++;
        t->refused++;
        if (t->verbose) {
            printf("refused %s: %s\n", name, err.text);
        }
    } else {
        g->wrong++;
        t->wrong++;
        printf("WRONG %s: %s\n", name, err.text);
    }
done:
    node_case_release(c);
    free(c);
}

static int compare_names(const void *a, const void *b) {
    return strcmp(*(char *const *)a, *(char *const *)b);
}

static int run_folder(totals *t, const char *folder) {
    char **names = calloc(MAX_CASES, sizeof *names);
    char path[PATH_BYTES];
    size_t count = 0;
    DIR *stream = names == NULL ? NULL : opendir(folder);

    if (stream == NULL) {
        fprintf(stderr, "%s cannot be opened\n", folder);
        free(names);
        return 1;
    }
    for (struct dirent *entry; (entry = readdir(stream)) != NULL && count < MAX_CASES;) {
        if (strncmp(entry->d_name, "test_", 5) == 0 &&
            (names[count] = strdup(entry->d_name)) != NULL) {
            count++;
        }
    }
    (void)closedir(stream);
    qsort(names, count, sizeof *names, compare_names);
    for (size_t i = 0; i < count; i++) {
        if (snprintf(path, sizeof path, "%s/%s", folder, names[i]) < PATH_BYTES) {
            run_case(t, names[i], path);
        }
        free(names[i]);
    }
    free(names);
    return 0;
}

/* Cases of the list that did not pass. */
static int check_expected(const totals *t, const char *path) {
    char line[PATH_BYTES];
    FILE *file = fopen(path, "r");
    int lost = 0;

    if (file == NULL) {
        fprintf(stderr, "%s cannot be opened\n", path);
        return 1;
    }
    while (fgets(line, sizeof line, file) != NULL) {
        line[strcspn(line, "\r\n")] = '\0';
        if (line[0] != '\0' && line[0] != '#' && tare_map_get(&t->names, line) == NULL) {
            printf("LOST %s\n", line);
            lost++;
        }
    }
    (void)fclose(file);
    return lost;
}

static void print_groups(const totals *t) {
    for (size_t i = 0; i < t->group_count; i++) {
        const group *g = &t->groups[i];
        printf("%-28s %4d passed %4d wrong %4d refused   largest relative error %.1e\n", g->name,
               g->passed, g->wrong, g->refused, g->errors.relative);
    }
}

int main(int argc, char **argv) {
    static totals t;
    const char *expected = NULL;
    int failed = 0, lost;

    tare_arena_init(&t.arena);
    tare_map_init(&t.names, &t.arena);
    for (int i = 1; i < argc; i++) {
        if (OPTION("-v")) {
            t.verbose = true;
        } else if (OPTION("--list")) {
            t.list = true;
        } else if (OPTION("--expected=")) {
            expected = argv[i] + sizeof "--expected=" - 1;
        } else {
            failed |= run_folder(&t, argv[i]);
        }
    }
    lost = expected == NULL ? 0 : check_expected(&t, expected);
    if (!t.list) {
        print_groups(&t);
        printf("%d passed, %d wrong, %d refused, %d without dense tensors, %d listed ones lost; %d "
               "runs of single rows\n",
               t.passed, t.wrong, t.refused, t.skipped, lost, t.row_runs);
    }
    tare_arena_release(&t.arena);
    return failed != 0 || lost > 0 || t.wrong > 0 ? 1 : 0;
}
