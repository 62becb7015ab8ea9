/* SPDX-License-Identifier: Apache-2.0 */
/** What the files of the fake of cuDNN share. */
#ifndef TARE_TESTS_FAKE_CUDNN_PARTS_H
#define TARE_TESTS_FAKE_CUDNN_PARTS_H

#include "fake_cudnn.h"

#define FAKE_RANK       5
#define FAKE_TENSORS    64
#define FAKE_OPERATIONS 32

typedef struct fake_tensor {
    int64_t id, alignment;
    cudnnDataType_t type;
    int rank;
    bool is_virtual;
    int64_t dims[FAKE_RANK], strides[FAKE_RANK];
} fake_tensor;

/** Tensors are numbers of the program's list. */
typedef struct fake_convolution {
    bool backward;
    int rank; /**< spatial dims */
    int64_t stride[3], dilation[3], begin[3], end[3];
    int x, w, y;
} fake_convolution;

typedef struct fake_pointwise {
    cudnnPointwiseMode_t mode;
    int x, b, y; /**< b: -1 when there is one operand */
    double lower, upper, slope;
} fake_pointwise;

/** A plan: a convolution and what follows it. */
typedef struct fake_program {
    int engine;
    size_t tensor_count, operation_count;
    fake_tensor tensors[FAKE_TENSORS];
    fake_convolution convolution;
    fake_pointwise operations[FAKE_OPERATIONS];
} fake_program;

/** Whether the sizes of a convolution fit each other. */
bool fake_convolution_fits(const fake_convolution *convolution, const fake_tensor *x,
                           const fake_tensor *w, const fake_tensor *y);

/** Computes the program on host memory: one pointer per tensor, NULL for virtual ones. False
 * without memory. */
bool fake_program_run(const fake_program *program, void *const *memory);

/* ---- descriptors ---- */

struct cudnnContext {
    cudaStream_t stream;
    int plans; /* alive that were made with it */
};

#define FAKE_ATTRIBUTES    16
#define FAKE_ENGINES       3

#define OPERATION_FORWARD  CUDNN_BACKEND_OPERATION_CONVOLUTION_FORWARD_DESCRIPTOR
#define OPERATION_BACKWARD CUDNN_BACKEND_OPERATION_CONVOLUTION_BACKWARD_DATA_DESCRIPTOR
#define OPERATION_FUNCTION CUDNN_BACKEND_OPERATION_POINTWISE_DESCRIPTOR
#define TENSOR             CUDNN_BACKEND_TENSOR_DESCRIPTOR
#define WINDOW             CUDNN_BACKEND_CONVOLUTION_DESCRIPTOR
#define FUNCTION           CUDNN_BACKEND_POINTWISE_DESCRIPTOR
#define GRAPH              CUDNN_BACKEND_OPERATIONGRAPH_DESCRIPTOR
#define HEURISTICS         CUDNN_BACKEND_ENGINEHEUR_DESCRIPTOR
#define CONFIG             CUDNN_BACKEND_ENGINECFG_DESCRIPTOR
#define ENGINE             CUDNN_BACKEND_ENGINE_DESCRIPTOR
#define PLAN               CUDNN_BACKEND_EXECUTION_PLAN_DESCRIPTOR
#define PACK               CUDNN_BACKEND_VARIANT_PACK_DESCRIPTOR
#define DESCRIPTOR         CUDNN_TYPE_BACKEND_DESCRIPTOR

typedef struct fake_descriptor fake_descriptor;

typedef struct fake_attribute {
    cudnnBackendAttributeName_t name;
    int64_t count;
    void *values;
    bool holds; /* values are descriptors */
} fake_attribute;

struct fake_descriptor {
    cudnnBackendDescriptorType_t type;
    int users;
    bool finalized;
    size_t attribute_count;
    fake_attribute attributes[FAKE_ATTRIBUTES];
    int engine;            /* of an engine, its configuration and its plan */
    fake_program *program; /* of a graph, and all that is made of one */
};

/** Keeps the text for cudnnGetLastErrorString() and returns the status. */
cudnnStatus_t fake_fail(cudnnStatus_t status, const char *what);

/** Adds to one of the counts. */
void fake_count_plan(void);
void fake_count_run(void);

/** Says that a plan has come to be, or gone. */
void fake_plan_lives(const fake_descriptor *plan, int change);

fake_cudnn_settings fake_cudnn_now(void);

/** An attribute, or NULL; and of one that is there the value, by type. */
const fake_attribute *fake_find(const fake_descriptor *of, cudnnBackendAttributeName_t name);
int64_t fake_number(const fake_descriptor *of, cudnnBackendAttributeName_t name);
int fake_choice(const fake_descriptor *of, cudnnBackendAttributeName_t name);
fake_descriptor *fake_held(const fake_descriptor *of, cudnnBackendAttributeName_t name);

/** Whether the attributes of a tensor, an operation, a part of one or a graph fit each other; a
 * graph gets its program. */
bool fake_finish_graph(fake_descriptor *of);

cudnnStatus_t fake_finish_plan(fake_descriptor *of);

/** What can be asked of heuristics, configurations, engines and plans. */
cudnnStatus_t fake_get_results(const fake_descriptor *heuristics, int64_t capacity, int64_t *count,
                               void *values);
cudnnStatus_t fake_get_engine(const fake_descriptor *config, int64_t *count, void *values);
cudnnStatus_t fake_get_notes(const fake_descriptor *engine, int64_t capacity, int64_t *count,
                             void *values);
cudnnStatus_t fake_get_text(const fake_descriptor *plan, int64_t capacity, int64_t *count,
                            void *values);
int64_t fake_workspace(const fake_descriptor *plan);

#endif
