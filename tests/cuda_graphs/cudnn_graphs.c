/* SPDX-License-Identifier: Apache-2.0 */
/**
 * cudnn_graphs LIBRARY MODEL...: asks cuDNN itself, which needs no device for this, whether the
 * operation graph of every convolution of the models finalizes: alone, with its bias, and with each
 * kind of epilogue, in both storage types. Exits with 77 where cuDNN cannot be opened.
 *
 * Then whether it has engines for a few of them on a device that is only described
 * (cudnn_plans.h).
 */
#include <dlfcn.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "cpu/backend.h"
#include "cuda/conv_graph.h"
#include "cudnn_plans.h"
#include "onnx/reader.h"
#include "ops/op.h"
#include "pass/infer.h"

#define SKIPPED      77
#define UNKNOWN_SIZE 96
#define MAX_INPUTS   8

/** Chains of epilogues that are tried behind each convolution. */
typedef struct chain {
    size_t count;
    tare_epilogue epilogues[2];
} chain;

static const chain chains[] = {
    {0, {{0}}},
    {1, {{TARE_EPILOGUE_CLIP, 0.0F, INFINITY}}},
    {1, {{TARE_EPILOGUE_CLIP, -1.0F, 6.0F}}},
    {1, {{TARE_EPILOGUE_LEAKY_RELU, 0.1F, 0.0F}}},
    {1, {{TARE_EPILOGUE_SIGMOID, 0.0F, 0.0F}}},
    {1, {{TARE_EPILOGUE_TANH, 0.0F, 0.0F}}},
    {1, {{TARE_EPILOGUE_SWISH, 0.0F, 0.0F}}},
    {1, {{TARE_EPILOGUE_HARD_SIGMOID, 0.2F, 0.5F}}},
    {1, {{TARE_EPILOGUE_HARD_SWISH, 1.0F / 6.0F, 0.5F}}},
    {2, {{TARE_EPILOGUE_ADD, 0.0F, 0.0F}, {TARE_EPILOGUE_CLIP, 0.0F, INFINITY}}},
};

typedef struct tally {
    size_t models, unsupported, convolutions, graphs, refused, failed;
} tally;

/* Entry points of cuDNN; false when one is missing. ISO C has no conversion from what dlsym()
 * returns to a function pointer, hence the copies. */
