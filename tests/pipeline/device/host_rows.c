/* SPDX-License-Identifier: Apache-2.0 */
/** The test device's kernels: the CPU's, on float32 copies of float16 operands. */
#include <stdlib.h>
#include <string.h>

#include "cpu/backend.h"
#include "host_device.h"
#include "ir/half.h"
#include "ops/op.h"

#define MAX_ROWS 256

typedef struct host_row {
    tare_device *device;
    const tare_kernel *kernel; /* of the CPU; NULL: a reorder */
    void *private_data;
    size_t input_count, output_count; /* residual operands included */
    tare_desc *inputs, *outputs;
    bool *constant;
} host_row;

void host_convert(void *to, tare_dtype to_dtype, const void *from, tare_dtype from_dtype,
                  int64_t count) {
    if (to_dtype == from_dtype) {
        memcpy(to, from, (size_t)count * tare_dtype_bytes(to_dtype));
        return;
    }
    for (int64_t i = 0; i < count; i++) {
        if (to_dtype == TARE_DTYPE_FLOAT) {
            ((float *)to)[i] = (float)tare_half_to_double(((const uint16_t *)from)[i]);
        } else {
            ((uint16_t *)to)[i] = tare_half_from_double((double)((const float *)from)[i]);
        }
    }
}

static tare_desc as_float(const tare_desc *desc, bool constant) {
    tare_desc out = *desc;
    if (!constant && out.rank >= 0 && out.dtype == TARE_DTYPE_FLOAT16) {
        out.dtype = TARE_DTYPE_FLOAT;
    }
    return out;
}

static bool is_refused(const tare_device *device, const char *name) {
    const char *at = device->refuses == NULL ? NULL : strstr(device->refuses, name);
    const size_t length = strlen(name);
    return at != NULL && at > device->refuses && at[-1] == ' ' && at[length] == ' ';
}

static tare_status describe(host_row *row, tare_prepare *inner, const tare_prepare *prepare,
                            tare_error *err) {
    const size_t inputs = prepare->input_count + prepare->epilogue_count;
    tare_desc *as_inputs = calloc(inputs + 1, sizeof *as_inputs);
    tare_desc *as_outputs = calloc(prepare->output_count + 1, sizeof *as_outputs);

    row->device = prepare->device;
    row->inputs = calloc(inputs + 1, sizeof *row->inputs);
    row->outputs = calloc(prepare->output_count + 1, sizeof *row->outputs);
    row->constant = calloc(inputs + 1, sizeof *row->constant);
    if (as_inputs == NULL || as_outputs == NULL || row->inputs == NULL || row->outputs == NULL ||
        row->constant == NULL) {
        free(as_inputs);
        free(as_outputs);
        return tare_fail_memory(err, inputs * sizeof *row->inputs, "a kernel");
    }
    for (size_t i = 0; i < prepare->input_count; i++) {
        row->inputs[i] = prepare->inputs[i];
        row->constant[i] = prepare->constants[i] != NULL;
        as_inputs[i] = as_float(&prepare->inputs[i], row->constant[i]);
    }
    row->input_count = prepare->input_count;
    for (size_t i = 0; i < prepare->output_count; i++) {
        row->outputs[i] = prepare->outputs[i];
        as_outputs[i] = as_float(&prepare->outputs[i], false);
    }
    row->output_count = prepare->output_count;
    for (size_t i = 0; i < prepare->epilogue_count; i++) {
        if (prepare->epilogues[i].kind == TARE_EPILOGUE_ADD) {
            row->inputs[row->input_count++] = prepare->outputs[0];
        }
    }
    inner->device = NULL;
    inner->inputs = as_inputs;
    inner->outputs = as_outputs;
    return TARE_OK;
}

static tare_status prepare_inner(host_row *row, tare_prepare *inner, tare_layout_rule rule,
                                 tare_error *err) {
    const char *name = tare_op_kernel(inner->node->op);
    tare_status status = tare_fail(err, TARE_UNSUPPORTED, "no row");
    const tare_kernel *kernel;
    for (size_t n = 0; status == TARE_UNSUPPORTED &&
                       (kernel = tare_backend_kernel(&tare_backend_cpu, name, n)) != NULL;
         n++) {
        if (kernel->layout != rule || (inner->epilogue_count > 0 && !kernel->takes_epilogues)) {
            continue;
        }
        row->kernel = kernel;
        row->private_data = inner->private_data = calloc(1, kernel->private_size + 64);
        status = kernel->prepare == NULL ? TARE_OK : kernel->prepare(inner, err);
        if (status != TARE_OK) {
            if (kernel->release != NULL) {
                kernel->release(row->private_data);
            }
            free(row->private_data);
            row->private_data = NULL;
        }
    }
    return status;
}

