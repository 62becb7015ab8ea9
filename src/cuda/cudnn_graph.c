/* SPDX-License-Identifier: Apache-2.0 */
/** Descriptors of cuDNN; see the header. */
#include "cuda/cudnn_graph.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

#define CUDNN_TEXT_BYTES 200

static tare_status status_of(cudnnStatus_t status) {
    switch (status) {
    case CUDNN_STATUS_INTERNAL_ERROR_HOST_ALLOCATION_FAILED:
    case CUDNN_STATUS_INTERNAL_ERROR_DEVICE_ALLOCATION_FAILED:
        return TARE_OUT_OF_MEMORY;
    case CUDNN_STATUS_INTERNAL_ERROR_COMPILATION_FAILED:
        return TARE_UNSUPPORTED;
    default:
        return CUDNN_STATUS_CATEGORY((int)status) == CUDNN_STATUS_NOT_SUPPORTED ? TARE_UNSUPPORTED
                                                                                : TARE_BACKEND;
    }
}

tare_status tare_cudnn_fail(tare_error *err, const tare_cuda_api *api, cudnnStatus_t status,
                            const char *what) {
    char last[CUDNN_TEXT_BYTES] = "";
    api->cudnnGetLastErrorString(last, sizeof last);
    last[sizeof last - 1] = '\0';
    return tare_fail(err, status_of(status), "%s: %s%s%s", what, api->cudnnGetErrorString(status),
                     last[0] != '\0' ? ", " : "", last);
}

tare_cudnn_scope tare_cudnn_scope_of(const tare_cuda_api *api, cudnnHandle_t handle) {
    const tare_cudnn_scope scope = {.api = api, .handle = handle};
    return scope;
}

void tare_cudnn_scope_release(tare_cudnn_scope *scope) {
    while (scope->count > 0) {
        (void)scope->api->cudnnBackendDestroyDescriptor(scope->descriptors[--scope->count]);
    }
    free(scope->descriptors);
    scope->descriptors = NULL;
    scope->capacity = 0;
}

static tare_status create(cudnnBackendDescriptor_t *out, tare_cudnn_scope *scope,
                          cudnnBackendDescriptorType_t type, const char *what, tare_error *err) {
    cudnnStatus_t status;
    if (scope->count == scope->capacity) {
        const size_t capacity = scope->capacity == 0 ? 16 : scope->capacity * 2;
        cudnnBackendDescriptor_t *grown =
            realloc(scope->descriptors, capacity * sizeof(cudnnBackendDescriptor_t));
        if (grown == NULL) {
            return tare_fail_memory(err, capacity * sizeof(cudnnBackendDescriptor_t), what);
        }
        scope->descriptors = grown;
        scope->capacity = capacity;
    }
    status = scope->api->cudnnBackendCreateDescriptor(type, out);
    if (status != CUDNN_STATUS_SUCCESS) {
        return tare_cudnn_fail(err, scope->api, status, what);
    }
    scope->descriptors[scope->count++] = *out;
    return TARE_OK;
}

/** One attribute to set; lists of them end with a count of 0. */
typedef struct attribute {
    cudnnBackendAttributeName_t name;
    cudnnBackendAttributeType_t type;
    int64_t count;
    const void *values;
} attribute;

static tare_status set_and_finalize(const tare_cudnn_scope *scope,
                                    cudnnBackendDescriptor_t descriptor,
                                    const attribute *attributes, const char *what,
                                    tare_error *err) {
    for (const attribute *a = attributes; a->count > 0; a++) {
        const cudnnStatus_t status =
            scope->api->cudnnBackendSetAttribute(descriptor, a->name, a->type, a->count, a->values);
        /* Handles are deprecated: a version that refuses them does without, and one that wants them
         * says so when it finalizes. */
        if (status != CUDNN_STATUS_SUCCESS && a->type != CUDNN_TYPE_HANDLE) {
            tare_status code = tare_cudnn_fail(err, scope->api, status, what);
            tare_error_prepend(err, "attribute %d of ", (int)a->name);
            return code;
        }
    }
    const cudnnStatus_t status = scope->api->cudnnBackendFinalize(descriptor);
    return status == CUDNN_STATUS_SUCCESS ? TARE_OK
                                          : tare_cudnn_fail(err, scope->api, status, what);
}

