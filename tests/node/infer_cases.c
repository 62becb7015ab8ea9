/* SPDX-License-Identifier: Apache-2.0 */
/**
 * Infers types and shapes of ONNX's operator cases and compares them with the expected outputs.
 *
 *     infer_cases FOLDER...     FOLDER holds cases: CASE/model.onnx, CASE/test_data_set_0/
 *
 * Inputs of an integer or boolean type and short vectors behind the first input count as constants,
 * because shapes, axes, scales and bounds come that way. Cases that Tare refuses as unsupported are
 * counted and, with -v, listed; a wrong type or shape, and a valid model that is called invalid,
 * fails.
 */
#include <dirent.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "cpu/backend.h"
#include "onnx/reader.h"
#include "pass/infer.h"

#define MAX_TENSORS 32
#define PATH_BYTES  1024

typedef struct outcome {
    int equal, unsupported, skipped, wrong;
    bool verbose;
} outcome;

typedef struct case_tensors {
    tare_tensor tensors[MAX_TENSORS];
    bool present[MAX_TENSORS];
    bool unreadable; /* a sequence, an optional, strings */
} case_tensors;

static void read_tensors(case_tensors *out, const char *folder, const char *kind, size_t count) {
    char path[PATH_BYTES];
    tare_error err;
    *out = (case_tensors){.unreadable = count > MAX_TENSORS};
    for (size_t i = 0; i < count && i < MAX_TENSORS; i++) {
        if (snprintf(path, sizeof path, "%s/test_data_set_0/%s_%zu.pb", folder, kind, i) >=
            PATH_BYTES) {
            out->unreadable = true;
            return;
        }
        out->present[i] = tare_onnx_read_tensor_file(&out->tensors[i], path, &err) == TARE_OK;
        out->unreadable = out->unreadable || (!out->present[i] && err.code != TARE_NOT_FOUND);
    }
}

static void release_tensors(case_tensors *tensors) {
    for (size_t i = 0; i < MAX_TENSORS; i++) {
        if (tensors->present[i]) {
            tare_tensor_release(&tensors->tensors[i]);
        }
    }
}

/* Whether an input stands for what real models have as a constant. */
static bool is_parameter(const tare_tensor *tensor, size_t index) {
    if (index > 0 && tensor->rank <= 1 && tare_tensor_count(tensor) <= 8) {
        return true;
    }
    return tensor->dtype != TARE_DTYPE_FLOAT && tensor->dtype != TARE_DTYPE_FLOAT16 &&
           tensor->dtype != TARE_DTYPE_DOUBLE && tensor->dtype != TARE_DTYPE_BFLOAT16;
}

/* Test data are numbered like the graph's inputs. */
static tare_status prepare_inputs(tare_shape_binding *bindings, size_t *count, tare_graph *graph,
                                  const case_tensors *inputs) {
    *count = 0;
    for (size_t i = 0; i < graph->input_count; i++) {
        tare_value *value = graph->inputs[i];
        const tare_tensor *tensor = &inputs->tensors[i];
        tare_shape_binding *binding = &bindings[*count];
        if (!inputs->present[i]) {
            continue;
        }
        if (is_parameter(tensor, i)) {
            value->constant = tare_graph_new_tensor(graph);
            if (value->constant == NULL) {
                return TARE_OUT_OF_MEMORY;
            }
            tare_tensor_share(value->constant, tensor);
        }
        *binding = (tare_shape_binding){.name = value->name, .rank = tensor->rank};
        memcpy(binding->dims, tensor->dims, sizeof tensor->dims);
        (*count)++;
    }
    return TARE_OK;
}

static bool same_type(const tare_value *value, const tare_tensor *expected) {
    return value->dtype == expected->dtype && value->rank == expected->rank &&
           memcmp(value->dims, expected->dims, (size_t)value->rank * sizeof *value->dims) == 0;
}

