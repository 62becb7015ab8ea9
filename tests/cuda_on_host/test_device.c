/* SPDX-License-Identifier: Apache-2.0 */
/** The device functions of the CUDA backend over fakes of CUDA's libraries. */
#include <criterion/criterion.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/error.h"
#include "cuda/backend.h"
#include "cuda/device.h"
#include "fake_stream.h"

static const tare_device_functions *f(void) {
    return tare_backend_cuda.device;
}

static tare_error err;

#define OK(call) cr_assert_eq(call, TARE_OK, "%s", err.text)

static tare_device *opened(tare_precision precision) {
    tare_device *device = NULL;
    const tare_device_options options = {.precision = precision};
    OK(f()->open(&device, &options, &err));
    return device;
}

static void set_fault(const char *fault) {
    cr_assert_eq(setenv("TARE_CUDA_FAULT", fault, 1), 0);
}

Test(device, tells_what_is_there) {
    tare_device_survey survey;
    f()->survey(&survey, true);
    cr_assert(survey.usable);
    cr_assert_eq(survey.device_count, 1);
    cr_assert_eq(survey.part_count, 5);
    for (size_t i = 0; i < survey.part_count; i++) {
        cr_assert(survey.parts[i].usable, "%s", survey.parts[i].name);
        cr_assert_neq(survey.parts[i].version[0], '\0', "%s", survey.parts[i].name);
    }
}

Test(device, lists_no_more_parts_than_there_is_room) {
    tare_device_survey survey;
    set_fault("devices:100");
    f()->survey(&survey, true);
    cr_assert(survey.usable);
    cr_assert_eq(survey.device_count, 100);
    cr_assert_eq(survey.part_count, TARE_DEVICE_MAX_PARTS);
    cr_assert_str_eq(survey.parts[TARE_DEVICE_MAX_PARTS - 1].name, "cuDNN");
}

Test(device, opens_with_each_precision) {
    static const tare_dtype storage[] = {
        [TARE_PRECISION_FP32] = TARE_DTYPE_FLOAT,
        [TARE_PRECISION_TF32] = TARE_DTYPE_FLOAT,
        [TARE_PRECISION_FP16] = TARE_DTYPE_FLOAT16,
    };
    for (int precision = TARE_PRECISION_FP32; precision <= TARE_PRECISION_FP16; precision++) {
        tare_device *device = opened((tare_precision)precision);
        tare_device_facts facts;
        f()->facts(&facts, device);
        cr_assert_eq(facts.precision, (tare_precision)precision);
        cr_assert_eq(facts.storage, storage[precision]);
        cr_assert_str_eq(facts.name, "Emulated device");
        cr_assert_gt(facts.memory_bytes, 0);
        cr_assert_leq(facts.free_bytes, facts.memory_bytes);
        f()->close(device);
    }
    cr_assert_eq(fake_streams_living(), 0);
}

static void refuse_to_open(const char *fault, int index, const char *words) {
    tare_device *device = (tare_device *)&device;
    const tare_device_options options = {.index = index};
    set_fault(fault);
    cr_assert_eq(f()->open(&device, &options, &err), TARE_NOT_FOUND, "%s", fault);
    cr_assert_null(device);
    cr_assert_not_null(strstr(err.text, words), "%s: %s", fault, err.text);
}

Test(device, says_what_is_missing) {
    refuse_to_open("devices:0", 0, "driver: the driver sees no device");
    refuse_to_open("driver:11080", 0, "it serves CUDA up to 11.8, expected 13.");
    refuse_to_open("capability:70", 0, "device 0: compute capability 7.0, expected 8.0 or later");
    refuse_to_open("library:cudnn", 0, "cuDNN: ");
    refuse_to_open("library:cublaslt", 0, "cuBLASLt: ");
    refuse_to_open("", 1, "device 1: there are 1 devices");
    refuse_to_open("", -1, "device -1: ");
}

