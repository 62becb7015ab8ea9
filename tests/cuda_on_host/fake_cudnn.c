/* SPDX-License-Identifier: Apache-2.0 */
/** State, handles and descriptors of the fake of cuDNN; see the header. */
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "fake_cudnn_parts.h"

/* ---- state ---- */

static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;
static fake_cudnn_settings settings;
static fake_cudnn_counts counts;
static _Thread_local char last_error[200];

void fake_cudnn_set(fake_cudnn_settings wanted) {
    pthread_mutex_lock(&lock);
    settings = wanted;
    pthread_mutex_unlock(&lock);
}

fake_cudnn_counts fake_cudnn_count(void) {
    pthread_mutex_lock(&lock);
    const fake_cudnn_counts now = counts;
    pthread_mutex_unlock(&lock);
    return now;
}

static void add(size_t *counter, int by) {
    pthread_mutex_lock(&lock);
    *counter += (size_t)by;
    pthread_mutex_unlock(&lock);
}

cudnnStatus_t fake_fail(cudnnStatus_t status, const char *what) {
    (void)snprintf(last_error, sizeof last_error, "fake: %s", what);
    return status;
}

size_t cudnnGetVersion(void) {
    return 91900;
}

const char *cudnnGetErrorString(cudnnStatus_t status) {
    switch (status) {
    case CUDNN_STATUS_SUCCESS:
        return "CUDNN_STATUS_SUCCESS";
    case CUDNN_STATUS_BAD_PARAM:
        return "CUDNN_STATUS_BAD_PARAM";
    case CUDNN_STATUS_BAD_PARAM_NOT_FINALIZED:
        return "CUDNN_STATUS_BAD_PARAM_NOT_FINALIZED";
    case CUDNN_STATUS_NOT_SUPPORTED:
        return "CUDNN_STATUS_NOT_SUPPORTED";
    case CUDNN_STATUS_EXECUTION_FAILED:
        return "CUDNN_STATUS_EXECUTION_FAILED";
    default:
        return "CUDNN_STATUS of another kind";
    }
}

void cudnnGetLastErrorString(char *message, size_t max_size) {
    (void)snprintf(message, max_size, "%s", last_error);
    last_error[0] = '\0';
}

void fake_count_plan(void) {
    add(&counts.plans, 1);
}

void fake_count_run(void) {
    add(&counts.runs, 1);
}

void fake_plan_lives(const fake_descriptor *plan, int change) {
    const fake_attribute *handle = fake_find(plan, CUDNN_ATTR_EXECUTION_PLAN_HANDLE);
    if (handle != NULL) {
        pthread_mutex_lock(&lock);
        (*(const cudnnHandle_t *)handle->values)->plans += change;
        pthread_mutex_unlock(&lock);
    }
}

fake_cudnn_settings fake_cudnn_now(void) {
    pthread_mutex_lock(&lock);
    const fake_cudnn_settings now = settings;
    pthread_mutex_unlock(&lock);
    return now;
}

/* ---- handles ---- */

cudnnStatus_t cudnnCreate(cudnnHandle_t *handle) {
    *handle = calloc(1, sizeof(struct cudnnContext));
    if (*handle == NULL) {
        return fake_fail(CUDNN_STATUS_INTERNAL_ERROR_HOST_ALLOCATION_FAILED, "handle");
    }
    add(&counts.handles, 1);
    return CUDNN_STATUS_SUCCESS;
}

cudnnStatus_t cudnnDestroy(cudnnHandle_t handle) {
    if (handle == NULL) {
        return fake_fail(CUDNN_STATUS_BAD_PARAM_NULL_POINTER, "no handle");
    }
    if (handle->plans > 0) {
        /* It stays, and shows as not destroyed. */
        return fake_fail(CUDNN_STATUS_BAD_PARAM, "plans that live on");
    }
    free(handle);
    add(&counts.handles, -1);
    return CUDNN_STATUS_SUCCESS;
}

cudnnStatus_t cudnnSetStream(cudnnHandle_t handle, cudaStream_t stream) {
    if (handle == NULL) {
        return fake_fail(CUDNN_STATUS_BAD_PARAM_NULL_POINTER, "no handle");
    }
    handle->stream = stream;
    return CUDNN_STATUS_SUCCESS;
}

/* ---- descriptors ---- */

/** What an attribute must be. */
typedef struct rule {
    cudnnBackendDescriptorType_t of;
    cudnnBackendAttributeName_t name;
    cudnnBackendAttributeType_t type;
    int64_t least, most;
    bool required;
    cudnnBackendDescriptorType_t holds; /* for descriptors: of this type; operations are any */
} rule;

