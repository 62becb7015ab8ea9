/* SPDX-License-Identifier: Apache-2.0 */
/**
 * MatMul and Gemm by cuBLASLt.
 *
 * cuBLASLt counts columns first: our row-major D = A B is its D' = B' A', so that its first operand
 * is our right one and its bias runs along our columns. Sums are kept in float32 whatever is
 * stored; partial sums of a split inner axis too.
 */
#include "cuda/matmul.h"

#include <limits.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "cuda/api.h"
#include "cuda/kernels.h"
#include "ir/half.h"
#include "ops/attrs.h"

/* What NVIDIA recommends for Hopper; explicit, so that a recording needs no allocation. */
#define WORKSPACE_BYTES ((size_t)32 << 20)
/* Starts of values and of uploaded weights are multiples of this. */
#define ALIGNMENT       256

struct tare_blas {
    cublasLtHandle_t handle;
};

/* A prepared product. */
typedef struct prepared_matmul {
    tare_device *device;
    cublasLtMatmulDesc_t operation;
    cublasLtMatrixLayout_t left, right, result;
    cublasLtMatmulAlgo_t algorithm;
    float alpha, beta;
    void *packed[3]; /* constants in the storage type; NULL: the run's input */
    void *bias;
    int addend; /* index of the run's input that is added, scaled by beta; -1: none or packed[2] */
    tare_matmul_cut cut;
    size_t element_bytes;
    size_t workspace;
} prepared_matmul;

static tare_status check(const tare_device *device, cublasStatus_t status, const char *what,
                         tare_error *err) {
    return status == CUBLAS_STATUS_SUCCESS
               ? TARE_OK
               : tare_fail(err, TARE_BACKEND, "%s: %s", what,
                           device->api->cublasLtGetStatusString(status));
}

tare_status tare_blas_new(tare_blas **out, tare_device *device, tare_error *err) {
    tare_blas *blas = calloc(1, sizeof *blas);
    tare_status status;

    *out = NULL;
    if (blas == NULL) {
        return tare_fail_memory(err, sizeof *blas, "a handle of cuBLASLt");
    }
    status = check(device, device->api->cublasLtCreate(&blas->handle), "cublasLtCreate", err);
    if (status != TARE_OK) {
        free(blas);
        return status;
    }
    *out = blas;
    return TARE_OK;
}

void tare_blas_free(tare_blas *blas, tare_device *device) {
    if (blas != NULL) {
        (void)device->api->cublasLtDestroy(blas->handle);
        free(blas);
    }
}

/* ---- operands ---- */

static bool is_float(tare_dtype dtype) {
    return dtype == TARE_DTYPE_FLOAT || dtype == TARE_DTYPE_FLOAT16;
}

static tare_status check_operands(const tare_prepare *prepare, tare_error *err) {
    for (size_t i = 0; i < prepare->input_count; i++) {
        const tare_desc *desc = &prepare->inputs[i];
        if (desc->rank < 0) {
            continue;
        }
        if (!is_float(desc->dtype) || tare_desc_count(desc) == 0) {
            return tare_fail(err, TARE_UNSUPPORTED, "a product of %s operands with %lld elements",
                             tare_dtype_text(desc->dtype), (long long)tare_desc_count(desc));
        }
        if (prepare->constants[i] == NULL && desc->dtype != prepare->device->storage) {
            return tare_fail(err, TARE_UNSUPPORTED, "a product with a %s operand in %s storage",
                             tare_dtype_text(desc->dtype),
                             tare_dtype_text(prepare->device->storage));
        }
    }
    return TARE_OK;
}

/* Uploads `count` floats in the storage type. */
static tare_status upload(void **out, tare_prepare *prepare, const float *values, int64_t count,
                          tare_error *err) {
    const bool half = prepare->device->storage == TARE_DTYPE_FLOAT16;
    const size_t bytes = (size_t)count * (half ? sizeof(uint16_t) : sizeof(float));
    uint16_t *halves = NULL;
    tare_status status;

    if (half) {
        halves = malloc(bytes);
        if (halves == NULL) {
            return tare_fail_memory(err, bytes, "the weights of a product");
        }
        for (int64_t i = 0; i < count; i++) {
            halves[i] = tare_half_from_double((double)values[i]);
        }
    }
    status =
        tare_cuda_upload(out, prepare->device, half ? (const void *)halves : values, bytes, err);
    free(halves);
    if (status == TARE_OK) {
        prepare->weight_bytes += bytes;
    }
    return status;
}