static tare_status prepare_row(tare_prepare *prepare, tare_layout_rule rule, tare_error *err) {
    host_row *row = prepare->private_data;
    tare_prepare inner = *prepare;
    tare_status status;

    TARE_TRY(host_device_call(prepare->device, "a kernel", err));
    if (is_refused(prepare->device, tare_op_kernel(prepare->node->op))) {
        return tare_fail(err, TARE_UNSUPPORTED, "refused");
    }
    TARE_TRY(describe(row, &inner, prepare, err));
    status = prepare_inner(row, &inner, rule, err);
    prepare->scratch_bytes = inner.scratch_bytes;
    free((void *)(uintptr_t)inner.inputs);
    free((void *)(uintptr_t)inner.outputs);
    return status;
}

static tare_status prepare_plain(tare_prepare *prepare, tare_error *err) {
    return prepare_row(prepare, TARE_LAYOUT_RULE_PLAIN, err);
}
static tare_status prepare_last(tare_prepare *prepare, tare_error *err) {
    return prepare_row(prepare, TARE_LAYOUT_RULE_LAST, err);
}
static tare_status prepare_follow(tare_prepare *prepare, tare_error *err) {
    return prepare_row(prepare, TARE_LAYOUT_RULE_FOLLOW, err);
}
static tare_status prepare_any(tare_prepare *prepare, tare_error *err) {
    return prepare_row(prepare, TARE_LAYOUT_RULE_ANY, err);
}

static tare_status prepare_reorder(tare_prepare *prepare, tare_error *err) {
    tare_prepare inner = *prepare;
    const tare_status status = describe(prepare->private_data, &inner, prepare, err);
    if (status == TARE_OK) {
        free((void *)(uintptr_t)inner.inputs);
        free((void *)(uintptr_t)inner.outputs);
    }
    return status;
}

static void release_row(void *private_data) {
    host_row *row = private_data;
    if (row->private_data != NULL && row->kernel->release != NULL) {
        row->kernel->release(row->private_data);
    }
    free(row->private_data);
    free(row->inputs);
    free(row->outputs);
    free(row->constant);
}

static void reorder(const host_row *row, void *to, const void *from) {
    const tare_desc *a = &row->outputs[0], *b = &row->inputs[0];
    const size_t to_size = tare_dtype_bytes(a->dtype), from_size = tare_dtype_bytes(b->dtype);
    int64_t to_stride[TARE_MAX_RANK], from_stride[TARE_MAX_RANK];
    tare_desc_strides(to_stride, a);
    tare_desc_strides(from_stride, b);
    for (int64_t i = 0; i < tare_desc_count(a); i++) {
        int64_t rest = i, x = 0, y = 0;
        for (int axis = a->rank - 1; axis >= 0; axis--) {
            x += rest % a->dims[axis] * to_stride[axis];
            y += rest % a->dims[axis] * from_stride[axis];
            rest /= a->dims[axis];
        }
        host_convert((char *)to + (size_t)x * to_size, a->dtype,
                     (const char *)from + (size_t)y * from_size, b->dtype, 1);
    }
}