static tare_status make(cudnnBackendDescriptor_t *out, tare_cudnn_scope *scope,
                        cudnnBackendDescriptorType_t type, const attribute *attributes,
                        const char *what, tare_error *err) {
    TARE_TRY(create(out, scope, type, what, err));
    return set_and_finalize(scope, *out, attributes, what, err);
}

/* Of a dense tensor with the channels (axis 1) innermost. */
static void innermost_channels(int64_t *strides, const int64_t *dims, int rank) {
    int64_t step = dims[1];
    strides[1] = 1;
    for (int axis = rank - 1; axis > 1; axis--) {
        strides[axis] = step;
        step *= dims[axis];
    }
    strides[0] = step;
}

tare_status tare_cudnn_tensor_new(cudnnBackendDescriptor_t *out, tare_cudnn_scope *scope,
                                  const tare_cudnn_tensor *tensor, tare_error *err) {
    const int64_t alignment = TARE_CUDNN_ALIGNMENT;
    int64_t strides[TARE_CUDNN_RANK];
    innermost_channels(strides, tensor->dims, tensor->rank);
    const attribute attributes[] = {
        {CUDNN_ATTR_TENSOR_UNIQUE_ID, CUDNN_TYPE_INT64, 1, &tensor->id},
        {CUDNN_ATTR_TENSOR_DATA_TYPE, CUDNN_TYPE_DATA_TYPE, 1, &tensor->type},
        {CUDNN_ATTR_TENSOR_BYTE_ALIGNMENT, CUDNN_TYPE_INT64, 1, &alignment},
        {CUDNN_ATTR_TENSOR_DIMENSIONS, CUDNN_TYPE_INT64, tensor->rank, tensor->dims},
        {CUDNN_ATTR_TENSOR_STRIDES, CUDNN_TYPE_INT64, tensor->rank, strides},
        {CUDNN_ATTR_TENSOR_IS_VIRTUAL, CUDNN_TYPE_BOOLEAN, 1, &tensor->is_virtual},
        {0}};
    return make(out, scope, CUDNN_BACKEND_TENSOR_DESCRIPTOR, attributes, "tensor descriptor", err);
}

static tare_status make_window(cudnnBackendDescriptor_t *out, tare_cudnn_scope *scope,
                               const tare_cudnn_convolution *convolution, tare_error *err) {
    const cudnnDataType_t type = CUDNN_DATA_FLOAT;
    const cudnnConvolutionMode_t mode = CUDNN_CROSS_CORRELATION;
    const int64_t rank = convolution->rank;
    const attribute attributes[] = {
        {CUDNN_ATTR_CONVOLUTION_COMP_TYPE, CUDNN_TYPE_DATA_TYPE, 1, &type},
        {CUDNN_ATTR_CONVOLUTION_CONV_MODE, CUDNN_TYPE_CONVOLUTION_MODE, 1, &mode},
        {CUDNN_ATTR_CONVOLUTION_SPATIAL_DIMS, CUDNN_TYPE_INT64, 1, &rank},
        {CUDNN_ATTR_CONVOLUTION_DILATIONS, CUDNN_TYPE_INT64, rank, convolution->dilation},
        {CUDNN_ATTR_CONVOLUTION_FILTER_STRIDES, CUDNN_TYPE_INT64, rank, convolution->stride},
        {CUDNN_ATTR_CONVOLUTION_PRE_PADDINGS, CUDNN_TYPE_INT64, rank, convolution->pad_begin},
        {CUDNN_ATTR_CONVOLUTION_POST_PADDINGS, CUDNN_TYPE_INT64, rank, convolution->pad_end},
        {0}};
    return make(out, scope, CUDNN_BACKEND_CONVOLUTION_DESCRIPTOR, attributes,
                "convolution descriptor", err);
}