static tare_status pack_constants(prepared_matmul *m, tare_prepare *prepare, tare_error *err) {
    for (size_t i = 0; i < 2; i++) {
        if (prepare->constants[i] != NULL) {
            TARE_TRY(upload(&m->packed[i], prepare, prepare->constants[i]->data,
                            tare_desc_count(&prepare->inputs[i]), err));
            prepare->unread |= (uint64_t)1 << i;
        }
    }
    return TARE_OK;
}

/* ---- Gemm's C ---- */

/* Rows and columns of C, aligned to the right. */
static void addend_dims(int64_t dims[2], const tare_desc *c) {
    dims[0] = c->rank == 2 ? c->dims[0] : 1;
    dims[1] = c->rank == 0 ? 1 : c->dims[c->rank - 1];
}

/* beta C, spread over `rows` x n: one row becomes a bias, more the matrix that is added. */
static tare_status pack_addend(prepared_matmul *m, tare_prepare *prepare, float beta,
                               const tare_product *p, tare_error *err) {
    const float *c = prepare->constants[2]->data;
    int64_t dims[2];
    tare_status status;
    float *spread;
    size_t bytes;

    addend_dims(dims, &prepare->inputs[2]);
    const int64_t rows = dims[0] == 1 ? 1 : p->m;
    bytes = (size_t)(rows * p->n) * sizeof *spread;
    spread = malloc(bytes);
    if (spread == NULL) {
        return tare_fail_memory(err, bytes, "the bias of a product");
    }
    for (int64_t row = 0; row < rows; row++) {
        for (int64_t column = 0; column < p->n; column++) {
            spread[row * p->n + column] = beta * c[row * dims[1] + (dims[1] == 1 ? 0 : column)];
        }
    }
    status = upload(rows == 1 ? &m->bias : &m->packed[2], prepare, spread, rows * p->n, err);
    free(spread);
    m->beta = rows == 1 ? 0.0F : 1.0F;
    prepare->unread |= (uint64_t)1 << 2;
    return status;
}

static tare_status read_addend(prepared_matmul *m, tare_prepare *prepare, float beta,
                               const tare_product *p, tare_error *err) {
    int64_t dims[2];
    addend_dims(dims, &prepare->inputs[2]);
    if (prepare->constants[2] != NULL) {
        return pack_addend(m, prepare, beta, p, err);
    }
    if (dims[0] != p->m || dims[1] != p->n) {
        return tare_fail(err, TARE_UNSUPPORTED,
                         "a bias of %lld x %lld that is computed, for a product of %lld x %lld",
                         (long long)dims[0], (long long)dims[1], (long long)p->m, (long long)p->n);
    }
    m->addend = 2;
    m->beta = beta;
    return TARE_OK;
}

/* ---- epilogues ---- */

/* A residual first, if nothing else is added, then perhaps a Relu: that is cuBLASLt's order. */
static tare_status read_epilogues(bool *relu, prepared_matmul *m, const tare_prepare *prepare,
                                  tare_error *err) {
    *relu = false;
    for (size_t i = 0; i < prepare->epilogue_count; i++) {
        const tare_epilogue *epilogue = &prepare->epilogues[i];
        const bool is_relu =
            epilogue->kind == TARE_EPILOGUE_CLIP && epilogue->a == 0.0F && isinf(epilogue->b);
        if (is_relu && !*relu) {
            *relu = true;
        } else if (epilogue->kind == TARE_EPILOGUE_ADD && i == 0 && m->addend < 0 &&
                   m->packed[2] == NULL) {
            m->addend = (int)prepare->input_count;
            m->beta = 1.0F;
        } else {
            return tare_fail(err, TARE_UNSUPPORTED, "operation %zu behind a product", i + 1);
        }
    }
    return TARE_OK;
}

/* ---- descriptors ---- */

static tare_status set_operation(const prepared_matmul *m, cublasLtMatmulDescAttributes_t attribute,
                                 const void *value, size_t bytes, tare_error *err) {
    return check(
        m->device,
        m->device->api->cublasLtMatmulDescSetAttribute(m->operation, attribute, value, bytes),
        "cublasLtMatmulDescSetAttribute", err);
}

