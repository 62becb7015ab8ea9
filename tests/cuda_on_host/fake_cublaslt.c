/* SPDX-License-Identifier: Apache-2.0 */
/**
 * The part of cuBLASLt that the backend calls, on the host: strict about what it is
 * given, plain in how it multiplies. Products of any precision are added up in double.
 */
#include <cublasLt.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>

#include "fake_stream.h"
#include "ir/half.h"

#define MAGIC           0x7461726563626cULL
#define WORKSPACE_BYTES ((size_t)4096)

typedef struct fake_operation {
    cublasComputeType_t compute;
    cudaDataType_t scale;
    int32_t transposed[2]; /* A, B */
    uint32_t epilogue;
    const void *bias;
} fake_operation;

typedef struct fake_layout {
    cudaDataType type;
    uint64_t rows, columns;
    int64_t leading, stride;
    int32_t batch;
} fake_layout;

typedef struct fake_preference {
    uint64_t workspace;
    uint32_t alignment[4], schemes;
} fake_preference;

size_t cublasLtGetVersion(void) {
    return 130100;
}

const char *cublasLtGetStatusString(cublasStatus_t status) {
    switch (status) {
    case CUBLAS_STATUS_SUCCESS:
        return "CUBLAS_STATUS_SUCCESS";
    case CUBLAS_STATUS_ALLOC_FAILED:
        return "CUBLAS_STATUS_ALLOC_FAILED";
    case CUBLAS_STATUS_INVALID_VALUE:
        return "CUBLAS_STATUS_INVALID_VALUE";
    case CUBLAS_STATUS_NOT_SUPPORTED:
        return "CUBLAS_STATUS_NOT_SUPPORTED";
    case CUBLAS_STATUS_EXECUTION_FAILED:
        return "CUBLAS_STATUS_EXECUTION_FAILED";
    default:
        return "CUBLAS_STATUS_INTERNAL_ERROR";
    }
}

static cublasStatus_t make(void **out, size_t bytes) {
    *out = calloc(1, bytes);
    return *out == NULL ? CUBLAS_STATUS_ALLOC_FAILED : CUBLAS_STATUS_SUCCESS;
}

static cublasStatus_t destroy(void *object) {
    if (object == NULL) {
        return CUBLAS_STATUS_INVALID_VALUE;
    }
    free(object);
    return CUBLAS_STATUS_SUCCESS;
}

cublasStatus_t cublasLtCreate(cublasLtHandle_t *handle) {
    void *made;
    const cublasStatus_t status = make(&made, 1);
    *handle = made;
    return status;
}

cublasStatus_t cublasLtDestroy(cublasLtHandle_t handle) {
    return destroy(handle);
}

/* ---- descriptors ---- */

cublasStatus_t cublasLtMatmulDescCreate(cublasLtMatmulDesc_t *desc, cublasComputeType_t compute,
                                        cudaDataType_t scale) {
    fake_operation *operation;
    void *made;
    const cublasStatus_t status = make(&made, sizeof(fake_operation));

    *desc = made;
    operation = made;
    if (status == CUBLAS_STATUS_SUCCESS) {
        operation->compute = compute;
        operation->scale = scale;
        operation->epilogue = CUBLASLT_EPILOGUE_DEFAULT;
    }
    return status;
}

cublasStatus_t cublasLtMatmulDescDestroy(cublasLtMatmulDesc_t desc) {
    return destroy(desc);
}

/* Copies an attribute whose size is known. */
static cublasStatus_t assign(void *to, size_t size, const void *value, size_t bytes) {
    if (value == NULL || size != bytes) {
        return CUBLAS_STATUS_INVALID_VALUE;
    }
    memcpy(to, value, bytes);
    return CUBLAS_STATUS_SUCCESS;
}

cublasStatus_t cublasLtMatmulDescSetAttribute(cublasLtMatmulDesc_t desc,
                                              cublasLtMatmulDescAttributes_t name,
                                              const void *value, size_t bytes) {
    fake_operation *operation = (void *)desc;
    switch (name) {
    case CUBLASLT_MATMUL_DESC_TRANSA:
        return assign(&operation->transposed[0], sizeof(int32_t), value, bytes);
    case CUBLASLT_MATMUL_DESC_TRANSB:
        return assign(&operation->transposed[1], sizeof(int32_t), value, bytes);
    case CUBLASLT_MATMUL_DESC_EPILOGUE:
        return assign(&operation->epilogue, sizeof(uint32_t), value, bytes);
    case CUBLASLT_MATMUL_DESC_BIAS_POINTER:
        return assign(&operation->bias, sizeof(void *), value, bytes);
    default:
        return CUBLAS_STATUS_NOT_SUPPORTED;
    }
}