static const rule rules[] = {
    {TENSOR, CUDNN_ATTR_TENSOR_UNIQUE_ID, CUDNN_TYPE_INT64, 1, 1, true, 0},
    {TENSOR, CUDNN_ATTR_TENSOR_DATA_TYPE, CUDNN_TYPE_DATA_TYPE, 1, 1, true, 0},
    {TENSOR, CUDNN_ATTR_TENSOR_BYTE_ALIGNMENT, CUDNN_TYPE_INT64, 1, 1, true, 0},
    {TENSOR, CUDNN_ATTR_TENSOR_DIMENSIONS, CUDNN_TYPE_INT64, 3, FAKE_RANK, true, 0},
    {TENSOR, CUDNN_ATTR_TENSOR_STRIDES, CUDNN_TYPE_INT64, 3, FAKE_RANK, true, 0},
    {TENSOR, CUDNN_ATTR_TENSOR_IS_VIRTUAL, CUDNN_TYPE_BOOLEAN, 1, 1, false, 0},
    {WINDOW, CUDNN_ATTR_CONVOLUTION_COMP_TYPE, CUDNN_TYPE_DATA_TYPE, 1, 1, true, 0},
    {WINDOW, CUDNN_ATTR_CONVOLUTION_CONV_MODE, CUDNN_TYPE_CONVOLUTION_MODE, 1, 1, true, 0},
    {WINDOW, CUDNN_ATTR_CONVOLUTION_SPATIAL_DIMS, CUDNN_TYPE_INT64, 1, 1, true, 0},
    {WINDOW, CUDNN_ATTR_CONVOLUTION_DILATIONS, CUDNN_TYPE_INT64, 1, 3, true, 0},
    {WINDOW, CUDNN_ATTR_CONVOLUTION_FILTER_STRIDES, CUDNN_TYPE_INT64, 1, 3, true, 0},
    {WINDOW, CUDNN_ATTR_CONVOLUTION_PRE_PADDINGS, CUDNN_TYPE_INT64, 1, 3, true, 0},
    {WINDOW, CUDNN_ATTR_CONVOLUTION_POST_PADDINGS, CUDNN_TYPE_INT64, 1, 3, true, 0},
    {FUNCTION, CUDNN_ATTR_POINTWISE_MODE, CUDNN_TYPE_POINTWISE_MODE, 1, 1, true, 0},
    {FUNCTION, CUDNN_ATTR_POINTWISE_MATH_PREC, CUDNN_TYPE_DATA_TYPE, 1, 1, true, 0},
    {FUNCTION, CUDNN_ATTR_POINTWISE_NAN_PROPAGATION, CUDNN_TYPE_NAN_PROPOGATION, 1, 1, false, 0},
    {FUNCTION, CUDNN_ATTR_POINTWISE_RELU_LOWER_CLIP, CUDNN_TYPE_DOUBLE, 1, 1, false, 0},
    {FUNCTION, CUDNN_ATTR_POINTWISE_RELU_UPPER_CLIP, CUDNN_TYPE_DOUBLE, 1, 1, false, 0},
    {FUNCTION, CUDNN_ATTR_POINTWISE_RELU_LOWER_CLIP_SLOPE, CUDNN_TYPE_DOUBLE, 1, 1, false, 0},
    {OPERATION_FORWARD, CUDNN_ATTR_OPERATION_CONVOLUTION_FORWARD_CONV_DESC, DESCRIPTOR, 1, 1, true,
     WINDOW},
    {OPERATION_FORWARD, CUDNN_ATTR_OPERATION_CONVOLUTION_FORWARD_X, DESCRIPTOR, 1, 1, true, TENSOR},
    {OPERATION_FORWARD, CUDNN_ATTR_OPERATION_CONVOLUTION_FORWARD_W, DESCRIPTOR, 1, 1, true, TENSOR},
    {OPERATION_FORWARD, CUDNN_ATTR_OPERATION_CONVOLUTION_FORWARD_Y, DESCRIPTOR, 1, 1, true, TENSOR},
    {OPERATION_FORWARD, CUDNN_ATTR_OPERATION_CONVOLUTION_FORWARD_ALPHA, CUDNN_TYPE_FLOAT, 1, 1,
     true, 0},
    {OPERATION_FORWARD, CUDNN_ATTR_OPERATION_CONVOLUTION_FORWARD_BETA, CUDNN_TYPE_FLOAT, 1, 1, true,
     0},
    {OPERATION_BACKWARD, CUDNN_ATTR_OPERATION_CONVOLUTION_BWD_DATA_CONV_DESC, DESCRIPTOR, 1, 1,
     true, WINDOW},
    {OPERATION_BACKWARD, CUDNN_ATTR_OPERATION_CONVOLUTION_BWD_DATA_DX, DESCRIPTOR, 1, 1, true,
     TENSOR},
    {OPERATION_BACKWARD, CUDNN_ATTR_OPERATION_CONVOLUTION_BWD_DATA_W, DESCRIPTOR, 1, 1, true,
     TENSOR},
    {OPERATION_BACKWARD, CUDNN_ATTR_OPERATION_CONVOLUTION_BWD_DATA_DY, DESCRIPTOR, 1, 1, true,
     TENSOR},
    {OPERATION_BACKWARD, CUDNN_ATTR_OPERATION_CONVOLUTION_BWD_DATA_ALPHA, CUDNN_TYPE_FLOAT, 1, 1,
     true, 0},
    {OPERATION_BACKWARD, CUDNN_ATTR_OPERATION_CONVOLUTION_BWD_DATA_BETA, CUDNN_TYPE_FLOAT, 1, 1,
     true, 0},
    {OPERATION_FUNCTION, CUDNN_ATTR_OPERATION_POINTWISE_PW_DESCRIPTOR, DESCRIPTOR, 1, 1, true,
     FUNCTION},
    {OPERATION_FUNCTION, CUDNN_ATTR_OPERATION_POINTWISE_XDESC, DESCRIPTOR, 1, 1, true, TENSOR},
    {OPERATION_FUNCTION, CUDNN_ATTR_OPERATION_POINTWISE_BDESC, DESCRIPTOR, 1, 1, false, TENSOR},
    {OPERATION_FUNCTION, CUDNN_ATTR_OPERATION_POINTWISE_YDESC, DESCRIPTOR, 1, 1, true, TENSOR},
    {GRAPH, CUDNN_ATTR_OPERATIONGRAPH_OPS, DESCRIPTOR, 1, FAKE_OPERATIONS, true, 0},
    {GRAPH, CUDNN_ATTR_OPERATIONGRAPH_HANDLE, CUDNN_TYPE_HANDLE, 1, 1, true, 0},
    {HEURISTICS, CUDNN_ATTR_ENGINEHEUR_OPERATION_GRAPH, DESCRIPTOR, 1, 1, true, GRAPH},
    {HEURISTICS, CUDNN_ATTR_ENGINEHEUR_MODE, CUDNN_TYPE_HEUR_MODE, 1, 1, true, 0},
    {PLAN, CUDNN_ATTR_EXECUTION_PLAN_HANDLE, CUDNN_TYPE_HANDLE, 1, 1, true, 0},
    {PLAN, CUDNN_ATTR_EXECUTION_PLAN_ENGINE_CONFIG, DESCRIPTOR, 1, 1, false, CONFIG},
    {PLAN, CUDNN_ATTR_EXECUTION_PLAN_JSON_REPRESENTATION, CUDNN_TYPE_CHAR, 1, INT32_MAX, false, 0},
    {PACK, CUDNN_ATTR_VARIANT_PACK_UNIQUE_IDS, CUDNN_TYPE_INT64, 1, FAKE_TENSORS, true, 0},
    {PACK, CUDNN_ATTR_VARIANT_PACK_DATA_POINTERS, CUDNN_TYPE_VOID_PTR, 1, FAKE_TENSORS, true, 0},
    {PACK, CUDNN_ATTR_VARIANT_PACK_WORKSPACE, CUDNN_TYPE_VOID_PTR, 1, 1, false, 0},
};