Test(device, frees_what_it_opened_when_it_fails) {
    static const char *const faults[] = {"cudaSetDevice:1", "cublasLtCreate:1"};
    for (size_t i = 0; i < sizeof faults / sizeof faults[0]; i++) {
        tare_device *device = NULL;
        const tare_device_options options = {.index = 0};
        set_fault(faults[i]);
        cr_assert_neq(f()->open(&device, &options, &err), TARE_OK, "%s", faults[i]);
        cr_assert_null(device);
        cr_assert_eq(fake_streams_living(), 0);
    }
}

Test(device, gives_memory_as_long_as_there_is_some) {
    tare_device *device = NULL;
    void *memory[3] = {NULL, NULL, NULL};
    tare_device_facts before, between, after;
    set_fault("memory:100000");
    device = opened(TARE_PRECISION_FP32);
    f()->facts(&before, device);
    OK(f()->memory_new(&memory[0], device, 10000, &err));
    OK(f()->memory_new(&memory[1], device, 0, &err));
    cr_assert_not_null(memory[1]);
    f()->facts(&between, device);
    cr_assert_geq(before.free_bytes - between.free_bytes, 10000);
    cr_assert_eq(f()->memory_new(&memory[2], device, 100001, &err), TARE_OUT_OF_MEMORY);
    cr_assert_null(memory[2]);
    cr_assert_not_null(strstr(err.text, "100001"), "%s", err.text);
    f()->memory_free(device, memory[0]);
    f()->memory_free(device, memory[1]);
    f()->memory_free(device, NULL);
    f()->facts(&after, device);
    cr_assert_eq(before.free_bytes, after.free_bytes);
    f()->close(device);
}

#define COUNT 1000

typedef struct line {
    tare_device *device;
    tare_queue *queue;
    tare_mark *mark;
    uint8_t *pinned, *memory;
} line;

static line line_new(void) {
    line l = {.device = opened(TARE_PRECISION_FP32)};
    OK(f()->queue_new(&l.queue, l.device, &err));
    OK(f()->mark_new(&l.mark, l.device, &err));
    OK(f()->pinned_new((void **)&l.pinned, l.device, COUNT, &err));
    OK(f()->memory_new((void **)&l.memory, l.device, COUNT, &err));
    return l;
}

static void line_free(line *l) {
    f()->mark_free(l->mark);
    f()->queue_free(l->queue);
    f()->pinned_free(l->device, l->pinned);
    f()->memory_free(l->device, l->memory);
    f()->close(l->device);
    cr_assert_eq(fake_streams_living(), 0);
}

static void copy(tare_queue *queue, tare_copy_kind kind, void *to, const void *from) {
    const tare_copy what = {kind, to, from, COUNT};
    OK(f()->copy(queue, &what, &err));
}

static void expect(const uint8_t *bytes, uint8_t value) {
    for (size_t i = 0; i < COUNT; i++) {
        cr_assert_eq(bytes[i], value, "byte %zu is %d, expected %d", i, bytes[i], value);
    }
}

Test(queue, copies_there_and_back) {
    line l = line_new();
    uint8_t plain[COUNT], back[COUNT];
    void *second = NULL;
    memset(plain, 3, sizeof plain);
    OK(f()->memory_new(&second, l.device, COUNT, &err));
    copy(l.queue, TARE_COPY_TO_DEVICE, l.memory, plain);
    memset(plain, 4, sizeof plain); /* pageable memory may be used again at once */
    copy(l.queue, TARE_COPY_ON_DEVICE, second, l.memory);
    copy(l.queue, TARE_COPY_TO_HOST, back, second);
    expect(back, 3);
    OK(f()->zero(l.queue, second, COUNT, &err));
    copy(l.queue, TARE_COPY_TO_HOST, l.pinned, second);
    OK(f()->wait(l.queue, &err));
    expect(l.pinned, 0);
    f()->memory_free(l.device, second);
    line_free(&l);
}

Test(queue, nothing_is_no_copy) {
    line l = line_new();
    const tare_copy nothing = {TARE_COPY_TO_DEVICE, NULL, NULL, 0};
    OK(f()->copy(l.queue, &nothing, &err));
    OK(f()->zero(l.queue, NULL, 0, &err));
    line_free(&l);
}

