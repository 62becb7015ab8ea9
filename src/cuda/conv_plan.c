/* SPDX-License-Identifier: Apache-2.0 */
/** Which engine computes a convolution; see the header. */
#include "cuda/conv_plan.h"

#include <string.h>

/* With tuning so many are measured. */
#define MAX_CANDIDATES 5

#define NOTE(name)     ((uint32_t)1 << CUDNN_NUMERICAL_NOTE_##name)

/* Statistics are to come out the same in every run, and layers as close to float32 as the precision
 * promises. */
#define NEVER                                                                                      \
    (NOTE(NONDETERMINISTIC) | NOTE(REDUCED_PRECISION_REDUCTION) | NOTE(FFT) | NOTE(WINOGRAD) |     \
     NOTE(WINOGRAD_TILE_4x4) | NOTE(WINOGRAD_TILE_6x6) | NOTE(WINOGRAD_TILE_13x13))

static const uint32_t forbidden_notes[] = {
    [TARE_PRECISION_FP32] = NEVER | NOTE(TENSOR_CORE) | NOTE(DOWN_CONVERT_INPUTS),
    [TARE_PRECISION_TF32] = NEVER,
    [TARE_PRECISION_FP16] = NEVER,
};

static const cudnnBackendHeurMode_t modes[] = {CUDNN_HEUR_MODE_A, CUDNN_HEUR_MODE_FALLBACK};

typedef struct candidates {
    size_t count, wanted;
    tare_cudnn_plan plans[MAX_CANDIDATES];
    size_t refused; /* engines that did not qualify */
} candidates;

/* Adds a plan for the configuration if it qualifies. That an engine refuses is no failure: cuDNN
 * has many ways to say so. */
static tare_status consider(candidates *out, tare_cudnn_scope *scope,
                            cudnnBackendDescriptor_t config, tare_precision precision,
                            tare_error *err) {
    tare_cudnn_plan *plan = &out->plans[out->count];
    uint32_t notes = 0;
    tare_status status = tare_cudnn_config_notes(&notes, scope, config, err);

    if (status == TARE_OK && (notes & forbidden_notes[precision]) == 0) {
        status = tare_cudnn_plan_new(plan, scope, config, err);
        if (status == TARE_OK && plan->workspace_bytes <= TARE_CONV_MAX_WORKSPACE) {
            out->count++;
            return TARE_OK;
        }
    }
    out->refused++;
    return status == TARE_OUT_OF_MEMORY ? status : TARE_OK;
}

/* A graph with epilogues must have better than the engines of the last resort, which the
 * convolution alone and a kernel of ours outrun; one engine that is proposed alone is such a one.
 */
static tare_status find_candidates(candidates *out, tare_cudnn_scope *scope,
                                   const tare_conv_spec *spec, cudnnBackendDescriptor_t graph,
                                   bool fused, tare_error *err) {
    const size_t mode_count = fused ? 1 : sizeof modes / sizeof modes[0];
    for (size_t mode = 0; mode < mode_count && out->count == 0; mode++) {
        tare_cudnn_configs found;
        const tare_status status = tare_cudnn_configs_find(&found, scope, graph, modes[mode], err);
        if (status == TARE_UNSUPPORTED) {
            continue;
        }
        TARE_TRY(status);
        if (fused && found.count < 2) {
            continue;
        }
        for (size_t i = 0; i < found.count && out->count < out->wanted; i++) {
            TARE_TRY(consider(out, scope, found.configs[i], spec->precision, err));
        }
    }
    if (out->count == 0) {
        return tare_fail(err, TARE_UNSUPPORTED,
                         "cuDNN has no engine for the convolution, %zu do not qualify",
                         out->refused);
    }
    return TARE_OK;
}

static tare_status choose(tare_conv_plan *out, const tare_conv_maker *maker,
                          const tare_conv_spec *spec, tare_error *err) {
    candidates found = {.wanted = maker->device->tune ? MAX_CANDIDATES : 1};
    cudnnBackendDescriptor_t graph;
    size_t fastest = 0;

    TARE_TRY(tare_conv_graph_new(&graph, &out->scope, spec, out->fused, err));
    TARE_TRY(find_candidates(&found, &out->scope, spec, graph, out->fused, err));
    if (found.count > 1) {
        const tare_conv_candidates measured = {found.plans, found.count, out->fused};
        pthread_mutex_lock(maker->measuring);
        const tare_status status = tare_conv_tune(&fastest, maker, spec, &measured, err);
        pthread_mutex_unlock(maker->measuring);
        TARE_TRY(status);
    }
    out->plan = found.plans[fastest];
    return TARE_OK;
}

tare_status tare_conv_plan_choose(tare_conv_plan *out, const tare_conv_maker *maker,
                                  const tare_conv_spec *spec, tare_error *err) {
    /* What has to be compiled is worth it only where time is spent on measuring anyway. */
    const bool can_fuse = tare_conv_spec_has_epilogue(spec) &&
                          (maker->device->tune || tare_conv_graph_is_ready(spec));
    tare_status status = TARE_UNSUPPORTED;

    /* Whatever cuDNN has against the whole graph, the convolution alone may still do. */
    for (int attempt = can_fuse ? 0 : 1;
         attempt < 2 && status != TARE_OK && status != TARE_OUT_OF_MEMORY; attempt++) {
        memset(out, 0, sizeof *out);
        out->scope = tare_cudnn_scope_of(maker->device->api, maker->handle);
        out->fused = attempt == 0;
        status = choose(out, maker, spec, err);
        if (status != TARE_OK) {
            tare_conv_plan_release(out);
        }
    }
    return status;
}

void tare_conv_plan_release(tare_conv_plan *plan) {
    tare_cudnn_scope_release(&plan->scope);
    memset(&plan->plan, 0, sizeof plan->plan);
}