/** The same attribute has another number in each kind of convolution. */
typedef struct convolution_names {
    cudnnBackendDescriptorType_t type;
    cudnnBackendAttributeName_t window, x, w, y, alpha, beta;
} convolution_names;

static const convolution_names names_of[] = {
    {CUDNN_BACKEND_OPERATION_CONVOLUTION_FORWARD_DESCRIPTOR,
     CUDNN_ATTR_OPERATION_CONVOLUTION_FORWARD_CONV_DESC, CUDNN_ATTR_OPERATION_CONVOLUTION_FORWARD_X,
     CUDNN_ATTR_OPERATION_CONVOLUTION_FORWARD_W, CUDNN_ATTR_OPERATION_CONVOLUTION_FORWARD_Y,
     CUDNN_ATTR_OPERATION_CONVOLUTION_FORWARD_ALPHA, CUDNN_ATTR_OPERATION_CONVOLUTION_FORWARD_BETA},
    {CUDNN_BACKEND_OPERATION_CONVOLUTION_BACKWARD_DATA_DESCRIPTOR,
     CUDNN_ATTR_OPERATION_CONVOLUTION_BWD_DATA_CONV_DESC,
     CUDNN_ATTR_OPERATION_CONVOLUTION_BWD_DATA_DX, CUDNN_ATTR_OPERATION_CONVOLUTION_BWD_DATA_W,
     CUDNN_ATTR_OPERATION_CONVOLUTION_BWD_DATA_DY, CUDNN_ATTR_OPERATION_CONVOLUTION_BWD_DATA_ALPHA,
     CUDNN_ATTR_OPERATION_CONVOLUTION_BWD_DATA_BETA}};

tare_status tare_cudnn_convolution_new(cudnnBackendDescriptor_t *out, tare_cudnn_scope *scope,
                                       const tare_cudnn_convolution *convolution, tare_error *err) {
    const convolution_names *names = &names_of[convolution->backward_data ? 1 : 0];
    const float alpha = 1.0f, beta = 0.0f;
    cudnnBackendDescriptor_t window;
    TARE_TRY(make_window(&window, scope, convolution, err));
    const attribute attributes[] = {{names->window, CUDNN_TYPE_BACKEND_DESCRIPTOR, 1, &window},
                                    {names->x, CUDNN_TYPE_BACKEND_DESCRIPTOR, 1, &convolution->x},
                                    {names->w, CUDNN_TYPE_BACKEND_DESCRIPTOR, 1, &convolution->w},
                                    {names->y, CUDNN_TYPE_BACKEND_DESCRIPTOR, 1, &convolution->y},
                                    {names->alpha, CUDNN_TYPE_FLOAT, 1, &alpha},
                                    {names->beta, CUDNN_TYPE_FLOAT, 1, &beta},
                                    {0}};
    return make(out, scope, names->type, attributes,
                convolution->backward_data ? "backward convolution operation"
                                           : "convolution operation",
                err);
}

