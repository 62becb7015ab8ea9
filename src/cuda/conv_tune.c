/* SPDX-License-Identifier: Apache-2.0 */
/** Measuring plans on memory of their own; see cuda/conv_plan.h. */
#include <stdlib.h>
#include <string.h>

#include "cuda/conv_plan.h"

#define WARM_RUNS 1
#define RUNS      3

/** What the runs of one convolution work with. */
typedef struct laboratory {
    const tare_cuda_api *api;
    cudnnHandle_t handle;
    cudaStream_t stream;
    cudaEvent_t begin, end;
    size_t count;
    int64_t ids[TARE_CONV_MAX_IDS];
    void *memory[TARE_CONV_MAX_IDS];
    void *workspace;
} laboratory;

static tare_status check_cudnn(const laboratory *lab, cudnnStatus_t status, const char *what,
                               tare_error *err) {
    return status == CUDNN_STATUS_SUCCESS ? TARE_OK : tare_cudnn_fail(err, lab->api, status, what);
}

/* Zeroed, so that no number is a denormal or a NaN. */
static tare_status allocate(void **out, laboratory *lab, size_t bytes, tare_error *err) {
    TARE_TRY(tare_cuda_check(lab->api, lab->api->cudaMalloc(out, bytes),
                             "memory for measuring a convolution", err));
    return tare_cuda_check(lab->api, lab->api->cudaMemsetAsync(*out, 0, bytes, lab->stream),
                           "clearing memory", err);
}

static tare_status add_tensor(laboratory *lab, int64_t id, size_t bytes, tare_error *err) {
    lab->ids[lab->count] = id;
    TARE_TRY(allocate(&lab->memory[lab->count], lab, bytes, err));
    lab->count++;
    return TARE_OK;
}

static tare_status add_tensors(laboratory *lab, const tare_conv_spec *spec, bool fused,
                               tare_error *err) {
    const size_t element = tare_dtype_bytes(spec->storage);
    const size_t output = (size_t)tare_conv_spec_count(spec) * element;
    const int64_t *input = spec->transposed ? spec->y : spec->x;
    tare_conv_constants constants;
    TARE_TRY(add_tensor(lab, TARE_CONV_ID_INPUT,
                        (size_t)tare_dims_count(spec->rank, input) * element, err));
    TARE_TRY(add_tensor(lab, TARE_CONV_ID_WEIGHTS, tare_conv_weight_bytes(spec), err));
    TARE_TRY(add_tensor(lab, TARE_CONV_ID_OUTPUT, output, err));
    if (!fused) {
        return TARE_OK;
    }
    if (spec->bias) {
        TARE_TRY(add_tensor(lab, TARE_CONV_ID_BIAS, (size_t)tare_conv_spec_channels(spec) * element,
                            err));
    }
    for (size_t i = 0; i < spec->epilogue_count; i++) {
        if (spec->epilogues[i].kind == TARE_EPILOGUE_ADD) {
            TARE_TRY(add_tensor(lab, TARE_CONV_ID_RESIDUAL, output, err));
        }
    }
    tare_conv_graph_constants(&constants, spec);
    for (size_t i = 0; i < constants.count; i++) {
        TARE_TRY(add_tensor(lab, TARE_CONV_ID_CONSTANT + (int64_t)i, sizeof(float), err));
    }
    return TARE_OK;
}

static tare_status open_laboratory(laboratory *lab, const tare_conv_spec *spec, bool fused,
                                   size_t workspace, tare_error *err) {
    const tare_cuda_api *api = lab->api;
    TARE_TRY(tare_cuda_check(
        api, api->cudaStreamCreateWithFlags(&lab->stream, cudaStreamNonBlocking), "stream", err));
    TARE_TRY(tare_cuda_check(api, api->cudaEventCreateWithFlags(&lab->begin, cudaEventDefault),
                             "event", err));
    TARE_TRY(tare_cuda_check(api, api->cudaEventCreateWithFlags(&lab->end, cudaEventDefault),
                             "event", err));
    TARE_TRY(add_tensors(lab, spec, fused, err));
    if (workspace > 0) {
        TARE_TRY(allocate(&lab->workspace, lab, workspace, err));
    }
    return check_cudnn(lab, api->cudnnSetStream(lab->handle, lab->stream), "setting the stream",
                       err);
}