static tare_status make_operation(prepared_matmul *m, const tare_gemm_attrs *attrs, bool relu,
                                  tare_error *err) {
    const cublasComputeType_t compute = m->device->precision == TARE_PRECISION_TF32
                                            ? CUBLAS_COMPUTE_32F_FAST_TF32
                                            : CUBLAS_COMPUTE_32F;
    const int32_t first = attrs->trans_b ? CUBLAS_OP_T : CUBLAS_OP_N;
    const int32_t second = attrs->trans_a ? CUBLAS_OP_T : CUBLAS_OP_N;
    cublasLtEpilogue_t epilogue = CUBLASLT_EPILOGUE_DEFAULT;

    if (m->bias != NULL) {
        epilogue = relu ? CUBLASLT_EPILOGUE_RELU_BIAS : CUBLASLT_EPILOGUE_BIAS;
    } else if (relu) {
        epilogue = CUBLASLT_EPILOGUE_RELU;
    }
    TARE_TRY(check(m->device,
                   m->device->api->cublasLtMatmulDescCreate(&m->operation, compute, CUDA_R_32F),
                   "cublasLtMatmulDescCreate", err));
    TARE_TRY(set_operation(m, CUBLASLT_MATMUL_DESC_TRANSA, &first, sizeof first, err));
    TARE_TRY(set_operation(m, CUBLASLT_MATMUL_DESC_TRANSB, &second, sizeof second, err));
    TARE_TRY(set_operation(m, CUBLASLT_MATMUL_DESC_EPILOGUE, &epilogue, sizeof epilogue, err));
    if (m->bias != NULL) {
        TARE_TRY(
            set_operation(m, CUBLASLT_MATMUL_DESC_BIAS_POINTER, &m->bias, sizeof m->bias, err));
    }
    return TARE_OK;
}

/* A stack of row-major matrices, which cuBLASLt sees with rows and columns exchanged. */
typedef struct stack {
    int64_t rows, columns; /* as stored */
    int64_t stride;
} stack;

static tare_status make_layout(cublasLtMatrixLayout_t *out, const prepared_matmul *m,
                               const stack *shape, tare_error *err) {
    const tare_cuda_api *api = m->device->api;
    const cudaDataType_t type = m->device->storage == TARE_DTYPE_FLOAT16 ? CUDA_R_16F : CUDA_R_32F;
    const int32_t batch = (int32_t)m->cut.batch;

    TARE_TRY(check(m->device,
                   api->cublasLtMatrixLayoutCreate(out, type, (uint64_t)shape->columns,
                                                   (uint64_t)shape->rows, shape->columns),
                   "cublasLtMatrixLayoutCreate", err));
    TARE_TRY(check(m->device,
                   api->cublasLtMatrixLayoutSetAttribute(*out, CUBLASLT_MATRIX_LAYOUT_BATCH_COUNT,
                                                         &batch, sizeof batch),
                   "cublasLtMatrixLayoutSetAttribute", err));
    return check(m->device,
                 api->cublasLtMatrixLayoutSetAttribute(*out,
                                                       CUBLASLT_MATRIX_LAYOUT_STRIDED_BATCH_OFFSET,
                                                       &shape->stride, sizeof shape->stride),
                 "cublasLtMatrixLayoutSetAttribute", err);
}

/* The largest power of two that all starts of an operand are multiples of. */
static uint32_t alignment_of(const prepared_matmul *m, const int64_t *outer) {
    uint32_t alignment = ALIGNMENT;
    for (int axis = 0; axis < m->cut.outer_rank; axis++) {
        while ((uint64_t)outer[axis] * m->element_bytes % alignment != 0) {
            alignment /= 2;
        }
    }
    return alignment;
}