static tare_status make_function(cudnnBackendDescriptor_t *out, tare_cudnn_scope *scope,
                                 const tare_cudnn_pointwise *pointwise, tare_error *err) {
    const cudnnDataType_t type = CUDNN_DATA_FLOAT;
    const cudnnNanPropagation_t nan = CUDNN_PROPAGATE_NAN;
    attribute attributes[7] = {
        {CUDNN_ATTR_POINTWISE_MODE, CUDNN_TYPE_POINTWISE_MODE, 1, &pointwise->mode},
        {CUDNN_ATTR_POINTWISE_MATH_PREC, CUDNN_TYPE_DATA_TYPE, 1, &type}};
    size_t count = 2;
    if (pointwise->mode == CUDNN_POINTWISE_RELU_FWD) {
        /* By itself cuDNN may make a NaN the lower bound, and nobody would learn of it. */
        attributes[count++] =
            (attribute){CUDNN_ATTR_POINTWISE_NAN_PROPAGATION, CUDNN_TYPE_NAN_PROPOGATION, 1, &nan};
        attributes[count++] = (attribute){CUDNN_ATTR_POINTWISE_RELU_LOWER_CLIP, CUDNN_TYPE_DOUBLE,
                                          1, &pointwise->lower};
        attributes[count++] = (attribute){CUDNN_ATTR_POINTWISE_RELU_LOWER_CLIP_SLOPE,
                                          CUDNN_TYPE_DOUBLE, 1, &pointwise->slope};
        if (isfinite(pointwise->upper)) {
            attributes[count++] = (attribute){CUDNN_ATTR_POINTWISE_RELU_UPPER_CLIP,
                                              CUDNN_TYPE_DOUBLE, 1, &pointwise->upper};
        }
    }
    return make(out, scope, CUDNN_BACKEND_POINTWISE_DESCRIPTOR, attributes, "pointwise descriptor",
                err);
}

tare_status tare_cudnn_pointwise_new(cudnnBackendDescriptor_t *out, tare_cudnn_scope *scope,
                                     const tare_cudnn_pointwise *pointwise, tare_error *err) {
    cudnnBackendDescriptor_t function;
    TARE_TRY(make_function(&function, scope, pointwise, err));
    const attribute attributes[] = {
        {CUDNN_ATTR_OPERATION_POINTWISE_PW_DESCRIPTOR, CUDNN_TYPE_BACKEND_DESCRIPTOR, 1, &function},
        {CUDNN_ATTR_OPERATION_POINTWISE_XDESC, CUDNN_TYPE_BACKEND_DESCRIPTOR, 1, &pointwise->x},
        {CUDNN_ATTR_OPERATION_POINTWISE_YDESC, CUDNN_TYPE_BACKEND_DESCRIPTOR, 1, &pointwise->y},
        {CUDNN_ATTR_OPERATION_POINTWISE_BDESC, CUDNN_TYPE_BACKEND_DESCRIPTOR,
         pointwise->b != NULL ? 1 : 0, &pointwise->b},
        {0}};
    return make(out, scope, CUDNN_BACKEND_OPERATION_POINTWISE_DESCRIPTOR, attributes,
                "pointwise operation", err);
}

tare_status tare_cudnn_graph_new(cudnnBackendDescriptor_t *out, tare_cudnn_scope *scope,
                                 const cudnnBackendDescriptor_t *operations, size_t count,
                                 tare_error *err) {
    const attribute attributes[] = {
        {CUDNN_ATTR_OPERATIONGRAPH_OPS, CUDNN_TYPE_BACKEND_DESCRIPTOR, (int64_t)count, operations},
        {CUDNN_ATTR_OPERATIONGRAPH_HANDLE, CUDNN_TYPE_HANDLE, scope->handle != NULL ? 1 : 0,
         &scope->handle},
        {0}};
    return make(out, scope, CUDNN_BACKEND_OPERATIONGRAPH_DESCRIPTOR, attributes, "operation graph",
                err);
}

/* `capacity` values at most; *count is how many there are, which may be more. */
static tare_status get(int64_t *count, const tare_cudnn_scope *scope,
                       cudnnBackendDescriptor_t descriptor, const attribute *what, void *values,
                       tare_error *err) {
    const cudnnStatus_t status = scope->api->cudnnBackendGetAttribute(
        descriptor, what->name, what->type, what->count, count, values);
    if (status != CUDNN_STATUS_SUCCESS) {
        tare_status code = tare_cudnn_fail(err, scope->api, status, "cuDNN");
        tare_error_prepend(err, "reading attribute %d: ", (int)what->name);
        return code;
    }
    return TARE_OK;
}