static void compare_outputs(outcome *total, const char *name, const tare_graph *graph,
                            const case_tensors *expected) {
    bool equal = true;
    for (size_t i = 0; i < graph->output_count; i++) {
        const tare_value *value = graph->outputs[i];
        char found[TARE_DIMS_TEXT_BYTES], wanted[TARE_DIMS_TEXT_BYTES];
        if (!expected->present[i] || same_type(value, &expected->tensors[i])) {
            continue;
        }
        equal = false;
        printf("WRONG %s: output '%s' is %s %s, expected %s %s\n", name, value->name,
               tare_dtype_text(value->dtype),
               tare_dims_text(found, sizeof found, value->rank, value->dims),
               tare_dtype_text(expected->tensors[i].dtype),
               tare_dims_text(wanted, sizeof wanted, expected->tensors[i].rank,
                              expected->tensors[i].dims));
    }
    total->equal += equal;
    total->wrong += !equal;
}

static void run_case(outcome *total, const char *name, const char *folder) {
    tare_shape_binding bindings[MAX_TENSORS];
    case_tensors inputs = {.unreadable = false}, expected = {.unreadable = false};
    char path[PATH_BYTES];
    tare_graph graph;
    tare_error err = {.text = ""};
    tare_status status;
    size_t count;

    tare_graph_init(&graph);
    status = snprintf(path, sizeof path, "%s/model.onnx", folder) < PATH_BYTES
                 ? tare_onnx_read(&graph, path, &err)
                 : tare_fail(&err, TARE_INVALID_ARGUMENT, "the path is too long");
    if (status == TARE_OK) {
        read_tensors(&inputs, folder, "input", graph.input_count);
        read_tensors(&expected, folder, "output", graph.output_count);
        if (inputs.unreadable || expected.unreadable) {
            total->skipped++;
            goto done;
        }
        status = prepare_inputs(bindings, &count, &graph, &inputs);
    }
    if (status == TARE_OK) {
        status = tare_pass_infer(&graph, &tare_backend_cpu, bindings, count, &err);
    }
    if (status == TARE_OK) {
        compare_outputs(total, name, &graph, &expected);
    } else if (status == TARE_UNSUPPORTED || strstr(err.text, "is not known") != NULL) {
        total->unsupported++;
        if (total->verbose) {
            printf("unsupported %s: %s\n", name, err.text);
        }
    } else {
        total->wrong++;
        printf("WRONG %s: %s\n", name, err.text);
    }
done:
    release_tensors(&inputs);
    release_tensors(&expected);
    tare_graph_release(&graph);
}

static int compare_names(const void *a, const void *b) {
    return strcmp(*(char *const *)a, *(char *const *)b);
}

static int run_folder(outcome *total, const char *folder) {
    char *names[4096];
    char path[PATH_BYTES];
    size_t count = 0;
    DIR *stream = opendir(folder);

    if (stream == NULL) {
        fprintf(stderr, "%s cannot be opened\n", folder);
        return 1;
    }
    for (struct dirent *entry; (entry = readdir(stream)) != NULL && count < 4096;) {
        if (strncmp(entry->d_name, "test_", 5) == 0 &&
            (names[count] = strdup(entry->d_name)) != NULL) {
            count++;
        }
    }
    (void)closedir(stream);
    qsort(names, count, sizeof *names, compare_names);
    for (size_t i = 0; i < count; i++) {
        if (snprintf(path, sizeof path, "%s/%s", folder, names[i]) < PATH_BYTES) {
            run_case(total, names[i], path);
        }
        free(names[i]);
    }
    return 0;
}

int main(int argc, char **argv) {
    outcome total = {.verbose = argc > 1 && strcmp(argv[1], "-v") == 0};
    int least = 0, failed = 0;
    for (int i = total.verbose ? 2 : 1; i < argc; i++) {
        if (strncmp(argv[i], "--at-least=", 11) == 0) {
            least = (int)strtol(argv[i] + 11, NULL, 10);
        } else {
            failed |= run_folder(&total, argv[i]);
        }
    }
    printf("%d equal, %d wrong, %d unsupported, %d without dense tensors\n", total.equal,
           total.wrong, total.unsupported, total.skipped);
    return failed || total.wrong > 0 || total.equal < least ? 1 : 0;
}