static tare_status set_preference(const prepared_matmul *m, cublasLtMatmulPreference_t preference,
                                  tare_error *err) {
    const struct {
        cublasLtMatmulPreferenceAttributes_t attribute;
        uint32_t value;
    } words[] = {
        {CUBLASLT_MATMUL_PREF_MIN_ALIGNMENT_A_BYTES, alignment_of(m, m->cut.b_outer)},
        {CUBLASLT_MATMUL_PREF_MIN_ALIGNMENT_B_BYTES, alignment_of(m, m->cut.a_outer)},
        {CUBLASLT_MATMUL_PREF_MIN_ALIGNMENT_C_BYTES, alignment_of(m, m->cut.d_outer)},
        {CUBLASLT_MATMUL_PREF_MIN_ALIGNMENT_D_BYTES, alignment_of(m, m->cut.d_outer)},
        {CUBLASLT_MATMUL_PREF_REDUCTION_SCHEME_MASK, CUBLASLT_REDUCTION_SCHEME_COMPUTE_TYPE},
    };
    const tare_cuda_api *api = m->device->api;
    const uint64_t workspace = WORKSPACE_BYTES;

    for (size_t i = 0; i < sizeof words / sizeof words[0]; i++) {
        TARE_TRY(check(m->device,
                       api->cublasLtMatmulPreferenceSetAttribute(
                           preference, words[i].attribute, &words[i].value, sizeof words[i].value),
                       "cublasLtMatmulPreferenceSetAttribute", err));
    }
    return check(m->device,
                 api->cublasLtMatmulPreferenceSetAttribute(preference,
                                                           CUBLASLT_MATMUL_PREF_MAX_WORKSPACE_BYTES,
                                                           &workspace, sizeof workspace),
                 "cublasLtMatmulPreferenceSetAttribute", err);
}

static tare_status choose_algorithm(prepared_matmul *m, tare_error *err) {
    const tare_cuda_api *api = m->device->api;
    cublasLtMatmulHeuristicResult_t found;
    cublasLtMatmulPreference_t preference = NULL;
    tare_status status;
    int count = 0;

    memset(&found, 0, sizeof found);
    TARE_TRY_DONE(status, check(m->device, api->cublasLtMatmulPreferenceCreate(&preference),
                                "cublasLtMatmulPreferenceCreate", err));
    TARE_TRY_DONE(status, set_preference(m, preference, err));
    if (api->cublasLtMatmulAlgoGetHeuristic(m->device->blas->handle, m->operation, m->right,
                                            m->left, m->result, m->result, preference, 1, &found,
                                            &count) != CUBLAS_STATUS_SUCCESS ||
        count == 0 || found.state != CUBLAS_STATUS_SUCCESS) {
        status = tare_fail(err, TARE_UNSUPPORTED, "cuBLASLt has no algorithm for this product");
        goto done;
    }
    m->algorithm = found.algo;
    m->workspace = found.workspaceSize;
done:
    if (preference != NULL) {
        (void)api->cublasLtMatmulPreferenceDestroy(preference);
    }
    return status;
}

static tare_status check_sizes(const prepared_matmul *m, const tare_product *p, tare_error *err) {
    if (p->m > INT32_MAX || p->n > INT32_MAX || p->k > INT32_MAX || m->cut.batch > INT32_MAX ||
        m->cut.calls > TARE_MATMUL_MAX_CALLS) {
        return tare_fail(err, TARE_UNSUPPORTED,
                         "a product of %lld x %lld x %lld, %lld times in %lld calls",
                         (long long)p->m, (long long)p->n, (long long)p->k, (long long)m->cut.batch,
                         (long long)m->cut.calls);
    }
    return TARE_OK;
}

/* Completes a product whose constants, bias and addend are known. */
static tare_status finish(prepared_matmul *m, tare_prepare *prepare, const tare_product *p,
                          const tare_gemm_attrs *attrs, tare_error *err) {
    const stack left = {.rows = attrs->trans_a ? p->k : p->m,
                        .columns = attrs->trans_a ? p->m : p->k,
                        .stride = m->cut.a_stride};
    const stack right = {.rows = attrs->trans_b ? p->n : p->k,
                         .columns = attrs->trans_b ? p->k : p->n,
                         .stride = m->cut.b_stride};
    const stack result = {.rows = p->m, .columns = p->n, .stride = m->cut.d_stride};
    bool relu;

    TARE_TRY(check_sizes(m, p, err));
    TARE_TRY(read_epilogues(&relu, m, prepare, err));
    TARE_TRY(pack_constants(m, prepare, err));
    TARE_TRY(make_operation(m, attrs, relu, err));
    TARE_TRY(make_layout(&m->left, m, &left, err));
    TARE_TRY(make_layout(&m->right, m, &right, err));
    TARE_TRY(make_layout(&m->result, m, &result, err));
    TARE_TRY(choose_algorithm(m, err));
    prepare->scratch_bytes = m->workspace;
    return TARE_OK;
}

static prepared_matmul begin(const tare_prepare *prepare, const tare_product *p, float alpha) {
    return (prepared_matmul){.device = prepare->device,
                             .alpha = alpha,
                             .addend = -1,
                             .cut = tare_matmul_cut_of(p),
                             .element_bytes = tare_dtype_bytes(prepare->device->storage)};
}

