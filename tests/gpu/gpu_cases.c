/* SPDX-License-Identifier: Apache-2.0 */
/**
 * Runs ONNX's operator cases on a device and compares with the CPU backend.
 *
 *     gpu_cases --plugin=FILE [--precision=fp32|tf32|fp16] [--part=I/N] [-v] FOLDER...
 *
 * FOLDER holds cases: CASE/model.onnx, CASE/test_data_set_0/. What has no kernel on the device runs
 * on the CPU, and is counted. The last line is a JSON object with the counts and, per operator, the
 * largest difference; a case is wrong when an output of floats is further away, as the norm of the
 * difference over the norm of the output, than the precision allows, or when another output
 * differs. Exits 1 for wrong cases, 3 when the device cannot be used.
 */
#include <dirent.h>
#include <dlfcn.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "cpu/backend.h"
#include "cpu/element.h"
#include "exec/executor.h"
#include "exec/plugin.h"
#include "node_case.h"

#define PATH_BYTES   1024
#define MAX_CASES    8192
#define MAX_GROUPS   512
#define EXIT_MISSING 3

/* Cases that share their first operator. */
typedef struct group {
    char name[64];
    int passed, wrong, refused, hosted;
    double largest;
} group;

typedef struct machine {
    const tare_backend *backend;
    tare_device *device;
    double limit;
} machine;

typedef struct totals {
    machine machine;
    group groups[MAX_GROUPS];
    size_t group_count;
    int passed, wrong, refused, hosted, skipped;
    int part, parts;
    bool verbose;
} totals;

/* How far precisions may be from the CPU's float32. */
static const struct {
    const char *name;
    tare_precision precision;
    double limit;
} precisions[] = {
    {"fp32", TARE_PRECISION_FP32, 1e-5},
    {"tf32", TARE_PRECISION_TF32, 2e-3},
    {"fp16", TARE_PRECISION_FP16, 5e-3},
};

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

/* ---- one case ---- */

/* A plan and its only execution. */
typedef struct running {
    tare_plan *plan;
    tare_execution *execution;
} running;

static void running_release(running *r) {
    tare_execution_free(r->execution);
    tare_plan_free(r->plan);
}

static tare_status run(running *out, node_case *c, const machine *m, tare_error *err) {
    const tare_plan_options options = {.threads_per_run = 1,
                                       .device = m == NULL ? NULL : m->device,
                                       .fallback = m == NULL ? NULL : &tare_backend_cpu,
                                       .outputs_to_host = true};
    const void *inputs[NODE_CASE_TENSORS];

    *out = (running){0};
    for (size_t i = 0; i < NODE_CASE_TENSORS; i++) {
        inputs[i] = c->inputs[i].data;
    }
    TARE_TRY(tare_plan_build(&out->plan, &c->graph, m == NULL ? &tare_backend_cpu : m->backend,
                             &options, err));
    TARE_TRY(tare_execution_new(&out->execution, out->plan, err));
    TARE_TRY(tare_execution_run(out->execution, inputs, NULL, err));
    return tare_execution_wait(out->execution, err);
}

/* Norm of the difference over the norm, or 1 where infinities and NaN are not in the same places.
 */
static double apart(const tare_accessor *access, const void *found, const void *expected,
                    int64_t count) {
    double difference = 0.0, norm = 0.0;
    for (int64_t i = 0; i < count; i++) {
        const double x = access->real(found, i), y = access->real(expected, i);
        if (x == y || (isnan(x) && isnan(y))) {
            norm += isfinite(y) ? y * y : 0.0;
            continue;
        }
        if (!isfinite(x) || !isfinite(y)) {
            return 1.0;
        }
        difference += (x - y) * (x - y);
        norm += y * y;
    }
    return difference == 0.0 ? 0.0 : norm == 0.0 ? sqrt(difference) : sqrt(difference / norm);
}

static tare_status compare(group *g, const machine *m, const running *found,
                           const running *expected, size_t index, tare_error *err) {
    tare_desc a, b;
    const void *x = tare_execution_output(found->execution, index, &a);
    const void *y = tare_execution_output(expected->execution, index, &b);
    const tare_accessor *access = tare_accessor_of(b.dtype);
    double difference;

    if (a.dtype != b.dtype || a.rank != b.rank ||
        memcmp(a.dims, b.dims, (size_t)b.rank * sizeof b.dims[0]) != 0) {
        return tare_fail(err, TARE_INTERNAL, "output %zu has another type or shape", index);
    }
    if (access == NULL || access->number != TARE_NUMBER_REAL) {
        return memcmp(x, y, tare_desc_bytes(&b)) == 0
                   ? TARE_OK
                   : tare_fail(err, TARE_INTERNAL, "output %zu differs", index);
    }
    difference = apart(access, x, y, tare_desc_count(&b));
    g->largest = difference > g->largest ? difference : g->largest;
    return difference <= m->limit
               ? TARE_OK
               : tare_fail(err, TARE_INTERNAL, "output %zu is %.2e away, at most %.0e expected",
                           index, difference, m->limit);
}