#define RULES (sizeof rules / sizeof rules[0])

static size_t size_of(cudnnBackendAttributeType_t type) {
    switch (type) {
    case CUDNN_TYPE_INT64:
        return sizeof(int64_t);
    case CUDNN_TYPE_FLOAT:
        return sizeof(float);
    case CUDNN_TYPE_DOUBLE:
        return sizeof(double);
    case CUDNN_TYPE_BOOLEAN:
        return sizeof(bool);
    case CUDNN_TYPE_CHAR:
        return sizeof(char);
    case CUDNN_TYPE_HANDLE:
    case CUDNN_TYPE_VOID_PTR:
    case CUDNN_TYPE_BACKEND_DESCRIPTOR:
        return sizeof(void *);
    default: /* enumerations */
        return sizeof(cudnnDataType_t);
    }
}

cudnnStatus_t cudnnBackendCreateDescriptor(cudnnBackendDescriptorType_t type,
                                           cudnnBackendDescriptor_t *out) {
    fake_descriptor *made = calloc(1, sizeof *made);
    *out = made;
    if (made == NULL) {
        return fake_fail(CUDNN_STATUS_INTERNAL_ERROR_HOST_ALLOCATION_FAILED, "descriptor");
    }
    made->type = type;
    made->users = 1;
    add(&counts.descriptors, 1);
    return CUDNN_STATUS_SUCCESS;
}

