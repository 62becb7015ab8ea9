/* SPDX-License-Identifier: Apache-2.0 */
/** A device for tests of planner and executor, made of host memory and the CPU backend's kernels.
 */
#include "fake_device.h"

#include <criterion/criterion.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "cpu/backend.h"
#include "ir/half.h"
#include "ops/op.h"

#define MAX_OPERANDS 24
#define POISON       0xFB /* as float16 and float32 a large negative number */

/* ---- memory ---- */

void fake_device_init(tare_device *device, tare_dtype storage) {
    *device = (tare_device){.storage = storage, .fail_at = -1};
}

static bool fails(tare_device *device) {
    return device->calls++ == device->fail_at;
}

static tare_status injected(tare_error *err, const char *what) {
    return tare_fail(err, TARE_BACKEND, "%s: injected", what);
}

static void check_inside(const tare_device *device, const void *memory, size_t bytes, bool pinned) {
    const char *at = memory;
    for (size_t i = 0; i < FAKE_ALLOCATIONS; i++) {
        const fake_allocation *a = &device->allocations[i];
        if (a->memory != NULL && a->pinned == pinned && at >= a->memory &&
            at + bytes <= a->memory + a->bytes) {
            return;
        }
    }
    cr_assert_fail("%zu bytes at %p are not in the memory they should be in", bytes, memory);
}

static bool is_known(const tare_device *device, const void *memory) {
    const char *at = memory;
    for (size_t i = 0; i < FAKE_ALLOCATIONS; i++) {
        const fake_allocation *a = &device->allocations[i];
        if (a->memory != NULL && at >= a->memory && at < a->memory + a->bytes) {
            return true;
        }
    }
    return false;
}

static tare_status allocate(void **out, tare_device *device, size_t bytes, bool pinned,
                            tare_error *err) {
    cr_assert_gt(bytes, 0);
    if (fails(device)) {
        return injected(err, "memory");
    }
    for (size_t i = 0; i < FAKE_ALLOCATIONS; i++) {
        fake_allocation *a = &device->allocations[i];
        if (a->memory == NULL) {
            *a = (fake_allocation){aligned_alloc(256, (bytes + 255) & ~(size_t)255), bytes, pinned};
            memset(a->memory, POISON, bytes);
            *out = a->memory;
            return TARE_OK;
        }
    }
    cr_assert_fail("more allocations than the fake device knows");
    return TARE_INTERNAL;
}

static tare_status memory_new(void **out, tare_device *device, size_t bytes, tare_error *err) {
    return allocate(out, device, bytes, false, err);
}

static tare_status pinned_new(void **out, tare_device *device, size_t bytes, tare_error *err) {
    return allocate(out, device, bytes, true, err);
}

static void memory_free(tare_device *device, void *memory) {
    for (size_t i = 0; i < FAKE_ALLOCATIONS; i++) {
        if (device->allocations[i].memory == memory) {
            device->allocations[i] = (fake_allocation){NULL, 0, false};
            free(memory);
            return;
        }
    }
    cr_assert_fail("memory that was never allocated is freed");
}

void fake_device_check_empty(const tare_device *device) {
    for (size_t i = 0; i < FAKE_ALLOCATIONS; i++) {
        cr_assert_null(device->allocations[i].memory);
    }
    cr_assert_eq(device->prepared, 0, "%zu kernels are left", device->prepared);
    cr_assert_eq(device->queues, 0);
}

/* ---- kernels: those of the CPU, on float32 copies of the operands ---- */

typedef struct fake_kernel {
    tare_device *device;
    const tare_kernel *kernel; /* NULL: a reorder */
    void *private_data;
    size_t input_count, output_count; /* residual operands included */
    tare_desc inputs[MAX_OPERANDS], outputs[MAX_OPERANDS];
    const void *taken[MAX_OPERANDS]; /* constants that prepare took over */
    bool is_constant[MAX_OPERANDS];
    size_t scratch_bytes;
} fake_kernel;

static tare_desc as_float(const tare_desc *desc, bool constant) {
    tare_desc out = *desc;
    if (!constant && out.rank >= 0 && out.dtype == TARE_DTYPE_FLOAT16) {
        out.dtype = TARE_DTYPE_FLOAT;
    }
    return out;
}

static void *room(size_t bytes) {
    return aligned_alloc(64, (bytes + 64) & ~(size_t)63);
}