/* That the fakes do notice who does not wait; otherwise the other tests would mean little. */
Test(queue, works_behind_the_back_of_who_does_not_wait) {
    line l = line_new();
    uint8_t back[COUNT];
    memset(l.pinned, 5, COUNT);
    copy(l.queue, TARE_COPY_TO_DEVICE, l.memory, l.pinned);
    memset(l.pinned, 6, COUNT);
    copy(l.queue, TARE_COPY_TO_HOST, back, l.memory);
    expect(back, 6);
    line_free(&l);
}

Test(queue, marks_order_two_queues) {
    line l = line_new();
    tare_queue *second = NULL;
    uint8_t back[COUNT];
    OK(f()->queue_new(&second, l.device, &err));
    OK(f()->mark_wait(l.mark, &err)); /* never set: reached */
    OK(f()->mark_follow(second, l.mark, &err));
    memset(l.pinned, 7, COUNT);
    copy(l.queue, TARE_COPY_TO_DEVICE, l.memory, l.pinned);
    OK(f()->mark_set(l.mark, l.queue, &err));
    OK(f()->mark_follow(second, l.mark, &err));
    copy(second, TARE_COPY_TO_HOST, back, l.memory);
    expect(back, 7);
    OK(f()->mark_wait(l.mark, &err));
    f()->queue_free(second);
    line_free(&l);
}

Test(queue, marks_tell_the_time_between_them) {
    line l = line_new();
    tare_mark *second = NULL;
    double seconds = -1;
    OK(f()->mark_new(&second, l.device, &err));
    OK(f()->mark_set(l.mark, l.queue, &err));
    OK(f()->zero(l.queue, l.memory, COUNT, &err));
    OK(f()->mark_set(second, l.queue, &err));
    OK(f()->mark_wait(second, &err));
    OK(f()->mark_seconds(&seconds, l.mark, second, &err));
    cr_assert_geq(seconds, 0);
    cr_assert_lt(seconds, 60);
    f()->mark_free(second);
    line_free(&l);
}

Test(queue, repeats_what_was_recorded) {
    line l = line_new();
    tare_recording *recording = NULL;
    uint8_t back[COUNT];
    OK(f()->zero(l.queue, l.memory, COUNT, &err));
    OK(f()->record_begin(l.queue, &err));
    copy(l.queue, TARE_COPY_TO_DEVICE, l.memory, l.pinned);
    OK(f()->record_end(&recording, l.queue, &err));
    copy(l.queue, TARE_COPY_TO_HOST, back, l.memory);
    expect(back, 0); /* recorded, not done */
    for (uint8_t value = 1; value < 4; value++) {
        memset(l.pinned, value, COUNT);
        OK(f()->replay(l.queue, recording, &err));
        copy(l.queue, TARE_COPY_TO_HOST, back, l.memory);
        expect(back, value);
    }
    f()->recording_free(recording);
    line_free(&l);
}

Test(queue, drops_a_recording) {
    line l = line_new();
    uint8_t back[COUNT];
    OK(f()->zero(l.queue, l.memory, COUNT, &err));
    OK(f()->record_begin(l.queue, &err));
    memset(l.pinned, 9, COUNT);
    copy(l.queue, TARE_COPY_TO_DEVICE, l.memory, l.pinned);
    OK(f()->record_end(NULL, l.queue, &err));
    copy(l.queue, TARE_COPY_TO_HOST, back, l.memory);
    expect(back, 0);
    line_free(&l);
}

Test(queue, a_recording_cannot_allocate) {
    line l = line_new();
    void *memory = NULL;
    OK(f()->record_begin(l.queue, &err));
    cr_assert_eq(f()->memory_new(&memory, l.device, 16, &err), TARE_BACKEND);
    cr_assert_eq(f()->wait(l.queue, &err), TARE_BACKEND);
    OK(f()->record_end(NULL, l.queue, &err));
    line_free(&l);
}