static void give_up(fake_descriptor *of) {
    pthread_mutex_lock(&lock);
    const int left = --of->users;
    pthread_mutex_unlock(&lock);
    if (left > 0) {
        return;
    }
    if (of->type == PLAN && of->finalized) {
        fake_plan_lives(of, -1);
    }
    for (size_t i = 0; i < of->attribute_count; i++) {
        fake_attribute *held = &of->attributes[i];
        for (int64_t k = 0; held->holds && k < held->count; k++) {
            give_up(((fake_descriptor **)held->values)[k]);
        }
        free(held->values);
    }
    free(of->program);
    free(of);
    add(&counts.descriptors, -1);
}

cudnnStatus_t cudnnBackendDestroyDescriptor(cudnnBackendDescriptor_t of) {
    if (of == NULL) {
        return fake_fail(CUDNN_STATUS_BAD_PARAM_NULL_POINTER, "no descriptor");
    }
    give_up(of);
    return CUDNN_STATUS_SUCCESS;
}

const fake_attribute *fake_find(const fake_descriptor *of, cudnnBackendAttributeName_t name) {
    for (size_t i = 0; i < of->attribute_count; i++) {
        if (of->attributes[i].name == name) {
            return &of->attributes[i];
        }
    }
    return NULL;
}

static const rule *rule_of(const fake_descriptor *of, cudnnBackendAttributeName_t name) {
    for (size_t i = 0; i < RULES; i++) {
        if (rules[i].of == of->type && rules[i].name == name) {
            return &rules[i];
        }
    }
    return NULL;
}

/* Held descriptors must be finalized and of the right type. */
static cudnnStatus_t hold(const rule *by, const void *values, int64_t count) {
    fake_descriptor *const *held = values;
    for (int64_t i = 0; i < count; i++) {
        if (held[i] == NULL) {
            return fake_fail(CUDNN_STATUS_BAD_PARAM_NULL_POINTER, "no descriptor");
        }
        if (!held[i]->finalized) {
            return fake_fail(CUDNN_STATUS_BAD_PARAM_NOT_FINALIZED, "held before it is finalized");
        }
        if (by->of != GRAPH && held[i]->type != by->holds) {
            return fake_fail(CUDNN_STATUS_BAD_PARAM_DESCRIPTOR_TYPE, "descriptor of another type");
        }
    }
    pthread_mutex_lock(&lock);
    for (int64_t i = 0; i < count; i++) {
        held[i]->users++;
    }
    pthread_mutex_unlock(&lock);
    return CUDNN_STATUS_SUCCESS;
}

cudnnStatus_t cudnnBackendSetAttribute(cudnnBackendDescriptor_t descriptor_,
                                       cudnnBackendAttributeName_t name,
                                       cudnnBackendAttributeType_t type, int64_t count,
                                       const void *values) {
    fake_descriptor *of = descriptor_;
    if (of == NULL || values == NULL) {
        return fake_fail(CUDNN_STATUS_BAD_PARAM_NULL_POINTER, "null");
    }
    const rule *by = rule_of(of, name);
    if (of->finalized || by == NULL || fake_find(of, name) != NULL ||
        of->attribute_count == FAKE_ATTRIBUTES) {
        return fake_fail(CUDNN_STATUS_BAD_PARAM, "attribute that does not belong here");
    }
    if (by->type != type) {
        return fake_fail(CUDNN_STATUS_BAD_PARAM_ATTRIBUTE_TYPE, "attribute of another type");
    }
    if (count < by->least || count > by->most) {
        return fake_fail(CUDNN_STATUS_BAD_PARAM_OUT_OF_BOUND, "number of elements");
    }
    if (type == DESCRIPTOR) {
        const cudnnStatus_t status = hold(by, values, count);
        if (status != CUDNN_STATUS_SUCCESS) {
            return status;
        }
    }
    fake_attribute *added = &of->attributes[of->attribute_count];
    added->values = malloc((size_t)count * size_of(type));
    if (added->values == NULL) {
        return fake_fail(CUDNN_STATUS_INTERNAL_ERROR_HOST_ALLOCATION_FAILED, "attribute");
    }
    memcpy(added->values, values, (size_t)count * size_of(type));
    added->name = name;
    added->count = count;
    added->holds = type == DESCRIPTOR;
    of->attribute_count++;
    return CUDNN_STATUS_SUCCESS;
}