/* Elements of a desc, in the same order, from the type of `from` to that of `to`. */
static void convert(void *to, tare_dtype to_dtype, const void *from, tare_dtype from_dtype,
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

static tare_status prepare_inner(fake_kernel *fake, tare_prepare *inner, const char *name,
                                 tare_layout_rule rule, tare_error *err) {
    tare_status status = tare_fail(err, TARE_UNSUPPORTED, "no row");
    const tare_kernel *kernel;
    for (size_t n = 0; status == TARE_UNSUPPORTED &&
                       (kernel = tare_backend_kernel(&tare_backend_cpu, name, n)) != NULL;
         n++) {
        if (kernel->layout != rule || (inner->epilogue_count > 0 && !kernel->takes_epilogues)) {
            continue;
        }
        fake->kernel = kernel;
        fake->private_data = inner->private_data = calloc(1, kernel->private_size + 64);
        status = kernel->prepare == NULL ? TARE_OK : kernel->prepare(inner, err);
        if (status != TARE_OK) {
            if (kernel->release != NULL) {
                kernel->release(fake->private_data);
            }
            free(fake->private_data);
            fake->private_data = NULL;
        }
    }
    return status;
}

static bool is_refused(const tare_device *device, const char *name) {
    char text[64];
    snprintf(text, sizeof text, " %s ", name);
    return device->refused != NULL && strstr(device->refused, text) != NULL;
}

/* Checks what holds for every operand of a device plan. */
static void describe(fake_kernel *fake, tare_desc *inputs, tare_desc *outputs,
                     const tare_prepare *prepare) {
    const tare_dtype other = TARE_DTYPE_FLOAT;
    for (size_t i = 0; i < prepare->input_count; i++) {
        fake->inputs[i] = prepare->inputs[i];
        fake->is_constant[i] = prepare->constants[i] != NULL;
        if (fake->is_constant[i]) {
            cr_assert_eq(prepare->inputs[i].dtype, prepare->constants[i]->dtype);
        } else if (fake->device->storage != other && prepare->inputs[i].rank >= 0) {
            cr_assert_neq(prepare->inputs[i].dtype, other);
        }
        inputs[i] = as_float(&fake->inputs[i], fake->is_constant[i]);
    }
    for (size_t i = 0; i < prepare->output_count; i++) {
        fake->outputs[i] = prepare->outputs[i];
        outputs[i] = as_float(&fake->outputs[i], false);
    }
}

static tare_status fake_prepare(tare_prepare *prepare, tare_layout_rule rule, tare_error *err) {
    const char *name = tare_op_kernel(prepare->node->op);
    fake_kernel *fake = prepare->private_data;
    tare_desc inputs[MAX_OPERANDS], outputs[MAX_OPERANDS];
    tare_prepare inner = *prepare;
    tare_status status;

    cr_assert_leq(prepare->input_count, MAX_OPERANDS - TARE_MAX_EPILOGUES);
    cr_assert_leq(prepare->output_count, MAX_OPERANDS);
    fake->device = prepare->device;
    if (fails(fake->device)) {
        return injected(err, "prepare");
    }
    if (is_refused(fake->device, name)) {
        return tare_fail(err, TARE_UNSUPPORTED, "refused");
    }
    describe(fake, inputs, outputs, prepare);
    inner.device = NULL;
    inner.inputs = inputs;
    inner.outputs = outputs;
    status = prepare_inner(fake, &inner, name, rule, err);
    if (status != TARE_OK) {
        return status;
    }
    fake->input_count = prepare->input_count;
    fake->output_count = prepare->output_count;
    for (size_t i = 0; i < prepare->epilogue_count; i++) {
        if (prepare->epilogues[i].kind == TARE_EPILOGUE_ADD) {
            fake->inputs[fake->input_count++] = prepare->outputs[0];
        }
    }
    for (size_t i = 1; i < prepare->input_count && fake->device->takes_over; i++) {
        if (strcmp(name, "Conv") == 0 && fake->is_constant[i]) {
            fake->taken[i] = prepare->constants[i]->data;
            prepare->unread |= (uint64_t)1 << i;
        }
    }
    prepare->scratch_bytes = fake->scratch_bytes = inner.scratch_bytes;
    prepare->weight_bytes = inner.weight_bytes;
    fake->device->prepared++;
    return TARE_OK;
}

static tare_status prepare_plain(tare_prepare *prepare, tare_error *err) {
    return fake_prepare(prepare, TARE_LAYOUT_RULE_PLAIN, err);
}
static tare_status prepare_last(tare_prepare *prepare, tare_error *err) {
    return fake_prepare(prepare, TARE_LAYOUT_RULE_LAST, err);
}
static tare_status prepare_follow(tare_prepare *prepare, tare_error *err) {
    return fake_prepare(prepare, TARE_LAYOUT_RULE_FOLLOW, err);
}
static tare_status prepare_any(tare_prepare *prepare, tare_error *err) {
    return fake_prepare(prepare, TARE_LAYOUT_RULE_ANY, err);
}

static tare_status prepare_reorder(tare_prepare *prepare, tare_error *err) {
    fake_kernel *fake = prepare->private_data;
    fake->device = prepare->device;
    if (fails(fake->device)) {
        return injected(err, "prepare");
    }
    if (is_refused(fake->device, "Reorder")) {
        return tare_fail(err, TARE_UNSUPPORTED, "refused");
    }
    fake->input_count = fake->output_count = 1;
    fake->inputs[0] = prepare->inputs[0];
    fake->outputs[0] = prepare->outputs[0];
    fake->device->prepared++;
    return TARE_OK;
}

static void fake_release(void *private_data) {
    fake_kernel *fake = private_data;
    if (fake->input_count + fake->output_count > 0) {
        fake->device->prepared--;
    }
    if (fake->private_data != NULL && fake->kernel->release != NULL) {
        fake->kernel->release(fake->private_data);
    }
    free(fake->private_data);
}

static void reorder(const fake_kernel *fake, void *to, const void *from) {
    const tare_desc *a = &fake->outputs[0], *b = &fake->inputs[0];
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
        convert((char *)to + (size_t)x * to_size, a->dtype,
                (const char *)from + (size_t)y * from_size, b->dtype, 1);
    }
}