/* Every call that can fail does so once; whatever was made before is freed. */
Test(queue, reports_each_failing_call) {
    static const char *const calls[] = {
        "cudaStreamCreateWithFlags",
        "cudaEventCreateWithFlags",
        "cudaMemcpyAsync",
        "cudaMemsetAsync",
        "cudaStreamSynchronize",
        "cudaEventRecord",
        "cudaEventSynchronize",
        "cudaStreamWaitEvent",
        "cudaStreamBeginCapture",
        "cudaStreamEndCapture",
        "cudaGraphInstantiate",
        "cudaGraphLaunch",
        "cudaHostAlloc",
    };
    for (size_t i = 0; i < sizeof calls / sizeof calls[0]; i++) {
        char fault[64];
        line l = {.device = opened(TARE_PRECISION_FP32)};
        tare_recording *recording = NULL;
        tare_status status;
        (void)snprintf(fault, sizeof fault, "%s:1", calls[i]);
        set_fault(fault);
        TARE_TRY_DONE(status, f()->queue_new(&l.queue, l.device, &err));
        TARE_TRY_DONE(status, f()->mark_new(&l.mark, l.device, &err));
        TARE_TRY_DONE(status, f()->pinned_new((void **)&l.pinned, l.device, COUNT, &err));
        TARE_TRY_DONE(status, f()->memory_new((void **)&l.memory, l.device, COUNT, &err));
        TARE_TRY_DONE(status, f()->zero(l.queue, l.memory, COUNT, &err));
        const tare_copy what = {TARE_COPY_TO_DEVICE, l.memory, l.pinned, COUNT};
        TARE_TRY_DONE(status, f()->copy(l.queue, &what, &err));
        TARE_TRY_DONE(status, f()->mark_set(l.mark, l.queue, &err));
        TARE_TRY_DONE(status, f()->mark_follow(l.queue, l.mark, &err));
        TARE_TRY_DONE(status, f()->mark_wait(l.mark, &err));
        TARE_TRY_DONE(status, f()->wait(l.queue, &err));
        TARE_TRY_DONE(status, f()->record_begin(l.queue, &err));
        TARE_TRY_DONE(status, f()->zero(l.queue, l.memory, COUNT, &err));
        TARE_TRY_DONE(status, f()->record_end(&recording, l.queue, &err));
        TARE_TRY_DONE(status, f()->replay(l.queue, recording, &err));

    done:
        cr_assert_eq(status,
                     strcmp(calls[i], "cudaHostAlloc") == 0 ? TARE_OUT_OF_MEMORY : TARE_BACKEND,
                     "%s: %s", calls[i], err.text);
        f()->recording_free(recording);
        f()->mark_free(l.mark);
        f()->queue_free(l.queue);
        f()->pinned_free(l.device, l.pinned);
        f()->memory_free(l.device, l.memory);
        f()->close(l.device);
        cr_assert_eq(fake_streams_living(), 0, "%s", calls[i]);
    }
}

Test(upload, arrives) {
    tare_device *device = opened(TARE_PRECISION_FP32);
    const float values[3] = {1, 2, 3};
    void *memory = NULL;
    OK(tare_cuda_upload(&memory, device, values, sizeof values, &err));
    cr_assert_eq(memcmp(memory, values, sizeof values), 0);
    tare_cuda_free(device, memory);
    OK(tare_cuda_upload(&memory, device, NULL, 0, &err));
    cr_assert_not_null(memory);
    tare_cuda_free(device, memory);
    f()->close(device);
}

Test(upload, frees_what_did_not_arrive) {
    tare_device *device = opened(TARE_PRECISION_FP32);
    tare_device_facts before, after;
    const float value = 1;
    void *memory = NULL;
    f()->facts(&before, device);
    set_fault("cudaMemcpy:1");
    cr_assert_eq(tare_cuda_upload(&memory, device, &value, sizeof value, &err), TARE_BACKEND);
    cr_assert_null(memory);
    f()->facts(&after, device);
    cr_assert_eq(before.free_bytes, after.free_bytes);
    f()->close(device);
}