static bool open_cudnn(tare_cuda_api *api, void *library) {
    void *symbol;
    bool complete = true;
    memset(api, 0, sizeof *api);
#define LOOK_UP_F(result, name, parameters, arguments)                                             \
    symbol = dlsym(library, #name);                                                                \
    complete = complete && symbol != NULL;                                                         \
    memcpy(&api->name, &symbol, sizeof symbol);
#define LOOK_UP_Q(result, name, parameters) LOOK_UP_F(result, name, parameters, ())
    TARE_CUDNN_CALLS(LOOK_UP_F, LOOK_UP_Q)
    return complete;
}

static tare_desc desc_of(const tare_value *value, tare_dtype storage) {
    tare_desc desc = {.dtype = storage, .rank = value->rank, .layout = TARE_LAYOUT_CHANNELS_LAST};
    memcpy(desc.dims, value->dims, sizeof desc.dims);
    return desc;
}

/* The node as the planner would hand it to the row. */
static tare_status read_spec(tare_conv_spec *out, const tare_node *node, tare_dtype storage,
                             const chain *then, tare_error *err) {
    tare_desc inputs[3] = {{0}}, output = desc_of(node->outputs[0], storage);
    const tare_tensor *constants[3] = {NULL};
    for (size_t i = 0; i < node->input_count && i < 3; i++) {
        inputs[i].rank = -1;
        if (node->inputs[i] != NULL) {
            inputs[i] = desc_of(node->inputs[i], i == 0 ? storage : TARE_DTYPE_FLOAT);
            constants[i] = node->inputs[i]->constant;
        }
    }
    const tare_prepare prepare = {.node = node,
                                  .attrs = node->attrs,
                                  .input_count = node->input_count,
                                  .inputs = inputs,
                                  .constants = constants,
                                  .output_count = 1,
                                  .outputs = &output,
                                  .epilogue_count = then->count,
                                  .epilogues = then->epilogues};
    return tare_conv_spec_read(
        out, &prepare, strcmp(node->op_type, "ConvTranspose") == 0,
        storage == TARE_DTYPE_FLOAT16 ? TARE_PRECISION_FP16 : TARE_PRECISION_FP32, err);
}

static tare_status finalize_graph(const tare_cuda_api *api, const tare_conv_spec *spec,
                                  tare_error *err) {
    tare_cudnn_scope scope = tare_cudnn_scope_of(api, NULL);
    cudnnBackendDescriptor_t graph;
    const tare_status status =
        tare_conv_graph_new(&graph, &scope, spec, tare_conv_spec_has_epilogue(spec), err);
    tare_cudnn_scope_release(&scope);
    return status;
}

static void check_node(tally *counts, const tare_cuda_api *api, const tare_node *node) {
    static const tare_dtype storages[] = {TARE_DTYPE_FLOAT, TARE_DTYPE_FLOAT16};
    counts->convolutions++;
    for (size_t s = 0; s < 2; s++) {
        for (size_t c = 0; c < sizeof chains / sizeof chains[0]; c++) {
            tare_conv_spec spec;
            tare_error err = {0};
            if (read_spec(&spec, node, storages[s], &chains[c], &err) != TARE_OK) {
                counts->refused++;
                (void)printf("  %s: refused: %s\n", node->name, err.text);
                continue;
            }
            counts->graphs++;
            if (finalize_graph(api, &spec, &err) != TARE_OK) {
                counts->failed++;
                (void)printf("  %s: chain %zu of %s: %s\n", node->name, c,
                             tare_dtype_text(storages[s]), err.text);
            }
        }
    }
}

/* Unknown dims are given numbers: 1 for the batch. */
static size_t bind_inputs(tare_shape_binding *out, const tare_graph *graph) {
    size_t count = 0;
    for (size_t i = 0; i < graph->input_count && count < MAX_INPUTS; i++) {
        const tare_value *input = graph->inputs[i];
        tare_shape_binding *binding = &out[count];
        bool unknown = false;
        if (input->constant != NULL || input->rank < 1) {
            continue;
        }
        binding->name = input->name;
        binding->rank = input->rank;
        for (int axis = 0; axis < input->rank; axis++) {
            const int64_t dim = input->dims[axis];
            unknown = unknown || dim < 0;
            binding->dims[axis] = dim >= 0 ? dim : axis == 0 ? 1 : UNKNOWN_SIZE;
        }
        count += unknown ? 1 : 0;
    }
    return count;
}

static tare_status check_model(tally *counts, const tare_cuda_api *api, const char *path,
                               tare_error *err) {
    tare_shape_binding bindings[MAX_INPUTS] = {{0}};
    tare_graph graph;
    tare_status status;

    tare_graph_init(&graph);
    TARE_TRY_DONE(status, tare_onnx_read(&graph, path, err));
    TARE_TRY_DONE(status, tare_pass_infer(&graph, &tare_backend_cpu, bindings,
                                          bind_inputs(bindings, &graph), err));
    counts->models++;
    for (size_t i = 0; i < graph.node_count; i++) {
        const tare_node *node = graph.nodes[i];
        if (strcmp(node->op_type, "Conv") == 0 || strcmp(node->op_type, "ConvTranspose") == 0) {
            check_node(counts, api, node);
        }
    }
done:
    tare_graph_release(&graph);
    return status;
}

/* Kinds of convolutions that the models may lack. */
static void check_others(tally *counts, const tare_cuda_api *api) {
    static const tare_conv_spec others[] = {
        /* in three dimensions, in groups, dilated */
        {.rank = 5,
         .x = {2, 8, 6, 9, 9},
         .w = {16, 4, 3, 3, 3},
         .y = {2, 16, 4, 9, 5},
         .stride = {1, 1, 2},
         .dilation = {1, 2, 1},
         .pad_begin = {0, 2, 1},
         .pad_end = {0, 2, 1}},
        /* transposed, with an end pad that rounding absorbs */
        {.transposed = true,
         .rank = 4,
         .x = {1, 6, 8, 8},
         .w = {4, 6, 3, 3},
         .y = {1, 4, 4, 4},
         .stride = {2, 2},
         .dilation = {1, 1},
         .pad_begin = {1, 1}},
        /* transposed, in groups, in three dimensions */
        {.transposed = true,
         .rank = 5,
         .x = {1, 6, 4, 6, 4},
         .w = {4, 3, 2, 3, 2},
         .y = {1, 4, 2, 4, 2},
         .stride = {2, 1, 2},
         .dilation = {1, 1, 1}},
        /* a signal, which has a height of 1 */
        {.rank = 4,
         .x = {1, 3, 1, 17},
         .w = {7, 3, 1, 4},
         .y = {1, 7, 1, 8},
         .stride = {1, 2},
         .dilation = {1, 2},
         .pad_begin = {0, 3},
         .pad_end = {0, 1}},
    };
    for (size_t i = 0; i < sizeof others / sizeof others[0]; i++) {
        for (size_t c = 0; c < sizeof chains / sizeof chains[0]; c++) {
            tare_conv_spec spec = others[i];
            tare_error err = {0};
            spec.bias = true;
            spec.storage = c % 2 == 0 ? TARE_DTYPE_FLOAT : TARE_DTYPE_FLOAT16;
            spec.epilogue_count = chains[c].count;
            memcpy(spec.epilogues, chains[c].epilogues, sizeof chains[c].epilogues);
            counts->graphs++;
            if (finalize_graph(api, &spec, &err) != TARE_OK) {
                counts->failed++;
                (void)printf("  other %zu: chain %zu: %s\n", i, c, err.text);
            }
        }
    }
}

/* Whether cuDNN looks at what it is given: a graph with a wrong output must not finalize. */
static bool check_gate(const tare_cuda_api *api) {
    const tare_conv_spec right = {.rank = 4,
                                  .x = {1, 8, 10, 10},
                                  .w = {16, 8, 3, 3},
                                  .y = {1, 16, 8, 8},
                                  .stride = {1, 1},
                                  .dilation = {1, 1},
                                  .storage = TARE_DTYPE_FLOAT,
                                  .bias = true};
    tare_conv_spec wrong = right;
    wrong.y[3]++;
    return finalize_graph(api, &right, NULL) == TARE_OK &&
           finalize_graph(api, &wrong, NULL) != TARE_OK;
}

int main(int argc, char **argv) {
    tare_cuda_api api;
    tally counts = {0};
    void *library;

    if (argc < 3) {
        (void)fprintf(stderr, "usage: cudnn_graphs LIBRARY MODEL...\n");
        return 2;
    }
    library = dlopen(argv[1], RTLD_NOW | RTLD_LOCAL);
    if (library == NULL) {
        (void)printf("skipped: %s\n", dlerror());
        return SKIPPED;
    }
    if (!open_cudnn(&api, library)) {
        (void)printf("'%s' lacks an entry point\n", argv[1]);
        return 1;
    }
    for (int i = 2; i < argc; i++) {
        tare_error err = {0};
        const tare_status status = check_model(&counts, &api, argv[i], &err);
        if (status != TARE_OK) {
            (void)printf("%s: %s\n", argv[i], err.text);
            counts.unsupported += status == TARE_UNSUPPORTED ? 1 : 0;
            counts.failed += status == TARE_UNSUPPORTED ? 0 : 1;
        }
    }
    check_others(&counts, &api);
    if (!check_gate(&api)) {
        (void)printf("cuDNN accepts a graph with a wrong output, or refuses the right one\n");
        counts.failed++;
    }
    counts.failed += check_plans(&api);
    (void)printf("cuDNN %zu: %zu models (and %zu that are not supported), %zu convolutions, "
                 "%zu graphs, %zu refused, %zu failed\n",
                 api.cudnnGetVersion(), counts.models, counts.unsupported, counts.convolutions,
                 counts.graphs, counts.refused, counts.failed);
    return counts.failed > 0 || counts.graphs == 0 ? 1 : 0;
}