/* What run was given, kept until the queue gets to it. */
typedef struct fake_work {
    bool is_copy;
    tare_copy copy;
    const fake_kernel *fake;
    const void *inputs[MAX_OPERANDS];
    void *outputs[MAX_OPERANDS], *scratch;
} fake_work;

static void check_operands(const fake_work *work) {
    const fake_kernel *fake = work->fake;
    for (size_t i = 0; i < fake->input_count; i++) {
        if (work->inputs[i] != NULL) {
            check_inside(fake->device, work->inputs[i], tare_desc_bytes(&fake->inputs[i]), false);
        } else {
            cr_assert(fake->taken[i] != NULL || fake->inputs[i].rank < 0);
        }
    }
    for (size_t i = 0; i < fake->output_count; i++) {
        if (fake->outputs[i].rank >= 0) {
            check_inside(fake->device, work->outputs[i], tare_desc_bytes(&fake->outputs[i]), false);
        }
    }
    if (fake->scratch_bytes > 0) {
        check_inside(fake->device, work->scratch, fake->scratch_bytes, false);
    }
}

static tare_status do_kernel(const fake_work *work, tare_error *err) {
    const fake_kernel *fake = work->fake;
    void *inputs[MAX_OPERANDS] = {NULL}, *outputs[MAX_OPERANDS] = {NULL};
    const void *read[MAX_OPERANDS];
    const tare_run run = {.private_data = fake->private_data,
                          .inputs = read,
                          .outputs = outputs,
                          .scratch = work->scratch};
    tare_status status;

    check_operands(work);
    if (fake->kernel == NULL) {
        reorder(fake, work->outputs[0], work->inputs[0]);
        return TARE_OK;
    }
    for (size_t i = 0; i < fake->input_count; i++) {
        const tare_desc desc = as_float(&fake->inputs[i], fake->is_constant[i]);
        const void *from = fake->taken[i] != NULL ? fake->taken[i] : work->inputs[i];
        read[i] = NULL;
        if (from != NULL) {
            inputs[i] = room(tare_desc_bytes(&desc));
            convert(inputs[i], desc.dtype, from, fake->inputs[i].dtype, tare_desc_count(&desc));
            read[i] = inputs[i];
        }
    }
    for (size_t i = 0; i < fake->output_count; i++) {
        const tare_desc desc = as_float(&fake->outputs[i], false);
        outputs[i] = desc.rank < 0 ? NULL : room(tare_desc_bytes(&desc));
    }
    status = fake->kernel->run(&run, err);
    for (size_t i = 0; i < fake->output_count; i++) {
        const tare_desc desc = as_float(&fake->outputs[i], false);
        if (outputs[i] != NULL) {
            convert(work->outputs[i], fake->outputs[i].dtype, outputs[i], desc.dtype,
                    tare_desc_count(&desc));
        }
        free(outputs[i]);
    }
    for (size_t i = 0; i < fake->input_count; i++) {
        free(inputs[i]);
    }
    return status;
}

/* ---- queues: nothing is done before somebody waits ---- */

struct tare_queue {
    tare_device *device;
    fake_work *works;
    size_t count;
};

static tare_status queue_new(tare_queue **out, tare_device *device, tare_error *err) {
    if (fails(device)) {
        return injected(err, "queue");
    }
    *out = calloc(1, sizeof **out);
    (*out)->device = device;
    device->queues++;
    return TARE_OK;
}