cublasStatus_t cublasLtMatrixLayoutCreate(cublasLtMatrixLayout_t *layout, cudaDataType type,
                                          uint64_t rows, uint64_t columns, int64_t leading) {
    void *made;
    const cublasStatus_t status = make(&made, sizeof(fake_layout));

    *layout = made;
    if (status == CUBLAS_STATUS_SUCCESS) {
        *(fake_layout *)made = (fake_layout){
            .type = type, .rows = rows, .columns = columns, .leading = leading, .batch = 1};
    }
    return status;
}

cublasStatus_t cublasLtMatrixLayoutDestroy(cublasLtMatrixLayout_t layout) {
    return destroy(layout);
}

cublasStatus_t cublasLtMatrixLayoutSetAttribute(cublasLtMatrixLayout_t layout,
                                                cublasLtMatrixLayoutAttribute_t name,
                                                const void *value, size_t bytes) {
    fake_layout *fake = (void *)layout;
    switch (name) {
    case CUBLASLT_MATRIX_LAYOUT_BATCH_COUNT:
        return assign(&fake->batch, sizeof fake->batch, value, bytes);
    case CUBLASLT_MATRIX_LAYOUT_STRIDED_BATCH_OFFSET:
        return assign(&fake->stride, sizeof fake->stride, value, bytes);
    default:
        return CUBLAS_STATUS_NOT_SUPPORTED;
    }
}

cublasStatus_t cublasLtMatmulPreferenceCreate(cublasLtMatmulPreference_t *preference) {
    void *made;
    const cublasStatus_t status = make(&made, sizeof(fake_preference));

    *preference = made;
    if (status == CUBLAS_STATUS_SUCCESS) {
        *(fake_preference *)made =
            (fake_preference){.alignment = {256, 256, 256, 256}, .schemes = UINT32_MAX};
    }
    return status;
}

cublasStatus_t cublasLtMatmulPreferenceDestroy(cublasLtMatmulPreference_t preference) {
    return destroy(preference);
}

cublasStatus_t cublasLtMatmulPreferenceSetAttribute(cublasLtMatmulPreference_t preference,
                                                    cublasLtMatmulPreferenceAttributes_t name,
                                                    const void *value, size_t bytes) {
    fake_preference *fake = (void *)preference;
    switch (name) {
    case CUBLASLT_MATMUL_PREF_MAX_WORKSPACE_BYTES:
        return assign(&fake->workspace, sizeof fake->workspace, value, bytes);
    case CUBLASLT_MATMUL_PREF_REDUCTION_SCHEME_MASK:
        return assign(&fake->schemes, sizeof fake->schemes, value, bytes);
    case CUBLASLT_MATMUL_PREF_MIN_ALIGNMENT_A_BYTES:
    case CUBLASLT_MATMUL_PREF_MIN_ALIGNMENT_B_BYTES:
    case CUBLASLT_MATMUL_PREF_MIN_ALIGNMENT_C_BYTES:
    case CUBLASLT_MATMUL_PREF_MIN_ALIGNMENT_D_BYTES:
        return assign(&fake->alignment[name - CUBLASLT_MATMUL_PREF_MIN_ALIGNMENT_A_BYTES],
                      sizeof fake->alignment[0], value, bytes);
    default:
        return CUBLAS_STATUS_NOT_SUPPORTED;
    }
}

/* ---- checks ---- */

/* Operands of one product: A, B, C, D. */
typedef struct fake_problem {
    const fake_operation *operation;
    const fake_layout *layouts[4];
    uint64_t m, n, k;
} fake_problem;

static bool layout_fits(const fake_problem *p, int which, uint64_t rows, uint64_t columns) {
    const fake_layout *layout = p->layouts[which];
    return layout->rows == rows && layout->columns == columns && rows > 0 && columns > 0 &&
           layout->leading >= (int64_t)rows && layout->stride >= 0 &&
           layout->batch == p->layouts[3]->batch && layout->type == p->layouts[3]->type;
}

static bool epilogue_known(const fake_operation *operation) {
    switch ((cublasLtEpilogue_t)operation->epilogue) {
    case CUBLASLT_EPILOGUE_DEFAULT:
    case CUBLASLT_EPILOGUE_RELU:
        return true;
    case CUBLASLT_EPILOGUE_BIAS:
    case CUBLASLT_EPILOGUE_RELU_BIAS:
        return operation->bias != NULL && !fake_memory_is_host(operation->bias);
    default:
        return false;
    }
}

static bool compute_known(const fake_operation *operation, cudaDataType type) {
    const bool plain = operation->compute == CUBLAS_COMPUTE_32F;
    const bool fast = operation->compute == CUBLAS_COMPUTE_32F_FAST_TF32;
    return operation->scale == CUDA_R_32F &&
           (type == CUDA_R_32F ? plain || fast : type == CUDA_R_16F && plain);
}