/* Float32 storage is used in place. */
static tare_status do_row(host_work *self, tare_error *err) {
    const host_row *row = self->payload.kernel.row;
    const void **inputs = calloc(row->input_count + 1, sizeof *inputs);
    void **outputs = calloc(row->output_count + 1, sizeof *outputs);
    const tare_run run = {.private_data = row->private_data,
                          .inputs = inputs,
                          .outputs = outputs,
                          .scratch = self->payload.kernel.scratch};
    tare_status status;

    for (size_t i = 0; i < row->input_count; i++) {
        const tare_desc desc = as_float(&row->inputs[i], row->constant[i]);
        inputs[i] = self->payload.kernel.inputs[i];
        if (inputs[i] != NULL && desc.dtype != row->inputs[i].dtype) {
            void *copy = aligned_alloc(64, (tare_desc_bytes(&desc) + 64) & ~(size_t)63);
            host_convert(copy, desc.dtype, inputs[i], row->inputs[i].dtype, tare_desc_count(&desc));
            inputs[i] = copy;
        }
    }
    for (size_t i = 0; i < row->output_count; i++) {
        const tare_desc desc = as_float(&row->outputs[i], false);
        outputs[i] = desc.rank < 0 ? NULL : self->payload.kernel.outputs[i];
        if (outputs[i] != NULL && desc.dtype != row->outputs[i].dtype) {
            outputs[i] = aligned_alloc(64, (tare_desc_bytes(&desc) + 64) & ~(size_t)63);
        }
    }
    if (row->kernel == NULL) {
        reorder(row, self->payload.kernel.outputs[0], self->payload.kernel.inputs[0]);
        status = TARE_OK;
    } else {
        status = row->kernel->run(&run, err);
    }
    for (size_t i = 0; i < row->output_count; i++) {
        if (outputs[i] != self->payload.kernel.outputs[i] && outputs[i] != NULL) {
            if (row->kernel != NULL) {
                host_convert(self->payload.kernel.outputs[i], row->outputs[i].dtype, outputs[i],
                             TARE_DTYPE_FLOAT, tare_desc_count(&row->outputs[i]));
            }
            free(outputs[i]);
        }
    }
    for (size_t i = 0; i < row->input_count; i++) {
        if (inputs[i] != self->payload.kernel.inputs[i]) {
            free((void *)(uintptr_t)inputs[i]);
        }
    }
    free(inputs);
    free(outputs);
    return status;
}

static void release_work(host_work *self) {
    free(self->payload.kernel.inputs);
    free(self->payload.kernel.outputs);
}

static tare_status run_row(const tare_run *run, tare_error *err) {
    const host_row *row = run->private_data;
    host_work push = {.run = do_row, .release = release_work};
    const size_t inputs = row->input_count, outputs = row->output_count;

    TARE_TRY(host_device_call(row->device, "running a kernel", err));
    push.payload.kernel.row = row;
    push.payload.kernel.scratch = run->scratch;
    push.payload.kernel.inputs = calloc(inputs + 1, sizeof *push.payload.kernel.inputs);
    push.payload.kernel.outputs = calloc(outputs + 1, sizeof *push.payload.kernel.outputs);
    memcpy(push.payload.kernel.inputs, run->inputs, inputs * sizeof *run->inputs);
    memcpy(push.payload.kernel.outputs, run->outputs, outputs * sizeof *run->outputs);
    return host_queue_push(run->queue, &push, err);
}

static tare_kernel rows[MAX_ROWS];
static pthread_once_t rows_once = PTHREAD_ONCE_INIT;

static void mirror(tare_kernel *row, const tare_kernel *original) {
    static tare_status (*const prepares[])(tare_prepare *, tare_error *) = {
        [TARE_LAYOUT_RULE_PLAIN] = prepare_plain,
        [TARE_LAYOUT_RULE_LAST] = prepare_last,
        [TARE_LAYOUT_RULE_FOLLOW] = prepare_follow,
        [TARE_LAYOUT_RULE_ANY] = prepare_any};
    *row = *original;
    row->private_size = sizeof(host_row);
    row->prepare =
        strcmp(original->name, "Reorder") == 0 ? prepare_reorder : prepares[original->layout];
    row->run = run_row;
    row->release = release_row;
}

static void fill_rows(void) {
    size_t count = 0;
    for (size_t t = 0; t < tare_backend_cpu.table_count; t++) {
        const tare_kernel_table *source = tare_backend_cpu.tables[t];
        for (size_t r = 0; r < source->count && count < MAX_ROWS; r++) {
            mirror(&rows[count++], &source->rows[r]);
        }
    }
    /* The table was made with its full length: what is left is a name that nobody asks for. */
    for (; count < MAX_ROWS; count++) {
        rows[count].name = "";
    }
}

void host_rows_init(void) {
    (void)pthread_once(&rows_once, fill_rows);
}

const tare_kernel_table host_rows = {rows, MAX_ROWS};
