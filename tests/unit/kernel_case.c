/* SPDX-License-Identifier: Apache-2.0 */
/** Preparing and running one kernel; see the header. */
#include "kernel_case.h"

#include <criterion/criterion.h>
#include <pthread.h>
#include <stdlib.h>
#include <string.h>

#include "cpu/dnnl_kernels.h"

#define GUARD_BYTES ((size_t)256)
#define GUARD_VALUE 0xA5

tare_desc kernel_case_desc(int rank, const int64_t *dims, bool last) {
    tare_desc desc = {.dtype = TARE_DTYPE_FLOAT, .rank = rank};
    for (int i = 0; i < rank; i++) {
        desc.dims[i] = dims[i];
    }
    if (last && rank >= 3 && rank <= 5) {
        desc.layout = TARE_LAYOUT_CHANNELS_LAST;
    }
    return desc;
}

const tare_kernel *kernel_case_row(const tare_kernel_table *table, const char *name) {
    for (size_t i = 0; i < table->count; i++) {
        if (strcmp(table->rows[i].name, name) == 0) {
            return &table->rows[i];
        }
    }
    cr_assert(false, "no row '%s'", name);
    return NULL;
}

void kernel_case_fill(float *data, int64_t count, uint32_t seed) {
    uint32_t state = seed * 2654435761u + 1u;
    for (int64_t i = 0; i < count; i++) {
        state = state * 1664525u + 1013904223u;
        data[i] = (float)(state >> 8) / 8388608.0f - 1.0f;
    }
}

/** Copies between row-major order and a descriptor's layout. */
static void arrange(float *laid_out, float *plain, const tare_desc *desc, bool to_plain) {
    int64_t strides[TARE_MAX_RANK], index[TARE_MAX_RANK] = {0};
    tare_desc_strides(strides, desc);
    const int64_t count = tare_desc_count(desc);
    for (int64_t i = 0; i < count; i++) {
        int64_t at = 0;
        for (int axis = 0; axis < desc->rank; axis++) {
            at += index[axis] * strides[axis];
        }
        if (to_plain) {
            plain[i] = laid_out[at];
        } else {
            laid_out[at] = plain[i];
        }
        for (int axis = desc->rank - 1; axis >= 0 && ++index[axis] == desc->dims[axis]; axis--) {
            index[axis] = 0;
        }
    }
}

/** Memory with a guard behind it. */
static unsigned char *guarded_new(size_t bytes) {
    const size_t total = (bytes + GUARD_BYTES + 63) / 64 * 64;
    unsigned char *memory = aligned_alloc(64, total);
    cr_assert_not_null(memory);
    memset(memory, GUARD_VALUE, total);
    return memory;
}

static void guarded_free(unsigned char *memory, size_t bytes, const char *what) {
    for (size_t i = 0; i < GUARD_BYTES; i++) {
        cr_assert_eq(memory[bytes + i], GUARD_VALUE, "%s: byte %zu behind the end was written",
                     what, i);
    }
    free(memory);
}

typedef struct runner {
    const kernel_case *c;
    const void *private_data;
    const void *const *inputs;
    size_t scratch_bytes, output_bytes;
    unsigned char *output;
    tare_status status;
    tare_error error;
    pthread_t thread;
} runner;

static void thread_begin(const kernel_case *c) {
    tare_dnnl_thread_begin(c->threads_per_run == 0 ? 1 : c->threads_per_run);
}

static void *run_thread(void *context) {
    runner *r = context;
    thread_begin(r->c);
    unsigned char *scratch = guarded_new(r->scratch_bytes);
    void *outputs[1] = {r->output};
    const tare_run run = {.private_data = r->private_data,
                          .inputs = r->inputs,
                          .outputs = outputs,
                          .scratch = scratch};
    for (int i = 0; i < (r->c->threads > 1 ? 20 : 1); i++) {
        r->status = r->c->kernel->run(&run, &r->error);
    }
    guarded_free(scratch, r->scratch_bytes, "scratch");
    return NULL;
}

static void run_all(float *out, const kernel_case *c, runner *first, tare_error *err) {
    runner others[8];
    const int threads = c->threads == 0 ? 1 : c->threads;
    cr_assert_leq(threads, 8);
    for (int i = 0; i < threads; i++) {
        others[i] = *first;
        others[i].output = guarded_new(first->output_bytes);
        cr_assert_eq(pthread_create(&others[i].thread, NULL, run_thread, &others[i]), 0);
    }
    for (int i = 0; i < threads; i++) {
        pthread_join(others[i].thread, NULL);
        cr_assert_eq(others[i].status, TARE_OK, "%s", others[i].error.text);
        cr_assert_eq(memcmp(others[i].output, others[0].output, first->output_bytes), 0,
                     "threads disagree");
    }
    arrange((float *)others[0].output, out, &c->output, true);
    for (int i = 0; i < threads; i++) {
        guarded_free(others[i].output, first->output_bytes, "output");
    }
    *err = others[0].error;
}

tare_status kernel_case_run(float *out, const kernel_case *c, tare_error *err) {
    tare_tensor tensors[KERNEL_CASE_MAX_INPUTS] = {0};
    const tare_tensor *constants[KERNEL_CASE_MAX_INPUTS] = {0};
    float *copies[KERNEL_CASE_MAX_INPUTS] = {0};
    const void *inputs[KERNEL_CASE_MAX_INPUTS] = {0};
    size_t count = c->input_count;
    for (size_t i = 0; i < c->epilogue_count; i++) {
        count += c->epilogues[i].kind == TARE_EPILOGUE_ADD ? 1 : 0;
    }
    for (size_t i = 0; i < count; i++) {
        const tare_desc *desc = i < c->input_count ? &c->inputs[i] : &c->output;
        if (desc->rank < 0) {
            continue;
        }
        copies[i] = malloc(tare_desc_bytes(desc) + 1);
        arrange(copies[i], (float *)c->data[i], desc, false);
        inputs[i] = copies[i];
        if (i < c->input_count && c->constant[i]) {
            tensors[i].dtype = desc->dtype;
            tensors[i].rank = desc->rank;
            memcpy(tensors[i].dims, desc->dims, sizeof(desc->dims));
            tensors[i].data = copies[i];
            constants[i] = &tensors[i];
        }
    }
    tare_prepare prepare = {.attrs = c->attrs,
                            .input_count = c->input_count,
                            .inputs = c->inputs,
                            .constants = constants,
                            .output_count = 1,
                            .outputs = &c->output,
                            .epilogue_count = c->epilogue_count,
                            .epilogues = c->epilogues,
                            .private_data = calloc(1, c->kernel->private_size + 1)};
    thread_begin(c);
    const tare_status status = c->kernel->prepare(&prepare, err);
    if (status == TARE_OK) {
        runner first = {.c = c,
                        .private_data = prepare.private_data,
                        .inputs = inputs,
                        .scratch_bytes = prepare.scratch_bytes,
                        .output_bytes = tare_desc_bytes(&c->output)};
        run_all(out, c, &first, err);
    } else {
        cr_assert_eq(status, TARE_UNSUPPORTED, "%s", err->text);
    }
    if (c->kernel->release != NULL) {
        c->kernel->release(prepare.private_data);
    }
    free(prepare.private_data);
    for (size_t i = 0; i < count; i++) {
        free(copies[i]);
    }
    return status;
}