/* False for what the library would refuse. */
static bool read_problem(fake_problem *p, cublasLtMatmulDesc_t desc,
                         const cublasLtMatrixLayout_t layouts[4]) {
    const bool *flip;
    bool flips[2];

    p->operation = (const void *)desc;
    for (int i = 0; i < 4; i++) {
        p->layouts[i] = (const void *)layouts[i];
        if (p->layouts[i] == NULL) {
            return false;
        }
    }
    flips[0] = p->operation->transposed[0] == CUBLAS_OP_T;
    flips[1] = p->operation->transposed[1] == CUBLAS_OP_T;
    flip = flips;
    p->m = p->layouts[3]->rows;
    p->n = p->layouts[3]->columns;
    p->k = flip[0] ? p->layouts[0]->rows : p->layouts[0]->columns;
    return layout_fits(p, 0, flip[0] ? p->k : p->m, flip[0] ? p->m : p->k) &&
           layout_fits(p, 1, flip[1] ? p->n : p->k, flip[1] ? p->k : p->n) &&
           layout_fits(p, 2, p->m, p->n) && layout_fits(p, 3, p->m, p->n) &&
           p->layouts[3]->stride >= (p->layouts[3]->batch > 1 ? (int64_t)(p->m * p->n) : 0) &&
           epilogue_known(p->operation) && compute_known(p->operation, p->layouts[3]->type);
}

typedef struct fake_algorithm {
    uint64_t magic, m, n, k;
    uint32_t alignment[4];
} fake_algorithm;

cublasStatus_t cublasLtMatmulAlgoGetHeuristic(cublasLtHandle_t handle, cublasLtMatmulDesc_t desc,
                                              cublasLtMatrixLayout_t a, cublasLtMatrixLayout_t b,
                                              cublasLtMatrixLayout_t c, cublasLtMatrixLayout_t d,
                                              cublasLtMatmulPreference_t preference, int wanted,
                                              cublasLtMatmulHeuristicResult_t results[],
                                              int *count) {
    const cublasLtMatrixLayout_t layouts[4] = {a, b, c, d};
    const fake_preference *limits = (const void *)preference;
    fake_algorithm algorithm = {.magic = MAGIC};
    fake_problem problem;

    *count = 0;
    if (handle == NULL || limits == NULL || wanted < 1) {
        return CUBLAS_STATUS_INVALID_VALUE;
    }
    if (!read_problem(&problem, desc, layouts) || limits->workspace < WORKSPACE_BYTES) {
        return CUBLAS_STATUS_NOT_SUPPORTED;
    }
    memset(&results[0], 0, sizeof results[0]);
    algorithm.m = problem.m;
    algorithm.n = problem.n;
    algorithm.k = problem.k;
    memcpy(algorithm.alignment, limits->alignment, sizeof algorithm.alignment);
    _Static_assert(sizeof algorithm <= sizeof results[0].algo, "room for what is remembered");
    memcpy(&results[0].algo, &algorithm, sizeof algorithm);
    results[0].workspaceSize = WORKSPACE_BYTES;
    results[0].state = CUBLAS_STATUS_SUCCESS;
    *count = 1;
    return CUBLAS_STATUS_SUCCESS;
}

/* ---- multiplying ---- */

static double read_element(const void *data, cudaDataType type, size_t index) {
    return type == CUDA_R_16F ? tare_half_to_double(((const uint16_t *)data)[index])
                              : (double)((const float *)data)[index];
}

static void write_element(void *data, cudaDataType type, size_t index, double value) {
    if (type == CUDA_R_16F) {
        ((uint16_t *)data)[index] = tare_half_from_double((double)(float)value);
    } else {
        ((float *)data)[index] = (float)value;
    }
}

/* An operand as floats, `rows` runs of `columns`; flip: columns first in the layout. */
static float *gather(const void *data, const fake_layout *layout, size_t batch, uint64_t rows,
                     uint64_t columns, bool runs_are_columns) {
    float *out = malloc(rows * columns * sizeof *out + 1);
    const size_t base = batch * (size_t)layout->stride, step = (size_t)layout->leading;

    for (uint64_t r = 0; r < rows && out != NULL; r++) {
        for (uint64_t c = 0; c < columns; c++) {
            const size_t at = runs_are_columns ? r * step + c : c * step + r;
            out[r * columns + c] = (float)read_element(data, layout->type, base + at);
        }
    }
    return out;
}

typedef struct fake_operands {
    const void *a, *b, *c;
    void *d;
    float alpha, beta;
} fake_operands;