tare_status tare_cudnn_configs_find(tare_cudnn_configs *out, tare_cudnn_scope *scope,
                                    cudnnBackendDescriptor_t graph, cudnnBackendHeurMode_t mode,
                                    tare_error *err) {
    const attribute attributes[] = {
        {CUDNN_ATTR_ENGINEHEUR_OPERATION_GRAPH, CUDNN_TYPE_BACKEND_DESCRIPTOR, 1, &graph},
        {CUDNN_ATTR_ENGINEHEUR_MODE, CUDNN_TYPE_HEUR_MODE, 1, &mode},
        {0}};
    attribute results = {CUDNN_ATTR_ENGINEHEUR_RESULTS, CUDNN_TYPE_BACKEND_DESCRIPTOR, 0, NULL};
    cudnnBackendDescriptor_t heuristics;
    int64_t count = 0;

    out->count = 0;
    TARE_TRY(make(&heuristics, scope, CUDNN_BACKEND_ENGINEHEUR_DESCRIPTOR, attributes,
                  "engine heuristics", err));
    TARE_TRY(get(&count, scope, heuristics, &results, NULL, err));
    results.count = count < TARE_CUDNN_MAX_CONFIGS ? count : TARE_CUDNN_MAX_CONFIGS;
    if (results.count <= 0) {
        return TARE_OK;
    }
    for (int64_t i = 0; i < results.count; i++) {
        TARE_TRY(create(&out->configs[i], scope, CUDNN_BACKEND_ENGINECFG_DESCRIPTOR,
                        "engine configuration", err));
    }
    TARE_TRY(get(&count, scope, heuristics, &results, out->configs, err));
    out->count = (size_t)(count < results.count ? (count < 0 ? 0 : count) : results.count);
    return TARE_OK;
}

tare_status tare_cudnn_config_notes(uint32_t *out, tare_cudnn_scope *scope,
                                    cudnnBackendDescriptor_t config, tare_error *err) {
    const attribute engine_of = {CUDNN_ATTR_ENGINECFG_ENGINE, CUDNN_TYPE_BACKEND_DESCRIPTOR, 1,
                                 NULL};
    cudnnBackendNumericalNote_t notes[64];
    const attribute notes_of = {CUDNN_ATTR_ENGINE_NUMERICAL_NOTE, CUDNN_TYPE_NUMERICAL_NOTE,
                                CUDNN_NUMERICAL_NOTE_TYPE_COUNT, NULL};
    cudnnBackendDescriptor_t engine;
    int64_t count = 0;

    *out = 0;
    TARE_TRY(create(&engine, scope, CUDNN_BACKEND_ENGINE_DESCRIPTOR, "engine", err));
    TARE_TRY(get(&count, scope, config, &engine_of, &engine, err));
    TARE_TRY(get(&count, scope, engine, &notes_of, notes, err));
    for (int64_t i = 0; i < count && i < CUDNN_NUMERICAL_NOTE_TYPE_COUNT; i++) {
        *out |= (int)notes[i] < 32 ? (uint32_t)1 << (int)notes[i] : 0;
    }
    return TARE_OK;
}

static tare_status measure(tare_cudnn_plan *plan, const tare_cudnn_scope *scope, tare_error *err) {
    const attribute workspace = {CUDNN_ATTR_EXECUTION_PLAN_WORKSPACE_SIZE, CUDNN_TYPE_INT64, 1,
                                 NULL};
    int64_t bytes = 0, count = 0;
    TARE_TRY(get(&count, scope, plan->descriptor, &workspace, &bytes, err));
    if (count != 1 || bytes < 0) {
        return tare_fail(err, TARE_BACKEND, "execution plan: workspace of %lld bytes",
                         (long long)bytes);
    }
    plan->workspace_bytes = (size_t)bytes;
    return TARE_OK;
}

tare_status tare_cudnn_plan_new(tare_cudnn_plan *out, tare_cudnn_scope *scope,
                                cudnnBackendDescriptor_t config, tare_error *err) {
    const attribute attributes[] = {
        {CUDNN_ATTR_EXECUTION_PLAN_ENGINE_CONFIG, CUDNN_TYPE_BACKEND_DESCRIPTOR, 1, &config},
        {CUDNN_ATTR_EXECUTION_PLAN_HANDLE, CUDNN_TYPE_HANDLE, 1, &scope->handle},
        {0}};
    TARE_TRY(make(&out->descriptor, scope, CUDNN_BACKEND_EXECUTION_PLAN_DESCRIPTOR, attributes,
                  "execution plan", err));
    return measure(out, scope, err);
}