static tare_status prepare_matmul(tare_prepare *prepare, tare_error *err) {
    static const tare_gemm_attrs attrs = {.alpha = 1.0F};
    prepared_matmul *m = prepare->private_data;
    tare_product p;

    TARE_TRY(check_operands(prepare, err));
    p = tare_product_read(&prepare->inputs[0], &prepare->inputs[1]);
    *m = begin(prepare, &p, attrs.alpha);
    return finish(m, prepare, &p, &attrs, err);
}

static tare_status prepare_gemm(tare_prepare *prepare, tare_error *err) {
    const tare_gemm_attrs *attrs = prepare->attrs;
    const tare_desc *a = &prepare->inputs[0], *b = &prepare->inputs[1];
    prepared_matmul *m = prepare->private_data;
    tare_product p = {0};

    TARE_TRY(check_operands(prepare, err));
    p.m = a->dims[attrs->trans_a ? 1 : 0];
    p.k = a->dims[attrs->trans_a ? 0 : 1];
    p.n = b->dims[attrs->trans_b ? 0 : 1];
    *m = begin(prepare, &p, attrs->alpha);
    if (prepare->input_count > 2 && prepare->inputs[2].rank >= 0 && attrs->beta != 0.0F) {
        TARE_TRY(read_addend(m, prepare, attrs->beta, &p, err));
    }
    return finish(m, prepare, &p, attrs, err);
}

static void release_matmul(void *private_data) {
    prepared_matmul *m = private_data;
    const tare_cuda_api *api;

    if (m->device == NULL) {
        return;
    }
    api = m->device->api;
    if (m->operation != NULL) {
        (void)api->cublasLtMatmulDescDestroy(m->operation);
    }
    if (m->left != NULL) {
        (void)api->cublasLtMatrixLayoutDestroy(m->left);
    }
    if (m->right != NULL) {
        (void)api->cublasLtMatrixLayoutDestroy(m->right);
    }
    if (m->result != NULL) {
        (void)api->cublasLtMatrixLayoutDestroy(m->result);
    }
    for (size_t i = 0; i < sizeof m->packed / sizeof m->packed[0]; i++) {
        tare_cuda_free(m->device, m->packed[i]);
    }
    tare_cuda_free(m->device, m->bias);
}

/* ---- running ---- */

static tare_status run_matmul(const tare_run *run, tare_error *err) {
    const prepared_matmul *m = run->private_data;
    const char *left = m->packed[0] != NULL ? m->packed[0] : run->inputs[0];
    const char *right = m->packed[1] != NULL ? m->packed[1] : run->inputs[1];
    const char *addend = m->packed[2];
    char *result = run->outputs[0];

    if (m->addend >= 0) {
        addend = run->inputs[m->addend];
    }
    for (int64_t call = 0; call < m->cut.calls; call++) {
        int64_t at[3];
        char *d;
        tare_matmul_offsets(at, &m->cut, call);
        d = result + (size_t)at[2] * m->element_bytes;
        TARE_TRY(
            check(m->device,
                  m->device->api->cublasLtMatmul(
                      m->device->blas->handle, m->operation, &m->alpha,
                      right + (size_t)at[1] * m->element_bytes, m->right,
                      left + (size_t)at[0] * m->element_bytes, m->left, &m->beta,
                      addend == NULL ? d : addend + (size_t)at[2] * m->element_bytes, m->result, d,
                      m->result, &m->algorithm, run->scratch, m->workspace, run->queue->stream),
                  "cublasLtMatmul", err));
    }
    return TARE_OK;
}

static const tare_kernel rows[] = {
    {.name = "MatMul",
     .private_size = sizeof(prepared_matmul),
     .layout = TARE_LAYOUT_RULE_PLAIN,
     .takes_epilogues = true,
     .prepare = prepare_matmul,
     .run = run_matmul,
     .release = release_matmul},
    {.name = "Gemm",
     .private_size = sizeof(prepared_matmul),
     .layout = TARE_LAYOUT_RULE_PLAIN,
     .takes_epilogues = true,
     .prepare = prepare_gemm,
     .run = run_matmul,
     .release = release_matmul},
};

const tare_kernel_table tare_cuda_matmul_table = {rows, sizeof(rows) / sizeof(rows[0])};