static void store_column(const fake_problem *p, const fake_operands *o, size_t batch, uint64_t n,
                         const double *sums) {
    const fake_layout *layout = p->layouts[3], *from = p->layouts[2];
    const uint32_t epilogue = p->operation->epilogue;
    for (uint64_t m = 0; m < p->m; m++) {
        double value = (double)o->alpha * sums[m];
        if (o->beta != 0.0F) {
            value += (double)o->beta *
                     read_element(o->c, from->type,
                                  batch * (size_t)from->stride + n * (size_t)from->leading + m);
        }
        if ((epilogue & CUBLASLT_EPILOGUE_BIAS) != 0) {
            value += read_element(p->operation->bias, layout->type, m);
        }
        if ((epilogue & CUBLASLT_EPILOGUE_RELU) != 0 && value < 0.0) {
            value = 0.0;
        }
        write_element(o->d, layout->type,
                      batch * (size_t)layout->stride + n * (size_t)layout->leading + m, value);
    }
}

/* Column n of D is the sum over k of B[k, n] times column k of A. */
static cublasStatus_t multiply(const fake_problem *p, const fake_operands *o, size_t batch) {
    float *a =
        gather(o->a, p->layouts[0], batch, p->k, p->m, p->operation->transposed[0] != CUBLAS_OP_T);
    float *b =
        gather(o->b, p->layouts[1], batch, p->n, p->k, p->operation->transposed[1] != CUBLAS_OP_T);
    double *sums = malloc(p->m * sizeof *sums);

    if (a == NULL || b == NULL || sums == NULL) {
        free(a);
        free(b);
        free(sums);
        return CUBLAS_STATUS_ALLOC_FAILED;
    }
    for (uint64_t n = 0; n < p->n; n++) {
        memset(sums, 0, p->m * sizeof *sums);
        for (uint64_t k = 0; k < p->k; k++) {
            const double factor = (double)b[n * p->k + k];
            const float *column = a + k * p->m;
            for (uint64_t m = 0; m < p->m; m++) {
                sums[m] += factor * (double)column[m];
            }
        }
        store_column(p, o, batch, n, sums);
    }
    free(a);
    free(b);
    free(sums);
    return CUBLAS_STATUS_SUCCESS;
}

static bool is_aligned(const void *pointer, uint32_t alignment) {
    return pointer != NULL && (uintptr_t)pointer % alignment == 0 && !fake_memory_is_host(pointer);
}

/* One call, for when its stream gets there. Layouts must live so long. */
typedef struct fake_products {
    fake_problem problem;
    fake_operands operands;
    void *workspace;
} fake_products;

static fake_result run_products(void *context) {
    const fake_products *work = context;
    memset(work->workspace, 0xff, WORKSPACE_BYTES);
    for (int32_t batch = 0; batch < work->problem.layouts[3]->batch; batch++) {
        if (multiply(&work->problem, &work->operands, (size_t)batch) != CUBLAS_STATUS_SUCCESS) {
            return cudaErrorLaunchFailure;
        }
    }
    return cudaSuccess;
}

cublasStatus_t cublasLtMatmul(cublasLtHandle_t handle, cublasLtMatmulDesc_t desc, const void *alpha,
                              const void *a, cublasLtMatrixLayout_t a_layout, const void *b,
                              cublasLtMatrixLayout_t b_layout, const void *beta, const void *c,
                              cublasLtMatrixLayout_t c_layout, void *d,
                              cublasLtMatrixLayout_t d_layout,
                              const cublasLtMatmulAlgo_t *algorithm, void *workspace,
                              size_t workspace_bytes, cudaStream_t stream) {
    const cublasLtMatrixLayout_t layouts[4] = {a_layout, b_layout, c_layout, d_layout};
    fake_operands operands = {.a = a, .b = b, .c = c, .d = d};
    fake_algorithm chosen;
    fake_problem problem;

    if (handle == NULL || alpha == NULL || beta == NULL || algorithm == NULL ||
        !read_problem(&problem, desc, layouts)) {
        return CUBLAS_STATUS_INVALID_VALUE;
    }
    memcpy(&chosen, algorithm, sizeof chosen);
    memcpy(&operands.alpha, alpha, sizeof operands.alpha);
    memcpy(&operands.beta, beta, sizeof operands.beta);
    if (chosen.magic != MAGIC || chosen.m != problem.m || chosen.n != problem.n ||
        chosen.k != problem.k || workspace_bytes < WORKSPACE_BYTES || workspace == NULL ||
        !is_aligned(a, chosen.alignment[0]) || !is_aligned(b, chosen.alignment[1]) ||
        !is_aligned(c, chosen.alignment[2]) || !is_aligned(d, chosen.alignment[3])) {
        return CUBLAS_STATUS_INVALID_VALUE;
    }
    fake_products work = {problem, operands, workspace};
    return fake_stream_add(stream, run_products, &work, sizeof work) == 0
               ? CUBLAS_STATUS_SUCCESS
               : CUBLAS_STATUS_EXECUTION_FAILED;
}
