/* SPDX-License-Identifier: Apache-2.0 */
/** The plug-in over the fakes keeps the device's memory apart from the host's: what a real device
 * would not forgive is noticed in runs of whole networks here. */
#include <criterion/criterion.h>
#include <dlfcn.h>
#include <signal.h>
#include <stdlib.h>

#include "exec/plugin.h"

static const tare_device_functions *f;
static tare_device *device;
static tare_queue *queue;
static tare_error err;

#define OK(call) cr_assert_eq(call, TARE_OK, "%s", err.text)

static void set_up(void) {
    const tare_device_options options = {.precision = TARE_PRECISION_FP32};
    void *library = dlopen(getenv("TARE_CUDA_ON_HOST"), RTLD_NOW | RTLD_LOCAL);
    cr_assert_not_null(library, "%s", dlerror());
    const tare_plugin *plugin = (const tare_plugin *)dlsym(library, TARE_PLUGIN_SYMBOL);
    cr_assert_not_null(plugin);
    f = plugin->backend->device;
    OK(f->open(&device, &options, &err));
    OK(f->queue_new(&queue, device, &err));
}

static void *memory(void) {
    void *fresh = NULL;
    OK(f->memory_new(&fresh, device, 64, &err));
    return fresh;
}

/* What a kernel says of copying four floats. */
static tare_status run_kernel(void *to, const void *from) {
    const tare_desc desc = {.dtype = TARE_DTYPE_FLOAT, .rank = 1, .dims = {4}};
    const tare_ingest what = {
        .to = to, .desc = &desc, .from = from, .from_dtype = TARE_DTYPE_FLOAT};
    return f->ingest(queue, &what, &err);
}

Test(apart, kernels_take_addresses_of_the_device, .init = set_up) {
    static const float values[4] = {1.0F, -2.0F, 3.0F, -0.5F};
    float back[4] = {0};
    char *from = memory(), *to = memory();
    const tare_copy there = {TARE_COPY_TO_DEVICE, from, values, sizeof values};
    const tare_copy here = {TARE_COPY_TO_HOST, back, to, sizeof back};
    OK(f->copy(queue, &there, &err));
    OK(run_kernel(to, from));
    OK(f->copy(queue, &here, &err));
    OK(f->wait(queue, &err));
    cr_assert_arr_eq(back, values, sizeof values);
}

Test(apart, kernels_refuse_addresses_of_the_host, .init = set_up) {
    /* Those that end in a zero byte are not looked at. */
    static float fixed[8];
    float automatic[8] = {0};
    float *dynamic = malloc(sizeof automatic);
    char *there = memory();
    cr_assert_eq(run_kernel(there, fixed + 2), TARE_BACKEND);
    cr_assert_eq(run_kernel(there, automatic + 2), TARE_BACKEND);
    cr_assert_eq(run_kernel(dynamic + 2, there), TARE_BACKEND);
    cr_assert_eq(run_kernel(there, there + 16), TARE_OK, "%s", err.text);
    free(dynamic);
}

Test(apart, the_host_keeps_off_memory_of_the_device, .init = set_up, .signal = SIGSEGV) {
    const volatile float *there = memory();
    OK(run_kernel((void *)(uintptr_t)there, (const char *)(uintptr_t)there + 16));
    OK(f->wait(queue, &err));
    cr_assert(there[0] != 0.0F);
}