static bool has_host_steps(const tare_plan *plan) {
    for (size_t i = 0; i < tare_plan_step_count(plan); i++) {
        const tare_plan_step_info step = tare_plan_step(plan, i);
        if (step.on_host && !step.copy && !step.view) {
            return true;
        }
    }
    return false;
}

static void run_case(totals *t, const char *name, const char *folder) {
    node_case *c = calloc(1, sizeof *c);
    running cpu = {0}, device = {0};
    tare_error err = {.text = ""};
    tare_status status;
    group *g;

    if (c == NULL) {
        return;
    }
    status = node_case_read(c, folder, &err);
    if (status == TARE_OK) {
        status = run(&cpu, c, NULL, &err);
    }
    if (status != TARE_OK) { /* the CPU's own tests say whether that is right */
        t->skipped++;
        goto done;
    }
    g = group_of(t, c->operator_name);
    status = run(&device, c, &t->machine, &err);
    for (size_t i = 0; i < c->graph.output_count && status == TARE_OK; i++) {
        status = compare(g, &t->machine, &device, &cpu, i, &err);
    }
    if (status == TARE_OK) {
        const bool hosted = has_host_steps(device.plan);
        g->passed++;
        t->passed++;
        g->hosted += hosted;
        t->hosted += hosted;
    } else if (status == TARE_UNSUPPORTED) {
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
    running_release(&device);
    running_release(&cpu);
    node_case_release(c);
    free(c);
}

/* ---- all cases ---- */

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
        if ((int)(i % (size_t)t->parts) == t->part &&
            snprintf(path, sizeof path, "%s/%s", folder, names[i]) < PATH_BYTES) {
            run_case(t, names[i], path);
        }
        free(names[i]);
    }
    free(names);
    return 0;
}

static void print_json(const totals *t) {
    printf("{\"passed\": %d, \"wrong\": %d, \"refused\": %d, \"on_host\": %d, \"without\": %d, "
           "\"operators\": {",
           t->passed, t->wrong, t->refused, t->hosted, t->skipped);
    for (size_t i = 0; i < t->group_count; i++) {
        const group *g = &t->groups[i];
        printf("%s\"%s\": {\"passed\": %d, \"wrong\": %d, \"refused\": %d, \"on_host\": %d, "
               "\"largest\": %.3g}",
               i == 0 ? "" : ", ", g->name, g->passed, g->wrong, g->refused, g->hosted, g->largest);
    }
    printf("}}\n");
}

/* ---- the device ---- */

static tare_status open_device(machine *out, const char *file, const char *precision,
                               tare_error *err) {
    tare_device_options options = {.index = 0};
    size_t i = 0;
    void *library = file == NULL ? NULL : dlopen(file, RTLD_NOW | RTLD_LOCAL | RTLD_NODELETE);
    const tare_plugin *plugin =
        library == NULL ? NULL : (const tare_plugin *)dlsym(library, TARE_PLUGIN_SYMBOL);

    if (plugin == NULL) {
        return tare_fail(err, TARE_NOT_FOUND, "%s is no plug-in", file == NULL ? "(none)" : file);
    }
    while (i < sizeof precisions / sizeof precisions[0] &&
           strcmp(precisions[i].name, precision) != 0) {
        i++;
    }
    if (i == sizeof precisions / sizeof precisions[0]) {
        return tare_fail(err, TARE_INVALID_ARGUMENT, "there is no precision %s", precision);
    }
    options.precision = precisions[i].precision;
    out->limit = precisions[i].limit;
    out->backend = plugin->backend;
    return out->backend->device->open(&out->device, &options, err);
}

/* Whether `argument` begins with `name`; *value becomes what follows. */
static bool option(const char **value, const char *argument, const char *name) {
    const size_t length = strlen(name);
    const bool is = strncmp(argument, name, length) == 0;
    *value = is ? argument + length : *value;
    return is;
}

int main(int argc, char **argv) {
    static totals t = {.parts = 1};
    const char *plugin = NULL, *precision = "fp32", *part = "0/1", *rest = NULL;
    tare_error err = {.text = ""};
    int failed = 0, first = 1;

    for (; first < argc && argv[first][0] == '-'; first++) {
        if (strcmp(argv[first], "-v") == 0) {
            t.verbose = true;
        } else if (!option(&plugin, argv[first], "--plugin=") &&
                   !option(&precision, argv[first], "--precision=") &&
                   !option(&part, argv[first], "--part=")) {
            fprintf(stderr, "there is no option %s\n", argv[first]);
            return 2;
        }
    }
    rest = strchr(part, '/');
    t.part = (int)strtol(part, NULL, 10);
    t.parts = rest == NULL ? 0 : (int)strtol(rest + 1, NULL, 10);
    if (t.parts < 1) {
        fprintf(stderr, "--part is %s, expected I/N\n", part);
        return 2;
    }
    if (open_device(&t.machine, plugin, precision, &err) != TARE_OK) {
        fprintf(stderr, "skipped: no device: %s\n", err.text);
        return EXIT_MISSING;
    }
    for (int i = first; i < argc; i++) {
        failed |= run_folder(&t, argv[i]);
    }
    print_json(&t);
    t.machine.backend->device->close(t.machine.device);
    return failed != 0 || t.wrong > 0 ? 1 : 0;
}