tare_status tare_cudnn_plan_write(tare_text *out, const tare_cudnn_scope *scope,
                                  const tare_cudnn_plan *plan, tare_error *err) {
    attribute json = {CUDNN_ATTR_EXECUTION_PLAN_JSON_REPRESENTATION, CUDNN_TYPE_CHAR, 0, NULL};
    int64_t count = 0;
    char *text = NULL;
    tare_status status;

    TARE_TRY(get(&count, scope, plan->descriptor, &json, NULL, err));
    if (count <= 0 || count > INT32_MAX) {
        return tare_fail(err, TARE_UNSUPPORTED, "execution plan: no text of it");
    }
    text = calloc((size_t)count + 1, 1);
    if (text == NULL) {
        return tare_fail_memory(err, (size_t)count + 1, "the text of an execution plan");
    }
    json.count = count;
    TARE_TRY_DONE(status, get(&count, scope, plan->descriptor, &json, text, err));
    tare_text_add(out, "%s", text);
    status = tare_text_check(out, err);
done:
    free(text);
    return status;
}

tare_status tare_cudnn_plan_read(tare_cudnn_plan *out, tare_cudnn_scope *scope, const char *text,
                                 size_t length, tare_error *err) {
    /* Ended by a NUL, in case cuDNN takes it for a string. */
    char *copy = malloc(length + 1);
    tare_status status;
    if (copy == NULL) {
        return tare_fail_memory(err, length + 1, "the text of an execution plan");
    }
    memcpy(copy, text, length);
    copy[length] = '\0';
    const attribute attributes[] = {
        {CUDNN_ATTR_EXECUTION_PLAN_JSON_REPRESENTATION, CUDNN_TYPE_CHAR, (int64_t)length, copy},
        {CUDNN_ATTR_EXECUTION_PLAN_HANDLE, CUDNN_TYPE_HANDLE, 1, &scope->handle},
        {0}};
    status = make(&out->descriptor, scope, CUDNN_BACKEND_EXECUTION_PLAN_DESCRIPTOR, attributes,
                  "execution plan from its text", err);
    free(copy);
    return status == TARE_OK ? measure(out, scope, err) : status;
}

tare_status tare_cudnn_plan_execute(const tare_cuda_api *api, cudnnHandle_t handle,
                                    const tare_cudnn_plan *plan, const tare_cudnn_binding *binding,
                                    tare_error *err) {
    tare_cudnn_scope scope = tare_cudnn_scope_of(api, handle);
    const attribute attributes[] = {
        {CUDNN_ATTR_VARIANT_PACK_UNIQUE_IDS, CUDNN_TYPE_INT64, (int64_t)binding->count,
         binding->ids},
        {CUDNN_ATTR_VARIANT_PACK_DATA_POINTERS, CUDNN_TYPE_VOID_PTR, (int64_t)binding->count,
         binding->pointers},
        {CUDNN_ATTR_VARIANT_PACK_WORKSPACE, CUDNN_TYPE_VOID_PTR, 1, &binding->workspace},
        {0}};
    cudnnBackendDescriptor_t pack;
    tare_status status;

    TARE_TRY_DONE(status, make(&pack, &scope, CUDNN_BACKEND_VARIANT_PACK_DESCRIPTOR, attributes,
                               "variant pack", err));
    const cudnnStatus_t said = api->cudnnBackendExecute(handle, plan->descriptor, pack);
    if (said != CUDNN_STATUS_SUCCESS) {
        status = tare_cudnn_fail(err, api, said, "execution plan");
    }
done:
    tare_cudnn_scope_release(&scope);
    return status;
}