static void close_laboratory(laboratory *lab) {
    const tare_cuda_api *api = lab->api;
    if (lab->stream != NULL) {
        (void)api->cudaStreamSynchronize(lab->stream);
        (void)api->cudnnSetStream(lab->handle, NULL);
    }
    for (size_t i = 0; i < TARE_CONV_MAX_IDS; i++) {
        if (lab->memory[i] != NULL) {
            (void)api->cudaFree(lab->memory[i]);
        }
    }
    if (lab->workspace != NULL) {
        (void)api->cudaFree(lab->workspace);
    }
    if (lab->begin != NULL) {
        (void)api->cudaEventDestroy(lab->begin);
    }
    if (lab->end != NULL) {
        (void)api->cudaEventDestroy(lab->end);
    }
    if (lab->stream != NULL) {
        (void)api->cudaStreamDestroy(lab->stream);
    }
}

static tare_status run_once(float *milliseconds, laboratory *lab, const tare_cudnn_plan *plan,
                            tare_error *err) {
    const tare_cuda_api *api = lab->api;
    const tare_cudnn_binding binding = {lab->count, lab->ids, lab->memory, lab->workspace};
    TARE_TRY(tare_cuda_check(api, api->cudaEventRecord(lab->begin, lab->stream), "event", err));
    TARE_TRY(tare_cudnn_plan_execute(api, lab->handle, plan, &binding, err));
    TARE_TRY(tare_cuda_check(api, api->cudaEventRecord(lab->end, lab->stream), "event", err));
    TARE_TRY(
        tare_cuda_check(api, api->cudaEventSynchronize(lab->end), "measuring a convolution", err));
    return tare_cuda_check(api, api->cudaEventElapsedTime(milliseconds, lab->begin, lab->end),
                           "elapsed time", err);
}

static int compare_times(const void *a, const void *b) {
    const float x = *(const float *)a, y = *(const float *)b;
    return (x > y) - (x < y);
}

static tare_status median_time(float *out, laboratory *lab, const tare_cudnn_plan *plan,
                               tare_error *err) {
    float times[RUNS];
    for (int i = 0; i < WARM_RUNS; i++) {
        TARE_TRY(run_once(&times[0], lab, plan, err));
    }
    for (int i = 0; i < RUNS; i++) {
        TARE_TRY(run_once(&times[i], lab, plan, err));
    }
    qsort(times, RUNS, sizeof times[0], compare_times);
    *out = times[RUNS / 2];
    return TARE_OK;
}

tare_status tare_conv_tune(size_t *fastest, const tare_conv_maker *maker,
                           const tare_conv_spec *spec, const tare_conv_candidates *candidates,
                           tare_error *err) {
    const tare_cudnn_plan *plans = candidates->plans;
    laboratory lab = {.api = maker->device->api, .handle = maker->handle};
    float best = 0.0f;
    size_t workspace = 0;
    tare_status status;

    for (size_t i = 0; i < candidates->count; i++) {
        workspace = plans[i].workspace_bytes > workspace ? plans[i].workspace_bytes : workspace;
    }
    *fastest = 0;
    TARE_TRY_DONE(status, open_laboratory(&lab, spec, candidates->fused, workspace, err));
    for (size_t i = 0; i < candidates->count; i++) {
        float time = 0.0f;
        TARE_TRY_DONE(status, median_time(&time, &lab, &plans[i], err));
        if (i == 0 || time < best) {
            best = time;
            *fastest = i;
        }
    }
done:
    close_laboratory(&lab);
    if (status == TARE_OUT_OF_MEMORY) {
        *fastest = 0;
        return TARE_OK;
    }
    return status;
}