/* Attributes that are there, by type. */
int64_t fake_number(const fake_descriptor *of, cudnnBackendAttributeName_t name) {
    return *(const int64_t *)fake_find(of, name)->values;
}

int fake_choice(const fake_descriptor *of, cudnnBackendAttributeName_t name) {
    int value;
    memcpy(&value, fake_find(of, name)->values, sizeof value);
    return value;
}

fake_descriptor *fake_held(const fake_descriptor *of, cudnnBackendAttributeName_t name) {
    const fake_attribute *found = fake_find(of, name);
    return found == NULL ? NULL : *(fake_descriptor *const *)found->values;
}

/* ---- what all descriptors have ---- */

static bool finish_pack(const fake_descriptor *of) {
    const fake_attribute *ids = fake_find(of, CUDNN_ATTR_VARIANT_PACK_UNIQUE_IDS);
    const fake_attribute *pointers = fake_find(of, CUDNN_ATTR_VARIANT_PACK_DATA_POINTERS);
    const int64_t *list = ids->values;
    for (int64_t i = 0; i < ids->count; i++) {
        for (int64_t k = 0; k < i; k++) {
            if (list[i] == list[k]) {
                return false;
            }
        }
    }
    return ids->count == pointers->count;
}

static bool finish(fake_descriptor *of) {
    if (of->type == PACK) {
        return finish_pack(of);
    }
    return of->type == HEURISTICS || fake_finish_graph(of);
}

cudnnStatus_t cudnnBackendFinalize(cudnnBackendDescriptor_t descriptor_) {
    fake_descriptor *of = descriptor_;
    if (of == NULL || of->finalized) {
        return fake_fail(CUDNN_STATUS_BAD_PARAM, "nothing to finalize");
    }
    for (size_t i = 0; i < RULES; i++) {
        if (rules[i].of == of->type && rules[i].required && fake_find(of, rules[i].name) == NULL) {
            return fake_fail(CUDNN_STATUS_BAD_PARAM_NOT_FINALIZED,
                             "a required attribute is missing");
        }
    }
    const cudnnStatus_t status =
        of->type == PLAN ? fake_finish_plan(of)
        : finish(of)     ? CUDNN_STATUS_SUCCESS
                         : fake_fail(CUDNN_STATUS_BAD_PARAM, "attributes that do not fit");
    of->finalized = status == CUDNN_STATUS_SUCCESS;
    return status;
}

cudnnStatus_t cudnnBackendGetAttribute(cudnnBackendDescriptor_t const descriptor_,
                                       cudnnBackendAttributeName_t name,
                                       cudnnBackendAttributeType_t type, int64_t capacity,
                                       int64_t *count, void *values) {
    const fake_descriptor *of = descriptor_;
    if (of == NULL || count == NULL || (values == NULL && capacity > 0)) {
        return fake_fail(CUDNN_STATUS_BAD_PARAM_NULL_POINTER, "null");
    }
    if (!of->finalized) {
        return fake_fail(CUDNN_STATUS_BAD_PARAM_NOT_FINALIZED, "asked before it is finalized");
    }
    if (name == CUDNN_ATTR_ENGINEHEUR_RESULTS && of->type == HEURISTICS && type == DESCRIPTOR) {
        return fake_get_results(of, capacity, count, values);
    }
    if (name == CUDNN_ATTR_ENGINECFG_ENGINE && of->type == CONFIG && type == DESCRIPTOR &&
        capacity == 1) {
        return fake_get_engine(of, count, values);
    }
    if (name == CUDNN_ATTR_ENGINE_NUMERICAL_NOTE && of->type == ENGINE &&
        type == CUDNN_TYPE_NUMERICAL_NOTE) {
        return fake_get_notes(of, capacity, count, values);
    }
    if (name == CUDNN_ATTR_EXECUTION_PLAN_WORKSPACE_SIZE && of->type == PLAN &&
        type == CUDNN_TYPE_INT64 && capacity == 1) {
        *count = 1;
        *(int64_t *)values = fake_workspace(of);
        return CUDNN_STATUS_SUCCESS;
    }
    if (name == CUDNN_ATTR_EXECUTION_PLAN_JSON_REPRESENTATION && of->type == PLAN &&
        type == CUDNN_TYPE_CHAR) {
        return fake_get_text(of, capacity, count, values);
    }
    return fake_fail(CUDNN_STATUS_BAD_PARAM, "attribute that cannot be asked for");
}