static tare_status do_all(tare_queue *queue, tare_error *err) {
    tare_status status = TARE_OK;
    for (size_t i = 0; i < queue->count; i++) {
        const fake_work *work = &queue->works[i];
        if (status == TARE_OK && work->is_copy) {
            memcpy(work->copy.to, work->copy.from, work->copy.bytes);
            queue->device->copies++;
        } else if (status == TARE_OK) {
            status = do_kernel(work, err);
            queue->device->runs++;
        }
    }
    queue->count = 0;
    return status;
}

static void queue_free(tare_queue *queue) {
    if (queue != NULL) {
        (void)do_all(queue, NULL);
        queue->device->queues--;
        free(queue->works);
        free(queue);
    }
}

static tare_status wait_for(tare_queue *queue, tare_error *err) {
    return fails(queue->device) ? injected(err, "wait") : do_all(queue, err);
}

static fake_work *add_work(tare_queue *queue) {
    queue->works = realloc(queue->works, (queue->count + 1) * sizeof *queue->works);
    memset(&queue->works[queue->count], 0, sizeof *queue->works);
    return &queue->works[queue->count++];
}

static tare_status copy(tare_queue *queue, const tare_copy *what, tare_error *err) {
    const bool up = what->kind == TARE_COPY_TO_DEVICE;
    fake_work *work;
    cr_assert_neq(what->kind, TARE_COPY_ON_DEVICE);
    cr_assert_gt(what->bytes, 0);
    if (fails(queue->device)) {
        return injected(err, "copy");
    }
    check_inside(queue->device, up ? what->to : what->from, what->bytes, false);
    if (is_known(queue->device, up ? what->from : what->to)) {
        check_inside(queue->device, up ? what->from : what->to, what->bytes, true);
    }
    queue->device->uploaded_bytes += up ? what->bytes : 0;
    work = add_work(queue);
    work->is_copy = true;
    work->copy = *what;
    return TARE_OK;
}

static tare_status fake_run(const tare_run *run, tare_error *err) {
    const fake_kernel *fake = run->private_data;
    fake_work *work;
    if (fails(fake->device)) {
        return injected(err, "run");
    }
    work = add_work(run->queue);
    work->fake = fake;
    work->scratch = run->scratch;
    memcpy(work->inputs, run->inputs, fake->input_count * sizeof work->inputs[0]);
    memcpy(work->outputs, run->outputs, fake->output_count * sizeof work->outputs[0]);
    return TARE_OK;
}

/* ---- the backend ---- */

static void facts(tare_device_facts *out, tare_device *device) {
    *out = (tare_device_facts){.name = "fake", .storage = device->storage};
}

static const tare_device_functions functions = {.facts = facts,
                                                .memory_new = memory_new,
                                                .memory_free = memory_free,
                                                .pinned_new = pinned_new,
                                                .pinned_free = memory_free,
                                                .queue_new = queue_new,
                                                .queue_free = queue_free,
                                                .copy = copy,
                                                .wait = wait_for};

#define MAX_ROWS 256

static void mirror(tare_kernel *row, const tare_kernel *original) {
    static tare_status (*const prepares[])(tare_prepare *, tare_error *) = {
        [TARE_LAYOUT_RULE_PLAIN] = prepare_plain,
        [TARE_LAYOUT_RULE_LAST] = prepare_last,
        [TARE_LAYOUT_RULE_FOLLOW] = prepare_follow,
        [TARE_LAYOUT_RULE_ANY] = prepare_any};
    *row = *original;
    row->private_size = sizeof(fake_kernel);
    row->prepare =
        strcmp(original->name, "Reorder") == 0 ? prepare_reorder : prepares[original->layout];
    row->run = fake_run;
    row->release = fake_release;
}

const tare_backend *fake_backend(void) {
    static tare_kernel rows[MAX_ROWS];
    static tare_kernel_table table = {rows, 0};
    static const tare_kernel_table *const tables[] = {&table};
    static tare_backend backend = {
        .name = "fake", .tables = tables, .table_count = 1, .device = &functions};

    backend.thread_begin = tare_backend_cpu.thread_begin;
    for (size_t t = 0; t < tare_backend_cpu.table_count && backend.describe == NULL; t++) {
        const tare_kernel_table *source = tare_backend_cpu.tables[t];
        for (size_t r = 0; r < source->count; r++) {
            cr_assert_lt(table.count, MAX_ROWS);
            mirror(&rows[table.count++], &source->rows[r]);
        }
    }
    backend.describe = tare_backend_cpu.describe;
    return &backend;
}
